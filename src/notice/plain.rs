//! Each clause in one plain sentence, made from its structure, so that whoever wrote the clause
//! sees what it really says.

use super::clause::{Clause, Effect, Exception, Kind, Need, PeriodStart, Rule, Selectors};
use super::vocabulary::Vocabulary;
use crate::media::{Action, Artefact, Direction};
use crate::purpose::Purpose;

/// Says things in the names of a vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a Vocabulary);

impl Plain<'_> {
    /// A clause in one sentence.
    #[must_use]
    pub fn clause(self, clause: &Clause) -> String {
        match &clause.effect {
            Effect::Rule(rule) => self.rule(rule),
            Effect::Inform { notice_period: Some(period) } => {
                format!("Information: people are told {period} before a change.")
            }
            Effect::Inform { notice_period: None } => "Information; no rule.".to_owned(),
            Effect::Undecided => {
                "Undecided: it permits nothing until somebody writes what it means.".to_owned()
            }
        }
    }

    fn rule(self, rule: &Rule) -> String {
        let about = &rule.about;
        let what = format!("{}{}", self.verbs(about), self.to_whom(about));
        let why = self.purposes(&about.purposes);
        let after = |period| format!("{period} after {}", start(rule.clock));
        let period = rule.period.map(after);
        let sentence = match rule.kind {
            Kind::Permit => {
                let until = period.map(|p| format!(", until {p}")).unwrap_or_default();
                let roles = self.names(&rule.roles, "and", |id| {
                    self.0.roles.get(id).map(|word| word.name.as_str())
                });
                format!("{roles} may {what}{why}{}{until}", condition(&rule.needs))
            }
            Kind::Forbid => format!("nobody may {what}{why}"),
            Kind::Keep => {
                let from = period.map(|p| format!(" from {p} on")).unwrap_or_default();
                format!("nobody may {what}{why}{from}")
            }
            Kind::Require => {
                let only = self.only(&rule.only);
                let needs = needs(&rule.needs);
                let rest = match (only.is_empty(), needs.is_empty()) {
                    (true, _) => format!("if {needs}"),
                    (false, true) => only,
                    (false, false) => format!("{only}, if {needs}"),
                };
                format!("one may {what}{why} only {rest}")
            }
        };
        capital(&format!("{sentence}{}.", self.unless(&rule.except)))
    }

    fn verbs(self, about: &Selectors) -> String {
        let artefacts: &[Artefact] = &about.artefacts;
        let things = match artefacts {
            [] => "recordings and what is made from them".to_owned(),
            some => join(some.iter().map(|a| thing(*a).to_owned()), "and"),
        };
        let of = format!("{things}{}", self.scope(about));
        let use_ = match artefacts {
            [Artefact::Audio] => "hear",
            [Artefact::Transcript | Artefact::Summary | Artefact::Analysis] => "read",
            _ => "use",
        };
        let has = |action| about.actions.is_empty() || about.actions.contains(&action);
        let uses = Action::USES.iter().all(|action| has(*action));
        if uses && !has(Action::Delete) {
            return format!("use {of}");
        }
        let mut verbs: Vec<&str> = Vec::new();
        for (action, verb) in
            [(Action::Access, use_), (Action::Share, "share"), (Action::Delete, "delete")]
        {
            if has(action) {
                verbs.push(verb);
            }
        }
        match (verbs.is_empty(), has(Action::Describe)) {
            (true, _) => format!("see the details of {of}"),
            (false, true) => {
                let verbs = join(verbs.into_iter().map(str::to_owned), "and");
                format!("{verbs} {of} and see their details")
            }
            (false, false) => {
                format!("{} {of}", join(verbs.into_iter().map(str::to_owned), "and"))
            }
        }
    }

    /// Which calls: ` of inbound support calls on the support line`.
    fn scope(self, about: &Selectors) -> String {
        let Selectors { directions, lines, departments, call_types, labels, .. } = about;
        let plain = directions.is_empty()
            && lines.is_empty()
            && departments.is_empty()
            && call_types.is_empty()
            && labels.is_empty();
        if plain {
            return String::new();
        }
        let word = |map: &std::collections::BTreeMap<String, super::Word>, ids: &[String]| {
            join(ids.iter().map(|id| map.get(id).map_or(id, |w| &w.name).clone()), "or")
        };
        let mut said = String::from(" of ");
        if !directions.is_empty() {
            let words = directions.iter().map(|d| Direction::as_str(*d).to_owned());
            said.push_str(&join(words, "or"));
            said.push(' ');
        }
        match call_types.is_empty() {
            true => said.push_str("calls"),
            false => said.push_str(&word(&self.0.call_types, call_types)),
        }
        if !lines.is_empty() {
            let name = |id: &String| self.0.lines.get(id).map_or(id, |line| &line.name).clone();
            said.push_str(&format!(" on {}", join(lines.iter().map(name), "or")));
        }
        if !departments.is_empty() {
            said.push_str(&format!(" in {}", word(&self.0.departments, departments)));
        }
        if !labels.is_empty() {
            said.push_str(&format!(" ({})", word(&self.0.labels, labels)));
        }
        said
    }

    fn to_whom(self, about: &Selectors) -> String {
        let mut said = String::new();
        if !about.recipients.is_empty() {
            let name = |id: &str| self.0.recipients.get(id).map(|word| word.name.as_str());
            said.push_str(&format!(" with {}", self.names(&about.recipients, "or", name)));
        }
        if !about.countries.is_empty() {
            said.push_str(&format!(" in {}", join(about.countries.iter().cloned(), "or")));
        }
        said
    }

    fn purposes(self, purposes: &[Purpose]) -> String {
        match purposes {
            [] => String::new(),
            some => format!(" for {}", join(some.iter().map(|p| self.purpose(p)), "or")),
        }
    }

    /// The name of a purpose.
    #[must_use]
    pub fn purpose(self, purpose: &Purpose) -> String {
        let word = self.0.purposes.get(purpose);
        word.map_or_else(|| purpose.to_string(), |word| word.name.clone())
    }

    /// The name of a role.
    #[must_use]
    pub fn role(self, role: &str) -> String {
        self.0.roles.get(role).map_or_else(|| role.to_owned(), |word| word.name.clone())
    }

    /// The name of a recipient.
    #[must_use]
    pub fn recipient(self, recipient: &str) -> String {
        let word = self.0.recipients.get(recipient);
        word.map_or_else(|| recipient.to_owned(), |word| word.name.clone())
    }

    fn only(self, only: &Selectors) -> String {
        let mut parts = Vec::new();
        if !only.actions.is_empty() || !only.artefacts.is_empty() {
            let actions = only.actions.iter().map(|a| Action::as_str(*a).to_owned());
            let artefacts = only.artefacts.iter().map(|a| thing(*a).to_owned());
            parts.push(format!("to {}", join(actions.chain(artefacts), "or")));
        }
        parts.push(self.purposes(&only.purposes).trim_start().to_owned());
        let scope = self.scope(only);
        if !scope.is_empty() {
            parts.push(format!("recordings{scope}"));
        }
        parts.push(self.to_whom(only).trim_start().to_owned());
        parts.retain(|part| !part.is_empty());
        join(parts.into_iter(), "and")
    }

    fn unless(self, except: &[Exception]) -> String {
        match except {
            [] => String::new(),
            some => {
                let each = some.iter().map(|except| self.exception(except));
                format!(", unless {}", each.collect::<Vec<_>>().join(", or "))
            }
        }
    }

    fn exception(self, except: &Exception) -> String {
        let mut parts = Vec::new();
        if !except.roles.is_empty() {
            let name = |id: &str| self.0.roles.get(id).map(|word| word.name.as_str());
            parts.push(format!("they are {}", self.names(&except.roles, "or", name)));
        }
        let about = &except.about;
        let done = about.actions.iter().map(|action| action.as_str().to_owned());
        let with = about.artefacts.iter().map(|artefact| thing(*artefact).to_owned());
        let done: Vec<String> = done.chain(with).collect();
        if !done.is_empty() {
            parts.push(format!("it is to {}", join(done.into_iter(), "or")));
        }
        let said = [self.purposes(&about.purposes), self.scope(about), self.to_whom(about)];
        parts.extend(said.iter().filter(|s| !s.is_empty()).map(|said| format!("it is{said}")));
        let needs = needs(&except.needs);
        if !needs.is_empty() {
            parts.push(needs);
        }
        join(parts.into_iter(), "and")
    }

    fn names<'n>(
        self,
        ids: &'n [String],
        last: &str,
        name: impl Fn(&'n str) -> Option<&'n str>,
    ) -> String {
        join(ids.iter().map(|id| name(id).unwrap_or(id).to_owned()), last)
    }
}

/// What a need asks for, as half a sentence.
#[must_use]
pub(crate) fn need(need: Need) -> &'static str {
    match need {
        Need::Consent => "everybody on the call consented",
        Need::ExplicitConsent => "everybody on the call consented by a key, in words or in writing",
        Need::WrittenConsent => "everybody on the call consented in writing",
        Need::GuardianConsent => "a guardian consented for each child on the call",
        Need::Announcement => "everybody heard that the call is recorded",
        Need::NoObjection => "nobody on the call objected to it",
        Need::OpenCase => "a case about the call is open",
        Need::PaymentPause => "no card details were recorded",
        Need::Anonymised => "it is anonymised",
        Need::Encrypted => "the recording is stored encrypted",
        Need::Hold => "a legal hold lies on the recording",
        Need::Reference => "the request names its case, form or demand",
        Need::Reason => "the request says its reason",
        Need::Approval => "a second person approved the request",
        Need::IdentityCheck => "the recipient proved to be on the call",
        Need::Contract => "the recipient's contract is on file",
        Need::PartOnly => "only a stated part is given",
        Need::OnTheCall => "the caller took part in the call",
        Need::ManagesAgent => "the caller manages the agent on the call",
        Need::Redacted => "personal details were taken out",
        Need::HoldParty => "a legal hold names them and this purpose",
        Need::StillEncrypted => "it stays encrypted, with a key that the gate does not hold",
    }
}

fn needs(needs: &[Need]) -> String {
    join(needs.iter().map(|n| need(*n).to_owned()), "and")
}

fn condition(list: &[Need]) -> String {
    match list {
        [] => String::new(),
        some => format!(", if {}", needs(some)),
    }
}

fn start(clock: PeriodStart) -> &'static str {
    match clock {
        PeriodStart::CallEnd => "the call",
        PeriodStart::CaseEnd => "the case is closed",
    }
}

/// Media as a sentence names it.
fn thing(artefact: Artefact) -> &'static str {
    match artefact {
        Artefact::Audio => "recordings",
        Artefact::Video => "video recordings",
        Artefact::MessageMedia => "pictures and files of messages",
        Artefact::Transcript => "transcripts",
        Artefact::Summary => "summaries",
        Artefact::Analysis => "analyses",
        Artefact::Voiceprint => "voiceprints",
    }
}

/// `a, b and c`.
#[must_use]
pub(crate) fn join(words: impl Iterator<Item = String>, last: &str) -> String {
    let words: Vec<String> = words.collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, start)) => format!("{} {last} {end}", start.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
