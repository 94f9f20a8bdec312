//! Random inputs for everything that parses untrusted bytes. A target has a corpus, the words of
//! its language, and a property that must hold for every input, at least that nothing panics.
//!
//! `make test` tries 10,000 mutations of the corpus for each target, always the same ones. `make
//! fuzz` continues for a given time with new ones. An input that fails is minimised and stored in
//! the corpus as `found-…`, and tried first from then on.

mod answers;
mod changes;
mod cluster;
mod command_line;
mod input;
mod logins;
mod manifests;
mod registry;
mod repository;
mod secrets;
mod watch;
mod yaml;

use input::{Input, MOST, Mutations};
use proptest::test_runner::{Config, TestError, TestRunner};
use std::cell::Cell;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watch::Watch;

/// The number of inputs per target in `make test`.
const INPUTS: u32 = 10_000;
/// A token in the seeds, which no output may quote.
const TOKEN: &str = "gldt-Marker_7Qx9vWk2Zq4T8";
/// The unique part of that token. An input that has lost it proves nothing.
const MARKER: &str = "7Qx9vWk2";

/// Checks `property` on the corpus of `target`, on `seeds`, and on mutations of both with `words`.
/// Panics if it does not hold.
fn fuzz(
    target: &'static str,
    words: &[&'static str],
    seeds: Vec<Vec<u8>>,
    property: impl Fn(&[u8]),
) {
    let mut corpus = corpus(target);
    corpus.extend(seeds);
    assert!(!corpus.is_empty(), "no corpus: {}", dir(target).display());
    let watch = Watch::start(target);
    let tried = Cell::new(0_u64);
    let once = |bytes: &[u8]| {
        tried.set(tried.get() + 1);
        watch.during(bytes, || property(bytes));
    };
    for bytes in &corpus {
        once(bytes);
    }
    let begun = Instant::now();
    let until = seconds().map(|seconds| Instant::now() + seconds);
    let most = until.map_or(MOST / 8, |_| MOST);
    let strategy = Mutations::of(corpus, words, most).strategy();
    let config = Config {
        cases: until.map_or(INPUTS, |_| 1_000),
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let mut rng = TestRunner::new(config.clone()).new_rng();
    loop {
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        let outcome = runner.run(&strategy, |input: Input| {
            once(&input.0);
            Ok(())
        });
        if let Err(error) = outcome {
            fail(target, error);
        }
        rng = runner.new_rng();
        if until.is_none_or(|until| Instant::now() >= until) {
            break;
        }
    }
    eprintln!("fuzz: {target}: {} inputs in {:.1} s", tried.get(), begun.elapsed().as_secs_f32());
}

/// Stores the failing input, and panics with the command that reproduces the failure.
fn fail(target: &str, error: TestError<Input>) -> ! {
    let (why, input) = match error {
        TestError::Fail(why, input) => (why, input),
        TestError::Abort(why) => panic!("{target}: {why}"),
    };
    // Set by .cargo/config.toml and by `make fuzz`.
    let seed = std::env::var("PROPTEST_RNG_SEED").unwrap_or_else(|_| "unknown".to_owned());
    let kept = keep(target, &input.0);
    panic!("{target}, PROPTEST_RNG_SEED={seed}: {why}\nkept as {}\n{input:?}", kept.display());
}

/// The time for each target, instead of a number of inputs.
fn seconds() -> Option<Duration> {
    let seconds = std::env::var("MAKEINFRA_FUZZ_SECONDS").ok()?;
    Some(Duration::from_secs(
        seconds.parse().expect("MAKEINFRA_FUZZ_SECONDS is a number of seconds"),
    ))
}

fn dir(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// The committed inputs, those that failed once first.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = dir(target);
    let mut files = super::support::files_below(&dir);
    files.sort_by_key(|file| (!file.starts_with("found-"), file.clone()));
    files.iter().map(|file| fs::read(dir.join(file)).unwrap()).collect()
}

/// Adds a failing input to the corpus, to be committed together with the fix.
fn keep(target: &str, bytes: &[u8]) -> PathBuf {
    let file = dir(target).join(format!("found-{:08x}", hash(bytes) >> 32));
    fs::write(&file, bytes).unwrap();
    file
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Whether to check a property on `bytes` that would take too long to check on all inputs.
fn is_sample(bytes: &[u8], rarity: u64) -> bool {
    (hash(bytes) >> 32).is_multiple_of(rarity)
}

/// Further seeds: files of the repository, by path from its top.
fn files(paths: &[&str]) -> Vec<Vec<u8>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    paths.iter().map(|path| fs::read(top.join(path)).unwrap()).collect()
}

/// Fails if `said` quotes the token of the seeds.
#[track_caller]
fn quotes_no_token(said: &(impl Debug + ?Sized)) {
    let said = format!("{said:?}");
    assert!(!said.contains(MARKER), "it quotes a token: {said}");
}

/// Whether `shown` contains the whole token as a word: a mutation may have put it into another
/// word, which is indistinguishable from a name.
fn shows_token(shown: &str) -> bool {
    let is_word = |at: usize| !shown[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
    shown.match_indices(TOKEN).any(|(at, _)| is_word(at))
}

/// Fails if `output` is many times as large as `input`.
#[track_caller]
fn is_bounded(output: usize, input: usize) {
    assert!(output <= 64 * input + 4096, "{output} bytes from {input}");
}

/// The text in `bytes`; `None` if it is not UTF-8, since the parsers of text take `str`.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Two or more parts of an input, separated by a line `%%`, for parsers of several texts.
fn parts(bytes: &[u8]) -> Option<Vec<&str>> {
    Some(text(bytes)?.split("\n%%\n").collect())
}
