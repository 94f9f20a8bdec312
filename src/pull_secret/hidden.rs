//! Removes the passwords of many pull secrets from texts in one pass, however many there are.

use super::{Inspected, auth};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Minimum length of a password to hide; a shorter one could be part of any word.
const SHORTEST: usize = 4;

/// Passwords that no output may show.
#[derive(Default)]
pub struct Hidden {
    /// Passwords by their first bytes.
    values: HashMap<[u8; SHORTEST], Vec<Zeroizing<String>>>,
}

impl Hidden {
    /// The passwords of `secrets`, in plaintext and as in `auth`.
    pub fn of<'s>(secrets: impl Iterator<Item = &'s Inspected>) -> Self {
        let mut hidden = Self::default();
        for entry in secrets.filter_map(Inspected::config).flat_map(super::DockerConfig::entries) {
            let decoded =
                auth::decode(&entry.auth).map(|(_, password)| password).unwrap_or_default();
            for value in [decoded.as_str(), entry.password.as_str(), entry.auth.as_str()] {
                hidden.add(value);
            }
        }
        hidden
    }

    fn add(&mut self, value: &str) {
        let Some(start) = value.as_bytes().first_chunk() else { return };
        let values = self.values.entry(*start).or_default();
        if values.iter().all(|known| known.as_str() != value) {
            values.push(Zeroizing::new(value.to_owned()));
        }
    }

    /// `text` with all passwords removed.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut end = 0;
        for (from, to) in self.places(text) {
            shown.push_str(&text[end..from]);
            shown.push_str("***");
            end = to;
        }
        shown.push_str(&text[end..]);
        shown
    }

    /// Whether `text` contains one of the passwords.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        !self.places(text).is_empty()
    }

    /// Start and end of each occurrence; overlapping ones are joined.
    fn places(&self, text: &str) -> Vec<(usize, usize)> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (from, start) in text.as_bytes().windows(SHORTEST).enumerate() {
            let Some(values) = start.first_chunk().and_then(|start| self.values.get(start)) else {
                continue;
            };
            let here =
                values.iter().filter(|value| text.as_bytes()[from..].starts_with(value.as_bytes()));
            let Some(longest) = here.map(|value| value.len()).max() else { continue };
            let to = from + longest;
            match places.last_mut() {
                Some((_, end)) if from < *end => *end = to.max(*end),
                _ => places.push((from, to)),
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(values: &[&str]) -> Hidden {
        let mut hidden = Hidden::default();
        for value in values {
            hidden.add(value);
        }
        hidden
    }

    #[test]
    fn takes_the_passwords_of_a_secret_out_of_a_text() {
        let text = "{kind: Secret, type: kubernetes.io/dockercfg, stringData: {.dockercfg: \
                    '{\"r.io\":{\"auth\":\"dTpNYXJrZXI=\"}}'}}";
        let secret = Inspected::of(&serde_yaml::from_str(text).unwrap()).unwrap();
        let hidden = Hidden::of([&secret].into_iter());
        assert_eq!(hidden.redact("a Marker, dTpNYXJrZXI= b"), "a ***, *** b");
        assert!(hidden.is_in("xMarker") && !hidden.is_in("marker"));
    }

    #[test]
    fn passwords_in_each_other_and_over_each_other_are_hidden_whole() {
        let hidden = hidden(&["abcdef", "abcdefgh", "efghijk", "über", "abc"]);
        assert_eq!(hidden.redact("1 abcdefghijk abcdefabcdef über abc"), "1 *** ****** *** abc");
        assert_eq!(hidden.redact(""), "");
    }

    #[test]
    fn what_a_text_is_compared_with_does_not_grow_with_the_secrets() {
        let values: Vec<_> = (0..1000).map(|at| format!("{at:04}-password")).collect();
        let hidden = hidden(&values.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            hidden.values.len() == 1000 && hidden.values.values().all(|values| values.len() == 1)
        );
    }
}
