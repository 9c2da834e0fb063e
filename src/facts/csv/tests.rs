//! Tables: what reads the same, what is refused with which words, and that what is written reads back.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::cell;
use super::*;

const CALL: &str = "CA0000000000000000000000000000ab01";

fn whatever(_: &Statement) -> Result<(), Unfit> {
    Ok(())
}

fn read_all(text: &str) -> Result<Vec<Line>, Vec<LineProblem>> {
    read(text.as_bytes(), Kind::ALL, whatever)
}

fn problems(text: &str) -> Vec<String> {
    read_all(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn one(text: &str) -> Value {
    let lines = read_all(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let [line] = lines.as_slice() else { panic!("one row: {lines:?}") };
    serde_json::to_value(&line.statement).unwrap()
}

#[test]
fn a_row_with_everything_is_a_statement_with_everything() {
    let table = format!(
        "About,Number,at,state,form,purposes,data,until,guardian,jurisdiction,language,leg,notice,\
         withdraw by,announcement,announcement-complete,announcement_ms,announcement_sha256,\
         proof_document,proof_sha256,proof_recording,proof_offset_ms\n\
         {CALL};RE0000000000000000000000000000ab01,+1 (404) 555-0123,2026-11-03T09:15:05Z,given,spoke,\
         staff-training; quality-monitoring,voice;a\\;b,2027-11-03T10:15:05+01:00,TRUE,US-CA,en-US,\
         {CALL},2026-03-01,by e-mail,greeting-3,yes,4200,{hash},form 7,{hash},\
         RE0000000000000000000000000000ab01,1500\n",
        hash = "a".repeat(64),
    );
    let hash = "a".repeat(64);
    assert_eq!(
        one(&table),
        json!({
            "about": [CALL, "RE0000000000000000000000000000ab01"],
            "consent": {
                "announcement": {"complete": true, "id": "greeting-3", "ms": 4200, "sha256": hash},
                "at": "2026-11-03T09:15:05Z",
                "data": ["voice", "a;b"],
                "form": "spoke",
                "guardian": true,
                "jurisdiction": "US-CA",
                "language": "en-US",
                "leg": CALL,
                "notice": "2026-03-01",
                "proof": {"document": "form 7", "offset_ms": 1500,
                    "recording": "RE0000000000000000000000000000ab01", "sha256": hash},
                "purposes": ["staff-training", "quality-monitoring"],
                "state": "given",
                "until": "2027-11-03T09:15:05Z",
                "withdraw_by": "by e-mail",
            },
            "participant": {"number": "+14045550123"},
        })
    );
}

#[test]
fn each_kind_has_its_row() {
    for (row, said) in [
        (
            "objection,,+14045550123,2026-11-03T09:15:05Z,,marketing,,,,,,,,,,",
            json!({"objection": {"at": "2026-11-03T09:15:05Z", "purposes": ["marketing"]}}),
        ),
        (
            "party,CALL,+14045550123,,,,US-CA,no,,,,,,,,",
            json!({"party": {"address": "US-CA", "agent": false}}),
        ),
        (
            "labels,CALL,,,,,,,support,sales,order,-,,,,",
            json!({"labels": {"call_type": "order", "department": "sales", "labels": [], "line": "support"}}),
        ),
        (
            "payment,CALL,,,,,,,,,,,yes,1000-2000; 3000-4000,,",
            json!({"payment": {"pauses": [{"end_ms": 2000, "start_ms": 1000},
                {"end_ms": 4000, "start_ms": 3000}], "taken": true}}),
        ),
        (
            "case,CALL,,2026-11-03T09:15:05Z,Closed,,,,,,,,,,C-1,",
            json!({"case": {"at": "2026-11-03T09:15:05Z", "id": "C-1", "open": false}}),
        ),
    ] {
        let header = "kind,about,number,at,state,purposes,address,agent,line,department,call_type,\
                      labels,taken,pauses,case,minor";
        let found = one(&format!("{header}\n{}\n", row.replace("CALL", CALL)));
        for (key, value) in said.as_object().unwrap() {
            assert_eq!(found[key], *value, "{row}");
        }
    }
}

#[test]
fn what_spreadsheets_make_of_a_table_reads_the_same() {
    let plain = "number,at,state\n+14045550123,2026-11-03T09:15:05Z,refused\n";
    for quirk in [
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        format!("\u{feff}{plain}"),
        plain.replace(',', ";"),
        plain.replace(',', "\t"),
        plain.replace("+1", "'+1"),
        plain.replace("+14045550123", "\" +1 (404) 555\u{2011}0123 \""),
        plain.replace("+14045550123", "+1.404.555.0123"),
        plain.replace("refused", "Refused "),
        format!("{plain},,\n\n , ,\n"),
        plain.trim_end().to_owned(),
        plain.replace("number", "Number"),
    ] {
        assert_eq!(read_all(&quirk), read_all(plain), "{quirk:?}");
    }
    assert_eq!(number("+44 (0)20 7946 0018"), Ok("+442079460018".to_owned()));
}

#[test]
fn every_bad_line_is_told_with_its_number() {
    let table = "number,name,at,state,purposes\r\n\
                 +14045550123,,2026-11-03T09:15:05Z,refused,\r\n\
                 4045550123,,2026-11-03T09:15:05Z,refused,\r\n\
                 +14045550123,,03/11/2026 09:15,refused,\r\n\
                 +14045550123,,2026-11-03,refused,\r\n\
                 +14045550123,,2026-11-03T09:15:05,refusd,\r\n\
                 ,\"Ana,\nof the desk\",2026-11-03T09:15:05Z,refused,\r\n\
                 +1404555012,,2026-11-03T09:15:05Z,refused,\r\n\
                 1.40456E+10,,2026-11-03T09:15:05Z,refused,\r\n\
                 ,,2026-11-03T09:15:05Z,refused,\r\n\
                 +14045550123,ana,2026-11-03T09:15:05Z,refused,\r\n\
                 +14045550123,,2026-11-03T09:15:05Z,refused\r\n\
                 +14045550123,,,given,Staff Training\r\n";
    let told = problems(table);
    let expected = [
        "line 3, number: this is no telephone number; write it with a plus sign",
        "line 4, at: nobody knows whether the day or the month comes first; write 2026-11-03T09",
        "line 5, at: a day is no moment",
        "line 6, at: nobody knows in which time zone this is",
        "line 6, state: `refusd` is not known here; did you mean `refused`?",
        "line 7, name: this does not fit; 1 to 200 bytes without control characters",
        "line 9, number: this is no telephone number; this is no whole telephone number",
        "line 10, number: this is no telephone number; a spreadsheet has rounded this number",
        "line 11, number: a consent is of somebody, and the row names nobody; fill in `number`",
        "line 12, name: a person is named by a number or by a name",
        "line 13: the row has 4 cells, and there are 5 columns",
        "line 14, at: every consent needs `at`; fill it in",
        "line 14, purposes: this cannot be read; a purpose is 1 to 64 lower-case",
    ];
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\nis not\n{expected}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert!(!told.join("").contains("555012"), "no number is repeated");
}

#[test]
fn a_header_that_is_wrong_is_told_before_any_row() {
    for (header, told) in [
        ("numbr,at,state", "line 1: there is no column `numbr`; did you mean `number`?"),
        ("number,at,state,at", "line 1: two columns are called `at`; keep one"),
        ("+14045550123,at", "line 1: there is no column `…`; the columns are kind, about"),
        ("+1 (404) 555-0123,at", "line 1: there is no column `…`; the columns are kind, about"),
    ] {
        let told_of = problems(&format!("{header}\nx,y,z\n"));
        assert!(told_of[0].starts_with(told), "{told_of:?}");
        assert_eq!(told_of.len(), 1);
    }
    assert_eq!(problems("")[0], "line 1: the table is empty; its first line names the columns");
    let absent = problems("number,state\n+14045550123,refused\n+14045550124,refused\n");
    assert_eq!(absent, ["line 1: there is no column `at`, which every consent needs; add it"]);
    let utf16 = read(b"\xff\xfen\0u\0", Kind::ALL, whatever).unwrap_err();
    assert!(utf16[0].to_string().contains("UTF-16"));
    let of_consents = read(b"number,labels\n", &[Kind::Consent], whatever).unwrap_err();
    assert!(of_consents[0].to_string().contains("no column `labels`"), "{of_consents:?}");
    let latin = read(b"name,at,state\nJos\xe9,2026-11-03T09:15:05Z,refused\n", Kind::ALL, whatever);
    assert!(latin.unwrap_err()[0].to_string().contains("no UTF-8"));
}

#[test]
fn a_cell_of_another_kind_is_no_accident() {
    let told = problems(&format!(
        "kind,about,number,at,state,purposes,case\ncase,{CALL},,2026-11-03T09:15:05Z,open,marketing,C1\n"
    ));
    assert_eq!(told, ["line 2, purposes: a case has no `purposes`; leave the cell empty"]);
    let hidden = problems("number,at,state\n+14045550123,2026-11-03T09:15:05Z,+1 404-555 0199\n");
    assert!(hidden[0].starts_with("line 2, state: `…` is not known here"), "{hidden:?}");
    let word = problems("kind,about\nconsnt,\n");
    assert_eq!(word, ["line 2, kind: `consnt` is not known here; did you mean `consent`?"]);
}

fn text() -> impl Strategy<Value = String> {
    // With everything that a table has to guard: separators, quotes, marks, escapes, other scripts.
    "[a-zé '=+@;,\"\\\\\u{a0}-]{0,8}[a-z=+'\"\\\\;-]".prop_map(|text| text.trim().to_owned())
}

fn time() -> impl Strategy<Value = String> {
    (0i64..2_000_000_000, 0i32..1_000_000_000)
        .prop_map(|(seconds, nanos)| jiff::Timestamp::new(seconds, nanos).unwrap().to_string())
}

fn sid(prefix: &'static str) -> impl Strategy<Value = String> {
    any::<u128>().prop_map(move |digits| format!("{prefix}{digits:032x}"))
}

fn who() -> impl Strategy<Value = Value> {
    let number =
        (2_000_000_000u64..9_999_999_999).prop_map(|n| json!({"number": format!("+1{n}")}));
    prop_oneof![number, text().prop_map(|name| json!({"name": name}))]
}

fn purposes() -> impl Strategy<Value = Vec<String>> {
    vec("[a-z]{1,8}(-[a-z0-9]{1,4})?", 0..3)
}

/// Leaves out what is null, false or empty, as statements do.
fn full(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        let empty = |value: &Value| match value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        map.retain(|_, value| !empty(value));
    }
    value
}

fn consent() -> impl Strategy<Value = Value> {
    let heard = option::of((text(), any::<bool>(), option::of(any::<u32>())));
    let proof = (option::of(text()), option::of(any::<u32>()), option::of(sid("RE")));
    let more = (option::of(sid("CA")), option::of(text()), option::of("[a-z0-9]{1,9}"));
    (time(), 0usize..5, purposes(), vec(text(), 0..3), heard, proof, more, any::<bool>()).prop_map(
        |(at, state, purposes, data, heard, proof, (leg, withdraw_by, notice), guardian)| {
            let state = crate::facts::Consent::ALL[state].as_str();
            let given = state == "given";
            let heard = heard.map(|(id, complete, ms)| {
                full(json!({"id": id, "complete": complete, "ms": ms, "sha256": "0".repeat(64)}))
            });
            let (document, offset, recording) = proof;
            let proof =
                full(json!({"document": document, "offset_ms": offset, "recording": recording}));
            json!({"consent": full(json!({
                "announcement": heard, "at": at, "data": data, "form": given.then_some("wrote"),
                "guardian": given && guardian, "leg": leg, "notice": notice, "proof": proof,
                "purposes": purposes, "state": state, "withdraw_by": withdraw_by,
            }))})
        },
    )
}

fn of_person() -> impl Strategy<Value = Value> {
    let objection = (time(), any::<bool>(), purposes()).prop_map(|(at, lifted, mut purposes)| {
        purposes.push("marketing".to_owned());
        json!({"objection": {"at": at, "lifted": lifted, "purposes": purposes}})
    });
    let hold = (text(), text(), vec(text(), 0..2), any::<bool>()).prop_map(
        |(case, reason, people, lifted)| {
            json!({"hold": {"case": case, "id": "h-1", "lifted": lifted, "people": people,
                "reason": reason}})
        },
    );
    (who(), vec(sid("CA"), 0..3), prop_oneof![consent(), objection, hold]).prop_map(
        |(who, about, mut said)| {
            said["participant"] = who;
            said["about"] = json!(about);
            said
        },
    )
}

fn of_call() -> impl Strategy<Value = Value> {
    let party = (who(), option::of(any::<bool>()), option::of(Just("US-CA"))).prop_map(
        |(who, agent, address)| {
            json!({"participant": who, "party": full(json!({"agent": agent, "address": address}))})
        },
    );
    let labels = (option::of(vec(text(), 0..3)), option::of("[a-z]{1,5}")).prop_map(
        |(labels, line)| json!({"labels": full(json!({"labels": labels, "line": line}))}),
    );
    let payment = (any::<bool>(), vec((0u32..9, 10u32..99), 0..3)).prop_map(|(taken, pauses)| {
        let pauses: Vec<Value> =
            pauses.iter().map(|(start, end)| json!({"start_ms": start, "end_ms": end})).collect();
        json!({"payment": {"taken": taken, "pauses": pauses}})
    });
    let case = (time(), text(), any::<bool>())
        .prop_map(|(at, id, open)| json!({"case": {"at": at, "id": id, "open": open}}));
    (vec(sid("CA"), 1..3), prop_oneof![party, labels, payment, case]).prop_map(
        |(about, mut said)| {
            said["about"] = json!(about);
            said
        },
    )
}

proptest! {
    /// A table that was written says what the statements said, one row each.
    #[test]
    fn what_is_written_reads_the_same(said in vec(prop_oneof![of_person(), of_call()], 0..6)) {
        let statements: Vec<Statement> =
            said.into_iter().map(|one| serde_json::from_value(one).unwrap()).collect();
        let (text, rows) = write(&statements, Kind::ALL);
        prop_assert_eq!(rows, statements.len() as u64);
        let lines = read_all(&text);
        let back: Vec<Statement> =
            lines.expect("it can be read").into_iter().map(|line| line.statement).collect();
        prop_assert_eq!(back, statements);
    }

    #[test]
    fn any_text_ends_in_statements_or_in_reasons(text in "[a-z,;\"'\\\\\r\n+0-9]{0,80}") {
        let text = format!("kind,number,name,at,state\n{text}");
        if let Err(problems) = read_all(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_list_reads_as_it_was_written(list in vec("[a;\\\\ \u{a0}-]{1,5}", 0..4)) {
        prop_assert_eq!(cell::list(&cell::unlist(&list)), list);
    }
}
