//! The token is in the plaintext Secret file and nowhere else: in no output, file, name, object,
//! argument or variable, after every success and every failure.

use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A sandbox without the token's file, so that no file may contain the token.
fn bare() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.path("token")).unwrap();
    sandbox
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            walk(&path, found);
        }
        found.push(path);
    }
}

/// Fails if anything in the sandbox except for the plaintext Secret, with mode 0600, contains the
/// token.
#[track_caller]
fn nothing_holds_the_token(sandbox: &Sandbox) {
    let mut found = Vec::new();
    walk(&sandbox.path(""), &mut found);
    assert!(found.len() >= 2);
    for path in &found {
        assert_no_token(path.as_os_str().as_bytes(), "a name");
        if !path.is_file() || path.is_symlink() {
            continue;
        }
        let bytes = fs::read(path).unwrap();
        if path.ends_with(SECRET) && !bytes.starts_with(b"\0GITCRYPT") {
            assert_eq!(mode(path), 0o600, "{}", path.display());
        } else {
            assert_no_token(&bytes, &path.display().to_string());
        }
    }
    for git in found.iter().filter(|path| path.ends_with(".git")) {
        let dir = git.parent().unwrap();
        // A run that was killed early left no repository yet.
        if sandbox.run("git", &["rev-parse", "--git-dir"]).cwd(dir).output().code == Some(0) {
            assert_no_token(&all_objects(sandbox, dir), "a git object");
        }
    }
}

#[track_caller]
fn silent(output: &Output) {
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
}

fn new(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox
        .makeinfra(
            &[
                &["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-stdin"][..],
                args,
            ]
            .concat(),
        )
        .stdin(TOKEN)
}

#[test]
fn the_search_would_find_it() {
    let sandbox = bare();
    new(&sandbox, &[]).success();
    nothing_holds_the_token(&sandbox);
    let secret = fs::read(sandbox.hello(SECRET)).unwrap();
    let found = |text: &[u8]| {
        needles(TOKEN)
            .iter()
            .any(|needle| text.windows(needle.len()).any(|part| part == needle.as_bytes()))
    };
    assert!(found(&secret));
    // Stored as git would store it without a filter.
    sandbox.git(&["hash-object", "-w", "--no-filters", SECRET]).success();
    assert!(found(&all_objects(&sandbox, &sandbox.work("hello-infra"))));
}

#[test]
fn it_is_nowhere_after_success_of_every_kind() {
    let kinds: [&[&str]; 10] = [
        &[],
        &["--json"],
        &["--no-commit"],
        &["--no-git"],
        &["--no-git", "--json"],
        &["--dry-run"],
        &["--dry-run", "--json"],
        &["--export-key", "key"],
        &["--secret-type", "dockerconfigjson", "--email", "a@b.c", "--expires-at", "2020-01-01"],
        &["--ingress", "hello.example.com", "--health-path", "/", "--pod-security", "baseline"],
    ];
    for args in kinds {
        let sandbox = bare();
        silent(&new(&sandbox, args).success());
        nothing_holds_the_token(&sandbox);
        assert_eq!(sandbox.hello(SECRET).exists(), !args.contains(&"--dry-run"));
    }
}

#[test]
fn git_shows_no_trace_of_it() {
    let sandbox = bare();
    new(&sandbox, &[]).success();
    for args in [
        &["log", "-p", "--all", "--no-textconv"][..],
        &["show", "--no-textconv", "HEAD"],
        &["reflog"],
        &["config", "--list"],
        &["fsck", "--lost-found", "--full"],
    ] {
        let output = sandbox.git(args).success();
        assert_no_token(&output.bytes, &format!("git {args:?}"));
    }
    let record = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    assert!(!record.contains("token") || record.contains("no secret"), "{record}");
    assert!(!record.contains(USER), "{record}");
}

#[test]
fn it_is_nowhere_after_a_failure() {
    let cases: [(&[&str], i32); 8] = [
        (&["--output", "nowhere"], 1),
        (&["--output", "/sys"], 1),
        (&["--export-key", "hello-infra/key"], 2),
        (&["--export-key", "nowhere/key"], 1),
        (&["--registry", "registry.example.com"], 2),
        (&["--port", "0"], 2),
        (&["--expires-at", TOKEN], 2),
        (&["--namespace", TOKEN], 2),
    ];
    for (args, code) in cases {
        let sandbox = bare();
        new(&sandbox, args).failure(code);
        nothing_holds_the_token(&sandbox);
        assert!(!sandbox.hello("").exists());
    }
    let sandbox = bare();
    sandbox.write("work/hello-infra/mine", "x");
    new(&sandbox, &[]).failure(1).says("not empty");
    nothing_holds_the_token(&sandbox);
    for (end, code) in [(" more", 2), ("\n\n", 2)] {
        new(&sandbox, &["--output", ".."]).stdin(format!("{TOKEN}{end}")).failure(code);
        nothing_holds_the_token(&sandbox);
    }
    // An unreadable git configuration.
    let sandbox = bare();
    sandbox.write("home/.gitconfig", "[user\nname =\n");
    silent(&new(&sandbox, &[]).output());
    nothing_holds_the_token(&sandbox);
    // Standard output that cannot be written.
    if Path::new("/dev/full").exists() {
        let sandbox = bare();
        let run = new(&sandbox, &[]).command();
        let shell = "exec \"$0\" \"$@\" >/dev/full";
        let args: Vec<_> = run.get_args().map(|arg| arg.to_str().unwrap()).collect();
        let run = sandbox
            .run("sh", &[&["-c", shell, env!("CARGO_BIN_EXE_makeinfra")], &args[..]].concat());
        run.stdin(TOKEN).failure(1).says("error: cannot write to standard output");
        nothing_holds_the_token(&sandbox);
    }
}

#[test]
fn what_a_docker_config_or_its_helper_says_is_kept_to_ourselves() {
    let host = "registry.gitlab.com";
    let auth = STANDARD.encode(format!("{USER}:{TOKEN}"));
    for config in [
        format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"{auth}\"}}}}}}"),
        format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"{auth}\""),
        format!("{{\"auths\":{{\"{host}\":{{\"auth\":[\"{auth}\"]}}}}}}"),
        format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"x{auth}\"}}}}}}"),
        format!("{{\"auths\":{{\"{host}\":{{\"identitytoken\":\"{TOKEN}\"}}}}}}"),
        format!("{{\"auths\":{{\"other\":{{\"auth\":\"{auth}\"}}}}}}"),
        format!("{{\"credsStore\":\"{TOKEN}\"}}"),
        "{\"credsStore\":\"good\"}".to_owned(),
        "{\"credsStore\":\"bad\"}".to_owned(),
    ] {
        let sandbox = bare();
        let answer = json!({"ServerURL": host, "Username": USER, "Secret": TOKEN});
        let seen = sandbox.path("seen").display().to_string();
        let look = format!(
            "{{ cat; env; tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' ' ' </proc/$PPID/cmdline; }} >{seen}"
        );
        sandbox.write_program(
            "docker-credential-good",
            &format!("#!/bin/sh\n{look}\ncat {}\n", sandbox.path("answer").display()),
        );
        sandbox.write_program(
            "docker-credential-bad",
            &format!(
                "#!/bin/sh\n{look}\ncat {0}; cat {0} >&2; exit 1\n",
                sandbox.path("answer").display()
            ),
        );
        let (answer, file) = (
            sandbox.write_private("answer", answer.to_string()),
            sandbox.write_private("config.json", &config),
        );
        let from = format!("--from-docker-config={}", file.display());
        let run = sandbox
            .makeinfra(&["new", "hello", "--image", IMAGE, &from])
            .env("PATH", sandbox.own_path());
        let output = run.output();
        if !config.contains(&format!("\"credsStore\":\"{TOKEN}\"")) {
            silent(&output);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), config);
        fs::remove_file(file).unwrap();
        fs::remove_file(answer).unwrap();
        nothing_holds_the_token(&sandbox);
    }
}

#[test]
fn no_process_shows_it() {
    for source in [&["--token-username", USER, "--token-stdin"][..], &["--token-json", "-"]] {
        let sandbox = bare();
        let args = [&["new", "hello", "--image", IMAGE][..], source].concat();
        let mut command = sandbox.makeinfra(&args).command();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let text = match source[0] {
            "--token-json" => json!({"username": USER, "token": TOKEN}).to_string(),
            _ => TOKEN.to_owned(),
        };
        // It has read the token and waits for more input.
        child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        sleep(Duration::from_millis(50));
        for file in ["cmdline", "environ", "comm"] {
            let bytes = fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
            assert!(!bytes.is_empty());
            assert_no_token(&bytes, file);
        }
        assert!(child.try_wait().unwrap().is_none());
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        nothing_holds_the_token(&sandbox);
    }
}

/// Repeatedly stops a run in the middle, examines everything that exists, and kills it.
#[test]
fn at_no_time_can_others_read_it() {
    let mut seen = 0;
    for round in 0..40 {
        let sandbox = Sandbox::new();
        let token = sandbox.path("token").display().to_string();
        let args = [
            "-c",
            "umask 0; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_makeinfra"),
            "new",
            "hello",
            "--image",
            IMAGE,
        ];
        let source = ["--token-username", USER, "--token-file", &token];
        let mut command = sandbox.run("sh", &[&args[..], &source].concat()).command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let work = sandbox.path("work");
        let begin = Instant::now();
        let secret = || {
            let entries = fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|dir| dir.join(SECRET)).find(|file| file.exists())
        };
        while secret().is_none() && begin.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_micros(20));
        }
        sleep(Duration::from_micros(100 * round));
        let _ = std::process::Command::new("sh")
            .args(["-c", &format!("kill -s STOP {}", child.id())])
            .output();
        if let Some(file) = secret() {
            seen += 1;
            assert_eq!(mode(&file), 0o600);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        fs::remove_file(token).unwrap();
        nothing_holds_the_token(&sandbox);
        let key = |dir: PathBuf| dir.join(".git/git-crypt/keys/default");
        for entry in fs::read_dir(&work).unwrap() {
            let key = key(entry.unwrap().path());
            assert!(!key.exists() || mode(&key) == 0o600);
        }
    }
    assert!(seen > 20, "the Secret was seen {seen} times");
}

#[test]
fn it_is_nowhere_after_a_full_disk() {
    let sandbox = bare();
    let disk = sandbox.path("disk");
    fs::create_dir(&disk).unwrap();
    for size in (16..).step_by(16) {
        let options = format!("size={size}k");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&disk)
            .output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            eprintln!("SKIPPED: a small disk cannot be mounted here: run as root");
            return;
        }
        let output = new(&sandbox, &["--output", disk.to_str().unwrap()]).output();
        let checked = std::panic::catch_unwind(|| {
            silent(&output);
            nothing_holds_the_token(&sandbox);
        });
        let _ = std::process::Command::new("umount").arg(&disk).output();
        checked.unwrap();
        if output.code == Some(0) {
            return;
        }
    }
}
