//! The interview on a real terminal.

use super::several::with_three;
use super::support::*;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

const ENTER: &str = "\r";
const BACK: &str = "\u{7f}";
const DOWN: &str = "\u{1b}[B";

/// A terminal in which a program runs, and everything that it has displayed.
pub struct Terminal {
    session: PtySession,
    shown: String,
}

impl Terminal {
    /// Runs the program with `args` on a terminal with echo.
    pub fn run(sandbox: &Sandbox, args: &[&str]) -> Self {
        Self::run_in(sandbox, "stty sane cols 120; exec \"$0\" \"$@\"", args)
    }

    /// Like [`Terminal::run`], through a shell script.
    pub fn run_in(sandbox: &Sandbox, script: &str, args: &[&str]) -> Self {
        let shell = ["-c", script, env!("CARGO_BIN_EXE_makeinfra")];
        let mut command =
            sandbox.run("sh", &[&shell[..], args].concat()).env("TERM", "xterm").command();
        command.stdin(Stdio::inherit());
        let options = Options::new().timeout_ms(Some(10_000)).strip_ansi_escape_codes(true);
        Self { session: spawn_with_options(command, options).unwrap(), shown: String::new() }
    }

    /// Waits for `text`.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> &mut Self {
        match self.session.exp_string(text) {
            Ok(before) => self.shown.push_str(&before),
            Err(error) => panic!("no `{text}` on the terminal: {error}"),
        }
        self.shown.push_str(text);
        self
    }

    /// Chooses an answer to change from the list, by the first letter of its name.
    #[track_caller]
    fn picks(&mut self, letters: &str) -> &mut Self {
        self.shows("What do you want to change?").types(letters).types(ENTER)
    }

    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.session.send(keys).unwrap();
        self.session.flush().unwrap();
        self
    }

    /// Waits for a question and answers it.
    #[track_caller]
    pub fn answers(&mut self, question: &str, answer: &str) -> &mut Self {
        self.shows(question).types(answer).types(ENTER)
    }

    /// Waits for the end, and returns the exit code and everything displayed.
    #[track_caller]
    pub fn ends(&mut self) -> (i32, String) {
        self.shown.push_str(&self.session.exp_eof().unwrap());
        let status = format!("{:?}", self.session.process().wait().unwrap());
        // Exited(Pid(1), 0) or Signaled(Pid(1), SIGINT, false), converted to a shell's exit code.
        let code = match status.strip_prefix("Exited(") {
            Some(exited) => {
                exited.trim_end_matches(')').rsplit(' ').next().unwrap().parse().unwrap()
            }
            None if status.contains("SIGINT") => 130,
            None => panic!("{status}"),
        };
        (code, self.shown.clone())
    }
}

fn wrote_nothing(sandbox: &Sandbox) {
    assert_eq!(fs::read_dir(sandbox.path("work")).unwrap().count(), 0);
}

#[test]
fn asks_for_everything_when_nothing_is_given() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::run(&sandbox, &["new"]);
    terminal.answers("Project", "hello");
    // The example is not a default.
    terminal.answers("such as registry.gitlab.com/GROUP/hello:1.0.0", "").shows("is required");
    terminal.types(IMAGE).types(ENTER);
    terminal.answers("Environments", "");
    terminal.answers("Are these answers correct?", "");
    terminal.answers("User name of the deploy token", USER);
    // Slowly, like a paste over a slow connection.
    terminal.shows("Deploy token");
    for letter in TOKEN.chars() {
        terminal.types(&letter.to_string());
        sleep(Duration::from_micros(300));
    }
    terminal.types(ENTER);
    terminal.answers("Expiry date of the token", "2999-12-31");
    terminal.shows("Plan for hello-infra").shows("gitlab.secret.yaml");
    terminal.answers("Create it?", "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    let (_, hidden) = shown.split_once("Deploy token").unwrap();
    let (hidden, _) = hidden.split_once("Expiry date of").unwrap();
    let letters = hidden
        .replace("Deploy token", "")
        .replace("Enter: continue", "")
        .replace("Ctrl-C: quit", "")
        .replace(|c: char| !c.is_ascii_alphanumeric(), "");
    assert_eq!(letters, "", "a part of the token was shown");
    let secret = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
    assert!(needles(TOKEN).iter().any(|needle| secret.contains(needle)));
}

#[test]
fn the_value_of_a_further_secret_is_asked_for_once_and_not_shown() {
    let sandbox = Sandbox::with_hello();
    let mut terminal = Terminal::run(&sandbox, &["secret", "set", "db", "PASSWORD", "hello-infra"]);
    terminal.answers("Value of PASSWORD in Secret db", TOKEN);
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert_no_token(shown.as_bytes(), "the terminal");
    let secret = fs::read_to_string(sandbox.hello("secrets/kubernetes/db.env")).unwrap();
    assert!(needles(TOKEN).iter().any(|needle| secret.contains(needle)));
    let mut terminal = Terminal::run(&sandbox, &["secret", "set", "db", "PASSWORD", "hello-infra"]);
    terminal.shows("Value of PASSWORD in Secret db").types("\u{3}");
    assert_eq!(terminal.ends().0, 130);
    assert_eq!(fs::read_to_string(sandbox.hello("secrets/kubernetes/db.env")).unwrap(), secret);
}

#[test]
fn what_is_typed_is_checked_at_once() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::run(&sandbox, &["new", "--no-token"]);
    terminal.shows("Project").types("Hello").shows("must consist of at most");
    terminal.types(&BACK.repeat(5)).types("hello\r");
    terminal.shows("Container image").types("hello").shows("must have a tag");
    terminal.types(":1\r").answers("Environments", "Staging").shows("must consist of");
    terminal
        .types(&BACK.repeat(7))
        .types(ENTER)
        .shows("Are these answers correct?")
        .types(&format!("{DOWN}{ENTER}"));
    // A key that the kubelet would not match to the image is refused.
    terminal
        .picks("r")
        .shows("Registry key")
        .types("registry.gitlab.com")
        .shows("must match the image");
    terminal.types("\u{3}");
    assert_eq!(terminal.ends().0, 130);
    wrote_nothing(&sandbox);
}

#[test]
fn a_token_is_checked_before_it_is_taken() {
    let sandbox = Sandbox::new();
    let args = ["new", "hello", "--image", IMAGE, "--token-username", USER];
    let mut terminal = Terminal::run(&sandbox, &args);
    terminal.shows("Deploy token").types(" two\r").shows("must not begin or end");
    terminal
        .types(&BACK.repeat(4))
        .types(TOKEN)
        .types(ENTER)
        .answers("Expiry date of the token", "never");
    terminal.answers("Create it?", "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert_no_token(shown.as_bytes(), "the terminal");
    // Given answers are not asked for.
    assert!(
        !shown.contains("Project name (")
            && !shown.contains("User name of")
            && !shown.contains("Are these"),
        "{shown}"
    );
    assert!(sandbox.hello(SECRET).exists());
}

#[test]
fn where_nobody_can_tell_whether_a_token_is_good_the_user_decides() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let image = format!("{free}/group/hello:1.0.0");
    for (key, expected) in [("n", 3), (ENTER, 3), ("y", 0)] {
        let sandbox = Sandbox::new();
        let token = sandbox.path("token").display().to_string();
        let mut args = vec!["new", "hello", "--image", &image, "--token-username", USER];
        args.extend(["--token-file", &token, "--check"]);
        let mut terminal = Terminal::run(&sandbox, &args);
        terminal.shows("refuses connections").shows("Continue?").types(key);
        let (code, shown) = terminal.ends();
        assert_eq!(code, expected, "{shown}");
        assert_no_token(shown.as_bytes(), "the terminal");
        match code {
            0 => assert!(sandbox.hello(SECRET).exists()),
            _ => wrote_nothing(&sandbox),
        }
    }
}

#[test]
fn a_no_to_the_plan_leaves_nothing() {
    let sandbox = Sandbox::new();
    let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--export-key", "key"];
    let mut terminal = Terminal::run(&sandbox, &args);
    terminal
        .answers("Deploy token", TOKEN)
        .answers("Expiry date of the token", "")
        .shows("Create it?")
        .types("n");
    terminal.shows("What do you want to change?").shows("write nothing").types(ENTER);
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("nothing was written"), "{shown}");
    wrote_nothing(&sandbox);
}

#[test]
fn every_question_can_be_asked_one_by_one() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.work("below")).unwrap();
    let mut terminal = Terminal::run(&sandbox, &["new", "--no-token"]);
    terminal
        .answers("Project", "hello")
        .answers("Container image", IMAGE)
        .answers("Environments", "");
    terminal.shows("Are these answers correct?").types(&format!("{DOWN}{ENTER}"));
    for (letters, question, answer) in [
        ("r", "Registry key", "registry.gitlab.com/group"),
        ("n", "Namespace", "shop"),
        ("c", "kubectl context", "kind-kind"),
        ("w", "Kind of workload", ""),
        ("p", "Port", "9000"),
        ("rr", "Pods", "3"),
        ("i", "Ingress host name", "hello.example.com"),
        ("t", "TLS", DOWN),
        ("h", "Path for HTTP probes", "/healthz"),
        ("pp", "Pod Security Standard", DOWN),
        ("s", "Pull secret name", "pull"),
        ("ss", "Pull secret type", DOWN),
        ("ee", "Email", ""),
        ("cc", "CI", DOWN),
        ("o", "Parent directory", "below"),
    ] {
        terminal.picks(letters).answers(question, answer);
    }
    terminal.answers("What do you want to change?", "").answers("Create it?", "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    let record = fs::read_to_string(sandbox.work("below/hello-infra/.makeinfra.yaml")).unwrap();
    for line in [
        "registry: registry.gitlab.com/group",
        "namespace: shop",
        "context: kind-kind",
        "port: 9000",
        "replicas: 3",
        "ingress: hello.example.com",
        "tls: true",
        "health-path: /healthz",
        "pod-security: baseline",
        "secret-name: pull",
        "secret-type: dockerconfigjson",
        "ci: none",
    ] {
        assert!(record.contains(&format!("  {line}\n")), "no `{line}` in {record}");
    }
    assert!(!record.contains("email"), "{record}");
}

#[test]
fn what_a_cronjob_or_a_worker_does_not_have_is_not_asked() {
    let sandbox = Sandbox::new();
    let config = "port: 3000\nhealth-path: /up\ningress-domain: example.com\n";
    sandbox.write("home/.config/makeinfra/config.yaml", config);
    let one_by_one = format!("{DOWN}{ENTER}");
    let begin = |args: &[&str]| {
        let mut terminal = Terminal::run(&sandbox, &[&["new", "--no-token"], args].concat());
        terminal.answers("Project", "hello").answers("Container image", IMAGE);
        terminal
    };
    let mut terminal = begin(&[]);
    terminal.answers("Environments", "");
    terminal.shows("workload: deployment").shows("Are these answers correct?").types(&one_by_one);
    terminal.picks("w").answers("Kind of workload", DOWN);
    terminal.shows("Schedule").types("61 * * * *").shows("minutes (0 to 59)");
    terminal.types(&BACK.repeat(10)).types("0 3 * * *\r");
    terminal.shows("What do you want to change?").shows("pod-security").types("\u{3}");
    let (_, shown) = terminal.ends();
    let (_, after) = shown.split_once("Kind of workload").unwrap();
    for question in ["port ", "replicas", "ingress", "health-path"] {
        assert!(!after.contains(question), "{question}: {shown}");
    }

    // With the kind given as an option, only its schedule is asked for.
    let mut terminal = begin(&["--workload", "cronjob"]);
    terminal
        .answers("Schedule", "@daily")
        .answers("Environments", "")
        .answers("Are these answers correct?", "");
    terminal.answers("Create it?", "");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("runs         @daily"), "{shown}");
    fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();

    let mut terminal = begin(&["--replicas", "1"]);
    terminal.answers("Environments", "");
    terminal.shows("Are these answers correct?").types(&one_by_one);
    terminal.shows("What do you want to change?").shows("pod-security").types("\u{3}");
    let (_, shown) = terminal.ends();
    assert!(!shown.contains("workload") && !shown.contains("replicas"), "{shown}");
}

#[test]
fn ctrl_c_at_any_question_writes_nothing_and_leaves_the_terminal_as_it_was() {
    let questions = [
        "Project",
        "Container image",
        "Environments",
        "Are these answers correct?",
        "User name of",
        "Deploy token",
        "Expiry date of",
        "Create it?",
        "What do you want to change?",
    ];
    let image = format!("{IMAGE}\r");
    let answers = ["hello\r", &image, ENTER, ENTER, "user\r", "token\r", ENTER, "n"];
    for stop in 0..questions.len() {
        let sandbox = Sandbox::new();
        let shell = "stty sane cols 120; \"$0\" \"$@\"; echo code $?; stty -a; echo end";
        let mut terminal = Terminal::run_in(&sandbox, shell, &["new"]);
        for (question, answer) in questions.iter().zip(&answers).take(stop) {
            terminal.shows(question).types(answer);
        }
        terminal.shows(questions[stop]).types("\u{3}").shows("code ");
        let (_, shown) = terminal.ends();
        let after = shown.rsplit("code ").next().unwrap();
        assert!(after.starts_with("130"), "{after}");
        for mode in [" echo ", " icanon ", " isig "] {
            assert!(after.replace(['\r', '\n', ';'], " ").contains(mode), "no{mode}in {after}");
        }
        wrote_nothing(&sandbox);
    }
}

#[test]
fn everything_given_is_not_asked_for() {
    let sandbox = Sandbox::new();
    let token = sandbox.path("token").display().to_string();
    let args = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", &token];
    let (code, shown) = Terminal::run(&sandbox, &args).ends();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains('?') && shown.contains("make deploy"), "{shown}");
    assert_no_token(shown.as_bytes(), "the terminal");
}

#[test]
fn no_input_asks_nothing_even_on_a_terminal() {
    let sandbox = Sandbox::new();
    let (code, shown) = Terminal::run(&sandbox, &["new", "--no-input"]).ends();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("PROJECT, --image, --token-username"), "{shown}");
    wrote_nothing(&sandbox);
}

#[test]
fn a_terminal_is_no_standard_input_for_a_token() {
    for source in [&["--token-username", USER, "--token-stdin"][..], &["--token-json", "-"]] {
        let sandbox = Sandbox::new();
        let args = [&["new", "hello", "--image", IMAGE][..], source].concat();
        let (code, shown) = Terminal::run(&sandbox, &args).ends();
        assert_eq!(code, 2, "{shown}");
        assert!(shown.contains("would show the token"), "{shown}");
        wrote_nothing(&sandbox);
    }
}

#[test]
fn a_signal_at_a_prompt_leaves_a_terminal_that_can_be_used() {
    for (signal, code) in [("TERM", "143"), ("HUP", "129")] {
        let sandbox = Sandbox::new();
        let script = "stty sane cols 120; \"$0\" \"$@\"; echo code $?; stty -a; echo end";
        let args = ["new", "hello", "--image", IMAGE, "--token-username", USER];
        let mut terminal = Terminal::run_in(&sandbox, script, &args);
        terminal.shows("Deploy token");
        sleep(Duration::from_millis(100));
        let dir = sandbox.path("work").display().to_string();
        let kill = format!(
            "for p in /proc/[0-9]*; do [ \"$(readlink $p/cwd)\" = '{dir}' ] && [ \"$(readlink $p/exe)\" = '{}' ] && kill -{signal} ${{p#/proc/}}; done; :",
            env!("CARGO_BIN_EXE_makeinfra")
        );
        sandbox.run("sh", &["-c", &kill]).cwd("/").success();
        let (_, shown) = terminal.ends();
        let after = shown.rsplit("code ").next().unwrap();
        assert!(after.starts_with(code), "{signal}: {shown}");
        for mode in [" echo ", " icanon ", " isig "] {
            assert!(after.replace(['\r', '\n', ';'], " ").contains(mode), "no{mode}in {after}");
        }
        wrote_nothing(&sandbox);
    }
}

#[test]
fn a_plan_is_agreed_to_or_declined() {
    let sandbox = Sandbox::with_hello();
    let before = sandbox.tree();
    let args = ["env", "add", "staging", "hello-infra", "--diff"];
    let mut terminal = Terminal::run(&sandbox, &args);
    terminal
        .shows("New environment staging")
        .shows("+namespace: hello-staging")
        .shows("Go on?")
        .types("n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("declined; nothing was written"), "{shown}");
    assert_eq!(sandbox.tree(), before);
    let mut terminal = Terminal::run(&sandbox, &args);
    let (code, shown) = terminal.answers("Go on?", "").ends();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("Add environment staging: done."), "{shown}");
    // Changes by others during the question are not overwritten.
    let mut terminal = Terminal::run(&sandbox, &["add", "worker", "hello-infra", "--port", "none"]);
    terminal.shows("Go on?");
    sandbox.append("kubernetes/base/kustomization.yaml", "# mine\n");
    let (code, shown) = terminal.types(ENTER).ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("files were changed during the run; nothing was written"), "{shown}");
    assert!(!sandbox.hello("kubernetes/base/worker-deployment.yaml").exists());
}

#[test]
fn a_no_to_an_adoption_leaves_the_files_and_git_as_they_were() {
    let sandbox = Sandbox::of_kustomize();
    let config = fs::read(sandbox.hello(".git/config")).unwrap();
    let before = sandbox.tree();
    let mut terminal = Terminal::run(&sandbox, &["adopt", "hello-infra"]);
    terminal.shows("Go on?").types("n");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("declined; nothing was written"), "{shown}");
    assert_eq!(sandbox.tree(), before);
    assert_eq!(fs::read(sandbox.hello(".git/config")).unwrap(), config);
    assert!(!sandbox.hello(".git/git-crypt").exists());
}

#[test]
fn what_changes_in_one_of_several_while_a_token_is_asked_for_is_looked_at_again() {
    let sandbox = with_three();
    let secret = |name: &str| fs::read(sandbox.work(name).join(SECRET)).unwrap();
    let before = secret("a");
    let args = ["rotate", "a", "b", "c", "--token-username", USER, "--expires-at", "never"];
    let mut terminal = Terminal::run(&sandbox, &args);
    terminal.shows("Deploy token");
    // In one, git would no longer encrypt; in the other, somebody was faster.
    fs::write(sandbox.work("a/.gitattributes"), "").unwrap();
    let token = sandbox.write_private("token2", "gldt-Faster").display().to_string();
    let faster = [
        "rotate",
        "b",
        "--token-username",
        "other",
        "--token-file",
        &token,
        "--expires-at",
        "never",
    ];
    sandbox.makeinfra(&faster).success();
    let (code, shown) = terminal.types("gldt-Second\r").ends();
    assert_eq!(code, 1, "{shown}");
    assert!(
        shown.contains("failed   a: ") && shown.contains("would be committed in plaintext"),
        "{shown}"
    );
    assert!(shown.contains("3 repositories: 2 ok, 2 changed, 1 failed"), "{shown}");
    assert_eq!(secret("a"), before);
    let entry = |name: &str| {
        let text = String::from_utf8(secret(name)).unwrap();
        text.lines().find(|line| line.starts_with("  .docker")).unwrap().to_owned()
    };
    assert_eq!(entry("b"), entry("c"));
}
