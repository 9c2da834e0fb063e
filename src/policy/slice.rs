//! Which policies can apply: the index and the slices made from it.
//!
//! Cedar scans every policy on every request, so a decision is given only those that can apply. A
//! permit is in a slice only if the slice's role, action, purpose and notice are the ones that the
//! permit's own structure is bound to (`shape.rs`). A forbid is left out only if it is bound to
//! another purpose, or to a notice older than the governing one, of which the recording is not a
//! child. So what is left out could not have been satisfied. A property test holds slices to the
//! full set.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet};

use super::shape::PermitShape;
use super::{Action, Citation};
use crate::identity::Role;
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

#[derive(Debug)]
pub(super) struct Slices {
    permits: Vec<(PermitShape, Policy)>,
    by_key: HashMap<(NoticeVersion, Action, Purpose, Role), Vec<usize>>,
    known_roles: BTreeSet<(NoticeVersion, Role)>,
    forbids: Vec<Forbid>,
    /// The versions by the moment each took effect.
    order: Vec<NoticeVersion>,
    citations: BTreeMap<PolicyId, Arc<Citation>>,
    made: moka::sync::Cache<Key, Arc<PolicySet>>,
}

/// A forbid with what it is bound to; a guardrail is bound to no notice.
#[derive(Debug)]
pub(super) struct Forbid {
    pub(super) notice: Option<NoticeVersion>,
    pub(super) purpose: Option<Purpose>,
    pub(super) policy: Policy,
}

impl Slices {
    pub(super) fn new(
        permits: Vec<(PermitShape, Policy)>,
        forbids: Vec<Forbid>,
        order: Vec<NoticeVersion>,
        citations: BTreeMap<PolicyId, Arc<Citation>>,
    ) -> Self {
        let mut by_key: HashMap<_, Vec<usize>> = HashMap::new();
        let mut known_roles = BTreeSet::new();
        for (index, (shape, _)) in permits.iter().enumerate() {
            known_roles.insert((shape.notice.clone(), shape.role.clone()));
            for action in &shape.actions {
                let PermitShape { notice, purpose, role, .. } = shape;
                let key = (notice.clone(), *action, purpose.clone(), role.clone());
                by_key.entry(key).or_default().push(index);
            }
        }
        Self {
            permits,
            by_key,
            known_roles,
            forbids,
            order,
            citations,
            made: moka::sync::Cache::new(SLICES_MAX),
        }
    }

    /// True if some clause of this notice gives one of the roles any use of recordings.
    pub(super) fn knows_any(&self, notice: &NoticeVersion, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.known_roles.contains(&(notice.clone(), role.clone())))
    }

    pub(super) fn get(&self, key: &Key) -> Arc<PolicySet> {
        if let Some(made) = self.made.get(key) {
            return made;
        }
        let slice = Arc::new(self.make(key));
        self.made.insert(key.clone(), Arc::clone(&slice));
        slice
    }

    fn make(&self, key: &Key) -> PolicySet {
        let permits = key.roles.iter().flat_map(|role| {
            let Key { notice, action, purpose, .. } = key;
            self.filed(notice, *action, purpose, role).map(|(_, policy)| policy)
        });
        let forbids = self.forbids.iter().filter(|forbid| self.can_apply(forbid, key));
        let forbids = forbids.map(|forbid| &forbid.policy);
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

    fn can_apply(&self, forbid: &Forbid, key: &Key) -> bool {
        let place = |notice: &NoticeVersion| self.order.iter().position(|v| v == notice);
        let of_purpose = forbid.purpose.as_ref().is_none_or(|purpose| *purpose == key.purpose);
        let since = forbid.notice.as_ref().is_none_or(|notice| place(notice) >= place(&key.notice));
        of_purpose && since
    }

    fn filed(
        &self,
        notice: &NoticeVersion,
        action: Action,
        purpose: &Purpose,
        role: &Role,
    ) -> impl Iterator<Item = &(PermitShape, Policy)> {
        let key = (notice.clone(), action, purpose.clone(), role.clone());
        let indexes = self.by_key.get(&key).into_iter().flatten();
        indexes.filter_map(|index| self.permits.get(*index))
    }

    /// All permits of a notice, for explanations.
    pub(super) fn permits_of(
        &self,
        notice: &NoticeVersion,
    ) -> impl Iterator<Item = (&PermitShape, Option<Arc<Citation>>)> {
        let permits = self.permits.iter().filter(move |(shape, _)| shape.notice == *notice);
        permits.map(|(shape, policy)| (shape, self.citation(policy.id())))
    }

    pub(super) fn citation(&self, id: &PolicyId) -> Option<Arc<Citation>> {
        self.citations.get(id).cloned()
    }
}
