//! How a locked clone is unlocked: git-crypt refuses one in which a file of git's was edited.

use super::call::Call;
use super::{Advice, Part};

/// What `git-crypt unlock` needs in a clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unlocking {
    /// Whether git has the key, for those whose GPG keys were added.
    pub has_gpg: bool,
    /// What git is in the middle of.
    pub in_progress: Option<&'static str>,
    /// Whether edits have to be put aside that `git stash` can put aside.
    pub stashes: bool,
    /// Secret files with plaintext, which a stash would keep as it is, for want of a key.
    pub in_plaintext: Vec<String>,
    /// Files that are ciphertext although the key is there that opens them.
    pub in_ciphertext: Vec<String>,
}

impl Advice {
    /// Whether it has a clone unlocked.
    #[must_use]
    pub fn unlocks(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part, Part::Call(call) if call.unlock_place().is_some()))
    }

    /// The same where a clone is unlocked as `unlocking` needs it.
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
            first = first.say(format!("{what}: finish it first, then: "));
        }
        if !unlocking.in_plaintext.is_empty() {
            first = first.say("save your edits below secrets/ elsewhere, then: ");
            // To lock it takes them away as well, and git could check out nothing with a key that
            // is not the repository's.
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
    /// The place of `git-crypt unlock` among its words.
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
