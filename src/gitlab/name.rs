//! Names of the tokens that makeinfra creates in GitLab: any clone can tell from the name which
//! repositories a token belongs to. Pure.

use jiff::Timestamp;
use std::fmt;

/// The prefix of each name.
const MARK: &str = "makeinfra";
/// The maximum length of the repositories' names, and of the environments'; GitLab accepts 255
/// characters in total.
const LONGEST: usize = 105;
/// Stands for further names.
const MANY: &str = "several";
/// The number of random letters that distinguish tokens created within the same second.
const NONCE: usize = 8;

/// `makeinfra REPOSITORIES ENVIRONMENTS TIME NONCE`, separated by blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName {
    /// The repositories, such as `hello-infra`; if there are too many, the first one and `several`.
    pub repositories: Vec<String>,
    /// The environments, separated by commas.
    pub environments: String,
    /// The time of the request, by GitLab's clock.
    pub time: Timestamp,
    nonce: String,
}

impl TokenName {
    /// A new name for the `environments` of `repositories`. The error is the system's failure to
    /// provide random letters.
    pub fn new(
        repositories: &[String],
        environments: &[String],
        time: Timestamp,
    ) -> Result<Self, String> {
        let mut random = [0; NONCE / 2];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let nonce = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let environments = environments.join(",");
        let fits = (1..=LONGEST).contains(&environments.len());
        let environments = if fits { environments } else { MANY.to_owned() };
        let repositories = match repositories {
            [first, _, ..] if repositories.join(",").len() > LONGEST => {
                vec![first.clone(), MANY.to_owned()]
            }
            all => all.to_vec(),
        };
        // To the second, as in the text.
        let time = Timestamp::from_second(time.as_second()).unwrap_or(time);
        Ok(Self { repositories, environments, time, nonce })
    }

    /// Whether the name says that the token is for `repository`.
    #[must_use]
    pub fn is_of(&self, repository: &str) -> bool {
        self.repositories.iter().any(|name| name == repository)
    }

    /// Parses a name; `None` if it is not makeinfra's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split(' ').collect();
        let [MARK, repositories, environments, time, nonce] = words.as_slice() else { return None };
        let is_nonce = nonce.len() == NONCE && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = Self {
            repositories: repositories.split(',').map(str::to_owned).collect(),
            environments: (*environments).to_owned(),
            time: time.parse().ok()?,
            nonce: (*nonce).to_owned(),
        };
        (is_nonce && found.to_string() == text).then_some(found)
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repositories, environments, time, nonce } = self;
        write!(f, "{MARK} {} {environments} {time} {nonce}", repositories.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let time: Timestamp = "2026-11-30T03:15:07.5Z".parse().unwrap();
        let name =
            TokenName::new(&names(&["hello-infra"]), &names(&["staging", "production"]), time)
                .unwrap();
        let text = name.to_string();
        assert!(
            text.starts_with("makeinfra hello-infra staging,production 2026-11-30T03:15:07Z "),
            "{text}"
        );
        assert_eq!(TokenName::parse(&text), Some(name.clone()));
        assert_ne!(TokenName::new(&names(&["hello-infra"]), &[], time).unwrap().nonce, name.nonce);
        let both = TokenName::new(&names(&["a-infra", "b-infra"]), &[], time).unwrap();
        assert!(both.to_string().starts_with("makeinfra a-infra,b-infra several 2026-"), "{both}");
        assert!(both.is_of("b-infra") && !both.is_of("b"));
        assert_eq!(TokenName::parse(&both.to_string()), Some(both));
        let many: Vec<_> = (0..100).map(|number| format!("name-{number}")).collect();
        let long = TokenName::new(&many, &many, time).unwrap().to_string();
        assert!(long.len() < 255 && long.contains(" name-0,several several "), "{long}");
        for other in [
            "",
            "gitlab-deploy-token",
            "makeinfra hello",
            &format!("{text} "),
            &text.replace('Z', "+00:00"),
        ] {
            assert_eq!(TokenName::parse(other), None, "{other}");
        }
    }
}
