//! Pages of other origins: those that are named may read answers, refusals too; no other may, and
//! nothing that upstream says about it counts.

use http::request::Builder;
use noticegate::standin::{Fault, Misbehaviour};

use crate::support::{Answer, Client, World, WorldSettings, path};

const ORIGIN: &str = "https://flex.twilio.com";

/// Everything that tells a browser what a page may do.
const NAMES: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "access-control-max-age",
];

fn settings() -> WorldSettings {
    let config = format!(
        "[upstream]\nretries_max = 0\n[cors]\norigins = [\"{ORIGIN}\", \"https://app.example:8443\"]"
    );
    WorldSettings { config, ..WorldSettings::default() }
}

fn preflight(target: &str, origin: &str) -> Builder {
    Client::get(target)
        .method("OPTIONS")
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization, range")
}

fn says_nothing(answer: &Answer) {
    for name in NAMES {
        assert!(answer.header(name).is_none(), "{name}: {:?}", answer.headers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_of_a_named_origin_is_answered_and_asks_nobody() {
    let mut world = World::with(settings()).await;
    for origin in [ORIGIN, "https://app.example:8443"] {
        for target in [path(".wav"), path(".mp3"), "/v1/Recordings".to_owned()] {
            let answer = world.send(preflight(&target, origin)).await;
            assert_eq!((answer.status, answer.body.len()), (204, 0), "{target}");
            assert_eq!(answer.header(NAMES[0]), Some(origin));
            assert_eq!(answer.header(NAMES[1]), Some("GET, HEAD, POST, DELETE"));
            let allowed = answer.header(NAMES[2]).unwrap().to_ascii_lowercase();
            for name in ["authorization", "range", "noticegate-purpose", "if-range"] {
                assert!(allowed.split(", ").any(|known| known == name), "{name}");
            }
            assert!(answer.header(NAMES[3]).is_none(), "cookies never count");
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
    }
    assert!(world.standin.seen().is_empty());
    let entries = world.entries().await;
    assert!(entries.iter().all(|entry| entry["t"] != "intent" && entry["t"] != "refusal"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_reads_what_its_caller_may_have_and_why_not() {
    let world = World::with(settings()).await;
    let good = world.send(world.ana(&path(".wav")).header("origin", ORIGIN)).await;
    let part = world.ana(&path(".wav")).header("range", "bytes=0-3").header("origin", ORIGIN);
    let part = world.send(part).await;
    let json = world.send(world.ana(&path(".json")).header("origin", ORIGIN)).await;
    let stranger = world.send(Client::get(&path(".wav")).header("origin", ORIGIN)).await;
    let refused = world.who("ana", "quality-analyst", "marketing", &path(".wav"));
    let refused = world.send(refused.header("origin", ORIGIN)).await;
    let unknown = world.send(world.ana("/nothing").header("origin", ORIGIN)).await;
    let wrong = world.send(world.ana(&path(".wav")).method("POST").header("origin", ORIGIN)).await;
    let statuses =
        [(good, 200), (part, 206), (json, 200), (stranger, 401), (unknown, 404), (wrong, 405)];
    assert!((400..500).contains(&refused.status));
    for (answer, status) in statuses
        .iter()
        .map(|(answer, status)| (answer, *status))
        .chain([(&refused, refused.status)])
    {
        assert_eq!(answer.status, status, "{:?}", answer.body);
        assert_eq!(answer.header(NAMES[0]), Some(ORIGIN), "{status}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{status}");
        let exposed = answer.header(NAMES[4]).unwrap();
        assert!(exposed.contains("Noticegate-Entry") && exposed.contains("Content-Range"));
        assert!(answer.header(NAMES[3]).is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_origin_is_told_anything() {
    let world = World::with(settings()).await;
    for origin in [
        "https://evil.example",
        "https://flex.twilio.com.evil.example",
        "https://flex.twilio.com:444",
        "http://flex.twilio.com",
        "https://FLEX.twilio.com",
        "null",
        "*",
        "",
    ] {
        let asked = world.send(preflight(&path(".wav"), origin)).await;
        assert_eq!(asked.status, 405, "{origin}");
        says_nothing(&asked);
        let answer = world.send(world.ana(&path(".wav")).header("origin", origin)).await;
        assert_eq!(answer.status, 200, "{origin}");
        says_nothing(&answer);
        assert_eq!(answer.header("vary"), Some("Origin"), "a cache must not mix them up");
    }
    let two = world.ana(&path(".wav")).header("origin", ORIGIN).header("origin", ORIGIN);
    says_nothing(&world.send(two).await);
    // OPTIONS that is no preflight.
    let bare =
        world.send(Client::get(&path(".wav")).method("OPTIONS").header("origin", ORIGIN)).await;
    assert_eq!(bare.status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_and_whatever_upstream_says_there_is_none() {
    let said: Vec<(String, String)> = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "*"),
        ("vary", "X-Upstream"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let none = World::with(WorldSettings::default()).await;
    let some = World::with(settings()).await;
    for world in [&none, &some] {
        world.standin.misbehave(Misbehaviour {
            path_contains: String::new(),
            fault: Fault::ExtraHeaders(said.clone()),
            times: None,
        });
        let answer = world.send(world.ana(&path(".wav"))).await;
        assert_eq!(answer.status, 200);
        says_nothing(&answer);
        assert_ne!(answer.header("vary"), Some("X-Upstream"));
    }
    let answer = none.send(none.ana(&path(".wav")).header("origin", ORIGIN)).await;
    says_nothing(&answer);
    assert!(answer.header("vary").is_none());
    says_nothing(&none.send(preflight(&path(".wav"), ORIGIN)).await);
}
