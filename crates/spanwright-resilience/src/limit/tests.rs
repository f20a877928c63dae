//! The limits against a receiver that is simulated: so many places, a queue before them, and a round trip.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use spanwright_core::{Clock, ManualClock};

use super::{AdaptiveConcurrency, Aimd, FixedLimit, Gradient, Limit, LimitOutcome, LimitSample};
use spanwright_core::{Random, SeededRandom};

const SEEDS: u64 = 20;

/// Takes so many requests at a time, each for the round trip; what comes beyond that waits, and after a second is refused.
struct Receiver {
    places: usize,
    rtt: Duration,
    busy: BinaryHeap<Reverse<Instant>>,
    jitter: Jitter,
}

/// How a round trip varies, its mean being the same.
#[derive(Clone, Copy, Debug)]
enum Jitter {
    /// By a twentieth.
    Small,
    /// Not at all.
    None,
    /// From a half to one and a half.
    Uniform,
    /// As much as the mean.
    Exponential,
    /// One in twenty takes three times as long.
    Outliers,
}

impl Receiver {
    /// When the answer to a request that comes now will be there, and whether it was taken.
    fn answer(&mut self, now: Instant, random: &mut impl Random) -> (Instant, LimitOutcome) {
        while self.busy.peek().is_some_and(|Reverse(until)| *until <= now) {
            self.busy.pop();
        }
        let factor = match self.jitter {
            Jitter::Small => 0.95 + 0.1 * random.unit(),
            Jitter::None => 1.0,
            Jitter::Uniform => 0.5 + random.unit(),
            Jitter::Exponential => -(1.0 - random.unit()).ln(),
            Jitter::Outliers if random.unit() < 0.05 => 3.0,
            Jitter::Outliers => 0.9,
        };
        let work = self.rtt.mul_f64(factor);
        let begins = match self.busy.len().checked_sub(self.places) {
            Some(before) => {
                let mut free: Vec<_> = self.busy.iter().map(|Reverse(until)| *until).collect();
                *free.select_nth_unstable(before).1
            }
            None => now,
        };
        if begins > now + Duration::from_secs(1) {
            return (now + self.rtt / 10, LimitOutcome::Overload);
        }
        self.busy.push(Reverse(begins + work));
        (begins + work, LimitOutcome::Success)
    }
}

/// Runs a load that always has one more request, and shows the limit once a simulated second.
struct Simulation<L> {
    limit: L,
    receiver: Receiver,
    now: Instant,
    /// End, start, how many were under way, outcome.
    under_way: Vec<(Instant, Instant, usize, LimitOutcome)>,
    done: u64,
    random: SeededRandom,
}

impl<L: Limit> Simulation<L> {
    fn new(limit: L, places: usize, seed: u64) -> Self {
        Self {
            limit,
            receiver: Receiver {
                places,
                rtt: Duration::from_millis(100),
                busy: BinaryHeap::new(),
                jitter: Jitter::Small,
            },
            now: ManualClock::new().now(),
            under_way: Vec::new(),
            done: 0,
            random: SeededRandom::new(seed),
        }
    }

    /// The limit at the end of each second.
    fn run(&mut self, seconds: u64) -> Vec<usize> {
        (0..seconds)
            .map(|_| {
                let end = self.now + Duration::from_secs(1);
                self.run_until(end);
                self.limit.limit()
            })
            .collect()
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            while self.under_way.len() < self.limit.limit() {
                let (answered, outcome) = self.receiver.answer(self.now, &mut self.random);
                self.under_way
                    .push((answered, self.now, self.under_way.len() + 1, outcome));
            }
            let next = (0..self.under_way.len())
                .min_by_key(|index| self.under_way[*index].0)
                .expect("a limit is 1 at least");
            if self.under_way[next].0 > end {
                self.now = end;
                return;
            }
            let (answered, began, in_flight, outcome) = self.under_way.swap_remove(next);
            self.now = answered;
            self.done += u64::from(outcome == LimitOutcome::Success);
            self.limit
                .on_sample(&LimitSample::new(answered, answered - began, in_flight, outcome));
        }
    }
}

#[test]
fn a_fixed_limit_stays_and_is_one_at_least() {
    assert!(FixedLimit::new(0).unwrap_err().to_string().starts_with("`limit`"));
    let mut simulation = Simulation::new(FixedLimit::new(7).expect("in range"), 3, 1);
    assert_eq!(simulation.run(5), [7; 5]);
}

#[test]
fn adaptive_concurrency_finds_the_receivers_capacity_within_thirty_seconds_and_keeps_it() {
    for seed in 0..SEEDS {
        let mut simulation = Simulation::new(AdaptiveConcurrency::default(), 32, seed);
        let mut serial = Simulation::new(FixedLimit::new(1).expect("in range"), 32, seed);
        simulation.run(30);
        let before = simulation.done;
        let limits = simulation.run(30);
        let (least, most) = (limits.iter().min().expect("some"), limits.iter().max().expect("some"));
        assert!(*least >= 16, "seed {seed}: {limits:?}");
        serial.run(30);
        assert!(
            simulation.done - before >= 10 * serial.done,
            "seed {seed}: ten times what one at a time gives"
        );
        assert!(*most <= 64, "seed {seed}: {limits:?}");
    }
}

#[test]
fn adaptive_concurrency_steps_back_when_the_receivers_capacity_halves() {
    let cases = [24, 40, 100].into_iter().flat_map(|places| {
        let jitters = [Jitter::None, Jitter::Small].into_iter();
        jitters.flat_map(move |jitter| (0..SEEDS).map(move |seed| (places, jitter, seed)))
    });
    for (places, jitter, seed) in cases {
        // As many as a pipeline begins with.
        let mut simulation = Simulation::new(AdaptiveConcurrency::default().starting_at(16), places, seed);
        simulation.receiver.jitter = jitter;
        simulation.run(15 + places as u64 / 4);
        simulation.receiver.places /= 2;
        simulation.run(15);
        let limits = simulation.run(15);
        let served = places as f64 / 2.0;
        assert!(
            limits
                .iter()
                .all(|limit| (served * 0.8..=served * 1.2).contains(&(*limit as f64))),
            "{places} places, {jitter:?}, seed {seed}: {limits:?}"
        );
    }
}

#[test]
fn adaptive_concurrency_finds_the_capacity_again_that_comes_back() {
    for seed in 0..SEEDS {
        let mut simulation = Simulation::new(AdaptiveConcurrency::default(), 40, seed);
        simulation.run(20);
        simulation.receiver.places = 20;
        simulation.run(20);
        simulation.receiver.places = 40;
        simulation.run(10);
        let limits = simulation.run(10);
        assert!(
            limits.iter().all(|limit| (40..=48).contains(limit)),
            "seed {seed}: {limits:?}"
        );
    }
}

#[test]
fn adaptive_concurrency_does_not_take_chance_for_a_queue() {
    for jitter in [Jitter::Uniform, Jitter::Exponential, Jitter::Outliers] {
        let (places, mut share) = (32, 0.0);
        for seed in 0..SEEDS {
            let mut simulation = Simulation::new(AdaptiveConcurrency::default(), places, seed);
            simulation.receiver.jitter = jitter;
            simulation.run(30);
            let before = simulation.done;
            let limits = simulation.run(30);
            assert!(
                limits.iter().all(|limit| *limit < 2 * places),
                "{jitter:?}, seed {seed}: {limits:?}"
            );
            // Each place serves ten a second.
            share += (simulation.done - before) as f64 / (places * 300) as f64 / SEEDS as f64;
        }
        assert!(share > 0.9, "{jitter:?}: {share:.3} of what the receiver can take");
    }
}

#[test]
fn adaptive_concurrency_does_not_take_a_longer_way_for_a_queue() {
    for seed in 0..SEEDS {
        let mut simulation = Simulation::new(AdaptiveConcurrency::default(), 40, seed);
        simulation.run(40);
        simulation.receiver.rtt *= 3;
        let limits = simulation.run(60);
        assert!(limits[30..].iter().all(|limit| *limit >= 28), "seed {seed}: {limits:?}");
    }
}

#[test]
fn each_that_adapts_beats_one_at_a_time_tenfold_and_never_goes_below_one() {
    let run = |limit: Box<dyn Fn() -> Box<dyn Limit>>| {
        let mut simulation = Simulation::new(limit(), 32, 3);
        let limits = simulation.run(60);
        (simulation.done, limits)
    };
    let (serial, _) = run(Box::new(|| Box::new(FixedLimit::new(1).expect("in range"))));
    for limit in [
        Box::new(|| Box::new(Aimd::default()) as Box<dyn Limit>) as Box<dyn Fn() -> Box<dyn Limit>>,
        Box::new(|| Box::new(Gradient::default())),
        Box::new(|| Box::new(AdaptiveConcurrency::default())),
    ] {
        let (done, limits) = run(limit);
        assert!(done > 10 * serial, "{done} of {serial}: {limits:?}");
    }
}

impl Limit for Box<dyn Limit> {
    fn limit(&self) -> usize {
        (**self).limit()
    }

    fn on_sample(&mut self, sample: &LimitSample) {
        (**self).on_sample(sample);
    }
}
