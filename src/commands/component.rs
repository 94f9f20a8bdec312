//! Shared by the commands that create a component: its options as answers, and the file with its
//! settings.

use crate::advice::Advice;
use crate::answers::{Arguments, Config, Name, Values};
use crate::cli::ComponentOptions;
use crate::error::{Failure, Result};
use crate::files;
use crate::ui::Ui;
use std::path::Path;

/// Size limit, above that of a `ConfigMap`.
const LIMIT: usize = 2 << 20;

/// The options as answers, apart from those that may differ between environments.
pub(super) fn values(options: &ComponentOptions) -> Values {
    let yes = |given: bool| given.then(|| "yes".to_owned());
    let texts = [
        (Name::Image, options.image.clone()),
        (Name::Workload, options.workload.clone()),
        (Name::Schedule, options.schedule.clone()),
        (Name::TimeZone, options.time_zone.clone()),
        (Name::Args, (!options.arg.is_empty()).then(|| Arguments::text(&options.arg))),
        (Name::Port, options.port.clone()),
        (Name::Tls, yes(options.tls)),
        (Name::TlsIssuer, options.tls_issuer.clone()),
        (Name::HealthPath, options.health_path.clone()),
        (Name::ServiceAccount, yes(options.service_account)),
        (Name::Config, options.config.clone()),
        (Name::Public, yes(options.public)),
    ];
    texts.into_iter().filter_map(|(name, text)| Some((name, name.typed(text?)))).collect()
}

/// The options that may differ between environments: VALUE, or ENV=VALUE.
pub(super) fn scoped(options: &ComponentOptions) -> [(Name, &[String]); 2] {
    [(Name::Replicas, &options.replicas), (Name::Ingress, &options.ingress)]
}

/// The settings in `file`. Errors name the line and the rule, never the content.
pub(super) fn settings(file: &Path, ui: &mut Ui) -> Result<Config> {
    let bytes = files::read(file, LIMIT)?.ok_or_else(|| {
        Failure::usage(format!("`--config` file not found: `{}`", file.display()))
            .hint(Advice::anywhere("ls -l").path(file))
    })?;
    let config = Config::parse(&bytes).map_err(|fault| {
        let place = fault.line.map_or_else(String::new, |line| format!("line {line}: "));
        let hint = if fault.is_token {
            "remove that line, and after creating the repository: {makeinfra secret set NAME KEY}"
        } else {
            "write lines such as LOG_LEVEL=info, and comments that begin with `#`"
        };
        Failure::usage(format!("cannot use the `--config` file `{}`", file.display()))
            .because(format!("{place}{}", fault.rule))
            .hint(hint)
    })?;
    if let [first, rest @ ..] = config.suspects() {
        let names =
            rest.iter().fold(format!("`{first}`"), |names, name| format!("{names}, `{name}`"));
        let set = Advice::makeinfra("secret set NAME KEY").typed(None);
        ui.warn(format!(
            "`{}` is stored in git in plaintext; if {names} must stay secret, use instead: {set}",
            file.display()
        ));
    }
    Ok(config)
}
