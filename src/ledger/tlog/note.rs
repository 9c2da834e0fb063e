//! Signed notes (C2SP signed-note): a text and the signatures under it.
//!
//! A note's text means nothing until [`Note::verify`] has found a known key's signature: only
//! then may it be read.

use std::fmt;

use super::key::{VerifierKey, is_name};
use super::line;

/// LIMIT: bytes of a note. The specification asks for at least 16 signatures, of up to 5 kB each.
pub const NOTE_BYTES_MAX: usize = 128 << 10;

/// LIMIT: signatures on a note, each of which may cost a verification.
pub const SIGNATURES_MAX: usize = 64;

/// The em dash that opens a signature line.
const DASH: &str = "\u{2014} ";

/// A note that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is longer than a note may be, or has more signatures.
    #[error("the note is longer than 128 KiB or has more than 64 signatures")]
    TooLong,
    /// The bytes are not a note.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A known key's name and id stand before a signature that it did not make.
    #[error("the signature by `{0}` is false")]
    FalseSignature(String),
    /// Nobody who is known has signed.
    #[error("the note has no signature by a known key")]
    NoKnownSignature,
}

/// A signature with the name and id of its key, as it stands in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    pub(super) name: String,
    pub(super) id: [u8; 4],
    pub(super) signature: Vec<u8>,
}

impl SignatureLine {
    /// Reads one line, without its newline.
    fn parse(text: &str) -> Option<Self> {
        let (name, signature) = text.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = line::bytes(signature)?;
        let (id, signature) = bytes.split_first_chunk()?;
        let name = Some(name).filter(|name| is_name(name))?.to_owned();
        Some(Self { name, id: *id, signature: signature.to_vec() })
            .filter(|line| !line.signature.is_empty())
    }
}

/// As it stands in a note, with its newline.
impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.as_slice(), &self.signature].concat();
        writeln!(f, "{DASH}{} {}", self.name, line::base64(&bytes))
    }
}

/// A known key's signature that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Whose it is.
    pub key: &'a VerifierKey,
    /// The line.
    pub line: &'a SignatureLine,
    /// When a cosignature was made, in POSIX seconds.
    pub time: Option<u64>,
}

/// A text with its signatures, of which nothing is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// Puts signatures under a text.
    ///
    /// # Errors
    /// [`NoteError`] if the text does not end in a newline or holds control characters, or the
    /// note would be too long.
    pub fn new(text: &str, signatures: Vec<SignatureLine>) -> Result<Self, NoteError> {
        Self::parse(Self { text: text.to_owned(), signatures }.to_string().as_bytes())
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError`] if the bytes are not a note or too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::Malformed("not UTF-8"))?;
        if note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed("it holds a control character"));
        }
        let parts = note.rsplit_once("\n\n");
        let (text, lines) = parts.ok_or(NoteError::Malformed("no empty line after the text"))?;
        let lines =
            lines.strip_suffix('\n').ok_or(NoteError::Malformed("no newline at its end"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::TooLong);
            }
            let malformed = NoteError::Malformed("a line under the text is not a signature");
            signatures.push(SignatureLine::parse(line).ok_or(malformed)?);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The note with one more signature.
    ///
    /// # Errors
    /// [`NoteError::TooLong`].
    pub fn with(mut self, signature: SignatureLine) -> Result<Self, NoteError> {
        self.signatures.push(signature);
        Self::new(&self.text, self.signatures)
    }

    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The known keys' signatures, one for each key, of which there is at least one. Signatures by
    /// unknown keys say nothing.
    ///
    /// # Errors
    /// [`NoteError`] if no known key signed, or a known key's signature is false.
    pub fn verify<'a>(&'a self, known: &'a [VerifierKey]) -> Result<Vec<Signed<'a>>, NoteError> {
        let signed = self.signed_by(known)?;
        if signed.is_empty() { Err(NoteError::NoKnownSignature) } else { Ok(signed) }
    }

    /// The known keys' signatures, one for each key, of which there may be none.
    ///
    /// # Errors
    /// [`NoteError::FalseSignature`] if a known key's signature does not hold.
    pub fn signed_by<'a>(&'a self, known: &'a [VerifierKey]) -> Result<Vec<Signed<'a>>, NoteError> {
        let mut signed: Vec<Signed<'_>> = Vec::new();
        for line in &self.signatures {
            let mut named = known.iter().filter(|key| key.is_named_by(line)).peekable();
            if named.peek().is_none() {
                continue;
            }
            let holds = named.find_map(|key| {
                let time = key.check(&self.text, &line.signature)?;
                Some(Signed { key, line, time })
            });
            let holds = holds.ok_or_else(|| NoteError::FalseSignature(line.name.clone()))?;
            if signed.iter().all(|one| one.key != holds.key) {
                signed.push(holds);
            }
        }
        Ok(signed)
    }
}

/// As it is stored and sent.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| line.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use signed_note as theirs;

    use super::super::key::{Cosigner, KeyError, KeyKind, Signer};
    use super::*;

    /// The specification's example.
    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn signer(name: &str) -> Signer {
        Signer::generate(name).unwrap().0
    }

    #[test]
    fn the_specifications_example_verifies() {
        let (note, key) =
            (Note::parse(NOTE.as_bytes()).unwrap(), VerifierKey::parse(VKEY).unwrap());
        assert_eq!(note.to_string(), NOTE);
        assert_eq!(key.to_string(), VKEY);
        let known = [key];
        let signed = note.verify(&known).unwrap();
        assert_eq!((signed.len(), signed[0].time), (1, None));
    }

    #[test]
    fn each_side_reads_what_the_other_signed() {
        use theirs::Verifier;
        let (ours, private) = Signer::generate("example.com/log").unwrap();
        let vkey = ours.verifier().to_string();
        let known = theirs::VerifierList::new(vec![Box::new(
            theirs::StandardVerifier::new(&vkey).unwrap(),
        )]);
        let note = Note::new("text\n\nmore\n", vec![ours.sign("text\n\nmore\n").unwrap()]).unwrap();
        let read = theirs::Note::from_bytes(note.to_string().as_bytes()).unwrap();
        assert_eq!(read.verify(&known).unwrap().0.len(), 1);
        assert_eq!(theirs::StandardVerifier::new(&vkey).unwrap().name(), "example.com/log");

        let mut note = theirs::Note::new(b"theirs\n", &[]).unwrap();
        note.add_sigs(&[&theirs::StandardSigner::new(&private).unwrap()]).unwrap();
        let read = Note::parse(&note.to_bytes()).unwrap();
        assert_eq!(read.verify(&[ours.verifier().clone()]).unwrap().len(), 1);
        assert_eq!(Signer::parse(&private).unwrap().verifier(), ours.verifier());
    }

    #[test]
    fn strangers_signatures_say_nothing_and_false_ones_spoil_the_note() {
        let (a, b) = (signer("a"), signer("b"));
        let (only_a, both) = ([a.verifier().clone()], [a.verifier().clone(), b.verifier().clone()]);
        let note = |lines| Note::new("text\n", lines).unwrap();
        let by_a = note(vec![b.sign("text\n").unwrap(), a.sign("text\n").unwrap()]);
        assert_eq!(by_a.verify(&only_a).unwrap().len(), 1);
        assert_eq!(by_a.verify(&both).unwrap().len(), 2);
        let by_b = note(vec![b.sign("text\n").unwrap()]);
        assert_eq!(by_b.verify(&only_a), Err(NoteError::NoKnownSignature));
        assert_eq!(by_b.signed_by(&only_a), Ok(vec![]));
        let of_another = note(vec![b.sign("text\n").unwrap(), a.sign("other\n").unwrap()]);
        assert_eq!(of_another.verify(&both), Err(NoteError::FalseSignature("a".to_owned())));
        let twice = note(vec![a.sign("text\n").unwrap(), a.sign("text\n").unwrap()]);
        assert_eq!(twice.verify(&only_a).unwrap().len(), 1, "a key counts once");
        let impostor = signer("a");
        let same_name = note(vec![impostor.sign("text\n").unwrap()]);
        assert_eq!(same_name.verify(&only_a), Err(NoteError::NoKnownSignature));
    }

    #[test]
    fn a_note_has_one_form() {
        let line = signer("k").sign("t\n").unwrap().to_string();
        assert!(Note::parse(format!("t\n\n{line}").as_bytes()).is_ok());
        for text in [
            String::new(),
            "\n\n".to_owned(),
            "t\n\n".to_owned(),
            line.clone(),
            format!("t\n{line}"),
            format!("t\n\n{}", line.trim_end()),
            format!("t\n\n{line}\n"),
            format!("t\r\n\n{line}"),
            format!("t\0\n\n{line}"),
            format!("t\n\n{}", line.replace('\u{2014}', "-")),
            format!("t\n\n{}", line.replace(" k ", "  ")),
            format!("t\n\n{}", line.replace(" k ", " k+ ")),
            format!("t\n\n{}", line.replace(" k ", " k l ")),
            format!("t\n\n{}", line.replace('=', "")),
            "t\n\n\u{2014} k AAAAAA==\n".to_owned(),
        ] {
            assert!(Note::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Note::parse(b"t\xff\n\n").is_err());
        assert!(Note::new("no newline", vec![]).is_err());
    }

    #[test]
    fn a_note_has_an_end() {
        let line = signer("k").sign("t\n").unwrap();
        let of = |count| Note::new("t\n", vec![line.clone(); count]);
        assert!(of(SIGNATURES_MAX).is_ok());
        assert_eq!(of(SIGNATURES_MAX + 1), Err(NoteError::TooLong));
        assert_eq!(of(SIGNATURES_MAX).unwrap().with(line.clone()), Err(NoteError::TooLong));
        let long = "t".repeat(NOTE_BYTES_MAX) + "\n";
        assert_eq!(Note::new(&long, vec![line]), Err(NoteError::TooLong));
    }

    #[test]
    fn a_key_that_was_changed_is_refused() {
        let (_, private) = Signer::generate("log").unwrap();
        assert_eq!(VerifierKey::parse(&VKEY.replace("foo", "fop")), Err(KeyError::Id));
        assert_eq!(VerifierKey::parse(&VKEY.replace("530d", "530D")), Err(KeyError::Id));
        assert_eq!(VerifierKey::parse(&VKEY.replace("+Ae", "+Be")), Err(KeyError::NotAVerifier));
        assert_eq!(VerifierKey::parse(&private), Err(KeyError::NotAVerifier));
        assert_eq!(VerifierKey::parse(""), Err(KeyError::NotAVerifier));
        assert_eq!(Signer::parse(VKEY).unwrap_err(), KeyError::NotASigner);
        assert_eq!(Signer::parse(&private.replace("log", "lag")).unwrap_err(), KeyError::Id);
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", "a\u{7f}", &"a".repeat(256)] {
            assert_eq!(Signer::generate(name).unwrap_err(), KeyError::Name, "{name:?}");
        }
    }

    #[test]
    fn a_private_key_does_not_print() {
        let (signer, private) = Signer::generate("log").unwrap();
        let secret = private.rsplit('+').next().unwrap().to_owned();
        assert!(!format!("{signer:?}").contains(secret.trim_end_matches('=')));
        assert_eq!(format!("{signer:?}"), "Signer(log, key not shown)");
        let cosigner = Cosigner::try_from(signer).unwrap();
        assert_eq!(format!("{cosigner:?}"), "Cosigner(log, key not shown)");
        assert!(
            !Signer::parse(&private.replace("log", "lag"))
                .unwrap_err()
                .to_string()
                .contains(&secret)
        );
    }

    #[test]
    fn a_cosignature_binds_text_and_time_and_is_no_signature() {
        let log = signer("w");
        let plain = log.verifier().clone();
        let cosigner = Cosigner::try_from(log).unwrap();
        let known = [cosigner.verifier().clone()];
        assert_eq!(known[0].kind(), KeyKind::Cosignature);
        assert_eq!(VerifierKey::parse(&known[0].to_string()).unwrap(), known[0]);
        let line = cosigner.sign("t\n", 1_679_315_147).unwrap();
        let note = Note::new("t\n", vec![line.clone()]).unwrap();
        assert_eq!(note.verify(&known).unwrap()[0].time, Some(1_679_315_147));
        assert_eq!(note.verify(&[plain]), Err(NoteError::NoKnownSignature));
        for bit in 0..line.signature.len() * 8 {
            let mut changed = line.clone();
            changed.signature[bit / 8] ^= 1 << (bit % 8);
            let note = Note::new("t\n", vec![changed]).unwrap();
            assert!(matches!(note.verify(&known), Err(NoteError::FalseSignature(_))), "{bit}");
        }
        let mut short = line;
        short.signature.truncate(7);
        assert!(Note::new("t\n", vec![short]).unwrap().verify(&known).is_err());
        assert_eq!(cosigner.sign("t\n", 0), Err(KeyError::Time));
        assert_eq!(cosigner.sign("t\n", u64::MAX), Err(KeyError::Time));
    }

    #[test]
    fn a_cosignature_signs_what_its_specification_says() {
        use ed25519_dalek::Verifier;
        let (log, _) = Signer::generate("w").unwrap();
        let vkey = line::bytes(log.verifier().to_string().splitn(3, '+').nth(2).unwrap());
        let public =
            ed25519_dalek::VerifyingKey::from_bytes(vkey.unwrap()[1..].try_into().unwrap());
        let cosigner = Cosigner::try_from(log).unwrap();
        let text = "example.com/behind-the-sofa\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let line = cosigner.sign(text, 1_679_315_147).unwrap();
        assert_eq!(line.signature[..8], 1_679_315_147u64.to_be_bytes());
        let signature = ed25519_dalek::Signature::from_slice(&line.signature[8..]).unwrap();
        let message = format!("cosignature/v1\ntime 1679315147\n{text}");
        public.unwrap().verify(message.as_bytes(), &signature).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_have_one_form(
            bytes: Vec<u8>, text in "[a-c\n ]{0,12}\n", tail in "(\u{2014} [a+ ]{0,3} [A-D=]{0,9}\n?){0,3}",
        ) {
            for bytes in [bytes, format!("{text}\n{tail}").into_bytes()] {
                if let Ok(note) = Note::parse(&bytes) {
                    prop_assert_eq!(note.to_string().into_bytes(), bytes.clone());
                    prop_assert!(theirs::Note::from_bytes(&bytes).is_ok(), "they read it, too");
                }
            }
            let _ = VerifierKey::parse(&text);
            let _ = Signer::parse(&format!("PRIVATE+KEY+{text}"));
        }

        #[test]
        fn notes_come_back(text in "(\\PC{0,20}\n){1,5}", count in 1usize..4) {
            let keys: Vec<_> = (0..count).map(|number| signer(&format!("k{number}"))).collect();
            let lines = keys.iter().map(|key| key.sign(&text).unwrap()).collect();
            let note = Note::new(&text, lines).unwrap();
            prop_assert_eq!(note.text(), &text);
            let known: Vec<_> = keys.iter().map(|key| key.verifier().clone()).collect();
            prop_assert_eq!(note.verify(&known).unwrap().len(), count);
        }
    }
}
