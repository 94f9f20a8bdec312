//! Repositories that makeinfra did not generate, each called `hello-infra`.

use super::support::{Sandbox, TOKEN, USER};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;

/// A pull Secret for `registry`, in the form of its type.
pub fn pull_secret(user: &str, name: &str, kind: &str, registry: &str) -> String {
    let auth = STANDARD.encode(format!("{user}:{TOKEN}"));
    let entry = format!(
        "{{\"{registry}\":{{\"username\":\"{user}\",\"password\":\"{TOKEN}\",\"auth\":\"{auth}\"}}}}"
    );
    let config = if kind == "dockercfg" { entry } else { format!("{{\"auths\":{entry}}}") };
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ntype: kubernetes.io/{kind}\ndata:\n  .{kind}: {}\n",
        STANDARD.encode(config)
    )
}

/// The blog post's Makefile.
pub const MAKEFILE: &str = "deploy: gitlab-secret\n\tkubectl apply -f kubernetes/deployment.yaml\n\n\
     gitlab-secret:\n\tkubectl get secret gitlab || kubectl apply -f secrets/kubernetes/gitlab.yaml\n";

/// A minimal Deployment.
pub fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 1\n  selector:\n    matchLabels: \
         {{app: {name}}}   # ours\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      \
         imagePullSecrets:\n        - name: gitlab\n      containers:\n        - name: {name}\n          image: {image}\n          \
         ports:\n            - containerPort: 3000\n"
    )
}

pub const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: hello\nspec:\n  selector: {app: hello}\n  ports:\n    \
                           - {port: 80, targetPort: 3000}\n";

impl Sandbox {
    /// An empty repository.
    pub fn empty() -> Self {
        let sandbox = Self::new();
        fs::create_dir(sandbox.hello("")).unwrap();
        sandbox.git(&["init", "-q", "-b", "main"]).success();
        sandbox
    }

    /// The blog post's repository: flat manifests, an encrypted Secret that `get || apply`
    /// installs.
    pub fn of_the_post() -> Self {
        let sandbox = Self::empty();
        sandbox.run("git-crypt", &["init"]).cwd(sandbox.hello("")).success();
        sandbox.put(".gitattributes", "secrets/** filter=git-crypt diff=git-crypt\n");
        sandbox.put("Makefile", MAKEFILE);
        sandbox.put(
            "kubernetes/deployment.yaml",
            &deployment("hello", "registry.gitlab.com/group/hello:1.0.0"),
        );
        sandbox.put("kubernetes/service.yaml", SERVICE);
        sandbox.put(
            "secrets/kubernetes/gitlab.yaml",
            &pull_secret(USER, "gitlab", "dockercfg", "registry.gitlab.com"),
        );
        sandbox.commit_all();
        sandbox
    }

    /// A base with two overlays, whose pull Secrets are in plaintext.
    pub fn of_kustomize() -> Self {
        let sandbox = Self::empty();
        let base = "# Shared.\nresources:\n  - web.yaml # the web\n  - service.yaml\nconfigMapGenerator:\n  - name: web\n    envs:\n      \
                    - web.env\n";
        sandbox.put("k8s/base/kustomization.yaml", base);
        let web = deployment("web", "registry.example.com/team/web").replace("gitlab", "regcred");
        sandbox.put("k8s/base/web.yaml", &web);
        sandbox.put("k8s/base/web.env", "LEVEL=info\n");
        sandbox.put("k8s/base/service.yaml", &SERVICE.replace("hello", "web"));
        for (name, tag) in [("staging", "2.0.1"), ("production", "2.0.0")] {
            let dir = format!("k8s/overlays/{name}");
            let overlay = format!(
                "# Where {name} runs.\nnamespace: team-{name}\nresources:\n- ../../base\n- regcred.yaml\nimages:\n- name: \
                 registry.example.com/team/web\n  newTag: \"{tag}\" # by hand\npatches:\n- path: count.yaml\n"
            );
            sandbox.put(&format!("{dir}/kustomization.yaml"), &overlay);
            let count = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n";
            sandbox.put(&format!("{dir}/count.yaml"), count);
            let secret = pull_secret(USER, "regcred", "dockerconfigjson", "registry.example.com");
            sandbox.put(&format!("{dir}/regcred.yaml"), &secret);
        }
        sandbox.put("README.md", "# Web\n");
        sandbox.put(
            ".gitlab-ci.yml",
            "deploy:\n  script:\n    - kubectl apply -k k8s/overlays/production\n",
        );
        sandbox.commit_all();
        sandbox
    }

    /// The output of `helm template`, and a pull Secret in plaintext.
    pub fn of_helm() -> Self {
        let sandbox = Self::empty();
        sandbox.put("rendered/hello.yaml", include_str!("../data/helm-template.yaml"));
        sandbox.put(
            "rendered/gitlab.yaml",
            &pull_secret(USER, "gitlab", "dockercfg", "registry.gitlab.com"),
        );
        sandbox.commit_all();
        sandbox
    }

    /// `makeinfra adopt` at the top.
    pub fn adopt(&self, args: &[&str]) -> super::support::Run {
        self.here(&[&["adopt"], args].concat())
    }
}

#[test]
fn a_record_that_cannot_be_read_is_not_taken_for_absent() {
    let sandbox = Sandbox::with_hello();
    let record = sandbox.hello(".makeinfra.yaml");
    let text = fs::read(&record).unwrap();
    let all = |why: &str| {
        sandbox
            .makeinfra(&["check", "hello-infra"])
            .failure(1)
            .prints(&format!(".makeinfra.yaml: {why}"));
        for args in [&["env", "list"][..], &["rotate"], &["add", "worker"], &["secret", "list"]] {
            let output = sandbox.makeinfra(args).cwd(sandbox.hello("")).failure(1);
            output.says(".makeinfra.yaml").says(why.trim_start_matches("it is "));
            assert!(!output.stderr.contains("was not generated"), "{}", output.stderr);
        }
    };
    fs::write(&record, b"answers: \xff\n").unwrap();
    all("it is not UTF-8 text");
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    sandbox
        .makeinfra(&["check", "hello-infra"])
        .failure(1)
        .prints(".makeinfra.yaml: it is a directory");
    let output = sandbox.makeinfra(&["env", "list"]).cwd(sandbox.hello("")).failure(1);
    output.says("cannot read `.makeinfra.yaml`\n  it is a directory\nhint: ls -ld .makeinfra.yaml");
    fs::remove_dir(&record).unwrap();
    fs::write(&record, text).unwrap();
    sandbox.makeinfra(&["check", "hello-infra"]).success();
}

#[test]
fn a_name_of_the_pull_secret_that_was_edited_in_the_record_is_told_as_such() {
    let sandbox = Sandbox::with_hello();
    sandbox.edit(".makeinfra.yaml", "secret-name: gitlab", "secret-name: other");
    let hint = "hint: write `secret-name: gitlab`: ${EDITOR:-vi} .makeinfra.yaml";
    let output = sandbox.makeinfra(&["check"]).cwd(sandbox.hello("")).failure(1);
    output.prints(".makeinfra.yaml: `secret-name` must be `gitlab`").prints(hint);
    assert!(!output.stdout.contains("makeinfra rotate"), "{}", output.stdout);
    sandbox
        .rotate("gldt-new", &[])
        .failure(1)
        .says("`secret-name` in `.makeinfra.yaml`")
        .says(hint);
    assert!(!sandbox.hello("secrets/kubernetes/other.secret.yaml").exists());
    sandbox.edit(".makeinfra.yaml", "secret-name: other", "secret-name: gitlab");
    sandbox.makeinfra(&["check", "hello-infra"]).success();
}
