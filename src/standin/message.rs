//! Messages and their media.
//!
//! In: a route of the 2010-04-01 API. Out: JSON, the redirect to a medium, an empty 204, or
//! Twilio's error. A medium under a message must be that message's.

use serde_json::{Value, json};

use super::api::{Asked, Reply};
use super::metadata::rfc_2822;
use super::page::{Links, Listing};
use super::route::Message;
use super::samples::{MessageDirection, SampleMedia, SampleMessage};
use super::voice::{PAGE_SIZE_MAX, Period};

/// Answers for messages.
pub(super) fn answer(asked: &Asked<'_>, what: Message<'_>) -> Reply {
    match what {
        Message::One(sid) => asked.one(find(asked, sid), sid, |message| describe(asked, message)),
        Message::MediaList(sid) => {
            let message = find(asked, sid).ok_or_else(|| asked.not_found())?;
            let period = Period::asked(asked)?;
            let items = asked.kept(&message.media, |media| &media.sid);
            let items = items.filter(|_| period.contains(message.sent_at));
            let items = items
                .map(|m| (m.sid.clone(), describe_media(&asked.account, message, m)))
                .collect();
            let (most, links) = (PAGE_SIZE_MAX, Links::Relative);
            asked.list(Listing { key: "media_list", items, most, links })
        }
        Message::Media { message, sid } => {
            let found = find_media(asked, message, sid);
            asked.one(found, sid, |(of, media)| describe_media(&asked.account, of, media))
        }
        Message::Bytes { message, sid } => {
            find_media(asked, message, sid).ok_or_else(|| asked.not_found())?;
            asked.bare_redirect(asked.shared.ways.message_redirect, sid)
        }
    }
}

fn find<'a>(asked: &'a Asked<'_>, sid: &str) -> Option<&'a SampleMessage> {
    asked.kept(&asked.holding.samples.messages, |message| &message.sid).find(|m| m.sid == sid)
}

fn find_media<'a>(
    asked: &'a Asked<'_>,
    message: &str,
    sid: &str,
) -> Option<(&'a SampleMessage, &'a SampleMedia)> {
    let message = find(asked, message)?;
    let media = asked.kept(&message.media, |media| &media.sid).find(|media| media.sid == sid)?;
    Some((message, media))
}

fn path(account: &str, message: &SampleMessage) -> String {
    format!("/2010-04-01/Accounts/{account}/Messages/{}", message.sid)
}

fn describe(asked: &Asked<'_>, message: &SampleMessage) -> Value {
    let path = path(&asked.account, message);
    let sent = rfc_2822(message.sent_at);
    let status = match message.direction {
        MessageDirection::Inbound => "received",
        MessageDirection::OutboundApi | MessageDirection::OutboundReply => "delivered",
    };
    let media = asked.kept(&message.media, |media| &media.sid).count();
    json!({
        "account_sid": asked.account,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": sent,
        "date_sent": sent,
        "date_updated": sent,
        "direction": message.direction.as_str(),
        "error_code": null,
        "error_message": null,
        "from": message.from,
        "messaging_service_sid": null,
        "num_media": media.to_string(),
        "num_segments": "1",
        "price": null,
        "price_unit": "USD",
        "sid": message.sid,
        "status": status,
        "subresource_uris": {
            "media": format!("{path}/Media.json"),
            "feedback": format!("{path}/Feedback.json"),
        },
        "to": message.to,
        "uri": format!("{path}.json"),
    })
}

fn describe_media(account: &str, message: &SampleMessage, media: &SampleMedia) -> Value {
    json!({
        "account_sid": account,
        "content_type": media.content_type,
        "date_created": rfc_2822(message.sent_at),
        "date_updated": rfc_2822(message.sent_at),
        "parent_sid": message.sid,
        "sid": media.sid,
        "uri": format!("{}/Media/{}.json", path(account, message), media.sid),
    })
}
