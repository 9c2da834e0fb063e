//! Reading the law table, the area codes and the overrides, with a problem for each thing that is
//! wrong.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use super::{
    AREA_CODES_FILE, CONSENT_FILE, ConsentRule, Law, OVERRIDES_FILE, Override, Place, Row,
};
use crate::notice::{Lines, Problem, bad_toml};

/// The columns of the table.
const COLUMNS: [&str; 10] = [
    "place",
    "name",
    "telephone",
    "video",
    "statute",
    "note",
    "confidence",
    "evidence",
    "source",
    "review",
];

pub(super) fn read(
    consent: &str,
    area_codes: &str,
    overrides: Option<&str>,
) -> Result<Law, Vec<Problem>> {
    let mut problems = Vec::new();
    let rows = read_rows(consent, &mut problems);
    if !rows.contains_key(&Place::UNKNOWN) {
        let message = "there is no row `ZZ`, which is for places that nobody knows";
        problems.push(Problem::new(CONSENT_FILE, None, message));
    }
    let area_codes = read_area_codes(area_codes, &mut problems);
    let overrides = overrides.map(|text| read_overrides(text, &rows, &mut problems));
    match problems.is_empty() {
        true => Ok(Law { rows, overrides: overrides.unwrap_or_default(), area_codes }),
        false => Err(problems),
    }
}

/// The lines of a table behind its comments and its header, with their numbers and cells.
fn table<'a, const N: usize>(
    file: &str,
    text: &'a str,
    columns: [&str; N],
    problems: &mut Vec<Problem>,
) -> Vec<(usize, [&'a str; N])> {
    let lines = (1..).zip(text.lines());
    let mut lines = lines.filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    let header = lines.next();
    if !header.is_some_and(|(_, line)| line.split('\t').eq(columns)) {
        let message = format!("the first line names the columns: {}", columns.join(", "));
        problems.push(Problem::new(file, header.map(|(number, _)| number), message));
        return Vec::new();
    }
    let mut rows = Vec::new();
    for (number, line) in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        match <[&str; N]>::try_from(cells) {
            Ok(cells) => rows.push((number, cells)),
            Err(cells) => {
                let message =
                    format!("a row has {N} cells with tabs between them, not {}", cells.len());
                problems.push(Problem::new(file, Some(number), message));
            }
        }
    }
    rows
}

fn read_rows(text: &str, problems: &mut Vec<Problem>) -> BTreeMap<Place, Row> {
    let mut rows = BTreeMap::new();
    for (line, cells) in table(CONSENT_FILE, text, COLUMNS, problems) {
        let [place, name, telephone, video, statute, note, confidence, evidence, source, review] =
            cells;
        let mut wrong =
            |message: String| problems.push(Problem::new(CONSENT_FILE, Some(line), message));
        let Ok(place) = place.parse::<Place>() else {
            wrong(format!("`{place}` is not the code of a place"));
            continue;
        };
        let rules = (ConsentRule::read(telephone), ConsentRule::read(video));
        let (Some(telephone), Some(video)) = rules else {
            wrong("a rule is `one-party` or `all-party`".to_owned());
            continue;
        };
        if !["high", "medium", "low"].contains(&confidence) || source.is_empty() {
            wrong("a row has a source, and a confidence: `high`, `medium` or `low`".to_owned());
        }
        let Ok(review) = review.parse::<Date>() else {
            wrong("a row has a day of review, such as 2027-11-24".to_owned());
            continue;
        };
        if place == Place::UNKNOWN
            && (telephone, video) != (ConsentRule::AllParty, ConsentRule::AllParty)
        {
            wrong("of places that nobody knows, the rule is `all-party`".to_owned());
        }
        let row = Row {
            name: name.to_owned(),
            telephone,
            video,
            statute: statute.to_owned(),
            note: note.to_owned(),
            confidence: confidence.to_owned(),
            evidence: evidence.to_owned(),
            source: source.to_owned(),
            review,
            line,
        };
        if rows.insert(place, row).is_some() {
            wrong(format!("`{place}` has a row already"));
        }
    }
    rows
}

fn read_area_codes(text: &str, problems: &mut Vec<Problem>) -> HashMap<u16, Vec<Place>> {
    let mut codes = HashMap::new();
    for (line, [code, places, _]) in
        table(AREA_CODES_FILE, text, ["code", "places", "kind"], problems)
    {
        let mut wrong =
            |message: String| problems.push(Problem::new(AREA_CODES_FILE, Some(line), message));
        let number = code.parse::<u16>().ok().filter(|code| (200..1000).contains(code));
        let named = places.split(',').filter(|place| !place.is_empty());
        let named: Result<Vec<Place>, _> = named.map(str::parse).collect();
        match (number, named) {
            (Some(number), Ok(places)) => {
                if codes.insert(number, places).is_some() {
                    wrong(format!("`{code}` has a row already"));
                }
            }
            (None, _) => wrong("an area code has three digits".to_owned()),
            (_, Err(error)) => wrong(error.to_string()),
        }
    }
    codes
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "override")]
    overrides: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    place: Spanned<Place>,
    telephone: ConsentRule,
    video: ConsentRule,
    counsel: String,
    reason: String,
    decided: toml::value::Datetime,
    review: toml::value::Datetime,
}

fn read_overrides(
    text: &str,
    rows: &BTreeMap<Place, Row>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Place, Override> {
    let mut read = BTreeMap::new();
    let file = match toml::from_str::<File>(text) {
        Ok(file) => file,
        Err(error) => {
            problems.push(bad_toml(OVERRIDES_FILE, text, &error));
            return read;
        }
    };
    let lines = Lines::of(text);
    for Table { place, telephone, video, counsel, reason, decided, review } in file.overrides {
        let line = lines.at(place.span().start);
        let mut wrong =
            |message: String| problems.push(Problem::new(OVERRIDES_FILE, Some(line), message));
        let place = place.into_inner();
        if place == Place::UNKNOWN {
            wrong("what the law of an unknown place demands cannot be known".to_owned());
        } else if !rows.contains_key(&place) {
            wrong(format!("the table has no place `{place}`"));
        }
        if counsel.trim().is_empty() || reason.trim().is_empty() {
            wrong("`counsel` says who reads the law so, and `reason` why".to_owned());
        }
        let date = |of: &toml::value::Datetime| of.to_string().parse::<Date>().ok();
        let (Some(decided), Some(review)) = (date(&decided), date(&review)) else {
            wrong("`decided` and `review` are days, such as 2026-11-01".to_owned());
            continue;
        };
        if review <= decided {
            wrong("`review` is a day after `decided`".to_owned());
        }
        let of = Override { place, telephone, video, counsel, reason, decided, review, line };
        if read.insert(place, of).is_some() {
            wrong(format!("`{place}` is overridden already"));
        }
    }
    read
}

/// The country of a number from outside the North American Numbering Plan; none for a number that
/// belongs to no place or to nobody.
pub(super) fn country_of(number: &str) -> Option<Place> {
    let parsed = phonenumber::parse(None, number).ok()?;
    let tells = match parsed.number_type(&phonenumber::metadata::DATABASE) {
        phonenumber::Type::TollFree
        | phonenumber::Type::PremiumRate
        | phonenumber::Type::SharedCost
        | phonenumber::Type::PersonalNumber
        | phonenumber::Type::Uan
        | phonenumber::Type::Unknown => false,
        _ => parsed.is_valid(),
    };
    let country = parsed.country().id().filter(|_| tells)?;
    country.as_ref().parse().ok()
}
