//! The secret that the workers of an app share, and signatures that are made with it.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A secret that the workers of an app share. Nothing shows it, not even `Debug`.
///
/// ```
/// use marlowe::Config;
/// use marlowe::config::ClusterToken;
///
/// let token = ClusterToken::from("sesame");
/// assert!(!format!("{token:?}").contains("sesame"));
/// let config = Config::default().cluster_token(token);
/// assert!(!format!("{config:?}").contains("sesame"));
/// ```
#[derive(Clone)]
pub struct ClusterToken(Arc<str>);

impl ClusterToken {
    /// Returns `true` if the secret is not empty and consists of visible ASCII, so that it can be
    /// passed in settings and headers.
    pub(crate) fn is_valid(&self) -> bool {
        !self.0.is_empty() && self.0.chars().all(|c| c.is_ascii_graphic())
    }

    /// Signs `parts` with HMAC-SHA256. A signature for one purpose is not valid for another.
    pub(crate) fn sign(&self, purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
        self.mac(purpose, parts).finalize().into_bytes().to_vec()
    }

    /// Returns `true` if `signature` is the one of `parts`. The time that this takes does not
    /// reveal how much of the signature is right.
    pub(crate) fn has_signed(&self, purpose: &str, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.mac(purpose, parts).verify_slice(signature).is_ok()
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        for part in [purpose.as_bytes()].iter().chain(parts) {
            // The lengths keep apart parts that have the same bytes when they are joined.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for ClusterToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterToken(…)")
    }
}

impl From<String> for ClusterToken {
    fn from(token: String) -> Self {
        Self(token.into())
    }
}

impl From<&str> for ClusterToken {
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_token_purpose_and_text() {
        let token = ClusterToken::from("sesame");
        let signature = token.sign("entry", &[b"ab", b"c"]);
        assert!(token.has_signed("entry", &[b"ab", b"c"], &signature));
        assert!(!token.has_signed("entry", &[b"a", b"bc"], &signature));
        assert!(!token.has_signed("entry", &[b"ab", b"c", b""], &signature));
        assert!(!token.has_signed("request", &[b"ab", b"c"], &signature));
        assert!(!ClusterToken::from("other").has_signed("entry", &[b"ab", b"c"], &signature));
        for wrong in [&signature[1..], &[], b"x"] {
            assert!(!token.has_signed("entry", &[b"ab", b"c"], wrong));
        }
    }

    #[test]
    fn a_token_is_visible_ascii() {
        assert!(ClusterToken::from("sesame").is_valid());
        for wrong in ["", "a b", "sesäme", "a\n"] {
            assert!(!ClusterToken::from(wrong).is_valid(), "{wrong:?}");
        }
    }
}
