//! Every interleaving of threads that look for cells and count in them with the one that frees them.
//!
//! `RUSTFLAGS="--cfg spanwright_loom" cargo test -p spanwright-sampling --release --lib keys::model`

use std::sync::Arc;

use loom::thread;

use super::table::{Fingerprint, Plan, Search, Table};

/// A table of one bucket with two cells, so that everybody meets.
fn table() -> Arc<Table> {
    Arc::new(Table::new(1))
}

fn key(number: u64) -> Fingerprint {
    Fingerprint::new(number)
}

/// What a decision does: whether the span was counted in a cell of its key's.
fn count(table: &Table, key: Fingerprint) -> bool {
    let cell = match table.search(key) {
        Search::Found(cell) => cell,
        search => match table.claim(key, search) {
            Some((cell, _)) => cell,
            None => return false,
        },
    };
    table.plan(cell).is_some() && table.count(cell).is_some()
}

/// Takes what is in the cells, of this key and of others.
fn take(table: &Table, key: Fingerprint) -> (u64, u64) {
    let mut counts = (0, 0);
    for slot in 0..table.slots() {
        let Some(cell) = table.occupant(slot) else { continue };
        let count = table.drain(slot);
        if cell.fingerprint() == key {
            counts.0 += count;
        } else {
            counts.1 += count;
        }
    }
    counts
}

#[test]
fn two_threads_with_a_new_key_get_one_cell_and_lose_no_count() {
    loom::model(|| {
        let table = table();
        let other = thread::spawn({
            let table = Arc::clone(&table);
            move || count(&table, key(7))
        });
        let mine = count(&table, key(7));
        let others = other.join().unwrap();
        let counted = u64::from(mine) + u64::from(others);
        // With room for a single key, the one who comes second may find it being taken.
        assert!(counted >= 1);
        assert_eq!(take(&table, key(7)), (counted, 0));
        assert_eq!(table.live(), 1);
    });
}

#[test]
fn a_cell_that_is_freed_gives_its_last_count_to_its_own_key() {
    loom::model(|| {
        let table = table();
        assert!(count(&table, key(7)));
        let counter = thread::spawn({
            let table = Arc::clone(&table);
            move || u64::from(count(&table, key(7)))
        });
        let cell = (0..table.slots()).find_map(|slot| table.occupant(slot)).unwrap();
        let freed = table.free(cell);
        let counted = 1 + counter.join().unwrap();
        let (left, strays) = take(&table, key(7));
        assert_eq!(freed + left, counted, "a count was lost, or there is one too many");
        assert_eq!(strays, 0);
    });
}

#[test]
fn a_count_never_ends_with_the_next_key_of_a_cell() {
    loom::model(|| {
        let table = table();
        assert!(count(&table, key(7)));
        let late = thread::spawn({
            let table = Arc::clone(&table);
            move || u64::from(count(&table, key(7)))
        });
        let cell = (0..table.slots()).find_map(|slot| table.occupant(slot)).unwrap();
        let freed = table.free(cell);
        // The cell, or the other one of the bucket, becomes another key's.
        let next = u64::from(count(&table, key(8)));
        let late = late.join().unwrap();
        let (of_next, of_late) = take(&table, key(8));
        assert_eq!(of_next, next);
        assert_eq!(freed + of_late, 1 + late);
    });
}

#[test]
fn a_plan_is_never_taken_for_that_of_the_cells_last_key() {
    loom::model(|| {
        let table = table();
        assert!(count(&table, key(7)));
        let cell = (0..table.slots()).find_map(|slot| table.occupant(slot)).unwrap();
        let reader = thread::spawn({
            let table = Arc::clone(&table);
            move || match table.search(key(7)) {
                Search::Found(cell) => table.plan(cell),
                Search::Vacant(..) | Search::Full => None,
            }
        });
        table.free(cell);
        if let Some((cell, true)) = table.claim(key(8), table.search(key(8))) {
            table.set_plan(cell.slot, Plan::Hot(9));
        }
        assert_ne!(reader.join().unwrap(), Some(Plan::Hot(9)));
    });
}
