//! `new --from-gitlab` and `rotate --from-gitlab`: GitLab issues the token, the registry accepts
//! it, and nothing is left behind.

mod broken;
mod clones;
mod deaths;
mod disk;
mod leftovers;
mod refused;
mod sentences;
pub mod shared;
mod shared_deaths;
mod signals;

use super::gitlab::{Fault, Gitlab, Role};
use super::gitlab_bed::{GitlabBed, MAINTAINER, OWNER};
use super::support::{
    Output, Run, SECRET, Sandbox, TOKEN, USER, all_objects, assert_no_token, mode, needles,
};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// A GitLab with a registry, and a repository whose token was created by hand.
pub struct World {
    pub bed: GitlabBed,
    pub sandbox: Sandbox,
}

impl World {
    pub fn start() -> Option<Self> {
        GitlabBed::start().map(Self::with)
    }

    pub fn with(bed: GitlabBed) -> Self {
        let world = Self { bed, sandbox: Sandbox::new() };
        world.sandbox.write_private("api", MAINTAINER);
        let image = world.image();
        let token = world.sandbox.path("token").display().to_string();
        let args =
            ["new", "hello", "--image", &image, "--token-username", USER, "--token-file", &token];
        world.sandbox.makeinfra(&[&args[..], &["--expires-at", "never"]].concat()).success();
        world
    }

    pub fn image(&self) -> String {
        self.bed.registry.image("group/hello:1.0.0")
    }

    /// `makeinfra rotate --from-gitlab` with the credential of a maintainer.
    pub fn rotate(&self, args: &[&str]) -> Run {
        self.rotate_bare(&[&["--expires-in", "90d"], args].concat())
    }

    pub fn rotate_bare(&self, args: &[&str]) -> Run {
        let base = ["rotate", "--from-gitlab"];
        let run = self
            .sandbox
            .makeinfra(&[&base[..], args].concat())
            .cwd(self.sandbox.work("hello-infra"));
        run.env("GITLAB_HOST", self.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER)
    }

    pub fn secret(&self) -> String {
        fs::read_to_string(self.sandbox.hello(SECRET)).unwrap()
    }

    /// The value of an annotation of the Secret.
    pub fn annotation(&self, name: &str) -> Value {
        let secret: Value = serde_yaml::from_str(&self.secret()).unwrap();
        secret["metadata"]["annotations"][name].clone()
    }

    /// The numbers of all existing tokens.
    pub fn ids(&self) -> Vec<u64> {
        self.bed.gitlab.tokens().iter().map(|token| token.id).collect()
    }

    pub fn journal(&self) -> Vec<String> {
        let dir = self.sandbox.hello(".git/makeinfra");
        let found = fs::read_dir(dir).into_iter().flatten();
        found.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// Fails if a token's value or the credential is anywhere that it must not be.
    #[track_caller]
    pub fn assert_no_secret(&self, output: &Output) {
        self.assert_not_in(output, &all_objects(&self.sandbox, &self.sandbox.work("hello-infra")));
    }

    /// Like [`World::assert_no_secret`], for the output alone.
    #[track_caller]
    pub fn assert_no_secret_said(&self, output: &Output) {
        self.assert_not_in(output, &[]);
    }

    #[track_caller]
    fn assert_not_in(&self, output: &Output, objects: &[u8]) {
        let mut secrets: Vec<String> =
            self.bed.gitlab.tokens().into_iter().map(|token| token.token).collect();
        secrets.extend([MAINTAINER.to_owned(), OWNER.to_owned(), TOKEN.to_owned()]);
        for secret in secrets {
            for needle in needles(&secret) {
                for (bytes, place) in [
                    (output.stdout.as_bytes(), "stdout"),
                    (output.stderr.as_bytes(), "stderr"),
                    (objects, "git"),
                ] {
                    let found =
                        bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                    assert!(!found, "{secret} is in {place}");
                }
            }
        }
    }
}

#[test]
fn a_token_is_made_tried_written_and_committed() {
    let Some(world) = World::start() else { return };
    let output = world.rotate(&["--commit"]).success();
    let made = world.bed.gitlab.tokens().pop().unwrap();
    assert_eq!((made.scopes.clone(), made.place), (vec!["read_registry".to_owned()], 7));
    let words: Vec<_> = made.name.split(' ').collect();
    assert_eq!(
        (words[0], words[1], words[2], words.len()),
        ("makeinfra", "hello-infra", "production", 5)
    );
    output
        .prints(&format!("user name: {USER} -> {}", made.username()))
        .prints("can be pulled")
        .prints("committed as");
    let url = format!("{}/api/v4/projects/7/deploy_tokens/{}", world.bed.gitlab.url(), made.id);
    assert_eq!(world.annotation("makeinfra/token"), url);
    assert_eq!(world.annotation("makeinfra/token-owner"), "group/hello");
    assert_eq!(world.annotation("makeinfra/superseded-tokens"), USER);
    let end = made.expires_at.unwrap();
    assert_eq!(
        world.annotation("makeinfra/expires-at"),
        end.strftime("%Y-%m-%dT%H:%M:%S.%LZ").to_string().replace("%LZ", "000Z")
    );
    assert_eq!(world.sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert_eq!(world.journal(), [""; 0]);
    world.assert_no_secret(&output);
    // One POST, and nothing was deleted.
    let log = world.bed.gitlab.log();
    assert_eq!(log.iter().filter(|line| !line.starts_with("GET ")).count(), 1, "{log:?}");
    // A second rotation goes by number, and lists the first token.
    world.bed.gitlab.forget_requests();
    world.rotate(&["--commit", "--json"]).success();
    assert_eq!(world.annotation("makeinfra/superseded-tokens"), format!("{USER} {url}"));
    let log = world.bed.gitlab.log();
    assert!(log.iter().all(|line| !line.contains("group%2F")), "{log:?}");
    assert_eq!(world.ids().len(), 3);
}

#[test]
fn a_new_repository_has_a_token_of_its_own() {
    let Some(bed) = GitlabBed::start() else { return };
    let sandbox = Sandbox::new();
    let image = bed.registry.image("group/hello:1.0.0");
    let args = ["new", "hello", "--image", &image, "--from-gitlab", "--expires-at", "2099-05-01"];
    let run = |more: &[&str]| {
        let run = sandbox.makeinfra(&[&args[..], more].concat());
        run.env("GITLAB_HOST", bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER)
    };
    let plan = run(&["--dry-run"]).success();
    assert!(plan.stdout.contains("gitlab.secret.yaml") && !sandbox.work("hello-infra").exists());
    assert_eq!(bed.gitlab.tokens().len(), 1);
    let output = run(&["--json"]).success();
    assert_eq!(output.json()["check"]["id"], "pulls");
    let made = bed.gitlab.tokens().pop().unwrap();
    assert_eq!(made.expires_at.unwrap().to_string(), "2099-05-01T23:59:59Z");
    let secret: Value =
        serde_yaml::from_str(&fs::read_to_string(sandbox.hello(SECRET)).unwrap()).unwrap();
    let url = format!("{}/api/v4/projects/7/deploy_tokens/{}", bed.gitlab.url(), made.id);
    assert_eq!(secret["metadata"]["annotations"]["makeinfra/token"], url);
    assert!(!sandbox.path("work/.hello-infra.tokens").exists());
    let world = World { bed, sandbox };
    world.assert_no_secret(&output);
    // The created repository can be rotated.
    world.rotate(&["--commit"]).success();
    assert_eq!(world.annotation("makeinfra/superseded-tokens"), url);
}

#[test]
fn a_token_that_the_registry_knows_after_seconds_is_tried_again() {
    let Some(bed) = GitlabBed::with(Gitlab::start().below("/root"), Duration::from_secs(2)) else {
        return;
    };
    let world = World::with(bed);
    world.rotate(&[]).success().prints("can be pulled");
    assert_eq!(world.ids().len(), 2);
}

#[test]
fn a_token_that_the_registry_refuses_is_deleted_again() {
    let Some(bed) = GitlabBed::with(Gitlab::start(), Duration::from_secs(600)) else { return };
    let world = World::with(bed);
    let before = world.secret();
    let output = world.rotate(&["--commit"]).failure(13);
    output
        .says("the registry refuses the token that GitLab has just created")
        .says("deleted the new deploy token 2");
    assert_eq!((world.ids(), world.secret(), world.journal()), (vec![1], before, Vec::new()));
    let posts = world.bed.gitlab.log().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(posts, 1);
    world.assert_no_secret(&output);
}

#[test]
fn a_lost_answer_is_looked_for_deleted_and_asked_for_anew() {
    let Some(world) = World::start() else { return };
    for fault in [Fault::DropAfter, Fault::CutOff] {
        let before = world.ids().len();
        world.bed.gitlab.next("POST", "/deploy_tokens", fault);
        let output = world.rotate(&["--commit"]).success();
        output.says("GitLab's answer was lost; deleted deploy token");
        assert_eq!(world.ids().len(), before + 1);
        assert_eq!(world.journal(), [""; 0]);
        world.assert_no_secret(&output);
    }
    // The token was never created, but that is undetermined at first.
    let before = (world.ids(), world.secret());
    world.bed.gitlab.next("POST", "/deploy_tokens", Fault::DropBefore);
    world
        .rotate(&["--commit"])
        .failure(3)
        .says("cannot determine whether GitLab created a deploy token");
    assert_eq!((world.ids(), world.secret()), before);
    assert_eq!(world.journal().len(), 1);
    // The token appears late, and the next run deletes it.
    let name = fs::read_to_string(world.sandbox.hello(".git/makeinfra").join(&world.journal()[0]))
        .unwrap();
    let entry: Value = serde_json::from_str(&name).unwrap();
    assert_eq!(mode(&world.sandbox.hello(".git/makeinfra").join(&world.journal()[0])), 0o600);
    let late = super::gitlab::DeployToken::by_hand(7, entry["name"].as_str().unwrap(), "gldt-late");
    let late = world.bed.gitlab.add_token(late);
    world.rotate(&["--commit"]).success().says(&format!("deleted the deploy token {late}"));
    assert!(!world.ids().contains(&late));
    assert_eq!(world.journal(), [""; 0]);
}

#[test]
fn nothing_is_made_where_something_is_known_to_go_wrong() {
    let Some(world) = World::start() else { return };
    let url = world.bed.gitlab.url();
    for (credential, roles, scopes, says) in [
        ("glpat-guest", Role::Guest, &["api"][..], "requires the role Maintainer"),
        ("glpat-reader", Role::Maintainer, &["read_api"], "lacks the scope `api`"),
    ] {
        world.bed.gitlab.person(credential, &[("group/hello", roles)], scopes);
        world.rotate(&[]).env("GITLAB_TOKEN", credential).failure(13).says(says);
    }
    world.bed.gitlab.person("glpat-stranger", &[], &["api"]);
    world.rotate(&[]).env("GITLAB_TOKEN", "glpat-stranger").failure(1).says("project of");
    world
        .rotate(&[])
        .env("GITLAB_TOKEN", "glpat-nobody")
        .failure(13)
        .says("rejects the access token");
    for (fault, code, says) in [
        (Fault::too_many_requests(Some(7)), 3, "is limiting requests: retry in 7 s"),
        (Fault::retry_later(None), 3, "is limiting requests"),
        (Fault::html(502), 3, "failed with status 502"),
        (Fault::html(404), 3, "is not from GitLab's API"),
        (Fault::html(200), 3, "is not from GitLab's API"),
        (Fault::redirect("http://localhost:1/login"), 3, "refuses connections"),
    ] {
        world.bed.gitlab.times(u32::MAX, "GET", "/projects/", fault);
        world.rotate(&[]).failure(code).says(says);
        world.bed.gitlab.heal();
    }
    // A list without an end.
    world.bed.gitlab.next("GET", "/deploy_tokens", Fault::Without(&["X-Next-Page"]));
    world.rotate(&[]).failure(3).says("did not return the complete list");
    for (args, says) in [
        (&["--expires-in", "0d"][..], "must be a number of days"),
        (&["--expires-in", "-5d"], "must be a number of days"),
        (&["--expires-in", "90"], "must be a number of days"),
        (&["--expires-at", "2020-01-01"], "must be in the future"),
        (&[], "requires `--expires-in` or `--expires-at`"),
        (&["--expires-in", "9d", "--add-registry", "ghcr.io"], "cannot be used with"),
        (&["--expires-in", "9d", "--token-stdin"], "cannot be used with"),
    ] {
        world.bed.gitlab.forget_requests();
        world.rotate_bare(args).failure(2).says(says);
        assert_eq!(world.bed.gitlab.log(), [""; 0], "{args:?}");
    }
    // A refusal of the POST itself.
    world.bed.gitlab.next(
        "POST",
        "",
        Fault::json(400, &json!({"message": {"expires_at": ["is too far away"]}})),
    );
    world.rotate(&[]).failure(1).says("rejected the request: expires_at is too far away");
    world.bed.gitlab.next(
        "POST",
        "",
        Fault::json(403, &json!({"error": "insufficient_scope", "scope": "api"})),
    );
    world.rotate(&[]).failure(13).says("lacks the scope `api`");
    assert_eq!((world.ids(), world.journal()), (vec![1], Vec::new()));
    assert!(world.annotation("makeinfra/token").is_null());
    world.rotate(&["--dry-run"]).success().prints(&format!(
        "GitLab at {url} would create a deploy token for the project `group/hello`"
    ));
    assert_eq!(world.ids(), [1]);
}

#[test]
fn a_credential_goes_only_where_it_may() {
    let Some(world) = World::start() else { return };
    let url = world.bed.gitlab.url();
    let file = world.sandbox.path("api").display().to_string();
    let bare = |args: &[&str]| {
        world
            .sandbox
            .makeinfra(
                &[&["rotate", "--from-gitlab", "--expires-in", "9d", "--dry-run"], args].concat(),
            )
            .cwd(world.sandbox.work("hello-infra"))
    };
    // Only the registry has named that GitLab.
    bare(&[])
        .env("GITLAB_TOKEN", MAINTAINER)
        .failure(2)
        .says(&format!("no access token for {url}"));
    bare(&["--gitlab-token-file", &file])
        .failure(2)
        .says(&format!("is not for {url}"))
        .says("--gitlab-host");
    bare(&["--gitlab-token-env", "MINE"]).env("MINE", MAINTAINER).failure(2).says("is not for");
    bare(&["--gitlab-host", &url])
        .env("GITLAB_TOKEN", MAINTAINER)
        .failure(2)
        .says("`$GITLAB_TOKEN` is for");
    assert_eq!(world.bed.gitlab.log(), [""; 0]);
    // It was typed, set, or stored for it.
    bare(&["--gitlab-host", &url, "--gitlab-token-file", &file]).success();
    bare(&["--gitlab-host", &url, "--gitlab-token-env", "MINE"]).env("MINE", MAINTAINER).success();
    bare(&["--gitlab-token-file", &file]).env("GITLAB_HOST", &url).success();
    let host = world.bed.gitlab.host();
    let glab = format!(
        "hosts:\n  {host}:\n    api_protocol: http\n    token: !!null {MAINTAINER}\n    user: ada\n"
    );
    world.sandbox.write_private("home/.config/glab-cli/config.yml", &glab);
    bare(&[]).success();
    fs::remove_file(world.sandbox.path("home/.config/glab-cli/config.yml")).unwrap();
    let dir = world.sandbox.path("glab");
    world.sandbox.write_private("glab/config.yml", &glab);
    bare(&[]).env("GLAB_CONFIG_DIR", &dir).success();
    // What is no access token is said before it is sent.
    world.bed.gitlab.forget_requests();
    world.sandbox.write_private("api", TOKEN);
    bare(&["--gitlab-host", &url, "--gitlab-token-file", &file])
        .failure(2)
        .says("this is a deploy token");
    bare(&[])
        .env("GITLAB_HOST", &url)
        .env("GITLAB_TOKEN", "two words")
        .failure(2)
        .says("one line of printable characters");
    assert_eq!(world.bed.gitlab.log(), [""; 0]);
    let plain = world
        .sandbox
        .makeinfra(&["rotate", "--gitlab-host", &url])
        .cwd(world.sandbox.work("hello-infra"));
    plain.failure(2).says("`--gitlab-host` requires `--from-gitlab`");
}

#[test]
fn a_group_makes_the_token_and_a_moved_project_is_found() {
    let Some(world) = World::start() else { return };
    world.rotate(&["--gitlab-group", "group"]).failure(13).says("requires the role Owner");
    world.rotate(&["--gitlab-group", "group"]).env("GITLAB_TOKEN", OWNER).success();
    let url = format!("{}/api/v4/groups/3/deploy_tokens/2", world.bed.gitlab.url());
    assert_eq!(world.annotation("makeinfra/token"), url);
    assert_eq!(world.annotation("makeinfra/token-owner"), "group");
    // The next one is the group's, too.
    world.rotate(&[]).env("GITLAB_TOKEN", OWNER).success();
    assert!(world.annotation("makeinfra/token").as_str().unwrap().contains("/groups/3/"));

    let Some(world) = World::start() else { return };
    world.bed.gitlab.moved("group/hello/worker", 7);
    let image = world.bed.registry.image("group/hello/worker/deep:1.0.0");
    world.sandbox.edit(".makeinfra.yaml", &world.image(), &image);
    let output = world.rotate(&[]).output();
    // The image is not there, and the login is good.
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let log = world.bed.gitlab.log();
    let asked: Vec<_> = log.iter().filter(|line| line.contains("/projects/group")).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(log.iter().any(|line| line.starts_with("POST /api/v4/projects/7/")), "{log:?}");
}

#[test]
fn a_failure_to_write_takes_the_token_back() {
    let Some(world) = World::start() else { return };
    world.sandbox.git(&["config", "user.useConfigOnly", "true"]).success();
    let before = world.secret();
    let run = world.rotate(&["--commit"]);
    let run = ["AUTHOR", "COMMITTER"].iter().fold(run, |run, who| {
        run.without_env(&format!("GIT_{who}_NAME")).without_env(&format!("GIT_{who}_EMAIL"))
    });
    run.failure(1);
    assert_eq!(world.bed.gitlab.log(), [""; 0], "it is known before");
    // Somebody changes the file while GitLab is asked.
    world.bed.gitlab.next("POST", "/deploy_tokens", Fault::DelayAfter(Duration::from_secs(2)));
    let secret = world.sandbox.hello(SECRET);
    let editor = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        fs::write(&secret, fs::read_to_string(&secret).unwrap() + "# edited\n").unwrap();
    });
    let output = world.rotate(&["--commit"]).failure(1);
    editor.join().unwrap();
    output.says("changed during the run").says("deleted the new deploy token 2");
    assert_eq!((world.ids(), world.journal()), (vec![1], Vec::new()));
    assert_eq!(world.secret(), before + "# edited\n");
    assert_no_token(output.stderr.as_bytes(), "stderr");
}
