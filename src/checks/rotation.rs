//! Commands that provide credentials for an image, for checks and diagnoses.

use super::EnvironmentHint;
use crate::advice::Advice;
use crate::answers::{Answer, ImageRef, RegistryKey};
use crate::inspection::{Inspection, PullSecret};
use crate::pull_secret::keyring;

/// The command after which one of `secrets`, none of which serves `image`, does. `secrets` must not
/// be empty.
#[must_use]
pub fn key_for(inspection: &Inspection, image: &ImageRef, secrets: &[&PullSecret]) -> Advice {
    let path = &secrets[0].path;
    let ours = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let is_rotated = ours.is_some() && inspection.is_rotated(path);
    let advice = if is_rotated {
        Advice::from(format!("{{makeinfra {}}}", rotation(inspection, image, secrets)).as_str())
    } else {
        Advice::edit(path).why(format!("the registry key is {}", RegistryKey::for_image(image)))
    };
    EnvironmentHint::of_file(inspection, path).with_env(advice)
}

/// The command that changes the credentials for `image`: in the entry of `secrets` that serves it,
/// or in a new entry, the project's own or a further one.
pub(super) fn rotation(
    inspection: &Inspection,
    image: &ImageRef,
    secrets: &[&PullSecret],
) -> String {
    let (name, for_image) = (image.normalized_name(), RegistryKey::for_image(image));
    let answers = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let own = answers.map(|record| &record.answers.registry);
    let is_own_host =
        || answers.is_some_and(|record| record.answers.image().host() == image.host());
    let serving = secrets
        .iter()
        .find_map(|secret| keyring::matching_name(secret.secret.keys(), &name).first().copied());
    match (serving.map(RegistryKey::parse), own) {
        (Some(Ok(key)), Some(own)) if key == *own => "rotate".to_owned(),
        (Some(Ok(key)), Some(_)) => format!("rotate --registry {key}"),
        (None, Some(own)) if !own.is_same(&for_image) && !is_own_host() => {
            format!("rotate --add-registry {for_image}")
        }
        (None, _) => format!("rotate --registry {for_image}"),
        _ => "rotate".to_owned(),
    }
}
