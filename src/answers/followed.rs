//! Wanted answers among those that the files have: an answer that nobody asked to change is as the files say.

use super::{Answers, Component, Deployed, Environment, Name};

/// What is known of every answer: as it was recorded, as the files have it, and as it is wanted.
struct Followed<'c> {
    /// What is changed in the files and asked to become something else.
    disputed: &'c mut Vec<String>,
    /// The section that is looked at, with a final dot.
    section: String,
}

impl Answers {
    /// `self`, the wanted answers, with what `found` has for each answer that is `recorded` so; and the answers that all three
    /// say differently, by their places in the record.
    #[must_use]
    pub fn following(&self, recorded: &Self, found: &Self) -> (Self, Vec<String>) {
        let mut disputed = Vec::new();
        let mut all = Followed { disputed: &mut disputed, section: String::new() };
        let mut answers = self.clone();
        all.one(Name::PodSecurity, &recorded.pod_security, &found.pod_security, &mut answers.pod_security);
        let main = recorded.main().name.clone();
        for wanted in answers.components.iter_mut() {
            let known = |all: &Self| all.components.iter().find(|one| one.name == wanted.name).cloned();
            if let (Some(recorded), Some(found)) = (known(recorded), known(found)) {
                all.section =
                    if wanted.name == main { String::new() } else { format!("components.{}.", wanted.name) };
                all.component(&recorded, &found, wanted);
            }
        }
        let names: Vec<_> = answers.components.iter().map(|one| one.name.clone()).collect();
        for wanted in answers.environments.iter_mut() {
            let known = |all: &Self| all.environments.iter().find(|one| one.name == wanted.name).cloned();
            let (Some(before), Some(here)) = (known(recorded), known(found)) else { continue };
            all.section = format!("environments.{}.", wanted.name);
            all.environment(&before, &here, wanted);
            for (name, wanted) in names.iter().zip(&mut wanted.deployed) {
                let of = |answers: &Self, environment: &Environment| {
                    let place = answers.components.iter().position(|one| one.name == *name)?;
                    environment.deployed.get(place).cloned()
                };
                if let (Some(before), Some(here)) = (of(recorded, &before), of(found, &here)) {
                    deployed(&before, &here, wanted);
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
        self.one(Name::Image, &recorded.image, &found.image, &mut wanted.image);
        self.one(Name::Schedule, &recorded.schedule, &found.schedule, &mut wanted.schedule);
        self.one(Name::TimeZone, &recorded.time_zone, &found.time_zone, &mut wanted.time_zone);
        self.one(Name::Args, &recorded.args, &found.args, &mut wanted.args);
        self.one(Name::Port, &recorded.port, &found.port, &mut wanted.port);
        self.one(Name::Replicas, &recorded.replicas, &found.replicas, &mut wanted.replicas);
        self.one(Name::Ingress, &recorded.ingress, &found.ingress, &mut wanted.ingress);
        self.one(Name::Tls, &recorded.tls, &found.tls, &mut wanted.tls);
        self.one(Name::TlsIssuer, &recorded.tls_issuer, &found.tls_issuer, &mut wanted.tls_issuer);
        self.one(Name::HealthPath, &recorded.health_path, &found.health_path, &mut wanted.health_path);
        let account = (recorded.service_account, found.service_account);
        self.one(Name::ServiceAccount, &account.0, &account.1, &mut wanted.service_account);
        self.one(Name::Config, &recorded.config, &found.config, &mut wanted.config);
    }

    fn environment(&mut self, recorded: &Environment, found: &Environment, wanted: &mut Environment) {
        self.one(Name::Namespace, &recorded.namespace, &found.namespace, &mut wanted.namespace);
        self.one(Name::Context, &recorded.context, &found.context, &mut wanted.context);
        self.one(Name::Protect, &recorded.protect, &found.protect, &mut wanted.protect);
        self.one(Name::Replicas, &recorded.replicas, &found.replicas, &mut wanted.replicas);
        self.one(Name::Ingress, &recorded.ingress, &found.ingress, &mut wanted.ingress);
        self.one(Name::Secrets, &recorded.secrets, &found.secrets, &mut wanted.secrets);
    }
}

/// What an environment has of a component follows from answers, which are told already if they are disputed.
fn deployed(recorded: &Deployed, found: &Deployed, wanted: &mut Deployed) {
    fn one<T: PartialEq + Clone>(recorded: &T, found: &T, wanted: &mut T) {
        if wanted == recorded {
            wanted.clone_from(found);
        }
    }
    one(&recorded.image, &found.image, &mut wanted.image);
    one(&recorded.has_tag, &found.has_tag, &mut wanted.has_tag);
    one(&recorded.replicas, &found.replicas, &mut wanted.replicas);
    one(&recorded.host, &found.host, &mut wanted.host);
    one(&recorded.tls, &found.tls, &mut wanted.tls);
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
        // The port is asked for, and the rest is kept.
        let (followed, disputed) = answers("1", "90", "a").following(&recorded, &found);
        assert_eq!((followed, disputed), (answers("2", "90", "b"), vec![]));
        // Both were changed.
        let (_, disputed) = answers("3", "80", "c").following(&recorded, &found);
        assert_eq!(disputed, ["image", "environments.staging.namespace"]);
        assert_eq!(answers("2", "80", "b").following(&recorded, &found), (found.clone(), vec![]));
    }
}
