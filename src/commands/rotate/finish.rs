//! `makeinfra rotate --finish`: a verdict with proof for each environment, and then the old tokens go. In this order: the new token
//! pulls, the cluster has it, git has it and shares it, the old one is deleted, the registry refuses it.

mod cluster;
mod delete;
mod git;
mod old;
mod proof;
mod pulls;
mod report;

use super::{Options, scope};
use crate::answers::{Answers, Record, Superseded};
use crate::commands::deploy_tokens::Journal;
use crate::commands::transaction::{self, Transaction};
use crate::commands::{encrypted, not_generated};
use crate::error::{Failure, Result};
use crate::git_crypt;
use crate::inspection::{Inspection, Scope};
use crate::pull_secret::Manifest;
use crate::repo::Repo;
use crate::report::Report;
use crate::secret::Secret;
use crate::ui::Ui;
use delete::Fate;
use old::Old;
use proof::Tenant;
use std::path::Path;

/// What its errors say that it cannot do.
const FINISH: &str = "finish the rotation of";

/// What was found out, and what came of it.
struct Verdict<'v> {
    tenants: Vec<Tenant<'v>>,
    olds: Vec<Old>,
    /// What became of each old token, in their order.
    fates: Vec<Fate>,
    commit: Option<String>,
}

impl<'v> Verdict<'v> {
    /// The environments of which anything was to be proved.
    fn looked_at(&self) -> impl Iterator<Item = &Tenant<'v>> + Clone {
        self.tenants.iter().filter(|tenant| tenant.is_chosen && !tenant.proofs.is_empty())
    }
}

/// Runs it.
pub(super) fn run(options: &Options, repo: &Path, ui: &mut Ui) -> Result<Report> {
    let repo = Repo::find(repo, "rotate --finish")?;
    repo.check_key(git_crypt::FILTER)?;
    let _lock = if options.run.dry_run { None } else { repo.lock()? };
    let record = record(&repo)?;
    let mut tenants = tenants(options, &repo, &record.answers)?;
    let olds = old::all(&repo, &tenants)?;
    let journal = Journal::of(&repo);
    let _held = if options.run.dry_run { None } else { Some(journal.hold()?) };
    if olds.is_empty() && journal.entries()?.is_empty() {
        return Ok(report::nothing(&repo));
    }
    // Without an old token there is only what an earlier run has left in GitLab.
    if !olds.is_empty() {
        check_committed(options, &repo, &tenants, ui)?;
        let scope = Scope { repo: repo.root(), ..Scope::default() };
        let inspection = Inspection::of(&scope, "rotate --finish")?;
        // Each proof is only worth something if those before it hold.
        pulls::prove(options, &inspection, &mut tenants, ui)?;
        cluster::prove(options, &inspection, &mut tenants, &olds, ui)?;
        git::prove(&repo, &mut tenants, &olds)?;
    }
    let fates = delete::all(options, &repo, &journal, &record.answers, &tenants, &olds, ui)?;
    let mut verdict = Verdict { tenants, olds, fates, commit: None };
    let forgotten = forget(options, &repo, &verdict, ui)?;
    verdict.commit = forgotten.commit;
    Ok(report::outcome(options, &repo, &verdict, &forgotten.paths))
}

/// Fails unless HEAD has every Secret as it is here.
fn check_committed(options: &Options, repo: &Repo, tenants: &[Tenant], ui: &mut Ui) -> Result<()> {
    for tenant in tenants {
        repo.check_protected(&tenant.path)?;
        let (text, stake) = (Some(&tenant.text), "that token; revoke it");
        if encrypted::check_head(repo, &tenant.path, text, options.commit, stake, ui)? {
            return Err(Failure::failed(format!("cannot {FINISH} `{}`", tenant.path))
                .because("it is not committed")
                .hint(encrypted::commit_step(repo, &[&tenant.path], "Rotate the deploy token"))
                .into());
        }
    }
    Ok(())
}

fn record(repo: &Repo) -> Result<Record> {
    let root = repo.root();
    let text = encrypted::read(FINISH, Record::FILE, &root.join(Record::FILE))?;
    let none = || not_generated(&root, format!("`{}` does not exist", Record::FILE));
    Record::parse(text.ok_or_else(none)?.expose().to_owned())
}

/// The environments that have a pull Secret.
fn tenants<'a>(options: &Options, repo: &Repo, answers: &'a Answers) -> Result<Vec<Tenant<'a>>> {
    let named = scope::names("--env", &options.env)?;
    let deployed = scope::names("--deployed", &options.finish.deployed)?;
    let is_known = |name: &&_| answers.environments.iter().any(|one| one.name == **name);
    if let Some(name) = named.iter().chain(&deployed).find(|name| !is_known(name)) {
        let known: Vec<_> = answers.environments.iter().map(|one| one.name.to_string()).collect();
        return Err(Failure::usage(format!("there is no environment `{name}`"))
            .because(format!("there are: {}", known.join(", ")))
            .hint(format!("--env {}", known[0]))
            .into());
    }
    let mut tenants = Vec::new();
    for environment in answers.environments.iter() {
        let path = environment.secret_file(&answers.secret_name);
        let Some(text) = encrypted::read(FINISH, &path, &repo.root().join(&path))? else { continue };
        let manifest = Manifest::parse(text.expose());
        let manifest =
            manifest.map_err(|fault| Failure::failed(format!("cannot {FINISH} `{path}`")).because(fault))?;
        let provenance = manifest.provenance().clone();
        let name = manifest.name().to_owned();
        tenants.push(Tenant {
            environment,
            choice: answers.choice(environment),
            is_chosen: named.is_empty() || named.contains(&environment.name),
            is_vouched_for: deployed.contains(&environment.name),
            path,
            text,
            name,
            provenance,
            proofs: Vec::new(),
        });
    }
    Ok(tenants)
}

/// What was written.
#[derive(Default)]
struct Forgotten {
    paths: Vec<String>,
    commit: Option<String>,
}

/// Takes the tokens that are gone out of the Secrets' lists.
fn forget(options: &Options, repo: &Repo, verdict: &Verdict, ui: &mut Ui) -> Result<Forgotten> {
    let both = verdict.olds.iter().zip(&verdict.fates);
    let gone: Vec<Superseded> =
        both.filter(|(_, fate)| fate.is_gone()).map(|(old, _)| old.what.clone()).collect();
    if gone.is_empty() || options.run.dry_run {
        return Ok(Forgotten::default());
    }
    let mut changed: Vec<(&str, Secret)> = Vec::new();
    for tenant in &verdict.tenants {
        let cannot = |fault| Failure::failed(format!("cannot {FINISH} `{}`", tenant.path)).because(fault);
        let manifest = Manifest::parse(tenant.text.expose()).map_err(cannot)?;
        if let Some(rewritten) = manifest.forget(&gone).map_err(cannot)? {
            changed.push((&tenant.path, rewritten.text));
        }
    }
    if changed.is_empty() {
        return Ok(Forgotten::default());
    }
    if options.commit {
        transaction::mend_index(repo, ui)?;
    }
    let mut transaction = Transaction::begin(repo)?;
    for (path, text) in &changed {
        transaction.write(path, text.expose().as_bytes(), None)?;
        if options.commit {
            transaction.stage(path, text.expose().as_bytes(), false)?;
        }
    }
    let unchanged = || {
        verdict.tenants.iter().try_for_each(|tenant| {
            let file = repo.root().join(&tenant.path);
            encrypted::check_unchanged(FINISH, &tenant.path, &file, Some(tenant.text.expose()))
        })
    };
    let commit = transaction.finish(report::SUBJECT, unchanged)?;
    Ok(Forgotten { paths: changed.into_iter().map(|(path, _)| path.to_owned()).collect(), commit })
}
