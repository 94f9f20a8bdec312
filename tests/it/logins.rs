//! Logins of various registries: passwords with several words and lines, and logins that expire
//! within hours.

use super::small_server::SmallServer;
use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;
use std::io::Write;

/// A Google service account's key with the tests' token in it.
fn key_file() -> String {
    let key = json!({"type": "service_account", "private_key": format!("-----BEGIN\n{TOKEN}\n-----END"), "project_id": "shop"});
    format!("{}\n", serde_json::to_string_pretty(&key).unwrap())
}

/// The credentials in the pull secret of `hello-infra`: `USER:PASSWORD`.
fn held(sandbox: &Sandbox, file: &str) -> String {
    let secret: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(sandbox.hello(file)).unwrap()).unwrap();
    let json = STANDARD.decode(secret["data"][".dockercfg"].as_str().unwrap()).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let entry = config.as_object().unwrap().values().next().unwrap();
    String::from_utf8(STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap()).unwrap()
}

const GOOGLE: &str = "europe-docker.pkg.dev/shop/images/hello:1.0.0";

/// Runs `new` with a key, or with a docker config that contains it.
type Source = fn(&Sandbox, &str, &str) -> Run;

#[test]
fn a_json_key_file_is_a_password() {
    let key = key_file();
    let login = format!("_json_key:{}", key.trim_end());
    let config =
        json!({"auths": {"europe-docker.pkg.dev": {"auth": STANDARD.encode(&login)}}}).to_string();
    let sources: [Source; 4] = [
        |sandbox, key, _| {
            let file = sandbox.write_private("key.json", key).display().to_string();
            let args = [
                "new",
                "hello",
                "--image",
                GOOGLE,
                "--token-username",
                "_json_key",
                "--token-file",
                &file,
            ];
            sandbox.makeinfra(&args)
        },
        |sandbox, key, _| {
            let args = [
                "new",
                "hello",
                "--image",
                GOOGLE,
                "--token-username",
                "_json_key",
                "--token-stdin",
            ];
            sandbox.makeinfra(&args).stdin(key)
        },
        |sandbox, key, _| {
            let args = [
                "new",
                "hello",
                "--image",
                GOOGLE,
                "--token-username",
                "_json_key",
                "--token-env",
                "KEY",
            ];
            sandbox.makeinfra(&args).env("KEY", key.trim_end())
        },
        |sandbox, _, config| {
            let file = sandbox.write_private("config.json", config).display().to_string();
            sandbox.makeinfra(&[
                "new",
                "hello",
                "--image",
                GOOGLE,
                &format!("--from-docker-config={file}"),
            ])
        },
    ];
    for source in sources {
        let sandbox = Sandbox::new();
        let output = source(&sandbox, &key, &config).success();
        assert_eq!(output.stderr, "");
        assert_eq!(held(&sandbox, SECRET), login);
        let output = sandbox.makeinfra(&["check", "hello-infra", "--json"]).output();
        let checks = output.json()["checks"].clone();
        let auth =
            checks.as_array().unwrap().iter().filter(|check| check["id"] == "pull-secret-auth");
        assert!(auth.clone().all(|check| check["status"] == "ok") && auth.count() == 1, "{checks}");
        assert_no_token(output.stdout.as_bytes(), "stdout");
        // Rotated to the same key, and to a password of two lines.
        let rotate = |value: &str| {
            let args = ["rotate", "hello-infra", "--token-username", "_json_key", "--token-stdin"];
            sandbox.makeinfra(&args).stdin(value)
        };
        assert!(rotate(&key).success().stdout.contains("already"));
        // A text with a prefix of GitLab's tokens has no white space, whatever its source.
        rotate(&format!("{TOKEN}: two\nlines\n"))
            .failure(2)
            .says("must not contain spaces")
            .says("--check");
        rotate("correct horse\nbattery staple\n").success();
        assert_eq!(held(&sandbox, SECRET), "_json_key:correct horse\nbattery staple");
    }
}

#[test]
fn a_login_that_ends_within_hours_is_refused_from_every_source() {
    for (image, username, what) in [
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com/shop:1", "AWS", "expires after 12 hours"),
        (GOOGLE, "oauth2accesstoken", "expires after an hour"),
        (GOOGLE, "_dcgcloud_token", "expires after an hour"),
        ("shop.azurecr.io/shop:1", "00000000-0000-0000-0000-000000000000", "expires after 3 hours"),
    ] {
        let host = image.split('/').next().unwrap();
        let sandbox = Sandbox::new();
        let helper = format!(
            "#!/bin/sh\nread -r server\nprintf '{{\"ServerURL\":\"%s\",\"Username\":\"{username}\",\"Secret\":\"{TOKEN}\"}}' \"$server\"\n"
        );
        let helper = sandbox.write("bin/docker-credential-short", helper);
        fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path =
            format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let auth = STANDARD.encode(format!("{username}:{TOKEN}"));
        let stored = sandbox
            .write_private("auths.json", json!({"auths": {host: {"auth": auth}}}).to_string());
        let through_it = sandbox
            .write_private("helped.json", json!({"credHelpers": {host: "short"}}).to_string());
        let json = sandbox
            .write_private("t.json", json!({"username": username, "token": TOKEN}).to_string());
        let file = |option: &str, file: &std::path::Path| format!("--{option}={}", file.display());
        let base = ["new", "hello", "--image", image];
        for source in [
            vec![file("from-docker-config", &stored)],
            vec![file("from-docker-config", &through_it)],
            vec![file("token-json", &json)],
            vec!["--token-stdin".to_owned(), format!("--token-username={username}")],
        ] {
            let words: Vec<&str> =
                base.into_iter().chain(source.iter().map(String::as_str)).collect();
            let output = sandbox.makeinfra(&words).env("PATH", &path).stdin(TOKEN).failure(1);
            output.says("refused to create a pull secret").says(what).says("hint: ");
            assert!(!sandbox.work("hello-infra").exists());
        }
    }
}

#[test]
fn check_says_that_a_login_does_not_last() {
    for (host, username, what) in [
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com", "AWS", "which expires after 12 hours"),
        ("gcr.io", "oauth2accesstoken", "an access token of Google Cloud"),
        ("shop.azurecr.io", "00000000-0000-0000-0000-000000000000", "which expires after 3 hours"),
    ] {
        let sandbox = Sandbox::new();
        repository(&sandbox, host, username, TOKEN);
        let output = check(&sandbox, &[]);
        let found = status(&output, "pull-secret-credentials");
        assert!(found.starts_with("problem: ") && found.contains(what), "{found}");
    }
}

/// Manifests and a pull secret made by hand, for an image at `host`.
fn repository(sandbox: &Sandbox, host: &str, username: &str, password: &str) {
    let auths = json!({host: {"auth": STANDARD.encode(format!("{username}:{password}"))}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gitlab"}, "type": "kubernetes.io/dockercfg",
        "data": {".dockercfg": STANDARD.encode(auths.to_string())},
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {"template": {"spec": {
            "imagePullSecrets": [{"name": "gitlab"}],
            "containers": [{"name": "shop", "image": format!("{host}/group/shop:1.0.0")}],
        }}},
    });
    sandbox.write_private("work/s.yaml", secret.to_string());
    sandbox.write("work/k/d.yaml", deployment.to_string());
}

fn check(sandbox: &Sandbox, args: &[&str]) -> Output {
    let base = ["check", "--manifests", "k", "--secret", "s.yaml", "--json"];
    sandbox.makeinfra(&[&base[..], args].concat()).cwd(sandbox.work("")).output()
}

/// Status and message of the first check `id`.
fn status(output: &Output, id: &str) -> String {
    let checks = output.json()["checks"].clone();
    let found = checks.as_array().unwrap().iter().find(|check| check["id"] == id).cloned().unwrap();
    format!("{}: {}", found["status"].as_str().unwrap(), found["message"].as_str().unwrap())
}

/// A registry that only accepts this login.
fn taking(username: &str, password: &str) -> SmallServer {
    let login = STANDARD.encode(format!("{username}:{password}"));
    SmallServer::start(move |head, mut stream| {
        let (status, more) = match head.contains(&format!("Basic {login}\r\n")) {
            true => ("200 OK", "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n"),
            false => ("401 Unauthorized", "Www-Authenticate: Basic realm=\"x\"\r\n"),
        };
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
    })
}

#[test]
fn a_registry_that_takes_a_login_decides_over_its_look() {
    // Leading or trailing white space, invisible characters.
    for password in ["hunter2 \n", " hunter2", "hun\u{200b}ter2"] {
        let registry = taking("ada", password);
        let sandbox = Sandbox::new();
        repository(&sandbox, &registry.address, "ada", password);
        let found = status(&check(&sandbox, &[]), "pull-secret-auth");
        assert!(found.starts_with("problem: ") && found.contains("extra"), "{password:?}: {found}");
        let output = check(&sandbox, &["--online"]);
        assert!(
            status(&output, "images-pull").starts_with("ok: "),
            "{password:?}: {}",
            output.stdout
        );
        assert!(
            status(&output, "pull-secret-auth").starts_with("ok: "),
            "{password:?}: {}",
            output.stdout
        );
        // If the registry refuses the login, the suspicion stands.
        let other = taking("ada", "hunter2");
        repository(&sandbox, &other.address, "ada", password);
        let output = check(&sandbox, &["--online"]);
        assert!(status(&output, "pull-secret-auth").starts_with("problem: "), "{}", output.stdout);
    }
}

#[test]
fn a_password_that_looks_odd_is_taken_if_the_registry_takes_it() {
    let password = " Marker\u{200b} 2";
    let registry = taking("ada", password);
    let sandbox = Sandbox::new();
    let image = format!("{}/group/hello:1.0.0", registry.address);
    let args = ["new", "hello", "--image", &image, "--token-username", "ada", "--token-stdin"];
    sandbox
        .makeinfra(&args)
        .stdin(password)
        .failure(2)
        .says("must not begin or end")
        .says("--check");
    sandbox.makeinfra(&[&args[..], &["--check"]].concat()).stdin(password).success();
    assert_eq!(held(&sandbox, SECRET), format!("ada:{password}"));
}

#[test]
fn docker_configs_are_read_as_docker_reads_them_and_other_encodings_are_named() {
    let auth = STANDARD.encode(format!("{USER}:{TOKEN}"));
    let other = STANDARD.encode("u:p");
    let entry = format!(r#"{{"auth":"{auth}"}}"#);
    let host = "registry.gitlab.com";
    let new = |bytes: &[u8]| {
        let sandbox = Sandbox::new();
        let file = sandbox.write_private("config.json", bytes).display().to_string();
        let run = sandbox.makeinfra(&[
            "new",
            "hello",
            "--image",
            IMAGE,
            &format!("--from-docker-config={file}"),
        ]);
        (run, sandbox)
    };
    for text in [
        format!(r#"{{"Auths":{{"{host}":{{"AUTH":"{auth}"}}}}}}"#),
        format!(r#"{{"auths":{{"{host}":{{"auth":"{other}"}}}},"auths":{{"{host}":{entry}}}}}"#),
        format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}","auth":null}},"x":null}}}}"#),
        format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}","identitytoken":""}}}}}}"#),
        format!(r#"{{"auths":{{"{host}":{{"USERNAME":"{USER}","Password":"{TOKEN}"}}}}}}"#),
        format!(r#"{{"{host}":{{"Auth":"{auth}"}}}}"#),
        format!(r#"{{"HttpHeaders":{{"a":["b"]}},"auths":{{"{host}":{entry}}}}}"#),
    ] {
        let (run, sandbox) = new(text.as_bytes());
        run.success();
        assert_eq!(held(&sandbox, SECRET), format!("{USER}:{TOKEN}"), "{text}");
    }
    let text = format!(r#"{{"auths":{{"{host}":{entry}}}}}"#);
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let with = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
    for (bytes, words) in [
        (with(b"\xef\xbb\xbf", text.as_bytes()), "byte order mark"),
        (with(b"\xff\xfe", &little), "UTF-16"),
        (with(b"\xfe\xff", &big), "UTF-16"),
    ] {
        let (run, sandbox) = new(&bytes);
        let output = run.failure(1);
        output.says(words);
        // The hint works when typed.
        let hint = output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
        let command = hint.split(", then: ").next().unwrap().replace("FILE", "utf8.json");
        sandbox.run("sh", &["-c", &command]).cwd(sandbox.path("")).success();
        let again = ["new", "hello", "--image", IMAGE, "--from-docker-config=../utf8.json"];
        sandbox.makeinfra(&again).success();
        assert_eq!(held(&sandbox, SECRET), format!("{USER}:{TOKEN}"));
    }
}

#[test]
fn a_token_file_of_windows_is_read() {
    let units: Vec<u8> =
        format!("\u{feff}{TOKEN}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [units, format!("\u{feff}{TOKEN}\r\n").into_bytes()] {
        let sandbox = Sandbox::new();
        let file = sandbox.write_private("windows", bytes).display().to_string();
        let args =
            ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", &file];
        sandbox.makeinfra(&args).success();
        assert_eq!(held(&sandbox, SECRET), format!("{USER}:{TOKEN}"));
    }
}
