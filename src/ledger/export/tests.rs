//! What an export promises, with entries that mean harm.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const LEAF: [u8; 32] = [0xab; 32];

fn export(form: Form, records: &[Record<'_>]) -> (Vec<u8>, Summary) {
    let mut exporter = Exporter::begin(form, Vec::new()).unwrap();
    for record in records {
        exporter.record(record).unwrap();
    }
    exporter.finish().unwrap()
}

fn record<'a>(bytes: &'a [u8], entry: &'a Value) -> Record<'a> {
    Record { seq: 7, leaf: &LEAF, bytes, entry, outcome: None, opened: None }
}

/// Text that has broken one exporter or another.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("=cmd|' /C calc'!A0".to_owned()),
        Just("</script><b>\"&".to_owned()),
        Just("a\"b,c\r\nd".to_owned()),
        Just("\u{2028}\0\u{202e}\u{200f}\u{feff}".to_owned()),
        Just("'=1".to_owned()),
        Just("＝1".to_owned()),
        Just("x\"\n".repeat(3_500)),
        any::<String>(),
        "[=+\\-@\t\r\n',;\"]{0,6}",
    ]
}

/// An intent whose every text is hostile.
fn intent() -> impl Strategy<Value = Value> {
    proptest::collection::vec(hostile(), 14).prop_map(|texts| {
        let mut texts = texts.into_iter();
        let mut text = move || Value::from(texts.next().unwrap_or_default());
        json!({
            "t": "intent", "id": text(), "at": "2026-11-03T09:15:02.25Z", "action": text(),
            "caller": {"id": text(), "roles": [text(), text()], "issuer": text()},
            "media": {"recording": text(), "form": text()}, "purpose": text(),
            "decision": {"cited": [{"policy": text(), "clause": text(), "notice": text()}]},
            "detail": text(), "recipient": text(),
        })
    })
}

/// Takes the apostrophe away again, as the documentation of the form says.
fn value(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// Anything that JSON can be, as an entry.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        hostile().prop_map(Value::from),
        Just(json!("intent")),
        Just(json!("2026-11-03T09:15:02.25Z")),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let keys = "t|at|id|caller|roles|media|decision|cited|clause|outcome|status|bytes|facts";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((keys, inner), 0..9)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every cell of the table comes back as it was, and no cell starts like a formula.
    #[test]
    fn csv_gives_back_what_it_was_given_and_starts_no_formula(entry in intent()) {
        let bytes = serde_json::to_vec(&entry).unwrap();
        let (csv, _) = export(Form::Csv { mark: false }, &[record(&bytes, &entry)]);
        let mut reader = ::csv::Reader::from_reader(csv.as_slice());
        prop_assert_eq!(reader.headers().unwrap().len(), columns::COLUMNS.len());
        let rows: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(rows.len(), 1);
        let wanted: Vec<_> = columns::texts(&record(&bytes, &entry)).collect();
        for (cell, wanted) in rows[0].iter().zip(&wanted) {
            prop_assert_eq!(value(cell), wanted);
            let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'];
            prop_assert!(!cell.starts_with(formula), "{}", cell);
        }
    }

    /// A line holds the exact bytes of its entry, and there is one line for each.
    #[test]
    fn jsonl_holds_the_exact_bytes(entry in intent()) {
        let bytes = serde_json::to_vec(&entry).unwrap();
        let one = record(&bytes, &entry);
        let (jsonl, _) = export(Form::Jsonl, &[one, one]);
        let lines: Vec<_> = jsonl.split(|byte| *byte == b'\n').collect();
        prop_assert_eq!(lines.len(), 3);
        let start = br#","entry":"#;
        let place = lines[0].windows(start.len()).position(|w| w == start).unwrap() + start.len();
        prop_assert_eq!(&lines[0][place..lines[0].len() - 1], bytes.as_slice());
        let read: Value = serde_json::from_slice(lines[1]).unwrap();
        prop_assert_eq!(&read["entry"], &entry);
        prop_assert_eq!(&read["seq"], &json!(7));
    }

    /// An event names only what the schema requires in the types that it requires.
    #[test]
    fn ocsf_is_one_whole_event_a_line(entry in intent()) {
        let (ocsf, summary) = export(Form::Ocsf, &[record(b"{}", &entry)]);
        prop_assert_eq!(summary, Summary { written: 1, left_out: 0 });
        prop_assert_eq!(ocsf.iter().filter(|byte| **byte == b'\n').count(), 1);
        let event: Value = serde_json::from_slice(&ocsf).unwrap();
        prop_assert_eq!(&event["src_endpoint"], &json!({"name": "redacted"}));
        prop_assert_eq!(&event["unmapped"]["ledger"]["leaf"], &json!("ab".repeat(32)));
        prop_assert!(event["file"]["name"].is_string());
    }

    /// No entry of whatever form breaks an export off.
    #[test]
    fn whatever_an_entry_is_it_goes_out(entry in any_json(), outcome in any_json()) {
        let bytes = serde_json::to_vec(&entry).unwrap();
        let plain = record(&bytes, &entry);
        let whole = Record { outcome: Some(&outcome), opened: Some(&outcome), ..plain };
        for form in [Form::Jsonl, Form::Csv { mark: true }, Form::Parquet, Form::Ocsf] {
            let (_, summary) = export(form, &[whole, plain]);
            prop_assert_eq!(summary.written + summary.left_out, 2);
        }
    }
}

/// A line end in an entry that is not canonical does not make two lines of it.
#[test]
fn an_entry_with_a_line_end_stays_one_line() {
    let entry = json!({"t": "x"});
    let (jsonl, _) = export(Form::Jsonl, &[record(b"{\n\"t\":\"x\"}", &entry)]);
    let read: Value = serde_json::from_slice(&jsonl).unwrap();
    assert_eq!(read["entry"], entry);
    assert_eq!(read["bytes"], "7b0a2274223a2278227d");
    assert_eq!(jsonl.iter().filter(|byte| **byte == b'\n').count(), 1);
}

/// What is not opened is in no form; what is erased says so to a SIEM.
#[test]
fn redacted_and_erased_are_told_apart() {
    let entry = json!({"t": "intent", "at": "2026-11-03T09:15:02Z"});
    let opened = json!({"net": {"address": "192.0.2.7", "agent": "curl"},
                        "subject": [{"number": "+15550100"}, {"number": "+15550101"}]});
    let erased = json!({});
    let ocsf = |opened| {
        let (bytes, _) = export(Form::Ocsf, &[Record { opened, ..record(b"{}", &entry) }]);
        serde_json::from_slice::<Value>(&bytes).unwrap()["src_endpoint"].clone()
    };
    assert_eq!(ocsf(None), json!({"name": "redacted"}));
    assert_eq!(ocsf(Some(&erased)), json!({"name": "erased"}));
    assert_eq!(ocsf(Some(&opened)), json!({"ip": "192.0.2.7"}));
    let open = Record { opened: Some(&opened), ..record(b"{}", &entry) };
    let (csv, _) = export(Form::Csv { mark: true }, &[open]);
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.starts_with("\u{feff}seq,id,at,kind,decision,caller,"), "{csv}");
    assert!(csv.contains(",192.0.2.7,curl,,,'+15550100 +15550101,"), "{csv}");
}

/// An outcome without `first` began at 0; an intent without an outcome has no ending.
#[test]
fn how_it_ended_stands_in_the_row_of_the_intent() {
    let entry = json!({"t": "intent"});
    let outcome = json!({"t": "outcome", "bytes": 12, "ending": "complete", "length": 40,
                         "status": 206, "at": "2026-11-03T09:15:09Z", "of": "i"});
    let ended = Record { outcome: Some(&outcome), ..record(b"{}", &entry) };
    let (csv, _) =
        export(Form::Csv { mark: false }, &[ended, record(b"{}", &entry), record(b"{}", &outcome)]);
    let csv = String::from_utf8(csv).unwrap();
    let rows: Vec<&str> = csv.split("\r\n").collect();
    assert!(rows[1].contains(",206,12,0,40,complete,2026-11-03T09:15:09Z,"), "{csv}");
    assert!(rows[2].contains("permitted") && !rows[2].contains(",0,"), "{csv}");
    assert!(rows[3].contains(",206,12,0,40,complete,") && rows[3].ends_with(",i"), "{csv}");
}

/// What has no fitting class is counted, not lost in silence.
#[test]
fn ocsf_counts_what_it_leaves_out() {
    let at = "2026-11-03T09:15:09Z";
    let entries: Vec<Value> = ["start", "stop", "resume", "policies", "review", "outcome", "new"]
        .iter()
        .map(|t| json!({"t": t, "at": at}))
        .collect();
    let records: Vec<_> = entries.iter().map(|entry| record(b"{}", entry)).collect();
    assert_eq!(export(Form::Ocsf, &records).1, Summary { written: 3, left_out: 4 });
}

/// A target that is full ends the export with an error in each form.
#[test]
fn a_full_target_is_an_error() {
    let entry = json!({"t": "intent", "at": "2026-11-03T09:15:02Z"});
    for form in [Form::Jsonl, Form::Csv { mark: true }, Form::Parquet, Form::Ocsf] {
        let mut space = [0u8; 10];
        let result = Exporter::begin(form, space.as_mut_slice()).and_then(|mut exporter| {
            exporter.record(&record(b"{}", &entry))?;
            exporter.finish().map(|_| ())
        });
        assert!(result.is_err(), "{form:?}");
    }
}
