//! The result of a command: text for people, and the same facts as JSON, with the same keys for
//! every command.

pub mod schema;

use crate::advice::Advice;
use crate::error::{Explanation, Outcome, explain, printable};
use crate::ui;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What a command did or found. Never contains a secret value.
#[derive(Debug, Default)]
pub struct Report {
    /// The text for people, except for the next commands.
    pub text: String,
    /// The output in a format that the user requested; replaces everything else.
    pub document: Option<String>,
    /// A short summary, for one of several repositories.
    pub brief: String,
    /// What to type for details about that summary.
    pub more: Advice,
    /// Whether changes are still to be written.
    pub is_pending: bool,
    /// The repository as given, if there are several.
    pub given: Option<String>,
    /// The top of the repository; `None` if there is none or it is unknown.
    pub repo: Option<PathBuf>,
    /// Whether anything was written, or an earlier change committed.
    pub changed: bool,
    /// The files that were written or committed, or would be without `--dry-run`; empty exactly if
    /// nothing changes.
    pub files: Vec<FileChange>,
    /// The warnings of the run.
    pub warnings: Vec<String>,
    /// What to type next.
    pub next: Vec<Advice>,
    /// The facts of this command alone, as an object.
    pub own: Value,
    /// The outcome, unless the command failed.
    pub outcome: Outcome,
    /// The error.
    pub error: Option<Explanation>,
}

/// A change to a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Path relative to the top of the repository.
    pub path: String,
    /// `new`, `changed` or `deleted`.
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

impl FileChange {
    /// A change to the file `path`.
    #[must_use]
    pub fn new(path: &str, change: &'static str) -> Self {
        Self { path: path.to_owned(), change, bytes: None }
    }

    /// Adds the size after the change, which is only reported for a new file.
    #[must_use]
    pub fn sized(self, bytes: usize) -> Self {
        Self { bytes: Some(bytes), ..self }
    }
}

impl Report {
    /// The report of a command that failed in the repository at `repo`.
    #[must_use]
    pub fn failed(error: &anyhow::Error, repo: Option<PathBuf>) -> Self {
        let error = explain(error);
        Self { repo, changed: error.has_written, error: Some(error), ..Self::default() }
    }

    /// Adds the environment that the command was about to the hints of its error.
    #[must_use]
    pub fn for_env(mut self, name: Option<&str>) -> Self {
        let hint = self.error.as_mut().and_then(|error| error.hint.as_mut());
        if let Some(hint) = hint {
            *hint = std::mem::take(hint).for_env(name);
        }
        self
    }

    /// The exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.error.as_ref().map_or(self.outcome.exit_code(), |error| error.code)
    }

    /// The text for people: the result, then the next commands, each below its purpose, as a block
    /// that can be pasted into a shell.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(document) = &self.document {
            return document.clone();
        }
        let mut text = self.text.clone();
        if !self.next.is_empty() {
            text.push_str("\nNext:\n\n");
        }
        for step in &self.next {
            if !step.reason().is_empty() {
                text.push_str(&ui::dim(&format!("  # {}\n", step.reason())));
            }
            text.push_str(&format!("  {}\n", ui::bold(&step.typed(self.repo.as_deref()))));
        }
        text
    }

    /// One line about the repository `name`, for several repositories.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        let word = match (&self.error, self.outcome) {
            (Some(_), _) => ui::red("failed "),
            (None, Outcome::Problems | Outcome::Conflicts) => ui::red("problem"),
            (None, Outcome::Done) => ui::green("ok     "),
            (None, Outcome::Unknown | Outcome::Several(_)) => ui::yellow("unknown"),
        };
        let mut parts = vec![self.brief.clone()];
        if !self.more.is_empty() {
            parts.push(format!("hint: {}", self.more.line(self.repo.as_deref())));
        }
        if let Some(error) = &self.error {
            parts = std::iter::once(&error.message).chain(&error.causes).cloned().collect();
            let hint = error
                .hint
                .as_ref()
                .map(|hint| format!("hint: {}", hint.line(self.repo.as_deref())));
            parts.extend(hint);
        }
        parts.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        let line = format!("{name}: {}", parts.join("; "));
        format!("{word}  {}\n", printable(&line))
    }

    /// The report as one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        if matches!(self.outcome, Outcome::Several(_)) {
            // Each repository has had a line of its own.
            return String::new();
        }
        let repo = self.repo.as_deref();
        let typed = |step: &Advice| step.typed(repo);
        let mut object = json!({
            // Removes the trailing slash that git2 adds.
            "repo": repo.map(|root| root.components().collect::<PathBuf>().display().to_string()),
            "changed": self.changed,
            "files": self.files,
            "warnings": self.warnings,
            "next": self.next.iter().map(typed).collect::<Vec<_>>(),
        });
        if let Some(given) = &self.given {
            object["given"] = given.as_str().into();
        }
        for (key, value) in self.own.as_object().into_iter().flatten() {
            object[key] = value.clone();
        }
        if let Some(error) = &self.error {
            object["error"] = in_json(error, repo);
        }
        format!("{object}\n")
    }
}

fn in_json(error: &Explanation, repo: Option<&Path>) -> Value {
    json!({
        "message": error.message,
        "cause": (!error.causes.is_empty()).then(|| error.causes.join(": ")),
        "hint": error.hint.as_ref().map(|hint| hint.line(repo)),
        "code": error.code,
    })
}
