//! Connections: what both protocols stand on.

mod connect;
#[cfg(feature = "grpc")]
mod gather;
mod home;
#[cfg(feature = "tls")]
pub(crate) mod tls;

#[cfg(feature = "grpc")]
pub(crate) use self::gather::Gathering;
pub(crate) use self::{connect::Connector, home::Home};
