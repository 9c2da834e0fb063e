//! Commitments to what could point to a person.
//!
//! Such things are not in the entry: its `c` holds salted commitments, and the clear
//! text lies beside the entry, where it can be erased without touching it. The commitment is the
//! SHA-256 of a 16-byte random salt and the canonical JSON of the group; without the salt nobody
//! can find an address by trying all of them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::AppendError;
use super::entry::Ask;

/// LIMIT: bytes of a user agent that are kept.
pub(super) const AGENT_BYTES_MAX: usize = 200;

/// The commitments of an entry, as they stand in it.
#[derive(Serialize)]
pub(super) struct Commitments {
    net: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
}

/// The clear text beside an entry.
#[derive(Serialize)]
struct Clear<'a> {
    net: Group<Net<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<Group<Said<'a>>>,
}

#[derive(Serialize)]
struct Group<T> {
    salt: String,
    value: T,
}

#[derive(Serialize)]
struct Net<'a> {
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
}

/// What the caller wrote about the request in their own words.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

/// Commits to what a request tells of a person: the commitments, and the clear text beside them.
///
/// # Errors
/// [`AppendError::NoRandomness`]: without a salt, a commitment could be guessed.
pub(super) fn commit(ask: &Ask) -> Result<(Commitments, Vec<u8>), AppendError> {
    let cut = |agent: &'_ str| agent.floor_char_boundary(AGENT_BYTES_MAX);
    let agent = ask.agent.as_deref().and_then(|agent| agent.get(..cut(agent)));
    let (net, net_clear) = group(Net { address: ask.address, agent })?;
    let (said, said_clear) = match (&ask.reason, &ask.reference) {
        (None, None) => (None, None),
        (reason, reference) => {
            let (reason, reference) = (reason.as_deref(), reference.as_deref());
            let (digest, clear) = group(Said { reason, reference })?;
            (Some(digest), Some(clear))
        }
    };
    let clear = Clear { net: net_clear, said: said_clear };
    Ok((Commitments { net, said }, serde_json::to_vec(&clear).unwrap_or_default()))
}

/// The commitment to a value, and the value with the salt that opens it.
fn group<T: Serialize>(value: T) -> Result<(String, Group<T>), AppendError> {
    let mut salt = [0u8; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| AppendError::NoRandomness)?;
    let mut hashed = salt.to_vec();
    hashed.extend(serde_json::to_vec(&value).unwrap_or_default());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &hashed);
    let group = Group { salt: URL_SAFE_NO_PAD.encode(salt), value };
    Ok((URL_SAFE_NO_PAD.encode(digest.as_ref()), group))
}
