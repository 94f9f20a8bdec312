//! Logins stored by `docker login` and podman: their files and credential helpers.
//!
//! Paths and precedence: docker/cli `cli/config/config.go`; containers-auth.json(5).

use super::read_bytes;
use crate::advice::Advice;
use crate::answers::{Answer, ImageRef, RegistryKey, TokenUsername};
use crate::environment;
use crate::error::{Failure, Result};
use crate::pull_secret::DeployToken;
use crate::pull_secret::go_json::{self, Member, Text};
use crate::secret::Secret;
use docker_credential::{
    CredentialRetrievalError as Fault, DockerCredential, get_credential_from_reader,
};
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

/// The files in which docker and podman store logins, podman's override first.
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

/// Names under which a login for `registry` may be stored, most likely first. Podman also stores
/// logins for a path.
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
        servers.extend(
            ["https://index.docker.io/v1/", "index.docker.io", "docker.io"].map(str::to_owned),
        );
    }
    servers.extend(["", "https://", "http://"].map(|scheme| format!("{scheme}{host}")));
    servers.extend(["v1", "v2"].map(|version| format!("https://{host}/{version}/")));
    servers
}

fn no_login(files: &[PathBuf], registry: &RegistryKey) -> Failure {
    let list: Vec<_> = files.iter().map(|file| format!("`{}`", file.display())).collect();
    let cause = match list.len() {
        0 => "no docker or podman configuration found".to_owned(),
        _ => format!("searched in {}", list.join(", ")),
    };
    Failure::failed(format!("no login for `{registry}` found"))
        .because(cause)
        .hint(Advice::anywhere("docker login").arg(registry.host()))
}

/// A docker configuration file.
struct Config<'a> {
    file: &'a Path,
    /// The parts of the file that docker reads, in today's format and normalised.
    text: Zeroizing<String>,
    /// The servers under `auths`.
    stored: Vec<String>,
    /// Names of the credential helpers: for all servers, and for single ones.
    store: Option<String>,
    helpers: Vec<(String, String)>,
}

impl<'a> Config<'a> {
    fn open(file: &'a Path) -> Result<Self> {
        let bytes = read_bytes(file, "--from-docker-config")?;
        let not_ours = |cause: &str| {
            Failure::failed(format!("`{}` is not a docker configuration", file.display()))
                .because(cause)
                .hint(Advice::anywhere("ls -l").path(file))
        };
        if let Some(encoding) = foreign_encoding(&bytes) {
            let recode = match encoding {
                BOM => Advice::anywhere("tail -c +4"),
                _ => Advice::anywhere("iconv -f UTF-16 -t UTF-8"),
            };
            return Err(Failure::failed(format!(
                "`{}` is not a docker configuration",
                file.display()
            ))
            .because(format!("{encoding}, which docker does not support"))
            .hint(recode.path(file).with("> FILE").say(", then: --from-docker-config=FILE"))
            .into());
        }
        // The parser's own message could quote a credential.
        let document = go_json::document(&bytes);
        let members =
            go_json::members(&document).ok_or_else(|| not_ours("it is not a JSON object"))?;
        let mut config = Self {
            file,
            text: Zeroizing::default(),
            stored: Vec::new(),
            store: None,
            helpers: Vec::new(),
        };
        let mut auths: Vec<Member> = Vec::new();
        let is_entry = |member: &Member| {
            let fields = go_json::members(&member.value);
            fields.is_some_and(|fields| {
                fields.iter().any(|field| go_json::is_field(&field.name, "auth"))
            })
        };
        // The format of `~/.dockercfg`.
        if !members.is_empty() && members.iter().all(is_entry) {
            auths = members;
        } else {
            for Member { name, value } in members {
                if go_json::is_field(&name, "auths") {
                    auths.extend(go_json::members(&value).unwrap_or_default());
                } else if go_json::is_field(&name, "credsstore") {
                    config.store = word(&value);
                } else if go_json::is_field(&name, "credhelpers") {
                    let helpers = go_json::members(&value).unwrap_or_default().into_iter();
                    config.helpers.extend(
                        helpers.filter_map(|helper| Some((helper.name, word(&helper.value)?))),
                    );
                }
            }
        }
        config.text = plain_config(&auths, &config);
        config.stored = auths.into_iter().map(|entry| entry.name).collect();
        Ok(config)
    }

    fn find(&self, servers: &[String]) -> Result<Option<DeployToken>> {
        // Helpers only know hosts, so they are not asked about every path above an image.
        let is_path = |server: &str| !server.contains("://") && server.contains('/');
        for server in
            servers.iter().filter(|server| !is_path(server) || self.stored.contains(server))
        {
            let found = get_credential_from_reader(self.text.as_bytes(), server);
            let failure = match found {
                Ok(DockerCredential::UsernamePassword(username, value)) => {
                    return self.token(&username, Secret::new(value)).map(Some);
                }
                Ok(DockerCredential::IdentityToken(token)) => {
                    drop(Secret::new(token));
                    return Err(self.refused(
                        "the login is an identity token, which the kubelet ignores, so it would \
                         pull anonymously",
                        "sign in with the deploy token: {docker login -u USERNAME \
                         --password-stdin}",
                    ));
                }
                Err(Fault::NoCredentialConfigured) => continue,
                // A helper that does not know the server fails, with a message of its own.
                Err(Fault::HelperFailure { stdout, stderr, .. }) => {
                    let (stdout, stderr) = (Zeroizing::new(stdout), Zeroizing::new(stderr));
                    if [&stdout, &stderr].iter().any(|text| text.contains("credentials not found"))
                    {
                        continue;
                    }
                    format!("the credential helper `{}` failed", self.helper(server))
                }
                Err(Fault::HelperCommunicationError) => {
                    format!("cannot run the credential helper `{}`", self.helper(server))
                }
                Err(Fault::MalformedHelperResponse) => {
                    format!(
                        "the credential helper `{}` gave an unreadable answer",
                        self.helper(server)
                    )
                }
                Err(Fault::CredentialDecodingError) => {
                    "an `auth` is not base64 of USERNAME:PASSWORD".to_owned()
                }
                Err(Fault::CredentialMismatchError) => {
                    "an `auth` differs from `username` and `password`".to_owned()
                }
                Err(Fault::ConfigReadError | Fault::ConfigNotFound) => {
                    "an entry does not have the format that docker writes".to_owned()
                }
            };
            let server = server.trim_start_matches("https://");
            return Err(self.refused(&failure, Advice::anywhere("docker login").arg(server)));
        }
        Ok(None)
    }

    /// The helper program that docker would ask about `server`.
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
            .map_err(|rule| self.refused(&format!("the user name {rule}"), again))?;
        DeployToken::new(username, value)
            .map_err(|rule| self.refused(&format!("the password {rule}"), again))
    }

    fn refused(&self, cause: &str, hint: impl Into<Advice>) -> anyhow::Error {
        Failure::failed(format!("cannot use the login in `{}`", self.file.display()))
            .because(cause)
            .hint(hint)
            .into()
    }
}

const BOM: &str = "it begins with a byte order mark (BOM)";
const UTF16: &str = "it is UTF-16";

/// The name of the encoding of `bytes`, if only Windows uses it.
fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => Some(BOM),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => Some(UTF16),
        _ => None,
    }
}

/// The non-empty string in a field.
fn word(value: &str) -> Option<String> {
    match go_json::text(value) {
        Text::Of(mut text) if !text.is_empty() => Some(std::mem::take(&mut *text)),
        _ => None,
    }
}

/// A normalised docker configuration with `auths` and the helpers of `config`. Docker reads it as
/// Go does: names in any case, the last of repeated names, `null` as absent.
fn plain_config(auths: &[Member], config: &Config) -> Zeroizing<String> {
    let quoted = |text: &str| Zeroizing::new(serde_json::to_string(text).expect("a text is JSON"));
    let mut text = Zeroizing::new(String::with_capacity(64 * 1024));
    text.push_str("{\"auths\":{");
    for (at, entry) in auths.iter().enumerate() {
        if auths[at + 1..].iter().any(|later| later.name == entry.name) {
            continue;
        }
        if !text.ends_with('{') {
            text.push(',');
        }
        text.push_str(&quoted(&entry.name));
        text.push(':');
        match plain_entry(&entry.value) {
            Some(plain) => text.push_str(&plain),
            None => text.push_str(&entry.value),
        }
    }
    text.push('}');
    if let Some(store) = &config.store {
        text.push_str(&format!(",\"credsStore\":{}", *quoted(store)));
    }
    let helpers: Vec<_> = config
        .helpers
        .iter()
        .map(|(server, helper)| format!("{}:{}", *quoted(server), *quoted(helper)))
        .collect();
    text.push_str(&format!(",\"credHelpers\":{{{}}}}}", helpers.join(",")));
    text
}

/// A normalised entry with the relevant fields that are set; `None` if it does not have docker's
/// format.
fn plain_entry(value: &str) -> Option<Zeroizing<String>> {
    let fields = if value == "null" { Vec::new() } else { go_json::members(value)? };
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    text.push('{');
    for name in ["username", "password", "auth", "identitytoken"] {
        let mut found = go_json::field(&fields, name)?;
        if name == "auth" {
            // Go's base64 decoder skips line breaks.
            found.retain(|c| !matches!(c, '\r' | '\n'));
        }
        if !found.is_empty() {
            if !text.ends_with('{') {
                text.push(',');
            }
            let value = Zeroizing::new(serde_json::to_string(found.as_str()).ok()?);
            text.push_str(&format!("\"{name}\":"));
            text.push_str(&value);
        }
    }
    text.push('}');
    Some(text)
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
