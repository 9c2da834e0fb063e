//! A page of a list: read whole, kept item by item.
//!
//! The page has to be read before anybody knows what is on it, so it stays shut here: it tells
//! only what its items are and what facts they hold, until each item that may be told has been paid
//! for with a receipt. Items that are not paid for are left out; the page's own keys stay.

use bytes::Bytes;
use http::Uri;
use serde_json::Value;

use super::account::Site;
use super::answer::{self, Opened, Outline};
use super::rewrite::{self, Own};
use super::{Upstream, UpstreamError};
use crate::ledger::{Intent, OpenDisclosure, Receipt};
use crate::media::{MediaRef, Query, Serves, Target};

/// A page that was read and is not told yet.
#[derive(Debug)]
pub struct Listed {
    site: Site,
    page: MediaRef,
    key: &'static str,
    document: Value,
    /// Where each stands in the document, what it is, and its JSON.
    items: Vec<(usize, MediaRef, Bytes)>,
}

impl Upstream {
    /// Reads a page of a list.
    ///
    /// # Errors
    /// [`UpstreamError`] if it cannot be had, or is not a page of this list.
    pub async fn list(
        &self,
        site: &Site,
        page: MediaRef,
        query: &Query,
    ) -> Result<Listed, UpstreamError> {
        let wrong = UpstreamError::Unusable("it is not a page of a list");
        let Serves::Page { key, .. } = page.serves() else { return Err(wrong) };
        let json = self.document(site, page.row().product, &page.upstream_path(query)).await?;
        let document = answer::parse_document(&json)?;
        let list = document.get(key).and_then(Value::as_array).ok_or(wrong)?;
        rewrite::check_next_page(&document, site)?;
        // What has no SID of the list's kind, or belongs elsewhere, is nothing that could be decided
        // on: left out.
        let items = list.iter().enumerate().filter_map(|(place, item)| {
            let name = item.get("sid").or_else(|| item.get("ttid"))?.as_str()?;
            let media = page.item(name).filter(|media| answer::is_of(item, media))?;
            let json = serde_json::to_vec(item).ok()?;
            Some((place, media, Bytes::from(json)))
        });
        let items = items.collect();
        Ok(Listed { site: site.clone(), page, key, document, items })
    }
}

impl Listed {
    /// What asks for the page after it; `None` if this is the last.
    ///
    /// # Errors
    /// [`UpstreamError`] if what comes next is not a page of the same list.
    pub fn next(&self) -> Result<Option<Query>, UpstreamError> {
        let next = self.document.pointer("/meta/next_page_url");
        let next = next.or_else(|| self.document.get("next_page_uri")).and_then(Value::as_str);
        let Some(next) = next.filter(|next| !next.is_empty()) else { return Ok(None) };
        let read = |url: &str| {
            let url: Uri = url.parse().ok()?;
            let mut target = Target::parse(url.path(), url.query()).ok()?;
            target.media.account = target.account.unwrap_or(self.page.account);
            (target.media == self.page).then_some(target.query)
        };
        read(next).map(Some).ok_or(UpstreamError::Unusable("its next page is of another list"))
    }

    /// The items, each with its own JSON, which is for learning facts.
    pub fn items(&self) -> impl Iterator<Item = (MediaRef, Bytes)> + use<'_> {
        self.items.iter().map(|(_, media, json)| (*media, json.clone()))
    }

    /// Opens the page with the items that are paid for; each is given by its place in
    /// [`Listed::items`]. Returns the page, and for each item its disclosure and its bytes.
    pub fn open(
        mut self,
        paid: Vec<(usize, Intent, Receipt)>,
        own: &Own<'_>,
        outline: Outline,
    ) -> (Vec<(OpenDisclosure, u64)>, Opened) {
        let mut list = match self.document.get_mut(self.key).map(Value::take) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let (mut told, mut disclosures) = (Vec::new(), Vec::new());
        for (index, intent, receipt) in paid {
            let Some((place, media, _)) = self.items.get(index) else { continue };
            if receipt.id() != intent.id() || intent.media() != *media {
                continue;
            }
            let Some(mut item) = list.get_mut(*place).map(Value::take) else { continue };
            rewrite::rewrite(&mut item, media, &self.site, own);
            let bytes = serde_json::to_vec(&item).map_or(0, |json| json.len() as u64);
            told.push(item);
            disclosures.push((receipt.spend(), bytes));
        }
        rewrite::rewrite(&mut self.document, &self.page, &self.site, own);
        if let Some(list) = self.document.get_mut(self.key) {
            *list = Value::Array(told);
        }
        (disclosures, Opened::document(&self.document, outline))
    }
}
