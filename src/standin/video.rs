//! Recorded tracks of video rooms, compositions, rooms, and live recordings.
//!
//! In: a route of video.twilio.com or media.twilio.com. Out: JSON with absolute URLs, redirects to
//! files, an empty 204, or Twilio's error. What was deleted keeps its metadata, with that status,
//! and has no media; to delete it again finds nothing.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::Answer;
use super::api::{Asked, Reply};
use super::metadata::iso_8601;
use super::objects::live_key;
use super::page::{Links, Listing};
use super::route::Video;
use super::samples::{
    SampleComposition, SampleLiveRecording, SampleRoom, SampleVideo, TrackKind, VideoStatus,
};
use super::voice::{PAGE_SIZE_MAX, Period};

/// LIMIT: the largest page of recordings and compositions that are not asked for by room.
const VIDEO_PAGE_MAX: usize = 100;

/// Answers for video.
pub(super) fn answer(asked: &Asked<'_>, what: Video<'_>) -> Reply {
    let found = |condition: bool| condition.then_some(()).ok_or_else(|| asked.not_found());
    match what {
        Video::Recordings(room) => tracks(asked, room),
        Video::Recording(room, sid) => {
            let one = track(asked, room, sid).ok_or_else(|| asked.not_found())?;
            one_of(asked, sid, one.status, || describe_track(asked, room, one))
        }
        Video::RecordingBytes(room, sid) => {
            found(track(asked, room, sid).is_some())?;
            asked.redirect(302, sid)
        }
        Video::Compositions => compositions(asked),
        Video::Composition(sid) => {
            let one = composition(asked, sid).ok_or_else(|| asked.not_found())?;
            one_of(asked, sid, one.status, || describe_composition(asked, one))
        }
        Video::CompositionBytes(sid) => {
            found(composition(asked, sid).is_some())?;
            asked.redirect(302, sid)
        }
        Video::LiveRecordings
        | Video::LiveRecording(_)
        | Video::LiveBytes(_)
        | Video::LiveMetadata(_) => live(asked, what),
        Video::Settings(of) => Ok(asked.json(settings(asked, of))),
        Video::Room(sid) => Ok(asked.json(describe_room(asked, room(asked, sid)?))),
        Video::Transcriptions(sid) => {
            let room = room(asked, sid)?;
            let ids = room.transcriptions.iter();
            let items = ids.map(|id| (id.clone(), describe_transcription(asked, room, id)));
            let (items, links) = (items.collect(), links(asked));
            asked.list(Listing { key: "transcriptions", items, most: PAGE_SIZE_MAX, links })
        }
        Video::Transcription(sid, id) => {
            let room = room(asked, sid)?;
            found(room.transcriptions.iter().any(|known| known == id))?;
            Ok(asked.json(describe_transcription(asked, room, id)))
        }
    }
}

fn links<'a>(asked: &'a Asked<'_>) -> Links<'a> {
    Links::Absolute(&asked.shared.ways.video_origin)
}

/// The status now: deletions come on top of what the sample says.
fn status(asked: &Asked<'_>, sid: &str, sample: VideoStatus) -> VideoStatus {
    if asked.holding.is_deleted(sid) { VideoStatus::Deleted } else { sample }
}

fn one_of(
    asked: &Asked<'_>,
    sid: &str,
    sample: VideoStatus,
    json: impl FnOnce() -> Value,
) -> Reply {
    if !asked.is_delete() {
        return Ok(asked.json(json()));
    }
    if status(asked, sid, sample) == VideoStatus::Deleted {
        return Err(asked.not_found());
    }
    asked.shared.library.delete(&asked.account, sid);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// The filters that tracks and compositions have in common.
fn fits(asked: &Asked<'_>, period: Period, now: VideoStatus, made: Timestamp) -> bool {
    asked.query.get("Status").is_none_or(|wanted| wanted == now.as_str()) && period.contains(made)
}

fn tracks(asked: &Asked<'_>, room: Option<&str>) -> Reply {
    let period = Period::between(asked, "DateCreatedAfter", "DateCreatedBefore")?;
    let source = asked.query.get("SourceSid");
    let group = asked.query.get("GroupingSid");
    let kind = asked.query.get("MediaType");
    let items = asked.holding.samples.videos.iter().filter(|one| {
        room.is_none_or(|room| one.room_sid == room)
            && fits(asked, period, status(asked, &one.sid, one.status), one.created_at)
            && source.is_none_or(|sid| one.track_sid == sid)
            && group
                .is_none_or(|sid| [&one.room_sid, &one.participant_sid].contains(&&sid.to_owned()))
            && kind.is_none_or(|kind| kind == type_of(one))
    });
    let items = items.map(|one| (one.sid.clone(), describe_track(asked, room, one))).collect();
    let most = if room.is_some() { PAGE_SIZE_MAX } else { VIDEO_PAGE_MAX };
    asked.list(Listing { key: "recordings", items, most, links: links(asked) })
}

fn track<'a>(asked: &'a Asked<'_>, room: Option<&str>, sid: &str) -> Option<&'a SampleVideo> {
    let mut all = asked.holding.samples.videos.iter();
    all.find(|one| one.sid == sid && room.is_none_or(|room| one.room_sid == room))
}

fn type_of(one: &SampleVideo) -> &'static str {
    match one.kind {
        TrackKind::Audio => "audio",
        TrackKind::Video => "video",
    }
}

fn describe_track(asked: &Asked<'_>, room: Option<&str>, one: &SampleVideo) -> Value {
    let origin = &asked.shared.ways.video_origin;
    let url = match room {
        Some(room) => format!("{origin}/v1/Rooms/{room}/Recordings/{}", one.sid),
        None => format!("{origin}/v1/Recordings/{}", one.sid),
    };
    let (container, codec) = match one.kind {
        TrackKind::Audio => ("mka", "OPUS"),
        TrackKind::Video => ("mkv", "VP8"),
    };
    let mut json = json!({
        "account_sid": asked.account,
        "status": status(asked, &one.sid, one.status).as_str(),
        "date_created": iso_8601(one.created_at),
        "sid": one.sid,
        "source_sid": one.track_sid,
        "size": one.bytes.len(),
        "url": url,
        "type": type_of(one),
        "duration": one.duration_seconds,
        "container_format": container,
        "codec": codec,
        "grouping_sids": { "room_sid": one.room_sid, "participant_sid": one.participant_sid },
        "track_name": "microphone",
        "offset": 10,
        "media_external_location": null,
    });
    let rest = match room {
        Some(room) => json!({ "room_sid": room, "links": { "media": format!("{url}/Media") } }),
        None => json!({
            "status_callback": null,
            "status_callback_method": "POST",
            "links": { "media": format!("{url}/Media") },
        }),
    };
    if let (Value::Object(json), Value::Object(rest)) = (&mut json, rest) {
        json.extend(rest);
    }
    json
}

fn compositions(asked: &Asked<'_>) -> Reply {
    let period = Period::between(asked, "DateCreatedAfter", "DateCreatedBefore")?;
    let room = asked.query.get("RoomSid");
    let items = asked.holding.samples.compositions.iter().filter(|one| {
        room.is_none_or(|room| one.room_sid == room)
            && fits(asked, period, status(asked, &one.sid, one.status), one.created_at)
    });
    let items = items.map(|one| (one.sid.clone(), describe_composition(asked, one))).collect();
    let links = links(asked);
    asked.list(Listing { key: "compositions", items, most: VIDEO_PAGE_MAX, links })
}

fn composition<'a>(asked: &'a Asked<'_>, sid: &str) -> Option<&'a SampleComposition> {
    asked.holding.samples.compositions.iter().find(|one| one.sid == sid)
}

fn describe_composition(asked: &Asked<'_>, one: &SampleComposition) -> Value {
    let url = format!("{}/v1/Compositions/{}", asked.shared.ways.video_origin, one.sid);
    let now = status(asked, &one.sid, one.status);
    let made = iso_8601(one.created_at);
    json!({
        "account_sid": asked.account,
        "status": now.as_str(),
        "date_created": made,
        "date_completed": (now == VideoStatus::Completed).then_some(&made),
        "date_deleted": (now == VideoStatus::Deleted).then_some(&made),
        "sid": one.sid,
        "room_sid": one.room_sid,
        "audio_sources": ["*"],
        "audio_sources_excluded": [],
        "video_layout": { "grid": { "video_sources": ["*"] } },
        "resolution": "640x480",
        "trim": true,
        "format": "mp4",
        "bitrate": 64,
        "size": one.bytes.len(),
        "duration": one.duration_seconds,
        "media_external_location": null,
        "status_callback": null,
        "status_callback_method": "POST",
        "url": url,
        "links": { "media": format!("{url}/Media") },
    })
}

fn room<'a>(asked: &'a Asked<'_>, sid: &str) -> Result<&'a SampleRoom, super::answer::TwilioError> {
    let mut all = asked.holding.samples.rooms.iter();
    all.find(|room| room.sid == sid).ok_or_else(|| asked.not_found())
}

fn ended(made: Timestamp, seconds: u32) -> String {
    let length = SignedDuration::from_secs(i64::from(seconds));
    iso_8601(made.checked_add(length).unwrap_or(made))
}

fn describe_room(asked: &Asked<'_>, room: &SampleRoom) -> Value {
    let url = format!("{}/v1/Rooms/{}", asked.shared.ways.video_origin, room.sid);
    let ended = ended(room.created_at, room.duration_seconds);
    json!({
        "account_sid": asked.account,
        "date_created": iso_8601(room.created_at),
        "date_updated": ended,
        "status": "completed",
        "type": "group",
        "sid": room.sid,
        "enable_turn": true,
        "unique_name": room.unique_name,
        "max_participants": 50,
        "max_participant_duration": 14400,
        "max_concurrent_published_tracks": 170,
        "duration": room.duration_seconds,
        "status_callback_method": "POST",
        "status_callback": null,
        "record_participants_on_connect": true,
        "video_codecs": ["VP8"],
        "audio_only": false,
        "media_region": "us1",
        "empty_room_timeout": 5,
        "unused_room_timeout": 5,
        "end_time": ended,
        "large_room": false,
        "url": url,
        "links": {
            "participants": format!("{url}/Participants"),
            "recordings": format!("{url}/Recordings"),
            "transcriptions": format!("{url}/Transcriptions"),
            "recording_rules": format!("{url}/RecordingRules"),
        },
    })
}

fn describe_transcription(asked: &Asked<'_>, room: &SampleRoom, id: &str) -> Value {
    let origin = &asked.shared.ways.video_origin;
    let ended = ended(room.created_at, room.duration_seconds);
    json!({
        "ttid": id,
        "account_sid": asked.account,
        "room_sid": room.sid,
        "status": "stopped",
        "date_created": iso_8601(room.created_at),
        "date_updated": ended,
        "start_time": iso_8601(room.created_at),
        "end_time": ended,
        "duration": room.duration_seconds,
        "url": format!("{origin}/v1/Rooms/{}/Transcriptions/{id}", room.sid),
        "configuration": {},
    })
}

fn settings(asked: &Asked<'_>, of: &str) -> Value {
    json!({
        "account_sid": asked.account,
        "friendly_name": "Default",
        "aws_credentials_sid": null,
        "aws_s3_url": null,
        "aws_storage_enabled": false,
        "encryption_key_sid": null,
        "encryption_enabled": false,
        "url": format!("{}/v1/{of}/Default", asked.shared.ways.video_origin),
    })
}

fn live(asked: &Asked<'_>, what: Video<'_>) -> Reply {
    let samples = &asked.holding.samples.live_recordings;
    let find =
        |sid: &str| samples.iter().find(|one| one.sid == sid).ok_or_else(|| asked.not_found());
    match what {
        Video::LiveRecording(sid) => {
            let one = find(sid)?;
            one_of(asked, sid, one.status, || describe_live(asked, one))
        }
        Video::LiveBytes(sid) => {
            find(sid)?;
            asked.redirect(302, &live_key(sid, "mp4"))
        }
        Video::LiveMetadata(sid) => {
            find(sid)?;
            asked.redirect(302, &live_key(sid, "json"))
        }
        _ => {
            let items = samples.iter().map(|one| (one.sid.clone(), describe_live(asked, one)));
            let links = Links::Absolute(&asked.shared.ways.live_origin);
            let items = items.collect();
            asked.list(Listing { key: "media_recordings", items, most: VIDEO_PAGE_MAX, links })
        }
    }
}

fn describe_live(asked: &Asked<'_>, one: &SampleLiveRecording) -> Value {
    let url = format!("{}/v1/MediaRecordings/{}", asked.shared.ways.live_origin, one.sid);
    json!({
        "account_sid": asked.account,
        "date_created": iso_8601(one.created_at),
        "date_updated": ended(one.created_at, one.duration_seconds),
        "duration": one.duration_seconds,
        "format": "mp4",
        "links": {
            "media": format!("{url}/Media"),
            "timed_metadata": format!("{url}/TimedMetadata"),
        },
        "processor_sid": one.processor_sid,
        "resolution": "1280x720",
        "source_sid": one.source_sid,
        "sid": one.sid,
        "media_size": one.bytes.len(),
        "status": status(asked, &one.sid, one.status).as_str(),
        "status_callback": null,
        "status_callback_method": "POST",
        "url": url,
    })
}
