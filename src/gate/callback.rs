//! Twilio's callbacks at the gate.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::request::Parts;
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;

use super::Worker;
use crate::asked;
use crate::facts::{self, CallEnds, Ends, Key, Party, Registry, Said, Statement, Who};
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
                for event in &accepted.events {
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
