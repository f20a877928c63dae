//! What the figures do not say by themselves.

use super::per_second;
use crate::account::Verdict;
use crate::args::Args;
use crate::choices::Kind;
use crate::run::Outcome;
use crate::table::grouped;

/// Less than this share of the requests that were asked for, and the machine could not keep up.
const KEPT_UP: f64 = 0.98;

/// Sentences, the most important one first.
pub(super) fn of(outcome: &Outcome, args: &Args) -> Vec<String> {
    let Outcome {
        kind, account, load, ..
    } = outcome;
    let mut notes = vec![format!("{kind}: {}", verdict(outcome))];
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
    if account.lost_total() > 0 && args.outage.is_some() && *kind == Kind::Spanwright && outcome.target.spool.is_none()
    {
        notes.push(format!(
            "{kind}: with `--spool DIR` what has no room or time goes to disk."
        ));
    }
    if let Some(trouble) = &outcome.disk_trouble {
        notes.push(format!(
            "{kind}: the disk takes no requests, so that they stay in memory: {trouble}."
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

/// What became of the spans, for somebody who reads nothing else.
fn verdict(outcome: &Outcome) -> String {
    let account = &outcome.account;
    let (ended, missing) = (account.ended, account.ended.saturating_sub(account.exported));
    let (ended, missing) = (grouped(ended), grouped(missing));
    match outcome.verdict() {
        Verdict::Arrived if account.recovered > 0 => format!(
            "all {ended} spans arrived, {} of them from an earlier run.",
            grouped(account.recovered)
        ),
        Verdict::Arrived => format!("all {ended} spans arrived."),
        Verdict::Safe => {
            let spool = outcome.target.spool.as_ref();
            let again = spool.map_or_else(String::new, |spool| format!(" with `--spool {}`", spool.display()));
            format!(
                "no span is lost: of {ended}, {} arrived and {missing} are safe on disk. The next run{again} delivers them.",
                grouped(account.exported)
            )
        }
        Verdict::Missing => format!("{missing} of {ended} spans did not arrive."),
    }
}
