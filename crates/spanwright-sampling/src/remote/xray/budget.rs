//! How much a rule may keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::statistics::{Counts, Statistics};
use super::target::Target;
use crate::intent::Intent;
use crate::rate::Reservoir;
use crate::tally::Tally;
use crate::ticker::{Tick, Waker};

/// What a rule without a quota takes of its reservoir per second, so that something is seen before the server has said anything.
const BORROWED_PER_SECOND: f64 = 1.0;

/// As often as a rule is reported unless the server says otherwise.
const INTERVAL: Duration = Duration::from_secs(10);

/// A report is due if no more than this is missing of the interval: polls are spread around theirs.
const SLACK: Duration = Duration::from_secs(2);

/// No quota is for longer, whatever a server says.
const LONGEST_QUOTA: Duration = Duration::from_secs(24 * 60 * 60);

/// A rule's reservoir and fixed rate, and what was decided by them. Stays with the rule from one set of rules to the next.
///
/// Without a quota, or when it has expired, the rule borrows one span a second, unless its reservoir is of nothing.
#[derive(Debug)]
pub(super) struct Budget {
    tally: Tally,
    reservoir: Reservoir,
    /// The share of the rest, as the bits of an `f64`.
    share: AtomicU64,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// As the rule says it.
    size: f64,
    fixed_rate: f64,
    quota: Option<Quota>,
    interval: Duration,
    /// What the reservoir is expected to have kept, all in all and while there was no quota.
    expected: f64,
    borrowed: f64,
    reported: Counts,
    reported_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Quota {
    per_second: f64,
    until: Instant,
}

impl Budget {
    /// Of a rule with a reservoir of `size`, which borrows from it.
    pub(super) fn new(name: Arc<str>, size: f64, fixed_rate: f64) -> Self {
        Self {
            tally: Tally::new(name),
            reservoir: Reservoir::new(size.min(BORROWED_PER_SECOND)),
            share: AtomicU64::new(fixed_rate.to_bits()),
            account: Mutex::new(Account {
                size,
                fixed_rate,
                quota: None,
                interval: INTERVAL,
                expected: 0.0,
                borrowed: 0.0,
                reported: Counts::default(),
                reported_at: None,
            }),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.tally.name()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The rule says this now. A rate from a target stays, unless the rule's own is another one.
    pub(super) fn renew(&self, size: f64, fixed_rate: f64) {
        let mut account = self.account.lock();
        if account.fixed_rate != fixed_rate {
            account.fixed_rate = fixed_rate;
            self.set_share(fixed_rate);
        }
        if account.size != size {
            account.size = size;
            self.open(&account);
        }
    }

    /// What the server grants it; it is `now`, and `epoch_seconds` since 1970.
    ///
    /// The end of a quota is a time of day and counts from here on by a clock that does not jump. One that has passed is none.
    pub(super) fn grant(&self, target: &Target, now: Instant, epoch_seconds: f64) {
        let mut account = self.account.lock();
        if let Some(rate) = target.fixed_rate {
            self.set_share(rate);
        }
        if let Some(seconds) = target.interval_seconds {
            account.interval = Duration::from_secs_f64(seconds);
        }
        if let (Some(per_second), Some(ends)) = (target.quota, target.quota_ends) {
            self.settle(&mut account);
            let left = (ends - epoch_seconds).clamp(0.0, LONGEST_QUOTA.as_secs_f64());
            account.quota = (left > 0.0).then(|| Quota {
                per_second,
                until: now + Duration::from_secs_f64(left),
            });
            self.open(&account);
        }
    }

    /// What was counted since the last report, if there is something and a report is due or wished for.
    ///
    /// What was borrowed is the sum of the probabilities, since nobody can say which of the kept spans is kept by which of the two.
    pub(super) fn statistics(&self, now: Instant, is_wished: bool) -> Option<Statistics> {
        let mut account = self.account.lock();
        let is_due = account
            .reported_at
            .is_none_or(|at| now.saturating_duration_since(at) + SLACK >= account.interval);
        if !is_due && !is_wished {
            return None;
        }
        self.settle(&mut account);
        // In this order: whatever is counted in between, no more are kept than were asked about.
        let sampled = self.tally.kept();
        let requests = sampled + self.tally.dropped();
        let sampled = sampled - account.reported.sampled;
        let counts = Counts {
            requests: requests - account.reported.requests,
            sampled,
            borrowed: (account.borrowed as u64)
                .saturating_sub(account.reported.borrowed)
                .min(sampled),
        };
        (counts.requests > 0).then(|| Statistics {
            rule: self.name().to_owned(),
            counts,
        })
    }

    /// The server has taken these counts.
    pub(super) fn reported(&self, counts: Counts, now: Instant) {
        let mut account = self.account.lock();
        account.reported = account.reported.plus(counts);
        account.reported_at = Some(now);
    }

    pub(super) fn intent(&self, counts: bool) -> Intent<'_> {
        let (threshold, reason) = self.reservoir.decide(self.share(), counts);
        let intent = match threshold {
            Some(threshold) => Intent::keep_at(threshold, reason),
            None => Intent::drop(reason),
        };
        intent.by_rule(&self.tally)
    }

    /// What it may keep, in words. Takes a lock: for questions only.
    pub(super) fn words(&self) -> String {
        let account = self.account.lock();
        let (per_second, share) = (account.per_second(), self.share());
        let what = if account.quota.is_some() {
            "has a quota of"
        } else {
            "borrows"
        };
        format!("{what} {per_second} traces/s, and has a share of {share} of the rest")
    }

    /// It is `now`.
    pub(super) fn tick(&self, now: Instant) {
        {
            let mut account = self.account.lock();
            if account.quota.is_some_and(|quota| quota.until <= now) {
                self.settle(&mut account);
                account.quota = None;
                self.open(&account);
            }
        }
        self.reservoir.tick(now);
    }

    pub(super) fn attach(&self, waker: &Waker) {
        self.reservoir.attach(waker.clone());
    }

    /// Books what the reservoir has kept since the last time, before it is another one.
    fn settle(&self, account: &mut Account) {
        let expected = self.reservoir.expected_kept();
        if account.quota.is_none() {
            account.borrowed += expected - account.expected;
        }
        account.expected = expected;
    }

    fn open(&self, account: &Account) {
        self.reservoir.set_per_second(account.per_second());
    }

    fn share(&self) -> f64 {
        // Relaxed: the number stands alone.
        f64::from_bits(self.share.load(Ordering::Relaxed))
    }

    fn set_share(&self, share: f64) {
        self.share.store(share.to_bits(), Ordering::Relaxed);
    }
}

impl Account {
    fn per_second(&self) -> f64 {
        self.quota
            .map_or(self.size.min(BORROWED_PER_SECOND), |quota| quota.per_second)
    }
}
