//! Secrets besides the pull secret: how real kustomizes read their files, and what `check` says
//! about them.

use super::check::{Checked, check};
use super::secret_set::{ENV, KUSTOMIZATION, set_key, text};
use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::fs;

const OVERLAY: &str = "kubernetes/overlays/production";

/// The output of every available kustomize for the overlay, including the oldest supported version.
fn builds(sandbox: &Sandbox) -> Vec<Vec<Value>> {
    let kubectl = kubectl().map(|program| (program, "kustomize"));
    let floor = cached("kustomize-5.0.1/kustomize").map(|program| (program, "build"));
    let build = |(program, verb): (std::path::PathBuf, &str)| {
        let output = sandbox.run(program, &[verb, OVERLAY]).cwd(sandbox.hello("")).success();
        let documents = serde_yaml::Deserializer::from_str(&output.stdout);
        documents.map(|document| Value::deserialize(document).unwrap()).collect()
    };
    kubectl.into_iter().chain(floor).map(build).collect()
}

/// The Secret db among `objects`.
fn db(objects: &[Value]) -> &Value {
    let is_it = |object: &&Value| {
        object["kind"] == "Secret"
            && object["metadata"]["name"].as_str().unwrap().starts_with("db-")
    };
    objects.iter().find(is_it).unwrap()
}

fn data(secret: &Value) -> BTreeMap<String, Vec<u8>> {
    let decoded = |value: &Value| {
        let bare: String = value.as_str().unwrap().split_whitespace().collect();
        STANDARD.decode(bare).unwrap()
    };
    let pairs = secret["data"].as_mapping().unwrap().iter();
    pairs.map(|(key, value)| (key.as_str().unwrap().to_owned(), decoded(value))).collect()
}

/// Difficult values for a line-based format, the same ones in every run.
struct Nasty(u64);

impl Nasty {
    fn number(&mut self, below: usize) -> usize {
        // Knuth's MMIX.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn value(&mut self) -> Vec<u8> {
        const PARTS: [&str; 24] = [
            "=",
            "#",
            "\"",
            "'",
            "`",
            "$",
            "\\",
            " ",
            "\t",
            "\n",
            "\r",
            "\0",
            "a",
            "Z9",
            "export ",
            "${HOME}",
            "\\n",
            "ä",
            "☃",
            "\u{feff}",
            "\u{2028}",
            "\u{a0}",
            "---",
            "-----BEGIN X-----",
        ];
        let length = 1 + self.number(8);
        let mut value: Vec<u8> =
            (0..length).flat_map(|_| PARTS[self.number(PARTS.len())].bytes()).collect();
        if self.number(10) == 0 {
            value.push(0xff);
        }
        value
    }
}

#[test]
fn kustomize_reads_every_value_back_byte_for_byte() {
    let sandbox = Sandbox::with_hello();
    let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let line = "x".repeat(60_000);
    for (at, value) in [
        "a=b",
        "#x",
        "\"q\"",
        "it's",
        "$HOME",
        "a b",
        "ä☃",
        "a\nb\n",
        " a",
        "a ",
        "\r\n",
        "=",
        &line,
        &(line.clone() + "x"),
    ]
    .iter()
    .enumerate()
    {
        values.insert(format!("FIXED_{at}"), value.as_bytes().to_owned());
    }
    let mut nasty = Nasty(1);
    for round in 0..2 {
        // In the second round, keys get other values, many of which need another form.
        values.extend((0..40).map(|at| (format!("K{at}.x-y_z"), nasty.value())));
        for (key, value) in values.iter().filter(|(key, _)| round == 0 || key.starts_with('K')) {
            let output = set_key(&sandbox, key, value, &[]);
            assert!(!output.stderr.contains("kustomize"), "{value:?}: {}", output.stderr);
        }
        for objects in builds(&sandbox) {
            assert!(data(db(&objects)) == values, "round {round}");
        }
    }
    sandbox.git(&["add", "-A"]).success();
    let checked = check(&sandbox, &["--strict"]);
    assert_eq!((checked.code, checked.problems()), (Some(0), vec![]), "what is written is no trap");
}

#[test]
fn a_value_changes_the_name_by_which_pods_ask_for_its_secret() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "one", &[]);
    let from = "          envFrom:\n            - secretRef:\n                name: db\n          ports:\n";
    sandbox.edit("kubernetes/base/deployment.yaml", "          ports:\n", from);
    let names = || -> Vec<String> {
        let name = |objects: Vec<Value>| {
            let secret = db(&objects);
            let labels = &secret["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/part-of"], "hello");
            assert_eq!(labels["makeinfra/environment"], "production");
            let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
            let container = &deployment["spec"]["template"]["spec"]["containers"][0];
            let used = container["envFrom"][0]["secretRef"]["name"].clone();
            assert_eq!(used, secret["metadata"]["name"]);
            let pull = &deployment["spec"]["template"]["spec"]["imagePullSecrets"][0]["name"];
            assert_eq!(pull, "gitlab", "the pull secret keeps its name");
            used.as_str().unwrap().to_owned()
        };
        builds(&sandbox).into_iter().map(name).collect()
    };
    let first = names();
    set_key(&sandbox, "A", "two", &[]);
    assert!(names().iter().zip(&first).all(|(now, before)| now != before));
    set_key(&sandbox, "A", "one", &[]);
    assert_eq!(names(), first, "a rollback finds the old value");
    sandbox.git(&["add", "-A"]).success();
    let checked = check(&sandbox, &["--strict"]);
    assert_eq!(checked.code, Some(0), "{:?}", checked.checks);
}

/// What `check` says about an env file with the text `env`; never `hunter2`.
#[track_caller]
fn messages_of(env: impl AsRef<[u8]>) -> (Checked, String) {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "1", &["--commit"]);
    fs::write(sandbox.hello(ENV), env).unwrap();
    let checked = check(&sandbox, &[]);
    let said = checked.messages("secrets-generated");
    let all = format!("{:?}", checked.checks);
    assert!(!all.contains("hunter2") && !all.contains("104 117 110"), "{all}");
    (checked, said)
}

#[test]
fn a_line_that_kustomize_misreads_is_a_problem_named_by_its_number() {
    for (env, line, word) in [
        (&b"A=1\nhunter2\n"[..], 2, "no `=`"),
        (b"A=-----BEGIN KEY-----\nhunter2=\n-----END KEY-----\n", 2, "continues the value"),
        (b"export HUNTER=hunter2\n", 1, "`export`"),
        (b"A=1\n=hunter2\n", 2, "no key"),
        (b"A=1\n\nhunter2 B=1\n", 3, "invalid key"),
        (b"A=1\nA=hunter2\n", 2, "set in an earlier line"),
        (b"A=hunter2\xff\n", 1, "not UTF-8"),
        (format!("B={}\nA=hunter2\n", "x".repeat(66_000)).as_bytes(), 1, "longer than 64 KiB"),
    ] {
        let (checked, said) = messages_of(env);
        assert_eq!(checked.problems(), ["secrets-generated"], "{said}");
        assert!(
            said.contains(&format!("{ENV}: line {line}: ")) && said.contains(word),
            "{word}: {said}"
        );
    }
    for (env, line, word) in [
        (&b"A=\"hunter2\"\n"[..], 1, "quotes"),
        (b"A=1\nB=hunter2 \n", 2, "blanks"),
        (b"\xef\xbb\xbfA=hunter2\n", 1, "byte order mark"),
        (b"A=hunter2\r\n", 1, "CRLF"),
    ] {
        let (checked, said) = messages_of(env);
        assert_eq!(
            (checked.problems(), checked.warnings()),
            (vec![], vec!["secrets-generated"]),
            "{said}"
        );
        assert!(
            said.contains(&format!("{ENV}: line {line}: ")) && said.contains(word),
            "{word}: {said}"
        );
    }
}

#[test]
fn what_kustomize_would_print_of_secrets_is_a_problem() {
    for (more, field) in [
        ("    literals:\n      - B=hunter2\n", "literals"),
        (
            "patches:\n  - patch: |-\n      kind: Secret\n      metadata: {name: gitlab}\n",
            "patches",
        ),
    ] {
        let sandbox = Sandbox::with_hello();
        set_key(&sandbox, "A", "1", &[]);
        sandbox.append(KUSTOMIZATION, more);
        let checked = check(&sandbox, &[]);
        assert!(checked.problems().contains(&"secrets-generated"), "{:?}", checked.checks);
        let said = checked.messages("secrets-generated");
        assert!(said.contains(&format!("inline `{field}`")) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_file_that_no_kustomization_names_is_told() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "1", &["--commit"]);
    sandbox.write_private("work/hello-infra/secrets/kubernetes/db.d/LOST", "x");
    let checked = check(&sandbox, &[]);
    assert_eq!(checked.problems(), ["secrets-listed"]);
    assert!(checked.messages("secrets-listed").contains("secrets/kubernetes/db.d/LOST"));
    fs::remove_dir_all(sandbox.hello("secrets/kubernetes/db.d")).unwrap();
    // Users may keep other files there, for other tools.
    sandbox.write_private("work/hello-infra/secrets/ansible/vault.yaml", "a: b\n");
    let checked = check(&sandbox, &[]);
    assert_eq!((checked.problems(), checked.warnings()), (vec![], vec!["secrets-listed"]));
    fs::remove_dir_all(sandbox.hello("secrets/ansible")).unwrap();
    fs::remove_file(sandbox.hello(ENV)).unwrap();
    let said = check(&sandbox, &[]).messages("secrets-generated");
    assert!(said.contains(&format!("{ENV}: it does not exist")), "{said}");
}

#[test]
fn a_locked_kustomization_is_neither_a_problem_nor_in_order() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "1", &["--commit"]);
    sandbox.run("git", &["clone", "-q", "hello-infra", "locked"]).success();
    let checked = super::check::check_in(&sandbox, "locked", &[]);
    for id in ["secrets-listed", "secrets-generated", "manifests-kustomize"] {
        assert!(checked.warnings().contains(&id), "{id}: {:?}", checked.checks);
        assert!(!checked.problems().contains(&id) && !checked.ids("ok").contains(id), "{id}");
        assert!(
            checked.messages(id).contains("locked: ")
                && checked.messages(id).contains("git-crypt unlock")
        );
    }
    let run = sandbox.makeinfra(&["secret", "list", "locked"]);
    run.failure(10).says("this clone is locked").says("/locked && git-crypt unlock KEY_FILE\n");
}

#[test]
fn two_branches_that_both_set_a_secret_are_put_together_again() {
    if !have("git-crypt") {
        return;
    }
    for side in ["ours", "theirs"] {
        let sandbox = Sandbox::with_hello();
        set_key(&sandbox, "A", "1", &["--commit"]);
        sandbox.git(&["checkout", "-q", "-b", "other"]).success();
        set_key(&sandbox, "THEIRS", "t\n", &["--commit"]);
        sandbox.git(&["checkout", "-q", "-"]).success();
        set_key(&sandbox, "OURS", "o\n", &["--commit"]);
        set_key(&sandbox, "A", "2", &["--commit"]);
        assert_ne!(sandbox.git(&["merge", "-q", "other"]).output().code, Some(0));
        let checked = check(&sandbox, &[]);
        assert_eq!(checked.problems(), ["secrets-merged"], "{:?}", checked.checks);
        let said = checked.messages("secrets-merged");
        assert!(said.contains(KUSTOMIZATION) && said.contains("repeat the other side's"), "{said}");
        let typed = said.rsplit_once('(').unwrap().1.trim_end().trim_end_matches(')');
        let typed = typed.replace("--ours", &format!("--{side}"));
        assert!(typed.starts_with(&format!("git checkout --{side} -- ")), "{said}");
        sandbox.run("sh", &["-c", &typed]).cwd(sandbox.hello("")).success();
        sandbox.git(&["commit", "-q", "--no-verify", "-m", "Merge"]).success();
        match side {
            "ours" => set_key(&sandbox, "THEIRS", "t\n", &["--commit"]),
            _ => {
                set_key(&sandbox, "A", "2", &["--commit"]);
                set_key(&sandbox, "OURS", "o\n", &["--commit"])
            }
        };
        sandbox.run("chmod", &["-R", "go=", "secrets"]).cwd(sandbox.hello("")).success();
        let checked = check(&sandbox, &["--strict"]);
        assert_eq!(checked.code, Some(0), "{:?}", checked.checks);
        let wanted = [("A", "2"), ("OURS", "o\n"), ("THEIRS", "t\n")];
        let wanted: BTreeMap<_, _> = wanted
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.as_bytes().to_owned()))
            .collect();
        for objects in builds(&sandbox) {
            assert_eq!(data(db(&objects)), wanted, "{side}");
        }
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
        assert!(text(&sandbox, KUSTOMIZATION).contains("db.d/OURS"));
    }
}
