//! The life of one request.
//!
//! Read `Worker::disclose` first: it is the whole product in one column. Every step takes what
//! the step before it made, and from the permit on by value, so that none can be left out. All
//! branching of a request is here; rooms return values and do not call the next room.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;

use crate::asked::{Asked, BadRequest, Rules};
use crate::clock::Clock;
use crate::crash;
use crate::facts::{FactStore, Facts, FactsError};
use crate::identity::{Caller, Identity, Stranger};
use crate::ledger::{AppendError, Ask, Ledger, Refused};
use crate::policy::{Action, Permit, Question, Reason, Refusal, Stated, Verdict};
use crate::reload::InForce;
use crate::respond::{self, CallerForm, Problem};
use crate::stream::ReplyBody;
use crate::upstream::{Accounts, Outline, Upstream};

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
}

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
    UnknownAccount(Arc<Caller>, Box<Asked>),
    Facts(FactsError, Arc<Caller>, Box<Asked>),
    Refused(Box<Refusal>, Box<Asked>),
    Ledger(AppendError),
}

impl Worker {
    /// Answers one request. Whatever happens, there is an answer in the gate's own words.
    pub async fn answer<B: Body>(
        &self,
        request: Request<B>,
        peer: SocketAddr,
    ) -> Response<ReplyBody> {
        let (parts, body) = request.into_parts();
        let form = CallerForm::of(&parts);
        let has_body = !body.is_end_stream();
        drop(body);
        match self.disclose(&parts, has_body, peer, form).await {
            Ok(response) => response,
            Err(no) => self.refuse(no, peer, form).await,
        }
    }

    async fn disclose(
        &self,
        parts: &Parts,
        has_body: bool,
        peer: SocketAddr,
        form: CallerForm,
    ) -> Result<Response<ReplyBody>, No> {
        let asked = Asked::read(parts, has_body, &self.gate.rules).map_err(No::Bad)?;
        let (caller, asked) = self.identify(parts, asked).await?;
        let (facts, asked) = self.gather(&caller, asked).await?;
        let permit = self.decide(caller, facts, &asked)?;
        crash::at("decided");
        let ask = ask(&asked, peer);
        let (intent, pledge) = self.gate.ledger.intend(permit, &ask).map_err(No::Ledger)?;
        // The entry travels to the disk while the upstream is asked. What upstream answers stays
        // sealed until the entry is durable; if it cannot be made so, the answer is thrown away.
        let Asked { outline, conditions, origin, .. } = &asked;
        let fetched = async { Ok(self.upstream.ask(&intent, *outline, conditions, origin).await) };
        let (sealed, receipt) = tokio::try_join!(fetched, pledge.durable()).map_err(No::Ledger)?;
        let (disclosure, answer) = sealed.open(receipt);
        Ok(respond::disclose(disclosure, answer, form))
    }

    async fn identify(&self, parts: &Parts, asked: Asked) -> Result<(Arc<Caller>, Asked), No> {
        let identified = self.gate.identity.identify(&parts.headers).await;
        match identified {
            Ok(caller) if self.gate.accounts.has(asked.target.media.account) => Ok((caller, asked)),
            Ok(caller) => Err(No::UnknownAccount(caller, Box::new(asked))),
            Err(stranger) => Err(No::Stranger(stranger, Box::new(asked))),
        }
    }

    async fn gather(&self, caller: &Arc<Caller>, asked: Asked) -> Result<(Arc<Facts>, Asked), No> {
        let media = asked.target.media;
        let facts = self.gate.facts.gather(media.account, media.recording, &self.upstream).await;
        match facts {
            Ok(facts) => Ok((facts, asked)),
            Err(error) => Err(No::Facts(error, Arc::clone(caller), Box::new(asked))),
        }
    }

    fn decide(&self, caller: Arc<Caller>, facts: Arc<Facts>, asked: &Asked) -> Result<Permit, No> {
        let media = asked.target.media;
        let purpose = asked.purpose.as_ref().or(caller.bound_purpose.as_ref());
        let purpose = purpose.or(caller.default_purpose.as_ref()).cloned();
        let now = self.gate.clock.now();
        let action = Action::on(&media);
        let stated = Stated { circumstances: asked.circumstances(), ..Stated::default() };
        let question = Question { caller, action, media, purpose, stated, facts, now };
        match self.gate.policies.now().decide(question) {
            Verdict::Permit(permit) => Ok(permit),
            Verdict::Refuse(refusal) => {
                Err(No::Refused(Box::new(refusal), Box::new(asked.clone())))
            }
        }
    }

    /// Records a refusal, if it is one to be recorded, and answers it.
    async fn refuse(&self, no: No, peer: SocketAddr, form: CallerForm) -> Response<ReplyBody> {
        let (problem, record) = self.explain(no);
        let ledger = &self.gate.ledger;
        let (problem, entry) = match record {
            Some((refused, asked)) => match ledger.refuse(&refused, &ask(&asked, peer)).await {
                Ok(entry) => (problem, Some(entry)),
                Err(error) => {
                    tracing::error!(%error, "a refusal could not be recorded");
                    (Problem::ledger(), None)
                }
            },
            None => (problem, None),
        };
        tracing::debug!(status = problem.status(), "refused");
        problem.into_response(form, entry)
    }

    fn explain(&self, no: No) -> (Problem, Option<(Refused, Box<Asked>)>) {
        let bare = |asked: &Asked, caller, reason| Refused {
            caller,
            action: Action::on(&asked.target.media),
            media: asked.target.media,
            purpose: asked.purpose.clone(),
            stated: Stated { circumstances: asked.circumstances(), ..Stated::default() },
            facts: None,
            decision: None,
            reason,
            detail: None,
            at: self.gate.clock.now(),
        };
        match no {
            No::Bad(bad) => (Problem::bad_request(&bad), None),
            No::Ledger(error) => {
                tracing::error!(%error, "nothing is disclosed without an entry");
                (Problem::ledger(), None)
            }
            No::Stranger(stranger, asked) => {
                let mut refused = bare(&asked, None, "stranger");
                refused.detail = Some(stranger.to_string());
                let record = self.gate.ledger.has_room_for_stranger().then_some((refused, asked));
                (Problem::stranger(stranger), record)
            }
            No::UnknownAccount(caller, asked) => {
                let refused = bare(&asked, Some(caller), "unknown-account");
                (Problem::not_found(), Some((refused, asked)))
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
                    media: question.media,
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

fn ask(asked: &Asked, peer: SocketAddr) -> Ask {
    Ask {
        method: match asked.outline {
            Outline::Whole => "GET",
            Outline::HeadOnly => "HEAD",
        },
        range: asked.conditions.range.map(|range| range.to_string()),
        address: peer.ip(),
        agent: asked.agent.clone(),
        reference: asked.reference.clone(),
        reason: asked.reason.clone(),
    }
}
