//! Test doubles that are real: a scriptable OTLP receiver.
#![deny(unsafe_code)]

mod gate;
mod port;
mod receiver;
mod socket;
mod worker;

#[doc(inline)]
pub use self::{
    gate::Gate,
    receiver::{Answer, Counts, Dialect, Health, Mode, Protocol, ReceivedRequest, Receiver, ReceiverBuilder, Reply},
};
