//! A real registry and a token service like GitLab's, each on its own port, stopped when dropped.

use super::support::{TOKEN, USER, cache, have};
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::{env, fs, thread};
use tempfile::TempDir;

/// GitLab's realm, under whose name a registry refers to the token service.
pub const REALM: &str = "gitlab.test";

/// Registry and token service, with images in the registry:
///
/// `group/hello:1.0.0` for linux/amd64, `group/hello:many` for linux/amd64 and linux/arm64,
/// `library/hello:1.0.0`, and `open/hello:1.0.0`, which is public.
pub struct Bed {
    dir: TempDir,
    registry: Server,
    service: Server,
    authority: Option<Authority>,
}

/// The configuration of a bed.
#[derive(Default)]
pub struct Setup<'s> {
    /// Names in the certificate of both; if empty, plain http.
    pub tls: &'s [&'s str],
    /// Whether that certificate expired yesterday.
    pub expired: bool,
    /// The registry's own `auth` configuration in YAML; `None` for the token service.
    pub auth: Option<String>,
    /// The token service's URL, as the registry names it; `None` for its address.
    pub realm: Option<&'s str>,
    /// Further arguments of the token service.
    pub service: &'s [&'s str],
}

impl Bed {
    /// Starts a bed with plain http.
    pub fn start() -> Option<Self> {
        Self::with(&Setup::default())
    }

    pub fn with(setup: &Setup) -> Option<Self> {
        let programs = programs()?;
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tokens")).unwrap();
        let authority = (!setup.tls.is_empty()).then(Authority::new);
        let certificate = authority
            .as_ref()
            .map(|authority| authority.certify(dir.path(), setup.tls, setup.expired));
        let file = |name: &str| dir.path().join(name).display().to_string();
        let (tokens, key, cert) = (file("tokens"), file("signing.key"), file("signing.crt"));
        let mut args =
            vec!["--tokens", &tokens, "--key", &key, "--cert", &cert, "--public", "open"];
        if let Some((cert, key)) = &certificate {
            args.extend(["--tls-cert", cert, "--tls-key", key]);
        }
        args.extend(setup.service);
        let service = Server::start(Command::new(&programs.service).args(args), Some);
        let scheme = if authority.is_some() { "https" } else { "http" };
        let realm = format!("{scheme}://{}/jwt/auth", service.address);
        let auth = setup.auth.clone().unwrap_or_else(|| {
            json!({"token": {
                "realm": setup.realm.unwrap_or(&realm), "service": "container_registry",
                "issuer": "gitlab-issuer", "rootcertbundle": cert,
            }})
            .to_string()
        });
        let tls = certificate.map(|(cert, key)| json!({"certificate": cert, "key": key}));
        let registry = Server::registry(programs, dir.path(), &auth, tls);
        let bed = Self { dir, registry, service, authority };
        bed.knows(TOKEN, "group", "read_registry");
        Some(bed)
    }

    /// The address of the registry.
    pub fn host(&self) -> &str {
        &self.registry.address
    }

    /// The address of the token service.
    pub fn service(&self) -> &str {
        &self.service.address
    }

    /// The image `path` on the registry.
    pub fn image(&self, path: &str) -> String {
        format!("{}/{path}", self.host())
    }

    /// The certificate of the authority that signed the servers' own.
    pub fn ca_file(&self) -> String {
        let file = self.dir.path().join("ca.pem");
        fs::write(&file, self.authority.as_ref().unwrap().pem()).unwrap();
        file.display().to_string()
    }

    /// Makes this the only valid deploy token, with the tests' user.
    pub fn knows(&self, token: &str, project: &str, scope: &str) {
        let file = self.dir.path().join("tokens/token.json");
        let text =
            json!({"username": USER, "password": token, "projects": [project], "scopes": [scope]});
        fs::write(file.with_extension("new"), text.to_string()).unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    }

    /// The directory of the token service's deploy tokens, after deleting the one of
    /// [`Bed::knows`].
    pub fn tokens_of_others(&self) -> PathBuf {
        let dir = self.dir.path().join("tokens");
        let _ = fs::remove_file(dir.join("token.json"));
        dir
    }

    /// The token service's answers to requests with credentials: `SCOPE STATUS` each, from its log.
    pub fn sign_ins(&self) -> Vec<String> {
        self.sign_ins_of(USER)
    }

    /// Like [`Bed::sign_ins`], for another user.
    pub fn sign_ins_of(&self, user: &str) -> Vec<String> {
        let log = self.service.log.lock().unwrap();
        let user = format!("user={user:?} scope=");
        log.lines().filter_map(|line| Some(line.split_once(&user)?.1.to_owned())).collect()
    }

    /// The logs of both.
    pub fn logs(&self) -> String {
        self.registry.log.lock().unwrap().clone() + &self.service.log.lock().unwrap()
    }
}

/// A certificate authority that no machine trusts.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// The configuration of a TLS server with these names.
    pub fn server_config(&self, names: &[&str]) -> ServerConfig {
        let (certificate, key) = self.issue(names, false);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }

    /// A certificate for `names` and its key, as two files in `dir`.
    fn certify(&self, dir: &Path, names: &[&str], expired: bool) -> (String, String) {
        let (certificate, key) = self.issue(names, expired);
        let (cert_file, key_file) = (dir.join("tls.crt"), dir.join("tls.key"));
        fs::write(&cert_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file.display().to_string(), key_file.display().to_string())
    }

    fn issue(&self, names: &[&str], expired: bool) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(if expired { 2020 } else { 2999 }, 1, 1);
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// A running server and its output.
struct Server {
    child: Child,
    address: String,
    log: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Server {
    fn registry(programs: &Programs, dir: &Path, auth: &str, tls: Option<Value>) -> Self {
        let mut http = json!({"addr": "127.0.0.1:0", "secret": "not one"});
        if let Some(tls) = tls {
            http["tls"] = tls;
        }
        let mut config = json!({
            "version": "0.1", "http": http,
            "storage": {"filesystem": {"rootdirectory": programs.storage}, "maintenance": {"readonly": {"enabled": true}}},
        });
        if !auth.is_empty() {
            config["auth"] = serde_json::from_str(auth).unwrap();
        }
        let file = dir.join("registry.yaml");
        fs::write(&file, config.to_string()).unwrap();
        Self::start_registry(&programs.registry, &file)
    }

    fn start_registry(program: &Path, config: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg("serve").arg(config).env("OTEL_TRACES_EXPORTER", "none");
        Self::start(&mut command, |line| {
            let rest = line.split_once("listening on ")?.1;
            Some(rest.split([',', '"']).next().unwrap().to_owned())
        })
    }

    /// Starts `command`, and waits for the line from which `address` extracts the address.
    fn start(command: &mut Command, address: impl Fn(String) -> Option<String>) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let (sender, lines) = std::sync::mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let (log, sender) = (log.clone(), sender.clone());
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    log.lock().unwrap().push_str(&format!("{line}\n"));
                    let _ = sender.send(line);
                }
            });
        }
        drop(sender);
        let mut server = Self { child, address: String::new(), log };
        server.address = lines.iter().find_map(address).unwrap_or_else(|| {
            panic!("{command:?} did not start:\n{}", server.log.lock().unwrap())
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The programs of a bed.
struct Programs {
    registry: PathBuf,
    service: PathBuf,
    storage: PathBuf,
}

/// The programs, built once for all tests; `None` if one is missing.
fn programs() -> Option<&'static Programs> {
    static PROGRAMS: OnceLock<Option<Programs>> = OnceLock::new();
    PROGRAMS
        .get_or_init(|| {
            let registry = registry()?;
            if !["go", "skopeo"].into_iter().all(have) {
                return None;
            }
            let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let service = tmp.join("token-service");
            let storage = tmp.join("registry");
            build_service(&service);
            store_images(&registry, &storage);
            Some(Programs { registry, service, storage })
        })
        .as_ref()
}

/// Debian's docker-registry, as unpacked by tests/cluster/debian or as installed.
fn registry() -> Option<PathBuf> {
    let unpacked = cache()?.join("debian/usr/bin/docker-registry");
    if unpacked.is_file() {
        return Some(unpacked);
    }
    have("docker-registry").then(|| "docker-registry".into())
}

fn build_service(service: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/token-service");
    // A single file that only uses the standard library, so no module is needed.
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(service)
        .arg("main.go")
        .current_dir(source)
        .env("GO111MODULE", "off")
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Fills a registry's storage with images that consist of an empty layer.
fn store_images(registry: &Path, storage: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let _ = fs::remove_dir_all(storage);
    let config = json!({
        "version": "0.1", "http": {"addr": "127.0.0.1:0", "secret": "not one"},
        "storage": {"filesystem": {"rootdirectory": storage}},
    });
    let config_file = dir.path().join("registry.yaml");
    fs::write(&config_file, config.to_string()).unwrap();
    let server = Server::start_registry(registry, &config_file);
    for architecture in ["amd64", "arm64"] {
        let archive = dir.path().join(format!("{architecture}.tar"));
        run(&format!(
            "mkdir -p root && tar -C root -cf layer.tar . && digest=$(sha256sum layer.tar | cut -d' ' -f1) &&
             printf '{{\"architecture\":\"{architecture}\",\"os\":\"linux\",\"config\":{{}},\"rootfs\":{{\"type\":\"layers\",\
             \"diff_ids\":[\"sha256:%s\"]}}}}' \"$digest\" >config.json &&
             printf '[{{\"Config\":\"config.json\",\"RepoTags\":[\"hello:1\"],\"Layers\":[\"layer.tar\"]}}]' >manifest.json &&
             tar -cf {} manifest.json config.json layer.tar", archive.display()), dir.path());
        for reference in
            ["group/hello:1.0.0", "group/second:1.0.0", "library/hello:1.0.0", "open/hello:1.0.0"]
        {
            let reference = if architecture == "amd64" { reference } else { "group/hello:arm64" };
            run(
                &format!(
                    "skopeo --insecure-policy copy --quiet --dest-tls-verify=false docker-archive:{} docker://{}/{reference}",
                    archive.display(),
                    server.address
                ),
                dir.path(),
            );
        }
    }
    // skopeo cannot create an index.
    let entry = |tag: &str, architecture: &str| {
        let url = format!("http://{}/v2/group/hello/manifests/{tag}", server.address);
        let media_type = "application/vnd.docker.distribution.manifest.v2+json";
        let mut response = ureq::get(url).header("Accept", media_type).call().unwrap();
        let digest = response.headers()["Docker-Content-Digest"].to_str().unwrap().to_owned();
        let size = response.body_mut().read_to_vec().unwrap().len();
        json!({"mediaType": media_type, "digest": digest, "size": size,
               "platform": {"os": "linux", "architecture": architecture}})
    };
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type,
                       "manifests": [entry("1.0.0", "amd64"), entry("arm64", "arm64")]});
    let url = format!("http://{}/v2/group/hello/manifests/many", server.address);
    let put = ureq::put(url).header("Content-Type", media_type).send(index.to_string()).unwrap();
    assert_eq!(put.status(), 201);
}

fn run(script: &str, dir: &Path) {
    let output = Command::new("sh").args(["-ec", script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}
