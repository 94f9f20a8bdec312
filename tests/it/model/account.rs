//! The deploy tokens in every clone, the remote and the cluster, read with libgit2 from the files
//! rather than from makeinfra's output.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use git2::{ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use makeinfra::git_crypt::Key;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::rc::Rc;

/// The content of a pull Secret.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The values of its tokens.
    pub values: BTreeSet<String>,
    /// The number of its token, according to the annotation.
    pub issued: Option<u64>,
    /// The numbers of the tokens that it lists as superseded.
    pub superseded: BTreeSet<u64>,
}

impl Secret {
    /// Parses a pull Secret; `None` if `text` is not one, as with conflict markers.
    pub fn parse(text: &str) -> Option<Self> {
        let found: Value = serde_yaml::from_str(text).ok()?;
        let data = found["data"].as_object()?.get(".dockercfg")?.as_str()?;
        let config: Value = serde_json::from_slice(&STANDARD.decode(data).ok()?).ok()?;
        let passwords = config.as_object()?.values().filter_map(|entry| entry["password"].as_str());
        let notes = &found["metadata"]["annotations"];
        let numbers = |name: &str| -> BTreeSet<u64> {
            let words = notes[name].as_str().unwrap_or_default().split_whitespace();
            words.filter_map(|word| word.rsplit(['/', '-']).next()?.parse().ok()).collect()
        };
        Some(Self {
            values: passwords.map(str::to_owned).collect(),
            issued: numbers("makeinfra/token").pop_first(),
            superseded: numbers("makeinfra/superseded-tokens"),
        })
    }
}

/// Secrets by location.
pub type Places = BTreeMap<String, Rc<Secret>>;

/// The content of a clone.
#[derive(Debug, Default, Clone)]
pub struct Clone {
    pub work: Places,
    /// Besides the work tree: HEAD, the index, and everything that a reference or a stash points
    /// to.
    pub git: Places,
    /// The last known state of the upstream branch.
    pub upstream: Option<Oid>,
    /// The texts of the journal.
    pub journal: Vec<String>,
}

impl Clone {
    /// All its Secrets, with their locations.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Rc<Secret>)> {
        self.work.iter().chain(&self.git)
    }
}

/// Reads repositories, and caches what it has read.
pub struct Reader {
    key: Key,
    blobs: RefCell<HashMap<Oid, Option<Rc<Secret>>>>,
    trees: RefCell<HashMap<Oid, Vec<(String, Oid)>>>,
    scanned: RefCell<BTreeSet<(usize, Oid)>>,
}

impl Reader {
    pub fn new(key_file: &Path) -> Self {
        let key = Key::from_file(&fs::read(key_file).unwrap()).ok().unwrap();
        Self {
            key,
            blobs: RefCell::default(),
            trees: RefCell::default(),
            scanned: RefCell::default(),
        }
    }

    /// The Secrets of the commit `id`, each at `place` and its path.
    fn commit(&self, git: &Repository, id: Oid, place: &str, found: &mut Places) {
        let Ok(commit) = git.find_object(id, None).and_then(|object| object.peel_to_commit())
        else {
            return;
        };
        let tree = commit.tree().unwrap();
        let mut trees = self.trees.borrow_mut();
        let files = trees.entry(tree.id()).or_insert_with(|| {
            let mut files = Vec::new();
            tree.walk(TreeWalkMode::PreOrder, |dir, entry| {
                if entry.kind() == Some(ObjectType::Blob) && dir.starts_with("secrets/") {
                    files.push((format!("{dir}{}", entry.name().unwrap()), entry.id()));
                }
                TreeWalkResult::Ok
            })
            .unwrap();
            files
        });
        for (path, blob) in files {
            if let Some(secret) = self.blob(git, *blob) {
                found.insert(format!("{place}:{path}"), secret);
            }
        }
    }

    fn blob(&self, git: &Repository, id: Oid) -> Option<Rc<Secret>> {
        let mut blobs = self.blobs.borrow_mut();
        let found = blobs.entry(id).or_insert_with(|| {
            let blob = git.find_blob(id).ok()?;
            let plain = self.key.decrypt(blob.content())?;
            Secret::parse(std::str::from_utf8(&plain).ok()?).map(Rc::new)
        });
        found.clone()
    }

    /// The Secrets of everything that a reference of `git` points to.
    pub fn references(&self, git: &Repository) -> Places {
        let mut found = Places::new();
        for reference in git.references().unwrap().map(Result::unwrap) {
            let Some(id) = reference.target() else { continue };
            self.commit(git, id, reference.name().unwrap(), &mut found);
            if reference.name().unwrap() == "refs/stash" {
                let log = git.reflog("refs/stash").unwrap();
                for entry in log.iter() {
                    self.commit(git, entry.id_new(), "a stash", &mut found);
                }
            }
        }
        found
    }

    pub fn clone(&self, dir: &Path) -> Clone {
        let git = Repository::open(dir).unwrap();
        let mut places = self.references(&git);
        if let Ok(head) = git.head() {
            self.commit(&git, head.target().unwrap(), "HEAD", &mut places);
        }
        let mut index = git.index().unwrap();
        index.read(true).unwrap();
        for entry in index.iter().filter(|entry| entry.path.starts_with(b"secrets/")) {
            if let Some(secret) = self.blob(&git, entry.id) {
                places
                    .insert(format!("the index:{}", String::from_utf8_lossy(&entry.path)), secret);
            }
        }
        let journal = fs::read_dir(dir.join(".git/makeinfra")).into_iter().flatten();
        Clone {
            work: self.work(dir),
            git: places,
            upstream: git.refname_to_id("refs/remotes/origin/main").ok(),
            journal: journal
                .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
                .collect(),
        }
    }

    /// The Secrets of a work tree, by path.
    pub fn work(&self, dir: &Path) -> Places {
        let mut found = Places::new();
        for place in ["secrets/kubernetes", "secrets/kubernetes/staging"] {
            let path = format!("{place}/gitlab.secret.yaml");
            let Ok(text) = fs::read_to_string(dir.join(&path)) else { continue };
            let id = Oid::hash_object(ObjectType::Blob, text.as_bytes()).unwrap();
            let mut blobs = self.blobs.borrow_mut();
            let secret = blobs.entry(id).or_insert_with(|| Secret::parse(&text).map(Rc::new));
            if let Some(secret) = secret {
                found.insert(path, secret.clone());
            }
        }
        found
    }

    /// Calls `look` with each object of `git` that was not seen before in the repository `number`.
    pub fn new_objects(&self, git: &Repository, number: usize, mut look: impl FnMut(Oid, &[u8])) {
        let odb = git.odb().unwrap();
        odb.refresh().unwrap();
        let (mut all, mut scanned) = (Vec::new(), self.scanned.borrow_mut());
        odb.foreach(|id| {
            all.push(*id);
            true
        })
        .unwrap();
        for id in all {
            if scanned.insert((number, id)) {
                look(id, odb.read(id).unwrap().data());
            }
        }
    }

    /// Forgets the objects seen before, because the repositories are new.
    pub fn forget(&self) {
        self.scanned.borrow_mut().clear();
    }
}
