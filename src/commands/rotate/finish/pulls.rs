//! First proof: the new token pulls the images of the environment, as the kubelet would with its Secret.

use super::super::Options;
use super::proof::{Proof, Proved, Tenant};
use crate::answers::ImageRef;
use crate::commands::sign_in;
use crate::error::Result;
use crate::inspection::Inspection;
use crate::registry::{Pull, Standing};
use crate::secret::Secret;
use crate::ui::Ui;

const ID: &str = "pulls";

/// Asks the registries for the images of all tenants that are looked at.
pub(super) fn prove(
    options: &Options,
    inspection: &Inspection,
    tenants: &mut [Tenant],
    ui: &Ui,
) -> Result<()> {
    let registries = sign_in::registries(&options.check.registry)?;
    let mut questions: Vec<(usize, &ImageRef, Vec<Secret>)> = Vec::new();
    for (place, tenant) in tenants.iter().enumerate().filter(|(_, tenant)| tenant.is_chosen) {
        let secret = inspection.pull_secrets.iter().find(|secret| secret.path == tenant.path);
        for image in images(inspection, tenant) {
            let name = image.normalized_name();
            let credentials = secret.map(|secret| secret.secret.authorizations(&name)).unwrap_or_default();
            questions.push((place, image, credentials));
        }
    }
    let pulls: Vec<_> = questions
        .iter()
        .map(|(_, image, credentials)| Pull { image, credentials: credentials.iter().collect() })
        .collect();
    let waiting = ui.wait("asking the registry", pulls.len());
    let verdicts = registries.ask(&pulls, &|| waiting.step());
    drop(waiting);
    for ((place, image, _), verdict) in questions.iter().zip(&verdicts) {
        let tenant = &mut tenants[*place];
        let again = crate::advice::Advice::makeinfra("rotate").for_env(tenant.choice);
        let hint = verdict.hint(image, &again).unwrap_or_default();
        let proved = match verdict.standing() {
            Standing::Good => Proved::Yes,
            Standing::Unknown => Proved::Unknown,
            Standing::Absent | Standing::Refused => Proved::No,
        };
        let hint = if proved == Proved::Yes { crate::advice::Advice::default() } else { hint };
        tenant.proofs.push(Proof::new(ID, proved, verdict.message(image), hint));
    }
    for tenant in tenants.iter_mut().filter(|tenant| tenant.is_chosen && tenant.proofs.is_empty()) {
        let hint = crate::advice::Advice::makeinfra("check");
        tenant.proofs.push(Proof::unknown(ID, "no image is known that the pull secret is for", hint));
    }
    Ok(())
}

/// The images that are pulled with the Secret of `tenant`, each once.
fn images<'i>(inspection: &'i Inspection, tenant: &Tenant) -> Vec<&'i ImageRef> {
    let mut images: Vec<&ImageRef> = Vec::new();
    for pull in inspection.manifests.pulls() {
        let is_own = inspection
            .secrets_for(&pull)
            .iter()
            .any(|secret| secret.path == tenant.path && secret.secret.serves(&pull.image.normalized_name()));
        if is_own && !images.contains(&pull.image) {
            images.push(pull.image);
        }
    }
    images
}
