//! `makeinfra secret set`: one value of a further Secret, encrypted, and nothing else changed.

use super::support::{
    Run, SECRET, Sandbox, TOKEN, all_objects, assert_no_token, files_below, have, mode, needles,
};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};

const FILE: &str = "secrets/kubernetes/db.secret.yaml";

/// `makeinfra secret set db PASSWORD`, in the generated repository, with [`TOKEN`] for the value.
fn set(sandbox: &Sandbox, args: &[&str]) -> Run {
    let args = [&["secret", "set", "db", "PASSWORD", "--stdin"], args].concat();
    sandbox.makeinfra(&args).cwd(sandbox.hello("")).stdin(TOKEN)
}

fn text(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello(FILE)).unwrap()
}

fn holds_the_value(text: &str) -> bool {
    needles(TOKEN).iter().any(|needle| text.contains(needle))
}

/// Every file, but git's own.
fn tree(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let top = sandbox.hello("");
    let read = |file: String| {
        let path = top.join(&file);
        let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        (file, bytes)
    };
    files_below(&top).into_iter().map(read).collect()
}

/// Expects that a value for the Secret is refused with these words, unseen, and that nothing is written.
#[track_caller]
fn refused(sandbox: &Sandbox, args: &[&str], code: i32, words: &[&str]) {
    let before = tree(sandbox);
    let output = set(sandbox, args).failure(code);
    for word in words {
        output.says(word);
    }
    output.says("hint: ");
    assert!(tree(sandbox) == before, "something was written");
}

#[test]
fn makes_a_file_for_its_owner_alone_and_says_how_a_container_gets_it() {
    let sandbox = Sandbox::with_hello();
    let output = set(&sandbox, &[]).success();
    assert_eq!(output.stderr, "");
    assert_no_token(output.stdout.as_bytes(), "the output");
    for line in ["envFrom:", "name: db", "make deploy", "git add secrets/kubernetes/db.secret.yaml"] {
        assert!(output.stdout.contains(line), "{line}:\n{}", output.stdout);
    }
    assert_eq!(mode(&sandbox.hello(FILE)), 0o600);
    let made: serde_yaml::Value = serde_yaml::from_str(&text(&sandbox)).unwrap();
    let pull: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(sandbox.hello(SECRET)).unwrap()).unwrap();
    assert_eq!((&made["type"], &made["metadata"]["name"]), (&"Opaque".into(), &"db".into()));
    assert_eq!(made["metadata"]["labels"], pull["metadata"]["labels"]);
    assert_eq!(made["metadata"]["namespace"], pull["metadata"]["namespace"]);
    // The lines of the output, in the place that it names, are what they are said to be.
    let deployment = fs::read_to_string(sandbox.hello("kubernetes/base/deployment.yaml")).unwrap();
    let from = output.stdout.find("          envFrom").unwrap();
    let lines: String = output.stdout[from..].lines().take(3).map(|line| format!("{line}\n")).collect();
    let at = deployment.find("          ports:").unwrap();
    let edited = [&deployment[..at], &lines, &deployment[at..]].concat();
    let edited: serde_yaml::Value = serde_yaml::from_str(&edited).unwrap();
    let container = &edited["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], "db");
}

#[test]
fn one_more_key_and_another_value_leave_every_other_line() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &[]).success();
    let first = format!("{}  # mine\n", text(&sandbox).trim_end());
    fs::write(sandbox.hello(FILE), &first).unwrap();
    let run = sandbox.makeinfra(&["secret", "set", "db", "tls.key", "--stdin"]).cwd(sandbox.hello(""));
    let output = run.stdin(b"\xff\0\n").success();
    assert_eq!(text(&sandbox), format!("{first}  tls.key: /wA=\n"));
    assert!(!output.stdout.contains("envFrom"), "{}", output.stdout);
    let output = set(&sandbox, &[]).success();
    assert!(output.stdout.contains("holds this value of PASSWORD already; nothing was written"));
    set(&sandbox, &[]).stdin("other\r\n").success();
    assert!(text(&sandbox).contains("  PASSWORD: b3RoZXI=  # mine\n"), "{}", text(&sandbox));
    assert!(!holds_the_value(&text(&sandbox)));
}

#[test]
fn the_value_is_nowhere_but_in_the_file() {
    for args in
        [&["--commit"][..], &["--commit", "--json"], &["--json"], &["--dry-run"], &["--dry-run", "--json"]]
    {
        let sandbox = Sandbox::new();
        sandbox.new_without_token(&[]).success();
        let output = set(&sandbox, args).success();
        assert_no_token((output.stdout + &output.stderr).as_bytes(), "the output");
        assert_eq!(sandbox.hello(FILE).exists(), !args.contains(&"--dry-run"), "{args:?}");
        for (file, bytes) in tree(&sandbox).iter().filter(|(file, _)| file != FILE) {
            assert_no_token(bytes, file);
        }
        assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "a git object");
    }
}

#[test]
fn commits_just_the_file_and_git_crypt_agrees() {
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("Makefile"), "not staged\n").unwrap();
    let json = set(&sandbox, &["--commit", "--json"]).success().json();
    assert_eq!((&json["created"], &json["changed"]), (&true.into(), &true.into()));
    let head = sandbox.git(&["rev-parse", "HEAD"]).success().stdout;
    assert_eq!(json["commit"], head.trim());
    assert_eq!(
        sandbox.git(&["show", "--name-only", "--format=%s", "HEAD"]).success().stdout.trim(),
        format!("Set PASSWORD in Secret db\n\n{FILE}")
    );
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, " M Makefile\n");
    let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{FILE}")]).success().bytes;
    assert!(blob.starts_with(b"\0GITCRYPT\0"));
    if have("git-crypt") {
        let plain = fs::read(sandbox.hello(FILE)).unwrap();
        let clean = sandbox.run("git-crypt", &["clean"]).cwd(sandbox.hello("")).stdin(&plain).success().bytes;
        assert_eq!(clean, blob);
    }
    // What was not committed at once is committed later.
    set(&sandbox, &[]).stdin("two").success();
    let output = set(&sandbox, &["--commit"]).stdin("two").success();
    assert!(output.stdout.contains("already; committed as"), "{}", output.stdout);
}

#[test]
fn a_dry_run_tells_the_plan_and_no_length() {
    let sandbox = Sandbox::with_hello();
    let before = tree(&sandbox);
    let plan = |value: &str| set(&sandbox, &["--dry-run"]).stdin(value).success().stdout;
    assert!(plan("a").contains("PASSWORD: create") && plan("a").contains("Nothing was written"));
    assert_eq!(plan("a"), plan(&"a".repeat(5000)));
    let args = ["secret", "set", "db", "PASSWORD", "--dry-run"];
    let unasked = sandbox.makeinfra(&args).cwd(sandbox.hello("")).success().stdout;
    assert_eq!(unasked, plan("a"));
    assert!(tree(&sandbox) == before);
}

#[test]
fn a_value_among_the_arguments_is_refused_and_not_quoted() {
    let sandbox = Sandbox::with_hello();
    for args in [
        &["db", "PASSWORD", TOKEN][..],
        &["db", "PASSWORD", ".", TOKEN],
        &["db", "PASSWORD", "--value", TOKEN],
        &["db", &format!("--from-literal=PASSWORD={TOKEN}")],
        &["db", &format!("PASSWORD={TOKEN}")],
        &["db", TOKEN],
        &[TOKEN, "PASSWORD"],
    ] {
        let run = sandbox.makeinfra(&[&["secret", "set"], args].concat()).cwd(sandbox.hello(""));
        run.failure(2).says("shell's history").says("hint: use --stdin or --from-file FILE");
    }
    let run = sandbox.makeinfra(&["secret", "set", "db", "PASSWORD", "--from-file", TOKEN]);
    run.cwd(sandbox.hello("")).failure(2).says("`--from-file` must be the name of a file");
}

#[test]
fn a_value_must_be_there_and_fit() {
    let sandbox = Sandbox::with_hello();
    for empty in ["", "\n", "\r\n"] {
        set(&sandbox, &[]).stdin(empty).failure(2).says("must not be empty");
    }
    set(&sandbox, &[]).stdin(vec![b'x'; (1 << 20) + 1]).failure(2).says("1048576 bytes");
    set(&sandbox, &[]).stdin(vec![b'x'; (1 << 20) + 9]).failure(1).says("too large");
    set(&sandbox, &[]).stdin(vec![b'x'; 1 << 20]).success();
    refused(&sandbox, &["--from-file", "x"], 2, &["cannot be used with"]);
    let run = sandbox.makeinfra(&["secret", "set", "db", "PASSWORD"]).cwd(sandbox.hello(""));
    run.failure(2).says("--stdin or --from-file");
}

#[test]
fn a_file_is_taken_as_it_is() {
    let sandbox = Sandbox::with_hello();
    let file = sandbox.write("value", "one line\n").display().to_string();
    let run = sandbox.makeinfra(&["secret", "set", "db", "A", "--from-file", &file]).cwd(sandbox.hello(""));
    let output = run.success();
    output.says("others can read the value").says("--stdin takes it off");
    assert!(text(&sandbox).ends_with("  A: b25lIGxpbmUK\n"), "{}", text(&sandbox));
}

#[test]
fn refuses_what_could_not_be_right() {
    let sandbox = Sandbox::with_hello();
    let run = |args: &[&str]| {
        let args = [&["secret", "set"], args, &["--stdin"]].concat();
        sandbox.makeinfra(&args).cwd(sandbox.hello("")).stdin(TOKEN)
    };
    run(&["gitlab", "KEY"]).failure(2).says("`gitlab` is the pull secret").says("makeinfra rotate");
    run(&["Db", "KEY"]).failure(2).says("`NAME` must be a DNS label");
    run(&["db", "a b"]).failure(2).says("`KEY` must have letters");
    run(&["db"]).failure(2).says("`KEY` is missing");
    set(&sandbox, &[]).success();
    let good = text(&sandbox);
    for (from, to, word) in [
        ("namespace: hello", "namespace: other", "not the namespace"),
        ("kind: Secret", "kind: ConfigMap", "kind: Secret"),
        ("type: Opaque", "type: Opaque\n---\na: b", "one YAML document"),
        ("type: Opaque", "type: kubernetes.io/dockercfg", "makeinfra rotate"),
        ("type: Opaque", "type: Opaque\nimmutable: True", "it is immutable"),
    ] {
        fs::write(sandbox.hello(FILE), good.replace(from, to)).unwrap();
        refused(&sandbox, &[], 1, &["cannot change", word]);
    }
    fs::remove_file(sandbox.hello(FILE)).unwrap();
    symlink("/dev/null", sandbox.hello(FILE)).unwrap();
    refused(&sandbox, &[], 1, &["no regular file"]);
    fs::remove_file(sandbox.hello(FILE)).unwrap();
    sandbox.run("mkfifo", &[sandbox.hello(FILE).to_str().unwrap()]).success();
    refused(&sandbox, &[], 1, &["no regular file"]);
}

#[test]
fn the_other_keys_of_a_file_that_is_only_in_git_are_not_lost() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &["--commit"]).success();
    fs::remove_file(sandbox.hello(FILE)).unwrap();
    for args in [&[][..], &["--commit"], &["--dry-run"]] {
        refused(&sandbox, args, 1, &["it is in HEAD", &format!("git checkout HEAD -- {FILE}")]);
    }
    sandbox.git(&["restore", FILE]).success();
    set(&sandbox, &[]).success().prints("holds this value of PASSWORD already");
}

#[test]
fn what_is_written_and_could_not_be_committed_is_told() {
    let sandbox = Sandbox::with_hello();
    let branch = sandbox.git(&["symbolic-ref", "HEAD"]).success().stdout;
    // Somebody else's hold on the branch.
    let lock = sandbox.hello(&format!(".git/{}.lock", branch.trim()));
    for command in ["set", "rotate"] {
        fs::write(&lock, "").unwrap();
        let output = match command {
            "set" => set(&sandbox, &["--commit"]).failure(1),
            _ => sandbox.rotate("gldt-Second", &["--commit"]).failure(1),
        };
        output.says("is written, and not committed");
        let hint = output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned();
        fs::remove_file(&lock).unwrap();
        assert_ne!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
        sandbox.run("sh", &["-c", &hint]).cwd(sandbox.hello("")).success();
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{hint}");
        sandbox.make(&["check-secrets"]).success();
    }
}

#[test]
fn a_directory_that_is_a_link_leads_nowhere() {
    let sandbox = Sandbox::with_hello();
    fs::create_dir(sandbox.hello("plain")).unwrap();
    fs::rename(sandbox.hello("secrets/kubernetes"), sandbox.hello("plain/kubernetes")).unwrap();
    symlink("../plain/kubernetes", sandbox.hello("secrets/kubernetes")).unwrap();
    refused(&sandbox, &[], 1, &["a directory on the way to it is a link"]);
    sandbox.rotate("gldt-Second", &[]).failure(1).says("a directory on the way to it is a link");
    let args = ["env", "add", "staging", "--no-input", "hello-infra"];
    sandbox.makeinfra(&args).failure(1).says("a directory on the way to it is a link");
}

#[test]
fn the_lines_for_a_container_fit_its_workload() {
    for (args, file, indent) in [
        (&["--workload", "job"][..], "kubernetes/base/job.yaml", 10),
        (&["--workload", "cronjob", "--schedule", "@daily"], "kubernetes/base/cronjob.yaml", 14),
        (&[], "kubernetes/base/deployment.yaml", 10),
    ] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(args).success();
        let output = set(&sandbox, &[]).success();
        output.prints(&format!("the container in {file} needs"));
        let lines: String = output
            .stdout
            .lines()
            .filter(|line| line.starts_with("          "))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(lines.starts_with(&format!("{:indent$}envFrom:\n", "")), "{lines}");
        assert!(text(&sandbox).contains(file), "{}", text(&sandbox));
        // They fit where they are said to.
        let manifest = fs::read_to_string(sandbox.hello(file)).unwrap();
        let image = manifest.lines().find(|line| line.trim_start().starts_with("image: ")).unwrap();
        let text = manifest.replace(image, &format!("{image}\n{}", lines.trim_end()));
        let found: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert!(found.to_string().contains(r#""envFrom":[{"secretRef":{"name":"db"}}]"#), "{found}");
        let args = ["secret", "set", "tls", "cert.pem", "--stdin"];
        let output = sandbox.makeinfra(&args).cwd(sandbox.hello("")).stdin("x").success();
        output.prints(&format!("as files, {file} needs"));
    }
}

#[test]
fn refuses_where_it_would_be_committed_in_plain_or_is_locked() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &["--commit"]).success();
    let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{FILE}")]).success().bytes;
    fs::write(sandbox.hello(FILE), blob).unwrap();
    refused(&sandbox, &[], 1, &["locked", "git-crypt unlock"]);
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello(".gitattributes"), "").unwrap();
    refused(&sandbox, &[], 1, &["would be committed in plain"]);
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["config", "--unset", "filter.git-crypt.clean"]).success();
    refused(&sandbox, &[], 1, &["is not configured"]);
    let sandbox = Sandbox::with_hello();
    fs::remove_file(sandbox.hello(".git/git-crypt/keys/default")).unwrap();
    refused(&sandbox, &["--commit"], 1, &["no git-crypt key"]);
    let sandbox = Sandbox::with_hello();
    fs::remove_file(sandbox.hello(".makeinfra.yaml")).unwrap();
    refused(&sandbox, &[], 1, &["no repository of makeinfra's"]);
}

/// A run that waits for its value in a named pipe.
fn waiting(sandbox: &Sandbox, pipe: &Path) -> Child {
    sandbox.run("mkfifo", &[pipe.to_str().unwrap()]).success();
    let args = ["secret", "set", "db", "PASSWORD", "hello-infra", "--from-file", pipe.to_str().unwrap()];
    let mut command = sandbox.makeinfra(&args).command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn what_came_in_between_is_not_lost() {
    use std::io::Write;
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &[]).success();
    let pipe = sandbox.path("pipe");
    let child = waiting(&sandbox, &pipe);
    let mut value = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    set(&sandbox, &[]).failure(1).says("another makeinfra is at work");
    let edited = format!("{}# mine\n", text(&sandbox));
    fs::write(sandbox.hello(FILE), &edited).unwrap();
    value.write_all(b"new").unwrap();
    drop(value);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("was changed in the meantime"), "{said}");
    assert_eq!(text(&sandbox), edited);
}

#[test]
fn check_takes_it_for_a_secret_and_for_no_pull_secret() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &["--commit"]).success();
    let check = || sandbox.makeinfra(&["check", "--json"]).cwd(sandbox.hello(""));
    let json = check().success().json();
    let said = json["checks"].as_array().unwrap();
    assert!(said.iter().all(|check| check["status"] == "ok"), "{json}");
    let about_pull = |check: &&serde_json::Value| check["id"].as_str().unwrap().starts_with("pull-secret");
    assert!(said.iter().filter(about_pull).all(|check| !check.to_string().contains("db")), "{json}");
    // In plain, as a locked clone would store it.
    let id = sandbox.git(&["hash-object", "-w", "--no-filters", FILE]).success().stdout;
    sandbox.git(&["update-index", "--cacheinfo", &format!("100644,{},{FILE}", id.trim())]).success();
    let output = check().failure(1);
    assert!(output.stdout.contains("db.secret.yaml"), "{}", output.stdout);
}

#[test]
fn the_manual_and_the_errors_call_it_by_its_whole_name() {
    let sandbox = Sandbox::new();
    let page = sandbox.makeinfra(&["man"]).success().stdout;
    assert!(page.contains(".B makeinfra secret set NAME KEY [REPO] [OPTIONS]"), "{page}");
    assert!(page.contains(".SH \"MAKEINFRA SECRET SET\""), "{page}");
    sandbox.makeinfra(&["secret"]).failure(2).says("hint: makeinfra secret set NAME KEY");
    sandbox.makeinfra(&[]).failure(2).says("hint: makeinfra new");
}
