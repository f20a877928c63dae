//! What the thread does for an X-Ray sampler.

use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use spanwright_core::{Clock, SystemClock};

use super::client::Client;
use super::rules::Rules;
use super::statistics::Statistics;
use super::target::Targets;
use crate::remote::client::refused;
use crate::remote::error::RemoteError;
use crate::remote::poller::Errand;
use crate::remote::schedule::Schedule;
use crate::remote::state::State;

/// The most documents that X-Ray takes at once.
const MAX_DOCUMENTS: usize = 25;

/// Asks for rules, and, where there are some, for what they are granted.
#[derive(Debug)]
pub(super) struct XRayErrand {
    client: Client,
    state: Arc<State<Rules>>,
    rules: Schedule,
    targets: Schedule,
    /// When the rules that we have, or know of, were changed, in seconds since 1970 by the server's clock.
    modified: Option<f64>,
    /// Which of the two is asked now.
    asks_targets: bool,
}

impl XRayErrand {
    pub(super) fn new(client: Client, state: Arc<State<Rules>>, rules: Schedule, targets: Schedule) -> Self {
        Self {
            client,
            state,
            rules,
            targets,
            modified: None,
            asks_targets: false,
        }
    }

    async fn ask_for_rules(&mut self) -> Result<(), RemoteError> {
        self.asks_targets = false;
        let answer = self.client.rules().await;
        let answer = answer.map(|(rules, modified)| {
            self.note_modification(modified);
            Some(rules)
        });
        self.state.book(SystemClock.now(), &mut self.rules, answer)
    }

    async fn ask_for_targets(&mut self, is_wished: bool) -> Result<(), RemoteError> {
        self.asks_targets = true;
        let statistics = self.state.in_force().root().statistics(SystemClock.now(), is_wished);
        if statistics.is_empty() {
            // Nothing to tell, and so nothing is asked. It is no answer either: what fails goes on failing.
            self.targets.postpone(SystemClock.now());
            return Ok(());
        }
        let mut answer = Ok(None);
        for statistics in statistics.chunks(MAX_DOCUMENTS) {
            let granted = self.client.targets(statistics, epoch_seconds() as u64).await;
            let granted = granted.and_then(|targets| self.apply(&targets, statistics));
            answer = answer.and(granted.map(|()| None));
        }
        self.state.book(SystemClock.now(), &mut self.targets, answer)
    }

    /// Those that were not taken are reported again.
    fn apply(&mut self, targets: &Targets, statistics: &[Statistics]) -> Result<(), RemoteError> {
        let now = SystemClock.now();
        let in_force = self.state.in_force();
        let rules = in_force.root();
        for statistics in statistics {
            let is_unprocessed = |rule: &str| targets.unprocessed.iter().any(|unprocessed| unprocessed.rule == rule);
            if !is_unprocessed(&statistics.rule) {
                rules.reported(statistics, now);
            }
        }
        for target in &targets.targets {
            rules.grant(target, now, epoch_seconds());
        }
        if self.note_modification(targets.last_modification) {
            self.rules.hasten(now);
        }
        match targets.unprocessed.first() {
            Some(first) => Err(refused(format!(
                "the server does not take the statistics of {} rules; of `{}`: {}",
                targets.unprocessed.len(),
                first.rule,
                first.why
            ))),
            None => Ok(()),
        }
    }

    fn has_rules(&self) -> bool {
        self.state.in_force().root().is_known()
    }

    /// Returns whether that is news.
    fn note_modification(&mut self, modified: Option<f64>) -> bool {
        let is_news = modified.is_some_and(|modified| self.modified.is_none_or(|known| modified > known));
        if is_news {
            self.modified = modified;
        }
        is_news
    }
}

impl Errand for XRayErrand {
    fn due(&self) -> Instant {
        let rules = self.rules.due();
        if self.has_rules() {
            rules.min(self.targets.due())
        } else {
            rules
        }
    }

    async fn run(&mut self, is_wished: bool) -> Result<(), RemoteError> {
        let now = SystemClock.now();
        let mut result = Ok(());
        if is_wished || self.rules.due() <= now {
            let was_known = self.has_rules();
            result = self.ask_for_rules().await;
            if !was_known {
                // What the first ones count is told an interval later.
                self.targets.postpone(now);
            }
        }
        if self.has_rules() && (is_wished || self.targets.due() <= now) {
            result = result.and(self.ask_for_targets(is_wished).await);
        }
        result
    }

    fn panicked(&mut self, panic: RemoteError) -> RemoteError {
        let schedule = if self.asks_targets {
            &mut self.targets
        } else {
            &mut self.rules
        };
        let booked = self.state.book(SystemClock.now(), schedule, Err(panic.clone()));
        booked.err().unwrap_or(panic)
    }
}

/// Since 1970.
fn epoch_seconds() -> f64 {
    let since = SystemClock.system_time().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
