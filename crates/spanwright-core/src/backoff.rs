//! How long to wait before the next attempt.
//!
//! # Source
//!
//! [Exponential backoff and jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/);
//! [OTLP, throttling](https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling): a server's delay is the least, and what
//! later delays grow from.

use std::time::Duration;

use crate::{BuildError, Random};

/// Delays that grow with every failure, up to a cap, spread by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    jitter: Jitter,
    /// Full jitter: the bound of the next delay. Decorrelated: the last delay.
    level: Duration,
}

/// How delays are spread, so that those who failed together do not come back together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// From 0 to three times the delay before, but at least the first: `min(cap, uniform(first, 3 * last))`. Longer on average,
    /// and it never comes back at once.
    Decorrelated,
    /// From 0 to a bound that doubles: `uniform(0, min(cap, first * 2^n))`. The least work in all, and the widest spread.
    #[default]
    Full,
}

impl Backoff {
    /// The default of the first bound: a hiccup is over by then.
    pub const FIRST: Duration = Duration::from_millis(100);
    /// The default of the cap: how long a receiver that is back may wait for us.
    pub const CAP: Duration = Duration::from_secs(5);

    /// Delays from `first` up to `cap`, in full jitter.
    ///
    /// # Errors
    ///
    /// A `first` of zero, or a `cap` below it.
    pub fn new(first: Duration, cap: Duration) -> Result<Self, BuildError> {
        if first.is_zero() {
            return Err(BuildError::new("backoff.first", "0", "more than 0"));
        }
        if cap < first {
            let accepted = format!("at least the first delay, {first:?}");
            return Err(BuildError::new("backoff.cap", format_args!("{cap:?}"), accepted));
        }
        Ok(Self {
            first,
            cap,
            jitter: Jitter::Full,
            level: first,
        })
    }

    /// Spread in this way.
    #[must_use]
    pub fn with_jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// The next delay. One that the server asks for is its least, also above the cap, and what later ones grow from.
    pub fn next_delay(&mut self, server_delay: Option<Duration>, random: &mut impl Random) -> Duration {
        let floor = server_delay.unwrap_or_default();
        match self.jitter {
            Jitter::Full => {
                let delay = self.level.mul_f64(random.unit());
                self.level = self.level.max(floor).saturating_mul(2).min(self.cap);
                delay.max(floor)
            }
            Jitter::Decorrelated => {
                let most = self.level.saturating_mul(3).min(self.cap).max(self.first);
                let delay = self.first + (most - self.first).mul_f64(random.unit());
                self.level = delay.max(floor).min(self.cap);
                delay.max(floor)
            }
        }
    }

    /// As if nothing had failed.
    pub fn reset(&mut self) {
        self.level = self.first;
    }
}

/// From [`FIRST`](Self::FIRST) up to [`CAP`](Self::CAP), in full jitter.
impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Self::FIRST,
            cap: Self::CAP,
            jitter: Jitter::Full,
            level: Self::FIRST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandom;

    fn delays(backoff: Backoff, seed: u64, count: usize) -> Vec<Duration> {
        let (mut backoff, mut random) = (backoff, SeededRandom::new(seed));
        (0..count).map(|_| backoff.next_delay(None, &mut random)).collect()
    }

    #[test]
    fn full_jitter_fills_a_bound_that_doubles_up_to_the_cap() {
        for step in 0..9 {
            let bound = (Backoff::FIRST * 2_u32.pow(step)).min(Backoff::CAP);
            let seen: Vec<_> = (0..500)
                .map(|seed| delays(Backoff::default(), seed, 9)[step as usize])
                .collect();
            let (least, most) = (seen.iter().min().expect("some"), seen.iter().max().expect("some"));
            assert!(
                *least < bound.mul_f64(0.1) && *most > bound.mul_f64(0.9) && *most <= bound,
                "{step}"
            );
        }
    }

    #[test]
    fn decorrelated_jitter_stays_between_the_first_and_the_cap_and_reaches_it() {
        let backoff = Backoff::default().with_jitter(Jitter::Decorrelated);
        let seen: Vec<_> = (0..100).flat_map(|seed| delays(backoff, seed, 30)).collect();
        assert!(seen.iter().all(|delay| (Backoff::FIRST..=Backoff::CAP).contains(delay)));
        assert!(seen.iter().any(|delay| *delay > Backoff::CAP.mul_f64(0.95)));
    }

    #[test]
    fn a_servers_delay_is_the_least_and_the_seed_of_later_ones() {
        for jitter in [Jitter::Full, Jitter::Decorrelated] {
            let (mut backoff, mut random) = (Backoff::default().with_jitter(jitter), SeededRandom::new(1));
            let asked = Duration::from_secs(2);
            assert_eq!(backoff.next_delay(Some(asked), &mut random), asked);
            let later: Vec<_> = (0..200)
                .map(|_| {
                    let mut copy = backoff;
                    copy.next_delay(None, &mut random)
                })
                .collect();
            assert!(
                later.iter().any(|delay| *delay > asked),
                "{jitter:?}: grown from what was asked for"
            );
            assert_eq!(
                backoff.next_delay(Some(Backoff::CAP * 9), &mut random),
                Backoff::CAP * 9
            );
            backoff.reset();
            assert!(backoff.next_delay(None, &mut random) <= Backoff::FIRST * 3);
        }
    }

    #[test]
    fn delays_that_cannot_be_are_refused_by_name() {
        let error = |first, cap| Backoff::new(first, cap).unwrap_err().to_string();
        assert!(error(Duration::ZERO, Backoff::CAP).starts_with("`backoff.first`"));
        assert!(error(Backoff::CAP, Backoff::FIRST).contains("at least the first delay, 5s"));
    }

    #[test]
    fn the_first_retries_of_a_thousand_clients_do_not_come_together() {
        let mut windows = [0; 100];
        for seed in 0..1000 {
            let delay = delays(Backoff::default(), seed, 1)[0];
            windows[(delay.as_secs_f64() / Backoff::FIRST.as_secs_f64() * 100.0) as usize] += 1;
        }
        assert!(windows.iter().all(|count| *count <= 30), "{windows:?}");
    }
}
