//! What stories need: a gate and a stand-in on this machine, tokens, and a client that sees
//! everything that comes back.

pub mod client;
pub mod console;
pub mod disclosed;
pub mod everything;
pub mod frames;
pub mod leaks;
pub mod ledger;
pub mod operations;
pub mod policies;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod raw_upstream;
pub mod review_cli;
pub mod review_scan;
pub mod shares;
pub mod sweep;
pub mod tokens;
pub mod twilio;
pub mod world;

pub use client::{Answer, Client};
pub use tokens::TokenKey;
pub use world::{ACCOUNT, CALL, NOW, RECORDING, World, WorldSettings, path, recording};
