//! Questions to the ledger as people and programs put them: in words, read into a [`Query`].
//!
//! The command line, the API and the pages read them here, so that the same words find the same
//! entries everywhere.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Field, Filter, Query, Review, ReviewError, UnknownField};

/// What is asked, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Written at this time or later: RFC 3339, a date, or how long ago (`30d`).
    pub since: Option<String>,
    /// Written before this time.
    pub until: Option<String>,
    /// About a call with this telephone number at one of its ends.
    pub number: Option<String>,
    /// Words in reason, reference, agent or detail.
    pub words: Option<String>,
    /// Filters, each of which must hold.
    pub all: Vec<Filter>,
}

/// A question that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// Not a time.
    #[error("`{0}` is no time: write 2026-11-03T09:00:00Z, 2026-11-03, or how long ago: 30d")]
    Time(String),
    /// The end comes before the beginning.
    #[error("the end, {until}, is not after the beginning, {since}")]
    Order {
        /// Where it should begin.
        since: Timestamp,
        /// Where it should end.
        until: Timestamp,
    },
    /// Not `FIELD=VALUE`.
    #[error("`{0}` is not of the form FIELD=VALUE")]
    Pair(String),
    /// There is no such field.
    #[error(transparent)]
    Field(#[from] UnknownField),
    /// Not a telephone number.
    #[error("a number is written with its country: a plus sign and 7 to 15 digits")]
    Number,
    /// The ledger cannot be read.
    #[error(transparent)]
    Review(#[from] ReviewError),
}

impl Question {
    /// Adds a part by its name, as a form or a query string has it: `since`, `until`, `number`,
    /// `words`, `not` (`FIELD=VALUE`) or a field. A value that is empty asks nothing; two values of
    /// one field are alternatives.
    ///
    /// # Errors
    /// [`QuestionError`] if there is no such part.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), QuestionError> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(());
        }
        let text = Some(value.to_owned());
        match name {
            "since" => self.since = text,
            "until" => self.until = text,
            "number" => self.number = text,
            "words" => self.words = text,
            "not" => self.without(value)?,
            name => self.any(name.parse()?, vec![value.to_owned()]),
        }
        Ok(())
    }

    /// Adds values of a field, one of which an entry must have.
    pub fn any(&mut self, field: Field, mut values: Vec<String>) {
        if values.is_empty() {
            return;
        }
        match self.all.iter_mut().find(|filter| filter.field == field && !filter.not) {
            Some(filter) => filter.any.append(&mut values),
            None => self.all.push(Filter { field, any: values, not: false }),
        }
    }

    /// Adds values of a field, none of which an entry may have.
    pub fn none(&mut self, field: Field, values: Vec<String>) {
        if !values.is_empty() {
            self.all.push(Filter { field, any: values, not: true });
        }
    }

    /// Adds a field and the value that an entry must have: `FIELD=VALUE`.
    ///
    /// # Errors
    /// [`QuestionError`] if it is not of that form, or there is no such field.
    pub fn with(&mut self, pair: &str) -> Result<(), QuestionError> {
        let (field, value) = split(pair)?;
        self.all.push(Filter { field, any: vec![value], not: false });
        Ok(())
    }

    /// Adds a field and a value that an entry must not have: `FIELD=VALUE`.
    ///
    /// # Errors
    /// As for [`Question::with`].
    pub fn without(&mut self, pair: &str) -> Result<(), QuestionError> {
        let (field, value) = split(pair)?;
        self.all.push(Filter { field, any: vec![value], not: true });
        Ok(())
    }

    /// True if it asks for people, or for what was said or sent by them: what is shown only to who
    /// may read it must not be found by guessing, either.
    #[must_use]
    pub fn is_of_people(&self) -> bool {
        let personal = |filter: &Filter| filter.field.is_personal();
        self.number.is_some() || self.words.is_some() || self.all.iter().any(personal)
    }

    /// The question to the index; `None` if it is about a person nobody knows of.
    ///
    /// # Errors
    /// [`QuestionError`] with what cannot be meant.
    pub fn query(
        &self,
        now: Timestamp,
        review: &mut Review,
    ) -> Result<Option<Query>, QuestionError> {
        let since = self.since.as_deref().map(|text| time(text, now)).transpose()?;
        let until = self.until.as_deref().map(|text| time(text, now)).transpose()?;
        check_order(since, until)?;
        let mut all = self.all.clone();
        if let Some(number) = &self.number {
            let Some(person) = review.person(&e164(number)?)? else { return Ok(None) };
            all.push(Filter { field: Field::Person, any: vec![person.to_string()], not: false });
        }
        Ok(Some(Query { since, until, all, words: self.words.clone().unwrap_or_default() }))
    }
}

fn split(pair: &str) -> Result<(Field, String), QuestionError> {
    let (field, value) =
        pair.split_once('=').ok_or_else(|| QuestionError::Pair(pair.to_owned()))?;
    Ok((field.parse()?, value.to_owned()))
}

/// Reads a time: RFC 3339, a date, or how long ago.
///
/// # Errors
/// [`QuestionError::Time`].
pub fn time(text: &str, now: Timestamp) -> Result<Timestamp, QuestionError> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if text.len() == "2026-11-03".len()
        && let Ok(date) = text.parse::<Date>()
        && let Ok(midnight) = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))
    {
        return Ok(midnight);
    }
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: i64 = number.parse().ok().filter(|number| (0..100_000).contains(number))?;
        let hours = match unit {
            "d" => number.checked_mul(24)?,
            "h" => number,
            "m" => return now.checked_sub(number.minutes()).ok(),
            _ => return None,
        };
        now.checked_sub(SignedDuration::from_hours(hours)).ok()
    };
    ago().ok_or_else(|| QuestionError::Time(text.to_owned()))
}

/// A time that ends before it begins would find nothing, and say so.
///
/// # Errors
/// [`QuestionError::Order`].
pub fn check_order(
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<(), QuestionError> {
    match (since, until) {
        (Some(since), Some(until)) if until <= since => Err(QuestionError::Order { since, until }),
        _ => Ok(()),
    }
}

/// Brings a telephone number into E.164 form.
///
/// # Errors
/// [`QuestionError::Number`].
pub fn e164(text: &str) -> Result<String, QuestionError> {
    let bare: String = text.chars().filter(|c| !" -().\u{a0}/".contains(*c)).collect();
    let digits = bare.strip_prefix('+').unwrap_or_default();
    let good = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if good { Ok(bare) } else { Err(QuestionError::Number) }
}
