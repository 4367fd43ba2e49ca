//! Checks of settings, before anything is started.

use super::Config;
use crate::error::RunError;
use crate::limits::{DAY, MOST_THREADS, SHORTEST, is_name, wrong_interval};

impl Config {
    /// Checks that numbers and times are within their bounds.
    pub(crate) fn check_bounds(&self) -> Result<(), RunError> {
        let intervals = [
            ("commit_interval", self.commit_interval),
            ("session_timeout", self.session_timeout),
            ("trim_interval", self.trim_interval()),
            ("web_limits.headers", self.web_limits.headers),
            ("web_limits.body", self.web_limits.body),
            ("web_limits.write", self.web_limits.write),
            ("web_limits.idle", self.web_limits.idle),
            // A `close_within` of zero is valid: then nothing in flight is waited for.
            ("close_within", self.close_within.max(SHORTEST)),
        ];
        let wrong = intervals
            .iter()
            .find_map(|(name, interval)| wrong_interval(*interval, DAY).map(|reason| format!("{name}: {reason}")));
        let counts = [
            ("workers", self.workers, MOST_THREADS),
            ("lanes", self.lanes.unwrap_or(1), MOST_THREADS),
            ("commit_bytes", self.commit_bytes, usize::MAX),
            ("queue_bytes", self.queue_bytes, usize::MAX),
            ("web_limits.connections", self.web_limits.connections.unwrap_or(1), usize::MAX),
        ];
        let wrong = wrong.or_else(|| self.wrong_pace());
        let wrong = wrong.or_else(|| {
            let (name, count, most) = counts.iter().find(|(_, count, most)| *count == 0 || count > most)?;
            let use_instead = if *most == usize::MAX { "at least 1".to_owned() } else { format!("1 to {most}") };
            Some(format!("{name}: {count} is out of bounds: use {use_instead}"))
        });
        wrong.map_or(Ok(()), |wrong| Err(RunError::Settings(wrong)))
    }

    /// Returns what is wrong with the settings of how often lanes commit.
    fn wrong_pace(&self) -> Option<String> {
        let (longest, shortest, share) = (self.commit_interval, self.min_commit_interval, self.commit_share);
        if shortest > longest {
            Some(format!(
                "min_commit_interval: {shortest:?} is more than commit_interval, {longest:?}: use at most as much"
            ))
        } else if !(share > 0.0 && share <= 1.0) {
            Some(format!("commit_share: {share} is out of bounds: use a number above 0 and at most 1, such as 0.1"))
        } else {
            None
        }
    }

    /// Checks that this name is valid.
    pub(crate) fn check_instance(&self) -> Result<(), RunError> {
        match self.instance_name() {
            Some(name) if name.len() > 200 || !is_name(name) => Err(RunError::Settings(format!(
                "instance `{name}` is not a valid name: use 1 to 200 letters, digits, `.`, `_` and `-`"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks that the secret can be sent in a header.
    pub(crate) fn check_token(&self) -> Result<(), RunError> {
        match &self.cluster_token {
            Some(token) if !token.is_valid() => Err(RunError::Settings(
                "the cluster token is empty or has characters that are not allowed: use letters, digits and \
                 punctuation of ASCII, without spaces"
                    .into(),
            )),
            _ => Ok(()),
        }
    }

    /// Checks that the tokens can be sent in a header, and that workers that need a secret of their
    /// own have one.
    fn check_web_tokens(&self) -> Result<(), RunError> {
        let tokens = &self.web_tokens;
        if tokens.iter().any(|token| !token.is_valid()) {
            return Err(RunError::Settings(
                "a web token is empty or has characters that are not allowed: use letters, digits and punctuation of \
                 ASCII, without spaces"
                    .into(),
            ));
        }
        let several = self.workers > 1 || self.standby_replicas > 0 || self.advertise.is_some();
        if !tokens.is_empty() && self.web.is_some() && several && self.cluster_token.is_none() {
            return Err(RunError::Settings(
                "the web server needs tokens, so workers need a secret to ask each other: give all workers of the app \
                 the same --cluster-token (or MARLOWE_CLUSTER_TOKEN)"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Checks that the web server's callers need a token, unless only this machine can reach it or
    /// everyone may.
    pub(crate) fn check_web(&self) -> Result<(), RunError> {
        self.check_web_tokens()?;
        match self.web {
            Some(address)
                if !address.ip().to_canonical().is_loopback() && self.web_tokens.is_empty() && !self.web_open =>
            {
                Err(RunError::Web {
                    address: address.to_string(),
                    reason: "other machines can reach it there, and without tokens it would answer everyone: set a \
                             token (--web-token, or MARLOWE_WEB_TOKEN), listen on the loopback (--web \
                             127.0.0.1:6066), or allow everyone to read and change (--web-open)"
                        .into(),
                })
            }
            _ => Ok(()),
        }
    }
}
