//! The headers by which agents are asked and answer.

use marlowe_broker::Header;

/// In a request: the agent that is asked. Others that read the same topic, or a copy of the record, do not answer.
pub(crate) const ASKS: &str = "marlowe-asks";

/// In a request: where the reply goes, `topic/partition` of the replies' topic, or a topic of the program.
pub(crate) const REPLY_TO: &str = "marlowe-reply-to";

/// In a request whose reply goes to a topic: the key that the reply is to have there, if any.
pub(crate) const REPLY_KEY: &str = "marlowe-reply-key";

/// In a request and its reply: whose it is, and which of theirs.
pub(crate) const CORRELATION: &str = "marlowe-correlation";

/// In a reply, instead of a value: why there is none.
pub(crate) const REPLY_ERROR: &str = "marlowe-error";

/// Whether a header is about a request, and so none of what is sent on from its handler.
pub(crate) fn is_about_a_request(header: &Header<'_>) -> bool {
    [ASKS, REPLY_TO, REPLY_KEY, CORRELATION].contains(&header.name)
}

/// The value of a header, if it has one.
pub(crate) fn find<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name == name)?.value
}
