//! The generated Makefile and its script, as a user meets them: text rules, help, variables, set-image, setup.

use super::stand_in::StandIn;
use super::support::{IMAGE, Run, SECRET, Sandbox, assert_no_token, have, mode};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const KUSTOMIZATION: &str = "kubernetes/overlays/production/kustomization.yaml";

fn makefile(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello("Makefile")).unwrap()
}

/// Every target that the Makefile declares, with `##` or without.
fn targets(sandbox: &Sandbox) -> Vec<String> {
    let text = makefile(sandbox);
    let phony = text.lines().filter_map(|line| line.strip_prefix(".PHONY: "));
    let mut targets: Vec<_> = phony.flat_map(str::split_whitespace).map(str::to_owned).collect();
    targets.sort();
    targets
}

/// A PATH with just these programs of the real one.
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
    let sandbox = Sandbox::with_hello();
    let mut wanted: Vec<_> =
        "help setup deploy gitlab-secret secrets namespace diff status logs restart rollback undeploy set-image check-secrets"
            .split(' ')
            .collect();
    wanted.sort_unstable();
    assert_eq!(targets(&sandbox), wanted);
}

#[test]
fn make_alone_lists_every_target_in_one_line_and_where_it_would_act() {
    let cluster = StandIn::new();
    let output = cluster.make(&[]).success();
    assert_eq!(output.stderr, "");
    let listed = |target: &str| {
        let start = format!("  {target} ");
        let lines: Vec<_> = output.stdout.lines().filter(|line| line.starts_with(&start)).collect();
        lines.len() == 1 && lines[0].len() > start.len() + 10 && lines[0].len() <= 100
    };
    for target in targets(&cluster.sandbox) {
        assert!(listed(&target), "{target}:\n{}", output.stdout);
    }
    for line in ["context     test-context", "namespace   hello", &format!("image       {IMAGE}")] {
        assert!(output.stdout.lines().any(|shown| shown == line), "{line}:\n{}", output.stdout);
    }
    assert_eq!(cluster.make(&["help"]).success().stdout, output.stdout);
}

#[test]
fn help_works_without_kubectl() {
    let sandbox = Sandbox::with_hello();
    let path = path_of(&sandbox, &["make", "sh", "awk", "sed", "cat"]);
    let output = sandbox.make(&[]).env("PATH", path).success();
    assert!(output.stdout.contains("context     none\n"), "{}", output.stdout);
    assert_eq!(output.stderr, "");
}

#[test]
fn a_missing_kubectl_is_one_clear_error() {
    let sandbox = Sandbox::with_hello();
    let path = path_of(&sandbox, &["make", "sh", "awk", "sed", "cat", "head", "tr", "git", "chmod"]);
    let targets = ["deploy", "diff", "status", "logs", "restart", "rollback", "gitlab-secret", "namespace"];
    for target in targets {
        let output = sandbox.make(&[target]).env("PATH", &path).failure(2);
        output.says("error: cannot run kubectl").says("hint: install kubectl");
    }
}

#[test]
fn no_target_uses_a_variable_that_is_not_defined() {
    let cluster = StandIn::new();
    for target in targets(&cluster.sandbox) {
        for args in [&["-n"][..], &["TAG=1.2.3", "YES=1"]] {
            let run = cluster.make(&[&["--warn-undefined-variables", &target], args].concat());
            let output = run.output();
            assert_eq!(output.code, Some(0), "{target}: {}", output.stderr);
            assert_eq!(output.stderr, "", "{target} {args:?}");
        }
    }
}

#[test]
fn a_dry_run_of_make_calls_nothing() {
    let cluster = StandIn::new();
    for target in targets(&cluster.sandbox) {
        cluster.make(&["-n", &target]).success();
    }
    assert_eq!(cluster.calls(), Vec::<Vec<String>>::new());
}

#[test]
fn the_makefile_keeps_to_make_3_81() {
    let text = makefile(&Sandbox::with_hello());
    for newer in [
        ".ONESHELL",
        ".SHELLFLAGS",
        ".RECIPEPREFIX",
        "undefine",
        "!=",
        "::=",
        "$(file",
        "&:",
        "$(intcmp",
        "$(let",
    ] {
        assert!(!text.contains(newer), "{newer} is not in make 3.81");
    }
    assert!(text.lines().all(|line| line.len() <= 120 && line == line.trim_end()));
}

#[test]
fn linters_find_nothing_in_the_scripts() {
    let sandbox = Sandbox::with_hello();
    for script in
        ["scripts/kubernetes.sh", "scripts/secrets.sh", "scripts/explain.sh", ".githooks/pre-commit"]
    {
        // Two of them are read by another.
        let runs = !["scripts/secrets.sh", "scripts/explain.sh"].contains(&script);
        let text = fs::read_to_string(sandbox.hello(script)).unwrap();
        assert_eq!(text.starts_with("#!/bin/sh\n"), runs, "{script}");
        assert_eq!(mode(&sandbox.hello(script)), if runs { 0o755 } else { 0o644 }, "{script}");
        let check = |linter: &str, args: &[&str]| {
            if have(linter) {
                let output = sandbox.run(linter, &[args, &[script]].concat()).cwd(sandbox.hello("")).output();
                assert_eq!(
                    (output.code, output.stdout + &output.stderr),
                    (Some(0), String::new()),
                    "{linter}"
                );
            }
        };
        check("shellcheck", &["--shell=sh"]);
        check("sh", &["-n"]);
        check("dash", &["-n"]);
        check("bash", &["--posix", "-n"]);
    }
}

#[test]
fn kubectl_may_have_options_and_quotes() {
    let cluster = StandIn::new();
    let kubectl = r#"KUBECTL=kubectl --context "my ctx" --kubeconfig='a b'"#;
    for target in targets(&cluster.sandbox) {
        cluster.make(&[&target, kubectl, "TAG=1.2.3", "YES=1"]).success();
    }
    let calls = cluster.calls();
    assert!(calls.len() > 20, "{calls:?}");
    for call in calls {
        assert_eq!(call[..3], ["--context", "my ctx", "--kubeconfig=a b"], "{call:?}");
    }
}

#[test]
fn kubectl_may_come_from_the_environment() {
    let cluster = StandIn::new();
    cluster.make(&["status"]).env("KUBECTL", "kubectl --context staging").success();
    assert!(cluster.calls().iter().all(|call| call[..2] == ["--context", "staging"]));
}

#[test]
fn every_call_but_for_the_namespace_names_the_namespace() {
    let cluster = StandIn::new();
    for target in targets(&cluster.sandbox) {
        cluster.make(&[&target, "TAG=1.2.3", "YES=1"]).success();
    }
    for call in cluster.calls() {
        let line = call.join(" ");
        let of_none = [
            "config view",
            "get namespace hello",
            "kubernetes/overlays/production/namespace.yaml",
            "kustomize kubernetes",
        ];
        assert!(
            line.contains("--namespace=hello") || of_none.iter().any(|words| line.contains(words)),
            "{line}"
        );
    }
}

#[test]
fn variables_of_the_same_names_in_the_environment_change_nothing() {
    let cluster = StandIn::new();
    let mut run = cluster.make(&["deploy"]);
    for name in
        ["NAMESPACE", "PROJECT", "FILE", "SECRET", "IMAGE", "namespace", "project", "file", "secret", "RUN"]
    {
        run = run.env(name, "other");
    }
    run.success();
    assert!(!cluster.calls().concat().join(" ").contains("other"));
}

#[test]
fn logs_and_rollback_take_their_variables() {
    let cluster = StandIn::new();
    cluster.make(&["logs", "TAIL=5", "FOLLOW=1"]).success();
    cluster.make(&["rollback", "REVISION=3"]).success();
    let calls: Vec<_> = cluster.calls().iter().map(|call| call.join(" ")).collect();
    assert!(calls[0].contains("--tail=5 --follow=true"), "{calls:?}");
    assert!(
        calls.iter().any(|call| call.ends_with("rollout undo deployment/hello --to-revision=3")),
        "{calls:?}"
    );
}

#[test]
fn no_variable_becomes_shell_or_make_text() {
    for evil in [
        "1; touch x",
        "$(touch x)",
        "`touch x`",
        "$(shell touch x)",
        "1\ntouch x",
        "' || touch x '",
        "-1",
        "",
    ] {
        for (target, name) in [
            ("logs", "TAIL"),
            ("rollback", "REVISION"),
            ("logs", "FOLLOW"),
            ("undeploy", "YES"),
            ("diff", "CHANGES"),
        ] {
            let cluster = StandIn::new();
            let output = cluster.make(&[target, &format!("{name}={evil}")]).output();
            assert!(!cluster.sandbox.hello("x").exists(), "{name}={evil}");
            let refused = matches!(name, "TAIL" | "REVISION") && !evil.is_empty() || name == "YES";
            assert_eq!(output.code, Some(if refused { 2 } else { 0 }), "{name}={evil}: {}", output.stderr);
        }
    }
}

#[test]
fn the_environment_chooses_no_revision_and_says_no_yes() {
    let cluster = StandIn::new();
    cluster.make(&["rollback"]).env("REVISION", "42").success();
    assert!(cluster.calls().iter().any(|call| call.join(" ").ends_with("--to-revision=0")));
    cluster.make(&["undeploy"]).env("YES", "1").failure(2).says("make undeploy YES=1");
}

#[test]
fn the_secret_of_a_clone_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let file = super::support::SECRET;
    for target in ["setup", "deploy"] {
        let cluster = StandIn::new();
        let path = cluster.sandbox.hello(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        cluster.make(&[target]).success();
        assert_eq!(super::support::mode(&path), 0o600, "{target}");
    }
}

#[test]
fn a_secret_that_is_closed_is_not_touched() {
    use std::os::unix::fs::MetadataExt;
    let cluster = StandIn::new();
    let path = cluster.sandbox.hello(super::support::SECRET);
    // git compares this time: a changed one makes it run git-crypt, which may not be there.
    let changed = || fs::metadata(&path).map(|file| (file.ctime(), file.ctime_nsec())).unwrap();
    let before = changed();
    for target in ["setup", "deploy", "diff", "gitlab-secret"] {
        cluster.make(&[target]).success();
    }
    assert_eq!(changed(), before);
}

#[test]
fn kubectl_may_be_a_path_with_spaces_or_have_variables_before_it() {
    let cluster = StandIn::new();
    cluster.make(&["logs", "KUBECTL=X=1 kubectl --context c"]).success();
    assert!(cluster.calls()[0].join(" ").starts_with("--context c --namespace=hello logs"));
    cluster.make(&["logs", "KUBECTL="]).success();
    let output = cluster.make(&["logs", "KUBECTL=\"./sp ace/kubectl\""]).failure(2);
    output.says("error: cannot run ./sp ace/kubectl");
}

#[test]
fn manifests_that_cannot_be_built_change_nothing() {
    if !super::support::have("kubectl") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("kubernetes/base/service.yaml"), "a: [\n").unwrap();
    let output = sandbox.make(&["deploy"]).env("KUBECONFIG", "/nowhere").failure(2);
    output.says("service.yaml").says("hint: kubectl kustomize kubernetes");
}

// set-image

fn kustomization(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello(KUSTOMIZATION)).unwrap()
}

#[test]
fn set_image_changes_one_line() {
    let sandbox = Sandbox::with_hello();
    let before = kustomization(&sandbox);
    let digest = format!("sha256:{}", "0a".repeat(32));
    fs::set_permissions(sandbox.hello(KUSTOMIZATION), fs::Permissions::from_mode(0o640)).unwrap();
    for (args, line) in [
        (["TAG=1.2.3"], "newTag: \"1.2.3\"".to_owned()),
        (["TAG=1.10"], "newTag: \"1.10\"".into()),
        (["TAG=_x-Y.z"], "newTag: \"_x-Y.z\"".into()),
        ([&*format!("TAG={}", "a".repeat(128))], format!("newTag: \"{}\"", "a".repeat(128))),
        ([&*format!("DIGEST={digest}")], format!("digest: {digest}")),
        (["TAG=1.0.0"], "newTag: \"1.0.0\"".into()),
    ] {
        let output = sandbox.make(&["set-image", args[0]]).success();
        assert_eq!(kustomization(&sandbox), before.replace("newTag: \"1.0.0\"", &line));
        assert!(output.stdout.contains("next: make deploy"), "{}", output.stdout);
        assert_eq!(mode(&sandbox.hello(KUSTOMIZATION)), 0o640);
    }
    let output = sandbox.make(&["set-image", "TAG=1.0.0"]).success();
    assert!(output.stdout.contains("as before"), "{}", output.stdout);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn set_image_takes_the_tag_from_the_environment_too() {
    let sandbox = Sandbox::with_hello();
    sandbox.make(&["set-image"]).env("TAG", "3.0.0").success();
    assert!(kustomization(&sandbox).contains("newTag: \"3.0.0\""));
}

#[test]
fn set_image_refuses_what_is_no_tag_and_runs_none_of_it() {
    let sandbox = Sandbox::with_hello();
    let long = "a".repeat(129);
    let tags = [
        "",
        ".x",
        "-x",
        "a b",
        "a\"b",
        "a'b",
        "a/b",
        "a:b",
        "$(shell touch x)",
        "a$(shell touch x)b",
        "$$(touch x)",
        "`touch x`",
        "\";touch x;\"",
        "';touch x;'",
        "a#b",
        "a&b",
        "a\\1",
        "a\\",
        "ä",
        "a\nb",
        "\n",
        "1.0.0\n",
        "$(TAG)",
        "$",
        "${x}",
        "%",
        "*",
        &long,
    ];
    for tag in tags {
        for output in [
            sandbox.make(&["set-image", &format!("TAG={tag}")]).failure(2),
            sandbox.make(&["set-image"]).env("TAG", tag).failure(2),
        ] {
            output.says("error: ").says("hint: ");
        }
        // Other targets see the variable, too, and do nothing with it.
        sandbox.make(&["check-secrets", &format!("TAG={tag}"), &format!("YES={tag}")]).success();
    }
    for digest in
        ["", "sha256:1", "sha512:aa", &format!("sha256:{}", "A".repeat(64)), "sha256:$(shell touch x)"]
    {
        sandbox.make(&["set-image", &format!("DIGEST={digest}")]).failure(2).says("hint: ");
    }
    sandbox.make(&["set-image", "TAG=1", "DIGEST=sha256:1"]).failure(2).says("a tag and a digest");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn set_image_leaves_other_images_alone() {
    let sandbox = Sandbox::with_hello();
    let text = |line: &str| {
        format!(
            "images:\n  - name: other\n    newTag: \"9\"\n  - newName: mirror/hello\n    name: x\n    newTag: \"7\"\n  \
             - name: \"registry.gitlab.com/group/hello\"\n    newName: mirror/hello\n    {line}\n  - name: third\n    \
             newTag: \"8\"\n"
        )
    };
    fs::write(sandbox.hello(KUSTOMIZATION), text("digest: sha256:aa  # 1.10")).unwrap();
    sandbox.make(&["set-image", "TAG=5"]).success();
    assert_eq!(kustomization(&sandbox), text("newTag: \"5\""));
    // Without a line that it knows it does not guess.
    fs::write(sandbox.hello(KUSTOMIZATION), text("")).unwrap();
    sandbox.make(&["set-image", "TAG=6"]).failure(2).says("no single newTag or digest");
    assert_eq!(kustomization(&sandbox), text(""));
}

#[test]
fn a_failed_set_image_leaves_the_old_file_and_nothing_else() {
    let sandbox = Sandbox::with_hello();
    let before = kustomization(&sandbox);
    for (program, script) in [
        // The last step fails; the file is whole until then.
        ("mv", "#!/bin/sh\nexit 1\n"),
        // What is written is incomplete.
        ("awk", "#!/bin/sh\nhead -c 20 /dev/zero\nexit 1\n"),
        ("cp", "#!/bin/sh\nexit 1\n"),
        // Killed in between.
        ("cmp", "#!/bin/sh\nkill -TERM $PPID\nsleep 1\n"),
    ] {
        let path = sandbox.write_program(program, script);
        sandbox.make(&["set-image", "TAG=2.0.0"]).env("PATH", sandbox.own_path()).failure(2);
        fs::remove_file(path).unwrap();
        assert_eq!(kustomization(&sandbox), before, "{program}");
        assert_eq!(fs::read_dir(sandbox.hello("kubernetes")).unwrap().count(), 4, "{program}");
    }
}

// setup

/// A clone of the generated repository, as a colleague has it.
fn clone(sandbox: &Sandbox) -> impl Fn(&str, &[&str]) -> Run {
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    |program, args| sandbox.run(program, args).cwd(sandbox.work("clone"))
}

#[test]
fn setup_prepares_a_clone_and_says_how_to_unlock_it() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--export-key", "key"]).success();
    let run = clone(&sandbox);
    run("make", &["setup"]).success().says("git-crypt unlock /path/to/KEY");
    assert_eq!(run("git", &["config", "core.hooksPath"]).success().stdout, ".githooks\n");
    run("make", &["deploy"])
        .env("KUBECONFIG", "/nowhere")
        .failure(2)
        .says("is locked")
        .says("hint: git-crypt unlock");
    run("git-crypt", &["unlock", "../key"]).success();
    let output = run("make", &["setup"]).success();
    assert!(output.stdout.contains("secrets/ is unlocked"), "{}", output.stdout);
    assert_eq!(output.stderr, "");
    assert_eq!(
        fs::read(sandbox.work("clone").join(SECRET)).unwrap(),
        fs::read(sandbox.hello(SECRET)).unwrap()
    );
    assert_eq!(run("git", &["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn setup_names_a_missing_git_crypt() {
    let sandbox = Sandbox::with_hello();
    let run = clone(&sandbox);
    let path = path_of(&sandbox, &["make", "sh", "git", "sed"]);
    run("make", &["setup"]).env("PATH", path).success().says("git-crypt is not installed");
}

#[test]
fn setup_refuses_where_the_hook_would_be_another_repositorys() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-git"]).success();
    sandbox.make(&["setup"]).failure(2).says("not a git repository").says("git init");
    sandbox.run("git", &["init", "-q"]).success();
    sandbox.make(&["setup"]).failure(2).says("a folder of another repository");
    sandbox.run("git", &["config", "core.hooksPath"]).failure(1);
}

#[test]
fn everything_works_in_a_folder_with_a_space_and_from_elsewhere() {
    let cluster = StandIn::new();
    fs::rename(cluster.sandbox.work("hello-infra"), cluster.sandbox.work("it's an infra")).unwrap();
    for target in ["help", "setup", "deploy", "diff", "set-image", "check-secrets", "undeploy"] {
        let run = cluster.sandbox.run("make", &["-C", "it's an infra", target, "TAG=2.0.0", "YES=1"]);
        let output = run.env("PATH", cluster.sandbox.own_path()).success();
        assert_no_token(output.stdout.as_bytes(), target);
    }
}
