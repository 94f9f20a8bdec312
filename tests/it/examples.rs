//! `examples/` is the output of the program; `make examples` regenerates it.

use super::support::{Sandbox, files_below, mode};
use std::fs;
use std::path::{Path, PathBuf};

/// A path in this project's repository.
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whether golden files are rewritten instead of compared.
pub fn update() -> bool {
    std::env::var_os("MAKEINFRA_UPDATE").is_some()
}

/// The result of the README's first command, without git.
fn generate(sandbox: &Sandbox) -> PathBuf {
    let answers = repo("examples/answers.yaml").display().to_string();
    let args = [
        "new",
        "--answers",
        &answers,
        "--token-username",
        "gitlab+deploy-token-1",
        "--token-stdin",
        "--no-git",
    ];
    sandbox.makeinfra(&args).stdin(fs::read(repo("examples/token")).unwrap()).success();
    sandbox.work("hello-infra")
}

#[test]
fn the_example_is_what_the_program_generates() {
    let sandbox = Sandbox::new();
    let (made, example) = (generate(&sandbox), repo("examples/hello-infra"));
    if update() {
        let _ = fs::remove_dir_all(&example);
        assert!(
            std::process::Command::new("cp")
                .arg("-r")
                .args([&made, &example])
                .status()
                .unwrap()
                .success()
        );
    }
    assert_eq!(
        files_below(&made),
        files_below(&example),
        "run `make examples` and read the difference"
    );
    for file in files_below(&made) {
        let text = |dir: &Path| fs::read_to_string(dir.join(&file)).unwrap();
        assert_eq!(
            text(&made),
            text(&example),
            "{file}: run `make examples` and read the difference"
        );
        assert_eq!(mode(&made.join(&file)) & 0o100, mode(&example.join(&file)) & 0o100, "{file}");
    }
}

#[test]
fn the_docker_config_of_the_examples_gives_the_same_secret() {
    let sandbox = Sandbox::new();
    let expected = fs::read_to_string(generate(&sandbox).join(super::support::SECRET)).unwrap();
    fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();
    let answers = repo("examples/answers.yaml").display().to_string();
    let config = format!("--from-docker-config={}", repo("examples/docker-config.json").display());
    sandbox.makeinfra(&["new", "--answers", &answers, &config]).success();
    assert_eq!(fs::read_to_string(sandbox.hello(super::support::SECRET)).unwrap(), expected);
}
