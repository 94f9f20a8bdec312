//! `rotate --finish` over several repositories: a token is only deleted if the same run has proved
//! all repositories that had it.

use super::super::from_gitlab::shared::Several;
use super::super::gitlab::Fault;
use super::super::gitlab_bed::MAINTAINER;
use super::super::support::{Output, Run, USER};
use serde_json::{Value, json};
use std::fs;

/// A kubectl with a cluster for each context, whose content is in files next to it.
const KUBECTL: &str = "#!/bin/sh\ncontext=\nfor word; do case $word in --context=*) context=${word#--context=} ;; esac; done\n\
    case \"$*\" in\n\
    *--all-namespaces*) printf '{\"kind\": \"List\", \"items\": [%s]}' \"$(cat \"${0%/*}/$context.json\")\" ;;\n\
    *secret*) cat \"${0%/*}/$context.json\" ;;\nesac\n";

const ALL: [&str; 3] = ["a-infra", "b-infra", "c-infra"];

/// The commands about tokens in docs/many-repositories.md.
pub const DOCS: [&str; 2] = [
    "makeinfra rotate ../*-infra --from-gitlab --expires-in 90d --commit",
    "makeinfra rotate ../*-infra --finish --commit",
];

/// Several repositories that were rotated and deployed.
fn rotated() -> Option<Several> {
    let several = Several::start()?;
    several.sandbox.write_program("kubectl", KUBECTL);
    several.rotate(&ALL, &["--commit"]).success();
    several.deploy(&ALL);
    Some(several)
}

impl Several {
    /// Deploys the Secrets in the files to the clusters.
    fn deploy(&self, names: &[&str]) {
        for name in names {
            let mut secret: Value = serde_yaml::from_str(&self.secret(name)).unwrap();
            let project = name.trim_end_matches("-infra");
            secret["metadata"]["namespace"] = json!(project);
            self.sandbox.write(&format!("bin/{project}.json"), secret.to_string());
        }
    }

    fn finish(&self, names: &[&str], args: &[&str]) -> Run {
        let run = self.run(&[&["rotate", "--finish"], names, args].concat());
        run.env("PATH", self.sandbox.own_path())
    }

    /// Runs it, and expects that nothing is deleted or written.
    #[track_caller]
    fn keeps(&self, names: &[&str], args: &[&str], code: i32) -> Output {
        let state = || (self.ids(), ALL.map(|name| self.secret(name)));
        let before = state();
        let output = self.finish(names, args).output();
        assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
        assert_eq!(state(), before, "{}", output.stdout);
        output
    }
}

#[test]
fn a_token_goes_once_all_that_had_it_are_proved() {
    let Some(several) = rotated() else { return };
    // The next token: both had the one that is superseded now.
    let old = several.held("a-infra");
    several.rotate(&["a-infra", "b-infra"], &["--commit"]).success();
    several.deploy(&ALL);
    several.bed.gitlab.forget_requests();
    let output = several.keeps(&["a-infra"], &[], 1);
    output.prints("kept: b-infra also used it and must be named in the same run");
    several.keeps(&["a-infra", "c-infra"], &[], 1).prints("kept: b-infra also used it");
    // Named, but not readable.
    several.sandbox.run("mv", &["b-infra", "away"]).success();
    let output = several.finish(&["a-infra", "b-infra"], &["--yes"]).failure(1);
    output.prints("kept: b-infra also used it").prints("failed   ");
    several.sandbox.run("mv", &["away", "b-infra"]).success();
    assert!(several.ids().contains(&old));
    // Unproved for one of them.
    let cluster = several.sandbox.path("bin/b.json");
    let there = fs::read_to_string(&cluster).unwrap();
    fs::write(&cluster, "").unwrap();
    let output = several.finish(&["a-infra", "b-infra"], &["--yes"]).failure(1);
    output
        .prints("kept: not everything is verified for production (b-infra)")
        .prints("(production: pull secret gitlab does not exist in namespace b of context b)");
    assert!(several.ids().contains(&old));
    fs::write(&cluster, there).unwrap();
    // A dry run reports and does nothing.
    several.keeps(&["a-infra", "b-infra"], &["--yes", "--dry-run"], 0).prints("would be deleted");
    several.bed.gitlab.forget_requests();
    let output = several.finish(&ALL, &["--yes", "--commit", "--json"]).success();
    let objects: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 3);
    let mut registry = Vec::new();
    for object in &objects {
        // The old token of `c` was not GitLab's.
        assert_eq!(object["changed"], object["given"] != "c-infra", "{object:#}");
        for token in object["tokens"].as_array().unwrap() {
            assert_eq!(
                (&token["state"], &token["registry"]["status"]),
                (&json!("deleted"), &json!("ok")),
                "{token}"
            );
            registry.push(token["registry"]["message"].as_str().unwrap().to_owned());
        }
    }
    // The first token of the registry is verified by a sign-in, the others by the API; each token
    // is deleted once.
    let signed_in = registry.iter().filter(|said| said.contains("the registry refuses it")).count();
    assert_eq!(signed_in, 1, "{registry:?}");
    assert!(
        registry.iter().all(|said| said.contains("refuses") || said.contains("GitLab's API")),
        "{registry:?}"
    );
    let deleted = several.bed.gitlab.log().into_iter().filter(|line| line.starts_with("DELETE"));
    let mut deleted: Vec<_> = deleted.collect();
    deleted.sort();
    deleted.dedup();
    let all = several.bed.gitlab.log().iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!((deleted.len(), all), (2, 2));
    several.is_settled();
    several.finish(&ALL, &[]).success().prints("ok       a-infra: nothing to finish");
    several.run(&["check", "--online", "a-infra", "b-infra"]).success();
}

#[test]
fn the_commands_of_the_docs_rotate_all_and_finish() {
    let Some(several) = rotated() else { return };
    let typed = |line: &str| {
        let line = line.replace("makeinfra", env!("CARGO_BIN_EXE_makeinfra"));
        let run = several.sandbox.run("sh", &["-c", &line]).env("PATH", several.sandbox.own_path());
        let run = run.env("GITLAB_HOST", several.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER);
        run.cwd(several.sandbox.work("a-infra")).success()
    };
    typed(DOCS[0]).prints("3 repositories: 3 ok, 3 changed");
    several.deploy(&ALL);
    // Tokens that were created by hand require confirmation.
    typed(&format!("{} --yes", DOCS[1])).prints("3 repositories: 3 ok, 3 changed");
    assert_eq!(several.ids().len(), 2);
    several.is_settled();
}

#[test]
fn a_repository_that_went_back_to_the_old_token_keeps_it() {
    let Some(several) = rotated() else { return };
    let shared = several.held("a-infra");
    // Created by hand, so the other repositories are unknown: USER contains the token's number.
    let token = several.sandbox.path("token").display().to_string();
    let args = ["rotate", "b-infra", "--token-username", USER, "--token-file", &token, "--commit"];
    several.run(&args).success();
    several.deploy(&ALL);
    let output = several.finish(&["a-infra", "b-infra"], &["--yes"]).failure(1);
    output.prints("kept: it is in use (b-infra)");
    assert!(several.ids().contains(&1));
    // It is gone from the files, but a pipeline would still deploy it.
    several.git("b-infra", &["init", "-q", "--bare", "../remote.git"]);
    several.git("b-infra", &["remote", "add", "origin", "../remote.git"]);
    several.git("b-infra", &["push", "-q", "-u", "origin", "HEAD"]);
    several.rotate(&["b-infra"], &["--commit"]).success();
    several.deploy(&ALL);
    let output = several.finish(&["a-infra", "b-infra"], &["--yes"]).failure(1);
    output.prints("not everything is verified for production (b-infra)");
    several.git("b-infra", &["push", "-q"]);
    let output = several.finish(&["a-infra", "b-infra"], &["--yes", "--commit"]).failure(1);
    output.prints(&format!("deploy token {shared}: kept: it is in use (a-infra)"));
    assert!(!several.ids().contains(&1) && several.ids().contains(&shared));
}

#[test]
fn a_repository_that_was_given_the_token_is_proved_although_its_clone_is_behind() {
    let Some(several) = rotated() else { return };
    let shared = several.held("a-infra");
    several.rotate(&["a-infra"], &["--commit"]).success();
    several.deploy(&["a-infra"]);
    // The cluster has the token that the files do not have yet.
    several.git("b-infra", &["reset", "-q", "--hard", "HEAD~1"]);
    several.git("b-infra", &["reflog", "expire", "--expire=now", "--all"]);
    let output = several.finish(&["a-infra", "b-infra"], &["--yes"]).failure(1);
    output.prints(&format!("deploy token {shared}: kept: not everything is verified (b-infra)"));
    assert!(several.ids().contains(&shared));
}

#[test]
fn one_failure_does_not_stop_the_others() {
    let Some(several) = rotated() else { return };
    several.sandbox.run("git-crypt", &["lock"]).cwd(several.sandbox.work("c-infra")).success();
    let failed = several.sandbox.work("failed").display().to_string();
    let output = several
        .finish(&["c-infra", "a-infra", "b-infra"], &["--yes", "--commit", "--failed-to", &failed]);
    let output = output.failure(1);
    // A token that was created by hand may be in the unreadable repository.
    output.prints("failed   c-infra: ").prints("kept: `c-infra` may contain it and cannot be read");
    assert_eq!(fs::read_to_string(&failed).unwrap(), "c-infra\na-infra\nb-infra\n");
    assert!(several.ids().contains(&1));
    // For a token that GitLab issued, the repositories that had it are known.
    let old = several.held("a-infra");
    several.rotate(&["a-infra", "b-infra"], &["--commit"]).success();
    several.deploy(&["a-infra", "b-infra"]);
    let output = several.finish(&["c-infra", "a-infra", "b-infra"], &["--commit"]).failure(1);
    assert!(several.ids().contains(&1) && !several.ids().contains(&old), "{}", output.stdout);
    // GitLab gives no answer: the exit code for undetermined results.
    let Some(several) = rotated() else { return };
    several.bed.gitlab.times(u32::MAX, "GET", "/deploy_tokens/1", Fault::html(502));
    several.keeps(&["a-infra", "b-infra"], &["--yes"], 3).prints("failed with status 502");
    several.bed.gitlab.heal();
    // An unknown context only fails its own repository.
    several.sandbox.edit_in(
        "a-infra",
        "kubernetes/overlays/production/environment.mk",
        "CONTEXT   := a",
        "CONTEXT   :=",
    );
    several.git("a-infra", &["commit", "-qam", "No context"]);
    let output = several.finish(&["a-infra", "b-infra"], &["--yes"]).failure(1);
    output
        .prints("failed   a-infra: no kubectl context configured")
        .prints("kept: nothing is verified for a-infra");
    assert!(several.ids().contains(&1));
}
