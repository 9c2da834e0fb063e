//! Deleting at Twilio what must go: everything whose time is over, with what was made from it.
//!
//! Read [`Sweep::run`] first. It looks through each list of each account (`look.rs`) and judges what
//! it finds by the clauses that say how long; then it deletes what is due, one after another
//! (`act.rs`): what was made from a recording before the recording, each decided by Cedar, on record
//! before Twilio is asked, and asked for once more afterwards. Nothing is deleted on what was known
//! while looking: each is gathered and judged afresh. A sweep can end at any moment; the next one
//! looks up at Twilio what this one left without an answer, and goes on.
//!
//! It runs on a thread of its own, because the ledger's stores block.

mod act;
mod look;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::facts::{FactStore, Facts};
use crate::identity::{Caller, Proof, Role};
use crate::ledger::{Clerk, ClerkError, RegisterReader, Review, ReviewError};
use crate::media::{AccountSid, Action, MediaRef};
use crate::policy::{Citation, Ground, Policies, Question, Reason, Stated};
use crate::upstream::{Accounts, Upstream};

/// LIMIT: deletions in a row without any answer of Twilio's, after which a sweep gives up: each of
/// them leaves an entry that has to be looked up.
const SILENT_MAX: u32 = 5;

/// What a sweep works with.
#[derive(Debug)]
pub struct Sweep<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The time.
    pub clock: &'a Clock,
    /// The policies in force.
    pub policies: Arc<Policies>,
    /// The accounts.
    pub accounts: &'a Accounts,
    /// The way to Twilio.
    pub upstream: Upstream,
    /// What Twilio knows.
    pub facts: &'a FactStore,
    /// What was stated.
    pub register: RegisterReader,
    /// True ends it.
    pub stop: watch::Receiver<bool>,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Delete, and not only look.
    pub delete: bool,
    /// Only in this account.
    pub account: Option<AccountSid>,
    /// No more than so many recordings that are due.
    pub limit: Option<u64>,
    /// Who has it done.
    pub actor: String,
}

/// Why a sweep did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The ledger, or somebody else who sweeps.
    #[error(transparent)]
    Clerk(#[from] ClerkError),
    /// What an earlier sweep did cannot be read.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// The role or the purpose is not one of the policies'.
    #[error("configuration key `retention.{key}`: the policies have no such word as `{word}`")]
    UnknownWord {
        /// `role` or `purpose`.
        key: &'static str,
        /// What it says.
        word: String,
    },
    /// The account is not served here.
    #[error("account {0} is not configured")]
    UnknownAccount(AccountSid),
    /// It was told to stop.
    #[error("the sweep was stopped; the next one goes on")]
    Stopped,
    /// Twilio does not answer.
    #[error("Twilio has not answered to {SILENT_MAX} deletions in a row; try again later")]
    Silent,
    /// No runtime.
    #[error("cannot start a runtime: {0}")]
    Runtime(std::io::Error),
}

/// What became of a recording, or of what was made from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its time is not over.
    NotDue,
    /// It would be deleted.
    Due,
    /// It was deleted, and Twilio has it no more.
    Deleted,
    /// It was gone already.
    Gone,
    /// Twilio said that it is deleted, and still has it.
    NotProven,
    /// These guardrails forbid it.
    Held(Vec<String>),
    /// No clause permits it, or one forbids it.
    Refused(String),
    /// What was made from it could not all be deleted, so that it stays.
    Partial,
    /// It could not be deleted, or not be judged.
    Failed {
        /// Twilio's status, if it answered.
        status: Option<u16>,
        /// What went wrong.
        problem: String,
    },
}

impl Fate {
    /// One word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotDue => "not-due",
            Self::Due => "due",
            Self::Deleted => "deleted",
            Self::Gone => "gone",
            Self::NotProven => "not-proven",
            Self::Held(_) => "held",
            Self::Refused(_) => "refused",
            Self::Partial => "partial",
            Self::Failed { .. } => "failed",
        }
    }

    /// True if something is left that should not be, and that nobody holds back.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Partial | Self::NotProven | Self::Refused(_) => true,
            Self::NotDue | Self::Due | Self::Deleted | Self::Gone | Self::Held(_) => false,
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self, Self::Deleted | Self::Gone)
    }

    fn failed(problem: impl fmt::Display) -> Self {
        Self::Failed { status: None, problem: problem.to_string() }
    }
}

/// Why, in words, if there is more to say.
impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(by) => write!(f, "held by {}", by.join(", ")),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Failed { status: Some(status), .. } => {
                write!(f, "failed: Twilio answered with status {status}")
            }
            Self::Failed { status: None, problem } => write!(f, "failed: {problem}"),
            Self::NotProven => f.write_str("not proven: Twilio has it still"),
            other => f.write_str(other.as_str()),
        }
    }
}

/// Something that a sweep has to tell.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is about; `None` if it is a list that could not be read.
    pub media: Option<MediaRef>,
    /// The account.
    pub account: AccountSid,
    /// Since when its time is over.
    pub due: Option<Timestamp>,
    /// The clauses that say so.
    pub clauses: Vec<Arc<Citation>>,
    /// What became of it.
    pub fate: Fate,
    /// What was made from it and was deleted before it, or could not be.
    pub parts: Vec<(MediaRef, Fate)>,
}

/// What a sweep tells while it runs.
#[derive(Debug)]
pub enum Step<'a> {
    /// So many recordings were looked at so far.
    Looked(u64),
    /// Something whose time is over, or that could not be judged.
    Found(&'a Found),
}

/// What a sweep did in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many were looked at.
    pub looked: u64,
    /// How many had which fate.
    pub fates: BTreeMap<&'static str, u64>,
    /// How many are due by each clause: its notice and id.
    pub by_clause: BTreeMap<String, u64>,
    /// Since when the oldest of them is due.
    pub oldest: Option<Timestamp>,
    /// How many failed.
    pub failures: u64,
    /// Deletions of earlier sweeps whose answer is on record now.
    pub resolved: u64,
}

impl Totals {
    fn take(&mut self, found: &Found) {
        *self.fates.entry(found.fate.as_str()).or_default() += 1;
        let Found { due, clauses, fate, .. } = found;
        self.failures += u64::from(fate.is_failure());
        if due.is_none() || *fate == Fate::NotDue {
            return;
        }
        self.oldest = self.oldest.min(*due).or(self.oldest).or(*due);
        if let Some(Ground::Clause { clause, notice, .. }) = clauses.first().map(|c| &c.ground) {
            *self.by_clause.entry(format!("{notice}#{clause}")).or_default() += 1;
        }
    }
}

/// A sweep under way.
struct Run<'a> {
    sweep: &'a Sweep<'a>,
    order: &'a Order,
    runtime: Runtime,
    caller: Arc<Caller>,
    totals: Totals,
    /// Who writes, if anything is to be deleted, and what earlier sweeps wrote.
    acting: Option<Acting>,
}

struct Acting {
    clerk: Clerk,
    review: Review,
    /// Deletions in a row without an answer.
    silent: u32,
    last: Option<Instant>,
    pause: Duration,
}

impl Sweep<'_> {
    /// Looks through the accounts and, if that is the order, deletes what is due.
    ///
    /// # Errors
    /// [`SweepError`] if it did not come to its end; what was told until then was done.
    pub fn run(&self, order: &Order, tell: &mut dyn FnMut(Step<'_>)) -> Result<Totals, SweepError> {
        let mut run = Run::new(self, order)?;
        run.resolve()?;
        for account in self.accounts_of(order)? {
            for list in MediaRef::deletable_lists(account) {
                let due = run.look(list, tell)?;
                if order.delete {
                    run.delete_all(due, tell)?;
                }
            }
        }
        Ok(run.totals)
    }

    fn accounts_of(&self, order: &Order) -> Result<Vec<AccountSid>, SweepError> {
        let all = self.accounts.all();
        if let Some(account) = order.account {
            let served = all.contains(&account);
            return served.then(|| vec![account]).ok_or(SweepError::UnknownAccount(account));
        }
        let named = &self.config.retention.accounts;
        let swept = all.into_iter().filter(|sid| named.is_empty() || named.contains(sid));
        let swept: std::collections::BTreeSet<AccountSid> = swept.collect();
        Ok(swept.into_iter().collect())
    }
}

impl<'a> Run<'a> {
    fn new(sweep: &'a Sweep<'a>, order: &'a Order) -> Result<Self, SweepError> {
        let config::Retention { role, per_second, .. } = &sweep.config.retention;
        check(&sweep.config.retention, &sweep.policies)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let acting = match order.delete {
            false => None,
            true => {
                let (ledger, actor) = (&sweep.config.ledger, order.actor.clone());
                let mut clerk = Clerk::open(ledger, sweep.clock.clone(), actor)?;
                clerk.lead_sweep()?;
                // Read after the lead was taken: what another sweep wrote before is in it.
                let review = Review::open(ledger, |_| {})?;
                let pause = Duration::from_secs(1) / u32::try_from(per_second.get()).unwrap_or(1);
                Some(Acting { clerk, review, silent: 0, last: None, pause })
            }
        };
        Ok(Self {
            sweep,
            order,
            runtime: runtime.map_err(SweepError::Runtime)?,
            caller: caller(Role::new(role)),
            totals: Totals::default(),
            acting,
        })
    }

    /// Waits for something, unless the sweep is told to stop.
    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, SweepError> {
        let mut stop = self.sweep.stop.clone();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => Err(SweepError::Stopped),
                done = work => Ok(done),
            }
        })
    }

    /// The question whether something may be deleted.
    fn question(&self, media: MediaRef, facts: Arc<Facts>) -> Question {
        Question {
            caller: Arc::clone(&self.caller),
            action: Action::Delete,
            media,
            purpose: Some(self.sweep.config.retention.purpose.clone()),
            stated: Stated::default(),
            facts,
            now: self.sweep.clock.now(),
        }
    }

    fn found(&mut self, found: &Found, tell: &mut dyn FnMut(Step<'_>)) {
        self.totals.take(found);
        if found.fate != Fate::NotDue {
            tell(Step::Found(found));
        }
    }
}

/// Checks that the policies know the words of the configuration.
///
/// # Errors
/// [`SweepError::UnknownWord`].
pub fn check(settings: &config::Retention, policies: &Policies) -> Result<(), SweepError> {
    let config::Retention { role, purpose, .. } = settings;
    let unknown = |key, word: &str| SweepError::UnknownWord { key, word: word.to_owned() };
    if !policies.roles().contains(&Role::new(role)) {
        return Err(unknown("role", role));
    }
    match policies.purposes().any(|known| known == purpose) {
        true => Ok(()),
        false => Err(unknown("purpose", purpose.as_str())),
    }
}

/// Who a sweep is, as Cedar and the ledger know it.
fn caller(role: Role) -> Arc<Caller> {
    Arc::new(Caller {
        id: "sweep".to_owned(),
        roles: [role].into(),
        on_behalf_of: None,
        bound_purpose: None,
        default_purpose: None,
        proof: Proof {
            issuer: "sweep".to_owned(),
            key_id: None,
            token_id: None,
            expires_at: Timestamp::MAX,
        },
    })
}

/// Why something may not be deleted.
fn refused(citations: &[Arc<Citation>], reason: &Reason) -> Fate {
    let guardrails =
        citations.iter().filter(|cited| matches!(cited.ground, Ground::Guardrail { .. }));
    let guardrails: Vec<String> = guardrails.map(|cited| cited.policy.clone()).collect();
    match reason {
        Reason::Forbidden if !guardrails.is_empty() => Fate::Held(guardrails),
        reason => Fate::Refused(reason.code().to_owned()),
    }
}
