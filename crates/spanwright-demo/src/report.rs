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
    let mut columns = Columns::new(outcomes);
    load_rows(&mut columns);
    sampling_rows(&mut columns);
    span_rows(&mut columns);
    cost_rows(&mut columns, args);
    let notes: String = outcomes
        .iter()
        .flat_map(|outcome| notes(outcome, args))
        .map(|note| format!("{note}\n"))
        .collect();
    format!("\n{}\n\n{}\n{notes}", way(args), columns.table)
}

/// A table with a column for each run.
struct Columns<'a> {
    outcomes: &'a [Outcome],
    table: Table,
}

impl<'a> Columns<'a> {
    fn new(outcomes: &'a [Outcome]) -> Self {
        let table = Table::new(outcomes.iter().map(|outcome| outcome.kind.to_string()).collect());
        Self { outcomes, table }
    }

    fn count(&mut self, label: &str, note: &'static str, of: impl Fn(&Outcome) -> u64) {
        self.text(label, note, |outcome| grouped(of(outcome)));
    }

    fn figure(&mut self, label: &str, note: &'static str, of: impl Fn(&Outcome) -> Option<String>) {
        self.text(label, note, |outcome| {
            of(outcome).unwrap_or_else(|| "not known".to_owned())
        });
    }

    fn text(&mut self, label: &str, note: &'static str, of: impl Fn(&Outcome) -> String) {
        self.table.row(label, self.outcomes.iter().map(of), note);
    }

    /// Whether the receiver is ours to ask.
    fn has_received(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.received.is_some())
    }
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
        "traces_kept": outcome.kept.kept,
        "traces_dropped": outcome.kept.dropped,
        "requests": load.answered,
        "requests_due": load.due,
        "requests_failed": load.failed,
        "requests_served": outcome.served,
        "duration_s": load.duration.as_secs_f64(),
        "cpu_ns_per_span": cost.map(|cost| cost.total().round()),
        "cpu_ns_per_span_on_service_threads": cost.map(|cost| cost.service.round()),
        "cpu_ns_per_span_on_pipeline_threads": cost.map(|cost| cost.pipeline.round()),
        "last_failure": outcome.trouble,
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

fn load_rows(columns: &mut Columns<'_>) {
    columns.table.title("What was done?");
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
fn sampling_rows(columns: &mut Columns<'_>) {
    if columns.outcomes.iter().all(|outcome| outcome.kept.dropped == 0) {
        return;
    }
    columns.table.title("Which traces are kept?");
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

fn span_rows(columns: &mut Columns<'_>) {
    columns.table.title("Where is every span?");
    columns.count("ended", "", |outcome| outcome.account.ended);
    columns.count("exported", "", |outcome| outcome.account.exported);
    columns.count("rejected", "", |outcome| outcome.account.rejected);
    columns.count("lost", "", |outcome| outcome.account.lost_total());
    let reasons = columns.outcomes.iter().flat_map(|outcome| outcome.account.lost.keys());
    for reason in reasons.collect::<BTreeSet<_>>() {
        columns.count(&format!("  {reason}"), "", |outcome| {
            outcome.account.lost.get(reason).copied().unwrap_or(0)
        });
    }
    columns.count("pending", "", |outcome| outcome.account.pending);
    let law = "ended = exported + rejected + lost + pending";
    columns.text("adds up", law, |outcome| {
        let answer = match (outcome.kind, outcome.account.holds()) {
            (Kind::Stock, _) => "not told",
            (Kind::Spanwright, true) => "yes",
            (Kind::Spanwright, false) => "NO",
        };
        answer.to_owned()
    });
    if columns.has_received() {
        columns.count("received", "as the receiver counted", |outcome| {
            outcome.received.map_or(0, |received| received.spans)
        });
    }
}

fn cost_rows(columns: &mut Columns<'_>, args: &Args) {
    if args.calibrates || columns.has_received() {
        columns.table.title("What did it cost?");
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
            let received = outcome.received.filter(|received| received.spans > 0)?;
            Some(format!("{} B", grouped(received.bytes / received.spans)))
        });
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
    if let Some(trouble) = &outcome.trouble {
        notes.push(format!("{kind}: what failed last: {trouble}."));
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
    if *kind == Kind::Stock {
        notes.push(
            "stock: it has no account of its own; `--help` says how this one is made and what it cannot show."
                .to_owned(),
        );
    }
    notes
}

fn share_of_core(outcome: &Outcome) -> Option<f64> {
    let nanos = outcome.cost?.total() * outcome.account.exported as f64;
    Some(nanos / outcome.load.duration.as_nanos() as f64 * 100.0)
}

fn per_second(count: u64, outcome: &Outcome) -> u64 {
    let seconds = outcome.load.duration.as_secs_f64();
    if seconds > 0.0 {
        (count as f64 / seconds).round() as u64
    } else {
        0
    }
}
