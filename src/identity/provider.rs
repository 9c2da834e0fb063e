//! Who somebody is whom an issuer's own sign-in page sent back, by the claims that it told of them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::token::Claims;
use super::{Caller, Identity, Proof, Stranger};

impl Identity {
    /// The caller of whom an issuer says this, with the same id and roles as a token of theirs
    /// gives.
    ///
    /// TRUST: whoever calls this has verified that the issuer says it, to us and now.
    ///
    /// # Errors
    /// [`Stranger`] if the claims tell of nobody, or the issuer is not configured any more.
    pub fn by_claims(
        &self,
        issuer: &str,
        claims: Map<String, Value>,
        until: Timestamp,
    ) -> Result<Arc<Caller>, Stranger> {
        let issuers = self.issuers();
        let issuer = issuers.iter().find(|known| known.settings.name == issuer);
        let issuer = issuer.ok_or(Stranger::UnknownIssuer)?;
        let claims = Claims::verified(claims);
        Ok(Arc::new(Caller {
            id: format!("{}|{}", issuer.settings.name, claims.subject(&issuer.settings)?),
            roles: claims.roles(&issuer.settings, &issuer.roles)?,
            on_behalf_of: None,
            bound_purpose: None,
            default_purpose: issuer.settings.default_purpose.clone(),
            proof: Proof {
                issuer: issuer.settings.issuer.clone(),
                key_id: None,
                token_id: None,
                expires_at: until,
            },
        }))
    }
}
