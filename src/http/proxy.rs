//! The proxy for a host, according to the usual variables: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`
//! and `NO_PROXY`, in either case. Behaves like Go's `golang.org/x/net/http/httpproxy`, which
//! kubectl and containerd use; `ALL_PROXY` as in curl. Pure: the caller provides the variables.

use std::net::IpAddr;
use zeroize::Zeroizing;

/// A proxy and the variable that sets it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The name of the variable, which may be shown.
    pub(super) variable: &'static str,
    /// The value, which may contain a password.
    pub(super) url: Zeroizing<String>,
}

/// The proxy for URLs with the scheme `scheme`.
pub(super) fn named(scheme: &str, read: impl Fn(&str) -> Option<String>) -> Option<Named> {
    let names: &[&'static str] = match scheme {
        "https" => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    names.iter().find_map(|variable| Some(Named { variable, url: Zeroizing::new(read(variable)?) }))
}

/// Whether `host` with `port` is reached without a proxy: it is this machine, or `NO_PROXY` matches
/// it.
pub(super) fn is_direct(host: &str, port: u16, read: impl Fn(&str) -> Option<String>) -> bool {
    let list = ["NO_PROXY", "no_proxy"].into_iter().find_map(read).unwrap_or_default();
    let host = host.to_ascii_lowercase();
    is_loopback(&host)
        || list.split([',', ' ']).any(|entry| is_exempt(&entry.to_ascii_lowercase(), &host, port))
}

/// Whether `host` is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

fn is_exempt(entry: &str, host: &str, port: u16) -> bool {
    if let (Some((network, bits)), Some(address)) = (entry.split_once('/'), address(host)) {
        return bits.parse().is_ok_and(|bits| contains(network, bits, address));
    }
    let name = match entry.rsplit_once(':') {
        Some((name, digits)) if address(entry).is_none() => match digits.parse::<u16>() {
            Ok(named) if named == port => name,
            _ => return false,
        },
        _ => entry,
    };
    match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
        _ if name == "*" => true,
        _ if name.is_empty() => false,
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None if address(name).is_some() => address(name) == address(host),
        None => host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

/// Parses an address, in the form of a URL (IPv6 in brackets) or of `NO_PROXY` (without brackets).
fn address(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn contains(network: &str, bits: u32, address: IpAddr) -> bool {
    match (network.parse(), address) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(address)) if bits <= 32 => {
            let differs = u32::from(network) ^ u32::from(address);
            differs.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(address)) if bits <= 128 => {
            let differs = u128::from(network) ^ u128::from(address);
            differs.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(list: &str, host: &str, port: u16) -> bool {
        is_direct(host, port, |name| (name == "NO_PROXY").then(|| list.to_owned()))
    }

    #[test]
    fn the_scheme_picks_the_variable() {
        let read = |set: &'static [&str]| {
            move |name: &str| set.contains(&name).then(|| format!("http://{name}"))
        };
        let variable = |scheme, set| named(scheme, read(set)).map(|named| named.variable);
        assert_eq!(
            variable("https", &["https_proxy", "HTTPS_PROXY", "ALL_PROXY"]),
            Some("HTTPS_PROXY")
        );
        assert_eq!(variable("https", &["https_proxy", "ALL_PROXY"]), Some("https_proxy"));
        assert_eq!(variable("https", &["HTTP_PROXY", "all_proxy"]), Some("all_proxy"));
        assert_eq!(variable("http", &["HTTP_PROXY", "HTTPS_PROXY"]), Some("HTTP_PROXY"));
        assert_eq!(variable("https", &["HTTP_PROXY"]), None);
    }

    #[test]
    fn no_proxy_exempts_domains_addresses_and_ports() {
        for (list, host, expected) in [
            ("", "registry.example.com", false),
            ("*", "registry.example.com", true),
            ("example.com", "registry.example.com", true),
            ("example.com", "example.com", true),
            ("example.com", "badexample.com", false),
            (".example.com", "registry.example.com", true),
            ("*.example.com", "registry.example.com", true),
            (".example.com", "example.com", false),
            ("a.b, EXAMPLE.com", "registry.example.COM", true),
            ("example.com:443", "registry.example.com", true),
            ("example.com:5050", "registry.example.com", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.0.0.0/33", "10.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("fd00::/8", "[fd00::1]", true),
            ("fd00::1", "[fd00::1]", true),
            ("10.0.0.0/8", "registry.example.com", false),
            (",, :443,/", "registry.example.com", false),
        ] {
            assert_eq!(direct(list, host, 443), expected, "{list:?} {host}");
        }
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        for host in ["localhost", "127.0.0.1", "127.8.9.1", "[::1]"] {
            assert!(direct("", host, 443), "{host}");
        }
        assert!(!direct("", "localhost.example.com", 443));
        assert!(!direct("", "10.0.0.1", 443));
    }
}
