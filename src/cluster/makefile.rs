//! The kubectl of a repository, as set by its Makefile and the environment.

use crate::advice::Advice;
use crate::error::{Failure, Result};

/// Whether a Makefile's assignment lets the environment variable take precedence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    IfUnset,
    Always,
}

/// The context that a generated Makefile sets for an environment, or for the only one.
#[must_use]
pub fn context_of(makefile: &str) -> Option<String> {
    let (value, _) = assigned(makefile, "CONTEXT")?;
    (!value.is_empty() && !value.contains('$')).then(|| value.to_owned())
}

/// The last value that a Makefile assigns to the variable `name`.
pub(super) fn assigned<'m>(makefile: &'m str, name: &str) -> Option<(&'m str, Operator)> {
    let value = |line: &'_ str| -> Option<(usize, Operator)> {
        let rest = line
            .strip_prefix("export ")
            .unwrap_or(line)
            .trim_start()
            .strip_prefix(name)?
            .trim_start();
        let operators = [
            ("?=", Operator::IfUnset),
            (":::=", Operator::Always),
            ("::=", Operator::Always),
            (":=", Operator::Always),
            ("=", Operator::Always),
        ];
        let (value, operator) = operators
            .iter()
            .find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, *operator)))?;
        Some((line.len() - value.len(), operator))
    };
    let mut found = makefile
        .lines()
        .filter_map(|line| value(line).map(|(at, operator)| (&line[at..], operator)));
    found
        .next_back()
        .map(|(value, operator)| (value.split(" #").next().unwrap_or(value).trim(), operator))
}

/// Whether an untrusted Makefile may choose this program: a Kubernetes client on `PATH`, with
/// options that select from the user's own kubeconfig. Another kubeconfig could name any program
/// for signing in.
pub(super) fn is_harmless(words: &[String]) -> bool {
    let mut left = words.iter().map(String::as_str);
    match left.next() {
        Some("kubectl" | "oc") => {}
        Some("k3s" | "microk8s" | "minikube") if left.next() == Some("kubectl") => {}
        _ => return false,
    }
    let options = [
        "--as",
        "--as-group",
        "--context",
        "--cluster",
        "--user",
        "--namespace",
        "-n",
        "--request-timeout",
    ];
    while let Some(word) = left.next() {
        let named = word.split_once('=').map_or(word, |(name, _)| name);
        if word == "--" {
            continue;
        }
        if !options.contains(&named) || (named == word && left.next().is_none()) {
            return false;
        }
    }
    true
}

pub(super) fn words(command: &str) -> Result<Vec<String>> {
    let needs_a_shell = |c: char| "$`;|&<>()*?\n\\".contains(c);
    let words = shlex::split(command).unwrap_or_default();
    let is_program = words.iter().any(|word| !word.contains('='));
    if !is_program
        || command.contains(needs_a_shell)
        || words.iter().any(|word| word.starts_with('~'))
    {
        return Err(Failure::failed("cannot read `KUBECTL`")
            .because("it is not a program with options; makeinfra runs nothing else")
            .hint(Advice::at_top("KUBECTL=\"kubectl --context NAME\" makeinfra diagnose"))
            .into());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::super::Kubectl;
    use super::context_of;
    use std::path::Path;

    fn kubectl(variable: Option<&str>, makefile: &str) -> Option<Vec<String>> {
        Kubectl::new(variable, Some(makefile), Path::new("/"), None)
            .ok()
            .map(|kubectl| kubectl.words)
    }

    #[test]
    fn the_variable_and_the_makefile_decide_as_make_does() {
        for (variable, makefile, command) in [
            (None, "", "kubectl"),
            (None, "KUBECTL         ?= kubectl\n", "kubectl"),
            (
                None,
                "KUBECTL ?= kubectl --context a # ours\nall:\n\t$(KUBECTL) get\n",
                "kubectl|--context|a",
            ),
            (Some("k --context 'a b'"), "KUBECTL ?= kubectl", "k|--context|a b"),
            (Some("k"), "export KUBECTL := oc", "oc"),
            (None, "KUBECTL =", "kubectl"),
            (None, "KUBECTL_OPTIONS = x\nkubectl = y", "kubectl"),
            (Some("KUBECONFIG=/a/b \"my kubectl\""), "", "KUBECONFIG=/a/b|my kubectl"),
        ] {
            let expected: Vec<_> = command.split('|').map(str::to_owned).collect();
            assert_eq!(kubectl(variable, makefile), Some(expected), "{variable:?} {makefile}");
        }
    }

    #[test]
    fn the_context_stands_in_the_settings_of_an_environment_or_in_the_makefile() {
        assert_eq!(context_of("NAMESPACE := live\nCONTEXT   := eu/live\n"), Some("eu/live".into()));
        assert_eq!(context_of("CONTEXT   :=\n"), None);
        assert_eq!(context_of("CONTEXT := $(CLUSTER)\n"), None);
    }

    #[test]
    fn what_needs_a_shell_or_make_is_refused() {
        for command in [
            "$(HOME)/kubectl",
            "kubectl | tee x",
            "kubectl; rm x",
            "`x`",
            "~/kubectl",
            "A=b",
            "'",
            "a\\ b",
        ] {
            assert_eq!(kubectl(Some(command), ""), None, "{command}");
        }
    }
}
