//! A client's id and secret in an `Authorization: Basic` header (RFC 7617), read strictly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Stranger;

/// LIMIT: characters after `Basic `. An id has at most 64 bytes and a secret of ours 47; what is
/// longer is refused before it is decoded.
const BASIC_BYTES_MAX: usize = 512;

/// An id and the secret that came with it. It has no `Debug`, so that no log can hold it.
pub(super) struct Pair {
    text: String,
    colon: usize,
}

impl Pair {
    /// Reads what stands behind the scheme's name.
    pub(super) fn read(encoded: &str) -> Result<Self, Stranger> {
        if encoded.len() > BASIC_BYTES_MAX {
            return Err(Stranger::BadPair("longer than 512 characters"));
        }
        Self::read_long(encoded)
    }

    /// The same where a whole token is the secret. The limit of a request's headers holds.
    pub(super) fn read_long(encoded: &str) -> Result<Self, Stranger> {
        let bytes = STANDARD.decode(encoded).map_err(|_| Stranger::BadPair("not base64"))?;
        let text = String::from_utf8(bytes).map_err(|_| Stranger::BadPair("not UTF-8"))?;
        // RFC 7617, 2: control characters are in neither part.
        if text.chars().any(char::is_control) {
            return Err(Stranger::BadPair("a control character"));
        }
        // The first colon: ids hold none, passwords may.
        let colon = text.find(':').ok_or(Stranger::BadPair("no colon"))?;
        Ok(Self { text, colon })
    }

    /// The id.
    pub(super) fn id(&self) -> &str {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// The secret.
    pub(super) fn secret(&self) -> &str {
        self.text.get(self.colon + 1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pair: impl AsRef<[u8]>) -> Result<(String, String), Stranger> {
        let pair = Pair::read(&STANDARD.encode(pair))?;
        Ok((pair.id().to_owned(), pair.secret().to_owned()))
    }

    #[test]
    fn the_first_colon_divides() {
        let of = |id: &str, secret: &str| Ok((id.to_owned(), secret.to_owned()));
        assert_eq!(read("a:b"), of("a", "b"));
        assert_eq!(read("a:b:c"), of("a", "b:c"));
        assert_eq!(read(":"), of("", ""));
        assert_eq!(read("ä:ö"), of("ä", "ö"));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert_eq!(read("ab"), Err(Stranger::BadPair("no colon")));
        assert_eq!(read(""), Err(Stranger::BadPair("no colon")));
        assert_eq!(read(b"a:\xff"), Err(Stranger::BadPair("not UTF-8")));
        assert_eq!(read("a:b\n"), Err(Stranger::BadPair("a control character")));
        for encoded in ["YTpi=", "YTpi ", " YTpi", "YTpiY", "YTp\u{e4}", "YTpi,YTpi", "YTo"] {
            let read = Pair::read(encoded).map(|pair| pair.text);
            assert_eq!(read, Err(Stranger::BadPair("not base64")), "{encoded}");
        }
    }

    #[test]
    fn a_pair_may_be_so_long_and_no_longer() {
        let pair = format!("a:{}", "b".repeat(382));
        assert_eq!(STANDARD.encode(&pair).len(), BASIC_BYTES_MAX);
        assert!(read(&pair).is_ok());
        assert_eq!(read(pair + "b"), Err(Stranger::BadPair("longer than 512 characters")));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            if let Ok(pair) = Pair::read(&text) {
                proptest::prop_assert_eq!(
                    STANDARD.encode(format!("{}:{}", pair.id(), pair.secret())),
                    text,
                    "one pair has one form"
                );
            }
        }

        #[test]
        fn any_pair_comes_through(id in "[A-Za-z0-9._-]{1,64}", secret in "[ -~]{0,80}") {
            proptest::prop_assert_eq!(read(format!("{id}:{secret}")), Ok((id, secret)));
        }
    }
}
