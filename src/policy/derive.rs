//! From clauses to Cedar.
//!
//! Policies are built as typed values and printed by Cedar, never pasted from text, so that no
//! quote, id or name can become syntax. A permit becomes one policy for each of its roles (and one
//! more where it also shares, since sharing has a context of its own); every other rule becomes one
//! forbid over its own recordings and all older ones. `docs/policy-guide.md` says which effect
//! means what; `terms.rs` writes the conditions.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy::pst::{
    self, ActionConstraint, EntityOrSlot, Expr, PolicyID, PrincipalConstraint, ResourceConstraint,
    SmolStr,
};

use super::terms::{self, BadName, Condition, Doubt};
use crate::facts::Consent;
use crate::identity::Role;
use crate::media::{Action, Artefact, Direction};
use crate::notice::{
    Circumstance, Clause, ConsentForm, Effect, Kind, Notice, NoticeVersion, Plain, Rule, Selectors,
    Vocabulary,
};
use crate::purpose::Purpose;

/// A policy that was derived, and by what it can be found.
#[derive(Clone, Debug)]
pub(super) struct Derived {
    /// Its `@id`.
    pub(super) id: String,
    /// The policy in Cedar.
    pub(super) policy: Policy,
    /// The clause it comes from, by its place in the notice.
    pub(super) clause: usize,
    /// What it is filed under.
    pub(super) filed: Filed,
    /// What must be true of a question for the policy to apply, beside its scope.
    pub(super) conditions: Vec<Condition>,
    /// What a requirement asks for.
    pub(super) musts: Vec<Condition>,
}

/// What a policy is filed under.
#[derive(Clone, Debug)]
pub(super) enum Filed {
    /// A permit: it can only permit this.
    Permit { role: Role, actions: Vec<Action>, purposes: Vec<Purpose> },
    /// A forbid: it can only forbid this; no purposes means any.
    Forbid { actions: Vec<Action>, purposes: Vec<Purpose> },
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
        let (shared, used): (Vec<Action>, Vec<Action>) =
            about.actions.iter().partition(|action| **action == Action::Share);
        let mut conditions = vec![
            Condition::GovernedBy(self.notice.as_str().to_owned()),
            Condition::Purposes(purposes.clone()),
        ];
        conditions.extend(self.about(about));
        conditions.extend(needs.iter().map(|need| Condition::Need(*need)));
        conditions.extend(period.map(|period| Condition::Within(period, *clock)));
        for role in &self.rule.roles {
            let id = format!("{}/{}/{role}", self.notice, self.clause.id);
            let groups = [(id.clone(), &used), (format!("{id}/share"), &shared)];
            for (own, actions) in groups.into_iter().filter(|(_, actions)| !actions.is_empty()) {
                let id = if used.is_empty() { id.clone() } else { own };
                let template = pst::Template::new(
                    PolicyID(SmolStr::from(&id)),
                    pst::Effect::Permit,
                    PrincipalConstraint::In(EntityOrSlot::Entity(terms::entity("Role", role)?)),
                    actions_in(actions)?,
                    ResourceConstraint::Any,
                );
                let when = all(&conditions, Doubt::Fails)?;
                found.push(self.derived(
                    id,
                    template.try_with_clauses(vec![pst::Clause::When(when)])?,
                    &purposes,
                    Filed::Permit {
                        role: Role::new(role),
                        actions: actions.clone(),
                        purposes: purposes.clone(),
                    },
                    conditions.clone(),
                )?);
            }
        }
        Ok(())
    }

    fn forbid(&self) -> Result<Derived, BadName> {
        let Rule { about, needs, only, period, clock, except, kind, .. } = self.rule;
        let purposes = self.covered(about);
        let mut when = Vec::new();
        if !purposes.is_empty() {
            when.push(Condition::Purposes(purposes.clone()));
        }
        when.extend(self.about(about));
        when.extend(period.map(|period| Condition::Past(period, *clock)));
        let mut clauses = Vec::new();
        let mut musts = Vec::new();
        if !when.is_empty() {
            clauses.push(pst::Clause::When(all(&when, Doubt::Holds)?));
        }
        if *kind == Kind::Require {
            musts = self.within(only);
            musts.extend(needs.iter().map(|need| Condition::Need(*need)));
            clauses.push(pst::Clause::Unless(all(&musts, Doubt::Fails)?));
        }
        for except in except {
            let mut holds = self.within(&except.about);
            if !except.roles.is_empty() {
                holds.insert(0, Condition::Roles(except.roles.clone()));
            }
            holds.extend(except.needs.iter().map(|need| Condition::Need(*need)));
            clauses.push(pst::Clause::Unless(all(&holds, Doubt::Fails)?));
        }
        let id = format!("{}/{}", self.notice, self.clause.id);
        let notice = terms::entity("Notice", self.notice.as_str())?;
        let template = pst::Template::new(
            PolicyID(SmolStr::from(&id)),
            pst::Effect::Forbid,
            PrincipalConstraint::Any,
            actions_in(&about.actions)?,
            ResourceConstraint::In(EntityOrSlot::Entity(notice)),
        );
        let filed = Filed::Forbid { actions: about.actions.clone(), purposes: purposes.clone() };
        let template = template.try_with_clauses(clauses)?;
        Ok(Derived { musts, ..self.derived(id, template, &purposes, filed, when)? })
    }

    fn derived(
        &self,
        id: String,
        template: pst::Template,
        purposes: &[Purpose],
        filed: Filed,
        conditions: Vec<Condition>,
    ) -> Result<Derived, BadName> {
        let purposes = match purposes {
            [] => "any".to_owned(),
            some => some.iter().map(Purpose::as_str).collect::<Vec<_>>().join(" "),
        };
        let mut annotations: BTreeMap<String, SmolStr> = [
            ("id", id.as_str()),
            ("clause", &self.clause.id),
            ("quote", &self.clause.quote),
            ("notice", self.notice.as_str()),
            ("purpose", &purposes),
        ]
        .map(|(name, value)| (name.to_owned(), SmolStr::from(value)))
        .into();
        if let Some(basis) = self.clause.basis {
            annotations.insert("basis".to_owned(), SmolStr::from(basis.as_str()));
        }
        let template = template.with_annotations(annotations);
        let policy = Policy::from_pst(pst::Policy::Static(template.try_into()?))?;
        Ok(Derived { id, policy, clause: self.index, filed, conditions, musts: Vec::new() })
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
        .map(|action| terms::entity("Action", action.as_str()))
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
fn all(conditions: &[Condition], doubt: Doubt) -> Result<Arc<Expr>, BadName> {
    let mut parts = conditions.iter().map(|condition| condition.expr(doubt));
    let first = parts.next().unwrap_or_else(|| Ok(terms::yes()))?;
    parts.try_fold(first, |all, part| Ok(terms::and(all, part?)))
}

/// The first line of every derived file.
fn warning_line(from: &str) -> String {
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
    let mut text = format!("{}//\n", warning_line("clauses.toml"));
    let mut last = None;
    for Derived { policy, clause, .. } in derived {
        if last.replace(*clause) != Some(*clause)
            && let Some(clause) = notice.clauses.get(*clause)
        {
            let _ = write!(text, "\n// {}\n", Plain(vocabulary).clause(clause));
        }
        let policy = policy.to_cedar().ok_or("a derived policy has no text")?;
        let _ = writeln!(text, "{policy}");
    }
    if derived.is_empty() {
        return Ok(text);
    }
    let config = cedar_policy_formatter::Config::default();
    let mut text = cedar_policy_formatter::policies_str_to_pretty(&text, &config)
        .map_err(|error| error.to_string())?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// The text of `schema.cedarschema`.
pub(super) fn schema_text(vocabulary: &Vocabulary) -> String {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let keys = |keys: &mut dyn Iterator<Item = &String>| keys.cloned().collect::<Vec<_>>();
    let enums: [(&str, &str, Vec<String>); 12] = [
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
