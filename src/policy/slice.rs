//! Which policies can apply: the index and the slices made from it.
//!
//! Cedar scans every policy on every request, so a decision is given only those that can apply. A
//! permit is in a slice only if the slice's role, action, purpose and notice are among those it was
//! derived for. A forbid is left out only if it was derived for other purposes or actions, or for a
//! notice older than the governing one, of which the recording is not a child. So what is left out
//! could not have been satisfied. A property test holds slices to the full set.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet};

use super::Citation;
use super::derive::{Derived, Filed};
use super::terms::Condition;
use crate::identity::Role;
use crate::media::Action;
use crate::notice::NoticeVersion;
use crate::purpose::Purpose;

/// LIMIT: slices kept. One is asked for each combination of notice, action, purpose and roles
/// that occurs; an organisation has some dozens.
const SLICES_MAX: u64 = 10_000;

/// What picks a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) notice: NoticeVersion,
    pub(super) action: Action,
    pub(super) purpose: Purpose,
    pub(super) roles: Arc<[Role]>,
}

/// A permit with what it must find true.
#[derive(Debug)]
pub(super) struct FiledPermit {
    pub(super) conditions: Vec<Condition>,
    policy: Policy,
}

/// A forbid with what it is bound to; a guardrail is bound to nothing.
#[derive(Debug)]
struct FiledForbid {
    /// The place of its notice among all notices.
    notice: Option<usize>,
    actions: Vec<Action>,
    purposes: Vec<Purpose>,
    policy: Policy,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    permits: Vec<FiledPermit>,
    by_key: HashMap<(NoticeVersion, Action, Purpose, Role), Vec<usize>>,
    /// For explanations: the permits of an action and a purpose, and of an action and a role.
    by_purpose: HashMap<(NoticeVersion, Action, Purpose), Vec<usize>>,
    by_role: HashMap<(NoticeVersion, Action, Role), Vec<usize>>,
    known_roles: BTreeSet<(NoticeVersion, Role)>,
    forbids: Vec<FiledForbid>,
    /// The versions by the moment each took effect.
    order: Vec<NoticeVersion>,
    citations: BTreeMap<PolicyId, Arc<Citation>>,
    /// Why a clause's forbid applies: its conditions, and what it asks for.
    reasons: BTreeMap<PolicyId, (Vec<Condition>, Vec<Condition>)>,
}

#[derive(Debug)]
pub(super) struct Slices {
    pub(super) index: Index,
    made: moka::sync::Cache<Key, Arc<PolicySet>>,
}

impl Index {
    /// Files what was derived from one notice. Notices are added in their order.
    pub(super) fn add_notice(&mut self, notice: &NoticeVersion, derived: Vec<Derived>) {
        let place = self.order.len();
        self.order.push(notice.clone());
        for Derived { policy, filed, conditions, musts, .. } in derived {
            match filed {
                Filed::Permit { role, actions, purposes } => {
                    self.known_roles.insert((notice.clone(), role.clone()));
                    let index = self.permits.len();
                    for action in actions {
                        let key = (notice.clone(), action, role.clone());
                        self.by_role.entry(key).or_default().push(index);
                        for purpose in &purposes {
                            let key = (notice.clone(), action, purpose.clone());
                            self.by_purpose.entry(key).or_default().push(index);
                            let key = (notice.clone(), action, purpose.clone(), role.clone());
                            self.by_key.entry(key).or_default().push(index);
                        }
                    }
                    self.permits.push(FiledPermit { conditions, policy });
                }
                Filed::Forbid { actions, purposes } => {
                    self.reasons.insert(policy.id().clone(), (conditions, musts));
                    let notice = Some(place);
                    self.forbids.push(FiledForbid { notice, actions, purposes, policy });
                }
            }
        }
    }

    /// Files a guardrail, which is in every slice.
    pub(super) fn add_guardrail(&mut self, policy: Policy) {
        let (actions, purposes) = (Vec::new(), Vec::new());
        self.forbids.push(FiledForbid { notice: None, actions, purposes, policy });
    }

    pub(super) fn cite(&mut self, id: PolicyId, citation: Citation) {
        self.citations.insert(id, Arc::new(citation));
    }

    pub(super) fn citation(&self, id: &PolicyId) -> Option<Arc<Citation>> {
        self.citations.get(id).cloned()
    }

    /// Why the forbid of this `@id` applies: its conditions, and what it asks for.
    pub(super) fn reasons(&self, id: &str) -> Option<&(Vec<Condition>, Vec<Condition>)> {
        self.reasons.get(&PolicyId::new(id))
    }

    /// True if some clause of this notice gives one of the roles any use of recordings.
    pub(super) fn knows_any(&self, notice: &NoticeVersion, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.known_roles.contains(&(notice.clone(), role.clone())))
    }

    /// The permits that could permit this if their conditions held.
    pub(super) fn filed(
        &self,
        key: &Key,
    ) -> impl Iterator<Item = (&FiledPermit, Option<Arc<Citation>>)> {
        let Key { notice, action, purpose, roles } = key;
        let indexes = roles.iter().flat_map(move |role| {
            let key = (notice.clone(), *action, purpose.clone(), role.clone());
            self.by_key.get(&key).into_iter().flatten()
        });
        self.cited(indexes)
    }

    /// The permits of other roles for this purpose.
    pub(super) fn of_purpose(
        &self,
        key: &Key,
    ) -> impl Iterator<Item = (&FiledPermit, Option<Arc<Citation>>)> {
        let key = (key.notice.clone(), key.action, key.purpose.clone());
        self.cited(self.by_purpose.get(&key).into_iter().flatten())
    }

    /// The permits of these roles for other purposes.
    pub(super) fn of_roles(
        &self,
        key: &Key,
    ) -> impl Iterator<Item = (&FiledPermit, Option<Arc<Citation>>)> {
        let Key { notice, action, roles, .. } = key;
        let indexes = roles.iter().flat_map(move |role| {
            let key = (notice.clone(), *action, role.clone());
            self.by_role.get(&key).into_iter().flatten()
        });
        self.cited(indexes)
    }

    fn cited<'a>(
        &'a self,
        indexes: impl Iterator<Item = &'a usize>,
    ) -> impl Iterator<Item = (&'a FiledPermit, Option<Arc<Citation>>)> {
        let permits = indexes.filter_map(|index| self.permits.get(*index));
        permits.map(|permit| (permit, self.citation(permit.policy.id())))
    }

    fn slice(&self, key: &Key) -> PolicySet {
        let permits = key.roles.iter().flat_map(|role| {
            let Key { notice, action, purpose, .. } = key;
            let key = (notice.clone(), *action, purpose.clone(), role.clone());
            let indexes = self.by_key.get(&key).into_iter().flatten();
            indexes.filter_map(|index| Some(&self.permits.get(*index)?.policy))
        });
        let governing = self.order.iter().position(|version| *version == key.notice);
        let applies = |forbid: &&FiledForbid| {
            (forbid.notice.is_none() || forbid.notice >= governing)
                && (forbid.actions.is_empty() || forbid.actions.contains(&key.action))
                && (forbid.purposes.is_empty() || forbid.purposes.contains(&key.purpose))
        };
        let forbids = self.forbids.iter().filter(applies).map(|forbid| &forbid.policy);
        let mut slice = PolicySet::new();
        for policy in forbids.chain(permits) {
            // Ids are unique over all policies, and one policy has one role: no policy comes
            // twice, so adding cannot fail. If it could, the slice would lack a policy: leave the
            // set empty then, which permits nothing.
            if slice.add(policy.clone()).is_err() {
                return PolicySet::new();
            }
        }
        slice
    }
}

impl Slices {
    pub(super) fn new(index: Index) -> Self {
        Self { index, made: moka::sync::Cache::new(SLICES_MAX) }
    }

    pub(super) fn get(&self, key: &Key) -> Arc<PolicySet> {
        if let Some(made) = self.made.get(key) {
            return made;
        }
        let slice = Arc::new(self.index.slice(key));
        self.made.insert(key.clone(), Arc::clone(&slice));
        slice
    }
}
