//! One request and its answer: TLS, proxies, time-outs, limits, redirects.
//!
//! Sends credentials to the host that they are meant for and to no other, wherever a redirect
//! leads, and keeps nothing of an answer that is longer than expected. Knows nothing of registries
//! or of GitLab.

mod proxy;
mod trouble;

pub use proxy::is_loopback;
pub use trouble::{Fault, Trouble};

use crate::environment;
use crate::error::{self, Failure};
use crate::files;
use crate::secret::Secret;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    WWW_AUTHENTICATE,
};
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy, RequestBuilder};
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

/// What is done with what a URL names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// Reads it.
    #[default]
    Get,
    /// Reads what is said of it.
    Head,
    /// Makes something there; never sent twice.
    Post,
    /// Deletes it.
    Delete,
}

impl Method {
    /// Whether it changes nothing, so that a redirect may be followed.
    fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// What to ask.
#[derive(Default)]
pub struct Request<'r> {
    /// Where; `https`, or `http` where that is allowed.
    pub url: Uri,
    /// What to do there.
    pub method: Method,
    /// Names and values, added to the URL's own.
    pub query: Vec<(&'static str, &'r str)>,
    /// The header `Accept`; empty: anything.
    pub accept: &'static str,
    /// The header that signs in, and its value.
    pub credentials: Option<(HeaderName, &'r Secret)>,
    /// The body of a [`Method::Post`], JSON.
    pub body: &'r str,
    /// At most so many bytes of the answer's body; 0: it is not read.
    pub limit: u64,
}

impl<'r> Request<'r> {
    /// `GET url`, the body left alone.
    #[must_use]
    pub fn get(url: Uri) -> Self {
        Self { url, ..Self::default() }
    }

    /// The same with the header `Authorization`, if there is one.
    #[must_use]
    pub fn authorized(self, value: Option<&'r Secret>) -> Self {
        Self { credentials: value.map(|value| (AUTHORIZATION, value)), ..self }
    }
}

/// An answer.
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header `Content-Type`, in lower case.
    pub media_type: String,
    /// The body, as far as it was wanted.
    pub body: Zeroizing<Vec<u8>>,
    /// Whether a redirect led to another host, which was sent no credentials.
    pub moved: bool,
    headers: HeaderMap,
}

impl Reply {
    /// The first header `name` that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers `WWW-Authenticate`.
    pub fn challenges(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok())
    }
}

/// A file of authorities to trust beside the machine's.
pub struct Authorities<'a> {
    /// What names it, for errors: `` `--ca-file` ``.
    pub named: &'a str,
    /// The file, PEM.
    pub file: &'a Path,
}

/// The way into the network.
pub struct Transport {
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
    /// Reads the certificates of the machine and of `authorities`. `plain_http` allows http for
    /// every host.
    pub fn new(plain_http: bool, authorities: &[Authorities]) -> error::Result<Self> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots(authorities)?)))
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
    #[must_use]
    pub fn may_be_plain(&self, host: &str) -> bool {
        self.plain_http || proxy::is_loopback(host)
    }

    /// Sends `request` and follows redirects, with credentials only as long as they stay where they
    /// began.
    pub fn send(&self, request: &Request) -> Result<Reply, Trouble> {
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
            let Some(next) = next_url(&url, &response).filter(|_| request.method.is_safe()) else {
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
        let credentials = request.credentials.as_ref().filter(|_| home).map(|(name, secret)| {
            let mut value = HeaderValue::from_str(secret.expose())
                .expect("base64 and tokens have visible characters");
            value.set_sensitive(true);
            (name.clone(), value)
        });
        let accept = if request.accept.is_empty() { "*/*" } else { request.accept };
        let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().chain(credentials);
        let answer = match request.method {
            Method::Post => {
                let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
                headers.chain(json).fold(agent.post(url), with_header).send(request.body)
            }
            method => {
                let builder = match method {
                    Method::Head => agent.head(url),
                    Method::Delete => agent.delete(url),
                    Method::Get | Method::Post => agent.get(url),
                };
                let builder = headers.fold(builder, with_header);
                let query = if first { request.query.as_slice() } else { &[] };
                builder.query_pairs(query.iter().copied()).call()
            }
        };
        answer.map_err(|error| Trouble::of(&error, url, variable))
    }

    /// The agent for `url`, and the variable that names its proxy.
    fn agent(&self, url: &Uri) -> Result<(&Agent, Option<&'static str>), Trouble> {
        let https = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        match &self.proxied[usize::from(!https)] {
            Some(proxied)
                if !proxy::is_direct(url.host().unwrap_or_default(), port, environment::text) =>
            {
                let variable = Some(proxied.variable);
                let agent = proxied.agent.as_ref();
                Ok((
                    agent.ok_or_else(|| Trouble::through(url, variable, Fault::ProxyUrl))?,
                    variable,
                ))
            }
            _ => Ok((&self.direct, None)),
        }
    }
}

fn with_header<B>(
    builder: RequestBuilder<B>,
    (name, value): (HeaderName, HeaderValue),
) -> RequestBuilder<B> {
    builder.header(name, value)
}

/// What of `response` is needed.
fn reply(
    request: &Request,
    url: &Uri,
    moved: bool,
    mut response: Response<Body>,
) -> Result<Reply, Trouble> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let media_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.to_ascii_lowercase();
    // A body that is not wanted is read, too, if it is short: the connection can then be used
    // again.
    let limit = request.limit.max(UNWANTED);
    let body = match response.body_mut().with_config().limit(limit).read_to_vec() {
        Err(error) if request.limit > 0 => return Err(Trouble::of(&error, url, None)),
        body => body.unwrap_or_default(),
    };
    Ok(Reply { status, media_type, body: Zeroizing::new(body), moved, headers })
}

/// Where a redirect leads; none if it is none, or leads nowhere that a URL could say.
fn next_url(from: &Uri, response: &Response<Body>) -> Option<Uri> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location: Uri = response.headers().get(LOCATION)?.to_str().ok()?.parse().ok()?;
    if location.authority().is_some() {
        return without_user(location)
            .filter(|url| matches!(url.scheme_str(), Some("https" | "http")));
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = location.into_parts().path_and_query;
    Uri::from_parts(parts).ok()
}

/// `url` without user name and password, which would be sent: what a redirect names is no login of
/// this user's.
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

/// The authorities that the machine trusts, and `further` ones.
fn roots(further: &[Authorities]) -> error::Result<Vec<Certificate<'static>>> {
    // What cannot be read of the machine's is missed when a certificate needs it.
    let native = rustls_native_certs::load_native_certs().certs;
    let mut roots: Vec<_> =
        native.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    for Authorities { named, file } in further {
        let bad = |cause: &str| {
            Failure::usage(format!("{named} must be a file of certificates in PEM"))
                .because(cause)
                .hint("openssl s_client -showcerts -connect HOST:443")
        };
        let pem = files::read(file, CA_LIMIT)?
            .ok_or_else(|| bad("there is no file of the given name"))?;
        let before = roots.len();
        roots.extend(parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        }));
        if roots.len() == before {
            return Err(bad("there is no certificate in it").into());
        }
    }
    Ok(roots)
}
