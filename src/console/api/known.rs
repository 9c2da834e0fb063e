//! Reading: what is known of a recording or call, which holds there are, and what is held and was
//! disclosed of a person. Each look is on record before it is answered.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::Desk;
use super::super::body::Json;
use super::super::problem::{Body, Problem};
use super::super::visitor::{About, Visitor};
use super::answers::{ToBody, ToQuery};
use super::paging::{Query, page};
use super::statements::{How, IdempotencyKey, Stated, Stating};
use crate::facts::{Facts, Hold, Key, Said, Statement, Who};
use crate::ledger::{AccountingLine, EntryId, Told, disclosures};
use crate::media::{AccountSid, Artefact, MediaSid, MetadataRef};
use crate::policy::{AdminAction, Whose};
use crate::purpose::Purpose;
use crate::upstream::Metadata;

/// A statement as it is on record.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OnRecord {
    /// The entry of the ledger that states it.
    #[schema(value_type = String)]
    entry: EntryId,
    /// The place of that entry.
    place: u64,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who stated it, by their id; `twilio` for what callbacks told.
    by: String,
    /// What was stated. A number is cut to its last two digits for who may not read it.
    statement: Statement,
    /// True if it names somebody who was erased since.
    erased: bool,
}

impl OnRecord {
    fn of(told: Told, shows: bool) -> Self {
        let Told { id, at, actor, recorded } = told;
        let mut statement = recorded.statement;
        if !shows && let Some(who) = &mut statement.participant {
            *who = masked(who);
        }
        Self { entry: id, place: recorded.seq, at, by: actor, statement, erased: recorded.erased }
    }
}

/// Somebody, so that who knows them can tell them from others on the call, and nobody else who.
fn masked(who: &Who) -> Who {
    match who {
        Who::Number(number) => {
            let end = number.get(number.len().saturating_sub(2)..).unwrap_or_default();
            Who::Name(format!("a number that ends in {end}"))
        }
        Who::Name(_) => Who::Name("somebody with a name".to_owned()),
    }
}

/// What is known of a recording, call or whatever else was recorded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Known {
    /// What it is.
    #[schema(value_type = String)]
    sid: MediaSid,
    /// The account it belongs to.
    #[schema(value_type = String)]
    account: AccountSid,
    /// When Twilio was asked.
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
    /// Its call, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    call: Option<MediaSid>,
    /// Its conference, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    conference: Option<MediaSid>,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    ended_at: Timestamp,
    /// Twilio's word for its state.
    status: &'static str,
    /// The weakest consent on the call, for the purpose that was asked about.
    consent: &'static str,
    /// How it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_form: Option<&'static str>,
    /// What somebody on the call objected to.
    #[schema(value_type = Vec<String>)]
    objections: Vec<Purpose>,
    /// What else holds: `hold`, `open-case`, and so on.
    circumstances: Vec<&'static str>,
    /// When the case about it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    case_closed_at: Option<Timestamp>,
    /// Whose consent the law demands.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_rule: Option<&'static str>,
    /// The place whose law demands it.
    #[serde(skip_serializing_if = "Option::is_none")]
    law_of: Option<String>,
    /// What it is filed under.
    filed: Filed,
    /// Everything that was stated of it and of who is on it, oldest first.
    statements: Vec<OnRecord>,
    /// The cursor of the next page of statements.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What a call is filed under.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Filed {
    /// The organisation's line.
    line: Option<String>,
    /// The part of the organisation.
    department: Option<String>,
    /// Its type.
    call_type: Option<String>,
    /// Its labels; null if nobody knows.
    labels: Option<Vec<String>>,
}

/// What is asked about.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// For which purpose: consent and objections differ by it.
    #[param(value_type = Option<String>)]
    purpose: Option<Purpose>,
    /// The account, if more than one is served.
    #[param(value_type = Option<String>)]
    account: Option<AccountSid>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Statements on the page, at most 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// What is known of a recording, call, conference or video room.
#[utoipa::path(
    get, path = "/api/v1/media/{sid}", tag = "reading", operation_id = "known",
    params(("sid" = String, Path, description = "Its SID"), Which),
    responses(
        (status = 200, description = "What is known, and who stated it when", body = Known),
        (status = 404, description = "Twilio has no such thing", body = Body, content_type = "application/problem+json"),
        ToQuery,
    )
)]
pub(super) async fn known(
    State(desk): State<Desk>,
    visitor: Visitor,
    axum::extract::Path(sid): axum::extract::Path<String>,
    Query(which): Query<Which>,
) -> Result<axum::Json<Known>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let sid: MediaSid = sid.parse().map_err(|_| Problem::not_found())?;
    let facts = gather(&desk, sid, which.account, which.purpose.as_ref()).await?;
    let names = facts.basis.names.to_vec();
    let told = desk.gate.ledger.told_under(names).await;
    let told = told.map_err(|error| Problem::facts(&error))?;
    let (told, next) = page(told, which.cursor.as_deref(), which.limit)?;
    let shows = desk.policies().may(&visitor.caller, AdminAction::ReadSubject, Whose::Others);
    let shows = shows.is_ok();
    let about =
        About { detail: sid.to_string(), entries: Some(told.len() as u64), ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    let statements = told.into_iter().map(|told| OnRecord::of(told, shows)).collect();
    Ok(axum::Json(Known { next, statements, ..Known::of(sid, &facts) }))
}

impl Known {
    fn of(sid: MediaSid, facts: &Facts) -> Self {
        let register = &facts.register;
        let labels = &register.labels;
        Self {
            sid,
            account: facts.account,
            as_of: facts.as_of,
            call: facts.call.map(MediaSid::from),
            conference: facts.conference,
            started_at: facts.started_at,
            ended_at: facts.ended_at(),
            status: facts.status.as_str(),
            consent: facts.consent.as_str(),
            consent_form: register.consent_form.map(|form| form.as_str()),
            objections: register.objections.clone(),
            circumstances: register.circumstances.iter().map(|one| one.as_str()).collect(),
            case_closed_at: register.case_closed_at,
            consent_rule: register.law.map(|law| law.rule.as_str()),
            law_of: register.law.map(|law| law.place.to_string()),
            filed: Filed {
                line: labels.line.clone(),
                department: labels.department.clone(),
                call_type: labels.call_type.clone(),
                labels: labels.labels.clone(),
            },
            statements: Vec::new(),
            next: None,
        }
    }
}

/// What is known of something that was recorded, for a purpose.
pub(in crate::console) async fn gather(
    desk: &Desk,
    sid: MediaSid,
    account: Option<AccountSid>,
    purpose: Option<&Purpose>,
) -> Result<std::sync::Arc<Facts>, Problem> {
    let accounts = &desk.gate.accounts;
    let account = match (account, accounts.all().as_slice()) {
        (Some(account), _) => account,
        (None, [only]) => *only,
        (None, _) => {
            return Err(Problem::bad_value("say which account is meant").about("account"));
        }
    };
    let site = accounts.of(account);
    let site = site.ok_or_else(|| Problem::bad_value("not served here").about("account"))?;
    let subject = MetadataRef::named(account, sid).ok_or_else(Problem::not_found)?;
    let source = Metadata { upstream: &desk.upstream, site: &site, known: None };
    let policies = desk.policies();
    let sources = (&source, &desk.gate.ledger);
    let reading = policies.reading();
    let facts = &desk.gate.facts;
    let gathered = facts.gather(subject, Artefact::Audio, purpose, &reading, sources).await;
    gathered.map_err(|error| Problem::facts(&error))
}

/// A legal hold.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct HoldOnRecord {
    /// Its name.
    id: String,
    /// The case it serves.
    case: String,
    /// Why it was placed, or lifted.
    reason: String,
    /// True if it was lifted.
    lifted: bool,
    /// The callers who may use what it covers after its time.
    people: Vec<String>,
    /// For what they may.
    #[schema(value_type = Vec<String>)]
    purposes: Vec<Purpose>,
    /// The calls or recordings that it covers.
    #[schema(value_type = Vec<String>)]
    about: Vec<MediaSid>,
    /// True if it covers all calls of a person.
    covers_a_person: bool,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    placed_at: Timestamp,
    /// When something was last stated of it.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// Who last did.
    changed_by: String,
}

/// Legal holds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Holds {
    /// In the order in which they were placed.
    holds: Vec<HoldOnRecord>,
    /// The cursor of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which holds.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichHolds {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Holds on the page, at most 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// All legal holds, also those that were lifted.
#[utoipa::path(
    get, path = "/api/v1/holds", tag = "reading", operation_id = "holds",
    params(WhichHolds),
    responses(
        (status = 200, description = "The holds", body = Holds),
        ToQuery,
    )
)]
pub(super) async fn holds(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(which): Query<WhichHolds>,
) -> Result<axum::Json<Holds>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let told = desk.gate.ledger.told(&[Key::Holds]).await;
    let told = told.map_err(|error| Problem::facts(&error))?;
    let (holds, next) = page(one_each(told), which.cursor.as_deref(), which.limit)?;
    let about = About { entries: Some(holds.len() as u64), ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    Ok(axum::Json(Holds { holds, next }))
}

/// Each hold once, as it was last stated, with everything that it covers.
fn one_each(told: Vec<Told>) -> Vec<HoldOnRecord> {
    let mut holds: Vec<HoldOnRecord> = Vec::new();
    for Told { at, actor, recorded, .. } in told {
        let Statement { about, participant, said: Said::Hold(hold), .. } = recorded.statement
        else {
            continue;
        };
        let covers_a_person = participant.is_some() || recorded.erased;
        let Hold { id, case, reason, lifted, people, purposes } = hold;
        let new = HoldOnRecord {
            id,
            case,
            reason,
            lifted,
            people,
            purposes,
            about,
            covers_a_person,
            placed_at: at,
            changed_at: at,
            changed_by: actor,
        };
        match holds.iter_mut().find(|hold| hold.id == new.id) {
            None => holds.push(new),
            Some(old) => {
                let mut about = std::mem::take(&mut old.about);
                about.extend(
                    new.about
                        .iter()
                        .copied()
                        .filter(|sid| !about.contains(sid))
                        .collect::<Vec<_>>(),
                );
                let covers_a_person = old.covers_a_person || new.covers_a_person;
                *old = HoldOnRecord { about, covers_a_person, placed_at: old.placed_at, ..new };
            }
        }
    }
    holds
}

/// A hold to lift.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiftBody {
    /// The hold's name.
    id: String,
    /// Why it is lifted.
    reason: String,
}

/// Lift a legal hold from everything that it covers.
#[utoipa::path(
    post, path = "/api/v1/holds/lift", tag = "statements", operation_id = "lift_hold",
    params(How, ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key states nothing twice")),
    request_body(content = LiftBody),
    responses(
        (status = 200, description = "Nothing was stated: a dry run, or a retry", body = Stated),
        (status = 201, description = "It is lifted", body = Stated),
        (status = 404, description = "There is no such hold", body = Body, content_type = "application/problem+json"),
        (status = 409, description = "It covers somebody who was erased, and cannot be lifted from them", body = Body, content_type = "application/problem+json"),
        ToBody,
    )
)]
pub(super) async fn lift_hold(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(how): Query<How>,
    key: IdempotencyKey,
    Json(LiftBody { id, reason }): Json<LiftBody>,
) -> Result<Response, Problem> {
    // First whether they may: which holds there are is not for everybody.
    let _ = visitor.may(&desk, AdminAction::LiftHold, Whose::Others).await?;
    let told = desk.gate.ledger.told(&[Key::Hold(id)]).await;
    let told = told.map_err(|error| Problem::facts(&error))?;
    let mut lifts: Vec<Statement> = Vec::new();
    let is_erased = told.iter().any(|told| told.recorded.erased);
    for Told { recorded, .. } in told {
        let Statement { about, line, participant, said: Said::Hold(hold) } = recorded.statement
        else {
            continue;
        };
        if about.is_empty() && participant.is_none() {
            continue;
        }
        let lifted = Hold { lifted: true, reason: reason.clone(), ..hold };
        let said = Said::Hold(Hold { people: Vec::new(), purposes: Vec::new(), ..lifted });
        let lift = Statement::new(about, line, participant, said);
        let lift = lift.map_err(|wrong| Problem::bad_value(wrong.to_string()).about("reason"))?;
        if !lifts.contains(&lift) {
            lifts.push(lift);
        }
    }
    if lifts.is_empty() && is_erased {
        return Err(Problem::conflict("the person whose calls it covers was erased"));
    }
    if lifts.is_empty() {
        return Err(Problem::not_found().saying("there is no hold with this id"));
    }
    Stating { desk: &desk, visitor: &visitor, how, key }.each(&lifts).await
}

/// Whom it is about.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonBody {
    /// Who. In the body, so that no URL, log or browser keeps it.
    participant: Who,
    /// Disclosures from this time on.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Disclosures before this time.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// Disclosures on the page, at most 500.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// What is held of a person, and what was disclosed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Person {
    /// The entry of the ledger that records this look.
    #[schema(value_type = String)]
    entry: EntryId,
    /// True if any entry tells of this person, and they were not erased.
    known: bool,
    /// What was stated of them, in all their calls and in single ones.
    statements: Vec<OnRecord>,
    /// What was disclosed of their calls, oldest first.
    disclosures: Vec<Disclosure>,
    /// The cursor of the next page of disclosures.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Something that was disclosed; a session of listening is one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Disclosure {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who received it, by their id.
    caller: String,
    /// The roles they had.
    roles: Vec<String>,
    /// Who outside the organisation received it.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// The recording.
    recording: String,
    /// In which form.
    form: String,
    /// For which purpose.
    purpose: String,
    /// The purpose in plain words.
    purpose_plain: String,
    /// The sentence of the notice that permitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<String>,
    /// Bytes handed over.
    bytes: u64,
    /// How it ended.
    ending: String,
}

impl From<AccountingLine> for Disclosure {
    fn from(line: AccountingLine) -> Self {
        Self {
            at: line.at,
            caller: line.caller,
            roles: line.roles,
            recipient: line.recipient,
            recording: line.what.recording,
            form: line.what.form,
            purpose: line.purpose,
            purpose_plain: line.purpose_plain,
            quote: line.clause.map(|clause| clause.quote),
            bytes: line.bytes,
            ending: line.ending,
        }
    }
}

/// What is held of a person, and what was disclosed of their calls.
#[utoipa::path(
    post, path = "/api/v1/people/find", tag = "reading", operation_id = "person",
    request_body(content = PersonBody),
    responses(
        (status = 200, description = "What is held and was disclosed", body = Person),
        ToBody,
    )
)]
pub(super) async fn person(
    State(desk): State<Desk>,
    visitor: Visitor,
    Json(asked): Json<PersonBody>,
) -> Result<Response, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    let PersonBody { participant, since, until, cursor, limit } = asked;
    if let Who::Number(number) = &participant
        && !crate::facts::is_e164(number)
    {
        let problem = Problem::bad_value("a number in E.164 form, such as `+14045550100`");
        return Err(problem.about("participant"));
    }
    let keys = [Key::Person(participant.clone()), Key::Mentioned(participant.clone())];
    let told = desk.gate.ledger.told(&keys).await.map_err(|error| Problem::facts(&error))?;
    let (found, lines) = desk
        .review(move |_, review| {
            let found = review.participant(&participant)?;
            let lines = match found {
                Some(person) => disclosures(review, person, since, until)?,
                None => Vec::new(),
            };
            Ok((found, lines))
        })
        .await?;
    let (lines, next) = page(lines, cursor.as_deref(), limit)?;
    let count = (told.len() + lines.len()) as u64;
    let about = About { person: found, entries: Some(count), ..About::default() };
    let entry = visitor.sees(&desk, &permit, &about).await?;
    let answer = Person {
        entry,
        known: found.is_some(),
        statements: told.into_iter().map(|told| OnRecord::of(told, true)).collect(),
        disclosures: lines.into_iter().map(Disclosure::from).collect(),
        next,
    };
    Ok((StatusCode::OK, axum::Json(answer)).into_response())
}
