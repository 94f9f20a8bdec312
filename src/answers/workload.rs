//! How a component runs: permanently, on a schedule, or once.

use super::{Answer, Rule};
use std::fmt;

/// The kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Workload {
    /// Runs permanently.
    #[default]
    Deployment,
    /// Runs on a schedule.
    CronJob,
    /// Runs once for each image, like a migration.
    Job,
}

impl Workload {
    /// All kinds, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::CronJob, Self::Job];

    /// The value of the option, and the name of the manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::CronJob => "cronjob",
            Self::Job => "job",
        }
    }

    /// The manifest's `kind`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::CronJob => "CronJob",
            Self::Job => "Job",
        }
    }

    /// The manifest's `apiVersion`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Deployment => "apps/v1",
            Self::CronJob | Self::Job => "batch/v1",
        }
    }

    /// The path of its pod in the manifest.
    #[must_use]
    pub fn pod(self) -> &'static [&'static str] {
        match self {
            Self::Deployment | Self::Job => &["spec", "template", "spec"],
            Self::CronJob => &["spec", "jobTemplate", "spec", "template", "spec"],
        }
    }
}

impl Answer for Workload {
    const EXAMPLE: &'static str = "cronjob";
    const CHOICES: &'static [&'static str] = &["deployment", "cronjob", "job"];

    fn parse(text: &str) -> Result<Self, Rule> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.as_str() == text)
            .ok_or("must be one of: deployment, cronjob, job")
    }
}

/// The schedule of a cron job, as parsed by Kubernetes (github.com/robfig/cron/v3,
/// `ParseStandard`): five fields, or a name after `@`. Refuses what that parser accepts but nobody
/// intends, such as `*-5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(String);

/// A field of a schedule: the minimum, the maximum, names, and the rule.
type Field = (u32, u32, &'static str, Rule);

const FIELDS: [Field; 5] = [
    (0, 59, "", "must have minutes (0 to 59) in the first field, such as `0`, `*/15` or `0,30`"),
    (0, 23, "", "must have hours (0 to 23) in the second field, such as `3`, `*/6` or `8-18`"),
    (1, 31, "", "must have days (1 to 31) in the third field, such as `1` or `*`"),
    (
        1,
        12,
        "janfebmaraprmayjunjulaugsepoctnovdec",
        "must have months (1 to 12, or jan to dec) in the fourth field",
    ),
    (
        0,
        6,
        "sunmontuewedthufrisat",
        "must have days of the week (0 for Sunday to 6, or sun to sat) in the fifth field",
    ),
];

const FIVE_FIELDS: Rule = "must be a cron schedule: five fields (minute, hour, day, month, day of \
                           the week), or @hourly, @daily, @weekly, @monthly, @yearly, `@every 6h`";

impl Schedule {
    /// The schedule, with one blank between fields.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Answer for Schedule {
    const EXAMPLE: &'static str = "0 3 * * *";

    fn parse(text: &str) -> Result<Self, Rule> {
        let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [name]
                if matches!(
                    *name,
                    "@yearly"
                        | "@annually"
                        | "@monthly"
                        | "@weekly"
                        | "@daily"
                        | "@midnight"
                        | "@hourly"
                ) => {}
            ["@every", time] if is_duration(time) => {}
            [_, _, _, _, _] => {
                for (word, field) in words.iter().zip(&FIELDS) {
                    if !word.split(',').all(|range| is_range(range, field)) {
                        return Err(field.3);
                    }
                }
            }
            _ => return Err(FIVE_FIELDS),
        }
        Ok(Self(words.join(" ")))
    }
}

/// `*`, `?`, a number or a range with `-`, optionally followed by `/` and a step.
fn is_range(text: &str, field: &Field) -> bool {
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (text, None),
    };
    let value = |text: &str| value(text, field);
    let in_order = match range.split_once('-') {
        _ if range == "*" || range == "?" => true,
        None => value(range).is_some(),
        Some((from, to)) => value(from).zip(value(to)).is_some_and(|(from, to)| from <= to),
    };
    in_order && step.is_none_or(|step| number(step).is_some_and(|step| step > 0))
}

fn value(text: &str, &(least, greatest, names, _): &Field) -> Option<u32> {
    let by_name = || {
        let name = text.to_ascii_lowercase();
        let at = names.as_bytes().chunks(3).position(|known| known == name.as_bytes())?;
        Some(least + u32::try_from(at).ok()?)
    };
    number(text).or_else(by_name).filter(|value| (least..=greatest).contains(value))
}

fn number(text: &str) -> Option<u32> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Hours, minutes and seconds, `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut parts = text.split_inclusive(['h', 'm', 's']);
    let amount = |part: &str| number(part.strip_suffix(['h', 'm', 's'])?);
    !text.is_empty() && parts.all(|part| amount(part).is_some_and(|number| number > 0))
}

/// The time zone of a schedule, by its IANA name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(String);

impl TimeZone {
    /// The accepted name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Answer for TimeZone {
    const EXAMPLE: &'static str = "Europe/Berlin";

    fn parse(text: &str) -> Result<Self, Rule> {
        let plain = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
        };
        // Kubernetes refuses "Local", which depends on the machine.
        if text.len() <= 64 && text.split('/').all(plain) && !text.eq_ignore_ascii_case("local") {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be an IANA time zone such as Europe/Berlin or Etc/UTC")
        }
    }
}

/// The container's arguments. Their text is a JSON list, which is also YAML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// The text of the arguments `list`.
    #[must_use]
    pub fn text(list: &[String]) -> String {
        serde_json::Value::from(list).to_string()
    }

    /// The arguments.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Answer for Arguments {
    const EXAMPLE: &'static str = r#"["work", "--queue=mail"]"#;

    fn parse(text: &str) -> Result<Self, Rule> {
        let list: Vec<String> =
            serde_json::from_str(text).map_err(|_| "must be a list of strings")?;
        if list.iter().any(|argument| super::looks_like_token(argument)) {
            return Err(
                "must not contain a token: arguments are visible in git and in process lists",
            );
        }
        let fine =
            |argument: &String| argument.len() <= 4096 && !argument.contains(char::is_control);
        if list.is_empty() || list.len() > 100 || !list.iter().all(fine) {
            return Err("must be at most 100 arguments of one line and at most 4096 bytes each");
        }
        Ok(Self(list))
    }
}

/// The cert-manager `ClusterIssuer` that issues a certificate: a DNS subdomain (RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterIssuer(String);

impl ClusterIssuer {
    /// The accepted name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Answer for ClusterIssuer {
    const EXAMPLE: &'static str = "letsencrypt";

    fn parse(text: &str) -> Result<Self, Rule> {
        if text.len() <= 253 && text.split('.').all(super::names::is_dns_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be the name of a ClusterIssuer: lower-case letters, digits, `-` and `.` \
                 (kubectl get clusterissuers)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_what_kubernetes_parses() {
        for good in [
            "0 3 * * *",
            "*/15 8-18 1,15 jan-Jun MON-fri",
            "0 03 ? * 0",
            "5/10 * * * 6",
            "0-30/5 * * * *",
            "@daily",
            "@every 1h30m",
            "0  3 * * *",
        ] {
            assert!(Schedule::parse(good).is_ok(), "{good}");
        }
        assert_eq!(Schedule::parse(" 0  3 * * * ").unwrap().as_str(), "0 3 * * *");
        for (bad, rule) in [
            ("60 * * * *", "minutes"),
            ("* 24 * * *", "hours"),
            ("* * 0 * *", "days (1 to 31)"),
            ("* * 32 * *", "days (1 to 31)"),
            ("* * * 13 *", "months"),
            ("* * * foo *", "months"),
            ("* * * * 7", "0 for Sunday to 6"),
            ("30-10 * * * *", "minutes"),
            ("*/0 * * * *", "minutes"),
            ("*-5 * * * *", "minutes"),
            ("1,,2 * * * *", "minutes"),
            ("+1 * * * *", "minutes"),
            ("1/2/3 * * * *", "minutes"),
            ("* * * *", "five fields"),
            ("0 0 * * * *", "five fields"),
            ("", "five fields"),
            ("@reboot", "five fields"),
            ("@every 1x", "five fields"),
            ("@every h", "five fields"),
            ("@every 1h30m\u{85}", "five fields"),
            ("@every 1ä", "five fields"),
            ("@daily\n", "five fields"),
            ("TZ=UTC 0 3 * * *", "five fields"),
        ] {
            assert!(Schedule::parse(bad).unwrap_err().contains(rule), "{bad:?}");
        }
    }

    #[test]
    fn names_of_zones_and_issuers_are_plain() {
        for good in ["Europe/Berlin", "Etc/GMT+5", "America/Port-au-Prince", "UTC"] {
            assert!(TimeZone::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Local", "../etc", "Europe/", "/UTC", "a b", "Europe/Ber\nlin"] {
            assert!(TimeZone::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ClusterIssuer::parse("letsencrypt.prod").is_ok());
        for bad in ["", "Letsencrypt", "a..b", "a b", "a\n"] {
            assert!(ClusterIssuer::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn arguments_are_a_list_of_lines_and_hold_no_token() {
        let read = |text: &str| Arguments::parse(text).map(|list| list.as_slice().to_vec());
        assert_eq!(read(r#"["work", "", "größe: #\"'"]"#).unwrap(), ["work", "", "größe: #\"'"]);
        assert!(read("[]").is_err() && read("work").is_err() && read("[1]").is_err());
        assert!(read(r#"["a\nb"]"#).is_err());
        assert!(read(r#"["--token=glpat-abcdefghijklmnopqrst"]"#).unwrap_err().contains("token"));
    }
}
