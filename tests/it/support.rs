//! The environment in which tests run the program: own HOME, no git configuration, none of the
//! user's variables.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};
use tempfile::TempDir;

/// The token of all tests. It must only ever appear in the plaintext Secret file.
pub const TOKEN: &str = "gldt-Marker_7Qx9vWk2";
/// Its user name, which is not secret.
pub const USER: &str = "gitlab+deploy-token-1";
/// The image of all tests.
pub const IMAGE: &str = "registry.gitlab.com/group/hello:1.0.0";
/// The path of the pull secret.
pub const SECRET: &str = "secrets/kubernetes/gitlab.secret.yaml";

/// A temporary directory for one test.
pub struct Sandbox {
    dir: TempDir,
}

/// An expiry option, unless `args` have one: most tests do not care.
fn expiry(args: &[&str]) -> &'static [&'static str] {
    if args.iter().any(|arg| arg.starts_with("--expires-at")) {
        &[]
    } else {
        &["--expires-at", "never"]
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self::at(tempfile::tempdir())
    }

    /// A sandbox in memory if the system supports it, for tests with very many files.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::at(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() })
    }

    fn at(dir: std::io::Result<TempDir>) -> Self {
        let sandbox = Self { dir: dir.unwrap() };
        fs::create_dir(sandbox.path("home")).unwrap();
        fs::create_dir(sandbox.path("work")).unwrap();
        sandbox.write_private("token", TOKEN);
        sandbox
    }

    /// A sandbox with a generated `hello-infra`.
    pub fn with_hello() -> Self {
        let sandbox = Self::new();
        sandbox.new_hello(&[]).success();
        sandbox
    }

    /// A path in the sandbox; commands run in its directory `work`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn work(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    /// A path in the generated repository.
    pub fn hello(&self, name: &str) -> PathBuf {
        self.work("hello-infra").join(name)
    }

    /// Replaces the first `from` in a file of the generated repository.
    #[track_caller]
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.hello(path)).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        fs::write(self.hello(path), text.replacen(from, to, 1)).unwrap();
    }

    /// Appends to a file of the generated repository.
    pub fn append(&self, path: &str, text: &str) {
        let old = fs::read_to_string(self.hello(path)).unwrap();
        fs::write(self.hello(path), old + text).unwrap();
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A file that only its owner can read.
    pub fn write_private(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        file.write_all(text.as_ref()).unwrap();
        path
    }

    /// A program in a directory of its own, to be put on PATH before the real ones: `env("PATH",
    /// sandbox.path_with(...))`.
    pub fn write_program(&self, name: &str, script: &str) -> PathBuf {
        let (draft, path) =
            (self.write(&format!("bin/.{name}"), script), self.path(&format!("bin/{name}")));
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        // Written by another process: a file that this process, or a child just started by another
        // test, has open for writing cannot be executed (ETXTBSY).
        let copied =
            Command::new("cp").args(["-p", "--remove-destination"]).args([&draft, &path]).status();
        assert!(copied.unwrap().success());
        fs::remove_file(draft).unwrap();
        path
    }

    /// PATH with the sandbox's own programs first.
    pub fn own_path(&self) -> String {
        format!("{}:{}", self.path("bin").display(), path())
    }

    pub fn makeinfra(&self, args: &[&str]) -> Run {
        self.run(env!("CARGO_BIN_EXE_makeinfra"), args)
    }

    /// `makeinfra new hello` with an image, the test's token, and `args`. The token does not expire
    /// unless `args` say so.
    pub fn new_hello(&self, args: &[&str]) -> Run {
        let token = self.path("token").display().to_string();
        let base =
            ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", &token];
        self.makeinfra(&[&base[..], expiry(args), args].concat())
    }

    /// `makeinfra new hello` without a token.
    pub fn new_without_token(&self, args: &[&str]) -> Run {
        self.makeinfra(&[&["new", "hello", "--image", IMAGE, "--no-token"], args].concat())
    }

    /// `makeinfra rotate` in the generated repository, with the token `value`; its expiry is as in
    /// [`Sandbox::new_hello`].
    pub fn rotate(&self, value: &str, args: &[&str]) -> Run {
        self.rotate_as_given(value, &[expiry(args), args].concat())
    }

    /// Like [`Sandbox::rotate`], with an unknown expiry unless `args` have one.
    pub fn rotate_as_given(&self, value: &str, args: &[&str]) -> Run {
        let token = self.write_private("token2", value).display().to_string();
        let base = ["rotate", "--token-username", "gitlab+deploy-token-2", "--token-file", &token];
        self.makeinfra(&[&base[..], args].concat()).cwd(self.work("hello-infra"))
    }

    pub fn git(&self, args: &[&str]) -> Run {
        self.run("git", args).cwd(self.work("hello-infra"))
    }

    pub fn make(&self, args: &[&str]) -> Run {
        self.run("make", args).cwd(self.work("hello-infra"))
    }

    /// Any program, without the user's environment.
    pub fn run(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Run {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.path("work")).env_clear().stdin(Stdio::null());
        command
            .env("PATH", path())
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com")
            .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
            .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z");
        // Templates that count as released, if the test has any.
        let releases = self.path("releases");
        if releases.exists() {
            command.env("MAKEINFRA_TEST_RELEASES", releases);
        }
        command.env("MAKEINFRA_TEST_ADVICE", self.path("advice"));
        Run { command, stdin: None }
    }
}

/// A command to be run.
pub struct Run {
    command: Command,
    stdin: Option<Vec<u8>>,
}

impl Run {
    /// A command that was built elsewhere.
    pub fn of(command: Command) -> Self {
        Self { command, stdin: None }
    }

    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(text.as_ref().to_owned());
        self
    }

    /// The command itself, for tests that need the process.
    pub fn command(self) -> Command {
        self.command
    }

    pub fn output(mut self) -> Output {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.stdin.is_some() {
            self.command.stdin(Stdio::piped());
        }
        let mut child =
            self.command.spawn().unwrap_or_else(|error| panic!("{:?}: {error}", self.command));
        if let Some(text) = &self.stdin {
            // A program that does not read its input closes the pipe.
            let _ = child.stdin.take().unwrap().write_all(text);
        }
        let output = child.wait_with_output().unwrap();
        self.check_advice();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            bytes: output.stdout,
        }
    }

    /// Fails if a hint contains a command that no program accepts.
    fn check_advice(&self) {
        let mut variables = self.command.get_envs();
        let file = variables
            .find(|(name, _)| *name == "MAKEINFRA_TEST_ADVICE")
            .and_then(|(_, value)| value);
        if let Some((file, recorded)) =
            file.and_then(|file| Some((file, fs::read_to_string(file).ok()?)))
        {
            super::hints::check_recorded(&recorded);
            let _ = fs::remove_file(file);
        }
    }

    /// Runs the command under strace with the fault injection `fault`.
    pub fn traced(self, fault: &str) -> Output {
        let inner = self.command;
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", fault]);
        strace.arg(inner.get_program()).args(inner.get_args());
        strace.current_dir(inner.get_current_dir().unwrap()).env_clear().stdin(Stdio::null());
        strace.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // Recording hints must not be affected by the fault.
        Self::of(strace).without_env("MAKEINFRA_TEST_ADVICE").output()
    }

    #[track_caller]
    pub fn success(self) -> Output {
        let output = self.output();
        assert_eq!(output.code, Some(0), "stdout:\n{}\nstderr:\n{}", output.stdout, output.stderr);
        output
    }

    /// Expects exit code `code` and no trace of the token.
    #[track_caller]
    pub fn failure(self, code: i32) -> Output {
        let output = self.output();
        assert_eq!(
            output.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            output.stdout,
            output.stderr
        );
        assert_no_token(output.stdout.as_bytes(), "stdout");
        assert_no_token(output.stderr.as_bytes(), "stderr");
        output
    }
}

/// The output of a command.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub bytes: Vec<u8>,
}

impl Output {
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let object: serde_json::Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout));
        // Other programs print JSON, too.
        if object.get("changed").is_some() && object.get("warnings").is_some() {
            super::schema::is_as_published(&object);
        }
        object
    }

    /// Expects a text on standard output.
    #[track_caller]
    pub fn prints(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "no `{text}` in stdout:\n{}", self.stdout);
        self
    }

    /// Expects a text on standard error.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no `{text}` in stderr:\n{}", self.stderr);
        self
    }
}

/// Whether a program is available. A missing program fails in CI and prints a message elsewhere.
pub fn have(program: &str) -> bool {
    let found = env::split_paths(&path()).any(|dir| dir.join(program).is_file());
    assert!(found || env::var_os("CI").is_none(), "`{program}` is missing, and this is CI");
    if !found {
        eprintln!("SKIPPED: `{program}` is missing: `make tools` installs it");
    }
    found
}

/// The directory in which `make tools` and the test bed cache programs.
pub fn cache() -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let user = || env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let own = env::var_os("MAKEINFRA_CACHE").map(PathBuf::from);
    own.or_else(|| user().map(|cache| cache.join("makeinfra")))
}

/// A program that `make tools` fetches into the cache. A missing program fails in CI and prints a
/// message elsewhere.
pub fn cached(file: &str) -> Option<PathBuf> {
    let program = cache().map(|cache| cache.join(file)).filter(|path| path.is_file());
    assert!(
        program.is_some() || env::var_os("CI").is_none(),
        "`{file}` is missing, and this is CI"
    );
    if program.is_none() {
        eprintln!("SKIPPED: `{file}` is missing: `make tools` installs it");
    }
    program
}

/// Every available kubectl that works with the generated repository: those of the test bed.
pub fn kubectls() -> Vec<PathBuf> {
    cached_kubectl().into_iter().map(|programs| programs.join("kubectl")).collect()
}

/// A kubectl. A missing one fails in CI and prints a message elsewhere.
pub fn kubectl() -> Option<PathBuf> {
    let found = kubectls().into_iter().next();
    assert!(
        found.is_some() || env::var_os("CI").is_none(),
        "no kubectl of the test bed, and this is CI"
    );
    if found.is_none() {
        eprintln!("SKIPPED: the test bed's kubectl is missing: `make test-cluster` builds it");
    }
    found
}

/// The directory with the test bed's kubectl. Debian 12's is too old for the generated repository.
fn cached_kubectl() -> Option<PathBuf> {
    let programs = cache()?.join("cluster/programs");
    programs.join("kubectl").is_file().then_some(programs)
}

/// PATH with the test bed's kubectl first.
fn path() -> String {
    let path = env::var("PATH").unwrap();
    cached_kubectl().map_or(path.clone(), |programs| format!("{}:{path}", programs.display()))
}

/// Fails if `bytes` contain the token in plaintext, in base64 at any alignment, or in base64 of
/// base64, as in a pull secret.
#[track_caller]
pub fn assert_no_token(bytes: &[u8], place: &str) {
    for needle in needles(TOKEN) {
        let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!found, "the token is in {place}, as {needle}");
    }
}

/// All forms of `token`.
pub fn needles(token: &str) -> Vec<String> {
    let once: Vec<_> = base64_forms(token);
    let twice = once.iter().flat_map(|form| base64_forms(form)).collect::<Vec<_>>();
    [vec![token.to_owned()], once, twice].concat()
}

/// The base64 characters of `text` that do not depend on the surrounding text, for each of the
/// three alignments.
fn base64_forms(text: &str) -> Vec<String> {
    let form = |shift: usize| {
        let padded = [vec![0; shift], text.as_bytes().to_vec()].concat();
        let whole = STANDARD.encode(&padded);
        // Cuts off the characters that depend on a neighbour.
        let (start, end) = ([0, 2, 3][shift], padded.len() * 8 / 6);
        whole[start..end].to_owned()
    };
    (0..3).map(form).collect()
}

/// All objects of the repository in `dir`, reachable or not, concatenated.
pub fn all_objects(sandbox: &Sandbox, dir: &Path) -> Vec<u8> {
    sandbox
        .run("git", &["cat-file", "--batch-all-objects", "--batch", "--unordered"])
        .cwd(dir)
        .success()
        .bytes
}

/// Paths of all files below `dir`, relative to it and sorted, except for `.git`.
pub fn files_below(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, top: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() && !path.is_symlink() {
                true if path.ends_with(".git") => {}
                true => walk(&path, top, found),
                false => found.push(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

/// The permission bits of `path`.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_search_for_the_token_finds_it_in_a_pull_secret() {
    let auth = STANDARD.encode(format!("{USER}:{TOKEN}"));
    for text in [
        TOKEN.to_owned(),
        STANDARD.encode(format!("x{TOKEN}y")),
        STANDARD.encode(format!("xy{TOKEN}z")),
        STANDARD.encode(format!("{{\"registry\":{{\"auth\":\"{auth}\"}}}}")),
    ] {
        let found = needles(TOKEN).iter().any(|needle| text.contains(needle));
        assert!(found, "{text}");
    }
}
