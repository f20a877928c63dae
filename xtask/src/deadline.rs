//! How long something may still take.

use std::time::{Duration, Instant};

/// A point in time that waiting ends at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn within(duration: Duration) -> Self {
        Self(now() + duration)
    }

    /// The time left, zero when it is over.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this bounds how long other programs may take: their time is the real one"
)]
fn now() -> Instant {
    Instant::now()
}
