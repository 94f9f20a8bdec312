//! One repository whose rotation is to be finished: the content of its files and the findings.

use super::super::{Options, found, scope};
use super::images::{self, Question};
use super::old::{self, SupersededToken};
use super::outcome::TokenOutcome;
use super::proof::{Proof, ProvedEnvironment};
use super::{FINISH, cluster, git};
use crate::answers::Answers;
use crate::commands::deploy_tokens::Journal;
use crate::commands::encrypted;
use crate::error::{Failure, Result};
use crate::git_crypt;
use crate::inspection::{Inspection, Scope};
use crate::pull_secret::Manifest;
use crate::repo::Repo;
use crate::ui::Ui;
use std::path::PathBuf;

/// A repository.
pub(super) struct FinishCase {
    /// The repository's name in token names and annotations.
    pub(super) name: String,
    pub(super) root: PathBuf,
    pub(super) answers: Answers,
    pub(super) tenants: Vec<ProvedEnvironment>,
    pub(super) old_tokens: Vec<SupersededToken>,
    /// Whether its journal has tokens of earlier runs.
    has_entries: bool,
    /// The images to try for the first proof.
    pub(super) questions: Vec<Question>,
    /// Whether its proofs could not be completed.
    pub(super) is_unproved: bool,
    /// The outcome of each old token, in order.
    pub(super) outcomes: Vec<TokenOutcome>,
}

impl FinishCase {
    /// Reads `repo`. Fails if an old token is listed and something is uncommitted.
    pub(super) fn read(options: &Options, repo: &Repo, ui: &mut Ui) -> Result<Self> {
        repo.check_key(git_crypt::FILTER)?;
        let record = encrypted::record(FINISH, &repo.root())?;
        let tenants = tenants(options, repo, &record.answers)?;
        let old_tokens = old::all(repo, &tenants, &record.answers.registry)?;
        let mut case = Self {
            name: found::name_of(Some(&record), &repo.root()),
            root: repo.root(),
            answers: record.answers,
            tenants,
            old_tokens,
            has_entries: !Journal::of(repo).entries()?.is_empty(),
            questions: Vec::new(),
            is_unproved: false,
            outcomes: Vec::new(),
        };
        // Without old tokens, only leftovers in GitLab remain to be handled.
        if !case.old_tokens.is_empty() {
            case.prepare(options, repo, ui)?;
        }
        Ok(case)
    }

    /// Collects the images to try before anything is proved. Fails unless everything is committed.
    pub(super) fn prepare(&mut self, options: &Options, repo: &Repo, ui: &mut Ui) -> Result<()> {
        check_committed(options, repo, &self.tenants, ui)?;
        self.questions = images::questions(&inspect(repo)?, &self.tenants);
        Ok(())
    }

    /// Whether every proof that was required for every environment succeeded.
    pub(super) fn is_proved(&self) -> bool {
        !self.is_unproved && self.tenants.iter().all(ProvedEnvironment::is_done)
    }

    /// Whether there is nothing to finish.
    pub(super) fn is_done(&self) -> bool {
        self.old_tokens.is_empty() && !self.has_entries
    }

    /// Whether GitLab must be asked although the old tokens stay.
    pub(super) fn has_entries(&self) -> bool {
        self.has_entries
    }

    /// The second and third proof of each environment.
    pub(super) fn prove(&self, options: &Options, repo: &Repo, ui: &Ui) -> Result<Vec<Vec<Proof>>> {
        let asked = cluster::prove(options, &inspect(repo)?, &self.tenants, &self.old_tokens, ui)?;
        let looked = git::prove(repo, &self.tenants, &self.old_tokens)?;
        Ok(asked.into_iter().zip(looked).map(|(asked, looked)| [asked, looked].concat()).collect())
    }

    /// Adds the results of [`Self::prove`].
    pub(super) fn add(&mut self, proofs: Vec<Vec<Proof>>) {
        for (tenant, proofs) in self.tenants.iter_mut().zip(proofs) {
            tenant.proofs.extend(proofs);
        }
    }

    /// The environments that were checked.
    pub(super) fn checked_environments(&self) -> impl Iterator<Item = &ProvedEnvironment> + Clone {
        self.tenants.iter().filter(|tenant| tenant.is_chosen && !tenant.proofs.is_empty())
    }
}

fn inspect(repo: &Repo) -> Result<Inspection> {
    Inspection::of(&Scope { repo: repo.root(), ..Scope::default() }, "rotate --finish")
}

/// Fails unless HEAD has every Secret in its current form.
fn check_committed(
    options: &Options,
    repo: &Repo,
    tenants: &[ProvedEnvironment],
    ui: &mut Ui,
) -> Result<()> {
    for tenant in tenants {
        repo.check_protected(&tenant.path)?;
        let (text, stake) = (Some(&tenant.text), "that token; revoke it");
        if encrypted::check_head(repo, &tenant.path, text, options.commit, stake, ui)? {
            return Err(Failure::failed(format!("cannot {FINISH} `{}`", tenant.path))
                .because("the rotation is not committed")
                .hint(encrypted::commit_step(repo, &[&tenant.path], "Rotate the deploy token"))
                .into());
        }
    }
    Ok(())
}

/// The environments that have a pull Secret.
fn tenants(options: &Options, repo: &Repo, answers: &Answers) -> Result<Vec<ProvedEnvironment>> {
    let named = scope::names("--env", &options.env)?;
    let deployed = scope::names("--deployed", &options.finish.deployed)?;
    let is_known = |name: &&_| answers.environments.iter().any(|one| one.name == **name);
    if let Some(name) = named.iter().chain(&deployed).find(|name| !is_known(name)) {
        let known: Vec<_> = answers.environments.iter().map(|one| one.name.to_string()).collect();
        return Err(Failure::usage(format!("environment `{name}` does not exist"))
            .because(format!("existing environments: {}", known.join(", ")))
            .hint(format!("--env {}", known[0]))
            .into());
    }
    let mut tenants = Vec::new();
    for environment in answers.environments.iter() {
        let path = environment.secret_file(&answers.secret_name);
        let Some(text) = encrypted::read(FINISH, &path, &repo.root().join(&path))? else {
            continue;
        };
        let manifest = Manifest::parse(text.expose());
        let manifest = manifest
            .map_err(|fault| Failure::failed(format!("cannot {FINISH} `{path}`")).because(fault))?;
        let provenance = manifest.provenance().clone();
        let name = manifest.name().to_owned();
        tenants.push(ProvedEnvironment {
            environment: environment.clone(),
            choice: answers.choice(environment).cloned(),
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
