//! The complete output when GitLab, or a server in front of it, refuses:
//! `tests/outputs/gitlab-refusals.txt`.

use super::super::gitlab::{Fault, Role};
use super::super::outputs::{is, printed};
use super::World;
use serde_json::json;

#[test]
fn refusals_of_gitlab() {
    let Some(world) = World::start() else { return };
    let gitlab = &world.bed.gitlab;
    let url = gitlab.url();
    let mut text = String::new();
    let mut shows = |what: &str, credential: &str| {
        let args = ["rotate", "hello-infra", "--from-gitlab", "--expires-in", "90d"];
        let run =
            world.sandbox.makeinfra(&args).env("GITLAB_HOST", &url).env("GITLAB_TOKEN", credential);
        let said = printed(&world.sandbox, &args, run).replace(&url, "https://GITLAB");
        let said =
            said.replace(gitlab.host(), "GITLAB").replace(world.bed.registry.host(), "REGISTRY");
        text.push_str(&format!("# {what}\n{said}\n"));
        gitlab.heal();
    };
    let maintainer = super::MAINTAINER;
    for (what, fault) in [
        ("429 with Retry-After", Fault::too_many_requests(Some(37))),
        ("429 without", Fault::too_many_requests(None)),
        ("429 in plain text, with Retry-After", Fault::retry_later(Some(60))),
        ("429 in plain text, without", Fault::retry_later(None)),
        ("500", Fault::json(500, &json!({"message": "500 Internal Server Error"}))),
        ("502 of a proxy", Fault::html(502)),
        ("503 of a proxy", Fault::html(503)),
        ("404 of a proxy", Fault::html(404)),
        ("A page of a proxy with 200", Fault::html(200)),
        ("A page of a proxy with 403", Fault::html(403)),
        (
            "A redirect to a page where people sign in",
            Fault::redirect("http://localhost:1/users/sign_in"),
        ),
        ("A connection that breaks", Fault::DropBefore),
    ] {
        gitlab.times(u32::MAX, "GET", "/api/", fault);
        shows(what, maintainer);
    }
    gitlab.person("glpat-guest", &[("group/hello", Role::Guest)], &["api"]);
    gitlab.person("glpat-reader", &[("group/hello", Role::Maintainer)], &["read_api"]);
    gitlab.person("glpat-stranger", &[], &["api"]);
    shows("A guest", "glpat-guest");
    shows("The scope read_api", "glpat-reader");
    shows("No member", "glpat-stranger");
    shows("Not known", "glpat-nobody");
    for (what, fault) in [
        ("429 for the token itself", Fault::too_many_requests(Some(37))),
        ("A proxy's 502 for the token itself", Fault::html(502)),
        (
            "The token's expiry is refused",
            Fault::json(400, &json!({"message": {"expires_at": ["is too far away"]}})),
        ),
    ] {
        gitlab.times(u32::MAX, "POST", "", fault);
        shows(what, maintainer);
    }
    is("gitlab-refusals", text.trim_end());
    assert_eq!(world.ids(), [1]);
}
