//! Notices that change, and shapes of notices that break naive readers. The companies are invented;
//! the changes and shapes are some that real notices went through.

use std::fmt::Write;

use noticegate::notice::Problem;
use noticegate::policy::{Explained, Ground, Policies};

use crate::support::policies::{Folder, ask, deciders};

const VOCABULARY: &str = r#"
purpose = [
  { id = "quality-monitoring", name = "quality monitoring" },
  { id = "staff-training", name = "training our staff" },
  { id = "research", name = "research" },
  { id = "customer-care", name = "customer care" },
  { id = "complaint-handling", name = "handling complaints" },
  { id = "service-improvement", name = "improving our services" },
  { id = "ai-model-training", name = "training computer models", parents = ["service-improvement"], marked = true },
  { id = "fraud-prevention", name = "stopping fraud" },
  { id = "record-of-transaction", name = "showing what was agreed" },
  { id = "legal-claims", name = "legal claims" },
  { id = "law-enforcement-request", name = "answering the police" },
  { id = "rights-request", name = "a person's own request" },
  { id = "account-queries", name = "answering a query about an account" },
]
role = [
  { id = "coach", name = "coaches" },
  { id = "analyst", name = "analysts" },
  { id = "head-of-service", name = "heads of service" },
  { id = "counsel", name = "our lawyers" },
  { id = "agent", name = "agents" },
]
recipient = [
  { id = "solicitor", name = "our solicitors" },
  { id = "supplier", name = "suppliers" },
  { id = "police", name = "the police" },
]
line = [
  { id = "orders", name = "the order line", numbers = ["+14045550101"] },
  { id = "helpdesk", name = "the help desk", numbers = ["+14045550102"] },
  { id = "partner-desk", name = "the desks of our partners", numbers = ["+14045550103"] },
]
call-type = [
  { id = "sales", name = "sales calls" },
  { id = "insurance", name = "insurance calls" },
  { id = "webinar", name = "webinars" },
]
"#;

/// A clause: its id, its sentence and the rest of it.
type Said<'a> = (&'a str, &'a str, &'a str);

/// Adds a notice whose text is the sentences of its clauses, each a paragraph.
fn published(folder: Folder, version: &str, header: &str, said: &[Said<'_>]) -> Folder {
    let mut sentences: Vec<&str> = said.iter().map(|(_, sentence, _)| *sentence).collect();
    sentences.dedup();
    let mut clauses = String::new();
    for (id, sentence, rest) in said {
        let _ = writeln!(clauses, "[[clause]]\nid = {id:?}\nquote = {sentence:?}\n{rest}\n");
    }
    folder.notice(version, header, &(sentences.join("\n\n") + "\n"), &clauses)
}

/// A notice that takes effect at midnight of the day that is its name.
fn from_day(folder: Folder, day: &str, said: &[Said<'_>]) -> Folder {
    published(folder, day, &format!("effective = \"{day}T00:00:00Z\""), said)
}

/// One notice, alone.
fn alone(said: &[Said<'_>]) -> Result<Policies, Vec<Problem>> {
    from_day(Folder::new(VOCABULARY), "2026-01-01", said).load()
}

/// A notice and the one that follows it.
fn changed(old: (&str, &[Said<'_>]), new: (&str, &[Said<'_>])) -> Policies {
    let folder = from_day(Folder::new(VOCABULARY), old.0, old.1);
    from_day(folder, new.0, new.1).load().unwrap()
}

/// Somebody asks; `made` and `at` are moments or days (noon), `more` is the rest of the recording.
fn asked(who: &str, made: &str, at: &str, more: &str) -> String {
    let (role, purpose) = who.split_once(" for ").unwrap();
    let moment = |text: &str| match text.len() {
        10 => format!("{text}T12:00:00Z"),
        _ => text.to_owned(),
    };
    let (made, at) = (moment(made), moment(at));
    format!(
        "roles = [{role:?}]\npurpose = {purpose:?}\nat = {at:?}\n\
         recording = {{ made = {made:?}{more} }}\n"
    )
}

/// `permit 2026-01-01/quality`, `forbidden 2026-01-01/keep`, `not-permitted`.
fn told(explained: &Explained) -> String {
    let mut out = explained.reason.unwrap_or("permit").to_owned();
    let mut cited: Vec<String> = Vec::new();
    for citation in &explained.citations {
        cited.push(match &citation.ground {
            Ground::Clause { clause, notice, .. } => format!("{notice}/{clause}"),
            Ground::Guardrail { .. } => citation.policy.clone(),
        });
    }
    cited.dedup();
    cited.iter().for_each(|one| out = format!("{out} {one}"));
    assert_eq!(explained.permitted, explained.reason.is_none());
    out
}

fn answer(policies: &Policies, who: &str, made: &str, at: &str, more: &str) -> String {
    told(&ask(policies, &asked(who, made, at, more)))
}

fn share(policies: &Policies, who: &str, made: &str, at: &str, to: &str, more: &str) -> String {
    let question = asked(who, made, at, more);
    let to = format!("action = \"share\"\nrequest = {{ recipient = {to} }}\n");
    told(&ask(policies, &(to + &question)))
}

const TRANSCRIPT: &str = ", artefact = \"transcript\"";
const SUMMARY: &str = ", artefact = \"summary\"";

fn permits(roles: &str, purposes: &str) -> String {
    format!("effect = \"permit\"\nroles = [{roles}]\npurposes = [{purposes}]")
}

// Changes that real notices went through.

/// A railway took "stored for seven months" out and put transcripts and computer models in.
#[test]
fn a_period_that_was_taken_out_still_ends_older_recordings() {
    let quality = permits("\"analyst\"", "\"quality-monitoring\"");
    let texts = quality.clone() + "\nartefacts = [\"transcript\", \"summary\"]";
    let models = permits("\"analyst\"", "\"ai-model-training\"");
    let policies = changed(
        (
            "2025-01-01",
            &[
                ("quality", "Fennline Rail listens to recorded calls to check quality.", &quality),
                (
                    "keep",
                    "Each recording is kept for seven months.",
                    "effect = \"keep\"\nperiod = \"7 months\"",
                ),
            ],
        ),
        (
            "2026-04-21",
            &[
                (
                    "quality",
                    "Fennline Rail checks its quality by listening to recorded calls.",
                    &quality,
                ),
                ("texts", "We write transcripts and summaries of calls to check quality.", &texts),
                ("models", "Recordings teach the models of our assistant.", &models),
            ],
        ),
    );
    let (old, new) = ("2026-04-20", "2026-04-22");
    let who = "analyst for quality-monitoring";
    let ask = |made, at, more| answer(&policies, who, made, at, more);
    assert_eq!(ask(old, "2026-06-01", ""), "permit 2025-01-01/quality");
    assert_eq!(ask(old, "2027-01-01", ""), "forbidden 2025-01-01/keep");
    assert_eq!(ask(new, "2027-01-01", ""), "permit 2026-04-21/quality");
    for more in [TRANSCRIPT, SUMMARY] {
        assert_eq!(ask(old, "2026-06-01", more), "not-permitted");
        assert_eq!(ask(new, "2026-06-01", more), "permit 2026-04-21/texts");
    }
    let models = |made| answer(&policies, "analyst for ai-model-training", made, "2026-06-01", "");
    assert_eq!(models(old), "not-permitted");
    assert_eq!(models(new), "permit 2026-04-21/models");
}

/// An adviser named three purposes and confidence; then "business purposes, including", and models.
#[test]
fn three_named_purposes_and_confidence_stay_with_older_recordings() {
    let three = permits("\"coach\"", "\"staff-training\", \"quality-monitoring\", \"research\"");
    let old: [Said<'_>; 2] = [
        ("three", "Quillstone records for training, quality and research.", &three),
        (
            "confidential",
            "A recording stays between you and us.",
            "effect = \"forbid\"\nactions = [\"share\"]",
        ),
    ];
    let open = "Quillstone records for business purposes of many kinds.";
    let day = ("2025-06-01", "2026-07-16");
    let folder = from_day(Folder::new(VOCABULARY), day.0, &old);
    // Nobody can say what that permits, so it cannot be published as it is.
    let vague = from_day(folder, day.1, &[("open", open, "effect = \"undecided\"")]).load();
    let problem = &vague.unwrap_err()[0];
    assert_eq!(problem.message, "clause `open` is undecided: it permits nothing");
    assert_eq!(problem.notes[0].text, open);

    let more = permits("\"coach\"", "\"staff-training\", \"customer-care\", \"ai-model-training\"");
    let given = more.clone() + "\nrecipients = [\"supplier\"]";
    let policies =
        changed((day.0, &old), (day.1, &[("open", open, &more), ("given", open, &given)]));
    let (before, after, at) = ("2026-07-15", "2026-07-17", "2026-08-01");
    for (who, made, expected) in [
        ("coach for staff-training", before, "permit 2025-06-01/three"),
        ("coach for staff-training", after, "permit 2026-07-16/open"),
        ("coach for research", before, "permit 2025-06-01/three"),
        ("coach for research", after, "not-permitted"),
        ("coach for customer-care", before, "not-permitted"),
        ("coach for customer-care", after, "permit 2026-07-16/open"),
        ("coach for ai-model-training", before, "not-permitted"),
        ("coach for ai-model-training", after, "permit 2026-07-16/open"),
    ] {
        assert_eq!(answer(&policies, who, made, at, ""), expected, "{who} {made}");
    }
    let give = |made| share(&policies, "coach for staff-training", made, at, "\"supplier\"", "");
    assert_eq!(give(before), "forbidden 2025-06-01/confidential");
    assert_eq!(give(after), "permit 2026-07-16/given");
}

/// A supplier of power went from two purposes to five and a computer model.
#[test]
fn new_purposes_are_for_new_recordings() {
    let two = permits("\"coach\"", "\"complaint-handling\", \"staff-training\"");
    let five = permits(
        "\"coach\"",
        "\"complaint-handling\", \"staff-training\", \"quality-monitoring\", \
         \"fraud-prevention\", \"service-improvement\"",
    );
    let models = permits("\"coach\"", "\"ai-model-training\"");
    let policies = changed(
        ("2024-01-01", &[("two", "Harrow Power records calls for complaints and training.", &two)]),
        (
            "2026-01-26",
            &[
                ("five", "Harrow Power records calls for five purposes that it lists.", &five),
                ("models", "One more use of recordings is to teach machines.", &models),
            ],
        ),
    );
    let (before, after, at) = ("2026-01-25", "2026-01-27", "2026-02-10");
    let ask = |purpose, made| answer(&policies, &format!("coach for {purpose}"), made, at, "");
    for purpose in ["complaint-handling", "staff-training"] {
        assert_eq!(ask(purpose, before), "permit 2024-01-01/two");
        assert_eq!(ask(purpose, after), "permit 2026-01-26/five");
    }
    for purpose in ["quality-monitoring", "fraud-prevention", "service-improvement"] {
        assert_eq!(ask(purpose, before), "not-permitted");
        assert_eq!(ask(purpose, after), "permit 2026-01-26/five");
    }
    assert_eq!(ask("ai-model-training", before), "not-permitted");
    assert_eq!(ask("ai-model-training", after), "permit 2026-01-26/models");
}

/// A hotel broker went from "a limited time" to 30 days, but 12 months for insurance calls.
#[test]
fn a_longer_period_for_some_calls_is_not_for_older_ones() {
    let care = permits("\"agent\"", "\"customer-care\"");
    let summaries = care.clone() + "\nartefacts = [\"summary\"]";
    let policies = changed(
        (
            "2025-01-01",
            &[
                ("care", "Pinebrook Stays uses recordings to help its guests.", &care),
                (
                    "limited",
                    "Recordings are kept for a limited time.",
                    "effect = \"keep\"\nperiod = \"60 days\"\nnote = \"what we did\"",
                ),
            ],
        ),
        (
            "2025-12-10",
            &[
                ("care", "Pinebrook Stays helps its guests with recordings.", &care),
                ("summaries", "A machine writes summaries of calls.", &summaries),
                (
                    "days",
                    "We keep recordings for 30 days.",
                    "effect = \"keep\"\nperiod = \"30 days\"\nexcept = [{ call-types = [\"insurance\"] }]",
                ),
                (
                    "insurance",
                    "Calls about insurance are kept for 12 months.",
                    "effect = \"keep\"\nperiod = \"12 months\"\ncall-types = [\"insurance\"]",
                ),
            ],
        ),
    );
    let (before, after) = ("2025-12-09", "2025-12-11");
    let ask = |made, at, more| answer(&policies, "agent for customer-care", made, at, more);
    let insurance = ", call-type = \"insurance\"";
    assert_eq!(ask(before, "2026-01-20", insurance), "permit 2025-01-01/care");
    assert_eq!(ask(before, "2026-02-20", insurance), "forbidden 2025-01-01/limited");
    assert_eq!(ask(after, "2026-02-20", insurance), "permit 2025-12-10/care");
    assert_eq!(ask(after, "2026-12-12", insurance), "forbidden 2025-12-10/insurance");
    // The shorter period takes from all others at once, and from those of which nothing is known.
    for sales in [", call-type = \"sales\"", ""] {
        assert!(ask("2025-11-01", "2025-12-09", sales).starts_with("permit 2025-01-01/care"));
        assert_eq!(ask("2025-11-01", "2025-12-10", sales), "forbidden 2025-12-10/days");
    }
    assert_eq!(ask(before, "2025-12-20", SUMMARY), "not-permitted");
    assert_eq!(ask(after, "2025-12-20", SUMMARY), "permit 2025-12-10/summaries");
}

/// The same broker then had its assistant write transcripts, kept for 30 days.
#[test]
fn transcripts_are_of_calls_after_the_change() {
    let care = permits("\"agent\"", "\"customer-care\"");
    let texts = care.clone() + "\nartefacts = [\"transcript\"]\nuntil = \"30 days\"";
    let policies = changed(
        ("2025-12-10", &[("care", "Ollerby Stays uses recordings to help its guests.", &care)]),
        (
            "2026-08-20",
            &[
                ("care", "Ollerby Stays helps its guests with recordings.", &care),
                ("texts", "Our assistant writes a transcript and keeps it for 30 days.", &texts),
            ],
        ),
    );
    let ask = |made, at| answer(&policies, "agent for customer-care", made, at, TRANSCRIPT);
    assert_eq!(ask("2026-08-19", "2026-08-25"), "not-permitted");
    assert_eq!(ask("2026-08-21", "2026-08-25"), "permit 2026-08-20/texts");
    assert_eq!(ask("2026-08-21", "2026-09-21"), "not-permitted");
    let sound = |made| answer(&policies, "agent for customer-care", made, "2026-09-21", "");
    assert_eq!(sound("2026-08-19"), "permit 2025-12-10/care");
    assert_eq!(sound("2026-08-21"), "permit 2026-08-20/care");
}

/// A house broker told of "calls with us", later also of calls that its systems only pass on.
#[test]
fn calls_that_were_not_described_are_not_used() {
    let ours = permits("\"analyst\"", "\"quality-monitoring\"") + "\nlines = [\"helpdesk\"]";
    let both = permits("\"analyst\"", "\"quality-monitoring\"")
        + "\nlines = [\"helpdesk\", \"partner-desk\"]";
    let texts = both.clone() + "\nartefacts = [\"transcript\"]";
    let policies = changed(
        (
            "2024-05-01",
            &[("ours", "Tarn Homes checks the quality of recorded calls with it.", &ours)],
        ),
        (
            "2025-03-10",
            &[
                ("both", "Tarn Homes checks recorded calls with it and calls it passes on.", &both),
                ("texts", "It also reads transcripts of these calls.", &texts),
            ],
        ),
    );
    let ask = |made, more: &str| {
        answer(&policies, "analyst for quality-monitoring", made, "2025-04-01", more)
    };
    let (before, after) = ("2025-03-09", "2025-03-11");
    let (desk, routed) = (", line = \"helpdesk\"", ", line = \"partner-desk\"");
    assert_eq!(ask(before, desk), "permit 2024-05-01/ours");
    assert_eq!(ask(after, desk), "permit 2025-03-10/both");
    assert_eq!(ask(before, routed), "not-permitted");
    assert_eq!(ask(after, routed), "permit 2025-03-10/both");
    assert_eq!(ask(before, &format!("{desk}{TRANSCRIPT}")), "not-permitted");
    assert_eq!(ask(after, &format!("{routed}{TRANSCRIPT}")), "permit 2025-03-10/texts");
    // A call of which nobody knows the line is none of those that were described.
    assert_eq!(ask(after, ""), "not-permitted");
}

/// A maker of software recorded sales calls, and then webinars and events as well.
#[test]
fn what_a_change_does_not_speak_of_stays_as_it_was() {
    let sales = permits("\"coach\"", "\"staff-training\"") + "\ncall-types = [\"sales\"]";
    let more =
        permits("\"coach\"", "\"staff-training\"") + "\ncall-types = [\"sales\", \"webinar\"]";
    let policies = changed(
        (
            "2023-01-01",
            &[("sales", "Codehaven trains its staff with recorded sales calls.", &sales)],
        ),
        (
            "2024-03-19",
            &[("more", "Codehaven trains with recorded sales calls and webinars.", &more)],
        ),
    );
    let ask = |made, at, kind: &str| {
        let kind = format!(", call-type = {kind:?}");
        answer(&policies, "coach for staff-training", made, at, &kind)
    };
    let (before, after) = ("2024-03-18", "2024-03-20");
    // The same clause decides about it before and long after the change.
    for at in [before, "2024-03-25", "2029-01-01"] {
        assert_eq!(ask(before, at, "sales"), "permit 2023-01-01/sales", "{at}");
    }
    assert_eq!(ask(after, "2024-03-25", "sales"), "permit 2024-03-19/more");
    assert_eq!(ask(before, "2024-03-25", "webinar"), "not-permitted");
    assert_eq!(ask(after, "2024-03-25", "webinar"), "permit 2024-03-19/more");
}

// Boundaries.

/// A notice of 2025 that lets coaches train, and one of 14:30:00 on 1 March 2026 that does not, but
/// lets analysts check quality; it was announced on 1 February.
fn coaches_then_analysts() -> Policies {
    let training = permits("\"coach\", \"analyst\"", "\"staff-training\"");
    let quality = permits("\"coach\", \"analyst\"", "\"quality-monitoring\"");
    let folder = from_day(
        Folder::new(VOCABULARY),
        "2025-01-01",
        &[
            ("training", "Marlow Ferries trains its staff with recordings.", &training),
            (
                "changes",
                "We tell you of a change 14 days before it.",
                "effect = \"inform\"\nnotice-period = \"14 days\"",
            ),
        ],
    );
    let header = "effective = \"2026-03-01T16:30:00+02:00\"\nannounced = \"2026-02-01\"";
    published(
        folder,
        "2026-03-01",
        header,
        &[
            ("quality", "Marlow Ferries checks its quality with recordings.", &quality),
            (
                "no-training",
                "Nobody is trained with recordings any more.",
                "effect = \"forbid\"\npurposes = [\"staff-training\"]",
            ),
            ("keep", "Recordings end after 90 days.", "effect = \"keep\"\nperiod = \"90 days\""),
        ],
    )
    .load()
    .unwrap()
}

#[test]
fn a_change_takes_hold_in_its_second() {
    let policies = coaches_then_analysts();
    let ask = |made| answer(&policies, "analyst for quality-monitoring", made, "2026-03-02", "");
    assert_eq!(ask("2026-03-01T14:29:59Z"), "not-permitted");
    assert_eq!(ask("2026-03-01T14:29:59.999999Z"), "not-permitted");
    assert_eq!(ask("2026-03-01T14:30:00Z"), "permit 2026-03-01/quality");
    assert_eq!(ask("2026-03-01T14:30:00.000001Z"), "permit 2026-03-01/quality");
    assert_eq!(ask("2026-03-01T14:30:59Z"), "permit 2026-03-01/quality");
    assert_eq!(ask("2026-03-01T15:30:30+01:00"), "permit 2026-03-01/quality");
    assert_eq!(ask("2026-03-01T15:29:59+01:00"), "not-permitted");
}

#[test]
fn nothing_was_promised_before_the_first_notice() {
    let policies = coaches_then_analysts();
    let ask = |made, more| answer(&policies, "coach for staff-training", made, "2025-02-01", more);
    assert_eq!(ask("2024-12-31T23:59:59Z", ""), "no-notice");
    assert_eq!(ask("2025-01-01T00:00:00Z", ""), "permit 2025-01-01/training");
    // Not even by accepting what came later.
    assert_eq!(ask("2024-12-31T23:59:59Z", ", accepted = \"2025-01-01\""), "no-notice");
}

#[test]
fn a_notice_that_is_only_announced_changes_nothing() {
    let policies = coaches_then_analysts();
    for at in ["2026-01-31", "2026-02-01", "2026-02-28", "2026-03-01T14:29:59Z"] {
        let training = answer(&policies, "coach for staff-training", at, at, "");
        assert_eq!(training, "permit 2025-01-01/training", "{at}");
        let quality = answer(&policies, "coach for quality-monitoring", at, at, "");
        assert_eq!(quality, "not-permitted", "{at}");
    }
}

#[test]
fn a_later_notice_that_everybody_accepted_gives_more() {
    let policies = coaches_then_analysts();
    let ask = |at, more| answer(&policies, "coach for quality-monitoring", "2026-02-10", at, more);
    let accepted = ", accepted = \"2026-03-01\"";
    assert_eq!(ask("2026-03-02", ""), "not-permitted");
    assert_eq!(ask("2026-03-02", accepted), "permit 2026-03-01/quality");
    assert_eq!(ask("2026-03-01T14:30:00Z", accepted), "permit 2026-03-01/quality");
    // Accepting it beforehand does not bring it into force.
    assert_eq!(ask("2026-03-01T14:29:59Z", accepted), "not-permitted");
    assert_eq!(ask("2026-03-02", ", accepted = \"2099-01-01\""), "not-permitted");
    // An older one cannot be accepted into a newer one's place.
    let newer = answer(
        &policies,
        "coach for quality-monitoring",
        "2026-03-02",
        "2026-03-03",
        ", accepted = \"2025-01-01\"",
    );
    assert_eq!(newer, "permit 2026-03-01/quality");
}

#[test]
fn a_later_ban_takes_from_older_recordings_from_its_second_on() {
    let policies = coaches_then_analysts();
    let ask = |at| answer(&policies, "coach for staff-training", "2026-02-10", at, "");
    assert_eq!(ask("2026-03-01T14:29:59Z"), "permit 2025-01-01/training");
    assert_eq!(ask("2026-03-01T14:29:59.999999Z"), "permit 2025-01-01/training");
    assert_eq!(ask("2026-03-01T14:30:00Z"), "forbidden 2026-03-01/no-training");
    assert_eq!(ask("2026-04-01"), "forbidden 2026-03-01/no-training");
}

#[test]
fn a_later_shorter_period_ends_older_recordings_from_its_second_on() {
    let old = permits("\"coach\"", "\"research\"");
    let policies = changed(
        ("2025-01-01", &[("research", "Abbotsmere studies recordings.", &old)]),
        (
            "2026-03-01",
            &[("keep", "Recordings end after 90 days.", "effect = \"keep\"\nperiod = \"90 days\"")],
        ),
    );
    let ask = |made, at| answer(&policies, "coach for research", made, at, "");
    assert_eq!(ask("2025-06-01", "2026-02-28T23:59:59Z"), "permit 2025-01-01/research");
    assert_eq!(ask("2025-06-01", "2026-03-01T00:00:00Z"), "forbidden 2026-03-01/keep");
    // One that was made shortly before the change has its 90 days, to the second.
    let made = "2026-02-20T12:00:00Z";
    assert_eq!(ask(made, "2026-05-21T11:59:59Z"), "permit 2025-01-01/research");
    assert_eq!(ask(made, "2026-05-21T12:00:00Z"), "forbidden 2026-03-01/keep");
}

// Shapes that break naive readers.

/// "All calls are deleted within 90 days", and further down "sales calls after 24 months".
#[test]
fn a_contradiction_is_refused_with_both_sentences() {
    let all = "We delete the recordings of all calls within 90 days.";
    let sales = "The recordings of sales calls are deleted after 24 months.";
    let care = permits("\"agent\"", "\"customer-care\"");
    let load = |except: &str| {
        alone(&[
            ("care", "Dunmere uses recordings to help its customers.", &care),
            ("all", all, &format!("effect = \"keep\"\nperiod = \"90 days\"\n{except}")),
            ("sales", sales, "effect = \"keep\"\nperiod = \"24 months\"\ncall-types = [\"sales\"]"),
        ])
    };
    let problems = load("").unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].message,
        "`sales` speaks of 24 months, but `all` ends the same use after 90 days"
    );
    let quoted: Vec<&str> = problems[0].notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(quoted, [sales, all]);

    let policies = load("except = [{ call-types = [\"sales\"] }]").unwrap();
    let ask = |at, kind| answer(&policies, "agent for customer-care", "2026-01-01", at, kind);
    let kind = ", call-type = \"sales\"";
    assert_eq!(ask("2026-06-01", kind), "permit 2026-01-01/care");
    assert_eq!(ask("2028-01-02", kind), "forbidden 2026-01-01/sales");
    // Nobody knows what kind of call it was, so neither sentence may be broken.
    assert_eq!(ask("2026-06-01", ""), "forbidden 2026-01-01/all");
}

/// "From 6 months for staff training to 5 years as evidence": in month 7 the file is still there.
#[test]
fn a_period_of_one_purpose_ends_that_purpose_alone() {
    let sentence = "We keep recordings 6 months for training, 5 years if they may be evidence.";
    let training = permits("\"coach\"", "\"staff-training\"");
    let evidence = permits("\"counsel\"", "\"legal-claims\"");
    let policies = alone(&[
        ("training", "Solway Lending trains its staff with recordings.", &training),
        ("evidence", "Its lawyers use recordings as evidence.", &evidence),
        (
            "months",
            sentence,
            "effect = \"keep\"\nperiod = \"6 months\"\npurposes = [\"staff-training\"]",
        ),
        ("years", sentence, "effect = \"keep\"\nperiod = \"5 years\""),
    ])
    .unwrap();
    let ask = |who, at| answer(&policies, who, "2026-01-01", at, "");
    assert_eq!(ask("coach for staff-training", "2026-06-01"), "permit 2026-01-01/training");
    assert_eq!(ask("coach for staff-training", "2026-08-01"), "forbidden 2026-01-01/months");
    assert_eq!(ask("counsel for legal-claims", "2026-08-01"), "permit 2026-01-01/evidence");
    assert_eq!(ask("counsel for legal-claims", "2031-01-02"), "forbidden 2026-01-01/years");
}

/// A transcript only where a query was raised or for fraud, and for a time of its own.
#[test]
fn a_transcript_is_for_fewer_purposes_than_the_recording() {
    let quality = permits("\"analyst\"", "\"quality-monitoring\", \"fraud-prevention\"");
    let texts = "effect = \"permit\"\nroles = [\"analyst\"]\nartefacts = [\"transcript\"]\n\
                 purposes = [\"account-queries\", \"fraud-prevention\"]";
    let only = "effect = \"require\"\nartefacts = [\"transcript\"]\n\
                only = { purposes = [\"account-queries\", \"fraud-prevention\"] }";
    let sentence = "A transcript is made only for a query or for fraud.";
    let policies = alone(&[
        ("quality", "Aldwater Council listens to recordings for quality and fraud.", &quality),
        ("texts", sentence, texts),
        ("only", sentence, only),
        (
            "keep-text",
            "A transcript is kept for 3 months.",
            "effect = \"keep\"\nperiod = \"3 months\"\nartefacts = [\"transcript\"]",
        ),
    ])
    .unwrap();
    let ask = |who, at, more| answer(&policies, who, "2026-01-01", at, more);
    let (soon, late) = ("2026-02-01", "2026-05-01");
    assert_eq!(ask("analyst for quality-monitoring", soon, ""), "permit 2026-01-01/quality");
    let text = ask("analyst for quality-monitoring", soon, TRANSCRIPT);
    assert_eq!(text, "forbidden 2026-01-01/only");
    assert_eq!(ask("analyst for fraud-prevention", soon, TRANSCRIPT), "permit 2026-01-01/texts");
    assert_eq!(ask("analyst for account-queries", soon, TRANSCRIPT), "permit 2026-01-01/texts");
    let text = ask("analyst for fraud-prevention", late, TRANSCRIPT);
    assert_eq!(text, "forbidden 2026-01-01/keep-text");
    assert_eq!(ask("analyst for fraud-prevention", late, ""), "permit 2026-01-01/quality");
}

/// Only a head of service, "through a form and for a stated reason".
#[test]
fn access_takes_a_form_and_a_reason() {
    let head = permits("\"head-of-service\"", "\"complaint-handling\"")
        + "\nneeds = [\"reference\", \"reason\"]";
    let sentence = "Only a head of service hears a recording, by a form that gives a reason.";
    let policies = alone(&[("head", sentence, &head)]).unwrap();
    let ask = |role: &str, stated: &str| {
        let who = format!("{role} for complaint-handling");
        let stated = format!("request = {{ circumstances = [{stated}] }}\n");
        ask(&policies, &(stated + &asked(&who, "2026-02-01", "2026-02-02", "")))
    };
    assert_eq!(
        told(&ask("head-of-service", "\"reference\", \"reason\"")),
        "permit 2026-01-01/head"
    );
    for (stated, header) in [
        ("\"reference\"", "`Noticegate-Reason`"),
        ("\"reason\"", "`Noticegate-Reference`"),
        ("", "`Noticegate-Reference`"),
    ] {
        let refused = ask("head-of-service", stated);
        assert_eq!(refused.reason, Some("not-permitted"), "{stated}");
        assert!(refused.sentence.contains(header) && refused.sentence.contains(sentence));
    }
    let agent = ask("agent", "\"reference\", \"reason\"");
    assert_eq!(agent.reason, Some("not-for-caller"));
    assert!(!agent.sentence.contains("form"), "who may not know of it is not told");
}

#[test]
fn those_who_were_on_the_call_may_hear_it() {
    let own = permits("\"agent\"", "\"quality-monitoring\"") + "\nneeds = [\"on-the-call\"]";
    let policies =
        alone(&[("own", "Those who were on a call may listen to it again.", &own)]).unwrap();
    let ask = |stated: &str| {
        let stated = format!("request = {{ circumstances = [{stated}] }}\n");
        let who = "agent for quality-monitoring";
        told(&ask(&policies, &(stated + &asked(who, "2026-02-01", "2026-02-02", ""))))
    };
    assert_eq!(ask("\"on-the-call\""), "permit 2026-01-01/own");
    assert_eq!(ask(""), "not-permitted");
    assert_eq!(ask("\"manages-agent\""), "not-permitted");
}

#[test]
fn one_recipient_gets_the_whole_and_another_a_part() {
    let solicitor = permits("\"counsel\"", "\"legal-claims\"") + "\nrecipients = [\"solicitor\"]";
    let supplier = permits("\"counsel\"", "\"legal-claims\"")
        + "\nrecipients = [\"supplier\"]\nneeds = [\"part-only\", \"contract\"]";
    let policies = alone(&[
        ("whole", "Our solicitors receive the whole recording.", &solicitor),
        (
            "part",
            "Suppliers under our contract receive the part of a recording they need.",
            &supplier,
        ),
    ])
    .unwrap();
    let give =
        |to: &str| share(&policies, "counsel for legal-claims", "2026-02-01", "2026-02-02", to, "");
    assert_eq!(give("\"solicitor\""), "permit 2026-01-01/whole");
    assert_eq!(give("\"supplier\""), "not-permitted");
    let part = |stated: &str| give(&format!("\"supplier\", circumstances = [{stated}]"));
    assert_eq!(part("\"part-only\", \"contract\""), "permit 2026-01-01/part");
    assert_eq!(part("\"contract\""), "not-permitted");
    assert_eq!(part("\"part-only\""), "not-permitted");
    assert_eq!(give("\"police\""), "not-permitted");
}

/// Objecting on the call, or by post long after it, stops what was objected to and no more.
#[test]
fn an_objection_ends_that_purpose_alone() {
    let both = permits("\"coach\"", "\"quality-monitoring\", \"staff-training\"");
    let policies = alone(&[
        ("both", "Castell College uses recordings for quality and training.", &both),
        (
            "object",
            "You can object to a use of your recording, also after the call.",
            "effect = \"require\"\nneeds = [\"no-objection\"]",
        ),
    ])
    .unwrap();
    let ask = |purpose: &str, more| {
        answer(&policies, &format!("coach for {purpose}"), "2026-02-01", "2026-02-02", more)
    };
    let objected = ", objections = [\"staff-training\"]";
    let quality = ask("quality-monitoring", objected);
    assert_eq!(quality, "permit 2026-01-01/both");
    let training = ask("staff-training", objected);
    assert_eq!(training, "forbidden 2026-01-01/object guardrail-objection");
    assert_eq!(ask("staff-training", ""), "permit 2026-01-01/both");
}

/// Only listed numbers, and only calls that come in.
#[test]
fn a_promise_is_about_its_lines_and_directions() {
    let about = permits("\"coach\"", "\"staff-training\"")
        + "\nlines = [\"orders\"]\ndirections = [\"inbound\"]";
    let policies =
        alone(&[("orders", "Rhosfawr trains with recordings of calls to its order line.", &about)])
            .unwrap();
    let ask =
        |more| answer(&policies, "coach for staff-training", "2026-02-01", "2026-02-02", more);
    assert_eq!(ask(", line = \"orders\", direction = \"inbound\""), "permit 2026-01-01/orders");
    for other in [
        ", line = \"orders\", direction = \"outbound\"",
        ", line = \"orders\", direction = \"internal\"",
        ", line = \"helpdesk\", direction = \"inbound\"",
        ", line = \"orders\"",
        ", direction = \"inbound\"",
        "",
    ] {
        assert_eq!(ask(other), "not-permitted", "{other}");
    }
}

/// A ban on calls of one direction holds where nobody knows the direction.
#[test]
fn a_ban_on_some_calls_holds_where_nobody_knows() {
    let training = permits("\"coach\"", "\"staff-training\"");
    let policies = alone(&[
        ("training", "Barrowby trains its staff with recordings.", &training),
        (
            "not-ours",
            "Recordings of calls that we make are not used.",
            "effect = \"forbid\"\ndirections = [\"outbound\"]",
        ),
    ])
    .unwrap();
    let ask =
        |more| answer(&policies, "coach for staff-training", "2026-02-01", "2026-02-02", more);
    assert_eq!(ask(", direction = \"inbound\""), "permit 2026-01-01/training");
    assert_eq!(ask(", direction = \"outbound\""), "forbidden 2026-01-01/not-ours");
    assert_eq!(ask(""), "forbidden 2026-01-01/not-ours");
}

#[test]
fn the_law_is_the_only_exception_to_no_sharing() {
    let sentence = "We share recordings with nobody unless the law obliges us to.";
    let law = permits("\"counsel\"", "\"law-enforcement-request\"")
        + "\nrecipients = [\"police\"]\nneeds = [\"reference\"]";
    let ban = "effect = \"forbid\"\nactions = [\"share\"]";
    let except = format!(
        "{ban}\nexcept = [{{ purposes = [\"law-enforcement-request\"], needs = [\"reference\"] }}]"
    );
    // Without the exception the two halves of the sentence contradict each other.
    let problems = alone(&[("law", sentence, &law), ("no", sentence, ban)]).unwrap_err();
    assert_eq!(
        problems[0].message,
        "clause `law` permits `share` to `police` for `law-enforcement-request`, but that is always refused \
         by `2026-01-01/no`"
    );
    let policies = alone(&[("law", sentence, &law), ("no", sentence, &except)]).unwrap();
    let give = |who, to| share(&policies, who, "2026-02-01", "2026-02-02", to, "");
    let demand = "\"police\", circumstances = [\"reference\"]";
    assert_eq!(give("counsel for law-enforcement-request", demand), "permit 2026-01-01/law");
    let no_reference = give("counsel for law-enforcement-request", "\"police\"");
    assert_eq!(no_reference, "forbidden 2026-01-01/no");
    assert_eq!(give("counsel for legal-claims", demand), "forbidden 2026-01-01/no");
    let other = give("counsel for law-enforcement-request", &demand.replace("police", "solicitor"));
    assert_eq!(other, "not-permitted");
}

/// "By this contract you agree, without further notice": that is consent, but not explicit consent.
#[test]
fn consent_by_contract_is_not_explicit() {
    let plain = permits("\"coach\"", "\"quality-monitoring\"") + "\nbasis = \"consent\"";
    let explicit = permits("\"coach\"", "\"staff-training\"") + "\nneeds = [\"explicit-consent\"]";
    let policies = alone(&[
        ("plain", "With your consent Carrow Cards checks recordings for quality.", &plain),
        ("explicit", "With your explicit consent it trains with recordings.", &explicit),
    ])
    .unwrap();
    let ask = |purpose: &str, form: &str| {
        let more = format!(", consent = \"given\"{form}");
        answer(&policies, &format!("coach for {purpose}"), "2026-02-01", "2026-02-02", &more)
    };
    assert_eq!(
        ask("quality-monitoring", ", consent-form = \"contract\""),
        "permit 2026-01-01/plain"
    );
    for form in [", consent-form = \"contract\"", ", consent-form = \"stayed-on\"", ""] {
        assert_eq!(ask("staff-training", form), "not-permitted", "{form}");
    }
    for form in [", consent-form = \"spoke\"", ", consent-form = \"pressed-key\""] {
        assert_eq!(ask("staff-training", form), "permit 2026-01-01/explicit", "{form}");
    }
}

/// "Only where you were told beforehand."
#[test]
fn without_an_announcement_there_is_no_use_at_all() {
    let care = permits("\"agent\", \"coach\"", "\"customer-care\", \"staff-training\"");
    let given = permits("\"counsel\"", "\"legal-claims\"") + "\nrecipients = [\"solicitor\"]";
    let policies = alone(&[
        ("care", "Vosk Rides uses recordings to help and to train.", &care),
        ("given", "Its solicitors receive recordings.", &given),
        (
            "told",
            "We record only where you were told beforehand.",
            "effect = \"require\"\nneeds = [\"announcement\"]",
        ),
    ])
    .unwrap();
    let heard = ", circumstances = [\"announcement\"]";
    for who in ["agent for customer-care", "coach for staff-training"] {
        let ask = |more| answer(&policies, who, "2026-02-01", "2026-02-02", more);
        assert_eq!(ask(heard), "permit 2026-01-01/care");
        assert_eq!(ask(""), "forbidden 2026-01-01/told");
        let details = asked(who, "2026-02-01", "2026-02-02", "");
        let details = ask_details(&policies, &details);
        assert_eq!(details, "forbidden 2026-01-01/told");
    }
    let give = |more| {
        let who = "counsel for legal-claims";
        share(&policies, who, "2026-02-01", "2026-02-02", "\"solicitor\"", more)
    };
    assert_eq!(give(heard), "permit 2026-01-01/given");
    assert_eq!(give(""), "forbidden 2026-01-01/told");
}

fn ask_details(policies: &Policies, question: &str) -> String {
    let explained = ask(policies, &format!("action = \"describe\"\n{question}"));
    assert_eq!(deciders(&explained), ["told"]);
    told(&explained)
}
