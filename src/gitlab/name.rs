//! How the tokens are called that makeinfra has GitLab make: by the name alone any clone finds whose they are. Pure.

use jiff::Timestamp;
use std::fmt;

/// What each name begins with.
const MARK: &str = "makeinfra";
/// The most letters of environments' names; GitLab takes 255 for all.
const ENVIRONMENTS: usize = 100;
/// In place of longer ones.
const MANY: &str = "several";
/// Letters that tell two tokens of one second apart.
const NONCE: usize = 8;

/// `makeinfra REPOSITORY ENVIRONMENTS TIME NONCE`, with blanks between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName {
    /// The repository, such as `hello-infra`.
    pub repository: String,
    /// Its environments, with commas between them.
    pub environments: String,
    /// When it was asked for, by GitLab's clock.
    pub time: Timestamp,
    nonce: String,
}

impl TokenName {
    /// A new name, for the `environments` of `repository`. The error is the system's, which gave no random letters.
    pub fn new<'e>(
        repository: &str,
        environments: impl Iterator<Item = &'e str>,
        time: Timestamp,
    ) -> Result<Self, String> {
        let mut random = [0; NONCE / 2];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let nonce = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let environments = environments.collect::<Vec<_>>().join(",");
        let fits = (1..=ENVIRONMENTS).contains(&environments.len());
        let environments = if fits { environments } else { MANY.to_owned() };
        // To the second, as it is written.
        let time = Timestamp::from_second(time.as_second()).unwrap_or(time);
        Ok(Self { repository: repository.to_owned(), environments, time, nonce })
    }

    /// Reads a name; `None` if it is none of makeinfra's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split(' ').collect();
        let [MARK, repository, environments, time, nonce] = words.as_slice() else { return None };
        let is_nonce = nonce.len() == NONCE && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = Self {
            repository: (*repository).to_owned(),
            environments: (*environments).to_owned(),
            time: time.parse().ok()?,
            nonce: (*nonce).to_owned(),
        };
        (is_nonce && found.to_string() == text).then_some(found)
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, environments, time, nonce } = self;
        write!(f, "{MARK} {repository} {environments} {time} {nonce}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let time: Timestamp = "2026-11-30T03:15:07.5Z".parse().unwrap();
        let name = TokenName::new("hello-infra", ["staging", "production"].into_iter(), time).unwrap();
        let text = name.to_string();
        assert!(text.starts_with("makeinfra hello-infra staging,production 2026-11-30T03:15:07Z "), "{text}");
        assert_eq!(TokenName::parse(&text), Some(name.clone()));
        assert_ne!(TokenName::new("hello-infra", ["a"].into_iter(), time).unwrap().nonce, name.nonce);
        let many: Vec<_> = (0..100).map(|number| format!("env-{number}")).collect();
        let long = TokenName::new("hello-infra", many.iter().map(String::as_str), time).unwrap().to_string();
        assert!(long.len() < 255 && long.contains(" several "), "{long}");
        for other in
            ["", "gitlab-deploy-token", "makeinfra hello", &format!("{text} "), &text.replace('Z', "+00:00")]
        {
            assert_eq!(TokenName::parse(other), None, "{other}");
        }
    }
}
