//! One request and its answer: TLS, proxies, time-outs, limits, redirects.
//!
//! Sends credentials to the host that they are meant for and to no other, wherever a redirect leads, and
//! keeps nothing of an answer that is longer than expected. Knows nothing of registries.

use super::proxy;
use super::trouble::{Fault, Trouble};
use crate::environment;
use crate::error::{self, Failure};
use crate::files;
use crate::secret::Secret;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};
use zeroize::Zeroizing;

/// For a whole request, the look-up of the name included.
const TIME_OUT: Duration = Duration::from_secs(10);
/// The longest URL, in bytes; hyper's `http` and most servers take less than 64 KiB.
const LONGEST: usize = 60_000;
/// More redirects than any registry has in a row.
const REDIRECTS: usize = 5;
/// So much of a body is read that nobody asked for.
const UNWANTED: u64 = 16 << 10;
/// More than the certificates of all authorities take.
const CA_LIMIT: usize = 4 << 20;

/// What to ask.
pub(super) struct Request<'r> {
    /// Where; `https`, or `http` where that is allowed.
    pub(super) url: Uri,
    /// `HEAD` instead of `GET`.
    pub(super) head: bool,
    /// Names and values, added to the URL's own.
    pub(super) query: Vec<(&'static str, &'r str)>,
    /// The header `Accept`.
    pub(super) accept: &'static str,
    /// The header `Authorization`.
    pub(super) authorization: Option<&'r Secret>,
    /// At most so many bytes of the answer's body; 0: it is not read.
    pub(super) limit: u64,
}

impl Request<'_> {
    /// `GET url`, the body left alone.
    pub(super) fn get(url: Uri) -> Self {
        Self { url, head: false, query: Vec::new(), accept: "*/*", authorization: None, limit: 0 }
    }
}

/// An answer.
pub(super) struct Reply {
    /// The status code.
    pub(super) status: u16,
    /// The header `Content-Type`, in lower case.
    pub(super) media_type: String,
    /// All headers `WWW-Authenticate`.
    pub(super) challenges: Vec<String>,
    /// The body, as far as it was wanted.
    pub(super) body: Zeroizing<Vec<u8>>,
    /// Whether a redirect led to another host, which was sent no credentials.
    pub(super) moved: bool,
}

/// The way into the network.
pub(super) struct Transport {
    direct: Agent,
    /// For https and for http.
    proxied: [Option<Proxied>; 2],
    plain_http: bool,
}

/// A proxy's agent; none if its URL cannot be understood.
struct Proxied {
    variable: &'static str,
    agent: Option<Agent>,
}

impl Transport {
    /// Reads the certificates of the machine and of `ca_file`. `plain_http` allows http for every host.
    pub(super) fn new(plain_http: bool, ca_file: Option<&Path>) -> error::Result<Self> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots(ca_file)?)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = |proxy: Option<Proxy>| -> Agent {
            Agent::config_builder()
                .tls_config(tls.clone())
                .proxy(proxy)
                .timeout_global(Some(TIME_OUT))
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("makeinfra/", env!("CARGO_PKG_VERSION")))
                .build()
                .into()
        };
        let proxied = ["https", "http"].map(|scheme| {
            proxy::named(scheme, environment::text).map(|named| Proxied {
                variable: named.variable,
                agent: Proxy::new(&named.url).ok().map(|proxy| agent(Some(proxy))),
            })
        });
        Ok(Self { direct: agent(None), proxied, plain_http })
    }

    /// Whether `host` may be spoken to in plain http.
    pub(super) fn may_be_plain(&self, host: &str) -> bool {
        self.plain_http || proxy::is_loopback(host)
    }

    /// Sends `request` and follows redirects, with credentials only as long as they stay where they began.
    pub(super) fn send(&self, request: &Request) -> Result<Reply, Trouble> {
        let start = Instant::now();
        let mut url = request.url.clone();
        // Whoever sends them on to another host and back again does not get them either.
        let mut home = true;
        for hop in 0..=REDIRECTS {
            if start.elapsed() > TIME_OUT {
                return Err(Trouble::new(&url, Fault::TimeOut));
            }
            home &= origin(&url) == origin(&request.url);
            let response = self.send_once(request, &url, hop == 0, home)?;
            let Some(next) = next_url(&url, &response) else {
                return reply(request, &url, !home, response);
            };
            if url.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(Trouble::new(&url, Fault::Downgrade));
            }
            url = next;
        }
        Err(Trouble::new(&url, Fault::Redirects))
    }

    fn send_once(
        &self,
        request: &Request,
        url: &Uri,
        first: bool,
        home: bool,
    ) -> Result<Response<Body>, Trouble> {
        let (agent, variable) = self.agent(url)?;
        // ureq does not expect one that is too long for a URL.
        let query = if first {
            request.query.iter().map(|(name, value)| name.len() + value.len() * 3 + 2).sum()
        } else {
            0
        };
        if url.to_string().len() + query > LONGEST {
            return Err(Trouble::new(url, Fault::TooLong));
        }
        let builder = if request.head { agent.head(url) } else { agent.get(url) };
        let mut builder = builder.header("Accept", request.accept);
        if first {
            builder = builder.query_pairs(request.query.iter().copied());
        }
        if let Some(secret) = request.authorization.filter(|_| home) {
            let mut value =
                HeaderValue::from_str(secret.expose()).expect("base64 and tokens have visible characters");
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        builder.call().map_err(|error| Trouble::of(&error, url, variable))
    }

    /// The agent for `url`, and the variable that names its proxy.
    fn agent(&self, url: &Uri) -> Result<(&Agent, Option<&'static str>), Trouble> {
        let https = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        match &self.proxied[usize::from(!https)] {
            Some(proxied) if !proxy::is_direct(url.host().unwrap_or_default(), port, environment::text) => {
                let variable = Some(proxied.variable);
                let agent = proxied.agent.as_ref();
                Ok((agent.ok_or_else(|| Trouble::through(url, variable, Fault::ProxyUrl))?, variable))
            }
            _ => Ok((&self.direct, None)),
        }
    }
}

/// What of `response` is needed.
fn reply(request: &Request, url: &Uri, moved: bool, mut response: Response<Body>) -> Result<Reply, Trouble> {
    let texts = |name: HeaderName| -> Vec<String> {
        let values = response.headers().get_all(name).iter();
        values.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
    };
    let status = response.status().as_u16();
    let media_type = texts(CONTENT_TYPE).pop().unwrap_or_default().to_ascii_lowercase();
    let challenges = texts(WWW_AUTHENTICATE);
    // A body that is not wanted is read, too, if it is short: the connection can then be used again.
    let limit = request.limit.max(UNWANTED);
    let body = match response.body_mut().with_config().limit(limit).read_to_vec() {
        Err(error) if request.limit > 0 => return Err(Trouble::of(&error, url, None)),
        body => body.unwrap_or_default(),
    };
    Ok(Reply { status, media_type, challenges, body: Zeroizing::new(body), moved })
}

/// Where a redirect leads; none if it is none, or leads nowhere that a URL could say.
fn next_url(from: &Uri, response: &Response<Body>) -> Option<Uri> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location: Uri = response.headers().get(LOCATION)?.to_str().ok()?.parse().ok()?;
    if location.authority().is_some() {
        return without_user(location).filter(|url| matches!(url.scheme_str(), Some("https" | "http")));
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = location.into_parts().path_and_query;
    Uri::from_parts(parts).ok()
}

/// `url` without user name and password, which would be sent: what a redirect names is no login of this user's.
fn without_user(url: Uri) -> Option<Uri> {
    let mut parts = url.into_parts();
    if let Some(authority) = &parts.authority
        && let Some((_, host)) = authority.as_str().rsplit_once('@')
    {
        parts.authority = Some(host.parse().ok()?);
    }
    Uri::from_parts(parts).ok()
}

/// Scheme, host and port.
fn origin(url: &Uri) -> (Option<&str>, Option<&str>, Option<u16>) {
    let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    (url.scheme_str(), url.host(), Some(url.port_u16().unwrap_or(default)))
}

/// The authorities that the machine trusts, and those in `ca_file`.
fn roots(ca_file: Option<&Path>) -> error::Result<Vec<Certificate<'static>>> {
    // What cannot be read of the machine's is missed when a certificate needs it.
    let native = rustls_native_certs::load_native_certs().certs;
    let mut roots: Vec<_> = native.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let Some(file) = ca_file else { return Ok(roots) };
    let bad = |cause: &str| {
        Failure::usage("`--ca-file` must be a file of certificates in PEM")
            .because(cause)
            .hint("openssl s_client -showcerts -connect HOST:443")
    };
    let pem = files::read(file, CA_LIMIT)?.ok_or_else(|| bad("there is no file of the given name"))?;
    let own = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let before = roots.len();
    roots.extend(own);
    if roots.len() == before {
        return Err(bad("there is no certificate in it").into());
    }
    Ok(roots)
}
