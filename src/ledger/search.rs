//! The projection that reviewers search: entries go into the index as they come.

use std::path::Path;
use std::sync::{Arc, Weak};

use serde_json::Value;

use super::describe::describe;
use super::follow::Projection;
use super::index::{Document, Field, Filter, Found, Index, IndexError, Order, Query};
use super::people::{Opener, Sealed, as_value};
use super::store::{Store, Stored};
use super::writer::{Writer, full};

/// The file of the index in the ledger's folder.
pub(super) const INDEX_FILE: &str = "index.sqlite";

/// The file of an index that was made without the key file.
pub(super) const BARE_INDEX_FILE: &str = "index-without-people.sqlite";

/// How many turns after an erasure the writer is told to forget.
const FORGETTING: u8 = 10;

/// LIMIT: entries about one erased person that are forgotten.
const FORGET_MAX: usize = 1_000_000;

/// The index and what opens what lies beside entries.
#[derive(Debug)]
pub(super) struct Searching {
    index: Index,
    /// `None` without the key file: nothing that tells of people is found then.
    opener: Option<Opener>,
    /// Who must forget the key of a person who was erased; nobody, in a tool.
    writer: Weak<Writer>,
    /// For how many turns more: the key is destroyed after that is on record.
    forgetting: u8,
}

impl Searching {
    /// Opens the index in this file, or makes one.
    pub(super) fn open(file: &Path, opener: Option<Opener>) -> Result<Self, IndexError> {
        let (index, found) = Index::open(file)?;
        if let Found::Unusable(reason) = found {
            tracing::warn!(reason, "the search index could not be used and is made anew");
        }
        Ok(Self { index, opener, writer: Weak::new(), forgetting: 0 })
    }

    /// Makes the index anew.
    pub(super) fn remake(file: &Path, opener: Option<Opener>) -> Result<Self, IndexError> {
        let index = Index::remake(file)?;
        Ok(Self { index, opener, writer: Weak::new(), forgetting: 0 })
    }

    /// Has this writer told when somebody was erased.
    pub(super) fn telling(mut self, writer: &Arc<Writer>) -> Self {
        self.writer = Arc::downgrade(writer);
        self
    }

    fn documents(
        &mut self,
        entries: &[Stored],
        read: &[Value],
        store: &mut dyn Store,
    ) -> Result<Vec<Document>, String> {
        let sealed: Vec<Option<Sealed>> =
            entries.iter().map(|stored| stored.clear.as_deref().and_then(Sealed::read)).collect();
        if let Some(opener) = &mut self.opener {
            // A key that was destroyed since must not open anything here.
            opener.forget();
            opener.prepare(store, sealed.iter().flatten()).map_err(|error| full(&error))?;
        }
        let each = entries.iter().zip(read).zip(&sealed);
        let document = |((stored, entry), sealed): ((&Stored, &Value), &Option<Sealed>)| {
            let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
            let opener = self.opener.as_ref().zip(sealed.as_ref());
            let opened = opener.map(|(opener, sealed)| as_value(&opener.groups(id, sealed)));
            // Without the key file nobody can ask for a number.
            let people = sealed.iter().filter(|_| opener.is_some()).flat_map(Sealed::people);
            describe(stored.seq, entry, opened.as_ref(), people)
        };
        Ok(each.map(document).collect())
    }

    fn tell_writer(&self) {
        if let Some(writer) = self.writer.upgrade() {
            writer.forget_people();
        }
    }

    /// What is to be done beyond taking an entry.
    fn follow(&mut self, event: &Value) -> Result<(), IndexError> {
        if let Some(before) = event.get("before").and_then(Value::as_u64) {
            return self.index.prune(before);
        }
        self.forgetting = FORGETTING;
        self.tell_writer();
        let of = event.get("of").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut places: Vec<u64> = of.iter().filter_map(Value::as_u64).collect();
        if let Some(person) = event.get("person").and_then(Value::as_u64) {
            let is = Filter { field: Field::Person, any: vec![person.to_string()], not: false };
            let query = Query { all: vec![is], ..Query::default() };
            places.extend(self.index.find(&query, None, FORGET_MAX, Order::NewestFirst)?.seqs);
        }
        self.index.forget(&places)
    }
}

impl Projection for Searching {
    fn name(&self) -> &'static str {
        "search index"
    }

    fn can_wait(&self) -> bool {
        true
    }

    fn settle(&mut self, _store: &mut dyn Store, _at_the_end: bool) -> Result<(), String> {
        if self.forgetting > 0 {
            self.forgetting -= 1;
            self.tell_writer();
        }
        Ok(())
    }

    fn next(&mut self) -> Result<u64, String> {
        self.index.position().map_err(|error| full(&error))
    }

    fn take(&mut self, entries: &[Stored], store: &mut dyn Store) -> Result<(), String> {
        // Whatever is in the place of one, the entries after it must be found.
        let read = |stored: &Stored| serde_json::from_slice(&stored.bytes).unwrap_or_default();
        let read: Vec<Value> = entries.iter().map(read).collect();
        // What was erased is forgotten before these are taken, so that a crash between the two
        // only repeats it.
        for entry in &read {
            if matches!(entry.get("t").and_then(Value::as_str), Some("redaction" | "prune")) {
                match self.follow(entry) {
                    // It is found no more; the bytes go with the next one.
                    Ok(()) | Err(IndexError::Held) => {}
                    Err(error) => return Err(full(&error)),
                }
            }
        }
        let documents = self.documents(entries, &read, store)?;
        if let Some(first) = documents.first() {
            // Of entries that were pruned there is nothing to take.
            self.index.skip_to(first.seq).map_err(|error| full(&error))?;
        }
        self.index.take(&documents).map_err(|error| full(&error))
    }
}
