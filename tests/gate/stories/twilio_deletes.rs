//! DELETE deletes at Twilio: if a clause permits it and no guardrail forbids it, once, and after
//! the entry that says who did is on the disk.

use std::path::Path;

use noticegate::media::{Action, ROWS};
use noticegate::standin::{Fault, Misbehaviour};
use serde_json::json;

use crate::support::everything::sid;
use crate::support::policies::append;
use crate::support::raw_upstream::{RawUpstream, Step, say};
use crate::support::twilio::{self, each_their_own, path, with_deletion};
use crate::support::world::of_kind;
use crate::support::{ACCOUNT, World, WorldSettings};

/// Somebody who may delete asks for it.
fn deleting(world: &World, path: &str) -> http::request::Builder {
    world.who("dora", "privacy-officer", "rights-request", path).method("DELETE")
}

/// What is deleted, with its artefact and the path that SDKs ask for.
fn deletable() -> impl Iterator<Item = (String, &'static str, String)> {
    ROWS.iter().filter(|row| row.deletes).map(|row| {
        let own = path(row.path);
        let json = own.starts_with("/2010") && !own.ends_with(".json");
        let upstream = if json { format!("{own}.json") } else { own.clone() };
        (own, row.artefact.as_str(), upstream)
    })
}

fn deletions(world: &World) -> Vec<String> {
    world.upstream_lines().into_iter().filter(|line| line.starts_with("DELETE")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_is_gone_at_once() {
    assert_eq!(deletable().count(), 16);
    for (own, artefact, upstream) in deletable() {
        let mut world = World::with(twilio::settings(with_deletion)).await;
        let before = world.send(world.for_artefact(artefact, &own)).await;
        assert_eq!(before.status, 200, "{own}");
        let answer = world.send(deleting(&world, &own)).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{own}");
        assert_eq!(deletions(&world), [format!("DELETE {upstream}")]);
        // The clock stands still: what was known a moment ago is known no more.
        let after = world.send(world.for_artefact(artefact, &own)).await;
        match after.status {
            // Of video, Twilio goes on telling that it was deleted.
            200 => assert_eq!(after.json()["status"], "deleted", "{own}"),
            status => assert_eq!(status, 404, "{own}"),
        }
        assert_eq!(world.send(deleting(&world, &own)).await.status, 404, "{own}");
        let entries = world.entries().await;
        let intents = of_kind(&entries, "intent");
        let deletion = intents.iter().find(|intent| intent["action"] == "delete").unwrap();
        assert_eq!(
            (&deletion["method"], &deletion["facts"]["artefact"]),
            (&json!("DELETE"), &json!(artefact),)
        );
        let outcomes = of_kind(&entries, "outcome").into_iter();
        let of: Vec<_> = outcomes.filter(|outcome| outcome["of"] == deletion["id"]).collect();
        assert_eq!(of.len(), 1, "{own}");
        assert_eq!((&of[0]["status"], &of[0]["bytes"]), (&json!(204), &json!(0)));
    }
}

/// Whoever may hear or read something may not delete it for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_permit_is_one_to_delete() {
    let mut world = World::with(twilio::settings(with_deletion)).await;
    let mut count = 0;
    for (own, artefact, _) in deletable() {
        let answer = world.send(world.for_artefact(artefact, &own).method("DELETE")).await;
        assert_eq!(answer.status, 403, "{own}");
        // It says so of deleting, since listening may well be allowed.
        let told = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(told.contains("your role to delete "), "{told}");
        count += 1;
    }
    assert_eq!(deletions(&world), Vec::<String>::new());
    let entries = world.entries().await;
    let refusals = of_kind(&entries, "refusal");
    assert_eq!(refusals.len(), count);
    assert!(refusals.iter().all(|entry| entry["action"] == Action::Delete.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_clause_speaks_of_deletion_nothing_is_deleted() {
    let world = World::with(twilio::settings(each_their_own)).await;
    for (own, ..) in deletable() {
        let status = world.send(deleting(&world, &own)).await.status;
        assert!([403, 404].contains(&status), "{own}: {status}");
    }
    assert_eq!(deletions(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_keeps_what_may_else_be_deleted() {
    fn held(folder: &Path) {
        with_deletion(folder);
        let hold = format!(
            "\n@id(\"guardrail-case\")\n@reason(\"a case keeps what this account has\")\n\
             forbid (principal, action == Noticegate::Action::\"delete\", resource)\n\
             when {{ resource.account == \"{ACCOUNT}\" }};\n"
        );
        append(folder, "guardrails.cedar", &hold);
    }
    let mut world = World::with(twilio::settings(held)).await;
    for (own, ..) in deletable() {
        let answer = world.send(deleting(&world, &own)).await;
        assert_eq!((answer.status, &answer.json()["reason"]), (403, &json!("forbidden")), "{own}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("a case keeps"), "{message}");
    }
    assert_eq!(deletions(&world), Vec::<String>::new());
    let entries = world.entries().await;
    for entry in of_kind(&entries, "refusal") {
        assert_eq!(entry["decision"]["cited"][0]["policy"], "guardrail-case");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_complete_is_not_deleted_and_twilio_says_so() {
    let mut world = World::with(twilio::settings(with_deletion)).await;
    for (digit, status, code) in
        [(2, 409, 20009), (3, 409, 20009), (4, 404, 20404), (9, 404, 20404)]
    {
        let own = path("{A}/Recordings/{RE}.json").replace(&sid("RE", 1), &sid("RE", digit));
        let answer = world.send(deleting(&world, &own)).await;
        assert_eq!(answer.status, status, "{own}");
        let json = answer.json();
        assert_eq!((&json["code"], &json["status"]), (&json!(code), &json!(status)));
        assert!(json["more_info"].as_str().unwrap().ends_with(&code.to_string()));
        if status == 409 {
            assert!(!json["message"].as_str().unwrap().contains("mono"), "{json}");
        }
    }
    let entries = world.entries().await;
    let endings = of_kind(&entries, "outcome").into_iter().map(|outcome| outcome["ending"].clone());
    assert_eq!(endings.collect::<Vec<_>>(), ["upstream-error", "upstream-error"]);
}

async fn raw() -> (World, RawUpstream) {
    RawUpstream::world(WorldSettings { policies: with_deletion, ..WorldSettings::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_entry_is_on_the_disk_before_twilio_is_asked() {
    let (mut world, upstream) = raw().await;
    upstream.media(vec![Step::Wait, say("HTTP/1.1 204 No Content\r\n\r\n")]);
    let own = crate::support::path(".json");
    let (answer, ()) = tokio::join!(world.send(deleting(&world, &own)), async {
        let seen = upstream.until(|progress| progress.media().len() == 1).await;
        assert!(seen.media()[0].starts_with(&format!("DELETE {own} HTTP/1.1")));
        let entries = world.read_entries();
        assert_eq!(of_kind(&entries, "intent")[0]["action"], "delete");
        assert!(of_kind(&entries, "outcome").is_empty());
        upstream.go_on();
    });
    assert_eq!(answer.status, 204);
    assert_eq!(of_kind(&world.entries().await, "outcome").len(), 1);
}

/// Which code Twilio gives for what cannot be deleted now is not documented: whichever it is, the
/// caller gets it, in the gate's words. What is about the gate's own credential is not theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_twilio_does_not_delete_is_told_whatever_its_code() {
    let (mut world, upstream) = raw().await;
    let own = crate::support::path(".json");
    for (twilio, code, status) in [
        ("400 Bad Request", 21704, 400),
        ("409 Conflict", 16114, 409),
        ("400 Bad Request", 20003, 502),
        ("400 Bad Request", 7, 502),
    ] {
        let body = json!({ "code": code, "message": "TWILIO'S WORDS" }).to_string();
        upstream.media(vec![say(format!(
            "HTTP/1.1 {twilio}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))]);
        let answer = world.send(deleting(&world, &own)).await;
        assert_eq!(answer.status, status, "{twilio} {code}");
        let told = answer.json();
        let passes = status != 502;
        assert_eq!(told["code"] == code, passes, "{told}");
        assert!(!told.to_string().contains("TWILIO'S WORDS"), "{told}");
    }
    assert_eq!(of_kind(&world.entries().await, "outcome").len(), 4);
}

/// Nobody knows whether it was done. To ask again could delete what was put there since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_sent_once_whatever_happens() {
    let (mut world, upstream) = raw().await;
    let own = crate::support::path(".json");
    let scripts = [
        vec![Step::HangUp],
        vec![say("HTTP/1.1 20"), Step::HangUp],
        vec![say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")],
        vec![say("HTTP/1.1 429 Too Many\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")],
        vec![say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
        vec![say("HTTP/1.1 307 Away\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n")],
    ];
    let count = scripts.len();
    for script in scripts {
        // A connection that waits is not used for it: it may be broken already.
        assert_eq!(world.send(world.ana(&own)).await.status, 200);
        upstream.media(script.clone());
        upstream.forget();
        let answer = world.send(deleting(&world, &own)).await;
        assert!([429, 502].contains(&answer.status), "{}: {script:?}", answer.status);
        assert_eq!(upstream.progress().media().len(), 1, "{script:?}");
    }
    let entries = world.entries().await;
    let outcomes = of_kind(&entries, "outcome");
    let failed = outcomes.iter().filter(|outcome| outcome["ending"] == "upstream-error").count();
    assert_eq!(failed, count);
}

/// The gate forgets what it knew also when it does not know how a deletion ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_deletion_without_an_answer_the_facts_are_read_anew() {
    let world = World::with(twilio::settings(with_deletion)).await;
    let own = path("{A}/Recordings/{RE}.json");
    assert_eq!(world.send(world.for_artefact("audio", &own)).await.status, 200);
    let fault = Fault::Status { status: 500, retry_after: None };
    let path_contains = own.clone();
    world.standin.forget_seen();
    world.standin.misbehave(Misbehaviour { path_contains, fault, times: Some(1) });
    assert_eq!(world.send(deleting(&world, &own)).await.status, 502);
    assert_eq!(deletions(&world).len(), 1);
    world.standin.forget_seen();
    assert_eq!(world.send(world.for_artefact("audio", &own)).await.status, 200);
    let reads = world.upstream_lines().into_iter().filter(|line| line.ends_with(&own));
    assert_eq!(reads.count(), 2, "once for the facts, and once to be told");
}
