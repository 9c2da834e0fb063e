//! A body that broke off, resumed.

use tokio::sync::OwnedSemaphorePermit;

use super::body::Resume;
use super::{Errand, Opened, Site, Upstream, answer};
use crate::media::{ByteRange, Conditions, EntityTag, MediaRef, Validator};

impl Upstream {
    /// Has a body keep its slot and its time limit, and go on where upstream breaks off.
    pub(super) fn follow(
        &self,
        opened: &mut Opened,
        site: &Site,
        media: MediaRef,
        errand: Errand,
        slot: Option<OwnedSemaphorePermit>,
    ) {
        opened.body.hold(slot, self.settings.idle_timeout_ms.duration());
        if let Some(tag) = opened.tag.clone().filter(|tag| !tag.is_weak()) {
            let total = opened.range.map_or(opened.length, |range| range.total);
            opened.body.resume_with(self.resumption(site, media, errand, tag, total));
        }
    }

    /// Asks for the rest of a body that broke off, if it is provably of the same object: from where
    /// it stopped, on the condition that its entity tag is still the same, and only if what comes is
    /// that part of an object of the same length.
    fn resumption(
        &self,
        site: &Site,
        media: MediaRef,
        errand: Errand,
        tag: EntityTag,
        total: Option<u64>,
    ) -> Resume {
        let (upstream, site) = (self.clone(), site.clone());
        Resume::new(move |first, last| {
            let (upstream, site, tag) = (upstream.clone(), site.clone(), tag.clone());
            let range = ByteRange::Within(first, last);
            let conditions = Conditions {
                range: Some(range),
                if_range: Some(Validator::Tag(tag.clone())),
                ..Conditions::default()
            };
            let errand = Errand { range: Some(range), conditions, ..errand.clone() };
            Box::pin(async move {
                let (reply, slot) = upstream.fetch_media(&site, &media, &errand).await.ok()?;
                let continues = answer::continues(&reply, range, &tag, total);
                tracing::info!(%media, first, continues, "upstream broke off and was asked again");
                continues.then_some((reply.body, slot))
            })
        })
    }
}
