//! Changes one key in a directory of Secrets: lists the files to write, in an order in which the
//! kustomization never refers to a missing file, and the files to delete afterwards. Planning again
//! after an interruption completes the change.

mod draft;

use super::listing::{Opened, plain};
use super::{
    DirectoryFault, EnvFile, Generator, Key, Kustomization, MAX_SIZE, MisleadingLine,
    SecretManifest, Value, kustomization,
};
use crate::manifests::below;
use crate::work_tree::Content;
use draft::Draft;
use zeroize::Zeroizing;

/// A directory of Secrets to change.
pub struct Directory<'d> {
    /// Path below the top of the repository.
    dir: &'d str,
    /// Value of the `part-of` label of the Secrets.
    project: &'d str,
    read: &'d dyn Fn(&str) -> Content,
    opened: Opened,
}

/// The planned change to the directory.
pub struct SecretChange {
    /// The effect on the Secret.
    pub effect: Effect,
    /// The file that has the value, or had it.
    pub place: String,
    /// Files to write, in this order.
    pub writes: Vec<Write>,
    /// Files to delete after all writes.
    pub removals: Vec<Removal>,
    /// Misleading lines that stay: file, line number from 1, reason.
    pub traps: Vec<(String, usize, MisleadingLine)>,
}

/// The effect of a change on a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The Secret is created with this key.
    Create,
    /// The key is added.
    Add,
    /// The key's value changes.
    Replace,
    /// Nothing: the key has the value already.
    Hold,
    /// The key is removed.
    Unset,
    /// The Secret is deleted with its last key.
    Delete,
    /// Nothing: the key does not exist.
    Lack,
}

/// A file with its new content.
pub struct Write {
    /// The path.
    pub path: String,
    /// The new content.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Description of the change; never a value.
    pub note: String,
}

/// A file to delete.
pub struct Removal {
    /// The path.
    pub path: String,
    /// Why the file is deleted.
    pub note: String,
}

/// The existing files of one Secret.
struct SecretSources<'f> {
    name: &'f str,
    generator: Option<&'f Generator>,
    envs: Vec<Env>,
}

/// An env file of a Secret.
struct Env {
    path: String,
    /// The path in the kustomization; `None` if that does not list the file.
    reference: Option<String>,
    bytes: Zeroizing<Vec<u8>>,
    /// Whether the file exists.
    exists: bool,
}

impl Env {
    fn parsed(&self) -> EnvFile<'_> {
        EnvFile::parse(&self.bytes)
    }
}

impl<'d> Directory<'d> {
    /// Opens the directory `dir`, a path below the top of the repository of `project`. `read`
    /// returns the content of a file.
    pub fn open(
        dir: &'d str,
        project: &'d str,
        read: &'d dyn Fn(&str) -> Content,
    ) -> Result<Self, DirectoryFault> {
        Ok(Self { dir, project, read, opened: Opened::at(dir, read)? })
    }

    /// The kustomization.
    #[must_use]
    pub fn kustomization(&self) -> &Kustomization {
        &self.opened.kustomization
    }

    /// The path of the kustomization.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.opened.path
    }

    /// Sets the value of `key` in the Secret `name`.
    pub fn set(
        &self,
        name: &str,
        key: &Key,
        value: &Value,
    ) -> Result<SecretChange, DirectoryFault> {
        let mut found = self.find(name)?;
        let (listed, own) = self.key_file(&found, key);
        let mut change = Draft::new(self);
        let has = listed.is_some() || found.envs.iter().any(|env| env.parsed().has(key));
        let place = if value.fits_a_line() {
            let at = found.target(key).unwrap_or_else(|| {
                let reference = format!("{name}.env");
                let path = format!("{}/{reference}", self.dir);
                found.envs.push(Env {
                    path,
                    reference: None,
                    bytes: Zeroizing::default(),
                    exists: false,
                });
                found.envs.len() - 1
            });
            let env = &found.envs[at];
            change.put_line(env, key, value)?;
            if env.reference.is_none() {
                let reference = self.reference(&env.path);
                change.edit(&format!("names {reference}"), |text| {
                    kustomization::add_env(text, name, &reference, self.project)
                })?;
            }
            change.drop_lines(&found, key, Some(at))?;
            if listed.is_some() {
                change.edit(&format!("no longer names the file of {}", key.as_str()), |text| {
                    kustomization::remove_file(text, name, key.as_str())
                })?;
            }
            change.delete(&own, "its value is now a line in the env file");
            env.path.clone()
        } else {
            let path = listed.clone().unwrap_or_else(|| own.clone());
            if let Some(rule) = key.no_file_because() {
                return Err(DirectoryFault::new(&path, rule));
            }
            change.put_file(&path, key, value)?;
            if listed.is_none() {
                let reference = self.reference(&path);
                change.edit(&format!("names {reference}"), |text| {
                    kustomization::add_file(text, name, &reference, self.project)
                })?;
            }
            change.drop_lines(&found, key, None)?;
            path
        };
        let effect = match (found.generator, has) {
            (None, _) => Effect::Create,
            (Some(_), false) => Effect::Add,
            (Some(_), true) => Effect::Replace,
        };
        let change = change.finish(effect, place);
        let (size, times) = self.outcome(&change, name, key)?;
        if times != 1 {
            let why = format!(
                "Secret {name} would have {} twice, which kustomize refuses: it names two files \
                 with that key, or one file twice",
                key.as_str()
            );
            return Err(DirectoryFault::new(self.path(), &why));
        }
        if size > MAX_SIZE {
            let why =
                format!("Secret {name} would exceed {MAX_SIZE} bytes, the limit of Kubernetes");
            return Err(DirectoryFault::new(&change.place, &why));
        }
        Ok(change)
    }

    /// Removes `key` from the Secret `name`.
    pub fn unset(&self, name: &str, key: &Key) -> Result<SecretChange, DirectoryFault> {
        let found = self.find(name)?;
        let (listed, own) = self.key_file(&found, key);
        let env = found.envs.iter().find(|env| env.parsed().has(key));
        let place =
            env.map(|env| env.path.clone()).or(listed.clone()).unwrap_or_else(|| own.clone());
        let is_there = !matches!((self.read)(&own), Content::Absent);
        let mut change = Draft::new(self);
        if env.is_none() && listed.is_none() && !is_there {
            return Ok(change.finish(Effect::Lack, place));
        }
        let keeps = |env: &&Env| env.parsed().unset(key).is_some();
        let files = found.generator.map_or(&[][..], |generator| &generator.files);
        let is_last =
            !found.envs.iter().filter(|env| env.reference.is_some()).any(|env| keeps(&env))
                && files.iter().all(|file| file.key == key.as_str());
        if is_last && found.generator.is_some() {
            change.edit(&format!("no longer generates {name}"), |text| {
                kustomization::remove_generator(text, name)
            })?;
            change.drop_lines_of(found.envs.iter().filter(keeps), key);
            for env in found.envs.iter().filter(|env| !keeps(env)) {
                change.delete(&env.path, "has no key left");
            }
        } else {
            if listed.is_some() {
                change.edit(&format!("no longer names the file of {}", key.as_str()), |text| {
                    kustomization::remove_file(text, name, key.as_str())
                })?;
            }
            change.drop_lines(&found, key, None)?;
        }
        for path in listed.iter().chain([&own]) {
            change.delete(path, "was the value");
        }
        Ok(change.finish(if is_last { Effect::Delete } else { Effect::Unset }, place))
    }

    /// Fails if the keys of the Secret `name` cannot be changed.
    pub fn check(&self, name: &str) -> Result<(), DirectoryFault> {
        self.find(name).map(drop)
    }

    /// The Secret manifests among the resources.
    pub fn manifests(&self) -> Result<Vec<SecretManifest>, DirectoryFault> {
        self.opened.manifests(self.dir, self.read)
    }

    /// The existing files of the Secret `name`.
    fn find<'f>(&'f self, name: &'f str) -> Result<SecretSources<'f>, DirectoryFault> {
        let kustomization = self.kustomization();
        let fault = |why: &str| DirectoryFault::new(self.path(), why);
        let mut named = kustomization.generators.iter().filter(|one| one.name == name);
        let (generator, None) = (named.next(), named.next()) else {
            return Err(fault(&format!("it generates Secret {name} twice")));
        };
        if generator.is_some_and(|one| one.has_literals) {
            return Err(fault(&format!(
                "its entry for {name} has `literals`, which belong in {name}.env"
            )));
        }
        let mut envs = Vec::new();
        for reference in generator.into_iter().flat_map(|one| &one.envs) {
            let path = self.resolve(reference)?;
            let bytes = plain(&path, (self.read)(&path))?;
            envs.push(Env { path, reference: Some(reference.clone()), bytes, exists: true });
        }
        let own = format!("{}/{name}.env", self.dir);
        let others = kustomization.generators.iter().filter(|one| one.name != name);
        if others
            .flat_map(Generator::paths)
            .any(|path| below(self.dir, path).as_ref() == Some(&own))
        {
            return Err(fault(&format!("another Secret than {name} is generated from {name}.env")));
        }
        if !envs.iter().any(|env| env.path == own) {
            match (self.read)(&own) {
                Content::Absent => {}
                content => {
                    let bytes = plain(&own, content)?;
                    envs.push(Env { path: own, reference: None, bytes, exists: true });
                }
            }
        }
        Ok(SecretSources { name, generator, envs })
    }

    /// The file that the kustomization lists for `key`, and the one that it would list.
    fn key_file(&self, found: &SecretSources, key: &Key) -> (Option<String>, String) {
        let files = found.generator.map_or(&[][..], |generator| &generator.files);
        let listed = files.iter().find(|file| file.key == key.as_str());
        let own = format!("{}/{}.d/{}", self.dir, found.name, key.as_str());
        (listed.and_then(|file| below(self.dir, &file.path)), own)
    }

    /// Total size of the Secret's values in bytes after `change`, and how often it has `key`.
    fn outcome(
        &self,
        change: &SecretChange,
        name: &str,
        key: &Key,
    ) -> Result<(usize, usize), DirectoryFault> {
        let after = |path: &str| -> Result<Zeroizing<Vec<u8>>, DirectoryFault> {
            match change.writes.iter().find(|write| write.path == path) {
                Some(write) => Ok(write.bytes.clone()),
                None => plain(path, (self.read)(path)),
            }
        };
        let text = after(self.path())?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        let kustomization =
            Kustomization::parse(text).map_err(|why| DirectoryFault::new(self.path(), why))?;
        let Some(generator) = kustomization.generator(name) else { return Ok((0, 0)) };
        let (mut size, mut times) = (0, 0);
        for env in &generator.envs {
            let bytes = after(&self.resolve(env)?)?;
            let env = EnvFile::parse(&bytes);
            size += env.size();
            times += env.keys().filter(|found| *found == key.as_str()).count();
        }
        for file in &generator.files {
            size += after(&self.resolve(&file.path)?)?.len();
            times += usize::from(file.key == key.as_str());
        }
        Ok((size, times))
    }

    fn resolve(&self, reference: &str) -> Result<String, DirectoryFault> {
        let outside = || DirectoryFault::new(self.path(), "it names a path outside the repository");
        below(self.dir, reference).ok_or_else(outside)
    }

    /// A path in the directory, relative to the kustomization.
    fn reference(&self, path: &str) -> String {
        path.strip_prefix(self.dir).unwrap_or(path).trim_start_matches('/').to_owned()
    }
}

impl SecretSources<'_> {
    /// Index of the env file for `key`: the one that has the key, otherwise the first that the
    /// kustomization lists, otherwise any.
    fn target(&self, key: &Key) -> Option<usize> {
        let at = |is_it: &dyn Fn(&Env) -> bool| self.envs.iter().position(is_it);
        at(&|env| env.reference.is_some() && env.parsed().has(key))
            .or_else(|| at(&|env| env.reference.is_some()))
            .or_else(|| at(&|_| true))
    }
}

impl Key {
    /// Why no file can have the key as its name; `None` if one can.
    fn no_file_because(&self) -> Option<&'static str> {
        // Git would read the value as its attributes or ignore patterns, and might fail to decrypt
        // everything else.
        let is_gits =
            self.as_str().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(".git"));
        is_gits.then_some(
            "such a value is stored in a file named after its key, but git itself reads files of \
             that name",
        )
    }
}

#[cfg(test)]
mod tests;
