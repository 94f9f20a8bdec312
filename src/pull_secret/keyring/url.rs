//! Host and path of a URL as Go's `url.Parse` reads them (`net/url/url.go`, Go 1.26), for URLs that
//! begin with `https://` or `http://`.
//!
//! Percent escapes may hold any byte, so both parts are bytes. What follows `?` is dropped.

use std::net::Ipv6Addr;

/// The two decoded parts that the keyring uses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// `HOST` or `HOST:PORT`.
    pub(super) host: Vec<u8>,
    /// Empty, or with a leading slash.
    pub(super) path: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Zone,
    Path,
    UserPassword,
    Fragment,
}

impl Url {
    /// `url.Parse("https://" + rest)`; `None` if that fails.
    pub(super) fn of_schemeless(rest: &[u8]) -> Option<Self> {
        let (rest, fragment) = cut(rest, b'#');
        unescape(fragment, Part::Fragment)?;
        if rest.iter().any(u8::is_ascii_control) {
            return None;
        }
        let (rest, _query) = cut(rest, b'?');
        let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        Some(Self { host: host_of_authority(authority)?, path: unescape(path, Part::Path)? })
    }
}

/// `strings.Cut`.
fn cut(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == at);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// `parseAuthority`: a user name and password before the host are allowed and validated.
fn host_of_authority(authority: &[u8]) -> Option<Vec<u8>> {
    let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else {
        return parse_host(authority);
    };
    // `validUserinfo`.
    let user_info = &authority[..at];
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
    if !user_info.iter().all(allowed) {
        return None;
    }
    let (user, password) = cut(user_info, b':');
    unescape(user, Part::UserPassword)?;
    unescape(password, Part::UserPassword)?;
    parse_host(&authority[at + 1..])
}

fn parse_host(host: &[u8]) -> Option<Vec<u8>> {
    match host.iter().rposition(|byte| *byte == b'[') {
        Some(0) => parse_ip_literal(host),
        Some(_) => None,
        None => {
            let colon = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
            valid_optional_port(&host[colon..]).then(|| unescape(host, Part::Host))?
        }
    }
}

/// `[IPV6]`, `[IPV6%25ZONE]`, with or without a port. Nothing else is allowed in brackets.
fn parse_ip_literal(host: &[u8]) -> Option<Vec<u8>> {
    let end = host.iter().rposition(|byte| *byte == b']')?;
    let port = &host[end + 1..];
    if !valid_optional_port(port) {
        return None;
    }
    let inside = &host[1..end];
    let zone = inside.windows(3).position(|escape| escape == b"%25").unwrap_or(inside.len());
    let mut name = unescape(&inside[..zone], Part::Host)?;
    name.extend(unescape(&inside[zone..], Part::Zone)?);
    // `netip.ParseAddr`: a zone follows the first `%` and is not empty.
    let address = match name.iter().position(|byte| *byte == b'%') {
        Some(percent) if percent + 1 == name.len() => return None,
        Some(percent) => &name[..percent],
        None => &name,
    };
    std::str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
    Some([b"[", name.as_slice(), b"]", port].concat())
}

/// Empty, or a colon and any number of digits.
fn valid_optional_port(port: &[u8]) -> bool {
    match port.split_first() {
        None => true,
        Some((colon, digits)) => *colon == b':' && digits.iter().all(u8::is_ascii_digit),
    }
}

fn unescape(escaped: &[u8], part: Part) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut at = 0;
    while at < escaped.len() {
        let byte = escaped[at];
        if byte != b'%' {
            if matches!(part, Part::Host | Part::Zone) && byte.is_ascii() && !allowed_in_host(byte)
            {
                return None;
            }
            plain.push(byte);
            at += 1;
            continue;
        }
        let [high, low] = [hex(escaped.get(at + 1))?, hex(escaped.get(at + 2))?];
        let value = high * 16 + low;
        let refused = match part {
            // Only for non-ASCII bytes; `%25` introduces a zone.
            Part::Host => high < 8 && value != b'%',
            Part::Zone => value != b'%' && value != b' ' && !allowed_in_host(value),
            Part::Path | Part::UserPassword | Part::Fragment => false,
        };
        if refused {
            return None;
        }
        plain.push(value);
        at += 3;
    }
    Some(plain)
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    let value = char::from(*digit?).to_digit(16)?;
    u8::try_from(value).ok()
}

/// `!shouldEscape(byte, encodeHost)`.
fn allowed_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_host_and_path_as_go_does() {
        for (rest, host, path) in [
            ("a.b", "a.b", ""),
            ("a.b:1/c/d", "a.b:1", "/c/d"),
            ("u:p@a.b/c?d#e", "a.b", "/c"),
            ("a.b/%20%2f", "a.b", "/ /"),
            ("b\u{fc}cher.b/\u{fc}", "b\u{fc}cher.b", "/\u{fc}"),
            ("b%C3%BCcher.b", "b\u{fc}cher.b", ""),
            ("b%E2%82%AC.b", "b\u{20ac}.b", ""),
            ("[fe80::1%25e0]:80/c", "[fe80::1%e0]:80", "/c"),
            ("[fe80::1%25%65%6e%300%20]", "[fe80::1%en00 ]", ""),
            ("#", "", ""),
            ("", "", ""),
        ] {
            let expected = Url { host: host.into(), path: path.into() };
            assert_eq!(Url::of_schemeless(rest.as_bytes()), Some(expected), "{rest}");
        }
        for refused in [
            "a b",
            "a.b\n",
            "a.b/\u{7f}",
            "a.b:x",
            "a:1:2",
            "%61.b",
            "a.b/%",
            "a.b/%2",
            "a.b/%g0",
            "a.b#%",
            "a\\b",
            "[1.2.3.4]",
            "[::1",
            "x[::1]",
            "[::1]x",
            "[::1%25]",
            "[::%31]",
            "[fe80::1%25a%2fb]",
            "u:%@a.b",
            "u p@a.b",
            "a^b",
            "a`b",
        ] {
            assert_eq!(Url::of_schemeless(refused.as_bytes()), None, "{refused}");
        }
    }
}
