//! How large a hand-written policy may be, beyond what Cedar's validator checks.
//!
//! Deep nesting can overflow the engine's parser's stack, and its validator accepts a policy that
//! it could not finish checking; so text is bounded before it is parsed and depth is bounded after.

use serde_json::Value;

/// LIMIT: bytes of one policy. A derived permit is under 2 KiB.
const POLICY_BYTES_MAX: usize = 64 * 1024;

/// LIMIT: brackets within brackets. The parser's stack holds 120 levels on the smallest threads.
const NESTING_MAX: usize = 32;

/// LIMIT: `if` within one policy; each nests the parser like a bracket that never closes.
const IFS_MAX: usize = 32;

/// LIMIT: depth of a parsed policy, in levels of its JSON form. The validator gives up silently
/// where its stack ends; 128 levels are far from there.
const DEPTH_MAX: usize = 128;

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
