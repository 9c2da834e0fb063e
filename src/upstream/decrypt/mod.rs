//! Decryption: what Twilio stores under an account's own public key becomes plaintext, or nothing.
//!
//! An envelope (`envelope.rs`) holds the content key, wrapped for one of the account's RSA keys
//! (`keys.rs`). The content is decrypted as it arrives (`content/`) into a spill (`spill.rs`), which
//! nobody can read. Only content that has come whole turns a spill into a [`Plaintext`]
//! (`plaintext.rs`), of which ranges are served, and which is kept for a while (`cache.rs`).
//! Never: a byte of plaintext before the whole was checked, or on a disk in the clear.

mod cache;
mod content;
mod envelope;
mod keys;
mod plaintext;
mod spill;
#[cfg(test)]
mod tests;

pub use cache::Plaintexts;
pub use envelope::{Envelope, EnvelopeError, VideoEnvelope};
pub use keys::{ContentKey, KeyError, KeySid, NotAKeySid, PrivateKeys};
pub use plaintext::{PlainReader, Plaintext};
pub use spill::{SpillError, SpillSettings};

use std::error::Error;

use bytes::Bytes;
use http_body::Body;

use content::{Cbc, Gcm};

/// Why there is no plaintext.
#[derive(Debug, thiserror::Error)]
pub enum DecryptError {
    /// The key that the envelope names is not held, and no other key that is held opens it.
    #[error(
        "no private key opens this recording: configure the one of public key {sid} \
         (Twilio's warning 16107 says when it used another key than the configured one)"
    )]
    NoKey {
        /// The public key that the envelope names.
        sid: KeySid,
    },
    /// No private key at all is held for the account.
    #[error("the recording is encrypted: configure the account's private keys")]
    NoKeys,
    /// The key that the envelope names is held, and does not open it.
    #[error(
        "private key {sid} does not open the envelope that names it: check that it is the one of \
         this public key"
    )]
    KeyDoesNotOpen {
        /// The key.
        sid: KeySid,
    },
    /// The envelope opens and holds something else than a key for AES-256.
    #[error("the envelope opens with key {sid}, but does not hold a content key of 32 bytes")]
    NotAContentKey {
        /// The key that opens it.
        sid: KeySid,
    },
    /// The content does not carry the tag that its key, IV and bytes make.
    #[error("the encrypted recording was changed or cut, or is another than its envelope says")]
    NotAuthentic,
    /// A video's envelope does not open, or its content does not end as it must. Nobody is told
    /// which: the difference would help to decrypt without the key (RFC 8017, section 7.2.2;
    /// Vaudenay, "Security Flaws Induced by CBC Padding", 2002).
    #[error("the encrypted video cannot be decrypted: check the account's private keys")]
    Video,
    /// The source of the ciphertext broke off.
    #[error("the encrypted recording broke off")]
    Body(#[source] Box<dyn Error + Send + Sync>),
    /// The plaintext cannot be kept until it is checked.
    #[error("the decrypted recording cannot be kept")]
    Spill(#[from] SpillError),
    /// The cryptographic library does not work: there is no memory.
    #[error("the cryptographic library fails: check the memory of the machine")]
    Library,
}

/// Decrypts the content of a voice recording: AES-256-GCM without associated data, the tag of 16
/// bytes at the end.
///
/// # Errors
/// [`DecryptError::NotAuthentic`] unless the tag is that of the content; `Body` if it breaks off;
/// `Spill` if it is too long or cannot be kept.
pub async fn voice<B>(
    body: B,
    key: &ContentKey,
    iv: [u8; 12],
    settings: &SpillSettings,
) -> Result<Plaintext, DecryptError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    content::open(body, Gcm::new(key, iv)?, settings).await
}

/// Decrypts the content of a video recording or composition: AES-256-CBC with the padding of PKCS#7
/// and, in the first version of Amazon's envelope, nothing that authenticates it.
///
/// # Errors
/// [`DecryptError::Video`] unless the content ends in a padding; `Body` if it breaks off; `Spill`
/// if it is too long or cannot be kept.
pub async fn video<B>(
    body: B,
    key: &ContentKey,
    iv: [u8; 16],
    settings: &SpillSettings,
) -> Result<Plaintext, DecryptError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    content::open(body, Cbc::new(key, iv)?, settings).await
}
