//! The connection to GitLab's API: TLS, proxies, redirects. The credential is sent to one GitLab
//! only.

use super::gitlab::{Fault, Gitlab, Role};
use super::registry_bed::Authority;
use super::small_server::SmallServer;
use super::support::{Output, Run, Sandbox, needles};

/// The credential, which must never appear in the output.
const READER: &str = "glpat-Marker_4Zt8pQw6";

/// A repository, and a GitLab with its project.
fn with(gitlab: Gitlab) -> (Sandbox, Gitlab) {
    let sandbox = Sandbox::with_hello();
    gitlab.project(7, "group/hello").person(READER, &[("group/hello", Role::Maintainer)], &["api"]);
    sandbox.write_private("api", READER);
    (sandbox, gitlab)
}

/// `makeinfra token list` with the GitLab at `url`, and the credential in a file.
fn list(sandbox: &Sandbox, url: &str, args: &[&str]) -> Run {
    let file = sandbox.path("api").display().to_string();
    let base = ["token", "list", "--gitlab-host", url, "--gitlab-token-file", &file];
    sandbox.makeinfra(&[&base[..], args].concat()).cwd(sandbox.work("hello-infra"))
}

#[track_caller]
fn hides_credential(output: &Output) {
    for needle in needles(READER) {
        assert!(!output.stdout.contains(&needle) && !output.stderr.contains(&needle), "{needle}");
    }
}

#[test]
fn tls_is_trusted_by_the_option_and_by_what_glab_stores() {
    let authority = Authority::new();
    let (sandbox, gitlab) = with(Gitlab::with_tls(&authority, &["gitlab.test"]).below("/git/lab"));
    let ca = sandbox.write("ca.pem", authority.pem()).display().to_string();
    let output = list(&sandbox, &gitlab.url(), &[]).failure(3);
    output.says("an unknown authority").says("--ca-file FILE");
    hides_credential(&output);
    assert_eq!(gitlab.log(), [""; 0]);
    list(&sandbox, &gitlab.url(), &["--ca-file", &ca]).success().prints("project `group/hello`");
    assert!(
        gitlab.log().iter().all(|line| line.starts_with("GET /git/lab/api/v4/")),
        "{:?}",
        gitlab.log()
    );
    // glab's own file sets the authority, the path and the host of the API.
    let host = gitlab.host();
    let glab = format!(
        "hosts:\n  {host}:\n    token: {READER}\n    subfolder: git/lab\n    ca_cert: {ca}\n    is_oauth2: \"false\"\n"
    );
    sandbox.write_private("home/.config/glab-cli/config.yml", glab);
    let bare = ["token", "list", "--gitlab-host", &gitlab.url()];
    sandbox
        .makeinfra(&bare)
        .cwd(sandbox.work("hello-infra"))
        .success()
        .prints("project `group/hello`");
}

#[test]
fn no_redirect_and_no_link_takes_the_credential_elsewhere() {
    let (sandbox, gitlab) = with(Gitlab::start());
    let other = SmallServer::saying("200 OK\r\nContent-Type: application/json");
    let elsewhere = format!("http://{}/api/v4/x", other.address);
    gitlab.next("GET", "/projects/", Fault::redirect(&elsewhere));
    let output = list(&sandbox, &gitlab.url(), &[]).failure(3);
    output.says("redirects to another host; the access token was not sent");
    hides_credential(&output);
    for number in 0..120 {
        let name = format!("token {number}");
        gitlab.add_token(super::gitlab::DeployToken::by_hand(7, &name, "gldt-x"));
    }
    gitlab.next("GET", "/deploy_tokens", Fault::LinksTo(format!("http://{}", other.address)));
    let tokens = list(&sandbox, &gitlab.url(), &["--json"]).success().json();
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 120);
    let heads = other.heads().join("\n").to_lowercase();
    assert!(!heads.contains("authorization") && !heads.contains("private-token"), "{heads}");
    // A missing page is not the end of the list.
    gitlab.next("GET", "page=2", Fault::html(502));
    list(&sandbox, &gitlab.url(), &[]).failure(3).says("failed with status 502");
}

#[test]
fn a_proxy_is_used_and_plain_http_is_refused() {
    let (sandbox, gitlab) = with(Gitlab::start());
    let output = list(&sandbox, "http://gitlab.test", &[]).failure(1);
    output.says("uses plain HTTP, which would expose").says("--plain-http");
    let target = gitlab.host().to_owned();
    let proxy = SmallServer::proxy(move |_| target.clone(), None);
    let run = list(&sandbox, "http://gitlab.test", &["--plain-http"]);
    run.env("HTTP_PROXY", format!("http://{}", proxy.address))
        .success()
        .prints("project `group/hello`");
    assert!(proxy.heads()[0].starts_with("CONNECT gitlab.test:80 "), "{:?}", proxy.heads());
    assert!(!proxy.heads().concat().contains(READER));
    // Nothing listens there.
    let output = list(&sandbox, "http://127.0.0.1:1", &[]).failure(3);
    output.says("refuses connections").says("curl -v");
    hides_credential(&output);
}

#[test]
fn other_credentials_and_other_proxies_are_told() {
    let (sandbox, gitlab) = with(Gitlab::start());
    // The kind of token that `glab auth login` gets in a browser.
    gitlab.oauth("oauth-Marker_1Aa2", &[("group/hello", Role::Maintainer)], &["api"]);
    sandbox.write_private("api", "oauth-Marker_1Aa2\n");
    list(&sandbox, &gitlab.url(), &[]).success();
    let (sandbox, gitlab) = with(Gitlab::start().behind_a_decoding_proxy());
    let output = list(&sandbox, &gitlab.url(), &[]).failure(3);
    output.says("a proxy in front of it decodes `%2F` in paths");
    hides_credential(&output);
}
