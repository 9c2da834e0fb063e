//! One request as it was asked, read strictly before anything else happens.
//!
//! TRUST: here a request's head stops being text. Host, method, form of the target, header sizes,
//! path, query, range, conditions and purpose become typed values, or the request is refused with
//! what is wrong with it. hyper by itself lets through odd Host forms, absolute-form targets and
//! bodies on GET; none of them passes here.

use http::header::{HOST, HeaderMap, TRANSFER_ENCODING, USER_AGENT};
use http::request::Parts;
use http::{Method, Version};

use crate::media::{Action, BadCondition, Conditions, MediaRef, Parameter, Target, TargetError};
use crate::notice::Circumstance;
use crate::purpose::Purpose;
use crate::share::OrderError;
use crate::upstream::Outline;

/// The header that says why.
pub const PURPOSE_HEADER: &str = "noticegate-purpose";

/// The header that names a case, a form or a legal demand.
pub const REFERENCE_HEADER: &str = "noticegate-reference";

/// The header that gives a reason in words.
pub const REASON_HEADER: &str = "noticegate-reason";

/// LIMIT: bytes of a reference and of a reason. They stand in the record.
const STATED_BYTES_MAX: usize = 300;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET
    Get,
    /// HEAD
    Head,
    /// DELETE
    Delete,
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Delete => "DELETE",
        }
    }

    /// How much of an answer it wants.
    #[must_use]
    pub fn outline(self) -> Outline {
        match self {
            Self::Get | Self::Delete => Outline::Whole,
            Self::Head => Outline::HeadOnly,
        }
    }
}

/// A request that asks for something the gate serves.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What, and why if the query says so.
    pub target: Target,
    /// Why, from header or query.
    pub purpose: Option<Purpose>,
    /// GET, HEAD or DELETE.
    pub verb: Verb,
    /// Range and conditions.
    pub conditions: Conditions,
    /// The host that was asked, in lower case and without port.
    pub host: String,
    /// `https://` and the host that was asked, to put into URLs.
    pub origin: String,
    /// The `User-Agent`.
    pub agent: Option<String>,
    /// The case, form or demand that the request names.
    pub reference: Option<String>,
    /// The reason that it gives.
    pub reason: Option<String>,
}

/// A request that is refused for its form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// A method other than GET, HEAD and DELETE.
    #[error("only GET and HEAD are served here, and DELETE of what Twilio deletes")]
    Method,
    /// DELETE of what is not deleted at its path.
    #[error("only GET and HEAD are served here; nothing is deleted at this path")]
    NotDeleted,
    /// No Host, several, or one that is not plain.
    #[error("the request must name one host, in origin form")]
    Host,
    /// A host that this gate does not serve.
    #[error("this host name is not served here")]
    Misdirected,
    /// GET, HEAD and DELETE have no body.
    #[error("a request for media has no body")]
    Body,
    /// More header bytes than allowed.
    #[error("the request's headers are too large")]
    HeadersTooLarge,
    /// The path or query.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A conditional header.
    #[error(transparent)]
    Condition(#[from] BadCondition),
    /// A purpose header that is no purpose, comes twice, or contradicts the query.
    #[error(
        "the purpose must be given once, as lower-case words joined by hyphens, in the \
         `Noticegate-Purpose` header or the `purpose` query parameter"
    )]
    Purpose,
    /// A method that means nothing at `/shares` or behind a link.
    #[error(
        "served are GET and POST at `/shares`, GET and DELETE of a share, GET and HEAD of a link"
    )]
    ShareMethod,
    /// A share that cannot be meant.
    #[error("the share cannot be made: {0}")]
    Order(#[from] OrderError),
    /// A body that is too long or does not come.
    #[error("the request's body is too long, or did not come in time")]
    BodyTooLong,
    /// A key that comes twice or is no plain text.
    #[error("`Idempotency-Key` may be given once, in 1 to 200 printable ASCII characters")]
    Key,
    /// A page of a list that cannot be meant.
    #[error("`page_size` is a number from 1 to 100, and `after` the id of a share")]
    Page,
    /// A reference or reason that comes twice, is too long, or is no plain text.
    #[error(
        "`Noticegate-Reference` and `Noticegate-Reason` may be given once each, in 1 to 300 \
         printable ASCII characters"
    )]
    Stated,
}

/// What requests are held to.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Host names, in lower case and without port.
    pub names: Vec<String>,
    /// LIMIT: bytes of all header names and values together.
    pub header_bytes_max: usize,
    /// LIMIT: header lines. hyper counts them in HTTP/1.1 and not in HTTP/2.
    pub header_count_max: usize,
}

impl Asked {
    /// What is done to a thing by who asks so.
    #[must_use]
    pub fn action(&self, media: &MediaRef) -> Action {
        match self.verb {
            Verb::Delete => Action::Delete,
            Verb::Get | Verb::Head => media.row().action,
        }
    }

    /// Whether Twilio was asked to show what is deleted.
    #[must_use]
    pub fn shows_deleted(&self) -> bool {
        self.verb != Verb::Delete
            && self.target.query.get(Parameter::IncludeSoftDeleted) == Some("true")
    }

    /// What is known of a request for a thing beside its purpose.
    #[must_use]
    pub fn circumstances(&self, media: &MediaRef) -> Vec<Circumstance> {
        let known = [
            (self.reference.is_some(), Circumstance::Reference),
            (self.reason.is_some(), Circumstance::Reason),
            (media.is_redacted(), Circumstance::Redacted),
        ];
        let known = known.into_iter().filter(|(holds, _)| *holds);
        known.map(|(_, circumstance)| circumstance).collect()
    }

    /// Reads the head of a request; `has_body` says whether one follows.
    ///
    /// # Errors
    /// [`BadRequest`] with the first thing that is wrong.
    pub fn read(parts: &Parts, has_body: bool, rules: &Rules) -> Result<Self, BadRequest> {
        let host = head(parts, rules)?;
        let verb = match parts.method {
            Method::GET => Verb::Get,
            Method::HEAD => Verb::Head,
            Method::DELETE => Verb::Delete,
            _ => return Err(BadRequest::Method),
        };
        if has_body || parts.headers.contains_key(TRANSFER_ENCODING) {
            return Err(BadRequest::Body);
        }
        let target = Target::parse(parts.uri.path(), parts.uri.query())?;
        if verb == Verb::Delete && !target.media.row().deletes {
            return Err(BadRequest::NotDeleted);
        }
        let conditions = Conditions::read(&parts.headers)?;
        let purpose = purpose(&parts.headers, target.purpose.as_ref())?;
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self {
            target,
            purpose,
            verb,
            conditions,
            host: host.split(':').next().unwrap_or_default().to_ascii_lowercase(),
            origin: format!("https://{host}"),
            agent: agent.map(str::to_owned),
            reference: stated(&parts.headers, REFERENCE_HEADER)?,
            reason: stated(&parts.headers, REASON_HEADER)?,
        })
    }
}

/// The head of a request that is none for Twilio's media: the host, if the rest is within limits.
///
/// # Errors
/// [`BadRequest`] with the first thing that is wrong.
pub fn head<'a>(parts: &'a Parts, rules: &Rules) -> Result<&'a str, BadRequest> {
    let size: usize =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > rules.header_bytes_max || parts.headers.len() > rules.header_count_max {
        return Err(BadRequest::HeadersTooLarge);
    }
    host(parts, &rules.names)
}

/// The purpose in the header alone.
///
/// # Errors
/// [`BadRequest::Purpose`].
pub fn purpose_header(headers: &HeaderMap) -> Result<Option<Purpose>, BadRequest> {
    purpose(headers, None)
}

/// The reason in the header.
///
/// # Errors
/// [`BadRequest::Stated`].
pub fn reason_header(headers: &HeaderMap) -> Result<Option<String>, BadRequest> {
    stated(headers, REASON_HEADER)
}

/// The host that was asked, if it is one of ours and was named in one way.
///
/// # Errors
/// [`BadRequest::Host`] or [`BadRequest::Misdirected`].
pub fn host<'a>(parts: &'a Parts, names: &[String]) -> Result<&'a str, BadRequest> {
    let mut headers = parts.headers.get_all(HOST).iter();
    let header = match (headers.next(), headers.next()) {
        (header, None) => header.map(|host| host.to_str()).transpose(),
        _ => return Err(BadRequest::Host),
    };
    let header = header.map_err(|_| BadRequest::Host)?;
    let host = match (parts.version, parts.uri.authority()) {
        // HTTP/2 carries the host in the target (RFC 9113, 8.3.1).
        (Version::HTTP_2, Some(authority)) if parts.uri.scheme_str() == Some("https") => {
            let authority = authority.as_str();
            if header.is_some_and(|header| header != authority) {
                return Err(BadRequest::Host);
            }
            authority
        }
        (Version::HTTP_11, None) if parts.uri.scheme().is_none() => {
            header.ok_or(BadRequest::Host)?
        }
        _ => return Err(BadRequest::Host),
    };
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let sound =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if !port.is_none_or(sound) {
        return Err(BadRequest::Host);
    }
    match names.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        true => Ok(host),
        false => Err(BadRequest::Misdirected),
    }
}

fn purpose(headers: &HeaderMap, in_query: Option<&Purpose>) -> Result<Option<Purpose>, BadRequest> {
    let mut values = headers.get_all(PURPOSE_HEADER).iter();
    let in_header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| BadRequest::Purpose)?;
            Some(text.parse::<Purpose>().map_err(|_| BadRequest::Purpose)?)
        }
        _ => return Err(BadRequest::Purpose),
    };
    match (in_header, in_query) {
        (Some(a), Some(b)) if a != *b => Err(BadRequest::Purpose),
        (header, query) => Ok(header.or_else(|| query.cloned())),
    }
}

/// A header in which the caller states something in their own words.
fn stated(headers: &HeaderMap, name: &str) -> Result<Option<String>, BadRequest> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| BadRequest::Stated)?.trim();
            let fits = (1..=STATED_BYTES_MAX).contains(&text.len()) && !text.contains('\t');
            fits.then(|| Some(text.to_owned())).ok_or(BadRequest::Stated)
        }
        _ => Err(BadRequest::Stated),
    }
}
