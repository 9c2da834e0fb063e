//! `check`: everything that can be wrong with a policy folder, and how it is told.

use std::path::Path;
use std::process::Command;

use cedar_policy::{Effect, Policy, PolicySet};
use noticegate::notice::{Class, Coverage, Note, Problem};
use noticegate::policy::{DerivedFile, Draft, Policies, PolicySources};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::policies::{Folder, append, ask, change, deciders, derive};

// A folder in memory, and what is wrong with it.

const VOCABULARY: &str = r#"purpose = [
  { id = "quality-monitoring", name = "quality" },
  { id = "marketing", name = "marketing" },
  { id = "newsletters", name = "newsletters", parents = ["marketing"] },
  { id = "profiling", name = "profiles", parents = ["marketing"], marked = true },
  { id = "rights-request", name = "a request" }, { id = "law-enforcement-request", name = "the law" }]
role = [
  { id = "team-lead", name = "team leads" },
  { id = "trainer", name = "trainers" },
]
recipient = [
  { id = "police", name = "the police" },
  { id = "supplier", name = "suppliers" },
]
line = [{ id = "surgery", name = "the surgery", numbers = ["+14045550101"] }]
label = [{ id = "health", name = "calls about health" }]
department = [{ id = "front-desk", name = "the front desk" }]
call-type = [{ id = "booking", name = "bookings" }]
"#;

const EFFECTIVE: &str = "effective = \"2026-01-01T00:00:00Z\"";

const TEXT: &str = "\
Calls with Larkmoor Dental are recorded.

Team leads listen to recordings
to check the quality of our service.

We delete a recording after 90 days.

We never share a recording.
";

/// Its first line is line 6 of `clauses.toml`.
const CLAUSES: &str = r#"[[clause]]
id = "scope"
quote = "Calls with Larkmoor Dental are recorded."
effect = "inform"

[[clause]]
id = "quality"
quote = "Team leads listen to recordings to check the quality of our service."
effect = "permit"
roles = ["team-lead"]
purposes = ["quality-monitoring"]

[[clause]]
id = "keep"
quote = "We delete a recording after 90 days."
effect = "keep"
period = "90 days"

[[clause]]
id = "no-sharing"
quote = "We never share a recording."
effect = "forbid"
actions = ["share"]
"#;

const FILE: &str = "notices/2026-01-01/clauses.toml";

fn with(vocabulary: &str, header: &str, text: &str, clauses: &str) -> Folder {
    Folder::new(vocabulary).notice("2026-01-01", header, text, clauses)
}

fn clauses(clauses: &str) -> Folder {
    with(VOCABULARY, EFFECTIVE, TEXT, clauses)
}

fn changed(all: &str, from: &str, to: &str) -> String {
    assert!(all.contains(from), "there is `{from}`");
    all.replacen(from, to, 1)
}

/// The only thing that is wrong.
fn problem(folder: Folder) -> Problem {
    let problems = folder.load().unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(!problems[0].warning);
    problems.into_iter().next().unwrap()
}

/// The only thing that is wrong once a passage of the clauses is changed.
fn broken(from: &str, to: &str) -> Problem {
    problem(clauses(&changed(CLAUSES, from, to)))
}

fn broken_vocabulary(from: &str, to: &str) -> Problem {
    problem(with(&changed(VOCABULARY, from, to), EFFECTIVE, TEXT, CLAUSES))
}

fn notes(problem: &Problem) -> Vec<(&str, &str)> {
    problem.notes.iter().map(|Note { label, text }| (label.as_str(), text.as_str())).collect()
}

/// The rows of a table, as cells.
fn rows(table: &str) -> impl Iterator<Item = Vec<String>> {
    let cells = |row: &str| row.split(" | ").map(|c| c.trim().replace("\\n", "\n")).collect();
    table.lines().filter(|row| !row.trim().is_empty()).map(cells)
}

/// Line, passage, what it becomes, how that is told, and the help if there is one: each change is
/// that one problem.
fn assert_each(table: &str) {
    for row in rows(table) {
        let [line, from, to, message] = &row[..4] else { panic!("{row:?}") };
        let problem = broken(from, to);
        assert_eq!(problem.to_string(), format!("{FILE}:{line}: {message}"));
        assert_eq!(problem.help.as_ref(), row.get(4), "{message}");
        assert_eq!(problem.notes, [], "{message}");
    }
}

/// The folder with its derived files, as it lies on disk.
fn derived_into(folder: &Folder) -> Result<PolicySources, Vec<Problem>> {
    let mut sources = folder.0.clone();
    for DerivedFile { path, text } in Draft::read(&sources).derive()? {
        match path.as_str() {
            "schema.cedarschema" => sources.schema = text,
            _ => sources.notices[0].clauses = text,
        }
    }
    Ok(sources)
}

#[test]
fn a_sound_folder_has_nothing_wrong() {
    let policies = clauses(CLAUSES).load().unwrap();
    assert_eq!(policies.count(), 4 + 3, "four guardrails, and a policy for each rule");
}

// Quotes.

#[test]
fn a_quote_that_is_not_in_the_text_is_told_with_what_comes_nearest() {
    let wrong = "Team leads may listen to recordings to check the quality of our services.";
    let right = "Team leads listen to recordings to check the quality of our service.";
    let problem = broken(right, wrong);
    let message = "clause `quality`: the quote does not stand in the notice word for word";
    assert_eq!(problem.to_string(), format!("{FILE}:13: {message}"));
    let diff = "Team leads {+may +}listen to recordings to check the quality of our \
                [-service.-]{+services.+}";
    assert_eq!(
        notes(&problem),
        [
            ("quote", wrong),
            ("nearest in notices/2026-01-01/notice.txt:3", right),
            ("from the notice to the quote", diff),
        ]
    );
    let help = "quote the notice as it was published, or take the clause out";
    assert_eq!(problem.help.as_deref(), Some(help));
}

#[test]
fn a_quote_that_nothing_comes_near_is_told_to_go() {
    let invented = "Elephants paint watercolours beneath umbrellas";
    let problem = broken("Calls with Larkmoor Dental are recorded.", invented);
    assert_eq!(problem.line, Some(8));
    assert_eq!(notes(&problem), [("quote", invented)]);
    let help = "nothing in notices/2026-01-01/notice.txt comes near; take the clause out";
    assert_eq!(problem.help.as_deref(), Some(help));
}

#[test]
fn a_short_quote_and_a_cut_word_prove_nothing() {
    let problem = broken("We never share a recording.", "We never share");
    let short = "the quote is shorter than 16 bytes; quote the whole sentence";
    assert_eq!(problem.to_string(), format!("{FILE}:26: clause `no-sharing`: {short}"));
    assert_eq!(notes(&problem), [("quote", "We never share")]);

    let problem = broken("We never share a recording.", "We never share a record");
    let cut = "the quote starts or ends within a word of the notice";
    assert_eq!(problem.to_string(), format!("{FILE}:26: clause `no-sharing`: {cut}"));
    let nearest = &problem.notes[1..];
    assert_eq!(nearest[0].label, "nearest in notices/2026-01-01/notice.txt:8");
    assert_eq!(nearest[1].text, "We never share a [-recording.-]{+record+}");
}

#[test]
fn the_line_of_a_quote_of_many_lines_is_its_first() {
    let quote = "\"Team leads listen to recordings to check the quality of our service.\"";
    let folded = "\"\"\"\nTeam leads\n   listen to recordings to\ncheck the quality of our \
                  service.\n\"\"\"";
    assert!(clauses(&changed(CLAUSES, quote, folded)).load().is_ok());
    let wrong = folded.replace("quality", "qualities");
    assert_eq!(broken(quote, &wrong).line, Some(13));
}

// Words that nobody knows.

#[test]
fn an_unknown_word_is_told_with_the_one_that_was_meant() {
    for row in rows(
        r#"
        16 | purposes = ["quality-monitoring"] | purposes = ["qualty-monitoring"] | quality-monitoring
        15 | roles = ["team-lead"] | roles = ["team-led"] | team-lead
        16 | roles = ["team-lead"] | roles = ["team-lead"]\nneeds = ["consnt"] | consent
        28 | actions = ["share"] | actions = ["shar"] | share
        28 | actions = ["share"] | recipients = ["polic"] | police
        28 | actions = ["share"] | lines = ["surgry"] | surgery
        28 | actions = ["share"] | labels = ["helth"] | health
        28 | actions = ["share"] | departments = ["front-dsk"] | front-desk
        28 | actions = ["share"] | call-types = ["boking"] | booking
        28 | actions = ["share"] | artefacts = ["transcrpt"] | transcript
        28 | actions = ["share"] | directions = ["inbond"] | inbound
        "#,
    ) {
        let [line, from, to, meant] = &row[..] else { panic!("{row:?}") };
        let problem = broken(from, to);
        let word = to.rsplit('"').nth(1).unwrap();
        assert_eq!((problem.file.as_str(), problem.line), (FILE, line.parse().ok()), "{to}");
        assert!(problem.message.starts_with("there is no "), "{}", problem.message);
        assert!(problem.message.ends_with(&format!("`{word}`")), "{}", problem.message);
        assert_eq!(problem.help, Some(format!("did you mean `{meant}`?")));
    }
}

#[test]
fn an_unknown_word_like_no_other_is_told_with_all_there_are() {
    let problem = broken("[\"quality-monitoring\"]", "[\"xyz\"]");
    let all = "there are law-enforcement-request, marketing, newsletters, profiling, \
               quality-monitoring, rights-request";
    assert_eq!(problem.help.as_deref(), Some(all));
    let country = "actions = [\"share\"]\ncountries = [\"gb\"]";
    let problem = broken("actions = [\"share\"]", country);
    assert_eq!((problem.line, problem.help), (Some(29), None));
}

#[test]
fn an_unknown_key_is_told_on_its_line() {
    let problem = broken("roles = ", "role = ");
    assert_eq!((problem.file.as_str(), problem.line), (FILE, Some(15)));
    assert!(problem.message.starts_with("unknown field `role`, expected one of `id`, "));
    let problem = broken("id = \"keep\"\n", "id = \"keep\"\nexcept = [{ role = [] }]\n");
    assert_eq!(problem.line, Some(20));
    let problem = broken("period = \"90 days\"", "period = 90");
    let told = format!("{FILE}:22: invalid type: integer `90`, expected a string");
    assert_eq!(problem.to_string(), told);
}

#[test]
fn an_unknown_effect_is_told_with_the_one_that_was_meant() {
    let problem = broken("effect = \"inform\"", "effect = \"infrom\"");
    assert_eq!(problem.to_string(), format!("{FILE}:9: there is no effect `infrom`"));
    assert_eq!(problem.help.as_deref(), Some("did you mean `inform`?"));
}

// Keys and effects.

#[test]
fn a_key_that_says_nothing_beside_its_effect_is_told() {
    for row in rows(
        r#"
         9 | inform | lines = ["surgery"] | selectors | this effect makes no rule
        14 | permit | period = "90 days" | period | `until` is the word in a `permit`
        14 | permit | except = [{ roles = ["trainer"] }] | except | it belongs to a prohibition
        21 | keep | until = "90 days" | until | `period` is the word in a `keep`
        21 | keep | basis = "contract" | basis | it is why something is permitted
        21 | keep | notice-period = "30 days" | notice-period | it is an `inform`
        27 | forbid | roles = ["trainer"] | roles | in a prohibition, name them in `except`
        27 | forbid | needs = ["consent"] | needs | `require` says what must hold
        27 | forbid | clock = "case-end" | clock | it says when a period begins
        27 | forbid | only = { purposes = ["marketing"] } | only | a closed list is a `require`
        "#,
    ) {
        let [line, effect, given, key, help] = &row[..] else { panic!("{row:?}") };
        let after = format!("effect = \"{effect}\"");
        let message = format!("`{key}` says nothing in a clause with the effect `{effect}`");
        assert_each(&format!("{line} | {after} | {after}\\n{given} | {message} | {help}"));
    }
}

#[test]
fn what_an_effect_cannot_do_without_is_told_at_the_clause() {
    assert_each(
        r#"
        12 | roles = ["team-lead"] | # | a clause with the effect `permit` needs `roles`
        12 | purposes = ["quality-monitoring"] | # | a clause with the effect `permit` needs `purposes`
        19 | period = "90 days" | # | a clause with the effect `keep` needs `period`
        19 | "keep"\nperiod = "90 days" | "require" | a clause with the effect `require` needs `needs` or `only`
        25 | actions = ["share"] | # | this forbids every use of every recording | say which: purposes, actions, recipients, …
         6 | effect = "inform" | # | missing field `effect`
        "#,
    );
}

#[test]
fn a_period_is_a_number_and_a_unit() {
    let form = "a period is a number and a unit, such as `90 days`, `12 months` or `6 years`, up \
                to 100 years";
    for bad in ["90 moons", "ninety days", "0 days", "90", "101 years", "90  days", "-1 days", ""] {
        let (right, wrong) = ("period = \"90 days\"", format!("period = \"{bad}\""));
        assert_each(&format!("22 | {right} | {wrong} | `{bad}`: {form}"));
    }
    let permit = "effect = \"permit\"";
    let until = format!("{permit}\\nuntil = \"a while\"");
    assert_each(&format!("15 | {permit} | {until} | `a while`: {form}"));
}

#[test]
fn lists_hold_something_and_nothing_twice() {
    assert_each(
        r#"
        29 | actions = ["share"] | actions = ["delete", "share",\n "share"] | `share` stands twice
        19 | period = "90 days" | period = "90 days"\nexcept = [{}] | an exception that names nothing would lift the whole clause
        "#,
    );
    for (from, to) in [
        ("purposes = [\"quality-monitoring\"]", "purposes = []"),
        ("roles = [\"team-lead\"]", "roles = []"),
        ("actions = [\"share\"]", "actions = [\"share\"]\nlines = []"),
    ] {
        let problem = broken(from, to);
        assert_eq!(problem.file, FILE);
        assert!(problem.message.starts_with("an empty list, where a "), "{}", problem.message);
    }
}

#[test]
fn ids_and_days_are_plain() {
    assert_each(
        r#"
        19 | id = "keep" | id = "quality" | there are two clauses `quality`
        19 | id = "keep" | id = "Keep_It" | the clause id `Keep_It` must be lower-case words joined by hyphens
        19 | id = "keep" | id = "../keep" | the clause id `../keep` must be lower-case words joined by hyphens
        23 | period = "90 days" | period = "90 days"\nreview = "soon" | `review` must be a day, such as `2027-03-01`
        "#,
    );
}

#[test]
fn sharing_is_a_clause_of_its_own_with_its_recipients() {
    assert_each(
        r#"
        12 | roles = | actions = ["share"]\nroles = | a permit to share must say with which `recipients`
        12 | roles = | actions = ["access", "share"]\nrecipients = ["police"]\nroles = | `recipients` and `countries` are about sharing alone | give sharing a clause of its own, with `actions = ["share"]`
        25 | effect = "forbid" | effect = "require"\nneeds = ["consent"]\nonly = { roles = ["trainer"] } | `only` takes no `roles` | forbid it, with `except = [{ roles = […] }]`
        25 | effect = "forbid"\nactions = ["share"] | effect = "require"\nonly = {} | `only` names nothing
        19 | period = "90 days" | period = "90 days"\nexcept = [{ recipients = ["police"], needs = ["reference"] }] | `recipients` and `countries` in `only` and `except` are about sharing alone | write `actions = ["share"]`, and a clause of its own for the other uses
        "#,
    );
}

// The notice as a whole.

#[test]
fn the_second_a_notice_takes_effect_is_plain() {
    let moment = "`effective` must be a moment with an offset, such as `2026-03-01T00:00:00+00:00`";
    for (effective, message) in [
        ("2026-01-01T00:00:00.5Z", "`effective` must be a whole second"),
        ("2026-01-01T00:00:00.000000001Z", "`effective` must be a whole second"),
        ("2026-01-01", moment),
        ("2026-01-01T00:00:00", moment),
        ("next spring", moment),
    ] {
        let header = format!("effective = {effective:?}");
        let problem = problem(with(VOCABULARY, &header, TEXT, CLAUSES));
        assert_eq!(problem.to_string(), format!("{FILE}:5: {message}"));
    }
    let header = format!("{EFFECTIVE}\nannounced = \"in May\"");
    let problem = problem(with(VOCABULARY, &header, TEXT, CLAUSES));
    let message = "`announced` must be a day, such as `2027-03-01`";
    assert_eq!(problem.to_string(), format!("{FILE}:6: {message}"));
}

#[test]
fn two_notices_of_one_moment_are_refused() {
    let folder = clauses(CLAUSES);
    let header = "effective = \"2026-01-01T01:00:00+01:00\"";
    let problem = problem(folder.notice("other", header, TEXT, CLAUSES));
    let message = "notices 2026-01-01 and other take effect at the same moment; one of them must \
                   be later";
    assert_eq!(problem.to_string(), format!("notices: {message}"));
}

#[test]
fn a_text_that_was_changed_is_not_the_one_that_was_published() {
    let mut folder = clauses(CLAUSES);
    folder.0.notices[0].text.push_str("\nNothing else changes here.\n");
    let problem = problem(folder.clone());
    let message = "the text in `notice.txt` is not the one that was published";
    assert_eq!(problem.to_string(), format!("{FILE}: {message}"));
    // With the digest that it tells, the folder is sound again.
    let help = problem.help.unwrap();
    let digest = help.split('"').nth(1).unwrap().to_owned();
    let meaning = &mut folder.0.notices[0].meaning;
    let before = meaning.split("sha256 = \"").nth(1).unwrap()[..64].to_owned();
    *meaning = meaning.replace(&before, &digest);
    assert!(folder.load().is_ok());
}

#[test]
fn a_text_is_of_a_kind_that_can_be_read() {
    let mut folder = clauses(CLAUSES);
    let meaning = &mut folder.0.notices[0].meaning;
    *meaning = meaning.replace("notice.txt", "notice.pdf");
    let problem = problem(folder);
    assert_eq!(problem.to_string(), format!("{FILE}: `notice.pdf` must end in .md, .html or .txt"));
}

#[test]
fn a_folder_without_a_notice_is_refused() {
    let problem = problem(Folder::new(VOCABULARY));
    let message = "notices: there is no notice; without one nothing can be permitted";
    assert_eq!(problem.to_string(), message);
    let folder = Folder::new(VOCABULARY).notice("Not/A Name", EFFECTIVE, TEXT, CLAUSES);
    let message = "a notice version is 1 to 32 lower-case letters, digits, dots and hyphens";
    assert_eq!(Draft::read(&folder.0).problems()[0].message, message);
}

// Coverage.

fn coverage(folder: &Folder) -> Coverage {
    let draft = Draft::read(&folder.0);
    Coverage::of(&draft.notices().all()[0], draft.vocabulary())
}

#[test]
fn a_sentence_without_a_clause_is_told_whole() {
    let text = format!("{TEXT}\nWe also write transcripts\nof some calls.\nWe like tea.\n");
    let problem = problem(with(VOCABULARY, EFFECTIVE, &text, CLAUSES));
    let message = "no clause says what this sentence about recordings means";
    assert_eq!(problem.to_string(), format!("notices/2026-01-01/notice.txt:10: {message}"));
    assert_eq!(notes(&problem), [("the sentence", "We also write transcripts of some calls.")]);
    let help = "write a [[clause]] that quotes it, or an [[aside]] with the reason why it needs \
                none";
    assert_eq!(problem.help.as_deref(), Some(help));
}

#[test]
fn of_a_sentence_that_is_quoted_in_part_the_rest_is_told() {
    let sentence = "We delete a recording after 90 days, and its transcript after 6 months.";
    let text = changed(TEXT, "We delete a recording after 90 days.", sentence);
    let some = changed(CLAUSES, "after 90 days.", "after 90 days");
    let problem = problem(with(VOCABULARY, EFFECTIVE, &text, &some));
    assert_eq!(problem.line, Some(6));
    let rest = ", and its transcript after 6 months.";
    assert_eq!(notes(&problem), [("the sentence", sentence), ("not quoted", rest)]);
}

#[test]
fn an_aside_covers_a_sentence_and_says_why() {
    let text = format!("{TEXT}\nWe began to record calls in 1998.\n");
    let aside = |quote: &str, reason: &str| {
        let aside = format!("[[aside]]\nquote = {quote:?}\nreason = {reason:?}\n");
        with(VOCABULARY, EFFECTIVE, &text, &format!("{CLAUSES}{aside}"))
    };
    let quote = "We began to record calls in 1998.";
    let sound = aside(quote, "history");
    assert_eq!(coverage(&sound).count(Class::Aside), 1);
    assert!(sound.load().is_ok());
    let empty = problem(aside(quote, " "));
    assert_eq!(empty.to_string(), format!("{FILE}:31: say why this sentence needs no clause"));
    let wrong = problem(aside("We began to record calls in 1989.", "history"));
    let message = "an aside: the quote does not stand in the notice word for word";
    assert_eq!(wrong.to_string(), format!("{FILE}:30: {message}"));
}

#[test]
fn coverage_counts_what_each_sentence_became() {
    let folder = clauses(CLAUSES);
    let all = coverage(&folder);
    assert_eq!(all.sentences.len(), 4);
    assert_eq!((all.count(Class::Rule), all.count(Class::Information), all.percent()), (3, 1, 100));
    assert_eq!(all.sentences[1].sentence.line, 3);
    assert_eq!(all.sentences[1].clauses, ["quality"]);

    let text =
        format!("{TEXT}\nWe like tea.\n\nCalls are short.\n\nWe keep calls for some time.\n");
    let undecided = "[[clause]]\nid = \"some\"\nquote = \"We keep calls for some time.\"\n\
                     effect = \"undecided\"\n";
    let some = coverage(&with(VOCABULARY, EFFECTIVE, &text, &format!("{CLAUSES}{undecided}")));
    let classes: Vec<Class> = some.sentences.iter().map(|covered| covered.class).collect();
    assert_eq!(
        classes,
        [
            Class::Information,
            Class::Rule,
            Class::Rule,
            Class::Rule,
            Class::NotAboutRecordings,
            Class::Uncovered,
            Class::Undecided,
        ]
    );
    // Four of the six that speak of recordings: 66.67 %, rounded down.
    assert_eq!(some.percent(), 66);
    // A notice that says nothing about recordings leaves nothing open.
    assert_eq!(coverage(&with(VOCABULARY, EFFECTIVE, "We like tea.\n", "")).percent(), 100);
}

#[test]
fn a_sentence_that_stands_twice_is_covered_twice() {
    let text = format!("{TEXT}\nWe like tea.\n\nWe never share a recording.\n");
    let folder = with(VOCABULARY, EFFECTIVE, &text, CLAUSES);
    assert_eq!(coverage(&folder).sentences[5].clauses, ["no-sharing"]);
    assert!(folder.load().is_ok());
}

#[test]
fn coverage_looks_for_the_words_of_the_organisation() {
    let text = "Wir zeichnen Anrufe auf.\n";
    let words = |words: &str| {
        with(&format!("{VOCABULARY}[coverage]\nwords = [{words}]\n"), EFFECTIVE, text, "")
    };
    assert_eq!(coverage(&words("\"Anruf\", \"aufzeichn\"")).count(Class::Uncovered), 1);
    assert_eq!(coverage(&with(VOCABULARY, EFFECTIVE, text, "")).count(Class::Uncovered), 0);
    assert_eq!(problem(words("\"anruf\"")).line, Some(1));
}

#[test]
fn what_is_undecided_cannot_be_published() {
    let vague =
        changed(CLAUSES, "effect = \"keep\"\nperiod = \"90 days\"", "effect = \"undecided\"");
    let problem = problem(clauses(&vague));
    let message = "clause `keep` is undecided: it permits nothing";
    assert_eq!(problem.to_string(), format!("{FILE}:19: {message}"));
    assert_eq!(notes(&problem), [("the notice says", "We delete a recording after 90 days.")]);
    let help = "write what it means: a purpose that the vocabulary has, a period with a number";
    assert_eq!(problem.help.as_deref(), Some(help));
}

// Clauses against each other, guardrails and the notice before.

#[test]
fn a_permit_that_a_clause_always_refuses_is_told_with_both_quotes() {
    let problem = broken("actions = [\"share\"]", "purposes = [\"quality-monitoring\"]");
    let message = "clause `quality` permits `access` for `quality-monitoring`, but that is always \
                   refused by `2026-01-01/no-sharing`";
    assert_eq!(problem.to_string(), format!("{FILE}:12: {message}"));
    let quality = "Team leads listen to recordings to check the quality of our service.";
    let ban = "We never share a recording.";
    assert_eq!(notes(&problem), [("`quality` says", quality), ("`no-sharing` says", ban)]);
    let help = "the sentences contradict each other: narrow one of them, or write an `except` in \
                `no-sharing`";
    assert_eq!(problem.help.as_deref(), Some(help));
    // A ban on some calls leaves the permit alive.
    let some = "purposes = [\"quality-monitoring\"]\ndirections = [\"outbound\"]";
    assert!(clauses(&changed(CLAUSES, "actions = [\"share\"]", some)).load().is_ok());
}

#[test]
fn a_permit_that_a_guardrail_always_refuses_is_told() {
    let mut folder = clauses(&changed(CLAUSES, "\"quality-monitoring\"", "\"marketing\""));
    folder.0.guardrails.push_str(
        "\n@id(\"house-rule\")\n@reason(\"we never advertise\")\n\
         forbid (principal, action, resource)\n\
         when { context.purpose == Noticegate::Purpose::\"marketing\" };\n",
    );
    let problem = problem(folder);
    let message = "clause `quality` permits `access` for `marketing`, but that is always refused \
                   by `house-rule`";
    assert_eq!(problem.to_string(), format!("{FILE}:12: {message}"));
    assert_eq!(notes(&problem)[1], ("the guardrail says", "we never advertise"));
    let help = "the notice promises what a guardrail never allows: change one of them";
    assert_eq!(problem.help.as_deref(), Some(help));
}

#[test]
fn a_permission_may_not_outlive_the_recording() {
    let permit = "roles = [\"team-lead\"]\nuntil = \"4 months\"";
    let problem = broken("roles = [\"team-lead\"]", permit);
    let message = "`quality` speaks of 4 months, but `keep` ends the same use after 90 days";
    assert_eq!(problem.to_string(), format!("{FILE}:12: {message}"));
    assert_eq!(notes(&problem)[1], ("`keep` says", "We delete a recording after 90 days."));
    assert!(
        problem.help.unwrap().contains("write `except = [{ … }]` with its selectors in `keep`")
    );
    // 3 months count as 89 days, and 90 days are no longer than 90 days.
    for fits in ["3 months", "90 days"] {
        let fits = permit.replace("4 months", fits);
        assert!(clauses(&changed(CLAUSES, "roles = [\"team-lead\"]", &fits)).load().is_ok());
    }
    // It may where the shorter period excepts it.
    let longer = changed(CLAUSES, "roles = [\"team-lead\"]", permit);
    let except = "period = \"90 days\"\nexcept = [{ purposes = [\"quality-monitoring\"] }]";
    assert!(clauses(&changed(&longer, "period = \"90 days\"", except)).load().is_ok());
    // An exception for others, or under a condition that the permission does not ask for, is none.
    for other in ["roles = [\"trainer\"]", "needs = [\"hold\"]"] {
        let except = format!("period = \"90 days\"\nexcept = [{{ {other} }}]");
        let all = changed(&longer, "period = \"90 days\"", &except);
        assert_eq!(clauses(&all).load().unwrap_err()[0].message, message);
    }
}

#[test]
fn a_change_comes_no_sooner_than_people_were_promised() {
    let sentence = "We tell you 30 days before we change this notice.";
    let clause = format!(
        "[[clause]]\nid = \"changes\"\nquote = {sentence:?}\neffect = \"inform\"\n\
         notice-period = \"30 days\"\n"
    );
    let load = |announced: &str| {
        let first = Folder::new(VOCABULARY);
        let first = first.notice("2025", "effective = \"2025-01-01T00:00:00Z\"", sentence, &clause);
        first.notice("2026-01-01", &format!("{EFFECTIVE}\n{announced}"), TEXT, CLAUSES)
    };
    assert!(load("announced = \"2025-12-02\"").load().is_ok());
    let late = problem(load("announced = \"2025-12-03\""));
    let message = "notice 2025 promised 30 days before a change, but this one was announced on \
                   2025-12-03 and takes effect on 2026-01-01";
    assert_eq!(late.to_string(), format!("{FILE}: {message}"));
    assert_eq!(notes(&late), [("the promise", sentence)]);
    assert_eq!(late.help.as_deref(), Some("let it take effect on 2026-01-02 or later"));
    let never = problem(load(""));
    let message = "notice 2025 promised 30 days before a change, and nothing says when people were \
                   told of this one";
    assert_eq!(never.to_string(), format!("{FILE}: {message}"));
    let help = "add `announced = \"…\"`, the day they were told";
    assert_eq!(never.help.as_deref(), Some(help));
}

/// Where people are told beforehand, a month is as long as it is, and not the shortest there is.
#[test]
fn a_month_before_a_change_is_that_month() {
    let sentence = "We tell you one month before a change.";
    let clause = format!(
        "[[clause]]\nid = \"changes\"\nquote = {sentence:?}\neffect = \"inform\"\n\
         notice-period = \"1 month\"\n"
    );
    for (announced, effective, fits) in [
        ("2026-01-01", "2026-01-29", false),
        ("2026-01-01", "2026-01-31", false),
        ("2026-01-01", "2026-02-01", true),
        ("2026-02-01", "2026-02-28", false),
        ("2026-02-01", "2026-03-01", true),
    ] {
        let first = Folder::new(VOCABULARY);
        let first = first.notice("2025", "effective = \"2025-01-01T00:00:00Z\"", sentence, &clause);
        let header = format!("effective = \"{effective}T00:00:00Z\"\nannounced = {announced:?}");
        let loaded = first.notice("2026-01-01", &header, TEXT, CLAUSES).load();
        assert_eq!(loaded.is_ok(), fits, "{announced} {effective}");
    }
}

// The vocabulary.

#[test]
fn what_is_wrong_with_the_vocabulary_is_told_on_its_line() {
    for row in rows(
        r#"
        5 | "profiling" | "newsletters" | there are two of purpose `newsletters`
        9 | "trainer" | "team-lead" | there are two of role `team-lead`
        13 | "supplier" | "police" | there are two of recipient `police`
        13 | "supplier" | "Supplier Ltd" | the recipient id `Supplier Ltd` must be lower-case words joined by hyphens, 64 bytes at most
        15 | "surgery" | "sur--gery" | the line id `sur--gery` must be lower-case words joined by hyphens, 64 bytes at most
        16 | "health" | "he\"alth" | the label id `he"alth` must be lower-case words joined by hyphens, 64 bytes at most
        5 | "profiling" | "any" | `any` is no purpose; it stands for all of them
        9 | name = "trainers" | name = " " | role `trainer` needs a name of 1 to 200 bytes that can all be seen
        9 | name = "trainers" | name = "a\u000ab" | role `trainer` needs a name of 1 to 200 bytes that can all be seen
        5 | marked = true | iri = "DPV Marketing" | `DPV Marketing` is not an IRI (`https://…` or `urn:…`)
        5 | marked = true | broader = ["urn:a b"] | `urn:a b` is not an IRI (`https://…` or `urn:…`)
        "#,
    ) {
        let [line, from, to, message] = &row[..] else { panic!("{row:?}") };
        let problem = broken_vocabulary(from, to);
        assert_eq!(problem.to_string(), format!("vocabulary.toml:{line}: {message}"));
    }
    let old = "name = \"marketing\", iri = \"http://www.w3.org/ns/dpv#Marketing\"";
    let problem = broken_vocabulary("name = \"marketing\"", old);
    assert_eq!((problem.file.as_str(), problem.line), ("vocabulary.toml", Some(3)));
}

#[test]
fn a_parent_is_known_and_nothing_is_above_itself() {
    let problem = broken_vocabulary("parents = [\"marketing\"]", "parents = [\"marketting\"]");
    assert_eq!(problem.to_string(), "vocabulary.toml:4: there is no purpose `marketting`");
    assert_eq!(problem.help.as_deref(), Some("did you mean `marketing`?"));
    let problem =
        broken_vocabulary("name = \"suppliers\"", "name = \"suppliers\", parent = \"polise\"");
    assert_eq!(problem.to_string(), "vocabulary.toml:13: there is no recipient `polise`");
    assert_eq!(problem.help.as_deref(), Some("did you mean `police`?"));

    let round = "name = \"marketing\", parents = [\"newsletters\"]";
    let vocabulary = changed(VOCABULARY, "name = \"marketing\"", round);
    let problems = with(&vocabulary, EFFECTIVE, TEXT, CLAUSES).load().unwrap_err();
    let told: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let expected = ["purpose `marketing` is above itself", "purpose `newsletters` is above itself"];
    assert_eq!(told, expected);
    let own = "name = \"suppliers\", parent = \"supplier\"";
    let problem = broken_vocabulary("name = \"suppliers\"", own);
    assert_eq!(problem.message, "recipient `supplier` is above itself");
}

#[test]
fn a_bad_number_is_told_without_the_number() {
    for bad in ["14045550101", "+1404555010x", "+123456", "+1234567890123456", "surgery", ""] {
        let problem = broken_vocabulary("+14045550101", bad);
        let message = "a number of line `surgery` is not `+` and 7 to 15 digits";
        assert_eq!(problem.to_string(), format!("vocabulary.toml:15: {message}"));
        assert_eq!((problem.notes.len(), problem.help), (0, None));
    }
    let second = "},\n  { id = \"other\", name = \"x\", numbers = [\"+14045550101\"] }]\nlabel";
    let problem = broken_vocabulary("}]\nlabel", second);
    let message = "the number belongs to another line, too";
    assert_eq!(problem.to_string(), format!("vocabulary.toml:16: {message}"));
}

#[test]
fn a_permit_brings_children_but_no_marked_one_and_a_ban_brings_all() {
    let permit = changed(CLAUSES, "\"quality-monitoring\"", "\"marketing\"");
    let question = |purpose: &str| {
        format!(
            "roles = [\"team-lead\"]\npurpose = {purpose:?}\nat = \"2026-02-01T00:00:00Z\"\n\
             recording = {{ made = \"2026-01-15T00:00:00Z\" }}\n"
        )
    };
    let policies = clauses(&permit).load().unwrap();
    for (purpose, permitted) in [("marketing", true), ("newsletters", true), ("profiling", false)] {
        assert_eq!(ask(&policies, &question(purpose)).permitted, permitted, "{purpose}");
    }
    let named = changed(CLAUSES, "\"quality-monitoring\"", "\"profiling\"");
    let policies = clauses(&named).load().unwrap();
    assert!(ask(&policies, &question("profiling")).permitted, "named, it is granted");
    let ban = changed(CLAUSES, "actions = [\"share\"]", "purposes = [\"marketing\"]");
    let policies = clauses(&ban).load().unwrap();
    for purpose in ["marketing", "newsletters", "profiling"] {
        let refused = ask(&policies, &question(purpose));
        assert_eq!(deciders(&refused), ["no-sharing"], "{purpose}");
    }
}

// Derived files.

#[test]
fn a_derived_file_is_what_is_derived() {
    let sound = derived_into(&clauses(CLAUSES)).unwrap();
    assert!(Policies::load(&sound).is_ok());
    // Line ends are no content.
    let mut sources = sound.clone();
    sources.notices[0].clauses = sound.notices[0].clauses.replace('\n', "\r\n");
    assert!(Policies::load(&sources).is_ok());

    let told = |sources: &PolicySources| {
        let problems = Policies::load(sources).unwrap_err().problems;
        assert_eq!(problems.len(), 1);
        let help = "run `noticegate derive`, and read what changes";
        assert_eq!(problems[0].help.as_deref(), Some(help));
        problems[0].to_string()
    };
    let differs = "this is not what the clauses and the vocabulary derive";
    let (cedar, schema) = ("notices/2026-01-01/clauses.cedar", "schema.cedarschema");
    let text = &sound.notices[0].clauses;
    let line = 1 + text[..text.find("forbid (").unwrap()].matches('\n').count();
    sources.notices[0].clauses = text.replacen("forbid (", "permit (", 1);
    assert_eq!(told(&sources), format!("{cedar}:{line}: {differs}"));
    sources.notices[0].clauses.clear();
    assert_eq!(told(&sources), format!("{cedar}: the derived file is not there"));
    let more = "permit (principal, action, resource);\n";
    sources.notices[0].clauses = format!("{text}{more}");
    assert_eq!(told(&sources), format!("{cedar}:{}: {differs}", 1 + text.lines().count()));
    sources.notices[0].clauses = text.clone();
    sources.schema = sound.schema.replacen("consent: Consent", "consent: Label", 1);
    assert!(told(&sources).starts_with(&format!("{schema}:")));
}

// Text that would like to be code.

const HOSTILE: [&str; 10] = [
    r#"Recordings "}) permit (principal, action, resource);"#,
    r#"Recordings are \") permit (principal, action, resource); // kept"#,
    r"Recordings \\ end in \u{22} backslashes \",
    r#"Recordings @id("x") @quote("y") permit"#,
    "Recordings // are /* kept */ # here",
    "Recordings are\nkept for\r\n  many \t days",
    "Recordings \u{202e}era\u{202c} \u{2066}kept\u{2069} for d\u{0430}ys",
    "Recordings\u{2028}end\u{2029}here\u{85}and\u{a0}there",
    "Recordings \u{0} \u{1b}[31m are red \u{7f}",
    "Recordings e\u{301}\u{301} 👩‍👩‍👧 \u{fe0f} \u{feff}are kept",
];

fn one_permit(quote: &str) -> Folder {
    let quoted = toml::Value::String(quote.to_owned());
    let clause = format!(
        "[[clause]]\nid = \"use\"\nquote = {quoted}\neffect = \"permit\"\n\
         roles = [\"team-lead\", \"trainer\"]\npurposes = [\"quality-monitoring\"]\n"
    );
    with(VOCABULARY, EFFECTIVE, quote, &clause)
}

/// One policy a role, each with the whole quote, and neither permits more than the clause says.
fn assert_inert(sources: &PolicySources, quote: &str) {
    // As an independent reader of Cedar finds it.
    let set: PolicySet = sources.notices[0].clauses.parse().unwrap();
    assert_eq!(set.templates().count(), 0);
    let found: Vec<&Policy> = set.policies().collect();
    assert_eq!(found.len(), 2, "{quote:?}");
    for policy in &found {
        assert_eq!(policy.effect(), Effect::Permit);
        assert_eq!(policy.annotation("quote"), Some(quote));
        assert_eq!(policy.annotations().count(), 5);
    }
    let mut ids: Vec<&str> = found.iter().filter_map(|policy| policy.annotation("id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["2026-01-01/use/team-lead", "2026-01-01/use/trainer"]);
    let policies = Policies::load(sources).unwrap();
    assert_eq!(policies.count(), 4 + 2);
    for (role, purpose, permitted) in [
        ("team-lead", "quality-monitoring", true),
        ("team-lead", "marketing", false),
        ("trainer", "profiling", false),
    ] {
        let question = format!(
            "roles = [{role:?}]\npurpose = {purpose:?}\nat = \"2026-02-01T00:00:00Z\"\n\
             recording = {{ made = \"2026-01-15T00:00:00Z\" }}\n"
        );
        assert_eq!(ask(&policies, &question).permitted, permitted, "{role} {purpose} {quote:?}");
    }
}

#[test]
fn a_hostile_quote_is_words_and_nothing_else() {
    for quote in HOSTILE {
        assert_inert(&derived_into(&one_permit(quote)).unwrap(), quote);
    }
}

#[test]
fn a_hostile_name_is_a_comment_and_nothing_else() {
    // A name with signs that cannot be seen is refused; see below.
    let seen = |name: &&&str| {
        let hidden = |c: char| c.is_control() || ('\u{200b}'..='\u{206f}').contains(&c);
        !name.contains(hidden)
    };
    for name in HOSTILE.iter().filter(seen) {
        let quote = "Recordings are used to check quality.";
        let named = toml::Value::String((*name).to_owned()).to_string();
        let mut folder = one_permit(quote);
        let vocabulary = changed(VOCABULARY, "\"team leads\"", &named);
        folder.0.vocabulary = changed(&vocabulary, "\"quality\"", &named);
        assert_inert(&derived_into(&folder).unwrap(), quote);
    }
}

/// Printable text, with what Cedar and TOML give a meaning to among it.
fn any_quote() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "\\PC{1,12}",
        1 => prop::sample::select(&[
            "\"", "\\", "})", " permit (", "//", "@id(\"x\")", ";", "'''", "\"\"\"", "\u{202e}",
            "\u{2028}", ". ", "recording ", "\\u{41}", "{}", "if ", "\u{200d}", "\u{301}",
        ][..]).prop_map(str::to_owned),
    ];
    let parts = prop::collection::vec(part, 2..24).prop_map(|parts| parts.concat());
    parts
        .prop_map(|text| text.chars().take(80).collect())
        .prop_filter("16 characters at least", |text: &String| text.chars().count() >= 16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever a notice says, its quote is refused with a reason or permits what its clause says.
    #[test]
    fn no_quote_changes_what_its_clause_means(quote in any_quote()) {
        match derived_into(&one_permit(&quote)) {
            Ok(sources) => assert_inert(&sources, &quote),
            Err(problems) => prop_assert!(problems.iter().all(|p| p.line == Some(8))),
        }
    }
}

// Folders on disk, and the command line.

/// Lays a folder of one notice down, with its derived files.
fn on_disk(folder: &Folder, text: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let notice = place.path().join("notices/2026-01-01");
    std::fs::create_dir_all(&notice).unwrap();
    let meaning = folder.0.notices[0].meaning.replace("notice.txt", text);
    for (path, content) in [
        (place.path().join("vocabulary.toml"), &folder.0.vocabulary),
        (place.path().join("guardrails.cedar"), &folder.0.guardrails),
        (notice.join("clauses.toml"), &meaning),
        (notice.join(text), &folder.0.notices[0].text),
    ] {
        std::fs::write(path, content).unwrap();
    }
    let law = place.path().join("law");
    std::fs::create_dir(&law).unwrap();
    for file in ["consent.tsv", "area_codes.tsv"] {
        std::fs::copy(Path::new("policies/law").join(file), law.join(file)).unwrap();
    }
    derive(place.path());
    place
}

#[test]
fn a_page_is_quoted_as_its_reader_sees_it() {
    let page = "<!doctype html><title>Calls</title>\n<script>let recording = 1;</script>\n\
                <h1>Recordings</h1>\n<p>Calls with <b>Larkmoor</b> Dental are\n recorded.</p>\n\
                <p>We &lt;never&gt; share a recording.\n";
    let clauses = "[[clause]]\nid = \"scope\"\nquote = \"Calls with Larkmoor Dental are recorded.\"\n\
                   effect = \"inform\"\n[[clause]]\nid = \"no-sharing\"\n\
                   quote = \"We <never> share a recording.\"\neffect = \"forbid\"\n\
                   actions = [\"share\"]\n";
    let place = on_disk(&with(VOCABULARY, EFFECTIVE, page, clauses), "notice.html");
    let sources = noticegate::folder::read(place.path()).unwrap();
    let policies = Policies::load(&sources).unwrap();
    let notice = &policies.notices().all()[0];
    let found = notice.text.find("We <never> share a recording.").unwrap();
    assert_eq!(notice.text.line(found.start), 6);
    assert_eq!(Coverage::of(notice, policies.vocabulary()).percent(), 100);
    assert!(notice.text.find("let recording = 1;").is_err(), "no reader sees a script");
}

/// A copy of the sample, to break.
fn sample() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let place = tempfile::tempdir().unwrap();
    copy(Path::new("policies"), place.path());
    place
}

/// Runs a command on a folder: its exit status and what it says.
fn run(folder: &Path, words: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_noticegate"))
        .args(words.split(' '))
        .arg("--policies")
        .arg(folder)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

const NEWEST: &str = "notices/2026-03-01/clauses.toml";

#[test]
fn check_says_how_much_is_covered() {
    let folder = sample();
    let (status, said) = run(folder.path(), "check");
    assert_eq!(status, 0, "{said}");
    for version in ["2025-02-01", "2026-03-01"] {
        let covered = format!("notice {version}: 100% of what it says about recordings is covered");
        assert!(said.contains(&covered), "{said}");
    }
    assert!(said.ends_with("nothing is wrong\n"), "{said}");
}

#[test]
fn check_shows_a_wrong_quote_where_it_stands() {
    let folder = sample();
    let (right, wrong) = (
        "We do not use recordings to train computer models.",
        "We do not use recordings to train models.",
    );
    let line = 1 + std::fs::read_to_string(folder.path().join(NEWEST))
        .unwrap()
        .lines()
        .position(|line| line.contains(right))
        .unwrap();
    change(folder.path(), NEWEST, right, wrong);
    let (status, said) = run(folder.path(), "check");
    assert_eq!(status, 3, "{said}");
    let place = folder.path().join(NEWEST);
    for part in [
        "error: clause `no-model-training`: the quote does not stand in the notice word for word\n",
        &format!("--> {}:{line}\n", place.display()),
        &format!("{line} | quote = \"{wrong}\"\n"),
        &format!("= quote: {wrong}\n"),
        &format!("= nearest in notices/2026-03-01/notice.md:35: {right}\n"),
        "= from the notice to the quote: We do not use recordings to train [-computer -]models.\n",
        "= help: quote the notice as it was published, or take the clause out\n",
        "error: no clause says what this sentence about recordings means\n",
    ] {
        assert!(said.contains(part), "`{part}` in\n{said}");
    }
    assert!(said.ends_with("2 errors, 0 warnings\n"), "{said}");
}

#[test]
fn check_speaks_json_line_by_line() {
    let folder = sample();
    change(folder.path(), NEWEST, "period = \"12 months\"", "period = \"12 moons\"");
    let (status, said) = run(folder.path(), "check --format json");
    assert_eq!(status, 3);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let notices: Vec<&Value> = lines.iter().filter(|line| line["notice"].is_string()).collect();
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[0]["covered_percent"], 100);
    assert_eq!(notices[0]["sentences"][1]["class"], "information");
    let problem = lines.iter().find(|line| line["message"].is_string()).unwrap();
    assert_eq!((&problem["file"], &problem["warning"]), (&NEWEST.into(), &false.into()));
    assert!(problem["line"].is_u64());
}

#[test]
fn an_overdue_review_is_a_warning() {
    let folder = sample();
    change(folder.path(), NEWEST, "review = \"2027-03-01\"", "review = \"2026-03-02\"");
    let (status, said) = run(folder.path(), "check");
    assert_eq!(status, 0, "{said}");
    let warning =
        "warning: clause `transcription-supplier` was to be looked at again by 2026-03-02";
    assert!(said.contains(warning), "{said}");
    assert!(said.ends_with("0 errors, 1 warning\n"));
    assert_eq!(run(folder.path(), "check --deny-warnings").0, 1);
}

#[test]
fn derive_checks_and_repairs_what_is_derived() {
    let folder = sample();
    let (status, said) = run(folder.path(), "derive --check");
    assert_eq!((status, said.as_str()), (0, "5 derived files up to date\n"));
    let files = ["notices/2026-03-01/clauses.cedar", "schema.cedarschema", "decisions.out"];
    let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
    let before = files.map(read);
    files.iter().for_each(|file| append(folder.path(), file, "\n"));
    let touched = files.map(read);
    let (status, said) = run(folder.path(), "derive --check");
    assert_eq!(status, 1, "{said}");
    for file in files {
        let place = folder.path().join(file);
        assert!(said.contains(&format!("`{}` is not what is derived\n", place.display())));
    }
    assert!(files.map(read) == touched, "it only looks");
    let (status, said) = run(folder.path(), "derive");
    assert_eq!(status, 0, "{said}");
    assert!(files.map(read) == before, "they are as they were, byte for byte");
}

#[test]
fn derive_writes_nothing_of_a_broken_folder() {
    let folder = sample();
    change(
        folder.path(),
        NEWEST,
        "purposes = [\"marketing\", \"sell-data\"]",
        "purposes = [\"marketting\"]",
    );
    let cedar = folder.path().join("notices/2026-03-01/clauses.cedar");
    std::fs::write(&cedar, "touched").unwrap();
    let (status, said) = run(folder.path(), "derive");
    assert_eq!(status, 3);
    assert!(said.contains("did you mean `marketing`?"), "{said}");
    assert!(said.ends_with("nothing was derived: 1 error\n"), "{said}");
    assert_eq!(std::fs::read_to_string(&cedar).unwrap(), "touched");
}

#[test]
fn the_tests_of_a_folder_say_which_fails() {
    let folder = sample();
    let (status, said) = run(folder.path(), "test");
    assert_eq!(status, 0, "{said}");
    assert!(said.ends_with(" passed, 0 failed\n"));
    change(
        folder.path(),
        "tests/brambleside.toml",
        "decision = \"permit\"",
        "decision = \"refuse\"",
    );
    let (status, said) = run(folder.path(), "test");
    assert_eq!(status, 1, "{said}");
    let name = "a quality analyst hears a recent call of which nothing else is known";
    assert!(said.contains(&format!("error: `{name}` failed\n")), "{said}");
    assert!(said.contains("= came out: expected refuse, came permit by quality\n"), "{said}");
    assert!(said.ends_with(" passed, 1 failed\n"));
    change(
        folder.path(),
        "tests/brambleside.toml",
        "decision = \"refuse\"",
        "decision = \"maybe\"",
    );
    let (status, said) = run(folder.path(), "test");
    assert_eq!(status, 3);
    assert!(said.contains("a decision is `permit` or `refuse`, not `maybe`"), "{said}");
}

#[test]
fn explain_shows_the_sentence_its_clause_and_where_it_stands() {
    let folder = sample();
    let when = "--made 2026-10-01T09:00:00Z --at 2026-11-01T09:00:00Z";
    let ask = |words: &str| run(folder.path(), &format!("explain {words} {when}"));
    let (status, said) = ask("--role quality-analyst --purpose quality-monitoring");
    assert_eq!(status, 0, "{said}");
    let quote = "\"Our quality analysts and the leader of the team that took your call listen to \
                 recordings to check the quality of our service.\"";
    let sentence = format!("permitted: the privacy notice 2026-03-01 says {quote}\n");
    assert!(said.starts_with(&sentence), "{said}");
    assert!(said.contains("decided by clause `quality` of notice 2026-03-01\n"), "{said}");
    assert!(said.contains("\n      notices/2026-03-01/notice.md:17\n"), "{said}");

    let (status, said) = ask("--role trainer --purpose staff-training");
    assert_eq!(status, 2, "{said}");
    let quote = "\"We use recordings to train our staff only if everyone on the call has agreed to \
                 it.\"";
    let refused = "refused: The privacy notice 2026-03-01 does not allow `access` for \
                   `staff-training` here: ";
    assert!(said.starts_with(&format!("{refused}{quote}")), "{said}");
    assert!(said.contains("decided by clause `training-consent` of notice 2026-03-01\n"));
    assert!(said.contains("\n      notices/2026-03-01/notice.md:18\n"), "{said}");
    assert!(said.contains("nearest is clause `training` of notice 2026-03-01\n"), "{said}");

    let (status, said) = ask("--role trainner --purpose staff-training");
    let told = "noticegate: there is no role `trainner`; did you mean `trainer`?\n";
    assert_eq!((status, said.as_str()), (3, told));
    let (status, said) = ask("--role trainer --purpose staff-training --format json");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &said["permitted"]), (2, &false.into()));
    assert_eq!(said["decided_by"][0]["line"], 18);
}

fn clause(id: &str, quote: &str, rest: &str) -> String {
    format!("[[clause]]\nid = {id:?}\nquote = {quote:?}\n{rest}\n")
}

const MARKETING: &str = "effect = \"permit\"\nroles = [\"team-lead\"]\npurposes = [\"marketing\"]";

#[test]
fn recipients_that_are_above_each_other_are_told() {
    let round = changed(
        VOCABULARY,
        "name = \"the police\"",
        "name = \"the police\", parent = \"supplier\"",
    );
    let round =
        changed(&round, "name = \"suppliers\"", "name = \"suppliers\", parent = \"police\"");
    assert_eq!(with(&round, EFFECTIVE, TEXT, CLAUSES).load().unwrap_err().len(), 2);
}

#[test]
fn a_dead_recipient_is_told_wherever_it_stands_in_the_list() {
    let load = |list: &str| {
        let give = format!("{MARKETING}\nrecipients = {list}");
        let ban = clause(
            "ban",
            "We never share a recording.",
            "effect = \"forbid\"\nrecipients = [\"supplier\"]",
        );
        let more = clause("give", "We never share a recording.", &give) + &ban;
        let all =
            CLAUSES.split("[[clause]]\nid = \"no-sharing\"").next().unwrap().to_owned() + &more;
        clauses(&all).load().is_err()
    };
    assert_eq!(load("[\"supplier\", \"police\"]"), load("[\"police\", \"supplier\"]"));
}

#[test]
fn a_permit_to_delete_what_is_held_is_dead() {
    let delete = "effect = \"permit\"\nroles = [\"team-lead\"]\nactions = [\"delete\"]\n\
                  purposes = [\"marketing\"]\nneeds = [\"hold\"]";
    let all =
        CLAUSES.to_owned() + &clause("delete", "We delete a recording after 90 days.", delete);
    assert!(clauses(&all).load().is_err());
}

#[test]
fn a_promise_without_a_full_stop_is_a_promise() {
    let text = "Calls are recorded here.\n\nWe share every recording with insurers\n";
    let inform = clause("a", "Calls are recorded here.", "effect = \"inform\"");
    assert!(with(VOCABULARY, EFFECTIVE, text, &inform).load().is_err());
}

#[test]
fn a_quote_does_not_leave_out_the_never() {
    let text = "We never share recordings with anyone.\n";
    let permit = clause(
        "a",
        "share recordings with anyone.",
        &format!("{MARKETING}\nrecipients = [\"supplier\"]"),
    );
    let loaded = with(VOCABULARY, EFFECTIVE, text, &permit).load();
    assert!(loaded.is_err());
}

#[test]
fn an_old_dpv_id_is_told_where_the_new_one_is() {
    for scheme in ["http", "https"] {
        let old = format!("name = \"marketing\", iri = \"{scheme}://www.w3.org/ns/dpv#Marketing\"");
        let vocabulary = changed(VOCABULARY, "name = \"marketing\"", &old);
        let problems = with(&vocabulary, EFFECTIVE, TEXT, CLAUSES).load().unwrap_err();
        assert_eq!(problems[0].message, "DPV 2.3 has its terms under https://w3id.org/dpv#");
    }
}

#[test]
fn an_unknown_effect_is_the_only_problem_of_its_clause() {
    let problem = broken("effect = \"permit\"", "effect = \"permitt\"");
    assert_eq!(problem.message, "there is no effect `permitt`");
}

#[test]
fn a_name_cannot_turn_the_text_of_a_derived_file_around() {
    for sign in ['\u{202e}', '\u{2066}', '\u{2028}'] {
        let name = format!("\"team{sign} leads\"");
        let vocabulary = changed(VOCABULARY, "\"team leads\"", &name);
        let folder = with(&vocabulary, EFFECTIVE, TEXT, CLAUSES);
        let raw = derived_into(&folder).is_ok_and(|s| s.notices[0].clauses.contains(sign));
        assert!(!raw, "{sign:?}");
    }
}

#[test]
fn a_number_is_not_printed_where_the_list_is_forgotten() {
    let vocabulary = changed(VOCABULARY, "[\"+14045550101\"]", "\"+14045550101\"");
    let problems = with(&vocabulary, EFFECTIVE, TEXT, CLAUSES).load().unwrap_err();
    assert!(!problems[0].message.contains("3055550101"), "{}", problems[0].message);
}

#[test]
fn an_empty_list_is_told_at_its_clause() {
    // An empty list has no place of its own; its clause starts three lines above.
    assert_eq!(broken("roles = [\"team-lead\"]", "roles = []").line, Some(12));
}

#[test]
fn what_is_unknown_is_told_in_english() {
    let problem = broken("[\"quality-monitoring\"]", "[\"qualty\"]");
    assert_eq!(problem.message, "there is no purpose `qualty`");
}

/// Held recordings end too, later.
#[test]
fn what_is_excepted_from_one_period_may_have_a_longer_one() {
    let q = "Recordings end after 90 days, held ones after 6 years.";
    let short = "effect = \"keep\"\nperiod = \"90 days\"\nexcept = [{ needs = [\"hold\"] }]";
    let all =
        clause("short", q, short) + &clause("long", q, "effect = \"keep\"\nperiod = \"6 years\"");
    assert!(with(VOCABULARY, EFFECTIVE, q, &all).load().is_ok());
}
