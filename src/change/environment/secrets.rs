//! The Secrets of a new environment: the pull Secret of the copied environment, and the others if
//! requested. Pure.

use super::super::{Bytes, Files, Plan, listed, not_edited, secret_names};
use super::{NewEnvironment, PullSecret, bytes, objects};
use crate::advice::Advice;
use crate::answers::{Answers, Environment};
use crate::context::{Context, Payload};
use crate::error::{Failure, Kind, Result};
use crate::git_crypt::{self, UNLOCK};
use crate::manifests;
use crate::opaque::{self, Listing};

impl NewEnvironment<'_> {
    pub(super) fn copy_secrets(
        &self,
        plan: &mut Plan,
        files: &Files,
        answers: &Answers,
        to: &Environment,
    ) -> Result<()> {
        let (like, name) = (&self.like.name, self.name);
        if !self.includes_secrets(files)? {
            if !matches!(self.options.pull_secret, PullSecret::Copied) {
                return Err(Failure::failed(format!("cannot give {name} its own deploy token"))
                    .because(format!("the overlay of {like} includes no directory of Secrets"))
                    .hint(Advice::at_top(format!("cat {}/kustomization.yaml", self.like.overlay())))
                    .into());
            }
            plan.notes.push(format!("the overlay of {like} includes no Secrets: {name} gets none"));
            return Ok(());
        }
        let from = &self.like.secrets;
        let listing = listed(files, from)?;
        let pull_secret = self.like.secret_file(&answers.secret_name);
        let copied = files.bytes(&pull_secret)?;
        if copied.is_some_and(|bytes| git_crypt::is_encrypted(bytes)) {
            return Err(Failure::failed(format!("cannot copy `{pull_secret}`"))
                .kind(Kind::Locked)
                .because("it is encrypted, and this clone is locked")
                .hint(Advice::at_top(UNLOCK))
                .into());
        }
        let (origin, content) = match (&self.options.pull_secret, copied) {
            (PullSecret::Own(bytes), _) => ("its own".to_owned(), Some(bytes)),
            (PullSecret::Awaited, _) => {
                let path = to.secret_file(&answers.secret_name);
                ("its own".to_owned(), files.bytes(&path)?.or(copied))
            }
            (PullSecret::Copied, Some(bytes)) => (format!("copied from {like}"), Some(bytes)),
            (PullSecret::Copied, None) => ("none yet".to_owned(), None),
        };
        plan.facts.push(("token", origin));
        if let Some(bytes) = content {
            plan.create(files, &to.secret_file(&answers.secret_name), bytes.clone(), false)?;
        }
        let others =
            listing.as_ref().map(|listing| secret_names(listing, &pull_secret)).unwrap_or_default();
        let names_with_keys = |others: &[(String, Vec<String>)]| {
            let one = |(name, keys): &(String, Vec<String>)| {
                if keys.is_empty() {
                    format!("`{name}`")
                } else {
                    format!("`{name}` ({})", keys.join(", "))
                }
            };
            others.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        if let Some(listing) = listing.as_ref().filter(|_| self.options.with_secrets) {
            if !others.is_empty() {
                plan.facts.push(("secrets", names_with_keys(&others).replace('`', "")));
            }
            return self.copy_others(plan, files, listing, &pull_secret, to, content.is_some());
        }
        let payload = content.is_some().then_some(Payload::bare(""));
        let mut payloads = vec![None; answers.environments.rest.len()];
        payloads.push(payload);
        let path = manifests::kustomization::generated(&to.secrets);
        let fresh = self.made_from.templates.render(answers, &payloads)?;
        if let Some(file) = fresh.iter().find(|file| file.path == path) {
            plan.create(files, &path, bytes(file.text.expose()), false)?;
        }
        let (used, unused): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(secret, _)| self.is_used(files, secret));
        if !used.is_empty() {
            plan.notes.push(format!(
                "the manifests use {}, which {name} will lack: set each value with `makeinfra \
                 secret set`, or copy all with `--with-secrets`",
                names_with_keys(&used)
            ));
        }
        plan.lacking = used;
        if !unused.is_empty() {
            plan.notes
                .push(format!("not copied without `--with-secrets`: {}", names_with_keys(&unused)));
        }
        Ok(())
    }

    /// Copies every file that the kustomization of the other environment's Secrets lists, and that
    /// kustomization. With `names_pull_secret`, the copy also lists the pull Secret.
    fn copy_others(
        &self,
        plan: &mut Plan,
        files: &Files,
        listing: &Listing,
        pull_secret: &str,
        to: &Environment,
        names_pull_secret: bool,
    ) -> Result<()> {
        let from = &self.like.secrets;
        let is_to_be_named = names_pull_secret && !listing.files().any(|path| path == pull_secret);
        let mut paths: Vec<_> =
            listing.files().filter(|path| *path != pull_secret && *path != listing.path).collect();
        paths.dedup();
        // The kustomization comes last, because it lists the others.
        for path in paths.into_iter().chain([listing.path.as_str()]) {
            let below = path.strip_prefix(from.as_str()).filter(|rest| rest.starts_with('/'));
            let content = files.bytes(path)?;
            let (Some(below), Some(bytes)) = (below, content) else {
                return Err(Failure::failed("cannot copy the Secrets")
                    .because(format!(
                        "`{}` names `{path}`, which is not a file under `{from}`",
                        listing.path
                    ))
                    .hint(Advice::makeinfra(format!("env add {}", self.name)))
                    .into());
            };
            let mut bytes = bytes.clone();
            if is_to_be_named && path == listing.path {
                let name = pull_secret.strip_prefix(&format!("{from}/")).unwrap_or(pull_secret);
                let text = files.text(path)?.unwrap_or_default();
                let mut named = opaque::add_resource(text, name)
                    .map_err(|refusal| not_edited(path, refusal))?;
                bytes = Bytes::new(std::mem::take(&mut *named).into_bytes());
            }
            plan.create(files, &format!("{}{below}", to.secrets), bytes, false)?;
        }
        Ok(())
    }

    /// Whether the copied overlay includes the directory of its Secrets.
    fn includes_secrets(&self, files: &Files) -> Result<bool> {
        Ok(super::super::resources(files, &self.like.overlay())?.contains(&self.like.secrets))
    }

    /// Whether a manifest of the base or of the copied overlay references the Secret.
    fn is_used(&self, files: &Files, secret: &str) -> bool {
        [Context::BASE.to_owned(), self.like.overlay()].iter().any(|dir| {
            objects::below(files, dir)
                .iter()
                .any(|(_, document)| manifests::named_secrets(document).contains(secret))
        })
    }
}
