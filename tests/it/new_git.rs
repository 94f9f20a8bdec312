//! The git side of `makeinfra new`: what git and git-crypt find in the new repository.

use super::new::{is_clean, path_of, tree};
use super::support::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[test]
fn without_git_there_are_only_files() {
    let sandbox = Sandbox::new();
    let output = sandbox.new_hello(&["--no-git"]).success();
    assert!(!sandbox.hello(".git").exists());
    assert_eq!(files_below(&sandbox.work("hello-infra")), tree());
    assert!(output.stdout.contains("git-crypt init"), "{}", output.stdout);
    let json = Sandbox::new().new_hello(&["--no-git", "--json"]).success().json();
    assert_eq!(json["commit"], json!(null));
    // The hinted commands protect the Secret.
    if have("git-crypt") {
        sandbox
            .run("sh", &["-ec", "git init -q && git-crypt init && git add -A"])
            .cwd(sandbox.work("hello-infra"))
            .success();
        assert_no_token(&all_objects(&sandbox, &sandbox.work("hello-infra")), "an object");
    }
}

#[test]
fn without_a_commit_everything_is_staged() {
    let sandbox = Sandbox::new();
    let output = sandbox.new_hello(&["--no-commit"]).success();
    assert!(output.stdout.contains("staged, not committed"), "{}", output.stdout);
    let status = sandbox.git(&["status", "--porcelain"]).success().stdout;
    assert_eq!(
        status.lines().map(|line| line.strip_prefix("A  ").unwrap()).collect::<Vec<_>>(),
        tree()
    );
    sandbox.git(&["commit", "-qm", "By hand"]).success();
    is_clean(&sandbox, None);
}

#[test]
fn without_an_identity_two_commands_finish_the_job() {
    let sandbox = Sandbox::new();
    let nameless = |mut run: Run| {
        for who in ["AUTHOR", "COMMITTER"] {
            run = run
                .without_env(&format!("GIT_{who}_NAME"))
                .without_env(&format!("GIT_{who}_EMAIL"));
        }
        run
    };
    let output = nameless(sandbox.new_hello(&[])).success();
    let commands: Vec<_> =
        output.stdout.lines().filter(|line| line.starts_with("  git ")).collect();
    // Then it can be published.
    assert_eq!(commands.len(), 3, "{}", output.stdout);
    assert!(sandbox.git(&["rev-parse", "-q", "--verify", "HEAD"]).output().code != Some(0));
    for command in &commands[..2] {
        nameless(sandbox.run("sh", &["-ec", command])).success();
    }
    is_clean(&sandbox, None);
    assert_eq!(sandbox.git(&["ls-files"]).success().stdout.lines().count(), tree().len());
}

#[test]
fn the_users_git_configuration_is_honoured_and_does_no_harm() {
    let sandbox = Sandbox::new();
    let template = sandbox.write("template/hooks/post-commit", "#!/bin/sh\nexit 1\n");
    let config = format!(
        "[user]\nname = Grace\nemail = grace@example.com\n[init]\ndefaultBranch = trunk\ntemplateDir = {}\n\
         [core]\nautocrlf = true\nhooksPath = /nowhere\nexcludesFile = {}\n[commit]\ngpgSign = true\n",
        template.parent().unwrap().parent().unwrap().display(),
        sandbox.write("ignore", "*\n").display()
    );
    sandbox.write("home/.gitconfig", config);
    let mut run = sandbox.new_hello(&[]);
    for who in ["AUTHOR", "COMMITTER"] {
        run = run.without_env(&format!("GIT_{who}_NAME")).without_env(&format!("GIT_{who}_EMAIL"));
    }
    run.success();
    let log = sandbox.git(&["log", "--format=%an %ae", "trunk"]).success().stdout;
    assert_eq!(log, "Grace grace@example.com\n");
    assert_eq!(sandbox.git(&["config", "core.hooksPath"]).success().stdout, ".githooks\n");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn variables_of_a_surrounding_git_do_not_lead_elsewhere() {
    // As in a git hook.
    let sandbox = Sandbox::new();
    let other = sandbox.path("other").display().to_string();
    sandbox.run("git", &["init", "-q", &other]).success();
    let before = files_below(&sandbox.path("other/.git"));
    let run =
        sandbox.new_hello(&[]).env("GIT_DIR", format!("{other}/.git")).env("GIT_WORK_TREE", &other);
    run.env("GIT_INDEX_FILE", format!("{other}/.git/index")).success();
    assert_eq!(files_below(&sandbox.path("other/.git")), before);
    is_clean(&sandbox, None);
}

#[test]
fn a_surrounding_work_tree_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.run("git", &["init", "-q"]).success();
    fs::create_dir(sandbox.work("below")).unwrap();
    let output = sandbox.new_hello(&["--output", "below", "--json"]).success();
    output.says("warning: ").says("git work tree");
    assert_eq!(output.json()["warnings"].as_array().unwrap().len(), 1);
    assert!(sandbox.work("below/hello-infra/.git").exists());
    assert_eq!(Sandbox::new().new_hello(&["--json"]).success().json()["warnings"], json!([]));
}

#[test]
fn git_and_git_crypt_find_nothing_to_complain_about() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    is_clean(&sandbox, None);
    let status = sandbox.run("git-crypt", &["status"]).cwd(sandbox.work("hello-infra")).success();
    let encrypted: Vec<_> =
        status.stdout.lines().filter(|line| line.trim_start().starts_with("encrypted: ")).collect();
    let secrets = tree().into_iter().filter(|file| file.starts_with("secrets/"));
    assert_eq!(encrypted, secrets.map(|file| format!("    encrypted: {file}")).collect::<Vec<_>>());
    assert!(!status.stdout.contains("WARNING"), "{}", status.stdout);
    // git-crypt's own output for the file equals what was committed.
    let key = sandbox.hello(".git/git-crypt/keys/default").display().to_string();
    let text = fs::read(sandbox.hello(SECRET)).unwrap();
    let clean = sandbox
        .run("git-crypt", &["clean", "--key-file", &key])
        .cwd(sandbox.work("hello-infra"))
        .stdin(&text)
        .success();
    let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{SECRET}")]).success();
    assert_eq!(clean.bytes, blob.bytes);
    // Even if git reads every file again.
    for file in tree() {
        let touched = fs::File::options().append(true).open(sandbox.hello(&file)).unwrap();
        touched.set_modified(std::time::SystemTime::now()).unwrap();
    }
    is_clean(&sandbox, None);
}

#[test]
fn the_work_tree_is_clean_where_git_crypt_is_missing() {
    let sandbox = Sandbox::new();
    let path = path_of(&sandbox, &["git", "sh"]);
    sandbox.new_hello(&[]).env("PATH", "/nonexistent").success();
    is_clean(&sandbox, Some(&path));
    // And after time has passed.
    let index = sandbox.hello(".git/index");
    fs::File::options()
        .append(true)
        .open(&index)
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    is_clean(&sandbox, Some(&path));
}

#[test]
fn a_clone_unlocks_with_the_exported_key() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--export-key", "key"]).success();
    assert_eq!(mode(&sandbox.work("key")), 0o600);
    assert_eq!(fs::read(sandbox.work("key")).unwrap().len(), 148);
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    let locked = fs::read(sandbox.work("clone").join(SECRET)).unwrap();
    assert!(locked.starts_with(b"\0GITCRYPT\0"));
    assert_no_token(&locked, "the locked clone");
    sandbox.run("git-crypt", &["unlock", "../key"]).cwd(sandbox.work("clone")).success();
    let secret = fs::read(sandbox.work("clone").join(SECRET)).unwrap();
    assert_eq!(secret, fs::read(sandbox.hello(SECRET)).unwrap());
    let status =
        sandbox.run("git", &["status", "--porcelain"]).cwd(sandbox.work("clone")).success();
    assert_eq!(status.stdout, "");
    // The original can be locked and unlocked, too.
    sandbox.run("git-crypt", &["lock"]).cwd(sandbox.work("hello-infra")).success();
    sandbox.run("git-crypt", &["unlock", "../key"]).cwd(sandbox.work("hello-infra")).success();
    assert_eq!(secret, fs::read(sandbox.hello(SECRET)).unwrap());
}

#[test]
fn gits_configuration_is_what_git_crypt_init_writes() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    let theirs = sandbox.work("theirs");
    sandbox.run("git", &["init", "-q", "theirs"]).success();
    sandbox.run("git-crypt", &["init"]).cwd(&theirs).success();
    let config = |dir: &Path| {
        let list = sandbox
            .run("git", &["config", "--local", "--null", "--list"])
            .cwd(dir)
            .success()
            .stdout;
        let mut lines: Vec<_> =
            list.split('\0').filter(|line| line.contains("git-crypt")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(config(&sandbox.work("hello-infra")), config(&theirs));
    assert_eq!(config(&theirs).len(), 4);
    let key = ".git/git-crypt/keys/default";
    let (ours, theirs) =
        (fs::read(sandbox.hello(key)).unwrap(), fs::read(theirs.join(key)).unwrap());
    assert_eq!((ours.len(), &ours[..28]), (theirs.len(), &theirs[..28]));
}

#[test]
fn git_ignores_nothing_that_is_generated() {
    let sandbox = Sandbox::new();
    let excludes = sandbox.write("excludes", "secrets/\n*.secret.yaml\n").display().to_string();
    let answers = "project: hello\nimage: registry.gitlab.com/group/hello:1.0.0\n\
                   components: {kubeconfig-sync: {port: null}, git-crypt-key: {port: null}}\n";
    let answers = sandbox.write("answers.yaml", answers).display().to_string();
    sandbox.new_hello(&["--answers", &answers]).success();
    sandbox.git(&["config", "core.excludesFile", &excludes]).success();
    let files = files_below(&sandbox.hello(""));
    assert!(files.iter().any(|file| file.contains("kubeconfig-sync-deployment")), "{files:?}");
    let ignored = |paths: &[String]| {
        let args: Vec<_> = paths.iter().map(String::as_str).collect();
        sandbox.git(&[&["check-ignore", "--no-index", "--"], &args[..]].concat()).output().stdout
    };
    assert_eq!(ignored(&files), "");
    let kept_out =
        ["kubeconfig", "a.key", "hello-infra.git-crypt-key", "secrets/kubernetes/.x.makeinfra-abc"];
    let kept_out = kept_out.map(str::to_owned);
    assert_eq!(ignored(&kept_out).lines().count(), kept_out.len());
}

#[test]
fn text_ends_its_lines_the_same_way_on_every_machine_and_ciphertext_is_left_alone() {
    let sandbox = Sandbox::with_hello();
    let attributes = |path: &str| {
        sandbox.git(&["check-attr", "text", "eol", "filter", "--", path]).success().stdout
    };
    for path in ["README.md", "Makefile", "kubernetes/deployment.yaml", ".githooks/pre-commit"] {
        let found = attributes(path);
        assert!(found.contains("text: auto") && found.contains("eol: lf"), "{found}");
    }
    let found = attributes(super::support::SECRET);
    assert!(found.contains("text: unset") && found.contains("filter: git-crypt"), "{found}");
}

/// Directories and files below `dir` whose mode is not as `expected`.
fn other_modes(dir: &std::path::Path, expected: &dyn Fn(bool, u32) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
        if !expected(path.is_dir(), mode) {
            found.push(format!("{} {mode:o}", path.display()));
        }
        if path.is_dir() {
            found.extend(other_modes(&path, expected));
        }
    }
    found
}

#[test]
fn a_commit_in_a_shared_repository_shuts_nobody_out() {
    let sandbox = Sandbox::with_hello();
    let shared = "umask 022; git config core.sharedRepository group && git checkout -q -b team/a && git pack-refs --all \
        && rm -rf .git/logs/refs && find .git -type d -exec chmod g+rwxs {} + && find .git -type f ! -path '*/objects/*' -exec chmod g+w {} +";
    sandbox.run("sh", &["-c", shared]).cwd(sandbox.hello("")).success();
    let (token, program) =
        (sandbox.path("token").display().to_string(), env!("CARGO_BIN_EXE_makeinfra"));
    let rotate =
        "umask 077; exec \"$0\" rotate --no-input --commit --token-username u --token-file \"$1\"";
    fs::write(&token, "gldt-Second").unwrap();
    sandbox.run("sh", &["-c", rotate, program, &token]).cwd(sandbox.hello("")).success();
    let git = |dir: &str| sandbox.hello(&format!(".git/{dir}"));
    assert!(git("refs/heads/team/a").exists() && git("logs/refs/heads/team/a").exists());
    let is_shared = |is_dir: bool, mode: u32| {
        if is_dir { mode & 0o2070 == 0o2070 } else { mode & 0o060 == 0o060 }
    };
    for dir in ["refs", "logs"] {
        assert_eq!(other_modes(&git(dir), &is_shared), Vec::<String>::new());
    }
    let is_open = |is_dir: bool, mode: u32| {
        if is_dir { mode & 0o2070 == 0o2070 } else { mode & 0o040 == 0o040 }
    };
    assert_eq!(other_modes(&git("objects"), &is_open), Vec::<String>::new());
    let index = git("index").metadata().unwrap().permissions().mode();
    assert_eq!(index & 0o060, 0o060, "what is replaced keeps its mode: {index:o}");
}
