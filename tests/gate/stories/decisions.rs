//! Decisions over the whole space of questions: the slice agrees with the full set, everything that
//! is built fits the schema, and the table that a lawyer reads is the one in `policies/`.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use noticegate::facts::{Consent, Direction, Facts, RecordingStatus};
use noticegate::folder;
use noticegate::identity::{Caller, Proof, Role};
use noticegate::media::{AudioFormat, Form, MediaRef};
use noticegate::policy::{Action, Ground, Policies, Question, Reason, Verdict};
use noticegate::purpose::Purpose;
use proptest::prelude::*;

use crate::support::{ACCOUNT, CALL, NOW, RECORDING};

static POLICIES: LazyLock<Policies> =
    LazyLock::new(|| Policies::load(&folder::read(Path::new("policies")).unwrap()).unwrap());

fn caller(roles: &[&str]) -> Arc<Caller> {
    let mut roles: Vec<Role> = roles.iter().map(|role| Role::new(role)).collect();
    roles.sort_unstable();
    roles.dedup();
    Arc::new(Caller {
        id: "test|somebody".to_owned(),
        roles: roles.into(),
        bound_purpose: None,
        default_purpose: None,
        proof: Proof {
            issuer: "https://issuer.test.example/".to_owned(),
            key_id: None,
            token_id: None,
            expires_at: Timestamp::MAX,
        },
    })
}

fn facts(started_at: Timestamp, consent: Consent) -> Facts {
    Facts {
        account: ACCOUNT.parse().unwrap(),
        recording: RECORDING.parse().unwrap(),
        as_of: started_at,
        call: CALL.parse().ok(),
        started_at,
        duration_seconds: 60,
        channels: 2,
        status: RecordingStatus::Completed,
        encrypted: false,
        direction: Some(Direction::Inbound),
        consent,
    }
}

fn question(
    roles: &[&str],
    action: Action,
    purpose: &str,
    facts: Facts,
    now: Timestamp,
) -> Question {
    let form = match action {
        Action::Access => Form::Audio { format: AudioFormat::Wav, channels: None },
        Action::Describe => Form::Metadata,
    };
    Question {
        caller: caller(roles),
        action,
        media: MediaRef { account: facts.account, recording: facts.recording, form },
        purpose: purpose.parse().ok(),
        facts: Arc::new(facts),
        now,
    }
}

fn any_consent() -> impl Strategy<Value = Consent> {
    prop::sample::select(vec![
        Consent::Given,
        Consent::Refused,
        Consent::Withdrawn,
        Consent::Expired,
        Consent::Unknown,
    ])
}

prop_compose! {
    fn any_question()(
        roles in prop::sample::subsequence(
            POLICIES.roles().iter().map(Role::as_str).collect::<Vec<_>>(), 0..=5),
        purpose in prop::sample::select(
            POLICIES.purposes().iter().map(Purpose::as_str).collect::<Vec<_>>()),
        action in prop::sample::select(vec![Action::Access, Action::Describe]),
        days_old in 0i64..1_000,
        consent in any_consent(),
        direction in prop::option::of(
            prop::sample::select(vec![Direction::Inbound, Direction::Outbound])),
        channels in 1u8..=2,
        encrypted in any::<bool>(),
    ) -> Question {
        let now: Timestamp = NOW.parse().unwrap();
        let started = now - SignedDuration::from_hours(24 * days_old);
        let facts = Facts { direction, channels, encrypted, ..facts(started, consent) };
        question(&roles, action, purpose, facts, now)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A slice leaves out only what could not have been satisfied; and what is built for Cedar
    /// fits the schema.
    #[test]
    fn the_slice_decides_as_the_full_set_does(question in any_question()) {
        let purpose = question.purpose.clone().unwrap();
        let full = POLICIES.decide_unsliced(&question, &purpose).unwrap();
        let verdict = POLICIES.decide(question);
        prop_assert_eq!(matches!(verdict, Verdict::Permit(_)), full);
        if let Verdict::Permit(permit) = verdict {
            let cites = |c: &Arc<noticegate::policy::Citation>| {
                matches!(&c.ground, Ground::Clause { notice, .. }
                    if Some(notice) == permit.decision().notice.as_ref())
            };
            prop_assert!(permit.decision().citations.iter().any(cites));
        }
    }
}

/// Role by purpose by consent by age: what the sample notices permit, and which sentence decides.
/// `NOTICEGATE_BLESS=1 cargo test` writes the file anew; the difference is read in review.
#[test]
fn the_table_of_decisions_is_the_one_in_the_folder() {
    let now: Timestamp = NOW.parse().unwrap();
    let ages = [(20, "20 days"), (300, "300 days"), (366, "366 days"), (700, "700 days")];
    let mut table = String::from(
        "# What the notices in this folder permit on 2026-11-23, and the clause that decides.\n\
         # role | purpose | consent | age: permit or refuse\n",
    );
    for role in POLICIES.roles() {
        for purpose in POLICIES.purposes() {
            for consent in [Consent::Given, Consent::Unknown, Consent::Withdrawn] {
                for (days, age) in ages {
                    let started = now - SignedDuration::from_hours(24 * days);
                    let question = question(
                        &[role.as_str()],
                        Action::Access,
                        purpose.as_str(),
                        facts(started, consent),
                        now,
                    );
                    let line = describe(&POLICIES.decide(question));
                    writeln!(table, "{role} | {purpose} | {} | {age}: {line}", consent.as_str())
                        .unwrap();
                }
            }
        }
    }
    let file = Path::new("policies/decisions.out");
    if std::env::var_os("NOTICEGATE_BLESS").is_some() {
        std::fs::write(file, &table).unwrap();
    }
    let known = std::fs::read_to_string(file).unwrap_or_default();
    assert!(known == table, "decisions have changed; see NOTICEGATE_BLESS in this test");
}

fn describe(verdict: &Verdict) -> String {
    let cited = |citations: &[Arc<noticegate::policy::Citation>]| {
        let names: Vec<&str> = citations.iter().map(|c| c.policy.as_str()).collect();
        names.join(", ")
    };
    match verdict {
        Verdict::Permit(permit) => format!("permit by {}", cited(&permit.decision().citations)),
        Verdict::Refuse(refusal) => match &refusal.reason {
            Reason::Forbidden => format!("refuse by {}", cited(&refusal.decision.citations)),
            Reason::NotPermitted(Some(near)) => {
                format!("refuse, nearest is {}", near.citation.policy)
            }
            other => format!("refuse, {}", other.code()),
        },
    }
}
