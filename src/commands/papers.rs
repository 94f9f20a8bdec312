//! `makeinfra completions` and `makeinfra man`: both come from the command line's own definitions.

use crate::cli::Cli;
use crate::error::{Failure, Result};
use crate::ui::Ui;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

/// Prints the completions for `shell`.
pub fn completions(shell: Shell, ui: &Ui) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "makeinfra", &mut script);
    ui.print(&String::from_utf8_lossy(&script))
}

/// Prints one manual page with all commands, in roff.
pub fn man(ui: &Ui) -> Result<()> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let rendered = Man::new(command.clone()).render(&mut page).and_then(|()| {
        command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).try_for_each(|subcommand| {
            let man = Man::new(subcommand.clone());
            page.extend(format!(".SH \"MAKEINFRA {}\"\n", subcommand.get_name().to_uppercase()).into_bytes());
            man.render_description_section(&mut page)?;
            man.render_synopsis_section(&mut page)?;
            man.render_options_section(&mut page)
        })
    });
    rendered.map_err(|error| Failure::failed("cannot make the manual page").because(error.to_string()))?;
    ui.print(&String::from_utf8_lossy(&page))
}
