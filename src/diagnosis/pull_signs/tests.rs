use super::*;

#[test]
fn a_number_is_a_status_only_by_itself() {
    for (text, is) in [
        ("unexpected status: 403 forbidden", true),
        ("status code 403: denied", true),
        ("(403)", true),
        ("https://h/v2/a/manifests/1: 403", true),
        ("sha256:ab403cd", false),
        ("dial tcp 10.0.0.1:403", false),
        ("app:403", false),
        ("build-403", false),
        ("/403/", false),
        ("read tcp 1.2.3.4:50403->", false),
    ] {
        assert_eq!(has_number(text, "403"), is, "{text}");
    }
}

#[test]
fn of_several_tries_the_one_that_got_further_counts() {
    let text = "[rpc error: code = Unknown desc = Get https://r.example.com/v2/a/manifests/1: unauthorized: authentication required, \
                rpc error: code = Unknown desc = manifest for r.example.com/a:1 not found: manifest unknown]";
    assert_eq!(read(text, "r.example.com/a:1").cause, Some(Cause::TagMissing));
    assert_eq!(read("[rpc error: a: denied: x]", "r.example.com/a:1").cause, Some(Cause::PullDenied));
}

#[test]
fn an_image_that_is_called_as_an_error_is_none() {
    for (name, why, cause) in [
        ("access-denied", "dial tcp 10.0.0.1:443: i/o timeout", Cause::RegistryTimeout),
        ("forbidden-island", "dial tcp 10.0.0.1:443: connect: connection refused", Cause::RegistryRefuses),
    ] {
        let image = format!("registry.acme.io/team/{name}:1");
        let text = format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": failed to do request: Head \"https://registry.acme.io/v2/team/{name}/manifests/1\": {why}"
        );
        assert_eq!(read(&text, &image).cause, Some(cause), "{text}");
    }
}
