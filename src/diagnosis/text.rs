//! Makes texts from a cluster safe to display: no terminal escapes, no control characters, nothing
//! that could be a token, and a limited length. Pure.

use crate::answers::after_prefixes;
use crate::pull_secret::Hidden;
use std::borrow::Cow;

/// The longest text that is shown in full.
const LONGEST: usize = 480;
/// How much of the beginning of a longer text is kept; the important part is mostly at its end.
const BEGINNING: usize = 160;
/// How many bytes of the beginning and of the end of a text are examined.
const LOOKED_AT: usize = 4096;
/// How many characters after a token's prefix are examined.
const TOKEN: usize = 128;
/// The shortest word that counts as a token because of its characters alone.
const WORD: usize = 16;

/// `text` made safe to display, without anything `hidden`.
pub(super) fn shown(text: &str, hidden: &Hidden) -> String {
    let text = hidden.redact(text);
    let text: String = console::strip_ansi_codes(&bounded(&text))
        .chars()
        .map(|c| if is_unsafe_to_show(c) { ' ' } else { c })
        .collect();
    let text = without_logins(&text);
    let words: Vec<_> = text.split_whitespace().map(masked).collect();
    cut(&words.join(" "))
}

/// `text`, or the words at its beginning and end if it is too long. A word at the cut is dropped as
/// a whole, since a part of it might not be recognised as a secret.
pub(super) fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= 2 * LOOKED_AT {
        return Cow::Borrowed(text);
    }
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=LOOKED_AT).rev().find(is_boundary).unwrap_or_default();
    let tail = (text.len() - LOOKED_AT..text.len()).find(is_boundary).unwrap_or(text.len());
    let head = &text[..text[..head].rfind(char::is_whitespace).unwrap_or_default()];
    let tail = &text[tail..];
    let tail = &tail[tail.find(char::is_whitespace).unwrap_or(tail.len())..];
    Cow::Owned(format!("{head} …{tail}"))
}

/// Control characters and invisible characters, such as those that change the writing direction.
fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` with `***` in place of the user and password in URLs and addresses, whatever characters
/// these have. A quoted URL ends at the quote, because its password may contain blanks.
fn without_logins(text: &str) -> String {
    let is_quote = |c: char| c == '"' || c == '\'' || c == '`';
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while !rest.is_empty() {
        let is_url = rest.split(|c: char| !c.is_ascii_alphanumeric()).next();
        let is_url = is_url.is_some_and(|scheme| rest[scheme.len()..].starts_with("://"));
        let ends = |c: char| {
            if is_url && is_quote(before) { c == before } else { c.is_whitespace() || is_quote(c) }
        };
        let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        shown.push_str(&without_login(word));
        let mut others = after.chars();
        if let Some(end) = others.next() {
            shown.push(end);
            before = end;
        }
        rest = others.as_str();
    }
    shown
}

/// `word` without a user and a password before an `@`. An image's digest also follows an `@`.
fn without_login(word: &str) -> String {
    let (scheme, address) =
        word.split_once("://").map_or(("", word), |(scheme, address)| (scheme, address));
    let is_login = |at: &usize| {
        let behind = &address[at + 1..];
        !["sha256:", "sha512:"].iter().any(|digest| behind.starts_with(digest))
    };
    let Some(at) = address.rmatch_indices('@').map(|(at, _)| at).find(is_login) else {
        return word.to_owned();
    };
    let authority = address.split('/').next().unwrap_or_default();
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = !authority.contains('@')
        && authority.rsplit_once(':').is_none_or(|(_, port)| is_port(port));
    match word.contains("://") {
        // The `@` is part of a path.
        true if is_host => word.to_owned(),
        true => format!("{scheme}://***{}", &address[at..]),
        false if address[..at].contains(':') => format!("***{}", &address[at..]),
        false => word.to_owned(),
    }
}

/// Masks parts of a word that could be a token: a run of characters as in tokens or base64, with
/// upper case, lower case and digits mixed, or one with a prefix of GitLab's tokens. Names, digests
/// and paths have no upper case.
fn masked(word: &str) -> String {
    let in_run = |c: char| c.is_ascii_alphanumeric() || "_-+/=".contains(c);
    let mut shown = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(start) = rest.find(in_run) {
        let (before, run) = rest.split_at(start);
        let (run, after) = run.split_at(run.find(|c| !in_run(c)).unwrap_or(run.len()));
        shown.push_str(before);
        shown.push_str(if could_be_token(run) { "***" } else { run });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

fn could_be_token(run: &str) -> bool {
    let any = |is: fn(&char) -> bool| run.chars().any(|c| is(&c));
    let mixed =
        any(char::is_ascii_uppercase) && any(char::is_ascii_lowercase) && any(char::is_ascii_digit);
    (run.len() >= WORD && mixed) || has_prefix(run)
}

/// Whether `text` contains a prefix of GitLab's tokens, continued in a way that no name is.
fn has_prefix(text: &str) -> bool {
    after_prefixes(text).any(|value| {
        let telling = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        value.len() >= WORD && value.bytes().take(TOKEN).any(telling)
    })
}

/// Whether `name`, which may contain any characters of a name, is known to contain a token.
pub(super) fn holds_token(name: &str, hidden: &Hidden) -> bool {
    has_prefix(name) || hidden.is_in(name)
}

fn cut(text: &str) -> String {
    let all = text.chars().count();
    if all <= LONGEST {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(BEGINNING).collect();
    let end: String = text.chars().skip(all - (LONGEST - BEGINNING)).collect();
    format!("{beginning} … {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        shown(text, &Hidden::default())
    }

    #[test]
    fn nothing_that_moves_a_cursor_or_hides_gets_through() {
        assert_eq!(plain("a\u{1b}[31mred\u{1b}[0m\r\nb\u{202e}c\u{7}"), "ared b c");
    }

    #[test]
    fn what_could_be_a_token_is_masked_and_what_a_cluster_says_is_not() {
        for token in [
            "gldt-Marker_7Qx9vWk2",
            "gldt-aaaaaaaaaaaaaaaaaaa1",
            "Z2l0bGFiK2RlcGxveS10b2tlbi0xOmdsZHQ=",
            "eyJhbGciOiJSUzI1NiJ9",
        ] {
            let shown = plain(&format!("user:{token}@host \"{token}\" Basic {token}, {token}"));
            assert!(!shown.contains(token) && shown.matches("***").count() == 4, "{shown}");
        }
        for text in [
            "Failed to pull image \"registry.gitlab.com/group/project:1.0.0\": rpc error: code = \
             NotFound desc",
            "sha256:50aa4698fa6262977cff89181b2664b99d8a56dbca847bf62f2ef04854597cf8",
            "pods \"hello-7fddd5c49d-w6tg9\" is forbidden: violates PodSecurity \
             \"restricted:latest\"",
            "CreateContainerConfigError, node.kubernetes.io/not-ready",
            "https://gitlab.com/jwt/auth?scope=repository%3Agroup%2Fproject%3Apull&service=container_registry",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn a_login_in_an_address_is_masked_whatever_it_is_made_of() {
        for (text, expected) in [
            (
                "proxyconnect tcp: parse \"http://svc-proxy:hunter2secret@proxy.acme.io:3128%\": \
                 invalid URL escape \"%\"",
                "proxyconnect tcp: parse \"http://***@proxy.acme.io:3128%\": invalid URL escape \
                 \"%\"",
            ),
            ("parse \"http://svc:two words@proxy:1\": bad", "parse \"http://***@proxy:1\": bad"),
            ("Get http://svc:p/a@ss@proxy:1/v2/: EOF", "Get http://***@proxy:1/v2/: EOF"),
            ("https://user@host/v2/", "https://***@host/v2/"),
            (
                "invalid proxy address \"svc:word@proxy:3128\"",
                "invalid proxy address \"***@proxy:3128\"",
            ),
        ] {
            assert_eq!(plain(text), expected);
        }
        for text in [
            "docker://ghcr.io/acme/app@sha256:50aa4698fa62",
            "localhost:5000/app:1@sha256:50aa4698fa62",
            "https://h:5000/a@b",
            "for admin@example.com: denied",
        ] {
            assert_eq!(plain(text), text);
        }
    }

    #[test]
    fn a_long_text_keeps_its_end() {
        let shown = plain(&format!("begin {} end", "x ".repeat(5000)));
        assert!(
            shown.starts_with("begin") && shown.ends_with("end") && shown.chars().count() < 490,
            "{shown}"
        );
    }

    #[test]
    fn of_a_text_that_is_too_long_whole_words_of_both_ends_are_looked_at() {
        let endless = "gldt-".repeat(20_000);
        assert_eq!(plain(&format!("begin {endless} end")), "begin … end");
        assert_eq!(plain(&endless), "…");
        assert_eq!(bounded("a b"), "a b");
        let accents = bounded(&"ä ".repeat(LOOKED_AT)).into_owned();
        assert!(accents.len() <= 2 * LOOKED_AT + 4 && !accents.contains("  "), "{}", accents.len());
        // The examined part does not grow with the text, so neither does the time.
        let tokens = "gldt-aaaaaaaaaaaaaaaaaaaaa ".repeat(100_000);
        assert!(bounded(&tokens).len() <= 2 * LOOKED_AT + 4);
    }
}
