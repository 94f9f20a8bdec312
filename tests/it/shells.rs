//! The generated script under every shell and awk at hand: the same text, the same calls, the same files.

use super::stand_in::{StandIn, arm, differs, fails, prints};
use super::support::{Sandbox, TOKEN, assert_no_token, have};
use std::fs;
use std::os::unix::fs::symlink;

const SHELLS: [&str; 4] = ["dash", "bash", "busybox", "mksh"];
const AWKS: [&str; 4] = ["mawk", "gawk", "original-awk", "busybox"];

/// Two errors of an apply, as API servers word them: one object, and one of several.
const IMMUTABLE: &str = "The Job \"migrate\" is invalid: spec.template: Invalid value: core.PodTemplateSpec{}: field is immutable\n\
    Error from server (Invalid): Secret \"gitlab\" is invalid: type: Invalid value: \"x\": field is immutable";

const BUILT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: hello\n---\napiVersion: batch/v1\nkind: Job\n\
    metadata:\n  name: migrate\nspec: {}\n---\nkind: Secret\nmetadata:\n  name: gitlab";

/// What `make` is asked, with what the cluster answers.
fn scenes() -> Vec<(&'static [&'static str], Vec<String>)> {
    let applied = "deployment.apps/hello serverside-applied\njob.batch/migrate serverside-applied";
    let hanging = "Pod/hello-6b-x ReplicaSet/hello-6b ImagePullBackOff Initialized\nJob/migrate / Failed\n\
                   Pod/other-6b-x ReplicaSet/other-6b ErrImagePull Ready";
    let ours = "Deployment/hello owner: by:Apply\nDeployment/old owner: by:Apply\nConfigMap/used-1 owner: by:Apply\n\
                ConfigMap/gone-2 owner: by:Apply\nService/copied owner: by:Update\nSecret/owned owner:1234 by:Apply";
    let claims = "PersistentVolumeClaim/data-old-0 statefulset/old\nPersistentVolumeClaim/other statefulset/";
    let cluster = vec![
        fails("apply*--kustomize*--dry-run=server", IMMUTABLE),
        prints("apply*--kustomize", applied),
        prints("get jobs,pods", hanging),
        prints("annotate*--local", "deployment.apps/hello"),
        prints("get replicasets,controllerrevisions", "used-1 hello-6b"),
        prints("horizontalpodautoscalers", ours),
        prints("get persistentvolumeclaims", claims),
        arm("diff*--kustomize", IMMUTABLE, ">&2; exit 2"),
        prints("kustomize kubernetes", BUILT),
        "*'diff '*'--filename=-'*) cat; exit 1 ;;\n".to_owned(),
    ];
    let bytes: Vec<_> = TOKEN.bytes().map(|byte| byte.to_string()).collect();
    let quoting = format!("error: cannot read `{TOKEN}` as [{}] in a Secret {}", bytes.join(" "), "x".repeat(2000));
    let quotes = |words: &str| fails(words, &quoting);
    vec![
        (&["deploy"], cluster.clone()),
        (&["diff"], cluster.clone()),
        (&["prune"], cluster.clone()),
        (&["prune", "YES=1"], cluster.clone()),
        (&["undeploy", "YES=1"], cluster),
        (&["deploy"], vec![quotes("apply*--kustomize*--dry-run=server")]),
        (&["deploy"], vec![quotes("rollout status"), prints("get events", &quoting)]),
        (&["diff"], vec![differs("diff", "+  replicas: 3")]),
        (&["logs", "APP=worker", "TAIL=3", "FOLLOW=1"], vec![]),
        (&["set-image", "TAG=1.2.3"], vec![]),
        (&["set-image", "TAG=a b"], vec![]),
        (&["deploy", "ROLLOUT_TIMEOUT=x"], vec![]),
        (&["check-secrets"], vec![]),
        (&["help"], vec![]),
    ]
}

/// What was said, called and written, one line after the other.
fn transcript(sandbox: Sandbox, path: &str) -> (Sandbox, String) {
    let cluster = StandIn { sandbox };
    let file = cluster.sandbox.hello("kubernetes/overlays/production/kustomization.yaml");
    let before = fs::read_to_string(&file).unwrap();
    let mut text = String::new();
    for (args, answers) in scenes() {
        cluster.answers(&answers);
        let output = cluster.make(args).env("PATH", format!("{path}:{}", cluster.sandbox.own_path())).output();
        assert_no_token((output.stdout.clone() + &output.stderr).as_bytes(), "what was said");
        let steps = cluster.calls().iter().map(|call| call.join(" ")).collect::<Vec<_>>().join("\n");
        text += &format!("{args:?}: {:?}\n{}{}{steps}\n", output.code, output.stdout, output.stderr);
        text += &fs::read_to_string(&file).unwrap();
    }
    fs::write(&file, before).unwrap();
    (cluster.sandbox, text)
}

#[test]
fn every_shell_and_every_awk_does_the_same() {
    if SHELLS.iter().chain(&AWKS).filter(|program| !have(program)).count() > 0 {
        return;
    }
    let mut sandbox = Sandbox::with_hello();
    let args = ["secret", "set", "database", "PASSWORD", "hello-infra", "--stdin"];
    sandbox.makeinfra(&args).stdin(TOKEN).success();
    let mut first = None;
    for shell in SHELLS {
        for awk in AWKS {
            let bin = sandbox.path(&format!("{shell}-{awk}"));
            fs::create_dir(&bin).unwrap();
            for (name, program) in [("sh", shell), ("awk", awk)] {
                let real = sandbox.run("sh", &["-c", &format!("command -v {program}")]).success().stdout;
                symlink(real.trim(), bin.join(name)).unwrap();
            }
            let (again, text) = transcript(sandbox, bin.to_str().unwrap());
            sandbox = again;
            let first = first.get_or_insert_with(|| text.clone());
            assert_eq!(*first, text, "{shell} with {awk}");
        }
    }
    let text = first.unwrap();
    for part in [
        "delete --ignore-not-found job/migrate",
        "pod/hello-6b-x",
        "deployment/old",
        "configmap/gone-2",
        "persistentvolumeclaim/other stays",
        "***",
        "newTag: \"1.2.3\"",
    ] {
        assert!(text.contains(part), "no `{part}`:\n{text}");
    }
    for part in ["pod/other-6b-x", "delete configmap/used-1", "service/copied", "secret/owned"] {
        assert!(!text.contains(part), "`{part}`:\n{text}");
    }
    assert!(text.lines().all(|line| line.len() <= 1010), "a line is longer than 1,000 characters:\n{text}");
}
