//! The life of one request.
//!
//! Read `Worker::disclose` first: it is the whole product in one column. Every step takes what
//! the step before it made, and from the permit on by value, so that none can be left out. All
//! branching of a request is here; rooms return values and do not call the next room.

mod callback;
mod list;
mod share;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use prometheus_client::metrics::counter::Counter;

use crate::asked::{Asked, BadRequest, Rules, Verb};
use crate::clock::Clock;
use crate::config;
use crate::crash;
use crate::crowd::{Crowd, Crowded};
use crate::facts::{FactStore, Facts, FactsError};
use crate::identity::{
    Caller, Identity, Peer, Stranger, Tickets, Unadmitted, flex_caller, flex_token,
};
use crate::ledger::{AppendError, Ask, EntryId, Intent, Ledger, Pledge, Refused};
use crate::media::{AccountSid, Artefact, MediaRef, MetadataRef, Serves, Target};
use crate::metrics::Metrics;
use crate::notice::Circumstance;
use crate::policy::{Permit, Question, Reason, Refusal, Stated, Verdict};
use crate::purpose::Purpose;
use crate::reload::InForce;
use crate::respond::{self, CallerForm, Cors, Problem};
use crate::stream::ReplyBody;
use crate::telemetry::Spans;
use crate::upstream::{
    Accounts, Lock, Metadata, NoSite, Own, Site, Upstream, UpstreamError, Wanted,
};
use crate::webhook::Webhooks;

pub use share::{MailError, Shares};

/// What all workers share.
#[derive(Debug)]
pub struct Gate {
    /// The time.
    pub clock: Clock,
    /// What requests are held to before anything else.
    pub rules: Rules,
    /// Who may be who.
    pub identity: Identity,
    /// What is known of recordings.
    pub facts: FactStore,
    /// What is permitted.
    pub policies: InForce,
    /// What was disclosed.
    pub ledger: Ledger,
    /// Whose recordings are served.
    pub accounts: Arc<Accounts>,
    /// Links that carry their own authorisation.
    pub tickets: Tickets,
    /// Twilio's callbacks.
    pub webhooks: Arc<Webhooks>,
    /// Pages of other origins.
    pub cors: Cors,
    /// What agents of Flex are here.
    pub flex: Option<config::Flex>,
    /// Refusals because a payment card may have been recorded.
    pub exposed_cards: Counter,
    /// Who has taken how much.
    pub crowd: Crowd,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where requests are sent as spans, if they are.
    pub spans: Option<Spans>,
    /// What is given to others by links.
    pub shares: Shares,
}

/// The guardrail that refuses what may hold a payment card.
const CARD: &str = "guardrail-card";

/// What has nothing to decrypt.
const PLAIN: Lock = Lock::Open { or_sealed: false };

/// One thread's gate: the shared part and its own connections upstream.
#[derive(Debug)]
pub struct Worker {
    /// The shared part.
    pub gate: Arc<Gate>,
    /// This worker's connections.
    pub upstream: Upstream,
}

/// Why a request got no disclosure.
enum No {
    Bad(BadRequest),
    Stranger(Stranger, Box<Asked>),
    Unadmitted(Unadmitted, Arc<Caller>, Box<Asked>),
    Crowded(Crowded),
    Site(NoSite, Arc<Caller>, Box<Asked>),
    Facts(FactsError, Arc<Caller>, Box<Asked>),
    Refused(Box<Refusal>, Box<Asked>),
    Ledger(AppendError),
    Upstream(UpstreamError),
}

/// LIMIT: how often a request is decided about, because each time something was said of the recording
/// before it was on record. Then the caller may try again.
const DECISIONS_MAX: usize = 4;

/// Decides again what was overtaken by a statement on its way to the ledger.
async fn again<T, F: Future<Output = Result<T, No>>>(
    mut decide: impl FnMut() -> F,
) -> Result<T, No> {
    let mut answer = decide().await;
    for _ in 1..DECISIONS_MAX {
        match answer {
            Err(No::Ledger(AppendError::Stale)) => answer = decide().await,
            answer => return answer,
        }
    }
    answer
}

/// A request of somebody known, for something of an account that is served.
struct Admitted {
    caller: Arc<Caller>,
    site: Site,
    asked: Asked,
    address: IpAddr,
    form: CallerForm,
}

impl Worker {
    /// Answers one request. Whatever happens, there is an answer in the gate's own words.
    pub async fn answer<B>(&self, request: Request<B>, peer: &Peer) -> Response<ReplyBody>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let form = CallerForm::of(&parts);
        let cors = &self.gate.cors;
        if let Some(response) = cors.preflight(&parts) {
            return response;
        }
        if let Some(name) = parts.uri.path().strip_prefix("/webhooks/") {
            return self.take_callback(name, &parts, body, form).await;
        }
        if share::is_for_shares(parts.uri.path()) {
            return self.shares(&parts, body, peer, form).await;
        }
        let has_body = !body.is_end_stream();
        drop(body);
        let answered = async {
            let known = self.identify(&parts, has_body, peer, form).await?;
            let place = self.gate.crowd.caller(&known.caller.id).map_err(No::Crowded)?;
            let mut response = match (known.asked.verb, known.asked.target.media.serves()) {
                (Verb::Delete, _) => again(|| self.delete(&known)).await?,
                (_, Serves::Page { .. }) => again(|| self.list(&known)).await?,
                _ => again(|| self.disclose(&known)).await?,
            };
            response.body_mut().hold(place);
            Ok(response)
        };
        let mut response = match answered.await {
            Ok(response) => response,
            Err(no) => self.refuse(no, peer, form).await,
        };
        cors.mark(cors.origin(&parts.headers), response.headers_mut());
        response
    }

    async fn disclose(&self, known: &Admitted) -> Result<Response<ReplyBody>, No> {
        let media = known.asked.target.media;
        let facts = self.gather(known, media, None).await?;
        let lock = self.unlock(known, media, &facts)?;
        let question = known.question(media, Arc::clone(&facts), &lock, &self.gate.clock);
        let permit = self.decide(known, media, facts, &lock)?;
        self.place(known, media).await?;
        crash::at("decided");
        let (intent, pledge) = self.record(known, permit)?;
        // The entry travels to the disk while the upstream is asked. What upstream answers stays
        // sealed until the entry is durable; if it cannot be made so, the answer is thrown away.
        let ticket = self.tickets(known);
        let wanted = known.wanted(&ticket, &lock);
        let fetched = async { Ok(self.upstream.ask(&known.site, &intent, &wanted).await) };
        let (sealed, receipt) = tokio::try_join!(fetched, pledge.durable()).map_err(No::Ledger)?;
        let (disclosure, answer) = sealed.open(receipt);
        let revoked = self.gate.revoked(question, None);
        Ok(respond::disclose(disclosure, answer, known.form, Some(revoked)))
    }

    /// Deletes at Twilio. Here the entry is durable before Twilio is asked.
    async fn delete(&self, known: &Admitted) -> Result<Response<ReplyBody>, No> {
        let media = known.asked.target.media;
        let facts = self.gather(known, media, None).await?;
        let permit = self.decide(known, media, facts, &PLAIN)?;
        self.place(known, media).await?;
        let (intent, pledge) = self.record(known, permit)?;
        let receipt = pledge.durable().await.map_err(No::Ledger)?;
        let deleted = self.upstream.delete(&known.site, &intent, receipt).await;
        if let Some(subject) = media.subject() {
            self.gate.facts.forget(subject).await;
            self.gate.facts.forget(subject.even_deleted()).await;
        }
        if let Some(own) = media.own_description() {
            self.gate.facts.displace(&own).await;
        }
        Ok(respond::disclose(deleted.0, deleted.1, known.form, None))
    }

    async fn identify(
        &self,
        parts: &Parts,
        has_body: bool,
        peer: &Peer,
        form: CallerForm,
    ) -> Result<Admitted, No> {
        let mut asked = Asked::read(parts, has_body, &self.gate.rules).map_err(No::Bad)?;
        let Gate { identity, accounts, tickets, clock, .. } = &*self.gate;
        let Target { media, account, ticket, .. } = &mut asked.target;
        let (caller, of_client) = match ticket.take() {
            Some(ticket) => {
                // Where the path names no account, the ticket was made for one of ours.
                let one = account.map(|account| vec![account]);
                let of = one.unwrap_or_else(|| accounts.all());
                let opened = of.into_iter().find_map(|account| {
                    media.account = account;
                    tickets.open(&ticket, media, clock.now()).ok()
                });
                match opened {
                    Some(caller) => (caller, Some(media.account)),
                    None => return Err(No::Stranger(Stranger::Ticket, Box::new(asked))),
                }
            }
            None if self.gate.flex.is_some()
                && media.serves() == Serves::OwnLink
                && flex_token(&parts.headers).is_some() =>
            {
                match self.ask_flex(parts, &asked.host).await {
                    Ok((caller, account)) => (caller, Some(account)),
                    Err(stranger) => return Err(No::Stranger(stranger, Box::new(asked))),
                }
            }
            None => {
                let certificate = peer.certificate.as_deref();
                let known = match identity.identify(&parts.headers, certificate).await {
                    Ok(known) => known,
                    Err(stranger) => return Err(No::Stranger(stranger, Box::new(asked))),
                };
                if let Err(why) = identity.admit(&known, asked.purpose.as_ref()) {
                    return Err(No::Unadmitted(why, known.caller, Box::new(asked)));
                }
                let of_client = known.account();
                (known.caller, of_client)
            }
        };
        match accounts.find(&asked.host, *account, of_client) {
            Ok(site) => {
                // A path without an account means the site's.
                if account.is_none() {
                    media.account = of_client.unwrap_or(site.account());
                }
                Ok(Admitted { caller, site, asked, address: peer.address.ip(), form })
            }
            Err(no) => {
                let names_itself = account.is_some_and(|sid| caller.id == format!("client|{sid}"));
                let no = if names_itself { NoSite::OfClient } else { no };
                Err(No::Site(no, caller, Box::new(asked)))
            }
        }
    }

    /// Who bears a Flex token: Twilio is asked.
    async fn ask_flex(
        &self,
        parts: &Parts,
        host: &str,
    ) -> Result<(Arc<Caller>, AccountSid), Stranger> {
        let Gate { accounts, flex, clock, .. } = &*self.gate;
        let site = accounts.find(host, None, None).map_err(|_| Stranger::Flex)?;
        let (Some(settings), Some(token)) = (flex, flex_token(&parts.headers)) else {
            return Err(Stranger::Flex);
        };
        match self.upstream.validate_flex(&site, &token).await {
            Ok(answer) => Ok((flex_caller(&answer, settings, clock.now())?, site.account())),
            Err(error) => {
                tracing::warn!(%error, "a Flex token could not be validated");
                Err(Stranger::FlexUnavailable)
            }
        }
    }

    /// The facts about a thing; `json` is what has been read of it already.
    async fn gather(
        &self,
        known: &Admitted,
        media: MediaRef,
        json: Option<(MetadataRef, Bytes)>,
    ) -> Result<Arc<Facts>, No> {
        let wrong = |error| {
            let asked = known.asked_for(media);
            No::Facts(error, Arc::clone(&known.caller), Box::new(asked))
        };
        let subject = media.subject().ok_or_else(|| wrong(FactsError::NoSuchRecording))?;
        let shows_deleted = known.asked.shows_deleted() && json.is_none();
        let subject = if shows_deleted { subject.even_deleted() } else { subject };
        let source = Metadata { upstream: &self.upstream, site: &known.site, known: json };
        let policies = self.gate.policies.now();
        let (artefact, purpose) = (media.row().artefact, known.purpose());
        let sources = (&source, &self.gate.ledger);
        let gathered =
            self.gate.facts.gather(subject, artefact, purpose, &policies.reading(), sources).await;
        let facts = gathered.map_err(wrong)?;
        // The call, conference or room in a path is not believed: the facts say the same, or there
        // is no such thing.
        match media.scope().is_some_and(|scope| !facts.is_of(scope)) {
            true => Err(wrong(FactsError::NoSuchRecording)),
            false => Ok(facts),
        }
    }

    /// What facts do not speak of, since it only hangs on their subject by its path, is asked whether
    /// it does. A description that is told is looked at when it comes.
    async fn place(&self, known: &Admitted, media: MediaRef) -> Result<(), No> {
        let Asked { verb, .. } = &known.asked;
        let looks_at_itself = media.serves() == Serves::Resource && *verb != Verb::Delete;
        let Some(own) = media.own_description().filter(|_| !looks_at_itself) else {
            return Ok(());
        };
        let source = Metadata { upstream: &self.upstream, site: &known.site, known: None };
        self.gate.facts.place(own, &source).await.map_err(|error| {
            let asked = known.asked_for(media);
            No::Facts(error, Arc::clone(&known.caller), Box::new(asked))
        })
    }

    /// Whether a recording is decrypted: not if no key that is held opens it, and then that is a
    /// circumstance of the decision.
    fn unlock(&self, known: &Admitted, media: MediaRef, facts: &Arc<Facts>) -> Result<Lock, No> {
        let details = facts
            .encryption
            .as_deref()
            .filter(|_| matches!(media.serves(), Serves::Wav | Serves::OwnLink));
        if let Some(details) = details {
            return match known.site.content_key(details) {
                Ok(Some(opening)) => Ok(Lock::Key(opening)),
                Ok(None) => Ok(Lock::Closed),
                Err(problem) => {
                    let asked = Box::new(known.asked_for(media));
                    let error = FactsError::Sealed(problem);
                    Err(No::Facts(error, Arc::clone(&known.caller), asked))
                }
            };
        }
        if media.is_encrypted_form() {
            return Ok(Lock::Closed);
        }
        // Of a video nobody knows before it comes; so it is asked now whether its ciphertext may.
        let is_video = media.serves() == Serves::File && media.row().artefact == Artefact::Video;
        let or_sealed = is_video && {
            let question =
                known.question(media, Arc::clone(facts), &Lock::Closed, &self.gate.clock);
            self.gate.policies.now().judge(&question).1.is_ok()
        };
        Ok(Lock::Open { or_sealed })
    }

    fn decide(
        &self,
        known: &Admitted,
        media: MediaRef,
        facts: Arc<Facts>,
        lock: &Lock,
    ) -> Result<Permit, No> {
        let question = known.question(media, facts, lock, &self.gate.clock);
        match self.gate.policies.now().decide(question) {
            Verdict::Permit(permit) => Ok(permit),
            Verdict::Refuse(refusal) => {
                self.raise(&refusal);
                Err(No::Refused(Box::new(refusal), Box::new(known.asked_for(media))))
            }
        }
    }

    /// A card that may have been recorded is more than a refusal: somebody has to look at it.
    fn raise(&self, refusal: &Refusal) {
        if refusal.decision.citations.iter().any(|cited| cited.policy == CARD) {
            self.gate.exposed_cards.inc();
            let recording = refusal.question.facts.recording;
            tracing::warn!(%recording, "a payment card may have been recorded: no pause is known");
        }
    }

    fn record(&self, known: &Admitted, permit: Permit) -> Result<(Intent, Pledge), No> {
        self.gate.ledger.intend(permit, &ask(&known.asked, known.address)).map_err(No::Ledger)
    }

    /// Makes tickets for this caller and purpose.
    fn tickets<'a>(&'a self, known: &'a Admitted) -> impl Fn(&MediaRef) -> String + 'a {
        let now = self.gate.clock.now();
        move |media| self.gate.tickets.make(&known.caller, media, known.purpose(), now)
    }

    /// Records a refusal, if it is one to be recorded, and answers it.
    async fn refuse(&self, no: No, peer: &Peer, form: CallerForm) -> Response<ReplyBody> {
        let (problem, record) = self.explain(no);
        let record = record.map(|(refused, asked)| (refused, ask(&asked, peer.address.ip())));
        let (problem, entry) = self.put_refusal(problem, record).await;
        problem.into_response(form, entry)
    }

    /// Records a refusal, if it is one to be recorded: what to answer, and the entry to name.
    async fn put_refusal(
        &self,
        problem: Problem,
        record: Option<(Refused, Ask)>,
    ) -> (Problem, Option<EntryId>) {
        let (problem, entry) = match record {
            Some((refused, ask)) => match self.gate.ledger.refuse(&refused, &ask).await {
                Ok(entry) => (problem, Some(entry)),
                Err(error) => {
                    tracing::error!(%error, "a refusal could not be recorded");
                    (Problem::ledger(), None)
                }
            },
            None => (problem, None),
        };
        self.gate.metrics.refused(problem.reason());
        tracing::debug!(status = problem.status(), reason = problem.reason(), "refused");
        (problem, entry)
    }

    fn explain(&self, no: No) -> (Problem, Option<(Refused, Box<Asked>)>) {
        let bare = |asked: &Asked, caller, reason| Refused {
            caller,
            action: asked.action(&asked.target.media),
            media: Some(asked.target.media),
            share: None,
            purpose: asked.purpose.clone(),
            stated: Stated {
                circumstances: asked.circumstances(&asked.target.media),
                ..Stated::default()
            },
            facts: None,
            decision: None,
            reason,
            detail: None,
            at: self.gate.clock.now(),
        };
        match no {
            No::Bad(bad) => (Problem::bad_request(&bad), None),
            No::Crowded(crowded) => (Problem::crowded(&crowded), None),
            No::Ledger(error) => {
                tracing::error!(%error, "nothing is disclosed without an entry");
                (Problem::ledger(), None)
            }
            No::Stranger(stranger, asked) => {
                let mut refused = bare(&asked, None, "stranger");
                refused.detail = Some(stranger.to_string());
                let record = self.gate.ledger.has_room_for_stranger().then_some((refused, asked));
                (Problem::stranger(stranger, self.gate.identity.has_clients()), record)
            }
            No::Unadmitted(why, caller, asked) => {
                // Too many requests are no entry, like bad requests: nothing was looked at, and
                // a client in a loop must not fill the ledger. They are counted.
                let record = (why == Unadmitted::Purpose)
                    .then(|| (bare(&asked, Some(caller), "purpose-not-of-client"), asked));
                (Problem::unadmitted(why), record)
            }
            No::Site(no, caller, asked) => {
                let refused = bare(&asked, Some(caller), "unknown-account");
                (Problem::no_site(no), Some((refused, asked)))
            }
            No::Upstream(error) => {
                tracing::warn!(%error, "upstream gave no page of a list");
                (Problem::upstream(&error), None)
            }
            No::Facts(error, caller, asked) => {
                let mut refused = bare(&asked, Some(caller), "undecidable");
                refused.decision = Some(self.gate.policies.now().undecided());
                refused.detail = Some(error.to_string());
                (Problem::facts(&error), Some((refused, asked)))
            }
            No::Refused(refusal, asked) => {
                let problem = Problem::refusal(&refusal);
                let Refusal { question, decision, reason, .. } = *refusal;
                let detail = match &reason {
                    Reason::Undecidable(why) => Some(why.to_string()),
                    _ => None,
                };
                let refused = Refused {
                    caller: Some(question.caller),
                    action: question.action,
                    media: Some(question.media),
                    share: None,
                    purpose: question.purpose,
                    stated: question.stated,
                    facts: Some(question.facts),
                    decision: Some(decision),
                    reason: reason.code(),
                    detail,
                    at: question.now,
                };
                (problem, Some((refused, asked)))
            }
        }
    }
}

impl Admitted {
    /// Why: what the request says, else what the caller's proof does.
    fn purpose(&self) -> Option<&Purpose> {
        let purpose = self.asked.purpose.as_ref().or(self.caller.bound_purpose.as_ref());
        purpose.or(self.caller.default_purpose.as_ref())
    }

    /// The request, as if it had been for this one thing.
    fn asked_for(&self, media: MediaRef) -> Asked {
        let mut asked = self.asked.clone();
        asked.target.media = media;
        asked
    }

    fn question(&self, media: MediaRef, facts: Arc<Facts>, lock: &Lock, clock: &Clock) -> Question {
        let mut circumstances = self.asked.circumstances(&media);
        circumstances.extend(matches!(lock, Lock::Closed).then_some(Circumstance::StillEncrypted));
        Question {
            caller: Arc::clone(&self.caller),
            action: self.asked.action(&media),
            media,
            purpose: self.purpose().cloned(),
            stated: Stated { circumstances, ..Stated::default() },
            facts: Arc::clone(&facts),
            now: clock.now(),
        }
        .knowing(facts)
    }

    fn wanted<'a>(
        &'a self,
        ticket: &'a (dyn Fn(&MediaRef) -> String + Sync),
        lock: &'a Lock,
    ) -> Wanted<'a> {
        let Asked { verb, conditions, origin, target, .. } = &self.asked;
        let own = Own { origin, purpose: target.purpose.as_ref(), ticket };
        let query = &target.query;
        Wanted { outline: verb.outline(), conditions, query, own, lock, portion: None }
    }
}

fn ask(asked: &Asked, address: IpAddr) -> Ask {
    Ask {
        method: asked.verb.as_str(),
        range: asked.conditions.range.map(|range| range.to_string()),
        address,
        agent: asked.agent.clone(),
        reference: asked.reference.clone(),
        reason: asked.reason.clone(),
    }
}
