//! Two clones, and two processes in one of them: neither deletes the other's token.

use super::super::gitlab::Fault;
use super::super::gitlab_bed::MAINTAINER;
use super::super::support::{Run, SECRET, have};
use super::World;
use std::process::Stdio;

impl World {
    /// Pushes the repository, and clones it to `other`.
    fn share(&self) {
        let script = "git init -q --bare -b main ../remote.git; git branch -q -M main; git remote add origin ../remote.git; \
            git push -q -u origin main; git-crypt export-key ../../key; cd ..; git clone -q remote.git other; cd other; \
            git-crypt unlock ../../key";
        self.sandbox.run("sh", &["-ec", script]).cwd(self.sandbox.hello("")).success();
    }

    fn in_other(&self, args: &[&str]) -> Run {
        let run = self.sandbox.makeinfra(args).cwd(self.sandbox.work("other"));
        run.env("GITLAB_HOST", self.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER)
    }

    fn git_in(&self, clone: &str, args: &[&str]) -> Run {
        self.sandbox.run("git", args).cwd(self.sandbox.work(clone))
    }
}

const ROTATE: [&str; 5] = ["rotate", "--from-gitlab", "--expires-in", "90d", "--commit"];

#[test]
fn two_clones_at_once_have_a_token_each_and_none_is_deleted() {
    if !have("git-crypt") {
        return;
    }
    let Some(world) = World::start() else { return };
    world.share();
    let gitlab = &world.bed.gitlab;
    gitlab.next("POST", "/deploy_tokens", Fault::HoldAfter);
    let first = world
        .rotate(&["--commit"])
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    gitlab.wait_for_held();
    // Token 2 exists, but no Secret has it yet: to this clone, somebody may be about to write it.
    let output = world.in_other(&ROTATE).success();
    assert!(!output.stderr.contains("deleted"), "{}", output.stderr);
    let output =
        world.in_other(&["rotate", "--finish", "--deployed", "production", "--yes"]).output();
    assert_eq!(world.ids(), [1, 2, 3], "{}{}", output.stdout, output.stderr);
    gitlab.release();
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    world.account("both have rotated");
    // One clone pushes first, and the other takes its side in the merge.
    world.git_in("other", &["push", "-q"]).success();
    world.sandbox.git(&["push", "-q"]).failure(1);
    world.sandbox.git(&["pull", "-q", "--no-rebase"]).failure(1);
    world.sandbox.git(&["checkout", "-q", "--theirs", "--", SECRET]).success();
    world.sandbox.git(&["commit", "-qam", "Take theirs"]).success();
    world.sandbox.git(&["push", "-q"]).success();
    // No Secret has token 2 any more, and its name tells both clones whose it is.
    let list = |run: Run| {
        let report = run.success().json();
        let tokens = report["tokens"].as_array().unwrap().iter();
        tokens
            .map(|token| (token["id"].as_u64().unwrap(), token["use"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let args = ["token", "list", "--json"];
    world.git_in("other", &["pull", "-q"]).success();
    let mut told = list(world.in_other(&args));
    told.sort();
    assert_eq!(
        told,
        [(1, "superseded".to_owned()), (2, "orphan".to_owned()), (3, "used".to_owned())]
    );
    let finish = ["rotate", "--finish", "--deployed", "production", "--yes", "--commit"];
    world.in_other(&finish).success().says("no Secret of this clone contains the deploy token 2");
    assert_eq!(world.ids(), [2, 3]);
}

#[test]
fn a_clone_is_finished_by_nobody_while_a_token_is_made_in_it() {
    let Some(world) = World::start() else { return };
    world.rotate(&["--commit"]).success();
    let gitlab = &world.bed.gitlab;
    gitlab.next("POST", "/deploy_tokens", Fault::HoldAfter);
    let first = world
        .rotate(&["--commit"])
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    gitlab.wait_for_held();
    let finish = ["rotate", "--finish", "--deployed", "production", "--yes"];
    let run = world.sandbox.makeinfra(&finish).cwd(world.sandbox.hello(""));
    run.env("GITLAB_HOST", gitlab.url())
        .env("GITLAB_TOKEN", MAINTAINER)
        .failure(1)
        .says("another makeinfra");
    assert_eq!(world.ids(), [1, 2, 3]);
    gitlab.release();
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    world.is_settled("one after the other");
}
