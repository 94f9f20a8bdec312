//! Runs programs; no other module does. Arguments never contain a secret, no environment variable
//! is set, and standard input is empty. Does not interpret what a program prints.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Size limit for the part of standard error that is kept.
const COMPLAINT: usize = 64 << 10;

/// How to run a program.
#[derive(Debug)]
pub struct Tool<'t> {
    /// The name or path; a relative path is resolved in `dir`.
    pub program: &'t str,
    /// The arguments.
    pub arguments: &'t [String],
    /// The working directory.
    pub dir: &'t Path,
    /// The maximum size of its output in bytes.
    pub limit: usize,
    /// The time limit.
    pub patience: Duration,
}

/// The output of a program that ended by itself.
pub struct ToolOutput {
    /// Whether it succeeded.
    pub success: bool,
    /// Standard output, which may be secret.
    pub stdout: Zeroizing<Vec<u8>>,
    /// Standard error as text, which may quote the program's input.
    pub stderr: String,
}

/// Why there is no output.
#[derive(Debug)]
pub enum ToolError {
    /// It could not be started.
    NotStarted(io::Error),
    /// It was killed because it took too long.
    TooLong,
    /// It was killed because it printed too much.
    TooMuch,
    /// Its output could not be read.
    Unread(io::Error),
}

impl Tool<'_> {
    /// Runs the program until it ends.
    pub fn run(&self) -> Result<ToolOutput, ToolError> {
        let mut command = Command::new(self.path());
        command.args(self.arguments).current_dir(self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Running(command.spawn().map_err(ToolError::NotStarted)?);
        let end = Instant::now() + self.patience;
        let stdout = read(child.0.stdout.take(), self.limit);
        let stderr = read(child.0.stderr.take(), COMPLAINT);
        let stdout = wait(&stdout, end)?;
        if stdout.len() > self.limit {
            return Err(ToolError::TooMuch);
        }
        let stderr = wait(&stderr, end)?;
        let success = child.wait(end)?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok(ToolOutput { success, stdout, stderr })
    }

    /// Resolves a relative path in the program's working directory, as a shell there would.
    fn path(&self) -> PathBuf {
        if self.program.contains('/') {
            self.dir.join(self.program)
        } else {
            PathBuf::from(self.program)
        }
    }
}

/// A program that is killed when this is dropped.
struct Running(Child);

impl Running {
    fn wait(&mut self, end: Instant) -> Result<bool, ToolError> {
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status.success()),
                Ok(None) if Instant::now() >= end => return Err(ToolError::TooLong),
                // It has closed its output, so it will end soon.
                Ok(None) => thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(ToolError::Unread(error)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either it has ended, or it cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Bytes = io::Result<Zeroizing<Vec<u8>>>;

/// Reads all of `stream`, or one byte more than `limit`, in a thread: both streams must be drained,
/// and the program's children may keep them open past the time limit.
fn read(stream: Option<impl Read + Send + 'static>, limit: usize) -> Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
        let read =
            stream.map_or(Ok(0), |stream| stream.take(limit as u64 + 1).read_to_end(&mut bytes));
        // The receiver may have stopped waiting.
        let _ = sender.send(read.map(|_| bytes));
    });
    receiver
}

fn wait(receiver: &Receiver<Bytes>, end: Instant) -> Result<Zeroizing<Vec<u8>>, ToolError> {
    let left = end.saturating_duration_since(Instant::now());
    receiver.recv_timeout(left).map_err(|_| ToolError::TooLong)?.map_err(ToolError::Unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: usize) -> Result<ToolOutput, ToolError> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let dir = Path::new("/");
        Tool {
            program: "sh",
            arguments: &arguments,
            dir,
            limit,
            patience: Duration::from_millis(600),
        }
        .run()
    }

    #[test]
    fn gives_what_was_said_and_how_it_ended() {
        let output = sh("echo out; echo no >&2; exit 3", 100).unwrap();
        assert!(!output.success && *output.stdout == b"out\n" && output.stderr == "no\n");
        assert!(sh("exit 0", 0).unwrap().success);
    }

    #[test]
    fn stops_what_takes_too_long_or_prints_too_much() {
        let begin = Instant::now();
        assert!(matches!(sh("sleep 60", 100), Err(ToolError::TooLong)));
        // A child that keeps the streams open.
        assert!(matches!(sh("sleep 60 & exit 0", 100), Err(ToolError::TooLong)));
        assert!(matches!(sh("exec yes", 100_000), Err(ToolError::TooMuch)));
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn complaints_beyond_measure_do_not_stop_it() {
        let output = sh("head -c 1000000 /dev/zero >&2; echo done", 100);
        assert!(output.is_ok_and(|output| *output.stdout == b"done\n"));
    }
}
