//! Stating facts: many at once, or one of a kind. All of a request is stated or nothing of it.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::Desk;
use super::super::body::{self, Json};
use super::super::problem::Problem;
use super::super::visitor::Visitor;
use super::answers::ToBody;
use super::paging::Query;
use crate::facts::{
    Announcement, Case, Consent, ConsentRecord, Filing, Hold, Objection, Party, Payment, Said,
    Statement, Unfit, Who,
};
use crate::ledger::{EntryId, Once, OnceError};
use crate::media::MediaSid;
use crate::policy::{AdminAction, Whose};
use crate::purpose::Purpose;

/// LIMIT: statements of one request. They become durable together, and each is up to 16 KiB.
const STATEMENTS_MAX: usize = 1000;

/// LIMIT: bytes of an Idempotency-Key. A UUID has 36.
const KEY_BYTES_MAX: usize = 200;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How something is to be stated.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// Only say whether it could be stated.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// The caller's own name for a request, so that a retry states nothing twice.
#[derive(Debug)]
pub(super) struct IdempotencyKey(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut keys = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let (first, second) = (keys.next(), keys.next());
        let Some(key) = first else { return Ok(Self(None)) };
        let text = key.to_str().ok().filter(|text| {
            !text.is_empty() && text.len() <= KEY_BYTES_MAX && !text.contains(char::is_control)
        });
        match (text, second) {
            (Some(text), None) => Ok(Self(Some(text.to_owned()))),
            _ => Err(Problem::bad_request("one Idempotency-Key of 1 to 200 visible characters")),
        }
    }
}

/// What was stated.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Stated {
    /// The entries of the ledger that state it, in the order of the request; none of a dry run.
    #[schema(value_type = Vec<String>)]
    entries: Vec<EntryId>,
    /// True if it was stated before under the same Idempotency-Key, and not again now.
    replayed: bool,
    /// True if nothing was stated, because it was not to be.
    dry_run: bool,
}

/// Statements.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Statements {
    /// 1 to 1000.
    #[schema(value_type = Vec<Statement>, min_items = 1, max_items = 1000)]
    statements: Vec<Box<RawValue>>,
}

/// What somebody must be permitted to say something. What a line plays may be consent of everybody
/// who calls it, and then needs what consent does.
fn actions(said: &Said) -> impl Iterator<Item = AdminAction> {
    let (first, second) = match said {
        Said::Consent(_) | Said::Objection(_) => (AdminAction::StateConsent, None),
        Said::Hold(Hold { lifted: true, .. }) => (AdminAction::LiftHold, None),
        Said::Hold(_) => (AdminAction::PlaceHold, None),
        Said::Announcement(Announcement { consents, agents_agreed, .. }) => {
            let consent = (*consents || *agents_agreed).then_some(AdminAction::StateConsent);
            (AdminAction::StateFacts, consent)
        }
        Said::Party(_) | Said::Labels(_) | Said::Payment(_) | Said::Case(_) | Said::Call(_) => {
            (AdminAction::StateFacts, None)
        }
    };
    std::iter::once(first).chain(second)
}

fn unfit(unfit: Unfit) -> Problem {
    match unfit {
        Unfit::Value { key, problem } => Problem::bad_value(problem).about(key),
        Unfit::About { .. } | Unfit::NotOne => Problem::bad_value(unfit.to_string()),
    }
}

/// One request to state something.
pub(super) struct Stating<'a> {
    pub(super) desk: &'a Desk,
    pub(super) visitor: &'a Visitor,
    pub(super) how: How,
    pub(super) key: IdempotencyKey,
}

impl Stating<'_> {
    /// States everything, or nothing.
    async fn state(self, statements: &[Statement], many: bool) -> Result<Response, Problem> {
        let Self { desk, visitor, how, key } = self;
        let mut actions: Vec<AdminAction> =
            statements.iter().flat_map(|statement| actions(&statement.said)).collect();
        actions.sort_unstable();
        actions.dedup();
        let mut permitted = None;
        for action in actions {
            permitted = Some(visitor.may(desk, action, Whose::Others).await?);
        }
        let permit = permitted.ok_or_else(|| Problem::bad_value("there is nothing to state"))?;
        let policies = desk.policies();
        let now = desk.gate.clock.now();
        for (index, statement) in statements.iter().enumerate() {
            statement.check(policies.vocabulary(), now).map_err(|wrong| {
                let problem = unfit(wrong);
                if many { problem.at(index) } else { problem }
            })?;
        }
        if how.dry_run {
            let stated = Stated { entries: Vec::new(), replayed: false, dry_run: true };
            return Ok((StatusCode::OK, axum::Json(stated)).into_response());
        }
        let (actor, ledger) = (permit.caller(), &desk.gate.ledger);
        let once = match &key.0 {
            None => {
                ledger.state(actor, statements).await.map(Once::Stated).map_err(OnceError::from)
            }
            Some(key) => {
                let _one_at_a_time = desk.retries.lock().await;
                ledger.state_once(actor, key, statements).await
            }
        };
        let once = once.map_err(|error| match error {
            OnceError::Append(error) => Problem::ledger(&error),
            OnceError::Register(error) => Problem::facts(&error),
        })?;
        let (status, entries, replayed) = match once {
            Once::Stated(entries) => (StatusCode::CREATED, entries, false),
            Once::Before(entries) => (StatusCode::OK, entries, true),
            Once::Other => return Err(Problem::key_reused()),
        };
        Ok((status, axum::Json(Stated { entries, replayed, dry_run: false })).into_response())
    }

    /// States one thing of a kind.
    pub(super) async fn one(
        self,
        about: Vec<MediaSid>,
        line: Option<String>,
        participant: Option<Who>,
        said: Said,
    ) -> Result<Response, Problem> {
        let statement = Statement::new(about, line, participant, said).map_err(unfit)?;
        self.state(&[statement], false).await
    }

    /// States several things, each as it was made.
    pub(super) async fn each(self, statements: &[Statement]) -> Result<Response, Problem> {
        self.state(statements, false).await
    }
}

/// State facts of any kind, all of them or none.
#[utoipa::path(
    post, path = "/api/v1/statements", tag = "statements", operation_id = "state",
    params(How, ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key states nothing twice")),
    request_body(content = Statements),
    responses(
        (status = 200, description = "Nothing was stated: a dry run, or a retry", body = Stated),
        (status = 201, description = "Everything is on record and decides from now on", body = Stated),
        ToBody,
    )
)]
pub(super) async fn state(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(how): Query<How>,
    key: IdempotencyKey,
    Json(Statements { statements }): Json<Statements>,
) -> Result<Response, Problem> {
    if statements.is_empty() || statements.len() > STATEMENTS_MAX {
        return Err(Problem::bad_value("1 to 1000 statements").about("statements"));
    }
    let read = statements.iter().enumerate();
    let read = read.map(|(index, text)| {
        body::read::<Statement>(text.get().as_bytes()).map_err(|problem| problem.at(index))
    });
    let statements: Vec<Statement> = read.collect::<Result<_, _>>()?;
    Stating { desk: &desk, visitor: &visitor, how, key }.state(&statements, true).await
}

/// Declares what states one thing of a kind: its body, and its route.
macro_rules! of_a_kind {
    ($(#[$about:meta])* $call:ident $path:literal $name:ident {
        $($(#[$meta:meta])* $field:ident: $of:ty,)+
    } => |$body:ident, $desk:ident| ($calls:expr, $line:expr, $participant:expr, $said:expr)) => {
        #[derive(Debug, Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name { $($(#[$meta])* $field: $of,)+ }

        $(#[$about])*
        #[utoipa::path(
            post, path = $path, tag = "statements",
            params(How, ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key states nothing twice")),
            request_body(content = $name),
            responses(
                (status = 200, description = "Nothing was stated: a dry run, or a retry", body = Stated),
                (status = 201, description = "It is on record and decides from now on", body = Stated),
        ToBody,
            )
        )]
        pub(super) async fn $call(
            State($desk): State<Desk>,
            visitor: Visitor,
            Query(how): Query<How>,
            key: IdempotencyKey,
            Json($body): Json<$name>,
        ) -> Result<Response, Problem> {
            let (calls, line, participant, said) = ($calls, $line, $participant, $said);
            let stating = Stating { desk: &$desk, visitor: &visitor, how, key };
            stating.one(calls, line, participant, said).await
        }
    };
}

of_a_kind! {
    /// State what somebody consented to, or refused.
    consent "/api/v1/consents" ConsentBody {
        /// The calls it is about; all of this person's if left out.
        #[serde(default)]
        #[schema(value_type = Vec<String>)]
        about: Vec<MediaSid>,
        /// Whose.
        participant: Who,
        /// What they said.
        consent: ConsentRecord,
    } => |body, desk| (
        body.about, None, Some(body.participant), Said::Consent(Box::new(body.consent))
    )
}

of_a_kind! {
    /// Withdraw somebody's consent. It acts at once, also on what is being heard.
    withdrawal "/api/v1/withdrawals" WithdrawalBody {
        /// The calls it is about; all of this person's if left out.
        #[serde(default)]
        #[schema(value_type = Vec<String>)]
        about: Vec<MediaSid>,
        /// Whose.
        participant: Who,
        /// For what; for every purpose if left out.
        #[serde(default)]
        #[schema(value_type = Vec<String>)]
        purposes: Vec<Purpose>,
        /// When they withdrew it; now, if left out.
        #[serde(default)]
        #[schema(value_type = Option<String>, format = DateTime)]
        at: Option<Timestamp>,
    } => |body, desk| (body.about, None, Some(body.participant), {
        let at = body.at.unwrap_or_else(|| desk.gate.clock.now());
        let withdrawn = ConsentRecord::new(Consent::Withdrawn, at);
        Said::Consent(Box::new(ConsentRecord { purposes: body.purposes, ..withdrawn }))
    })
}

of_a_kind! {
    /// State that somebody objects to purposes, or does no longer.
    objection "/api/v1/objections" ObjectionBody {
        /// The calls it is about; all of this person's if left out.
        #[serde(default)]
        #[schema(value_type = Vec<String>)]
        about: Vec<MediaSid>,
        /// Who objects.
        participant: Who,
        /// To what.
        objection: Objection,
    } => |body, desk| (body.about, None, Some(body.participant), Said::Objection(body.objection))
}

of_a_kind! {
    /// State who took part in calls.
    participant "/api/v1/participants" ParticipantBody {
        /// The calls.
        #[schema(value_type = Vec<String>, min_items = 1)]
        about: Vec<MediaSid>,
        /// Who.
        participant: Who,
        /// What is known of them.
        party: Party,
    } => |body, desk| (body.about, None, Some(body.participant), Said::Party(body.party))
}

of_a_kind! {
    /// State what calls are filed under.
    labels "/api/v1/labels" LabelsBody {
        /// The calls or recordings.
        #[schema(value_type = Vec<String>, min_items = 1)]
        about: Vec<MediaSid>,
        /// What they are filed under.
        labels: Filing,
    } => |body, desk| (body.about, None, None, Said::Labels(body.labels))
}

of_a_kind! {
    /// State whether a payment was taken on calls, and when recording paused.
    payment "/api/v1/payments" PaymentBody {
        /// The calls or recordings.
        #[schema(value_type = Vec<String>, min_items = 1)]
        about: Vec<MediaSid>,
        /// The payment.
        payment: Payment,
    } => |body, desk| (body.about, None, None, Said::Payment(body.payment))
}

of_a_kind! {
    /// State that a case about calls is opened or closed.
    case "/api/v1/cases" CaseBody {
        /// The calls or recordings.
        #[schema(value_type = Vec<String>, min_items = 1)]
        about: Vec<MediaSid>,
        /// The case.
        case: Case,
    } => |body, desk| (body.about, None, None, Said::Case(body.case))
}

of_a_kind! {
    /// State what everybody hears who calls a line.
    announcement "/api/v1/announcements" AnnouncementBody {
        /// The line, by the vocabulary's id.
        line: String,
        /// The announcement.
        announcement: Announcement,
    } => |body, desk| (
        Vec::new(), Some(body.line), None, Said::Announcement(body.announcement)
    )
}

of_a_kind! {
    /// Place a legal hold: what it covers is not deleted until it is lifted.
    place_hold "/api/v1/holds" HoldBody {
        /// The calls or recordings that it covers.
        #[serde(default)]
        #[schema(value_type = Vec<String>)]
        about: Vec<MediaSid>,
        /// The person whose calls it covers.
        #[serde(default)]
        participant: Option<Who>,
        /// The hold.
        hold: NewHold,
    } => |body, desk| (body.about, None, body.participant, Said::Hold(body.hold.into()))
}

/// A hold to place.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHold {
    /// Its name.
    id: String,
    /// The case it serves.
    case: String,
    /// Why it is placed.
    reason: String,
    /// The callers who may use what it covers after its time, by their ids.
    #[serde(default)]
    people: Vec<String>,
    /// For what they may.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    purposes: Vec<Purpose>,
}

impl From<NewHold> for Hold {
    fn from(new: NewHold) -> Self {
        let NewHold { id, case, reason, people, purposes } = new;
        Self { id, case, reason, people, purposes, lifted: false }
    }
}
