//! What is on a terminal while the first of several repositories is still read: git's configuration
//! there includes a pipe, and whoever opens that waits until the test opens its other end.

use super::screen::Screen;
use super::several::{with_three, with_three_older};
use super::support::Sandbox;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// `O_NONBLOCK` of Linux: opening a pipe for writing fails while nobody reads it.
const NO_WAIT: i32 = 0o4000;

/// Expects that a command over three repositories shows how far it is whenever it has to wait for
/// the first one.
#[track_caller]
fn shows_progress(sandbox: &Sandbox, args: &[&str], first: &str) {
    let pipe = sandbox.work("a/.git/pipe");
    sandbox.run("mkfifo", &[&pipe.display().to_string()]).success();
    sandbox.run("git", &["config", "include.path", "pipe"]).cwd(sandbox.work("a")).success();
    let mut screen = Screen::run(sandbox, args);
    let (begun, mut seen) = (Instant::now(), Vec::new());
    while screen.is_alive() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end: {}", screen.text());
        let Ok(end) = OpenOptions::new().write(true).custom_flags(NO_WAIT).open(&pipe) else {
            sleep(Duration::from_millis(1));
            continue;
        };
        // It waited for this. What it shows, it has shown before, and the terminal is not quite as
        // fast.
        screen.waits("a progress", |text| text.contains(" of 3 …"));
        let text = screen.text();
        seen.extend(text.lines().last().map(str::to_owned));
        drop(end);
    }
    assert!(seen.first().is_some_and(|line| line.contains(first)), "{seen:?}");
}

#[test]
fn progress_is_shown_before_anything_is_read() {
    let sandbox = with_three();
    shows_progress(&sandbox, &["check", "a", "b", "c"], "checking: 0 of 3 …");
    let sandbox = with_three_older();
    let update = ["update", "a", "b", "c", "--dry-run"];
    shows_progress(&sandbox, &update, "reading repositories: 0 of 3 …");
}
