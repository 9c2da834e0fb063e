//! When the time of a recording is over: when the clauses that keep it have ended every use of it.
//!
//! Nothing is read a second time here. The forbids that the `keep` clauses derive are evaluated as
//! the gate evaluates them, at the ends of their periods: a recording is due at the first of these
//! at which nobody may use it for anything any more. Holds are left out, because a hold stops the
//! deletion and not the end of the time. Doubt is turned around: a use that some request might have
//! is one that is left, since a deletion cannot be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{Authorizer, Policy, PolicyId, PolicySet};
use jiff::{SignedDuration, Timestamp};

use super::condition::Condition;
use super::derive::Terms;
use super::{Action, Citation, Policies, Question, Stated};
use crate::facts::Facts;
use crate::identity::{Caller, Proof};
use crate::media::{Form, MediaRef};
use crate::notice::{Circumstance, Need, Period, PeriodStart, Rule, Vocabulary};
use crate::purpose::Purpose;

/// A country that no clause names.
const ELSEWHERE: &str = "ZZ";

/// When the time of a recording is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// From when on nobody may use it for anything; `None` if no clause says so.
    pub due: Option<Timestamp>,
    /// The clauses that end it, the last one to do so first.
    pub clauses: Vec<Arc<Citation>>,
}

impl Retention {
    /// True if its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

/// What the `keep` clauses of all notices derive.
#[derive(Debug, Default)]
pub(super) struct Keeps {
    all: Vec<Keep>,
    /// All of them in Cedar.
    set: PolicySet,
    /// Without those that end everything some time after a case, for where nobody knows of a case.
    without_cases: PolicySet,
    /// The uses that they can tell apart.
    uses: Vec<Use>,
}

#[derive(Debug)]
struct Keep {
    id: PolicyId,
    period: Period,
    clock: PeriodStart,
    /// When its notice took effect.
    effective: Timestamp,
}

/// Something that can be done with a recording.
#[derive(Clone, Debug)]
struct Use {
    action: Action,
    purpose: Purpose,
    recipient: Option<String>,
    country: Option<String>,
}

/// What was derived from the `keep` clauses, while it is gathered.
#[derive(Default)]
pub(super) struct Keeping<'a> {
    keeps: Keeps,
    terms: Vec<&'a Terms>,
}

impl<'a> Keeping<'a> {
    /// Takes a derived policy, if it is of a clause that says how long.
    pub(super) fn take(
        &mut self,
        rule: &Rule,
        effective: Timestamp,
        (terms, policy): (&'a Terms, &Policy),
    ) {
        let (Some(period), true) = (rule.period, terms.role.is_none()) else { return };
        // The full set holds the same policies, and has refused an id that is there twice.
        let _ = self.keeps.set.add(policy.clone());
        // Where nobody knows of a case, the gate refuses the use in doubt. That must not delete what
        // no other clause ends.
        if rule.clock == PeriodStart::CallEnd || !rule.about.purposes.is_empty() {
            let _ = self.keeps.without_cases.add(policy.clone());
        }
        let id = policy.id().clone();
        self.keeps.all.push(Keep { id, period, clock: rule.clock, effective });
        self.terms.push(terms);
    }

    /// All of them, and the uses that they tell apart.
    pub(super) fn done(mut self, vocabulary: &Vocabulary) -> Keeps {
        self.keeps.uses = uses(&self.terms, vocabulary);
        self.keeps
    }
}

/// One use for each kind that some policy tells from the others: a purpose that stands in the same
/// lists as another one is treated alike.
fn uses(terms: &[&Terms], vocabulary: &Vocabulary) -> Vec<Use> {
    let conditions =
        || terms.iter().flat_map(|terms| terms.when.iter().chain(terms.except.iter().flatten()));
    let by_purpose = conditions().any(|c| *c == Condition::Need(Need::NoObjection));
    let mut purposes = BTreeMap::new();
    for purpose in vocabulary.purposes.keys() {
        let lists = conditions().filter_map(|condition| match condition {
            Condition::Purposes(list) => Some(list.contains(purpose)),
            _ => None,
        });
        let own = by_purpose.then(|| purpose.clone());
        purposes.entry((lists.collect::<Vec<bool>>(), own)).or_insert_with(|| purpose.clone());
    }
    let mut recipients = BTreeMap::new();
    for recipient in vocabulary.recipients.keys() {
        let lists = conditions().filter_map(|condition| match condition {
            Condition::Recipients(list) => Some(list.contains(recipient)),
            _ => None,
        });
        recipients.entry(lists.collect::<Vec<bool>>()).or_insert_with(|| recipient.clone());
    }
    let named = conditions().flat_map(|condition| match condition {
        Condition::Countries(list) => list.clone(),
        _ => Vec::new(),
    });
    let mut countries: BTreeSet<String> = named.collect();
    countries.insert(ELSEWHERE.to_owned());
    let mut uses = Vec::new();
    for (action, purpose) in
        Action::USES.iter().flat_map(|action| purposes.values().map(|p| (*action, p.clone())))
    {
        if action != Action::Share {
            uses.push(Use { action, purpose, recipient: None, country: None });
            continue;
        }
        for (recipient, country) in
            recipients.values().flat_map(|recipient| countries.iter().map(move |c| (recipient, c)))
        {
            let (recipient, country) = (Some(recipient.clone()), Some(country.clone()));
            uses.push(Use { action, purpose: purpose.clone(), recipient, country });
        }
    }
    uses
}

impl Policies {
    /// When the time of a recording is over, by the clauses that say how long one is kept.
    #[must_use]
    pub fn retention(&self, facts: &Arc<Facts>, now: Timestamp) -> Retention {
        let asking = Asking::new(self, facts);
        let limits = self.limits(facts);
        let mut found = None;
        if asking.ended(now).is_some() {
            // The limit from which on it has been so until now.
            for limit in limits.iter().rev().filter(|limit| **limit <= now) {
                match asking.ended(*limit) {
                    Some(by) => found = Some((*limit, by)),
                    None => break,
                }
            }
        } else {
            let later = limits.iter().filter(|limit| **limit > now);
            found = later.copied().find_map(|limit| Some((limit, asking.ended(limit)?)));
        }
        let Some((due, by)) = found else { return Retention::default() };
        let ends = |keep: &&Keep| self.end(keep, facts).contains(&due);
        let last: BTreeSet<&PolicyId> =
            self.keeps.all.iter().filter(ends).map(|keep| &keep.id).collect();
        let mut by: Vec<&PolicyId> = by.iter().collect();
        by.sort_by_key(|id| !last.contains(id));
        let clauses = by.into_iter().filter_map(|id| self.slices.index.citation(id));
        Retention { due: Some(due), clauses: clauses.collect() }
    }

    /// The shortest time that any clause gives: nothing that was said later than that can be over.
    #[must_use]
    pub fn shortest_keep(&self) -> Option<SignedDuration> {
        let seconds = self.keeps.all.iter().map(|keep| keep.period.seconds()).min()?;
        Some(SignedDuration::from_secs(i64::from(seconds)))
    }

    /// The ends of all periods, in order.
    fn limits(&self, facts: &Facts) -> Vec<Timestamp> {
        let ends: BTreeSet<Timestamp> =
            self.keeps.all.iter().flat_map(|keep| self.end(keep, facts)).collect();
        ends.into_iter().collect()
    }

    /// When a clause ends a recording: at the end of its period; if its notice is younger than that,
    /// when it takes effect or is the one that everybody has accepted.
    fn end(&self, keep: &Keep, facts: &Facts) -> Vec<Timestamp> {
        let from = match keep.clock {
            PeriodStart::CallEnd => Some(facts.ended_at()),
            PeriodStart::CaseEnd => facts.register.case_closed_at,
        };
        let period = SignedDuration::from_secs(i64::from(keep.period.seconds()));
        let Some(end) = from.and_then(|from| from.checked_add(period).ok()) else {
            return Vec::new();
        };
        let accepted = facts.register.accepted.as_ref();
        let accepted = accepted.and_then(|version| self.notices.version(version));
        let later = accepted.map(|notice| end.max(notice.header.effective));
        [end.max(keep.effective)].into_iter().chain(later).collect()
    }
}

/// A recording, asked about as if everybody asked at once.
struct Asking<'a> {
    policies: &'a Policies,
    question: Question,
    set: &'a PolicySet,
}

impl<'a> Asking<'a> {
    fn new(policies: &'a Policies, facts: &Arc<Facts>) -> Self {
        let mut facts = Facts::clone(facts);
        facts.register.circumstances.retain(|circumstance| *circumstance != Circumstance::Hold);
        facts.register.held_for.clear();
        let set = match facts.register.case_closed_at {
            Some(_) => &policies.keeps.set,
            None => &policies.keeps.without_cases,
        };
        // Who has every role and states whatever can be stated has every exception.
        let stated = Circumstance::ALL.iter().copied();
        let stated = stated.filter(|c| c.is_of_request() && *c != Circumstance::HoldParty);
        let caller = Caller {
            id: "anybody".to_owned(),
            roles: policies.roles.iter().cloned().collect(),
            on_behalf_of: None,
            bound_purpose: None,
            default_purpose: None,
            proof: Proof {
                issuer: String::new(),
                key_id: None,
                token_id: None,
                expires_at: Timestamp::MAX,
            },
        };
        let question = Question {
            caller: Arc::new(caller),
            action: Action::Access,
            media: MediaRef::recording(facts.account, facts.recording, Form::Metadata),
            purpose: None,
            stated: Stated { circumstances: stated.collect(), ..Stated::default() },
            facts: Arc::new(facts),
            now: Timestamp::MIN,
        };
        Self { policies, question, set }
    }

    /// The policies by which every use has ended at a time; `None` if some use is left, or it cannot
    /// be told.
    fn ended(&self, at: Timestamp) -> Option<BTreeSet<PolicyId>> {
        let Self { policies, question, set } = self;
        let mut question = Question { now: at, ..question.clone() };
        let entities = policies.names.build(&question, policies, None).ok()?;
        let mut ended_by = BTreeSet::new();
        for one in &policies.keeps.uses {
            question.action = one.action;
            question.stated.recipient.clone_from(&one.recipient);
            question.stated.country.clone_from(&one.country);
            let request = policies.names.request(&question, &one.purpose, None).ok()?;
            let response = Authorizer::new().is_authorized(&request, set, &entities);
            let diagnostics = response.diagnostics();
            let mut by = diagnostics.reason().peekable();
            if diagnostics.errors().next().is_some() || by.peek().is_none() {
                return None;
            }
            ended_by.extend(by.cloned());
        }
        (!policies.keeps.uses.is_empty()).then_some(ended_by)
    }
}
