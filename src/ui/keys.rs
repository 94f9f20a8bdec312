//! Splits input into keys: escape sequences, pastes and multi-byte characters count as one each.

use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// A key, or a whole paste.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    /// The content of a bracketed paste, with `
    /// n` for each line break.
    Paste(Zeroizing<String>),
    Enter,
    Back,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    Escape,
    /// Ctrl-U: erases the line.
    EraseLine,
    /// Ctrl-W: erases the word before the cursor.
    EraseWord,
    /// Ctrl-C, or Ctrl-D, the end of input.
    Interrupt,
    /// Any other key.
    Other,
}

/// The time limit for the rest of an escape sequence or character.
const REST: Duration = Duration::from_millis(50);
/// The longest pause within a bracketed paste.
const PASTE: Duration = Duration::from_secs(2);
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Input bytes that are not a key yet. Cleared when dropped, because they may be a token.
#[derive(Default)]
pub(super) struct InputBuffer {
    bytes: Zeroizing<Vec<u8>>,
}

/// The next key with its length in bytes, or how long to wait for more.
enum Step {
    Key(Key, usize),
    More(Duration),
}

impl InputBuffer {
    /// Takes the next key. `more` adds bytes that arrive within a time limit (`None`: no limit),
    /// and returns whether any did.
    pub(super) fn next<E>(
        &mut self,
        mut more: impl FnMut(&mut Vec<u8>, Option<Duration>) -> Result<bool, E>,
    ) -> Result<Key, E> {
        loop {
            if self.bytes.is_empty() && !more(&mut self.bytes, None)? {
                return Ok(Key::Interrupt);
            }
            match step(&self.bytes) {
                Step::Key(key, length) => {
                    self.take(length);
                    return Ok(key);
                }
                Step::More(time) => {
                    if !more(&mut self.bytes, Some(time))? {
                        let key = if *self.bytes == *b"\x1b" { Key::Escape } else { Key::Other };
                        self.forget();
                        return Ok(key);
                    }
                }
            }
        }
    }

    /// Discards the input. Returns whether it had more than line breaks.
    pub(super) fn forget(&mut self) -> bool {
        let is_text = self.bytes.iter().any(|byte| byte.is_ascii_graphic() || !byte.is_ascii());
        self.bytes.zeroize();
        is_text
    }

    /// Whether the input contains Ctrl-C.
    pub(super) fn interrupts(&self) -> bool {
        self.bytes.contains(&3)
    }

    /// The buffer, for adding bytes.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn take(&mut self, length: usize) {
        let left = self.bytes.len() - length;
        self.bytes.copy_within(length.., 0);
        self.bytes[left..].zeroize();
        self.bytes.truncate(left);
    }
}

fn step(bytes: &[u8]) -> Step {
    let key = match bytes[0] {
        b'\r' | b'\n' => Key::Enter,
        0x7f | 8 => Key::Back,
        1 => Key::Home,
        5 => Key::End,
        3 | 4 => Key::Interrupt,
        0x15 => Key::EraseLine,
        0x17 => Key::EraseWord,
        0x1b => return escape(bytes),
        0..0x20 => Key::Other,
        first => return letter(bytes, first),
    };
    Step::Key(key, 1)
}

fn letter(bytes: &[u8], first: u8) -> Step {
    let length = match first {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => 1,
    };
    match bytes.get(..length).map(std::str::from_utf8) {
        None => Step::More(REST),
        Some(Ok(text)) => Step::Key(text.chars().next().map_or(Key::Other, Key::Char), length),
        Some(Err(_)) => Step::Key(Key::Other, 1),
    }
}

fn escape(bytes: &[u8]) -> Step {
    if bytes.starts_with(PASTE_BEGINS) {
        let pasted = &bytes[PASTE_BEGINS.len()..];
        let end = pasted.windows(PASTE_ENDS.len()).position(|window| window == PASTE_ENDS);
        let Some(end) = end else { return Step::More(PASTE) };
        let text = Zeroizing::new(String::from_utf8_lossy(&pasted[..end]).into_owned());
        let text = Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n"));
        return Step::Key(Key::Paste(text), PASTE_BEGINS.len() + end + PASTE_ENDS.len());
    }
    let end = match bytes.get(1) {
        None => return Step::More(REST),
        Some(b'[') => {
            bytes.iter().skip(2).position(|byte| (0x40..0x7f).contains(byte)).map(|at| at + 3)
        }
        Some(b'O') => (bytes.len() > 2).then_some(3),
        // The Escape key, followed by another key.
        Some(0x1b) => return Step::Key(Key::Escape, 1),
        // Alt with a letter.
        Some(_) => return Step::Key(Key::Other, 2),
    };
    let Some(end) = end else { return Step::More(REST) };
    let key = match &bytes[2..end] {
        b"A" => Key::Up,
        b"B" => Key::Down,
        b"C" => Key::Right,
        b"D" => Key::Left,
        b"H" | b"1~" | b"7~" => Key::Home,
        b"F" | b"4~" | b"8~" => Key::End,
        b"3~" => Key::Delete,
        _ => Key::Other,
    };
    Step::Key(key, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys in `pieces`, which arrive one after the other with pauses between them.
    fn keys(pieces: &[&str]) -> Vec<Key> {
        let mut typed = InputBuffer::default();
        let mut pieces = pieces.iter();
        let mut keys = Vec::new();
        loop {
            let key = typed.next(|bytes, _| {
                let piece = pieces.next();
                bytes.extend(piece.iter().flat_map(|piece| piece.bytes()));
                Ok::<_, ()>(piece.is_some())
            });
            match key {
                Ok(Key::Interrupt) => return keys,
                key => keys.push(key.unwrap()),
            }
        }
    }

    fn paste(text: &str) -> Key {
        Key::Paste(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn keys_come_whole_however_they_are_cut() {
        use Key::{Back, Char, Delete, Down, End, Enter, Home, Other, Up};
        for (typed, expected) in [
            ("aé漢🦀", vec![Char('a'), Char('é'), Char('漢'), Char('🦀')]),
            ("\x1b[A\x1b[B\x1bOB\r", vec![Up, Down, Down, Enter]),
            ("\x1b[3~\x1b[1;5C\x1b[H\x1b[4~\x7f", vec![Delete, Other, Home, End, Back]),
            ("\x1b[200~a\r\nb\rc\x1b[201~\n", vec![paste("a\nb\nc"), Enter]),
            ("\x1b[200~\x1b[A\x1b[201~x", vec![paste("\x1b[A"), Char('x')]),
            ("\x1bx\x00y", vec![Other, Other, Char('y')]),
        ] {
            assert_eq!(keys(&[typed]), expected, "{typed:?}");
            let letters: Vec<String> = typed.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(keys(&letters), expected, "{typed:?} one by one");
        }
    }

    #[test]
    fn escape_alone_is_a_key() {
        let mut typed = InputBuffer::default();
        let mut first = true;
        let key = typed.next(|bytes, _| {
            if first {
                bytes.push(0x1b);
            }
            Ok::<_, ()>(std::mem::take(&mut first))
        });
        assert_eq!(key, Ok(Key::Escape));
    }

    #[test]
    fn no_bytes_make_it_panic_or_stop() {
        let mut state = 1_u64;
        for _ in 0..10_000 {
            let mut typed = InputBuffer::default();
            let mut left = 12;
            while typed
                .next(|bytes, _| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Bytes that begin a sequence are frequent.
                    let byte = (state >> 40).to_le_bytes()[0];
                    bytes.push(if byte < 80 {
                        b"\x1b[20~1O\r"[usize::from(byte) % 8]
                    } else {
                        byte
                    });
                    left -= 1;
                    Ok::<_, ()>(left > 0)
                })
                .is_ok_and(|key| key != Key::Interrupt)
            {}
        }
    }
}
