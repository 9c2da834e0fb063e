//! What is handed out: a table that says the same when it is imported elsewhere, and vCons; on record
//! before it is handed out.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::review_cli::{done, tell};
use crate::support::world::{CALL, NUMBER, RECORDING, of_kind};

const LINE: &str = "+14045550188";

fn states(world: &World) {
    let consent = |number: &str, more: Value| {
        let mut consent = json!({"state": "given", "form": "spoke", "at": "2026-11-03T09:15:05Z"});
        consent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"about": [CALL], "participant": {"number": number}, "consent": consent})
    };
    world.state(&[
        consent(
            NUMBER,
            json!({"purposes": ["staff-training", "marketing"],
            "until": "2027-11-03T09:15:05Z", "proof": {"recording": RECORDING, "offset_ms": 83_500,
            "document": "=form; 7, \"signed\""}}),
        ),
        consent(LINE, json!({"form": "contract", "language": "en-US"})),
        json!({"participant": {"name": "'account, 12"},
            "consent": {"state": "refused", "at": "2026-11-03T09:15:05.5Z", "data": ["a;b", "c"]}}),
        json!({"participant": {"number": NUMBER},
            "objection": {"at": "2026-11-04T09:00:00Z", "purposes": ["marketing"]}}),
        json!({"about": [CALL], "labels": {"line": "support"}}),
    ]);
    let mut withdrawn = consent(
        NUMBER,
        json!({"purposes": ["marketing"], "state": "withdrawn",
        "at": "2026-11-05T09:00:00Z"}),
    );
    withdrawn["consent"].as_object_mut().unwrap().remove("form");
    world.state(&[withdrawn]);
}

#[tokio::test]
async fn a_table_says_the_same_when_it_is_imported_elsewhere() {
    let world = World::new().await;
    states(&world);
    let file = world.folder.join("consents.csv");
    let file = file.to_str().unwrap();
    let told = done(&world, &["consent", "export", "--all", "--out", file, "--by", "rita"]);
    assert!(told.starts_with("5 statements in "), "{told}");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("'+14045550123"), "a spreadsheet does not compute it: {text}");
    let entries = world.read_entries();
    let export = of_kind(&entries, "export").last().copied().unwrap();
    let hash: String =
        digest(&SHA256, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!((&export["actor"], &export["entries"]), (&json!("rita"), &json!(5)));
    assert_eq!(export["sha256"], hash, "{export}");
    assert!(!export.to_string().contains("5550123"));

    let other = World::new().await;
    done(&other, &["consent", "import", file]);
    let again = done(&other, &["consent", "export", "--all"]);
    assert_eq!(again.trim_end(), text.trim_end());
    let known = tell(&world, &["consent", "import", file, "--format", "json"]).json();
    assert_eq!(
        (&known[0]["summary"]["new"], &known[0]["summary"]["known"]),
        (&json!(0), &json!(5))
    );
    let one = done(&world, &["consent", "export", "name:'account, 12"]);
    assert_eq!(one.lines().count(), 2, "{one}");

    // What cannot be put on record is not handed out.
    std::fs::remove_file(format!("{}.key", world.ledger.display())).unwrap();
    let failed = tell(&world, &["consent", "export", "--all"]);
    assert_eq!((failed.code, failed.out.as_str()), (1, ""));
}

/// Against what draft-ietf-vcon-vcon-core-03 and draft-howe-vcon-lawful-basis demand of each object. On two threads: the command asks the stand-in, which this process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vcon_has_a_lawful_basis_for_each_participant() {
    let world = World::new().await;
    states(&world);
    let told = done(&world, &["consent", "export", RECORDING, "--form", "vcon"]);
    let vcon: Value = serde_json::from_str(&told).unwrap();
    let uuid: uuid::Uuid = vcon["uuid"].as_str().unwrap().parse().unwrap();
    assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, uuid::Variant::RFC4122));
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    time(&vcon["created_at"]);
    assert_eq!(vcon["extensions"], json!(["lawful_basis"]));
    let parties = vcon["parties"].as_array().unwrap();
    let dialogs = vcon["dialog"].as_array().unwrap();
    assert_eq!(dialogs[0]["type"], "recording");
    assert_eq!(time(&dialogs[0]["start"]).to_string(), "2026-11-03T09:15:02Z");
    assert!(dialogs[0].get("body").is_none(), "the sound stays behind the gate");
    let attachments = vcon["attachments"].as_array().unwrap();
    assert_eq!(attachments.len(), 3, "{told}");
    let mut granted = Vec::new();
    for attachment in attachments {
        assert_eq!(attachment["purpose"], "lawful_basis");
        assert_eq!(attachment["encoding"], "json");
        assert_eq!(attachment["mediatype"], "application/json");
        time(&attachment["start"]);
        assert!(attachment["dialog"].as_u64().unwrap() < dialogs.len() as u64);
        let party = usize::try_from(attachment["party"].as_u64().unwrap()).unwrap();
        let body = &attachment["body"];
        assert!(["consent", "contract"].contains(&body["lawful_basis"].as_str().unwrap()));
        assert!(
            body["expiration"].is_null() || time(&body["expiration"]) > time(&attachment["start"])
        );
        for grant in body["purpose_grants"].as_array().unwrap() {
            time(&grant["granted_at"]);
            let purpose = grant["purpose"].as_str().unwrap();
            granted.push((
                parties[party]["tel"].clone(),
                purpose,
                grant["granted"].as_bool().unwrap(),
            ));
        }
        for proof in body["proof_mechanisms"].as_array().unwrap() {
            let known = ["verbal_confirmation", "signed_document", "external_system"];
            assert!(known.contains(&proof["proof_type"].as_str().unwrap()), "{proof}");
            time(&proof["timestamp"]);
            assert!(proof["proof_data"].is_object());
        }
    }
    let of = |number: &str, purpose: &str| {
        let found: Vec<bool> = granted
            .iter()
            .filter(|(tel, known, _)| *tel == number && *known == purpose)
            .map(|(.., granted)| *granted)
            .collect();
        assert!(found.len() <= 1, "one word for each purpose: {granted:?}");
        found.first().copied()
    };
    assert_eq!(of(NUMBER, "staff-training"), Some(true));
    assert_eq!(of(NUMBER, "marketing"), Some(false), "it was withdrawn");
    assert_eq!(of(NUMBER, "research"), None, "nothing was said of it");
    assert_eq!(of(LINE, "research"), Some(true));
    assert!(told.contains("\"time_offset\": \"00:01:23\""), "{told}");
    let entries = world.read_entries();
    let export = of_kind(&entries, "export").last().copied().unwrap();
    assert_eq!(export["detail"], format!("consent of {RECORDING}, as vcon"));
}
