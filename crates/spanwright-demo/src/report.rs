//! What is said at the end: a table for people, JSON for programs.

mod columns;
mod document;
mod notes;
mod rows;

use serde_json::Map;

use self::columns::Columns;
use crate::args::Args;
use crate::run::Outcome;

/// One document; of several runs, one for each under the pipeline's name.
pub(crate) fn json(outcomes: &[Outcome], args: &Args) -> String {
    let document = match outcomes {
        [outcome] => document::of(outcome, args),
        _ => outcomes
            .iter()
            .map(|outcome| (outcome.kind.to_string(), document::of(outcome, args)))
            .collect::<Map<_, _>>()
            .into(),
    };
    format!("{document:#}\n")
}

/// Where every span is, and what it cost.
pub(crate) fn table(outcomes: &[Outcome], args: &Args) -> String {
    let mut columns = Columns::new(outcomes);
    rows::load(&mut columns);
    rows::sampling(&mut columns);
    rows::spans(&mut columns);
    rows::arrival(&mut columns);
    rows::detours(&mut columns, args);
    rows::cost(&mut columns, args);
    let notes: String = outcomes
        .iter()
        .flat_map(|outcome| notes::of(outcome, args))
        .map(|note| format!("{note}\n"))
        .collect();
    format!("\n{}\n\n{}\n{notes}", way(args), columns)
}

fn way(args: &Args) -> String {
    let receiver = args.endpoint.as_deref().unwrap_or("the receiver in this process");
    let Args {
        protocol, compression, ..
    } = args;
    let mut text = format!("Over {protocol}, compression {compression}, to {receiver}.");
    if let Some(outage) = &args.outage {
        text.push_str(&format!("\nOutage: {}.", outage.described(args.duration)));
    }
    text
}

/// Of the load, however long it lasted.
fn per_second(count: u64, outcome: &Outcome) -> u64 {
    let seconds = outcome.load.duration.as_secs_f64();
    if seconds > 0.0 {
        (count as f64 / seconds).round() as u64
    } else {
        0
    }
}
