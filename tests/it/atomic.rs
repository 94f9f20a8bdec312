//! All or nothing: whatever stops `new`, at any time, the target is absent or complete.

use super::support::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// `new` with `args`, ready to be started.
fn new(sandbox: &Sandbox, args: &[&str]) -> Run {
    let token = sandbox.path("token").display().to_string();
    // No core files.
    let shell = ["-c", "ulimit -c 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_makeinfra")];
    let base = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", &token];
    sandbox.run("sh", &[&shell[..], &base, args].concat())
}

fn start(run: Run) -> Child {
    run.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let kill = std::process::Command::new("sh")
        .args(["-c", &format!("kill -s {name} {}", child.id())])
        .output();
    assert!(kill.unwrap().status.success() || name != "STOP");
}

/// The entries of `dir`, including hidden ones.
fn entries(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn siblings(dir: &Path) -> Vec<PathBuf> {
    entries(dir)
        .into_iter()
        .filter(|name| name.starts_with(".hello-infra.makeinfra-"))
        .map(|name| dir.join(name))
        .collect()
}

/// The files of a complete repository.
static ALL: OnceLock<Vec<String>> = OnceLock::new();

/// Whether the repository in `parent` is there; if it is, it must be complete.
#[track_caller]
fn is_made(sandbox: &Sandbox, parent: &Path) -> bool {
    let target = parent.join("hello-infra");
    if fs::symlink_metadata(&target).is_err() {
        return false;
    }
    let git = |args: &[&str]| sandbox.run("git", args).cwd(&target).success().stdout;
    git(&["fsck", "--strict"]);
    assert_eq!(git(&["status", "--porcelain"]), "");
    assert_eq!(
        &files_below(&target),
        ALL.get_or_init(|| files_below(&Sandbox::with_hello().work("hello-infra")))
    );
    assert_eq!(fs::read(target.join(".git/git-crypt/keys/default")).unwrap().len(), 148);
    true
}

/// How long a run takes here and now.
fn duration() -> Duration {
    let run = || {
        let sandbox = Sandbox::new();
        let begin = Instant::now();
        new(&sandbox, &["--export-key", "key"]).success();
        begin.elapsed()
    };
    // The others of these tests get in the way.
    run().min(run()).min(run())
}

/// Stops a run by the signal `name` after each of many delays, and checks what is left after each.
fn stopped_by(name: &str, rounds: u32, check: impl Fn(&Sandbox, ExitStatus, bool)) {
    let whole = duration();
    let mut stopped = 0;
    for round in 0..rounds {
        let sandbox = Sandbox::new();
        let mut child = start(new(&sandbox, &["--export-key", "key"]));
        if round % 2 == 0 {
            sleep(whole * round / rounds);
        } else {
            // The stretch that counts begins with the sibling.
            let begin = Instant::now();
            while siblings(&sandbox.path("work")).is_empty()
                && begin.elapsed() < whole * 3
                && child.try_wait().unwrap().is_none()
            {
                sleep(Duration::from_micros(50));
            }
            sleep(whole / 4 * round / rounds);
        }
        match name {
            "KILL" => child.kill().unwrap(),
            name => signal(&child, name),
        }
        let output = child.wait_with_output().unwrap();
        assert_no_token(&output.stderr, "stderr");
        let made = is_made(&sandbox, &sandbox.path("work"));
        stopped += u32::from(!made);
        check(&sandbox, output.status, made);
    }
    assert!(stopped > rounds / 10, "{stopped} of {rounds} runs were stopped in time");
}

/// After a signal that can be caught nothing is left, or everything is there.
fn leaves_nothing(name: &str, number: i32, rounds: u32) {
    stopped_by(name, rounds, |sandbox, status, made| {
        // Before anything was written, and after everything was, the signal ends the program as
        // usual.
        let expected = if made { status.success() } else { status.code() == Some(128 + number) };
        assert!(expected || status.signal() == Some(number), "{status}, made: {made}");
        let left = if made {
            BTreeSet::from(["hello-infra".to_owned(), "key".to_owned()])
        } else {
            BTreeSet::new()
        };
        assert_eq!(entries(&sandbox.path("work")), left, "{status}");
    });
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    leaves_nothing("INT", 2, 60);
}

#[test]
fn sigterm_leaves_nothing_behind() {
    leaves_nothing("TERM", 15, 30);
}

#[test]
fn sigquit_leaves_nothing_behind() {
    leaves_nothing("QUIT", 3, 30);
}

#[test]
fn sighup_leaves_nothing_behind() {
    leaves_nothing("HUP", 1, 30);
}

#[test]
fn sigkill_leaves_at_most_a_sibling_which_the_next_run_names_and_removes() {
    stopped_by("KILL", 60, |sandbox, _, _| {
        let work = sandbox.path("work");
        let left = siblings(&work);
        for sibling in &left {
            // Only its owner can look into it, until it is complete.
            let complete = sibling.join(".git/logs/HEAD").exists();
            assert!(complete || mode(sibling) == 0o700, "{}", sibling.display());
        }
        if !left.is_empty() {
            assert!(!work.join("key").exists());
            let output = new(sandbox, &["--export-key", "key"]).success();
            for sibling in &left {
                let name = sibling.file_name().unwrap().to_str().unwrap();
                output.says("removed ").says(name);
            }
            assert_eq!(
                entries(&work),
                BTreeSet::from(["hello-infra".to_owned(), "key".to_owned()])
            );
            assert!(is_made(sandbox, &work));
        }
    });
}

#[test]
fn what_is_killed_before_the_repository_is_there_leaves_no_key() {
    if !have("strace") {
        return;
    }
    let mut stopped = 0;
    for number in 1..=8 {
        let sandbox = Sandbox::new();
        let work = sandbox.path("work");
        let args = ["--export-key", "key"];
        let output =
            new(&sandbox, &args).traced(&format!("inject=?rename:signal=SIGKILL:when={number}"));
        if output.code.is_some() {
            break;
        }
        assert!(!work.join("key").exists(), "{number}");
        if !is_made(&sandbox, &work) {
            stopped +=
                u32::from(entries(&work).iter().any(|name| name.starts_with(".key.makeinfra-")));
            new(&sandbox, &args).success();
            assert_eq!(
                entries(&work),
                BTreeSet::from(["hello-infra".to_owned(), "key".to_owned()])
            );
            assert_eq!(mode(&work.join("key")), 0o600);
        }
    }
    assert!(stopped > 0, "no run was killed while it had a key to export");
}

#[test]
fn the_sibling_of_a_run_at_work_is_left_alone() {
    let sandbox = Sandbox::new();
    let work = sandbox.path("work");
    sandbox.write("work/.hello-infra.makeinfra-abcdef012345/Makefile", "");
    // A run at work holds a lock on its sibling, which ends with it.
    let running = fs::File::open(work.join(".hello-infra.makeinfra-abcdef012345")).unwrap();
    running.lock().unwrap();
    assert_eq!(new(&sandbox, &[]).success().stderr, "");
    assert!(siblings(&work)[0].join("Makefile").exists());
    fs::remove_dir_all(work.join("hello-infra")).unwrap();
    // Not dropped: a process that another test is just starting has the file open, too, for a
    // moment.
    running.unlock().unwrap();
    new(&sandbox, &[]).success().says("removed ");
    assert!(siblings(&work).is_empty());
}

#[test]
fn of_runs_at_the_same_time_exactly_one_wins() {
    for _ in 0..10 {
        let sandbox = Sandbox::new();
        // A leftover that they all want to remove.
        sandbox.write("work/.hello-infra.makeinfra-abcdef012345/Makefile", "");
        let runs: Vec<_> = (0..4)
            .map(|number| start(new(&sandbox, &["--export-key", &format!("key{number}")])))
            .collect();
        let mut winners = Vec::new();
        for (number, run) in runs.into_iter().enumerate() {
            let output = run.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            match output.status.code() {
                Some(0) => winners.push(number),
                code => assert!(
                    code == Some(1)
                        && said.matches("error: ").count() == 1
                        && !said.contains("panicked"),
                    "{said}"
                ),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let work = sandbox.path("work");
        let key = format!("key{}", winners[0]);
        assert_eq!(entries(&work), BTreeSet::from(["hello-infra".to_owned(), key.clone()]));
        assert!(is_made(&sandbox, &work));
        assert_eq!(
            fs::read(work.join(key)).unwrap(),
            fs::read(work.join("hello-infra/.git/git-crypt/keys/default")).unwrap()
        );
    }
}

/// A small file system, gone at the end.
pub struct Disk(PathBuf);

impl Disk {
    /// None where one may not mount.
    pub fn mount(dir: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir)
            .output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self(dir.to_owned()));
        }
        eprintln!("SKIPPED: a small disk cannot be mounted here: run as root");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).output();
    }
}

/// Runs `new` on disks that grow by `step` until it works.
fn on_growing_disks(option: &str, first: usize, step: usize) {
    let sandbox = Sandbox::new();
    let dir = sandbox.path("disk");
    let mut failures = 0;
    for size in (first..).step_by(step) {
        let Some(_disk) =
            Disk::mount(&dir, &format!("mode=755,{}", option.replace('#', &size.to_string())))
        else {
            return;
        };
        let shown = dir.display().to_string();
        let key = dir.join("key").display().to_string();
        let output = new(&sandbox, &["--output", &shown, "--export-key", &key]).output();
        assert_no_token(output.stderr.as_bytes(), "stderr");
        if output.code == Some(0) {
            assert!(is_made(&sandbox, &dir));
            break;
        }
        failures += 1;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert_eq!(output.stderr.matches("error: ").count(), 1, "{}", output.stderr);
        assert_eq!(entries(&dir), BTreeSet::new(), "with {size}: {}", output.stderr);
        assert!(size < 1000 * step, "it never works");
    }
    assert!(failures > 10, "only {failures} disks were too small");
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    on_growing_disks("size=#k", 4, 4);
}

#[test]
fn a_disk_without_inodes_leaves_nothing_behind() {
    on_growing_disks("size=4m,nr_inodes=#", 2, 1);
}

#[test]
fn a_full_disk_for_the_key_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let Some(_disk) = Disk::mount(&sandbox.path("disk"), "size=4m,nr_inodes=1") else { return };
    let key = sandbox.path("disk/key").display().to_string();
    new(&sandbox, &["--export-key", &key]).failure(1).says("error: cannot write").says("df -h");
    assert!(entries(&sandbox.path("work")).is_empty());
}

#[test]
fn a_file_size_limit_leaves_nothing_behind() {
    let program = env!("CARGO_BIN_EXE_makeinfra");
    for blocks in 0..12 {
        let sandbox = Sandbox::new();
        let script = format!(
            "ulimit -f {blocks}; \"$0\" new hello --image {IMAGE} --no-token --export-key key"
        );
        let output = sandbox.run("sh", &["-c", &script, program]).output();
        let made = is_made(&sandbox, &sandbox.path("work"));
        assert_eq!(output.code == Some(0), made, "{}", output.stderr);
        assert_eq!(
            entries(&sandbox.path("work")).len(),
            if made { 2 } else { 0 },
            "{}",
            output.stderr
        );
        assert!(blocks > 0 || output.stderr.contains("error: cannot "), "{}", output.stderr);
    }
}

#[test]
fn a_disk_that_is_read_only_is_refused() {
    let sandbox = Sandbox::new();
    let Some(_disk) = Disk::mount(&sandbox.path("disk"), "size=4m,ro") else { return };
    let disk = sandbox.path("disk").display().to_string();
    new(&sandbox, &["--output", &disk])
        .failure(1)
        .says(&format!("cannot write to directory `{disk}`"))
        .says("ls -ld ");
}

#[test]
fn a_directory_of_someone_else_is_refused() {
    let sandbox = Sandbox::new();
    fs::set_permissions(sandbox.path("work"), fs::Permissions::from_mode(0o555)).unwrap();
    let root = fs::write(sandbox.work("probe"), "").is_ok();
    let _ = fs::remove_file(sandbox.work("probe"));
    let args = ["new", "hello", "--image", IMAGE, "--no-token"];
    let run = if root {
        // Root may write everywhere: nobody may not.
        if !have("setpriv") {
            return;
        }
        for dir in ["", "home"] {
            fs::set_permissions(sandbox.path(dir), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let program = ["--reuid=65534", "--clear-groups", env!("CARGO_BIN_EXE_makeinfra")];
        sandbox.run("setpriv", &[&program[..], &args].concat())
    } else {
        sandbox.makeinfra(&args)
    };
    run.failure(1)
        .says("cannot write to directory")
        .says("Permission denied")
        .says("hint: ls -ld ");
    assert!(entries(&sandbox.path("work")).is_empty());
    fs::set_permissions(sandbox.path("work"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_target_that_appears_in_the_meantime_is_not_overwritten() {
    // The token is awaited after the target was looked at, and before it is made.
    use std::io::Write;
    for directory in [true, false] {
        let sandbox = Sandbox::new();
        let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-stdin"];
        let mut command = sandbox.makeinfra(&args).command();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        sleep(duration());
        match directory {
            true => drop(sandbox.write("work/hello-infra/mine", "mine")),
            false => drop(sandbox.write("work/hello-infra", "mine")),
        }
        child.stdin.take().unwrap().write_all(TOKEN.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot create"), "{said}");
        let file = if directory { "hello-infra/mine" } else { "hello-infra" };
        assert_eq!(files_below(&sandbox.path("work")), [file]);
        assert_eq!(fs::read_to_string(sandbox.work(file)).unwrap(), "mine");
    }
}

#[test]
fn a_directory_that_cannot_be_closed_is_no_panic() {
    if !have("strace") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    let log = sandbox.path("trace").display().to_string();
    for args in [
        &["check"][..],
        &["secret", "list"],
        &["rotate", "--dry-run"],
        &["env", "list"],
        &["add", "b", "--port", "none", "--yes"],
    ] {
        let command = sandbox.makeinfra(args).cwd(sandbox.hello("")).command();
        let mut strace = std::process::Command::new("strace");
        strace
            .args(["-f", "-qq", "-o", &log, "-e", "inject=close:error=EIO"])
            .arg(command.get_program());
        strace.args(command.get_args()).current_dir(sandbox.hello("")).env_clear();
        strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = super::support::Run::of(strace).output();
        assert!(!output.stderr.contains("panicked"), "{args:?}: {}", output.stderr);
        assert!(fs::read_to_string(&log).unwrap().contains("(INJECTED)"), "{args:?}");
    }
}
