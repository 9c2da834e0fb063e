//! Deciding: from a question and its facts to a [`Permit`] or a [`Refusal`], by Cedar.
//!
//! Pure: no network, no disk, no clock; and the only room that names `cedar_policy`. Policies come
//! in as text ([`PolicySources`]); clauses are read (`draft.rs`) and derived to Cedar
//! (`derive.rs`, `condition.rs`), and everything is checked as a whole before any of it counts
//! (`load.rs`, `shape.rs`, `trial.rs`). A decision evaluates the slice of them that can apply
//! (`slice.rs`), on a request and entities built from typed values (`request.rs`). Cedar skips a
//! policy that fails to evaluate, even a forbid; here any such error refuses (`decide.rs`). A
//! refusal names the sentence that refuses, or the one that comes nearest to permitting, and what
//! is missing (`explain.rs`). When the time of a recording is over follows from the same policies
//! (`retention.rs`). For the desk: policy tests (`expect.rs`), their form for the official
//! `cedar` command (`export.rs`), the table of decisions (`table.rs`), what a change changes
//! (`diff.rs`, `versions.rs`) and which layer decided (`layer.rs`). Who may administer the gate is decided by a set of policies of its own, that no
//! question about media ever meets (`administration.rs`).

mod administration;
mod bearing;
mod condition;
mod decide;
mod derive;
mod diff;
mod draft;
mod expect;
mod explain;
mod export;
mod layer;
mod load;
mod request;
mod retention;
mod scenario;
mod shape;
mod slice;
mod source;
mod table;
mod trial;
mod versions;

pub use administration::{AdminAction, AdminPermit, AdminRefusal, Whose};
pub use decide::{Decision, Permit, Question, Reason, Refusal, Stated, Undecidable, Verdict};
pub use diff::{Change, Side, TurnsOn, compare};
pub use draft::{DerivedFile, Draft};
pub use expect::PolicyTest;
pub use explain::Explained;
pub use layer::Layer;
pub use load::{LoadError, Policies};
pub use retention::Retention;
pub use scenario::{Scenario, ScenarioRecording, ScenarioRequest};
pub use source::{LawSource, NoticeSource, PolicySources, text_digest};
pub use versions::{CompareError, Section, compare_draft, compare_notices, kept_longer, weighty};

use std::fmt;
use std::sync::Arc;

pub use crate::media::Action;
use crate::notice::NoticeVersion;

/// A policy that took part in a decision, and the words it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// The policy's `@id`.
    pub policy: String,
    /// What it stands on.
    pub ground: Ground,
}

/// What a policy stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// A sentence of a published notice.
    Clause {
        /// The clause's id.
        clause: String,
        /// Its words in the notice.
        quote: String,
        /// The version that says so.
        notice: NoticeVersion,
    },
    /// A prohibition that no notice can lift.
    Guardrail {
        /// Its `@reason`.
        reason: String,
    },
}

/// SHA-256 over everything that was loaded: schema, guardrails, notices and clauses.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PolicyDigest(Arc<str>);

impl PolicyDigest {
    /// The digest in lower-case hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
