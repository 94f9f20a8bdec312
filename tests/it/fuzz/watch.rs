//! The only limit of time in here: an input that takes for ever ends the whole run, with the input
//! kept.

use std::process::abort;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than any input takes, in a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

type Current = Mutex<Option<(Instant, Vec<u8>)>>;

/// Looks at what is tried until it is dropped.
pub struct Watch(Arc<Current>);

impl Watch {
    pub fn start(target: &'static str) -> Self {
        let current = Arc::new(Current::default());
        let watched = Arc::downgrade(&current);
        thread::spawn(move || watch(target, &watched));
        Self(current)
    }

    /// Has `input` watched while `run` runs.
    pub fn during(&self, input: &[u8], run: impl FnOnce()) {
        *self.0.lock().unwrap() = Some((Instant::now(), input.to_vec()));
        // What panics, proptest catches, and tries the next one.
        run();
        *self.0.lock().unwrap() = None;
    }
}

fn watch(target: &str, watched: &Weak<Current>) {
    while let Some(current) = watched.upgrade() {
        let now = current.lock().unwrap().clone();
        drop(current);
        if let Some((begun, input)) = now.filter(|(begun, _)| begun.elapsed() > LIMIT) {
            let file = super::keep(target, &input);
            eprintln!("fuzz: {target}: not done after {:?}: {}", begun.elapsed(), file.display());
            abort();
        }
        thread::sleep(Duration::from_secs(1));
    }
}
