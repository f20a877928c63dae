//! The figures that both sides give in turns.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    lab::{Lab, Run, Sample, Side},
    outcome::Findings,
    series::Series,
};
use crate::Failure;

const AT_ONCE: Duration = Duration::ZERO;

/// The samples of one round.
pub(super) type Round = BTreeMap<Side, Sample>;

/// A queue that is generous for both, and the same: what is measured is what it costs, not when it overflows.
pub(super) fn with_generous_queue(run: Run) -> Run {
    run.with("--max-queue-size", 65_536)
        .with("--max-export-batch-size", 512)
        .with("--scheduled-delay-ms", 1000)
}

/// CPU time of the process per exported span, over that of the same application whose spans are dropped.
pub(super) fn end_to_end(lab: &Lab, rate: u64, gzip: bool) -> Result<Findings, Failure> {
    let duration = lab.time(Duration::from_secs(5), Duration::from_millis(1500));
    let rounds = in_turns(lab, &[Side::Noop, Side::Ours, Side::Stock], |side| {
        let run = Run::new("end_to_end", side)
            .with("--rate", rate)
            .with("--gzip", gzip)
            .with("--warm-up-ms", 300)
            .with("--duration-ms", duration.as_millis());
        with_generous_queue(run).with_receiver(AT_ONCE)
    })?;
    let noop = |round: &Round| round[&Side::Noop].number("cpu_ns");
    let per_span = |side| {
        move |round: &Round| {
            let sample = &round[&side];
            Ok((sample.number("cpu_ns")? - noop(round)?) / sample.number("measured_exported")?)
        }
    };
    let mut findings = Findings {
        ours: series(&rounds, per_span(Side::Ours))?,
        stock: series(&rounds, per_span(Side::Stock))?,
        noop: Some(series(&rounds, |round| {
            Ok(noop(round)? / round[&Side::Noop].number("measured_offered")?)
        })?),
        failings: losses_of_ours(&rounds),
        notes: losses_of_stock(&rounds),
        samples: samples(&rounds),
    };
    if gzip {
        let bytes = |side: Side| {
            series(&rounds, |round| {
                let receiver = Sample(round[&side].0["receiver"].clone());
                Ok(receiver.number("compressed_bytes")? / receiver.number("accepted_spans")?)
            })
        };
        findings.notes.push(format!(
            "on the wire a span takes {:.0} bytes of ours, {:.0} of stock",
            bytes(Side::Ours)?.median(),
            bytes(Side::Stock)?.median()
        ));
    }
    Ok(findings)
}

/// CPU time of the application's threads in `on_end`, without a pause between spans.
///
/// The worker is live, and its exporter takes everything at once: a receiver would need a core of its own, which a small
/// machine does not have beside the threads and the worker.
pub(super) fn on_end(lab: &Lab, threads: u64) -> Result<Findings, Failure> {
    let batches = if lab.quick { 10_000 } else { 40_000 };
    let rounds = in_turns(lab, &[Side::Noop, Side::Ours, Side::Stock], |side| {
        let run = Run::new("on_end", side)
            .with("--threads", threads)
            .with("--rate", 0)
            .with("--batches", batches / threads);
        with_generous_queue(run)
    })?;
    let per_span = |side, name| {
        move |round: &Round| {
            let sample: &Sample = &round[&side];
            Ok(sample.number(name)? / sample.number("measured")?)
        }
    };
    let passed = |side| series(&rounds, per_span(side, "wall_ns"));
    let mut notes = losses_of_stock(&rounds);
    notes.push(format!(
        "time that passes, pre-emption by the pipeline's own threads included: ours {:.0} ns, stock {:.0} ns, noop {:.0} ns",
        passed(Side::Ours)?.median(),
        passed(Side::Stock)?.median(),
        passed(Side::Noop)?.median(),
    ));
    Ok(Findings {
        ours: series(&rounds, per_span(Side::Ours, "cpu_ns"))?,
        stock: series(&rounds, per_span(Side::Stock, "cpu_ns"))?,
        noop: Some(series(&rounds, per_span(Side::Noop, "cpu_ns"))?),
        failings: losses_of_ours(&rounds),
        notes,
        samples: samples(&rounds),
    })
}

/// Time per span, and allocations in a pass of their own.
pub(super) fn encode(lab: &Lab) -> Result<Findings, Failure> {
    let batches = if lab.quick { 300 } else { 1000 };
    let rounds = in_turns(lab, &[Side::Noop, Side::Ours, Side::Stock], |side| {
        Run::new("encode", side).with("--batches", batches)
    })?;
    let per_span = |side| {
        move |round: &Round| {
            let sample: &Sample = &round[&side];
            Ok(sample.number("cpu_ns")? / sample.number("measured")?)
        }
    };
    let allocations = |side| {
        let run = Run::new("encode", side).with("--batches", 10).counting_allocations();
        let sample = lab.sample(&run)?;
        Ok::<_, Failure>(sample.number("allocations")? / sample.number("measured")?)
    };
    let (ours, stock) = (allocations(Side::Ours)?, allocations(Side::Stock)?);
    Ok(Findings {
        ours: series(&rounds, per_span(Side::Ours))?,
        stock: series(&rounds, per_span(Side::Stock))?,
        noop: Some(series(&rounds, per_span(Side::Noop))?),
        failings: (ours > 0.0)
            .then(|| format!("ours allocates {ours:.2} times for a span, 0 are allowed"))
            .into_iter()
            .collect(),
        notes: vec![format!("allocations for a span: ours {ours:.2}, stock {stock:.2}")],
        samples: samples(&rounds),
    })
}

/// Spans that a receiver with a long round trip has taken, per second of an offer that is too large for both.
pub(super) fn latency(lab: &Lab) -> Result<Findings, Failure> {
    let duration = lab.time(Duration::from_secs(5), Duration::from_secs(2));
    let rounds = in_turns(lab, &[Side::Ours, Side::Stock], |side| {
        Run::new("feed", side)
            .with("--rate", 150_000)
            .with("--warm-up-ms", 1000)
            .with("--duration-ms", duration.as_millis())
            .with_receiver(Duration::from_millis(100))
    })?;
    let delivered = |side| {
        move |round: &Round| {
            let sample: &Sample = &round[&side];
            Ok(sample.number("delivered_meanwhile")? / sample.number("elapsed_ns")? * 1e9)
        }
    };
    Ok(Findings {
        ours: series(&rounds, delivered(Side::Ours))?,
        stock: series(&rounds, delivered(Side::Stock))?,
        noop: None,
        failings: vec![],
        notes: vec![],
        samples: samples(&rounds),
    })
}

/// Resident memory above the start, at its peak, while connections are refused.
pub(super) fn outage(lab: &Lab, max_queue_bytes: u64) -> Result<Findings, Failure> {
    const RATE: u64 = 20_000;
    let duration = |side| match side {
        Side::Ours => lab.time(Duration::from_secs(60), Duration::from_secs(15)),
        // Theirs is full after a moment, and stays so.
        Side::Stock => lab.time(Duration::from_secs(60), Duration::from_secs(5)),
        Side::Noop | Side::Libdd => Duration::from_secs(2),
    };
    // Memory does not vary from round to round.
    let rounds = turns(lab, 1, &[Side::Noop, Side::Ours, Side::Stock], |side| {
        Run::new("outage", side)
            .with("--rate", RATE)
            .with("--duration-ms", duration(side).as_millis())
            .with("--max-queue-bytes", max_queue_bytes)
    })?;
    let above_start = |side| {
        move |round: &Round| {
            let sample: &Sample = &round[&side];
            Ok(sample.number("peak_bytes")? - sample.number("start_bytes")?)
        }
    };
    let held = rounds[0][&Side::Ours].number("held_spans")?;
    Ok(Findings {
        ours: series(&rounds, above_start(Side::Ours))?,
        stock: series(&rounds, above_start(Side::Stock))?,
        noop: Some(series(&rounds, above_start(Side::Noop))?),
        failings: vec![],
        notes: vec![format!(
            "for that memory ours holds {:.1} s of spans until the receiver is back, in at most {} MiB; stock holds 2048 spans, \
             {:.1} s",
            held / RATE as f64,
            max_queue_bytes >> 20,
            2048.0 / RATE as f64,
        )],
        samples: samples(&rounds),
    })
}

/// Takes a sample of each side, for as many rounds as the lab has. No side is always the first.
pub(super) fn in_turns(lab: &Lab, sides: &[Side], run: impl Fn(Side) -> Run) -> Result<Vec<Round>, Failure> {
    turns(lab, lab.rounds, sides, run)
}

fn turns(lab: &Lab, rounds: usize, sides: &[Side], run: impl Fn(Side) -> Run) -> Result<Vec<Round>, Failure> {
    let round = |number: usize| {
        let mut sides = sides.to_vec();
        let first = number % sides.len();
        sides.rotate_left(first);
        sides
            .into_iter()
            .map(|side| Ok((side, lab.sample(&run(side))?)))
            .collect()
    };
    (0..rounds).map(round).collect()
}

pub(super) fn series(rounds: &[Round], value: impl Fn(&Round) -> Result<f64, Failure>) -> Result<Series, Failure> {
    let values = rounds.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    Series::new(values).ok_or_else(|| "a figure is no number: nothing was exported".into())
}

pub(super) fn samples(rounds: &[Round]) -> Vec<Value> {
    rounds
        .iter()
        .flat_map(BTreeMap::values)
        .map(|sample| sample.0.clone())
        .collect()
}

/// A side is cheap that throws away.
pub(super) fn losses_of_ours(rounds: &[Round]) -> Vec<String> {
    losses(rounds, Side::Ours)
        .map(|share| format!("ours lost {share}"))
        .into_iter()
        .collect()
}

fn losses_of_stock(rounds: &[Round]) -> Vec<String> {
    let mut notes: Vec<String> = losses(rounds, Side::Stock)
        .map(|share| format!("stock lost {share}"))
        .into_iter()
        .collect();
    if rounds
        .iter()
        .flat_map(BTreeMap::values)
        .any(|sample| !sample.is_pace_kept())
    {
        notes.push("the pace was not kept in every round: the machine is too slow or too busy for this figure".into());
    }
    notes
}

/// The largest share that a round has lost.
fn losses(rounds: &[Round], side: Side) -> Option<String> {
    let shares = rounds.iter().map(|round| round[&side].lost_share());
    let most = shares.fold(0.0, f64::max);
    (most > 0.0).then(|| format!("{:.2} % of the spans", most * 100.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn round(lost_by_ours: u64, lost_by_stock: u64, is_pace_kept: bool) -> Round {
        let sample = |lost: u64| Sample(json!({"offered": 1000, "lost": lost, "is_pace_kept": is_pace_kept}));
        [(Side::Ours, sample(lost_by_ours)), (Side::Stock, sample(lost_by_stock))].into()
    }

    #[test]
    fn a_loss_of_ours_in_any_round_is_a_failing_and_one_of_stock_a_note() {
        let rounds = [round(0, 30, true), round(10, 500, true)];
        assert_eq!(losses_of_ours(&rounds), ["ours lost 1.00 % of the spans"]);
        assert_eq!(losses_of_stock(&rounds), ["stock lost 50.00 % of the spans"]);
        assert!(losses_of_ours(&rounds[..1]).is_empty());
    }

    #[test]
    fn a_pace_that_was_not_kept_is_told() {
        assert!(losses_of_stock(&[round(0, 0, false)])[0].starts_with("the pace was not kept"));
    }

    #[test]
    fn a_figure_of_nothing_is_refused() {
        assert!(series(&[round(0, 0, true)], |_| Ok(1.0 / 0.0)).is_err());
    }
}
