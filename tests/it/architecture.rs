//! Checks the rules of ARCHITECTURE.md against the source.

mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Imports = BTreeMap<String, BTreeSet<String>>;

/// The table of ARCHITECTURE.md: modules and their imports.
fn table() -> Imports {
    let text = fs::read_to_string(repo("ARCHITECTURE.md")).unwrap();
    let rows =
        text.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 4);
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let imports =
            cells[3].split(", ").filter(|import| *import != "-").map(str::to_owned).collect();
        (cells[1].trim_matches('`').to_owned(), imports)
    })
    .collect()
}

/// Every top-level module of `src`, with the modules that it, or a part of it, names.
fn source() -> Imports {
    let mut imports = Imports::new();
    for (path, text) in sources() {
        let module = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let found = imports.entry(module.clone()).or_default();
        let code = code(&text);
        for prefix in ["crate::", "makeinfra::"] {
            for (at, _) in code.match_indices(prefix) {
                let name: String = code[at + prefix.len()..]
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                if !name.is_empty()
                    && name != module
                    && !["run", "completes"].contains(&name.as_str())
                {
                    found.insert(name);
                }
            }
        }
        if module == "lib" {
            let uses = code.lines().filter_map(|line| line.strip_prefix("use "));
            found.extend(uses.filter_map(|line| line.split("::").next()).map(str::to_owned));
        }
    }
    imports
}

fn sources() -> Vec<(String, String)> {
    super::support::files_below(&repo("src"))
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(repo("src").join(&path)).unwrap();
            (path, text)
        })
        .collect()
}

/// The lines of `text` without comments and the tests at its end.
fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Whether a file only contains tests.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| part.trim_end_matches(".rs") == "tests")
}

fn repo(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Lines of code outside tests and comments that contain one of `words`, in files not among
/// `allowed`.
fn offenders(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if is_test(&path) || allowed.contains(&path.as_str()) {
            continue;
        }
        found.extend(
            code(&text)
                .lines()
                .filter(|line| words.iter().any(|word| line.contains(word)))
                .map(|line| format!("{path}: {line}")),
        );
    }
    found
}

/// Like [`offenders`], with modules and everything below them as the allowed files.
fn not_in(modules: &[&str], words: &[&str]) -> Vec<String> {
    offenders(words, &[]).into_iter().filter(|line| !is_of(line, modules)).collect()
}

/// Whether a line of [`offenders`] belongs to one of `modules`.
fn is_of(line: &str, modules: &[&str]) -> bool {
    modules
        .iter()
        .any(|module| line.strip_prefix(module).is_some_and(|rest| rest.starts_with(['.', '/'])))
}

#[test]
fn modules_import_what_the_table_says() {
    let (table, source) = (table(), source());
    assert_eq!(table.keys().collect::<Vec<_>>(), source.keys().collect::<Vec<_>>());
    for (module, imports) in &source {
        assert_eq!(imports, &table[module], "module {module}");
    }
}

#[test]
fn modules_do_not_import_in_circles() {
    let imports = table();
    let mut left: BTreeSet<&String> = imports.keys().collect();
    loop {
        let free: Vec<_> = left
            .iter()
            .filter(|module| imports[**module].iter().all(|import| !left.contains(import)))
            .copied()
            .collect();
        if free.is_empty() {
            break;
        }
        for module in free {
            left.remove(module);
        }
    }
    assert!(left.is_empty(), "a circle among {left:?}");
}

#[test]
fn modules_of_a_directory_do_not_import_in_circles() {
    let files = sources().into_iter().filter(|(path, _)| !is_test(path));
    let circles = paths::Source::new(files.map(|(path, text)| (path, code(&text)))).circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn only_ui_prints_and_reads_standard_input() {
    let words =
        ["println!", "eprintln!", "print!(", "dbg!", "io::stdout", "io::stderr", "io::stdin"];
    assert_eq!(offenders(&words, &["ui.rs", "ui/terminal.rs"]), Vec::<String>::new());
}

#[test]
fn nothing_below_commands_asks_or_prints() {
    // Questions are asked in the interview; a token or another value is asked for where it is read.
    let conversation = ["ui", "questions", "credentials", "commands", "lib", "main"];
    assert_eq!(not_in(&conversation, &["Ui"]), Vec::<String>::new());
    let results = [".print(", "ui.wait(", "print_error"];
    assert_eq!(not_in(&["ui", "commands", "main"], &results), Vec::<String>::new());
    // A credential is only sent where its owner has agreed.
    assert_eq!(not_in(&["ui", "commands", "credentials"], &[".decide("]), Vec::<String>::new());
}

#[test]
fn only_files_and_repo_write() {
    let words = [
        "fs::write",
        "fs::rename",
        "fs::copy",
        "fs::remove",
        "fs::create_dir",
        "fs::hard_link",
        "fs::set_permissions",
        "unix::fs::symlink",
        "DirBuilder",
        "OpenOptions",
        "fs::File::create",
        "fs::File::options",
        // Forbidden, so that calls are written out in full.
        "use std::fs::",
        "tempfile::",
    ];
    // Debug builds record all hints for the tests.
    assert_eq!(not_in(&["files", "repo", "advice/recorded"], &words), Vec::<String>::new());
    // libgit2 also compares and merges texts, for which no repository is needed.
    assert_eq!(
        not_in(&["repo", "change/merge", "change/shown"], &["git2::"]),
        Vec::<String>::new()
    );
}

#[test]
fn only_the_transaction_and_new_have_anything_written() {
    let words = [
        "Batch",
        "Staging",
        "NewFile",
        "Replacement",
        "Blob",
        "repo.store(",
        ".store_text(",
        "::removal(",
        "repo.commit(",
        "repo.pick(",
        "repo.forget_pick(",
        "install_git_crypt(",
        "repo::New",
    ];
    let writers = ["files", "repo", "commands/transaction", "commands/new"];
    assert_eq!(not_in(&writers, &words), Vec::<String>::new());
    // The journal of tokens is not among a repository's files.
    let journal = ["files", "commands/deploy_tokens/journal"];
    assert_eq!(not_in(&journal, &["files::keep(", "files::forget("]), Vec::<String>::new());
}

#[test]
fn only_environment_reads_variables_and_nobody_sets_one() {
    assert_eq!(offenders(&["env::var"], &["environment.rs"]), Vec::<String>::new());
    assert_eq!(
        offenders(&["set_var", "remove_var", ".env(", "set_current_dir"], &[]),
        Vec::<String>::new()
    );
}

#[test]
fn only_tool_runs_programs() {
    let words = ["Command::new", "process::Command", "process::{"];
    assert_eq!(offenders(&words, &["tool.rs"]), Vec::<String>::new());
}

#[test]
fn pure_modules_do_no_io() {
    let words = ["std::fs", "fs::", "io::", "TcpStream", "std::env"];
    let pure = [
        "checks",
        "diagnosis",
        "manifests",
        "context",
        "templates",
        "rotation",
        "opaque",
        "pull_secret",
        "yaml",
        "yaml_edit",
        "yaml_path",
        "git_crypt",
        "answers",
        "change",
        "secret",
        "registry/challenge",
        "registry/grant",
        "http/proxy",
        "registry/verdict",
    ];
    let found: Vec<_> =
        offenders(&words, &[]).into_iter().filter(|line| is_of(line, &pure)).collect();
    assert_eq!(found, Vec::<String>::new());
}

/// The guard against nesting is in that file.
#[test]
fn one_file_calls_the_yaml_parsers() {
    let words = [
        "serde_yaml::from_",
        "serde_yaml::{from_",
        "serde_yaml::Deserializer",
        "Deserializer::from_slice",
        "Parser::new",
        "use serde_yaml::from",
        "saphyr_parser::Parser",
        "yaml_serde",
    ];
    // The JSON parser has its own guard.
    let allowed = ["yaml.rs", "diagnosis/evidence.rs", "registry/challenge.rs"];
    assert_eq!(offenders(&words, &allowed), Vec::<String>::new());
}

#[test]
fn one_file_knows_what_a_kustomization_is_called() {
    let words = ["kustomization.yml", "\"Kustomization\""];
    assert_eq!(offenders(&words, &["manifests/kustomization.rs"]), Vec::<String>::new());
}

#[test]
fn one_file_reaches_the_network() {
    let words = ["Agent", "TcpStream", "UdpSocket", "UnixStream"];
    assert_eq!(offenders(&words, &["http.rs"]), Vec::<String>::new());
}

#[test]
fn a_token_is_exposed_in_few_places() {
    let found = offenders(&[".expose()"], &[]);
    let allowed = [
        "pull_secret",
        "rotation",
        "change",
        "commands/deploy_tokens/",
        "commands/new/tokens.rs",
        "credentials/gitlab.rs",
        "gitlab.rs",
        "templates.rs",
        "commands/encrypted.rs",
        "commands/rotate",
        "commands/secrets.rs",
        "commands/tokens.rs",
        "files.rs",
        "registry.rs",
        "http.rs",
        "repo.rs",
        "secret.rs",
    ];
    let strange: Vec<_> =
        found.iter().filter(|line| !allowed.iter().any(|path| line.starts_with(path))).collect();
    assert!(strange.is_empty(), "{strange:#?}");
}

#[test]
fn files_stay_small() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > 450)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}
