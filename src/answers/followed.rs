//! Combines wanted answers with those in the files: an answer that was not asked to change keeps
//! the value in the files.

use super::{Answer, Answers, Component, Deployed, Environment, ImageRef, Name};

/// Compares every answer: as recorded, as in the files, and as wanted.
struct Followed<'c> {
    /// Answers that were changed in the files and are wanted with yet another value.
    disputed: &'c mut Vec<String>,
    /// The current section, with a trailing dot.
    section: String,
}

impl Answers {
    /// The wanted answers `self`, in which every answer that equals `recorded` has the value of
    /// `found`; and the answers that differ in all three, by their paths in the record.
    #[must_use]
    pub fn following(&self, recorded: &Self, found: &Self) -> (Self, Vec<String>) {
        let mut disputed = Vec::new();
        let mut all = Followed { disputed: &mut disputed, section: String::new() };
        let mut answers = self.clone();
        all.one(
            Name::PodSecurity,
            &recorded.pod_security,
            &found.pod_security,
            &mut answers.pod_security,
        );
        let main = recorded.main().name.clone();
        for wanted in answers.components.iter_mut() {
            let known =
                |all: &Self| all.components.iter().find(|one| one.name == wanted.name).cloned();
            if let (Some(recorded), Some(found)) = (known(recorded), known(found)) {
                all.section = if wanted.name == main {
                    String::new()
                } else {
                    format!("components.{}.", wanted.name)
                };
                all.component(&recorded, &found, wanted);
            }
        }
        let names: Vec<_> = answers.components.iter().map(|one| one.name.clone()).collect();
        for wanted in answers.environments.iter_mut() {
            let known =
                |all: &Self| all.environments.iter().find(|one| one.name == wanted.name).cloned();
            let (Some(before), Some(here)) = (known(recorded), known(found)) else { continue };
            all.section = format!("environments.{}.", wanted.name);
            all.environment(&before, &here, wanted);
            for (name, wanted) in names.iter().zip(&mut wanted.deployed) {
                let of = |answers: &Self, environment: &Environment| {
                    let place = answers.components.iter().position(|one| one.name == *name)?;
                    environment.deployed.get(place).cloned()
                };
                if let (Some(before), Some(here)) = (of(recorded, &before), of(found, &here)) {
                    all.deployed(&before, &here, wanted);
                }
            }
        }
        (answers, disputed)
    }
}

impl Followed<'_> {
    fn one<T: PartialEq + Clone>(&mut self, name: Name, recorded: &T, found: &T, wanted: &mut T) {
        if wanted == recorded {
            wanted.clone_from(found);
        } else if found != recorded && found != wanted {
            self.disputed.push(format!("{}{}", self.section, name.as_str()));
        }
    }

    fn component(&mut self, recorded: &Component, found: &Component, wanted: &mut Component) {
        // The tag belongs to the overlays, and is compared there.
        wanted.image = image(&recorded.image, &found.image, &wanted.image).0;
        self.one(Name::Schedule, &recorded.schedule, &found.schedule, &mut wanted.schedule);
        self.one(Name::TimeZone, &recorded.time_zone, &found.time_zone, &mut wanted.time_zone);
        self.one(Name::Args, &recorded.args, &found.args, &mut wanted.args);
        self.one(Name::Port, &recorded.port, &found.port, &mut wanted.port);
        self.one(Name::Replicas, &recorded.replicas, &found.replicas, &mut wanted.replicas);
        self.one(Name::Ingress, &recorded.ingress, &found.ingress, &mut wanted.ingress);
        self.one(Name::Tls, &recorded.tls, &found.tls, &mut wanted.tls);
        self.one(Name::TlsIssuer, &recorded.tls_issuer, &found.tls_issuer, &mut wanted.tls_issuer);
        self.one(
            Name::HealthPath,
            &recorded.health_path,
            &found.health_path,
            &mut wanted.health_path,
        );
        let account = (recorded.service_account, found.service_account);
        self.one(Name::ServiceAccount, &account.0, &account.1, &mut wanted.service_account);
        self.one(Name::Config, &recorded.config, &found.config, &mut wanted.config);
    }

    fn environment(
        &mut self,
        recorded: &Environment,
        found: &Environment,
        wanted: &mut Environment,
    ) {
        self.one(Name::Namespace, &recorded.namespace, &found.namespace, &mut wanted.namespace);
        self.one(Name::Context, &recorded.context, &found.context, &mut wanted.context);
        self.one(Name::Protect, &recorded.protect, &found.protect, &mut wanted.protect);
        self.one(Name::Replicas, &recorded.replicas, &found.replicas, &mut wanted.replicas);
        self.one(Name::Ingress, &recorded.ingress, &found.ingress, &mut wanted.ingress);
        self.one(Name::Secrets, &recorded.secrets, &found.secrets, &mut wanted.secrets);
    }
}

/// Treats an image's name as an answer separate from its tag or digest: a wanted name keeps the tag
/// in the files.
fn image(recorded: &ImageRef, found: &ImageRef, wanted: &ImageRef) -> (ImageRef, bool) {
    let version = |image: &ImageRef| image.as_str()[image.name().len()..].to_owned();
    let name = if wanted.name() == recorded.name() { found.name() } else { wanted.name() };
    let is_asked = version(wanted) != version(recorded);
    let is_edited = version(found) != version(recorded);
    let is_disputed = is_asked && is_edited && version(wanted) != version(found);
    let kept = if is_asked { version(wanted) } else { version(found) };
    (ImageRef::parse(&format!("{name}{kept}")).unwrap_or_else(|_| wanted.clone()), is_disputed)
}

impl Followed<'_> {
    /// Derived properties of a component in an environment, unless users have changed its overlay.
    fn deployed(&mut self, recorded: &Deployed, found: &Deployed, wanted: &mut Deployed) {
        let (image, is_disputed) = image(&recorded.image, &found.image, &wanted.image);
        if is_disputed {
            self.disputed.push(Name::Image.as_str().to_owned());
        }
        wanted.image = image;
        keep(&recorded.has_tag, &found.has_tag, &mut wanted.has_tag);
        keep(&recorded.replicas, &found.replicas, &mut wanted.replicas);
        keep(&recorded.host, &found.host, &mut wanted.host);
        keep(&recorded.tls, &found.tls, &mut wanted.tls);
    }
}

/// Sets `wanted` to the value in the files, unless another one was asked for.
fn keep<T: PartialEq + Clone>(recorded: &T, found: &T, wanted: &mut T) {
    if wanted == recorded {
        wanted.clone_from(found);
    }
}

#[cfg(test)]
mod tests {
    use crate::answers::{Answers, Record};

    fn answers(tag: &str, port: &str, namespace: &str) -> Answers {
        let text = format!(
            "version: \"0.2.0\"\nanswers:\n  project: hello\n  image: registry.example.com/g/hello:{tag}\n  registry: \
             registry.example.com\n  port: {port}\n  environments:\n    staging:\n      namespace: {namespace}\n"
        );
        Record::parse(text).unwrap().answers
    }

    #[test]
    fn an_answer_that_nobody_asked_to_change_is_as_the_files_have_it() {
        let recorded = answers("1", "80", "a");
        let found = answers("2", "80", "b");
        assert_eq!(recorded.following(&recorded, &found), (found.clone(), vec![]));
        // The port is asked for, and everything else stays.
        let (followed, disputed) = answers("1", "90", "a").following(&recorded, &found);
        assert_eq!((followed, disputed), (answers("2", "90", "b"), vec![]));
        // Both were changed.
        let (_, disputed) = answers("3", "80", "c").following(&recorded, &found);
        assert_eq!(disputed, ["environments.staging.namespace", "image"]);
        assert_eq!(answers("2", "80", "b").following(&recorded, &found), (found.clone(), vec![]));
    }
}
