//! Deployments, workers, cron jobs and jobs, and everything that belongs to them: what `new`
//! generates, and what it refuses.

use super::bad_input::refused;
use super::manifests::strict;
use super::support::{IMAGE, Sandbox, have, kubectls};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;

/// A web service, a worker, a cron job with its own image and a Job.
const ALL: &str = "project: hello\nimage: registry.gitlab.com/group/hello:1.0.0\ningress: hello.example.com\n\
    tls-issuer: letsencrypt\nservice-account: true\nconfig: app.env\ncomponents:\n  \
    worker: {port: none, args: [work, --queue=mail], replicas: 3, config: worker.env}\n  \
    nightly: {image: 'registry.gitlab.com/group/tool:2', workload: cronjob, schedule: '0 3 * * *', \
    time-zone: Europe/Berlin, service-account: yes, config: app.env}\n  \
    migrate: {workload: job, args: [migrate]}\n  \
    api: {port: 9000, ingress: api.example.com, tls: yes, health-path: /up}\n";

/// A repository with all of these.
pub fn everything(args: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("app.env", "# settings\nLOG_LEVEL=info\nQUOTED=\"x\"\nEMPTY=\n");
    sandbox.write("worker.env", "\u{feff}QUEUE=mail");
    let answers = sandbox.write("answers.yaml", ALL).display().to_string();
    let token = sandbox.path("token").display().to_string();
    let base = [
        "new",
        "--answers",
        &answers,
        "--token-username",
        super::support::USER,
        "--token-file",
        &token,
    ];
    sandbox.makeinfra(&[&base[..], &["--expires-at", "never"], args].concat()).success();
    sandbox
}

fn read(sandbox: &Sandbox, file: &str) -> String {
    fs::read_to_string(sandbox.hello(file)).unwrap()
}

/// The output of `kubectl kustomize` for a directory, by kind and name without hash suffix.
fn built(sandbox: &Sandbox, kubectl: &std::path::Path, dir: &str) -> Vec<(String, Value)> {
    let output = sandbox.run(kubectl, &["kustomize", dir]).cwd(sandbox.hello("")).success();
    serde_yaml::Deserializer::from_str(&output.stdout)
        .map(|document| {
            let value = Value::deserialize(document).unwrap();
            let name = value["metadata"]["name"].as_str().unwrap();
            (format!("{} {name}", value["kind"].as_str().unwrap()), value)
        })
        .collect()
}

fn find<'d>(documents: &'d [(String, Value)], start: &str) -> &'d Value {
    &documents
        .iter()
        .find(|(name, _)| name.starts_with(start))
        .unwrap_or_else(|| panic!("no {start}"))
        .1
}

#[test]
fn every_kind_has_what_belongs_to_it_and_no_more() {
    let sandbox = everything(&[]);
    let file = |name: &str| read(&sandbox, &format!("kubernetes/base/{name}"));
    let mut files = super::support::files_below(&sandbox.hello("kubernetes/base"));
    files.retain(|name| name != "kustomization.yaml");
    let wanted = "api-deployment.yaml api-ingress.yaml api-service.yaml config.env deployment.yaml ingress.yaml \
                  migrate-job.yaml nightly-config.env nightly-cronjob.yaml nightly-serviceaccount.yaml service.yaml \
                  serviceaccount.yaml worker-config.env worker-deployment.yaml";
    assert_eq!(files.join(" "), wanted);

    let worker = strict::<Deployment>(&file("worker-deployment.yaml"));
    let container = &worker["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["work", "--queue=mail"]));
    assert_eq!(worker["spec"]["replicas"], 3);
    for none in ["ports", "livenessProbe", "readinessProbe", "startupProbe"] {
        assert!(container.get(none).is_none(), "{none}");
    }
    let cronjob = strict::<CronJob>(&file("nightly-cronjob.yaml"));
    assert_eq!(cronjob["spec"]["timeZone"], "Europe/Berlin");
    assert_eq!(cronjob["spec"]["concurrencyPolicy"], "Forbid");
    let job = &cronjob["spec"]["jobTemplate"];
    assert_eq!(job["metadata"]["labels"], cronjob["metadata"]["labels"]);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(
        (&pod["serviceAccountName"], &pod["restartPolicy"]),
        (&json!("nightly"), &json!("Never"))
    );
    assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "gitlab"}]));
    let job = strict::<Job>(&file("migrate-job.yaml"));
    assert!(
        job["spec"].get("ttlSecondsAfterFinished").is_none(),
        "deploy could not tell that it ran"
    );
    let ingress = strict::<Ingress>(&file("api-ingress.yaml"));
    assert_eq!(
        ingress["spec"]["tls"],
        json!([{"hosts": ["api.example.com"], "secretName": "api-tls"}])
    );
    assert!(ingress["metadata"].get("annotations").is_none());
    strict::<Service>(&file("api-service.yaml"));
    strict::<ServiceAccount>(&file("nightly-serviceaccount.yaml"));
    assert_eq!(file("worker-config.env"), "QUEUE=mail\n");
}

#[test]
fn the_record_makes_the_same_repository_again() {
    let sandbox = everything(&["--env", "staging", "--env", "production"]);
    let text = read(&sandbox, ".makeinfra.yaml");
    let record = makeinfra::answers::Record::parse(text.clone()).unwrap();
    let templates = makeinfra::templates::TemplateSet::embedded();
    let files = templates.render(&record.answers, &[None, None]).unwrap();
    for file in files.iter().filter(|file| !file.path.starts_with("secrets/")) {
        assert_eq!(file.text.expose(), read(&sandbox, &file.path), "{}", file.path);
    }
    let settings = ["config.env", "worker-config.env", "nightly-config.env"];
    assert!(
        files.iter().all(|file| !file.path.ends_with("config.env")),
        "those are the user's, and no answers"
    );
    assert!(settings.iter().all(|file| sandbox.hello(&format!("kubernetes/base/{file}")).exists()));
    assert!(!text.contains("LOG_LEVEL") && text.contains("config: true"), "{text}");
}

#[test]
fn kustomize_builds_all_of_it() {
    for (args, dir, host) in [
        (&[][..], "kubernetes/overlays/production", "hello.example.com"),
        (&["--env", "staging"], "kubernetes/overlays/staging", "staging.hello.example.com"),
    ] {
        let sandbox = everything(args);
        for kubectl in kubectls() {
            let documents = built(&sandbox, &kubectl, dir);
            assert_eq!(documents.len(), 1 + 5 + 2 + 3 + 1 + 3, "{documents:?}");
            let settings = find(&documents, "ConfigMap hello-");
            strict::<ConfigMap>(&settings.to_string());
            assert_eq!(
                settings["data"],
                json!({"LOG_LEVEL": "info", "QUOTED": "\"x\"", "EMPTY": ""})
            );
            let from = |value: &Value| {
                value["envFrom"][0]["configMapRef"]["name"].as_str().unwrap().to_owned()
            };
            let deployment = find(&documents, "Deployment hello");
            let name = from(&deployment["spec"]["template"]["spec"]["containers"][0]);
            assert_eq!(name, settings["metadata"]["name"].as_str().unwrap());
            let cronjob = find(&documents, "CronJob nightly");
            let container =
                &cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
            assert!(from(container).starts_with("nightly-"));
            assert_eq!(container["image"], "registry.gitlab.com/group/tool:2");
            let job = find(&documents, "Job migrate");
            assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["image"], IMAGE);
            let ingress = find(&documents, "Ingress hello");
            assert_eq!(ingress["spec"]["tls"][0]["hosts"][0], host);
            assert_eq!(ingress["spec"]["rules"][0]["host"], host);
            assert_eq!(find(&documents, "Deployment worker")["spec"]["replicas"], 3);
        }
        let output = sandbox.makeinfra(&["check", "hello-infra", "--strict"]).output();
        assert_eq!(output.code, Some(0), "{}", output.stdout);
    }
}

#[test]
fn yaml_of_every_kind_is_tidy() {
    if !have("yamllint") {
        return;
    }
    let rules = "{extends: default, rules: {line-length: {max: 120, allow-non-breakable-words: true, \
                 allow-non-breakable-inline-mappings: true}, \
                 document-start: disable, comments: {min-spaces-from-content: 1}}}";
    for args in [&[][..], &["--env", "staging", "--pod-security", "baseline"]] {
        let sandbox = everything(args);
        sandbox.run("yamllint", &["--strict", "-d", rules, "."]).cwd(sandbox.hello("")).success();
    }
}

#[test]
fn what_is_shared_is_the_same_whatever_components_there_are() {
    let (plain, all) = (Sandbox::new(), everything(&[]));
    plain.new_hello(&["--ingress", "hello.example.com", "--tls"]).success();
    for file in [
        "README.md",
        "Makefile",
        ".gitlab-ci.yml",
        ".gitlab/production.yml",
        ".gitattributes",
        ".gitignore",
    ] {
        assert_eq!(read(&plain, file), read(&all, file), "{file}");
    }
    let scripts = super::support::files_below(&plain.hello("scripts"));
    for file in scripts.iter().map(|file| format!("scripts/{file}")) {
        assert_eq!(read(&plain, &file), read(&all, &file), "{file}");
    }
}

#[test]
fn a_project_may_be_a_cronjob_alone_in_several_environments() {
    let sandbox = Sandbox::new();
    let args = [
        "--workload",
        "cronjob",
        "--schedule",
        " 0  3 * * 1-5 ",
        "--env",
        "staging",
        "--env",
        "production",
    ];
    sandbox.new_hello(&[&args[..], &["--arg", "--all", "--arg=-v"]].concat()).success();
    let overlay = read(&sandbox, "kubernetes/overlays/staging/kustomization.yaml");
    assert!(!overlay.contains("replicas:"), "{overlay}");
    let cronjob = strict::<CronJob>(&read(&sandbox, "kubernetes/base/cronjob.yaml"));
    assert_eq!(cronjob["spec"]["schedule"], "0 3 * * 1-5");
    let container = &cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"], json!(["--all", "-v"]));
    let args = ["env", "add", "qa", "hello-infra", "--yes", "--commit"];
    sandbox.makeinfra(&args).success();
    sandbox.makeinfra(&["check", "hello-infra", "--strict"]).success();
    sandbox.makeinfra(&["env", "add", "qb", "hello-infra", "--yes", "--replicas", "2"]).failure(2);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let sandbox = Sandbox::new();
    let cronjob = ["--workload", "cronjob", "--schedule", "@daily"];
    let no_port = ["--port", "none"];
    for (base, args, said) in [
        (&["--workload", "cronjob"][..], &[][..], "required answers are missing"),
        (&[], &["--schedule", "@daily"], "`--schedule` requires `--workload cronjob`"),
        (
            &["--workload", "job"],
            &["--schedule", "@daily"],
            "`--schedule` requires `--workload cronjob`",
        ),
        (&[], &["--time-zone", "Etc/UTC"], "`--time-zone` requires `--workload cronjob`"),
        (&cronjob, &["--port", "80"], "`--port` requires `--workload deployment`"),
        (&cronjob, &["--replicas", "2"], "`--replicas` requires `--workload deployment`"),
        (
            &["--workload", "job"],
            &["--ingress", "a.example.com"],
            "`--ingress` requires `--workload deployment`",
        ),
        (
            &["--workload", "job"],
            &["--health-path", "/up"],
            "`--health-path` requires `--workload deployment`",
        ),
        (&["--workload", "job"], &["--tls"], "`--tls` requires `--workload deployment`"),
        (
            &no_port,
            &["--ingress", "a.example.com"],
            "`--ingress` requires a port, but `--port` is none",
        ),
        (&no_port, &["--health-path", "/up"], "`--health-path` requires a port"),
        (&[], &["--tls"], "`--tls` requires `--ingress`"),
        (&[], &["--tls-issuer", "le"], "`--tls-issuer` requires `--ingress`"),
        (
            &cronjob,
            &["--env", "a", "--replicas", "a=1"],
            "`--replicas` requires `--workload deployment`",
        ),
        (&no_port, &["--env", "a", "--ingress", "a=b.c"], "`--ingress` requires a port"),
        (
            &["--secret-name", "hello-tls"],
            &["--tls", "--ingress", "b.c"],
            "`--secret-name` must not be the name of an Ingress",
        ),
    ] {
        refused(&sandbox, sandbox.new_without_token(&[base, args].concat()), 2, said);
    }
    let long = "a".repeat(53);
    let args = ["new", &long, "--image", IMAGE, "--no-token"];
    refused(
        &sandbox,
        sandbox.makeinfra(&[&args[..], &cronjob].concat()),
        2,
        "at most 52 characters",
    );
    let args = ["new", "default", "--image", IMAGE, "--no-token", "--service-account"];
    refused(&sandbox, sandbox.makeinfra(&args), 2, "must not be `default`");
}

#[test]
fn values_that_no_cluster_takes_are_refused_and_not_quoted() {
    let sandbox = Sandbox::new();
    let marker = super::support::TOKEN;
    let cronjob = ["--workload", "cronjob", "--schedule"];
    for (args, said) in [
        (&["--workload", "daemon"][..], "`--workload` must be one of: deployment, cronjob, job"),
        (&["--workload", "cronjob", "--schedule", "99 3 * * *"], "minutes (0 to 59)"),
        (&["--workload", "cronjob", "--schedule", marker], "five fields"),
        (
            &[&cronjob[..], &["@daily", "--time-zone", "Local"]].concat(),
            "`--time-zone` must be an IANA time zone",
        ),
        (
            &["--tls-issuer", "A B", "--ingress", "b.c"],
            "`--tls-issuer` must be the name of a ClusterIssuer",
        ),
        (&["--arg", marker], "`--arg` must not contain a token"),
        (&["--arg", "two\nlines"], "`--arg` must be at most 100 arguments of one line"),
        (&["--port", "nobody"], "`--port` must be a port (1 to 65535) or none"),
    ] {
        let output = refused(&sandbox, sandbox.new_without_token(args), 2, said);
        assert!(!output.stderr.contains(marker), "{}", output.stderr);
    }
    for (line, said) in [
        ("args: [1]", "`args` must be a list of strings"),
        ("args: work", "`args` must be a list of strings"),
        ("workload: [job]", "`workload` must be a string"),
        ("tls: 1", "`tls` must be yes or no"),
        ("components: {worker: {schedule: '@never'}}", "`schedule` must be a cron schedule"),
        ("components: {n: {workload: cronjob}}", "`components.n.schedule` is missing"),
        (
            "components: {n: {workload: job, port: 80}}",
            "`components.n.port` requires `--workload deployment`",
        ),
        ("components: {n: {port: none, ingress: a.b}}", "`components.n.ingress` requires a port"),
        ("components: {worker: {prot: 1}}", "`components.worker` contains the unknown name `prot`"),
        ("components: {Foo: {}}", "a name in `components` must consist of"),
        ("components: [a]", "`components` must be a mapping"),
        (
            "environments: {staging: {port: 3}}",
            "`environments.staging` contains the unknown name `port`",
        ),
        ("components: {hello: {port: null}}", "the name of a component must be different"),
    ] {
        let file =
            sandbox.write("answers.yaml", format!("project: hello\nimage: {IMAGE}\n{line}\n"));
        let file = file.display().to_string();
        let run = sandbox.makeinfra(&["new", "--answers", &file, "--no-token"]);
        refused(&sandbox, run, 2, said);
    }
}

#[test]
fn a_file_of_settings_is_read_as_kustomize_reads_it() {
    let sandbox = Sandbox::new();
    let token = super::support::TOKEN;
    for (text, said) in [
        ("A=1\nB\n".to_owned(), "line 2: it has no `=`"),
        ("A B=secret words\n".into(), "line 1: the text before `=` is not a variable name"),
        (format!("A=1\nB={token}\n"), "line 2: it contains what looks like a GitLab token"),
        (String::new(), "it contains no line KEY=VALUE"),
    ] {
        let file = sandbox.write("app.env", &text).display().to_string();
        let output = refused(&sandbox, sandbox.new_without_token(&["--config", &file]), 2, said);
        assert!(
            !output.stderr.contains(token) && !output.stderr.contains("secret words"),
            "{}",
            output.stderr
        );
        output.says("cannot use the `--config` file");
    }
    let run = sandbox.new_without_token(&["--config", "none.env"]);
    refused(&sandbox, run, 2, "`--config` file not found: `none.env`");
    let file =
        sandbox.write("app.env", "DB_PASSWORD=hunter2\nSECRET_KEY=x\n").display().to_string();
    let output = sandbox.new_without_token(&["--config", &file]).success();
    output.says("if `DB_PASSWORD`, `SECRET_KEY` must stay secret").says("makeinfra secret set");
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
}

#[test]
fn defaults_of_the_config_file_are_for_what_has_them() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "home/.config/makeinfra/config.yaml",
        "port: 3000\nreplicas: 4\nhealth-path: /up\ningress-domain: example.com\n",
    );
    sandbox.new_without_token(&["--workload", "job"]).success();
    let record = read(&sandbox, ".makeinfra.yaml");
    for none in ["port", "replicas", "health-path", "ingress"] {
        assert!(!record.contains(none), "{record}");
    }
    fs::remove_dir_all(sandbox.hello("")).unwrap();
    sandbox.new_without_token(&["--port", "none"]).success();
    let record = read(&sandbox, ".makeinfra.yaml");
    assert!(
        record.contains("port: null\n  replicas: 4\n") && !record.contains("ingress"),
        "{record}"
    );
}

#[test]
fn a_dry_run_lists_the_files_of_every_component() {
    let sandbox = Sandbox::new();
    sandbox.write("app.env", "A=1\n");
    sandbox.write("worker.env", "A=1\n");
    let answers = sandbox.write("answers.yaml", ALL).display().to_string();
    let args = ["new", "--answers", &answers, "--no-token", "--dry-run", "--json"];
    let object = sandbox.makeinfra(&args).success().json();
    let paths: Vec<_> = object["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    for path in [
        "kubernetes/base/config.env",
        "kubernetes/base/nightly-cronjob.yaml",
        "kubernetes/base/migrate-job.yaml",
    ] {
        assert!(paths.contains(&path), "{paths:?}");
    }
    assert!(!sandbox.hello("").exists());
}
