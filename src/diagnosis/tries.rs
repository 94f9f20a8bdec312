//! Splits an error in which the kubelet combines several attempts of one pull. Pure.

/// Prefixes of an attempt, from runtimes and kubelets of different ages.
const TRY: [&str; 5] = [
    "rpc error: ",
    "failed to pull and unpack image ",
    "Error response from daemon: ",
    "unable to pull image ",
    "initializing source ",
];

/// The attempts that the kubelet lists in brackets, one for each credential.
pub(super) fn tries(text: &str) -> Vec<&str> {
    let begins = |separator: &str| {
        let places = text.match_indices(separator).map(|(at, found)| at + found.len());
        places
            .filter(|at| TRY.iter().any(|start| text[*at..].starts_with(start)))
            .collect::<Vec<_>>()
    };
    let Some(first) = begins("[").first().copied() else { return Vec::new() };
    let mut starts: Vec<_> = begins(", ").into_iter().filter(|at| *at > first).collect();
    starts.insert(0, first);
    let ends = starts.iter().skip(1).map(|at| at - 2).chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_told_apart_whatever_runtime_they_are_of() {
        for (text, expected) in [
            (
                "Failed to pull image \"a:1\": [rpc error: one, rpc error: two, and more]",
                &["rpc error: one", "rpc error: two, and more]"][..],
            ),
            (
                "[failed to pull and unpack image \"a\": x, y, rpc error: code = NotFound: z, \
                 failed to pull and unpack image \"a\": w]",
                &[
                    "failed to pull and unpack image \"a\": x, y",
                    "rpc error: code = NotFound: z",
                    "failed to pull and unpack image \"a\": w]",
                ],
            ),
            (
                "[initializing source docker://a:1: x, Error response from daemon: y]",
                &["initializing source docker://a:1: x", "Error response from daemon: y]"],
            ),
            ("unexpected status code [manifests v2]: 401 Unauthorized, rpc error: x", &[]),
            ("(Mirrors also failed: [m.example.com/a:1: denied]): b, rpc error: x", &[]),
            ("rpc error: code = Unknown", &[]),
        ] {
            assert_eq!(tries(text), expected, "{text}");
        }
    }
}
