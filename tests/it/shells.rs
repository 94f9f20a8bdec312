//! The generated scripts with every POSIX shell and every awk: output, exit code, kubectl calls and
//! files are the same, and correct.

mod expiry;

use super::deploying::{JOB_CHANGED, LISTED, TYPE_CHANGED, listed, one_of_several};
use super::environments::with_environments;
use super::stand_in::{StandIn, arm, fails, prints};
use super::support::{Run, Sandbox, TOKEN, assert_no_token, have};
use rexpect::process::wait::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

const SHELLS: [&str; 4] = ["dash", "bash --posix", "busybox sh", "mksh"];
const AWKS: [&str; 4] = ["mawk", "gawk", "original-awk", "busybox awk"];
/// The expected text of a scene without output.
const NOTHING: &str = "";
const KUSTOMIZATION: &str = "kubernetes/overlays/production/kustomization.yaml";
const ENVIRONMENT: &str = "kubernetes/overlays/production/environment.mk";
const HOOK: &str = ".githooks/pre-commit";
const PLAIN: &str = "error: plaintext in the index: secrets/plain.txt\n";

/// Those programs that are installed.
fn present(programs: [&'static str; 4]) -> Vec<&'static str> {
    programs.into_iter().filter(|command| have(command.split(' ').next().unwrap())).collect()
}

/// A repository, its cluster, and the shell and awk with which everything in it runs.
struct Stage {
    cluster: StandIn,
    /// The directory of the scenes.
    dir: PathBuf,
    with: String,
    /// The scenes so far, each with all of its output.
    scenes: Vec<(String, String)>,
}

impl Stage {
    fn new(sandbox: Sandbox, shell: &str, awk: &str) -> Self {
        // Records that it was started, so that no scene only uses the system's own shell.
        let script = format!("#!/bin/sh\necho >>\"${{0%/*}}/started\"\nexec {shell} \"$@\"\n");
        sandbox.write_program("sh", &script);
        sandbox.write_program("awk", &format!("#!/bin/sh\nexec {awk} \"$@\"\n"));
        let dir = sandbox.work("hello-infra");
        let with = format!("{shell}, {awk}");
        Self { cluster: StandIn { sandbox }, dir, with, scenes: Vec::new() }
    }

    /// Changes to another directory, whose hook git runs with this shell, too.
    fn enter(&mut self, name: &str) {
        self.dir = self.cluster.sandbox.work(name);
        let hook = fs::read_to_string(self.dir.join(HOOK)).unwrap();
        assert!(hook.starts_with("#!/bin/sh\n"), "{hook}");
        fs::write(self.dir.join(HOOK), hook.replacen("/bin/sh", &self.shell(), 1)).unwrap();
    }

    fn shell(&self) -> String {
        self.cluster.sandbox.path("bin/sh").display().to_string()
    }

    fn run(&self, program: &str, args: &[&str]) -> Run {
        let sandbox = &self.cluster.sandbox;
        sandbox.run(program, args).cwd(&self.dir).env("PATH", sandbox.own_path())
    }

    /// `make`, with words separated by spaces. Recipes also run in this shell instead of `/bin/sh`.
    fn make(&self, typed: &str) -> Run {
        let shell = format!("SHELL={}", self.shell());
        let words: Vec<_> = [&*shell].into_iter().chain(typed.split(' ')).collect();
        self.run("make", &words)
    }

    fn git(&self, args: &[&str]) -> String {
        self.run("git", args).success().stdout
    }

    /// Writes and stages a file, unfiltered.
    fn add(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.dir.join(name), text).unwrap();
        self.git(&["add", "--", name]);
    }

    /// Expects that `make` succeeds and prints a text: its own, kubectl's or one of the overlay.
    #[track_caller]
    fn succeeds(&mut self, typed: &str, answers: &[String], text: &str) {
        self.played(typed, self.make(typed), answers, 0, text);
    }

    #[track_caller]
    fn fails(&mut self, typed: &str, answers: &[String], text: &str) {
        self.played(typed, self.make(typed), answers, 2, text);
    }

    fn commit(&self, message: &str) -> Run {
        self.run("git", &["commit", "-q", "-m", message])
    }

    /// Expects that the hook lets a commit pass silently.
    #[track_caller]
    fn commits(&mut self, message: &str) {
        self.played("git commit", self.commit(message), &[], 0, NOTHING);
        assert_eq!(self.git(&["log", "-1", "--format=%s"]).trim(), message);
    }

    /// Expects that the check and the hook refuse what is staged.
    #[track_caller]
    fn refuses(&mut self, text: &str) {
        self.fails("check-secrets", &[], text);
        let head = self.git(&["rev-parse", "HEAD"]);
        self.played("git commit", self.commit("refused"), &[], 1, text);
        assert_eq!(self.git(&["rev-parse", "HEAD"]), head, "{}", self.with);
    }

    #[track_caller]
    fn played(&mut self, scene: &str, run: Run, answers: &[String], code: i32, text: &str) {
        self.before(answers);
        let output = run.output();
        let silent = output.stdout.is_empty() && output.stderr.is_empty();
        self.after(scene, output.code, &format!("{}--\n{}", output.stdout, output.stderr));
        assert!(text != NOTHING || silent, "{}, {scene}: {output:?}", self.with);
        self.ended(code, text);
    }

    /// Runs it on a terminal, with a reply to its question.
    #[track_caller]
    fn asked(&mut self, typed: &str, answers: &[String], reply: &str, code: i32, text: &str) {
        self.before(answers);
        let mut command = self.make(typed).command();
        command.stdin(Stdio::inherit());
        let mut terminal =
            spawn_with_options(command, Options::new().timeout_ms(Some(20_000))).unwrap();
        let before = terminal.exp_string("[y/N] ").unwrap();
        terminal.send_line(reply).unwrap();
        let after = terminal.exp_eof().unwrap();
        let WaitStatus::Exited(_, status) = terminal.process().wait().unwrap() else {
            panic!("{after}")
        };
        self.after(&format!("{typed} <{reply}>"), Some(status), &format!("{before}{after}"));
        self.ended(code, text);
    }

    fn before(&self, answers: &[String]) {
        self.cluster.answers(answers);
        self.cluster.sandbox.write("bin/started", "");
    }

    #[track_caller]
    fn after(&mut self, scene: &str, code: Option<i32>, said: &str) {
        let started = fs::read(self.cluster.sandbox.path("bin/started")).unwrap();
        assert!(!started.is_empty(), "{scene} was played without {}", self.with);
        // Both ends of a pipe start at the same time.
        let mut calls: Vec<_> = self.cluster.calls().iter().map(|call| call.join(" ")).collect();
        calls.sort();
        let file = fs::read_to_string(self.cluster.sandbox.hello(KUSTOMIZATION)).unwrap();
        let shown = format!("{code:?}\n{said}--\n{}\n--\n{file}", calls.join("\n"));
        assert_no_token(shown.as_bytes(), scene);
        self.scenes.push((scene.to_owned(), shown));
    }

    /// Expects an exit code and a text of the last scene.
    #[track_caller]
    fn ended(&self, code: i32, text: &str) {
        let (scene, shown) = self.scenes.last().unwrap();
        let found = shown.starts_with(&format!("{:?}\n", Some(code))) && shown.contains(text);
        assert!(found, "{}, {scene}: no {code} with `{text}`:\n{shown}", self.with);
    }
}

type Pairs = Vec<(&'static str, &'static str)>;

/// Every shell, with one awk.
fn shells_with(awk: &'static str) -> Pairs {
    present(SHELLS).into_iter().map(|shell| (shell, awk)).collect()
}

fn shells() -> Pairs {
    present(AWKS).first().map_or_else(Vec::new, |awk| shells_with(awk))
}

/// Every shell with one awk, and every awk with one shell: they do not affect each other.
fn shells_and_awks() -> Pairs {
    let shells = shells();
    let others = present(AWKS).into_iter().skip(1).filter_map(|awk| Some((shells.first()?.0, awk)));
    [shells.clone(), others.collect()].concat()
}

/// Plays the same scenes with each pair, and expects the same output as from the first.
#[track_caller]
fn play(with: &[(&str, &str)], sandbox: fn() -> Sandbox, scenes: fn(&mut Stage)) {
    let stage = |(shell, awk): &(&str, &str)| {
        let mut stage = Stage::new(sandbox(), shell, awk);
        scenes(&mut stage);
        stage
    };
    let stages: Vec<_> = with.iter().map(stage).collect();
    for stage in &stages {
        let first = &stages[0];
        assert_eq!(stage.scenes.len(), first.scenes.len());
        for ((scene, shown), (_, wanted)) in stage.scenes.iter().zip(&first.scenes) {
            assert_eq!(shown, wanted, "{scene}: {} and {}", stage.with, first.with);
        }
    }
}

#[test]
fn every_posix_shell_and_awk_deploys_the_same() {
    play(&shells_and_awks(), Sandbox::with_hello, |stage| {
        let secret = format!("PASSWORD={TOKEN}\n");
        stage.cluster.sandbox.write("work/hello-infra/secrets/kubernetes/a.env", secret);
        let hangs = prints("get jobs,pods", "Pod/hello-5d-x ReplicaSet/hello-5d ErrImagePull ");
        let text = "delete --ignore-not-found --wait=false pod/hello-5d-x\n";
        stage.succeeds("deploy", &[hangs, listed(&LISTED)], text);
        let both = format!("{}\n{}", one_of_several(JOB_CHANGED), one_of_several(TYPE_CHANGED));
        let text = "delete --ignore-not-found job/migrate secret/gitlab\n";
        stage.succeeds("deploy", &[fails("--dry-run=server", &both)], text);
        let job = prints("apply*--kustomize", "job.batch/migrate serverside-applied");
        let text = "error: job/migrate failed\nhint: makeinfra diagnose\n";
        stage.fails("deploy", &[job.clone(), prints("get job/migrate", "Failed")], text);
        let text = "error: job/migrate is not complete\n";
        stage.fails("deploy", &[job, fails("wait job/migrate", "error: timed out")], text);
        let no_rollout = "error: rollout status is only available for RollingUpdate strategy type";
        stage.succeeds(
            "deploy",
            &[fails("rollout status", no_rollout)],
            "get replicasets,controllerrevisions",
        );
        let late = "error: exceeded its progress deadline";
        let text = format!("{late}\nhint: makeinfra diagnose\n");
        stage.fails("deploy", &[fails("rollout status", late)], &text);
        stage.fails(
            "deploy ROLLOUT_TIMEOUT=soon",
            &[],
            "error: ROLLOUT_TIMEOUT= must be like 90s or 5m\n",
        );

        let text = "--filename=kubernetes/overlays/production/namespace.yaml\n";
        stage.succeeds("namespace", &[prints("get namespace", "")], text);
        stage.succeeds("gitlab-secret", &[], "--selector=app.kubernetes.io/component=pull-secret");
        let changed = fails("--dry-run=server", TYPE_CHANGED);
        stage.succeeds("gitlab-secret", &[changed], "delete --ignore-not-found secret/gitlab\n");
        for (got, text) in
            [(TOKEN, "error: got ***\n"), ("[1 2 3 4] there", "error: got [***] there\n")]
        {
            let answer = fails("--dry-run=server", &format!("error: got {got}"));
            for target in ["deploy", "gitlab-secret"] {
                stage.fails(target, std::slice::from_ref(&answer), text);
            }
        }

        let built = "kind: Job\nmetadata:\n  name: migrate\n---\nkind: Job\nmetadata:\n  name: b";
        let answers = [
            arm("diff*--kustomize", JOB_CHANGED, ">&2; exit 2"),
            fails("--dry-run=server", JOB_CHANGED),
            prints("kustomize kubernetes", built),
            "*\"diff \"*--filename=-*) cat; exit 1 ;;\n".to_owned(),
        ];
        let text = "to be replaced:\njob/migrate\n---\nkind: Job\nmetadata:\n  name: b\n";
        stage.fails("diff", &answers, text);
        let text = "  prune          Delete objects that earlier deployments left in the cluster; asks first\n";
        stage.succeeds("help", &[], text);
    });
}

/// The cluster's answers: what is used, a list with leftovers, and volume claims.
fn leftovers() -> [String; 3] {
    let claims =
        "PersistentVolumeClaim/data-db-0 statefulset/db\nPersistentVolumeClaim/keep statefulset/";
    [
        prints("get replicasets,controllerrevisions", "hello used-0a free"),
        listed(&[&LISTED[..], &["StatefulSet/db owner: by:Apply"]].concat()),
        prints("get persistentvolumeclaims", claims),
    ]
}

const PRUNED: &str = "--namespace=hello delete deployment/old configmap/free-0a statefulset/db\n";
const UNDEPLOYED: &str = "--namespace=hello delete deployment/hello deployment/old secret/used-0a \
                          configmap/free-0a secret/gitlab statefulset/db\n";

#[test]
fn every_posix_shell_and_awk_deletes_the_same() {
    play(&shells_and_awks(), Sandbox::with_hello, |stage| {
        let answers = leftovers();
        let stays = "persistentvolumeclaim/data-db-0 goes\npersistentvolumeclaim/keep stays\n";
        let text = format!("\ndeployment/old\nconfigmap/free-0a\nstatefulset/db\n{stays}--\n");
        stage.succeeds("prune YES=1", &answers, &text);
        stage.succeeds("prune YES=1", &answers, PRUNED);
        stage.succeeds("undeploy YES=1", &answers, UNDEPLOYED);
        for target in ["prune", "undeploy"] {
            let text = "Namespace hello is kept.\": not a terminal\nhint: YES=1 confirms\n";
            stage.fails(target, &answers, text);
        }
        let spec = prints("get statefulset/db", r#"{"policy":{"whenDeleted":"Delete"}}"#);
        let text = "statefulset/db stays, because deleting it would delete its volume claims\n";
        stage.succeeds("prune YES=1", &[&answers[..], &[spec]].concat(), text);
        stage.succeeds("prune", &[listed(&LISTED[..1])], "nothing to delete\n");
        stage.succeeds("undeploy", &[], "nothing to delete\n");
        let denied = r#"Error from server (Forbidden): jobs.batch is forbidden: User "eve" cannot list resource "jobs""#;
        let answer = fails("get --selector", &format!("Deployment/old owner: by:Apply\n{denied}"));
        stage.succeeds("undeploy YES=1", &[answer], "skipped, no permission to list: jobs\n");
    });
}

#[test]
fn every_posix_shell_asks_the_same_on_a_terminal() {
    play(&shells(), Sandbox::with_hello, |stage| {
        for (target, text) in [("prune", PRUNED), ("undeploy", UNDEPLOYED)] {
            stage.asked(target, &leftovers(), "yes", 0, text);
            for reply in ["n", "", "y\\"] {
                stage.asked(target, &leftovers(), reply, 2, "error: nothing was changed\r\n");
            }
        }
        stage.cluster.sandbox.edit(ENVIRONMENT, "PROTECTED :=", "PROTECTED := yes");
        stage.asked("rollback", &[], "n", 2, "error: nothing was changed\r\n");
        stage.asked("rollback", &[], "y", 0, "rollout undo ");
    });
}

#[test]
fn every_posix_shell_and_awk_rolls_back_the_same() {
    play(&shells_and_awks(), Sandbox::with_hello, |stage| {
        stage.cluster.sandbox.write_program("date", "#!/bin/sh\necho 0102030405\n");
        let text = "\ngit still has the other version; the next deploy restores it\n";
        stage.succeeds("rollback", &[], text);
        stage.succeeds("rollback", &[], "app.kubernetes.io/name=hello --to-revision=0\n");
        stage.cluster.sandbox.edit(ENVIRONMENT, "PROTECTED :=", "PROTECTED := yes");
        stage.fails("rollback", &[], "error: cannot ask \"Change production?\": not a terminal\n");
        let typed = "rollback YES=1 REVISION=3 APP=a\tb CONTEXT=the\t1st";
        stage.succeeds(
            typed,
            &[],
            "--context=the\t1st rollout undo deployments,statefulsets,daemonsets ",
        );
        stage.succeeds(typed, &[], "app.kubernetes.io/name=a\tb --to-revision=3\n");
        let nothing = prints("rollout undo", "No resources found");
        stage.fails(typed, &[nothing], "error: nothing here is named `a\tb`\nhint: make status\n");
        let text = "rollout restart deployments,statefulsets,daemonsets";
        stage.succeeds("restart YES=1", &[], text);
        stage.succeeds("run YES=1", &[], "create job hello-0102030405 --from=cronjob/hello\n");
        stage.succeeds(
            "logs FOLLOW=1",
            &[],
            "--tail=100 --follow --selector=app.kubernetes.io/part-of=hello\n",
        );
        stage.succeeds("status", &[], "get pods --selector=app.kubernetes.io/part-of=hello\n");
    });
}

#[test]
fn every_posix_shell_and_awk_writes_the_same_tag() {
    play(
        &shells_and_awks(),
        || with_environments(&[]),
        |stage| {
            let next = "hello newTag: \"2.0.0\"\nnext: make deploy ENV=staging, and commit ";
            stage.succeeds("set-image ENV=staging TAG=2.0.0", &[], next);
            stage.succeeds(
                "set-image ENV=production FROM=staging",
                &[],
                "\n    newTag: \"2.0.0\"\n",
            );
            let digest = format!("sha256:{}", "0a".repeat(32));
            let typed = format!("set-image ENV=production DIGEST={digest}");
            stage.succeeds(&typed, &[], &format!("\n    digest: {digest}\n"));
            // The comment after a digest is removed, the line ending stays.
            let text = fs::read_to_string(stage.cluster.sandbox.hello(KUSTOMIZATION)).unwrap();
            let text = text.replace("0a0a\n", "0a0a  # 1.0.0\n").replace('\n', "\r\n");
            fs::write(stage.cluster.sandbox.hello(KUSTOMIZATION), text).unwrap();
            stage.succeeds("set-image ENV=production TAG=1.10", &[], "\n    newTag: \"1.10\"\r\n");
            for wrong in
                ["DIGEST=sha256:0A", "TAG=a\\nb", "TAG=$(pwd)", "TAG=-n", "TAG=a\tb", "FROM=qa"]
            {
                let value = wrong.split_once('=').unwrap().1;
                let text = format!("error: not a tag, digest or environment: `{value}`\n");
                stage.fails(&format!("set-image ENV=production {wrong}"), &[], &text);
            }
            let text = "error: one of TAG=, DIGEST= and FROM= is required\n";
            stage.fails("set-image ENV=production TAG=", &[], text);
            let text =
                "error: no single newTag or digest of `other` in kubernetes/overlays/staging\n";
            stage.fails("set-image ENV=staging TAG=3 IMAGE=other", &[], text);
        },
    );
}

// No scene about `secrets/` uses awk, which a failing awk proves.

#[test]
fn every_posix_shell_guards_a_locked_clone_the_same() {
    play(&shells_with("false"), Sandbox::with_hello, |stage| {
        stage.run("git", &["clone", "-q", ".", "../clone"]).success();
        stage.enter("clone");
        stage.fails("deploy", &[], "error: locked: secrets/kubernetes/");
        let text = "commits with plaintext under secrets/ are refused\nsecrets/ is locked: git-crypt unlock";
        stage.succeeds("setup", &[], text);
        stage.succeeds("check-secrets", &[], NOTHING);
        stage.add("README.md", "changed\n");
        stage.commits("a good commit");

        stage.add("secrets/plain.txt", "plain\n");
        let hint = "hint: move these away, then: git reset -q -- secrets && git checkout-index -qa && git-crypt unlock KEY_FILE\n";
        stage.refuses(&format!("{PLAIN}{hint}"));
        stage.git(&["commit", "-q", "-n", "-m", "past the hook"]);
        stage.git(&["rm", "-q", "--cached", "secrets/plain.txt"]);
        let text =
            "error: plaintext in HEAD: secrets/plain.txt\nhint: revoke the secrets in this commit";
        stage.fails("check-secrets", &[], text);
        stage.commits("without it");

        // Names and contents that a shell could misinterpret.
        for name in
            ["secrets/-n", "secrets/a\\tb", "secrets/ä b ", "secrets/$(pwd)", "secrets/two\nlines"]
        {
            stage.add(name, "\\0GITCRYPT\\0\n");
            let quoted = name.replace('\\', "\\\\").replace('\n', "\\n");
            let shown = if quoted == name { quoted } else { format!("\"{quoted}\"") };
            stage.refuses(&format!("error: plaintext in the index: {shown}\n"));
        }
        stage.add("secrets/empty", "");
        stage.refuses("\nhint: it is empty, and git-crypt does not encrypt empty files\n");
        fs::write(stage.dir.join(".gitattributes"), "").unwrap();
        stage.refuses(
            "\nhint: add this line to .gitattributes: secrets/** filter=git-crypt diff=git-crypt -text\n",
        );
        stage.git(&["checkout", "-q", "HEAD", "--", ".gitattributes"]);
        stage.git(&["rm", "-q", "-f", "--", "secrets/*"]);

        stage.add("secrets/lost", b"\0GITCRYPT\0");
        let blob = stage.git(&["rev-parse", ":secrets/lost"]);
        let object = format!(".git/objects/{}/{}", &blob[..2], blob[2..].trim());
        fs::remove_file(stage.dir.join(object)).unwrap();
        let cannot = "error: cannot determine whether secrets/ is encrypted: git cannot read";
        stage.refuses(&format!("{cannot} secrets/lost\n"));
        fs::write(stage.dir.join(".git/index"), "broken").unwrap();
        stage.fails("check-secrets", &[], &format!("{cannot} the index\n"));
    });
}

#[test]
fn every_posix_shell_guards_an_unlocked_repository_the_same() {
    play(&shells_with("false"), Sandbox::with_hello, |stage| {
        stage.enter("hello-infra");
        stage.succeeds("setup", &[], "\nsecrets/ is unlocked\n");
        stage.succeeds("check-secrets", &[], NOTHING);
        stage.add("README.md", "changed\n");
        stage.commits("a good commit");
        // Staged before the filter existed.
        let blob =
            stage.run("git", &["hash-object", "-w", "--no-filters", "--stdin"]).stdin("plain\n");
        let entry = format!("100644,{},secrets/plain.txt", blob.success().stdout.trim());
        stage.git(&["update-index", "--add", "--cacheinfo", &entry]);
        stage.refuses(&format!("{PLAIN}hint: git add --renormalize -- secrets\n"));

        // In a folder of another repository.
        fs::remove_dir_all(stage.dir.join(".git")).unwrap();
        for target in ["setup", "check-secrets"] {
            stage.fails(target, &[], "not a git repository");
        }
        stage.cluster.sandbox.run("git", &["init", "-q"]).success();
        stage.succeeds(
            "setup",
            &[],
            "requires this line: sh hello-infra/.githooks/pre-commit || exit 1\n",
        );
    });
}
