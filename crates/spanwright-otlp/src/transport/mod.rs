//! Connections: what both protocols stand on.

mod connect;
mod home;
#[cfg(feature = "tls")]
pub(crate) mod tls;

pub(crate) use self::{connect::Connector, home::Home};
