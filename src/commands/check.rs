//! `makeinfra check`: what is wrong with a repository, before a pull fails.

use crate::checks::{self, Check, Known, Status, count};
use crate::cli::Check as Options;
use crate::error::{Outcome, Result};
use crate::inspection::{Inspection, Scope};
use crate::ui::{self, Ui};
use jiff::Timestamp;
use serde_json::json;

/// Runs the command.
pub fn run(options: &Options, ui: &Ui) -> Result<Outcome> {
    let scope = Scope {
        repo: options.repo.clone(),
        manifests: options.manifests.clone(),
        secrets: options.secret.clone(),
        history: !options.no_history,
    };
    let inspection = Inspection::of(&scope, "check")?;
    let known = Known { public: options.public.clone() };
    let checks = checks::all(&inspection, &known, Timestamp::now());
    if options.json {
        ui.print(&format!("{}\n", json!({ "checks": checks })))?;
    } else {
        ui.print(&listed(&checks, inspection.git.is_some()))?;
    }
    let bad = |check: &Check| {
        check.status == Status::Problem || (options.strict && check.status == Status::Warning)
    };
    Ok(if checks.iter().any(bad) { Outcome::Problems } else { Outcome::Done })
}

/// One line a check, with its hint below; checks that say the same share theirs.
fn listed(checks: &[Check], in_git: bool) -> String {
    let mut text = String::new();
    for same in checks.chunk_by(|one, next| said(one) == said(next)) {
        let check = &same[0];
        let word = match check.status {
            Status::Ok => ui::green("ok     "),
            Status::Warning => ui::yellow("warning"),
            Status::Problem => ui::red("problem"),
        };
        let mut ids: Vec<_> = same.iter().map(|check| check.id.as_str()).collect();
        ids.dedup();
        let ids = ui::dim(&format!("[{}]", ids.join(", ")));
        text.push_str(&format!("{word}  {}: {} {ids}\n", check.subject, check.message));
        if !check.hint.is_empty() {
            text.push_str(&format!("         {} {}\n", ui::bold("hint:"), check.hint));
        }
    }
    if !in_git {
        text.push_str("\nThis is no git repository: what git would store was not checked.\n");
    }
    let number = |status| checks.iter().filter(|check| check.status == status).count();
    let (problems, warnings) = (number(Status::Problem), number(Status::Warning));
    text.push_str(&format!(
        "\n{}, {}, {} ok\n",
        count(problems, "problem"),
        count(warnings, "warning"),
        number(Status::Ok)
    ));
    text
}

fn said(check: &Check) -> (Status, &str, &str, &str) {
    (check.status, &check.subject, &check.message, &check.hint)
}
