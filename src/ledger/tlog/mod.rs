//! The ledger's transparency log: proof that nothing was changed, taken out or reordered.
//!
//! The entries' hashes are the leaves of one Merkle tree (RFC 6962), whose root is signed every
//! now and then as a checkpoint. Each format is one of C2SP's (<https://c2sp.org>), so that
//! programs that are not ours verify it: `verify.py` with Python and openssl, `verify.go` with the
//! Go team's own code, both beside this file.
//!
//! | module | its job | specification |
//! |---|---|---|
//! | [`merkle`] | hashes, roots and proofs | RFC 6962, RFC 9162 section 2.1 |
//! | [`tiles`] | the tree's hashes, on disk or in memory | tlog-tiles |
//! | [`bundle`] | the entries in files, for an export | tlog-tiles |
//! | [`key`] | who signs and whose signature counts | signed-note, tlog-cosignature |
//! | [`note`] | a text with signatures | signed-note |
//! | [`checkpoint`] | the signed root | tlog-checkpoint |
//! | [`proof`] | one entry's proof in one file | tlog-proof |
//! | [`witness`] | somebody else who saw that the log only grew | tlog-witness |
//!
//! Nothing here knows what an entry says. Only hashes leave the house.

pub mod bundle;
pub mod checkpoint;
pub(super) mod file;
pub mod key;
mod line;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod tiles;
pub mod witness;
