//! The options of a component.

use clap::Args;

/// What a component is: how it runs, and what belongs to it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Component")]
pub struct ComponentOptions {
    /// The image, with a tag or a digest.
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,
    /// How it runs: deployment (all the time), cronjob (on a schedule) or job (once for each image) [default: deployment].
    #[arg(long, value_name = "KIND", value_parser = ["deployment", "cronjob", "job"], hide_possible_values = true)]
    pub workload: Option<String>,
    /// When a cronjob runs: five fields of cron such as '0 3 * * *', or @hourly, @daily, @weekly.
    #[arg(long, value_name = "CRON")]
    pub schedule: Option<String>,
    /// The time zone of the schedule, such as Europe/Berlin [default: the cluster's, mostly UTC].
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// An argument for the container; once for each, in their order [default: the image's].
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub arg: Vec<String>,
    /// Port on which the container listens; none: a worker, which nobody can reach [default: 8080].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub port: Option<String>,
    /// How many pods run [default: 2].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub replicas: Vec<String>,
    /// Host name of an Ingress; with environments that of the protected ones, the others get ENV.HOST [default: no Ingress].
    #[arg(long, value_name = "HOST")]
    pub ingress: Vec<String>,
    /// Let the Ingress speak TLS, with the certificate in the Secret NAME-tls.
    #[arg(long)]
    pub tls: bool,
    /// Let this cluster issuer of cert-manager make that certificate.
    #[arg(long, value_name = "NAME")]
    pub tls_issuer: Option<String>,
    /// Path of the HTTP probes, such as /healthz [default: TCP probes].
    #[arg(long, value_name = "PATH")]
    pub health_path: Option<String>,
    /// Give the pods a service account of their own, which names the pull secret, too.
    #[arg(long)]
    pub service_account: bool,
    /// Give the container the settings in FILE, lines KEY=VALUE, as variables: a config map. No secrets.
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
}
