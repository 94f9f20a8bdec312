//! A broken connection to GitLab: idempotent requests are repeated once.

use super::super::finish::Rotated;
use super::super::gitlab::Fault;
use super::super::gitlab_bed::MAINTAINER;
use super::super::support::Run;
use super::World;

impl World {
    fn list(&self) -> Run {
        let run = self.sandbox.makeinfra(&["token", "list"]).cwd(self.sandbox.work("hello-infra"));
        run.env("GITLAB_HOST", self.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER)
    }

    fn count(&self, method: &str, within: &str) -> usize {
        let asked = self.bed.gitlab.log();
        asked.iter().filter(|line| line.starts_with(method) && line.contains(within)).count()
    }
}

#[test]
fn a_get_is_repeated_once() {
    let Some(world) = World::start() else { return };
    let gitlab = &world.bed.gitlab;
    for fault in [Fault::DropBefore, Fault::DropAfter, Fault::CutOff] {
        gitlab.forget_requests().next("GET", "/deploy_tokens?", fault.clone());
        world.list().success().prints("by hand");
        assert_eq!(world.count("GET", "/deploy_tokens?"), 2, "{fault:?}");
        gitlab.forget_requests().times(2, "GET", "/deploy_tokens?", fault.clone());
        world.list().failure(3).says("the connection to").says("was interrupted");
        assert_eq!(world.count("GET", "/deploy_tokens?"), 2, "{fault:?}");
    }
    // Any answer counts.
    gitlab.forget_requests().next("GET", "/deploy_tokens?", Fault::html(502));
    world.list().failure(3).says("failed with status 502");
    assert_eq!(world.count("GET", "/deploy_tokens?"), 1);
}

#[test]
fn a_delete_is_repeated_once_and_a_post_never() {
    let Some(rotated) = Rotated::new() else { return };
    let world = &rotated.0;
    let gitlab = &world.bed.gitlab;
    // The request was completed, so the second answer is 404.
    gitlab.next("DELETE", "/deploy_tokens/1", Fault::DropAfter);
    rotated.finish(&["--yes", "--commit"]).success().prints("deploy token 1: ");
    assert_eq!((world.count("DELETE", "/1"), world.ids()), (2, vec![2]));
    gitlab.forget_requests().next("POST", "/deploy_tokens", Fault::DropBefore);
    world.rotate(&["--commit"]).failure(3);
    assert_eq!((world.count("POST", ""), world.ids()), (1, vec![2]));
}
