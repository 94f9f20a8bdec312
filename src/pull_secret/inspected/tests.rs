use super::*;

fn inspect(kind: &str, json: &str) -> Inspected {
    let text = format!(
        "kind: Secret\nmetadata: {{name: a}}\ntype: kubernetes.io/{kind}\ndata: {{.{kind}: {}}}",
        STANDARD.encode(json)
    );
    Inspected::of(&serde_yaml::from_str(&text).unwrap()).unwrap()
}

#[test]
fn data_without_anything_in_it_is_empty() {
    for data in [
        "data: {.dockerconfigjson: }",
        "data: {.dockerconfigjson: ''}",
        "stringData: {.dockerconfigjson: ' '}",
    ] {
        let text = format!(
            "kind: Secret\nmetadata: {{name: a}}\ntype: kubernetes.io/dockerconfigjson\n{data}\n"
        );
        let found = Inspected::of(&serde_yaml::from_str(&text).unwrap()).unwrap();
        assert_eq!(found.flaws[0].message, "the data is empty", "{data}");
    }
}

#[test]
fn names_every_flaw_of_an_entry_and_no_value() {
    use Aspect::{Auth, Credentials, TooMuch};
    let auth = |pair: &str| format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(pair));
    for (entry, aspects) in [
        (auth("u:Marker"), vec![]),
        (r#"{"username":"u","password":"Marker"}"#.to_owned(), vec![]),
        (r#"{"auth":"dTpw","username":"u","password":"Marker"}"#.to_owned(), vec![Auth]),
        (r#"{"auth":"dTpw "}"#.to_owned(), vec![Auth]),
        (r#"{"auth":"Marker"}"#.to_owned(), vec![Auth]),
        (auth("u:Marker\n"), vec![Auth]),
        (auth("_json_key:{\n \"Marker\": \"a b\"\n}\n"), vec![]),
        (auth("u:Marker of\nthree words"), vec![]),
        (auth("u:gldt-Marker of"), vec![Auth]),
        (auth("oauth2accesstoken:Marker"), vec![Credentials]),
        (auth("u:glrtr-Marker"), vec![TooMuch]),
        (auth(" u:Marker"), vec![Auth]),
        (auth("u:"), vec![Credentials]),
        ("{}".to_owned(), vec![Credentials]),
        (r#"{"identitytoken":"Marker"}"#.to_owned(), vec![Credentials]),
        (r#"{"auth":"PHRva2VuPjpw"}"#.to_owned(), vec![Credentials]),
        (auth("gitlab-ci-token:Marker"), vec![Credentials]),
        (auth("u:glcbt-Marker"), vec![Credentials]),
        (auth("u:glpat-Marker"), vec![TooMuch]),
    ] {
        let found = inspect("dockercfg", &format!(r#"{{"r.io":{entry}}}"#));
        assert_eq!(
            found.flaws.iter().map(|flaw| flaw.aspect).collect::<Vec<_>>(),
            aspects,
            "{entry}"
        );
        assert!(
            found.flaws.iter().all(|flaw| !flaw.message.contains("Marker")),
            "{:?}",
            found.flaws
        );
    }
}

#[test]
fn tells_an_empty_entry_of_docker_desktop_from_an_identity_token() {
    for (json, word) in [
        (r#"{"auths":{"r.io":{}},"credsStore":"desktop"}"#, "credsStore"),
        (r#"{"auths":{"r.io":{"identitytoken":"x"}},"credsStore":"desktop"}"#, "identity token"),
        (r#"{"auths":{"r.io":{}}}"#, "empty"),
        (r#"{"auths":{}}"#, "no entry"),
    ] {
        let flaws = inspect("dockerconfigjson", json).flaws;
        assert!(flaws.len() == 1 && flaws[0].message.contains(word), "{flaws:?}");
    }
}

#[test]
fn is_like_another_by_type_and_data_and_not_by_how_they_are_written() {
    let json = r#"{"r.io":{"auth":"dTpNYXJrZXI="}}"#;
    let (one, other) = (inspect("dockercfg", json), inspect("dockercfg", "{}"));
    let text = format!(
        "{{kind: Secret, type: kubernetes.io/dockercfg, stringData: {{.dockercfg: '{json}'}}}}"
    );
    let plain = Inspected::of(&serde_yaml::from_str(&text).unwrap()).unwrap();
    assert_eq!(one.compare(&plain), SecretDiff::Same);
    assert_eq!(one.compare(&other), SecretDiff::OtherData);
    assert_eq!(one.compare(&inspect("dockerconfigjson", json)), SecretDiff::OtherType);
}

#[test]
fn takes_string_data_as_the_api_server_does() {
    let text = "{kind: Secret, type: kubernetes.io/dockercfg, stringData: {.dockercfg: \
                '{\"r.io\":{\"auth\":\"dTpw\"}}'}}";
    let found = Inspected::of(&serde_yaml::from_str(text).unwrap()).unwrap();
    assert!(found.flaws.is_empty() && found.serves("r.io/a"), "{:?}", found.flaws);
}

#[test]
fn each_image_has_the_expiry_of_its_own_entry() {
    let entry = |token: &str| format!("{{\"auth\":\"{}\"}}", STANDARD.encode(format!("u:{token}")));
    let config = format!(
        "{{\"auths\":{{\"ghcr.io\":{},\"registry.gitlab.com\":{},\"quay.io\":{}}}}}",
        entry("one"),
        entry("two"),
        entry("three")
    );
    let text = format!(
        "kind: Secret\ntype: kubernetes.io/dockerconfigjson\nmetadata:\n  annotations: {{makeinfra/expires-at: own, \
         makeinfra/other-expiries: ghcr.io=other}}\ndata: {{.dockerconfigjson: {}}}\n",
        STANDARD.encode(config)
    );
    let secret = Inspected::of(&serde_yaml::from_str(&text).unwrap()).unwrap();
    for (name, expiry) in [
        ("registry.gitlab.com/group/hello", Some("own")),
        ("ghcr.io/group/hello", Some("other")),
        ("quay.io/group/hello", None),
        // No entry matches the image, so the expiry of the project's own token is used.
        ("docker.io/library/nginx", Some("own")),
    ] {
        assert_eq!(secret.expiry_for(name, Some("registry.gitlab.com")), expiry, "{name}");
    }
}
