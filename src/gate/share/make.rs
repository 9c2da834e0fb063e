//! `/shares`: making shares, seeing one's own, ending them.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use http_body::Body;
use serde_json::{Value, json};

use super::super::{Admitted, No, Worker, ask};
use super::{About, DECISIONS_MAX, Not, whole};
use crate::asked::{self, Asked, BadRequest, Verb};
use crate::identity::{Caller, Known, Peer};
use crate::ledger::{AppendError, Ask, EntryId, ShareKey};
use crate::media::{Conditions, Query, Target};
use crate::policy::Verdict;
use crate::respond::{self, CallerForm, ErrorForm, Problem};
use crate::share::{Binding, Code, EndReason, Issue, Order, Share, ShareId, Token, hash};
use crate::stream::ReplyBody;
use crate::upstream::Outline;

const KEY_HEADER: &str = "idempotency-key";

/// LIMIT: bytes of a key.
const KEY_BYTES_MAX: usize = 200;

/// LIMIT: shares of one page of a list.
const PAGE_MAX: usize = 100;

/// A new share, and what is told of it once.
struct Made {
    share: Value,
    place: String,
    entry: Option<EntryId>,
}

impl Worker {
    /// Answers at `/shares` and below.
    pub(super) async fn at_shares<B>(
        &self,
        parts: &Parts,
        body: B,
        peer: &Peer,
    ) -> Result<Response<ReplyBody>, Not>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let host = asked::head(parts, &self.gate.rules)?;
        let id = parts.uri.path().strip_prefix("/shares/");
        let one = id.map(|id| id.parse::<ShareId>().ok());
        match (&parts.method, one) {
            (&Method::POST, None) => {
                let json = whole(body).await?;
                let made = self.make(parts, host, &json, peer).await?;
                Ok(respond::share_json(Some(&made.share), Some(&made.place), made.entry))
            }
            (&Method::GET | &Method::DELETE, _) if !body.is_end_stream() => {
                Err(BadRequest::Body.into())
            }
            (&Method::GET, None) => {
                let maker = self.maker(parts, host, peer).await?;
                self.list_shares(&maker.caller, parts.uri.query()).await
            }
            (&Method::GET, Some(id)) => {
                let maker = self.maker(parts, host, peer).await?;
                let share = self.own_share(&maker.caller, id).await?;
                let told = self.told(&share);
                Ok(respond::share_json(Some(&told), None, None))
            }
            (&Method::DELETE, Some(id)) => {
                let note = asked::reason_header(&parts.headers)?;
                let maker = self.maker(parts, host, peer).await?;
                let share = self.own_share(&maker.caller, id).await?;
                let mut entry = None;
                // Who says it twice has said it.
                if share.end.is_none() {
                    let (by, why) = (&maker.caller.id, EndReason::Revoked);
                    let ended = self.gate.ledger.end_share(&share, by, why, note.as_deref());
                    entry = Some(
                        ended
                            .await
                            .map_err(|error| Not::no(No::Ledger(error), About::default()))?,
                    );
                }
                Ok(respond::share_json(None, None, entry))
            }
            _ => Err(BadRequest::ShareMethod.into()),
        }
    }

    /// Who asks at `/shares`.
    async fn maker(&self, parts: &Parts, host: &str, peer: &Peer) -> Result<Known, Not> {
        self.maker_of(parts, host, peer, None).await
    }

    async fn maker_of(
        &self,
        parts: &Parts,
        host: &str,
        peer: &Peer,
        order: Option<&Order>,
    ) -> Result<Known, Not> {
        let identity = &self.gate.identity;
        let certificate = peer.certificate.as_deref();
        let known = identity.identify(&parts.headers, certificate).await.map_err(|stranger| {
            let problem = Problem::stranger(stranger, identity.has_clients());
            match order {
                // What a stranger wanted to give is known; it is recorded as any stranger's request.
                Some(order) => {
                    let asked = asked_for(parts, host, order);
                    Not::no(No::Stranger(stranger, Box::new(asked)), about(order))
                }
                None => Not::problem(problem, None),
            }
        })?;
        let purpose = order.and_then(|order| order.purpose.as_ref());
        match identity.admit(&known, purpose) {
            Ok(()) => Ok(known),
            Err(why) => Err(match order {
                Some(order) => {
                    let asked = Box::new(asked_for(parts, host, order));
                    Not::no(No::Unadmitted(why, known.caller, asked), about(order))
                }
                None => Not::problem(Problem::unadmitted(why), None),
            }),
        }
    }

    async fn make(&self, parts: &Parts, host: &str, json: &[u8], peer: &Peer) -> Result<Made, Not> {
        let key = key(&parts.headers)?;
        let (shares, now) = (&self.gate.shares, self.gate.clock.now());
        let mut order = Order::read(json, &shares.allowed, now).map_err(BadRequest::Order)?;
        let in_header = asked::purpose_header(&parts.headers)?;
        match (&order.purpose, in_header) {
            (Some(a), Some(b)) if *a != b => return Err(BadRequest::Purpose.into()),
            (None, Some(purpose)) => order.purpose = Some(purpose),
            _ => {}
        }
        let maker = self.maker_of(parts, host, peer, Some(&order)).await?;
        let admitted = self.admitted(parts, host, &order, maker, peer.address.ip())?;
        let token = match &key {
            Some(key) => shares.keys.again(&admitted.caller.id, key),
            None => Token::random(),
        };
        let no_randomness = || Not::no(No::Ledger(AppendError::NoRandomness), About::default());
        let token = token.ok_or_else(no_randomness)?;
        let code = match order.binding {
            Binding::Code => Some(Code::random().ok_or_else(no_randomness)?),
            _ => None,
        };
        let secret = code.as_ref().map(Code::secret).or_else(|| order.password.clone());
        let recipient = order.stated.recipient.as_deref().unwrap_or_default();
        let is_inside = shares.inside.iter().any(|inside| inside == recipient);
        let is_protected = secret.is_some() || order.binding == Binding::Email;
        if shares.password_outside && !is_inside && !is_protected {
            let record = self.refused_order(&admitted, &order, "share-unprotected");
            return Err(Not::problem(Problem::share_unprotected(), Some(record)));
        }
        let secret = match secret {
            None => None,
            Some(secret) => {
                let hashed = self.hashed(move || hash(&secret)).await.flatten();
                Some(hashed.ok_or_else(no_randomness)?)
            }
        };
        let origin = shares.origin(host);
        let issue = order.issue(&token, secret, key.is_some(), now);
        for _ in 0..DECISIONS_MAX {
            let found = self.gate.ledger.shares(ShareKey::Link(&issue.terms.token)).await;
            let (found, seen) = found.map_err(|error| {
                let (asked, caller) =
                    (admitted.asked_for(order.media), Arc::clone(&admitted.caller));
                Not::no(No::Facts(error, caller, Box::new(asked)), about(&order))
            })?;
            if let Some(share) = found.first() {
                return self.made_before(share, &order, (&origin, &token));
            }
            match self.put_on_record(&admitted, &order, &issue, seen).await {
                Ok(entry) => {
                    let share = self.own_share(&admitted.caller, Some(issue.id)).await?;
                    let mut made = self.made(&share, (&origin, &token), Some(entry));
                    if let (Some(code), Some(told)) = (&code, made.share.as_object_mut()) {
                        told.insert("code".to_owned(), code.text().into());
                    }
                    return Ok(made);
                }
                Err(not) if not.is_stale() => {}
                Err(not) => return Err(not),
            }
        }
        Err(Not::problem(Problem::share_contended(), None))
    }

    /// Somebody known asks to share something of an account that is served.
    fn admitted(
        &self,
        parts: &Parts,
        host: &str,
        order: &Order,
        known: Known,
        address: IpAddr,
    ) -> Result<Admitted, Not> {
        let mut asked = asked_for(parts, host, order);
        let of_client = known.account();
        let caller = known.caller;
        match self.gate.accounts.find(&asked.host, order.account, of_client) {
            Ok(site) => {
                if order.account.is_none() {
                    asked.target.media.account = of_client.unwrap_or(site.account());
                }
                let form = CallerForm {
                    errors: ErrorForm::Json,
                    outline: Outline::Whole,
                    version: parts.version,
                };
                Ok(Admitted { caller, site, asked, address, form })
            }
            Err(no) => Err(Not::no(No::Site(no, caller, Box::new(asked)), about(order))),
        }
    }

    async fn put_on_record(
        &self,
        known: &Admitted,
        order: &Order,
        issue: &Issue,
        seen: u64,
    ) -> Result<EntryId, Not> {
        let media = known.asked.target.media;
        let no = |no| Not::no(no, about(order));
        let facts = self.gather(known, media, None).await.map_err(no)?;
        order.check(&facts).map_err(BadRequest::Order)?;
        let lock = self.unlock(known, media, &facts).map_err(no)?;
        let who = (Arc::clone(&known.caller), &order.stated);
        let question = self.share_question(who, (media, known.purpose()), facts, &lock);
        let permit = match self.gate.policies.now().decide(question) {
            Verdict::Permit(permit) => permit,
            Verdict::Refuse(refusal) => {
                let asked = Box::new(known.asked_for(media));
                return Err(no(No::Refused(Box::new(refusal), asked)));
            }
        };
        let ask = asking(known);
        let recorded = self.gate.ledger.share(permit, &ask, issue, seen).await;
        recorded.map_err(|error| no(No::Ledger(error)))
    }

    fn refused_order(
        &self,
        known: &Admitted,
        order: &Order,
        reason: &'static str,
    ) -> (crate::ledger::Refused, Ask) {
        let refused = crate::ledger::Refused {
            caller: Some(Arc::clone(&known.caller)),
            action: crate::policy::Action::Share,
            media: Some(known.asked.target.media),
            share: None,
            purpose: known.purpose().cloned(),
            stated: order.stated.clone(),
            facts: None,
            decision: None,
            reason,
            detail: None,
            at: self.gate.clock.now(),
        };
        (refused, asking(known))
    }

    /// The same order again gets the same share.
    fn made_before(&self, share: &Share, order: &Order, link: (&str, &Token)) -> Result<Made, Not> {
        let same = share.private.as_ref().and_then(|private| private.request.as_deref());
        if same != Some(&order.fingerprint) {
            return Err(Not::problem(Problem::share_other_order(), None));
        }
        Ok(self.made(share, link, None))
    }

    fn made(&self, share: &Share, (origin, token): (&str, &Token), entry: Option<EntryId>) -> Made {
        let mut told = self.told(share);
        if let Some(told) = told.as_object_mut() {
            let url = format!("{origin}/s/{}", token.text());
            told.insert("url".to_owned(), url.into());
        }
        Made { share: told, place: format!("/shares/{}", share.id), entry }
    }

    fn told(&self, share: &Share) -> Value {
        share.tell(self.gate.clock.now())
    }

    /// A share of this caller's own; of others nobody learns that they are there.
    async fn own_share(&self, caller: &Caller, id: Option<ShareId>) -> Result<Share, Not> {
        let id = id.ok_or_else(|| Not::problem(Problem::not_found(), None))?;
        let found = self.gate.ledger.shares(ShareKey::Id(id)).await;
        let (found, _) = found.map_err(|error| Not::problem(Problem::facts(&error), None))?;
        let own = found.into_iter().find(|share| share.question.caller.id == caller.id);
        own.ok_or_else(|| Not::problem(Problem::not_found(), None))
    }

    async fn list_shares(
        &self,
        caller: &Caller,
        query: Option<&str>,
    ) -> Result<Response<ReplyBody>, Not> {
        let (mut size, mut after) = (20, None);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "page_size" => {
                    let number = value.parse().ok().filter(|size| (1..=PAGE_MAX).contains(size));
                    size = number.ok_or(BadRequest::Page)?;
                }
                "after" => after = Some(value.parse::<ShareId>().map_err(|_| BadRequest::Page)?),
                _ => return Err(BadRequest::Page.into()),
            }
        }
        let found = self.gate.ledger.shares(ShareKey::Maker(&caller.id)).await;
        let (found, _) = found.map_err(|error| Not::problem(Problem::facts(&error), None))?;
        let from = match after {
            None => 0,
            Some(after) => {
                let place = found.iter().position(|share| share.id == after);
                place.ok_or(BadRequest::Page)? + 1
            }
        };
        let mut rest = found.iter().skip(from);
        let page: Vec<&Share> = rest.by_ref().take(size).collect();
        let next = rest
            .next()
            .and(page.last())
            .map(|last| format!("/shares?page_size={size}&after={}", last.id));
        let shares: Vec<Value> = page.iter().map(|share| self.told(share)).collect();
        let list = json!({ "shares": shares, "next": next });
        Ok(respond::share_json(Some(&list), None, None))
    }

    /// Hashes on a thread that may wait, a few at once.
    pub(super) async fn hashed<T: Send + 'static>(
        &self,
        hash: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _place = Arc::clone(&self.gate.shares.hashing).acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(hash).await.ok()
    }
}

/// A request for shares, as one for what is shared.
fn asked_for(parts: &Parts, host: &str, order: &Order) -> Asked {
    let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    Asked {
        target: Target {
            media: order.media,
            account: order.account,
            query: Query::default(),
            purpose: None,
            ticket: None,
        },
        purpose: order.purpose.clone(),
        verb: Verb::Get,
        conditions: Conditions::default(),
        host: host.split(':').next().unwrap_or_default().to_ascii_lowercase(),
        origin: format!("https://{host}"),
        agent: agent.map(str::to_owned),
        reference: order.reference.clone(),
        reason: order.reason.clone(),
    }
}

fn about(order: &Order) -> About {
    About { share: None, stated: Some(order.stated.clone()) }
}

fn asking(known: &Admitted) -> Ask {
    Ask { method: "POST", ..ask(&known.asked, known.address) }
}

/// The key by which an order that is sent again is known.
fn key(headers: &HeaderMap) -> Result<Option<String>, BadRequest> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| BadRequest::Key)?;
            let fits = (1..=KEY_BYTES_MAX).contains(&text.len()) && !text.contains('\t');
            fits.then(|| Some(text.to_owned())).ok_or(BadRequest::Key)
        }
        _ => Err(BadRequest::Key),
    }
}
