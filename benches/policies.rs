//! What the size of a policy folder costs: to decide, to explain, to derive and to load, from 10
//! clauses to 10,000.
//!
//! The folders are made here, and they grow as an organisation grows: not by saying ever more about
//! one thing, but by doing more things. Every ten clauses are about a purpose of their own, which
//! two roles of their own serve; so 10,000 clauses speak of 1,000 purposes and 2,000 roles. Of the
//! ten, seven permit, for one role or two; two prohibit, bound to the purpose; one is a `keep` or
//! an `inform`. They stand in two notices, five in each. One `keep` in the whole folder is bound to
//! no purpose. What more of those cost is measured, too: they are in every decision's slice.
//!
//! `cargo bench --bench policies` measures, `cargo bench --bench policies -- --test` runs
//! everything once but for the 10,000 clauses, which are a long set-up for a run that measures
//! nothing. Decisions and explanations are measured in processor time of the thread, so
//! that what else the machine does counts less; loading in wall time.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::print_stdout, reason = "what it costs to set up is a result as well")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use criterion::{BatchSize, Criterion, SamplingMode};
use jiff::Timestamp;
use noticegate::facts::{Facts, Labels, Register};
use noticegate::identity::{Caller, Proof, Role};
use noticegate::media::{Artefact, Direction, Form, MediaRef};
use noticegate::policy::{
    Action, DerivedFile, Draft, NoticeSource, Policies, PolicySources, Question, Stated, Verdict,
};

/// The allocator of `main.rs`: a decision is mostly allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Those of the sample, without the purposes that only its vocabulary has.
const GUARDRAILS: &str = r#"
@id("guardrail-no-promise")
@reason("no notice was in force when this recording was made, so nothing was promised about it")
forbid (principal, action, resource)
unless { resource has notice };

@id("guardrail-consent-refused")
@reason("a person on this call refused consent, or withdrew it")
forbid (
  principal,
  action in
    [Noticegate::Action::"access",
     Noticegate::Action::"describe",
     Noticegate::Action::"share"],
  resource
)
when
{
  resource.consent == Noticegate::Consent::"refused" ||
  resource.consent == Noticegate::Consent::"withdrawn"
};

@id("guardrail-objection")
@reason("a person on this call objected to this purpose, or withdrew from it")
forbid (
  principal,
  action in
    [Noticegate::Action::"access",
     Noticegate::Action::"describe",
     Noticegate::Action::"share"],
  resource
)
when { resource.objections.contains(context.purpose) };

@id("guardrail-hold")
@reason("a legal hold lies on this recording, so it may not be deleted")
forbid (
  principal,
  action == Noticegate::Action::"delete",
  resource
)
when { resource.circumstances.contains(Noticegate::Circumstance::"hold") };
"#;

const NOW: &str = "2026-11-03T12:00:00Z";
const OLD: Notice = Notice { version: "2025-01-01", announced: "2024-11-01" };
const NEW: Notice = Notice { version: "2026-01-01", announced: "2025-11-01" };

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decide(&mut criterion);
    explain(&mut criterion);
    load(&mut criterion);
    criterion.final_summary();
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let smoke = std::env::args().any(|argument| argument == "--test");
    let sizes: &[usize] = if smoke { &[1, 10, 100] } else { &[1, 10, 100, 1_000] };
    for &purposes in sizes {
        let policies = loaded(&folder(purposes, Keeps::OfPurposes));
        for (name, question) in questions(purposes) {
            assert_eq!(outcome(&policies, &question), name);
            group.bench_function(format!("{name}, {} clauses", purposes * 10), |bencher| {
                bencher.iter_custom(|count| cpu_time(count, || policies.decide(question.clone())));
            });
        }
    }
    let policies = loaded(&folder(100, Keeps::OfLines));
    for (name, question) in questions(100) {
        group.bench_function(format!("{name}, 1000 clauses, 99 keeps of lines"), |bencher| {
            bencher.iter_custom(|count| cpu_time(count, || policies.decide(question.clone())));
        });
    }
}

fn explain(criterion: &mut Criterion) {
    let policies = loaded(&folder(100, Keeps::OfPurposes));
    let mut group = criterion.benchmark_group("explain");
    for (name, question) in questions(100) {
        group.bench_function(format!("{name}, 1000 clauses"), |bencher| {
            bencher.iter_custom(|count| cpu_time(count, || policies.explain(question.clone())));
        });
    }
}

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for purposes in [10, 100] {
        let sources = folder(purposes, Keeps::OfPurposes);
        group.bench_function(format!("load, {} clauses", purposes * 10), |bencher| {
            bencher.iter(|| Policies::load(black_box(&sources)).unwrap());
        });
    }
    let sources = folder(100, Keeps::OfPurposes);
    group.bench_function("read, 1000 clauses", |bencher| {
        bencher.iter(|| Draft::read(black_box(&sources)));
    });
    group.bench_function("derive, 1000 clauses", |bencher| {
        let read = || Draft::read(&sources);
        bencher.iter_batched(read, |draft| draft.derive().unwrap(), BatchSize::PerIteration);
    });
}

fn outcome(policies: &Policies, question: &Question) -> &'static str {
    match policies.decide(question.clone()) {
        Verdict::Permit(_) => "permitted",
        Verdict::Refuse(refusal) => refusal.code(),
    }
}

/// The processor time that this thread spends on so many runs.
fn cpu_time<T>(count: u64, mut run: impl FnMut() -> T) -> Duration {
    let before = thread_time();
    for _ in 0..count {
        black_box(run());
    }
    thread_time() - before
}

/// The processor time that this thread has had. The kernel counts it up to the last moment when it
/// had to choose a thread, so it is asked to choose.
fn thread_time() -> Duration {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn loaded(sources: &PolicySources) -> Policies {
    let started = Instant::now();
    let policies = Policies::load(sources).unwrap();
    println!("{} policies: loaded in {:.2?}", policies.count(), started.elapsed());
    policies
}

/// A permitted question and the two kinds of refusals, about a recording of the older notice: the
/// prohibitions of both notices count.
fn questions(purposes: usize) -> [(&'static str, Question); 3] {
    let about = purposes / 2;
    let (a, b) = roles(about);
    let none: &[&str] = &[];
    [
        ("permitted", question(&a, about, Artefact::Audio, none)),
        ("forbidden", question(&a, about, Artefact::Audio, &["health"])),
        // Only while a case is open.
        ("not-permitted", question(&b, about, Artefact::Summary, none)),
    ]
}

fn question(role: &str, purpose: usize, artefact: Artefact, labels: &[&str]) -> Question {
    let sid = |prefix: &str| format!("{prefix}{:032x}", 7);
    let (account, recording) = (sid("AC").parse().unwrap(), sid("RE").parse().unwrap());
    let started_at: Timestamp = "2025-06-03T12:00:00Z".parse().unwrap();
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let facts = Facts {
        duration_seconds: 281,
        channels: 2,
        direction: Some(Direction::Inbound),
        artefact,
        register: Register {
            labels: Labels {
                line: Some("main-line".to_owned()),
                labels: Some(labels),
                ..Labels::default()
            },
            ..Register::default()
        },
        ..Facts::bare(account, recording, started_at)
    };
    let caller = Caller {
        id: "staff|ana".to_owned(),
        roles: Arc::new([Role::new(role)]),
        on_behalf_of: None,
        bound_purpose: None,
        default_purpose: None,
        proof: Proof {
            issuer: "https://issuer.example".to_owned(),
            key_id: None,
            token_id: None,
            expires_at: Timestamp::MAX,
        },
    };
    Question {
        caller: Arc::new(caller),
        action: Action::Access,
        media: MediaRef::recording(account, recording, Form::Wav),
        purpose: format!("use-{purpose}").parse().ok(),
        stated: Stated::default(),
        facts: Arc::new(facts),
        now: NOW.parse().unwrap(),
    }
}

/// What the `keep` clauses but the first are bound to.
#[derive(Clone, Copy)]
enum Keeps {
    OfPurposes,
    OfLines,
}

struct Notice {
    version: &'static str,
    announced: &'static str,
}

/// A notice that is being written.
#[derive(Default)]
struct Page {
    text: String,
    clauses: String,
}

impl Page {
    /// Adds a sentence and the clause that quotes it.
    fn say(&mut self, id: &str, sentence: &str, meaning: &str) {
        writeln!(self.text, "{sentence}").unwrap();
        writeln!(self.clauses, "\n[[clause]]\nid = \"{id}\"\nquote = \"{sentence}\"\n{meaning}")
            .unwrap();
    }

    fn source(&self, notice: &Notice) -> NoticeSource {
        let sha256 = digest(&SHA256, self.text.as_bytes());
        let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let Notice { version, announced } = notice;
        let meaning = format!(
            "title = \"How we use recordings\"\npublished = \"https://example.com/{version}\"\n\
             effective = \"{version}T00:00:00Z\"\nannounced = \"{announced}\"\n\
             text = \"notice.txt\"\nsha256 = \"{sha256}\"\n{}",
            self.clauses
        );
        NoticeSource {
            version: (*version).to_owned(),
            meaning,
            text: self.text.clone(),
            clauses: String::new(),
        }
    }
}

fn roles(purpose: usize) -> (String, String) {
    (format!("team-{}", 2 * purpose), format!("team-{}", 2 * purpose + 1))
}

/// A folder of ten clauses a purpose, with its derived files.
fn folder(purposes: usize, keeps: Keeps) -> PolicySources {
    let mut vocabulary = String::new();
    let (mut old, mut new) = (Page::default(), Page::default());
    for k in 0..purposes {
        let (a, b) = roles(k);
        writeln!(vocabulary, "[[purpose]]\nid = \"use-{k}\"\nname = \"use {k}\"").unwrap();
        for role in [&a, &b] {
            writeln!(vocabulary, "[[role]]\nid = \"{role}\"\nname = \"people of {role}\"").unwrap();
        }
        let permit = |roles: &[&String], artefact: &str, needs: &str| {
            let for_it = format!("purposes = [\"use-{k}\"]\nartefacts = [\"{artefact}\"]");
            format!("effect = \"permit\"\nroles = {roles:?}\n{for_it}\n{needs}")
        };
        let prohibit = |effect: &str, what: &str| {
            format!("effect = \"{effect}\"\npurposes = [\"use-{k}\"]\n{what}")
        };
        old.say(
            &format!("hear-{k}"),
            &format!("Our teams {a} and {b} listen to recordings of calls for use {k}."),
            &permit(&[&a, &b], "audio", ""),
        );
        old.say(
            &format!("read-{k}"),
            &format!("For use {k} our team {a} reads transcripts of calls, too."),
            &permit(&[&a], "transcript", ""),
        );
        old.say(
            &format!("case-{k}"),
            &format!("While a case is open, our team {b} reads summaries of calls for use {k}."),
            &permit(&[&b], "summary", "needs = [\"open-case\"]"),
        );
        old.say(
            &format!("health-{k}"),
            &format!("For use {k} we leave out every recording of a call about health."),
            &prohibit("forbid", "labels = [\"health\"]"),
        );
        let bound = match keeps {
            Keeps::OfPurposes => format!("purposes = [\"use-{k}\"]\nperiod = \"24 months\""),
            Keeps::OfLines => "lines = [\"spare-line\"]\nperiod = \"24 months\"".to_owned(),
        };
        let keep = match (keeps, k) {
            (_, 0) => "effect = \"keep\"\nperiod = \"6 years\"".to_owned(),
            (Keeps::OfPurposes, _) if k % 2 == 1 => "effect = \"inform\"".to_owned(),
            _ => format!("effect = \"keep\"\n{bound}"),
        };
        old.say(
            &format!("keep-{k}"),
            &format!("What becomes of recordings after use {k} is said here, too."),
            &keep,
        );
        new.say(
            &format!("hear-{k}"),
            &format!("Only our team {a} still listens to recordings of calls for use {k}."),
            &permit(&[&a], "audio", ""),
        );
        new.say(
            &format!("read-{k}"),
            &format!("Both {a} and {b} now read transcripts of calls for use {k}."),
            &permit(&[&a, &b], "transcript", "needs = [\"reason\"]"),
        );
        new.say(
            &format!("case-{k}"),
            &format!("While a case is open, our team {b} still reads summaries for use {k} calls."),
            &permit(&[&b], "summary", "needs = [\"open-case\"]"),
        );
        new.say(
            &format!("count-{k}"),
            &format!("Where everybody agreed, {b} analyses recordings of calls for use {k}."),
            &permit(&[&b], "analysis", "needs = [\"consent\"]\nuntil = \"6 months\""),
        );
        new.say(
            &format!("objection-{k}"),
            &format!("Whoever objects to use {k} of their recordings is left out of it."),
            &prohibit("require", "needs = [\"no-objection\"]"),
        );
        for page in [&mut old, &mut new] {
            page.text.push('\n');
        }
    }
    vocabulary.push_str(
        "[[label]]\nid = \"health\"\nname = \"calls about health\"\n\
         [[line]]\nid = \"main-line\"\nname = \"the main line\"\nnumbers = [\"+14045550188\"]\n\
         [[line]]\nid = \"spare-line\"\nname = \"the spare line\"\nnumbers = [\"+14045550189\"]\n",
    );
    let mut sources = PolicySources {
        vocabulary,
        schema: String::new(),
        guardrails: GUARDRAILS.to_owned(),
        notices: vec![old.source(&OLD), new.source(&NEW)],
        ..PolicySources::default()
    };
    let files = Draft::read(&sources).derive().unwrap();
    for DerivedFile { path, text } in files {
        match sources.notices.iter_mut().find(|notice| path.contains(&notice.version)) {
            Some(notice) => notice.clauses = text,
            None => sources.schema = text,
        }
    }
    sources
}
