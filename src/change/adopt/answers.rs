//! The answers that manifests imply, as text. This is a first guess at what a component consists
//! of; values in generated places are read by `current`, as for an update. Pure.

use super::namespaces::namespace;
use super::pods::{pod, pod_security};
use super::survey::Survey;
use crate::answers::{
    Answer, Answers, Ci, ComponentName, DnsLabel, Environment, EnvironmentName, ImageRef, Name,
    PodSecurity, ProjectName, Refused, RegistryKey, Replicas, Setting, Sheet, Values, Workload,
};
use crate::change::objects::{self, at, list, text};
use crate::change::{Files, OVERLAYS};
use crate::context::Context;
use crate::pull_secret::{Inspected, Manifest, keyring};
use serde_yaml::Value;
use std::collections::BTreeSet;

/// The file that is generated if a scheduled pipeline rotates deploy tokens.
const ROTATION: &str = ".gitlab/rotate.job.yml";

/// Name, type, keys and e-mail addresses of a pull secret, none of which is secret.
pub(super) struct PullSecretFacts {
    pub(super) name: String,
    kind: Option<&'static str>,
    keys: Vec<String>,
    emails: Vec<Option<String>>,
}

impl PullSecretFacts {
    /// Parses the Secret `document`, whose text is `text`; `None` if it is not a pull secret.
    pub(super) fn read(document: &Value, text: &str) -> Option<Self> {
        let name = Inspected::of(document)?.name?;
        let mut facts = Self { name, kind: None, keys: Vec::new(), emails: Vec::new() };
        // A malformed one is kept, and `check` reports its problem.
        if let Ok(manifest) = Manifest::parse(text) {
            facts.kind = Some(manifest.kind().as_str());
            facts.keys = manifest.config().keys().map(str::to_owned).collect();
            facts.emails = facts.keys.iter().map(|key| manifest.config().email(key)).collect();
        }
        Some(facts)
    }

    /// Whether the kubelet would find credentials for `image`.
    pub(super) fn serves(&self, image: &ImageRef) -> bool {
        self.keys.iter().any(|key| keyring::matches(key, image))
    }

    /// The key under which the kubelet finds credentials for `image`, otherwise the first key, with
    /// the e-mail address of its entry.
    fn entry(&self, image: &ImageRef) -> Option<(&str, Option<&str>)> {
        let keys = self.keys.iter().map(String::as_str);
        let key = keyring::matching(keys, image)
            .first()
            .copied()
            .or(self.keys.first().map(String::as_str))?;
        let place = self.keys.iter().position(|one| one == key)?;
        Some((key, self.emails[place].as_deref()))
    }
}

/// What the answers are read from: the files at their new paths.
pub(super) struct Source<'s> {
    pub(super) files: &'s Files,
    pub(super) survey: &'s Survey,
    pub(super) project: &'s ProjectName,
    pub(super) environments: &'s [EnvironmentName],
    pub(super) pull_secret: Option<&'s PullSecretFacts>,
    /// The requested answers.
    pub(super) values: &'s Values,
    /// Users' files that are replaced.
    pub(super) taken: &'s BTreeSet<String>,
}

/// A workload: its kind, and the container with its name, otherwise the first.
struct Main<'v> {
    object: &'v Value,
    kind: &'v str,
    container: Option<&'v Value>,
}

impl<'s> Source<'s> {
    /// The answers. Values that are not accepted are skipped.
    pub(super) fn answers(&self) -> std::result::Result<Answers, Refused> {
        let mut sheet = Sheet::default();
        sheet.values.insert(Name::Project, Some(format!("{}-infra", self.project)));
        self.main(&mut sheet.values);
        self.common(&mut sheet.values);
        for (name, value) in self.values {
            sheet.values.insert(*name, value.clone());
        }
        self.environments(&mut sheet);
        self.further(&mut sheet);
        loop {
            let refused = match sheet.answers() {
                Ok(answers) => return Ok(answers),
                Err(refused) => refused,
            };
            let (Refused::Broken(name, _) | Refused::Unfit(name, _) | Refused::Alone(name, ..)) =
                refused
            else {
                return Err(refused);
            };
            let is_asked = self.values.contains_key(&name);
            let mut all: Vec<&mut Values> = vec![&mut sheet.values];
            all.extend(sheet.environments.iter_mut().map(|(_, values)| values));
            all.extend(sheet.components.iter_mut().map(|(_, values)| values));
            let dropped = all.into_iter().filter_map(|values| values.remove(&name)).count();
            if is_asked || dropped == 0 {
                return Err(refused);
            }
        }
    }

    /// The objects of the base, or all objects if there is no base yet.
    fn objects(&self) -> impl Iterator<Item = (&'s str, &'s Value)> {
        self.survey
            .manifests
            .iter()
            .flat_map(|(path, all)| all.iter().map(move |one| (path.as_str(), one)))
    }

    fn main_workload(&self) -> Option<Main<'s>> {
        main_workload(self.survey, self.project)
    }

    fn main(&self, values: &mut Values) {
        let Some(main) = self.main_workload() else { return };
        describe(values, main.object, main.kind);
        let Some(container) = main.container else { return };
        values.insert(Name::Port, port(container));
        let Some(image) =
            text(container, &["image"]).and_then(|image| ImageRef::parse_unpinned(image).ok())
        else {
            return;
        };
        let image = self.kustomized(image);
        let entry = self.pull_secret.and_then(|secret| secret.entry(&image));
        let registry = entry
            .map_or_else(|| RegistryKey::for_image(&image).to_string(), |(key, _)| key.to_owned());
        values.insert(Name::Registry, Some(registry));
        values.insert(Name::Email, entry.and_then(|(_, email)| email).map(str::to_owned));
        values.insert(Name::Image, Some(image.to_string()));
    }

    /// `image` with the tag and the name that the first kustomization with an entry for it sets.
    fn kustomized(&self, image: ImageRef) -> ImageRef {
        let is_production = |dir: &&String| dir.ends_with("/production");
        let all = self.survey.kustomizations.iter();
        let (production, others): (Vec<_>, Vec<_>) = all.partition(|(dir, _)| is_production(dir));
        let all =
            production.into_iter().chain(others).flat_map(|(_, one)| list(&one.value, "images"));
        let entry = all.into_iter().find(|entry| text(entry, &["name"]) == Some(image.name()));
        let Some(entry) = entry else { return image };
        let tagged =
            objects::reference(entry).and_then(|text| ImageRef::parse(&text).ok()).unwrap_or(image);
        let version = &tagged.as_str()[tagged.name().len()..];
        let renamed = text(entry, &["newName"]).map(|name| format!("{name}{version}"));
        renamed.and_then(|text| ImageRef::parse(&text).ok()).unwrap_or(tagged)
    }

    fn common(&self, values: &mut Values) {
        let is_own = |kind: &str| {
            self.objects().any(|(_, one)| objects::is_object(one, kind, self.project.as_str()))
        };
        values.insert(Name::ServiceAccount, Some(yes(is_own("ServiceAccount"))));
        let host = self
            .objects()
            .find(|(_, one)| objects::is_object(one, "Ingress", self.project.as_str()));
        let host = host.and_then(|(_, one)| text(one, objects::HOST)).map(str::to_owned);
        values.insert(Name::Tls, Some(yes(host.is_some() && is_own("Ingress") && self.has_tls())));
        if host.is_some() {
            values.insert(Name::Ingress, host);
        }
        values.insert(
            Name::PodSecurity,
            Some(pod_security(self.survey).unwrap_or(PodSecurity::Baseline).as_str().into()),
        );
        let named = self.main_workload().and_then(|main| {
            let named = pod(main.object).and_then(|pod| list(pod, "imagePullSecrets").next());
            named.and_then(|one| text(one, &["name"])).map(str::to_owned)
        });
        let name = self.pull_secret.map(|secret| secret.name.clone()).or(named);
        values
            .insert(Name::SecretName, Some(name.unwrap_or_else(|| DnsLabel::gitlab().to_string())));
        if let Some(kind) = self.pull_secret.and_then(|secret| secret.kind) {
            values.insert(Name::SecretType, Some(kind.to_owned()));
        }
        let is_generated = self.files.below(".gitlab").next().is_some();
        // The pipeline calls targets of the generated Makefile.
        let has_own = [".gitlab-ci.yml", "Makefile", "makefile", "GNUmakefile"]
            .iter()
            .any(|path| self.is_kept(path))
            && !is_generated;
        let ci = if has_own { Ci::None } else { Ci::Gitlab };
        values.insert(Name::Ci, Some(ci.as_str().to_owned()));
        let is_none = self
            .values
            .get(&Name::Ci)
            .is_some_and(|asked| asked.as_deref() == Some(Ci::None.as_str()));
        if self.is_kept(ROTATION) && ci == Ci::Gitlab && !is_none {
            values.insert(Name::CiRotate, Some("yes".to_owned()));
        }
    }

    fn is_kept(&self, path: &str) -> bool {
        self.files.get(path).is_some() && !self.taken.contains(path)
    }

    fn has_tls(&self) -> bool {
        self.objects().any(|(_, one)| {
            objects::is_object(one, "Ingress", self.project.as_str())
                && at(one, objects::TLS_HOST).is_some()
        })
    }

    fn environments(&self, sheet: &mut Sheet) {
        let asked = self.values.get(&Name::Namespace).cloned();
        let single = self.environments.len() < 2;
        let production = EnvironmentName::parse("production").ok();
        let names = self.environments.iter().cloned();
        let names: Vec<_> =
            names.chain(production.filter(|_| self.environments.is_empty())).collect();
        for name in names {
            let dir = format!("{OVERLAYS}/{name}");
            let settings =
                self.files.text(&format!("{dir}/{}", Environment::SETTINGS)).ok().flatten();
            let setting = |of: Setting| settings.and_then(|text| of.of(text)).map(str::to_owned);
            let kustomized =
                |dir: &str| text(&self.survey.kustomizations.get(dir)?.value, &["namespace"]);
            let in_files =
                kustomized(&dir).or_else(|| kustomized(Context::BASE)).map(str::to_owned);
            let namespace = in_files
                .or_else(|| self.namespace())
                .or_else(|| single.then(|| self.project.to_string()));
            let values = sheet.environment(&name);
            if asked.is_none()
                && let Some(namespace) = namespace
            {
                values.insert(Name::Namespace, Some(namespace));
            }
            if let Some(context) = setting(Setting::Context).filter(|context| !context.is_empty()) {
                values.insert(Name::Context, Some(context));
            }
            match setting(Setting::Protected) {
                Some(word) => {
                    values.insert(Name::Protect, Some(yes(!word.is_empty())));
                }
                None if single => {
                    values.insert(Name::Protect, Some(yes(false)));
                }
                None => {}
            }
            let secrets = setting(Setting::Secrets)
                .or_else(|| single.then(|| Environment::SECRETS.to_owned()));
            if let Some(secrets) = secrets {
                values.insert(Name::Secrets, Some(secrets));
            }
        }
    }

    /// The namespace that all objects with a namespace share.
    fn namespace(&self) -> Option<String> {
        namespace(self.survey)
    }

    /// Further components: workloads in files with the names of generated ones.
    fn further(&self, sheet: &mut Sheet) {
        for (path, object) in self.objects() {
            let (Some(name), Some(kind)) =
                (text(object, &["metadata", "name"]), text(object, &["kind"]))
            else {
                continue;
            };
            let workload = Workload::ALL.into_iter().find(|one| one.kind() == kind);
            let file =
                workload.map(|one| format!("{}/{name}-{}.yaml", Context::BASE, one.as_str()));
            let Ok(component) = ComponentName::parse(name) else { continue };
            if file.as_deref() != Some(path) || name == self.project.as_str() {
                continue;
            }
            let mut values = Values::new();
            describe(&mut values, object, kind);
            let container = pod(object).and_then(|pod| list(pod, "containers").next());
            let image = container.and_then(|one| text(one, &["image"]));
            if let Some(image) = image.and_then(|image| ImageRef::parse_unpinned(image).ok()) {
                values.insert(Name::Image, Some(self.kustomized(image).to_string()));
            }
            values.insert(Name::Port, container.and_then(port));
            let is_own =
                |kind: &str| self.objects().any(|(_, one)| objects::is_object(one, kind, name));
            values.insert(Name::ServiceAccount, Some(yes(is_own("ServiceAccount"))));
            sheet.components.push((component, values));
        }
    }
}

/// The workload of the project's own component: the one with its name, otherwise the most likely
/// one.
fn main_workload<'s>(survey: &'s Survey, project: &ProjectName) -> Option<Main<'s>> {
    const KINDS: [&str; 5] = ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"];
    let of_kind = |kind: &'static str| {
        survey.manifests.values().flatten().filter(move |one| text(one, &["kind"]) == Some(kind))
    };
    let is_called_so = |one: &&Value| text(one, &["metadata", "name"]) == Some(project.as_str());
    let pulls =
        |one: &&Value| pod(one).is_some_and(|pod| list(pod, "imagePullSecrets").next().is_some());
    let all = || KINDS.into_iter().flat_map(of_kind);
    let object = all().find(is_called_so).or_else(|| all().find(pulls)).or_else(|| all().next())?;
    let name = text(object, &["metadata", "name"]);
    let containers = || pod(object).into_iter().flat_map(|pod| list(pod, "containers"));
    let named = containers().find(|one| text(one, &["name"]) == name);
    Some(Main {
        object,
        kind: text(object, &["kind"])?,
        container: named.or_else(|| containers().next()),
    })
}

/// The pull secrets of the pods of the project's own component.
pub(super) fn named_pull_secrets(survey: &Survey, project: &ProjectName) -> Vec<String> {
    let pod = main_workload(survey, project).and_then(|main| pod(main.object));
    let named = pod.into_iter().flat_map(|pod| list(pod, "imagePullSecrets"));
    named.filter_map(|one| text(one, &["name"])).map(str::to_owned).collect()
}

/// The image of the project's own component, as in its workload.
pub(super) fn main_image(survey: &Survey, project: &ProjectName) -> Option<ImageRef> {
    let image = text(main_workload(survey, project)?.container?, &["image"])?;
    ImageRef::parse_unpinned(image).ok()
}

/// Whether containers use `image` with different tags, so that a kustomization must not set one.
pub(super) fn has_other_tags(survey: &Survey, image: &ImageRef) -> bool {
    let mut tags = BTreeSet::new();
    for object in survey.manifests.values().flatten() {
        objects::containers(object, 0, &mut |written| {
            let found =
                ImageRef::parse_unpinned(written).ok().filter(|one| one.name() == image.name());
            tags.extend(found.map(|_| written.to_owned()));
        });
    }
    tags.len() > 1
}

/// Reads the kind of a workload, and its number of pods.
fn describe(values: &mut Values, object: &Value, kind: &str) {
    let workload =
        Workload::ALL.into_iter().find(|one| one.kind() == kind).unwrap_or(Workload::Deployment);
    values.insert(Name::Workload, Some(workload.as_str().to_owned()));
    match workload {
        Workload::Deployment => {
            // The API server's default.
            let count = at(object, &["spec", "replicas"]).and_then(Value::as_u64).unwrap_or(1);
            let count = count.to_string();
            values.extend(Replicas::parse(&count).is_ok().then_some((Name::Replicas, Some(count))));
        }
        Workload::CronJob => {
            let schedule = text(object, &["spec", "schedule"]).map(str::to_owned);
            values.insert(Name::Schedule, schedule);
        }
        Workload::Job => {}
    }
}

fn port(container: &Value) -> Option<String> {
    let ports = || list(container, "ports");
    let named =
        ports().find(|port| text(port, &["name"]) == Some("http")).or_else(|| ports().next());
    named.and_then(|port| port.get("containerPort")?.as_u64()).map(|port| port.to_string())
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}
