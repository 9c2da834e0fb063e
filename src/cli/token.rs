//! `noticegate token`: signs a bearer token with a key at hand, for development and for trying.

use std::path::PathBuf;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::{Exit, complain, say};
use crate::clock::Clock;

/// Sign a bearer token with an ES256 key, for development
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:\n  noticegate token --key noticegate-demo/issuer/key.pem --issuer https://issuer.demo.example \\\n    \
--audience noticegate --subject ana --role quality-analyst\n\n\
In production tokens come from your identity provider; this command is for desks and tests.")]
pub(super) struct Token {
    /// The private key, PEM (PKCS#8, P-256)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The `kid` header, if the issuer's key set names its keys
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// The `iss` claim
    #[arg(long)]
    issuer: String,
    /// The `aud` claim
    #[arg(long)]
    audience: String,
    /// The `sub` claim
    #[arg(long)]
    subject: String,
    /// A value of the `roles` claim; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// How long it is valid, in minutes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=1440))]
    minutes: i64,
}

impl Token {
    pub(super) fn run(&self) -> Exit {
        let pem = match std::fs::read(&self.key) {
            Ok(pem) => pem,
            Err(error) => {
                complain(&error);
                return Exit::Invalid;
            }
        };
        let seconds = self.minutes * 60;
        let claims = Claims { subject: &self.subject, roles: &self.roles, seconds };
        let signer = Signer {
            key_pem: &pem,
            key_id: self.key_id.as_deref(),
            issuer: &self.issuer,
            audience: &self.audience,
        };
        match signer.sign(&claims, &Clock::system()) {
            Ok(token) => {
                say(token);
                Exit::Done
            }
            Err(error) => {
                complain(&error);
                Exit::Invalid
            }
        }
    }
}

/// Who signs.
pub(super) struct Signer<'a> {
    pub(super) key_pem: &'a [u8],
    pub(super) key_id: Option<&'a str>,
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
}

/// What is signed.
pub(super) struct Claims<'a> {
    pub(super) subject: &'a str,
    pub(super) roles: &'a [String],
    pub(super) seconds: i64,
}

impl Signer<'_> {
    pub(super) fn sign(
        &self,
        claims: &Claims<'_>,
        clock: &Clock,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = clock.now().as_second();
        let json = json!({
            "iss": self.issuer, "aud": self.audience, "sub": claims.subject,
            "nbf": now, "exp": now + claims.seconds, "roles": claims.roles,
            "jti": uuid::Uuid::new_v4().to_string(),
        });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = self.key_id.map(str::to_owned);
        jsonwebtoken::encode(&header, &json, &EncodingKey::from_ec_pem(self.key_pem)?)
    }
}
