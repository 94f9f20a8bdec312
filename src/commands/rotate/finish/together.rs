//! `makeinfra rotate --finish` over several repositories: first proves all of them, then deletes
//! the old tokens that none of them needs.

use super::super::Options;
use super::case::FinishCase;
use super::{delete, forget, pulls, report};
use crate::commands::fleet::Fleet;
use crate::error::{Failure, Result};
use crate::registry::PARALLEL;
use crate::repo::Repo;
use crate::report::Report;
use crate::ui::Ui;
use std::collections::BTreeSet;
use std::path::Path;

/// Runs the command.
pub(in crate::commands::rotate) fn several(
    options: &Options,
    fleet: &Fleet,
    ui: &mut Ui,
) -> Result<()> {
    let jobs = options.jobs.or(PARALLEL);
    let mut preflights = fleet.look(Fleet::cores(), |repo, ui| look(options, repo, ui), ui)?;
    // Includes repositories with nothing to finish: they may have had a token of another one.
    let (places, mut cases): (Vec<usize>, Vec<FinishCase>) = preflights
        .iter_mut()
        .enumerate()
        .filter_map(|(at, look)| Some((at, look.known.take()?)))
        .unzip();
    // A repository that shared a token listed by another one must be proved, too.
    let named: BTreeSet<String> = cases
        .iter()
        .flat_map(|case| &case.old_tokens)
        .flat_map(|old| old.repositories.iter().cloned())
        .collect();
    for (place, case) in cases.iter_mut().enumerate() {
        if !case.old_tokens.is_empty() || !named.contains(&case.name) {
            continue;
        }
        let prepared = Repo::find(&case.root, "rotate --finish")
            .and_then(|repo| case.prepare(options, &repo, &mut Ui::quiet()));
        if let Err(error) = prepared {
            fleet.refuse(&mut preflights, &[places[place]], &error)?;
            case.is_unproved = true;
        }
    }
    pulls::prove(options, jobs, &mut cases, ui)?;
    let is_to_prove = |case: &FinishCase| {
        !case.is_unproved && (!case.old_tokens.is_empty() || named.contains(&case.name))
    };
    let of = |at: usize| places.binary_search(&at).ok().map(|place| &cases[place]);
    let prove = |at: usize| match of(at).filter(|case| is_to_prove(case)) {
        Some(case) => {
            let repo = Repo::find(&case.root, "rotate --finish")?;
            case.prove(options, &repo, &Ui::quiet()).map(Some)
        }
        None => Ok(None),
    };
    for (at, proofs) in
        fleet.gather(jobs, prove, "contacting clusters", ui)?.into_iter().enumerate()
    {
        match (proofs, places.binary_search(&at)) {
            (Ok(Some(proofs)), Ok(place)) => cases[place].add(proofs),
            (Err(error), Ok(place)) => {
                fleet.refuse(&mut preflights, &[at], &error)?;
                cases[place].is_unproved = true;
            }
            _ => {}
        }
    }
    let unread = (0..fleet.places.len()).find(|at| places.binary_search(at).is_err());
    let unread = unread.map(|at| fleet.places[at].name.clone());
    let failures = delete::several(options, &mut cases, unread, ui)?;
    let (places, cases, failures) = (&places, &cases, &failures);
    let write = |at: usize, ui: &mut Ui| -> Result<Report> {
        let Ok(place) = places.binary_search(&at) else {
            return Err(Failure::failed("it was not checked").into());
        };
        match &failures[place] {
            Some(failure) => Err(failure.clone().into()),
            None => write(options, &cases[place], ui),
        }
    };
    fleet.carry_out(Fleet::writers(), &preflights, write, ui)
}

fn look(options: &Options, repo: &Path, ui: &mut Ui) -> Result<(Report, FinishCase)> {
    let repo = Repo::find(repo, "rotate --finish")?;
    let case = FinishCase::read(options, &repo, ui)?;
    let report = report::nothing(options, &case.root);
    Ok((Report { is_pending: !case.is_done(), ..report }, case))
}

fn write(options: &Options, case: &FinishCase, ui: &mut Ui) -> Result<Report> {
    let repo = Repo::find(&case.root, "rotate --finish")?;
    let _lock = if options.run.dry_run { None } else { repo.lock()? };
    let forgotten = forget(options, &repo, case, ui)?;
    Ok(report::outcome(options, &repo, case, &forgotten))
}
