//! noticegate, a TLS reverse proxy for Twilio media that decides by the published notice.

pub mod clock;
pub mod config;
pub mod facts;
pub mod folder;
pub mod identity;
pub mod media;
pub mod notice;
pub mod policy;
pub mod purpose;
pub mod secret;
