//! Twilio's callbacks at the gate.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::request::Parts;
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::Worker;
use crate::asked;
use crate::facts::{
    self, CallEnds, Ends, FactsError, Key, Party, Registry, Said, Statement, Unfit, Who,
};
use crate::ledger::AppendError;
use crate::media::{AccountSid, Artefact, CallSid, MediaSid, MetadataRef};
use crate::respond::{self, CallerForm, Problem};
use crate::stream::ReplyBody;
use crate::upstream::Metadata;
use crate::webhook::{self, Event, Kind, Received};

/// LIMIT: how long the body of a callback may take to come.
const CALLBACK_TIME_MAX: Duration = Duration::from_secs(10);

/// LIMIT: how long Twilio waits because the gate asks for a recording that has just ended. Twilio
/// itself gives up after 15 seconds.
const LEARNING_TIME_MAX: Duration = Duration::from_secs(3);

/// The parameter of a callback's URL that states something of the call: a statement in JSON, as the
/// API takes it, without what it is about. It may stand there several times.
const TOLD: &str = "noticegate";

/// LIMIT: statements in one URL.
const TOLD_MAX: usize = 20;

/// Why what a URL states is not stated.
#[derive(Debug, thiserror::Error)]
enum NotStated {
    #[error("`{TOLD}` in its URL holds no statement in JSON without `about`")]
    NotJson,
    #[error("its URL holds more than {TOLD_MAX} statements")]
    TooMany,
    #[error("its URL may not state a hold or the ends of a call")]
    NotByUrl,
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Register(#[from] FactsError),
    #[error(transparent)]
    Ledger(#[from] AppendError),
}

/// The statements in a query.
fn told(query: &str, about: MediaSid) -> Result<Vec<Statement>, NotStated> {
    let mut told = Vec::new();
    for (_, json) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == TOLD) {
        if told.len() == TOLD_MAX {
            return Err(NotStated::TooMany);
        }
        let mut form: Map<String, Value> =
            serde_json::from_str(&json).map_err(|_| NotStated::NotJson)?;
        if form.insert("about".to_owned(), Value::from(vec![about.to_string()])).is_some() {
            return Err(NotStated::NotJson);
        }
        // What is wrong with it may be a person's, so it is not told.
        let statement: Statement =
            serde_json::from_value(form.into()).map_err(|_| NotStated::NotJson)?;
        if matches!(statement.said, Said::Hold(_) | Said::Call(_)) {
            return Err(NotStated::NotByUrl);
        }
        told.push(statement);
    }
    Ok(told)
}

impl Worker {
    /// Takes one of Twilio's callbacks: verified, learned from, and on disk before it is answered.
    pub(super) async fn take_callback<B>(
        &self,
        name: &str,
        parts: &Parts,
        body: B,
        form: CallerForm,
    ) -> Response<ReplyBody>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Err(bad) = asked::host(parts, &self.gate.rules.names) {
            return Problem::bad_request(&bad).into_response(form, None);
        }
        let body = Limited::new(body, webhook::BODY_BYTES_MAX).collect();
        let Ok(Ok(body)) = timeout(CALLBACK_TIME_MAX, body).await else {
            return Problem::callback_body().into_response(form, None);
        };
        let hook = name.to_owned();
        let (webhooks, name, body) =
            (Arc::clone(&self.gate.webhooks), hook.clone(), body.to_bytes());
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        let path = parts.uri.path_and_query().map(|path| path.as_str().to_owned());
        let taken = tokio::task::spawn_blocking(move || {
            webhooks.receive(Received {
                name: &name,
                method: &method,
                path_and_query: path.as_deref().unwrap_or_default(),
                headers: &headers,
                body: &body,
            })
        });
        match taken.await {
            Ok(Ok(accepted)) => {
                if !accepted.blanked.is_empty() {
                    tracing::warn!(parameters = ?accepted.blanked, "a callback held signed URLs");
                }
                let query = parts.uri.query().unwrap_or_default();
                for event in &accepted.events {
                    if let Err(error) = self.state_told(query, event, &hook).await {
                        self.gate.metrics.not_stated().inc();
                        tracing::error!(%error, hook, "what a callback's URL states is not known now");
                    }
                    // What cannot be learned now is asked for when it is needed.
                    let _ = timeout(LEARNING_TIME_MAX, self.learn(event, &hook)).await;
                }
                respond::callback_taken()
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a callback was not taken");
                Problem::callback(&error).into_response(form, None)
            }
            Err(_) => Problem::ledger().into_response(form, None),
        }
    }

    /// States what the application has said of the call in the URL that it gave to Twilio: it knows
    /// which line was called, that a card was paid with, which case it was about. Twilio signs the
    /// URL, so nobody else can have said it. A callback comes once for each thing that happens; what
    /// is stated already is not stated again.
    async fn state_told(&self, query: &str, event: &Event, hook: &str) -> Result<(), NotStated> {
        let about = event.call.map(MediaSid::from).or(event.recording);
        let Some(about) = about.filter(|_| query.contains(TOLD)) else { return Ok(()) };
        let policies = self.gate.policies.now();
        let mut told = told(query, about)?;
        for statement in &told {
            statement.check(policies.vocabulary(), self.gate.clock.now())?;
        }
        let ledger = &self.gate.ledger;
        let (known, _) = ledger.statements(vec![ledger.name(&Key::Media(about))]).await?;
        told.retain(|statement| !known.iter().any(|known| known.statement == *statement));
        if !told.is_empty() {
            ledger.state(&format!("webhook:{hook}"), &told).await?;
        }
        Ok(())
    }

    /// What a callback tells changes what is known: of a call its ends, and of a recording that it
    /// is not what it was; a completed one is asked for at once.
    async fn learn(&self, event: &Event, hook: &str) {
        let facts = &self.gate.facts;
        if let (Kind::Call(told), Some(call)) = (&event.kind, event.call) {
            let [from, to] = [&told.from, &told.to].map(|end| end.as_ref().map(|end| end.text()));
            let ends = facts::ends(told.direction.as_deref(), [from, to]);
            self.register_ends(call, &ends, hook).await;
        }
        if let (Kind::Conference(told), Some(call)) = (&event.kind, event.call)
            && told.has_joined
        {
            self.register_joined(told.conference, (event.account, call), hook).await;
        }
        let about = event.recording.and_then(|sid| MetadataRef::named(event.account, sid));
        let Some(about) = about else { return };
        facts.forget(about).await;
        facts.forget(about.even_deleted()).await;
        let is_completed = matches!(&event.kind, Kind::Recording(told)
            if told.status == Some(webhook::RecordingStatus::Completed));
        let site = self.gate.accounts.of(event.account);
        if let Some(site) = site.filter(|_| is_completed) {
            let source = Metadata { upstream: &self.upstream, site: &site, known: None };
            facts.look_ahead(about, Artefact::Audio, &source).await;
        }
    }

    /// Keeps who has joined a conference: the end of the call that is not the organisation's, or,
    /// if it has no number, somebody who is known by their call alone.
    async fn register_joined(
        &self,
        conference: MediaSid,
        (account, call): (AccountSid, CallSid),
        hook: &str,
    ) {
        let Some(site) = self.gate.accounts.of(account) else { return };
        let source = Metadata { upstream: &self.upstream, site: &site, known: None };
        let ends = self.gate.facts.ends_of((account, call), &source).await.unwrap_or_default();
        let policies = self.gate.policies.now();
        let vocabulary = policies.reading().vocabulary;
        let is_outside = |number: &&str| vocabulary.line_of(number).is_none();
        let number = ends.numbers.iter().find(is_outside).map(str::to_owned);
        let who = number.map_or_else(|| Who::Name(call.to_string()), Who::Number);
        let ledger = &self.gate.ledger;
        let known = ledger.statements(vec![ledger.name(&Key::Media(conference))]).await;
        let of_this_call =
            |said: &Said| matches!(said, Said::Party(party) if party.leg == Some(call));
        if known.is_ok_and(|(known, _)| known.iter().any(|one| of_this_call(&one.statement.said))) {
            return;
        }
        let joined = Statement {
            about: vec![conference],
            line: None,
            participant: Some(who),
            said: Said::Party(Party { leg: Some(call), ..Party::default() }),
        };
        if let Err(error) = ledger.state(&format!("webhook:{hook}"), &[joined]).await {
            tracing::warn!(%error, "who joined a conference could not be kept");
        }
    }

    /// Keeps the ends of a call, for when Twilio has forgotten it. What is known already is not
    /// stated again.
    async fn register_ends(&self, call: CallSid, ends: &Ends, hook: &str) {
        let ledger = &self.gate.ledger;
        let about = vec![MediaSid::from(call)];
        let known = ledger.statements(vec![ledger.name(&Key::Media(call.into()))]).await;
        let is_known = known.is_ok_and(|(known, _)| {
            known.iter().any(|known| matches!(known.statement.said, Said::Call(_)))
        });
        if is_known {
            return;
        }
        let call = CallEnds { direction: ends.direction, unnumbered: ends.unnumbered };
        let state =
            |participant, said| Statement { about: about.clone(), line: None, participant, said };
        let mut statements = vec![state(None, Said::Call(call))];
        statements.extend(ends.numbers.iter().map(|number| {
            state(Some(Who::Number(number.to_owned())), Said::Party(Party::default()))
        }));
        if let Err(error) = ledger.state(&format!("webhook:{hook}"), &statements).await {
            tracing::warn!(%error, "the ends of a call could not be kept");
        }
    }
}
