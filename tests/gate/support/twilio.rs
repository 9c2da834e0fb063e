//! An account with one of everything behind a gate: who may have what of it, and what Twilio
//! itself says.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, LOCATION};
use jiff::SignedDuration;
use serde_json::Value;

use super::client::{Answer, Client};
use super::everything::{ROOM_TRANSCRIPTION, everything, sid};
use super::policies::one_notice;
use super::world::{ACCOUNT, UPSTREAM_SECRET, World, WorldSettings, bodiless};

/// Who may have which artefact, and for which purpose: one clause each.
pub const PEOPLE: [(&str, &str, &str); 5] = [
    ("audio", "quality-analyst", "quality-monitoring"),
    ("video", "trainer", "staff-training"),
    ("message-media", "complaints-handler", "complaint-handling"),
    ("transcript", "team-lead", "quality-monitoring"),
    ("analysis", "privacy-officer", "internal-compliance"),
];

/// A clause that permits one artefact to one role for one purpose.
pub fn permit(artefact: &str, role: &str, purpose: &str, more: &str) -> String {
    format!(
        "effect = \"permit\"\nroles = [\"{role}\"]\npurposes = [\"{purpose}\"]\n\
         artefacts = [\"{artefact}\"]\n{more}"
    )
}

/// The notice that has one clause for each of [`PEOPLE`].
pub fn each_their_own(folder: &Path) {
    let clauses = PEOPLE.map(|(what, role, purpose)| (what, permit(what, role, purpose, "")));
    let clauses: Vec<_> = clauses.iter().map(|(id, text)| (*id, text.as_str())).collect();
    one_notice(folder, &clauses);
}

/// The same, and a clause by which the privacy officer may delete.
pub fn with_deletion(folder: &Path) {
    let all = "effect = \"permit\"\nroles = [\"privacy-officer\"]\npurposes = [\"rights-request\"]\n\
               actions = [\"delete\"]\n\
               artefacts = [\"audio\", \"video\", \"message-media\", \"transcript\", \"analysis\"]";
    let clauses = PEOPLE.map(|(what, role, purpose)| (what, permit(what, role, purpose, "")));
    let mut clauses: Vec<_> = clauses.iter().map(|(id, text)| (*id, text.as_str())).collect();
    clauses.push(("deletion", all));
    one_notice(folder, &clauses);
}

/// A world of everything under these policies.
pub fn settings(policies: fn(&Path)) -> WorldSettings {
    WorldSettings { holding: Some(everything), policies, ..WorldSettings::default() }
}

/// A path with the SIDs of the account in the place of their kinds; `{A}` is the account's prefix.
pub fn path(template: &str) -> String {
    let mut path = template.replace("{A}", "/2010-04-01/Accounts/{AC}").replace("{AC}", ACCOUNT);
    path = path.replace("{video_extension_}", ROOM_TRANSCRIPTION);
    // The track with pictures, and the file of a conversation.
    path = path.replace("{RT}", &sid("RT", 4));
    if path.contains("{IS}") {
        path = path.replace("{ME}", &sid("ME", 2));
    }
    while let Some((before, (kind, after))) =
        path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        path = format!("{before}{}{after}", sid(kind, 1));
    }
    path
}

impl World {
    /// A request of whoever may have this artefact.
    pub fn for_artefact(&self, artefact: &str, path: &str) -> http::request::Builder {
        let (_, role, purpose) = PEOPLE.iter().find(|(what, ..)| *what == artefact).unwrap();
        self.who(&format!("who may {artefact}").replace(' ', "-"), role, purpose, path)
    }

    /// Moves the clock until no fact is young enough any more.
    pub fn age(&self) {
        self.clock.set(self.clock.now() + SignedDuration::from_secs(301));
    }

    /// What upstream saw: method and target of each request, CDN without its query.
    pub fn upstream_lines(&self) -> Vec<String> {
        let line = |seen: noticegate::standin::SeenRequest| match seen.listener {
            noticegate::standin::Listener::Api => {
                format!("{} {}", seen.method, seen.path_and_query)
            }
            noticegate::standin::Listener::Cdn => format!("{} of the CDN", seen.method),
        };
        self.standin.seen().into_iter().map(line).collect()
    }
}

/// Twilio, asked without a gate.
pub struct Twilio {
    api: Client,
    cdn: Client,
}

impl Twilio {
    pub fn of(world: &World) -> Self {
        let client = |address| Client::unsearched(address, world.authority.certificate());
        Self { api: client(world.standin.address()), cdn: client(world.standin.cdn_address()) }
    }

    /// What it answers.
    pub async fn get(&self, path: &str) -> Answer {
        let pair = STANDARD.encode(format!("{ACCOUNT}:{UPSTREAM_SECRET}"));
        let request = Client::get(path).header(AUTHORIZATION, format!("Basic {pair}"));
        self.api.send(bodiless(request)).await
    }

    /// What a link of it leads to; `part` is which of several.
    pub async fn behind(&self, path: &str, part: usize) -> Answer {
        let answer = self.get(path).await;
        let url = match answer.header(LOCATION.as_str()) {
            Some(location) => location.to_owned(),
            None => {
                let json = answer.json();
                let several = json["locations"].get(part).cloned();
                let keys =
                    ["/redirect_to", "/media_url", "/location", "/links/content_direct_temporary"];
                let one = keys.iter().find_map(|key| json.pointer(key).cloned());
                one.or(several).and_then(|url| url.as_str().map(str::to_owned)).unwrap()
            }
        };
        let (_, rest) = url.split_once("://").unwrap();
        let (_, path) = rest.split_once('/').unwrap();
        self.cdn.send(bodiless(Client::get(&format!("/{path}")))).await
    }
}

/// Asserts that the gate tells what Twilio does, key by key, but for URLs: those lead to the gate
/// or nowhere.
#[track_caller]
pub fn assert_same_but_urls(told: &Value, of_twilio: &Value) {
    match (told, of_twilio) {
        (Value::Object(told), Value::Object(twilio)) => {
            let keys = |map: &serde_json::Map<_, _>| map.keys().cloned().collect::<Vec<String>>();
            assert_eq!(keys(told), keys(twilio));
            told.iter().for_each(|(key, value)| assert_same_but_urls(value, &twilio[key]));
        }
        (Value::Array(told), Value::Array(twilio)) => {
            assert_eq!(told.len(), twilio.len());
            told.iter().zip(twilio).for_each(|(a, b)| assert_same_but_urls(a, b));
        }
        (told, Value::String(text)) if text.contains("://") => {
            let is_own = |url: &str| url.starts_with("https://localhost/");
            assert!(told.is_null() || told.as_str().is_some_and(is_own), "{told}");
        }
        (told, twilio) => assert_eq!(told, twilio),
    }
}
