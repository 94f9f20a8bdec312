//! Problems of an answers file, for its user: the position and the rule, never a value.

use super::{CONFIG_NAMES, INGRESS_DOMAIN, quoted};
use crate::answers::{Component, Environment, FileFault, Name, Sheet};
use crate::error::Failure;
use std::path::Path;

/// The failure, with a hint that is based on the names in `allowed`.
pub(super) fn file_failure(file: &Path, fault: &FileFault, allowed: &[Name]) -> anyhow::Error {
    let (fault, place, allowed) = match fault {
        FileFault::In(section, entry, fault) => {
            let names: &[Name] = match *section {
                Sheet::ENVIRONMENTS => &Environment::NAMES,
                _ => &Component::NAMES,
            };
            let entry = entry.as_ref().map_or_else(String::new, |entry| format!(".{entry}"));
            (&**fault, format!("{section}{entry}"), names)
        }
        fault => (fault, String::new(), allowed),
    };
    let it = if place.is_empty() { "it".to_owned() } else { format!("`{place}`") };
    let below =
        |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    let failure = Failure::usage(format!("cannot use `{}`", file.display()));
    let names = || {
        // The config file has one more name, and lacks some of the others.
        let own = (allowed.len() == CONFIG_NAMES.len()).then_some(INGRESS_DOMAIN);
        let sections = Sheet::SECTIONS.into_iter().filter(|_| allowed.len() == Name::ALL.len());
        let names = allowed
            .iter()
            .map(|name| name.as_str())
            .filter(|name| *name != Name::Component.as_str());
        names.chain(own).chain(sections).collect::<Vec<_>>().join(", ")
    };
    let failure = match fault {
        FileFault::NotAMapping(Some((line, column))) => failure
            .because(format!("invalid YAML at line {line}, column {column}"))
            .hint("project: hello"),
        FileFault::NotAMapping(None) => failure
            .because(format!("{it} must be a YAML mapping, `name: value`"))
            .hint("project: hello"),
        FileFault::Depth => failure.because("it is nested too deeply").hint("project: hello"),
        FileFault::Twice => failure.because("it contains a name twice").hint("remove one of them"),
        FileFault::Unknown(Some(name)) if name.contains("token") => failure
            .because(format!("`{name}` is not an answer: an answers file must not contain secrets"))
            .hint("pass the token with an option: --token-file FILE, --token-stdin, …"),
        FileFault::Unknown(Some(name)) => failure
            .because(format!("{it} contains the unknown name `{name}`"))
            .hint(format!("names: {}", names())),
        FileFault::Unknown(None) => failure
            .because(format!("{it} contains an unknown name"))
            .hint(format!("names: {}", names())),
        FileFault::Section(rule) => {
            failure.because(format!("{it} {rule}")).hint(match place.as_str() {
                Sheet::ENVIRONMENTS => {
                    "environments: {staging: {replicas: 1}, production: {replicas: 3}}"
                }
                _ => "components: {worker: {port: null, args: [work]}}",
            })
        }
        FileFault::EntryName(rule) => {
            failure.because(format!("a name in {it} {rule}")).hint(match place.as_str() {
                Sheet::ENVIRONMENTS => "environments: {staging: {replicas: 1}}",
                _ => "components: {worker: {port: null}}",
            })
        }
        FileFault::Value(name, rule) => failure
            .because(format!("`{}` {rule}", below(name.as_str())))
            .hint(format!("{}: {}", name.as_str(), quoted(*name))),
        // Sections are not nested.
        FileFault::In(..) => failure,
    };
    failure.into()
}
