//! The options for TLS.

use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CliError;
use crate::error::RunError;
use crate::tls::WebTls;

/// The TLS options of every command that asks or runs a worker.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TlsOptions {
    /// A file with the web server's certificate, in PEM, followed by the intermediate certificates.
    /// The web server then speaks HTTPS, and commands trust the certificate [default: none; plain
    /// HTTP]
    #[arg(long, global = true, env = "MARLOWE_WEB_TLS_CERT", value_name = "FILE")]
    web_tls_cert: Option<PathBuf>,
    /// A file with the private key of --web-tls-cert, in PEM
    #[arg(long, global = true, env = "MARLOWE_WEB_TLS_KEY", value_name = "FILE")]
    web_tls_key: Option<PathBuf>,
    /// A file with more certificates to trust, in PEM: those of other workers, or of the
    /// authorities that signed them
    #[arg(long, global = true, env = "MARLOWE_WEB_TLS_CA", value_name = "FILE")]
    web_tls_ca: Option<PathBuf>,
}

impl TlsOptions {
    /// Returns the certificates that a command trusts when it asks a running worker.
    pub(crate) fn of_a_command(&self) -> Option<WebTls> {
        let mut trusted = [&self.web_tls_cert, &self.web_tls_ca].into_iter().flatten();
        let first = WebTls::trusting(trusted.next()?);
        Some(trusted.fold(first, WebTls::and_trust))
    }

    /// Returns the certificate that a worker shows, and those that it trusts.
    pub(crate) fn of_a_worker(&self) -> Result<Option<WebTls>, CliError> {
        let alone = |option: &str, other: &str| {
            Err(RunError::Settings(format!(
                "a web server needs a certificate and its key: give {other} as well as {option}"
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
