//! kustomize's `images`: replaces name, tag or digest of images.
//!
//! Source: kustomize v5, `api/filters/imagetag/updater.go` and `api/internal/image/image.go`.

use super::FaultKind;
use serde_yaml::Value;

/// One entry of `images`.
pub(super) struct ImageTag {
    name: String,
    new_name: String,
    new_tag: String,
    digest: String,
}

impl ImageTag {
    /// Parses an entry. The error is what kustomize would refuse, or what it handles in its own
    /// way.
    pub(super) fn of(value: &Value) -> Result<Self, (FaultKind, &'static str)> {
        let text = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            // kustomize only accepts strings, since 1.10 would become 1.1.
            Some(_) => Err((
                FaultKind::Build,
                "an entry of `images` has a number instead of text: put it in quotes",
            )),
        };
        if value.get("tagSuffix").is_some() {
            return Err((FaultKind::Beyond, "`images.tagSuffix` is not supported by this check"));
        }
        Ok(Self {
            name: text("name")?,
            new_name: text("newName")?,
            new_tag: text("newTag")?,
            digest: text("digest")?,
        })
    }

    /// Changes the images of `resource` with the entry's name.
    pub(super) fn apply(&self, resource: &mut Value) {
        containers_mut(resource, &mut |container| {
            if let Some(Value::String(image)) = container.get_mut("image")
                && let Some(changed) = self.changed(image)
            {
                *image = changed;
            }
        });
    }

    fn changed(&self, image: &str) -> Option<String> {
        let (name, tag, digest) = split(image);
        // The entry's name may itself include a tag, as kustomize's pattern allows.
        if name != self.name && image != self.name {
            return None;
        }
        let name = if self.new_name.is_empty() { name } else { &self.new_name };
        // Setting either of the two replaces both.
        let (tag, digest) = if self.new_tag.is_empty() && self.digest.is_empty() {
            (tag, digest)
        } else {
            (self.new_tag.as_str(), self.digest.as_str())
        };
        let after = |mark: &str, text: &str| {
            if text.is_empty() { String::new() } else { format!("{mark}{text}") }
        };
        Some(format!("{name}{}{}", after(":", tag), after("@", digest)))
    }
}

/// Name, tag and digest of an image; empty if missing.
fn split(image: &str) -> (&str, &str, &str) {
    let (named, digest) = image.split_once('@').unwrap_or((image, ""));
    let path = named.rfind('/').map_or(0, |slash| slash + 1);
    match named[path..].find(':') {
        Some(colon) => (&named[..path + colon], &named[path + colon + 1..], digest),
        None => (named, "", digest),
    }
}

/// Calls `change` on every container of a workload, wherever kustomize looks for one.
fn containers_mut(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Mapping(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    (Some("containers" | "initContainers"), Value::Sequence(items)) => {
                        items.iter_mut().for_each(&mut *change);
                    }
                    (_, value) => containers_mut(value, change),
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| containers_mut(item, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row was generated with `kubectl kustomize` 1.32.
    #[test]
    fn changes_an_image_as_kustomize_does() {
        for (entry, image, changed) in [
            ("{name: a/b, newTag: '2'}", "a/b", Some("a/b:2")),
            ("{name: a/b, newTag: '2'}", "a/b:1", Some("a/b:2")),
            ("{name: a/b, newTag: '2'}", "a/b:1@sha256:c", Some("a/b:2")),
            ("{name: a/b, newTag: '2'}", "a/bc:1", None),
            ("{name: a/b, newTag: '2'}", "x.y/a/b:1", None),
            ("{name: a/b, digest: 'sha256:d'}", "a/b:1", Some("a/b@sha256:d")),
            ("{name: a/b, newName: 'r:5/c'}", "a/b:1", Some("r:5/c:1")),
            ("{name: a/b, newName: c, newTag: '2'}", "a/b", Some("c:2")),
            ("{name: a/b, newName: c}", "a/b:1@sha256:e", Some("c:1@sha256:e")),
            ("{name: a/b, newTag: '2', digest: 'sha256:d'}", "a/b:1", Some("a/b:2@sha256:d")),
            ("{name: 'r:5/b', newTag: '2'}", "r:5/b", Some("r:5/b:2")),
            ("{name: 'a/b:1', newTag: '2'}", "a/b:1", Some("a/b:2")),
            ("{newTag: '2'}", "a/b:1", None),
        ] {
            let entry = ImageTag::of(&serde_yaml::from_str(entry).unwrap()).unwrap();
            assert_eq!(entry.changed(image).as_deref(), changed, "{image}");
        }
    }

    #[test]
    fn refuses_a_number_for_a_tag() {
        assert!(ImageTag::of(&serde_yaml::from_str("{name: a, newTag: 1.0}").unwrap()).is_err());
    }
}
