//! The conversation: asks for what is missing, offers the defaults, checks while it is typed.

use super::Given;
use crate::answers::{Answers, ImageRef, Name};
use crate::error::Result;
use crate::pull_secret::keyring;
use crate::ui::Ui;

/// Asks for the answers that nobody can do without, and, if the user wants to, for all others.
pub fn ask(given: &mut Given, ui: &Ui) -> Result<()> {
    let mut needed: Vec<_> = given.needed().collect();
    while let Some(name) = needed.first().copied() {
        let default = if name == Name::Image { given.default_image()? } else { None };
        ask_text(given, ui, name, default.as_deref())?;
        needed = given.needed().collect();
    }
    let answers = given.answers()?;
    let open: Vec<_> = Name::ALL.into_iter().filter(|name| is_asked(*name) && !given.has(*name)).collect();
    let shown = open.iter().filter(|name| given.applies(**name));
    let defaults: Vec<_> =
        shown.map(|name| format!("{}: {}", name.as_str(), default(&answers, *name))).collect();
    if defaults.is_empty() {
        return Ok(());
    }
    ui.note("Defaults", &defaults.join("\n"))?;
    if ui.choose("Are these right?", &[("yes", "go on with them"), ("no", "ask me one by one")])? == "no" {
        for name in open {
            // What a job does not have is not asked once it is one.
            if given.applies(name) {
                ask_one(given, ui, name)?;
            }
        }
    }
    Ok(())
}

/// Whether there is a question for `name`: what few need is an option alone.
fn is_asked(name: Name) -> bool {
    !matches!(name, Name::TimeZone | Name::Args | Name::TlsIssuer | Name::ServiceAccount | Name::Config)
}

fn ask_one(given: &mut Given, ui: &Ui, name: Name) -> Result<()> {
    let choices: &[_] = match name {
        Name::PodSecurity => &[
            ("restricted", "non-root, no privileges, read-only root file system"),
            ("baseline", "for images that must run as root"),
        ],
        Name::SecretType => &[
            ("dockercfg", "kubernetes.io/dockercfg, the older form"),
            ("dockerconfigjson", "kubernetes.io/dockerconfigjson, today's form"),
        ],
        Name::Workload => &[
            ("deployment", "it runs all the time: a web service, a worker"),
            ("cronjob", "it runs on a schedule"),
            ("job", "it runs once for each image: a migration"),
        ],
        Name::Tls => &[
            ("no", "plain http, or TLS ends before the Ingress"),
            ("yes", "the certificate is in the Secret PROJECT-tls"),
        ],
        // It has no default, and without one there are no answers yet.
        Name::Schedule => return ask_text(given, ui, name, None),
        Name::Ci => &[
            ("gitlab", "GitLab CI/CD: .gitlab-ci.yml checks every push, and deploys when told to"),
            ("none", "no pipeline: people deploy"),
        ],
        _ => {
            // Asked again from what is known by now: a namespace follows the project, for example.
            let answers = given.answers()?;
            let default =
                Some(default(&answers, name)).filter(|_| !name.is_optional() || is_set(&answers, name));
            return ask_text(given, ui, name, default.as_deref());
        }
    };
    let choice = ui.choose(name.question(), choices)?;
    given.set(name, Some(choice.to_owned()));
    Ok(())
}

fn ask_text(given: &mut Given, ui: &Ui, name: Name, default: Option<&str>) -> Result<()> {
    let image: Option<ImageRef> = given.get(Name::Image)?;
    let check = move |text: &str| {
        if name.typed(text.to_owned()).is_none() {
            return Ok(());
        }
        name.check(text)?;
        match (&image, name) {
            (Some(image), Name::Registry) if !keyring::matches(text, image) => {
                Err("must match the image, or the kubelet would pull without credentials")
            }
            _ => Ok(()),
        }
    };
    let text = ui.text(name.question(), default, name.is_optional(), Box::new(check))?;
    given.set(name, name.typed(text).filter(|text| !text.is_empty()));
    Ok(())
}

fn is_set(answers: &Answers, name: Name) -> bool {
    match name {
        Name::Port => answers.main().port.is_some(),
        Name::Ingress => answers.main().ingress.is_some(),
        Name::HealthPath => answers.main().health_path.is_some(),
        Name::Email => answers.email.is_some(),
        Name::Context => answers.environments.first.context.is_some(),
        _ => false,
    }
}

/// The default for `name`, as it is shown.
fn default(answers: &Answers, name: Name) -> String {
    let none = || "none".to_owned();
    match name {
        Name::Project => answers.project.to_string(),
        Name::Image => answers.image().to_string(),
        Name::Registry => answers.registry.to_string(),
        Name::Namespace => answers.environments.first.namespace.to_string(),
        Name::Workload => answers.main().workload.as_str().to_owned(),
        Name::Port => answers.main().port.map_or_else(none, |port| port.to_string()),
        Name::Tls => if answers.main().tls { "yes" } else { "no" }.to_owned(),
        Name::Replicas => answers.main().replicas.to_string(),
        Name::Ingress => answers.main().ingress.as_ref().map_or_else(none, ToString::to_string),
        Name::HealthPath => answers.main().health_path.as_ref().map_or_else(none, ToString::to_string),
        Name::PodSecurity => answers.pod_security.as_str().to_owned(),
        Name::SecretName => answers.secret_name.to_string(),
        Name::SecretType => answers.secret_type.as_str().to_owned(),
        Name::Email => answers.email.as_ref().map_or_else(none, ToString::to_string),
        Name::Context => answers.environments.first.context.as_ref().map_or_else(none, ToString::to_string),
        Name::ExpiresAt
        | Name::Environment
        | Name::Protect
        | Name::Secrets
        | Name::Component
        | Name::Schedule
        | Name::TimeZone
        | Name::Args
        | Name::TlsIssuer
        | Name::ServiceAccount
        | Name::Config => none(),
        Name::Ci => answers.ci.as_str().to_owned(),
        Name::Output => Name::Output.example().to_owned(),
    }
}
