//! Invalid and misplaced tokens for `new`: one clear error each, and nothing is quoted or left.

use super::bad_input::refused;
use super::support::*;

#[test]
fn a_token_on_the_command_line_is_told_where_to_go() {
    let sandbox = Sandbox::new();
    for words in [&["--token", TOKEN][..], &["--token=gldt-Marker_7Qx9vWk2"]] {
        let args = [&["new", "hello", "--image", IMAGE][..], words].concat();
        let output = refused(&sandbox, sandbox.makeinfra(&args), 2, "`--token`");
        for source in [
            "--token-stdin",
            "--token-file",
            "--token-env",
            "--token-json",
            "--from-docker-config",
            "--from-ci",
        ] {
            output.says(source);
        }
    }
}

#[test]
fn a_token_in_the_wrong_place_is_not_quoted() {
    let sandbox = Sandbox::new();
    let equals = |option: &str| format!("--{option}={TOKEN}");
    let (image, user) = (["new", "hello", "--image", IMAGE], ["--token-username", USER]);
    for words in [
        vec![TOKEN],
        vec!["new", "hello", TOKEN],
        vec!["new", "--gldt-Marker_7Qx9vWk2"],
        vec!["new", "-gldt-Marker_7Qx9vWk2"],
        vec!["completions", TOKEN],
        vec!["man", TOKEN],
        vec!["new", "hello", "--token-stdin=gldt-Marker_7Qx9vWk2"],
        vec!["new", "hello", "--no-token=gldt-Marker_7Qx9vWk2"],
        vec!["new", "hello", "--token-password", TOKEN],
        [&image[..], &user, &["--token-env", TOKEN]].concat(),
        [&image[..], &user, &["--token-file", TOKEN]].concat(),
        [&image[..], &["--token-json", TOKEN]].concat(),
        [&image[..], &[&equals("from-docker-config")]].concat(),
    ] {
        refused(&sandbox, sandbox.makeinfra(&words), 2, "error: ");
    }
}

#[test]
fn a_token_has_exactly_one_source() {
    let sandbox = Sandbox::new();
    let sources: [&[&str]; 7] = [
        &["--token-stdin"],
        &["--token-file", "a"],
        &["--token-env", "A"],
        &["--token-json", "a"],
        &["--from-docker-config"],
        &["--from-ci"],
        &["--no-token"],
    ];
    for (at, one) in sources.iter().enumerate() {
        for two in &sources[at + 1..] {
            let args = [&["new", "hello", "--image", IMAGE][..], one, two].concat();
            refused(&sandbox, sandbox.makeinfra(&args), 2, "cannot be used with").says(one[0]);
        }
        let twice = [&["new", "hello", "--image", IMAGE][..], one, one].concat();
        refused(&sandbox, sandbox.makeinfra(&twice), 2, "cannot be used more than once")
            .says(one[0]);
    }
    for source in ["--token-json=a", "--from-docker-config", "--from-ci", "--no-token"] {
        let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, source];
        refused(&sandbox, sandbox.makeinfra(&args), 2, "cannot be used with")
            .says("--token-username");
    }
}

#[test]
fn standard_input_cannot_be_both_answers_and_token() {
    let sandbox = Sandbox::new();
    for source in [&["--token-username", USER, "--token-stdin"][..], &["--token-json", "-"]] {
        let args = [&["new", "hello", "--answers", "-"][..], source].concat();
        let run = sandbox.makeinfra(&args).stdin(format!("image: {IMAGE}\n"));
        refused(&sandbox, run, 2, "standard input cannot be both");
    }
}

#[test]
fn a_token_must_be_one_word() {
    let sandbox = Sandbox::new();
    for (content, rule) in [
        ("", "empty"),
        ("\n", "empty"),
        ("\r\n", "empty"),
        ("gldt-Marker 7Qx9vWk2", "spaces or line breaks"),
        ("gldt-Marker_7Qx9vWk2\n\n", "spaces or line breaks"),
        ("gldt-Marker_7Qx9vWk2 \n", "spaces or line breaks"),
        (" gldt-Marker_7Qx9vWk2", "spaces or line breaks"),
        ("gldt-Marker_7Qx9vWk2\ngldt-Marker_7Qx9vWk2\n", "spaces or line breaks"),
        ("gldt-\u{a0}Marker_7Qx9vWk2", "spaces or line breaks"),
        ("gldt-Marker_7Qx9vWk2gldt-Marker_7Qx9vWk2", "the same token is repeated"),
        ("gldt-Marker_7Qx9vWk2\0", "control characters"),
        ("\u{1b}[31mgldt-Marker_7Qx9vWk2", "control characters"),
        ("\u{7f}gldt-Marker_7Qx9vWk2", "control characters"),
    ] {
        let base = ["new", "hello", "--image", IMAGE, "--token-username", USER];
        let file = sandbox.write_private("bad", content).display().to_string();
        let run = sandbox.makeinfra(&[&base[..], &["--token-file", &file]].concat());
        refused(&sandbox, run, 2, rule).says("the token in");
        let run = sandbox.makeinfra(&[&base[..], &["--token-stdin"]].concat()).stdin(content);
        refused(&sandbox, run, 2, rule).says("the token on standard input");
        if !content.contains('\0') {
            let run =
                sandbox.makeinfra(&[&base[..], &["--token-env", "T"]].concat()).env("T", content);
            refused(&sandbox, run, 2, rule).says("the token in `$T`");
        }
        let json = serde_json::json!({"username": USER, "token": content}).to_string();
        let run =
            sandbox.makeinfra(&["new", "hello", "--image", IMAGE, "--token-json", "-"]).stdin(json);
        refused(&sandbox, run, 2, rule).says("`token`");
    }
    let file = sandbox.write_private("bad", b"gldt-\xff\xfe").display().to_string();

    let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", &file];
    refused(&sandbox, sandbox.makeinfra(&args), 2, "not UTF-8 text");
    let long = sandbox.write_private("bad", "a".repeat(4097)).display().to_string();
    let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", &long];
    refused(&sandbox, sandbox.makeinfra(&args), 2, "4096");
}

#[test]
fn a_user_name_must_fit_the_basic_scheme() {
    let sandbox = Sandbox::new();
    for name in ["a:b", "", "a b", "a\n", "a\u{7}b"] {
        let args = ["new", "hello", "--image", IMAGE, "--token-stdin", "--token-username", name];
        refused(
            &sandbox,
            sandbox.makeinfra(&args).stdin(TOKEN),
            2,
            "`--token-username` must be a non-empty user name",
        );
    }
}

#[test]
fn gitlabs_json_must_hold_a_new_token() {
    let sandbox = Sandbox::new();
    for (json, cause) in [
        (TOKEN.to_owned(), "a JSON object"),
        (format!("[\"{TOKEN}\"]"), "a JSON object"),
        (format!("{{\"token\":\"{TOKEN}\""), "a JSON object"),
        (format!("{{\"token\":\"{TOKEN}\"}}"), "a JSON object"),
        (format!("{{\"username\":[\"{TOKEN}\"],\"token\":\"t\"}}"), "a JSON object"),
        (r#"{"username":"u","id":1}"#.to_owned(), "`token` is missing"),
        (format!(r#"{{"username":"a:b","token":"{TOKEN}"}}"#), "`username` must"),
        (
            format!(r#"{{"username":"u","token":"{TOKEN}","expires_at":"{TOKEN}"}}"#),
            "`expires_at` must",
        ),
        (format!(r#"{{"username":"u","token":"{TOKEN}","revoked":true}}"#), "revoked or expired"),
        (format!(r#"{{"username":"u","token":"{TOKEN}","expired":true}}"#), "revoked or expired"),
    ] {
        let file = sandbox.write_private("bad", &json).display().to_string();
        let run = sandbox.makeinfra(&["new", "hello", "--image", IMAGE, "--token-json", &file]);
        refused(&sandbox, run, 2, cause).says("not contain a new deploy token");
    }
}

#[test]
fn a_docker_config_must_hold_a_login_for_the_registry() {
    let sandbox = Sandbox::new();
    sandbox.write_program(
        "docker-credential-broken",
        &format!("#!/bin/sh\ncat >&2\necho '{TOKEN}' >&2\necho '{TOKEN}'\nexit 1\n"),
    );
    sandbox.write_program(
        "docker-credential-babble",
        &format!("#!/bin/sh\ncat >&2\necho '{TOKEN}'\n"),
    );
    sandbox.write_program(
        "docker-credential-empty",
        "#!/bin/sh\ncat >&2\necho 'credentials not found in native keychain'\nexit 1\n",
    );
    sandbox.write_program(
        "docker-credential-id",
        &format!(
            "#!/bin/sh\ncat >&2\nprintf '{{\"Username\":\"<token>\",\"Secret\":\"{TOKEN}\"}}'\n"
        ),
    );
    let auth = |text: &str| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    for (config, cause) in [
        (TOKEN.to_owned(), "not a JSON object"),
        (format!("[\"{TOKEN}\"]"), "not a JSON object"),
        (String::new(), "not a JSON object"),
        ("{}".to_owned(), "no login for"),
        (
            format!(r#"{{"auths":{{"registry.example.com":{{"auth":"{}"}}}}}}"#, auth(TOKEN)),
            "no login for",
        ),
        (r#"{"auths":{"registry.gitlab.com":{}}}"#.to_owned(), "no login for"),
        (
            format!(r#"{{"auths":{{"registry.gitlab.com":{{"identitytoken":"{TOKEN}"}}}}}}"#),
            "an identity token",
        ),
        (r#"{"credHelpers":{"registry.gitlab.com":"id"}}"#.to_owned(), "an identity token"),
        (format!(r#"{{"auths":{{"registry.gitlab.com":{{"auth":"{TOKEN}"}}}}}}"#), "not base64"),
        (
            format!(r#"{{"auths":{{"registry.gitlab.com":{{"auth":"{}"}}}}}}"#, auth(TOKEN)),
            "not base64 of USERNAME:PASSWORD",
        ),
        (
            format!(r#"{{"auths":{{"registry.gitlab.com":{{"auth":"{}"}}}}}}"#, auth("u:")),
            "must not be empty",
        ),
        (
            format!(
                r#"{{"auths":{{"registry.gitlab.com":{{"auth":"{}"}}}}}}"#,
                auth(&format!(":{TOKEN}"))
            ),
            "user name",
        ),
        (format!(r#"{{"auths":{{"registry.gitlab.com":["{TOKEN}"]}}}}"#), "the format"),
        (
            format!(
                r#"{{"auths":{{"registry.gitlab.com":{{"auth":"{}","username":"u","password":"{TOKEN}"}}}}}}"#,
                auth("u:other")
            ),
            "differs from",
        ),
        (
            format!(
                r#"{{"auths":{{"registry.gitlab.com":{{"auth":"{}"}}}}}}"#,
                auth(&format!("gitlab-ci-token:{TOKEN}"))
            ),
            "expires with the job",
        ),
        (r#"{"credsStore":"missing"}"#.to_owned(), "cannot run"),
        (r#"{"credHelpers":{"registry.gitlab.com":"missing"}}"#.to_owned(), "cannot run"),
        (
            r#"{"credHelpers":{"registry.gitlab.com":"broken"}}"#.to_owned(),
            "`docker-credential-broken` failed",
        ),
        (r#"{"credsStore":"broken"}"#.to_owned(), "`docker-credential-broken` failed"),
        (r#"{"credsStore":"babble"}"#.to_owned(), "an unreadable answer"),
        (r#"{"credsStore":"empty","auths":{"registry.gitlab.com":{}}}"#.to_owned(), "no login for"),
    ] {
        let file = sandbox.write_private("config.json", &config).display().to_string();
        let from = format!("--from-docker-config={file}");
        let run = sandbox
            .makeinfra(&["new", "hello", "--image", IMAGE, &from])
            .env("PATH", sandbox.own_path());
        refused(&sandbox, run, 1, cause);
    }
    let from = format!("--from-docker-config={}", sandbox.path("nowhere.json").display());
    refused(
        &sandbox,
        sandbox.makeinfra(&["new", "hello", "--image", IMAGE, &from]),
        2,
        "`--from-docker-config`",
    );
    let run = sandbox.makeinfra(&["new", "hello", "--image", IMAGE, "--from-docker-config"]);
    refused(&sandbox, run, 1, "no docker or podman configuration found")
        .says("docker login registry.gitlab.com");
}

#[test]
fn a_ci_job_needs_its_deploy_token() {
    let sandbox = Sandbox::new();
    let ci = || sandbox.makeinfra(&["new", "hello", "--image", IMAGE, "--from-ci"]);
    refused(&sandbox, ci(), 1, "`gitlab-deploy-token`").says("`$CI_DEPLOY_USER`");
    for name in ["CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD"] {
        refused(&sandbox, ci().env(name, TOKEN), 1, "expires with the job");
    }
    let both = |user: &str, password: &str| {
        ci().env("CI_DEPLOY_USER", user).env("CI_DEPLOY_PASSWORD", password)
    };
    refused(&sandbox, both("gitlab-ci-token", TOKEN), 1, "job token");
    refused(&sandbox, both(USER, TOKEN).env("CI_JOB_TOKEN", TOKEN), 1, "job token");
    refused(&sandbox, both(USER, "glcbt-64_Ab1"), 1, "job token");
    refused(&sandbox, both(USER, ""), 1, "`$CI_DEPLOY_PASSWORD` are not set");
    refused(&sandbox, both("a:b", TOKEN), 1, "`$CI_DEPLOY_USER` must");
    refused(&sandbox, both(USER, "gldt-Marker 7Qx9vWk2"), 1, "`$CI_DEPLOY_PASSWORD` must");
    let args =
        ["new", "hello", "--image", IMAGE, "--token-username", "gitlab-ci-token", "--token-stdin"];
    refused(&sandbox, sandbox.makeinfra(&args).stdin(TOKEN), 1, "job token");
}
