//! Both ends of an update: the recorded answers and version, and the wanted ones. Refuses changes
//! that other commands make.

use super::Options;
use crate::advice::Advice;
use crate::answers::{Answers, Environment, Record};
use crate::change::{self, Difference, Files, Plan, Tree, Update};
use crate::commands::managed::ManagedRepo;
use crate::commands::templates_of;
use crate::error::{Failure, Result};
use crate::repo::SECRETS;
use crate::templates::TemplateSet;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The route from the recorded version to this one.
pub(super) struct UpdateRoute<'w> {
    /// The answers from which the files were rendered.
    recorded: Record,
    /// Whether `recorded` is the record of HEAD.
    is_head: bool,
    /// The wanted answers.
    pub(super) wanted: &'w Record,
    old: TemplateSet,
    new: TemplateSet,
    /// Deleted files to restore.
    restored: BTreeSet<String>,
    /// Files that stop being the user's own.
    taken: BTreeSet<String>,
    /// The last rendering, cached because HEAD usually has the same answers as the files.
    rendered: RefCell<Option<Rendered>>,
}

/// A rendering of both ends.
struct Rendered {
    ends: Ends,
    base: Tree,
    wish: Tree,
    /// The record as each version writes it.
    records: [String; 2],
}

/// The answers at both ends of the route.
#[derive(PartialEq, Eq)]
struct Ends {
    /// The answers according to the files.
    found: Answers,
    /// The answers after the update.
    wish: Answers,
}

impl<'w> UpdateRoute<'w> {
    pub(super) fn find(options: &Options, managed: &'w ManagedRepo) -> Result<Self> {
        let recorded = match (&options.from, &managed.committed) {
            (Some(revision), _) => {
                managed.workspace.repo.text_at(revision, Record::FILE)?.ok_or_else(|| {
                    Failure::failed(format!("the commit of `--from` has no `{}`", Record::FILE))
                        .hint(Advice::git(format!("log -- {}", Record::FILE)))
                })?
            }
            (None, Some(record)) => record.text.clone(),
            // Nothing else tells what the files were rendered from.
            (None, None) => {
                return Err(Failure::failed(format!("HEAD has no readable `{}`", Record::FILE))
                    .because("an update starts from the answers in the last commit")
                    .hint(Advice::git(format!("status -- {}", Record::FILE)))
                    .into());
            }
        };
        let recorded = Record::parse(recorded)?;
        let below = |paths: &[String]| {
            paths.iter().map(|path| path.trim_start_matches("./").to_owned()).collect()
        };
        Ok(Self {
            old: templates_of(&recorded)?,
            recorded,
            is_head: options.from.is_none(),
            wanted: &managed.record,
            new: TemplateSet::embedded(),
            restored: below(&options.restore),
            taken: below(&options.take),
            rendered: RefCell::default(),
        })
    }

    /// The subject of the commit, and the title of the plan.
    pub(super) fn title(&self) -> String {
        if self.old.version() == self.new.version() {
            format!("Apply the answers of {}", Record::FILE)
        } else {
            format!("Update to makeinfra {}", self.new.version())
        }
    }

    /// The paths of all generated files.
    pub(super) fn paths(&self) -> Result<Vec<String>> {
        let files = self.new.render(&self.wanted.answers, &[])?;
        Ok(files
            .into_iter()
            .map(|file| file.path)
            .filter(|path| !path.starts_with(SECRETS))
            .collect())
    }

    /// The answers at both ends. An answer that was not changed in the record has the value of the
    /// files at both ends.
    fn ends(&self, files: &Files) -> Result<Ends> {
        self.refuse_other_ways(files)?;
        let found = change::answers_in(files, &self.recorded).answers;
        let (wish, disputed) = self.wanted.answers.following(&self.recorded.answers, &found);
        if let Some(answer) = disputed.first() {
            return Err(Failure::failed(format!("`answers.{answer}` does not match the files"))
                .because("both the record and the files were changed, to different values")
                .hint(Advice::edit(Record::FILE))
                .into());
        }
        Ok(Ends { found, wish })
    }

    /// Fails if an answer was changed that belongs to another command, because it affects more than
    /// generated files.
    fn refuse_other_ways(&self, files: &Files) -> Result<()> {
        let (old, new) = (&self.recorded.answers, &self.wanted.answers);
        let refused = |answer: &str, cause: &str, hint: Advice| {
            let what = format!("`answers.{answer}` cannot be changed by an update");
            Err(Failure::failed(what).because(cause).hint(hint).into())
        };
        let revert = Advice::git(format!("diff HEAD -- {}", Record::FILE));
        if old.project != new.project {
            return refused(
                "project",
                "the name identifies the deployed objects in the cluster",
                "{makeinfra new NAME}".into(),
            );
        }
        if old.secret_name != new.secret_name {
            return refused(
                "secret-name",
                "the Secret's file and the cluster use the old name",
                revert,
            );
        }
        let by_rotate = [
            ("registry", old.registry != new.registry, new.registry.to_string()),
            (
                "secret-type",
                old.secret_type != new.secret_type,
                new.secret_type.as_str().to_owned(),
            ),
            (
                "email",
                old.email != new.email,
                new.email.as_ref().map_or("", |email| email.as_str()).to_owned(),
            ),
        ];
        if let Some((answer, _, value)) =
            by_rotate.into_iter().find(|(_, is_changed, _)| *is_changed)
        {
            let cause = "it is in the encrypted pull Secret";
            let rotate = Advice::makeinfra("rotate").with(format_args!("--{answer} {value}"));
            let hint = if value.is_empty() { revert } else { rotate };
            return refused(answer, cause, hint);
        }
        let has = |answers: &Answers, one: &Environment| {
            answers
                .environments
                .iter()
                .find(|other| other.name == one.name)
                .map(|other| other.secrets.clone())
        };
        let is_there = |one: &Environment| files.below(&one.overlay()).next().is_some();
        for one in new.environments.iter() {
            let place = format!("environments.{}", one.name);
            match has(old, one) {
                // A merge may have brought its files.
                None if !is_there(one) => {
                    let cause = "an environment has Secrets, which an update does not generate";
                    return refused(
                        &place,
                        cause,
                        Advice::makeinfra(format!("env add {}", one.name)),
                    );
                }
                // An update does not commit its Secrets.
                None if self.is_head => {
                    let add = Advice::makeinfra(format!("env add {} --commit", one.name));
                    return refused(&place, "the environment is not committed yet", add);
                }
                Some(secrets) if secrets != one.secrets => {
                    return refused(
                        &format!("{place}.secrets"),
                        "the files of the Secrets are in the old directory",
                        revert,
                    );
                }
                _ => {}
            }
        }
        let removed = old.environments.iter().find(|one| has(new, one).is_none() && !is_there(one));
        if let Some(one) = removed.filter(|_| self.is_head) {
            let remove = Advice::makeinfra(format!("env remove {} --commit", one.name));
            return refused(
                &format!("environments.{}", one.name),
                "its removal is not committed yet",
                remove,
            );
        }
        let gone = old.environments.iter().find(|one| has(new, one).is_none() && is_there(one));
        if let Some(one) = gone {
            let cause = "its overlay and Secrets still exist";
            let restore = Advice::git(format!("checkout HEAD -- {}", Record::FILE));
            let hint = restore.and(Advice::makeinfra(format!("env remove {}", one.name)));
            return refused(&format!("environments.{}", one.name), cause, hint);
        }
        Ok(())
    }

    /// The update of `files`.
    pub(super) fn update(&self, files: &Files) -> Result<Update> {
        let ends = self.ends(files)?;
        let mut rendered = self.rendered.borrow_mut();
        let Rendered { base, wish, records, .. } = match rendered.take() {
            Some(known) if known.ends == ends => rendered.insert(known),
            _ => rendered.insert(self.render(ends)?),
        };
        let base = base.with_ours(files, &self.taken, wish);
        let mut update = change::update(&base, wish, files, &self.restored)?;
        update.record(files, &records[0], &records[1], &self.taken)?;
        Ok(update)
    }

    fn render(&self, ends: Ends) -> Result<Rendered> {
        // An edit in the files and a change in the record may be incompatible.
        Record::parse(self.new.record(&ends.wish)?)?;
        let own: BTreeSet<_> = self.wanted.own.difference(&self.taken).cloned().collect();
        let base = Tree::from(self.old.render(&ends.found, &[])?).without(&self.wanted.own);
        let wish = Tree::from(self.new.render(&ends.wish, &[])?).without(&own);
        let base = base.with_pipelines(&Tree::from(self.old.render(&as_many(&ends), &[])?));
        // Both sides have everything of an environment that a merge brought.
        let base = base.with_environments(&wish, |name| {
            self.recorded.answers.environment(name).is_none()
                && self.wanted.answers.environment(name).is_some()
        });
        let records = [self.old.record(&ends.found)?, self.new.record(&ends.found)?];
        Ok(Rendered { ends, base, wish, records })
    }

    /// Fails if an option names a file that cannot be restored or taken.
    pub(super) fn check(&self, managed: &ManagedRepo, update: &Update) -> Result<()> {
        let is_pending = |path: &String| update.plan.steps.iter().any(|step| step.path == *path);
        if let Some(path) = self.restored.iter().find(|path| !is_pending(path)) {
            let failure = Failure::usage(format!(
                "`--restore {path}` is not a generated file that was deleted"
            ));
            return Err(failure.hint(Advice::makeinfra("update").with("--dry-run")).into());
        }
        if let Some(path) = self.taken.iter().find(|path| !managed.record.own.contains(*path)) {
            let failure =
                Failure::usage(format!("`--take {path}` is not in the list `{}`", Record::OWN));
            return Err(failure.hint(Advice::at_top(format!("cat {}", Record::FILE))).into());
        }
        Ok(())
    }

    /// The plan of `update`, which was made from `files`, with its notes.
    pub(super) fn noted(&self, update: Update, files: &Files) -> Result<Plan> {
        let Update { mut plan, deleted, moved, hazards, .. } = update;
        let (old, new) = (self.old.version(), self.new.version());
        plan.facts.push((
            "templates",
            if old == new { new.to_owned() } else { format!("{old} -> {new}") },
        ));
        let differences = change::differences(&self.recorded.answers, &self.wanted.answers);
        plan.facts.extend(differences.iter().map(|one| ("answer", difference_text(one, "->"))));
        plan.notes.extend(hazards);
        plan.notes.extend(self.namespaces());
        // Only answers that were not asked for are reported as kept.
        let Ends { found, wish } = self.ends(files)?;
        let kept = change::differences(&self.recorded.answers, &found);
        let wished = change::differences(&self.recorded.answers, &wish);
        plan.notes.extend(
            kept.iter().filter(|one| wished.contains(one)).map(|one| {
                format!("kept as in the files: {}", difference_text(one, "now recorded"))
            }),
        );
        plan.notes.extend(
            moved.iter().map(|(from, to)| format!("`{from}` is updated at its new path `{to}`")),
        );
        let own = &self.wanted.own;
        if !own.is_empty() && old != new {
            let paths = own.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
            plan.notes.push(format!("not updated, because `own` lists them: {paths}"));
        }
        let elsewhere = deleted.iter().filter_map(|one| Some((&one.path, one.elsewhere.as_ref()?)));
        plan.notes.extend(elsewhere.map(|(path, other)| {
            format!(
                "changes of `{path}` are not applied to `{other}`, which contains its object among \
                 others"
            )
        }));
        let gone: Vec<_> = deleted
            .iter()
            .filter(|one| one.elsewhere.is_none())
            .map(|one| format!("`{}`", one.path))
            .collect();
        if !gone.is_empty() {
            let paths = gone.join(", ");
            plan.notes.push(format!(
                "deleted here and not restored (`--restore PATH` restores a file): {paths}"
            ));
        }
        Ok(plan)
    }

    /// Notes about namespaces that change: the cluster keeps everything in the old ones.
    fn namespaces(&self) -> Vec<String> {
        let known = |one: &Environment| {
            self.recorded
                .answers
                .environments
                .iter()
                .find(|other| other.name == one.name)
                .map(|old| old.namespace.clone())
        };
        let changed = self.wanted.answers.environments.iter().filter_map(|one| {
            let old = known(one).filter(|old| *old != one.namespace)?;
            Some(format!(
                "objects in namespace `{old}` stay there: run `make undeploy{}` before the update",
                self.recorded.answers.make_argument(one)
            ))
        });
        changed.collect()
    }
}

/// A differing answer, with both values.
fn difference_text(one: &Difference, between: &str) -> String {
    let place = match (&one.environment, &one.component) {
        (Some(environment), Some(component)) => format!(" of {component} in {environment}"),
        (Some(name), None) => format!(" of {name}"),
        (None, Some(name)) => format!(" of {name}"),
        (None, None) => String::new(),
    };
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    format!(
        "{}{place}: {} {between} {}",
        one.name.as_str(),
        value(&one.recorded),
        value(&one.found)
    )
}

/// The found answers, with as many environments as wanted: whether pushes deploy to an environment
/// is decided when it is added and does not depend on the number of the others.
fn as_many(Ends { found, wish }: &Ends) -> Answers {
    let mut answers = found.clone();
    let environments = &mut answers.environments;
    let is_lone = wish.environments.rest.is_empty();
    if is_lone && let Some(left) = found.environment(wish.environments.first.name.as_str()) {
        environments.first = left.clone();
        environments.rest.clear();
    } else if !is_lone && environments.rest.is_empty() {
        let others =
            wish.environments.iter().filter(|one| one.name != found.environments.first.name);
        environments.rest.extend(others.cloned());
    }
    answers
}
