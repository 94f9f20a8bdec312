//! Attributes as read by makeinfra and by git, with random and deliberately nasty attribute files.
//! A difference could mean a secret stored in plaintext. `make differential` plays all of them,
//! `make test` a tenth.

use super::support::{Sandbox, have};
use makeinfra::repo::Repo;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The paths to ask about in each directory.
const PATHS: [&str; 6] = [
    "secrets/kubernetes/gitlab.secret.yaml",
    "secrets/a.env",
    "secrets/kubernetes/prod/B.json",
    "secrets/a b",
    "secrets/k\u{1}[x]",
    "secrets/!\\*",
];

const PATTERNS: [&str; 40] = [
    "secrets/**",
    "secrets/**",
    "secrets/**",
    "secrets/**",
    "secrets/*",
    "/secrets/**",
    "**/secrets/**",
    "secrets/",
    "secrets",
    "*",
    "**",
    "*.yaml",
    "**/*.yaml",
    "secrets/**/*",
    "secrets/*/gitlab*",
    "gitlab.secret.yaml",
    "kubernetes/*",
    "secrets**",
    "sec**/kubernetes/*",
    "secrets/kubernetes/gitlab.secret.yaml",
    "[s]ecrets/**",
    "[!a]ecrets/**",
    "[[:alpha:]]ecrets/**",
    "secrets/\\*\\*",
    "s?crets/**",
    "SECRETS/**",
    "secrets/k[a-u]bernetes/**",
    "secrets/**/",
    "***",
    "secrets/**/**",
    "a**/*",
    "secrets/**/gitlab.*",
    "**/kubernetes/**",
    "secrets/[^[:upper:][:digit:]]*",
    "secrets/*\\",
    "[attr]",
    "secrets/[]-a]*",
    "secrets/\\a.env",
    "*[!/]*",
    "**/**/*",
];

const STATES: [&str; 32] = [
    "filter=git-crypt",
    "filter=git-crypt",
    "filter=git-crypt",
    "filter=git-crypt",
    "filter=git-crypt diff=git-crypt",
    "filter=git-crypt diff=git-crypt -text",
    "-filter",
    "-filter",
    "!filter",
    "filter",
    "filter=",
    "filter=git-crypt-prod",
    "filter=lfs",
    "diff=git-crypt",
    "-text",
    "text=auto eol=lf",
    "binary",
    "vault",
    "vault",
    "lock",
    "-vault",
    "!lock",
    "vault=1",
    "--filter",
    "-filter=git-crypt",
    "filter==git-crypt",
    "Filter=git-crypt",
    "x.y_z-",
    "@",
    "filter=git-crypt,x",
    "=x",
    "text",
];

const MACROS: [&str; 12] = [
    "[attr]vault filter=git-crypt",
    "[attr]vault filter=git-crypt diff=git-crypt",
    "[attr]lock -filter",
    "[attr]lock !filter",
    "[attr] vault filter=git-crypt",
    "[attr]binary filter=git-crypt",
    "[attr]text -filter",
    "[attr]vault lock",
    "\"[attr]vault x\" filter=git-crypt",
    "[attr]lock vault -filter",
    "[attr]-vault filter",
    "[attr]filter -filter vault",
];

const NASTY: [&[u8]; 38] = [
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\0",
    b"\x0b",
    b"\x0c",
    b"\x01",
    b"\x7f",
    b"\xa0",
    b"\xc3\xa4",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\"",
    b"\\",
    b"\\\\",
    b"!",
    b"#",
    b"*",
    b"**",
    b"**/",
    b"/",
    b"?",
    b"[",
    b"]",
    b"[!",
    b"[^",
    b"[[:space:]]",
    b"[[:foo:]]",
    b"-",
    b"=",
    b"\\ ",
    b"\\!",
    b"\\\"",
    b"\\/",
    b"S",
    b"_",
    b"\r\n",
];

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Whether something happens that happens once in `rarity` times.
    fn once_in(&mut self, rarity: usize) -> bool {
        self.below(rarity) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// `text` with some bytes removed or replaced by nasty ones.
    fn spoilt(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        while self.once_in(4) && !bytes.is_empty() {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => drop(bytes.drain(at..(at + 1).min(bytes.len()))),
                1 => bytes.get_mut(at).into_iter().for_each(u8::make_ascii_uppercase),
                _ => {
                    let nasty = self.of(&NASTY);
                    bytes.splice(at..at, nasty.iter().copied());
                }
            }
        }
        bytes
    }

    /// A C-quoted pattern with some bytes escaped, occasionally incorrectly.
    fn quoted(&mut self, pattern: &[u8]) -> Vec<u8> {
        let mut text = b"\"".to_vec();
        for byte in pattern {
            match self.below(8) {
                0 => text.extend(format!("\\{byte:03o}").bytes()),
                _ if b"\"\\".contains(byte) && !self.once_in(10) => text.extend([b'\\', *byte]),
                _ => text.push(*byte),
            }
        }
        if self.once_in(20) {
            text.extend_from_slice(self.of(&[
                &b"\\n"[..],
                b"\\q",
                b"\\400",
                b"\\000",
                b"\\08",
                b"\\",
            ]));
        }
        if !self.once_in(10) {
            text.push(b'"');
        }
        text
    }

    fn line(&mut self, macros: bool) -> Vec<u8> {
        let mut line = Vec::new();
        if self.once_in(12) {
            line.extend_from_slice(self.of(&[
                &b" "[..],
                b"\t",
                b"\r",
                b"#",
                b"!",
                b"\xef\xbb\xbf",
                b"\x0b",
            ]));
        }
        if macros && self.once_in(3) {
            let definition = self.of(&MACROS);
            line.extend(self.spoilt(definition));
        } else {
            let pattern = self.of(&PATTERNS);
            let pattern = self.spoilt(pattern);
            line.extend(if self.once_in(5) { self.quoted(&pattern) } else { pattern });
            for _ in 0..=self.below(3) {
                line.extend_from_slice(self.of(&[
                    &b" "[..],
                    b" ",
                    b" ",
                    b"\t",
                    b"  ",
                    b"\r",
                    b"\x0b",
                    b"\xa0",
                ]));
                let state = self.of(&STATES);
                line.extend(self.spoilt(state));
            }
        }
        if self.once_in(60) {
            // Near the length limit for lines that git reads.
            let length = 2040 + self.below(12);
            line.extend_from_slice(b" x");
            line.resize(length.max(line.len()), b'x');
        }
        if self.once_in(12) {
            line.extend_from_slice(self.of(&[
                &b" "[..],
                b"\t",
                b"\\",
                b"\r",
                b"\0",
                b"\0 -filter",
            ]));
        }
        line
    }

    fn file(&mut self, macros: bool) -> Vec<u8> {
        let mut file = Vec::new();
        if self.once_in(20) {
            file.extend_from_slice(b"\xef\xbb\xbf");
        }
        for _ in 0..=self.below(3) {
            let line = self.line(macros);
            file.extend(line);
            file.extend_from_slice(self.of(&[&b"\n"[..], b"\n", b"\n", b"\r\n", b"\n\n", b"\r"]));
        }
        if self.once_in(4) {
            file.pop();
        }
        file
    }

    /// Writes an attribute file at `path`, or something that git does not read as one.
    fn write(&mut self, path: &Path, macros: bool) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self.below(60) {
            0 => std::os::unix::fs::symlink("elsewhere", path).unwrap(),
            1 => fs::create_dir(path).unwrap(),
            _ => fs::write(path, self.file(macros)).unwrap(),
        }
    }
}

/// A git repository in `dir` with random global attributes.
fn repository(dir: &Path, draw: &mut Draw) {
    let git = dir.join(".git");
    for below in ["objects", "refs", "info"] {
        fs::create_dir_all(git.join(below)).unwrap();
    }
    fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    let mut config = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n".to_owned();
    let folds = draw.once_in(3);
    // Always set, so that the user's own configuration does not matter.
    writeln!(config, "\tignorecase = {folds}\n\tattributesFile = {}", git.join("home").display())
        .unwrap();
    fs::write(git.join("config"), config).unwrap();
    for (file, rarity) in [("home", 3), ("info/attributes", 4)] {
        if draw.once_in(rarity) {
            fs::write(git.join(file), draw.file(true)).unwrap();
        }
    }
    let elsewhere = draw.file(true);
    fs::write(dir.join("elsewhere"), elsewhere).unwrap();
}

/// Compares the answers of both about [`PATHS`] in the directories `dirs` of the repository at
/// `top`. Returns how many are encrypted.
fn compare(sandbox: &Sandbox, top: &Path, dirs: &[String]) -> usize {
    let paths = dirs.iter().flat_map(|dir| PATHS.map(|path| format!("{dir}{path}")));
    let paths: Vec<String> = paths.collect();
    // From a file, because git answers before it has read everything.
    let list =
        sandbox.write("paths", paths.iter().map(|path| format!("{path}\0")).collect::<String>());
    let script = format!("git check-attr -z --stdin filter <{}", list.display());
    let git = sandbox.run("sh", &["-c", &script]).cwd(top).success();
    let mut values = git.bytes.split(|byte| *byte == 0).skip(2).step_by(3);
    let ours = Repo::find(top, "check").unwrap().covered(&paths).unwrap();
    for path in &paths {
        let value = values.next().unwrap();
        let gits = Some(String::from_utf8_lossy(value).into_owned());
        let is_key = |name: &str| {
            let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            letters && (1..=128).contains(&name.len())
        };
        let gits = gits.filter(|value| {
            value == "git-crypt" || value.strip_prefix("git-crypt-").is_some_and(is_key)
        });
        assert!(
            ours.get(path) == gits.as_ref(),
            "{path:?}: {:?}, but git: {gits:?}\n{}",
            ours.get(path),
            read(top, path)
        );
    }
    ours.len()
}

/// All attribute files that apply to `path`, escaped.
fn read(top: &Path, path: &str) -> String {
    let above = Path::new(path).ancestors().skip(1).map(|dir| top.join(dir).join(".gitattributes"));
    let everywhere = ["config", "home", "info/attributes"].map(|file| top.join(".git").join(file));
    let texts = above.into_iter().chain(everywhere).filter_map(|file| {
        let bytes = fs::read(&file).ok()?;
        Some(format!("{}: \"{}\"\n", file.display(), bytes.escape_ascii()))
    });
    texts.collect()
}

/// Plays `repositories`, each with that many directories, and `roots` with attributes at their
/// root.
fn play(repositories: u64, directories: usize, roots: u64) {
    if !have("git") {
        return;
    }
    let sandbox = Sandbox::in_memory();
    let mut encrypted = 0;
    for seed in 0..repositories + roots {
        let mut draw = Draw(seed);
        let top = sandbox.work(&format!("r{seed}"));
        repository(&top, &mut draw);
        let dirs: Vec<String> = match seed < repositories {
            true => (0..directories).map(|number| format!("d{number}/")).collect(),
            false => vec![String::new()],
        };
        if draw.once_in(2) || seed >= repositories {
            draw.write(&top.join(".gitattributes"), true);
        }
        for dir in &dirs {
            if !dir.is_empty() {
                draw.write(&top.join(dir).join(".gitattributes"), false);
            }
            for below in ["secrets", "secrets/kubernetes"] {
                if draw.once_in(4) {
                    draw.write(&top.join(dir).join(below).join(".gitattributes"), false);
                }
            }
        }
        encrypted += compare(&sandbox, &top, &dirs);
        fs::remove_dir_all(&top).unwrap();
    }
    // Otherwise the comparison would prove little.
    let asked = PATHS.len()
        * (usize::try_from(repositories).unwrap() * directories + usize::try_from(roots).unwrap());
    assert!(encrypted > asked / 20 && encrypted < asked / 2, "{encrypted} of {asked} encrypted");
}

#[test]
fn a_path_is_protected_where_git_says_so_and_nowhere_else() {
    play(20, 500, 100);
}

#[test]
#[ignore = "a minute: make differential"]
fn a_path_is_protected_where_git_says_so_in_100_000_attribute_sets() {
    play(100, 1000, 1000);
}

#[test]
fn git_stores_ciphertext_where_a_path_is_protected_and_nowhere_else() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::in_memory();
    let mut encrypted = 0;
    for seed in 0..100 {
        let mut draw = Draw(1_000_000 + seed);
        let top = sandbox.work(&format!("r{seed}"));
        repository(&top, &mut draw);
        draw.write(&top.join(".gitattributes"), true);
        let run = |program: &str, args: &[&str]| sandbox.run(program, args).cwd(&top);
        run("git-crypt", &["init"]).success();
        for path in PATHS {
            fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
            fs::write(top.join(path), "plain").unwrap();
        }
        run("git", &["add", "secrets"]).success();
        let covered =
            Repo::find(&top, "check").unwrap().covered(&PATHS.map(str::to_owned)).unwrap();
        for path in PATHS {
            let blob = run("git", &["cat-file", "blob", &format!(":{path}")]).success().bytes;
            let is_covered = covered.get(path).is_some_and(|filter| filter == "git-crypt");
            assert_eq!(
                blob.starts_with(b"\0GITCRYPT\0"),
                is_covered,
                "{path}: {}",
                read(&top, path)
            );
            encrypted += usize::from(is_covered);
        }
    }
    assert!(encrypted > 40, "{encrypted} encrypted");
}

#[test]
fn attributes_of_the_user_and_of_a_sparse_checkout_count() {
    let sandbox = Sandbox::with_hello();
    let says = |text: &str| {
        let checked = sandbox.makeinfra(&["check", "hello-infra", "--verbose"]).output().stdout;
        assert!(checked.contains(text), "{text}: {checked}");
    };
    let attributes = fs::read_to_string(sandbox.hello(".gitattributes")).unwrap();
    let without = attributes.replace("secrets/**", "other/**");
    fs::write(sandbox.hello(".gitattributes"), &without).unwrap();
    says("problem  secrets/kubernetes/gitlab.secret.yaml: git would store it in plaintext");
    sandbox.write("home/.config/git/attributes", "secrets/** filter=git-crypt\n");
    says("ok       .gitattributes: assigns 2 secret files to git-crypt");
    // Those of the work tree take precedence.
    fs::write(sandbox.hello(".gitattributes"), without + "secrets/** -filter\n").unwrap();
    says("problem  secrets/kubernetes/gitlab.secret.yaml: git would store it in plaintext");
    // A deleted file protects until its deletion is staged; one that a sparse checkout leaves out
    // protects permanently.
    fs::remove_file(sandbox.hello(".gitattributes")).unwrap();
    fs::remove_file(sandbox.path("home/.config/git/attributes")).unwrap();
    says("problem  secrets/kubernetes/gitlab.secret.yaml: git would store it in plaintext");
    sandbox.git(&["update-index", "--skip-worktree", ".gitattributes"]).success();
    says("ok       .gitattributes: assigns 2 secret files to git-crypt");
}

#[test]
fn an_attribute_file_that_cannot_be_read_protects_nothing() {
    let sandbox = Sandbox::with_hello();
    sandbox.run("mkfifo", &["hello-infra/secrets/.gitattributes"]).success();
    let checked = sandbox.makeinfra(&["check", "hello-infra"]).failure(1);
    checked
        .prints("problem  secrets/kubernetes/gitlab.secret.yaml: git would store it in plaintext");
    sandbox.rotate("gldt-Second", &[]).failure(1).says("would be committed in plaintext");
}
