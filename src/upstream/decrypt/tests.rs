//! What the whole room promises, with Twilio's schemes and random content.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http_body::Frame;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const KEY: [u8; 32] = [0x31; 32];
const IV: [u8; 12] = [0x32; 12];
const VIDEO_IV: [u8; 16] = [0x33; 16];

/// A file among the vectors.
pub(super) fn vector(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/twilio");
    std::fs::read(folder.join(name)).unwrap()
}

/// A JSON file among the vectors.
pub(super) fn vector_json(name: &str) -> Value {
    serde_json::from_slice(&vector(name)).unwrap()
}

/// The keys that open the vectors.
pub(super) fn vector_keys() -> PrivateKeys {
    let pem = String::from_utf8(vector("test_private_key_pkcs8.pem")).unwrap();
    let mut keys = PrivateKeys::default();
    keys.add("CR00000000000000000000000000000000".parse().unwrap(), &pem).unwrap();
    keys
}

/// Settings with this much memory, and files where temporary files are.
pub(super) fn settings(memory_bytes_max: usize) -> SpillSettings {
    SpillSettings { memory_bytes_max, ..SpillSettings::new(std::env::temp_dir(), 1 << 30) }
}

/// All of a plaintext.
pub(super) fn all(plaintext: &Plaintext) -> Vec<u8> {
    plaintext.read(0, u64::MAX).flat_map(|piece| piece.unwrap()).collect()
}

/// Bytes that are not all the same.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("the line went dead")]
struct Dead;

/// A body of given chunks, of which the last may be that it breaks off.
struct Arrives(VecDeque<Result<Bytes, Dead>>);

impl Arrives {
    fn in_chunks_of(bytes: &[u8], length: usize) -> Self {
        Self(bytes.chunks(length).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect())
    }

    fn cut_at(bytes: &[u8], mut cuts: Vec<usize>) -> Self {
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        Self(
            cuts.windows(2).map(|cut| Ok(Bytes::copy_from_slice(&bytes[cut[0]..cut[1]]))).collect(),
        )
    }
}

impl Body for Arrives {
    type Data = Bytes;
    type Error = Dead;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dead>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| chunk.map(Frame::data)))
    }
}

fn gcm(key: [u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
}

/// The library's GCM: the reference.
fn seal_voice(plain: &[u8]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(IV);
    gcm(KEY).seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).unwrap();
    sealed
}

/// The library's CBC: the reference.
fn seal_video(plain: &[u8]) -> Vec<u8> {
    let mut sealed = plain.to_vec();
    let key = UnboundCipherKey::new(&AES_256, &KEY).unwrap();
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key);
    let context = EncryptionContext::Iv128(VIDEO_IV.into());
    key.unwrap().less_safe_encrypt(&mut sealed, context).unwrap();
    sealed
}

async fn open_voice(body: Arrives) -> Result<Vec<u8>, DecryptError> {
    let plaintext = voice(body, &ContentKey::new(KEY), IV, &settings(70_000)).await?;
    Ok(all(&plaintext))
}

async fn open_video(body: Arrives) -> Result<Vec<u8>, DecryptError> {
    let plaintext = video(body, &ContentKey::new(KEY), VIDEO_IV, &settings(70_000)).await?;
    Ok(all(&plaintext))
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn video_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in vector_json("video_encryption.json")["headers"].as_object().unwrap() {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.as_str().unwrap().parse().unwrap());
    }
    headers
}

#[tokio::test]
async fn a_voice_recording_of_twilio_opens_however_it_arrives() {
    let details = &vector_json("voice_encryption.json")["encryption_details"];
    let envelope = Envelope::read(details).unwrap();
    let key = vector_keys().open(&envelope).unwrap();
    let sealed = vector("voice_encrypted.wav");
    for length in 1..=sealed.len() {
        let body = Arrives::in_chunks_of(&sealed, length);
        let plaintext = voice(body, &key, envelope.iv(), &settings(1024)).await.unwrap();
        assert_eq!(plaintext.len(), 364);
        assert_eq!(all(&plaintext), vector("voice_plain.wav"), "in chunks of {length}");
    }
}

#[tokio::test]
async fn a_video_of_twilio_opens_however_it_arrives() {
    let envelope = VideoEnvelope::read(&video_headers()).unwrap().unwrap();
    let key = vector_keys().open_video(&envelope).unwrap();
    let sealed = vector("video_encrypted.bin");
    for length in 1..=sealed.len() {
        let body = Arrives::in_chunks_of(&sealed, length);
        let plaintext = video(body, &key, envelope.iv(), &settings(1024)).await.unwrap();
        assert_eq!(all(&plaintext), vector("voice_plain.wav"), "in chunks of {length}");
    }
}

#[tokio::test]
async fn no_byte_of_a_voice_recording_can_be_changed() {
    let plain = noise(364);
    let sealed = seal_voice(&plain);
    assert_eq!(open_voice(Arrives::in_chunks_of(&sealed, 7)).await.unwrap(), plain);
    // The last 16 are the tag's.
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 0x10;
        let opened = open_voice(Arrives::in_chunks_of(&changed, 100)).await;
        assert!(matches!(opened, Err(DecryptError::NotAuthentic)), "byte {place}");
    }
}

#[tokio::test]
async fn a_voice_recording_opens_only_under_its_own_key_and_iv() {
    let sealed = seal_voice(&noise(1000));
    for place in 0..IV.len() {
        let mut iv = IV;
        iv[place] ^= 1;
        let body = Arrives::in_chunks_of(&sealed, 100);
        let opened = voice(body, &ContentKey::new(KEY), iv, &settings(0)).await;
        assert!(matches!(opened, Err(DecryptError::NotAuthentic)), "byte {place} of the IV");
    }
    for place in 0..KEY.len() {
        let mut key = KEY;
        key[place] ^= 1;
        let body = Arrives::in_chunks_of(&sealed, 100);
        let opened = voice(body, &ContentKey::new(key), IV, &settings(0)).await;
        assert!(matches!(opened, Err(DecryptError::NotAuthentic)), "byte {place} of the key");
    }
}

#[tokio::test]
async fn chunks_in_another_order_do_not_open() {
    let sealed = seal_voice(&noise(300_000));
    for (one, other) in [(0, 1), (3, 17), (0, 18)] {
        let mut body = Arrives::in_chunks_of(&sealed, 16 * 1024);
        body.0.swap(one, other);
        assert!(matches!(open_voice(body).await, Err(DecryptError::NotAuthentic)));
    }
    let mut body = Arrives::in_chunks_of(&sealed, 16 * 1024);
    body.0.push_back(Ok(Bytes::from_static(b"more")));
    assert!(matches!(open_voice(body).await, Err(DecryptError::NotAuthentic)));
    let mut body = Arrives::in_chunks_of(&sealed, 16 * 1024);
    body.0.remove(5);
    assert!(matches!(open_voice(body).await, Err(DecryptError::NotAuthentic)));
}

#[tokio::test]
async fn a_voice_recording_that_is_cut_anywhere_does_not_open() {
    let sealed = seal_voice(&noise(364));
    for length in 0..sealed.len() {
        let body = Arrives::in_chunks_of(&sealed[..length], 50);
        let opened = open_voice(body).await;
        assert!(matches!(opened, Err(DecryptError::NotAuthentic)), "cut to {length}");
    }
}

#[tokio::test]
async fn an_empty_recording_is_a_tag_or_a_block_of_padding() {
    assert_eq!(open_voice(Arrives::in_chunks_of(&seal_voice(b""), 5)).await.unwrap(), b"");
    assert_eq!(open_video(Arrives::in_chunks_of(&seal_video(b""), 5)).await.unwrap(), b"");
    let nothing = || Arrives(VecDeque::new());
    assert!(matches!(open_voice(nothing()).await, Err(DecryptError::NotAuthentic)));
    assert!(matches!(open_video(nothing()).await, Err(DecryptError::Video)));
}

#[tokio::test]
async fn a_video_that_does_not_end_in_a_padding_does_not_open_and_nobody_is_told_why() {
    let sealed = seal_video(&noise(364));
    for length in 0..sealed.len() {
        let opened = open_video(Arrives::in_chunks_of(&sealed[..length], 50)).await;
        assert!(matches!(opened, Err(DecryptError::Video)), "cut to {length}");
    }
    // A changed byte of the last block but one changes the same byte of the padding: 364 bytes
    // are followed by four.
    let mut told = Vec::new();
    for place in sealed.len() - 20..sealed.len() - 16 {
        let mut changed = sealed.clone();
        changed[place] ^= 0x40;
        told.push(open_video(Arrives::in_chunks_of(&changed, 50)).await.unwrap_err().to_string());
    }
    let mut wrong_key = VideoEnvelope::read(&video_headers()).unwrap().unwrap();
    wrong_key = wrong_key.with_wrapped_key(vec![1; 256]);
    told.push(vector_keys().open_video(&wrong_key).unwrap_err().to_string());
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_of_its_own() {
    let sealed = seal_voice(&noise(364));
    for chunks in [0, 1, 4] {
        let mut body = Arrives::in_chunks_of(&sealed, 100);
        body.0.truncate(chunks);
        body.0.push_back(Err(Dead));
        let error = open_voice(body).await.unwrap_err();
        let DecryptError::Body(source) = error else { panic!("{error}") };
        assert_eq!(source.to_string(), "the line went dead");
    }
}

#[tokio::test]
async fn a_recording_may_be_as_long_as_the_limit_and_no_longer() {
    let settings = SpillSettings { bytes_max: 1000, ..settings(0) };
    let key = ContentKey::new(KEY);
    for (length, fits) in [(999, true), (1000, true), (1001, false), (100_000, false)] {
        let body = Arrives::in_chunks_of(&seal_voice(&noise(length)), 64);
        let opened = voice(body, &key, IV, &settings).await.map(|plaintext| plaintext.len());
        match opened {
            Ok(opened) => assert!(fits && opened == length as u64),
            Err(DecryptError::Spill(SpillError::TooLong { bytes_max: 1000 })) => assert!(!fits),
            Err(error) => panic!("{error}"),
        }
        let body = Arrives::in_chunks_of(&seal_video(&noise(length)), 64);
        assert_eq!(video(body, &key, VIDEO_IV, &settings).await.is_ok(), fits);
    }
}

#[tokio::test]
async fn other_tasks_have_their_turn_even_if_the_body_never_waits() {
    let sealed = seal_voice(&noise(8 << 20));
    let body = Arrives(VecDeque::from([Ok(Bytes::from(sealed))]));
    let turns = std::cell::Cell::new(0);
    let others = async {
        loop {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        opened = open_voice(body) => assert!(opened.is_ok()),
        () = others => {}
    }
    assert!(turns.get() >= 8, "once for each MiB, and it was {}", turns.get());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decryption_can_move_to_another_thread() {
    let sealed = seal_voice(&noise(2 << 20));
    let opened = tokio::spawn(open_voice(Arrives::in_chunks_of(&sealed, 10_000)));
    assert!(opened.await.unwrap().unwrap() == noise(2 << 20));
}

#[tokio::test]
async fn trailers_are_not_content() {
    use http_body_util::{BodyExt, Full};
    let body = Full::new(Bytes::from(seal_voice(b"heard")));
    let body = body.with_trailers(async { Some(Ok::<_, Infallible>(HeaderMap::new())) });
    let plaintext = voice(body, &ContentKey::new(KEY), IV, &settings(10)).await.unwrap();
    assert_eq!(all(&plaintext), b"heard");
}

#[test]
fn the_vectors_are_what_their_description_says() {
    let json = vector_json("voice_encryption.json");
    let digest = |bytes: &[u8]| -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    assert_eq!(json["plain_sha256"], digest(&vector("voice_plain.wav")));
    assert_eq!(json["cipher_sha256"], digest(&vector("voice_encrypted.wav")));
    assert_eq!(
        json["encryption_details"]["iv"],
        STANDARD.encode((0xa0..=0xab).collect::<Vec<u8>>())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_in_any_chunks_opens_to_what_the_library_sealed(
        length in 0_usize..200 * 1024,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        fill in any::<u8>(),
    ) {
        let plain: Vec<u8> = noise(length).iter().map(|byte| byte ^ fill).collect();
        let cuts = |sealed: &[u8]| cuts.iter().map(|cut| cut.index(sealed.len())).collect();
        let sealed = seal_voice(&plain);
        let body = Arrives::cut_at(&sealed, cuts(&sealed));
        prop_assert!(block_on(open_voice(body)).unwrap() == plain);
        let sealed = seal_video(&plain);
        let body = Arrives::cut_at(&sealed, cuts(&sealed));
        prop_assert!(block_on(open_video(body)).unwrap() == plain);
    }

    #[test]
    fn lengths_around_a_block_open_in_any_chunks(
        length in 0_usize..70,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let plain = noise(length);
        let sealed = seal_voice(&plain);
        let cuts = cuts.iter().map(|cut| cut.index(sealed.len())).collect();
        let body = Arrives::cut_at(&sealed, cuts);
        prop_assert!(block_on(open_voice(body)).unwrap() == plain);
    }

    #[test]
    fn any_other_file_does_not_open(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let body = Arrives::in_chunks_of(&bytes, 33);
        prop_assert!(matches!(block_on(open_voice(body)), Err(DecryptError::NotAuthentic)));
    }
}
