//! From clauses to Cedar.
//!
//! Policies are built as typed values and printed by Cedar, never pasted from text, so that no
//! quote, id or name can become syntax. A permit becomes one policy for each of its roles; every
//! other rule becomes one forbid over its own recordings and all older ones.
//! `docs/policy-guide.md` says which effect means what; `condition.rs` writes the conditions. For a
//! slice, what is known of all its questions is settled beforehand ([`Terms::settled`]).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy::pst::{
    self, ActionConstraint, EntityOrSlot, Expr, PolicyID, PrincipalConstraint, ResourceConstraint,
    SmolStr,
};

use super::condition::{self, BadName, Condition, Doubt};
use super::slice::Key;
use crate::facts::Consent;
use crate::identity::Role;
use crate::law::ConsentRule;
use crate::media::{Action, Artefact, Direction};
use crate::notice::{
    Circumstance, Clause, ConsentForm, Effect, Kind, Notice, NoticeVersion, Plain, Rule, Selectors,
    Vocabulary,
};
use crate::purpose::Purpose;

/// A policy that was derived from a clause.
#[derive(Clone, Debug)]
pub(super) struct Derived {
    /// The clause it comes from, by its place in the notice.
    pub(super) clause: usize,
    /// What it says.
    pub(super) terms: Terms,
    /// The same in Cedar, as it stands in `clauses.cedar`.
    pub(super) policy: Policy,
}

/// What a derived policy says.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Its `@id`.
    pub(super) id: String,
    notice: NoticeVersion,
    /// The role that a permit is for; a forbid has none.
    pub(super) role: Option<Role>,
    /// What it permits or forbids to do.
    pub(super) actions: Vec<Action>,
    /// The purposes it is about; none means any.
    pub(super) purposes: Vec<Purpose>,
    /// What must be true of a question for it to apply.
    pub(super) when: Vec<Condition>,
    /// What a requirement asks for; then it does not apply.
    pub(super) musts: Vec<Condition>,
    /// Where it does not apply either.
    pub(super) except: Vec<Vec<Condition>>,
}

impl Terms {
    /// What is left of the policy for questions of which the key is known: `None` if it cannot
    /// apply to them. Scope and conditions that the key settles are gone, the rest is for Cedar.
    ///
    /// # Errors
    /// Cedar's, as for [`derive`].
    pub(super) fn settled(&self, key: &Key) -> Result<Option<Policy>, BadName> {
        let doubt = if self.role.is_some() { Doubt::Fails } else { Doubt::Holds };
        let role = self.role.as_ref().is_none_or(|role| key.filed.roles.contains(role));
        let when = open(&self.when, key, doubt);
        let (true, true, Some(when)) = (role, self.actions.contains(&key.filed.action), when)
        else {
            return Ok(None);
        };
        let mut unless = Vec::new();
        let musts = std::iter::once(&self.musts).filter(|musts| !musts.is_empty());
        for list in musts.chain(&self.except) {
            match open(list, key, Doubt::Fails) {
                // It does not hold here: nothing is excepted.
                None => {}
                Some(left) if left.is_empty() => return Ok(None),
                Some(left) => unless.push(left),
            }
        }
        build(
            self,
            PrincipalConstraint::Any,
            ActionConstraint::Any,
            &when,
            &unless,
            BTreeMap::new(),
        )
        .map(Some)
    }
}

/// The conditions that the key leaves open; `None` if one of them does not hold.
fn open<'a>(list: &'a [Condition], key: &Key, doubt: Doubt) -> Option<Vec<&'a Condition>> {
    let mut left = Vec::new();
    for condition in list {
        match condition.settled(key, doubt) {
            Some(true) => {}
            Some(false) => return None,
            None => left.push(condition),
        }
    }
    Some(left)
}

fn build(
    of: &Terms,
    principal: PrincipalConstraint,
    action: ActionConstraint,
    when: &[&Condition],
    unless: &[Vec<&Condition>],
    annotations: BTreeMap<String, SmolStr>,
) -> Result<Policy, BadName> {
    let (effect, doubt) = match of.role {
        Some(_) => (pst::Effect::Permit, Doubt::Fails),
        None => (pst::Effect::Forbid, Doubt::Holds),
    };
    let resource = match of.role {
        Some(_) => ResourceConstraint::Any,
        // Its own recordings and all older ones, from the moment it is in force.
        None => {
            let notice = condition::entity("Notice", of.notice.as_str())?;
            ResourceConstraint::In(EntityOrSlot::Entity(notice))
        }
    };
    let mut clauses = Vec::new();
    if !when.is_empty() {
        clauses.push(pst::Clause::When(all(when, doubt)?));
    }
    for list in unless {
        clauses.push(pst::Clause::Unless(all(list, Doubt::Fails)?));
    }
    let template =
        pst::Template::new(PolicyID(SmolStr::from(&of.id)), effect, principal, action, resource)
            .try_with_clauses(clauses)?
            .with_annotations(annotations);
    Policy::from_pst(pst::Policy::Static(template.try_into()?))
}

/// Derives the policies of a notice, in the order of its clauses.
///
/// # Errors
/// Cedar's, if it does not take what was built. Names and types here are fixed, so that it does.
pub(super) fn derive(notice: &Notice, vocabulary: &Vocabulary) -> Result<Vec<Derived>, BadName> {
    let mut found = Vec::new();
    for (index, clause) in notice.clauses.iter().enumerate() {
        let Effect::Rule(rule) = &clause.effect else { continue };
        let build = Builder { notice: &notice.version, index, clause, rule, vocabulary };
        match rule.kind {
            Kind::Permit => build.permits(&mut found)?,
            Kind::Forbid | Kind::Keep | Kind::Require => found.push(build.forbid()?),
        }
    }
    Ok(found)
}

struct Builder<'a> {
    notice: &'a NoticeVersion,
    index: usize,
    clause: &'a Clause,
    rule: &'a Rule,
    vocabulary: &'a Vocabulary,
}

impl Builder<'_> {
    fn permits(&self, found: &mut Vec<Derived>) -> Result<(), BadName> {
        let Rule { about, needs, period, clock, .. } = self.rule;
        let granted = about.purposes.iter().flat_map(|p| self.vocabulary.granted_by(p));
        let purposes = in_order(granted);
        let mut when =
            vec![Condition::GovernedBy(self.notice.clone()), Condition::Purposes(purposes.clone())];
        when.extend(self.about(about));
        when.extend(needs.iter().map(|need| Condition::Need(*need)));
        when.extend(period.map(|period| Condition::Within(period, *clock)));
        for role in &self.rule.roles {
            let id = format!("{}/{}/{role}", self.notice, self.clause.id);
            found.push(self.derived(id, Some(Role::new(role)), purposes.clone(), when.clone())?);
        }
        Ok(())
    }

    fn forbid(&self) -> Result<Derived, BadName> {
        let Rule { about, period, clock, .. } = self.rule;
        let purposes = self.covered(about);
        let mut when = vec![Condition::Purposes(purposes.clone())];
        when.retain(|condition| !condition.is_empty());
        when.extend(self.about(about));
        when.extend(period.map(|period| Condition::Past(period, *clock)));
        self.derived(format!("{}/{}", self.notice, self.clause.id), None, purposes, when)
    }

    fn derived(
        &self,
        id: String,
        role: Option<Role>,
        purposes: Vec<Purpose>,
        when: Vec<Condition>,
    ) -> Result<Derived, BadName> {
        let Rule { about, needs, only, except, kind, .. } = self.rule;
        let mut musts = Vec::new();
        if *kind == Kind::Require {
            musts = self.within(only);
            musts.extend(needs.iter().map(|need| Condition::Need(*need)));
        }
        let except = except.iter().map(|except| {
            let mut holds = vec![Condition::Roles(except.roles.clone())];
            holds.retain(|condition| !condition.is_empty());
            holds.extend(self.within(&except.about));
            holds.extend(except.needs.iter().map(|need| Condition::Need(*need)));
            holds
        });
        let annotations = self.annotations(&id, &purposes);
        let principal = match &role {
            Some(role) => PrincipalConstraint::In(EntityOrSlot::Entity(condition::entity(
                "Role",
                role.as_str(),
            )?)),
            None => PrincipalConstraint::Any,
        };
        let terms = Terms {
            id,
            notice: self.notice.clone(),
            role,
            actions: about.actions.clone(),
            purposes,
            when,
            musts,
            except: except.collect(),
        };
        let when: Vec<&Condition> = terms.when.iter().collect();
        let musts = std::iter::once(&terms.musts).filter(|musts| !musts.is_empty());
        let unless: Vec<Vec<&Condition>> =
            musts.chain(&terms.except).map(|list| list.iter().collect()).collect();
        let action = actions_in(&about.actions)?;
        let policy = build(&terms, principal, action, &when, &unless, annotations)?;
        Ok(Derived { clause: self.index, terms, policy })
    }

    fn annotations(&self, id: &str, purposes: &[Purpose]) -> BTreeMap<String, SmolStr> {
        let purposes = match purposes {
            [] => "any".to_owned(),
            some => some.iter().map(Purpose::as_str).collect::<Vec<_>>().join(" "),
        };
        let basis = self.clause.basis.map(|basis| ("basis", basis.as_str()));
        [
            ("id", id),
            ("clause", &self.clause.id),
            ("quote", &self.clause.quote),
            ("notice", self.notice.as_str()),
            ("purpose", &purposes),
        ]
        .into_iter()
        .chain(basis)
        .map(|(name, value)| (name.to_owned(), SmolStr::from(value)))
        .collect()
    }

    /// The conditions of selectors, without purposes and actions.
    fn about(&self, about: &Selectors) -> Vec<Condition> {
        let recipients = about.recipients.iter().flat_map(|id| self.vocabulary.recipients_of(id));
        let list = [
            Condition::Artefacts(about.artefacts.clone()),
            Condition::Directions(about.directions.clone()),
            Condition::Lines(about.lines.clone()),
            Condition::Departments(about.departments.clone()),
            Condition::CallTypes(about.call_types.clone()),
            Condition::Labels(about.labels.clone()),
            Condition::Recipients(in_order(recipients)),
            Condition::Countries(about.countries.clone()),
        ];
        list.into_iter().filter(|condition| !condition.is_empty()).collect()
    }

    /// The conditions of a closed list or an exception. A purpose there brings what a permit for
    /// it would: a new kind of use has to be named.
    fn within(&self, only: &Selectors) -> Vec<Condition> {
        let granted = only.purposes.iter().flat_map(|p| self.vocabulary.granted_by(p));
        let mut found =
            vec![Condition::Actions(only.actions.clone()), Condition::Purposes(in_order(granted))];
        found.retain(|condition| !condition.is_empty());
        found.extend(self.about(only));
        found
    }

    fn covered(&self, about: &Selectors) -> Vec<Purpose> {
        in_order(about.purposes.iter().flat_map(|p| self.vocabulary.covered_by(p)))
    }
}

fn in_order<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn actions_in(actions: &[Action]) -> Result<ActionConstraint, BadName> {
    let mut list: Vec<pst::EntityUID> = actions
        .iter()
        .map(|action| condition::entity("Action", action.as_str()))
        .collect::<Result<_, _>>()?;
    Ok(match (list.pop(), list.is_empty()) {
        (Some(only), true) => ActionConstraint::Eq(only),
        (last, _) => {
            list.extend(last);
            ActionConstraint::In(list)
        }
    })
}

/// All conditions, joined from the left as the parser reads them.
fn all(conditions: &[&Condition], doubt: Doubt) -> Result<Arc<Expr>, BadName> {
    let mut parts = conditions.iter().map(|condition| condition.expr(doubt));
    let first = parts.next().unwrap_or_else(|| Ok(condition::yes()))?;
    parts.try_fold(first, |all, part| Ok(condition::and(all, part?)))
}

/// The first line of every derived file.
pub(super) fn warning_line(from: &str) -> String {
    format!("// Derived from {from} by `noticegate derive`; edit that and derive again.\n")
}

/// The text of `clauses.cedar`, as Cedar's own formatter writes it, each clause under its plain
/// sentence.
///
/// # Errors
/// What the formatter objects to.
pub(super) fn clauses_text(
    notice: &Notice,
    derived: &[Derived],
    vocabulary: &Vocabulary,
) -> Result<String, String> {
    let config = cedar_policy_formatter::Config::default();
    // The formatter wants a comment to go on to the next one.
    let mut text = format!("{}//", warning_line("clauses.toml"));
    let mut last = None;
    for Derived { policy, clause, .. } in derived {
        let mut one = String::new();
        if last.replace(*clause) != Some(*clause)
            && let Some(clause) = notice.clauses.get(*clause)
        {
            let _ = writeln!(one, "// {}", Plain(vocabulary).clause(clause));
        }
        one.push_str(&policy.to_cedar().ok_or("a derived policy has no text")?);
        // One at a time: the formatter looks through the whole text for each part of it.
        let pretty = cedar_policy_formatter::policies_str_to_pretty(&one, &config);
        let _ = write!(text, "\n{}", pretty.map_err(|error| error.to_string())?);
    }
    if derived.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

/// The text of `schema.cedarschema`.
pub(super) fn schema_text(vocabulary: &Vocabulary) -> String {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let keys = |keys: &mut dyn Iterator<Item = &String>| keys.cloned().collect::<Vec<_>>();
    let enums: [(&str, &str, Vec<String>); 13] = [
        ("Role", "What a caller may be.", keys(&mut vocabulary.roles.keys())),
        (
            "Purpose",
            "Why a recording is asked for.",
            vocabulary.purposes.keys().map(|purpose| purpose.as_str().to_owned()).collect(),
        ),
        ("Recipient", "Who may be given one.", keys(&mut vocabulary.recipients.keys())),
        ("Line", "Telephone lines of the organisation.", keys(&mut vocabulary.lines.keys())),
        ("Department", "Its parts.", keys(&mut vocabulary.departments.keys())),
        ("CallType", "Kinds of calls.", keys(&mut vocabulary.call_types.keys())),
        ("Label", "What a call may be about or hold.", keys(&mut vocabulary.labels.keys())),
        ("Artefact", "Of which kind media is.", words(&list(Artefact::ALL, Artefact::as_str))),
        ("Direction", "Who called whom.", words(&list(Direction::ALL, Direction::as_str))),
        (
            "Consent",
            "The weakest consent on the call.",
            words(&list(Consent::ALL, Consent::as_str)),
        ),
        ("ConsentForm", "How it was given.", words(&list(ConsentForm::ALL, ConsentForm::as_str))),
        (
            "ConsentRule",
            "Whose consent the law demands before a call may be recorded.",
            words(&list(ConsentRule::ALL, ConsentRule::as_str)),
        ),
        (
            "Circumstance",
            "What is known to hold of a recording or a request.",
            words(&list(Circumstance::ALL, Circumstance::as_str)),
        ),
    ];
    let mut text = warning_line(crate::notice::VOCABULARY_FILE);
    text.push_str("\nnamespace Noticegate {\n");
    for (name, about, words) in enums {
        // An enum cannot be empty; a list that is has no use either.
        let words = if words.is_empty() { vec!["none".to_owned()] } else { words };
        let words: Vec<String> = words.iter().map(|word| format!("    \"{word}\"")).collect();
        let words = words.join(",\n");
        let _ = write!(text, "  // {about}\n  entity {name} enum [\n{words}\n  ];\n\n");
    }
    text.push_str(SCHEMA_END);
    text
}

fn list<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|value| word(*value)).collect()
}

const SCHEMA_END: &str = r#"  // One version of the notice, by the name of its folder.
  entity Notice;

  entity Caller in [Role];

  // A recording is a child of the notice that governs it and of every later one in force, so that
  // `resource in Notice::"..."` holds for its own recordings and all older ones.
  entity Recording in [Notice] = {
    account: String,
    // Absent if the recording is older than the first notice.
    notice?: Notice,
    artefact: Artefact,
    // Since the end of the call.
    ageSeconds: Long,
    // Since its case was closed.
    caseAgeSeconds?: Long,
    durationSeconds: Long,
    channels: Long,
    // Twilio's word: in-progress, paused, stopped, processing, completed, absent or deleted.
    status: String,
    encrypted: Bool,
    direction?: Direction,
    line?: Line,
    department?: Department,
    callType?: CallType,
    labels?: Set<Label>,
    consent: Consent,
    consentForm?: ConsentForm,
    // By the strictest law of all the places where participants may be.
    consentRule: ConsentRule,
    // The purposes that somebody on the call objected to or withdrew from.
    objections: Set<Purpose>,
    circumstances: Set<Circumstance>,
  };

  action access, describe, delete appliesTo {
    principal: [Caller],
    resource: [Recording],
    context: { purpose: Purpose, circumstances: Set<Circumstance> },
  };

  action share appliesTo {
    principal: [Caller],
    resource: [Recording],
    context: {
      purpose: Purpose,
      circumstances: Set<Circumstance>,
      recipient: Recipient,
      // ISO 3166-1, two letters.
      country?: String,
    },
  };
}
"#;
