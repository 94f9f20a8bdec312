//! The template contract: every variable that a template may use. Pure, from the answers alone.

use crate::answers::{Answers, DnsLabel, Email, HealthPath, Host};
use serde::Serialize;

/// The variables of every template. Absent answers are null, so that `{% if %}` can ask for them.
#[derive(Clone, Serialize)]
pub struct Context<'a> {
    project: &'a str,
    directory: String,
    namespace: &'a str,
    image: Image<'a>,
    port: u16,
    replicas: u32,
    ingress: Option<&'a str>,
    health_path: Option<&'a str>,
    pod_security: &'static str,
    registry: &'a str,
    email: Option<&'a str>,
    ci: &'static str,
    secret: Secret<'a>,
    version: &'static str,
    expires_at: Option<&'a str>,
}

#[derive(Clone, Serialize)]
struct Image<'a> {
    reference: &'a str,
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

#[derive(Clone, Serialize)]
struct Secret<'a> {
    name: &'a str,
    option: &'static str,
    r#type: &'static str,
    data_key: &'static str,
    file: String,
    payload: Option<&'a str>,
}

/// What the pull secret's template gets, and no other.
pub struct Payload<'a> {
    /// Base64 of the docker config: the value of the Secret's one `data` key.
    pub base64: &'a str,
    /// The token's expiry.
    pub expires_at: Option<&'a str>,
}

impl<'a> Context<'a> {
    /// Name of the pull secret, which is in its file's name, too.
    #[must_use]
    pub fn secret_name(&self) -> &str {
        self.secret.name
    }

    /// The variables for the pull secret's template.
    #[must_use]
    pub fn with_payload(&self, payload: &Payload<'a>) -> Self {
        let mut context = self.clone();
        context.secret.payload = Some(payload.base64);
        context.expires_at = payload.expires_at;
        context
    }
}

impl<'a> From<&'a Answers> for Context<'a> {
    fn from(answers: &'a Answers) -> Self {
        Self {
            project: answers.project.as_str(),
            directory: answers.project.directory(),
            namespace: answers.namespace.as_str(),
            image: Image {
                reference: answers.image.as_str(),
                name: answers.image.name(),
                tag: answers.image.tag(),
                digest: answers.image.digest(),
            },
            port: answers.port,
            replicas: answers.replicas,
            ingress: answers.ingress.as_ref().map(Host::as_str),
            health_path: answers.health_path.as_ref().map(HealthPath::as_str),
            pod_security: answers.pod_security.as_str(),
            registry: answers.registry.as_str(),
            email: answers.email.as_ref().map(Email::as_str),
            ci: answers.ci.as_str(),
            secret: Secret {
                name: answers.secret_name.as_str(),
                option: answers.secret_type.as_str(),
                r#type: answers.secret_type.kubernetes_type(),
                data_key: answers.secret_type.data_key(),
                file: secret_file(&answers.secret_name),
                payload: None,
            },
            version: env!("CARGO_PKG_VERSION"),
            expires_at: None,
        }
    }
}

/// Where the pull secret called `name` lives, below the top of the repository.
#[must_use]
pub fn secret_file(name: &DnsLabel) -> String {
    format!("secrets/kubernetes/{name}.secret.yaml")
}
