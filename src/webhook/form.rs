//! `application/x-www-form-urlencoded`, read strictly and written back.
//!
//! Twilio signs decoded values. A body that two readers may decode differently could therefore say
//! one thing to the signature and another to the application, so whatever a lenient reader would
//! guess at (broken escapes, bytes that are not UTF-8, pairs without a name) is refused. Bodies are
//! read by the rules of WHATWG URL section 5.1 and written by those of section 5.2.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// LIMIT: the bytes of a form. Twilio's longest callbacks, transcriptions, have a few thousand.
pub const FORM_BYTES_MAX: usize = 256 * 1024;

/// LIMIT: the pairs of a form. Twilio's callbacks have some dozens.
pub const FORM_PAIRS_MAX: usize = 512;

/// Pairs of a name and a value, in the order in which they were written. `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

/// Why a text is not read as a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More than [`FORM_BYTES_MAX`].
    #[error("the form is longer than {FORM_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`FORM_PAIRS_MAX`].
    #[error("the form has more than {FORM_PAIRS_MAX} pairs")]
    TooManyPairs,
    /// A blank, a control or a byte beyond ASCII, which must be written as an escape.
    #[error("the form has a byte that must be written as an escape such as `%20`")]
    Unescaped,
    /// A `%` without two hexadecimal digits.
    #[error("the form has a `%` that is not followed by two hexadecimal digits")]
    BrokenEscape,
    /// Decoded, a name or a value is not UTF-8.
    #[error("the form is not UTF-8 once it is decoded")]
    NotUtf8,
    /// Nothing before the `=`, or between two `&`.
    #[error("the form has a pair without a name")]
    Nameless,
}

/// A parameter that may be given once is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{0}` is given more than once")]
pub struct Repeated(pub &'static str);

impl Form {
    /// Reads a body or a query. The empty text is the form without pairs.
    ///
    /// # Errors
    /// [`FormError`] for what is too long or what readers may differ on.
    pub fn read(text: &[u8]) -> Result<Self, FormError> {
        if text.len() > FORM_BYTES_MAX {
            return Err(FormError::TooLong);
        }
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(FormError::Unescaped);
        }
        let text = str::from_utf8(text).map_err(|_| FormError::Unescaped)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut pairs = Vec::new();
        for pair in text.split('&') {
            if pairs.len() == FORM_PAIRS_MAX {
                return Err(FormError::TooManyPairs);
            }
            pairs.push(read_pair(pair)?);
        }
        Ok(Self(pairs))
    }

    /// The pairs in order.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The value of a parameter that may be given once.
    ///
    /// # Errors
    /// [`Repeated`] if it is there twice, be it with the same value.
    pub fn only(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        values.next().map_or(Ok(value), |_| Err(Repeated(name)))
    }

    /// The form as a body or a query.
    #[must_use]
    pub fn write(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

impl FromIterator<(String, String)> for Form {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Reads what stands between two `&`.
pub(super) fn read_pair(pair: &str) -> Result<(String, String), FormError> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let name = decode(name)?;
    if name.is_empty() {
        return Err(FormError::Nameless);
    }
    Ok((name, decode(value)?))
}

fn decode(text: &str) -> Result<String, FormError> {
    let is_digit = |digit: Option<u8>| digit.is_some_and(|digit| digit.is_ascii_hexdigit());
    for escape in text.split('%').skip(1) {
        let mut digits = escape.bytes();
        if !(is_digit(digits.next()) && is_digit(digits.next())) {
            return Err(FormError::BrokenEscape);
        }
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| FormError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, FormError> {
        Form::read(text.as_bytes()).map(|form| form.0)
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_keep_their_order_and_their_repetitions() {
        let expected = vec![pair("b", "2"), pair("a", "1"), pair("b", ""), pair("c", "")];
        assert_eq!(read("b=2&a=1&b=&c"), Ok(expected));
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("a=b=c"), Ok(vec![pair("a", "b=c")]));
    }

    #[test]
    fn a_plus_is_a_blank_and_an_escaped_plus_is_a_plus() {
        assert_eq!(read("From=%2B1555+0100%20x"), Ok(vec![pair("From", "+1555 0100 x")]));
        assert_eq!(read("n=%C3%A9%f0%9f%8e%89"), Ok(vec![pair("n", "é🎉")]));
    }

    #[test]
    fn what_readers_differ_on_is_refused() {
        for (text, error) in [
            ("a=%", FormError::BrokenEscape),
            ("a=%4", FormError::BrokenEscape),
            ("a=%zz", FormError::BrokenEscape),
            ("%+1=a", FormError::BrokenEscape),
            ("a=%ff", FormError::NotUtf8),
            ("a=%ed%a0%80", FormError::NotUtf8),
            ("a=%c3&b=%a9", FormError::NotUtf8),
            ("a= b", FormError::Unescaped),
            ("a=b\n", FormError::Unescaped),
            ("a=é", FormError::Unescaped),
            ("a=\0", FormError::Unescaped),
            ("=1", FormError::Nameless),
            ("a=1&&b=2", FormError::Nameless),
            ("a=1&", FormError::Nameless),
            ("&a=1", FormError::Nameless),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn limits_hold_to_the_byte_and_to_the_pair() {
        let long = format!("a={}", "x".repeat(FORM_BYTES_MAX - 2));
        assert!(read(&long).is_ok());
        assert_eq!(read(&format!("{long}x")), Err(FormError::TooLong));
        let many = vec!["a=1"; FORM_PAIRS_MAX].join("&");
        assert!(read(&many).is_ok());
        assert_eq!(read(&format!("{many}&a=1")), Err(FormError::TooManyPairs));
    }

    #[test]
    fn a_parameter_given_twice_is_not_taken_once() {
        let form = Form::read(b"a=1&b=2&a=1").unwrap();
        assert_eq!(form.only("a"), Err(Repeated("a")));
        assert_eq!(form.only("b"), Ok(Some("2")));
        assert_eq!(form.only("c"), Ok(None));
    }

    #[test]
    fn values_do_not_print() {
        let form = Form::read(b"From=%2B15550100").unwrap();
        assert_eq!(format!("{form:?}"), r#"["From"]"#);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(pairs in prop::collection::vec((".{1,8}", ".{0,20}"), 0..20)) {
            let form: Form = pairs.into_iter().collect();
            prop_assert_eq!(Form::read(form.write().as_bytes()), Ok(form));
        }

        #[test]
        fn any_bytes_are_refused_or_read_as_a_lenient_reader_does(
            bytes in prop::collection::vec(any::<u8>(), 0..40)
        ) {
            if let Ok(form) = Form::read(&bytes) {
                let lenient: Form = form_urlencoded::parse(&bytes).into_owned().collect();
                prop_assert_eq!(form, lenient);
            }
        }

        #[test]
        fn likely_texts_are_refused_or_read_as_a_lenient_reader_does(text in "[a-c%0-9A-F+=&é]{0,12}") {
            if let Ok(form) = Form::read(text.as_bytes()) {
                let lenient: Form = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
                prop_assert_eq!(form, lenient);
            }
        }
    }
}
