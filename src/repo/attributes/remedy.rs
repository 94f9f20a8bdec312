//! Attribute changes that make git encrypt a file that is not covered.

use super::{Attributes, Directory, FILE, Frame, Origin, Source, Value, bytes, is_filter};
use crate::advice::{Advice, shell_word};
use crate::repo::SECRETS;
use git2::ConfigLevel;
use std::path::Path;
use std::rc::Rc;

/// How to get a file encrypted. Each remedy is tried against the current attribute files, because a
/// line in the wrong place has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Append a line to an attribute file.
    Line {
        /// The attribute file, relative to the top of the repository.
        file: String,
        /// The line.
        line: String,
        /// Whether the file does not end with a newline yet.
        is_open: bool,
    },
    /// Edit this file: it has precedence over all others, or cannot be read.
    Edit(String),
    /// Run this command: git is configured to read attributes from a tree.
    Unset(Advice),
}

impl Remedy {
    /// Why git-crypt does not encrypt the file.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::Line { file, .. } | Self::Edit(file) => {
                format!("`{file}` does not assign it to git-crypt")
            }
            Self::Unset(_) => "git reads attributes from a tree instead of the files".to_owned(),
        }
    }

    /// What to type.
    #[must_use]
    pub fn hint(&self) -> Advice {
        match self {
            Self::Line { file, line, is_open } => {
                let (line, file) = (shell_word(Path::new(line)), shell_word(Path::new(file)));
                let append = Advice::at_top(format!("echo {line} >> {file}"));
                if *is_open {
                    Advice::at_top(format!("echo >> {file}")).and(append)
                } else {
                    append
                }
            }
            Self::Edit(file) => Advice::edit(file),
            Self::Unset(command) => command.clone(),
        }
    }
}

impl Source {
    /// The command that makes git read attributes from the work tree again.
    fn unset(self) -> Advice {
        let name = Self::NAME;
        match self {
            Self::Variable => Advice::anywhere(format!("unset {}", Self::VARIABLE)),
            Self::Configuration(ConfigLevel::Global | ConfigLevel::XDG) => {
                Advice::git(format!("config --global --unset {name}"))
            }
            Self::Configuration(ConfigLevel::System) => {
                Advice::git(format!("config --system --unset {name}"))
            }
            Self::Configuration(_) => Advice::git(format!("config --unset {name}")),
        }
    }
}

impl Attributes<'_> {
    /// The git-crypt filter that git runs for `path` (see [`Attributes::filter`]), or the remedy.
    pub(in crate::repo) fn cover(&self, path: &str, prefix: &str) -> Result<String, Remedy> {
        self.filter(path).ok_or_else(|| self.remedy(path, prefix))
    }

    /// What makes git-crypt encrypt `path`. `prefix` is the repository's directory: empty, or with
    /// a trailing slash.
    pub(in crate::repo) fn remedy(&self, path: &str, prefix: &str) -> Remedy {
        if let Some(source) = self.source {
            return Remedy::Unset(source.unset());
        }
        // A line for all files below `secrets/` would also encrypt the attribute file.
        self.line(path, prefix, ("filter=git-crypt diff=git-crypt -text", false), |other| {
            let is_given = |value: &Value| match value {
                Value::Name(name) => is_filter(&String::from_utf8_lossy(name)),
                _ => false,
            };
            self.readings_with(path, Some(other)).iter().all(is_given)
        })
    }

    /// What keeps git from altering the ciphertext of `path`.
    pub(in crate::repo) fn unspoil(&self, path: &str, prefix: &str) -> Remedy {
        let is_whole = |other: (&str, &Directory)| self.spoiled_with(path, Some(other)).is_none();
        match self.line(path, prefix, ("-text", true), is_whole) {
            Remedy::Edit(_) => {
                self.line(path, prefix, ("-text !working-tree-encoding", true), is_whole)
            }
            found => found,
        }
    }

    /// The line with `attributes` after which `helps` is true. Below `secrets/`, one line may cover
    /// all files.
    fn line(
        &self,
        path: &str,
        prefix: &str,
        (attributes, is_for_all): (&str, bool),
        helps: impl Fn((&str, &Directory)) -> bool,
    ) -> Remedy {
        let below = path.strip_prefix(prefix).unwrap_or(path);
        let slashes = below.match_indices('/').map(|(at, _)| at + 1);
        // The file at the top comes first, because people read that one.
        let lines = std::iter::once(0).chain(slashes).map(|end| {
            let (dir, name) = below.split_at(end);
            let pattern = if name.starts_with(SECRETS) {
                "secrets/**"
            } else if is_for_all && dir.starts_with(SECRETS) {
                "*"
            } else {
                &format!("/{name}")
            };
            is_plain(pattern).then(|| (dir.to_owned(), format!("{pattern} {attributes}")))
        });
        let found = lines.flatten().find_map(|(dir, line)| {
            let in_git = format!("{prefix}{dir}");
            let in_git = in_git.trim_end_matches('/');
            let (is_open, with) = self.with_line(in_git, &line)?;
            helps((in_git, &with)).then_some(Remedy::Line { file: dir + FILE, line, is_open })
        });
        found.unwrap_or_else(|| Remedy::Edit(self.decisive(path, prefix)))
    }

    /// What exempts the attribute file `path` from git-crypt. `prefix` is the repository's
    /// directory.
    pub(in crate::repo) fn release(&self, path: &str, prefix: &str) -> Remedy {
        if let Some(source) = self.source {
            return Remedy::Unset(source.unset());
        }
        let dir = path.strip_suffix(FILE).unwrap_or_default().trim_end_matches('/');
        let line = format!("{FILE} !filter !diff");
        let is_free = |with: &Directory| {
            self.readings_with(path, Some((dir, with))).iter().all(|value| *value == Value::None)
        };
        match self.with_line(dir, &line) {
            Some((is_open, with)) if is_free(&with) => Remedy::Line {
                file: path.strip_prefix(prefix).unwrap_or(path).to_owned(),
                line,
                is_open,
            },
            _ => Remedy::Edit(self.decisive(path, prefix)),
        }
    }

    /// Whether the attribute file in `dir` lacks a final newline, and the file with `line`
    /// appended; `None` if there is no such file.
    fn with_line(&self, dir: &str, line: &str) -> Option<(bool, Directory)> {
        let file = self.top.join(dir).join(FILE);
        if file.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            return None;
        }
        let mut text = bytes(&file, false).ok()?.unwrap_or_default();
        let is_open = text.last().is_some_and(|byte| *byte != b'\n');
        text.extend(if is_open { b"\n".as_slice() } else { b"" });
        text.extend(line.as_bytes());
        let frame = Rc::new(Frame::read(&text, Origin::Disk, dir.is_empty(), self.folds));
        Some((is_open, Directory::both(frame)))
    }

    /// The attribute file that decides for `path`, relative to `prefix` if it is below it.
    fn decisive(&self, path: &str, prefix: &str) -> String {
        let dirs = path.match_indices('/').map(|(at, _)| &path[..at]).chain([""]);
        let unread = dirs
            .filter(|dir| self.directory(dir).now.is_unknown)
            .map(|dir| Path::new(dir).join(FILE));
        let file = unread.last().map(|file| self.top.join(file));
        let file = file.unwrap_or_else(|| self.git.commondir().join("info/attributes"));
        let root = self.top.join(prefix);
        file.strip_prefix(&root).unwrap_or(&file).display().to_string()
    }
}

/// Whether git and every shell read `pattern` literally.
fn is_plain(pattern: &str) -> bool {
    pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=*/._-+@,".contains(&byte))
}
