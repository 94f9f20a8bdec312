//! The life of a deploy token: GitLab issues it, the kubelet pulls with it, another one replaces
//! it, and it is deleted.

use super::running::IMAGE;
use super::{Bed, Scene, bed};
use crate::gitlab::{Gitlab, Role};
use crate::gitlab_bed::MAINTAINER;
use crate::support::{Output, Run, SECRET, kubectls, needles};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::mem;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

/// How long the registry refuses a token that GitLab has just issued.
const DELAY: Duration = Duration::from_secs(1);

/// A GitLab on the node, whose tokens the token service accepts, and a scene.
struct Life {
    bed: Bed,
    gitlab: Gitlab,
    scene: Scene,
}

impl Life {
    /// With a repository whose token GitLab has issued.
    fn new() -> Option<Self> {
        let bed = bed()?;
        let gitlab = on_node(&bed, Gitlab::start);
        gitlab.registry("127.0.0.1:5000").project(7, "group/hello");
        gitlab.person(MAINTAINER, &[("group/hello", Role::Maintainer)], &["api"]);
        gitlab.registry_tokens_in(&bed.state.join("tokens"), DELAY);
        let scene = Scene::new(&kubectls()[0], &bed.kubeconfig());
        let life = Self { bed, gitlab, scene };
        let namespace = life.scene.namespace.clone();
        let args = ["new", "hello", "--image", IMAGE, "--namespace", &namespace, "--replicas", "1"];
        // The registry names a token service that is not GitLab's.
        let url = life.gitlab.url();
        let made = ["--from-gitlab", "--gitlab-host", &url, "--expires-in", "90d"];
        let run = life.scene.makeinfra_on_node(&life.bed, &[&args[..], &made].concat());
        life.tells_no_token(life.asks(run).success());
        Some(life)
    }

    fn asks(&self, run: Run) -> Run {
        run.env("GITLAB_HOST", self.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER)
    }

    /// `makeinfra rotate` in the repository.
    fn rotate(&self, args: &[&str]) -> Run {
        let run = self.scene.makeinfra_on_node(&self.bed, &[&["rotate"], args].concat());
        self.asks(run.cwd(self.scene.sandbox.work("hello-infra")))
    }

    /// `rotate --finish` with a kubeconfig and its context.
    fn finish_as(&self, kubeconfig: &PathBuf, args: &[&str]) -> Run {
        self.rotate(&[&["--finish", "--commit", "--context", "bed"], args].concat())
            .env("KUBECONFIG", kubeconfig)
    }

    /// `rotate --finish` as administrator.
    fn finish(&self, args: &[&str]) -> Run {
        self.finish_as(&self.scene.kubeconfig, args)
    }

    /// Runs it, and expects this exit code, and that nothing was deleted or written.
    #[track_caller]
    fn keeps(&self, run: Run, code: i32) -> Output {
        let (ids, secret) = (self.ids(), self.scene.secret());
        let output = self.tells_no_token(run.output());
        assert_eq!(
            output.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            output.stdout,
            output.stderr
        );
        assert_eq!((self.ids(), self.scene.secret()), (ids, secret), "{}", output.stdout);
        output
    }

    fn ids(&self) -> Vec<u64> {
        self.gitlab.tokens().iter().map(|token| token.id).collect()
    }

    #[track_caller]
    fn tells_no_token(&self, output: Output) -> Output {
        for token in self.gitlab.tokens() {
            for needle in needles(&token.token) {
                assert!(!output.stdout.contains(&needle) && !output.stderr.contains(&needle));
            }
        }
        output
    }

    /// The kubeconfig of a service account with this Role, or none.
    fn account(&self, name: &str, role: Option<&[&str]>) -> PathBuf {
        let scene = &self.scene;
        scene.kubectl(&["create", "serviceaccount", name]).success();
        if let Some(role) = role {
            scene.kubectl(&[&["create", "role", name], role].concat()).success();
            let account = format!("--serviceaccount={}:{name}", scene.namespace);
            let role = format!("--role={name}");
            scene.kubectl(&["create", "rolebinding", name, &role, &account]).success();
        }
        // The oldest kubectl cannot request a token.
        let newest = kubectls().pop().unwrap();
        let token = ["--namespace", &scene.namespace, "create", "token", name];
        let token =
            scene.sandbox.run(newest, &token).env("KUBECONFIG", &scene.kubeconfig).success().stdout;
        let admin: Value =
            serde_yaml::from_str(&fs::read_to_string(&scene.kubeconfig).unwrap()).unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "clusters": admin["clusters"], "current-context": "bed",
            "users": [{"name": name, "user": {"token": token.trim()}}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": name}}],
        });
        scene.sandbox.write_private(&format!("{name}.kubeconfig"), config.to_string())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // Stopping it requires a connection to itself.
        let gitlab = mem::replace(&mut self.gitlab, Gitlab::start());
        on_node(&self.bed, move || drop(gitlab));
    }
}

/// Calls `start` in a thread in the node's network; what it binds stays there.
fn on_node<T: Send>(bed: &Bed, start: impl FnOnce() -> T + Send) -> T {
    let network = File::open(format!("/proc/{}/ns/net", bed.node())).unwrap();
    let entered = move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        start()
    };
    thread::scope(|scope| scope.spawn(entered).join().unwrap())
}

impl Scene {
    /// Has a pod pull [`IMAGE`] with a Secret of the cluster. Returns what its container waits for;
    /// empty if it runs.
    fn pulls_once(&self, pod: &str, secret: &str) -> String {
        let security = json!({
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
            "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"},
        });
        let container = json!({
            "name": "pull", "image": IMAGE, "imagePullPolicy": "Always", "securityContext": security,
        });
        let spec = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod},
            "spec": {
                "containers": [container],
                "imagePullSecrets": [{"name": secret}], "automountServiceAccountToken": false,
            },
        });
        self.kubectl(&["create", "--filename=-"]).stdin(spec.to_string()).success();
        let mut said = "it was not pulled in time".to_owned();
        for _ in 0..300 {
            let pod = self.kubectl(&["get", "pod", pod, "--output=json"]).success().json();
            let state = &pod["status"]["containerStatuses"][0]["state"];
            if !state["running"].is_null() || !state["terminated"].is_null() {
                said = String::new();
                break;
            }
            let reason = state["waiting"]["reason"].as_str().unwrap_or_default();
            if ["ErrImagePull", "ImagePullBackOff"].contains(&reason) {
                state["waiting"]["message"].as_str().unwrap_or(reason).clone_into(&mut said);
                break;
            }
            sleep(Duration::from_millis(200));
        }
        self.kubectl(&["delete", "pod", pod, "--wait=false", "--grace-period=0", "--force"])
            .success();
        said
    }

    /// Pulls repeatedly with the cluster's Secret, and returns the result of each pull.
    fn pulls_until(&self, stop: &AtomicBool) -> Vec<String> {
        let mut said = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            said.push(self.pulls_once(&format!("pull-{}", said.len()), "gitlab"));
        }
        said
    }
}

/// Sets a flag when dropped, even if a test fails.
struct Sets<'f>(&'f AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_token_is_replaced_and_deleted_while_pods_pull_all_the_time() {
    let Some(life) = Life::new() else { return };
    let scene = &life.scene;
    assert_eq!(life.ids(), [1]);
    scene.make(&["deploy"]).success();
    scene.runs();
    let stop = AtomicBool::new(false);
    let pulls = thread::scope(|scope| {
        let pulls = scope.spawn(|| scene.pulls_until(&stop));
        let stops = Sets(&stop);
        life.tells_no_token(
            life.rotate(&["--from-gitlab", "--expires-in", "90d", "--commit"]).success(),
        );
        assert_eq!(life.ids(), [1, 2]);
        // The cluster still has the old one.
        life.keeps(life.finish(&[]), 1).prints("differs from").prints("make deploy");
        life.tells_no_token(scene.make(&["deploy"]).success());
        assert_eq!(scene.pulls_again("rotated"), "");
        let done = life.finish(&["--json"]).success();
        let report = life.tells_no_token(done).json();
        assert_eq!(report["tokens"][0]["state"], "deleted", "{report:#}");
        assert_eq!(report["tokens"][0]["registry"]["status"], "ok", "{report:#}");
        assert_eq!(report["environments"][0]["status"], "ok", "{report:#}");
        assert_eq!(life.ids(), [2]);
        assert_eq!(scene.pulls_again("finished"), "");
        sleep(Duration::from_secs(2));
        drop(stops);
        pulls.join().unwrap()
    });
    assert!(pulls.len() >= 5, "{pulls:?}");
    assert!(pulls.iter().all(String::is_empty), "{pulls:?}");
    life.finish(&[]).success().prints("Nothing to finish");
    // What the kubelet encounters with the first token.
    let first = scene.sandbox.git(&["log", "--format=%H", "--reverse"]).success().stdout;
    let first = format!("{}:{SECRET}", first.lines().next().unwrap());
    let old = scene.sandbox.git(&["cat-file", "--filters", &first]).success().stdout;
    let mut old: Value = serde_yaml::from_str(&old).unwrap();
    old["metadata"] = json!({"name": "first"});
    scene.kubectl(&["create", "--filename=-"]).stdin(old.to_string()).success();
    let met = scene.pulls_once("too-late", "first");
    assert!(met.contains("401 Unauthorized"), "{met}");
}

#[test]
fn what_the_cluster_does_not_tell_or_still_has_keeps_the_old_token() {
    let Some(life) = Life::new() else { return };
    let scene = &life.scene;
    let old = life.gitlab.tokens().remove(0);
    life.rotate(&["--from-gitlab", "--expires-in", "90d", "--commit"]).success();
    life.keeps(life.finish(&[]), 1).prints("pull secret gitlab does not exist");
    scene.make(&["deploy"]).success();

    // Other Secrets in other namespaces, whoever created them.
    let elsewhere = Scene::new(&kubectls()[0], &life.bed.kubeconfig());
    let namespace = elsewhere.namespace.clone();
    elsewhere.kubectl(&["create", "namespace", &namespace]).success();
    let (user, value) = (format!("--docker-username={}", old.username()), &old.token);
    let password = format!("--docker-password={value}");
    let literal = format!("--from-literal=TOKEN={value}");
    let within = format!("--from-literal=config=password: {value} # old");
    for create in [
        &["docker-registry", "copy", "--docker-server=127.0.0.1:5000", &user, &password][..],
        &["generic", "copy", &literal],
        &["generic", "copy", &within],
    ] {
        elsewhere.kubectl(&[&["create", "secret"], create].concat()).success();
        let said = life.keeps(life.finish(&[]), 1);
        said.prints(&format!("still contain the old token: {namespace}/copy"));
        elsewhere.kubectl(&["delete", "secret", "copy"]).success();
    }

    // Accounts with fewer permissions.
    let locked = life.account("locked", None);
    life.keeps(life.finish_as(&locked, &[]), 3)
        .prints("you are not allowed to read Secret gitlab")
        .prints("--deployed");
    let one =
        life.account("one", Some(&["--verb=get", "--resource=secrets", "--resource-name=gitlab"]));
    let said = life.keeps(life.finish_as(&one, &["--dry-run"]), 0);
    said.prints(&format!("you are not allowed to list those of namespace {}", scene.namespace));
    let reader = life.account("reader", Some(&["--verb=get,list", "--resource=secrets"]));
    let said = life.keeps(life.finish_as(&reader, &["--dry-run"]), 0);
    said.prints("you are not allowed to list those of other namespaces").prints("would be deleted");
    life.keeps(life.rotate(&["--finish", "--commit", "--context", "nowhere"]), 1)
        .prints("does not have this context");

    // The reader's permissions are sufficient, and the verdict says what was checked.
    let done = life.tells_no_token(life.finish_as(&reader, &[]).success());
    done.prints("you are not allowed to list those of other namespaces")
        .prints("deploy token 1: deleted in GitLab");
    assert_eq!(life.ids(), [2]);
}
