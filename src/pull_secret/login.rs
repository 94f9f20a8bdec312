//! Recognises user names and passwords by their form: what HTTP cannot transport, likely mistakes,
//! credentials that expire within a day, credentials that grant too much. Only the registry knows
//! whether a login is valid. Pure.

use crate::answers::{Rule, TokenKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The user name in every CI job (GitLab's documentation, "Predefined CI/CD variables").
const JOB: &str = "gitlab-ci-token";

/// The rule that no password may break, because it could not be stored or sent.
pub(super) fn check(value: &str) -> Result<(), Rule> {
    match value {
        "" => Err("must not be empty"),
        _ if value.trim().is_empty() => Err("must not be empty: it contains only white space"),
        _ if value.contains(|c: char| c.is_control() && !c.is_whitespace()) => {
            Err("must not contain control characters")
        }
        _ if value.len() > 4096 => Err("must have at most 4096 bytes"),
        _ => Ok(()),
    }
}

/// The rule whose breach suggests that a password was not copied correctly; a registry that accepts
/// it proves otherwise.
///
/// Inner whitespace does not count: Google's JSON key files and Nexus passwords have it.
#[must_use]
pub(super) fn suspicion(value: &str) -> Option<Rule> {
    if TokenKind::of(value.trim()).is_some() && value.contains(char::is_whitespace) {
        return Some("must not contain spaces or line breaks");
    }
    if TokenKind::of(value).is_some() && is_repeated(value) {
        return Some("must be given once: the same token is repeated several times");
    }
    if value.trim() != value && !is_json(value) {
        return Some("must not begin or end with spaces or line breaks");
    }
    value.contains(is_invisible).then_some("must not contain invisible characters")
}

/// Whether a password breaks a rule or looks as if it was not copied correctly.
pub(super) fn is_odd(value: &str) -> bool {
    value.contains(|c: char| c.is_control() && !c.is_whitespace()) || suspicion(value).is_some()
}

/// Whether `value` is the same text two or three times in a row, as after pasting it repeatedly.
pub(super) fn is_repeated(value: &str) -> bool {
    let bytes = value.as_bytes();
    [2, 3].iter().any(|times| {
        let length = bytes.len() / times;
        // Short repetitions may be intended.
        length >= 6
            && length * times == bytes.len()
            && bytes.chunks(length).all(|part| part == &bytes[..length])
    })
}

/// What an odd `value` has too much of.
pub(super) fn odd_part(value: &str) -> &'static str {
    if value.contains(['\n', '\r']) {
        "line break"
    } else if value.contains(is_invisible) {
        "invisible character"
    } else if is_repeated(value) {
        "copy of itself"
    } else {
        "blank or control character"
    }
}

/// Whether `value` is a JSON object, whose meaning does not change with surrounding whitespace.
fn is_json(value: &str) -> bool {
    let json_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let inner = value.trim_matches(json_space);
    inner.starts_with('{') && inner.ends_with('}')
}

/// Invisible characters that get copied along with text: joiners, marks, the BOM.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A login that expires within a day, too early for a Secret in git.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortLived {
    /// What it is, as a continuation of "is".
    pub what: &'static str,
    /// When it expires, as a continuation of "it".
    pub ends: &'static str,
    /// What to use instead.
    pub instead: &'static str,
}

impl ShortLived {
    /// Classifies `username` and `value` at the registry `host`; `None` unless they are known to be
    /// short-lived.
    #[must_use]
    pub fn of(username: &str, value: &str, host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let at = |domain: &str| host.ends_with(domain);
        let google = at("gcr.io") || at("pkg.dev");
        let (what, ends, instead) = match username {
            _ if username == JOB || TokenKind::of(value) == Some(TokenKind::Job) => {
                return Some(JOB_TOKEN);
            }
            // `aws ecr get-login-password` (AWS documentation, "Private registry authentication").
            "AWS" if is_ecr(&host) || is_ecr_token(value) => (
                "a login of `aws ecr get-login-password`",
                "expires after 12 hours",
                "let the nodes pull with their own role (the kubelet's ecr-credential-provider)",
            ),
            // `gcloud auth print-access-token`, and the docker helpers of gcloud and GCR.
            "oauth2accesstoken" | "_dcgcloud_token" | "gclouddockertoken" => GOOGLE,
            "_token" if google => GOOGLE,
            _ if username.starts_with("_dcgcr_") && username.ends_with("_token") => GOOGLE,
            // `az acr login` (Azure documentation, "Authenticate with a container registry").
            "00000000-0000-0000-0000-000000000000" => (
                "a login of `az acr login`",
                "expires after 3 hours",
                "use a token of the registry: az acr token create",
            ),
            _ if value.starts_with("ghs_") || value.starts_with("ghu_") => (
                "a token of a GitHub job or app",
                "expires with the job or after some hours",
                "use a personal access token (classic) with scope `read:packages`",
            ),
            "iambearer" => (
                "an IAM token of IBM Cloud",
                "expires after an hour",
                "use an API key, with the user name iamapikey",
            ),
            "iam" if at("cr.yandex") => (
                "an IAM token of Yandex Cloud",
                "expires after 12 hours",
                "use an authorized key, with the user name json_key",
            ),
            "cr_temp_user" => (
                "a temporary login of Alibaba Cloud",
                "expires within a day",
                "use a RAM user with the registry's fixed password",
            ),
            "BEARER_TOKEN" if at(".ocir.io") || at(".oraclecloud.com") => (
                "a bearer token of Oracle Cloud",
                "expires after an hour",
                "use an auth token, with the user name TENANCY/USER",
            ),
            _ => return None,
        };
        Some(Self { what, ends, instead })
    }
}

/// The token of a CI job, which may also be recognised by its variable.
pub const JOB_TOKEN: ShortLived = ShortLived {
    what: "a job token",
    ends: "expires with the job",
    instead: "use a deploy token with scope `read_registry`",
};

const GOOGLE: (&str, &str, &str) = (
    "an access token of Google Cloud",
    "expires after an hour",
    "use a service account's key file, with the user name _json_key",
);

/// Whether `host`, which may contain `*`, is an Amazon registry (Kubernetes'
/// ecr-credential-provider, `ecrPattern`).
fn is_ecr(host: &str) -> bool {
    [".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips."]
        .iter()
        .any(|part| host.contains(part))
        || host == "public.ecr.aws"
}

/// Whether `value` has the form of an ECR token, regardless of the host.
fn is_ecr_token(value: &str) -> bool {
    #[derive(Deserialize)]
    struct Token {
        #[serde(rename = "expiration")]
        _expiration: u64,
    }
    let decoded = STANDARD.decode(value).map(Zeroizing::new);
    decoded.is_ok_and(|json| serde_json::from_slice::<Token>(&json).is_ok())
}

/// What a password grants beyond the needs of a pull secret, as a continuation of "the token";
/// `None` if nothing shows.
pub(super) fn unfit(value: &str) -> Option<String> {
    match TokenKind::of(value)? {
        TokenKind::Broad => Some(
            "belongs to a person or an application and gives access to more than a registry"
                .to_owned(),
        ),
        TokenKind::Other(what) => {
            Some(format!("is {what}, which GitLab's registry does not accept"))
        }
        TokenKind::Deploy | TokenKind::Job => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_registries_take() {
        for good in [
            "gldt-Ab_1-",
            "correct horse battery staple",
            "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN\\n\"\n}",
            "{\r\n\t\"a\": 1\r\n}\n\n",
            "a\tb",
            "pass\nword",
            "pä\u{a0}ß",
            "gldt-abcgldt-abd",
            "abcdefgh123abcdefgh123",
            "gldt-aaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!((check(good), suspicion(good)), (Ok(()), None), "{good:?}");
        }
    }

    #[test]
    fn suspects_what_a_copy_brings_along() {
        for odd in [
            "a\n",
            "\ta",
            " a b",
            "a\u{a0}",
            "\u{feff}a",
            "a\u{200b}",
            "gldt-a b",
            " glpat-a",
            "{\"a\":1} x\n",
            "gldt-abcgldt-abc",
            "gldt-abcgldt-abcgldt-abc",
        ] {
            assert!(check(odd).is_ok() && suspicion(odd).is_some(), "{odd:?}");
        }
        for bad in ["", "\n", " \t", "a\u{0}", "\u{1b}[31ma", "a\u{7f}", &"a".repeat(4097)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn knows_logins_that_do_not_last() {
        let ecr = STANDARD.encode(
            r#"{"payload":"x","datakey":"y","version":"2","type":"DATA_KEY","expiration":1700000000}"#,
        );
        for (username, value, host) in [
            ("gitlab-ci-token", "x", "registry.gitlab.com"),
            ("u", "glcbt-64_x", "registry.gitlab.com"),
            ("AWS", "x", "111122223333.dkr.ecr.us-east-1.amazonaws.com"),
            ("AWS", "x", "111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com"),
            ("AWS", "x", "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            ("AWS", "x", "111122223333.dkr-ecr.eu-west-1.on.aws"),
            ("AWS", "x", "*.dkr.ecr.*.amazonaws.com"),
            ("AWS", "x", "public.ecr.aws"),
            ("AWS", &ecr, "images.example.com"),
            ("oauth2accesstoken", "ya29.x", "europe-docker.pkg.dev"),
            ("_dcgcloud_token", "ya29.x", "eu.gcr.io"),
            ("_dcgcr_2_1_22_token", "ya29.x", "gcr.io"),
            ("_token", "ya29.x", "gcr.io"),
            ("00000000-0000-0000-0000-000000000000", "eyJ", "shop.azurecr.io"),
            ("ada", "ghs_x", "ghcr.io"),
            ("iambearer", "eyJ", "us.icr.io"),
            ("iam", "t1.x", "cr.yandex"),
            ("cr_temp_user", "x", "shop-registry.cn-hangzhou.cr.aliyuncs.com"),
            ("BEARER_TOKEN", "x", "fra.ocir.io"),
        ] {
            assert!(ShortLived::of(username, value, host).is_some(), "{username} at {host}");
        }
        for (username, value, host) in [
            ("gitlab+deploy-token-1", "gldt-x", "registry.gitlab.com"),
            ("AWS", "x", "registry.example.com"),
            ("_json_key", "{}", "gcr.io"),
            ("_json_key_base64", "e30=", "europe-docker.pkg.dev"),
            ("robot$shop+pull", "x", "harbor.example.com"),
            ("$oauthtoken", "x", "quay.io"),
            ("_token", "x", "registry.example.com"),
            ("iam", "x", "registry.example.com"),
            ("ada", "ghp_x", "ghcr.io"),
            ("iamapikey", "x", "us.icr.io"),
        ] {
            assert_eq!(ShortLived::of(username, value, host), None, "{username} at {host}");
        }
    }
}
