//! The replacement of [`Tls`] in a program that is built without the feature `tls`.

use std::sync::Arc;

use super::files::WebTls;
use crate::error::RunError;

/// A type without values: there is no TLS.
pub(crate) enum Tls {}

impl Tls {
    /// Refuses to use TLS.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn load(_: &WebTls) -> Result<Arc<Self>, RunError> {
        Err(RunError::Settings("this program cannot use TLS: build it with Marlowe's feature `tls`".into()))
    }

    pub(crate) fn serves(&self) -> bool {
        match *self {}
    }
}
