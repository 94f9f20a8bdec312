//! `rotate --finish`: deletes the old tokens only after a verdict with proof.

pub mod together;

use super::from_gitlab::World;
use super::gitlab::{DeployToken, Fault};
use super::gitlab_bed::OWNER;
use super::support::{Output, Run, SECRET, TOKEN, USER};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const KUBECTL: &str = "#!/bin/sh\nprintf '%s\\n' \"$*\" >>\"${0%/*}/calls\"\ncase \"$*\" in\n\
    *nowhere*) echo 'error: context \"nowhere\" does not exist' >&2; exit 1 ;;\n\
    *--all-namespaces*) cat \"${0%/*}/all.json\" || { cat \"${0%/*}/failure\" >&2 || echo 'secrets is forbidden (Forbidden)' >&2; exit 1; } ;;\n\
    *'json secrets'*) cat \"${0%/*}/some.json\" || { echo 'secrets is forbidden (Forbidden)' >&2; exit 1; } ;;\n\
    *secret*) cat \"${0%/*}/own.json\" ;;\nesac\n";

/// The commands about tokens from GitLab in docs/tokens.md, in order; `make deploy` is on other
/// pages, too.
pub const DOCS: [&str; 5] = [
    "export GITLAB_TOKEN=...",
    "makeinfra rotate --from-gitlab --expires-in 90d --commit",
    "git push",
    "makeinfra rotate --finish --commit --context prod",
    "makeinfra token list",
];

/// A world whose token was rotated twice, and whose cluster's content is controlled.
pub struct Rotated(pub World);

impl Rotated {
    pub fn new() -> Option<Self> {
        let world = World::start()?;
        world.rotate(&["--commit"]).success();
        Some(Self::of(world))
    }

    /// Adds a cluster with the content of `world`.
    pub fn of(world: World) -> Self {
        world.sandbox.write_program("kubectl", KUBECTL);
        let rotated = Self(world);
        rotated.deploy();
        rotated
    }

    /// Sets the cluster's content to the Secret of the file, and another one.
    pub fn deploy(&self) {
        let mut own: Value = serde_yaml::from_str(&self.0.secret()).unwrap();
        own["metadata"]["namespace"] = json!("hello");
        self.0.sandbox.write("bin/own.json", own.to_string());
        self.others(&own, "nothing of interest");
    }

    /// Sets the cluster's content to `own`, and another Secret that contains `text`.
    fn others(&self, own: &Value, text: &str) {
        let auth = json!({"auths": {"registry.gitlab.com": {"auth": STANDARD.encode(format!("x:{text}"))}}});
        let other = json!({"kind": "Secret", "metadata": {"name": "copy", "namespace": "other"},
            "data": {".dockerconfigjson": STANDARD.encode(auth.to_string())}});
        let list = json!({"kind": "List", "items": [own, other]});
        self.0.sandbox.write("bin/all.json", list.to_string());
    }

    fn bare(&self, args: &[&str]) -> Run {
        let run = self.0.sandbox.makeinfra(&[&["rotate", "--finish"], args].concat());
        run.cwd(self.0.sandbox.work("hello-infra"))
            .env("GITLAB_HOST", self.0.bed.gitlab.url())
            .env("GITLAB_TOKEN", super::gitlab_bed::MAINTAINER)
            .env("PATH", self.0.sandbox.own_path())
    }

    pub fn finish(&self, args: &[&str]) -> Run {
        self.bare(&[&["--context", "test"], args].concat())
    }

    /// Runs it, and expects that nothing was deleted.
    #[track_caller]
    fn keeps(&self, run: Run, code: i32) -> Output {
        let (before, secret) = (self.0.ids(), self.0.secret());
        let output = run.output();
        assert_eq!(
            output.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            output.stdout,
            output.stderr
        );
        assert_eq!((self.0.ids(), self.0.secret()), (before, secret), "{}", output.stdout);
        assert!(!self.0.bed.gitlab.log().iter().any(|line| line.starts_with("DELETE")));
        self.0.assert_no_secret(&output);
        output
    }
}

#[test]
fn the_old_token_goes_once_everything_is_proved() {
    let Some(rotated) = Rotated::new() else { return };
    // A second rotation before the first is finished: its token is GitLab's.
    rotated.0.rotate(&["--commit"]).success();
    rotated.deploy();
    let output = rotated.finish(&["--commit", "--yes", "--json"]).success();
    let report = output.json();
    assert_eq!(rotated.0.ids(), [3], "{report:#}");
    let ids: Vec<_> =
        report["tokens"].as_array().unwrap().iter().map(|token| token["id"].clone()).collect();
    assert_eq!(ids, [1, 2]);
    for token in report["tokens"].as_array().unwrap() {
        assert_eq!(token["state"], "deleted", "{token}");
        assert_eq!(token["registry"]["status"], "ok", "{token}");
    }
    let environment = &report["environments"][0];
    let proofs: Vec<_> = environment["proofs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|proof| (&proof["id"], &proof["status"]))
        .collect();
    let ok = json!("ok");
    let ids = ["pulls", "cluster", "other-secrets", "git"].map(|id| json!(id));
    assert_eq!(proofs, ids.iter().map(|id| (id, &ok)).collect::<Vec<_>>(), "{report:#}");
    assert!(rotated.0.annotation("makeinfra/superseded-tokens").is_null());
    assert_eq!(rotated.0.sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let subject = rotated.0.sandbox.git(&["log", "-1", "--format=%s"]).success().stdout;
    assert_eq!(subject, "Remove deleted deploy tokens from the record\n");
    rotated.0.assert_no_secret(&output);
    // Again: there is nothing left to do, and GitLab is not asked.
    rotated.0.bed.gitlab.forget_requests();
    rotated.finish(&["--commit"]).success().prints("Nothing to finish");
    assert_eq!(rotated.0.bed.gitlab.log(), [""; 0]);
    // The new token still pulls.
    rotated
        .0
        .sandbox
        .makeinfra(&["check", "hello-infra", "--online"])
        .output()
        .prints("0 problems");
}

#[test]
fn nothing_is_deleted_before_everything_is_proved() {
    let Some(rotated) = Rotated::new() else { return };
    let gitlab = &rotated.0.bed.gitlab;
    // Without a known context, the current one proves nothing.
    rotated
        .keeps(rotated.bare(&["--yes"]), 1)
        .says("no kubectl context configured")
        .says("--context NAME");
    rotated
        .keeps(rotated.bare(&["--yes", "--context", "nowhere"]), 1)
        .prints("does not have this context");
    // The cluster has the old one.
    let own = fs::read_to_string(rotated.0.sandbox.path("bin/own.json")).unwrap();
    let mut old: Value = serde_json::from_str(&own).unwrap();
    old["data"][".dockercfg"] = json!(STANDARD.encode(json!({"x": {"auth": "eDp5"}}).to_string()));
    rotated.0.sandbox.write("bin/own.json", old.to_string());
    rotated.keeps(rotated.finish(&["--yes"]), 1).prints("differs from").prints("make deploy");
    rotated.0.sandbox.write("bin/own.json", "");
    rotated.keeps(rotated.finish(&["--yes"]), 1).prints("pull secret gitlab does not exist");
    rotated.0.sandbox.write("bin/own.json", &own);
    // Another Secret has it.
    rotated.others(&serde_json::from_str(&own).unwrap(), TOKEN);
    rotated.keeps(rotated.finish(&["--yes"]), 1).prints("still contain the old token: other/copy");
    rotated.deploy();
    // The new token does not pull: GitLab has deleted it.
    let new = gitlab.token(2).unwrap();
    gitlab.remove_token(2);
    rotated.keeps(rotated.finish(&["--yes"]), 1).prints("problem").prints("refuses the sign-in");
    let again = gitlab.add_token(new);
    assert_eq!(again, 2);
    // A commit that is not pushed: the next pipeline would deploy the old token.
    let git = |args: &[&str]| rotated.0.sandbox.git(args).success();
    let remote = rotated.0.sandbox.path("remote.git").display().to_string();
    rotated.0.sandbox.run("git", &["init", "--bare", "-q", &remote]).success();
    git(&["remote", "add", "origin", &remote]);
    rotated
        .keeps(rotated.finish(&["--yes"]), 1)
        .prints("no upstream")
        .prints("git push -u origin HEAD");
    git(&["push", "-q", "-u", "origin", "HEAD~1:refs/heads/main"]);
    git(&["branch", "--set-upstream-to=origin/main"]);
    rotated.keeps(rotated.finish(&["--yes"]), 1).prints("not pushed").prints("git push");
    git(&["push", "-q", "origin", "HEAD:refs/heads/main"]);
    // Not committed.
    let secret = rotated.0.secret();
    fs::write(rotated.0.sandbox.hello(SECRET), secret.clone() + "# mine\n").unwrap();
    rotated.keeps(rotated.finish(&["--yes"]), 1).says("the rotation is not committed");
    fs::write(rotated.0.sandbox.hello(SECRET), secret).unwrap();
    // A token that was created by hand is not deleted without confirmation.
    rotated
        .keeps(rotated.finish(&[]), 1)
        .prints("deleting `by hand`, which was created by hand, requires confirmation")
        .prints("--yes");
    rotated.keeps(rotated.finish(&["--dry-run", "--yes"]), 0).prints("would be deleted");
    // GitLab gives no answer.
    gitlab.next("GET", "/deploy_tokens/1", Fault::html(502));
    rotated.keeps(rotated.finish(&["--yes"]), 3).prints("failed with status 502");
    gitlab.heal();
    rotated
        .finish(&["--yes"])
        .success()
        .prints("deploy token 1: deleted in GitLab; the registry refuses it");
    assert_eq!(rotated.0.ids(), [2]);
}

#[test]
fn what_was_not_looked_at_is_in_the_verdict() {
    let Some(rotated) = Rotated::new() else { return };
    fs::remove_file(rotated.0.sandbox.path("bin/all.json")).unwrap();
    rotated
        .keeps(rotated.finish(&[]), 1)
        .prints("you are not allowed to list those of namespace hello");
    rotated.0.sandbox.write("bin/some.json", r#"{"kind": "List", "items": []}"#);
    rotated
        .keeps(rotated.finish(&[]), 1)
        .prints("you are not allowed to list those of other namespaces");
    // The Secrets may be listed, but the request failed.
    let failure = rotated.0.sandbox.write("bin/failure", "Unable to connect to the server: EOF\n");
    rotated.keeps(rotated.finish(&["--yes"]), 3).prints("cannot list the Secrets of context test");
    fs::remove_file(failure).unwrap();
    // An unreachable cluster.
    let output = rotated.bare(&["--deployed", "production", "--yes"]).success();
    output.prints("`--deployed production` vouches for it");
    assert_eq!(rotated.0.ids(), [2]);
    // A shallow clone does not have the old value.
    let Some(rotated) = Rotated::new() else { return };
    let git = |args: &[&str]| rotated.0.sandbox.git(args).success();
    let head = git(&["rev-parse", "HEAD"]).stdout;
    fs::write(rotated.0.sandbox.hello(".git/shallow"), head).unwrap();
    let output = rotated.finish(&["--yes"]).success();
    output.prints("not searched for 1").prints("registry not asked");
    assert_eq!(rotated.0.ids(), [2]);
}

#[test]
fn a_token_that_is_gone_is_done_and_one_that_nobody_may_see_is_not() {
    let Some(rotated) = Rotated::new() else { return };
    let gitlab = &rotated.0.bed.gitlab;
    rotated.0.rotate(&["--commit"]).success();
    rotated.deploy();
    // Somebody has deleted 2 by hand; 1 stays for lack of confirmation.
    gitlab.remove_token(2);
    let output = rotated.finish(&["--commit"]).failure(1);
    output
        .prints("deploy token 2: no longer exists in GitLab; the registry refuses it")
        .prints("requires confirmation");
    assert_eq!(rotated.0.annotation("makeinfra/superseded-tokens"), USER);
    // GitLab says that it is gone, but the registry accepts it: it stays listed.
    let not_found = |what: &str| Fault::json(404, &json!({"message": format!("404 {what}")}));
    gitlab.next("DELETE", "/deploy_tokens/1", not_found("Not found"));
    rotated.finish(&["--yes"]).failure(1).prints("the registry still accepts it");
    assert_eq!(rotated.0.annotation("makeinfra/superseded-tokens"), USER);
    // GitLab also says so for a project that the user may no longer see.
    for _ in 0..3 {
        gitlab.next("GET", "/projects/7", Fault::Delay(Duration::ZERO));
    }
    gitlab.next("GET", "/projects/7", not_found("Project Not Found"));
    gitlab.next("DELETE", "/deploy_tokens/1", not_found("Not found"));
    rotated.finish(&["--yes"]).failure(3).prints("or this access token has no access to it");
    gitlab.next("DELETE", "/deploy_tokens/1", Fault::html(404));
    rotated.finish(&["--yes"]).failure(3).prints("is not from GitLab's API");
    assert_eq!(rotated.0.annotation("makeinfra/superseded-tokens"), USER);
    rotated.finish(&["--yes"]).success();
    assert_eq!(rotated.0.ids(), [3]);
}

#[test]
fn tokens_of_a_group_of_jobs_and_of_nobody_are_asked_about() {
    let Some(rotated) = Rotated::new() else { return };
    let gitlab = &rotated.0.bed.gitlab;
    gitlab.change_token(1, |token| token.name = "gitlab-deploy-token".to_owned());
    let output = rotated.keeps(rotated.finish(&["--yes"]), 1);
    output
        .says("provides CI_DEPLOY_USER and CI_DEPLOY_PASSWORD to the jobs")
        .prints("on a terminal");
    gitlab.change_token(1, |token| token.name = "mine".to_owned());
    // Names of this repository's tokens: an old one, and one that another clone may have just
    // created.
    let now = gitlab.tokens()[1].name.split(' ').nth(3).unwrap().to_owned();
    let named =
        |time: &str, nonce: &str| format!("makeinfra hello-infra production {time} {nonce}");
    let old = gitlab.add_token(DeployToken::by_hand(
        7,
        &named("2026-01-02T03:04:05Z", "00000001"),
        "gldt-o",
    ));
    let young = gitlab.add_token(DeployToken::by_hand(7, &named(&now, "00000002"), "gldt-y"));
    let other = named("2026-01-02T03:04:05Z", "00000003").replace("hello-infra", "other-infra");
    let other = gitlab.add_token(DeployToken::by_hand(7, &other, "gldt-p"));
    let output = rotated.finish(&["--yes", "--commit"]).success();
    output
        .says(&format!("no Secret of this clone contains the deploy token {old}"))
        .says("on a terminal");
    output
        .says(&format!("no Secret of this clone contains the deploy token {young}"))
        .says("less than an hour old");
    assert_eq!(rotated.0.ids(), [2, old, young, other]);
    // A group's own.
    let rotate = |args: &[&str]| rotated.0.rotate(args).env("GITLAB_TOKEN", OWNER).success();
    rotate(&["--commit", "--gitlab-group", "group"]);
    rotate(&["--commit"]);
    rotated.deploy();
    let output = rotated.finish(&["--commit"]).env("GITLAB_TOKEN", OWNER).failure(1);
    output.prints("which other projects of its group may use");
    rotated.finish(&["--commit", "--yes"]).env("GITLAB_TOKEN", OWNER).success();
    assert!(rotated.0.annotation("makeinfra/superseded-tokens").is_null());
}

#[test]
fn the_list_tells_what_each_token_is_for_and_which_ends_first() {
    let Some(rotated) = Rotated::new() else { return };
    let gitlab = &rotated.0.bed.gitlab;
    rotated.0.rotate_bare(&["--commit", "--expires-in", "30d"]).success();
    let named = "makeinfra hello-infra production 2026-01-02T03:04:05Z 00000001";
    let orphan = gitlab.add_token(DeployToken::by_hand(7, named, "gldt-o"));
    let other = gitlab.add_token(DeployToken::by_hand(7, "ci \u{1b}[31m", "gldt-p"));
    // Expired this morning, which GitLab's own flag does not show before midnight.
    let now = jiff::Timestamp::now();
    gitlab.change_token(other, |token| {
        token.expires_at = Some(now - jiff::SignedDuration::from_secs(5));
    });
    gitlab.person(
        "glpat-reader",
        &[("group/hello", super::gitlab::Role::Maintainer)],
        &["read_api"],
    );
    let list = |args: &[&str]| {
        let run = rotated.0.sandbox.makeinfra(&[&["token", "list"], args].concat());
        let run = run.cwd(rotated.0.sandbox.work("hello-infra"));
        run.env("GITLAB_HOST", gitlab.url()).env("GITLAB_TOKEN", "glpat-reader")
    };
    gitlab.forget_requests();
    let output = list(&["--json"]).success();
    let report = output.json();
    let tokens = report["tokens"].as_array().unwrap();
    let told: Vec<_> = tokens
        .iter()
        .map(|token| (token["id"].as_u64().unwrap(), token["use"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [(other, "other"), (3, "used"), (2, "superseded"), (1, "superseded"), (orphan, "orphan")]
    );
    assert_eq!((&tokens[0]["active"], &tokens[1]["active"]), (&json!(false), &json!(true)));
    assert_eq!(tokens[1]["environments"], json!(["production"]));
    assert!(gitlab.log().iter().all(|line| line.starts_with("GET ")), "{:?}", gitlab.log());
    rotated.0.assert_no_secret(&output);
    let text = list(&[]).success();
    text.prints("(expired)").prints("used by production").prints("superseded in production");
    text.prints("makeinfra rotate --finish");
    assert!(!text.stdout.contains('\u{1b}'), "{}", text.stdout);
    rotated.0.assert_no_secret(&text);
}

#[test]
fn the_commands_of_the_docs_replace_a_token() {
    let Some(world) = World::start() else { return };
    world.sandbox.write_program("kubectl", KUBECTL);
    let sandbox = &world.sandbox;
    let remote = sandbox.path("remote.git").display().to_string();
    sandbox.run("git", &["init", "--bare", "-q", &remote]).success();
    sandbox.git(&["remote", "add", "origin", &remote]).success();
    sandbox.git(&["push", "-q", "-u", "origin", "HEAD"]).success();
    let rotated = Rotated(world);
    let [export, rotate, push, finish, list] = DOCS;
    assert!(export.starts_with("export GITLAB_TOKEN="));
    let words = |line: &'static str| line.split(' ').skip(1).collect::<Vec<_>>();
    rotated.0.rotate_bare(&words(rotate)[2..]).success().prints("makeinfra rotate --finish");
    rotated.deploy();
    rotated.0.sandbox.git(&words(push)).success();
    // The first one was created by hand.
    rotated.bare(&[&words(finish)[2..], &["--yes"]].concat()).success().prints("deleted in GitLab");
    assert_eq!(rotated.0.ids(), [2]);
    let list = rotated.0.sandbox.makeinfra(&words(list)).cwd(rotated.0.sandbox.work("hello-infra"));
    let list = list.env("GITLAB_HOST", rotated.0.bed.gitlab.url());
    list.env("GITLAB_TOKEN", super::gitlab_bed::MAINTAINER).success().prints("used by production");
}

#[test]
fn what_a_run_has_left_in_gitlab_is_deleted_without_a_proof() {
    let Some(rotated) = Rotated::new() else { return };
    rotated.finish(&["--yes", "--commit"]).success();
    let gitlab = &rotated.0.bed.gitlab;
    gitlab.next("POST", "/deploy_tokens", Fault::DropBefore);
    rotated.0.rotate(&[]).failure(3);
    let dir = rotated.0.sandbox.hello(".git/makeinfra");
    let mut files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|end| end == "json")).unwrap();
    let entry: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let late =
        gitlab.add_token(DeployToken::by_hand(7, entry["name"].as_str().unwrap(), "gldt-late"));
    // No old token is left, so no context is needed.
    rotated.bare(&[]).success().says(&format!("deleted the deploy token {late}"));
    assert_eq!(rotated.0.ids(), [2]);
    rotated.bare(&[]).success().prints("Nothing to finish");
}
