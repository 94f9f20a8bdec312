//! What `docker login` and podman stored: their files, their credential helpers.
//!
//! Places and order: docker/cli `cli/config/config.go`; containers-auth.json(5).

use super::read_file;
use crate::advice::Advice;
use crate::answers::{Answer, ImageRef, RegistryKey, TokenUsername};
use crate::environment;
use crate::error::{Failure, Result};
use crate::pull_secret::DeployToken;
use crate::secret::Secret;
use docker_credential::{CredentialRetrievalError as Fault, DockerCredential, get_credential_from_reader};
use serde_json::Value;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The credentials for `registry`, from `file` or the first of the usual files that has them.
pub(super) fn read(
    file: Option<&Path>,
    registry: &RegistryKey,
    image: Option<&ImageRef>,
) -> Result<DeployToken> {
    let servers = servers(registry, image);
    if let Some(file) = file {
        let config = Config::open(file)?;
        return config.find(&servers)?.ok_or_else(|| no_login(&[file.to_owned()], registry).into());
    }
    let files: Vec<_> = usual_files().into_iter().filter(|file| file.is_file()).collect();
    for file in &files {
        if let Some(token) = Config::open(file)?.find(&servers)? {
            return Ok(token);
        }
    }
    Err(no_login(&files, registry).into())
}

/// Where docker and podman keep logins, podman's override first.
fn usual_files() -> Vec<PathBuf> {
    let below = |dir: Option<PathBuf>, file: &str| dir.map(|dir| dir.join(file));
    let home = environment::home();
    let docker = environment::path("DOCKER_CONFIG").or_else(|| below(home.clone(), ".docker"));
    [
        environment::path("REGISTRY_AUTH_FILE"),
        below(docker, "config.json"),
        below(home, ".dockercfg"),
        below(environment::path("XDG_RUNTIME_DIR"), "containers/auth.json"),
        below(environment::config_home(), "containers/auth.json"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Names under which a login for `registry` may be stored, the likeliest first. Podman stores logins
/// for a path, too.
fn servers(registry: &RegistryKey, image: Option<&ImageRef>) -> Vec<String> {
    let host = registry.host();
    let mut servers = Vec::new();
    if let Some(image) = image.filter(|image| image.host() == host) {
        let mut path = image.name();
        while let Some((parent, _)) = path.rsplit_once('/') {
            servers.push(path.to_owned());
            path = parent;
        }
    }
    servers.push(registry.as_str().to_owned());
    if matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        servers.extend(["https://index.docker.io/v1/", "index.docker.io", "docker.io"].map(str::to_owned));
    }
    servers.extend(["", "https://", "http://"].map(|scheme| format!("{scheme}{host}")));
    servers.extend(["v1", "v2"].map(|version| format!("https://{host}/{version}/")));
    servers
}

fn no_login(files: &[PathBuf], registry: &RegistryKey) -> Failure {
    let list: Vec<_> = files.iter().map(|file| format!("`{}`", file.display())).collect();
    let cause = match list.len() {
        0 => "there is no docker or podman configuration".to_owned(),
        _ => format!("looked into {}", list.join(", ")),
    };
    Failure::failed(format!("no login for `{registry}` found"))
        .because(cause)
        .hint(Advice::anywhere("docker login").arg(registry.host()))
}

/// A docker configuration file.
struct Config<'a> {
    file: &'a Path,
    /// The file in today's form: old ones (`~/.dockercfg`) have no `auths` around their entries.
    text: Zeroizing<String>,
    /// The servers under `auths`.
    stored: Vec<String>,
    /// Names of the credential helpers: for all servers, and for single ones.
    store: Option<String>,
    helpers: Vec<(String, String)>,
}

impl<'a> Config<'a> {
    fn open(file: &'a Path) -> Result<Self> {
        let text = read_file(file, "--from-docker-config")?;
        let not_ours = |cause: &str| {
            Failure::failed(format!("`{}` is not a docker configuration", file.display()))
                .because(cause)
                .hint(Advice::anywhere("ls -l").path(file))
        };
        // The parser's own words could quote a credential.
        let Ok(Value::Object(object)) = serde_json::from_str(&text) else {
            return Err(not_ours("it holds no JSON object").into());
        };
        let word = |value: &Value| value.as_str().map(str::to_owned).filter(|text| !text.is_empty());
        let helpers = object.get("credHelpers").and_then(Value::as_object).into_iter().flatten();
        let stored = object.get("auths").and_then(Value::as_object).into_iter().flatten();
        let old_form = !object.is_empty()
            && object.iter().all(|(key, entry)| key != "auths" && entry.get("auth").is_some());
        Ok(Self {
            file,
            stored: stored.map(|(server, _)| server.clone()).collect(),
            store: object.get("credsStore").and_then(word),
            helpers: helpers.filter_map(|(server, name)| Some((server.clone(), word(name)?))).collect(),
            text: if old_form { Zeroizing::new(format!("{{\"auths\":{}}}", *text)) } else { text },
        })
    }

    fn find(&self, servers: &[String]) -> Result<Option<DeployToken>> {
        // A helper knows hosts only: it is not asked about every path above an image.
        let is_path = |server: &str| !server.contains("://") && server.contains('/');
        for server in servers.iter().filter(|server| !is_path(server) || self.stored.contains(server)) {
            let found = get_credential_from_reader(self.text.as_bytes(), server);
            let failure = match found {
                Ok(DockerCredential::UsernamePassword(username, value)) => {
                    return self.token(&username, Secret::new(value)).map(Some);
                }
                Ok(DockerCredential::IdentityToken(token)) => {
                    drop(Secret::new(token));
                    return Err(self.refused(
                        "the login is an identity token, which the kubelet ignores: it would pull anonymously",
                        "sign in with the deploy token: {docker login -u USERNAME --password-stdin}",
                    ));
                }
                Err(Fault::NoCredentialConfigured) => continue,
                // A helper that knows nothing of the server says so in its own way and fails.
                Err(Fault::HelperFailure { stdout, stderr, .. }) => {
                    let (stdout, stderr) = (Zeroizing::new(stdout), Zeroizing::new(stderr));
                    if [&stdout, &stderr].iter().any(|text| text.contains("credentials not found")) {
                        continue;
                    }
                    format!("the credential helper `{}` failed", self.helper(server))
                }
                Err(Fault::HelperCommunicationError) => {
                    format!("the credential helper `{}` cannot be run", self.helper(server))
                }
                Err(Fault::MalformedHelperResponse) => {
                    format!("the credential helper `{}` gave no answer that can be read", self.helper(server))
                }
                Err(Fault::CredentialDecodingError) => {
                    "an `auth` in it is not base64 of USERNAME:PASSWORD".to_owned()
                }
                Err(Fault::CredentialMismatchError) => {
                    "an `auth` in it says something else than `username` and `password`".to_owned()
                }
                Err(Fault::ConfigReadError | Fault::ConfigNotFound) => {
                    "an entry in it is not of the form that docker writes".to_owned()
                }
            };
            let server = server.trim_start_matches("https://");
            return Err(self.refused(&failure, Advice::anywhere("docker login").arg(server)));
        }
        Ok(None)
    }

    /// The program that docker would ask about `server`.
    fn helper(&self, server: &str) -> String {
        let own = self.helpers.iter().find(|(name, _)| name == server).map(|(_, helper)| helper);
        format!("docker-credential-{}", own.or(self.store.as_ref()).map_or("", String::as_str))
    }

    fn token(&self, username: &str, value: Secret) -> Result<DeployToken> {
        if username == "<token>" {
            return Err(self.refused(
                "the login is an identity token, which the kubelet ignores",
                "{docker login -u USERNAME}",
            ));
        }
        let again = "{docker login -u USERNAME --password-stdin}";
        let username = TokenUsername::parse(username)
            .map_err(|rule| self.refused(&format!("its user name {rule}"), again))?;
        DeployToken::new(username, value).map_err(|rule| self.refused(&format!("its password {rule}"), again))
    }

    fn refused(&self, cause: &str, hint: impl Into<Advice>) -> anyhow::Error {
        Failure::failed(format!("cannot use the login in `{}`", self.file.display()))
            .because(cause)
            .hint(hint)
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_for_the_narrowest_login_first() {
        let registry = RegistryKey::parse("registry.gitlab.com").unwrap();
        let image = ImageRef::parse("registry.gitlab.com/me/app:1").unwrap();
        let servers = servers(&registry, Some(&image));
        assert_eq!(
            servers[..3],
            ["registry.gitlab.com/me/app", "registry.gitlab.com/me", "registry.gitlab.com"]
        );
    }

    #[test]
    fn knows_all_names_of_docker_hub() {
        let registry = RegistryKey::parse("https://index.docker.io/v1/").unwrap();
        assert!(servers(&registry, None).contains(&"docker.io".to_owned()));
    }
}
