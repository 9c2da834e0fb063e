//! Voice recordings and calls: which one, whether it may be had, and lists of them.
//!
//! In: a route of the 2010-04-01 API. Out: media, JSON, an empty 204, or Twilio's error. A
//! recording under a call or a conference must be that call's or conference's.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::answer::{Answer, TwilioError};
use super::api::{Asked, Reply};
use super::cdn::Presigned;
use super::library::{ChannelsError, Deletion, HeldRecording};
use super::media::File;
use super::misbehaviour::RedirectTarget;
use super::page::{Links, Listing};
use super::route::{Voice, Within};
use super::settings::{MediaFormat, RecordingStatus};
use super::{derived, metadata};

/// LIMIT: the largest page of any list in this API, says Twilio.
pub(super) const PAGE_SIZE_MAX: usize = 1000;

/// Answers for JSON.
pub(super) fn answer(asked: &Asked<'_>, what: Voice<'_>) -> Reply {
    match what {
        Voice::Recordings(within) => recordings(asked, within),
        Voice::Recording(within, sid) if asked.is_delete() => delete(asked, within, sid),
        Voice::Recording(within, sid) => {
            let held = find(asked, within, sid).ok_or_else(|| asked.not_found())?;
            let shows = within == Within::Account && asked.flag("IncludeSoftDeleted", false)?;
            if held.recording.status == RecordingStatus::Deleted && !shows {
                return Err(asked.not_found());
            }
            Ok(asked.json(recording(asked, within, &held)))
        }
        Voice::Call(sid) => {
            let held = asked.shared.library.find_call(&asked.account, sid);
            let held = held.ok_or_else(|| asked.not_found())?;
            Ok(asked.json(metadata::call(&asked.account, sid, &held)))
        }
        Voice::CallEvents(sid) => {
            let held = asked.shared.library.find_call(&asked.account, sid);
            let held = held.ok_or_else(|| asked.not_found())?;
            let event = metadata::call_event(&asked.account, &held, &asked.shared.api_origin);
            let items = vec![(sid.to_owned(), event)];
            let links = Links::Relative;
            asked.list(Listing { key: "events", items, most: PAGE_SIZE_MAX, links })
        }
        derived => derived::answer(asked, derived),
    }
}

fn recording(asked: &Asked<'_>, within: Within<'_>, held: &HeldRecording) -> serde_json::Value {
    metadata::recording(&asked.account, within, held, &asked.shared.api_origin)
}

fn find(asked: &Asked<'_>, within: Within<'_>, sid: &str) -> Option<Arc<HeldRecording>> {
    let held = asked.shared.library.find(&asked.account, sid)?;
    belongs(&held, within).then_some(held)
}

fn belongs(held: &HeldRecording, within: Within<'_>) -> bool {
    match within {
        Within::Account => true,
        Within::Call(sid) => held.recording.call_sid.as_deref() == Some(sid),
        Within::Conference(sid) => held.recording.conference_sid.as_deref() == Some(sid),
    }
}

fn recordings(asked: &Asked<'_>, within: Within<'_>) -> Reply {
    let all = within == Within::Account;
    let shows_deleted = all && asked.flag("IncludeSoftDeleted", false)?;
    let period = Period::asked(asked)?;
    let (call, conference) = (asked.query.get("CallSid"), asked.query.get("ConferenceSid"));
    let items = asked.shared.library.recordings(&asked.account);
    let items = items.iter().filter(|held| {
        let one = &held.recording;
        belongs(held, within)
            && (shows_deleted || one.status != RecordingStatus::Deleted)
            && period.contains(one.started_at)
            && (!all || call.is_none_or(|sid| one.call_sid.as_deref() == Some(sid)))
            && (!all || conference.is_none_or(|sid| one.conference_sid.as_deref() == Some(sid)))
    });
    let items =
        items.map(|held| (held.recording.sid.clone(), recording(asked, within, held))).collect();
    let links = Links::Relative;
    asked.list(Listing { key: "recordings", items, most: PAGE_SIZE_MAX, links })
}

fn delete(asked: &Asked<'_>, within: Within<'_>, sid: &str) -> Reply {
    find(asked, within, sid).ok_or_else(|| asked.not_found())?;
    match asked.shared.library.delete_recording(&asked.account, sid) {
        Deletion::Done => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        Deletion::NotFound => Err(asked.not_found()),
        Deletion::Refused => {
            let (status, code) = asked.shared.ways.undeletable;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT);
            let message = "Cannot delete this resource before it's complete".to_owned();
            Err(TwilioError { status, code, message })
        }
    }
}

/// The bytes of a recording, or the redirect a rule wants instead.
pub(super) async fn media(
    asked: &Asked<'_>,
    within: Within<'_>,
    sid: &str,
    format: MediaFormat,
) -> Reply {
    let held = find(asked, within, sid)
        .filter(|held| held.recording.status == RecordingStatus::Completed)
        .ok_or_else(|| asked.not_found())?;
    // A value that is no small number is as wrong as 3.
    let requested = asked.query.get("RequestedChannels").map(|value| value.parse().unwrap_or(0));
    let channels = held.channels_for(requested).map_err(|error| match error {
        ChannelsError::NoDual => {
            refusal(16113, "Cannot download a dual-channel presentation of a mono recording")
        }
        ChannelsError::Malformed => asked.bad_parameter("RequestedChannels"),
    })?;
    if held.recording.encryption.is_some() && format == MediaFormat::Mp3 {
        return Err(refusal(16109, "Encrypted recordings are not available as mp3"));
    }
    if let Some((to, status)) = &asked.faults.redirect {
        let path = format!("/{}/{sid}.{}", asked.account, format.extension());
        let location = match to {
            RedirectTarget::Url(url) => url.clone(),
            RedirectTarget::OwnCdn { hops } => {
                let (channels, hops) = (Some(channels), hops.saturating_sub(1));
                Presigned { path: &path, channels, hops, expires: None }.on(asked.shared)
            }
        };
        return Ok(Answer::redirect(*status, &location));
    }
    let file = File::recording(held, format, channels).await;
    asked.file(file.map_err(|_| asked.error(StatusCode::INTERNAL_SERVER_ERROR))?)
}

fn refusal(code: u32, message: &str) -> TwilioError {
    TwilioError { status: StatusCode::BAD_REQUEST, code, message: message.to_owned() }
}

/// The time a list is narrowed to; both ends are within.
#[derive(Clone, Copy)]
pub(super) struct Period {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Period {
    /// Reads `DateCreated`, `DateCreated<` and `DateCreated>`: dates, or dates with a time.
    pub(super) fn asked(asked: &Asked<'_>) -> Result<Self, TwilioError> {
        let read = |name| match asked.query.get(name) {
            None => Ok(None),
            Some(text) => span(text).map(Some).ok_or_else(|| asked.bad_parameter(name)),
        };
        let on = read("DateCreated")?;
        let after = read("DateCreated>")?.or(on);
        let before = read("DateCreated<")?.map(|(first, _)| first);
        let to = before.or(on.map(|(_, last)| last));
        Ok(Self { from: after.map(|(first, _)| first), to })
    }

    /// Reads the other products' `DateCreatedAfter` and `DateCreatedBefore`.
    pub(super) fn between(
        asked: &Asked<'_>,
        after: &str,
        before: &str,
    ) -> Result<Self, TwilioError> {
        let read = |name: &str| match asked.query.get(name) {
            None => Ok(None),
            Some(text) => {
                span(text).map(|(at, _)| Some(at)).ok_or_else(|| asked.bad_parameter(name))
            }
        };
        Ok(Self { from: read(after)?, to: read(before)? })
    }

    /// Whether a moment lies within.
    pub(super) fn contains(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.to.is_none_or(|to| moment <= to)
    }
}

/// The first and the last second of a day of UTC, or one second twice.
fn span(text: &str) -> Option<(Timestamp, Timestamp)> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some((moment, moment));
    }
    let day: Date = text.parse().ok()?;
    let first = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    let last = TimeZone::UTC.to_timestamp(day.at(23, 59, 59, 0)).ok()?;
    Some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_all_of_it_and_a_second_is_itself() {
        let (first, last) = span("2026-11-03").unwrap();
        assert_eq!(first.to_string(), "2026-11-03T00:00:00Z");
        assert_eq!(last.to_string(), "2026-11-03T23:59:59Z");
        let (first, last) = span("2026-11-03T09:15:02Z").unwrap();
        assert_eq!(first, last);
        for text in ["", "yesterday", "2026-13-01", "2026-11-03T"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
