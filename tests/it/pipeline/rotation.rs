//! `--ci-rotate`: its additional files, and its jobs run by gitlab-ci-local with the tests' GitLab
//! and registry.

use super::super::environments::with_environments;
use super::super::from_gitlab::World;
use super::super::gitlab_bed::{GitlabBed, MAINTAINER};
use super::super::stand_in::StandIn;
use super::super::support::{Sandbox, USER, cached, files_below, have, needles};
use super::{GitLab, KUBECONFIG, MERGE_REQUEST, PROTECTED, SCHEDULE, parsed};
use jiff::{SignedDuration, Timestamp};
use std::fs;

const FILE: &str = ".gitlab/rotate.job.yml";

fn read(sandbox: &Sandbox, path: &str) -> String {
    fs::read_to_string(sandbox.hello(path)).unwrap()
}

#[test]
fn it_adds_one_file_and_a_job_to_environments_that_deploy_unasked() {
    let both = ["--protect", "live", "--env", "live"];
    let (plain, rotating) =
        (with_environments(&both), with_environments(&[&both[..], &["--ci-rotate"]].concat()));
    let files = |sandbox: &Sandbox| files_below(&sandbox.hello(""));
    let mut expected = files(&plain);
    expected.push(FILE.to_owned());
    expected.sort();
    assert_eq!(files(&rotating), expected);
    for path in files(&plain) {
        let same =
            fs::read(plain.hello(&path)).unwrap() == fs::read(rotating.hello(&path)).unwrap();
        let is_changed =
            [".gitlab/staging.yml", "README.md", ".makeinfra.yaml"].contains(&path.as_str());
        assert!(same != is_changed || path.starts_with("secrets/"), "{path}");
    }
    // Only the job is added.
    let (before, after) =
        (read(&plain, ".gitlab/staging.yml"), read(&rotating, ".gitlab/staging.yml"));
    let job = after.strip_prefix(&before).unwrap();
    assert!(job.starts_with("\nrotate-staging:\n") && !job.contains("make deploy ENV"), "{job}");
    assert!(read(&rotating, ".makeinfra.yaml").contains("  ci: gitlab\n  ci-rotate: true\n"));
    rotating.is_sound();
    // A single environment is deployed by hand.
    let lone = Sandbox::new();
    lone.new_hello(&["--ci-rotate"]).success();
    assert!(!read(&lone, ".gitlab/production.yml").contains("rotate-"));
    assert!(lone.hello(FILE).is_file());
}

#[test]
fn it_requires_a_pipeline_of_gitlabs() {
    let sandbox = Sandbox::new();
    let output = sandbox.new_hello(&["--ci-rotate", "--ci", "none"]).failure(2);
    output.says("`--ci-rotate` requires `--ci gitlab`").says("hint: --ci gitlab");
    let answers =
        "project: hello\nimage: registry.gitlab.com/group/hello:1.0.0\nci: none\nci-rotate: yes\n";
    let file = sandbox.write("answers.yaml", answers).display().to_string();
    sandbox
        .makeinfra(&["new", "--answers", &file, "--no-token"])
        .failure(2)
        .says("requires `--ci gitlab`");
    sandbox.new_hello(&["--ci-rotate"]).success();
    sandbox.edit(".makeinfra.yaml", "ci: gitlab", "ci: none");
    let check = sandbox.makeinfra(&["update", "hello-infra"]).failure(1);
    check.says("`answers.ci-rotate` requires `answers.ci` to be `gitlab`");
    // GitLab only reads a pipeline at the top of a repository.
    let nested = Sandbox::new();
    nested.run("git", &["init", "-q"]).success();
    nested
        .new_without_token(&["--ci-rotate", "--no-git"])
        .failure(2)
        .says("`--ci-rotate` requires a separate repository");
}

#[test]
fn it_can_be_switched_on_and_off_later() {
    let sandbox = with_environments(&[]);
    let before = sandbox.tree();
    sandbox.edit(".makeinfra.yaml", "  ci: gitlab\n", "  ci: gitlab\n  ci-rotate: true\n");
    sandbox.agreed(&["update", "--commit"]).success().prints("rotate.job.yml  new");
    sandbox.is_sound();
    let fresh = with_environments(&["--ci-rotate"]);
    for path in
        [FILE, ".gitlab/staging.yml", ".gitlab/production.yml", "README.md", ".makeinfra.yaml"]
    {
        assert_eq!(read(&sandbox, path), read(&fresh, path), "{path}");
    }
    // Environments that are added or removed bring or take their job.
    sandbox.agreed(&["env", "add", "qa", "--commit"]).success();
    let job = read(&sandbox, ".gitlab/qa.yml");
    assert!(
        job.contains("\nrotate-qa:\n")
            && job.contains("-- secrets/kubernetes/qa/gitlab.secret.yaml\n"),
        "{job}"
    );
    assert_eq!(job.replace("qa", "staging"), read(&sandbox, ".gitlab/staging.yml"));
    sandbox.agreed(&["env", "add", "live", "--protect", "--commit"]).success();
    assert!(!read(&sandbox, ".gitlab/live.yml").contains("rotate-"));
    sandbox.is_sound();
    for name in ["qa", "live"] {
        sandbox.agreed(&["env", "remove", name, "--commit"]).success();
    }
    assert!(!sandbox.hello(".gitlab/qa.yml").exists() && sandbox.hello(FILE).is_file());
    sandbox.edit(".makeinfra.yaml", "  ci-rotate: true\n", "");
    sandbox.agreed(&["update", "--commit"]).success();
    let (after, secret) = (sandbox.tree(), |path: &&String| path.starts_with("secrets/"));
    assert_eq!(
        after.keys().filter(|path| !secret(path)).collect::<Vec<_>>(),
        before.keys().filter(|path| !secret(path)).collect::<Vec<_>>()
    );
    assert!(after.iter().all(|(path, text)| secret(&path) || before[path] == *text));
}

#[test]
fn a_repository_that_lost_its_record_still_has_it() {
    let sandbox = with_environments(&["--ci-rotate"]);
    sandbox.git(&["rm", "-q", ".makeinfra.yaml"]).success();
    sandbox.git(&["commit", "-q", "-m", "lost"]).success();
    sandbox.agreed(&["adopt", "--commit"]).success();
    assert!(read(&sandbox, ".makeinfra.yaml").contains("  ci-rotate: true\n"));
    assert!(read(&sandbox, ".gitlab/staging.yml").contains("rotate-staging:"));
}

#[test]
fn gitlabs_schema_and_the_linters_accept_its_jobs() {
    let sandbox = with_environments(&["--ci-rotate"]);
    if let Some(checker) = cached("check-jsonschema-0.39.0/bin/check-jsonschema") {
        let schema = ["--builtin-schema", "vendor.gitlab-ci", FILE, ".gitlab/staging.yml"];
        sandbox.run(&checker, &schema).cwd(sandbox.hello("")).success();
    }
    for (file, job) in [(FILE, "rotate-token"), (".gitlab/staging.yml", "rotate-staging")] {
        let pipeline = parsed(&sandbox, file);
        let lines = pipeline[job]["script"].as_array().unwrap().iter();
        let script: String =
            lines.map(|line| format!("{}\n", line.as_str().unwrap().trim_end())).collect();
        for (linter, args) in
            [("shellcheck", &["--shell=sh", "-"][..]), ("dash", &["-n"]), ("bash", &["-n"])]
        {
            if have(linter) {
                let output = sandbox.run(linter, args).stdin(&script).output();
                let said = output.stdout + &output.stderr;
                assert_eq!((output.code, said), (Some(0), String::new()), "{job}: {linter}");
            }
        }
    }
}

#[test]
fn its_jobs_are_a_schedules_and_off_until_all_variables_are_set() {
    let sandbox = with_environments(&["--ci-rotate"]);
    let Some(mut gitlab) = GitLab::new(&sandbox, KUBECONFIG) else { return };
    let off = ["check on_success", "check-expiry on_success"];
    assert_eq!(gitlab.jobs(SCHEDULE), off);
    gitlab = gitlab.variable("ROTATE_TOKEN", MAINTAINER);
    assert_eq!(gitlab.jobs(SCHEDULE), off);
    gitlab = gitlab.variable("MAKEINFRA_IMAGE", "registry.example.com/makeinfra:1");
    let mut on = off.to_vec();
    on.extend(["rotate-staging on_success", "rotate-token on_success"]);
    let mut found = gitlab.jobs(SCHEDULE);
    found.sort();
    assert_eq!(found, on);
    for pipeline in [PROTECTED, MERGE_REQUEST] {
        let jobs = gitlab.jobs(pipeline);
        assert!(jobs.iter().all(|job| !job.starts_with("rotate")), "{jobs:?}");
    }
    gitlab.git(&["switch", "-q", "-c", "feature"]);
    assert_eq!(gitlab.jobs(SCHEDULE), off, "only of the default branch");
}

/// A world whose repository has environments and rotates in its pipeline, with a token that expires
/// in ten days; pushed to a bare repository at the GitLab's URL.
fn rotating() -> Option<World> {
    let world = World { bed: GitlabBed::start()?, sandbox: Sandbox::new() };
    let (image, end) = (world.image(), Timestamp::now() + SignedDuration::from_hours(240));
    let (token, end) =
        (world.sandbox.path("token").display().to_string(), end.strftime("%Y-%m-%d").to_string());
    let args =
        ["new", "hello", "--image", &image, "--token-username", USER, "--token-file", &token];
    let own = ["--env", "staging", "--env", "production", "--ci-rotate", "--expires-at", &end];
    let sandbox = &world.sandbox;
    sandbox.makeinfra(&[&args[..], &own].concat()).success();
    sandbox.git(&["branch", "-M", "main"]).success();
    let shared = sandbox.work("shared.git").display().to_string();
    sandbox.run("git", &["clone", "-q", "--bare", "hello-infra", &shared]).success();
    sandbox
        .run("git", &["-C", &shared, "config", "receive.advertisePushOptions", "true"])
        .success();
    let stands_for = format!(
        "[url \"file://{shared}\"]\n\tinsteadOf = git@gitlab.com:group/hello-infra.git\n\tinsteadOf = {}/group/hello-infra.git\n",
        world.bed.gitlab.url()
    );
    sandbox.write("home/.gitconfig", stands_for);
    sandbox.write_program(
        "makeinfra",
        &format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_makeinfra")),
    );
    Some(world)
}

#[test]
fn a_schedule_opens_a_merge_request_and_brings_the_token_to_the_cluster() {
    let Some(world) = rotating() else { return };
    let World { bed, sandbox } = world;
    let cluster = StandIn { sandbox };
    let seen =
        "*'apply '*) cat secrets/kubernetes/staging/gitlab.secret.yaml >>\"${0%/*}/applied\" ;;\n";
    cluster.answers(&[seen.to_owned()]);
    let Some(mut gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    gitlab = gitlab.variable("ROTATE_TOKEN", MAINTAINER).variable("MAKEINFRA_IMAGE", "makeinfra");
    let url = format!("CI_SERVER_URL={}", bed.gitlab.url());
    let of_main = [
        "CI_COMMIT_BRANCH=main",
        "CI_DEFAULT_BRANCH=main",
        "CI_PROJECT_PATH=group/hello-infra",
        &url,
        "GITLAB_USER_NAME=Ada",
        "GITLAB_USER_EMAIL=ada@example.com",
    ];
    let in_shared = |args: &[&str]| {
        let shared = cluster.sandbox.work("shared.git").display().to_string();
        cluster
            .sandbox
            .run("git", &[&["-C", &shared][..], args].concat())
            .success()
            .stdout
            .trim()
            .to_owned()
    };
    // As checked out by a runner.
    let night = |job: &str| {
        let main = in_shared(&["rev-parse", "main"]);
        gitlab.git(&["fetch", "-q", "origin"]);
        gitlab.git(&["checkout", "-q", "--detach", &main]);
        let output =
            gitlab.job_of(&[SCHEDULE, &of_main, &[&format!("CI_COMMIT_SHA={main}")]].concat(), job);
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
        for token in
            bed.gitlab.tokens().into_iter().map(|token| token.token).chain([MAINTAINER.to_owned()])
        {
            for needle in needles(&token) {
                assert!(
                    !(output.stdout.clone() + &output.stderr).contains(&needle),
                    "{needle} is in the log"
                );
                let config = fs::read_to_string(gitlab.path(".git/config")).unwrap();
                assert!(!config.contains(&needle), "{needle} is in the configuration");
            }
        }
        output
    };
    let report =
        gitlab.path(".gitlab-ci-local/artifacts/rotate-token/.gitlab-ci-reports/dotenv/rotate.env");
    let rotated = || {
        fs::read_to_string(&report)
            .unwrap_or_else(|error| panic!("{error}: {:?}", files_below(&gitlab.path(""))))
    };
    let output = night("rotate-token");
    let tip = in_shared(&["rev-parse", "refs/heads/makeinfra/rotate-token"]);
    assert!(output.stdout.contains("with a merge request to main"), "{}", output.stdout);
    assert_eq!(rotated(), format!("ROTATED_COMMIT={tip}\n"));
    assert_eq!(bed.gitlab.tokens().len(), 2);
    // The second night continues with it, and so does the job of the environment.
    night("rotate-token");
    assert_eq!((rotated(), bed.gitlab.tokens().len()), (format!("ROTATED_COMMIT={tip}\n"), 2));
    let output = night("rotate-staging");
    let applied = fs::read_to_string(cluster.sandbox.path("bin/applied"));
    let applied =
        applied.unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr));
    let made = format!("makeinfra/token: {}/api/v4/projects/7/deploy_tokens/2\n", bed.gitlab.url());
    assert!(applied.contains(&made), "{applied}");
    let calls = cluster.steps();
    assert!(calls.iter().any(|step| step.starts_with("apply ")), "{calls:?}");
    let selects = |call: &Vec<String>| {
        call.contains(&"--selector=app.kubernetes.io/component=pull-secret".to_owned())
    };
    let builds = cluster.calls().into_iter().filter(|call| {
        call.contains(&"apply".to_owned())
            && call.iter().any(|word| word.starts_with("--kustomize"))
    });
    let builds: Vec<_> = builds.collect();
    assert!(!builds.is_empty() && builds.iter().all(selects), "{builds:?}");
    // Once it is merged, nothing is created or deployed.
    in_shared(&["update-ref", "refs/heads/main", &tip]);
    assert!(night("rotate-token").stdout.contains("Nothing to do"));
    cluster.answers(&[]);
    night("rotate-staging");
    assert!(
        cluster.calls().iter().all(|call| !call.contains(&"apply".to_owned())),
        "{:?}",
        cluster.calls()
    );
}
