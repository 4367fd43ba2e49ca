//! The secret that the workers of an app share, and what is signed with it.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderValue;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// A secret that the workers of an app share. It is shown nowhere, not even by `Debug`.
///
/// ```
/// use marlowe::{ClusterToken, Config};
///
/// let token = ClusterToken::from("sesame");
/// assert!(!format!("{token:?}").contains("sesame"));
/// let config = Config::default().cluster_token(token);
/// assert!(!format!("{config:?}").contains("sesame"));
/// ```
#[derive(Clone)]
pub struct ClusterToken(Arc<str>);

impl ClusterToken {
    /// That it can stand in a header: visible ASCII, and not nothing.
    pub(crate) fn is_valid(&self) -> bool {
        !self.0.is_empty() && self.0.chars().all(|c| c.is_ascii_graphic())
    }

    /// As a header says it.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Signs `parts` with HMAC-SHA256. What is signed for one purpose is no signature for another.
    pub(crate) fn sign(&self, purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
        self.mac(purpose, parts).finalize().into_bytes().to_vec()
    }

    /// Returns whether `signature` is that of `parts`. How long that takes does not tell how much of it is right.
    pub(crate) fn has_signed(&self, purpose: &str, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.mac(purpose, parts).verify_slice(signature).is_ok()
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes keys of any length");
        for part in [purpose.as_bytes()].iter().chain(parts) {
            // The lengths keep apart what the parts' bytes alone would not.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// Whether a header says this token. How long that takes does not tell how much of it is right.
    pub(crate) fn is_in(&self, header: Option<&HeaderValue>) -> bool {
        let said = header.and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")).unwrap_or_default();
        bool::from(said.ct_eq(self.0.as_bytes()))
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
    fn only_the_whole_token_as_a_bearer_is_right() {
        let token = ClusterToken::from("sesame");
        let is_right = |text: &str| token.is_in(Some(&HeaderValue::from_str(text).unwrap()));
        assert!(is_right("Bearer sesame") && token.is_in(token.bearer().as_ref()));
        for wrong in ["sesame", "Bearer sesam", "Bearer sesame ", "Bearer Sesame", "Basic sesame", "bearer", ""] {
            assert!(!is_right(wrong), "{wrong}");
        }
        assert!(!token.is_in(None));
        assert!(!ClusterToken::from("").is_valid() && !ClusterToken::from("a b").is_valid() && token.is_valid());
        assert!(!ClusterToken::from("").is_valid(), "nothing would be said by everyone who says nothing");
    }
}
