//! Test doubles that are real: a scriptable OTLP receiver.
#![deny(unsafe_code)]

#[expect(
    unsafe_code,
    reason = "an allocator can only be implemented with it; nothing else is in there"
)]
mod allocator;
#[cfg(feature = "tls")]
mod certificates;
mod gate;
mod listener;
mod port;
mod probe;
mod proxy;
mod receiver;
mod socket;
mod spans;
mod watched;
mod worker;

#[doc(inline)]
pub use self::{
    allocator::{Allocations, CountingAllocator, allocations},
    gate::Gate,
    probe::{ConservationProbe, Watch},
    proxy::{Direction, FaultProxy, ProxyCounts},
    receiver::{Answer, Counts, Dialect, Health, Mode, Protocol, ReceivedRequest, Receiver, ReceiverBuilder, Reply},
    spans::{SpanFactory, http_server_span},
};

#[cfg(feature = "tls")]
#[doc(inline)]
pub use self::certificates::TestCertificates;

#[doc(no_inline)]
pub use spanwright_core::ManualClock;
