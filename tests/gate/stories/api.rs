//! The JSON API: what is stated decides at once, only who may does, and everything is on record.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::world::{CALL, NOW, NUMBER, RECORDING, of_kind, path};
use crate::support::{World, WorldSettings};

/// The organisation's own end of the sample call.
const LINE: &str = "+14045550188";

const CONSOLE: &str = "[console]\naddress = \"127.0.0.1:0\"\nbody_bytes_max = 65536\n";

async fn world() -> World {
    let config = CONSOLE.to_owned();
    World::with(WorldSettings { law: true, config, ..WorldSettings::default() }).await
}

fn request(method: Method, path: &str, token: Option<&str>) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    }
}

async fn send(world: &World, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
    let answer = world.console().send_full(request.body(Full::new(body.into())).unwrap()).await;
    assert!(answer.complete);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{}", answer.status);
    }
    let csp = answer.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'; ") && csp.contains("frame-ancestors 'none'"));
    assert!(answer.header("strict-transport-security").is_some());
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status);
        assert!(problem["code"].is_string() && problem["title"].is_string(), "{problem}");
    }
    answer
}

/// Somebody with one role sends JSON.
async fn post(world: &World, role: &str, path: &str, body: &Value) -> Answer {
    let token = world.token(&format!("one-{role}"), &[role]);
    let request = request(Method::POST, path, Some(&token));
    send(world, request.header("content-type", "application/json"), body.to_string()).await
}

async fn get(world: &World, role: &str, path: &str) -> Answer {
    let token = world.token(&format!("one-{role}"), &[role]);
    send(world, request(Method::GET, path, Some(&token)), "").await
}

fn consent(number: &str, state: &str) -> Value {
    let mut consent = json!({"state": state, "at": "2026-11-03T09:15:05Z"});
    if state == "given" {
        consent["form"] = "spoke".into();
    }
    json!({"about": [CALL], "participant": {"number": number}, "consent": consent})
}

fn californian() -> Value {
    json!({"about": [CALL], "participant": {"number": NUMBER}, "party": {"address": "US-CA"}})
}

/// How many statements are on record.
fn stated(world: &World) -> usize {
    of_kind(&world.read_entries(), "statement").len()
}

/// A problem's status, code, index and field.
fn told(answer: &Answer) -> (u16, String, Value, String) {
    let problem = answer.json();
    let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), problem["index"].clone(), text("field"))
}

#[tokio::test]
async fn what_is_stated_decides_the_very_next_request() {
    let mut world = world().await;
    let hear = || world.ana(&path(".wav"));
    assert_eq!(world.send(hear()).await.status, 200);
    let answer = post(&world, "facts-source", "/api/v1/participants", &californian()).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let before = world.media_requests().len();
    assert_eq!(world.send(hear()).await.status, 403, "California asks for everybody's consent");
    assert_eq!(world.media_requests().len(), before, "upstream saw nothing");
    let both = json!({"statements": [consent(NUMBER, "given"), consent(LINE, "given")]});
    let answer = post(&world, "facts-source", "/api/v1/statements", &both).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["entries"].as_array().unwrap().len(), 2);
    assert_eq!(world.send(hear()).await.status, 200);
    let withdrawn = json!({"about": [CALL], "participant": {"number": NUMBER}});
    let answer = post(&world, "privacy-officer", "/api/v1/withdrawals", &withdrawn).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    assert_eq!(world.send(hear()).await.status, 403, "withdrawn");
    let entries = world.entries().await;
    let actors: Vec<&str> =
        of_kind(&entries, "statement").iter().map(|e| e["actor"].as_str().unwrap()).collect();
    let source = "test|one-facts-source";
    assert_eq!(actors, [source, source, source, "test|one-privacy-officer"]);
    let text = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains(NUMBER) && !text.contains(LINE), "a number stands in no entry");
}

#[tokio::test]
async fn each_kind_of_fact_has_its_own_door() {
    let world = world().await;
    let who = json!({"number": NUMBER});
    for (role, door, body) in [
        ("facts-source", "consents", consent(NUMBER, "refused")),
        (
            "facts-source",
            "objections",
            json!({"participant": who, "objection": {"at": NOW, "purposes": ["staff-training"]}}),
        ),
        ("complaints-handler", "labels", json!({"about": [CALL], "labels": {"labels": []}})),
        ("facts-source", "payments", json!({"about": [CALL], "payment": {"taken": false}})),
        (
            "complaints-handler",
            "cases",
            json!({"about": [CALL], "case": {"id": "C-1", "at": NOW, "open": true}}),
        ),
        (
            "privacy-officer",
            "announcements",
            json!({"line": "support", "announcement": {"id": "greeting", "since": NOW,
                "text": "This call is recorded."}}),
        ),
    ] {
        let before = stated(&world);
        let path = format!("/api/v1/{door}");
        let dry = post(&world, role, &format!("{path}?dry-run=true"), &body).await;
        assert_eq!((dry.status, &dry.json()["dry_run"]), (200, &json!(true)), "{door}");
        assert_eq!(stated(&world), before, "a dry run of {door} states nothing");
        let answer = post(&world, role, &path, &body).await;
        assert_eq!(answer.status, 201, "{door}: {:?}", answer.body);
        assert_eq!(stated(&world), before + 1, "{door}");
        let refused = post(&world, "trainer", &path, &body).await;
        assert_eq!(refused.status, 403, "{door}");
        assert_eq!(stated(&world), before + 1, "{door}");
    }
}

#[tokio::test]
async fn who_may_not_is_told_who_may_and_nothing_is_stated() {
    let world = world().await;
    // One thing among many that they may not do is enough.
    let hold = json!({"about": [RECORDING], "hold": {"id": "h", "case": "c", "reason": "r"}});
    let mixed = json!({"statements": [californian(), hold]});
    // What a line plays may be consent of everybody who calls it.
    let greeting = json!({"line": "support", "announcement": {"id": "g", "since": NOW,
        "text": "By staying on the line you agree.", "consents": true}});
    for (role, path, body, action, why) in [
        (
            "complaints-handler",
            "/api/v1/announcements",
            &greeting,
            "state-consent",
            "only facts-source, privacy-officer may state consents and objections",
        ),
        (
            "quality-analyst",
            "/api/v1/consents",
            &consent(NUMBER, "given"),
            "state-consent",
            "only facts-source, privacy-officer may state consents and objections",
        ),
        (
            "facts-source",
            "/api/v1/statements",
            &mixed,
            "place-hold",
            "only legal-counsel, privacy-officer may place a legal hold",
        ),
    ] {
        let answer = post(&world, role, path, body).await;
        let problem = answer.json();
        assert_eq!((answer.status, problem["code"].as_str()), (403, Some("not-permitted")));
        assert_eq!(problem["detail"], why);
        assert_eq!(problem["entry"], answer.entry());
        let entries = world.read_entries();
        let refusal = *of_kind(&entries, "console-refused").last().unwrap();
        assert_eq!(refusal["id"], answer.entry());
        assert_eq!((&refusal["action"], &refusal["reason"]), (&json!(action), &json!(why)));
        assert_eq!(refusal["actor"], format!("test|one-{role}"));
        assert_eq!(refusal["detail"], format!("POST {path}"));
        assert!(of_kind(&entries, "statement").is_empty(), "nothing was stated");
    }
}

#[tokio::test]
async fn bad_input_names_its_index_and_field_and_loses_nothing() {
    let world = world().await;
    let officer = "privacy-officer";
    let second = |bad: Value| json!({"statements": [californian(), bad]});
    let mut unknown = consent(NUMBER, "given");
    unknown["consent"]["colour"] = "red".into();
    let mut purpose = consent(NUMBER, "given");
    purpose["consent"]["purposes"] = json!(["world-domination"]);
    let mut future = consent(NUMBER, "given");
    future["consent"]["at"] = "2026-11-24T12:00:00Z".into();
    let mut number = consent("0404 555 0123", "given");
    number["participant"]["number"] = "0404 555 0123".into();
    for (bad, field) in [
        (unknown, "consent.colour"),
        (purpose, "purposes"),
        (future, "at"),
        (number, "participant"),
        (json!({"about": [CALL]}), ""),
        (json!({"about": ["RE1"], "labels": {}}), "about[0]"),
        (json!({"about": [CALL], "payment": {"taken": "+14045550123"}}), "payment.taken"),
        (json!(7), ""),
    ] {
        let answer = post(&world, officer, "/api/v1/statements", &second(bad.clone())).await;
        let (status, code, index, at) = told(&answer);
        assert_eq!((status, code.as_str(), index), (422, "bad-value", json!(1)), "{bad}");
        assert_eq!(at, field, "{bad}: {:?}", answer.body);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!text.contains("4045550123"), "a problem repeats no value: {text}");
    }
    let one = |body: &'static str, kind: &'static str| {
        let token = world.token("somebody", &[officer]);
        let request = request(Method::POST, "/api/v1/consents", Some(&token));
        send(&world, request.header("content-type", kind), body)
    };
    assert_eq!(one("{}", "text/plain").await.status, 415);
    assert_eq!(one("{", "application/json").await.status, 400);
    assert_eq!(one("{} {}", "application/json").await.status, 422);
    assert_eq!(one("{}", "application/json; charset=utf-8").await.status, 422);
    // One byte too many; and so many that a caller is still sending when it is clear.
    for bytes in [65_537, 250_000] {
        let long: &'static str = Box::leak(" ".repeat(bytes).into_boxed_str());
        assert_eq!(one(long, "application/json").await.status, 413);
    }
    for body in [json!({"statements": []}), json!({"statements": vec![json!({}); 1001]})] {
        let answer = post(&world, officer, "/api/v1/statements", &body).await;
        assert_eq!(told(&answer).3, "statements");
    }
    let answer =
        post(&world, officer, "/api/v1/consents?force=yes", &consent(NUMBER, "given")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(stated(&world), 0, "nothing of all this is on record");
}

#[tokio::test]
async fn a_retry_with_the_same_key_states_nothing_twice() {
    let mut world = world().await;
    let send = async |world: &World, subject: &str, key: &str, body: &Value| {
        let token = world.token(subject, &["facts-source"]);
        let request = request(Method::POST, "/api/v1/statements", Some(&token))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        send(world, request, body.to_string()).await
    };
    let two = json!({"statements": [californian(), consent(NUMBER, "given")]});
    let first = send(&world, "crm", "k-1", &two).await;
    assert_eq!(first.status, 201);
    // At once, again, and after a restart.
    let again = send(&world, "crm", "k-1", &two).await;
    world.stop().await;
    let world = world.started();
    for again in [again, send(&world, "crm", "k-1", &two).await] {
        assert_eq!((again.status, &again.json()["replayed"]), (200, &json!(true)));
        assert_eq!(again.json()["entries"], first.json()["entries"]);
    }
    assert_eq!(stated(&world), 2);
    let other = json!({"statements": [consent(NUMBER, "given")]});
    let answer = send(&world, "crm", "k-1", &other).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("key-reused")));
    assert_eq!(stated(&world), 2);
    // Somebody else's key is another one.
    assert_eq!(send(&world, "ivr", "k-1", &other).await.status, 201);
    assert_eq!(stated(&world), 3);
    let both = tokio::join!(send(&world, "ivr", "k-2", &two), send(&world, "ivr", "k-2", &two));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201], "of two at once one is the retry");
    assert_eq!(stated(&world), 5);
    assert_eq!(send(&world, "ivr", "", &two).await.status, 400);
    let text = world.read_entries().iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("k-1"), "the key itself is not kept");
}

#[tokio::test]
async fn a_hold_is_placed_and_lifted_by_who_may() {
    let world = world().await;
    let hold = json!({"about": [RECORDING],
        "hold": {"id": "H-7", "case": "2026-114", "reason": "a claim of Mr Smith"}});
    let answer = post(&world, "privacy-officer", "/api/v1/holds", &hold).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let media = format!("/api/v1/media/{RECORDING}");
    let circumstances = async || get(&world, "legal-counsel", &media).await.json();
    let is_held = async || {
        circumstances().await["circumstances"].as_array().unwrap().contains(&json!("hold"))
    };
    assert!(is_held().await);
    let lift = json!({"id": "H-7", "reason": "settled"});
    let answer = post(&world, "privacy-officer", "/api/v1/holds/lift", &lift).await;
    assert_eq!(answer.status, 403, "who may place one may not lift it");
    assert!(is_held().await);
    let none = json!({"id": "H-8", "reason": "settled"});
    assert_eq!(post(&world, "legal-counsel", "/api/v1/holds/lift", &none).await.status, 404);
    let answer = post(&world, "legal-counsel", "/api/v1/holds/lift", &lift).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    assert!(!is_held().await);
    let holds = get(&world, "reviewer", "/api/v1/holds").await.json();
    let [one] = holds["holds"].as_array().unwrap().as_slice() else { panic!("{holds}") };
    assert_eq!((&one["id"], &one["lifted"]), (&json!("H-7"), &json!(true)));
    assert_eq!(one["reason"], "settled");
    assert_eq!(one["changed_by"], "test|one-legal-counsel");
    assert_eq!(one["about"], json!([RECORDING]));
    let text = world.read_entries().iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("Smith"), "a reason is sealed");
}

#[tokio::test]
async fn what_is_known_is_told_with_its_time_and_source_and_the_look_is_on_record() {
    let world = world().await;
    post(&world, "facts-source", "/api/v1/participants", &californian()).await;
    post(&world, "facts-source", "/api/v1/consents", &consent(NUMBER, "given")).await;
    let media = format!("/api/v1/media/{RECORDING}?purpose=quality-monitoring");
    let answer = get(&world, "privacy-officer", &media).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let known = answer.json();
    assert_eq!(known["call"], CALL);
    assert_eq!(known["consent"], "unknown", "of the other end nobody knows");
    assert_eq!((&known["consent_rule"], &known["law_of"]), (&json!("all-party"), &json!("US-CA")));
    let statements = known["statements"].as_array().unwrap();
    assert_eq!(statements.len(), 2);
    assert_eq!(statements[0]["by"], "test|one-facts-source");
    assert_eq!(statements[0]["statement"], californian());
    assert!(statements[0]["at"].is_string() && statements[0]["entry"].is_string());
    // Who may not read about people does not see the number.
    let answer = get(&world, "complaints-handler", &media).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains("a number that ends in 23") && !text.contains(NUMBER), "{text}");
    let first = get(&world, "privacy-officer", &format!("{media}&limit=1")).await.json();
    let next = first["next"].as_str().unwrap();
    let second = get(&world, "privacy-officer", &format!("{media}&cursor={next}")).await.json();
    assert_eq!(second["statements"].as_array().unwrap().len(), 1);
    assert_eq!(second["statements"][0]["statement"], consent(NUMBER, "given"));
    assert!(second.get("next").is_none());
    for (bad, status) in [
        (format!("{media}&cursor=x"), 422),
        (format!("{media}&limit=501"), 422),
        (format!("{media}&more=1"), 400),
        ("/api/v1/media/+14045550123".to_owned(), 404),
        ("/api/v1/media/RE00000000000000000000000000000009".to_owned(), 404),
    ] {
        assert_eq!(get(&world, "privacy-officer", &bad).await.status, status, "{bad}");
    }
    assert_eq!(get(&world, "trainer", &media).await.status, 403);
    let entries = world.read_entries();
    let look = of_kind(&entries, "console")[0];
    assert_eq!(look["action"], "read-register");
    assert_eq!(look["actor"], "test|one-privacy-officer");
    assert_eq!(look["detail"], format!("GET /api/v1/media/{{sid}} {RECORDING}"));
    assert_eq!((&look["entries"], &look["cited"]), (&json!(2), &json!(["admin-privacy-officer"])));
    let text = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains(NUMBER) && !text.contains("4045550123"), "{text}");
}

#[tokio::test]
async fn a_person_is_found_by_a_number_that_stands_in_no_url_and_no_entry() {
    let world = world().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let objection = json!({"participant": {"number": NUMBER},
        "objection": {"at": NOW, "purposes": ["staff-training"]}});
    post(&world, "facts-source", "/api/v1/objections", &objection).await;
    let find = "/api/v1/people/find";
    let asked = json!({"participant": {"number": NUMBER}});
    assert_eq!(post(&world, "reviewer", find, &asked).await.status, 403);
    let answer = post(&world, "privacy-officer", find, &asked).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let found = answer.json();
    assert_eq!(found["known"], true);
    assert_eq!(found["statements"][0]["statement"], objection);
    let [heard] = found["disclosures"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!((&heard["caller"], &heard["recording"]), (&json!("test|ana"), &json!(RECORDING)));
    assert_eq!(heard["purpose"], "quality-monitoring");
    assert!(heard["quote"].as_str().unwrap().len() > 20, "{heard}");
    let nobody = json!({"participant": {"name": "client:nobody"}});
    let answer = post(&world, "privacy-officer", find, &nobody).await.json();
    assert_eq!((&answer["known"], &answer["disclosures"]), (&json!(false), &json!([])));
    let bad = json!({"participant": {"number": "4045550123"}});
    assert_eq!(post(&world, "privacy-officer", find, &bad).await.status, 422);
    let entries = world.read_entries();
    let looks = of_kind(&entries, "console");
    assert_eq!(looks[0]["id"], found["entry"]);
    assert_eq!(looks[0]["action"], "read-subject");
    assert!(looks[0]["person"].is_u64());
    assert!(looks[1].get("person").is_none());
    let text = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("4045550123"));
}

#[tokio::test]
async fn strangers_and_other_sites_get_nothing() {
    let world = world().await;
    let media = format!("/api/v1/media/{RECORDING}");
    let bare = |path: &str| request(Method::GET, path, None);
    let answer = send(&world, bare(&media), "").await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("not-identified")));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"noticegate\""));
    let entries = world.read_entries();
    let [refused] = of_kind(&entries, "console-refused")[..] else { panic!("{entries:?}") };
    assert_eq!(refused["id"], answer.entry());
    assert!(refused.get("actor").is_none());
    let bad = request(Method::GET, &media, Some("a.b.c"));
    let answer = send(&world, bad, "").await;
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
    let token = world.token("officer", &["privacy-officer"]);
    let known = |path: &str| request(Method::GET, path, Some(&token));
    let cross = known(&media).header("sec-fetch-site", "cross-site");
    assert_eq!(send(&world, cross, "").await.status, 403);
    let same = known(&media).header("sec-fetch-site", "same-origin");
    assert_eq!(send(&world, same, "").await.status, 200);
    let mut other = known(&media);
    other.headers_mut().unwrap().insert("host", "other.example".parse().unwrap());
    assert_eq!(send(&world, other, "").await.status, 421);
    assert_eq!(send(&world, known("/nothing"), "").await.status, 404);
    assert_eq!(send(&world, known("/api/v1/consents"), "").await.status, 405);
    assert!(world.media_requests().is_empty(), "no sound was asked for");
}

/// The document is made from the code; here it is held to it, and to what is said about it.
#[tokio::test]
async fn the_document_lists_every_route_and_every_answer() {
    let world = world().await;
    let answer = send(&world, request(Method::GET, "/api/v1/openapi.json", None), "").await;
    assert_eq!(answer.status, 200, "it tells nothing of anybody");
    let told = answer.json();
    assert!(told["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut operations = std::collections::BTreeSet::new();
    let mut listed = std::collections::BTreeSet::new();
    for (path, methods) in told["paths"].as_object().unwrap() {
        listed.insert(path.clone());
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(operations.insert(id.to_owned()), "{id} stands twice");
            let answers = operation["responses"].as_object().unwrap();
            // What can be wrong with a request that says nothing?
            let says = operation.get("requestBody").is_some()
                || operation["parameters"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|parameter| parameter["in"] != "path"));
            let always = ["200", "401", "403", "429", "503"].into_iter();
            let always: Vec<&str> =
                always.chain(["400", "422"].into_iter().filter(|_| says)).collect();
            let missing: Vec<_> = always.iter().filter(|s| !answers.contains_key(**s)).collect();
            let is_read = method == "get";
            assert!(missing.is_empty(), "{id} does not document {missing:?}");
            assert_eq!(is_read, !answers.contains_key("415"), "{id}");
            // It is there: a stranger is asked who they are.
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path
                .replace("{sid}", RECORDING)
                .replace("{version}", "1")
                .replace("{name}", "1")
                .replace("{share}", "1");
            let answer = send(&world, request(method, &path, None), "").await;
            assert_eq!(answer.status, 401, "{id}");
        }
    }
    // A path that is no text leads nowhere, in our own words.
    let answer = get(&world, "privacy-officer", "/api/v1/notices/%FF").await;
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("not-found")));
    let mut written = std::collections::BTreeSet::new();
    let mut forms = std::collections::BTreeSet::new();
    for file in ["statements", "known", "entries", "entry", "export", "shares", "notice"] {
        let code = std::fs::read_to_string(format!("src/console/api/{file}.rs")).unwrap();
        let quoted = code.split('"').filter(|text| text.starts_with("/api/v1/"));
        written.extend(quoted.map(str::to_owned));
        // Two of one name would be one in the document.
        for told in code.split("utoipa::ToSchema").skip(1) {
            let head = told.split('{').next().unwrap();
            let Some((_, name)) = head.split_once("struct ") else { continue };
            let name = name.split([' ', '<', '(']).next().unwrap();
            assert!(forms.insert(name.to_owned()), "{name} stands twice");
        }
    }
    assert_eq!(listed, written, "every route of the code stands in the document");
    assert_refs_lead_somewhere(&told, &told);
    // The same to read, with nothing from elsewhere.
    let page = send(&world, request(Method::GET, "/api/v1/docs", None), "").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for path in &listed {
        assert!(page.contains(&format!(" {path}</code>")), "{path}");
    }
    assert!(!page.contains("<script") && !page.contains("http") && !page.contains(" style="));
    for link in page.split("href=\"#").skip(1).map(|link| link.split('"').next().unwrap()) {
        assert!(page.contains(&format!("id=\"{link}\"")), "{link}");
    }
    let style = send(&world, request(Method::GET, "/api/v1/docs.css", None), "").await;
    assert_eq!(
        (style.status, style.header("content-type")),
        (200, Some("text/css; charset=utf-8"))
    );
}

fn assert_refs_lead_somewhere(part: &Value, told: &Value) {
    match part {
        Value::Object(object) => {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                let there = told.pointer(reference.strip_prefix('#').unwrap());
                assert!(there.is_some(), "{reference} leads nowhere");
            }
            object.values().for_each(|part| assert_refs_lead_somewhere(part, told));
        }
        Value::Array(list) => list.iter().for_each(|part| assert_refs_lead_somewhere(part, told)),
        _ => {}
    }
}
