use super::*;
use spanwright_core::{Clock, ManualClock};

const TICK: Duration = Duration::from_secs(1);
const ONE_A_MINUTE: f64 = 1.0 / 60.0;

/// A floor, and the traffic over it, second by second.
struct Bench {
    floor: Floor,
    now: Instant,
    random: fastrand::Rng,
    offered: u64,
    own: f64,
    bound: f64,
}

impl Bench {
    fn new(bound: f64, own: f64, seed: u64) -> Self {
        let now = ManualClock::new().now();
        let floor = Floor::new();
        floor.tick(now, 0, own, bound);
        Self {
            floor,
            now,
            random: fastrand::Rng::with_seed(seed),
            offered: 0,
            own,
            bound,
        }
    }

    /// A second with so many spans; returns how many were to be kept, by their own probability and by the floor.
    fn second(&mut self, spans: u64) -> f64 {
        let own = Threshold::from_probability(self.own);
        let probability = |floor: Option<Threshold>| floor.map_or(self.own, Threshold::probability);
        let kept = (0..spans).map(|_| probability(self.floor.under(own, true))).sum();
        self.offered += spans;
        self.now += TICK;
        self.floor.tick(self.now, self.offered, self.own, self.bound);
        kept
    }

    /// So many seconds of chance at a rate; returns the mean of what was to be kept per second.
    fn run(&mut self, rate: f64, seconds: u32) -> f64 {
        let kept: f64 = (0..seconds)
            .map(|_| {
                let spans = self.poisson(rate);
                self.second(spans)
            })
            .sum();
        kept / f64::from(seconds)
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 50.0 {
            // The sum of twelve uniform numbers is as good as normal.
            let normal: f64 = (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0;
            return (mean + normal * mean.sqrt()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.random.f64(), 0);
        while product > limit {
            product *= self.random.f64();
            count += 1;
        }
        count
    }
}

/// In units of the bound.
fn mean_after_ten_minutes(rate: f64, own: f64, seed: u64) -> f64 {
    let mut bench = Bench::new(ONE_A_MINUTE, own, seed);
    bench.run(rate, 600);
    bench.run(rate, 7200) / ONE_A_MINUTE
}

#[test]
fn the_bound_is_honoured_where_there_is_as_much_and_not_exceeded() {
    for rate in [0.05, 0.2, 1.0, 10.0, 100.0] {
        for seed in 0..8 {
            let mean = mean_after_ten_minutes(rate, 0.0, seed);
            assert!((0.98..1.03).contains(&mean), "{rate}/s, seed {seed}: {mean}");
        }
    }
    // A little more than the bound comes in: in some minutes less, and these cannot be made up for entirely.
    let means: Vec<_> = (0..8).map(|seed| mean_after_ten_minutes(0.02, 0.0, seed)).collect();
    assert!(means.iter().all(|mean| (0.85..1.0).contains(mean)), "{means:?}");
}

#[test]
fn what_comes_in_more_rarely_than_the_bound_is_all_kept() {
    let mut bench = Bench::new(ONE_A_MINUTE, 0.0, 1);
    for _ in 0..50 {
        (0..200).for_each(|_| assert_eq!(bench.second(0), 0.0));
        assert_eq!(bench.second(1), 1.0);
    }
}

#[test]
fn a_larger_probability_of_its_own_counts_alone() {
    let mut bench = Bench::new(ONE_A_MINUTE, 0.01, 1);
    bench.run(10.0, 600);
    let own = Threshold::from_probability(bench.own);
    assert_eq!(bench.floor.under(own, true), None);
    assert_eq!(bench.floor.under(Some(Threshold::ALWAYS), true), None);
    // The floor is back when the traffic goes: of one span in ten seconds, 1 % is not one a minute.
    let mean = {
        bench.run(0.1, 600);
        bench.run(0.1, 7200) / ONE_A_MINUTE
    };
    assert!((0.98..1.03).contains(&mean), "{mean}");
}

#[test]
fn clumps_are_no_way_around_it() {
    for (every, size) in [(2, 20), (30, 200), (60, 3), (300, 50)] {
        let mut bench = Bench::new(ONE_A_MINUTE, 0.0, 0);
        let kept = (0..7200).map(|second| bench.second(if second % every == 0 { size } else { 0 }));
        let mean = kept.sum::<f64>() / 7200.0 / ONE_A_MINUTE;
        assert!((0.9..1.1).contains(&mean), "{size} every {every} s: {mean}");
    }
}

#[test]
fn a_flood_after_a_silence_is_seen_before_the_next_tick() {
    let mut bench = Bench::new(ONE_A_MINUTE, 0.0, 0);
    bench.run(0.0, 600);
    let flood = bench.second(100_000);
    assert!((1.0..10.0).contains(&flood), "{flood}");
    // A new operation has nothing to make up for yet.
    let flood = Bench::new(ONE_A_MINUTE, 0.0, 0).second(100_000);
    assert!((1.0..2.0).contains(&flood), "{flood}");
}

#[test]
fn a_step_costs_a_few_traces() {
    for (before, after) in [(1.0, 10.0), (10.0, 1.0), (0.2, 20.0), (20.0, 0.2)] {
        for seed in 0..8 {
            let mut bench = Bench::new(ONE_A_MINUTE, 0.0, seed);
            bench.run(before, 600);
            // Ten are due in ten minutes.
            let kept = bench.run(after, 600) * 600.0;
            assert!((8.0..13.0).contains(&kept), "{before} to {after}, seed {seed}: {kept}");
        }
    }
}

#[test]
fn a_question_counts_nothing() {
    let bench = Bench::new(ONE_A_MINUTE, 0.0, 0);
    (0..100).for_each(|_| assert_eq!(bench.floor.under(None, false), Some(Threshold::ALWAYS)));
    assert_eq!(bench.floor.under(None, true), Some(Threshold::ALWAYS));
    assert_ne!(bench.floor.under(None, true), Some(Threshold::ALWAYS));
}

/// The sum that is booked is the one that was handed out.
#[test]
fn what_is_expected_to_be_kept_is_what_the_thresholds_say() {
    for (probability, quota, own) in [
        (1.0, 1, 0.0),
        (1.0, 1, 0.01),
        (0.3, 7, 0.001),
        (0.02, 3, 0.0),
        (0.5, 4, 0.5),
    ] {
        for arrivals in [0, 1, 5, 100, 3000] {
            let floor = Floor::new();
            floor.probability.store(f64::to_bits(probability), Ordering::Relaxed);
            floor.quota.store(quota, Ordering::Relaxed);
            let threshold = Threshold::from_probability(own);
            let handed_out = (0..arrivals).map(|_| floor.under(threshold, true).map_or(own, Threshold::probability));
            let (handed_out, booked) = (
                handed_out.sum::<f64>(),
                expected(arrivals as f64, quota as f64, probability, own),
            );
            let difference = (handed_out - booked).abs();
            assert!(
                difference <= 0.05 * handed_out + 1e-9,
                "{arrivals} at {probability}: {handed_out}, {booked}"
            );
        }
    }
}
