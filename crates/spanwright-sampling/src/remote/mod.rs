//! Strategies that a server hands out.
//!
//! ```text
//! thread "spanwright-remote"                          application threads
//!   Schedule ── due ──► Errand: HTTP or gRPC            sample()
//!                         │ bytes                          │ one load
//!                       answer ─► strategy ─► Active ══════╧═► CompositeSampler
//!                         │ refused: the old one stays
//!                       told once, counted
//! ```
//!
//! Everything but the client and the thread is without I/O. What differs from one kind of server to another is its errand, its
//! strategies, and what they make active.

mod address;
mod client;
mod error;
mod jaeger;
mod json;
mod poller;
mod running;
mod schedule;
mod state;
mod stats;
mod xray;

pub use self::{
    error::{RemoteError, RemoteErrorKind},
    jaeger::{JaegerProtocol, JaegerRemoteSampler, JaegerRemoteSamplerBuilder},
    stats::RemoteStats,
    xray::{XRaySampler, XRaySamplerBuilder},
};
