//! The form of every failure: a message, a cause, a hint to type, and the exit code.
//!
//! Does not print (see `ui`) and never holds a value that may be secret: messages consist of option
//! names, paths of the user's own files and fixed sentences.

use crate::advice::Advice;
use std::fmt;

/// The result of everything that can fail for a reason that the user should read.
pub type Result<T> = anyhow::Result<T>;

/// The outcome of a command that did what it was asked to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// All is well: exit 0.
    #[default]
    Done,
    /// Found problems: exit 1.
    Problems,
    /// Found no problems, but some results are undetermined: exit 3.
    Unknown,
    /// Would have left conflicts: exit 12.
    Conflicts,
    /// Several runs, of which the worst ended with this exit code.
    Several(u8),
}

impl Outcome {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Problems => 1,
            Self::Unknown => Kind::Unknown.exit_code(),
            Self::Conflicts => Kind::Conflict.exit_code(),
            Self::Several(code) => code,
        }
    }
}

/// The kind of a failure, which determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong options or values: exit 2.
    Usage,
    /// Everything else: exit 1.
    Failed,
    /// The result is undetermined: exit 3.
    Unknown,
    /// The clone is locked: exit 10.
    Locked,
    /// The clone's git-crypt key is not the one that the repository is encrypted with: exit 11.
    WrongKey,
    /// Local edits conflict with the change: exit 12.
    Conflict,
    /// A registry or GitLab refused a token: exit 13.
    RefusedToken,
    /// Stopped by the signal with this number: exit 128 + number, as shells report it.
    Interrupted(i32),
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Locked => 10,
            Self::WrongKey => 11,
            Self::Conflict => 12,
            Self::RefusedToken => 13,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(1),
        }
    }
}

/// A failure with a hint: ``error: <message>``, the cause, ``hint: <what to type>``.
#[derive(Debug, Clone)]
pub struct Failure {
    kind: Kind,
    message: String,
    cause: Option<String>,
    hint: Option<Box<Advice>>,
    has_written: bool,
}

impl Failure {
    /// A wrong option or value.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Anything that failed although the options were valid.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// An undetermined result, such as from a registry that does not answer.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Kind::Unknown, message)
    }

    /// Stopped by a signal.
    #[must_use]
    pub fn interrupted(signal: i32) -> Self {
        Self::stopped(signal, "interrupted; nothing was changed")
    }

    /// Stopped by a signal, with a message about the interrupted action.
    pub fn stopped(signal: i32, message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted(signal), message)
    }

    /// The signal that stopped it; `None` for other failures.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.kind {
            Kind::Interrupted(signal) => Some(signal),
            _ => None,
        }
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None, hint: None, has_written: false }
    }

    /// Sets the kind, for failures that a pipeline can react to.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Marks that something was written and stays.
    #[must_use]
    pub fn after_writing(mut self) -> Self {
        self.has_written = true;
        self
    }

    /// Adds the cause: the broken rule, or the system's message.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what to type.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Advice>) -> Self {
        self.hint = Some(Box::new(hint.into()));
        self
    }
}

impl From<&anyhow::Error> for Failure {
    /// The failure in `error`, as a value that can be reported again.
    fn from(error: &anyhow::Error) -> Self {
        error.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self::failed(error.to_string()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The parts of an error, in the order of printing.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What failed.
    pub message: String,
    /// The causes, the nearest first.
    pub causes: Vec<String>,
    /// What to type.
    pub hint: Option<Advice>,
    /// The exit code.
    pub code: u8,
    /// Whether something was written and stays.
    pub has_written: bool,
}

/// The parts of `error`.
pub fn explain(error: &anyhow::Error) -> Explanation {
    let failure = error.downcast_ref::<Failure>();
    let mut causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
    causes.extend(failure.and_then(|failure| failure.cause.clone()));
    Explanation {
        message: error.to_string(),
        causes,
        hint: failure.and_then(|failure| failure.hint.as_deref().cloned()),
        code: exit_code(error),
        has_written: failure.is_some_and(|failure| failure.has_written),
    }
}

/// The exit code for `error`.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Failure>().map_or(Kind::Failed, |failure| failure.kind).exit_code()
}

/// Another library's message, which may quote a file, made safe for a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn keeps_kind_and_hint_under_an_outer_context() {
        let error =
            Err::<(), _>(Failure::usage("bad `--port`").because("too large").hint("--port 8080"))
                .context("cannot read `answers.yaml`")
                .unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert_eq!(
            explain(&error),
            Explanation {
                message: "cannot read `answers.yaml`".into(),
                causes: vec!["bad `--port`".into(), "too large".into()],
                hint: Some("--port 8080".into()),
                code: 2,
                has_written: false,
            }
        );
    }

    #[test]
    fn reports_a_signal_as_shells_do() {
        assert_eq!(exit_code(&Failure::interrupted(15).into()), 143);
        assert_eq!(exit_code(&anyhow::anyhow!("disk")), 1);
    }
}
