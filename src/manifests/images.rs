//! kustomize's `images`: another name, tag or digest for the images of a name.
//!
//! Source: kustomize v5, `api/filters/imagetag/updater.go` and `api/internal/image/image.go`.

use super::workload::containers_mut;
use serde_yaml::Value;

/// One entry of `images`.
pub(super) struct ImageTag {
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
    digest: Option<String>,
    suffix: Option<String>,
}

impl ImageTag {
    /// Reads an entry. The error is what kustomize would refuse.
    pub(super) fn of(value: &Value) -> Result<Self, &'static str> {
        let text = |name: &str| match value.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            // 1.10 would be 1.1: kustomize takes texts alone.
            Some(_) => Err("an entry of its `images` has a number where a text is needed: quote it"),
        };
        Ok(Self {
            name: text("name")?.ok_or("an entry of its `images` has no `name`")?,
            new_name: text("newName")?,
            new_tag: text("newTag")?,
            digest: text("digest")?,
            suffix: text("tagSuffix")?,
        })
    }

    /// Changes the images of `resource` that have the name.
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
        // Where the entry's name has a tag itself, as kustomize's pattern allows.
        if name != self.name && image != self.name {
            return None;
        }
        let name = self.new_name.as_deref().unwrap_or(name);
        let (tag, digest) = match (&self.new_tag, &self.digest, &self.suffix) {
            (Some(tag), digest, _) => (tag.clone(), digest.as_deref()),
            (None, Some(digest), _) => (String::new(), Some(digest.as_str())),
            (None, None, Some(suffix)) => (format!("{tag}{suffix}"), None),
            (None, None, None) => (tag.to_owned(), digest),
        };
        let tag = if tag.is_empty() { tag } else { format!(":{tag}") };
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        Some(format!("{name}{tag}{digest}"))
    }
}

/// Name, tag (or nothing) and digest of an image.
fn split(image: &str) -> (&str, &str, Option<&str>) {
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    let path = named.rfind('/').map_or(0, |slash| slash + 1);
    match named[path..].find(':') {
        Some(colon) => (&named[..path + colon], &named[path + colon + 1..], digest),
        None => (named, "", digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row was made with `kubectl kustomize` 1.32.
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
            ("{name: 'r:5/b', newTag: '2'}", "r:5/b", Some("r:5/b:2")),
        ] {
            let entry = ImageTag::of(&serde_yaml::from_str(entry).unwrap()).unwrap();
            assert_eq!(entry.changed(image).as_deref(), changed, "{image}");
        }
    }

    #[test]
    fn refuses_a_number_for_a_tag() {
        assert!(ImageTag::of(&serde_yaml::from_str("{name: a, newTag: 1.0}").unwrap()).is_err());
        assert!(ImageTag::of(&serde_yaml::from_str("{newTag: '1'}").unwrap()).is_err());
    }
}
