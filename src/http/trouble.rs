//! Errors of the connection to a server: name resolution, connection, TLS, proxy. Each has a
//! sentence; none contains anything that was sent or received.

use rustls::CertificateError as Certificate;
use std::io::{self, ErrorKind};
use ureq::http::Uri;

/// An error, with the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    host: String,
    /// Path of a URL that shows whether the service is reachable: `/v2/` for a registry.
    probe: &'static str,
    /// The environment variable that sets the proxy; `None` without a proxy.
    proxy: Option<&'static str>,
    pub(super) fault: HttpErrorKind,
}

/// The kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// The name has no address.
    NoSuchName,
    /// No name server answers.
    NoNameServer,
    /// Connection refused.
    Refused,
    /// There is no route to the host.
    Unreachable,
    /// The request timed out.
    TimeOut,
    /// The connection broke.
    Broken,
    /// The certificate's authority is not trusted.
    UnknownAuthority,
    /// The certificate is for another name.
    WrongName,
    /// The certificate has expired or is not valid yet.
    Expired,
    /// The certificate is invalid for another reason.
    BadCertificate,
    /// The server does not support TLS.
    NoTls,
    /// Another TLS error.
    OtherTls,
    /// The proxy variable does not contain a URL.
    ProxyUrl,
    /// The proxy refuses to connect.
    ProxyRefuses,
    /// The proxy requires a login.
    ProxyWantsLogin,
    /// A redirect leads from https to http.
    Downgrade,
    /// Too many redirects.
    Redirects,
    /// The URL or the answer is too long.
    TooLong,
    /// The server does not speak HTTP.
    NoHttp,
}

impl HttpError {
    pub(super) fn new(url: &Uri, fault: HttpErrorKind) -> Self {
        Self::through(url, None, fault)
    }

    pub(super) fn through(url: &Uri, proxy: Option<&'static str>, fault: HttpErrorKind) -> Self {
        // The host of a URI cannot contain terminal control characters.
        let host = url
            .authority()
            .map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or(""));
        let probe = if url.path().starts_with("/v2/") { "/v2/" } else { "" };
        Self { host: host.to_owned(), probe, proxy, fault }
    }

    /// Classifies `error`. Its own text is dropped, because it may quote what was sent.
    pub(super) fn of(error: &ureq::Error, url: &Uri, proxy: Option<&'static str>) -> Self {
        let fault = match error {
            ureq::Error::Io(error) => of_io(error),
            ureq::Error::Rustls(error) => of_tls(error),
            ureq::Error::Tls(_) => HttpErrorKind::OtherTls,
            ureq::Error::Timeout(_) => HttpErrorKind::TimeOut,
            ureq::Error::HostNotFound => HttpErrorKind::NoSuchName,
            ureq::Error::ConnectionFailed => HttpErrorKind::Unreachable,
            ureq::Error::InvalidProxyUrl => HttpErrorKind::ProxyUrl,
            ureq::Error::ConnectProxyFailed(status) if status.contains("407") => {
                HttpErrorKind::ProxyWantsLogin
            }
            ureq::Error::ConnectProxyFailed(_) => HttpErrorKind::ProxyRefuses,
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => {
                HttpErrorKind::TooLong
            }
            _ => HttpErrorKind::NoHttp,
        };
        Self::through(url, proxy, fault)
    }

    /// The kind of error.
    #[must_use]
    pub fn fault(&self) -> HttpErrorKind {
        self.fault
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> String {
        let host = &self.host;
        let sentence = match self.fault {
            HttpErrorKind::NoSuchName => match self.proxy {
                Some(variable) => {
                    return format!("cannot resolve the host name of the proxy in `${variable}`");
                }
                None => format!("cannot resolve `{host}`: the host name is unknown here (DNS)"),
            },
            HttpErrorKind::NoNameServer => match self.proxy {
                Some(variable) => {
                    return format!(
                        "cannot resolve the host name of the proxy in `${variable}`: no DNS server \
                         answers"
                    );
                }
                None => format!("cannot resolve `{host}`: no DNS server answers"),
            },
            HttpErrorKind::Refused => match self.proxy {
                Some(variable) => return format!("the proxy in `${variable}` refuses connections"),
                None => format!("`{host}` refuses connections"),
            },
            HttpErrorKind::Unreachable => format!("cannot reach `{host}` from this machine"),
            HttpErrorKind::TimeOut => format!("`{host}` did not answer within 10 seconds"),
            HttpErrorKind::Broken => format!("the connection to `{host}` was interrupted"),
            HttpErrorKind::UnknownAuthority => {
                format!("the certificate of `{host}` is signed by an unknown authority (CA)")
            }
            HttpErrorKind::WrongName => {
                format!("the certificate of `{host}` is for another host name")
            }
            HttpErrorKind::Expired => {
                format!("the certificate of `{host}` has expired, or is not valid yet")
            }
            HttpErrorKind::BadCertificate => format!("the certificate of `{host}` is invalid"),
            HttpErrorKind::NoTls => format!("`{host}` does not use TLS"),
            HttpErrorKind::OtherTls => format!("cannot establish a TLS connection to `{host}`"),
            HttpErrorKind::ProxyUrl => {
                let variable = self.proxy.unwrap_or("HTTPS_PROXY");
                return format!("`${variable}` is not the URL of a proxy");
            }
            HttpErrorKind::ProxyRefuses => format!("the proxy refuses to connect to `{host}`"),
            HttpErrorKind::ProxyWantsLogin => {
                format!("the proxy requires a login to connect to `{host}`")
            }
            HttpErrorKind::Downgrade => {
                format!("`{host}` redirects to plain HTTP; no token was sent")
            }
            HttpErrorKind::Redirects => format!("`{host}` redirects too many times"),
            HttpErrorKind::TooLong => {
                format!("the answer of `{host}` is too long")
            }
            HttpErrorKind::NoHttp => format!("the answer of `{host}` is not HTTP"),
        };
        match self.proxy {
            Some(variable) => format!("{sentence} (through the proxy in `${variable}`)"),
            None => sentence,
        }
    }

    /// What to type.
    #[must_use]
    pub fn hint(&self) -> String {
        let Self { host, probe, .. } = self;
        match (self.fault, self.proxy) {
            (HttpErrorKind::ProxyUrl, variable) => {
                format!(
                    "export {}=http://proxy.example.com:3128",
                    variable.unwrap_or("HTTPS_PROXY")
                )
            }
            (HttpErrorKind::ProxyWantsLogin, Some(variable)) => {
                format!(
                    "export {variable}=http://USER:PASSWORD@HOST:PORT, special characters as %XX"
                )
            }
            (HttpErrorKind::UnknownAuthority, _) => {
                "--ca-file FILE, with the certificate of that authority".into()
            }
            (HttpErrorKind::NoTls, _) => "--plain-http, if no one can listen on the way".into(),
            (HttpErrorKind::Expired, _) => "check the clock of this machine with `date`; if it is \
                                            right, tell the operators"
                .into(),
            (HttpErrorKind::NoSuchName | HttpErrorKind::NoNameServer, None) => {
                format!("nslookup {}", host.split(':').next().unwrap_or_default())
            }
            (_, Some(variable)) => {
                format!("curl -v https://{host}{probe}, or NO_PROXY={host} to bypass ${variable}")
            }
            (_, None) => format!("curl -v https://{host}{probe}"),
        }
    }
}

fn of_io(error: &io::Error) -> HttpErrorKind {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return of_tls(error);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => HttpErrorKind::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => HttpErrorKind::TimeOut,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::AddrNotAvailable => HttpErrorKind::Unreachable,
        _ => of_name(&error.to_string()).unwrap_or(HttpErrorKind::Broken),
    }
}

/// Classifies an error of name resolution. The standard library has no kind for it, but
/// getaddrinfo's errors have this prefix on every Unix. The first text for `EAI_AGAIN` is that of
/// glibc and macOS, the second that of musl.
fn of_name(text: &str) -> Option<HttpErrorKind> {
    let why = text.strip_prefix("failed to lookup address")?;
    let no_answer = ["Temporary failure in name resolution", "Try again"]
        .iter()
        .any(|words| why.contains(words));
    Some(if no_answer { HttpErrorKind::NoNameServer } else { HttpErrorKind::NoSuchName })
}

fn of_tls(error: &rustls::Error) -> HttpErrorKind {
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            // A bad signature is by an authority with the same name as a trusted one.
            Certificate::UnknownIssuer | Certificate::BadSignature => {
                HttpErrorKind::UnknownAuthority
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                HttpErrorKind::WrongName
            }
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => HttpErrorKind::Expired,
            _ => HttpErrorKind::BadCertificate,
        },
        // What is parsed as TLS here is the beginning of a plain http answer.
        rustls::Error::InvalidMessage(_) => HttpErrorKind::NoTls,
        _ => HttpErrorKind::OtherTls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_that_does_not_answer_is_no_unknown_name() {
        let begin = "failed to lookup address information: ";
        for (text, fault) in [
            ("Temporary failure in name resolution", HttpErrorKind::NoNameServer),
            ("Try again", HttpErrorKind::NoNameServer),
            ("Name or service not known", HttpErrorKind::NoSuchName),
            ("nodename nor servname provided, or not known", HttpErrorKind::NoSuchName),
            ("Name does not resolve", HttpErrorKind::NoSuchName),
        ] {
            assert_eq!(of_name(&format!("{begin}{text}")), Some(fault), "{text}");
        }
        assert_eq!(of_name("connection reset"), None);
    }
}
