//! The common parts of the built-in pages: text in HTML, and the policy for what a page may load.

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The content security policy of a page. The page may load its own scripts and styles, which are
/// named by their hashes, and what this server serves. It may load nothing else. So text from a
/// table could do no harm even if a browser took it for a script.
pub(super) struct Policy(String);

impl Policy {
    /// Returns the policy of a page. The page's scripts and styles are part of its text.
    pub(super) fn of(page: &str) -> Self {
        let (scripts, styles) = (hashes(page, "script"), hashes(page, "style"));
        let mut policy = String::from(
            "default-src 'none'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        );
        for (what, hashes) in [("script-src", scripts), ("style-src", styles)] {
            if !hashes.is_empty() {
                policy.push_str(&format!("; {what}{hashes}"));
            }
        }
        Self(policy)
    }

    pub(super) fn header(&self) -> HeaderValue {
        // Base64 is valid in a header.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    }
}

/// Returns the hashes of the elements `tag` in a page.
fn hashes(page: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let elements = page.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    elements.map(|(text, _)| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))).collect()
}

/// Returns text in the form in which HTML shows it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_loads_its_own_scripts_and_styles_only() {
        let policy = Policy::of("<style>a</style><script>alert(1)</script>").0;
        // The specification has this hash as an example, for `alert('Hello, world.');`.
        let known = Policy::of("<script>alert('Hello, world.');</script>").0;
        assert!(known.contains("script-src 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"), "{known}");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("style-src 'sha256-"), "{policy}");
        assert!(!known.contains("style-src") && !policy.contains("unsafe"), "{known}");
    }
}
