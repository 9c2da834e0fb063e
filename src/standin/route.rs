//! What a request target asks for, on either listener.
//!
//! In: path and query as sent. Out: a [`Route`] with the SIDs and the wishes in the query.
//! Paths are compared byte for byte: an escaped, doubled or differently cased spelling is
//! unknown here, so that a proxy which forwards one is noticed.

use super::misbehaviour::Kind;
use super::settings::MediaFormat;

/// A request of the API, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Bytes of a recording.
    Media { account: &'a str, sid: &'a str, format: MediaFormat },
    /// JSON of a recording.
    Recording { account: &'a str, sid: &'a str },
    /// JSON of a call.
    Call { account: &'a str, sid: &'a str },
    /// Nothing we know.
    Unknown,
}

impl<'a> Route<'a> {
    /// Reads a path of the API: `/2010-04-01/Accounts/{AC}/Recordings/{RE}.mp3` and the like.
    pub(super) fn of_api(path: &'a str) -> Self {
        let mut parts = path.split('/');
        let mut next = || parts.next().unwrap_or("");
        let fixed = [next(), next(), next()];
        let (account, list, leaf, rest) = (next(), next(), next(), parts.next());
        if fixed != ["", "2010-04-01", "Accounts"] || leaf.is_empty() || rest.is_some() {
            return Self::Unknown;
        }
        let (sid, extension) = split_extension(leaf);
        match (list, extension) {
            ("Recordings", None | Some("wav")) => {
                Self::Media { account, sid, format: MediaFormat::Wav }
            }
            ("Recordings", Some("mp3")) => Self::Media { account, sid, format: MediaFormat::Mp3 },
            ("Recordings", Some("json")) => Self::Recording { account, sid },
            ("Calls", Some("json")) => Self::Call { account, sid },
            _ => Self::Unknown,
        }
    }

    /// Reads a path of the CDN: `/{AC}/{RE}.wav` or `.mp3`.
    pub(super) fn of_cdn(path: &'a str) -> Self {
        let Some((account, leaf)) = path.strip_prefix('/').and_then(|rest| rest.split_once('/'))
        else {
            return Self::Unknown;
        };
        match split_extension(leaf) {
            (sid, Some("wav")) => Self::Media { account, sid, format: MediaFormat::Wav },
            (sid, Some("mp3")) => Self::Media { account, sid, format: MediaFormat::Mp3 },
            _ => Self::Unknown,
        }
    }

    /// What rules of misbehaviour call it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Media { .. } => Kind::Media,
            Self::Recording { .. } | Self::Call { .. } => Kind::Metadata,
            Self::Unknown => Kind::Unknown,
        }
    }

    /// The account in the path.
    pub(super) fn account(&self) -> Option<&'a str> {
        match self {
            Self::Media { account, .. }
            | Self::Recording { account, .. }
            | Self::Call { account, .. } => Some(account),
            Self::Unknown => None,
        }
    }
}

fn split_extension(leaf: &str) -> (&str, Option<&str>) {
    leaf.split_once('.').map_or((leaf, None), |(sid, extension)| (sid, Some(extension)))
}

/// The first value of a query parameter, as sent.
pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_between_media_and_metadata() {
        let base = "/2010-04-01/Accounts/AC1/Recordings/RE1";
        let (account, sid) = ("AC1", "RE1");
        let wav = Route::Media { account, sid, format: MediaFormat::Wav };
        assert_eq!(Route::of_api(base), wav);
        assert_eq!(Route::of_api(&format!("{base}.wav")), wav);
        let mp3 = Route::Media { account, sid, format: MediaFormat::Mp3 };
        assert_eq!(Route::of_api(&format!("{base}.mp3")), mp3);
        assert_eq!(Route::of_cdn("/AC1/RE1.mp3"), mp3);
        assert_eq!(Route::of_api(&format!("{base}.json")), Route::Recording { account, sid });
    }

    #[test]
    fn other_spellings_are_unknown() {
        for path in [
            "/2010-04-01/Accounts/AC1/Recordings/RE1.MP3",
            "/2010-04-01/Accounts/AC1/Recordings/RE1.mp3.wav",
            "/2010-04-01/Accounts/AC1//Recordings/RE1.mp3",
            "/2010-04-01/Accounts/AC1/Recordings/RE1/",
            "/2010-04-01/Accounts/AC1/Recordings/",
            "/2010-04-01/Accounts/AC1/Calls/CA1",
            "/",
        ] {
            assert_eq!(Route::of_api(path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn parameters_are_found_by_exact_name() {
        let query = Some("a=1&RequestedChannels=2&b");
        assert_eq!(parameter(query, "RequestedChannels"), Some("2"));
        assert_eq!(parameter(query, "requestedchannels"), None);
        assert_eq!(parameter(None, "a"), None);
    }
}
