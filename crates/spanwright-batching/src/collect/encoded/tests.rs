use proptest::prelude::*;
use spanwright_core::Priority;

use super::*;
use crate::testing::{Item, Plain, read};

type Plainly = Encoded<Item, Plain, fn(&Item) -> Class>;

fn collect() -> Plainly {
    Encoded::new(Plain, |_| Class::default())
}

fn append(collect: &Plainly, item: &Item, chunk: &mut EncodedChunk) -> usize {
    collect.append(&mut EncodedInput::Item(item), &mut EncodedScratch::default(), chunk)
}

fn pieces(collect: &Plainly, chunks: &[Vec<Item>]) -> Vec<EncodedPiece> {
    let fill = |items: &Vec<Item>| {
        let mut chunk = collect.open_chunk();
        items.iter().for_each(|item| _ = append(collect, item, &mut chunk));
        collect.seal(chunk)
    };
    chunks.iter().map(fill).collect()
}

fn by_scope(items: impl IntoIterator<Item = Item>) -> Vec<Item> {
    let mut items: Vec<Item> = items
        .into_iter()
        .map(|(scope, value, len)| (scope, if len > 0 { value } else { 0 }, len))
        .collect();
    items.sort_by_key(|item| item.0); // stable: the order within a scope is kept
    items
}

fn chunks() -> impl Strategy<Value = Vec<Vec<Item>>> {
    let item = (0..4_u8, 0..255_u8, 0..40_u8);
    prop::collection::vec(prop::collection::vec(item, 1..60), 1..6)
}

proptest! {
    #[test]
    fn a_request_holds_every_record_under_its_scope(chunks in chunks()) {
        let collect = collect();
        let request = collect.assemble(pieces(&collect, &chunks), Priority::High);
        prop_assert_eq!(by_scope(read(&request.batch)), by_scope(chunks.concat()));
        prop_assert_eq!(request.batch.item_count(), chunks.concat().len());
    }

    #[test]
    fn halves_hold_together_what_the_whole_held(chunks in chunks()) {
        let collect = collect();
        let whole = collect.assemble(pieces(&collect, &chunks), Priority::Normal);
        let total = whole.batch.item_count();
        match collect.halve(&whole) {
            None => prop_assert_eq!(total, 1),
            Some([(front, front_items, front_bytes), (back, back_items, back_bytes)]) => {
                prop_assert_eq!((front.batch.item_count(), front_items), (total / 2, total / 2));
                prop_assert_eq!((back.batch.item_count(), back_items), (total - total / 2, total - total / 2));
                let both: Vec<Item> = read(&front.batch).into_iter().chain(read(&back.batch)).collect();
                prop_assert_eq!(by_scope(both), by_scope(chunks.concat()));
                let records: usize = chunks.concat().iter().map(|item| usize::from(item.2) + 2).sum();
                prop_assert_eq!(front_bytes + back_bytes, records);
            }
        }
    }

    #[test]
    fn a_front_respects_both_limits_and_nothing_is_lost(items in chunks(), max_items in 1..50_usize, max_bytes in 1..500_usize) {
        let collect = collect();
        let mut rest = pieces(&collect, &items[..1]).pop();
        let mut fronts = Vec::new();
        while let Some(piece) = rest {
            let (front, back) = collect.cut(piece, Room { items: max_items, bytes: max_bytes, is_empty: true });
            let front = front.expect("an empty room takes one item whatever its size");
            prop_assert!(front.item_count() <= max_items);
            prop_assert!(front.bytes() <= max_bytes || front.item_count() == 1);
            fronts.push(front);
            rest = back;
        }
        prop_assert_eq!(fronts.iter().map(Piece::item_count).sum::<usize>(), items[0].len());
        let request = collect.assemble(fronts, Priority::Normal);
        prop_assert_eq!(by_scope(read(&request.batch)), by_scope(items[0].clone()));
    }
}

#[test]
fn undo_takes_back_a_record_and_half_of_one() {
    let collect = collect();
    let mut chunk = collect.open_chunk();
    append(&collect, &(1, 7, 3), &mut chunk);
    let mark = chunk.mark();
    append(&collect, &(1, 8, 3), &mut chunk);
    collect.undo(&mut EncodedInput::Item(&(0, 0, 0)), &mut chunk, mark);
    append(&collect, &(2, 9, 3), &mut chunk);
    let mark = chunk.mark();
    let panicked = catch_unwind(AssertUnwindSafe(|| append(&collect, &(3, 255, 3), &mut chunk)));
    assert!(panicked.is_err());
    collect.undo(&mut EncodedInput::Item(&(0, 0, 0)), &mut chunk, mark);
    let request = collect.assemble(vec![collect.seal(chunk)], Priority::Normal);
    assert_eq!(read(&request.batch), [(1, 7, 3), (2, 9, 3)]);
}

#[test]
fn a_chunk_absorbs_small_ones_and_joins_runs() {
    let collect = collect();
    let mut chunk = collect.open_chunk();
    append(&collect, &(1, 1, 1), &mut chunk);
    let mut other = collect.open_chunk();
    append(&collect, &(1, 2, 1), &mut other);
    append(&collect, &(2, 3, 1), &mut other);
    assert!(chunk.absorb(other).is_ok());
    assert_eq!(chunk.buffer.runs.len(), 2);
    assert_eq!(
        read(&collect.assemble(vec![collect.seal(chunk)], Priority::Normal).batch),
        [(1, 1, 1), (1, 2, 1), (2, 3, 1)]
    );
}

#[test]
fn long_runs_are_not_copied() {
    let collect = collect();
    let mut chunk = collect.open_chunk();
    while !chunk.is_full() {
        append(&collect, &(1, 1, 200), &mut chunk);
    }
    let records = chunk.buffer.bytes.as_ptr();
    let request = collect.assemble(vec![collect.seal(chunk)], Priority::Normal);
    assert_eq!(request.batch.segments().len(), 2);
    assert_eq!(request.batch.segments()[1].as_ptr(), records);
}
