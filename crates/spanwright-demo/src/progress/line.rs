//! One line.

use super::{Reading, per_second};
use crate::pipelines::Snapshot;
use crate::table::grouped;

/// Rates are those since the last line, the rest is as it is.
pub(super) fn line(last: &Reading, now: &Reading) -> String {
    let Snapshot {
        account,
        queue,
        in_flight,
        kept,
        ..
    } = &now.snapshot;
    let requests = per_second(last, now, |reading| reading.requests);
    let elapsed = now.elapsed.as_secs_f64().round();
    let mut text = format!("{elapsed:>4} s  {requests:>6} requests/s");
    // Of the traces since the last line. A sampler that keeps all of them says nothing.
    if let Some(share) = kept.since(&last.snapshot.kept).share()
        && kept.dropped > 0
    {
        text.push_str(&format!("  kept {:>5.1} %", share * 100.0));
    }
    // Without a pipeline nobody counts spans.
    if account.ended > 0 {
        let spans = per_second(last, now, |reading| reading.snapshot.account.ended);
        // Of what is pending, that which waits; or which was lost, where nobody can tell yet.
        let queue = match queue {
            Some(spans) => grouped(*spans + account.parked),
            None => format!("≤ {}", grouped(account.pending)),
        };
        let lost = grouped(account.lost_total());
        text.push_str(&format!(
            "  {spans:>7} spans/s  queue {queue:>6}  in flight {in_flight:>2}  lost {lost}"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::account::Account;
    use crate::sampling::Kept;

    use super::*;

    fn reading(seconds: u64, requests: u64, ended: u64, queue: Option<u64>) -> Reading {
        let account = Account {
            ended,
            pending: 17,
            lost: [("queue_full", 3)].into(),
            ..Account::default()
        };
        Reading {
            elapsed: Duration::from_secs(seconds),
            requests,
            receiver: None,
            snapshot: Snapshot {
                account,
                queue,
                in_flight: 2,
                answers: None,
                endpoints: Vec::new(),
                kept: Kept::default(),
            },
        }
    }

    #[test]
    fn rates_are_those_since_the_last_line() {
        assert_eq!(
            line(&reading(2, 1_000, 5_000, Some(0)), &reading(4, 5_000, 29_000, Some(12))),
            "   4 s   2 000 requests/s   12 000 spans/s  queue     12  in flight  2  lost 3"
        );
    }

    #[test]
    fn of_a_sampler_that_drops_the_share_since_the_last_line_is_shown() {
        let kept = |kept, dropped| Kept {
            kept,
            dropped,
            by: Vec::new(),
        };
        let (mut before, mut after) = (reading(1, 10, 5, Some(0)), reading(2, 20, 10, Some(0)));
        (before.snapshot.kept, after.snapshot.kept) = (kept(500, 500), kept(600, 1300));
        assert!(line(&before, &after).contains(" requests/s  kept  11.1 %  "));
        after.snapshot.kept = kept(600, 0);
        assert!(!line(&before, &after).contains("kept"));
    }

    #[test]
    fn a_queue_that_cannot_be_seen_holds_at_most_what_is_missing() {
        let text = line(&Reading::default(), &reading(1, 1_000, 5_000, None));
        assert!(text.contains("  queue   ≤ 17  in flight  2"), "{text}");
    }

    #[test]
    fn without_a_pipeline_only_requests_are_shown() {
        let text = line(&Reading::default(), &reading(1, 1_000, 0, None));
        assert_eq!(text, "   1 s   1 000 requests/s");
    }
}
