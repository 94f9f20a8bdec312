//! The kustomization of a directory below `secrets/`: the files that it reads and the Secrets that
//! it generates from them. Edits leave all other lines unchanged. Pure. No error quotes file
//! contents.

use crate::manifests::below;
use crate::yaml_edit::{self, Document, Edited, Refusal, Step};
use Step::{Item, Key};

/// The field with the generated Secrets.
const GENERATORS: &str = "secretGenerator";

/// The relevant content of a kustomization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kustomization {
    /// `resources`, as written.
    pub resources: Vec<String>,
    /// The Secrets that it generates.
    pub generators: Vec<Generator>,
    /// Fields that kustomize prints if they do not parse, although they may hold values.
    pub printed: Vec<&'static str>,
}

/// A Secret that is generated from files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Generator {
    /// The name without the hash suffix.
    pub name: String,
    /// The env files, as written.
    pub envs: Vec<String>,
    /// The files that each hold one value.
    pub files: Vec<KeyFile>,
    /// Whether it has literal values in the kustomization itself.
    pub has_literals: bool,
}

/// A file that holds the value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The key.
    pub key: String,
    /// The path, as written.
    pub path: String,
}

impl Kustomization {
    /// Parses `text`.
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
            ["patches", "patchesJson6902", "patchesStrategicMerge"]
                .into_iter()
                .filter(|list| inline(list)),
        );
        printed.extend(generators.iter().any(|one| one.has_literals).then_some("literals"));
        Ok(Self { resources: texts(&document, &[Key("resources")])?, generators, printed })
    }

    /// All files and directories that it lists, as paths below the top of the repository; `dir` is
    /// its directory.
    #[must_use]
    pub fn files(&self, dir: &str) -> Vec<String> {
        let generated = self.generators.iter().flat_map(Generator::paths);
        let all = self.resources.iter().map(String::as_str).chain(generated);
        all.filter_map(|reference| below(dir, reference)).collect()
    }

    /// The generator of the Secret `name`.
    #[must_use]
    pub fn generator(&self, name: &str) -> Option<&Generator> {
        self.generators.iter().find(|one| one.name == name)
    }
}

impl Generator {
    fn read(document: &Document, at: usize) -> Result<Self, Refusal> {
        let field = |name: &'static str| [Key(GENERATORS), Item(at), Key(name)];
        let name =
            document.scalar_at(&field("name")).ok_or("an entry of secretGenerator has no name")?;
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

    /// All files that it reads, as written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.envs.iter().map(String::as_str).chain(self.files.iter().map(|file| file.path.as_str()))
    }
}

impl KeyFile {
    /// Parses `path`, whose key is the file name, or `KEY=path` (kustomize's `ParseFileSource`).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (key, path) =
            text.split_once('=').unwrap_or((text.rsplit('/').next().unwrap_or(text), text));
        Self { key: key.to_owned(), path: path.to_owned() }
    }
}

/// The field with labels for generated Secrets, added if the kustomization has none.
const OPTIONS: &str = "generatorOptions";

/// `text` with `reference` among its resources.
pub fn add_resource(text: &str, reference: &str) -> Edited {
    add_resources(text, &[reference])
}

/// Like [`add_resource`], with several references.
pub fn add_resources(text: &str, references: &[&str]) -> Edited {
    let items: Vec<_> = references.iter().map(|reference| yaml_edit::scalar(reference)).collect();
    yaml_edit::push_all(
        text,
        &[Key("resources")],
        &items.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

/// `text` with the env file `path` in the entry of the Secret `name`, which is added if it is
/// missing.
pub(super) fn add_env(text: &str, name: &str, path: &str, project: &str) -> Edited {
    add(text, name, "envs", path, project)
}

/// Like [`add_env`], with a file that holds the value of the key it is named after.
pub(super) fn add_file(text: &str, name: &str, path: &str, project: &str) -> Edited {
    add(text, name, "files", path, project)
}

fn add(text: &str, name: &str, list: &str, path: &str, project: &str) -> Edited {
    let path = yaml_edit::scalar(path);
    if let Some(at) = place(text, name)? {
        return yaml_edit::push(text, &[Key(GENERATORS), Item(at), Key(list)], &path);
    }
    let mut edited = zeroize::Zeroizing::new(text.to_owned());
    if !Document::parse(text)?.keys(&[]).contains(&OPTIONS) {
        for (label, value) in [("part-of", project), ("managed-by", "makeinfra")] {
            let label = format!("app.kubernetes.io/{label}");
            edited = yaml_edit::set(&edited, &[OPTIONS, "labels", &label], value)?;
        }
    }
    let item = format!("name: {}\n{list}:\n  - {path}", yaml_edit::scalar(name));
    yaml_edit::push(&edited, &[Key(GENERATORS)], &item)
}

/// `text` without the env file `path`, as written, in the entry of the Secret `name`.
pub(super) fn remove_env(text: &str, name: &str, path: &str) -> Edited {
    remove_from(text, name, "envs", |item| item == path)
}

/// `text` without the files of `key` in the entry of the Secret `name`, however often it is listed.
pub(super) fn remove_file(text: &str, name: &str, key: &str) -> Edited {
    let mut edited = remove_from(text, name, "files", |item| KeyFile::parse(item).key == key)?;
    let is_named = |text: &str| -> Result<bool, Refusal> {
        let left = Kustomization::parse(text)?;
        Ok(left.generator(name).is_some_and(|one| one.files.iter().any(|file| file.key == key)))
    };
    while is_named(&edited)? {
        edited = remove_from(&edited, name, "files", |item| KeyFile::parse(item).key == key)?;
    }
    Ok(edited)
}

fn remove_from(text: &str, name: &str, list: &str, is_it: impl Fn(&str) -> bool) -> Edited {
    let at = place(text, name)?.ok_or("it does not generate the Secret")?;
    let list = [Key(GENERATORS), Item(at), Key(list)];
    let items = texts(&Document::parse(text)?, &list)?;
    let gone = items
        .iter()
        .position(|item| is_it(item))
        .ok_or("it names a file in the deprecated field `env`")?;
    yaml_edit::remove_item(text, &[&list[..], &[Item(gone)]].concat())
}

/// `text` without the entry of the Secret `name`.
pub(super) fn remove_generator(text: &str, name: &str) -> Edited {
    let at = place(text, name)?.ok_or("it does not generate the Secret")?;
    let mut edited = yaml_edit::remove_item(text, &[Key(GENERATORS), Item(at)])?;
    if are_ours(&Document::parse(&edited)?) {
        edited = yaml_edit::remove(&edited, &[OPTIONS])?;
    }
    let left = Document::parse(&edited)?;
    // kustomize fails on a kustomization without a field that produces something.
    let is_lean =
        left.keys(&[]).iter().all(|key| ["apiVersion", "kind", "metadata", OPTIONS].contains(key));
    if is_lean {
        let gap = if edited.ends_with('\n') { "" } else { "\n" };
        edited = zeroize::Zeroizing::new(format!("{}{gap}resources: []\n", *edited));
    }
    Ok(edited)
}

/// Whether the generator options are those added with the first entry, and no entry is left.
fn are_ours(document: &Document) -> bool {
    let labels = [OPTIONS, "labels"];
    document.count(&[Key(GENERATORS)]) == 0
        && document.keys(&[OPTIONS]) == ["labels"]
        && document.keys(&labels) == ["app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"]
        && document.scalar(&[labels[0], labels[1], "app.kubernetes.io/managed-by"])
            == Some("makeinfra")
        && !document.keys(&[]).contains(&"configMapGenerator")
}

/// Index of the entry of the Secret `name`; `None` if there is none.
fn place(text: &str, name: &str) -> Result<Option<usize>, Refusal> {
    Ok(Kustomization::parse(text)?.generators.iter().position(|one| one.name == name))
}

/// The strings of a list; empty if there is no list.
fn texts(document: &Document, path: &[Step]) -> Result<Vec<String>, Refusal> {
    let item = |at| {
        let text = document.scalar_at(&[path, &[Item(at)]].concat());
        text.map(str::to_owned).ok_or("it has another kind of value where a file path is required")
    };
    (0..document.count(path)).map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: &str =
        "# mine\nkind: Kustomization\nresources:\n  - gitlab.secret.yaml  # first\n";

    fn done(edited: Edited) -> String {
        edited.unwrap().to_string()
    }

    #[test]
    fn an_entry_comes_with_its_first_file_and_goes_without_a_trace_of_the_others() {
        let one = done(add_env(FRESH, "db", "db.env", "hello"));
        let options = "generatorOptions:\n  labels:\n    app.kubernetes.io/part-of: hello\n    app.kubernetes.io/managed-by: makeinfra\n";
        assert_eq!(
            one,
            format!("{FRESH}{options}secretGenerator:\n  - name: db\n    envs:\n      - db.env\n")
        );
        let two = done(add_file(&one, "db", "db.d/tls.key", "hello"));
        assert_eq!(two, format!("{one}    files:\n      - db.d/tls.key\n"));
        let three = done(add_env(&two, "on", "on.env", "hello"));
        assert_eq!(three, format!("{two}  - name: \"on\"\n    envs:\n      - on.env\n"));
        assert_eq!(done(remove_file(&two, "db", "tls.key")), one);
        assert_eq!(done(remove_generator(&three, "on")), two);
        assert_eq!(done(remove_generator(&two, "db")), FRESH);
        assert_eq!(
            done(remove_env(&two, "db", "db.env")),
            two.replace("    envs:\n      - db.env\n", "")
        );
    }

    #[test]
    fn a_file_that_is_named_twice_goes_twice() {
        let text =
            "secretGenerator:\n  - name: db\n    files:\n      - a\n      - K=b\n      - K=c\n";
        assert_eq!(
            done(remove_file(text, "db", "K")),
            text.replace("      - K=b\n      - K=c\n", "")
        );
    }

    #[test]
    fn what_people_wrote_of_the_generator_stays() {
        let text = format!("{FRESH}generatorOptions:\n  disableNameSuffixHash: true\n");
        let with = done(add_env(&text, "db", "db.env", "hello"));
        assert!(with.starts_with(&text));
        assert_eq!(done(remove_generator(&with, "db")), text);
        let text = "secretGenerator:\n  - name: db\n    envs: [db.env]\n";
        assert!(add_env(text, "db", "more.env", "hello").is_err());
        assert_eq!(
            done(remove_generator(&format!("kind: Kustomization\n{text}"), "db")),
            "kind: Kustomization\nresources: []\n"
        );
        let text = "secretGenerator:\n  - name: db\n    env: db.env\n";
        assert!(remove_env(text, "db", "db.env").unwrap_err().contains("`env`"));
    }
}
