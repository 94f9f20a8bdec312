//! The images that an environment pulls with its pull secret.

use super::proof::ProvedEnvironment;
use crate::answers::ImageRef;
use crate::inspection::Inspection;
use crate::secret::Secret;

/// An image of an environment, with the credentials that its pull secret has for it.
pub(super) struct Question {
    /// Index of the environment.
    pub(super) tenant: usize,
    pub(super) image: ImageRef,
    pub(super) credentials: Vec<Secret>,
}

/// The questions for those of `tenants` that are checked.
pub(super) fn questions(inspection: &Inspection, tenants: &[ProvedEnvironment]) -> Vec<Question> {
    let mut questions = Vec::new();
    for (place, tenant) in tenants.iter().enumerate().filter(|(_, tenant)| tenant.is_chosen) {
        let secret = inspection.pull_secrets.iter().find(|secret| secret.path == tenant.path);
        for image in images(inspection, tenant) {
            let name = image.normalized_name();
            let credentials =
                secret.map(|secret| secret.secret.authorizations(&name)).unwrap_or_default();
            questions.push(Question { tenant: place, image: image.clone(), credentials });
        }
    }
    questions
}

/// The images that are pulled with the Secret of `tenant`, without duplicates.
fn images<'i>(inspection: &'i Inspection, tenant: &ProvedEnvironment) -> Vec<&'i ImageRef> {
    let mut images: Vec<&ImageRef> = Vec::new();
    for pull in inspection.manifests.pulls() {
        let is_own = inspection.secrets_for(&pull).iter().any(|secret| {
            secret.path == tenant.path && secret.secret.serves(&pull.image.normalized_name())
        });
        if is_own && !images.contains(&pull.image) {
            images.push(pull.image);
        }
    }
    images
}
