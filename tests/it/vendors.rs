//! The answers of several vendors' registries to a sign-in, and the resulting verdict, one row for
//! each vendor and login.
//!
//! The servers are small, and follow the vendor's documentation, source or a public report.

use super::small_server::SmallServer;
use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::io::Write;

/// The parts of a request that matter for a sign-in.
struct Ask<'r> {
    me: String,
    path: &'r str,
    /// The Basic password.
    password: Option<String>,
    bearer: Option<&'r str>,
}

/// Status, headers, body.
type Answer = (u16, String, String);

fn plain(status: u16, body: &str) -> Answer {
    (status, "Content-Type: text/plain\r\n".to_owned(), body.to_owned())
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({"errors": [{"code": code, "message": message}]}).to_string();
    (status, "Content-Type: application/json\r\n".to_owned(), body)
}

fn challenged(challenge: &str, (status, headers, body): Answer) -> Answer {
    (status, format!("{headers}Www-Authenticate: {challenge}\r\n"), body)
}

fn manifest() -> Answer {
    let body =
        json!({"schemaVersion": 2, "config": {"digest": "sha256:0"}, "layers": []}).to_string();
    (200, "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n".to_owned(), body)
}

/// A JSON web token that allows `actions` on the image.
fn token(actions: &[&str]) -> Answer {
    let claims =
        json!({"access": [{"type": "repository", "name": "group/shop", "actions": actions}]});
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    (200, "Content-Type: application/json\r\n".to_owned(), json!({"token": token}).to_string())
}

fn opaque(token: &str) -> Answer {
    (200, "Content-Type: application/json\r\n".to_owned(), json!({"token": token}).to_string())
}

/// A registry with a token service at `realm`, which answers with `grant`; `shows` is its answer to
/// a token.
fn bearer(
    ask: &Ask,
    realm: &str,
    service: &str,
    grant: impl Fn(Option<&str>) -> Answer,
    shows: impl Fn(&str) -> Answer,
) -> Answer {
    let challenge = format!("Bearer realm=\"http://{}{realm}\",service=\"{service}\"", ask.me);
    match ask.bearer {
        _ if ask.path.starts_with(realm) => grant(ask.password.as_deref()),
        None => challenged(&challenge, error(401, "UNAUTHORIZED", "authentication required")),
        Some(token) => {
            let (status, headers, body) = shows(token);
            match status {
                401 => challenged(
                    &format!("{challenge},error=\"insufficient_scope\""),
                    (status, headers, body),
                ),
                _ => (status, headers, body),
            }
        }
    }
}

/// A registry that accepts user name and password itself.
fn basic(ask: &Ask, realm: &str, shows: impl Fn(&str) -> Answer) -> Answer {
    match &ask.password {
        None => challenged(
            &format!("Basic realm=\"{realm}\""),
            error(401, "UNAUTHORIZED", "authentication required"),
        ),
        Some(password) => shows(password),
    }
}

// docs.docker.com, "Docker Hub usage and limits"; moby/moby#48107.
fn docker_hub(ask: &Ask) -> Answer {
    let grant = |password: Option<&str>| match password {
        Some("good" | "gone" | "limited") => token(&["pull"]),
        Some("wrong") => {
            (401, String::new(), json!({"details": "incorrect username or password"}).to_string())
        }
        _ => token(&[]),
    };
    let shows = |_: &str| match ask.path {
        path if path.contains("limited") => {
            error(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.")
        }
        path => of_tag(path, error(404, "MANIFEST_UNKNOWN", "manifest unknown")),
    };
    bearer(ask, "/token", "registry.docker.io", grant, shows)
}

// openai/tart#277: 403 DENIED to a token that has expired; its own tokens are opaque.
fn ghcr(ask: &Ask) -> Answer {
    let grant = |password: Option<&str>| match password {
        Some("good") => opaque("good"),
        Some("other") => opaque("other"),
        _ => error(403, "DENIED", "denied"),
    };
    let shows = |token: &str| match token {
        "good" => of_tag(ask.path, error(404, "MANIFEST_UNKNOWN", "manifest unknown")),
        _ => error(
            403,
            "DENIED",
            "permission_denied: The token provided does not match expected scopes.",
        ),
    };
    bearer(ask, "/token", "ghcr.io", grant, shows)
}

// deis/builder#426, awslabs/amazon-ecr-credential-helper#7: 403 in plain text; later in JSON.
fn ecr(ask: &Ask) -> Answer {
    basic(ask, "https://111122223333.dkr.ecr.us-east-1.amazonaws.com/", |password| match password {
        "expired" => plain(
            403,
            "Your Authorization Token has expired. Please run 'aws ecr get-login' to fetch a new one.\n",
        ),
        "expired-json" => error(
            403,
            "DENIED",
            "Your authorization token has expired. Reauthenticate and try again.",
        ),
        "other" => error(
            403,
            "DENIED",
            "User: arn:aws:iam::1:user/x is not authorized to perform: ecr:BatchGetImage",
        ),
        "wrong" => plain(401, "Not Authorized\n"),
        _ if ask.path == "/v2/" => plain(200, ""),
        _ => of_tag(
            ask.path,
            error(404, "NAME_UNKNOWN", "The repository with name 'group/shop' does not exist"),
        ),
    })
}

// argoproj/argo-cd#26260, GoogleCloudPlatform/docker-credential-gcr#129.
fn artifact_registry(ask: &Ask) -> Answer {
    let denied = "Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource (or it may not exist)";
    let grant = |password: Option<&str>| match password {
        Some(key) if key.starts_with("{\n") => opaque("good"),
        Some("other") => error(403, "DENIED", denied),
        Some(_) => error(401, "UNAUTHORIZED", "No valid credential was supplied."),
        None => error(
            403,
            "DENIED",
            "Unauthenticated request. Unauthenticated requests do not have permission",
        ),
    };
    bearer(ask, "/v2/token", "europe-docker.pkg.dev", grant, |_| {
        of_tag(ask.path, error(404, "MANIFEST_UNKNOWN", "x"))
    })
}

// Azure/acr docs/AAD-OAuth.md; a malformed login is a bad request.
fn acr(ask: &Ask) -> Answer {
    let grant = |password: Option<&str>| match password {
        Some("good") => token(&["pull"]),
        Some("malformed") => error(400, "UNAUTHORIZED", "bad request"),
        Some("grant") => (400, String::new(), json!({"error": "invalid_grant"}).to_string()),
        _ => error(
            401,
            "UNAUTHORIZED",
            "authentication required, visit https://aka.ms/acr/authorization",
        ),
    };
    bearer(ask, "/oauth2/token", "shop.azurecr.io", grant, |_| {
        of_tag(ask.path, error(404, "NAME_UNKNOWN", "x"))
    })
}

// goharbor/harbor src/core/service/token, src/lib/errors.
fn harbor(ask: &Ask) -> Answer {
    let grant = |password: Option<&str>| match password {
        Some("good") => token(&["pull"]),
        Some("wrong") => error(401, "UNAUTHORIZED", "unauthorized: unauthorized"),
        _ => token(&[]),
    };
    let shows = |_: &str| match ask.path.contains("tags/list") {
        true => error(404, "NOT_FOUND", "repository group/shop not found"),
        false => of_tag(ask.path, error(404, "NOT_FOUND", "artifact group/shop:9 not found")),
    };
    bearer(ask, "/service/token", "harbor-registry", grant, shows)
}

// quay/quay endpoints/v2/v2auth.py.
fn quay(ask: &Ask) -> Answer {
    let grant = |password: Option<&str>| match password {
        Some("good") => token(&["pull"]),
        Some("wrong") => error(401, "UNAUTHORIZED", "Could not find robot with specified username"),
        _ => token(&[]),
    };
    bearer(ask, "/v2/auth", "quay.io", grant, |_| {
        of_tag(ask.path, error(404, "MANIFEST_UNKNOWN", "manifest unknown"))
    })
}

// sonatype/nexus-public#217: `/v2/` is closed, and manifests that are public are shown without a
// login.
fn nexus(ask: &Ask) -> Answer {
    match ask.path {
        path if path.contains("/public/") => of_tag(path, plain(404, "")),
        path => basic(ask, "Sonatype Nexus Repository Manager", |password| match password {
            "good" | "other" if path == "/v2/" => plain(200, ""),
            "good" => of_tag(path, error(404, "MANIFEST_UNKNOWN", "manifest unknown")),
            "other" => error(403, "DENIED", "access to the requested resource is not authorized"),
            _ => plain(401, ""),
        }),
    }
}

/// A registry with an open `/v2/` and closed manifests, which Artifactory and Gitea can be
/// configured as.
fn half_open(ask: &Ask) -> Answer {
    match ask.path {
        "/v2/" => plain(200, ""),
        _ => basic(ask, "Artifactory Realm", |password| {
            match password {
            "good" => of_tag(ask.path, error(404, "MANIFEST_UNKNOWN", "x")),
            "banned" => (403, String::new(), json!({"errors": [{"status": 403, "message": "blocked due to recurrent login failures"}]}).to_string()),
            _ => plain(401, ""),
        }
        }),
    }
}

// gitlab-org/gitlab app/services/auth/container_registry_authentication_service.rb.
fn gitlab(ask: &Ask) -> Answer {
    let grant = |password: Option<&str>| match password {
        Some("good") => token(&["pull"]),
        Some("other") => token(&[]),
        None | Some("scope") => error(403, "DENIED", "access forbidden"),
        Some("banned") => plain(403, "Forbidden\n"),
        Some(_) => error(401, "UNAUTHORIZED", "authentication required"),
    };
    bearer(ask, "/jwt/auth", "container_registry", grant, |_| {
        of_tag(ask.path, error(404, "MANIFEST_UNKNOWN", "x"))
    })
}

/// The manifest, except for the tag 9.
fn of_tag(path: &str, missing: Answer) -> Answer {
    if path.ends_with("/manifests/1.0.0") { manifest() } else { missing }
}

type Vendor = fn(&Ask) -> Answer;

fn serve(vendor: Vendor) -> SmallServer {
    SmallServer::start(move |head, mut stream| {
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let authorization = header("authorization").unwrap_or_default();
        let basic = authorization.strip_prefix("Basic ").map(|pair| STANDARD.decode(pair).unwrap());
        let basic = basic
            .map(|pair| String::from_utf8(pair).unwrap().split_once(':').unwrap().1.to_owned());
        let ask = Ask {
            me: header("host").unwrap_or_default().to_owned(),
            path: head.split(' ').nth(1).unwrap_or_default(),
            password: basic,
            bearer: authorization.strip_prefix("Bearer "),
        };
        let (status, headers, body) = vendor(&ask);
        let length = body.len();
        let body = if head.starts_with("HEAD ") { "" } else { &body };
        let _ = write!(
            stream,
            "HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    })
}

/// Id, message and hint of `check --online` for an image, with or without a password.
fn verdict(vendor: Vendor, password: Option<&str>, path: &str) -> (String, String) {
    let server = serve(vendor);
    let sandbox = Sandbox::new();
    let host = &server.address;
    let auths = match password {
        Some(password) => {
            json!({host.as_str(): {"auth": STANDARD.encode(format!("ada:{password}"))}})
        }
        None => json!({"registry.example.com": {"auth": STANDARD.encode("ada:x")}}),
    };
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gitlab"}, "type": "kubernetes.io/dockercfg",
        "data": {".dockercfg": STANDARD.encode(auths.to_string())},
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"template": {"spec": {
            "imagePullSecrets": [{"name": "gitlab"}],
            "containers": [{"name": "shop", "image": format!("{host}/{path}")}],
        }}},
    });
    sandbox.write_private("work/s.yaml", secret.to_string());
    sandbox.write("work/k/d.yaml", deployment.to_string());
    let args = ["check", "--manifests", "k", "--secret", "s.yaml", "--online", "--json"];
    let output = sandbox.makeinfra(&args).cwd(sandbox.work("")).output();
    let checks: Value = output.json()["checks"].clone();
    let found =
        checks.as_array().unwrap().iter().find(|check| check["id"] == "images-pull").unwrap();
    let text = |name: &str| found[name].as_str().unwrap().replace(host, "HOST");
    (format!("{}: {}", text("status"), text("message")), text("hint"))
}

const SHOP: &str = "group/shop:1.0.0";

#[test]
fn every_vendors_answer_has_the_verdict_that_it_means() {
    let key = "{\n  \"type\": \"service_account\"\n}\n";
    let wrong = "refuses the sign-in";
    let denied = "denies the sign-in";
    let expired = "says that the token has expired";
    let no_right = "the sign-in succeeds, but this login is not allowed to pull `group/shop`";
    let private = "there are no credentials for it";
    let ok = "ok: `HOST/group/shop:1.0.0` can be pulled";
    let rows: &[(&str, Vendor, Option<&str>, &str, &str)] = &[
        ("Docker Hub", docker_hub, Some("good"), SHOP, ok),
        ("Docker Hub", docker_hub, Some("wrong"), SHOP, wrong),
        ("Docker Hub", docker_hub, Some("other"), SHOP, no_right),
        ("Docker Hub", docker_hub, Some("good"), "group/shop:9", "has no `9`"),
        (
            "Docker Hub",
            docker_hub,
            Some("limited"),
            "group/shop:limited",
            "warning: `HOST` limits requests",
        ),
        ("Docker Hub", docker_hub, None, SHOP, private),
        ("GHCR", ghcr, Some("good"), SHOP, ok),
        ("GHCR", ghcr, Some("wrong"), SHOP, denied),
        ("GHCR", ghcr, Some("other"), SHOP, no_right),
        ("GHCR", ghcr, None, SHOP, private),
        ("ECR", ecr, Some("good"), SHOP, ok),
        ("ECR", ecr, Some("wrong"), SHOP, wrong),
        ("ECR", ecr, Some("expired"), SHOP, expired),
        ("ECR", ecr, Some("expired-json"), SHOP, expired),
        ("ECR", ecr, Some("other"), SHOP, no_right),
        ("ECR", ecr, Some("good"), "group/shop:9", "has no repository `group/shop`"),
        ("ECR", ecr, None, SHOP, private),
        ("Artifact Registry", artifact_registry, Some(key), SHOP, ok),
        ("Artifact Registry", artifact_registry, Some("wrong"), SHOP, wrong),
        ("Artifact Registry", artifact_registry, Some("other"), SHOP, no_right),
        ("Artifact Registry", artifact_registry, None, SHOP, private),
        ("ACR", acr, Some("good"), SHOP, ok),
        ("ACR", acr, Some("wrong"), SHOP, wrong),
        ("ACR", acr, Some("malformed"), SHOP, wrong),
        ("ACR", acr, Some("grant"), SHOP, wrong),
        ("ACR", acr, Some("good"), "group/shop:9", "has no repository"),
        ("ACR", acr, None, SHOP, private),
        ("Harbor", harbor, Some("good"), SHOP, ok),
        ("Harbor", harbor, Some("wrong"), SHOP, wrong),
        ("Harbor", harbor, Some("other"), SHOP, no_right),
        ("Harbor", harbor, Some("good"), "group/shop:9", "has no repository"),
        ("Harbor", harbor, None, SHOP, private),
        ("Quay", quay, Some("good"), SHOP, ok),
        ("Quay", quay, Some("wrong"), SHOP, wrong),
        ("Quay", quay, Some("other"), SHOP, no_right),
        ("Quay", quay, Some("good"), "group/shop:9", "has no `9`"),
        ("Quay", quay, None, SHOP, private),
        ("Nexus", nexus, Some("good"), SHOP, ok),
        ("Nexus", nexus, Some("wrong"), SHOP, wrong),
        ("Nexus", nexus, Some("other"), SHOP, no_right),
        ("Nexus", nexus, Some("good"), "group/shop:9", "has no `9`"),
        ("Nexus", nexus, None, "group/public/shop:1.0.0", "it is public"),
        ("Nexus", nexus, None, SHOP, private),
        ("half open", half_open, Some("good"), SHOP, ok),
        ("half open", half_open, Some("wrong"), SHOP, wrong),
        ("half open", half_open, Some("good"), "group/shop:9", "has no `9`"),
        ("half open", half_open, None, SHOP, private),
        ("GitLab", gitlab, Some("good"), SHOP, ok),
        ("GitLab", gitlab, Some("wrong"), SHOP, wrong),
        ("GitLab", gitlab, Some("scope"), SHOP, "in GitLab, it lacks the scope `read_registry`"),
        ("GitLab", gitlab, Some("other"), SHOP, "it belongs to another project"),
        (
            "GitLab",
            gitlab,
            Some("banned"),
            SHOP,
            "warning: `HOST` refuses to answer without a reason",
        ),
        ("GitLab", gitlab, None, SHOP, private),
    ];
    let mut wrong = Vec::new();
    for (name, vendor, password, path, expected) in rows {
        let (message, hint) = verdict(*vendor, *password, path);
        if !message.contains(expected) {
            wrong.push(format!("{name}, {password:?}, {path}: {message}, not {expected}"));
        }
        // Only GitLab's own answers lead to GitLab.
        if hint.contains("GitLab") != (*name == "GitLab" && message.contains("refuses the sign-in"))
        {
            wrong.push(format!("{name}, {password:?}: hint {hint}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
