//! The lifetime of a new token: `--expires-in 90d`, or `--expires-at`. Pure.

use crate::answers::{Answer, Expiry, Rule};
use jiff::{SignedDuration, Timestamp};

/// When a new token expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetime(Option<Timestamp>);

/// The rule for `--expires-in`.
pub const IN: Rule = "must be a number of days, weeks or hours, such as `90d`, `12w` or `48h`";
/// The rule for `--expires-at` of a token to be created.
pub const AT: Rule = "must be in the future";
/// The longest accepted lifetime, in hours.
const LONGEST: i64 = 100 * 366 * 24;

impl Lifetime {
    /// Parses `text`, a number followed by `h`, `d` or `w`, relative to `now`.
    pub fn from_now(text: &str, now: Timestamp) -> Result<Self, Rule> {
        let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(IN)?;
        let hours = match unit {
            "h" => 1,
            "d" => 24,
            "w" => 7 * 24,
            _ => return Err(IN),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 =
            digits.parse().ok().filter(|number| is_number && *number > 0).ok_or(IN)?;
        let hours = number.checked_mul(hours).filter(|hours| *hours <= LONGEST).ok_or(IN)?;
        // GitLab's times have a resolution of one second.
        let now = Timestamp::from_second(now.as_second()).map_err(|_| IN)?;
        now.checked_add(SignedDuration::from_hours(hours))
            .map(|end| Self(Some(end)))
            .map_err(|_| IN)
    }

    /// A lifetime until `expiry`; a date stands for its last second.
    pub fn until(expiry: &Expiry, now: Timestamp) -> Result<Self, Rule> {
        if expiry.is_never() {
            return Ok(Self(None));
        }
        let end = match expiry.as_str().len() {
            10 => format!("{expiry}T23:59:59Z")
                .parse()
                .map_err(|_| Expiry::parse("").err().unwrap_or(AT))?,
            _ => expiry.instant(),
        };
        if end > now { Ok(Self(Some(end))) } else { Err(AT) }
    }

    /// The last second; `None` if the token never expires.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_now() {
        let now: Timestamp = "2026-11-30T03:15:07.5Z".parse().unwrap();
        for (text, end) in [
            ("90d", "2027-02-28T03:15:07Z"),
            ("1h", "2026-11-30T04:15:07Z"),
            ("2w", "2026-12-14T03:15:07Z"),
        ] {
            let found = Lifetime::from_now(text, now).unwrap().end().unwrap();
            assert_eq!(found.to_string(), end, "{text}");
        }
        for bad in [
            "",
            "0d",
            "-1d",
            "90",
            "d",
            "1.5d",
            "+1d",
            " 1d",
            "1 d",
            "99999999999d",
            "9223372036854775807w",
            "1y",
            "ä",
        ] {
            assert_eq!(Lifetime::from_now(bad, now), Err(IN), "{bad:?}");
        }
    }

    #[test]
    fn a_date_means_its_last_second() {
        let now: Timestamp = "2026-11-30T03:15:07Z".parse().unwrap();
        let until = |text: &str| {
            Lifetime::until(&Expiry::parse(text).unwrap(), now)
                .map(|found| found.end().map(|end| end.to_string()))
        };
        assert_eq!(until("2026-11-30"), Ok(Some("2026-11-30T23:59:59Z".to_owned())));
        assert_eq!(until("2027-01-01T00:00:00+01:00"), Ok(Some("2026-12-31T23:00:00Z".to_owned())));
        assert_eq!(until("never"), Ok(None));
        for past in ["2026-11-29", "2026-11-30T03:15:07Z", "2020-01-01T00:00:00Z"] {
            assert_eq!(until(past), Err(AT), "{past}");
        }
    }
}
