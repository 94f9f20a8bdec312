//! The environments of a project.

use super::component::REPLICAS;
use super::location::{DEFAULT_SECRETS, SecretsDir};
use super::{
    Answer, Component, ContextName, DnsLabel, EnvironmentName, Host, ImageRef, Name, ProjectName,
    Refused, Replicas, Switch, Values, given,
};

/// A namespace to which the project is deployed, and what differs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The name.
    pub name: EnvironmentName,
    /// The namespace.
    pub namespace: DnsLabel,
    /// The kubectl context of its cluster; `None` for the current one.
    pub context: Option<ContextName>,
    /// Whether `make` asks before it changes anything there.
    pub protect: bool,
    /// The number of pods of the project's own component.
    pub replicas: u32,
    /// The host of that component's Ingress.
    pub ingress: Option<Host>,
    /// The directory of its Secrets, below the top of the repository.
    pub secrets: String,
    /// How each component differs there, in the components' order.
    pub deployed: Vec<Deployed>,
}

impl Environment {
    /// The answers that an environment's section of a file may contain.
    pub const NAMES: [Name; 6] = [
        Name::Namespace,
        Name::Context,
        Name::Protect,
        Name::Replicas,
        Name::Ingress,
        Name::Secrets,
    ];

    /// The file in its overlay that the Makefile includes.
    pub const SETTINGS: &str = "environment.mk";

    /// The directory of Secrets if the environments were not named.
    pub const SECRETS: &str = DEFAULT_SECRETS;

    /// Whether it is called `name`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name.as_str() == name
    }

    /// The default file of the pull secret.
    #[must_use]
    pub fn default_secret_file() -> String {
        format!("{}/{}.secret.yaml", Self::SECRETS, DnsLabel::gitlab())
    }

    /// The directory of its kustomization, below the top of the repository.
    #[must_use]
    pub fn overlay(&self) -> String {
        format!("kubernetes/overlays/{}", self.name)
    }

    /// The file with its pipeline jobs.
    #[must_use]
    pub fn pipeline_file(&self) -> String {
        format!(".gitlab/{}.yml", self.name)
    }

    /// Whether the environment's name can be prepended to the host of a further component's
    /// Ingress.
    pub(super) fn has_room_for(&self, component: &Component) -> bool {
        component.ingress.as_ref().is_none_or(|host| self.name.host(host, self.protect).is_ok())
    }

    /// The file of the Secret `name`, below the top of the repository.
    #[must_use]
    pub fn secret_file(&self, name: &DnsLabel) -> String {
        format!("{}/{name}.secret.yaml", self.secrets)
    }

    /// The environment of a repository for which none was named: `production`, unprotected.
    pub(super) fn only(
        project: &ProjectName,
        values: &Values,
        replicas: u32,
        ingress: Option<Host>,
    ) -> Result<Self, Refused> {
        Ok(Self {
            name: EnvironmentName::production(),
            namespace: given(values, Name::Namespace)?.unwrap_or_else(|| DnsLabel::from(project)),
            context: given(values, Name::Context)?,
            protect: false,
            replicas,
            ingress,
            secrets: Self::SECRETS.to_owned(),
            deployed: Vec::new(),
        })
    }

    /// The environment `name`. Values that `values` lacks are derived from `common`.
    pub(super) fn named(
        name: EnvironmentName,
        values: &Values,
        project: &ProjectName,
        common: &Common,
    ) -> Result<Self, Refused> {
        let asks = match given::<Switch>(values, Name::Protect)? {
            Some(switch) => switch.0,
            None => name.is_production(),
        };
        let pattern = common.namespace.as_deref().unwrap_or("{project}-{env}");
        let namespace = match given(values, Name::Namespace)? {
            Some(namespace) => namespace,
            None => DnsLabel::parse(
                &pattern.replace("{project}", project.as_str()).replace("{env}", name.as_str()),
            )
            .map_err(|rule| Refused::Broken(Name::Namespace, rule))?,
        };
        let replicas = given::<Replicas>(values, Name::Replicas)?.map(|replicas| replicas.0);
        let ingress = match (given(values, Name::Ingress)?, &common.ingress) {
            (Some(host), _) => Some(host),
            (None, Some(host)) => {
                Some(name.host(host, asks).map_err(|rule| Refused::Broken(Name::Ingress, rule))?)
            }
            (None, None) => None,
        };
        let secrets = match given::<SecretsDir>(values, Name::Secrets)? {
            Some(dir) => dir.into_text(),
            None => format!("{}/{name}", Self::SECRETS),
        };
        Ok(Self {
            context: given(values, Name::Context)?.or_else(|| common.context.clone()),
            replicas: replicas.or(common.replicas).unwrap_or(REPLICAS),
            name,
            namespace,
            protect: asks,
            ingress,
            secrets,
            deployed: Vec::new(),
        })
    }
}

/// Settings of all environments that do not override them.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// A namespace that may contain `{project}` and `{env}`.
    pub namespace: Option<String>,
    pub context: Option<ContextName>,
    pub replicas: Option<u32>,
    /// The host of production and of protected environments; those of others are subdomains.
    pub ingress: Option<Host>,
}

/// A component in an environment. Derived by rule until users change the manifests, so it is not an
/// answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The image, with the tag or digest of the environment.
    pub image: ImageRef,
    /// Whether the kustomization sets that tag; otherwise the manifest does.
    pub has_tag: bool,
    /// The number of pods; `None` if the base sets it, or nothing does.
    pub replicas: Option<u32>,
    /// The host of its Ingress; `None` if the base sets it, or nothing does.
    pub host: Option<Host>,
    /// Whether that host is also in its certificate.
    pub tls: bool,
}

impl Deployed {
    /// `component` in `environment`, derived by rule. `main` is the project's own component.
    pub(super) fn new(environment: &Environment, component: &Component, main: &Component) -> Self {
        Self {
            image: component.image.clone(),
            has_tag: true,
            replicas: replicas(environment, component, main),
            tls: component.tls,
            host: host(environment, component, main),
        }
    }
}

fn replicas(environment: &Environment, component: &Component, main: &Component) -> Option<u32> {
    let differs = component.name == main.name && environment.replicas != component.replicas;
    differs.then_some(environment.replicas)
}

/// The host, if it differs from that in the base.
fn host(environment: &Environment, component: &Component, main: &Component) -> Option<Host> {
    let shared = component.ingress.as_ref()?;
    let host = if component.name == main.name {
        environment.ingress.clone()?
    } else {
        environment.name.host(shared, environment.protect).ok()?
    };
    (host != *shared).then_some(host)
}
