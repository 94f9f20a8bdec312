//! What stands in manifests already, and would get in the way of something new: objects of its name, and other tags of its
//! image, of which a kustomization has one for all. Pure.

use super::manifest::{objects, reference, text};
use crate::answers::{Answer, ImageRef};
use serde_yaml::Value;

/// What was found, each with the file in which it stands.
#[derive(Debug, Default)]
pub struct Taken {
    /// Kind and name of objects.
    objects: Vec<(String, String, String)>,
    /// Images with the tags or digests that kustomizations give them.
    tags: Vec<(ImageRef, String)>,
    /// Those that containers have, which count where no kustomization says anything.
    images: Vec<(ImageRef, String)>,
}

impl Taken {
    /// Adds what stands in the file `path`. One that is no YAML has nothing in it.
    pub fn read(&mut self, path: &str, content: &str) {
        for document in objects(content).unwrap_or_default() {
            if let (Some(kind), Some(name)) =
                (text(&document, &["kind"]), text(&document, &["metadata", "name"]))
            {
                self.objects.push((kind.to_owned(), name.to_owned(), path.to_owned()));
            }
            let list = |key: &str| document.get(key).and_then(Value::as_sequence).into_iter().flatten();
            let generated = list("configMapGenerator").filter_map(|entry| text(entry, &["name"]));
            self.objects
                .extend(generated.map(|name| ("ConfigMap".to_owned(), name.to_owned(), path.to_owned())));
            for entry in list("images") {
                let reference = text(entry, &["name"]).and_then(|name| reference(name, entry));
                let image = reference.and_then(|reference| ImageRef::parse(&reference).ok());
                self.tags.extend(image.map(|image| (image, path.to_owned())));
            }
            self.containers(&document, path, 0);
        }
    }

    /// Adds the images of the containers in `value`.
    fn containers(&mut self, value: &Value, path: &str, depth: usize) {
        // No deeper than a CronJob's.
        if depth > 10 {
            return;
        }
        for (key, inner) in value.as_mapping().into_iter().flatten() {
            let is_list = matches!(key.as_str(), Some("containers" | "initContainers"));
            for container in inner.as_sequence().filter(|_| is_list).into_iter().flatten() {
                // One without a tag gets it elsewhere.
                let image = text(container, &["image"]).and_then(|image| ImageRef::parse(image).ok());
                self.images.extend(image.map(|image| (image, path.to_owned())));
            }
            self.containers(inner, path, depth + 1);
        }
    }

    /// The kind and the file of an object called `name`, of one of these kinds.
    #[must_use]
    pub fn object(&self, kinds: &[&str], name: &str) -> Option<(&str, &str)> {
        let found = self.objects.iter().find(|(kind, own, _)| kinds.contains(&kind.as_str()) && own == name);
        found.map(|(kind, _, path)| (kind.as_str(), path.as_str()))
    }

    /// The file in which `image` stands with another tag or digest, and with this one nowhere.
    #[must_use]
    pub fn other_tag(&self, image: &ImageRef) -> Option<&str> {
        let version = |image: &ImageRef| (image.tag().map(str::to_owned), image.digest().map(str::to_owned));
        let is_it = |(one, _): &&(ImageRef, String)| one.normalized_name() == image.normalized_name();
        let is_same = |(one, _): &&(ImageRef, String)| version(one) == version(image);
        let tags: Vec<_> = self.tags.iter().filter(is_it).collect();
        let found = match tags.is_empty() {
            true => self.images.iter().filter(is_it).find(|one| !is_same(one)),
            false => tags.first().copied().filter(|_| !tags.iter().any(is_same)),
        };
        found.map(|(_, path)| path.as_str())
    }

    /// What the kustomization in `content` builds on: paths, relative to it.
    #[must_use]
    pub fn sources(content: &str) -> Vec<String> {
        let kustomization: Value = serde_yaml::from_str(content).unwrap_or_default();
        let lists = ["resources", "bases", "components"].map(|key| kustomization.get(key).cloned());
        let items = lists.into_iter().flatten().filter_map(|list| list.as_sequence().cloned()).flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }
}
