//! Takes entries into the index, a batch a transaction.
//!
//! A batch is gathered in memory first: the places of each term, the rows of its documents, and
//! the outcomes of intents of earlier batches. So each term costs one change of the file however
//! often it occurs, and an outcome that comes with its intent costs none.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;
use rusqlite::params;

use super::postings::{self, Slot, sql};
use super::{Document, Event, Field, Index, IndexError, UNKNOWN, View, words};

/// LIMIT: terms of one document that are taken, words included; an entry has some thirty. The
/// rest is not found by, but stands in the ledger.
const TERMS_MAX: usize = 256;

/// The microseconds of an hour.
pub(super) const HOUR_MICROS: i64 = 3_600_000_000;

/// The term of the hour that a time lies in, counted from 1970; they sort by time.
pub(super) fn hour_value(hour: i64) -> [u8; 8] {
    // The sign is flipped so that earlier hours sort first as bytes, too.
    (hour ^ i64::MIN).to_be_bytes()
}

/// The hour of a term.
pub(super) fn hour_of(value: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(value.try_into().ok()?) ^ i64::MIN)
}

type Key<'a> = (u64, Slot, Cow<'a, [u8]>);

/// The outcome of an intent, within a batch.
#[derive(Clone, Debug)]
struct Ended<'a> {
    seq: u64,
    at: i64,
    bytes: u64,
    first: u64,
    length: Option<u64>,
    ending: Cow<'a, str>,
}

/// A batch as it will be written.
#[derive(Default)]
struct Batch<'a> {
    postings: HashMap<Key<'a>, Vec<u16>>,
    /// The places of this batch's disclosures by their ids.
    here: HashMap<[u8; 16], u64>,
    /// The outcomes of its own intents by the intents' places.
    ended: HashMap<u64, Ended<'a>>,
    /// Those of earlier intents, with the ending that stands in the file.
    late: BTreeMap<u64, (Option<String>, Ended<'a>)>,
    /// The earliest and the latest time in each chunk.
    times: BTreeMap<u64, (i64, i64)>,
}

impl Index {
    /// Takes entries, in order and from [`Index::position`] on: all of them or none.
    ///
    /// # Errors
    /// [`IndexError::Gap`] if one is missing or comes twice, or [`IndexError::Sqlite`]; then
    /// nothing was taken.
    pub fn take(&mut self, documents: &[Document]) -> Result<(), IndexError> {
        self.write(|view| {
            let from = view.number("position")?;
            let mut position = from;
            let mut batch = Batch::default();
            for document in documents {
                if document.seq != position {
                    return Err(IndexError::Gap { expected: position, got: document.seq });
                }
                batch.gather(view, document)?;
                position += 1;
            }
            batch.write(view, documents)?;
            for full in from / postings::CHUNK..position / postings::CHUNK {
                postings::seal(&view.tx, full)?;
            }
            view.set_number("position", position)
        })
    }

    /// Goes on with this place: what stood before it was pruned from the ledger and cannot be
    /// taken. A place that is not ahead changes nothing.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn skip_to(&mut self, place: u64) -> Result<(), IndexError> {
        self.write(|view| {
            if place > view.number("position")? {
                view.set_number("position", place)?;
            }
            Ok(())
        })
    }
}

impl<'a> Batch<'a> {
    fn gather(&mut self, view: &View<'_>, document: &'a Document) -> Result<(), IndexError> {
        let (chunk, low) = postings::split(document.seq);
        let at = document.at.as_microsecond();
        let (first, last) = self.times.entry(chunk).or_insert((at, at));
        (*first, *last) = ((*first).min(at), (*last).max(at));
        let hour = hour_value(at.div_euclid(HOUR_MICROS)).to_vec();
        self.add(chunk, low, view.index.hour, Cow::Owned(hour));
        if let Event::Disclosure { .. } = document.event {
            self.here.entry(document.id).or_insert(document.seq);
            self.add(chunk, low, view.index.listened, Cow::Borrowed(b""));
        }
        for (field, value) in terms(document).take(TERMS_MAX) {
            let value = match value {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            };
            self.add(chunk, low, view.index.slot(field), value);
        }
        if let Event::Outcome { of, bytes, first, length, ending } = &document.event {
            let (bytes, first, length) = (*bytes, *first, *length);
            let ending = Cow::Borrowed(words::cut(ending, words::VALUE_BYTES_MAX));
            let ended = Ended { seq: document.seq, at, bytes, first, length, ending };
            self.end(view, of, ended)?;
        }
        if let Event::Review { of, verdict } = &document.event {
            self.review(view, document.seq, of, words::cut(verdict, words::VALUE_BYTES_MAX))?;
        }
        Ok(())
    }

    /// Marks entries that somebody looked at; each once, however often they did.
    fn review(
        &mut self,
        view: &View<'_>,
        by: u64,
        of: &[u64],
        verdict: &'a str,
    ) -> Result<(), IndexError> {
        let slot = view.index.slot(Field::Reviewed);
        let floor = view.number("floor")?;
        for place in of.iter().filter(|place| (floor..by).contains(place)) {
            let (chunk, low) = postings::split(*place);
            let is_marked = view.has_chunk(chunk)?
                && postings::bits(&view.tx, chunk, slot, verdict.as_bytes())?
                    .contains(u32::from(low));
            let key = (chunk, slot, Cow::Borrowed(verdict.as_bytes()));
            let lows = self.postings.entry(key).or_default();
            if !is_marked && !lows.contains(&low) {
                lows.push(low);
            }
        }
        self.postings.retain(|_, lows| !lows.is_empty());
        Ok(())
    }

    fn add(&mut self, chunk: u64, low: u16, slot: Slot, value: Cow<'a, [u8]>) {
        let lows = self.postings.entry((chunk, slot, value)).or_default();
        if lows.last() != Some(&low) {
            lows.push(low);
        }
    }

    /// Remembers an outcome, unless its intent has one that counts.
    fn end(&mut self, view: &View<'_>, of: &[u8; 16], ended: Ended<'a>) -> Result<(), IndexError> {
        if let Some(intent) = self.here.get(of) {
            let kept = self.ended.entry(*intent).or_insert_with(|| ended.clone());
            if kept.ending == UNKNOWN {
                *kept = ended;
            }
            return Ok(());
        }
        let Some(intent) = view.disclosure_of(of)? else { return Ok(()) };
        if let Some((_, kept)) = self.late.get_mut(&intent) {
            if kept.ending == UNKNOWN {
                *kept = ended;
            }
            return Ok(());
        }
        let stored = view.outcome_of(intent)?.map(|(outcome, _)| outcome.ending);
        if stored.as_deref().is_none_or(|ending| ending == UNKNOWN) {
            self.late.insert(intent, (stored, ended));
        }
        Ok(())
    }

    fn write(mut self, view: &View<'_>, documents: &[Document]) -> Result<(), IndexError> {
        for document in documents {
            write_document(view, document, self.ended.get(&document.seq))?;
        }
        let slot = view.index.slot(Field::Ending);
        for (intent, ended) in std::mem::take(&mut self.ended) {
            self.add_ending(slot, intent, ended.ending);
        }
        for (intent, (stored, ended)) in std::mem::take(&mut self.late) {
            write_outcome(view, intent, &ended)?;
            if let Some(stored) = &stored {
                let (chunk, low) = postings::split(intent);
                let gone = RoaringBitmap::from([u32::from(low)]);
                postings::take_away(&view.tx, chunk, (slot, stored.as_bytes()), &gone)?;
            }
            self.add_ending(slot, intent, ended.ending);
        }
        for (chunk, (first, last)) in &self.times {
            if !view.has_chunk(*chunk)? {
                postings::create(&view.tx, *chunk)?;
            }
            let mut statement = view.tx.prepare_cached(
                "INSERT INTO chunk (chunk, first, last) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                 SET first = min(first, excluded.first), last = max(last, excluded.last)",
            )?;
            statement.execute((sql(*chunk), first, last))?;
        }
        // In the order of the file, so that each page is touched once.
        let mut postings: Vec<_> = self.postings.into_iter().collect();
        postings.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for ((chunk, slot, value), lows) in postings {
            postings::add(&view.tx, chunk, (slot, &value), &lows)?;
        }
        Ok(())
    }

    fn add_ending(&mut self, slot: Slot, intent: u64, ending: Cow<'a, str>) {
        let (chunk, low) = postings::split(intent);
        let value = Cow::Owned(ending.into_owned().into_bytes());
        self.add(chunk, low, slot, value);
    }
}

/// What a document is found by.
fn terms(document: &Document) -> impl Iterator<Item = (Field, Cow<'_, str>)> {
    let key = match &document.event {
        Event::Disclosure { caller, recording, purpose, form, share } => [
            Some((Field::Caller, caller)),
            Some((Field::Recording, recording)),
            Some((Field::Purpose, purpose)),
            Some((Field::Form, form)),
            share.as_ref().map(|share| (Field::Share, share)),
        ],
        Event::Outcome { .. } | Event::Review { .. } | Event::Other => [None; 5],
    };
    // The ending of a disclosure comes from its outcome alone.
    let is_disclosure = matches!(document.event, Event::Disclosure { .. });
    let own = document.terms.iter().map(|(field, value)| (*field, value));
    let own = own.filter(move |(field, _)| !(is_disclosure && *field == Field::Ending));
    let terms = key.into_iter().flatten().chain(own).map(|(field, value)| match field {
        Field::Word => (field, Cow::Owned(words::fold(value))),
        _ => (field, Cow::Borrowed(words::cut(value, words::VALUE_BYTES_MAX))),
    });
    let text = document.text.iter().flat_map(|text| words::split(text));
    terms.chain(text.map(|word| (Field::Word, Cow::Owned(word))))
}

fn write_document(
    view: &View<'_>,
    document: &Document,
    ended: Option<&Ended<'_>>,
) -> Result<(), IndexError> {
    let (seq, at) = (sql(document.seq), document.at.as_microsecond());
    let Event::Disclosure { caller, recording, purpose, form, share } = &document.event else {
        view.tx
            .prepare_cached("INSERT INTO document (seq, at, id) VALUES (?, ?, ?)")?
            .execute((seq, at, document.id))?;
        return Ok(());
    };
    let cut = |value| words::cut(value, words::VALUE_BYTES_MAX);
    let mut statement = view.tx.prepare_cached(
        "INSERT INTO document (seq, at, id, caller, recording, purpose, form, share,
             outcome, ended, bytes, first, length, ending)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        seq,
        at,
        document.id,
        cut(caller),
        cut(recording),
        cut(purpose),
        cut(form),
        share.as_deref().map(cut),
        ended.map(|ended| sql(ended.seq)),
        ended.map(|ended| ended.at),
        ended.map(|ended| sql(ended.bytes)),
        ended.map(|ended| sql(ended.first)),
        ended.and_then(|ended| ended.length).map(sql),
        ended.map(|ended| &*ended.ending),
    ])?;
    Ok(())
}

fn write_outcome(view: &View<'_>, intent: u64, ended: &Ended<'_>) -> Result<(), IndexError> {
    let mut statement = view.tx.prepare_cached(
        "UPDATE document SET outcome = ?, ended = ?, bytes = ?, first = ?, length = ?, ending = ?
         WHERE seq = ?",
    )?;
    statement.execute(params![
        sql(ended.seq),
        ended.at,
        sql(ended.bytes),
        sql(ended.first),
        ended.length.map(sql),
        ended.ending,
        sql(intent),
    ])?;
    Ok(())
}
