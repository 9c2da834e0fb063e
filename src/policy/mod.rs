//! Deciding: from a question and its facts to a [`Permit`] or a [`Refusal`], by Cedar.
//!
//! Pure: no network, no disk, no clock; and the only room that names `cedar_policy`. Policies come
//! in as text ([`PolicySources`]) and are checked as a whole before any of them counts
//! (`load.rs`, `shape.rs`). A decision evaluates the slice of them that can apply (`slice.rs`),
//! on a request and entities built from typed values (`request.rs`). Cedar skips a policy that
//! fails to evaluate, even a forbid; here any such error refuses (`decide.rs`). A refusal names
//! the sentence that refuses, or the one that comes nearest to permitting (`explain.rs`).

mod decide;
mod explain;
mod load;
mod request;
mod shape;
mod slice;
mod source;

pub use decide::{Decision, Permit, Question, Reason, Refusal, Undecidable, Verdict};
pub use load::{LoadError, Policies, Problem};
pub use source::{NoticeSource, PolicySources};

use std::fmt;
use std::sync::Arc;

use crate::media::{Form, MediaRef};
use crate::notice::NoticeVersion;

/// What a caller wants to do with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Have the sound. HEAD asks for the same as the GET it stands for.
    Access,
    /// Have what Twilio says about it.
    Describe,
}

impl Action {
    /// The action that a reference asks for.
    #[must_use]
    pub fn on(media: &MediaRef) -> Self {
        match media.form {
            Form::Audio { .. } => Self::Access,
            Form::Metadata => Self::Describe,
        }
    }

    /// The action's id in Cedar, and its word in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Describe => "describe",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Access, Self::Describe].into_iter().find(|action| action.as_str() == text)
    }
}

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
