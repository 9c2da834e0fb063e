//! An account's RSA private keys, and the content keys that they unwrap.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey,
    PrivateDecryptingKey,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::{DecryptError, Envelope, VideoEnvelope};

/// Bytes of a content key: AES-256.
const CONTENT_KEY_BYTES: usize = 32;

/// The text is not a key's SID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SID of a public key is `CR` and 32 of 0-9 and a-f")]
pub struct NotAKeySid;

/// A public key that was uploaded to Twilio, `CR...`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeySid(u128);

impl FromStr for KeySid {
    type Err = NotAKeySid;

    fn from_str(text: &str) -> Result<Self, NotAKeySid> {
        let digits = text.strip_prefix("CR").ok_or(NotAKeySid)?;
        let plain = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() != 32 || !plain {
            return Err(NotAKeySid);
        }
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| NotAKeySid)
    }
}

impl fmt::Display for KeySid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CR{:032x}", self.0)
    }
}

impl fmt::Debug for KeySid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A private key that cannot be used. Nothing of the PEM is in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no private key, or more than one.
    #[error("private key {sid}: the PEM text must hold one `PRIVATE KEY` or `RSA PRIVATE KEY`")]
    NotOne {
        /// The key.
        sid: KeySid,
    },
    /// A passphrase is needed.
    #[error(
        "private key {sid} is itself encrypted: decrypt it with `openssl pkey` and protect the \
         file by its permissions"
    )]
    Encrypted {
        /// The key.
        sid: KeySid,
    },
    /// It is another sort of key, too short, too long, or damaged.
    #[error("private key {sid} must be an RSA key of 2048 to 8192 bits: {problem}")]
    Unusable {
        /// The key.
        sid: KeySid,
        /// The library's word for what is wrong, such as `TooSmall`.
        problem: String,
    },
    /// Two keys have one SID.
    #[error("private key {sid} is configured twice: leave one out")]
    Twice {
        /// The key.
        sid: KeySid,
    },
}

/// A key for AES-256 that one recording was encrypted with. It does not print, and is overwritten
/// when it is dropped.
pub struct ContentKey(Zeroizing<[u8; CONTENT_KEY_BYTES]>);

impl ContentKey {
    /// A content key from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; CONTENT_KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn expose(&self) -> &[u8; CONTENT_KEY_BYTES] {
        &self.0
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; CONTENT_KEY_BYTES]);
        let right = bytes.len() == key.len();
        right.then(|| {
            key.copy_from_slice(bytes);
            Self(key)
        })
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(not shown)")
    }
}

/// The private keys of one account. `Debug` shows their SIDs.
#[derive(Debug, Default)]
pub struct PrivateKeys(Vec<PrivateKey>);

struct PrivateKey {
    sid: KeySid,
    oaep: OaepPrivateDecryptingKey,
    pkcs1: Pkcs1PrivateDecryptingKey,
}

impl PrivateKeys {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a key from PEM text: PKCS#8 (RFC 5958) or PKCS#1 (RFC 8017), not encrypted.
    ///
    /// # Errors
    /// [`KeyError`] if the text does not hold one RSA key of 2048 to 8192 bits, or there is a key
    /// of this SID already.
    pub fn add(&mut self, sid: KeySid, pem: &str) -> Result<(), KeyError> {
        if self.0.iter().any(|key| key.sid == sid) {
            return Err(KeyError::Twice { sid });
        }
        self.0.push(PrivateKey::read(sid, pem)?);
        Ok(())
    }

    /// Unwraps a voice recording's content key (RSAES-OAEP with SHA-256 and an empty label), with
    /// the key that the envelope names. If that key is not held, all others are tried, since Twilio
    /// takes the newest public key when the configured one is gone (its warning 16107). The work for
    /// a key of 2048 bits is about a millisecond, and grows with the cube of its length.
    ///
    /// # Errors
    /// [`DecryptError::NoKeys`], `NoKey`, `KeyDoesNotOpen` or `NotAContentKey`.
    pub fn open(&self, envelope: &Envelope) -> Result<ContentKey, DecryptError> {
        let sid = envelope.key_sid();
        let wrapped = envelope.wrapped_key();
        let (opener, opened) = match self.0.iter().find(|key| key.sid == sid) {
            Some(key) => {
                let opened = key.open_oaep(wrapped);
                (key, opened.ok_or(DecryptError::KeyDoesNotOpen { sid })?)
            }
            None if self.0.is_empty() => return Err(DecryptError::NoKeys),
            None => {
                let mut tried = self.0.iter().map(|key| (key, key.open_oaep(wrapped)));
                let opened = tried.find_map(|(key, opened)| Some((key, opened?)));
                opened.ok_or(DecryptError::NoKey { sid })?
            }
        };
        ContentKey::read(&opened).ok_or(DecryptError::NotAContentKey { sid: opener.sid })
    }

    /// Unwraps a video's content key (RSAES-PKCS1-v1_5). The envelope names no key: each is tried.
    ///
    /// This padding proves little: one wrong key in some ten million seems to open an envelope. The
    /// content's padding is then wrong, too, and the error is the same.
    ///
    /// # Errors
    /// [`DecryptError::NoKeys`], or `Video` if none opens it.
    pub fn open_video(&self, envelope: &VideoEnvelope) -> Result<ContentKey, DecryptError> {
        if self.0.is_empty() {
            return Err(DecryptError::NoKeys);
        }
        let mut tried = self.0.iter().map(|key| key.open_pkcs1(envelope.wrapped_key()));
        tried.find_map(|opened| ContentKey::read(&opened?)).ok_or(DecryptError::Video)
    }
}

impl PrivateKey {
    fn read(sid: KeySid, pem: &str) -> Result<Self, KeyError> {
        let encrypted = |line: &str| {
            line.starts_with("-----BEGIN ENCRYPTED") || line.starts_with("Proc-Type: 4,ENCRYPTED")
        };
        if pem.lines().any(encrypted) {
            return Err(KeyError::Encrypted { sid });
        }
        let mut sections = PrivateKeyDer::pem_slice_iter(pem.as_bytes());
        // What is wrong with a PEM is not said: the reader's words can hold a line of it.
        let (Some(Ok(der)), None) = (sections.next(), sections.next()) else {
            return Err(KeyError::NotOne { sid });
        };
        let unusable = |problem: String| KeyError::Unusable { sid, problem };
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => PrivateDecryptingKey::from_pkcs8(der.secret_pkcs8_der())
                .map_err(|rejected| unusable(rejected.to_string()))?,
            PrivateKeyDer::Pkcs1(der) => pkcs1(der.secret_pkcs1_der()).map_err(unusable)?,
            _ => return Err(unusable("it is of another sort".to_owned())),
        };
        let broken = |_| unusable("the library does not take it".to_owned());
        Ok(Self {
            sid,
            oaep: OaepPrivateDecryptingKey::new(key.clone()).map_err(broken)?,
            pkcs1: Pkcs1PrivateDecryptingKey::new(key).map_err(broken)?,
        })
    }

    fn open_oaep(&self, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut room = Zeroizing::new(vec![0; self.oaep.min_output_size()]);
        let opened = self.oaep.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut room, None).ok()?;
        Some(Zeroizing::new(opened.to_vec()))
    }

    fn open_pkcs1(&self, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut room = Zeroizing::new(vec![0; self.pkcs1.min_output_size()]);
        let opened = self.pkcs1.decrypt(wrapped, &mut room).ok()?;
        Some(Zeroizing::new(opened.to_vec()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sid)
    }
}

/// Decrypting takes PKCS#8 only; signing reads PKCS#1 too and writes PKCS#8.
fn pkcs1(der: &[u8]) -> Result<PrivateDecryptingKey, String> {
    let pair = KeyPair::from_der(der).map_err(|rejected| rejected.to_string())?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|error| error.to_string())?;
    PrivateDecryptingKey::from_pkcs8(der.as_ref()).map_err(|rejected| rejected.to_string())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{
        KeySize, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey,
    };
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::super::tests::{vector, vector_json, vector_keys};
    use super::*;

    const CONTENT_KEY: [u8; 32] = [0x77; 32];

    fn sid(number: u128) -> KeySid {
        KeySid(number)
    }

    fn text(name: &str) -> String {
        String::from_utf8(vector(name)).unwrap()
    }

    fn pem(kind: &str, der: &[u8]) -> String {
        let lines = STANDARD.encode(der);
        format!("-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n")
    }

    fn new_key() -> (String, PublicEncryptingKey) {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        (pem("PRIVATE KEY", der.as_ref()), key.public_key())
    }

    fn wrap(public: &PublicEncryptingKey, content_key: &[u8]) -> Vec<u8> {
        let public = OaepPublicEncryptingKey::new(public.clone()).unwrap();
        let mut room = vec![0; public.ciphertext_size()];
        public.encrypt(&OAEP_SHA256_MGF1SHA256, content_key, &mut room, None).unwrap().to_vec()
    }

    fn envelope(named: KeySid, wrapped: &[u8]) -> Envelope {
        let json = serde_json::json!({
            "public_key_sid": named.to_string(),
            "encrypted_cek": STANDARD.encode(wrapped),
            "iv": STANDARD.encode([0; 12]),
        });
        Envelope::read(&json).unwrap()
    }

    #[test]
    fn the_envelopes_of_twilio_open() {
        let json = vector_json("voice_encryption.json");
        let envelope = Envelope::read(&json["encryption_details"]).unwrap();
        let right: Vec<u8> = (0..32).collect();
        assert_eq!(vector_keys().open(&envelope).unwrap().expose().as_slice(), right);

        // The same key in PKCS#1, which PKCS#8 wraps behind 26 bytes.
        let pkcs8 = PrivateKeyDer::from_pem_slice(&vector("test_private_key_pkcs8.pem")).unwrap();
        let mut keys = PrivateKeys::default();
        let pkcs1 = pem("RSA PRIVATE KEY", &pkcs8.secret_der()[26..]);
        keys.add(envelope.key_sid(), &pkcs1).unwrap();
        assert_eq!(keys.open(&envelope).unwrap().expose().as_slice(), right);
    }

    #[test]
    fn if_the_named_key_is_not_held_all_others_are_tried() {
        let (one, _) = new_key();
        let (other, public) = new_key();
        let mut keys = PrivateKeys::default();
        let envelope = envelope(sid(9), &wrap(&public, &CONTENT_KEY));
        assert!(matches!(keys.open(&envelope), Err(DecryptError::NoKeys)));
        keys.add(sid(1), &one).unwrap();
        let error = keys.open(&envelope).unwrap_err();
        assert!(matches!(error, DecryptError::NoKey { sid: named } if named == sid(9)));
        assert!(error.to_string().contains("CR00000000000000000000000000000009"), "{error}");
        keys.add(sid(2), &other).unwrap();
        assert_eq!(keys.open(&envelope).unwrap().expose(), &CONTENT_KEY);
    }

    #[test]
    fn a_named_key_that_is_held_is_the_only_one_tried() {
        let (one, public_one) = new_key();
        let (other, public_other) = new_key();
        let mut keys = PrivateKeys::default();
        keys.add(sid(1), &one).unwrap();
        keys.add(sid(2), &other).unwrap();
        let right = envelope(sid(1), &wrap(&public_one, &CONTENT_KEY));
        assert!(keys.open(&right).is_ok());
        let wrong = envelope(sid(1), &wrap(&public_other, &CONTENT_KEY));
        let error = keys.open(&wrong).unwrap_err();
        assert!(matches!(error, DecryptError::KeyDoesNotOpen { sid: named } if named == sid(1)));
    }

    #[test]
    fn a_changed_or_cut_wrapped_key_does_not_open() {
        let (private, public) = new_key();
        let mut keys = PrivateKeys::default();
        keys.add(sid(1), &private).unwrap();
        let wrapped = wrap(&public, &CONTENT_KEY);
        for place in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[place] ^= 0x04;
            let opened = keys.open(&envelope(sid(1), &changed));
            assert!(matches!(opened, Err(DecryptError::KeyDoesNotOpen { .. })), "byte {place}");
        }
        for length in [1, 32, 255, 257, 512, 1024] {
            let mut changed = wrapped.clone();
            changed.resize(length, 0);
            let opened = keys.open(&envelope(sid(1), &changed));
            assert!(matches!(opened, Err(DecryptError::KeyDoesNotOpen { .. })), "{length} bytes");
        }
    }

    #[test]
    fn what_opens_must_be_a_key_for_aes_256() {
        let (private, public) = new_key();
        let mut keys = PrivateKeys::default();
        keys.add(sid(1), &private).unwrap();
        for length in [0, 16, 31, 33, 64] {
            let opened = keys.open(&envelope(sid(1), &wrap(&public, &vec![7; length])));
            assert!(matches!(opened, Err(DecryptError::NotAContentKey { .. })), "{length} bytes");
        }
    }

    #[test]
    fn each_key_is_tried_on_a_video_and_the_error_says_nothing() {
        let (one, _) = new_key();
        let (other, public) = new_key();
        let public = Pkcs1PublicEncryptingKey::new(public).unwrap();
        let video = |content_key: &[u8]| {
            let mut room = vec![0; public.ciphertext_size()];
            let wrapped = public.encrypt(content_key, &mut room).unwrap().to_vec();
            let mut headers = http::HeaderMap::new();
            headers.insert("x-amz-meta-x-amz-key", STANDARD.encode(wrapped).parse().unwrap());
            headers.insert("x-amz-meta-x-amz-iv", STANDARD.encode([0; 16]).parse().unwrap());
            VideoEnvelope::read(&headers).unwrap().unwrap()
        };
        let mut keys = PrivateKeys::default();
        assert!(matches!(keys.open_video(&video(&CONTENT_KEY)), Err(DecryptError::NoKeys)));
        keys.add(sid(1), &one).unwrap();
        assert!(matches!(keys.open_video(&video(&CONTENT_KEY)), Err(DecryptError::Video)));
        keys.add(sid(2), &other).unwrap();
        assert_eq!(keys.open_video(&video(&CONTENT_KEY)).unwrap().expose(), &CONTENT_KEY);
        // Neither another length nor another padding is told apart.
        assert!(matches!(keys.open_video(&video(&[7; 16])), Err(DecryptError::Video)));
        let damaged = video(&CONTENT_KEY).with_wrapped_key(vec![3; 256]);
        assert!(matches!(keys.open_video(&damaged), Err(DecryptError::Video)));
    }

    #[test]
    fn keys_have_2048_to_8192_bits() {
        let read = |name: &str| text(&format!("../{name}"));
        let mut keys = PrivateKeys::default();
        let error = keys.add(sid(1), &read("rsa_1024.pem")).unwrap_err();
        assert_eq!(error, KeyError::Unusable { sid: sid(1), problem: "TooSmall".to_owned() });

        let longest = read("rsa_8192.pem");
        keys.add(sid(1), &longest).unwrap();
        let der = PrivateKeyDer::from_pem_slice(longest.as_bytes()).unwrap();
        let public = PrivateDecryptingKey::from_pkcs8(der.secret_der()).unwrap().public_key();
        let wrapped = wrap(&public, &CONTENT_KEY);
        assert_eq!(wrapped.len(), 1024);
        assert_eq!(keys.open(&envelope(sid(1), &wrapped)).unwrap().expose(), &CONTENT_KEY);
    }

    #[test]
    fn what_is_no_rsa_private_key_is_refused_without_repeating_it() {
        let good = text("test_private_key_pkcs8.pem");
        let elliptic = elliptic_key();
        let encrypted = good.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIC\n";
        let damaged = good.replacen("MII", "!II", 1);
        for (text, word) in [
            ("", "must hold one"),
            ("MIIEvQIBADANBg", "must hold one"),
            (&text("test_public_key.pem"), "must hold one"),
            (&good.repeat(2), "must hold one"),
            (&good.replace("-----END", ""), "must hold one"),
            (&damaged, "must hold one"),
            (&encrypted, "openssl pkey"),
            (old_encrypted, "openssl pkey"),
            (&elliptic, "must be an RSA key"),
            (&pem("PRIVATE KEY", b"not DER"), "must be an RSA key"),
            (&pem("RSA PRIVATE KEY", b"not DER"), "must be an RSA key"),
            (&pem("EC PRIVATE KEY", b"not DER"), "must be an RSA key"),
        ] {
            let error = PrivateKeys::default().add(sid(5), text).unwrap_err();
            let error = format!("{error} {error:?}");
            assert!(error.contains(word) && error.contains(&sid(5).to_string()), "{error}");
            assert!(!error.contains("II") && !error.contains("-----"), "{error}");
        }
    }

    fn elliptic_key() -> String {
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
        let signing = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(signing, &SystemRandom::new()).unwrap();
        pem("PRIVATE KEY", key.as_ref())
    }

    #[test]
    fn a_key_shows_its_sid_and_nothing_else() {
        let mut keys = vector_keys();
        assert_eq!(format!("{keys:?}"), "PrivateKeys([CR00000000000000000000000000000000])");
        assert_eq!(format!("{:?}", ContentKey::new([7; 32])), "ContentKey(not shown)");
        let again = keys.add(sid(0), &text("test_private_key_pkcs8.pem"));
        assert_eq!(again, Err(KeyError::Twice { sid: sid(0) }));
    }

    #[test]
    fn one_key_has_one_spelling() {
        let text = "CR00ff00ff00ff00ff00ff00ff00ff00ff";
        assert_eq!(text.parse::<KeySid>().unwrap().to_string(), text);
        for bad in
            ["", "CR", "CR00FF00ff00ff00ff00ff00ff00ff00ff", "cr00ff00ff00ff00ff00ff00ff00ff00ff"]
        {
            assert_eq!(bad.parse::<KeySid>(), Err(NotAKeySid), "{bad}");
        }
        assert!("CR+0ff00ff00ff00ff00ff00ff00ff00ff".parse::<KeySid>().is_err());
        assert!(format!("{text}0").parse::<KeySid>().is_err());
    }
}
