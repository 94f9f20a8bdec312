//! Encrypted content and keys: key files, ciphertext, docker configs, Secrets, env files.

use super::{files, fuzz, is_bounded, parts, quotes_no_token, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use makeinfra::answers::{Answer, Expiry, ImageRef, RegistryKey, SecretType, TokenUsername};
use makeinfra::git_crypt::{Key, is_encrypted};
use makeinfra::manifests::documents;
use makeinfra::opaque::{self, Directory, DirectoryFault, EnvFile, Listing, Value};
use makeinfra::pull_secret::{
    DeployToken, DockerConfig, Edit, Hidden, Inspected, Manifest, Rewrite, RotatedEntry, Traces,
};
use makeinfra::secret::Secret;
use makeinfra::work_tree::Content;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

fn token() -> DeployToken {
    let username = TokenUsername::parse("gitlab+deploy-token-2").unwrap();
    let token = DeployToken::new(username, Secret::new("gldt-New_8Rz0xYm3".to_owned())).unwrap();
    token.expiring(Some(Expiry::parse("2027-12-31").unwrap()))
}

#[test]
fn a_key_file_that_is_read_is_written_with_the_same_key() {
    let words = [
        "\0GITCRYPTKEY",
        "\0\0\0\u{1}",
        "\0\0\0\u{3}",
        "\0\0\0\u{5}",
        "\0\0\0\u{2}",
        "\0\0\0\0",
        "\0\0\0 ",
        "\0\0\0@",
        "\u{7f}\u{7f}\u{7f}\u{7f}",
    ];
    fuzz("key-file", &words, Vec::new(), |bytes| {
        let Ok(key) = Key::from_file(bytes) else { return };
        let file = key.to_file();
        let again = Key::from_file(&file).unwrap();
        assert_eq!((file.len(), again.to_file()), (148, file));
        assert_eq!(again.encrypt(b"text"), key.encrypt(b"text"));
    });
}

#[test]
fn what_is_encrypted_is_decrypted_and_no_other_bytes_are() {
    let key = Key::from_file(&files(&["tests/fuzz/corpus/key-file/plain"])[0]).unwrap();
    fuzz("ciphertext", &["\0GITCRYPT\0"], Vec::new(), |bytes| {
        let file = key.encrypt(bytes);
        assert!(is_encrypted(&file) && file.len() == bytes.len() + 22);
        assert_eq!(key.decrypt(&file).unwrap().as_slice(), bytes);
        // Encrypting the decrypted text gives the same bytes.
        assert!(key.decrypt(bytes).is_none_or(|plain| key.encrypt(&plain) == bytes));
        let mut other = file;
        let at = bytes.len() * 7 % other.len();
        other[at] ^= 1;
        assert!(key.decrypt(&other).is_none());
    });
}

const CONFIG: [&str; 28] = [
    "{",
    "}",
    ",",
    ":",
    "\"auths\":",
    "\"AUTHS\":",
    "\"auth\":\"dTpw\"",
    "\"username\":\"u\"",
    "\"password\":\"gldt-Marker_7Qx9vWk2Zq4T8\"",
    "\"identitytoken\":\"x\"",
    "\"email\":null",
    "\"registry.gitlab.com\":{}",
    "\"https://index.docker.io/v1/\":",
    "\"credsStore\":\"x\"",
    "\"HttpHeaders\":{\"a\":\"b\"}",
    "null",
    "\\u017f",
    "\\ud83d\\ude00",
    "\\ud83d",
    "1e400",
    "-0",
    "[",
    "]",
    "true",
    "\"\"",
    "\"auth\":\"\\r\\n\"",
    "\"a\":{\"auth\":\"OmE=\"}",
    "\"p\\u0061ssword\"",
];

/// The measured docker configs.
fn configs() -> Vec<Vec<u8>> {
    let vectors = &files(&["tests/vectors/docker-configs.json"])[0];
    let vectors: serde_json::Value = serde_json::from_slice(vectors).unwrap();
    let rows = vectors["rows"].as_array().unwrap().iter().take(200);
    rows.filter_map(|row| STANDARD.decode(row["data"].as_str()?).ok()).collect()
}

#[test]
fn a_docker_config_that_is_read_is_written_with_the_same_entries() {
    let registry = RegistryKey::parse("new.example.com").unwrap();
    fuzz("docker-config", &CONFIG, configs(), |bytes| {
        for kind in SecretType::ALL {
            let mut config = match DockerConfig::from_json(kind, bytes) {
                Ok(config) => config,
                Err(fault) => {
                    quotes_no_token(fault);
                    continue;
                }
            };
            let written = config.encode(kind);
            is_bounded(written.expose().len(), bytes.len());
            let again = DockerConfig::decode(kind, written.expose()).unwrap();
            assert_eq!(again.encode(kind).expose(), written.expose());
            assert!(again.keys().eq(config.keys()));
            let keys: Vec<String> = config.keys().map(str::to_owned).collect();
            for key in &keys {
                assert_eq!(again.username(key), config.username(key));
                assert!(again.shares(key, &config, key) || again.authorization(key).is_none());
            }
            config.set(registry.as_str(), &token(), None);
            let with = DockerConfig::decode(kind, config.encode(kind).expose()).unwrap();
            assert!(with.holds(registry.as_str(), &token()));
            for key in keys.iter().filter(|key| *key != registry.as_str()) {
                assert_eq!(with.username(key), again.username(key));
            }
        }
    });
}

const SECRET: [&str; 24] = [
    "apiVersion: v1\n",
    "kind: Secret\n",
    "type: kubernetes.io/dockercfg\n",
    "type: kubernetes.io/dockerconfigjson\n",
    "metadata:\n",
    "  name: gitlab\n",
    "  annotations:\n",
    "    makeinfra/expires-at: \"2027-01-01\"\n",
    "    makeinfra/other-expiries: \"a=2027-01-01\"\n",
    "data:\n",
    "stringData:\n",
    "  .dockercfg: ",
    "  .dockerconfigjson: ",
    "e30=",
    "eyJhdXRocyI6e319",
    "---\n",
    "|\n    ",
    ">-\n    ",
    "\"",
    "# comment\n",
    "eyJyZWdpc3RyeS5naXRsYWIuY29tIjp7ImF1dGgiOiJkVHB3In19",
    "&a ",
    "{\"a\":{\"auth\":\"dTpw\"}}",
    "sops:\n",
];

#[test]
fn a_secret_that_is_rotated_holds_the_new_token_and_not_the_old_one() {
    let registry = RegistryKey::parse("registry.gitlab.com").unwrap();
    fuzz("secret", &SECRET, files(&["tests/fuzz/corpus/secret/dockercfg.yaml"]), |bytes| {
        let Some(text) = text(bytes) else { return };
        let manifest = match Manifest::parse(text) {
            Ok(manifest) => manifest,
            Err(fault) => return quotes_no_token(fault),
        };
        let wanted =
            [RotatedEntry::Own, RotatedEntry::Named(&registry), RotatedEntry::Added(&registry)]
                [bytes.len() % 3];
        let secrets: Vec<_> =
            documents(bytes).unwrap_or_default().iter().filter_map(Inspected::of).collect();
        let old = Traces::of(secrets.iter());
        let rewrite = Rewrite { recorded: Some(&registry), wanted, ..Rewrite::default() };
        let had = manifest.config().keys().count();
        match Edit::of(text).unwrap().rotate(&token(), &rewrite) {
            Ok(Some(rewritten)) => {
                quotes_no_token(&rewritten.changes);
                let text = rewritten.text.expose();
                is_bounded(text.len(), bytes.len());
                let after = Manifest::parse(text).unwrap();
                assert!(after.config().keys().any(|key| after.config().holds(key, &token())));
                // With a single entry, no other one can have the old credentials.
                let is_alone =
                    had == 1 && after.config().keys().count() == 1 && !after.config().has_more();
                assert!(
                    !is_alone
                        || !old.are_in(after.config().encode(after.kind()).expose().as_bytes())
                );
            }
            Ok(None) => {}
            Err(fault) => quotes_no_token(fault),
        }
        if let Ok(edit) = Edit::of(text)
            && let Ok(Some(rewritten)) = edit.remove(&registry, None)
        {
            let after = Manifest::parse(rewritten.text.expose()).unwrap();
            assert!(after.entry(&registry).is_none());
        }
    });
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_a_quote() {
    let seeds = [configs(), files(&["tests/fuzz/corpus/secret/dockercfg.yaml"])].concat();
    fuzz("inspected", &[&SECRET[..], &CONFIG].concat(), seeds, |bytes| {
        let mut found: Vec<Inspected> = Vec::new();
        match documents(bytes) {
            Ok(documents) => found.extend(documents.iter().filter_map(Inspected::of)),
            Err(fault) => quotes_no_token(&fault),
        }
        // A bare docker config, if the file is one.
        for kind in SecretType::ALL {
            let object = format!(
                r#"{{"kind":"Secret","metadata":{{"name":"a"}},"type":"{}","data":{{"{}":"{}"}}}}"#,
                kind.kubernetes_type(),
                kind.data_key(),
                STANDARD.encode(bytes)
            );
            found.extend(serde_json::from_str(&object).ok().and_then(Inspected::of_json));
        }
        for secret in &found {
            secret.flaws.iter().for_each(|flaw| quotes_no_token(&flaw.message));
            assert!(secret.holds_as(secret) || !secret.is_readable());
            let _ = (
                secret.authorizations("registry.gitlab.com/a"),
                Hidden::of([secret].into_iter()).redact(&"a".repeat(100)),
            );
        }
        let _ = Traces::of(found.iter()).are_in(bytes);
    });
}

#[test]
fn an_env_file_that_gets_a_value_holds_it_and_keeps_the_other_lines() {
    let words = [
        "KEY=value\n",
        "OTHER=",
        "# comment\n",
        "export ",
        "=\n",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "-----END RSA PRIVATE KEY-----\n",
        "KEY=\"",
        "A=\n",
        "==\n",
        "\u{feff}",
    ];
    let key = opaque::Key::parse("KEY").unwrap();
    let value = |text: &str| Value::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap();
    let values = ["value", "a b=c#d", "ä"].map(value);
    fuzz("env-file", &words, Vec::new(), |bytes| {
        let file = EnvFile::parse(bytes);
        let value = &values[bytes.len() % values.len()];
        let text = file.set(&key, value);
        is_bounded(text.len(), bytes.len());
        let after = EnvFile::parse(&text);
        // A line may also continue something that another line has begun, such as a PEM block.
        let is_sound = after.traps().all(|(_, trap)| !trap.breaks());
        assert!(!is_sound || after.holds(&key, value));
        assert!(!is_sound || after.set(&key, value) == text);
        assert!(file.size() <= bytes.len());
        let Some(without) = file.unset(&key) else { return };
        assert!(without.len() <= bytes.len());
        assert!(!is_sound || !EnvFile::parse(&without).has(&key));
        let others = |file: &EnvFile| {
            file.keys().filter(|found| *found != "KEY").map(str::to_owned).collect::<Vec<_>>()
        };
        let was_sound = file.traps().all(|(_, trap)| !trap.breaks());
        assert!(!is_sound || !was_sound || others(&file) == others(&after));
    });
}

/// The files of a directory of Secrets: the kustomization, an env file, a value and a manifest.
fn content(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Content {
    files.get(path).map_or(Content::Absent, |bytes| Content::Bytes(Zeroizing::new(bytes.clone())))
}

#[test]
fn a_directory_of_secrets_that_is_changed_holds_the_change() {
    let words = [
        "secretGenerator:\n",
        "  - name: db\n",
        "    envs:\n",
        "      - db.env\n",
        "    files:\n",
        "      - tls.key\n",
        "      - K=../x\n",
        "    env: db.env\n",
        "resources:\n",
        "  - gitlab.yaml\n",
        "generatorOptions:\n  labels: {}\n",
        "\n%%\n",
        "KEY=old\n",
        "    literals:\n      - a=b\n",
        "[]",
        "{}",
    ];
    let key = opaque::Key::parse("KEY").unwrap();
    let values = ["value", "two\nlines\n", "\0"]
        .map(|text| Value::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap());
    fuzz("secret-directory", &words, Vec::new(), |bytes| {
        let Some(parts) = parts(bytes) else { return };
        let names = [
            "secrets/k/kustomization.yaml",
            "secrets/k/db.env",
            "secrets/k/tls.key",
            "secrets/k/gitlab.yaml",
        ];
        let mut files: BTreeMap<String, Vec<u8>> = names
            .iter()
            .zip(&parts)
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let fault = |fault: DirectoryFault| quotes_no_token(&fault.why);
        let value = &values[bytes.len() % values.len()];
        let change = {
            let read = |path: &str| content(&files, path);
            let directory = match Directory::open("secrets/k", "hello", &read) {
                Ok(directory) => directory,
                Err(why) => return fault(why),
            };
            match directory.set("db", &key, value) {
                Ok(change) => change,
                Err(why) => return fault(why),
            }
        };
        let is_sound = change.traps.iter().all(|(_, _, trap)| !trap.breaks());
        for write in &change.writes {
            quotes_no_token(&write.note);
            files.insert(write.path.clone(), write.bytes.to_vec());
        }
        for removal in &change.removals {
            files.remove(&removal.path);
        }
        let read = |path: &str| content(&files, path);
        match Listing::of("secrets/k", &read) {
            Ok(listing) if is_sound => {
                let secret = listing.secrets.iter().find(|secret| secret.name == "db").unwrap();
                assert!(secret.keys.iter().filter(|found| found.name == "KEY").count() == 1);
            }
            Ok(_) => {}
            Err(why) => return fault(why),
        }
        let directory = Directory::open("secrets/k", "hello", &read).unwrap();
        match directory.unset("db", &key) {
            Ok(change) => assert!(!is_sound || change.effect != opaque::Effect::Lack),
            Err(why) => fault(why),
        }
    });
}

#[test]
fn an_image_served_by_a_secret_has_an_authorization() {
    let image = ImageRef::parse("registry.gitlab.com/group/project:1").unwrap();
    fuzz("auth", &["dTpw", "=", "==", "dTpnbGR0", "\r\n", "-", "_", "Og=="], Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        if let Ok((username, password)) = makeinfra::pull_secret::auth::decode(text) {
            assert!(!username.contains(':') && username.len() + password.len() < text.len());
        }
        let json = serde_json::json!({"registry.gitlab.com": {"auth": text}}).to_string();
        let config = DockerConfig::from_json(SecretType::Dockercfg, json.as_bytes()).unwrap();
        let is_good = config.check().is_ok();
        assert_eq!(is_good, text.is_empty() || makeinfra::pull_secret::auth::decode(text).is_ok());
        let keys = makeinfra::pull_secret::keyring::matching(config.keys(), &image);
        assert!(keys.len() == 1 && (is_good || config.authorization(keys[0]).is_none()));
    });
}
