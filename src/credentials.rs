//! Sources of a deploy token: standard input, a file, an environment variable, a prompt, GitLab's
//! JSON, a docker login, a CI job.
//!
//! Only reads. No error quotes anything that was read.

mod docker_login;
mod gitlab;
mod opaque_value;

pub use gitlab::{Access, ApiCredential, job_authorities};
pub use opaque_value::OpaqueSource;

use crate::advice::Advice;
use crate::answers::{Answer, Expiry, ImageRef, Name, RegistryKey, TokenUsername};
use crate::environment;
use crate::error::{Failure, Result};
use crate::files;
use crate::pull_secret::{DeployToken, JOB_TOKEN, ShortLived, begins_like_a_token, check_value};
use crate::secret::Secret;
use crate::ui::{Reply, Text, Ui};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Size limit, above any token and any docker config.
const LIMIT: usize = 4 << 20;

/// The source of a token.
#[derive(Debug)]
pub enum Source {
    /// A user name and a value.
    Pair(Option<TokenUsername>, Value),
    /// GitLab's answer to the creation of a token; `-` is standard input.
    Json(PathBuf),
    /// A login stored by `docker login` or podman, in the given file or in the usual ones.
    DockerConfig(Option<PathBuf>),
    /// The variables of a CI job.
    Ci,
}

/// The source of a token's value.
#[derive(Debug)]
pub enum Value {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A hidden prompt.
    Prompt,
}

impl Source {
    /// Whether it reads standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        matches!(self, Self::Pair(_, Value::Stdin))
            || matches!(self, Self::Json(file) if is_dash(file))
    }

    /// The options that it lacks and would have to ask for.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let Self::Pair(username, value) = self else { return Vec::new() };
        let mut missing = Vec::new();
        missing.extend(username.is_none().then_some("--token-username"));
        missing.extend(
            matches!(value, Value::Prompt)
                .then_some("--token-file (or --token-stdin, --token-env)"),
        );
        missing
    }

    /// Reads the token for `registry`. `is_asked` if the registry will verify it, whatever it looks
    /// like. The token expires at `expires_at`; without that, a user who is asked for the token is
    /// also asked for its expiry.
    pub fn read(
        self,
        registry: &RegistryKey,
        image: Option<&ImageRef>,
        is_asked: bool,
        expires_at: Option<Expiry>,
        ui: &mut Ui,
    ) -> Result<DeployToken> {
        let is_typed = matches!(self, Self::Pair(_, Value::Prompt));
        let mut token = self.read_value(registry, image, is_asked, ui)?;
        let expires_at =
            if is_typed && expires_at.is_none() { ask_expiry(ui)? } else { expires_at };
        if expires_at.is_some() {
            token = token.expiring(expires_at);
        }
        token.expires_at().into_iter().for_each(|date| warn_if_past(date, ui));
        Ok(token)
    }

    fn read_value(
        self,
        registry: &RegistryKey,
        image: Option<&ImageRef>,
        is_asked: bool,
        ui: &mut Ui,
    ) -> Result<DeployToken> {
        let typed = matches!(self, Self::Pair(..) | Self::Json(_));
        let (name, token) = match self {
            Self::Pair(username, value) => pair(username, value, ui)?,
            Self::Json(file) => ("`token`".to_owned(), json(&file, ui)?),
            Self::DockerConfig(file) => (
                "the password of the login".to_owned(),
                docker_login::read(file.as_deref(), registry, image)?,
            ),
            Self::Ci => ("`$CI_DEPLOY_PASSWORD`".to_owned(), ci()?),
        };
        for oddity in token.oddities() {
            ui.warn(oddity);
        }
        if let Some(login) = token.short_lived(registry) {
            return Err(short_lived(login));
        }
        if let Some(rule) = token.suspicion().filter(|_| !is_asked) {
            let what = format!("{name} {rule}");
            let failure = if typed { Failure::usage(what) } else { Failure::failed(what) };
            return Err(failure.hint("remove it, or let the registry decide: --check").into());
        }
        if let Some(what) = token.unfit() {
            ui.warn(format!(
                "the token {what}, and the cluster would store it: use a deploy token"
            ));
        }
        Ok(token)
    }
}

/// The token, and its description for an error.
fn pair(
    username: Option<TokenUsername>,
    value: Value,
    ui: &mut Ui,
) -> Result<(String, DeployToken)> {
    let asked = matches!(value, Value::Prompt);
    let username = match username {
        Some(username) => username,
        None => ask_username(ui)?,
    };
    let (name, text) = match value {
        Value::Stdin => ("the token on standard input".to_owned(), stdin(ui)?),
        Value::File(file) => {
            (format!("the token in `{}`", file.display()), token_file(&file, "--token-file", ui)?)
        }
        Value::Env(variable) => {
            (format!("the token in `${variable}`"), from_variable(&variable, "--token-env")?)
        }
        Value::Prompt => ("the token".to_owned(), ui.hidden("Deploy token", check_value)?),
    };
    let value = Secret::new(without_line_break(text));
    match DeployToken::new(username, value) {
        Ok(token) => Ok((name, token)),
        Err(rule) => {
            let failure = Failure::usage(format!("{name} {rule}"));
            let hint = "--token-file FILE, with a file that contains only the token";
            Err(if asked { failure } else { failure.hint(hint) }.into())
        }
    }
}

fn ask_username(ui: &Ui) -> Result<TokenUsername> {
    if !ui.can_ask() {
        return Err(Failure::usage("the user name of the token is missing")
            .hint(format!("--token-username {}", TokenUsername::EXAMPLE))
            .into());
    }
    let check = |text: &str| TokenUsername::parse(text).map(|_| ());
    let question = Text {
        question: "User name of the deploy token",
        example: Some(TokenUsername::EXAMPLE),
        ..Text::default()
    };
    let Reply::Answer(text) = ui.text(&question, check)? else { return ask_username(ui) };
    TokenUsername::parse(&text)
        .map_err(|rule| Failure::usage(format!("the token's user name {rule}")).into())
}

/// Asks for the expiry of the token that was just entered; `None` if the user does not know it.
fn ask_expiry(ui: &Ui) -> Result<Option<Expiry>> {
    let question = Text {
        question: "Expiry date of the token (shown in GitLab; or never; or none if unknown)",
        example: Some(Expiry::EXAMPLE),
        is_optional: true,
        ..Text::default()
    };
    let check = |text: &str| Expiry::parse(text).map(drop);
    let Reply::Answer(text) = ui.text(&question, check)? else { return ask_expiry(ui) };
    Ok(Expiry::parse(&text).ok())
}

fn stdin(ui: &Ui) -> Result<Zeroizing<String>> {
    if ui.stdin_is_terminal() {
        return Err(Failure::usage("standard input is a terminal, which would show the token")
            .hint("omit `--token-stdin` and `--token-json` to get a hidden prompt")
            .into());
    }
    utf8(&ui.read_stdin(LIMIT)?, "standard input")
}

fn token_file(file: &Path, option: &str, ui: &mut Ui) -> Result<Zeroizing<String>> {
    let text = read_file(file, option)?;
    if files::is_readable_by_others(file) {
        let close = Advice::anywhere("chmod 600").path(file).typed(None);
        ui.warn(format!("other users can read the token in `{}`: {close}", file.display()));
    }
    Ok(text)
}

/// The text of the variable given as `option`.
fn from_variable(variable: &str, option: &str) -> Result<Zeroizing<String>> {
    match environment::raw(variable) {
        Some(text) => utf8(text.as_encoded_bytes(), &format!("`${variable}`")),
        // The name is not quoted: if there is no such variable, it may be the token itself.
        None => Err(Failure::usage(format!(
            "`{option}` must be the name of an exported variable, without `$`"
        ))
        .because("the variable does not exist")
        .hint(format!("{option} GITLAB_DEPLOY_TOKEN"))
        .into()),
    }
}

/// The answer of GitLab's API and of `glab deploy-token create -F json`
/// (`doc/api/deploy_tokens.md`).
#[derive(Deserialize)]
struct GitlabToken {
    username: String,
    token: Option<Zeroizing<String>>,
    expires_at: Option<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    expired: bool,
    scopes: Option<Vec<String>>,
}

fn json(file: &Path, ui: &mut Ui) -> Result<DeployToken> {
    let name =
        if is_dash(file) { "standard input".to_owned() } else { format!("`{}`", file.display()) };
    let text = if is_dash(file) { stdin(ui)? } else { token_file(file, "--token-json", ui)? };
    let bad = |cause: &str| {
        Failure::usage(format!("{name} does not contain a new deploy token"))
            .because(cause)
            .hint("{glab deploy-token create NAME -F json > FILE}, then: --token-json FILE")
    };
    // The parser's own message could quote the token.
    let answer: GitlabToken = serde_json::from_str(&text)
        .map_err(|_| bad("it must be a JSON object with `username`, `token` and `expires_at`"))?;
    if answer.revoked || answer.expired {
        return Err(bad("according to GitLab, the token is revoked or expired").into());
    }
    let value = answer
        .token
        .ok_or_else(|| bad("`token` is missing: GitLab shows it only when the token is created"))?;
    let username = TokenUsername::parse(&answer.username)
        .map_err(|rule| bad(&format!("`username` {rule}")))?;
    let expires_at = answer
        .expires_at
        .map(|date| Expiry::parse(&date))
        .transpose()
        .map_err(|rule| bad(&format!("`expires_at` {rule}")))?;
    if answer.scopes.is_some_and(|scopes| !scopes.iter().any(|scope| scope == "read_registry")) {
        ui.warn(
            "the deploy token lacks the scope `read_registry`, so the registry will refuse pulls",
        );
    }
    let token = DeployToken::new(username, Secret::new(without_line_break(value)));
    Ok(token.map_err(|rule| bad(&format!("`token` {rule}")))?.expiring(expires_at))
}

fn ci() -> Result<DeployToken> {
    let (user, password) = ("CI_DEPLOY_USER", "CI_DEPLOY_PASSWORD");
    let job = ["CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD"]
        .iter()
        .any(|name| environment::text(name).is_some());
    let (Some(username), Some(value)) = (environment::text(user), environment::text(password))
    else {
        let failure = Failure::failed(format!("`${user}` and `${password}` are not set"));
        let cause = if job {
            "the job only has a job token (`$CI_REGISTRY_PASSWORD`, `$CI_JOB_TOKEN`), which \
             expires with the job, so a pull secret with it would work for minutes"
        } else {
            "GitLab sets them in jobs of projects with a deploy token named `gitlab-deploy-token`"
        };
        return Err(failure
            .because(cause)
            .hint("create a deploy token named `gitlab-deploy-token` with scope `read_registry`")
            .into());
    };
    let value = Zeroizing::new(value);
    if environment::text("CI_JOB_TOKEN").map(Zeroizing::new).is_some_and(|job| *job == *value) {
        return Err(short_lived(JOB_TOKEN));
    }
    let bad = |name: &str, rule: &str| {
        Failure::failed(format!("`${name}` {rule}"))
            .hint("check the deploy token named `gitlab-deploy-token`")
    };
    let username = TokenUsername::parse(&username).map_err(|rule| bad(user, rule))?;
    let token = DeployToken::new(username, Secret::new(without_line_break(value)));
    Ok(token.map_err(|rule| bad(password, rule))?)
}

fn short_lived(login: ShortLived) -> anyhow::Error {
    let ShortLived { what, ends, instead } = login;
    Failure::failed(format!("refused to create a pull secret from {what}"))
        .because(format!("it {ends}, and then the pull secret would stop working"))
        .hint(instead)
        .into()
}

/// The text of the file given as `option`. If there is no such file, the name may be the token
/// itself.
fn read_file(file: &Path, option: &str) -> Result<Zeroizing<String>> {
    utf8(&read_bytes(file, option)?, &format!("`{}`", file.display()))
}

/// Like [`read_file`], for bytes.
fn read_bytes(file: &Path, option: &str) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = files::read(file, LIMIT)?.ok_or_else(|| {
        if is_file_name(file) {
            Failure::usage(format!("file not found for `{option}`: `{}`", file.display())).hint(
                Advice::anywhere("ls -l")
                    .path(file.parent().filter(|dir| dir.is_dir()).unwrap_or(Path::new("."))),
            )
        } else {
            Failure::usage(format!("`{option}` must be the name of a file"))
                .because("the file does not exist")
                .hint(Advice::anywhere("ls -l FILE"))
        }
    })?;
    Ok(bytes)
}

/// Whether `file` is too short for a token, or contains a character that no token has, so that it
/// may be quoted.
fn is_file_name(file: &Path) -> bool {
    let text = file.display().to_string();
    let is_token = begins_like_a_token(&text) || text.starts_with("eyJ") || text.len() > 100;
    !is_token && (text.len() <= 16 || text.contains(['/', '.']))
}

/// The text in `bytes`, which may be UTF-16 or begin with a byte order mark, as in files written on
/// Windows.
fn utf8(bytes: &[u8], name: &str) -> Result<Zeroizing<String>> {
    let plain = |bytes| std::str::from_utf8(bytes).ok().map(|text| Zeroizing::new(text.to_owned()));
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => plain(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        _ => plain(bytes),
    };
    let failure = || Failure::usage(format!("{name} is not UTF-8 text")).hint("save it as UTF-8");
    text.ok_or_else(|| failure().into())
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Zeroizing<String>> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for c in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        text.push(c.ok()?);
    }
    Some(text)
}

/// `text` without one final line break, as added by editors and `echo`.
fn without_line_break(mut text: Zeroizing<String>) -> String {
    for end in ["\n", "\r"] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    std::mem::take(&mut *text)
}

fn is_dash(file: &Path) -> bool {
    file == Path::new("-")
}

/// Warns about a token that has already expired.
pub fn warn_if_past(expires_at: &Expiry, ui: &mut Ui) {
    if expires_at.is_past() {
        ui.warn(format!(
            "the deploy token expired on {expires_at}, so the registry will refuse it ({})",
            Name::ExpiresAt.option()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_goes() {
        let cut = |text: &str| without_line_break(Zeroizing::new(text.to_owned()));
        assert_eq!(cut("t\n"), "t");
        assert_eq!(cut("t\r\n"), "t");
        assert_eq!(cut("t"), "t");
        assert_eq!(cut("t\n\n"), "t\n");
        assert_eq!(cut("\n"), "");
    }
}
