//! Determines which module uses which, from paths that begin with `crate::`, `super::` or `self::`.
//!
//! A name that a module re-exports or imports counts as used from where it is defined. Methods are
//! not visible.

use std::collections::{BTreeMap, BTreeSet};

/// A module: the names on the way to it from the root, whose path is empty.
type Module = Vec<String>;

/// The source, by module.
pub struct Source {
    code: BTreeMap<Module, String>,
    /// The names that each module imports with `use`, with the path of each.
    names: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

impl Source {
    /// `files` are paths below `src` with their code.
    pub fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let code: BTreeMap<Module, String> =
            files.into_iter().map(|(path, code)| (module(&path), code)).collect();
        let names = code.iter().map(|(module, code)| (module.clone(), names(code))).collect();
        Self { code, names }
    }

    /// Cycles among modules with the same parent, each including everything below it, as readable
    /// lines.
    ///
    /// A parent and everything below it are one unit: it may use its children and they may use it.
    pub fn circles(&self) -> Vec<String> {
        let mut circles = Vec::new();
        for (parent, uses) in self.siblings() {
            let mut left: BTreeSet<&str> =
                uses.keys().flat_map(|(user, used)| [user.as_str(), used.as_str()]).collect();
            let is_tied = |name: &str, left: &BTreeSet<&str>| {
                let uses_one =
                    uses.keys().any(|(user, used)| user == name && left.contains(used.as_str()));
                let is_used =
                    uses.keys().any(|(user, used)| used == name && left.contains(user.as_str()));
                uses_one && is_used
            };
            while let Some(free) = left.iter().copied().find(|name| !is_tied(name, &left)) {
                left.remove(free);
            }
            let within = uses.iter().filter(|((user, used), _)| {
                left.contains(user.as_str()) && left.contains(used.as_str())
            });
            circles.extend(within.map(|((user, used), why)| {
                format!("{}: {user} uses {used}: {why}", parent.join("/"))
            }));
        }
        circles
    }

    /// For each parent, which of its children uses which, with an example path.
    fn siblings(&self) -> BTreeMap<Module, BTreeMap<(String, String), String>> {
        let mut found: BTreeMap<Module, BTreeMap<_, _>> = BTreeMap::new();
        for (user, code) in &self.code {
            for path in paths(code) {
                let Some(used) = self.resolve(user, &path, 0) else { continue };
                let common = user.iter().zip(&used).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (user.get(common), used.get(common)) {
                    found
                        .entry(user[..common].to_vec())
                        .or_default()
                        .insert((one.clone(), other.clone()), path.join("::"));
                }
            }
        }
        found
    }

    /// The module that defines what `path` refers to in `user`; `None` if it is not ours.
    fn resolve(&self, user: &Module, path: &[String], depth: usize) -> Option<Module> {
        let child = |module: &Module, name: &String| {
            let child = [module.as_slice(), std::slice::from_ref(name)].concat();
            self.code.contains_key(&child).then_some(child)
        };
        let known = child(user, &path[0]).is_some()
            || ["crate", "super", "self"].contains(&path[0].as_str());
        if !known || depth > 8 {
            return None;
        }
        let mut module = user.clone();
        for (at, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                _ => {
                    match (
                        child(&module, name),
                        self.names.get(&module).and_then(|names| names.get(name)),
                    ) {
                        (Some(child), _) => module = child,
                        (None, Some(meant)) => {
                            let meant = [meant.as_slice(), &path[at + 1..]].concat();
                            return self.resolve(&module, &meant, depth + 1);
                        }
                        (None, None) => break,
                    }
                }
            }
        }
        Some(module)
    }
}

fn module(path: &str) -> Module {
    let names = path.trim_end_matches(".rs").split('/').map(str::to_owned);
    names.filter(|name| name != "lib").collect()
}

/// Every path in `code` that begins at one of our modules.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                found.extend(tree(&mut &code[at..]).into_iter().map(|(path, _)| path));
            }
        }
    }
    found
}

/// The names that the `use` lines of `code` import, with their paths.
fn names(code: &str) -> BTreeMap<String, Vec<String>> {
    let uses = code.match_indices("use ").filter(|(at, _)| {
        let line = code[..*at].rsplit('\n').next().unwrap().trim_start();
        line.is_empty() || line.starts_with("pub")
    });
    uses.flat_map(|(at, word)| tree(&mut &code[at + word.len()..]))
        .map(|(mut path, name)| {
            let name = name.unwrap_or_else(|| {
                path.pop_if(|last| last == "self");
                path.last().unwrap().clone()
            });
            (name, path)
        })
        .collect()
}

/// The paths of the tree at the beginning of `text` (`a::{b, c::D as E}` has two), each with its
/// name after `as`.
fn tree(text: &mut &str) -> Vec<(Vec<String>, Option<String>)> {
    let mut path = Vec::new();
    loop {
        *text = text.trim_start();
        if let Some(inside) = text.strip_prefix('{') {
            *text = inside;
            let mut all = Vec::new();
            while !text.trim_start().starts_with('}') && !text.is_empty() {
                all.extend(tree(text));
                *text = text.trim_start().trim_start_matches(',');
            }
            *text = text.trim_start().trim_start_matches('}');
            return all
                .into_iter()
                .map(|(below, name)| ([path.clone(), below].concat(), name))
                .collect();
        }
        path.push(word(text));
        match text.strip_prefix("::") {
            Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || "_{*".contains(c)) => {
                *text = rest;
            }
            _ => break,
        }
    }
    let name = text.strip_prefix(" as ").map(|rest| {
        *text = rest;
        word(text)
    });
    vec![(path, name)]
}

/// Takes the name or the `*` at the beginning of `text`.
fn word(text: &mut &str) -> String {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let end = end.max(text.chars().next().map_or(0, char::len_utf8));
    let (word, rest) = text.split_at(end);
    *text = rest;
    word.to_owned()
}

fn circles(files: &[(&str, &str)]) -> Vec<String> {
    Source::new(files.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned()))).circles()
}

#[test]
fn a_parent_and_its_children_are_no_circle() {
    let files = [
        ("a.rs", "mod b;\nmod c;\nuse b::B;\npub struct A;"),
        ("a/b.rs", "use super::A;\nuse super::c::{self, C};"),
        ("a/c.rs", "use super::{A, D};"),
    ];
    assert_eq!(circles(&files), Vec::<String>::new());
}

#[test]
fn siblings_are_a_circle_directly_through_their_parent_and_from_below() {
    let direct = [
        ("a.rs", ""),
        ("a/b.rs", "use super::{c::{C, E as F}};"),
        ("a/c.rs", "fn x(b: crate::a::b::B) {}"),
    ];
    let by_parent = [
        ("a.rs", "pub use b::{\n    B,\n    Other as Named,\n};"),
        ("a/b.rs", "use super::c::C;"),
        ("a/c.rs", "use super::Named;"),
    ];
    let below = [
        ("a.rs", ""),
        ("a/b.rs", ""),
        ("a/b/d.rs", "use super::super::c;"),
        ("a/c.rs", "use super::b::d;"),
    ];
    for files in [&direct, &by_parent] {
        assert_eq!(circles(files).len(), 2, "{:?}", circles(files));
    }
    assert_eq!(circles(&below), ["a: b uses c: super::super::c", "a: c uses b: super::b::d"]);
}
