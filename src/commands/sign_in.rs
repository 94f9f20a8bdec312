//! What `new --check` and `rotate --check` share: the registry's word on a token, before anything is written.

use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::cli::CheckOptions;
use crate::error::{Failure, Result};
use crate::pull_secret::DeployToken;
use crate::registry::{Options, Pull, Registries, Standing, Verdict};
use crate::ui::Ui;
use serde_json::{Value, json};

/// The registry's word on a token.
pub(super) struct Checked {
    verdict: Verdict,
    message: String,
}

impl Checked {
    /// A line of a report.
    pub(super) fn line(checked: Option<&Self>) -> String {
        match checked {
            Some(checked) if checked.verdict.standing() == Standing::Good => {
                format!("Checked: {}.\n", checked.message)
            }
            // What is not good has been warned of.
            _ => String::new(),
        }
    }

    /// The same for programs; null where nobody was asked.
    pub(super) fn json(checked: Option<&Self>) -> Value {
        checked.map_or(Value::Null, |checked| json!({"id": checked.verdict.id(), "message": checked.message}))
    }
}

/// Asks registries whether `images` can be pulled with `token`. Fails if it is refused for one of them; where nobody
/// can tell, asks the user or fails. `again` is the command that tries another token.
pub(super) fn check(
    options: &CheckOptions,
    token: &DeployToken,
    images: &[&ImageRef],
    again: &Advice,
    ui: &mut Ui,
) -> Result<Option<Checked>> {
    if !options.check {
        return Ok(None);
    }
    let registry = &options.registry;
    let registries = Registries::new(Options {
        plain_http: registry.plain_http,
        ca_file: registry.ca_file.as_deref(),
        platform: None,
    })?;
    let authorization = token.authorization();
    let pulls: Vec<_> =
        images.iter().map(|image| Pull { image, credentials: vec![&authorization] }).collect();
    let waiting = ui.wait("asking the registry", pulls.len());
    let verdicts = registries.ask(&pulls, &|| waiting.step());
    drop(waiting);
    let mut answers: Vec<_> = verdicts.into_iter().zip(images).collect();
    for (verdict, image) in answers.iter().filter(|(verdict, _)| verdict.standing() == Standing::Absent) {
        ui.warn(format!(
            "{}; {}",
            verdict.message(image),
            verdict.hint(image, again).unwrap_or_default().typed(None)
        ));
    }
    // The worst decides.
    answers.sort_by_key(|(verdict, _)| verdict.standing());
    let Some((verdict, image)) = answers.pop() else {
        return Err(Failure::failed("cannot ask the registry whether the token is good")
            .because("no image is known that it is for")
            .hint("leave `--check` out")
            .into());
    };
    let message = match (verdict.standing(), answers.len()) {
        (Standing::Good, 1..) => format!("all {} images can be pulled", images.len()),
        _ => verdict.message(image),
    };
    let hint = verdict.hint(image, again).unwrap_or_default();
    match verdict.standing() {
        Standing::Good | Standing::Absent => {}
        Standing::Refused => {
            return Err(Failure::failed("the token was refused, nothing was written")
                .because(message)
                .hint(hint)
                .into());
        }
        Standing::Unknown if ui.can_ask() => {
            ui.warn(format!("{message}; {}", hint.typed(None)));
            if ui.decide("It is undetermined whether the token is valid. Continue?", &["no", "yes"])? == "no"
            {
                return Err(Failure::unknown("the token was not checked, nothing was written").into());
            }
        }
        Standing::Unknown => {
            return Err(Failure::unknown("undetermined whether the token is valid; nothing was written")
                .because(message)
                .hint(hint)
                .into());
        }
    }
    Ok(Some(Checked { verdict, message }))
}
