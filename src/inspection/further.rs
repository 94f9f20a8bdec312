//! Further Secrets: the files `NAME.secret.yaml` beside the pull secrets, which `make deploy` brings to the cluster, too.

use super::Reader;
use crate::answers::{Answer, Answers, DnsLabel, Environment};
use crate::manifests::documents;
use crate::work_tree::Content;
use serde_yaml::Value;

/// What such a file's name ends with.
const END: &str = ".secret.yaml";

/// One of them.
pub struct Further {
    /// Its path.
    pub path: String,
    /// Why `make deploy` would refuse it, as a sentence about "it"; none where it would not, or is locked.
    pub fault: Option<String>,
}

impl Reader {
    /// Those of all environments.
    pub(super) fn further(&self, answers: &Answers) -> Vec<Further> {
        let of = |environment: &Environment| {
            let own = environment.secret_file(&answers.secret_name);
            let below = format!("{}/", environment.secrets);
            let paths = self.tree.at(&environment.secrets).map(|(path, _)| path);
            let named = paths.filter_map(|path| Some((path, path.strip_prefix(&below)?.strip_suffix(END)?)));
            let others = named.filter(|(path, name)| *path != own && !name.contains('/'));
            let judged = others.map(|(path, name)| Further {
                path: path.to_owned(),
                fault: fault(&self.open(path), name, environment.namespace.as_str()),
            });
            judged.collect::<Vec<_>>()
        };
        answers.environments.iter().flat_map(of).collect()
    }
}

fn fault(content: &Content, name: &str, namespace: &str) -> Option<String> {
    if DnsLabel::parse(name).is_err() {
        return Some("its name is none that a Secret of this repository can have".to_owned());
    }
    let text = match content {
        Content::Bytes(bytes) if bytes.is_empty() => return Some("it is empty".to_owned()),
        Content::Bytes(bytes) => bytes,
        Content::Unread(why) => return Some((*why).to_owned()),
        Content::Locked | Content::Absent => return None,
    };
    let found = match documents(text) {
        Ok(found) => found,
        Err(why) => return Some(why),
    };
    let is_it = |object: &Value| {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = object.get("metadata")?;
        let elsewhere = metadata.get("namespace").is_some_and(|one| one.as_str() != Some(namespace));
        let (kind, own) = (object.get("kind").and_then(text)?, metadata.get("name").and_then(text)?);
        (kind == "Secret" && own == name && !elsewhere).then_some(())
    };
    match found.as_slice() {
        [only] if is_it(only).is_some() => None,
        _ => Some(format!(
            "it must hold a Secret called `{name}`, of namespace `{namespace}`, and nothing else"
        )),
    }
}
