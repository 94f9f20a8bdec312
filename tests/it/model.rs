//! Random histories of clones that share a remote, a GitLab and a cluster, with commands that are
//! killed in the middle.
//!
//! What holds after each step:
//!
//! 1. No value of a token or Secret, and no credential, is in an object of git, in what is said, or
//!    in a file that others may read.
//! 2. A token goes only in `rotate --from-gitlab` and `rotate --finish`, and one that was made by
//!    hand only with `--yes`. When it goes, neither the work tree, index or HEAD of that clone
//!    holds it, nor the branch elsewhere as that clone knows it, nor any environment of the cluster
//!    but those that `--deployed` vouches for. What a pull Secret lists as superseded goes with
//!    these proofs alone. What else goes was left by a run in that same clone that was stopped:
//!    then no Secret anywhere holds it or lists it, and no environment has it, unless somebody
//!    deployed it from a work tree and then threw it away before it was pushed.
//! 3. Each live token is held by a Secret, listed by one as superseded, or in the journal of a
//!    clone. Only people lose one: who takes one side of a conflict, throws changes away, or
//!    removes an environment, which names it. So does the run that finds one in its journal which a
//!    merge has dropped. Its name still tells `token list` whose it is.
//! 4. What makeinfra writes into a Secret signs in, and the number beside it is that of the token.
//!
//! What no clone can know: what others have not pushed, or have pushed since this one fetched. A
//! clone that is behind holds tokens that are deleted, and a merge can bring them back. So 2 is
//! judged when a token goes, and not all the time.
//!
//! `make test` plays the same few histories each time. `make model` plays others for `SECONDS`. A
//! history that fails is shortened and printed:
//! `MAKEINFRA_MODEL='{...}' cargo test --test it -- model::replay` plays it again. Those that once
//! failed are in `found.jsonl`.

mod account;
mod play;
mod step;
mod world;

use super::support::have;
use play::{Counts, Judgement, Play};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use std::time::{Duration, Instant};
use step::Story;
use world::World;

/// Histories in `make test`.
const STORIES: u32 = 10;

fn world() -> Option<World> {
    if !["git", "git-crypt", "strace"].into_iter().all(have) {
        return None;
    }
    World::start()
}

fn play(world: &World, story: &Story, counts: &Counts) -> Judgement {
    Play::new(world, story.clones, counts).run(&story.steps)
}

/// For how long `make model` plays.
fn seconds() -> Option<Duration> {
    let seconds = std::env::var("MAKEINFRA_MODEL_SECONDS").ok()?;
    Some(Duration::from_secs(
        seconds.parse().expect("MAKEINFRA_MODEL_SECONDS is a number of seconds"),
    ))
}

#[test]
fn no_token_is_lost_and_none_deleted_that_somebody_needs() {
    let Some(world) = world() else { return };
    let (counts, begun) = (Counts::default(), Instant::now());
    let until = seconds().map(|seconds| begun + seconds);
    let config = Config {
        cases: until.map_or(STORIES, |_| 10),
        failure_persistence: None,
        max_shrink_time: 300_000,
        ..Config::default()
    };
    let (mut rng, mut stories) = (TestRunner::new(config.clone()).new_rng(), 0);
    loop {
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        let outcome = runner.run(&step::story(), |story| {
            play(&world, &story, &counts).map_err(TestCaseError::fail)
        });
        if let Err(error) = outcome {
            fail(error);
        }
        stories += config.cases;
        rng = runner.new_rng();
        if until.is_none_or(|until| Instant::now() >= until) {
            break;
        }
    }
    let done = counts.done.borrow();
    eprintln!(
        "model: {stories} histories, {} steps ({} of them ended), {} tokens deleted, in {:.1} s: {done:?}",
        counts.steps.get(),
        counts.ended.get(),
        counts.deleted.get(),
        begun.elapsed().as_secs_f32()
    );
    for name in ["by hand", "from GitLab", "finish", "env add", "pull", "push"] {
        assert!(done.contains_key(name), "{name} never came to its end: {done:?}");
    }
    assert!(counts.deleted.get() > 0 && counts.ended.get() > 0);
}

fn fail(error: TestError<Story>) -> ! {
    match error {
        TestError::Fail(why, story) => {
            let story = serde_json::to_string(&story).unwrap();
            panic!("{why}\nMAKEINFRA_MODEL='{story}' cargo test --test it -- model::replay");
        }
        TestError::Abort(why) => panic!("{why}"),
    }
}

#[test]
fn replay() {
    let found = std::env::var("MAKEINFRA_MODEL")
        .unwrap_or_else(|_| include_str!("model/found.jsonl").to_owned());
    let Some(world) = world() else { return };
    for line in found.lines().filter(|line| !line.is_empty()) {
        let story: Story = serde_json::from_str(line).unwrap();
        if let Err(why) = play(&world, &story, &Counts::default()) {
            panic!("{why}\n{line}");
        }
    }
}
