//! `--check` with network problems: TLS, names, proxies, redirects, silence. None of them says
//! anything about the token, so nothing is written, and the exit code is 3.

use super::registry_bed::{Authority, Bed, REALM, Setup};
use super::sign_in::{fails, new};
use super::small_server::SmallServer;
use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn nobody_there_is_no_word_on_the_token() {
    let sandbox = Sandbox::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(
        new(&sandbox, &format!("{free}/group/hello:1.0.0"), &[]),
        &sandbox,
        3,
        "refuses connections",
    );
    let output = fails(
        new(&sandbox, "registry.invalid/group/hello:1.0.0", &[]),
        &sandbox,
        3,
        "cannot resolve",
    );
    output.says("nslookup registry.invalid");
}

#[test]
fn silence_ends_after_ten_seconds() {
    let sandbox = Sandbox::new();
    let silent = SmallServer::start(|_, stream| {
        std::thread::sleep(Duration::from_secs(20));
        drop(stream);
    });
    let start = Instant::now();
    let image = format!("{}/group/hello:1.0.0", silent.address);
    fails(new(&sandbox, &image, &[]), &sandbox, 3, "did not answer within 10 seconds");
    let took = start.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&took), "{took:?}");
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named() {
    let Some(bed) = Bed::with(&Setup { tls: &["localhost", "127.0.0.1"], ..Setup::default() })
    else {
        return;
    };
    let sandbox = Sandbox::new();
    let image = bed.image("group/hello:1.0.0");
    let output = fails(new(&sandbox, &image, &[]), &sandbox, 3, "an unknown authority");
    output.says("--ca-file");
    let other = sandbox.write("other.pem", Authority::new().pem()).display().to_string();
    fails(new(&sandbox, &image, &["--ca-file", &other]), &sandbox, 3, "unknown authority");
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
    let output = new(&sandbox, &image, &["--ca-file", &bed.ca_file()]).success();
    assert!(output.stdout.contains("Checked: "), "{}", output.stdout);
    // As an authority of the system.
    let sandbox = Sandbox::new();
    new(&sandbox, &image, &[]).env("SSL_CERT_FILE", bed.ca_file()).success();
}

#[test]
fn a_certificate_of_another_name_or_time_is_told() {
    let Some(bed) = Bed::with(&Setup { tls: &["registry.test"], ..Setup::default() }) else {
        return;
    };
    let sandbox = Sandbox::new();
    let image = bed.image("group/hello:1.0.0");
    fails(
        new(&sandbox, &image, &["--ca-file", &bed.ca_file()]),
        &sandbox,
        3,
        "is for another host name",
    );
    let Some(bed) = Bed::with(&Setup { tls: &["127.0.0.1"], expired: true, ..Setup::default() })
    else {
        return;
    };
    let image = bed.image("group/hello:1.0.0");
    fails(new(&sandbox, &image, &["--ca-file", &bed.ca_file()]), &sandbox, 3, "has expired");
}

/// A registry and a token service with names that only the proxy can resolve, as in production.
struct Named {
    bed: Bed,
    proxy: SmallServer,
}

impl Named {
    fn new(login: Option<&'static str>) -> Option<Self> {
        let realm = format!("https://{REALM}/jwt/auth");
        let tls = &["registry.test", REALM, "registry-1.docker.io"];
        let bed = Bed::with(&Setup { tls, realm: Some(&realm), ..Setup::default() })?;
        let (registry, service) = (bed.host().to_owned(), bed.service().to_owned());
        let target = move |name: &str| match name == format!("{REALM}:443") {
            true => service.clone(),
            false => registry.clone(),
        };
        Some(Self { bed, proxy: SmallServer::proxy(target, login) })
    }

    fn new_hello(&self, sandbox: &Sandbox, image: &str, proxy: &str) -> Run {
        new(sandbox, image, &["--ca-file", &self.bed.ca_file()]).env("HTTPS_PROXY", proxy)
    }
}

#[test]
fn asks_through_a_proxy_that_wants_a_login() {
    let login = STANDARD.encode("us%er:p@ss").leak();
    let Some(named) = Named::new(Some(login)) else { return };
    let sandbox = Sandbox::new();
    let good = format!("http://us%25er:p%40ss@{}", named.proxy.address);
    new_succeeds(&named, &sandbox, "registry.test/group/hello:1.0.0", &good);
    let lines: Vec<_> = named
        .proxy
        .heads()
        .iter()
        .filter_map(|head| head.lines().next().map(str::to_owned))
        .collect();
    assert!(lines.contains(&format!("CONNECT {REALM}:443 HTTP/1.1")), "{lines:?}");
    // The proxy sees its own login, and nothing of the token.
    assert_no_token(named.proxy.heads().concat().as_bytes(), "what the proxy saw");

    let sandbox = Sandbox::new();
    let bad = format!("http://someone:wrong@{}", named.proxy.address);
    let output = fails(
        named.new_hello(&sandbox, "registry.test/group/hello:1.0.0", &bad),
        &sandbox,
        3,
        "the proxy requires a login",
    );
    output.says("$HTTPS_PROXY");
    assert!(
        !output.stderr.contains("someone") && !output.stderr.contains("wrong"),
        "{}",
        output.stderr
    );
}

#[track_caller]
fn new_succeeds(named: &Named, sandbox: &Sandbox, image: &str, proxy: &str) {
    let output = named.new_hello(sandbox, image, proxy).success();
    assert!(
        output.stdout.contains(&format!("Checked: `{image}` can be pulled.")),
        "{}",
        output.stdout
    );
}

#[test]
fn proxies_are_named_and_avoided_by_the_usual_variables() {
    let Some(named) = Named::new(None) else { return };
    let image = "registry.test/group/hello:1.0.0";
    let proxy = format!("http://{}", named.proxy.address);
    for variable in ["https_proxy", "ALL_PROXY", "all_proxy"] {
        let sandbox = Sandbox::new();
        new(&sandbox, image, &["--ca-file", &named.bed.ca_file()]).env(variable, &proxy).success();
    }
    let sandbox = Sandbox::new();
    let run = named.new_hello(&sandbox, image, &proxy).env("NO_PROXY", "example.com, .test");
    fails(run, &sandbox, 3, "cannot resolve `registry.test`");
    // One connection to each of the two hosts, and none if the proxy is bypassed.
    assert_eq!(named.proxy.heads().len(), 3 * 2);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (proxy, reason) in [
        (format!("http://u:{TOKEN}@{free}"), "the proxy in `$HTTPS_PROXY` refuses connections"),
        (
            format!("http://u:{TOKEN}@proxy.invalid:3128"),
            "cannot resolve the host name of the proxy in `$HTTPS_PROXY`",
        ),
        (format!("nonsense://u:{TOKEN}@proxy"), "`$HTTPS_PROXY` is not the URL of a proxy"),
        (format!("u:{TOKEN}@ %"), "`$HTTPS_PROXY` is not the URL of a proxy"),
    ] {
        fails(named.new_hello(&sandbox, image, &proxy), &sandbox, 3, reason);
    }
}

#[test]
fn asks_through_a_socks_proxy() {
    let Some(bed) = Bed::with(&Setup { tls: &["registry.test", "127.0.0.1"], ..Setup::default() })
    else {
        return;
    };
    let proxy = SmallServer::socks(bed.host().to_owned());
    let sandbox = Sandbox::new();
    new(&sandbox, "registry.test/group/hello:1.0.0", &["--ca-file", &bed.ca_file()])
        .env("ALL_PROXY", format!("socks5h://{}", proxy.address))
        .success();
    assert!(!proxy.heads().is_empty());
}

#[test]
fn images_without_a_host_are_asked_for_at_docker_hub() {
    let Some(named) = Named::new(None) else { return };
    named.bed.knows(TOKEN, "library", "read_registry");
    let sandbox = Sandbox::new();
    new_succeeds(&named, &sandbox, "hello:1.0.0", &format!("http://{}", named.proxy.address));
    assert_eq!(named.bed.sign_ins(), [r#"["repository:library/hello:pull"] 200"#]);
    assert!(named.proxy.heads()[0].starts_with("CONNECT registry-1.docker.io:443 "));
}

#[test]
fn plain_http_is_spoken_only_where_that_is_allowed() {
    let Some(bed) = Bed::start() else { return };
    // To the program, `registry.test` is another machine.
    let target = bed.host().to_owned();
    let proxy = SmallServer::proxy(move |_| target.clone(), None);
    let sandbox = Sandbox::new();
    let run = |args: &[&str]| {
        let url = format!("http://{}", proxy.address);
        new(&sandbox, "registry.test/group/hello:1.0.0", args)
            .env("HTTPS_PROXY", &url)
            .env("HTTP_PROXY", url)
    };
    fails(run(&[]), &sandbox, 3, "`registry.test` does not use TLS").says("--plain-http");
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
    run(&["--plain-http"]).success();
}

#[test]
fn a_token_service_without_https_gets_no_token() {
    let service = SmallServer::saying("200 OK");
    // The registry is another machine, so only https is allowed, even for a service on this
    // machine.
    let realm = format!("http://{}/jwt/auth", service.address);
    let tls = &["registry.test"];
    let Some(bed) = Bed::with(&Setup { tls, realm: Some(&realm), ..Setup::default() }) else {
        return;
    };
    let target = bed.host().to_owned();
    let proxy = SmallServer::proxy(move |_| target.clone(), None);
    let sandbox = Sandbox::new();
    let run = new(&sandbox, "registry.test/group/hello:1.0.0", &["--ca-file", &bed.ca_file()])
        .env("HTTPS_PROXY", format!("http://{}", proxy.address));
    fails(run, &sandbox, 1, "over plain HTTP; it was not sent");
    assert_eq!(service.heads(), Vec::<String>::new());
}

/// A registry on its own port with the given answer at `/v2/`.
fn challenge(realm: &str) -> SmallServer {
    SmallServer::saying(format!(
        "401 Unauthorized\r\nWww-Authenticate: Bearer realm=\"{realm}\",service=\"s\""
    ))
}

#[test]
fn a_redirect_takes_no_token_to_another_host() {
    let stranger = SmallServer::saying("401 Unauthorized");
    for status in ["301", "302", "303", "307", "308"] {
        let service = SmallServer::saying(format!(
            "{status} x\r\nLocation: http://{}/login",
            stranger.address
        ));
        let registry = challenge(&format!("http://{}/jwt/auth", service.address));
        let sandbox = Sandbox::new();
        let image = format!("{}/group/hello:1.0.0", registry.address);
        fails(new(&sandbox, &image, &[]), &sandbox, 3, "to another host; the token was not sent");
        let sent = service.heads().concat();
        assert!(sent.contains("authorization: Basic"), "{sent}");
    }
    let heads = stranger.heads();
    assert_eq!(heads.len(), 5);
    assert_no_token(heads.concat().as_bytes(), "what the stranger got");
    assert!(!heads.concat().to_lowercase().contains("authorization"), "{heads:?}");
}

#[test]
fn a_login_in_a_redirect_is_sent_to_nobody() {
    let stranger = SmallServer::saying("401 Unauthorized");
    let basic = STANDARD.encode("mallory:Marker_of_another");
    for user in ["mallory:Marker_of_another@", "mallory@", "@"] {
        let service = SmallServer::saying(format!(
            "307 x\r\nLocation: http://{user}{}/login",
            stranger.address
        ));
        let registry = challenge(&format!("http://{}/jwt/auth", service.address));
        let sandbox = Sandbox::new();
        let image = format!("{}/group/hello:1.0.0", registry.address);
        let output = fails(new(&sandbox, &image, &[]), &sandbox, 3, "to another host");
        assert!(!output.stderr.contains("mallory"), "{}", output.stderr);
        // On the same host, credentials are kept.
        let own = SmallServer::start(move |head, mut stream| {
            use std::io::Write;
            let host =
                head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
            let _ = match head.starts_with("GET /jwt") {
                true => write!(
                    stream,
                    "HTTP/1.1 307 x\r\nLocation: http://{user}{host}/login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                ),
                false => write!(
                    stream,
                    "HTTP/1.1 401 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                ),
            };
        });
        let registry = challenge(&format!("http://{}/jwt/auth", own.address));
        let image = format!("{}/group/hello:1.0.0", registry.address);
        fails(new(&sandbox, &image, &[]), &sandbox, 13, "refuses the sign-in");
        let heads = own.heads();
        let sent = STANDARD.encode(format!("{USER}:{TOKEN}"));
        assert!(heads.len() == 2 && heads.iter().all(|head| head.contains(&sent)), "{heads:?}");
        assert!(!heads.concat().contains(&basic));
    }
    let heads = stranger.heads().concat().to_lowercase();
    assert!(heads.contains("get /login") && !heads.contains("authorization"), "{heads}");
}

#[test]
fn a_redirect_on_the_same_host_is_followed_with_the_token() {
    let Some(bed) = Bed::start() else { return };
    let service = bed.service().to_owned();
    // The server in front of the token service redirects everything below /old.
    let front = SmallServer::start(move |head, mut stream| {
        use std::io::Write;
        let target = head.split(' ').nth(1).unwrap();
        match target.strip_prefix("/old") {
            Some(rest) => {
                let _ = write!(
                    stream,
                    "HTTP/1.1 307 x\r\nLocation: {rest}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
            }
            None => {
                let mut server = std::net::TcpStream::connect(&service).unwrap();
                let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
                let _ = server.write_all(head.as_bytes());
                let _ = std::io::copy(&mut server, &mut stream);
            }
        }
    });
    let realm = format!("http://{}/old/jwt/auth", front.address);
    let registry = challenge(&realm);
    let sandbox = Sandbox::new();
    let image = format!("{}/group/hello:1.0.0", registry.address);
    // This registry refuses every token; the sign-in before that succeeded.
    fails(new(&sandbox, &image, &[]), &sandbox, 13, "not allowed to pull");
    assert_eq!(bed.sign_ins(), [r#"["repository:group/hello:pull"] 200"#]);
}

#[test]
fn answers_that_make_no_sense_are_told_without_a_word_of_theirs() {
    let marker = "\u{1b}[31mescape";
    let sandbox = Sandbox::new();
    for (answer, reason) in [
        ("500 x".to_owned(), "status 500"),
        (format!("500 {marker}"), "is not HTTP"),
        ("401 x".to_owned(), "a kind of sign-in that container runtimes do not support"),
        (format!("401 x\r\nWww-Authenticate: Bearer realm=\"{marker}\""), "is not HTTP"),
        ("401 x\r\nWww-Authenticate: Bearer realm=\"\u{9b}31m\"".to_owned(), "a kind of sign-in"),
        (
            "401 x\r\nWww-Authenticate: Bearer realm=\"https://u:p@registry.test/\"".to_owned(),
            "a kind of sign-in",
        ),
        ("429 x".to_owned(), "limits requests"),
        ("302 x\r\nLocation: /v2/".to_owned(), "redirects too many times"),
        (format!("200 x\r\nX: {}", "x".repeat(100_000)), "is too long"),
    ] {
        let registry = SmallServer::saying(answer);
        let image = format!("{}/group/hello:1.0.0", registry.address);
        let output = fails(new(&sandbox, &image, &[]), &sandbox, 3, reason);
        assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    }
    let registry = SmallServer::saying("200 OK\r\nContent-Type: text/html");
    let image = format!("{}/group/hello:1.0.0", registry.address);
    fails(new(&sandbox, &image, &[]), &sandbox, 1, "is not a container registry");
}

#[test]
fn a_token_service_that_says_too_much_or_nothing_is_told() {
    let sandbox = Sandbox::new();
    let large = format!("{{\"token\":\"{}\"}}", "x".repeat(70_000));
    for (body, reason) in [
        (large.as_str(), "is too long"),
        ("{}", "status 200"),
        ("[1,", "status 200"),
        (r#"{"token":"\u001b[31m"}"#, "status 200"),
    ] {
        let body = body.to_owned();
        let service = SmallServer::start(move |_, mut stream| {
            use std::io::Write;
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        });
        let registry = challenge(&format!("http://{}/jwt/auth", service.address));
        let image = format!("{}/group/hello:1.0.0", registry.address);
        let output = fails(new(&sandbox, &image, &[]), &sandbox, 3, reason);
        assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    }
}
