//! Metadata, as facts are read.

use bytes::Bytes;

use super::{Site, Upstream, UpstreamError, answer};
use crate::facts::{FactsError, MetadataSource};
use crate::media::{MediaRef, MetadataRef, Product, Query};

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

impl Metadata<'_> {
    async fn document(&self, product: Product, path: &str) -> Result<Bytes, FactsError> {
        let read = self.upstream.document(self.site, product, path).await;
        read.map_err(|error| match error {
            UpstreamError::NotFound | UpstreamError::Gone => FactsError::NoSuchRecording,
            UpstreamError::Busy { retry_after } => FactsError::Busy { retry_after },
            other => FactsError::Unavailable(other.to_string()),
        })
    }
}

impl MetadataSource for Metadata<'_> {
    async fn read(&self, what: MetadataRef) -> Result<Bytes, FactsError> {
        if let Some((_, json)) = self.known.as_ref().filter(|(known, _)| *known == what) {
            return Ok(json.clone());
        }
        self.document(what.product(), &what.upstream_path()).await
    }

    async fn belongs(&self, what: MediaRef) -> Result<bool, FactsError> {
        let path = what.upstream_path(&Query::default());
        let json = self.document(what.row().product, &path).await?;
        let json = answer::parse_document(&json);
        let json = json.map_err(|error| FactsError::Unavailable(error.to_string()))?;
        Ok(answer::is_of(&json, &what))
    }
}
