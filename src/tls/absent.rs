//! TLS where the program is built without it.

use std::sync::Arc;

use super::files::WebTls;
use crate::error::RunError;

/// There is none.
pub(crate) enum Tls {}

impl Tls {
    /// Refuses.
    pub(crate) fn load(_: &WebTls) -> Result<Arc<Self>, RunError> {
        Err(RunError::Settings("this program speaks no TLS: it is built without Marlowe's feature `tls`".into()))
    }

    pub(crate) fn serves(&self) -> bool {
        match *self {}
    }
}
