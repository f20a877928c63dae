//! A row each second, under a head.

use super::{Reading, per_second};
use crate::endpoint::joined;
use crate::pipelines::Snapshot;
use crate::table::grouped;

/// The columns, and how wide each is.
const COLUMNS: &[(&str, usize)] = &[
    ("time", 6),
    ("requests/s", 10),
    ("spans/s", 8),
    ("queue", 8),
    ("parked", 7),
    ("spooled", 7),
    ("replayed", 8),
    ("recovered", 9),
    ("in flight", 9),
    ("limit", 5),
    ("answers", 7),
    ("breaker", 9),
    ("lost", 7),
    ("receiver", 9),
];

/// In a column of which a pipeline tells nothing.
const UNKNOWN: &str = "-";

pub(super) fn head() -> String {
    aligned(COLUMNS.iter().map(|(name, _)| (*name).to_owned()))
}

/// Rates are those since the last row, the rest is as it is.
pub(super) fn row(last: &Reading, now: &Reading) -> String {
    let Snapshot {
        account,
        queue,
        in_flight,
        answers,
        endpoints,
        ..
    } = &now.snapshot;
    let known = |count: u64| match queue {
        Some(_) => grouped(count),
        None => UNKNOWN.to_owned(),
    };
    let word = |words: String| if words.is_empty() { UNKNOWN.to_owned() } else { words };
    aligned([
        format!("{:.0} s", now.elapsed.as_secs_f64()),
        per_second(last, now, |reading| reading.requests),
        per_second(last, now, ended_here),
        queue.map_or_else(|| format!("≤ {}", grouped(account.pending)), grouped),
        known(account.parked),
        known(account.spooled),
        known(account.replayed),
        known(account.recovered),
        grouped(*in_flight),
        word(joined(endpoints, |endpoint| endpoint.limit.to_string())),
        word(
            answers
                .map_or("", |answers| if answers { "yes" } else { "no" })
                .to_owned(),
        ),
        word(joined(endpoints, |endpoint| endpoint.breaker.to_owned())),
        grouped(account.lost_total()),
        now.receiver.unwrap_or(UNKNOWN).to_owned(),
    ])
}

/// Not those that were found on disk.
fn ended_here(reading: &Reading) -> u64 {
    let account = &reading.snapshot.account;
    account.ended.saturating_sub(account.recovered)
}

fn aligned(cells: impl IntoIterator<Item = String>) -> String {
    let cells = cells.into_iter().zip(COLUMNS);
    let cells: Vec<_> = cells.map(|(cell, (_, width))| format!("{cell:>width$}")).collect();
    cells.join("  ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::account::Account;
    use crate::endpoint::Endpoint;

    #[test]
    fn a_row_stands_under_its_head() {
        let endpoint = Endpoint {
            url: String::new(),
            breaker: "half open",
            opened: 1,
            limit: 16,
        };
        let reading = Reading {
            elapsed: Duration::from_millis(3_020),
            requests: 6_040,
            receiver: Some("exhausted"),
            snapshot: Snapshot {
                account: Account {
                    ended: 36_240,
                    parked: 12_345,
                    spooled: 678,
                    ..Account::default()
                },
                queue: Some(17),
                in_flight: 1,
                endpoints: vec![endpoint],
                ..Snapshot::default()
            },
        };
        let (head, row) = (head(), row(&Reading::default(), &reading));
        assert_eq!(head.chars().count(), row.chars().count());
        for (name, cell) in [
            ("requests/s", "2 000"),
            ("spans/s", "12 000"),
            ("parked", "12 345"),
            ("spooled", "678"),
            ("limit", "16"),
            ("breaker", "half open"),
            ("receiver", "exhausted"),
        ] {
            let end = head.find(name).unwrap() + name.len();
            assert!(row[..end].ends_with(cell), "{name}:\n{head}\n{row}");
        }
    }

    #[test]
    fn a_pipeline_without_a_disk_and_endpoints_tells_nothing_of_them() {
        let row = row(&Reading::default(), &Reading::default());
        assert_eq!(row.matches(UNKNOWN).count(), 8, "{row}");
    }
}
