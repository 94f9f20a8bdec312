//! The only time limit: an input that takes too long ends the whole run, and is kept.

use std::process::abort;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Far more than any input takes in a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

type Current = Mutex<Option<(Instant, Vec<u8>)>>;

/// Watches the current input until it is dropped.
pub struct Watch(Arc<Current>);

impl Watch {
    pub fn start(target: &'static str) -> Self {
        let current = Arc::new(Current::default());
        let watched = Arc::downgrade(&current);
        thread::spawn(move || watch(target, &watched));
        Self(current)
    }

    /// Watches `input` while `run` runs.
    pub fn during(&self, input: &[u8], run: impl FnOnce()) {
        *self.0.lock().unwrap() = Some((Instant::now(), input.to_vec()));
        // proptest catches a panic and tries the next input.
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
