//! The template contract: every variable that a template may use. Pure: built from the answers
//! alone.

use crate::answers::{
    self, Answers, ClusterIssuer, Config, Email, HealthPath, Host, ImageRef, Schedule, TimeZone,
    TokenRef, Workload,
};
use serde::Serialize;

/// The variables of all templates. Missing answers are null, so that `{% if %}` can test them.
///
/// Templates for a component also have `component`, one of `components`; those for an environment
/// have `environment` and `has_token`; that for the pull secret has `payload`, `expires_at`,
/// `token`, `token_owner` and `token_repositories`.
#[derive(Serialize)]
pub struct Context<'a> {
    project: &'a str,
    directory: String,
    version: &'a str,
    main: Component<'a>,
    components: Vec<Component<'a>>,
    images: Vec<Image<'a>>,
    /// Features that at least one component has: `deployment`, `cronjob`, `job`, `config`,
    /// `account`, `tls`.
    parts: Vec<&'static str>,
    environments: Vec<Environment<'a>>,
    pod_security: &'static str,
    registry: &'a str,
    email: Option<&'a str>,
    ci: &'static str,
    /// The image for the pipeline's jobs.
    ci_image: Option<&'a str>,
    /// Whether a scheduled pipeline rotates deploy tokens.
    ci_rotate: bool,
    secret: Secret<'a>,
}

/// A component.
#[derive(Clone, Serialize)]
pub struct Component<'a> {
    name: &'a str,
    image: Image<'a>,
    #[serde(flatten)]
    runs: Runs,
    schedule: Option<&'a str>,
    time_zone: Option<&'a str>,
    args: &'a [String],
    port: Option<u16>,
    replicas: u32,
    ingress: Option<&'a str>,
    tls_secret: Option<String>,
    tls_issuer: Option<&'a str>,
    health_path: Option<&'a str>,
    service_account: bool,
    public: bool,
    /// The file with its settings, next to its manifests.
    config_file: Option<String>,
    /// The content of that file; `None` if unknown.
    settings: Option<&'a str>,
    /// The names of its manifests.
    manifests: Vec<String>,
    /// The prefix of its file names: empty, or `worker-`.
    prefix: String,
}

/// How a component runs, and as which user.
#[derive(Clone, Copy, Serialize)]
struct Runs {
    workload: &'static str,
    kind: &'static str,
    api_version: &'static str,
}

/// An environment.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is what a template asks for")]
pub struct Environment<'a> {
    name: &'a str,
    /// Whether it is the only one.
    lone: bool,
    namespace: &'a str,
    context: Option<&'a str>,
    protect: bool,
    /// The directory of its kustomization.
    overlay: String,
    secrets: &'a str,
    secret_file: String,
    replicas: u32,
    /// The number of pods of the project's own component, if the manifests set it.
    pods: Option<u32>,
    ingress: Option<&'a str>,
    /// Whether the overlay has patches.
    patches: bool,
    /// Whether the overlay sets any number of pods.
    counts: bool,
    images: Vec<Image<'a>>,
    workloads: Vec<Deployed<'a>>,
}

/// How a component differs in an environment.
#[derive(Serialize)]
struct Deployed<'a> {
    name: &'a str,
    #[serde(flatten)]
    runs: Runs,
    replicas: Option<u32>,
    ingress: Option<&'a str>,
    has_tls: bool,
}

#[derive(Clone, Serialize)]
struct Image<'a> {
    reference: &'a str,
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

#[derive(Serialize)]
struct Secret<'a> {
    name: &'a str,
    option: &'static str,
    r#type: &'static str,
    data_key: &'static str,
}

/// The variables of the pull secret's template alone.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    /// Base64 of the docker config: the value of the Secret's one `data` key.
    pub base64: &'a str,
    /// The token's expiry.
    pub expires_at: Option<&'a str>,
    /// The token's identity in GitLab's API; `None` if it did not come from there.
    pub token: Option<&'a TokenRef>,
    /// The path of the project or group that owns it.
    pub token_owner: Option<&'a str>,
    /// The repositories that share the token; empty if it is for one alone.
    pub token_repositories: &'a [String],
}

impl<'a> Payload<'a> {
    /// A payload with credentials alone.
    #[must_use]
    pub fn bare(base64: &'a str) -> Self {
        Self { base64, expires_at: None, token: None, token_owner: None, token_repositories: &[] }
    }
}

impl<'a> Context<'a> {
    /// The directory of the manifests that all environments share.
    pub const BASE: &'static str = "kubernetes/base";

    /// The variables for `answers` in the templates of `version`.
    #[must_use]
    pub fn new(answers: &'a Answers, version: &'a str) -> Self {
        let components: Vec<_> = answers
            .components
            .iter()
            .map(|one| component(one, one.name == answers.main().name))
            .collect();
        Self {
            project: answers.project.as_str(),
            directory: answers.project.directory(),
            version,
            main: component(answers.main(), true),
            parts: parts(answers),
            images: distinct(answers.components.iter().map(|component| image(&component.image))),
            components,
            environments: answers
                .environments
                .iter()
                .map(|one| environment(one, answers))
                .collect(),
            pod_security: answers.pod_security.as_str(),
            registry: answers.registry.as_str(),
            email: answers.email.as_ref().map(Email::as_str),
            ci: answers.ci.as_str(),
            ci_image: answers.ci_image.as_ref().map(ImageRef::as_str),
            ci_rotate: answers.ci_rotate,
            secret: Secret {
                name: answers.secret_name.as_str(),
                option: answers.secret_type.as_str(),
                r#type: answers.secret_type.kubernetes_type(),
                data_key: answers.secret_type.data_key(),
            },
        }
    }

    /// The components, the project's own first.
    #[must_use]
    pub fn components(&self) -> &[Component<'a>] {
        &self.components
    }

    /// The environments.
    #[must_use]
    pub fn environments(&self) -> &[Environment<'a>] {
        &self.environments
    }
}

impl Component<'_> {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// The prefix of its file names.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The names of its manifests.
    #[must_use]
    pub fn manifests(&self) -> &[String] {
        &self.manifests
    }

    /// The kind of its workload in lower case.
    #[must_use]
    pub fn workload(&self) -> &'static str {
        self.runs.workload
    }

    /// The file with its settings, next to its manifests.
    #[must_use]
    pub fn config_file(&self) -> Option<&str> {
        self.config_file.as_deref()
    }
}

impl Environment<'_> {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// The directory of its kustomization.
    #[must_use]
    pub fn overlay(&self) -> &str {
        &self.overlay
    }

    /// The directory of its Secrets.
    #[must_use]
    pub fn secrets(&self) -> &str {
        self.secrets
    }

    /// The path of its pull secret.
    #[must_use]
    pub fn secret_file(&self) -> &str {
        &self.secret_file
    }
}

fn component(component: &answers::Component, main: bool) -> Component<'_> {
    let prefix = if main { String::new() } else { format!("{}-", component.name) };
    let manifests = [
        Some(component.workload.as_str()),
        component.service_account.then_some("serviceaccount"),
        component.port.map(|_| "service"),
        component.ingress.as_ref().map(|_| "ingress"),
    ];
    Component {
        name: component.name.as_str(),
        image: image(&component.image),
        runs: runs(component.workload),
        schedule: component.schedule.as_ref().map(Schedule::as_str),
        time_zone: component.time_zone.as_ref().map(TimeZone::as_str),
        args: component.args.as_slice(),
        port: component.port,
        replicas: component.replicas,
        ingress: component.ingress.as_ref().map(Host::as_str),
        tls_secret: component.tls_secret(),
        tls_issuer: component.tls_issuer.as_ref().map(ClusterIssuer::as_str),
        health_path: component.health_path.as_ref().map(HealthPath::as_str),
        service_account: component.service_account,
        public: component.is_public(),
        config_file: component.config.then(|| answers::Component::config_file(&prefix)),
        settings: component.settings.as_ref().map(Config::text),
        manifests: manifests
            .into_iter()
            .flatten()
            .map(|name| format!("{prefix}{name}.yaml"))
            .collect(),
        prefix,
    }
}

fn parts(answers: &Answers) -> Vec<&'static str> {
    let of = |one: &answers::Component| {
        let parts = [(one.config, "config"), (one.service_account, "account"), (one.tls, "tls")];
        let parts = parts.into_iter().filter_map(|(has, part)| has.then_some(part));
        parts.chain([one.workload.as_str()]).collect::<Vec<_>>()
    };
    answers.components.iter().flat_map(of).collect()
}

fn runs(workload: Workload) -> Runs {
    Runs { workload: workload.as_str(), kind: workload.kind(), api_version: workload.api_version() }
}

fn image(image: &answers::ImageRef) -> Image<'_> {
    Image {
        reference: image.as_str(),
        name: image.name(),
        tag: image.tag(),
        digest: image.digest(),
    }
}

fn environment<'a>(environment: &'a answers::Environment, answers: &'a Answers) -> Environment<'a> {
    let all = answers.components.iter().zip(&environment.deployed);
    let workloads: Vec<_> = all.map(|(component, here)| deployed(component, here)).collect();
    Environment {
        name: environment.name.as_str(),
        lone: answers.environments.rest.is_empty(),
        namespace: environment.namespace.as_str(),
        context: environment.context.as_ref().map(answers::ContextName::as_str),
        protect: environment.protect,
        overlay: environment.overlay(),
        secrets: &environment.secrets,
        secret_file: environment.secret_file(&answers.secret_name),
        replicas: environment.replicas,
        pods: environment.deployed.first().and_then(|main| main.replicas),
        ingress: environment.ingress.as_ref().map(Host::as_str),
        patches: workloads.iter().any(|one| one.ingress.is_some()),
        counts: workloads.iter().any(|one| one.replicas.is_some()),
        images: distinct(
            environment
                .deployed
                .iter()
                .filter(|deployed| deployed.has_tag)
                .map(|deployed| image(&deployed.image)),
        ),
        workloads,
    }
}

fn deployed<'a>(
    component: &'a answers::Component,
    deployed: &'a answers::Deployed,
) -> Deployed<'a> {
    Deployed {
        name: component.name.as_str(),
        runs: runs(component.workload),
        replicas: deployed.replicas.filter(|_| component.workload == Workload::Deployment),
        ingress: deployed.host.as_ref().map(Host::as_str),
        has_tls: deployed.tls,
    }
}

/// The images without duplicate names: all components with the same image share its tag.
fn distinct<'a>(all: impl Iterator<Item = Image<'a>>) -> Vec<Image<'a>> {
    let mut images: Vec<Image> = Vec::new();
    for one in all {
        if images.iter().all(|image| image.name != one.name) {
            images.push(one);
        }
    }
    images
}
