//! The settings that need a feature of Marlowe which this build may lack.

use std::collections::BTreeMap;

const SSL: &str = "TLS: build with Marlowe's feature `kafka-ssl`, or `kafka-ssl-vendored` where there is no OpenSSL";
const SCRAM: &str =
    "SASL mechanism but PLAIN: build with Marlowe's feature `kafka-ssl`, which has SCRAM and OAUTHBEARER";
const GSSAPI: &str = "Kerberos: build with Marlowe's feature `kafka-gssapi`, or set sasl.mechanism";
const OIDC: &str = "OpenID Connect: build with Marlowe's feature `kafka-oidc`";

/// Returns the part of librdkafka that the setting `name` needs and this build lacks, with the way
/// to get it. Returns `None` if nothing is missing.
pub(super) fn missing_feature(settings: &BTreeMap<String, String>, name: &str) -> Option<&'static str> {
    let value = |name: &str| settings.get(name).map(|value| value.to_ascii_lowercase());
    let mechanism = || value("sasl.mechanisms").or_else(|| value("sasl.mechanism"));
    let (ssl, gssapi, oidc) = (cfg!(feature = "ssl"), cfg!(feature = "gssapi"), cfg!(feature = "oidc"));
    match name {
        name if name.starts_with("ssl.") && !ssl => Some(SSL),
        "security.protocol" => match value(name).as_deref() {
            Some("ssl" | "sasl_ssl") if !ssl => Some(SSL),
            // Kerberos is librdkafka's default mechanism.
            Some("sasl_plaintext" | "sasl_ssl") if mechanism().is_none() && !gssapi => Some(GSSAPI),
            _ => None,
        },
        "sasl.mechanism" | "sasl.mechanisms" => match value(name).as_deref() {
            Some("gssapi") if !gssapi => Some(GSSAPI),
            Some("scram-sha-256" | "scram-sha-512" | "oauthbearer") if !ssl => Some(SCRAM),
            _ => None,
        },
        "sasl.oauthbearer.method" if value(name).as_deref() == Some("oidc") && !oidc => Some(OIDC),
        _ => None,
    }
}
