//! One condition of a clause as a Cedar expression.
//!
//! A clause is a conjunction of conditions, and each is written so that it cannot fail to
//! evaluate: optional attributes are asked for with `has` first, numbers are only compared. A
//! condition about something that nobody knows takes the value that the clause's author would want
//! of a doubt: false in a permit and an exception, true in a prohibition.

use std::sync::Arc;

use cedar_policy::pst::{
    BinaryOp, EntityType, EntityUID, Expr, Literal, Name, SmolStr, UnaryOp, Var,
};

use super::slice::Key;
use crate::media::{Action, Artefact, Direction};
use crate::notice::{Circumstance, Need, NoticeVersion, Period, PeriodStart};
use crate::purpose::Purpose;

/// The namespace of every type.
pub(super) const NAMESPACE: &str = "Noticegate";

/// Something that can be true of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The recording is governed by this notice.
    GovernedBy(NoticeVersion),
    /// It is asked for one of these purposes.
    Purposes(Vec<Purpose>),
    /// It is one of these kinds.
    Artefacts(Vec<Artefact>),
    /// The call went one of these ways.
    Directions(Vec<Direction>),
    /// It came on one of these lines.
    Lines(Vec<String>),
    /// It was taken in one of these departments.
    Departments(Vec<String>),
    /// It is of one of these types.
    CallTypes(Vec<String>),
    /// It has one of these labels.
    Labels(Vec<String>),
    /// It is to go to one of these recipients.
    Recipients(Vec<String>),
    /// They are in one of these countries.
    Countries(Vec<String>),
    /// This is known to hold.
    Need(Need),
    /// One of these is done.
    Actions(Vec<Action>),
    /// The caller has one of these roles.
    Roles(Vec<String>),
    /// Less than this has passed.
    Within(Period, PeriodStart),
    /// This has passed.
    Past(Period, PeriodStart),
}

/// The value of a condition on something that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    Holds,
    Fails,
}

/// A name that Cedar refuses. Names here are fixed, so that it does not happen.
pub(super) type BadName = cedar_policy::pst::PstConstructionError;

impl Condition {
    /// The condition in Cedar.
    pub(super) fn expr(&self, doubt: Doubt) -> Result<Arc<Expr>, BadName> {
        Ok(match self {
            Self::GovernedBy(version) => and(
                has(Var::Resource, "notice"),
                equal(attribute(Var::Resource, "notice"), literal("Notice", version.as_str())?),
            ),
            Self::Purposes(list) => one_of(
                attribute(Var::Context, "purpose"),
                "Purpose",
                list.iter().map(Purpose::as_str),
            )?,
            Self::Artefacts(list) => {
                let words = list.iter().map(|artefact| artefact.as_str());
                one_of(attribute(Var::Resource, "artefact"), "Artefact", words)?
            }
            Self::Directions(list) => {
                let words = list.iter().map(|direction| direction.as_str());
                optional("direction", "Direction", words, doubt)?
            }
            Self::Lines(list) => optional("line", "Line", texts(list), doubt)?,
            Self::Departments(list) => optional("department", "Department", texts(list), doubt)?,
            Self::CallTypes(list) => optional("callType", "CallType", texts(list), doubt)?,
            Self::Labels(list) => {
                let set = set("Label", texts(list))?;
                let any = binary(BinaryOp::ContainsAny, attribute(Var::Resource, "labels"), set);
                if_known("labels", any, doubt)
            }
            Self::Recipients(list) => {
                one_of(attribute(Var::Context, "recipient"), "Recipient", texts(list))?
            }
            Self::Countries(list) => {
                let set = Arc::new(Expr::Set(list.iter().map(|code| text(code)).collect()));
                let any = binary(BinaryOp::Contains, set, attribute(Var::Context, "country"));
                let known = has(Var::Context, "country");
                match doubt {
                    Doubt::Fails => and(known, any),
                    Doubt::Holds => either(known, any, yes()),
                }
            }
            Self::Actions(list) => {
                let words = list.iter().map(|action| action.as_str());
                binary(BinaryOp::In, variable(Var::Action), set("Action", words)?)
            }
            Self::Roles(list) => {
                binary(BinaryOp::In, variable(Var::Principal), set("Role", texts(list))?)
            }
            Self::Need(need) => needed(*need)?,
            Self::Within(period, PeriodStart::CallEnd) => {
                let age = attribute(Var::Resource, "ageSeconds");
                binary(BinaryOp::Less, age, seconds(*period))
            }
            Self::Past(period, PeriodStart::CallEnd) => {
                let age = attribute(Var::Resource, "ageSeconds");
                binary(BinaryOp::GreaterEq, age, seconds(*period))
            }
            // While the case is open, its period has not begun. If nobody knows of a case, a
            // permit does not reach and a prohibition holds.
            Self::Within(period, PeriodStart::CaseEnd) => {
                let age = attribute(Var::Resource, "caseAgeSeconds");
                let within = binary(BinaryOp::Less, age, seconds(*period));
                let closed = either(has(Var::Resource, "caseAgeSeconds"), within, no());
                binary(BinaryOp::Or, shown(Circumstance::OpenCase)?, closed)
            }
            Self::Past(period, PeriodStart::CaseEnd) => {
                let age = attribute(Var::Resource, "caseAgeSeconds");
                let past = binary(BinaryOp::GreaterEq, age, seconds(*period));
                let closed = either(has(Var::Resource, "caseAgeSeconds"), past, yes());
                and(not(shown(Circumstance::OpenCase)?), closed)
            }
        })
    }
}

impl Condition {
    /// Whether it holds for every question of this key; `None` if that depends on more.
    pub(super) fn settled(&self, key: &Key, doubt: Doubt) -> Option<bool> {
        let known = |list: &[String], id: &Option<String>| match id {
            Some(id) => list.contains(id),
            None => doubt == Doubt::Holds,
        };
        Some(match self {
            Self::GovernedBy(notice) => *notice == key.filed.notice,
            Self::Purposes(list) => list.contains(&key.filed.purpose),
            Self::Actions(list) => list.contains(&key.filed.action),
            Self::Roles(list) => {
                key.filed.roles.iter().any(|role| list.iter().any(|id| id == role.as_str()))
            }
            Self::Artefacts(list) => list.contains(&key.artefact),
            Self::Directions(list) => match &key.direction {
                Some(direction) => list.contains(direction),
                None => doubt == Doubt::Holds,
            },
            Self::Lines(list) => known(list, &key.line),
            Self::Departments(list) => known(list, &key.department),
            Self::CallTypes(list) => known(list, &key.call_type),
            Self::Labels(_)
            | Self::Recipients(_)
            | Self::Countries(_)
            | Self::Need(_)
            | Self::Within(..)
            | Self::Past(..) => return None,
        })
    }

    /// True if it is a list that names nothing, and so asks for nothing.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Purposes(list) => list.is_empty(),
            Self::Artefacts(list) => list.is_empty(),
            Self::Directions(list) => list.is_empty(),
            Self::Actions(list) => list.is_empty(),
            Self::Lines(list)
            | Self::Departments(list)
            | Self::CallTypes(list)
            | Self::Labels(list)
            | Self::Recipients(list)
            | Self::Countries(list)
            | Self::Roles(list) => list.is_empty(),
            Self::GovernedBy(_) | Self::Need(_) | Self::Within(..) | Self::Past(..) => false,
        }
    }
}

fn needed(need: Need) -> Result<Arc<Expr>, BadName> {
    let given = || -> Result<_, BadName> {
        Ok(equal(attribute(Var::Resource, "consent"), literal("Consent", "given")?))
    };
    Ok(match need {
        Need::Consent => given()?,
        Need::ExplicitConsent => and(given()?, form(&["pressed-key", "spoke", "wrote"])?),
        Need::WrittenConsent => and(given()?, form(&["wrote"])?),
        Need::NoObjection => not(binary(
            BinaryOp::Contains,
            attribute(Var::Resource, "objections"),
            attribute(Var::Context, "purpose"),
        )),
        Need::Encrypted => attribute(Var::Resource, "encrypted"),
        other => match other.circumstance() {
            Some(circumstance) => shown(circumstance)?,
            None => no(),
        },
    })
}

/// Known to hold, of the request or of the recording.
fn shown(circumstance: Circumstance) -> Result<Arc<Expr>, BadName> {
    let of = if circumstance.is_of_request() { Var::Context } else { Var::Resource };
    let value = literal("Circumstance", circumstance.as_str())?;
    Ok(binary(BinaryOp::Contains, attribute(of, "circumstances"), value))
}

fn form(words: &[&str]) -> Result<Arc<Expr>, BadName> {
    optional("consentForm", "ConsentForm", words.iter().copied(), Doubt::Fails)
}

/// An optional attribute of the recording that is one of these.
fn optional<'a>(
    name: &str,
    of_type: &str,
    words: impl Iterator<Item = &'a str>,
    doubt: Doubt,
) -> Result<Arc<Expr>, BadName> {
    let is = one_of(attribute(Var::Resource, name), of_type, words)?;
    Ok(if_known(name, is, doubt))
}

fn if_known(name: &str, then: Arc<Expr>, doubt: Doubt) -> Arc<Expr> {
    match doubt {
        Doubt::Fails => and(has(Var::Resource, name), then),
        Doubt::Holds => either(has(Var::Resource, name), then, yes()),
    }
}

/// `value == T::"a"`, or `[T::"a", T::"b"].contains(value)`.
fn one_of<'a>(
    value: Arc<Expr>,
    of_type: &str,
    words: impl Iterator<Item = &'a str>,
) -> Result<Arc<Expr>, BadName> {
    let mut list: Vec<Arc<Expr>> =
        words.map(|word| literal(of_type, word)).collect::<Result<_, _>>()?;
    Ok(match (list.pop(), list.is_empty()) {
        (Some(only), true) => equal(value, only),
        (last, _) => {
            list.extend(last);
            binary(BinaryOp::Contains, Arc::new(Expr::Set(list)), value)
        }
    })
}

fn set<'a>(of_type: &str, words: impl Iterator<Item = &'a str>) -> Result<Arc<Expr>, BadName> {
    let list = words.map(|word| literal(of_type, word)).collect::<Result<_, _>>()?;
    Ok(Arc::new(Expr::Set(list)))
}

fn texts(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(String::as_str)
}

/// An entity of one of our types.
pub(super) fn entity(of_type: &str, id: &str) -> Result<EntityUID, BadName> {
    let name = Name::qualified([NAMESPACE], of_type)?;
    Ok(EntityUID { ty: EntityType::from_name(name), eid: SmolStr::from(id) })
}

fn literal(of_type: &str, id: &str) -> Result<Arc<Expr>, BadName> {
    Ok(Arc::new(Expr::Literal(Literal::EntityUID(entity(of_type, id)?))))
}

fn text(value: &str) -> Arc<Expr> {
    Arc::new(Expr::Literal(Literal::String(SmolStr::from(value))))
}

fn seconds(period: Period) -> Arc<Expr> {
    Arc::new(Expr::Literal(Literal::Long(i64::from(period.seconds()))))
}

pub(super) fn yes() -> Arc<Expr> {
    Arc::new(Expr::Literal(Literal::Bool(true)))
}

fn no() -> Arc<Expr> {
    Arc::new(Expr::Literal(Literal::Bool(false)))
}

fn variable(var: Var) -> Arc<Expr> {
    Arc::new(Expr::Var(var))
}

fn attribute(of: Var, name: &str) -> Arc<Expr> {
    Arc::new(Expr::GetAttr { expr: variable(of), attr: SmolStr::from(name) })
}

fn has(of: Var, name: &str) -> Arc<Expr> {
    let attrs = cedar_policy::pst::NonEmpty::new(SmolStr::from(name));
    Arc::new(Expr::HasAttr { expr: variable(of), attrs })
}

fn binary(op: BinaryOp, left: Arc<Expr>, right: Arc<Expr>) -> Arc<Expr> {
    Arc::new(Expr::BinaryOp { op, left, right })
}

fn equal(left: Arc<Expr>, right: Arc<Expr>) -> Arc<Expr> {
    binary(BinaryOp::Eq, left, right)
}

pub(super) fn and(left: Arc<Expr>, right: Arc<Expr>) -> Arc<Expr> {
    binary(BinaryOp::And, left, right)
}

fn not(expr: Arc<Expr>) -> Arc<Expr> {
    Arc::new(Expr::UnaryOp { op: UnaryOp::Not, expr })
}

fn either(cond: Arc<Expr>, then_expr: Arc<Expr>, else_expr: Arc<Expr>) -> Arc<Expr> {
    Arc::new(Expr::IfThenElse { cond, then_expr, else_expr })
}
