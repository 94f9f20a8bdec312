//! Clones of one repository, their remote, a GitLab and a cluster: executes the steps of a story.

use super::super::gitlab::{DeployToken, Fault};
use super::super::gitlab_bed::{GitlabBed, MAINTAINER};
use super::super::support::{Output, Run, Sandbox, TOKEN, USER};
use super::account::{Clone, Places, Reader, Secret};
use super::step::{Act, CLONES, Call, ENVIRONMENTS, Fate, Method, Signal, Step};
use git2::Repository;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A kubectl that answers from files next to it.
const KUBECTL: &str = "#!/bin/sh\nall=\"$*\"\ncase \"$all\" in\n*--all-namespaces*) cat \"${0%/*}/all.json\" ;;\n\
    *--namespace=*) name=${all#*--namespace=}; cat \"${0%/*}/own-${name%% *}.json\" 2>/dev/null || : ;;\nesac\n";
/// The value of the other Secret.
pub const VALUE: &str = "value-Marker_5Zt3";

/// The whole system.
pub struct World {
    pub bed: GitlabBed,
    pub sandbox: Sandbox,
    pub reader: Reader,
}

/// Its state between two steps.
#[derive(Debug, std::clone::Clone)]
pub struct Snapshot {
    /// The live tokens by number.
    pub live: BTreeMap<u64, DeployToken>,
    pub clones: Vec<Clone>,
    pub remote: Places,
    /// The branch of the remote.
    pub main: git2::Oid,
    /// The pull secret of each environment's pods.
    pub cluster: BTreeMap<String, Rc<Secret>>,
}

impl World {
    /// Starts with the maximum number of clones, the first of which has created and pushed the
    /// repository.
    pub fn start() -> Option<Self> {
        let (bed, sandbox) = (GitlabBed::start()?, Sandbox::new());
        let image = bed.registry.image("group/hello:1.0.0");
        let token = sandbox.path("token").display().to_string();
        let args =
            ["new", "hello", "--image", &image, "--token-username", USER, "--token-file", &token];
        sandbox.makeinfra(&[&args[..], &["--expires-at", "never"]].concat()).success();
        let script = "umask 077; git init -q --bare -b main remote.git; mv hello-infra clone-0; cd clone-0; \
            git branch -q -M main; git remote add origin ../remote.git; git push -q -u origin main; \
            git-crypt export-key ../../key; cd ..; for number in $(seq 1 $0); do \
            git clone -q remote.git clone-$number; (cd clone-$number; git-crypt unlock ../../key); done; \
            cd ..; cp -a work pristine";
        sandbox.run("sh", &["-ec", script, &(CLONES - 1).to_string()]).success();
        sandbox.write_program("kubectl", KUBECTL);
        let reader = Reader::new(&sandbox.path("key"));
        Some(Self { bed, sandbox, reader })
    }

    /// Resets everything to the beginning.
    pub fn reset(&self) {
        let script = "cd ..; rm -rf work bin/*.json; cp -a pristine work";
        self.sandbox.run("sh", &["-ec", script]).cwd(self.sandbox.path("home")).success();
        let gitlab = &self.bed.gitlab;
        gitlab.heal().release().wait_for_idle().forget_requests().set_clock(Timestamp::now());
        for token in gitlab.tokens().iter().filter(|token| token.id != 1) {
            gitlab.remove_token(token.id);
        }
        if gitlab.token(1).is_none() {
            gitlab.add_token(DeployToken { id: 1, ..DeployToken::by_hand(7, "by hand", TOKEN) });
        }
        self.reader.forget();
        for env in 0..ENVIRONMENTS.len() {
            self.deploy(0, env);
        }
        self.write_cluster();
    }

    pub fn dir(&self, clone: usize) -> PathBuf {
        self.sandbox.work(&format!("clone-{clone}"))
    }

    pub fn snapshot(&self, clones: usize) -> Snapshot {
        let remote = Repository::open(self.sandbox.work("remote.git")).unwrap();
        let cluster = ENVIRONMENTS.iter().filter_map(|env| {
            let text = fs::read_to_string(self.sandbox.path(&format!("bin/{env}.yaml"))).ok()?;
            Some(((*env).to_owned(), Rc::new(Secret::parse(&text)?)))
        });
        Snapshot {
            live: self.bed.gitlab.tokens().into_iter().map(|token| (token.id, token)).collect(),
            clones: (0..clones).map(|clone| self.reader.clone(&self.dir(clone))).collect(),
            main: remote.refname_to_id("refs/heads/main").unwrap(),
            remote: self.reader.references(&remote),
            cluster: cluster.collect(),
        }
    }

    /// Executes `step`, and returns its output.
    pub fn play(&self, step: &Step) -> Output {
        let at = step.clone;
        match step.act {
            Act::ByHand { commit, env } => {
                let value = format!("gldt-hand-{}-{}", self.bed.gitlab.tokens().len(), step.clone);
                let value = format!("{value}-{}", self.bed.gitlab.requests().len());
                let id = self.bed.gitlab.add_token(DeployToken::by_hand(7, "by hand", &value));
                let file = self.sandbox.write_private("typed", value).display().to_string();
                let user = format!("gitlab+deploy-token-{id}");
                let args = [
                    "rotate",
                    "--token-username",
                    &user,
                    "--token-file",
                    &file,
                    "--expires-at",
                    "never",
                ];
                self.ours(step, &args, commit, env)
            }
            Act::FromGitlab { commit, env } => {
                self.ours(step, &["rotate", "--from-gitlab", "--expires-in", "90d"], commit, env)
            }
            Act::Finish { yes, commit, vouch } => {
                let mut args = vec!["rotate", "--finish", "--context", "test"];
                args.extend(yes.then_some("--yes"));
                let all = self.environments(at);
                args.extend(all.iter().filter(|_| vouch).flat_map(|env| ["--deployed", env]));
                self.ours(step, &args, commit, None)
            }
            Act::SecretSet { commit } => {
                let value = format!("{VALUE}-{}", self.bed.gitlab.requests().len());
                let file = self.sandbox.write_private("value", value).display().to_string();
                self.ours(step, &["secret", "set", "db", "A", "--from-file", &file], commit, None)
            }
            Act::EnvAdd { commit } => {
                self.ours(step, &["env", "add", "staging", "--yes"], commit, None)
            }
            Act::EnvRemove { commit } => {
                self.ours(step, &["env", "remove", "staging", "--yes"], commit, None)
            }
            Act::Update { commit } => {
                let record = self.dir(at).join(".makeinfra.yaml");
                let text = fs::read_to_string(&record).unwrap_or_default();
                let edited = match text.contains("replicas: 2") {
                    true => text.replace("replicas: 2", "replicas: 3"),
                    false => text.replace("replicas: 3", "replicas: 2"),
                };
                fs::write(record, edited).unwrap();
                self.ours(step, &["update", "--yes"], commit, None)
            }
            Act::Commit => self.git(at, "git add -A && git commit -qm 'By hand'"),
            Act::Discard => {
                self.git(at, "git merge --abort 2>/dev/null; git reset -q --hard; git clean -qfd")
            }
            Act::Reset => self.git(at, "git reset -q --hard origin/main; git clean -qfd"),
            Act::Stash => self.git(at, "git stash -qu"),
            Act::Unstash => self.git(at, "git stash pop -q"),
            Act::Push => self.git(at, "git push -q"),
            Act::Pull { theirs } => self.pull(at, theirs),
            Act::Deploy { env } => {
                self.deploy(at, env);
                self.write_cluster();
                self.git(at, ":")
            }
            Act::Ship | Act::Renew | Act::Replace => unreachable!("it is played as its parts"),
            Act::Wait => {
                self.bed.gitlab.advance(SignedDuration::from_hours(2));
                self.git(at, ":")
            }
        }
    }

    /// The environments of a clone.
    fn environments(&self, clone: usize) -> Vec<&'static str> {
        let record =
            fs::read_to_string(self.dir(clone).join(".makeinfra.yaml")).unwrap_or_default();
        ENVIRONMENTS.into_iter().filter(|env| record.contains(&format!("\n    {env}:"))).collect()
    }

    /// Runs a script in a clone, as a user with a umask of their own who removes the locks of a
    /// killed run.
    fn git(&self, clone: usize, script: &str) -> Output {
        let script = format!("umask 077; find .git -name '*.lock' -delete; {script}");
        self.sandbox.run("sh", &["-c", &script]).cwd(self.dir(clone)).output()
    }

    /// Merges what others have pushed. In a conflict, one side of each file is taken, because git
    /// cannot merge ciphertext.
    fn pull(&self, clone: usize, theirs: bool) -> Output {
        let side = if theirs { "theirs" } else { "ours" };
        self.git(
            clone,
            &format!(
                "git pull -q --no-rebase --no-edit && exit 0; open=$(git diff --name-only --diff-filter=U)
                [ -n \"$open\" ] || exit 1
                for file in $open; do git checkout -q --{side} -- $file && git add -- $file || git rm -q --cached -- $file; done
                git commit -q --no-edit"
            ),
        )
    }

    /// Deploys an environment of the work tree to the cluster.
    fn deploy(&self, clone: usize, env: usize) {
        let env = ENVIRONMENTS[env];
        let path = match env {
            "production" => "secrets/kubernetes/gitlab.secret.yaml".to_owned(),
            _ => format!("secrets/kubernetes/{env}/gitlab.secret.yaml"),
        };
        if let Ok(text) = fs::read_to_string(self.dir(clone).join(path))
            && Secret::parse(&text).is_some()
        {
            self.sandbox.write_private(&format!("bin/{env}.yaml"), text);
        } else if env == "production" {
            // With nothing to deploy, the cluster stays unchanged.
        }
    }

    fn write_cluster(&self) {
        let mut items = Vec::new();
        for env in ENVIRONMENTS {
            let Ok(text) = fs::read_to_string(self.sandbox.path(&format!("bin/{env}.yaml"))) else {
                continue;
            };
            let mut own: Value = serde_yaml::from_str(&text).unwrap();
            let namespace =
                if env == "production" { "hello".to_owned() } else { format!("hello-{env}") };
            own["metadata"]["namespace"] = json!(namespace);
            self.sandbox.write_private(&format!("bin/own-{namespace}.json"), own.to_string());
            items.push(own);
        }
        let list = json!({"kind": "List", "items": items});
        self.sandbox.write_private("bin/all.json", list.to_string());
    }

    /// Runs a makeinfra command, with the fault in the step.
    fn ours(&self, step: &Step, args: &[&str], commit: bool, env: Option<usize>) -> Output {
        let mut args = args.to_vec();
        args.extend(commit.then_some("--commit"));
        let known = self.environments(step.clone);
        args.extend(
            env.and_then(|env| known.get(env % known.len().max(1)))
                .into_iter()
                .flat_map(|env| ["--env", env]),
        );
        let run = self.sandbox.makeinfra(&args).cwd(self.dir(step.clone));
        let run = run.env("PATH", self.sandbox.own_path());
        let run = match step.act.asks_gitlab() {
            true => run.env("GITLAB_HOST", self.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER),
            false => run,
        };
        let gitlab = &self.bed.gitlab;
        let output = match &step.meets {
            None => run.output(),
            Some(Fate::Call { call, nth }) => killed_at(run, *call, *nth),
            Some(Fate::Lost { method, nth, done }) => {
                self.plan(*method, *nth, if *done { Fault::DropAfter } else { Fault::DropBefore });
                run.output()
            }
            Some(Fate::Signal { signal, method, nth, done, late }) => {
                self.plan(*method, *nth, if *done { Fault::HoldAfter } else { Fault::HoldBefore });
                self.signalled(run, *signal, *late)
            }
        };
        gitlab.heal();
        output
    }

    /// Makes the request number `nth` from now on fail with `fault`.
    fn plan(&self, method: Method, nth: usize, fault: Fault) {
        let method = match method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        };
        for _ in 0..nth {
            self.bed.gitlab.next(method, "", Fault::Delay(Duration::ZERO));
        }
        self.bed.gitlab.next(method, "", fault);
    }

    fn signalled(&self, run: Run, signal: Signal, late: bool) -> Output {
        let gitlab = &self.bed.gitlab;
        let mut command = run.without_env("MAKEINFRA_TEST_ADVICE").command();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && !gitlab.holds() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if gitlab.holds() {
            let name = format!("-{signal:?}").to_uppercase();
            Command::new("kill").args([&name, &child.id().to_string()]).status().unwrap();
            // A process that waits for the answer before it ends receives it.
            let start = Instant::now();
            while child.try_wait().unwrap().is_none()
                && start.elapsed() < Duration::from_millis(200)
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            if !late || signal != Signal::Kill {
                gitlab.release().wait_for_idle();
            }
        }
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }
}

fn killed_at(run: Run, call: Call, nth: usize) -> Output {
    let inner = run.command();
    let mut strace = Command::new("strace");
    let (trace, inject) =
        (format!("trace={call:?}"), format!("inject={call:?}:signal=SIGKILL:when={nth}"));
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
    strace.arg(inner.get_program()).args(inner.get_args());
    strace.current_dir(inner.get_current_dir().unwrap()).env_clear().stdin(Stdio::null());
    strace.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Run::of(strace).without_env("MAKEINFRA_TEST_ADVICE").output()
}
