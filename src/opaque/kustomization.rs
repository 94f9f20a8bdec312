//! The kustomization of a directory below `secrets/`: which files it takes, and which Secrets it generates from them.
//! Its edits leave every other line as it is. Pure. No fault quotes what is in it.

use crate::yaml_edit::{Document, Refusal, Step};
use Step::{Item, Key};

/// The field with the Secrets that it generates.
const GENERATORS: &str = "secretGenerator";

/// What the kustomization says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kustomization {
    /// `resources`, as they are written.
    pub resources: Vec<String>,
    /// The Secrets that it generates.
    pub generators: Vec<Generator>,
    /// Its fields that kustomize prints where they do not parse, although they may hold values.
    pub printed: Vec<&'static str>,
}

/// A Secret that is generated from files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Generator {
    /// Its name, without the hash.
    pub name: String,
    /// Its env files, as they are written.
    pub envs: Vec<String>,
    /// Its files, one a key.
    pub files: Vec<KeyFile>,
    /// Whether it has values in the kustomization itself.
    pub has_literals: bool,
}

/// A file that is the value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The key.
    pub key: String,
    /// The file, as it is written.
    pub path: String,
}

impl Kustomization {
    /// Reads `text`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let document = Document::parse(text)?;
        let mut generators = Vec::new();
        for at in 0..document.count(&[Key(GENERATORS)]) {
            generators.push(Generator::read(&document, at)?);
        }
        let mut printed = Vec::new();
        let inline = |list: &'static str| {
            (0..document.count(&[Key(list)])).any(|at| {
                let path = [Key(list), Item(at)];
                document.keys_at(&path).contains(&"patch")
                    || document.scalar_at(&path).is_some_and(|text| text.contains('\n'))
            })
        };
        printed.extend(
            ["patches", "patchesJson6902", "patchesStrategicMerge"].into_iter().filter(|list| inline(list)),
        );
        printed.extend(generators.iter().any(|one| one.has_literals).then_some("literals"));
        Ok(Self { resources: texts(&document, &[Key("resources")])?, generators, printed })
    }

    /// The Secret that it generates under `name`.
    #[must_use]
    pub fn generator(&self, name: &str) -> Option<&Generator> {
        self.generators.iter().find(|one| one.name == name)
    }
}

impl Generator {
    fn read(document: &Document, at: usize) -> Result<Self, Refusal> {
        let field = |name: &'static str| [Key(GENERATORS), Item(at), Key(name)];
        let name = document.scalar_at(&field("name")).ok_or("an entry of its secretGenerator has no name")?;
        let mut envs = texts(document, &field("envs"))?;
        envs.extend(document.scalar_at(&field("env")).map(str::to_owned));
        let files = texts(document, &field("files"))?.into_iter().map(|text| KeyFile::parse(&text));
        Ok(Self {
            name: name.to_owned(),
            envs,
            files: files.collect(),
            has_literals: document.count(&field("literals")) > 0,
        })
    }

    /// Every file that it reads, as it is written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.envs.iter().map(String::as_str).chain(self.files.iter().map(|file| file.path.as_str()))
    }
}

impl KeyFile {
    /// `path`, whose key is the file's name, or `KEY=path` (kustomize's `ParseFileSource`).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (key, path) = text.split_once('=').unwrap_or((text.rsplit('/').next().unwrap_or(text), text));
        Self { key: key.to_owned(), path: path.to_owned() }
    }
}

/// The texts of a list; empty if there is none.
fn texts(document: &Document, path: &[Step]) -> Result<Vec<String>, Refusal> {
    let item = |at| {
        let text = document.scalar_at(&[path, &[Item(at)]].concat());
        text.map(str::to_owned).ok_or("it has something else where the path of a file is needed")
    };
    (0..document.count(path)).map(item).collect()
}
