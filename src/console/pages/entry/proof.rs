//! That an entry stands in the ledger: its hash, its way to the root, and the signature of that root,
//! for a browser to verify by itself.

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use serde::Serialize;

use super::super::assets::VERIFY_PATH;
use super::find;
use crate::console::Desk;
use crate::console::problem::Problem;
use crate::console::visitor::{About, Visitor};
use crate::ledger::{Row, prove_quickly, verifier};
use crate::policy::{AdminAction, Whose};

/// What a browser verifies.
#[derive(Debug, Serialize)]
pub(in crate::console::pages) struct Proof {
    /// The exact bytes of the entry, in base64.
    entry: String,
    /// C2SP's tlog-proof: the place, the hashes on the way, the signed checkpoint.
    proof: String,
    /// The ledger's key as this gate knows it.
    key: String,
}

/// The proof of an entry.
pub(in crate::console::pages) async fn proof(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<axum::Json<Proof>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let (place, proof) = desk
        .review(move |desk, review| {
            let place = find(review, &name)?.seq;
            let (proof, bytes) = prove_quickly(&desk.ledger, place)?;
            let key = verifier(&desk.ledger).map_err(|error| Problem::unreadable(&error))?;
            let entry = STANDARD.encode(bytes.unwrap_or_default());
            Ok((place, Proof { entry, proof, key: key.unwrap_or_default() }))
        })
        .await?;
    let about = About { detail: place.to_string(), of: vec![place], ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    Ok(axum::Json(proof))
}

/// What was hashed, and a button that verifies it.
pub(super) fn show(row: &Row) -> Markup {
    let text = String::from_utf8_lossy(&row.bytes);
    html! {
        section.sheet #proof {
            h2 { "That it stands in the ledger" }
            dl {
                dt { "Place" } dd { (row.seq) }
                dt { "Hash of the entry" } dd { code { (STANDARD.encode(row.leaf)) } }
            }
            p.screen {
                button type="button" hidden data-verify=(format!("/entries/{}/proof", row.seq)) data-leaf=(STANDARD.encode(row.leaf)) { "Verify in this browser" }
            }
            div #verified role="status" {}
            noscript { p { "Without a script, verify it at a command line: " code { "noticegate ledger prove " (row.seq) } "." } }
            details { summary { "The entry, byte by byte as it was hashed" } pre.whole tabindex="0" { code #entry { (text) } } }
            script src=(VERIFY_PATH.as_str()) defer {}
        }
    }
}
