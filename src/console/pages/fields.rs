//! The fields of a form that was sent in an address: read one by one, where one may stand twice.

/// LIMIT: fields that are read. No form has that many.
const FIELDS_MAX: usize = 200;

/// What was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of a query string.
    pub(super) fn of(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned();
        let trimmed = pairs.map(|(name, value)| (name, value.trim().to_owned()));
        Self(trimmed.take(FIELDS_MAX).collect())
    }

    /// Whether anything was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands in a field; nothing, if it was left empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    /// Everything that was chosen of a field.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let own = self.0.iter().filter(|(known, value)| known == name && !value.is_empty());
        own.map(|(_, value)| value.clone()).collect()
    }
}
