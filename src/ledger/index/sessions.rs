//! Folds disclosures into listening sessions.
//!
//! A player asks for a recording in many ranges, so that one listening is many disclosures. Those
//! of the same caller, recording, purpose, form and share are one session as long as each starts
//! within 5 minutes of the end of one before. Sessions are worked out when they are asked for and
//! not kept: an outcome that comes late, from another gate, may join two of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use roaring::RoaringBitmap;
use rusqlite::Row;

use super::postings::{self, CHUNK, sql, unsql};
use super::search::{Plan, Query};
use super::{Field, Index, IndexError, UNKNOWN, View, time};

/// The longest pause within a session, in microseconds: 5 minutes.
const PAUSE: i64 = 300 * 1_000_000;

/// LIMIT: how long one disclosure is taken to last, in microseconds: a day. It bounds how far back
/// one is looked for that a session could belong to.
const REACH: i64 = 86_400 * 1_000_000;

/// One listening to a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The place of its first entry in the ledger.
    pub first_seq: u64,
    /// The place of its last disclosure in the ledger.
    pub last_seq: u64,
    /// When the first disclosure started.
    pub started: Timestamp,
    /// When the last one ended, as far as known.
    pub ended: Timestamp,
    /// Who listened.
    pub caller: String,
    /// To what.
    pub recording: String,
    /// Why.
    pub purpose: String,
    /// In which form.
    pub form: String,
    /// By which share link, if by any.
    pub share: Option<String>,
    /// How many disclosures it is.
    pub requests: u64,
    /// Bytes handed over, each as often as it was.
    pub bytes: u64,
    /// The parts of the file that were handed over, from and to, each byte once.
    pub heard: Vec<(u64, u64)>,
    /// Bytes of the whole file, if known.
    pub length: Option<u64>,
    /// How much of the file was handed over, from 0 to 1, if its length is known.
    pub share_heard: Option<f64>,
    /// How disclosures ended, and how many did so; those without an outcome yet are not here.
    pub endings: BTreeMap<String, u64>,
}

/// Where a page of sessions ended. Later pages show the ledger as it was at the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCursor {
    /// Entries from this place on do not count.
    pub ceiling: u64,
    /// Sessions with a match from this place on were shown.
    pub below: u64,
}

/// Some of the sessions that were found.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionPage {
    /// The sessions, the one with the newest match first.
    pub sessions: Vec<Session>,
    /// What to ask the next page with; nothing if this is the last.
    pub next: Option<SessionCursor>,
}

/// What makes disclosures one session.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listener {
    caller: String,
    recording: String,
    purpose: String,
    form: String,
    share: Option<String>,
}

/// A disclosure within a session.
#[derive(Clone, Debug)]
struct Member {
    seq: u64,
    at: i64,
    end: i64,
    bytes: u64,
    first: u64,
    length: Option<u64>,
    ending: Option<String>,
}

/// The columns of a member, then those of its listener.
const MEMBER: &str = "SELECT seq, at, ended, bytes, first, length, ending,
    caller, recording, purpose, form, share
    FROM document WHERE seq = ? AND caller IS NOT NULL";

impl Index {
    /// Sessions with a disclosure that matches, each whole and on one page only: no cursor for the
    /// first page, then what the page before says.
    ///
    /// # Errors
    /// [`IndexError::TooBroad`] or [`IndexError::Sqlite`].
    pub fn sessions(
        &self,
        query: &Query,
        cursor: Option<SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, IndexError> {
        self.read(|view| {
            let ceiling = match cursor {
                Some(cursor) => cursor.ceiling,
                None => view.number("position")?,
            };
            let below = cursor.map_or(ceiling, |cursor| cursor.below);
            let plan = view.plan(query)?;
            let mut pager = Pager { view, plan, ceiling, below, cache: HashMap::new() };
            pager.page(limit)
        })
    }

    /// The session that a disclosure belongs to.
    ///
    /// # Errors
    /// [`IndexError::Sqlite`].
    pub fn session_of(&self, seq: u64) -> Result<Option<Session>, IndexError> {
        self.read(|view| {
            let ceiling = view.number("position")?;
            Ok(view.members(seq, ceiling)?.map(|(listener, members)| sum(listener, &members)))
        })
    }
}

/// Looks for the sessions of one page.
struct Pager<'a, 'b> {
    view: &'a View<'b>,
    plan: Plan,
    ceiling: u64,
    below: u64,
    /// The matching disclosures of chunks that were looked at.
    cache: HashMap<u64, RoaringBitmap>,
}

impl Pager<'_, '_> {
    fn page(&mut self, limit: usize) -> Result<SessionPage, IndexError> {
        let mut sessions = Vec::new();
        let mut last = self.below;
        let mut seen: HashSet<u64> = HashSet::new();
        for chunk in self.view.chunks(&self.plan)? {
            if chunk.chunk > self.below / CHUNK {
                continue;
            }
            let found = self.matching(chunk.chunk)?.clone();
            for seq in found.iter().rev().map(|low| postings::join(chunk.chunk, low)) {
                if seq >= self.below || seen.contains(&seq) {
                    continue;
                }
                let Some((listener, members)) = self.view.members(seq, self.ceiling)? else {
                    continue;
                };
                seen.extend(members.iter().map(|member| member.seq));
                if self.was_shown(&members)? {
                    continue;
                }
                if sessions.len() == limit {
                    let next = Some(SessionCursor { ceiling: self.ceiling, below: last });
                    return Ok(SessionPage { sessions, next });
                }
                sessions.push(sum(listener, &members));
                last = seq;
            }
        }
        Ok(SessionPage { sessions, next: None })
    }

    /// Whether a page before this one found the session by a newer disclosure.
    fn was_shown(&mut self, members: &[Member]) -> Result<bool, IndexError> {
        let below = self.below;
        for member in members.iter().filter(|member| member.seq >= below) {
            let (chunk, low) = postings::split(member.seq);
            if self.matching(chunk)?.contains(u32::from(low)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The matching disclosures of a chunk.
    fn matching(&mut self, chunk: u64) -> Result<&RoaringBitmap, IndexError> {
        let view = self.view;
        if !self.cache.contains_key(&chunk) {
            let mut found = match view.chunk(&self.plan, chunk)? {
                Some(chunk) => view.matching(&self.plan, chunk)?,
                None => RoaringBitmap::new(),
            };
            found &= postings::bits(&view.tx, chunk, view.index.listened, b"")?;
            self.cache.insert(chunk, found);
        }
        Ok(self.cache.entry(chunk).or_default())
    }
}

impl View<'_> {
    /// The disclosures of the session that a disclosure belongs to, by time, without those from
    /// the ceiling on.
    fn members(
        &self,
        seq: u64,
        ceiling: u64,
    ) -> Result<Option<(Listener, Vec<Member>)>, IndexError> {
        let Some((member, listener)) = self.document(MEMBER, seq, read)? else { return Ok(None) };
        let (mut from, mut to) = (member.at - REACH - PAUSE, member.at + REACH);
        loop {
            let mut members = self.between(&listener, from, to, ceiling)?;
            members.sort_unstable_by_key(|member| (member.at, member.seq));
            let session = around(members, seq);
            let start = session.first().map_or(from, |member| member.at) - REACH - PAUSE;
            let end = session.iter().map(|member| member.end).max().unwrap_or(to) + PAUSE;
            if from <= start && end <= to {
                return Ok(Some((listener, session)));
            }
            // Twice as far each time, so that a long session is not read as often as it is long.
            let wider = to - from;
            from = if start < from { start - wider } else { from };
            to = if end > to { end + wider } else { to };
        }
    }

    /// The disclosures to a listener that started between two times.
    fn between(
        &self,
        listener: &Listener,
        from: i64,
        to: i64,
        ceiling: u64,
    ) -> Result<Vec<Member>, IndexError> {
        let mut members = Vec::new();
        let term = |chunk, field, value: &str| {
            postings::bits(&self.tx, chunk, self.index.slot(field), value.as_bytes())
        };
        for chunk in self.chunks_between(from, to.saturating_add(1))? {
            let chunk = chunk.chunk;
            let mut found = term(chunk, Field::Recording, &listener.recording)?;
            if found.len() > 1 {
                found &= term(chunk, Field::Caller, &listener.caller)?;
            }
            let mut statement = self.tx.prepare_cached(MEMBER)?;
            for seq in found.iter().map(|low| postings::join(chunk, low)) {
                let mut rows = statement.query([sql(seq)])?;
                let Some(row) = rows.next()? else { continue };
                let (member, other) = read(row)?;
                if seq < ceiling && other == *listener && (from..=to).contains(&member.at) {
                    members.push(member);
                }
            }
        }
        Ok(members)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Member, Listener)> {
    let at: i64 = row.get(1)?;
    let ending: Option<String> = row.get(6)?;
    // When an unknown ending was noticed says nothing about when it was.
    let ended: Option<i64> = row.get(2)?;
    let ended = ended.filter(|_| ending.as_deref() != Some(UNKNOWN));
    let member = Member {
        seq: unsql(row.get(0)?),
        at,
        end: ended.map_or(at, |ended| ended.clamp(at, at + REACH)),
        bytes: row.get::<_, Option<i64>>(3)?.map_or(0, unsql),
        first: row.get::<_, Option<i64>>(4)?.map_or(0, unsql),
        length: row.get::<_, Option<i64>>(5)?.map(unsql),
        ending,
    };
    let listener = Listener {
        caller: row.get(7)?,
        recording: row.get(8)?,
        purpose: row.get(9)?,
        form: row.get(10)?,
        share: row.get(11)?,
    };
    Ok((member, listener))
}

/// Of disclosures in order of time, those of the session that one of them belongs to.
fn around(members: Vec<Member>, seq: u64) -> Vec<Member> {
    let mut session: Vec<Member> = Vec::new();
    let mut end = i64::MIN;
    for member in members {
        if member.at.saturating_sub(PAUSE) > end {
            if session.iter().any(|member| member.seq == seq) {
                break;
            }
            session.clear();
        }
        end = end.max(member.end);
        session.push(member);
    }
    session
}

fn sum(listener: Listener, members: &[Member]) -> Session {
    let mut endings = BTreeMap::new();
    for ending in members.iter().filter_map(|member| member.ending.clone()) {
        *endings.entry(ending).or_default() += 1;
    }
    let heard = heard(members);
    let length = members.iter().filter_map(|member| member.length).max();
    let seqs = || members.iter().map(|member| member.seq);
    let start = members.iter().map(|member| member.at).min();
    let end = members.iter().map(|member| member.end).max();
    let Listener { caller, recording, purpose, form, share } = listener;
    Session {
        first_seq: seqs().min().unwrap_or_default(),
        last_seq: seqs().max().unwrap_or_default(),
        started: time(start.unwrap_or_default()),
        ended: time(end.unwrap_or_default()),
        caller,
        recording,
        purpose,
        form,
        share,
        requests: u64::try_from(members.len()).unwrap_or(u64::MAX),
        bytes: members.iter().fold(0, |sum: u64, member| sum.saturating_add(member.bytes)),
        share_heard: length.and_then(|length| portion(&heard, length)),
        heard,
        length,
        endings,
    }
}

/// The parts that were handed over, each byte once.
fn heard(members: &[Member]) -> Vec<(u64, u64)> {
    let parts = members.iter().filter(|member| member.bytes > 0);
    let mut parts: Vec<(u64, u64)> =
        parts.map(|member| (member.first, member.first.saturating_add(member.bytes))).collect();
    parts.sort_unstable();
    let mut heard: Vec<(u64, u64)> = Vec::new();
    for (from, to) in parts {
        match heard.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            Some(_) | None => heard.push((from, to)),
        }
    }
    heard
}

/// How much of a file of this length the parts are.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
fn portion(heard: &[(u64, u64)], length: u64) -> Option<f64> {
    let bytes: u64 = heard.iter().map(|(from, to)| (*to).min(length) - (*from).min(length)).sum();
    (length > 0).then(|| bytes as f64 / length as f64)
}
