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
mod courier;
mod documents;
mod pool;
mod redirect;

pub use account::{Accounts, AccountsError};
pub use answer::{ContentRange, Opened, Outline};
pub use body::{BodyError, MediaBody};
pub use courier::HttpsCourier;
pub use documents::Documents;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::config;
use crate::facts::{FactsError, MetadataSource};
use crate::ledger::{EntryId, Intent, OpenDisclosure, Receipt};
use crate::media::{AudioFormat, ByteRange, Conditions, Form, MediaRef, MetadataRef};
use account::Account;
use pool::{Origin, Pool, Reply};

/// LIMIT: bytes of a Recording or Call resource. Twilio's are under 2 KiB.
const METADATA_BYTES_MAX: usize = 256 * 1024;

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
    /// 400 with a code of Twilio's that is about what was asked for.
    #[error("upstream refuses the request with code {code}")]
    Rejected {
        /// Twilio's error code: 16109 or 16113.
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
#[derive(Debug)]
pub struct Upstream {
    accounts: Arc<Accounts>,
    pool: Arc<Pool>,
    settings: config::Upstream,
    response_bytes_max: u64,
}

/// One request, as it is sent on every hop.
struct Errand<'a> {
    accept: &'static str,
    range: Option<ByteRange>,
    conditions: &'a Conditions,
}

impl Upstream {
    /// A worker's upstream.
    #[must_use]
    pub fn new(
        accounts: Arc<Accounts>,
        settings: config::Upstream,
        limits: &config::Limits,
    ) -> Self {
        let pool = Arc::new(Pool::new(&settings));
        let response_bytes_max = limits.response_bytes_max.get();
        Self { accounts, pool, settings, response_bytes_max }
    }

    /// Sends an intent upstream. The answer is sealed; it can be asked for while the intent is
    /// still on its way to the disk.
    pub async fn ask(
        &self,
        intent: &Intent,
        outline: Outline,
        conditions: &Conditions,
        public_origin: &str,
    ) -> Sealed {
        let media = intent.media();
        let answer = match media.form {
            Form::Audio { .. } => self.audio(media, outline, conditions).await,
            Form::Metadata => self.metadata(media, outline, public_origin).await,
        };
        Sealed { intent: intent.id(), answer }
    }

    async fn audio(
        &self,
        media: MediaRef,
        outline: Outline,
        conditions: &Conditions,
    ) -> Result<Opened, UpstreamError> {
        // HEAD is asked as a GET of one byte, on every hop: Twilio does not document HEAD, and a
        // pre-signed URL is signed for one method. The head of the whole is in what comes back.
        let asked = match outline {
            Outline::Whole => conditions.clone(),
            Outline::HeadOnly => conditions.without_range(),
        };
        let range = match outline {
            Outline::Whole => asked.range,
            Outline::HeadOnly => Some(ByteRange::Within(0, 0)),
        };
        let accept = match media.form {
            Form::Audio { format: AudioFormat::Mp3, .. } => "audio/mpeg",
            Form::Audio { .. } | Form::Metadata => "audio/x-wav, audio/wav",
        };
        let errand = Errand { accept, range, conditions: &asked };
        let account = self.accounts.get(media.account).ok_or(UpstreamError::NoAccount)?;
        let (reply, slot) = self.fetch(account, &media.upstream_path(), &errand).await?;
        let reply = self.refuse_errors(reply).await?;
        let expected = answer::Expected { media, outline, conditions: &asked, range };
        let mut opened = answer::read(reply, &expected, self.response_bytes_max)?;
        opened.body.hold(slot, self.settings.idle_timeout_ms.duration());
        Ok(opened)
    }

    async fn metadata(
        &self,
        media: MediaRef,
        outline: Outline,
        public_origin: &str,
    ) -> Result<Opened, UpstreamError> {
        let json = self.document(media.account, &media.upstream_path()).await?;
        let json = answer::rewrite_metadata(&json, &media, public_origin)?;
        Ok(Opened::document(json, outline))
    }

    /// Reads a JSON resource of an account's own API as a whole.
    async fn document(
        &self,
        account: crate::media::AccountSid,
        path: &str,
    ) -> Result<Bytes, UpstreamError> {
        let conditions = Conditions::default();
        let errand = Errand { accept: "application/json", range: None, conditions: &conditions };
        let account = self.accounts.get(account).ok_or(UpstreamError::NoAccount)?;
        let (reply, _slot) = self.fetch(account, path, &errand).await?;
        let reply = self.refuse_errors(reply).await?;
        answer::check_document(&reply)?;
        let body = Limited::new(reply.body, METADATA_BYTES_MAX).collect();
        match timeout(self.settings.head_timeout_ms.duration(), body).await {
            Err(_) => Err(UpstreamError::TimedOut("send a resource")),
            Ok(Err(_)) => Err(UpstreamError::Unusable("a resource broke off or is too long")),
            Ok(Ok(body)) => Ok(body.to_bytes()),
        }
    }

    /// Asks the account's API and follows where it leads. Tries again what is safe to.
    async fn fetch(
        &self,
        account: &Account,
        path: &str,
        errand: &Errand<'_>,
    ) -> Result<(Reply, Option<OwnedSemaphorePermit>), UpstreamError> {
        let mut tries = 0;
        loop {
            let slot = self.slot(account).await?;
            let tried = self.hops(account, path, errand, slot).await;
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
        account: &Account,
        path: &str,
        errand: &Errand<'_>,
        slot: OwnedSemaphorePermit,
    ) -> Result<(Reply, Option<OwnedSemaphorePermit>), UpstreamError> {
        let mut request = errand.request(&account.origin, path)?;
        request.headers_mut().insert(AUTHORIZATION, account.credential.clone());
        let mut reply = self.pool.send(&account.origin, request).await?;
        if !redirect::is_redirect(reply.parts.status) {
            return Ok((reply, Some(slot)));
        }
        // Twilio counts the requests to its API; where it sends us does not count.
        drop(slot);
        for _ in 0..self.settings.redirects_max.get() {
            let (origin, path) = redirect::target(&reply.parts, account)?;
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

    async fn slot(&self, account: &Account) -> Result<OwnedSemaphorePermit, UpstreamError> {
        let slots = Arc::clone(&account.slots);
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
            StatusCode::BAD_REQUEST => {
                let body = Limited::new(reply.body, ERROR_BYTES_MAX).collect();
                let read = timeout(self.settings.head_timeout_ms.duration(), body).await;
                let text = read.ok().and_then(Result::ok).map(|body| body.to_bytes());
                match text.and_then(|text| answer::twilio_code(&text)) {
                    Some(code) => Err(UpstreamError::Rejected { code }),
                    None => Err(UpstreamError::Status(400)),
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

impl MetadataSource for Upstream {
    async fn read(&self, what: MetadataRef) -> Result<Bytes, FactsError> {
        let read = self.document(what.account(), &what.upstream_path()).await;
        read.map_err(|error| match error {
            UpstreamError::NotFound | UpstreamError::Gone => FactsError::NoSuchRecording,
            UpstreamError::Busy { retry_after } => FactsError::Busy { retry_after },
            other => FactsError::Unavailable(other.to_string()),
        })
    }
}

impl Errand<'_> {
    /// Everything that goes over the wire, but for the credential.
    fn request(&self, origin: &Origin, path: &str) -> Result<Request<Empty<Bytes>>, UpstreamError> {
        let mut request = Request::builder()
            .method(Method::GET)
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

/// Whether an answer may be asked for again at once, and after how long. Twilio says of 429 that
/// the request was not processed; the others are a gateway's. A wait that upstream asks for and
/// that is long is handed on to the caller instead.
fn retry_wait(status: StatusCode, headers: &http::HeaderMap) -> Option<Duration> {
    let again = matches!(status.as_u16(), 429 | 502..=504);
    let wait = Duration::from_secs(u64::from(retry_after(headers).unwrap_or(0)));
    (again && wait <= Duration::from_secs(2)).then_some(wait)
}

fn retry_after(headers: &http::HeaderMap) -> Option<u32> {
    headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// 100 ms doubled with each try, of which a random half, so that callers do not come back together.
fn backoff(tries: u64) -> Duration {
    let mut random = [0u8; 1];
    let _ = aws_lc_rs::rand::fill(&mut random);
    let [random] = random;
    let whole = Duration::from_millis(100 << tries.min(6).saturating_sub(1));
    whole / 2 + whole.mul_f64(f64::from(random) / 512.0)
}
