//! Metadata, as facts are read.

use bytes::Bytes;

use super::{Site, Upstream, UpstreamError};
use crate::facts::{FactsError, MetadataSource};
use crate::media::MetadataRef;

/// One worker's way to one account, as facts are read.
#[derive(Clone, Debug)]
pub struct Metadata<'a> {
    /// The way.
    pub upstream: &'a Upstream,
    /// The account.
    pub site: &'a Site,
    /// What has been read already, as an item of a list.
    pub known: Option<(MetadataRef, Bytes)>,
}

impl MetadataSource for Metadata<'_> {
    async fn read(&self, what: MetadataRef) -> Result<Bytes, FactsError> {
        if let Some((_, json)) = self.known.as_ref().filter(|(known, _)| *known == what) {
            return Ok(json.clone());
        }
        let read = self.upstream.document(self.site, what.product(), &what.upstream_path()).await;
        read.map_err(|error| match error {
            UpstreamError::NotFound | UpstreamError::Gone => FactsError::NoSuchRecording,
            UpstreamError::Busy { retry_after } => FactsError::Busy { retry_after },
            other => FactsError::Unavailable(other.to_string()),
        })
    }
}
