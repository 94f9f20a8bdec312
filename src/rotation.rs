//! The file changes of a rotation: the new Secret files, and `.makeinfra.yaml` updated to match.
//! Pure: reads and writes nothing.

mod secret_file;

use crate::answers::{Answer, Email, EnvironmentName, Expiry, ImageRef, Name, Record, RegistryKey};
use crate::error::{Failure, Result};
use crate::pull_secret::{DeployToken, Issued, Manifest, Rewrite, RotatedEntry, keyring};
use crate::templates::TemplateSet;
use crate::yaml_edit;
use secret_file::SecretInRepo;

pub use secret_file::{EntryChoice, RotateOverrides, SecretFile, SecretFileChange, payload};

/// The current files.
pub struct Files {
    /// `.makeinfra.yaml`; `None` if the repository does not have one.
    pub record: Option<Record>,
    /// The templates for a missing Secret file.
    pub templates: TemplateSet,
    /// The Secret files that get the token, at least one.
    pub secrets: Vec<SecretFile>,
}

/// The files after the rotation.
pub struct Plan {
    /// The change to each Secret file, in the order of [`Files::secrets`].
    pub secrets: Vec<SecretFileChange>,
    /// The new `.makeinfra.yaml`; `None` if it does not change.
    pub record: Option<String>,
}

impl Plan {
    /// Whether any file changes.
    #[must_use]
    pub fn writes(&self) -> bool {
        let names = |change: &SecretFileChange| change.kustomization.is_some();
        self.record.is_some() || self.rotates() || self.secrets.iter().any(names)
    }

    /// Whether any Secret file changes.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.secrets.iter().any(|change| change.text.is_some())
    }

    /// Descriptions of all changes, without duplicates.
    #[must_use]
    pub fn changes(&self) -> Vec<&String> {
        let mut all: Vec<&String> = Vec::new();
        for line in self.secrets.iter().flat_map(|change| &change.changes) {
            if !all.contains(&line) {
                all.push(line);
            }
        }
        all
    }
}

impl Files {
    /// The image of the project's own component; `None` if `.makeinfra.yaml` does not know it.
    #[must_use]
    pub fn image(&self) -> Option<&ImageRef> {
        self.record.as_ref().map(|record| record.answers.image())
    }

    /// Whether the Secret file with the index `at` has another token of the project's own than
    /// `committed`, its content in HEAD.
    #[must_use]
    pub fn differs_from(&self, at: usize, committed: &str) -> bool {
        let Some(one) = self.each().nth(at) else { return false };
        if one.secret.text.as_ref().is_some_and(|text| text.expose() == committed) {
            return false;
        }
        let (Ok(Some(now)), Ok(before)) = (one.manifest(), Manifest::parse(committed)) else {
            return false;
        };
        let overrides = RotateOverrides::default();
        let own = |manifest: &Manifest| {
            manifest.rotated_key(&one.rewrite(&overrides)).ok().flatten().map(str::to_owned)
        };
        match (own(now), own(&before)) {
            (Some(now_key), Some(before_key)) => {
                !now.config().shares(&now_key, before.config(), &before_key)
            }
            _ => false,
        }
    }

    /// Expiry of the token that is replaced; `None` if the Secrets do not say.
    #[must_use]
    pub fn expiry(&self, overrides: &RotateOverrides) -> Option<String> {
        self.each().filter_map(|one| one.expiry(overrides)).min()
    }

    /// Origin of the token in the Secrets, according to the first one that has it.
    #[must_use]
    pub fn issued(&self) -> Option<Issued> {
        self.each().find_map(|one| {
            let manifest = one.manifest().ok()??;
            manifest.provenance().issued.clone()
        })
    }

    /// The repositories that share the token in the Secrets; empty if the token is for this
    /// repository alone.
    #[must_use]
    pub fn sharing(&self) -> Vec<String> {
        let found = self.each().find_map(|one| {
            let repositories = one.manifest().ok()??.provenance().repositories.clone();
            Some(repositories).filter(|names| !names.is_empty())
        });
        found.unwrap_or_default()
    }

    /// The user name of the token that is replaced; `None` if there is no such token.
    pub fn username(&self, overrides: &RotateOverrides) -> Result<Option<String>> {
        let Some((manifest, key)) = self.first(overrides)? else { return Ok(None) };
        Ok(manifest.config().username(key))
    }

    /// Whether `other` has the same token to be replaced.
    pub fn shares(&self, other: &Self, overrides: &RotateOverrides) -> Result<bool> {
        let (Some((own, own_key)), Some((theirs, their_key))) =
            (self.first(overrides)?, other.first(overrides)?)
        else {
            return Ok(false);
        };
        Ok(own.config().shares(own_key, theirs.config(), their_key))
    }

    /// The first existing Secret, with the key of the entry to rotate. All chosen Secrets share
    /// their token.
    fn first(&self, overrides: &RotateOverrides) -> Result<Option<(&Manifest, &str)>> {
        for one in self.each() {
            let Some(manifest) = one.manifest()? else { continue };
            let key = manifest
                .rotated_key(&one.rewrite(overrides))
                .map_err(|fault| one.refused(fault))?;
            return Ok(key.map(|key| (manifest, key)));
        }
        Ok(None)
    }

    /// Restricts the rotation to the Secrets of the environments `names`. Without names, requires
    /// that all Secrets share their credentials.
    pub fn choose(&mut self, names: &[EnvironmentName], overrides: &RotateOverrides) -> Result<()> {
        let known: Vec<_> =
            self.record.iter().flat_map(|record| record.answers.environments.iter()).collect();
        let titles: Vec<String> = known.iter().map(|one| one.name.to_string()).collect();
        let wanted: Vec<_> =
            names.iter().map(|name| known.iter().position(|one| one.name == *name)).collect();
        if wanted.contains(&None) {
            let unknown =
                || Failure::usage("`--env` is for a repository with environments").hint("omit it");
            return Err(self.record.as_ref().map_or_else(unknown, Record::no_environment).into());
        }
        if !wanted.is_empty() {
            self.secrets.retain(|secret| wanted.contains(&Some(secret.place)));
            return Ok(());
        }
        // An entry is added to or removed from all environments.
        if self.secrets.len() < 2
            || matches!(overrides.entry, EntryChoice::Added(_) | EntryChoice::Removed(_))
        {
            return Ok(());
        }
        let groups = self.groups(overrides)?;
        if groups.len() < 2 {
            return Ok(());
        }
        let text = |group: &Vec<usize>, between: &str| {
            group.iter().map(|place| titles[*place].clone()).collect::<Vec<_>>().join(between)
        };
        let listed: Vec<_> = groups.iter().map(|group| text(group, ", ")).collect();
        Err(Failure::usage("the environments have different deploy tokens; `--env` is required")
            .because(listed.join("; "))
            .hint(format!("--env {}", text(&groups[0], " --env ")))
            .into())
    }

    /// The environments that have a pull Secret, grouped by token, each group with the token's
    /// expiry; `None` if that is unknown.
    pub fn lifetimes(
        &self,
        overrides: &RotateOverrides,
    ) -> Result<Vec<(Vec<usize>, Option<Expiry>)>> {
        let end = |places: &Vec<usize>| {
            let own = self.each().filter(|one| places.contains(&one.secret.place));
            let ends = own.filter_map(|one| Expiry::parse(&one.expiry(overrides)?).ok());
            ends.min_by_key(Expiry::instant)
        };
        Ok(self
            .groups(overrides)?
            .into_iter()
            .map(|places| (end(&places), places))
            .map(|(end, all)| (all, end))
            .collect())
    }

    /// Indices of the environments, grouped by shared credentials.
    fn groups(&self, overrides: &RotateOverrides) -> Result<Vec<Vec<usize>>> {
        let mut groups: Vec<(&Manifest, &str, Vec<usize>)> = Vec::new();
        for one in self.each() {
            let Some(manifest) = one.manifest()? else { continue };
            let key = manifest
                .rotated_key(&one.rewrite(overrides))
                .map_err(|fault| one.refused(fault))?
                .unwrap_or_default();
            let same = groups.iter_mut().find(|(known, known_key, _)| {
                known.config().shares(known_key, manifest.config(), key)
            });
            match same {
                Some((_, _, places)) => places.push(one.secret.place),
                None => groups.push((manifest, key, vec![one.secret.place])),
            }
        }
        Ok(groups.into_iter().map(|(_, _, places)| places).collect())
    }

    /// Fails if a rotation would fail for any token; otherwise returns warnings.
    pub fn check(&self, overrides: &RotateOverrides) -> Result<Vec<String>> {
        let mut warnings: Vec<String> = Vec::new();
        for one in self.each() {
            for warning in one.check(overrides)? {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(warnings)
    }

    /// The registry that the token is for.
    pub fn registry(&self, overrides: &RotateOverrides) -> Result<RegistryKey> {
        let none = || {
            Failure::usage("cannot determine the registry").hint("--registry registry.gitlab.com")
        };
        Ok(self.each().next().ok_or_else(none)?.registry(overrides)?.ok_or_else(none)?)
    }

    /// The files with `token` in them.
    pub fn rotate(&self, token: &DeployToken, overrides: &RotateOverrides) -> Result<Plan> {
        let mut secrets = Vec::new();
        let mut followed: Option<Record> = None;
        for one in self.each() {
            let change = one.rotate(token, overrides, &self.templates)?;
            // Updated even if the Secret did not change: a kill between two files may have left the
            // record behind.
            if let Some(record) = followed.as_ref().or(self.record.as_ref())
                && let Some(text) = follow(record, one.secret, &change, overrides)?
            {
                followed = Some(Record::parse(text)?);
            }
            secrets.push(change);
        }
        Ok(Plan { secrets, record: followed.map(|record| record.text) })
    }

    /// The files without the entry for `registry`.
    pub fn remove(&self, registry: &RegistryKey) -> Result<Plan> {
        let secrets = self.each().map(|one| one.without(registry)).collect::<Result<_>>()?;
        Ok(Plan { secrets, record: None })
    }

    /// The files with `expires_at` as the expiry of their tokens.
    pub fn expire(&self, expires_at: &Expiry, overrides: &RotateOverrides) -> Result<Plan> {
        let secrets =
            self.each().map(|one| one.expiring(expires_at, overrides)).collect::<Result<_>>()?;
        Ok(Plan { secrets, record: None })
    }

    /// The images of `deployed` that the kubelet would pull with the rotated entry first, without
    /// duplicates; if there are none, the recorded image.
    pub fn images<'i>(
        &'i self,
        plan: &Plan,
        overrides: &RotateOverrides,
        deployed: &[&'i ImageRef],
    ) -> Result<Vec<&'i ImageRef>> {
        let mut images: Vec<&ImageRef> = Vec::new();
        let mut is_own = false;
        for (one, change) in self.each().zip(&plan.secrets) {
            let manifest = one.secret.manifest_after(change).map_err(|fault| one.refused(fault))?;
            let Some(manifest) = manifest else { continue };
            let key = self.registry(overrides)?;
            let key = manifest.entry(&key).unwrap_or(key.as_str());
            let first = |image: &&ImageRef| {
                keyring::matching(manifest.config().keys(), image).first() == Some(&key)
            };
            is_own |= manifest.own(self.record.as_ref().map(|record| &record.answers.registry))
                == Some(key);
            for image in deployed.iter().copied().filter(first) {
                if !images.contains(&image) {
                    images.push(image);
                }
            }
        }
        if images.is_empty() && is_own {
            images.extend(self.image());
        }
        Ok(images)
    }

    /// The record `committed` from HEAD, updated to the Secret files that `plan` leaves; `None` if
    /// nothing changes. Uncommitted edits by users are not included.
    pub fn followed(
        &self,
        committed: Record,
        plan: &Plan,
        overrides: &RotateOverrides,
    ) -> Result<Option<String>> {
        let (before, mut record) = (committed.text.clone(), committed);
        for (one, change) in self.each().zip(&plan.secrets) {
            if let Some(text) = follow(&record, one.secret, change, overrides)? {
                record = Record::parse(text)?;
            }
        }
        Ok((record.text != before).then_some(record.text))
    }

    /// Whether the record is `committed` updated to the Secret files that `plan` leaves, without
    /// edits by users.
    #[must_use]
    pub fn only_followed(&self, committed: &str, plan: &Plan) -> bool {
        let Some(record) = self.record.as_ref().filter(|record| record.text != committed) else {
            return false;
        };
        let Ok(mut followed) = Record::parse(committed.to_owned()) else { return false };
        for (one, change) in self.each().zip(&plan.secrets) {
            match follow(&followed, one.secret, change, &RotateOverrides::default()) {
                Ok(Some(text)) => match Record::parse(text) {
                    Ok(next) => followed = next,
                    Err(_) => return false,
                },
                Ok(None) => {}
                Err(_) => return false,
            }
        }
        followed.text == record.text
    }

    fn each(&self) -> impl Iterator<Item = SecretInRepo<'_>> {
        let answers = self.record.as_ref().map(|record| &record.answers);
        self.secrets.iter().map(move |secret| SecretInRepo { answers, secret })
    }
}

/// `.makeinfra.yaml` updated to the Secret file `secret` with its `change`; `None` if it is up to
/// date. Settings that all environments share follow the first one.
fn follow(
    record: &Record,
    secret: &SecretFile,
    change: &SecretFileChange,
    overrides: &RotateOverrides,
) -> Result<Option<String>> {
    if secret.place != 0 {
        return Ok(None);
    }
    let cannot =
        |fault| Failure::failed(format!("cannot change `{}`", Record::FILE)).because(fault);
    let Some(manifest) = secret.manifest_after(change).map_err(cannot)? else { return Ok(None) };
    let answers = &record.answers;
    let is_held = manifest.config().keys().any(|key| key == answers.registry.as_str());
    let own = match &overrides.entry {
        EntryChoice::Named(key) if !is_held => Some(key.as_str()),
        // The new entry was added to an existing one, which the record may not have.
        EntryChoice::Added(added) if !is_held => {
            manifest.config().keys().find(|key| Some(*key) != manifest.entry(added))
        }
        _ => None,
    };
    let rewrite = Rewrite {
        wanted: RotatedEntry::Own,
        recorded: Some(&answers.registry),
        ..Rewrite::default()
    };
    let key = match own {
        Some(key) => key,
        None => {
            manifest.rotated_key(&rewrite).map_err(cannot)?.unwrap_or(answers.registry.as_str())
        }
    };
    let email = manifest.config().email(key);
    let mut text = record.text.clone();
    for (name, recorded, held) in [
        (Name::Registry, answers.registry.as_str(), Some(key)),
        (Name::SecretType, answers.secret_type.as_str(), Some(manifest.kind().as_str())),
        (Name::Email, answers.email.as_ref().map_or("", Email::as_str), email.as_deref()),
    ] {
        if let Some(held) = held.filter(|held| *held != recorded && name.check(held).is_ok()) {
            text = yaml_edit::set(&text, &["answers", name.as_str()], held)
                .map_err(cannot)?
                .to_string();
        }
    }
    Ok((text != record.text).then_some(text))
}
