//! An account with one of everything that Twilio serves.

use bytes::Bytes;
use jiff::Timestamp;
use noticegate::standin::{
    MessageDirection, RecordingStatus, SampleAddOnResult, SampleApiKey, SampleAudio,
    SampleComposition, SampleEncryption, SampleLiveRecording, SampleMedia, SampleMessage,
    SampleOperatorResult, SamplePayload, SampleRecording, SampleRoom, SampleSentence,
    SampleServiceMedia, SampleToken, SampleTranscript, SampleTranscription, SampleVideo,
    StandInAccount, TrackKind,
};

use super::world::{ACCOUNT, UPSTREAM_SECRET};

/// The transcription of its room.
pub const ROOM_TRANSCRIPTION: &str = "video_extension_2c70be23-4788-423d-9351-df6705efa035";

/// Made for this test; its private half was thrown away.
const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAnmZnt/Pp8rK3l79slLj0
QZfM9a5obnpvNMCoR7X5x5rvFPBnOc+Z2YxKbcv/xWGKAVcnoFEDCgVYJhpqXjgG
H7Fexm7/PPkJI4Lhxtum9Z1Gne+69t1t9X2EkKHqDcpbpAa6t/nf8CcKctOuEF2N
KMovSK2Sxp3ahswt6WPp6h59ykjqcu431+r5tICzXpP1KhLyyvImiB8qROn760M/
47TQ/4/tA9yzclo8Z6w2frQAbiMl2IQYXCvy0d0+dxfg1hOt6xbfcPsJ0mHh/m5g
4xebXQZqq6bxMxN1Fk4gNgOC6bdUOZCI6maPO9nmEb9D3X5bmPGnsggRdwGDomYw
3QIDAQAB
-----END PUBLIC KEY-----";

/// A SID that ends in this digit.
pub fn sid(prefix: &str, digit: u8) -> String {
    format!("{prefix}{digit:032}")
}

fn made() -> Timestamp {
    "2026-11-03T09:15:02Z".parse().unwrap()
}

fn encryption() -> SampleEncryption {
    SampleEncryption::new(PUBLIC_KEY.as_bytes(), &sid("CR", 1)).unwrap()
}

fn recordings() -> Vec<SampleRecording> {
    let plain = |digit: u8, status: RecordingStatus| SampleRecording {
        sid: sid("RE", digit),
        call_sid: Some(sid("CA", 1)),
        conference_sid: Some(sid("CF", 1)),
        started_at: made(),
        duration_seconds: 4,
        channels: 2,
        status,
        audio: SampleAudio::Zeros { length: 1000 },
        from: "+14045550123".to_owned(),
        to: "+14045550188".to_owned(),
        ..SampleRecording::default()
    };
    let encrypted =
        SampleRecording { encryption: Some(encryption()), ..plain(5, RecordingStatus::Completed) };
    vec![
        plain(1, RecordingStatus::Completed),
        plain(2, RecordingStatus::Processing),
        plain(3, RecordingStatus::Absent),
        plain(4, RecordingStatus::Deleted),
        encrypted,
        plain(6, RecordingStatus::Completed),
        plain(7, RecordingStatus::Completed),
        plain(8, RecordingStatus::Completed),
    ]
}

fn of_voice(account: &mut StandInAccount) {
    let (recording_sid, created_at, bytes) =
        (sid("RE", 1), made(), Bytes::from_static(b"{\"made\": 1}"));
    account.recordings = recordings();
    account.transcriptions = (1..=3)
        .map(|digit| SampleTranscription {
            sid: sid("TR", digit),
            recording_sid: recording_sid.clone(),
            created_at,
            duration_seconds: 4,
            text: "Good morning.".to_owned(),
        })
        .collect();
    account.add_on_results = vec![SampleAddOnResult {
        sid: sid("XR", 1),
        recording_sid,
        created_at,
        payloads: vec![SamplePayload {
            sid: sid("XH", 1),
            label: "transcript".to_owned(),
            content_type: "application/json".to_owned(),
            bytes,
        }],
    }];
    account.messages = vec![SampleMessage {
        sid: sid("MM", 1),
        direction: MessageDirection::Inbound,
        from: "+14045550123".to_owned(),
        to: "+14045550188".to_owned(),
        sent_at: created_at,
        body: "Look.".to_owned(),
        media: vec![SampleMedia {
            sid: sid("ME", 1),
            content_type: "image/png".to_owned(),
            bytes: Bytes::from_static(b"picture"),
        }],
    }];
}

fn of_video(account: &mut StandInAccount) {
    let (room_sid, created_at, bytes) = (sid("RM", 1), made(), Bytes::from_static(b"film"));
    account.videos = [
        (1, TrackKind::Audio),
        (2, TrackKind::Video),
        (3, TrackKind::Audio),
        (4, TrackKind::Video),
    ]
    .map(|(digit, kind)| SampleVideo {
        sid: sid("RT", digit),
        room_sid: room_sid.clone(),
        participant_sid: sid("PA", 1),
        track_sid: sid("MT", digit),
        kind,
        created_at,
        duration_seconds: 4,
        bytes: Bytes::from(format!("track {digit}")),
        encryption: (digit == 2).then(encryption),
        ..SampleVideo::default()
    })
    .to_vec();
    account.compositions = vec![SampleComposition {
        sid: sid("CJ", 1),
        room_sid: room_sid.clone(),
        created_at,
        duration_seconds: 4,
        bytes,
        ..SampleComposition::default()
    }];
    account.rooms = vec![SampleRoom {
        sid: room_sid.clone(),
        unique_name: "daily".to_owned(),
        created_at,
        duration_seconds: 4,
        transcriptions: vec![ROOM_TRANSCRIPTION.to_owned()],
    }];
    account.live_recordings = vec![SampleLiveRecording {
        sid: sid("KV", 1),
        processor_sid: sid("ZX", 1),
        source_sid: room_sid,
        created_at,
        duration_seconds: 4,
        timed_metadata: Bytes::from_static(b"{\"times\": []}"),
        bytes: Bytes::from_static(b"live"),
        ..SampleLiveRecording::default()
    }];
}

fn of_conversations(account: &mut StandInAccount) {
    let (created_at, bytes) = (made(), Bytes::from_static(b"file"));
    account.service_media = vec![SampleServiceMedia {
        sid: sid("ME", 2),
        service_sid: sid("IS", 1),
        channel_sid: sid("CH", 1),
        message_sid: sid("IM", 1),
        author: "ana".to_owned(),
        filename: "form.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        created_at,
        bytes,
    }];
    account.transcripts = vec![SampleTranscript {
        sid: sid("GT", 1),
        service_sid: sid("GA", 1),
        recording_sid: sid("RE", 1),
        created_at,
        duration_seconds: 4,
        sentences: vec![SampleSentence {
            sid: sid("GX", 1),
            channel: 1,
            text: "My name is Ana.".to_owned(),
            redacted_text: "My name is [PERSON].".to_owned(),
        }],
        operators: vec![SampleOperatorResult {
            sid: sid("LY", 1),
            name: "Summary".to_owned(),
            text: "Ana called.".to_owned(),
            redacted_text: "[PERSON] called.".to_owned(),
        }],
        audio: Bytes::from_static(b"RIFF said"),
        redacted_audio: Bytes::from_static(b"RIFF beep"),
        encryption: Some(encryption()),
    }];
    account.tokens = vec![SampleToken {
        token: "flex".to_owned(),
        identity: "ana".to_owned(),
        roles: vec!["agent".to_owned()],
        worker_sid: Some(sid("WK", 1)),
        expires_at: created_at,
    }];
}

/// An account with one of everything the stand-in can hold, and a recording in every state.
pub fn everything() -> StandInAccount {
    let mut account = StandInAccount {
        sid: ACCOUNT.to_owned(),
        auth_token: UPSTREAM_SECRET.to_owned(),
        api_keys: vec![SampleApiKey { sid: sid("SK", 1), secret: "key".to_owned() }],
        ..StandInAccount::default()
    };
    of_voice(&mut account);
    of_video(&mut account);
    of_conversations(&mut account);
    account
}
