//! `makeinfra completions` and `makeinfra man`: both come from the command line's own definitions.

use super::complete::VARIABLE;
use crate::cli::Cli;
use crate::error::{Failure, Result};
use crate::report::Report;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_complete::env::Shells;
use clap_mangen::Man;
use std::io::{self, Write};

/// What the definitions do not say, in roff.
const TAIL: &str = r#".SH "EXIT STATUS"
0 done; 2 wrong options or values; 3 undetermined, such as a registry that does not answer; 1 any other failure or a
problem that was found; 128 plus the signal number if interrupted.
.SH ENVIRONMENT
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY: the proxies on the way to a registry, in either case. SSL_CERT_FILE: the
certificates to trust in place of the machine's.
.SH FILES
.TP
$XDG_CONFIG_HOME/makeinfra/config.yaml, else ~/.config/makeinfra/config.yaml
Defaults for all projects: registry, ingress\-domain, port, replicas, health\-path, pod\-security, secret\-name,
secret\-type, email, output. No secrets.
.TP
PROJECT\-infra/.makeinfra.yaml
The answers that a repository was made from.
.SH EXAMPLES
.nf
makeinfra new shop \-\-image registry.gitlab.com/group/shop:1.0.0
makeinfra new shop \-\-answers shop.yaml \-\-token\-json token.json
makeinfra rotate shop\-infra \-\-check \-\-commit
makeinfra check shop\-infra \-\-online
.fi
.SH "SEE ALSO"
.BR git\-crypt (1),
.BR kubectl (1),
.BR make (1)
"#;

/// The completions for `shell`: a script that asks the program, which knows the names of a repository, too.
pub fn completions(shell: Shell) -> Result<Report> {
    let mut script = Vec::new();
    let (program, shells) = ("makeinfra", Shells::builtins());
    if let Some(asking) = shells.completer(&shell.to_string()) {
        asking
            .write_registration(VARIABLE, program, program, program, &mut script)
            .map_err(|error| Failure::failed("cannot make the completions").because(error.to_string()))?;
    } else {
        clap_complete::generate(shell, &mut Cli::command(), program, &mut script);
    }
    Ok(Report { text: String::from_utf8_lossy(&script).into_owned(), ..Report::default() })
}

/// One manual page with all commands, in roff.
pub fn man() -> Result<Report> {
    let mut page = Vec::new();
    let rendered = render(&mut page);
    rendered.map_err(|error| Failure::failed("cannot make the manual page").because(error.to_string()))?;
    Ok(Report { text: String::from_utf8_lossy(&page).into_owned(), ..Report::default() })
}

fn render(page: &mut Vec<u8>) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let man = Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    page.write_all(b".SH SYNOPSIS\n")?;
    let described = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    // `secret set` is a command, `secret` alone is none.
    let below = |command: &Command| command.get_subcommands().any(|command| described(&command));
    let (groups, mut commands): (Vec<_>, Vec<_>) =
        command.get_subcommands().filter(described).partition(|command| below(command));
    commands.extend(groups.iter().flat_map(|group| group.get_subcommands().filter(described)));
    for subcommand in &commands {
        writeln!(page, ".B makeinfra {}\n.br", usage(subcommand))?;
    }
    man.render_description_section(page)?;
    for subcommand in commands {
        writeln!(page, ".SH \"MAKEINFRA {}\"", full_name(subcommand).to_uppercase())?;
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(page, "{}", about.replace('-', "\\-"))?;
        // The options alone, as subsections of the command.
        let mut options = Vec::new();
        Man::new(subcommand.clone()).render_options_section(&mut options)?;
        let options = String::from_utf8_lossy(&options);
        page.write_all(options.replace(".SH OPTIONS\n", "").replace(".SH ", ".SS ").as_bytes())?;
    }
    page.write_all(TAIL.as_bytes())
}

/// A command's name, with that of the one that it is below.
fn full_name(command: &Command) -> &str {
    let all = command.get_bin_name().unwrap_or(command.get_name());
    all.strip_prefix("makeinfra ").unwrap_or(all)
}

/// A command with its arguments, in short.
fn usage(command: &Command) -> String {
    let arguments = command.get_positionals().map(|argument| {
        let name = argument.get_id().as_str().to_uppercase();
        if argument.is_required_set() { format!(" {name}") } else { format!(" [{name}]") }
    });
    let options = if command.get_opts().next().is_some() { " [OPTIONS]" } else { "" };
    format!("{}{}{options}", full_name(command), arguments.collect::<String>())
}
