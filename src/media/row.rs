//! The table of everything that is served: one row for each URL.
//!
//! A row says how a path is spelled, what stands behind it, and what a caller does who asks for
//! it. `target.rs` reads paths by it, `mod.rs` writes them, and `docs/TWILIO-URLS.md` is held to
//! it by a test. Facts: Twilio's OpenAPI documents (api v2010, video v1, intelligence v2) and pages.
//! A path that ends in `/Content` is the gate's own: it serves what a pre-signed URL of Twilio's
//! leads to, so that no caller needs one.

use super::kind::{Action, Artefact};
use super::query::Parameter::{self, *};
use super::sid::{AccountSid, MediaSid, SidKind};
use crate::words::words;

words! {
    /// Which of Twilio's hosts serves a URL.
    Product {
        /// `api.twilio.com`: calls, recordings, messages.
        Api = "api",
        /// `video.twilio.com`.
        Video = "video",
        /// `media.twilio.com`: recordings of live streams.
        Live = "live",
        /// `mcs.us1.twilio.com`: files of Conversations and Chat.
        Mcs = "mcs",
        /// `intelligence.twilio.com`.
        Intelligence = "intelligence",
        /// `iam.twilio.com`: whether a Flex token is valid. No caller reaches it.
        Iam = "iam",
    }
}

/// What stands behind a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// A voice recording as WAV.
    Wav,
    /// A voice recording as MP3.
    Mp3,
    /// Bytes of a type of their own, behind redirects or at a URL inside JSON.
    File,
    /// One JSON object.
    Resource,
    /// One page of a list of such objects; each item is decided by itself.
    Page {
        /// The key of the list.
        key: &'static str,
        /// The path of the row that serves one item.
        item: &'static str,
    },
    /// JSON (and a redirect) that leads to what the row's path with `/Content` serves.
    Link,
    /// The gate's own answer with a link to a recording, for Flex Insights.
    OwnLink,
}

/// One URL that is served.
#[derive(Debug)]
pub struct Row {
    /// The path, with `{XX}` in the place of a SID that begins with `XX`.
    pub path: &'static str,
    /// Whose host it is.
    pub product: Product,
    /// What stands behind it.
    pub serves: Serves,
    /// One word for it, as the ledger writes it.
    pub form: &'static str,
    /// What somebody does who gets it.
    pub action: Action,
    /// Of which kind it is.
    pub artefact: Artefact,
    /// Whether DELETE is served, too.
    pub deletes: bool,
    /// The query parameters that it takes.
    pub query: &'static [&'static [Parameter]],
}

const PAGING: &[Parameter] = &[PageSize, Page, PageToken];
const DATES: &[Parameter] = &[DateCreated, DateCreatedBefore, DateCreatedAfter];
const VIDEO: &[Parameter] = &[Status, VideoCreatedAfter, VideoCreatedBefore];
const NONE: &[&[Parameter]] = &[];

const fn row(path: &'static str, serves: Serves) -> Row {
    Row {
        path,
        product: Product::Api,
        serves,
        form: match serves {
            Wav => "wav",
            Mp3 => "mp3",
            File => "file",
            Resource => "metadata",
            Serves::Page { .. } => "list",
            Link | OwnLink => "link",
        },
        action: match serves {
            Resource | Serves::Page { .. } => Action::Describe,
            _ => Action::Access,
        },
        artefact: Artefact::Audio,
        deletes: false,
        query: NONE,
    }
}

const fn page(path: &'static str, key: &'static str, item: &'static str) -> Row {
    Row { query: &[PAGING], ..row(path, Serves::Page { key, item }) }
}

impl Row {
    const fn at(self, product: Product) -> Self {
        Self { product, ..self }
    }

    const fn is(self, artefact: Artefact) -> Self {
        Self { artefact, ..self }
    }

    /// Its JSON holds what was said, not only what is known of it.
    const fn tells(self, form: &'static str) -> Self {
        Self { action: Action::Access, form, ..self }
    }

    const fn deletes(self) -> Self {
        Self { deletes: true, ..self }
    }

    const fn takes(self, query: &'static [&'static [Parameter]]) -> Self {
        Self { query, ..self }
    }
}

const INTELLIGENCE: &[Parameter] = &[
    SourceSid,
    ServiceSid,
    Status,
    LanguageCode,
    BeforeStartTime,
    AfterStartTime,
    BeforeDateCreated,
    AfterDateCreated,
];

use Artefact::{Analysis, MessageMedia, Transcript, Video};
use Product::{Intelligence, Live, Mcs};
use Serves::{File, Link, Mp3, OwnLink, Resource, Wav};

const MP3: Row =
    row("/2010-04-01/Accounts/{AC}/Recordings/{RE}.mp3", Mp3).takes(&[&[RequestedChannels]]);
const WAV: Row =
    row("/2010-04-01/Accounts/{AC}/Recordings/{RE}.wav", Wav).takes(&[&[RequestedChannels]]);
const METADATA: Row = row("/2010-04-01/Accounts/{AC}/Recordings/{RE}.json", Resource)
    .deletes()
    .takes(&[&[IncludeSoftDeleted]]);

/// A voice recording's own rows.
pub(super) static VOICE: [Row; 3] = [WAV, MP3, METADATA];

/// Everything that is served, what is asked for most first.
pub static ROWS: &[Row] = &[
    // Voice recordings.
    MP3,
    WAV,
    row("/2010-04-01/Accounts/{AC}/Recordings/{RE}", Wav).takes(&[&[RequestedChannels]]).deletes(),
    METADATA,
    page(
        "/2010-04-01/Accounts/{AC}/Recordings.json",
        "recordings",
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}.json",
    )
    .takes(&[PAGING, DATES, &[CallSid, ConferenceSid, IncludeSoftDeleted]]),
    // The same under a call or a conference, which is held against the facts.
    row("/2010-04-01/Accounts/{AC}/Calls/{CA}/Recordings/{RE}.mp3", Mp3)
        .takes(&[&[RequestedChannels]]),
    row("/2010-04-01/Accounts/{AC}/Calls/{CA}/Recordings/{RE}.wav", Wav)
        .takes(&[&[RequestedChannels]]),
    row("/2010-04-01/Accounts/{AC}/Calls/{CA}/Recordings/{RE}", Wav)
        .takes(&[&[RequestedChannels]])
        .deletes(),
    row("/2010-04-01/Accounts/{AC}/Calls/{CA}/Recordings/{RE}.json", Resource).deletes(),
    page(
        "/2010-04-01/Accounts/{AC}/Calls/{CA}/Recordings.json",
        "recordings",
        "/2010-04-01/Accounts/{AC}/Calls/{CA}/Recordings/{RE}.json",
    )
    .takes(&[PAGING, DATES]),
    row("/2010-04-01/Accounts/{AC}/Conferences/{CF}/Recordings/{RE}.mp3", Mp3)
        .takes(&[&[RequestedChannels]]),
    row("/2010-04-01/Accounts/{AC}/Conferences/{CF}/Recordings/{RE}.wav", Wav)
        .takes(&[&[RequestedChannels]]),
    row("/2010-04-01/Accounts/{AC}/Conferences/{CF}/Recordings/{RE}", Wav)
        .takes(&[&[RequestedChannels]])
        .deletes(),
    row("/2010-04-01/Accounts/{AC}/Conferences/{CF}/Recordings/{RE}.json", Resource).deletes(),
    page(
        "/2010-04-01/Accounts/{AC}/Conferences/{CF}/Recordings.json",
        "recordings",
        "/2010-04-01/Accounts/{AC}/Conferences/{CF}/Recordings/{RE}.json",
    )
    .takes(&[PAGING, DATES]),
    // Calls, which say who spoke.
    row("/2010-04-01/Accounts/{AC}/Calls/{CA}.json", Resource),
    // Transcriptions: the JSON holds the words.
    row("/2010-04-01/Accounts/{AC}/Recordings/{RE}/Transcriptions/{TR}.json", Resource)
        .is(Transcript)
        .tells("transcription")
        .deletes(),
    page(
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/Transcriptions.json",
        "transcriptions",
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/Transcriptions/{TR}.json",
    )
    .is(Transcript)
    .tells("transcription"),
    row("/2010-04-01/Accounts/{AC}/Transcriptions/{TR}.json", Resource)
        .is(Transcript)
        .tells("transcription")
        .deletes(),
    page(
        "/2010-04-01/Accounts/{AC}/Transcriptions.json",
        "transcriptions",
        "/2010-04-01/Accounts/{AC}/Transcriptions/{TR}.json",
    )
    .is(Transcript)
    .tells("transcription"),
    // What add-ons made of a recording.
    row("/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults/{XR}.json", Resource)
        .is(Analysis)
        .deletes(),
    page(
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults.json",
        "add_on_results",
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults/{XR}.json",
    )
    .is(Analysis),
    row("/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}.json", Resource)
        .is(Analysis)
        .deletes(),
    page(
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults/{XR}/Payloads.json",
        "payloads",
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}.json",
    )
    .is(Analysis),
    row(
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data.json",
        Link,
    )
    .is(Analysis),
    row(
        "/2010-04-01/Accounts/{AC}/Recordings/{RE}/AddOnResults/{XR}/Payloads/{XH}/Data/Content",
        File,
    )
    .is(Analysis),
    // Files of messages.
    row("/2010-04-01/Accounts/{AC}/Messages/{MM}/Media/{ME}", File).is(MessageMedia),
    row("/2010-04-01/Accounts/{AC}/Messages/{MM}/Media/{ME}.json", Resource)
        .is(MessageMedia)
        .deletes(),
    page(
        "/2010-04-01/Accounts/{AC}/Messages/{MM}/Media.json",
        "media_list",
        "/2010-04-01/Accounts/{AC}/Messages/{MM}/Media/{ME}.json",
    )
    .is(MessageMedia)
    .takes(&[PAGING, DATES]),
    // Recordings and compositions of video rooms.
    row("/v1/Recordings/{RT}", Resource).at(Product::Video).is(Video).deletes(),
    page("/v1/Recordings", "recordings", "/v1/Recordings/{RT}")
        .at(Product::Video)
        .is(Video)
        .takes(&[PAGING, VIDEO, &[SourceSid, GroupingSid, MediaType]]),
    row("/v1/Recordings/{RT}/Media", Link).at(Product::Video).is(Video).takes(&[&[Ttl]]),
    row("/v1/Recordings/{RT}/Media/Content", File).at(Product::Video).is(Video),
    row("/v1/Rooms/{RM}/Recordings/{RT}", Resource).at(Product::Video).is(Video).deletes(),
    page("/v1/Rooms/{RM}/Recordings", "recordings", "/v1/Rooms/{RM}/Recordings/{RT}")
        .at(Product::Video)
        .is(Video)
        .takes(&[PAGING, VIDEO, &[SourceSid]]),
    row("/v1/Rooms/{RM}/Recordings/{RT}/Media", Link).at(Product::Video).is(Video).takes(&[&[Ttl]]),
    row("/v1/Rooms/{RM}/Recordings/{RT}/Media/Content", File).at(Product::Video).is(Video),
    row("/v1/Compositions/{CJ}", Resource).at(Product::Video).is(Video).deletes(),
    page("/v1/Compositions", "compositions", "/v1/Compositions/{CJ}")
        .at(Product::Video)
        .is(Video)
        .takes(&[PAGING, VIDEO, &[RoomSid]]),
    row("/v1/Compositions/{CJ}/Media", Link).at(Product::Video).is(Video).takes(&[&[Ttl]]),
    row("/v1/Compositions/{CJ}/Media/Content", File).at(Product::Video).is(Video),
    row("/v1/Rooms/{RM}/Transcriptions/{video_extension_}", Resource)
        .at(Product::Video)
        .is(Transcript),
    page(
        "/v1/Rooms/{RM}/Transcriptions",
        "transcriptions",
        "/v1/Rooms/{RM}/Transcriptions/{video_extension_}",
    )
    .at(Product::Video)
    .is(Transcript),
    // Recordings of live streams.
    row("/v1/MediaRecordings/{KV}", Resource).at(Live).is(Video).deletes(),
    row("/v1/MediaRecordings/{KV}/Media", Link).at(Live).is(Video).takes(&[&[Ttl]]),
    row("/v1/MediaRecordings/{KV}/Media/Content", File).at(Live).is(Video),
    row("/v1/MediaRecordings/{KV}/TimedMetadata", Link).at(Live).is(Video).takes(&[&[Ttl]]),
    row("/v1/MediaRecordings/{KV}/TimedMetadata/Content", File).at(Live).is(Video),
    // Files of conversations.
    row("/v1/Services/{IS}/Media/{ME}", Resource).at(Mcs).is(MessageMedia),
    row("/v1/Services/{IS}/Media/{ME}/Content", File).at(Mcs).is(MessageMedia),
    // Conversational Intelligence. `Redacted` says whether personal details were taken out.
    row("/v2/Transcripts/{GT}", Resource).at(Intelligence).is(Transcript).deletes(),
    page("/v2/Transcripts", "transcripts", "/v2/Transcripts/{GT}")
        .at(Intelligence)
        .is(Transcript)
        .takes(&[PAGING, INTELLIGENCE]),
    row("/v2/Transcripts/{GT}/Media", Link).at(Intelligence).takes(&[&[Redacted]]),
    row("/v2/Transcripts/{GT}/Media/Content", File).at(Intelligence).takes(&[&[Redacted]]),
    row("/v2/Transcripts/{GT}/Sentences", Resource)
        .at(Intelligence)
        .is(Transcript)
        .tells("sentences")
        .takes(&[PAGING, &[Redacted, WordTimestamps]]),
    row("/v2/Transcripts/{GT}/OperatorResults", Resource)
        .at(Intelligence)
        .is(Analysis)
        .tells("results")
        .takes(&[PAGING, &[Redacted]]),
    row("/v2/Transcripts/{GT}/OperatorResults/{LY}", Resource)
        .at(Intelligence)
        .is(Analysis)
        .tells("results")
        .takes(&[&[Redacted]]),
    row("/v2/Transcripts/{GT}/Sentences/Encrypted", Link)
        .at(Intelligence)
        .is(Transcript)
        .takes(&[&[Redacted]]),
    row("/v2/Transcripts/{GT}/Sentences/Encrypted/Content", File)
        .at(Intelligence)
        .is(Transcript)
        .takes(&[&[Redacted, Part]]),
    row("/v2/Transcripts/{GT}/OperatorResults/Encrypted", Link)
        .at(Intelligence)
        .is(Analysis)
        .takes(&[&[Redacted]]),
    row("/v2/Transcripts/{GT}/OperatorResults/Encrypted/Content", File)
        .at(Intelligence)
        .is(Analysis)
        .takes(&[&[Redacted, Part]]),
    // Flex Insights' `url_provider`.
    row("/flex/url_provider", OwnLink).takes(&[&[FlexRecording]]),
];

/// What the gate reads for itself to learn facts.
pub(super) static FACT_ROWS: &[Row] = &[
    row("/2010-04-01/Accounts/{AC}/Messages/{MM}.json", Resource),
    row("/v1/Rooms/{RM}", Resource).at(Product::Video),
];

/// The row with this path.
pub(super) fn find(path: &str) -> Option<&'static Row> {
    ROWS.iter().chain(FACT_ROWS).find(|row| row.path == path)
}

/// One thing in the place of a SID.
pub(super) enum Named {
    Account(AccountSid),
    Media(MediaSid),
}

impl Row {
    /// True if it serves a list of what can be deleted.
    pub(super) fn lists_deletable(&self) -> bool {
        match self.serves {
            Serves::Page { item, .. } => find(item).is_some_and(|item| item.deletes),
            _ => false,
        }
    }

    /// The kinds of the SIDs in its path, but for the account's.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let kinds = self.path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0));
        kinds.filter(|kind| *kind != "AC")
    }

    /// What the path names, if it is one of this row. With `folds`, letter case is overlooked.
    pub(super) fn read(&self, path: &str, folds: bool) -> Option<Vec<Named>> {
        let mut named = Vec::new();
        let mut parts = path.split('/');
        for own in self.path.split('/') {
            let part = parts.next()?;
            match own.strip_prefix('{').and_then(|own| own.split_once('}')) {
                None if own == part || (folds && own.eq_ignore_ascii_case(part)) => {}
                None => return None,
                Some((kind, end)) => {
                    let at = part.len().checked_sub(end.len())?;
                    let (sid, extension) = part.split_at_checked(at)?;
                    let fits = extension == end || (folds && extension.eq_ignore_ascii_case(end));
                    named.push(Named::read(kind, sid, folds).filter(|_| fits)?);
                }
            }
        }
        parts.next().is_none().then_some(named)
    }

    /// Whether these are the SIDs of its path.
    pub(super) fn names(&self, sids: impl Iterator<Item = MediaSid>) -> bool {
        let kinds: Vec<&str> = self.kinds().collect();
        let sids: Vec<MediaSid> = sids.collect();
        kinds.len() == sids.len() && kinds.iter().zip(sids).all(|(kind, sid)| fits(kind, sid))
    }
}

impl Named {
    fn read(kind: &str, sid: &str, folds: bool) -> Option<Self> {
        let folded;
        let sid = match folds {
            false => sid,
            true => {
                let lower = sid.to_ascii_lowercase();
                let rest = lower.strip_prefix(&kind.to_ascii_lowercase());
                folded = rest.map(|rest| format!("{kind}{rest}"))?;
                &folded
            }
        };
        match kind {
            "AC" => sid.parse().ok().map(Self::Account),
            _ => sid.parse().ok().filter(|sid: &MediaSid| fits(kind, *sid)).map(Self::Media),
        }
    }
}

/// Both kinds of messages have the same paths.
fn fits(kind: &str, sid: MediaSid) -> bool {
    match sid.kind() {
        SidKind::Message => kind == SidKind::MultimediaMessage.as_str(),
        other => kind == other.as_str(),
    }
}
