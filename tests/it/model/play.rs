//! Plays a story, and checks the invariants after each step.

use super::super::gitlab_bed::MAINTAINER;
use super::super::support::{Output, TOKEN, mode, needles};
use super::step::{Act, Step};
use super::world::{Snapshot, VALUE, World};
use git2::Repository;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The violated invariant, if any.
pub type Judgement = Result<(), String>;

/// Fails with a text unless the condition holds.
macro_rules! holds {
    ($holds:expr, $($what:tt)*) => {
        if !$holds {
            return Err(format!($($what)*));
        }
    };
}

/// A story being played.
pub struct Play<'w> {
    world: &'w World,
    clones: usize,
    /// The numbers of all tokens that ever existed, by value.
    known: BTreeMap<String, u64>,
    /// Tokens that users have lost.
    lost: BTreeSet<u64>,
    /// Tokens that users have discarded before they were in a pushed commit.
    thrown: BTreeSet<u64>,
    /// Tokens that the remote once had.
    shared: BTreeSet<u64>,
    /// Tokens that a Secret or a journal once had.
    had: BTreeSet<u64>,
    counts: &'w Counts,
}

/// Counts what happened in all stories: a test in which nothing happens proves nothing.
#[derive(Default)]
pub struct Counts {
    pub steps: Cell<u32>,
    pub ended: Cell<u32>,
    pub done: RefCell<BTreeMap<&'static str, u32>>,
    pub deleted: Cell<u32>,
}

impl<'w> Play<'w> {
    pub fn new(world: &'w World, clones: usize, counts: &'w Counts) -> Self {
        world.reset();
        let none = BTreeSet::new;
        let (lost, thrown, shared, had) = (none(), none(), none(), none());
        Self { world, clones, known: BTreeMap::new(), lost, thrown, shared, had, counts }
    }

    pub fn run(&mut self, steps: &[Step]) -> Judgement {
        let mut before = self.world.snapshot(self.clones);
        self.learn(&before);
        let mut is_late = false;
        for (number, step) in steps.iter().enumerate() {
            let step = Step { clone: step.clone % self.clones, ..step.clone() };
            for act in step.act.parts() {
                let meets = step.meets.clone().filter(|fate| fate.is_for(act));
                let step = Step { act, meets, ..step };
                let begun = Instant::now();
                let output = self.world.play(&step);
                let spent = begun.elapsed();
                if is_late {
                    self.world.bed.gitlab.release().wait_for_idle();
                }
                is_late = self.world.bed.gitlab.holds();
                let after = self.world.snapshot(self.clones);
                self.learn(&after);
                self.judge(&step, &before, &after, &output).map_err(|why| {
                    format!(
                        "step {number}, {step:?}: {why}\nexit {:?}\n{}{}",
                        output.code, output.stdout, output.stderr
                    )
                })?;
                self.count(&step, &output);
                if std::env::var_os("MAKEINFRA_MODEL").is_some() {
                    let said = output.stderr.lines().next().unwrap_or_default();
                    eprintln!("{step:?}: {:?} {spent:?} {:?} {said}", output.code, begun.elapsed());
                }
                before = after;
            }
        }
        self.world.bed.gitlab.release().wait_for_idle();
        self.lists()
    }

    fn learn(&mut self, now: &Snapshot) {
        self.known.extend(now.live.values().map(|token| (token.token.clone(), token.id)));
    }

    fn count(&self, step: &Step, output: &Output) {
        self.counts.steps.set(self.counts.steps.get() + 1);
        self.counts.ended.set(self.counts.ended.get() + u32::from(output.code.is_none()));
        if output.code == Some(0) {
            let name = match step.act {
                Act::ByHand { .. } => "by hand",
                Act::FromGitlab { .. } => "from GitLab",
                Act::Finish { .. } => "finish",
                Act::EnvAdd { .. } => "env add",
                Act::EnvRemove { .. } => "env remove",
                Act::Update { .. } => "update",
                Act::Pull { .. } => "pull",
                Act::Push => "push",
                _ => return,
            };
            *self.counts.done.borrow_mut().entry(name).or_default() += 1;
        }
    }

    fn judge(
        &mut self,
        step: &Step,
        before: &Snapshot,
        after: &Snapshot,
        output: &Output,
    ) -> Judgement {
        holds!(!output.stderr.contains("panicked") && output.code != Some(101), "it panicked");
        self.shows_nothing(output)?;
        self.files(step.clone)?;
        self.writes(step, before, after)?;
        for id in before.live.keys().filter(|id| !after.live.contains_key(id)) {
            self.may_go(*id, step, before, after)
                .map_err(|why| format!("token {id} was deleted: {why}"))?;
            self.counts.deleted.set(self.counts.deleted.get() + 1);
        }
        let shared: Vec<_> =
            after.remote.values().flat_map(|secret| self.ids(&secret.values)).collect();
        self.shared.extend(shared);
        if matches!(step.act, Act::Discard | Act::Reset | Act::Unstash) {
            let of = |now: &Snapshot| -> BTreeSet<u64> {
                now.clones[step.clone]
                    .all()
                    .flat_map(|(_, secret)| self.ids(&secret.values))
                    .collect()
            };
            let (was, is) = (of(before), of(after));
            let thrown: Vec<_> =
                was.difference(&is).filter(|id| !self.shared.contains(id)).collect();
            self.thrown.extend(thrown);
        }
        self.tracks(step, after, output)
    }

    /// What must not be readable in plaintext.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str).chain([MAINTAINER, TOKEN, VALUE])
    }

    /// First invariant, for the output.
    fn shows_nothing(&self, output: &Output) -> Judgement {
        for needle in self.secrets().flat_map(needles) {
            for (text, place) in [(&output.stdout, "stdout"), (&output.stderr, "stderr")] {
                holds!(!text.contains(&needle), "{needle} is in {place}");
            }
        }
        Ok(())
    }

    /// First invariant, for the files and objects of a clone and of the remote.
    fn files(&self, clone: usize) -> Judgement {
        let needles: Vec<String> = self.secrets().flat_map(needles).collect();
        let found = |bytes: &[u8]| {
            let is_in = |needle: &&String| memchr::memmem::find(bytes, needle.as_bytes()).is_some();
            needles.iter().find(is_in)
        };
        let dirs = [self.world.dir(clone), self.world.sandbox.work("remote.git")];
        for (number, dir) in [clone, usize::MAX].into_iter().zip(&dirs) {
            let git = Repository::open(dir).unwrap();
            let mut shown = Vec::new();
            self.world.reader.new_objects(&git, number, |id, bytes| {
                shown.extend(
                    found(bytes)
                        .map(|needle| format!("{needle} is in object {id} of {}", dir.display())),
                );
            });
            holds!(shown.is_empty(), "{}", shown.join(", "));
        }
        for file in files(&dirs[0]) {
            let Ok(bytes) = fs::read(&file) else { continue };
            let Some(needle) = found(&bytes) else { continue };
            let name = file.strip_prefix(&dirs[0]).unwrap().display().to_string();
            holds!(!MAINTAINER.contains(needle.as_str()), "the access token is in {name}");
            let is_secret = name.starts_with("secrets/") || name.contains(".makeinfra-");
            holds!(
                is_secret && mode(&file).is_multiple_of(0o100),
                "{needle} is in {name}, mode {:o}",
                mode(&file)
            );
        }
        Ok(())
    }

    /// Fourth invariant: what was written to the work tree signs in, and is what it says.
    fn writes(&self, step: &Step, before: &Snapshot, after: &Snapshot) -> Judgement {
        let (old, new) = (&before.clones[step.clone].work, &after.clones[step.clone].work);
        for (path, secret) in new {
            let ids: BTreeSet<_> =
                secret.values.iter().filter_map(|value| self.known.get(value)).copied().collect();
            holds!(ids.len() == secret.values.len(), "{path} holds a token that never was");
            if let Some(issued) = secret.issued {
                holds!(
                    ids.contains(&issued),
                    "{path} says that it holds token {issued}, and holds {ids:?}"
                );
            }
            let is_new =
                |id: &u64| !old.values().any(|secret| self.ids(&secret.values).contains(id));
            if step.act.is_ours() {
                let dead: Vec<_> =
                    ids.iter().filter(|id| is_new(id) && !after.live.contains_key(id)).collect();
                holds!(dead.is_empty(), "{path} was given {dead:?}, which GitLab does not have");
            }
        }
        Ok(())
    }

    fn ids(&self, values: &BTreeSet<String>) -> BTreeSet<u64> {
        values.iter().filter_map(|value| self.known.get(value)).copied().collect()
    }

    /// Second invariant: whether token `id` may be deleted in `step`.
    fn may_go(&self, id: u64, step: &Step, before: &Snapshot, after: &Snapshot) -> Judgement {
        let token = &before.live[&id];
        let (Act::FromGitlab { .. } | Act::Finish { .. }) = step.act else {
            return Err("this command deletes none".to_owned());
        };
        let (vouches, agrees) = match step.act {
            Act::Finish { vouch, yes, .. } => (vouch, yes),
            _ => (false, false),
        };
        holds!(token.name != "by hand" || agrees, "it was made by hand, and nobody agreed");
        let holds_it = |values: &BTreeSet<String>| values.contains(&token.token);
        let (was, is) = (&before.clones[step.clone], &after.clones[step.clone]);
        let is_listed = was.work.values().any(|secret| secret.superseded.contains(&id));
        for clone in [was, is] {
            let own = clone.work.iter().chain(clone.git.iter().filter(|(place, _)| {
                !is_listed
                    || place.starts_with("HEAD:")
                    || place.starts_with("the index:")
                    || place.starts_with("refs/remotes/")
            }));
            for (place, secret) in own {
                holds!(!holds_it(&secret.values), "{place} holds it");
            }
        }
        let is_excused = if is_listed { vouches } else { self.thrown.contains(&id) };
        for (env, secret) in before.cluster.iter().filter(|_| !is_excused) {
            holds!(!holds_it(&secret.values), "{env} is deployed with it");
        }
        let is_up_to_date = was.upstream == Some(before.main);
        for (place, secret) in before.remote.iter().filter(|_| is_up_to_date || !is_listed) {
            holds!(!holds_it(&secret.values), "the remote's {place} holds it");
        }
        if is_listed {
            return Ok(());
        }
        // A run in this clone was stopped before the token was written anywhere.
        holds!(
            was.journal.iter().any(|entry| entry.contains(&token.name)),
            "the journal does not have it"
        );
        for (number, clone) in before.clones.iter().enumerate() {
            for (place, secret) in clone.all() {
                holds!(!holds_it(&secret.values), "{place} of clone {number} holds it");
                holds!(!secret.superseded.contains(&id), "{place} of clone {number} lists it");
            }
        }
        Ok(())
    }

    /// Third invariant.
    fn tracks(&mut self, step: &Step, now: &Snapshot, output: &Output) -> Judgement {
        let clones = now.clones.iter().flat_map(|clone| clone.all().map(|(_, secret)| secret));
        let secrets: Vec<_> =
            clones.chain(now.remote.values()).chain(now.cluster.values()).collect();
        let mut tracked: BTreeSet<u64> =
            secrets.iter().flat_map(|secret| secret.superseded.clone()).collect();
        tracked.extend(secrets.iter().flat_map(|secret| self.ids(&secret.values)));
        let journals: Vec<_> = now.clones.iter().flat_map(|clone| &clone.journal).collect();
        let entered = |name: &str| journals.iter().any(|entry| entry.contains(name));
        tracked
            .extend(now.live.values().filter(|token| entered(&token.name)).map(|token| token.id));
        self.had.extend(&tracked);
        self.lost.retain(|id| !tracked.contains(id));
        for (id, token) in now.live.iter().filter(|(id, _)| !tracked.contains(id)) {
            // A token that was created by hand is makeinfra's once a Secret has it.
            if self.lost.contains(id) || (token.name == "by hand" && !self.had.contains(id)) {
                continue;
            }
            let text = format!("{}{}", output.stdout, output.stderr);
            let words = match step.act {
                Act::EnvRemove { .. } => {
                    vec![format!("deploy_tokens/{id}"), format!("gitlab+deploy-token-{id}")]
                }
                _ => vec![format!("the deploy token {id} stays in GitLab")],
            };
            // A killed run may not have come to it.
            let is_cut_off = output.code.is_none() && matches!(step.act, Act::EnvRemove { .. });
            let is_told = is_cut_off || words.iter().any(|words| text.contains(words));
            holds!(!step.act.is_ours() || is_told, "token {id} `{}` is lost track of", token.name);
            self.lost.insert(*id);
        }
        Ok(())
    }

    /// Any clone finds each token of the repository by its name.
    fn lists(&self) -> Judgement {
        let live = self.world.bed.gitlab.tokens();
        for clone in 0..self.clones {
            let run = self
                .world
                .sandbox
                .makeinfra(&["token", "list", "--json"])
                .cwd(self.world.dir(clone));
            let run =
                run.env("GITLAB_HOST", self.world.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER);
            let output = run.output();
            self.shows_nothing(&output)?;
            // A merge conflict may be open.
            if output.code != Some(0) {
                continue;
            }
            let report = output.json();
            let told = |id: u64| {
                let tokens = report["tokens"].as_array().unwrap();
                tokens.iter().find(|token| token["id"] == id).map(|token| token["use"].clone())
            };
            for token in live.iter().filter(|token| token.name != "by hand") {
                let is_told = told(token.id).is_some_and(|of| of != "other");
                holds!(
                    is_told,
                    "clone {clone} tells {:?} of token {} `{}`",
                    told(token.id),
                    token.id,
                    token.name
                );
            }
        }
        Ok(())
    }
}

/// All files of a clone, except for git's objects.
fn files(top: &Path) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![top.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().map(Result::unwrap) {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && entry.file_name() != "objects" => dirs.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}
