//! `Range` and conditional headers: what can be read can be written, and reads the same again.
//!
//! The input is a header block, one `name: value` a line.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use noticegate::media::Conditions;

fuzz_target!(|block: &[u8]| {
    let Ok(conditions) = Conditions::read(&headers(block)) else { return };
    let mut written = HeaderMap::new();
    for (name, value) in conditions.headers() {
        let value = HeaderValue::from_str(&value).expect("what is written is a header value");
        assert!(written.insert(name, value).is_none(), "each header is written once");
    }
    assert_eq!(Conditions::read(&written), Ok(conditions));
});

fn headers(block: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in block.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.trim_ascii_start().strip_prefix(b":").unwrap_or_default();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    headers
}
