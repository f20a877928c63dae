//! Keeping what cannot be sent now, around an exporter that knows nothing of it.
//!
//! ```text
//! export ─► Lot (bounded, counted) ─► own thread: breaker ─► exporter ─► exported
//!                 ▲                                             │
//!                 └── back in front, after a delay ◄────────────┴─► lost{permanent}
//! ```

mod lot;
mod worker;

pub(crate) use self::{
    lot::Parked,
    worker::{Settings, Worker},
};
