//! The headers of requests to agents, and of their replies.

use marlowe_broker::Header;

/// In a request: the name of the agent that is asked. Other agents that read the same topic, or a
/// copy of the record, do not answer.
pub(crate) const ASKS: &str = "marlowe-asks";

/// In a request: the place for the reply. This is `topic/partition` of the topic of replies, or a
/// topic of the program.
pub(crate) const REPLY_TO: &str = "marlowe-reply-to";

/// In a request whose reply goes to a topic of the program: the key of the reply, if it has one.
pub(crate) const REPLY_KEY: &str = "marlowe-reply-key";

/// In a request and its reply: the asker's run and the number of its request.
pub(crate) const CORRELATION: &str = "marlowe-correlation";

/// In a reply without a value: the reason why there is none.
pub(crate) const REPLY_ERROR: &str = "marlowe-error";

/// Returns `true` if a header describes a request. Records that the request's handler sends on do
/// not get such headers.
pub(crate) fn is_about_a_request(header: &Header<'_>) -> bool {
    [ASKS, REPLY_TO, REPLY_KEY, CORRELATION].contains(&header.name)
}

/// Returns the value of a header, if it has one.
pub(crate) fn find<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name == name)?.value
}
