//! A GitLab server with a real registry, in which tokens from the former are valid.

use super::gitlab::{DeployToken, Gitlab, Role};
use super::registry_bed::{Bed, Setup};
use super::support::TOKEN;
use std::time::Duration;

/// The credential of a Maintainer of both projects, with scope `api`.
pub const MAINTAINER: &str = "glpat-maintainer";
/// The credential of the group's Owner, with scope `api`.
pub const OWNER: &str = "glpat-owner";

/// Projects 7 `group/hello` and 8 `group/second` in group 3 `group`, whose images [`Bed`] has.
///
/// Token 1 is that of the tests (`USER`, `TOKEN`), created by hand for project 7. The realm of the
/// registry is that of the GitLab server.
pub struct GitlabBed {
    pub gitlab: Gitlab,
    pub registry: Bed,
}

impl GitlabBed {
    pub fn start() -> Option<Self> {
        Self::with(Gitlab::start(), Duration::ZERO)
    }

    /// Uses this empty server; the registry refuses a new token for `delay`.
    pub fn with(gitlab: Gitlab, delay: Duration) -> Option<Self> {
        let realm = format!("{}/jwt/auth", gitlab.url());
        let registry = Bed::with(&Setup { realm: Some(&realm), ..Setup::default() })?;
        gitlab.signs_in_by(registry.service()).registry(registry.host());
        gitlab.group(3, "group").project(7, "group/hello").project(8, "group/second");
        let roles = [("group/hello", Role::Maintainer), ("group/second", Role::Maintainer)];
        gitlab.person(MAINTAINER, &roles, &["api"]).person(
            OWNER,
            &[("group", Role::Owner)],
            &["api"],
        );
        gitlab.add_token(DeployToken::by_hand(7, "by hand", TOKEN));
        gitlab.registry_tokens_in(&registry.tokens_of_others(), delay);
        Some(Self { gitlab, registry })
    }
}

mod tests {
    use super::super::support::{Output, Sandbox, TOKEN, USER};
    use super::*;
    use std::time::Instant;

    const TOKENS: &str = "/api/v4/projects/7/deploy_tokens";

    /// Creates a token for `group/hello`, and returns its id, user name and value.
    fn mint(gitlab: &Gitlab) -> (u64, String, String) {
        let body = r#"{"name": "minted", "scopes": ["read_registry"]}"#;
        let request =
            ureq::post(format!("{}{TOKENS}", gitlab.url())).header("PRIVATE-TOKEN", MAINTAINER);
        assert_eq!(request.content_type("application/json").send(body).unwrap().status(), 201);
        let token = gitlab.tokens().pop().unwrap();
        (token.id, token.username(), token.token)
    }

    /// Has makeinfra ask the registry about a token, without writing anything.
    fn ask(bed: &GitlabBed, image: &str, user: &str, token: &str) -> Output {
        let sandbox = Sandbox::new();
        let image = bed.registry.image(image);
        let file = sandbox.write_private("token", token).display().to_string();
        let run = sandbox.makeinfra(&[
            "new",
            "hello",
            "--image",
            &image,
            "--token-username",
            user,
            "--token-file",
            &file,
            "--expires-at",
            "never",
            "--check",
            "--dry-run",
        ]);
        run.output()
    }

    #[test]
    fn a_minted_token_signs_in_until_it_is_deleted() {
        let Some(bed) = GitlabBed::start() else { return };
        assert_eq!(ask(&bed, "group/hello:1.0.0", USER, TOKEN).code, Some(0));
        let (id, user, token) = mint(&bed.gitlab);
        assert_eq!(ask(&bed, "group/hello:1.0.0", &user, &token).code, Some(0));
        ask(&bed, "group/second:1.0.0", &user, &token).says("it belongs to another project");
        ureq::delete(format!("{}{TOKENS}/{id}", bed.gitlab.url()))
            .header("PRIVATE-TOKEN", MAINTAINER)
            .call()
            .unwrap();
        ask(&bed, "group/hello:1.0.0", &user, &token).says("refuses the sign-in");
        assert_eq!(ask(&bed, "group/hello:1.0.0", USER, TOKEN).code, Some(0));
        assert_eq!(bed.gitlab.log().len(), 2, "sign-ins are not counted: {:?}", bed.gitlab.log());
    }

    #[test]
    fn a_fresh_token_is_refused_for_a_while() {
        let Some(bed) = GitlabBed::with(Gitlab::start().below("/root"), Duration::from_secs(2))
        else {
            return;
        };
        let (_, user, token) = mint(&bed.gitlab);
        ask(&bed, "group/hello:1.0.0", &user, &token).says("refuses the sign-in");
        let start = Instant::now();
        while ask(&bed, "group/hello:1.0.0", &user, &token).code != Some(0) {
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    }
}
