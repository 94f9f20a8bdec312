//! `makeinfra rotate`: changes the token and nothing else.

use super::new::is_clean;
use super::support::{
    IMAGE, Output, SECRET, Sandbox, TOKEN, USER, all_objects, assert_no_token, files_below, have,
    mode,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use std::fs;
use std::path::Path;

const NEW_USER: &str = "gitlab+deploy-token-2";

/// The Secret file of the generated repository.
pub fn secret(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello(SECRET)).unwrap()
}

pub fn record(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap()
}

/// The docker config in a Secret manifest.
pub fn docker_config(manifest: &str) -> serde_json::Value {
    let manifest: Value = serde_yaml::from_str(manifest).unwrap();
    let data = manifest["data"].as_mapping().unwrap();
    assert_eq!(data.len(), 1);
    let base64 = data.values().next().unwrap().as_str().unwrap();
    serde_json::from_slice(&STANDARD.decode(base64).unwrap()).unwrap()
}

/// The lines of `after` that are not in `before`, and the reverse.
fn changed_lines(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let missing = |from: &str, other: &str| -> Vec<String> {
        let other: Vec<_> = other.lines().collect();
        from.lines().filter(|line| !other.contains(line)).map(str::to_owned).collect()
    };
    (missing(before, after), missing(after, before))
}

/// Replaces the generated Secret by one that a user has written.
pub fn write_secret(sandbox: &Sandbox, text: &str) {
    fs::write(sandbox.hello(SECRET), text).unwrap();
}

pub fn manifest(kind: &str, json: &str) -> String {
    format!(
        "# ours\napiVersion: v1\nkind: Secret\nmetadata:\n  name: gitlab\n  namespace: hello\ntype: kubernetes.io/{kind}\n\
         data:\n  .{kind}: {}\n",
        STANDARD.encode(json)
    )
}

#[test]
fn writes_the_new_token_and_changes_no_other_line() {
    let sandbox = Sandbox::with_hello();
    let before = secret(&sandbox);
    let output = sandbox.rotate("gldt-new", &[]).success();
    let after = secret(&sandbox);
    let (gone, come) = changed_lines(&before, &after);
    assert_eq!((gone.len(), come.len()), (1, 2), "{come:?}");
    assert_eq!(come[0], format!("    makeinfra/superseded-tokens: {USER}"));
    assert!(come[1].starts_with("  .dockercfg: "));
    let entry = &docker_config(&after)["registry.gitlab.com"];
    assert_eq!((&entry["username"], &entry["password"]), (&NEW_USER.into(), &"gldt-new".into()));
    assert_eq!(entry["auth"], STANDARD.encode(format!("{NEW_USER}:gldt-new")));
    assert!(
        output.stdout.contains(&format!("user name: {USER} -> {NEW_USER}")),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("make deploy"));
    assert!(!output.stdout.contains("gldt-new"));
    assert_eq!(mode(&sandbox.hello(SECRET)), 0o600);
}

#[test]
fn keeps_labels_annotations_comments_and_order() {
    let sandbox = Sandbox::with_hello();
    let base64 = STANDARD.encode(r#"{"registry.gitlab.com":{"auth":"dTpw","email":"a@b.c"}}"#);
    let text = format!(
        "---\n# our pull secret, größer\nkind: Secret\napiVersion: v1\n\ntype: kubernetes.io/dockercfg  # as in the post\ndata:\n  \
         # one line\n  .dockercfg: >-\n    {base64}\nmetadata:\n  labels: {{team: \"a b\"}}\n  annotations:\n    note: 'it''s'  # why\n\
         \x20 name: gitlab\n  namespace: hello\n# the end\n"
    );
    write_secret(&sandbox, &text);
    sandbox.rotate("gldt-new", &["--expires-at", "2999-01-01"]).success();
    let after = secret(&sandbox);
    for line in text.lines().filter(|line| !line.contains(".dockercfg") && !line.contains(&base64))
    {
        assert!(after.contains(line), "{line} is gone:\n{after}");
    }
    let value: Value = serde_yaml::from_str(&after).unwrap();
    assert_eq!(value["metadata"]["annotations"]["makeinfra/expires-at"], "2999-01-01");
    assert_eq!(value["metadata"]["annotations"]["note"], "it's");
    assert_eq!(docker_config(&after)["registry.gitlab.com"]["email"], "a@b.c");
}

#[test]
fn the_expiry_comes_from_the_new_token_or_goes() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--expires-at", "2998-01-01"]).success();
    assert!(secret(&sandbox).contains("makeinfra/expires-at: "));
    let json = sandbox.write_private(
        "token.json",
        r#"{"id":2,"username":"gitlab+deploy-token-2","token":"gldt-json","expires_at":"2999-01-01T00:00:00.000Z"}"#,
    );
    let json = json.display().to_string();
    let output = sandbox.makeinfra(&["rotate", "hello-infra", "--token-json", &json]).success();
    assert!(
        output.stdout.contains("expires: 2998-01-01 -> 2999-01-01T00:00:00.000Z"),
        "{}",
        output.stdout
    );
    assert!(secret(&sandbox).contains("2999-01-01T00:00:00.000Z"));
    sandbox.rotate_as_given("gldt-third", &[]).success();
    assert!(!secret(&sandbox).contains("expires-at"));
}

#[test]
fn an_unknown_expiry_is_a_warning_and_is_recorded_by_what_is_printed() {
    let sandbox = Sandbox::new();
    let environments = ["--env", "staging", "--env", "production"];
    let token = sandbox.path("token").display().to_string();
    let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", &token];
    sandbox.makeinfra(&[&args[..], &environments].concat()).success();
    let checked = || super::check::check(&sandbox, &[]);
    assert_eq!(
        (checked().code, checked().warnings().first()),
        (Some(0), Some(&"pull-secret-expiry"))
    );
    let output = sandbox.makeinfra(&["check"]).cwd(sandbox.hello("")).success();
    let hint = "makeinfra rotate --keep-token --expires-at YYYY-MM-DD";
    output.prints(&format!("hint: {hint}"));
    let text = |env: &str| {
        fs::read_to_string(sandbox.hello(&format!("secrets/kubernetes/{env}/gitlab.secret.yaml")))
            .unwrap()
    };
    let before = text("staging");
    let run = |date: &str, more: &[&str]| {
        let command = hint.replace("YYYY-MM-DD", date);
        let words: Vec<_> = command.split(' ').skip(1).chain(more.iter().copied()).collect();
        sandbox.makeinfra(&words).cwd(sandbox.hello("")).success()
    };
    let planned = run("2999-01-01", &["--dry-run"]);
    assert!(planned.stdout.contains("expires: unknown -> 2999-01-01"), "{}", planned.stdout);
    assert_eq!(text("staging"), before);
    run("2999-01-01", &["--commit"]);
    assert_eq!(
        sandbox.git(&["log", "-1", "--format=%s"]).success().stdout,
        "Record when the deploy token expires\n"
    );
    assert_eq!(checked().warnings(), Vec::<&str>::new());
    // Nothing else has changed, and repeating it succeeds.
    let annotation = "  annotations:\n    makeinfra/expires-at: \"2999-01-01\"\n";
    let after = text("staging");
    assert_eq!(
        after.lines().filter(|line| !before.contains(line)).count(),
        annotation.lines().count(),
        "{after}"
    );
    assert_eq!(docker_config(&after), docker_config(&before));
    assert!(run("2999-01-01", &["--commit"]).stdout.contains("already record this expiry"));
    run("never", &["--env", "production"]);
    assert!(text("production").contains("never") && text("staging") == after);
    for wrong in [
        &["rotate", "--keep-token"][..],
        &["rotate", "--keep-token", "--expires-at", "never", "--token-stdin"],
    ] {
        sandbox.makeinfra(wrong).cwd(sandbox.hello("")).failure(2);
    }
}

#[test]
fn answers_that_are_edited_stay_out_of_the_commit() {
    let sandbox = Sandbox::with_hello();
    sandbox.edit(".makeinfra.yaml", "replicas: 2", "replicas: 5");
    sandbox.rotate("gldt-new", &["--secret-type", "dockerconfigjson", "--commit"]).success();
    let committed = sandbox.git(&["show", "HEAD:.makeinfra.yaml"]).success().stdout;
    let here = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    for (text, replicas) in [(committed, "replicas: 2"), (here, "replicas: 5")] {
        assert!(
            text.contains(replicas) && text.contains("secret-type: dockerconfigjson"),
            "{text}"
        );
    }
}

#[test]
fn the_same_credentials_write_nothing() {
    let sandbox = Sandbox::with_hello();
    let before = fs::metadata(sandbox.hello(SECRET)).unwrap().modified().unwrap();
    let token = sandbox.path("token").display().to_string();
    let args =
        ["rotate", "hello-infra", "--commit", "--token-username", USER, "--token-file", &token];
    let output = sandbox.makeinfra(&args).success();
    assert!(output.stdout.contains("nothing was written"), "{}", output.stdout);
    assert_eq!(fs::metadata(sandbox.hello(SECRET)).unwrap().modified().unwrap(), before);
    assert_eq!(sandbox.git(&["rev-list", "--count", "HEAD"]).success().stdout, "1\n");
}

#[test]
fn keeps_the_other_registries() {
    let sandbox = Sandbox::with_hello();
    let json = r#"{"auths":{"a.example.com":{"auth":"dTpw"},"registry.gitlab.com":{"auth":"dTpw"},"z":{"username":"u","password":"p"}}}"#;
    write_secret(&sandbox, &manifest("dockerconfigjson", json));
    sandbox.rotate("gldt-new", &[]).success();
    let config = docker_config(&secret(&sandbox));
    let keys: Vec<_> = config["auths"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["a.example.com", "registry.gitlab.com", "z"]);
    assert_eq!(config["auths"]["a.example.com"]["auth"], "dTpw");
    assert_eq!(config["auths"]["registry.gitlab.com"]["password"], "gldt-new");
}

#[test]
fn asks_which_registry_where_several_may_be_meant() {
    let sandbox = Sandbox::with_hello();
    let json = r#"{"a.example.com":{"auth":"dTpw"},"registry.gitlab.com/group":{"auth":"dTpw"}}"#;
    write_secret(&sandbox, &manifest("dockercfg", json));
    sandbox.rotate("gldt-new", &[]).failure(1).says("several registries").says("--registry KEY");
    sandbox.rotate("gldt-new", &["--registry", "registry.gitlab.com/group"]).success();
    let config = docker_config(&secret(&sandbox));
    assert_eq!(config["registry.gitlab.com/group"]["password"], "gldt-new");
    assert_eq!(config["a.example.com"]["auth"], "dTpw");
    assert!(
        record(&sandbox).contains("registry: registry.gitlab.com/group\n"),
        "{}",
        record(&sandbox)
    );
}

#[test]
fn converts_between_the_two_types_and_back() {
    let sandbox = Sandbox::with_hello();
    let before = docker_config(&secret(&sandbox));
    let token = sandbox.path("token").display().to_string();
    let convert = |kind: &str| {
        let args = [
            "rotate",
            "hello-infra",
            "--token-username",
            USER,
            "--token-file",
            &token,
            "--secret-type",
            kind,
        ];
        sandbox.makeinfra(&args).success()
    };
    let output = convert("dockerconfigjson");
    assert!(
        output.stdout.contains("type: kubernetes.io/dockercfg -> kubernetes.io/dockerconfigjson")
    );
    let after = secret(&sandbox);
    assert!(
        after.contains("type: kubernetes.io/dockerconfigjson\n")
            && after.contains("  .dockerconfigjson: ")
    );
    assert_eq!(docker_config(&after)["auths"], before);
    assert!(record(&sandbox).contains("secret-type: dockerconfigjson\n"));
    convert("dockercfg");
    assert_eq!(docker_config(&secret(&sandbox)), before);
    assert!(record(&sandbox).contains("secret-type: dockercfg\n"));
}

#[test]
fn the_record_follows_the_secret_file() {
    let sandbox = Sandbox::with_hello();
    // The overlay sets the Secret's namespace, whatever its file says.
    let text = secret(&sandbox).replace("metadata:\n", "metadata:\n  namespace: other\n");
    write_secret(&sandbox, &text);
    let comment = format!("# keep me\n{}", record(&sandbox));
    fs::write(sandbox.hello(".makeinfra.yaml"), &comment).unwrap();
    sandbox.rotate("gldt-new", &["--email", "ops@example.com"]).success();
    let after = record(&sandbox);
    assert!(after.starts_with("# keep me\n"));
    assert!(
        after.contains("email: ops@example.com") && !after.contains("namespace: other"),
        "{after}"
    );
    assert_eq!(docker_config(&secret(&sandbox))["registry.gitlab.com"]["email"], "ops@example.com");
}

#[test]
fn creates_the_file_where_no_token_was_used() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&["--secret-type", "dockerconfigjson", "--email", "a@b.c"]).success();
    assert!(!sandbox.hello(SECRET).exists());
    let output = sandbox.rotate(TOKEN, &["--commit"]).success();
    assert!(
        output.stdout.contains("Created secrets/kubernetes/gitlab.secret.yaml, committed as"),
        "{}",
        output.stdout
    );
    let other = Sandbox::new();
    other.write_private("token", TOKEN);
    let token = other.path("token").display().to_string();
    let args =
        ["new", "hello", "--image", IMAGE, "--secret-type", "dockerconfigjson", "--email", "a@b.c"];
    let token = ["--token-username", NEW_USER, "--token-file", &token, "--expires-at", "never"];
    other.makeinfra(&[&args[..], &token].concat()).success();
    assert_eq!(secret(&sandbox), secret(&other), "`rotate` makes the file that `new` makes");
    let list = |sandbox: &Sandbox| {
        fs::read_to_string(sandbox.hello("secrets/kubernetes/kustomization.yaml")).unwrap()
    };
    assert_eq!(list(&sandbox), list(&other), "and lists it");
    is_clean(&sandbox, None);
    assert_eq!(mode(&sandbox.hello(SECRET)), 0o600);
}

#[test]
fn finds_the_repository_from_any_folder_below_it() {
    let sandbox = Sandbox::with_hello();
    sandbox.rotate("gldt-one", &[]).cwd(sandbox.hello("secrets/kubernetes")).success();
    sandbox.rotate("gldt-two", &["kubernetes"]).success();
    assert_eq!(docker_config(&secret(&sandbox))["registry.gitlab.com"]["password"], "gldt-two");
}

#[test]
fn commits_just_the_secret_encrypted_and_leaves_what_is_staged() {
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("README.md"), "staged\n").unwrap();
    fs::write(sandbox.hello("new.txt"), "staged\n").unwrap();
    sandbox.git(&["add", "README.md", "new.txt"]).success();
    fs::write(sandbox.hello("Makefile"), "not staged\n").unwrap();
    let output = sandbox.rotate(TOKEN, &["--commit", "--json"]).success();
    let commit = output.json()["commit"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.git(&["rev-parse", "HEAD"]).success().stdout.trim(), commit);
    let changed = sandbox.git(&["show", "--name-only", "--format=", "HEAD"]).success().stdout;
    assert_eq!(changed.trim(), SECRET);
    let status = sandbox.git(&["status", "--porcelain"]).success().stdout;
    assert_eq!(status, " M Makefile\nM  README.md\nA  new.txt\n");
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "the objects");
    sandbox.git(&["fsck", "--strict"]).success();
}

#[test]
fn git_is_clean_after_a_commit_even_without_git_crypt() {
    let sandbox = Sandbox::with_hello();
    sandbox.rotate(TOKEN, &["--commit", "--secret-type", "dockerconfigjson"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    // A PATH with only git: the filter is required and cannot run.
    let git = sandbox.run("sh", &["-c", "command -v git"]).success().stdout;
    fs::create_dir_all(sandbox.path("bin")).unwrap();
    std::os::unix::fs::symlink(git.trim(), sandbox.path("bin/git")).unwrap();
    let status = sandbox.git(&["status", "--porcelain"]).env("PATH", sandbox.path("bin"));
    assert_eq!(status.success().stdout, "");
}

#[test]
fn the_commit_holds_what_git_crypt_would_have_stored() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    sandbox.rotate(TOKEN, &["--commit"]).success();
    let plain = fs::read(sandbox.hello(SECRET)).unwrap();
    let clean =
        sandbox.run("git-crypt", &["clean"]).cwd(sandbox.hello("")).stdin(&plain).success().bytes;
    let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{SECRET}")]).success().bytes;
    assert_eq!(clean, blob);
    let status = sandbox.run("git-crypt", &["status"]).cwd(sandbox.hello("")).success().stdout;
    assert!(status.contains(&format!("    encrypted: {SECRET}")), "{status}");
}

/// Expects a refusal with these words, and that nothing has changed.
#[track_caller]
fn refused(sandbox: &Sandbox, args: &[&str], words: &[&str]) -> Output {
    refused_as(1, sandbox, args, words)
}

#[track_caller]
fn refused_as(code: i32, sandbox: &Sandbox, args: &[&str], words: &[&str]) -> Output {
    let hash = |sandbox: &Sandbox| -> Vec<(String, Vec<u8>)> {
        let top = sandbox.hello("");
        files_below(&top)
            .into_iter()
            .map(|file| (file.clone(), fs::read(top.join(&file)).unwrap()))
            .collect()
    };
    let before = hash(sandbox);
    let output = sandbox.rotate(TOKEN, args).failure(code);
    for word in words {
        output.says(word);
    }
    output.says("hint: ");
    assert!(hash(sandbox) == before, "something was written");
    output
}

#[test]
fn refuses_a_locked_file() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();
    fs::rename(sandbox.work("clone"), sandbox.work("hello-infra")).unwrap();
    refused_as(10, &sandbox, &[], &["locked", "git-crypt unlock"]);
}

#[test]
fn refuses_a_repository_that_would_commit_the_secret_in_plain() {
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["config", "--unset", "filter.git-crypt.clean"]).success();
    refused_as(10, &sandbox, &[], &["would be committed in plaintext", "is not configured"]);

    let sandbox = Sandbox::with_hello();
    sandbox.git(&["config", "filter.git-crypt.required", "false"]).success();
    refused(&sandbox, &[], &["would be committed in plaintext", "is not required"]);

    for attributes in
        ["secrets/ filter=git-crypt", "secrets/* filter=git-crypt", "secrets/** !filter", ""]
    {
        let sandbox = Sandbox::with_hello();
        fs::write(sandbox.hello(".gitattributes"), format!("{attributes}\n")).unwrap();
        refused(&sandbox, &[], &["would be committed in plaintext", "secrets/** filter=git-crypt"]);
    }
}

#[test]
fn refuses_a_secret_that_it_does_not_understand() {
    let good = r#"{"registry.gitlab.com":{"auth":"dTpw"}}"#;
    let post = r#"{"auths":{"registry.gitlab.com":{"auth":"dTpw"}}}"#;
    let plain = manifest("dockercfg", good);
    for (text, word) in [
        (manifest("dockercfg", post), "wrapped in `auths`"),
        (manifest("dockerconfigjson", good), "no `auths`"),
        (manifest("dockercfg", "not json"), "not a JSON object"),
        (plain.replace("kind: Secret", "kind: ConfigMap"), "`kind: Secret`"),
        (plain.replace("kubernetes.io/dockercfg", "Opaque"), "`type` is neither"),
        (plain.replace("  .dockercfg", "  .dockerconfigjson"), "requires the key"),
        (plain.replace("data:", "stringData:"), "stringData"),
        (format!("{plain}---\n{plain}"), "not a single YAML document"),
        (plain.replace("metadata:", "metadata: &a"), "cannot"),
        ("{".into(), "not a single YAML document"),
        (String::new(), "`kind: Secret`"),
    ] {
        let sandbox = Sandbox::with_hello();
        write_secret(&sandbox, &text);
        let output = refused(&sandbox, &[], &[]);
        assert!(output.stderr.contains(word) || word == "cannot", "{word}:\n{}", output.stderr);
    }
}

#[test]
fn refuses_what_is_no_repository_of_ours() {
    let sandbox = Sandbox::new();
    sandbox.makeinfra(&["rotate", "--no-input"]).failure(1).says("no git repository at");
    // An argument that is not a directory may be a token, so it is not quoted.
    let output = sandbox.makeinfra(&["rotate", TOKEN, "--no-input"]).failure(2);
    output.says("`REPO` must be a directory").says("hint: ");
    sandbox.run("git", &["init", "-q"]).success();
    sandbox.makeinfra(&["rotate", "--no-input"]).failure(1).says("neither `.makeinfra.yaml`");
}

#[test]
fn refuses_a_registry_key_that_the_kubelet_would_not_match() {
    let sandbox = Sandbox::with_hello();
    sandbox.rotate(TOKEN, &["--registry", "gitlab.com"]).failure(2).says("must match the image");
    sandbox.rotate(TOKEN, &["--registry", "registry.gitlab.com/group"]).success();
    assert_eq!(
        docker_config(&secret(&sandbox)).as_object().unwrap().keys().next().unwrap(),
        "registry.gitlab.com/group"
    );
}

#[test]
fn refuses_to_commit_where_that_cannot_be() {
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello(".git/index.lock"), "").unwrap();
    refused(&sandbox, &["--commit"], &["index.lock"]);
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-commit"]).success();
    refused(&sandbox, &["--commit"], &["no commits yet"]);
    let sandbox = Sandbox::with_hello();
    fs::remove_file(sandbox.hello(".git/git-crypt/keys/default")).unwrap();
    refused_as(10, &sandbox, &["--commit"], &["no git-crypt key", "git-crypt unlock"]);
    let other = Sandbox::with_hello();
    fs::copy(
        other.hello(".git/git-crypt/keys/default"),
        sandbox.hello(".git/git-crypt/keys/default"),
    )
    .unwrap();
    refused_as(11, &sandbox, &["--commit"], &["belongs to another repository", "git-crypt unlock"]);
}

#[test]
fn refuses_to_commit_for_nobody() {
    let sandbox = Sandbox::with_hello();
    let mut run = sandbox.rotate(TOKEN, &["--commit"]);
    for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]
    {
        run = run.without_env(name);
    }
    run.failure(1).says("has no user name and email").says("git config");
}

#[test]
fn a_missing_token_is_one_error_that_names_the_options() {
    let sandbox = Sandbox::with_hello();
    let output = sandbox.makeinfra(&["rotate", "hello-infra"]).failure(2);
    output.says("--token-username").says("--token-file");
}

#[test]
fn a_dry_run_writes_nothing_and_needs_no_token() {
    let sandbox = Sandbox::with_hello();
    let before = secret(&sandbox);
    let output = sandbox.makeinfra(&["rotate", "hello-infra", "--dry-run"]).success();
    assert!(
        output.stdout.contains("Nothing was written")
            && output.stdout.contains("gitlab.secret.yaml")
    );
    let output = sandbox.rotate("gldt-new", &["--dry-run", "--json"]).success().json();
    assert_eq!((&output["dry_run"], &output["changed"]), (&true.into(), &false.into()));
    assert_eq!(output["files"][0]["path"], SECRET);
    assert_eq!(secret(&sandbox), before);
}

#[test]
fn json_tells_the_change_and_no_secret() {
    let sandbox = Sandbox::with_hello();
    let output = sandbox.rotate(TOKEN, &["--json", "--expires-at", "2020-01-01"]).success();
    let json = output.json();
    assert_eq!(json["changed"], true);
    assert_eq!(json["files"], serde_json::json!([{"path": SECRET, "change": "changed"}]));
    assert!(json["warnings"][0].as_str().unwrap().contains("expired"));
    assert_no_token(output.stdout.as_bytes(), "the JSON");
}

#[test]
fn what_a_killed_rotation_left_is_named_and_removed() {
    let sandbox = Sandbox::with_hello();
    let left = sandbox.hello("secrets/kubernetes/.gitlab.secret.yaml.makeinfra-Ab12Cd34Ef56");
    fs::write(&left, TOKEN).unwrap();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "git does not see it");
    sandbox.rotate("gldt-new", &[]).success().says("a killed run");
    assert!(!left.exists());
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let sandbox = Sandbox::with_hello();
    let old = secret(&sandbox);
    let small = sandbox.path("small");
    fs::create_dir(&small).unwrap();
    let mounted = sandbox
        .run("mount", &["-t", "tmpfs", "-o", "size=400k", "tmpfs", small.to_str().unwrap()])
        .output();
    if mounted.code != Some(0) {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here: run the tests as root");
        return;
    }
    sandbox.run("cp", &["-r", "hello-infra", small.to_str().unwrap()]).success();
    let fill = |dir: &Path| {
        while fs::write(dir.join(format!("fill{}", files_below(dir).len())), [0; 512]).is_ok() {}
    };
    fill(&small);
    let output = sandbox.rotate(TOKEN, &["--commit"]).cwd(small.join("hello-infra")).output();
    let kept = fs::read_to_string(small.join("hello-infra").join(SECRET));
    let left: Vec<_> =
        files_below(&small).into_iter().filter(|file| file.contains(".makeinfra-")).collect();
    sandbox.run("umount", &[small.to_str().unwrap()]).success();
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    output.says("No space left").says("hint: df -h");
    assert_eq!(kept.unwrap(), old);
    assert_eq!(left, Vec::<String>::new());
}
