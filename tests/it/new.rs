//! The result of `makeinfra new`: the tree, its modes, its git repository, the output.

use super::layout::{self, paths};
use super::support::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// All files of a repository with a pull secret.
pub fn tree() -> Vec<String> {
    paths(layout::DEFAULT)
}

/// A PATH with only these programs.
pub fn path_of(sandbox: &Sandbox, programs: &[&str]) -> String {
    let dir = sandbox.path("few");
    fs::create_dir_all(&dir).unwrap();
    for program in programs {
        let all = std::env::var_os("PATH").unwrap();
        let real = std::env::split_paths(&all)
            .map(|dir| dir.join(program))
            .find(|file| file.is_file())
            .unwrap();
        let _ = symlink(real, dir.join(program));
    }
    dir.display().to_string()
}

pub fn is_clean(sandbox: &Sandbox, path: Option<&str>) {
    let git = |args: &[&str]| match path {
        Some(path) => sandbox.git(args).env("PATH", path),
        None => sandbox.git(args),
    };
    assert_eq!(git(&["status", "--porcelain"]).success().stdout, "");
    assert_eq!(git(&["diff", "--stat", "HEAD"]).success().stdout, "");
}

#[test]
fn makes_the_whole_tree_and_commits_it() {
    let sandbox = Sandbox::new();
    let output = sandbox.new_hello(&[]).success();
    assert_eq!(files_below(&sandbox.work("hello-infra")), tree());
    assert_eq!(files_below(&sandbox.path("work")).len(), tree().len());
    let tracked = sandbox.git(&["ls-files"]).success().stdout;
    assert_eq!(tracked.lines().collect::<Vec<_>>(), tree());
    let log = sandbox.git(&["log", "--format=%an <%ae> %s"]).success().stdout;
    assert_eq!(log, "Ada <ada@example.com> Generate hello-infra with makeinfra\n");
    sandbox.git(&["fsck", "--strict"]).success();
    is_clean(&sandbox, None);
    for text in [
        "hello-infra/",
        "gitlab.secret.yaml",
        "encrypted in git",
        "committed as",
        "cp -i hello-infra/.git/git-crypt/keys/default",
        "make deploy",
    ] {
        assert!(output.stdout.contains(text), "no `{text}` in {}", output.stdout);
    }
    assert_eq!(output.stderr, "");
}

#[test]
fn the_next_steps_can_be_pasted_and_the_first_backs_up_the_key() {
    let sandbox = Sandbox::new();
    let json = sandbox.new_hello(&["--json"]).success().json();
    let next: Vec<_> = json["next"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(next.len(), 4);
    sandbox.run("sh", &["-ec", &next[0]]).success();
    let (copy, key) = (
        sandbox.path("home/hello-infra.git-crypt-key"),
        sandbox.hello(".git/git-crypt/keys/default"),
    );
    assert_eq!(fs::read(copy).unwrap(), fs::read(key).unwrap());
    sandbox.run("sh", &["-ec", &format!("{}; make -n deploy >/dev/null", next[1])]).success();
    assert_eq!(next[2], "make deploy");
    assert!(next[3].ends_with("remote add origin URL && git push -u origin HEAD"), "{}", next[3]);
}

#[test]
fn modes_follow_the_umask_but_for_secrets() {
    for (umask, plain, executable, directory) in [
        ("022", 0o644, 0o755, 0o755),
        ("077", 0o600, 0o700, 0o700),
        ("002", 0o664, 0o775, 0o775),
        ("000", 0o666, 0o777, 0o777),
    ] {
        let sandbox = Sandbox::new();
        let (token, program) =
            (sandbox.path("token").display().to_string(), env!("CARGO_BIN_EXE_makeinfra"));
        let run = format!("umask {umask}; exec \"$0\" \"$@\"");
        let new = [
            "new",
            "hello",
            "--image",
            IMAGE,
            "--token-username",
            USER,
            "--token-file",
            &token,
            "--export-key",
            "key",
        ];
        sandbox.run("sh", &[&["-c", &run, program], &new[..]].concat()).success();
        for file in tree() {
            let expected = match file.as_str() {
                file if file.starts_with("secrets/") => 0o600,
                ".githooks/pre-commit" => executable,
                _ => plain,
            };
            assert_eq!(mode(&sandbox.hello(&file)), expected, "{file} under {umask}");
        }
        for dir in [
            "",
            ".githooks",
            "kubernetes/base",
            "kubernetes/overlays/production",
            "secrets/kubernetes",
            ".git",
        ] {
            assert_eq!(mode(&sandbox.hello(dir)), directory, "{dir} under {umask}");
        }
        assert_eq!(mode(&sandbox.hello(".git/git-crypt/keys/default")), 0o600);
        assert_eq!(mode(&sandbox.work("key")), 0o600);
        let modes = sandbox
            .git(&["ls-files", "-s", ".githooks/pre-commit", "Makefile", SECRET])
            .success()
            .stdout;
        let modes: Vec<_> = modes.lines().map(|line| &line[..6]).collect();
        assert_eq!(modes, ["100755", "100644", "100644"]);
        is_clean(&sandbox, None);
    }
}

#[test]
fn a_name_with_infra_is_the_same_project() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&["--output", "."]).success();
    fs::create_dir(sandbox.work("other")).unwrap();
    let args = ["new", "hello-infra", "--image", IMAGE, "--no-token", "--output", "other"];
    sandbox.makeinfra(&args).success();
    for file in paths(layout::WITHOUT_TOKEN) {
        let other = sandbox.work("other/hello-infra").join(&file);
        assert_eq!(fs::read(sandbox.hello(&file)).unwrap(), fs::read(other).unwrap(), "{file}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (Sandbox::with_hello(), Sandbox::with_hello());
    for file in tree() {
        assert_eq!(
            fs::read(one.hello(&file)).unwrap(),
            fs::read(two.hello(&file)).unwrap(),
            "{file}"
        );
    }
    let key = ".git/git-crypt/keys/default";
    assert_ne!(fs::read(one.hello(key)).unwrap(), fs::read(two.hello(key)).unwrap());
}

#[test]
fn an_ingress_is_there_only_if_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    let ingress = fs::read_to_string(sandbox.hello("kubernetes/base/ingress.yaml")).unwrap();
    assert!(ingress.contains("host: hello.example.com"), "{ingress}");
    let list = fs::read_to_string(sandbox.hello("kubernetes/base/kustomization.yaml")).unwrap();
    assert!(list.contains("- ingress.yaml"), "{list}");
    let plain = Sandbox::with_hello();
    assert!(!plain.hello("kubernetes/base/ingress.yaml").exists());
    let list = fs::read_to_string(plain.hello("kubernetes/base/kustomization.yaml")).unwrap();
    assert!(!list.contains("ingress"), "{list}");
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let sandbox = Sandbox::new();
    let base = ["new", "hello", "--image", IMAGE, "--dry-run"];
    for args in [
        &[][..],
        &["--token-username", USER],
        &["--no-token"],
        &["--from-ci", "--no-git"],
        &["--export-key", "key"],
    ] {
        let run = sandbox.makeinfra(&[&base[..], args].concat());
        let output = run.env("CI_DEPLOY_USER", USER).env("CI_DEPLOY_PASSWORD", TOKEN).success();
        assert!(
            output.stdout.contains("├── Makefile") && !output.stdout.contains("kB"),
            "{}",
            output.stdout
        );
        assert!(output.stdout.contains("└── kustomization.yaml"), "{}", output.stdout);
        assert_eq!(
            output.stdout.contains("gitlab.secret.yaml"),
            !args.contains(&"--no-token"),
            "{}",
            output.stdout
        );
        assert_no_token(output.stdout.as_bytes(), "the plan");
        assert!(
            files_below(&sandbox.path("work")).is_empty() && !sandbox.work("hello-infra").exists()
        );
    }
    let json = sandbox.makeinfra(&[&base[..], &["--json"]].concat()).success().json();
    assert_eq!((&json["dry_run"], &json["project"]), (&json!(true), &json!("hello")));
    assert!(json["files"].as_array().unwrap().contains(&json!({
        "path": ".gitignore",
        "change": "new",
        "bytes": Sandbox::with_hello().hello(".gitignore").metadata().unwrap().len(),
    })));
    // Not even leftovers of a killed run are touched.
    let left = sandbox.write("work/.hello-infra.makeinfra-abcdef012345/secrets/token", "x");
    sandbox.makeinfra(&base).success().says("a killed run left");
    assert!(left.exists());
    // A plan that could not be carried out is refused.
    sandbox.write("work/hello-infra/mine", "x");
    sandbox.makeinfra(&base).failure(1).says("not empty");
}

#[test]
fn the_result_is_one_json_object() {
    let sandbox = Sandbox::new();
    let output = sandbox
        .new_hello(&["--json", "--expires-at", "2020-01-01", "--export-key", "key"])
        .success();
    assert_eq!(output.stdout.lines().count(), 1);
    let json = output.json();
    assert_eq!(json["repo"], sandbox.work("hello-infra").canonicalize().unwrap().to_str().unwrap());
    assert_eq!(json["exported_key"], sandbox.work("key").canonicalize().unwrap().to_str().unwrap());
    assert_eq!(json["commit"], sandbox.git(&["rev-parse", "HEAD"]).success().stdout.trim());
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1);
    for file in json["files"].as_array().unwrap() {
        let size = sandbox.hello(file["path"].as_str().unwrap()).metadata().unwrap().len();
        assert_eq!(file["bytes"], size);
    }
    assert_no_token(&output.bytes, "the JSON");
}

#[test]
fn paths_that_are_no_text_do_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let odd = sandbox.path("work").join(std::ffi::OsStr::from_bytes(b"d\xff \x1b[1m'"));
    fs::create_dir(&odd).unwrap();
    for args in [&["--json"][..], &[]] {
        sandbox.new_hello(args).cwd(&odd).success();
        fs::remove_dir_all(odd.join("hello-infra")).unwrap();
    }
    let spaces = sandbox.work("it's a $HOME");
    fs::create_dir(&spaces).unwrap();
    let next = sandbox
        .new_hello(&["--output", spaces.to_str().unwrap(), "--json"])
        .success()
        .json()["next"]
        .clone();
    sandbox.run("sh", &["-ec", next[0].as_str().unwrap()]).success();
    sandbox.run("sh", &["-ec", next[1].as_str().unwrap()]).success();
}

#[test]
fn an_option_beats_the_answers_file_beats_the_config_beats_the_default() {
    let record = |sandbox: &Sandbox| {
        let text = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
        let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        serde_json::to_value(&value["answers"]).unwrap()
    };
    let sandbox = Sandbox::new();
    sandbox.write(
        "home/.config/makeinfra/config.yaml",
        "port: 1111\nreplicas: 3\nsecret-name: config\npod-security: baseline\nemail: config@example.com\nci: none\n\
         ingress-domain: example.com\nregistry: registry.gitlab.com/group\n",
    );
    let answers = sandbox.write(
        "answers.yaml",
        "image: registry.gitlab.com/group/answers:1\nport: 2222\nreplicas: 4\nemail: ~\n",
    );
    let answers = answers.display().to_string();
    sandbox
        .makeinfra(&["new", "hello", "--no-token", "--answers", &answers, "--port", "3333"])
        .success();
    let found = record(&sandbox);
    for (name, value) in [
        ("project", json!("hello")),
        ("port", json!(3333)),
        ("image", json!("registry.gitlab.com/group/answers:1")),
        ("replicas", json!(4)),
        ("secret-name", json!("config")),
        ("pod-security", json!("baseline")),
        ("ingress", json!("hello.example.com")),
        ("registry", json!("registry.gitlab.com/group")),
        ("secret-type", json!("dockercfg")),
        (
            "environments",
            json!({ "production": {
                "namespace": "hello",
                "protect": false,
                "ingress": "hello.example.com",
                "secrets": "secrets/kubernetes",
            } }),
        ),
        ("ci", json!("none")),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    // "None" in a source with higher precedence overrides a value in a lower one.
    assert_eq!(found.get("email"), None);
    fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();
    sandbox.write("answers.yaml", "ingress: ~\n");
    sandbox.new_without_token(&["--answers", &answers]).success();
    assert_eq!(record(&sandbox).get("ingress"), None);
    // The config's registry is a default for images in it, and does not prevent others.
    fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();
    sandbox
        .makeinfra(&["new", "hello", "--no-token", "--image", "registry.example.com/a/b:1"])
        .success();
    assert_eq!(record(&sandbox)["registry"], "registry.example.com");
    // `$XDG_CONFIG_HOME` is used if it is set.
    fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();
    sandbox.write("xdg/makeinfra/config.yaml", "port: 4444\n");
    sandbox.new_without_token(&[]).env("XDG_CONFIG_HOME", sandbox.path("xdg")).success();
    assert_eq!(record(&sandbox)["port"], 4444);
}

#[test]
fn answers_come_from_standard_input_too() {
    let sandbox = Sandbox::new();
    let run = sandbox.makeinfra(&["new", "--answers", "-", "--no-token"]);
    run.stdin(format!("project: hello\nimage: {IMAGE}\noutput: .\n")).success();
    assert!(sandbox.hello("Makefile").exists());
}

#[test]
fn an_empty_directory_is_used_and_anything_else_is_left_alone() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.work("hello-infra")).unwrap();
    sandbox.new_hello(&[]).success();
    is_clean(&sandbox, None);
    // A second run fails: the directory is no longer empty.
    let before = fs::read(sandbox.hello(".git/index")).unwrap();
    sandbox.new_hello(&[]).failure(1).says("not empty").says("--output");
    assert_eq!(fs::read(sandbox.hello(".git/index")).unwrap(), before);

    let refused = |make: &dyn Fn(&Path), says: &str| {
        let sandbox = Sandbox::new();
        let target = sandbox.work("hello-infra");
        make(&target);
        let before = fs::symlink_metadata(&target).unwrap();
        sandbox.new_hello(&[]).failure(1).says(says).says("hint: ");
        let after = fs::symlink_metadata(&target).unwrap();
        assert_eq!(
            (before.file_type(), before.modified().unwrap()),
            (after.file_type(), after.modified().unwrap())
        );
        assert_eq!(fs::read_dir(sandbox.path("work")).unwrap().count(), 1);
    };
    refused(&|target| fs::write(target, "mine").unwrap(), "not a directory");
    refused(&|target| symlink("nowhere", target).unwrap(), "not a directory");
    refused(&|target| symlink(".", target).unwrap(), "not a directory");
    refused(&|target| fs::create_dir_all(target.join(".git")).unwrap(), "not empty");
}

#[test]
fn every_shell_has_completions() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "nushell", "powershell", "zsh"] {
        let script = sandbox.makeinfra(&["completions", shell]).success();
        // Its script cannot ask the program.
        let sign = if shell == "nushell" { "token-file" } else { "MAKEINFRA_COMPLETE" };
        assert!(script.stdout.contains(sign), "{shell}");
        assert_eq!(script.stderr, "");
        // Shells that are installed parse their script.
        if matches!(shell, "bash" | "fish" | "zsh") && is_there(shell) {
            let file = sandbox.write("completions", &script.stdout).display().to_string();
            sandbox.run(shell, &["-n", &file]).success();
        }
    }
}

fn is_there(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(program).is_file())
}

#[test]
fn the_manual_page_is_a_manual_page() {
    let sandbox = Sandbox::new();
    let page = sandbox.makeinfra(&["man"]).success().stdout;
    for text in [".TH makeinfra 1", "MAKEINFRA NEW", "MAKEINFRA ROTATE", "\\-\\-token\\-file"] {
        assert!(page.contains(text), "no `{text}`");
    }
    if !have("groff") {
        return;
    }
    let file = sandbox.write("makeinfra.1", &page).display().to_string();
    let output = sandbox.run("groff", &["-man", "-ww", "-Tutf8", "-P-cbu", &file]).success();
    assert_eq!(output.stderr, "");
    for text in ["--export-key", "--from-docker-config"] {
        assert!(output.stdout.contains(text), "{}", output.stdout);
    }
}

#[test]
fn each_command_can_have_a_manual_page_of_its_own() {
    let sandbox = Sandbox::new();
    let output = sandbox.makeinfra(&["man", "--output", "pages"]).failure(1);
    output.says("hint: mkdir -p pages");
    fs::create_dir(sandbox.work("pages")).unwrap();
    sandbox.makeinfra(&["man", "--output", "pages"]).success();
    let pages = sandbox.work("pages");
    let mut names: Vec<_> =
        fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let has = |name: &str| names.iter().any(|found| found == name);
    assert!(
        has("makeinfra.1") && has("makeinfra-new.1") && has("makeinfra-env-add.1"),
        "{names:?}"
    );
    assert!(!has("makeinfra-env.1") && !has("makeinfra-help.1"), "{names:?}");
    assert_eq!(
        fs::read_to_string(pages.join("makeinfra.1")).unwrap(),
        sandbox.makeinfra(&["man"]).success().stdout
    );
    let page = fs::read_to_string(pages.join("makeinfra-env-add.1")).unwrap();
    assert!(
        page.contains(".TH makeinfra-env-add 1") && page.contains("makeinfra env add"),
        "{page}"
    );
    if have("groff") {
        for name in &names {
            let file = pages.join(name).display().to_string();
            let output =
                sandbox.run("groff", &["-man", "-ww", "-Tutf8", "-P-cbu", &file]).success();
            assert_eq!(output.stderr, "", "{name:?}");
        }
    }
}

#[test]
fn help_says_what_every_option_is_for() {
    let sandbox = Sandbox::new();
    for command in ["new", "rotate", "completions", "man"] {
        sandbox.makeinfra(&[command, "--help"]).success();
    }
    let help = sandbox.makeinfra(&["new", "--help"]).success().stdout;
    // Lines with more indentation belong to the text of an option.
    let is_option = |line: &&str| line.starts_with("      --") || line.starts_with("  -");
    for line in help.lines().filter(is_option) {
        let text = line.trim().split_once("  ").map_or("", |(_, text)| text.trim());
        assert!(
            !text.is_empty() || help.contains(&format!("{line}\n          ")),
            "no help: {line}"
        );
    }
    assert!(!help.contains("--token <"), "{help}");
    assert!(sandbox.makeinfra(&["--version"]).success().stdout.starts_with("makeinfra 0."));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_makeinfra");
    for words in ["completions bash", "man", "new --help"] {
        let line = format!("({program} {words}; echo $? >&2) | true");
        assert_eq!(sandbox.run("sh", &["-c", &line]).success().stderr, "0\n");
    }
}
