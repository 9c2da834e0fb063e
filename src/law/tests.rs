//! What the table, numbers and overrides come to.

use proptest::prelude::*;

use super::*;

const CONSENT: &str = include_str!("../../policies/law/consent.tsv");
const AREA_CODES: &str = include_str!("../../policies/law/area_codes.tsv");

fn law() -> Law {
    Law::read(CONSENT, AREA_CODES, None).unwrap()
}

fn place(code: &str) -> Place {
    code.parse().unwrap()
}

fn party(places: &[&str], number: Option<&str>) -> Party {
    Party {
        places: places.iter().map(|code| place(code)).collect(),
        number: number.map(str::to_owned),
    }
}

fn rule(parties: &[Party]) -> (ConsentRule, String) {
    let CallRule { rule, place } = law().of_call(parties, Medium::Telephone);
    (rule, place.to_string())
}

#[test]
fn every_row_of_the_table_is_read() {
    let law = law();
    assert_eq!(law.places().count(), 113);
    assert_eq!(law.area_codes.len(), 475);
    let all = law.places().filter(|p| law.rows[p].telephone == ConsentRule::AllParty).count();
    assert_eq!(all, 74);
    for (code, places) in &law.area_codes {
        let number = format!("+1{code}5550123");
        assert_eq!(&law.places_of_number(&number), places);
    }
}

#[test]
fn the_strictest_place_of_the_strictest_participant_decides() {
    let georgia = party(&[], Some("+14045550100"));
    let agent = party(&["US-GA"], Some("+14045550101"));
    let one = (ConsentRule::OneParty, "US-GA".to_owned());
    let all = |place: &str| (ConsentRule::AllParty, place.to_owned());
    assert_eq!(rule(&[georgia.clone(), agent.clone()]), one);
    // The number says Georgia, the address says California.
    let moved = party(&["US-CA"], Some("+14045550100"));
    assert_eq!(rule(&[moved, agent.clone()]), all("US-CA"));
    // And the other way about: a number makes it stricter, never looser.
    let mobile = party(&["US-GA"], Some("+14155550100"));
    assert_eq!(rule(&[mobile, agent.clone()]), all("US-CA"));
    let withheld = party(&[], None);
    assert_eq!(rule(&[withheld, agent.clone()]), all("ZZ"));
    let toll_free = party(&[], Some("+18005550100"));
    assert_eq!(rule(&[toll_free, agent]), all("ZZ"));
    assert_eq!(rule(&[party(&["US-GA"], Some("+18005550100"))]), one);
    assert_eq!(rule(&[]), all("ZZ"));
}

#[test]
fn telephone_and_video_differ_where_the_law_does() {
    let law = law();
    assert_eq!(law.rule(place("US-OR"), Medium::Telephone), ConsentRule::OneParty);
    assert_eq!(law.rule(place("US-OR"), Medium::Video), ConsentRule::AllParty);
    assert_eq!(law.rule(place("US-GA"), Medium::Video), ConsentRule::OneParty);
}

#[test]
fn what_is_not_known_well_enough_is_the_strictest() {
    let law = law();
    // A federation alone does not say which of its laws holds.
    for code in ["US", "CA", "AU", "US-XX", "CA-XX", "QQ", "ZZ"] {
        assert_eq!(law.rule(place(code), Medium::Telephone), ConsentRule::AllParty, "{code}");
    }
    let default = Law::default();
    assert_eq!(default.rule(place("US-GA"), Medium::Telephone), ConsentRule::AllParty);
    // A region without a row of its own has its country's.
    assert_eq!(
        law.rule(place("GB-SCT"), Medium::Telephone),
        law.rule(place("GB"), Medium::Telephone)
    );
}

#[test]
fn a_number_belongs_where_its_area_code_or_country_does() {
    let law = law();
    let of = |number: &str| {
        let places = law.places_of_number(number);
        places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    for (number, places) in [
        ("+14045550100", "US-GA"),
        ("+18675550100", "CA-YT CA-NT CA-NU"),
        ("+19025550100", "CA-NS CA-PE"),
        ("+17875550100", "US-PR"),
        ("+12425550100", "BS"),
        ("+442079460018", "GB"),
        ("+493012345678", "DE"),
        // Of countries that share a code, one may not be told.
        ("+441534960123", ""),
        ("+77012345678", "KZ"),
        ("+79161234567", "RU"),
        ("+18005550100", ""),
        ("+19005550100", ""),
        ("+15005550100", ""),
        ("+11115550100", ""),
        ("+1404555010", ""),
        ("+448081570000", ""),
        ("+80012345678", ""),
        // What Twilio says of callers who withhold their number.
        ("+266696687", ""),
        ("+7378742833", ""),
        ("+86282452253", ""),
        ("+2562533", ""),
        ("anonymous", ""),
        ("client:ana", ""),
        ("sip:ana@example.com", ""),
        ("+", ""),
        ("", ""),
    ] {
        assert_eq!(of(number), places, "{number}");
    }
}

const OVERRIDE: &str = "[[override]]\nplace = \"US-CA\"\ntelephone = \"one-party\"\n\
    video = \"all-party\"\ncounsel = \"A. Counsel\"\nreason = \"a letter\"\n\
    decided = 2026-11-01\nreview = 2027-11-01\n";

#[test]
fn counsel_overrides_a_row_either_way() {
    let read = |text: &str| Law::read(CONSENT, AREA_CODES, Some(text));
    let law = read(OVERRIDE).unwrap();
    assert_eq!(law.rule(place("US-CA"), Medium::Telephone), ConsentRule::OneParty);
    assert_eq!(law.rule(place("US-CA"), Medium::Video), ConsentRule::AllParty);
    assert_eq!(law.overrides().count(), 1);
    let stricter = OVERRIDE.replace("US-CA", "US-GA").replace("one-party", "all-party");
    let law = read(&stricter).unwrap();
    assert_eq!(law.rule(place("US-GA"), Medium::Telephone), ConsentRule::AllParty);
    for (from, to, told) in [
        ("US-CA", "ZZ", "cannot be known"),
        ("US-CA", "US-QQ", "no place `US-QQ`"),
        ("US-CA", "california", "ISO 3166"),
        ("one-party", "two-party", "one-party"),
        ("A. Counsel", " ", "`counsel` says who"),
        ("reason", "because", "because"),
        ("2027-11-01", "2026-10-01", "after `decided`"),
        ("2027-11-01", "07:00:00", "are days"),
    ] {
        let problems = read(&OVERRIDE.replace(from, to)).unwrap_err();
        let problem = problems[0].to_string();
        assert!(problem.contains(told), "{problem}");
        assert!(problem.starts_with("law/overrides.toml:"), "{problem}");
    }
    let twice = read(&OVERRIDE.repeat(2)).unwrap_err();
    assert!(twice[0].to_string().contains("already"), "{twice:?}");
}

#[test]
fn a_table_that_is_damaged_says_where() {
    for (from, to, told) in [
        ("US-GA\t", "US-AL\t", "`US-AL` has a row already"),
        ("place\tname", "name\tplace", "names the columns"),
        ("\tGeorgia\tone-party", "\tGeorgia\tsome", "`one-party` or `all-party`"),
        ("\nZZ\t", "\nZY\t", "no row `ZZ`"),
        ("ZZ\tUnknown location\tall-party", "ZZ\tUnknown location\tone-party", "nobody knows"),
        ("\tGeorgia\t", "\tGeorgia", "10 cells"),
    ] {
        assert!(CONSENT.contains(from), "{from}");
        let problems = Law::read(&CONSENT.replacen(from, to, 1), AREA_CODES, None).unwrap_err();
        assert!(problems[0].to_string().contains(told), "{problems:?}");
    }
    let problems = Law::read(CONSENT, &AREA_CODES.replacen("404", "4o4", 1), None).unwrap_err();
    assert!(problems[0].to_string().starts_with("law/area_codes.tsv:"), "{problems:?}");
}

#[test]
fn rows_past_their_day_of_review_are_warned_of() {
    let law = Law::read(CONSENT, AREA_CODES, Some(OVERRIDE)).unwrap();
    let past = |day: &str| law.past_review(day.parse().unwrap()).count();
    let weak = law.rows.values().filter(|row| row.review.year() == 2027 && row.review.month() == 2);
    let weak = weak.count();
    assert!(weak > 10, "{weak}");
    assert_eq!(past("2027-02-24"), 0);
    assert_eq!(past("2027-02-25"), weak);
    assert_eq!(past("2027-11-02"), past("2027-11-01") + 1, "the override");
    assert_eq!(past("2027-11-25"), 114);
    assert!(law.past_review("2028-01-01".parse().unwrap()).all(|problem| problem.warning));
}

fn any_party() -> impl Strategy<Value = Party> {
    let places = prop::sample::subsequence(law().places().collect::<Vec<_>>(), 0..3);
    let number = prop_oneof![
        Just(None),
        "\\+1[2-9][0-9]{2}5550[0-9]{3}".prop_map(Some),
        "\\+[2-9][0-9]{6,13}".prop_map(Some),
    ];
    (places, number).prop_map(|(places, number)| Party { places, number })
}

proptest! {
    #[test]
    fn who_or_what_is_added_never_makes_it_looser(
        parties in prop::collection::vec(any_party(), 1..4),
        more in any_party(),
        place in prop::sample::select(law().places().collect::<Vec<_>>()),
    ) {
        let law = law();
        let before = law.of_call(&parties, Medium::Telephone).rule;
        let mut grown = parties.clone();
        grown.push(more);
        prop_assert!(law.of_call(&grown, Medium::Telephone).rule >= before);
        // A place of somebody of whom one was known already.
        let mut known = parties;
        if !known[0].places.is_empty() {
            known[0].places.push(place);
            prop_assert!(law.of_call(&known, Medium::Telephone).rule >= before);
        }
    }

    #[test]
    fn no_text_is_too_much(text in "\\PC{0,40}", digits in "\\+[0-9]{0,20}") {
        let law = law();
        let _ = law.places_of_number(&text);
        let _ = law.places_of_number(&digits);
        let _ = text.parse::<Place>();
        let _ = Law::read(&text, &digits, Some(&text));
    }
}
