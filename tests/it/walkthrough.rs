//! docs/walkthrough.md, typed from the first line to the last, with the blog post's own repository,
//! a GitLab, a registry, and a cluster with what was deployed.

use super::by_hand::{deployment, pull_secret};
use super::diagnose::evidence;
use super::docs::page;
use super::gitlab_bed::{GitlabBed, MAINTAINER};
use super::stand_in::{StandIn, prints};
use super::support::{
    Output, Run, SECRET, Sandbox, TOKEN, USER, all_objects, assert_no_token, have,
};
use serde_json::{Value, json};
use std::fs;

pub const PAGE: &str = "docs/walkthrough.md";

const BY_HAND: &str = "secrets/kubernetes/gitlab.yaml";

/// The commands of the page, each with its section.
fn steps() -> Vec<(String, String)> {
    let text = page(PAGE);
    let mut steps = Vec::new();
    let (mut section, mut in_block) = (String::new(), false);
    for line in text.lines() {
        match line {
            "```sh" => in_block = true,
            line if line.starts_with("```") => in_block = false,
            line if in_block => steps.push((section.clone(), line.to_owned())),
            line => {
                if let Some(title) = line.strip_prefix("## ") {
                    title.split(". ").next().unwrap().clone_into(&mut section);
                }
            }
        }
    }
    steps
}

struct Story {
    bed: GitlabBed,
    cluster: StandIn,
    remote: String,
}

impl Story {
    /// The repository of the post, deployed, with the Secret that kubectl 1.9.0 created.
    fn start() -> Option<Self> {
        if !have("git-crypt") {
            return None;
        }
        let bed = GitlabBed::start()?;
        let sandbox = Sandbox::of_the_post();
        let image = bed.registry.image("group/hello:1.0.0");
        let secret = pull_secret(USER, "gitlab", "dockerconfigjson", bed.registry.host());
        sandbox.put("kubernetes/deployment.yaml", &deployment("hello", &image));
        sandbox.put(BY_HAND, &secret.replace("dockerconfigjson", "dockercfg"));
        sandbox.git(&["add", "--all"]).success();
        sandbox.git(&["commit", "-qm", "As kubectl 1.9.0 wrote it"]).success();
        let remote = sandbox.path("remote.git").display().to_string();
        sandbox.run("git", &["init", "--bare", "-q", "-b", "main", &remote]).success();
        sandbox.git(&["remote", "add", "origin", &remote]).success();
        sandbox.git(&["push", "-q", "-u", "origin", "HEAD"]).success();
        let story = Self { bed, cluster: StandIn { sandbox }, remote };
        story.has(BY_HAND, &story.waits());
        Some(story)
    }

    fn sandbox(&self) -> &Sandbox {
        &self.cluster.sandbox
    }

    /// Sets the state of the cluster, with the Secret of the file.
    fn has(&self, secret: &str, state: &Value) {
        let mut secret: Value = serde_yaml::from_str(&self.sandbox().read(secret)).unwrap();
        secret["metadata"]["namespace"] = json!("hello");
        let list = json!({"kind": "List", "items": [secret]});
        self.cluster.answers(&[
            prints("secrets --all-namespaces", &list.to_string()),
            prints("get --output=json secret", &secret.to_string()),
            prints("get --output=json pods,", &state.to_string()),
        ]);
    }

    /// The namespace with one pod and its image.
    fn state(&self, status: &Value) -> Value {
        let mut list = evidence(status, &[]);
        list["items"][0]["spec"]["containers"][0]["image"] =
            json!(self.bed.registry.image("group/hello:1.0.0"));
        let metadata = |name: &str| json!({"name": name, "namespace": "hello"});
        let spec = json!({"replicas": 1, "template": {"spec": list["items"][0]["spec"]}});
        let items = list["items"].as_array_mut().unwrap();
        let mut set =
            json!({"kind": "ReplicaSet", "metadata": metadata("hello-7d9d9b64f8"), "spec": spec});
        set["metadata"]["ownerReferences"] = json!([{"kind": "Deployment", "name": "hello"}]);
        items.push(set);
        items.push(json!({"kind": "ServiceAccount", "metadata": metadata("default")}));
        items.push(
            json!({"kind": "Deployment", "metadata": metadata("hello"), "spec": {"replicas": 1}}),
        );
        list
    }

    fn waits(&self) -> Value {
        let image = self.bed.registry.image("group/hello:1.0.0");
        let said = format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": failed to authorize: \
             failed to fetch anonymous token: unexpected status: 403 Forbidden"
        );
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": said}});
        let status = json!({"name": "hello", "ready": false, "state": waiting, "lastState": {}});
        self.state(&json!({"phase": "Pending", "containerStatuses": [status]}))
    }

    fn runs(&self) -> Value {
        let running = json!({"running": {"startedAt": "2026-11-23T20:00:10Z"}});
        let status = json!({"name": "hello", "ready": true, "state": running, "lastState": {}});
        self.state(&json!({"phase": "Running", "containerStatuses": [status]}))
    }

    /// Types a line as it stands, and answers its prompts.
    fn type_in(&self, line: &str, answers: &[&str]) -> Run {
        let program = env!("CARGO_BIN_EXE_makeinfra");
        let line = line.replace("makeinfra ", &format!("{program} "));
        let line = [&[line.as_str()][..], answers].concat().join(" ");
        let run = self.sandbox().run("sh", &["-c", &line]).cwd(self.sandbox().hello(""));
        run.env("PATH", self.sandbox().own_path())
            .env("GITLAB_HOST", self.bed.gitlab.url())
            .env("GITLAB_TOKEN", MAINTAINER)
    }

    /// Expects that the cluster has what was applied.
    #[track_caller]
    fn was_deployed(&self) {
        let overlay = "apply kubernetes/overlays/production";
        assert!(
            self.cluster.steps().iter().any(|step| step == overlay),
            "{:?}",
            self.cluster.steps()
        );
        self.cluster.saw_no_token();
        self.has(SECRET, &self.runs());
    }

    /// Advances to 20 days before the token expires.
    fn a_year_passes(&self) {
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20 * 24);
        let date = soon.strftime("%Y-%m-%d").to_string();
        self.type_in(&format!("makeinfra rotate --keep-token --expires-at {date} --commit"), &[])
            .success();
        self.type_in("git push -q", &[]).success();
        self.has(SECRET, &self.runs());
        self.type_in("makeinfra check", &["--strict"]).failure(1).prints("[pull-secret-expiry]");
        self.type_in("make check-expiry", &[]).failure(2).says("a token expires within 30 days");
    }
}

#[test]
fn the_walkthrough_leads_from_the_first_403_to_a_rotation_a_year_later() {
    let Some(story) = Story::start() else { return };
    let token = story.sandbox().path("token").display().to_string();
    let given = ["--token-username", USER, "--token-file", &token, "--expires-at", "2099-12-31"];
    let mut count = 0;
    for (section, line) in steps() {
        let typed = |answers: &[&str]| story.type_in(&line, answers);
        let output: Output = match (section.as_str(), line.as_str()) {
            (_, "makeinfra diagnose --namespace hello") => {
                let found = typed(&[]).failure(1);
                // As shown on the page.
                let text = page(PAGE);
                found.prints(text.lines().find(|line| line.starts_with("cause: ")).unwrap());
                found
            }
            ("1", "makeinfra check") => {
                let found = typed(&[]).failure(1);
                found
                    .prints("[pull-secret-wrapping]")
                    .prints("a rotated token does not reach the cluster");
                found
            }
            (_, "makeinfra adopt --namespace hello --take Makefile --dry-run") => {
                let plan = typed(&[]).success();
                plan.prints("from secrets/kubernetes/gitlab.yaml").prints("Nothing was written");
                plan
            }
            (_, "makeinfra adopt --namespace hello --take Makefile --commit") => {
                typed(&["--yes"]).success()
            }
            (_, "make setup") => typed(&[]).success(),
            (_, "rm secrets/kubernetes/gitlab.secret.yaml && makeinfra rotate --commit") => {
                // Not possible before.
                story.type_in("makeinfra rotate --commit", &given).failure(1).says("cannot rotate");
                typed(&given).success()
            }
            (_, "makeinfra check --online") => {
                let found = typed(&["--verbose"]).success();
                found.prints("[images-pull]").prints("0 problems, 0 warnings");
                found
            }
            (_, "git push") => typed(&["--quiet"]).success(),
            (_, "make deploy") => {
                let done = typed(&[]).success();
                story.was_deployed();
                done
            }
            (_, "makeinfra diagnose") => {
                let found = typed(&[]).success();
                found.prints("ok: 1 pod, all running");
                found
            }
            ("4", "makeinfra check") => typed(&["--strict"]).success(),
            (_, "make check-expiry") => {
                let found = typed(&[]).success();
                found.prints("expires-at 2099-12-31");
                found
            }
            (_, "makeinfra check --running") => {
                let found = typed(&["--verbose"]).success();
                found.prints("[running-pods-pull]");
                found
            }
            ("5", "export GITLAB_TOKEN=...") => {
                story.a_year_passes();
                continue;
            }
            (_, "makeinfra rotate --from-gitlab --expires-in 52w --commit") => {
                let done = typed(&[]).success();
                done.prints("can be pulled");
                done
            }
            (_, "makeinfra rotate --finish --commit --context prod") => {
                assert_eq!(story.bed.gitlab.tokens().len(), 2);
                let done = typed(&["--yes"]).success();
                done.prints("deploy token 1: deleted in GitLab; the registry refuses it");
                done
            }
            (_, "makeinfra token list") => {
                let list = typed(&[]).success();
                list.prints("used by production");
                list
            }
            (section, line) => panic!("a command of section {section} without a test: {line}"),
        };
        assert_no_token(output.stdout.as_bytes(), &line);
        assert_no_token(output.stderr.as_bytes(), &line);
        count += 1;
    }
    assert_eq!(count, 18, "all were typed");
    let sandbox = story.sandbox();
    let ids: Vec<_> = story.bed.gitlab.tokens().iter().map(|token| token.id).collect();
    assert_eq!(ids, [2]);
    assert!(!fs::read_to_string(sandbox.hello(SECRET)).unwrap().contains(TOKEN));
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    // The plaintext is neither here nor where it was pushed.
    assert_no_token(&all_objects(sandbox, &sandbox.hello("")), "an object");
    assert_no_token(&all_objects(sandbox, story.remote.as_ref()), "an object of the remote");
}
