//! The answers as the manifests have them by now: people change the tag, the number of pods, resources and hosts there.
//!
//! What is not found where makeinfra puts it is not guessed: the manifests then keep the say in it.

use super::manifest::{self, Overlay, Stands, Tagged};
use crate::answers::{
    Answer, Answers, Component, Config, Deployed, Environment, Host, Name, Record, Refused, Resources, Sheet,
    Values, Workload,
};
use crate::context::{self, Context};
use crate::error::{Failure, Result};
use serde_yaml::Value;

/// Answers as they are now.
pub struct Adopted {
    /// As text.
    pub sheet: Sheet,
    /// Whether the manifests tell the image of the project's own component.
    pub knows_image: bool,
    /// What all environments share of each component.
    shared: Vec<Shared>,
    /// What each environment has of each component, and where the tag stands.
    deployed: Vec<Vec<(Deployed, Stands)>>,
}

/// What is no answer, and what environments could change.
#[derive(Default)]
struct Shared {
    resources: Option<Resources>,
    settings: Option<Config>,
    /// Whether its workload is there under its name, and whether that says how many pods there are.
    is_there: bool,
    counts: bool,
    /// Whether its Ingress has a host, and whether its certificate has one.
    hosts: [bool; 2],
    /// Whether its Ingress serves what no environment has another host for.
    further_hosts: bool,
}

/// A component's own manifests.
struct Manifests {
    workload: Value,
    ingress: Value,
    settings: Option<Config>,
}

impl Adopted {
    /// The answers of `record`, with what stands in the manifests. `current` gives the text of a file.
    pub fn read(record: &Record, current: &dyn Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        let answers = &record.answers;
        let context = Context::from(answers);
        let mut adopted = Self {
            sheet: record.sheet.clone(),
            knows_image: false,
            shared: Vec::new(),
            deployed: Vec::new(),
        };
        let components: Vec<_> = answers.components.iter().collect();
        let mut manifests = Vec::new();
        for (component, files) in components.iter().zip(context.components()) {
            let found = Manifests::read(component, files, Context::BASE, current)?;
            adopted.shared.push(found.shared(component));
            manifests.push(found);
        }
        let text = current(&format!("{}/kustomization.yaml", Context::BASE))?;
        let base = Overlay::parse(text.as_deref());
        for (place, environment) in answers.environments.iter().enumerate() {
            let text = current(&format!("{}/kustomization.yaml", environment.overlay()))?;
            let overlay = Overlay::parse(text.as_deref());
            let of = components.iter().zip(&manifests);
            let deployed: Vec<_> =
                of.map(|(component, found)| found.deployed(component, [&overlay, &base])).collect();
            if place == 0 {
                adopted.knows_image = deployed.first().is_some_and(|(_, stands)| *stands != Stands::Nowhere);
                adopted.take_images(&deployed);
            }
            adopted.take_numbers(environment, &components, &deployed);
            adopted.deployed.push(deployed);
        }
        Ok(adopted)
    }

    /// Notes the images of the first environment, which are the recorded ones.
    fn take_images(&mut self, deployed: &[(Deployed, Stands)]) {
        for (place, (deployed, stands)) in deployed.iter().enumerate() {
            if *stands != Stands::Nowhere {
                self.values(place).insert(Name::Image, Some(deployed.image.to_string()));
            }
        }
    }

    /// Notes how many pods there are, and the hosts.
    fn take_numbers(
        &mut self,
        environment: &Environment,
        components: &[&Component],
        deployed: &[(Deployed, Stands)],
    ) {
        for (place, (component, (deployed, _))) in components.iter().zip(deployed).enumerate() {
            // The others follow by rule.
            if place > 0 {
                continue;
            }
            let values = self.sheet.environment(&environment.name);
            if let Some(replicas) = deployed.replicas.filter(|_| component.workload == Workload::Deployment) {
                values.insert(Name::Replicas, Some(replicas.to_string()));
            }
            if let Some(host) = deployed.host.as_ref().filter(|_| component.ingress.is_some()) {
                values.insert(Name::Ingress, Some(host.to_string()));
            }
        }
    }

    fn values(&mut self, component: usize) -> &mut Values {
        let further = component.checked_sub(1).and_then(|place| self.sheet.components.get_mut(place));
        further.map_or(&mut self.sheet.values, |(_, values)| values)
    }

    /// The answers that `sheet` makes: this one's, or one with something added.
    pub fn answers(&self, sheet: &Sheet) -> std::result::Result<Answers, Refused> {
        let mut answers = sheet.answers()?;
        for (component, shared) in answers.components.iter_mut().zip(&self.shared) {
            component.resources = shared.resources.clone().unwrap_or_default();
            component.settings.clone_from(&shared.settings);
        }
        for (place, environment) in answers.environments.iter_mut().enumerate() {
            let known = self.deployed.get(place);
            // A new one takes after the first.
            let first = known.or(self.deployed.first()).into_iter().flatten();
            let own = sheet.environments.get(place).map(|(_, values)| values.contains_key(&Name::Replicas));
            if let Some(known) = known {
                take_tags(&mut environment.deployed, known);
            }
            let all = environment.deployed.iter_mut().zip(first).zip(&self.shared).enumerate();
            for (component, ((deployed, (first, _)), shared)) in all {
                if known.is_some() {
                    *deployed = first.clone();
                    continue;
                }
                let is_said = component == 0 && own == Some(true);
                deployed.image.clone_from(&first.image);
                deployed.has_tag = first.has_tag;
                deployed.pulled_as.clone_from(&first.pulled_as);
                deployed.resources.clone_from(&first.resources);
                deployed.replicas = deployed
                    .replicas
                    .filter(|_| shared.is_there && (is_said || shared.counts || first.replicas.is_some()));
                deployed.host = deployed.host.take().filter(|_| shared.hosts[0]);
                deployed.tls &= shared.hosts[1];
            }
        }
        Ok(answers)
    }

    /// Whether the manifests say how many pods of the project's own component run where `make` deploys to by default.
    #[must_use]
    pub fn counts_pods(&self) -> bool {
        let first = self.deployed.first().and_then(|all| all.first());
        first.is_some_and(|(first, _)| first.replicas.is_some())
            || self.shared.first().is_some_and(|shared| shared.counts)
    }

    /// Whether an Ingress has hosts that no environment has another one for.
    #[must_use]
    pub fn shares_hosts(&self) -> bool {
        self.shared.iter().any(|shared| shared.further_hosts)
    }
}

/// Gives those of `all` that come after the `known` ones the tag that these have of the same image: an environment has one
/// for all of them, wherever it stands.
fn take_tags(all: &mut [Deployed], known: &[(Deployed, Stands)]) {
    for new in all.iter_mut().skip(known.len()) {
        let is_same = |(one, stands): &&(Deployed, Stands)| {
            *stands != Stands::Nowhere && one.image.name() == new.image.name()
        };
        if let Some((one, stands)) = known.iter().find(is_same) {
            new.image.clone_from(&one.image);
            new.pulled_as.clone_from(&one.pulled_as);
            new.has_tag = matches!(stands, Stands::Here | Stands::InManifest);
        }
    }
}

impl Manifests {
    fn read(
        component: &Component,
        files: &context::Component,
        base: &str,
        current: &dyn Fn(&str) -> Result<Option<String>>,
    ) -> Result<Self> {
        let object = |kind: &str, file: &str| -> Result<Value> {
            let path = format!("{base}/{}{file}.yaml", files.prefix());
            let Some(text) = current(&path)? else { return Ok(Value::Null) };
            let found = manifest::objects(&text)
                .ok_or_else(|| Failure::failed(format!("`{path}` is not YAML")).hint("makeinfra check"))?;
            Ok(manifest::named(found, kind, component.name.as_str()).unwrap_or_default())
        };
        let settings = files.config_file().map(|file| settings(&format!("{base}/{file}"), current));
        Ok(Self {
            workload: object(component.workload.kind(), component.workload.as_str())?,
            ingress: object("Ingress", "ingress")?,
            settings: settings.transpose()?.flatten(),
        })
    }

    fn shared(&self, component: &Component) -> Shared {
        let container = manifest::container(&self.workload, component);
        let has_rules = manifest::at(&self.ingress, &["spec", "rules", "0"]).is_some();
        let further =
            [&["spec", "rules", "1"][..], &["spec", "tls", "1"], &["spec", "tls", "0", "hosts", "1"]];
        Shared {
            resources: container.and_then(|(_, found)| Resources::read(found.get("resources"))),
            settings: self.settings.clone(),
            is_there: !self.workload.is_null(),
            counts: manifest::at(&self.workload, &["spec", "replicas"]).is_some(),
            hosts: [manifest::HOST, manifest::TLS_HOST]
                .map(|path| manifest::text(&self.ingress, path).is_some()),
            further_hosts: further.iter().any(|path| manifest::at(&self.ingress, path).is_some())
                || (has_rules && manifest::text(&self.ingress, manifest::HOST).is_none()),
        }
    }

    /// The component as it is in an environment, and where its tag stands. The kustomizations are that of the
    /// environment and that of what all share.
    fn deployed(&self, component: &Component, [overlay, base]: [&Overlay; 2]) -> (Deployed, Stands) {
        let container = manifest::container(&self.workload, component);
        let written = container.and_then(|(_, found)| found.get("image")?.as_str());
        let in_base = || Some(Tagged { stands: Stands::InBase, ..base.tagged(written, component)? });
        let tagged = overlay
            .tagged(written, component)
            .or_else(in_base)
            .or_else(|| manifest::inline(written))
            .unwrap_or_else(|| Tagged {
                image: component.image.clone(),
                stands: Stands::Nowhere,
                pulled_as: None,
            });
        let Tagged { image, stands, pulled_as } = tagged;
        let has_tag = stands == Stands::Here;
        let [of_rule, of_tls] =
            [manifest::HOST, manifest::TLS_HOST].map(|path| overlay.patched_host(component, path));
        let deployed = Deployed {
            image,
            has_tag,
            pulled_as,
            replicas: overlay.replicas(component),
            tls: of_rule.is_some() && of_rule == of_tls,
            host: of_rule.and_then(|host| Host::parse(&host).ok()),
            resources: overlay.resources(component),
        };
        (deployed, stands)
    }
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
