//! The log: entries of the ledger, found, counted, folded into sessions.
//!
//! A question stands in a body, since it may name a person. Who may read the ledger sees entries;
//! what lies beside them and tells of people is shown to who may read that, too, and only they may
//! ask by it: what is not shown must not be found by guessing.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::Desk;
use super::super::body::Json;
use super::super::problem::Problem;
use super::super::visitor::{About, Visitor};
use super::answers::ToBody;
use super::entry::{Entry, reads_of_people};
use super::paging::PAGE_MAX;
use crate::ledger::{
    self, Bar, EntryId, Field, Order, Query, Question, QuestionError, Review, ReviewError, Session,
    SessionCursor, Unit,
};
use crate::policy::{AdminAction, AdminPermit, Whose};

/// Things on a page, if the request does not say.
const PAGE: usize = 100;

/// Which entries. Everything that is said must hold.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Written at this time or later: `2026-11-03T09:00:00Z`, `2026-11-03`, or how long ago: `30d`,
    /// `12h`, `15m`.
    #[serde(default)]
    since: Option<String>,
    /// Written before this time.
    #[serde(default)]
    until: Option<String>,
    /// About a call with this telephone number at one of its ends. For who may read what is held of
    /// a person.
    #[serde(default)]
    number: Option<String>,
    /// With all of these words in reason, reference, agent or detail; `compl*` finds its beginnings.
    /// For who may read what is held of a person.
    #[serde(default)]
    words: Option<String>,
    /// Fields, each with values of which the entry has one: `{"caller": ["staff|ana"]}`. The fields
    /// are those of `noticegate ledger query --field`.
    #[serde(default)]
    fields: BTreeMap<String, Vec<String>>,
    /// Fields, each with values of which the entry has none.
    #[serde(default)]
    not: BTreeMap<String, Vec<String>>,
}

impl Asked {
    fn question(&self) -> Result<Question, QuestionError> {
        let mut question = Question {
            since: self.since.clone(),
            until: self.until.clone(),
            number: self.number.clone(),
            words: self.words.clone(),
            all: Vec::new(),
        };
        for (name, values) in &self.fields {
            question.any(name.parse()?, values.clone());
        }
        for (name, values) in &self.not {
            question.none(name.parse()?, values.clone());
        }
        Ok(question)
    }

    /// What was asked by, without what was asked for: that may be a person's.
    fn told(&self) -> String {
        let fixed = [
            ("since", &self.since),
            ("until", &self.until),
            ("number", &self.number),
            ("words", &self.words),
        ];
        let fixed = fixed.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        let fields = self.fields.keys().chain(self.not.keys()).map(String::as_str);
        let all: Vec<&str> = fixed.chain(fields).collect();
        if all.is_empty() { String::new() } else { format!("by {}", all.join(", ")) }
    }
}

/// What somebody may see, and what they asked.
pub(super) struct Asking {
    pub(super) permit: AdminPermit,
    pub(super) question: Question,
    pub(super) told: String,
    /// Whether they may read what tells of people.
    pub(super) people: bool,
}

impl Asking {
    /// Decides whether somebody may ask this.
    pub(super) async fn new(
        desk: &Desk,
        visitor: &Visitor,
        action: AdminAction,
        asked: &Asked,
    ) -> Result<Self, Problem> {
        let permit = visitor.may(desk, action, Whose::Others).await?;
        let question = asked.question().map_err(unfit)?;
        if question.is_of_people() {
            let _ = visitor.may(desk, AdminAction::ReadSubject, Whose::Others).await?;
        }
        let told = asked.told();
        Ok(Self { permit, question, told, people: reads_of_people(desk, visitor) })
    }

    /// Puts a question to the ledger, on a thread that may wait. `None` if it is about somebody of
    /// whom nothing is recorded.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        desk: &Desk,
        answer: impl FnOnce(&mut Review, &Query) -> Result<T, ReviewError> + Send + 'static,
    ) -> Result<(Option<T>, Option<u64>), Problem> {
        let (question, now) = (self.question.clone(), desk.gate.clock.now());
        desk.review(move |_, review| {
            let query = question.query(now, review).map_err(unfit)?;
            let Some(query) = query else { return Ok((None, None)) };
            let is_person = |filter: &&ledger::Filter| filter.field == Field::Person;
            let person = query.all.iter().find(is_person);
            let person = person.and_then(|filter| filter.any.first()?.parse().ok());
            let told = answer(review, &query).map_err(|error| unfit(error.into()))?;
            Ok((Some(told), person))
        })
        .await
    }

    /// Puts on record what is about to be shown.
    async fn sees(
        &self,
        desk: &Desk,
        visitor: &Visitor,
        person: Option<u64>,
        entries: usize,
    ) -> Result<EntryId, Problem> {
        let (detail, entries) = (self.told.clone(), Some(entries as u64));
        let about = About { detail, person, entries, of: Vec::new() };
        visitor.sees(desk, &self.permit, &about).await
    }
}

fn unfit(error: QuestionError) -> Problem {
    match error {
        // Here they are keys of JSON.
        QuestionError::Pair(_) | QuestionError::Field(_) => {
            Problem::bad_value(error.to_string()).about("question.fields")
        }
        error => Problem::from(error).within("question"),
    }
}

fn size(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(PAGE) {
        limit if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        _ => Err(Problem::bad_value("1 to 500").about("limit")),
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Sequence {
    /// The last entry of the ledger first.
    #[default]
    NewestFirst,
    /// The first entry of the ledger first.
    OldestFirst,
}

/// What is looked for.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindBody {
    /// Which entries.
    #[serde(default)]
    question: Asked,
    /// In which order.
    #[serde(default)]
    order: Sequence,
    /// The `next` of the page before.
    #[serde(default)]
    after: Option<u64>,
    /// Entries on the page, at most 500.
    #[schema(minimum = 1, maximum = 500)]
    #[serde(default)]
    limit: Option<usize>,
}

/// Entries that were found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Found {
    /// The entry of the ledger that records this look.
    #[schema(value_type = String)]
    entry: EntryId,
    /// The entries.
    entries: Vec<Entry>,
    /// What to ask the next page with.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// Find entries, a page at a time.
#[utoipa::path(
    post, path = "/api/v1/entries/find", tag = "log", operation_id = "find_entries",
    request_body(content = FindBody),
    responses(
        (status = 200, description = "The entries", body = Found),
        ToBody,
    )
)]
pub(super) async fn find(
    State(desk): State<Desk>,
    visitor: Visitor,
    Json(FindBody { question, order, after, limit }): Json<FindBody>,
) -> Result<axum::Json<Found>, Problem> {
    let asking = Asking::new(&desk, &visitor, AdminAction::ReadLedger, &question).await?;
    let limit = size(limit)?;
    let order = match order {
        Sequence::NewestFirst => Order::NewestFirst,
        Sequence::OldestFirst => Order::OldestFirst,
    };
    let find = move |review: &mut Review, query: &Query| review.find(query, after, limit, order);
    let (found, person) = asking.ask(&desk, find).await?;
    let (rows, next) = found.unwrap_or_default();
    let entry = asking.sees(&desk, &visitor, person, rows.len()).await?;
    let entries = rows.into_iter().map(|row| Entry::of(row, asking.people)).collect();
    Ok(axum::Json(Found { entry, entries, next }))
}

/// What is counted.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CountBody {
    /// Which entries.
    #[serde(default)]
    question: Asked,
    /// By the values of this field, such as `caller` or `purpose`.
    #[serde(default)]
    by: Option<String>,
    /// Over time.
    #[serde(default)]
    over: Option<Over>,
    /// Values, the most frequent ones, at most 500.
    #[schema(minimum = 1, maximum = 500)]
    #[serde(default)]
    limit: Option<usize>,
}

/// How wide a bar is, in UTC.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Over {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

/// How many there are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Counted {
    /// The entry of the ledger that records this look.
    #[schema(value_type = String)]
    entry: EntryId,
    /// All of them.
    count: u64,
    /// By value, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<Share>,
    /// Over time, in order; of what has no entries there is none. If counted by a field, too, for
    /// each of its 12 most frequent values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bars: Vec<Column>,
}

/// How many have a value.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Share {
    /// The value.
    value: String,
    /// How many have it.
    count: u64,
}

/// How many there are within an hour, day or month.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Column {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// The value of the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// How many entries.
    count: u64,
}

impl From<Bar> for Column {
    fn from(Bar { start, value, count }: Bar) -> Self {
        Self { start, value, count }
    }
}

/// Count entries: all of them, by a field, over time.
#[utoipa::path(
    post, path = "/api/v1/entries/count", tag = "log", operation_id = "count_entries",
    request_body(content = CountBody),
    responses(
        (status = 200, description = "How many there are", body = Counted),
        ToBody,
    )
)]
pub(super) async fn count(
    State(desk): State<Desk>,
    visitor: Visitor,
    Json(CountBody { question, by, over, limit }): Json<CountBody>,
) -> Result<axum::Json<Counted>, Problem> {
    let asking = Asking::new(&desk, &visitor, AdminAction::ReadLedger, &question).await?;
    let limit = size(limit)?;
    let field: Option<Field> = match by.as_deref().map(str::parse).transpose() {
        Ok(field) => field,
        Err(error) => return Err(Problem::bad_value(error.to_string()).about("by")),
    };
    if field.is_some_and(Field::is_personal) {
        let _ = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    }
    let unit = over.map(|over| match over {
        Over::Hour => Unit::Hour,
        Over::Day => Unit::Day,
        Over::Month => Unit::Month,
    });
    let count = move |review: &mut Review, query: &Query| {
        let index = review.index();
        let count = index.count(query)?;
        let values = match (field, unit) {
            (Some(field), None) => index.facets(query, field, limit)?,
            _ => Vec::new(),
        };
        let bars = match unit {
            Some(unit) => index.histogram(query, unit, field)?,
            None => Vec::new(),
        };
        Ok((count, values, bars))
    };
    let (counted, person) = asking.ask(&desk, count).await?;
    let (count, values, bars) = counted.unwrap_or_default();
    let shown = usize::try_from(count).unwrap_or(usize::MAX);
    let entry = asking.sees(&desk, &visitor, person, shown).await?;
    let values = values.into_iter().map(|(value, count)| Share { value, count }).collect();
    let bars = bars.into_iter().map(Column::from).collect();
    Ok(axum::Json(Counted { entry, count, values, bars }))
}

/// What is folded.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionsBody {
    /// Sessions with which entries.
    #[serde(default)]
    question: Asked,
    /// The `next` of the page before.
    #[serde(default)]
    after: Option<Cursor>,
    /// Sessions on the page, at most 500.
    #[schema(minimum = 1, maximum = 500)]
    #[serde(default)]
    limit: Option<usize>,
}

/// Where a page of sessions ended.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// Entries from this place on do not count.
    ceiling: u64,
    /// Sessions with a match from this place on were shown.
    below: u64,
}

/// Sessions that were found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Sessions {
    /// The entry of the ledger that records this look.
    #[schema(value_type = String)]
    entry: EntryId,
    /// The sessions, the one with the newest match first.
    sessions: Vec<Listening>,
    /// What to ask the next page with.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

/// The range requests of one recipient for one recording and purpose, close in time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Listening {
    /// The place of its first entry.
    first: u64,
    /// The place of its last disclosure.
    last: u64,
    /// When the first disclosure started.
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    /// When the last one ended, as far as known.
    #[schema(value_type = String, format = DateTime)]
    ended: Timestamp,
    /// Who listened, by their id.
    caller: String,
    /// To what.
    recording: String,
    /// Why.
    purpose: String,
    /// In which form.
    form: String,
    /// By which share, if by any.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    /// How many disclosures it is.
    requests: u64,
    /// Bytes handed over, each as often as it was.
    bytes: u64,
    /// How much of the recording was handed over, from 0 to 1, if its length is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard: Option<f64>,
    /// How disclosures ended, and how many did so.
    endings: BTreeMap<String, u64>,
}

impl From<Session> for Listening {
    fn from(session: Session) -> Self {
        Self {
            first: session.first_seq,
            last: session.last_seq,
            started: session.started,
            ended: session.ended,
            caller: session.caller,
            recording: session.recording,
            purpose: session.purpose,
            form: session.form,
            share: session.share,
            requests: session.requests,
            bytes: session.bytes,
            heard: session.share_heard,
            endings: session.endings,
        }
    }
}

/// Fold range requests into listening sessions, a page at a time.
#[utoipa::path(
    post, path = "/api/v1/entries/sessions", tag = "log", operation_id = "listening_sessions",
    request_body(content = SessionsBody),
    responses(
        (status = 200, description = "The sessions", body = Sessions),
        ToBody,
    )
)]
pub(super) async fn sessions(
    State(desk): State<Desk>,
    visitor: Visitor,
    Json(SessionsBody { question, after, limit }): Json<SessionsBody>,
) -> Result<axum::Json<Sessions>, Problem> {
    let asking = Asking::new(&desk, &visitor, AdminAction::ReadLedger, &question).await?;
    let limit = size(limit)?;
    let after = after.map(|Cursor { ceiling, below }| SessionCursor { ceiling, below });
    let fold = move |review: &mut Review, query: &Query| {
        let page = review.index().sessions(query, after, limit)?;
        Ok((page.sessions, page.next))
    };
    let (found, person) = asking.ask(&desk, fold).await?;
    let (sessions, next) = found.unwrap_or_default();
    let entry = asking.sees(&desk, &visitor, person, sessions.len()).await?;
    let sessions = sessions.into_iter().map(Listening::from).collect();
    let next = next.map(|SessionCursor { ceiling, below }| Cursor { ceiling, below });
    Ok(axum::Json(Sessions { entry, sessions, next }))
}
