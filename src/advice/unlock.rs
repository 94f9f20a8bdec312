//! Unlocking a clone: git-crypt refuses to unlock one with local edits.

use super::call::Call;
use super::{Advice, Part};

/// What `git-crypt unlock` needs in a clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unlocking {
    /// Whether the key is in the repository, encrypted for the GPG keys of its users.
    pub has_gpg: bool,
    /// The git operation in progress; `None` if there is none.
    pub in_progress: Option<&'static str>,
    /// Whether there are edits that must be, and can be, stashed.
    pub stashes: bool,
    /// Secret files in plaintext, which a stash would store unencrypted for lack of a key.
    pub in_plaintext: Vec<String>,
    /// Files that are still ciphertext although their key is available.
    pub in_ciphertext: Vec<String>,
}

impl Advice {
    /// Whether the advice unlocks a clone.
    #[must_use]
    pub fn unlocks(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Call(call) if call.unlock_place().is_some()))
    }

    /// The advice with its unlock command extended by what `unlocking` requires.
    #[must_use]
    pub fn unlocking(mut self, unlocking: &Unlocking) -> Self {
        if !self.unlocks() {
            return self;
        }
        if !unlocking.in_ciphertext.is_empty() && !self.commands().any(|call| call.locks()) {
            let restore =
                unlocking.in_ciphertext.iter().fold(Self::git("checkout HEAD --"), Self::arg);
            return Self { parts: restore.parts, ..self };
        }
        self.commands().for_each(|call| call.unlocking(unlocking));
        let mut first = Self::default();
        if let Some(what) = unlocking.in_progress {
            first = first.say(format!("{what}; finish it first, then: "));
        }
        if !unlocking.in_plaintext.is_empty() {
            first = first.say("save your edits under secrets/ elsewhere, then: ");
            // Locking removes these edits as well, and with another repository's key git could not
            // check out anything.
            if !self.commands().any(|call| call.locks()) {
                let restore =
                    unlocking.in_plaintext.iter().fold(Self::git("checkout HEAD --"), Self::arg);
                first = first.say(restore).say(" && ");
            }
        }
        self.parts.splice(0..0, first.parts);
        self
    }
}

impl Call {
    /// Index of `git-crypt unlock` among the words.
    fn unlock_place(&self) -> Option<usize> {
        self.words.windows(2).position(|pair| pair[0].is("git-crypt") && pair[1].is("unlock"))
    }

    fn locks(&self) -> bool {
        self.words.windows(2).any(|pair| pair[0].is("git-crypt") && pair[1].is("lock"))
    }

    fn unlocking(&mut self, unlocking: &Unlocking) {
        let Some(place) = self.unlock_place() else { return };
        let key = place + 2;
        if unlocking.has_gpg && self.words.get(key).is_some_and(|word| word.is("KEY_FILE")) {
            self.words.remove(key);
        }
        if unlocking.stashes {
            self.add_words("&& git stash pop", self.words.len());
            self.add_words("git stash &&", place);
        }
    }
}
