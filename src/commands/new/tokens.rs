//! The deploy tokens of a new repository: one for all environments, and individual ones.

use super::{Options, Sources};
use crate::advice::Advice;
use crate::answers::{Answers, Email, EnvironmentName, Expiry, ImageRef, Name};
use crate::commands::sign_in::{self, SignInCheck};
use crate::credentials::Source;
use crate::error::{Failure, Result};
use crate::pull_secret::{DeployToken, DockerConfig, keyring};
use crate::questions::Given;
use crate::rotation::payload;
use crate::templates::{File, TemplateSet};
use crate::ui::Ui;

/// The tokens, and which environment has which.
pub(super) struct Tokens {
    tokens: Vec<DeployToken>,
    /// For each environment the index of its token; `None` if it has none.
    of: Vec<Option<usize>>,
}

impl Tokens {
    /// Reads the tokens, unless none are wanted or a dry run can do without.
    pub(super) fn read(
        options: &Options,
        sources: Option<Sources>,
        given: &Given,
        answers: &Answers,
        ui: &mut Ui,
    ) -> Result<Self> {
        let names: Vec<_> = answers.environments.iter().map(|one| &one.name).collect();
        let mut found = Self { tokens: Vec::new(), of: vec![None; names.len()] };
        let Some(Sources { common, own }) = sources else { return Ok(found) };
        let mut wanted: Vec<(Vec<usize>, Source, Option<Expiry>)> = Vec::new();
        let mut left: Vec<usize> = (0..names.len()).collect();
        for (name, source) in own {
            let Some(place) = names.iter().position(|known| **known == name) else { continue };
            left.retain(|other| *other != place);
            wanted.push((vec![place], source, given.of(&name, Name::ExpiresAt)?));
        }
        check_expiries(given, &names, &left)?;
        if !left.is_empty() {
            wanted.insert(0, (left, common, given.get(Name::ExpiresAt)?));
        }
        for (places, source, expires_at) in wanted {
            if options.run.dry_run && !source.missing().is_empty() {
                continue;
            }
            let (image, is_asked) = (Some(answers.image()), options.check.check);
            let token = source.read(&answers.registry, image, is_asked, expires_at, ui)?;
            for place in places {
                found.of[place] = Some(found.tokens.len());
            }
            found.tokens.push(token);
        }
        Ok(found)
    }

    /// Uses `token` for all environments of `answers`.
    pub(super) fn all(token: DeployToken, answers: &Answers) -> Self {
        Self { tokens: vec![token], of: vec![Some(0); answers.environments.iter().count()] }
    }

    /// Adapts to `answers` that changed after the tokens were read: all environments share the
    /// token that was asked for.
    pub(super) fn follow(&mut self, answers: &Answers) {
        let number = answers.environments.iter().count();
        if self.of.len() != number {
            self.of = vec![self.of.first().copied().flatten(); number];
        }
    }

    /// Tries each token at its registry, if requested. Returns the answer about the last one.
    pub(super) fn check(
        &self,
        options: &Options,
        answers: &Answers,
        ui: &mut Ui,
    ) -> Result<Option<SignInCheck>> {
        let images = images(answers);
        let mut checked = None;
        if images.is_empty() {
            return Ok(None);
        }
        let again = again(answers).with("--check");
        for token in &self.tokens {
            checked = sign_in::check(&options.check, token, &images, &again, ui)?;
        }
        Ok(checked)
    }

    /// Renders the whole repository.
    pub(super) fn render(&self, answers: &Answers) -> Result<Vec<File>> {
        let email = answers.email.as_ref().map(Email::as_str);
        let encoded: Vec<_> = self
            .tokens
            .iter()
            .map(|token| {
                DockerConfig::new(&answers.registry, token, email).encode(answers.secret_type)
            })
            .collect();
        let payload = |place: usize| payload(encoded[place].expose(), &self.tokens[place]);
        let payloads: Vec<_> = self.of.iter().map(|place| place.map(payload)).collect();
        TemplateSet::embedded().render(answers, &payloads)
    }

    /// The user names, without duplicates.
    pub(super) fn usernames(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for token in &self.tokens {
            let name = token.username().to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The expiries of the tokens, without duplicates; with their environments if there are
    /// several.
    pub(super) fn expiries(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for token in &self.tokens {
            let expiry = token.expires_at().map_or("unknown", Expiry::as_str);
            let shown = match self.tokens.len() {
                1 => expiry.to_owned(),
                _ => format!("{}: {expiry}", token.username()),
            };
            if !all.contains(&shown) {
                all.push(shown);
            }
        }
        all
    }
}

/// The images that are pulled with the token of `answers`.
pub(super) fn images(answers: &Answers) -> Vec<&ImageRef> {
    let mut images = Vec::new();
    for component in answers.components.iter().filter(|component| !component.is_public()) {
        // Images in other registries do not need this token.
        if !images.contains(&&component.image)
            && keyring::matches(answers.registry.as_str(), &component.image)
        {
            images.push(&component.image);
        }
    }
    images
}

/// The command to repeat: there is no repository yet in which a token could be rotated.
pub(super) fn again(answers: &Answers) -> Advice {
    let project = Advice::makeinfra("new").arg(answers.project.as_str());
    project.option("--image", answers.image().to_string())
}

/// Fails if an environment has its own expiry but no token.
fn check_expiries(given: &Given, names: &[&EnvironmentName], without: &[usize]) -> Result<()> {
    let mut sharing = without.iter().map(|place| names[*place]);
    let lone = sharing.find(|name| given.has_of(name, Name::ExpiresAt));
    match lone {
        Some(name) => Err(Failure::usage(format!(
            "`--expires-at` requires a token, but `{name}` has none of its own"
        ))
        .hint(format!("--token-file {name}=FILE, or --expires-at DATE for the shared token"))
        .into()),
        None => Ok(()),
    }
}
