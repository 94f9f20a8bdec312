//! The explanation from the pod's Secrets in the cluster, which the kubelet used.

use super::super::cause::Cause;
use super::super::in_cluster::{InCluster, differs};
use super::super::refusal::RefusalKind;
use super::super::{Finding, is_plain, text};
use super::{Join, then_deploy};
use crate::advice::Advice;
use crate::answers::{Answer, Expiry, ImageRef, RegistryKey};
use crate::checks::{self, Id};
use crate::inspection::{Inspection, PullSecret};
use crate::pull_secret::{Aspect, Hidden, Inspected};

impl Join<'_> {
    /// The explanation from the pod's Secrets in the cluster.
    pub(super) fn of_cluster(&self) -> Option<Finding> {
        let all: Vec<_> = self.named().map(|name| self.in_cluster(name)).collect();
        if all.is_empty() || all.iter().any(|secret| matches!(secret, InCluster::Unknown)) {
            return None;
        }
        let there: Vec<&Inspected> = all
            .iter()
            .filter_map(|secret| match secret {
                InCluster::Found(secret) => Some(*secret),
                _ => None,
            })
            .collect();
        if there.is_empty() && self.refusal.without_credential() {
            let is_other = all.iter().any(|secret| matches!(secret, InCluster::Other));
            return Some(self.finding(if is_other {
                Cause::WrongType
            } else {
                Cause::SecretMissing
            }));
        }
        let is_good = |secret: &&Inspected| self.serves(secret) && self.flaw(secret).is_none();
        let one_is_good = self.refusal.without_credential() && there.iter().any(is_good);
        if one_is_good && self.refusal == RefusalKind::Anonymous {
            return Some(self.finding(Cause::SecretChangedSince));
        }
        // The kubelet tries all credentials, so a bad one next to a good one explains nothing.
        let suspects = there.iter().filter(|_| !one_is_good);
        let flawed = suspects.into_iter().find_map(|secret| Some((*secret, self.flaw(secret)?)));
        let Some((secret, (id, cause, message))) = flawed else {
            // If the text shows no refusal, a changed Secret explains nothing.
            if self.refusal == RefusalKind::Hidden {
                return None;
            }
            let is_other = |secret: &&&Inspected| {
                let serves = |file: &PullSecret| self.serves(secret) || self.serves(&file.secret);
                self.file(secret).is_some_and(|file| differs(secret, file) && serves(file))
            };
            let other = there.iter().find(is_other)?;
            let mut finding = self.finding(Cause::SecretOutdated);
            finding.message = format!("{}: {}", finding.message, title(other));
            return Some(finding);
        };
        let mended = self
            .file(secret)
            .filter(|file| differs(secret, file) && self.flaw(&file.secret).is_none());
        let mut finding =
            self.finding(if mended.is_some() { Cause::SecretOutdated } else { cause });
        finding.message = match mended {
            Some(_) => {
                format!(
                    "the pull secret in the cluster is not the one in the repository: {message}"
                )
            }
            None => format!("{}: {message}", title(secret)),
        };
        if let (None, Some(check)) = (mended, self.problem(id)) {
            finding.hint = then_deploy(&check.hint);
            finding.check = Some(id);
        } else if finding.cause == Cause::RegistryKeyDoesNotMatch
            && !text::holds_token(self.pull.image, &Hidden::default())
            && let Ok(image) = ImageRef::parse_unpinned(self.pull.image)
        {
            finding.hint = then_deploy(&self.key_for(&image, secret));
        }
        Some(finding)
    }

    /// The command that makes `secret` serve `image`.
    fn key_for(&self, image: &ImageRef, secret: &Inspected) -> Advice {
        let first = || self.known.repository.and_then(|repository| repository.pull_secrets.first());
        match (self.known.repository, self.file(secret).or_else(first)) {
            (Some(repository), Some(file)) => checks::key_for(repository, image, &[file]),
            // It is unknown which registry is the project's own.
            _ => {
                let key = RegistryKey::for_image(image);
                let beside = Advice::makeinfra("rotate").with(format_args!("--add-registry {key}"));
                let own = Advice::makeinfra("rotate").with(format_args!("--registry {key}"));
                own.say(", if the project's own image is there, otherwise ").say(beside)
            }
        }
    }

    /// The first flaw of a Secret that explains the refusal.
    pub(super) fn flaw(&self, secret: &Inspected) -> Option<(Id, Cause, String)> {
        self.refusal.suspects().iter().find_map(|(id, cause)| {
            let aspect = match id {
                Id::PullSecretType => Aspect::Type,
                Id::PullSecretWrapping => Aspect::Wrapping,
                Id::PullSecretAuth => Aspect::Auth,
                Id::PullSecretCredentials => Aspect::Credentials,
                Id::PullSecretMatchesImages => {
                    let unmatched = secret.is_readable() && !self.serves(secret);
                    return unmatched.then(|| {
                        (*id, *cause, format!("no registry key matches `{}`", self.shown_image()))
                    });
                }
                Id::PullSecretExpiry => {
                    let recorded = self.known.repository.and_then(Inspection::recorded_registry);
                    let image = ImageRef::parse_unpinned(self.pull.image).ok()?.normalized_name();
                    let expiry = Expiry::parse(secret.expiry_for(&image, recorded)?).ok()?;
                    let is_over = expiry.days_left(self.known.now) < 0;
                    return is_over
                        .then(|| (*id, *cause, format!("the token expired on {expiry}")));
                }
                _ => return None,
            };
            let flaw = secret.flaws.iter().find(|flaw| flaw.aspect == aspect)?;
            Some((*id, *cause, flaw.message.clone()))
        })
    }
}

fn title(secret: &Inspected) -> String {
    let name = secret.name.as_deref().filter(|name| is_plain(name)).unwrap_or("without a name");
    format!("Secret {name}")
}
