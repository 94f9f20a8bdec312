//! A change under construction: collects the writes and puts them into a safe order.

use super::{Directory, Effect, Env, Removal, SecretChange, SecretSources, Write};
use crate::manifests::below;
use crate::opaque::listing::plain;
use crate::opaque::{
    DirectoryFault, EnvFile, Generator, Key, Kustomization, MisleadingLine, Value, kustomization,
};
use crate::work_tree::Content;
use crate::yaml_edit::Edited;
use zeroize::Zeroizing;

/// A change under construction.
pub(super) struct Draft<'d> {
    directory: &'d Directory<'d>,
    text: Zeroizing<String>,
    notes: Vec<String>,
    /// Writes that must precede that of the kustomization.
    before: Vec<Write>,
    /// Writes that must follow that of the kustomization.
    after: Vec<Write>,
    removals: Vec<Removal>,
    traps: Vec<(String, usize, MisleadingLine)>,
}

impl<'d> Draft<'d> {
    pub(super) fn new(directory: &'d Directory<'d>) -> Self {
        Self {
            directory,
            text: directory.opened.text.clone(),
            notes: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            removals: Vec::new(),
            traps: Vec::new(),
        }
    }

    pub(super) fn edit(
        &mut self,
        note: &str,
        edit: impl FnOnce(&str) -> Edited,
    ) -> Result<(), DirectoryFault> {
        self.text =
            edit(&self.text).map_err(|why| DirectoryFault::new(self.directory.path(), why))?;
        self.notes.push(note.to_owned());
        Ok(())
    }

    pub(super) fn put_line(
        &mut self,
        env: &Env,
        key: &Key,
        value: &Value,
    ) -> Result<(), DirectoryFault> {
        let bytes = env.parsed().set(key, value);
        for (line, trap) in EnvFile::parse(&bytes).traps().filter(|(_, trap)| trap.breaks()) {
            if matches!(
                trap,
                MisleadingLine::TooLong | MisleadingLine::NotUtf8 | MisleadingLine::Repeated
            ) {
                return Err(DirectoryFault::new(
                    &env.path,
                    &format!("line {line}: {}", trap.message()),
                ));
            }
            self.traps.push((env.path.clone(), line, trap));
        }
        if !env.parsed().holds(key, value) {
            let what = if env.parsed().has(key) { "changed value" } else { "new key" };
            let note = if env.exists { what } else { "new file" };
            let note = format!("{}: {note}", key.as_str());
            self.before.push(Write { path: env.path.clone(), bytes, note });
        }
        Ok(())
    }

    pub(super) fn put_file(
        &mut self,
        path: &str,
        key: &Key,
        value: &Value,
    ) -> Result<(), DirectoryFault> {
        let held = match (self.directory.read)(path) {
            Content::Absent => None,
            content => Some(plain(path, content)?),
        };
        if held.as_ref().is_none_or(|held| !value.is(held)) {
            let note = if held.is_some() { "changed value" } else { "new file" };
            let (path, note) = (path.to_owned(), format!("{}: {note}", key.as_str()));
            self.before.push(Write { path, bytes: Zeroizing::new(value.bytes().to_owned()), note });
        }
        Ok(())
    }

    /// Removes `key` from all env files but the one with the index `kept`. Deletes a file without
    /// any other key.
    pub(super) fn drop_lines(
        &mut self,
        found: &SecretSources,
        key: &Key,
        kept: Option<usize>,
    ) -> Result<(), DirectoryFault> {
        let others = found
            .envs
            .iter()
            .enumerate()
            .filter(|(at, env)| Some(*at) != kept && env.parsed().has(key));
        for (_, env) in others {
            if env.parsed().unset(key).is_some() {
                self.drop_lines_of(std::iter::once(env), key);
                continue;
            }
            if let Some(reference) = &env.reference {
                self.edit(&format!("no longer names {reference}"), |text| {
                    kustomization::remove_env(text, found.name, reference)
                })?;
            }
            self.delete(&env.path, "has no key left");
        }
        Ok(())
    }

    pub(super) fn drop_lines_of<'e>(&mut self, envs: impl Iterator<Item = &'e Env>, key: &Key) {
        for env in envs.filter(|env| env.parsed().has(key)) {
            let Some(bytes) = env.parsed().unset(key) else { continue };
            let note = format!("{}: removed", key.as_str());
            self.after.push(Write { path: env.path.clone(), bytes, note });
        }
    }

    /// Deletes a file of the directory if it exists and nothing else refers to it.
    pub(super) fn delete(&mut self, path: &str, note: &str) {
        let dir = format!("{}/", self.directory.dir);
        let is_known = self.removals.iter().any(|removal| removal.path == path);
        let left = Kustomization::parse(&self.text).map(|left| left.generators).unwrap_or_default();
        let is_used = left
            .iter()
            .flat_map(Generator::paths)
            .any(|used| below(self.directory.dir, used).as_deref() == Some(path));
        if path.starts_with(&dir)
            && !is_known
            && !is_used
            && !matches!((self.directory.read)(path), Content::Absent)
        {
            self.removals.push(Removal { path: path.to_owned(), note: note.to_owned() });
        }
    }

    pub(super) fn finish(self, effect: Effect, place: String) -> SecretChange {
        let mut writes = self.before;
        if *self.text != *self.directory.opened.text {
            writes.push(Write {
                path: self.directory.opened.path.clone(),
                bytes: Zeroizing::new(self.text.as_bytes().to_owned()),
                note: self.notes.join(", "),
            });
        }
        writes.extend(self.after);
        let is_done = writes.is_empty() && self.removals.is_empty();
        let effect = if is_done && effect != Effect::Lack { Effect::Hold } else { effect };
        SecretChange { effect, place, writes, removals: self.removals, traps: self.traps }
    }
}
