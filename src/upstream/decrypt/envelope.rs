//! What stands beside encrypted content: which public key, the wrapped content key, the IV.
//!
//! Voice has it in the Recording resource (and in the status callback), video in headers of the
//! object's storage. Both come from outside and are read strictly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::KeySid;

/// LIMIT: bytes of a wrapped content key, which is as long as the RSA key: at most 8192 bits.
const WRAPPED_BYTES_MAX: usize = 1024;

/// LIMIT: base64 characters that are decoded; that many hold the longest wrapped key.
const TEXT_BYTES_MAX: usize = WRAPPED_BYTES_MAX.div_ceil(3) * 4;

const VIDEO_KEY: HeaderName = HeaderName::from_static("x-amz-meta-x-amz-key");
const VIDEO_IV: HeaderName = HeaderName::from_static("x-amz-meta-x-amz-iv");

/// An envelope that cannot be read. What it holds is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It is not a JSON object.
    #[error("encryption_details is not a JSON object")]
    NotAnObject,
    /// A part is missing, is there twice, or is not text.
    #[error("the envelope must hold `{0}` once, as text")]
    Part(&'static str),
    /// The key's name is not a SID.
    #[error("the envelope's public key is not named by a SID")]
    KeySid,
    /// The wrapped key is not base64, or longer than any RSA key.
    #[error("the envelope's wrapped key is not base64 of at most 1024 bytes")]
    WrappedKey,
    /// The IV is not base64, or is of another length.
    #[error("the envelope's IV is not base64 of {0} bytes")]
    Iv(usize),
}

/// `encryption_details` of a voice recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    key_sid: KeySid,
    wrapped_key: Vec<u8>,
    iv: [u8; 12],
}

impl Envelope {
    /// Reads `encryption_details` in either of Twilio's spellings: `public_key_sid`,
    /// `encrypted_cek`, `iv`; or `encryption_public_key_sid`, `encryption_cek`, `encryption_iv`. A
    /// `type` is text if it is there. Other members are passed over.
    ///
    /// # Errors
    /// [`EnvelopeError`] says which part is wrong.
    pub fn read(details: &Value) -> Result<Self, EnvelopeError> {
        if !details.is_object() {
            return Err(EnvelopeError::NotAnObject);
        }
        if details.get("type").is_some_and(|kind| !kind.is_string()) {
            return Err(EnvelopeError::Part("type"));
        }
        let key_sid = part(details, "public_key_sid", "encryption_public_key_sid")?;
        let wrapped_key = part(details, "encrypted_cek", "encryption_cek")?;
        let iv = part(details, "iv", "encryption_iv")?;
        Ok(Self {
            key_sid: key_sid.parse().map_err(|_| EnvelopeError::KeySid)?,
            wrapped_key: read_wrapped_key(wrapped_key)?,
            iv: read_iv(iv)?,
        })
    }

    /// The public key that the content key is wrapped for.
    #[must_use]
    pub fn key_sid(&self) -> KeySid {
        self.key_sid
    }

    /// The IV of the content.
    #[must_use]
    pub fn iv(&self) -> [u8; 12] {
        self.iv
    }

    pub(super) fn wrapped_key(&self) -> &[u8] {
        &self.wrapped_key
    }
}

/// The envelope of a video recording or composition: the first version of Amazon S3's client-side
/// encryption, in the headers of the stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoEnvelope {
    wrapped_key: Vec<u8>,
    iv: [u8; 16],
}

impl VideoEnvelope {
    /// Reads the envelope; `None` if there is none, since then the content is not encrypted.
    ///
    /// # Errors
    /// [`EnvelopeError`] says which part is wrong.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, EnvelopeError> {
        if !headers.contains_key(VIDEO_KEY) && !headers.contains_key(VIDEO_IV) {
            return Ok(None);
        }
        Ok(Some(Self {
            wrapped_key: read_wrapped_key(header(headers, &VIDEO_KEY, "x-amz-key")?)?,
            iv: read_iv(header(headers, &VIDEO_IV, "x-amz-iv")?)?,
        }))
    }

    /// The IV of the content.
    #[must_use]
    pub fn iv(&self) -> [u8; 16] {
        self.iv
    }

    pub(super) fn wrapped_key(&self) -> &[u8] {
        &self.wrapped_key
    }

    #[cfg(test)]
    pub(super) fn with_wrapped_key(self, wrapped_key: Vec<u8>) -> Self {
        Self { wrapped_key, ..self }
    }
}

fn part<'a>(
    details: &'a Value,
    name: &'static str,
    other_name: &str,
) -> Result<&'a str, EnvelopeError> {
    match (details.get(name), details.get(other_name)) {
        (Some(Value::String(text)), None) | (None, Some(Value::String(text))) => Ok(text),
        _ => Err(EnvelopeError::Part(name)),
    }
}

fn header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    short: &'static str,
) -> Result<&'a str, EnvelopeError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(text)), None) => Ok(text),
        _ => Err(EnvelopeError::Part(short)),
    }
}

fn read_wrapped_key(text: &str) -> Result<Vec<u8>, EnvelopeError> {
    let bytes = decode(text).filter(|bytes| (1..=WRAPPED_BYTES_MAX).contains(&bytes.len()));
    bytes.ok_or(EnvelopeError::WrappedKey)
}

fn read_iv<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], EnvelopeError> {
    decode(text).and_then(|bytes| bytes.try_into().ok()).ok_or(EnvelopeError::Iv(LENGTH))
}

/// RFC 4648, section 4: with padding, and no other form of the same bytes.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_BYTES_MAX { None } else { STANDARD.decode(text).ok() }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::vector_json;
    use super::*;

    const SID: &str = "CR0123456789abcdef0123456789abcdef";
    const SPELLINGS: [[&str; 3]; 2] = [
        ["public_key_sid", "encrypted_cek", "iv"],
        ["encryption_public_key_sid", "encryption_cek", "encryption_iv"],
    ];

    fn written(spelling: [&str; 3], parts: [&str; 3]) -> Value {
        spelling.into_iter().zip(parts).map(|(name, part)| (name.to_owned(), json!(part))).collect()
    }

    #[test]
    fn both_spellings_say_the_same() {
        let details = &vector_json("voice_encryption.json")["encryption_details"];
        let part = |name: &str| details[name].as_str().unwrap();
        let parts = [part("public_key_sid"), part("encrypted_cek"), part("iv")];
        let one = Envelope::read(details).unwrap();
        assert_eq!(one.iv(), std::array::from_fn(|place| 0xa0 + u8::try_from(place).unwrap()));
        assert_eq!(one.wrapped_key().len(), 256);
        assert_eq!(one.key_sid().to_string(), parts[0]);
        for spelling in SPELLINGS {
            let mut details = written(spelling, parts);
            assert_eq!(Envelope::read(&details).as_ref(), Ok(&one));
            details["type"] = json!("rsa-aes");
            details["a member of tomorrow"] = json!([1, 2]);
            assert_eq!(Envelope::read(&details).as_ref(), Ok(&one));
        }
    }

    #[test]
    fn each_part_must_be_there_once_and_as_text() {
        for (place, name) in SPELLINGS[0].into_iter().enumerate() {
            for (spelling, other) in [(SPELLINGS[0], SPELLINGS[1]), (SPELLINGS[1], SPELLINGS[0])] {
                let good = written(spelling, [SID, "AAAA", "AAAAAAAAAAAAAAAA"]);
                assert!(Envelope::read(&good).is_ok());
                let mut missing = good.clone();
                missing.as_object_mut().unwrap().remove(spelling[place]);
                let mut twice = good.clone();
                twice[other[place]] = good[spelling[place]].clone();
                let mut number = good.clone();
                number[spelling[place]] = json!(7);
                let mut null = good;
                null[spelling[place]] = Value::Null;
                for bad in [missing, twice, number, null] {
                    assert_eq!(Envelope::read(&bad), Err(EnvelopeError::Part(name)), "{bad}");
                }
            }
        }
        let mut bad = written(SPELLINGS[0], [SID, "AAAA", "AAAAAAAAAAAAAAAA"]);
        bad["type"] = json!(1);
        assert_eq!(Envelope::read(&bad), Err(EnvelopeError::Part("type")));
        for bad in [Value::Null, json!("{}"), json!([]), json!(1)] {
            assert_eq!(Envelope::read(&bad), Err(EnvelopeError::NotAnObject));
        }
    }

    #[test]
    fn each_part_is_read_strictly() {
        let read = |parts: [&str; 3]| Envelope::read(&written(SPELLINGS[0], parts));
        let iv = "AAAAAAAAAAAAAAAA";
        assert_eq!(read(["CR7", "AAAA", iv]), Err(EnvelopeError::KeySid));
        let longest = STANDARD.encode([7; 1024]);
        assert!(read([SID, &longest, iv]).is_ok());
        let too_long = STANDARD.encode([7; 1025]);
        let enormous = "A".repeat(1 << 20);
        for bad in
            ["", "A", "AA", "AA=", "AAA", "AA==\n", " AAAA", "A_A-", "AB==", &too_long, &enormous]
        {
            assert_eq!(read([SID, bad, iv]), Err(EnvelopeError::WrappedKey), "{bad}");
        }
        for length in [0, 1, 11, 13, 16] {
            let bad = STANDARD.encode(vec![7; length]);
            assert_eq!(read([SID, "AAAA", &bad]), Err(EnvelopeError::Iv(12)), "{length}");
        }
    }

    #[test]
    fn a_video_without_an_envelope_is_not_encrypted_and_half_an_envelope_is_an_error() {
        let (key, iv) = (HeaderValue::from_static("AAAA"), STANDARD.encode([7; 16]));
        let iv = HeaderValue::try_from(iv).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(VideoEnvelope::read(&headers), Ok(None));
        headers.insert(VIDEO_KEY, key.clone());
        assert_eq!(VideoEnvelope::read(&headers), Err(EnvelopeError::Part("x-amz-iv")));
        headers.insert(VIDEO_IV, iv.clone());
        let read = VideoEnvelope::read(&headers).unwrap().unwrap();
        assert_eq!((read.iv(), read.wrapped_key()), ([7; 16], [0; 3].as_slice()));

        headers.append(VIDEO_IV, iv.clone());
        assert_eq!(VideoEnvelope::read(&headers), Err(EnvelopeError::Part("x-amz-iv")));
        headers.insert(VIDEO_IV, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(VideoEnvelope::read(&headers), Err(EnvelopeError::Part("x-amz-iv")));
        headers.insert(VIDEO_IV, HeaderValue::from_static("AAAAAAAAAAAAAAAA"));
        assert_eq!(VideoEnvelope::read(&headers), Err(EnvelopeError::Iv(16)));
        headers.remove(VIDEO_KEY);
        assert_eq!(VideoEnvelope::read(&headers), Err(EnvelopeError::Part("x-amz-key")));
    }

    proptest! {
        #[test]
        fn any_texts_are_an_envelope_or_an_error(sid in ".*", key in ".*", iv in ".*") {
            for spelling in SPELLINGS {
                let _ = Envelope::read(&written(spelling, [&sid, &key, &iv]));
            }
        }

        #[test]
        fn what_is_read_is_what_was_written(
            sid in "CR[0-9a-f]{32}",
            key in prop::collection::vec(any::<u8>(), 1..=1024),
            iv in any::<[u8; 12]>(),
        ) {
            let details = written(SPELLINGS[1], [&sid, &STANDARD.encode(&key), &STANDARD.encode(iv)]);
            let read = Envelope::read(&details).unwrap();
            prop_assert_eq!(read.key_sid().to_string(), sid);
            prop_assert_eq!(read.wrapped_key(), key);
            prop_assert_eq!(read.iv(), iv);
        }
    }
}
