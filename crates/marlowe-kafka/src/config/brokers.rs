//! The brokers in a `kafka://` URL.

use super::KafkaConfigError;

/// The beginning of a cluster's URL.
pub(super) const SCHEME: &str = "kafka://";

/// Returns the brokers of `kafka://HOST:PORT,HOST:PORT` in librdkafka's format.
pub(super) fn brokers(url: &str) -> Result<String, KafkaConfigError> {
    let wrong = |reason: String| KafkaConfigError::Url { reason };
    let Some(list) = url.strip_prefix(SCHEME) else {
        return Err(wrong(format!("`{url}` is no Kafka cluster")));
    };
    if list.contains('@') {
        // The error does not repeat the URL, because errors are shown and logged.
        return Err(wrong(
            "a user or password does not belong into a cluster's place (there are the settings sasl.username and \
             sasl.password)"
                .into(),
        ));
    }
    if let Some(rest) = list.find(['/', '?', '#']).map(|at| &list[at..]) {
        return Err(wrong(format!("`{rest}` cannot stand after the brokers (there are settings for the rest)")));
    }
    for broker in list.split(',') {
        check(broker).map_err(|reason| wrong(format!("`{url}`: {reason}")))?;
    }
    Ok(list.to_owned())
}

fn check(broker: &str) -> Result<(), String> {
    let (host, port) = match broker.strip_prefix('[') {
        // An IPv6 address contains colons of its own.
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| format!("`{broker}` lacks its `]`"))?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or(port)) })
        }
        None => match broker.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (broker, None),
        },
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(format!("`{broker}` names no host"));
    }
    match port.map(str::parse::<u16>) {
        None => Err(format!("`{broker}` has no port, which is 9092 as a rule")),
        Some(Ok(1..)) => Ok(()),
        Some(_) => Err(format!("`{broker}` has no port from 1 to 65535")),
    }
}
