//! Links, and what a browser holds of them.
//!
//! The token in a link is 256 random bits in base64url. Only its SHA-256 is stored, and what is
//! found by it is compared once more in constant time. Cookies hold nothing but random bits and a
//! tag that only gates of the ledger can make; each is of one share.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ShareId;
use super::secret::letter;

/// The letters of a token: 32 bytes in base64url.
const LETTERS: usize = 43;

/// What is secret in a link.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// Nothing of it shows.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(not shown)")
    }
}

/// The SHA-256 of a token, in base64url: its name in the ledger.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(String);

impl TokenDigest {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the same, in a time that does not tell where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Token {
    /// A new one; `None` without randomness.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// TRUST: reads what stands in a path. There is one spelling of each token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LETTERS {
            return None;
        }
        // The decoder refuses a last letter with bits that count nothing.
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// As it stands in a link. Every call is a place where it could leak.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// As it is stored.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.0)))
    }
}

/// Who uses a link, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// A browser, by the cookie that it was given with the page.
    Browser(&'a str),
    /// A program without cookies.
    Program {
        /// Where it is.
        address: IpAddr,
        /// What it says it is.
        agent: &'a str,
    },
}

/// The keys of shares: those of all gates of a ledger are the same.
pub struct Keys(hmac::Key);

/// Nothing of it shows.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(not shown)")
    }
}

/// LIMIT: bytes of a tag in a cookie or of the name of a session; nobody guesses 128 bits.
const TAG_BYTES: usize = 16;

impl Keys {
    /// Keys from a secret of the ledger's.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Signs parts, each with its length, so that no two lists of parts are the same text.
    fn sign(&self, parts: &[&str]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }

    fn tag(&self, parts: &[&str]) -> String {
        let tag = self.sign(parts);
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..TAG_BYTES).unwrap_or_default())
    }

    fn is_tag(&self, parts: &[&str], given: &str) -> bool {
        verify_slices_are_equal(self.tag(parts).as_bytes(), given.as_bytes()).is_ok()
    }

    /// The token of whoever asks once more with the same key: nobody else can find it, and it need
    /// not be kept.
    #[must_use]
    pub fn again(&self, maker: &str, key: &str) -> Option<Token> {
        let tag = self.sign(&["again", maker, key]);
        Some(Token(tag.as_ref().try_into().ok()?))
    }

    /// The name of a client's listening sessions with one share. It tells nothing.
    #[must_use]
    pub fn session(&self, share: ShareId, client: &Client<'_>) -> String {
        let share = share.to_string();
        match client {
            Client::Browser(id) => self.tag(&["session", &share, "browser", id]),
            Client::Program { address, agent } => {
                let address = address.to_canonical().to_string();
                self.tag(&["session", &share, "program", &address, agent])
            }
        }
    }

    /// A new cookie for a browser; `None` without randomness.
    #[must_use]
    pub fn browser(&self, share: ShareId) -> Option<String> {
        let mut bytes = [0; TAG_BYTES];
        rand::fill(&mut bytes).ok()?;
        let id = URL_SAFE_NO_PAD.encode(bytes);
        let tag = self.tag(&["browser", &share.to_string(), &id]);
        Some(format!("{id}.{tag}"))
    }

    /// The id in a browser's cookie, if the cookie is one that was given for this share.
    #[must_use]
    pub fn read_browser<'a>(&self, share: ShareId, cookie: &'a str) -> Option<&'a str> {
        let (id, tag) = cookie.split_once('.')?;
        self.is_tag(&["browser", &share.to_string(), id], tag).then_some(id)
    }

    /// What shows that a browser has given the password, until a time. A new password voids it.
    #[must_use]
    pub fn pass(&self, pass: &Pass<'_>) -> String {
        let until = pass.until.as_second().to_string();
        format!("{until}.{}", self.tag(&pass.parts(&until)))
    }

    /// Whether a browser has given it.
    #[must_use]
    pub fn has_passed(&self, pass: &Pass<'_>, cookie: &str, now: Timestamp) -> bool {
        let Some((until, tag)) = cookie.split_once('.') else { return false };
        let ends = until.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
        ends.is_some_and(|ends| now < ends) && self.is_tag(&pass.parts(until), tag)
    }
}

/// LIMIT: how long a mailed code is good at the least. It is at most twice as long.
pub const MAILED_MINUTES: i64 = 10;

impl Keys {
    /// The code that is mailed for one browser at a time: eight letters, 40 bits. Every gate of the
    /// ledger knows it, and it need not be kept.
    #[must_use]
    pub fn mailed(&self, pass: &Pass<'_>, now: Timestamp) -> String {
        self.mailed_in(pass, now.as_second().div_euclid(MAILED_MINUTES * 60))
    }

    /// Whether it is the one that was mailed for this browser lately.
    #[must_use]
    pub fn is_mailed(&self, pass: &Pass<'_>, given: &str, now: Timestamp) -> bool {
        let given: String = given.chars().filter(char::is_ascii_alphanumeric).collect();
        let given = given.to_ascii_uppercase();
        let this = now.as_second().div_euclid(MAILED_MINUTES * 60);
        [this, this - 1].iter().any(|window| {
            let code = self.mailed_in(pass, *window);
            verify_slices_are_equal(code.as_bytes(), given.as_bytes()).is_ok()
        })
    }

    fn mailed_in(&self, pass: &Pass<'_>, window: i64) -> String {
        let window = window.to_string();
        let tag = self.sign(&["mailed", pass.share, pass.browser, pass.secret, &window]);
        let letters = tag.as_ref().iter().take(8);
        letters.map(|byte| letter(*byte)).collect()
    }
}

/// What a pass is for.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The share's name.
    pub share: &'a str,
    /// The browser's id.
    pub browser: &'a str,
    /// The password or code, hashed.
    pub secret: &'a str,
    /// Until when a new one is good.
    pub until: Timestamp,
}

impl<'a> Pass<'a> {
    fn parts(&self, until: &'a str) -> [&'a str; 5] {
        ["pass", self.share, self.browser, self.secret, until]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::new(&[7; 32])
    }

    fn share() -> ShareId {
        "019aa000-0000-7000-8000-000000000001".parse().unwrap()
    }

    #[test]
    fn a_token_has_one_spelling() {
        let token = Token::random().unwrap();
        let text = token.text();
        assert_eq!(Token::parse(&text), Some(token.clone()));
        assert_ne!(Token::random().unwrap(), token);
        for other in [
            text.split_at(1).1.to_owned(),
            format!("{text}A"),
            format!("{text}="),
            text.replace(|_| true, "="),
            String::new(),
        ] {
            assert_eq!(Token::parse(&other), None, "{other}");
        }
        // The last letter holds four bits that count and two that do not.
        let zeros = "A".repeat(LETTERS);
        assert!(Token::parse(&zeros).is_some());
        assert_eq!(Token::parse(&format!("{}B", zeros.split_at(1).1)), None);
        assert_eq!(format!("{token:?}"), "Token(not shown)");
    }

    #[test]
    fn the_same_key_leads_its_maker_to_the_same_link_and_nobody_else() {
        let token = keys().again("test|ana", "k");
        assert!(token.is_some());
        assert_eq!(token, keys().again("test|ana", "k"));
        for other in [
            keys().again("test|ana", "l"),
            keys().again("test|an", "ak"),
            Keys::new(&[8; 32]).again("test|ana", "k"),
        ] {
            assert_ne!(token, other);
        }
    }

    #[test]
    fn cookies_are_of_one_share_and_one_browser() {
        let (keys, now) = (keys(), Timestamp::UNIX_EPOCH);
        let other: ShareId = "019aa000-0000-7000-8000-000000000002".parse().unwrap();
        let cookie = keys.browser(share()).unwrap();
        let id = keys.read_browser(share(), &cookie).unwrap();
        assert_eq!(keys.read_browser(other, &cookie), None);
        assert_eq!(keys.read_browser(share(), &format!("x{cookie}")), None);
        let until = Timestamp::from_second(60).unwrap();
        let share = share().to_string();
        let pass = Pass { share: &share, browser: id, secret: "$argon2", until };
        let given = keys.pass(&pass);
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(keys.has_passed(&pass, &given, now) && keys.has_passed(&pass, &given, at(59)));
        assert!(!keys.has_passed(&pass, &given, at(60)));
        let later = given.replacen("60", "61", 1);
        assert!(!keys.has_passed(&pass, &later, now));
        assert!(!keys.has_passed(&Pass { secret: "another", ..pass }, &given, now));
        assert!(!keys.has_passed(&Pass { browser: "another", ..pass }, &given, now));
    }

    #[test]
    fn a_mailed_code_is_good_for_one_browser_and_a_while() {
        let (keys, share) = (keys(), share().to_string());
        let at = |second| Timestamp::from_second(second).unwrap();
        let pass = Pass { share: &share, browser: "one", secret: "jo@example.org", until: at(0) };
        let code = keys.mailed(&pass, at(1_199));
        assert_eq!(code.len(), 8);
        let (one, other) = code.split_at(4);
        let spaced = format!(" {}-{other} ", one.to_lowercase());
        for (second, good) in [(1_199, true), (1_200, true), (1_799, true), (1_800, false)] {
            assert_eq!(keys.is_mailed(&pass, &spaced, at(second)), good, "{second}");
        }
        for other in [
            Pass { browser: "another", ..pass },
            Pass { secret: "jo@example.com", ..pass },
            Pass { share: "another", ..pass },
        ] {
            assert!(!keys.is_mailed(&other, &code, at(1_199)));
        }
        assert!(!keys.is_mailed(&pass, "", at(1_199)));
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_in_its_one_spelling_or_none(text in ".{0,60}|[A-Za-z0-9_-]{43}") {
            if let Some(token) = Token::parse(&text) {
                prop_assert_eq!(token.text(), text);
            }
        }
    }
}
