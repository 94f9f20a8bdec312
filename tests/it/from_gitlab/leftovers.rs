//! Tokens of a killed run in its journal, and their fate since: another clone may have replaced
//! one, and the cluster may still have it.

use super::super::support::{SECRET, Sandbox};
use super::World;

/// A world whose token 2 is in HEAD and in the journal, as after a run that was killed at its end.
fn world() -> Option<World> {
    let world = World::start()?;
    world.rotate(&["--commit"]).success();
    world.note(2, "");
    Some(world)
}

/// Rotates, and expects that the token exists and is no longer in the journal.
#[track_caller]
fn keeps(world: &World) {
    let output = world.rotate(&["--commit"]).success();
    output.says("the deploy token 2 stays in GitLab");
    assert!(world.ids().contains(&2), "{}", output.stderr);
    assert_eq!(world.journal(), [""; 0]);
}

fn git(sandbox: &Sandbox, args: &[&str]) {
    sandbox.git(args).success();
}

#[test]
fn a_token_that_was_replaced_since_is_not_deleted_without_a_proof() {
    let Some(world) = world() else { return };
    let hand = super::super::gitlab::DeployToken::by_hand(7, "by hand", "gldt-by-hand");
    let user = format!("gitlab+deploy-token-{}", world.bed.gitlab.add_token(hand));
    let file = world.sandbox.write_private("hand", "gldt-by-hand").display().to_string();
    let args = [
        "rotate",
        "--token-username",
        &user,
        "--token-file",
        &file,
        "--expires-at",
        "never",
        "--commit",
    ];
    world.sandbox.makeinfra(&args).cwd(world.sandbox.work("hello-infra")).success();
    assert!(world.annotation("makeinfra/superseded-tokens").as_str().unwrap().ends_with("/2"));
    keeps(&world);
    assert!(world.annotation("makeinfra/superseded-tokens").as_str().unwrap().contains("/2 "));
}

#[test]
fn a_token_that_a_merge_has_dropped_is_not_deleted_without_a_question() {
    let Some(world) = world() else { return };
    git(&world.sandbox, &["checkout", "-q", "HEAD^", "--", SECRET]);
    git(&world.sandbox, &["commit", "-qm", "Take their side"]);
    assert!(world.annotation("makeinfra/token").is_null());
    keeps(&world);
}
