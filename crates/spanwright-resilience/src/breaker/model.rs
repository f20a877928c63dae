//! Every interleaving of callers at a breaker that is half open.
//!
//! `RUSTFLAGS="--cfg spanwright_loom" cargo test -p spanwright-resilience --release --lib breaker::model`

use std::time::Duration;

use loom::thread::{self, JoinHandle};
use spanwright_core::ManualClock;

use super::{BreakerConfig, BreakerState, CallOutcome, CircuitBreaker, Permit};

const SECOND: Duration = Duration::from_secs(1);

/// A breaker whose pause is over, and a call from before it opened.
fn half_open() -> (CircuitBreaker, Permit) {
    let clock = ManualClock::new();
    let config = BreakerConfig {
        min_calls: 1,
        ..BreakerConfig::default()
    };
    let breaker = CircuitBreaker::with_clock(config, clock.clone()).expect("in range");
    let early = breaker.try_acquire().expect("closed");
    fail(breaker.try_acquire().expect("closed"));
    assert_eq!(breaker.state(), BreakerState::Open);
    clock.advance(SECOND);
    (breaker, early)
}

fn fail(permit: Permit) {
    permit.record(CallOutcome::Unavailable { server_delay: None });
}

/// A caller that keeps the call it gets.
fn caller(breaker: &CircuitBreaker) -> JoinHandle<Option<Permit>> {
    let breaker = breaker.clone();
    thread::spawn(move || breaker.try_acquire().ok())
}

#[test]
fn of_callers_at_the_same_moment_one_is_the_probe() {
    loom::model(|| {
        let (breaker, _early) = half_open();
        let others = [caller(&breaker), caller(&breaker)];
        let mut permits = vec![breaker.try_acquire().ok()];
        permits.extend(others.map(|other| other.join().unwrap()));
        assert_eq!(permits.iter().flatten().count(), 1);
        assert_eq!((breaker.state(), breaker.counts().refused), (BreakerState::HalfOpen, 2));
    });
}

#[test]
fn a_cancelled_probe_leaves_its_place_to_one_other() {
    loom::model(|| {
        let (breaker, _early) = half_open();
        let probe = breaker.try_acquire().unwrap();
        let others = [caller(&breaker), caller(&breaker)];
        drop(probe);
        let permits = others.map(|other| other.join().unwrap());
        assert!(permits.iter().flatten().count() <= 1);
        let has_probe = permits.iter().flatten().count() == 1;
        assert_eq!(breaker.try_acquire().is_ok(), !has_probe, "the place is taken or free");
        drop(permits);
        assert!(breaker.try_acquire().is_ok(), "and is never lost");
    });
}

#[test]
fn a_late_answer_says_nothing_whenever_it_comes_and_nor_does_none() {
    for is_answered in [true, false] {
        loom::model(move || {
            let (breaker, early) = half_open();
            let late = thread::spawn(move || if is_answered { fail(early) } else { drop(early) });
            let other = caller(&breaker);
            let mine = breaker.try_acquire().ok();
            let other = other.join().unwrap();
            late.join().unwrap();
            assert_eq!(mine.iter().chain(&other).count(), 1);
            assert_eq!(
                (breaker.state(), breaker.counts().late),
                (BreakerState::HalfOpen, is_answered.into())
            );
            let elapsed = SECOND;
            mine.or(other).unwrap().record(CallOutcome::Success { elapsed });
            assert_eq!(breaker.state(), BreakerState::Closed);
        });
    }
}

#[test]
fn a_probe_that_fails_opens_it_again_for_all() {
    loom::model(|| {
        let (breaker, _early) = half_open();
        let probe = breaker.try_acquire().unwrap();
        let other = caller(&breaker);
        fail(probe);
        assert!(breaker.try_acquire().is_err());
        assert!(other.join().unwrap().is_none(), "neither before nor after");
        assert_eq!((breaker.state(), breaker.counts().opened), (BreakerState::Open, 2));
    });
}
