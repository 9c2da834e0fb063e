//! Where checkpoints go beside the ledger: a file, an address, witnesses.
//!
//! Only hashes leave. One that does not answer is left alone for a while and holds nothing up; what
//! it missed it gets with the next checkpoint, which says more.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::tlog::file;
use super::tlog::key::VerifierKey;
use super::tlog::merkle::{TileSource, consistency_proof};
use super::tlog::note::Note;
use super::tlog::witness::{AddCheckpoint, parse_conflict};
use super::writer::full;
use crate::config;

/// How long an outlet that failed is left alone.
const REST: Duration = Duration::from_secs(15);

/// Brings a body to an address and waits for the answer, a few seconds at most.
pub trait Courier: Debug + Send {
    /// The status and the body of the answer to a POST.
    ///
    /// # Errors
    /// Why there was none.
    fn post(&self, url: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), String>;
}

/// All outlets of a ledger.
#[derive(Debug)]
pub(super) struct Outlets {
    file: Option<PathBuf>,
    url: Option<String>,
    witnesses: Vec<Witness>,
    courier: Box<dyn Courier>,
    /// Which of them failed, and when.
    failed: HashMap<String, Instant>,
}

#[derive(Debug)]
struct Witness {
    url: String,
    key: VerifierKey,
    /// The size of the last checkpoint that it cosigned.
    size: u64,
}

impl Outlets {
    /// The outlets that a configuration names.
    ///
    /// # Errors
    /// Says which witness's key is none.
    pub(super) fn new(
        settings: &config::Ledger,
        courier: Box<dyn Courier>,
    ) -> Result<Self, String> {
        let witness = |named: &config::Witness| {
            let key = VerifierKey::parse(&named.key)
                .map_err(|error| format!("the key of witness `{}`: {error}", named.url))?;
            let url = format!("{}/add-checkpoint", named.url.trim_end_matches('/'));
            Ok(Witness { url, key, size: 0 })
        };
        Ok(Self {
            file: settings.checkpoint_file.clone(),
            url: settings.checkpoint_url.clone(),
            witnesses: settings.witnesses.iter().map(witness).collect::<Result<_, String>>()?,
            courier,
            failed: HashMap::new(),
        })
    }

    /// Sends a checkpoint everywhere. Returns it with what witnesses signed under it, if any did.
    ///
    /// # Errors
    /// What is wrong with the tree; an outlet's failure is none.
    pub(super) fn send(
        &mut self,
        note: &Note,
        size: u64,
        tree: &impl TileSource,
    ) -> Result<Option<Note>, String> {
        let mut cosigned: Option<Note> = None;
        let mut witnesses = std::mem::take(&mut self.witnesses);
        for witness in &mut witnesses {
            let url = witness.url.clone();
            if self.rests(&url) {
                continue;
            }
            match witness.ask(&*self.courier, note, size, tree) {
                Ok(line) => {
                    self.failed.remove(&url);
                    let with = cosigned.unwrap_or_else(|| note.clone()).with(line);
                    cosigned = Some(with.map_err(|error| full(&error))?);
                }
                Err(problem) => self.fails(url, &problem),
            }
        }
        self.witnesses = witnesses;
        let told = cosigned.as_ref().unwrap_or(note).to_string();
        if let Some(path) = self.file.clone() {
            let name = path.display().to_string();
            // A folder that is gone is a disk that is gone; none is made in its place.
            let there = path.parent().is_none_or(|folder| folder.is_dir() || folder == "");
            let written = match there {
                true => file::replace(&path, told.as_bytes()),
                false => Err(std::io::ErrorKind::NotADirectory.into()),
            };
            if !self.rests(&name)
                && let Err(error) = written
            {
                self.fails(name, &error.to_string());
            }
        }
        if let Some(url) = self.url.clone().filter(|url| !self.rests(url)) {
            match self.courier.post(&url, told.into_bytes()) {
                Ok((200..=299, _)) => {}
                Ok((status, _)) => self.fails(url, &format!("it answered with status {status}")),
                Err(problem) => self.fails(url, &problem),
            }
        }
        Ok(cosigned)
    }

    fn rests(&self, name: &str) -> bool {
        self.failed.get(name).is_some_and(|failed| failed.elapsed() < REST)
    }

    fn fails(&mut self, name: String, problem: &str) {
        tracing::error!(outlet = name, problem, "a checkpoint could not be sent");
        self.failed.insert(name, Instant::now());
    }
}

impl Witness {
    fn ask(
        &mut self,
        courier: &dyn Courier,
        note: &Note,
        size: u64,
        tree: &impl TileSource,
    ) -> Result<super::tlog::note::SignatureLine, String> {
        // It may know more than this process: then it says how much, and is asked once more.
        for _ in 0..2 {
            let proof = match self.size {
                0 => Vec::new(),
                old => consistency_proof(tree, old, size).map_err(|error| full(&error))?,
            };
            let request = AddCheckpoint { old: self.size, proof, checkpoint: note.clone() };
            let (status, body) = courier.post(&self.url, request.to_string().into_bytes())?;
            match (status, parse_conflict(&body)) {
                (200, _) => {
                    let line = request.accept(&body, &self.key).map_err(|error| full(&error))?;
                    self.size = size;
                    return Ok(line);
                }
                (409, Some(known)) if known <= size => self.size = known,
                (409, Some(known)) => {
                    return Err(format!("it has cosigned {known} entries, and here are {size}"));
                }
                _ => return Err(format!("it answered with status {status}")),
            }
        }
        Err("it does not say which checkpoint it knows".to_owned())
    }
}
