//! The other side: a server of strategies, and its messages.

pub(crate) mod messages;
pub(crate) mod server;
