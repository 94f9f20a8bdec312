//! One pull Secret file and the changes that a rotation makes to it. Pure.

use crate::advice::Advice;
use crate::answers::{Answer, Answers, Email, Expiry, RegistryKey, SecretType};
use crate::context::Payload;
use crate::error::{Failure, Result};
use crate::opaque::{self, Kustomization};
use crate::pull_secret::{
    self, DeployToken, DockerConfig, Edit, Fault, Manifest, OWN, Rewrite, Rewritten, RotatedEntry,
    SEVERAL, keyring,
};
use crate::secret::Secret;
use crate::templates::TemplateSet;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// The pull Secret file of one environment.
pub struct SecretFile {
    /// Index of the environment.
    pub place: usize,
    /// Path below the top of the repository, whether or not the file exists.
    pub path: String,
    /// The plaintext; `None` if the file does not exist yet.
    pub text: Option<Secret>,
    /// Path and text of the kustomization in the file's directory; `None` if there is none.
    pub kustomization: Option<(String, Secret)>,
    /// The parsed text, cached on first use.
    manifest: OnceLock<std::result::Result<Manifest, Fault>>,
}

/// What the user wants changed besides the token.
#[derive(Default)]
pub struct RotateOverrides {
    /// The entry to rotate.
    pub entry: EntryChoice,
    /// A new e-mail address.
    pub email: Option<Email>,
    /// A new Secret type.
    pub kind: Option<SecretType>,
    /// The token's expiry, if the token source does not know it.
    pub expires_at: Option<Expiry>,
}

/// An entry of a pull secret.
#[derive(Default)]
pub enum EntryChoice {
    /// The project's own entry.
    #[default]
    Own,
    /// The entry with this registry key, or the project's own entry, which gets the key.
    Named(RegistryKey),
    /// The entry with this registry key, which may be new.
    Added(RegistryKey),
    /// The entry with this registry key, to be removed.
    Removed(RegistryKey),
}

impl EntryChoice {
    /// The registry key that the user typed; `None` for the project's own entry.
    #[must_use]
    pub fn typed(&self) -> Option<&RegistryKey> {
        match self {
            Self::Own => None,
            Self::Named(key) | Self::Added(key) | Self::Removed(key) => Some(key),
        }
    }
}

/// Changes to a Secret file.
pub struct SecretFileChange {
    /// The new text; `None` if the file holds the token already.
    pub text: Option<Secret>,
    /// Descriptions of the changes, one line each; never a value.
    pub changes: Vec<String>,
    /// The kustomization of the directory with the file added to its resources; `None` if it lists
    /// the file already.
    pub kustomization: Option<Secret>,
    /// The parsed new text, cached on first use.
    manifest: OnceLock<std::result::Result<Manifest, Fault>>,
}

impl SecretFileChange {
    /// A change to the Secret file alone.
    fn of(rewritten: Option<Rewritten>) -> Self {
        let manifest = OnceLock::new();
        let Some(Rewritten { text, manifest: parsed, changes }) = rewritten else {
            return Self { text: None, changes: Vec::new(), kustomization: None, manifest };
        };
        let manifest = OnceLock::from(Ok(parsed));
        Self { text: Some(text), changes, kustomization: None, manifest }
    }

    /// The file of a new Secret.
    fn new(text: Secret, changes: Vec<String>) -> Self {
        Self { text: Some(text), changes, kustomization: None, manifest: OnceLock::new() }
    }

    /// The parsed new text; `None` if the text does not change.
    fn manifest(&self) -> std::result::Result<Option<&Manifest>, Fault> {
        parsed(self.text.as_ref(), &self.manifest)
    }
}

impl SecretFile {
    /// The file with this `text`, of the environment with the index `place`.
    #[must_use]
    pub fn new(
        place: usize,
        path: String,
        text: Option<Secret>,
        kustomization: Option<(String, Secret)>,
    ) -> Self {
        Self { place, path, text, kustomization, manifest: OnceLock::new() }
    }

    /// The parsed manifest; `None` if the file does not exist yet.
    pub(super) fn manifest(&self) -> std::result::Result<Option<&Manifest>, Fault> {
        parsed(self.text.as_ref(), &self.manifest)
    }

    /// The parsed manifest once `change` is made; `None` if there is no file then.
    pub fn manifest_after<'c>(
        &'c self,
        change: &'c SecretFileChange,
    ) -> std::result::Result<Option<&'c Manifest>, Fault> {
        match change.manifest()? {
            None => self.manifest(),
            changed => Ok(changed),
        }
    }

    /// The registry of a token for this Secret; `answers` are those of the repository.
    pub fn registry(&self, answers: &Answers) -> Result<RegistryKey> {
        let held = SecretInRepo { answers: Some(answers), secret: self }
            .registry(&RotateOverrides::default())?;
        Ok(held.unwrap_or_else(|| answers.registry.clone()))
    }

    /// The text with `token`, or a new file's text; `None` if the file holds the token already.
    pub fn with_token(
        &self,
        answers: &Answers,
        templates: &TemplateSet,
        token: &DeployToken,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let one = SecretInRepo { answers: Some(answers), secret: self };
        let text = one.rotate(token, &RotateOverrides::default(), templates)?.text;
        Ok(text.map(|text| Zeroizing::new(text.expose().as_bytes().to_vec())))
    }
}

/// `text`, parsed on first use.
fn parsed<'c>(
    text: Option<&Secret>,
    cache: &'c OnceLock<std::result::Result<Manifest, Fault>>,
) -> std::result::Result<Option<&'c Manifest>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let manifest = cache.get_or_init(|| Manifest::parse(text.expose()));
    manifest.as_ref().map(Some).map_err(|fault| *fault)
}

/// The input of the pull Secret template; `base64` is the docker config with `token`.
#[must_use]
pub fn payload<'p>(base64: &'p str, token: &'p DeployToken) -> Payload<'p> {
    Payload {
        base64,
        expires_at: token.expires_at().map(Expiry::as_str),
        token: token.issued().map(|issued| &issued.token),
        token_owner: token.issued().map(|issued| issued.owner.as_str()),
        token_repositories: token.repositories(),
    }
}

/// A Secret file together with what is known about its repository.
pub(super) struct SecretInRepo<'f> {
    pub(super) answers: Option<&'f Answers>,
    pub(super) secret: &'f SecretFile,
}

impl<'f> SecretInRepo<'f> {
    /// Fails if a rotation would fail for any token; otherwise returns warnings.
    pub(super) fn check(&self, overrides: &RotateOverrides) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        let (Some(text), Some(manifest)) = (&self.secret.text, self.manifest()?) else {
            return self.check_missing(overrides).map(|()| warnings);
        };
        match &overrides.entry {
            EntryChoice::Removed(key) => {
                let removed = self.edit(text)?.remove(key, self.recorded());
                return removed.map(|_| warnings).map_err(|fault| self.refused(fault).into());
            }
            EntryChoice::Named(key) if manifest.entry(key).is_none() => self.check_match(key)?,
            EntryChoice::Added(key)
                if manifest
                    .entry(key)
                    .is_some_and(|found| manifest.own(self.recorded()) == Some(found)) =>
            {
                return Err(Failure::usage(
                    "`--add-registry` must differ from the project's own registry",
                )
                .hint(self.new_token_hint())
                .into());
            }
            _ => {}
        }
        manifest.rotated_key(&self.rewrite(overrides)).map_err(|fault| self.refused(fault))?;
        if let Some(answers) = self.answers {
            if manifest.name() != answers.secret_name.as_str() {
                warnings.push(format!(
                    "the name of the Secret is no longer `{}`: the Deployment must use the name in \
                     the file",
                    answers.secret_name
                ));
            }
            if !matches!(overrides.entry, EntryChoice::Named(_))
                && !manifest.serves(answers.image())
            {
                warnings.push(format!(
                    "no registry key in the Secret matches `{}`, so the kubelet would pull without \
                     credentials; --registry {}",
                    answers.image().name(),
                    RegistryKey::for_image(answers.image())
                ));
            }
        }
        Ok(warnings)
    }

    /// Fails unless a missing file can be created with these overrides.
    fn check_missing(&self, overrides: &RotateOverrides) -> Result<()> {
        match &overrides.entry {
            EntryChoice::Named(key) => self.check_match(key),
            EntryChoice::Added(_) => {
                let failure = Failure::failed(format!(
                    "pull secret `{}` does not exist yet",
                    self.secret.path
                ));
                Err(failure
                    .because("add the project's own token first")
                    .hint(self.new_token_hint())
                    .into())
            }
            EntryChoice::Own | EntryChoice::Removed(_) => Ok(()),
        }
    }

    /// Fails unless the kubelet would use `key` for the project's image.
    fn check_match(&self, key: &RegistryKey) -> Result<()> {
        let Some(answers) =
            self.answers.filter(|answers| !keyring::matches(key.as_str(), answers.image()))
        else {
            return Ok(());
        };
        let hint = Advice::from(format!("--registry {}", RegistryKey::for_image(answers.image())));
        Err(pull_secret::unmatched_registry()
            .hint(hint.aside(format!("or for an additional registry: --add-registry {key}")))
            .into())
    }

    fn recorded(&self) -> Option<&RegistryKey> {
        self.answers.map(|answers| &answers.registry)
    }

    /// The registry that the token is for; `None` if unknown.
    pub(super) fn registry(&self, overrides: &RotateOverrides) -> Result<Option<RegistryKey>> {
        if let Some(registry) = overrides.entry.typed() {
            return Ok(Some(registry.clone()));
        }
        let recorded = self.answers.map(|answers| answers.registry.clone());
        let held = match self.manifest()? {
            Some(manifest) => manifest
                .rotated_key(&self.rewrite(overrides))
                .map_err(|fault| self.refused(fault))?
                .and_then(|key| RegistryKey::parse(key).ok()),
            None => None,
        };
        Ok(held.or(recorded))
    }

    /// Expiry of the token that is replaced; `None` if the file does not say.
    pub(super) fn expiry(&self, overrides: &RotateOverrides) -> Option<String> {
        let manifest = self.secret.manifest().ok()??;
        manifest.expiry(manifest.rotated_key(&self.rewrite(overrides)).ok()??, self.recorded())
    }

    /// The file with `token` in it.
    pub(super) fn rotate(
        &self,
        token: &DeployToken,
        overrides: &RotateOverrides,
        templates: &TemplateSet,
    ) -> Result<SecretFileChange> {
        let kustomization = self.named()?;
        let Some(text) = &self.secret.text else {
            let changes = vec![format!("user name: {}", token.username())];
            let text = self.first(token, overrides, templates)?;
            return Ok(SecretFileChange { kustomization, ..SecretFileChange::new(text, changes) });
        };
        let rotated = self.edit(text)?.rotate(token, &self.rewrite(overrides));
        let rewritten = rotated.map_err(|fault| self.refused(fault))?;
        Ok(SecretFileChange { kustomization, ..SecretFileChange::of(rewritten) })
    }

    /// The file without the entry for `registry`.
    pub(super) fn without(&self, registry: &RegistryKey) -> Result<SecretFileChange> {
        let Some(text) = &self.secret.text else { return Ok(SecretFileChange::of(None)) };
        let removed = self.edit(text)?.remove(registry, self.recorded());
        Ok(SecretFileChange::of(removed.map_err(|fault| self.refused(fault))?))
    }

    /// The file with `expires_at` as the expiry of its token.
    pub(super) fn expiring(
        &self,
        expires_at: &Expiry,
        overrides: &RotateOverrides,
    ) -> Result<SecretFileChange> {
        let Some(text) = &self.secret.text else {
            let failure =
                Failure::failed(format!("pull secret `{}` does not exist yet", self.secret.path));
            return Err(failure.hint(self.new_token_hint()).into());
        };
        let expiring = self.edit(text)?.expire(expires_at, &self.rewrite(overrides));
        Ok(SecretFileChange::of(expiring.map_err(|fault| self.refused(fault))?))
    }

    /// The kustomization with the file added to its resources; `None` if it lists the file already.
    fn named(&self) -> Result<Option<Secret>> {
        let Some((path, text)) = &self.secret.kustomization else { return Ok(None) };
        let (dir, name) = self.secret.path.rsplit_once('/').unwrap_or(("", &self.secret.path));
        let cannot = |fault| {
            Failure::failed(format!("cannot change `{path}`"))
                .because(fault)
                .hint(Advice::edit(path))
        };
        let found = Kustomization::parse(text.expose()).map_err(cannot)?;
        if found.files(dir).contains(&self.secret.path) {
            return Ok(None);
        }
        let mut text = opaque::add_resource(text.expose(), name).map_err(cannot)?;
        Ok(Some(Secret::new(std::mem::take(&mut text))))
    }

    /// The first Secret file of a repository that was generated without a token.
    fn first(
        &self,
        token: &DeployToken,
        overrides: &RotateOverrides,
        templates: &TemplateSet,
    ) -> Result<Secret> {
        let Some(answers) = self.answers else {
            return Err(self.refused("neither a Secret file nor `.makeinfra.yaml` exists").into());
        };
        let recorded = answers.clone();
        let answers = Answers {
            registry: overrides.entry.typed().cloned().unwrap_or(recorded.registry),
            email: overrides.email.clone().or(recorded.email),
            secret_type: overrides.kind.unwrap_or(recorded.secret_type),
            ..recorded
        };
        pull_secret::check_registry(&answers.registry, answers.image())?;
        let email = answers.email.as_ref().map(Email::as_str);
        let base64 = DockerConfig::new(&answers.registry, token, email).encode(answers.secret_type);
        let payload = payload(base64.expose(), token);
        Ok(templates.render_secret(&answers, self.secret.place, payload)?.text)
    }

    /// The parsed manifest; `None` if the file does not exist yet.
    pub(super) fn manifest(&self) -> Result<Option<&'f Manifest>> {
        Ok(self.secret.manifest().map_err(|fault| self.refused(fault))?)
    }

    fn edit<'a>(&self, text: &'a Secret) -> Result<Edit<'a>> {
        Ok(Edit::of(text.expose()).map_err(|fault| self.refused(fault))?)
    }

    pub(super) fn rewrite<'a>(&self, overrides: &'a RotateOverrides) -> Rewrite<'a>
    where
        Self: 'a,
    {
        Rewrite {
            recorded: self.answers.map(|answers| &answers.registry),
            wanted: match &overrides.entry {
                EntryChoice::Own | EntryChoice::Removed(_) => RotatedEntry::Own,
                EntryChoice::Named(key) => RotatedEntry::Named(key),
                EntryChoice::Added(key) => RotatedEntry::Added(key),
            },
            email: overrides.email.as_ref(),
            kind: overrides.kind,
        }
    }

    /// The command that gives this Secret a new token, also if environments have different tokens.
    fn new_token_hint(&self) -> Advice {
        let chosen = self.answers.and_then(|answers| {
            let environment = answers.environments.iter().nth(self.secret.place)?;
            answers.choice(environment)
        });
        Advice::makeinfra("rotate").for_env(chosen)
    }

    pub(super) fn refused(&self, fault: &str) -> Failure {
        let path = &self.secret.path;
        let failure = Failure::failed(format!("cannot rotate `{path}`")).because(fault);
        match fault {
            OWN => failure.hint(self.new_token_hint().say(", to give it another token")),
            SEVERAL => failure.hint("select the registry to rotate: --registry KEY"),
            // Without the answers, the file cannot be generated again.
            _ if self.answers.is_none() => failure.hint(Advice::edit(path).why("fix it by hand")),
            _ => {
                let recreate = Advice::at_top("rm").arg(path).and(self.new_token_hint());
                failure.hint(recreate.why("fix it by hand, or recreate it"))
            }
        }
    }
}
