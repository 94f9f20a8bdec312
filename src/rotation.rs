//! What a rotation makes of a repository's files: the new Secret file, and the `.makeinfra.yaml` that
//! follows it. Pure: reads and writes nothing.

use crate::answers::{Answer, Answers, Email, Expiry, ImageRef, Name, Record, RegistryKey, SecretType};
use crate::context::{Context, Payload};
use crate::error::{Failure, Result};
use crate::pull_secret::{self, DeployToken, DockerConfig, Manifest, Rewrite, SEVERAL, keyring};
use crate::secret::Secret;
use crate::templates;
use crate::yaml_edit;

/// The files as they are.
pub struct Files {
    /// `.makeinfra.yaml`, if the repository has one.
    pub record: Option<Record>,
    /// The place among the environments of the one that the Secret is for.
    pub place: usize,
    /// Where the Secret file is, or will be, below the top of the repository.
    pub path: String,
    /// The plain text of the Secret file; none where there is no such file yet.
    pub secret: Option<Secret>,
}

/// What the user wants changed beside the token.
pub struct Wishes {
    /// Another registry key.
    pub registry: Option<RegistryKey>,
    /// Another e-mail address.
    pub email: Option<Email>,
    /// The other type.
    pub kind: Option<SecretType>,
    /// The token's expiry, where the token source does not know it.
    pub expires_at: Option<Expiry>,
}

/// The files as they will be.
pub struct Plan {
    /// The new Secret file; none if it holds the token already.
    pub secret: Option<Secret>,
    /// What is different in it, a line each; never a value.
    pub changes: Vec<String>,
    /// The new `.makeinfra.yaml`, if it is to change.
    pub record: Option<String>,
}

impl Plan {
    /// Whether any file is to change.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.secret.is_some() || self.record.is_some()
    }
}

impl Files {
    /// The Deployment's image, as far as `.makeinfra.yaml` knows it.
    #[must_use]
    pub fn image(&self) -> Option<&ImageRef> {
        self.record.as_ref().map(|record| record.answers.image())
    }

    /// Fails if a rotation would, whatever the token. Else what deserves a warning.
    pub fn check(&self, wishes: &Wishes) -> Result<Vec<String>> {
        if let (Some(registry), Some(image)) = (&wishes.registry, self.image()) {
            pull_secret::check_registry(registry, image)?;
        }
        let mut warnings = Vec::new();
        let Some(text) = &self.secret else { return Ok(warnings) };
        let manifest = self.manifest(text)?;
        manifest.rotated_key(&self.rewrite(wishes)).map_err(|fault| self.refused(fault))?;
        if let Some(record) = &self.record {
            let answers = &record.answers;
            if manifest.name() != answers.secret_name.as_str() {
                warnings.push(format!(
                    "the Secret is not called `{}` any more: the Deployment must name it as the file does",
                    answers.secret_name
                ));
            }
            if wishes.registry.is_none() && !manifest.serves(answers.image()) {
                warnings.push(format!(
                    "no registry key of the Secret matches `{}`: the kubelet would pull without credentials; --registry {}",
                    answers.image().name(),
                    RegistryKey::for_image(answers.image())
                ));
            }
        }
        Ok(warnings)
    }

    /// The registry that the token is for.
    pub fn registry(&self, wishes: &Wishes) -> Result<RegistryKey> {
        if let Some(registry) = &wishes.registry {
            return Ok(registry.clone());
        }
        let recorded = self.record.as_ref().map(|record| record.answers.registry.clone());
        let held = match &self.secret {
            Some(text) => self
                .manifest(text)?
                .rotated_key(&self.rewrite(wishes))
                .map_err(|fault| self.refused(fault))?
                .and_then(|key| RegistryKey::parse(key).ok()),
            None => None,
        };
        let none = || Failure::usage("no registry is known").hint("--registry registry.gitlab.com");
        Ok(held.or(recorded).ok_or_else(none)?)
    }

    /// The files with `token` in them.
    pub fn rotate(&self, token: &DeployToken, wishes: &Wishes) -> Result<Plan> {
        let (secret, changes) = match &self.secret {
            None => (self.first(token, wishes)?, vec![format!("user name: {}", token.username())]),
            Some(text) => {
                let rotated = self.manifest(text)?.rotate(token, &self.rewrite(wishes));
                match rotated.map_err(|fault| self.refused(fault))? {
                    Some(rewritten) => (rewritten.text, rewritten.changes),
                    None => {
                        // A kill between the two files may have left the record behind.
                        let record = self.record.as_ref().map(|record| follow(record, wishes, text));
                        let record = record.transpose()?.flatten();
                        return Ok(Plan { secret: None, changes: Vec::new(), record });
                    }
                }
            }
        };
        let record =
            self.record.as_ref().map(|record| follow(record, wishes, &secret)).transpose()?.flatten();
        Ok(Plan { secret: Some(secret), changes, record })
    }

    /// The images of `deployed` that the kubelet would pull with the rotated entry first, each once; where there is
    /// none, the recorded one.
    pub fn images<'i>(
        &'i self,
        plan: &Plan,
        wishes: &Wishes,
        deployed: impl Iterator<Item = &'i ImageRef>,
    ) -> Result<Vec<&'i ImageRef>> {
        let key = self.registry(wishes)?;
        let Some(text) = plan.secret.as_ref().or(self.secret.as_ref()) else { return Ok(Vec::new()) };
        let manifest = self.manifest(text)?;
        let first = |image: &&ImageRef| {
            keyring::matching(manifest.config().keys(), image).first() == Some(&key.as_str())
        };
        let mut images: Vec<&ImageRef> = Vec::new();
        for image in deployed.filter(first) {
            if !images.contains(&image) {
                images.push(image);
            }
        }
        if images.is_empty() {
            images.extend(self.image());
        }
        Ok(images)
    }

    /// Whether the record is `committed` and what follows from `secret`, without edits of somebody's.
    #[must_use]
    pub fn only_followed(&self, committed: &str, secret: &Secret) -> bool {
        let nothing = Wishes { registry: None, email: None, kind: None, expires_at: None };
        let followed =
            Record::parse(committed.to_owned()).and_then(|record| follow(&record, &nothing, secret));
        let record = self.record.as_ref().map(|record| record.text.as_str());
        record.is_some() && followed.is_ok_and(|followed| followed.as_deref() == record)
    }

    /// The Secret file of a repository that was made without a token.
    fn first(&self, token: &DeployToken, wishes: &Wishes) -> Result<Secret> {
        let Some(record) = &self.record else {
            return Err(self.refused("there is neither a Secret file nor a `.makeinfra.yaml`").into());
        };
        let recorded = record.answers.clone();
        let answers = Answers {
            registry: wishes.registry.clone().unwrap_or(recorded.registry),
            email: wishes.email.clone().or(recorded.email),
            secret_type: wishes.kind.unwrap_or(recorded.secret_type),
            ..recorded
        };
        pull_secret::check_registry(&answers.registry, answers.image())?;
        let email = answers.email.as_ref().map(Email::as_str);
        let base64 = DockerConfig::new(&answers.registry, token, email).encode(answers.secret_type);
        let payload = Payload { base64: base64.expose(), expires_at: token.expires_at().map(Expiry::as_str) };
        Ok(templates::render_secret(&Context::from(&answers), self.place, payload)?.text)
    }

    fn manifest<'a>(&self, text: &'a Secret) -> Result<Manifest<'a>> {
        Ok(Manifest::parse(text.expose()).map_err(|fault| self.refused(fault))?)
    }

    fn rewrite<'a>(&'a self, wishes: &'a Wishes) -> Rewrite<'a> {
        Rewrite {
            recorded: self.record.as_ref().map(|record| &record.answers.registry),
            registry: wishes.registry.as_ref(),
            email: wishes.email.as_ref(),
            kind: wishes.kind,
        }
    }

    fn refused(&self, fault: &str) -> Failure {
        let path = &self.path;
        let failure = Failure::failed(format!("cannot rotate `{path}`")).because(fault);
        match fault {
            SEVERAL => failure.hint("name the one to rotate: --registry KEY"),
            // Nobody could make it anew without the answers.
            _ if self.record.is_none() => failure.hint(format!("mend it by hand: $EDITOR {path}")),
            _ => {
                failure.hint(format!("mend it by hand, or have it made anew: rm {path} && makeinfra rotate"))
            }
        }
    }
}

/// `.makeinfra.yaml` in step with the Secret file; none where it is so already.
fn follow(record: &Record, wishes: &Wishes, secret: &Secret) -> Result<Option<String>> {
    let cannot = |fault| Failure::failed(format!("cannot change `{}`", Record::FILE)).because(fault);
    let manifest = Manifest::parse(secret.expose()).map_err(cannot)?;
    let answers = &record.answers;
    let rewrite = Rewrite {
        registry: wishes.registry.as_ref(),
        recorded: Some(&answers.registry),
        ..Rewrite::default()
    };
    let key = manifest.rotated_key(&rewrite).map_err(cannot)?.unwrap_or(answers.registry.as_str());
    let held = [
        (Name::Registry, answers.registry.as_str(), Some(key)),
        (Name::Namespace, answers.environments.first.namespace.as_str(), manifest.namespace()),
        (Name::SecretType, answers.secret_type.as_str(), Some(manifest.kind().as_str())),
        (Name::Email, answers.email.as_ref().map_or("", Email::as_str), manifest.config().email(key)),
    ];
    let mut text = record.text.clone();
    for (name, recorded, held) in held {
        if let Some(held) = held.filter(|held| *held != recorded && name.check(held).is_ok()) {
            text = yaml_edit::set(&text, &["answers", name.as_str()], held).map_err(cannot)?.to_string();
        }
    }
    Ok((text != record.text).then_some(text))
}
