//! A draft as a patch, for whoever keeps the policy folder in Git: `git apply` in the folder takes it.

use similar::TextDiff;

use super::{Draft, notice_of};
use crate::folder;
use crate::policy::{DerivedFile, PolicySources};

/// The unified diff from what is in force to a draft, what it derives included: its policies and, where
/// they are given, the tables of decisions before and with it.
#[must_use]
pub fn patch(
    draft: &Draft,
    in_force: &PolicySources,
    with: &PolicySources,
    tables: Option<[&DerivedFile; 2]>,
) -> String {
    let old = notice_of(in_force, &draft.version);
    let Some(new) = notice_of(with, &draft.version) else { return String::new() };
    let named =
        |meaning: &str| folder::text_name(meaning).unwrap_or_else(|| "notice.md".to_owned());
    let text = named(&new.meaning);
    let moved = old.map(|old| named(&old.meaning)).filter(|name| *name != text);
    let mut out = String::new();
    let mut add = |path: &str, before: Option<&str>, after: Option<&str>| {
        let side = |letter: &str, is_there: bool| match is_there {
            true => format!("{letter}/{path}"),
            false => "/dev/null".to_owned(),
        };
        let (from, to) = (side("a", before.is_some()), side("b", after.is_some()));
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        if before != after {
            let diff = TextDiff::from_lines(before, after);
            out.push_str(&diff.unified_diff().header(&from, &to).to_string());
        }
    };
    let of_version = |name: &str| format!("notices/{}/{name}", draft.version);
    let old_text = old.map(|old| old.text.as_str());
    add(&of_version(&text), old_text.filter(|_| moved.is_none()), Some(&new.text));
    if let Some(moved) = &moved {
        add(&of_version(moved), old_text, None);
    }
    add(&of_version("clauses.toml"), old.map(|old| old.meaning.as_str()), Some(&new.meaning));
    let derived = old.map(|old| old.clauses.as_str()).filter(|text| !text.is_empty());
    add(&of_version("clauses.cedar"), derived, Some(&new.clauses));
    if let Some([before, after]) = tables {
        add(&after.path, Some(&before.text), Some(&after.text));
    }
    out
}
