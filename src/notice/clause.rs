//! The clause language: what one sentence of a notice means, as typed values.
//!
//! `read.rs` makes these from `clauses.toml`; `plain.rs` says them in a sentence; `policy` derives
//! Cedar from them. The words are explained in `docs/policy-guide.md`.

use jiff::civil::Date;

use super::period::Period;
use crate::media::{Action, Artefact, Direction};
use crate::purpose::Purpose;
use crate::words::words;

/// One statement of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Its name, unique in its notice.
    pub id: String,
    /// The line of `clauses.toml` that names it.
    pub line: usize,
    /// Its words, verbatim in the notice.
    pub quote: String,
    /// The line of `clauses.toml` on which the quote starts.
    pub quote_line: usize,
    /// What it means.
    pub effect: Effect,
    /// The lawful basis it claims.
    pub basis: Option<Basis>,
    /// The day by which somebody should look at it again.
    pub review: Option<Date>,
}

/// What a clause means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Something that is permitted or refused.
    Rule(Box<Rule>),
    /// Rights, security, contact: no rule.
    Inform {
        /// How long before a change people are told.
        notice_period: Option<Period>,
    },
    /// Nobody has written yet what it means; it permits nothing.
    Undecided,
}

/// A clause that permits or refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which of the four.
    pub kind: Kind,
    /// Who is permitted; only a permit has them.
    pub roles: Vec<String>,
    /// What it is about.
    pub about: Selectors,
    /// What must be known to hold, in a permit and a requirement.
    pub needs: Vec<Need>,
    /// What alone is allowed, in a requirement.
    pub only: Selectors,
    /// How long: the end of a permission, or of every use.
    pub period: Option<Period>,
    /// When the period begins.
    pub clock: PeriodStart,
    /// Where a prohibition says nothing: one of them is enough.
    pub except: Vec<Exception>,
}

words! {
    /// The kinds of rules.
    Kind {
        /// These roles may do this for these purposes.
        Permit = "permit",
        /// Nobody may.
        Forbid = "forbid",
        /// Nobody may from the end of a period on.
        Keep = "keep",
        /// Nobody may unless.
        Require = "require",
    }
}

/// What a clause is about. An empty list means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// What is done.
    pub actions: Vec<Action>,
    /// With what.
    pub artefacts: Vec<Artefact>,
    /// Why.
    pub purposes: Vec<Purpose>,
    /// Which calls, by who called.
    pub directions: Vec<Direction>,
    /// Which calls, by telephone line.
    pub lines: Vec<String>,
    /// Which calls, by the part of the organisation.
    pub departments: Vec<String>,
    /// Which calls, by type.
    pub call_types: Vec<String>,
    /// Which calls, by label; one of them is enough.
    pub labels: Vec<String>,
    /// To whom it is given.
    pub recipients: Vec<String>,
    /// In which country they are (ISO 3166-1 alpha-2).
    pub countries: Vec<String>,
}

/// Where a prohibition says nothing: all parts must be known to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// For these roles.
    pub roles: Vec<String>,
    /// For these uses.
    pub about: Selectors,
    /// Where this holds.
    pub needs: Vec<Need>,
}

words! {
    /// When a period begins.
    PeriodStart {
        /// When the call ended.
        CallEnd = "call-end",
        /// When the case about the call was closed.
        CaseEnd = "case-end",
    }
}

words! {
    /// Something that must be known to hold.
    Need {
        /// Everybody on the call gave consent.
        Consent = "consent",
        /// By pressing a key, in spoken words, or in writing.
        ExplicitConsent = "explicit-consent",
        /// In writing.
        WrittenConsent = "written-consent",
        /// A guardian gave it for each child.
        GuardianConsent = "guardian-consent",
        /// Everybody heard to its end that the call is recorded.
        Announcement = "announcement",
        /// Nobody objected to this purpose or withdrew from it.
        NoObjection = "no-objection",
        /// A complaint, dispute or claim about the call is open.
        OpenCase = "open-case",
        /// No card details were recorded.
        PaymentPause = "payment-pause",
        /// The artefact names nobody any more.
        Anonymised = "anonymised",
        /// The recording is stored encrypted.
        Encrypted = "encrypted",
        /// A legal hold lies on it.
        Hold = "hold",
        /// The request names its case, form or legal demand.
        Reference = "reference",
        /// The request says its reason in words.
        Reason = "reason",
        /// A second person approved the request.
        Approval = "approval",
        /// The person who gets it proved to be on the call.
        IdentityCheck = "identity-check",
        /// The recipient's contract is on file.
        Contract = "contract",
        /// Only a stated part is given.
        PartOnly = "part-only",
        /// The caller took part in the call.
        OnTheCall = "on-the-call",
        /// The caller manages the agent on the call.
        ManagesAgent = "manages-agent",
        /// Personal details were taken out of what is served.
        Redacted = "redacted",
        /// What is served is encrypted with a key that the gate does not hold.
        StillEncrypted = "still-encrypted",
        /// A legal hold lets the caller use the recording for this purpose after its time.
        HoldParty = "hold-party",
    }
}

words! {
    /// What can be known to hold of a recording or a request beyond its plain facts. What is not
    /// known to hold does not hold.
    Circumstance {
        /// A guardian's consent for each child on the call.
        GuardianConsent = "guardian-consent",
        /// The announcement was heard to its end by everybody.
        Announcement = "announcement",
        /// A case about the call is open.
        OpenCase = "open-case",
        /// No card details were recorded.
        PaymentPause = "payment-pause",
        /// The artefact is anonymised.
        Anonymised = "anonymised",
        /// A legal hold lies on the recording.
        Hold = "hold",
        /// The request has a reference.
        Reference = "reference",
        /// The request has a reason.
        Reason = "reason",
        /// The request was approved.
        Approval = "approval",
        /// The recipient's identity was checked.
        IdentityCheck = "identity-check",
        /// The recipient's contract is on file.
        Contract = "contract",
        /// Only a part is given.
        PartOnly = "part-only",
        /// The caller took part in the call.
        OnTheCall = "on-the-call",
        /// The caller manages the agent on the call.
        ManagesAgent = "manages-agent",
        /// Personal details were taken out of what is served.
        Redacted = "redacted",
        /// What is served is encrypted with a key that the gate does not hold.
        StillEncrypted = "still-encrypted",
        /// A legal hold lets the caller use the recording for this purpose after its time.
        HoldParty = "hold-party",
        /// Card details may have been recorded: payment was taken, or the call is of that kind, and
        /// no pause is known.
        CardExposed = "card-exposed",
    }
}

impl Need {
    /// The circumstance that it asks for; `None` if it asks for a plain fact.
    #[must_use]
    pub fn circumstance(self) -> Option<Circumstance> {
        Circumstance::read(self.as_str())
    }
}

impl Circumstance {
    /// True if it is one of the request; else it is one of the recording.
    #[must_use]
    pub fn is_of_request(self) -> bool {
        match self {
            Self::Reference
            | Self::Reason
            | Self::Approval
            | Self::IdentityCheck
            | Self::Contract
            | Self::PartOnly
            | Self::OnTheCall
            | Self::ManagesAgent
            | Self::Redacted
            | Self::StillEncrypted
            | Self::HoldParty => true,
            Self::GuardianConsent
            | Self::Announcement
            | Self::OpenCase
            | Self::PaymentPause
            | Self::Anonymised
            | Self::CardExposed
            | Self::Hold => false,
        }
    }
}

words! {
    /// How consent was given.
    ConsentForm {
        /// By staying on the line after the announcement.
        StayedOn = "stayed-on",
        /// By pressing a key.
        PressedKey = "pressed-key",
        /// In spoken words.
        Spoke = "spoke",
        /// In writing.
        Wrote = "wrote",
        /// By a contract.
        Contract = "contract",
    }
}

words! {
    /// The lawful basis that a clause claims (GDPR, article 6(1)).
    Basis {
        /// (a)
        Consent = "consent",
        /// (b)
        Contract = "contract",
        /// (c)
        LegalObligation = "legal-obligation",
        /// (d)
        VitalInterests = "vital-interests",
        /// (e)
        PublicTask = "public-task",
        /// (f)
        LegitimateInterests = "legitimate-interests",
    }
}

impl Basis {
    /// What a use on this basis needs: consent, or that nobody objected (GDPR, article 21(1)).
    #[must_use]
    pub fn need(self) -> Option<Need> {
        match self {
            Self::Consent => Some(Need::Consent),
            Self::PublicTask | Self::LegitimateInterests => Some(Need::NoObjection),
            Self::Contract | Self::LegalObligation | Self::VitalInterests => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circumstance_is_a_need_and_every_other_need_is_a_plain_fact() {
        // That something bad is known is for guardrails to ask; no promise needs it.
        for circumstance in Circumstance::ALL.iter().filter(|c| **c != Circumstance::CardExposed) {
            let need = Need::read(circumstance.as_str()).unwrap();
            assert_eq!(need.circumstance(), Some(*circumstance));
        }
        let plain = Need::ALL.iter().filter(|need| need.circumstance().is_none());
        let plain: Vec<&str> = plain.map(|need| need.as_str()).collect();
        let known = ["consent", "explicit-consent", "written-consent", "no-objection", "encrypted"];
        assert_eq!(plain, known);
    }
}
