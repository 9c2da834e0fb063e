//! The queues of what somebody should look at: each a question to the index.

use jiff::Timestamp;

use super::administered::Verdict;
use super::index::{Field, Filter, Oddity, Query};
use crate::policy::Policies;
use crate::words::words;

/// Of 256 parts into which entries fall by chance, so many are looked at: one entry in 32.
const SAMPLED_PARTS: u8 = 8;

words! {
    /// A reason to look at entries.
    Queue {
        /// Chosen by chance.
        Sampled = "sampled",
        /// Somebody asked for an explanation, or for another to decide.
        Escalated = "escalated",
        /// In an emergency, or to be looked at again by its own terms.
        Emergencies = "emergencies",
        /// Refused.
        Refusals = "refusals",
        /// Given to another country.
        Abroad = "abroad",
        /// At an unusual hour for the caller.
        Hours = "unusual-hours",
        /// More than the caller usually has.
        Volume = "unusual-volume",
        /// The first of the caller, or for a purpose.
        First = "first-time",
    }
}

impl Queue {
    /// In which way what is in it is unusual; the index finds it by [`super::index::Index::unusual`].
    #[must_use]
    pub fn oddity(self) -> Option<Oddity> {
        match self {
            Self::Hours => Some(Oddity::Hour),
            Self::Volume => Some(Oddity::Volume),
            Self::First => Some(Oddity::First),
            _ => None,
        }
    }

    /// Everything in it, looked at or not; of what is unusual the index knows nothing.
    #[must_use]
    pub fn query(self, policies: &Policies, since: Timestamp) -> Query {
        let is = |field, any: Vec<String>| Filter { field, any, not: false };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let vocabulary = policies.vocabulary();
        let all = match self {
            Self::Sampled | Self::Hours | Self::Volume | Self::First => {
                let parts = (0..SAMPLED_PARTS).map(|part| format!("{part:02x}")).collect();
                vec![is(Field::Sample, parts)]
            }
            Self::Escalated => vec![
                is(Field::Reviewed, words(&["escalate", "needs-explanation"])),
                Filter {
                    not: true,
                    ..is(Field::Reviewed, words(&["appropriate", "inappropriate"]))
                },
            ],
            Self::Emergencies => {
                let recipients = vocabulary.recipients.keys().map(String::as_str);
                let purposes = vocabulary.purposes.keys().map(|purpose| purpose.as_str());
                let named = |word: &&str| word.contains("emergency");
                let recipients: Vec<&str> = recipients.filter(named).collect();
                let purposes: Vec<&str> = purposes.filter(named).collect();
                match (recipients.is_empty(), purposes.is_empty()) {
                    (false, _) => vec![is(Field::Recipient, words(&recipients))],
                    (true, _) => vec![is(Field::Purpose, words(&purposes))],
                }
            }
            Self::Refusals => vec![is(Field::Decision, words(&["refuse"]))],
            Self::Abroad => {
                let home = home(policies);
                vec![
                    is(Field::Kind, words(&["share"])),
                    Filter { not: true, ..is(Field::Country, home) },
                ]
            }
        };
        Query { since: Some(since), all, ..Query::default() }
    }
}

/// The countries of the organisation's own numbers.
fn home(policies: &Policies) -> Vec<String> {
    let lines = policies.vocabulary().lines.values();
    let numbers = lines.flat_map(|line| &line.numbers);
    let places = numbers.flat_map(|number| policies.law().places_of_number(number));
    let mut home: Vec<String> =
        places.map(|place| place.to_string().chars().take(2).collect()).collect();
    home.sort_unstable();
    home.dedup();
    home
}

impl Query {
    /// Without what somebody has looked at.
    #[must_use]
    pub fn unreviewed(mut self) -> Self {
        let any = Verdict::ALL.iter().map(|verdict| verdict.as_str().to_owned()).collect();
        self.all.push(Filter { field: Field::Reviewed, any, not: true });
        self
    }
}
