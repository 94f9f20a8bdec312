//! The expiry of a deploy token.

use super::{Answer, Rule};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::fmt;

/// A token's expiry: `YYYY-MM-DD` (midnight UTC at its start, as in GitLab), RFC 3339, or `never`.
/// Preserves the notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    text: String,
    instant: Timestamp,
}

impl Expiry {
    const NEVER: &str = "never";

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the token never expires.
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.text == Self::NEVER
    }

    /// Whether the token has expired.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.is_over(Timestamp::now())
    }

    /// The point in time.
    #[must_use]
    pub fn instant(&self) -> Timestamp {
        self.instant
    }

    /// Whether the token has expired at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.instant <= now
    }

    /// Whole days from `now` until the expiry; negative if it has passed.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.instant.as_second() - now.as_second()).div_euclid(24 * 60 * 60)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Answer for Expiry {
    const EXAMPLE: &'static str = "2027-12-31";

    fn parse(text: &str) -> Result<Self, Rule> {
        const RULE: Rule = "must be a date (`YYYY-MM-DD`), a time in RFC 3339 format \
                            (`2027-12-31T12:00:00Z`), or `never`";
        if text == Self::NEVER {
            return Ok(Self { text: text.to_owned(), instant: Timestamp::MAX });
        }
        // The crate accepts more than RFC 3339 (zone names in brackets, week dates), so other
        // characters are excluded.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:.TZtz".contains(&byte));
        let instant = match text.len() {
            10 => text
                .parse::<Date>()
                .and_then(|date| date.to_zoned_datetime(TimeZone::UTC))
                .map(|midnight| midnight.timestamp()),
            _ => text.parse::<Timestamp>(),
        };
        match instant {
            Ok(instant) if plain && text.as_bytes().get(4) == Some(&b'-') => {
                Ok(Self { text: text.to_owned(), instant })
            }
            _ => Err(RULE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_and_times() {
        assert!(Expiry::parse("2020-02-29").unwrap().is_past());
        assert!(!Expiry::parse("2999-01-01").unwrap().is_past());
        assert!(!Expiry::parse("never").unwrap().is_past());
        // The format of GitLab's API.
        let gitlab = Expiry::parse("2021-01-01T00:00:00.000Z").unwrap();
        assert_eq!(gitlab.instant, Expiry::parse("2021-01-01").unwrap().instant);
        assert!(Expiry::parse("2027-12-31T12:00:00+02:00").is_ok());
    }

    #[test]
    fn counts_whole_days() {
        let expiry = Expiry::parse("2027-01-31").unwrap();
        for (now, days) in [
            ("2027-01-01T00:00:00Z", 30),
            ("2027-01-30T12:00:00Z", 0),
            ("2027-01-31T00:00:01Z", -1),
        ] {
            assert_eq!(expiry.days_left(now.parse().unwrap()), days, "{now}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for bad in [
            "",
            "2021-02-30",
            "01.02.2027",
            "2027-1-1",
            "tomorrow",
            "20270101",
            "2027-W01-1",
            "2027-01-01\n",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00:00[UTC]",
            "+002027-01-01",
        ] {
            assert!(Expiry::parse(bad).is_err(), "{bad:?}");
        }
    }
}
