//! Every source of a deploy token produces the same Secret, and is only read.

use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const DATE: &str = "2999-12-31";

fn manifest(sandbox: &Sandbox) -> serde_yaml::Value {
    serde_yaml::from_str(&fs::read_to_string(sandbox.hello(SECRET)).unwrap()).unwrap()
}

/// The JSON in the Secret.
fn payload(sandbox: &Sandbox) -> Value {
    let data = manifest(sandbox)["data"][".dockercfg"].as_str().unwrap().to_owned();
    serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap()
}

fn expiry(sandbox: &Sandbox) -> Option<String> {
    manifest(sandbox)["metadata"]
        .get("annotations")?
        .get("makeinfra/expires-at")?
        .as_str()
        .map(str::to_owned)
}

/// The expected JSON for the test's token under `registry`.
fn expected(registry: &str) -> Value {
    json!({registry: {"username": USER, "password": TOKEN, "auth": auth()}})
}

fn auth() -> String {
    STANDARD.encode(format!("{USER}:{TOKEN}"))
}

/// Runs `new` with `args`, which must succeed without printing the token, and checks the Secret.
#[track_caller]
fn makes_the_secret(sandbox: &Sandbox, run: Run) -> Output {
    let output = run.success();
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
    assert_eq!(payload(sandbox), expected("registry.gitlab.com"));
    assert_eq!(mode(&sandbox.hello(SECRET)), 0o600);
    output
}

fn new(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.makeinfra(&[&["new", "hello", "--image", IMAGE][..], args].concat())
}

#[test]
fn standard_input_a_file_and_a_variable_give_the_value() {
    // One final line break is the editor's, not the token's.
    for end in ["", "\n", "\r\n"] {
        let text = format!("{TOKEN}{end}");
        let pair = ["--token-username", USER];

        let sandbox = Sandbox::new();
        let run = new(&sandbox, &[&pair[..], &["--token-stdin"]].concat()).stdin(&text);
        makes_the_secret(&sandbox, run);

        let sandbox = Sandbox::new();
        let file = sandbox.write_private("a token.txt", &text).display().to_string();
        makes_the_secret(&sandbox, new(&sandbox, &[&pair[..], &["--token-file", &file]].concat()));
        assert_eq!(fs::read_to_string(&file).unwrap(), text);

        let sandbox = Sandbox::new();
        let run = new(&sandbox, &[&pair[..], &["--token-env", "DEPLOY_TOKEN"]].concat())
            .env("DEPLOY_TOKEN", &text);
        makes_the_secret(&sandbox, run);
    }
}

#[test]
fn a_token_file_that_others_can_read_is_a_warning() {
    for (mode, warns) in
        [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o644, true)]
    {
        for json in [false, true] {
            let sandbox = Sandbox::new();
            let text = if json {
                json!({"username": USER, "token": TOKEN}).to_string()
            } else {
                TOKEN.to_owned()
            };
            let file = sandbox.write("token.txt", text);
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let file = file.display().to_string();
            let run = match json {
                true => new(&sandbox, &["--token-json", &file]),
                false => new(&sandbox, &["--token-username", USER, "--token-file", &file]),
            };
            let output = makes_the_secret(&sandbox, run);
            assert_eq!(
                output.stderr.contains("warning: other users can read the token"),
                warns,
                "{mode:o} {}",
                output.stderr
            );
            assert_eq!(output.stderr.contains("chmod 600"), warns);
        }
    }
}

#[test]
fn gitlabs_answer_gives_user_token_and_expiry() {
    // As documented for GitLab's API, and as printed by `glab`.
    let full = json!({
        "id": 1, "name": "pull", "username": USER, "token": TOKEN, "expires_at": format!("{DATE}T00:00:00.000Z"),
        "revoked": false, "expired": false, "scopes": ["read_registry"],
    });
    for (answer, expires) in [
        (full, Some(format!("{DATE}T00:00:00.000Z"))),
        (json!({"username": USER, "token": TOKEN, "expires_at": DATE}), Some(DATE.to_owned())),
        (json!({"username": USER, "token": TOKEN, "expires_at": null}), None),
        (json!({"username": USER, "token": TOKEN}), None),
    ] {
        let sandbox = Sandbox::new();
        let file = sandbox.write_private("token.json", answer.to_string()).display().to_string();
        let output = makes_the_secret(&sandbox, new(&sandbox, &["--token-json", &file]));
        assert_eq!((expiry(&sandbox), output.stderr.as_str()), (expires.clone(), ""));

        let sandbox = Sandbox::new();
        makes_the_secret(
            &sandbox,
            new(&sandbox, &["--token-json", "-"]).stdin(format!("{answer:#}\n")),
        );
        assert_eq!(expiry(&sandbox), expires);
    }
}

#[test]
fn a_token_without_the_registry_scope_is_a_warning() {
    let sandbox = Sandbox::new();
    let answer =
        json!({"username": USER, "token": TOKEN, "scopes": ["read_repository"]}).to_string();
    makes_the_secret(&sandbox, new(&sandbox, &["--token-json", "-"]).stdin(answer))
        .says("`read_registry`");
}

#[test]
fn the_expiry_is_kept_in_the_secret_alone_and_a_past_one_is_a_warning() {
    let sandbox = Sandbox::new();
    let output = makes_the_secret(&sandbox, sandbox.new_hello(&["--expires-at", DATE]));
    assert_eq!((expiry(&sandbox).as_deref(), output.stderr.as_str()), (Some(DATE), ""));
    let record = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    assert!(!record.contains("expires") && !record.contains(DATE), "{record}");

    let sandbox = Sandbox::new();
    makes_the_secret(&sandbox, sandbox.new_hello(&["--expires-at", "2020-01-01"]))
        .says("warning: ")
        .says("2020-01-01");
    assert_eq!(expiry(&sandbox).as_deref(), Some("2020-01-01"));

    // The option overrides the token's file.
    let sandbox = Sandbox::new();
    let answer = json!({"username": USER, "token": TOKEN, "expires_at": "2020-01-01"}).to_string();
    let output = makes_the_secret(
        &sandbox,
        new(&sandbox, &["--token-json", "-", "--expires-at", DATE]).stdin(answer),
    );
    assert_eq!((expiry(&sandbox).as_deref(), output.stderr.as_str()), (Some(DATE), ""));
}

#[test]
fn a_docker_login_is_taken_from_wherever_docker_and_podman_keep_it() {
    let host = "registry.gitlab.com";
    let plain = json!({"auths": {host: {"username": USER, "password": TOKEN}}});
    let auth_only =
        json!({"auths": {"other.example.com": {"auth": "dTpw"}, host: {"auth": auth()}}});
    let files = [
        ("home/.docker/config.json", plain.clone(), ""),
        ("home/.docker/config.json", auth_only.clone(), ""),
        (
            "home/.docker/config.json",
            json!({"auths": {format!("https://{host}"): {"auth": auth()}}}),
            "",
        ),
        (
            "home/.docker/config.json",
            json!({"auths": {format!("https://{host}/v2/"): {"auth": auth()}}}),
            "",
        ),
        (
            "home/.docker/config.json",
            json!({"auths": {host: {"auth": auth().trim_end_matches('=')}}}),
            "",
        ),
        (
            "home/.docker/config.json",
            json!({"auths": {host: {"auth": auth(), "username": USER, "password": TOKEN}}}),
            "",
        ),
        // Settings that docker ignores have no effect.
        (
            "home/.docker/config.json",
            json!({"HttpHeaders": {"X": "y"}, "psFormat": "x", "auths": {host: {"auth": auth()}}}),
            "",
        ),
        ("home/.dockercfg", json!({host: {"auth": auth(), "email": "a@b.c"}}), ""),
        ("conf/config.json", auth_only.clone(), "DOCKER_CONFIG=conf"),
        ("run/containers/auth.json", auth_only.clone(), "XDG_RUNTIME_DIR=run"),
        ("home/.config/containers/auth.json", auth_only.clone(), ""),
        ("xdg/containers/auth.json", auth_only.clone(), "XDG_CONFIG_HOME=xdg"),
        ("somewhere.json", auth_only, "REGISTRY_AUTH_FILE=somewhere.json"),
        // Podman stores logins for a path, too.
        (
            "home/.config/containers/auth.json",
            json!({"auths": {format!("{host}/group"): {"auth": auth()}}}),
            "",
        ),
        (
            "home/.config/containers/auth.json",
            json!({"auths": {host: {"auth": "dTpw"}, format!("{host}/group/hello"): {"auth": auth()}}}),
            "",
        ),
    ];
    for (name, config, variable) in files {
        let sandbox = Sandbox::new();
        let text = format!("{config:#}\n");
        let file = sandbox.write(name, &text);
        let run = |from: &str| {
            let run = new(&sandbox, &[from]);
            match variable.split_once('=') {
                Some((variable, value)) => run.env(variable, sandbox.path(value)),
                None => run,
            }
        };
        let home = files_below(&sandbox.path("home"));
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        makes_the_secret(&sandbox, run("--from-docker-config"));
        fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();
        makes_the_secret(&sandbox, run(&format!("--from-docker-config={}", file.display())));
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{name}");
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before, "{name}");
        assert_eq!(files_below(&sandbox.path("home")), home, "{name}");
    }
}

#[test]
fn the_named_docker_config_is_the_only_one_looked_at() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "home/.docker/config.json",
        json!({"auths": {"registry.gitlab.com": {"auth": auth()}}}).to_string(),
    );
    sandbox.write("empty.json", "{\"auths\": {}}");
    let from = format!("--from-docker-config={}", sandbox.path("empty.json").display());
    new(&sandbox, &[&from]).failure(1).says("no login for `registry.gitlab.com`");
    // An empty docker config does not hide podman's login.
    let sandbox = Sandbox::new();
    sandbox.write("home/.docker/config.json", "{}");
    let login = json!({"auths": {"registry.gitlab.com": {"auth": auth()}}}).to_string();
    sandbox.write("home/.config/containers/auth.json", login);
    makes_the_secret(&sandbox, new(&sandbox, &["--from-docker-config"]));
}

#[test]
fn a_credential_helper_is_asked_as_docker_asks_it() {
    let host = "registry.gitlab.com";
    for config in [
        json!({"credHelpers": {host: "keychain"}}),
        json!({"credsStore": "keychain", "auths": {host: {}}}),
        json!({"credsStore": "keychain"}),
        // The helper of one registry takes precedence over the general store and over the login in
        // the file.
        json!({"credHelpers": {host: "keychain"}, "credsStore": "missing", "auths": {host: {"auth": "dTpw"}}}),
    ] {
        let sandbox = Sandbox::new();
        let asked = sandbox.path("asked");
        let script = format!(
            "#!/bin/sh\nread -r server || :\necho \"$* $server\" >>{}\n\
             [ \"$server\" = {host} ] || {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
             printf '{{\"ServerURL\":\"%s\",\"Username\":\"{USER}\",\"Secret\":\"{TOKEN}\"}}' \"$server\"\n",
            asked.display()
        );
        sandbox.write_program("docker-credential-keychain", &script);
        let text = config.to_string();
        let file = sandbox.write("home/.docker/config.json", &text);
        makes_the_secret(
            &sandbox,
            new(&sandbox, &["--from-docker-config"]).env("PATH", sandbox.own_path()),
        );
        assert_eq!(fs::read_to_string(&asked).unwrap(), format!("get {host}\n"), "{text}");
        assert_eq!(fs::read_to_string(file).unwrap(), text);
    }
}

#[test]
fn a_docker_hub_image_gets_dockers_own_key() {
    for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io"] {
        let sandbox = Sandbox::new();
        sandbox.write(
            "home/.docker/config.json",
            json!({"auths": {key: {"auth": auth()}}}).to_string(),
        );
        sandbox
            .makeinfra(&["new", "hello", "--image", "me/hello:1", "--from-docker-config"])
            .success();
        assert_eq!(payload(&sandbox), expected("https://index.docker.io/v1/"), "{key}");
    }
}

#[test]
fn a_ci_job_gives_its_deploy_token() {
    let sandbox = Sandbox::new();
    let run = new(&sandbox, &["--from-ci"])
        .env("CI_DEPLOY_USER", USER)
        .env("CI_DEPLOY_PASSWORD", TOKEN)
        .env("CI_JOB_TOKEN", "another")
        .env("CI_REGISTRY_PASSWORD", "another");
    makes_the_secret(&sandbox, run);
}

#[test]
fn the_secret_has_the_registry_type_email_and_name_that_were_asked_for() {
    let sandbox = Sandbox::new();
    let args = [
        "--registry",
        "registry.gitlab.com/group",
        "--secret-type",
        "dockerconfigjson",
        "--email",
        "ops@example.com",
        "--secret-name",
        "pull",
        "--namespace",
        "shop",
    ];
    sandbox.new_hello(&args).success();
    let text = fs::read_to_string(sandbox.hello("secrets/kubernetes/pull.secret.yaml")).unwrap();
    let manifest: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(manifest["type"], "kubernetes.io/dockerconfigjson");
    assert_eq!(manifest["metadata"]["name"], "pull");
    let overlay =
        fs::read_to_string(sandbox.hello("kubernetes/overlays/production/kustomization.yaml"))
            .unwrap();
    assert!(overlay.contains("\nnamespace: shop\n"), "{overlay}");
    let json = STANDARD.decode(manifest["data"][".dockerconfigjson"].as_str().unwrap()).unwrap();
    let entry =
        json!({"username": USER, "password": TOKEN, "email": "ops@example.com", "auth": auth()});
    assert_eq!(
        serde_json::from_slice::<Value>(&json).unwrap(),
        json!({"auths": {"registry.gitlab.com/group": entry}})
    );
}

#[test]
fn any_printable_token_reads_back_as_it_was() {
    for (user, token) in [
        ("u", "a:b:c"),
        ("ü", "pässwörd"),
        ("u", "\"quoted\\back'slash"),
        ("u", "$(id)`id`{{x}}{%y%}"),
        ("u", "#{#<&>"),
        ("null", "true"),
    ] {
        let sandbox = Sandbox::new();
        let run = new(&sandbox, &["--token-username", user, "--token-stdin"]).stdin(token);
        run.success();
        let auth = STANDARD.encode(format!("{user}:{token}"));
        let entry = json!({"username": user, "password": token, "auth": auth});
        assert_eq!(payload(&sandbox), json!({"registry.gitlab.com": entry}));
    }
}

#[test]
fn without_a_token_there_is_no_secret_yet() {
    let sandbox = Sandbox::new();
    let output = sandbox.new_without_token(&[]).success();
    assert!(!sandbox.hello(SECRET).exists());
    assert!(output.stdout.contains("makeinfra rotate"), "{}", output.stdout);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}
