//! `makeinfra rotate` when something intervened: an edit, another run, an earlier rotation.

use super::rotate::{docker_config, manifest, record, secret, write_secret};
use super::support::{IMAGE, SECRET, Sandbox, TOKEN, USER, all_objects, assert_no_token};
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

/// The kustomization that lists the pull secret.
const LIST: &str = "secrets/kubernetes/kustomization.yaml";

/// A rotation that has checked everything and waits for its token in a named pipe.
fn waiting(sandbox: &Sandbox, args: &[&str]) -> Child {
    let pipe = sandbox.path("pipe").display().to_string();
    sandbox.run("mkfifo", &[&pipe]).success();
    let base = ["rotate", "hello-infra", "--token-username", USER, "--token-file", &pipe];
    let run = sandbox.makeinfra(&[&base[..], args].concat());
    run.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Provides the token and waits for the end; returns exit code and standard error.
fn feed(sandbox: &Sandbox, child: Child, token: &str) -> (Option<i32>, String) {
    // Opening the pipe blocks until the other side has opened it, too.
    fs::write(sandbox.path("pipe"), token).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Waits until the rotation has opened the pipe, and calls `between` before it reads.
fn between(
    sandbox: &Sandbox,
    args: &[&str],
    token: &str,
    between: impl FnOnce(),
) -> (Option<i32>, String) {
    use std::io::Write;
    let child = waiting(sandbox, args);
    let mut pipe = fs::OpenOptions::new().write(true).open(sandbox.path("pipe")).unwrap();
    between();
    pipe.write_all(token.as_bytes()).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_edit_made_while_the_token_is_waited_for_is_not_lost() {
    let sandbox = Sandbox::with_hello();
    let edited = format!("{}# mine\n", secret(&sandbox));
    let (code, said) = between(&sandbox, &[], TOKEN, || write_secret(&sandbox, &edited));
    // The token is the existing one, so nothing would be written in either case.
    assert_eq!(code, Some(0), "{said}");
    fs::remove_file(sandbox.path("pipe")).unwrap();
    let edited = format!("{edited}# once more\n");
    let (code, said) = between(&sandbox, &[], "gldt-new", || write_secret(&sandbox, &edited));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("was changed during the run"), "{said}");
    assert_eq!(secret(&sandbox), edited);
}

#[test]
fn only_one_rotation_is_at_work_in_a_repository() {
    let sandbox = Sandbox::with_hello();
    let (code, said) = between(&sandbox, &[], "gldt-first", || {
        sandbox.rotate("gldt-second", &[]).failure(1).says("another makeinfra process is running");
        sandbox.rotate("gldt-second", &["--dry-run"]).success();
    });
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(docker_config(&secret(&sandbox))["registry.gitlab.com"]["password"], "gldt-first");
    sandbox.rotate("gldt-second", &[]).success();
}

#[test]
fn a_rotation_that_was_not_committed_is_committed_later() {
    let sandbox = Sandbox::with_hello();
    sandbox.rotate(TOKEN, &["--secret-type", "dockerconfigjson"]).success();
    let output = sandbox.rotate(TOKEN, &[]).success();
    assert!(
        output.stdout.contains("nothing was written") && output.stdout.contains("git add"),
        "{}",
        output.stdout
    );
    let output = sandbox.rotate(TOKEN, &["--commit"]).success();
    assert!(
        output.stdout.contains("already contains these credentials; committed as"),
        "{}",
        output.stdout
    );
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert!(
        sandbox
            .git(&["show", "HEAD:.makeinfra.yaml"])
            .success()
            .stdout
            .contains("dockerconfigjson")
    );
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "the objects");
    let output = sandbox.rotate(TOKEN, &["--commit", "--json"]).success().json();
    assert_eq!((&output["changed"], &output["commit"]), (&false.into(), &serde_json::Value::Null));
}

#[test]
fn an_index_that_cannot_be_read_is_found_before_anything_is_written() {
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["update-index", "--split-index"]).success();
    let (before, head) = (secret(&sandbox), sandbox.git(&["rev-parse", "HEAD"]).success().stdout);
    sandbox
        .rotate("gldt-new", &["--commit"])
        .failure(1)
        .says("cannot read the index")
        .says("--no-split-index");
    assert_eq!(secret(&sandbox), before);
    assert_eq!(sandbox.git(&["rev-parse", "HEAD"]).success().stdout, head);
}

#[test]
fn an_index_that_is_locked_in_the_middle_leaves_everything_as_it_was() {
    let sandbox = Sandbox::with_hello();
    let (before, head) = (secret(&sandbox), sandbox.git(&["rev-parse", "HEAD"]).success().stdout);
    let lock = sandbox.hello(".git/index.lock");
    let (code, said) =
        between(&sandbox, &["--commit"], "gldt-new", || fs::write(&lock, "").unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another git process is running, or was killed"), "{said}");
    fs::remove_file(&lock).unwrap();
    assert_eq!(secret(&sandbox), before);
    assert_eq!(sandbox.git(&["rev-parse", "HEAD"]).success().stdout, head);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn what_git_did_while_the_token_was_waited_for_stays() {
    let sandbox = Sandbox::with_hello();
    let (code, said) = between(&sandbox, &["--commit"], "gldt-new", || {
        fs::write(sandbox.hello("committed"), "x").unwrap();
        sandbox.git(&["add", "committed"]).success();
        sandbox.git(&["commit", "-q", "-m", "mine"]).success();
        fs::write(sandbox.hello("staged"), "x").unwrap();
        sandbox.git(&["add", "staged"]).success();
    });
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "A  staged\n");
    assert_eq!(sandbox.git(&["log", "--format=%s"]).success().stdout.lines().count(), 3);
    sandbox.git(&["fsck", "--strict"]).success();
}

#[test]
fn a_merge_that_began_while_the_token_was_waited_for_is_not_disturbed() {
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["switch", "-q", "-c", "other"]).success();
    fs::write(sandbox.hello("theirs"), "x").unwrap();
    sandbox.git(&["add", "theirs"]).success();
    sandbox.git(&["commit", "-q", "-m", "theirs"]).success();
    sandbox.git(&["switch", "-q", "-"]).success();
    let before = secret(&sandbox);
    let (code, said) = between(&sandbox, &["--commit"], "gldt-new", || {
        sandbox.git(&["merge", "-q", "--no-ff", "--no-commit", "other"]).success();
    });
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a merge is in progress"), "{said}");
    assert_eq!(secret(&sandbox), before);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "A  theirs\n");
}

#[test]
fn an_edit_of_the_record_is_not_committed_along() {
    // A fresh file, and one older than the index, for which git relies on stat data.
    for age in [0, 60] {
        let sandbox = Sandbox::with_hello();
        sandbox.rotate(TOKEN, &["--secret-type", "dockerconfigjson"]).success();
        let path = sandbox.hello(".makeinfra.yaml");
        fs::write(&path, format!("{}# mine\n", record(&sandbox))).unwrap();
        let edited = fs::File::options().write(true).open(&path).unwrap();
        edited.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        sandbox.rotate(TOKEN, &["--commit"]).success();
        assert_eq!(
            sandbox.git(&["status", "--porcelain"]).success().stdout,
            " M .makeinfra.yaml\n"
        );
    }
}

#[test]
fn a_record_that_fell_behind_follows_again() {
    let sandbox = Sandbox::with_hello();
    let kind = ["--secret-type", "dockerconfigjson"];
    sandbox.rotate(TOKEN, &kind).success();
    sandbox.git(&["checkout", "-q", ".makeinfra.yaml"]).success();
    let output = sandbox.rotate(TOKEN, &["--commit"]).success();
    assert!(record(&sandbox).contains("secret-type: dockerconfigjson\n"), "{}", output.stdout);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn somebodys_file_with_a_similar_name_is_left_alone() {
    let sandbox = Sandbox::with_hello();
    let mine = sandbox.hello("secrets/kubernetes/.gitlab.secret.yaml.makeinfra-backup");
    fs::write(&mine, "mine").unwrap();
    sandbox.rotate("gldt-new", &[]).success();
    assert_eq!(fs::read_to_string(mine).unwrap(), "mine");
}

#[test]
fn the_same_token_keeps_its_expiry() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--expires-at", "2998-01-01"]).success();
    let token = sandbox.path("token").display().to_string();
    let args = ["rotate", "hello-infra", "--token-username", USER, "--token-file", &token];
    assert!(sandbox.makeinfra(&args).success().stdout.contains("nothing was written"));
    assert!(secret(&sandbox).contains("2998-01-01"));
}

#[test]
fn a_project_whose_name_ends_in_infra_stays_the_same() {
    let sandbox = Sandbox::new();
    sandbox.makeinfra(&["new", "a-infra-infra", "--image", IMAGE, "--no-token"]).success();
    let top = sandbox.work("a-infra-infra");
    let token = sandbox.path("token").display().to_string();
    let args = ["rotate", "a-infra-infra", "--token-username", USER, "--token-file", &token];
    sandbox.makeinfra(&args).success();
    let label = "app.kubernetes.io/name: a-infra\n";
    assert!(fs::read_to_string(top.join(SECRET)).unwrap().contains(label));
    assert!(
        fs::read_to_string(top.join("kubernetes/base/deployment.yaml")).unwrap().contains(label)
    );
}

#[test]
fn a_secret_that_was_renamed_stays_in_its_file() {
    let sandbox = Sandbox::with_hello();
    write_secret(&sandbox, &secret(&sandbox).replace("  name: gitlab\n", "  name: other\n"));
    for token in ["gldt-one", "gldt-two"] {
        sandbox
            .rotate(token, &[])
            .success()
            .says("warning: the name of the Secret is no longer `gitlab`");
    }
    assert_eq!(docker_config(&secret(&sandbox))["registry.gitlab.com"]["password"], "gldt-two");
    assert!(!sandbox.hello("secrets/kubernetes/other.secret.yaml").exists());
    assert!(record(&sandbox).contains("secret-name: gitlab\n"));
}

#[test]
fn a_key_that_does_not_serve_the_image_is_said() {
    let sandbox = Sandbox::with_hello();
    write_secret(&sandbox, &manifest("dockercfg", r#"{"gitlab.com":{"auth":"dTpw"}}"#));
    let output = sandbox.rotate("gldt-new", &[]).success();
    output.says("the kubelet would pull without credentials; --registry registry.gitlab.com");
    let output = sandbox.rotate("gldt-new", &["--registry", "registry.gitlab.com"]).success();
    assert!(
        output.stdout.contains("registry: gitlab.com -> registry.gitlab.com"),
        "{}",
        output.stdout
    );
    assert_eq!(output.stderr, "");
}

#[test]
fn a_key_with_a_password_in_it_is_not_shown() {
    let sandbox = Sandbox::with_hello();
    let json = format!(r#"{{"https://u:{TOKEN}@registry.gitlab.com":{{"auth":"dTpw"}}}}"#);
    write_secret(&sandbox, &manifest("dockercfg", &json));
    let output = sandbox.rotate("gldt-new", &["--registry", "registry.gitlab.com"]).success();
    assert_no_token(output.stdout.as_bytes(), "the output");
    assert!(
        output.stdout.contains("registry: another key -> registry.gitlab.com"),
        "{}",
        output.stdout
    );
}

#[test]
fn a_token_that_stood_for_the_user_name_is_not_shown() {
    let sandbox = Sandbox::with_hello();
    let json = format!(r#"{{"registry.gitlab.com":{{"username":"{TOKEN}","password":"{USER}"}}}}"#);
    write_secret(&sandbox, &manifest("dockercfg", &json));
    let output = sandbox.rotate("gldt-new", &[]).success();
    assert_no_token(output.stdout.as_bytes(), "the output");
    assert!(
        output.stdout.contains("user name: no user name -> gitlab+deploy-token-2"),
        "{}",
        output.stdout
    );
}

#[test]
fn nothing_is_cut_off_that_is_too_large() {
    let sandbox = Sandbox::with_hello();
    let text = format!("{}{}", secret(&sandbox), "# a long comment\n".repeat(200_000));
    write_secret(&sandbox, &text);
    sandbox.rotate("gldt-new", &[]).failure(1).says("is too large");
    assert_eq!(secret(&sandbox).len(), text.len());
}

#[test]
fn a_filter_that_is_not_git_crypt_protects_nothing() {
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["config", "filter.git-crypt.clean", "cat"]).success();
    sandbox.rotate("gldt-new", &[]).failure(10).says("would be committed in plaintext");
}

#[test]
fn a_value_in_the_place_of_a_file_is_not_quoted() {
    let sandbox = Sandbox::with_hello();
    let long = TOKEN.repeat(20);
    for option in ["--token-file", "--token-json", "--token-env"] {
        let mut args = vec!["rotate", "hello-infra", option, &long];
        if option != "--token-json" {
            args.extend(["--token-username", USER]);
        }
        sandbox.makeinfra(&args).failure(2);
    }
    sandbox
        .makeinfra(&["rotate", "hello-infra", &format!("--from-docker-config={long}")])
        .failure(2);
    sandbox
        .makeinfra(&["rotate", "hello-infra", "--token-username", TOKEN, "--token-stdin"])
        .stdin("x")
        .failure(2);
}

#[test]
fn waiting_is_not_writing() {
    let sandbox = Sandbox::with_hello();
    let before = secret(&sandbox);
    let mut child = waiting(&sandbox, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(secret(&sandbox), before);
    fs::remove_file(sandbox.path("pipe")).unwrap();
    let child = waiting(&sandbox, &[]);
    let (code, said) = feed(&sandbox, child, "gldt-new");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_first_token_that_was_not_committed_is_committed_with_its_entry() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    let planned = sandbox.rotate(TOKEN, &["--dry-run"]).success();
    planned.prints("kustomization.yaml  names the file of the pull secret");
    let output = sandbox.rotate(TOKEN, &[]).success();
    output.prints(&format!("git add {SECRET} {LIST} && git commit"));
    sandbox.rotate(TOKEN, &["--commit"]).success().prints("committed as");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    // Killed between the two files, or removed by hand: the next rotation lists it again.
    sandbox.edit(LIST, "resources:\n  - gitlab.secret.yaml\n", "resources: []\n");
    sandbox.rotate(TOKEN, &[]).success().prints(&format!("`{LIST}` now lists it"));
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn a_list_that_cannot_be_edited_is_left_alone_and_so_is_the_secret() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    sandbox.edit(LIST, "resources: []", "resources: {}");
    let output = sandbox.rotate(TOKEN, &[]).failure(1);
    output.says(&format!("cannot change `{LIST}`")).says(&format!("${{EDITOR:-vi}} {LIST}"));
    assert!(!sandbox.hello(SECRET).exists());
}

#[test]
fn the_logs_have_each_commit_as_git_would_log_it() {
    let sandbox = Sandbox::with_hello();
    let branch = sandbox.git(&["symbolic-ref", "HEAD"]).success().stdout.trim().to_owned();
    let logs = ["HEAD", &branch].map(|name| sandbox.hello(".git/logs").join(name));
    let rotate = |token: &str| {
        sandbox.rotate(token, &["--commit"]).success();
        logs.each_ref().map(|log| fs::read_to_string(log).map_or(0, |text| text.lines().count()))
    };
    assert_eq!(rotate("gldt-one"), [2, 2]);
    // An existing reflog is continued; git creates new ones unless configured otherwise.
    sandbox.git(&["config", "core.logAllRefUpdates", "false"]).success();
    assert_eq!(rotate("gldt-two"), [3, 3]);
    for log in &logs {
        fs::remove_file(log).unwrap();
    }
    assert_eq!(rotate("gldt-three"), [0, 0]);
    sandbox.git(&["config", "--unset", "core.logAllRefUpdates"]).success();
    assert_eq!(rotate("gldt-four"), [1, 1]);
    let last = |format: &str, args: &[&str]| {
        let format = format!("--format={format}");
        sandbox.git(&[&["log", "-1", &format], args].concat()).success().stdout
    };
    for name in ["HEAD", &branch] {
        assert_eq!(last("%H commit: %s %cn %ce", &[name]), last("%H %gs %gn %ge", &["-g", name]));
    }
    // Git's own next entry continues it.
    sandbox.git(&["commit", "--quiet", "--allow-empty", "-m", "next"]).success();
    let lines = fs::read_to_string(&logs[0]).unwrap();
    let (ours, next) = lines.split_once('\n').unwrap();
    assert_eq!(ours.split(' ').nth(1), next.split(' ').next());
}

#[test]
fn a_commit_with_the_token_of_an_earlier_rotation_says_so() {
    let keep = ["--keep-token", "--expires-at", "2999-06-30"];
    for (args, subject) in [
        (&keep[..], "Rotate the deploy token, and record when it expires"),
        (
            &["--remove-registry", "ghcr.io"],
            "Rotate the deploy token, and remove ghcr.io from the pull secret",
        ),
    ] {
        let sandbox = Sandbox::with_hello();
        sandbox.rotate("gldt-other", &["--add-registry", "ghcr.io", "--commit"]).success();
        sandbox.rotate("gldt-second", &["--expires-at", "2999-01-01"]).success();
        let command = [&["rotate", "hello-infra", "--commit"], args].concat();
        sandbox
            .makeinfra(&command)
            .success()
            .says("warning: the commit will include the token of an earlier rotation");
        assert_eq!(sandbox.git(&["log", "-1", "--format=%s"]).success().stdout.trim(), subject);
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    }
    // If HEAD has the token, the commit only contains the rest.
    let sandbox = Sandbox::with_hello();
    let output =
        sandbox.makeinfra(&[&["rotate", "hello-infra", "--commit"], &keep[..]].concat()).success();
    assert!(!output.stderr.contains("earlier rotation"), "{}", output.stderr);
    let subject = sandbox.git(&["log", "-1", "--format=%s"]).success().stdout;
    assert_eq!(subject.trim(), "Record when the deploy token expires");
}
