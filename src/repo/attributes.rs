//! Git attributes by which `git add` filters a file, read as git reads them (git's attr.c). Changes
//! nothing.
//!
//! libgit2 reads quoted and negative patterns, control characters, macros and links differently. A
//! secret that only libgit2 considers encrypted would be stored in plaintext.

mod conversion;
mod line;
mod pattern;
mod remedy;

pub use remedy::Remedy;

use super::{failed, work_tree};
use crate::environment;
use crate::error::Result;
use crate::files;
use crate::git_crypt;
use git2::{Config, ConfigLevel, Error, ErrorCode, Repository};
use line::{Line, Origin, State, States};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Name of attribute files in the work tree.
pub(super) const FILE: &str = ".gitattributes";
/// Git ignores attribute files above this size (attr.h, `ATTR_MAX_FILE_SIZE`).
const LARGE: u64 = 100 << 20;
/// The system-wide attribute file. Git's own path is fixed when git is built.
const SYSTEM: &str = "/etc/gitattributes";
/// Attributes that git defines before it reads any file.
const BUILT_IN: &[u8] = b"[attr]binary -diff -merge -text\n";
const FILTER: &[u8] = b"filter";
/// Flag of index entries that a sparse checkout leaves out (git's index-format).
const SKIP_WORKTREE: u16 = 1 << 14;

/// Attributes of a repository's files.
pub(super) struct Attributes<'r> {
    git: &'r Repository,
    top: PathBuf,
    folds: bool,
    /// Global attribute files, with lower precedence than any in the work tree.
    low: Vec<Rc<Frame>>,
    /// `.git/info/attributes`, with the highest precedence.
    high: Rc<Frame>,
    /// The setting that makes git read attributes from a tree instead; `None` if there is none.
    source: Option<Source>,
    /// Attribute files by directory, read on demand.
    directories: RefCell<HashMap<String, Directory>>,
}

/// A setting that makes git read attributes from a tree instead of the work tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The environment variable, since git 2.41.
    Variable,
    /// `attr.tree` in the configuration at this level, since git 2.43.
    Configuration(ConfigLevel),
}

impl Source {
    /// The environment variable.
    const VARIABLE: &str = "GIT_ATTR_SOURCE";
    /// The configuration key.
    const NAME: &str = "attr.tree";

    fn of(config: &Config) -> std::result::Result<Option<Self>, Error> {
        // Git takes an empty value as a tree, too.
        if environment::raw(Self::VARIABLE).is_some() {
            return Ok(Some(Self::Variable));
        }
        match config.get_entry(Self::NAME) {
            Ok(entry) => Ok(Some(Self::Configuration(entry.level()))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The content of one attribute file.
#[derive(Default)]
struct Frame {
    lines: Vec<Line>,
    /// The file could not be read, so it may say anything.
    is_unknown: bool,
}

/// The attribute file of one directory.
#[derive(Clone)]
struct Directory {
    /// As git reads it now: from the index if it is not on the disk.
    now: Rc<Frame>,
    /// As git reads it once its deletion is staged.
    then: Rc<Frame>,
}

impl<'r> Attributes<'r> {
    pub(super) fn of(git: &'r Repository) -> Result<Self> {
        let unread = |error: &Error| failed("read the configuration of attributes", error);
        let config = git.config().map_err(|error| unread(&error))?;
        let folds = match config.get_bool("core.ignorecase") {
            Err(error) if error.code() == ErrorCode::NotFound => false,
            folds => folds.map_err(|error| unread(&error))?,
        };
        let top = work_tree(git);
        let home = match config.get_path("core.attributesfile") {
            Ok(path) => Some(top.join(path)),
            Err(error) if error.code() == ErrorCode::NotFound => {
                environment::config_home().map(|home| home.join("git/attributes"))
            }
            Err(error) => return Err(unread(&error).into()),
        };
        let read = |path: &Path| match bytes(path, true) {
            Ok(bytes) => Frame::read(&bytes.unwrap_or_default(), Origin::Disk, true, folds),
            Err(Unreadable) => Frame { is_unknown: true, ..Frame::default() },
        };
        let source = Source::of(&config).map_err(|error| unread(&error))?;
        let system = (!environment::is_true("GIT_ATTR_NOSYSTEM")).then(|| PathBuf::from(SYSTEM));
        let built_in = Frame::read(BUILT_IN, Origin::Disk, true, folds);
        let files = [system, home].into_iter().flatten().map(|path| read(&path));
        Ok(Self {
            git,
            top,
            folds,
            low: std::iter::once(built_in).chain(files).map(Rc::new).collect(),
            high: Rc::new(read(&git.commondir().join("info/attributes"))),
            source,
            directories: RefCell::default(),
        })
    }

    /// The git-crypt filter that git runs for `path`: `git-crypt` or `git-crypt-KEYNAME`. `None` if
    /// git runs none now, or none once the deletion of an attribute file is staged, or if that is
    /// undetermined.
    pub(super) fn filter(&self, path: &str) -> Option<String> {
        match self.readings(path) {
            [Value::Name(now), Value::Name(then)] if now == then => {
                String::from_utf8(now).ok().filter(|name| is_filter(name))
            }
            _ => None,
        }
    }

    /// Whether an attribute file that applies to `path` cannot be read.
    pub(super) fn is_unread(&self, path: &str) -> bool {
        let dirs = path.match_indices('/').map(|(at, _)| &path[..at]).chain([""]);
        let mut shared = self.low.iter().chain([&self.high]);
        shared.any(|frame| frame.is_unknown)
            || dirs.into_iter().any(|dir| self.directory(dir).now.is_unknown)
    }

    /// Whether git runs any filter for `path`; `true` if undetermined.
    pub(super) fn has_filter(&self, path: &str) -> bool {
        self.readings(path).iter().any(|filter| *filter != Value::None)
    }

    /// Directories, with a trailing slash, outside of which neither the attribute files in `dirs`
    /// nor the global ones assign any file to git-crypt.
    pub(super) fn prefixes(&self, dirs: impl Iterator<Item = String>) -> BTreeSet<String> {
        let everywhere =
            self.low.iter().chain([&self.high]).map(|frame| (String::new(), Rc::clone(frame)));
        let of_directories = dirs.map(|dir| {
            let frame = self.directory(&dir).now;
            (if dir.is_empty() { dir } else { dir + "/" }, frame)
        });
        let mut prefixes = BTreeSet::new();
        for (base, frame) in everywhere.chain(of_directories) {
            for line in &frame.lines {
                let (literal, states) = match line {
                    Line::Files(pattern, states) => (pattern.directory(), states),
                    Line::Macro(_, states) => (None, states),
                };
                if states.iter().any(names_git_crypt) {
                    let literal = literal.filter(|_| !self.folds).unwrap_or_default();
                    prefixes.insert(format!("{base}{literal}"));
                }
            }
        }
        prefixes
    }

    /// The value of `filter` for `path`, now and once deletions are staged.
    fn readings(&self, path: &str) -> [Value; 2] {
        self.readings_with(path, None)
    }

    /// Like [`Attributes::readings`], with the attribute file of one directory replaced by `other`.
    fn readings_with(&self, path: &str, other: Option<(&str, &Directory)>) -> [Value; 2] {
        if self.source.is_some() {
            return [Value::Unknown, Value::Unknown];
        }
        self.stacks(path, other).map(|stack| stack.filter())
    }

    /// The attribute files that apply to `path`, now and once deletions are staged, with that of
    /// one directory replaced by `other`.
    fn stacks<'p>(&self, path: &'p str, other: Option<(&str, &Directory)>) -> [Stack<'p>; 2] {
        let slashes = path.match_indices('/').map(|(at, _)| at);
        let dirs: Vec<_> = std::iter::once(0).chain(slashes).collect();
        let directory = |dir: &str| match other {
            Some((changed, other)) if changed == dir => other.clone(),
            _ => self.directory(dir),
        };
        let frames: Vec<_> = dirs.iter().map(|end| directory(&path[..*end])).collect();
        let base = |end: usize| if end == 0 { 0 } else { end + 1 };
        let stack = |frame: fn(&Directory) -> &Rc<Frame>| {
            let low = self.low.iter().map(|frame| (0, Rc::clone(frame)));
            let own =
                dirs.iter().zip(&frames).map(|(end, found)| (base(*end), Rc::clone(frame(found))));
            let frames = low.chain(own).chain([(0, Rc::clone(&self.high))]).collect();
            Stack { frames, path: path.as_bytes() }
        };
        [stack(|directory| &directory.now), stack(|directory| &directory.then)]
    }

    /// The attribute file of the directory `dir`; an empty `dir` is the top.
    fn directory(&self, dir: &str) -> Directory {
        if let Some(known) = self.directories.borrow().get(dir) {
            return known.clone();
        }
        let path = Path::new(dir).join(FILE);
        let read =
            |bytes: &[u8], origin| Rc::new(Frame::read(bytes, origin, dir.is_empty(), self.folds));
        let found = match bytes(&self.top.join(&path), false) {
            Ok(Some(bytes)) => Directory::both(read(&bytes, Origin::Disk)),
            Err(Unreadable) => {
                Directory::both(Rc::new(Frame { is_unknown: true, ..Frame::default() }))
            }
            Ok(None) => match self.staged(&path) {
                None => Directory::both(Rc::default()),
                Some((blob, true)) => Directory::both(read(&blob, Origin::Index)),
                Some((blob, false)) => {
                    Directory { now: read(&blob, Origin::Index), then: Rc::default() }
                }
            },
        };
        self.directories.borrow_mut().insert(dir.to_owned(), found.clone());
        found
    }

    /// Content of the index at `path`, and whether a sparse checkout leaves the file out of the
    /// work tree.
    fn staged(&self, path: &Path) -> Option<(Vec<u8>, bool)> {
        let index = self.git.index().ok()?;
        let entry = index.get_path(path, 0).or_else(|| index.get_path(path, 2))?;
        let blob = self.git.find_blob(entry.id).ok()?;
        Some((blob.content().to_owned(), entry.flags_extended & SKIP_WORKTREE != 0))
    }
}

impl Directory {
    fn both(frame: Rc<Frame>) -> Self {
        Self { now: Rc::clone(&frame), then: frame }
    }
}

impl Frame {
    fn read(bytes: &[u8], origin: Origin, macros: bool, folds: bool) -> Self {
        Self { lines: line::read(bytes, origin, macros, folds), is_unknown: false }
    }
}

/// The value of `filter` for a file.
#[derive(PartialEq, Eq)]
enum Value {
    /// Git runs no filter.
    None,
    /// Git runs the filter of this name, if it is configured.
    Name(Vec<u8>),
    /// Undetermined: an attribute file could not be read, or versions of git disagree.
    Unknown,
}

/// The attribute files that apply to a path in ascending precedence, each with the length of its
/// directory.
struct Stack<'p> {
    frames: Vec<(usize, Rc<Frame>)>,
    path: &'p [u8],
}

impl Stack<'_> {
    /// The value of `filter`.
    fn filter(&self) -> Value {
        if self.frames.iter().any(|(_, frame)| frame.is_unknown) {
            return Value::Unknown;
        }
        let before = self.filter_by(|_| true);
        if !self.frames.iter().any(|(_, frame)| frame.lines.iter().any(Line::is_reserved)) {
            return before;
        }
        let since = self.filter_by(|line| !line.is_reserved());
        if before == since { before } else { Value::Unknown }
    }

    /// The value of `filter` in a version of git that reads only the lines for which `counts` is
    /// true.
    fn filter_by(&self, counts: fn(&Line) -> bool) -> Value {
        match self.state(FILTER, counts) {
            Some(State::Value(name)) => Value::Name(name.clone()),
            _ => Value::None,
        }
    }

    /// The state of the attribute `name` according to the lines for which `counts` is true; `None`
    /// if no line sets it.
    fn state(&self, name: &[u8], counts: fn(&Line) -> bool) -> Option<&State> {
        let mut macros: HashMap<&[u8], &States> = HashMap::new();
        let lines = self.frames.iter().rev().flat_map(|(_, frame)| frame.lines.iter().rev());
        for line in lines.filter(|line| counts(line)) {
            if let Line::Macro(name, states) = line {
                macros.entry(name).or_insert(states);
            }
        }
        let mut known = HashMap::new();
        // The last matching line wins, and the last word within a line, so the search goes
        // backwards.
        for (base, frame) in self.frames.iter().rev() {
            for line in frame.lines.iter().rev().filter(|line| counts(line)) {
                match line {
                    Line::Files(pattern, states) if pattern.matches(self.path, *base) => {
                        fill(states, &macros, &mut known);
                    }
                    _ => {}
                }
                if let Some(state) = known.get(name) {
                    return Some(state);
                }
            }
        }
        None
    }
}

/// Adds `states` to `known`, expanding each macro after its name.
fn fill<'f>(
    states: &'f States,
    macros: &HashMap<&[u8], &'f States>,
    known: &mut HashMap<&'f [u8], &'f State>,
) {
    let mut open = vec![states.iter().rev()];
    while let Some(states) = open.last_mut() {
        let Some((name, state)) = states.next() else {
            open.pop();
            continue;
        };
        if known.contains_key(name.as_slice()) {
            continue;
        }
        known.insert(name, state);
        if *state == State::Set
            && let Some(meant) = macros.get(name.as_slice())
        {
            open.push(meant.iter().rev());
        }
    }
}

/// The directory, without a slash, of the attribute file `path`; `None` if `path` is not an
/// attribute file.
pub(super) fn directory(path: &str) -> Option<String> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    (name == FILE).then(|| dir.to_owned())
}

/// The error for a file that exists but cannot be read.
struct Unreadable;

/// The content of the attribute file `path`; `None` where git reads nothing from it. Follows
/// symbolic links only if `follows`, which is not so in the work tree.
fn bytes(path: &Path, follows: bool) -> std::result::Result<Option<Vec<u8>>, Unreadable> {
    let found = if follows { path.metadata() } else { path.symlink_metadata() };
    let found = match found {
        Ok(found) => found,
        Err(error) if files::is_absent(&error) => return Ok(None),
        Err(_) => return Err(Unreadable),
    };
    if found.is_symlink() || found.is_file() && found.len() >= LARGE {
        return Ok(None);
    }
    if found.is_dir() {
        return Ok(Some(Vec::new()));
    }
    if !found.is_file() {
        return Err(Unreadable);
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LARGE).read_to_end(&mut bytes));
    read.map(|_| Some(bytes)).map_err(|_| Unreadable)
}

/// Whether a state is, or may expand to, a git-crypt filter.
fn names_git_crypt((name, state): &(Vec<u8>, State)) -> bool {
    match state {
        State::Value(value) => name == FILTER && value.starts_with(git_crypt::FILTER.as_bytes()),
        // The name may be a macro, whose definition counts instead.
        _ => false,
    }
}

/// Whether `name` is a git-crypt filter. Key names follow the rules for file names (git-crypt's
/// `validate_key_name`).
fn is_filter(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let key = name
        .strip_prefix("git-crypt-")
        .map(|key| (1..=128).contains(&key.len()) && key.bytes().all(plain));
    key.unwrap_or(name == git_crypt::FILTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_git_cannot_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let git = Repository::init(dir.path()).unwrap();
        let set = |value| git.config().unwrap().set_str("core.ignorecase", value).unwrap();
        set("true");
        assert!(Attributes::of(&git).unwrap().folds);
        set("perhaps");
        assert!(Attributes::of(&git).is_err());
        git.config().unwrap().remove("core.ignorecase").unwrap();
        assert!(!Attributes::of(&git).unwrap().folds);
    }
}
