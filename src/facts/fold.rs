//! What is true of a recording now, from everything that was ever said of it; pure.
//!
//! Doubt counts against the use: of two statements of one moment the stricter holds, consent of
//! nobody in particular is no consent, a refusal of nobody in particular is one, and a participant
//! of whom nothing is known has not agreed and may be anywhere.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::statement::{Announcement, Case, ConsentRecord, Hold, Payment, Said, Statement, Who};
use super::{Consent, HeldFor, Labels, Numbers, Register};
use crate::law::{Law, Medium, Party as LawParty, Place};
use crate::media::Direction;
use crate::notice::{Circumstance, ConsentForm, NoticeVersion, Vocabulary};
use crate::purpose::Purpose;

/// A statement as it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The place of its entry: of two statements, the one that was recorded later.
    pub seq: u64,
    /// What is said. Its participant is missing if they were erased.
    pub statement: Statement,
    /// True if it names a participant who was erased since.
    pub erased: bool,
}

/// What is known without any statement.
#[derive(Clone, Debug)]
pub struct Base<'a> {
    /// When the recording started.
    pub started_at: Timestamp,
    /// The two ends of the call; `None` if they are not known.
    pub ends: Option<&'a Ends>,
    /// The law of which calls applies; `None` where nobody was recorded.
    pub medium: Option<Medium>,
}

/// The ends of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Who called whom.
    pub direction: Option<Direction>,
    /// The numbers there are.
    pub numbers: Numbers,
    /// How many ends have none.
    pub unnumbered: u8,
    /// True if nobody else was on the call.
    pub all: bool,
}

/// What reads the statements.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The organisation's words and lines.
    pub vocabulary: &'a Vocabulary,
    /// The law of each place.
    pub law: &'a Law,
    /// Tells these two from what they were before.
    pub edition: &'a str,
}

/// What follows from the statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The weakest consent among the participants, for the purpose that was asked for.
    pub consent: Consent,
    /// Who called whom.
    pub direction: Option<Direction>,
    /// The numbers of everybody on the call.
    pub numbers: Numbers,
    /// Everything else.
    pub register: Register,
    /// When it may be different without a new statement.
    pub until: Option<Timestamp>,
}

/// Somebody on the call.
#[derive(Clone, Debug, Default)]
struct Member {
    who: Option<Who>,
    agent: bool,
    minor: Option<bool>,
    places: BTreeSet<Place>,
}

/// Works out what is true of a recording now, for a purpose.
#[must_use]
pub fn fold(
    base: &Base<'_>,
    said: &[Recorded],
    purpose: Option<&Purpose>,
    reading: &Reading<'_>,
    now: Timestamp,
) -> Folded {
    let mut said: Vec<&Recorded> = said.iter().collect();
    said.sort_by_key(|recorded| recorded.seq);
    said.dedup_by_key(|recorded| recorded.seq);
    let mut folding = Folding { base, said: &said, purpose, reading, now, until: None };
    let (members, ends) = folding.members();
    let numbers = members.iter().filter_map(|member| match &member.who {
        Some(Who::Number(number)) => Some(number.clone()),
        _ => None,
    });
    let numbers = Numbers::new(numbers.collect());
    let labels = folding.labels();
    let line = labels.line.clone().or_else(|| one_line(&numbers, reading.vocabulary));
    let consents: Vec<_> =
        members.iter().map(|member| folding.consent_of(member, line.as_deref())).collect();
    let consent = consents.iter().map(|(consent, ..)| *consent).chain(folding.of_the_erased());
    let consent = consent.max_by_key(|consent| strictness(*consent)).unwrap_or(Consent::Unknown);
    let given = consent == Consent::Given;
    let consent_form = consents.iter().filter_map(|(_, form, _)| *form).min_by_key(|f| weight(*f));
    let accepted = folding.accepted(&consents);
    let circumstances = folding.circumstances(&members, line.as_deref(), &labels);
    let (case_open, case_closed_at) = folding.case();
    let holds = folding.holds();
    let register = Register {
        consent_form: consent_form.filter(|_| given),
        objections: folding.objections(),
        circumstances: [
            circumstances,
            case_open.then_some(Circumstance::OpenCase).into_iter().collect(),
            (!holds.is_empty()).then_some(Circumstance::Hold).into_iter().collect(),
        ]
        .concat(),
        case_closed_at,
        accepted,
        law: folding.law(&members),
        held_for: holds.into_iter().map(HeldFor::of).collect(),
        labels,
    };
    let until = folding.until;
    Folded { consent, direction: ends.and_then(|ends| ends.direction), numbers, register, until }
}

/// Somebody on a call, and what they agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who; none if nobody knows.
    pub who: Option<Who>,
    /// True if they spoke for the organisation.
    pub agent: bool,
    /// Whether they are a minor.
    pub minor: Option<bool>,
    /// What holds now for each purpose of the vocabulary, and how it was given.
    pub consents: Vec<(Purpose, Consent, Option<ConsentForm>)>,
}

/// Everybody on a call with what they agreed to, purpose by purpose. `also` is somebody who counts as
/// one of them without being named by anything that is about the call.
#[must_use]
pub fn participants(
    base: &Base<'_>,
    said: &[Recorded],
    also: Option<&Who>,
    reading: &Reading<'_>,
    now: Timestamp,
) -> Vec<Participant> {
    let mut said: Vec<&Recorded> = said.iter().collect();
    said.sort_by_key(|recorded| recorded.seq);
    said.dedup_by_key(|recorded| recorded.seq);
    let mut folding = Folding { base, said: &said, purpose: None, reading, now, until: None };
    let (mut members, _) = folding.members();
    if let Some(who) = also {
        folding.member(&mut members, who);
    }
    let numbers = members.iter().filter_map(|member| match &member.who {
        Some(Who::Number(number)) => Some(number.clone()),
        _ => None,
    });
    let numbers = Numbers::new(numbers.collect());
    let line = folding.labels().line.or_else(|| one_line(&numbers, reading.vocabulary));
    let each = members.into_iter().map(|member| {
        let consents = reading.vocabulary.purposes.keys().map(|purpose| {
            folding.purpose = Some(purpose);
            let (consent, form, _) = folding.consent_of(&member, line.as_deref());
            (purpose.clone(), consent, form.filter(|_| consent == Consent::Given))
        });
        let consents = consents.collect();
        Participant { who: member.who, agent: member.agent, minor: member.minor, consents }
    });
    each.collect()
}

struct Folding<'a> {
    base: &'a Base<'a>,
    said: &'a [&'a Recorded],
    purpose: Option<&'a Purpose>,
    reading: &'a Reading<'a>,
    now: Timestamp,
    until: Option<Timestamp>,
}

/// What somebody's consent is, how they gave it, and which notice they accepted with it.
type OneConsent = (Consent, Option<ConsentForm>, Option<NoticeVersion>);

impl<'a> Folding<'a> {
    /// Notes that something ends or begins at a time.
    fn changes_at(&mut self, time: Timestamp) {
        if time > self.now {
            self.until = Some(self.until.map_or(time, |until| until.min(time)));
        }
    }

    /// Everybody on the call, as far as anybody knows.
    fn members(&self) -> (Vec<Member>, Option<Ends>) {
        let told = self.said.iter().rev().find_map(|recorded| match &recorded.statement.said {
            Said::Call(call) => Some(call),
            _ => None,
        });
        let told = told.map(|call| Ends {
            direction: call.direction,
            numbers: Numbers::default(),
            unnumbered: call.unnumbered,
            all: true,
        });
        let ends = self.base.ends.cloned().or(told);
        let mut members: Vec<Member> = Vec::new();
        for number in ends.iter().flat_map(|ends| ends.numbers.iter()) {
            self.member(&mut members, &Who::Number(number.to_owned()));
        }
        let mut registered = 0;
        for Recorded { statement, .. } in self.said {
            let Some(who) = &statement.participant else { continue };
            if statement.about.is_empty() {
                continue;
            }
            registered += usize::from(matches!(statement.said, Said::Party(_)));
            let member = self.member(&mut members, who);
            if let Said::Party(party) = &statement.said {
                member.agent = party.agent.unwrap_or(member.agent);
                member.minor = party.minor.or(member.minor);
                member.places.extend([party.address, party.stated].into_iter().flatten());
            }
        }
        // Who is registered by another name than a number is one of the ends that have none. Of a
        // call whose ends nobody knows there are at least two.
        let named = members.iter().filter(|m| matches!(m.who, Some(Who::Name(_)))).count();
        let missing = match &ends {
            Some(ends) if ends.all => usize::from(ends.unnumbered).saturating_sub(named),
            // Of a conference, its participants are all those who are registered, if any is.
            Some(_) if registered >= 2 => 0,
            Some(_) => 1,
            None => 2usize.saturating_sub(members.len()),
        };
        members.extend(std::iter::repeat_with(Member::default).take(missing));
        (members, ends)
    }

    fn member<'m>(&self, members: &'m mut Vec<Member>, who: &Who) -> &'m mut Member {
        let found = members.iter().position(|member| member.who.as_ref() == Some(who));
        let mut member = match found {
            Some(at) => members.remove(at),
            None => Member { who: Some(who.clone()), ..Member::default() },
        };
        if let Who::Number(number) = who {
            member.agent |= self.reading.vocabulary.line_of(number).is_some();
        }
        members.push_mut(member)
    }

    /// Whether what was said for these purposes was said for the one that is asked for.
    fn covers(&self, purposes: &[Purpose]) -> bool {
        let covers = |asked: &Purpose| {
            purposes.iter().any(|said| self.reading.vocabulary.covered_by(said).contains(asked))
        };
        purposes.is_empty() || self.purpose.is_some_and(covers)
    }

    /// Consent for less than everything, where nothing was asked for in particular, is none.
    fn consent_of(&mut self, member: &Member, line: Option<&str>) -> OneConsent {
        let mut latest: Option<(Timestamp, OneConsent)> = None;
        let mut take = |at: Timestamp, one: OneConsent| {
            let newer = latest.as_ref().is_none_or(|(before, (consent, ..))| {
                at > *before || (at == *before && strictness(one.0) >= strictness(*consent))
            });
            if newer {
                latest = Some((at, one));
            }
        };
        for announcement in self.heard_on(line) {
            let form = match member.agent {
                true => announcement.agents_agreed.then_some(ConsentForm::Contract),
                false => announcement.consents.then_some(ConsentForm::StayedOn),
            };
            if let Some(form) = form.filter(|_| self.covers(&announcement.purposes)) {
                let is_child = member.minor == Some(true);
                let consent = if is_child { Consent::Unknown } else { Consent::Given };
                take(self.base.started_at, (consent, Some(form), None));
            }
        }
        let mut changes = Vec::new();
        for (record, is_of_call) in self.records_of(member) {
            if !self.covers(&record.purposes) {
                continue;
            }
            changes.extend(record.until.into_iter().chain([record.at]));
            let given = record.state == Consent::Given;
            // What somebody agrees to for all calls, they agree to from then on.
            if record.at > self.now || (given && !is_of_call && record.at > self.base.started_at) {
                continue;
            }
            let consent = match record.state {
                Consent::Given if record.until.is_some_and(|until| until <= self.now) => {
                    Consent::Expired
                }
                Consent::Given if member.minor == Some(true) && !record.guardian => {
                    Consent::Unknown
                }
                state => state,
            };
            take(record.at, (consent, record.form, record.notice.clone()));
        }
        changes.into_iter().for_each(|time| self.changes_at(time));
        latest.map_or((Consent::Unknown, None, None), |(_, one)| one)
    }

    /// The consents of a participant: each with whether it is of this call.
    fn records_of(&self, member: &Member) -> impl Iterator<Item = (&'a ConsentRecord, bool)> {
        let said = self.said;
        let who = member.who.clone();
        said.iter().filter_map(move |Recorded { statement, .. }| match &statement.said {
            Said::Consent(record) if who.is_some() && statement.participant == who => {
                Some((&**record, !statement.about.is_empty()))
            }
            _ => None,
        })
    }

    /// A refusal stays one when nobody knows any more whose it was.
    fn of_the_erased(&self) -> Vec<Consent> {
        let lost = self.said.iter().filter(|recorded| recorded.erased);
        let lost = lost.filter_map(|recorded| match &recorded.statement.said {
            Said::Consent(record) if self.covers(&record.purposes) => Some(record.state),
            _ => None,
        });
        lost.filter(|state| matches!(state, Consent::Refused | Consent::Withdrawn)).collect()
    }

    /// The announcements that everybody heard who called this line then; the last word on each.
    fn heard_on(&self, line: Option<&str>) -> Vec<&'a Announcement> {
        let mut last: BTreeMap<&str, &Announcement> = BTreeMap::new();
        for Recorded { statement, .. } in self.said {
            if let Said::Announcement(announcement) = &statement.said
                && line.is_some()
                && statement.line.as_deref() == line
            {
                last.insert(&announcement.id, announcement);
            }
        }
        let started = self.base.started_at;
        let heard = last.into_values().filter(|announcement| {
            announcement.since <= started && announcement.until.is_none_or(|until| started < until)
        });
        heard.collect()
    }

    /// What was objected to and not taken back, each with what lies below it left to the reader.
    fn objections(&mut self) -> Vec<Purpose> {
        // By participant and purpose: when, and whether it stands.
        let mut last: BTreeMap<(Option<&Who>, u64, &Purpose), (Timestamp, bool)> = BTreeMap::new();
        let mut changes = Vec::new();
        for Recorded { statement, seq, .. } in self.said {
            let Said::Objection(objection) = &statement.said else { continue };
            changes.push(objection.at);
            // Objections of the erased are each somebody's own.
            let who = statement.participant.as_ref();
            let own = if who.is_none() { *seq } else { 0 };
            for purpose in &objection.purposes {
                let entry = last.entry((who, own, purpose)).or_insert((objection.at, false));
                if objection.at > entry.0 || !entry.1 {
                    *entry = (objection.at.max(entry.0), !objection.lifted);
                } else if objection.at == entry.0 {
                    entry.1 |= !objection.lifted;
                }
            }
        }
        changes.into_iter().for_each(|time| self.changes_at(time));
        let standing = last.into_iter().filter(|(_, (at, stands))| *stands && *at <= self.now);
        let standing: BTreeSet<&Purpose> = standing.map(|((.., purpose), _)| purpose).collect();
        standing.into_iter().cloned().collect()
    }

    fn circumstances(
        &self,
        members: &[Member],
        line: Option<&str>,
        labels: &Labels,
    ) -> Vec<Circumstance> {
        let on_line = self.heard_on(line);
        let heard = |member: &Member| {
            let complete = |record: &ConsentRecord| {
                record.announcement.as_ref().is_some_and(|heard| heard.complete)
            };
            !on_line.is_empty() || self.records_of(member).any(|(record, _)| complete(record))
        };
        let told = !members.is_empty() && members.iter().filter(|m| !m.agent).all(heard);
        let guarded = |member: &Member| match member.minor {
            Some(false) => true,
            Some(true) => self.records_of(member).any(|(record, of_call)| {
                let counts = of_call || record.at <= self.base.started_at;
                let stands = record.until.is_none_or(|until| self.now < until);
                record.guardian && counts && stands && self.covers(&record.purposes)
            }),
            None => member.agent,
        };
        let guarded = !members.is_empty() && members.iter().all(guarded);
        let (paused, exposed) = self.card(line, labels);
        [
            told.then_some(Circumstance::Announcement),
            guarded.then_some(Circumstance::GuardianConsent),
            paused.then_some(Circumstance::PaymentPause),
            exposed.then_some(Circumstance::CardExposed),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether it is known that no card was recorded, and whether one may have been.
    fn card(&self, line: Option<&str>, labels: &Labels) -> (bool, bool) {
        let said = self.said.iter().rev().find_map(|recorded| match &recorded.statement.said {
            Said::Payment(payment) => Some(payment),
            _ => None,
        });
        let line = line.and_then(|line| self.reading.vocabulary.lines.get(line));
        let of_line = line.and_then(|line| line.call_type.as_deref());
        let call_type = labels.call_type.as_deref().or(of_line);
        let of_line = line.and_then(|line| line.labels.as_ref()).into_iter().flatten();
        let mut all = labels.labels.iter().flatten().chain(of_line);
        let is_payment = call_type == Some(PAYMENT) || all.any(|label| label == PAYMENT);
        match said {
            Some(Payment { taken: false, .. }) => (true, false),
            Some(Payment { taken: true, pauses }) => (!pauses.is_empty(), pauses.is_empty()),
            None => (false, is_payment),
        }
    }

    /// What the call is filed under, by what was said last of each.
    fn labels(&self) -> Labels {
        let mut labels = Labels::default();
        for Recorded { statement, .. } in self.said {
            if let Said::Labels(filing) = &statement.said {
                let last = |new: &Option<String>, old: &mut Option<String>| {
                    if new.is_some() {
                        old.clone_from(new);
                    }
                };
                last(&filing.line, &mut labels.line);
                last(&filing.department, &mut labels.department);
                last(&filing.call_type, &mut labels.call_type);
                if filing.labels.is_some() {
                    labels.labels.clone_from(&filing.labels);
                }
            }
        }
        labels
    }

    /// Whether a case is open, and when the last one was closed.
    fn case(&self) -> (bool, Option<Timestamp>) {
        let mut cases: BTreeMap<&str, &Case> = BTreeMap::new();
        for Recorded { statement, .. } in self.said {
            if let Said::Case(case) = &statement.said {
                cases.insert(&case.id, case);
            }
        }
        let open = cases.values().any(|case| case.open);
        let closed = cases.values().filter(|case| !case.open).map(|case| case.at).max();
        (open, closed.filter(|_| !open))
    }

    fn holds(&self) -> Vec<&'a Hold> {
        let mut holds: BTreeMap<&str, &Hold> = BTreeMap::new();
        for Recorded { statement, .. } in self.said {
            if let Said::Hold(hold) = &statement.said {
                holds.insert(&hold.id, hold);
            }
        }
        holds.into_values().filter(|hold| !hold.lifted).collect()
    }

    /// The later notice that everybody accepted, if it is one.
    fn accepted(&self, consents: &[OneConsent]) -> Option<NoticeVersion> {
        let mut versions = consents.iter().map(|(consent, _, version)| match consent {
            Consent::Given => version.as_ref(),
            _ => None,
        });
        let first = versions.next()??;
        versions.all(|version| version == Some(first)).then(|| first.clone())
    }

    fn law(&self, members: &[Member]) -> Option<super::LawOfCall> {
        let Some(medium) = self.base.medium else {
            return Some(super::LawOfCall::NONE);
        };
        let parties: Vec<LawParty> = members
            .iter()
            .map(|member| LawParty {
                places: member.places.iter().copied().collect(),
                number: match &member.who {
                    Some(Who::Number(number)) => Some(number.clone()),
                    _ => None,
                },
            })
            .collect();
        let ruling = self.reading.law.of_call(&parties, medium);
        Some(super::LawOfCall { rule: ruling.rule, place: ruling.place })
    }
}

/// The word of a label or a call type whose calls take payments.
const PAYMENT: &str = "payment";

/// The line of a call, if one of its ends is on one of ours and the other is not.
fn one_line(numbers: &Numbers, vocabulary: &Vocabulary) -> Option<String> {
    let mut lines = numbers.iter().filter_map(|number| vocabulary.line_of(number));
    match (lines.next(), lines.next()) {
        (Some(line), None) => Some(line.to_owned()),
        _ => None,
    }
}

/// Which of two counts: the higher.
fn strictness(consent: Consent) -> u8 {
    match consent {
        Consent::Given => 0,
        Consent::Unknown => 1,
        Consent::Expired => 2,
        Consent::Withdrawn => 3,
        Consent::Refused => 4,
    }
}

/// Which of two forms of consent is the weaker: the lower.
fn weight(form: ConsentForm) -> u8 {
    match form {
        ConsentForm::StayedOn => 0,
        ConsentForm::Contract => 1,
        ConsentForm::PressedKey => 2,
        ConsentForm::Spoke => 3,
        ConsentForm::Wrote => 4,
    }
}
