//! Keys: who signs, and whose signature counts (C2SP signed-note and tlog-cosignature, Ed25519).
//!
//! A key is a name and an id beside the key itself. The id binds the name, the kind of signature
//! and the key together, so that one kind never passes for another.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::line;
use super::merkle::sha256;
use super::note::SignatureLine;

/// LIMIT: bytes of a key's name, a host and a path.
const NAME_BYTES_MAX: usize = 255;

/// LIMIT: a cosignature's time in POSIX seconds (tlog-cosignature).
const TIME_MAX: u64 = u64::MAX >> 1;

/// The first parts of a private key's text, as Go's `note` package writes it.
const PRIVATE: &str = "PRIVATE+KEY+";

/// A key that cannot be used. Never says anything of a private key's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not a verifier key.
    #[error(
        "not a verifier key: it reads `name+id+key`, and its type must be Ed25519 (1) or cosignature/v1 (4)"
    )]
    NotAVerifier,
    /// The text is not a private key.
    #[error(
        "not a private key: it reads `PRIVATE+KEY+name+id+key`, and its type must be Ed25519 (1)"
    )]
    NotASigner,
    /// The name cannot stand in a note.
    #[error("a key's name has 1 to 255 bytes without blanks or `+`")]
    Name,
    /// The id does not belong to the name and the key.
    #[error(
        "the key's id does not belong to its name and key: a part was changed or copied wrongly"
    )]
    Id,
    /// The time is not one that can be signed.
    #[error("a cosignature's time is a number of seconds after 1970, at most 2^63 - 1")]
    Time,
    /// The system gave no randomness, or the library failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// What a key signs, by its number in signed-note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The text of a note (0x01): a log's signature.
    Note,
    /// A checkpoint at a time (0x04): a witness's cosignature/v1.
    Cosignature,
}

impl KeyKind {
    fn number(self) -> u8 {
        match self {
            Self::Note => 1,
            Self::Cosignature => 4,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Self::Note, Self::Cosignature].into_iter().find(|kind| kind.number() == number)
    }
}

/// The public half of a key. Its text is what an auditor keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    kind: KeyKind,
    public: [u8; 32],
}

impl VerifierKey {
    /// Reads a verifier key.
    ///
    /// # Errors
    /// [`KeyError`] if it is not one, is of another type, or its id does not belong to it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, id, number, public) = parts(text).ok_or(KeyError::NotAVerifier)?;
        let kind = KeyKind::of(number).ok_or(KeyError::NotAVerifier)?;
        let key = Self::new(name, kind, public)?;
        if line::hex(&key.id) == id { Ok(key) } else { Err(KeyError::Id) }
    }

    fn new(name: &str, kind: KeyKind, public: [u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, kind, &public), kind, public })
    }

    /// The name in its signature lines.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether a signature line says that it is by this key.
    pub(super) fn is_named_by(&self, line: &SignatureLine) -> bool {
        self.name == line.name && self.id == line.id
    }

    /// Checks a signature over a note's text: `Some` if it holds, with the time of a cosignature.
    pub(super) fn check(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        let (time, message, signature) = match self.kind {
            KeyKind::Note => (None, text.to_owned(), signature),
            KeyKind::Cosignature => {
                let (time, signature) = signature.split_first_chunk()?;
                let time = u64::from_be_bytes(*time);
                if time > TIME_MAX {
                    return None;
                }
                (Some(time), cosigned(text, time), signature)
            }
        };
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        key.verify(message.as_bytes(), signature).ok().map(|()| time)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[self.kind.number()], self.public.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, line::hex(&self.id), line::base64(&typed))
    }
}

/// A log's private key.
pub struct Signer {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// Makes a new key. The second value is its private text, for a file of its owner's alone;
    /// there is no other way to it.
    ///
    /// # Errors
    /// [`KeyError`] if the name cannot be one, or there is no randomness.
    pub fn generate(name: &str) -> Result<(Self, String), KeyError> {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| KeyError::Crypto)?;
        let signer = Self::new(name, &seed)?;
        let typed = [&[KeyKind::Note.number()], seed.as_slice()].concat();
        let id = line::hex(&signer.key.id);
        Ok((signer, format!("{PRIVATE}{name}+{id}+{}", line::base64(&typed))))
    }

    /// Reads a private key in the form of Go's `note` package.
    ///
    /// # Errors
    /// [`KeyError`] if it is not one, or its id does not belong to it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.strip_prefix(PRIVATE).ok_or(KeyError::NotASigner)?;
        let (name, id, number, seed) = parts(text).ok_or(KeyError::NotASigner)?;
        if KeyKind::of(number) != Some(KeyKind::Note) {
            return Err(KeyError::NotASigner);
        }
        let signer = Self::new(name, &seed)?;
        if line::hex(&signer.key.id) == id { Ok(signer) } else { Err(KeyError::Id) }
    }

    fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Crypto)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Crypto)?;
        Ok(Self { key: VerifierKey::new(name, KeyKind::Note, public)?, pair })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    /// Signs a note's text.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the library fails.
    pub fn sign(&self, text: &str) -> Result<SignatureLine, KeyError> {
        signature(&self.key, &self.pair, &[], text)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, key not shown)", self.key.name)
    }
}

/// A witness's private key: it signs checkpoints with the time at which it saw them.
pub struct Cosigner {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

impl Cosigner {
    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    /// Cosigns a checkpoint's text at a time in POSIX seconds. Only a witness may, after it has
    /// seen the proof and remembered the checkpoint.
    pub(super) fn sign(&self, text: &str, time: u64) -> Result<SignatureLine, KeyError> {
        if time == 0 || time > TIME_MAX {
            return Err(KeyError::Time);
        }
        signature(&self.key, &self.pair, &time.to_be_bytes(), &cosigned(text, time))
    }
}

/// A witness's key is kept in the same form as a log's, but a key that cosigns signs nothing else.
impl TryFrom<Signer> for Cosigner {
    type Error = KeyError;

    fn try_from(signer: Signer) -> Result<Self, KeyError> {
        let VerifierKey { name, public, .. } = signer.key;
        let key = VerifierKey::new(&name, KeyKind::Cosignature, public)?;
        Ok(Self { key, pair: signer.pair })
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({}, key not shown)", self.key.name)
    }
}

fn signature(
    key: &VerifierKey,
    pair: &Ed25519KeyPair,
    before: &[u8],
    message: &str,
) -> Result<SignatureLine, KeyError> {
    let signed = pair.try_sign(message.as_bytes()).map_err(|_| KeyError::Crypto)?;
    let signature = [before, signed.as_ref()].concat();
    Ok(SignatureLine { name: key.name.clone(), id: key.id, signature })
}

/// What a cosignature signs (tlog-cosignature, "Ed25519 signed message").
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Whether a name can stand in a signature line.
pub(super) fn is_name(name: &str) -> bool {
    let unfit = |c: char| c.is_whitespace() || c == '+' || c.is_ascii_control();
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(unfit)
}

fn key_id(name: &str, kind: KeyKind, public: &[u8; 32]) -> [u8; 4] {
    let bound = [name.as_bytes(), b"\n", &[kind.number()], public].concat();
    let [a, b, c, d, ..] = sha256(&bound);
    [a, b, c, d]
}

/// The parts of a key's text: name, id, type and 32 bytes.
fn parts(text: &str) -> Option<(&str, &str, u8, [u8; 32])> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = line::bytes(key)?;
    let (number, key) = bytes.split_first()?;
    Some((name, id, *number, key.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosignatures_time_has_an_end() {
        let (signer, _) = Signer::generate("w").unwrap();
        let cosigner = Cosigner::try_from(signer).unwrap();
        let at = |time: u64| {
            let message = cosigned("t\n", time);
            let before = time.to_be_bytes();
            let line = signature(&cosigner.key, &cosigner.pair, &before, &message).unwrap();
            cosigner.key.check("t\n", &line.signature)
        };
        assert_eq!(at(TIME_MAX), Some(Some(TIME_MAX)));
        assert_eq!(at(TIME_MAX + 1), None, "though the signature holds");
    }
}
