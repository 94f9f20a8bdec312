//! Interprets kubectl's output on standard error.

use super::{BATCH_KINDS, KINDS, KubectlError, RUNNING_KINDS};

/// kubectl's error message, without its log.
pub(super) fn complaint(stderr: &str) -> String {
    let is_log = |line: &&str| {
        let (level, rest) = line.split_at_checked(1).unwrap_or_default();
        "EIWF".contains(level)
            && rest.len() > 4
            && rest.as_bytes()[..4].iter().all(u8::is_ascii_digit)
    };
    let lines: Vec<_> =
        stderr.lines().filter(|line| !line.trim().is_empty() && !is_log(line)).take(3).collect();
    if lines.is_empty() {
        stderr.lines().next_back().unwrap_or_default().to_owned()
    } else {
        lines.join("; ")
    }
}

/// The meaning of kubectl's messages: the first row with a matching text counts.
const WORDS: [(KubectlError, &[&str]); 4] = [
    (KubectlError::Forbidden, &["(Forbidden)"]),
    (
        KubectlError::Login,
        &[
            "(Unauthorized)",
            "must be logged in",
            "provide credentials",
            "getting credentials",
            "exec plugin",
        ],
    ),
    (
        KubectlError::NoContext,
        &[
            "context was not found",
            "does not exist",
            "no context exists",
            "cluster has no server defined",
        ],
    ),
    (
        KubectlError::Unreachable,
        &[
            "was refused",
            "Unable to connect",
            "no such host",
            "i/o timeout",
            "deadline exceeded",
            "Client.Timeout",
            "timed out",
            "x509",
            "TLS handshake",
            "no route to host",
            "network is unreachable",
            "ServiceUnavailable",
        ],
    ),
];

pub(super) fn kubectl_error(stderr: &str) -> KubectlError {
    let row = WORDS.iter().find(|(_, words)| words.iter().any(|word| stderr.contains(word)));
    row.map_or(KubectlError::Failed, |(error, _)| *error)
}

/// The forbidden kinds: `pods is forbidden: User "x" cannot list resource "pods" in API group ""…`.
pub(super) fn refused(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter(|line| line.contains("(Forbidden)"));
    let kinds =
        lines.filter_map(|line| line.split("cannot list resource \"").nth(1)?.split('"').next());
    kinds
        .filter(|kind| [KINDS, BATCH_KINDS, RUNNING_KINDS].iter().any(|all| all.contains(kind)))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_kubectl_is_known() {
        // Seen with kubectl 1.36, some with older versions.
        for (text, error) in [
            (
                "The connection to the server 127.0.0.1:1 was refused - did you specify the right \
                 host or port?",
                KubectlError::Unreachable,
            ),
            (
                "Unable to connect to the server: dial tcp: lookup nosuch.invalid on 10.0.0.53:53: \
                 no such host",
                KubectlError::Unreachable,
            ),
            (
                "Error in configuration: context was not found for specified context: nope",
                KubectlError::NoContext,
            ),
            ("error: context \"nope\" does not exist", KubectlError::NoContext),
            ("error: auth info \"none\" does not exist", KubectlError::NoContext),
            ("error: You must be logged in to the server (Unauthorized)", KubectlError::Login),
            (
                "Error from server (Forbidden): pods is forbidden: User \"a\" cannot list resource \
                 \"pods\" in API group \"\"",
                KubectlError::Forbidden,
            ),
            ("error: unknown flag: --frobnicate", KubectlError::Failed),
        ] {
            assert_eq!(kubectl_error(text), error, "{text}");
        }
    }

    #[test]
    fn the_log_is_left_out_of_a_complaint_unless_there_is_nothing_else() {
        let log = "E1125 04:37:24.582167   10549 memcache.go:265] \"Unhandled Error\" err=\"x\"";
        assert_eq!(
            complaint(&format!("{log}\n{log}\nThe connection was refused")),
            "The connection was refused"
        );
        assert_eq!(complaint(log), log);
        assert_eq!(complaint(""), "");
    }
}
