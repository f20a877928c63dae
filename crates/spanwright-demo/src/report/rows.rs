//! The rows of the table, section by section.

use std::collections::BTreeSet;

use super::columns::Columns;
use super::per_second;
use crate::account::Verdict;
use crate::args::Args;
use crate::choices::Kind;
use crate::endpoint::{Endpoint, joined};
use crate::run::Outcome;
use crate::table::grouped;

pub(super) fn load(columns: &mut Columns<'_>) {
    columns.title("What was done?");
    columns.count("requests", "", |outcome| outcome.load.answered);
    columns.count("a second", "", |outcome| per_second(outcome.load.answered, outcome));
    columns.count("failed", "by the service, as they should", |outcome| {
        outcome.load.failed
    });
    columns.count("spans a second", "", |outcome| {
        per_second(outcome.account.ended, outcome)
    });
}

/// Nothing of a sampler that keeps everything.
pub(super) fn sampling(columns: &mut Columns<'_>) {
    if columns.outcomes.iter().all(|outcome| outcome.kept.dropped == 0) {
        return;
    }
    columns.title("Which traces are kept?");
    columns.count("traces", "that began here", |outcome| {
        outcome.kept.kept + outcome.kept.dropped
    });
    columns.count("kept", "", |outcome| outcome.kept.kept);
    columns.figure("of all", "", |outcome| Some(percent(outcome.kept.share()?)));
    let names = columns.outcomes.iter().flat_map(|outcome| &outcome.kept.by);
    let mut names: Vec<_> = names.map(|why| why.name.clone()).collect();
    names.dedup();
    for name in names {
        columns.text(&format!("  {name}"), "kept of decided by it", |outcome| {
            let why = outcome.kept.by.iter().find(|why| why.name == name);
            why.map_or_else(String::new, |why| {
                format!("{} of {}", grouped(why.kept), grouped(why.kept + why.dropped))
            })
        });
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(super) fn spans(columns: &mut Columns<'_>) {
    columns.title("Where is every span?");
    let is_any = |of: fn(&Outcome) -> u64| columns.outcomes.iter().any(|outcome| of(outcome) > 0);
    let has_recovered = is_any(|outcome| outcome.account.recovered);
    let has_replayed = is_any(|outcome| outcome.account.replayed);
    let has_spooled = is_any(|outcome| outcome.account.spooled);

    columns.count("ended", "", |outcome| outcome.account.ended);
    if has_recovered {
        columns.own("  recovered", "of these, left on disk by an earlier run", |outcome| {
            outcome.account.recovered
        });
    }
    columns.count("exported", "", |outcome| outcome.account.exported);
    if has_replayed {
        columns.own("  replayed", "of these, by way of the disk", |outcome| {
            outcome.account.replayed
        });
    }
    columns.count("rejected", "", |outcome| outcome.account.rejected);
    columns.count("lost", "", |outcome| outcome.account.lost_total());
    let reasons = columns.outcomes.iter().flat_map(|outcome| outcome.account.lost.keys());
    for reason in reasons.collect::<BTreeSet<_>>() {
        columns.count(&format!("  {reason}"), "", |outcome| {
            outcome.account.lost.get(reason).copied().unwrap_or(0)
        });
    }
    columns.count("pending", "", |outcome| outcome.account.pending);
    if has_spooled {
        columns.own("  spooled", "of these, safe on disk for the next run", |outcome| {
            outcome.account.spooled
        });
    }
    let law = "ended = exported + rejected + lost + pending";
    columns.text("adds up", law, |outcome| {
        let answer = match (outcome.kind, outcome.account.holds()) {
            (Kind::Stock, _) => "not told",
            (Kind::Spanwright, true) => "yes",
            (Kind::Spanwright, false) => "NO",
        };
        answer.to_owned()
    });
}

/// Nothing where the receiver is not ours to ask.
pub(super) fn arrival(columns: &mut Columns<'_>) {
    if !columns.has_received() {
        return;
    }
    let received = |outcome: &Outcome| outcome.received.map_or(0, |received| received.spans);
    let tells_apart = |outcome: &Outcome| outcome.received.and_then(|received| received.again);
    if columns.outcomes.iter().any(|outcome| tells_apart(outcome).is_none()) {
        columns.count("received", "as the receiver counted", received);
        return;
    }
    columns.title("Did it arrive? The receiver's own count:");
    columns.count("arrived", "different spans, by their ids", received);
    columns.count("again", "a second time, because an answer got lost", |outcome| {
        tells_apart(outcome).unwrap_or(0)
    });
    columns.text("missing", "ended, less arrived", |outcome| {
        let missing = outcome.account.ended.saturating_sub(received(outcome));
        match outcome.verdict() {
            Verdict::Safe => format!("{}, on disk", grouped(missing)),
            Verdict::Arrived | Verdict::Missing => grouped(missing),
        }
    });
}

/// Nothing of a run in which spans were meant to go straight.
pub(super) fn detours(columns: &mut Columns<'_>, args: &Args) {
    if !args.has_proof() {
        return;
    }
    columns.title("How did it get there?");
    columns.own("parked at most", "in memory, until they can be sent", |outcome| {
        outcome.most.parked
    });
    columns.own("spooled at most", "on disk, in place of memory", |outcome| {
        outcome.most.spooled
    });
    let of_endpoints = |outcome: &Outcome, word: fn(&Endpoint) -> String| {
        let words = joined(&outcome.endpoints, word);
        if words.is_empty() { "-".to_owned() } else { words }
    };
    columns.text("breaker", "opens when half of the requests of 30 s failed", |outcome| {
        of_endpoints(outcome, |endpoint| endpoint.breaker.to_owned())
    });
    columns.text("  opened", "times", |outcome| {
        of_endpoints(outcome, |endpoint| grouped(endpoint.opened))
    });
    columns.text("concurrency limit", "requests at once, as it has learnt", |outcome| {
        of_endpoints(outcome, |endpoint| grouped(endpoint.limit))
    });
}

pub(super) fn cost(columns: &mut Columns<'_>, args: &Args) {
    if args.calibrates || columns.has_received() {
        columns.title("What did it cost?");
    }
    if args.calibrates {
        let nanos = |nanos: f64| format!("{nanos:.0} ns");
        columns.figure("CPU per exported span", "see --help", |outcome| {
            Some(nanos(outcome.cost?.total()))
        });
        columns.figure("  service's threads", "", |outcome| Some(nanos(outcome.cost?.service)));
        columns.figure("  pipeline's threads", "", |outcome| {
            Some(nanos(outcome.cost?.pipeline))
        });
        columns.figure("of one core", "", |outcome| {
            Some(format!("{:.1} %", share_of_core(outcome)?))
        });
    }
    if columns.has_received() {
        columns.figure("bytes per span", "of the requests, as sent", |outcome| {
            let received = outcome.received.filter(|received| received.sent > 0)?;
            Some(format!("{} B", grouped(received.bytes / received.sent)))
        });
    }
}

fn share_of_core(outcome: &Outcome) -> Option<f64> {
    let nanos = outcome.cost?.total() * outcome.account.exported as f64;
    Some(nanos / outcome.load.duration.as_nanos() as f64 * 100.0)
}
