//! What stands in a cell: times, numbers of telephones, lists, yes and no.

use jiff::Timestamp;

use super::super::statement::is_e164;

/// What stands for a list that is known to be empty, where an empty cell says nothing.
pub(super) const NO_MEMBER: &str = "-";

/// What is wrong with a cell, and what would be right.
pub(super) type Wrong = (&'static str, String);

/// Takes away the one apostrophe by which spreadsheets mark a text.
pub(super) fn unmarked(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// Brings a telephone number, however it is written, into E.164 form.
///
/// # Errors
/// What would be right. The number is not repeated.
pub fn number(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let is_rounded = text.contains(['E', 'e']) && text.bytes().any(|b| b.is_ascii_digit());
    if is_rounded && text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(
            "a spreadsheet has rounded this number: format the column as text, and fill it in \
                    once more",
        );
    }
    if !text.starts_with('+') {
        return Err("write it with a plus sign and its country, such as `+1 404 555 0123`");
    }
    let bare: String = text.chars().filter(|c| !" -().\u{a0}\u{2011}/".contains(*c)).collect();
    // A zero that is only dialled within the country.
    let has_trunk_zero = text.contains("(0)");
    let read = match is_e164(&bare) && !has_trunk_zero {
        true => Some(bare),
        false => phonenumber::parse(None, text)
            .ok()
            .filter(|parsed| parsed.extension().is_none() && parsed.is_valid())
            .map(|parsed| parsed.format().mode(phonenumber::Mode::E164).to_string()),
    };
    // In North America all have ten digits: one that lacks some would be nobody's.
    let whole = |number: &String| {
        is_e164(number) && number.strip_prefix("+1").is_none_or(|national| national.len() == 10)
    };
    read.filter(whole)
        .ok_or("this is no whole telephone number; write it such as `+1 404 555 0123`")
}

/// LIMIT: digits that are shown in a row. A telephone number within a country may have seven.
const DIGITS_MAX: usize = 6;

/// A text in which nobody finds a telephone number, however it is written.
pub(super) fn hidden(text: &str) -> String {
    let within = |c: char| c.is_ascii_digit() || " +-()./\u{a0}\u{2011}".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (run, after) = rest.split_at(rest.find(|c| !within(c)).unwrap_or(rest.len()));
        match run.bytes().filter(u8::is_ascii_digit).count() > DIGITS_MAX {
            true => out.push('…'),
            false => out.push_str(run),
        }
        let (plain, after) = after.split_at(after.find(within).unwrap_or(after.len()));
        out.push_str(plain);
        rest = after;
    }
    out
}

/// A moment: RFC 3339, with its offset.
pub(super) fn time(text: &str) -> Result<Timestamp, Wrong> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let right = "2026-11-03T09:15:00Z or 2026-11-03T10:15:00+01:00";
    let is_day = text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10;
    if is_day {
        return Err(("a day is no moment", format!("write {right}")));
    }
    if text.parse::<jiff::civil::DateTime>().is_ok() {
        return Err(("nobody knows in which time zone this is", format!("write {right}")));
    }
    if text.contains(['/', '.']) && text.starts_with(|c: char| c.is_ascii_digit()) {
        let problem = "nobody knows whether the day or the month comes first";
        return Err((problem, format!("write {right}")));
    }
    Err(("this is no time", format!("write {right}")))
}

/// Yes or no, in the words that people and spreadsheets use.
pub(super) fn yes(text: &str) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(("this is neither `yes` nor `no`", "write `yes` or `no`".to_owned())),
    }
}

/// A list with semicolons between its members; a backslash keeps what follows it as it is.
pub(super) fn list(text: &str) -> Vec<String> {
    let mut members = Vec::new();
    let mut member = String::new();
    // How much of the member is not white space behind its end.
    let mut kept = 0;
    let mut chars = text.chars();
    loop {
        let (next, escaped) = match chars.next() {
            Some('\\') => (chars.next().or(Some('\\')), true),
            next => (next, false),
        };
        match next {
            Some(c) if escaped || (c != ';' && !c.is_whitespace()) => {
                member.push(c);
                kept = member.len();
            }
            Some(c) if c != ';' => {
                if !member.is_empty() {
                    member.push(c);
                }
            }
            end => {
                member.truncate(kept);
                kept = 0;
                let whole = std::mem::take(&mut member);
                members.extend(Some(whole).filter(|whole| !whole.is_empty()));
                if end.is_none() {
                    return members;
                }
            }
        }
    }
}

/// The list as it is written.
pub(super) fn unlist<T: AsRef<str>>(members: &[T]) -> String {
    let mut text = String::new();
    for (index, member) in members.iter().map(AsRef::as_ref).enumerate() {
        if index > 0 {
            text.push(';');
        }
        // Alone it stands for no member at all.
        if member == NO_MEMBER {
            text.push('\\');
        }
        let ends = member.trim().len();
        let starts = member.len() - member.trim_start().len();
        for (at, c) in member.char_indices() {
            let outside = at < starts || at >= starts + ends;
            if c == ';' || c == '\\' || (c.is_whitespace() && outside) {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}
