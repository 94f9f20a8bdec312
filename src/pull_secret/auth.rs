//! The `auth` field of a docker config entry, read as the kubelet reads it: Kubernetes v1.36.3,
//! `pkg/credentialprovider/config.go`, `decodeDockerConfigFieldAuth`.
//!
//! Never quotes the field or its content.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Why an `auth` was refused. A single refused entry makes the kubelet fail the whole pull.
pub type Fault = &'static str;

/// User name and password in `auth`: base64 of `USERNAME:PASSWORD`, with or without padding and
/// line breaks. The password is everything after the first colon, unchanged: unlike docker, the
/// kubelet does not trim NULs or line breaks.
pub fn decode(auth: &str) -> Result<(String, Zeroizing<String>), Fault> {
    // Go chooses the padded alphabet by the last character, and its decoders skip only CR and LF.
    let padding = if auth.trim_end().ends_with('=') {
        DecodePaddingMode::RequireCanonical
    } else {
        DecodePaddingMode::RequireNone
    };
    // Go's decoders are lenient: bits after the last byte may have any value.
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(true);
    let compact: Zeroizing<String> =
        Zeroizing::new(auth.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
    let decoded =
        GeneralPurpose::new(&STANDARD, config).decode(compact.as_bytes()).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| "an `auth` is not base64")?;
    // Go would accept any bytes, but the CRI, whose strings are UTF-8, cannot transport them.
    let pair = std::str::from_utf8(&decoded).map_err(|_| "an `auth` does not contain text")?;
    let (username, password) =
        pair.split_once(':').ok_or("an `auth` does not contain USERNAME:PASSWORD")?;
    Ok((username.to_owned(), Zeroizing::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../../tests/vectors/keyring.json");

    /// Every entry of the measured Secrets that has an `auth`.
    #[test]
    fn decodes_as_the_measured_kubelet() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let mut compared = 0;
        for row in vectors["secret_contents"].as_array().unwrap() {
            let Ok(Value::Object(root)) = serde_json::from_str(row["data"].as_str().unwrap())
            else {
                continue;
            };
            let entries = root.get("auths").unwrap_or(&row["none"]).as_object().unwrap_or(&root);
            let auths: Vec<_> =
                entries.values().filter_map(|entry| entry["auth"].as_str()).map(decode).collect();
            let expected = row["credentials"].as_array().unwrap();
            let refused = row["refused_by"] == "kubelet" && row["case"] != "email is false";
            assert_eq!(auths.iter().any(Result::is_err), refused, "{}", row["case"]);
            for credential in expected.iter().filter(|_| !auths.is_empty()) {
                let pair = |(username, password): &(String, Zeroizing<String>)| {
                    credential["username"] == username.as_str()
                        && credential["password"] == password.as_str()
                };
                assert!(auths.iter().flatten().any(pair), "{}", row["case"]);
                compared += 1;
            }
        }
        assert_eq!(compared, 11);
    }

    #[test]
    fn takes_and_refuses_what_the_decoders_of_go_do() {
        for (auth, password) in [
            ("dTpw", "p"),
            ("dTpwdw==", "pw"),
            ("dTpwdw", "pw"),
            ("dTpwdw=\r\n=\n", "pw"),
            ("\ndT\npw\n", "p"),
            ("dTpwdx==", "pw"),
            ("dTpwdx", "pw"),
            ("dTo=", ""),
            ("dTpwAA==", "p\0"),
        ] {
            assert_eq!(decode(auth).unwrap().1.as_str(), password, "{auth:?}");
        }
        for auth in [
            "",
            "dTpw ",
            " dTpw",
            "dTpwdw= =",
            "dTpwdw=",
            "dTpwdw===",
            "dTpw=",
            "dTpwd",
            "dTp-",
            "dT==pw",
            "dTpwdw==\u{a0}",
            "dTr/",
            "bm9jb2xvbg==",
        ] {
            assert!(decode(auth).is_err(), "{auth:?}");
        }
    }
}
