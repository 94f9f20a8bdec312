//! Whatever kills `secret set` and `secret unset`, and whenever: no kustomization names a missing file, and the same
//! command can be given again.

use super::secret_set::{KUSTOMIZATION, set_key, text, tree};
use super::support::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 8;

/// What a run is to do to a repository in which Secret db has the key A.
#[derive(Debug, Clone, Copy)]
struct Errand {
    /// The value of A before.
    before: &'static str,
    /// The value of A after; `None` if the key is taken out.
    after: Option<&'static str>,
}

impl Errand {
    fn prepared(self) -> Sandbox {
        let sandbox = Sandbox::with_hello();
        set_key(&sandbox, "A", self.before, &["--commit"]);
        sandbox.write_private("value", self.after.unwrap_or_default());
        sandbox
    }

    fn run(self, sandbox: &Sandbox) -> Run {
        let file = sandbox.path("value").display().to_string();
        let args = match self.after {
            Some(_) => vec!["secret", "set", "db", "A", "--commit", "--from-file", &file],
            None => vec!["secret", "unset", "db", "A", "--commit", "--yes"],
        };
        sandbox.makeinfra(&args).cwd(sandbox.hello(""))
    }
}

/// The files below `secrets/` that are no siblings of a run that was killed.
fn secrets(sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    let mut files = tree(sandbox);
    files.retain(|path, _| path.starts_with("secrets/") && !path.contains(".makeinfra-"));
    files
}

#[track_caller]
fn names_only_what_is_there(sandbox: &Sandbox, errand: Errand) {
    let found: serde_yaml::Value = serde_yaml::from_str(&text(sandbox, KUSTOMIZATION)).unwrap();
    let generators = found["secretGenerator"].as_sequence().cloned().unwrap_or_default();
    for generator in generators {
        let lists = ["envs", "files"].into_iter().filter_map(|list| generator[list].as_sequence());
        for path in lists.flatten() {
            let path = format!("secrets/kubernetes/{}", path.as_str().unwrap());
            assert!(sandbox.hello(&path).exists(), "{errand:?}: {path}");
        }
    }
}

#[test]
fn a_run_that_is_killed_can_be_given_again() {
    let mut stopped = 0;
    for errand in [
        Errand { before: "one", after: Some("two") },
        Errand { before: "one", after: Some("two\nlines") },
        Errand { before: "two\nlines", after: Some("one") },
        Errand { before: "one", after: None },
        Errand { before: "two\nlines", after: None },
    ] {
        let whole = {
            let sandbox = errand.prepared();
            let begin = Instant::now();
            errand.run(&sandbox).success();
            (begin.elapsed(), secrets(&sandbox))
        };
        for round in 0..ROUNDS {
            let sandbox = errand.prepared();
            let before = secrets(&sandbox);
            let mut command = errand.run(&sandbox).command();
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            let begin = Instant::now();
            if round % 2 == 1 {
                // The stretch that counts begins with the first sibling.
                let is_writing =
                    || files_below(&sandbox.hello("secrets")).iter().any(|file| file.contains(".makeinfra-"));
                while !is_writing() && begin.elapsed() < whole.0 && child.try_wait().unwrap().is_none() {}
                sleep(Duration::from_micros(u64::from(round) * 60));
            } else {
                sleep(whole.0 * round / ROUNDS);
            }
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            assert_no_token(&output.stderr, "stderr");
            names_only_what_is_there(&sandbox, errand);
            let left = secrets(&sandbox);
            stopped += u32::from(left != before && left != whole.1);
            let mut again = errand.run(&sandbox).output();
            // git's own locks do not end with a process; people remove them, as git says.
            let locks: Vec<_> = files_below(&sandbox.hello(".git"))
                .into_iter()
                .filter(|path| Path::new(path).extension().is_some_and(|end| end == "lock"))
                .collect();
            if again.code == Some(1) && !locks.is_empty() {
                again.says("hint: ");
                for lock in locks {
                    fs::remove_file(sandbox.hello(".git").join(lock)).unwrap();
                }
                again = errand.run(&sandbox).output();
            }
            // What was complete has nothing left to take out.
            let is_done = again.code == Some(0) || (errand.after.is_none() && left == whole.1);
            assert!(is_done, "{errand:?}: {}", again.stderr);
            assert!(secrets(&sandbox) == whole.1, "{errand:?}: {:?}", secrets(&sandbox).keys());
            let siblings = files_below(&sandbox.hello("secrets"));
            assert!(!siblings.iter().any(|file| file.contains(".makeinfra-")), "{siblings:?}");
            assert_eq!(
                sandbox.git(&["status", "--porcelain"]).success().stdout,
                "",
                "{errand:?}: {:?} {}",
                again.code,
                again.stderr
            );
        }
    }
    eprintln!("{stopped} runs were stopped between two files");
}
