//! Deletion at Twilio: once, on a connection of its own, after its entry is durable.

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};

use super::{Errand, Opened, Site, Upstream, UpstreamError};
use crate::ledger::{Intent, OpenDisclosure, Receipt};
use crate::media::MediaRef;

impl Upstream {
    /// Deletes at Twilio what the intent names, after the intent is durable.
    pub async fn delete(
        &self,
        site: &Site,
        intent: &Intent,
        receipt: Receipt,
    ) -> (OpenDisclosure, Result<Opened, UpstreamError>) {
        let media = intent.media();
        let deleted = match receipt.id() == intent.id() {
            true => self.delete_once(site, &media).await,
            false => Err(UpstreamError::Unusable("it is paid for another intent")),
        };
        (receipt.spend(), deleted.map(|()| Opened::nothing()))
    }

    async fn delete_once(&self, site: &Site, media: &MediaRef) -> Result<(), UpstreamError> {
        let errand = Errand { method: Method::DELETE, ..Errand::json() };
        let origin = site.origin(media.row().product)?;
        let mut request = errand.request(origin, &media.deletion_path())?;
        request.headers_mut().insert(AUTHORIZATION, site.0.credential.clone());
        let _slot = self.slot(site).await?;
        let reply = self.pool.send_afresh(origin, request).await?;
        match reply.parts.status {
            StatusCode::NO_CONTENT => Ok(()),
            _ => match self.refuse_errors(reply).await {
                Err(error) => Err(error),
                Ok(_) => Err(UpstreamError::Unusable("it does not say that it was deleted")),
            },
        }
    }
}
