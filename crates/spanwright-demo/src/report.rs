//! What is said at the end: a table for people, JSON for programs.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::args::{Args, Kind};
use crate::run::Outcome;
use crate::table::{Table, grouped};

/// Less than this share of the requests that were asked for, and the machine could not keep up.
const KEPT_UP: f64 = 0.98;

/// One document; of several runs, one for each under the pipeline's name.
pub(crate) fn json(outcomes: &[Outcome]) -> String {
    let document = match outcomes {
        [outcome] => document(outcome),
        _ => outcomes
            .iter()
            .map(|outcome| (outcome.kind.to_string(), document(outcome)))
            .collect::<Map<_, _>>()
            .into(),
    };
    format!("{document:#}\n")
}

/// Where every span is, and what it cost.
pub(crate) fn table(outcomes: &[Outcome], args: &Args) -> String {
    let mut table = Table::new(outcomes.iter().map(|outcome| outcome.kind.to_string()).collect());
    load_rows(&mut table, outcomes);
    span_rows(&mut table, outcomes);
    cost_rows(&mut table, outcomes, args);
    let notes: String = outcomes
        .iter()
        .flat_map(|outcome| notes(outcome, args))
        .map(|note| format!("{note}\n"))
        .collect();
    format!("\n{}\n\n{table}\n{notes}", way(args))
}

fn document(outcome: &Outcome) -> Value {
    let Outcome {
        account,
        load,
        target,
        cost,
        received,
        ..
    } = outcome;
    json!({
        "pipeline": outcome.kind.to_string(),
        "protocol": target.protocol.to_string(),
        "compression": target.compression.to_string(),
        "endpoint": target.endpoint,
        "ended": account.ended,
        "exported": account.exported,
        "rejected": account.rejected,
        "lost": account.lost,
        "pending": account.pending,
        "received": received.map(|received| received.spans),
        "received_bytes": received.map(|received| received.bytes),
        "requests": load.answered,
        "requests_due": load.due,
        "requests_failed": load.failed,
        "requests_served": outcome.served,
        "duration_s": load.duration.as_secs_f64(),
        "cpu_ns_per_span": cost.map(|cost| cost.per_span.round()),
        "cpu_ns_per_span_uncertainty": cost.map(|cost| cost.uncertainty.round()),
        "shutdown_error": outcome.complaint,
    })
}

fn way(args: &Args) -> String {
    let receiver = args.endpoint.as_deref().unwrap_or("the receiver in this process");
    let Args {
        protocol, compression, ..
    } = args;
    format!("Over {protocol}, compression {compression}, to {receiver}.")
}

fn load_rows(table: &mut Table, outcomes: &[Outcome]) {
    let count = |of: fn(&Outcome) -> u64| outcomes.iter().map(move |outcome| grouped(of(outcome)));
    table.title("What was done?");
    table.row("requests", count(|outcome| outcome.load.answered), "");
    table.row(
        "a second",
        count(|outcome| per_second(outcome.load.answered, outcome)),
        "",
    );
    table.row(
        "failed",
        count(|outcome| outcome.load.failed),
        "by the service, as they should",
    );
    table.row(
        "spans a second",
        count(|outcome| per_second(outcome.account.ended, outcome)),
        "",
    );
}

fn span_rows(table: &mut Table, outcomes: &[Outcome]) {
    let count = |of: fn(&Outcome) -> u64| outcomes.iter().map(move |outcome| grouped(of(outcome)));
    table.title("Where is every span?");
    table.row("ended", count(|outcome| outcome.account.ended), "");
    table.row("exported", count(|outcome| outcome.account.exported), "");
    table.row("rejected", count(|outcome| outcome.account.rejected), "");
    table.row("lost", count(|outcome| outcome.account.lost_total()), "");
    let reasons: BTreeSet<_> = outcomes
        .iter()
        .flat_map(|outcome| outcome.account.lost.keys())
        .collect();
    for reason in reasons {
        let lost = |outcome: &Outcome| outcome.account.lost.get(reason).copied().unwrap_or(0);
        table.row(
            format!("  {reason}"),
            outcomes.iter().map(|outcome| grouped(lost(outcome))),
            "",
        );
    }
    table.row("pending", count(|outcome| outcome.account.pending), "");
    let holds = |outcome: &Outcome| match (outcome.kind, outcome.account.holds()) {
        (Kind::Stock, _) => "not told",
        (Kind::Spanwright, true) => "yes",
        (Kind::Spanwright, false) => "NO",
    };
    let law = "ended = exported + rejected + lost + pending";
    table.row("adds up", outcomes.iter().map(|outcome| holds(outcome).to_owned()), law);
    if outcomes.iter().all(|outcome| outcome.received.is_some()) {
        let received = count(|outcome| outcome.received.map_or(0, |received| received.spans));
        table.row("received", received, "as the receiver counted");
    }
}

fn cost_rows(table: &mut Table, outcomes: &[Outcome], args: &Args) {
    let has_bytes = outcomes.iter().all(|outcome| outcome.received.is_some());
    if !args.calibrates && !has_bytes {
        return;
    }
    table.title("What did it cost?");
    if args.calibrates {
        let per_span = |outcome: &Outcome| match outcome.cost {
            None => "not known".to_owned(),
            Some(cost) => format!("{:.0} ± {:.0} ns", cost.per_span, cost.uncertainty),
        };
        let note = "of the process, without receiver and without load";
        table.row("CPU per exported span", outcomes.iter().map(per_span), note);
        let share = |outcome: &Outcome| {
            let (cost, seconds) = (outcome.cost?, outcome.load.duration.as_secs_f64());
            Some(cost.per_span * outcome.account.exported as f64 / 1e9 / seconds * 100.0)
        };
        let share = |outcome: &Outcome| share(outcome).map_or("not known".to_owned(), |share| format!("{share:.1} %"));
        table.row("of one core", outcomes.iter().map(share), "");
    }
    if has_bytes {
        let bytes = |outcome: &Outcome| {
            let received = outcome.received.filter(|received| received.spans > 0);
            received.map_or(0, |received| received.bytes / received.spans)
        };
        let cells = outcomes.iter().map(|outcome| format!("{} B", grouped(bytes(outcome))));
        table.row("bytes per span", cells, "of the requests, as sent");
    }
}

/// What the figures do not say by themselves.
fn notes(outcome: &Outcome, args: &Args) -> Vec<String> {
    let Outcome {
        kind, account, load, ..
    } = outcome;
    let mut notes = Vec::new();
    if outcome.is_complete() {
        notes.push(format!("{kind}: all {} spans arrived.", grouped(account.ended)));
    } else {
        let missing = account.ended.saturating_sub(account.exported);
        notes.push(format!(
            "{kind}: {} of {} spans did not arrive.",
            grouped(missing),
            grouped(account.ended)
        ));
    }
    if !account.holds() {
        notes.push(format!(
            "{kind}: the account does not add up, which is a defect of {kind}."
        ));
    }
    if !outcome.is_received() {
        notes.push(format!(
            "{kind}: the receiver has fewer spans than were exported, by the pipeline's word."
        ));
    }
    if let Some(complaint) = &outcome.complaint {
        notes.push(format!("{kind}: its shutdown said: {complaint}."));
    }
    if (load.answered as f64) < load.due as f64 * KEPT_UP {
        let (asked, did) = (grouped(args.rate.into()), grouped(per_second(load.answered, outcome)));
        notes.push(format!(
            "{kind}: {asked} requests/s is too much for this machine, which did {did}: the load is what it can do, not what was asked for."
        ));
    }
    if outcome.cost.is_some_and(|cost| !cost.is_significant()) {
        notes.push(format!("{kind}: its cost is too small to be told from noise in this run; a higher --rate or a longer --duration shows it."));
    }
    if *kind == Kind::Stock {
        notes.push(
            "stock: it has no account of its own; `--help` says how this one is made and what it cannot show."
                .to_owned(),
        );
    }
    notes
}

fn per_second(count: u64, outcome: &Outcome) -> u64 {
    let seconds = outcome.load.duration.as_secs_f64();
    if seconds > 0.0 {
        (count as f64 / seconds).round() as u64
    } else {
        0
    }
}
