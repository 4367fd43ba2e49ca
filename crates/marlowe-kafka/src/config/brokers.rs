//! The brokers in a `kafka://` URL.

use super::KafkaConfigError;

/// The beginning of a cluster's URL.
pub(super) const SCHEME: &str = "kafka://";

/// Returns the brokers of `kafka://HOST:PORT,HOST:PORT` in librdkafka's format.
pub(super) fn brokers(url: &str) -> Result<String, KafkaConfigError> {
    let wrong = |reason: String| KafkaConfigError::Url { reason };
    let Some(list) = url.strip_prefix(SCHEME) else {
        return Err(wrong(format!("`{url}` is not the URL of a Kafka cluster")));
    };
    if list.contains('@') {
        // The error does not repeat the URL, because errors are shown and logged.
        return Err(wrong(
            "the URL of a cluster cannot have a user or a password (use the settings sasl.username and sasl.password)"
                .into(),
        ));
    }
    if let Some(rest) = list.find(['/', '?', '#']).map(|at| &list[at..]) {
        return Err(wrong(format!("nothing may follow the brokers, and `{rest}` does (use settings instead)")));
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
            let (host, port) = rest.split_once(']').ok_or_else(|| format!("`{broker}` has no closing `]`"))?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or(port)) })
        }
        None => match broker.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (broker, None),
        },
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(format!("`{broker}` has no valid host"));
    }
    match port.map(str::parse::<u16>) {
        None => Err(format!("`{broker}` has no port (usually 9092)")),
        Some(Ok(1..)) => Ok(()),
        Some(_) => Err(format!("`{broker}` has a port that is not a number from 1 to 65535")),
    }
}
