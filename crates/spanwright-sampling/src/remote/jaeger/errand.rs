//! What the thread does for a Jaeger sampler.

use std::sync::Arc;
use std::time::Instant;

use spanwright_core::{Clock, SystemClock};

use super::active::Active;
use super::client::Client;
use crate::remote::error::RemoteError;
use crate::remote::poller::Errand;
use crate::remote::schedule::Schedule;
use crate::remote::state::State;

/// Asks for the strategy.
#[derive(Debug)]
pub(super) struct JaegerErrand {
    pub(super) client: Client,
    pub(super) schedule: Schedule,
    pub(super) state: Arc<State<Active>>,
}

impl Errand for JaegerErrand {
    fn due(&self) -> Instant {
        self.schedule.due()
    }

    async fn run(&mut self, _is_wished: bool) -> Result<(), RemoteError> {
        let answer = self.client.fetch().await.map(Some);
        self.state.book(SystemClock.now(), &mut self.schedule, answer)
    }

    fn panicked(&mut self, panic: RemoteError) -> RemoteError {
        let booked = self
            .state
            .book(SystemClock.now(), &mut self.schedule, Err(panic.clone()));
        booked.err().unwrap_or(panic)
    }
}
