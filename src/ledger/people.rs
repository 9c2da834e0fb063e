//! What is known of people, sealed under a key of each.
//!
//! Each person (a caller, a number) has a key of their own in the store, wrapped by the ledger's.
//! Destroying that one key makes everything about them unreadable, in the ledger and in every copy
//! of its entries, and breaks no commitment: nothing that is hashed has changed.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::commit::{Clear, Opened};
use super::entry::EntryId;
use super::keys::{PersonSeal, Sealing};
use super::store::{Blind, PersonKey, Store, StoreError};

/// LIMIT: people whose keys are kept in memory, about 20 MB.
const PEOPLE_MAX: usize = 50_000;

/// What lies beside an entry.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Sealed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    net: Option<SealedGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<SealedGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<SealedGroup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subject: Vec<SealedGroup>,
}

#[derive(Debug, Deserialize, Serialize)]
struct SealedGroup {
    #[serde(rename = "box")]
    sealed: String,
    person: u64,
}

impl Sealed {
    /// Reads what lies beside an entry.
    pub(super) fn read(clear: &[u8]) -> Option<Self> {
        serde_json::from_slice(clear).ok()
    }

    fn groups(&self) -> impl Iterator<Item = (&'static str, &SealedGroup)> {
        let one = |name, group| std::iter::zip(std::iter::repeat(name), group);
        one("net", self.net.as_slice())
            .chain(one("said", self.said.as_slice()))
            .chain(one("share", self.share.as_slice()))
            .chain(one("subject", self.subject.as_slice()))
    }

    /// Everybody it tells of.
    pub(super) fn people(&self) -> impl Iterator<Item = u64> {
        self.groups().map(|(_, group)| group.person)
    }
}

/// Seals, for the writer.
#[derive(Debug)]
pub(super) struct Sealer {
    sealing: Arc<Sealing>,
    known: HashMap<Blind, (u64, PersonSeal)>,
}

impl Sealer {
    pub(super) fn new(sealing: Arc<Sealing>) -> Self {
        Self { sealing, known: HashMap::new() }
    }

    /// Somebody was erased: whoever comes again is a new person.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Seals what a batch of entries tells of people, in the order of the batch.
    pub(super) fn seal<'a>(
        &mut self,
        store: &mut dyn Store,
        batch: impl Iterator<Item = (EntryId, &'a Clear)> + Clone,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let blinds: Vec<Vec<Blind>> = batch
            .clone()
            .map(|(_, clear)| clear.0.iter().map(|g| self.sealing.blind(&g.person)).collect())
            .collect();
        self.learn(store, blinds.iter().flatten())?;
        let each = batch.zip(&blinds);
        Ok(each.map(|((id, clear), blinds)| self.seal_one(id, clear, blinds)).collect())
    }

    fn learn<'a>(
        &mut self,
        store: &mut dyn Store,
        blinds: impl Iterator<Item = &'a Blind>,
    ) -> Result<(), StoreError> {
        if self.known.len() > PEOPLE_MAX {
            self.known.clear();
        }
        let mut unknown: Vec<Blind> =
            blinds.filter(|blind| !self.known.contains_key(*blind)).copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let fresh = |blind| self.sealing.fresh().map(|key| (blind, key));
        let Some(names) = unknown.into_iter().map(fresh).collect::<Option<Vec<_>>>() else {
            return Err(no_randomness(store));
        };
        let people = store.people(&names)?;
        for ((blind, _), PersonKey { person, key }) in names.into_iter().zip(people) {
            let seal = key.and_then(|key| self.sealing.unwrap(&key));
            let seal = seal.ok_or_else(|| wrong_key(store))?;
            self.known.insert(blind, (person, seal));
        }
        Ok(())
    }

    fn seal_one(&self, id: EntryId, clear: &Clear, blinds: &[Blind]) -> Option<Vec<u8>> {
        if clear.0.is_empty() {
            return None;
        }
        let mut sealed = Sealed::default();
        for (group, blind) in clear.0.iter().zip(blinds) {
            let (person, seal) = self.known.get(blind)?;
            let text = STANDARD.encode(seal.seal(id, group.name, &group.plain)?);
            let group_of = SealedGroup { sealed: text, person: *person };
            match group.name {
                "net" => sealed.net = Some(group_of),
                "said" => sealed.said = Some(group_of),
                "share" => sealed.share = Some(group_of),
                _ => sealed.subject.push(group_of),
            }
        }
        serde_json::to_vec(&sealed).ok()
    }
}

fn no_randomness(store: &dyn Store) -> StoreError {
    StoreError::Unusable { name: store.name(), problem: "the random generator failed".to_owned() }
}

fn wrong_key(store: &dyn Store) -> StoreError {
    let problem = "its people's keys do not open with this key file; use the one that it was begun \
                   with (`ledger.key_file`)";
    StoreError::Unusable { name: store.name(), problem: problem.to_owned() }
}

/// Opens, for readers.
#[derive(Debug)]
pub(super) struct Opener {
    sealing: Arc<Sealing>,
    known: HashMap<u64, Option<PersonSeal>>,
}

/// A group that was opened: its name, and salt and value as they were sealed.
pub(super) type OpenedGroup = (&'static str, Vec<u8>);

impl Opener {
    pub(super) fn new(sealing: Arc<Sealing>) -> Self {
        Self { sealing, known: HashMap::new() }
    }

    /// Fetches the keys of everybody in these at once. Without it, nothing opens.
    pub(super) fn prepare<'a>(
        &mut self,
        store: &mut dyn Store,
        sealed: impl Iterator<Item = &'a Sealed>,
    ) -> Result<(), StoreError> {
        if self.known.len() > PEOPLE_MAX {
            self.known.clear();
        }
        let mut unknown: Vec<u64> = sealed
            .flat_map(Sealed::people)
            .filter(|person| !self.known.contains_key(person))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        for PersonKey { person, key } in store.person_keys(&unknown)? {
            let seal = key.and_then(|key| self.sealing.unwrap(&key));
            self.known.insert(person, seal);
        }
        Ok(())
    }

    /// Forgets keys that may have been destroyed since.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The people of whom a group does not open.
    pub(super) fn unopened(&self, entry: &str, sealed: &Sealed) -> Vec<u64> {
        let opens = |(name, group): (&'static str, &SealedGroup)| {
            self.open(entry, name, group).is_none().then_some(group.person)
        };
        sealed.groups().filter_map(opens).collect()
    }

    fn open(&self, entry: &str, name: &str, group: &SealedGroup) -> Option<Vec<u8>> {
        let seal = self.known.get(&group.person)?.as_ref()?;
        let sealed = STANDARD.decode(&group.sealed).ok()?;
        seal.open(entry, name, &sealed)
    }

    /// Each participant, and who they are if that opens.
    pub(super) fn subjects(&self, entry: &str, sealed: &Sealed) -> Vec<(u64, Option<Value>)> {
        let open = |group: &SealedGroup| {
            let plain = self.open(entry, "subject", group)?;
            serde_json::from_str(Opened::read(&plain)?.value.get()).ok()
        };
        sealed.subject.iter().map(|group| (group.person, open(group))).collect()
    }

    /// The groups that open; those of erased people do not.
    pub(super) fn groups(&self, entry: &str, sealed: &Sealed) -> Vec<OpenedGroup> {
        let open = |(name, group): (&'static str, &SealedGroup)| {
            Some((name, self.open(entry, name, group)?))
        };
        sealed.groups().filter_map(open).collect()
    }
}

/// Opened groups as one value: `net`, `said` and `share` as they are, `subject` as a list.
pub(super) fn as_value(groups: &[OpenedGroup]) -> Value {
    let mut value = Map::new();
    for (name, plain) in groups {
        let Some(opened) = Opened::read(plain) else { continue };
        let Ok(group) = serde_json::from_str::<Value>(opened.value.get()) else { continue };
        if *name == "subject" {
            let list = value.entry("subject").or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(group);
            }
        } else {
            value.insert((*name).to_owned(), group);
        }
    }
    Value::Object(value)
}
