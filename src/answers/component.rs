//! The components of a project.

use super::{
    Arguments, Ci, ClusterIssuer, ComponentName, Config, HealthPath, Host, ImageRef, Name, Port,
    Refused, Replicas, Rule, Schedule, Switch, TimeZone, Values, Workload, given,
};

/// The default number of pods of a Deployment.
pub(super) const REPLICAS: u32 = 2;

/// Who may pull an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Only users with credentials.
    Private,
    /// Anyone.
    Public,
}

/// A workload with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The name, which its objects share.
    pub name: ComponentName,
    /// The image.
    pub image: ImageRef,
    /// How it runs.
    pub workload: Workload,
    /// The schedule; `None` unless it is a cron job.
    pub schedule: Option<Schedule>,
    /// The time zone of the schedule; `None` for that of the cluster.
    pub time_zone: Option<TimeZone>,
    /// The container's arguments.
    pub args: Arguments,
    /// The container's port; `None` for a worker, which accepts no connections.
    pub port: Option<u16>,
    /// The number of pods of a Deployment.
    pub replicas: u32,
    /// Host of the Ingress; `None` for no Ingress.
    pub ingress: Option<Host>,
    /// Whether the Ingress uses TLS.
    pub tls: bool,
    /// What issues its certificate; `None` if it comes from elsewhere.
    pub tls_issuer: Option<ClusterIssuer>,
    /// Path of the HTTP probes; `None` for TCP probes.
    pub health_path: Option<HealthPath>,
    /// Whether its pods have their own service account.
    pub service_account: bool,
    /// Who may pull its image.
    pub(super) access: Access,
    /// Whether it has settings in a `ConfigMap`.
    pub config: bool,
    /// The settings, if known. They are not an answer: users edit them in their file.
    pub settings: Option<Config>,
}

impl Component {
    /// The answers that a component's section of a file may contain.
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

    /// Whether anyone may pull its image, so that it needs no pull Secret.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.access == Access::Public
    }

    /// The file with its settings, below the directory of manifests, for a component with the file
    /// prefix `prefix`.
    #[must_use]
    pub fn config_file(prefix: &str) -> String {
        format!("{prefix}config.env")
    }

    /// The Secret with the certificate of its Ingress.
    #[must_use]
    pub fn tls_secret(&self) -> Option<String> {
        self.tls.then(|| format!("{}-tls", self.name))
    }

    /// The first answer in `values` that contradicts another one or requires one that is missing;
    /// `None` if they are consistent.
    #[must_use]
    pub fn contradiction(values: &Values) -> Option<Refused> {
        let is_set = |value: &Option<String>| value.as_ref().is_some_and(|text| text != "no");
        let names = values.iter().filter(|(_, value)| is_set(value)).map(|(name, _)| *name);
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

    /// The component `name`, with defaults for missing values.
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
                "requires an Ingress with TLS, but `--tls` is no",
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

    /// Validates what depends on more than single values. `named` is the answer from which its name
    /// comes.
    pub(super) fn check(&self, named: Name) -> Result<(), Refused> {
        if self.tls && self.ingress.is_none() {
            let name = if self.tls_issuer.is_some() { Name::TlsIssuer } else { Name::Tls };
            return Err(Refused::Alone(name, Name::Ingress, None));
        }
        // Its Jobs have the same name with eleven more characters (batch/v1,
        // ValidateCronJobCreate).
        if self.workload == Workload::CronJob && self.name.as_str().len() > 52 {
            return Err(Refused::Broken(named, "must have at most 52 characters for a cronjob"));
        }
        if self.service_account && self.name.as_str() == "default" {
            return Err(Refused::Unfit(
                Name::ServiceAccount,
                "must not be `default`, the name of the namespace's own service account",
            ));
        }
        Ok(())
    }
}

/// Why a component with the other `values` cannot have an answer `name`; `None` if it can.
#[must_use]
pub fn unfit(name: Name, values: &Values) -> Option<Rule> {
    let workload = given::<Workload>(values, Name::Workload).ok().flatten().unwrap_or_default();
    let runs_always = workload == Workload::Deployment;
    let has_port = values.get(&Name::Port) != Some(&None);
    match name {
        Name::Schedule | Name::TimeZone if workload != Workload::CronJob => {
            Some("requires `--workload cronjob`")
        }
        Name::Port
        | Name::Replicas
        | Name::Ingress
        | Name::Tls
        | Name::TlsIssuer
        | Name::HealthPath
            if !runs_always =>
        {
            Some("requires `--workload deployment`")
        }
        Name::Ingress | Name::Tls | Name::TlsIssuer | Name::HealthPath if !has_port => {
            Some("requires a port, but `--port` is none")
        }
        Name::CiImage if given(values, Name::Ci) == Ok(Some(Ci::None)) => {
            Some("requires a pipeline, but `--ci` is none")
        }
        _ => None,
    }
}
