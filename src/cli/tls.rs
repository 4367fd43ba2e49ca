//! The options for TLS.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use crate::error::RunError;
use crate::tls::WebTls;

/// Options of every command that begins connections, or takes them.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TlsOptions {
    /// The web server's certificate, in PEM, followed by those that lead to an authority's: it speaks HTTPS. Commands trust it
    /// [default: none, plain HTTP]
    #[arg(long, global = true, env = "MARLOWE_WEB_TLS_CERT", value_name = "FILE")]
    web_tls_cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, global = true, env = "MARLOWE_WEB_TLS_KEY", value_name = "FILE")]
    web_tls_key: Option<PathBuf>,
    /// Certificates, in PEM, which other workers may show, or by which theirs are signed
    #[arg(long, global = true, env = "MARLOWE_WEB_TLS_CA", value_name = "FILE")]
    web_tls_ca: Option<PathBuf>,
}

impl TlsOptions {
    /// Returns what a command that asks a running worker trusts.
    pub(crate) fn of_a_command(&self) -> Option<WebTls> {
        let mut trusted = [&self.web_tls_cert, &self.web_tls_ca].into_iter().flatten();
        let first = WebTls::trusting(trusted.next()?);
        Some(trusted.fold(first, WebTls::and_trust))
    }

    /// Returns what a worker shows and trusts.
    pub(crate) fn of_a_worker(&self) -> Result<Option<WebTls>, CliError> {
        let alone = |option: &str, other: &str| {
            Err(RunError::Settings(format!(
                "a web server needs a certificate and its key: beside {option} also say {other}"
            ))
            .into())
        };
        match (&self.web_tls_cert, &self.web_tls_key) {
            (Some(certificates), Some(key)) => {
                Ok(Some(self.web_tls_ca.iter().fold(WebTls::new(certificates, key), WebTls::and_trust)))
            }
            (Some(_), None) => alone("--web-tls-cert", "--web-tls-key"),
            (None, Some(_)) => alone("--web-tls-key", "--web-tls-cert"),
            (None, None) => Ok(self.web_tls_ca.as_ref().map(WebTls::trusting)),
        }
    }
}
