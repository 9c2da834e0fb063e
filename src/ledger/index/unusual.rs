//! What is unusual for a caller, by what they did before: explainable numbers, no learned model.
//!
//! Read in one pass over disclosures, oldest first. Each is held against what the same caller did
//! until then: the hours of the day, how many recordings a day, the purposes. Requests for one
//! recording on one day are looked at once.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::postings::{CHUNK, sql, unsql};
use super::{Index, IndexError, time};

/// The microseconds of an hour and of a day.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Fewer disclosures than these tell nothing of somebody's hours.
const HABIT_MIN: u64 = 50;

/// Fewer days than these tell nothing of somebody's usual day.
const DAYS_MIN: usize = 5;

/// Fewer recordings in a day than these are never many.
const MANY_MIN: usize = 10;

/// How many times a usual day is many.
const MANY_TIMES: usize = 3;

/// LIMIT: findings of each kind, the newest ones. More are no queue that anybody works off.
const FOUND_MAX: usize = 2_000;

/// How far back somebody's habits are read.
const HABITS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// In which way something is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Oddity {
    /// At an hour of the day at which the caller hardly ever does anything.
    Hour,
    /// The caller has had many more recordings on this day than on others.
    Volume,
    /// The first thing that the caller is known to have had, or had for this purpose.
    First,
}

/// Something unusual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusual {
    /// In which way.
    pub oddity: Oddity,
    /// The place of the disclosure.
    pub seq: u64,
    /// Why it is unusual, with its numbers.
    pub says: String,
}

/// What a caller did until now.
#[derive(Debug, Default)]
struct Habits {
    hours: [u64; 24],
    total: u64,
    purposes: HashSet<String>,
    /// How many recordings on each earlier day.
    days: Vec<usize>,
    today: i64,
    recordings: HashSet<String>,
    told_many: bool,
}

/// A disclosure, as the index keeps it.
struct Seen<'a> {
    seq: u64,
    at: i64,
    recording: &'a str,
    purpose: &'a str,
}

impl Index {
    /// What was unusual since a time, newest first, by what callers did in the 90 days before.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn unusual(&self, since: Timestamp) -> Result<Vec<Unusual>, IndexError> {
        let begin = since.checked_sub(HABITS).unwrap_or(Timestamp::MIN).as_microsecond();
        let since = since.as_microsecond();
        self.read(|view| {
            let first = view.chunks_between(begin, i64::MAX)?.into_iter().map(|c| c.chunk).min();
            let Some(first) = first else { return Ok(Vec::new()) };
            let mut statement = view.tx.prepare_cached(
                "SELECT seq, at, caller, recording, purpose FROM document
                 WHERE seq >= ?1 AND at >= ?2 AND caller IS NOT NULL ORDER BY seq",
            )?;
            let mut rows = statement.query((sql(first.saturating_mul(CHUNK)), begin))?;
            let mut all: HashMap<String, Habits> = HashMap::new();
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let text = |column| row.get_ref(column).ok().and_then(|value| value.as_str().ok());
                let caller = text(2).unwrap_or_default();
                let seen = Seen {
                    seq: unsql(row.get(0)?),
                    at: row.get(1)?,
                    recording: text(3).unwrap_or_default(),
                    purpose: text(4).unwrap_or_default(),
                };
                if !all.contains_key(caller) {
                    all.insert(caller.to_owned(), Habits::default());
                }
                if let Some(habits) = all.get_mut(caller) {
                    habits.see(&seen, seen.at >= since, &mut found);
                }
            }
            found.reverse();
            let mut counts: HashMap<Oddity, usize> = HashMap::new();
            found.retain(|one: &Unusual| {
                let count = counts.entry(one.oddity).or_default();
                *count += 1;
                *count <= FOUND_MAX
            });
            Ok(found)
        })
    }
}

impl Habits {
    fn see(&mut self, seen: &Seen<'_>, tells: bool, found: &mut Vec<Unusual>) {
        let day = seen.at.div_euclid(DAY);
        if day != self.today {
            if !self.recordings.is_empty() {
                self.days.push(self.recordings.len());
            }
            self.today = day;
            self.recordings.clear();
            self.told_many = false;
        }
        if self.recordings.contains(seen.recording) {
            return;
        }
        self.recordings.insert(seen.recording.to_owned());
        let mut tell = |oddity, says| {
            if tells {
                found.push(Unusual { oddity, seq: seen.seq, says });
            }
        };
        let hour = usize::try_from(seen.at.rem_euclid(DAY) / HOUR).unwrap_or_default();
        let near: u64 = [hour + 23, hour, hour + 1]
            .into_iter()
            .filter_map(|hour| self.hours.get(hour % 24))
            .sum();
        if self.total >= HABIT_MIN && near * 200 < self.total {
            let (total, at) = (self.total, time(seen.at).strftime("%H:%M"));
            tell(
                Oddity::Hour,
                format!(
                    "at {at} UTC; {near} of {total} before were within an hour of that time of day"
                ),
            );
        }
        if !self.told_many && self.days.len() >= DAYS_MIN {
            let mut days = self.days.clone();
            days.sort_unstable();
            let usual = days.get(days.len() / 2).copied().unwrap_or_default();
            let many = (usual * MANY_TIMES).max(MANY_MIN);
            if self.recordings.len() > many {
                self.told_many = true;
                let count = self.recordings.len();
                tell(
                    Oddity::Volume,
                    format!(
                        "recording number {count} of that day; on half of their days it is at most {usual}"
                    ),
                );
            }
        }
        if !self.purposes.contains(seen.purpose) {
            self.purposes.insert(seen.purpose.to_owned());
            let says = match self.total {
                0 => "the first in 90 days".to_owned(),
                total => format!("the first for this purpose after {total} for others"),
            };
            tell(Oddity::First, says);
        }
        self.total += 1;
        if let Some(hour) = self.hours.get_mut(hour) {
            *hour += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(habits: &mut Habits, seq: u64, at: &str, recording: &str) -> Vec<Unusual> {
        let at: Timestamp = at.parse().unwrap();
        let mut found = Vec::new();
        let seen = Seen { seq, at: at.as_microsecond(), recording, purpose: "quality" };
        habits.see(&seen, true, &mut found);
        found
    }

    /// Somebody who hears five recordings at ten o'clock on each of twelve days.
    fn usual() -> Habits {
        let mut habits = Habits::default();
        for day in 1..=12 {
            for number in 0..5 {
                let at = format!("2026-06-{day:02}T10:{number:02}:00Z");
                see(&mut habits, 0, &at, &format!("{day}-{number}"));
            }
        }
        habits
    }

    #[test]
    fn an_hour_at_which_nobody_expects_them_is_told_with_its_numbers() {
        let mut habits = usual();
        assert_eq!(see(&mut habits, 1, "2026-06-13T11:00:00Z", "a"), []);
        let found = see(&mut habits, 2, "2026-06-13T03:00:00Z", "b");
        assert_eq!(found[0].oddity, Oddity::Hour);
        assert!(found[0].says.starts_with("at 03:00 UTC; 0 of 61 before"), "{}", found[0].says);
        assert_eq!(see(&mut habits, 3, "2026-06-13T03:05:00Z", "b"), [], "the same recording");
    }

    #[test]
    fn many_more_than_on_other_days_is_told_once() {
        let mut habits = usual();
        let mut found = Vec::new();
        for number in 0..40 {
            found.extend(see(&mut habits, number, "2026-06-13T10:00:00Z", &number.to_string()));
        }
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].oddity, found[0].seq), (Oddity::Volume, 15));
    }

    #[test]
    fn the_first_is_told() {
        let mut habits = Habits::default();
        assert_eq!(see(&mut habits, 1, "2026-06-13T10:00:00Z", "a")[0].oddity, Oddity::First);
        assert_eq!(see(&mut habits, 2, "2026-06-13T10:00:00Z", "b"), []);
    }
}
