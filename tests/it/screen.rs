//! The screen of an 80x24 terminal, and the effect of pastes: the program on a pseudo-terminal with
//! a terminal emulator.

use super::support::*;
use rexpect::process::PtyProcess;
use rexpect::process::wait::WaitStatus;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};
use vt100::Parser;

const PASTE: [&str; 2] = ["\u{1b}[200~", "\u{1b}[201~"];

/// An 80x24 terminal in which the program runs.
pub struct Screen {
    process: PtyProcess,
    keyboard: File,
    shown: Arc<Mutex<Parser>>,
}

impl Screen {
    pub fn run(sandbox: &Sandbox, args: &[&str]) -> Self {
        Self::run_in(sandbox, "stty sane rows 24 cols 80; exec \"$0\" \"$@\"", args)
    }

    /// Runs the program through a shell script.
    fn run_in(sandbox: &Sandbox, script: &str, args: &[&str]) -> Self {
        Self::run_sized(sandbox, (24, 80), script, args)
    }

    /// Like [`Screen::run_in`], on a terminal of another size, which `script` sets.
    fn run_sized(
        sandbox: &Sandbox,
        (rows, columns): (u16, u16),
        script: &str,
        args: &[&str],
    ) -> Self {
        let shell = ["-c", script, env!("CARGO_BIN_EXE_makeinfra")];
        let mut command =
            sandbox.run("sh", &[&shell[..], args].concat()).env("TERM", "xterm").command();
        command.stdin(Stdio::inherit());
        let process = PtyProcess::new(command).unwrap();
        let mut output = process.get_file_handle().unwrap();
        let shown = Arc::new(Mutex::new(Parser::new(rows, columns, 0)));
        let screen = Self {
            keyboard: process.get_file_handle().unwrap(),
            process,
            shown: Arc::clone(&shown),
        };
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..length]);
            }
        });
        screen
    }

    /// The current lines.
    pub fn text(&self) -> String {
        self.shown.lock().unwrap().screen().contents()
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    fn shows(&mut self, text: &str) -> &mut Self {
        self.waits(text, |screen| screen.contains(text))
    }

    #[track_caller]
    pub fn waits(&mut self, what: &str, is_there: impl Fn(&str) -> bool) -> &mut Self {
        let begun = Instant::now();
        while !is_there(&self.text()) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "no `{what}` on the screen:\n{}",
                self.text()
            );
            sleep(Duration::from_millis(5));
        }
        self
    }

    fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits for a question at the end of the screen, and answers it.
    #[track_caller]
    fn answers(&mut self, question: &str, answer: &str) -> &mut Self {
        let asked = format!("? {question}");
        self.waits(question, |screen| screen.contains(&asked)).types(answer).types("\r")
    }

    /// Whether the process is still running.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.status(), Some(WaitStatus::StillAlive) | None)
    }

    /// Waits for the end, and returns how the process ended.
    fn ends(&mut self) -> String {
        let begun = Instant::now();
        loop {
            match self.process.status() {
                Some(WaitStatus::StillAlive) | None => {}
                Some(status) => {
                    // The last output is still on its way.
                    sleep(Duration::from_millis(50));
                    return format!("{status:?}");
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not end:\n{}", self.text());
            sleep(Duration::from_millis(5));
        }
    }

    fn takes_pastes_in_brackets(&self) -> bool {
        self.shown.lock().unwrap().screen().bracketed_paste()
    }
}

const NEW: [&str; 6] = ["new", "hello", "--image", IMAGE, "--token-username", USER];

fn wrote_nothing(sandbox: &Sandbox) {
    assert_eq!(fs::read_dir(sandbox.path("work")).unwrap().count(), 0);
}

#[test]
fn what_was_typed_before_a_confirmation_does_not_answer_it() {
    for pasted in [
        // As pasted by terminals without bracketed paste.
        format!("{TOKEN}\r\r"),
        format!("{TOKEN}\n\n\n"),
        format!("{TOKEN}\ry"),
        format!("{TOKEN}\r\n\r\n"),
    ] {
        let sandbox = Sandbox::new();
        let args = [&NEW[..], &["--expires-at", "2999-12-31"]].concat();
        let mut screen = Screen::run(&sandbox, &args);
        screen.shows("? Deploy token").types(&pasted);
        if pasted.ends_with('y') {
            // Several lines arrived, and it is unclear which one is the token.
            screen.shows("must be one line").types(TOKEN).types("\r");
        }
        screen.shows("? Create it?");
        sleep(Duration::from_millis(300));
        assert!(screen.text().contains("? Create it?"), "{}", screen.text());
        wrote_nothing(&sandbox);
        screen.types("y");
        assert!(screen.ends().contains("Exited"), "{}", screen.text());
        assert!(sandbox.hello(SECRET).exists(), "{}", screen.text());
    }
}

#[test]
fn keys_typed_far_ahead_confirm_nothing() {
    let sandbox = Sandbox::with_hello();
    let before = fs::read_to_string(sandbox.hello("kubernetes/base/kustomization.yaml")).unwrap();
    let script = "stty sane rows 24 cols 80; sleep 0.3; exec \"$0\" \"$@\"";
    let mut screen =
        Screen::run_in(&sandbox, script, &["add", "worker", "hello-infra", "--port", "none"]);
    // Before the program runs, and while it works.
    screen.types("y\ry\ry\r");
    screen.shows("? Go on?");
    sleep(Duration::from_millis(300));
    assert!(screen.text().contains("? Go on?"), "{}", screen.text());
    assert_eq!(
        fs::read_to_string(sandbox.hello("kubernetes/base/kustomization.yaml")).unwrap(),
        before
    );
    // A paste is not an answer, either.
    screen.types(&format!("{}y\r{}", PASTE[0], PASTE[1]));
    sleep(Duration::from_millis(200));
    assert!(screen.text().contains("? Go on?"), "{}", screen.text());
    screen.types("n").shows("declined");
    assert!(screen.ends().contains(", 1)"));
}

#[test]
fn a_paste_in_brackets_is_one_value() {
    let sandbox = Sandbox::new();
    let args = [&NEW[..], &["--expires-at", "never"]].concat();
    let mut screen = Screen::run(&sandbox, &args);
    screen.shows("? Deploy token");
    assert!(screen.takes_pastes_in_brackets());
    // With a line break that was copied along; Enter is typed.
    screen.types(&format!("{}{TOKEN}\r{}", PASTE[0], PASTE[1])).shows("•••");
    sleep(Duration::from_millis(100));
    assert!(screen.text().contains("? Deploy token"), "{}", screen.text());
    screen.types("\r").shows("? Create it?").types("\r");
    assert!(screen.ends().contains(", 0)"), "{}", screen.text());
    assert!(!screen.takes_pastes_in_brackets());
    let secret = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
    assert!(needles(TOKEN).iter().any(|needle| secret.contains(needle)), "{secret}");

    // A private key has many lines, all part of its value.
    let key = format!("-----BEGIN KEY-----\n{TOKEN}\n-----END KEY-----");
    let mut screen = Screen::run(&sandbox, &["secret", "set", "tls", "KEY", "hello-infra"]);
    screen.shows("? Value of KEY").types(&format!(
        "{}{}\r{}",
        PASTE[0],
        key.replace('\n', "\r"),
        PASTE[1]
    ));
    screen.shows("•••").types("\r");
    assert!(screen.ends().contains(", 0)"), "{}", screen.text());
    let files = files_below(&sandbox.hello("secrets/kubernetes"));
    let read =
        |path: &String| fs::read_to_string(sandbox.hello("secrets/kubernetes").join(path)).unwrap();
    assert!(files.iter().any(|path| read(path).contains(&key)), "{files:?}");

    // A prompt for one line takes one line.
    let sandbox = Sandbox::new();
    let mut screen = Screen::run(&sandbox, &["new", "--no-token"]);
    screen
        .shows("? Project")
        .types(&format!("{}hello\rworld{}", PASTE[0], PASTE[1]))
        .shows("must be one line");
    screen.types(&format!("{}hello\r{}", PASTE[0], PASTE[1])).shows("> hello").types("\u{3}");
    screen.ends();
    wrote_nothing(&sandbox);
}

#[test]
fn the_terminal_is_as_before_after_ctrl_c_and_signals() {
    let script =
        "stty sane rows 24 cols 80; stty -a >before; \"$0\" \"$@\"; stty -a >after; echo ended";
    for keys in ["\u{3}", "\u{4}"] {
        let sandbox = Sandbox::new();
        let mut screen = Screen::run_in(&sandbox, script, &NEW);
        screen.shows("? Deploy token").types("half of it").types(keys).shows("ended");
        assert!(!screen.takes_pastes_in_brackets());
        let read = |name| fs::read_to_string(sandbox.work(name)).unwrap();
        assert_eq!(read("before"), read("after"));
    }
}

#[test]
fn a_rule_of_several_lines_stays_in_its_place() {
    let sandbox = Sandbox::new();
    let mut screen = Screen::run(&sandbox, &["new", "--no-token"]);
    screen.answers("Project", "hello").shows("? Container image");
    let image = "registry.gitlab.com/a-group-with-a-long-name/and-a-subgroup/with-more-letters/than-a-line-of-80-has";
    for letter in image.chars() {
        screen.types(&letter.to_string());
        sleep(Duration::from_millis(2));
    }
    screen.shows("than-a-line-of-80-has").shows("must have a tag");
    let text = screen.text();
    // The earlier content is still there once, without anything new.
    assert_eq!(text.matches("Project").count(), 1, "{text}");
    assert_eq!(text.matches("Container image").count(), 1, "{text}");
    assert_eq!(text.matches("must have a tag").count(), 1, "{text}");
    assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
    screen.types("\u{3}");
    screen.ends();
}

#[test]
fn the_wizard_fits_on_the_screen_and_leads_back() {
    let sandbox = Sandbox::new();
    let mut screen = Screen::run(&sandbox, &["new"]);
    screen.answers("Project name (", "helo").shows("? Container image");
    // Back to a typo, which is still there.
    screen
        .types("\u{1b}")
        .waits("the first question", |text| text.contains("? Project") && text.contains("> helo"));
    screen.types("hello\r").answers("Container image", IMAGE);
    screen.answers("Environments", "staging production").shows("? Are these answers correct?");
    let text = screen.text();
    assert!(text.contains("namespace of staging: hello-staging"), "{text}");
    assert!(text.contains("context of production: the current context"), "{text}");
    screen
        .types("\r")
        .answers("User name of the deploy token", USER)
        .answers("Deploy token", TOKEN);
    screen.answers("Expiry date of the token", "2999-12-31").shows("? Create it?");
    let text = screen.text();
    for fact in [
        &format!("image        {IMAGE}"),
        "staging      hello-staging in the current context",
        "production   hello-production in the current context",
        &format!("user name    {USER} at registry.gitlab.com"),
        "expires      2999-12-31",
    ] {
        assert!(text.contains(fact), "no `{fact}`:\n{text}");
    }
    assert!(!text.contains(" kB") && !text.contains(" B\n"), "{text}");
    // Answering no leads to one answer rather than through all questions again.
    screen
        .types("n")
        .shows("? What do you want to change?")
        .types("r")
        .types("\u{1b}[B")
        .types("\u{1b}[A")
        .types("\r");
    screen
        .answers("Registry key in the pull secret", "registry.gitlab.com/group")
        .shows("? Create it?");
    let text = screen.text();
    assert!(text.contains("at registry.gitlab.com/group"), "{text}");
    screen.types("y");
    assert!(screen.ends().contains(", 0)"), "{}", screen.text());
    assert!(sandbox.hello("kubernetes/overlays/staging").exists());
    let record = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    assert!(record.contains("registry: registry.gitlab.com/group"), "{record}");
}

#[test]
fn a_plan_is_shown_as_a_diff_if_asked_for() {
    let sandbox = Sandbox::with_hello();
    let mut screen = Screen::run(&sandbox, &["env", "add", "staging", "hello-infra"]);
    screen.shows("? Go on?").types("d").waits("the diff", |text| text.contains("+++"));
    screen.shows("? Go on?").types("y");
    assert!(screen.ends().contains(", 0)"), "{}", screen.text());
    assert!(sandbox.hello("kubernetes/overlays/staging").exists());
}

#[test]
fn a_rotation_at_the_prompt_asks_for_the_expiry() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--expires-at", "2999-01-01"]).success();
    let mut screen = Screen::run(&sandbox, &["rotate", "hello-infra"]);
    screen
        .answers("User name of the deploy token", "gitlab+deploy-token-2")
        .answers("Deploy token", "gldt-two");
    screen.shows("? Expiry date of the token").types("tomorrow").shows("must be a date");
    screen.types("\u{15}").types("2999-06-30\r");
    assert!(screen.ends().contains(", 0)"), "{}", screen.text());
    assert!(fs::read_to_string(sandbox.hello(SECRET)).unwrap().contains("2999-06-30"));
    // A user who does not know the expiry is told the consequence.
    let output = sandbox.rotate_as_given("gldt-three", &[]).success();
    output.says("2999-06-30").says("--expires-at DATE");
    assert!(!fs::read_to_string(sandbox.hello(SECRET)).unwrap().contains("2999-06-30"));
    sandbox.rotate("gldt-four", &["--expires-at", "never"]).success();
    assert!(fs::read_to_string(sandbox.hello(SECRET)).unwrap().contains("never"));
}

#[test]
fn a_token_of_a_new_environment_is_asked_for_with_its_expiry() {
    let sandbox = Sandbox::with_hello();
    let args =
        ["env", "add", "staging", "hello-infra", "--token-username", "gitlab+deploy-token-2"];
    let mut screen = Screen::run(&sandbox, &args);
    screen.answers("Deploy token", "gldt-two");
    screen.shows("? Expiry date of the token").types("2999-06-30\r");
    screen.shows("? Go on?").types("y");
    assert!(screen.ends().contains(", 0)"), "{}", screen.text());
    let secret =
        fs::read_to_string(sandbox.hello("secrets/kubernetes/staging/gitlab.secret.yaml")).unwrap();
    assert!(secret.contains("2999-06-30"), "{}", screen.text());
}

#[test]
fn what_is_committed_while_conflicts_are_shown_stays() {
    let sandbox = super::update::with_conflict();
    let mut screen = Screen::run(&sandbox, &["update", "hello-infra"]);
    screen.shows("? Go on?");
    sandbox.append("Makefile", "# ours\n");
    sandbox.git(&["commit", "-qam", "Ours"]).success();
    screen.types("y");
    assert!(screen.ends().contains(", 1)"), "{}", screen.text());
    assert!(screen.text().contains("changed during the run"), "{}", screen.text());
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn what_ends_a_prompt_is_said_on_a_line_of_its_own() {
    let inner = "sh -c 'echo $$ >pid; exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    let script =
        format!("stty sane rows 24 cols 80; stty -a >before; {inner}; stty -a >after; echo ended");
    let confirmed = ["env", "add", "staging", "hello-infra"];
    for (args, asked) in [
        (&["new"][..], "Ctrl-C: quit"),
        (&["rotate", "hello-infra", "--token-username", USER], "? Deploy token"),
        (&["secret", "set", "db", "PASSWORD", "hello-infra"], "? Value of PASSWORD"),
        (&confirmed, "? Go on?"),
    ] {
        let sandbox = Sandbox::with_hello();
        // By key, and from another process.
        for end in ["\u{3}", "\u{4}", "INT", "TERM", "HUP", "QUIT"] {
            let mut screen = Screen::run_in(&sandbox, &script, args);
            screen.shows(asked).types("ab").shows("Ctrl-C: quit");
            sleep(Duration::from_millis(100));
            if end.len() > 1 {
                let pid = fs::read_to_string(sandbox.work("pid")).unwrap();
                sandbox.run("kill", &[&format!("-{end}"), pid.trim()]).success();
            } else {
                screen.types(end);
            }
            screen.shows("ended");
            let text = screen.text();
            assert!(
                text.contains("\nerror: interrupted; nothing was changed\n"),
                "{end:?}:\n{text}"
            );
            let modes = |name: &str| fs::read_to_string(sandbox.work(name)).unwrap();
            assert_eq!(modes("before"), modes("after"), "{args:?}: {end:?}");
            assert!(!screen.takes_pastes_in_brackets());
        }
    }
}

#[test]
fn the_wizard_can_be_used_on_a_terminal_of_any_size() {
    for (rows, columns) in [(5, 15), (2, 40), (3, 20), (24, 6), (1, 1)] {
        let sandbox = Sandbox::new();
        let script =
            format!("stty sane rows {rows} cols {columns}; \"$0\" \"$@\"; echo \"code $?\"");
        let args = ["new", "--image", IMAGE, "--token-username", USER, "--expires-at", "never"];
        let mut screen = Screen::run_sized(&sandbox, (rows, columns), &script, &args);
        // Typed text is visible if there is any room.
        for (at, typed) in ["hello", "", "", TOKEN].into_iter().enumerate() {
            sleep(Duration::from_millis(500));
            screen.types(typed);
            if at == 0 && columns >= 15 {
                screen.shows("> hello");
            }
            screen.types("\r");
        }
        sleep(Duration::from_secs(1));
        // Environments, answers, the plan.
        screen.types("\r");
        let begun = Instant::now();
        while !sandbox.hello(SECRET).exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{rows}x{columns}:\n{}",
                screen.text()
            );
            sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn several_repositories_are_counted_while_they_are_waited_for() {
    let sandbox = super::several::with_three();
    sandbox.write_program("kubectl", "#!/bin/sh\nexec sleep 60\n");
    let script =
        format!("stty sane rows 24 cols 80; PATH={} exec \"$0\" \"$@\"", sandbox.own_path());
    let mut screen = Screen::run_in(&sandbox, &script, &["check", "a", "b", "--running"]);
    screen.shows("reading repositories: 0 of 2");
    screen.types("\u{3}");
    assert!(screen.ends().contains("SIGINT"), "{}", screen.text());
    screen.shows("error: interrupted").shows("2 repositories were not started or not finished");
}

#[test]
fn several_repositories_are_asked_about_once() {
    let sandbox = super::several::with_three_older();
    let head =
        |name: &str| fs::read_to_string(sandbox.work(name).join(".git/refs/heads/master")).unwrap();
    let old = head("a");
    let args = ["update", "a", "b", "c", "--commit", "--failed-to", "failed"];
    let mut screen = Screen::run(&sandbox, &args);
    screen.shows("3 of 3 repositories will change").answers("Go on?", "n");
    assert!(screen.ends().contains("1)"), "{}", screen.text());
    assert_eq!(fs::read_to_string(sandbox.work("failed")).unwrap(), "a\nb\nc\n");
    assert_eq!(head("b"), old);
    let mut screen = Screen::run(&sandbox, &args);
    screen.answers("Go on?", "y").shows("3 repositories: 3 ok, 3 changed");
    screen.ends();
    assert_ne!(head("b"), old);
    let mut screen = Screen::run(&sandbox, &["rotate", "a", "b", "--token-username", USER]);
    screen.shows("for registry.gitlab.com").shows("? Deploy token").types(TOKEN).types("\r");
    screen.answers("Expiry date of the token", "never").shows("2 repositories: 2 ok");
    screen.ends();
}
