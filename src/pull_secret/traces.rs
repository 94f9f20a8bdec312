//! Detects a pull secret's token in bytes: in plaintext, in base64 at any position of a longer text
//! (as in an `auth`), or in base64 of that (as in a manifest).

use super::{DockerConfig, Inspected, auth};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use zeroize::Zeroizing;

/// Minimum length of a token to search for; a shorter one could be part of any text.
const SHORTEST: usize = 8;

/// All forms of the tokens.
#[derive(Default)]
pub struct Traces(Vec<Zeroizing<String>>);

impl Traces {
    /// The forms of the passwords in `secrets`.
    pub fn of<'s>(secrets: impl Iterator<Item = &'s Inspected>) -> Self {
        let mut traces = Self::default();
        for entry in secrets.filter_map(Inspected::config).flat_map(DockerConfig::entries) {
            let decoded =
                auth::decode(&entry.auth).map(|(_, password)| password).unwrap_or_default();
            for password in [decoded.as_str(), entry.password.as_str()] {
                traces.add(password.trim());
            }
        }
        traces
    }

    /// The forms of the token that the kubelet would use for `key` of `config`.
    #[must_use]
    pub fn of_entry(config: &DockerConfig, key: &str) -> Self {
        let mut traces = Self::default();
        if let Some((_, password)) = config.credentials(key) {
            traces.add(password.trim());
        }
        traces
    }

    /// Whether there is nothing to search for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `bytes` contain a token, regardless of line breaks in its base64. Time and memory
    /// are linear in `bytes`.
    #[must_use]
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        self.finder().finds(bytes)
    }

    /// A searcher that is prepared once for many texts.
    #[must_use]
    pub fn finder(&self) -> Finder<'_> {
        Finder(self.0.iter().map(|trace| memmem::Finder::new(trace.as_bytes())).collect())
    }

    fn add(&mut self, token: &str) {
        if token.len() < SHORTEST || self.0.iter().any(|known| known.as_str() == token) {
            return;
        }
        let once = base64(token);
        let twice: Vec<_> = once.iter().flat_map(|text| base64(text)).collect();
        self.0.push(Zeroizing::new(token.to_owned()));
        self.0.extend(once.into_iter().chain(twice));
    }
}

/// A prepared search for [`Traces`].
pub struct Finder<'t>(Vec<memmem::Finder<'t>>);

impl Finder<'_> {
    /// Like [`Traces::are_in`].
    #[must_use]
    pub fn finds(&self, bytes: &[u8]) -> bool {
        if self.is_in(bytes) {
            return true;
        }
        if !bytes.contains(&b'\n') {
            return false;
        }
        let mut joined = Zeroizing::new(Vec::with_capacity(bytes.len()));
        for run in bytes.split(u8::is_ascii_whitespace) {
            joined.extend_from_slice(run);
        }
        self.is_in(&joined)
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|finder| finder.find(bytes).is_some())
    }
}

/// The base64 characters of `text` that do not depend on the surrounding text, for each of the
/// three alignments.
fn base64(text: &str) -> [Zeroizing<String>; 3] {
    [(0, 0), (1, 2), (2, 3)].map(|(before, start)| {
        let mut padded = Zeroizing::new(Vec::with_capacity(before + text.len()));
        padded.resize(before, 0);
        padded.extend_from_slice(text.as_bytes());
        let whole = Zeroizing::new(STANDARD.encode(&padded));
        Zeroizing::new(whole[start..padded.len() * 8 / 6].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "gldt-Marker_7Qx9vWk2";

    fn traces() -> Traces {
        let mut traces = Traces::default();
        traces.add(TOKEN);
        traces
    }

    #[test]
    fn a_token_shows_at_every_alignment_once_and_twice_encoded() {
        for before in 0..6 {
            for behind in 0..4 {
                let text = format!("{}{TOKEN}{}", "b".repeat(before), "e".repeat(behind));
                let once = STANDARD.encode(&text);
                for gap in 0..4 {
                    let twice = STANDARD.encode(format!("{}{once}\"}}", "{".repeat(gap)));
                    for shown in [&text, &once, &twice] {
                        assert!(traces().are_in(shown.as_bytes()), "{shown}");
                        let broken: Vec<_> =
                            shown.as_bytes().chunks(7).map(String::from_utf8_lossy).collect();
                        assert!(traces().are_in(broken.join("\r\n  ").as_bytes()), "{shown}");
                    }
                }
            }
        }
    }

    #[test]
    fn another_token_and_a_short_one_do_not_show() {
        let text = STANDARD.encode("gldt-Marker_8Qx9vWk2 and more\n");
        assert!(!traces().are_in(text.as_bytes()));
        let mut short = Traces::default();
        short.add("secret");
        assert!(short.is_empty() && !short.are_in(b"secret"));
    }
}
