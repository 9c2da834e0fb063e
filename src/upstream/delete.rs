//! Deletion at Twilio: once, on a connection of its own, after its entry is durable.

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};

use serde_json::Value;

use super::pool::Reply;
use super::{Errand, Opened, Site, Upstream, UpstreamError, answer};
use crate::ledger::{Absence, Deletion, Intent, OpenDeletion, OpenDisclosure, Receipt};
use crate::media::{MediaRef, Query};

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

    /// Deletes at Twilio what a durable entry says; returns Twilio's status, whatever it is.
    pub async fn delete_recorded(
        &self,
        site: &Site,
        deletion: Deletion,
    ) -> (OpenDeletion, Result<u16, UpstreamError>) {
        let asked = self.ask_to_delete(site, &deletion.media()).await;
        (deletion.spend(), asked.map(|reply| reply.parts.status.as_u16()))
    }

    /// Asks Twilio whether a thing is gone; `None` if it still has it.
    ///
    /// # Errors
    /// [`UpstreamError`] if it does not say.
    pub async fn absence(
        &self,
        site: &Site,
        media: &MediaRef,
    ) -> Result<Option<Absence>, UpstreamError> {
        let path = media.upstream_path(&Query::default());
        let json = match self.document(site, media.row().product, &path).await {
            Err(UpstreamError::NotFound | UpstreamError::Gone) => {
                return Ok(Some(Absence::NotThere));
            }
            other => other?,
        };
        let json = answer::parse_document(&json)?;
        if !answer::is_of(&json, media) {
            return Err(UpstreamError::Unusable("it is about something else"));
        }
        let is_deleted = json.get("status").and_then(Value::as_str) == Some("deleted");
        Ok(is_deleted.then_some(Absence::MarkedDeleted))
    }

    async fn delete_once(&self, site: &Site, media: &MediaRef) -> Result<(), UpstreamError> {
        let reply = self.ask_to_delete(site, media).await?;
        match reply.parts.status {
            StatusCode::NO_CONTENT => Ok(()),
            _ => match self.refuse_errors(reply).await {
                Err(error) => Err(error),
                Ok(_) => Err(UpstreamError::Unusable("it does not say that it was deleted")),
            },
        }
    }

    async fn ask_to_delete(&self, site: &Site, media: &MediaRef) -> Result<Reply, UpstreamError> {
        let errand = Errand { method: Method::DELETE, ..Errand::json() };
        let origin = site.origin(media.row().product)?;
        let mut request = errand.request(origin, &media.deletion_path())?;
        request.headers_mut().insert(AUTHORIZATION, site.0.credential.clone());
        let _slot = self.slot(site).await?;
        self.pool.send_afresh(origin, request).await
    }
}
