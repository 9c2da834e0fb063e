//! Pre-signed URLs, in the manner of S3 but with our own canonical text.
//!
//! In: a path and what it is for. Out: a target that the CDN listener accepts without any other
//! credential, which is exactly what makes it dangerous to hand to a caller. The signature covers
//! `GET`, the path and all of the query before it, so it must be the last parameter. Expiry is
//! part of the text but not enforced: the stand-in has no clock.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;

/// How long a URL claims to be valid unless the caller asked for another time.
pub(super) const EXPIRES_SECONDS: u32 = 300;
/// Stands in every pre-signed URL and nowhere else, so that a test can look for one that escaped.
pub const PRESIGNED_MARKER: &str = "Standin-Presigned=1";
const SIGNATURE_PARAMETER: &str = "&X-Amz-Signature=";

/// What a URL's signature is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Good,
    Wrong,
    Missing,
}

/// Signs and checks targets with a key that lives as long as the stand-in.
pub(super) struct UrlSigner(hmac::Key);

impl UrlSigner {
    /// A signer with a fresh key; `None` without randomness.
    pub(super) fn generate() -> Option<Self> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok().map(Self)
    }

    /// The path with a signed query. `extra` are parameters such as `x-hops=2`.
    pub(super) fn sign(&self, path: &str, expires_seconds: u32, extra: &[String]) -> String {
        let mut target = format!("{path}?{PRESIGNED_MARKER}&X-Amz-Expires={expires_seconds}");
        for parameter in extra {
            target.push('&');
            target.push_str(parameter);
        }
        let tag = hmac::sign(&self.0, canonical(&target).as_bytes());
        target.push_str(SIGNATURE_PARAMETER);
        for byte in tag.as_ref() {
            target.push_str(&format!("{byte:02x}"));
        }
        target
    }

    /// Checks a target as it came in.
    pub(super) fn check(&self, target: &str) -> Signature {
        let Some((signed, signature)) = target.rsplit_once(SIGNATURE_PARAMETER) else {
            return Signature::Missing;
        };
        let Some(tag) = unhex(signature) else {
            return Signature::Wrong;
        };
        match hmac::verify(&self.0, canonical(signed).as_bytes(), &tag) {
            Ok(()) => Signature::Good,
            Err(_) => Signature::Wrong,
        }
    }
}

fn canonical(target: &str) -> String {
    format!("GET\n{target}")
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    let mut pairs = digits.chunks_exact(2);
    let bytes = pairs.by_ref().filter_map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    let bytes = bytes.collect();
    pairs.remainder().is_empty().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_target_verifies() {
        let signer = UrlSigner::generate().unwrap();
        let target = signer.sign("/AC1/RE1.mp3", EXPIRES_SECONDS, &["x-hops=1".to_owned()]);
        assert_eq!(signer.check(&target), Signature::Good);
        for changed in [
            target.replace("RE1", "RE2"),
            target.replace("x-hops=1", "x-hops=2"),
            target.replace("300", "3000"),
            format!("{target}0"),
            format!("{target}zz"),
        ] {
            assert_eq!(signer.check(&changed), Signature::Wrong, "{changed}");
        }
        let unsigned = target.split("&X-Amz-Signature").next().unwrap();
        assert_eq!(signer.check(unsigned), Signature::Missing);
        assert_eq!(UrlSigner::generate().unwrap().check(&target), Signature::Wrong);
    }
}
