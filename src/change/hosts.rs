//! Replaces the hosts of one environment by those of another, as whole words of any text. Pure.

use crate::answers::{Answer, EnvironmentName, Host};

/// Hosts and their replacements.
#[derive(Debug, Default)]
pub(super) struct Hosts(Vec<(String, String)>);

impl Hosts {
    /// Adds a host, unless it exists.
    pub(super) fn add(&mut self, old: &str, new: &str) {
        if !self.knows(old) {
            self.0.push((old.to_owned(), new.to_owned()));
        }
    }

    /// Whether there is a replacement for `host`.
    pub(super) fn knows(&self, host: &str) -> bool {
        self.0.iter().any(|(known, _)| known == host)
    }

    /// `text` with each host that is a whole word replaced once.
    pub(super) fn replaced(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let found = self
                .0
                .iter()
                .filter(|(old, _)| rest.starts_with(old.as_str()) && is_whole(text, at, old.len()))
                .max_by_key(|(old, _)| old.len());
            if let Some((old, new)) = found {
                out.push_str(new);
                at += old.len();
            } else {
                let letter = rest.chars().next().map_or(1, char::len_utf8);
                out.push_str(&rest[..letter]);
                at += letter;
            }
        }
        out
    }
}

/// Whether the text at `at` is not part of a longer name or a mail address.
fn is_whole(text: &str, at: usize, length: usize) -> bool {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let (before, after) = (text.as_bytes()[..at].last(), &text.as_bytes()[at + length..]);
    let begins = before.is_none_or(|byte| !part(byte) && !b".@".contains(byte));
    let goes_on = match after {
        [b'.', next, ..] | [next, ..] => part(next),
        [] => false,
    };
    begins && !goes_on
}

/// The host of an environment by rule: `base` if it is protected, otherwise a subdomain, which also
/// applies if `base` is among `taken`. `None` if the name is too long.
pub(super) fn by_rule(
    name: &EnvironmentName,
    protect: bool,
    base: &str,
    taken: &[String],
) -> Option<String> {
    if (protect || name.is_production()) && !taken.iter().any(|host| host == base) {
        return Some(base.to_owned());
    }
    let host = format!("{name}.{base}");
    Host::parse(&host).is_ok().then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_replaced_once() {
        let mut hosts = Hosts::default();
        hosts.add("hello.example.com", "qa.hello.example.com");
        hosts.add("api.hello.example.com", "qa.api.hello.example.com");
        for (old, new) in [
            ("host: hello.example.com", "host: qa.hello.example.com"),
            (
                "https://hello.example.com/x, hello.example.com.",
                "https://qa.hello.example.com/x, qa.hello.example.com.",
            ),
            ("\"api.hello.example.com\"", "\"qa.api.hello.example.com\""),
            ("ü hello.example.com:8443", "ü qa.hello.example.com:8443"),
        ] {
            assert_eq!(hosts.replaced(old), new);
        }
        for same in [
            "x.hello.example.com",
            "hello.example.com.au",
            "a@hello.example.com",
            "hello.example.community",
        ] {
            assert_eq!(hosts.replaced(same), same);
        }
    }

    #[test]
    fn protected_environments_have_the_host_itself() {
        let name = |text| EnvironmentName::parse(text).unwrap();
        let rule = |text, protect, taken: &[&str]| {
            let taken: Vec<_> = taken.iter().map(|host| (*host).to_owned()).collect();
            by_rule(&name(text), protect, "a.b", &taken)
        };
        assert_eq!(rule("production", false, &[]).as_deref(), Some("a.b"));
        assert_eq!(rule("live", true, &["x.b"]).as_deref(), Some("a.b"));
        assert_eq!(rule("live", true, &["a.b"]).as_deref(), Some("live.a.b"));
        assert_eq!(rule("qa", false, &[]).as_deref(), Some("qa.a.b"));
        assert_eq!(by_rule(&name("qa"), false, "*.b", &[]), None);
    }
}
