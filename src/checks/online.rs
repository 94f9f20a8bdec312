//! What registries say of the images: whom to ask with which credentials, and what an answer is worth.

use super::pull_secret::{candidates, workload_title};
use super::{Check, Id, Status};
use crate::advice::Advice;
use crate::answers::{Answer, ImageRef, RegistryKey};
use crate::git_crypt::UNLOCK;
use crate::inspection::{Inspection, PullSecret, State};
use crate::pull_secret::keyring;
use crate::registry::{self, Standing, Verdict};
use crate::secret::Secret;

/// An image to be asked for, as the kubelet would.
pub struct Question<'i> {
    image: &'i ImageRef,
    /// The pull secrets that it looks into.
    secrets: Vec<&'i PullSecret>,
    /// The workloads that pull it so.
    subjects: Vec<String>,
    /// The command that gives it another token, or an entry of its own.
    rotate: String,
    /// What to sign in with; none where that is locked away, so that nobody can be asked.
    credentials: Option<Vec<Secret>>,
}

impl<'i> Question<'i> {
    /// One for each image and its pull secrets, however many workloads pull it so.
    #[must_use]
    pub fn all(inspection: &'i Inspection) -> Vec<Self> {
        let mut questions: Vec<Self> = Vec::new();
        let locked = inspection.secret_files.iter().any(|file| file.state == State::Locked);
        for pull in inspection.manifests.pulls() {
            let subject = workload_title(pull.workload);
            let secrets = candidates(inspection, &pull);
            let same = |other: &&mut Self| {
                let pairs = other.secrets.iter().zip(&secrets);
                other.image == pull.image
                    && other.secrets.len() == secrets.len()
                    && pairs.into_iter().all(|(one, other)| std::ptr::eq(*one, *other))
            };
            match questions.iter_mut().find(same) {
                Some(other) if other.subjects.contains(&subject) => {}
                Some(other) => other.subjects.push(subject),
                None => questions.push(Self::of(inspection, pull.image, secrets, subject, locked)),
            }
        }
        questions
    }

    fn of(
        inspection: &Inspection,
        image: &'i ImageRef,
        secrets: Vec<&'i PullSecret>,
        subject: String,
        locked: bool,
    ) -> Self {
        let name = image.normalized_name();
        let rotate = rotation(inspection, image, &secrets);
        let readable = secrets.iter().any(|secret| secret.secret.is_readable());
        // What the kubelet cannot read, it does without.
        let credentials = (readable || !locked)
            .then(|| secrets.iter().flat_map(|secret| secret.secret.authorizations(&name)).collect());
        Self { image, secrets, subjects: vec![subject], rotate, credentials }
    }

    /// What to ask a registry; none where that makes no sense.
    #[must_use]
    pub fn pull(&self) -> Option<registry::Pull<'_>> {
        let credentials = self.credentials.as_ref()?.iter().collect();
        Some(registry::Pull { image: self.image, credentials })
    }

    /// Takes out of `checks` what was suspected of the login's look, if the registry has taken it.
    pub fn clear(&self, verdict: Option<&Verdict>, checks: &mut Vec<Check>) {
        let name = self.image.normalized_name();
        let mut served = self.secrets.iter().filter(|secret| secret.secret.serves(&name));
        let (true, Some(PullSecret { path, secret }), None) =
            (verdict.is_some_and(Verdict::takes_login), served.next(), served.next())
        else {
            return;
        };
        // Of several entries nobody knows which one was taken.
        let [key] = keyring::matching_name(secret.keys(), &name)[..] else { return };
        let flaws = secret.flaws.iter().filter(|flaw| flaw.is_suspicion && flaw.key.as_deref() == Some(key));
        let messages: Vec<_> = flaws.map(|flaw| flaw.message.as_str()).collect();
        let before = checks.len();
        checks.retain(|check| {
            check.id != Id::PullSecretAuth
                || check.subject != *path
                || !messages.contains(&check.message.as_str())
        });
        if checks.len() < before && !checks.iter().any(|check| check.id == Id::PullSecretAuth) {
            checks.push(Check::ok(Id::PullSecretAuth, path, "is odd, and the registry takes it"));
        }
    }

    /// The checks that the answer makes, one for each workload.
    #[must_use]
    pub fn judged(&self, verdict: Option<&Verdict>) -> Vec<Check> {
        let (status, message, hint) = match verdict {
            None => (
                Status::Warning,
                format!("`{}` was not asked for: its pull secret is locked", self.image),
                Advice::at_top(UNLOCK),
            ),
            Some(verdict) => {
                let status = match verdict.standing() {
                    Standing::Good => Status::Ok,
                    Standing::Unknown => Status::Warning,
                    Standing::Absent | Standing::Refused => Status::Problem,
                };
                let hint = match verdict {
                    Verdict::Private => Advice::from(format!("{{makeinfra {}}}", self.rotate).as_str()),
                    verdict => {
                        let again = format!("{} --check", self.rotate);
                        verdict.hint(self.image, &again).unwrap_or_default()
                    }
                };
                (status, verdict.message(self.image), hint)
            }
        };
        let check = |subject: &String| {
            Check::new(Id::ImagesPull, status, subject, &message).hint(hint.clone()).about(self.image)
        };
        self.subjects.iter().map(check).collect()
    }
}

/// The command that gives `image` other credentials: those of the entry that serves it, or of one that is yet to come.
fn rotation(inspection: &Inspection, image: &ImageRef, secrets: &[&PullSecret]) -> String {
    let (name, for_image) = (image.normalized_name(), RegistryKey::for_image(image));
    let answers = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let own = answers.map(|record| &record.answers.registry);
    let serving = secrets
        .iter()
        .find_map(|secret| keyring::matching_name(secret.secret.keys(), &name).first().copied());
    match (serving.map(RegistryKey::parse), own) {
        (Some(Ok(key)), Some(own)) if key == *own => "rotate".to_owned(),
        (Some(Ok(key)), Some(_)) => format!("rotate --registry {key}"),
        (None, Some(own)) if !own.is_same(&for_image) => format!("rotate --add-registry {for_image}"),
        (None, _) => format!("rotate --registry {for_image}"),
        _ => "rotate".to_owned(),
    }
}
