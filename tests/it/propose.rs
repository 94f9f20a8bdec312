//! `rotate --from-gitlab --propose` as a scheduled pipeline runs it every night, each time in a new
//! clone.

mod nights;

use super::from_gitlab::World;
use super::gitlab_bed::MAINTAINER;
use super::support::{Output, Run, SECRET, all_objects, needles};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The branch of the merge request.
const BRANCH: &str = "makeinfra/rotate-token";

/// A repository whose token expires in ten days, and its remote: a bare repository that records
/// pushes with their options.
struct Shared {
    world: World,
}

impl Shared {
    fn start() -> Option<Self> {
        let world = World::start()?;
        let end = Timestamp::now() + SignedDuration::from_hours(240);
        let end = end.strftime("%Y-%m-%d").to_string();
        world
            .sandbox
            .makeinfra(&["rotate", "--keep-token", "--expires-at", &end, "--commit", "hello-infra"])
            .success();
        world.sandbox.git(&["branch", "-M", "main"]).success();
        let shared = Self { world };
        shared.git_in("", &["init", "-q", "--bare", "--initial-branch=main", "shared.git"]);
        shared.git_in("shared.git", &["config", "receive.advertisePushOptions", "true"]);
        shared.hook("post-receive", RECORD);
        shared.git_in("hello-infra", &["remote", "add", "origin", "../shared.git"]);
        shared.git_in("hello-infra", &["push", "-q", "-u", "origin", "main"]);
        Some(shared)
    }

    #[track_caller]
    fn git_in(&self, dir: &str, args: &[&str]) -> Output {
        self.world.sandbox.run("git", args).cwd(self.world.sandbox.work(dir)).success()
    }

    fn hook(&self, name: &str, script: &str) {
        let file = self.world.sandbox.write(&format!("work/shared.git/hooks/{name}"), script);
        self.world.sandbox.run("chmod", &["0755", file.to_str().unwrap()]).success();
    }

    /// A clone as in a pipeline: detached HEAD, unlocked secrets.
    fn clone(&self, name: &str) -> PathBuf {
        let _ = fs::remove_dir_all(self.world.sandbox.work(name));
        let url = format!("file://{}", self.world.sandbox.work("shared.git").display());
        self.git_in("", &["clone", "-q", &url, name]);
        self.git_in(name, &["switch", "-q", "--detach", "origin/main"]);
        let key = self.world.sandbox.hello(".git/git-crypt/keys/default").display().to_string();
        let dir = self.world.sandbox.work(name);
        self.world.sandbox.run("git-crypt", &["unlock", &key]).cwd(&dir).success();
        dir
    }

    /// Runs the pipeline's job in the clone `night`.
    fn propose(&self, args: &[&str]) -> Run {
        self.propose_at(&self.world.bed.gitlab.url(), args)
    }

    /// Like [`Shared::propose`], with the GitLab at `url`.
    fn propose_at(&self, url: &str, args: &[&str]) -> Run {
        let base =
            ["rotate", "--from-gitlab", "--propose", "main", "--no-input", "--gitlab-host", url];
        let own = ["--gitlab-token-env", "ROTATE_TOKEN", "--expires-in", "90d"];
        let run = self.world.sandbox.makeinfra(&[&base[..], &own, args].concat());
        run.cwd(self.world.sandbox.work("night")).env("ROTATE_TOKEN", MAINTAINER)
    }

    /// Like [`Shared::propose`], in a new clone.
    fn night(&self, args: &[&str]) -> Run {
        self.clone("night");
        self.propose(args)
    }

    /// The commit of the branch; empty if there is none.
    fn branch(&self) -> String {
        let refs = ["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{BRANCH}")];
        self.git_in("shared.git", &refs).stdout.trim().to_owned()
    }

    /// The pushes so far, one per line, with their options.
    fn pushes(&self) -> Vec<String> {
        let text = fs::read_to_string(self.world.sandbox.path("pushes")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The requests that created or deleted a token.
    fn writes(&self) -> Vec<String> {
        let log = self.world.bed.gitlab.log();
        log.into_iter().filter(|line| !line.starts_with("GET ")).collect()
    }

    fn ids(&self) -> Vec<u64> {
        self.world.ids()
    }

    /// The content of the Secret in the clone `dir`.
    fn secret(&self, dir: &str) -> String {
        fs::read_to_string(self.world.sandbox.work(dir).join(SECRET)).unwrap()
    }

    /// Fails unless the clone is as git made it and does not mention a token.
    #[track_caller]
    fn is_untouched(&self, what: &str) {
        let head = self.git_in("night", &["rev-parse", "HEAD"]).stdout;
        assert_eq!(head, self.git_in("night", &["rev-parse", "origin/main"]).stdout, "{what}");
        assert_eq!(self.git_in("night", &["status", "--porcelain"]).stdout, "", "{what}");
        assert_eq!(self.secret("night"), self.world.secret(), "{what}");
        let journal = self.world.sandbox.work("night/.git/makeinfra");
        assert!(!journal.exists(), "{what}: {:?}", fs::read_dir(journal).map(Iterator::count));
    }

    /// Fails if a token's value or the credential is in the output, in git's objects or in its
    /// files.
    #[track_caller]
    fn assert_no_secret(&self, output: &Output) {
        self.world.assert_no_secret_said(output);
        let mut texts = vec![
            (
                "the clone's objects",
                all_objects(&self.world.sandbox, &self.world.sandbox.work("night")),
            ),
            (
                "the shared objects",
                all_objects(&self.world.sandbox, &self.world.sandbox.work("shared.git")),
            ),
        ];
        for file in ["config", "FETCH_HEAD", "logs/HEAD"] {
            texts.push((
                file,
                fs::read(self.world.sandbox.work("night/.git").join(file)).unwrap_or_default(),
            ));
        }
        let tokens = self.world.bed.gitlab.tokens().into_iter().map(|token| token.token);
        for secret in tokens.chain([MAINTAINER.to_owned()]) {
            for needle in needles(&secret) {
                for (place, text) in &texts {
                    let found =
                        text.windows(needle.len()).any(|window| window == needle.as_bytes());
                    assert!(!found, "{secret} is in {place}");
                }
            }
        }
    }

    /// Merges the branch into main.
    fn merge(&self, how: &str) {
        self.git_in("hello-infra", &["pull", "-q", "--no-rebase"]);
        self.git_in("hello-infra", &["fetch", "-q", "origin"]);
        self.git_in("hello-infra", &["merge", "-q", how, &format!("origin/{BRANCH}")]);
        if how == "--squash" {
            self.git_in("hello-infra", &["commit", "-q", "-m", "Merge the new token"]);
        }
        self.git_in("hello-infra", &["push", "-q"]);
    }
}

/// A hook that records each push with its options.
const RECORD: &str = "#!/bin/sh\nread -r _ _ name\nat=0\nwhile [ $at -lt \"${GIT_PUSH_OPTION_COUNT:-0}\" ]; do\n\
    eval \"options=\\\"$options \\$GIT_PUSH_OPTION_$at\\\"\"\nat=$((at + 1))\ndone\n\
    echo \"$name$options\" >>\"$HOME/../pushes\"\necho 'View merge request: https://gitlab.example.com/-/merge_requests/1'\n";

#[test]
fn a_token_that_ends_soon_becomes_a_merge_request() {
    let Some(shared) = Shared::start() else { return };
    let output = shared.night(&[]).success();
    output
        .prints("Rotated secrets/kubernetes/gitlab.secret.yaml, committed as ")
        .prints(&format!("to the branch {BRANCH}, with a merge request to main"))
        .prints("View merge request: https://gitlab.example.com/-/merge_requests/1")
        .prints("makeinfra rotate --finish");
    assert_eq!(shared.ids(), [1, 2]);
    assert_eq!(shared.branch(), shared.git_in("night", &["rev-parse", "HEAD"]).stdout.trim());
    let options = "merge_request.create merge_request.target=main merge_request.title=Rotate the deploy token \
                   merge_request.remove_source_branch";
    let pushed = format!("refs/heads/{BRANCH} {options}");
    assert_eq!(shared.pushes().last(), Some(&pushed));
    let changed = shared.git_in("night", &["show", "--format=%s", "--name-only", "HEAD"]).stdout;
    assert_eq!(changed, format!("Rotate the deploy token\n\n{SECRET}\n"));
    assert_eq!(shared.git_in("night", &["status", "--porcelain"]).stdout, "");
    assert!(!shared.world.sandbox.work("night/.git/makeinfra").exists());
    shared.assert_no_secret(&output);
}

#[test]
fn programs_are_told_what_was_done() {
    let Some(shared) = Shared::start() else { return };
    let told = |run: Run| {
        let json = run.success().json();
        let own =
            ["changed", "due", "proposed", "taken_up"].map(|key| json[key].as_bool().unwrap());
        assert_eq!(
            (&json["branch"], &json["target"]),
            (&Value::from(BRANCH), &Value::from("main"))
        );
        (own, json["commit"].as_str().map(str::to_owned))
    };
    assert_eq!(told(shared.night(&["--json", "--dry-run"])), ([false, true, false, false], None));
    assert_eq!((shared.ids(), shared.branch()), (vec![1], String::new()));
    shared.is_untouched("a dry run");
    let (own, commit) = told(shared.night(&["--json"]));
    assert_eq!((own, commit), ([true, true, true, false], Some(shared.branch())));
    assert_eq!(told(shared.night(&["--json"])), ([true, true, false, true], Some(shared.branch())));
    assert_eq!(told(shared.night(&["--json", "--due-in", "5d"])), ([false; 4], None));
}

#[test]
fn a_token_that_lasts_is_left_alone_and_nobody_is_asked() {
    let Some(shared) = Shared::start() else { return };
    shared.world.bed.gitlab.forget_requests();
    shared.clone("night");
    // Needs neither a remote nor a credential.
    let args = ["--push-to", "/nowhere", "--due-in", "5d"];
    shared.propose(&args).success().prints("Nothing to do: no deploy token expires before ");
    assert_eq!(shared.world.bed.gitlab.log(), [""; 0]);
    shared.is_untouched("not due");
    shared.propose(&["--due-in", "5"]).failure(2).says("`--due-in` must be a number of days");
}

#[test]
fn only_a_clean_checkout_without_a_branch_is_moved() {
    let Some(shared) = Shared::start() else { return };
    shared.clone("night");
    shared.git_in("night", &["switch", "-q", "main"]);
    shared.propose(&[]).failure(1).says("HEAD is a branch").says("git checkout --detach");
    shared.git_in("night", &["switch", "-q", "--detach"]);
    fs::write(shared.world.sandbox.work("night/README.md"), "edited").unwrap();
    shared.propose(&[]).failure(1).says("files of the work tree or the index differ from HEAD");
    shared.git_in("night", &["checkout", "-q", "README.md"]);
    let several = shared.propose(&["night", "hello-infra"]).cwd(shared.world.sandbox.work(""));
    several.failure(2).says("--propose` takes one repository");
    for (args, says) in [
        (&["--finish"][..], "cannot be used with"),
        (&["--registry", "ghcr.io"], "cannot be used with"),
        (&["--env", "qa"], "the environment in `--env` does not exist"),
    ] {
        shared.propose(args).failure(2).says(says);
    }
    let run = shared.propose(&[]).without_env("ROTATE_TOKEN");
    run.failure(2).says("`--gitlab-token-env` must be the name of an exported variable");
    assert_eq!((shared.ids(), shared.writes()), (vec![1], Vec::new()));
    shared.propose(&[]).success();
}

#[test]
fn a_shallow_clone_will_do() {
    let Some(shared) = Shared::start() else { return };
    shared.clone("night");
    shared.git_in("night", &["fetch", "-q", "--depth=1", "--update-shallow"]);
    shared.git_in("night", &["checkout", "-q", "--detach", "origin/main"]);
    shared.propose(&[]).success();
    assert_eq!(shared.branch(), shared.git_in("night", &["rev-parse", "HEAD"]).stdout.trim());
}

#[test]
fn a_password_in_the_url_is_refused_and_not_shown() {
    let Some(shared) = Shared::start() else { return };
    shared.clone("night");
    for url in
        ["https://oauth2:glpat-typed@gitlab.com/group/x.git", "http://glpat-typed@localhost/x.git"]
    {
        let args = ["--propose", "main", "--push-to", url];
        let output = shared.world.rotate(&args).cwd(shared.world.sandbox.work("night")).failure(2);
        output.says("`--push-to` must not contain a user name or a password");
        assert!(!output.stderr.contains("glpat-typed"), "{}", output.stderr);
    }
}
