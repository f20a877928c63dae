//! How long to leave a receiver alone that does not take requests.
//!
//! # Source
//!
//! [Exponential backoff and jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), "full jitter";
//! [OTLP, throttling](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling): a server's delay is the least.

use std::time::Duration;

/// Pauses drawn from 0 to a bound that doubles with every failure.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    /// The bound of the next pause.
    bound: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            bound: first,
        }
    }

    pub(super) fn reset(&mut self) {
        self.bound = self.first;
    }

    /// The next pause. A delay that the server asks for is its least, and what later pauses grow from.
    pub(super) fn next_pause(&mut self, server_delay: Option<Duration>, random: &mut Random) -> Duration {
        let jittered = self.bound.mul_f64(random.unit());
        self.bound = self
            .bound
            .max(server_delay.unwrap_or_default())
            .saturating_mul(2)
            .min(self.longest);
        jittered.max(server_delay.unwrap_or_default())
    }
}

/// A small generator (splitmix64): spreads retries, decides nothing that must be unpredictable.
///
/// # Source
///
/// Steele, Lea, Flood: [Fast splittable pseudorandom number generators](https://doi.org/10.1145/2714064.2660195), 2014.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn pauses_stay_under_a_bound_that_doubles_up_to_the_longest() {
        let mut longest = [Duration::ZERO; 9];
        for seed in 0..500 {
            let (mut backoff, mut random) = (Backoff::new(FIRST, LONGEST), Random::seeded(seed));
            for pause in &mut longest {
                *pause = backoff.next_pause(None, &mut random).max(*pause);
            }
        }
        for (failures, seen) in longest.into_iter().enumerate() {
            let bound = (FIRST * 2_u32.pow(failures as u32)).min(LONGEST);
            assert!(
                seen <= bound && seen > bound.mul_f64(0.9),
                "{failures}: {seen:?} of {bound:?}"
            );
        }
    }

    #[test]
    fn a_servers_delay_is_the_least_and_the_next_grow_from_it() {
        let (mut backoff, mut random) = (Backoff::new(FIRST, LONGEST), Random::seeded(1));
        let delay = Duration::from_secs(2);
        assert_eq!(backoff.next_pause(Some(delay), &mut random), delay);
        assert_eq!(backoff.bound, delay * 2);
        assert_eq!(backoff.next_pause(Some(LONGEST * 9), &mut random), LONGEST * 9);
        assert_eq!(backoff.bound, LONGEST);
        backoff.reset();
        assert!(backoff.next_pause(None, &mut random) <= FIRST);
    }

    #[test]
    fn the_generator_is_uniform_enough() {
        let mut random = Random::seeded(7);
        let mut tenths = [0; 10];
        (0..10_000).for_each(|_| tenths[(random.unit() * 10.0) as usize] += 1);
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
    }
}
