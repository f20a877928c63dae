//! Test doubles that are real: what stands at the other end of an exporter, and breaks on demand.
//!
//! It **is** an OTLP receiver and a TCP proxy on real sockets, a probe for the law of conservation, an allocator that counts,
//! and spans to export. It **is not** a mock: what is tested against it has gone through the kernel, HTTP/2 and protobuf. It is
//! never published, and depends on none of the crates that it tests but core.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::time::Duration;
//! use spanwright_testing::{Answer, Receiver, Reply};
//!
//! let receiver = Receiver::spawn()?;
//! receiver.script([Reply::unavailable().with_retry_after(Duration::from_secs(1))]); // the first request only
//!
//! // In a test the exporter does this, to `receiver.grpc_endpoint()` or `receiver.http_endpoint()`.
//! let mut client = std::net::TcpStream::connect(receiver.http_address())?;
//! client.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
//!                    content-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//!
//! assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"));
//! assert_eq!(receiver.requests()[0].answer, Answer::Http(503));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The main types
//!
//! | for | type |
//! |---|---|
//! | the other end | [`Receiver`], told what to do by [`Reply`] and [`Gate`], telling what it saw by [`ReceivedRequest`] and [`Counts`] |
//! | the network between | [`FaultProxy`] |
//! | the law `ended == exported + rejected + lost + pending` | [`ConservationProbe`], [`Watch`] |
//! | "allocates nothing" | [`CountingAllocator`], [`allocations`] |
//! | something to export | [`SpanFactory`], [`http_server_span`] |
//! | time | [`ManualClock`], which is core's |
//!
//! Receiver and proxy run on threads of their own, so that a test may block, or have no runtime at all. Everything that a test
//! has to wait for can be waited for (`wait_until` on a thread, `reached` in a task): no test needs to sleep.
//!
//! The binary `otlp-receiver` is the receiver in a process of its own, for benches.
//!
//! # Features and MSRV
//!
//! | feature | adds |
//! |---|---|
//! | `tls` | `TestCertificates`, and the receiver over TLS and mutual TLS |
//!
//! Rust 1.88.
#![deny(unsafe_code)]

#[expect(
    unsafe_code,
    reason = "an allocator can only be implemented with it; nothing else is in there"
)]
mod allocator;
#[cfg(feature = "tls")]
mod certificates;
mod discard;
mod gate;
mod listener;
mod port;
mod probe;
mod proxy;
mod receiver;
mod scratch;
mod socket;
mod spans;
mod watched;
mod worker;

#[doc(inline)]
pub use self::{
    allocator::{Allocations, CountingAllocator, allocations},
    discard::Discard,
    gate::Gate,
    probe::{ConservationProbe, Watch},
    proxy::{Direction, FaultProxy, ProxyCounts},
    receiver::{Answer, Counts, Dialect, Health, Mode, Protocol, ReceivedRequest, Receiver, ReceiverBuilder, Reply},
    scratch::ScratchDir,
    spans::{SpanFactory, http_server_span},
};

#[cfg(feature = "tls")]
#[doc(inline)]
pub use self::certificates::TestCertificates;

#[doc(no_inline)]
pub use spanwright_core::ManualClock;
