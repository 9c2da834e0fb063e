//! Where a redirect may lead.
//!
//! TRUST: a `Location` is upstream's text. Only HTTPS, only a host on the account's allow-list,
//! no credentials in it; anything else ends the request. The path goes on as it is (it is signed).

use std::sync::Arc;

use http::header::LOCATION;
use http::{StatusCode, Uri, response};

use super::UpstreamError;
use super::account::Account;
use super::pool::Origin;

/// LIMIT: bytes of a location. Pre-signed URLs are about 1 KiB.
const LOCATION_BYTES_MAX: usize = 8 * 1024;

pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The host and path that an answer redirects to.
pub(super) fn target(
    parts: &response::Parts,
    account: &Account,
) -> Result<(Origin, String), UpstreamError> {
    follow(location(parts)?, account)
}

/// The one location of an answer.
pub(super) fn location(parts: &response::Parts) -> Result<&str, UpstreamError> {
    let mut locations = parts.headers.get_all(LOCATION).iter();
    match (locations.next().map(|location| location.to_str()), locations.next()) {
        (Some(Ok(location)), None) => Ok(location),
        (Some(Err(_)), _) => Err(UpstreamError::Redirect("the location is not a URL")),
        _ => Err(UpstreamError::Redirect("there is not one location")),
    }
}

/// The host and path of a URL that upstream gave.
pub(super) fn follow(url: &str, account: &Account) -> Result<(Origin, String), UpstreamError> {
    let refuse = |why| Err(UpstreamError::Redirect(why));
    if url.len() > LOCATION_BYTES_MAX {
        return refuse("the location is too long");
    }
    let Ok(uri) = url.parse::<Uri>() else {
        return refuse("the location is not a URL");
    };
    if uri.scheme_str() != Some("https") {
        return refuse("the location is not an https URL");
    }
    let Some(authority) = uri.authority().map(|a| a.as_str().to_ascii_lowercase()) else {
        return refuse("the location has no host");
    };
    if authority.contains('@') {
        return refuse("the location holds credentials");
    }
    if !account.redirect_hosts.iter().any(|allowed| fits(allowed, &authority)) {
        tracing::warn!(host = authority, "upstream redirects to a host that is not allowed");
        return refuse("the host is not in the account's redirect_hosts");
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    match Origin::parse(&authority, Arc::clone(&account.tls)) {
        Some(origin) => Ok((origin, path)),
        None => refuse("the host is not a host name"),
    }
}

/// `name` fits only port 443; `name:port` fits that port; `*.name` fits every host below it.
fn fits(allowed: &str, authority: &str) -> bool {
    let authority = authority.strip_suffix(":443").unwrap_or(authority);
    match allowed.strip_prefix('*') {
        Some(suffix) if suffix.starts_with('.') => {
            authority.strip_suffix(suffix).is_some_and(|host| {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
            })
        }
        _ => allowed.eq_ignore_ascii_case(authority),
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn only_listed_hosts_and_ports_fit() {
        assert!(fits("media.twiliocdn.com", "media.twiliocdn.com"));
        assert!(fits("media.twiliocdn.com", "media.twiliocdn.com:443"));
        assert!(fits("localhost:8444", "localhost:8444"));
        assert!(fits("*.example.com", "a.b.example.com"));
        for (allowed, authority) in [
            ("media.twiliocdn.com", "media.twiliocdn.com:8443"),
            ("media.twiliocdn.com", "evil-media.twiliocdn.com"),
            ("media.twiliocdn.com", "media.twiliocdn.com.evil.example"),
            ("*.example.com", "example.com"),
            ("*.example.com", "evilexample.com"),
            ("*.example.com", "a.example.com:8443"),
            ("*.example.com", ".example.com"),
            ("*", "anything.example"),
            ("", ""),
        ] {
            assert!(!fits(allowed, authority) || authority.is_empty(), "{allowed} {authority}");
        }
    }
}
