//! What can bear on a use of recordings: the permits of the governing notice, and the forbids of it
//! and of each later one. Where the same bears on a use on both sides of a comparison, it is decided
//! alike, and need not be decided.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Policies;
use super::condition::Condition;
use super::derive::Terms;
use super::slice::Filed;
use super::trial::Use;
use crate::identity::Role;
use crate::notice::{Need, NoticeVersion};

/// Everything that can bear on a use.
#[derive(Debug, Default)]
pub(super) struct Bearing {
    /// What it says, without the names of clauses and versions.
    said: BTreeSet<String>,
    /// What it asks for.
    needs: Vec<Need>,
    /// The periods that it ends by, by their seconds.
    pub(super) periods: BTreeMap<i64, String>,
    /// Of what calls are told apart by.
    told_by: BTreeSet<Dimension>,
}

/// What calls are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    Direction,
    Line,
    Department,
    CallType,
    Label,
}

impl Bearing {
    /// Whether the same bears on it.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.said == other.said
    }

    /// Whether a need is asked for anywhere.
    pub(super) fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    /// Whether calls are told apart by this.
    pub(super) fn tells_by(&self, dimension: Dimension) -> bool {
        self.told_by.contains(&dimension)
    }

    /// Everything of both.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.said.extend(other.said);
        self.needs.extend(other.needs);
        self.periods.extend(other.periods);
        self.told_by.extend(other.told_by);
        self
    }

    fn add(&mut self, terms: &Terms, of: &Use, after: i64) {
        let settled = |condition: &&Condition| match condition {
            Condition::GovernedBy(_) => true,
            Condition::Purposes(list) => list.contains(&of.purpose),
            Condition::Artefacts(list) => list.contains(&of.artefact),
            _ => false,
        };
        let when: Vec<&Condition> = terms.when.iter().filter(|one| !settled(one)).collect();
        let permits = terms.role.is_some();
        let said = format!("{permits} {after} {when:?} {:?} {:?}", terms.musts, terms.except);
        self.said.insert(said);
        for condition in terms.when.iter().chain(&terms.musts).chain(terms.except.iter().flatten())
        {
            match condition {
                Condition::Need(need) => self.needs.push(*need),
                Condition::Within(period, _) | Condition::Past(period, _) => {
                    self.periods.insert(i64::from(period.seconds()), period.to_string());
                }
                Condition::Directions(_) => drop(self.told_by.insert(Dimension::Direction)),
                // What is known of a line fills in the others.
                Condition::Lines(_) => drop(self.told_by.insert(Dimension::Line)),
                Condition::Departments(_) => drop(self.told_by.insert(Dimension::Department)),
                Condition::CallTypes(_) => drop(self.told_by.insert(Dimension::CallType)),
                Condition::Labels(_) => drop(self.told_by.insert(Dimension::Label)),
                Condition::GovernedBy(_)
                | Condition::Purposes(_)
                | Condition::Artefacts(_)
                | Condition::Recipients(_)
                | Condition::Countries(_)
                | Condition::Actions(_)
                | Condition::Roles(_) => {}
            }
        }
    }
}

impl Policies {
    /// Everything that can bear on a use of recordings that were made then, under this notice.
    pub(super) fn bearing(
        &self,
        of: &Use,
        governing: Option<&NoticeVersion>,
        made: Timestamp,
    ) -> Bearing {
        let mut bearing = Bearing::default();
        let Some(governing) = governing else { return bearing };
        let filed = Filed {
            notice: governing.clone(),
            action: of.action,
            purpose: of.purpose.clone(),
            roles: [Role::new(&of.role)].into(),
        };
        let index = &self.slices.index;
        for (permit, _) in index.filed(&filed).filter(|(permit, _)| applies(&permit.terms, of)) {
            bearing.add(&permit.terms, of, 0);
        }
        for (version, forbid) in index.forbids_since(governing) {
            let effective = self.notices.version(version).map(|notice| notice.header.effective);
            // From when on it holds, counted from the recording; one second in is at once.
            let after = effective.map_or(0, |at| at.as_second() - made.as_second());
            if applies(&forbid.terms, of) {
                bearing.add(&forbid.terms, of, if after <= 1 { 0 } else { after });
            }
        }
        bearing
    }
}

/// Whether a policy can apply to a use at all.
fn applies(terms: &Terms, of: &Use) -> bool {
    terms.actions.contains(&of.action)
        && (terms.purposes.is_empty() || terms.purposes.contains(&of.purpose))
        && terms.when.iter().all(|condition| match condition {
            Condition::Artefacts(list) => list.contains(&of.artefact),
            Condition::Recipients(list) => of.recipient.as_ref().is_none_or(|to| list.contains(to)),
            _ => true,
        })
}
