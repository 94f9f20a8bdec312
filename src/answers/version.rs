//! Versions of makeinfra, in the order of Semantic Versioning 2.0.0, limited to the forms in use:
//! `1.2.3` and `1.2.3-rc.4`.

use super::Rule;
use std::fmt;

/// The version of the templates that a repository was rendered from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    numbers: [u64; 3],
    /// Release candidates precede the release.
    release: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Candidate(u64),
    Release,
}

impl Version {
    /// Parses `text`.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        const RULE: Rule = "must be a version such as 0.2.0";
        let (numbers, release) = match text.split_once("-rc.") {
            Some((numbers, candidate)) => {
                (numbers, Stage::Candidate(number(candidate).ok_or(RULE)?))
            }
            None => (text, Stage::Release),
        };
        let numbers: Option<Vec<u64>> = numbers.split('.').map(number).collect();
        let numbers = numbers.and_then(|numbers| numbers.try_into().ok()).ok_or(RULE)?;
        Ok(Self { numbers, release })
    }

    /// The version of this binary.
    #[must_use]
    pub fn own() -> Self {
        let number = |text: &str| text.parse().unwrap_or_default();
        let [major, minor, patch] = [
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR"),
            env!("CARGO_PKG_VERSION_PATCH"),
        ];
        let release = match env!("CARGO_PKG_VERSION_PRE").strip_prefix("rc.") {
            Some(candidate) => Stage::Candidate(number(candidate)),
            None => Stage::Release,
        };
        Self { numbers: [major, minor, patch].map(number), release }
    }

    /// Whether its repositories have an older layout, which no command supports.
    #[must_use]
    pub fn is_before_layout(&self) -> bool {
        self.numbers < [0, 2, 0]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        match self.release {
            Stage::Candidate(number) => write!(f, "-rc.{number}"),
            Stage::Release => Ok(()),
        }
    }
}

/// A number without a sign or leading zeros.
fn number(text: &str) -> Option<u64> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order_and_written_as_they_were_read() {
        let texts = ["0.1.9", "0.2.0-rc.2", "0.2.0-rc.10", "0.2.0", "0.2.10", "0.10.0", "1.0.0"];
        let versions: Vec<_> = texts.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert!(versions.is_sorted());
        assert_eq!(versions.iter().map(Version::to_string).collect::<Vec<_>>(), texts);
        assert_eq!(Version::own().to_string(), env!("CARGO_PKG_VERSION"));
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "1.2.03",
            "1.2.-3",
            "1.2.3-",
            "1.2.3-beta",
            "1.2.3-rc.",
            "1.2. 3",
        ] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
        let is_before = |text: &str| Version::parse(text).unwrap().is_before_layout();
        assert!(is_before("0.1.99") && !is_before("0.2.0-rc.1"));
    }
}
