//! Checkpoints (C2SP tlog-checkpoint): a log's name, size and root, signed.

use std::fmt;

use super::key::{KeyError, Signer, VerifierKey};
use super::line;
use super::merkle::Head;
use super::note::{Note, NoteError};

/// A text that is not the checkpoint it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text is not a checkpoint's.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// It is another log's.
    #[error("the checkpoint is of the log `{0}`, not of the expected one")]
    OtherLog(String),
    /// Its note or a signature is at fault.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It cannot be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What a log says of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// Its size and root.
    pub head: Head,
    /// Extension lines, which mean nothing here but are signed with the rest. Ours has none.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// Reads a note's text. Believe it only after the note's signatures are verified, as
    /// [`Self::open`] does.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let text = text.strip_suffix('\n').ok_or(malformed("no newline at its end"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(malformed("no origin in the first line"))?.to_owned();
        let size = lines.next().and_then(line::number);
        let size = size.ok_or(malformed("no size in the second line"))?;
        let root = lines.next().and_then(line::hash);
        let root = root.ok_or(malformed("no root hash in the third line"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(malformed("an extension line is empty"));
        }
        Ok(Self { origin, head: Head { size, root }, extensions })
    }

    /// Reads a log's checkpoint that one of its keys has signed.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is another log's, is not signed by a key of this one, or carries
    /// a false signature.
    pub fn open(note: &Note, origin: &str, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        note.verify(keys)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin == origin {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::OtherLog(checkpoint.origin))
        }
    }

    /// Signs the checkpoint. A log must never sign one that is not consistent with all before.
    ///
    /// # Errors
    /// [`CheckpointError`] if the text would not be a checkpoint's, or the library fails.
    pub fn sign(&self, signer: &Signer) -> Result<Note, CheckpointError> {
        let text = self.to_string();
        if Self::parse(&text)? != *self {
            return Err(CheckpointError::Malformed("a line holds a newline"));
        }
        Ok(Note::new(&text, vec![signer.sign(&text)?])?)
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { size, root } = &self.head;
        writeln!(f, "{}\n{size}\n{}", self.origin, line::base64(root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The specification's example.
    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_specifications_example_is_read() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.head.size, 20_852_163);
        assert_eq!(checkpoint.to_string(), TEXT);
        let theirs = tlog_tiles::Checkpoint::from_bytes(TEXT.as_bytes()).unwrap();
        assert_eq!(checkpoint.head.root, theirs.hash().0);
    }

    #[test]
    fn extension_lines_are_kept_as_they_are() {
        let text = format!("{TEXT}one\ntwo two\n");
        let checkpoint = Checkpoint::parse(&text).unwrap();
        assert_eq!(checkpoint.extensions, ["one", "two two"]);
        assert_eq!(checkpoint.to_string(), text);
    }

    #[test]
    fn a_checkpoint_has_one_form() {
        for text in [
            "",
            "\n",
            "a\n1\n",
            TEXT.trim_end(),
            TEXT.trim_start_matches("example.com/behind-the-sofa"),
            &TEXT.replace("2085", "02085"),
            &TEXT.replace("2085", "+2085"),
            &TEXT.replace("20852163", "9223372036854775808"),
            &TEXT.replace("20852163", ""),
            &TEXT.replace("I=", "I"),
            &TEXT.replace("I=", "J="),
            &TEXT.replace("Cs", ""),
            &TEXT.replace('\n', "\r\n"),
            &format!("{TEXT}\n"),
            &format!("{TEXT}one\n\ntwo\n"),
            &format!("\n{TEXT}"),
        ] {
            assert!(Checkpoint::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_the_logs_own_checkpoint_opens() {
        let (signer, _) = Signer::generate("log").unwrap();
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        let note = checkpoint.sign(&signer).unwrap();
        let known = [signer.verifier().clone()];
        assert_eq!(Checkpoint::open(&note, &checkpoint.origin, &known).unwrap(), checkpoint);
        let other = Checkpoint::open(&note, "example.com/other", &known);
        assert_eq!(other, Err(CheckpointError::OtherLog(checkpoint.origin.clone())));
        let stranger = Checkpoint::open(&note, &checkpoint.origin, &[]);
        assert_eq!(stranger, Err(CheckpointError::Note(NoteError::NoKnownSignature)));
        for bit in 0..TEXT.len() * 8 {
            let mut bytes = note.to_string().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let opened = Note::parse(&bytes)
                .map_err(Into::into)
                .and_then(|note| Checkpoint::open(&note, &checkpoint.origin, &known));
            assert!(opened.is_err(), "{bit}");
        }
    }

    #[test]
    fn what_would_be_read_otherwise_is_not_signed() {
        let (signer, _) = Signer::generate("log").unwrap();
        let good = Checkpoint::parse(TEXT).unwrap();
        let extended =
            |line: &str| Checkpoint { extensions: vec![line.to_owned()], ..good.clone() };
        for bad in [
            Checkpoint { origin: String::new(), ..good.clone() },
            Checkpoint { origin: "a\nb".to_owned(), ..good.clone() },
            Checkpoint { head: Head { size: u64::MAX, ..good.head }, ..good.clone() },
            extended(""),
            extended("a\nb"),
            extended("a\tb"),
        ] {
            assert!(bad.sign(&signer).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_has_one_form(
            text: String, near in "[a\n]{0,3}[0-9]{0,3}\n[A-Za-z]{43}=\n[b\n]{0,3}",
        ) {
            for text in [text, near] {
                if let Ok(checkpoint) = Checkpoint::parse(&text) {
                    prop_assert_eq!(checkpoint.to_string(), text);
                }
            }
        }
    }
}
