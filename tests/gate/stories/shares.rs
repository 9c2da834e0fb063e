//! Sharing: asked for, decided, used by a program, counted, taken back.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::process::noticegate;
use crate::support::shares::{as_program, bodiless, copy, copy_with, post, program, text, why};
use crate::support::world::{ACCOUNT, NUMBER, RECORDING, of_kind, path};
use crate::support::{World, WorldSettings, recording};

/// It is refused: response, ledger, and upstream saw nothing of the sound.
async fn refused(world: &World, token: &str, order: &Value, status: u16) -> Value {
    let before = world.media_requests().len();
    let answer = world.share(token, order).await;
    assert_eq!(answer.status, status, "{}", text(&answer));
    assert_eq!(world.media_requests().len(), before, "upstream saw nothing");
    answer.json()
}

#[tokio::test]
async fn who_may_share_gets_a_link_and_a_program_gets_the_sound_by_it() {
    let mut world = World::new().await;
    let link = world.link(&copy()).await;
    assert!(link.made["url"].as_str().unwrap().starts_with("https://localhost/s/"));
    assert_eq!(link.made["clause"], json!({"id": "copy-sent", "notice": "2026-03-01"}));
    assert_eq!((&link.made["uses_left"], &link.made["state"]), (&3.into(), &"live".into()));
    assert!(world.media_requests().is_empty(), "making it fetches nothing");
    let own = world.send(world.who("petra", "privacy-officer", "rights-request", &path(".wav")));
    let (own, got) = (own.await, world.send(program(&link.path)).await);
    assert_eq!((own.status, got.status), (200, 200));
    assert!(got.body == own.body && got.body.len() > 1_000, "the same sound");
    assert_eq!(got.header("content-type"), Some("audio/x-wav"));
    assert_eq!(got.header("content-disposition"), Some("inline"));
    assert_eq!(got.header("referrer-policy"), Some("no-referrer"));
    let shown = world.as_petra("GET", &format!("/shares/{}", link.id)).await.json();
    assert_eq!((&shown["uses_left"], &shown["url"]), (&2.into(), &Value::Null));
    let entries = world.entries().await;
    let (made, used) = (of_kind(&entries, "share")[0], of_kind(&entries, "intent")[1]);
    assert_eq!(made["share"], link.id);
    assert_eq!((&made["action"], &made["recipient"]), (&"share".into(), &"data-subject".into()));
    assert_eq!(made["circumstances"], json!(["identity-check"]));
    assert_eq!(made["decision"]["cited"][0]["clause"], "copy-sent");
    assert_eq!((&used["share"], &used["action"]), (&link.id.clone().into(), &"share".into()));
    assert_eq!(
        (&used["recipient"], &used["purpose"]),
        (&"data-subject".into(), &"rights-request".into())
    );
    assert_eq!(used["caller"]["id"], format!("share|{}", link.id));
    assert_eq!(
        (&used["caller"]["for"], &used["use"]["opens"]),
        (&"test|petra".into(), &true.into())
    );
    let all = entries.iter().map(Value::to_string).collect::<String>();
    for secret in ["Bloggs", "passport", "letter of", link.token()] {
        assert!(!all.contains(secret), "{secret} stands in no entry");
    }
    // RFC 8785 by a library that is not ours gives the very bytes that are stored.
    let file = rusqlite::Connection::open(&world.ledger).unwrap();
    let mut statement = file.prepare("SELECT bytes FROM entry").unwrap();
    let all = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    for bytes in all.map(Result::unwrap) {
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_jcs::to_vec(&value).unwrap(), bytes, "{value}");
    }
    let config = world.folder.join("noticegate.toml");
    let verified = noticegate(&config, &["ledger", "verify", "--people"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let replayed = noticegate(
        &config,
        &["replay", "--policies", world.folder.join("policies").to_str().unwrap()],
    );
    assert_eq!(replayed.code, 0, "{replayed:?}");
}

#[tokio::test]
async fn who_may_not_share_is_told_the_sentence() {
    let mut world = World::new().await;
    let ana = world.token("ana", &["quality-analyst"]);
    let answer =
        refused(&world, &ana, &copy_with(&json!({"purpose": "quality-monitoring"})), 403).await;
    assert_eq!(answer["reason"], "not-permitted");
    let no_proof = copy_with(&json!({"identity_check": null}));
    let answer = refused(&world, &world.petra(), &no_proof, 403).await;
    assert_eq!(
        (&answer["reason"], &answer["clause"]),
        (&"not-permitted".into(), &"copy-sent".into())
    );
    assert!(answer["quote"].as_str().unwrap().contains("once you have shown us"));
    let partner = copy_with(&json!({"recipient": {"class": "partner", "country": "GB"}}));
    let answer = refused(&world, &world.petra(), &partner, 403).await;
    assert_eq!(
        (&answer["reason"], &answer["clause"]),
        (&"forbidden".into(), &"sharing-list".into())
    );
    let abroad = copy_with(&json!({"purpose": "law-enforcement-request", "reference": "D-1",
        "recipient": {"class": "court", "country": "US"}}));
    assert_eq!(refused(&world, &world.petra(), &abroad, 403).await["clause"], "place");
    let nobody = copy_with(&json!({"recipient": {"class": "my-cousin"}}));
    assert_eq!(refused(&world, &world.petra(), &nobody, 503).await["reason"], "undecidable");
    let stranger = world.client.send_full(post("nonsense", &copy(), &[])).await;
    assert_eq!(stranger.status, 401);
    let gone = copy_with(&json!({"recording": "RE000000000000000000000000000000ff"}));
    refused(&world, &world.petra(), &gone, 404).await;
    let entries = world.entries().await;
    assert!(of_kind(&entries, "share").is_empty());
    let refusals = of_kind(&entries, "refusal");
    assert_eq!(refusals.len(), 7);
    assert!(refusals.iter().all(|refusal| refusal["action"] == "share"));
    assert_eq!(refusals[2]["recipient"], "partner");
    assert_eq!(refusals[5]["reason"], "stranger");
}

#[tokio::test]
async fn an_order_that_cannot_be_meant_names_its_key() {
    let world = World::new().await;
    for (order, key) in [
        (json!({"uses": 0}), "`uses`"),
        (json!({"expires_in_seconds": 40_000_000}), "`expires_at`"),
        (json!({"recording": "https://api.twilio.com/2010-04-01/Accounts"}), "`recording`"),
        (json!({"portion": {"start_ms": 90_000, "end_ms": 95_000}}), "`portion`"),
        (json!({"binding": {"certificate": "dns:a.example"}}), "`binding.certificate`"),
        (json!({"purpose": "Everything!"}), "`body`"),
    ] {
        let answer = refused(&world, &world.petra(), &copy_with(&order), 400).await;
        assert!(answer["message"].as_str().unwrap().contains(key), "{answer}");
    }
    let bearer = format!("Bearer {}", world.petra());
    let get = |path: &str| Client::get(path).header("authorization", bearer.clone());
    for (request, status) in [
        (get("/shares").method("PUT"), 405),
        (get("/shares/nonsense"), 404),
        (get("/shares/019AA000-0000-7000-8000-000000000001"), 404),
        (get("/shares?page_size=0"), 400),
        (get("/shares?colour=red"), 400),
        (Client::get("/shares"), 401),
    ] {
        assert_eq!(world.send(request).await.status, status);
    }
    let long = copy_with(&json!({"note": "x".repeat(20_000)}));
    refused(&world, &world.petra(), &long, 413).await;
}

#[tokio::test]
async fn the_url_that_stood_in_a_page_is_enough() {
    let world = World::new().await;
    for url in [path(""), format!("https://api.twilio.com{}", path(".mp3"))] {
        let order = copy_with(&json!({ "recording": url, "format": null }));
        let link = world.link(&order).await;
        assert_eq!(
            (&link.made["recording"], &link.made["account"]),
            (&RECORDING.into(), &ACCOUNT.into())
        );
        assert_eq!(world.send(program(&link.path)).await.status, 200);
    }
}

#[tokio::test]
async fn the_same_key_makes_one_share_however_often_it_is_sent() {
    let mut world = World::new().await;
    let key = [("idempotency-key", "order-7")];
    let send = |token: String, order: Value| {
        let (client, request) = (world.client.clone(), post(&token, &order, &key));
        async move { client.send_full(request).await }
    };
    let all = (0..8).map(|_| send(world.petra(), copy()));
    let answers = futures_util::future::join_all(all).await;
    let first = answers[0].json();
    for answer in &answers {
        assert_eq!(answer.status, 201, "{}", text(answer));
        assert_eq!((&answer.json()["id"], &answer.json()["url"]), (&first["id"], &first["url"]));
    }
    let other = send(world.petra(), copy_with(&json!({"uses": 2}))).await;
    assert_eq!((other.status, why(&other).as_str()), (422, "other-order"));
    // Somebody else's key is another.
    let pia = send(world.token("pia", &["privacy-officer"]), copy()).await.json();
    assert_ne!((&pia["id"], &pia["url"]), (&first["id"], &first["url"]));
    let twice = post(&world.petra(), &copy(), &[key[0], ("idempotency-key", "another")]);
    assert_eq!(world.client.send_full(twice).await.status, 400);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "share").len(), 2);
}

#[tokio::test]
async fn makers_see_their_own_shares_page_by_page_and_nobody_elses() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for note in ["one", "two", "three"] {
        ids.push(world.link(&copy_with(&json!({ "note": note }))).await.id);
    }
    ids.reverse();
    let first = world.as_petra("GET", "/shares?page_size=2").await.json();
    let id = |share: &Value| share["id"].as_str().unwrap().to_owned();
    let listed: Vec<String> = first["shares"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(listed, ids[..2]);
    assert_eq!(first["shares"][0]["note"], "three");
    assert_eq!(first["shares"][0]["recipient"]["name"], "Ms Jo Bloggs");
    assert_eq!(first["shares"][0]["url"], Value::Null);
    let rest = world.as_petra("GET", first["next"].as_str().unwrap()).await.json();
    assert_eq!((id(&rest["shares"][0]), &rest["next"]), (ids[2].clone(), &Value::Null));
    let other = format!("Bearer {}", world.token("pia", &["privacy-officer"]));
    let get = |path: String| Client::get(&path).header("authorization", other.clone());
    let none = world.send(get("/shares".to_owned())).await.json();
    assert_eq!(none["shares"], json!([]));
    let one = format!("/shares/{}", ids[0]);
    assert_eq!(world.send(get(one.clone())).await.status, 404);
    assert_eq!(world.send(get(one.clone()).method("DELETE")).await.status, 404);
    assert_eq!(world.as_petra("GET", &one).await.json()["state"], "live");
}

#[tokio::test]
async fn seeking_burns_nothing_and_evades_nothing() {
    let mut world = World::new().await;
    let link = world.link(&copy_with(&json!({"uses": 2}))).await;
    let range = |agent: &str, range: &str| as_program(&link.path, agent).header("range", range);
    // One listener: from the start, small pieces, many at once.
    let whole = world.send(program(&link.path)).await;
    let pieces = (0..12).map(|n| {
        let asked = format!("bytes={}-{}", n * 1_000, n * 1_000 + 999);
        world.send(range("curl/8.5.0", &asked))
    });
    for (n, piece) in futures_util::future::join_all(pieces).await.iter().enumerate() {
        assert_eq!(piece.status, 206);
        assert_eq!(piece.body, whole.body[n * 1_000..][..1_000]);
    }
    assert_eq!(world.send(range("curl/8.5.0", "bytes=0-")).await.status, 206);
    let left = |world: &World| {
        let path = format!("/shares/{}", link.id);
        let bearer = format!("Bearer {}", world.petra());
        let request = Client::get(&path).header("authorization", bearer);
        let client = world.client.clone();
        async move { client.send(bodiless(request)).await.json()["uses_left"].clone() }
    };
    assert_eq!(left(&world).await, 1);
    // Another listener, whatever it begins with, is another session.
    assert_eq!(world.send(range("wget/1.21", "bytes=0-0")).await.status, 206);
    assert_eq!(left(&world).await, 0);
    for asked in ["bytes=0-", "bytes=5-5", "bytes=-1"] {
        let answer = world.send(range("python-requests/2", asked)).await;
        assert_eq!((answer.status, why(&answer).as_str()), (410, "share-used-up"));
    }
    // A session ends with its time, to the second.
    let minutes = |minutes| jiff::SignedDuration::from_mins(minutes);
    let begun = world.clock.now();
    world.clock.set(begun + minutes(60) - jiff::SignedDuration::from_secs(1));
    assert_eq!(world.send(range("curl/8.5.0", "bytes=0-9")).await.status, 206);
    world.clock.set(begun + minutes(60));
    let over = world.send(range("curl/8.5.0", "bytes=0-9")).await;
    assert_eq!((over.status, why(&over).as_str()), (410, "share-used-up"));
    let entries = world.entries().await;
    let opened = of_kind(&entries, "intent").iter().filter(|i| i["use"]["opens"] == true).count();
    assert_eq!(opened, 2);
    assert_eq!(of_kind(&entries, "refusal").len(), 4);
}

#[tokio::test]
async fn a_look_uses_nothing_up_whoever_looks() {
    let world = World::new().await;
    let link = world.link(&copy_with(&json!({"uses": 1}))).await;
    let head = world.send(program(&link.path).method("HEAD")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.header("content-length").unwrap().parse::<u64>().unwrap() > 1_000);
    let before = world.media_requests().len();
    for agent in
        ["Slackbot-LinkExpanding 1.0", "WhatsApp/2.23", "facebookexternalhit/1.1", "Twitterbot/1.0"]
    {
        for path in [link.path.clone(), format!("{}/listen", link.path)] {
            let looked = world.send(as_program(&path, agent)).await;
            assert!([200, 403].contains(&looked.status));
            assert!(!text(&looked).contains("Bloggs") && !text(&looked).contains("request"));
        }
    }
    for (name, value) in
        [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")]
    {
        let looked = world.send(program(&link.path).header(name, value)).await;
        assert_eq!((looked.status, looked.header("set-cookie")), (200, None));
        assert!(looked.header("content-type").unwrap().starts_with("text/html"));
    }
    assert_eq!(world.media_requests().len(), before, "upstream saw nothing");
    assert_eq!(world.send(program(&link.path)).await.status, 200, "its one use is still there");
    assert_eq!(world.send(as_program(&link.path, "wget")).await.status, 410);
}

#[tokio::test]
async fn a_token_is_useless_in_part_and_for_anything_else() {
    let recordings = vec![
        recording(RECORDING, "2026-11-03T09:15:02Z"),
        recording("RE0123456789abcdef0123456789abcde0", "2026-11-03T09:15:02Z"),
    ];
    let mut world = World::with(WorldSettings { recordings, ..WorldSettings::default() }).await;
    let link = world.link(&copy()).await;
    let token = link.token().to_owned();
    let other = if token.starts_with('A') { "B" } else { "A" };
    for path in [
        format!("/s/{}", &token[..42]),
        format!("/s/{token}A"),
        format!("/s/{other}{}", &token[1..]),
        format!("/s/{}", token.to_lowercase()),
        format!("/s/{token}/"),
        format!("/s/{token}/{RECORDING}.wav"),
        format!("/s/{token}/listen/../download"),
        format!("/s/{token}%2Flisten"),
        "/s/".to_owned(),
        format!("/s/{}", link.id),
        format!("/s/{}", "A".repeat(43)),
    ] {
        let answer = world.send(program(&path)).await;
        assert_eq!((answer.status, why(&answer).as_str()), (404, "no-such-link"), "{path}");
    }
    // It is no key to the recording's own URL, nor to another's.
    let bearer = format!("Bearer {token}");
    for path in
        [path(".wav"), path(".wav").replace(RECORDING, "RE0123456789abcdef0123456789abcde0")]
    {
        assert_eq!(
            world.send(Client::get(&path).header("authorization", bearer.clone())).await.status,
            401
        );
        let query = format!("{path}?ticket={token}");
        assert!([400, 401].contains(&world.send(Client::get(&query)).await.status));
    }
    assert!(world.media_requests().is_empty(), "upstream saw nothing");
    let download = world.send(program(&format!("{}/download", link.path))).await;
    assert_eq!(download.status, 404, "it is to be listened to");
    let entries = world.entries().await;
    let refusals = of_kind(&entries, "refusal");
    let unknown = refusals.iter().filter(|refusal| refusal["reason"] == "no-such-link").count();
    assert_eq!(unknown, 11);
    assert!(of_kind(&entries, "intent").is_empty());
}

#[tokio::test]
async fn an_accounting_tells_the_person_what_went_outside() {
    let mut world = World::new().await;
    let link = world.link(&copy()).await;
    assert_eq!(world.send(program(&link.path)).await.status, 200);
    world.entries().await;
    let config = world.folder.join("noticegate.toml");
    let told = noticegate(&config, &["ledger", "subject", NUMBER]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("data-subject"), "{told:?}");
    assert!(told.out.contains("You receive a copy of the recording"), "{told:?}");
    assert!(!told.out.contains("petra"), "nobody of the staff is named: {told:?}");
    let full = noticegate(&config, &["ledger", "subject", NUMBER, "--full"]);
    assert!(full.out.contains(&link.id) && full.out.contains("data-subject"), "{full:?}");
}
