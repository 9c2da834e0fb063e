//! Tables of statements: any bytes are statements or are refused with reasons, each with a line that
//! is there and without a telephone number; what was read can be written, and reads the same again.
//!
//! The input is a table.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::facts::Statement;
use noticegate::facts::csv::{Kind, Line, read, write};

fuzz_target!(|table: &[u8]| {
    let lines = match read(table, Kind::ALL, |_| Ok(())) {
        Ok(lines) => lines,
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal says why");
            let ends = table.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
            for problem in problems {
                assert!((1..=ends + 1).contains(&problem.line), "line {}", problem.line);
                let digits = problem.problem.split(|c: char| !c.is_ascii_digit());
                assert!(digits.map(str::len).all(|digits| digits < 7), "{}", problem.problem);
            }
            return;
        }
    };
    let statements = said(lines);
    let (text, rows) = write(&statements, Kind::ALL);
    assert_eq!(rows, statements.len() as u64, "each statement has its row");
    let again = read(text.as_bytes(), Kind::ALL, |_| Ok(())).expect("what is written is a table");
    assert_eq!(said(again), statements);
});

fn said(lines: Vec<Line>) -> Vec<Statement> {
    lines.into_iter().map(|line| line.statement).collect()
}
