//! What runs in the cluster.

use super::{
    Arguments, Ci, ClusterIssuer, ComponentName, Config, HealthPath, Host, ImageRef, Name, Port,
    Refused, Replicas, Rule, Schedule, Switch, TimeZone, Values, Workload, given,
};

/// Pods of a Deployment, if nobody says how many.
pub(super) const REPLICAS: u32 = 2;

/// Who may pull an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Those who have credentials.
    Private,
    /// Anybody.
    Public,
}

/// One workload with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name, which everything of it bears.
    pub name: ComponentName,
    /// Its image.
    pub image: ImageRef,
    /// How it runs.
    pub workload: Workload,
    /// When it runs, if it is a cron job.
    pub schedule: Option<Schedule>,
    /// The time zone of that; none: the cluster's.
    pub time_zone: Option<TimeZone>,
    /// What its container gets as arguments.
    pub args: Arguments,
    /// The container's port; none: nobody can reach it, as a worker.
    pub port: Option<u16>,
    /// How many pods run, if it is a Deployment.
    pub replicas: u32,
    /// Host of the Ingress; none: no Ingress.
    pub ingress: Option<Host>,
    /// Whether the Ingress speaks TLS.
    pub tls: bool,
    /// What makes its certificate; none: somebody else.
    pub tls_issuer: Option<ClusterIssuer>,
    /// Path of the HTTP probes; none: TCP probes.
    pub health_path: Option<HealthPath>,
    /// Whether its pods have a service account of their own.
    pub service_account: bool,
    /// Who may pull its image.
    pub(super) access: Access,
    /// Whether it has settings in a config map.
    pub config: bool,
    /// Those settings, where they are known. They are no answer: people change them in their file.
    pub settings: Option<Config>,
}

impl Component {
    /// What a component's section of a file may say.
    pub const NAMES: [Name; 14] = [
        Name::Image,
        Name::Workload,
        Name::Schedule,
        Name::TimeZone,
        Name::Args,
        Name::Port,
        Name::Replicas,
        Name::Ingress,
        Name::Tls,
        Name::TlsIssuer,
        Name::HealthPath,
        Name::ServiceAccount,
        Name::Config,
        Name::Public,
    ];

    /// Whether anybody may pull its image, so that the pull Secret need not be for it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.access == Access::Public
    }

    /// The file of its settings, below the directory of the manifests, for one whose files' names
    /// begin with `prefix`.
    #[must_use]
    pub fn config_file(prefix: &str) -> String {
        format!("{prefix}config.env")
    }

    /// The Secret with the certificate of its Ingress.
    #[must_use]
    pub fn tls_secret(&self) -> Option<String> {
        self.tls.then(|| format!("{}-tls", self.name))
    }

    /// What in `values` does not go together, or lacks another one; none if all of it does.
    #[must_use]
    pub fn contradiction(values: &Values) -> Option<Refused> {
        let said = |value: &Option<String>| value.as_ref().is_some_and(|text| text != "no");
        let names = values.iter().filter(|(_, value)| said(value)).map(|(name, _)| *name);
        let refused = |name, rule| match name {
            Name::Schedule | Name::TimeZone if !values.contains_key(&Name::Workload) => {
                Refused::Alone(name, Name::Workload, Some(Workload::CronJob.as_str()))
            }
            _ => Refused::Unfit(name, rule),
        };
        let mut unfit = names.filter_map(|name| Some(refused(name, unfit(name, values)?)));
        unfit.next().or_else(|| {
            let is_cronjob =
                values.get(&Name::Workload) == Some(&Some(Workload::CronJob.as_str().to_owned()));
            (is_cronjob && !values.contains_key(&Name::Schedule))
                .then_some(Refused::Missing(Name::Schedule))
        })
    }

    /// The component called `name`, with the default for each value that is not there.
    pub(super) fn from_values(
        name: ComponentName,
        image: ImageRef,
        values: &Values,
    ) -> Result<Self, Refused> {
        if let Some(refused) = Self::contradiction(values) {
            return Err(refused);
        }
        let workload = given::<Workload>(values, Name::Workload)?.unwrap_or_default();
        let port = match values.get(&Name::Port) {
            None if workload == Workload::Deployment => Some(8080),
            _ => given::<Port>(values, Name::Port)?.map(|port| port.0),
        };
        let is_on =
            |name| Ok::<_, Refused>(given::<Switch>(values, name)?.is_some_and(|switch| switch.0));
        let tls_issuer = given(values, Name::TlsIssuer)?;
        if tls_issuer.is_some() && values.contains_key(&Name::Tls) && !is_on(Name::Tls)? {
            return Err(Refused::Unfit(
                Name::TlsIssuer,
                "is for an Ingress with TLS, and `--tls` says no",
            ));
        }
        Ok(Self {
            name,
            image,
            workload,
            schedule: given(values, Name::Schedule)?,
            time_zone: given(values, Name::TimeZone)?,
            args: given(values, Name::Args)?.unwrap_or_default(),
            port,
            replicas: given::<Replicas>(values, Name::Replicas)?
                .map_or(REPLICAS, |replicas| replicas.0),
            ingress: given(values, Name::Ingress)?,
            tls: tls_issuer.is_some() || is_on(Name::Tls)?,
            tls_issuer,
            health_path: given(values, Name::HealthPath)?,
            service_account: is_on(Name::ServiceAccount)?,
            access: if is_on(Name::Public)? { Access::Public } else { Access::Private },
            config: values.get(&Name::Config).is_some_and(Option::is_some),
            settings: None,
        })
    }

    /// Checks what depends on more than its own values. `named` is the answer that gave it its
    /// name.
    pub(super) fn check(&self, named: Name) -> Result<(), Refused> {
        if self.tls && self.ingress.is_none() {
            let name = if self.tls_issuer.is_some() { Name::TlsIssuer } else { Name::Tls };
            return Err(Refused::Alone(name, Name::Ingress, None));
        }
        // Its Jobs are called like it, with eleven characters more (batch/v1,
        // ValidateCronJobCreate).
        if self.workload == Workload::CronJob && self.name.as_str().len() > 52 {
            return Err(Refused::Broken(
                named,
                "must have at most 52 characters where it is a cronjob",
            ));
        }
        if self.service_account && self.name.as_str() == "default" {
            return Err(Refused::Unfit(
                Name::ServiceAccount,
                "is for another name than `default`, which the service account of everybody else \
                 has",
            ));
        }
        Ok(())
    }
}

/// Why there is no answer called `name` about a component that the others in `values` describe;
/// none if there is one.
#[must_use]
pub fn unfit(name: Name, values: &Values) -> Option<Rule> {
    let workload = given::<Workload>(values, Name::Workload).ok().flatten().unwrap_or_default();
    let runs_always = workload == Workload::Deployment;
    let has_port = values.get(&Name::Port) != Some(&None);
    match name {
        Name::Schedule | Name::TimeZone if workload != Workload::CronJob => {
            Some("is for a cronjob, and `--workload` says something else")
        }
        Name::Port
        | Name::Replicas
        | Name::Ingress
        | Name::Tls
        | Name::TlsIssuer
        | Name::HealthPath
            if !runs_always =>
        {
            Some("is for a deployment, and `--workload` says something else")
        }
        Name::Ingress | Name::Tls | Name::TlsIssuer | Name::HealthPath if !has_port => {
            Some("is for a component with a port, and `--port` says none")
        }
        Name::CiImage if given(values, Name::Ci) == Ok(Some(Ci::None)) => {
            Some("is for a pipeline, and `--ci` says none")
        }
        _ => None,
    }
}
