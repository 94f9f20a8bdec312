//! `rotate --from-gitlab` over several repositories: those that share a token share the new one.

use super::super::gitlab::Fault;
use super::super::gitlab_bed::{GitlabBed, MAINTAINER, OWNER};
use super::super::support::{Output, Run, SECRET, Sandbox, USER};
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// A GitLab with a registry, and repositories `a-infra`, `b-infra` and `c-infra` with tokens
/// created by hand: one for `a` and `b`, and one for `c`.
pub struct Several {
    pub bed: GitlabBed,
    pub sandbox: Sandbox,
}

impl Several {
    pub fn start() -> Option<Self> {
        let several = Self { bed: GitlabBed::start()?, sandbox: Sandbox::new() };
        several.sandbox.write_private("api", MAINTAINER);
        several.sandbox.write_private("other", "gldt-of-c");
        for (name, user, token) in
            [("a", USER, "token"), ("b", USER, "token"), ("c", "robot", "other")]
        {
            several.create(name, "group/hello:1.0.0", user, token);
        }
        Some(several)
    }

    /// Creates a repository for `image`, with the token in the file `token`.
    fn create(&self, name: &str, image: &str, user: &str, token: &str) {
        let (image, token) =
            (self.bed.registry.image(image), self.sandbox.path(token).display().to_string());
        let args =
            ["new", name, "--image", &image, "--token-username", user, "--token-file", &token];
        // Each has its own cluster.
        let more = ["--expires-at", "never", "--context", name];
        self.sandbox.makeinfra(&[&args[..], &more].concat()).success();
    }

    pub fn run(&self, args: &[&str]) -> Run {
        let run = self.sandbox.makeinfra(args);
        run.env("GITLAB_HOST", self.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER)
    }

    /// `makeinfra rotate --from-gitlab` of `repositories`.
    pub fn rotate(&self, repositories: &[&str], args: &[&str]) -> Run {
        let rotate = ["rotate", "--from-gitlab", "--expires-in", "90d"];
        self.run(&[&rotate[..], repositories, args].concat())
    }

    pub fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox.work(name).join(SECRET)).unwrap()
    }

    pub fn annotation(&self, name: &str, annotation: &str) -> String {
        let secret: Value = serde_yaml::from_str(&self.secret(name)).unwrap();
        secret["metadata"]["annotations"][annotation].as_str().unwrap_or_default().to_owned()
    }

    /// The number of a repository's token, according to its annotation.
    pub fn held(&self, name: &str) -> u64 {
        let url = self.annotation(name, "makeinfra/token");
        url.rsplit('/').next().unwrap().parse().unwrap_or_default()
    }

    pub fn ids(&self) -> Vec<u64> {
        self.bed.gitlab.tokens().iter().map(|token| token.id).collect()
    }

    /// How often a token was requested from GitLab.
    fn posts(&self) -> usize {
        self.bed.gitlab.log().iter().filter(|line| line.starts_with("POST ")).count()
    }

    pub fn head(&self, name: &str) -> String {
        self.git(name, &["rev-parse", "HEAD"]).stdout
    }

    pub fn git(&self, name: &str, args: &[&str]) -> Output {
        self.sandbox.run("git", args).cwd(self.sandbox.work(name)).success()
    }

    #[track_caller]
    pub fn is_settled(&self) {
        for name in ["a-infra", "b-infra", "c-infra"] {
            assert!(!self.sandbox.work(name).join(".git/makeinfra").exists(), "{name}");
            assert_eq!(self.git(name, &["status", "--porcelain"]).stdout, "", "{name}");
        }
    }
}

fn objects(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn repositories_that_share_a_token_get_one_new_one() {
    let Some(several) = Several::start() else { return };
    let output = several.rotate(&["a-infra", "b-infra", "c-infra"], &["--commit"]).success();
    output.prints("3 repositories: 3 ok, 3 changed");
    let tokens = several.bed.gitlab.tokens();
    assert_eq!((several.posts(), tokens.len()), (2, 3));
    let (a, b, c) = (several.held("a-infra"), several.held("b-infra"), several.held("c-infra"));
    assert_eq!(a, b);
    assert_ne!(a, c);
    let name = |id: u64| several.bed.gitlab.token(id).unwrap().name;
    assert!(name(a).starts_with("makeinfra a-infra,b-infra production "), "{}", name(a));
    assert!(name(c).starts_with("makeinfra c-infra production "), "{}", name(c));
    for repository in ["a-infra", "b-infra"] {
        let note = |name: &str| several.annotation(repository, &format!("makeinfra/{name}"));
        assert_eq!(note("token-repositories"), "a-infra b-infra");
        assert_eq!(note("superseded-tokens"), USER);
        assert_eq!(note("token-owner"), "group/hello");
    }
    assert_eq!(several.annotation("c-infra", "makeinfra/token-repositories"), "");
    several.is_settled();
    several.run(&["check", "--online", "a-infra", "b-infra", "c-infra"]).success();
    // A second rotation: superseded tokens are listed with their repositories.
    let output = several.rotate(&["b-infra", "a-infra"], &["--json"]).success();
    for object in objects(&output) {
        assert!(object["changed"] == true && object["error"].is_null(), "{object}");
    }
    let old = format!("{}/api/v4/projects/7/deploy_tokens/{a}", several.bed.gitlab.url());
    let superseded = several.annotation("a-infra", "makeinfra/superseded-tokens");
    assert_eq!(superseded, format!("{USER} {old}#a-infra,b-infra"));
    assert_eq!(several.annotation("a-infra", "makeinfra/token-repositories"), "b-infra a-infra");
    // Rotating one repository alone leaves the other its token, and reports that.
    let output = several.rotate(&["a-infra"], &[]).success();
    output.says("b-infra shared it with this repository").prints("in one run with b-infra\n");
    assert_ne!(several.held("a-infra"), several.held("b-infra"));
    several.run(&["check", "--online", "b-infra"]).success();
}

#[test]
fn what_fails_the_look_gets_no_token() {
    let Some(several) = Several::start() else { return };
    several.sandbox.run("git-crypt", &["lock"]).cwd(several.sandbox.work("c-infra")).success();
    let before = several.head("c-infra");
    let failed = several.sandbox.work("failed").display().to_string();
    let args = ["--commit", "--failed-to", &failed];
    let output = several.rotate(&["a-infra", "c-infra", "b-infra"], &args).failure(10);
    output.prints("failed   c-infra: ").prints("3 repositories: 2 ok, 2 changed, 1 failed");
    assert_eq!((several.posts(), several.head("c-infra")), (1, before));
    assert_eq!(fs::read_to_string(&failed).unwrap(), "c-infra\n");
    // A repository without a project in GitLab fails alone, too.
    several.create("d", "nowhere/nothing:1", "robot", "other");
    let output = several.rotate(&["a-infra", "d-infra"], &[]).failure(1);
    output.prints("ok       a-infra: ").prints("failed   d-infra: GitLab's API request failed");
    // A dry run creates nothing.
    let before = several.ids();
    let output = several.rotate(&["a-infra", "b-infra"], &["--dry-run"]).success();
    output.prints("ok       b-infra: would get a new deploy token of the project `group/hello`");
    assert_eq!(several.ids(), before);
}

#[test]
fn an_access_token_that_is_refused_is_sent_once() {
    let Some(several) = Several::start() else { return };
    let output =
        several.rotate(&["a-infra", "b-infra", "c-infra"], &[]).env("GITLAB_TOKEN", "glpat-nobody");
    let output = output.failure(13);
    output.prints("rejects the access token").prints("3 repositories: 3 failed");
    assert_eq!(several.bed.gitlab.log().len(), 1, "{:?}", several.bed.gitlab.log());
    // No credential for this GitLab: nothing is sent.
    several.bed.gitlab.forget_requests();
    let output =
        several.rotate(&["a-infra", "b-infra"], &[]).without_env("GITLAB_TOKEN").failure(2);
    output.prints("no access token for");
    assert_eq!(several.bed.gitlab.log(), [""; 0]);
}

#[test]
fn what_cannot_be_written_takes_the_token_back_unless_another_has_it() {
    let Some(several) = Several::start() else { return };
    // Somebody edits a file while GitLab is asked.
    let edited = |names: &'static [&'static str]| {
        several.bed.gitlab.next(
            "POST",
            "/deploy_tokens",
            Fault::DelayAfter(Duration::from_secs(2)),
        );
        let files: Vec<_> =
            names.iter().map(|name| several.sandbox.work(name).join(SECRET)).collect();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            for file in files {
                // A file that a rotation could not read.
                fs::write(&file, "kind: Secret\n").unwrap();
            }
        })
    };
    let restore = |name: &str| several.git(name, &["checkout", "-q", "--", "secrets"]);
    let editor = edited(&["a-infra", "b-infra"]);
    let output = several.rotate(&["a-infra", "b-infra"], &["--commit"]).output();
    editor.join().unwrap();
    assert_eq!(output.code, Some(1), "{}", output.stdout);
    output.prints("deleted the new deploy token 2").prints("2 repositories: 2 failed");
    assert_eq!(several.ids(), [1]);
    for name in ["a-infra", "b-infra"] {
        assert_eq!(several.secret(name), "kind: Secret\n");
        restore(name);
    }
    let editor = edited(&["a-infra"]);
    let output = several.rotate(&["a-infra", "b-infra"], &["--commit"]).output();
    editor.join().unwrap();
    output.prints("failed   a-infra: ").prints("ok       b-infra: ");
    restore("a-infra");
    assert_eq!((several.ids(), several.held("b-infra")), (vec![1, 3], 3));
    several.is_settled();
}

#[test]
fn a_refused_token_is_deleted_and_the_others_go_on() {
    let Some(several) = Several::start() else { return };
    // `a` and `b` share a token, but no GitLab project has both their images.
    several.create("e", "group/second:1.0.0", USER, "token");
    let output = several.rotate(&["a-infra", "e-infra", "c-infra"], &["--commit"]).failure(1);
    output
        .prints("failed   a-infra: a project's deploy token cannot pull from two")
        .prints("failed   e-infra: ")
        .prints("project `group/hello` and project `group/second`")
        .prints("ok       c-infra: ");
    assert_eq!(several.posts(), 1);
    // Their common group has one.
    let group = ["--gitlab-group", "group", "--commit"];
    several.rotate(&["a-infra", "e-infra"], &group).env("GITLAB_TOKEN", OWNER).success();
    assert_eq!(several.held("a-infra"), several.held("e-infra"));
    several.run(&["check", "--online", "a-infra", "e-infra"]).success();
}

#[test]
fn a_killed_run_is_cleaned_up_unless_another_repository_has_the_token() {
    let Some(several) = Several::start() else { return };
    // Killed after the token was created, with nothing written.
    several.bed.gitlab.next("POST", "/deploy_tokens", Fault::DelayAfter(Duration::from_secs(60)));
    let mut command = several.rotate(&["a-infra", "b-infra"], &["--commit"]).command();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let journal = several.sandbox.work("a-infra").join(".git/makeinfra");
    let start = std::time::Instant::now();
    while several.ids().len() < 2 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    several.bed.gitlab.heal();
    let entries =
        || fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let entry = entries()
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .unwrap();
    let text = fs::read_to_string(&entry).unwrap();
    several.rotate(&["a-infra"], &["--commit"]).success().says("deleted the deploy token 2");
    // Killed with the token in `b` alone: `a` must not delete it.
    several.rotate(&["a-infra", "b-infra"], &["--commit"]).success();
    let id = several.held("b-infra");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["name"] = several.bed.gitlab.token(id).unwrap().name.into();
    value["id"] = id.into();
    several.git("a-infra", &["reset", "-q", "--hard", "HEAD~1"]);
    several.git("a-infra", &["reflog", "expire", "--expire=now", "--all"]);
    let put_back = || {
        fs::create_dir_all(&journal).unwrap();
        fs::write(&entry, value.to_string()).unwrap();
    };
    put_back();
    several.rotate(&["a-infra"], &["--commit"]).success();
    assert!(several.ids().contains(&id));
    assert!(!journal.exists());
    // A repository that was moved away may have it.
    put_back();
    several.sandbox.run("mv", &["b-infra", "moved"]).success();
    let output = several.rotate(&["a-infra"], &["--commit"]).failure(3);
    output.says("cannot determine whether the deploy token").says("b-infra");
    assert!(several.ids().contains(&id) && entry.exists());
    // It no longer exists in GitLab, so nothing is undetermined.
    several.bed.gitlab.remove_token(id);
    several.rotate(&["a-infra"], &["--commit"]).success();
    assert!(!journal.exists());
}
