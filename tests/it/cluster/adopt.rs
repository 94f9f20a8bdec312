//! An adopted repository on a node that already runs its objects: nothing is replaced.

use super::{DeployToken, Scene, bed, tells_no_token};
use crate::by_hand::pull_secret;
use crate::support::{Sandbox, TOKEN, kubectls};

/// A volume for the database's claim, because the bed does not provision any.
struct Volume<'s> {
    scene: &'s Scene,
    name: String,
}

impl<'s> Volume<'s> {
    fn new(scene: &'s Scene) -> Self {
        let name = format!("{}-data", scene.namespace);
        let volume = format!(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}}}\nspec:\n  capacity: {{storage: 1Mi}}\n  accessModes: \
             [ReadWriteOnce]\n  persistentVolumeReclaimPolicy: Retain\n  storageClassName: \"\"\n  claimRef: {{namespace: {}, name: \
             data-hello-db-0}}\n  hostPath: {{path: /tmp/{name}, type: DirectoryOrCreate}}\n",
            scene.namespace
        );
        scene.kubectl(&["apply", "--filename=-"]).stdin(volume).success();
        Self { scene, name }
    }
}

impl Drop for Volume<'_> {
    fn drop(&mut self) {
        self.scene.kubectl(&["delete", "persistentvolume", &self.name, "--wait=false"]).output();
    }
}

/// The identities of objects that must not be replaced.
fn identities(scene: &Scene) -> Vec<String> {
    let objects = [
        "deployment/hello",
        "statefulset/hello-db",
        "service/hello",
        "persistentvolumeclaim/data-hello-db-0",
        "secret/gitlab",
    ];
    let mut all: Vec<_> =
        objects.iter().map(|object| scene.get(object, "{.metadata.uid}")).collect();
    all.extend(scene.pods().iter().map(|pod| pod["metadata"]["uid"].to_string()));
    assert!(all.iter().all(|uid| !uid.is_empty()) && all.len() == 7, "{all:?}");
    all
}

#[test]
fn the_output_of_helm_is_adopted_in_place() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let mut scene = Scene::new(&kubectl, &bed.kubeconfig());
        scene.sandbox = Sandbox::of_helm();
        let number = scene.namespace.trim_start_matches("makeinfra-test-").to_owned();
        let user = format!("gitlab+deploy-token-{number}");
        let token = DeployToken::new(&bed, &user, TOKEN);
        let secret = pull_secret(&user, "gitlab", "dockercfg", "registry.gitlab.com");
        scene.sandbox.put("rendered/gitlab.yaml", &secret);
        scene.sandbox.commit_all();
        scene.kubectl(&["create", "namespace", &scene.namespace]).success();
        let _volume = Volume::new(&scene);
        // As deployed by users.
        scene.kubectl(&["apply", "--filename=rendered"]).cwd(scene.sandbox.hello("")).success();
        let wait = |object: &str| {
            scene.kubectl(&["rollout", "status", object, "--timeout=120s"]).success();
        };
        wait("deployment/hello");
        wait("statefulset/hello-db");
        let before = identities(&scene);

        let adopt = ["adopt", "--namespace", &scene.namespace, "--yes", "--commit"];
        tells_no_token(scene.sandbox.here(&adopt).success());
        let output = tells_no_token(scene.make(&["deploy"]).success());
        output.prints("statefulset.apps/hello-db serverside-applied");
        assert_eq!(identities(&scene), before);
        let labels = scene.get("statefulset/hello-db", "{.metadata.labels}");
        assert!(
            labels.contains(r#""app.kubernetes.io/managed-by":"Helm""#)
                && labels.contains("makeinfra/project"),
            "{labels}"
        );
        assert_eq!(scene.make(&["diff"]).success().stdout.trim(), "");

        // The old token is revoked: another image is pulled with the new one.
        token.becomes("gldt-Rotated_4Tz8", "group", "read_registry");
        let file =
            scene.sandbox.write_private("rotated", "gldt-Rotated_4Tz8").display().to_string();
        scene
            .sandbox
            .here(&["rotate", "--token-username", &user, "--token-file", &file, "--commit"])
            .success();
        scene.make(&["set-image", "TAG=1.1.0"]).success();
        scene.make(&["deploy"]).success().prints("partitioned roll out complete");
        scene
            .make(&["undeploy", "YES=1"])
            .success()
            .prints("persistentvolumeclaim/data-hello-db-0");
    }
}
