//! Public documents of issuers: their key sets, over HTTPS.
//!
//! Apart from Twilio's connections: no credential, no redirects, a small body, a short time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use tokio::time::timeout;

use super::account::client_tls;
use super::pool::{Origin, Pool};
use super::{AGENT, AccountsError};
use crate::config;
use crate::identity::KeySource;

/// LIMIT: bytes of a key set.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// A client for issuers' documents.
#[derive(Debug)]
pub struct Documents {
    pool: Arc<Pool>,
    head_timeout: Duration,
    /// Where each issuer's keys are, by the issuer's short name.
    places: HashMap<String, (Origin, PathAndQuery)>,
}

impl Documents {
    /// A client with the time limits of the upstream.
    ///
    /// # Errors
    /// [`AccountsError`] if an issuer's `jwks_url` or `ca_file` cannot be used.
    pub fn new(
        issuers: &[config::Issuer],
        settings: &config::Upstream,
    ) -> Result<Self, AccountsError> {
        let mut places = HashMap::new();
        for issuer in issuers {
            let Some(url) = &issuer.jwks_url else { continue };
            let tls = Arc::new(client_tls(issuer.ca_file.as_deref())?);
            let uri = url.parse::<Uri>().ok();
            let place = uri.and_then(|uri| {
                let origin = Origin::parse(uri.authority()?.as_str(), tls)?;
                let root = PathAndQuery::from_static("/");
                Some((origin, uri.path_and_query().cloned().unwrap_or(root)))
            });
            let place =
                place.ok_or_else(|| AccountsError::KeyUrl { issuer: issuer.name.clone() })?;
            places.insert(issuer.name.clone(), place);
        }
        let head_timeout = settings.head_timeout_ms.duration();
        // Keys are fetched every few minutes, from several runtimes: no connection waits for that.
        let settings =
            config::Upstream { idle_connections_max: config::Count::of(0), ..settings.clone() };
        Ok(Self { pool: Arc::new(Pool::new(&settings)), head_timeout, places })
    }

    async fn get(&self, issuer: &config::Issuer) -> Result<Bytes, String> {
        let (origin, path) = self.places.get(&issuer.name).ok_or("it has no jwks_url")?;
        let request = Request::get(path.as_str())
            .header(HOST, origin.host_header())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let reply = self.pool.send(origin, request).await.map_err(|error| error.to_string())?;
        if reply.parts.status != StatusCode::OK {
            return Err(format!("the issuer answered with status {}", reply.parts.status.as_u16()));
        }
        let body = Limited::new(reply.body, DOCUMENT_BYTES_MAX).collect();
        match timeout(self.head_timeout, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_)) => Err("the key set broke off or is too long".to_owned()),
            Err(_) => Err("the issuer took too long to send its keys".to_owned()),
        }
    }
}

impl KeySource for Documents {
    async fn fetch(&self, issuer: &config::Issuer) -> Result<Bytes, String> {
        self.get(issuer).await
    }
}
