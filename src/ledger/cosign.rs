//! A witness of ledgers: its key, the ledgers that it knows, and what it answers.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::tlog::key::{Cosigner, KeyError, Signer, VerifierKey};
use super::tlog::witness::{Answer, KnownLog, SIZE_CONTENT_TYPE, Witness, WitnessError};
use super::writer::full;
use crate::clock::Clock;

/// A witness that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WitnessSetUpError {
    /// Its key file.
    #[error("the witness's key file `{}`: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A ledger's verifier key.
    #[error("`{0}` is not the verifier key of a ledger")]
    Log(String),
    /// Its memory.
    #[error(transparent)]
    Memory(#[from] WitnessError),
}

/// What a witness answers: status, content type and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// A witness at work.
#[derive(Debug)]
pub struct Cosigning {
    witness: Witness,
    clock: Clock,
}

impl Cosigning {
    /// Opens a witness's memory; makes its key if it is missing.
    ///
    /// # Errors
    /// [`WitnessSetUpError`].
    pub fn open(
        name: &str,
        key: &Path,
        memory: &Path,
        logs: &[String],
        clock: Clock,
    ) -> Result<Self, WitnessSetUpError> {
        let signer = read_or_make(name, key)
            .map_err(|problem| WitnessSetUpError::Key { path: key.to_owned(), problem })?;
        let cosigner = Cosigner::try_from(signer).map_err(|error: KeyError| {
            WitnessSetUpError::Key { path: key.to_owned(), problem: full(&error) }
        })?;
        let known = |text: &String| {
            let key = VerifierKey::parse(text);
            let key = key.map_err(|_| WitnessSetUpError::Log(text.clone()))?;
            Ok(KnownLog { origin: key.name().to_owned(), keys: vec![key] })
        };
        let logs = logs.iter().map(known).collect::<Result<_, WitnessSetUpError>>()?;
        Ok(Self { witness: Witness::open(memory, cosigner, logs)?, clock })
    }

    /// The key that verifies its cosignatures.
    #[must_use]
    pub fn verifier(&self) -> String {
        self.witness.verifier().to_string()
    }

    /// Answers a request for a cosignature.
    #[must_use]
    pub fn add_checkpoint(&self, body: &[u8]) -> CosignAnswer {
        let now = u64::try_from(self.clock.now().as_second()).unwrap_or(0);
        let answer = self.witness.add_checkpoint(body, now);
        let status = match &answer {
            Answer::Cosigned(_) => 200,
            Answer::Malformed(_) => 400,
            Answer::NotSigned(_) => 403,
            Answer::UnknownLog => 404,
            Answer::Conflict(_) => 409,
            Answer::Inconsistent => 422,
            Answer::Failed(_) => 500,
        };
        match &answer {
            Answer::Inconsistent => {
                tracing::error!("a ledger does not go on from what was cosigned")
            }
            Answer::Failed(error) => tracing::error!(error = full(error), "cannot remember"),
            _ => {}
        }
        let content_type = match &answer {
            Answer::Conflict(_) => SIZE_CONTENT_TYPE,
            _ => "text/plain; charset=utf-8",
        };
        CosignAnswer { status, content_type, body: answer.to_string() }
    }

    /// The latest checkpoint that was cosigned, by the SHA-256 of its origin in hexadecimal.
    #[must_use]
    pub fn checkpoint(&self, origin: &str) -> Option<String> {
        self.witness.checkpoint(origin).ok().flatten().map(|note| note.to_string())
    }
}

fn read_or_make(name: &str, path: &Path) -> Result<Signer, String> {
    if !path.exists() {
        let (_, text) = Signer::generate(name).map_err(|error| full(&error))?;
        let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| {
            std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| error.to_string())?;
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let signer = Signer::parse(text.trim()).map_err(|_| "it is damaged".to_owned())?;
    if signer.verifier().name() != name {
        return Err(format!("it is the key of `{}`", signer.verifier().name()));
    }
    Ok(signer)
}
