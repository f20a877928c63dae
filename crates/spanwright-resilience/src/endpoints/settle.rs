//! What became of a request by what became of its parts.

use std::time::Duration;

use spanwright_core::{EncodedBatch, ErrorKind, ExportError, Receipt};

use crate::receipts::join;

/// One result for the whole of several parts.
///
/// The error of a part that came with a [rest](ExportError::rest) counts for the rest, and its receipt as that of a part. Then, of the
/// parts that failed,
///
/// - those that may be sent again, and with them those that are too large, are the rest of an error that says so: the one that asks
///   for the longest delay, since no receiver is to be asked before its time. A part that is too large for its receiver is so again the
///   next time, and then it is alone;
/// - where there are only some that are too large, they are the rest of that error;
/// - those refused for good are the rest of that error where no other part failed; else they count as rejected, with the error in the
///   message: an error has room for one answer, and to send them again is not allowed.
///
/// So each item is at any moment in one place: taken or rejected by the receipt, or in the rest. An error without a rest is about the
/// whole.
pub(super) fn settle(
    whole: EncodedBatch,
    parts: Vec<(EncodedBatch, Result<Receipt, ExportError>)>,
) -> Result<Receipt, ExportError> {
    let mut settled = None;
    let mut failed = Vec::new();
    for (part, result) in parts {
        match result {
            Ok(receipt) => note(&mut settled, bounded(receipt, part.item_count())),
            Err(mut error) => match error.take_rest() {
                Some((receipt, rest)) => {
                    note(&mut settled, receipt);
                    failed.push((rest, error));
                }
                None => failed.push((part, error)),
            },
        }
    }
    let (refused, mut left): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(_, error)| is_for_good(error));
    if left.is_empty() {
        left = refused;
    } else {
        for (part, error) in refused {
            note(
                &mut settled,
                Receipt::partial(part.item_count() as u64, error.to_string()),
            );
        }
    }
    let rest: Vec<_> = left.iter().map(|(part, _)| part.clone()).collect();
    let errors = left.into_iter().map(|(_, error)| error);
    let Some(error) = errors.reduce(more_pressing) else {
        return Ok(settled.unwrap_or_default());
    };
    Err(match settled {
        None => error,
        Some(receipt) => error.with_rest(receipt, concat(&rest, &whole)),
    })
}

fn note(settled: &mut Option<Receipt>, receipt: Receipt) {
    *settled = Some(join(settled.take().unwrap_or_default(), receipt));
}

/// No receiver can have rejected more than it was sent.
fn bounded(receipt: Receipt, items: usize) -> Receipt {
    let items = items as u64;
    if receipt.rejected() <= items {
        return receipt;
    }
    Receipt::partial(items, receipt.message().unwrap_or_default())
}

fn is_for_good(error: &ExportError) -> bool {
    !error.is_retryable() && error.kind() != ErrorKind::TooLarge
}

/// Of two errors, the one to go by.
fn more_pressing(first: ExportError, second: ExportError) -> ExportError {
    let rank = |error: &ExportError| {
        let kind = match error.kind() {
            ErrorKind::Retryable | ErrorKind::Connect => 3,
            // Given up on our side: not to be sent again by those who do that at once, so others go before it.
            ErrorKind::Cancelled => 2,
            // Whose credentials are not accepted may come back with others; who is refused by the receiver may not.
            ErrorKind::Unauthenticated => 0,
            _ => 1,
        };
        (kind, error.retry_after().unwrap_or(Duration::ZERO))
    };
    if rank(&second) > rank(&first) { second } else { first }
}

/// The parts as one request: repeated fields concatenate.
fn concat(parts: &[EncodedBatch], whole: &EncodedBatch) -> EncodedBatch {
    if let [one] = parts {
        return one.clone();
    }
    let segments: Vec<_> = parts.iter().flat_map(|part| part.segments().iter().cloned()).collect();
    let items = parts.iter().map(EncodedBatch::item_count).sum();
    EncodedBatch::new(segments, items, whole.priority())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use spanwright_core::Priority;

    use super::*;

    fn part(text: &'static str) -> EncodedBatch {
        EncodedBatch::new([Bytes::from_static(text.as_bytes())], text.len(), Priority::High)
    }

    fn error(kind: ErrorKind, seconds: Option<u64>) -> Result<Receipt, ExportError> {
        Err(ExportError::new(kind, "x", "why").with_retry_after(seconds.map(Duration::from_secs)))
    }

    fn ok() -> Result<Receipt, ExportError> {
        Ok(Receipt::accepted())
    }

    type Parts = Vec<(EncodedBatch, Result<Receipt, ExportError>)>;

    fn settled(parts: Parts) -> Result<Receipt, ExportError> {
        let items = parts.iter().map(|(part, _)| part.item_count()).sum();
        settle(EncodedBatch::new([], items, Priority::High), parts)
    }

    /// The kind, the bytes of the rest, and how many of the others were rejected; without a rest the error is about the whole.
    fn failure(parts: Parts) -> (ErrorKind, Option<(String, u64)>) {
        let mut error = settled(parts).expect_err("a part failed");
        let rest = error.take_rest().map(|(receipt, rest)| {
            assert_eq!((rest.item_count(), rest.priority()), (rest.len(), Priority::High));
            (
                String::from_utf8_lossy(&rest.to_bytes()).into_owned(),
                receipt.rejected(),
            )
        });
        (error.kind(), rest)
    }

    #[test]
    fn what_all_took_is_one_receipt() {
        let parts = vec![
            (part("aa"), Ok(Receipt::partial(1, "old"))),
            (part("bbb"), Ok(Receipt::partial(2, "no name"))),
            (part("c"), ok()),
        ];
        assert_eq!(settled(parts).expect("taken"), Receipt::partial(3, "old; no name"));
        assert_eq!(settled(vec![]).expect("nothing"), Receipt::accepted());
        let too_many = vec![(part("aa"), Ok(Receipt::partial(100, ""))), (part("b"), ok())];
        assert_eq!(
            settled(too_many).expect("taken"),
            Receipt::partial(2, ""),
            "its own items at most"
        );
    }

    #[test]
    fn what_may_arrive_later_is_left_in_one_piece_and_no_server_is_asked_before_its_time() {
        use ErrorKind::{Cancelled, Connect, Retryable};
        let parts = || {
            vec![
                (part("aa"), error(Connect, None)),
                (part("bbb"), Ok(Receipt::partial(1, "old"))),
                (part("c"), error(Retryable, Some(9))),
                (part("d"), error(Retryable, Some(3))),
                (part("e"), error(Cancelled, Some(20))),
            ]
        };
        assert_eq!(failure(parts()), (Retryable, Some(("aacde".to_owned(), 1))));
        let error = settled(parts()).expect_err("some failed");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(9)));
    }

    #[test]
    fn where_nothing_is_settled_the_error_is_about_the_whole() {
        use ErrorKind::{Connect, Permanent, Retryable, TooLarge, Unauthenticated};
        for (kinds, kind) in [
            ([Connect, Connect], Connect),
            ([Retryable, Retryable], Retryable),
            ([TooLarge, Retryable], Retryable),
            ([Permanent, Unauthenticated], Permanent),
            ([Unauthenticated, Unauthenticated], Unauthenticated),
        ] {
            let [first, second] = kinds;
            let parts = vec![(part("a"), error(first, None)), (part("b"), error(second, None))];
            assert_eq!(failure(parts), (kind, None), "{kinds:?}");
        }
    }

    #[test]
    fn what_is_refused_for_good_is_never_left_to_be_sent_again() {
        use ErrorKind::{Permanent, Retryable, TooLarge, Unauthenticated};
        for (kind, left) in [(Retryable, "c"), (TooLarge, "c")] {
            let parts = vec![
                (part("aa"), error(Permanent, None)),
                (part("bbb"), error(Unauthenticated, None)),
                (part("c"), error(kind, None)),
            ];
            assert_eq!(
                failure(parts),
                (kind, Some((left.to_owned(), 5))),
                "counted as rejected"
            );
        }
        let alone = vec![(part("aa"), error(Permanent, None)), (part("b"), ok())];
        assert_eq!(
            failure(alone),
            (Permanent, Some(("aa".to_owned(), 0))),
            "the error is about it"
        );
        let mixed = vec![(part("a"), error(Permanent, None)), (part("b"), error(Retryable, None))];
        let mut mixed = settled(mixed).expect_err("both failed");
        let (receipt, _) = mixed.take_rest().expect("one is settled");
        assert!(
            receipt
                .message()
                .is_some_and(|message| message.contains("refused") && message.contains("why"))
        );
    }

    #[test]
    fn a_part_that_was_taken_in_part_leaves_its_rest() {
        let inner = ExportError::new(ErrorKind::Retryable, "x", "").with_rest(Receipt::partial(1, ""), part("b"));
        let parts = vec![(part("bbb"), Err(inner)), (part("c"), error(ErrorKind::Connect, None))];
        assert_eq!(failure(parts), (ErrorKind::Retryable, Some(("bc".to_owned(), 1))));
    }

    #[test]
    fn each_item_is_in_one_place_whatever_happens() {
        use ErrorKind::{Cancelled, Connect, Permanent, Retryable, TooLarge, Unauthenticated};
        let results: [fn() -> Result<Receipt, ExportError>; 8] = [
            ok,
            || Ok(Receipt::partial(1, "old")),
            || error(Cancelled, None),
            || error(Connect, None),
            || error(Permanent, None),
            || error(Retryable, Some(5)),
            || error(TooLarge, None),
            || error(Unauthenticated, None),
        ];
        for case in 0..8_usize.pow(3) {
            let results = [case % 8, case / 8 % 8, case / 64].map(|index| results[index]());
            let rejected_by_receivers = results.iter().flatten().map(Receipt::rejected).sum::<u64>();
            let for_good = |kind| matches!(kind, Permanent | Unauthenticated);
            let failed = |wanted: fn(ErrorKind) -> bool| {
                let kinds = results
                    .iter()
                    .map(|result| result.as_ref().err().map(ExportError::kind));
                let parts = kinds.zip([2_u64, 3, 4]).filter(|(kind, _)| kind.is_some_and(wanted));
                parts.map(|(_, items)| items).sum::<u64>()
            };
            let refused = failed(for_good);
            let again = failed(|kind| !matches!(kind, Permanent | Unauthenticated));
            let parts = ["aa", "bbb", "cccc"].map(part).into_iter().zip(results).collect();
            match settled(parts) {
                Ok(receipt) => assert_eq!((receipt.rejected(), refused + again), (rejected_by_receivers, 0)),
                Err(mut error) => match error.take_rest() {
                    None => assert_eq!(if again > 0 { again } else { refused }, 9),
                    Some((receipt, rest)) if again > 0 => {
                        assert_eq!(
                            (rest.item_count() as u64, receipt.rejected()),
                            (again, rejected_by_receivers + refused)
                        );
                        assert!(!for_good(error.kind()));
                    }
                    Some((receipt, rest)) => {
                        assert_eq!(
                            (rest.item_count() as u64, receipt.rejected()),
                            (refused, rejected_by_receivers)
                        );
                        assert!(for_good(error.kind()));
                    }
                },
            }
        }
    }
}
