//! Drafts of a notice: written in the console, approved by others, put into the policy folder.
//!
//! A draft is one version of the notice: its text and its `clauses.toml`, on top of the policies that
//! were in force when it was begun. What it says is checked as the whole folder is (`check.rs`).
//! Whoever writes in it is an author of it, and no author approves it; who may approve at all is
//! Cedar's matter, asked by the console. Whatever changes in it takes back its approvals. Drafts are
//! files of their own (`store.rs`); one that is approved is put into the policy folder in one step
//! (`apply.rs`), or told as a patch (`patch.rs`). Nothing here decides about media: what counts is
//! what the gate loads from the folder.

mod apply;
mod check;
mod patch;
mod store;

pub use apply::{ApplyError, Undo, put, put_table};
pub use check::{Checked, FileCheck, seal};
pub use patch::patch;
pub use store::{Drafts, StoreError};

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::notice::NoticeVersion;
use crate::policy::{NoticeSource, PolicySources, text_digest};

/// The name of a draft. It tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DraftId(String);

/// LIMIT: hexadecimal digits of a name. Two drafts of one folder never share it.
const ID_LENGTH: usize = 12;

/// The text is not the name of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a draft is named by 12 hexadecimal digits")]
pub struct NotADraft;

impl DraftId {
    /// A new name.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string().chars().take(ID_LENGTH).collect())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DraftId {
    type Err = NotADraft;

    // TRUST: a name becomes a file's name, so nothing but these digits may stand in it.
    fn from_str(text: &str) -> Result<Self, NotADraft> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match text.len() == ID_LENGTH && text.bytes().all(hex) {
            true => Ok(Self(text.to_owned())),
            false => Err(NotADraft),
        }
    }
}

impl TryFrom<String> for DraftId {
    type Error = NotADraft;

    fn try_from(text: String) -> Result<Self, NotADraft> {
        text.parse()
    }
}

impl From<DraftId> for String {
    fn from(id: DraftId) -> Self {
        id.0
    }
}

impl fmt::Display for DraftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stood in the policy folder when a draft was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The digest of all policies.
    pub digest: String,
    /// The published text of this version, if there was one.
    pub text: Option<String>,
    /// Its `clauses.toml`.
    pub meaning: Option<String>,
}

impl Base {
    /// What stands there now.
    #[must_use]
    pub fn of(sources: &PolicySources, version: &NoticeVersion) -> Self {
        let notice = notice_of(sources, version);
        Self {
            digest: sources.digest().as_str().to_owned(),
            text: notice.map(|notice| notice.text.clone()),
            meaning: notice.map(|notice| notice.meaning.clone()),
        }
    }
}

/// The texts of a version.
fn notice_of<'a>(sources: &'a PolicySources, version: &NoticeVersion) -> Option<&'a NoticeSource> {
    sources.notices.iter().find(|notice| notice.version == version.as_str())
}

/// A digest of what a version says.
#[must_use]
pub fn content(version: &NoticeVersion, text: &str, meaning: &str) -> String {
    text_digest(&format!("{version}\n{}\n{meaning}", text_digest(text)))
}

/// Somebody who did something, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Who, by their id.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A draft that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Who submitted it, and when.
    #[serde(flatten)]
    pub deed: Deed,
    /// How many have to approve it.
    pub needs: usize,
    /// Why it needs more than one: the changes that weigh so much.
    pub weighty: Vec<String>,
    /// The digest that the policies have with it.
    pub digest: String,
}

/// How a draft ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Who ended it, and when.
    #[serde(flatten)]
    pub deed: Deed,
    /// How.
    pub how: Ending,
}

/// How a draft can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It was put into the policy folder.
    Activated,
    /// It was given up.
    Withdrawn,
}

/// Where a draft stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being written.
    Writing,
    /// It waits for this many more approvals.
    Waiting(usize),
    /// It may be put in force.
    Approved,
    /// It was put into the policy folder.
    Activated,
    /// It was given up.
    Withdrawn,
}

/// One draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Its name.
    pub id: DraftId,
    /// How often it was written; whoever changes it says which one they saw.
    pub revision: u64,
    /// The version of the notice that it writes.
    pub version: NoticeVersion,
    /// The published text.
    pub text: String,
    /// `clauses.toml`.
    pub meaning: String,
    /// Why.
    pub reason: String,
    /// What it is on top of.
    pub base: Base,
    /// Everybody who wrote in it; the first began it.
    pub authors: Vec<String>,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it was last written.
    pub changed_at: Timestamp,
    /// That it waits for approval.
    pub submitted: Option<Submitted>,
    /// Who approved it as it is.
    pub approvals: Vec<Deed>,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// Why something cannot be done with a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Somebody else was faster.
    #[error("somebody has changed the draft since this page was made; look at it again")]
    Changed,
    /// It has ended.
    #[error("the draft has ended and cannot be changed; begin another")]
    Ended,
    /// It is not submitted.
    #[error("the draft is not submitted")]
    NotSubmitted,
    /// It waits for approval already.
    #[error("the draft is submitted already")]
    Submitted,
    /// It needs a reason.
    #[error("write down why: whoever approves it has to know")]
    NoReason,
    /// The same person approved it already.
    #[error("you have approved this draft already; somebody else has to, too")]
    Twice,
    /// Somebody who wrote it.
    #[error("nobody approves what they wrote")]
    Own,
    /// It lacks approvals.
    #[error("the draft has not been approved by as many as it needs")]
    NotApproved,
    /// The policies it is on top of are not in force any more.
    #[error("other policies are in force since this draft was begun; take them in first")]
    OldBase,
}

impl Draft {
    /// Begins a draft of a version: of what is in force of it, or, if it is new, of another version.
    #[must_use]
    pub fn begin(
        version: NoticeVersion,
        like: &NoticeSource,
        sources: &PolicySources,
        deed: Deed,
    ) -> Self {
        let base = Base::of(sources, &version);
        Self {
            id: DraftId::random(),
            revision: 0,
            version,
            text: like.text.clone(),
            meaning: like.meaning.clone(),
            reason: String::new(),
            base,
            authors: vec![deed.by],
            begun_at: deed.at,
            changed_at: deed.at,
            submitted: None,
            approvals: Vec::new(),
            ended: None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        match (&self.ended, &self.submitted) {
            (Some(ended), _) => match ended.how {
                Ending::Activated => State::Activated,
                Ending::Withdrawn => State::Withdrawn,
            },
            (None, None) => State::Writing,
            (None, Some(submitted)) => match submitted.needs.saturating_sub(self.approvals.len()) {
                0 => State::Approved,
                more => State::Waiting(more),
            },
        }
    }

    /// Whether somebody wrote in it.
    #[must_use]
    pub fn is_by(&self, who: &str) -> bool {
        self.authors.iter().any(|author| author == who)
    }

    /// Whether it is on top of these policies.
    #[must_use]
    pub fn is_on(&self, sources: &PolicySources) -> bool {
        self.base.digest == sources.digest().as_str()
    }

    /// A digest of what it says, for entries.
    #[must_use]
    pub fn content(&self) -> String {
        content(&self.version, &self.text, &self.meaning)
    }

    /// Whether somebody who saw a revision may still change it.
    ///
    /// # Errors
    /// [`StepError`] if it has changed or ended.
    pub fn open(&self, seen: u64) -> Result<(), StepError> {
        match (&self.ended, self.revision == seen) {
            (Some(_), _) => Err(StepError::Ended),
            (None, true) => Ok(()),
            (None, false) => Err(StepError::Changed),
        }
    }

    /// Writes in it. It has to be submitted and approved again.
    pub fn write(&mut self, text: String, meaning: String, reason: String, deed: Deed) {
        if self.text != text || self.meaning != meaning {
            self.take_back();
        }
        self.text = text;
        self.meaning = meaning;
        self.reason = reason;
        self.changed_by(deed);
    }

    /// Puts it on top of what is in force now.
    pub fn rebase(&mut self, sources: &PolicySources, deed: Deed) {
        self.base = Base::of(sources, &self.version);
        self.take_back();
        self.changed_by(deed);
    }

    fn take_back(&mut self) {
        self.submitted = None;
        self.approvals.clear();
    }

    fn changed_by(&mut self, deed: Deed) {
        if !self.is_by(&deed.by) {
            self.authors.push(deed.by);
        }
        self.changed_at = deed.at;
    }

    /// Lets it wait for approval.
    ///
    /// # Errors
    /// [`StepError`] if it waits already, or tells no reason.
    pub fn submit(&mut self, submitted: Submitted) -> Result<(), StepError> {
        if self.submitted.is_some() {
            return Err(StepError::Submitted);
        }
        if self.reason.trim().is_empty() {
            return Err(StepError::NoReason);
        }
        self.changed_at = submitted.deed.at;
        self.submitted = Some(submitted);
        Ok(())
    }

    /// Whether somebody can approve it as it is.
    ///
    /// # Errors
    /// [`StepError`] if it is not submitted, or they wrote or approved it.
    pub fn can_approve(&self, who: &str) -> Result<(), StepError> {
        if self.submitted.is_none() {
            return Err(StepError::NotSubmitted);
        }
        if self.is_by(who) {
            return Err(StepError::Own);
        }
        if self.approvals.iter().any(|deed| deed.by == who) {
            return Err(StepError::Twice);
        }
        Ok(())
    }

    /// Approves it.
    ///
    /// # Errors
    /// [`StepError`], as [`Draft::can_approve`].
    pub fn approve(&mut self, deed: Deed) -> Result<(), StepError> {
        self.can_approve(&deed.by)?;
        self.approvals.push(deed);
        Ok(())
    }

    /// Sends it back to its authors.
    ///
    /// # Errors
    /// [`StepError`] if it is not submitted.
    pub fn send_back(&mut self, deed: &Deed) -> Result<(), StepError> {
        if self.submitted.is_none() {
            return Err(StepError::NotSubmitted);
        }
        self.take_back();
        self.changed_at = deed.at;
        Ok(())
    }

    /// Whether it may be put into a folder that holds these texts.
    ///
    /// # Errors
    /// [`StepError`] if it lacks approvals or is on top of others.
    pub fn can_activate(&self, sources: &PolicySources) -> Result<(), StepError> {
        match self.state() {
            State::Approved if self.is_on(sources) => Ok(()),
            State::Approved => Err(StepError::OldBase),
            State::Activated | State::Withdrawn => Err(StepError::Ended),
            State::Writing => Err(StepError::NotSubmitted),
            State::Waiting(_) => Err(StepError::NotApproved),
        }
    }

    /// Ends it.
    pub fn end(&mut self, how: Ending, deed: Deed) {
        self.changed_at = deed.at;
        self.ended = Some(Ended { deed, how });
    }
}

#[cfg(test)]
mod tests;
