//! The ledger's own secrets, in one file: what signs its checkpoints and what seals people's data.
//!
//! The file is made at the first start, readable by its owner alone. Gates that share a ledger
//! share the file. Without it a ledger can still be verified, but nothing sealed can be opened.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::entry::EntryId;
use super::store::Blind;
use super::tlog::key::Signer;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the ledger's key file `{}`: {problem}", path.display())]
pub struct KeyFileError {
    path: PathBuf,
    problem: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    signing: String,
    sealing: String,
}

/// The secrets.
#[derive(Debug)]
pub struct Keys {
    /// What signs checkpoints.
    pub signing: Signer,
    /// What seals people's data.
    pub sealing: Sealing,
}

impl Keys {
    /// Reads the file; makes it, with fresh keys for this origin, if it is missing.
    ///
    /// # Errors
    /// [`KeyFileError`] if it cannot be read or made, is readable by others, or is damaged.
    pub fn read_or_make(path: &Path, origin: &str) -> Result<Self, KeyFileError> {
        if !path.exists() {
            make(path, origin)?;
        }
        Self::read(path)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyFileError`] if it cannot be read, is readable by others, or is damaged.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let fail = |problem: String| KeyFileError { path: path.to_owned(), problem };
        let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(fail("others may read it; run `chmod 600` on it".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let damaged = || fail("it is damaged; put it back from where it is kept".to_owned());
        let file: KeyFile = toml::from_str(&text).map_err(|_| damaged())?;
        let signing = Signer::parse(&file.signing).map_err(|_| damaged())?;
        let sealing = STANDARD.decode(&file.sealing).map_err(|_| damaged())?;
        let sealing = Sealing::new(&sealing).ok_or_else(damaged)?;
        Ok(Self { signing, sealing })
    }
}

fn make(path: &Path, origin: &str) -> Result<(), KeyFileError> {
    let fail = |problem: String| KeyFileError { path: path.to_owned(), problem };
    let no_randomness = || fail("the random generator failed".to_owned());
    let mut sealing = [0u8; 32];
    rand::fill(&mut sealing).map_err(|_| no_randomness())?;
    let (_, signing) = Signer::generate(origin).map_err(|error| fail(error.to_string()))?;
    let text = format!(
        "# The secrets of the ledger `{origin}`. Keep a copy where the ledger is not.\n\
         # Without it the ledger can be verified, but nothing about people can be read.\n\
         signing = \"{}\"\nsealing = \"{}\"\n",
        signing,
        STANDARD.encode(sealing),
    );
    // Never over a file that another gate has just made.
    let opened = File::options().write(true).create_new(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match written {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(fail(error.to_string())),
        _ => Ok(()),
    }
}

/// What seals and opens, and gives people their blind names.
pub struct Sealing {
    wrap: RandomizedNonceKey,
    blind: hmac::Key,
    source: Prk,
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealing(not shown)")
    }
}

impl Sealing {
    /// Derives both keys from 32 secret bytes.
    fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() != 32 {
            return None;
        }
        let source = Salt::new(HKDF_SHA256, b"noticegate ledger").extract(secret);
        Some(Self {
            wrap: RandomizedNonceKey::new(&AES_256_GCM, &derive(&source, "wrap")?).ok()?,
            blind: hmac::Key::new(hmac::HMAC_SHA256, &derive(&source, "blind")?),
            source,
        })
    }

    /// A key of 32 bytes for another purpose, the same at every gate of this ledger.
    pub(super) fn derived(&self, label: &'static str) -> Option<[u8; 32]> {
        derive(&self.source, label)
    }

    /// The name of a person that only this secret can find again.
    pub(super) fn blind(&self, person: &str) -> Blind {
        let tag = hmac::sign(&self.blind, person.as_bytes());
        tag.as_ref().try_into().unwrap_or([0; 32])
    }

    /// A fresh key for a person, wrapped for the store.
    pub(super) fn fresh(&self) -> Option<Vec<u8>> {
        let mut key = [0u8; 32];
        rand::fill(&mut key).ok()?;
        seal(&self.wrap, b"person", &key)
    }

    /// A person's key, from what the store keeps.
    pub(super) fn unwrap(&self, wrapped: &[u8]) -> Option<PersonSeal> {
        let key = open(&self.wrap, b"person", wrapped)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).ok().map(PersonSeal)
    }
}

fn derive(source: &Prk, label: &'static str) -> Option<[u8; 32]> {
    let mut key = [0u8; 32];
    source.expand(&[label.as_bytes()], HKDF_SHA256).ok()?.fill(&mut key).ok()?;
    Some(key)
}

/// What seals and opens what is known of one person.
pub(super) struct PersonSeal(RandomizedNonceKey);

impl std::fmt::Debug for PersonSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonSeal(not shown)")
    }
}

impl PersonSeal {
    /// Seals a group of an entry. It opens only as a group of that name of that entry.
    pub(super) fn seal(&self, entry: EntryId, group: &str, plain: &[u8]) -> Option<Vec<u8>> {
        seal(&self.0, format!("{entry} {group}").as_bytes(), plain)
    }

    /// Opens it again.
    pub(super) fn open(&self, entry: &str, group: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        open(&self.0, format!("{entry} {group}").as_bytes(), sealed)
    }
}

/// The nonce, then the text, then the tag.
fn seal(key: &RandomizedNonceKey, about: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let mut text = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(about), &mut text).ok()?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend(text);
    Some(sealed)
}

fn open(key: &RandomizedNonceKey, about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = text.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, Aad::from(about), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}
