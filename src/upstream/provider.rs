//! Requests to the provider at which people sign in: its documents, its token and its user info.
//!
//! Each on a connection of its own, over TLS with the configured authorities: no redirects, a small
//! answer, a short time. Sign-ins are rare.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::account::client_tls;
use super::pool::{Origin, reach};
use super::{AGENT, AccountsError};
use crate::config;

/// LIMIT: how long one exchange may take, all in all.
const EXCHANGE: Duration = Duration::from_secs(10);

/// LIMIT: bytes of an answer. A key set or a token is a few kilobytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A client of one provider.
#[derive(Clone, Debug)]
pub struct ProviderClient {
    tls: Arc<ClientConfig>,
}

/// Why there is no answer of the provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderUnreachable {
    /// Its address is not one that is asked.
    #[error("`{0}` is no https:// address")]
    Address(String),
    /// The exchange was not made.
    #[error("{0}")]
    Exchange(String),
    /// It took too long.
    #[error("it took too long")]
    TooSlow,
}

impl ProviderClient {
    /// A client that trusts the issuer's authorities, or the public ones.
    ///
    /// # Errors
    /// [`AccountsError`] if the file of authorities cannot be used.
    pub fn new(issuer: &config::Issuer) -> Result<Self, AccountsError> {
        Ok(Self { tls: Arc::new(client_tls(issuer.ca_file.as_deref())?) })
    }

    /// Makes one exchange.
    ///
    /// # Errors
    /// [`ProviderUnreachable`] if there is no whole answer.
    pub async fn exchange(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, ProviderUnreachable> {
        let done = timeout(EXCHANGE, self.once(request)).await;
        done.unwrap_or(Err(ProviderUnreachable::TooSlow))
    }

    async fn once(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, ProviderUnreachable> {
        let failed =
            |error: &dyn std::fmt::Display| ProviderUnreachable::Exchange(error.to_string());
        let (mut parts, body) = request.into_parts();
        let address = || ProviderUnreachable::Address(parts.uri.to_string());
        let authority = match (parts.uri.scheme_str(), parts.uri.authority()) {
            (Some("https"), Some(authority)) => authority.as_str(),
            _ => return Err(address()),
        };
        let origin = Origin::parse(authority, Arc::clone(&self.tls)).ok_or_else(address)?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse().map_err(|_| address())?;
        parts.headers.insert(HOST, origin.host_header());
        parts.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let request = Request::from_parts(parts, Full::new(Bytes::from(body)));
        let io = reach(&origin).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|error| failed(&error))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|_| failed(&"the answer broke off or is too long"))?;
            Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
        };
        tokio::pin!(exchange);
        tokio::select! {
            answered = &mut exchange => answered,
            // The connection may end first, with the whole answer read.
            _ = connection => exchange.await,
        }
    }
}
