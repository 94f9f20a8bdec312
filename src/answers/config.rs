//! The settings of a component that are not secret: a file of `KEY=VALUE` lines, as kustomize reads
//! it for a `ConfigMap`.

use super::{Answer, Rule, looks_like_token};
use std::collections::BTreeSet;

/// The longest line that kustomize reads (Go's bufio.Scanner).
const LONGEST: usize = 64 * 1024;
/// The capacity of a `ConfigMap` (Kubernetes API reference, `ConfigMap`), minus room for keys and
/// quotes.
const LARGEST: usize = 900 * 1024;

/// The source of the settings. `.makeinfra.yaml` has `yes` instead, because the file then belongs
/// to the user.
pub(super) struct ConfigFile;

impl Answer for ConfigFile {
    const EXAMPLE: &'static str = "app.env";

    fn parse(text: &str) -> Result<Self, Rule> {
        if text.is_empty() { Err("must be a file of KEY=VALUE lines") } else { Ok(Self) }
    }
}

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Lines, each with a final line break.
    text: String,
    /// Names that suggest a secret value.
    suspects: Vec<String>,
}

/// Why a line is invalid. Never quotes the line, which may contain a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigFault {
    /// The line number from 1; `None` if the fault is about the whole file.
    pub line: Option<usize>,
    /// The broken rule.
    pub rule: Rule,
    /// Whether the line contains a token.
    pub is_token: bool,
}

impl Config {
    /// Parses `bytes` by kustomize's rules (api/kv, `keyValuesFromLine`), but requires a `=` in
    /// each line: the value of a lone key would come from the environment of whoever deploys.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigFault> {
        let fault = |line, rule| ConfigFault { line, rule, is_token: false };
        let whole = |rule| fault(None, rule);
        if bytes.len() > LARGEST {
            return Err(whole("it is too large for a config map"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| whole("it is not UTF-8 text"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut keys = BTreeSet::new();
        let mut suspects = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let fault = |rule| fault(Some(at + 1), rule);
            // Includes comments, because the whole file is committed.
            if looks_like_token(line) {
                return Err(ConfigFault {
                    is_token: true,
                    ..fault(
                        "it contains what looks like a GitLab token, but git stores the file in \
                         plaintext",
                    )
                });
            }
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() >= LONGEST {
                return Err(fault("it is longer than 64 KiB, the limit of kustomize"));
            }
            if line.contains('\0') {
                return Err(fault("it contains a NUL character"));
            }
            let (key, _) = line
                .split_once('=')
                .ok_or(fault("it has no `=`: write KEY=VALUE, or `#` before a comment"))?;
            if !is_variable(key) {
                return Err(fault(
                    "the text before `=` is not a variable name: letters, digits, `_`, `-` and \
                     `.`, not starting with a digit, no blank before `=`",
                ));
            }
            if !keys.insert(key) {
                return Err(fault("it sets a variable that an earlier line has set"));
            }
            if sounds_secret(key) {
                suspects.push(key.to_owned());
            }
        }
        if keys.is_empty() {
            return Err(whole("it contains no line KEY=VALUE"));
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        Ok(Self { text: format!("{text}{end}"), suspects })
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables whose names suggest a secret value.
    #[must_use]
    pub fn suspects(&self) -> &[String] {
        &self.suspects
    }
}

/// Whether Kubernetes accepts `key` as the name of a variable (apimachinery, `IsEnvVarName`).
fn is_variable(key: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !key.is_empty()
        && key.len() <= 253
        && key.bytes().all(inner)
        && !key.starts_with(|first: char| first.is_ascii_digit())
        && key != "."
        && !key.starts_with("..")
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_uppercase();
    ["PASSWORD", "PASSWD", "TOKEN", "SECRET"].iter().any(|word| key.contains(word))
        || key == "KEY"
        || ["_KEY", "-KEY", ".KEY"].iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (Option<usize>, Rule) {
        let fault = Config::parse(text.as_bytes()).unwrap_err();
        (fault.line, fault.rule)
    }

    #[test]
    fn reads_what_kustomize_reads() {
        let config =
            Config::parse(b"\xef\xbb\xbfA=1\n\n  # comment\n _b.c-D=x=y # no comment\r\nE=")
                .unwrap();
        assert_eq!(config.text(), "A=1\n\n  # comment\n _b.c-D=x=y # no comment\r\nE=\n");
        assert!(config.suspects().is_empty());
    }

    #[test]
    fn names_the_line_and_the_rule() {
        for (text, line, rule) in [
            ("A=1\nB\n", Some(2), "no `=`"),
            ("A =1\n", Some(1), "not a variable name"),
            ("export A=1\n", Some(1), "not a variable name"),
            ("1A=1\n", Some(1), "not a variable name"),
            ("=1\n", Some(1), "not a variable name"),
            ("..=1\n", Some(1), "not a variable name"),
            ("A=1\n\nA=2\n", Some(3), "an earlier line"),
            ("A=\0\n", Some(1), "NUL"),
            ("", None, "no line"),
            ("# A=1\n", None, "no line"),
        ] {
            let found = fault(text);
            assert!(found.0 == line && found.1.contains(rule), "{text:?}: {found:?}");
        }
        assert_eq!(Config::parse(b"A=\xff\n").unwrap_err().line, None);
        let long = format!("A={}\n", "x".repeat(LONGEST));
        assert!(fault(&long).1.contains("64 KiB"));
    }

    #[test]
    fn secrets_do_not_belong_there() {
        for token in [
            "A=gldt-Marker_7Qx9vWk2\n",
            "# old: glpat-abcdefghijklmnopqrst\n",
            "URL=https://u:glcbt-64_abcdefgh@h\n",
        ] {
            assert!(Config::parse(token.as_bytes()).unwrap_err().is_token, "{token}");
        }
        let config = Config::parse(
            b"DB_PASSWORD=x\nAPI_KEY=y\nkey=z\nKEYBOARD=de\nMONKEY=1\nA=glass-house-of-cards\n",
        )
        .unwrap();
        assert_eq!(config.suspects(), ["DB_PASSWORD", "API_KEY", "key"]);
    }
}
