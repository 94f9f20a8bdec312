//! Several components and kinds of workloads in one repository, on a real node.

use super::{Scene, bed, tells_no_token};
use crate::support::{IMAGE, kubectls};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const COMPONENTS: &str = r#"
components:
  worker:
    port: null
    replicas: 1
    args: [sh, -c, 'echo "queue $QUEUE"; trap "exit 0" TERM; sleep 3600 & wait']
    config: worker.env
    service-account: yes
  nightly: {workload: cronjob, schedule: "0 0 1 1 *", time-zone: Etc/UTC, args: [sh, -c, "echo cleaned"]}
  migrate: {workload: job, args: [sh, -c, "echo migrated"]}
"#;

/// Options of `new` for these components, with their files in `dir`.
fn with(dir: &Path, components: &str) -> [String; 4] {
    std::fs::write(dir.join("worker.env"), "QUEUE=mail\n").unwrap();
    let file = dir.join("answers.yaml");
    std::fs::write(&file, components).unwrap();
    ["--answers".into(), file.display().to_string(), "--expires-at".into(), "never".into()]
}

#[test]
fn a_service_a_worker_a_cronjob_and_a_job_in_one_repository() {
    let Some(bed) = bed() else { return };
    let dir = tempfile::tempdir().unwrap();
    let args = with(dir.path(), COMPONENTS);
    for kubectl in kubectls() {
        let (scene, _token) =
            Scene::with_pods(&bed, &kubectl, IMAGE, &args.each_ref().map(String::as_str));
        scene.sandbox.makeinfra(&["check", "hello-infra", "--strict"]).success();
        let output = tells_no_token(scene.make(&["deploy"]).success());
        assert!(output.stdout.contains("job.batch/migrate condition met"), "{}", output.stdout);
        let logs = scene.make(&["logs"]).success().stdout;
        for line in ["started", "queue mail", "migrated"] {
            assert!(logs.contains(line), "{line}: {logs}");
        }
        let status = scene.make(&["status"]).success().stdout;
        for object in [
            "deployment.apps/worker",
            "cronjob.batch/nightly",
            "job.batch/migrate",
            "service/hello",
        ] {
            assert!(status.contains(object), "{object}: {status}");
        }
        let versions = || {
            [
                "deployment/hello",
                "deployment/worker",
                "job/migrate",
                "cronjob/nightly",
                "serviceaccount/worker",
            ]
            .map(|object| scene.get(object, "{.metadata.resourceVersion}"))
        };
        let before = versions();
        scene.make(&["diff"]).success();
        scene.make(&["deploy"]).success();
        assert_eq!(versions(), before, "nothing changed, and nothing is replaced");

        let uid = |object: &str| scene.get(object, "{.metadata.uid}");
        let (job, cronjob) = (uid("job/migrate"), uid("cronjob/nightly"));
        scene.make(&["set-image", "TAG=1.1.0"]).success();
        let output = scene.make(&["diff"]).failure(2);
        output.prints("to be replaced:\njob/migrate\n").prints("hello:1.1.0");
        let output = tells_no_token(scene.make(&["deploy"]).success());
        assert!(output.stdout.contains("job.batch \"migrate\" deleted"), "{}", output.stdout);
        assert!(output.stdout.contains("job.batch/migrate condition met"), "{}", output.stdout);
        assert_ne!(uid("job/migrate"), job);
        assert_eq!(uid("cronjob/nightly"), cronjob);
        let image = "{.spec.template.spec.containers[0].image}";
        assert_eq!(scene.get("job/migrate", image), "registry.gitlab.com/group/hello:1.1.0");

        // Changed settings restart pods, but only those that use them.
        let web = scene.get("deployment/hello", "{.metadata.generation}");
        scene.edit("kubernetes/base/worker-config.env", "mail", "letters");
        scene.make(&["deploy"]).success();
        assert!(scene.make(&["logs", "APP=worker"]).success().stdout.contains("queue letters"));
        assert_eq!(scene.get("deployment/hello", "{.metadata.generation}"), web);
        let output = scene.make(&["restart", "APP=worker"]).success();
        assert!(!output.stdout.contains("deployment.apps/hello restarted"), "{}", output.stdout);
        scene.make(&["rollback", "APP=worker"]).success();
        scene.make(&["restart", "APP=nobody"]).failure(2).says("nothing here is named `nobody`");

        scene.make(&["run", "APP=nightly"]).success().prints("job.batch/nightly-");
        let cleaned = || scene.make(&["logs", "APP=nightly"]).output().stdout.contains("cleaned");
        assert!(
            (0..60).any(|_| cleaned() || {
                sleep(Duration::from_secs(1));
                false
            }),
            "it did not run"
        );
        scene.is_fine();
        scene.make(&["undeploy", "YES=1"]).success();
        let kinds = "deployments,cronjobs,jobs,serviceaccounts,configmaps";
        let selector = "--selector=app.kubernetes.io/part-of=hello";
        let left = scene.kubectl(&["get", kinds, selector, "--output=name"]).success().stdout;
        assert_eq!(left, "");
        let gone = || scene.pods().is_empty();
        assert!(
            (0..60).any(|_| gone() || {
                sleep(Duration::from_secs(1));
                false
            }),
            "pods are left"
        );
    }
}

#[test]
fn a_job_that_fails_is_told_and_runs_again_once_it_is_mended() {
    let Some(bed) = bed() else { return };
    let dir = tempfile::tempdir().unwrap();
    let script =
        "components: {migrate: {workload: job, args: [sh, -c, \"echo no such table; exit 3\"]}}\n";
    let args = with(dir.path(), script);
    for kubectl in kubectls() {
        let (scene, _token) =
            Scene::with_pods(&bed, &kubectl, IMAGE, &args.each_ref().map(String::as_str));
        scene.edit("kubernetes/base/migrate-job.yaml", "backoffLimit: 2", "backoffLimit: 0");
        let output = tells_no_token(scene.make(&["deploy"]).failure(2));
        output
            .says("error: job/migrate failed\nhint: makeinfra diagnose\n")
            .says("BackoffLimitExceeded");
        scene.comes_to("container-failed", "logs migrate-");
        // A Job that failed is retried without a change, and fails again.
        let output = scene.make(&["deploy"]).failure(2);
        assert!(output.stdout.contains("job.batch \"migrate\" deleted"), "{}", output.stdout);
        scene.edit("kubernetes/base/migrate-job.yaml", "exit 3", "exit 0");
        scene.make(&["deploy"]).success().prints("job.batch/migrate condition met");
        scene.is_fine();
        scene.edit("kubernetes/base/migrate-job.yaml", "exit 0", "sleep 300");
        let output = scene.make(&["deploy", "ROLLOUT_TIMEOUT=3s"]).failure(2);
        output.says("job/migrate is not complete");
        // An image that cannot be pulled.
        scene.make(&["set-image", "TAG=9.9.9"]).success();
        let output = scene.make(&["deploy", "ROLLOUT_TIMEOUT=15s"]).failure(2);
        output.says("job/migrate is not complete").says("hello:9.9.9");
        // A hanging Job is replaced as soon as its image exists.
        scene.edit("kubernetes/base/migrate-job.yaml", "sleep 300", "exit 0");
        scene.make(&["set-image", "TAG=1.0.0"]).success();
        scene.make(&["deploy"]).success();
    }
}
