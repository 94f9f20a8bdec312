//! Inputs: a seed of the corpus with a few mutations. Both are drawn by proptest, which removes
//! mutations from a failing input while it still fails.

use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt;
use std::sync::Arc;

/// The usual size limit of an input in bytes.
const USUAL: usize = 1 << 10;
/// The absolute size limit, if there is time: it exposes quadratic work.
pub const MOST: usize = 64 << 10;

/// Words of no language in particular.
const WORDS: [&[u8]; 44] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\r",
    b"\t",
    b" ",
    b"\x1b[31m",
    b"\x7f",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc2\x85",
    b"\xc2\xa0",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xae",
    "ä🦀".as_bytes(),
    b"\"",
    b"'",
    b"`",
    b"\\",
    b"\\\"",
    b"\\u0000",
    b"\\ud800",
    b"\\x",
    b"#",
    b":",
    b": ",
    b"=",
    b"/",
    b"//",
    b"../",
    b"*",
    b"-",
    b"0",
    b"-1",
    b"18446744073709551616",
    b"9223372036854775807",
    b"1e999",
    b"0x7fffffff",
    b"%s%n",
    super::TOKEN.as_bytes(),
];

/// An input.
#[derive(Clone)]
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// The source of inputs.
pub struct Mutations {
    seeds: Vec<Vec<u8>>,
    words: Vec<&'static [u8]>,
    most: usize,
}

/// A mutation: its kind, and two numbers that determine position and content.
type Mutation = (u8, u32, u32);

impl Mutations {
    /// Mutations of `seeds`, a few of which have `most` bytes.
    pub fn of(seeds: Vec<Vec<u8>>, words: &[&'static str], most: usize) -> Self {
        // A word of the language is drawn about as often as one of the others.
        let times = WORDS.len().checked_div(words.len()).map_or(0, |times| times.max(1));
        let own = words.iter().map(|word| word.as_bytes()).cycle().take(times * words.len());
        let words = own.chain(WORDS).collect();
        Self { seeds, words, most }
    }

    pub fn strategy(self) -> impl Strategy<Value = Input> {
        let all = Arc::new(self);
        let seed = any::<prop::sample::Index>();
        (seed, vec(any::<Mutation>(), 0..7), 0..5_000_u16).prop_map(
            move |(seed, mutations, size)| {
                let mut bytes = all.seeds[seed.index(all.seeds.len())].clone();
                for mutation in mutations {
                    all.mutate(&mut bytes, mutation);
                }
                let limit = if size == 4_999 { grow(&mut bytes, all.most) } else { USUAL };
                bytes.truncate(limit);
                Input(bytes)
            },
        )
    }

    fn mutate(&self, bytes: &mut Vec<u8>, (kind, a, b): Mutation) {
        let at = place(a, bytes.len() + 1);
        let end = at + place(b, (bytes.len() - at).min(64) + 1);
        let word = self.words[place(b, self.words.len())];
        let other = || &self.seeds[place(a ^ b.rotate_left(7), self.seeds.len())];
        match kind % 20 {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (b % 8)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = b.to_le_bytes()[0]),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                let to = place(a.rotate_left(9), bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            5..=8 => drop(bytes.splice(at..at, word.iter().copied())),
            9 | 10 => drop(bytes.splice(at..end, word.iter().copied())),
            11 => {
                let rest = &other()[place(b, other().len() + 1)..];
                bytes.truncate(at);
                bytes.extend_from_slice(rest);
            }
            12 => {
                let from = place(b, other().len() + 1);
                let chunk = other()[from..].iter().take(100).copied().collect::<Vec<_>>();
                bytes.splice(at..at, chunk);
            }
            13 => number(bytes, at, b),
            14 => nest(bytes, at, word, b),
            15 => *bytes = String::from_utf8_lossy(bytes).replace('\n', "\r\n").into_bytes(),
            kind => lines(bytes, kind, a, b),
        }
        bytes.truncate(MOST);
    }
}

/// A number below `end` that decreases with `drawn`, so that proptest minimises it.
fn place(drawn: u32, end: usize) -> usize {
    usize::try_from(drawn).unwrap() % end.max(1)
}

/// Replaces the next number.
fn number(bytes: &mut Vec<u8>, at: usize, b: u32) {
    const NUMBERS: [&[u8]; 8] =
        [b"0", b"-1", b"65536", b"4294967296", b"99999999999999999999", b"1e400", b"007", b"1.5"];
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found)
    else {
        return;
    };
    let end = bytes[start..]
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .map_or(bytes.len(), |end| start + end);
    bytes.splice(start..end, NUMBERS[place(b, NUMBERS.len())].iter().copied());
}

/// Repeats a word, or one that opens something.
fn nest(bytes: &mut Vec<u8>, at: usize, word: &[u8], b: u32) {
    const OPENING: [&[u8]; 8] =
        [b"[", b"{", b"- ", b"{\"a\":", b"[[", b"\n  - a:\n    ", b"? ", b"\\"];
    let word = if b.is_multiple_of(2) { word } else { OPENING[place(b / 2, OPENING.len())] };
    let times = place(b.rotate_left(11), 300);
    bytes.splice(at..at, word.repeat(times));
}

/// Copies, swaps, removes or indents lines.
fn lines(bytes: &mut Vec<u8>, kind: u8, a: u32, b: u32) {
    let mut lines: Vec<Vec<u8>> =
        bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (one, other) = (place(a, lines.len()), place(b, lines.len()));
    match kind {
        16 => lines.insert(other, lines[one].clone()),
        17 => lines.swap(one, other),
        18 => drop(lines.remove(one)),
        _ => drop(lines[one].splice(0..0, [b' '; 2])),
    }
    *bytes = lines.concat();
}

/// Repeats the input up to the size limit, and returns the limit.
fn grow(bytes: &mut Vec<u8>, most: usize) -> usize {
    let times = most / bytes.len().max(1);
    *bytes = bytes.repeat(times.max(1));
    most
}
