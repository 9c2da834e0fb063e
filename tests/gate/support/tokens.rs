//! An issuer with an ES256 key, and tokens of every sort, good and bad.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://issuer.test.example/";
pub const AUDIENCE: &str = "noticegate-test";

/// A key of an issuer.
pub struct TokenKey {
    pub id: String,
    pub pem: String,
}

impl TokenKey {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), pem: rcgen::KeyPair::generate().unwrap().serialize_pem() }
    }

    pub fn encoding(&self) -> EncodingKey {
        EncodingKey::from_ec_pem(self.pem.as_bytes()).unwrap()
    }

    pub fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.encoding(), Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        jwk
    }

    pub fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        header
    }

    /// Signs any claims under any header.
    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.encoding()).unwrap()
    }

    /// Signs any claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.header(), claims)
    }

    /// Signs texts that are not what a library would write.
    pub fn sign_raw(&self, header: &str, claims: &str) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = self.encoding();
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256).unwrap();
        format!("{message}.{signature}")
    }
}

pub fn key_set(keys: &[&TokenKey]) -> String {
    serde_json::to_string(&JwkSet { keys: keys.iter().map(|key| key.jwk()).collect() }).unwrap()
}

/// Sound claims: valid from a minute before a time until an hour after it.
pub fn claims(now: jiff::Timestamp, subject: &str, roles: &[&str]) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "roles": roles,
        "nbf": now.as_second() - 60, "exp": now.as_second() + 3600,
    })
}
