//! The memory that decrypting takes does not grow with the recording. A process of its own, since
//! the system counts the most that a process has ever had.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use bytes::Bytes;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use http_body::{Body, Frame};
use noticegate::upstream::decrypt::{ContentKey, SpillSettings, voice};

const KEY: [u8; 32] = [1; 32];
const IV: [u8; 12] = [2; 12];
const PIECE: usize = 64 * 1024;
const PIECES: u64 = 4096;

/// Zeros and their tag. Any ciphertext has a tag, and decrypts to what nobody can tell from noise.
struct Generated {
    piece: Bytes,
    left: u64,
    tag: Option<Bytes>,
}

impl Body for Generated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(self.piece.clone())
            }
            None => self.tag.take(),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn tag() -> Bytes {
    let mut hash_key = [0; 16];
    let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, &KEY).unwrap()).unwrap();
    cipher.encrypt(&mut hash_key).unwrap();
    // Zeros leave the hash at zero. The length at the end does not.
    let mut hash = GHash::new(&hash_key.into());
    let bits = u128::from(PIECES) * (PIECE as u128) * 8;
    hash.update_padded(&bits.to_be_bytes());
    let hash: [u8; 16] = hash.finalize().into();

    // The tag of nothing is the mask alone.
    let gcm = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
    let nonce = Nonce::assume_unique_for_key(IV);
    let mask = gcm.seal_in_place_separate_tag(nonce, Aad::empty(), &mut []).unwrap();
    hash.iter().zip(mask.as_ref()).map(|(byte, mask)| byte ^ mask).collect()
}

/// KiB of memory that the process has had at most.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn two_hundred_and_fifty_six_mebibytes_take_one_of_memory() {
    let piece = Bytes::from(vec![0; PIECE]);
    let body = Generated { tag: Some(tag()), piece, left: PIECES };
    let folder = tempfile::tempdir().unwrap();
    let settings = SpillSettings::new(folder.path().to_owned(), PIECES * PIECE as u64);
    assert_eq!(settings.memory_bytes_max, 1 << 20);

    let before = most_memory();
    let plaintext = voice(body, &ContentKey::new(KEY), IV, &settings).await.unwrap();
    let decrypted = most_memory();
    assert_eq!(plaintext.len(), PIECES * PIECE as u64);
    let read: u64 = plaintext.read(0, u64::MAX).map(|piece| piece.unwrap().len() as u64).sum();
    assert_eq!(read, plaintext.len());
    let after = most_memory();
    println!("KiB at most: {before} before, {decrypted} decrypted, {after} read");
    assert!(after - before < 4 * 1024, "it took {} KiB", after - before);
}
