//! `makeinfra secret set`: changes one encrypted value of a Secret that kustomize generates, and
//! nothing else.

use super::support::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};

pub const ENV: &str = "secrets/kubernetes/db.env";
pub const KUSTOMIZATION: &str = "secrets/kubernetes/kustomization.yaml";

/// `makeinfra secret set db PASSWORD` in the generated repository, with [`TOKEN`] as the value.
fn set(sandbox: &Sandbox, args: &[&str]) -> Run {
    let args = [&["secret", "set", "db", "PASSWORD", "--stdin"], args].concat();
    sandbox.makeinfra(&args).cwd(sandbox.hello("")).stdin(TOKEN)
}

/// Sets `key` of the Secret db to exactly the bytes `value`.
#[track_caller]
pub fn set_key(sandbox: &Sandbox, key: &str, value: impl AsRef<[u8]>, args: &[&str]) -> Output {
    let file = sandbox.write_private("value", value).display().to_string();
    let args = [&["secret", "set", "db", key, "--from-file", &file], args].concat();
    sandbox.makeinfra(&args).cwd(sandbox.hello("")).success()
}

pub fn text(sandbox: &Sandbox, file: &str) -> String {
    fs::read_to_string(sandbox.hello(file)).unwrap()
}

/// All files except git's own.
pub fn tree(sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    let top = sandbox.hello("");
    let read = |file: String| {
        let path = top.join(&file);
        let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        (file, bytes)
    };
    files_below(&top).into_iter().map(read).collect()
}

/// Expects that a value is refused with these words, does not appear in the output, and that
/// nothing is written.
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
fn makes_files_for_their_owner_alone_and_says_how_a_container_gets_the_value() {
    let sandbox = Sandbox::with_hello();
    let kustomization = text(&sandbox, KUSTOMIZATION);
    let output = set(&sandbox, &[]).success();
    assert_eq!(output.stderr, "");
    assert_no_token(output.stdout.as_bytes(), "the output");
    for line in [
        "envFrom:",
        "name: db",
        "make deploy",
        &format!("git add {ENV} {KUSTOMIZATION} && git commit"),
    ] {
        assert!(output.stdout.contains(line), "{line}:\n{}", output.stdout);
    }
    assert_eq!(text(&sandbox, ENV), format!("PASSWORD={TOKEN}\n"));
    let more = "generatorOptions:\n  labels:\n    app.kubernetes.io/part-of: hello\n    app.kubernetes.io/managed-by: makeinfra\n\
                secretGenerator:\n  - name: db\n    envs:\n      - db.env\n";
    assert_eq!(text(&sandbox, KUSTOMIZATION), kustomization + more);
    for file in [ENV, KUSTOMIZATION] {
        assert_eq!(mode(&sandbox.hello(file)), 0o600);
    }
    // The lines of the output work in the file that it names, and are not shown again after that.
    let deployment = text(&sandbox, "kubernetes/base/deployment.yaml");
    let from = output.stdout.find("          envFrom").unwrap();
    let lines: String =
        output.stdout[from..].lines().take(3).map(|line| format!("{line}\n")).collect();
    let at = deployment.find("          ports:").unwrap();
    let edited = [&deployment[..at], &lines, &deployment[at..]].concat();
    fs::write(sandbox.hello("kubernetes/base/deployment.yaml"), &edited).unwrap();
    let edited: serde_yaml::Value = serde_yaml::from_str(&edited).unwrap();
    let container = &edited["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], "db");
    let output = set_key(&sandbox, "USER", "me", &[]);
    assert!(!output.stdout.contains("envFrom"), "{}", output.stdout);
}

#[test]
fn one_more_key_and_another_value_leave_every_other_line() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &[]).success();
    let first = format!("# mine\n{}\n", text(&sandbox, ENV));
    fs::write(sandbox.hello(ENV), &first).unwrap();
    let kustomization = format!("# mine\n{}# also mine\n", text(&sandbox, KUSTOMIZATION));
    fs::write(sandbox.hello(KUSTOMIZATION), &kustomization).unwrap();
    set_key(&sandbox, "USER", "me", &[]);
    assert_eq!(text(&sandbox, ENV), format!("{first}USER=me\n"));
    assert_eq!(text(&sandbox, KUSTOMIZATION), kustomization);
    let output = set(&sandbox, &[]).success();
    output.prints(&format!("{ENV} already contains this value of PASSWORD; nothing was written"));
    set(&sandbox, &[]).stdin("other\r\n").success();
    assert_eq!(text(&sandbox, ENV), "# mine\nPASSWORD=other\n\nUSER=me\n");
}

#[test]
fn a_value_that_no_line_can_hold_goes_to_a_file_and_back() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "a", &[]);
    let fresh = text(&sandbox, KUSTOMIZATION);
    for value in ["two\nlines", " blank", "blank\t", "\"quoted\"", "nul\0", &"x".repeat(60_001)] {
        set_key(&sandbox, "tls.key", value, &[]);
        let file = "secrets/kubernetes/db.d/tls.key";
        assert_eq!(text(&sandbox, file), value);
        assert_eq!(mode(&sandbox.hello(file)), 0o600);
        assert_eq!(
            text(&sandbox, KUSTOMIZATION),
            format!("{fresh}    files:\n      - db.d/tls.key\n")
        );
        set_key(&sandbox, "tls.key", "one line", &[]);
        assert_eq!(text(&sandbox, ENV), "A=a\ntls.key=one line\n");
        assert_eq!(text(&sandbox, KUSTOMIZATION), fresh);
        assert!(!sandbox.hello("secrets/kubernetes/db.d").exists(), "an empty directory stays");
    }
    // The last line moves to a file, and its env file is deleted.
    set_key(&sandbox, "A", "a\n", &[]);
    set_key(&sandbox, "tls.key", b"\xff", &[]);
    assert!(!sandbox.hello(ENV).exists());
    assert!(
        text(&sandbox, KUSTOMIZATION)
            .ends_with("  - name: db\n    files:\n      - db.d/A\n      - db.d/tls.key\n")
    );
    set_key(&sandbox, "A", "a", &[]);
    set_key(&sandbox, "tls.key", "b", &["--commit"]);
    assert!(text(&sandbox, KUSTOMIZATION).ends_with("  - name: db\n    envs:\n      - db.env\n"));
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn the_value_is_nowhere_but_in_its_file() {
    for args in [
        &["--commit"][..],
        &["--commit", "--json"],
        &["--json"],
        &["--dry-run"],
        &["--dry-run", "--json"],
    ] {
        for (value, file) in
            [(TOKEN.to_owned(), ENV), (format!("{TOKEN}\n\n"), "secrets/kubernetes/db.d/PASSWORD")]
        {
            let sandbox = Sandbox::new();
            sandbox.new_without_token(&[]).success();
            let output = set(&sandbox, args).stdin(value).success();
            assert_no_token((output.stdout + &output.stderr).as_bytes(), "the output");
            assert_eq!(sandbox.hello(file).exists(), !args.contains(&"--dry-run"), "{args:?}");
            for (file, bytes) in tree(&sandbox).iter().filter(|(found, _)| *found != file) {
                assert_no_token(bytes, file);
            }
            assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "a git object");
        }
    }
}

#[test]
fn commits_just_its_files_and_git_crypt_agrees() {
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("Makefile"), "not staged\n").unwrap();
    let json = set(&sandbox, &["--commit", "--json"]).success().json();
    assert_eq!((&json["created"], &json["changed"]), (&true.into(), &true.into()));
    let head = sandbox.git(&["rev-parse", "HEAD"]).success().stdout;
    assert_eq!(json["commit"], head.trim());
    assert_eq!(
        sandbox.git(&["show", "--name-only", "--format=%s", "HEAD"]).success().stdout.trim(),
        format!("Set PASSWORD in Secret db\n\n{ENV}\n{KUSTOMIZATION}")
    );
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, " M Makefile\n");
    for file in [ENV, KUSTOMIZATION] {
        let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{file}")]).success().bytes;
        assert!(blob.starts_with(b"\0GITCRYPT\0"));
        if have("git-crypt") {
            let plain = fs::read(sandbox.hello(file)).unwrap();
            let run = sandbox.run("git-crypt", &["clean"]).cwd(sandbox.hello("")).stdin(&plain);
            assert_eq!(run.success().bytes, blob);
        }
    }
    // An uncommitted change can be committed later.
    set(&sandbox, &[]).stdin("two").success();
    set(&sandbox, &["--commit"]).stdin("two").success().prints("of PASSWORD; committed as");
}

#[test]
fn a_commit_has_every_file_that_its_kustomization_names() {
    let sandbox = Sandbox::with_hello();
    let other = ["secret", "set", "mail", "PASSWORD", "--stdin"];
    sandbox.makeinfra(&other).cwd(sandbox.hello("")).stdin("x").success();
    set(&sandbox, &["--commit"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let committed =
        sandbox.git(&["ls-tree", "-r", "--name-only", "HEAD", "secrets"]).success().stdout;
    assert!(committed.contains("mail.env"), "{committed}");
}

#[test]
fn a_dry_run_tells_the_plan_and_no_length() {
    let sandbox = Sandbox::with_hello();
    let before = tree(&sandbox);
    let plan = |value: &str| set(&sandbox, &["--dry-run"]).stdin(value).success().stdout;
    let top = sandbox.hello("").canonicalize().unwrap().display().to_string();
    assert_eq!(
        plan("a").replace(&top, "TOP"),
        "TOP/\n\
         └── secrets/\n    \
         └── kubernetes/\n        \
         ├── db.env              PASSWORD: new file\n        \
         └── kustomization.yaml  names db.env\n\
         \n\
         Nothing was written: this is a dry run.\n"
    );
    assert_eq!(plan("a"), plan(&"a".repeat(5000)));
    let args = ["secret", "set", "db", "PASSWORD", "--dry-run"];
    let unasked = sandbox.makeinfra(&args).cwd(sandbox.hello("")).success();
    unasked.prints(&format!("{ENV}: PASSWORD")).prints("secrets/kubernetes/db.d/PASSWORD");
    assert!(tree(&sandbox) == before);
}

#[test]
fn with_several_environments_one_or_all_must_be_named() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "production"]).success();
    refused(
        &sandbox,
        &[],
        2,
        &["`--env` or `--all-environments` is required", "staging, production"],
    );
    refused(&sandbox, &["--env", "qa"], 2, &["existing environments: staging, production"]);
    refused(&sandbox, &["--env", "staging", "--all-environments"], 2, &["cannot be used with"]);
    let output = set(&sandbox, &["--env", "production"]).success();
    output.prints("make deploy ENV=production");
    assert!(sandbox.hello("secrets/kubernetes/production/db.env").exists());
    assert!(!sandbox.hello("secrets/kubernetes/staging/db.env").exists());
    let json = set(&sandbox, &["--all-environments", "--commit", "--json"]).success().json();
    let files =
        ["db.env", "kustomization.yaml"].map(|name| format!("secrets/kubernetes/staging/{name}"));
    assert_eq!(
        [&json["files"][0]["path"], &json["files"][1]["path"]],
        [&files[0], &files[1]],
        "{json}"
    );
    assert_eq!(json["next"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let staging = text(&sandbox, "secrets/kubernetes/staging/db.env");
    assert_eq!(staging, text(&sandbox, "secrets/kubernetes/production/db.env"));
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
        run.failure(2).says("shell history").says("hint: use --stdin or --from-file FILE");
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
    let more = ["secret", "set", "db", "MORE", "--stdin"];
    let run = sandbox.makeinfra(&more).cwd(sandbox.hello("")).stdin("x");
    run.failure(1).says("Secret db would exceed 1048576 bytes");
    refused(&sandbox, &["--from-file", "x"], 2, &["cannot be used with"]);
    let run = sandbox.makeinfra(&["secret", "set", "db", "PASSWORD"]).cwd(sandbox.hello(""));
    run.failure(2).says("--stdin or --from-file");
}

#[test]
fn a_file_is_taken_as_it_is() {
    let sandbox = Sandbox::with_hello();
    let file = sandbox.write("value", "one line\n").display().to_string();
    let run = sandbox
        .makeinfra(&["secret", "set", "db", "A", "--from-file", &file])
        .cwd(sandbox.hello(""));
    let output = run.success();
    output.says("other users can read the value").says("--stdin removes it");
    assert_eq!(text(&sandbox, "secrets/kubernetes/db.d/A"), "one line\n");
}

#[test]
fn refuses_what_could_not_be_right() {
    let sandbox = Sandbox::with_hello();
    let run = |args: &[&str], value: &str| {
        let args = [&["secret", "set"], args, &["--stdin"]].concat();
        sandbox.makeinfra(&args).cwd(sandbox.hello("")).stdin(value)
    };
    run(&["gitlab", "KEY"], TOKEN)
        .failure(2)
        .says("`gitlab` is the pull secret")
        .says("makeinfra rotate");
    run(&["Db", "KEY"], TOKEN).failure(2).says("`NAME` must be a DNS label");
    run(&["db", "a b"], TOKEN).failure(2).says("`KEY` must consist of");
    run(&["db"], TOKEN).failure(2).says("`KEY` is required");
    run(&["db", ".gitattributes"], "a\nb").failure(1).says("git itself reads files of that name");
    set(&sandbox, &[]).success();
    let good = text(&sandbox, KUSTOMIZATION);
    let env = text(&sandbox, ENV);
    for (edited, word) in [
        (good.replace("      - db.env", "      - ../../../db.env"), "outside the repository"),
        (
            good.replace("    envs:", "    literals:\n      - A=b\n    envs:"),
            "`literals`, which belong in db.env",
        ),
        (
            format!("{good}  - name: db\n    envs:\n      - other.env\n"),
            "it generates Secret db twice",
        ),
        (
            good.replace("- name: db", "- name: other"),
            "another Secret than db is generated from db.env",
        ),
        (good.replace("resources:", "resources: &a"), "anchors"),
        (good.replace("      - db.env", "      - missing.env"), "it does not exist"),
        (format!("{good}---\na: b\n"), "a single YAML document"),
    ] {
        fs::write(sandbox.hello(KUSTOMIZATION), edited).unwrap();
        refused(&sandbox, &[], 1, &["cannot change", word]);
    }
    fs::write(sandbox.hello(KUSTOMIZATION), &good).unwrap();
    for (edited, word) in [
        (format!("{env}A=1\nA=2\n"), "line 3: the key was set in an earlier line"),
        (format!("A={}\n{env}", "x".repeat(70_000)), "line 1: longer than 64 KiB"),
    ] {
        fs::write(sandbox.hello(ENV), edited).unwrap();
        refused(&sandbox, &[], 1, &["cannot change", word]);
    }
    for make in [&|file: &Path| symlink("/dev/null", file).unwrap(), &|file: &Path| {
        sandbox.run("mkfifo", &[file.to_str().unwrap()]).success();
    }] as [&dyn Fn(&Path); 2]
    {
        fs::remove_file(sandbox.hello(ENV)).unwrap();
        make(&sandbox.hello(ENV));
        refused(&sandbox, &[], 1, &["not a regular file"]);
    }
}

#[test]
fn a_line_that_kustomize_misreads_is_warned_of_by_its_number() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &[]).success();
    fs::write(sandbox.hello(ENV), "A=1\nhunter2\n").unwrap();
    let output = set(&sandbox, &[]).success();
    output.says(&format!("line 2 of `{ENV}`: no `=`"));
    assert!(!output.stderr.contains("hunter2"));
}

#[test]
fn a_manifest_is_left_to_those_who_wrote_it() {
    let sandbox = Sandbox::with_hello();
    let manifest = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  A: YQ==\n";
    sandbox.write_private("work/hello-infra/secrets/kubernetes/own.yaml", manifest);
    sandbox.edit(KUSTOMIZATION, "resources:\n", "resources:\n  - own.yaml\n");
    refused(
        &sandbox,
        &[],
        1,
        &["`secrets/kubernetes/own.yaml` is a manifest of it", "${EDITOR:-vi}"],
    );
}

#[test]
fn keys_of_a_file_that_is_only_in_git_are_not_lost() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &["--commit"]).success();
    fs::remove_file(sandbox.hello(ENV)).unwrap();
    for args in [&[][..], &["--commit"], &["--dry-run"]] {
        refused(&sandbox, args, 1, &["it does not exist", &format!("git checkout HEAD -- {ENV}")]);
    }
    sandbox.git(&["restore", ENV]).success();
    set(&sandbox, &[]).success().prints("already contains this value of PASSWORD");
}

#[test]
fn a_directory_that_is_a_link_leads_nowhere() {
    let sandbox = Sandbox::with_hello();
    fs::create_dir(sandbox.hello("plain")).unwrap();
    fs::rename(sandbox.hello("secrets/kubernetes"), sandbox.hello("plain/kubernetes")).unwrap();
    symlink("../plain/kubernetes", sandbox.hello("secrets/kubernetes")).unwrap();
    refused(&sandbox, &[], 1, &["a parent directory is a symbolic link"]);
    sandbox.rotate("gldt-Second", &[]).failure(1).says("a parent directory is a symbolic link");
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
        output.prints(&format!("beside `image` in {file}"));
        let lines: String = output
            .stdout
            .lines()
            .filter(|line| line.starts_with("          "))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(lines.starts_with(&format!("{:indent$}envFrom:\n", "")), "{lines}");
        // The lines fit the file that the output names.
        let manifest = text(&sandbox, file);
        let image = manifest.lines().find(|line| line.trim_start().starts_with("image: ")).unwrap();
        let text = manifest.replace(image, &format!("{image}\n{}", lines.trim_end()));
        let found: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert!(
            found.to_string().contains(r#""envFrom":[{"secretRef":{"name":"db"}}]"#),
            "{found}"
        );
        let args = ["secret", "set", "tls", "cert.pem", "--stdin"];
        let output = sandbox.makeinfra(&args).cwd(sandbox.hello("")).stdin("x").success();
        output.prints(&format!("lists in {file}"));
    }
}

#[test]
fn refuses_where_it_would_be_committed_in_plain_or_is_locked() {
    for file in [ENV, KUSTOMIZATION] {
        let sandbox = Sandbox::with_hello();
        set(&sandbox, &["--commit"]).success();
        let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{file}")]).success().bytes;
        fs::write(sandbox.hello(file), blob).unwrap();
        refused(&sandbox, &[], 10, &["locked", "git checkout HEAD --"]);
    }
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello(".gitattributes"), "").unwrap();
    refused(&sandbox, &[], 1, &["would be committed in plaintext"]);
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["config", "--unset", "filter.git-crypt.clean"]).success();
    refused(&sandbox, &[], 10, &["is not configured"]);
    let sandbox = Sandbox::with_hello();
    fs::remove_file(sandbox.hello(".git/git-crypt/keys/default")).unwrap();
    refused(&sandbox, &["--commit"], 10, &["no git-crypt key"]);
    let sandbox = Sandbox::with_hello();
    fs::remove_file(sandbox.hello(".makeinfra.yaml")).unwrap();
    refused(&sandbox, &[], 1, &["was not generated by makeinfra"]);
}

/// A run that waits for its value in a named pipe.
fn waiting(sandbox: &Sandbox, pipe: &Path) -> Child {
    sandbox.run("mkfifo", &[pipe.to_str().unwrap()]).success();
    let args =
        ["secret", "set", "db", "PASSWORD", "hello-infra", "--from-file", pipe.to_str().unwrap()];
    let mut command = sandbox.makeinfra(&args).command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn what_came_in_between_is_not_lost() {
    use std::io::Write;
    for file in [ENV, KUSTOMIZATION] {
        let sandbox = Sandbox::with_hello();
        set(&sandbox, &[]).success();
        let pipe = sandbox.path("pipe");
        let child = waiting(&sandbox, &pipe);
        let mut value = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        set(&sandbox, &[]).failure(1).says("another makeinfra process is running");
        sandbox.append(file, "# mine\n");
        let before = tree(&sandbox);
        value.write_all(b"new").unwrap();
        drop(value);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("`{file}` was changed during the run")), "{said}");
        assert!(tree(&sandbox) == before);
    }
}

#[test]
fn check_takes_its_files_for_secrets_and_for_no_pull_secret() {
    let sandbox = Sandbox::with_hello();
    set(&sandbox, &["--commit"]).success();
    let check = || sandbox.makeinfra(&["check", "--json"]).cwd(sandbox.hello(""));
    let json = check().success().json();
    let said = json["checks"].as_array().unwrap();
    assert!(said.iter().all(|check| check["status"] == "ok"), "{json}");
    let about_pull =
        |check: &&serde_json::Value| check["id"].as_str().unwrap().starts_with("pull-secret");
    assert!(
        said.iter().filter(about_pull).all(|check| !check.to_string().contains("db")),
        "{json}"
    );
    // In plaintext, as a locked clone would store it.
    let id = sandbox.git(&["hash-object", "-w", "--no-filters", ENV]).success().stdout;
    sandbox.git(&["update-index", "--cacheinfo", &format!("100644,{},{ENV}", id.trim())]).success();
    let output = check().failure(1);
    assert!(output.stdout.contains("db.env"), "{}", output.stdout);
}

#[test]
fn the_manual_and_the_errors_call_it_by_its_whole_name() {
    let sandbox = Sandbox::new();
    let page = sandbox.makeinfra(&["man"]).success().stdout;
    assert!(page.contains(".B makeinfra secret set NAME KEY [REPO] [OPTIONS]"), "{page}");
    assert!(page.contains(".SH \"MAKEINFRA SECRET SET\""), "{page}");
    sandbox.makeinfra(&["secret"]).success().prints("Usage: makeinfra secret <COMMAND>");
    sandbox
        .makeinfra(&["secret", "unset", "a"])
        .failure(2)
        .says("hint: makeinfra secret unset --help\n");
    sandbox
        .makeinfra(&["env", "add", "--bogus=1"])
        .failure(2)
        .says("hint: makeinfra env add --help\n");
    sandbox.makeinfra(&["check", "--json=1"]).failure(2).says("hint: makeinfra check --help\n");
    sandbox.makeinfra(&[]).success().prints("Usage: makeinfra <COMMAND>");
}
