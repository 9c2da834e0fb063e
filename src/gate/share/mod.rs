//! Shares at the gate: what is asked for at `/shares`, and what happens behind a link.
//!
//! Making one is a decision like any other, whose entry is the share itself (`make.rs`). Behind a
//! link there is a page for browsers (`page.rs`) and sound (`listen.rs`); each sound is decided
//! about again, by its maker's right as it is now, and recorded by an intent of its own.

mod listen;
mod mail;
mod make;
mod page;
mod visit;

pub use mail::MailError;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use jiff::SignedDuration;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::timeout;

use super::{No, Worker, ask};
use crate::asked::BadRequest;
use crate::config;
use crate::facts::Facts;
use crate::identity::{Caller, Peer, Proof};
use crate::ledger::{AppendError, Ask, Refused};
use crate::notice::Circumstance;
use crate::policy::{Action, Question, Stated};
use crate::respond::{CallerForm, Problem};
use crate::share::{Allowed, Keys, Share, ShareId, TokenDigest};
use crate::stream::ReplyBody;
use crate::upstream::Lock;

/// LIMIT: bytes of an order or a form. An order's texts together have fewer.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// LIMIT: how long a body may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// LIMIT: wrong passwords or codes of one share in [`GUESSES_TIME`], at one gate.
const GUESSES_MAX: u32 = 10;

/// For how long wrong ones are counted.
const GUESSES_TIME: Duration = Duration::from_secs(15 * 60);

/// LIMIT: codes that are mailed for one share in [`GUESSES_TIME`], by one gate: a mailbox is not to
/// be flooded by who has a link.
const MAILS_MAX: u32 = 5;

/// LIMIT: passwords that are hashed at once: each takes 19 MB and a while of a processor.
const HASHES_MAX: usize = 2;

/// LIMIT: how often a share is decided about because it changes meanwhile. Each time somebody else
/// has used it, so it ends by itself after as many uses as it has.
const DECISIONS_MAX: u32 = 20_000;

/// What all workers share of shares.
#[derive(Debug)]
pub struct Shares {
    keys: Keys,
    /// The host in links.
    host: String,
    organisation: String,
    allowed: Allowed,
    session: SignedDuration,
    password_outside: bool,
    inside: Vec<String>,
    turns: Turns,
    /// Wrong passwords by share.
    guesses: moka::sync::Cache<ShareId, u32>,
    hashing: Arc<Semaphore>,
    /// Who mails codes, if there is one.
    mailer: Option<mail::Mailer>,
    /// Codes that were mailed lately, by share.
    mailed: moka::sync::Cache<ShareId, u32>,
}

impl Shares {
    /// As configured, under a secret that all gates of the ledger have.
    ///
    /// # Errors
    /// [`MailError`] if the mail server's settings cannot be used.
    pub fn new(
        secret: &[u8; 32],
        settings: &config::Shares,
        host: &str,
        certificates: bool,
    ) -> Result<Self, MailError> {
        let seconds = |seconds: u64| SignedDuration::from_secs(seconds.try_into().unwrap_or(0));
        let uses_max = u32::try_from(settings.uses_max.get()).unwrap_or(1);
        let organisation = settings.organisation.clone().unwrap_or_else(|| host.to_owned());
        let mailer = settings.mail.as_ref().map(|mail| mail::Mailer::new(mail, &organisation));
        Ok(Self {
            keys: Keys::new(secret),
            host: host.to_owned(),
            organisation,
            allowed: Allowed {
                life_max: seconds(settings.life_max_seconds.duration().as_secs()),
                uses_max,
                certificates,
                mail: settings.mail.is_some(),
            },
            session: seconds(settings.session_minutes.get().saturating_mul(60)),
            password_outside: settings.password_outside,
            inside: settings.inside.clone(),
            turns: Turns::default(),
            guesses: moka::sync::Cache::builder()
                .max_capacity(100_000)
                .time_to_live(GUESSES_TIME)
                .build(),
            hashing: Arc::new(Semaphore::new(HASHES_MAX)),
            mailer: mailer.transpose()?,
            mailed: moka::sync::Cache::builder()
                .max_capacity(100_000)
                .time_to_live(GUESSES_TIME)
                .build(),
        })
    }

    /// Counts a code that is about to be mailed; seconds to wait if there were too many.
    fn count_mail(&self, share: ShareId) -> Result<(), u32> {
        let mailed = self.mailed.entry(share).and_upsert_with(one_more).into_value();
        match mailed > MAILS_MAX {
            true => Err(u32::try_from(GUESSES_TIME.as_secs()).unwrap_or(u32::MAX)),
            false => Ok(()),
        }
    }

    /// Whose recordings they are, as it stands on pages for others.
    #[must_use]
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// `https://` and the host in links, with the port by which it was asked under that name.
    fn origin(&self, asked: &str) -> String {
        let is_same =
            asked.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(&self.host));
        format!("https://{}", if is_same { asked } else { &self.host })
    }

    /// Seconds to wait if too many wrong passwords were given.
    fn guesses_over(&self, share: ShareId) -> Option<u32> {
        let over = self.guesses.get(&share).is_some_and(|guesses| guesses >= GUESSES_MAX);
        over.then(|| u32::try_from(GUESSES_TIME.as_secs()).unwrap_or(u32::MAX))
    }

    fn count_guess(&self, share: ShareId) {
        self.guesses.entry(share).and_upsert_with(one_more);
    }
}

fn one_more(entry: Option<moka::Entry<ShareId, u32>>) -> u32 {
    entry.map_or(1, |entry| entry.into_value() + 1)
}

/// Who begins a listening session with a share, one after the other at this gate: they would only
/// turn each other away.
#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<TokenDigest, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    async fn wait(&self, token: &TokenDigest) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody waits for are held by this list alone.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(token.clone()).or_default())
        };
        turn.lock_owned().await
    }
}

/// Why there is no share, or nothing behind a link.
enum Not {
    /// As for any other request.
    No(Box<(No, About)>),
    /// The answer is known, and perhaps recorded.
    Problem(Box<(Problem, Option<(Refused, Ask)>)>),
}

impl Not {
    fn no(no: No, about: About) -> Self {
        Self::No(Box::new((no, about)))
    }

    fn problem(problem: Problem, record: Option<(Refused, Ask)>) -> Self {
        Self::Problem(Box::new((problem, record)))
    }

    /// True if it was decided without knowing of what was said meanwhile.
    fn is_stale(&self) -> bool {
        match self {
            Self::No(no) => matches!(no.0, No::Ledger(AppendError::Stale)),
            Self::Problem(_) => false,
        }
    }
}

/// What a refusal is about, beyond what the request says.
#[derive(Default)]
struct About {
    share: Option<ShareId>,
    stated: Option<Stated>,
}

impl From<BadRequest> for Not {
    fn from(bad: BadRequest) -> Self {
        Self::no(No::Bad(bad), About::default())
    }
}

/// Whether a path is about shares.
pub(super) fn is_for_shares(path: &str) -> bool {
    path == "/shares" || path.starts_with("/shares/") || path.starts_with("/s/")
}

impl Worker {
    /// Answers a request about shares, or behind a link.
    pub(super) async fn shares<B>(
        &self,
        parts: &Parts,
        body: B,
        peer: &Peer,
        form: CallerForm,
    ) -> Response<ReplyBody>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let cors = &self.gate.cors;
        if parts.uri.path().starts_with("/s/") {
            return self.visit(parts, body, peer, form).await;
        }
        let mut response = match self.at_shares(parts, body, peer).await {
            Ok(response) => response,
            Err(not) => {
                let (problem, record) = self.explain_not(not, "POST", peer.address.ip());
                let (problem, entry) = self.put_refusal(problem, record).await;
                problem.into_response(form, entry)
            }
        };
        cors.mark(cors.origin(&parts.headers), response.headers_mut());
        response
    }

    /// What to answer, and what to record.
    fn explain_not(
        &self,
        not: Not,
        method: &'static str,
        address: IpAddr,
    ) -> (Problem, Option<(Refused, Ask)>) {
        match not {
            Not::Problem(known) => *known,
            Not::No(no) => {
                let (no, about) = *no;
                let (problem, record) = self.explain(no);
                let record = record.map(|(mut refused, asked)| {
                    refused.share = about.share;
                    refused.action = Action::Share;
                    if let Some(stated) = about.stated.filter(|_| refused.facts.is_none()) {
                        refused.stated = stated;
                    }
                    (refused, Ask { method, ..ask(&asked, address) })
                });
                (problem, record)
            }
        }
    }

    /// A question about giving something to others.
    fn share_question(
        &self,
        (caller, stated): (Arc<Caller>, &Stated),
        (media, purpose): (crate::media::MediaRef, Option<&crate::purpose::Purpose>),
        facts: Arc<Facts>,
        lock: &Lock,
    ) -> Question {
        let mut stated = stated.clone();
        // What is of the recording or of this moment is found anew.
        let of_now = [Circumstance::StillEncrypted, Circumstance::HoldParty];
        stated.circumstances.retain(|circumstance| !of_now.contains(circumstance));
        let sealed = matches!(lock, Lock::Closed).then_some(Circumstance::StillEncrypted);
        stated.circumstances.extend(sealed);
        Question {
            caller,
            action: Action::Share,
            media,
            purpose: purpose.cloned(),
            stated,
            facts: Arc::clone(&facts),
            now: self.gate.clock.now(),
        }
        .knowing(facts)
    }

    /// Who holds the link of a share: with its maker's right, as it is now. `None` if the maker has
    /// none any more.
    fn holder(&self, share: &Share) -> Option<Caller> {
        let maker = &share.question.caller;
        Some(Caller {
            id: format!("{}|{}", config::SHARE_ISSUER, share.id),
            roles: self.gate.identity.roles_now(&maker.id, &maker.roles)?,
            on_behalf_of: Some(maker.id.clone()),
            bound_purpose: None,
            default_purpose: None,
            proof: Proof {
                issuer: config::SHARE_ISSUER.to_owned(),
                key_id: None,
                token_id: None,
                expires_at: share.terms.expires_at,
            },
        })
    }

    /// A refusal by a link: of a known share with what it is of, of an unknown one without.
    fn refused_link(
        &self,
        share: Option<&Share>,
        reason: &'static str,
        address: IpAddr,
        (method, agent): (&'static str, Option<String>),
    ) -> Option<(Refused, Ask)> {
        // Who has an old link, or none, must not be able to fill the disk.
        if !self.gate.ledger.has_room_for_stranger() {
            return None;
        }
        let of = share.map(|share| &share.question);
        let refused = Refused {
            caller: share.and_then(|share| self.holder(share)).map(Arc::new),
            action: Action::Share,
            media: of.map(|question| question.media),
            share: share.map(|share| share.id),
            purpose: of.and_then(|question| question.purpose.clone()),
            stated: of.map(|question| question.stated.clone()).unwrap_or_default(),
            facts: None,
            decision: None,
            reason,
            detail: None,
            at: self.gate.clock.now(),
        };
        let ask = Ask { method, range: None, address, agent, reference: None, reason: None };
        Some((refused, ask))
    }
}

/// The body of a request, as far as it may be long.
async fn whole<B>(body: B) -> Result<Bytes, BadRequest>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match timeout(BODY_TIME_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        _ => Err(BadRequest::BodyTooLong),
    }
}
