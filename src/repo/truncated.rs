//! Loose objects that a power cut has truncated, on which libgit2 would hang. Changes nothing.

use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use flate2::{Decompress, FlushDecompress, Status};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much of a file is read and inflated at a time.
const CHUNK: usize = 32 << 10;

/// The smallest block size: a power cut or a full disk truncates a file at a block boundary.
/// Reading files of other sizes as well would take as long as the rest of `check`.
const BLOCK: u64 = 512;

/// Fails if a loose object of the git directory `git` is truncated. Git writes each object under
/// another name first, so none of them is merely unfinished.
pub(super) fn check_objects(git: &Path) -> Result<()> {
    let Some(file) = find(&git.join("objects")) else { return Ok(()) };
    Err(Failure::failed(format!("cannot read git's object `{}`", file.display()))
        .because("the file is truncated, as after a power failure")
        .hint(
            Advice::anywhere("rm -f")
                .path(&file)
                .aside("then check with `git fsck` whether the object is needed"),
        )
        .into())
}

/// The first truncated object. Unreadable files are left for libgit2 to report.
fn find(objects: &Path) -> Option<PathBuf> {
    let mut inflater = Inflater::new();
    let dirs = files::entries(objects).ok()?.into_iter().filter(|dir| dir.name.len() == 2);
    dirs.filter_map(|dir| files::entries(&dir.path).ok())
        .flatten()
        .filter(|file| {
            file.name.len() == 38 && file.metadata().is_ok_and(|found| found.len() % BLOCK == 0)
        })
        .map(|file| file.path)
        .find(|file| File::open(file).and_then(|file| inflater.is_cut_off(file)).unwrap_or(false))
}

struct Inflater {
    stream: Decompress,
    input: Box<[u8]>,
    output: Box<[u8]>,
}

impl Inflater {
    fn new() -> Self {
        let buffer = || vec![0; CHUNK].into_boxed_slice();
        Self { stream: Decompress::new(true), input: buffer(), output: buffer() }
    }

    /// Whether `file` holds a zlib stream without its end. Other content does not count.
    fn is_cut_off(&mut self, mut file: impl Read) -> io::Result<bool> {
        self.stream.reset(true);
        let mut is_first = true;
        loop {
            let read = file.read(&mut self.input)?;
            if read == 0 {
                return Ok(!is_first);
            }
            is_first = false;
            let mut rest = &self.input[..read];
            loop {
                let before = (self.stream.total_in(), self.stream.total_out());
                match self.stream.decompress(rest, &mut self.output, FlushDecompress::None) {
                    Ok(Status::StreamEnd) | Err(_) => return Ok(false),
                    Ok(Status::Ok | Status::BufError) => {}
                }
                let used = usize::try_from(self.stream.total_in() - before.0).unwrap_or(rest.len());
                rest = &rest[used..];
                if (self.stream.total_in(), self.stream.total_out()) == before {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_beginning_of_a_stream_is_cut_off_and_the_stream_is_not() {
        let mut inflater = Inflater::new();
        let zeros = vec![0; 5 * CHUNK];
        for data in [b"blob 0\0".as_slice(), b"blob 5\0hello", &zeros] {
            let whole = zlib(data);
            assert!(!inflater.is_cut_off(whole.as_slice()).unwrap());
            for length in 1..whole.len() {
                assert!(
                    inflater.is_cut_off(&whole[..length]).unwrap(),
                    "{length} of {}",
                    whole.len()
                );
            }
        }
    }

    #[test]
    fn what_is_empty_or_no_stream_is_not_cut_off() {
        let mut inflater = Inflater::new();
        for data in [b"".as_slice(), b"no stream", &[0; 100]] {
            assert!(!inflater.is_cut_off(data).unwrap(), "{data:?}");
        }
    }

    #[test]
    fn a_stream_of_more_than_one_chunk_is_read_to_its_end() {
        // Data that zlib cannot compress.
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(6 * CHUNK)
        .collect();
        let whole = zlib(&noise);
        assert!(whole.len() > 2 * CHUNK);
        let mut inflater = Inflater::new();
        assert!(!inflater.is_cut_off(whole.as_slice()).unwrap());
        assert!(inflater.is_cut_off(&whole[..2 * CHUNK]).unwrap());
        assert!(inflater.is_cut_off(&whole[..whole.len() - 1]).unwrap());
    }
}
