//! The sessions of browsers. A session is a cookie that says when it ends. It is signed with the
//! token that was entered at the login.
//!
//! The server stores nothing about sessions. Every worker with the same token accepts them, also
//! after a restart. No worker accepts them after the token is removed.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use hmac::{Hmac, KeyInit, Mac};
use marlowe_broker::Timestamp;
use sha2::Sha256;

use super::access::{Access, Caller};
use crate::config::WebToken;

pub(crate) const LOGIN: &str = "/login";
pub(crate) const LOGOUT: &str = "/logout";

/// The duration of a session.
const LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// The sessions of an app: it begins them and recognizes them.
pub(crate) struct Sessions {
    /// The name of the cookie. It contains the app's name, because browsers do not distinguish the
    /// ports of a machine.
    cookie: String,
    app: String,
    /// `true` if browsers may send the cookie over TLS only.
    secure: bool,
}

impl Sessions {
    pub(crate) fn new(app: &str, secure: bool) -> Self {
        Self { cookie: format!("marlowe-{app}"), app: app.to_owned(), secure }
    }

    /// Returns the cookie that begins a session for the callers of `token`, as a header's value.
    pub(crate) fn begin(&self, token: &WebToken, now: Timestamp) -> Option<HeaderValue> {
        let until = now.millis() / 1000 + LASTS.as_secs() as i64;
        let signature = hex(&self.signature(token, until)?.finalize().into_bytes());
        self.header(&format!("{until}.{signature}"), LASTS)
    }

    /// Returns the cookie that ends a session, as a header's value.
    pub(crate) fn end(&self) -> Option<HeaderValue> {
        self.header("", Duration::ZERO)
    }

    fn header(&self, value: &str, lasts: Duration) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let (name, lasts) = (&self.cookie, lasts.as_secs());
        let text = format!("{name}={value}; Max-Age={lasts}; Path=/; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&text).ok()
    }

    /// Returns the caller whose session a request belongs to, unless the session has ended.
    pub(crate) fn caller(&self, access: &Access, headers: &HeaderMap, now: Timestamp) -> Option<Caller> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let (_, session) = cookies.find(|(name, _)| *name == self.cookie)?;
        let (until, signature) = session.split_once('.')?;
        let (until, signature) = (until.parse::<i64>().ok()?, unhex(signature)?);
        if until <= now.millis() / 1000 {
            return None;
        }
        let mut found = None;
        for token in access.tokens() {
            // `verify_slice` takes the same time for every token.
            if self.signature(token, until).is_some_and(|own| own.verify_slice(&signature).is_ok()) {
                found = Some(token);
            }
        }
        found.map(Caller::of)
    }

    /// Removes the session from a request. A handler needs to know only the caller.
    pub(crate) fn forget(&self, headers: &mut HeaderMap) {
        let others: Vec<HeaderValue> = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| match value.to_str() {
                Ok(cookies) => {
                    let is_other =
                        |cookie: &&str| cookie.trim().split_once('=').is_none_or(|(name, _)| name != self.cookie);
                    let others: Vec<&str> = cookies.split(';').map(str::trim).filter(is_other).collect();
                    HeaderValue::from_str(&others.join("; ")).ok().filter(|others| !others.is_empty())
                }
                Err(_) => Some(value.clone()),
            })
            .collect();
        headers.remove(header::COOKIE);
        for cookies in others {
            headers.append(header::COOKIE, cookies);
        }
    }

    /// Returns the computation of a session's signature, for a session that ends at `until`.
    fn signature(&self, token: &WebToken, until: i64) -> Option<Hmac<Sha256>> {
        let mut signature = Hmac::<Sha256>::new_from_slice(token.secret()).ok()?;
        signature.update(format!("marlowe session\0{}\0{until}", self.app).as_bytes());
        Some(signature)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len() == 64 { digits.chunks(2).map(pair).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::Role;

    #[test]
    fn a_session_is_of_its_token_until_its_end() {
        let now = Timestamp::from_millis(1_000_000_000);
        let after = |seconds: i64| Timestamp::from_millis(now.millis() + 1000 * seconds);
        let access = |token: WebToken| Access::new(&Config::default().web_token(token));
        let (sessions, right) = (Sessions::new("shop", false), access(WebToken::read("sesame").named("ada")));
        let said = sessions.begin(&right.tokens()[0], now).unwrap();
        let said = said.to_str().unwrap();
        assert!(said.contains("HttpOnly") && said.contains("SameSite=Strict") && !said.contains("Secure"), "{said}");
        assert!(!said.contains("sesame"));
        let cookie = said.split(';').next().unwrap().to_owned();
        let headers = |cookie: &str| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())]);
        let caller = |access: &Access, cookie: &str, at| sessions.caller(access, &headers(cookie), at);
        let ada = Caller { role: Role::Read, name: Some("ada".into()) };
        assert_eq!(caller(&right, &format!("a=b; {cookie}; c=d"), after(12 * 3600 - 1)), Some(ada));
        assert_eq!(caller(&right, &cookie, after(12 * 3600)), None, "it has ended");
        assert_eq!(caller(&access(WebToken::read("other")), &cookie, now), None, "the token is gone");
        let mut forgotten = headers(&format!("a=b; {cookie}; c=d"));
        forgotten.append(header::COOKIE, HeaderValue::from_str(&cookie).unwrap());
        sessions.forget(&mut forgotten);
        assert_eq!(forgotten, headers("a=b; c=d"));
        // The end of a session is signed too.
        let (name, session) = cookie.split_once('=').unwrap();
        let (until, signature) = session.split_once('.').unwrap();
        let longer = format!("{name}={}.{signature}", until.parse::<i64>().unwrap() + 1);
        for forged in
            [longer.as_str(), &format!("{name}={until}."), &format!("{name}={until}"), &format!("x{cookie}"), ""]
        {
            assert_eq!(caller(&right, forged, now), None, "{forged}");
        }
        let other = Sessions::new("bank", true);
        assert_eq!(other.caller(&right, &headers(&cookie.replace("shop", "bank")), now), None, "another app's");
        assert!(other.begin(&right.tokens()[0], now).unwrap().to_str().unwrap().contains("; Secure"));
    }
}
