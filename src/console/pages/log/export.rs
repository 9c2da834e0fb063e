//! What is on the page, whole, as a file: CSV, JSON lines or Parquet.
//!
//! It is written to a file without a name first, so that its SHA-256 is on record before the first
//! byte is handed over, and so that it may be larger than memory.

use std::fs::File;
use std::io::{BufWriter, Read, Seek};

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};

use super::asked::Asked;
use super::counted;
use crate::console::Desk;
use crate::console::problem::Problem;
use crate::console::visitor::Visitor;
use crate::ledger::{Administered, Form, Review, export};
use crate::policy::{AdminAction, Whose};

/// Bytes that are handed over at once.
const PIECE: usize = 64 * 1024;

/// The forms, by the end of the file's name.
fn form(name: &str) -> Option<(Form, &'static str)> {
    match name {
        "log.csv" => Some((Form::Csv { mark: true }, "text/csv; charset=utf-8")),
        "log.jsonl" => Some((Form::Jsonl, "application/jsonl")),
        "log.parquet" => Some((Form::Parquet, "application/vnd.apache.parquet")),
        _ => None,
    }
}

/// The file of what an address of the log asks for, without what tells of people.
pub(in crate::console::pages) async fn file(
    State(desk): State<Desk>,
    visitor: Visitor,
    path: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let permit = visitor.may(&desk, AdminAction::Export, Whose::Others).await?;
    let name = path.path().trim_start_matches('/');
    let (form, kind) = form(name).ok_or_else(Problem::not_found)?;
    let asked = Asked::read(query.as_deref())?;
    if asked.is_of_people() {
        let _ = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    }
    let wanted = asked.clone();
    let written = desk.review(move |desk, review| write(desk, review, &wanted, form)).await?;
    let Written { file, length, entries, sha256 } = written;
    let what = format!("{name} {}", asked.told());
    let done = Administered { entries: Some(entries), ..Administered::new(&permit, &what) };
    let recorded = desk.gate.ledger.exported(&done, &sha256, visitor.ask());
    recorded.await.map_err(|error| Problem::ledger(&error))?;
    let day = desk.gate.clock.now().strftime("%F");
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_LENGTH, length.to_string()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{day}-{name}\"")),
    ];
    Ok((headers, body(file)).into_response())
}

/// A file that was written.
struct Written {
    file: File,
    length: u64,
    entries: u64,
    sha256: String,
}

fn write(desk: &Desk, review: &mut Review, asked: &Asked, form: Form) -> Result<Written, Problem> {
    let failed = |error: &dyn std::error::Error| {
        tracing::error!(%error, "an export of the console was not written");
        Problem::ours()
    };
    let query = asked.question()?.query(desk.gate.clock.now(), review)?;
    let query = query.map(|query| counted(asked.show, &query));
    let file = tempfile::tempfile_in(&desk.ledger.directory).map_err(|error| failed(&error))?;
    let written = export(review, query.as_ref(), (form, false), BufWriter::new(file), |_| {});
    let (file, summary) = written.map_err(|error| failed(&error))?;
    let mut file = file.into_inner().map_err(|error| failed(error.error()))?;
    let (length, sha256) = digest(&mut file).map_err(|error| failed(&error))?;
    Ok(Written { file, length, entries: summary.written, sha256 })
}

/// The length and the SHA-256 of a file, which is read from its beginning then.
fn digest(file: &mut File) -> std::io::Result<(u64, String)> {
    file.rewind()?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        context.update(piece.get(..read).unwrap_or_default());
        length += read as u64;
    }
    file.rewind()?;
    let sha256 = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((length, sha256))
}

/// The file, piece by piece as the caller takes it.
fn body(file: File) -> Body {
    Body::from_stream(stream::try_unfold(file, async |mut file| {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok::<_, std::io::Error>((Bytes::from(piece), file))
        });
        let (piece, file) = read.await.map_err(std::io::Error::other)??;
        Ok::<_, std::io::Error>((!piece.is_empty()).then_some((piece, file)))
    }))
}
