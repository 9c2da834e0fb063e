//! Stand-in until the room is there.
use crate::words::words;
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(u64);
impl Place { pub const UNKNOWN: Self = Self(0); }
impl serde::Serialize for Place { fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str("ZZ") } }
impl<'de> serde::Deserialize<'de> for Place { fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> { String::deserialize(d).map(|_| Self(0)) } }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium { Telephone, Video }
words! {
    /// R.
    ConsentRule { /// o
        OneParty = "one-party", /// a
        AllParty = "all-party", }
}
#[derive(Debug)]
pub struct Party { pub places: Vec<Place>, pub number: Option<String> }
#[derive(Debug, Default)]
pub struct Law;
pub struct CallRule { pub rule: ConsentRule, pub place: Place }
impl Law { pub fn of_call(&self, _: &[Party], _: Medium) -> CallRule { CallRule { rule: ConsentRule::OneParty, place: Place::UNKNOWN } }
 pub fn read(_: &str, _: &str, _: Option<&str>) -> Result<Self, Vec<crate::notice::Problem>> { Ok(Self) } }
