//! The generated Makefile as a whole: its targets, the output of `make -n`, kubectl's calls, and
//! the setup of a clone. `typed.rs` has the variables that users type, `set_image.rs` has `make
//! set-image`.

use super::stand_in::{StandIn, fails};
use super::support::{Run, SECRET, Sandbox, assert_no_token, have, kubectl, mode};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const OVERLAY: &str = "kubernetes/overlays/production";

/// Every target, with the variables that it requires or accepts in a test that runs all of them.
pub const TARGETS: [&[&str]; 16] = [
    &["check-expiry"],
    &["check-secrets"],
    &["deploy", "YES=1"],
    &["diff", "CHANGES=ok"],
    &["gitlab-secret", "YES=1"],
    &["help"],
    &["logs", "TAIL=5"],
    &["namespace", "YES=1"],
    &["prune", "YES=1"],
    &["restart", "YES=1"],
    &["rollback", "YES=1", "REVISION=3"],
    &["run", "YES=1", "APP=nightly"],
    &["set-image", "TAG=2.0.0"],
    &["setup"],
    &["status"],
    &["undeploy", "YES=1"],
];

fn makefile(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello("Makefile")).unwrap()
}

/// A PATH with only these real programs.
fn path_of(sandbox: &Sandbox, programs: &[&str]) -> String {
    let bin = sandbox.path("few");
    fs::create_dir_all(&bin).unwrap();
    for program in programs {
        let real = sandbox.run("sh", &["-c", &format!("command -v {program}")]).success().stdout;
        symlink(real.trim(), bin.join(program)).unwrap();
    }
    bin.display().to_string()
}

#[test]
fn the_targets_are_those_of_the_design() {
    let text = makefile(&Sandbox::with_hello()).replace("\\\n", "");
    let phony = text.lines().filter_map(|line| line.strip_prefix(".PHONY: "));
    let mut targets: Vec<_> = phony.flat_map(str::split_whitespace).collect();
    targets.sort_unstable();
    assert_eq!(targets, TARGETS.map(|target| target[0]));
}

#[test]
fn make_alone_lists_every_target_in_one_line() {
    let sandbox = Sandbox::with_hello();
    // No kubectl is required for that.
    let path = path_of(&sandbox, &["make", "sh", "awk", "sed"]);
    let output = sandbox.make(&[]).env("PATH", path).success();
    assert_eq!(output.stderr, "");
    for target in TARGETS.map(|target| target[0]).iter().filter(|target| **target != "help") {
        let start = format!("  {target} ");
        let lines: Vec<_> = output.stdout.lines().filter(|line| line.starts_with(&start)).collect();
        assert!(
            lines.len() == 1 && lines[0].len() > 30 && lines[0].len() <= 110,
            "{target}: {lines:?}"
        );
    }
    output.prints("environments: production\n");
    assert_eq!(sandbox.make(&["help"]).success().stdout, output.stdout);
}

#[test]
fn a_dry_run_shows_the_commands_and_calls_nothing() {
    let cluster = StandIn::new();
    for target in TARGETS {
        let shown =
            cluster.make(&[&["-n", "--warn-undefined-variables"], target].concat()).success();
        assert_eq!(shown.stderr, "", "{target:?}");
        assert!(!shown.stdout.is_empty(), "{target:?}");
    }
    assert_eq!(cluster.calls(), Vec::<Vec<String>>::new());
    let shown = cluster.make(&["-n", "deploy"]).success().stdout.replace("\\\n", "");
    for command in [
        "kubectl --namespace=hello apply --server-side --force-conflicts --field-manager=makeinfra \
         --filename=kubernetes/overlays/production/namespace.yaml",
        "kubectl --namespace=hello apply --server-side --force-conflicts --field-manager=makeinfra \
         --kustomize=kubernetes/overlays/production",
        "kubectl --namespace=hello rollout status deployments,statefulsets,daemonsets",
    ] {
        assert!(shown.contains(command), "{command}:\n{shown}");
    }
    assert!(shown.contains("makeinfra/project=hello,makeinfra/environment=production"), "{shown}");
}

#[test]
fn no_target_uses_a_variable_that_is_not_defined() {
    let cluster = StandIn::new();
    for target in TARGETS {
        let output = cluster.make(&[&["--warn-undefined-variables"], target].concat()).success();
        assert_eq!(output.stderr, "", "{target:?}");
    }
}

#[test]
fn the_makefile_keeps_to_make_3_81() {
    let text = makefile(&Sandbox::with_hello());
    for newer in [
        ".ONESHELL",
        ".SHELLFLAGS",
        ".RECIPEPREFIX",
        "undefine ",
        "!=",
        "::=",
        "$(file",
        "&:",
        "$(intcmp",
        "$(let",
    ] {
        assert!(!text.contains(newer), "{newer} is not in make 3.81");
    }
}

#[test]
fn linters_find_nothing_in_the_scripts() {
    let sandbox = Sandbox::with_hello();
    for (script, permissions) in [("scripts/deploy.sh", 0o644), (".githooks/pre-commit", 0o755)] {
        assert_eq!(mode(&sandbox.hello(script)), permissions, "{script}");
        for linter in
            [&["shellcheck", "--shell=sh"][..], &["dash", "-n"], &["bash", "--posix", "-n"]]
        {
            if have(linter[0]) {
                let args = [&linter[1..], &[script]].concat();
                let output = sandbox.run(linter[0], &args).cwd(sandbox.hello("")).output();
                assert_eq!(
                    (output.code, output.stdout + &output.stderr),
                    (Some(0), String::new()),
                    "{linter:?}"
                );
            }
        }
    }
}

#[test]
fn every_call_names_the_namespace_and_the_context() {
    let cluster = StandIn::new();
    cluster.sandbox.edit(
        &format!("{OVERLAY}/environment.mk"),
        "CONTEXT   :=",
        "CONTEXT   := group/infra:agent",
    );
    for target in TARGETS {
        cluster.make(target).success();
    }
    let calls = cluster.calls();
    assert!(calls.len() > 20, "{calls:?}");
    for call in calls {
        // This one only reads files.
        let local =
            call[0] == "annotate" || call.contains(&"--local".to_owned()) || call[0] == "kustomize";
        for option in ["--namespace=hello", "--context=group/infra:agent"] {
            assert!(local || call.contains(&option.to_owned()), "{option}: {call:?}");
        }
    }
}

#[test]
fn kubectl_may_be_several_words_and_is_not_evaluated() {
    let cluster = StandIn::new();
    for target in TARGETS {
        let run =
            cluster.make(&[target, &["KUBECTL=STAND_IN=yes kubectl --kubeconfig=a"]].concat());
        run.success();
    }
    let calls = cluster.calls();
    assert!(calls.len() > 20, "{calls:?}");
    assert!(calls.iter().all(|call| call[0] == "--kubeconfig=a"), "{calls:?}");
    assert!(
        fs::read_to_string(cluster.sandbox.path("bin/environment"))
            .unwrap()
            .contains("STAND_IN=yes\n")
    );

    cluster.answers(&[]);
    cluster.make(&["status"]).env("KUBECTL", "kubectl --kubeconfig=b").success();
    assert!(cluster.calls().iter().all(|call| call[0] == "--kubeconfig=b"));
    cluster.make(&["status", "KUBECTL=kubectl --kubeconfig=$HOME;touch made"]).success();
    assert_eq!(cluster.calls().last().unwrap()[0], "--kubeconfig=$HOME;touch");
    assert!(!cluster.sandbox.hello("made").exists());
    cluster.make(&["status", "KUBECTL=/no/kubectl"]).failure(2).says("/no/kubectl");
}

#[test]
fn deploy_refuses_what_would_go_wrong() {
    let refuses = |cluster: &StandIn, error: &str, hint: &str| {
        for args in
            [&["deploy"][..], &["diff"], &["gitlab-secret"], &["-i", "deploy"], &["-k", "deploy"]]
        {
            cluster.make(args).output().says(error).says(hint);
        }
        cluster.make(&["deploy"]).failure(2);
        cluster.was_left_alone();
    };
    let cluster = StandIn::new();
    cluster.sandbox.edit(
        &format!("{OVERLAY}/environment.mk"),
        "NAMESPACE := hello",
        "NAMESPACE := other",
    );
    refuses(&cluster, "two namespaces", "other");

    let cluster = StandIn::new();
    fs::write(cluster.sandbox.hello(SECRET), b"\0GITCRYPT\0\x01\x02\x03").unwrap();
    refuses(&cluster, "locked", "hint: git-crypt unlock");

    // Without the pull secret, the first pull would be anonymous.
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    let cluster = StandIn { sandbox };
    cluster.answers(&[]);
    refuses(&cluster, "no pull secret", "hint: makeinfra rotate");
}

#[test]
fn nothing_is_changed_if_the_server_refuses_the_dry_run() {
    let cluster = StandIn::new();
    cluster
        .answers(&[fails("apply*--kustomize*--dry-run=server", "error: the server refuses this")]);
    cluster.make(&["deploy"]).failure(2).says("the server refuses this");
    let changes = |call: &&Vec<String>| {
        !call.concat().contains("--dry-run") && call.contains(&"apply".to_owned())
    };
    assert_eq!(cluster.calls().iter().find(changes), None);
}

#[test]
fn manifests_that_cannot_be_built_change_nothing() {
    if kubectl().is_none() {
        return;
    }
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("kubernetes/base/service.yaml"), "a: [\n").unwrap();
    for target in ["deploy", "diff"] {
        sandbox.make(&[target]).env("KUBECONFIG", "/nowhere").failure(2);
    }
    // The namespace exists.
    let cluster = StandIn { sandbox };
    let real = kubectl().unwrap().display().to_string();
    cluster.answers(&[format!(
        "*'apply '*'--kustomize'*) exec '{real}' kustomize kubernetes/overlays/production ;;\n"
    )]);
    cluster.make(&["deploy"]).failure(2).says("service.yaml");
    assert!(
        !cluster.steps().iter().any(|step| step.starts_with("rollout")),
        "{:?}",
        cluster.steps()
    );
}

// Clones

/// A clone of the generated repository, as a colleague has it.
fn clone(sandbox: &Sandbox) -> impl Fn(&str, &[&str]) -> Run {
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    |program, args| sandbox.run(program, args).cwd(sandbox.work("clone"))
}

#[test]
fn a_clone_is_told_how_to_unlock_it() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--export-key", "key"]).success();
    let run = clone(&sandbox);
    run("make", &["setup"]).success().prints("git-crypt unlock");
    assert_eq!(run("git", &["config", "core.hooksPath"]).success().stdout, ".githooks\n");
    run("make", &["deploy"]).failure(2).says("locked").says("hint: git-crypt unlock");
    run("git-crypt", &["unlock", "../key"]).success();
    run("make", &["setup"]).success().prints("secrets/ is unlocked");
    assert_eq!(
        fs::read(sandbox.work("clone").join(SECRET)).unwrap(),
        fs::read(sandbox.hello(SECRET)).unwrap()
    );
    assert_eq!(mode(&sandbox.work("clone").join(SECRET)), 0o600);
    assert_eq!(run("git", &["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn setup_leaves_another_repositorys_hooks_alone() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-git"]).success();
    sandbox.make(&["setup"]).failure(2).says("not a git repository");
    sandbox.run("git", &["init", "-q"]).success();
    sandbox.make(&["setup"]).success().prints("sh hello-infra/.githooks/pre-commit || exit 1");
    sandbox.run("git", &["config", "core.hooksPath"]).failure(1);
}

#[test]
fn decrypted_secrets_are_closed_to_others() {
    for target in ["setup", "deploy"] {
        let cluster = StandIn::new();
        let path = cluster.sandbox.hello(SECRET);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        cluster.make(&[target]).success();
        assert_eq!(mode(&path), 0o600, "{target}");
        // git compares this time: if it changed, git runs git-crypt, which may be missing.
        let changed = || fs::metadata(&path).map(|file| (file.ctime(), file.ctime_nsec())).unwrap();
        let before = changed();
        cluster.make(&[target]).success();
        assert_eq!(changed(), before, "{target}");
    }
}

#[test]
fn a_clone_on_a_machine_with_other_line_ends_works() {
    let sandbox = Sandbox::with_hello();
    sandbox
        .run("git", &["clone", "-q", "-c", "core.autocrlf=true", "hello-infra", "clone"])
        .success();
    for target in ["help", "setup"] {
        sandbox.run("make", &[target]).cwd(sandbox.work("clone")).success();
    }
}

#[test]
fn everything_works_in_a_folder_with_a_space_and_from_elsewhere() {
    let cluster = StandIn::new();
    fs::rename(cluster.sandbox.work("hello-infra"), cluster.sandbox.work("it's an infra")).unwrap();
    for target in TARGETS {
        let run = cluster.sandbox.run("make", &[&["-C", "it's an infra"], target].concat());
        let output = run.env("PATH", cluster.sandbox.own_path()).success();
        assert_no_token(output.stdout.as_bytes(), target[0]);
    }
}
