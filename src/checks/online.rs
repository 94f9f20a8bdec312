//! Asks registries about images: with which credentials, and what the answers mean for the checks.

use super::pull_secret::{candidates, closed, quoted, workload_title};
use super::rotation::rotation;
use super::{Check, Id, Status};
use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::git_crypt::UNLOCK;
use crate::inspection::{Inspection, PullSecret, SecretFileState};
use crate::manifests::ImagePull;
use crate::pull_secret::keyring;
use crate::registry::{self, Standing, Verdict};
use crate::secret::Secret;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

/// An image to ask about, as the kubelet would pull it.
pub struct Question<'i> {
    image: &'i ImageRef,
    /// The pull secrets that the kubelet would read.
    secrets: Vec<&'i PullSecret>,
    /// The workloads that pull the image this way.
    subjects: BTreeSet<String>,
    /// The command that replaces the token or adds an entry.
    rotate: String,
    /// The file of its pull secret if rotations do not write it; otherwise `None`.
    unrotated: Option<&'i str>,
    /// The credentials; `None` if they are locked, so that no registry can be asked.
    credentials: Option<Vec<Secret>>,
    /// Why the pods may have other credentials, as a sentence about the image; `None` if they do
    /// not.
    doubt: Option<String>,
}

/// Suspicions about a pull secret that a registry has refuted.
#[derive(Debug)]
pub struct RefutedSuspicion {
    /// The file of the pull secret.
    path: String,
    /// The messages of the suspicions.
    messages: Vec<String>,
}

impl RefutedSuspicion {
    /// Removes the refuted suspicions from `checks`.
    pub fn clear(&self, checks: &mut Vec<Check>) {
        let before = checks.len();
        checks.retain(|check| {
            check.id != Id::PullSecretAuth
                || check.subject != self.path
                || !self.messages.contains(&check.message)
        });
        if checks.len() < before && !checks.iter().any(|check| check.id == Id::PullSecretAuth) {
            checks.push(Check::ok(
                Id::PullSecretAuth,
                &self.path,
                "unusual, but accepted by the registry",
            ));
        }
    }
}

impl<'i> Question<'i> {
    /// One question for each combination of image and pull secrets, regardless of the number of
    /// workloads.
    #[must_use]
    pub fn all(inspection: &'i Inspection) -> Vec<Self> {
        let mut questions: Vec<Self> = Vec::new();
        let mut known: HashMap<(String, Vec<*const PullSecret>, Option<String>), usize> =
            HashMap::new();
        let locked =
            inspection.secret_files.iter().any(|file| file.state == SecretFileState::Locked);
        for pull in inspection.manifests.pulls() {
            let subject = workload_title(pull.workload);
            let doubt = doubt(inspection, &pull);
            let secrets = match doubt {
                Some(_) => inspection.secrets_for(&pull),
                None => candidates(inspection, &pull),
            };
            let places = secrets.iter().map(|secret| std::ptr::from_ref(*secret)).collect();
            match known.entry((pull.image.to_string(), places, doubt.clone())) {
                Entry::Occupied(at) => {
                    questions[*at.get()].subjects.insert(subject);
                }
                Entry::Vacant(at) => {
                    at.insert(questions.len());
                    let locked = locked && doubt.is_none();
                    questions.push(Self {
                        doubt,
                        ..Self::of(inspection, pull.image, secrets, subject, locked)
                    });
                }
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
        // The kubelet ignores Secrets that it cannot read.
        let credentials = (readable || !locked).then(|| {
            secrets.iter().flat_map(|secret| secret.secret.authorizations(&name)).collect()
        });
        let unrotated = secrets.first().map(|secret| secret.path.as_str());
        let unrotated = unrotated.filter(|path| !inspection.is_rotated(path));
        Self {
            image,
            secrets,
            subjects: BTreeSet::from([subject]),
            rotate,
            unrotated,
            credentials,
            doubt: None,
        }
    }

    /// What to ask a registry; `None` if the credentials are locked.
    #[must_use]
    pub fn pull(&self) -> Option<registry::PullQuestion<'_>> {
        let credentials = self.credentials.as_ref()?.iter().collect();
        Some(registry::PullQuestion { image: self.image, credentials })
    }

    /// The suspicions about the form of a login that `verdict` refutes because the registry
    /// accepted it.
    #[must_use]
    pub fn cleared(&self, verdict: Option<&Verdict>) -> Option<RefutedSuspicion> {
        let name = self.image.normalized_name();
        let mut served = self.secrets.iter().filter(|secret| secret.secret.serves(&name));
        let (true, Some(PullSecret { path, secret, .. }), None) =
            (verdict.is_some_and(Verdict::takes_login), served.next(), served.next())
        else {
            return None;
        };
        // With several matching entries, it is unknown which one was accepted.
        let [key] = keyring::matching_name(secret.keys(), &name)[..] else { return None };
        let flaws = secret
            .flaws
            .iter()
            .filter(|flaw| flaw.is_suspicion && flaw.key.as_deref() == Some(key));
        let messages = flaws.map(|flaw| flaw.message.clone()).collect();
        Some(RefutedSuspicion { path: path.clone(), messages })
    }

    /// The image, if `verdict` says that anyone may pull it.
    #[must_use]
    pub fn public(&self, verdict: Option<&Verdict>) -> Option<&'i ImageRef> {
        matches!(verdict, Some(Verdict::Pulls { public: true })).then_some(self.image)
    }

    /// The checks that follow from `verdict`, one for each workload.
    #[must_use]
    pub fn judged(&self, verdict: Option<&Verdict>) -> Vec<Check> {
        let (status, message, hint) = match verdict {
            None => (
                Status::Warning,
                format!("`{}` was not checked: its pull secret is locked", self.image),
                Advice::at_top(UNLOCK),
            ),
            Some(verdict) if verdict.standing() == Standing::Refused && self.doubt.is_some() => {
                let doubt = self.doubt.as_deref().unwrap_or_default();
                let message = format!("`{}` is not public, and {doubt}", self.image);
                (Status::Warning, message, Advice::default())
            }
            Some(verdict) => {
                let status = match verdict.standing() {
                    Standing::Good => Status::Ok,
                    Standing::Unknown => Status::Warning,
                    Standing::Absent | Standing::Refused => Status::Problem,
                };
                let hint = match (verdict, self.unrotated) {
                    (verdict, Some(path)) if verdict.standing() == Standing::Refused => {
                        verdict.hint(self.image, &Advice::edit(path)).unwrap_or_default()
                    }
                    (Verdict::Private, _) => {
                        Advice::from(format!("{{makeinfra {}}}", self.rotate).as_str())
                    }
                    (verdict, _) => {
                        let again = Advice::makeinfra(format!("{} --check", self.rotate));
                        verdict.hint(self.image, &again).unwrap_or_default()
                    }
                };
                (status, verdict.message(self.image), hint)
            }
        };
        let check = |subject: &String| {
            Check::new(Id::ImagesPull, status, subject, &message)
                .hint(hint.clone())
                .about(self.image)
        };
        self.subjects.iter().map(check).collect()
    }
}

/// Why the pods may have further credentials, as a sentence; `None` if they do not.
fn doubt(inspection: &Inspection, pull: &ImagePull) -> Option<String> {
    if let Some((name, why)) = closed(inspection, pull) {
        return Some(format!("the content of the pull secret {} is unknown: {why}", quoted(name)));
    }
    if let Some(account) = &pull.workload.unknown_account {
        return Some(format!("its service account {} may name a pull secret", quoted(account)));
    }
    let file = pull.workload.unsure.as_deref().filter(|_| pull.pull_secrets.is_empty())?;
    Some(format!("`{file}` may give its pods a pull secret"))
}
