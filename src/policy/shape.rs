//! What a policy must look like to be loaded, beyond what Cedar's validator checks.
//!
//! Two dangers are met here. One is the engine's: deep nesting can overflow its parser's stack,
//! and its validator accepts a policy that it could not finish checking; so text is bounded before
//! it is parsed and depth is bounded after. The other is ours: a decision evaluates a slice picked
//! by role, action, purpose and notice, so each permit must really be bound to the role, actions,
//! purpose and notice by which it is filed. That is read off the policy's structure, not believed
//! from its annotations.

use serde_json::Value;

use super::Action;
use crate::identity::Role;
use crate::notice::NoticeVersion;
use crate::purpose::Purpose;

/// LIMIT: bytes of one policy. A derived permit is under 2 KiB.
const POLICY_BYTES_MAX: usize = 64 * 1024;

/// LIMIT: brackets within brackets. The parser's stack holds 120 levels on the smallest threads.
const NESTING_MAX: usize = 32;

/// LIMIT: `if` within one policy; each nests the parser like a bracket that never closes.
const IFS_MAX: usize = 32;

/// LIMIT: depth of a parsed policy, in levels of its JSON form. The validator gives up silently
/// where its stack ends; 128 levels are far from there.
const DEPTH_MAX: usize = 128;

/// Under which keys a permit is filed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PermitShape {
    pub(super) role: Role,
    pub(super) actions: Vec<Action>,
    pub(super) purpose: Purpose,
    pub(super) notice: NoticeVersion,
}

/// Refuses texts that could overflow the parser.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    let (mut depth, mut ifs, mut start) = (0usize, 0usize, 0usize);
    let mut rest = text.char_indices().peekable();
    let mut word = String::new();
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => skip_string(&mut rest),
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                for (_, c) in rest.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => (depth, ifs, start) = (0, 0, at),
            _ => {}
        }
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            ifs += usize::from(word == "if");
            word.clear();
        }
        if depth > NESTING_MAX || ifs > IFS_MAX {
            return Err(format!("a policy nests deeper than {NESTING_MAX} levels"));
        }
        if at - start > POLICY_BYTES_MAX {
            return Err(format!("a policy is longer than {POLICY_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

fn skip_string(rest: &mut impl Iterator<Item = (usize, char)>) {
    while let Some((_, c)) = rest.next() {
        match c {
            '\\' => {
                rest.next();
            }
            '"' => return,
            _ => {}
        }
    }
}

/// Refuses a parsed policy that is too deep for the validator to be trusted with.
pub(super) fn check_depth(policy: &Value) -> Result<(), String> {
    let mut level = vec![policy];
    for _ in 0..DEPTH_MAX {
        level = level.into_iter().flat_map(children).collect();
        if level.is_empty() {
            return Ok(());
        }
    }
    Err("the policy's conditions nest too deeply; split them into several policies".to_owned())
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(map) => Box::new(map.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Box::new(std::iter::empty())
        }
    }
}

/// Reads the keys of a permit off its structure.
pub(super) fn read_permit(policy: &Value) -> Result<PermitShape, String> {
    let role = scope_entity(policy, "principal", "in", "Noticegate::Role")
        .ok_or("a permit's principal must be `principal in Noticegate::Role::\"...\"`")?;
    let actions = read_actions(policy)
        .ok_or("a permit must list its actions: `action in [Noticegate::Action::\"...\"]`")?;
    let conjuncts = conjuncts(policy);
    let bound = |subject: &str, attribute: &str, of_type: &str| {
        conjuncts.iter().find_map(|c| equals_entity(c, subject, attribute, of_type))
    };
    let notice = bound("resource", "notice", "Noticegate::Notice").and_then(|id| id.parse().ok());
    let notice = notice.ok_or(
        "a permit must hold for one notice: `resource has notice && resource.notice == \
         Noticegate::Notice::\"...\"` joined by `&&` to its other conditions",
    )?;
    let purpose = bound("context", "purpose", "Noticegate::Purpose").and_then(|id| id.parse().ok());
    let purpose = purpose.ok_or(
        "a permit must hold for one purpose: `context.purpose == Noticegate::Purpose::\"...\"` \
         joined by `&&` to its other conditions",
    )?;
    Ok(PermitShape { role: Role::new(role), actions, purpose, notice })
}

/// The one purpose that a forbid is bound to, if it is bound to one: for any other it cannot be
/// satisfied, nor fail to evaluate, since `&&` stops at the first part that is false.
pub(super) fn forbid_purpose(policy: &Value) -> Option<Purpose> {
    let first = first_conjunct(policy)?;
    equals_entity(first, "context", "purpose", "Noticegate::Purpose")?.parse().ok()
}

/// Reads the notice that a clause's forbid belongs to off its scope.
pub(super) fn read_forbid(policy: &Value) -> Result<NoticeVersion, String> {
    scope_entity(policy, "resource", "in", "Noticegate::Notice")
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| {
            "a notice's forbid must hold for its own recordings and all older ones: \
             `resource in Noticegate::Notice::\"...\"`"
                .to_owned()
        })
}

fn scope_entity<'a>(policy: &'a Value, part: &str, op: &str, of_type: &str) -> Option<&'a str> {
    let scope = policy.get(part)?;
    if scope.get("op")?.as_str()? != op {
        return None;
    }
    entity_id(scope.get("entity")?, of_type)
}

fn read_actions(policy: &Value) -> Option<Vec<Action>> {
    let scope = policy.get("action")?;
    let read = |entity| entity_id(entity, "Noticegate::Action").and_then(Action::read);
    match scope.get("op")?.as_str()? {
        "==" => Some(vec![read(scope.get("entity")?)?]),
        "in" => scope.get("entities")?.as_array()?.iter().map(read).collect(),
        _ => None,
    }
}

fn entity_id<'a>(entity: &'a Value, of_type: &str) -> Option<&'a str> {
    (entity.get("type")?.as_str()? == of_type).then_some(())?;
    entity.get("id")?.as_str()
}

/// The conditions that must all hold: the parts of every `when`, split at `&&`.
fn conjuncts(policy: &Value) -> Vec<&Value> {
    let conditions = policy.get("conditions").and_then(Value::as_array).into_iter().flatten();
    let when = conditions.filter(|c| c.get("kind").and_then(Value::as_str) == Some("when"));
    let mut open: Vec<&Value> = when.filter_map(|c| c.get("body")).collect();
    let mut found = Vec::new();
    while let Some(expression) = open.pop() {
        match expression.get("&&") {
            Some(and) => open.extend(["left", "right"].iter().filter_map(|side| and.get(side))),
            None => found.push(expression),
        }
    }
    found
}

/// The condition that is evaluated first, if the first part is a `when`.
fn first_conjunct(policy: &Value) -> Option<&Value> {
    let first = policy.get("conditions")?.as_array()?.first()?;
    if first.get("kind")?.as_str()? != "when" {
        return None;
    }
    let mut expression = first.get("body")?;
    while let Some(and) = expression.get("&&") {
        expression = and.get("left")?;
    }
    Some(expression)
}

/// The id in `subject.attribute == Type::"id"`.
fn equals_entity<'a>(
    expression: &'a Value,
    subject: &str,
    attribute: &str,
    of_type: &str,
) -> Option<&'a str> {
    let equal = expression.get("==")?;
    let access = equal.get("left")?.get(".")?;
    let is_it = access.get("attr")?.as_str()? == attribute
        && access.get("left")?.get("Var")?.as_str()? == subject;
    is_it.then_some(())?;
    entity_id(equal.get("right")?.get("Value")?.get("__entity")?, of_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_overflow_the_parser_is_refused() {
        let nested = |n: usize| {
            format!(
                "permit(principal,action,resource) when {{ {}1==1{} }};",
                "(".repeat(n),
                ")".repeat(n)
            )
        };
        assert!(check_text(&nested(30)).is_ok());
        assert!(check_text(&nested(32)).is_err());
        assert!(check_text(&"if a then ".repeat(40)).is_err());
        assert!(check_text(&format!("@quote(\"{}\")", "(".repeat(100))).is_ok());
        assert!(check_text(&format!("// {}\npermit", "(".repeat(100))).is_ok());
        assert!(check_text(&format!("@quote(\"\\\"{}\")", "(".repeat(100))).is_ok());
        assert!(check_text(&"x ".repeat(POLICY_BYTES_MAX)).is_err());
        assert!(check_text(&"x ; ".repeat(POLICY_BYTES_MAX)).is_ok());
    }
}
