//! Twilio's side: an intent is sent upstream, and what comes back stays sealed until a receipt
//! opens it.
//!
//! The request is built from the [`Intent`]'s reference and from typed conditions, with the
//! credential of the recording's account. Redirects are followed here, within an allow-list and
//! without the credential; no caller sees one. What upstream answers is checked (`answer.rs`)
//! before anything of it can be opened: framing, type, length, range. Never: a caller's header, a
//! body without a receipt, an upstream's words.

mod account;
mod answer;
mod body;
mod collector;
mod courier;
pub mod decrypt;
mod decrypted;
mod delete;
mod documents;
mod metadata;
mod page;
mod pool;
mod portion;
mod provider;
mod redirect;
mod resume;
mod retry;
mod rewrite;

pub use account::{Accounts, AccountsError, NoSite, Opening, Site};
pub use answer::{ContentRange, Opened, Outline};
pub use body::{BodyError, MediaBody};
pub use collector::Collector;
pub use courier::HttpsCourier;
pub use decrypted::Decryption;
pub use documents::Documents;
pub use metadata::Metadata;
pub use page::Listed;
pub use provider::{ProviderClient, ProviderUnreachable};
pub use rewrite::Own;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT,
};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Full, Limited};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::config;
use crate::ledger::{EntryId, Intent, OpenDisclosure, Receipt};
use crate::media::{ByteRange, Conditions, Form, MediaRef, Product, Query, Serves};
use crate::share::Portion;
use decrypted::{envelope_headers, envelope_of, has_bytes};
use pool::{Origin, Pool, Reply};
use retry::{backoff, request_id, retry_after, retry_wait};

/// LIMIT: bytes of one JSON answer. A page of 1,000 recordings has about 1.5 MiB, one of 5,000
/// sentences with the time of each word less than 16.
const METADATA_BYTES_MAX: usize = 16 * 1024 * 1024;

/// LIMIT: bytes of an error body that are looked at for Twilio's code.
const ERROR_BYTES_MAX: usize = 16 * 1024;

const AGENT: &str = concat!("noticegate/", env!("CARGO_PKG_VERSION"));

/// Why the upstream gave nothing that could be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// 404.
    #[error("upstream has no such resource")]
    NotFound,
    /// 410.
    #[error("upstream says the resource is gone")]
    Gone,
    /// 429: Twilio's limit on concurrent requests, or our own in front of it.
    #[error("too many requests for this account are under way")]
    Busy {
        /// Seconds after which to try again, if upstream said so.
        retry_after: Option<u32>,
    },
    /// 400 or 409 with a code of Twilio's that is about what was asked for.
    #[error("upstream refuses the request with status {status} and code {code}")]
    Rejected {
        /// 400 or 409.
        status: u16,
        /// Twilio's error code.
        code: u32,
    },
    /// 401 or 403: the gate's own credential is not accepted.
    #[error("upstream does not accept the gate's credential")]
    Credential,
    /// Any other status.
    #[error("upstream answered with status {0}")]
    Status(u16),
    /// No connection, or none that carried an answer.
    #[error("upstream cannot be reached: {0}")]
    Unreachable(String),
    /// It took longer than it may.
    #[error("upstream took too long to {0}")]
    TimedOut(&'static str),
    /// A redirect that is not followed.
    #[error("upstream redirects to where the gate does not follow: {0}")]
    Redirect(&'static str),
    /// An answer that two readers could understand differently, or that is not what was asked for.
    #[error("upstream's answer cannot be used: {0}")]
    Unusable(&'static str),
    /// An encrypted file of a video room, and no key.
    #[error("the gate holds no key that opens this file")]
    NoKey,
    /// An encrypted recording that none of the gate's keys opens, or that is not what it was.
    #[error("the recording cannot be decrypted: {0}")]
    Sealed(String),
    /// The account is not configured. The gate refuses such requests before they come here.
    #[error("the account is not configured")]
    NoAccount,
}

/// What upstream answered to an intent. Nothing can be learnt from it without the receipt.
#[derive(Debug)]
#[must_use = "an answer that is not opened is thrown away"]
pub struct Sealed {
    intent: EntryId,
    answer: Result<Opened, UpstreamError>,
}

impl Sealed {
    /// Opens the answer by spending the receipt of the intent it answers.
    pub fn open(self, receipt: Receipt) -> (OpenDisclosure, Result<Opened, UpstreamError>) {
        let answer = if receipt.id() == self.intent {
            self.answer
        } else {
            Err(UpstreamError::Unusable("it answers another intent"))
        };
        (receipt.spend(), answer)
    }
}

/// One worker's way to Twilio. The accounts and their limits are shared by all workers; the
/// connections are the worker's own.
#[derive(Clone, Debug)]
pub struct Upstream {
    pool: Arc<Pool>,
    settings: Arc<config::Upstream>,
    decryption: Decryption,
    response_bytes_max: u64,
}

/// What is asked of a thing beside which it is.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// How much of it.
    pub outline: Outline,
    /// Which part of it, under which conditions.
    pub conditions: &'a Conditions,
    /// What a query says beside.
    pub query: &'a Query,
    /// How the gate writes its own URLs.
    pub own: Own<'a>,
    /// What decides whether the recording is decrypted, and whether its ciphertext may be had.
    pub lock: &'a Lock,
    /// Which part of the sound, if not all of it.
    pub portion: Option<Portion>,
}

/// How a recording is stored.
#[derive(Debug)]
pub enum Lock {
    /// In the clear, as far as the facts tell.
    Open {
        /// Whether it may be handed on should it turn out to be encrypted with a key that is not
        /// held. Of files of video rooms no fact says so beforehand.
        or_sealed: bool,
    },
    /// Encrypted, with a key that is held.
    Key(Opening),
    /// Encrypted, and its ciphertext was asked for and permitted.
    Closed,
}

/// One request, as it is sent on every hop.
#[derive(Clone, Debug)]
struct Errand {
    method: Method,
    accept: &'static str,
    range: Option<ByteRange>,
    conditions: Conditions,
}

/// Where an errand begins.
enum Start<'a> {
    /// At a product's own host, with the credential.
    Api(Product, &'a str),
    /// At a URL that upstream gave, without.
    Url(&'a str),
}

impl Upstream {
    /// A worker's upstream.
    #[must_use]
    pub fn new(
        settings: config::Upstream,
        limits: &config::Limits,
        decryption: Decryption,
    ) -> Self {
        let pool = Arc::new(Pool::new(&settings));
        let response_bytes_max = limits.response_bytes_max.get();
        Self { pool, settings: Arc::new(settings), decryption, response_bytes_max }
    }

    /// Sends an intent upstream. The answer is sealed; it can be asked for while the intent is
    /// still on its way to the disk.
    pub async fn ask(&self, site: &Site, intent: &Intent, wanted: &Wanted<'_>) -> Sealed {
        let media = intent.media();
        if let Some(portion) = wanted.portion {
            let answer = self.part(site, media, wanted, portion).await;
            return Sealed { intent: intent.id(), answer };
        }
        let answer = match media.serves() {
            Serves::Wav | Serves::Mp3 | Serves::File => match wanted.lock {
                Lock::Key(opening) => self.decrypted(site, media, wanted, opening).await,
                Lock::Open { .. } | Lock::Closed => self.as_stored(site, media, wanted).await,
            },
            Serves::Resource => self.resource(site, media, wanted).await,
            Serves::Link => self.link(site, media, wanted).await,
            Serves::OwnLink => Ok(own_link(&media, wanted)),
            // A page is asked for before its items are decided: `Upstream::list`.
            Serves::Page { .. } => Err(UpstreamError::Unusable("a list is not one thing")),
        };
        Sealed { intent: intent.id(), answer }
    }

    /// Bytes as upstream has them.
    async fn as_stored(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
    ) -> Result<Opened, UpstreamError> {
        // HEAD is asked as a GET of one byte, on every hop: Twilio does not document HEAD, and a
        // pre-signed URL is signed for one method. The head of the whole is in what comes back.
        let (conditions, range) = match wanted.outline {
            Outline::Whole => (wanted.conditions.clone(), wanted.conditions.range),
            Outline::HeadOnly => (wanted.conditions.without_range(), Some(ByteRange::Within(0, 0))),
        };
        let accept = match media.serves() {
            Serves::Mp3 => "audio/mpeg",
            Serves::Wav => "audio/x-wav, audio/wav",
            _ => "*/*",
        };
        let errand = Errand { method: Method::GET, accept, range, conditions };
        let (reply, mut slot) = self.fetch_media(site, &media, &errand).await?;
        let mut reply = self.refuse_errors(reply).await?;
        let mut envelope = envelope_of(&media, &reply)?;
        if media.serves() == Serves::File && site.has_keys() && !has_bytes(&reply) {
            // The conditions and the range were held against a ciphertext, if it is one.
            let (range, conditions) = (Some(ByteRange::Within(0, 0)), Conditions::default());
            let first = Errand { range, conditions, ..errand.clone() };
            slot = None;
            let (first, _) = self.fetch_media(site, &media, &first).await?;
            envelope = envelope_of(&media, &first)?;
            if envelope.is_some() {
                reply = first;
            }
        }
        let sealed = match envelope {
            None => None,
            Some(_)
                if matches!(wanted.lock, Lock::Closed)
                    || (matches!(wanted.lock, Lock::Open { or_sealed: true })
                        && !site.has_keys()) =>
            {
                // Who holds the key needs the envelope.
                Some(envelope_headers(&reply.parts.headers))
            }
            Some(envelope) => {
                // The whole takes a slot of its own.
                drop(slot);
                return self.file(site, media, wanted, &envelope, reply).await;
            }
        };
        let expected = answer::Expected {
            media,
            outline: wanted.outline,
            conditions: &errand.conditions,
            range,
        };
        let mut opened = answer::read(reply, &expected, self.response_bytes_max)?;
        opened.is_file = media.serves() == Serves::File;
        opened.envelope = sealed.unwrap_or_default();
        self.follow(&mut opened, site, media, errand, slot);
        Ok(opened)
    }

    /// Asks for bytes where Twilio keeps them, which may be behind a URL inside JSON.
    async fn fetch_media(
        &self,
        site: &Site,
        media: &MediaRef,
        errand: &Errand,
    ) -> Result<(Reply, Option<OwnedSemaphorePermit>), UpstreamError> {
        let product = media.row().product;
        let path = media.upstream_path(&Query::default());
        if !media.is_behind_link() {
            return self.fetch(site, Start::Api(product, &path), errand, true).await;
        }
        let (reply, _slot) =
            self.fetch(site, Start::Api(product, &path), &Errand::json(), false).await?;
        let url = match redirect::is_redirect(reply.parts.status) {
            true if reply.parts.headers.contains_key(http::header::LOCATION) => {
                redirect::location(&reply.parts)?.to_owned()
            }
            true => url_in(&self.whole(reply).await?, media)?,
            false => {
                let reply = self.refuse_errors(reply).await?;
                answer::check_document(&reply)?;
                url_in(&self.whole(reply).await?, media)?
            }
        };
        self.fetch(site, Start::Url(&url), errand, true).await
    }

    async fn resource(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
    ) -> Result<Opened, UpstreamError> {
        let path = media.upstream_path(wanted.query);
        let json = self.document(site, media.row().product, &path).await?;
        let mut json = answer::parse_document(&json)?;
        if !answer::is_of(&json, &media) {
            return Err(UpstreamError::NotFound);
        }
        rewrite::check_next_page(&json, site)?;
        rewrite::rewrite(&mut json, &media, site, &wanted.own);
        Ok(Opened::document(&json, wanted.outline))
    }

    /// What leads to bytes: the redirect and the URL in it become the gate's own.
    async fn link(
        &self,
        site: &Site,
        media: MediaRef,
        wanted: &Wanted<'_>,
    ) -> Result<Opened, UpstreamError> {
        let path = media.upstream_path(wanted.query);
        let start = Start::Api(media.row().product, &path);
        let (reply, _slot) = self.fetch(site, start, &Errand::json(), false).await?;
        let status = reply.parts.status;
        if !redirect::is_redirect(status) {
            let reply = self.refuse_errors(reply).await?;
            answer::check_document(&reply)?;
            let mut json = answer::parse_document(&self.whole(reply).await?)?;
            rewrite::rewrite(&mut json, &media, site, &wanted.own);
            return Ok(Opened::document(&json, wanted.outline));
        }
        // SDKs read the JSON beside the redirect. Whatever else Twilio says there stays.
        let said = self.whole(reply).await.ok();
        let said = said.and_then(|json| answer::parse_document(&json).ok());
        let said = said.filter(|json| json.get("redirect_to").is_some());
        let mut json = said.unwrap_or_else(|| serde_json::json!({ "redirect_to": null }));
        rewrite::rewrite(&mut json, &media, site, &wanted.own);
        let url = json.get("redirect_to").and_then(serde_json::Value::as_str).map(str::to_owned);
        let location = Some(url.ok_or(UpstreamError::Unusable("it leads nowhere"))?);
        let opened = Opened::document(&json, wanted.outline);
        Ok(Opened { status: status.as_u16(), location, ..opened })
    }

    /// Asks Twilio about a Flex token; returns its answer.
    ///
    /// # Errors
    /// [`UpstreamError`] if there is none.
    pub async fn validate_flex(&self, site: &Site, token: &str) -> Result<Bytes, UpstreamError> {
        let origin = site.origin(Product::Iam)?;
        let path = format!("/v1/Accounts/{}/Tokens/validate", site.account());
        let body = serde_json::json!({ "token": token }).to_string();
        let request = Request::post(path)
            .header(HOST, origin.host_header())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, site.0.credential.clone())
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| UpstreamError::Unusable("it cannot be asked"))?;
        let _slot = self.slot(site).await?;
        let answered =
            timeout(self.settings.head_timeout_ms.duration(), courier::once(origin, request));
        match answered.await {
            Err(_) => Err(UpstreamError::TimedOut("answer")),
            Ok(Ok((StatusCode::OK, body))) => Ok(body),
            Ok(Ok((status, _))) => Err(UpstreamError::Status(status.as_u16())),
            Ok(Err(problem)) => Err(UpstreamError::Unreachable(problem)),
        }
    }

    /// Reads a JSON resource of an account's own API as a whole.
    async fn document(
        &self,
        site: &Site,
        product: Product,
        path: &str,
    ) -> Result<Bytes, UpstreamError> {
        let start = Start::Api(product, path);
        let (reply, _slot) = self.fetch(site, start, &Errand::json(), true).await?;
        let reply = self.refuse_errors(reply).await?;
        answer::check_document(&reply)?;
        self.whole(reply).await
    }

    async fn whole(&self, reply: Reply) -> Result<Bytes, UpstreamError> {
        let body = Limited::new(reply.body, METADATA_BYTES_MAX).collect();
        match timeout(self.settings.head_timeout_ms.duration(), body).await {
            Err(_) => Err(UpstreamError::TimedOut("send a resource")),
            Ok(Err(_)) => Err(UpstreamError::Unusable("a resource broke off or is too long")),
            Ok(Ok(body)) => Ok(body.to_bytes()),
        }
    }

    /// Asks upstream and follows where it leads, if it may. Tries again what is safe to.
    async fn fetch(
        &self,
        site: &Site,
        start: Start<'_>,
        errand: &Errand,
        follows: bool,
    ) -> Result<(Reply, Option<OwnedSemaphorePermit>), UpstreamError> {
        let mut tries = 0;
        loop {
            let tried = self.hops(site, &start, errand, follows).await;
            let wait = match &tried {
                Ok((reply, _)) => retry_wait(reply.parts.status, &reply.parts.headers),
                Err(UpstreamError::Unreachable(_)) => Some(Duration::ZERO),
                Err(_) => None,
            };
            match wait {
                Some(wait) if tries < self.settings.retries_max.get() => {
                    tries += 1;
                    drop(tried);
                    tokio::time::sleep(wait.max(backoff(tries))).await;
                }
                _ => return tried,
            }
        }
    }

    async fn hops(
        &self,
        site: &Site,
        start: &Start<'_>,
        errand: &Errand,
        follows: bool,
    ) -> Result<(Reply, Option<OwnedSemaphorePermit>), UpstreamError> {
        let (mut reply, slot) = match start {
            Start::Api(product, path) => {
                let slot = self.slot(site).await?;
                let origin = site.origin(*product)?;
                let mut request = errand.request(origin, path)?;
                request.headers_mut().insert(AUTHORIZATION, site.0.credential.clone());
                let reply = self.pool.send(origin, request).await?;
                site.judged(reply.parts.status);
                (reply, Some(slot))
            }
            Start::Url(url) => {
                let (origin, path) = redirect::follow(url, &site.0)?;
                (self.pool.send(&origin, errand.request(&origin, &path)?).await?, None)
            }
        };
        if !follows || !redirect::is_redirect(reply.parts.status) {
            return Ok((reply, slot));
        }
        // Twilio counts the requests to its API; where it sends us does not count.
        drop(slot);
        for _ in 0..self.settings.redirects_max.get() {
            let (origin, path) = redirect::target(&reply.parts, &site.0)?;
            // TRUST: the location comes from upstream; its host is on the allow-list, and from
            // here on no credential goes along.
            let request = errand.request(&origin, &path)?;
            reply = self.pool.send(&origin, request).await?;
            if !redirect::is_redirect(reply.parts.status) {
                return Ok((reply, None));
            }
        }
        Err(UpstreamError::Redirect("more hops than are allowed"))
    }

    async fn slot(&self, site: &Site) -> Result<OwnedSemaphorePermit, UpstreamError> {
        let slots = Arc::clone(&site.0.slots);
        // A timer costs more than a free slot.
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            return Ok(slot);
        }
        match timeout(self.settings.queue_timeout_ms.duration(), slots.acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(UpstreamError::Busy { retry_after: Some(1) }),
        }
    }

    /// Turns error statuses into our own words; an upstream's text goes no further.
    async fn refuse_errors(&self, reply: Reply) -> Result<Reply, UpstreamError> {
        let status = reply.parts.status;
        if status.as_u16() >= 400 && status != StatusCode::NOT_FOUND {
            // Twilio's support asks for it.
            let request = request_id(&reply.parts.headers).unwrap_or("not said");
            tracing::info!(status = status.as_u16(), request, "upstream answered with an error");
        }
        match reply.parts.status {
            StatusCode::NOT_FOUND => Err(UpstreamError::NotFound),
            StatusCode::GONE => Err(UpstreamError::Gone),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(UpstreamError::Busy { retry_after: retry_after(&reply.parts.headers) })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                tracing::error!("upstream does not accept the gate's credential");
                Err(UpstreamError::Credential)
            }
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT => {
                let status = reply.parts.status.as_u16();
                let body = Limited::new(reply.body, ERROR_BYTES_MAX).collect();
                let read = timeout(self.settings.head_timeout_ms.duration(), body).await;
                let text = read.ok().and_then(Result::ok).map(|body| body.to_bytes());
                match text.and_then(|text| answer::twilio_code(&text)) {
                    Some(code) => Err(UpstreamError::Rejected { status, code }),
                    None => Err(UpstreamError::Status(status)),
                }
            }
            StatusCode::OK
            | StatusCode::PARTIAL_CONTENT
            | StatusCode::NOT_MODIFIED
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::RANGE_NOT_SATISFIABLE => Ok(reply),
            other => Err(UpstreamError::Status(other.as_u16())),
        }
    }
}

/// The URL of the bytes, where Twilio's JSON has it.
fn url_in(json: &[u8], media: &MediaRef) -> Result<String, UpstreamError> {
    let json = answer::parse_document(json)?;
    let several = json.get("locations").and_then(|several| several.get(media.part()));
    let found = ["/redirect_to", "/media_url", "/location", "/links/content_direct_temporary"]
        .iter()
        .find_map(|pointer| json.pointer(pointer))
        .or(several);
    match found.map(|url| url.as_str().map(str::to_owned)) {
        Some(Some(url)) => Ok(url),
        Some(None) => Err(UpstreamError::Unusable("it leads to what is no URL")),
        None => Err(UpstreamError::NotFound),
    }
}

/// What Flex Insights asks for: a URL that carries its own authorisation.
fn own_link(media: &MediaRef, wanted: &Wanted<'_>) -> Opened {
    // There is no MP3 of an encrypted recording.
    let form = match wanted.lock {
        Lock::Open { .. } => Form::Mp3,
        Lock::Key(_) | Lock::Closed => Form::Wav,
    };
    let content = media.sid().map(|sid| MediaRef::recording(media.account, sid, form));
    let url = content.map(|content| wanted.own.link(&content));
    Opened::document(&serde_json::json!({ "media_url": url }), wanted.outline)
}

impl Errand {
    fn json() -> Self {
        Self {
            method: Method::GET,
            accept: "application/json",
            range: None,
            conditions: Conditions::default(),
        }
    }

    /// Everything that goes over the wire, but for the credential.
    fn request(&self, origin: &Origin, path: &str) -> Result<Request<Empty<Bytes>>, UpstreamError> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(path)
            .header(HOST, origin.host_header())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, self.accept)
            .header(ACCEPT_ENCODING, "identity")
            .body(Empty::new())
            .map_err(|_| UpstreamError::Redirect("its path is not a path"))?;
        let conditions = Conditions { range: self.range, ..self.conditions.clone() };
        for (name, value) in conditions.headers() {
            // Typed values print as plain ASCII.
            if let Ok(value) = HeaderValue::try_from(value) {
                request.headers_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}
