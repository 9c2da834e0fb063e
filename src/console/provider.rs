//! Signing in at the organisation's own provider: OpenID Connect, by a code (with PKCE, `state` and
//! `nonce`), as the `openidconnect` crate speaks it.
//!
//! What was begun is kept here under the hash of its `state`, for the browser that began it, for a
//! few minutes and for one answer. What the provider tells of somebody becomes a caller in
//! `identity`, with the roles that a token of the same issuer would give.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreGenderClaim, CoreIdToken};
use openidconnect::core::{CoreJwsSigningAlgorithm, CoreTokenResponse};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, AsyncHttpClient, AuthorizationCode, ClientId,
    ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, Scope, SubjectIdentifier, TokenResponse,
    UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::sessions::{BEGUN_SECONDS, Hash, Name, SignOut};
use crate::clock::Clock;
use crate::config::{self, Algorithm};
use crate::upstream::{ProviderClient, ProviderUnreachable};

/// LIMIT: sign-ins that are under way at once; the oldest makes room.
const BEGUN_MAX: usize = 10_000;

/// LIMIT: seconds after which the provider's documents are fetched again.
const DOCUMENTS_SECONDS: i64 = 600;

/// A sign-in that was not one.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignInError {
    /// Nobody began it, not in this browser, too long ago, or it was answered before.
    #[error("this sign-in was not begun here, or was finished before; begin it once more")]
    State,
    /// The provider says that it is somebody else.
    #[error("the answer is not of the provider that was asked")]
    Issuer,
    /// The provider says no.
    #[error("the provider signed nobody in ({0})")]
    Refused(String),
    /// The provider cannot be asked.
    #[error("the provider cannot be asked at the moment")]
    Unreachable,
    /// It does not give a token for the code.
    #[error("the provider does not take the code")]
    Code,
    /// What it says of who signed in does not hold.
    #[error("what the provider says cannot be relied on: {0}")]
    Unsound(&'static str),
}

/// The provider, and the sign-ins that are under way.
#[derive(Debug)]
pub(super) struct Provider {
    issuer: config::Issuer,
    login: config::Login,
    http: Http,
    clock: Clock,
    begun: Mutex<HashMap<Hash, Begun>>,
    documents: tokio::sync::Mutex<Option<(Timestamp, Arc<ProviderMetadataWithLogout>)>>,
}

/// A sign-in that is under way.
#[derive(Debug)]
struct Begun {
    browser: Hash,
    at: Timestamp,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
    to: String,
}

/// What the provider sends a browser back with.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Somebody whom the provider knows.
#[derive(Debug)]
pub(super) struct SignedIn {
    /// What it says of them.
    pub(super) claims: Map<String, Value>,
    /// How to sign out there, too.
    pub(super) sign_out: SignOut,
    /// Where they wanted to go.
    pub(super) to: String,
}

/// All claims that the standard has no name for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Others {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Others {}

#[derive(Clone, Debug)]
struct Http(ProviderClient);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = ProviderUnreachable;
    type Future =
        Pin<Box<dyn Future<Output = Result<HttpResponse, ProviderUnreachable>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.exchange(request))
    }
}

impl Provider {
    pub(super) fn new(
        issuer: config::Issuer,
        login: config::Login,
        http: ProviderClient,
        clock: Clock,
    ) -> Self {
        let (begun, documents) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { issuer, login, http: Http(http), clock, begun, documents }
    }

    /// The short name of the issuer.
    pub(super) fn name(&self) -> &str {
        &self.issuer.name
    }

    /// Begins a sign-in in a browser; returns the provider's page.
    pub(super) async fn begin(
        &self,
        browser: &Name,
        redirect: String,
        to: &str,
    ) -> Result<String, SignInError> {
        let redirect = RedirectUrl::new(redirect);
        let redirect = redirect.map_err(|_| SignInError::Unsound("its way back is no address"))?;
        let documents = self.documents(false).await?;
        let client = CoreClient::from_provider_metadata(
            (*documents).clone(),
            self.client_id(),
            self.client_secret(),
        )
        .set_redirect_uri(redirect.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let scopes = self.login.scopes.iter().filter(|scope| *scope != "openid");
        let (url, state, nonce) = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(scopes.cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        let (browser, to, at) = (browser.hash(), to.to_owned(), self.clock.now());
        let one = Begun { browser, at, nonce, verifier, redirect, to };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.len() >= BEGUN_MAX {
            begun.retain(|_, one| is_fresh(one, at));
        }
        if begun.len() >= BEGUN_MAX
            && let Some(hash) = begun.iter().min_by_key(|(_, one)| one.at).map(|(hash, _)| *hash)
        {
            begun.remove(&hash);
        }
        begun.insert(Hash::of(state.secret().as_bytes()), one);
        Ok(url.into())
    }

    /// Ends a sign-in with what the provider answered to the browser that began it.
    pub(super) async fn end(
        &self,
        browser: Option<&Name>,
        answer: Answer,
    ) -> Result<SignedIn, SignInError> {
        let now = self.clock.now();
        let Begun { nonce, verifier, redirect, to, .. } = self.take(browser, &answer, now)?;
        if answer.iss.is_some_and(|iss| iss != self.issuer.issuer) {
            return Err(SignInError::Issuer);
        }
        if let Some(error) = answer.error {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            let is_word = error.len() <= 40 && error.bytes().all(plain);
            return Err(SignInError::Refused(if is_word { error } else { "error".to_owned() }));
        }
        let code = answer.code.ok_or(SignInError::Code)?;
        let documents = self.documents(false).await?;
        let client = CoreClient::from_provider_metadata(
            (*documents).clone(),
            self.client_id(),
            self.client_secret(),
        )
        .set_redirect_uri(redirect);
        let request = client.exchange_code(AuthorizationCode::new(code));
        let request = request.map_err(|_| SignInError::Unsound("it names no token endpoint"))?;
        let told = request.set_pkce_verifier(verifier).request_async(&self.http).await;
        let told: CoreTokenResponse = told.map_err(|error| match error {
            openidconnect::RequestTokenError::Request(error) => unreachable(&error),
            error => {
                tracing::warn!(%error, "the provider does not take a code");
                SignInError::Code
            }
        })?;
        let id_token = told.id_token().ok_or(SignInError::Unsound("there is no ID token"))?;
        let documents = self.check(id_token, &told, &nonce, documents).await?;
        let mut claims = payload(id_token)?;
        if self.lacks_roles(&claims)
            && let Some(others) = self.user_info(&documents, &claims, told.access_token()).await?
        {
            for (name, value) in others {
                claims.entry(name).or_insert(value);
            }
        }
        let sign_out = SignOut(self.sign_out(&documents, id_token).map(Into::into));
        Ok(SignedIn { claims, sign_out, to })
    }

    /// What was begun under this state, for the one time that it can be asked for.
    fn take(
        &self,
        browser: Option<&Name>,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Begun, SignInError> {
        let state = answer.state.as_deref().ok_or(SignInError::State)?;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let one = begun.remove(&Hash::of(state.as_bytes())).ok_or(SignInError::State)?;
        let same = browser.is_some_and(|name| name.hash() == one.browser);
        if same && is_fresh(&one, now) { Ok(one) } else { Err(SignInError::State) }
    }

    /// That the provider says this, to us, now, and for this sign-in. It may have new keys since
    /// its documents were fetched.
    async fn check(
        &self,
        id_token: &CoreIdToken,
        told: &CoreTokenResponse,
        nonce: &Nonce,
        documents: Arc<ProviderMetadataWithLogout>,
    ) -> Result<Arc<ProviderMetadataWithLogout>, SignInError> {
        match self.verify(id_token, told, nonce, &documents) {
            Ok(()) => Ok(documents),
            Err(_) => {
                let documents = self.documents(true).await?;
                self.verify(id_token, told, nonce, &documents)?;
                Ok(documents)
            }
        }
    }

    fn verify(
        &self,
        id_token: &CoreIdToken,
        told: &CoreTokenResponse,
        nonce: &Nonce,
        documents: &ProviderMetadataWithLogout,
    ) -> Result<(), SignInError> {
        let client = CoreClient::from_provider_metadata(
            documents.clone(),
            self.client_id(),
            self.client_secret(),
        );
        let clock = self.clock.clone();
        let now = move || {
            let now = clock.now();
            chrono::DateTime::from_timestamp(now.as_second(), 0).unwrap_or_default()
        };
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(self.issuer.algorithms.iter().map(|algorithm| named(*algorithm)))
            .set_time_fn(now);
        let unsound = |error: &dyn std::error::Error, what: &'static str| {
            tracing::warn!(error = %error, "{what}");
            SignInError::Unsound(what)
        };
        let claims = id_token.claims(&verifier, nonce);
        let claims = claims.map_err(|error| unsound(&error, "the ID token is not valid"))?;
        if let Some(expected) = claims.access_token_hash() {
            let what = "the access token is not the ID token's";
            let algorithm = id_token.signing_alg().map_err(|error| unsound(&error, what))?;
            let key = id_token.signing_key(&verifier).map_err(|error| unsound(&error, what))?;
            let hash = AccessTokenHash::from_token(told.access_token(), algorithm, key);
            if hash.map_err(|error| unsound(&error, what))? != *expected {
                return Err(SignInError::Unsound(what));
            }
        }
        Ok(())
    }

    fn lacks_roles(&self, claims: &Map<String, Value>) -> bool {
        let name = &self.issuer.roles_claim;
        let first = name.split('.').next().unwrap_or(name);
        !claims.contains_key(name) && !claims.contains_key(first)
    }

    /// What the provider tells only to who asks for it: many keep roles out of ID tokens.
    async fn user_info(
        &self,
        documents: &ProviderMetadataWithLogout,
        claims: &Map<String, Value>,
        token: &AccessToken,
    ) -> Result<Option<Map<String, Value>>, SignInError> {
        if documents.userinfo_endpoint().is_none() {
            return Ok(None);
        }
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let client = CoreClient::from_provider_metadata(documents.clone(), self.client_id(), None);
        let subject = Some(SubjectIdentifier::new(subject.to_owned()));
        let request = client.user_info(token.clone(), subject);
        let request = request.map_err(|_| SignInError::Unsound("it names no user info"))?;
        let told = request.request_async(&self.http).await;
        let told: UserInfoClaims<Others, CoreGenderClaim> = told.map_err(|error| {
            tracing::warn!(%error, "the provider tells nothing of who signed in");
            SignInError::Unsound("it does not tell who signed in")
        })?;
        match serde_json::to_value(&told) {
            Ok(Value::Object(told)) => Ok(Some(told)),
            _ => Ok(None),
        }
    }

    fn sign_out(
        &self,
        documents: &ProviderMetadataWithLogout,
        id_token: &CoreIdToken,
    ) -> Option<String> {
        let endpoint = documents.additional_metadata().end_session_endpoint.clone()?;
        if endpoint.url().scheme() != "https" {
            return None;
        }
        let mut request = LogoutRequest::from(endpoint)
            .set_id_token_hint(id_token)
            .set_client_id(self.client_id());
        if let Some(url) = &self.login.signed_out_url {
            let url = PostLogoutRedirectUrl::new(url.clone()).ok()?;
            request = request.set_post_logout_redirect_uri(url);
        }
        Some(request.http_get_url().into())
    }

    /// The provider's own description and keys.
    async fn documents(
        &self,
        afresh: bool,
    ) -> Result<Arc<ProviderMetadataWithLogout>, SignInError> {
        let now = self.clock.now();
        let mut known = self.documents.lock().await;
        if let Some((at, documents)) = &*known
            && !afresh
            && now.duration_since(*at).as_secs().abs() < DOCUMENTS_SECONDS
        {
            return Ok(Arc::clone(documents));
        }
        let issuer = IssuerUrl::new(self.issuer.issuer.clone());
        let issuer = issuer.map_err(|_| SignInError::Unsound("its address is none"))?;
        let found = ProviderMetadataWithLogout::discover_async(issuer, &self.http).await;
        let found = Arc::new(found.map_err(|error| unreachable(&error))?);
        *known = Some((now, Arc::clone(&found)));
        Ok(found)
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.login.client_id.clone().unwrap_or_default())
    }

    fn client_secret(&self) -> Option<ClientSecret> {
        let secret = self.login.client_secret.as_ref()?;
        Some(ClientSecret::new(secret.expose().to_owned()))
    }
}

fn is_fresh(one: &Begun, now: Timestamp) -> bool {
    now.duration_since(one.at).as_secs().abs() < BEGUN_SECONDS
}

fn unreachable(error: &dyn std::error::Error) -> SignInError {
    let source = error.source().map(ToString::to_string);
    tracing::warn!(error = %error, source, "the provider cannot be asked");
    SignInError::Unreachable
}

/// All that a verified ID token says.
fn payload(id_token: &CoreIdToken) -> Result<Map<String, Value>, SignInError> {
    let text = id_token.to_string();
    let middle = text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = middle.and_then(|json| serde_json::from_slice(&json).ok());
    claims.ok_or(SignInError::Unsound("the ID token cannot be read"))
}

fn named(algorithm: Algorithm) -> CoreJwsSigningAlgorithm {
    match algorithm {
        Algorithm::ES256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        Algorithm::ES384 => CoreJwsSigningAlgorithm::EcdsaP384Sha384,
        Algorithm::RS256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        Algorithm::RS384 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
        Algorithm::RS512 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
        Algorithm::PS256 => CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        Algorithm::PS384 => CoreJwsSigningAlgorithm::RsaSsaPssSha384,
        Algorithm::PS512 => CoreJwsSigningAlgorithm::RsaSsaPssSha512,
        Algorithm::EdDSA => CoreJwsSigningAlgorithm::EdDsa,
    }
}
