//! What the stand-in promises a test, told at its two listeners without their sockets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

use super::answer::Answer;
use super::body::Source;
use super::envelope::tests::{open_voice, pair};
use super::envelope::{IV_HEADER, KEY_HEADER};
use super::misbehaviour::{Faults, Kind, RuleBook};
use super::seen::{Listener, SeenLog};
use super::signature::UrlSigner;
use super::*;

const BASE: &str = "/2010-04-01/Accounts/AC1";
const CDN: &str = "https://cdn.example";

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn of(answer: Answer) -> Self {
        let Answer { status, headers, source, start, end } = answer;
        let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        let body = match source {
            Source::Held(bytes) => bytes.slice(range),
            Source::Pattern => (start..end).map(pattern_byte).collect(),
        };
        Self { status: status.as_u16(), headers, body }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The members of the list that the answer holds, by their SIDs.
    fn sids(&self, key: &str) -> String {
        let json = self.json();
        let all = json[key].as_array().unwrap().iter();
        all.map(|one| one["sid"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    }
}

struct Twilio(Shared);

impl Twilio {
    fn new(account: StandInAccount) -> Self {
        let other = StandInAccount {
            sid: "AC2".to_owned(),
            auth_token: "two".to_owned(),
            ..StandInAccount::default()
        };
        Self(Shared {
            library: Library::new(vec![account, other]),
            seen: SeenLog::default(),
            rules: RuleBook::default(),
            signer: UrlSigner::generate().unwrap(),
            api_origin: "https://api.example".to_owned(),
            cdn_origin: CDN.to_owned(),
            ways: Ways::default(),
        })
    }

    fn head(method: Method, target: &str, credentials: Option<(&str, &str)>) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        if let Some((user, password)) = credentials {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            request = request.header("authorization", format!("Basic {pair}"));
        }
        request.body(()).unwrap().into_parts().0
    }

    async fn send(&self, head: &Parts, body: &[u8], faults: &Faults) -> Got {
        Got::of(api::answer(&self.0, head, body, faults).await)
    }

    async fn ask(&self, method: Method, target: &str) -> Got {
        let head = Self::head(method, target, Some(("AC1", "one")));
        self.send(&head, b"", &Faults::default()).await
    }

    async fn get(&self, target: &str) -> Got {
        self.ask(Method::GET, target).await
    }

    async fn delete(&self, target: &str) -> u16 {
        self.ask(Method::DELETE, target).await.status
    }

    async fn as_user(&self, user: &str, password: &str, target: &str) -> u16 {
        let head = Self::head(Method::GET, target, Some((user, password)));
        self.send(&head, b"", &Faults::default()).await.status
    }

    /// Follows a pre-signed URL, without credentials.
    async fn fetch(&self, url: &str) -> Got {
        assert!(url.contains(PRESIGNED_MARKER) && url.contains("X-Amz-Signature="), "{url}");
        let head = Self::head(Method::GET, url.strip_prefix(CDN).unwrap(), None);
        Got::of(cdn::answer(&self.0, &head, &Faults::default()).await)
    }
}

fn recording(sid: &str, started_at: &str) -> SampleRecording {
    SampleRecording {
        sid: sid.to_owned(),
        call_sid: Some("CA1".to_owned()),
        started_at: started_at.parse().unwrap(),
        channels: 2,
        audio: SampleAudio::Bytes {
            wav: Bytes::from_static(b"RIFF0123456789"),
            mp3: Bytes::from_static(b"mp3"),
        },
        ..SampleRecording::default()
    }
}

fn account() -> StandInAccount {
    StandInAccount {
        sid: "AC1".to_owned(),
        auth_token: "one".to_owned(),
        api_keys: vec![SampleApiKey { sid: "SK1".to_owned(), secret: "key".to_owned() }],
        ..StandInAccount::default()
    }
}

fn with_recordings() -> Twilio {
    let recordings = vec![
        recording("RE1", "2026-11-01T09:00:00Z"),
        SampleRecording {
            conference_sid: Some("CF1".to_owned()),
            call_sid: Some("CA2".to_owned()),
            ..recording("RE2", "2026-11-02T23:59:59Z")
        },
        SampleRecording {
            status: RecordingStatus::Processing,
            ..recording("RE3", "2026-11-03T09:00:00Z")
        },
    ];
    Twilio::new(StandInAccount { recordings, ..account() })
}

#[tokio::test]
async fn a_deleted_recording_is_only_shown_to_who_asks_for_deleted_ones() {
    let twilio = with_recordings();
    let path = format!("{BASE}/Recordings/RE1.json");
    assert_eq!(twilio.delete(&path).await, 204);
    assert_eq!(twilio.get(&path).await.status, 404);
    assert_eq!(twilio.get(&format!("{BASE}/Recordings/RE1.mp3")).await.status, 404);
    let shown = twilio.get(&format!("{path}?IncludeSoftDeleted=true")).await.json();
    assert_eq!(shown["status"], "deleted");
    let list = format!("{BASE}/Recordings.json");
    assert_eq!(twilio.get(&list).await.sids("recordings"), "RE3 RE2");
    let all = format!("{list}?IncludeSoftDeleted=true");
    assert_eq!(twilio.get(&all).await.sids("recordings"), "RE3 RE2 RE1");
    let of_call = format!("{BASE}/Calls/CA1/Recordings.json?IncludeSoftDeleted=true");
    assert_eq!(twilio.get(&of_call).await.sids("recordings"), "RE3");
    assert_eq!(twilio.delete(&path).await, 404);
}

#[tokio::test]
async fn only_a_completed_recording_can_be_deleted() {
    let twilio = with_recordings();
    let path = format!("{BASE}/Recordings/RE3.json");
    let refused = twilio.ask(Method::DELETE, &path).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!(20009)));
    assert_eq!(twilio.get(&path).await.json()["status"], "processing");
    assert_eq!(twilio.delete(&format!("{BASE}/Recordings/RE1")).await, 405);
    assert_eq!(twilio.delete(&format!("{BASE}/Calls/CA1.json")).await, 405);
    assert_eq!(twilio.delete(&format!("{BASE}/Calls/CA2/Recordings/RE1.json")).await, 404);
    assert_eq!(twilio.get(&format!("{BASE}/Recordings/RE1.json")).await.status, 200);
}

#[tokio::test]
async fn a_recording_is_not_found_under_another_call_or_conference() {
    let twilio = with_recordings();
    for (path, status) in [
        ("Calls/CA1/Recordings/RE1", 200),
        ("Calls/CA2/Recordings/RE1", 404),
        ("Conferences/CF1/Recordings/RE2", 200),
        ("Conferences/CF1/Recordings/RE1", 404),
    ] {
        for extension in [".json", ".mp3", ".wav", ""] {
            let got = twilio.get(&format!("{BASE}/{path}{extension}")).await;
            assert_eq!(got.status, status, "{path}{extension}");
        }
    }
}

#[tokio::test]
async fn metadata_can_be_had_as_xml() {
    let twilio = with_recordings();
    let got = twilio.get(&format!("{BASE}/Calls/CA1/Recordings/RE1.xml")).await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/xml"));
    let text = String::from_utf8(got.body.to_vec()).unwrap();
    assert!(text.contains("<Recording><AccountSid>AC1</AccountSid>"), "{text}");
    assert_eq!(twilio.delete(&format!("{BASE}/Recordings/RE1.xml")).await, 204);
}

#[tokio::test]
async fn lists_are_narrowed_by_time_call_and_conference() {
    let twilio = with_recordings();
    for (query, sids) in [
        ("", "RE3 RE2 RE1"),
        ("DateCreated=2026-11-02", "RE2"),
        ("DateCreated%3E=2026-11-02", "RE3 RE2"),
        ("DateCreated%3C=2026-11-02", "RE1"),
        ("DateCreated%3C=2026-11-02T23:59:59Z&DateCreated%3E=2026-11-02", "RE2"),
        ("CallSid=CA1", "RE3 RE1"),
        ("ConferenceSid=CF1", "RE2"),
        ("PageSize=1&Page=1&PageToken=PARE3", "RE2"),
    ] {
        let got = twilio.get(&format!("{BASE}/Recordings.json?{query}")).await;
        assert_eq!(got.sids("recordings"), sids, "{query}");
    }
    for query in ["DateCreated=today", "PageSize=0", "IncludeSoftDeleted=perhaps"] {
        let got = twilio.get(&format!("{BASE}/Recordings.json?{query}")).await;
        assert_eq!((got.status, &got.json()["code"]), (400, &json!(20001)), "{query}");
    }
}

#[tokio::test]
async fn an_encrypted_recording_is_one_file_that_its_key_opens() {
    let (private, to) = pair();
    let encrypted =
        SampleRecording { encryption: Some(to), ..recording("RE1", "2026-11-01T09:00:00Z") };
    let twilio = Twilio::new(StandInAccount { recordings: vec![encrypted], ..account() });
    let mp3 = twilio.get(&format!("{BASE}/Recordings/RE1.mp3")).await;
    assert_eq!(mp3.status, 400);
    assert!(mp3.body.windows(18).any(|text| text == b"<Code>16109</Code>"));
    let json = twilio.get(&format!("{BASE}/Recordings/RE1.json")).await.json();
    let wav = twilio.get(&format!("{BASE}/Recordings/RE1.wav")).await;
    assert_eq!(wav.header("content-type"), "audio/x-wav");
    let plain = open_voice(&private, &json["encryption_details"], &wav.body).unwrap();
    assert_eq!(plain, b"RIFF0123456789");
    let mixed = twilio.get(&format!("{BASE}/Recordings/RE1?RequestedChannels=1")).await;
    assert_eq!(mixed.body, wav.body);
    let of_call = twilio.get(&format!("{BASE}/Calls/CA1/Recordings/RE1.json")).await.json();
    assert_eq!(of_call["encryption_details"], json["encryption_details"]);
    twilio.delete(&format!("{BASE}/Recordings/RE1.json")).await;
    let query = "IncludeSoftDeleted=true";
    let json_now = twilio.get(&format!("{BASE}/Recordings/RE1.json?{query}")).await.json();
    assert_eq!(json_now["encryption_details"], json["encryption_details"]);
}

fn with_files() -> (aws_lc_rs::rsa::PrivateDecryptingKey, Twilio) {
    let (private, to) = pair();
    let file = |text: &'static str| Bytes::from_static(text.as_bytes());
    let video = SampleVideo {
        sid: "RT1".to_owned(),
        room_sid: "RM1".to_owned(),
        bytes: file("track"),
        ..SampleVideo::default()
    };
    let hidden = SampleVideo {
        sid: "RT2".to_owned(),
        encryption: Some(to.clone()),
        kind: TrackKind::Video,
        ..video.clone()
    };
    let account = StandInAccount {
        add_on_results: vec![SampleAddOnResult {
            sid: "XR1".to_owned(),
            recording_sid: "RE1".to_owned(),
            payloads: vec![SamplePayload {
                sid: "XH1".to_owned(),
                content_type: "text/plain".to_owned(),
                bytes: file("payload"),
                ..SamplePayload::default()
            }],
            ..SampleAddOnResult::default()
        }],
        messages: vec![SampleMessage {
            sid: "MM1".to_owned(),
            media: vec![SampleMedia {
                sid: "ME1".to_owned(),
                content_type: "image/png".to_owned(),
                bytes: file("picture"),
            }],
            ..SampleMessage::default()
        }],
        videos: vec![video, hidden],
        compositions: vec![SampleComposition {
            sid: "CJ1".to_owned(),
            bytes: file("film"),
            ..SampleComposition::default()
        }],
        live_recordings: vec![SampleLiveRecording {
            sid: "KV1".to_owned(),
            bytes: file("live"),
            timed_metadata: file("{}"),
            ..SampleLiveRecording::default()
        }],
        service_media: vec![SampleServiceMedia {
            sid: "ME2".to_owned(),
            service_sid: "IS1".to_owned(),
            bytes: file("form"),
            content_type: "application/pdf".to_owned(),
            ..SampleServiceMedia::default()
        }],
        transcripts: vec![SampleTranscript {
            sid: "GT1".to_owned(),
            recording_sid: "RE1".to_owned(),
            sentences: vec![SampleSentence {
                text: "I am Ana.".to_owned(),
                redacted_text: "I am [PERSON].".to_owned(),
                ..SampleSentence::default()
            }],
            operators: vec![SampleOperatorResult {
                sid: "LY1".to_owned(),
                text: "Ana".to_owned(),
                redacted_text: "[PERSON]".to_owned(),
                ..SampleOperatorResult::default()
            }],
            audio: file("said"),
            redacted_audio: file("bleep"),
            encryption: Some(to),
            ..SampleTranscript::default()
        }],
        tokens: vec![SampleToken {
            token: "flex".to_owned(),
            identity: "ana".to_owned(),
            roles: vec!["agent".to_owned()],
            ..SampleToken::default()
        }],
        ..account()
    };
    (private, Twilio::new(account))
}

#[tokio::test]
async fn every_redirect_leads_to_its_file_and_says_so_in_its_body() {
    let (_, twilio) = with_files();
    let data = format!("{BASE}/Recordings/RE1/AddOnResults/XR1/Payloads/XH1/Data.json");
    for (path, status, content_type, body) in [
        (data.as_str(), 307, "text/plain", "payload"),
        ("/v1/Recordings/RT1/Media", 302, "audio/x-matroska", "track"),
        ("/v1/Rooms/RM1/Recordings/RT1/Media", 302, "audio/x-matroska", "track"),
        ("/v1/Compositions/CJ1/Media", 302, "video/mp4", "film"),
        ("/v1/MediaRecordings/KV1/Media", 302, "video/mp4", "live"),
        ("/v1/MediaRecordings/KV1/TimedMetadata", 302, "application/json", "{}"),
    ] {
        let got = twilio.get(path).await;
        assert_eq!(got.status, status, "{path}");
        assert_eq!(got.json(), json!({ "redirect_to": got.header("location") }), "{path}");
        let file = twilio.fetch(got.header("location")).await;
        assert_eq!((file.status, file.body.as_ref()), (200, body.as_bytes()), "{path}");
        assert_eq!(file.header("content-type"), content_type, "{path}");
    }
    for (path, body) in [
        (format!("{BASE}/Messages/MM1/Media/ME1"), "picture"),
        ("/v1/Services/IS1/Media/ME2/Content".to_owned(), "form"),
    ] {
        let got = twilio.get(&path).await;
        assert_eq!((got.status, got.body.len()), (307, 0), "{path}");
        assert_eq!(twilio.fetch(got.header("location")).await.body, body, "{path}");
    }
    assert_eq!(twilio.get("/v1/Rooms/RM2/Recordings/RT1/Media").await.status, 404);
    assert_eq!(twilio.get("/v1/Services/IS2/Media/ME2/Content").await.status, 404);
}

#[tokio::test]
async fn a_url_lives_as_long_as_it_was_asked_to_and_can_be_made_to_lead_elsewhere() {
    let (_, twilio) = with_files();
    let path = "/v1/Recordings/RT1/Media?Ttl=60";
    assert!(twilio.get(path).await.header("location").contains("X-Amz-Expires=60&"));
    assert_eq!(twilio.get("/v1/Recordings/RT1/Media?Ttl=soon").await.status, 400);
    let to = RedirectTarget::Url("https://evil.example/".to_owned());
    let fault = Fault::Redirect { to, status: 307 };
    twilio.0.rules.add(Misbehaviour { path_contains: String::new(), fault, times: None });
    let faults = twilio.0.rules.apply(Listener::Api, Kind::Media, path);
    let head = Twilio::head(Method::GET, path, Some(("AC1", "one")));
    let got = twilio.send(&head, b"", &faults).await;
    assert_eq!((got.status, got.header("location")), (307, "https://evil.example/"));
    assert_eq!(got.json(), json!({ "redirect_to": "https://evil.example/" }));
}

#[tokio::test]
async fn an_encrypted_track_comes_with_the_headers_that_open_it() {
    let (_, twilio) = with_files();
    let location = twilio.get("/v1/Recordings/RT2/Media").await;
    let file = twilio.fetch(location.header("location")).await;
    assert_eq!(file.body.len(), 16);
    assert_eq!(STANDARD.decode(file.header(KEY_HEADER)).unwrap().len(), 256);
    assert_eq!(STANDARD.decode(file.header(IV_HEADER)).unwrap().len(), 16);
}

#[tokio::test]
async fn what_is_redacted_differs_and_is_what_one_gets_unasked() {
    let (_, twilio) = with_files();
    for (path, pointer, plain, redacted) in [
        ("Sentences", "/sentences/0/transcript", "I am Ana.", "I am [PERSON]."),
        ("OperatorResults/LY1", "/text_generation_results/result", "Ana", "[PERSON]"),
        (
            "OperatorResults",
            "/operator_results/0/text_generation_results/result",
            "Ana",
            "[PERSON]",
        ),
    ] {
        for (query, text) in
            [("", redacted), ("?Redacted=true", redacted), ("?Redacted=false", plain)]
        {
            let json = twilio.get(&format!("/v2/Transcripts/GT1/{path}{query}")).await.json();
            assert_eq!(json.pointer(pointer), Some(&json!(text)), "{path}{query}");
        }
    }
    for (query, body) in [("", "bleep"), ("?Redacted=false", "said")] {
        let json = twilio.get(&format!("/v2/Transcripts/GT1/Media{query}")).await.json();
        assert_eq!(twilio.fetch(json["media_url"].as_str().unwrap()).await.body, body);
    }
    assert_eq!(twilio.get("/v2/Transcripts/GT1/Sentences?Redacted=no").await.status, 400);
}

#[tokio::test]
async fn other_urls_in_json_are_pre_signed_too_and_transcripts_have_a_tag_and_a_limit() {
    let (_, twilio) = with_files();
    let got = twilio.get("/v2/Transcripts/GT1/Sentences/Encrypted").await;
    let file = twilio.fetch(got.json()["location"].as_str().unwrap()).await;
    assert!(!file.header(KEY_HEADER).is_empty());
    assert!(got.header("etag").starts_with('"'));
    assert_eq!(got.header("x-rate-limit-limit"), "100");
    let got = twilio.get("/v2/Transcripts/GT1/OperatorResults/Encrypted").await.json();
    assert_eq!(twilio.fetch(got["locations"][0].as_str().unwrap()).await.status, 200);
    let json = twilio.get("/v1/Services/IS1/Media/ME2").await.json();
    let url = json["links"]["content_direct_temporary"].as_str().unwrap();
    assert_eq!(twilio.fetch(url).await.body, "form");
    assert_eq!(json["url"], "https://mcs.us1.twilio.com/v1/Services/IS1/Media/ME2");
}

#[tokio::test]
async fn what_was_deleted_is_gone_from_the_cdn_too() {
    let (_, twilio) = with_files();
    let media = format!("{BASE}/Messages/MM1/Media/ME1");
    let url = twilio.get(&media).await.header("location").to_owned();
    assert_eq!(twilio.delete(&format!("{BASE}/Messages/MM1.json")).await, 204);
    assert_eq!(twilio.get(&media).await.status, 404);
    assert_eq!(twilio.fetch(&url).await.status, 404);
    assert_eq!(twilio.delete(&format!("{BASE}/Messages/MM1.json")).await, 404);
    assert_eq!(twilio.delete("/v1/Rooms/RM1/Recordings/RT1").await, 204);
    assert_eq!(twilio.get("/v1/Recordings/RT1").await.json()["status"], "deleted");
    assert_eq!(twilio.get("/v1/Recordings/RT1/Media").await.status, 404);
    assert_eq!(twilio.delete("/v1/Recordings/RT1").await, 404);
    let list = twilio.get("/v1/Recordings?Status=deleted").await;
    assert_eq!(list.sids("recordings"), "RT1");
}

#[tokio::test]
async fn keys_are_as_good_as_tokens_and_open_no_other_account() {
    let (_, twilio) = with_files();
    let message = format!("{BASE}/Messages/MM1.json");
    for path in [message.as_str(), "/v1/Recordings/RT1", "/v2/Transcripts/GT1"] {
        assert_eq!(twilio.as_user("SK1", "key", path).await, 200, "{path}");
        for (user, password) in [("SK1", "one"), ("AC1", "key"), ("", ""), ("AC1", "one ")] {
            assert_eq!(twilio.as_user(user, password, path).await, 401, "{path}");
        }
    }
    assert_eq!(twilio.as_user("AC2", "two", &message).await, 401);
    assert_eq!(twilio.as_user("AC2", "two", "/v1/Recordings/RT1").await, 404);
    let head = Twilio::head(Method::GET, "/v1/Recordings/RT1", None);
    let refused = twilio.send(&head, b"", &Faults::default()).await;
    assert_eq!((refused.status, &refused.json()["code"]), (401, &json!(20003)));
}

#[tokio::test]
async fn a_flex_token_is_valid_when_it_is_known() {
    let (_, twilio) = with_files();
    let path = "/v1/Accounts/AC1/Tokens/validate";
    let head = Twilio::head(Method::POST, path, Some(("AC1", "one")));
    for (body, valid) in [
        (r#"{"token":"flex"}"#, true),
        (r#"{"token":"fle"}"#, false),
        (r#"{"token":1}"#, false),
        ("", false),
        ("flex", false),
    ] {
        let got = twilio.send(&head, body.as_bytes(), &Faults::default()).await;
        assert_eq!((got.status, &got.json()["valid"]), (200, &json!(valid)), "{body}");
    }
    assert_eq!(twilio.get(path).await.status, 405);
}

#[tokio::test]
async fn a_tag_that_changes_makes_a_resume_start_again() {
    let twilio = with_recordings();
    let path = format!("{BASE}/Recordings/RE1.wav");
    let fault = Fault::ChangeEtag;
    twilio.0.rules.add(Misbehaviour { path_contains: String::new(), fault, times: None });
    let mut head = Twilio::head(Method::GET, &path, Some(("AC1", "one")));
    let faults = || twilio.0.rules.apply(Listener::Api, Kind::Media, &path);
    let first = twilio.send(&head, b"", &faults()).await;
    head.headers.insert("range", "bytes=4-".parse().unwrap());
    assert_eq!(twilio.send(&head, b"", &faults()).await.status, 206);
    head.headers.insert("if-range", first.header("etag").parse().unwrap());
    assert_eq!(twilio.send(&head, b"", &faults()).await.status, 200);
}
