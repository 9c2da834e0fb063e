//! Passwords and codes of shares.
//!
//! People choose passwords, so they are hashed by a function that is slow and takes memory
//! (Argon2id, RFC 9106). Hashing takes a while: it is for threads that may wait.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use aws_lc_rs::rand;

/// LIMIT: bytes of a password or code.
pub const SECRET_BYTES_MAX: usize = 200;

/// A password or code as somebody gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// Nothing of it shows.
impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(not shown)")
    }
}

impl SecretText {
    /// Takes one; `None` if it is empty or too long.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        (1..=SECRET_BYTES_MAX).contains(&text.len()).then(|| Self(text.to_owned()))
    }
}

impl SecretText {
    /// What was given. Every call is a place where it could leak.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A code that is told once.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

/// Nothing of it shows.
impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(not shown)")
    }
}

/// Letters that nobody mistakes for others when they are read out.
const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// One of them.
pub(super) fn letter(byte: u8) -> char {
    LETTERS.get(usize::from(byte % 32)).map_or('2', |letter| char::from(*letter))
}

impl Code {
    /// Ten letters, 50 random bits; `None` without randomness.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 10];
        rand::fill(&mut bytes).ok()?;
        Some(Self(bytes.iter().map(|byte| letter(*byte)).collect()))
    }

    /// The code, to be told once.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// As somebody would give it.
    #[must_use]
    pub fn secret(&self) -> SecretText {
        SecretText(self.0.clone())
    }
}

/// What is stored of a password or code, in the PHC string format; `None` without randomness.
#[must_use]
pub fn hash(secret: &SecretText) -> Option<String> {
    let mut salt = [0; 16];
    rand::fill(&mut salt).ok()?;
    let hashed = Argon2::default().hash_password_with_salt(secret.0.as_bytes(), &salt);
    hashed.ok().map(|hash| hash.to_string())
}

/// Whether it is the one that was stored.
#[must_use]
pub fn verify(stored: &str, secret: &SecretText) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|stored| Argon2::default().verify_password(secret.0.as_bytes(), &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_and_no_other() {
        let secret = SecretText::read("correct horse").unwrap();
        let (one, two) = (hash(&secret).unwrap(), hash(&secret).unwrap());
        assert_ne!(one, two, "each has a salt of its own");
        assert!(one.starts_with("$argon2id$") && !one.contains("correct"));
        assert!(verify(&one, &secret) && verify(&two, &secret));
        assert!(!verify(&one, &SecretText::read("correct Horse").unwrap()));
        assert!(!verify("nonsense", &secret));
        assert_eq!(SecretText::read(""), None);
        assert_eq!(SecretText::read(&"x".repeat(SECRET_BYTES_MAX + 1)), None);
    }

    #[test]
    fn a_code_has_ten_letters_that_are_not_mistaken() {
        let code = Code::random().unwrap();
        assert_eq!(code.text().len(), 10);
        assert!(!code.text().contains(['0', 'O', '1', 'I']));
        assert_ne!(code, Code::random().unwrap());
    }
}
