//! A file of a template tree: its name says where it goes, how often, and with which mode.
//!
//! Only whole parts of a path are markers, so that files can have any other name. The files in
//! `COMPONENT/` are rendered for each component, next to that directory; `WORKLOAD.` in it is
//! replaced by the component's kind. `ENV/` and `ENV.` stand for the environments. `secrets/ENV/`
//! is the directory of an environment's Secrets, and `SECRET.` in it the name of the pull secret.
//! `dot_X` becomes `.X`, `executable_X` gets mode 0755, and `X.tera` is rendered.

use super::{Kind, Origin};
use crate::context::{Component, Environment};

const COMPONENT: &str = "COMPONENT";
const WORKLOAD: &str = "WORKLOAD";
const ENVIRONMENT: &str = "ENV";
/// The templates of the environments' Secrets.
const SECRETS_OF_ENVIRONMENT: &str = "secrets/ENV/";
/// The only one of them that contains a token.
const PULL_SECRET: &str = "SECRET.secret.yaml.tera";

/// A file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Path below the top of the tree, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn is_template(&self) -> bool {
        self.path.strip_suffix(".tera").is_some()
    }

    /// Path below the directory of an environment's Secrets; `None` if it is not there.
    fn in_secrets(&self) -> Option<&str> {
        self.path.strip_prefix(SECRETS_OF_ENVIRONMENT)
    }

    /// Whether it contains a token.
    pub(super) fn is_pull_secret(&self) -> bool {
        self.in_secrets() == Some(PULL_SECRET)
    }

    /// Whether it is rendered for each component.
    pub(super) fn is_per_component(&self) -> bool {
        self.path.split('/').any(|part| part == COMPONENT)
    }

    /// Whether it is rendered for each environment.
    pub(super) fn is_per_environment(&self) -> bool {
        self.path.split('/').any(|part| replaced(part, ENVIRONMENT, "").is_some())
    }

    /// The template and its target.
    pub(super) fn origin(&self, component: &Component, environment: &Environment) -> Origin {
        Origin {
            template: self.path.clone(),
            component: self.is_per_component().then(|| component.name().to_owned()),
            environment: self.is_per_environment().then(|| environment.name().to_owned()),
        }
    }

    /// The path and the kind of the rendered file.
    pub(super) fn target(
        &self,
        component: &Component,
        environment: &Environment,
    ) -> (String, Kind) {
        if self.is_pull_secret() {
            return (environment.secret_file().to_owned(), Kind::Secret);
        }
        if let Some(path) = self.in_secrets() {
            let name = path.strip_suffix(".tera").unwrap_or(path);
            return (format!("{}/{name}", environment.secrets()), Kind::Secret);
        }
        let path = self.path.strip_suffix(".tera").unwrap_or(&self.path);
        let mut kind = Kind::Plain;
        let mut parts = Vec::new();
        for part in path.split('/').filter(|part| *part != COMPONENT) {
            let part = match part.strip_prefix("executable_") {
                Some(rest) => {
                    kind = Kind::Executable;
                    rest
                }
                None => part,
            };
            let part =
                replaced(part, ENVIRONMENT, environment.name()).unwrap_or_else(|| part.to_owned());
            parts.push(part.strip_prefix("dot_").map_or(part.clone(), |rest| format!(".{rest}")));
        }
        if let Some(name) = parts.last_mut().filter(|_| self.is_per_component()) {
            let kind = replaced(name, WORKLOAD, component.workload());
            *name = format!("{}{}", component.prefix(), kind.unwrap_or_else(|| name.clone()));
        }
        (parts.join("/"), kind)
    }
}

/// The part of a path with `marker` replaced by `by`, if the part is `marker` or begins with it and
/// a dot; otherwise `None`.
fn replaced(part: &str, marker: &str, by: &str) -> Option<String> {
    let rest = part.strip_prefix(marker).filter(|rest| rest.is_empty() || rest.starts_with('.'))?;
    Some(format!("{by}{rest}"))
}
