//! Branches of another repository, through the git program: libgit2 is built without a network. git
//! never asks, and finds an access token by the name of its variable alone. What it complains of is
//! shown without passwords in URLs.

use crate::answers::Instance;
use crate::error::printable;
use crate::tool::{Said, Tool, Trouble};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long git may take for one request, with the hooks of the other repository.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a push is rehearsed: the other side may hang up before git does, and git then dies
/// without a word (its `send-pack.c` sends two flush packets where the first ends it; 5 of 300
/// times, measured).
const REHEARSALS: usize = 5;
/// More than it prints of one branch, or of a work tree that counts as clean.
const LIMIT: usize = 1 << 20;
/// The most lines of a complaint.
const LINES: usize = 6;

/// Another repository, as a clone knows it.
#[derive(Debug)]
pub struct Remote {
    /// The top of the clone's work tree.
    dir: PathBuf,
    /// Its name in the clone, or its URL.
    name: String,
    /// git's options before each command.
    config: Vec<String>,
}

/// What is pushed.
#[derive(Debug, Clone, Copy)]
pub struct Push<'p> {
    /// The commit.
    pub id: &'p str,
    /// The branch that is to have it.
    pub branch: &'p str,
    /// What the branch must have until then; `None` if it must not exist.
    pub expected: Option<&'p str>,
    /// Options for the other repository.
    pub options: &'p [String],
}

/// What came of a push.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The branch has the commit. What the other repository says about it, line by line.
    Done(Vec<String>),
    /// The branch is as it was, and why.
    Refused(String),
    /// Nobody can tell, and why: the branch does.
    Unknown(String),
    /// The same of one that may still be under way.
    Late(String),
}

/// What git complained of, fit for a terminal.
pub type Complaint = String;

/// Whether git complains that a credential was refused (its `http.c` and `remote-curl.c`).
#[must_use]
pub fn is_denied(complaint: &str) -> bool {
    ["Authentication failed for", "returned error: 401", "returned error: 403"]
        .iter()
        .any(|words| complaint.contains(words))
}

impl Remote {
    /// What the clone whose work tree is at `dir` calls `name`, or what is at that URL.
    #[must_use]
    pub fn new(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned(), config: Vec::new() }
    }

    /// The same signing in to `instance` with the access token in `variable`, which is the name of
    /// a shell variable. Helpers of the user, which could keep it, are left out. (GitLab's
    /// `doc/user/profile/personal_access_tokens.md`: any user name will do.)
    #[must_use]
    pub fn signing_in(self, instance: &Instance, variable: &str) -> Self {
        let answer = format!(
            "!f() {{ test \"$1\" = get && printf 'username=oauth2\\npassword=%s\\n\
             ' \"${variable}\"; }}; f"
        );
        let origin = origin(instance);
        self.with("credential.helper", "")
            .with(&format!("credential.{origin}.helper"), "")
            .with(&format!("credential.{origin}.helper"), &answer)
    }

    /// The same trusting the certificate authorities in `file` for `instance`.
    #[must_use]
    pub fn trusting(self, instance: &Instance, file: &Path) -> Self {
        self.with(&format!("http.{}.sslCAInfo", origin(instance)), &file.display().to_string())
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.config.extend(["-c".to_owned(), format!("{key}={value}")]);
        self
    }

    /// The commit that `branch` has there; `None` if there is no such branch.
    pub fn branch(&self, branch: &str) -> Result<Option<String>, Complaint> {
        let said = self.git(&["ls-remote", &self.name, &reference(branch)])?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let id = text.lines().find_map(|line| Some(line.split_once('\t')?.0.to_owned()));
        Ok(id)
    }

    /// The commits that its branches have.
    pub fn tips(&self) -> Result<Vec<String>, Complaint> {
        let said = self.git(&["ls-remote", "--heads", &self.name])?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        Ok(text.lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect())
    }

    /// Gets the commits of `branch` into the clone.
    pub fn fetch(&self, branch: &str) -> Result<(), Complaint> {
        self.git(&[
            "fetch",
            "--quiet",
            "--no-tags",
            "--recurse-submodules=no",
            &self.name,
            &reference(branch),
        ])
        .map(drop)
    }

    /// Pushes, or with `dry_run` has everything but the push itself done.
    #[must_use]
    pub fn push(&self, push: &Push, dry_run: bool) -> Pushed {
        let branch = reference(push.branch);
        let lease = format!("--force-with-lease={branch}:{}", push.expected.unwrap_or_default());
        let what = format!("{}:{branch}", push.id);
        let options = push.options.iter().flat_map(|option| ["--push-option", option]);
        let begin = [
            "push",
            "--porcelain",
            "--no-follow-tags",
            "--no-signed",
            "--recurse-submodules=no",
            &lease,
        ];
        let rehearsal = dry_run.then_some("--dry-run");
        let words: Vec<_> =
            begin.into_iter().chain(rehearsal).chain(options).chain([&*self.name, &what]).collect();
        let mut said = self.run(&words);
        for _ in 1..REHEARSALS {
            match &said {
                Ok(one) if dry_run && !one.success && one.stderr.trim().is_empty() => {
                    said = self.run(&words);
                }
                _ => break,
            }
        }
        match said {
            Ok(said) if said.success => Pushed::Done(remarks(&said.stderr)),
            Ok(said) => {
                let why = complaint(&said);
                if is_refused(&said) { Pushed::Refused(why) } else { Pushed::Unknown(why) }
            }
            // git is stopped, and what it has started goes on.
            Err(why) if why == late() => Pushed::Late(why),
            Err(why) => Pushed::Unknown(why),
        }
    }

    /// Has the work tree and HEAD, which is then no branch, at the commit `id`.
    pub fn check_out(&self, id: &str) -> Result<(), Complaint> {
        self.git(&["checkout", "--quiet", "--no-recurse-submodules", "--detach", id]).map(drop)
    }

    /// Whether the work tree and the index are as HEAD is, untracked files aside.
    pub fn is_clean(&self) -> Result<bool, Complaint> {
        let said = self.git(&["status", "--porcelain", "--untracked-files=no"])?;
        Ok(said.stdout.is_empty())
    }

    /// Runs it, and fails unless it succeeds.
    fn git(&self, words: &[&str]) -> Result<Said, Complaint> {
        let said = self.run(words)?;
        if said.success { Ok(said) } else { Err(complaint(&said)) }
    }

    fn run(&self, words: &[&str]) -> Result<Said, Complaint> {
        // Where something could be asked on a terminal, git fails instead.
        let begin = ["GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "git"].map(str::to_owned);
        let words = words.iter().map(|word| (*word).to_owned());
        let arguments: Vec<_> = begin.into_iter().chain(self.config.clone()).chain(words).collect();
        let tool = Tool {
            program: "env",
            arguments: &arguments,
            dir: &self.dir,
            limit: LIMIT,
            patience: PATIENCE,
        };
        match tool.run() {
            Ok(said) if !said.success && said.stderr.starts_with("env: ") => {
                Err("git is not installed".to_owned())
            }
            Ok(said) => Ok(said),
            Err(Trouble::NotStarted(error) | Trouble::Unread(error)) => Err(error.to_string()),
            Err(Trouble::TooLong) => Err(late()),
            Err(Trouble::TooMuch) => Err(format!("its answer has more than {} MiB", LIMIT >> 20)),
        }
    }
}

fn late() -> Complaint {
    format!("no answer in {} s", PATIENCE.as_secs())
}

/// Scheme, host and port.
fn origin(instance: &Instance) -> String {
    let scheme = if instance.is_plain() { "http" } else { "https" };
    format!("{scheme}://{}", instance.authority())
}

fn reference(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// Whether the other repository or git itself has refused the branch for certain (git-push,
/// "OUTPUT"). `[remote failure]` is an answer that was lost.
fn is_refused(said: &Said) -> bool {
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let states = text
        .lines()
        .filter_map(|line| line.strip_prefix("!\t")?.split('\t').nth(1).map(str::to_owned));
    states.into_iter().any(|state| {
        ["[rejected]", "[remote rejected]"].iter().any(|known| state.starts_with(known))
    })
}

/// What git says of a failure, and what the other repository does.
fn complaint(said: &Said) -> Complaint {
    let is_told = |line: &&str| {
        let line = line.trim();
        !line.is_empty()
            && !["hint:", "To ", "remote:  "].iter().any(|begin| line.starts_with(begin))
            && line != "remote:"
    };
    let stdout = String::from_utf8_lossy(&said.stdout).into_owned();
    let states = stdout.lines().filter_map(|line| line.strip_prefix("!\t")?.split('\t').nth(1));
    let lines: Vec<_> =
        states.chain(said.stderr.lines().filter(is_told)).take(LINES).map(shown).collect();
    if lines.is_empty() { "git failed without a word".to_owned() } else { lines.join("; ") }
}

/// What the other repository says.
fn remarks(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim);
    lines.filter(|line| !line.is_empty()).take(LINES).map(shown).collect()
}

/// `line` without control characters, and without what stands before an `@` in a URL.
fn shown(line: &str) -> String {
    let words = line.trim().split(' ').map(|word| match word.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://***@{host}")
        }
        _ => word.to_owned(),
    });
    printable(&words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Answer;
    use zeroize::Zeroizing;

    fn said(stdout: &str, stderr: &str) -> Said {
        Said {
            success: false,
            stdout: Zeroizing::new(stdout.as_bytes().to_vec()),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn a_push_is_refused_only_if_somebody_says_so() {
        for (state, refused) in [
            ("[remote rejected] (pre-receive hook declined)", true),
            ("[rejected] (stale info)", true),
            ("[remote failure] (remote failed to report status)", false),
        ] {
            let stdout = format!("To https://h/x.git\n!\tabc:refs/heads/b\t{state}\n");
            assert_eq!(is_refused(&said(&stdout, "")), refused, "{state}");
        }
        assert!(!is_refused(&said(
            "",
            "fatal: unable to access 'https://h/': Could not resolve host: h"
        )));
    }

    #[test]
    fn complaints_have_no_password() {
        let text = "remote: \nremote: no\n\n\
                    fatal: unable to access 'https://gitlab-ci-token:glcbt-x@h/y.git/': 403\n\
                    hint: x\n";
        let expected = "remote: no; fatal: unable to access 'https://***@h/y.git/': 403";
        assert_eq!(complaint(&said("", text)), expected);
        assert_eq!(
            complaint(&said("!\ta:b\t[rejected] (stale info)\n", "")),
            "[rejected] (stale info)"
        );
        assert_eq!(complaint(&said("", "")), "git failed without a word");
        let remarks = remarks(
            "remote: \nremote: View merge request:\u{1b}[K\n\
             remote:   https://h/x/-/merge_requests/1\n",
        );
        assert_eq!(remarks, ["View merge request:?[K", "https://h/x/-/merge_requests/1"]);
    }

    #[test]
    fn the_helper_has_the_name_of_the_variable_for_one_host() {
        let instance = Instance::parse("https://gitlab.example.com:8443/root").unwrap();
        let remote = Remote::new(Path::new("/"), "origin").signing_in(&instance, "ROTATE_TOKEN");
        assert_eq!(remote.config[1], "credential.helper=");
        assert_eq!(
            remote.config[5],
            "credential.https://gitlab.example.com:8443.helper=!f() { test \"$1\" = get && printf \
             'username=oauth2\\npassword=%s\\n' \"$ROTATE_TOKEN\"; }; f"
        );
    }
}
