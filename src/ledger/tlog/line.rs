//! What stands in the lines of the text formats: numbers and hashes, each in its only form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::merkle::{Hash, SIZE_MAX};

/// A size or an index: digits without a leading zero, at most [`SIZE_MAX`].
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    let number = text.parse().ok().filter(|number| *number <= SIZE_MAX);
    number.filter(|_| digits && shortest)
}

/// A hash: the base64 of exactly 32 bytes.
pub(super) fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The base64 of some bytes, as C2SP's formats write it.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a base64 text in its canonical form.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("70000"), Some(70_000));
        assert_eq!(number("9223372036854775807"), Some(SIZE_MAX));
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "٣", "9223372036854775808"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_hash_is_the_canonical_base64_of_32_bytes() {
        let text = base64(&[7; 32]);
        assert_eq!(hash(&text), Some([7; 32]));
        assert_eq!(hash(text.trim_end_matches('=')), None, "without its padding");
        assert_eq!(hash(&base64(&[7; 31])), None);
        assert_eq!(hash(&base64(&[7; 33])), None);
        let loose = text.replace("c=", "d=");
        assert!(loose != text && hash(&loose).is_none(), "bits that nobody reads are zero");
    }
}
