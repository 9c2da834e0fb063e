//! What ten thousand consents cost: to read as a table, to put on record, and to find on record again.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion};
use noticegate::clock::Clock;
use noticegate::config;
use noticegate::facts::Statement;
use noticegate::facts::csv::{self, Kind};
use noticegate::folder;
use noticegate::ledger::{Clerk, Courier, Ledger};
use noticegate::policy::Policies;
use tempfile::TempDir;

/// The allocator of `main.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: u32 = 10_000;

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    consents(&mut criterion);
    criterion.final_summary();
}

fn table() -> String {
    let mut table = String::from("number,about,at,state,form,purposes\n");
    for row in 0..ROWS {
        writeln!(
            table,
            "+1404{:07},CA{row:032x},2026-11-03T09:15:05Z,given,spoke,staff-training",
            2_000_000 + row
        )
        .unwrap();
    }
    table
}

fn read(table: &str) -> Vec<Statement> {
    let lines = csv::read(table.as_bytes(), &[Kind::Consent], |_| Ok(())).unwrap();
    lines.into_iter().map(|line| line.statement).collect()
}

/// No checkpoint leaves this machine.
#[derive(Debug)]
struct Nobody;

impl Courier for Nobody {
    fn post(&self, _: &str, _: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
        Err("there is nobody".to_owned())
    }
}

/// A ledger that was begun, and who writes to it.
fn begun(policies: &Policies) -> (TempDir, Clerk) {
    let folder = tempfile::tempdir().unwrap();
    let settings = config::Ledger {
        path: Some(folder.path().join("ledger.sqlite")),
        directory: folder.path().join("ledger.d"),
        key_file: folder.path().join("ledger.key"),
        origin: "bench/ledger".to_owned(),
        ..config::Ledger::default()
    };
    Ledger::open(&settings, Clock::system(), policies, Box::new(Nobody)).unwrap().close();
    let clerk = Clerk::open(&settings, Clock::system(), "bench".to_owned()).unwrap();
    (folder, clerk)
}

fn consents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10,000 consents");
    let table = table();
    group.bench_function("read", |bencher| bencher.iter(|| read(black_box(&table))));
    let policies = Policies::load(&folder::read(Path::new("policies")).unwrap()).unwrap();
    let statements = read(&table);
    group.bench_function("put on record", |bencher| {
        let record = |(folder, mut clerk): (TempDir, Clerk)| {
            let stated = clerk.state_unknown(&statements, |_| {}).unwrap();
            assert_eq!(stated.new, u64::from(ROWS));
            (folder, clerk)
        };
        bencher.iter_batched(|| begun(&policies), record, BatchSize::PerIteration);
    });
    let (_folder, mut clerk) = begun(&policies);
    clerk.state_unknown(&statements, |_| {}).unwrap();
    group.bench_function("found on record", |bencher| {
        bencher.iter(|| assert_eq!(clerk.state_unknown(&statements, |_| {}).unwrap().new, 0));
    });
    group.finish();
}
