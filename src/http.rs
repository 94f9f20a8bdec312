//! Sends one request and reads its answer: TLS, proxies, time-outs, limits, redirects.
//!
//! Sends credentials only to the host that they are for, whatever a redirect says, and discards an
//! answer that is longer than expected. Knows nothing about registries or GitLab.

mod proxy;
mod trouble;

pub use proxy::is_loopback;
pub use trouble::{HttpError, HttpErrorKind};

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

/// Limit for a whole request, including name resolution.
const TIME_OUT: Duration = Duration::from_secs(10);
/// Maximum length of a URL in bytes; hyper's `http` and most servers accept less than 64 KiB.
const LONGEST: usize = 60_000;
/// Maximum number of redirects, above that of any registry.
const REDIRECTS: usize = 5;
/// How much of an unwanted body is read.
const UNWANTED: u64 = 16 << 10;
/// Size limit for a file of certificates, above that of all authorities together.
const CA_LIMIT: usize = 4 << 20;

/// The method of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// Reads the resource.
    #[default]
    Get,
    /// Reads its headers.
    Head,
    /// Creates a resource; never sent twice.
    Post,
    /// Deletes the resource.
    Delete,
}

impl Method {
    /// Whether the method changes nothing, so that redirects may be followed.
    fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// A request.
#[derive(Default)]
pub struct Request<'r> {
    /// The URL: `https`, or `http` if that is allowed.
    pub url: Uri,
    /// The method.
    pub method: Method,
    /// Names and values to append to the URL's query.
    pub query: Vec<(&'static str, &'r str)>,
    /// The `Accept` header; empty for anything.
    pub accept: &'static str,
    /// The header with credentials, and its value.
    pub credentials: Option<(HeaderName, &'r Secret)>,
    /// The body of a [`Method::Post`], as JSON.
    pub body: &'r str,
    /// Maximum length of the answer's body in bytes; 0 if it is not read.
    pub limit: u64,
}

impl<'r> Request<'r> {
    /// A `GET` for `url` that does not read the body.
    #[must_use]
    pub fn get(url: Uri) -> Self {
        Self { url, ..Self::default() }
    }

    /// Adds the `Authorization` header if there is a value.
    #[must_use]
    pub fn authorized(self, value: Option<&'r Secret>) -> Self {
        Self { credentials: value.map(|value| (AUTHORIZATION, value)), ..self }
    }
}

/// An answer.
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The `Content-Type` header, in lower case.
    pub media_type: String,
    /// The body, as far as requested.
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

    /// All `WWW-Authenticate` headers.
    pub fn challenges(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok())
    }
}

/// A file of authorities to trust in addition to the system's.
pub struct Authorities<'a> {
    /// The source of the setting, for errors: `` `--ca-file` ``.
    pub named: &'a str,
    /// The PEM file.
    pub file: &'a Path,
}

/// An HTTP client.
pub struct Transport {
    direct: Agent,
    /// The proxies for https and for http.
    proxied: [Option<Proxied>; 2],
    plain_http: bool,
}

/// A proxy's agent; `None` if its URL is invalid.
struct Proxied {
    variable: &'static str,
    agent: Option<Agent>,
}

impl Transport {
    /// Reads the certificates of the system and of `authorities`. `plain_http` allows http for all
    /// hosts.
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

    /// Whether plain http is allowed for `host`.
    #[must_use]
    pub fn may_be_plain(&self, host: &str) -> bool {
        self.plain_http || proxy::is_loopback(host)
    }

    /// Sends `request` and follows redirects. Credentials are only sent until a redirect leaves the
    /// original host.
    pub fn send(&self, request: &Request) -> Result<Reply, HttpError> {
        let start = Instant::now();
        let mut url = request.url.clone();
        // Once a redirect has left the host, one that returns does not get credentials, either.
        let mut home = true;
        for hop in 0..=REDIRECTS {
            if start.elapsed() > TIME_OUT {
                return Err(HttpError::new(&url, HttpErrorKind::TimeOut));
            }
            home &= origin(&url) == origin(&request.url);
            let response = self.send_once(request, &url, hop == 0, home)?;
            let Some(next) = next_url(&url, &response).filter(|_| request.method.is_safe()) else {
                return reply(request, &url, !home, response);
            };
            if url.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(HttpError::new(&url, HttpErrorKind::Downgrade));
            }
            url = next;
        }
        Err(HttpError::new(&url, HttpErrorKind::Redirects))
    }

    fn send_once(
        &self,
        request: &Request,
        url: &Uri,
        first: bool,
        home: bool,
    ) -> Result<Response<Body>, HttpError> {
        let (agent, variable) = self.agent(url)?;
        // Checked here because ureq does not expect a URL that is too long.
        let query = if first {
            request.query.iter().map(|(name, value)| name.len() + value.len() * 3 + 2).sum()
        } else {
            0
        };
        if url.to_string().len() + query > LONGEST {
            return Err(HttpError::new(url, HttpErrorKind::TooLong));
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
        answer.map_err(|error| HttpError::of(&error, url, variable))
    }

    /// The agent for `url`, and the variable that sets its proxy.
    fn agent(&self, url: &Uri) -> Result<(&Agent, Option<&'static str>), HttpError> {
        let https = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        match &self.proxied[usize::from(!https)] {
            Some(proxied)
                if !proxy::is_direct(url.host().unwrap_or_default(), port, environment::text) =>
            {
                let variable = Some(proxied.variable);
                let agent = proxied.agent.as_ref();
                Ok((
                    agent.ok_or_else(|| {
                        HttpError::through(url, variable, HttpErrorKind::ProxyUrl)
                    })?,
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

/// Converts `response`.
fn reply(
    request: &Request,
    url: &Uri,
    moved: bool,
    mut response: Response<Body>,
) -> Result<Reply, HttpError> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let media_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.to_ascii_lowercase();
    // Reading a short unwanted body allows the connection to be reused.
    let limit = request.limit.max(UNWANTED);
    let body = match response.body_mut().with_config().limit(limit).read_to_vec() {
        Err(error) if request.limit > 0 => return Err(HttpError::of(&error, url, None)),
        body => body.unwrap_or_default(),
    };
    Ok(Reply { status, media_type, body: Zeroizing::new(body), moved, headers })
}

/// The target of a redirect; `None` if there is none, or it is not a valid URL.
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

/// `url` without user name and password, which would be sent although the redirect does not know
/// this user's login.
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

/// The authorities that the system trusts, and `further` ones.
fn roots(further: &[Authorities]) -> error::Result<Vec<Certificate<'static>>> {
    // An unreadable system certificate only matters once a connection needs it.
    let native = rustls_native_certs::load_native_certs().certs;
    let mut roots: Vec<_> =
        native.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    for Authorities { named, file } in further {
        let bad = |cause: &str| {
            Failure::usage(format!("{named} must be a file of certificates in PEM"))
                .because(cause)
                .hint("openssl s_client -showcerts -connect HOST:443")
        };
        let pem = files::read(file, CA_LIMIT)?.ok_or_else(|| bad("the file does not exist"))?;
        let before = roots.len();
        roots.extend(parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        }));
        if roots.len() == before {
            return Err(bad("it contains no certificate").into());
        }
    }
    Ok(roots)
}
