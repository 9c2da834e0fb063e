//! Lists at the gate.

use futures_util::StreamExt;
use http::Response;

use super::{Admitted, No, PLAIN, Worker};
use crate::media::Target;
use crate::respond;
use crate::stream::ReplyBody;

/// LIMIT: items of a list whose facts are asked for at once; each may cost two requests at Twilio.
const ITEMS_AT_ONCE: usize = 8;

impl Worker {
    /// A page of a list: each item is decided and recorded by itself, and those that may not be
    /// told are left out.
    pub(super) async fn list(&self, known: &Admitted) -> Result<Response<ReplyBody>, No> {
        let Target { media: page, query, .. } = &known.asked.target;
        let listed = self.upstream.list(&known.site, *page, query).await.map_err(No::Upstream)?;
        let asking = known;
        let gathering = listed.items().map(|(item, json)| async move {
            // The facts about what was made from something are that thing's, which is not on the
            // page.
            let subject = item.subject().filter(|subject| Some(subject.sid()) == item.sid());
            let json = subject.map(|subject| (subject, json));
            (item, self.gather(asking, item, json).await)
        });
        let gathering: Vec<_> = gathering.collect();
        let mut facts = futures_util::stream::iter(gathering).buffered(ITEMS_AT_ONCE);
        let (mut permits, mut wrong) = (Vec::new(), None);
        let mut place = 0;
        while let Some((item, gathered)) = facts.next().await {
            match gathered.and_then(|facts| self.decide(known, item, facts, &PLAIN)) {
                Ok(permit) => permits.push((place, permit)),
                // A page that lacks what could not be asked for would be a wrong page.
                Err(No::Facts(error, caller, asked)) if error.may_pass() => {
                    return Err(No::Facts(error, caller, asked));
                }
                Err(No::Refused(refusal, asked)) if refusal.reason.is_of_request() => {
                    wrong = wrong.or(Some(No::Refused(refusal, asked)));
                }
                Err(No::Facts(error, ..)) => {
                    tracing::warn!(%item, %error, "an item of a list is left out");
                }
                Err(_) => {}
            }
            place += 1;
        }
        drop(facts);
        // What is wrong with the request itself is told; a page of nothing would not say it.
        if let Some(no) = wrong.filter(|_| permits.is_empty()) {
            return Err(no);
        }
        let mut pledged = Vec::with_capacity(permits.len());
        for (place, permit) in permits {
            let (intent, pledge) = self.record(known, permit)?;
            pledged.push((place, intent, pledge));
        }
        let mut paid = Vec::with_capacity(pledged.len());
        for (place, intent, pledge) in pledged {
            paid.push((place, intent, pledge.durable().await.map_err(No::Ledger)?));
        }
        let ticket = self.tickets(known);
        let wanted = known.wanted(&ticket, &PLAIN);
        let (disclosures, page) = listed.open(paid, &wanted.own, wanted.outline);
        Ok(respond::disclose_page(disclosures, page))
    }
}
