//! Shared by `new --check` and `rotate --check`: tries a token at the registry before anything is
//! written.

use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::cli::{CheckOptions, RegistryOptions};
use crate::error::{Failure, Kind, Result};
use crate::interrupt::Interrupts;
use crate::pull_secret::DeployToken;
use crate::registry::{Options, PullQuestion, Registries, Standing, Verdict};
use crate::ui::Ui;
use serde_json::{Value, json};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The registry's answer about a token.
#[derive(Clone)]
pub(super) struct SignInCheck {
    verdict: Verdict,
    message: String,
}

impl SignInCheck {
    /// The line of a report.
    pub(super) fn line(checked: Option<&Self>) -> String {
        match checked {
            Some(checked) if checked.verdict.standing() == Standing::Good => {
                format!("Checked: {}.\n", checked.message)
            }
            // Other verdicts were reported as warnings.
            _ => String::new(),
        }
    }

    /// The JSON value; null if no registry was asked.
    pub(super) fn json(checked: Option<&Self>) -> Value {
        checked.map_or(
            Value::Null,
            |checked| json!({"id": checked.verdict.id(), "message": checked.message}),
        )
    }
}

/// Asks registries whether `images` can be pulled with `token`. Fails if one refuses the token; if
/// the answer is undetermined, asks the user or fails. `again` is the command that tries another
/// token.
pub(super) fn check(
    options: &CheckOptions,
    token: &DeployToken,
    images: &[&ImageRef],
    again: &Advice,
    ui: &mut Ui,
) -> Result<Option<SignInCheck>> {
    if !options.check {
        return Ok(None);
    }
    let verdicts = ask(&registries(&options.registry)?, token, images, ui);
    judge(verdicts, images, again, "the registry refused the token; nothing was written", None, ui)
        .map(Some)
}

/// Registries' verdicts on one token, for the images of several repositories.
pub(super) struct RegistryVerdicts(Vec<(ImageRef, Verdict)>);

/// Asks registries about `images`, up to `jobs` at the same time.
pub(super) fn ask_once(
    options: &CheckOptions,
    jobs: usize,
    token: &DeployToken,
    mut images: Vec<ImageRef>,
    ui: &Ui,
) -> Result<RegistryVerdicts> {
    let registries = registries(&options.registry)?.at_once(jobs);
    images.sort_by_cached_key(ToString::to_string);
    images.dedup();
    let verdicts = ask(&registries, token, &images.iter().collect::<Vec<_>>(), ui);
    Ok(RegistryVerdicts(images.into_iter().zip(verdicts).collect()))
}

impl RegistryVerdicts {
    /// Judges the verdicts on the `images` of the repository at `root`, as [`check`] does.
    pub(super) fn judge(
        &self,
        images: &[&ImageRef],
        again: &Advice,
        root: &Path,
        ui: &mut Ui,
    ) -> Result<SignInCheck> {
        let known =
            images.iter().filter_map(|image| self.0.iter().find(|(asked, _)| asked == *image));
        let (images, verdicts): (Vec<_>, Vec<_>) =
            known.map(|(image, verdict)| (image, verdict.clone())).unzip();
        judge(
            verdicts,
            &images,
            again,
            "the registry refused the token; nothing was written",
            Some(root),
            ui,
        )
    }
}

/// Like [`check`], for a token that GitLab has just issued: the registry may not accept it for some
/// seconds.
pub(super) fn check_fresh(
    options: &RegistryOptions,
    token: &DeployToken,
    images: &[&ImageRef],
    again: &Advice,
    ui: &mut Ui,
) -> Result<SignInCheck> {
    let registries = registries(options)?;
    let mut verdicts = ask(&registries, token, images, ui);
    for pause in PAUSES.map(Duration::from_secs) {
        if !verdicts.iter().any(|verdict| verdict.standing() == Standing::Refused) {
            break;
        }
        pause_for(pause)?;
        verdicts = ask(&registries, token, images, ui);
    }
    judge(
        verdicts,
        images,
        again,
        "the registry refuses the token that GitLab has just created; nothing was written",
        None,
        ui,
    )
}

/// Waits. A signal ends the wait with an error, so that the token is revoked.
fn pause_for(pause: Duration) -> Result<()> {
    let interrupts = Interrupts::hold()?;
    let end = Instant::now() + pause;
    while Instant::now() < end {
        interrupts.check()?;
        thread::sleep(Duration::from_millis(50));
    }
    interrupts.check()
}

/// Seconds between attempts with a new token: five attempts within 30 seconds.
const PAUSES: [u64; 4] = [1, 3, 8, 16];

/// Prepares to ask registries.
pub(super) fn registries(options: &RegistryOptions) -> Result<Registries> {
    Registries::new(Options {
        plain_http: options.plain_http,
        ca_file: options.ca_file.as_deref(),
        platform: None,
    })
}

fn ask(
    registries: &Registries,
    token: &DeployToken,
    images: &[&ImageRef],
    ui: &Ui,
) -> Vec<Verdict> {
    let authorization = token.authorization();
    let pulls: Vec<_> = images
        .iter()
        .map(|image| PullQuestion { image, credentials: vec![&authorization] })
        .collect();
    let waiting = ui.wait("contacting the registry", pulls.len());
    registries.ask(&pulls, &|| waiting.step())
}

/// Turns the `verdicts` of registries on `images` into a result. `refused` describes a refused
/// token. Hints are for the repository at `root`; `None` is the current directory.
fn judge(
    verdicts: Vec<Verdict>,
    images: &[&ImageRef],
    again: &Advice,
    refused: &str,
    root: Option<&Path>,
    ui: &mut Ui,
) -> Result<SignInCheck> {
    let mut answers: Vec<_> = verdicts.into_iter().zip(images).collect();
    for (verdict, image) in
        answers.iter().filter(|(verdict, _)| verdict.standing() == Standing::Absent)
    {
        ui.warn(format!(
            "{}; {}",
            verdict.message(image),
            verdict.hint(image, again).unwrap_or_default().typed(root)
        ));
    }
    // The worst verdict decides.
    answers.sort_by_key(|(verdict, _)| verdict.standing());
    let Some((verdict, image)) = answers.pop() else {
        return Err(Failure::failed("cannot check the token with the registry")
            .because("no image found that it is used for")
            .hint("omit `--check`")
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
            let kind = if verdict.refuses_login() { Kind::RefusedToken } else { Kind::Failed };
            return Err(Failure::failed(refused).kind(kind).because(message).hint(hint).into());
        }
        Standing::Unknown if ui.can_ask() => {
            ui.warn(format!("{message}; {}", hint.typed(root)));
            if ui.decide(
                "Could not determine whether the token is valid. Continue?",
                &["no", "yes"],
            )? == "no"
            {
                return Err(
                    Failure::unknown("the token was not checked; nothing was written").into()
                );
            }
        }
        Standing::Unknown => {
            return Err(Failure::unknown(
                "cannot determine whether the token is valid; nothing was written",
            )
            .because(message)
            .hint(hint)
            .into());
        }
    }
    Ok(SignInCheck { verdict, message })
}
