//! Counts matching entries: by the values of a field, and over time.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::postings::{self, Places};
use super::take::{HOUR_MICROS, hour_of};
use super::{Field, Index, IndexError, Query, View, time};

/// LIMIT: values into which a histogram is split, the most frequent ones; more cannot be told
/// apart on a page.
const SPLIT_MAX: usize = 12;

/// How wide a bar of a histogram is, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

/// How many entries match within an hour, day or month. There are none without entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// When it begins.
    pub start: Timestamp,
    /// The value of the field by which the histogram is split.
    pub value: Option<String>,
    /// How many entries.
    pub count: u64,
}

impl Index {
    /// The most frequent values of a field among the entries that match, and how many have them.
    ///
    /// # Errors
    /// [`IndexError::TooBroad`] or [`IndexError::Sqlite`].
    pub fn facets(
        &self,
        query: &Query,
        field: Field,
        top: usize,
    ) -> Result<Vec<(String, u64)>, IndexError> {
        self.read(|view| view.facets(query, field, top))
    }

    /// How many entries match over time, in order; if split, for each of the 12 most frequent
    /// values of that field.
    ///
    /// # Errors
    /// [`IndexError::TooBroad`] or [`IndexError::Sqlite`].
    pub fn histogram(
        &self,
        query: &Query,
        unit: Unit,
        split: Option<Field>,
    ) -> Result<Vec<Bar>, IndexError> {
        self.read(|view| {
            let Some(field) = split else { return view.bars(query, unit, None) };
            let values = view.facets(query, field, SPLIT_MAX)?;
            let values: Vec<String> = values.into_iter().map(|(value, _)| value).collect();
            view.bars(query, unit, Some((field, &values)))
        })
    }
}

impl View<'_> {
    fn facets(
        &self,
        query: &Query,
        field: Field,
        top: usize,
    ) -> Result<Vec<(String, u64)>, IndexError> {
        let plan = self.plan(query)?;
        let slot = self.index.slot(field);
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        for chunk in self.chunks(&plan)? {
            let found = self.matching(&plan, chunk)?;
            if found.is_empty() {
                continue;
            }
            let places = [Places::new(found)];
            postings::tally(&self.tx, chunk.chunk, slot, &places, |value, _, count| match counts
                .get_mut(value)
            {
                Some(sum) => *sum += count,
                None => {
                    counts.insert(value.to_vec(), count);
                }
            })?;
        }
        let mut counts: Vec<(Vec<u8>, u64)> = counts.into_iter().collect();
        let rank =
            |a: &(Vec<u8>, u64), b: &(Vec<u8>, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0));
        if top < counts.len() {
            counts.select_nth_unstable_by(top, rank);
            counts.truncate(top);
        }
        counts.sort_unstable_by(rank);
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
        Ok(counts.into_iter().map(|(value, count)| (text(value), count)).collect())
    }

    fn bars(
        &self,
        query: &Query,
        unit: Unit,
        split: Option<(Field, &[String])>,
    ) -> Result<Vec<Bar>, IndexError> {
        let plan = self.plan(query)?;
        let mut counts: BTreeMap<(Timestamp, Option<&str>), u64> = BTreeMap::new();
        for chunk in self.chunks(&plan)? {
            let found = self.matching(&plan, chunk)?;
            if found.is_empty() {
                continue;
            }
            let (mut values, mut places) = (vec![None], vec![]);
            if let Some((field, all)) = split {
                values = all.iter().map(|value| Some(value.as_str())).collect();
                let slot = self.index.slot(field);
                for value in all {
                    let bits = postings::bits(&self.tx, chunk.chunk, slot, value.as_bytes())?;
                    places.push(Places::new(bits & &found));
                }
            } else {
                places.push(Places::new(found));
            }
            let slot = self.index.hour;
            postings::tally(&self.tx, chunk.chunk, slot, &places, |hour, number, count| {
                if let (Some(hour), Some(value)) = (hour_of(hour), values.get(number)) {
                    *counts.entry((unit.start(hour), *value)).or_default() += count;
                }
            })?;
        }
        let bar = |((start, value), count): ((_, Option<&str>), _)| Bar {
            start,
            value: value.map(str::to_owned),
            count,
        };
        Ok(counts.into_iter().map(bar).collect())
    }
}

impl Unit {
    /// When the bar of an hour begins.
    fn start(self, hour: i64) -> Timestamp {
        let at = |hour: i64| time(hour.saturating_mul(HOUR_MICROS));
        match self {
            Self::Hour => at(hour),
            Self::Day => at(hour.div_euclid(24).saturating_mul(24)),
            Self::Month => {
                let day = TimeZone::UTC.to_datetime(at(hour)).date().first_of_month();
                TimeZone::UTC.to_timestamp(day.into()).unwrap_or_default()
            }
        }
    }
}
