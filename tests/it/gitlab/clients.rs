//! Two independent clients verify that the server behaves like GitLab: python-gitlab, and GitLab's
//! own Go client.

use super::{DeployToken, Gitlab, Role};
use crate::support::cached;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A server with what the clients look for.
fn gitlab() -> Gitlab {
    let gitlab = Gitlab::start().below("/root");
    gitlab.set_clock("2027-01-02T03:04:05Z".parse().unwrap());
    gitlab
        .group(3, "group")
        .project(7, "group/hello")
        .project(8, "group/other")
        .moved("old/hello", 7);
    let roles = [("group/hello", Role::Maintainer), ("group/other", Role::Developer)];
    gitlab.person("glpat-maintainer", &roles, &["api"]);
    gitlab.person("glpat-reader", &roles, &["read_api"]);
    gitlab.person("glpat-owner", &[("group", Role::Owner)], &["api"]);
    gitlab.person("glpat-group", &[("group", Role::Maintainer)], &["api"]);
    for number in 1..=43 {
        let id =
            gitlab.add_token(DeployToken::by_hand(7, &format!("by hand {number}"), "gldt-by-hand"));
        gitlab.change_token(id, |token| match number {
            1 => token.revoked = true,
            2 => token.expires_at = Some("2027-01-02T00:00:00Z".parse().unwrap()),
            3 => token.expires_at = Some("2027-01-01T23:59:59Z".parse().unwrap()),
            _ => {}
        });
    }
    gitlab
}

/// Runs a client, and compares everything that it got with the server's state.
fn hold(client: &mut Command) {
    let gitlab = gitlab();
    let output = client.arg(gitlab.url()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut got: Value = serde_json::from_slice(&output.stdout).unwrap();

    let now = "2027-01-02T03:04:05Z".parse().unwrap();
    let tokens = gitlab.tokens();
    let shown: Vec<Value> = tokens.iter().map(|token| token.shown(now)).collect();
    assert_eq!(shown.len(), 44, "43 by hand, and the one with an end");
    assert_eq!(
        shown[..3].iter().map(|token| &token["expired"]).collect::<Vec<_>>(),
        [false, false, true]
    );

    let plain = take(&mut got, "plain", 44);
    let ends = take(&mut got, "ends", 45);
    assert_eq!(ends, (shown[43].clone(), tokens[43].token.clone()));
    let expected = json!({
        "id": 44, "name": "plain", "username": "gitlab+deploy-token-44", "expires_at": null,
        "scopes": ["read_registry"], "revoked": false, "expired": false,
    });
    assert_eq!(plain.0, expected);
    let of_group = take(&mut got, "group_token", 46);
    assert_eq!(of_group.0["username"], "gitlab+deploy-token-46");

    let list: Vec<Value> = got["list"].as_array().unwrap().iter().map(in_milliseconds).collect();
    assert_eq!(list, [&shown[..43], &[plain.0.clone(), ends.0]].concat());
    assert_eq!(got["get"], plain.0);
    assert_eq!(got["group_list"], json!([of_group.0]));

    let refused = |status: u16, body: Value| json!({"status": status, "body": body});
    let expected = json!({
        "user": 100, "project": 7, "moved": 7, "moved_lists": 44,
        "wrong_scope": refused(400, json!({"error": "scopes does not have a valid value"})),
        "no_scope": refused(400, json!({"message": "Scopes can't be blank"})),
        "second_delete": refused(404, Value::Null),
        "get_deleted": refused(404, Value::Null),
        "group_second_delete": refused(404, Value::Null),
        "group_maintainer_lists": 0,
        "group_maintainer_creates": refused(403, json!({"message": "403 Forbidden"})),
        "wrong_credential": refused(401, json!({"message": "401 Unauthorized"})),
        "reader_creates": refused(403, json!({
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": "api read_api",
        })),
        "developer_lists": refused(403, json!({"message": "403 Forbidden"})),
        "unknown_project": refused(404, Value::Null),
        "moved_creates":
            refused(405, json!({"message": "Non GET methods are not allowed for moved projects"})),
    });
    for name in ["list", "get", "group_list", "plain", "ends", "group_token"] {
        got.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(got, expected);
    let log: Vec<String> =
        gitlab.log().iter().map(|line| line.replace("per_page=", "size=")).collect();
    let pages = |page: &str| {
        log.iter().filter(|line| line.contains(page) && !line.contains("/old%2F")).count()
    };
    assert_eq!((pages("page=2"), pages("page=3")), (2, 2), "all pages of two lists: {log:#?}");
}

/// A newly created token, and its value.
fn take(got: &mut Value, name: &str, id: u64) -> (Value, String) {
    let mut token = in_milliseconds(&got[name]);
    assert_eq!(token["id"], id);
    let value = token.as_object_mut().unwrap().remove("token").unwrap();
    let value = value.as_str().unwrap();
    assert!(value.starts_with("gldt-"));
    (token, value.to_owned())
}

/// The token with its expiry as the server writes it; Go omits milliseconds.
fn in_milliseconds(token: &Value) -> Value {
    let mut token = token.clone();
    if let Some(end) = token["expires_at"].as_str() {
        token["expires_at"] = end.replace(":00Z", ":00.000Z").replace(":59Z", ":59.000Z").into();
    }
    token
}

#[test]
fn python_gitlab_gets_what_the_server_holds() {
    let Some(python) = cached("python-gitlab-8.6.0/bin/python3") else { return };
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quality/gitlab-client/client.py");
    hold(Command::new(python).arg("-B").arg(script));
}

#[test]
fn gitlabs_own_go_client_gets_what_the_server_holds() {
    let Some(client) = cached("gitlab-client-1.46.0/gitlab-client") else { return };
    hold(&mut Command::new(client));
}
