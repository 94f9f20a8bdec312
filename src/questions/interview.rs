//! The interview: asks for missing answers, offers the defaults, validates input while it is typed,
//! and allows going back.

use super::Given;
use crate::answers::{Answer, Answers, Environment, EnvironmentName, ImageRef, Name};
use crate::error::Result;
use crate::pull_secret::keyring;
use crate::ui::{Reply, Text, Ui};

/// What to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// An answer.
    Answer(Name),
    /// The names of the environments.
    Environments,
    /// An answer of one environment.
    Of(EnvironmentName, Name),
}

/// Asks for the answers without a default and for the environments, and lets the user change all
/// others.
pub fn ask(given: &mut Given, ui: &Ui) -> Result<()> {
    let mut asked: Vec<Item> = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let item = next(given, &asked);
        let reply = match &item {
            Some(item) => ask_one(given, ui, item, before.take().as_deref(), !asked.is_empty())?,
            None => confirm(given, ui, !asked.is_empty())?,
        };
        match (reply, item) {
            (Reply::Answer(()), Some(item)) => asked.push(item),
            (Reply::Answer(()), None) => return Ok(()),
            (Reply::Back, _) => before = asked.pop().and_then(|item| take_back(given, &item)),
        }
    }
}

/// Lets the user change answers one by one after the plan was declined. Returns whether to make
/// another plan.
pub fn change(given: &mut Given, ui: &Ui) -> Result<bool> {
    let required = [Name::Project, Name::Image].map(Item::Answer);
    let items = required.into_iter().chain(items(given, |_| true)).collect::<Vec<_>>();
    let leave = ("leave", "write nothing");
    change_one(given, ui, "What do you want to change?", &leave, &items)
}

/// The next question; `None` if every answer without a default was asked for.
fn next(given: &Given, asked: &[Item]) -> Option<Item> {
    let needed = first_needed(given).map(Item::Answer);
    let can_have_some = given.environments().is_empty() && !given.has(Name::Namespace);
    needed.or_else(|| {
        (can_have_some && !asked.contains(&Item::Environments)).then_some(Item::Environments)
    })
}

fn first_needed(given: &Given) -> Option<Name> {
    given.needed().next()
}

/// Shows the defaults and lets the user change them.
fn confirm(given: &mut Given, ui: &Ui, has_back: bool) -> Result<Reply<()>> {
    // A known answer is not asked for, even after another answer has changed.
    let known_names: Vec<Name> = Name::ALL.into_iter().filter(|name| given.has(*name)).collect();
    let is_open = |name: Name| !known_names.contains(&name);
    let shown = items(given, is_open);
    if shown.is_empty() {
        return Ok(Reply::Answer(()));
    }
    let answers = given.answers()?;
    let list: Vec<_> = shown
        .iter()
        .map(|item| format!("{}: {}", label(item), value(given, &answers, item)))
        .collect();
    ui.note("Defaults", &list.join("\n"))?;
    let choices = [("yes", "continue with these answers"), ("no", "change some of them")];
    match ui.choose("Are these answers correct?", &choices, 0, has_back)? {
        Reply::Back => return Ok(Reply::Back),
        Reply::Answer(0) => return Ok(Reply::Answer(())),
        Reply::Answer(_) => {}
    }
    let done = ("continue", "with these answers");
    while change_one(given, ui, "What do you want to change?", &done, &items(given, is_open))? {}
    Ok(Reply::Answer(()))
}

/// Asks which of `items` to change, and for its value. `first` is preselected and ends the loop,
/// which returns `false`.
fn change_one(
    given: &mut Given,
    ui: &Ui,
    question: &str,
    first: &(&str, &str),
    items: &[Item],
) -> Result<bool> {
    loop {
        let answers = given.answers()?;
        let rows = items.iter().map(|item| (label(item), value(given, &answers, item)));
        let rows: Vec<(String, String)> =
            std::iter::once((first.0.to_owned(), first.1.to_owned())).chain(rows).collect();
        let choices: Vec<_> =
            rows.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
        let Reply::Answer(place) = ui.choose(question, &choices, 0, false)? else { continue };
        let Some(item) = place.checked_sub(1).and_then(|place| items.get(place)) else {
            return Ok(false);
        };
        let before = given.clone();
        if ask_one(given, ui, item, None, true)? == Reply::Back {
            continue;
        }
        // After a change to a job, for example, answers that do not apply are dropped and new ones
        // are asked for.
        given.drop_unfit();
        while let Some(name) = first_needed(given) {
            ask_one(given, ui, &Item::Answer(name), None, false)?;
        }
        if let Err(error) = given.answers() {
            ui.note("This answer conflicts with the others", &error.to_string())?;
            *given = before;
            continue;
        }
        return Ok(true);
    }
}

/// The items that can be changed, limited to those for which `is_open` is true.
fn items(given: &Given, is_open: impl Fn(Name) -> bool) -> Vec<Item> {
    let environments = given.environments();
    let mut items = Vec::new();
    for name in Name::ALL
        .into_iter()
        .filter(|name| is_asked(*name) && is_open(*name) && given.applies(*name))
    {
        match name {
            Name::Project | Name::Image => {}
            Name::Schedule if !given.has(name) => {}
            Name::Namespace | Name::Context if !environments.is_empty() => {
                items.extend((name == Name::Namespace).then_some(Item::Environments));
                items.extend(environments.iter().map(|one| Item::Of(one.clone(), name)));
            }
            Name::Namespace => items.extend([Item::Environments, Item::Answer(name)]),
            _ => items.push(Item::Answer(name)),
        }
    }
    items
}

/// Whether `name` is asked for: rarely needed answers are options only, and the token's expiry is
/// asked for with the token.
fn is_asked(name: Name) -> bool {
    !matches!(
        name,
        Name::TimeZone
            | Name::Args
            | Name::TlsIssuer
            | Name::ServiceAccount
            | Name::Config
            | Name::ExpiresAt
            | Name::Public
            | Name::CiImage
            | Name::CiRotate
    )
}

/// Asks for `item`. `before` is its answer before the user went back.
fn ask_one(
    given: &mut Given,
    ui: &Ui,
    item: &Item,
    before: Option<&str>,
    has_back: bool,
) -> Result<Reply<()>> {
    let name = match item {
        Item::Environments => return ask_environments(given, ui, before, has_back),
        Item::Of(..) => return ask_of(given, ui, item, has_back),
        Item::Answer(name) => *name,
    };
    let Some(choices) = choices(name) else {
        // Answers without a default are asked for before there are answers. Other defaults depend
        // on what is known so far.
        let has_default = ![Name::Project, Name::Image, Name::Schedule].contains(&name);
        let current = given.text(name).map(str::to_owned);
        let default = if has_default {
            let answers = given.answers()?;
            Some(default(&answers, name)).filter(|_| !name.is_optional() || is_set(&answers, name))
        } else {
            current
        };
        return ask_text(given, ui, name, before.or(default.as_deref()), has_back);
    };
    let current = given.answers().map(|answers| default(&answers, name)).unwrap_or_default();
    let chosen = choices.iter().position(|(value, _)| *value == current).unwrap_or(0);
    Ok(match ui.choose(name.question(), choices, chosen, has_back)? {
        Reply::Back => Reply::Back,
        Reply::Answer(place) => {
            given.set(name, Some(choices[place].0.to_owned()));
            Reply::Answer(())
        }
    })
}

/// The possible values of `name`, each with its meaning; `None` if it is free text.
fn choices(name: Name) -> Option<&'static [(&'static str, &'static str)]> {
    Some(match name {
        Name::PodSecurity => &[
            ("restricted", "non-root, no privileges, read-only root file system"),
            ("baseline", "for images that must run as root"),
        ],
        Name::SecretType => &[
            ("dockercfg", "kubernetes.io/dockercfg, the older format"),
            ("dockerconfigjson", "kubernetes.io/dockerconfigjson, the current format"),
        ],
        Name::Workload => &[
            ("deployment", "runs all the time: a web service, a worker"),
            ("cronjob", "runs on a schedule"),
            ("job", "runs once per image: a migration"),
        ],
        Name::Tls => &[
            ("no", "plain HTTP, or TLS ends before the Ingress"),
            ("yes", "certificate in the Secret PROJECT-tls"),
        ],
        Name::Ci => &[
            ("gitlab", "GitLab CI/CD: checks every push, deploys on request"),
            ("none", "no pipeline: you deploy by hand"),
        ],
        _ => return None,
    })
}

fn ask_text(
    given: &mut Given,
    ui: &Ui,
    name: Name,
    default: Option<&str>,
    has_back: bool,
) -> Result<Reply<()>> {
    let image: Option<ImageRef> = given.get(Name::Image)?;
    let is_none = |text: &str| name.is_optional() && text == "none";
    let check = |text: &str| {
        if is_none(text) {
            return Ok(());
        }
        name.check(text)?;
        match (&image, name) {
            (Some(image), Name::Registry) if !keyring::matches(text, image) => {
                Err("must match the image, otherwise the kubelet pulls without credentials")
            }
            _ => Ok(()),
        }
    };
    let example = match name {
        Name::Image => given.example_image()?,
        _ => (default.is_none() && !name.is_optional()).then(|| name.example().to_owned()),
    };
    let question = Text {
        question: name.question(),
        default,
        example: example.as_deref(),
        is_optional: name.is_optional(),
        has_back,
    };
    Ok(match ui.text(&question, check)? {
        Reply::Back => Reply::Back,
        Reply::Answer(text) => {
            given.set(name, Some(text).filter(|text| !text.is_empty() && !is_none(text)));
            Reply::Answer(())
        }
    })
}

fn ask_environments(
    given: &mut Given,
    ui: &Ui,
    before: Option<&str>,
    has_back: bool,
) -> Result<Reply<()>> {
    let names = |text: &str| {
        let mut names: Vec<EnvironmentName> = Vec::new();
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let name = EnvironmentName::parse(word)?;
            if names.contains(&name) {
                return Err("must be different names");
            }
            names.push(name);
        }
        Ok(names)
    };
    let question = Text {
        question: "Environments (none: one environment without a name)",
        default: before.filter(|text| !text.is_empty()),
        example: Some("staging production"),
        is_optional: true,
        has_back,
    };
    Ok(match ui.text(&question, |text| names(text).map(drop))? {
        Reply::Back => Reply::Back,
        Reply::Answer(text) => {
            given.set_environments(names(&text).unwrap_or_default());
            Reply::Answer(())
        }
    })
}

fn ask_of(given: &mut Given, ui: &Ui, item: &Item, has_back: bool) -> Result<Reply<()>> {
    let Item::Of(environment, name) = item else { return Ok(Reply::Back) };
    let answers = given.answers()?;
    let asked = format!("{} of {environment}", name.question());
    let default = Some(value(given, &answers, item)).filter(|_| !name.is_optional());
    let question = Text {
        question: &asked,
        default: default.as_deref(),
        example: None,
        is_optional: name.is_optional(),
        has_back,
    };
    Ok(match ui.text(&question, |text| name.check(text))? {
        Reply::Back => Reply::Back,
        Reply::Answer(text) => {
            given.set_of(environment, *name, Some(text).filter(|text| !text.is_empty()));
            Reply::Answer(())
        }
    })
}

/// Removes the answer to `item`, and returns it.
fn take_back(given: &mut Given, item: &Item) -> Option<String> {
    match item {
        Item::Answer(name) => given.unset(*name),
        Item::Environments => {
            let names: Vec<_> = given.environments().iter().map(ToString::to_string).collect();
            given.set_environments(Vec::new());
            Some(names.join(" "))
        }
        Item::Of(..) => None,
    }
}

fn label(item: &Item) -> String {
    match item {
        Item::Answer(name) => name.as_str().to_owned(),
        Item::Environments => "environments".to_owned(),
        Item::Of(environment, name) => format!("{} of {environment}", name.as_str()),
    }
}

/// The current value of `item`, for display.
fn value(given: &Given, answers: &Answers, item: &Item) -> String {
    match item {
        Item::Answer(name) => default(answers, *name),
        Item::Environments => match given.environments().as_slice() {
            [] => "one without a name".to_owned(),
            names => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        },
        Item::Of(environment, name) => {
            let one = answers.environments.iter().find(|one| one.name == *environment);
            one.map_or_else(String::new, |one| match name {
                Name::Context => context(one),
                _ => one.namespace.to_string(),
            })
        }
    }
}

fn context(environment: &Environment) -> String {
    environment
        .context
        .as_ref()
        .map_or_else(|| "the current context".to_owned(), ToString::to_string)
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

/// The default for `name`, for display.
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
        Name::HealthPath => {
            answers.main().health_path.as_ref().map_or_else(none, ToString::to_string)
        }
        Name::PodSecurity => answers.pod_security.as_str().to_owned(),
        Name::SecretName => answers.secret_name.to_string(),
        Name::SecretType => answers.secret_type.as_str().to_owned(),
        Name::Email => answers.email.as_ref().map_or_else(none, ToString::to_string),
        Name::Context => context(&answers.environments.first),
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
        | Name::Config
        | Name::Public
        | Name::CiImage
        | Name::CiRotate => none(),
        Name::Ci => answers.ci.as_str().to_owned(),
        Name::Output => Name::Output.example().to_owned(),
    }
}
