//! System calls that fail, or at which the command is killed: each one alone, each one and all
//! after it, and a second one while the command reverts its changes.

use super::super::support::{Output, Run, have};
use super::{Bed, case, some};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The calls that change files, each with the errors that it is given.
const CHANGES: [(&str, &[&str]); 19] = [
    ("openat", &["ENOSPC", "EIO", "EACCES", "EMFILE"]),
    ("write", &["ENOSPC", "EIO"]),
    ("pwrite64", &["ENOSPC", "EIO"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("rename", ALL),
    ("renameat", ALL),
    ("renameat2", ALL),
    ("link", ALL),
    ("linkat", ALL),
    ("unlink", &["EIO", "EACCES"]),
    ("unlinkat", &["EIO", "EACCES"]),
    ("mkdir", ALL),
    ("mkdirat", ALL),
    ("rmdir", &["EIO", "EACCES"]),
    ("chmod", &["EIO"]),
    ("fchmod", &["EIO"]),
    ("fchmodat", &["EIO"]),
    ("utimensat", &["EIO", "EACCES"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
];
const ALL: &[&str] = &["ENOSPC", "EIO", "EACCES"];
/// Calls that read. They fail once: what is not seen must not be taken for absent.
const LOOKS: [(&str, &[&str]); 9] = [
    ("read", &["EIO"]),
    ("flock", &["EIO"]),
    ("getdents64", &["EIO"]),
    ("stat", &["EIO"]),
    ("lstat", &["EACCES"]),
    ("fstat", &["EIO"]),
    ("newfstatat", &["EIO"]),
    ("statx", &["EACCES"]),
    ("access", &["EIO"]),
];

/// Runs the command under strace, and returns its output and its calls, without process ids.
pub fn traced(bed: &Bed, injected: &[String]) -> (Output, Vec<String>) {
    traced_run(bed.again(), &bed.sandbox.path("trace"), injected)
}

/// Like [`traced`], for any command, with a `log` of its own.
pub fn traced_run(run: Run, log: &Path, injected: &[String]) -> (Output, Vec<String>) {
    let inner = run.command();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(log);
    // Faster, and sends no signal (strace 6.1).
    if !injected.iter().any(|one| one.contains("signal=")) {
        command.arg("--seccomp-bpf");
    }
    let names: Vec<_> = CHANGES.iter().chain(&LOOKS).map(|(name, _)| *name).collect();
    command.args(["-e", &format!("trace=?{}", names.join(",?"))]);
    for one in injected {
        command.args(["-e", one]);
    }
    command.arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = Run::of(command).output();
    let log = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let calls =
        log.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start().to_owned()));
    (output, calls.filter(|call| call.split_once('(').is_some()).collect())
}

fn name(call: &str) -> &str {
    call.split('(').next().unwrap_or_default()
}

/// A call of a run.
pub struct Call {
    pub name: &'static str,
    /// Its number among the calls of the same name.
    pub number: usize,
    errors: &'static [&'static str],
    pub is_change: bool,
}

/// The calls from `first` on, except for output to the user.
pub fn numbered(calls: &[String], first: usize) -> Vec<Call> {
    let mut all = Vec::new();
    for (at, call) in calls.iter().enumerate().skip(first) {
        let is_known = |(known, _): &&(&str, &[&str])| *known == name(call);
        let change = CHANGES.iter().find(is_known);
        let Some((name, errors)) = change.or_else(|| LOOKS.iter().find(is_known)) else { continue };
        if call.starts_with("write(1,") || call.starts_with("write(2,") {
            continue;
        }
        let number = calls[..=at].iter().filter(|one| self::name(one) == *name).count();
        let is_change = change.is_some() && !call.contains("O_RDONLY");
        all.push(Call { name, number, errors, is_change });
    }
    all
}

/// The first call after those of the loader.
pub fn begin(bed: &Bed, calls: &[String]) -> usize {
    begin_at(&bed.sandbox.path(""), calls)
}

/// Like [`begin`], for a command that works below `place`.
pub fn begin_at(place: &Path, calls: &[String]) -> usize {
    let place = place.display().to_string();
    calls.iter().position(|call| call.contains(&place) || call.contains("\".\"")).unwrap()
}

/// All faults to inject at each call.
pub fn faults(calls: &[Call]) -> Vec<String> {
    let mut all = Vec::new();
    for Call { name, number, errors, is_change } in calls {
        if !is_change {
            all.push(format!(
                "inject={name}:error={}:when={number}",
                errors[number % errors.len()]
            ));
            continue;
        }
        all.push(format!("inject={name}:signal=SIGKILL:when={number}"));
        for error in *errors {
            all.push(format!("inject={name}:error={error}:when={number}"));
            all.push(format!("inject={name}:error={error}:when={number}+"));
        }
    }
    all
}

/// Expects that a killing fault has killed the command.
#[track_caller]
pub fn is_killed(fault: &str, output: &Output) {
    assert!(!fault.contains("SIGKILL") || output.code.is_none(), "{fault}: exit {:?}", output.code);
}

fn sweep(name: &'static str) {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(case(name));
    bed.reset();
    let (output, calls) = traced(&bed, &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let all = faults(&numbered(&calls, begin(&bed, &calls)));
    let mut tried = (0, 0);
    for fault in some(all, name.len()) {
        bed.reset();
        let (output, _) = traced(&bed, std::slice::from_ref(&fault));
        is_killed(&fault, &output);
        bed.judge(&fault, &output);
        tried.0 += 1;
    }
    for pair in some(seconds(&bed, &calls), name.len()) {
        bed.reset();
        let (output, _) = traced(&bed, &pair);
        bed.judge(&pair.join(" "), &output);
        tried.1 += 1;
    }
    eprintln!("{name}: {} faults, and {} pairs of them", tried.0, tried.1);
}

#[test]
fn a_directory_that_cannot_be_listed_is_not_empty() {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(case("env remove"));
    bed.reset();
    let (_, calls) = traced(&bed, &[]);
    let lists = calls.iter().filter(|call| name(call) == "getdents64").count();
    for number in 1..=lists {
        bed.reset();
        let fault = format!("inject=getdents64:error=EIO:when={number}");
        let (output, _) = traced(&bed, std::slice::from_ref(&fault));
        bed.judge(&fault, &output);
    }
}

#[test]
fn what_cannot_be_taken_back_is_moved_back_as_the_hint_says() {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(case("adopt"));
    bed.reset();
    let (_, calls) = traced(&bed, &[]);
    let times = calls.iter().filter(|call| name(call) == "utimensat").count();
    let mut hints = 0;
    for number in (1..=times).rev().take(4) {
        bed.reset();
        let first = format!("inject=utimensat:error=EIO:when={number}");
        let (_, after) = traced(&bed, std::slice::from_ref(&first));
        let Some(at) = after.iter().position(|call| call.contains("(INJECTED)")) else { continue };
        let before = after[..at].iter().filter(|call| name(call) == "renameat").count();
        let pair = [first, format!("inject=renameat:error=EIO:when={}+", before + 1)];
        bed.reset();
        let (output, _) = traced(&bed, &pair);
        hints += usize::from(output.stderr.contains("hint: mv "));
        bed.judge(&pair.join(" "), &output);
    }
    assert!(hints > 0);
}

/// Pairs of faults: at a call that changes something, and then at one that reverts it.
fn seconds(bed: &Bed, calls: &[String]) -> Vec<Vec<String>> {
    let is_change = |call: &Call| call.is_change;
    let firsts: Vec<_> = numbered(calls, begin(bed, calls)).into_iter().filter(is_change).collect();
    let mut all = Vec::new();
    // Another run shows what the command does after each fault; for every tenth one if not for all.
    for Call { name: call, number, .. } in some(firsts, 0) {
        bed.reset();
        let (_, after) = traced(bed, &[format!("inject={call}:error=EIO:when={number}")]);
        let Some(at) = after.iter().position(|call| call.contains("(INJECTED)")) else { continue };
        for Call { name: second, number: count, .. } in
            numbered(&after, at + 1).into_iter().filter(is_change)
        {
            if second == call {
                all.push(vec![format!(
                    "inject={call}:error=EIO:when={number}..{count}+{}",
                    count - number
                )]);
                continue;
            }
            for (effect, more) in [("error=EIO", ""), ("error=EIO", "+"), ("signal=SIGKILL", "")] {
                all.push(vec![
                    format!("inject={call}:error=EIO:when={number}"),
                    format!("inject={second}:{effect}:when={count}{more}"),
                ]);
            }
        }
    }
    all
}

#[test]
fn new() {
    sweep("new");
}

#[test]
fn add() {
    sweep("add");
}

#[test]
fn remove() {
    sweep("remove");
}

#[test]
fn env_add() {
    sweep("env add");
}

#[test]
fn env_remove() {
    sweep("env remove");
}

#[test]
fn rotate() {
    sweep("rotate");
}

#[test]
fn secret_set() {
    sweep("secret set");
}

#[test]
fn secret_unset() {
    sweep("secret unset");
}

#[test]
fn update() {
    sweep("update");
}

#[test]
fn adopt() {
    sweep("adopt");
}

#[test]
fn adopt_without_git_crypt() {
    sweep("adopt, without git-crypt");
}
