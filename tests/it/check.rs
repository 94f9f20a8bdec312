//! `makeinfra check`: each problem is found by its own check alone, and a good repository has none.

use super::examples::repo;
use super::rotate::{manifest, write_secret};
use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, ToSpan};
use makeinfra::answers::ImageRef;
use makeinfra::checks::Id;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The result of `check --json`.
pub struct Checked {
    pub code: Option<i32>,
    pub checks: Vec<Value>,
}

impl Checked {
    /// The ids of the checks with this status.
    pub fn ids(&self, status: &str) -> BTreeSet<&str> {
        let with = self.checks.iter().filter(|check| check["status"] == status);
        with.map(|check| check["id"].as_str().unwrap()).collect()
    }

    pub fn problems(&self) -> Vec<&str> {
        self.ids("problem").into_iter().collect()
    }

    pub fn warnings(&self) -> Vec<&str> {
        self.ids("warning").into_iter().collect()
    }

    /// The messages of the check `id`.
    pub fn messages(&self, id: &str) -> String {
        let said = self.checks.iter().filter(|check| check["id"] == id);
        said.map(|check| {
            let text = |name: &str| check[name].as_str().unwrap();
            format!("{}: {} ({})\n", text("subject"), text("message"), text("hint"))
        })
        .collect()
    }
}

/// Runs `check` twice, as text and as JSON: both agree, show no token, and never print `error:`.
#[track_caller]
pub fn check_in(sandbox: &Sandbox, dir: &str, args: &[&str]) -> Checked {
    let run = |more: &[&str]| {
        let output =
            sandbox.makeinfra(&[&["check"], args, more].concat()).cwd(sandbox.work(dir)).output();
        assert_no_token(output.stdout.as_bytes(), "stdout");
        assert_no_token(output.stderr.as_bytes(), "stderr");
        assert_eq!(output.stderr, "", "{}", output.stdout);
        output
    };
    let (text, json) = (run(&["--verbose"]), run(&["--json"]));
    let checks = json.json()["checks"].as_array().unwrap().clone();
    for check in &checks {
        let (id, hint) = (check["id"].as_str().unwrap(), check["hint"].as_str().unwrap());
        assert!(Id::ALL.iter().any(|known| known.as_str() == id), "{id}");
        assert!(text.stdout.contains(id) && text.stdout.contains(hint), "{}", text.stdout);
        let silent =
            hint.is_empty() && !check["message"].as_str().unwrap().starts_with("not checked");
        assert!(check["status"] != "problem" || !silent, "a problem without a hint: {check}");
    }
    assert_eq!(text.code, json.code, "{}", text.stdout);
    Checked { code: json.code, checks }
}

#[track_caller]
pub fn check(sandbox: &Sandbox, args: &[&str]) -> Checked {
    check_in(sandbox, "hello-infra", args)
}

/// Replaces `old` in a file of the generated repository.
#[track_caller]
pub fn edit(sandbox: &Sandbox, file: &str, old: &str, new: &str) {
    let text = fs::read_to_string(sandbox.hello(file)).unwrap();
    assert!(text.contains(old), "no `{old}` in {file}:\n{text}");
    fs::write(sandbox.hello(file), text.replace(old, new)).unwrap();
}

/// Stages `text` in plaintext, as `git add` does without git-crypt.
pub fn stage_plain(sandbox: &Sandbox, path: &str, text: &str) {
    let hash =
        sandbox.git(&["hash-object", "-w", "--no-filters", "--stdin"]).stdin(text).success().stdout;
    sandbox
        .git(&["update-index", "--add", "--cacheinfo", &format!("100644,{},{path}", hash.trim())])
        .success();
}

pub fn commit(sandbox: &Sandbox, message: &str) -> String {
    sandbox.git(&["commit", "-q", "--no-verify", "--allow-empty", "-m", message]).success();
    sandbox.git(&["rev-parse", "HEAD"]).success().stdout.trim().to_owned()
}

fn config(entry: &str) -> String {
    format!(r#"{{"registry.gitlab.com":{entry}}}"#)
}

fn auth(pair: &str) -> String {
    config(&format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(pair)))
}

#[test]
fn a_fresh_repository_is_in_order_whatever_the_options() {
    let digest = format!("registry.gitlab.com/group/hello@sha256:{HEX}");
    for args in [
        &[][..],
        &[
            "--secret-type",
            "dockerconfigjson",
            "--pod-security",
            "baseline",
            "--ingress",
            "hello.example.com",
        ],
        &[
            "--no-commit",
            "--email",
            "a@b.c",
            "--expires-at",
            "2999-12-31",
            "--health-path",
            "/healthz",
        ],
        &["--no-git", "--namespace", "other", "--secret-name", "pull", "--replicas", "0"],
        &["--registry", "registry.gitlab.com/group", "--namespace", "1"],
    ] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(args).success();
        let checked = check(&sandbox, &["--strict"]);
        assert_eq!(
            (checked.code, checked.problems(), checked.warnings()),
            (Some(0), vec![], vec![]),
            "{args:?}"
        );
        // There are no further environments. Without git, the first six checks are left out, and
        // those of merges, hooks, tracked files and earlier records; without a commit, those of
        // HEAD and of records.
        let left_out = match () {
            () if args.contains(&"--no-git") => 13,
            () if args.contains(&"--no-commit") => 3,
            () => 1,
        };
        assert_eq!(
            checked.ids("ok").len() + checked.ids("note").len() + left_out,
            offline().count(),
            "{args:?}"
        );
    }
    for image in [digest.as_str(), "me/app:1"] {
        let sandbox = Sandbox::new();
        let token = sandbox.path("token").display().to_string();
        let args =
            ["new", "hello", "--image", image, "--token-username", USER, "--token-file", &token];
        sandbox.makeinfra(&[&args[..], &["--expires-at", "never"]].concat()).success();
        assert_eq!(check(&sandbox, &["--strict"]).code, Some(0), "{image}");
    }
}

#[test]
fn a_repository_without_its_token_says_what_to_type() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    let checked = check(&sandbox, &[]);
    assert_eq!((checked.code, checked.problems()), (Some(1), vec!["pull-secret-present"]));
    assert!(checked.messages("pull-secret-present").contains("makeinfra rotate"));
    // Not to be mistaken for ok.
    assert!(checked.messages("pull-secret-matches-images").contains("not checked"));
    assert!(!checked.ids("ok").iter().any(|id| id.starts_with("pull-secret-")));
}

/// The checks that need no registry.
fn offline() -> impl Iterator<Item = &'static Id> {
    Id::ALL.iter().filter(|id| !id.is_online())
}

/// Breaks the generated repository in one way.
fn break_it(sandbox: &Sandbox, id: Id) {
    let secret = |kind: &str, json: &str| write_secret(sandbox, &manifest(kind, json));
    let plain = "secrets/kubernetes/app.yaml";
    match id {
        Id::SecretsCovered => edit(sandbox, ".gitattributes", "secrets/**", "secrets/*"),
        Id::SecretsFilter => {
            sandbox.git(&["config", "filter.git-crypt.required", "false"]).success();
        }
        Id::SecretsKey => {
            let key = ".git/git-crypt/keys/default";
            fs::copy(Sandbox::with_hello().hello(key), sandbox.hello(key)).unwrap();
        }
        Id::SecretsIndex => stage_plain(sandbox, plain, TOKEN),
        Id::SecretsHead => {
            stage_plain(sandbox, plain, TOKEN);
            commit(sandbox, "Oh no");
            sandbox.git(&["rm", "-q", "--cached", plain]).success();
        }
        Id::SecretsHistory => {
            break_it(sandbox, Id::SecretsHead);
            commit(sandbox, "Mend it");
        }
        // As after a merge in which both sides have changed the file.
        Id::SecretsMerged => {
            let blob = sandbox.git(&["rev-parse", &format!("HEAD:{SECRET}")]).success().stdout;
            let stages: String = (1..=3)
                .map(|stage| format!("100644 {} {stage}\t{SECRET}\n", blob.trim()))
                .collect();
            sandbox.git(&["update-index", "--force-remove", SECRET]).success();
            sandbox.git(&["update-index", "--index-info"]).stdin(stages).success();
        }
        Id::SecretsListed => {
            sandbox.write_private("work/hello-infra/secrets/kubernetes/stray.env", "KEY=value\n");
        }
        Id::SecretsGenerated => {
            let set = ["secret", "set", "mail", "PASSWORD", "--stdin"];
            sandbox.makeinfra(&set).cwd(sandbox.hello("")).stdin("value").success();
            sandbox.append("secrets/kubernetes/mail.env", "OTHER\n");
        }
        Id::SecretsMode => {
            fs::set_permissions(sandbox.hello(SECRET), fs::Permissions::from_mode(0o644)).unwrap();
        }
        Id::KeyInWorkTree => {
            fs::copy(sandbox.hello(".git/git-crypt/keys/default"), sandbox.hello("hello.key"))
                .unwrap();
        }
        Id::CommitHook => fs::remove_file(sandbox.hello(".githooks/pre-commit")).unwrap(),
        // As after a commit that was stopped when its branch had moved.
        Id::IndexCurrent => {
            sandbox.rotate("gldt-Second", &["--commit"]).success();
            let earlier = sandbox.git(&["rev-parse", &format!("HEAD^:{SECRET}")]).success().stdout;
            let entry = format!("100644,{},{SECRET}", earlier.trim());
            sandbox.git(&["update-index", "--cacheinfo", &entry]).success();
        }
        Id::FilesTracked => {
            sandbox.write("work/hello-infra/.git/info/exclude", "service.yaml\n");
            sandbox.git(&["rm", "-q", "--cached", "kubernetes/base/service.yaml"]).success();
        }
        Id::PullSecretPresent => {
            write_secret(sandbox, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
        }
        Id::PullSecretType => {
            write_secret(
                sandbox,
                &manifest("dockercfg", &auth("u:p")).replace("kubernetes.io/dockercfg", "Opaque"),
            );
        }
        Id::PullSecretWrapping => secret("dockercfg", &format!(r#"{{"auths":{}}}"#, auth("u:p"))),
        Id::PullSecretAuth => secret("dockercfg", &auth(&format!("{USER}:{TOKEN}\n"))),
        Id::PullSecretCredentials => {
            secret("dockercfg", &auth(&format!("gitlab-ci-token:{TOKEN}")));
        }
        Id::PullSecretName => edit(sandbox, SECRET, "  name: gitlab", "  name: github"),
        // Everything in an overlay is in its namespace.
        Id::PullSecretNamespace => {
            let pod = "kind: Pod\nmetadata: {name: debug, namespace: default}\nspec: {imagePullSecrets: [{name: gitlab}], \
                       containers: [{name: a, image: 'registry.gitlab.com/group/debug:1'}]}\n";
            fs::write(sandbox.hello("kubernetes/pod.yaml"), pod).unwrap();
        }
        Id::PullSecretMatchesImages => secret("dockercfg", &auth("u:p").replace("registry.", "")),
        Id::PullSecretExposed => {
            fs::write(sandbox.hello("notes.txt"), format!("the token is {TOKEN}\n")).unwrap();
            sandbox.git(&["add", "notes.txt"]).success();
        }
        Id::PullSecretExpiry => {
            sandbox.rotate(TOKEN, &["--expires-at", "2020-01-01"]).success();
        }
        Id::ManifestsParse => {
            fs::write(sandbox.hello("kubernetes/more.yaml"), "a: [b\nc: }").unwrap();
        }
        Id::ManifestsKustomize => {
            edit(sandbox, "kubernetes/base/kustomization.yaml", "- service.yaml", "- servise.yaml");
        }
        Id::WorkloadsFound => {
            edit(sandbox, "kubernetes/base/kustomization.yaml", "  - deployment.yaml\n", "");
        }
        Id::WorkloadsNamePullSecret => {
            edit(
                sandbox,
                "kubernetes/base/deployment.yaml",
                "      imagePullSecrets:\n        - name: gitlab\n",
                "",
            );
        }
        Id::ImagesPinned => {
            edit(
                sandbox,
                "kubernetes/overlays/production/kustomization.yaml",
                "    newTag: \"1.0.0\"\n",
                "",
            );
        }
        Id::ImagesPull | Id::RunningPodsPull => unreachable!("see check_online and check_running"),
        Id::EnvironmentsAgree => {
            edit(
                sandbox,
                "kubernetes/overlays/production/environment.mk",
                "PROTECTED :=",
                "PROTECTED := yes",
            );
        }
        Id::HostsDiffer | Id::SecretsUsed | Id::ReplicasScaled => {
            unreachable!("see check_environments")
        }
        Id::RecordFollowed | Id::TemplatesCurrent => {
            unreachable!("see update: no problem, but a warning and a note")
        }
        Id::MakefileTargets => edit(sandbox, "Makefile", "\ngitlab-secret:", "\ngitlab_secret:"),
    }
}

#[test]
fn each_check_finds_its_fault_and_no_other_one_does() {
    // A single environment cannot share a host with another one.
    let others = [
        Id::HostsDiffer,
        Id::SecretsUsed,
        Id::ReplicasScaled,
        Id::RecordFollowed,
        Id::TemplatesCurrent,
    ];
    for id in offline().filter(|id| !others.contains(id)) {
        let sandbox = Sandbox::with_hello();
        break_it(&sandbox, *id);
        let checked = check(&sandbox, &[]);
        let said = checked.messages(id.as_str());
        // Every pull resets a file to a mode that others can read: a warning.
        let found = match id {
            Id::SecretsMode | Id::FilesTracked | Id::CommitHook => {
                (checked.code == Some(0), checked.warnings())
            }
            _ => (checked.code == Some(1), checked.problems()),
        };
        assert_eq!(found, (true, vec![id.as_str()]), "{said}");
        assert!(!checked.ids("ok").contains(id.as_str()), "{said}");
    }
}

#[test]
fn what_is_printed_for_git_brings_the_file_there() {
    for id in [Id::IndexCurrent, Id::FilesTracked] {
        let sandbox = Sandbox::with_hello();
        break_it(&sandbox, id);
        let json = sandbox.makeinfra(&["check", "--json"]).cwd(sandbox.hello("")).output().json();
        let found =
            json["checks"].as_array().unwrap().iter().find(|one| one["id"] == id.as_str()).unwrap();
        sandbox
            .run("sh", &["-c", found["hint"].as_str().unwrap()])
            .cwd(sandbox.hello(""))
            .success();
        assert_eq!(check(&sandbox, &["--strict"]).code, Some(0), "{json}");
    }
    // The same when a file is written.
    let sandbox = Sandbox::with_hello();
    sandbox.write("work/hello-infra/.git/info/exclude", "kubeconfig*\n");
    let add = ["add", "kubeconfig-sync", "--port", "none", "--yes", "--json"];
    let json = sandbox.makeinfra(&add).cwd(sandbox.hello("")).success().json();
    assert_eq!(check(&sandbox, &[]).warnings(), ["files-tracked"]);
    sandbox.run("sh", &["-c", json["next"][0].as_str().unwrap()]).cwd(sandbox.hello("")).success();
    assert_eq!(sandbox.git(&["status", "--porcelain", "--ignored"]).success().stdout, "");
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
}

#[test]
fn what_a_generated_repository_lacks_is_found_and_the_hint_mends_it() {
    type Break = fn(&Sandbox);
    let hook = ".githooks/pre-commit";
    let rows: [(&str, &str, &str, Break); 5] = [
        ("makefile-targets", "problem", "scripts/deploy.sh", |sandbox| {
            fs::remove_file(sandbox.hello("scripts/deploy.sh")).unwrap();
        }),
        ("commit-hook", "warning", hook, |sandbox| {
            fs::remove_file(sandbox.hello(".githooks/pre-commit")).unwrap();
        }),
        ("commit-hook", "warning", hook, |sandbox| {
            let mode = fs::Permissions::from_mode(0o644);
            fs::set_permissions(sandbox.hello(".githooks/pre-commit"), mode).unwrap();
        }),
        ("commit-hook", "note", hook, |sandbox| {
            sandbox.git(&["config", "--unset", "core.hooksPath"]).success();
        }),
        ("files-tracked", "warning", "kubernetes/base/service.yaml", |sandbox| {
            sandbox.git(&["rm", "-q", "--cached", "kubernetes/base/service.yaml"]).success();
        }),
    ];
    for (id, status, subject, break_it) in rows {
        let sandbox = Sandbox::with_hello();
        break_it(&sandbox);
        let checked = check(&sandbox, &[]);
        let found = checked.checks.iter().find(|one| one["id"] == id).unwrap();
        assert_eq!(
            (&found["status"], &found["subject"]),
            (&status.into(), &subject.into()),
            "{found}"
        );
        let hint = found["hint"].as_str().unwrap().replace("update", "update --yes");
        let bin = Path::new(env!("CARGO_BIN_EXE_makeinfra")).parent().unwrap().display();
        let path = format!("{bin}:{}", sandbox.own_path());
        sandbox.run("sh", &["-c", &hint]).cwd(sandbox.hello("")).env("PATH", path).success();
        let checked = check(&sandbox, &["--strict"]);
        assert_eq!((checked.code, checked.ids("note").len()), (Some(0), 0), "{hint}");
    }
}

#[test]
fn a_machine_without_git_crypt_is_told_what_git_cannot_do_there() {
    let sandbox = Sandbox::with_hello();
    let run = |path: &str| {
        let args = ["check", "--json", "--no-history"];
        let json =
            sandbox.makeinfra(&args).cwd(sandbox.hello("")).env("PATH", path).success().json();
        json["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["id"] == "secrets-filter")
            .unwrap()
            .clone()
    };
    let found = run("/nowhere");
    assert_eq!(found["status"], "warning", "{found}");
    assert!(
        found["message"].as_str().unwrap().starts_with("git-crypt is not installed"),
        "{found}"
    );
    sandbox.write_program("git-crypt", "#!/bin/sh\n");
    assert_eq!(run(&sandbox.path("bin").display().to_string())["status"], "ok");
    // A filter that is configured by path.
    sandbox.git(&["config", "filter.git-crypt.clean", "'/nowhere/git-crypt' clean"]).success();
    let found = run(&sandbox.path("bin").display().to_string());
    assert_eq!(found["status"], "warning");
    assert!(found["message"].as_str().unwrap().contains("is not at the path"), "{found}");
    let hint = found["hint"].as_str().unwrap();
    sandbox.run("sh", &["-c", hint]).cwd(sandbox.hello("")).success();
    assert_eq!(run(&sandbox.path("bin").display().to_string())["status"], "ok", "{hint}");
}

#[test]
fn a_secret_program_that_is_closed_to_others_can_still_be_run() {
    let sandbox = Sandbox::with_hello();
    let script = "secrets/kubernetes/restore.sh";
    fs::write(sandbox.hello(script), "#!/bin/sh\n").unwrap();
    fs::set_permissions(sandbox.hello(script), fs::Permissions::from_mode(0o755)).unwrap();
    let said = check(&sandbox, &[]).messages("secrets-mode");
    assert!(said.contains(&format!("chmod 700 {script}")), "{said}");
}

#[test]
fn what_a_killed_run_left_is_never_to_be_added() {
    let sandbox = Sandbox::with_hello();
    let left = "secrets/kubernetes/.gitlab.secret.yaml.makeinfra-Ab12Cd34Ef56";
    sandbox.write_private(&format!("work/hello-infra/{left}"), TOKEN);
    let checked = check(&sandbox, &[]);
    assert!(checked.ids("ok").contains("files-tracked"), "{}", checked.messages("files-tracked"));
    assert!(
        checked.messages("secrets-listed").contains(&format!("rm {left}")),
        "{}",
        checked.messages("secrets-listed")
    );
}

#[test]
fn every_fault_of_a_pull_secret_is_named() {
    let cases = [
        (
            "pull-secret-wrapping",
            "dockercfg",
            format!(r#"{{"auths":{}}}"#, auth("u:p")),
            "kubectl 1.9",
        ),
        ("pull-secret-wrapping", "dockerconfigjson", auth("u:p"), "no `auths`"),
        ("pull-secret-wrapping", "dockercfg", TOKEN.into(), "not a JSON object"),
        (
            "pull-secret-wrapping",
            "dockercfg",
            config(&format!("\"{TOKEN}\"")),
            "not a JSON object of strings",
        ),
        (
            "pull-secret-auth",
            "dockercfg",
            config(&format!(r#"{{"auth":"{TOKEN}"}}"#)),
            "USERNAME:PASSWORD",
        ),
        ("pull-secret-auth", "dockercfg", config(r#"{"auth":"dTpw "}"#), "blank"),
        ("pull-secret-auth", "dockercfg", auth(&format!("u:{TOKEN}\n")), "line break"),
        ("pull-secret-auth", "dockercfg", auth(&format!("u:{TOKEN} ")), "blank"),
        (
            "pull-secret-auth",
            "dockercfg",
            config(&format!(r#"{{"auth":"dTpw","username":"u","password":"{TOKEN}"}}"#)),
            "differs from `username` and `password`",
        ),
        (
            "pull-secret-credentials",
            "dockerconfigjson",
            r#"{"auths":{"registry.gitlab.com":{}},"credsStore":"desktop"}"#.into(),
            "credsStore",
        ),
        (
            "pull-secret-credentials",
            "dockercfg",
            config(&format!(r#"{{"identitytoken":"{TOKEN}"}}"#)),
            "identity token",
        ),
        (
            "pull-secret-credentials",
            "dockercfg",
            auth(&format!("gitlab-ci-token:{TOKEN}")),
            "expire with it",
        ),
        (
            "pull-secret-credentials",
            "dockercfg",
            auth(&format!("u:glcbt-{TOKEN}")),
            "expire with it",
        ),
        ("pull-secret-credentials", "dockercfg", "{}".into(), "no entry"),
    ];
    for (id, kind, json, word) in cases {
        let sandbox = Sandbox::with_hello();
        write_secret(&sandbox, &manifest(kind, &json));
        let checked = check(&sandbox, &[]);
        assert!(checked.problems().contains(&id), "{json}: {:?}", checked.problems());
        assert!(checked.messages(id).contains(word), "{json}: {}", checked.messages(id));
    }
}

#[test]
fn a_token_that_ends_soon_is_a_warning() {
    for (days, status) in [(40, "ok"), (29, "warning"), (1, "warning"), (-1, "problem")] {
        let sandbox = Sandbox::with_hello();
        let end = Timestamp::now().checked_add((days * 24).hours()).unwrap().to_string();
        sandbox.rotate(TOKEN, &["--expires-at", &end]).success();
        let checked = check(&sandbox, &[]);
        assert!(checked.ids(status).contains("pull-secret-expiry"), "{days}");
        assert_eq!(checked.code, Some(i32::from(status == "problem")));
        assert_eq!(check(&sandbox, &["--strict"]).code, Some(i32::from(status != "ok")));
    }
}

#[test]
fn an_image_that_anybody_may_pull_needs_no_credentials() {
    let sandbox = Sandbox::with_hello();
    let sidecar = "      containers:\n        - name: web\n          image: bitnami/nginx:1.27\n";
    edit(&sandbox, "kubernetes/base/deployment.yaml", "      containers:\n", sidecar);
    let checked = check(&sandbox, &[]);
    assert_eq!(checked.problems(), ["pull-secret-matches-images"]);
    assert!(checked.messages("pull-secret-matches-images").contains("--public bitnami/nginx"));
    for public in ["bitnami", "bitnami/nginx", "docker.io", "docker.io/bitnami/"] {
        assert_eq!(check(&sandbox, &["--public", public]).code, Some(0), "{public}");
    }
    for other in ["bitnam", "nginx", "quay.io", ""] {
        assert_eq!(check(&sandbox, &["--public", other]).code, Some(1), "{other}");
    }
    for image in [
        "nginx:1.27",
        "docker.io/library/redis:7",
        "registry.k8s.io/pause:3.9",
        "k8s.gcr.io/pause:3.1",
        "mcr.microsoft.com/dotnet/aspnet:8.0",
        "public.ecr.aws/nginx/nginx:1.27",
    ] {
        let sandbox = Sandbox::with_hello();
        let sidecar = sidecar.replace("bitnami/nginx:1.27", image);
        edit(&sandbox, "kubernetes/base/deployment.yaml", "      containers:\n", &sidecar);
        assert_eq!(check(&sandbox, &["--strict"]).code, Some(0), "{image}");
    }
}

#[test]
fn a_public_image_is_recorded() {
    let sandbox = Sandbox::with_hello();
    let add = |name: &str, more: &[&str]| {
        let image = format!("quay.io/group/{name}:1");
        let args =
            [&["add", name, "--image", &image, "--workload", "job", "--no-input"], more].concat();
        let output = sandbox.makeinfra(&args).cwd(sandbox.hello("")).success();
        sandbox.git(&["add", "-A"]).success();
        output
    };
    assert!(!add("open", &["--public"]).stderr.contains("pulled without credentials"));
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
    // Another one must be named, and the printed line records it.
    assert!(add("closed", &[]).stderr.contains("pulled without credentials"));
    assert_eq!(check(&sandbox, &[]).problems(), ["pull-secret-matches-images"]);
    let checked = check(&sandbox, &["--public", "quay.io/group/closed"]);
    assert_eq!(checked.problems(), Vec::<&str>::new());
    let said = checked.messages("record-followed");
    let line = said.split('`').find(|part| part.starts_with("public: ")).unwrap();
    sandbox.append(".makeinfra.yaml", &format!("{line}\n"));
    let checked = check(&sandbox, &["--public", "quay.io/group/closed"]);
    let notes: Vec<_> = checked.ids("note").into_iter().collect();
    assert_eq!((checked.problems(), notes), (vec![], Vec::<&str>::new()));
    assert_eq!(check(&sandbox, &[]).problems(), Vec::<&str>::new());
    // It stays when other commands write the record.
    add("third", &["--public"]);
    assert_eq!(check(&sandbox, &[]).problems(), Vec::<&str>::new());
    sandbox.edit(".makeinfra.yaml", line, "public: [UPPER]");
    assert!(
        sandbox
            .makeinfra(&["check"])
            .cwd(sandbox.hello(""))
            .failure(1)
            .stdout
            .contains("must be a list of image names")
    );
}

#[test]
fn a_public_image_of_the_project_needs_no_entry_of_its_registry() {
    let sandbox = Sandbox::new();
    let args = ["--registry", "quay.io"];
    sandbox.new_hello(&args).failure(2);
    sandbox.new_hello(&[&args[..], &["--public"]].concat()).success();
    assert!(
        fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap().contains("  public: true\n")
    );
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
}

#[test]
fn the_measured_keyring_decides() {
    let vectors: Value =
        serde_json::from_str(&fs::read_to_string(repo("tests/vectors/keyring.json")).unwrap())
            .unwrap();
    let rows = vectors["key_matches_image"].as_array().unwrap();
    let sandbox = Sandbox::new();
    // Every seventeenth of 230: keys and images of all kinds.
    for row in rows.iter().step_by(17) {
        let (key, image) = (row["key"].as_str().unwrap(), row["image"].as_str().unwrap());
        // Public images need no key.
        if ImageRef::parse_unpinned(image)
            .is_ok_and(|image| image.normalized_name().starts_with("docker.io/library/"))
        {
            continue;
        }
        let config = serde_json::json!({ key: { "auth": "dTpw" } }).to_string();
        sandbox.write("work/x/secret.yaml", manifest("dockercfg", &config));
        let pod = serde_json::json!({
            "kind": "Pod",
            "metadata": { "name": "a", "namespace": "hello" },
            "spec": { "imagePullSecrets": [{ "name": "gitlab" }], "containers": [{ "name": "a", "image": image }] },
        });
        sandbox.write("work/x/kubernetes/pod.json", pod.to_string());
        let checked =
            check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"]);
        let found = checked.ids("ok").contains("pull-secret-matches-images");
        // Its digests are too short for a runtime: such an image is refused before any key is
        // considered.
        assert!(found == row["matches"] || checked.problems().contains(&"images-pinned"), "{row}");
    }
}

#[test]
fn usage_errors_quote_no_value() {
    let sandbox = Sandbox::with_hello();
    for args in [
        &["check", TOKEN][..],
        &["check", "--secret", TOKEN],
        &["check", "--manifests", TOKEN],
        &["check", "--manifests", "/"],
        &["check", "--secret", "kubernetes"],
        &["check", "--online", TOKEN],
    ] {
        let output = sandbox.makeinfra(args).cwd(sandbox.hello("")).failure(2);
        output.says("hint: ");
    }
}

#[test]
fn an_attribute_file_that_git_crypt_encrypts_is_a_problem_that_its_hint_ends() {
    if !have("git-crypt") {
        return;
    }
    let everything = "* filter=git-crypt diff=git-crypt\n";
    for (file, text) in [
        (".gitattributes", everything),
        (
            ".gitattributes",
            "* filter=git-crypt diff=git-crypt\nsecrets/** filter=git-crypt diff=git-crypt",
        ),
        ("secrets/.gitattributes", "** filter=git-crypt diff=git-crypt\n"),
    ] {
        let sandbox = Sandbox::with_hello();
        fs::write(sandbox.hello(file), text).unwrap();
        sandbox.git(&["add", file]).success();
        let checked = check(&sandbox, &["--no-history"]);
        let is_it =
            |check: &&Value| check["id"] == "secrets-covered" && check["status"] == "problem";
        let found: Vec<_> = checked.checks.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{file}: {found:?}");
        assert_eq!(found[0]["subject"], file);
        let hint = found[0]["hint"].as_str().unwrap();
        sandbox.run("sh", &["-c", hint]).cwd(sandbox.hello("")).success();
        let checked = check(&sandbox, &["--no-history"]);
        assert!(checked.ids("ok").contains(&"secrets-covered"), "{file}");
        let blob = sandbox.git(&["cat-file", "blob", &format!(":{file}")]).success().stdout;
        assert!(blob.starts_with(text), "{file}: {blob}");
    }
}
