//! What an accounting promises, with texts that mean harm.

use html5gum::{Token, Tokenizer};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn head() -> Head {
    Head {
        person: "+44 20 7946 0018".to_owned(),
        from: at("2020-11-23T00:00:00Z"),
        to: at("2026-11-23T00:00:00Z"),
        made_at: at("2026-11-23T10:00:00Z"),
        made_by: "staff|officer".to_owned(),
        organisation: "Brambleside Energy".to_owned(),
        origin: "ledger.example/calls".to_owned(),
        entry: 41,
        policies: "d1".to_owned(),
    }
}

fn line() -> Line {
    Line {
        at: at("2026-11-03T09:15:02Z"),
        recipient: None,
        recipient_address: None,
        caller: "staff|ortiz".to_owned(),
        roles: vec!["team-lead".to_owned()],
        what: What {
            recording: "RE00000000000000000000000000000002".to_owned(),
            call_started_at: Some(at("2026-11-01T08:00:00Z")),
            duration_seconds: Some(252),
            form: "mp3".to_owned(),
        },
        purpose: "quality-monitoring".to_owned(),
        purpose_plain: "quality monitoring".to_owned(),
        clause: Some(Clause {
            id: "quality".to_owned(),
            quote: "We use recordings to check the quality of our service.".to_owned(),
            notice: "2026-03-01".to_owned(),
            title: "How we use recordings".to_owned(),
        }),
        kind: Kind::Listened,
        bytes: 4_000,
        share_heard: Some(0.5),
        ending: "complete".to_owned(),
    }
}

const SHAPES: [Shape; 3] =
    [Shape::Subject, Shape::Full { summarised: false }, Shape::Full { summarised: true }];

fn forms(accounting: &Accounting) -> [String; 3] {
    let csv = String::from_utf8(accounting.to_csv().unwrap()).unwrap();
    [accounting.to_text(), csv, accounting.to_html()]
}

/// CJEU C-579/21: the subject is told when and why, and not which employee.
#[test]
fn the_subject_is_told_no_employee() {
    for form in forms(&Accounting::new(head(), Shape::Subject, [line()])) {
        for secret in ["ortiz", "team-lead", "officer"] {
            assert!(!form.contains(secret), "{form}");
        }
        for due in ["quality monitoring", "Staff of Brambleside Energy", "check the quality"] {
            assert!(form.split_whitespace().collect::<Vec<_>>().join(" ").contains(due), "{form}");
        }
    }
    for form in forms(&Accounting::new(head(), Shape::Full { summarised: false }, [line()])) {
        assert!(form.contains("staff|ortiz") && form.contains("team-lead"), "{form}");
    }
}

/// Nothing disclosed is said in words.
#[test]
fn an_empty_accounting_says_that_nothing_was_disclosed() {
    for shape in SHAPES {
        let accounting = Accounting::new(head(), shape, []);
        assert_eq!(accounting.disclosures(), 0);
        assert!(accounting.to_text().contains("Nothing was disclosed."));
        let html = accounting.to_html();
        assert!(html.contains("Nothing was disclosed.") && !html.contains("<table"), "{html}");
    }
}

/// A crash between does not make a disclosure smaller.
#[test]
fn what_a_crash_cut_off_counts_and_is_shown() {
    let cut = Line { ending: "unknown".to_owned(), bytes: 0, ..line() };
    for shape in SHAPES {
        let accounting = Accounting::new(head(), shape, [line(), cut.clone()]);
        assert_eq!(accounting.disclosures(), 2);
        for form in forms(&accounting) {
            assert!(form.contains("is not known. Counted as disclosed in"), "{form}");
        }
    }
}

/// 45 CFR 164.528(b)(3): the first in full, how many, and the date of the last.
#[test]
fn repeated_disclosures_are_told_as_one() {
    let later = |day: &str| Line { at: at(&format!("2026-11-{day}T10:00:00Z")), ..line() };
    let other = Line { recipient: Some("Orchard Insurance".to_owned()), ..later("05") };
    let looked = Line { kind: Kind::Described, ..later("06") };
    let lines = [later("09"), looked, other, later("04"), line()];
    let accounting = Accounting::new(head(), Shape::Full { summarised: true }, lines.clone());
    assert_eq!(accounting.disclosures(), 5);
    let told: Vec<_> = accounting.items.iter().map(|i| (i.times, i.line.at, i.last)).collect();
    let fifth = at("2026-11-05T10:00:00Z");
    let sixth = at("2026-11-06T10:00:00Z");
    let ninth = at("2026-11-09T10:00:00Z");
    assert_eq!(told, [(3, line().at, ninth), (1, fifth, fifth), (1, sixth, sixth)]);
    assert!(accounting.to_text().contains("3 times, last on 9 November 2026, 10:00 UTC"));
    assert_eq!(Accounting::new(head(), Shape::Subject, lines).items.len(), 5);
}

/// A share is rounded so that it never says more or less than it must.
#[test]
fn shares_are_told_as_they_are() {
    let told = |share| words::percent(share).unwrap_or_default();
    assert_eq!(told(0.0), "0\u{a0}%");
    assert_eq!(told(0.000_1), "less than 1\u{a0}%");
    assert_eq!(told(0.999), "99\u{a0}%");
    assert_eq!(told(1.0), "100\u{a0}%");
    assert_eq!(told(7.0), "100\u{a0}%");
    for no_share in [f64::NAN, f64::INFINITY, -0.5] {
        assert_eq!(told(no_share), "");
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("</script></style></title><script>alert(1)</script>".to_owned()),
        Just("\" onclick='x' <!-- ]]> &lt;".to_owned()),
        Just("=cmd()".to_owned()),
        Just("\u{1b}[2J\u{7}\0\u{85}".to_owned()),
        Just("\u{202e}\u{2028}\u{200f}\r\n".to_owned()),
        Just("\u{5d0}<".repeat(4_000)),
        any::<String>(),
    ]
}

fn hostile_parts() -> impl Strategy<Value = (Head, Line)> {
    let share = proptest::option::of(any::<f64>());
    (proptest::collection::vec(hostile(), 19), share, any::<u64>()).prop_map(|(t, share, bytes)| {
        let t = |i: usize| t[i].clone();
        let who = Head {
            person: t(0),
            made_by: t(1),
            organisation: t(2),
            origin: t(3),
            policies: t(4),
            ..head()
        };
        let clause = Clause { id: t(5), quote: t(6), notice: t(7), title: t(8) };
        let what = What { recording: t(9), form: t(10), ..line().what };
        let said = Line {
            recipient: Some(t(11)),
            recipient_address: Some(t(12)),
            caller: t(13),
            roles: vec![t(14)],
            what,
            purpose: t(15),
            purpose_plain: t(16),
            clause: Some(clause),
            ending: t(17),
            share_heard: share,
            bytes,
            ..line()
        };
        (who, said)
    })
}

/// The tags of a page, with their attributes' names, in order.
fn tags(html: &str) -> Vec<String> {
    let tag = |token| match token {
        Token::StartTag(tag) => {
            let names: Vec<_> =
                tag.attributes.keys().map(|n| String::from_utf8_lossy(n).into_owned()).collect();
            Some(format!("{}{names:?}", String::from_utf8_lossy(&tag.name)))
        }
        Token::EndTag(tag) => Some(format!("/{}", String::from_utf8_lossy(&tag.name))),
        Token::Comment(_) => Some("comment".to_owned()),
        _ => None,
    };
    Tokenizer::new(html).map(|token| token.unwrap()).filter_map(tag).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the texts are, the page has the tags that it has with harmless ones.
    #[test]
    fn no_text_becomes_markup((head_, line_) in hostile_parts(), which in 0..3usize) {
        let harmless = Line {
            recipient: Some("a".to_owned()), ending: "other".to_owned(), ..line()
        };
        let ending = format!("{}.", line_.ending);
        let line_ = Line { ending, ..line_ };
        let html = Accounting::new(head_, SHAPES[which], [line_]).to_html();
        let plain = Accounting::new(head(), SHAPES[which], [harmless]).to_html();
        prop_assert_eq!(tags(&html), tags(&plain));
        let shown = |c: char| !c.is_control() || c == '\n';
        prop_assert!(html.chars().all(shown));
    }

    /// No text commands a terminal, and no line is longer than 100 characters.
    #[test]
    fn text_has_its_width_and_no_controls((head_, line_) in hostile_parts(), which in 0..3usize) {
        let text = Accounting::new(head_, SHAPES[which], [line_]).to_text();
        for line in text.split('\n') {
            prop_assert!(line.chars().count() <= 100, "{}", line);
            prop_assert!(!line.chars().any(words::is_hidden), "{:?}", line);
        }
    }

    /// The table comes back cell by cell, and no cell starts a formula.
    #[test]
    fn the_table_comes_back((head_, line_) in hostile_parts()) {
        let accounting = Accounting::new(head_, Shape::Full { summarised: false }, [line_.clone()]);
        let csv = accounting.to_csv().unwrap();
        let mut reader = ::csv::Reader::from_reader(csv.strip_prefix(b"\xef\xbb\xbf").unwrap());
        let names = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(rows.len(), 1);
        let cell = |name: &str| {
            let place = names.iter().position(|n| n == name).unwrap();
            rows[0][place].strip_prefix('\'').unwrap_or(&rows[0][place]).to_owned()
        };
        prop_assert_eq!(cell("caller"), line_.caller);
        prop_assert_eq!(cell("notice_sentence"), line_.clause.unwrap().quote);
        prop_assert_eq!(cell("recipient"), line_.recipient.unwrap());
        prop_assert_eq!(cell("ending"), line_.ending);
        let formula = ['=', '+', '-', '@', '\t', '\r'];
        prop_assert!(!rows[0].iter().any(|cell| cell.starts_with(formula)));
    }
}
