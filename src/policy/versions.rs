//! What changes from one version of the notice to another, and from the policies in force to a
//! draft: the comparisons of `diff.rs` for the recordings that a reader asks about.

use jiff::SignedDuration;

use super::diff::{Change, Side, TurnsOn, compare};
use super::{LoadError, Policies, PolicySources};
use crate::notice::{Effect, Kind, Notice, NoticeVersion, Period, Rule};

/// What changes for some recordings.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Section {
    /// For which.
    pub title: String,
    /// What changes.
    pub changes: Vec<Change>,
}

/// Why two versions cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// There is no such version.
    #[error("there are the notices {}", known.join(", "))]
    NoSuchNotice {
        /// Those that there are.
        known: Vec<String>,
    },
    /// One of them cannot stand alone.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Compares two versions of a folder, each by itself, and says what the newer one takes from the
/// recordings of the older.
///
/// # Errors
/// [`CompareError`].
pub fn compare_notices(
    sources: &PolicySources,
    old: &str,
    new: &str,
) -> Result<Vec<Section>, CompareError> {
    let known = || sources.notices.iter().map(|notice| notice.version.clone()).collect();
    let only = |versions: &[&str]| {
        let mut some = sources.clone();
        some.notices.retain(|notice| versions.contains(&notice.version.as_str()));
        match some.notices.len() == versions.len() {
            true => Ok(Policies::load(&some)?),
            false => Err(CompareError::NoSuchNotice { known: known() }),
        }
    };
    let (old_only, new_only) = (only(&[old])?, only(&[new])?);
    let nothing = || CompareError::NoSuchNotice { known: known() };
    let before = Side::latest(&old_only).ok_or_else(nothing)?;
    let after = Side::latest(&new_only).ok_or_else(nothing)?;
    let title = format!("For recordings made under notice {new}");
    let mut sections = vec![Section { title, changes: compare(before, after) }];
    if before.made < after.made {
        let both = only(&[old, new])?;
        let just_before = after.made.checked_sub(SignedDuration::from_secs(1));
        let made = just_before.unwrap_or(before.made);
        let title = format!("For older recordings, once notice {new} holds");
        let changes = compare(before, Side { policies: &both, made });
        sections.push(Section { title, changes });
    }
    Ok(sections)
}

/// What a draft of one version changes of what is in force.
#[must_use]
pub fn compare_draft(
    in_force: &Policies,
    draft: &Policies,
    version: &NoticeVersion,
) -> Vec<Section> {
    let Some(notice) = draft.notices().version(version) else { return Vec::new() };
    let made = notice.header.effective;
    let at = |made| compare(Side { policies: in_force, made }, Side { policies: draft, made });
    let title = format!("For recordings made under notice {version}");
    let mut sections = vec![Section { title, changes: at(made) }];
    let is_first = draft.notices().all().first().is_some_and(|first| first.version == *version);
    if !is_first && let Ok(made) = made.checked_sub(SignedDuration::from_secs(1)) {
        let title = format!("For older recordings, once notice {version} holds");
        sections.push(Section { title, changes: at(made) });
    }
    sections
}

/// What a draft of one version keeps for longer than what is in force does, by its `keep` clauses:
/// also where nobody may use it any more, it is deleted later.
#[must_use]
pub fn kept_longer(in_force: &Policies, draft: &Policies, version: &NoticeVersion) -> Vec<String> {
    let Some(new) = draft.notices().version(version) else { return Vec::new() };
    let before = || {
        let mut older = in_force.notices().all().iter();
        older.rfind(|notice| notice.header.effective < new.header.effective)
    };
    let Some(old) = in_force.notices().version(version).or_else(before) else {
        return Vec::new();
    };
    let keeps = |notice: &'_ Notice, id: &str| {
        let clause = notice.clauses.iter().find(|clause| clause.id == id)?;
        match &clause.effect {
            Effect::Rule(rule) if rule.kind == Kind::Keep => Some(rule.clone()),
            _ => None,
        }
    };
    let longer = old.clauses.iter().filter_map(|clause| {
        let id = &clause.id;
        let was = keeps(old, id)?;
        let Some(is) = keeps(new, id) else {
            return Some(format!("the clause `{id}`, which ends a use, is gone"));
        };
        let seconds = |rule: &Rule| rule.period.map_or(u32::MAX, Period::seconds);
        let period = |rule: &Rule| rule.period.map_or("no end".to_owned(), |p| p.to_string());
        if seconds(&is) > seconds(&was) {
            let (was, is) = (period(&was), period(&is));
            return Some(format!("the clause `{id}` keeps for {is}, until now for {was}"));
        }
        let same = is.about == was.about && is.clock == was.clock && is.except == was.except;
        (!same).then(|| format!("the clause `{id}` ends other uses, or at another time"))
    });
    longer.collect()
}

/// What of a change asks for a second approval: something is given to somebody new, or kept for
/// longer. Each in the words of its change.
#[must_use]
pub fn weighty(sections: &[Section]) -> Vec<&str> {
    let changes = sections.iter().flat_map(|section| &section.changes);
    let weighty = changes.filter(|change| {
        !change.loses
            && matches!(change.turns_on, TurnsOn::Recipient | TurnsOn::Country | TurnsOn::Period)
    });
    let mut said: Vec<&str> = weighty.map(|change| change.sentence.as_str()).collect();
    said.sort_unstable();
    said.dedup();
    said
}
