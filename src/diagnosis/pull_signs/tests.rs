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
    let text = "[rpc error: code = Unknown desc = Get https://r.example.com/v2/a/manifests/1: \
                unauthorized: authentication required, rpc error: code = Unknown desc = manifest \
                for r.example.com/a:1 not found: manifest unknown]";
    assert_eq!(read(text, "r.example.com/a:1").cause, Some(Cause::TagMissing));
    assert_eq!(
        read("[rpc error: a: denied: x]", "r.example.com/a:1").cause,
        Some(Cause::PullDenied)
    );
}

#[test]
fn a_try_that_nobody_answered_is_no_better_than_one_that_was_refused() {
    let image = "r.example.com/a:1";
    let head = "failed to pull and unpack image \"r.example.com/a:1\": failed to resolve reference \
                \"r.example.com/a:1\": ";
    let refused = format!(
        "{head}failed to authorize: failed to fetch oauth token: unexpected status: 401 \
         Unauthorized"
    );
    let silent = format!(
        "{head}failed to do request: Head \"https://r.example.com/v2/a/manifests/1\": dial tcp \
         192.0.2.1:443: i/o timeout"
    );
    let broken = "rpc error: code = Unknown desc = Error response from daemon: received unexpected \
                  HTTP status: 500 Internal Server Error";
    for text in [format!("[{refused}, {silent}]"), format!("[{silent}, {refused}]")] {
        means(image, &text, Cause::TokenRefused, TokenService);
        let others: Vec<_> =
            beside(&text, image).into_iter().filter_map(|meaning| meaning.cause).collect();
        assert_eq!(others, [Cause::RegistryTimeout], "{text}");
    }
    let text = format!("[{broken}, {refused}, {broken}]");
    means(image, &text, Cause::TokenRefused, TokenService);
    assert_eq!(beside(&text, image).len(), 1);
    // An attempt that got an answer had a valid credential, so the others explain nothing.
    let gone = format!("[{refused}, {head}r.example.com/a:1: not found]");
    means(image, &gone, Cause::TagMissing, Registry);
    assert_eq!(beside(&gone, image), []);
    means(image, &format!("[{silent}, {broken}]"), Cause::RegistryTimeout, Registry);
}

#[test]
fn an_address_of_the_node_s_own_that_cannot_be_read_is_no_refusal_of_a_proxy() {
    let image = "registry.acme.io/app:1";
    let head = "failed to do request: Head \"https://registry.acme.io/v2/app/manifests/1\": ";
    for (why, cause) in [
        (
            "proxyconnect tcp: parse \"http://***@proxy.acme.io:3128%\": invalid URL escape \"%\"",
            Cause::ProxyMalformed,
        ),
        (
            "invalid proxy address \"proxy:80:80\": parse \"http://proxy:80:80\": invalid port \
             \":80:80\" after host",
            Cause::ProxyMalformed,
        ),
        (
            "proxyconnect tcp: dial tcp: address proxy:80:80: too many colons in address",
            Cause::ProxyMalformed,
        ),
        ("proxyconnect tcp: dial tcp: lookup tcp/eighty: unknown port", Cause::ProxyMalformed),
        ("proxyconnect tcp: EOF", Cause::ProxyRefuses),
        ("Forbidden", Cause::ProxyRefuses),
    ] {
        means(image, &format!("{head}{why}"), cause, Proxy);
    }
}

#[test]
fn a_request_that_nothing_came_back_of_is_told_whatever_the_system_calls_it() {
    let image = "registry.acme.io/app:1";
    let manifest = "Head \"https://registry.acme.io/v2/app/manifests/1\": ";
    let mirror = "Head \"https://mirror.acme.io/v2/app/manifests/1?ns=registry.acme.io\": ";
    let blob = "failed to copy: httpReadSeeker: failed open: failed to do request: Get \
                \"https://cdn.acme.io/a/b\": ";
    for why in [
        "connect: connection timed out",
        "connect: operation timed out",
        "connect: cannot assign requested address",
    ] {
        let why = format!("dial tcp 192.0.2.1:443: {why}");
        means(image, &format!("{manifest}{why}"), Cause::RegistryTimeout, Registry);
        means(image, &format!("{mirror}{why}"), Cause::MirrorUnreachable, Mirror);
        means(image, &format!("{blob}{why}"), Cause::StorageUnreachable, Storage);
    }
    let lost = "http2: client connection lost";
    means(image, &format!("{manifest}{lost}"), Cause::ConnectionBroken, Registry);
    means(image, &format!("{blob}{lost}"), Cause::DownloadBroken, Storage);
    let read = "read tcp 192.0.2.1:50000->192.0.2.2:443: read: connection timed out";
    means(image, &format!("{manifest}{read}"), Cause::RegistryTimeout, Registry);
    means(image, &format!("failed to copy: {read}"), Cause::DownloadBroken, Storage);
    for request in ["Get \"https://registry.acme.io/v2/\": ", "Get https://registry.acme.io/v2/: "]
    {
        means(
            image,
            &format!("{request}context deadline exceeded"),
            Cause::RegistryTimeout,
            Registry,
        );
    }
    means(
        image,
        "rpc error: code = 4 desc = context deadline exceeded",
        Cause::PullGivenUp,
        Runtime,
    );
}

#[test]
fn an_image_that_is_called_as_an_error_is_none() {
    for (name, why, cause) in [
        ("access-denied", "dial tcp 10.0.0.1:443: i/o timeout", Cause::RegistryTimeout),
        (
            "forbidden-island",
            "dial tcp 10.0.0.1:443: connect: connection refused",
            Cause::RegistryRefuses,
        ),
    ] {
        let image = format!("registry.acme.io/team/{name}:1");
        let text = format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": \
             failed to do request: Head \"https://registry.acme.io/v2/team/{name}/manifests/1\": \
             {why}"
        );
        assert_eq!(read(&text, &image).cause, Some(cause), "{text}");
    }
}

#[test]
fn a_manifest_that_a_tag_leads_to_is_a_part_of_the_image() {
    let tagged = "registry.gitlab.com/group/hello:1";
    let pinned = "registry.gitlab.com/group/hello@sha256:0123";
    let text = |image: &str| {
        format!(
            "failed to pull and unpack image \"{image}\": failed to copy: httpReadSeeker: failed \
             open: content at https://registry.gitlab.com/v2/group/hello/manifests/sha256:0123 not \
             found: not found"
        )
    };
    means(tagged, &text(tagged), Cause::LayerMissing, Registry);
    means(pinned, &text(pinned), Cause::TagMissing, Registry);
    let of_crio =
        "reading manifest sha256:0123 in registry.gitlab.com/group/hello: manifest unknown";
    means(tagged, of_crio, Cause::LayerMissing, Registry);
    means(
        tagged,
        "reading manifest 1 in registry.gitlab.com/group/hello: manifest unknown",
        Cause::TagMissing,
        Registry,
    );
}

#[track_caller]
fn means(image: &str, text: &str, cause: Cause, layer: Layer) {
    let meaning = read(text, image);
    assert_eq!((meaning.cause, meaning.layer), (Some(cause), Some(layer)), "{text}");
}

#[test]
fn a_runtime_that_fails_is_no_fault_of_the_registry() {
    let image = "registry.acme.io/app:1";
    let copied = "failed to pull and unpack image \"registry.acme.io/app:1\": failed to copy: ";
    let link = "httpReadSeeker: failed open: failed to do request: Get \
                \"https://registry.acme.io/v2/app/blobs/sha256:aa\": context canceled";
    let added = "writing blob: adding layer with blob \"sha256:aa\": ";
    for (text, cause) in [
        ("rpc error: code = Unavailable desc = error reading from server: EOF", Cause::RuntimeDown),
        ("rpc error: code = Unavailable desc = transport is closing", Cause::RuntimeDown),
        (
            "ImageInspectError: Failed to inspect image \"registry.acme.io/app:1\": rpc error: \
             code = DeadlineExceeded desc = context deadline exceeded",
            Cause::RuntimeDown,
        ),
        (
            "Failed to inspect image \"registry.acme.io/app:1\": rpc error: code = Unknown desc = \
             Error response from daemon: layer does not exist",
            Cause::StoreDamaged,
        ),
        (
            &format!(
                "{added}processing tar file(potentially insufficient UIDs or GIDs available in \
                 user namespace): exit status 1"
            ),
            Cause::UnpackFailed,
        ),
        (
            &format!("{added}ApplyLayer exit status 1 stdout: stderr: unlinkat /a: invalid"),
            Cause::UnpackFailed,
        ),
        (&format!("{added}layer not known"), Cause::StoreDamaged),
        (&format!("{copied}unpigz: corrupted"), Cause::UnpackFailed),
        (
            &format!(
                "{copied}failed to open writer: rpc error: code = Unavailable desc = ref \
                 layer-sha256:aa locked for 1m20s (since 2026-01-01): unavailable"
            ),
            Cause::PullLocked,
        ),
        (&format!("{copied}context canceled"), Cause::PullGivenUp),
        (&format!("{copied}{link}"), Cause::PullGivenUp),
    ] {
        means(image, text, cause, Runtime);
    }
}

#[test]
fn what_stands_in_between_and_another_kind_of_image_are_known() {
    let image = "registry.acme.io/app:1";
    let url = "https://registry.acme.io/v2/app/manifests/1";
    let status = |status: &str| format!("unexpected status from HEAD request to {url}: {status} ");
    let gone =
        "http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR";
    let head = format!("failed to do request: Head \"{url}\": {gone}");
    means(image, &head, Cause::ConnectionBroken, Registry);
    means(image, &format!("failed to copy: {gone}"), Cause::DownloadBroken, Storage);
    for code in ["520", "522", "530"] {
        means(image, &status(code), Cause::RegistryBroken, Registry);
    }
    let token = "failed to fetch oauth token: unexpected status from GET request to \
                 https://auth.acme.io/token?service=a: 521 ";
    means(image, token, Cause::TokenServiceBroken, TokenService);
    let windows = "a Windows version 10.0.17763-based image is incompatible with a 10.0.14393 host";
    means(image, windows, Cause::WrongPlatform, Runtime);
    let chart = "unsupported mediatype application/vnd.cncf.helm.config.v1+json";
    means(image, chart, Cause::FormatNotSupported, Runtime);
}

#[test]
fn a_denial_that_tells_more_is_no_plain_denial() {
    let head = |host: &str, why: &str| {
        format!(
            "Error response from daemon: Head \"https://{host}/v2/acme/app/manifests/1\": {why}"
        )
    };
    for (host, why, cause) in [
        (
            "gcr.io",
            "denied: Container Registry is deprecated and shutting down, please use",
            Cause::RegistryPolicy,
        ),
        (
            "gcr.io",
            "denied: This API method requires billing to be enabled.",
            Cause::RegistryPolicy,
        ),
        (
            "ghcr.io",
            "denied: permission_denied: The token provided does not match expected scopes.",
            Cause::TokenDenied,
        ),
        (
            "registry-1.docker.io",
            "unauthorized: please use personal access token to login",
            Cause::TokenRefused,
        ),
    ] {
        let registry = if host.ends_with("docker.io") { "docker.io" } else { host };
        means(&format!("{registry}/acme/app:1"), &head(host, why), cause, Registry);
    }
}
