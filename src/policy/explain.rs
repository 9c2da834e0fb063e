//! Saying why: the sentence that refuses, or the one that comes nearest to permitting.

use std::fmt;

use super::decide::{Gap, Near};
use super::slice::Key;
use super::{Citation, Ground, Policies, Reason, Refusal};

impl Policies {
    /// The permit that comes nearest to what was asked under the governing notice.
    pub(super) fn nearest(&self, key: &Key) -> Option<Near> {
        let permits = self.slices.permits_of(&key.notice);
        let near = permits.filter(|(shape, _)| shape.actions.contains(&key.action)).filter_map(
            |(shape, citation)| {
                let role = key.roles.contains(&shape.role);
                let purpose = shape.purpose == key.purpose;
                let gap = match (role, purpose) {
                    (true, true) => Gap::Condition,
                    (false, true) => Gap::Role,
                    (true, false) => Gap::Purpose,
                    (false, false) => return None,
                };
                Some(Near { citation: citation?, gap })
            },
        );
        near.min_by_key(|near| near.gap)
    }
}

impl Refusal {
    /// The citation to show: the clause that refuses or comes nearest, else a guardrail.
    #[must_use]
    pub fn citation(&self) -> Option<&Citation> {
        if let Reason::NotPermitted(Some(near)) = &self.reason {
            return Some(&near.citation);
        }
        let mut cited = self.decision.citations.iter();
        let clause = cited.clone().find(|c| matches!(c.ground, Ground::Clause { .. }));
        clause.or_else(|| cited.next()).map(|citation| &**citation)
    }

    /// One word for the reason, as the ledger and the metrics write it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.reason.code()
    }
}

impl Reason {
    /// One word for the reason, as the ledger and the metrics write it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPurpose => "no-purpose",
            Self::PurposeNotOfToken => "purpose-not-of-token",
            Self::UnknownPurpose => "unknown-purpose",
            Self::NotForCaller => "not-for-caller",
            Self::NoNotice => "no-notice",
            Self::Forbidden => "forbidden",
            Self::NotPermitted(_) => "not-permitted",
            Self::Undecidable(_) => "undecidable",
        }
    }
}

/// One or two sentences for the caller: what refuses, in whose words, and what would help.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let purpose = self.question.purpose.as_ref().map_or("", |purpose| purpose.as_str());
        match &self.reason {
            Reason::NoPurpose => f.write_str(
                "No purpose was given. Say why in a `Noticegate-Purpose` header or a `purpose` \
                 query parameter.",
            ),
            Reason::PurposeNotOfToken => {
                write!(f, "Your token was issued for another purpose than `{purpose}`.")
            }
            Reason::UnknownPurpose => {
                write!(f, "The purpose `{purpose}` is not in the organisation's list of purposes.")
            }
            // What the caller may not know of is not described to them.
            Reason::NotForCaller => f.write_str("The requested resource was not found"),
            Reason::NoNotice => f.write_str(
                "No privacy notice was in force when this recording was made, so nothing was \
                 promised about its use and nothing is permitted.",
            ),
            Reason::Forbidden => self.write_forbidden(f, purpose),
            Reason::NotPermitted(near) => write_not_permitted(f, near.as_ref(), purpose),
            Reason::Undecidable(why) => {
                write!(f, "This cannot be decided at the moment, so it is refused: {why}.")
            }
        }
    }
}

impl Refusal {
    fn write_forbidden(&self, f: &mut fmt::Formatter<'_>, purpose: &str) -> fmt::Result {
        match self.citation().map(|citation| &citation.ground) {
            Some(Ground::Clause { quote, notice, .. }) => write!(
                f,
                "The privacy notice {notice} does not allow `{}` for `{purpose}` here: \"{quote}\"",
                self.question.action.as_str()
            ),
            Some(Ground::Guardrail { reason }) => {
                write!(f, "A standing rule refuses this: {reason}.")
            }
            None => f.write_str("A standing rule refuses this."),
        }
    }
}

fn write_not_permitted(
    f: &mut fmt::Formatter<'_>,
    near: Option<&Near>,
    purpose: &str,
) -> fmt::Result {
    let Some(Near { citation, gap }) = near else {
        return write!(
            f,
            "No sentence of the privacy notice allows your role to use recordings for \
             `{purpose}`."
        );
    };
    let Ground::Clause { quote, notice, .. } = &citation.ground else {
        return f.write_str("No sentence of the privacy notice allows this.");
    };
    let gap = match gap {
        Gap::Condition => "and a condition of it is not met",
        Gap::Role => "and your role is not one of those it means",
        Gap::Purpose => "which is another purpose",
    };
    write!(
        f,
        "The privacy notice {notice} does not allow your role to use this recording for \
         `{purpose}`. The nearest it says is \"{quote}\", {gap}."
    )
}
