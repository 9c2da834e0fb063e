//! Which policies can apply: the index and the slices made from it.
//!
//! Cedar scans every policy on every request, so a decision is given only those that can apply, and
//! of them only what is not settled yet. A slice serves all questions of one [`Key`]: same notice,
//! action, purpose and roles, same kind of media and call. Each policy's scope and conditions that
//! the key settles are taken out beforehand; where one settles that the policy cannot apply, it is
//! left out ([`Terms::settled`](super::derive::Terms::settled)). What the key leaves open (consent, age, circumstances, labels,
//! recipients) is Cedar's. A property test holds slices to the full set, and the official `cedar`
//! command decides on the full files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Policy, PolicyId, PolicySet, pst};

use super::Citation;
use super::derive::Derived;
use crate::identity::Role;
use crate::media::{Action, Artefact, Direction};
use crate::notice::NoticeVersion;
use crate::purpose::Purpose;

/// LIMIT: slices kept. One is asked for each combination of notice, action, purpose, roles and kind
/// of call that occurs; an organisation has some hundreds.
const SLICES_MAX: u64 = 10_000;

/// Under what permits are filed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Filed {
    pub(super) notice: NoticeVersion,
    pub(super) action: Action,
    pub(super) purpose: Purpose,
    pub(super) roles: Arc<[Role]>,
}

/// What picks a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) filed: Filed,
    pub(super) artefact: Artefact,
    pub(super) direction: Option<Direction>,
    pub(super) line: Option<String>,
    pub(super) department: Option<String>,
    pub(super) call_type: Option<String>,
}

/// A clause's forbid with the place of its notice among all notices.
#[derive(Debug)]
struct Forbid {
    notice: usize,
    derived: Derived,
}

/// A guardrail with the actions that it is about; none means all.
#[derive(Debug)]
struct Guardrail {
    actions: Vec<Action>,
    policy: Policy,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    permits: Vec<Derived>,
    by_key: HashMap<(NoticeVersion, Action, Purpose, Role), Vec<usize>>,
    /// For explanations: the permits of an action and a purpose, and of an action and a role.
    by_purpose: HashMap<(NoticeVersion, Action, Purpose), Vec<usize>>,
    by_role: HashMap<(NoticeVersion, Action, Role), Vec<usize>>,
    known_roles: BTreeSet<(NoticeVersion, Role)>,
    forbids: Vec<Forbid>,
    /// The place of each clause's forbid, by its id.
    forbid_ids: HashMap<String, usize>,
    guardrails: Vec<Guardrail>,
    /// The versions by the moment each took effect.
    order: Vec<NoticeVersion>,
    citations: BTreeMap<PolicyId, Arc<Citation>>,
}

#[derive(Debug)]
pub(super) struct Slices {
    pub(super) index: Index,
    made: moka::sync::Cache<Key, Arc<PolicySet>>,
}

impl Index {
    /// Files what was derived from one notice. Notices are added in their order.
    pub(super) fn add_notice(&mut self, notice: &NoticeVersion, all: Vec<Derived>) {
        let place = self.order.len();
        self.order.push(notice.clone());
        for derived in all {
            let Some(role) = derived.terms.role.clone() else {
                self.forbid_ids.insert(derived.terms.id.clone(), self.forbids.len());
                self.forbids.push(Forbid { notice: place, derived });
                continue;
            };
            self.known_roles.insert((notice.clone(), role.clone()));
            let index = self.permits.len();
            for action in &derived.terms.actions {
                let key = (notice.clone(), *action, role.clone());
                self.by_role.entry(key).or_default().push(index);
                for purpose in &derived.terms.purposes {
                    let key = (notice.clone(), *action, purpose.clone());
                    self.by_purpose.entry(key).or_default().push(index);
                    let key = (notice.clone(), *action, purpose.clone(), role.clone());
                    self.by_key.entry(key).or_default().push(index);
                }
            }
            self.permits.push(derived);
        }
    }

    /// Files a guardrail.
    pub(super) fn add_guardrail(&mut self, policy: Policy) {
        let read = |uid: &cedar_policy::EntityUid| Action::read(uid.id().unescaped());
        // An action that is not read here is none that a question could ask for.
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => Vec::new(),
            ActionConstraint::Eq(uid) => read(&uid).into_iter().collect(),
            ActionConstraint::In(list) => list.iter().filter_map(read).collect(),
        };
        let policy = without_action(&policy).unwrap_or(policy);
        self.guardrails.push(Guardrail { actions, policy });
    }

    pub(super) fn cite(&mut self, id: PolicyId, citation: Citation) {
        self.citations.insert(id, Arc::new(citation));
    }

    pub(super) fn citation(&self, id: &PolicyId) -> Option<Arc<Citation>> {
        self.citations.get(id).cloned()
    }

    /// The forbid of this `@id`, if it is a clause's.
    pub(super) fn forbid(&self, id: &str) -> Option<&Derived> {
        Some(&self.forbids.get(*self.forbid_ids.get(id)?)?.derived)
    }

    /// The forbids of clauses of a notice and of every later one, with their versions.
    pub(super) fn forbids_since(
        &self,
        notice: &NoticeVersion,
    ) -> impl Iterator<Item = (&NoticeVersion, &Derived)> {
        let from = self.order.iter().position(|version| version == notice);
        let since = self.forbids.iter().filter(move |forbid| Some(forbid.notice) >= from);
        since.filter_map(|forbid| Some((self.order.get(forbid.notice)?, &forbid.derived)))
    }

    /// True if some clause of this notice gives one of the roles any use of recordings.
    pub(super) fn knows_any(&self, notice: &NoticeVersion, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.known_roles.contains(&(notice.clone(), role.clone())))
    }

    /// The permits that could permit this if their conditions held.
    pub(super) fn filed(
        &self,
        filed: &Filed,
    ) -> impl Iterator<Item = (&Derived, Option<Arc<Citation>>)> {
        let Filed { notice, action, purpose, roles } = filed;
        let indexes = roles.iter().flat_map(move |role| {
            let key = (notice.clone(), *action, purpose.clone(), role.clone());
            self.by_key.get(&key).into_iter().flatten()
        });
        self.cited(indexes)
    }

    /// The permits of other roles for this purpose.
    pub(super) fn of_purpose(
        &self,
        filed: &Filed,
    ) -> impl Iterator<Item = (&Derived, Option<Arc<Citation>>)> {
        let key = (filed.notice.clone(), filed.action, filed.purpose.clone());
        self.cited(self.by_purpose.get(&key).into_iter().flatten())
    }

    /// The permits of these roles for other purposes.
    pub(super) fn of_roles(
        &self,
        filed: &Filed,
    ) -> impl Iterator<Item = (&Derived, Option<Arc<Citation>>)> {
        let Filed { notice, action, roles, .. } = filed;
        let indexes = roles.iter().flat_map(move |role| {
            let key = (notice.clone(), *action, role.clone());
            self.by_role.get(&key).into_iter().flatten()
        });
        self.cited(indexes)
    }

    fn cited<'a>(
        &'a self,
        indexes: impl Iterator<Item = &'a usize>,
    ) -> impl Iterator<Item = (&'a Derived, Option<Arc<Citation>>)> {
        let permits = indexes.filter_map(|index| self.permits.get(*index));
        permits.map(|permit| (permit, self.citation(permit.policy.id())))
    }

    fn slice(&self, key: &Key) -> Result<PolicySet, Box<dyn std::error::Error + Send + Sync>> {
        let mut slice = PolicySet::new();
        for guardrail in &self.guardrails {
            if guardrail.actions.is_empty() || guardrail.actions.contains(&key.filed.action) {
                slice.add(guardrail.policy.clone())?;
            }
        }
        let governing = self.order.iter().position(|version| *version == key.filed.notice);
        let since = self.forbids.iter().filter(|forbid| Some(forbid.notice) >= governing);
        let permits = self.filed(&key.filed).map(|(permit, _)| permit);
        for derived in since.map(|forbid| &forbid.derived).chain(permits) {
            if let Some(policy) = derived.terms.settled(key)? {
                slice.add(policy)?;
            }
        }
        Ok(slice)
    }
}

/// A guardrail for slices, of which the action is known: it need not ask for it.
fn without_action(policy: &Policy) -> Option<Policy> {
    let pst::Policy::Static(stated) = policy.to_pst().ok()? else { return None };
    let mut template = stated.body().clone();
    template.action = pst::ActionConstraint::Any;
    Policy::from_pst(pst::Policy::Static(template.try_into().ok()?)).ok()
}

impl Slices {
    pub(super) fn new(index: Index) -> Self {
        Self { index, made: moka::sync::Cache::new(SLICES_MAX) }
    }

    pub(super) fn get(&self, key: &Key) -> Arc<PolicySet> {
        if let Some(made) = self.made.get(key) {
            return made;
        }
        let slice = self.index.slice(key).unwrap_or_else(|error| {
            // Names and ids are fixed and unique, so that it does not happen. A set that lacked a
            // policy could permit too much; an empty one permits nothing.
            tracing::error!(%error, "a slice of the policies cannot be made; it permits nothing");
            PolicySet::new()
        });
        let slice = Arc::new(slice);
        self.made.insert(key.clone(), Arc::clone(&slice));
        slice
    }
}
