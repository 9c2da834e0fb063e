//! Drafts of the notice: written, checked, tried, approved by others and put in force in one step;
//! and what must not happen on the way.

use std::path::PathBuf;

use noticegate::folder;
use noticegate::policy::Policies;

use crate::support::console::{CONSOLE, Desk, hidden};
use crate::support::policies::{change, derive};
use crate::support::world::{of_kind, path};
use crate::support::{World, WorldSettings};

const VERSION: &str = "2026-03-01";

async fn world(more: &str) -> World {
    let config = format!("{CONSOLE}{more}");
    World::with(WorldSettings { config, ..WorldSettings::default() }).await
}

fn clauses(world: &World) -> PathBuf {
    world.folder.join("policies/notices/2026-03-01/clauses.toml")
}

fn table_file(world: &World) -> PathBuf {
    world.folder.join("policies/decisions.out")
}

/// The table of decisions that the policy folder derives; it can be loaded.
fn table(world: &World) -> String {
    let sources = folder::read(&world.folder.join("policies")).unwrap();
    Policies::load(&sources).unwrap().table().text
}

fn text(world: &World) -> String {
    std::fs::read_to_string(world.folder.join("policies/notices/2026-03-01/notice.md")).unwrap()
}

/// `clauses.toml` with one passage changed.
fn meaning(world: &World, from: &str, to: &str) -> String {
    let meaning = std::fs::read_to_string(clauses(world)).unwrap();
    assert!(meaning.contains(from), "{from}");
    meaning.replacen(from, to, 1)
}

/// Begins a draft and writes these clauses; the path of its page.
async fn written(desk: &Desk<'_>, world: &World, meaning: &str) -> String {
    let edit = desk.step("/drafts", &[("version", VERSION)]).await;
    write(desk, &edit, &text(world), meaning).await
}

async fn write(desk: &Desk<'_>, edit: &str, text: &str, meaning: &str) -> String {
    let seen = hidden(&desk.page(edit).await, "seen");
    // As a browser sends it.
    let (text, meaning) = (text.replace('\n', "\r\n"), meaning.replace('\n', "\r\n"));
    let fields = [("seen", seen.as_str()), ("text", &text), ("meaning", &meaning)];
    assert_eq!(desk.step(edit, &fields).await, edit);
    edit.strip_suffix("/edit").unwrap().to_owned()
}

/// Takes a step of a draft; the status and what is said of it.
async fn step(desk: &Desk<'_>, draft: &str, what: &str) -> (u16, String) {
    let page = desk.page(draft).await;
    let (_, seen) = page.split_once("<dt>Revision</dt><dd>").unwrap();
    let seen = seen.split('<').next().unwrap();
    let fields = [("seen", seen), ("reason", "the words say less")];
    let answer = desk.post(&format!("{draft}/{what}"), &fields).await;
    let said =
        if answer.status < 400 { String::new() } else { answer.json()["detail"].to_string() };
    (answer.status, said)
}

const TEAM: &str =
    "roles = [\"quality-analyst\", \"team-lead\"]\npurposes = [\"quality-monitoring\"]";
const TEAM_LEADS: &str = "roles = [\"team-lead\"]\npurposes = [\"quality-monitoring\"]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_written_tried_approved_by_another_and_then_decides() {
    let mut world = world("").await;
    let hear = || world.ana(&path(".wav"));
    assert_eq!(world.send(hear()).await.status, 200);
    let petra = Desk::of(&world, "petra", "privacy-officer");
    let draft = written(&petra, &world, &meaning(&world, TEAM, TEAM_LEADS)).await;
    let page = petra.page(&draft).await;
    for told in [
        "Nothing is wrong: the gate would take these policies.",
        ">Lost</span> ",
        "Submit for 1 approval",
        "<del>-roles = [&quot;quality-analyst&quot;, &quot;team-lead&quot;]</del>",
        "clauses.cedar",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    // Of what was really asked, Ana's hearing would be lost.
    let replay = petra.page(&format!("{draft}/replay")).await;
    assert!(replay.contains("1 real decision was made again"), "{replay}");
    assert!(replay.contains("Who loses") && replay.contains("quality-analyst"), "{replay}");
    assert!(!replay.contains("Who gains"));
    // Nothing of it counts yet.
    assert_eq!(step(&petra, &draft, "activate").await.0, 409);
    assert_eq!(step(&petra, &draft, "submit").await.0, 303);
    assert_eq!(world.send(hear()).await.status, 200);
    let (status, said) = step(&petra, &draft, "approve").await;
    assert_eq!(status, 403);
    assert!(said.contains("nobody approves what they wrote"), "{said}");
    let ada = Desk::of(&world, "ada", "privacy-author");
    assert_eq!(step(&ada, &draft, "approve").await.0, 403, "an author may not approve at all");
    assert_eq!(step(&petra, &draft, "activate").await.0, 409, "it is not approved");
    let lea = Desk::of(&world, "lea", "legal-counsel");
    assert!(lea.page(&draft).await.contains("Approve</button>"));
    assert_eq!(step(&lea, &draft, "approve").await.0, 303);
    assert_eq!(world.send(hear()).await.status, 200);
    assert_eq!(step(&petra, &draft, "activate").await.0, 303);
    // To whom no clause gives any use, a recording does not exist.
    assert_eq!(world.send(hear()).await.status, 404, "it decides at once");
    assert!(petra.page(&draft).await.contains("put in force"));
    // Git has the files: clauses and what they derive, and nothing is left beside them.
    assert!(std::fs::read_to_string(clauses(&world)).unwrap().contains(TEAM_LEADS));
    assert_eq!(table(&world), std::fs::read_to_string(table_file(&world)).unwrap());
    let names = std::fs::read_dir(world.folder.join("policies/notices")).unwrap();
    assert_eq!(names.count(), 2);
    let entries = world.entries().await;
    let done: Vec<(&str, &str)> = of_kind(&entries, "console")
        .iter()
        .map(|entry| (entry["actor"].as_str().unwrap(), entry["detail"].as_str().unwrap()))
        .collect();
    let id = draft.strip_prefix("/drafts/").unwrap();
    let said = |what: &str| format!("{what} draft {id} of notice {VERSION}, content ");
    for (who, route, what) in [
        ("test|petra", "POST /drafts ", "begin"),
        ("test|petra", "POST /drafts/{id}/edit ", "write"),
        ("test|petra", "POST /drafts/{id}/submit ", "submit"),
        ("test|lea", "POST /drafts/{id}/approve ", "approve"),
        ("test|petra", "POST /drafts/{id}/activate ", "activate"),
    ] {
        let starts = format!("{route}{}", said(what));
        let is = |(by, detail): &&(&str, &str)| *by == who && detail.starts_with(&starts);
        assert_eq!(done.iter().filter(is).count(), 1, "{starts}: {done:?}");
    }
    let policies = of_kind(&entries, "policies");
    assert_eq!(policies.len(), 1, "the gate put the new policies on record");
    assert_eq!(of_kind(&entries, "console-refused").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_for_longer_or_given_to_somebody_new_needs_two() {
    let world = world("").await;
    let petra = Desk::of(&world, "petra", "privacy-officer");
    let longer = meaning(&world, "period = \"12 months\"", "period = \"13 months\"");
    let draft = written(&petra, &world, &longer).await;
    let page = petra.page(&draft).await;
    assert!(page.contains("two people have to approve it") && page.contains("13 months"), "{page}");
    assert_eq!(step(&petra, &draft, "submit").await.0, 303);
    let (lea, otto) =
        (Desk::of(&world, "lea", "legal-counsel"), Desk::of(&world, "otto", "privacy-officer"));
    assert_eq!(step(&lea, &draft, "approve").await.0, 303);
    let (status, said) = step(&lea, &draft, "approve").await;
    assert!(status == 409 && said.contains("you have approved this draft already"), "{said}");
    assert_eq!(step(&petra, &draft, "activate").await.0, 409);
    assert_eq!(step(&otto, &draft, "approve").await.0, 303);
    assert!(otto.page(&draft).await.contains("Put it in force"));
    // Whoever changes a word takes all approvals back.
    let again = meaning(&world, "period = \"12 months\"", "period = \"14 months\"");
    write(&petra, &format!("{draft}/edit"), &text(&world), &again).await;
    assert_eq!(step(&petra, &draft, "activate").await.0, 409);
    // A recipient who got nothing before.
    let sent = "recipients = [\"hale-and-marsh\"]";
    let more = meaning(&world, sent, "recipients = [\"hale-and-marsh\", \"regulator\"]");
    let draft = written(&petra, &world, &more).await;
    let page = petra.page(&draft).await;
    assert!(page.contains("Submit for 1 approval"), "a regulator got something before: {page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_that_is_wrong_is_told_where_and_goes_nowhere() {
    let world = world("").await;
    let ada = Desk::of(&world, "ada", "privacy-author");
    let wrong = meaning(
        &world,
        "Our quality analysts and the leader",
        "Our quality analysts or the leader",
    );
    let line = wrong.lines().position(|line| line.contains("analysts or the")).unwrap() + 1;
    let edit = ada.step("/drafts", &[("version", VERSION)]).await;
    let seen = hidden(&ada.page(&edit).await, "seen");
    let draft = edit.strip_suffix("/edit").unwrap();
    let text = text(&world);
    let fields = [("seen", seen.as_str()), ("text", &text), ("meaning", &wrong)];
    for way in ["findings", "check"] {
        let answer = ada.post(&format!("{draft}/{way}"), &fields).await;
        let page = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(answer.status, 200, "{page}");
        assert!(page.contains(&format!("data-line=\"{line}\"")), "{line}: {page}");
        assert!(page.contains("does not stand in the notice word for word"), "{page}");
    }
    assert!(!ada.page(&edit).await.contains("analysts or the leader"), "a check keeps nothing");
    write(&ada, &edit, &text, &wrong).await;
    let (status, said) = step(&ada, draft, "submit").await;
    assert!(status == 422 && said.contains("wrong with the draft"), "{status} {said}");
    assert_eq!(ada.ask(&format!("{draft}/patch")).await.status, 409);
    assert_eq!(ada.ask(&format!("{draft}/replay")).await.status, 409);
    // Two at once: the second is told, and nothing of the first is lost.
    let fields = [("seen", "1"), ("text", "Other."), ("meaning", "x = 1")];
    let answer = ada.post(&edit, &fields).await;
    assert_eq!(answer.status, 409, "{:?}", answer.body);
    // And one that says what is in force already is nothing to approve.
    write(&ada, &edit, &text, &std::fs::read_to_string(clauses(&world)).unwrap()).await;
    let (status, said) = step(&ada, draft, "submit").await;
    assert!(status == 422 && said.contains("in force already"), "{status} {said}");
    assert_eq!(step(&ada, draft, "withdraw").await.0, 303);
    assert_eq!(step(&ada, draft, "submit").await.0, 409, "it has ended");
    for unknown in ["/drafts/000000000000", "/drafts/..%2f..%2fledger.key", "/drafts/x/edit"] {
        assert_eq!(ada.ask(unknown).await.status, 404, "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_on_policies_that_are_not_in_force_any_more_is_taken_up_again() {
    let world = world("").await;
    let petra = Desk::of(&world, "petra", "privacy-officer");
    let draft = written(&petra, &world, &meaning(&world, TEAM, TEAM_LEADS)).await;
    assert_eq!(step(&petra, &draft, "submit").await.0, 303);
    let lea = Desk::of(&world, "lea", "legal-counsel");
    assert_eq!(step(&lea, &draft, "approve").await.0, 303);
    // Somebody writes in the folder by hand: first the gate has to know.
    let policies = world.folder.join("policies");
    let from = "note = \"the reference of the complaint shows that there is one\"";
    change(&policies, "notices/2026-03-01/clauses.toml", from, "note = \"or none\"");
    derive(&policies);
    let (status, said) = step(&petra, &draft, "activate").await;
    assert!(status == 409 && said.contains("does not hold what is in force"), "{said}");
    world.running().reload();
    // The reload is another thread's work: an activation waits for it.
    let behind = async {
        loop {
            let page = petra.page(&draft).await;
            if page.contains("Other policies are in force by now") {
                return page;
            }
        }
    };
    let page = behind.await;
    assert!(page.contains("This version itself was changed since"), "{page}");
    assert!(page.contains("+note = &quot;or none&quot;"), "{page}");
    let (status, said) = step(&petra, &draft, "activate").await;
    assert!(status == 409 && said.contains("other policies are in force"), "{said}");
    assert_eq!(step(&petra, &draft, "rebase").await.0, 303);
    let page = petra.page(&draft).await;
    assert!(page.contains("being written"), "it has to be approved again: {page}");
    assert_eq!(step(&petra, &draft, "submit").await.0, 303);
    assert_eq!(step(&lea, &draft, "approve").await.0, 303);
    assert_eq!(step(&lea, &draft, "activate").await.0, 303);
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_comes_into_the_folder_as_a_whole() {
    let world = world("").await;
    let petra = Desk::of(&world, "petra", "privacy-officer");
    let begun = [("version", "2026-12-01"), ("like", VERSION)];
    let edit = petra.step("/drafts", &begun).await;
    let new =
        text(&world).replace("We delete a recording 12 months", "We delete a recording 6 months");
    let meaning = meaning(&world, "effective = \"2026-03-01", "effective = \"2026-12-01");
    let meaning =
        meaning.replace("We delete a recording 12 months", "We delete a recording 6 months");
    let meaning = meaning.replacen("period = \"12 months\"", "period = \"6 months\"", 1);
    let seen = hidden(&petra.page(&edit).await, "seen");
    let fields = [("seen", seen.as_str()), ("text", &new), ("meaning", &meaning), ("seal", "yes")];
    assert_eq!(petra.step(&edit, &fields).await, edit);
    let draft = edit.strip_suffix("/edit").unwrap();
    let page = petra.page(draft).await;
    assert!(page.contains("--- /dev/null") && page.contains("6 months"), "{page}");
    assert_eq!(step(&petra, draft, "submit").await.0, 303, "{page}");
    let lea = Desk::of(&world, "lea", "legal-counsel");
    assert_eq!(step(&lea, draft, "approve").await.0, 303);
    assert_eq!(step(&lea, draft, "activate").await.0, 303);
    let list = petra.page("/notices").await;
    assert!(list.contains("/notices/2026-12-01") && list.contains("not yet in force"), "{list}");
    let sources = folder::read(&world.folder.join("policies")).unwrap();
    assert_eq!(sources.notices.len(), 3);
    assert_eq!(sources.notices[2].text, new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_git_is_the_only_way_a_draft_is_given_out_as_a_patch() {
    let world = world("activation = \"patch\"\ndrafts = \"papers\"\n").await;
    std::fs::write(table_file(&world), table(&world)).unwrap();
    let petra = Desk::of(&world, "petra", "privacy-officer");
    let draft = written(&petra, &world, &meaning(&world, TEAM, TEAM_LEADS)).await;
    assert_eq!(std::fs::read_dir(world.folder.join("papers")).unwrap().count(), 1);
    assert_eq!(step(&petra, &draft, "submit").await.0, 303);
    let lea = Desk::of(&world, "lea", "legal-counsel");
    assert_eq!(step(&lea, &draft, "approve").await.0, 303);
    let (status, said) = step(&lea, &draft, "activate").await;
    assert!(status == 409 && said.contains("patch"), "{said}");
    let patch = lea.ask(&format!("{draft}/patch")).await;
    assert_eq!(patch.status, 200);
    let file = world.folder.join("draft.patch");
    std::fs::write(&file, &patch.body).unwrap();
    let applied = std::process::Command::new("git")
        .args(["apply", "-v"])
        .arg(&file)
        .current_dir(world.folder.join("policies"))
        .output()
        .unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert!(std::fs::read_to_string(clauses(&world)).unwrap().contains(TEAM_LEADS));
    assert_eq!(table(&world), std::fs::read_to_string(table_file(&world)).unwrap());
}
