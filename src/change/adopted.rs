//! The answers as the manifests have them by now: people change the tag, the number of pods, resources and hosts there.
//!
//! What is not found where makeinfra puts it is not guessed: the manifests then keep the say in it.

use super::manifest::{self, Overlay, Tagged};
use crate::answers::{
    Answer, Answers, Component, Config, Deployed, Environment, Host, Name, Record, Refused, Replicas,
    Resources, Sheet, Values, Workload,
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
    /// What each environment has of each component.
    deployed: Vec<Vec<Deployed>>,
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
    /// Whether it has more of them.
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
            let found = Manifests::read(component, files, context.base(), current)?;
            adopted.shared.push(found.shared(component));
            manifests.push(found);
        }
        for (place, environment) in answers.environments.iter().enumerate() {
            let text = current(&format!("{}/kustomization.yaml", environment.overlay()))?;
            let overlay = Overlay::parse(text.as_deref());
            let of = components.iter().zip(&manifests);
            let deployed: Vec<_> =
                of.map(|(component, found)| found.deployed(component, environment, &overlay)).collect();
            if place == 0 {
                adopted.knows_image = deployed.first().is_some_and(|(_, known)| *known);
                adopted.take_images(&deployed);
            }
            let deployed: Vec<_> = deployed.into_iter().map(|(deployed, _)| deployed).collect();
            adopted.take_numbers(environment, &components, &deployed);
            adopted.deployed.push(deployed);
        }
        Ok(adopted)
    }

    /// Notes the images of the first environment, which are the recorded ones.
    fn take_images(&mut self, deployed: &[(Deployed, bool)]) {
        for (place, (deployed, known)) in deployed.iter().enumerate() {
            if *known {
                self.values(place).insert(Name::Image, Some(deployed.image.to_string()));
            }
        }
    }

    /// Notes how many pods there are, and the hosts.
    fn take_numbers(&mut self, environment: &Environment, components: &[&Component], deployed: &[Deployed]) {
        for (place, (component, deployed)) in components.iter().zip(deployed).enumerate() {
            let values = match &environment.name {
                None => self.values(place),
                Some(name) if place == 0 => self.sheet.environment(name),
                // The others follow by rule.
                Some(_) => continue,
            };
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
            let all = environment.deployed.iter_mut().zip(first).zip(&self.shared).enumerate();
            for (component, ((deployed, first), shared)) in all {
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
        first.is_some_and(|first| first.replicas.is_some())
            || self.shared.first().is_some_and(|shared| shared.counts)
    }
}

impl Adopted {
    /// Whether an Ingress has hosts that no environment has another one for.
    #[must_use]
    pub fn shares_hosts(&self) -> bool {
        self.shared.iter().any(|shared| shared.further_hosts)
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
        Shared {
            resources: container.and_then(|(_, found)| Resources::read(found.get("resources"))),
            settings: self.settings.clone(),
            is_there: !self.workload.is_null(),
            counts: manifest::at(&self.workload, &["spec", "replicas"]).is_some(),
            hosts: [manifest::HOST, manifest::TLS_HOST]
                .map(|path| manifest::text(&self.ingress, path).is_some()),
            further_hosts: [
                &["spec", "rules", "1"][..],
                &["spec", "tls", "1"],
                &["spec", "tls", "0", "hosts", "1"],
            ]
            .iter()
            .any(|path| manifest::at(&self.ingress, path).is_some()),
        }
    }

    /// The component as it is in `environment`, and whether its image is known.
    fn deployed(
        &self,
        component: &Component,
        environment: &Environment,
        overlay: &Overlay,
    ) -> (Deployed, bool) {
        let container = manifest::container(&self.workload, component);
        let tagged = overlay.image(container.and_then(|(_, found)| found.get("image")?.as_str()), component);
        let known = tagged.is_some();
        let tagged = tagged.unwrap_or_else(|| Tagged {
            image: component.image.clone(),
            is_here: false,
            pulled_as: None,
        });
        let Tagged { image, is_here: has_tag, pulled_as } = tagged;
        if environment.name.is_some() {
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
            return (deployed, known);
        }
        let replicas = manifest::at(&self.workload, &["spec", "replicas"]).and_then(Value::as_u64);
        let [of_rule, of_tls] =
            [manifest::HOST, manifest::TLS_HOST].map(|path| manifest::text(&self.ingress, path));
        let deployed = Deployed {
            image,
            has_tag,
            pulled_as,
            replicas: replicas.and_then(|number| Some(Replicas::parse(&number.to_string()).ok()?.0)),
            tls: of_rule.is_some() && of_rule == of_tls,
            host: of_rule.and_then(|host| Host::parse(host).ok()),
            // A patch of another one would put it first.
            resources: container
                .filter(|(place, _)| *place == 0)
                .and_then(|(_, found)| Resources::read(found.get("resources"))),
        };
        (deployed, known)
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
