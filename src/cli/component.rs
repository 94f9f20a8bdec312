//! The options of a component.

use clap::Args;

/// What a component is: how it runs, and what belongs to it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Component")]
pub struct ComponentOptions {
    /// Image with a tag or a digest.
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,
    /// Kind of workload: deployment (runs all the time), cronjob (on a schedule) or job (once per
    /// change) [default: deployment].
    #[arg(long, value_name = "KIND", hide_possible_values = true)]
    #[arg(value_parser = ["deployment", "cronjob", "job"])]
    pub workload: Option<String>,
    /// Schedule of a cronjob: five cron fields such as '0 3 * * *', or @hourly, @daily, @weekly;
    /// requires --workload cronjob.
    #[arg(long, value_name = "CRON")]
    pub schedule: Option<String>,
    /// Time zone of the schedule, such as Europe/Berlin [default: the cluster's, usually UTC].
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// Argument for the container (repeatable; the order is kept) [default: those of the image].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub arg: Vec<String>,
    /// Port that the container listens on, or none for a worker without a Service [default: 8080].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub port: Option<String>,
    /// Number of pods [default: 2].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub replicas: Vec<String>,
    /// Host name of an Ingress; with several environments, protected ones get HOST and others
    /// ENV.HOST [default: no Ingress].
    #[arg(long, value_name = "HOST")]
    pub ingress: Vec<String>,
    /// Use TLS for the Ingress, with the certificate in the Secret NAME-tls; requires --ingress.
    #[arg(long)]
    pub tls: bool,
    /// Have this cert-manager `ClusterIssuer` issue the certificate; implies --tls.
    #[arg(long, value_name = "NAME")]
    pub tls_issuer: Option<String>,
    /// Path for HTTP probes, such as /healthz [default: TCP probes].
    #[arg(long, value_name = "PATH")]
    pub health_path: Option<String>,
    /// Run the pods under their own service account, which names the pull secret.
    #[arg(long)]
    pub service_account: bool,
    /// The image is public and needs no pull secret.
    #[arg(long)]
    pub public: bool,
    /// Pass the KEY=VALUE lines in FILE to the container as environment variables, through a config
    /// map. Not for secrets.
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
}
