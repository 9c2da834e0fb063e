//! AES-256-GCM with an IV of 96 bits (NIST SP 800-38D), as it arrives.
//!
//! The library that does all our cryptography opens GCM only as one message in one buffer. Its AES
//! in counter mode does take pieces, and is as fast as the processor; the other half of GCM, GHASH,
//! comes from RustCrypto's `ghash`, which uses the processor's carry-less multiplication. The tests
//! hold both together against the library's own GCM.

use aws_lc_rs::cipher::StreamingDecryptingKey;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroizing;

use super::{
    BLOCK_BYTES, Content, ContentKey, DecryptError, PIECE_BYTES, Spill, SpillError, Whole,
    cipher_key, context,
};

const TAG_BYTES: usize = 16;

/// LIMIT: bytes of one message: 2^39 - 256 bits (SP 800-38D, section 5.2.1.1). Beyond, the counter
/// of 32 bits would come around.
const MESSAGE_BYTES_MAX: u64 = (1 << 36) - 32;

/// A voice recording's content.
pub(in super::super) struct Gcm {
    cipher: StreamingDecryptingKey,
    hash: Ghash,
    /// What the hash is masked with to be the tag: the encrypted first counter.
    mask: [u8; TAG_BYTES],
    /// The last bytes that came, at most 16: the tag, unless more come.
    tail: Vec<u8>,
    room: Vec<u8>,
}

/// GHASH over bytes in pieces of any length.
struct Ghash {
    hash: GHash,
    /// The beginning of a block whose end has not come.
    block: Vec<u8>,
    length: u64,
}

impl Gcm {
    /// Begins to decrypt.
    ///
    /// # Errors
    /// [`DecryptError::Library`] if the library has no memory.
    pub(in super::super) fn new(key: &ContentKey, iv: [u8; 12]) -> Result<Self, DecryptError> {
        let mut hash_key = Zeroizing::new([0; BLOCK_BYTES]);
        key_stream(&mut counter_mode(key, [0; BLOCK_BYTES])?, &mut hash_key)?;

        // The counter is 1 for the mask and goes on from 2 for the content.
        let [a, b, c, d, e, f, g, h, i, j, k, l] = iv;
        let mut cipher = counter_mode(key, [a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 1])?;
        let mut mask = [0; TAG_BYTES];
        key_stream(&mut cipher, &mut mask)?;
        Ok(Self {
            cipher,
            hash: Ghash::new(&hash_key),
            mask,
            tail: Vec::with_capacity(2 * TAG_BYTES),
            room: vec![0; PIECE_BYTES + BLOCK_BYTES],
        })
    }

    /// Decrypts bytes that are not the tag.
    fn take(&mut self, ciphertext: &[u8], spill: &mut Spill) -> Result<(), DecryptError> {
        for piece in ciphertext.chunks(PIECE_BYTES) {
            self.hash.update(piece);
            if self.hash.length > MESSAGE_BYTES_MAX {
                return Err(SpillError::TooLong { bytes_max: MESSAGE_BYTES_MAX }.into());
            }
            let update = self.cipher.update(piece, &mut self.room);
            spill.append(update.map_err(|_| DecryptError::Library)?.written())?;
        }
        Ok(())
    }
}

impl Content for Gcm {
    fn update(&mut self, ciphertext: &[u8], spill: &mut Spill) -> Result<(), DecryptError> {
        if let Some(before) = ciphertext.len().checked_sub(TAG_BYTES)
            && let Some((before, tail)) = ciphertext.split_at_checked(before)
        {
            let earlier = std::mem::replace(&mut self.tail, tail.to_vec());
            self.take(&earlier, spill)?;
            return self.take(before, spill);
        }
        self.tail.extend_from_slice(ciphertext);
        let surplus = self.tail.len().saturating_sub(TAG_BYTES);
        let before: Vec<u8> = self.tail.drain(..surplus).collect();
        self.take(&before, spill)
    }

    fn finish(self, _: &mut Spill) -> Result<Whole, DecryptError> {
        let mut tag = self.hash.finish();
        for (byte, mask) in tag.iter_mut().zip(self.mask) {
            *byte ^= mask;
        }
        // A tail that is shorter than a tag is not equal to it.
        verify_slices_are_equal(&tag, &self.tail).map_err(|_| DecryptError::NotAuthentic)?;
        Ok(Whole(()))
    }
}

impl Ghash {
    fn new(key: &[u8; BLOCK_BYTES]) -> Self {
        let block = Vec::with_capacity(BLOCK_BYTES);
        Self { hash: GHash::new(key.into()), block, length: 0 }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        let missing = (BLOCK_BYTES - self.block.len()) % BLOCK_BYTES;
        let (end, bytes) = bytes.split_at(missing.min(bytes.len()));
        self.block.extend_from_slice(end);
        if self.block.len() == BLOCK_BYTES {
            self.hash.update_padded(&self.block);
            self.block.clear();
        }
        let (blocks, rest) = ghash::Block::slice_as_chunks(bytes);
        self.hash.update(blocks);
        self.block.extend_from_slice(rest);
    }

    fn finish(mut self) -> [u8; TAG_BYTES] {
        self.hash.update_padded(&self.block);
        let bits = u128::from(self.length) * 8;
        // The upper half counts the bits of the associated data: none.
        self.hash.update_padded(&bits.to_be_bytes());
        self.hash.finalize().into()
    }
}

fn counter_mode(
    key: &ContentKey,
    counter: [u8; BLOCK_BYTES],
) -> Result<StreamingDecryptingKey, DecryptError> {
    StreamingDecryptingKey::ctr(cipher_key(key)?, context(counter))
        .map_err(|_| DecryptError::Library)
}

/// The next block of the key stream: what zeros are encrypted to.
fn key_stream(
    cipher: &mut StreamingDecryptingKey,
    to: &mut [u8; BLOCK_BYTES],
) -> Result<(), DecryptError> {
    let mut room = Zeroizing::new([0; 2 * BLOCK_BYTES]);
    let update = cipher.update(&[0; BLOCK_BYTES], &mut *room);
    let update = update.map_err(|_| DecryptError::Library)?;
    *to = update.written().try_into().map_err(|_| DecryptError::Library)?;
    Ok(())
}
