//! Lists in pages, in the two envelopes Twilio has.
//!
//! In: all items of a list in order, and the request's paging parameters. Out: one page with its
//! links: relative ones in the 2010-04-01 API, absolute ones in the newer products. A token names
//! the last item seen (`PA`) or the first (`PB`), so that a page does not shift when something new
//! comes in; when that item is gone the page's number counts.

use serde_json::{Value, json};

use super::query::Query;

/// LIMIT: what a page holds unless the request says otherwise.
const PAGE_SIZE: usize = 50;

/// Whose links a list has.
#[derive(Clone, Copy)]
pub(super) enum Links<'a> {
    /// The 2010-04-01 API: relative, each a member of the list.
    Relative,
    /// All other products: absolute, below this origin, in `meta`.
    Absolute(&'a str),
}

/// A list before it is cut into pages.
pub(super) struct Listing<'a> {
    /// The member with the items.
    pub(super) key: &'a str,
    /// Each with what identifies it.
    pub(super) items: Vec<(String, Value)>,
    /// The largest page one may ask for.
    pub(super) most: usize,
    pub(super) links: Links<'a>,
}

/// A paging parameter that Twilio would refuse, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadParameter(pub(super) &'static str);

impl Listing<'_> {
    /// The page asked for of the list at this path.
    pub(super) fn page(self, path: &str, query: &Query) -> Result<Value, BadParameter> {
        let size = match query.get("PageSize").map(str::parse) {
            None => PAGE_SIZE.min(self.most),
            Some(Ok(size)) if (1..=self.most).contains(&size) => size,
            Some(_) => return Err(BadParameter("PageSize")),
        };
        let page: usize = match query.get("Page").map(str::parse) {
            None => 0,
            Some(Ok(page)) => page,
            Some(Err(_)) => return Err(BadParameter("Page")),
        };
        let token = query.get("PageToken");
        let start = token
            .and_then(|token| self.start_of(token, size))
            .unwrap_or_else(|| page.saturating_mul(size));
        let total = self.items.len();
        let shown: Vec<_> = self.items.into_iter().skip(start).take(size).collect();
        let origin = match self.links {
            Links::Relative => "",
            Links::Absolute(origin) => origin,
        };
        let link = |page: usize, token: Option<String>| {
            let token = token.map(|token| format!("&PageToken={token}")).unwrap_or_default();
            format!("{origin}{path}?{}PageSize={size}&Page={page}{token}", query.filters())
        };
        let last = shown.last().filter(|_| start.saturating_add(shown.len()) < total);
        let next = last.map(|(id, _)| link(page.saturating_add(1), Some(format!("PA{id}"))));
        let first = shown.first().filter(|_| start > 0 && page > 0);
        let previous = first.map(|(id, _)| link(page.saturating_sub(1), Some(format!("PB{id}"))));
        let own = link(page, token.map(str::to_owned));
        let count = shown.len();
        let items: Vec<Value> = shown.into_iter().map(|(_, item)| item).collect();
        Ok(match self.links {
            Links::Relative => json!({
                "end": start.saturating_add(count.saturating_sub(1)),
                "first_page_uri": link(0, None),
                "next_page_uri": next,
                "page": page,
                "page_size": size,
                "previous_page_uri": previous,
                self.key: items,
                "start": start,
                "uri": own,
            }),
            Links::Absolute(_) => json!({
                self.key: items,
                "meta": {
                    "page": page,
                    "page_size": size,
                    "first_page_url": link(0, None),
                    "previous_page_url": previous,
                    "url": own,
                    "next_page_url": next,
                    "key": self.key,
                },
            }),
        })
    }

    fn start_of(&self, token: &str, size: usize) -> Option<usize> {
        let position = |id: &str| self.items.iter().position(|(known, _)| known == id);
        match (token.strip_prefix("PA"), token.strip_prefix("PB")) {
            (Some(id), _) => position(id).map(|at| at.saturating_add(1)),
            (_, Some(id)) => position(id).map(|at| at.saturating_sub(size)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(links: Links<'_>, query: &str) -> Result<Value, BadParameter> {
        let items = (1..=5).map(|n| (format!("RE{n}"), json!(n))).collect();
        Listing { key: "recordings", items, most: 1000, links }
            .page("/R.json", &Query::read(Some(query)))
    }

    #[test]
    fn pages_are_walked_forth_and_back_by_their_links() {
        let follow = |json: &Value, link: &str| {
            let target = json[link].as_str().unwrap().split_once('?').unwrap().1.to_owned();
            page(Links::Relative, &target).unwrap()
        };
        let first = page(Links::Relative, "CallSid=CA1&PageSize=2").unwrap();
        assert_eq!(first["recordings"], json!([1, 2]));
        let wanted = "/R.json?CallSid=CA1&PageSize=2&Page=1&PageToken=PARE2";
        assert_eq!(first["next_page_uri"], wanted);
        assert_eq!(first["previous_page_uri"], Value::Null);
        assert_eq!((&first["start"], &first["end"]), (&json!(0), &json!(1)));
        let second = follow(&first, "next_page_uri");
        assert_eq!(second["uri"], wanted);
        assert_eq!(second["recordings"], json!([3, 4]));
        let last = follow(&second, "next_page_uri");
        assert_eq!(last["recordings"], json!([5]));
        assert_eq!(last["next_page_uri"], Value::Null);
        assert_eq!(follow(&last, "previous_page_uri")["recordings"], json!([3, 4]));
        assert_eq!(follow(&last, "first_page_uri")["recordings"], json!([1, 2]));
    }

    #[test]
    fn the_newer_products_link_by_absolute_url() {
        let json = page(Links::Absolute("https://video.twilio.com"), "PageSize=4").unwrap();
        let next = "https://video.twilio.com/R.json?PageSize=4&Page=1&PageToken=PARE4";
        assert_eq!(json["meta"]["next_page_url"], next);
        assert_eq!(json["meta"]["key"], "recordings");
        assert_eq!(json.as_object().unwrap().len(), 2);
    }

    #[test]
    fn a_page_beyond_the_end_is_empty_and_a_senseless_one_is_refused() {
        let json = page(Links::Relative, "Page=9").unwrap();
        assert_eq!(json["recordings"], json!([]));
        assert_eq!(json["next_page_uri"], Value::Null);
        for query in ["PageSize=0", "PageSize=1001", "PageSize=x", "PageSize=-1"] {
            assert_eq!(page(Links::Relative, query), Err(BadParameter("PageSize")), "{query}");
        }
        assert_eq!(page(Links::Relative, "Page=x"), Err(BadParameter("Page")));
        let after = page(Links::Relative, "PageSize=2&Page=1&PageToken=PAgone").unwrap();
        assert_eq!(after["recordings"], json!([3, 4]));
    }
}
