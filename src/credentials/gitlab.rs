//! The credential for GitLab's API, and the GitLab that it may be sent to: only one that the user
//! typed, set in `GITLAB_HOST`, confirmed on a terminal, or stored the credential for with glab. A
//! repository's record grants no permission.

use super::{from_variable, token_file, without_line_break};
use crate::answers::{Answer, Instance, TokenKind};
use crate::environment;
use crate::error::{Failure, Result};
use crate::files;
use crate::secret::Secret;
use crate::ui::Ui;
use crate::yaml;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Size limit for glab's configuration, far above any real one.
const LIMIT: usize = 1 << 20;

/// The user's options about the credential.
#[derive(Debug, Default)]
pub struct Access<'a> {
    /// `--gitlab-host`.
    pub host: Option<Instance>,
    /// `--gitlab-token-file`.
    pub file: Option<&'a Path>,
    /// `--gitlab-token-env`.
    pub variable: Option<&'a str>,
}

/// A credential that may be sent to one GitLab.
pub struct ApiCredential {
    /// The URL of that GitLab's API.
    pub instance: Instance,
    /// The credential: an access token with the scope `api`.
    pub value: Secret,
    /// A file of authorities that the user stored for it, and the source of that setting.
    pub authorities: Option<(&'static str, PathBuf)>,
}

impl Access<'_> {
    /// The credential for `wanted`, from the first of: option, `GITLAB_TOKEN`, glab, a hidden
    /// prompt.
    pub fn credential(&self, wanted: &Instance, ui: &mut Ui) -> Result<ApiCredential> {
        let set = host_variable()?;
        let allowed =
            self.host.clone().or_else(|| set.clone()).unwrap_or_else(Instance::gitlab_com);
        let found = match (self.file, self.variable) {
            (Some(file), _) => Some((
                format!("in `{}`", file.display()),
                token_file(file, "--gitlab-token-file", ui)?,
            )),
            (None, Some(variable)) => {
                let text = from_variable(variable, "--gitlab-token-env")?;
                Some((format!("in `${variable}`"), text))
            }
            (None, None) => None,
        };
        if let Some((place, text)) = found {
            let value = checked(text, &format!("the access token {place}"))?;
            if allowed != *wanted {
                agree(&format!("the access token {place}"), wanted, ui)?;
            }
            return Ok(ApiCredential::new(wanted, value));
        }
        if set.unwrap_or_else(Instance::gitlab_com) == *wanted
            && let Some(text) = environment::text("GITLAB_TOKEN")
        {
            let value = checked(Zeroizing::new(text), "the access token in `$GITLAB_TOKEN`")?;
            return Ok(ApiCredential::new(wanted, value));
        }
        if let Some(stored) = from_glab(wanted)? {
            return Ok(stored);
        }
        if !ui.can_ask() {
            let known = environment::text("GITLAB_TOKEN").is_some();
            let cause = if known {
                "`$GITLAB_TOKEN` is for `$GITLAB_HOST`, or for gitlab.com if that is not set"
            } else {
                "neither `$GITLAB_TOKEN` nor glab has one, and makeinfra cannot prompt for it"
            };
            return Err(Failure::usage(format!("no access token for {wanted}"))
                .because(cause)
                .hint(format!("--gitlab-host {wanted} --gitlab-token-file FILE"))
                .into());
        }
        let question = format!("Access token for {wanted} (scope api)");
        let text = ui.hidden(&question, |text| rule(text).map_or(Ok(()), Err))?;
        Ok(ApiCredential::new(wanted, checked(text, "the access token")?))
    }

    /// The environment variable with the access token, and the GitLab that its owner set for it;
    /// `None` if no variable has it. For programs that read the variable themselves.
    pub fn in_variable(&self) -> Result<Option<(Instance, &str)>> {
        let set = host_variable()?;
        let Some(variable) = self.variable else {
            let has_usual = self.file.is_none() && environment::text("GITLAB_TOKEN").is_some();
            let usual = (set.unwrap_or_else(Instance::gitlab_com), "GITLAB_TOKEN");
            return Ok(has_usual.then_some(usual));
        };
        checked(
            from_variable(variable, "--gitlab-token-env")?,
            &format!("the access token in `${variable}`"),
        )?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !variable.bytes().all(is_word)
            || variable.starts_with(|first: char| first.is_ascii_digit())
        {
            let failure = Failure::usage("`--gitlab-token-env` must be a valid variable name");
            return Err(failure.hint("--gitlab-token-env GITLAB_TOKEN").into());
        }
        Ok(Some((self.host.clone().or(set).unwrap_or_else(Instance::gitlab_com), variable)))
    }
}

impl ApiCredential {
    fn new(instance: &Instance, value: Secret) -> Self {
        let authorities = job_authorities().map(|file| ("`$CI_SERVER_TLS_CA_FILE`", file));
        Self { instance: instance.clone(), value, authorities }
    }
}

/// The authorities of the GitLab that runs this job; `None` if this is not a job, or its GitLab has
/// no authorities of its own.
#[must_use]
pub fn job_authorities() -> Option<PathBuf> {
    environment::text("GITLAB_CI")?;
    environment::path("CI_SERVER_TLS_CA_FILE").filter(|file| file.is_file())
}

/// The GitLab in `GITLAB_HOST`, a host or a URL as for glab.
fn host_variable() -> Result<Option<Instance>> {
    let Some(text) = environment::text("GITLAB_HOST") else { return Ok(None) };
    let instance = Instance::parse(&text).map_err(|rule| {
        Failure::usage(format!("`$GITLAB_HOST` {rule}"))
            .hint(format!("export GITLAB_HOST={}", Instance::EXAMPLE))
    })?;
    Ok(Some(instance))
}

/// Asks whether `what` may be sent to a GitLab that only the repository or its registry has named.
fn agree(what: &str, wanted: &Instance, ui: &Ui) -> Result<()> {
    if ui.can_ask() {
        if ui.decide(&format!("Send {what} to {wanted}?"), &["no", "yes"])? == "yes" {
            return Ok(());
        }
        return Err(Failure::failed(format!("{what} was not sent to {wanted}")).into());
    }
    Err(Failure::usage(format!("{what} is not for {wanted}"))
        .because("only the repository or its registry names that GitLab, and both may be untrusted")
        .hint(format!("--gitlab-host {wanted}"))
        .into())
}

/// The rule that a credential breaks; `None` if it is valid.
fn rule(text: &str) -> Option<&'static str> {
    match TokenKind::of(text) {
        Some(TokenKind::Deploy) => Some("must be an access token, but this is a deploy token"),
        Some(TokenKind::Job) => {
            Some("must be an access token: a CI job token cannot create deploy tokens")
        }
        _ if text.is_empty() => Some("must not be empty"),
        _ if text.len() > 4096 || !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some("must be one line of printable characters")
        }
        _ => None,
    }
}

fn checked(text: Zeroizing<String>, name: &str) -> Result<Secret> {
    let value = Secret::new(without_line_break(text));
    match rule(value.expose()) {
        None => Ok(value),
        Some(rule) => Err(Failure::usage(format!("{name} {rule}"))
            .hint("--gitlab-token-file FILE, with a file that contains only the access token")
            .into()),
    }
}

/// glab's `config.yml` (gitlab-org/cli `internal/config`).
#[derive(Deserialize)]
struct Glab {
    #[serde(default)]
    hosts: BTreeMap<String, Option<GlabHost>>,
}

#[derive(Deserialize)]
struct GlabHost {
    token: Option<Zeroizing<String>>,
    api_host: Option<String>,
    api_protocol: Option<String>,
    subfolder: Option<String>,
    ca_cert: Option<PathBuf>,
}

/// The credential that glab has stored for `wanted`; `None` if there is none.
fn from_glab(wanted: &Instance) -> Result<Option<ApiCredential>> {
    for file in glab_files() {
        let Some(bytes) = files::read(&file, LIMIT)? else { continue };
        // A file in another format counts as absent; the parser's message could quote a token.
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        // glab keeps the tag of the empty value that was there before.
        let text = Zeroizing::new(text.replace("!!null ", ""));
        let Ok(config) = yaml::read::<Glab>(&text) else { continue };
        for (name, host) in config.hosts {
            let Some(host) = host else { continue };
            let Some(text) = host.token.clone().filter(|token| !token.is_empty()) else { continue };
            let Some((known, instance)) = host.instances(&name) else { continue };
            if known != *wanted && instance != *wanted {
                continue;
            }
            let value = checked(text, &format!("the token for {name} in `{}`", file.display()))?;
            let own = ApiCredential::new(&instance, value);
            let authorities =
                host.ca_cert.map(|file| ("glab's `ca_cert`", file)).or(own.authorities);
            return Ok(Some(ApiCredential { authorities, ..own }));
        }
    }
    Ok(None)
}

impl GlabHost {
    /// The GitLab called `name` in the configuration, and the URL of its API.
    fn instances(&self, name: &str) -> Option<(Instance, Instance)> {
        let scheme = self.api_protocol.as_deref().unwrap_or("https");
        let below = self.subfolder.as_deref().unwrap_or_default().trim_matches('/');
        let at = |host: &str| {
            Instance::parse(&format!("{scheme}://{}/{below}", host.trim_end_matches('/'))).ok()
        };
        let known = at(name)?;
        let api = self.api_host.as_deref().map_or(Some(known.clone()), at)?;
        Some((known, api))
    }
}

/// The files that glab reads, in its order.
fn glab_files() -> Vec<PathBuf> {
    if let Some(dir) = environment::path("GLAB_CONFIG_DIR") {
        return vec![dir.join("config.yml")];
    }
    let home = environment::home().map(|home| home.join(".config"));
    let dirs = home.into_iter().chain(environment::config_home());
    let mut found: Vec<PathBuf> = Vec::new();
    for file in dirs.map(|dir| dir.join("glab-cli/config.yml")) {
        if !found.contains(&file) {
            found.push(file);
        }
    }
    found
}
