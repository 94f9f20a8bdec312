//! All answers as text: those of the repository, and those of each environment and component that
//! has its own.

use super::environment::Common;
use super::location::NO_ROOM;
use super::named::{given, needed};
use super::{
    Answer, Answers, Ci, Component, ComponentName, ContextName, Deployed, DnsLabel, Environment,
    EnvironmentName, FileFault, Host, ImageRef, Name, OneOrMore, PodSecurity, ProjectName, Refused,
    RegistryKey, Replicas, Rule, SecretType, Switch, Values, from_mapping, unfit,
};
use std::fmt::Display;

/// Answers as text, by subject.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    /// Those of the repository, including its own component.
    pub values: Values,
    /// Those of each environment, in the order of naming; if empty, there is only `production`.
    pub environments: Vec<(EnvironmentName, Values)>,
    /// Those of each further component.
    pub components: Vec<(ComponentName, Values)>,
}

impl Sheet {
    /// The names of sections in a file.
    pub const SECTIONS: [&'static str; 2] = [Self::ENVIRONMENTS, "components"];
    /// The section of the environments.
    pub const ENVIRONMENTS: &'static str = "environments";

    /// Parses the mapping `value`: answers with the names `allowed`, and the sections.
    ///
    /// Errors never quote a value: a token may have landed in the file.
    pub fn from_yaml(mut value: serde_yaml::Value, allowed: &[Name]) -> Result<Self, FileFault> {
        let [environments, components] = Self::SECTIONS.map(|name| {
            value.as_mapping_mut().and_then(|mapping| mapping.remove(name)).unwrap_or_default()
        });
        Ok(Self {
            values: from_mapping(value, allowed)?,
            environments: section(Self::SECTIONS[0], environments, &Environment::NAMES)?,
            components: section(Self::SECTIONS[1], components, &Component::NAMES)?,
        })
    }

    /// All answers, on any subject.
    pub fn all(&self) -> impl Iterator<Item = (&Name, &Option<String>)> {
        let environments = self.environments.iter().flat_map(|(_, values)| values);
        self.values
            .iter()
            .chain(environments)
            .chain(self.components.iter().flat_map(|(_, values)| values))
    }

    /// Adds those answers of `other` that are missing here.
    pub fn add(&mut self, other: Self) {
        add(&mut self.values, other.values);
        for (name, values) in other.environments {
            add(self.environment(&name), values);
        }
        for (name, values) in other.components {
            match self.components.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => add(known, values),
                None => self.components.push((name, values)),
            }
        }
    }

    /// The answers of the environment `name`, added if missing.
    pub fn environment(&mut self, name: &EnvironmentName) -> &mut Values {
        let at =
            self.environments.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                self.environments.push((name.clone(), Values::new()));
                self.environments.len() - 1
            });
        &mut self.environments[at].1
    }

    /// The answers, with defaults for missing ones. Project and image have no default.
    pub fn answers(&self) -> Result<Answers, Refused> {
        let values = &self.values;
        let project: ProjectName = needed(values, Name::Project)?;
        let image: ImageRef = needed(values, Name::Image)?;
        let mut main = Component::from_values(ComponentName::from(&project), image, values)?;
        let mut environments = self.all_environments(&project, &mut main)?;
        let components = OneOrMore { rest: self.further(&main)?, first: main };
        for environment in environments.iter_mut() {
            let here = |one: &Component| Deployed::new(environment, one, &components.first);
            environment.deployed = components.iter().map(here).collect();
            let mut all = components.iter().skip(1);
            if all.any(|one| !environment.has_room_for(one)) {
                return Err(Refused::Broken(Name::Ingress, NO_ROOM));
            }
        }
        components.first.check(Name::Project)?;
        components.rest.iter().try_for_each(|one| one.check(Name::Component))?;
        let secret_name = given(values, Name::SecretName)?.unwrap_or_else(DnsLabel::gitlab);
        if components.iter().any(|one| one.tls_secret().as_deref() == Some(secret_name.as_str())) {
            return Err(Refused::Broken(
                Name::SecretName,
                "must not be the name of an Ingress certificate's Secret",
            ));
        }
        let ci = given(values, Name::Ci)?.unwrap_or(Ci::Gitlab);
        let ci_rotate = given::<Switch>(values, Name::CiRotate)?.is_some_and(|switch| switch.0);
        let ci_image = given(values, Name::CiImage)?;
        for (name, is_given) in [(Name::CiImage, ci_image.is_some()), (Name::CiRotate, ci_rotate)] {
            if is_given && ci != Ci::Gitlab {
                return Err(Refused::Alone(name, Name::Ci, Some(Ci::Gitlab.as_str())));
            }
        }
        Ok(Answers {
            registry: given(values, Name::Registry)?
                .unwrap_or_else(|| RegistryKey::for_image(&components.first.image)),
            pod_security: given(values, Name::PodSecurity)?.unwrap_or(PodSecurity::Restricted),
            secret_name,
            secret_type: given(values, Name::SecretType)?.unwrap_or(SecretType::Dockercfg),
            email: given(values, Name::Email)?,
            ci,
            ci_image,
            ci_rotate,
            project,
            components,
            environments,
        })
    }

    /// The environments. If `main` has no Ingress host, it gets that of the environments.
    fn all_environments(
        &self,
        project: &ProjectName,
        main: &mut Component,
    ) -> Result<OneOrMore<Environment>, Refused> {
        let values = &self.values;
        let replicas = given::<Replicas>(values, Name::Replicas)?.map(|replicas| replicas.0);
        if self.environments.is_empty() {
            let only = Environment::only(project, values, main.replicas, main.ingress.clone())?;
            return Ok(OneOrMore { first: only, rest: Vec::new() });
        }
        for (_, own) in &self.environments {
            let own_names = [Name::Replicas, Name::Ingress]
                .into_iter()
                .filter(|name| matches!(own.get(name), Some(Some(_))));
            for name in own_names {
                if let Some(rule) = unfit(name, values) {
                    return Err(Refused::Unfit(name, rule));
                }
            }
        }
        if main.ingress.is_none() {
            main.ingress = self.first_host()?;
        }
        let common = Common {
            namespace: values.get(&Name::Namespace).cloned().flatten(),
            context: given::<ContextName>(values, Name::Context)?,
            replicas,
            ingress: main.ingress.clone(),
        };
        let mut all: Vec<Environment> = Vec::new();
        for (name, values) in &self.environments {
            let one = Environment::named(name.clone(), values, project, &common)?;
            if all.iter().any(|other| other.name == one.name) {
                return Err(Refused::Broken(Name::Environment, "must name each environment once"));
            }
            if all
                .iter()
                .any(|other| other.namespace == one.namespace && other.context == one.context)
            {
                return Err(Refused::Broken(
                    Name::Namespace,
                    "must differ between environments in the same cluster: use a pattern with \
                     `{env}`, or ENV=NAMESPACE",
                ));
            }
            all.push(one);
        }
        let first = all.remove(0);
        Ok(OneOrMore { first, rest: all })
    }

    /// The host of a protected environment, otherwise that of the first environment with a host.
    fn first_host(&self) -> Result<Option<Host>, Refused> {
        let mut first = None;
        for (name, values) in &self.environments {
            let Some(host) = given::<Host>(values, Name::Ingress)? else { continue };
            let protect = given::<Switch>(values, Name::Protect)?;
            if name.is_production() || protect.is_some_and(|switch| switch.0) {
                return Ok(Some(host));
            }
            first.get_or_insert(host);
        }
        Ok(first)
    }

    fn further(&self, main: &Component) -> Result<Vec<Component>, Refused> {
        let mut all: Vec<Component> = Vec::new();
        for (name, values) in &self.components {
            let image = given(values, Name::Image)?.unwrap_or_else(|| main.image.clone());
            let one = Component::from_values(name.clone(), image, values)?;
            if one.name == main.name || all.iter().any(|other| other.name == one.name) {
                return Err(Refused::Broken(
                    Name::Component,
                    "must be different for each component",
                ));
            }
            if all
                .iter()
                .chain([main])
                .any(|other| other.image.name() == one.image.name() && other.image != one.image)
            {
                return Err(Refused::Broken(
                    Name::Image,
                    "must have the same tag as in other components with this image: all of them \
                     share one tag",
                ));
            }
            all.push(one);
        }
        Ok(all)
    }
}

fn add(known: &mut Values, values: Values) {
    for (name, value) in values {
        known.entry(name).or_insert(value);
    }
}

/// A section: a mapping from names to mappings.
fn section<N: Answer + Display>(
    section: &'static str,
    value: serde_yaml::Value,
    allowed: &[Name],
) -> Result<Vec<(N, Values)>, FileFault> {
    use serde_yaml::Value;
    const RULE: Rule = "must be a mapping from names to mappings of answers";
    let fault =
        |entry: Option<&N>, fault| FileFault::In(section, entry.map(N::to_string), Box::new(fault));
    let mapping = match value {
        Value::Mapping(mapping) => mapping,
        Value::Null => return Ok(Vec::new()),
        _ => return Err(fault(None, FileFault::Section(RULE))),
    };
    let entries = mapping.into_iter().map(|(name, values)| {
        let text = name.as_str().ok_or_else(|| fault(None, FileFault::Section(RULE)))?;
        let name = N::parse(text).map_err(|rule| fault(None, FileFault::EntryName(rule)))?;
        let values = from_mapping(values, allowed).map_err(|inner| fault(Some(&name), inner))?;
        Ok((name, values))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::from_yaml;

    fn sheet(text: &str) -> Result<Sheet, FileFault> {
        Sheet::from_yaml(from_yaml(text)?, &Name::ALL)
    }

    fn answers(text: &str) -> Result<Answers, Refused> {
        sheet(text).unwrap().answers()
    }

    const SHOP: &str = "project: shop\nimage: registry.gitlab.com/me/shop:1.0.0\n";

    #[test]
    fn fills_in_the_defaults() {
        let answers = answers(&format!("\u{feff}{SHOP}")).unwrap();
        let only = &answers.environments.first;
        assert_eq!(
            (only.namespace.as_str(), only.name.as_str(), only.secrets.as_str()),
            ("shop", "production", "secrets/kubernetes")
        );
        assert_eq!(answers.registry.as_str(), "registry.gitlab.com");
        assert_eq!(answers.secret_name.as_str(), "gitlab");
        assert_eq!((answers.main().port, answers.main().replicas), (Some(8080), 2));
        assert_eq!(answers.main().ingress, None);
    }

    #[test]
    fn names_what_is_missing_or_broken() {
        assert_eq!(answers("{}"), Err(Refused::Missing(Name::Project)));
        assert_eq!(answers("project: shop"), Err(Refused::Missing(Name::Image)));
        assert!(matches!(
            answers(&format!("{SHOP}port: 70000")),
            Err(Refused::Broken(Name::Port, _))
        ));
        let pattern = format!("{SHOP}namespace: '{{project}}-{{env}}'");
        assert!(matches!(answers(&pattern), Err(Refused::Broken(Name::Namespace, _))));
    }

    #[test]
    fn environments_are_made_of_what_is_common() {
        let text = format!(
            "{SHOP}ingress: shop.example.com\nenvironments:\n  staging: ~\n  qa: {{replicas: 3, namespace: quality, \
             context: other, protect: true}}\n  production: {{}}\n"
        );
        let answers = answers(&text).unwrap();
        let all: Vec<_> = answers
            .environments
            .iter()
            .map(|one| {
                (
                    one.name.as_str(),
                    one.namespace.as_str(),
                    one.replicas,
                    one.protect,
                    one.ingress.as_ref().unwrap().as_str(),
                )
            })
            .collect();
        assert_eq!(
            all,
            [
                ("staging", "shop-staging", 2, false, "staging.shop.example.com"),
                ("qa", "quality", 3, true, "shop.example.com"),
                ("production", "shop-production", 2, true, "shop.example.com"),
            ]
        );
        assert_eq!(answers.environments.first.secrets, "secrets/kubernetes/staging");
        assert!(answers.environment("qa").is_some() && answers.environment("shop").is_none());
    }

    #[test]
    fn environments_of_one_cluster_need_namespaces_of_their_own() {
        let both = format!("{SHOP}namespace: shop\nenvironments: {{staging: ~, production: ~}}\n");
        assert!(matches!(answers(&both), Err(Refused::Broken(Name::Namespace, _))));
        let apart = format!(
            "{SHOP}namespace: shop\n\
             environments: {{staging: {{context: a}}, production: {{context: b}}}}\n"
        );
        assert!(answers(&apart).is_ok());
        let none = format!(
            "{SHOP}namespace: '{{env}}'\ningress: '*.example.com'\nenvironments: {{staging: ~}}\n"
        );
        assert!(matches!(answers(&none), Err(Refused::Broken(Name::Ingress, _))));
    }

    #[test]
    fn components_bear_names_of_their_own() {
        let two = answers(&format!("{SHOP}components: {{worker: {{image: 'a/b:2'}}, api: ~}}\n"))
            .unwrap();
        let names: Vec<_> =
            two.components.iter().map(|one| (one.name.as_str(), one.image.as_str())).collect();
        let image = "registry.gitlab.com/me/shop:1.0.0";
        assert_eq!(names, [("shop", image), ("worker", "a/b:2"), ("api", image)]);
        assert!(answers(&format!("{SHOP}components: {{shop: ~}}\n")).is_err());
        let tags =
            format!("{SHOP}components: {{worker: {{image: 'registry.gitlab.com/me/shop:2'}}}}\n");
        assert!(matches!(answers(&tags), Err(Refused::Broken(Name::Image, _))));
    }

    #[test]
    fn sections_are_read_as_strictly() {
        let fault = |text: &str| sheet(text).unwrap_err();
        let within = |text: &str| match fault(text) {
            FileFault::In("environments", entry, inner) => (entry, *inner),
            other => panic!("{other:?}"),
        };
        assert!(matches!(within("environments: [staging]"), (None, FileFault::Section(_))));
        assert!(matches!(within("environments: {Staging: ~}"), (None, FileFault::EntryName(_))));
        let staging = Some("staging".to_owned());
        assert_eq!(
            within("environments: {staging: {port: 1}}"),
            (staging.clone(), FileFault::Unknown(Some("port".into())))
        );
        let (entry, inner) = within("environments: {staging: {replicas: [1]}}");
        assert_eq!(entry, staging);
        assert!(matches!(inner, FileFault::Value(Name::Replicas, _)));
    }
}
