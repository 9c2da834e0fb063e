//! The page behind a link, passwords and codes, parts, and to whom a link is bound.

use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::policies::{change, derive};
use crate::support::shares::{
    Link, as_program, browser, cookies, copy, copy_with, player, program, text, why,
};
use crate::support::world::{RECORDING, of_kind, path};
use crate::support::{World, WorldSettings};

#[tokio::test]
async fn a_browser_sees_what_it_is_and_plays() {
    let mut world = World::with(WorldSettings {
        config: "[shares]\norganisation = \"Brambleside Energy\"".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let link = world.link(&copy_with(&json!({"uses": 2}))).await;
    let page = world.send(browser(&link.path)).await;
    assert_eq!(page.status, 200);
    let html = text(&page);
    for told in [
        "Brambleside Energy",
        "Ms Jo Bloggs",
        "3 November 2026, 09:15 UTC",
        "You receive a copy of the recording of your own call",
        "24 November 2026",
        "2 of 2",
        "aria-label=\"Call recording\"",
        "lang=\"en\"",
        "width=device-width",
    ] {
        assert!(html.contains(told), "{told}: {html}");
    }
    let (_, title) = html.split_once("<title>").unwrap();
    assert!(!title.split_once("</title>").unwrap().0.contains(link.token()));
    assert!(!html.contains("http://") && !html.contains("https://"), "nothing from elsewhere");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").unwrap();
    for part in
        ["default-src 'none'", "media-src 'self'", "frame-ancestors 'none'", "form-action 'self'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-robots-tag"), Some("noindex, nofollow"));
    let cookie = page.header("set-cookie").unwrap();
    for part in ["__Host-listening-", "Secure", "HttpOnly", "SameSite=", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(world.media_requests().is_empty(), "opening the page uses nothing up");
    let head = world.send(browser(&link.path).method("HEAD")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    // The player seeks as browsers do.
    let cookies = cookies(&page);
    let begun = world.send(player(&link.path, &cookies).header("range", "bytes=0-")).await;
    assert_eq!((begun.status, begun.header("accept-ranges")), (206, Some("bytes")));
    for from in [40_000, 10_000, 0] {
        let asked = format!("bytes={from}-{}", from + 99);
        let piece = world.send(player(&link.path, &cookies).header("range", asked)).await;
        assert_eq!((piece.status, &piece.body[..]), (206, &begun.body[from..from + 100]));
    }
    let again = world.send(browser(&link.path).header("cookie", cookies)).await;
    assert_eq!(again.header("set-cookie"), None, "it is the same browser");
    assert!(text(&again).contains("You have begun to listen") && text(&again).contains("1 of 2"));
    // Another browser is another session; a made-up cookie is no browser's.
    let other = world.send(browser(&link.path)).await;
    let answer = world.send(player(&link.path, &crate::support::shares::cookies(&other))).await;
    assert_eq!(answer.status, 200);
    let invented = format!(
        "__Host-listening-{}=AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA",
        &link.id.replace('-', "")[20..]
    );
    let answer = world.send(player(&link.path, &invented)).await;
    assert_eq!((answer.status, why(&answer).as_str()), (410, "share-used-up"));
    let over = world.send(browser(&link.path)).await;
    assert_eq!(over.status, 410);
    assert!(text(&over).contains("used as often as it may be"), "{}", text(&over));
    // Of what is only to be listened to, a browser shows no bare sound.
    let bare = Client::get(&format!("{}/listen", link.path)).header("sec-fetch-dest", "document");
    assert_eq!(world.send(bare.header("accept", "text/html")).await.status, 410);
    let entries = world.entries().await;
    let opened = of_kind(&entries, "intent").iter().filter(|i| i["use"]["opens"] == true).count();
    assert_eq!(opened, 2);
}

#[tokio::test]
async fn the_page_says_why_it_gives_nothing_any_more() {
    let world = World::new().await;
    let link = world.link(&copy()).await;
    world.as_petra("DELETE", &format!("/shares/{}", link.id)).await;
    let page = world.send(browser(&link.path)).await;
    assert_eq!(page.status, 410);
    let html = text(&page);
    assert!(html.contains("taken back") && html.contains(page.entry()), "{html}");
    assert!(!html.contains("Bloggs"), "nothing of it is told any more");
    let policies = world.folder.join("policies");
    let link = world.link(&copy()).await;
    let (from, to) = ("needs = [\"identity-check\"]", "needs = [\"identity-check\", \"approval\"]");
    change(&policies, "notices/2026-03-01/clauses.toml", from, to);
    derive(&policies);
    world.running().reload();
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
    while of_kind(&world.read_entries(), "policies").is_empty() {
        looks.tick().await;
    }
    let page = world.send(browser(&link.path)).await;
    assert_eq!(page.status, 410);
    assert!(text(&page).contains("You receive a copy of the recording of your own call"));
    let unknown = world.send(browser("/s/nothing")).await;
    assert_eq!(unknown.status, 404);
    assert!(text(&unknown).contains("There is no such link"));
}

/// Gives a secret as the form of the page does.
async fn give(world: &World, link: &Link, secret: &str, cookies: &str) -> Answer {
    let form =
        form_urlencoded::Serializer::new(String::new()).append_pair("secret", secret).finish();
    let request = browser(&link.path)
        .method("POST")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("cookie", cookies)
        .body(Full::new(Bytes::from(form)))
        .unwrap();
    world.client.send_full(request).await
}

#[tokio::test]
async fn a_password_lets_the_browser_on_that_gave_it() {
    let mut world = World::new().await;
    let order = copy_with(&json!({"password": "correct horse", "uses": 2}));
    let link = world.link(&order).await;
    let page = world.send(browser(&link.path)).await;
    assert!(text(&page).contains("type=\"password\"") && !text(&page).contains("<audio"));
    let seat = cookies(&page);
    let shut = world.send(player(&link.path, &seat)).await;
    assert_eq!((shut.status, why(&shut).as_str()), (401, "share-secret"));
    assert_eq!(shut.header("www-authenticate"), None, "a browser asks in the page");
    let wrong = give(&world, &link, "correct Horse", &seat).await;
    assert_eq!(wrong.status, 200);
    assert!(text(&wrong).contains("That was not it") && !text(&wrong).contains("<audio"));
    assert!(world.media_requests().is_empty(), "upstream saw nothing");
    let right = give(&world, &link, "correct horse", &seat).await;
    assert_eq!((right.status, right.header("location")), (303, Some(link.path.as_str())));
    let pass = right.header("set-cookie").unwrap();
    for part in ["__Host-pass-", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(pass.contains(part), "{pass}");
    }
    let both = format!("{seat}; {}", cookies(&right));
    assert!(
        text(&world.send(browser(&link.path).header("cookie", &both)).await).contains("<audio")
    );
    assert_eq!(world.send(player(&link.path, &both)).await.status, 200);
    // The pass is this browser's, and for a while.
    let other = cookies(&world.send(browser(&link.path)).await);
    let stolen = format!("{other}; {}", cookies(&right));
    assert_eq!(world.send(player(&link.path, &stolen)).await.status, 401);
    world.clock.set(world.clock.now() + jiff::SignedDuration::from_mins(60));
    assert_eq!(world.send(player(&link.path, &both)).await.status, 401);
    // A program gives it as basic authentication.
    let told = world.send(program(&link.path)).await;
    assert_eq!(told.header("www-authenticate"), Some("Basic realm=\"share\""));
    use base64::Engine;
    let basic = |secret: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("x:{secret}"));
        program(&link.path).header("authorization", format!("Basic {pair}"))
    };
    assert_eq!(world.send(basic("correct horse")).await.status, 200);
    // Nobody guesses on and on.
    for _ in 0..10 {
        assert_eq!(world.send(basic("guess guess")).await.status, 401);
    }
    let stopped = world.send(basic("correct horse")).await;
    assert_eq!((stopped.status, why(&stopped).as_str()), (429, "share-guesses"));
    assert!(stopped.header("retry-after").is_some());
    let entries = world.entries().await;
    let all = entries.iter().map(serde_json::Value::to_string).collect::<String>();
    assert!(!all.contains("correct horse") && !all.contains("argon2"));
    assert!(of_kind(&entries, "refusal").iter().any(|r| r["reason"] == "share-secret"));
}

#[tokio::test]
async fn outside_the_organisation_a_password_may_be_demanded() {
    let world = World::with(WorldSettings {
        config: "[shares]\npassword_outside = true".to_owned(),
        ..WorldSettings::default()
    })
    .await;
    let refused = world.share(&world.petra(), &copy()).await;
    assert_eq!((refused.status, why(&refused).as_str()), (403, "share-unprotected"));
    assert_eq!(of_kind(&world.read_entries(), "refusal")[0]["recipient"], "data-subject");
    world.link(&copy_with(&json!({"password": "correct horse"}))).await;
    world.link(&copy_with(&json!({"binding": "code"}))).await;
}

#[tokio::test]
async fn a_code_is_spent_by_the_first_who_gives_it() {
    let world = World::new().await;
    let link = world.link(&copy_with(&json!({"binding": "code", "uses": 5}))).await;
    let code = link.made["code"].as_str().unwrap().to_owned();
    let shown = world.as_petra("GET", &format!("/shares/{}", link.id)).await;
    assert!(!text(&shown).contains(&code), "it is told once");
    let seat = cookies(&world.send(browser(&link.path)).await);
    assert_eq!(world.send(player(&link.path, &seat)).await.status, 401);
    let given = give(&world, &link, &code, &seat).await;
    assert_eq!(given.status, 303);
    let both = format!("{seat}; {}", cookies(&given));
    assert_eq!(world.send(player(&link.path, &both)).await.status, 200);
    // Then it is this browser's, without the code, and nobody else's with it.
    world.clock.set(world.clock.now() + jiff::SignedDuration::from_mins(61));
    assert_eq!(world.send(player(&link.path, &seat)).await.status, 200);
    let other = cookies(&world.send(browser(&link.path)).await);
    let late = give(&world, &link, &code, &other).await;
    assert_eq!(late.status, 410);
    assert_eq!(why(&world.send(program(&link.path)).await), "share-other-client");
}

#[tokio::test]
async fn a_link_is_bound_to_its_first_client_or_to_addresses() {
    let world = World::new().await;
    let link = world.link(&copy_with(&json!({"binding": "first-client", "uses": 5}))).await;
    assert_eq!(world.send(as_program(&link.path, "one")).await.status, 200);
    let other = world.send(as_program(&link.path, "two")).await;
    assert_eq!((other.status, why(&other).as_str()), (410, "share-other-client"));
    world.clock.set(world.clock.now() + jiff::SignedDuration::from_mins(61));
    assert_eq!(world.send(as_program(&link.path, "one")).await.status, 200, "a new session");
    let here = json!({"binding": {"addresses": ["127.0.0.0/8", "2001:db8::/32"]}});
    let link = world.link(&copy_with(&here)).await;
    assert_eq!(world.send(program(&link.path)).await.status, 200);
    let there = json!({"binding": {"addresses": ["192.0.2.0/24"]}});
    let link = world.link(&copy_with(&there)).await;
    let before = world.media_requests().len();
    assert_eq!(why(&world.send(program(&link.path)).await), "share-other-client");
    assert_eq!(world.send(browser(&link.path)).await.status, 410);
    assert_eq!(world.media_requests().len(), before, "upstream saw nothing");
}

#[tokio::test]
async fn a_part_is_a_file_of_its_own_and_the_rest_does_not_leave() {
    let mut world = World::new().await;
    let own = world.who("petra", "privacy-officer", "rights-request", &path(".wav"));
    let whole = world.send(own).await.body;
    let portion = json!({"start_ms": 1_000, "end_ms": 2_500});
    let link = world.link(&copy_with(&json!({ "portion": portion }))).await;
    let part = world.send(program(&link.path)).await;
    assert_eq!(part.status, 200);
    // Two channels of 16 bits at 8 kHz: 32,000 bytes a second.
    assert_eq!(part.body.len(), 44 + 48_000);
    assert_eq!(part.body[40..44], 48_000u32.to_le_bytes());
    let data = whole.windows(4).position(|four| four == b"data").unwrap() + 8;
    assert_eq!(part.body[44..], whole[data + 32_000..data + 80_000]);
    let ranges = [
        ("bytes=0-43", 0..44),
        ("bytes=40-49", 40..50),
        ("bytes=100-199", 100..200),
        ("bytes=-5", 48_039..48_044),
        ("bytes=48000-", 48_000..48_044),
    ];
    for (asked, range) in ranges {
        let piece = world.send(program(&link.path).header("range", asked)).await;
        assert_eq!((piece.status, &piece.body[..]), (206, &part.body[range]), "{asked}");
        assert!(piece.header("content-range").unwrap().ends_with("/48044"));
    }
    let beyond = world.send(program(&link.path).header("range", "bytes=48044-")).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */48044")));
    let head = world.send(program(&link.path).method("HEAD")).await;
    assert_eq!(head.header("content-length"), Some("48044"));
    let page = text(&world.send(browser(&link.path)).await);
    assert!(page.contains("the part from 0:01 to 0:02.500"), "{page}");
    let entries = world.entries().await;
    assert_eq!(
        of_kind(&entries, "share")[0]["terms"]["portion"],
        json!({"end_ms": 2_500, "start_ms": 1_000})
    );
    assert_eq!(
        of_kind(&entries, "share")[0]["circumstances"],
        json!(["identity-check", "part-only"])
    );
}

#[tokio::test]
async fn what_may_be_kept_is_offered_to_be_saved() {
    let world = World::new().await;
    let link = world.link(&copy_with(&json!({"download": true, "format": "mp3"}))).await;
    let saved = world.send(program(&link.path)).await;
    let disposition = saved.header("content-disposition");
    assert_eq!(disposition, Some("attachment; filename=\"recording.mp3\""));
    assert_eq!(saved.header("content-type"), Some("audio/mpeg"));
    let page = world.send(browser(&link.path)).await;
    assert!(text(&page).contains("/download"));
    let cookies = cookies(&page);
    let played = world.send(player(&link.path, &cookies)).await;
    assert_eq!(played.header("content-disposition"), Some("inline"));
}

/// The solicitors receive the part that an open claim is about, and nothing once it is closed.
#[tokio::test]
async fn solicitors_receive_the_part_while_the_claim_is_open() {
    let world = World::new().await;
    let case = |open: bool, at: &str| json!({"about": [RECORDING], "case": {"id": "claim-7", "open": open, "at": at}});
    let lea = world.token("lea", &["legal-counsel"]);
    let order = json!({
        "recording": RECORDING, "purpose": "legal-claims", "expires_in_seconds": 3_600, "uses": 2,
        "recipient": {"class": "hale-and-marsh", "country": "GB", "name": "Mr Hale"},
        "portion": {"start_ms": 0, "end_ms": 1_000},
    });
    assert_eq!(world.share(&lea, &order).await.status, 403, "no claim is open");
    world.state(&[case(true, "2026-11-10T00:00:00Z")]);
    let mut whole = order.clone();
    whole.as_object_mut().unwrap().remove("portion");
    assert_eq!(world.share(&lea, &whole).await.status, 403, "not the whole");
    let made = world.share(&lea, &order).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let link = Link::of(made.json());
    assert_eq!(world.send(program(&link.path)).await.body.len(), 44 + 32_000);
    world.state(&[case(false, "2026-11-11T00:00:00Z")]);
    assert_eq!(why(&world.send(as_program(&link.path, "another")).await), "share-not-permitted");
}

/// An emergency needs a clause, an approval by somebody, a reason, and a day to look at it again.
#[tokio::test]
async fn an_emergency_is_shared_if_a_clause_permits_it() {
    let emergency = json!({
        "recording": RECORDING, "purpose": "safeguarding", "expires_in_seconds": 3_600,
        "recipient": {"class": "emergency-services", "country": "GB"},
        "reason": "a caller may be in danger", "approved_by": "Tess, duty manager",
        "review_due": "2026-11-24T12:00:00Z",
    });
    let tom = |world: &World| world.token("tom", &["team-lead"]);
    let world = World::new().await;
    let refused = world.share(&tom(&world), &emergency).await;
    assert_eq!(
        (refused.status, why(&refused).as_str()),
        (403, "forbidden"),
        "the notice has no such clause"
    );
    let world = World::with(WorldSettings {
        policies: |folder| {
            let meaning = "notices/2026-03-01/clauses.toml";
            let (list, more) = ("\"regulator\", \"data-subject\"]", "\"regulator\", \"data-subject\", \"emergency-services\"]");
            change(folder, meaning, list, more);
            crate::support::policies::append(
                folder,
                meaning,
                "\n[[clause]]\nid = \"emergency\"\nquote = \"If somebody may be in danger, a team leader may listen to a recording once a second person has approved it and the reason is written down.\"\neffect = \"permit\"\nroles = [\"team-lead\"]\npurposes = [\"safeguarding\"]\nrecipients = [\"emergency-services\"]\nneeds = [\"approval\", \"reason\"]\n",
            );
            derive(folder);
        },
        ..WorldSettings::default()
    })
    .await;
    let made = world.share(&tom(&world), &emergency).await;
    assert_eq!(made.status, 201, "{}", text(&made));
    let made = made.json();
    assert_eq!(
        (&made["review_due"], &made["clause"]["id"]),
        (&"2026-11-24T12:00:00Z".into(), &"emergency".into())
    );
    assert_eq!(made["approved_by"], "Tess, duty manager");
    let mut alone = emergency;
    alone.as_object_mut().unwrap().remove("approved_by");
    assert_eq!(world.share(&tom(&world), &alone).await.status, 403);
    let entries = world.read_entries();
    assert_eq!(of_kind(&entries, "share")[0]["terms"]["review_due"], "2026-11-24T12:00:00Z");
}
