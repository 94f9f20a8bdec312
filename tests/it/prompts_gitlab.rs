//! Prompts about tokens from GitLab: the credential, where it may be sent, the lifetime, and what
//! is deleted.

use super::finish::Rotated;
use super::from_gitlab::World;
use super::gitlab::DeployToken;
use super::gitlab_bed::MAINTAINER;
use super::prompts::Terminal;
use super::support::{SECRET, needles};
use jiff::Timestamp;

/// Runs makeinfra in the repository, with the programs of the test first on PATH.
fn run(world: &World, args: &[&str]) -> Terminal {
    let path = world.sandbox.own_path();
    let script =
        format!("stty sane cols 160; cd hello-infra; export PATH='{path}'; exec \"$0\" \"$@\"");
    Terminal::run_in(&world.sandbox, &script, args)
}

#[track_caller]
fn hides_credential(shown: &str) {
    for needle in needles(MAINTAINER) {
        assert!(!shown.contains(&needle), "{needle}: {shown}");
    }
}

#[test]
fn the_access_token_and_the_lifetime_are_asked_for() {
    let Some(world) = World::start() else { return };
    let url = world.bed.gitlab.url();
    let mut terminal = run(&world, &["rotate", "--from-gitlab", "--commit"]);
    terminal.answers("Lifetime of the new token", "");
    terminal.answers(&format!("Access token for {url} (scope api)"), MAINTAINER);
    terminal.shows("can be pulled");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    hides_credential(&shown);
    assert_eq!(world.ids(), [1, 2]);
}

#[test]
fn a_credential_that_was_named_for_no_gitlab_goes_where_somebody_agrees() {
    let Some(world) = World::start() else { return };
    let file = world.sandbox.path("api").display().to_string();
    let args = ["rotate", "--from-gitlab", "--expires-in", "9d", "--gitlab-token-file", &file];
    let mut terminal = run(&world, &args);
    terminal.answers(&format!("to {}?", world.bed.gitlab.url()), "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("was not sent to"), "{shown}");
    assert_eq!(world.bed.gitlab.log(), [""; 0]);
    let mut terminal = run(&world, &args);
    terminal.shows("Send the access token").shows("?").types("y");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    hides_credential(&shown);
    assert_eq!(world.ids(), [1, 2]);
}

#[test]
fn a_new_repository_gets_its_token_once_the_plan_is_agreed_to() {
    let Some(world) = World::start() else { return };
    std::fs::remove_dir_all(world.sandbox.work("hello-infra")).unwrap();
    let (file, url) = (world.sandbox.path("api").display().to_string(), world.bed.gitlab.url());
    let args = [
        "new",
        "--from-gitlab",
        "--expires-in",
        "9d",
        "--gitlab-token-file",
        &file,
        "--gitlab-host",
        &url,
    ];
    for (answer, code) in [("n", 1), ("y", 0)] {
        let mut terminal = Terminal::run(&world.sandbox, &args);
        terminal
            .answers("Project", "hello")
            .answers("Container image", &world.image())
            .answers("Environments", "");
        terminal.answers("Are these answers correct?", "");
        terminal.shows("a new deploy token of the project `group/hello`").shows("Create it?");
        assert_eq!(world.ids(), [1], "before it is agreed to");
        terminal.types(answer);
        if answer == "n" {
            terminal.shows("What do you want to change?").types("\u{3}");
            assert_eq!(terminal.ends().0, 130);
            continue;
        }
        let (ended, shown) = terminal.ends();
        assert_eq!(ended, code, "{shown}");
        hides_credential(&shown);
    }
    assert_eq!(world.ids(), [1, 2]);
    assert!(world.sandbox.hello(SECRET).is_file());
}

#[test]
fn tokens_that_others_may_use_are_asked_about() {
    let Some(rotated) = Rotated::new() else { return };
    let world = &rotated.0;
    let named = "makeinfra hello-infra production 2026-01-02T03:04:05Z 00000001";
    let orphan = world.bed.gitlab.add_token(DeployToken::by_hand(7, named, "gldt-o"));
    let (file, url) = (world.sandbox.path("api").display().to_string(), world.bed.gitlab.url());
    let args = [
        "rotate",
        "--finish",
        "--context",
        "test",
        "--gitlab-token-file",
        &file,
        "--gitlab-host",
        &url,
    ];
    let mut terminal = run(world, &args);
    terminal.shows("Delete deploy token 1 `by hand`, which was created by hand?").types("n");
    terminal
        .shows(&format!("no Secret of this clone contains the deploy token {orphan}"))
        .shows("Delete it?")
        .types("n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert_eq!(world.ids(), [1, 2, orphan]);
    // After interrupting the second question, the user is told what was deleted before, and the
    // Secret no longer lists it.
    let mut terminal = run(world, &args);
    terminal.shows("which was created by hand?").types("y");
    terminal.shows("Delete it?").types("\u{3}");
    let (_, shown) = terminal.ends();
    assert!(shown.contains("deploy token 1: deleted in GitLab"), "{shown}");
    assert_eq!(world.ids(), [2, orphan]);
    assert!(world.annotation("makeinfra/superseded-tokens").is_null());
    let mut terminal = run(world, &args);
    terminal.shows("Delete it?").types("y");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    hides_credential(&shown);
    assert_eq!(world.ids(), [2]);
}

#[test]
fn the_token_of_an_environment_that_is_removed_is_named_and_asked_about() {
    let Some(world) = World::start() else { return };
    world.sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
    world.rotate(&["--commit", "--env", "staging"]).success();
    let url = format!("{}/api/v4/projects/7/deploy_tokens/2", world.bed.gitlab.url());
    // Production has the one that was created by hand.
    let plan = world.sandbox.agreed(&["env", "remove", "staging", "--dry-run"]).success();
    plan.prints(&format!("deploy tokens that only staging uses stay in GitLab: {url}\n"));
    world.sandbox.agreed(&["env", "remove", "staging"]).success().prints("makeinfra token list");
    world.sandbox.git(&["reset", "-q", "--hard"]).success();
    world.rotate(&["--commit", "--env", "production"]).success();
    let plan = world.sandbox.agreed(&["env", "remove", "staging", "--dry-run"]).success();
    plan.prints(&format!("that only staging uses stay in GitLab: {url}\n"));
    let removed = world.sandbox.agreed(&["env", "remove", "staging", "--commit"]).success();
    removed.prints("makeinfra rotate --finish");
    // Production's Secret lists the one that was created by hand.
    world.rotate(&["--commit"]).success();
    let named = "makeinfra hello-infra staging 2026-01-02T03:04:05Z 00000001";
    world.bed.gitlab.change_token(2, |token| token.name = named.to_owned());
    let rotated = Rotated::of(world);
    rotated
        .finish(&["--commit", "--yes"])
        .success()
        .says("no Secret of this clone contains the deploy token 2");
    let world = &rotated.0;
    let (file, url) = (world.sandbox.path("api").display().to_string(), world.bed.gitlab.url());
    let args = ["rotate", "--finish", "--gitlab-token-file", &file, "--gitlab-host", &url];
    let mut terminal = run(world, &args);
    terminal
        .shows("no Secret of this clone contains the deploy token 2")
        .shows("Delete it?")
        .types("y");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    hides_credential(&shown);
    assert_eq!(world.ids(), [4]);
}

#[test]
fn what_a_pipeline_has_left_is_asked_about_where_the_secrets_list_nothing() {
    let Some(world) = World::start() else { return };
    let left = |time: &str| {
        let named = format!("makeinfra hello-infra production {time} 00000001");
        world.bed.gitlab.add_token(DeployToken::by_hand(7, &named, &format!("gldt-{time}")))
    };
    let (old, young) = (
        left("2026-01-02T03:04:05Z"),
        left(&Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    );
    let file = world.sandbox.path("api").display().to_string();
    let finish = ["rotate", "--finish", "--gitlab-token-file", &file];
    // As in the hint of the pipeline's job.
    let url = world.bed.gitlab.url();
    let finish_there = [&finish[..], &["--gitlab-host", &url]].concat();
    // A remote branch that this clone does not have may contain it.
    let script = "git clone -q --bare . ../remote.git; git remote add origin ../remote.git; git clone -q ../remote.git ../other; \
                  cd ../other; git commit -q --allow-empty -m x; git push -q";
    world.sandbox.run("sh", &["-ec", script]).cwd(world.sandbox.hello("")).success();
    let mut terminal = run(&world, &finish_there);
    let (code, shown) = terminal.ends();
    assert!(code == 0 && shown.contains("has commits that this clone lacks"), "{shown}");
    assert_eq!(world.ids(), [1, old, young]);
    world.sandbox.git(&["fetch", "-q", "--all"]).success();
    let mut terminal = run(&world, &finish_there);
    terminal
        .shows(&format!("no Secret of this clone contains the deploy token {old}"))
        .shows("Delete it?")
        .types("y");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("it is less than an hour old"), "{shown}");
    assert_eq!(world.ids(), [1, young]);
    // No credential is requested if there is nothing to finish.
    let mut terminal = run(&world, &["rotate", "--finish"]);
    let (code, shown) = terminal.ends();
    assert!(code == 0 && shown.contains("Nothing to finish"), "{shown}");
}
