//! The terminal during a prompt: without echo, with bracketed paste, and restored on every exit.

use super::keys::{InputBuffer, Key};
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
    tcsetattr,
};
use std::io::{self, Write};
use std::time::Duration;

const BRACKETS_ON: &str = "\x1b[?2004h";
const BRACKETS_OFF: &str = "\x1b[?2004l";
/// How often a wait checks for a signal.
const LOOK: Duration = Duration::from_millis(200);
/// Pauses within an unbracketed paste, or between repeats of a key, are shorter.
const QUIET: Duration = Duration::from_millis(40);

/// While this exists, the terminal does not echo, Ctrl-C is a key, and pastes are bracketed.
/// Dropping it, even by a panic, restores the terminal; a signal ends the wait for a key.
pub(super) struct Terminal {
    before: Termios,
    interrupts: Interrupts,
    typed: InputBuffer,
}

impl Terminal {
    pub(super) fn begin() -> Result<Self> {
        let failed = |error: Errno| cannot_ask(&io::Error::from(error));
        let interrupts = Interrupts::hold()?;
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut quiet = before.clone();
        quiet.local_modes -=
            LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet).map_err(failed)?;
        let terminal = Self { before, interrupts, typed: InputBuffer::default() };
        write(BRACKETS_ON)?;
        Ok(terminal)
    }

    /// Waits for a key. Fails at Ctrl-C and at a signal.
    pub(super) fn key(&mut self) -> Result<Key> {
        let Self { interrupts, typed, .. } = self;
        match typed.next(|bytes, time| read(bytes, time, interrupts))? {
            Key::Interrupt => Err(Failure::interrupted(2).into()),
            key => Ok(key),
        }
    }

    /// Discards input that was typed and that still arrives, such as the rest of a paste. Returns
    /// whether it had more than line breaks.
    pub(super) fn forget(&mut self) -> Result<bool> {
        let mut is_text = false;
        loop {
            if self.typed.interrupts() {
                return Err(Failure::interrupted(2).into());
            }
            is_text |= self.typed.forget();
            if !read(self.typed.bytes(), Some(QUIET), &self.interrupts)? {
                // Input that arrived since the last read.
                let _ = tcflush(io::stdin(), QueueSelector::IFlush);
                return Ok(is_text);
            }
        }
    }
}

/// Writes to the terminal immediately.
pub(super) fn write(text: &str) -> Result<()> {
    let mut out = io::stderr().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| cannot_ask(&error).into())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Best effort.
        let _ = write(BRACKETS_OFF);
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Adds input that arrives within `time` (`None`: no limit). Returns whether there was any.
fn read(bytes: &mut Vec<u8>, time: Option<Duration>, interrupts: &Interrupts) -> Result<bool> {
    loop {
        interrupts.check()?;
        let stdin = io::stdin();
        let wait = time.unwrap_or(LOOK);
        let timeout =
            Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) if time.is_some() => return Ok(false),
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(cannot_ask(&error.into()).into()),
        }
        let mut chunk = zeroize::Zeroizing::new([0; 1024]);
        match rustix::io::read(&stdin, &mut chunk[..]) {
            Ok(length) => {
                bytes.extend_from_slice(&chunk[..length]);
                return Ok(length > 0);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(cannot_ask(&error.into()).into()),
        }
    }
}

fn cannot_ask(error: &io::Error) -> Failure {
    Failure::failed("cannot ask on this terminal")
        .because(error.to_string())
        .hint("pass every answer as an option, with --no-input")
}
