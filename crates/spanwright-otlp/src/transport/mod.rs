//! Connections: what both protocols stand on.

mod connect;
mod dial;
#[cfg(feature = "grpc")]
mod gather;
mod home;
#[cfg(test)]
pub(crate) mod moving;
#[cfg(feature = "tls")]
pub(crate) mod tls;

#[cfg(feature = "grpc")]
pub(crate) use self::gather::Gathering;
pub(crate) use self::{
    connect::Connector,
    dial::{Dial, Names},
    home::Home,
};
