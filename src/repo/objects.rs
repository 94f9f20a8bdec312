//! The objects of a commit: kept in memory until all of them are known, then written and synced one
//! by one. Those of a new repository are written at once, because nothing refers to it yet.
//!
//! libgit2 writes an object at once, does not sync it, and mistakes a file that a power cut left
//! empty for the object. This module gives an object its name only once its bytes are on the disk.

use super::sharing::Sharing;
use super::{Repo, failed};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use git2::{Error, ObjectType, Odb, Oid, Repository, TreeBuilder};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Priority of the in-memory backend, higher than that of the disk backends.
const FIRST: i32 = 1000;
/// Prefix of git's unfinished objects, which git removes itself.
const UNFINISHED: &str = "tmp_obj_";

/// Mode of an object's file.
const READ_ONLY: u32 = 0o444;

/// State of a loose object's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loose {
    Absent,
    /// Holds the object.
    Whole,
    /// Holds something else, or only a part of the object.
    Broken,
}

impl Repo {
    /// Keeps new objects in memory from now on, until [`Repo::write_objects`].
    pub(super) fn keep_in_memory(&self) -> Result<()> {
        if !self.in_memory.replace(true) {
            let odb = self.git.odb().map_err(|error| failed("open the object database", &error))?;
            let added = odb.add_new_mempack_backend(FIRST);
            added.map_err(|error| failed("open the object database", &error))?;
        }
        Ok(())
    }

    /// Writes the objects `all`, which must be sorted so that referenced objects come first.
    pub(super) fn write_objects(&self, all: &[Oid]) -> Result<()> {
        let cannot = |error: Error| failed("open the object database", &error);
        let fresh = Repository::open(self.git.path()).map_err(cannot)?;
        let (known, memory) = (fresh.odb().map_err(cannot)?, self.git.odb().map_err(cannot)?);
        let (objects, sharing) = (self.git.commondir().join("objects"), Sharing::of(&self.git));
        // A killed run may have created any of the directories without syncing it.
        let mut dirs = BTreeSet::from([objects.clone()]);
        for id in all {
            let (dir, rest) = split(*id);
            let dir = objects.join(dir);
            let file = dir.join(rest);
            write_object(&file, *id, &known, &memory, sharing, &mut dirs)?;
        }
        let synced = dirs.iter().rev().try_for_each(|dir| files::sync_directory(dir));
        Ok(synced.map_err(|error| files::cannot("write", &objects, &error))?)
    }

    /// The object that `make` stores, replacing a broken file on the disk.
    pub(super) fn intact_object(&self, make: impl Fn() -> Result<Oid>) -> Result<Oid> {
        let id = make()?;
        let is_broken =
            self.discard_broken(id).map_err(|error| failed("read an object", &error))?;
        if is_broken { make() } else { Ok(id) }
    }

    /// Like [`Repo::intact_object`], for a tree with everything that `old` does not have.
    pub(super) fn intact_tree(
        &self,
        old: Oid,
        mut make: impl FnMut() -> std::result::Result<Oid, Error>,
    ) -> std::result::Result<Oid, Error> {
        // libgit2 would read a tree that it believes to be on the disk before its id is known here.
        // Everything that the tree refers to is in HEAD or was stored a moment ago.
        git2::opts::strict_object_creation(false);
        loop {
            let new = make()?;
            if !self.discard_broken_trees(new, Some(old))? {
                return Ok(new);
            }
        }
    }

    /// Like [`Repo::intact_object`], for the tree of `builder` alone.
    pub(super) fn intact_builder_tree(
        &self,
        builder: &TreeBuilder,
    ) -> std::result::Result<Oid, Error> {
        let id = builder.write()?;
        if self.discard_broken(id)? { builder.write() } else { Ok(id) }
    }

    fn discard_broken_trees(&self, new: Oid, old: Option<Oid>) -> std::result::Result<bool, Error> {
        if Some(new) == old {
            return Ok(false);
        }
        if self.discard_broken(new)? {
            return Ok(true);
        }
        let tree = self.git.find_tree(new)?;
        let old = old.and_then(|old| self.git.find_tree(old).ok());
        for entry in tree.iter().filter(|entry| entry.kind() == Some(ObjectType::Tree)) {
            let before = old.as_ref().and_then(|old| old.get_name_bytes(entry.name_bytes()));
            if self.discard_broken_trees(entry.id(), before.map(|before| before.id()))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes the file of the object `id` if its content is broken. libgit2 takes any such file
    /// for the object without reading it, and then does not store the object again.
    pub(super) fn discard_broken(&self, id: Oid) -> std::result::Result<bool, Error> {
        let (dir, rest) = split(id);
        let file = self.git.commondir().join("objects").join(dir).join(rest);
        let discarded = match loose(&file, id) {
            Ok(Loose::Broken) => fs::remove_file(&file).map(|()| true),
            found => found.map(|_| false),
        };
        discarded.map_err(|error| Error::from_str(&format!("{}: {error}", file.display())))
    }

    /// Trees and blobs of the tree `new` that `old` does not have, referenced objects first.
    pub(super) fn new_objects(
        &self,
        new: Oid,
        old: Option<Oid>,
        found: &mut Vec<Oid>,
    ) -> std::result::Result<(), Error> {
        let tree = self.git.find_tree(new)?;
        let old = old.and_then(|old| self.git.find_tree(old).ok());
        for entry in &tree {
            let before = old.as_ref().and_then(|old| old.get_name_bytes(entry.name_bytes()));
            let before = before.map(|before| before.id());
            match entry.kind() {
                _ if before == Some(entry.id()) => {}
                Some(ObjectType::Tree) => self.new_objects(entry.id(), before, found)?,
                Some(ObjectType::Blob) => found.push(entry.id()),
                // The commit of a submodule is not in this repository.
                _ => {}
            }
        }
        found.push(new);
        Ok(())
    }
}

/// Writes the object `id` to `file` unless it is on the disk. Adds the directories with a new entry
/// to `dirs`.
fn write_object(
    file: &Path,
    id: Oid,
    known: &Odb,
    memory: &Odb,
    sharing: Sharing,
    dirs: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let (Some(dir), cannot) =
        (file.parent(), |error: &io::Error| files::cannot("write", file, error))
    else {
        return Ok(());
    };
    match loose(file, id).map_err(|error| files::cannot("read", file, &error))? {
        // The process that wrote the file may not have synced it.
        Loose::Whole => {
            fs::File::open(file)
                .and_then(|file| file.sync_all())
                .map_err(|error| cannot(&error))?;
        }
        Loose::Broken => {
            return Err(Failure::failed(format!("cannot write `{}`", file.display()))
                .because("its content does not match its object id")
                .hint(Advice::anywhere("rm -f").path(file))
                .into());
        }
        Loose::Absent if known.exists(id) => return Ok(()),
        Loose::Absent => {
            let object = memory.read(id).map_err(|error| failed("read an object", &error))?;
            let write = || {
                make_directory(dir, sharing)?;
                write(dir, file, object.kind(), object.data(), sharing)
            };
            let written = match write() {
                // Git's garbage collection removes empty directories.
                Err(error) if error.kind() == io::ErrorKind::NotFound => write(),
                written => written,
            };
            written.map_err(|error| cannot(&error))?;
        }
    }
    dirs.insert(dir.to_owned());
    Ok(())
}

/// Writes the blob `data` to a repository whose directory `objects` no other process knows yet, so
/// that it needs neither another name first nor a sync of its own. Not compressed, which would take
/// a quarter of `makeinfra new`; git compresses it when it packs it.
pub(super) fn write_new_blob(objects: &Path, data: &[u8]) -> io::Result<Oid> {
    let id = Oid::hash_object(ObjectType::Blob, data)
        .map_err(|error| io::Error::other(error.message().to_owned()))?;
    let (dir, rest) = split(id);
    let dir = objects.join(dir);
    make_directory(&dir, Sharing::Mask)?;
    match OpenOptions::new().write(true).create_new(true).mode(READ_ONLY).open(dir.join(rest)) {
        // Two files of the same content.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        file => encode(file?, ObjectType::Blob, data, Compression::none())?,
    }
    Ok(id)
}

/// Creates the directory `dir`; succeeds if git has created it in the meantime.
fn make_directory(dir: &Path, sharing: Sharing) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| sharing.apply(dir)),
    }
}

/// Writes a loose object (git's object-file.c).
fn write(
    dir: &Path,
    file: &Path,
    kind: ObjectType,
    data: &[u8],
    sharing: Sharing,
) -> io::Result<()> {
    let mode = fs::Permissions::from_mode(READ_ONLY);
    let mut unfinished =
        tempfile::Builder::new().prefix(UNFINISHED).permissions(mode).tempfile_in(dir)?;
    encode(unfinished.as_file_mut(), kind, data, Compression::fast())?;
    sharing.apply(unfinished.path())?;
    unfinished.as_file().sync_all()?;
    unfinished.persist(file)?;
    Ok(())
}

fn encode(
    file: impl Write,
    kind: ObjectType,
    data: &[u8],
    compression: Compression,
) -> io::Result<()> {
    let mut encoder = ZlibEncoder::new(file, compression);
    write!(encoder, "{} {}\0", kind.str(), data.len())?;
    encoder.write_all(data)?;
    encoder.finish().map(drop)
}

/// State of the file of the object `id`. Fails if the file cannot be read, which does not mean that
/// the object is broken.
fn loose(file: &Path, id: Oid) -> io::Result<Loose> {
    let bytes = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loose::Absent),
        read => read?,
    };
    let (mut decoder, mut object) = (ZlibDecoder::new(bytes.as_slice()), Vec::new());
    let is_read =
        decoder.read_to_end(&mut object).is_ok() && decoder.total_in() == bytes.len() as u64;
    let mut parts = object.splitn(2, |byte| *byte == 0);
    let (header, data) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let kinds = [ObjectType::Blob, ObjectType::Tree, ObjectType::Commit];
    let kind = kinds
        .into_iter()
        .find(|kind| header == format!("{} {}", kind.str(), data.len()).as_bytes());
    let is_whole = is_read
        && kind.is_some_and(|kind| Oid::hash_object(kind, data).is_ok_and(|found| found == id));
    Ok(if is_whole { Loose::Whole } else { Loose::Broken })
}

/// Directory name and file name of a loose object.
fn split(id: Oid) -> (String, String) {
    let mut dir = id.to_string();
    let rest = dir.split_off(2);
    (dir, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"what is stored";

    fn id() -> Oid {
        Oid::hash_object(ObjectType::Blob, TEXT).unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_is_an_object_if_it_holds_that_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("object");
        assert_eq!(loose(&file, id()).unwrap(), Loose::Absent);
        let object = [b"blob 14\0", TEXT].concat();
        let whole = zlib(&object);
        let broken = [
            Vec::new(),
            whole[..whole.len() - 1].to_vec(),
            [&whole[..], b"x"].concat(),
            object.clone(),
            zlib(&[b"blob 13\0", TEXT].concat()),
            zlib(&[b"blog 14\0", TEXT].concat()),
            zlib(b"blob 14\0What is stored"),
            zlib(&[b"commit 14\0", TEXT].concat()),
        ];
        for bytes in broken {
            fs::write(&file, &bytes).unwrap();
            assert_eq!(loose(&file, id()).unwrap(), Loose::Broken, "{bytes:?}");
        }
        fs::write(&file, whole).unwrap();
        assert_eq!(loose(&file, id()).unwrap(), Loose::Whole);
        assert!(loose(dir.path(), id()).is_err(), "a directory is not read");
    }

    #[test]
    fn what_is_written_is_what_git_would_have_written() {
        let dir = tempfile::tempdir().unwrap();
        let git = Repository::init(dir.path()).unwrap();
        let (sub, rest) = split(id());
        let sub = git.path().join("objects").join(sub);
        make_directory(&sub, Sharing::Mask).unwrap();
        make_directory(&sub, Sharing::Mask).unwrap();
        write(&sub, &sub.join(&rest), ObjectType::Blob, TEXT, Sharing::Mask).unwrap();
        assert_eq!(git.find_blob(id()).unwrap().content(), TEXT);
        assert_eq!(loose(&sub.join(&rest), id()).unwrap(), Loose::Whole);
        assert_eq!(fs::metadata(sub.join(&rest)).unwrap().permissions().mode() & 0o777, 0o444);
        assert_eq!(fs::read_dir(&sub).unwrap().count(), 1);
        assert!(make_directory(&sub.join(&rest).join("below"), Sharing::Mask).is_err());
    }

    #[test]
    fn a_blob_of_a_new_repository_is_whole_and_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let git = Repository::init(dir.path()).unwrap();
        let objects = git.path().join("objects");
        // Longer than one stored block of zlib.
        let long = b"0123456789".repeat(20_000);
        for data in [b"", TEXT, &long] {
            let id = write_new_blob(&objects, data).unwrap();
            assert_eq!(write_new_blob(&objects, data).unwrap(), id);
            assert_eq!(git.find_blob(id).unwrap().content(), data);
            let (sub, rest) = split(id);
            let file = objects.join(sub).join(rest);
            assert_eq!(loose(&file, id).unwrap(), Loose::Whole);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o444);
        }
        assert!(write_new_blob(&objects.join("none"), TEXT).is_err());
    }

    #[test]
    fn an_object_in_a_pack_is_not_written_once_more() {
        let dir = tempfile::tempdir().unwrap();
        let git = Repository::init(dir.path()).unwrap();
        let mut pack = git.packbuilder().unwrap();
        let packed = git.blob(TEXT).unwrap();
        pack.insert_object(packed, None).unwrap();
        pack.write(&git.path().join("objects/pack"), 0).unwrap();
        let (sub, rest) = split(packed);
        let file = git.path().join("objects").join(sub).join(rest);
        fs::remove_file(&file).unwrap();
        let known = Repository::open(dir.path()).unwrap();
        let (known, memory) = (known.odb().unwrap(), git.odb().unwrap());
        let mut dirs = BTreeSet::new();
        write_object(&file, packed, &known, &memory, Sharing::Mask, &mut dirs).unwrap();
        assert!(!file.exists() && dirs.is_empty());
    }
}
