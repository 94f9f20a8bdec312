//! Holds signals back while something is half written, or a terminal is quiet, so that it can be
//! put right.
//!
//! Outside of such a stretch a signal ends the process at once, as usual.

use crate::error::{Failure, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How soon a [`Watch`] sees a signal.
const LOOK: Duration = Duration::from_millis(20);

/// While one lives, Ctrl-C, SIGTERM and their like only make [`Interrupts::check`] fail.
pub struct Interrupts {
    state: &'static State,
}

/// What the handlers see. There is one for the process, as there is one handler for a signal.
#[derive(Default)]
struct State {
    /// The number of the last signal, 0 for none.
    signal: Arc<AtomicUsize>,
    /// Whether signals do what they do by default.
    released: Arc<AtomicBool>,
    /// How many [`Interrupts`] live.
    holders: Mutex<usize>,
}

static STATE: OnceLock<State> = OnceLock::new();

impl Interrupts {
    /// Begins to hold signals back.
    pub fn hold() -> Result<Self> {
        let state = match STATE.get() {
            Some(state) => state,
            None => State::register()?,
        };
        let mut holders = state.holders();
        if *holders == 0 {
            state.signal.store(0, Ordering::SeqCst);
            state.released.store(false, Ordering::SeqCst);
        }
        *holders += 1;
        Ok(Self { state })
    }

    /// Fails if a signal came. Called between any two writes.
    pub fn check(&self) -> Result<()> {
        match i32::try_from(self.state.signal.load(Ordering::SeqCst)) {
            Ok(0) | Err(_) => Ok(()),
            Ok(signal) => Err(Failure::interrupted(signal).into()),
        }
    }
}

impl State {
    fn holders(&self) -> MutexGuard<'_, usize> {
        self.holders.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn register() -> Result<&'static Self> {
        let state = Self::default();
        // SIGXFSZ comes with a write beyond the user's limit, which then fails like one on a full
        // disk.
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXFSZ] {
            let number = usize::try_from(signal).unwrap_or_default();
            // The order counts: actions run in the order of their registration.
            flag::register_conditional_default(signal, Arc::clone(&state.released))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&state.signal), number))
                .map_err(|error| {
                    Failure::failed("cannot hold signals back").because(error.to_string())
                })?;
        }
        Ok(STATE.get_or_init(|| state))
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let mut holders = self.state.holders();
        *holders -= 1;
        if *holders == 0 {
            self.state.released.store(true, Ordering::SeqCst);
        }
    }
}

/// While one lives, a signal that no [`Interrupts`] hold back still ends the process, but something
/// is done before. A signal that they do hold back is known to all that begin later.
pub struct Watch {
    /// Dropped behind the thread.
    held: Interrupts,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch; `end` is what is done before the process ends.
    pub fn begin(end: impl Fn() + Send + 'static) -> Result<Self> {
        let held = Interrupts::hold()?;
        let (state, is_over) = (held.state, Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                thread::park_timeout(LOOK);
                let Ok(signal @ 1..) = i32::try_from(state.signal.load(Ordering::SeqCst)) else {
                    continue;
                };
                // As long as this is locked, nobody begins to write.
                let holders = state.holders();
                if *holders == 1 && signal != SIGXFSZ && !over.load(Ordering::SeqCst) {
                    end();
                    let _ = emulate_default_handler(signal);
                }
            }
        });
        Ok(Self { held, is_over, thread: Some(thread) })
    }

    /// Leaves it to whoever asks [`Interrupts::check`] to end the process.
    pub fn stop(&self) {
        let _holders = self.held.state.holders();
        self.is_over.store(true, Ordering::SeqCst);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_waits_until_it_is_asked_for_also_the_second_time() {
        drop(Interrupts::hold().unwrap());
        let held = Interrupts::hold().unwrap();
        assert!(held.check().is_ok());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let error = held.check().unwrap_err();
        assert_eq!(crate::error::exit_code(&error), 143);
        // Released while a test harness still runs, so the flag is all that is tested here; the
        // real process is killed for real in tests/.
    }
}
