//! noticegate, a TLS reverse proxy for Twilio media that decides by the published notice.

pub mod clock;
pub mod media;
pub mod purpose;
pub mod secret;
