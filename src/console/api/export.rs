//! The log as a file: what was asked for, in a form for other tools. It is on record, with its
//! number of entries and its hash, before it leaves.

use std::io::{self, Write};

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

use super::super::Desk;
use super::super::body::Json;
use super::super::problem::{Body, Problem};
use super::super::visitor::{About, Visitor};
use super::entries::{Asked, Asking};
use crate::ledger::{
    ExportError, Exporter, Form, Order, Query, Record, Review, ReviewError, Summary,
};
use crate::policy::{AdminAction, Whose};

/// LIMIT: bytes of an export that is made here, in memory. Larger ones are for the command line.
const EXPORT_BYTES_MAX: usize = 64 << 20;

/// How many entries are read at once.
const STEP: usize = 1_000;

/// In which form.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum FormName {
    /// One JSON object a line, with the exact bytes of each entry.
    #[default]
    Jsonl,
    /// A table for spreadsheets.
    Csv,
    /// The same table, typed.
    Parquet,
    /// Events of the Open Cybersecurity Schema Framework.
    Ocsf,
}

impl FormName {
    fn form(self) -> Form {
        match self {
            Self::Jsonl => Form::Jsonl,
            Self::Csv => Form::Csv { mark: false },
            Self::Parquet => Form::Parquet,
            Self::Ocsf => Form::Ocsf,
        }
    }

    /// Its name, its media type, and how a file of it ends.
    fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Jsonl => ("jsonl", "application/jsonl", "jsonl"),
            Self::Csv => ("csv", "text/csv; charset=utf-8", "csv"),
            Self::Parquet => ("parquet", "application/vnd.apache.parquet", "parquet"),
            Self::Ocsf => ("ocsf", "application/jsonl", "jsonl"),
        }
    }
}

/// What goes out.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportBody {
    /// Which entries.
    #[serde(default)]
    question: Asked,
    /// In which form.
    #[serde(default)]
    form: FormName,
    /// With what is known of people, for who may read that.
    #[serde(default)]
    people: bool,
}

/// Take entries out as a file.
#[utoipa::path(
    post, path = "/api/v1/entries/export", tag = "log", operation_id = "export_entries",
    request_body(content = ExportBody),
    responses(
        (status = 200, description = "The file, at most 64 MiB", content(
            (String = "application/jsonl"), (String = "text/csv; charset=utf-8"), (String = "application/vnd.apache.parquet")
        )),
        (status = 400, description = "The request cannot be read", body = Body, content_type = "application/problem+json"),
        (status = 401, description = "Who asks has to prove who they are", body = Body, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not", body = Body, content_type = "application/problem+json"),
        (status = 413, description = "The body is too long", body = Body, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Body, content_type = "application/problem+json"),
        (status = 422, description = "A value cannot be meant, or the file would be larger than 64 MiB", body = Body, content_type = "application/problem+json"),
        (status = 429, description = "The client asks more often than it may", body = Body, content_type = "application/problem+json"),
        (status = 503, description = "It cannot be told now", body = Body, content_type = "application/problem+json"),
    )
)]
pub(super) async fn export(
    State(desk): State<Desk>,
    visitor: Visitor,
    Json(ExportBody { question, form, people }): Json<ExportBody>,
) -> Result<Response, Problem> {
    let asking = Asking::new(&desk, &visitor, AdminAction::Export, &question).await?;
    if people {
        let _ = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    }
    let write = move |review: &mut Review, query: &Query| written(review, query, form, people);
    let (made, person) = asking.ask(&desk, write).await?;
    let nothing = || Exporter::begin(form.form(), Limited::default()).and_then(Exporter::finish);
    let (file, summary) = made.unwrap_or_else(nothing).map_err(|error| unwritten(&error))?;
    let (name, kind, ending) = form.about();
    let hash = digest(&SHA256, &file.0);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let with = if people { " with people" } else { "" };
    let detail = format!("{name}{with}, SHA-256 {hash} {}", asking.told);
    let detail = detail.trim_end().to_owned();
    let about = About { detail, person, entries: Some(summary.written), of: Vec::new() };
    visitor.sees(&desk, &asking.permit, &about).await?;
    let file_name = format!("attachment; filename=\"noticegate-log.{ending}\"");
    Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, &file_name)], file.0).into_response())
}

/// The file in memory.
#[derive(Debug, Default)]
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > EXPORT_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Made = Result<(Limited, Summary), ExportError>;

fn written(
    review: &mut Review,
    query: &Query,
    form: FormName,
    people: bool,
) -> Result<Made, ReviewError> {
    let mut exporter = match Exporter::begin(form.form(), Limited::default()) {
        Ok(exporter) => exporter,
        Err(error) => return Ok(Err(error)),
    };
    let mut after = None;
    loop {
        let (rows, next) = review.find(query, after, STEP, Order::OldestFirst)?;
        for row in &rows {
            let record = Record {
                seq: row.seq,
                leaf: &row.leaf,
                bytes: &row.bytes,
                entry: &row.entry,
                outcome: row.outcome.as_ref(),
                opened: row.opened.as_ref().filter(|_| people),
            };
            if let Err(error) = exporter.record(&record) {
                return Ok(Err(error));
            }
        }
        after = next;
        if after.is_none() {
            return Ok(exporter.finish());
        }
    }
}

/// A file in memory is not written only where it is too large.
fn unwritten(error: &ExportError) -> Problem {
    tracing::debug!(%error, "an export is too large for the console");
    let problem = "the file would be larger than 64 MiB: ask for less, or use `noticegate ledger \
                   export`";
    Problem::bad_value(problem).about("question")
}
