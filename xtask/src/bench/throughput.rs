//! The highest rate that is delivered without a loss.

use std::{fmt, time::Duration};

use super::{
    figures::with_generous_queue,
    lab::{Lab, Run, Sample, Side},
    outcome::Findings,
    series::Series,
};
use crate::Failure;

/// Spans per second, in thousands.
const GRID: &[u64] = &[100, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1200, 1500, 2000];
const QUICK_GRID: &[u64] = &[100, 200, 300, 500, 800, 1000, 1200];

/// A rate is given up after the second sample that fails: the first may be due to something else on the machine.
const TRIES: usize = 2;

/// Climbs the same rates with both sides, as far as each gets.
pub(super) fn throughput(lab: &Lab) -> Result<Findings, Failure> {
    let duration = lab.time(Duration::from_secs(10), Duration::from_secs(3));
    let grid = if lab.quick { QUICK_GRID } else { GRID };
    let take = |side| {
        move |rate: u64| {
            let run = Run::new("feed", side)
                .with("--rate", rate)
                .with("--warm-up-ms", 200)
                .with("--duration-ms", duration.as_millis());
            lab.sample(&with_generous_queue(run).with_receiver(Duration::ZERO))
        }
    };
    let ours = climb(grid, take(Side::Ours))?;
    let stock = climb(grid, take(Side::Stock))?;
    Ok(Findings {
        notes: vec![format!("ours: {}; stock: {}", ours.end, stock.end)],
        failings: vec![],
        ours: ours.series()?,
        stock: stock.series()?,
        noop: None,
        samples: ours
            .samples
            .into_iter()
            .chain(stock.samples)
            .map(|sample| sample.0)
            .collect(),
    })
}

#[derive(Debug)]
struct Climb {
    /// Spans per second; 0 if not even the lowest rate held.
    highest: u64,
    end: End,
    samples: Vec<Sample>,
}

/// Why a climb went no higher.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Lost {
        rate: u64,
        share: f64,
    },
    /// The generator, which is a single thread, could not make so many.
    GeneratorBound {
        rate: u64,
    },
    TopOfTheGrid,
}

fn climb(grid: &[u64], mut take: impl FnMut(u64) -> Result<Sample, Failure>) -> Result<Climb, Failure> {
    let mut climb = Climb {
        highest: 0,
        end: End::TopOfTheGrid,
        samples: Vec::new(),
    };
    for thousands in grid {
        let rate = thousands * 1000;
        let mut failed = None;
        for _ in 0..TRIES {
            let sample = take(rate)?;
            failed = failure(rate, &sample);
            climb.samples.push(sample);
            if failed.is_none() {
                break;
            }
        }
        match failed {
            None => climb.highest = rate,
            Some(end) => {
                climb.end = end;
                break;
            }
        }
    }
    Ok(climb)
}

fn failure(rate: u64, sample: &Sample) -> Option<End> {
    let share = sample.lost_share();
    if share > 0.0 {
        Some(End::Lost { rate, share })
    } else if !sample.is_pace_kept() {
        Some(End::GeneratorBound { rate })
    } else {
        None
    }
}

impl Climb {
    fn series(&self) -> Result<Series, Failure> {
        if self.highest == 0 {
            return Err("not even the lowest rate is delivered without a loss".into());
        }
        Series::new(vec![self.highest as f64]).ok_or_else(|| "no figure".into())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { rate, share } => write!(f, "{:.2} % lost at {} k/s", share * 100.0, rate / 1000),
            Self::GeneratorBound { rate } => {
                write!(f, "generator-bound: {} k/s are more than it can make", rate / 1000)
            }
            Self::TopOfTheGrid => f.write_str("no higher rate was tried"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Loses from `limit` on, and once at each rate in `unlucky`.
    fn climb_to(limit: u64, unlucky: &[u64]) -> Climb {
        let mut unlucky = unlucky.to_vec();
        climb(&[1, 2, 4, 8], |rate| {
            let by_bad_luck = unlucky
                .iter()
                .position(|known| *known == rate)
                .map(|at| unlucky.remove(at));
            let lost = u64::from(rate >= limit || by_bad_luck.is_some());
            Ok(Sample(json!({"offered": 4, "lost": lost, "is_pace_kept": true})))
        })
        .expect("samples are taken")
    }

    #[test]
    fn the_highest_rate_is_the_last_one_without_a_loss() {
        let climb = climb_to(4000, &[]);
        assert_eq!(climb.highest, 2000);
        assert_eq!(climb.end.to_string(), "25.00 % lost at 4 k/s");
        assert_eq!(climb.samples.len(), 4, "the rate that fails is tried twice");
    }

    #[test]
    fn one_sample_of_bad_luck_does_not_end_a_climb() {
        let climb = climb_to(u64::MAX, &[2000]);
        assert_eq!((climb.highest, climb.end), (8000, End::TopOfTheGrid));
    }

    #[test]
    fn a_side_that_always_loses_has_no_figure() {
        assert!(climb_to(0, &[]).series().is_err());
    }

    #[test]
    fn a_pace_that_is_not_kept_is_the_generators_end() {
        let sample = Sample(json!({"offered": 4, "lost": 0, "is_pace_kept": false}));
        assert_eq!(failure(9000, &sample), Some(End::GeneratorBound { rate: 9000 }));
    }
}
