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
use super::super::problem::Problem;
use super::super::visitor::Visitor;
use super::answers::ToBody;
use super::entries::{Asked, Asking};
use crate::ledger::{self, Administered, Exporter, Form, Query, Review, WholeError};
use crate::policy::{AdminAction, Whose};

/// LIMIT: bytes of an export that is made here, in memory. Larger ones are for the command line.
const EXPORT_BYTES_MAX: usize = 64 << 20;

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
        ToBody,
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
    let format = (form.form(), people);
    let write = move |review: &mut Review, query: &Query| {
        Ok(ledger::export(review, Some(query), format, Limited::default(), |_| {}))
    };
    let (made, person) = asking.ask(&desk, write).await?;
    let nothing = || Ok(Exporter::begin(form.form(), Limited::default())?.finish()?);
    let (file, summary) = made.unwrap_or_else(nothing).map_err(unwritten)?;
    let (name, kind, ending) = form.about();
    let hash = digest(&SHA256, &file.0);
    let sha256: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let with = if people { " with people" } else { "" };
    let what = format!("{name}{with} {}", asking.told);
    let done = Administered {
        person,
        entries: Some(summary.written),
        ..Administered::new(&asking.permit, what.trim_end())
    };
    let recorded = desk.gate.ledger.exported(&done, &sha256, visitor.ask()).await;
    recorded.map_err(|error| Problem::ledger(&error))?;
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

/// A file in memory is not written only where it is too large.
fn unwritten(error: WholeError) -> Problem {
    let error = match error {
        WholeError::Review(error) => return error.into(),
        WholeError::Export(error) => error,
    };
    tracing::debug!(%error, "an export is too large for the console");
    let problem = "the file would be larger than 64 MiB: ask for less, or use `noticegate ledger \
                   export`";
    Problem::bad_value(problem).about("question")
}
