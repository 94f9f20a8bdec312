//! Git-crypt's key file and file encryption, byte for byte as git-crypt 0.7 and 0.8 write them.
//! Pure; knows no repository.
//!
//! Formats: git-crypt's `key.cpp`, `crypto.cpp` and `commands.cpp` (github.com/AGWA/git-crypt).

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

/// Header of an encrypted file.
const MAGIC: &[u8; 10] = b"\0GITCRYPT\0";
/// Header of a key file.
const KEY_MAGIC: &[u8; 12] = b"\0GITCRYPTKEY";
/// The only key-file version that git-crypt writes.
const FORMAT: u32 = 2;
const NONCE: usize = 12;
const AES: usize = 32;
const HMAC: usize = 64;

/// Fields of a key-file entry.
mod field {
    pub(super) const END: u32 = 0;
    pub(super) const VERSION: u32 = 1;
    pub(super) const AES: u32 = 3;
    pub(super) const HMAC: u32 = 5;
}

/// The name of the default key's filter; that of a named key is `git-crypt-NAME`.
pub const FILTER: &str = "git-crypt";

/// The sections that `git-crypt init` adds to `.git/config`, byte for byte.
pub const CONFIG: &str = r#"[filter "git-crypt"]
	smudge = \"git-crypt\" smudge
	clean = \"git-crypt\" clean
	required = true
[diff "git-crypt"]
	textconv = \"git-crypt\" diff
"#;

/// Whether a filter's command is git-crypt, at any path.
#[must_use]
pub fn is_filter_command(command: &str) -> bool {
    filter_program(command).is_some_and(|program| program.rsplit('/').next() == Some("git-crypt"))
}

/// The program of a filter's command.
#[must_use]
pub fn filter_program(command: &str) -> Option<String> {
    shlex::split(command)?.into_iter().next()
}

/// Whether an attribute file assigns anything to git-crypt.
#[must_use]
pub fn is_named_in(attributes: &[u8]) -> bool {
    String::from_utf8_lossy(attributes).contains("filter=git-crypt")
}

/// Path of the default key below the git directory.
pub const KEY_FILE: &str = "git-crypt/keys/default";

/// The command for a locked clone with the exported key at hand.
pub const UNLOCK: &str = "git-crypt unlock KEY_FILE";

/// The command for a clone that was unlocked with another repository's key.
pub const UNLOCK_ANEW: &str = "git-crypt lock --force && git-crypt unlock KEY_FILE";

/// A git-crypt key: one for AES-256-CTR, one for the HMAC that yields the nonce.
pub struct Key {
    aes: Zeroizing<[u8; AES]>,
    hmac: Zeroizing<[u8; HMAC]>,
}

/// The error for an invalid key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadKeyFile;

impl Key {
    /// Generates a key from the system's random numbers. The error is the system's.
    pub fn generate() -> Result<Self, String> {
        let mut key = Self { aes: Zeroizing::new([0; AES]), hmac: Zeroizing::new([0; HMAC]) };
        getrandom::fill(&mut *key.aes).map_err(|error| error.to_string())?;
        getrandom::fill(&mut *key.hmac).map_err(|error| error.to_string())?;
        Ok(key)
    }

    /// The key file of 148 bytes, as `git-crypt init` and `git-crypt export-key` write it.
    #[must_use]
    pub fn to_file(&self) -> Zeroizing<Vec<u8>> {
        // Allocated at its full size, so that no partial copy stays behind in memory.
        let mut file = Zeroizing::new(Vec::with_capacity(148));
        file.extend_from_slice(KEY_MAGIC);
        file.extend_from_slice(&FORMAT.to_be_bytes());
        file.extend_from_slice(&field::END.to_be_bytes());
        put(&mut file, field::VERSION, &0u32.to_be_bytes());
        put(&mut file, field::AES, &*self.aes);
        put(&mut file, field::HMAC, &*self.hmac);
        file.extend_from_slice(&field::END.to_be_bytes());
        file
    }

    /// The newest key in a key file, which is the one that git-crypt encrypts with.
    pub fn from_file(file: &[u8]) -> Result<Self, BadKeyFile> {
        let mut rest = file.strip_prefix(KEY_MAGIC).ok_or(BadKeyFile)?;
        if number(&mut rest)? != FORMAT {
            return Err(BadKeyFile);
        }
        // The header only holds the key's name, which is not needed here.
        while let Some((id, _)) = entry_field(&mut rest)? {
            // Git-crypt refuses unknown critical fields, which are those with odd numbers.
            if id != 1 && id % 2 == 1 {
                return Err(BadKeyFile);
            }
        }
        let mut newest: Option<(u32, Self)> = None;
        while !rest.is_empty() {
            let (version, key) = entry(&mut rest)?;
            // Of two entries with the same version, git-crypt uses the later one.
            if newest.as_ref().is_none_or(|(newest, _)| version >= *newest) {
                newest = Some((version, key));
            }
        }
        newest.map(|(_, key)| key).ok_or(BadKeyFile)
    }

    /// The output of `git-crypt clean` for `plain`. Deterministic for a given key and text.
    #[must_use]
    pub fn encrypt(&self, plain: &[u8]) -> Vec<u8> {
        let mut file = Vec::with_capacity(MAGIC.len() + NONCE + plain.len());
        let nonce = self.nonce(plain);
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&nonce);
        file.extend_from_slice(plain);
        self.apply(&nonce, &mut file[MAGIC.len() + NONCE..]);
        file
    }

    /// The output of `git-crypt smudge` for `file`; `None` if it is not encrypted, or encrypted
    /// with another key.
    #[must_use]
    pub fn decrypt(&self, file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, cipher) = file.strip_prefix(MAGIC)?.split_first_chunk::<NONCE>()?;
        let mut plain = Zeroizing::new(cipher.to_vec());
        self.apply(nonce, &mut plain);
        (self.nonce(&plain) == *nonce).then_some(plain)
    }

    fn nonce(&self, plain: &[u8]) -> [u8; NONCE] {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(&*self.hmac).expect("HMAC takes keys of any length");
        mac.update(plain);
        let digest = mac.finalize().into_bytes();
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&digest[..NONCE]);
        nonce
    }

    fn apply(&self, nonce: &[u8; NONCE], text: &mut [u8]) {
        let mut counter = [0; 16];
        counter[..NONCE].copy_from_slice(nonce);
        ctr::Ctr32BE::<Aes256>::new((&*self.aes).into(), &counter.into()).apply_keystream(text);
    }
}

/// Whether `file` is in git-crypt's format.
#[must_use]
pub fn is_encrypted(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// Whether `file` has the header of a git-crypt key file.
#[must_use]
pub fn is_key_file(file: &[u8]) -> bool {
    file.starts_with(KEY_MAGIC)
}

fn put(file: &mut Vec<u8>, id: u32, data: &[u8]) {
    let length = u32::try_from(data.len()).expect("fields have at most 64 bytes");
    file.extend_from_slice(&id.to_be_bytes());
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(data);
}

fn number(rest: &mut &[u8]) -> Result<u32, BadKeyFile> {
    let (number, after) = rest.split_first_chunk::<4>().ok_or(BadKeyFile)?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

/// The next field and its data; `None` at the end of the entry.
fn entry_field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u32, &'a [u8])>, BadKeyFile> {
    let id = number(rest)?;
    if id == field::END {
        return Ok(None);
    }
    let length = usize::try_from(number(rest)?).map_err(|_| BadKeyFile)?;
    let (data, after) = rest.split_at_checked(length).ok_or(BadKeyFile)?;
    *rest = after;
    Ok(Some((id, data)))
}

fn entry(rest: &mut &[u8]) -> Result<(u32, Key), BadKeyFile> {
    let (mut version, mut aes, mut hmac) = (None, None, None);
    while let Some((id, mut data)) = entry_field(rest)? {
        match id {
            field::VERSION => version = Some(number(&mut data)?),
            field::AES => aes = Some(Zeroizing::new(data.try_into().map_err(|_| BadKeyFile)?)),
            field::HMAC => hmac = Some(Zeroizing::new(data.try_into().map_err(|_| BadKeyFile)?)),
            id if id % 2 == 1 => return Err(BadKeyFile),
            _ => {}
        }
    }
    match (version, aes, hmac) {
        (Some(version), Some(aes), Some(hmac)) => Ok((version, Key { aes, hmac })),
        _ => Err(BadKeyFile),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_has_148_bytes_and_reads_back() {
        let key = Key::generate().unwrap();
        let file = key.to_file();
        assert_eq!(file.len(), 148);
        let read = Key::from_file(&file).unwrap();
        assert_eq!((&*read.aes, &*read.hmac), (&*key.aes, &*key.hmac));
    }

    type Field<'a> = (u32, &'a [u8]);

    /// A key file with the fields `header` and these entries: a version, the byte that fills both
    /// keys, further fields.
    fn key_file(header: &[Field], entries: &[(u32, u8, &[Field])]) -> Vec<u8> {
        let mut file = KEY_MAGIC.to_vec();
        file.extend(FORMAT.to_be_bytes());
        for (id, data) in header {
            put(&mut file, *id, data);
        }
        file.extend(field::END.to_be_bytes());
        for (version, byte, more) in entries {
            put(&mut file, field::VERSION, &version.to_be_bytes());
            put(&mut file, field::AES, &[*byte; AES]);
            put(&mut file, field::HMAC, &[*byte; HMAC]);
            for (id, data) in *more {
                put(&mut file, *id, data);
            }
            file.extend(field::END.to_be_bytes());
        }
        file
    }

    #[test]
    fn reads_a_key_file_with_a_name_and_takes_its_newest_version() {
        // Measured with git-crypt 0.7: of two entries with the same version it uses the last.
        for (entries, newest) in [
            ([(1, 7, &[][..]), (0, 6, &[])], 7),
            ([(0, 6, &[]), (1, 7, &[])], 7),
            ([(1, 6, &[]), (1, 7, &[])], 7),
        ] {
            let key = Key::from_file(&key_file(&[(1, b"production")], &entries)).unwrap();
            assert_eq!(*key.aes, [newest; AES]);
        }
    }

    #[test]
    fn refuses_unknown_fields_with_odd_numbers_and_skips_those_with_even_ones() {
        let file = |header: u32, more: u32| {
            Key::from_file(&key_file(&[(1, b"name"), (header, b"x")], &[(0, 7, &[(more, b"x")])]))
                .is_ok()
        };
        assert!(file(2, 2) && file(8, 8));
        assert!(!file(3, 2) && !file(7, 2));
        assert!(!file(2, 7) && !file(2, 9));
    }

    #[test]
    fn refuses_a_broken_key_file() {
        let file = Key::generate().unwrap().to_file();
        for end in 0..file.len() {
            assert!(Key::from_file(&file[..end]).is_err(), "{end}");
        }
        assert!(Key::from_file(b"-----BEGIN PGP MESSAGE-----").is_err());
    }

    #[test]
    fn decrypts_what_it_encrypted_and_nothing_else() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        for length in [0, 1, 15, 16, 17, 4096] {
            let plain = vec![b'x'; length];
            let file = key.encrypt(&plain);
            assert_eq!(file.len(), 22 + length);
            assert!(is_encrypted(&file));
            assert_eq!(key.encrypt(&plain), file);
            assert_eq!(key.decrypt(&file).unwrap().as_slice(), plain);
            assert!(length == 0 || other.decrypt(&file).is_none());
        }
        assert!(key.decrypt(b"kind: Secret").is_none());
    }

    /// Measured with git-crypt 0.7.
    #[test]
    fn encrypts_as_git_crypt_does() {
        let bytes = |count: u8| (0..count).collect::<Vec<_>>();
        let (mut aes, mut hmac) = ([0; AES], [0; HMAC]);
        aes.copy_from_slice(&bytes(32));
        hmac.copy_from_slice(&bytes(64));
        let key = Key { aes: Zeroizing::new(aes), hmac: Zeroizing::new(hmac) };
        let file = key.encrypt(b"kind: Secret\nname: gitlab\n");
        let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "00474954435259505400a491ef872505ac4c115fe9b8fbebe1bb6e88aab97bba1adf8bd15b6eab0fbb4769294348dcc6"
        );
    }

    #[test]
    fn knows_its_files_by_what_they_begin_with() {
        let key = Key::generate().unwrap();
        let (secret, key_file) = (key.encrypt(b"kind: Secret"), key.to_file());
        let kinds = [&secret[..], &key_file, b"kind: Secret"]
            .map(|file| (is_encrypted(file), is_key_file(file)));
        assert_eq!(kinds, [(true, false), (false, true), (false, false)]);
    }

    #[test]
    fn knows_a_filter_by_its_program() {
        for command in [
            "\"git-crypt\" smudge",
            "git-crypt clean --key-name=x",
            "'/opt/my tools/git-crypt' clean",
        ] {
            assert!(is_filter_command(command), "{command}");
        }
        for command in
            ["", "git-lfs smudge", "/opt/git-crypt/run clean", "cat git-crypt", "\"git-crypt"]
        {
            assert!(!is_filter_command(command), "{command}");
        }
    }

    #[test]
    fn knows_an_attribute_file_that_gives_files_to_it() {
        assert!(is_named_in(b"secrets/** filter=git-crypt diff=git-crypt\n"));
        assert!(is_named_in(b"\xff filter=git-crypt-production\n"));
        assert!(!is_named_in(b"*.bin filter=lfs diff=git-crypt\n"));
    }
}
