//! The overlay of an environment: the values in its kustomization and in `environment.mk`. Pure.

use super::super::objects::{self, HOST, TLS_HOST, text};
use super::super::{Files, kustomization};
use crate::answers::{Answer, Environment, Host, ImageRef, Setting};
use crate::manifests;
use crate::yaml;
use crate::yaml_edit::Document;
use serde_yaml::Value;

/// The value has an unexpected form, or there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::change) struct Unclear;

/// A value; `None` if there is none.
type Read<T> = Result<Option<T>, Unclear>;

/// The files of an overlay that contain values.
pub(in crate::change) struct Overlay<'f> {
    text: &'f str,
    /// The parsed kustomization; `None` if there is no such file, or it is not YAML.
    kustomization: Option<Value>,
    settings: &'f str,
}

impl<'f> Overlay<'f> {
    /// The overlay with the given texts of its kustomization and of `environment.mk`.
    pub(in crate::change) fn new(
        kustomization: Option<&'f str>,
        settings: Option<&'f str>,
    ) -> Self {
        Self {
            text: kustomization.unwrap_or_default(),
            kustomization: kustomization.and_then(|text| yaml::read(text).ok()),
            settings: settings.unwrap_or_default(),
        }
    }

    /// The overlay in `dir`, without a file whose values may come from elsewhere: anchors,
    /// conditionals of make.
    pub(super) fn plain(files: &'f Files, dir: &str) -> Self {
        let text = |path: &str| files.text(path).ok().flatten();
        let kustomization = kustomization(files, dir).and_then(|path| text(&path));
        let settings = text(&format!("{dir}/{}", Environment::SETTINGS));
        Self::new(
            kustomization.filter(|text| Document::parse(text).is_ok()),
            settings.filter(|text| !is_conditional(text)),
        )
    }

    /// The namespace in the kustomization.
    pub(in crate::change) fn namespace(&self) -> Option<&str> {
        text(self.kustomization.as_ref()?, &["namespace"])
    }

    /// A value in `environment.mk`; `None` if it is not set there.
    pub(in crate::change) fn setting(&self, of: Setting) -> Option<&'f str> {
        of.of(self.settings)
    }

    /// Whether make asks first, for which any value stands.
    pub(super) fn is_protected(&self) -> Option<bool> {
        let value = self.setting(Setting::Protected)?;
        let is_word = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_word.then_some(!value.is_empty())
    }

    /// Whether the kustomization, which is in `dir`, lists the directory `path` among its
    /// resources.
    pub(super) fn includes(&self, dir: &str, path: &str) -> bool {
        let root = self.kustomization.as_ref();
        root.is_some_and(|root| {
            manifests::kustomization::resources(root, dir).any(|found| found == path)
        })
    }

    /// The references that its `images` make of the image `name`, entry by entry.
    pub(in crate::change) fn references(&self, name: &str) -> Vec<ImageRef> {
        let entries = self.list("images").unwrap_or_default().iter();
        let named = entries.filter(|entry| text(entry, &["name"]) == Some(name));
        named.filter_map(|entry| ImageRef::parse(&objects::reference(entry)?).ok()).collect()
    }

    /// The reference that its `images` make of the image `name`, ignoring a `newName`.
    pub(super) fn image(&self, name: &str) -> Read<ImageRef> {
        let Some(entry) = self.entry("images", name)? else { return Ok(None) };
        if entry.get("digest").is_some() && entry.get("newTag").is_some() {
            return Err(Unclear);
        }
        let written = objects::reference(entry).and_then(|text| ImageRef::parse(&text).ok());
        let image = written.ok_or(Unclear)?;
        Ok(Some(self.tagged(&image).unwrap_or(image)))
    }

    /// `image` with the tag in the comment after its digest.
    fn tagged(&self, image: &ImageRef) -> Option<ImageRef> {
        let digest = image.digest()?;
        let comment = self.text.lines().find_map(|line| {
            let value = line.trim_start_matches([' ', '-']).strip_prefix("digest:")?;
            let rest = value.trim_start_matches([' ', '"', '\'']).strip_prefix(digest)?;
            rest.trim_start_matches([' ', '"', '\'']).strip_prefix('#')
        })?;
        ImageRef::parse(&format!("{}:{}@{digest}", image.name(), comment.trim())).ok()
    }

    /// The number of pods that its `replicas` set for the component `name`.
    pub(in crate::change) fn count(&self, name: &str) -> Read<u64> {
        let Some(entry) = self.entry("replicas", name)? else { return Ok(None) };
        entry.get("count").and_then(Value::as_u64).map(Some).ok_or(Unclear)
    }

    /// The host that its patches set for the Ingress `name`, and whether they also set it for the
    /// certificate.
    pub(super) fn host(&self, name: &str) -> Read<(Host, bool)> {
        let (host, tls) = (self.patched(name, HOST)?, self.patched(name, TLS_HOST)?);
        match (host, tls) {
            (None, None) => Ok(None),
            (Some(host), tls) if tls.as_ref().is_none_or(|other| *other == host) => {
                let host = Host::parse(&host).map_err(|_| Unclear)?;
                Ok(Some((host, tls.is_some())))
            }
            _ => Err(Unclear),
        }
    }

    /// The host that its patches set at `path` of the Ingress `name`.
    pub(in crate::change) fn patched(&self, name: &str, path: &[&str]) -> Read<String> {
        let root = self.kustomization.as_ref().ok_or(Unclear)?;
        let mut found = objects::patched_hosts(root, name, path);
        found.dedup();
        // A patch file, or an older list of patches, may set it as well.
        let may_patch = |patch: &Value| {
            let kind = text(patch, &["target", "kind"]);
            patch.get("patch").is_none() && kind.is_none_or(|kind| kind == "Ingress")
        };
        let older = ["patchesJson6902", "patchesStrategicMerge"];
        let is_elsewhere = objects::list(root, "patches").any(may_patch)
            || older.iter().any(|key| objects::list(root, key).next().is_some());
        if found.len() > 1 || found.is_empty() && is_elsewhere {
            Err(Unclear)
        } else {
            Ok(found.pop())
        }
    }

    /// The only entry for `name` in the list `key`.
    fn entry(&self, key: &str, name: &str) -> Read<&Value> {
        let mut named = self.list(key)?.iter().filter(|entry| text(entry, &["name"]) == Some(name));
        match (named.next(), named.next()) {
            (entry, None) => Ok(entry),
            _ => Err(Unclear),
        }
    }

    /// The items of the list `key`; empty if there is none.
    fn list(&self, key: &str) -> Result<&[Value], Unclear> {
        match self.kustomization.as_ref().ok_or(Unclear)?.get(key) {
            None => Ok(&[]),
            Some(Value::Sequence(items)) => Ok(items),
            Some(_) => Err(Unclear),
        }
    }
}

/// Whether `text` has conditionals, so that make may skip lines.
fn is_conditional(text: &str) -> bool {
    let words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.into_iter().any(|word| ["ifeq", "ifneq", "ifdef", "ifndef", "define"].contains(&word))
}
