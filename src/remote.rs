//! Accesses the branches of a remote repository through the git program, because libgit2 is built
//! without network support. Git never prompts, and gets an access token only by the name of its
//! environment variable. Error messages are shown without passwords in URLs.

use crate::answers::Instance;
use crate::error::printable;
use crate::tool::{Tool, ToolError, ToolOutput};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time limit for one request, including hooks of the remote repository.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a dry-run push is repeated: the server may close the connection before git does, and
/// git then dies without a message (`send-pack.c` sends two flush packets although the first ends
/// the exchange; measured 5 times in 300).
const REHEARSALS: usize = 5;
/// Size limit, above the output for one branch, or for the status of a clean work tree.
const LIMIT: usize = 1 << 20;
/// The maximum number of lines shown of an error message.
const LINES: usize = 6;

/// A remote repository as known to a clone.
#[derive(Debug)]
pub struct Remote {
    /// The top of the clone's work tree.
    dir: PathBuf,
    /// The remote's name in the clone, or its URL.
    name: String,
    /// git options before each command.
    config: Vec<String>,
}

/// What to push.
#[derive(Debug, Clone, Copy)]
pub struct Push<'p> {
    /// The commit.
    pub id: &'p str,
    /// The branch to update.
    pub branch: &'p str,
    /// The commit that the branch must have before; `None` if it must not exist.
    pub expected: Option<&'p str>,
    /// Options for the remote repository.
    pub options: &'p [String],
}

/// The result of a push.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The branch has the commit. Contains the remote's messages, line by line.
    Done(Vec<String>),
    /// The branch is unchanged, for this reason.
    Refused(String),
    /// Undetermined, for this reason; reading the branch tells.
    Unknown(String),
    /// Undetermined, and the push may still be in progress.
    Late(String),
}

/// Git's error message, made safe for a terminal.
pub type Complaint = String;

/// Whether git reports a refused credential (its `http.c` and `remote-curl.c`).
#[must_use]
pub fn is_denied(complaint: &str) -> bool {
    ["Authentication failed for", "returned error: 401", "returned error: 403"]
        .iter()
        .any(|words| complaint.contains(words))
}

impl Remote {
    /// The remote called `name` (or at that URL) of the clone whose work tree is at `dir`.
    #[must_use]
    pub fn new(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned(), config: Vec::new() }
    }

    /// Signs in to `instance` with the access token in the shell variable `variable`. The user's
    /// credential helpers, which could store it, are disabled. (GitLab's
    /// `doc/user/profile/personal_access_tokens.md`: any user name works.)
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

    /// Trusts the certificate authorities in `file` for `instance`.
    #[must_use]
    pub fn trusting(self, instance: &Instance, file: &Path) -> Self {
        self.with(&format!("http.{}.sslCAInfo", origin(instance)), &file.display().to_string())
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.config.extend(["-c".to_owned(), format!("{key}={value}")]);
        self
    }

    /// The commit of `branch`; `None` if there is no such branch.
    pub fn branch(&self, branch: &str) -> Result<Option<String>, Complaint> {
        let output = self.git(&["ls-remote", &self.name, &reference(branch)])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let id = text.lines().find_map(|line| Some(line.split_once('\t')?.0.to_owned()));
        Ok(id)
    }

    /// The commits of all branches.
    pub fn tips(&self) -> Result<Vec<String>, Complaint> {
        let output = self.git(&["ls-remote", "--heads", &self.name])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect())
    }

    /// Fetches the commits of `branch` into the clone.
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

    /// Pushes; with `dry_run`, does everything but the push itself.
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
        let mut output = self.run(&words);
        for _ in 1..REHEARSALS {
            match &output {
                Ok(one) if dry_run && !one.success && one.stderr.trim().is_empty() => {
                    output = self.run(&words);
                }
                _ => break,
            }
        }
        match output {
            Ok(output) if output.success => Pushed::Done(remarks(&output.stderr)),
            Ok(output) => {
                let why = complaint(&output);
                if is_refused(&output) { Pushed::Refused(why) } else { Pushed::Unknown(why) }
            }
            // git was stopped, but the processes that it started continue.
            Err(why) if why == late() => Pushed::Late(why),
            Err(why) => Pushed::Unknown(why),
        }
    }

    /// Checks out the commit `id` with a detached HEAD.
    pub fn check_out(&self, id: &str) -> Result<(), Complaint> {
        self.git(&["checkout", "--quiet", "--no-recurse-submodules", "--detach", id]).map(drop)
    }

    /// Whether work tree and index match HEAD, apart from untracked files.
    pub fn is_clean(&self) -> Result<bool, Complaint> {
        let output = self.git(&["status", "--porcelain", "--untracked-files=no"])?;
        Ok(output.stdout.is_empty())
    }

    /// Runs git, and fails unless it succeeds.
    fn git(&self, words: &[&str]) -> Result<ToolOutput, Complaint> {
        let output = self.run(words)?;
        if output.success { Ok(output) } else { Err(complaint(&output)) }
    }

    fn run(&self, words: &[&str]) -> Result<ToolOutput, Complaint> {
        // Git fails instead of prompting on the terminal.
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
            Ok(output) if !output.success && output.stderr.starts_with("env: ") => {
                Err("git is not installed".to_owned())
            }
            Ok(output) => Ok(output),
            Err(ToolError::NotStarted(error) | ToolError::Unread(error)) => Err(error.to_string()),
            Err(ToolError::TooLong) => Err(late()),
            Err(ToolError::TooMuch) => {
                Err(format!("the answer is larger than {} MiB", LIMIT >> 20))
            }
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

/// Whether the remote repository or git itself has definitely refused the branch (git-push,
/// "OUTPUT"). `[remote failure]` is a lost reply.
fn is_refused(output: &ToolOutput) -> bool {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let states = text
        .lines()
        .filter_map(|line| line.strip_prefix("!\t")?.split('\t').nth(1).map(str::to_owned));
    states.into_iter().any(|state| {
        ["[rejected]", "[remote rejected]"].iter().any(|known| state.starts_with(known))
    })
}

/// Git's message about a failure, and the remote's.
fn complaint(output: &ToolOutput) -> Complaint {
    let is_relevant = |line: &&str| {
        let line = line.trim();
        !line.is_empty()
            && !["hint:", "To ", "remote:  "].iter().any(|begin| line.starts_with(begin))
            && line != "remote:"
    };
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let states = stdout.lines().filter_map(|line| line.strip_prefix("!\t")?.split('\t').nth(1));
    let lines: Vec<_> =
        states.chain(output.stderr.lines().filter(is_relevant)).take(LINES).map(shown).collect();
    if lines.is_empty() { "git failed without a message".to_owned() } else { lines.join("; ") }
}

/// The remote's messages.
fn remarks(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim);
    lines.filter(|line| !line.is_empty()).take(LINES).map(shown).collect()
}

/// `line` without control characters and without the text before an `@` in a URL.
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

    fn output(stdout: &str, stderr: &str) -> ToolOutput {
        ToolOutput {
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
            assert_eq!(is_refused(&output(&stdout, "")), refused, "{state}");
        }
        assert!(!is_refused(&output(
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
        assert_eq!(complaint(&output("", text)), expected);
        assert_eq!(
            complaint(&output("!\ta:b\t[rejected] (stale info)\n", "")),
            "[rejected] (stale info)"
        );
        assert_eq!(complaint(&output("", "")), "git failed without a message");
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
