//! The page behind a link, and the password or code that it asks for.

use std::sync::Arc;

use http::Response;

use super::super::{Admitted, No, Worker};
use super::visit::Visit;
use super::{About, Not};
use crate::facts::{Facts, FactsError};
use crate::identity::Caller;
use crate::policy::{Decision, Ground, Reason, Refusal, Undecidable, Verdict};
use crate::respond::{Problem, SharePage, share_page};
use crate::share::{
    Binding, Page, Pass, SecretText, Share, Stopped, Told, Tried, masked, page, verify,
};
use crate::stream::ReplyBody;

/// Who visits, by what a browser showed.
pub(super) struct Visitor {
    /// The browser's id, if it has one.
    pub(super) browser: Option<String>,
    /// The name of its listening sessions.
    pub(super) session: String,
}

impl Worker {
    /// Who visits a share.
    pub(super) fn visitor(&self, visit: &Visit<'_>, share: &Share) -> Visitor {
        let keys = &self.gate.shares.keys;
        let cookie = visit.cookie(&listening_cookie(share));
        let browser = cookie.and_then(|cookie| keys.read_browser(share.id, cookie));
        let session = keys.session(share.id, &visit.client(browser));
        Visitor { browser: browser.map(str::to_owned), session }
    }

    /// Whether this visitor has shown the password or code, or need not.
    pub(super) async fn has_passed(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        visitor: &Visitor,
    ) -> Result<bool, Not> {
        if !share.asks_secret(&visitor.session) {
            return Ok(true);
        }
        let Some(stored) = share.secret().map(str::to_owned) else { return Ok(false) };
        if let (Some(browser), Some(cookie)) = (&visitor.browser, visit.cookie(&pass_cookie(share)))
        {
            let (keys, now) = (&self.gate.shares.keys, self.gate.clock.now());
            let name = share.id.to_string();
            let pass = Pass { share: &name, browser, secret: &stored, until: now };
            if keys.has_passed(&pass, cookie, now) {
                return Ok(true);
            }
        }
        match visit.basic() {
            // A code is mailed for a browser.
            _ if share.terms.binding == Binding::Email => Ok(false),
            Some(secret) => self.is_secret(visit, share, stored, secret).await,
            None => Ok(false),
        }
    }

    /// Whether this is the password or code. A wrong one is counted.
    async fn is_secret(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        stored: String,
        secret: SecretText,
    ) -> Result<bool, Not> {
        self.may_guess(visit, share)?;
        let right = self.hashed(move || verify(&stored, &secret)).await.unwrap_or(false);
        if right {
            self.gate.shares.guesses.invalidate(&share.id);
        }
        Ok(right)
    }

    /// Counts a guess before it is looked at, so that many at once are no way around.
    fn may_guess(&self, visit: &Visit<'_>, share: &Share) -> Result<(), Not> {
        let shares = &self.gate.shares;
        if let Some(seconds) = shares.guesses_over(share.id) {
            let record = self.refused_visit(visit, share, "share-guesses");
            return Err(Not::problem(Problem::share_guesses(seconds), record));
        }
        shares.count_guess(share.id);
        Ok(())
    }

    /// Refusals by a link of something that is known.
    pub(super) fn refused_visit(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        reason: &'static str,
    ) -> Option<(crate::ledger::Refused, crate::ledger::Ask)> {
        let how = (visit.method, visit.agent.clone());
        self.refused_link(Some(share), reason, visit.address(), how)
    }

    pub(super) fn stopped(&self, visit: &Visit<'_>, share: &Share, why: Stopped) -> Not {
        let record = self.refused_visit(visit, share, why.as_str());
        Not::problem(Problem::share_stopped(why, None), record)
    }

    /// Whether the share gives this visitor anything at all.
    pub(super) fn check_share(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        visitor: &Visitor,
    ) -> Result<bool, Not> {
        let now = self.gate.clock.now();
        let stopped = |why| self.stopped(visit, share, why);
        share.state(now).map_err(stopped)?;
        let certificate = visit.peer.certificate.as_deref();
        share.binds(&visitor.session, (visit.address(), certificate), now).map_err(stopped)?;
        let in_session = share.is_in_session(&visitor.session, now, self.gate.shares.session);
        match in_session || share.uses_left() > 0 {
            true => Ok(in_session),
            false => Err(stopped(Stopped::UsedUp)),
        }
    }

    /// Takes the password or code of a form, and lets the browser on.
    pub(super) async fn take_secret(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        secret: Option<SecretText>,
    ) -> Result<Response<ReplyBody>, Not> {
        let visitor = self.visitor(visit, share);
        self.check_share(visit, share, &visitor)?;
        let stored = share.secret().map(str::to_owned);
        let (Some(stored), Some(secret)) = (stored, secret) else {
            return self.show(visit, share, Tried::Wrong).await;
        };
        let right = match share.terms.binding {
            Binding::Email => {
                self.may_guess(visit, share)?;
                self.is_mailed(share, &visitor, &stored, &secret)
            }
            _ => self.is_secret(visit, share, stored.clone(), secret).await?,
        };
        if !right {
            let record = self.refused_visit(visit, share, "share-secret");
            let recorded = self.put_refusal(Problem::share_secret(false), record).await;
            drop(recorded);
            return self.show(visit, share, Tried::Wrong).await;
        }
        Ok(self.let_on(visit, share, visitor, &stored))
    }

    /// Whether this is the code that was mailed for this browser.
    fn is_mailed(
        &self,
        share: &Share,
        visitor: &Visitor,
        address: &str,
        given: &SecretText,
    ) -> bool {
        let Some(browser) = &visitor.browser else { return false };
        let (name, now) = (share.id.to_string(), self.gate.clock.now());
        let pass = Pass { share: &name, browser, secret: address, until: now };
        let right = self.gate.shares.keys.is_mailed(&pass, given.text(), now);
        if right {
            self.gate.shares.guesses.invalidate(&share.id);
        }
        right
    }

    /// Mails a code for this browser.
    pub(super) async fn mail_code(
        &self,
        visit: &Visit<'_>,
        share: &Share,
    ) -> Result<Response<ReplyBody>, Not> {
        let visitor = self.visitor(visit, share);
        self.check_share(visit, share, &visitor)?;
        let shares = &self.gate.shares;
        let wants = share.terms.binding == Binding::Email;
        let (Some(address), Some(mailer), true) = (share.secret(), &shares.mailer, wants) else {
            let record = self.refused_visit(visit, share, "share-mail");
            return Err(Not::problem(Problem::share_mail(), record));
        };
        let Some(browser) = &visitor.browser else {
            return self.show(visit, share, Tried::NoCookie).await;
        };
        // Whether it would give anything at all is decided before a mailbox is written to.
        let shown = self.show(visit, share, Tried::Sent).await?;
        if let Err(seconds) = shares.count_mail(share.id) {
            let record = self.refused_visit(visit, share, "share-mails");
            return Err(Not::problem(Problem::share_mails(seconds), record));
        }
        let (name, now) = (share.id.to_string(), self.gate.clock.now());
        let pass = Pass { share: &name, browser, secret: address, until: now };
        match mailer.send(address, &shares.keys.mailed(&pass, now)).await {
            Ok(()) => Ok(shown),
            Err(error) => {
                tracing::error!(share = %share.id, %error, "a code could not be mailed");
                let record = self.refused_visit(visit, share, "share-mail");
                Err(Not::problem(Problem::share_mail(), record))
            }
        }
    }

    /// Lets a browser on that has given what was asked for.
    fn let_on(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        mut visitor: Visitor,
        stored: &str,
    ) -> Response<ReplyBody> {
        let (shares, now) = (&self.gate.shares, self.gate.clock.now());
        let mut cookies = Vec::new();
        if visitor.browser.is_none()
            && let Some(cookie) = shares.keys.browser(share.id)
        {
            visitor.browser = cookie.split_once('.').map(|(id, _)| id.to_owned());
            cookies.push(self.listening(share, &cookie));
        }
        let name = share.id.to_string();
        let browser = visitor.browser.as_deref().unwrap_or_default();
        let until = now.checked_add(shares.session).unwrap_or(now);
        let pass = Pass { share: &name, browser, secret: stored, until };
        cookies.push(format!(
            "{}={}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Strict",
            pass_cookie(share),
            shares.keys.pass(&pass),
            shares.session.as_secs(),
        ));
        let see = Some(visit.path());
        share_page(SharePage { html: String::new(), cookies, see }, visit.form)
    }

    /// The cookie by which a browser's listening sessions are known: for as long as the share
    /// lives, since a share may be bound to it.
    fn listening(&self, share: &Share, cookie: &str) -> String {
        let left = share.terms.expires_at.duration_since(self.gate.clock.now()).as_secs().max(1);
        let name = listening_cookie(share);
        format!("{name}={cookie}; Path=/; Max-Age={left}; Secure; HttpOnly; SameSite=Lax")
    }

    /// Shows the page. Nothing is used up by it.
    pub(super) async fn show(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        tried: Tried,
    ) -> Result<Response<ReplyBody>, Not> {
        let visitor = self.visitor(visit, share);
        let in_session = self.check_share(visit, share, &visitor)?;
        let passed = tried == Tried::Nothing && self.has_passed(visit, share, &visitor).await?;
        let (known, facts) = self.facts_of(visit, share).await?;
        let media = share.question.media;
        let lock = self.unlock(&known, media, &facts).map_err(|no| visit.no(share, no))?;
        let who = (Arc::clone(&known.caller), &share.question.stated);
        let about = (media, known.purpose());
        let question = self.share_question(who, about, Arc::clone(&facts), &lock);
        let policies = self.gate.policies.now();
        let (decision, answer) = policies.judge(&question);
        if answer.is_err() {
            return Err(match policies.decide(question) {
                Verdict::Refuse(refusal) => self.refused_share(visit, share, &known, refusal),
                // Nothing has come between the two.
                Verdict::Permit(_) => self.stopped(visit, share, Stopped::NotPermitted),
            });
        }
        let told = self.told_of(share, &facts, &decision, in_session);
        let wrong = tried == Tried::Wrong;
        let kind = match (passed, share.terms.binding) {
            (true, _) => Page::Player,
            (false, Binding::Code) => Page::Code { wrong },
            (false, Binding::Email) => {
                Page::Email { to: share.secret().map(masked).unwrap_or_default(), tried }
            }
            (false, _) => Page::Password { wrong },
        };
        let html = page(&kind, &visit.path(), &told);
        let cookies = match &visitor.browser {
            Some(_) => Vec::new(),
            None => {
                let new = self.gate.shares.keys.browser(share.id);
                new.iter().map(|cookie| self.listening(share, cookie)).collect()
            }
        };
        Ok(share_page(SharePage { html, cookies, see: None }, visit.form))
    }

    /// The facts of what is shared, for who holds the link.
    pub(super) async fn facts_of(
        &self,
        visit: &Visit<'_>,
        share: &Share,
    ) -> Result<(Admitted, Arc<Facts>), Not> {
        let holder =
            self.holder(share).ok_or_else(|| self.stopped(visit, share, Stopped::Maker))?;
        let known = self.admit_holder(visit, share, Arc::new(holder))?;
        match self.gather(&known, share.question.media, None).await {
            Ok(facts) => Ok((known, facts)),
            Err(No::Facts(FactsError::NoSuchRecording, ..)) => {
                Err(self.stopped(visit, share, Stopped::NoRecording))
            }
            Err(no) => Err(visit.no(share, no)),
        }
    }

    fn admit_holder(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        caller: Arc<Caller>,
    ) -> Result<Admitted, Not> {
        let site = self.gate.accounts.of(share.question.media.account);
        let site = site.ok_or_else(|| self.stopped(visit, share, Stopped::NoRecording))?;
        let asked = visit.asked(share);
        Ok(Admitted { caller, site, asked, address: visit.address(), form: visit.form })
    }

    /// A refusal of what a share would give: it has stopped, unless it cannot be decided now. To who
    /// is outside, the sentence of the notice is told and nothing of the facts.
    pub(super) fn refused_share(
        &self,
        visit: &Visit<'_>,
        share: &Share,
        known: &Admitted,
        refusal: Refusal,
    ) -> Not {
        if matches!(refusal.reason, Reason::Undecidable(ref why) if !matches!(why, Undecidable::UnknownRecipient))
        {
            let asked = Box::new(known.asked_for(share.question.media));
            return visit.no(share, No::Refused(Box::new(refusal), asked));
        }
        let clause = refusal.citation().and_then(|citation| match &citation.ground {
            Ground::Clause { clause, quote, notice } => {
                Some((clause.clone(), quote.clone(), notice.to_string()))
            }
            Ground::Guardrail { .. } => None,
        });
        let asked = Box::new(known.asked_for(share.question.media));
        let about = About { share: Some(share.id), stated: None };
        let (_, record) = self.explain_not(
            Not::no(No::Refused(Box::new(refusal), asked), about),
            visit.method,
            visit.address(),
        );
        Not::problem(Problem::share_stopped(Stopped::NotPermitted, clause), record)
    }

    fn told_of(&self, share: &Share, facts: &Facts, decision: &Decision, in_session: bool) -> Told {
        let policies = self.gate.policies.now();
        let purpose = share.question.purpose.as_ref();
        let purpose = purpose.map(|purpose| {
            let named = policies.vocabulary().purposes.get(purpose);
            named.map_or_else(|| purpose.to_string(), |named| named.name.clone())
        });
        let clause = decision.citations.iter().find_map(|citation| match &citation.ground {
            Ground::Clause { quote, notice, .. } => {
                let title = policies.notices().version(notice)?.header.title.clone();
                Some((quote.clone(), title, notice.to_string()))
            }
            Ground::Guardrail { .. } => None,
        });
        let shares = &self.gate.shares;
        Told {
            organisation: shares.organisation.clone(),
            name: share.private.as_ref().and_then(|private| private.name.clone()),
            recorded_at: facts.started_at,
            duration_seconds: facts.duration_seconds,
            portion: share.terms.portion,
            purpose: purpose.unwrap_or_default(),
            clause,
            expires_at: share.terms.expires_at,
            uses: (share.uses_left(), share.terms.uses),
            in_session,
            session_minutes: u64::try_from(shares.session.as_mins()).unwrap_or(0),
            download: share.terms.download,
        }
    }
}

/// The cookie by which listening sessions are known.
fn listening_cookie(share: &Share) -> String {
    format!("__Host-listening-{}", share.id.short())
}

/// The cookie that shows that the password was given.
fn pass_cookie(share: &Share) -> String {
    format!("__Host-pass-{}", share.id.short())
}
