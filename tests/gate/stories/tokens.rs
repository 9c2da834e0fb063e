//! Who asks must be proven: forged, stale and malformed tokens get nothing, not even a look at
//! upstream, and sound ones get what they say and no more.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::tokens::{self, AUDIENCE, ISSUER};
use crate::support::world::{bodiless, of_kind};
use crate::support::{ACCOUNT, Client, TokenKey, World, WorldSettings, path};

/// LIMIT: the default of `limits.token_bytes_max`.
const TOKEN_BYTES_MAX: usize = 8192;
/// LIMIT: the default of `issuer.lifetime_max_seconds`.
const LIFETIME_MAX: i64 = 86_400;
/// LIMIT: the longest subject.
const SUBJECT_BYTES_MAX: usize = 256;
/// The default of `issuer.leeway_seconds`.
const LEEWAY: i64 = 30;

// What is said of a token that is refused.
const NOT_THREE_PARTS: &str = "the token is malformed: not three parts";
const NOT_BASE64URL: &str = "the token is malformed: a part is not base64url";
const HEADER_UNSOUND: &str = "the token is malformed: the header is not sound JSON";
const NO_SOUND_ISSUER: &str = "the token is malformed: no issuer in sound JSON";
const CRITICAL: &str = "the token is malformed: critical extensions are not supported";
const OTHER_TYPE: &str = "the token is malformed: of another type than JWT";
const CLAIM_MISSING: &str = "the token is malformed: a required claim is missing";
const CLAIM_WRONG: &str = "the token is malformed: a claim is missing or of the wrong kind";
const OUT_OF_RANGE: &str = "the token is malformed: a time is out of range";
const NO_SUBJECT: &str = "the token is malformed: no usable subject";
const NO_ROLES: &str = "the token is malformed: the roles claim is not a list of texts";
const NO_PURPOSE: &str = "the token is malformed: the purpose claim is not a purpose";
const TOO_LONG: &str = "the token is malformed: longer than the configured limit";
const ALGORITHM: &str = "the token's algorithm is not accepted";
const UNKNOWN_ISSUER: &str = "the token's issuer is not known here";
const UNKNOWN_KEY: &str = "the token is signed with a key that its issuer does not publish";
const BAD_SIGNATURE: &str = "the token's signature is not valid";
const AUDIENCE_OF_OTHERS: &str = "the token is for another audience";
const EXPIRED: &str = "the token has expired";
const NOT_YET: &str = "the token is not valid yet";
const LIVES_TOO_LONG: &str = "the token's lifetime is longer than is accepted";
const NO_TOKEN: &str = "a bearer token is needed";
const TWO_TOKENS: &str = "more than one Authorization header";
const OTHER_SCHEME: &str = "only bearer tokens are accepted";

/// Everything a forger may have: every public key, a key of their own, sound tokens of others,
/// and (so that each rule is tried alone) an issuer who signs whatever they are given.
struct Forger<'a> {
    world: &'a World,
    evil: TokenKey,
    p384: EncodingKey,
    rsa: EncodingKey,
}

impl<'a> Forger<'a> {
    /// A forger, and a gate whose issuer publishes four keys, two of them of kinds that it does
    /// not allow.
    fn new(world: &'a World) -> Self {
        let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap().serialize_pem();
        let forger = Self {
            world,
            evil: TokenKey::new("evil-key"),
            p384: EncodingKey::from_ec_pem(p384.as_bytes()).unwrap(),
            rsa: EncodingKey::from_rsa_pem(rsa.as_bytes()).unwrap(),
        };
        let named = |key: &EncodingKey, algorithm, id: &str| {
            let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
            jwk.common.key_id = Some(id.to_owned());
            jwk
        };
        let keys = vec![
            world.key.jwk(),
            TokenKey::new("key-2").jwk(),
            named(&forger.p384, Algorithm::ES384, "key-p384"),
            named(&forger.rsa, Algorithm::RS256, "key-rsa"),
        ];
        let set = serde_json::to_string(&JwkSet { keys }).unwrap();
        std::fs::write(world.folder.join("jwks.json"), set).unwrap();
        forger
    }

    fn now(&self) -> i64 {
        self.world.clock.now().as_second()
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "JWT", "kid": self.world.key.id })
    }

    fn claims(&self) -> Value {
        tokens::claims(self.world.clock.now(), "ana", &["quality-analyst"])
    }

    /// The issuer's signature on any two texts.
    fn seal(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        seal(&self.world.key.encoding(), Algorithm::ES256, header, claims)
    }

    fn good(&self) -> String {
        self.seal(self.header().to_string(), self.claims().to_string())
    }

    /// A sound token but for one claim.
    fn claim(&self, name: &str, value: impl Into<Value>) -> String {
        let mut claims = self.claims();
        claims[name] = value.into();
        self.seal(self.header().to_string(), claims.to_string())
    }

    /// A sound token but for claims that only JSON as a text can express.
    fn claim_text(&self, name: &str, text: &str) -> String {
        let mut claims = self.claims();
        claims[name] = "HERE".into();
        self.seal(self.header().to_string(), claims.to_string().replace("\"HERE\"", text))
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name).unwrap();
        self.seal(self.header().to_string(), claims.to_string())
    }

    /// A sound token but for one parameter of its header.
    fn head(&self, name: &str, value: impl Into<Value>) -> String {
        let mut header = self.header();
        header[name] = value.into();
        self.seal(header.to_string(), self.claims().to_string())
    }

    fn header_text(&self, header: &str) -> String {
        self.seal(header, self.claims().to_string())
    }

    fn claims_text(&self, claims: impl AsRef<[u8]>) -> String {
        self.seal(self.header().to_string(), claims)
    }

    /// Sound claims under a header of the forger's, with the forger's own signature.
    fn by_evil(&self, header: &Value) -> String {
        let claims = self.claims().to_string();
        seal(&self.evil.encoding(), Algorithm::ES256, header.to_string(), claims)
    }

    /// Sound claims with a MAC whose secret everybody knows.
    fn mac(&self, secret: &str) -> String {
        let mut header = self.header();
        header["alg"] = "HS256".into();
        let key = EncodingKey::from_secret(secret.as_bytes());
        seal(&key, Algorithm::HS256, header.to_string(), self.claims().to_string())
    }

    fn unsigned(&self, algorithm: &str) -> String {
        let mut header = self.header();
        header["alg"] = algorithm.into();
        format!("{}.{}.", encode(header.to_string()), encode(self.claims().to_string()))
    }

    /// A sound token with another signature; `change` gets the one it had.
    fn signature(&self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
        let good = self.good();
        let (message, signature) = good.rsplit_once('.').unwrap();
        format!("{message}.{}", encode(change(URL_SAFE_NO_PAD.decode(signature).unwrap())))
    }

    /// A sound token with its last part spelt otherwise.
    fn respelt(&self, spell: impl FnOnce(&str) -> String) -> String {
        let good = self.good();
        let (message, signature) = good.rsplit_once('.').unwrap();
        format!("{message}.{}", spell(signature))
    }

    /// A sound token of exactly so many bytes.
    fn of_length(&self, bytes: usize) -> String {
        let mut claims = self.claims();
        // A byte of header adds 4/3 of a character; together with one of the claims every length
        // can be made.
        for extra in 0..3 {
            let mut header = self.header();
            header["x"] = "x".repeat(extra).into();
            claims["pad"] = "".into();
            let bare = self.seal(header.to_string(), claims.to_string()).len();
            let near = (bytes - bare) * 3 / 4;
            for pad in near.saturating_sub(4)..near + 4 {
                claims["pad"] = "x".repeat(pad).into();
                let token = self.seal(header.to_string(), claims.to_string());
                if token.len() == bytes {
                    return token;
                }
            }
        }
        panic!("no token of {bytes} bytes can be made");
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn seal(
    key: &EncodingKey,
    algorithm: Algorithm,
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// The other spelling of an ECDSA signature: a DER sequence of two integers.
fn der(signature: &[u8]) -> Vec<u8> {
    let mut inner = Vec::new();
    for number in [&signature[..32], &signature[32..]] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut number = number[zeros..].to_vec();
        if number[0] >= 0x80 {
            number.insert(0, 0);
        }
        inner.extend([2, u8::try_from(number.len()).unwrap()]);
        inner.extend(number);
    }
    let mut outer = vec![0x30, u8::try_from(inner.len()).unwrap()];
    outer.extend(inner);
    outer
}

/// Nested lists deeper than any parser should follow.
fn deep() -> String {
    format!("{}{}", "[".repeat(1000), "]".repeat(1000))
}

/// The table of tokens that prove nothing: what they are, how they are made, what is said of them.
type Row = (&'static str, fn(&Forger<'_>) -> String, &'static str);

const FORGERIES: &[Row] = &[
    // The algorithm is the issuer's choice, not the token's.
    ("alg none", |f| f.unsigned("none"), ALGORITHM),
    ("alg None", |f| f.unsigned("None"), ALGORITHM),
    ("alg NONE", |f| f.unsigned("NONE"), ALGORITHM),
    ("alg none with a sound signature", |f| f.head("alg", "none"), ALGORITHM),
    ("alg in small letters", |f| f.head("alg", "es256"), ALGORITHM),
    ("alg empty", |f| f.head("alg", ""), ALGORITHM),
    ("alg null", |f| f.head("alg", Value::Null), HEADER_UNSOUND),
    ("alg a list", |f| f.head("alg", json!(["ES256"])), HEADER_UNSOUND),
    ("no alg", |f| f.header_text(r#"{"kid":"key-1"}"#), HEADER_UNSOUND),
    ("ES256 said to be ES384", |f| f.head("alg", "ES384"), ALGORITHM),
    ("ES256 said to be EdDSA", |f| f.head("alg", "EdDSA"), ALGORITHM),
    ("a MAC with the public key's PEM", |f| f.mac(&pem(&f.world.key)), ALGORITHM),
    (
        "a MAC with the public key's JWK",
        |f| f.mac(&serde_json::to_string(&f.world.key.jwk()).unwrap()),
        ALGORITHM,
    ),
    ("a MAC with nothing", |f| f.mac(""), ALGORITHM),
    (
        "RS256 of a published key",
        |f| {
            let header = json!({ "alg": "RS256", "kid": "key-rsa" });
            seal(&f.rsa, Algorithm::RS256, header.to_string(), f.claims().to_string())
        },
        ALGORITHM,
    ),
    (
        "ES384 of a published key",
        |f| {
            let header = json!({ "alg": "ES384", "kid": "key-p384" });
            seal(&f.p384, Algorithm::ES384, header.to_string(), f.claims().to_string())
        },
        ALGORITHM,
    ),
    (
        "ES256 that names a published key of another kind",
        |f| f.head("kid", "key-p384"),
        UNKNOWN_KEY,
    ),
    // The key is one that the issuer publishes.
    ("another key under the right name", |f| f.by_evil(&f.header()), BAD_SIGNATURE),
    (
        "another key under its own name",
        |f| f.by_evil(&json!({ "alg": "ES256", "kid": "evil-key" })),
        UNKNOWN_KEY,
    ),
    ("the issuer's other key named", |f| f.head("kid", "key-2"), BAD_SIGNATURE),
    ("kid in other letters", |f| f.head("kid", "KEY-1"), UNKNOWN_KEY),
    ("kid empty", |f| f.head("kid", ""), UNKNOWN_KEY),
    ("kid a path", |f| f.head("kid", "../../../../dev/null"), UNKNOWN_KEY),
    ("kid a number", |f| f.head("kid", 1), HEADER_UNSOUND),
    ("kid null, and several keys", |f| f.head("kid", Value::Null), UNKNOWN_KEY),
    ("no kid, and several keys", |f| f.header_text(r#"{"alg":"ES256"}"#), UNKNOWN_KEY),
    (
        "its own key in jwk",
        |f| {
            let jwk = serde_json::to_value(f.evil.jwk()).unwrap();
            f.by_evil(&json!({ "alg": "ES256", "kid": "evil-key", "jwk": jwk }))
        },
        UNKNOWN_KEY,
    ),
    (
        "its own key in jwk, under the right name",
        |f| {
            let mut jwk = serde_json::to_value(f.evil.jwk()).unwrap();
            jwk["kid"] = "key-1".into();
            f.by_evil(&json!({ "alg": "ES256", "kid": "key-1", "jwk": jwk }))
        },
        BAD_SIGNATURE,
    ),
    (
        "its own key set in jku",
        |f| {
            let jku = format!("https://localhost:{}/evil", f.world.standin.address().port());
            f.by_evil(&json!({ "alg": "ES256", "kid": "evil-key", "jku": jku }))
        },
        UNKNOWN_KEY,
    ),
    (
        "its own certificate in x5u",
        |f| {
            let x5u = format!("https://localhost:{}/evil", f.world.standin.address().port());
            f.by_evil(&json!({ "alg": "ES256", "kid": "key-1", "x5u": x5u }))
        },
        BAD_SIGNATURE,
    ),
    (
        "its own certificate in x5c",
        |f| {
            let issued = f.world.authority.issue(&["evil.example"]).unwrap().certificate;
            let x5c = issued.lines().filter(|line| !line.starts_with('-')).collect::<String>();
            f.by_evil(&json!({ "alg": "ES256", "kid": "key-1", "x5c": [x5c] }))
        },
        BAD_SIGNATURE,
    ),
    // The signature is of these very bytes.
    ("no signature", |f| f.signature(|_| Vec::new()), BAD_SIGNATURE),
    ("a signature of zeros", |f| f.signature(|_| vec![0; 64]), BAD_SIGNATURE),
    ("a signature of ones", |f| f.signature(|_| vec![0xff; 64]), BAD_SIGNATURE),
    ("half a signature", |f| f.signature(|s| s[..32].to_vec()), BAD_SIGNATURE),
    ("a signature cut by a byte", |f| f.signature(|s| s[..63].to_vec()), BAD_SIGNATURE),
    ("a signature with a byte more", |f| f.signature(|s| [&s[..], &[0]].concat()), BAD_SIGNATURE),
    ("a signature twice", |f| f.signature(|s| [&s[..], &s[..]].concat()), BAD_SIGNATURE),
    ("a signature in DER", |f| f.signature(|s| der(&s)), BAD_SIGNATURE),
    ("r and s changed over", |f| f.signature(|s| [&s[32..], &s[..32]].concat()), BAD_SIGNATURE),
    (
        "the signature of another token",
        |f| {
            let other = f.claim("sub", "evil-twin");
            f.respelt(|_| other.rsplit_once('.').unwrap().1.to_owned())
        },
        BAD_SIGNATURE,
    ),
    (
        "the claims of another token",
        |f| {
            let (good, other) = (f.good(), f.claim("sub", "evil-twin"));
            let [good, other] = [&good, &other].map(|t| t.split('.').collect::<Vec<_>>());
            [good[0], other[1], good[2]].join(".")
        },
        BAD_SIGNATURE,
    ),
    (
        "the header of another token",
        |f| {
            let (good, other) = (f.good(), f.head("x", "evil"));
            let [good, other] = [&good, &other].map(|t| t.split('.').collect::<Vec<_>>());
            [other[0], good[1], good[2]].join(".")
        },
        BAD_SIGNATURE,
    ),
    // It is spelt in the one way there is.
    ("one part", |f| f.good().replace('.', ""), NOT_THREE_PARTS),
    ("two parts", |f| f.good().rsplit_once('.').unwrap().0.to_owned(), NOT_THREE_PARTS),
    ("four parts", |f| format!("{}.", f.good()), NOT_THREE_PARTS),
    (
        "five parts: a JWE",
        |_| {
            let header = json!({ "alg": "dir", "enc": "A256GCM", "kid": "key-1" }).to_string();
            let parts = [b"", &b"twelve bytes"[..], b"sealed", b"sixteen byte tag"].map(encode);
            format!("{}.{}", encode(header), parts.join("."))
        },
        NOT_THREE_PARTS,
    ),
    ("only dots", |_| "..".to_owned(), HEADER_UNSOUND),
    ("an empty header", |f| f.header_text(""), HEADER_UNSOUND),
    ("empty claims", |f| f.claims_text(""), NO_SOUND_ISSUER),
    ("padding", |f| f.respelt(|s| format!("{s}==")), NOT_BASE64URL),
    (
        "the alphabet of plain base64",
        |f| {
            // Both alphabets agree on most signatures' letters, so one is made where they do not.
            let differs = |s: &str| s.contains(['-', '_']);
            let plain = |s: &[u8]| STANDARD_NO_PAD.encode(s);
            let token = (0..).map(|_| f.good()).find(|t| differs(t.rsplit('.').next().unwrap()));
            let token = token.unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            format!("{message}.{}", plain(&URL_SAFE_NO_PAD.decode(signature).unwrap()))
        },
        NOT_BASE64URL,
    ),
    (
        "bits after the end of the signature",
        |f| {
            // 64 bytes leave four bits of the last letter unused; A, Q, g and w have them zero.
            f.respelt(|s| {
                let (rest, last) = s.split_at(s.len() - 1);
                let other = match last {
                    "A" => "B",
                    "Q" => "R",
                    "g" => "h",
                    "w" => "x",
                    other => panic!("`{other}` ends no signature of 64 bytes"),
                };
                format!("{rest}{other}")
            })
        },
        NOT_BASE64URL,
    ),
    ("a blank inside", |f| f.respelt(|s| format!("{} {}", &s[..9], &s[9..])), NOT_BASE64URL),
    ("a tab inside", |f| f.respelt(|s| format!("{}\t{}", &s[..9], &s[9..])), NOT_BASE64URL),
    ("a blank before a dot", |f| f.good().replacen('.', " .", 1), NOT_BASE64URL),
    ("a percent-encoded dot", |f| f.good().replacen('.', "%2E", 1), NOT_THREE_PARTS),
    ("quotes around it", |f| format!("\"{}\"", f.good()), NOT_BASE64URL),
    ("a comma after it", |f| format!("{},", f.good()), NOT_BASE64URL),
    ("longer than the limit", |f| f.of_length(TOKEN_BYTES_MAX + 1), TOO_LONG),
    ("longer than the limit, and no token", |_| "A".repeat(TOKEN_BYTES_MAX + 1), TOO_LONG),
    // Its JSON can be read in one way only.
    ("a header that is not JSON", |f| f.header_text("alg=ES256"), HEADER_UNSOUND),
    (
        "a header with a byte order mark",
        |f| f.header_text("\u{feff}{\"alg\":\"ES256\",\"kid\":\"key-1\"}"),
        HEADER_UNSOUND,
    ),
    (
        "alg twice, the good one last",
        |f| f.header_text(r#"{"alg":"none","alg":"ES256","kid":"key-1"}"#),
        HEADER_UNSOUND,
    ),
    (
        "alg twice, the good one first",
        |f| f.header_text(r#"{"alg":"ES256","alg":"none","kid":"key-1"}"#),
        HEADER_UNSOUND,
    ),
    (
        "alg twice, once in escapes",
        |f| f.header_text(r#"{"alg":"ES256","\u0061lg":"none","kid":"key-1"}"#),
        HEADER_UNSOUND,
    ),
    (
        "kid twice",
        |f| f.header_text(r#"{"alg":"ES256","kid":"evil","kid":"key-1"}"#),
        HEADER_UNSOUND,
    ),
    (
        "typ twice",
        |f| f.header_text(r#"{"alg":"ES256","kid":"key-1","typ":"dpop+jwt","typ":"JWT"}"#),
        HEADER_UNSOUND,
    ),
    (
        "a header with something after it",
        |f| f.header_text(r#"{"alg":"ES256","kid":"key-1"} {}"#),
        HEADER_UNSOUND,
    ),
    (
        "a header nested too deep",
        |f| f.header_text(&format!(r#"{{"alg":"ES256","kid":"key-1","x":{}}}"#, deep())),
        CLAIM_WRONG,
    ),
    ("claims that are not JSON", |f| f.claims_text("sub=ana"), NO_SOUND_ISSUER),
    (
        "claims that are not UTF-8",
        |f| {
            let mut claims = f.claims().to_string().replace("ana", "an?").into_bytes();
            claims.iter_mut().filter(|byte| **byte == b'?').for_each(|byte| *byte = 0xff);
            f.claims_text(claims)
        },
        CLAIM_WRONG,
    ),
    ("claims that are a text", |f| f.claims_text(r#""ana""#), NO_SOUND_ISSUER),
    ("claims that are null", |f| f.claims_text("null"), NO_SOUND_ISSUER),
    ("claims that are an empty list", |f| f.claims_text("[]"), NO_SOUND_ISSUER),
    (
        "claims with something after them",
        |f| f.claims_text(format!("{}{{}}", f.claims())),
        NO_SOUND_ISSUER,
    ),
    ("claims nested too deep", |f| f.claim_text("x", &deep()), CLAIM_WRONG),
    ("iss twice", |f| f.claim_text("x", &format!(r#"1,"iss":"{ISSUER}""#)), NO_SOUND_ISSUER),
    (
        "iss twice, once another's",
        |f| f.claim_text("x", r#"1,"\u0069ss":"https://evil.example/""#),
        NO_SOUND_ISSUER,
    ),
    ("aud twice", |f| f.claim_text("x", r#"1,"aud":"evil""#), CLAIM_WRONG),
    ("exp twice", |f| f.claim_text("x", r#"1,"exp":9999999999"#), CLAIM_WRONG),
    ("nbf twice", |f| f.claim_text("x", r#"1,"nbf":1"#), CLAIM_WRONG),
    ("sub twice", |f| f.claim_text("x", r#"1,"sub":"evil""#), CLAIM_WRONG),
    // It is an access token and nothing else.
    ("typ of a DPoP proof", |f| f.head("typ", "dpop+jwt"), OTHER_TYPE),
    ("typ of a logout token", |f| f.head("typ", "logout+jwt"), OTHER_TYPE),
    ("typ of a security event", |f| f.head("typ", "application/secevent+jwt"), OTHER_TYPE),
    ("typ JWE", |f| f.head("typ", "JWE"), OTHER_TYPE),
    ("typ empty", |f| f.head("typ", ""), OTHER_TYPE),
    ("typ a number", |f| f.head("typ", 1), HEADER_UNSOUND),
    ("crit", |f| f.head("crit", json!(["exp"])), CRITICAL),
    (
        "crit of an unencoded payload",
        |f| f.header_text(r#"{"alg":"ES256","kid":"key-1","b64":false,"crit":["b64"]}"#),
        CRITICAL,
    ),
    ("crit empty", |f| f.head("crit", json!([])), CRITICAL),
    // Its issuer is ours, byte for byte.
    ("no iss", |f| f.without_claim("iss"), NO_SOUND_ISSUER),
    ("iss null", |f| f.claim("iss", Value::Null), NO_SOUND_ISSUER),
    ("iss a list with ours", |f| f.claim("iss", json!([ISSUER])), NO_SOUND_ISSUER),
    ("iss another's", |f| f.claim("iss", "https://evil.example/"), UNKNOWN_ISSUER),
    ("iss without its slash", |f| f.claim("iss", ISSUER.trim_end_matches('/')), UNKNOWN_ISSUER),
    ("iss with a slash more", |f| f.claim("iss", format!("{ISSUER}/")), UNKNOWN_ISSUER),
    ("iss in capitals", |f| f.claim("iss", ISSUER.to_uppercase()), UNKNOWN_ISSUER),
    ("iss our short name for it", |f| f.claim("iss", "test"), UNKNOWN_ISSUER),
    ("iss empty", |f| f.claim("iss", ""), UNKNOWN_ISSUER),
    // It is meant for us.
    ("no aud", |f| f.without_claim("aud"), CLAIM_MISSING),
    ("aud null", |f| f.claim("aud", Value::Null), CLAIM_MISSING),
    ("aud another's", |f| f.claim("aud", "evil"), AUDIENCE_OF_OTHERS),
    ("aud a list of others", |f| f.claim("aud", json!(["evil", "other"])), AUDIENCE_OF_OTHERS),
    ("aud an empty list", |f| f.claim("aud", json!([])), AUDIENCE_OF_OTHERS),
    ("aud empty", |f| f.claim("aud", ""), AUDIENCE_OF_OTHERS),
    ("aud in capitals", |f| f.claim("aud", AUDIENCE.to_uppercase()), AUDIENCE_OF_OTHERS),
    ("aud with more after it", |f| f.claim("aud", format!("{AUDIENCE}-2")), AUDIENCE_OF_OTHERS),
    ("aud two in one text", |f| f.claim("aud", format!("evil {AUDIENCE}")), AUDIENCE_OF_OTHERS),
    ("aud a number", |f| f.claim("aud", 1), CLAIM_MISSING),
    ("aud an object", |f| f.claim("aud", json!({ AUDIENCE: true })), CLAIM_MISSING),
    ("aud a list of more than texts", |f| f.claim("aud", json!([AUDIENCE, 1])), CLAIM_MISSING),
    ("aud a list in a list", |f| f.claim("aud", json!([[AUDIENCE]])), CLAIM_MISSING),
    // Its times are numbers, and it is now between them.
    ("no exp", |f| f.without_claim("exp"), CLAIM_WRONG),
    ("exp null", |f| f.claim("exp", Value::Null), CLAIM_WRONG),
    ("exp a text", |f| f.claim("exp", (f.now() + 3600).to_string()), CLAIM_WRONG),
    ("exp a date", |f| f.claim("exp", "2026-11-23T13:00:00Z"), CLAIM_WRONG),
    ("exp a list", |f| f.claim("exp", json!([f.now() + 3600])), CLAIM_WRONG),
    ("exp true", |f| f.claim("exp", true), CLAIM_WRONG),
    ("exp NaN", |f| f.claim_text("exp", "NaN"), NO_SOUND_ISSUER),
    ("exp Infinity", |f| f.claim_text("exp", "Infinity"), NO_SOUND_ISSUER),
    ("exp larger than any number", |f| f.claim_text("exp", "1e999"), CLAIM_WRONG),
    ("exp very large", |f| f.claim_text("exp", "1e300"), CLAIM_MISSING),
    ("exp of the year 10000", |f| f.claim("exp", 253_402_300_800_i64), OUT_OF_RANGE),
    ("exp more than 64 bits", |f| f.claim_text("exp", "18446744073709551616"), CLAIM_MISSING),
    ("exp the largest of 64 bits", |f| f.claim("exp", u64::MAX), OUT_OF_RANGE),
    ("exp before 1970", |f| f.claim("exp", -1), CLAIM_MISSING),
    ("exp the smallest of 64 bits", |f| f.claim("exp", i64::MIN), CLAIM_MISSING),
    ("exp 0", |f| f.claim("exp", 0), EXPIRED),
    ("exp minus 0", |f| f.claim_text("exp", "-0"), EXPIRED),
    ("exp in milliseconds", |f| f.claim("exp", (f.now() + 3600) * 1000), OUT_OF_RANGE),
    ("exp as long past as is forgiven", |f| f.claim("exp", f.now() - LEEWAY), EXPIRED),
    ("exp long past", |f| f.claim("exp", f.now() - 3600), EXPIRED),
    ("no nbf", |f| f.without_claim("nbf"), CLAIM_WRONG),
    ("nbf null", |f| f.claim("nbf", Value::Null), CLAIM_WRONG),
    ("nbf a text", |f| f.claim("nbf", (f.now() - 60).to_string()), CLAIM_WRONG),
    ("nbf before 1970", |f| f.claim("nbf", -1), CLAIM_MISSING),
    ("nbf later than is forgiven", |f| f.claim("nbf", f.now() + LEEWAY + 1), NOT_YET),
    ("nbf larger than any time", |f| f.claim_text("nbf", "1e15"), OUT_OF_RANGE),
    (
        "a life longer than allowed by a second",
        |f| f.claim("exp", f.now() - 60 + LIFETIME_MAX + 1),
        LIVES_TOO_LONG,
    ),
    ("a life since 1970", |f| f.claim("nbf", 0), LIVES_TOO_LONG),
    (
        "an end before its beginning",
        |f| {
            let mut claims = f.claims();
            claims["exp"] = (f.now() - 1).into();
            claims["nbf"] = (f.now() + 1).into();
            f.claims_text(claims.to_string())
        },
        LIVES_TOO_LONG,
    ),
    // It says of whom it speaks.
    ("no sub", |f| f.without_claim("sub"), NO_SUBJECT),
    ("sub null", |f| f.claim("sub", Value::Null), NO_SUBJECT),
    ("sub empty", |f| f.claim("sub", ""), NO_SUBJECT),
    ("sub a number", |f| f.claim("sub", 42), NO_SUBJECT),
    ("sub a list", |f| f.claim("sub", json!(["ana"])), CLAIM_WRONG),
    ("sub too long", |f| f.claim("sub", "a".repeat(SUBJECT_BYTES_MAX + 1)), NO_SUBJECT),
    (
        "sub too long in bytes",
        |f| f.claim("sub", "\u{e4}".repeat(SUBJECT_BYTES_MAX / 2 + 1)),
        NO_SUBJECT,
    ),
    ("sub with a line break", |f| f.claim("sub", "ana\nevil"), NO_SUBJECT),
    ("sub with a zero byte", |f| f.claim("sub", "ana\u{0}"), NO_SUBJECT),
    ("sub with a delete", |f| f.claim("sub", "ana\u{7f}"), NO_SUBJECT),
    ("sub with a control character above ASCII", |f| f.claim("sub", "ana\u{85}"), NO_SUBJECT),
    ("jti a number", |f| f.claim("jti", 7), CLAIM_WRONG),
    // What it says of roles and purpose is of the right kind.
    ("roles a number", |f| f.claim("roles", 1), NO_ROLES),
    ("roles true", |f| f.claim("roles", true), NO_ROLES),
    ("roles an object", |f| f.claim("roles", json!({ "quality-analyst": true })), NO_ROLES),
    ("roles a list with a number", |f| f.claim("roles", json!(["quality-analyst", 1])), NO_ROLES),
    ("roles a list in a list", |f| f.claim("roles", json!([["quality-analyst"]])), NO_ROLES),
    ("a purpose that is none", |f| f.claim("purpose", "Quality Monitoring"), NO_PURPOSE),
    ("a purpose that is empty", |f| f.claim("purpose", ""), NO_PURPOSE),
    ("a purpose that is null", |f| f.claim("purpose", Value::Null), NO_PURPOSE),
    ("a purpose that is a list", |f| f.claim("purpose", json!(["staff-training"])), NO_PURPOSE),
    ("a purpose that is too long", |f| f.claim("purpose", "a".repeat(65)), NO_PURPOSE),
];

/// The public key of an issuer as PEM.
fn pem(key: &TokenKey) -> String {
    KeyPair::from_pem(&key.pem).unwrap().public_key_pem()
}

/// What can be wrong around a sound token: the `Authorization` headers, what is said of them.
type HeaderRow = (&'static str, fn(&str) -> Vec<String>, &'static str);

const HEADERS: &[HeaderRow] = &[
    ("no header", |_| vec![], NO_TOKEN),
    ("an empty header", |_| vec![String::new()], OTHER_SCHEME),
    ("only the scheme", |_| vec!["Bearer".to_owned()], OTHER_SCHEME),
    ("only the token", |good| vec![good.to_owned()], OTHER_SCHEME),
    ("basic auth", |_| vec![basic("evil:secret")], OTHER_SCHEME),
    ("basic auth with the token", |good| vec![basic(&format!("bearer:{good}"))], OTHER_SCHEME),
    ("another scheme with the token", |good| vec![format!("DPoP {good}")], OTHER_SCHEME),
    ("a scheme that begins like ours", |good| vec![format!("BearerX {good}")], OTHER_SCHEME),
    ("a colon after the scheme", |good| vec![format!("Bearer: {good}")], OTHER_SCHEME),
    ("a tab after the scheme", |good| vec![format!("Bearer\t{good}")], OTHER_SCHEME),
    ("two blanks after the scheme", |good| vec![format!("Bearer  {good}")], NOT_BASE64URL),
    ("the scheme twice", |good| vec![format!("Bearer Bearer {good}")], NOT_BASE64URL),
    ("two in one header", |good| vec![format!("Bearer {good}, Bearer {good}")], NOT_THREE_PARTS),
    ("two in one scheme", |good| vec![format!("Bearer {good},{good}")], NOT_THREE_PARTS),
    ("the same twice", |good| vec![format!("Bearer {good}"); 2], TWO_TOKENS),
    ("basic auth after it", |good| vec![format!("Bearer {good}"), basic("a:b")], TWO_TOKENS),
    ("basic auth before it", |good| vec![basic("a:b"), format!("Bearer {good}")], TWO_TOKENS),
    ("an empty one after it", |good| vec![format!("Bearer {good}"), String::new()], TWO_TOKENS),
];

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// A world that records every stranger, not only the first of each second.
async fn world_for_strangers(issuer: &str) -> World {
    let settings = WorldSettings { issuer: issuer.to_owned(), ..WorldSettings::default() };
    let world = World::prepare(&settings).await;
    let file = world.folder.join("noticegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replacen("[ledger]", "[ledger]\nstranger_entries_per_second = 10000", 1);
    std::fs::write(file, text).unwrap();
    world
}

/// A request for the sample recording with these `Authorization` headers.
fn with_headers(uri: &str, values: &[HeaderValue]) -> http::request::Builder {
    let request = http::Request::get(uri).header("noticegate-purpose", "quality-monitoring");
    values.iter().fold(request, |request, value| request.header("authorization", value))
}

/// Asks over HTTP/1.1 and over HTTP/2.
async fn ask_both(world: &World, values: &[HeaderValue]) -> [Answer; 2] {
    let one = with_headers(&path(".wav"), values).header("host", "localhost");
    let two = with_headers(&format!("https://localhost{}", path(".wav")), values);
    [world.client.send(bodiless(one)).await, world.client.send_h2(bodiless(two)).await]
}

fn bearer(token: &str) -> Vec<HeaderValue> {
    vec![HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).unwrap()]
}

/// What every stranger is told, and no more.
fn assert_stranger(answer: &Answer, values: &[HeaderValue], name: &str, why: &str) {
    assert_eq!(answer.status, 401, "{name}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
    let problem = answer.json();
    assert_eq!(problem["code"], 20003, "{name}");
    assert_eq!(problem["status"], 401, "{name}");
    assert_eq!(problem["message"], why, "{name}");
    assert_eq!(problem["more_info"], "https://www.twilio.com/docs/errors/20003", "{name}");
    assert_eq!(problem["reason"], "stranger", "{name}");
    assert_eq!(problem["entry"], answer.entry(), "{name}");
    let challenge = answer.header("www-authenticate").expect(name);
    let expected = match why {
        NO_TOKEN => r#"Bearer realm="noticegate""#.to_owned(),
        _ => format!(
            r#"Bearer realm="noticegate", error="invalid_token", error_description="{why}""#
        ),
    };
    assert_eq!(challenge, expected, "{name}");
    let told = format!("{:?}{}", answer.headers, String::from_utf8_lossy(&answer.body));
    assert_holds_nothing_of(&told, values, name);
}

/// Nothing of a credential is in a text: no part of it, and nothing that only a forger would say.
fn assert_holds_nothing_of(text: &str, values: &[HeaderValue], name: &str) {
    assert!(!text.contains("evil"), "{name}: {text}");
    for value in values {
        let value = String::from_utf8_lossy(value.as_bytes());
        // Not even its beginning or its end, as a log that shortens would leave them.
        let parts =
            value.split(['.', ' ', ',', '\t', '"']).filter(|p| p.is_ascii() && p.len() > 12);
        for part in parts {
            let ends = [&part[..12], &part[part.len() - 12..]];
            assert!(ends.iter().all(|end| !text.contains(end)), "{name}: {text}");
        }
    }
}

/// The ledger of a world in which everybody was a stranger.
async fn assert_only_strangers(world: &mut World, whys: &[&str]) {
    assert!(world.standin.seen().is_empty(), "upstream saw {:?}", world.standin.seen().len());
    let entries = world.entries().await;
    let kinds: BTreeSet<&str> = entries.iter().map(|entry| entry["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["refusal", "start", "stop"]));
    let refusals = of_kind(&entries, "refusal");
    let details: Vec<&str> = refusals.iter().map(|r| r["detail"].as_str().unwrap()).collect();
    assert_eq!(details, whys);
    for refusal in refusals {
        assert_eq!(refusal["reason"], "stranger");
        assert!(refusal.get("caller").is_none(), "{refusal}");
        assert!(refusal.get("decision").is_none(), "{refusal}");
    }
}

#[tokio::test]
async fn a_forged_stale_or_malformed_token_gets_nothing() {
    let world = world_for_strangers("purpose_claim = \"purpose\"").await;
    let forger = Forger::new(&world);
    let tokens: Vec<(Row, String)> = FORGERIES.iter().map(|row| (*row, (row.1)(&forger))).collect();
    assert!(tokens.len() >= 45);
    let mut world = world.started();
    let (mut whys, mut all) = (Vec::new(), Vec::new());
    for ((name, _, why), token) in &tokens {
        let values = bearer(token);
        for answer in ask_both(&world, &values).await {
            assert_stranger(&answer, &values, name, why);
            whys.push(*why);
        }
        all.extend(values);
    }
    assert_only_strangers(&mut world, &whys).await;
    // The whole file, with what may be erased from it.
    let ledger = std::fs::read(&world.ledger).unwrap();
    assert_holds_nothing_of(&String::from_utf8_lossy(&ledger), &all, "the ledger");
}

#[tokio::test]
async fn a_header_with_crit_is_refused_whatever_its_value() {
    // RFC 7515, 4.1.11: it must be a list; what it is instead cannot make it less critical.
    let world = world_for_strangers("").await;
    let forger = Forger::new(&world);
    let values = [Value::Null, json!(false), json!(0), json!(""), json!({}), json!([])];
    let tokens = values.map(|value| bearer(&forger.head("crit", value)));
    let mut world = world.started();
    for values in &tokens {
        for answer in ask_both(&world, values).await {
            assert_stranger(&answer, values, "crit", CRITICAL);
        }
    }
    assert_only_strangers(&mut world, &[CRITICAL; 12]).await;
}

#[tokio::test]
async fn a_list_is_no_header_and_no_claims() {
    // Lists of the right values in an order in which a lenient reader would take them for objects.
    let world = world_for_strangers("").await;
    let forger = Forger::new(&world);
    let mut tokens = Vec::new();
    for nulls in 0..4 {
        let mut header = vec![json!("ES256"), json!("key-1")];
        header.resize(2 + nulls, Value::Null);
        tokens.push(forger.header_text(&json!(header).to_string()));
    }
    let claims = forger.claims();
    tokens.push(forger.claims_text(json!([ISSUER]).to_string()));
    tokens.push(forger.claims_text(json!([claims]).to_string()));
    for order in [["exp", "nbf", "sub"], ["iss", "aud", "sub"]] {
        let values = order.map(|name| claims[name].clone());
        tokens.push(forger.claims_text(json!(values).to_string()));
    }
    let mut world = world.started();
    let mut whys = Vec::new();
    for token in tokens {
        let values = bearer(&token);
        for answer in ask_both(&world, &values).await {
            let why = answer.json()["message"].as_str().unwrap_or_default().to_owned();
            assert!(why.starts_with("the token is malformed: "), "{why}");
            assert_stranger(&answer, &values, "a list", &why);
            whys.push(why);
        }
    }
    assert_only_strangers(&mut world, &whys.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_sound_token_in_a_wrong_header_gets_nothing() {
    let mut world = world_for_strangers("").await.started();
    let good = world.token("ana", &["quality-analyst"]);
    let mut whys = Vec::new();
    for (name, make, why) in HEADERS {
        let values: Vec<HeaderValue> =
            make(&good).iter().map(|v| HeaderValue::from_str(v).unwrap()).collect();
        for answer in ask_both(&world, &values).await {
            assert_stranger(&answer, &values, name, why);
            whys.push(*why);
        }
    }
    // Bytes that are no text, and (HTTP/2 only: HTTP/1.1 cuts it off) a blank at the end.
    let not_text = [HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap()];
    for answer in ask_both(&world, &not_text).await {
        assert_stranger(&answer, &not_text, "not ASCII", "the token is malformed: not ASCII");
        whys.push("the token is malformed: not ASCII");
    }
    assert_only_strangers(&mut world, &whys).await;
}

#[tokio::test]
async fn two_authorization_lines_are_refused_as_they_are_sent() {
    let mut world = world_for_strangers("").await.started();
    let good = world.token("ana", &["quality-analyst"]);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Noticegate-Purpose: quality-monitoring\r\n\
         Authorization: Bearer {good}\r\naUTHORIZATION: Bearer {good}\r\n\r\n",
        path(".wav")
    );
    let answer = world.client.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("error=\"invalid_token\""), "{answer}");
    assert!(!answer.contains(&good), "{answer}");
    // A header that is folded over two lines is not one that anybody should read.
    let folded = request.replace("\r\naUTHORIZATION: Bearer", "\r\n Bearer");
    let answer = world.client.raw(folded.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(!answer.contains(&good), "{answer}");
    assert_only_strangers(&mut world, &[TWO_TOKENS]).await;
}

#[tokio::test]
async fn a_token_in_the_query_is_an_unknown_parameter_that_is_not_repeated() {
    let mut world = World::new().await;
    let good = world.token("ana", &["quality-analyst"]);
    let opaque = encode([7; 48]);
    for (token, said) in [(&good, "`access_token`"), (&opaque, "`access_token`")] {
        let uri = format!("{}?access_token={token}", path(".wav"));
        // Neither alone nor beside a sound header.
        for request in [Client::get(&uri), world.ana(&uri)] {
            let answer = world.send(request).await;
            assert_eq!(answer.status, 400);
            let told = format!("{:?}{}", answer.headers, String::from_utf8_lossy(&answer.body));
            assert!(told.contains(said), "{told}");
            assert_holds_nothing_of(&told, &bearer(token), "the answer");
        }
    }
    assert!(world.standin.seen().is_empty());
    let entries = world.entries().await;
    let kinds: Vec<&str> = entries.iter().map(|entry| entry["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "stop"]);
}

/// Tokens that are sound: what they are, how they are made, and who they are of.
type SoundRow = (&'static str, fn(&Forger<'_>) -> String, &'static str);

const SOUND: &[SoundRow] = &[
    ("a good token", |f| f.good(), "test|ana"),
    ("roles in one text", |f| f.claim("roles", "other quality-analyst"), "test|ana"),
    ("roles in one text, alone", |f| f.claim("roles", "quality-analyst"), "test|ana"),
    (
        "roles beside unknown ones",
        |f| f.claim("roles", json!(["x", "quality-analyst"])),
        "test|ana",
    ),
    ("aud a list with ours", |f| f.claim("aud", json!(["other", AUDIENCE])), "test|ana"),
    ("no typ", |f| f.header_text(r#"{"alg":"ES256","kid":"key-1"}"#), "test|ana"),
    ("typ of RFC 9068", |f| f.head("typ", "at+jwt"), "test|ana"),
    ("typ of RFC 9068 in full", |f| f.head("typ", "application/AT+JWT"), "test|ana"),
    (
        "the key named by its escapes",
        |f| f.header_text(r#"{"alg":"ES256","kid":"\u006bey-1"}"#),
        "test|ana",
    ),
    ("exp forgiven for a second", |f| f.claim("exp", f.now() - LEEWAY + 1), "test|ana"),
    ("exp with a fraction", |f| f.claim_text("exp", &format!("{}.5", f.now() + 60)), "test|ana"),
    ("nbf forgiven to the second", |f| f.claim("nbf", f.now() + LEEWAY), "test|ana"),
    ("a life as long as allowed", |f| f.claim("exp", f.now() - 60 + LIFETIME_MAX), "test|ana"),
    ("as long as allowed", |f| f.of_length(TOKEN_BYTES_MAX), "test|ana"),
    ("a sub of one letter", |f| f.claim("sub", "a"), "test|a"),
    ("a sub with a bar", |f| f.claim("sub", "other|ana"), "test|other|ana"),
    ("a sub beyond ASCII", |f| f.claim("sub", "\u{c1}na"), "test|\u{c1}na"),
    (
        "a key that nobody looks at in jwk",
        |f| f.head("jwk", serde_json::to_value(f.evil.jwk()).unwrap()),
        "test|ana",
    ),
];

#[tokio::test]
async fn a_sound_token_is_accepted() {
    let world = World::prepare(&WorldSettings::default()).await;
    let forger = Forger::new(&world);
    let longest = "s".repeat(SUBJECT_BYTES_MAX);
    let mut rows: Vec<(&str, String, String)> = SOUND
        .iter()
        .map(|(name, make, caller)| (*name, make(&forger), (*caller).to_owned()))
        .collect();
    let caller = format!("test|{longest}");
    rows.push(("a sub as long as allowed", forger.claim("sub", longest), caller));
    let mut world = world.started();
    for (name, token, _) in &rows {
        for answer in ask_both(&world, &bearer(token)).await {
            let said = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]);
            assert_eq!(answer.status, 200, "{name}: {said}");
        }
    }
    // The scheme's name is a word in any case (RFC 9110, 11.1), and HTTP/1.1 cuts off a blank at
    // the end of a header.
    let good = world.token("ana", &["quality-analyst"]);
    for value in [format!("bearer {good}"), format!("BEARER {good}"), format!("Bearer {good} ")] {
        let request = with_headers(&path(".wav"), &[HeaderValue::from_str(&value).unwrap()]);
        assert_eq!(world.send(request.header("host", "localhost")).await.status, 200);
    }
    assert_eq!(world.media_requests().len(), rows.len() * 2 + 3);
    let entries = world.entries().await;
    assert!(of_kind(&entries, "refusal").is_empty());
    let intents = of_kind(&entries, "intent");
    let callers: Vec<&str> = intents.iter().map(|i| i["caller"]["id"].as_str().unwrap()).collect();
    let twice = rows.iter().flat_map(|(_, _, caller)| [caller.as_str(); 2]);
    assert_eq!(callers, twice.chain(["test|ana"; 3]).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_published_key_needs_no_name() {
    let world = World::new().await;
    let header = r#"{"alg":"ES256"}"#;
    let claims = tokens::claims(world.clock.now(), "ana", &["quality-analyst"]).to_string();
    let unnamed = seal(&world.key.encoding(), Algorithm::ES256, header, &claims);
    let misnamed = world.key.sign_raw(r#"{"alg":"ES256","kid":"key-2"}"#, &claims);
    let forged = seal(&TokenKey::new("evil").encoding(), Algorithm::ES256, header, &claims);
    for (token, status) in [(unnamed, 200), (misnamed, 401), (forged, 401)] {
        for answer in ask_both(&world, &bearer(&token)).await {
            assert_eq!(answer.status, status);
        }
    }
    assert_eq!(world.media_requests().len(), 2);
}

#[tokio::test]
async fn roles_may_stand_inside_an_object() {
    let settings = WorldSettings {
        issuer: "roles_claim = \"realm_access.roles\"".to_owned(),
        ..WorldSettings::default()
    };
    let mut world = World::with(settings).await;
    let mut claims = tokens::claims(world.clock.now(), "ana", &["quality-analyst"]);
    // The plain claim counts nothing now.
    let cases = [
        (json!({ "roles": ["quality-analyst"] }), 200),
        (json!({ "roles": "quality-analyst" }), 200),
        (json!({ "roles": [] }), 404),
        (json!({ "roles": null }), 404),
        (json!({ "other": ["quality-analyst"] }), 404),
        (json!("quality-analyst"), 404),
        (json!(["quality-analyst"]), 404),
        (Value::Null, 404),
        (json!({ "roles": { "quality-analyst": true } }), 401),
    ];
    for (access, status) in &cases {
        claims["realm_access"] = access.clone();
        for answer in ask_both(&world, &bearer(&world.key.sign(&claims))).await {
            assert_eq!(answer.status, *status, "{access}");
        }
    }
    assert_eq!(world.media_requests().len(), 4);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 4);
    let refusals = of_kind(&entries, "refusal");
    let reasons: Vec<&str> = refusals.iter().map(|r| r["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, [&["not-for-caller"; 12][..], &["stranger"; 2]].concat());
}

/// Asks with a token at a time that lies so far from another.
async fn status_at(world: &World, token: &str, second: i64, micros: i64) -> u16 {
    let time = second * 1_000_000 + micros;
    world.clock.set(jiff::Timestamp::from_microsecond(time).unwrap());
    let request = with_headers(&path(".json"), &bearer(token)).header("host", "localhost");
    world.send(request).await.status
}

#[tokio::test]
async fn a_token_ends_at_the_second_it_says() {
    for leeway in [0, LEEWAY] {
        let settings = WorldSettings {
            issuer: format!("leeway_seconds = {leeway}"),
            ..WorldSettings::default()
        };
        let mut world = World::with(settings).await;
        let start = world.clock.now().as_second();
        let of = |subject: &str| {
            let mut claims = tokens::claims(world.clock.now(), subject, &["quality-analyst"]);
            claims["exp"] = (start + 100).into();
            world.key.sign(&claims)
        };
        // Each of these is seen for the first time when it is tried.
        let [before, just_before, at, after] = ["a", "b", "c", "d"].map(of);
        // This one is remembered from when it was sound.
        let remembered = of("e");
        assert_eq!(status_at(&world, &remembered, start, 0).await, 200);
        let end = start + 100 + leeway;
        assert_eq!(status_at(&world, &remembered, end - 1, 0).await, 200);
        assert_eq!(status_at(&world, &before, end - 1, 0).await, 200);
        assert_eq!(status_at(&world, &remembered, end, -1).await, 200);
        assert_eq!(status_at(&world, &just_before, end, -1).await, 200);
        assert_eq!(status_at(&world, &remembered, end, 0).await, 401);
        assert_eq!(status_at(&world, &at, end, 0).await, 401);
        assert_eq!(status_at(&world, &remembered, end + 1, 0).await, 401);
        assert_eq!(status_at(&world, &after, end + 1, 0).await, 401);
        // Nor does any of those that were accepted come back to life later.
        for token in [&before, &just_before, &remembered] {
            assert_eq!(status_at(&world, token, end + 3600, 0).await, 401);
        }
        assert_eq!(world.media_requests(), Vec::<String>::new());
        let entries = world.entries().await;
        assert_eq!(of_kind(&entries, "intent").len(), 5);
        let refusals = of_kind(&entries, "refusal");
        assert_eq!(refusals.len(), 7);
        assert!(refusals.iter().all(|refusal| refusal["detail"] == EXPIRED));
    }
}

#[tokio::test]
async fn a_token_begins_at_the_second_it_says() {
    for leeway in [0, LEEWAY] {
        let settings = WorldSettings {
            issuer: format!("leeway_seconds = {leeway}"),
            ..WorldSettings::default()
        };
        let mut world = World::with(settings).await;
        let start = world.clock.now().as_second();
        let mut claims = tokens::claims(world.clock.now(), "ana", &["quality-analyst"]);
        claims["nbf"] = (start + 100).into();
        let token = world.key.sign(&claims);
        let begin = start + 100 - leeway;
        assert_eq!(status_at(&world, &token, begin - 1, 0).await, 401);
        assert_eq!(status_at(&world, &token, begin, -1).await, 401);
        assert_eq!(status_at(&world, &token, begin, 0).await, 200);
        assert_eq!(status_at(&world, &token, begin + 1, 0).await, 200);
        // A clock that is set back makes it young again, remembered or not.
        assert_eq!(status_at(&world, &token, begin - 1, 0).await, 401);
        let entries = world.entries().await;
        assert_eq!(of_kind(&entries, "intent").len(), 2);
        let refusals = of_kind(&entries, "refusal");
        assert_eq!(refusals.len(), 3);
        assert!(refusals.iter().all(|refusal| refusal["detail"] == NOT_YET));
    }
}

#[tokio::test]
async fn a_token_bound_to_one_purpose_serves_no_other() {
    let settings = WorldSettings {
        issuer: "purpose_claim = \"purpose\"\ndefault_purpose = \"rights-request\"".to_owned(),
        ..WorldSettings::default()
    };
    let mut world = World::with(settings).await;
    let mut claims = tokens::claims(world.clock.now(), "ana", &["quality-analyst", "team-lead"]);
    claims["purpose"] = "quality-monitoring".into();
    let token = format!("Bearer {}", world.key.sign(&claims));
    let get = |path: &str| Client::get(path).header("authorization", &token);
    let wav = path(".wav");
    // The token's own purpose, said or unsaid, and before the issuer's default.
    let own = format!("{wav}?purpose=quality-monitoring");
    for request in
        [get(&wav), get(&wav).header("noticegate-purpose", "quality-monitoring"), get(&own)]
    {
        assert_eq!(world.send(request).await.status, 200);
    }
    assert_eq!(world.media_requests(), vec![format!("GET {wav}"); 3]);
    let training = format!("{wav}?purpose=staff-training");
    let others = [
        get(&wav).header("noticegate-purpose", "rights-request"),
        get(&wav).header("noticegate-purpose", "staff-training"),
        get(&training),
        get(&wav).header("noticegate-purpose", "tea-break"),
    ];
    for request in others {
        let answer = world.send(request).await;
        assert_eq!(answer.status, 403);
        let problem = answer.json();
        assert_eq!(problem["reason"], "purpose-not-of-token");
        assert_eq!(problem["code"], 20403);
        let message = problem["message"].as_str().unwrap();
        assert!(message.starts_with("Your token was issued for another purpose"), "{message}");
        assert_eq!(answer.header("www-authenticate"), None);
    }
    assert_eq!(world.media_requests().len(), 3);
    let entries = world.entries().await;
    let intents = of_kind(&entries, "intent");
    assert_eq!(intents.len(), 3);
    assert!(intents.iter().all(|intent| intent["purpose"] == "quality-monitoring"));
    let refusals = of_kind(&entries, "refusal");
    assert!(refusals.iter().all(|refusal| refusal["reason"] == "purpose-not-of-token"));
    let purposes: Vec<&str> = refusals.iter().map(|r| r["purpose"].as_str().unwrap()).collect();
    assert_eq!(purposes, ["rights-request", "staff-training", "staff-training", "tea-break"]);
}

#[tokio::test]
async fn the_issuers_default_purpose_holds_where_nobody_says_another() {
    let settings = WorldSettings {
        issuer: "default_purpose = \"quality-monitoring\"".to_owned(),
        ..WorldSettings::default()
    };
    let mut world = World::with(settings).await;
    let token = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    let get = || Client::get(&path(".wav")).header("authorization", &token);
    assert_eq!(world.send(get()).await.status, 200);
    let other = world.send(get().header("noticegate-purpose", "marketing")).await;
    assert_eq!(other.status, 403);
    assert_eq!(other.json()["reason"], "forbidden");
    assert_eq!(world.media_requests(), [format!("GET {}", path(".wav"))]);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent")[0]["purpose"], "quality-monitoring");
    assert_eq!(of_kind(&entries, "refusal")[0]["purpose"], "marketing");
}

#[tokio::test]
async fn a_purpose_is_given_once_and_is_one_of_the_list() {
    let mut world = World::new().await;
    let token = format!("Bearer {}", world.token("ana", &["quality-analyst"]));
    let wav = path(".wav");
    let get = |query: &str, purposes: &[&str]| {
        let request = Client::get(&format!("{wav}{query}")).header("authorization", token.as_str());
        purposes.iter().fold(request, |request, p| request.header("noticegate-purpose", *p))
    };
    // By the query, by the header, or by both if they agree; upstream is told by none.
    let quality = "?purpose=quality-monitoring";
    for request in
        [get(quality, &[]), get("", &["quality-monitoring"]), get(quality, &["quality-monitoring"])]
    {
        assert_eq!(world.send(request).await.status, 200);
    }
    assert_eq!(world.media_requests(), vec![format!("GET {wav}"); 3]);
    assert!(world.standin.seen().iter().all(|seen| {
        seen.headers.iter().all(|(name, _)| name != "noticegate-purpose")
            && !seen.path_and_query.contains("purpose")
    }));
    // What contradicts itself, or is no purpose, is not a request.
    let bad = [
        get(quality, &["staff-training"]),
        get("", &["quality-monitoring", "staff-training"]),
        get("", &["quality-monitoring", "quality-monitoring"]),
        get("", &["quality-monitoring, staff-training"]),
        get("", &["Quality Monitoring"]),
        get("", &[""]),
        get("?purpose=", &[]),
        get("?purpose=Quality", &[]),
        get("?purpose=quality-monitoring&purpose=quality-monitoring", &[]),
    ];
    for request in bad {
        let answer = world.send(request).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["reason"], "bad-request");
        assert_eq!(answer.json()["code"], 20001);
        assert!(answer.json()["message"].as_str().unwrap().contains("purpose"));
    }
    // What is not in the list, or is not said, is refused with what would help.
    let unknown = world.send(get("", &["tea-break"])).await;
    assert_eq!(unknown.status, 403);
    assert_eq!(unknown.json()["reason"], "unknown-purpose");
    assert!(unknown.json()["message"].as_str().unwrap().contains("`tea-break`"));
    let none = world.send(get("", &[])).await;
    assert_eq!(none.status, 403);
    assert_eq!(none.json()["reason"], "no-purpose");
    let message = none.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`Noticegate-Purpose` header"), "{message}");
    assert!(message.contains("`purpose` query parameter"), "{message}");
    assert_eq!(world.media_requests().len(), 3);
    let entries = world.entries().await;
    assert_eq!(of_kind(&entries, "intent").len(), 3);
    let refusals = of_kind(&entries, "refusal");
    let reasons: Vec<&str> = refusals.iter().map(|r| r["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["unknown-purpose", "no-purpose"]);
}

/// An answer without what differs between any two.
fn words(answer: &Answer) -> (u16, Value, Vec<(String, String)>) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("entry").expect("an entry is named");
    let headers = answer.headers.iter();
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let own = |(name, _): &(String, String)| name != "date" && name != "noticegate-entry";
    (answer.status, body, headers.filter(own).collect())
}

#[tokio::test]
async fn who_has_no_role_here_is_told_that_there_is_nothing() {
    let mut world = World::new().await;
    let elsewhere = path(".wav").replace("RE0123", "REffff");
    let other_account = path(".wav").replace(ACCOUNT, "AC00000000000000000000000000000002");
    let real = world.send(world.ana(&elsewhere)).await;
    assert_eq!(real.status, 404);
    assert_eq!(real.json()["code"], 20404);
    assert!(!String::from_utf8_lossy(&real.body).contains("role"));
    let visitor = |role: &str, path: &str| world.who("vera", role, "quality-monitoring", path);
    let requests = [
        // Roles that the configuration does not map, or spells otherwise; and no role at all.
        visitor("visitor", &path(".wav")),
        visitor("Quality-Analyst", &path(".wav")),
        visitor("", &path(".wav")),
        visitor("visitor", &elsewhere),
        visitor("visitor", &other_account),
        // An account that the gate does not serve is no account to anybody.
        world.ana(&other_account),
        // To whom there is nothing, it does not matter what they want it for.
        world.who("vera", "visitor", "marketing", &path(".wav")),
        world.who("vera", "visitor", "tea-break", &path(".wav")),
    ];
    for request in requests {
        let answer = world.send(request).await;
        assert_eq!(words(&answer), words(&real));
    }
    assert_eq!(world.media_requests(), Vec::<String>::new());
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty());
    let refusals = of_kind(&entries, "refusal");
    let reasons: Vec<&str> = refusals.iter().map(|r| r["reason"].as_str().unwrap()).collect();
    // The record, which the caller does not see, tells them apart.
    let expected = [
        "undecidable",
        "not-for-caller",
        "not-for-caller",
        "not-for-caller",
        "undecidable",
        "unknown-account",
        "unknown-account",
        "not-for-caller",
        "not-for-caller",
    ];
    assert_eq!(reasons, expected);
}
