//! Finds entries: filters, words and a time, chunk by chunk from the newest or the oldest.

use std::collections::BTreeSet;

use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::postings::{self, CHUNK, Slot, unsql};
use super::take::{HOUR_MICROS, hour_value};
use super::words::{self, Wanted};
use super::{Field, Index, IndexError, View};

/// LIMIT: words that one prefix may stand for. More would be a search for nearly everything that
/// reads nearly the whole index.
const PREFIX_WORDS_MAX: usize = 2_000;

/// What is asked of entries; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Written at this time or later.
    pub since: Option<Timestamp>,
    /// Written before this time.
    pub until: Option<Timestamp>,
    /// Filters, each of which must hold.
    pub all: Vec<Filter>,
    /// Words that must all be in the free text; `compl*` means any word that begins so.
    pub words: String,
}

/// That an entry has one of these values in a field, or none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The field.
    pub field: Field,
    /// The values.
    pub any: Vec<String>,
    /// Whether it must have none of them.
    pub not: bool,
}

/// In which order entries are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The last entry of the ledger first.
    NewestFirst,
    /// The first entry of the ledger first.
    OldestFirst,
}

/// Some of the entries that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Their places.
    pub seqs: Vec<u64>,
    /// What to ask the next page with; nothing if this is the last.
    pub next: Option<u64>,
}

/// Values that are looked up together.
#[derive(Debug)]
enum Term {
    Value(Vec<u8>),
    Between(Vec<u8>, Vec<u8>),
}

/// A filter as it is looked up.
#[derive(Debug)]
struct Clause {
    slot: Slot,
    any: Vec<Term>,
    not: bool,
}

/// A query as it is looked up.
#[derive(Debug)]
pub(super) struct Plan {
    since: i64,
    until: i64,
    clauses: Vec<Clause>,
}

/// A chunk, and the earliest and latest time in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) chunk: u64,
    first: i64,
    last: i64,
}

impl Index {
    /// Entries that match, a page at a time: none for the first page, then what the page before
    /// says. Entries taken meanwhile do not disturb it.
    ///
    /// # Errors
    /// [`IndexError::TooBroad`] or [`IndexError::Sqlite`].
    pub fn find(
        &self,
        query: &Query,
        after: Option<u64>,
        limit: usize,
        order: Order,
    ) -> Result<Page, IndexError> {
        self.read(|view| {
            let plan = view.plan(query)?;
            let mut chunks = view.chunks(&plan)?;
            if order == Order::OldestFirst {
                chunks.reverse();
            }
            let mut seqs = Vec::new();
            for chunk in chunks {
                if after.is_some_and(|after| chunk.is_past(after, order)) {
                    continue;
                }
                let found = view.matching(&plan, chunk)?;
                let missing = limit.saturating_add(1) - seqs.len();
                let all = found.iter().map(|low| postings::join(chunk.chunk, low));
                match order {
                    Order::NewestFirst => {
                        let left = all.rev().filter(|seq| after.is_none_or(|after| *seq < after));
                        seqs.extend(left.take(missing));
                    }
                    Order::OldestFirst => {
                        let left = all.filter(|seq| after.is_none_or(|after| *seq > after));
                        seqs.extend(left.take(missing));
                    }
                }
                if seqs.len() > limit {
                    break;
                }
            }
            let more = seqs.len() > limit;
            seqs.truncate(limit);
            let next = if more { seqs.last().copied() } else { None };
            Ok(Page { seqs, next })
        })
    }

    /// How many entries match.
    ///
    /// # Errors
    /// [`IndexError::TooBroad`] or [`IndexError::Sqlite`].
    pub fn count(&self, query: &Query) -> Result<u64, IndexError> {
        self.read(|view| {
            let plan = view.plan(query)?;
            let mut count = 0;
            for chunk in view.chunks(&plan)? {
                count += view.matching(&plan, chunk)?.len();
            }
            Ok(count)
        })
    }
}

impl Chunk {
    /// Whether the pages before this one have shown all of it.
    fn is_past(self, after: u64, order: Order) -> bool {
        match order {
            Order::NewestFirst => self.chunk > after / CHUNK,
            Order::OldestFirst => self.chunk < after / CHUNK,
        }
    }
}

impl View<'_> {
    /// Works out what to look up.
    pub(super) fn plan(&self, query: &Query) -> Result<Plan, IndexError> {
        let filters = query.all.iter().map(|filter| {
            let value = |value: &String| match filter.field {
                Field::Word => Term::Value(words::fold(value).into_bytes()),
                _ => Term::Value(words::cut(value, words::VALUE_BYTES_MAX).as_bytes().to_vec()),
            };
            let any = filter.any.iter().map(value).collect();
            Clause { slot: self.index.slot(filter.field), any, not: filter.not }
        });
        let words = words::wanted(&query.words);
        let slot = self.index.slot(Field::Word);
        let searched = words.iter().map(|wanted| {
            let term = match wanted {
                Wanted::Word(word) => Term::Value(word.clone().into_bytes()),
                // No byte of UTF-8 is 0xff.
                Wanted::Prefix(start) => {
                    let from = start.clone().into_bytes();
                    let to = from.iter().copied().chain([0xff]).collect();
                    Term::Between(from, to)
                }
            };
            Clause { slot, any: vec![term], not: false }
        });
        let plan = Plan {
            since: query.since.map_or(i64::MIN, Timestamp::as_microsecond),
            until: query.until.map_or(i64::MAX, Timestamp::as_microsecond),
            // What must not be is taken away from what is there in the end.
            clauses: {
                let mut clauses: Vec<Clause> = searched.chain(filters).collect();
                clauses.sort_by_key(|clause| clause.not);
                clauses
            },
        };
        for wanted in words {
            if let Wanted::Prefix(prefix) = wanted {
                self.check_breadth(&plan, prefix)?;
            }
        }
        Ok(plan)
    }

    /// Refuses a prefix of too many words.
    fn check_breadth(&self, plan: &Plan, prefix: String) -> Result<(), IndexError> {
        let slot = self.index.slot(Field::Word);
        let from = prefix.clone().into_bytes();
        let to: Vec<u8> = from.iter().copied().chain([0xff]).collect();
        let mut values = BTreeSet::new();
        for chunk in self.chunks(plan)? {
            postings::values_between(&self.tx, chunk.chunk, slot, (&from, &to), |value| {
                if !values.contains(value) {
                    values.insert(value.to_vec());
                }
                values.len() <= PREFIX_WORDS_MAX
            })?;
        }
        if values.len() > PREFIX_WORDS_MAX {
            return Err(IndexError::TooBroad { prefix });
        }
        Ok(())
    }

    /// The chunks that can have what is asked for, the newest first.
    pub(super) fn chunks(&self, plan: &Plan) -> Result<Vec<Chunk>, IndexError> {
        self.chunks_between(plan.since, plan.until)
    }

    /// The chunks with entries from one time to another, the last not included.
    pub(super) fn chunks_between(&self, since: i64, until: i64) -> Result<Vec<Chunk>, IndexError> {
        let mut statement = self.tx.prepare_cached(
            "SELECT chunk, first, last FROM chunk WHERE last >= ? AND first < ?
             ORDER BY chunk DESC",
        )?;
        let chunks = statement.query_map((since, until), |row| {
            Ok(Chunk { chunk: unsql(row.get(0)?), first: row.get(1)?, last: row.get(2)? })
        })?;
        Ok(chunks.collect::<rusqlite::Result<_>>()?)
    }

    /// The places in a chunk that match.
    pub(super) fn matching(&self, plan: &Plan, chunk: Chunk) -> Result<RoaringBitmap, IndexError> {
        let mut found: Option<RoaringBitmap> = None;
        for clause in &plan.clauses {
            let any = self.any(clause, chunk.chunk)?;
            found = Some(match (found, clause.not) {
                (None, false) => any,
                (Some(found), false) => found & any,
                (None, true) => self.present(chunk.chunk)? - any,
                (Some(found), true) => found - any,
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return Ok(RoaringBitmap::new());
            }
        }
        let found = match found {
            Some(found) => found,
            None => self.present(chunk.chunk)?,
        };
        self.within_time(plan, chunk, found)
    }

    fn any(&self, clause: &Clause, chunk: u64) -> Result<RoaringBitmap, IndexError> {
        let mut found = RoaringBitmap::new();
        for term in &clause.any {
            found |= match term {
                Term::Value(value) => postings::bits(&self.tx, chunk, clause.slot, value)?,
                Term::Between(from, to) => {
                    postings::bits_between(&self.tx, chunk, clause.slot, (from, to))?
                }
            };
        }
        Ok(found)
    }

    /// All entries of a chunk.
    fn present(&self, chunk: u64) -> Result<RoaringBitmap, IndexError> {
        let start = postings::join(chunk, 0);
        let floor = self.number("floor")?.saturating_sub(start).min(CHUNK);
        let end = self.number("position")?.saturating_sub(start).min(CHUNK);
        let low = |place| u32::try_from(place).unwrap_or(u32::MAX);
        let mut all = RoaringBitmap::new();
        all.insert_range(low(floor)..low(end));
        Ok(all)
    }

    /// Those of the places whose time is asked for: whole hours by their terms, and the first and
    /// the last hour by the times of the entries.
    fn within_time(
        &self,
        plan: &Plan,
        chunk: Chunk,
        found: RoaringBitmap,
    ) -> Result<RoaringBitmap, IndexError> {
        if plan.since <= chunk.first && chunk.last < plan.until {
            return Ok(found);
        }
        let from = plan.since.max(chunk.first).div_euclid(HOUR_MICROS);
        let to = plan.until.saturating_sub(1).min(chunk.last).div_euclid(HOUR_MICROS);
        let (slot, range) = (self.index.hour, (hour_value(from), hour_value(to + 1)));
        let hours = postings::bits_between(&self.tx, chunk.chunk, slot, (&range.0, &range.1))?;
        let mut found = found & hours;
        for edge in BTreeSet::from([from, to]) {
            let start = edge * HOUR_MICROS;
            if plan.since <= start && start + HOUR_MICROS <= plan.until {
                continue;
            }
            let hour = postings::bits(&self.tx, chunk.chunk, slot, &hour_value(edge))?;
            for low in &(&found & hour) {
                let at = self.micros_at(postings::join(chunk.chunk, low))?;
                if !at.is_some_and(|at| (plan.since..plan.until).contains(&at)) {
                    found.remove(low);
                }
            }
        }
        Ok(found)
    }

    /// A chunk by its number, if it can have what is asked for.
    pub(super) fn chunk(&self, plan: &Plan, chunk: u64) -> Result<Option<Chunk>, IndexError> {
        let found =
            self.document("SELECT first, last FROM chunk WHERE chunk = ?", chunk, |row| {
                Ok(Chunk { chunk, first: row.get(0)?, last: row.get(1)? })
            })?;
        Ok(found.filter(|chunk| chunk.last >= plan.since && chunk.first < plan.until))
    }
}
