//! Periods as notices promise them: `90 days`, `12 months`.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, date};

use crate::words::words;

words! {
    /// What a period is counted in.
    Unit {
        /// 1 second.
        Seconds = "seconds",
        /// 60 seconds.
        Minutes = "minutes",
        /// 3,600 seconds.
        Hours = "hours",
        /// 24 hours.
        Days = "days",
        /// 7 days.
        Weeks = "weeks",
        /// Calendar months.
        Months = "months",
        /// 12 calendar months.
        Years = "years",
    }
}

/// A length of time, at least one second and at most 100 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    count: u16,
    unit: Unit,
    seconds: u32,
}

/// The text is not a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a period is a number and a unit, such as `90 days`, `12 months` or `6 years`, up to 100 years"
)]
pub struct NotAPeriod;

/// LIMIT: the longest period. Seconds of 100 years still fit 32 bits.
const MONTHS_MAX: u32 = 1_200;

impl Period {
    /// Its length in seconds. A month counts as the fewest days it can have wherever in the
    /// calendar it falls, so that what was promised to be gone is never there a day longer.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// The day on which it has passed since the start of another, by the calendar.
    #[must_use]
    pub fn after(self, day: Date) -> Option<Date> {
        let count = i64::from(self.count);
        let span = match self.unit {
            Unit::Months => count.months(),
            Unit::Years => (12 * count).months(),
            Unit::Seconds | Unit::Minutes | Unit::Hours | Unit::Days | Unit::Weeks => {
                i64::from(self.seconds.div_ceil(86_400)).days()
            }
        };
        day.checked_add(span).ok()
    }
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        const DAY: u32 = 86_400;
        let (count, unit) = text.split_once(' ').ok_or(NotAPeriod)?;
        let plain = !count.starts_with('0') && count.bytes().all(|b| b.is_ascii_digit());
        let count: u16 = count.parse().map_err(|_| NotAPeriod)?;
        let singular = Unit::ALL.iter().find(|word| word.as_str().strip_suffix('s') == Some(unit));
        let unit = Unit::read(unit).or_else(|| singular.copied().filter(|_| count == 1));
        let unit = unit.filter(|_| plain).ok_or(NotAPeriod)?;
        let n = u32::from(count);
        let seconds = match unit {
            Unit::Seconds => n,
            Unit::Minutes => n * 60,
            Unit::Hours => n * 3_600,
            Unit::Days => n.checked_mul(DAY).ok_or(NotAPeriod)?,
            Unit::Weeks => n.checked_mul(7 * DAY).ok_or(NotAPeriod)?,
            Unit::Months => fewest_days(n).ok_or(NotAPeriod)? * DAY,
            Unit::Years => fewest_days(12 * n).ok_or(NotAPeriod)? * DAY,
        };
        match seconds <= 36_525 * DAY {
            true => Ok(Self { count, unit, seconds }),
            false => Err(NotAPeriod),
        }
    }
}

/// The fewest days that so many calendar months can span. It is found over all starts in the four
/// years of a leap cycle and in 2096 to 2100, which have fewer leap days.
fn fewest_days(months: u32) -> Option<u32> {
    if months > MONTHS_MAX {
        return None;
    }
    let span = i64::from(months).months();
    let days = |from: Date| from.checked_add(span).and_then(|to| from.until(to)).ok();
    // The month's length decides, and the end of February; other starts give one of these.
    let years = (2001..=2004).chain(2097..=2100);
    let starts = years.flat_map(|year| {
        (1..=12).flat_map(move |month| {
            let first = date(year, month, 1);
            [first, first.last_of_month()]
        })
    });
    let found = starts.filter_map(|from| days(from).map(|span| span.get_days())).min()?;
    u32::try_from(found).ok()
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_str();
        let unit = if self.count == 1 { unit.trim_end_matches('s') } else { unit };
        write!(f, "{} {unit}", self.count)
    }
}

/// Seconds in the words of a period, rounded down to the largest unit that fits: `14 months`.
#[must_use]
pub fn in_words(seconds: i64) -> String {
    const DAY: i64 = 86_400;
    let (count, unit) = match seconds {
        s if s < 120 => (s, "second"),
        s if s < 2 * 3_600 => (s / 60, "minute"),
        s if s < 2 * DAY => (s / 3_600, "hour"),
        s if s < 92 * DAY => (s / DAY, "day"),
        // 30.4375 days: the mean month.
        s if s < 3 * 366 * DAY => (s * 10_000 / (304_375 * DAY), "month"),
        s => (s * 100 / (36_525 * DAY), "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_the_shortest_it_can_be() {
        let days = |text: &str| text.parse::<Period>().unwrap().seconds() / 86_400;
        for (text, expected) in [
            ("1 month", 28),
            ("3 months", 89),
            ("6 months", 181),
            ("12 months", 365),
            ("13 months", 393),
            ("24 months", 730),
            ("48 months", 1_460),
            ("1 year", 365),
            ("6 years", 2_190),
            ("90 days", 90),
            ("2 weeks", 14),
        ] {
            assert_eq!(days(text), expected, "{text}");
        }
        assert_eq!("24 hours".parse::<Period>().unwrap().seconds(), 86_400);
    }

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        for text in ["12 months", "1 day", "100 years"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        let bad = [
            "",
            "12",
            "months",
            "0 days",
            "012 days",
            "+1 day",
            "-1 days",
            "1.5 years",
            "2 day",
            "12  months",
            "12 moons",
            "101 years",
            "65535 years",
            "1201 months",
            "99999 days",
        ];
        for text in bad {
            assert_eq!(text.parse::<Period>(), Err(NotAPeriod), "{text:?}");
        }
    }

    #[test]
    fn a_day_is_found_by_the_calendar() {
        let after = |period: &str, day: &str| {
            let period: Period = period.parse().unwrap();
            period.after(day.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(after("1 month", "2026-07-01"), "2026-08-01");
        assert_eq!(after("30 days", "2026-07-01"), "2026-07-31");
        assert_eq!(after("12 months", "2027-03-01"), "2028-03-01");
        assert_eq!(after("36 hours", "2026-07-01"), "2026-07-03");
    }

    #[test]
    fn ages_read_as_people_say_them() {
        let day = 86_400;
        assert_eq!(in_words(5), "5 seconds");
        assert_eq!(in_words(20 * day), "20 days");
        assert_eq!(in_words(425 * day), "13 months");
        assert_eq!(in_words(4 * 366 * day), "4 years");
    }
}
