//! The answers as the manifests have them by now: people change the tag, the number of pods, resources and hosts there.

use crate::answers::{
    Answer, Answers, Config, Host, ImageRef, Name, Record, Refused, Replicas, Resources, Sheet, Values,
    Workload,
};
use crate::context::Context;
use crate::error::{Failure, Result};
use serde_yaml::Value;

/// Answers as they are now.
pub struct Adopted {
    /// As text.
    pub sheet: Sheet,
    /// The resources of each component, which are no answers.
    resources: Vec<Resources>,
    /// Its settings, which are none, either.
    settings: Vec<Option<Config>>,
}

impl Adopted {
    /// The answers of `record`, with what stands in the manifests. `current` gives the text of a file.
    pub fn read(record: &Record, current: &dyn Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let document = |path: &str| -> Result<Value> {
            let text = current(path)?;
            Ok(text.and_then(|text| serde_yaml::from_str(&text).ok()).unwrap_or_default())
        };
        let answers = &record.answers;
        let context = Context::from(answers);
        let mut adopted = Self { sheet: record.sheet.clone(), resources: Vec::new(), settings: Vec::new() };
        let overlay = context.environments().first().map_or(context.base(), |first| first.overlay());
        let kustomization = document(&format!("{overlay}/kustomization.yaml"))?;
        for (place, (component, files)) in answers.components.iter().zip(context.components()).enumerate() {
            let file = |name: &str| format!("{}/{}{name}.yaml", context.base(), files.prefix());
            let workload = document(&file(component.workload.as_str()))?;
            let ingress = document(&file("ingress"))?;
            let container = container(&workload, component.workload.pod());
            adopted.resources.push(Resources::read(container.get("resources")));
            let settings =
                files.config_file().map(|file| settings(&format!("{}/{file}", context.base()), current));
            adopted.settings.push(settings.transpose()?.flatten());
            let found = [
                (Name::Image, image(&kustomization, &component.image)),
                (Name::Replicas, replicas(&workload).filter(|_| component.workload == Workload::Deployment)),
                (Name::Ingress, component.ingress.as_ref().and(host(&ingress))),
            ];
            let mut further = adopted.sheet.components.iter_mut().map(|(_, values)| values);
            let values: Option<&mut Values> = match place.checked_sub(1) {
                Some(at) => further.nth(at),
                None => Some(&mut adopted.sheet.values),
            };
            if let Some(values) = values {
                values.extend(found.into_iter().filter_map(|(name, text)| Some((name, Some(text?)))));
            }
        }
        Ok(adopted)
    }

    /// The answers that `sheet` makes: this one's, or one with something added.
    pub fn answers(&self, sheet: &Sheet) -> std::result::Result<Answers, Refused> {
        let mut answers = sheet.answers()?;
        let components = answers.components.iter_mut();
        for ((component, resources), settings) in components.zip(&self.resources).zip(&self.settings) {
            component.resources = resources.clone();
            component.settings.clone_from(settings);
        }
        Ok(answers)
    }
}

/// The one container of a workload, whose pod is at `pod`.
fn container<'w>(workload: &'w Value, pod: &[&str]) -> &'w Value {
    const NONE: &Value = &Value::Null;
    let pod = pod.iter().try_fold(workload, |value, key| value.get(*key));
    pod.and_then(|pod| pod.get("containers")?.get(0)).unwrap_or(NONE)
}

/// The settings in `file`, which may have to move.
fn settings(file: &str, current: &dyn Fn(&str) -> Result<Option<String>>) -> Result<Option<Config>> {
    let config = current(file)?.map(|text| Config::parse(text.as_bytes()));
    Ok(config.transpose().map_err(|fault| {
        let place = fault.line.map_or_else(String::new, |line| format!("line {line}: "));
        Failure::failed(format!("cannot use `{file}`"))
            .because(format!("{place}{}", fault.rule))
            .hint("lines such as LOG_LEVEL=info, and comments that begin with `#`")
    })?)
}

/// `image` with the tag or digest that a kustomization gives it, if it gives it one.
fn image(kustomization: &Value, image: &ImageRef) -> Option<String> {
    let images = kustomization.get("images")?.as_sequence()?;
    let entry =
        images.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(image.name()))?;
    let reference = match (entry.get("digest"), entry.get("newTag")) {
        (Some(digest), _) => format!("{}@{}", image.name(), digest.as_str()?),
        (None, tag) => format!("{}:{}", image.name(), tag?.as_str()?),
    };
    // A digest is recorded with the tag that it had, if it still is that digest.
    let same = image.digest().is_some_and(|digest| reference.ends_with(digest));
    let reference = if same { image.to_string() } else { reference };
    ImageRef::parse(&reference).is_ok().then_some(reference)
}

fn replicas(workload: &Value) -> Option<String> {
    let text = workload.get("spec")?.get("replicas")?.as_u64()?.to_string();
    Replicas::parse(&text).is_ok().then_some(text)
}

fn host(ingress: &Value) -> Option<String> {
    let text = ingress.get("spec")?.get("rules")?.get(0)?.get("host")?.as_str()?;
    Host::parse(text).is_ok().then(|| text.to_owned())
}
