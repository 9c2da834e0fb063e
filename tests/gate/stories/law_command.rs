//! The law table, as a lawyer asks for it: what is demanded, where it says so, how sure that is, when
//! somebody has to look again, and what counsel reads otherwise.

use std::path::Path;

use jiff::{SignedDuration, civil::Date};
use noticegate::folder;
use noticegate::policy::Policies;
use serde_json::{Value, json};

use crate::support::review_cli::{done, tell};
use crate::support::world::of_kind;
use crate::support::{World, WorldSettings};

const OVERRIDE: &str = "[[override]]\nplace = \"US-CA\"\ntelephone = \"one-party\"\n\
    video = \"all-party\"\ncounsel = \"A. Counsel, Example LLP\"\n\
    reason = \"their letter of 1 November\"\ndecided = 2026-11-01\nreview = 2027-11-01\n";

fn overriding(folder: &Path) {
    std::fs::write(folder.join("law/overrides.toml"), OVERRIDE).unwrap();
}

#[tokio::test]
async fn a_row_is_shown_with_its_source_and_with_the_reading_of_counsel() {
    let world = World::new().await;
    let shown = done(&world, &["law", "show", "US-CA"]);
    assert!(shown.starts_with("US-CA, California: all-party by telephone, all-party by video"));
    for part in [
        "  Where it says so: Cal. Penal Code",
        "  Confidence: ",
        "evidence: ",
        "  Source: ",
        "  To be looked at again by 202",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    overriding(&world.folder.join("policies"));
    let read = done(&world, &["law", "show", "US-CA"]);
    assert!(read.starts_with("US-CA, California: one-party by telephone, all-party by video"));
    assert!(read.contains("Read by A. Counsel, Example LLP on 2026-11-01 as one-party"), "{read}");
    assert!(read.contains("  The table says all-party and all-party"), "{read}");
    let json = tell(&world, &["law", "show", "US-CA", "--format", "json"]).json();
    assert_eq!(json[0]["telephone"], "one-party");
    assert_eq!(json[0]["table"]["telephone"], "all-party");
    assert_eq!(json[0]["override"]["counsel"], "A. Counsel, Example LLP");
    let nowhere = done(&world, &["law", "show", "XX"]);
    assert!(nowhere.starts_with("XX: all-party by telephone"), "{nowhere}");
    let all = tell(&world, &["law", "show", "--all", "--format", "json"]).json();
    assert!(all.len() > 80, "{}", all.len());
}

#[tokio::test]
async fn the_strictest_place_of_everybody_decides() {
    let world = World::new().await;
    let of = |parties: &[&str]| {
        let parties = parties.iter().flat_map(|party| ["--party", *party]);
        let words: Vec<&str> =
            ["law", "of", "--format", "json"].into_iter().chain(parties).collect();
        let told = tell(&world, &words);
        (told.code, told.json().pop().unwrap())
    };
    let (code, georgia) = of(&["+1 404 555 0123", "US-GA"]);
    assert_eq!(
        (code, &georgia["rule"], &georgia["place"]),
        (0, &json!("one-party"), &json!("US-GA"))
    );
    let (code, both) = of(&["+1 404 555 0123,US-CA", "US-GA"]);
    assert_eq!((code, &both["rule"], &both["place"]), (2, &json!("all-party"), &json!("US-CA")));
    assert_eq!(both["parties"][0]["places"], json!(["US-CA", "US-GA"]));
    let (code, unknown) = of(&["unknown", "US-GA"]);
    assert_eq!((code, &unknown["place"]), (2, &json!("ZZ")));
    let words = done(&world, &["law", "of", "--party", "US-GA"]);
    assert!(words.contains("party 1: may be in US-GA; one-party by the law of US-GA"), "{words}");
    let wrong = tell(&world, &["law", "of", "--party", "Georgia"]);
    assert_eq!(wrong.code, 3);
}

/// Who read the law otherwise, and how, is on record before it decides.
#[tokio::test]
async fn the_reading_of_counsel_is_an_entry() {
    let settings = WorldSettings { policies: overriding, law: true, ..WorldSettings::default() };
    let mut world = World::with(settings).await;
    let entries = world.entries().await;
    let start = of_kind(&entries, "start")[0].to_string();
    let expected = "the law of US-CA read as one-party by telephone and all-party by video, \
                    by A. Counsel, Example LLP on 2026-11-01: their letter of 1 November";
    assert!(start.contains(expected), "{start}");
    assert_eq!(of_kind(&entries, "start").len(), 1);
    let plain: Value = World::new().await.entries().await[0].clone();
    assert!(!plain.to_string().contains("read as"), "{plain}");
}

#[test]
fn a_row_is_overdue_from_the_day_after_its_review() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("policies");
    crate::support::world::copy_folder(Path::new("policies"), &folder);
    overriding(&folder);
    let policies = Policies::load(&folder::read(&folder).unwrap()).unwrap();
    let law = policies.law();
    let overdue = |day: Date, place: &str| {
        let name = format!("`{place}`");
        law.past_review(day).filter(|problem| problem.message.contains(&name)).count()
    };
    let review = law.row("US-GA".parse().unwrap()).unwrap().review;
    let day = SignedDuration::from_hours(24);
    let [before, after] = [review - day, review + day];
    assert_eq!([before, review, after].map(|day| overdue(day, "US-GA")), [0, 0, 1]);
    // Both what the table says and what counsel reads have a day.
    let of_counsel: Date = "2027-11-01".parse().unwrap();
    let table = law.row("US-CA".parse().unwrap()).unwrap().review;
    assert!(of_counsel < table, "{table}");
    let days = [of_counsel - day, of_counsel, of_counsel + day, table + day];
    assert_eq!(days.map(|day| overdue(day, "US-CA")), [0, 0, 1, 2]);
    let warned: Vec<String> =
        law.past_review(after).map(|problem| format!("{problem} {}", problem.warning)).collect();
    assert!(warned.iter().all(|problem| problem.ends_with("true")), "{warned:?}");
}
