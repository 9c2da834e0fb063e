//! Verification: is every entry what it was when it was written, in its place, and none missing?
//!
//! Four things are held against each other: the bytes and the hash beside them; each writer's own
//! chain; the tree over all hashes and every checkpoint that was signed over it, here and
//! elsewhere; and, with the key file, what lies beside an entry and the commitment in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chain;
use super::commit::Opened;
use super::keys::Keys;
use super::people::{Opener, Sealed};
use super::sign::{read_checkpoint, verified};
use super::store::{Access, Leaf, Place, Store, Stored};
use super::tlog::key::VerifierKey;
use super::tlog::merkle::{Frontier, Head, TILE_WIDTH, TileSource, tile_width};
use super::tlog::tiles::TileFiles;
use super::{ReviewError, VERIFIER};
use crate::config;
use crate::policy::PolicySources;

/// How many entries are read at once.
const STEP: usize = 4_096;

/// LIMIT: flaws that are told one by one; a ledger with more is not a ledger.
const FLAWS_MAX: usize = 50;

/// LIMIT: entries missing in a row after which what follows is looked at.
const GAP_MAX: u64 = 1 << 20;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The place of the entry, if it is about one.
    pub seq: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

/// What verification found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many entries there are or were.
    pub entries: u64,
    /// How many of them were pruned, so that only their hashes are left.
    pub pruned: u64,
    /// How many writers' chains there are.
    pub writers: usize,
    /// How many checkpoints hold.
    pub checkpoints: u64,
    /// How many entries the newest of them covers.
    pub signed: u64,
    /// Sealed groups that open to what was committed to.
    pub opened: u64,
    /// Sealed groups that do not open: their person was erased.
    pub erased: u64,
    /// Intents without an outcome.
    pub open: u64,
    /// What is wrong, in order of places. Nothing, in a good ledger.
    pub flaws: Vec<Flaw>,
}

/// What verification is held against, beside the ledger itself.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Checkpoints that were kept elsewhere.
    pub checkpoints: Vec<PathBuf>,
    /// The key that verifies, if it is not to be taken from the ledger.
    pub verifier: Option<String>,
    /// Whether sealed groups are opened and held against their commitments.
    pub people: bool,
}

/// What verification reads of an entry.
#[derive(Deserialize)]
struct Skeleton<'a> {
    #[serde(borrow)]
    c: Option<&'a RawValue>,
    before: Option<u64>,
    id: &'a str,
    #[serde(borrow)]
    of: Option<&'a RawValue>,
    person: Option<u64>,
    policies: Option<&'a str>,
    t: &'a str,
    w: &'a str,
    wa: Option<u64>,
    wn: u64,
    wp: &'a str,
}

#[derive(Deserialize)]
struct Committed {
    net: Option<String>,
    said: Option<String>,
    share: Option<String>,
    #[serde(default)]
    subject: Vec<String>,
}

/// Verifies a ledger.
///
/// # Errors
/// [`ReviewError`] if it cannot be read. What is wrong with it is in the report.
pub fn verify(
    settings: &config::Ledger,
    against: &Against,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, ReviewError> {
    let mut store = Place::of(settings).open(Access::Read)?;
    let opener = match against.people {
        true => Some(Opener::new(Arc::new(Keys::read(&settings.key_file)?.sealing))),
        false => None,
    };
    let mut run = Run {
        opener,
        frontier: Frontier::default(),
        next: 0,
        chains: HashMap::new(),
        open: HashSet::new(),
        signed: BTreeMap::new(),
        last_good: 0,
        tiles: None,
        tile: Vec::new(),
        recorded: Recorded::default(),
        differs: None,
        report: Report::default(),
    };
    run.gather(&mut *store, settings, against)?;
    run.walk(&mut *store, &mut progress)?;
    run.hold_recorded(&mut *store)?;
    run.finish();
    Ok(run.report)
}

/// What was done to the ledger by what stands in it, and what shows that it was done.
#[derive(Default)]
struct Recorded {
    /// The lowest place that is left, by the last `prune`.
    pruned: u64,
    /// People and entries of which something was erased.
    people: HashSet<u64>,
    entries: HashSet<u64>,
    /// People whose groups do not open, and entries beside which nothing lies, with a place.
    unopened: BTreeMap<u64, u64>,
    bare: Vec<u64>,
    /// Policies that were in force, and where that stands.
    policies: BTreeMap<String, u64>,
}

struct Run {
    opener: Option<Opener>,
    frontier: Frontier,
    /// The place of the entry to come.
    next: u64,
    /// Each writer's count and the head of its last hash.
    chains: HashMap<String, (u64, String)>,
    open: HashSet<String>,
    /// Signed heads by size, with where they are kept.
    signed: BTreeMap<u64, Vec<(Head, String)>>,
    /// The size of the last checkpoint that held.
    last_good: u64,
    tiles: Option<TileFiles>,
    /// The hashes of the tile that the next entry is in, as they were signed.
    tile: Vec<Leaf>,
    recorded: Recorded,
    /// The first entry since the last good checkpoint that differs from its tile.
    differs: Option<u64>,
    report: Report,
}

impl Run {
    fn flaw(&mut self, seq: impl Into<Option<u64>>, problem: impl Into<String>) {
        if self.report.flaws.len() < FLAWS_MAX {
            self.report.flaws.push(Flaw { seq: seq.into(), problem: problem.into() });
        }
    }

    /// Reads every checkpoint there is.
    fn gather(
        &mut self,
        store: &mut dyn Store,
        settings: &config::Ledger,
        against: &Against,
    ) -> Result<(), ReviewError> {
        let begun = match &against.verifier {
            Some(verifier) => Some(verifier.clone()),
            None => store.property(VERIFIER)?,
        };
        let Some(key) = begun.as_deref().and_then(|key| VerifierKey::parse(key).ok()) else {
            self.flaw(None, "the key that verifies checkpoints is missing or is none");
            return Ok(());
        };
        let (origin, known) = (key.name().to_owned(), [key]);
        let mut size = 0;
        loop {
            let kept = store.checkpoints(size, 1_000)?;
            let Some(last) = kept.last() else { break };
            size = last.size;
            for kept in kept {
                let place = format!("the checkpoint over {} entries in the ledger", kept.size);
                self.sign_by(verified(&kept.note, &origin, &known), Some(kept.size), place);
            }
        }
        if let Some(seen) = read_checkpoint(&settings.directory, &origin, &known).transpose() {
            let place = format!("the checkpoint in `{}`", settings.directory.display());
            if let Ok(head) = &seen {
                self.tiles = Some(TileFiles::new(&settings.directory, head.size));
            }
            self.sign_by(seen, None, place);
        }
        for path in &against.checkpoints {
            let place = format!("the checkpoint in `{}`", path.display());
            let note = std::fs::read_to_string(path).map_err(|error| error.to_string());
            self.sign_by(note.and_then(|note| verified(&note, &origin, &known)), None, place);
        }
        Ok(())
    }

    fn sign_by(&mut self, head: Result<Head, String>, size: Option<u64>, place: String) {
        match head {
            Ok(head) if size.is_none_or(|size| size == head.size) => {
                self.signed.entry(head.size).or_default().push((head, place));
            }
            Ok(head) => self.flaw(None, format!("{place} is one over {}", head.size)),
            Err(problem) => self.flaw(None, format!("{place}: {problem}")),
        }
    }

    fn walk(
        &mut self,
        store: &mut dyn Store,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ReviewError> {
        let first = store.first()?;
        let total = store.last()?.map_or(0, |(seq, _)| seq + 1);
        self.report.pruned = first;
        self.hold_signed();
        while self.next < first {
            let missing = first - self.next;
            let limit = usize::try_from(missing).unwrap_or(STEP).min(STEP);
            let leaves = store.leaves(self.next, limit)?;
            if leaves.is_empty() {
                self.flaw(self.next, "the hashes of pruned entries are missing");
                return Ok(());
            }
            leaves.into_iter().for_each(|leaf| self.push(leaf));
            progress(self.next, total);
        }
        loop {
            let entries = store.read(self.next, STEP)?;
            if entries.is_empty() {
                break;
            }
            self.prepare(store, &entries)?;
            for stored in &entries {
                if !self.entry(store, stored)? {
                    self.report.entries = self.next;
                    return Ok(());
                }
            }
            progress(self.next, total);
        }
        self.report.entries = self.next;
        Ok(())
    }

    fn prepare(&mut self, store: &mut dyn Store, entries: &[Stored]) -> Result<(), ReviewError> {
        if let Some(opener) = &mut self.opener {
            let sealed: Vec<Sealed> = entries
                .iter()
                .filter_map(|s| s.clear.as_deref())
                .filter_map(Sealed::read)
                .collect();
            opener.prepare(store, sealed.iter())?;
        }
        Ok(())
    }

    /// False if what follows is beyond all reason.
    fn entry(&mut self, store: &mut dyn Store, stored: &Stored) -> Result<bool, ReviewError> {
        let seq = stored.seq;
        let expected = self.next;
        if seq - expected > GAP_MAX {
            self.flaw(
                expected,
                format!("what follows is numbered {seq}: it is no ledger from here"),
            );
            return Ok(false);
        }
        if seq != expected {
            let problem = match seq - expected {
                1 => "it is missing".to_owned(),
                _ => format!("it and all up to {} are missing", seq - 1),
            };
            self.flaw(expected, problem);
            // Whatever stood there, what follows is looked at in its own place.
            (expected..seq).for_each(|_| self.push([0; 32]));
        }
        let leaf = chain::leaf(&stored.bytes);
        if leaf != stored.leaf {
            self.flaw(seq, "its bytes are not what was hashed when it was written");
        }
        match serde_json::from_slice::<Skeleton<'_>>(&stored.bytes) {
            Ok(entry) => {
                self.link(store, stored, &entry)?;
                self.ends(&entry);
                self.note(seq, &entry);
                self.people(stored, &entry);
            }
            Err(_) => self.flaw(seq, "it is not an entry"),
        }
        self.push(leaf);
        Ok(true)
    }

    /// What it says was done to the ledger.
    fn note(&mut self, seq: u64, entry: &Skeleton<'_>) {
        match entry.t {
            "prune" => {
                self.recorded.pruned = self.recorded.pruned.max(entry.before.unwrap_or(0));
            }
            "redaction" => {
                self.recorded.people.extend(entry.person);
                let of = entry.of.and_then(|of| serde_json::from_str::<Vec<u64>>(of.get()).ok());
                self.recorded.entries.extend(of.unwrap_or_default());
            }
            "start" | "policies" => {
                let policies = entry.policies.map(|digest| (digest.to_owned(), seq));
                self.recorded.policies.extend(policies);
            }
            _ => {}
        }
    }

    /// What is missing must have been taken away on record, and the policies that are kept must be
    /// those that were in force.
    fn hold_recorded(&mut self, store: &mut dyn Store) -> Result<(), ReviewError> {
        let recorded = std::mem::take(&mut self.recorded);
        if self.report.pruned > recorded.pruned {
            let problem = format!(
                "it and all up to {} were dropped, and no entry says so",
                self.report.pruned - 1
            );
            self.flaw(recorded.pruned, problem);
        }
        for (person, seq) in recorded.unopened {
            if !recorded.people.contains(&person) {
                self.flaw(seq, "what lies beside it does not open, and nobody says it was erased");
            }
        }
        for seq in recorded.bare {
            if !recorded.entries.contains(&seq) {
                self.flaw(seq, "what lay beside it is gone, and nobody says it was erased");
            }
        }
        for (digest, seq) in recorded.policies {
            let kept = store.policy_set(&digest)?;
            let sources = kept.and_then(|kept| serde_json::from_slice::<PolicySources>(&kept).ok());
            if sources.is_none_or(|sources| sources.digest().as_str() != digest) {
                self.flaw(
                    seq,
                    "the policies that it names are not kept, or are not what they were",
                );
            }
        }
        Ok(())
    }

    /// The writer's chain.
    fn link(
        &mut self,
        store: &mut dyn Store,
        stored: &Stored,
        entry: &Skeleton<'_>,
    ) -> Result<(), ReviewError> {
        let head = chain::head(&chain::leaf(&stored.bytes));
        let before = self.chains.insert(entry.w.to_owned(), (entry.wn, head));
        match before {
            Some((count, head)) if count.checked_add(1) == Some(entry.wn) && entry.wp == head => {}
            Some((count, _)) => {
                let problem = format!(
                    "it does not follow its writer's entry {count}: that one was changed, or \
                     entries between them are missing or in another order"
                );
                self.flaw(stored.seq, problem);
            }
            None if entry.wn == 0 => {
                let follows = match entry.wa {
                    None => entry.wp.is_empty(),
                    Some(after) if after < stored.seq => {
                        let leaf = store.leaves(after, 1)?;
                        leaf.first().is_some_and(|leaf| chain::head(leaf) == entry.wp)
                    }
                    Some(_) => false,
                };
                if !follows {
                    let after = entry.wa.map_or("nothing".to_owned(), |after| after.to_string());
                    self.flaw(stored.seq, format!("it does not follow entry {after}, as it says"));
                }
            }
            // What it follows was pruned.
            None if self.report.pruned > 0 => {}
            None => self.flaw(stored.seq, "the first entries of its writer are missing"),
        }
        Ok(())
    }

    fn ends(&mut self, entry: &Skeleton<'_>) {
        match entry.t {
            "intent" | "deletion" => _ = self.open.insert(entry.id.to_owned()),
            "outcome" | "deleted" => {
                if let Some(of) = entry.of {
                    self.open.remove(of.get().trim_matches('"'));
                }
            }
            _ => {}
        }
    }

    /// What lies beside it and what it commits to.
    fn people(&mut self, stored: &Stored, entry: &Skeleton<'_>) {
        let Some(opener) = &self.opener else { return };
        let Some(sealed) = stored.clear.as_deref() else {
            if entry.c.is_some() {
                self.recorded.bare.push(stored.seq);
            }
            return;
        };
        let committed = entry.c.and_then(|c| serde_json::from_str::<Committed>(c.get()).ok());
        let (Some(sealed), Some(committed)) = (Sealed::read(sealed), committed) else {
            self.flaw(stored.seq, "what lies beside it cannot be read");
            return;
        };
        let groups = opener.groups(entry.id, &sealed);
        self.report.erased += (sealed.people().count() - groups.len()) as u64;
        if groups.len() < sealed.people().count() {
            for person in opener.unopened(entry.id, &sealed) {
                self.recorded.unopened.entry(person).or_insert(stored.seq);
            }
        }
        for (name, plain) in groups {
            let commitment = Opened::read(&plain).and_then(|opened| opened.commitment());
            let holds = commitment.is_some_and(|commitment| match name {
                "net" => committed.net == Some(commitment),
                "said" => committed.said == Some(commitment),
                "share" => committed.share == Some(commitment),
                _ => committed.subject.contains(&commitment),
            });
            if holds {
                self.report.opened += 1;
            } else {
                self.flaw(stored.seq, format!("what lies beside it ({name}) is not what it says"));
            }
        }
    }

    fn push(&mut self, leaf: Leaf) {
        self.compare(&leaf);
        self.frontier.push(leaf);
        self.next += 1;
        self.hold_signed();
    }

    /// Tiles tell which entry is to blame, should the tree not be what was signed. By themselves
    /// they prove nothing.
    fn compare(&mut self, leaf: &Leaf) {
        let Some(tiles) = &self.tiles else { return };
        let within = self.next % u64::from(TILE_WIDTH);
        if within == 0 {
            let index = self.next / u64::from(TILE_WIDTH);
            let width = tile_width(tiles.size(), 0, index);
            self.tile = tiles.tile(0, index, width).unwrap_or_default();
        }
        let kept = usize::try_from(within).ok().and_then(|within| self.tile.get(within));
        if kept.is_some_and(|kept| kept != leaf) && self.differs.is_none() {
            self.differs = Some(self.next);
        }
    }

    /// Holds the tree as it is now against the checkpoints of its size.
    fn hold_signed(&mut self) {
        let size = self.next;
        let Some(signed) = self.signed.remove(&size) else { return };
        let head = self.frontier.head();
        for (signed, place) in signed {
            if signed == head {
                self.report.checkpoints += 1;
                self.report.signed = size;
                self.last_good = size;
                self.differs = None;
            } else {
                self.blame(size, &place);
            }
        }
    }

    /// Says which entry is not what was signed, or among which it is.
    fn blame(&mut self, size: u64, place: &str) {
        match self.differs {
            Some(seq) => self.flaw(seq, format!("it is not the entry that {place} signs")),
            None if size == 0 => self.flaw(None, format!("{place} signs another log")),
            None => {
                let (first, last) = (self.last_good, size - 1);
                let problem = format!(
                    "it, or one of those up to {last}, is not the entry that {place} signs"
                );
                self.flaw(first, problem);
            }
        }
    }

    fn finish(&mut self) {
        let entries = self.report.entries;
        for (size, signed) in std::mem::take(&mut self.signed) {
            for (_, place) in signed {
                let problem =
                    format!("{place} covers {size} entries: the last of them are missing");
                self.flaw(entries, problem);
            }
        }
        self.report.writers = self.chains.len();
        self.report.open = self.open.len() as u64;
        self.report.flaws.sort_by_key(|flaw| flaw.seq.unwrap_or(u64::MAX));
    }
}
