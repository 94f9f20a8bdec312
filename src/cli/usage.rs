//! What clap's errors say here. Quotes no value: any of them may be a token.

use super::Cli;
use crate::advice::Advice;
use crate::error::Failure;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Where a token can come from.
const TOKEN_OPTIONS: &str = "use --token-stdin, --token-file FILE, --token-env NAME, --token-json \
                             FILE, --from-docker-config or --from-ci; without any of them, \
                             makeinfra prompts for the token";

/// Whether nothing but a group of commands was typed, which shows the help, as with git and cargo.
#[must_use]
pub fn is_bare(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// The failure that stands for clap's `error`. Values are left out: any of them may be a token.
#[must_use]
pub fn usage_failure(error: &clap::Error, arguments: &[OsString]) -> Failure {
    let argument = error.get(ContextKind::InvalidArg).map(names).unwrap_or_default();
    let first = argument.first().cloned().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if first == "--token" => Failure::usage(
            "unknown option `--token`: its value would be visible in `ps` and in the shell history",
        )
        .hint(TOKEN_OPTIONS),
        // As kubectl calls it, and as one would guess.
        ErrorKind::UnknownArgument
            if ["--value", "--from-literal", "--literal"].contains(&first.as_str()) =>
        {
            no_argument_for_a_value(&format!("unknown option `{first}`"))
        }
        ErrorKind::UnknownArgument if of_secret_set(error) && !first.starts_with('-') => {
            no_argument_for_a_value("unexpected argument")
        }
        ErrorKind::UnknownArgument => {
            let failure = match (is_option(&first), first.starts_with('-')) {
                (true, _) => Failure::usage(format!("unknown option `{first}`")),
                (false, true) => Failure::usage("unknown option (values cannot begin with `-`)"),
                (false, false) => {
                    Failure::usage("unexpected argument").because(too_many(error, arguments))
                }
            };
            match error
                .get(ContextKind::SuggestedArg)
                .map(names)
                .and_then(|names| names.first().cloned())
            {
                _ if first.contains("token") && is_option(&first) => failure.hint(TOKEN_OPTIONS),
                Some(suggested) => failure.hint(format!("did you mean `{suggested}`?")),
                None => failure.hint(help(error, arguments)),
            }
        }
        ErrorKind::ArgumentConflict => {
            let others = error.get(ContextKind::PriorArg).map(names).unwrap_or_default();
            match others.as_slice() {
                [other, ..] if *other != first => {
                    Failure::usage(format!("`{first}` cannot be used with `{other}`"))
                        .hint("remove one of them")
                }
                _ => Failure::usage(format!("`{first}` cannot be used more than once"))
                    .hint("remove one of them"),
            }
        }
        ErrorKind::InvalidValue
            if error.get(ContextKind::ValidValue).map(names).is_some_and(|v| !v.is_empty()) =>
        {
            let valid = error.get(ContextKind::ValidValue).map(names).unwrap_or_default();
            let name = first.trim_matches(['<', '>']);
            let example = valid.first().cloned().unwrap_or_default();
            Failure::usage(format!("`{name}` must be one of: {}", valid.join(", "))).hint(
                match name {
                    "SHELL" => Advice::makeinfra("completions").arg(example),
                    option => Advice::from(format!("{option} {example}")),
                },
            )
        }
        ErrorKind::TooManyValues => {
            Failure::usage(format!("`{first}` takes no value")).hint(help(error, arguments))
        }
        ErrorKind::InvalidValue
        | ErrorKind::NoEquals
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::TooFewValues => {
            Failure::usage(format!("`{first}` requires a value")).hint(help(error, arguments))
        }
        ErrorKind::InvalidSubcommand => unknown_command(error, arguments),
        ErrorKind::MissingRequiredArgument if of_secret_set(error) => {
            Failure::usage(format!("`{}` is required", first.trim_matches(['<', '>'])))
                .hint("{makeinfra secret set NAME KEY}")
        }
        ErrorKind::MissingRequiredArgument => {
            let names = first.trim_matches(['<', '>']).replace('|', "` or `");
            Failure::usage(format!("`{names}` is required")).hint(help(error, arguments))
        }
        ErrorKind::MissingSubcommand => {
            Failure::usage("a command is required").hint(help(error, arguments))
        }
        ErrorKind::InvalidUtf8 => {
            Failure::usage("an argument is not UTF-8 text").hint(help(error, arguments))
        }
        _ => Failure::usage("invalid arguments").hint(help(error, arguments)),
    }
}

/// Why there is an argument too many among `arguments`.
fn too_many(error: &clap::Error, arguments: &[OsString]) -> String {
    // Only commands with this option are typed with it.
    if arguments.iter().any(|argument| argument == "--from-docker-config") {
        return "`--from-docker-config=FILE` requires a `=` before the file, and no option takes \
                the value of a token"
            .into();
    }
    let command = command(error, arguments);
    let words: Vec<_> = command.split(' ').skip(1).collect();
    let names: Vec<_> = positionals(&words)
        .iter()
        .map(|argument| match argument.get_id().as_str() {
            "repo" => "one repository".to_owned(),
            name => format!("one {}", name.to_uppercase()),
        })
        .collect();
    let takes = if names.is_empty() { "no argument".to_owned() } else { names.join(" and ") };
    format!("`{command}` takes {takes}")
}

/// The failure of somebody who may have put the value of a Secret among the arguments; `what`
/// quotes none.
#[must_use]
pub fn no_argument_for_a_value(what: &str) -> Failure {
    Failure::usage(what)
        .because(
            "the value of a Secret cannot be an argument: it would be visible in `ps` and in the \
             shell history",
        )
        .hint("use --stdin or --from-file FILE; without them, makeinfra prompts for the value")
}

/// Words that people type for a command that is called otherwise, each with what is meant.
const MEANT: [(&str, &str); 9] = [
    ("secret-token", "{makeinfra rotate}"),
    ("token", "{makeinfra rotate}"),
    ("init", "{makeinfra new PROJECT}"),
    ("create", "{makeinfra new PROJECT}"),
    ("deploy", "{make deploy}, in the repository"),
    ("upgrade", "{makeinfra update}"),
    ("delete", "{makeinfra remove NAME}"),
    ("get", "{makeinfra secret list} shows the keys; no command prints a value"),
    ("show", "{makeinfra secret list} shows the keys; no command prints a value"),
];

/// The failure for a command that does not exist. It is quoted only if it is close to one that
/// does.
fn unknown_command(error: &clap::Error, arguments: &[OsString]) -> Failure {
    let above = command(error, arguments);
    let typed = error
        .get(ContextKind::InvalidSubcommand)
        .map(names)
        .and_then(|names| names.first().cloned());
    let typed = typed.unwrap_or_default();
    let is_secret = above == "makeinfra secret";
    let is_of_secret = |name: &str| ["get", "show"].contains(&name);
    let known = MEANT.iter().find(|(name, _)| *name == typed && is_of_secret(name) == is_secret);
    let suggested = error.get(ContextKind::SuggestedSubcommand).map(names).unwrap_or_default();
    let unknown = || {
        // clap takes a word for close to another one that begins or ends like it, whatever is
        // between.
        if !is_plain_name(&typed) {
            return Failure::usage("unknown command");
        }
        let whole = format!("{} {typed}", above.trim_start_matches("makeinfra"));
        Failure::usage(format!("unknown command `{}`", whole.trim_start()))
    };
    match (known, suggested.first()) {
        (Some((_, meant)), _) => unknown().hint(*meant),
        (None, Some(suggested)) => {
            let words: Vec<&str> = above.split(' ').skip(1).chain([suggested.as_str()]).collect();
            let meant = required(&words)
                .into_iter()
                .fold(Advice::anywhere(&above).arg(suggested), Advice::arg);
            unknown().hint(Advice::from("did you mean: ").say(meant))
        }
        (None, None) => Failure::usage("unknown command").hint(help(error, arguments)),
    }
}

/// The names of the arguments that the command `words` cannot do without.
fn required(words: &[&str]) -> Vec<String> {
    positionals(words)
        .iter()
        .filter(|argument| argument.is_required_set())
        .map(|argument| argument.get_id().as_str().to_uppercase())
        .collect()
}

/// The arguments of the command `words` that are no options.
fn positionals(words: &[&str]) -> Vec<clap::Arg> {
    let root = Cli::whole();
    let found = words.iter().try_fold(&root, |command, word| command.find_subcommand(word));
    found.into_iter().flat_map(clap::Command::get_positionals).cloned().collect()
}

/// What shows the help of the command that was typed, as far as clap has understood it.
fn help(error: &clap::Error, arguments: &[OsString]) -> Advice {
    Advice::anywhere(command(error, arguments)).arg("--help")
}

/// The command that was typed, as far as clap has understood it.
fn command(error: &clap::Error, arguments: &[OsString]) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        // What clap would have shown as help has no context.
        _ => error.to_string(),
    };
    let words =
        usage.split_once("Usage: ").map(|(_, usage)| usage).unwrap_or_default().split_whitespace();
    let names: Vec<_> =
        words.take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())).collect();
    if names.is_empty() { typed(arguments) } else { names.join(" ") }
}

/// The command that `arguments` begin with: a value that is missing comes without any usage.
fn typed(arguments: &[OsString]) -> String {
    let root = Cli::command();
    let (mut command, mut words) = (&root, vec![root.get_name()]);
    for argument in arguments.iter().skip(1) {
        let Some(below) = argument.to_str().and_then(|word| command.find_subcommand(word)) else {
            break;
        };
        command = below;
        words.push(below.get_name());
    }
    words.join(" ")
}

/// Whether the error is one of `makeinfra secret set`, whose user may have put a value among the
/// arguments.
fn of_secret_set(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::Usage), Some(ContextValue::StyledStr(usage))
        if usage.to_string().contains("makeinfra secret set"))
}

/// The option or argument names in clap's context, without their value names.
fn names(value: &ContextValue) -> Vec<String> {
    let bare = |text: &String| text.split([' ', '=', '[']).next().unwrap_or_default().to_owned();
    match value {
        ContextValue::String(text) => vec![bare(text)],
        ContextValue::Strings(texts) => texts.iter().map(bare).collect(),
        _ => Vec::new(),
    }
}

/// Whether `text` has the form of one of our options: then it may be quoted.
fn is_option(text: &str) -> bool {
    text.strip_prefix("--").is_some_and(is_plain_name)
}

fn is_plain_name(name: &str) -> bool {
    (1..=24).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_usage_error_quotes_a_stray_value() {
        const MARK: &str = "gldt-Marker";
        for arguments in [
            vec!["new", "hello", "--token", MARK],
            vec!["new", "hello", "--token=gldt-Marker"],
            vec!["new", "hello", MARK],
            vec!["new", "--gldt-Marker"],
            vec!["new", "-gldt-Marker"],
            vec![MARK],
            vec!["completions", MARK],
            vec!["diagnose", "a", MARK],
            vec!["new", "hello", "--token-stdin=gldt-Marker"],
            vec!["new", "hello", "--token-stdin", "--token-env", MARK],
            vec!["new", "hello", "--no-git=gldt-Marker"],
            vec!["new", "--port", "1", "--port", MARK],
            vec!["man", MARK],
            vec!["secret", MARK],
            vec!["secret", "set", "a", "b", ".", MARK],
            vec!["secret", "set", "a", "b", "--value", MARK],
            vec!["secret", "set", "a", "b", "--from-literal=gldt-Marker"],
            vec!["secret", "set", "a", "b", "--gldt-Marker"],
            vec!["secret", "set", "a", "b", "--stdin=gldt-Marker"],
            vec!["secret", "set", "a", "b", "--stdin", "--from-file", MARK],
            vec!["secret", "set", MARK],
        ] {
            let error = Cli::try_parse_from(["makeinfra"].iter().chain(&arguments)).unwrap_err();
            let report = crate::error::explain(&usage_failure(&error, &[]).into());
            let text = format!("{report:?}");
            assert!(!text.contains("Marker"), "{arguments:?}: {text}");
            assert!(report.message.len() > 10 && !report.message.contains("``"), "{text}");
        }
    }

    #[test]
    fn an_argument_too_many_is_told_what_the_command_takes() {
        for (typed, cause) in [
            ("diagnose a b", "`makeinfra diagnose` takes one repository"),
            ("man x", "`makeinfra man` takes no argument"),
            ("new hello world", "`makeinfra new` takes one PROJECT"),
            ("env add a b c", "`makeinfra env add` takes one NAME and one repository"),
            (
                "new hello --from-docker-config x",
                "`--from-docker-config=FILE` requires a `=` before the file, and no option takes \
                 the value of a token",
            ),
        ] {
            let arguments: Vec<_> =
                ["makeinfra"].into_iter().chain(typed.split(' ')).map(OsString::from).collect();
            let error = Cli::try_parse_from(&arguments).unwrap_err();
            let report = crate::error::explain(&usage_failure(&error, &arguments).into());
            assert_eq!(
                (report.message.as_str(), report.causes),
                ("unexpected argument", vec![cause.to_owned()])
            );
        }
    }

    #[test]
    fn an_unknown_command_is_named_with_the_one_that_is_meant() {
        for (typed, message, hint) in [
            ("env ad", "unknown command `env ad`", "did you mean: makeinfra env add NAME"),
            ("secret lst", "unknown command `secret lst`", "did you mean: makeinfra secret list"),
            ("rotat", "unknown command `rotat`", "did you mean: makeinfra rotate"),
            ("secret-token", "unknown command `secret-token`", "makeinfra rotate"),
            (
                "secret get db PASSWORD",
                "unknown command `secret get`",
                "makeinfra secret list shows the keys; no command prints a value",
            ),
            // From a script with Windows line breaks.
            ("check\r", "unknown command", "did you mean: makeinfra check"),
            ("new\\gldt-Marker-", "unknown command", "did you mean: makeinfra new"),
            ("gldt-x", "unknown command", "makeinfra --help"),
            ("env gldt-x", "unknown command", "makeinfra env --help"),
            ("help nw", "unknown command", "makeinfra --help"),
        ] {
            let error =
                Cli::try_parse_from(["makeinfra"].into_iter().chain(typed.split(' '))).unwrap_err();
            let report = crate::error::explain(&usage_failure(&error, &[]).into());
            assert_eq!(report.message, message, "{typed}");
            assert_eq!(report.hint.unwrap().line(None), hint, "{typed}");
        }
    }

    #[test]
    fn an_option_without_its_value_leads_to_the_help_of_its_command() {
        for (typed, hint) in [
            ("diagnose --events", "makeinfra diagnose --help"),
            ("diagnose --namespace", "makeinfra diagnose --help"),
            ("rotate . --env", "makeinfra rotate --help"),
            ("secret set a B --env", "makeinfra secret set --help"),
        ] {
            let arguments: Vec<_> =
                ["makeinfra"].into_iter().chain(typed.split(' ')).map(OsString::from).collect();
            let error = Cli::try_parse_from(&arguments).unwrap_err();
            let report = crate::error::explain(&usage_failure(&error, &arguments).into());
            assert_eq!(report.hint.unwrap().line(None), hint, "{typed}");
        }
    }

    #[test]
    fn a_value_on_the_command_line_is_told_where_to_go() {
        for more in [&["--value", "x"][..], &["--from-literal=x"], &["--literal", "x"], &[".", "x"]]
        {
            let arguments = [&["makeinfra", "secret", "set", "a", "b"], more].concat();
            let error = Cli::try_parse_from(arguments).unwrap_err();
            let report = crate::error::explain(&usage_failure(&error, &[]).into());
            assert!(report.hint.unwrap().line(None).contains("--stdin or --from-file"), "{more:?}");
        }
    }

    #[test]
    fn a_token_on_the_command_line_is_told_where_to_go() {
        for arguments in [vec!["new", "hello", "--token", "x"], vec!["rotate", "--token=x"]] {
            let error = Cli::try_parse_from(["makeinfra"].iter().chain(&arguments)).unwrap_err();
            let report = crate::error::explain(&usage_failure(&error, &[]).into());
            assert!(report.hint.unwrap().line(None).contains("--token-stdin"));
        }
    }
}
