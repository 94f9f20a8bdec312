//! Defers signals while something is half written, or a terminal has echo off, so that it can be
//! cleaned up.
//!
//! At any other time a signal ends the process at once, as usual.

use crate::error::{Failure, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::emulate_default_handler;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a [`Watch`] checks for a signal.
const LOOK: Duration = Duration::from_millis(20);

/// While this exists, Ctrl-C, SIGTERM and similar signals only make [`Interrupts::check`] fail.
pub struct Interrupts {
    state: &'static State,
}

/// The state of the signal handlers, which is global because handlers are.
#[derive(Default)]
struct State {
    /// The number of the last signal; 0 for none.
    signal: Arc<AtomicUsize>,
    /// Whether signals have their default effect.
    released: Arc<AtomicBool>,
    /// The number of existing [`Interrupts`].
    holders: Mutex<usize>,
}

static STATE: OnceLock<State> = OnceLock::new();

impl Interrupts {
    /// Starts deferring signals.
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

    /// Fails if a signal arrived. Call it between any two writes.
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
        // SIGXFSZ is sent for a write beyond the user's limit, which then fails as on a full disk.
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXFSZ] {
            let number = usize::try_from(signal).unwrap_or_default();
            // Handlers run in the order of their registration.
            flag::register_conditional_default(signal, Arc::clone(&state.released))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&state.signal), number))
                .map_err(|error| {
                    Failure::failed("cannot block signals").because(error.to_string())
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

/// While this exists, a signal that no [`Interrupts`] defer runs an action before it ends the
/// process. A signal that they do defer is seen by all later [`Interrupts`].
pub struct Watch {
    /// Dropped after the thread has ended.
    held: Interrupts,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching; `end` runs before the process ends.
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
                // Nobody can start to defer signals while this is locked.
                let holders = state.holders();
                if *holders == 1 && signal != SIGXFSZ && !over.load(Ordering::SeqCst) {
                    end();
                    let _ = emulate_default_handler(signal);
                }
            }
        });
        Ok(Self { held, is_over, thread: Some(thread) })
    }

    /// Leaves ending the process to callers of [`Interrupts::check`].
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
            // The thread has no result.
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
        // Releasing would end the test harness, so only the flag is tested here; tests/ send real
        // signals to the real process.
    }
}
