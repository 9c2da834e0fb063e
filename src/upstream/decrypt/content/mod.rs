//! Content on its way from ciphertext to plaintext: piece by piece as it arrives, into a spill that
//! stays closed until the whole was checked.

mod cbc;
mod gcm;

pub(super) use cbc::Cbc;
pub(super) use gcm::Gcm;

use std::error::Error;
use std::pin::pin;

use aws_lc_rs::cipher::{DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;

use super::spill::Spill;
use super::{ContentKey, DecryptError, Plaintext, SpillError, SpillSettings};

/// Bytes that are decrypted at a time: they stay in the processor's nearer caches.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes of an AES block.
const BLOCK_BYTES: usize = 16;

/// LIMIT: bytes that are decrypted before other tasks of the worker have their turn: less than a
/// millisecond's work, even if the disk takes part in it.
const TURN_BYTES: usize = 256 * 1024;

/// The proof that content has come whole: its tag is right, or what it has instead of one. A spill
/// opens for nothing else. Only a [`Content`] in this folder can make one.
pub(super) struct Whole(());

impl Whole {
    #[cfg(test)]
    pub(super) fn without_a_check() -> Self {
        Self(())
    }
}

/// A way in which content is encrypted.
pub(super) trait Content {
    /// Decrypts the next bytes, however many.
    ///
    /// # Errors
    /// [`DecryptError`] if the spill cannot take them, or they are too many to be right.
    fn update(&mut self, ciphertext: &[u8], spill: &mut Spill) -> Result<(), DecryptError>;

    /// Checks the whole when all bytes have come.
    ///
    /// # Errors
    /// [`DecryptError`] if it is not what was encrypted.
    fn finish(self, spill: &mut Spill) -> Result<Whole, DecryptError>;
}

/// Decrypts a body.
pub(super) async fn open<B, C>(
    body: B,
    mut content: C,
    settings: &SpillSettings,
) -> Result<Plaintext, DecryptError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    C: Content,
{
    let mut body = pin!(body);
    let mut spill = Spill::new(settings);
    let mut turn = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| DecryptError::Body(error.into()))?;
        // Trailers are no content.
        let bytes = frame.into_data().unwrap_or_default();
        for piece in bytes.chunks(PIECE_BYTES) {
            content.update(piece, &mut spill)?;
            turn += piece.len();
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    let whole = content.finish(&mut spill)?;
    Ok(spill.open(whole)?)
}

fn cipher_key(key: &ContentKey) -> Result<UnboundCipherKey, DecryptError> {
    UnboundCipherKey::new(&aws_lc_rs::cipher::AES_256, key.expose())
        .map_err(|_| DecryptError::Library)
}

fn context(iv: [u8; BLOCK_BYTES]) -> DecryptionContext {
    DecryptionContext::Iv128(FixedLength::from(iv))
}
