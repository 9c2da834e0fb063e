//! Witnessing (C2SP tlog-witness, `add-checkpoint`), both sides: a log sends each new checkpoint
//! with the proof that it only grew, and somebody else's machine remembers it and cosigns. After
//! that, no smaller or other history can be shown to anyone who asks for the cosignature.
//!
//! What the witness remembers is durable before its cosignature leaves ([`Witness`]); one request
//! at a time moves it forward. Transport is the caller's: a body comes in, an [`Answer`] goes out.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::checkpoint::Checkpoint;
use super::key::{Cosigner, KeyError, VerifierKey};
use super::merkle::{Hash, Head, is_consistent, sha256};
use super::note::{NOTE_BYTES_MAX, Note, NoteError, SignatureLine};
use super::{file, line, proof};

/// LIMIT: bytes of a request's body: a note, 63 hashes in base64, and the first line.
pub const REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + 63 * 45 + 32;

/// The content type of an [`Answer::Conflict`].
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// A request for a cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the last checkpoint that the witness cosigned, or 0.
    pub old: u64,
    /// The proof that the tree of that size is the beginning of the new one.
    pub proof: Vec<Hash>,
    /// The new checkpoint, signed by the log.
    pub checkpoint: Note,
}

impl AddCheckpoint {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err("the request is too long".to_owned());
        }
        let text = str::from_utf8(body).map_err(|_| "the request is not UTF-8")?;
        let (head, note) = text.split_once("\n\n").ok_or("no empty line before the checkpoint")?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(line::number).ok_or("the first line is not `old` and a size")?;
        let proof = proof::hashes(lines).ok_or("a proof is at most 63 lines of one hash each")?;
        let checkpoint = Note::parse(note.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { old, proof, checkpoint })
    }

    /// Takes the witness's cosignature out of its answer to this request.
    ///
    /// # Errors
    /// [`NoteError`] if the answer has none, or a false one.
    pub fn accept(&self, answer: &[u8], witness: &VerifierKey) -> Result<SignatureLine, NoteError> {
        let note = [self.checkpoint.text().as_bytes(), b"\n", answer].concat();
        let note = Note::parse(&note)?;
        if note.text() != self.checkpoint.text() {
            return Err(NoteError::Malformed("the witness's answer is more than signatures"));
        }
        let signed = note.verify(std::slice::from_ref(witness))?;
        signed.first().map(|signed| signed.line.clone()).ok_or(NoteError::NoKnownSignature)
    }
}

/// The body that is sent.
impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", line::base64(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Reads the body of an [`Answer::Conflict`]: the size of the witness's latest checkpoint.
#[must_use]
pub fn parse_conflict(body: &[u8]) -> Option<u64> {
    line::number(str::from_utf8(body).ok()?.strip_suffix('\n')?)
}

/// What a witness answers, each with its HTTP status; the text is the body.
#[derive(Debug)]
pub enum Answer {
    /// 200: remembered and cosigned.
    Cosigned(SignatureLine),
    /// 400: not a request.
    Malformed(String),
    /// 403: not signed by a key of that log, or falsely.
    NotSigned(NoteError),
    /// 404: not a log that is witnessed here.
    UnknownLog,
    /// 409: the old size is not that of the latest checkpoint, which is this one. Its content
    /// type is [`SIZE_CONTENT_TYPE`].
    Conflict(u64),
    /// 422: the log does not go on from the latest checkpoint. If it signed this, it has been
    /// changed: the request is the evidence, and worth keeping.
    Inconsistent,
    /// 500: the checkpoint could not be remembered, so it was not cosigned.
    Failed(WitnessError),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cosigned(line) => line.fmt(f),
            Self::Malformed(problem) => writeln!(f, "{problem}"),
            Self::NotSigned(error) => writeln!(f, "{error}"),
            Self::UnknownLog => writeln!(f, "this log is not witnessed here"),
            Self::Conflict(size) => writeln!(f, "{size}"),
            Self::Inconsistent => writeln!(f, "the proof does not hold"),
            Self::Failed(_) => writeln!(f, "the witness cannot remember the checkpoint"),
        }
    }
}

/// A witness that cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// A file or folder of its memory cannot be used.
    #[error("cannot use the witness's memory `{}`", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Another process witnesses with the same memory.
    #[error("another process uses the witness's memory `{}`: stop it, or give this one a folder of its own", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// What it remembers of a log cannot be trusted.
    #[error("the witness's memory `{}` is damaged ({problem}): put back a copy that is not older", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The cosignature cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A log that is witnessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLog {
    /// Its name.
    pub origin: String,
    /// The keys whose signature makes a checkpoint its own.
    pub keys: Vec<VerifierKey>,
}

/// A witness with its memory: a file for each log, with the latest checkpoint as it was cosigned.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    /// Held while the witness lives, so that no other process moves the same memory.
    _lock: File,
    cosigner: Cosigner,
    logs: Vec<KnownLog>,
    /// Whose turn it is to read the memory and move it forward.
    turn: Mutex<()>,
}

impl Witness {
    /// Opens a witness's memory, a folder of its own.
    ///
    /// # Errors
    /// [`WitnessError`] if the folder cannot be used or is in use.
    pub fn open(
        folder: &Path,
        cosigner: Cosigner,
        logs: Vec<KnownLog>,
    ) -> Result<Self, WitnessError> {
        let path = folder.join("lock");
        let unusable = |source| WitnessError::File { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let lock = File::create(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(WitnessError::InUse { path: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let turn = Mutex::new(());
        Ok(Self { folder: folder.to_owned(), _lock: lock, cosigner, logs, turn })
    }

    /// The key that others know this witness by.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        self.cosigner.verifier()
    }

    /// Answers a request at a time in POSIX seconds. A cosignature comes back only after the
    /// checkpoint is durable.
    #[must_use]
    pub fn add_checkpoint(&self, body: &[u8], time: u64) -> Answer {
        self.judge(body, time).map_or_else(|refusal| refusal, Answer::Cosigned)
    }

    /// The latest cosigned checkpoint of a log, by the SHA-256 of its origin in lower-case
    /// hexadecimal: what `GET <origin hash>/checkpoint` serves. `None` is 404.
    ///
    /// # Errors
    /// [`WitnessError`] if the memory cannot be read.
    pub fn checkpoint(&self, origin_hash: &str) -> Result<Option<Note>, WitnessError> {
        let log = self.logs.iter().find(|log| origin_id(&log.origin) == origin_hash);
        log.map_or(Ok(None), |log| Ok(self.latest(log)?.map(|latest| latest.0)))
    }

    fn judge(&self, body: &[u8], time: u64) -> Result<SignatureLine, Answer> {
        let request = AddCheckpoint::parse(body).map_err(Answer::Malformed)?;
        let text = request.checkpoint.text();
        let new = Checkpoint::parse(text).map_err(|error| Answer::Malformed(error.to_string()))?;
        let log = self.logs.iter().find(|log| log.origin == new.origin);
        let log = log.ok_or(Answer::UnknownLog)?;
        let signed = request.checkpoint.verify(&log.keys).map_err(Answer::NotSigned)?;
        if request.old > new.head.size {
            return Err(Answer::Malformed("the old size is more than the new one".to_owned()));
        }
        // The memory is on disk alone: a panic elsewhere leaves nothing half done.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = self.latest(log).map_err(Answer::Failed)?;
        let latest = latest.map_or_else(Head::empty, |(_, head)| head);
        if request.old != latest.size {
            return Err(Answer::Conflict(latest.size));
        }
        if !is_consistent(&latest, &new.head, &request.proof) {
            return Err(Answer::Inconsistent);
        }
        let cosigned = self.cosigner.sign(text, time);
        let cosigned = cosigned.map_err(|error| Answer::Failed(error.into()))?;
        let mut lines: Vec<_> = signed.iter().map(|signed| signed.line.clone()).collect();
        lines.push(cosigned.clone());
        let note = Note::new(text, lines).map_err(Answer::NotSigned)?;
        self.remember(log, &note).map_err(Answer::Failed)?;
        Ok(cosigned)
    }

    fn path(&self, log: &KnownLog) -> PathBuf {
        self.folder.join(origin_id(&log.origin))
    }

    /// The latest checkpoint of a log. No file means that none was ever cosigned; a file that
    /// cannot be trusted must not be taken for that.
    fn latest(&self, log: &KnownLog) -> Result<Option<(Note, Head)>, WitnessError> {
        let path = self.path(log);
        let bytes = match file::read(&path, NOTE_BYTES_MAX) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => bytes,
            Err(source) => return Err(WitnessError::File { path, source }),
        };
        // Either key will do, so that each of them can be replaced by a new one.
        let keys = [log.keys.as_slice(), std::slice::from_ref(self.verifier())].concat();
        let opened = Note::parse(&bytes).map_err(Into::into).and_then(|note| {
            let head = Checkpoint::open(&note, &log.origin, &keys)?.head;
            Ok((note, head))
        });
        opened.map(Some).map_err(|error: super::checkpoint::CheckpointError| {
            WitnessError::Damaged { path, problem: error.to_string() }
        })
    }

    fn remember(&self, log: &KnownLog, note: &Note) -> Result<(), WitnessError> {
        let path = self.path(log);
        let written = file::replace(&path, note.to_string().as_bytes());
        let durable = written.and_then(|()| file::sync_folder(&self.folder));
        durable.map_err(|source| WitnessError::File { path, source })
    }
}

/// What tlog-witness names a log by in a path.
fn origin_id(origin: &str) -> String {
    line::hex(&sha256(origin.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::super::key::Signer;
    use super::super::merkle::{consistency_proof, leaf_hash, root};
    use super::super::tiles::TileMemory;
    use super::*;

    const ORIGIN: &str = "example.com/log";
    const NOW: u64 = 1_679_315_147;

    /// A log of 20 entries, and a witness that knows it.
    struct Scene {
        place: TempDir,
        tree: TileMemory,
        signer: Signer,
        private: String,
        witness: Witness,
    }

    impl Scene {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            let (signer, _) = Signer::generate(ORIGIN).unwrap();
            let (_, private) = Signer::generate("example.com/witness").unwrap();
            let witness = open(place.path(), &private, &signer).unwrap();
            let mut tree = TileMemory::default();
            tree.append(&(0..20u8).map(|entry| leaf_hash(&[entry])).collect::<Vec<_>>());
            Self { place, tree, signer, private, witness }
        }

        fn signed(&self, head: Head) -> Note {
            let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), head, extensions: vec![] };
            checkpoint.sign(&self.signer).unwrap()
        }

        fn request(&self, old: u64, size: u64) -> AddCheckpoint {
            let root = root(&self.tree, size).unwrap();
            let proof = consistency_proof(&self.tree, old, size).unwrap();
            AddCheckpoint { old, proof, checkpoint: self.signed(Head { size, root }) }
        }

        fn ask(&self, request: &AddCheckpoint) -> Answer {
            self.witness.add_checkpoint(request.to_string().as_bytes(), NOW)
        }

        fn advance(&self, old: u64, size: u64) -> Answer {
            self.ask(&self.request(old, size))
        }

        fn file(&self) -> PathBuf {
            self.place.path().join(origin_id(ORIGIN))
        }

        /// The witness after its process has died and been started again.
        fn restarted(self) -> Self {
            let Self { place, tree, signer, private, witness } = self;
            drop(witness);
            let witness = open(place.path(), &private, &signer).unwrap();
            Self { place, tree, signer, private, witness }
        }
    }

    fn open(place: &Path, private: &str, log: &Signer) -> Result<Witness, WitnessError> {
        let cosigner = Cosigner::try_from(Signer::parse(private).unwrap()).unwrap();
        let keys = vec![log.verifier().clone()];
        Witness::open(place, cosigner, vec![KnownLog { origin: ORIGIN.to_owned(), keys }])
    }

    fn conflict(answer: &Answer) -> Option<u64> {
        let size = parse_conflict(answer.to_string().as_bytes());
        matches!(answer, Answer::Conflict(_)).then_some(size).flatten()
    }

    #[test]
    fn a_log_that_grows_is_cosigned() {
        let scene = Scene::new();
        for (old, size) in [(0, 0), (0, 7), (7, 8), (8, 8), (8, 20)] {
            let request = scene.request(old, size);
            assert_eq!(AddCheckpoint::parse(request.to_string().as_bytes()).unwrap(), request);
            let answer = scene.ask(&request);
            assert!(matches!(answer, Answer::Cosigned(_)), "{old} {size} {answer:?}");
            let witness = scene.witness.verifier();
            let line = request.accept(answer.to_string().as_bytes(), witness).unwrap();
            let known = [witness.clone(), scene.signer.verifier().clone()];
            let cosigned = request.checkpoint.with(line).unwrap();
            assert_eq!(cosigned.verify(&known).unwrap().len(), 2);
            let kept = scene.witness.checkpoint(&origin_id(ORIGIN)).unwrap();
            assert_eq!(kept, Some(cosigned), "what was cosigned is what is remembered");
        }
    }

    #[test]
    fn nothing_is_remembered_of_a_log_that_never_came() {
        let scene = Scene::new();
        assert!(scene.witness.checkpoint(&origin_id(ORIGIN)).unwrap().is_none());
        assert!(scene.witness.checkpoint("../lock").unwrap().is_none());
    }

    #[test]
    fn what_is_not_a_request_is_malformed() {
        let scene = Scene::new();
        let body = scene.request(0, 7).to_string();
        let old = |to: &str| body.replace("old 0\n", to);
        let long = format!("old 0\n{}", (line::base64(&[0; 32]) + "\n").repeat(64));
        for body in [
            String::new(),
            old(""),
            old("old\n"),
            old("old 00\n"),
            old("old -1\n"),
            old("old 0\n!\n"),
            old(&long),
            body.replace('\n', "\r\n"),
            body.replacen("\n\n", "\n", 1),
            body.replacen("7\n", "07\n", 1),
            "x".repeat(REQUEST_BYTES_MAX + 1),
        ] {
            let answer = scene.witness.add_checkpoint(body.as_bytes(), NOW);
            assert!(matches!(answer, Answer::Malformed(_)), "{answer:?} {body}");
        }
        let mut backwards = scene.request(0, 7);
        backwards.old = 8;
        assert!(matches!(scene.ask(&backwards), Answer::Malformed(_)));
        assert!(!scene.file().exists());
    }

    #[test]
    fn a_checkpoint_that_its_log_did_not_sign_is_refused() {
        let scene = Scene::new();
        let good = scene.request(0, 7);
        let text = good.checkpoint.text();
        let (impostor, _) = Signer::generate(ORIGIN).unwrap();
        let by_another = Note::new(text, vec![impostor.sign(text).unwrap()]).unwrap();
        let of_another = Note::new(text, vec![scene.signer.sign("other\n").unwrap()]).unwrap();
        for checkpoint in [by_another, of_another] {
            let answer = scene.ask(&AddCheckpoint { checkpoint, ..good.clone() });
            assert!(matches!(answer, Answer::NotSigned(_)), "{answer:?}");
        }
        let by_strangers_too = good.checkpoint.clone().with(impostor.sign(text).unwrap()).unwrap();
        let answer = scene.ask(&AddCheckpoint { checkpoint: by_strangers_too, ..good });
        assert!(matches!(answer, Answer::Cosigned(_)));
        let kept = scene.witness.checkpoint(&origin_id(ORIGIN)).unwrap().unwrap();
        assert_eq!(kept.to_string().matches('\u{2014}').count(), 2, "strangers are not kept");
    }

    #[test]
    fn another_log_is_not_known() {
        let scene = Scene::new();
        let mut request = scene.request(0, 7);
        let text = request.checkpoint.text().replace(ORIGIN, "example.com/other");
        request.checkpoint = Note::new(&text, vec![scene.signer.sign(&text).unwrap()]).unwrap();
        assert!(matches!(scene.ask(&request), Answer::UnknownLog));
    }

    #[test]
    fn a_log_that_forgot_is_told_the_latest_size() {
        let scene = Scene::new();
        assert_eq!(conflict(&scene.advance(3, 7)), Some(0));
        assert!(matches!(scene.advance(0, 7), Answer::Cosigned(_)));
        assert_eq!(conflict(&scene.advance(0, 9)), Some(7));
        assert_eq!(conflict(&scene.advance(8, 9)), Some(7));
    }

    #[test]
    fn a_log_is_never_rolled_back() {
        let scene = Scene::new();
        assert!(matches!(scene.advance(0, 9), Answer::Cosigned(_)));
        assert_eq!(conflict(&scene.advance(0, 7)), Some(9), "a smaller tree from the start");
        assert_eq!(conflict(&scene.advance(7, 7)), Some(9));
        let mut smaller = scene.request(7, 7);
        smaller.old = 9;
        assert!(matches!(scene.ask(&smaller), Answer::Malformed(_)));
        let scene = scene.restarted();
        assert_eq!(conflict(&scene.advance(0, 7)), Some(9));
        assert!(matches!(scene.advance(9, 20), Answer::Cosigned(_)));
    }

    #[test]
    fn another_history_is_inconsistent() {
        let scene = Scene::new();
        assert!(matches!(scene.advance(0, 9), Answer::Cosigned(_)));
        let good = scene.request(9, 20);
        let refused = |request: &AddCheckpoint| matches!(scene.ask(request), Answer::Inconsistent);
        let of = |size| scene.signed(Head { size, root: [7; 32] });
        assert!(refused(&AddCheckpoint { checkpoint: of(20), ..good.clone() }), "another root");
        let same_size = AddCheckpoint { old: 9, proof: vec![], checkpoint: of(9) };
        assert!(refused(&same_size), "another root of the same size");
        assert!(refused(&AddCheckpoint { proof: vec![], ..good.clone() }), "no proof");
        for place in 0..good.proof.len() {
            let mut changed = good.clone();
            changed.proof[place][0] ^= 1;
            assert!(refused(&changed));
        }
        assert!(matches!(scene.ask(&good), Answer::Cosigned(_)), "and the witness still works");
    }

    #[test]
    fn nothing_is_the_beginning_of_everything_and_needs_no_proof() {
        let scene = Scene::new();
        let mut proven = scene.request(0, 7);
        proven.proof.push([7; 32]);
        assert!(matches!(scene.ask(&proven), Answer::Inconsistent));
        let empty = scene.signed(Head { size: 0, root: [7; 32] });
        let empty = AddCheckpoint { old: 0, proof: vec![], checkpoint: empty };
        assert!(matches!(scene.ask(&empty), Answer::Inconsistent));
        assert!(!scene.file().exists());
    }

    #[test]
    fn without_memory_there_is_no_cosignature() {
        let scene = Scene::new();
        assert!(matches!(scene.advance(0, 7), Answer::Cosigned(_)));
        let before = fs::read(scene.file()).unwrap();
        // A folder where the new file would be written: the write fails before the old is touched.
        let in_the_way = scene.file().with_added_extension("tmp");
        fs::create_dir(&in_the_way).unwrap();
        assert!(matches!(scene.advance(7, 9), Answer::Failed(WitnessError::File { .. })));
        assert_eq!(fs::read(scene.file()).unwrap(), before);
        fs::remove_dir(&in_the_way).unwrap();
        assert!(matches!(scene.advance(7, 9), Answer::Cosigned(_)));
    }

    #[test]
    fn a_crash_before_the_memory_is_in_place_leaves_the_old_one() {
        let scene = Scene::new();
        assert!(matches!(scene.advance(0, 7), Answer::Cosigned(_)));
        fs::write(scene.file().with_added_extension("tmp"), b"half of a").unwrap();
        let scene = scene.restarted();
        assert_eq!(conflict(&scene.advance(0, 9)), Some(7));
        assert!(matches!(scene.advance(7, 9), Answer::Cosigned(_)));
    }

    #[test]
    fn a_damaged_memory_is_not_taken_for_none() {
        let scene = Scene::new();
        assert!(matches!(scene.advance(0, 7), Answer::Cosigned(_)));
        let good = fs::read(scene.file()).unwrap();
        let mut flipped = good.clone();
        flipped[ORIGIN.len() + 1] ^= 1;
        for bad in [vec![], flipped, good[..good.len() / 2].to_vec(), vec![b'a'; 1 << 20]] {
            fs::write(scene.file(), &bad).unwrap();
            for (old, size) in [(0, 7), (7, 9)] {
                let answer = scene.advance(old, size);
                assert!(matches!(answer, Answer::Failed(WitnessError::Damaged { .. })));
            }
            assert_eq!(fs::read(scene.file()).unwrap(), bad, "nor written over");
        }
        fs::write(scene.file(), &good).unwrap();
        assert!(matches!(scene.advance(7, 9), Answer::Cosigned(_)));
    }

    #[test]
    fn a_memory_has_one_witness() {
        let scene = Scene::new();
        let second = open(scene.place.path(), &scene.private, &scene.signer);
        assert!(matches!(second, Err(WitnessError::InUse { .. })));
    }

    #[test]
    fn a_witness_with_a_new_key_remembers() {
        let scene = Scene::new();
        assert!(matches!(scene.advance(0, 7), Answer::Cosigned(_)));
        let (_, private) = Signer::generate("example.com/witness").unwrap();
        let scene = Scene { private, ..scene }.restarted();
        assert_eq!(conflict(&scene.advance(0, 9)), Some(7));
        assert!(matches!(scene.advance(7, 9), Answer::Cosigned(_)));
    }

    #[test]
    fn of_two_requests_at_once_one_advances() {
        for _ in 0..20 {
            let scene = Scene::new();
            assert!(matches!(scene.advance(0, 7), Answer::Cosigned(_)));
            let requests: Vec<_> = (8..16).map(|size| scene.request(7, size)).collect();
            let answers: Vec<_> = std::thread::scope(|scope| {
                let asked: Vec<_> =
                    requests.iter().map(|request| scope.spawn(|| scene.ask(request))).collect();
                asked.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let cosigned = |answer: &&Answer| matches!(answer, Answer::Cosigned(_));
            assert_eq!(answers.iter().filter(cosigned).count(), 1);
            assert_eq!(answers.iter().filter_map(conflict).count(), 7);
        }
    }

    #[test]
    fn a_log_takes_only_its_witnesss_cosignature() {
        let scene = Scene::new();
        let request = scene.request(0, 7);
        let answer = scene.ask(&request).to_string();
        let witness = scene.witness.verifier().clone();
        let (other, _) = Signer::generate("example.com/witness").unwrap();
        let other = Cosigner::try_from(other).unwrap();
        assert_eq!(
            request.accept(answer.as_bytes(), other.verifier()),
            Err(NoteError::NoKnownSignature)
        );
        let strange = other.sign(request.checkpoint.text(), NOW).unwrap().to_string();
        let both = format!("{strange}{answer}");
        assert_eq!(request.accept(both.as_bytes(), &witness).unwrap().to_string(), answer);
        for bad in ["", "7\n", answer.trim_end(), &format!("one\n\n{answer}")] {
            assert!(request.accept(bad.as_bytes(), &witness).is_err(), "{bad:?}");
        }
        let of_another = scene.request(0, 8);
        assert!(of_another.accept(answer.as_bytes(), &witness).is_err());
    }

    proptest! {
        #[test]
        fn any_body_is_answered_without_a_panic(
            bytes: Vec<u8>, head in "(old [0-9]{0,2}\n)?([a-z]{43}=\n){0,2}\n?",
        ) {
            let scene = Scene::new();
            let near = format!("{head}{}", scene.request(0, 7).checkpoint);
            for bytes in [bytes, near.into_bytes()] {
                let _ = scene.witness.add_checkpoint(&bytes, NOW);
                if let Ok(request) = AddCheckpoint::parse(&bytes) {
                    prop_assert_eq!(request.to_string().into_bytes(), &*bytes);
                }
                let _ = scene.request(0, 7).accept(&bytes, scene.witness.verifier());
                let _ = parse_conflict(&bytes);
            }
        }
    }
}
