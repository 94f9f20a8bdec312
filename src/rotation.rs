//! What a rotation makes of a repository's files: the new Secret file, and the `.makeinfra.yaml` that
//! follows it. Pure: reads and writes nothing.

use crate::answers::{
    Answer, Answers, Email, EnvironmentName, Expiry, ImageRef, Name, Record, RegistryKey, SecretType,
};
use crate::context::{Context, Payload};
use crate::error::{Failure, Result};
use crate::opaque::{self, Kustomization};
use crate::pull_secret::{self, DeployToken, DockerConfig, Manifest, Rewrite, SEVERAL, keyring};
use crate::secret::Secret;
use crate::templates;
use crate::yaml_edit;

/// The files as they are.
pub struct Files {
    /// `.makeinfra.yaml`, if the repository has one.
    pub record: Option<Record>,
    /// The Secret files that are to hold the token, at least one.
    pub secrets: Vec<SecretFile>,
}

/// A file with a pull secret, that of one environment.
pub struct SecretFile {
    /// The place of its environment among all.
    pub place: usize,
    /// Where it is, or will be, below the top of the repository.
    pub path: String,
    /// Its plain text; `None` if there is no such file yet.
    pub text: Option<Secret>,
    /// The kustomization of its directory: path and text; `None` if there is none.
    pub kustomization: Option<(String, Secret)>,
}

/// What the user wants changed beside the token.
#[derive(Default)]
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
    /// What becomes of each Secret file, in their order.
    pub secrets: Vec<Change>,
    /// The new `.makeinfra.yaml`, if it is to change.
    pub record: Option<String>,
}

/// What becomes of a Secret file.
pub struct Change {
    /// Its new text; none if it holds the token already.
    pub text: Option<Secret>,
    /// What is different in it, a line each; never a value.
    pub changes: Vec<String>,
    /// The kustomization of its directory with the file among its resources; `None` if it names the file already.
    pub kustomization: Option<Secret>,
}

impl Change {
    /// The size of the new text in bytes; none where the file stays.
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        self.text.as_ref().map(|text| text.expose().len())
    }
}

impl Plan {
    /// Whether any file is to change.
    #[must_use]
    pub fn writes(&self) -> bool {
        let names = |change: &Change| change.kustomization.is_some();
        self.record.is_some() || self.rotates() || self.secrets.iter().any(names)
    }

    /// Whether any Secret file is to change.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.secrets.iter().any(|change| change.text.is_some())
    }

    /// What is different, each once.
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
    /// The image of the project's own component, as far as `.makeinfra.yaml` knows it.
    #[must_use]
    pub fn image(&self) -> Option<&ImageRef> {
        self.record.as_ref().map(|record| record.answers.image())
    }

    /// Leaves the Secrets of the environments called `names`; without names those that share their credentials, if
    /// that is all of them.
    pub fn choose(&mut self, names: &[EnvironmentName]) -> Result<()> {
        let known: Vec<_> =
            self.record.iter().flat_map(|record| record.answers.environments.iter()).collect();
        let titles: Vec<String> = known.iter().map(|one| one.name.to_string()).collect();
        let wanted: Vec<_> =
            names.iter().map(|name| known.iter().position(|one| one.name == *name)).collect();
        if wanted.contains(&None) {
            let unknown =
                || Failure::usage("`--env` is for a repository with environments").hint("leave it out");
            return Err(self.record.as_ref().map_or_else(unknown, Record::no_environment).into());
        }
        if !wanted.is_empty() {
            self.secrets.retain(|secret| wanted.contains(&Some(secret.place)));
            return Ok(());
        }
        if self.secrets.len() < 2 {
            return Ok(());
        }
        let groups = self.groups()?;
        if groups.len() < 2 {
            return Ok(());
        }
        let text = |group: &Vec<usize>, between: &str| {
            group.iter().map(|place| titles[*place].clone()).collect::<Vec<_>>().join(between)
        };
        let listed: Vec<_> = groups.iter().map(|group| text(group, ", ")).collect();
        Err(Failure::usage("the environments have different deploy tokens: which is the new one for?")
            .because(listed.join("; "))
            .hint(format!("--env {}", text(&groups[0], " --env ")))
            .into())
    }

    /// The places of the environments, by the credentials that they share.
    fn groups(&self) -> Result<Vec<Vec<usize>>> {
        let mut groups: Vec<(Manifest, String, Vec<usize>)> = Vec::new();
        for one in self.each() {
            let Some(text) = &one.secret.text else { continue };
            let manifest = one.manifest(text)?;
            let key = manifest
                .rotated_key(&one.rewrite(&Wishes::default()))
                .map_err(|fault| one.refused(fault))?
                .unwrap_or_default()
                .to_owned();
            let same = groups
                .iter_mut()
                .find(|(known, known_key, _)| known.config().shares(known_key, manifest.config(), &key));
            match same {
                Some((_, _, places)) => places.push(one.secret.place),
                None => groups.push((manifest, key, vec![one.secret.place])),
            }
        }
        Ok(groups.into_iter().map(|(_, _, places)| places).collect())
    }

    /// Fails if a rotation would, whatever the token. Else what deserves a warning.
    pub fn check(&self, wishes: &Wishes) -> Result<Vec<String>> {
        if let (Some(registry), Some(image)) = (&wishes.registry, self.image()) {
            pull_secret::check_registry(registry, image)?;
        }
        let mut warnings: Vec<String> = Vec::new();
        for one in self.each() {
            for warning in one.check(wishes)? {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(warnings)
    }

    /// The registry that the token is for.
    pub fn registry(&self, wishes: &Wishes) -> Result<RegistryKey> {
        let none = || Failure::usage("no registry is known").hint("--registry registry.gitlab.com");
        Ok(self.each().next().ok_or_else(none)?.registry(wishes)?.ok_or_else(none)?)
    }

    /// The files with `token` in them.
    pub fn rotate(&self, token: &DeployToken, wishes: &Wishes) -> Result<Plan> {
        let mut secrets = Vec::new();
        let mut followed: Option<Record> = None;
        for one in self.each() {
            let change = one.rotate(token, wishes)?;
            let record = followed.as_ref().or(self.record.as_ref());
            if let (Some(record), Some(text)) = (record, change.text.as_ref().or(one.secret.text.as_ref())) {
                // A kill between two files may have left the record behind, so also where nothing changed.
                if let Some(text) = follow(record, one.secret.place, wishes, text)? {
                    followed = Some(Record::parse(text)?);
                }
            }
            secrets.push(change);
        }
        Ok(Plan { secrets, record: followed.map(|record| record.text) })
    }

    /// The images of `deployed` that the kubelet would pull with the rotated entry first, each once; where there is
    /// none, the recorded one.
    pub fn images<'i>(
        &'i self,
        plan: &Plan,
        wishes: &Wishes,
        deployed: &[&'i ImageRef],
    ) -> Result<Vec<&'i ImageRef>> {
        let mut images: Vec<&ImageRef> = Vec::new();
        for (one, change) in self.each().zip(&plan.secrets) {
            let Some(text) = change.text.as_ref().or(one.secret.text.as_ref()) else { continue };
            let (manifest, key) = (one.manifest(text)?, self.registry(wishes)?);
            let first = |image: &&ImageRef| {
                keyring::matching(manifest.config().keys(), image).first() == Some(&key.as_str())
            };
            for image in deployed.iter().copied().filter(first) {
                if !images.contains(&image) {
                    images.push(image);
                }
            }
        }
        if images.is_empty() {
            images.extend(self.image());
        }
        Ok(images)
    }

    /// Whether the record is `committed` and what follows from the Secret files as `plan` leaves them, without
    /// edits of somebody's.
    #[must_use]
    pub fn only_followed(&self, committed: &str, plan: &Plan) -> bool {
        let Some(record) = &self.record else { return false };
        let Ok(mut followed) = Record::parse(committed.to_owned()) else { return false };
        for (one, change) in self.each().zip(&plan.secrets) {
            let Some(text) = change.text.as_ref().or(one.secret.text.as_ref()) else { continue };
            match follow(&followed, one.secret.place, &Wishes::default(), text) {
                Ok(Some(text)) => match Record::parse(text) {
                    Ok(next) => followed = next,
                    Err(_) => return false,
                },
                Ok(None) => {}
                Err(_) => return false,
            }
        }
        followed.text != committed && followed.text == record.text
    }

    fn each(&self) -> impl Iterator<Item = One<'_>> {
        self.secrets.iter().map(|secret| One { record: self.record.as_ref(), secret })
    }
}

/// One Secret file, and what is known of it.
struct One<'f> {
    record: Option<&'f Record>,
    secret: &'f SecretFile,
}

impl One<'_> {
    /// Fails if a rotation would, whatever the token. Else what deserves a warning.
    fn check(&self, wishes: &Wishes) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        let Some(text) = &self.secret.text else { return Ok(warnings) };
        let manifest = self.manifest(text)?;
        manifest.rotated_key(&self.rewrite(wishes)).map_err(|fault| self.refused(fault))?;
        if let Some(record) = self.record {
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

    /// The registry that the token is for, if it is known.
    fn registry(&self, wishes: &Wishes) -> Result<Option<RegistryKey>> {
        if let Some(registry) = &wishes.registry {
            return Ok(Some(registry.clone()));
        }
        let recorded = self.record.map(|record| record.answers.registry.clone());
        let held = match &self.secret.text {
            Some(text) => self
                .manifest(text)?
                .rotated_key(&self.rewrite(wishes))
                .map_err(|fault| self.refused(fault))?
                .and_then(|key| RegistryKey::parse(key).ok()),
            None => None,
        };
        Ok(held.or(recorded))
    }

    /// The file with `token` in it.
    fn rotate(&self, token: &DeployToken, wishes: &Wishes) -> Result<Change> {
        let kustomization = self.named()?;
        let Some(text) = &self.secret.text else {
            let changes = vec![format!("user name: {}", token.username())];
            return Ok(Change { text: Some(self.first(token, wishes)?), changes, kustomization });
        };
        let rotated = self.manifest(text)?.rotate(token, &self.rewrite(wishes));
        Ok(match rotated.map_err(|fault| self.refused(fault))? {
            Some(rewritten) => {
                Change { text: Some(rewritten.text), changes: rewritten.changes, kustomization }
            }
            None => Change { text: None, changes: Vec::new(), kustomization },
        })
    }

    /// The kustomization with the file among its resources; `None` if it names the file already.
    fn named(&self) -> Result<Option<Secret>> {
        let Some((path, text)) = &self.secret.kustomization else { return Ok(None) };
        let (dir, name) = self.secret.path.rsplit_once('/').unwrap_or(("", &self.secret.path));
        let cannot = |fault| {
            Failure::failed(format!("cannot change `{path}`")).because(fault).hint(format!("$EDITOR {path}"))
        };
        let found = Kustomization::parse(text.expose()).map_err(cannot)?;
        if found.files(dir).contains(&self.secret.path) {
            return Ok(None);
        }
        let mut text = opaque::add_resource(text.expose(), name).map_err(cannot)?;
        Ok(Some(Secret::new(std::mem::take(&mut text))))
    }

    /// The Secret file of a repository that was made without a token.
    fn first(&self, token: &DeployToken, wishes: &Wishes) -> Result<Secret> {
        let Some(record) = self.record else {
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
        Ok(templates::render_secret(&Context::from(&answers), self.secret.place, payload)?.text)
    }

    fn manifest<'a>(&self, text: &'a Secret) -> Result<Manifest<'a>> {
        Ok(Manifest::parse(text.expose()).map_err(|fault| self.refused(fault))?)
    }

    fn rewrite<'a>(&self, wishes: &'a Wishes) -> Rewrite<'a>
    where
        Self: 'a,
    {
        Rewrite {
            recorded: self.record.map(|record| &record.answers.registry),
            registry: wishes.registry.as_ref(),
            email: wishes.email.as_ref(),
            kind: wishes.kind,
        }
    }

    fn refused(&self, fault: &str) -> Failure {
        let path = &self.secret.path;
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

/// `.makeinfra.yaml` in step with the Secret file of the environment at `place`; `None` if it is so already. What all
/// environments share follows the first.
fn follow(record: &Record, place: usize, wishes: &Wishes, secret: &Secret) -> Result<Option<String>> {
    if place != 0 {
        return Ok(None);
    }
    let cannot = |fault| Failure::failed(format!("cannot change `{}`", Record::FILE)).because(fault);
    let manifest = Manifest::parse(secret.expose()).map_err(cannot)?;
    let answers = &record.answers;
    let rewrite = Rewrite {
        registry: wishes.registry.as_ref(),
        recorded: Some(&answers.registry),
        ..Rewrite::default()
    };
    let key = manifest.rotated_key(&rewrite).map_err(cannot)?.unwrap_or(answers.registry.as_str());
    let mut text = record.text.clone();
    for (name, recorded, held) in [
        (Name::Registry, answers.registry.as_str(), Some(key)),
        (Name::SecretType, answers.secret_type.as_str(), Some(manifest.kind().as_str())),
        (Name::Email, answers.email.as_ref().map_or("", Email::as_str), manifest.config().email(key)),
    ] {
        if let Some(held) = held.filter(|held| *held != recorded && name.check(held).is_ok()) {
            text = yaml_edit::set(&text, &["answers", name.as_str()], held).map_err(cannot)?.to_string();
        }
    }
    Ok((text != record.text).then_some(text))
}
