//! Invalid input for `new`: one clear error each, which names the option and the rule, and nothing
//! is left.

use super::support::*;
use std::fs;
use std::os::unix::fs::symlink;

const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Texts without a DNS label.
const NO_LABELS: [&str; 14] = [
    "Hello",
    "my_app",
    "",
    "..",
    "a/b",
    "../../etc/passwd",
    "my app",
    "-app",
    "app-",
    "größe",
    "two\nlines",
    "$(shell id)",
    "a123456789b123456789c123456789d123456789e123456789f123456789g123",
    TOKEN,
];

/// Runs `new` with `args`, and expects exit code `code`, one error that says `text` without quoting
/// a value of `secret`, a hint, and no trace on the disk.
#[track_caller]
pub fn refused(sandbox: &Sandbox, run: Run, code: i32, text: &str) -> Output {
    let before = (files_below(&sandbox.path("work")), files_below(&sandbox.path("home")));
    let output = run.failure(code);
    let lines = |start: &str| output.stderr.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines("error: "), lines("hint: ")), (1, 1), "{}", output.stderr);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    output.says(text);
    assert_eq!(output.stdout, "");
    let after = (files_below(&sandbox.path("work")), files_below(&sandbox.path("home")));
    assert_eq!(before, after, "{}", output.stderr);
    assert!(!sandbox.work("hello-infra").exists());
    output
}

/// Expects that each of `values` is refused for `option`, on the command line and in the answers
/// file, without being quoted.
fn refuses(option: &str, rule: &str, values: &[&str]) {
    let sandbox = Sandbox::new();
    for value in values {
        let mut answers = vec![("project", "hello"), ("image", IMAGE)];
        answers.retain(|(name, _)| *name != option);
        answers.push((option, value));
        let rule_quotes =
            |line: &str| value.len() > 3 && !line.starts_with("hint: ") && line.contains(value);
        let quotes = |output: &Output| output.stderr.lines().any(rule_quotes);

        let words = answers.iter().map(|(name, value)| match *name {
            "project" => (*value).to_owned(),
            name => format!("--{name}={value}"),
        });
        let words: Vec<_> = words.collect();
        let words =
            [vec!["new", "--no-token"], words.iter().map(String::as_str).collect()].concat();
        // A project with a leading dash can only follow `--`.
        let words = match option {
            "project" => ["new", "--no-token", "--image", IMAGE, "--", value].to_vec(),
            _ => words,
        };
        let shown = if option == "project" {
            "`PROJECT` must".to_owned()
        } else {
            format!("`--{option}` must")
        };
        let output = refused(&sandbox, sandbox.makeinfra(&words), 2, &shown);
        output.says(rule);
        assert!(!quotes(&output), "{value:?} is quoted: {}", output.stderr);

        let file = serde_json::to_string(
            &answers.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        );
        let file = sandbox.write("answers.yaml", file.unwrap()).display().to_string();
        let run = sandbox.makeinfra(&["new", "--no-token", "--answers", &file]);
        let output = refused(&sandbox, run, 2, &format!("`{option}` must"));
        output.says("answers.yaml").says(rule);
        assert!(!quotes(&output), "{value:?} is quoted: {}", output.stderr);
    }
}

#[test]
fn a_project_must_be_an_rfc_1035_label() {
    refuses("project", "begin with a letter", &NO_LABELS);
    refuses("project", "begin with a letter", &["1st", "-infra", "infra-"]);
}

#[test]
fn a_namespace_and_a_secret_name_must_be_dns_labels() {
    refuses("namespace", "DNS label", &NO_LABELS);
    refuses("secret-name", "DNS label", &NO_LABELS);
}

#[test]
fn an_image_must_be_a_reference_with_a_tag_or_a_digest() {
    refuses(
        "image",
        "a tag or a digest",
        &["registry.gitlab.com/group/hello", "registry.gitlab.com:5050/group/hello", ""],
    );
    let long = format!("registry.gitlab.com/group/hello:{}", "a".repeat(129));
    let tags = ["", "-1", ".1", "a b", "a\nb", "1:2", "größe", "$(x)"]
        .map(|tag| format!("registry.gitlab.com/g/hello:{tag}"));
    refuses("image", "a tag of at most 128 letters", &tags.each_ref().map(String::as_str));
    refuses("image", "a tag of at most 128 letters", &[&long]);
    refuses(
        "image",
        "without a scheme",
        &["https://registry.gitlab.com/group/hello:1", "docker://hello:1"],
    );
    refuses(
        "image",
        "a path of lower-case",
        &["registry.gitlab.com/Group/hello:1", "registry.gitlab.com//hello:1"],
    );
    refuses(
        "image",
        "a path of lower-case",
        &["registry.gitlab.com/:1", "/hello:1", "a b:1", "registry.gitlab.com/../x:1"],
    );
    refuses(
        "image",
        "a registry host",
        &["Registry.gitlab.com/group/hello:1", "a_b.example/hello:1", "a.b:x/hello:1"],
    );
    let digests = ["sha256:abc", "sha256:", "md5:aa", ""]
        .map(|digest| format!("registry.gitlab.com/g/hello@{digest}"));
    refuses("image", "64 lower-case hexadecimal digits", &digests.each_ref().map(String::as_str));
    let upper = format!("registry.gitlab.com/g/hello:1@sha256:{}", HEX.to_uppercase());
    refuses("image", "64 lower-case hexadecimal digits", &[&upper]);
    refuses("image", "tag", &[TOKEN]);
}

#[test]
fn a_registry_key_must_be_one_that_the_kubelet_can_match() {
    refuses(
        "registry",
        "a host name, or with exactly",
        &["htps://registry.gitlab.com", "https:/registry.gitlab.com"],
    );
    refuses(
        "registry",
        "lower-case host",
        &["Registry.gitlab.com", "https://REGISTRY.gitlab.com", TOKEN],
    );
    refuses(
        "registry",
        "without spaces",
        &["", "registry gitlab.com", " registry.gitlab.com", "registry.gitlab.com\n"],
    );
    refuses(
        "registry",
        "a port from 1",
        &["registry.gitlab.com:0", "registry.gitlab.com:x", "registry.gitlab.com:70000"],
    );
    refuses(
        "registry",
        "a path of letters",
        &["registry.gitlab.com/a b", "registry.gitlab.com/\"", "registry.gitlab.com/$(x)"],
    );
}

#[test]
fn a_registry_key_must_match_the_image() {
    let sandbox = Sandbox::new();
    for key in [
        "gitlab.com",
        "registry.gitlab.com:443",
        "registry.gitlab.com/v2",
        "registry.gitlab.com/other",
        "docker.io",
    ] {
        let run = sandbox.new_without_token(&["--registry", key]);
        let output = refused(&sandbox, run, 2, "`--registry` must match the image");
        output.says("pull anonymously").says("hint: --registry registry.gitlab.com\n");
    }
    // A misplaced token may look like a host.
    let output = refused(
        &sandbox,
        sandbox.new_without_token(&["--registry", "gldt-lower9case"]),
        2,
        "must match",
    );
    assert!(!output.stderr.contains("gldt-"), "{}", output.stderr);
}

#[test]
fn numbers_must_be_whole_and_in_range() {
    refuses(
        "port",
        "1 to 65535",
        &["0", "70000", "-1", "+80", "http", "80 ", "8e3", "0x50", "", TOKEN],
    );
    refuses("replicas", "from 0 to 1000", &["-1", "1001", "two", "1.5", "", TOKEN]);
    // Also without an equals sign.
    let sandbox = Sandbox::new();
    refused(&sandbox, sandbox.new_without_token(&["--replicas", "-1"]), 2, "`--replicas` must");
    refused(&sandbox, sandbox.new_without_token(&["--port", "-1"]), 2, "`--port` must");
}

#[test]
fn an_ingress_host_must_be_a_dns_name() {
    let long = format!("{}example.com", "a.".repeat(130));
    let hosts = [
        "",
        "Hello.example.com",
        "https://hello.example.com",
        "hello.example.com:80",
        "hello.example.com/x",
        "a..b",
        "10.0.0.1",
        "a_b.example",
        "*",
        "a.*.b",
        "hello.example.com.",
        "-a.example",
        "bücher.example",
        "a b",
        &long,
        TOKEN,
    ];
    refuses("ingress", "a DNS name", &hosts);
}

#[test]
fn the_other_answers_have_their_rules() {
    refuses(
        "health-path",
        "a URL path",
        &["", "healthz", "/a b", "/$(shell id)", "/a#b", "/\"", "/a\nb", TOKEN],
    );
    refuses(
        "pod-security",
        "must be one of: restricted, baseline",
        &["", "privileged", "Restricted", TOKEN],
    );
    refuses("ci", "must be one of: gitlab, none", &["", "github", "GitLab", "~", TOKEN]);
    refuses(
        "secret-type",
        "must be one of: dockercfg",
        &["", "opaque", "kubernetes.io/dockercfg", TOKEN],
    );
    refuses(
        "email",
        "an email address",
        &["", "ops", "ops@", "@example.com", "a b@c", "a@b@c", "a@b\n", TOKEN],
    );
    let dates = [
        "",
        "2027-02-30",
        "31.12.2027",
        "2027-1-1",
        "tomorrow",
        "2027-01-01T00:00:00",
        "2027-01-01\n",
        TOKEN,
    ];
    refuses("expires-at", "a date", &dates);
}

#[test]
fn every_missing_answer_is_named_in_one_error() {
    let sandbox = Sandbox::new();
    let output = refused(&sandbox, sandbox.makeinfra(&["new"]), 2, "cannot ask for them");
    output.says("PROJECT, --image, --token-username, --token-file");
    let output = refused(
        &sandbox,
        sandbox.makeinfra(&["new", "hello", "--no-token", "--no-input"]),
        2,
        "cannot ask for them",
    );
    assert!(output.stderr.contains("\n  --image\n"), "{}", output.stderr);
    let run = sandbox.makeinfra(&["new", "hello", "--image", IMAGE, "--token-env", "PATH"]);
    let output = refused(&sandbox, run, 2, "cannot ask for them");
    assert!(output.stderr.contains("\n  --token-username\n"), "{}", output.stderr);
    // A dry run only needs no token.
    let output =
        refused(&sandbox, sandbox.makeinfra(&["new", "--dry-run"]), 2, "cannot ask for them");
    assert!(output.stderr.contains("\n  PROJECT, --image\n"), "{}", output.stderr);
}

#[test]
fn an_answers_file_has_known_names_and_the_right_types() {
    let sandbox = Sandbox::new();
    for (text, fault) in [
        ("imge: a", "unknown name `imge`"),
        ("gldt-Marker_7Qx9vWk2: a", "an unknown name"),
        ("1: a", "an unknown name"),
        ("[a]: b", "an unknown name"),
        ("token: gldt-Marker_7Qx9vWk2", "must not contain secrets"),
        ("token-file: gldt-Marker_7Qx9vWk2", "must not contain secrets"),
        ("answers: {project: hello}", "unknown name `answers`"),
        ("- gldt-Marker_7Qx9vWk2", "a YAML mapping"),
        ("gldt-Marker_7Qx9vWk2", "a YAML mapping"),
        ("project: [gldt-Marker_7Qx9vWk2", "invalid YAML"),
        ("project: gldt-Marker_7Qx9vWk2: 1", "invalid YAML"),
        ("project: a\nproject: gldt-Marker_7Qx9vWk2", "it contains a name twice"),
        ("project: *gldt-Marker_7Qx9vWk2", "invalid YAML"),
        ("project: a\n---\nproject: gldt-Marker_7Qx9vWk2", "a YAML mapping"),
        ("namespace: 123", "`namespace` must be a string: put it in quotes"),
        ("project: true", "`project` must be a string: put it in quotes"),
        ("project: ~", "`project` must"),
        ("image: [gldt-Marker_7Qx9vWk2]", "`image` must be a string"),
        ("ingress: {host: gldt-Marker_7Qx9vWk2}", "`ingress` must be a string"),
        ("port: [gldt-Marker_7Qx9vWk2]", "`port` must be a whole number"),
        ("port: true", "`port` must be a whole number"),
        ("port: 8080.5", "`port` must be a port"),
        ("replicas: ~", "`replicas` must be a whole number"),
        ("project: !secret gldt-Marker_7Qx9vWk2", "`project` must be a string"),
    ] {
        let file = sandbox.write("answers.yaml", text).display().to_string();
        refused(&sandbox, sandbox.new_without_token(&["--answers", &file]), 2, fault)
            .says("answers.yaml");
    }
    refused(
        &sandbox,
        sandbox.new_without_token(&["--answers", "nowhere.yaml"]),
        2,
        "answers file not found",
    );
    let deep = sandbox.write("answers.yaml", "[".repeat(1000)).display().to_string();
    refused(&sandbox, sandbox.new_without_token(&["--answers", &deep]), 2, "invalid YAML");
}

#[test]
fn a_config_file_holds_defaults_and_nothing_else() {
    let sandbox = Sandbox::new();
    for (text, fault) in [
        ("project: hello", "unknown name `project`"),
        ("image: a/b:1", "unknown name `image`"),
        ("token: gldt-Marker_7Qx9vWk2", "must not contain secrets"),
        ("port: 0", "`port` must be a port"),
        ("registry: HTTPS://registry.gitlab.com", "`registry` must"),
        ("email: [gldt-Marker_7Qx9vWk2]", "`email` must be a string"),
        ("ingress-domain: gldt-Marker_7Qx9vWk2", "`ingress-domain`"),
        ("ingress-domain: [gldt-Marker_7Qx9vWk2]", "`ingress-domain`"),
        ("- gldt-Marker_7Qx9vWk2", "a YAML mapping"),
        ("a: [gldt-Marker_7Qx9vWk2", "invalid YAML"),
    ] {
        sandbox.write("home/.config/makeinfra/config.yaml", text);
        refused(&sandbox, sandbox.new_without_token(&[]), 2, fault).says("config.yaml");
    }
}

#[test]
fn the_output_directory_must_be_there_and_writable() {
    let sandbox = Sandbox::new();
    refused(&sandbox, sandbox.new_hello(&["--output", "nowhere"]), 1, "`nowhere`")
        .says("mkdir -p nowhere");
    refused(&sandbox, sandbox.new_hello(&["--output", ""]), 2, "`--output` must");
    sandbox.write("work/file", "");
    refused(&sandbox, sandbox.new_hello(&["--output", "file"]), 1, "`file`");
    refused(&sandbox, sandbox.new_hello(&["--output", "file/below"]), 1, "`file/below`");
    symlink("nowhere", sandbox.work("link")).unwrap();
    refused(&sandbox, sandbox.new_hello(&["--output", "link"]), 1, "`link`");
    // Not writable, even for root.
    refused(
        &sandbox,
        sandbox.new_hello(&["--output", "/sys"]),
        1,
        "cannot write to directory `/sys`",
    );
}

#[test]
fn the_exported_key_is_a_new_file_outside_of_the_repository() {
    let sandbox = Sandbox::new();
    sandbox.write("work/key", "mine");
    refused(&sandbox, sandbox.new_hello(&["--export-key", "key"]), 2, "the file already exists");
    assert_eq!(fs::read_to_string(sandbox.work("key")).unwrap(), "mine");
    symlink("elsewhere", sandbox.work("link")).unwrap();
    refused(&sandbox, sandbox.new_hello(&["--export-key", "link"]), 2, "the file already exists");
    refused(&sandbox, sandbox.new_hello(&["--export-key", "/"]), 2, "names no file");
    refused(&sandbox, sandbox.new_hello(&["--export-key", "nowhere/key"]), 1, "`nowhere`");
    symlink(".", sandbox.work("here")).unwrap();
    for inside in [
        "hello-infra",
        "hello-infra/key",
        "./hello-infra/secrets/key",
        "../work/hello-infra/key",
        "here/hello-infra/key",
    ] {
        refused(
            &sandbox,
            sandbox.new_hello(&["--export-key", inside]),
            2,
            "must not be inside the repository",
        );
    }
    refused(
        &sandbox,
        sandbox.new_hello(&["--no-git", "--export-key", "k"]),
        2,
        "cannot be used with",
    )
    .says("--no-git");
}

#[test]
fn a_usage_error_of_the_command_line_has_a_hint() {
    let sandbox = Sandbox::new();
    for (words, text) in [
        (&["nwe"][..], "unknown command"),
        (&["new", "hello", "--imgae", "a/b:1"], "unknown option `--imgae`"),
        (&["new", "hello", "too-much"], "unexpected argument"),
        (&["new", "hello", "--image"], "`--image`"),
        (&["new", "hello", "--namespace", "-app"], "unknown option"),
        (&["new", "hello", "--port", "1", "--port", "2"], "more than once"),
        (&["completions", "csh"], "`SHELL`"),
        (&["completions"], "SHELL"),
    ] {
        refused(&sandbox, sandbox.makeinfra(words), 2, text);
    }
    let not_utf8 = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"h\xff");
    let mut command = sandbox.makeinfra(&["new"]).command();
    let output = command.arg(not_utf8).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
