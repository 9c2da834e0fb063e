//! The law of places: whose consent it demands before a call may be recorded; pure.
//!
//! The table (`policies/law/`) is data, with a source and a day of review on each row; an
//! organisation overrides rows with its counsel's reading. A participant may be in any of several
//! places (where they are registered, where they said they are, where their number belongs): the
//! strictest of them decides, and the strictest participant decides for the call. A number only adds
//! a place, so it makes the rule stricter and never looser. Nothing known is the strictest.

mod table;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::Serialize;

use crate::notice::Problem;
use crate::words::words;

/// LIMIT: bytes of a place's code. The longest in the table is `CA-BUSINESS`.
const PLACE_BYTES_MAX: usize = 12;

/// A place, by its code: ISO 3166-2 such as `US-CA`, or ISO 3166-1 such as `GB`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place([u8; PLACE_BYTES_MAX]);

/// The text is not the code of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place is a code of ISO 3166, such as `US-CA` or `GB`")]
pub struct NotAPlace;

impl Place {
    /// Nobody knows where.
    pub const UNKNOWN: Self = Self(*b"ZZ\0\0\0\0\0\0\0\0\0\0");

    fn as_str(&self) -> &str {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// The code of its country.
    fn country(&self) -> &str {
        self.as_str().get(..2).unwrap_or_default()
    }
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (country, region) = text.split_once('-').unwrap_or((text, "X"));
        let upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if country.len() != 2 || !upper(country) || region.is_empty() || !plain(region) {
            return Err(NotAPlace);
        }
        let mut bytes = [0; PLACE_BYTES_MAX];
        bytes.get_mut(..text.len()).ok_or(NotAPlace)?.copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How people spoke; the law of some places is not the same for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// By telephone.
    Telephone,
    /// In a video room.
    Video,
}

words! {
    /// Whose consent is demanded. The later is the stricter.
    ConsentRule {
        /// One participant's: the organisation's own.
        OneParty = "one-party",
        /// Everybody's.
        AllParty = "all-party",
    }
}

/// What the law of one place says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The place, as it is called.
    pub name: String,
    /// By telephone.
    pub telephone: ConsentRule,
    /// In a video room.
    pub video: ConsentRule,
    /// Where it says so.
    pub statute: String,
    /// What else there is to say.
    pub note: String,
    /// How sure the table is: high, medium or low.
    pub confidence: String,
    /// Whether the law itself was read, or what others write of it.
    pub evidence: String,
    /// Where the table has it from.
    pub source: String,
    /// The day by which somebody should look at it again.
    pub review: Date,
    line: usize,
}

/// The reading of a place's law by the organisation's own counsel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Override {
    /// The place.
    pub place: Place,
    /// By telephone.
    pub telephone: ConsentRule,
    /// In a video room.
    pub video: ConsentRule,
    /// Who reads it so.
    pub counsel: String,
    /// Why.
    pub reason: String,
    /// When they said so.
    pub decided: Date,
    /// The day by which somebody should look at it again.
    pub review: Date,
    #[serde(skip)]
    line: usize,
}

/// The law of all places that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Law {
    rows: BTreeMap<Place, Row>,
    overrides: BTreeMap<Place, Override>,
    area_codes: HashMap<u16, Vec<Place>>,
}

/// Somebody on a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Where they are registered, and where they said they are.
    pub places: Vec<Place>,
    /// Their number in E.164 form.
    pub number: Option<String>,
}

/// What is demanded of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRule {
    /// Whose consent.
    pub rule: ConsentRule,
    /// The place whose law demands it.
    pub place: Place,
}

/// Countries whose law depends on the region: of somebody who is somewhere there, nobody knows.
const BY_REGION: [&str; 3] = ["US", "CA", "AU"];

impl Law {
    /// Reads the table, the area codes and the organisation's overrides.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(
        consent: &str,
        area_codes: &str,
        overrides: Option<&str>,
    ) -> Result<Self, Vec<Problem>> {
        table::read(consent, area_codes, overrides)
    }

    /// Whose consent the law of a place demands.
    #[must_use]
    pub fn rule(&self, place: Place, medium: Medium) -> ConsentRule {
        let of = |telephone, video| match medium {
            Medium::Telephone => telephone,
            Medium::Video => video,
        };
        if let Some(Override { telephone, video, .. }) = self.overrides.get(&place) {
            return of(*telephone, *video);
        }
        let is_bare = place.as_str().len() == 2;
        let depends = BY_REGION.contains(&place.country());
        let row = self.rows.get(&place).filter(|_| !(is_bare && depends));
        // Where a country's regions have no rows of their own, the country's holds.
        let row = row.or_else(|| match depends {
            true => None,
            false => self.rows.get(&place.country().parse().ok()?),
        });
        row.map_or(ConsentRule::AllParty, |row| of(row.telephone, row.video))
    }

    /// What the table says of a place.
    #[must_use]
    pub fn row(&self, place: Place) -> Option<&Row> {
        self.rows.get(&place)
    }

    /// The places that are known.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.rows.keys().copied()
    }

    /// The readings of the organisation's counsel.
    pub fn overrides(&self) -> impl Iterator<Item = &Override> {
        self.overrides.values()
    }

    /// The places to which a number in E.164 form may belong. None if it tells no place: toll-free,
    /// premium and personal numbers, and what is no number.
    #[must_use]
    pub fn places_of_number(&self, number: &str) -> Vec<Place> {
        let Some(digits) = number.strip_prefix('+') else { return Vec::new() };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Vec::new();
        }
        if let Some(national) = digits.strip_prefix('1') {
            let code = national.get(..3).filter(|_| national.len() == 10);
            let code = code.and_then(|code| code.parse().ok());
            return code.and_then(|code| self.area_codes.get(&code)).cloned().unwrap_or_default();
        }
        table::country_of(number).into_iter().collect()
    }

    /// What is demanded of a call between these people. If nobody is known, or somebody may be
    /// anywhere, it is everybody's consent.
    #[must_use]
    pub fn of_call(&self, parties: &[Party], medium: Medium) -> CallRule {
        let of_place = |place| CallRule { rule: self.rule(place, medium), place };
        let of_party = |party: &Party| {
            let number = party.number.iter().flat_map(|number| self.places_of_number(number));
            let places = party.places.iter().copied().chain(number);
            strictest(places.map(of_place)).unwrap_or(of_place(Place::UNKNOWN))
        };
        strictest(parties.iter().map(of_party)).unwrap_or(of_place(Place::UNKNOWN))
    }

    /// What somebody should look at again by now.
    pub fn past_review(&self, today: Date) -> impl Iterator<Item = Problem> {
        let rows = self.rows.iter().map(|(place, row)| (CONSENT_FILE, place, row.line, row.review));
        let overrides = self.overrides.iter();
        let overrides = overrides.map(|(place, of)| (OVERRIDES_FILE, place, of.line, of.review));
        let past = rows.chain(overrides).filter(move |(.., review)| *review < today);
        past.map(|(file, place, line, review)| {
            let message = format!("the law of `{place}` was to be looked at again by {review}");
            let help = "have counsel read it, and set a later `review`";
            Problem::new(file, Some(line), message).help(help).warning()
        })
    }
}

/// The table in the policy folder.
const CONSENT_FILE: &str = "law/consent.tsv";
/// The area codes in the policy folder.
const AREA_CODES_FILE: &str = "law/area_codes.tsv";
/// The organisation's readings in the policy folder.
const OVERRIDES_FILE: &str = "law/overrides.toml";

/// The first of the strictest.
fn strictest(rules: impl Iterator<Item = CallRule>) -> Option<CallRule> {
    rules.reduce(|strictest, next| if next.rule > strictest.rule { next } else { strictest })
}

#[cfg(test)]
mod tests;
