//! How fast a recording of 64 MiB is decrypted: into memory and through the spill, next to the
//! library's own GCM, which takes the same bytes at once and keeps nothing.
//!
//! `cargo bench --bench decrypt` measures, `cargo bench --bench decrypt -- --test` runs everything
//! once. The body comes in chunks of 16 KiB, as a TLS connection gives them.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{DecryptionContext, StreamingDecryptingKey, UnboundCipherKey};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use ghash::universal_hash::UniversalHash;
use http_body::{Body, Frame};
use noticegate::upstream::decrypt::{
    ContentKey, Envelope, Plaintext, PrivateKeys, SpillSettings, video, voice,
};

const BYTES: usize = 64 << 20;
const KEY: [u8; 32] = [7; 32];
const IV: [u8; 12] = [9; 12];

/// A body that is there at once.
struct Arrives(Bytes);

impl Body for Arrives {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.len().min(16 * 1024);
        let bytes = self.0.split_to(next);
        Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::data(bytes))))
    }
}

/// The allocator of `main.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let gcm = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
    let mut sealed = vec![0x5a; BYTES];
    let nonce = || Nonce::assume_unique_for_key(IV);
    gcm.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed).unwrap();
    let sealed = Bytes::from(sealed);

    let folder = tempfile::tempdir().unwrap();
    let in_file = SpillSettings::new(folder.path().to_owned(), u64::MAX);
    let in_memory = SpillSettings { memory_bytes_max: 2 * BYTES, ..in_file.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let key = ContentKey::new(KEY);
    let decrypt = |settings: &SpillSettings| -> Plaintext {
        runtime.block_on(voice(Arrives(sealed.clone()), &key, IV, settings)).unwrap()
    };

    let mut group = criterion.benchmark_group("64 MiB of voice");
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("library, one buffer", |bencher| {
        bencher.iter_batched_ref(
            || sealed.to_vec(),
            |buffer| gcm.open_in_place(nonce(), Aad::empty(), buffer).unwrap().len(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("into memory", |bencher| bencher.iter(|| decrypt(&in_memory)));
    group.bench_function("through the spill", |bencher| bencher.iter(|| decrypt(&in_file)));
    let plaintext = decrypt(&in_file);
    group.bench_function("read back from the spill", |bencher| {
        bencher
            .iter(|| plaintext.read(0, u64::MAX).map(|piece| piece.unwrap().len()).sum::<usize>());
    });
    group.bench_function("counter mode alone", |bencher| bencher.iter(|| counter_mode(&sealed)));
    group.bench_function("hash alone", |bencher| {
        let (blocks, _) = ghash::Block::slice_as_chunks(&sealed);
        bencher.iter(|| {
            let mut hash = ghash::GHash::new(&KEY[..16].try_into().unwrap());
            hash.update(blocks);
            hash.finalize()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("64 MiB of video");
    group.throughput(Throughput::Bytes(BYTES as u64));
    let key_ = UnboundCipherKey::new(&aws_lc_rs::cipher::AES_256, &KEY).unwrap();
    let cbc = aws_lc_rs::cipher::PaddedBlockEncryptingKey::cbc_pkcs7(key_).unwrap();
    let mut sealed = vec![0x5a; BYTES];
    let context = cbc.encrypt(&mut sealed).unwrap();
    let iv: [u8; 16] = <&[u8]>::try_from(&context).unwrap().try_into().unwrap();
    let sealed = Bytes::from(sealed);
    group.bench_function("into memory", |bencher| {
        bencher.iter(|| {
            runtime.block_on(video(Arrives(sealed.clone()), &key, iv, &in_memory)).unwrap()
        });
    });
    group.finish();
    envelope(&mut criterion);
    criterion.final_summary();
}

fn envelope(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/twilio");
    let pem = std::fs::read_to_string(folder.join("test_private_key_pkcs8.pem")).unwrap();
    let json = std::fs::read(folder.join("voice_encryption.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let envelope = Envelope::read(json.get("encryption_details").unwrap()).unwrap();
    let mut keys = PrivateKeys::default();
    keys.add(envelope.key_sid(), &pem).unwrap();
    criterion.bench_function("open an envelope, RSA-2048", |bencher| {
        bencher.iter(|| keys.open(&envelope).unwrap());
    });
}

fn counter_mode(sealed: &[u8]) -> usize {
    let key = UnboundCipherKey::new(&aws_lc_rs::cipher::AES_256, &KEY).unwrap();
    let context = DecryptionContext::Iv128([0; 16].into());
    let mut cipher = StreamingDecryptingKey::ctr(key, context).unwrap();
    let mut room = vec![0; 64 * 1024 + 16];
    sealed
        .chunks(64 * 1024)
        .map(|piece| cipher.update(piece, &mut room).unwrap().written().len())
        .sum()
}
