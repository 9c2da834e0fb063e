//! From statements to a table that says the same.

use super::super::statement::{ConsentRecord, Said, Statement, Who};
use super::cell::{NO_MEMBER, unlist};
use super::{Column, Kind, MARKED};

/// Writes the statements of these kinds; others are left out, as are those of people who were
/// erased. Returns the table and how many rows it has.
#[must_use]
pub fn write<'a>(
    statements: impl IntoIterator<Item = &'a Statement>,
    kinds: &[Kind],
) -> (String, u64) {
    let of_kinds = |column: &Column| kinds.iter().any(|kind| kind.columns().contains(column));
    let several = |column: &Column| *column == Column::Kind && kinds.len() > 1;
    let columns: Vec<Column> =
        Column::ALL.iter().copied().filter(|c| several(c) || of_kinds(c)).collect();
    let mut text = String::new();
    line(&mut text, columns.iter().map(|column| column.as_str().to_owned()));
    let mut rows = 0;
    for statement in statements {
        let Some(kind) = kind(statement).filter(|kind| kinds.contains(kind)) else { continue };
        line(&mut text, columns.iter().map(|column| cell(statement, kind, *column)));
        rows += 1;
    }
    (text, rows)
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        let mark = if cell.starts_with(MARKED) { "'" } else { "" };
        if cell.contains([',', '"', '\r', '\n', ';', '\t']) {
            text.push_str(&format!("\"{mark}{}\"", cell.replace('"', "\"\"")));
        } else {
            text.push_str(mark);
            text.push_str(&cell);
        }
    }
    text.push_str("\r\n");
}

/// The kind of a row that says it; none if no row can.
fn kind(statement: &Statement) -> Option<Kind> {
    let needs_person = match &statement.said {
        Said::Consent(_) => (Kind::Consent, true),
        Said::Objection(_) => (Kind::Objection, true),
        Said::Party(_) => (Kind::Party, true),
        Said::Labels(_) => (Kind::Labels, false),
        Said::Payment(_) => (Kind::Payment, false),
        Said::Case(_) => (Kind::Case, false),
        Said::Hold(_) => (Kind::Hold, statement.about.is_empty()),
        Said::Announcement(_) | Said::Call(_) => return None,
    };
    let (kind, needs_person) = needs_person;
    (!needs_person || statement.participant.is_some()).then_some(kind)
}

fn cell(statement: &Statement, kind: Kind, column: Column) -> String {
    let texts = |list: Vec<String>| unlist(&list);
    match (column, &statement.participant) {
        (Column::Kind, _) => kind.as_str().to_owned(),
        (Column::About, _) => texts(statement.about.iter().map(ToString::to_string).collect()),
        (Column::Number, Some(Who::Number(number))) => number.clone(),
        (Column::Name, Some(Who::Name(name))) => name.clone(),
        _ => of_said(&statement.said, column).unwrap_or_default(),
    }
}

fn of_said(said: &Said, column: Column) -> Option<String> {
    let text = |value: &dyn std::fmt::Display| Some(value.to_string());
    match said {
        Said::Consent(record) => of_consent(record, column),
        Said::Objection(objection) => match column {
            Column::At => text(&objection.at),
            Column::State => Some(either(objection.lifted, "lifted", "made")),
            Column::Purposes => Some(unlist(&strings(&objection.purposes))),
            _ => None,
        },
        Said::Party(party) => match column {
            Column::Address => party.address.map(|place| place.to_string()),
            Column::Agent => party.agent.map(yes),
            Column::Leg => party.leg.map(|leg| leg.to_string()),
            Column::Minor => party.minor.map(yes),
            Column::Stated => party.stated.map(|place| place.to_string()),
            _ => None,
        },
        Said::Labels(filing) => match column {
            Column::CallType => filing.call_type.clone(),
            Column::Department => filing.department.clone(),
            Column::Labels => filing.labels.as_ref().map(|labels| match labels.is_empty() {
                true => NO_MEMBER.to_owned(),
                false => unlist(labels),
            }),
            Column::Line => filing.line.clone(),
            _ => None,
        },
        Said::Payment(payment) => match column {
            Column::Taken => Some(yes(payment.taken)),
            Column::Pauses => {
                let each = payment.pauses.iter().map(|p| format!("{}-{}", p.start_ms, p.end_ms));
                Some(unlist(&each.collect::<Vec<_>>()))
            }
            _ => None,
        },
        Said::Case(case) => match column {
            Column::At => text(&case.at),
            Column::Case => Some(case.id.clone()),
            Column::State => Some(either(case.open, "open", "closed")),
            _ => None,
        },
        Said::Hold(hold) => match column {
            Column::Case => Some(hold.case.clone()),
            Column::Hold => Some(hold.id.clone()),
            Column::People => Some(unlist(&hold.people)),
            Column::Purposes => Some(unlist(&strings(&hold.purposes))),
            Column::Reason => Some(hold.reason.clone()),
            Column::State => Some(either(hold.lifted, "lifted", "placed")),
            _ => None,
        },
        Said::Announcement(_) | Said::Call(_) => None,
    }
}

fn of_consent(record: &ConsentRecord, column: Column) -> Option<String> {
    let (heard, proof) = (record.announcement.as_ref(), record.proof.as_ref());
    match column {
        Column::At => Some(record.at.to_string()),
        Column::State => Some(record.state.as_str().to_owned()),
        Column::Form => record.form.map(|form| form.as_str().to_owned()),
        Column::Purposes => Some(unlist(&strings(&record.purposes))),
        Column::Data => Some(unlist(&record.data)),
        Column::Until => record.until.map(|until| until.to_string()),
        Column::Guardian => record.guardian.then(|| yes(true)),
        Column::Jurisdiction => record.jurisdiction.map(|place| place.to_string()),
        Column::Language => record.language.clone(),
        Column::Leg => record.leg.map(|leg| leg.to_string()),
        Column::Notice => record.notice.as_ref().map(ToString::to_string),
        Column::WithdrawBy => record.withdraw_by.clone(),
        Column::Announcement => heard.map(|heard| heard.id.clone()),
        Column::AnnouncementComplete => heard.map(|heard| yes(heard.complete)),
        Column::AnnouncementMs => heard?.ms.map(|ms| ms.to_string()),
        Column::AnnouncementSha256 => heard?.sha256.clone(),
        Column::ProofDocument => proof?.document.clone(),
        Column::ProofSha256 => proof?.sha256.clone(),
        Column::ProofRecording => proof?.recording.map(|sid| sid.to_string()),
        Column::ProofOffsetMs => proof?.offset_ms.map(|ms| ms.to_string()),
        _ => None,
    }
}

fn strings<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn yes(yes: bool) -> String {
    either(yes, "yes", "no")
}

fn either(is: bool, one: &str, other: &str) -> String {
    (if is { one } else { other }).to_owned()
}
