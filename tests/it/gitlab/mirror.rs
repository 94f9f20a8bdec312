//! Mirrors the live tokens to JSON files for the test bed's token service, one file per token.

use super::state::State;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A directory that is kept equal to the valid tokens.
pub struct Mirror {
    dir: PathBuf,
    /// Distinguishes its files from those of another server in the same directory.
    prefix: String,
    /// How long a new token is refused.
    delay: Duration,
    /// When each token was first seen.
    seen: BTreeMap<u64, Instant>,
    written: BTreeMap<u64, String>,
}

impl Mirror {
    /// Existing tokens are visible immediately.
    pub fn new(dir: PathBuf, prefix: String, delay: Duration, state: &State) -> Self {
        let long_ago = Instant::now().checked_sub(delay).unwrap();
        let seen = state.tokens.iter().map(|token| (token.id, long_ago)).collect();
        Self { dir, prefix, delay, seen, written: BTreeMap::new() }
    }

    /// Writes new tokens and deletes removed ones.
    pub fn sync(&mut self, state: &State) {
        let now = state.now();
        let mut wanted = BTreeMap::new();
        for token in state.tokens.iter().filter(|token| token.is_active(now)) {
            let seen = *self.seen.entry(token.id).or_insert_with(Instant::now);
            let place = state
                .places
                .iter()
                .find(|place| place.kind == token.kind && place.id == token.place);
            if seen.elapsed() >= self.delay
                && let Some(place) = place
            {
                let text = json!({
                    "username": token.username(), "password": token.token,
                    "projects": [place.path], "scopes": token.scopes,
                });
                wanted.insert(token.id, text.to_string());
            }
        }
        for (id, text) in &wanted {
            if self.written.get(id) != Some(text) {
                let file = self.file(*id);
                fs::write(file.with_extension("new"), text).unwrap();
                fs::rename(file.with_extension("new"), file).unwrap();
            }
        }
        for id in self.written.keys().filter(|id| !wanted.contains_key(id)) {
            fs::remove_file(self.file(*id)).unwrap();
        }
        self.written = wanted;
    }

    fn file(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{}-{id}.json", self.prefix))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        for id in self.written.keys() {
            let _ = fs::remove_file(self.file(*id));
        }
    }
}
