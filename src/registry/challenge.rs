//! How a registry requires sign-in: the `WWW-Authenticate` header of its 401 (RFC 9110, 11.6.1).
//! Pure.

use http_auth::parser::ChallengeParser;

/// A kind of sign-in that container runtimes support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and token in each request.
    Basic,
    /// A token from the service at `realm` (distribution's `docs/spec/auth/token.md`).
    Bearer {
        /// URL of the token service; empty if the header has none.
        realm: String,
        /// The registry's name at the token service.
        service: Option<String>,
        /// Why the token that was sent was refused (RFC 6750, 3.1).
        error: Option<String>,
    },
}

impl Challenge {
    /// Whether a GitLab sent it, whose hints then apply (GitLab's `config/gitlab.yml`, `registry`).
    #[must_use]
    pub fn is_gitlab(&self) -> bool {
        let Self::Bearer { realm, service, .. } = self else { return false };
        let path = realm.split(['?', '#']).next().unwrap_or_default();
        service.as_deref() == Some("container_registry")
            || path.trim_end_matches('/').ends_with("/jwt/auth")
    }
}

/// The challenge to answer among those in all header `lines`: Bearer before Basic, as in
/// containerd.
///
/// Of a malformed line, the part before the error counts.
#[must_use]
pub fn find<'l>(lines: impl IntoIterator<Item = &'l str>) -> Option<Challenge> {
    let mut basic = None;
    for challenge in
        lines.into_iter().flat_map(|line| ChallengeParser::new(line).map_while(Result::ok))
    {
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            let value = |wanted: &str| {
                let mut params = challenge.params.iter();
                params
                    .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                    .map(|(_, value)| value.to_unescaped())
            };
            let realm = value("realm").unwrap_or_default();
            return Some(Challenge::Bearer {
                realm,
                service: value("service"),
                error: value("error"),
            });
        }
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            error: None,
        }
    }

    #[test]
    fn reads_what_registries_say() {
        let gitlab = r#"Bearer realm="https://gitlab.com/jwt/auth",service="container_registry""#;
        assert_eq!(
            find([gitlab]),
            Some(bearer("https://gitlab.com/jwt/auth", Some("container_registry")))
        );
        // Docker Hub, Harbor's unquoted word, an upper-case scheme, spaces everywhere.
        for line in [
            r#"Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push""#,
            r#"Bearer service=s, realm="https://a/t""#,
            r#"BEARER Realm="https://a/t" , SERVICE="s""#,
            r#"Basic realm="x", Bearer realm="https://a/t",service=s"#,
            r#"Negotiate, Bearer realm="https://a/t",service="s", Basic realm="a, b""#,
        ] {
            assert_eq!(find([line]), Some(bearer("https://a/t", Some("s"))), "{line}");
        }
        assert_eq!(find([r#"Basic realm="Nexus, \"the\" repository""#]), Some(Challenge::Basic));
        assert_eq!(find(["Negotiate", "Digest realm=\"x\"", "basic"]), Some(Challenge::Basic));
        assert_eq!(find(["Bearer"]), Some(bearer("", None)));
        assert_eq!(find(["Negotiate", ""]), None);
        assert_eq!(find([]), None);
    }

    #[test]
    fn keeps_commas_and_takes_backslashes_out_of_quotes() {
        let line = r#"Bearer realm="https://a/t?x=1,2",service="a \"b\" \\ c, d",error="insufficient_scope""#;
        let Some(Challenge::Bearer { realm, service, error }) = find([line]) else { panic!() };
        assert_eq!(realm, "https://a/t?x=1,2");
        assert_eq!(service.as_deref(), Some(r#"a "b" \ c, d"#));
        assert_eq!(error.as_deref(), Some("insufficient_scope"));
    }

    #[test]
    fn a_malformed_line_keeps_what_stands_before_the_fault_and_other_lines() {
        assert_eq!(
            find(["Negotiate a==", "Bearer realm=\"https://a\""]),
            Some(bearer("https://a", None))
        );
        assert_eq!(find(["Basic realm=\"a\", Bearer realm=\"https://a"]), Some(Challenge::Basic));
        assert_eq!(find(["Bearer realm=\"https://a"]), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_not_and_nothing_else(line in ".{0,200}") {
            let _ = find([line.as_str()]);
        }

        #[test]
        fn any_quoted_text_comes_back(realm in "[ -~]{0,60}", service in "[ -~]{0,60}") {
            let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
            let line = format!("Bearer service=\"{}\", realm=\"{}\"", quoted(&service), quoted(&realm));
            prop_assert_eq!(find([line.as_str()]), Some(bearer(&realm, Some(&service))));
        }
    }
}
