//! Whatever ends `rotate --from-gitlab` of repositories that share a token: none is lost, and none
//! is deleted that one of them has.

use super::super::faults::calls::{begin_at, faults, numbered, traced_run};
use super::super::faults::some;
use super::super::gitlab::Fault;
use super::super::support::{Run, SECRET, have};
use super::shared::Several;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

const PAIR: [&str; 2] = ["a-infra", "b-infra"];

/// Two repositories with one token, run repeatedly from the same state.
struct Pair(Several);

impl Pair {
    fn start() -> Option<Self> {
        let several = Several::start()?;
        several.sandbox.run("cp", &["-a", ".", "../work-pristine"]).success();
        Some(Self(several))
    }

    fn reset(&self) {
        let script = "cd ../work && find . -mindepth 1 -delete && cp -a ../work-pristine/. .";
        self.0.sandbox.run("sh", &["-c", script]).cwd(self.0.sandbox.path("home")).success();
        self.0.bed.gitlab.heal().forget_requests();
        for id in self.0.ids().into_iter().filter(|id| *id != 1) {
            self.0.bed.gitlab.remove_token(id);
        }
    }

    fn run(&self) -> Run {
        self.0.rotate(&PAIR, &["--commit", "--jobs", "1"]).without_env("MAKEINFRA_TEST_ADVICE")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let dirs = PAIR.map(|name| self.0.sandbox.work(name).join(".git/makeinfra"));
        let found = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
        found.map(|entry| entry.unwrap().path()).collect()
    }

    /// The tokens that the Secrets of work trees and of HEAD have, and have superseded.
    fn named(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut held, mut superseded) = (Vec::new(), Vec::new());
        for name in PAIR {
            let show = "git cat-file blob HEAD:$0 | git-crypt smudge";
            let committed =
                self.0.sandbox.run("sh", &["-c", show, SECRET]).cwd(self.0.sandbox.work(name));
            for text in [self.0.secret(name), committed.success().stdout] {
                let secret: Value = serde_yaml::from_str(&text).unwrap();
                let notes = &secret["metadata"]["annotations"];
                let numbers = |name: &str| -> Vec<u64> {
                    let words = notes[name].as_str().unwrap_or_default().split_whitespace();
                    let words = words.map(|word| word.split('#').next().unwrap());
                    words.filter_map(|word| word.rsplit(['/', '-']).next()?.parse().ok()).collect()
                };
                held.extend(numbers("makeinfra/token"));
                superseded.extend(numbers("makeinfra/superseded-tokens"));
            }
        }
        (held, superseded)
    }

    /// Fails if a Secret has a deleted token, or a live one is in neither Secrets nor journals.
    #[track_caller]
    fn account(&self, what: &str) {
        let (held, superseded) = self.named();
        let live = self.0.bed.gitlab.tokens();
        for id in &held {
            assert!(
                live.iter().any(|token| token.id == *id),
                "{what}: token {id} is held, and deleted"
            );
        }
        let entries: Vec<_> =
            self.entries().iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
        for token in live.iter().filter(|token| token.id != 1) {
            let is_named = held.contains(&token.id) || superseded.contains(&token.id);
            let is_noted = entries.iter().any(|entry| entry.contains(&token.name));
            assert!(is_named || is_noted, "{what}: {} is lost track of", token.name);
        }
    }

    /// Judges the state after a run that `what` has ended, and repeats the command until it
    /// finishes.
    #[track_caller]
    fn judge(&self, what: &str) {
        self.account(what);
        let again = self.run().output();
        assert_eq!(again.code, Some(0), "{what}: {}{}", again.stdout, again.stderr);
        // For an hour, it is undetermined whether a requested token will still appear.
        if !self.entries().is_empty() {
            for file in self.entries() {
                let mut entry: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
                assert!(entry["id"].is_null(), "{what}: {entry}");
                entry["since"] = "2020-01-01T00:00:00Z".into();
                fs::write(&file, entry.to_string()).unwrap();
            }
            self.run().success();
        }
        self.account(what);
        let (held, superseded) = self.named();
        let mut live = self.0.ids();
        live.retain(|id| *id != 1 && !held.contains(id) && !superseded.contains(id));
        assert!(live.is_empty(), "{what}: nothing tells of {live:?}");
        self.0.is_settled();
    }
}

#[test]
fn killed_at_each_request() {
    let Some(pair) = Pair::start() else { return };
    let gitlab = &pair.0.bed.gitlab;
    pair.reset();
    pair.run().success();
    let mut targets: Vec<_> = gitlab
        .requests()
        .iter()
        .map(|request| (request.method.clone(), request.target.clone()))
        .collect();
    targets.dedup();
    targets.push(("GET".to_owned(), "/jwt/auth".to_owned()));
    for (method, target) in targets {
        let method = if method == "POST" { "POST" } else { "GET" };
        for fault in [Fault::HoldBefore, Fault::HoldAfter] {
            pair.reset();
            let what = format!("{method} {target}, {fault:?}");
            gitlab.next(method, &target, fault);
            let mut run =
                pair.run().command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            gitlab.wait_for_held();
            run.kill().unwrap();
            run.wait().unwrap();
            pair.account(&what);
            gitlab.release();
            // A pending request has completed.
            while method == "POST" && pair.0.ids().len() < 2 {
                std::thread::yield_now();
            }
            pair.judge(&what);
        }
    }
}

#[test]
fn at_each_system_call() {
    let Some(pair) = Pair::start().filter(|_| have("strace")) else { return };
    let log = pair.0.sandbox.path("trace");
    pair.reset();
    let (output, calls) = traced_run(pair.run(), &log, &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let all = faults(&numbered(&calls, begin_at(&pair.0.sandbox.path(""), &calls)));
    eprintln!("{} faults", all.len());
    // Threads differ between runs, so any result is judged.
    for fault in some(all, 0) {
        pair.reset();
        let (output, _) = traced_run(pair.run(), &log, std::slice::from_ref(&fault));
        let said = format!("{fault}: exit {:?}, {}{}", output.code, output.stdout, output.stderr);
        assert!(!said.contains("panicked"), "{said}");
        pair.judge(&said);
    }
}
