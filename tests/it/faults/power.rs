//! A power cut: the system calls of a run are replayed on a model of a disk up to each of them, and
//! everything that was not synced by then is present, absent or torn. After exit 0 nothing is lost,
//! and before that repeating the command finishes.
//!
//! The model promises no more than POSIX: the bytes of a file are on the disk once the file was
//! synced, and a name once its directory was. A rename within a directory is atomic.

use super::super::support::{Output, Run, have};
use super::{Bed, case, some};
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

const CALLS: &str = "?open,openat,?creat,read,lseek,write,pwrite64,writev,close,fsync,fdatasync,ftruncate,?rename,?renameat,\
                     renameat2,?link,linkat,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,chdir,?dup,fcntl";

/// Names with their nodes; `None` for a name that is removed.
type Change = Vec<(String, Option<usize>)>;

/// A file or a directory, in memory and on the disk.
#[derive(Clone)]
enum Node {
    File {
        bytes: Vec<u8>,
        synced: Vec<u8>,
        mode: u32,
    },
    Dir {
        names: BTreeMap<String, usize>,
        synced: BTreeMap<String, usize>,
        open: Vec<Change>,
        mode: u32,
    },
}

/// What a power cut leaves of unsynced changes.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// No name and no byte.
    Nothing,
    /// All names, and no byte.
    Names,
    /// All names, and half of the bytes.
    Torn,
    /// Some names, and some bytes.
    Some(u8),
}

const CUTS: [Cut; 6] =
    [Cut::Nothing, Cut::Names, Cut::Torn, Cut::Some(1), Cut::Some(2), Cut::Some(3)];

/// A disk used by one process.
struct Model {
    root: PathBuf,
    cwd: PathBuf,
    nodes: Vec<Node>,
    /// The open files, each with its node and offset.
    files: HashMap<i64, (usize, usize)>,
}

impl Model {
    /// The content of `root`, all of it synced.
    fn of(root: &Path, cwd: &Path) -> Self {
        let mut model = Self {
            root: root.to_owned(),
            cwd: cwd.to_owned(),
            nodes: Vec::new(),
            files: HashMap::new(),
        };
        model.read(root);
        model
    }

    fn read(&mut self, path: &Path) -> usize {
        let mode = fs::symlink_metadata(path).unwrap().mode() & 0o7777;
        let at = self.nodes.len();
        if path.is_dir() {
            self.nodes.push(Node::Dir {
                names: BTreeMap::new(),
                synced: BTreeMap::new(),
                open: Vec::new(),
                mode,
            });
            let mut all = BTreeMap::new();
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                all.insert(entry.file_name().into_string().unwrap(), self.read(&entry.path()));
            }
            if let Node::Dir { names, synced, .. } = &mut self.nodes[at] {
                (*names, *synced) = (all.clone(), all);
            }
        } else {
            let bytes = fs::read(path).unwrap();
            self.nodes.push(Node::File { synced: bytes.clone(), bytes, mode });
        }
        at
    }

    /// The directory of `path` and the name in it; `None` outside the model.
    fn place(&self, dir: &str, path: &str) -> Option<(usize, String)> {
        let base = dir.parse::<i64>().ok();
        let (mut at, rest) = match base {
            Some(fd) if !path.starts_with('/') => (self.files.get(&fd)?.0, PathBuf::from(path)),
            _ => (0, self.cwd.join(path).strip_prefix(&self.root).ok()?.to_owned()),
        };
        let mut parts: Vec<_> = rest
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name.to_str().unwrap().to_owned()),
                _ => None,
            })
            .collect();
        let last = parts.pop()?;
        for part in parts {
            at = self.entry(at, &part)?;
        }
        Some((at, last))
    }

    fn entry(&self, dir: usize, name: &str) -> Option<usize> {
        match &self.nodes[dir] {
            Node::Dir { names, .. } => names.get(name).copied(),
            Node::File { .. } => None,
        }
    }

    fn find(&self, dir: &str, path: &str) -> Option<usize> {
        if Path::new(path) == self.root {
            return Some(0);
        }
        let (dir, name) = self.place(dir, path)?;
        self.entry(dir, &name)
    }

    fn change(&mut self, dir: usize, change: Change) {
        let Node::Dir { names, open, .. } = &mut self.nodes[dir] else { panic!("no directory") };
        for (name, node) in &change {
            match node {
                Some(node) => drop(names.insert(name.clone(), *node)),
                None => drop(names.remove(name)),
            }
        }
        open.push(change);
    }

    fn write(&mut self, fd: i64, at: Option<usize>, data: &[u8]) {
        let Some((node, offset)) = self.files.get(&fd).copied() else { return };
        let Node::File { bytes, .. } = &mut self.nodes[node] else { return };
        let begin = at.unwrap_or(offset);
        bytes.resize(bytes.len().max(begin + data.len()), 0);
        bytes[begin..begin + data.len()].copy_from_slice(data);
        if at.is_none() {
            self.files.insert(fd, (node, begin + data.len()));
        }
    }

    /// Replays the call `name` with `args` and `result`. Returns whether it changed anything.
    fn play(&mut self, name: &str, args: &[String], result: i64) -> bool {
        if result < 0 {
            return false;
        }
        if name == "open" {
            return self.play("openat", &[&["AT_FDCWD".to_owned()][..], args].concat(), result);
        }
        let arg = |at: usize| args.get(at).map(String::as_str).unwrap_or_default();
        let fd = arg(0).parse().unwrap_or(-1);
        match name {
            "openat" => {
                let flags = arg(2);
                let Some((dir, file)) = self.place(arg(0), arg(1)) else {
                    if let Some(node) = self.find(arg(0), arg(1)) {
                        self.files.insert(result, (node, 0));
                    }
                    return false;
                };
                let known = self.entry(dir, &file);
                let node = known.unwrap_or_else(|| {
                    let mode = u32::from_str_radix(arg(3), 8).unwrap_or(0o644) & !0o022;
                    self.nodes.push(Node::File { bytes: Vec::new(), synced: Vec::new(), mode });
                    let node = self.nodes.len() - 1;
                    self.change(dir, vec![(file.clone(), Some(node))]);
                    node
                });
                let mut offset = 0;
                if let Node::File { bytes, .. } = &mut self.nodes[node] {
                    if flags.contains("O_TRUNC") {
                        bytes.clear();
                    }
                    if flags.contains("O_APPEND") {
                        offset = bytes.len();
                    }
                }
                self.files.insert(result, (node, offset));
                known.is_none() || flags.contains("O_TRUNC")
            }
            "close" => {
                self.files.remove(&fd);
                false
            }
            "read" => {
                if let Some((_, offset)) = self.files.get_mut(&fd) {
                    *offset += usize::try_from(result).unwrap();
                }
                false
            }
            "lseek" => {
                if let Some((_, offset)) = self.files.get_mut(&fd) {
                    *offset = usize::try_from(result).unwrap();
                }
                false
            }
            "write" | "pwrite64" => {
                let at = (name == "pwrite64").then(|| arg(3).parse().unwrap());
                let written = usize::try_from(result).unwrap();
                self.write(fd, at, &bytes_of(arg(1))[..written]);
                self.files.contains_key(&fd)
            }
            "fsync" | "fdatasync" => {
                match self.files.get(&fd).map(|(node, _)| &mut self.nodes[*node]) {
                    Some(Node::File { bytes, synced, .. }) => {
                        synced.clone_from(bytes);
                        true
                    }
                    Some(Node::Dir { names, synced, open, .. }) => {
                        synced.clone_from(names);
                        open.clear();
                        true
                    }
                    None => false,
                }
            }
            "ftruncate" => {
                let length = arg(1).parse().unwrap();
                match self.files.get(&fd).map(|(node, _)| &mut self.nodes[*node]) {
                    Some(Node::File { bytes, .. }) => bytes.resize(length, 0),
                    _ => return false,
                }
                true
            }
            "rename" => self.rename(["", arg(0)], ["", arg(1)]),
            "renameat" | "renameat2" => self.rename([arg(0), arg(1)], [arg(2), arg(3)]),
            "link" => self.link(["", arg(0)], ["", arg(1)]),
            "linkat" => self.link([arg(0), arg(1)], [arg(2), arg(3)]),
            "unlink" | "rmdir" => self.unlink("", arg(0)),
            "unlinkat" => self.unlink(arg(0), arg(1)),
            "mkdir" => self.mkdir("", arg(0), arg(1)),
            "mkdirat" => self.mkdir(arg(0), arg(1), arg(2)),
            "fcntl" if arg(1).starts_with("F_DUPFD") => {
                if let Some(found) = self.files.get(&fd).copied() {
                    self.files.insert(result, found);
                }
                false
            }
            "fcntl" => false,
            other => panic!("the model has no `{other}`"),
        }
    }

    fn rename(&mut self, [from_dir, from]: [&str; 2], [to_dir, to]: [&str; 2]) -> bool {
        let (Some((from, old)), Some((to, new))) =
            (self.place(from_dir, from), self.place(to_dir, to))
        else {
            return false;
        };
        let node = self.entry(from, &old).unwrap();
        if from == to {
            self.change(from, vec![(old, None), (new, Some(node))]);
        } else {
            self.change(to, vec![(new, Some(node))]);
            self.change(from, vec![(old, None)]);
        }
        true
    }

    fn link(&mut self, [from_dir, from]: [&str; 2], [to_dir, to]: [&str; 2]) -> bool {
        let (Some(node), Some((dir, name))) = (self.find(from_dir, from), self.place(to_dir, to))
        else {
            return false;
        };
        self.change(dir, vec![(name, Some(node))]);
        true
    }

    fn unlink(&mut self, dir: &str, path: &str) -> bool {
        let Some((dir, name)) = self.place(dir, path) else { return false };
        self.change(dir, vec![(name, None)]);
        true
    }

    fn mkdir(&mut self, dir: &str, path: &str, mode: &str) -> bool {
        let Some((dir, name)) = self.place(dir, path) else { return false };
        let mode = u32::from_str_radix(mode, 8).unwrap() & !0o022;
        self.nodes.push(Node::Dir {
            names: BTreeMap::new(),
            synced: BTreeMap::new(),
            open: Vec::new(),
            mode,
        });
        let node = self.nodes.len() - 1;
        self.change(dir, vec![(name, Some(node))]);
        true
    }

    /// Writes what `cut` leaves to `at`.
    fn leave(&self, node: usize, at: &Path, cut: Cut, random: &mut TestRng) {
        use proptest::prelude::Rng as _;
        let mut flip = |likely: bool| match cut {
            Cut::Nothing => false,
            Cut::Names | Cut::Torn => likely,
            Cut::Some(_) => random.next_u32().is_multiple_of(2),
        };
        match &self.nodes[node] {
            Node::File { bytes, synced, mode } => {
                let found = match cut {
                    _ if bytes == synced => &bytes[..],
                    Cut::Torn => &bytes[..bytes.len() / 2],
                    Cut::Some(_) if flip(true) => &bytes[..],
                    Cut::Some(_) if flip(true) => &[],
                    _ => &synced[..],
                };
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(*mode).open(at).unwrap();
                file.write_all(found).unwrap();
            }
            Node::Dir { synced, open, mode, .. } => {
                if !at.exists() {
                    DirBuilder::new().mode(*mode).create(at).unwrap();
                }
                let mut names = synced.clone();
                for change in open.iter().filter(|_| flip(true)) {
                    for (name, node) in change {
                        match node {
                            Some(node) => drop(names.insert(name.clone(), *node)),
                            None => drop(names.remove(name)),
                        }
                    }
                }
                for (name, node) in names {
                    self.leave(node, &at.join(name), cut, random);
                }
            }
        }
    }
}

/// The bytes of a string in the output of `strace -xx`.
fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect()
}

/// Parses a line of strace: the call, its arguments with each byte of a string as a character, and
/// the result.
fn parsed(line: &str) -> Option<(String, Vec<String>, i64)> {
    let line = line.split_once(' ')?.1.trim_start();
    let (name, rest) = line.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    let result = result.split_whitespace().next()?.parse().ok()?;
    let arg = |text: &str| {
        let text = text.trim();
        match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(hex) => hex
                .split("\\x")
                .skip(1)
                .map(|pair| char::from(u8::from_str_radix(pair, 16).unwrap()))
                .collect(),
            None => text.to_owned(),
        }
    };
    Some((name.to_owned(), args.split(", ").map(arg).collect(), result))
}

fn survives(name: &'static str) {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(case(name));
    bed.reset();
    let (root, log) = (bed.sandbox.work(""), bed.sandbox.path("trace"));
    let root: PathBuf = root.components().collect();
    let inner = bed.again().command();
    let cwd: PathBuf = inner.get_current_dir().unwrap().components().collect();
    let mut model = Model::of(&root, &cwd);
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-xx", "-s", "4194304", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(&log);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(&cwd).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = Run::of(command).success();
    let text = fs::read_to_string(&log).unwrap();
    let calls: Vec<_> = text.lines().filter_map(parsed).collect();
    let last = calls.len();
    let mut tried = Vec::new();
    for (at, (name, args, result)) in calls.iter().enumerate() {
        if model.play(name, args, *result) {
            tried.extend(CUTS.map(|cut| (at, cut)));
        }
    }
    // The final content of the model equals the run's result.
    let all = CUTS.map(|cut| (last, cut));
    let mut model = Model::of(&bed.sandbox.path("work-pristine"), &PathBuf::new());
    (model.root, model.cwd) = (root.clone(), cwd);
    let mut next = 0;
    let points: Vec<_> = some(tried, name.len()).chain(all).collect();
    for (at, cut) in &points {
        while next < last && next <= *at {
            let (name, args, result) = &calls[next];
            model.play(name, args, *result);
            next += 1;
        }
        let seed = [
            u8::try_from(at % 251).unwrap(),
            if let Cut::Some(number) = cut { *number } else { 0 },
        ];
        let mut random =
            TestRng::from_seed(RngAlgorithm::ChaCha, &[seed, seed, seed, seed].concat().repeat(4));
        empty(&root);
        model.leave(0, &root, *cut, &mut random);
        let call = calls.get(*at).map(|(name, args, _)| {
            format!("{name} {}", args.join(" ").chars().take(300).collect::<String>())
        });
        let what = format!("power cut after call {at}: {call:?}, {cut:?}");
        let left = if *at == last {
            Output {
                code: Some(0),
                stdout: output.stdout.clone(),
                stderr: String::new(),
                bytes: Vec::new(),
            }
        } else {
            Output { code: None, stdout: String::new(), stderr: String::new(), bytes: Vec::new() }
        };
        bed.judge(&what, &left);
    }
    eprintln!("{name}: {} power cuts", points.len());
}

fn empty(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn rotate() {
    survives("rotate");
}

#[test]
fn secret_set() {
    survives("secret set");
}

#[test]
fn secret_unset() {
    survives("secret unset");
}

#[test]
fn update() {
    survives("update");
}

#[test]
fn add() {
    survives("add");
}

#[test]
fn remove() {
    survives("remove");
}

#[test]
fn env_add() {
    survives("env add");
}

#[test]
fn env_remove() {
    survives("env remove");
}

#[test]
fn adopt() {
    survives("adopt");
}
