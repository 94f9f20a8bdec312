//! How `.makeinfra.yaml` follows the pull secret.

use crate::answers::{Email, Name, Record};
use crate::error::{Failure, Result};
use crate::pull_secret::{Manifest, Rewrite};
use crate::rotation::Wishes;
use crate::secret::Secret;
use crate::yaml_edit;

/// `.makeinfra.yaml` in step with the Secret file of the environment at `place`; `None` if it is so already. Its answers
/// about pull secrets are those of all environments, so only the first Secret changes them.
pub(super) fn follow(
    record: &Record,
    place: usize,
    wishes: &Wishes,
    secret: &Secret,
) -> Result<Option<String>> {
    if place > 0 {
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
    let email = answers.email.as_ref().map_or("", Email::as_str);
    let mut text = record.text.clone();
    for (name, recorded, held) in [
        (Name::Registry, answers.registry.as_str(), Some(key)),
        (Name::SecretType, answers.secret_type.as_str(), Some(manifest.kind().as_str())),
        (Name::Email, email, manifest.config().email(key)),
    ] {
        if let Some(held) = held.filter(|held| *held != recorded && name.check(held).is_ok()) {
            text = yaml_edit::set(&text, &["answers", name.as_str()], held).map_err(cannot)?.to_string();
        }
    }
    Ok((text != record.text).then_some(text))
}
