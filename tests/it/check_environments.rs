//! `makeinfra check` compares Makefile, overlays and `.makeinfra.yaml`, and finds environments that
//! share a host.

use super::check::{Checked, check};
use super::hints_typed::typed;
use super::support::Sandbox;
use std::fs;

const STAGING: &str = "kubernetes/overlays/staging/kustomization.yaml";

/// A repository with the environments `staging` and `production`, each with its own host.
fn two(args: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let both = ["--env", "staging", "--env", "production", "--ingress", "hello.example.org"];
    sandbox.new_hello(&[&both[..], args].concat()).success();
    sandbox
}

/// The findings after replacing `old` in a file of a good repository.
#[track_caller]
fn edited(file: &str, old: &str, new: &str) -> Checked {
    let sandbox = two(&[]);
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
    sandbox.edit(file, old, new);
    check(&sandbox, &[])
}

#[test]
fn each_difference_is_named_with_its_file() {
    let mk = "kubernetes/overlays/staging/environment.mk";
    for (file, old, new, subject, message) in [
        (mk, "NAMESPACE := hello-staging", "NAMESPACE := hello", mk, "`make deploy` will refuse"),
        (mk, "SECRETS   := secrets/kubernetes/staging", "SECRETS   :=", mk, "names no directory"),
        (
            mk,
            "SECRETS   := secrets/kubernetes/staging",
            "SECRETS   := secrets/kubernetes",
            STAGING,
            "`../../../secrets/kubernetes`",
        ),
        (
            mk,
            "PROTECTED :=",
            "PROTECTED := yes",
            ".makeinfra.yaml",
            "records `staging` as unprotected",
        ),
        (STAGING, "  - ../../../secrets/kubernetes/staging\n", "", STAGING, "no pull secret"),
        (
            STAGING,
            "makeinfra/environment: staging",
            "makeinfra/environment: production",
            STAGING,
            "makeinfra/environment: staging",
        ),
        (
            STAGING,
            "makeinfra/project: hello",
            "makeinfra/project: other",
            STAGING,
            "makeinfra/project: hello",
        ),
        (
            ".makeinfra.yaml",
            "namespace: hello-staging",
            "namespace: hello-stage",
            ".makeinfra.yaml",
            "`hello-stage`",
        ),
        (
            ".makeinfra.yaml",
            "secrets: secrets/kubernetes/staging",
            "secrets: secrets/kubernetes",
            ".makeinfra.yaml",
            "secrets directory",
        ),
        (
            "Makefile",
            "makeinfra/project=hello",
            "makeinfra/project=other",
            "Makefile",
            "`makeinfra/project=hello`",
        ),
        (
            "Makefile",
            "kubernetes/overlays/*/environment.mk",
            "environments.mk",
            "Makefile",
            "does not list environments",
        ),
    ] {
        let checked = edited(file, old, new);
        let said = checked.messages("environments-agree");
        assert!(checked.problems().contains(&"environments-agree"), "{file}: {new}: {said}");
        assert!(
            said.contains(&format!("{subject}: ")) && said.contains(message),
            "{file}: {new}: {said}"
        );
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    for (file, why) in [
        (STAGING, "lists the environment `staging`"),
        ("kubernetes/overlays/staging/environment.mk", "the Makefile cannot find the environment"),
        (".gitlab/staging.yml", "the pipeline does not deploy the environment"),
    ] {
        let sandbox = two(&[]);
        let whole = fs::read_to_string(sandbox.hello(file)).unwrap();
        for is_committed in [false, true] {
            fs::remove_file(sandbox.hello(file)).unwrap();
            if is_committed {
                sandbox.git(&["commit", "-qam", "Remove it"]).success();
            }
            let said = check(&sandbox, &[]).messages("environments-agree");
            assert!(
                said.contains(&format!("{file}: file is missing: ")) && said.contains(why),
                "{said}"
            );
            // The hint works.
            let hint = said.split_once('(').unwrap().1.trim_end().trim_end_matches(')').to_owned();
            typed(&sandbox, &format!("{hint}{}", if is_committed { " --yes" } else { "" }))
                .success();
            assert_eq!(fs::read_to_string(sandbox.hello(file)).unwrap(), whole);
            let again = check(&sandbox, &[]);
            assert!(!again.problems().contains(&"environments-agree"), "{file}");
        }
    }
    let sandbox = two(&["--ci", "none"]);
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
}

#[test]
fn another_way_to_write_a_path_is_no_difference() {
    let sandbox = two(&[]);
    sandbox.edit(STAGING, "- ../../../secrets/", "- ./../../../secrets/");
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
}

#[test]
fn an_overlay_that_is_not_recorded_is_a_warning() {
    let sandbox = two(&[]);
    let qa = sandbox.hello("kubernetes/overlays/qa");
    fs::create_dir(&qa).unwrap();
    fs::copy(sandbox.hello(STAGING), qa.join("kustomization.yaml")).unwrap();
    sandbox.git(&["add", "-A"]).success();
    let checked = check(&sandbox, &[]);
    assert_eq!((checked.code, checked.warnings()), (Some(0), vec!["environments-agree"]));
    assert!(checked.messages("environments-agree").contains("makeinfra env add qa"));
}

#[test]
fn two_environments_with_one_host_are_a_problem_in_one_cluster() {
    let (own, other) = ("value: staging.hello.example.org", "value: hello.example.org");
    let checked = edited(STAGING, own, other);
    assert_eq!(checked.problems(), ["hosts-differ"]);
    let said = checked.messages("hosts-differ");
    assert!(said.contains("`hello.example.org`") && said.contains("production"), "{said}");
    // Without the patch, the host is that of the base.
    let sandbox = two(&[]);
    let text = fs::read_to_string(sandbox.hello(STAGING)).unwrap();
    fs::write(sandbox.hello(STAGING), &text[..text.find("patches:").unwrap()]).unwrap();
    assert_eq!(check(&sandbox, &[]).problems(), ["hosts-differ"]);
    // In different clusters they do not conflict.
    let sandbox = two(&["--context", "staging=one", "--context", "production=two"]);
    sandbox.edit(STAGING, own, other);
    let checked = check(&sandbox, &[]);
    assert_eq!((checked.problems(), checked.warnings()), (vec![], vec!["hosts-differ"]));
}

/// The base's Deployment with variables from the Secret `login`.
fn with_login(sandbox: &Sandbox) {
    let file = "kubernetes/base/deployment.yaml";
    sandbox.edit(
        file,
        "          image: ",
        "          envFrom: [{secretRef: {name: login}}]\n          image: ",
    );
}

#[test]
fn a_secret_that_one_environment_lacks_is_a_problem() {
    let sandbox = two(&[]);
    with_login(&sandbox);
    let found = check(&sandbox, &[]);
    assert_eq!((found.problems(), found.warnings()), (vec![], vec!["secrets-used"]));
    assert!(found.messages("secrets-used").contains("which no file of the environment"));
    for environment in ["production", "staging"] {
        let lacking = check(&sandbox, &[]);
        let set = ["secret", "set", "login", "PASSWORD", "--stdin", "--env", environment];
        sandbox.makeinfra(&set).cwd(sandbox.hello("")).stdin("value").success();
        if environment == "staging" {
            assert_eq!(lacking.problems(), ["secrets-used"]);
            let said = lacking.messages("secrets-used");
            assert!(said.contains("which exists in production but not in staging"), "{said}");
        }
    }
    sandbox.git(&["add", "-A"]).success();
    let found = check(&sandbox, &["--strict"]);
    assert_eq!((found.problems(), found.warnings()), (vec![], vec![]));
    // An optional Secret may be missing.
    sandbox.edit(
        "kubernetes/base/deployment.yaml",
        "{name: login}",
        "{name: none, optional: true}",
    );
    assert_eq!(check(&sandbox, &[]).warnings(), Vec::<&str>::new());
}

#[test]
fn replicas_beside_an_autoscaler_are_a_warning() {
    let sandbox = two(&[]);
    let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: hello}\nspec:\n  scaleTargetRef: \
                  {apiVersion: apps/v1, kind: Deployment, name: hello}\n  minReplicas: 1\n  maxReplicas: 4\n";
    fs::write(sandbox.hello("kubernetes/base/scaler.yaml"), scaler).unwrap();
    let kustomization = "kubernetes/base/kustomization.yaml";
    sandbox.edit(kustomization, "  - deployment.yaml\n", "  - deployment.yaml\n  - scaler.yaml\n");
    sandbox.git(&["add", "-A"]).success();
    let found = check(&sandbox, &[]);
    assert_eq!((found.problems(), found.warnings()), (vec![], vec!["replicas-scaled"]));
    assert!(found.messages("replicas-scaled").contains("scaled by a HorizontalPodAutoscaler"));
    let patch = "patches:\n  - target: {kind: Deployment, name: hello}\n    patch: |\n      - {op: remove, path: /spec/replicas}\n";
    sandbox.edit(kustomization, "resources:\n", &format!("{patch}resources:\n"));
    assert_eq!(check(&sandbox, &[]).warnings(), Vec::<&str>::new());
}

#[test]
fn whether_a_locked_secret_is_there_is_unknown() {
    let sandbox = Sandbox::with_hello();
    let set = ["secret", "set", "db", "PASSWORD", "--stdin", "--commit"];
    sandbox.makeinfra(&set).cwd(sandbox.hello("")).stdin("value").success();
    let uses = "          envFrom:\n            - secretRef:\n                name: db\n          ports:\n";
    sandbox.edit("kubernetes/base/deployment.yaml", "          ports:\n", uses);
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
    sandbox.commit_all();
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    let checked = super::check::check_in(&sandbox, "clone", &[]);
    assert_eq!((checked.code, checked.warnings().contains(&"secrets-used")), (Some(0), true));
    assert!(
        checked.messages("secrets-used").contains("could not check"),
        "{}",
        checked.messages("secrets-used")
    );
    // Once the kustomization can be read, the Secret is known to be missing.
    sandbox.edit("secrets/kubernetes/kustomization.yaml", "name: db", "name: other");
    assert_eq!(check(&sandbox, &[]).warnings(), ["secrets-used"]);
}
