//! Expiries of the tokens for further registries, in an annotation next to that of the project's
//! own token. Pure.

/// The annotation with the own token's expiry, in the encrypted file and on the Secret in the
/// cluster.
pub(super) const EXPIRES_AT: &str = "makeinfra/expires-at";

/// The annotation with `KEY=DATE` for each registry key that has a date, separated by blanks.
pub(super) const OTHER_EXPIRIES: &str = "makeinfra/other-expiries";

/// Registry keys with dates, as in the annotation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtherExpiries(Vec<(String, String)>);

impl OtherExpiries {
    /// Parses the annotation; skips what is not a pair.
    pub(super) fn parse(text: Option<&str>) -> Self {
        let words = text.unwrap_or_default().split_whitespace();
        let pairs = words.filter_map(|word| word.rsplit_once('='));
        Self(pairs.map(|(key, date)| (key.to_owned(), date.to_owned())).collect())
    }

    /// The text of the annotation; `None` if there are no dates.
    pub(super) fn text(&self) -> Option<String> {
        let words: Vec<_> = self.0.iter().map(|(key, date)| format!("{key}={date}")).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The date of `key`.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == key).map(|(_, date)| date.as_str())
    }

    /// Sets or removes the date of `key`.
    pub(super) fn set(&mut self, key: &str, date: Option<String>) {
        self.0.retain(|(found, _)| found != key);
        self.0.extend(date.map(|date| (key.to_owned(), date)));
    }

    /// All keys with their dates.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, date)| (key.as_str(), date.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        let mut found = OtherExpiries::parse(Some(
            "ghcr.io=2027-01-01  nonsense https://index.docker.io/v1/=2028-01-01",
        ));
        assert_eq!(found.of("https://index.docker.io/v1/"), Some("2028-01-01"));
        found.set("ghcr.io", None);
        found.set("quay.io:443", Some("2029-01-01".into()));
        let text = found.text().unwrap();
        assert_eq!(text, "https://index.docker.io/v1/=2028-01-01 quay.io:443=2029-01-01");
        assert_eq!(OtherExpiries::parse(Some(&text)), found);
        assert_eq!(OtherExpiries::parse(None).text(), None);
    }
}
