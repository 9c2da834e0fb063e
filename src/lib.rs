//! noticegate: a TLS reverse proxy in front of Twilio's media that decides each access by the
//! published privacy notice, and records it before the first byte leaves.
//!
//! # The one idea
//!
//! Bytes of a recording are fetched only by spending a [`ledger::Receipt`]. A receipt is made only
//! by a durable ledger entry. That entry is written only from a [`policy::Permit`]. A permit comes
//! only from a Cedar Allow without an evaluation error, and that Allow only from policies that
//! quote the published notice word for word. Each of these is a type that only its own room can
//! make, that cannot be copied, and that the next step takes by value: the wrong program does not
//! compile.
//!
//! # A tour
//!
//! Read [`gate`] first: one request, as a column of verbs. Then the rooms in the order in which a
//! request walks through them:
//!
//! | room | its job |
//! |---|---|
//! | [`listener`] | sockets, TLS, limits, drain |
//! | [`gate`] | the life of one request |
//! | [`asked`] | a request's head, read strictly |
//! | [`media`] | Twilio's URL grammar: text becomes a reference or is refused; pure |
//! | [`identity`] | who is asking |
//! | [`crowd`] | how much one of many may take |
//! | [`facts`] | what is known of the recording, with its age |
//! | [`notice`] | the published text, its versions, its quotes; pure |
//! | [`policy`] | Cedar: the decision and its explanation; pure |
//! | [`share`] | what is given to others by a link: its terms, its end; pure |
//! | [`ledger`] | the durable record, and the proof values |
//! | [`upstream`] | Twilio: credentials, redirects, what came back |
//! | [`webhook`] | Twilio's callbacks: verify, learn, pass on |
//! | [`sweep`] | deletes at Twilio what must go |
//! | [`draft`] | drafts of the notice: written, approved, put into the policy folder |
//! | [`console`] | where people review and programs state facts: the JSON API |
//! | [`respond`], [`stream`] | answers in the gate's own words; bytes, counted |
//!
//! Around them: [`config`], [`folder`] (policies on disk), [`serve`] (from a configuration to a
//! running gate), [`reload`] (the policies in force), [`clock`], [`secret`],
//! [`telemetry`], [`metrics`], [`cli`]; and for desks and tests [`certs`]
//! and [`standin`], which plays Twilio. Imports point one way; `tests/gate/house.rs` keeps that
//! rule and the others of `docs/ARCHITECTURE.md`.

pub mod asked;
pub mod certs;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod crash;
pub mod crowd;
pub mod draft;
pub mod facts;
pub mod folder;
pub mod gate;
pub mod identity;
pub mod law;
pub mod ledger;
pub mod listener;
pub mod media;
pub mod metrics;
pub mod notice;
pub mod policy;
pub mod purpose;
pub mod reload;
pub mod respond;
pub mod secret;
pub mod serve;
pub mod share;
pub mod standin;
pub mod stream;
pub mod sweep;
pub mod telemetry;
pub mod upstream;
pub mod webhook;
pub mod witness;
mod words;
