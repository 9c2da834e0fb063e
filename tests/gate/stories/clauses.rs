//! What clauses mean where it is easily got wrong.

use crate::support::policies::{Folder, ask, deciders};

const VOCABULARY: &str = r#"
purpose = [
  { id = "care", name = "care" },
  { id = "complaints", name = "complaints", parents = ["care"] },
  { id = "marketing", name = "marketing", marked = true },
]
role = [{ id = "analyst", name = "analysts" }, { id = "trainer", name = "trainers" }]
recipient = [{ id = "police", name = "the police" }]
label = [{ id = "health", name = "calls about health" }, { id = "card", name = "payments" }]
line = [{ id = "clinic", name = "the clinic", numbers = ["+14045550142"], labels = ["health"] }]
"#;

const FROM: &str = "effective = \"2026-01-01T00:00:00Z\"";
const CARE: &str = "We use recordings for the care of those who call us.";

fn permit(more: &str) -> String {
    format!(
        "[[clause]]\nid = \"care\"\nquote = \"{CARE}\"\neffect = \"permit\"\nroles = [\"analyst\"]\n\
         purposes = [\"care\"]\n{more}\n"
    )
}

fn folder(text: &str, clauses: &str) -> Folder {
    let text = format!("{CARE}\n\n{text}\n");
    Folder::new(VOCABULARY).notice("v1", FROM, &text, &format!("{}{clauses}", permit("")))
}

fn clause(quote: &str, rest: &str) -> String {
    format!("[[clause]]\nid = \"other\"\nquote = \"{quote}\"\n{rest}\n")
}

/// Made on 1 June, asked for on the 2nd.
fn scenario(purpose: &str, recording: &str) -> String {
    format!(
        "roles = [\"analyst\"]\npurpose = \"{purpose}\"\nat = \"2026-06-02T00:00:00Z\"\n\
         recording = {{ made = \"2026-06-01T00:00:00Z\", {recording} }}"
    )
}

/// An exception about sharing says nothing about hearing: it must not narrow the ban to sharing.
#[test]
fn an_exception_about_sharing_does_not_lift_a_ban_on_hearing() {
    let quote = "We keep recordings for 90 days, unless the police has them.";
    for rest in [
        "effect = \"keep\"\nperiod = \"90 days\"\nexcept = [{ recipients = [\"police\"] }]",
        "effect = \"forbid\"\npurposes = [\"marketing\"]\nexcept = [{ countries = [\"GB\"] }]",
        "effect = \"require\"\nonly = { purposes = [\"care\"], recipients = [\"police\"] }",
    ] {
        let problems = folder(quote, &clause(quote, rest)).load().unwrap_err();
        assert!(problems[0].message.contains("are about sharing alone"), "{rest}: {problems:?}");
        assert!(problems[0].help.as_ref().unwrap().contains("actions = [\"share\"]"));
    }
}

#[test]
fn who_objects_to_a_purpose_objects_to_those_below_it() {
    let policies = folder("", "").load().unwrap();
    for purpose in ["care", "complaints"] {
        assert!(ask(&policies, &scenario(purpose, "")).permitted, "{purpose}");
        let refused = ask(&policies, &scenario(purpose, "objections = [\"care\"]"));
        assert_eq!(deciders(&refused), ["guardrail-objection"], "{purpose}");
    }
    // Not the other way round.
    assert!(ask(&policies, &scenario("care", "objections = [\"complaints\"]")).permitted);
}

#[test]
fn labels_of_a_call_add_to_those_of_its_line() {
    let quote = "We never use recordings of calls about health.";
    let ban = "effect = \"forbid\"\nlabels = [\"health\"]";
    let policies = folder(quote, &clause(quote, ban)).load().unwrap();
    for recording in ["line = \"clinic\"", "line = \"clinic\", labels = [\"card\"]"] {
        let refused = ask(&policies, &scenario("care", recording));
        assert_eq!(deciders(&refused), ["other"], "{recording}");
    }
    assert!(ask(&policies, &scenario("care", "labels = [\"card\"]")).permitted);
}

/// Promise 4: doubt says which fact it is about.
#[test]
fn a_refusal_says_what_nobody_knows() {
    let quote = "We never use recordings of calls about health.";
    let ban = "effect = \"forbid\"\nlabels = [\"health\"]";
    let policies = folder(quote, &clause(quote, ban)).load().unwrap();
    let refused = ask(&policies, &scenario("care", ""));
    assert!(refused.sentence.contains("Nobody knows the labels of this call"), "{refused:?}");
    let known = ask(&policies, &scenario("care", "labels = [\"health\"]"));
    assert!(!known.sentence.contains("obody knows"), "{known:?}");

    let quote = "Everybody on the line hears that we record.";
    let rule = "effect = \"require\"\nneeds = [\"announcement\"]";
    let policies = folder(quote, &clause(quote, rule)).load().unwrap();
    let refused = ask(&policies, &scenario("care", ""));
    assert!(refused.sentence.contains("nobody knows that it is so"), "{refused:?}");
}

#[test]
fn a_sentence_that_stands_twice_is_covered_by_one_clause() {
    let text = format!("{CARE}\n\nOnce more:\n\n{CARE}");
    assert!(folder(&text, "").load().is_ok());
}

/// While a case is open, the period that starts at its end has not begun.
#[test]
fn an_open_case_stops_the_clock_that_an_older_one_started() {
    let quote = "We keep recordings until 30 days after the case is closed.";
    let rule = "effect = \"keep\"\nperiod = \"30 days\"\nclock = \"case-end\"";
    let policies = folder(quote, &clause(quote, rule)).load().unwrap();
    let closed = "case-closed = \"2026-04-01T00:00:00Z\"";
    let refused = ask(&policies, &scenario("care", closed));
    assert_eq!(deciders(&refused), ["other"]);
    let open = format!("{closed}, circumstances = [\"open-case\"]");
    assert!(ask(&policies, &scenario("care", &open)).permitted);
    // Nobody knows of a case: doubt refuses, and says so.
    let unknown = ask(&policies, &scenario("care", ""));
    assert!(unknown.sentence.contains("no case is known"), "{unknown:?}");
    let recent = "case-closed = \"2026-05-30T00:00:00Z\"";
    assert!(ask(&policies, &scenario("care", recent)).permitted);
}

/// A refusal tells what is asked for, not what the call was about or who on it said what.
#[test]
fn a_refusal_does_not_tell_what_a_call_was_about() {
    let quote = "Trainers hear payments that everybody agreed to.";
    let rule = "effect = \"permit\"\nroles = [\"trainer\"]\npurposes = [\"care\"]\n\
                labels = [\"card\"]\nneeds = [\"consent\"]";
    let policies = folder(quote, &clause(quote, rule)).load().unwrap();
    let asked = scenario("care", "labels = [\"health\"], consent = \"expired\"");
    let refused = ask(&policies, &asked.replace("analyst", "trainer"));
    assert!(!refused.permitted);
    assert!(refused.sentence.contains("this is none of these"), "{refused:?}");
    assert!(refused.sentence.contains("somebody's does not hold"), "{refused:?}");
    for told in ["health", "expired"] {
        assert!(!refused.sentence.contains(told), "{refused:?}");
    }
}
