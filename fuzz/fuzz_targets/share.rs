//! Links and orders: any text is a token in its one spelling or none, any bytes are an order within
//! what is allowed or refused without their words.

#![no_main]

use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use noticegate::share::{Allowed, Keys, Order, ShareId, Token};

fuzz_target!(|bytes: &[u8]| {
    let (now, uses_max) = (Timestamp::UNIX_EPOCH, 5);
    let life_max = SignedDuration::from_hours(24);
    let allowed = Allowed { life_max, uses_max, certificates: true, mail: true };
    if let Ok(order) = Order::read(bytes, &allowed, now) {
        assert!((1..=uses_max).contains(&order.uses));
        assert!(order.expires_at > now && order.expires_at.duration_since(now) <= life_max);
        assert!(order.portion.is_none_or(|portion| portion.start_ms < portion.end_ms));
        assert!(["wav", "mp3"].contains(&order.media.row().form));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(token) = Token::parse(text) {
        assert_eq!(token.text(), text, "a token has one spelling");
        assert_ne!(token.digest().as_str(), text);
    }
    if let Ok(id) = text.parse::<ShareId>() {
        assert_eq!(id.to_string(), text, "so has a name");
        // Nobody makes a cookie without the key.
        assert_eq!(Keys::new(&[7; 32]).read_browser(id, text), None);
    }
});
