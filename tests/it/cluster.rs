//! The generated repository on a real cluster, with every available kubectl.
//!
//! The cluster is the test bed of tests/cluster if it is up, or the one with the administrator's
//! kubeconfig in `MAKEINFRA_TEST_KUBECONFIG`. Each scene has its own namespace and deletes it at
//! the end. Scenes with running pods need the bed: its registry is private, and its token service
//! knows the tokens.

mod adopt;
mod diagnosis;
mod failures;
mod further;
mod keyring;
mod life;
mod matrix;
mod objects;
mod pipeline;
mod pulls;
mod running;
mod secret;
mod update;
mod workloads;

use super::support::{Output, Run, SECRET, Sandbox, TOKEN, assert_no_token, cache, kubectls};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

/// The running test bed.
struct Bed {
    /// The directory in which `tests/cluster/up` leaves what its users need.
    state: PathBuf,
}

impl Bed {
    /// The bed; `None` if it is not up. In CI it must be up; elsewhere a message is printed.
    fn find() -> Option<Self> {
        let state = cache()?.join("cluster");
        let up = state.join("admin.kubeconfig").is_file();
        assert!(up || env::var_os("CI").is_none(), "the test bed is not up, and this is CI");
        if !up {
            eprintln!(
                "SKIPPED: the test bed is not up: `make test-cluster` builds it, starts it and runs these tests"
            );
        }
        up.then_some(Self { state })
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.kubeconfig")
    }

    /// A program that was built with the bed.
    fn program(&self, name: &str) -> PathBuf {
        self.state.join("programs").join(name)
    }

    fn log(&self, program: &str) -> String {
        fs::read_to_string(self.state.join("logs").join(format!("{program}.log"))).unwrap()
    }

    /// The process that holds the node's namespaces.
    fn node(&self) -> String {
        let pid = fs::read_to_string(self.state.join("pid")).unwrap();
        pid.split(' ').next().unwrap().to_owned()
    }

    /// The digest of group/hello:1.0.0.
    fn digest(&self) -> String {
        let file = self.state.parent().unwrap().join("cluster-images/digest");
        fs::read_to_string(file).unwrap().trim().to_owned()
    }
}

/// A deploy token that the bed's token service knows while this exists.
struct DeployToken {
    username: String,
    file: PathBuf,
}

impl DeployToken {
    /// A token for the project `group`.
    fn new(bed: &Bed, username: &str, password: &str) -> Self {
        let token = Self {
            username: username.to_owned(),
            file: bed.state.join("tokens").join(format!("{username}.json")),
        };
        token.becomes(password, "group", "read_registry");
        token
    }

    /// Changes the token, as when it is revoked and recreated under the same name.
    fn becomes(&self, password: &str, project: &str, scope: &str) {
        let token = json!({
            "username": self.username, "password": password, "projects": [project], "scopes": [scope],
        });
        let new = self.file.with_extension("new");
        fs::write(&new, token.to_string()).unwrap();
        fs::rename(new, &self.file).unwrap();
    }
}

impl Drop for DeployToken {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// A generated repository, a namespace and a kubectl.
struct Scene {
    sandbox: Sandbox,
    namespace: String,
    kubectl: String,
    kubeconfig: PathBuf,
}

/// An administrator's kubeconfig for a cluster; `None` if there is none.
fn kubeconfig() -> Option<PathBuf> {
    match env::var_os("MAKEINFRA_TEST_KUBECONFIG").map(PathBuf::from) {
        Some(file) => {
            assert!(file.is_file(), "MAKEINFRA_TEST_KUBECONFIG names no file: {}", file.display());
            Some(file)
        }
        None => Bed::find().map(|bed| bed.kubeconfig()),
    }
}

/// Plays a scene without pods with every kubectl, if there is a cluster.
fn with_every_kubectl(scene: impl Fn(&Scene)) {
    let Some(kubeconfig) = kubeconfig() else { return };
    for kubectl in kubectls() {
        let played = Scene::new(&kubectl, &kubeconfig);
        let args =
            ["--namespace", &played.namespace, "--replicas", "0", "--ingress", "hello.example.com"];
        played.sandbox.new_hello(&[&args[..], &["--expires-at", "2999-01-01"]].concat()).success();
        scene(&played);
    }
}

/// The bed, for scenes with pods; `None` if it is not up, or another cluster was named.
fn bed() -> Option<Bed> {
    if env::var_os("MAKEINFRA_TEST_KUBECONFIG").is_some() {
        eprintln!(
            "SKIPPED: MAKEINFRA_TEST_KUBECONFIG names a cluster without the registry of the tests"
        );
        return None;
    }
    Bed::find()
}

impl Scene {
    /// A scene before anything is generated.
    fn new(kubectl: &Path, kubeconfig: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            sandbox: Sandbox::new(),
            namespace: format!("makeinfra-test-{}-{count}", process::id()),
            kubectl: kubectl.display().to_string(),
            kubeconfig: kubeconfig.canonicalize().unwrap(),
        }
    }

    /// A scene on the bed, with a working deploy token, whose value is [`TOKEN`], and a repository
    /// for `image`.
    fn with_pods(bed: &Bed, kubectl: &Path, image: &str, args: &[&str]) -> (Self, DeployToken) {
        let scene = Self::new(kubectl, &bed.kubeconfig());
        let number = scene.namespace.trim_start_matches("makeinfra-test-");
        let token = DeployToken::new(bed, &format!("gitlab+deploy-token-{number}"), TOKEN);
        let file = scene.sandbox.path("token").display().to_string();
        let base = ["new", "hello", "--image", image, "--namespace", &scene.namespace];
        let secret = ["--token-username", &token.username, "--token-file", &file];
        scene.sandbox.makeinfra(&[&base[..], &secret, args].concat()).success();
        (scene, token)
    }

    /// `make` with this scene's kubectl followed by `options`.
    fn make_as(&self, options: &str, args: &[&str]) -> Run {
        let kubectl = format!("KUBECTL={} {options}", self.kubectl);
        self.sandbox.make(&[args, &[&kubectl]].concat()).env("KUBECONFIG", &self.kubeconfig)
    }

    fn make(&self, args: &[&str]) -> Run {
        self.make_as("", args)
    }

    /// `makeinfra` with this scene's kubectl, in the node's network, in which the registry is at
    /// 127.0.0.1.
    fn makeinfra_on_node(&self, bed: &Bed, args: &[&str]) -> Run {
        let node = bed.node();
        let entered = ["--target", &node, "--net", "--", env!("CARGO_BIN_EXE_makeinfra")];
        let run = self.sandbox.run("nsenter", &[&entered[..], args].concat());
        run.env("KUBECTL", &self.kubectl).env("KUBECONFIG", &self.kubeconfig)
    }

    /// An administrator's kubectl in the namespace.
    fn kubectl(&self, args: &[&str]) -> Run {
        let namespace = ["--namespace", &self.namespace];
        self.sandbox
            .run(&self.kubectl, &[&namespace[..], args].concat())
            .env("KUBECONFIG", &self.kubeconfig)
    }

    /// A field of an object in the cluster, by a path like `{.metadata.uid}`.
    fn get(&self, object: &str, path: &str) -> String {
        let output = format!("jsonpath={path}");
        self.kubectl(&["get", object, "--ignore-not-found", "--output", &output]).success().stdout
    }

    fn uid(&self) -> String {
        self.get("secret/gitlab", "{.metadata.uid}")
    }

    fn versions(&self) -> Vec<String> {
        let namespace = format!("namespace/{}", self.namespace);
        ["secret/gitlab", "deployment/hello", "service/hello", "ingress/hello", &namespace]
            .map(|object| self.get(object, "{.metadata.resourceVersion}"))
            .to_vec()
    }

    /// The pods of the application that are not being deleted.
    fn pods(&self) -> Vec<Value> {
        let pods = self.kubectl(&["get", "pods", "--output=json"]).success().json();
        let items = pods["items"].as_array().unwrap().iter();
        items.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).cloned().collect()
    }

    /// Edits a file of the repository.
    #[track_caller]
    fn edit(&self, file: &str, from: &str, to: &str) {
        let file = self.sandbox.hello(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "no `{from}` in {}", file.display());
        fs::write(file, text.replace(from, to)).unwrap();
    }

    fn secret(&self) -> String {
        fs::read_to_string(self.sandbox.hello(SECRET)).unwrap()
    }

    fn write_secret(&self, text: &str) {
        fs::write(self.sandbox.hello(SECRET), text).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.kubectl(&[
            "delete",
            "namespace",
            &self.namespace,
            "--ignore-not-found",
            "--wait=false",
        ])
        .output();
    }
}

/// Expects no token in the output, and returns it.
#[track_caller]
fn tells_no_token(output: Output) -> Output {
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
    output
}
