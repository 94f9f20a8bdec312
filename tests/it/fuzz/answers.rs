//! Answers of users: single values, answers files, the record, settings.

use super::{MARKER, files, fuzz, is_bounded, is_sample, quotes_no_token, shows_token, text};
use jiff::Timestamp;
use makeinfra::answers::{
    Answer, Config, Expiry, ImageRef, Name, Record, RegistryKey, Schedule, Sheet, TimeZone,
    Version, from_yaml,
};
use makeinfra::pull_secret::keyring;
use makeinfra::registry::Platform;
use makeinfra::templates::TemplateSet;

/// Words of `.makeinfra.yaml` and of answers files.
const WORDS: [&str; 40] = [
    "version: \"0.2.0\"\n",
    "version: 0.2.0\n",
    "template: default\n",
    "answers:\n",
    "  project: hello\n",
    "  image: r.example.com/g/a:1\n",
    "  registry: ",
    "  namespace: \"{project}-{env}\"\n",
    "  context: none\n",
    "  workload: cronjob\n",
    "  schedule: \"0 3 * * *\"\n",
    "  args: [\"a\", \"b\"]\n",
    "  port: none\n",
    "  port: 8080\n",
    "  replicas: 3\n",
    "  ingress: hello.example.com\n",
    "  tls: yes\n",
    "  tls: true\n",
    "  tls-issuer: letsencrypt\n",
    "  health-path: /healthz\n",
    "  config: yes\n",
    "  public: yes\n",
    "  secret-type: dockerconfigjson\n",
    "  email: a@b.example\n",
    "  ci: gitlab\n",
    "  environments:\n    staging:\n      namespace: a\n",
    "    production: {}\n",
    "  components:\n    worker:\n      image: r.example.com/g/w:2\n      workload: deployment\n",
    "      protect: yes\n",
    "own:\n  - Makefile\n",
    "public:\n  - docker.io/library/nginx\n",
    "null",
    "~",
    "{}",
    "[]",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "|\n  ",
];

#[test]
fn an_image_reference_that_is_accepted_is_made_of_its_parts_and_served_by_its_own_key() {
    let words = [
        "registry.gitlab.com",
        "localhost:5000",
        "docker.io/",
        "library/",
        ":latest",
        "@sha256:",
        "__",
        "@",
        "http://",
        ":",
        "index.docker.io",
    ];
    fuzz("image-reference", &words, Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        for image in [ImageRef::parse(text), ImageRef::parse_unpinned(text)].into_iter().flatten() {
            let tag = image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = image.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
            assert_eq!(format!("{}{tag}{digest}", image.name()), image.as_str());
            assert_eq!(ImageRef::parse(image.as_str()).as_ref(), Ok(&image));
            assert!(image.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(image.normalized_name().ends_with(&image.path()));
            let key = RegistryKey::for_image(&image);
            assert!(
                RegistryKey::parse(key.as_str()).is_ok() && keyring::matches(key.as_str(), &image)
            );
        }
    });
}

#[test]
fn a_registry_key_that_is_accepted_is_accepted_as_it_is_kept_and_any_key_can_be_looked_up() {
    let words = [
        "https://",
        "http://",
        "/v1/",
        "/v2/",
        "*.",
        "[a-z]",
        "[^",
        "\\",
        ":443",
        "[::1]",
        "%2e",
        "?",
        "\n",
        "docker.io",
    ];
    fuzz("registry-key", &words, Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        let (key, name) =
            text.split_once('\n').unwrap_or((text, "registry.gitlab.com/group/project"));
        let found = keyring::matching_name([key, "registry.gitlab.com", "index.docker.io"], name);
        assert!(found.len() <= 3 && (found.contains(&key) || !keyring::matches_name(key, name)));
        if let Ok(parsed) = RegistryKey::parse(key) {
            assert_eq!((parsed.as_str(), RegistryKey::parse(key).as_ref()), (key, Ok(&parsed)));
            assert!(!parsed.host().is_empty() && parsed.is_same(&parsed));
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    });
}

#[test]
fn a_schedule_that_is_accepted_has_one_form() {
    let words = [
        "*/5",
        "MON-FRI",
        "@daily",
        "@every ",
        "1h",
        "?",
        "L",
        "#",
        "CRON_TZ=UTC ",
        "1-",
        ",",
        "jan",
        "Europe/Berlin",
        "/0",
    ];
    fuzz("cron", &words, Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        if let Ok(schedule) = Schedule::parse(text) {
            assert_eq!(Schedule::parse(schedule.as_str()).as_ref(), Ok(&schedule));
            assert!(schedule.as_str().len() <= text.len() && schedule.as_str().is_ascii());
        }
        if let Ok(zone) = TimeZone::parse(text) {
            assert_eq!(zone.as_str(), text);
        }
    });
}

#[test]
fn a_date_a_version_and_a_platform_that_are_accepted_are_written_as_they_are_read() {
    let words = [
        "never",
        "2027-12-31",
        "T12:00:00Z",
        "+00:00",
        "-009999",
        "9999-12-31",
        "-rc.",
        "0.2.0",
        "linux/",
        "arm64",
        "/v8",
        "W52",
        "[UTC]",
    ];
    fuzz("date", &words, Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        if let Ok(expiry) = Expiry::parse(text) {
            assert_eq!((expiry.as_str(), Expiry::parse(text).as_ref()), (text, Ok(&expiry)));
            let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            for now in [now, Timestamp::MIN, Timestamp::MAX] {
                assert!(expiry.days_left(now).abs() < 10_000 * 366 * 2);
            }
        }
        if let Ok(version) = Version::parse(text) {
            assert_eq!(Version::parse(&version.to_string()), Ok(version));
        }
        if let Some(platform) = Platform::parse(text) {
            assert_eq!(platform.to_string(), text);
        }
    });
}

#[test]
fn an_answer_that_is_accepted_has_no_control_characters() {
    let words = [
        "none",
        "yes",
        "no",
        "{env}",
        "{project}",
        "-infra",
        "[\"",
        "\"]",
        "a@b.c",
        "/healthz",
        "xn--",
        ".example.com",
        "65535",
        "deployment",
    ];
    fuzz("answer", &words, Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        for name in Name::ALL {
            let is_fine = !text.contains(char::is_control) && text.len() <= 4096;
            // File names are free, arguments are JSON, and numbers may have leading zeros.
            let is_free = matches!(
                name,
                Name::Output | Name::Config | Name::Args | Name::Port | Name::Replicas
            );
            assert!(name.check(text).is_err() || is_fine || is_free, "{name:?}");
        }
    });
}

#[test]
fn a_file_of_answers_is_never_quoted() {
    fuzz("answers", &WORDS, files(&["examples/answers.yaml"]), |bytes| {
        let Some(text) = text(bytes) else { return };
        match from_yaml(text).and_then(|value| Sheet::from_yaml(value, &Name::ALL)) {
            Ok(sheet) => quotes_no_token(&sheet.answers().err()),
            Err(fault) => quotes_no_token(&fault),
        }
    });
}

#[test]
fn a_record_that_is_read_can_be_written_and_read_again() {
    let templates = TemplateSet::embedded();
    fuzz("record", &WORDS, files(&["examples/hello-infra/.makeinfra.yaml"]), |bytes| {
        let Some(text) = text(bytes) else { return };
        match Record::parse(text.to_owned()) {
            // Rendering takes as long as parsing many inputs.
            Ok(record) if is_sample(bytes, 64) => {
                let written = templates.record(&record.answers).unwrap();
                let again = Record::parse(written.clone()).unwrap();
                assert_eq!(again.answers, record.answers, "{written}");
                is_bounded(written.len(), bytes.len());
            }
            Ok(_) => {}
            Err(error) => quotes_no_token(&makeinfra::error::explain(&error)),
        }
    });
}

#[test]
fn settings_that_are_read_are_kept_as_they_are_and_hold_no_token() {
    let words = [
        "KEY=value\n",
        "PASSWORD=",
        "# comment\n",
        "export ",
        " =",
        "=\n",
        "\u{feff}",
        "KEY",
        "gldt-",
    ];
    fuzz("settings", &words, Vec::new(), |bytes| match Config::parse(bytes) {
        Ok(config) => {
            assert!(!shows_token(config.text()) && config.text().ends_with('\n'));
            assert_eq!(Config::parse(config.text().as_bytes()).as_ref(), Ok(&config));
        }
        Err(fault) => assert!(!fault.rule.contains(MARKER)),
    });
}
