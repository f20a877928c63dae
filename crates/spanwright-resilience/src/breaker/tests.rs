use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use spanwright_core::ManualClock;

use super::{BreakerConfig, BreakerState, CallError, CallOutcome, CircuitBreaker};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::with_clock(BreakerConfig::default(), clock.clone()).expect("the defaults");
    (breaker, clock)
}

fn fail(breaker: &CircuitBreaker) {
    let failed = breaker.call(|| Err::<(), _>("down"));
    assert_eq!(failed, Err(CallError::Inner("down")));
}

fn open(breaker: &CircuitBreaker) {
    (0..5).for_each(|_| fail(breaker));
    assert_eq!(breaker.state(), BreakerState::Open);
}

/// Until a probe is let through, at the latest.
fn wait_out(breaker: &CircuitBreaker, clock: &ManualClock) -> Duration {
    let Err(left) = breaker.try_acquire() else {
        return Duration::ZERO;
    };
    clock.advance(left);
    left
}

#[test]
fn who_waits_gets_probes_without_the_long_pauses_unless_the_server_asked_for_them() {
    let (breaker, clock) = breaker();
    open(&breaker);
    for _ in 0..6 {
        wait_out(&breaker, &clock);
        fail(&breaker);
    }
    assert!(breaker.try_acquire().unwrap_err() > 10 * SECOND);
    breaker.hurry(20 * SECOND);
    fail(&breaker);
    assert!(breaker.try_acquire().unwrap_err() <= SECOND, "as the first time");
    clock.advance(20 * SECOND);
    fail(&breaker);
    assert!(
        breaker.try_acquire().unwrap_err() > 10 * SECOND,
        "nobody waits any more"
    );

    breaker.hurry(SECOND);
    let probe = breaker.try_acquire().expect("it is hurried");
    probe.record(CallOutcome::Unavailable {
        server_delay: Some(5 * SECOND),
    });
    breaker.hurry(SECOND);
    assert!(breaker.try_acquire().unwrap_err() > 4 * SECOND);
}

#[test]
fn five_failed_calls_open_it_and_nothing_goes_through_until_the_time_is_over() {
    let (breaker, clock) = breaker();
    (0..4).for_each(|_| fail(&breaker));
    assert_eq!(breaker.state(), BreakerState::Closed, "four say nothing");
    fail(&breaker);
    let refused = breaker.call(|| -> Result<(), ()> { panic!("is not called") });
    assert!(
        matches!(refused, Err(CallError::Open { retry_after }) if retry_after >= SECOND / 2 && retry_after <= SECOND)
    );
    assert_eq!(breaker.counts().refused, 1);
    clock.advance(SECOND);
    assert!(breaker.call(|| Ok::<_, ()>(7)).is_ok());
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn half_of_the_calls_are_enough_and_fewer_are_not() {
    let (breaker, _) = breaker();
    for _ in 0..10 {
        assert!(breaker.call(|| Ok::<_, ()>(())).is_ok());
    }
    (0..9).for_each(|_| fail(&breaker));
    assert_eq!(breaker.state(), BreakerState::Closed, "nine of nineteen");
    fail(&breaker);
    assert_eq!(breaker.state(), BreakerState::Open, "ten of twenty");
}

#[test]
fn failures_are_forgotten_after_the_window() {
    let (breaker, clock) = breaker();
    (0..4).for_each(|_| fail(&breaker));
    clock.advance(31 * SECOND);
    (0..4).for_each(|_| fail(&breaker));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_failed_probe_opens_it_for_twice_as_long_up_to_the_longest() {
    let (breaker, clock) = breaker();
    open(&breaker);
    for bound in [1, 2, 4, 8, 16, 30, 30] {
        let pause = wait_out(&breaker, &clock);
        let bound = bound * SECOND;
        assert!(pause >= bound / 2 && pause <= bound, "{pause:?} of {bound:?}");
        fail(&breaker);
    }
    wait_out(&breaker, &clock);
    assert!(breaker.call(|| Ok::<_, ()>(())).is_ok());
    open(&breaker);
    assert!(wait_out(&breaker, &clock) <= SECOND, "a success starts over");
}

#[test]
fn a_servers_delay_is_the_least() {
    let (breaker, clock) = breaker();
    for _ in 0..5 {
        let server_delay = Some(90 * SECOND);
        breaker
            .try_acquire()
            .expect("closed")
            .record(CallOutcome::Unavailable { server_delay });
    }
    assert_eq!(wait_out(&breaker, &clock), 90 * SECOND);
}

#[test]
fn one_probe_is_under_way_and_a_cancelled_one_gives_its_place_back() {
    let (breaker, clock) = breaker();
    open(&breaker);
    clock.advance(SECOND);
    let probe = breaker.try_acquire().expect("the time is over");
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(breaker.try_acquire().expect_err("one is enough"), Duration::ZERO);
    drop(probe);
    let probe = breaker.try_acquire().expect("nobody probes any more");
    probe.record(CallOutcome::Neutral);
    let probe = breaker.try_acquire().expect("an answer that says nothing is none");
    probe.record(CallOutcome::Success { elapsed: SECOND });
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn of_sixty_four_callers_at_the_same_moment_one_is_the_probe() {
    const CALLERS: usize = 64;
    const ROUNDS: usize = 50;
    let (breaker, clock) = breaker();
    open(&breaker);
    let barrier = Barrier::new(CALLERS);
    let probes = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for index in 0..CALLERS {
            let (breaker, clock, barrier, probes) = (&breaker, &clock, &barrier, &probes);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    if index == 0 {
                        wait_out(breaker, clock);
                    }
                    barrier.wait();
                    let permit = breaker.try_acquire();
                    probes.fetch_add(permit.is_ok().into(), Ordering::SeqCst);
                    barrier.wait();
                    assert_eq!(probes.load(Ordering::SeqCst), round + 1, "one in each round");
                    // It fails, or is given up: either way the next round has one.
                    if let Ok(permit) = permit
                        && round % 2 == 0
                    {
                        permit.record(CallOutcome::Unavailable { server_delay: None });
                    }
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(breaker.counts().opened, 1 + ROUNDS as u64 / 2);
}

#[test]
fn what_comes_back_late_does_not_count() {
    let (breaker, clock) = breaker();
    let slow: Vec<_> = (0..3).map(|_| breaker.try_acquire().expect("closed")).collect();
    open(&breaker);
    let mut slow = slow.into_iter();
    slow.next()
        .expect("three")
        .record(CallOutcome::Success { elapsed: SECOND });
    assert_eq!(
        breaker.state(),
        BreakerState::Open,
        "an answer from before says nothing of now"
    );
    clock.advance(SECOND);
    let probe = breaker.try_acquire().expect("the time is over");
    slow.next()
        .expect("three")
        .record(CallOutcome::Unavailable { server_delay: None });
    drop(slow);
    assert_eq!(
        breaker.state(),
        BreakerState::HalfOpen,
        "nor does a failure, nor one that was given up"
    );
    assert_eq!(
        breaker.try_acquire().expect_err("the probe is under way"),
        Duration::ZERO
    );
    probe.record(CallOutcome::Success { elapsed: SECOND });
    assert_eq!((breaker.state(), breaker.counts().late), (BreakerState::Closed, 2));
}

#[test]
fn calls_that_are_all_slow_open_it_where_that_is_asked_for() {
    let clock = ManualClock::new();
    let config = BreakerConfig {
        slow_call: SECOND,
        ..BreakerConfig::default()
    };
    let breaker = CircuitBreaker::with_clock(config, clock.clone()).expect("in range");
    for _ in 0..5 {
        let permit = breaker.try_acquire().expect("closed");
        clock.advance(SECOND);
        let elapsed = permit.elapsed();
        permit.record(CallOutcome::Success { elapsed });
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn an_async_call_that_is_dropped_half_way_gives_its_place_back() {
    let (breaker, clock) = breaker();
    open(&breaker);
    clock.advance(SECOND);
    let mut call = Box::pin(breaker.call_async(std::future::pending::<Result<(), ()>>()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    assert!(breaker.try_acquire().is_err());
    drop(call);
    assert!(breaker.try_acquire().is_ok());
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    for (config, field) in [
        (
            BreakerConfig {
                min_calls: 0,
                ..BreakerConfig::default()
            },
            "`breaker.min_calls`",
        ),
        (
            BreakerConfig {
                failure_share: f64::NAN,
                ..BreakerConfig::default()
            },
            "`breaker.failure_share`",
        ),
        (
            BreakerConfig {
                slow_share: 0.0,
                ..BreakerConfig::default()
            },
            "`breaker.slow_share`",
        ),
        (
            BreakerConfig {
                open: 60 * SECOND,
                ..BreakerConfig::default()
            },
            "`breaker.open`",
        ),
        (
            BreakerConfig {
                window: Duration::ZERO,
                ..BreakerConfig::default()
            },
            "`breaker.window`",
        ),
    ] {
        let error = CircuitBreaker::new(config).expect_err(field).to_string();
        assert!(error.starts_with(field), "{error}");
    }
}
