//! The lines of an accounting: what was disclosed of one person's calls, session by session.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::accounting::{Clause, Kind, Line, What};
use super::index::{Field, Filter, Query, Session};
use super::review::{Review, ReviewError, Row};
use crate::policy::{Policies, PolicySources};

/// How many sessions are read at once.
const STEP: usize = 500;

/// What was disclosed of a person's calls between two times, in order.
///
/// # Errors
/// [`ReviewError`] if the ledger cannot be read.
pub fn disclosures(
    review: &mut Review,
    person: u64,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Line>, ReviewError> {
    let is = |field, value: String| Filter { field, any: vec![value], not: false };
    let all = vec![is(Field::Person, person.to_string()), is(Field::Decision, "permit".to_owned())];
    let query = Query { since, until, all, words: String::new() };
    let mut words = Words::default();
    let mut lines = Vec::new();
    let mut cursor = None;
    loop {
        let page = review.index().sessions(&query, cursor, STEP)?;
        let places: Vec<u64> = page.sessions.iter().map(|session| session.first_seq).collect();
        let rows: HashMap<u64, Row> =
            review.rows(&places)?.into_iter().map(|row| (row.seq, row)).collect();
        for session in page.sessions.iter().filter(|session| was_disclosed(session)) {
            if let Some(row) = rows.get(&session.first_seq) {
                lines.push(line(session, &row.entry, words.of(review, &row.entry)?.as_deref()));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            // As they happened, also those of one moment.
            lines.reverse();
            return Ok(lines);
        }
    }
}

/// Anything that was handed over, or of which nobody knows.
fn was_disclosed(session: &Session) -> bool {
    let ended: u64 = session.endings.values().sum();
    session.bytes > 0 || session.endings.contains_key("unknown") || ended < session.requests
}

fn line(session: &Session, entry: &Value, policies: Option<&Policies>) -> Line {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    let owned = |pointer: &str| text(pointer).map(str::to_owned);
    let roles = entry.pointer("/caller/roles").and_then(Value::as_array);
    let roles = roles.map(Vec::as_slice).unwrap_or_default();
    let named = policies.and_then(|policies| {
        let purpose = session.purpose.parse().ok()?;
        Some(policies.vocabulary().purposes.get(&purpose)?.name.clone())
    });
    let ended: u64 = session.endings.values().sum();
    let is_unknown = session.endings.contains_key("unknown") || ended < session.requests;
    let ending = match is_unknown {
        true => Some("unknown"),
        false => session.endings.keys().next().map(String::as_str),
    };
    Line {
        at: session.started,
        recipient: owned("/recipient"),
        recipient_address: None,
        caller: session.caller.clone(),
        roles: roles.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        what: What {
            recording: session.recording.clone(),
            call_started_at: text("/facts/started_at").and_then(|at| at.parse().ok()),
            duration_seconds: entry
                .pointer("/facts/duration_seconds")
                .and_then(Value::as_u64)
                .and_then(|seconds| u32::try_from(seconds).ok()),
            form: session.form.clone(),
        },
        purpose: session.purpose.clone(),
        purpose_plain: named.unwrap_or_else(|| session.purpose.clone()),
        clause: clause(entry, policies),
        kind: match text("/action") {
            Some("describe") => Kind::Described,
            Some("share") => Kind::Shared,
            _ => Kind::Listened,
        },
        bytes: session.bytes,
        share_heard: session.share_heard,
        ending: ending.unwrap_or_default().to_owned(),
    }
}

/// The sentence that the first clause cited quotes.
fn clause(entry: &Value, policies: Option<&Policies>) -> Option<Clause> {
    let cited = entry.pointer("/decision/cited")?.as_array()?;
    let (id, version) = cited
        .iter()
        .find_map(|cited| Some((cited.get("clause")?.as_str()?, cited.get("notice")?.as_str()?)))?;
    let notice = policies.and_then(|p| p.notices().version(&version.parse().ok()?));
    let quoted = notice.and_then(|notice| notice.clauses.iter().find(|clause| clause.id == id));
    Some(Clause {
        id: id.to_owned(),
        quote: quoted.map(|clause| clause.quote.clone()).unwrap_or_default(),
        notice: version.to_owned(),
        title: notice.map(|notice| notice.header.title.clone()).unwrap_or_default(),
    })
}

/// The policies that entries were decided by, as the ledger has kept them.
#[derive(Default)]
struct Words(HashMap<String, Option<Arc<Policies>>>);

impl Words {
    fn of(
        &mut self,
        review: &mut Review,
        entry: &Value,
    ) -> Result<Option<Arc<Policies>>, ReviewError> {
        let digest = entry.pointer("/decision/policies").and_then(Value::as_str);
        let Some(digest) = digest else { return Ok(None) };
        if !self.0.contains_key(digest) {
            let policies = review.policies(digest)?.map(Arc::new);
            self.0.insert(digest.to_owned(), policies);
        }
        Ok(self.0.get(digest).cloned().flatten())
    }
}

impl Review {
    /// The policies of a digest, if the ledger has kept them and they are what they were.
    ///
    /// # Errors
    /// [`ReviewError`] if the ledger cannot be read.
    pub fn policies(&mut self, digest: &str) -> Result<Option<Policies>, ReviewError> {
        let kept = self.policy_set(digest)?;
        let sources = kept.and_then(|texts| serde_json::from_slice::<PolicySources>(&texts).ok());
        let sources = sources.filter(|sources| sources.digest().as_str() == digest);
        Ok(sources.and_then(|sources| Policies::load(&sources).ok()))
    }
}
