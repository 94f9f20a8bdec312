//! `.gitlab-ci.yml`: validated with GitLab's own schema, and each job run by gitlab-ci-local with
//! the real git, git-crypt and make. kubectl is a stand-in here; `cluster/pipeline.rs` uses a real
//! cluster.

mod rotation;

use super::environments::with_environments;
use super::stand_in::{StandIn, arm, differs};
use super::support::{
    Output, Run, SECRET, Sandbox, all_objects, assert_no_token, cached, files_below, have,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A kubeconfig with a token of its own, which must not be printed.
const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
"users": [{"name": "u", "user": {"token": "gldt-Marker_7Qx9vWk2"}}],
"contexts": [{"name": "group/agents:one", "context": {"cluster": "c", "user": "u"}}, {"name": "other", "context": {"cluster": "c", "user": "u"}}]}"#;

/// A pipeline of the protected default branch.
const PROTECTED: &[&str] = &["CI_COMMIT_REF_PROTECTED=true"];

/// A scheduled pipeline.
const SCHEDULE: &[&str] = &["CI_COMMIT_REF_PROTECTED=true", "CI_PIPELINE_SOURCE=schedule"];

const MERGE_REQUEST: &[&str] = &["CI_PIPELINE_SOURCE=merge_request_event"];

/// What GitLab has: a locked clone of a generated repository, and variables.
pub struct GitLab<'s> {
    sandbox: &'s Sandbox,
    program: PathBuf,
    variables: Value,
}

impl<'s> GitLab<'s> {
    /// One with the key and `kubeconfig` as variables; `None` if gitlab-ci-local is missing.
    pub fn new(sandbox: &'s Sandbox, kubeconfig: &str) -> Option<Self> {
        let program = cached("gitlab-ci-local-4.61.1/node_modules/.bin/gitlab-ci-local")?;
        if !["git-crypt", "rsync", "kubectl"].into_iter().all(have) {
            return None;
        }
        sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
        let gitlab = Self { sandbox, program, variables: json!({}) };
        gitlab.git(&["remote", "set-url", "origin", "git@gitlab.com:group/hello-infra.git"]);
        let key = fs::read(sandbox.hello(".git/git-crypt/keys/default")).unwrap();
        Some(gitlab.file("KUBECONFIG", kubeconfig).file("GIT_CRYPT_KEY", &STANDARD.encode(key)))
    }

    /// Adds a variable of type File.
    pub fn file(mut self, name: &str, value: &str) -> Self {
        self.variables[name] = json!({"type": "file", "values": {"*": value}});
        self
    }

    /// Adds a variable of type Variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables[name] = json!({"type": "variable", "values": {"*": value}});
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.variables.as_object_mut().unwrap().remove(name);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.work("clone").join(name)
    }

    fn git(&self, args: &[&str]) -> Output {
        self.sandbox.run("git", args).cwd(self.path("")).success()
    }

    /// gitlab-ci-local with `args`, in a pipeline with these predefined variables.
    fn run(&self, pipeline: &[&str], args: &[&str]) -> Run {
        self.sandbox.write(
            "home/.gitlab-ci-local/variables.yml",
            json!({"global": self.variables}).to_string(),
        );
        let pipeline =
            pipeline.iter().flat_map(|variable| ["--variable", variable]).collect::<Vec<_>>();
        let shell = ["--force-shell-executor", "--json-schema-validation=false"];
        let run = self.sandbox.run(&self.program, &[&shell[..], &pipeline, args].concat());
        run.cwd(self.path("")).env("PATH", self.sandbox.own_path())
    }

    /// Runs one job, and expects that it leaves nothing behind and prints no secret.
    #[track_caller]
    pub fn job(&self, name: &str) -> Output {
        self.job_of(PROTECTED, name)
    }

    /// Like [`GitLab::job`], in another pipeline.
    #[track_caller]
    fn job_of(&self, pipeline: &[&str], name: &str) -> Output {
        let output = self.run(pipeline, &[name]).output();
        let key = fs::read(self.sandbox.hello(".git/git-crypt/keys/default")).unwrap();
        let key = STANDARD.encode(&key[60..84]);
        for text in [&output.stdout, &output.stderr] {
            assert_no_token(text.as_bytes(), "the log");
            assert!(!text.contains(&key), "the key is in the log: {text}");
        }
        let files = files_below(&self.path("secrets"));
        let secrets: Vec<_> = files.iter().filter(|path| path.ends_with(".secret.yaml")).collect();
        assert!(!secrets.is_empty());
        for path in secrets {
            let text = fs::read(self.path("secrets").join(path)).unwrap();
            assert!(text.starts_with(b"\0GITCRYPT\0"), "{path} is plain: {output:?}");
        }
        assert!(!self.path(".git/git-crypt/keys/default").exists(), "the key is left: {output:?}");
        let filter = ["config", "--get", "filter.git-crypt.clean"];
        assert_eq!(
            self.sandbox.run("git", &filter).cwd(self.path("")).output().code,
            Some(1),
            "a filter is left"
        );
        assert_no_token(&all_objects(self.sandbox, &self.path("")), "the objects");
        assert_eq!(self.git(&["status", "--porcelain", "--untracked-files=no"]).stdout, "");
        output
    }

    #[track_caller]
    pub fn passes(&self, job: &str) -> Output {
        let output = self.job(job);
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
        output
    }

    /// Expects that the job fails and says `text`.
    #[track_caller]
    pub fn fails(&self, job: &str, text: &str) {
        let output = self.job(job);
        assert_eq!(output.code, Some(1), "{}{}", output.stdout, output.stderr);
        assert!(
            (output.stdout.clone() + &output.stderr).contains(text),
            "no `{text}`: {}{}",
            output.stdout,
            output.stderr
        );
    }

    /// The jobs of a pipeline, as `name when`.
    fn jobs(&self, pipeline: &[&str]) -> Vec<String> {
        let list = self.run(pipeline, &["--list-csv"]).success().stdout;
        let jobs = list
            .lines()
            .filter(|line| line.contains("on_success") || line.contains("manual"))
            .map(|line| line.split(';').collect::<Vec<_>>());
        jobs.map(|fields| format!("{} {}", fields[0], fields[3])).collect()
    }
}

/// A parsed file of the pipeline.
fn parsed(sandbox: &Sandbox, file: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(sandbox.hello(file)).unwrap()).unwrap()
}

/// The scripts of every job of `.gitlab-ci.yml`, joined as by the runner.
fn scripts(sandbox: &Sandbox) -> Vec<(String, String)> {
    let pipeline = parsed(sandbox, ".gitlab-ci.yml");
    let default = &pipeline["default"]["before_script"];
    let lines = |script: &Value| -> String {
        let lines = script.as_array().into_iter().flatten();
        lines.map(|line| format!("{}\n", line.as_str().unwrap().trim_end())).collect()
    };
    let mut scripts = Vec::new();
    for (name, job) in pipeline.as_object().unwrap() {
        let before = job.get("before_script").unwrap_or(default);
        if job.get("script").or(job.get("before_script")).is_some() {
            let script = lines(before) + &job.get("script").map(lines).unwrap_or_default();
            scripts.push((name.clone(), script));
        }
        if let Some(after) = job.get("after_script") {
            scripts.push((format!("{name} after"), lines(after)));
        }
    }
    scripts
}

#[test]
fn gitlabs_schema_accepts_it() {
    let Some(checker) = cached("check-jsonschema-0.39.0/bin/check-jsonschema") else { return };
    for args in [&[][..], &["--ingress", "hello.example.com"], &["--ingress", "*.example.com"]] {
        let sandbox = Sandbox::new();
        sandbox.new_without_token(args).success();
        let schema =
            ["--builtin-schema", "vendor.gitlab-ci", ".gitlab-ci.yml", ".gitlab/production.yml"];
        sandbox.run(&checker, &schema).cwd(sandbox.hello("")).success();
    }
}

#[test]
fn linters_find_nothing_in_the_scripts_of_the_jobs() {
    let sandbox = Sandbox::with_hello();
    let scripts = scripts(&sandbox);
    let names: Vec<_> = scripts.iter().map(|(name, _)| name.as_str()).collect();
    let jobs = [".unlocked", ".unlocked after", "check-expiry", ".cluster"];
    assert_eq!(names, [&["default", "check"][..], &jobs].concat());
    for (name, script) in scripts {
        for (linter, args) in
            [("shellcheck", &["--shell=sh", "-"][..]), ("dash", &["-n"]), ("bash", &["-n"])]
        {
            if have(linter) {
                let output = sandbox.run(linter, args).stdin(&script).output();
                assert_eq!(
                    (output.code, output.stdout + &output.stderr),
                    (Some(0), String::new()),
                    "{name}: {linter}"
                );
            }
        }
    }
}

#[test]
fn the_environment_has_the_address_of_the_ingress() {
    let (host, tls) =
        (["--ingress", "hello.example.com"], ["--tls", "--ingress", "hello.example.com"]);
    for (args, url) in [
        (&host[..], Some("http://hello.example.com")),
        (&tls, Some("https://hello.example.com")),
        (&["--ingress", "*.example.com"], None),
    ] {
        let sandbox = Sandbox::new();
        sandbox.new_without_token(args).success();
        let environment =
            &parsed(&sandbox, ".gitlab/production.yml")["deploy-production"]["environment"];
        assert_eq!(environment["name"], "production");
        assert_eq!(environment.get("url").and_then(|url| url.as_str()), url);
    }
}

#[test]
fn an_environment_may_be_called_like_a_boolean() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&["--env", "on", "--env", "production"]).success();
    // GitLab reads YAML 1.1, in which a plain `on` is `true`.
    let text = fs::read_to_string(sandbox.hello(".gitlab/on.yml")).unwrap();
    assert_eq!(text.matches(": 'on'\n").count() + text.matches(": \"on\"\n").count(), 3, "{text}");
    let text = fs::read_to_string(sandbox.hello(".gitlab/production.yml")).unwrap();
    assert!(text.contains("resource_group: production\n"));
}

#[test]
fn the_files_of_two_environments_differ_in_values_alone() {
    let sandbox = with_environments(&["--protect", "staging", "--protect", "production"]);
    let read =
        |name: &str| fs::read_to_string(sandbox.hello(&format!(".gitlab/{name}.yml"))).unwrap();
    assert_eq!(read("staging").replace("staging", "production"), read("production"));
    assert!(read("staging").contains("make deploy ENV=staging CONTEXT=\"$KUBE_CONTEXT\" YES=1\n"));
}

#[test]
fn a_record_that_says_nothing_of_ci_has_no_pipeline() {
    let sandbox = Sandbox::with_hello();
    let record = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    let without = record.replace("  ci: gitlab\n", "");
    assert_ne!(without, record);
    fs::write(sandbox.hello(".makeinfra.yaml"), &without).unwrap();
    sandbox.rotate("gldt-new", &[]).success();
    assert_eq!(fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap(), without);
    let answers = makeinfra::answers::Record::parse(without).unwrap().answers;
    assert_eq!(answers.ci, makeinfra::answers::Ci::None);
}

#[test]
fn each_kind_of_pipeline_has_its_jobs() {
    let cluster = StandIn::new();
    let Some(gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    let (check, diff) = ("check on_success", "diff-production on_success");
    assert_eq!(gitlab.jobs(PROTECTED), [check, diff, "deploy-production manual"]);
    assert_eq!(gitlab.jobs(&["CI_COMMIT_REF_PROTECTED=false"]), [check, diff]);
    let scheduled = [check, "check-expiry on_success"];
    assert_eq!(gitlab.jobs(SCHEDULE), scheduled);
    gitlab.git(&["switch", "-q", "-c", "feature"]);
    assert_eq!(gitlab.jobs(&[]), [check]);
    assert_eq!(gitlab.jobs(SCHEDULE), scheduled);
    // A merge request only gets the variable if it is not protected.
    assert_eq!(gitlab.jobs(MERGE_REQUEST), [check, diff]);
    let gitlab = gitlab.without("GIT_CRYPT_KEY");
    assert_eq!(gitlab.jobs(MERGE_REQUEST), [check]);
    assert_eq!(gitlab.jobs(SCHEDULE), [check]);
}

#[test]
fn a_schedule_deploys_nothing_where_every_push_deploys() {
    let sandbox = with_environments(&[]);
    let Some(gitlab) = GitLab::new(&sandbox, KUBECONFIG) else { return };
    assert!(gitlab.jobs(PROTECTED).contains(&"deploy-staging on_success".to_owned()));
    assert_eq!(gitlab.jobs(SCHEDULE), ["check on_success", "check-expiry on_success"]);
}

#[test]
fn a_schedule_fails_before_a_token_ends_and_needs_no_cluster() {
    for (date, code, text) in [
        ("never", 0, "gitlab.secret.yaml: expires-at never"),
        ("2020-01-01", 1, "gitlab.secret.yaml: expires-at 2020-01-01, not after "),
    ] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(&["--expires-at", date]).success();
        let Some(gitlab) = GitLab::new(&sandbox, KUBECONFIG) else { return };
        let output = gitlab.without("KUBECONFIG").job_of(SCHEDULE, "check-expiry");
        assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
        output.prints(text);
        if code != 0 {
            let said = output.stdout + &output.stderr;
            assert!(said.contains("hint: makeinfra rotate"), "{said}");
        }
    }
}

#[test]
fn of_a_branch_and_its_merge_request_one_has_a_pipeline() {
    let sandbox = Sandbox::with_hello();
    let Some(gitlab) = GitLab::new(&sandbox, KUBECONFIG) else { return };
    // gitlab-ci-local ignores workflow rules but respects those of a job, so they are moved to one.
    let text = fs::read_to_string(gitlab.path(".gitlab-ci.yml")).unwrap();
    let pipeline: Value = serde_yaml::from_str(&text).unwrap();
    let starts = json!({"starts": {"script": ["true"], "rules": pipeline["workflow"]["rules"]}});
    fs::write(gitlab.path(".gitlab-ci.yml"), starts.to_string()).unwrap();
    let open: &[&str] = &["CI_OPEN_MERGE_REQUESTS=group/hello-infra!1"];
    let yes = ["starts on_success"];
    assert_eq!(gitlab.jobs(&[]), yes);
    assert_eq!(gitlab.jobs(open), yes, "the default branch deploys, whatever is merged from it");
    gitlab.git(&["switch", "-q", "-c", "feature"]);
    assert_eq!(gitlab.jobs(&[]), yes);
    assert_eq!(gitlab.jobs(&[open, MERGE_REQUEST].concat()), yes);
    assert_eq!(gitlab.jobs(open), [""; 0]);
}

#[test]
fn check_passes_and_fails_with_plaintext_or_broken_manifests() {
    let sandbox = Sandbox::with_hello();
    let Some(gitlab) = GitLab::new(&sandbox, KUBECONFIG) else { return };
    let gitlab = gitlab.without("KUBECONFIG").without("GIT_CRYPT_KEY");
    gitlab.run(&[], &["check"]).success();
    fs::write(gitlab.path("secrets/plain"), "plain").unwrap();
    gitlab.git(&["add", "secrets/plain"]);
    let output = gitlab.run(&[], &["check"]).failure(1);
    assert!((output.stdout + &output.stderr).contains("plaintext in the index: secrets/plain"));
    gitlab.git(&["rm", "-q", "-f", "secrets/plain"]);
    gitlab.git(&["rm", "-q", "kubernetes/base/service.yaml"]);
    gitlab.run(&[], &["check"]).failure(1);
}

#[test]
fn check_builds_every_overlay_without_the_key() {
    let sandbox = with_environments(&[]);
    let set = [
        "secret",
        "set",
        "database",
        "PASSWORD",
        "--all-environments",
        "--commit",
        "--from-file",
        "../../token",
    ];
    sandbox.makeinfra(&set).cwd(sandbox.hello("")).success();
    let Some(gitlab) = GitLab::new(&sandbox, KUBECONFIG) else { return };
    let gitlab = gitlab.without("KUBECONFIG").without("GIT_CRYPT_KEY");
    gitlab.run(&[], &["check"]).success();
    for name in ["staging", "production"] {
        let file = gitlab.path(&format!("kubernetes/overlays/{name}/kustomization.yaml"));
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}patches:\n  - path: missing.yaml\n")).unwrap();
        gitlab.git(&["add", "kubernetes"]);
        gitlab.run(&[], &["check"]).failure(1);
        fs::write(&file, text).unwrap();
        gitlab.git(&["add", "kubernetes"]);
    }
    gitlab.run(&[], &["check"]).success();
}

#[test]
fn differences_pass_and_a_failed_diff_does_not() {
    let cluster = StandIn::new();
    let Some(gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    gitlab.passes("diff-production");
    cluster.answers(&[differs("diff*--kustomize", "+  replicas: 3")]);
    assert!(gitlab.passes("diff-production").stdout.contains("+  replicas: 3"));
    cluster.answers(&[arm("diff*--kustomize", "Error from server: no", ">&2; exit 2")]);
    gitlab.fails("diff-production", "Error from server: no");
    cluster.saw_no_token();
}

#[test]
fn deploy_unlocks_and_locks_again_and_closes_the_secret_to_others() {
    let cluster = StandIn::new();
    let Some(gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    // From the first call on, before make itself sets the mode.
    cluster.answers(&[format!("*'config view'*output*) stat -c 'mode %a' {SECRET} ;;\n")]);
    let output = gitlab.passes("deploy-production");
    for line in ["context mode 600", "successfully rolled out"] {
        assert!(output.stdout.contains(line), "no `{line}`: {}", output.stdout);
    }
    cluster.saw_no_token();
    cluster.answers(&[arm("rollout status", "error: timed out", ">&2; exit 1")]);
    gitlab.fails("deploy-production", "hint: makeinfra diagnose");
}

#[test]
fn the_key_may_have_line_breaks_of_any_kind() {
    let cluster = StandIn::new();
    for line_break in ["\n", "\r\n"] {
        let sandbox = &cluster.sandbox;
        let _ = fs::remove_dir_all(sandbox.work("clone"));
        let Some(gitlab) = GitLab::new(sandbox, KUBECONFIG) else { return };
        let key = gitlab.variables["GIT_CRYPT_KEY"]["values"]["*"].as_str().unwrap().to_owned();
        let (first, second) = key.split_at(76);
        gitlab
            .file("GIT_CRYPT_KEY", &[first, second, ""].join(line_break))
            .passes("diff-production");
    }
}

#[test]
fn a_key_that_does_not_open_the_repository_is_refused() {
    let cluster = StandIn::new();
    let Some(mut gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    let other = Sandbox::with_hello();
    let other = STANDARD.encode(fs::read(other.hello(".git/git-crypt/keys/default")).unwrap());
    gitlab = gitlab.file("GIT_CRYPT_KEY", &other);
    gitlab.fails("deploy-production", "error: GIT_CRYPT_KEY is the key of another repository");
    for wrong in ["no base64!", "AAAA", &other[..40]] {
        gitlab = gitlab.file("GIT_CRYPT_KEY", wrong);
        gitlab.fails("deploy-production", "error: GIT_CRYPT_KEY is not a git-crypt key in base64");
    }
    gitlab = gitlab.variable("GIT_CRYPT_KEY", "no file");
    gitlab.fails("deploy-production", "error: GIT_CRYPT_KEY is not a variable of type File");
    cluster.was_left_alone();
}

#[test]
fn the_key_is_not_blamed_for_what_is_not_its_fault() {
    let cluster = StandIn::new();
    let Some(gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    let (_, script) =
        scripts(&cluster.sandbox).into_iter().find(|(name, _)| name == ".cluster").unwrap();
    let key = gitlab.variables["GIT_CRYPT_KEY"]["values"]["*"].as_str().unwrap();
    let key = cluster.sandbox.write_private("key.base64", key);
    let kubeconfig = cluster.sandbox.write_private("kubeconfig", KUBECONFIG);
    let unlock = |owner: &str| {
        let run = cluster.sandbox.run("sh", &["-ec", &script]).cwd(gitlab.path(""));
        let run = run
            .env("PATH", cluster.sandbox.own_path())
            .env("GIT_TEST_ASSUME_DIFFERENT_OWNER", owner);
        run.env("GIT_CRYPT_KEY", &key).env("KUBECONFIG", &kubeconfig)
    };
    let blames_no_key = |output: &Output, cause: &str| {
        output.says(cause).says("error: git-crypt cannot unlock secrets/; its message is above");
        assert!(!output.stderr.contains("GIT_CRYPT_KEY"), "{}", output.stderr);
    };
    blames_no_key(&unlock("1").failure(1), "dubious ownership");
    let readme = fs::read_to_string(gitlab.path("README.md")).unwrap();
    fs::write(gitlab.path("README.md"), "edited").unwrap();
    blames_no_key(&unlock("0").failure(1), "Working directory not clean");
    fs::write(gitlab.path("README.md"), readme).unwrap();
    unlock("0").success();
}

/// Makes `kubectl config` the real one.
fn real_config(sandbox: &Sandbox) -> String {
    let real = sandbox.run("sh", &["-c", "command -v kubectl"]).success().stdout;
    format!("*'config '*) exec {} \"$@\" ;;\n", real.trim())
}

#[test]
fn no_cluster_is_met_by_accident() {
    let cluster = StandIn::new();
    let Some(gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    cluster.answers(&[real_config(&cluster.sandbox)]);
    // The runner's user has a cluster, as with the shell executor.
    let own = KUBECONFIG.replace("\"kind\"", "\"current-context\": \"other\", \"kind\"");
    cluster.sandbox.write("home/.kube/config", &own);
    let none_chosen = "hint: set the variable KUBE_CONTEXT to one of these:";
    gitlab.fails("deploy-production", none_chosen);
    let gitlab = gitlab.variable("KUBE_CONTEXT", "another");
    gitlab.fails("deploy-production", none_chosen);
    let no_file = "error: KUBECONFIG is not a variable of type File";
    let gitlab = gitlab.variable("KUBECONFIG", KUBECONFIG);
    gitlab.fails("deploy-production", no_file);
    let gitlab = gitlab.without("KUBECONFIG").variable("KUBE_CONTEXT", "other");
    gitlab.fails("deploy-production", no_file);
    let calls = cluster.steps();
    assert!(calls.iter().all(|step| step.starts_with("config ")), "{calls:?}");
    gitlab.file("KUBECONFIG", KUBECONFIG).passes("deploy-production");
    let calls = cluster.calls();
    assert!(calls.iter().any(|call| call.contains(&"apply".to_owned())), "{calls:?}");
}

#[test]
fn every_call_names_the_chosen_context() {
    let cluster = StandIn::new();
    let Some(gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    gitlab.variable("KUBE_CONTEXT", "group/agents:one two").passes("deploy-production");
    let calls = cluster.calls();
    assert!(calls.len() > 8, "{calls:?}");
    let named = |call: &Vec<String>| call.contains(&"--context=group/agents:one two".to_owned());
    assert!(calls.iter().all(named), "{calls:?}");
}

#[test]
fn each_environment_has_jobs_of_its_own() {
    let cluster = StandIn { sandbox: with_environments(&["--context", "production=prod"]) };
    cluster.answers(&[]);
    let Some(gitlab) = GitLab::new(&cluster.sandbox, KUBECONFIG) else { return };
    let check = "check on_success";
    let diffs = ["diff-production on_success", "diff-staging on_success"];
    let deploys = ["deploy-production manual", "deploy-staging on_success"];
    assert_eq!(gitlab.jobs(PROTECTED), [&[check][..], &diffs, &deploys].concat());
    assert_eq!(gitlab.jobs(&["CI_COMMIT_REF_PROTECTED=false"]), [&[check][..], &diffs].concat());
    gitlab.run(PROTECTED, &["check"]).success();
    for name in ["staging", "production"] {
        gitlab.run(PROTECTED, &[&format!("diff-{name}")]).success();
        cluster.answers(&[]);
        gitlab.run(PROTECTED, &[&format!("deploy-{name}")]).success();
        let steps = cluster.steps();
        assert!(steps.contains(&format!("apply kubernetes/overlays/{name}")), "{steps:?}");
        // The Makefile's context is for users; a job uses the one from GitLab.
        assert!(cluster.calls().iter().flatten().all(|word| !word.starts_with("--context")));
        let secret = gitlab.path(&format!("secrets/kubernetes/{name}/gitlab.secret.yaml"));
        assert!(fs::read(secret).unwrap().starts_with(b"\0GITCRYPT\0"), "it is locked again");
    }
    cluster.saw_no_token();
}

/// Runs the preparation of every job on a machine with only these programs.
fn prepare(sandbox: &Sandbox, programs: &[&str]) -> Run {
    let (_, script) = scripts(sandbox).into_iter().find(|(name, _)| name == "default").unwrap();
    let path = super::new::path_of(sandbox, programs);
    let own = sandbox.path("bin").display().to_string();
    sandbox
        .run("/bin/sh", &["-ec", &script])
        .cwd(sandbox.hello(""))
        .env("PATH", format!("{own}:{path}"))
}

#[test]
fn what_is_missing_is_installed_only_where_nothing_outlives_the_job() {
    let sandbox = Sandbox::with_hello();
    sandbox.write_program("apt-get", "#!/bin/sh\necho \"$*\" >>\"${0%/*}/calls\"\n");
    let programs = ["sh", "git", "make"];
    let output = prepare(&sandbox, &programs).failure(1);
    output.says("error: this runner lacks git-crypt kubectl");
    assert!(!sandbox.path("bin/calls").exists());
    sandbox.write_program("kubectl", "#!/bin/sh\n");
    prepare(&sandbox, &programs).env("CI_DISPOSABLE_ENVIRONMENT", "true").success();
    let calls = fs::read_to_string(sandbox.path("bin/calls")).unwrap();
    let install = "install -qq --no-install-recommends ca-certificates git git-crypt kubectl make";
    assert_eq!(calls.lines().collect::<Vec<_>>(), ["update -qq", install]);
    sandbox.write_program("git-crypt", "#!/bin/sh\n");
    fs::remove_file(sandbox.path("bin/calls")).unwrap();
    prepare(&sandbox, &programs).env("CI_DISPOSABLE_ENVIRONMENT", "true").success();
    assert!(!sandbox.path("bin/calls").exists(), "all was there");
}

#[test]
fn an_image_without_apt_get_is_told_what_it_lacks() {
    let sandbox = Sandbox::with_hello();
    let run = prepare(&sandbox, &["sh", "git", "make"]).env("CI_DISPOSABLE_ENVIRONMENT", "true");
    run.failure(1)
        .says("error: this image lacks git-crypt kubectl and has no apt-get to install it");
}
