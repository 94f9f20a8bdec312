//! Tests of the server itself.

mod network;

use super::{DeployToken, Gitlab, Kind, Role, Standing};
use jiff::ToSpan;
use serde_json::{Value, json};

const MAINTAINER: &str = "glpat-maintainer";
const TOKENS: &str = "/projects/7/deploy_tokens";

/// An answer for the tests.
struct Got {
    status: u16,
    body: Value,
    headers: ureq::http::HeaderMap,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and body.
    fn both(&self) -> (u16, Value) {
        (self.status, self.body.clone())
    }
}

impl Gitlab {
    /// `METHOD PATH` below `/api/v4`, with `credential` unless it is empty.
    fn try_call(&self, line: &str, credential: &str, body: &Value) -> Result<Got, ureq::Error> {
        let (method, path) = line.split_once(' ').unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .new_agent();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v4{path}", self.url()));
        if !credential.is_empty() {
            request = request.header("PRIVATE-TOKEN", credential);
        }
        let mut response = if body.is_null() {
            agent.run(request.body(()).unwrap())?
        } else {
            let request = request.header("Content-Type", "application/json");
            agent.run(request.body(body.to_string()).unwrap())?
        };
        let text = response.body_mut().read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Got { status: response.status().as_u16(), body, headers: response.headers().clone() })
    }

    fn get(&self, path: &str) -> Got {
        self.try_call(&format!("GET {path}"), MAINTAINER, &Value::Null).unwrap()
    }

    fn get_as(&self, credential: &str, path: &str) -> (u16, Value) {
        self.try_call(&format!("GET {path}"), credential, &Value::Null).unwrap().both()
    }

    fn post(&self, body: &Value) -> Got {
        self.try_call(&format!("POST {TOKENS}"), MAINTAINER, body).unwrap()
    }

    fn delete(&self, path: &str) -> (u16, Value) {
        self.try_call(&format!("DELETE {path}"), MAINTAINER, &Value::Null).unwrap().both()
    }
}

fn wanted() -> Value {
    json!({"name": "hello", "scopes": ["read_registry"]})
}

/// A server with one project in a group, and its maintainer.
fn gitlab() -> Gitlab {
    let gitlab = Gitlab::start();
    gitlab.group(3, "group").project(7, "group/hello");
    gitlab.person(MAINTAINER, &[("group/hello", Role::Maintainer)], &["api"]);
    gitlab
}

#[test]
fn a_token_has_its_value_in_the_answer_of_post_alone() {
    let gitlab = gitlab();
    let made = gitlab.post(&wanted());
    assert_eq!(made.status, 201);
    let value = made.body["token"].as_str().unwrap();
    assert!(value.starts_with("gldt-") && value.len() == 25, "{value}");
    let mut shown = json!({
        "id": 1, "name": "hello", "username": "gitlab+deploy-token-1", "expires_at": null,
        "scopes": ["read_registry"], "revoked": false, "expired": false, "token": value,
    });
    assert_eq!(made.body, shown);
    shown.as_object_mut().unwrap().remove("token");
    assert_eq!(gitlab.get(&format!("{TOKENS}/1")).both(), (200, shown.clone()));
    assert_eq!(gitlab.get(TOKENS).both(), (200, json!([shown])));
    assert_eq!(gitlab.tokens()[0].token, value);
    assert_ne!(gitlab.post(&wanted()).body["token"], value);
}

#[test]
fn a_deleted_token_is_gone_and_its_id_is_never_used_again() {
    let gitlab = gitlab();
    gitlab.post(&wanted());
    let gone = (404, json!({"message": "404 Not found"}));
    assert_eq!(gitlab.delete(&format!("{TOKENS}/1")), (204, json!("")));
    assert_eq!(gitlab.delete(&format!("{TOKENS}/1")), gone);
    assert_eq!(gitlab.get(&format!("{TOKENS}/1")).both(), gone);
    assert_eq!(gitlab.post(&wanted()).body["id"], 2);
    gitlab.remove_token(2);
    assert_eq!(gitlab.post(&wanted()).body["id"], 3);
    assert_eq!(
        gitlab.delete(&format!("{TOKENS}/x")),
        (400, json!({"error": "token_id is invalid"}))
    );
}

#[test]
fn lists_have_twenty_a_page_and_a_hundred_at_most() {
    let gitlab = gitlab();
    for number in 1..=145 {
        gitlab.add_token(DeployToken::by_hand(7, &format!("by hand {number}"), "gldt-x"));
    }
    let page = gitlab.get(TOKENS);
    assert_eq!(page.body.as_array().unwrap().len(), 20);
    let numbers = |page: &Got| {
        ["X-Page", "X-Per-Page", "X-Next-Page", "X-Prev-Page", "X-Total", "X-Total-Pages"]
            .map(|name| page.header(name).to_owned())
    };
    assert_eq!(numbers(&page), ["1", "20", "2", "", "145", "8"]);
    let url = format!("{}/api/v4{TOKENS}?id=7", gitlab.url());
    assert_eq!(
        page.header("Link"),
        format!(
            "<{url}&page=2&per_page=20>; rel=\"next\", <{url}&page=1&per_page=20>; rel=\"first\", \
             <{url}&page=8&per_page=20>; rel=\"last\""
        )
    );
    let last = gitlab.get(&format!("{TOKENS}?page=8"));
    assert_eq!(numbers(&last), ["8", "20", "", "7", "145", "8"]);
    assert_eq!(last.body[0]["id"], 141);
    let hundred = gitlab.get(&format!("{TOKENS}?per_page=500&page=2"));
    assert_eq!(numbers(&hundred), ["2", "100", "", "1", "145", "2"]);
    assert_eq!(hundred.body.as_array().unwrap().len(), 45);
    assert_eq!(gitlab.get(&format!("{TOKENS}?page=9")).body, json!([]));
    let zero = gitlab.get(&format!("{TOKENS}?per_page=0"));
    assert_eq!(zero.both(), (400, json!({"error": "per_page has a value not allowed"})));
}

#[test]
fn a_token_ends_to_the_second_and_its_flag_lags_until_midnight() {
    let gitlab = gitlab();
    let noon: jiff::Timestamp = "2027-03-01T12:00:00Z".parse().unwrap();
    gitlab.set_clock(noon - 1.hour());
    let mut body = wanted();
    body["expires_at"] = "2027-03-01T12:00:00.9Z".into();
    assert_eq!(gitlab.post(&body).body["expires_at"], "2027-03-01T12:00:00.000Z");
    let listed =
        |query: &str| gitlab.get(&format!("{TOKENS}{query}")).body.as_array().unwrap().len();
    gitlab.set_clock(noon);
    assert_eq!((listed(""), listed("?active=true")), (1, 1));
    gitlab.advance(1.second().try_into().unwrap());
    assert_eq!((listed(""), listed("?active=true"), listed("?active=false")), (1, 0, 1));
    assert_eq!(gitlab.get(TOKENS).body[0]["expired"], false);
    gitlab.set_clock(noon + 12.hours());
    assert_eq!(gitlab.get(TOKENS).body[0]["expired"], true);
    assert_eq!(gitlab.get(TOKENS).header("Date"), "Tue, 02 Mar 2027 00:00:00 GMT");
    gitlab.change_token(1, |token| token.expires_at = None);
    assert_eq!(gitlab.get(TOKENS).body[0]["expires_at"], Value::Null);
    gitlab.change_token(1, |token| token.revoked = true);
    assert_eq!((listed(""), listed("?active=true")), (1, 0));
}

#[test]
fn a_date_is_its_first_second() {
    let gitlab = gitlab();
    let mut body = wanted();
    body["expires_at"] = "2027-03-01".into();
    assert_eq!(gitlab.post(&body).body["expires_at"], "2027-03-01T00:00:00.000Z");
}

#[test]
fn what_post_does_not_take_is_400_in_two_shapes() {
    let gitlab = gitlab();
    let cases = [
        (json!({}), json!({"error": "name is missing, scopes is missing"})),
        (json!({"name": "x"}), json!({"error": "scopes is missing"})),
        (
            json!({"name": "x", "scopes": ["read_everything"]}),
            json!({"error": "scopes does not have a valid value"}),
        ),
        (json!({"name": "x", "scopes": []}), json!({"message": "Scopes can't be blank"})),
        (
            json!({"name": "x", "scopes": ["read_registry"], "expires_at": "90d"}),
            json!({"error": "expires_at is invalid"}),
        ),
        (
            json!({"name": "x", "scopes": ["read_registry"], "username": "a b"}),
            json!({"message": "Username can contain only letters, digits, '_', '-', '+', and '.'"}),
        ),
    ];
    for (body, error) in cases {
        assert_eq!(gitlab.post(&body).both(), (400, error));
    }
    assert_eq!(gitlab.tokens(), []);
}

#[test]
fn a_form_is_as_good_as_json() {
    let gitlab = gitlab();
    let agent = ureq::Agent::new_with_defaults();
    let form = "name=a+%26+b&scopes[]=read_registry&scopes%5B%5D=read_repository&username=robot";
    let url = format!("{}/api/v4{TOKENS}", gitlab.url());
    let request = agent
        .post(url)
        .header("Authorization", format!("Bearer {MAINTAINER}"))
        .content_type("application/x-www-form-urlencoded");
    assert_eq!(request.send(form).unwrap().status(), 201);
    let token = gitlab.token(1).unwrap();
    assert_eq!((token.name.as_str(), token.username()), ("a & b", "robot".to_owned()));
    assert_eq!(token.scopes, ["read_repository", "read_registry"]);
}

#[test]
fn rights_are_those_of_the_role() {
    let gitlab = gitlab();
    let roles = [Role::Guest, Role::Reporter, Role::Developer].map(|role| ("group/hello", role));
    gitlab.person("glpat-developer", &roles, &["api"]);
    gitlab.person("glpat-stranger", &[("other", Role::Owner)], &["api"]);
    gitlab.person("glpat-group", &[("group", Role::Maintainer)], &["api"]);
    gitlab.person("glpat-owner", &[("group", Role::Owner)], &["api"]);
    let forbidden = (403, json!({"message": "403 Forbidden"}));
    let no_project = (404, json!({"message": "404 Project Not Found"}));
    assert_eq!(gitlab.get_as("glpat-developer", TOKENS), forbidden);
    assert_eq!(gitlab.get_as("glpat-stranger", TOKENS), no_project);
    assert_eq!(gitlab.get_as("", TOKENS), no_project);
    assert_eq!(gitlab.get_as("glpat-group", TOKENS).0, 200);
    let group = "/groups/3/deploy_tokens";
    assert_eq!(gitlab.get_as(MAINTAINER, group), forbidden);
    assert_eq!(
        gitlab.get_as("glpat-stranger", group),
        (404, json!({"message": "404 Group Not Found"}))
    );
    assert_eq!(gitlab.get_as("glpat-group", group).0, 200);
    let make =
        |who: &str| gitlab.try_call(&format!("POST {group}"), who, &wanted()).unwrap().both();
    assert_eq!(make("glpat-group"), forbidden);
    assert_eq!(make("glpat-owner").0, 201);
    assert_eq!(gitlab.tokens()[0].kind, Kind::Group);
    let delete = |who: &str| {
        gitlab.try_call(&format!("DELETE {group}/1"), who, &Value::Null).unwrap().both()
    };
    assert_eq!(delete("glpat-group"), forbidden);
    assert_eq!(
        gitlab.get_as("glpat-owner", &format!("{TOKENS}/1")).0,
        404,
        "it is no token of the project"
    );
    assert_eq!(delete("glpat-owner").0, 204);
    gitlab.roles("glpat-owner", &[]);
    assert_eq!(gitlab.get_as("glpat-owner", group).0, 404);
    gitlab.public("group/hello");
    assert_eq!(gitlab.get_as("", TOKENS), forbidden);
    assert_eq!(gitlab.get_as(MAINTAINER, "/deploy_tokens"), forbidden);
}

#[test]
fn a_credential_is_known_valid_and_has_a_scope() {
    let gitlab = gitlab();
    let unauthorized = (401, json!({"message": "401 Unauthorized"}));
    assert_eq!(gitlab.get_as("glpat-nobody", TOKENS), unauthorized);
    assert_eq!(gitlab.get_as("", "/user"), unauthorized);
    gitlab.person("glpat-reader", &[("group/hello", Role::Owner)], &["read_api"]);
    assert_eq!(gitlab.get_as("glpat-reader", TOKENS).0, 200);
    let made = gitlab.try_call(&format!("POST {TOKENS}"), "glpat-reader", &wanted()).unwrap();
    assert_eq!((made.status, &made.body["error"]), (403, &json!("insufficient_scope")));
    assert_eq!(made.body["scope"], "api read_api");
    gitlab.standing(MAINTAINER, Standing::Expired);
    assert_eq!(gitlab.get(TOKENS).both().1["error"], "invalid_token");
    gitlab.standing(MAINTAINER, Standing::Revoked);
    assert_eq!(gitlab.get(TOKENS).status, 401);
    gitlab.standing(MAINTAINER, Standing::Valid);
    assert_eq!(gitlab.get(TOKENS).status, 200);
    assert_eq!(gitlab.get("/personal_access_tokens/self").body["scopes"], json!(["api"]));
    gitlab.oauth("from-glab", &[("group/hello", Role::Owner)], &["api"]);
    assert_eq!(gitlab.get_as("from-glab", TOKENS), unauthorized);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let bearer = |path: &str| {
        let url = format!("{}/api/v4{path}", gitlab.url());
        agent.get(url).header("Authorization", "Bearer from-glab").call().unwrap().status().as_u16()
    };
    assert_eq!((bearer(TOKENS), bearer("/personal_access_tokens/self")), (200, 400));
}

#[test]
fn a_project_is_found_by_number_and_path_and_tells_the_role() {
    let gitlab = gitlab().below("/root");
    gitlab.registry("127.0.0.1:5000");
    assert!(gitlab.url().ends_with("/root"));
    let project = gitlab.get("/projects/group%2FHello");
    assert_eq!(project.body["id"], 7);
    assert_eq!(project.body["permissions"]["project_access"]["access_level"], 40);
    assert_eq!(project.body["permissions"]["group_access"], Value::Null);
    assert_eq!(project.body["container_registry_image_prefix"], "127.0.0.1:5000/group/hello");
    assert_eq!(gitlab.get("/projects/7").body, project.body);
    assert_eq!(gitlab.get("/groups/group").body["full_path"], "group");
    assert_eq!(
        gitlab.get("/projects/8").both(),
        (404, json!({"message": "404 Project Not Found"}))
    );
    let user = gitlab.get("/user").body["id"].clone();
    assert_eq!(gitlab.get(&format!("/projects/7/members/all/{user}")).body["access_level"], 40);
    assert_eq!(gitlab.get("/projects/7/members/all/1").status, 404);
    assert_eq!(gitlab.get("/version").status, 200);
    let above = ureq::get(format!("http://{}/api/v4/version", gitlab.host())).call();
    assert!(matches!(above, Err(ureq::Error::StatusCode(404))));
    assert_eq!(gitlab.get("/nothing").both(), (404, json!({"error": "404 Not Found"})));
    let slashes = gitlab.behind_a_decoding_proxy();
    assert_eq!(
        slashes.get("/projects/group%2Fhello").both(),
        (404, json!({"error": "404 Not Found"}))
    );
    slashes.remove_project(7);
    assert_eq!(slashes.get("/projects/7").status, 404);
}

#[test]
fn a_moved_project_redirects_get_alone() {
    let gitlab = gitlab();
    gitlab.moved("old/hello", 7);
    let old = gitlab.get("/projects/old%2Fhello/deploy_tokens?page=2");
    let url = format!("{}/api/v4{TOKENS}?page=2", gitlab.url());
    assert_eq!((old.status, old.header("Location")), (301, url.as_str()));
    let refused = (405, json!({"message": "Non GET methods are not allowed for moved projects"}));
    assert_eq!(gitlab.delete("/projects/old%2Fhello/deploy_tokens/1"), refused);
    assert_eq!(gitlab.get_as("", "/projects/old%2Fhello").0, 404);
    gitlab.rename(7, "team/hello").roles(MAINTAINER, &[("team", Role::Owner)]);
    assert_eq!(gitlab.get("/projects/group%2Fhello").status, 301);
    assert_eq!(gitlab.get("/projects/team%2Fhello").status, 200);
}
