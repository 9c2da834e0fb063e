//! The index against a plain scan of the same documents, and what its file does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;

const WORDS: [&str; 7] = ["complaint", "complete", "über", "ticket", "12", "compl", "ärger"];
const START: i64 = 1_790_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn id(seq: u64) -> [u8; 16] {
    let mut id = [7; 16];
    id[4..12].copy_from_slice(&seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id
}

/// A document without its place: terms, words, jitter in seconds, and the event by picks.
#[derive(Clone, Debug)]
struct Draft {
    jitter: i64,
    terms: Vec<(Field, u8)>,
    words: Vec<usize>,
    event: u8,
    key: (u8, u8, bool),
    of: Pick,
    bytes: u64,
    ending: u8,
}

#[derive(Clone, Debug)]
enum Step {
    Take(Vec<Draft>),
    Forget(Vec<Pick>),
    Prune(Pick),
    Reopen,
}

fn draft() -> impl Strategy<Value = Draft> {
    let term = (prop::sample::select(Field::ALL), 0u8..3);
    (
        -90i64..90,
        prop::collection::vec(term, 0..5),
        prop::collection::vec(0..WORDS.len(), 0..4),
        0u8..5,
        (0u8..2, 0u8..3, any::<bool>()),
        any::<Pick>(),
        0u64..200,
        0u8..3,
    )
        .prop_map(|(jitter, terms, words, event, key, of, bytes, ending)| Draft {
            jitter,
            terms,
            words,
            event,
            key,
            of,
            bytes,
            ending,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(draft(), 0..90).prop_map(Step::Take),
        1 => prop::collection::vec(any::<Pick>(), 0..9).prop_map(Step::Forget),
        1 => any::<Pick>().prop_map(Step::Prune),
        1 => Just(Step::Reopen),
    ]
}

/// The same by a plain scan.
#[derive(Default)]
struct Model {
    all: Vec<Document>,
    floor: usize,
    forgotten: BTreeSet<u64>,
}

impl Model {
    fn documents(&self, drafts: &[Draft]) -> Vec<Document> {
        let mut new: Vec<Document> = Vec::new();
        for draft in drafts {
            let seq = (self.all.len() + new.len()) as u64;
            let known: Vec<&Document> = self.all.iter().chain(&new).collect();
            let event = match (draft.event, known.is_empty()) {
                (0 | 1, _) => Event::Disclosure {
                    caller: format!("c{}", draft.key.0),
                    recording: format!("r{}", draft.key.1),
                    purpose: "p".to_owned(),
                    form: "audio".to_owned(),
                    share: draft.key.2.then(|| "s".to_owned()),
                },
                (2 | 3, false) => Event::Outcome {
                    of: draft.of.get(&known).id,
                    bytes: draft.bytes,
                    first: draft.bytes * 3 % 500,
                    length: (draft.bytes % 3 > 0).then_some(400),
                    ending: [UNKNOWN, "complete", "cut"][usize::from(draft.ending)].to_owned(),
                },
                _ => Event::Other,
            };
            let value = |(field, value): &(Field, u8)| (*field, format!("V{value}"));
            let text = draft.words.iter().map(|word| WORDS[*word].to_uppercase()).collect();
            new.push(Document {
                seq,
                id: id(seq),
                at: at(seq as i64 * 100 + draft.jitter),
                terms: draft.terms.iter().map(value).collect(),
                text,
                event,
            });
        }
        new
    }

    fn kept(&self) -> &[Document] {
        &self.all[self.floor..]
    }

    /// The outcome that counts of each disclosure; `floors` says what was kept when each came.
    fn outcome(&self, intent: &Document) -> Option<Outcome> {
        let mut counted: Option<Outcome> = None;
        if !matches!(intent.event, Event::Disclosure { .. }) {
            return None;
        }
        for document in &self.all {
            let Event::Outcome { of, bytes, first, length, ending } = &document.event else {
                continue;
            };
            if *of == intent.id && counted.as_ref().is_none_or(|known| known.ending == UNKNOWN) {
                counted = Some(Outcome {
                    seq: document.seq,
                    at: document.at,
                    bytes: *bytes,
                    first: *first,
                    length: *length,
                    ending: ending.clone(),
                });
            }
        }
        counted
    }

    fn terms(&self, document: &Document) -> BTreeSet<(Field, String)> {
        let disclosure = matches!(document.event, Event::Disclosure { .. });
        let mut terms: BTreeSet<(Field, String)> = document
            .terms
            .iter()
            .filter(|(field, _)| !(disclosure && *field == Field::Ending))
            .map(|(field, value)| match field {
                Field::Word => (*field, value.to_lowercase()),
                _ => (*field, value.clone()),
            })
            .collect();
        if let Event::Disclosure { caller, recording, purpose, form, share } = &document.event {
            terms.insert((Field::Caller, caller.clone()));
            terms.insert((Field::Recording, recording.clone()));
            terms.insert((Field::Purpose, purpose.clone()));
            terms.insert((Field::Form, form.clone()));
            terms.extend(share.iter().map(|share| (Field::Share, share.clone())));
        }
        terms.extend(document.text.iter().map(|word| (Field::Word, word.to_lowercase())));
        terms.extend(self.outcome(document).map(|outcome| (Field::Ending, outcome.ending)));
        if self.forgotten.contains(&document.seq) {
            terms.retain(|(field, _)| !field.is_personal());
        }
        terms
    }

    fn found(&self, query: &Query) -> Vec<&Document> {
        let matches = |document: &&Document| {
            let terms = self.terms(document);
            let has = |field, value: &String| terms.contains(&(field, value.clone()));
            let word = |word: &str| match word.strip_suffix('*') {
                Some(start) => {
                    terms.iter().any(|(f, value)| *f == Field::Word && value.starts_with(start))
                }
                None => has(Field::Word, &word.to_owned()),
            };
            query.since.is_none_or(|since| document.at >= since)
                && query.until.is_none_or(|until| document.at < until)
                && query.words.split_whitespace().all(word)
                && query.all.iter().all(|filter| {
                    filter.any.iter().any(|value| has(filter.field, value)) != filter.not
                })
        };
        self.kept().iter().filter(matches).collect()
    }

    /// The disclosures of each session, joined until nothing more can be.
    fn sessions(&self) -> Vec<Vec<&Document>> {
        let end = |document: &Document| match self.outcome(document) {
            Some(outcome) if outcome.ending != UNKNOWN => outcome.at.max(document.at),
            _ => document.at,
        };
        let pause = jiff::SignedDuration::from_mins(5);
        let near = |a: &Document, b: &Document| {
            a.event == b.event && a.at <= end(b) + pause && b.at <= end(a) + pause
        };
        let mut sessions: Vec<Vec<&Document>> = Vec::new();
        for document in self.kept() {
            if !matches!(document.event, Event::Disclosure { .. }) {
                continue;
            }
            let touches = |session: &Vec<&Document>| session.iter().any(|o| near(o, document));
            let (touching, mut apart): (Vec<_>, Vec<_>) =
                sessions.into_iter().partition(|session| touches(session));
            let mut joined: Vec<&Document> = touching.into_iter().flatten().collect();
            joined.push(document);
            joined.sort_by_key(|document| document.seq);
            apart.push(joined);
            sessions = apart;
        }
        sessions
    }

    fn check(&self, index: &Index, query: &Query, limit: usize) {
        let found = self.found(query);
        let seqs: Vec<u64> = found.iter().map(|document| document.seq).collect();
        assert_eq!(index.count(query).unwrap(), seqs.len() as u64, "{query:?}");
        let mut newest = all_pages(index, query, limit, Order::NewestFirst);
        newest.reverse();
        assert_eq!(newest, seqs, "{query:?}");
        assert_eq!(all_pages(index, query, limit, Order::OldestFirst), seqs);
        for field in [Field::Caller, Field::Word, Field::Ending, Field::Kind] {
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for (_, value) in found.iter().flat_map(|d| self.terms(d)).filter(|t| t.0 == field) {
                *counts.entry(value).or_default() += 1;
            }
            let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
            counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            counts.truncate(4);
            assert_eq!(index.facets(query, field, 4).unwrap(), counts, "{query:?} {field}");
        }
        for unit in [Unit::Hour, Unit::Day, Unit::Month] {
            self.check_histogram(index, query, &found, unit);
        }
        self.check_sessions(index, query, &seqs, limit);
    }

    fn check_histogram(&self, index: &Index, query: &Query, found: &[&Document], unit: Unit) {
        let mut whole: BTreeMap<(Timestamp, Option<String>), u64> = BTreeMap::new();
        let mut split = whole.clone();
        for document in found {
            let civil = jiff::tz::TimeZone::UTC.to_datetime(document.at);
            let start = match unit {
                Unit::Hour => civil.date().at(civil.hour(), 0, 0, 0),
                Unit::Day => civil.date().at(0, 0, 0, 0),
                Unit::Month => civil.date().first_of_month().at(0, 0, 0, 0),
            };
            let start = jiff::tz::TimeZone::UTC.to_timestamp(start).unwrap();
            *whole.entry((start, None)).or_default() += 1;
            for (_, value) in self.terms(document).into_iter().filter(|t| t.0 == Field::Decision) {
                *split.entry((start, Some(value))).or_default() += 1;
            }
        }
        let bars = |counts: BTreeMap<(Timestamp, Option<String>), u64>| -> Vec<Bar> {
            let bar = |((start, value), count)| Bar { start, value, count };
            counts.into_iter().map(bar).collect()
        };
        assert_eq!(index.histogram(query, unit, None).unwrap(), bars(whole));
        assert_eq!(index.histogram(query, unit, Some(Field::Decision)).unwrap(), bars(split));
    }

    fn check_sessions(&self, index: &Index, query: &Query, seqs: &[u64], limit: usize) {
        let mut expected: Vec<(u64, Vec<&Document>)> = Vec::new();
        for session in self.sessions() {
            let newest = session.iter().map(|d| d.seq).filter(|seq| seqs.contains(seq)).max();
            expected.extend(newest.map(|newest| (newest, session)));
        }
        expected.sort_by_key(|(newest, _)| std::cmp::Reverse(*newest));
        let mut cursor = None;
        let mut got = Vec::new();
        loop {
            let page = index.sessions(query, cursor, limit).unwrap();
            assert!(page.sessions.len() == limit || page.next.is_none());
            got.extend(page.sessions);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(got.len(), expected.len(), "{query:?}");
        for (session, (newest, members)) in got.iter().zip(&expected) {
            self.check_session(session, members);
            assert_eq!(index.session_of(*newest).unwrap().as_ref(), Some(session));
        }
    }

    fn check_session(&self, session: &Session, members: &[&Document]) {
        assert_eq!(session.first_seq, members[0].seq);
        assert_eq!(session.last_seq, members[members.len() - 1].seq);
        assert_eq!(session.requests, members.len() as u64);
        assert_eq!(session.started, members.iter().map(|d| d.at).min().unwrap());
        let outcomes: Vec<Outcome> = members.iter().filter_map(|d| self.outcome(d)).collect();
        assert_eq!(session.bytes, outcomes.iter().map(|o| o.bytes).sum::<u64>());
        let heard: BTreeSet<u64> =
            outcomes.iter().flat_map(|o| o.first..o.first + o.bytes).collect();
        let got: Vec<u64> = session.heard.iter().flat_map(|(from, to)| *from..*to).collect();
        assert_eq!(got, heard.iter().copied().collect::<Vec<_>>());
        let length = outcomes.iter().filter_map(|o| o.length).max();
        assert_eq!(session.length, length);
        let within = heard.range(..400).count() as f64 / 400.0;
        assert_eq!(session.share_heard, length.map(|_| within));
        assert_eq!(session.endings.values().sum::<u64>(), outcomes.len() as u64);
        let Event::Disclosure { caller, share, .. } = &members[0].event else { unreachable!() };
        assert_eq!((&session.caller, &session.share), (caller, share));
    }
}

fn all_pages(index: &Index, query: &Query, limit: usize, order: Order) -> Vec<u64> {
    let (mut seqs, mut next) = (Vec::new(), None);
    loop {
        let page = index.find(query, next, limit, order).unwrap();
        assert!(page.seqs.len() == limit || page.next.is_none());
        seqs.extend(page.seqs);
        next = page.next;
        if next.is_none() {
            return seqs;
        }
    }
}

fn filter(field: Field, any: &[&str], not: bool) -> Filter {
    Filter { field, any: any.iter().map(|value| (*value).to_owned()).collect(), not }
}

fn queries(since: i64, until: i64) -> Vec<Query> {
    let all =
        |all: Vec<Filter>, words: &str| Query { all, words: words.to_owned(), ..Query::default() };
    let caller = || filter(Field::Caller, &["c0", "V1"], false);
    let timed = |query: Query| Query { since: Some(at(since)), until: Some(at(until)), ..query };
    vec![
        Query::default(),
        timed(Query::default()),
        Query { since: Some(at(since)), ..Query::default() },
        Query { until: Some(at(until)), words: "complaint".to_owned(), ..Query::default() },
        all(vec![caller()], ""),
        timed(all(vec![caller(), filter(Field::Share, &["s"], true)], "")),
        all(vec![filter(Field::Ending, &["complete", UNKNOWN], false)], ""),
        all(vec![filter(Field::Ending, &[UNKNOWN], true), filter(Field::Kind, &[], true)], ""),
        all(vec![filter(Field::Kind, &[], false)], ""),
        all(vec![caller()], "compl* ticket"),
        timed(all(vec![], "compl*")),
        all(vec![filter(Field::Person, &["V0", "V1", "V2"], false)], ""),
        all(vec![filter(Field::Recording, &["r1"], false)], "über"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// However entries come and go, every question is answered as a plain scan would.
    #[test]
    fn the_index_answers_as_a_plain_scan(
        steps in prop::collection::vec(step(), 1..9),
        (since, length) in (-1_000i64..30_000, 0i64..30_000),
        limit in 1usize..40,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut index = Index::open(&path).unwrap().0;
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Take(drafts) => {
                    let new = model.documents(&drafts);
                    index.take(&new).unwrap();
                    model.all.extend(new);
                }
                Step::Forget(picks) if !model.all.is_empty() => {
                    let seqs: Vec<u64> = picks.iter().map(|p| p.get(&model.all).seq).collect();
                    index.forget(&seqs).unwrap();
                    model.forgotten.extend(seqs);
                }
                Step::Prune(pick) if !model.all.is_empty() => {
                    let before = pick.index(model.all.len() + 1);
                    index.prune(before as u64).unwrap();
                    model.floor = model.floor.max(before);
                }
                Step::Forget(_) | Step::Prune(_) | Step::Reopen => {
                    drop(index);
                    let (again, found) = Index::open(&path).unwrap();
                    prop_assert_eq!(found, Found::Index);
                    index = again;
                }
            }
            prop_assert_eq!(index.position().unwrap(), model.all.len() as u64);
        }
        for query in queries(since, since + length) {
            model.check(&index, &query, limit);
        }
        for document in &model.all {
            let kept = document.seq >= model.floor as u64;
            let seq = document.seq;
            prop_assert_eq!(index.seq_of(&document.id).unwrap(), kept.then_some(seq));
            prop_assert_eq!(index.id_at(seq).unwrap(), kept.then_some(document.id));
            prop_assert_eq!(index.time_at(seq).unwrap(), kept.then_some(document.at));
            let outcome = model.outcome(document).filter(|_| kept);
            prop_assert_eq!(index.outcome_of(seq).unwrap(), outcome);
        }
    }
}

fn note(seq: u64, text: &str) -> Document {
    Document {
        seq,
        id: id(seq),
        at: at(seq as i64),
        terms: vec![(Field::Person, format!("+4930{seq:07}")), (Field::Kind, "intent".to_owned())],
        text: vec![text.to_owned()],
        event: Event::Other,
    }
}

fn new_index(path: &Path) -> Index {
    let (index, found) = Index::open(path).unwrap();
    assert_eq!(found, Found::Nothing);
    index
}

fn words(search: &str) -> Query {
    Query { words: search.to_owned(), ..Query::default() }
}

/// Whether the bytes are in the file, or in the log beside it.
fn is_in_file(path: &Path, needle: &str) -> bool {
    let folder = path.parent().unwrap().read_dir().unwrap();
    let mut files = folder.map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.any(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
}

#[test]
fn what_is_forgotten_is_not_in_the_bytes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut index = new_index(&path);
    let secret = |seq: u64| format!("secret{:016x}", seq.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for from in (0..6_000u64).step_by(60) {
        let batch: Vec<_> = (from..from + 60).map(|seq| note(seq, &secret(seq))).collect();
        index.take(&batch).unwrap();
    }
    assert!(is_in_file(&path, &secret(17)) && is_in_file(&path, "+49300000017"));
    let gone: Vec<u64> = (0..6_000).filter(|seq| seq % 7 == 3).collect();
    index.forget(&gone).unwrap();
    let files: Vec<Vec<u8>> = ["index", "index-wal"]
        .map(|name| std::fs::read(folder.path().join(name)).unwrap_or_default())
        .into();
    let text = files.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect::<String>();
    for seq in 0..6_000 {
        let there = (text.contains(&secret(seq)), text.contains(&format!("+4930{seq:07}")));
        let kept = seq % 7 != 3;
        assert_eq!(there, (kept, kept), "{seq}");
        let found = index.count(&words(&secret(seq))).unwrap();
        assert_eq!(found, u64::from(kept));
    }
    assert_eq!(index.count(&Query::default()).unwrap(), 6_000);
    index.prune(5_999).unwrap();
    assert!(!is_in_file(&path, "secret6") && is_in_file(&path, &secret(5_999)));
}

#[test]
fn a_reader_of_the_old_state_is_told_when_forgetting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut index = new_index(&path);
    index.take(&[note(0, "secretword")]).unwrap();
    index.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let reader = Index::open_read(&path).unwrap();
    reader
        .read(|view| {
            assert_eq!(view.number("position")?, 1);
            assert!(matches!(index.forget(&[0]), Err(IndexError::Held)));
            Ok(())
        })
        .unwrap();
    assert_eq!(index.count(&words("secretword")).unwrap(), 0);
    index.forget(&[0]).unwrap();
    assert!(!is_in_file(&path, "secretword"));
}

#[test]
fn a_damaged_file_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    for (name, content) in [("text", b"not a database, but a file".repeat(99)), ("nothing", vec![])]
    {
        std::fs::write(&path, content).unwrap();
        let (mut index, found) = Index::open(&path).unwrap();
        assert!(matches!(found, Found::Unusable(_)), "{name}");
        assert_eq!(index.position().unwrap(), 0);
        index.take(&[note(0, "text")]).unwrap();
        drop(index);
        assert_eq!(Index::open(&path).unwrap().1, Found::Index);
    }
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..4096]).unwrap();
    assert!(matches!(Index::open(&path).unwrap().1, Found::Unusable(_)));
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(Index::open_read(&path), Err(IndexError::Missing { .. })));
    let (index, found) = Index::open(&path).unwrap();
    assert!(matches!(found, Found::Unusable(why) if why.contains("version 99")));
    assert_eq!(index.position().unwrap(), 0);
}

#[test]
fn the_database_of_something_else_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE entry (seq INTEGER PRIMARY KEY)").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Index::open(&path), Err(IndexError::Foreign { .. })));
    assert!(matches!(Index::open_read(&path), Err(IndexError::Foreign { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn reading_needs_an_index_and_does_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    assert!(matches!(Index::open_read(&path), Err(IndexError::Missing { .. })));
    assert!(!path.exists());
    let mut index = new_index(&path);
    let mut readers = [Index::open_read(&path).unwrap(), Index::open_read(&path).unwrap()];
    index.take(&[note(0, "one"), note(1, "two")]).unwrap();
    for reader in &mut readers {
        assert_eq!(reader.count(&words("two")).unwrap(), 1);
        assert!(matches!(reader.take(&[note(2, "three")]), Err(IndexError::Sqlite { .. })));
    }
}

#[test]
fn entries_are_taken_in_order_and_a_bad_batch_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = new_index(&folder.path().join("index"));
    index.take(&[note(0, "one")]).unwrap();
    for (batch, expected, got) in [
        (vec![note(1, "two"), note(3, "four")], 2, 3),
        (vec![note(0, "one")], 1, 0),
        (vec![note(1, "two"), note(1, "two")], 2, 1),
    ] {
        let error = index.take(&batch).unwrap_err().to_string();
        let message = format!("the index takes entry {expected} next, not {got}");
        assert_eq!(error, message);
        assert_eq!(index.position().unwrap(), 1);
        assert_eq!(index.count(&words("two")).unwrap(), 0);
    }
}

#[test]
fn long_words_and_many_terms_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = new_index(&folder.path().join("index"));
    let many: Vec<String> = (0..400).map(|n| format!("w{n}")).collect();
    let long = "x".repeat(5_000);
    let mut second = note(1, &long);
    second.terms = vec![(Field::Caller, long.clone())];
    index.take(&[note(0, &many.join(" ")), second]).unwrap();
    assert_eq!(index.count(&words("w253")).unwrap(), 1);
    assert_eq!(index.count(&words("w254")).unwrap(), 0);
    assert_eq!(index.count(&words(&long)).unwrap(), 1);
    assert_eq!(index.count(&words(&"x".repeat(100))).unwrap(), 1);
    assert_eq!(index.count(&words(&"x".repeat(99))).unwrap(), 0);
    let caller = Query { all: vec![filter(Field::Caller, &[&long], false)], ..Query::default() };
    assert_eq!(index.count(&caller).unwrap(), 1);
}

#[test]
fn a_prefix_stands_for_at_most_two_thousand_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = new_index(&folder.path().join("index"));
    let batch: Vec<_> = (0..2_000).map(|seq| note(seq, &format!("w{seq} v{seq}"))).collect();
    index.take(&batch).unwrap();
    assert_eq!(index.count(&words("w*")).unwrap(), 2_000);
    index.take(&[note(2_000, "w2000")]).unwrap();
    let error = index.count(&words("v1 w*")).unwrap_err().to_string();
    assert_eq!(error, "`w*` stands for more than 2,000 words: write more of it");
    assert_eq!(index.count(&words("w199*")).unwrap(), 11);
}
