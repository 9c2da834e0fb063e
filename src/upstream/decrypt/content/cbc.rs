//! AES-256-CBC with the padding of PKCS#7 (RFC 5652, section 6.3), as it arrives.
//!
//! Nothing authenticates it. The padding is looked at once, at the end, by the library, which keeps
//! the last block back until then.

use aws_lc_rs::cipher::StreamingDecryptingKey;

use super::{
    BLOCK_BYTES, Content, ContentKey, DecryptError, PIECE_BYTES, Spill, Whole, cipher_key, context,
};

/// A video's content.
pub(in super::super) struct Cbc {
    cipher: StreamingDecryptingKey,
    room: Vec<u8>,
}

impl Cbc {
    /// Begins to decrypt.
    ///
    /// # Errors
    /// [`DecryptError::Library`] if the library has no memory.
    pub(in super::super) fn new(key: &ContentKey, iv: [u8; 16]) -> Result<Self, DecryptError> {
        let cipher = StreamingDecryptingKey::cbc_pkcs7(cipher_key(key)?, context(iv));
        let cipher = cipher.map_err(|_| DecryptError::Library)?;
        Ok(Self { cipher, room: vec![0; PIECE_BYTES + BLOCK_BYTES] })
    }
}

impl Content for Cbc {
    fn update(&mut self, ciphertext: &[u8], spill: &mut Spill) -> Result<(), DecryptError> {
        for piece in ciphertext.chunks(PIECE_BYTES) {
            let update = self.cipher.update(piece, &mut self.room);
            spill.append(update.map_err(|_| DecryptError::Library)?.written())?;
        }
        Ok(())
    }

    fn finish(mut self, spill: &mut Spill) -> Result<Whole, DecryptError> {
        let update = self.cipher.finish(&mut self.room).map_err(|_| DecryptError::Video)?;
        spill.append(update.written())?;
        Ok(Whole(()))
    }
}
