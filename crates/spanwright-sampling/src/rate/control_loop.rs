//! The governor as it is, under hostile traffic, on a clock that only the test moves.
//!
//! Inside the crate, because the test takes the part of every thread: it adds to their rows. All is held on the sum of
//! probabilities, which has no noise of its own, from a cold start.

mod traffic;

use std::f64::consts::TAU;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use fastrand::Rng;
use spanwright_core::{Clock, ManualClock, Pressure};

use self::traffic::{Arrivals, SLOT, Traffic};
use super::controller::Goal;
use super::governor::Governor;
use crate::ticker::Tick;

/// How spans are spread over threads.
#[derive(Clone, Copy, Debug)]
enum Threads {
    One,
    Sixteen,
    /// Half of the spans in one, a quarter in the next, and so on.
    Skewed,
}

struct Simulation {
    governor: Governor,
    arrivals: Arrivals,
    threads: Threads,
    ticks: Ticks,
    rng: Rng,
    start: Instant,
    /// Milliseconds since the start.
    now: u64,
    next_tick: u64,
}

/// When ticks come, in milliseconds: after the last one, and after one is asked for.
#[derive(Clone, Copy)]
struct Ticks {
    interval: fn(&mut Rng) -> u64,
    latency: u64,
}

/// A kind of traffic, and when it has steps, in seconds.
#[derive(Clone, Copy)]
struct Case {
    target: f64,
    traffic: Traffic,
    steps: &'static [f64],
    ticks: Ticks,
    seeds: u64,
}

const SECONDS: usize = 60;
const PROMPT: Ticks = Ticks {
    interval: |_| 100,
    latency: SLOT,
};
/// Between 50 and 300 ms, and each twentieth a second late; bursts are heard of after 20 ms.
const LATE: Ticks = Ticks {
    interval: |rng| if rng.u8(..20) == 0 { 1000 } else { rng.u64(50..300) },
    latency: 20,
};
/// Only when they are due.
const NEVER_EARLY: Ticks = Ticks {
    interval: |_| 100,
    latency: u64::MAX / 2,
};

impl Simulation {
    fn new(case: Case, threads: Threads, seed: u64) -> Self {
        let goal = Goal {
            per_second: Some(case.target),
            ratio: None,
            max_burst: None,
            max_credit: 2.0,
        };
        Self {
            governor: Governor::new(goal, false, Pressure::new()),
            arrivals: Arrivals::new(case.traffic, seed),
            threads,
            ticks: case.ticks,
            rng: Rng::with_seed(!seed),
            start: ManualClock::new().now(),
            now: 0,
            next_tick: 0,
        }
    }

    /// What is expected to be kept in the next second.
    fn second(&mut self) -> f64 {
        (0..1000 / SLOT).map(|_| self.slot()).sum()
    }

    fn slot(&mut self) -> f64 {
        if self.now >= self.next_tick {
            self.governor.tick(self.start + Duration::from_millis(self.now));
            self.next_tick = self.now + (self.ticks.interval)(&mut self.rng);
        }
        let mut left = self.arrivals.next();
        let at_once = left.div_ceil(4).max(1);
        let mut expected = 0.0;
        while left > 0 {
            let count = left.min(at_once);
            left -= count;
            let row = self.governor.row(self.threads.pick(&mut self.rng));
            let threshold = self.governor.decide_in(row, count);
            expected += threshold.map_or(0.0, |threshold| threshold.probability()) * count as f64;
        }
        if self.governor.wants_tick() {
            self.next_tick = self.next_tick.min(self.now + self.ticks.latency);
        }
        self.now += SLOT;
        expected
    }
}

impl Threads {
    /// Each seed with everything in one row, and with shards.
    fn seeds(count: u64) -> impl Iterator<Item = (Self, u64)> {
        (1..=count).flat_map(|seed| {
            let shards = if seed % 2 == 0 { Self::Sixteen } else { Self::Skewed };
            [(Self::One, seed), (shards, seed)]
        })
    }

    fn pick(self, rng: &mut Rng) -> usize {
        match self {
            Self::One => 1,
            Self::Sixteen => rng.usize(1..=16),
            Self::Skewed => 1 + rng.u16(..).leading_zeros() as usize,
        }
    }
}

impl Case {
    const fn new(target: f64, scale: f64, rate: fn(f64) -> f64) -> Self {
        Self {
            target,
            traffic: Traffic { rate, scale, clump: 1 },
            steps: &[],
            ticks: PROMPT,
            seeds: 20,
        }
    }

    /// For what differs little from a case that has all seeds.
    const fn with_fewer_seeds(mut self) -> Self {
        self.seeds = 5;
        self
    }

    const fn in_clumps_of(mut self, clump: u32) -> Self {
        self.traffic.clump = clump;
        self
    }

    const fn with_steps_at(mut self, steps: &'static [f64]) -> Self {
        self.steps = steps;
        self
    }

    const fn with_ticks(mut self, ticks: Ticks) -> Self {
        self.ticks = ticks;
        self
    }

    /// What was kept in each second, in multiples of the target, for every seed.
    fn run(self) -> impl Iterator<Item = (String, Vec<f64>)> {
        Threads::seeds(self.seeds).map(move |(threads, seed)| {
            let mut simulation = Simulation::new(self, threads, seed);
            let seconds = (0..SECONDS).map(|_| simulation.second() / self.target).collect();
            (format!("{threads:?}, seed {seed}"), seconds)
        })
    }

    fn holds_its_mean(self, accepted: RangeInclusive<f64>) {
        for (run, seconds) in self.run() {
            let mean = mean(&seconds);
            assert!(accepted.contains(&mean), "{run}: a mean of {mean:.4}: {seconds:.2?}");
        }
    }

    /// The mean, each second from two seconds after a step, and those of the steps.
    fn holds(self) {
        for (run, seconds) in self.run() {
            let mean = mean(&seconds);
            assert!(
                (0.97..=1.03).contains(&mean),
                "{run}: a mean of {mean:.4}: {seconds:.2?}"
            );
            self.holds_its_seconds(&run, &seconds);
        }
    }

    fn holds_its_seconds(self, run: &str, seconds: &[f64]) {
        for (second, kept) in seconds.iter().enumerate() {
            let (begin, end) = (second as f64, second as f64 + 1.0);
            let is_settled = begin >= 2.0 && !self.steps.iter().any(|step| end > *step && begin < step + 2.0);
            let accepted = if is_settled { 0.85..=1.15 } else { 0.0..=1.5 };
            assert!(
                accepted.contains(kept),
                "{run}, second {second}: {kept:.3}: {seconds:.2?}"
            );
        }
    }
}

fn mean(seconds: &[f64]) -> f64 {
    seconds.iter().sum::<f64>() / seconds.len() as f64
}

fn constant(_: f64) -> f64 {
    1.0
}

fn up(seconds: f64) -> f64 {
    if seconds < 20.0 { 1.0 } else { 10.0 }
}

fn down(seconds: f64) -> f64 {
    if seconds < 20.0 { 10.0 } else { 1.0 }
}

/// Not in step with the seconds that are looked at, nor with the ticks.
fn flash(seconds: f64) -> f64 {
    if (30.35..31.35).contains(&seconds) { 100.0 } else { 1.0 }
}

fn sine(seconds: f64) -> f64 {
    1.0 + 0.5 * (seconds / 20.0 * TAU).sin()
}

fn on_and_off(seconds: f64) -> f64 {
    if seconds % 2.0 < 1.0 { 2.0 } else { 0.0 }
}

fn flips(seconds: f64) -> f64 {
    if seconds % 20.0 < 10.0 { 1.0 } else { 10.0 }
}

const FLIPS: &[f64] = &[10.0, 20.0, 30.0, 40.0, 50.0];

#[test]
fn constant_traffic_is_held() {
    Case::new(100.0, 1_000.0, constant).holds();
}

#[test]
fn steps_of_ten_are_followed_within_two_seconds() {
    Case::new(100.0, 1_000.0, up).with_steps_at(&[20.0]).holds();
    Case::new(100.0, 1_000.0, down).with_steps_at(&[20.0]).holds();
}

#[test]
fn a_flash_of_a_hundredfold_keeps_half_of_the_target_too_many_at_most() {
    let flash = Case::new(100.0, 1_000.0, flash).with_steps_at(&[30.35, 31.35]);
    flash.holds();
    flash.with_ticks(NEVER_EARLY).with_fewer_seeds().holds();
}

#[test]
fn a_rush_after_a_pause_is_no_burst() {
    let pause = |seconds| if seconds < 20.0 { 0.0 } else { 1.0 };
    let rest = |seconds| if seconds < 20.0 { 0.05 } else { 1.0 };
    for (rate, scale) in [(pause as fn(f64) -> f64, 10_000.0), (rest, 1_000.0)] {
        let case = Case::new(100.0, scale, rate).with_steps_at(&[20.0]).with_fewer_seeds();
        for (run, seconds) in case.run() {
            // Before, everything is kept that there is.
            case.holds_its_seconds(&run, &[&[1.0; 20], &seconds[20..]].concat());
        }
    }
}

#[test]
fn a_sine_is_followed() {
    Case::new(100.0, 10_000.0, sine).holds();
    Case::new(100.0, 1_000.0, sine)
        .with_fewer_seeds()
        .holds_its_mean(0.97..=1.03);
}

#[test]
fn flips_every_ten_seconds_are_followed() {
    Case::new(100.0, 1_000.0, flips).with_steps_at(FLIPS).holds();
}

#[test]
fn traffic_that_is_on_and_off_each_second_keeps_its_mean() {
    Case::new(100.0, 1_000.0, on_and_off).holds_its_mean(0.97..=1.03);
    Case::new(100.0, 500.0, on_and_off)
        .with_fewer_seeds()
        .holds_its_mean(0.97..=1.03);
    Case::new(0.1, 100.0, on_and_off)
        .with_fewer_seeds()
        .holds_its_mean(0.97..=1.03);
}

#[test]
fn clumps_of_20_keep_their_mean() {
    Case::new(100.0, 1_000.0, constant)
        .in_clumps_of(20)
        .holds_its_mean(0.97..=1.03);
    Case::new(0.1, 100.0, constant)
        .in_clumps_of(20)
        .holds_its_mean(0.97..=1.03);
}

#[test]
fn clumps_of_200_keep_their_mean_and_come_unforeseen() {
    let case = Case::new(100.0, 1_000.0, constant).in_clumps_of(200);
    for (run, seconds) in case.run() {
        let mean = mean(&seconds);
        assert!(
            (0.97..=1.03).contains(&mean),
            "{run}: a mean of {mean:.4}: {seconds:.2?}"
        );
        // A dozen in a second where five are usual.
        assert!(seconds.iter().all(|kept| *kept <= 3.5), "{run}: {seconds:.2?}");
    }
}

#[test]
fn targets_from_a_tenth_to_a_hundred_thousand_are_held() {
    for (target, rate) in [(0.1, 10.0), (1.0, 100.0)] {
        Case::new(target, rate, constant).holds_its_mean(0.97..=1.03);
    }
    // So many come that each second is as good as the mean.
    for (target, rate) in [(1_000.0, 10_000.0), (10_000.0, 100_000.0), (100_000.0, 1_000_000.0)] {
        Case::new(target, rate, constant).with_fewer_seeds().holds();
    }
    Case::new(100_000.0, 200_000.0, up)
        .with_steps_at(&[20.0])
        .with_fewer_seeds()
        .holds();
}

/// With one span a second, the last one brings 2 % of a minute and nobody knows when it comes: this is what is reached.
#[test]
fn one_span_a_second_is_held_within_ten_percent_over_a_minute() {
    Case::new(0.1, 1.0, constant).holds_its_mean(0.9..=1.1);
}

#[test]
fn late_and_irregular_ticks_cost_precision_and_no_bias() {
    for rate in [up, down, sine, on_and_off, flips] {
        let case = Case::new(100.0, 1_000.0, rate).with_ticks(LATE).with_fewer_seeds();
        case.holds_its_mean(0.97..=1.03);
    }
    // Up to a second without a tick when it flashes: the halvings hold it.
    for (run, seconds) in Case::new(100.0, 1_000.0, flash).with_ticks(LATE).run() {
        assert!(seconds.iter().all(|kept| *kept <= 2.0), "{run}: {seconds:.2?}");
    }
}

#[test]
fn where_less_is_offered_than_the_target_nearly_everything_is_kept() {
    for (rate, least) in [(50.0, 0.995), (90.0, 0.97)] {
        for (threads, seed) in Threads::seeds(5) {
            let mut simulation = Simulation::new(Case::new(100.0, rate, constant), threads, seed);
            (0..SECONDS).for_each(|_| _ = simulation.second());
            let stats = simulation.governor.stats();
            let share = stats.expected_kept / stats.offered as f64;
            assert!(share >= least, "{threads:?}, seed {seed}: {share} of {rate} per second");
        }
    }
}
