//! Everything that a question finds, read step by step and written as it comes.

use std::io::Write;

use super::super::index::{Order, Query};
use super::super::review::{Review, ReviewError};
use super::{ExportError, Exporter, Form, Record, Summary};

/// How many entries are read at once.
const STEP: usize = 1_000;

/// An export that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WholeError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// The target cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Writes what a query finds, oldest first, with what tells of people only if that is asked for;
/// without a query, what finds nothing. `each` is told how many more are written.
///
/// # Errors
/// [`WholeError`]; what was written then is not whole.
pub fn export<W: Write + Send>(
    review: &mut Review,
    query: Option<&Query>,
    (form, people): (Form, bool),
    to: W,
    mut each: impl FnMut(u64),
) -> Result<(W, Summary), WholeError> {
    let mut exporter = Exporter::begin(form, to)?;
    let mut after = None;
    while let Some(query) = query {
        let (rows, next) = review.find(query, after, STEP, Order::OldestFirst)?;
        for row in &rows {
            exporter.record(&Record {
                seq: row.seq,
                leaf: &row.leaf,
                bytes: &row.bytes,
                entry: &row.entry,
                outcome: row.outcome.as_ref(),
                opened: row.opened.as_ref().filter(|_| people),
            })?;
        }
        each(rows.len() as u64);
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok(exporter.finish()?)
}
