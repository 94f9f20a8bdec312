//! `makeinfra completions` and `makeinfra man`: both are generated from the command line's own
//! definitions.

use super::complete::VARIABLE;
use crate::cli::{Cli, Shell};
use crate::error::{Failure, Result};
use crate::files;
use crate::report::Report;
use clap::Command;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
use clap_complete::generate;
use clap_complete_nushell::Nushell;
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::Path;

/// Sections that the definitions do not contain, in roff.
const TAIL: &str = r#".SH "EXIT STATUS"
0 success; 1 a problem was found, or another failure; 2 invalid options or values; 3 undetermined, such as a registry
that does not answer; 10 the clone is locked; 11 the git\-crypt key of the clone is not the one of this repository;
12 edits and an update are in conflict; 13 a registry or GitLab refused a token; 128 plus the signal number if
interrupted.
.SH ENVIRONMENT
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY: proxies for connections to registries, in upper or lower case.
SSL_CERT_FILE: certificates to trust instead of those of the machine.
.SH FILES
.TP
$XDG_CONFIG_HOME/makeinfra/config.yaml, else ~/.config/makeinfra/config.yaml
Defaults for all projects: registry, ingress\-domain, port, replicas, health\-path, pod\-security, secret\-name,
secret\-type, email, output. No secrets.
.TP
PROJECT\-infra/.makeinfra.yaml
The answers that the repository was generated from.
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

/// The completion script for `shell`. It asks makeinfra, which also knows the names in a
/// repository.
pub fn completions(shell: Shell) -> Result<Report> {
    let mut script = Vec::new();
    let program = "makeinfra";
    let asking: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
        // The nushell script cannot ask yet.
        Shell::Nushell => {
            generate(Nushell, &mut Cli::whole(), program, &mut script);
            return Ok(printed(&script));
        }
    };
    asking
        .write_registration(VARIABLE, program, program, program, &mut script)
        .map_err(|error| cannot(&error))?;
    Ok(printed(&script))
}

/// One manual page with all commands, in roff.
pub fn man() -> Result<Report> {
    Ok(printed(&whole_page()?))
}

/// Writes that page and one for each command to `dir`, under the names that `man` looks for.
pub fn pages(dir: &Path) -> Result<Report> {
    let dir = files::directory(dir)?;
    files::write(&dir.join("makeinfra.1"), &whole_page()?)?;
    let command = Cli::whole();
    let mut number = 1;
    for described in described(&command) {
        let name = full_name(described).replace(' ', "-");
        let mut page = Vec::new();
        render_one(described, &name, &mut page).map_err(|error| cannot(&error))?;
        files::write(&dir.join(format!("makeinfra-{name}.1")), &page)?;
        number += 1;
    }
    Ok(Report { text: format!("Wrote {number} manual pages\n"), ..Report::default() })
}

fn whole_page() -> Result<Vec<u8>> {
    let mut page = Vec::new();
    render(&mut page).map_err(|error| cannot(&error))?;
    Ok(page)
}

fn printed(text: &[u8]) -> Report {
    Report { text: String::from_utf8_lossy(text).into_owned(), ..Report::default() }
}

fn cannot(error: &io::Error) -> anyhow::Error {
    Failure::failed("cannot generate the page or script").because(error.to_string()).into()
}

/// The page of one command, from its help.
fn render_one(command: &Command, name: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let title = format!("makeinfra-{name}");
    let man = Man::new(command.clone())
        .title(&title)
        .source(concat!("makeinfra ", env!("CARGO_PKG_VERSION")));
    man.render_title(page)?;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, ".SH NAME\n{} \\- {about}", title.replace('-', "\\-"))?;
    writeln!(page, ".SH SYNOPSIS\n.B makeinfra {}", usage(command))?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    page.write_all(b".SH \"SEE ALSO\"\n.BR makeinfra (1)\n")
}

fn render(page: &mut Vec<u8>) -> io::Result<()> {
    let command = Cli::whole();
    let man = Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    page.write_all(b".SH SYNOPSIS\n")?;
    let commands = described(&command);
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

/// The commands that have a page: `secret set` has one, `secret` alone does not.
fn described(command: &Command) -> Vec<&Command> {
    let is_described = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    let below = |command: &Command| command.get_subcommands().any(|command| is_described(&command));
    let (groups, mut commands): (Vec<_>, Vec<_>) =
        command.get_subcommands().filter(is_described).partition(|command| below(command));
    commands.extend(groups.iter().flat_map(|group| group.get_subcommands().filter(is_described)));
    commands
}

/// A command's name, including that of its parent.
fn full_name(command: &Command) -> &str {
    let all = command.get_bin_name().unwrap_or(command.get_name());
    all.strip_prefix("makeinfra ").unwrap_or(all)
}

/// The usage line of a command.
fn usage(command: &Command) -> String {
    let arguments = command.get_positionals().map(|argument| {
        let name = argument.get_id().as_str().to_uppercase();
        if argument.is_required_set() { format!(" {name}") } else { format!(" [{name}]") }
    });
    let options = if command.get_opts().next().is_some() { " [OPTIONS]" } else { "" };
    format!("{}{}{options}", full_name(command), arguments.collect::<String>())
}
