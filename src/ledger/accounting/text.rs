//! The accounting for a terminal.

use super::words::{self, is_hidden};
use super::{Accounting, Item};

/// LIMIT: columns of a line. Wider is hard to read, and most terminals show as many.
const WIDTH: usize = 100;

/// Columns of the names before the values.
const NAMES: usize = 18;

pub(super) fn write(accounting: &Accounting) -> String {
    let mut to = String::new();
    paragraph(&mut to, accounting.title());
    to.push_str(&"=".repeat(accounting.title().chars().count()));
    to.push('\n');
    paragraph(&mut to, &accounting.head.organisation);
    to.push('\n');
    for (name, value) in accounting.particulars() {
        field(&mut to, name, &value);
    }
    to.push('\n');
    paragraph(&mut to, &accounting.summary());
    for (number, item) in accounting.items.iter().enumerate() {
        to.push('\n');
        entry(&mut to, accounting, number + 1, item);
    }
    to.push('\n');
    for note in accounting.notes() {
        paragraph(&mut to, note);
    }
    to
}

fn entry(to: &mut String, accounting: &Accounting, number: usize, item: &Item) {
    let line = &item.line;
    field(to, &format!("{number}."), &words::moment(line.at));
    field(to, "  What", &words::done(item));
    field(to, "  Of", &words::call(line));
    field(to, "", &words::recording(line));
    field(to, "  Recipient", &accounting.recipient(line));
    if accounting.is_full() {
        field(to, "  Asked by", &words::caller(line));
    }
    field(to, "  Purpose", &line.purpose_plain);
    if let Some((quote, place)) = words::promise(line) {
        field(to, "  The notice says", &format!("\u{201c}{quote}\u{201d}"));
        field(to, "", &place);
    }
    if let Some(ending) = words::ending(item) {
        field(to, "  Note", &ending);
    }
}

fn paragraph(to: &mut String, text: &str) {
    for line in wrapped(text, WIDTH) {
        to.push_str(&line);
        to.push('\n');
    }
}

fn field(to: &mut String, name: &str, value: &str) {
    let mut name = name;
    for line in wrapped(value, WIDTH - NAMES) {
        to.push_str(format!("{name:NAMES$}{line}").trim_end());
        to.push('\n');
        name = "";
    }
}

/// The words of a text in lines of at most so many characters; a longer word is cut. At least one
/// line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let shown: Vec<char> =
            word.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect();
        for (place, piece) in shown.chunks(width).enumerate() {
            let gap = usize::from(used > 0 && place == 0);
            if used + gap + piece.len() > width || place > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            } else if gap > 0 {
                line.push(' ');
                used += 1;
            }
            line.extend(piece);
            used += piece.len();
        }
    }
    lines.push(line);
    lines
}
