//! Reading and writing docker configs, compared with the measured kubelet.

use super::*;
use crate::answers::{Answer, TokenUsername};

fn token(username: &str, value: &str) -> DeployToken {
    DeployToken::new(TokenUsername::parse(username).unwrap(), Secret::new(value.into())).unwrap()
}

fn json(config: &DockerConfig, kind: SecretType) -> String {
    String::from_utf8(STANDARD.decode(config.encode(kind).expose()).unwrap()).unwrap()
}

#[test]
fn writes_what_kubectl_writes() {
    let key = RegistryKey::parse("registry.gitlab.com").unwrap();
    let config = DockerConfig::new(&key, &token("u", "p"), Some("a@b.c"));
    assert_eq!(
        json(&config, SecretType::Dockerconfigjson),
        r#"{"auths":{"registry.gitlab.com":{"username":"u","password":"p","email":"a@b.c","auth":"dTpw"}}}"#
    );
    let config = DockerConfig::new(&key, &token("u", "p"), None);
    assert_eq!(
        json(&config, SecretType::Dockercfg),
        r#"{"registry.gitlab.com":{"username":"u","password":"p","auth":"dTpw"}}"#
    );
}

#[test]
fn keeps_other_entries_and_their_order() {
    let old = r#"{"auths":{"b":{"auth":"dTpw"},"a":{"auth":"dTpw","x":1},"c":{}},"HttpHeaders":{"k":"v"}}"#;
    let mut config =
        DockerConfig::decode(SecretType::Dockerconfigjson, &STANDARD.encode(old)).unwrap();
    config.set("a", &token("new", "t"), None);
    assert_eq!(
        json(&config, SecretType::Dockerconfigjson),
        r#"{"auths":{"b":{"auth":"dTpw"},"a":{"username":"new","password":"t","auth":"bmV3OnQ="},"c":{}},"HttpHeaders":{"k":"v"}}"#
    );
    config.rename("b", "z");
    assert_eq!(config.keys().collect::<Vec<_>>(), ["z", "a", "c"]);
}

#[test]
fn knows_its_credentials_however_they_are_written() {
    for entry in [
        r#"{"auth":"dTpw"}"#,
        r#"{"username":"u","password":"p"}"#,
        r#"{"auth":"dTpw","password":"x"}"#,
    ] {
        let base64 = STANDARD.encode(format!(r#"{{"r":{entry}}}"#));
        let config = DockerConfig::decode(SecretType::Dockercfg, &base64).unwrap();
        assert!(config.holds("r", &token("u", "p")), "{entry}");
        assert!(!config.holds("r", &token("u", "x")), "{entry}");
        assert_eq!(config.username("r").as_deref(), Some("u"));
    }
}

#[test]
fn reads_secrets_as_the_measured_kubelet_does() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/keyring.json")).unwrap();
    for row in vectors["secret_contents"].as_array().unwrap() {
        let text = |name: &str| row[name].as_str().unwrap();
        let kind = SecretType::parse(text("type")).unwrap();
        let digest = text("image").contains('@');
        let image =
            crate::answers::ImageRef::parse(text("image")).ok().filter(|_| !digest).unwrap();
        let config = DockerConfig::decode(kind, &STANDARD.encode(text("data")));
        let config = config.and_then(|config| config.check().map(|()| config));
        let wrapped_wrongly = text("case").contains("wrapper");
        let Ok(config) = config else {
            assert!(!row["refused_by"].is_null() || wrapped_wrongly, "{}", text("case"));
            continue;
        };
        assert!(row["refused_by"].is_null(), "{}", text("case"));
        let found = super::super::keyring::matching(config.keys(), &image).into_iter().map(|key| {
            let (username, value) = config.credentials(key).unwrap();
            serde_json::json!({"username": username, "password": *value})
        });
        assert_eq!(
            found.collect::<Vec<_>>(),
            *row["credentials"].as_array().unwrap(),
            "{}",
            text("case")
        );
    }
}

/// Refuses what the kubelet refuses, and otherwise finds the same credentials.
#[test]
fn reads_random_documents_as_the_measured_kubelet_does() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/docker-configs.json")).unwrap();
    let image = crate::answers::ImageRef::parse("a.b/c/d:1").unwrap();
    let (mut refused, mut served) = (0, 0);
    for row in vectors["rows"].as_array().unwrap() {
        let kind = SecretType::parse(row["type"].as_str().unwrap()).unwrap();
        let config = DockerConfig::decode(kind, row["data"].as_str().unwrap());
        let found = config.and_then(|config| {
            config.check()?;
            let keys = super::super::keyring::matching(config.keys(), &image).into_iter();
            let pairs = keys.map(|key| config.credentials(key).unwrap());
            let mut pairs: Vec<_> =
                pairs.map(|(name, value)| serde_json::json!([name, *value])).collect();
            pairs.sort_by_key(ToString::to_string);
            Ok(pairs)
        });
        let mut expected = row["credentials"].as_array().unwrap().clone();
        expected.sort_by_key(ToString::to_string);
        match found {
            Ok(found) => {
                assert!(row["refused_by"].is_null(), "{row}");
                assert_eq!(found, expected, "{row}");
                served += usize::from(!found.is_empty());
            }
            Err(fault) => {
                assert!(!row["refused_by"].is_null() || expected.is_empty(), "{fault}: {row}");
                assert!(!row["refused_by"].is_null() || fault.contains("finds"), "{fault}: {row}");
                refused += 1;
            }
        }
    }
    assert!(served > 100 && refused > 100, "{served} served, {refused} refused");
}

#[test]
fn keeps_what_it_does_not_change_as_it_is_written() {
    let old = r#"{"Auths":{"a":{"auth" : "dTpw","n":1e99},"b":null},"n":123456789012345678901234567890,"auths":{"b":{}}}"#;
    let mut config = DockerConfig::from_json(SecretType::Dockerconfigjson, old.as_bytes()).unwrap();
    config.set("c", &token("u", "p\n\"x"), None);
    assert_eq!(
        json(&config, SecretType::Dockerconfigjson),
        r#"{"auths":{"a":{"auth":"dTpw","n":1e99},"b":{},"c":{"username":"u","password":"p\n\"x","auth":"dTpwCiJ4"}},"n":123456789012345678901234567890}"#
    );
}

#[test]
fn refuses_what_the_kubelet_would_not_read() {
    use SecretType::{Dockercfg, Dockerconfigjson};
    for (kind, json) in [
        (Dockercfg, r#"{"auths":{"r":{"auth":"dTpw"}}}"#),
        (Dockercfg, "[]"),
        (Dockercfg, r#"{"r":"dTpw"}"#),
        (Dockerconfigjson, r#"{"r":{"auth":"dTpw"}}"#),
        (Dockerconfigjson, r#"{"auths":[]}"#),
        (Dockerconfigjson, ""),
    ] {
        assert!(DockerConfig::decode(kind, &STANDARD.encode(json)).is_err(), "{json}");
    }
    assert!(DockerConfig::decode(Dockercfg, "%%%").is_err());
}
