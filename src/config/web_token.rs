//! The tokens of callers of a worker's web server, each with a role.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::RunError;

/// The role of a caller of the web server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The caller may read: requests with the methods GET, HEAD and OPTIONS.
    Read,
    /// The caller may also change: requests with all methods.
    Write,
}

/// A secret that lets a caller use the web server. It is never shown, not even by `Debug`.
/// ```
/// use marlowe::Config;
/// use marlowe::config::WebToken;
///
/// let config = Config::default()
///     .web_token(WebToken::write("open-sesame").named("ada"))
///     .web_token(WebToken::read("look-around"));
/// assert!(!format!("{config:?}").contains("sesame"));
/// ```
#[derive(Clone)]
pub struct WebToken {
    pub(crate) role: Role,
    pub(crate) name: Option<Arc<str>>,
    secret: Arc<str>,
}

impl WebToken {
    /// Returns a token whose callers may read.
    pub fn read(secret: &str) -> Self {
        Self { role: Role::Read, name: None, secret: secret.into() }
    }

    /// Returns a token whose callers may read and change.
    pub fn write(secret: &str) -> Self {
        Self { role: Role::Write, name: None, secret: secret.into() }
    }

    /// Names its callers; see [`Caller::name`](crate::web::Caller::name).
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Reads a file of tokens. Each line is `read TOKEN` or `write TOKEN`, optionally followed by a
    /// name. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// When the file cannot be read, contains any other line, or contains no token.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Vec<Self>, RunError> {
        let path = path.as_ref();
        let wrong = |reason: String| {
            RunError::Settings(format!(
                "the web tokens in {}: {reason}; write lines of `read TOKEN` and `write TOKEN`",
                path.display()
            ))
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut tokens = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let token = match words.as_slice() {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                ["read", secret] => Self::read(secret),
                ["write", secret] => Self::write(secret),
                ["read", secret, name] => Self::read(secret).named(name),
                ["write", secret, name] => Self::write(secret).named(name),
                // The line is not shown, because it may contain a token.
                _ => return Err(wrong(format!("line {} is not a token", number + 1))),
            };
            tokens.push(token);
        }
        if tokens.is_empty() { Err(wrong("the file has no token".into())) } else { Ok(tokens) }
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// Returns the value of the `Authorization` header with which a client sends it.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.secret)
    }

    /// Returns whether it can be sent in a header: it is visible ASCII, and not empty.
    pub(crate) fn is_valid(&self) -> bool {
        !self.secret.is_empty() && self.secret.chars().all(|c| c.is_ascii_graphic())
    }
}

/// Parses `read:TOKEN` or `write:TOKEN`. A text without a role is a token whose callers may read
/// and change.
impl From<&str> for WebToken {
    fn from(text: &str) -> Self {
        match text.split_once(':') {
            Some(("read", secret)) => Self::read(secret),
            Some(("write", secret)) => Self::write(secret),
            _ => Self::write(text),
        }
    }
}

impl From<String> for WebToken {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Debug for WebToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebToken").field("role", &self.role).field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_a_file_and_never_shown() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("tokens");
        std::fs::write(&path, "# who may what\nwrite sesame ada\n\n  read look  \n")?;
        let tokens = WebToken::from_file(&path)?;
        assert_eq!(tokens.len(), 2);
        assert_eq!((tokens[0].role, tokens[0].bearer().as_str()), (Role::Write, "Bearer sesame"));
        assert_eq!((tokens[1].role, tokens[1].name.as_deref()), (Role::Read, None));
        assert!(!format!("{tokens:?}").contains("sesame"));
        for wrong in ["sesame", "admin sesame", "write", "write sesame ada more", "", "# none"] {
            std::fs::write(&path, wrong)?;
            let error = WebToken::from_file(&path).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("`read TOKEN`") && !error.contains("sesame"), "{wrong}: {error}");
        }
        Ok(())
    }
}
