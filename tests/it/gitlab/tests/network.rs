//! Faults, connections, recorded requests, and the mirror.

use super::super::{DeployToken, Fault, Gitlab, Role};
use super::{MAINTAINER, TOKENS, gitlab, wanted};
use crate::registry_bed::Authority;
use crate::small_server::SmallServer;
use serde_json::{Value, json};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn faults_meet_the_requests_that_they_are_for() {
    let gitlab = gitlab();
    let post = || gitlab.try_call(&format!("POST {TOKENS}"), MAINTAINER, &wanted());
    gitlab.next("POST", "deploy_tokens", Fault::DropBefore).next("POST", "", Fault::DropAfter);
    assert_eq!(gitlab.get(TOKENS).body, json!([]), "GET meets none");
    assert!(post().is_err() && gitlab.tokens().is_empty());
    assert!(post().is_err() && gitlab.tokens().len() == 1);
    gitlab.next("GET", "page=2", Fault::CutOff);
    assert_eq!(gitlab.get(&format!("{TOKENS}?page=1")).status, 200);
    assert!(
        gitlab
            .try_call(&format!("GET {TOKENS}?page=2&per_page=1"), MAINTAINER, &Value::Null)
            .is_err()
    );
    gitlab.times(u32::MAX, "GET", "", Fault::too_many_requests(Some(2)));
    let limited = gitlab.get(TOKENS);
    assert_eq!((limited.status, limited.header("Retry-After")), (429, "2"));
    assert_ne!(limited.header("Date"), "");
    assert_eq!(gitlab.get(TOKENS).status, 429);
    gitlab.heal().next("GET", "", Fault::retry_later(None));
    let limited = gitlab.get(TOKENS);
    assert_eq!((limited.body.as_str(), limited.header("Retry-After")), (Some("Retry later\n"), ""));
    gitlab.next("GET", "", Fault::html(502));
    assert_eq!(gitlab.get(TOKENS).header("Content-Type"), "text/html");
    gitlab.next("GET", "", Fault::json(500, &json!({"message": "500 Internal Server Error"})));
    assert_eq!(gitlab.get(TOKENS).status, 500);
    gitlab.next("GET", "", Fault::redirect("http://127.0.0.1:1/"));
    assert_eq!(gitlab.get(TOKENS).header("Location"), "http://127.0.0.1:1/");
    gitlab.next("GET", "", Fault::LinksTo("http://127.0.0.1:1".to_owned()));
    assert!(gitlab.get(TOKENS).header("Link").starts_with("<http://127.0.0.1:1/api/v4"));
    gitlab.next("GET", "", Fault::Without(&["Link", "X-Next-Page"]));
    assert_eq!(gitlab.get(TOKENS).header("Link"), "");
    let time = Duration::from_millis(50);
    for fault in [Fault::Delay(time), Fault::DelayAfter(time)] {
        let start = Instant::now();
        gitlab.next("GET", "", fault).get(TOKENS);
        assert!(start.elapsed() >= time);
    }
}

#[test]
fn a_request_is_held_while_something_else_happens() {
    let gitlab = &gitlab();
    let id = gitlab.add_token(DeployToken::by_hand(7, "by hand", "gldt-by-hand"));
    let path = format!("{TOKENS}/{id}");
    thread::scope(|scope| {
        gitlab.next("DELETE", "", Fault::HoldBefore).next("DELETE", "", Fault::HoldAfter);
        let second = scope.spawn(|| gitlab.delete(&path).0);
        gitlab.wait_for_held();
        assert!(gitlab.token(id).is_some());
        gitlab.remove_token(id).release();
        assert_eq!(second.join().unwrap(), 404, "somebody else was faster");
        let id = gitlab.add_token(DeployToken::by_hand(7, "another", "gldt-another"));
        let deleted = scope.spawn(move || gitlab.delete(&format!("{TOKENS}/{id}")).0);
        assert!(gitlab.wait_for_held().tokens().is_empty(), "it is done, and not yet answered");
        gitlab.release();
        assert_eq!(deleted.join().unwrap(), 204);
    });
}

#[test]
fn requests_are_kept_with_credential_and_body() {
    let gitlab = gitlab();
    gitlab.post(&wanted());
    assert_eq!(gitlab.log(), [format!("POST /api/v4{TOKENS}")]);
    let requests = gitlab.requests();
    assert_eq!(requests[0].credential().unwrap(), format!("PRIVATE-TOKEN: {MAINTAINER}"));
    assert_eq!(serde_json::from_str::<Value>(&requests[0].body).unwrap(), wanted());
    assert!(gitlab.forget_requests().requests().is_empty());
}

#[test]
fn a_connection_serves_several_requests_and_ends_with_the_server() {
    let gitlab = gitlab();
    let agent = ureq::Agent::new_with_defaults();
    let url = format!("{}/api/v4/version", gitlab.url());
    for _ in 0..3 {
        let mut response = agent.get(&url).header("PRIVATE-TOKEN", MAINTAINER).call().unwrap();
        response.body_mut().read_to_string().unwrap();
    }
    drop(gitlab);
    assert!(agent.get(&url).call().is_err());
}

#[test]
fn the_mirror_has_the_tokens_that_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let gitlab = gitlab();
    let old = gitlab.add_token(DeployToken::by_hand(7, "by hand", "gldt-by-hand"));
    gitlab.registry_tokens_in(dir.path(), Duration::from_millis(300));
    let prefix = format!("gitlab-{}", gitlab.host().rsplit(':').next().unwrap());
    let read = |id: u64| {
        let text = fs::read_to_string(dir.path().join(format!("{prefix}-{id}.json"))).ok()?;
        Some(serde_json::from_str::<Value>(&text).unwrap())
    };
    let expected = json!({
        "username": "gitlab+deploy-token-1", "password": "gldt-by-hand",
        "projects": ["group/hello"], "scopes": ["read_registry"],
    });
    assert_eq!(read(old), Some(expected));
    let id = gitlab.post(&wanted()).body["id"].as_u64().unwrap();
    assert_eq!(read(id), None, "a fresh token is refused for a while");
    let start = Instant::now();
    while read(id).is_none() {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    gitlab.delete(&format!("{TOKENS}/{old}"));
    assert_eq!(read(old), None);
    gitlab
        .change_token(id, |token| token.expires_at = Some("2020-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(read(id), None);
    gitlab.change_token(id, |token| token.expires_at = None);
    assert!(read(id).is_some());
    drop(gitlab);
    assert_eq!(read(id), None, "nothing stays in a directory that others use");
}

#[test]
fn the_same_is_spoken_over_tls_and_under_a_name() {
    let authority = Authority::new();
    let gitlab = Gitlab::with_tls(&authority, &["gitlab.test"]).named("https://gitlab.test:8443");
    gitlab.project(7, "group/hello").person(
        MAINTAINER,
        &[("group/hello", Role::Maintainer)],
        &["api"],
    );
    let proxy = SmallServer::proxy(
        {
            let host = gitlab.host().to_owned();
            move |_| host.clone()
        },
        None,
    );
    let call = |certificates: Vec<ureq::tls::Certificate<'static>>| {
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(&certificates))
            .unversioned_rustls_crypto_provider(std::sync::Arc::new(
                rustls::crypto::ring::default_provider(),
            ));
        let agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .proxy(Some(ureq::Proxy::new(&format!("http://{}", proxy.address)).unwrap()))
            .build()
            .new_agent();
        let request = agent.get(format!("{}/api/v4{TOKENS}", gitlab.url()));
        request.header("PRIVATE-TOKEN", MAINTAINER).call()
    };
    assert!(call(Vec::new()).is_err(), "nobody trusts its authority");
    let own = ureq::tls::Certificate::from_pem(authority.pem().as_bytes()).unwrap().to_owned();
    let response = call(vec![own]).unwrap();
    assert!(
        response.headers()["Link"]
            .to_str()
            .unwrap()
            .starts_with("<https://gitlab.test:8443/api/v4")
    );
    assert!(proxy.heads()[0].starts_with("CONNECT gitlab.test:8443 "));
}
