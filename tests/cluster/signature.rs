//! The signature of a request between workers. It is computed here from its description, and not by
//! the code of the library.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use marlowe::Running;
use marlowe_broker::{Clock, SystemClock};
use sha2::{Digest, Sha256};

/// A request, and the token that signs it.
#[derive(Clone, Copy)]
pub(crate) struct Signature<'a> {
    pub(crate) token: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The headers that are signed, sorted by name.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
    /// The age of the signature, in milliseconds.
    pub(crate) millis_ago: i64,
    /// The number that tells this request from others that are the same in all else.
    pub(crate) number: u8,
}

impl Signature<'_> {
    /// Returns the header `marlowe-signed` of the request to the process's first worker.
    pub(crate) fn to(&self, running: &Running) -> String {
        let url = format!("http://{}", running.web_addresses()[0]);
        let now = SystemClock.now().millis();
        let stamp = format!(
            "{} {} {} {}",
            now - self.millis_ago,
            BASE64.encode([self.number; 16]),
            self.body.len(),
            BASE64.encode(Sha256::digest(self.body))
        );
        let mut parts = vec!["marlowe request", &url, self.method, self.path, &stamp];
        for (name, value) in self.headers {
            parts.extend([name, value]);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(self.token.as_bytes()).unwrap();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        format!("{stamp} {}", BASE64.encode(mac.finalize().into_bytes()))
    }
}
