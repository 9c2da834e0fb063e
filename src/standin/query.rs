//! The parameters of a request's query, decoded.
//!
//! In: a query as sent. Out: names and values in order, `%..` and `+` undone, and the same again in
//! the spelling Twilio uses in the links of a list. What cannot be decoded stays as it was sent.

/// Names and values.
#[derive(Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query; a part without `=` is a name with an empty value.
    pub(super) fn read(query: Option<&str>) -> Self {
        let parts = query.unwrap_or("").split('&').filter(|part| !part.is_empty());
        let pairs = parts.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All parameters but those of paging, as a query that ends in `&` unless it is empty.
    pub(super) fn filters(&self) -> String {
        let paging = ["PageSize", "Page", "PageToken"];
        let filters = self.0.iter().filter(|(name, _)| !paging.contains(&name.as_str()));
        filters.map(|(name, value)| format!("{}={}&", encoded(name), encoded(value))).collect()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
                    (Some(high), Some(low)) => {
                        bytes.push(high << 4 | low);
                        rest = ahead;
                    }
                    _ => bytes.push(byte),
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_and_links_encode_them_again() {
        let query =
            Query::read(Some("DateCreated%3E=2026-11-03T09%3a15:02Z&PageSize=2&a+b&x=%zz%"));
        assert_eq!(query.get("DateCreated>"), Some("2026-11-03T09:15:02Z"));
        assert_eq!(query.get("a b"), Some(""));
        assert_eq!(query.get("x"), Some("%zz%"));
        assert_eq!(query.filters(), "DateCreated%3E=2026-11-03T09%3A15%3A02Z&a%20b=&x=%25zz%25&");
        assert_eq!(Query::read(None).filters(), "");
    }

    #[test]
    fn at_or_after_reads_as_the_name_with_its_sign() {
        let query = Query::read(Some("DateCreated>=2026-11-03"));
        assert_eq!(query.get("DateCreated>"), Some("2026-11-03"));
    }
}
