//! The repositories of all rows, and the parts of them that are deployed together.

use super::Row;
use crate::support::{Sandbox, files_below, kubectl};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::thread;

/// The repository of one row.
pub struct Tree {
    pub row: Row,
    pub sandbox: Sandbox,
    pub root: PathBuf,
    /// Every directory with a kustomization that is not another one's base.
    pub stages: Vec<Stage>,
}

/// Everything that is deployed to one namespace.
pub struct Stage {
    /// The directory, relative to the repository.
    pub dir: String,
    /// The output of `kubectl kustomize`; empty if no kubectl can build it.
    pub built: Vec<Value>,
    /// Its namespace, which no kustomization lists.
    pub beside: Vec<Value>,
    /// All of that in one YAML file.
    pub file: PathBuf,
}

impl Stage {
    pub fn documents(&self) -> impl Iterator<Item = &Value> {
        self.beside.iter().chain(&self.built)
    }
}

impl Tree {
    /// Runs the commands of a row.
    fn generate(row: Row) -> Self {
        let sandbox = Sandbox::new();
        let root = repository(&sandbox, &row.commands(), &row.line());
        Self { row, sandbox, root, stages: Vec::new() }
    }

    /// The files of the repository, as text.
    pub fn files(&self) -> Vec<(String, String)> {
        let read = |file: String| (file.clone(), fs::read_to_string(self.root.join(file)).unwrap());
        files_below(&self.root).into_iter().map(read).collect()
    }

    /// The files of namespaces, which no kustomization lists: objects and text.
    fn namespaces(&self) -> Vec<(Vec<Value>, String)> {
        let files = self.files().into_iter().filter(|(path, _)| path.ends_with("namespace.yaml"));
        files.map(|(_, text)| (documents(&text), text)).collect()
    }

    fn stage(mut self) -> Self {
        let kubectl = kubectl();
        let beside = self.namespaces();
        for dir in self.tops() {
            let text = kubectl
                .as_ref()
                .map_or(String::new(), |kubectl| self.kustomize(kubectl, "kustomize", &dir));
            let built = documents(&text);
            let namespaces: BTreeSet<_> = built
                .iter()
                .filter_map(|document| document["metadata"]["namespace"].as_str())
                .collect();
            let belongs = |document: &Value| {
                document["metadata"]["name"].as_str().is_some_and(|name| namespaces.contains(name))
            };
            let here = beside.iter().filter(|(documents, _)| documents.iter().any(belongs));
            let (beside, texts): (Vec<_>, Vec<_>) = here.cloned().unzip();
            let texts = [texts, vec![text]].concat().join("---\n");
            let file = self.sandbox.write(&format!("stages/{}.yaml", dir.replace('/', "-")), texts);
            let beside = beside.concat();
            self.stages.push(Stage { dir, built, beside, file });
        }
        self
    }

    /// The output of kubectl or kustomize for a directory.
    pub fn kustomize(&self, program: &Path, command: &str, dir: &str) -> String {
        let output = self.sandbox.run(program, &[command, dir]).cwd(&self.root).output();
        let said = (output.code, output.stderr.as_str());
        assert_eq!(
            said,
            (Some(0), ""),
            "{}\n{} {command} {dir}",
            self.row.line(),
            program.display()
        );
        output.stdout
    }

    /// The directories with a kustomization that is not another one's base.
    fn tops(&self) -> Vec<String> {
        let dirs: Vec<PathBuf> = files_below(&self.root)
            .iter()
            .filter_map(|file| file.strip_suffix("/kustomization.yaml").map(PathBuf::from))
            .collect();
        let bases: BTreeSet<_> = dirs.iter().flat_map(|dir| self.bases(dir)).collect();
        let is_top = |dir: &&PathBuf| !bases.contains(&self.root.join(dir).canonicalize().unwrap());
        let tops: Vec<_> =
            dirs.iter().filter(is_top).map(|dir| dir.to_str().unwrap().to_owned()).collect();
        assert!(!tops.is_empty(), "nothing to deploy: {}", self.row.line());
        tops
    }

    /// The directories on which a kustomization builds.
    pub fn bases(&self, dir: &Path) -> Vec<PathBuf> {
        let text = fs::read_to_string(self.root.join(dir).join("kustomization.yaml")).unwrap();
        let kustomization: Value = serde_yaml::from_str(&text).unwrap();
        let lists =
            ["resources", "bases", "components"].map(|key| kustomization[key].as_array().cloned());
        let entries = lists.into_iter().flatten().flatten();
        let paths = entries.map(|entry| self.root.join(dir).join(entry.as_str().unwrap()));
        paths.filter(|path| path.is_dir()).map(|path| path.canonicalize().unwrap()).collect()
    }
}

/// Runs the commands of a row, and returns the path of the repository.
pub fn repository(sandbox: &Sandbox, commands: &[Vec<String>], line: &str) -> PathBuf {
    let run = |command: &[String], dir: &Path| {
        let args: Vec<_> = command.iter().map(String::as_str).collect();
        let output = sandbox.makeinfra(&args).cwd(dir).output();
        assert_eq!(output.code, Some(0), "{line}\n{args:?}: {}", output.stderr);
    };
    sandbox.write(
        "settings.env",
        "# Settings\nLOG_LEVEL=info\nGREETING=hello: \"world\" # not a comment\nEMPTY=\n",
    );
    sandbox.write_private("key.pem", "-----BEGIN KEY-----\nbm8=\n-----END KEY-----\n");
    run(&commands[0], &sandbox.work(""));
    let root = fs::read_dir(sandbox.work("")).unwrap().next().unwrap().unwrap().path();
    for command in &commands[1..] {
        run(command, &root);
    }
    root
}

/// The non-empty documents of a YAML text.
pub fn documents(text: &str) -> Vec<Value> {
    let all = serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap());
    all.filter(|document| !document.is_null()).collect()
}

/// Calls `make` for each row, on two cores.
fn each(make: impl Fn(Row) -> Tree + Sync) -> Vec<Tree> {
    let rows = super::rows();
    thread::scope(|scope| {
        let work = |rows: &[Row]| rows.iter().cloned().map(&make).collect::<Vec<_>>();
        let workers: Vec<_> = rows
            .chunks(rows.len().div_ceil(2))
            .map(|rows| scope.spawn(move || work(rows)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("its message is above"))
            .collect()
    })
}

/// The trees of all rows generated again, without running kustomize.
pub fn regenerated() -> Vec<Tree> {
    each(Tree::generate)
}

/// The trees of all rows, shared by all tests that run at the same time.
pub fn matrix() -> Arc<Vec<Tree>> {
    static SHARED: Mutex<Weak<Vec<Tree>>> = Mutex::new(Weak::new());
    // A failed test does not modify them.
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let trees = Arc::new(each(|row| Tree::generate(row).stage()));
        *shared = Arc::downgrade(&trees);
        trees
    })
}

/// The beginning of a program's output, with the commands of the row after each path in a row's
/// directories.
pub fn with_rows(trees: &[Tree], text: &str) -> String {
    let of_line = |line: &str| {
        trees.iter().find(|tree| line.contains(tree.sandbox.path("").to_str().unwrap()))
    };
    let named = |line: &str| match of_line(line) {
        Some(tree) => format!("{line}\n    {}\n", tree.row.line()),
        None => format!("{line}\n"),
    };
    // A fault in a template shows up in most rows.
    let rest = text.lines().count().saturating_sub(20);
    text.lines().take(20).map(named).collect::<String>() + &format!("... and {rest} lines more")
}
