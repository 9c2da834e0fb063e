//! Twilio's URL grammar: text from a caller becomes a [`MediaRef`] or is refused.
//!
//! This room is pure. It takes the path and the query of a request and gives back the one
//! reference they spell, or a [`TargetError`] that says what is wrong with them. The upstream
//! request is later built from the reference alone ([`MediaRef::upstream_path`]), so nothing a
//! caller wrote travels on. The grammar accepts one spelling for each object and no other: what
//! two parsers could read differently (encoded or doubled slashes, dot segments, parameters,
//! letter case) is refused before anything else happens. `row.rs` is the table of all URLs; read
//! `target.rs` next.

mod conditions;
mod kind;
mod query;
mod row;
mod sid;
mod target;

pub use conditions::{BadCondition, ByteRange, Conditions, EntityTag, HttpDate, Tags, Validator};
pub use kind::{Action, Artefact, Direction};
pub use query::{Parameter, Query};
pub use row::{Product, ROWS, Row, Serves};
pub use sid::{AccountSid, CallSid, MediaSid, NotASid, SidKind};
pub use target::{Confusion, PATH_BYTES_MAX, Target, TargetError};

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::words::words;

/// LIMIT: SIDs in a path, beside the account's.
const SIDS_MAX: usize = 3;

/// One thing Twilio serves that holds or is derived from a communication.
#[derive(Clone, Copy)]
pub struct MediaRef {
    /// The account. The gate checks that the thing really belongs to it.
    pub account: AccountSid,
    row: &'static Row,
    sids: [MediaSid; SIDS_MAX],
    channels: Option<Channels>,
    redacted: Option<bool>,
    /// Which of several files.
    part: Option<u8>,
}

words! {
    /// The forms of a voice recording, as the ledger writes them.
    Form {
        /// The sound as WAV.
        Wav = "wav",
        /// The sound as MP3.
        Mp3 = "mp3",
        /// The Recording resource as JSON.
        Metadata = "metadata",
    }
}

/// Twilio's `RequestedChannels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// Both voices mixed.
    Mono,
    /// One voice a channel.
    Dual,
}

impl MediaRef {
    /// The thing that a path of the table names, with these SIDs in their order.
    fn of(row: &'static Row, account: AccountSid, named: &[MediaSid]) -> Self {
        let mut sids = [MediaSid::ZERO; SIDS_MAX];
        sids.iter_mut().zip(named).for_each(|(to, from)| *to = *from);
        Self { account, row, sids, channels: None, redacted: None, part: None }
    }

    /// A voice recording at its own path.
    #[must_use]
    pub fn recording(account: AccountSid, recording: MediaSid, form: Form) -> Self {
        let [wav, mp3, metadata] = &row::VOICE;
        let row = match form {
            Form::Wav => wav,
            Form::Mp3 => mp3,
            Form::Metadata => metadata,
        };
        Self::of(row, account, &[recording])
    }

    /// The same with other channels.
    #[must_use]
    pub fn with_channels(self, channels: Option<Channels>) -> Self {
        Self { channels, ..self }
    }

    /// Its row in the table.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        self.row
    }

    /// What stands behind it.
    #[must_use]
    pub fn serves(&self) -> Serves {
        self.row.serves
    }

    /// `RequestedChannels`; `None` means as recorded.
    #[must_use]
    pub fn channels(&self) -> Option<Channels> {
        self.channels
    }

    /// Whether personal details are taken out of what is served. Twilio's default for what it can
    /// redact is that they are.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        let can = self.row.query.iter().any(|list| list.contains(&Parameter::Redacted));
        can && self.redacted != Some(false)
    }

    /// The SIDs in its path, in their order.
    fn sids(&self) -> impl Iterator<Item = MediaSid> {
        self.sids.into_iter().take_while(|sid| *sid != MediaSid::ZERO)
    }

    /// The first SID of a kind in its path.
    #[must_use]
    pub fn sid_of(&self, kind: SidKind) -> Option<MediaSid> {
        self.sids().find(|sid| sid.kind() == kind)
    }

    /// The SID of the thing itself; `None` for a list of an account's.
    #[must_use]
    pub fn sid(&self) -> Option<MediaSid> {
        self.sids().last()
    }

    /// The call, conference or room in the path, which is only believed if the facts say the same.
    #[must_use]
    pub fn scope(&self) -> Option<MediaSid> {
        let scopes = [SidKind::Call, SidKind::Conference, SidKind::Room];
        let first = self.sids().next().filter(|sid| scopes.contains(&sid.kind()));
        first.filter(|_| self.sids().nth(1).is_some())
    }

    /// What is read to learn the facts about it. A list has none: each of its items has.
    #[must_use]
    pub fn subject(&self) -> Option<MetadataRef> {
        if matches!(self.row.serves, Serves::Page { .. }) {
            return None;
        }
        let of = |kind, path: &'static str| {
            let sid = self.sid_of(kind)?;
            let subject = MetadataRef::at(path, self.account, &[sid])?;
            let is_made_from_it = kind == SidKind::Recording && self.sid() != Some(sid);
            Some(if is_made_from_it { subject.even_deleted() } else { subject })
        };
        let message = self.sid_of(SidKind::MultimediaMessage);
        let message = message.or_else(|| self.sid_of(SidKind::Message));
        of(SidKind::Recording, MetadataRef::RECORDING)
            .or_else(|| of(SidKind::Transcription, MetadataRef::TRANSCRIPTION))
            .or_else(|| MetadataRef::at(MetadataRef::MESSAGE, self.account, &[message?]))
            .or_else(|| {
                let (service, file) = (self.sid_of(SidKind::Service)?, self.sid()?);
                MetadataRef::at(MetadataRef::FILE, self.account, &[service, file])
            })
            .or_else(|| of(SidKind::VideoRecording, MetadataRef::VIDEO))
            .or_else(|| of(SidKind::Composition, MetadataRef::COMPOSITION))
            .or_else(|| of(SidKind::LiveRecording, MetadataRef::LIVE))
            .or_else(|| of(SidKind::Transcript, MetadataRef::TRANSCRIPT))
            .or_else(|| of(SidKind::Room, MetadataRef::ROOM))
            .or_else(|| of(SidKind::Call, MetadataRef::CALL))
    }

    /// What says to which recording or message a thing belongs that its path names below one. Facts
    /// are read of what stands above it, so that Twilio's word on this is needed, too.
    #[must_use]
    pub fn own_description(&self) -> Option<Self> {
        let above = [SidKind::Recording, SidKind::Message, SidKind::MultimediaMessage];
        let is_below = self.sids().next().is_some_and(|first| above.contains(&first.kind()))
            && self.sids().nth(1).is_some();
        let ends = ["/Data.json", "/Data/Content", ".json"];
        let path = ends.iter().find_map(|end| self.row.path.strip_suffix(end));
        let row = row::find(&format!("{}.json", path.unwrap_or(self.row.path)))?;
        let sids: Vec<MediaSid> = self.sids().collect();
        let is_one = row.serves == Serves::Resource && is_below;
        is_one.then(|| Self::of(row, self.account, &sids))
    }

    /// The lists of an account that hold what can be deleted: what is said first, then what is made
    /// from it.
    pub fn deletable_lists(account: AccountSid) -> impl Iterator<Item = Self> {
        let lists = ROWS.iter().filter(|row| row.lists_deletable() && row.kinds().next().is_none());
        lists.map(move |row| Self::of(row, account, &[]))
    }

    /// The lists under a voice recording that hold what was made from it and can be deleted. What
    /// Intelligence made is in a list of its own.
    pub fn lists_of_derived(
        account: AccountSid,
        recording: MediaSid,
    ) -> impl Iterator<Item = Self> {
        let only = [SidKind::Recording.as_str()];
        let lists = ROWS.iter().filter(move |row| {
            row.lists_deletable() && row.kinds().eq(only) && recording.kind() == SidKind::Recording
        });
        lists.map(move |row| Self::of(row, account, &[recording]))
    }

    /// The item of a list with this SID.
    #[must_use]
    pub fn item(&self, sid: &str) -> Option<Self> {
        let Serves::Page { item, .. } = self.row.serves else { return None };
        let row = row::find(item)?;
        let sids: Vec<MediaSid> = self.sids().chain(sid.parse()).collect();
        let fits = row.names(sids.iter().copied());
        fits.then(|| Self::of(row, self.account, &sids))
    }

    /// What a link leads to, the part of it if there are several.
    #[must_use]
    pub fn content(&self, part: Option<u8>) -> Option<Self> {
        if self.row.serves == Serves::OwnLink {
            return Some(Self::recording(self.account, self.sid()?, Form::Mp3));
        }
        let path = self.row.path.strip_suffix(".json").unwrap_or(self.row.path);
        let row = ROWS.iter().find(|row| row.path.strip_suffix("/Content") == Some(path))?;
        Some(Self { row, part, ..*self })
    }

    /// Which of the files behind a link it is.
    #[must_use]
    pub fn part(&self) -> usize {
        usize::from(self.part.unwrap_or(0))
    }

    /// True if what is asked for is the encrypted form of something.
    #[must_use]
    pub fn is_encrypted_form(&self) -> bool {
        self.row.path.contains("/Encrypted/")
    }

    /// True if what upstream has at its path leads to it, and is not it.
    #[must_use]
    pub fn is_behind_link(&self) -> bool {
        self.row.serves == Serves::File && self.row.path.ends_with("/Content")
    }

    /// The path and query to ask Twilio for, built from the reference and `query` alone.
    #[must_use]
    pub fn upstream_path(&self, query: &Query) -> String {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(self.own_query());
        if self.redacted.is_none() && self.is_redacted() {
            // A decision rests on it, so it is said and not left to a default.
            pairs.push((Parameter::Redacted.as_str(), "true"));
        }
        pairs.extend(query.upstream());
        let path = self.to_string();
        let path = match path.strip_suffix("/Content").filter(|_| self.is_behind_link()) {
            Some(link) if link.ends_with("/Data") => format!("{link}.json"),
            Some(link) => link.to_owned(),
            None => path,
        };
        format!("{path}{}", query::written(pairs.into_iter()))
    }

    /// The path to delete at Twilio: SDKs write it with `.json`.
    #[must_use]
    pub fn deletion_path(&self) -> String {
        let path = self.to_string();
        match self.row.path.contains("/2010-04-01/") && !path.ends_with(".json") {
            true => format!("{path}.json"),
            false => path,
        }
    }

    /// Its URL at a gate, with what else shall stand in the query.
    #[must_use]
    pub fn url(&self, origin: &str, more: &[(&str, &str)]) -> String {
        let part = self.part.map(|part| part.to_string());
        let part = part.as_deref().map(|part| (Parameter::Part.as_str(), part));
        let named = match self.row.serves {
            Serves::OwnLink => self.sid().map(|sid| sid.to_string()),
            _ => None,
        };
        let named = named.as_deref().map(|sid| (Parameter::FlexRecording.as_str(), sid));
        let own = self.own_query().into_iter().chain(part).chain(named);
        let query = own.chain(more.iter().copied());
        format!("{origin}{self}{}", query::written(query))
    }

    /// What changes the bytes, and so belongs to the reference.
    fn own_query(&self) -> Vec<(&'static str, &'static str)> {
        let channels = self.channels.map(|channels| match channels {
            Channels::Mono => (Parameter::RequestedChannels.as_str(), "1"),
            Channels::Dual => (Parameter::RequestedChannels.as_str(), "2"),
        });
        let redacted = self.redacted.map(|redacted| {
            (Parameter::Redacted.as_str(), if redacted { "true" } else { "false" })
        });
        channels.into_iter().chain(redacted).collect()
    }

    fn parts(&self) -> (AccountSid, &str, [MediaSid; SIDS_MAX], Option<Channels>, Option<bool>) {
        (self.account, self.row.path, self.sids, self.channels, self.redacted)
    }
}

impl PartialEq for MediaRef {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts() && self.part == other.part
    }
}

impl Eq for MediaRef {}

impl Hash for MediaRef {
    fn hash<H: Hasher>(&self, into: &mut H) {
        (self.parts(), self.part).hash(into);
    }
}

/// The path in its one spelling, without a query.
impl fmt::Display for MediaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sids = self.sids();
        for (index, part) in self.row.path.split('{').enumerate() {
            match part.split_once('}').filter(|_| index > 0) {
                None => f.write_str(part)?,
                Some(("AC", rest)) => write!(f, "{}{rest}", self.account)?,
                Some((_, rest)) => {
                    let sid = sids.next().unwrap_or(MediaSid::ZERO);
                    write!(f, "{sid}{rest}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MediaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url("", &[]))
    }
}

/// A resource of Twilio's that the gate reads for itself to learn facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetadataRef {
    media: MediaRef,
    even_deleted: bool,
}

impl MetadataRef {
    const RECORDING: &'static str = "/2010-04-01/Accounts/{AC}/Recordings/{RE}.json";
    const CALL: &'static str = "/2010-04-01/Accounts/{AC}/Calls/{CA}.json";
    const TRANSCRIPTION: &'static str = "/2010-04-01/Accounts/{AC}/Transcriptions/{TR}.json";
    const MESSAGE: &'static str = "/2010-04-01/Accounts/{AC}/Messages/{MM}.json";
    const FILE: &'static str = "/v1/Services/{IS}/Media/{ME}";
    const VIDEO: &'static str = "/v1/Recordings/{RT}";
    const COMPOSITION: &'static str = "/v1/Compositions/{CJ}";
    const LIVE: &'static str = "/v1/MediaRecordings/{KV}";
    const ROOM: &'static str = "/v1/Rooms/{RM}";
    const TRANSCRIPT: &'static str = "/v2/Transcripts/{GT}";

    fn at(path: &'static str, account: AccountSid, sids: &[MediaSid]) -> Option<Self> {
        let media = MediaRef::of(row::find(path)?, account, sids);
        Some(Self { media, even_deleted: false })
    }

    /// The resource with this SID in an account; `None` if no fact is read from such a one.
    #[must_use]
    pub fn named(account: AccountSid, sid: MediaSid) -> Option<Self> {
        let path = match sid.kind() {
            SidKind::Recording => Self::RECORDING,
            SidKind::Call => Self::CALL,
            SidKind::Transcription => Self::TRANSCRIPTION,
            SidKind::Message | SidKind::MultimediaMessage => Self::MESSAGE,
            SidKind::VideoRecording => Self::VIDEO,
            SidKind::Composition => Self::COMPOSITION,
            SidKind::LiveRecording => Self::LIVE,
            SidKind::Room => Self::ROOM,
            SidKind::Transcript => Self::TRANSCRIPT,
            _ => return None,
        };
        Self::at(path, account, &[sid])
    }

    /// The same, if it was deleted, too: Twilio tells of a recording for 40 days more, and what was
    /// made from it may still be there.
    #[must_use]
    pub fn even_deleted(self) -> Self {
        let can = self.sid().kind() == SidKind::Recording;
        Self { even_deleted: can, ..self }
    }

    /// The account whose credential reads it.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        self.media.account
    }

    /// Its SID.
    #[must_use]
    pub fn sid(&self) -> MediaSid {
        self.media.sid().unwrap_or(MediaSid::ZERO)
    }

    /// Whose host serves it.
    #[must_use]
    pub fn product(&self) -> Product {
        self.media.row.product
    }

    /// The path to ask Twilio for.
    #[must_use]
    pub fn upstream_path(&self) -> String {
        match self.even_deleted {
            true => format!("{}?IncludeSoftDeleted=true", self.media),
            false => self.media.to_string(),
        }
    }
}
