//! All figures, and what they must reach.

use super::{
    figures, instructions,
    lab::Lab,
    outcome::{Findings, Requirement, Unit},
    sampling::{self, Decision},
    spool,
    throughput::throughput,
};
use crate::Failure;

/// A figure that can be taken.
#[derive(Debug)]
pub(super) struct Benchmark {
    pub(super) id: &'static str,
    pub(super) about: &'static str,
    pub(super) unit: Unit,
    pub(super) requirement: Requirement,
    pub(super) take: fn(&Lab) -> Result<Findings, Failure>,
}

const OUTAGE_QUEUE: u64 = 64 << 20;
const OUTAGE_SLACK: u64 = 10 << 20;

const FIGURES: &[Benchmark] = &[
    Benchmark {
        id: "end_to_end/grpc/10attrs/100k",
        about: "CPU of the process per exported span, 100 000 spans/s, over noop",
        unit: Unit::NanosecondsPerSpan,
        requirement: Requirement::RatioAtMost(0.12),
        take: |lab| figures::end_to_end(lab, 100_000, false),
    },
    Benchmark {
        id: "end_to_end/grpc-gzip/10attrs/50k",
        about: "the same with gzip, 50 000 spans/s",
        unit: Unit::NanosecondsPerSpan,
        requirement: Requirement::RatioAtMost(0.25),
        take: |lab| figures::end_to_end(lab, 50_000, true),
    },
    Benchmark {
        id: "throughput/grpc/10attrs",
        about: "the highest offered rate with nothing lost",
        unit: Unit::SpansPerSecond,
        requirement: Requirement::RatioAtLeast(5.0),
        take: throughput,
    },
    Benchmark {
        id: "on_end/10attrs/1",
        about: "CPU of the application's threads in on_end, noop included; 1 thread",
        unit: Unit::NanosecondsPerSpan,
        requirement: Requirement::RatioAtMost(0.5),
        take: |lab| figures::on_end(lab, 1),
    },
    Benchmark {
        id: "on_end/10attrs/2",
        about: "the same, 2 threads",
        unit: Unit::NanosecondsPerSpan,
        requirement: Requirement::RatioAtMost(0.5),
        take: |lab| figures::on_end(lab, 2),
    },
    Benchmark {
        id: "on_end/10attrs/4",
        about: "the same, 4 threads",
        unit: Unit::NanosecondsPerSpan,
        requirement: Requirement::RatioAtMost(0.5),
        take: |lab| figures::on_end(lab, 4),
    },
    Benchmark {
        id: "encode/10attrs",
        about: "CPU from a finished span to its bytes, without an allocation",
        unit: Unit::NanosecondsPerSpan,
        requirement: Requirement::RatioAtMost(0.15),
        take: figures::encode,
    },
    Benchmark {
        id: "latency/100ms",
        about: "spans delivered to a receiver with a round trip of 100 ms",
        unit: Unit::SpansPerSecond,
        requirement: Requirement::RatioAtLeast(10.0),
        take: figures::latency,
    },
    Benchmark {
        id: "memory/outage",
        about: "resident memory above the start, 20 000 spans/s, connections refused",
        unit: Unit::Bytes,
        requirement: Requirement::OursAtMost((OUTAGE_QUEUE + OUTAGE_SLACK) as f64),
        take: |lab| figures::outage(lab, OUTAGE_QUEUE),
    },
    Benchmark {
        id: "sampling/probability/1",
        about: "a root under a fixed probability, dropped; stock: TraceIdRatioBased",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::OverNoopAtMost(10.0),
        take: |lab| sampling::decision(lab, &Decision::named("probability")),
    },
    Benchmark {
        id: "sampling/probability/cores",
        about: "the same on every core at once, at most twice that of one",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::OverNoopAtMost(20.0),
        take: |lab| sampling::on_all_cores(lab, &Decision::named("probability")),
    },
    Benchmark {
        id: "sampling/adaptive/1",
        about: "a root under a controller of the rate, dropped; stock: TraceIdRatioBased",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::OverNoopAtMost(10.0),
        take: |lab| sampling::decision(lab, &Decision::named("adaptive")),
    },
    Benchmark {
        id: "sampling/adaptive/cores",
        about: "the same on every core at once, at most twice that of one",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::OverNoopAtMost(20.0),
        take: |lab| sampling::on_all_cores(lab, &Decision::named("adaptive")),
    },
    Benchmark {
        id: "sampling/rules/10globs",
        about: "a root that the last of ten rules with globs is for; stock: TraceIdRatioBased, which has no rules",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::OverNoopAtMost(100.0),
        take: |lab| sampling::decision(lab, &Decision::named("rules")),
    },
    Benchmark {
        id: "sampling/keys/512",
        about: "a root under a budget that 512 keys share; stock: TraceIdRatioBased, which has no keys",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::OverNoopAtMost(100.0),
        take: |lab| sampling::decision(lab, &Decision::named("keys")),
    },
    Benchmark {
        id: "sampling/root",
        about: "a root that is kept, with its threshold in the trace state; stock: AlwaysOn, which writes none",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::OverNoopAtMost(70.0),
        take: |lab| sampling::decision(lab, &Decision::named("root").allocating(3.0)),
    },
    Benchmark {
        id: "sampling/child",
        about: "a child of a sampled parent with three members in its trace state; stock: parent-based",
        unit: Unit::NanosecondsPerDecision,
        requirement: Requirement::RatioAtMost(1.5),
        take: |lab| sampling::decision(lab, &Decision::named("child").allocating(7.0)),
    },
    Benchmark {
        id: "sampling/tail/10spans",
        about: "holding and releasing a span of a trace of ten, on top of its encoding; stock: the same without a tail",
        unit: Unit::NanosecondsPerSpan,
        requirement: Requirement::OursAtMost(500.0),
        take: sampling::tail,
    },
    Benchmark {
        id: "spool/write",
        about: "spans of 372 B that a spool takes, requests of 512; stock: a plain file",
        unit: Unit::SpansPerSecond,
        requirement: Requirement::OursAtLeast(500_000.0),
        take: spool::write,
    },
    Benchmark {
        id: "spool/recover/1GiB",
        about: "from the start until all that an earlier process left is known; stock: reading the files",
        unit: Unit::Nanoseconds,
        requirement: Requirement::OursAtMost(2e9),
        take: spool::recover,
    },
];

const COUNTS: &[Benchmark] = &[
    Benchmark {
        id: "on_end/10attrs/1/instructions",
        about: "instructions of the application's thread in on_end",
        unit: Unit::InstructionsPerSpan,
        // Stock moves the span and leaves all the work to another thread: what is to be watched here is that ours does not grow.
        requirement: Requirement::OursAtMost(2600.0),
        take: instructions::on_end,
    },
    Benchmark {
        id: "encode/10attrs/instructions",
        about: "instructions from a finished span to its bytes",
        unit: Unit::InstructionsPerSpan,
        requirement: Requirement::RatioAtMost(0.15),
        take: instructions::encode,
    },
];

/// Those with `filter` in their id.
pub(super) fn select(counts: bool, filter: Option<&str>) -> Vec<&'static Benchmark> {
    let all = if counts { COUNTS } else { FIGURES };
    let is_wanted = |benchmark: &&Benchmark| filter.is_none_or(|filter| benchmark.id.contains(filter));
    all.iter().filter(is_wanted).collect()
}

impl Benchmark {
    /// What is required, in words.
    pub(super) fn required(&self) -> String {
        self.requirement.show(self.unit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_filter_is_a_part_of_the_id() {
        let ids = |counts, filter| {
            select(counts, filter)
                .iter()
                .map(|benchmark| benchmark.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(false, Some("on_end")).len(), 3);
        assert_eq!(ids(false, Some("gzip")), ["end_to_end/grpc-gzip/10attrs/50k"]);
        assert_eq!(ids(true, Some("encode")), ["encode/10attrs/instructions"]);
        assert!(ids(false, Some("nothing")).is_empty());
    }

    #[test]
    fn no_two_figures_have_the_same_id() {
        let all = FIGURES.iter().chain(COUNTS).map(|benchmark| benchmark.id);
        assert_eq!(all.clone().collect::<BTreeSet<_>>().len(), all.count());
    }
}
