//! What the proxy does to the bytes.

use std::num::NonZeroU64;
use std::time::Duration;

/// One of the two ways of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ways")]
pub enum Direction {
    /// From the target to the client: answers.
    ToClient,
    /// From the client to the target: requests.
    ToTarget,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    pub(super) black_hole: bool,
    to_client: Flow,
    to_target: Flow,
}

/// What happens in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flow {
    pub(super) delay: Duration,
    pub(super) bytes_per_second: Option<NonZeroU64>,
    pub(super) cut_after: Option<u64>,
}

impl Settings {
    pub(super) fn flow(&self, direction: Direction) -> Flow {
        match direction {
            Direction::ToClient => self.to_client,
            Direction::ToTarget => self.to_target,
        }
    }

    pub(super) fn flow_mut(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToClient => &mut self.to_client,
            Direction::ToTarget => &mut self.to_target,
        }
    }
}
