//! The notice in the console: what each sentence is, says and does; what changes between versions;
//! and questions that nobody asked.

use noticegate::folder;
use noticegate::policy::{Policies, PolicyTest};
use serde_json::json;

use crate::support::console::{CONSOLE, Desk};
use crate::support::world::{RECORDING, of_kind, path};
use crate::support::{World, WorldSettings};

async fn world() -> World {
    World::with(WorldSettings { config: CONSOLE.to_owned(), ..WorldSettings::default() }).await
}

/// The part of a page from one text to another.
fn part<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let start = page.find(from).unwrap_or_else(|| panic!("no `{from}` in {page}"));
    let rest = &page[start..];
    &rest[..rest.find(to).unwrap_or(rest.len())]
}

#[tokio::test]
async fn each_sentence_stands_with_what_it_means_and_how_often_it_decided() {
    let mut world = world().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    for _ in 0..2 {
        let market = world.who("ana", "quality-analyst", "marketing", &path(".wav"));
        assert_eq!(world.send(market).await.status, 403);
    }
    let author = Desk::of(&world, "ada", "privacy-author");
    let list = author.page("/notices").await;
    assert!(list.contains("href=\"/notices/2026-03-01\"") && list.contains("in force"), "{list}");
    let page = author.page("/notices/2026-03-01").await;
    assert!(page.contains("<strong>100 %</strong> of what it says"), "{page}");
    let quality = part(&page, "Our quality analysts and the leader", "class=\"sentence");
    assert!(quality.contains("rule") && quality.contains("may hear recordings"), "{quality}");
    assert!(quality.contains("allowed 1") && !quality.contains("refused"), "{quality}");
    assert!(quality.contains("<details>") && quality.contains("@clause(&quot;quality&quot;)"));
    let marketing = part(&page, "We do not use recordings for marketing", "class=\"sentence");
    assert!(marketing.contains("refused 2") && !marketing.contains("allowed"), "{marketing}");
    assert!(page.contains("<h3>What we do not do</h3>"), "titles stand as titles");
    // Each class is told by a word.
    for word in ["rule", "information", "aside", "not about recordings"] {
        assert!(page.contains(&format!("</span> {word}</span>")), "{word}");
    }
    assert_eq!(author.ask("/notices/2020-01-01").await.status, 404);
    drop(author);
    // How often clauses decided is read from the ledger, so the look is on record.
    let entries = world.entries().await;
    let looks: Vec<_> = of_kind(&entries, "console").iter().map(|look| &look["detail"]).collect();
    assert_eq!(looks, ["GET /notices/{version} 2026-03-01"]);
}

#[tokio::test]
async fn two_versions_are_told_apart_in_words() {
    let world = world().await;
    let author = Desk::of(&world, "ada", "privacy-author");
    let page = author.page("/notices/2025-02-01/compare/2026-03-01").await;
    for told in [
        "For recordings made under notice 2026-03-01",
        "For older recordings, once notice 2026-03-01 holds",
        ">Lost</span>",
        ">Gained</span>",
        "Clauses that mean something else",
        "<del>",
        "<ins>",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let chosen = author.page("/notices/compare?from=2025-02-01&to=2026-03-01").await;
    assert_eq!(chosen, page);
    let same = author.page("/notices/compare?from=2026-03-01&to=2026-03-01").await;
    assert!(same.contains("Nothing changes for anybody."), "{same}");
    assert_eq!(author.ask("/notices/compare?from=x&to=y").await.status, 404);
}

#[tokio::test]
async fn a_question_is_decided_with_its_layer_and_kept_as_a_test() {
    let world = world().await;
    let author = Desk::of(&world, "ada", "privacy-author");
    let policies = Policies::load(&folder::read(&world.folder.join("policies")).unwrap()).unwrap();
    let empty = author.page("/what-if").await;
    assert!(!empty.contains("id=\"answer\""), "nothing is answered that nobody asked");
    let recent = "made=2026-11-01T09:00&seconds=60";
    for (asked, told) in [
        (
            "role=quality-analyst&purpose=quality-monitoring",
            ["Permitted", "a sentence of the notice", "Our quality analysts and the leader"],
        ),
        (
            "role=trainer&purpose=staff-training&consent=unknown",
            ["Refused", "the consent or objection of somebody", "only if everyone on the call"],
        ),
        (
            "role=quality-analyst&purpose=marketing",
            ["Refused", "a sentence of the notice", "We do not use recordings for marketing"],
        ),
        (
            "role=quality-analyst&purpose=quality-monitoring&known=card-exposed",
            ["Refused", "a guardrail, which no notice can lift", "guardrail-card"],
        ),
        (
            "role=trainer&purpose=quality-monitoring",
            ["Refused", "no sentence of the notice permits it", "it is for other roles"],
        ),
    ] {
        let query = format!("{asked}&{recent}");
        let page = author.page(&format!("/what-if?{query}")).await;
        let answer = part(&page, "id=\"answer\"", "</section>");
        for one in told {
            assert!(answer.contains(one), "{asked}: {one}: {answer}");
        }
        let file = author.ask(&format!("/what-if/test.toml?{query}")).await;
        assert_eq!(file.status, 200);
        let text = String::from_utf8(file.body.to_vec()).unwrap();
        let mut problems = Vec::new();
        let tests = PolicyTest::read("tests/saved.toml", &text, &policies, &mut problems);
        assert!(problems.is_empty() && tests.len() == 1, "{text} {problems:?}");
        assert_eq!(tests[0].run(&policies), Ok(()), "{text}");
    }
    // A hold forbids to delete what is over; without it, it would have to be deleted.
    let old =
        "role=retention-operator&action=delete&purpose=record-keeping&made=2025-03-01&known=hold";
    let page = author.page(&format!("/what-if?{old}")).await;
    assert!(page.contains("a legal hold</dd>"), "{page}");
    let wrong = author.page("/what-if?role=quality-analist&purpose=quality-monitoring").await;
    assert!(wrong.contains("did you mean `quality-analyst`?"), "{wrong}");
    let wrong = author.page("/what-if?role=trainer&at=tomorrow").await;
    assert!(wrong.contains("`tomorrow` is not a time"), "{wrong}");
}

#[tokio::test]
async fn the_law_of_a_place_is_told_as_such() {
    let config = CONSOLE.to_owned();
    let world = World::with(WorldSettings { law: true, config, ..WorldSettings::default() }).await;
    let author = Desk::of(&world, "ada", "privacy-author");
    let asked = "role=quality-analyst&purpose=quality-monitoring&consent-rule=all-party";
    let page = author.page(&format!("/what-if?{asked}")).await;
    assert!(page.contains("the law of a place where somebody on the call may be"), "{page}");
}

#[tokio::test]
async fn what_is_looked_up_for_a_question_is_on_record_first() {
    let mut world = world().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let reviewer = Desk::of(&world, "rita", "reviewer");
    let of = format!("/what-if?sid={RECORDING}&purpose=quality-monitoring");
    let page = reviewer.page(&format!("{of}&role=quality-analyst")).await;
    assert!(page.contains("Permitted") && page.contains("2026-11-03T09:15:02Z"), "{page}");
    // Somebody's roles are those that they last had.
    let page = reviewer.page(&format!("{of}&person=test%7Cana")).await;
    assert!(page.contains("Permitted"), "{page}");
    let nobody = reviewer.page(&format!("{of}&person=test%7Cnobody")).await;
    assert!(nobody.contains("nobody of this name"), "{nobody}");
    // The ledger is not an author's to read, and a trainer has nothing to ask here.
    let author = Desk::of(&world, "ada", "privacy-author");
    assert_eq!(author.ask(&format!("{of}&person=test%7Cana")).await.status, 403);
    let trainer = Desk::of(&world, "tom", "trainer");
    for path in ["/notices", "/notices/2026-03-01", "/what-if?role=trainer", "/drafts"] {
        assert_eq!(trainer.ask(path).await.status, 403, "{path}");
    }
    let entries = world.entries().await;
    let details: Vec<&str> =
        of_kind(&entries, "console").iter().map(|e| e["detail"].as_str().unwrap()).collect();
    let recording = format!("GET /what-if {RECORDING}");
    let roles = "GET /what-if the roles of a caller";
    assert_eq!(details, [&recording, roles, &recording, roles]);
    let refused = of_kind(&entries, "console-refused");
    assert_eq!(refused.len(), 5);
    assert_eq!(refused[0]["action"], "read-ledger");
}

#[tokio::test]
async fn programs_are_told_the_same() {
    let world = world().await;
    let author = Desk::of(&world, "ada", "privacy-author");
    let all = author.ask("/api/v1/notices").await.json();
    assert_eq!(all["versions"][1]["version"], "2026-03-01");
    let notice = author.ask("/api/v1/notices/2026-03-01").await.json();
    assert_eq!(notice["covered_percent"], 100);
    let clauses = notice["clauses"].as_array().unwrap();
    let quality = clauses.iter().find(|clause| clause["id"] == "quality").unwrap();
    assert!(quality["cedar"].as_str().unwrap().contains("permit ("), "{quality}");
    let asked = json!({"roles": ["trainer"], "purpose": "staff-training",
        "recording": {"made": "2026-11-03T09:15:02Z", "consent": "refused"}});
    let answer = author.json("/api/v1/what-if", &asked).await;
    let told = answer.json();
    assert_eq!((answer.status, &told["permitted"]), (200, &json!(false)));
    assert_eq!(told["layer"], "consent");
    let wrong = json!({"roles": ["trainor"]});
    assert_eq!(author.json("/api/v1/what-if", &wrong).await.status, 422);
    let folder = folder::read(&world.folder.join("policies")).unwrap();
    let latest = folder.notices.last().unwrap();
    let draft =
        |text: &str| json!({"version": latest.version, "text": text, "clauses": latest.meaning});
    let good = author.json("/api/v1/check", &draft(&latest.text)).await.json();
    assert_eq!(good["problems"], json!([]));
    assert_eq!(good["cedar"], latest.clauses);
    let bad = author.json("/api/v1/check", &draft("Other words.")).await.json();
    assert!(bad["problems"].as_array().unwrap().len() > 1, "{bad}");
    let trainer = Desk::of(&world, "tom", "trainer");
    assert_eq!(trainer.json("/api/v1/check", &draft("")).await.status, 403);
    assert_eq!(trainer.json("/api/v1/what-if", &asked).await.status, 403);
}
