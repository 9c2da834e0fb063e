//! Encryption the way Twilio does it: for voice, and for everything that lies in S3.
//!
//! In: a public key and plain bytes. Out: what Twilio would store, with what a holder of the
//! private key needs to open it. Voice: AES-256-GCM, the tag after the ciphertext, the content key
//! wrapped with RSAES-OAEP (SHA-256 twice). S3: AES-256-CBC with PKCS#7 padding, the content key
//! wrapped with RSAES-PKCS1-v1_5 (the envelope of S3's client-side encryption, version 1).
//! A content key is never used for two different plaintexts.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

/// The header of an S3 object with the wrapped content key, base64.
pub(super) const KEY_HEADER: &str = "x-amz-meta-x-amz-key";
/// The header of an S3 object with the initialisation vector, base64.
pub(super) const IV_HEADER: &str = "x-amz-meta-x-amz-iv";

/// How the members of `encryption_details` are named. Twilio's programs and its OpenAPI document
/// do not agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionNames {
    /// `public_key_sid`, `encrypted_cek`, `iv`: what Twilio's sample programs read.
    #[default]
    Programs,
    /// `encryption_public_key_sid`, `encryption_cek`, `encryption_iv`: the document's example.
    Document,
}

/// The text or bytes given are no RSA public key of 2048 to 8192 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no RSA public key: give a `PUBLIC KEY` in PEM, or the same in DER, of 2048 to 8192 bits")]
pub struct NoPublicKey;

/// A public key that something is encrypted to.
#[derive(Clone)]
pub struct SampleEncryption {
    key: Arc<PublicEncryptingKey>,
    /// `CR` and 32 hex digits.
    pub public_key_sid: String,
    /// How the details are spelled.
    pub names: EncryptionNames,
}

impl SampleEncryption {
    /// Reads a public key, PEM or DER (X.509 `SubjectPublicKeyInfo`), with the SID Twilio knows it
    /// by.
    ///
    /// # Errors
    /// [`NoPublicKey`].
    pub fn new(public_key: &[u8], public_key_sid: &str) -> Result<Self, NoPublicKey> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(public_key)
            .map_or_else(|_| public_key.to_vec(), |der| der.to_vec());
        let key = PublicEncryptingKey::from_der(&der).map_err(|_| NoPublicKey)?;
        Ok(Self {
            key: Arc::new(key),
            public_key_sid: public_key_sid.to_owned(),
            names: EncryptionNames::default(),
        })
    }
}

/// The keys of one encrypted voice recording.
pub(super) struct VoiceEnvelope {
    content_key: [u8; 32],
    iv: [u8; 12],
    /// As it stands in the Recording JSON.
    pub(super) details: Value,
}

impl VoiceEnvelope {
    /// Fresh keys; `None` when the random generator or the public key fails.
    pub(super) fn seal(to: &SampleEncryption) -> Option<Self> {
        let content_key = fresh()?;
        let iv = fresh()?;
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::clone(&to.key)).ok()?;
        let mut wrapped = vec![0; key.ciphertext_size()];
        let wrapped =
            key.encrypt(&OAEP_SHA256_MGF1SHA256, &content_key, &mut wrapped, None).ok()?;
        let (sid, cek, vector) =
            (&to.public_key_sid, STANDARD.encode(wrapped), STANDARD.encode(iv));
        let details = match to.names {
            EncryptionNames::Programs => {
                json!({ "public_key_sid": sid, "encrypted_cek": cek, "iv": vector })
            }
            EncryptionNames::Document => json!({
                "encryption_public_key_sid": sid,
                "encryption_cek": cek,
                "encryption_iv": vector,
            }),
        };
        Some(Self { content_key, iv, details })
    }

    /// Ciphertext and tag of the one file these keys are for.
    pub(super) fn encrypt(&self, plain: &[u8]) -> Option<Bytes> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.content_key).ok()?);
        let nonce = Nonce::assume_unique_for_key(self.iv);
        let mut file = plain.to_vec();
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut file).ok()?;
        Some(file.into())
    }
}

/// An encrypted S3 object: the ciphertext, and the two headers it is useless without.
pub(super) struct EncryptedObject {
    pub(super) bytes: Bytes,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// Encrypts an S3 object; `None` when the random generator or the public key fails.
pub(super) fn encrypt_object(to: &SampleEncryption, plain: &[u8]) -> Option<EncryptedObject> {
    let content_key: [u8; 32] = fresh()?;
    let iv: [u8; 16] = fresh()?;
    let key = Pkcs1PublicEncryptingKey::new(PublicEncryptingKey::clone(&to.key)).ok()?;
    let mut wrapped = vec![0; key.ciphertext_size()];
    let wrapped = STANDARD.encode(key.encrypt(&content_key, &mut wrapped).ok()?);
    let mut file = plain.to_vec();
    let cipher = UnboundCipherKey::new(&AES_256, &content_key).ok()?;
    PaddedBlockEncryptingKey::cbc_pkcs7(cipher)
        .ok()?
        .less_safe_encrypt(&mut file, EncryptionContext::Iv128(FixedLength::from(iv)))
        .ok()?;
    let headers = vec![(KEY_HEADER, wrapped), (IV_HEADER, STANDARD.encode(iv))];
    Some(EncryptedObject { bytes: file.into(), headers })
}

fn fresh<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use aws_lc_rs::cipher::{DecryptionContext, PaddedBlockDecryptingKey};
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::{
        KeySize, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey,
    };

    /// A new pair of keys: the private one, and an encryption to the public one.
    pub(in crate::standin) fn pair() -> (PrivateDecryptingKey, SampleEncryption) {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der: PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
        let to = SampleEncryption::new(der.as_ref(), "CR0123456789abcdef0123456789abcdef").unwrap();
        (private, to)
    }

    fn decoded(value: &Value) -> Vec<u8> {
        STANDARD.decode(value.as_str().unwrap()).unwrap()
    }

    /// Opens a voice recording as its customer would.
    pub(in crate::standin) fn open_voice(
        private: &PrivateDecryptingKey,
        details: &Value,
        file: &[u8],
    ) -> Option<Vec<u8>> {
        let key = OaepPrivateDecryptingKey::new(private.clone()).unwrap();
        let mut out = vec![0; key.min_output_size()];
        let wrapped = decoded(&details["encrypted_cek"]);
        let content_key = key.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut out, None).unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, content_key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&decoded(&details["iv"])).unwrap();
        let mut file = file.to_vec();
        key.open_in_place(nonce, Aad::empty(), &mut file).ok().map(|plain| plain.to_vec())
    }

    #[test]
    fn the_owner_of_the_private_key_hears_what_was_said() {
        let (private, to) = pair();
        let envelope = VoiceEnvelope::seal(&to).unwrap();
        let file = envelope.encrypt(b"RIFF and more").unwrap();
        assert_eq!(file.len(), 13 + 16);
        assert_eq!(open_voice(&private, &envelope.details, &file).unwrap(), b"RIFF and more");
        let mut touched = file.to_vec();
        touched[0] ^= 1;
        assert!(open_voice(&private, &envelope.details, &touched).is_none());
    }

    #[test]
    fn an_object_opens_with_its_two_headers() {
        let (private, to) = pair();
        let object = encrypt_object(&to, b"sixteen bytes ok").unwrap();
        assert_eq!(object.bytes.len(), 32, "a full block is padded with another");
        let header = |name| {
            let value = &object.headers.iter().find(|(n, _)| *n == name).unwrap().1;
            STANDARD.decode(value).unwrap()
        };
        let key = Pkcs1PrivateDecryptingKey::new(private).unwrap();
        let mut out = vec![0; key.min_output_size()];
        let content_key = key.decrypt(&header(KEY_HEADER), &mut out).unwrap();
        let cipher = UnboundCipherKey::new(&AES_256, content_key).unwrap();
        let iv: [u8; 16] = header(IV_HEADER).try_into().unwrap();
        let mut file = object.bytes.to_vec();
        let plain = PaddedBlockDecryptingKey::cbc_pkcs7(cipher)
            .unwrap()
            .decrypt(&mut file, DecryptionContext::Iv128(FixedLength::from(iv)))
            .unwrap();
        assert_eq!(plain, b"sixteen bytes ok");
    }

    #[test]
    fn the_details_can_be_spelled_both_ways() {
        let (_, mut to) = pair();
        let names = |to: &SampleEncryption| {
            let details = VoiceEnvelope::seal(to).unwrap().details;
            details.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&to), "public_key_sid encrypted_cek iv");
        to.names = EncryptionNames::Document;
        assert_eq!(names(&to), "encryption_public_key_sid encryption_cek encryption_iv");
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        assert_eq!(SampleEncryption::new(b"hello", "CR1").err(), Some(NoPublicKey));
        assert_eq!(SampleEncryption::new(b"", "CR1").err(), Some(NoPublicKey));
    }
}
