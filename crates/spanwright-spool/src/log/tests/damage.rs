//! Damaged bytes: no panic, no wrong payload, every loss counted.

use std::path::PathBuf;

use super::support::{Bench, batch, config, id_of};
use crate::format::{HEADER_LEN, SEGMENT_HEADER_LEN};
use crate::{Fs, Now, inspect};
use spanwright_core::{LossReason, Priority};

/// A segment of a few records, and where each begins and ends.
fn segment() -> (Bench, PathBuf, Vec<(usize, usize)>) {
    let mut bench = Bench::new(config());
    let (mut at, mut places) = (SEGMENT_HEADER_LEN as usize, Vec::new());
    for id in 0..5 {
        bench
            .log
            .write(bench.now(), batch(id, 10 + id as usize, Priority::Normal))
            .unwrap();
        let end = at + HEADER_LEN as usize + batch(id, 0, Priority::Normal).len();
        places.push((at, end));
        at = end;
    }
    bench.flush();
    let path = bench.segments()[0].clone();
    bench.stop();
    (bench, path, places)
}

/// What is read after `change`: the ids, the items that are lost, and what an inspection says.
fn read_after(bench: &Bench, change: impl FnOnce(&crate::testing::MemoryFs)) -> (Vec<u64>, u64) {
    let fs = bench.fs.fork();
    change(&fs);
    let inspected = inspect(&fs, &bench.config.directory, true).unwrap();
    let mut after = Bench::on(fs, config()).unwrap();
    after.check();
    let recovered = after.log.stats(after.now());
    assert_eq!(inspected.total().1, recovered.pending, "the inspection agrees");
    let mut ids = Vec::new();
    while let Some(record) = after.log.claim(after.now()) {
        let id = id_of(&record.batch).expect("a payload that was written");
        assert_eq!(record.batch.item_count() as u64, 10 + id);
        assert!(after.log.ack(after.now(), record.id));
        ids.push(id);
    }
    after.check();
    let lost = after.log.stats(after.now()).lost;
    assert_eq!(lost.total(), lost[LossReason::Corrupt]);

    // What was counted once is not counted again.
    after.flush();
    after.restart();
    assert_eq!(after.log.stats(after.now()).ledger().ended, 0);
    (ids, lost.total())
}

#[test]
fn a_segment_cut_at_every_byte_loses_what_was_cut_and_nothing_else() {
    let (bench, path, places) = segment();
    let content = bench.fs.content(&path).unwrap();
    for cut in 0..content.len() {
        let (ids, lost) = read_after(&bench, |fs| fs.put(&path, &content[..cut]).unwrap());
        let whole = places.iter().filter(|(_, end)| *end <= cut).count() as u64;
        assert_eq!(ids, (0..whole).collect::<Vec<_>>(), "cut at {cut}");
        // The header of a record that was cut says what is lost with it, if it is whole itself.
        let cut_record = places
            .iter()
            .position(|(at, end)| *at + HEADER_LEN as usize <= cut && cut < *end);
        let expected = cut_record.map_or(0, |id| 10 + id as u64);
        assert_eq!(lost, expected, "cut at {cut}");
    }
}

#[test]
fn every_flipped_bit_costs_its_own_record_at_most_and_is_counted_exactly() {
    let (bench, path, places) = segment();
    let bits = bench.fs.content(&path).unwrap().len() * 8;
    for bit in 0..bits {
        let (ids, lost) = read_after(&bench, |fs| fs.flip_bit(&path, bit));
        let hit = places.iter().position(|(at, end)| (*at * 8..*end * 8).contains(&bit));
        let expected: Vec<u64> = (0..5).filter(|id| Some(*id as usize) != hit).collect();
        assert_eq!(ids, expected, "bit {bit}");
        assert_eq!(lost, hit.map_or(0, |id| 10 + id as u64), "bit {bit}");
    }
}

#[test]
fn every_bit_that_flips_under_a_running_log_is_counted_exactly() {
    let (bench, path, places) = segment();
    let bits = bench.fs.content(&path).unwrap().len() * 8;
    for bit in (SEGMENT_HEADER_LEN as usize * 8)..bits {
        let mut after = Bench::on(bench.fs.fork(), config()).unwrap();
        after.fs.flip_bit(&path, bit);
        let mut ids = Vec::new();
        while let Some((id, record)) = after.claim() {
            after.ack(&record);
            ids.push(id);
        }
        let hit = places.iter().position(|(at, end)| (*at * 8..*end * 8).contains(&bit));
        let expected: Vec<u64> = (0..5).filter(|id| Some(*id as usize) != hit).collect();
        assert_eq!(ids, expected, "bit {bit}");
        let stats = after.log.stats(after.now());
        assert_eq!(
            (stats.pending, stats.lost.total()),
            (0, hit.map_or(0, |id| 10 + id as u64)),
            "bit {bit}"
        );
    }
}

#[test]
fn two_damaged_records_in_a_row_and_a_destroyed_header_cost_only_themselves() {
    let (bench, path, places) = segment();
    let content = bench.fs.content(&path).unwrap();
    let mut two = content.clone();
    two[places[1].1 - 1] ^= 0xff;
    two[places[2].1 - 1] ^= 0xff;
    assert_eq!(
        read_after(&bench, |fs| fs.put(&path, &two).unwrap()),
        (vec![0, 3, 4], 11 + 12)
    );

    let mut destroyed = content;
    destroyed[places[1].0..places[1].0 + HEADER_LEN as usize].fill(0xee);
    let (ids, lost) = read_after(&bench, |fs| fs.put(&path, &destroyed).unwrap());
    assert_eq!(
        (ids, lost),
        (vec![0, 2, 3, 4], 0),
        "nobody can know how many there were"
    );

    // A running log knows what it had, whatever the header says now.
    let mut running = Bench::on(bench.fs.fork(), config()).unwrap();
    running.fs.put(&path, &destroyed).unwrap();
    while let Some((_, record)) = running.claim() {
        running.ack(&record);
    }
    assert_eq!(running.log.stats(running.now()).lost[LossReason::Corrupt], 11);
}

#[test]
fn damage_under_a_claim_is_no_affair_of_whoever_has_it() {
    let (bench, path, places) = segment();
    let mut bench = Bench::on(bench.fs.fork(), config()).unwrap();
    let claims: Vec<_> = (0..3).map(|_| bench.claim().unwrap().1).collect();
    assert!(bench.log.release(bench.now(), claims[0].id));
    let mut content = bench.fs.content(&path).unwrap();
    content[places[0].0..places[3].0].fill(0xee);
    bench.fs.put(&path, &content).unwrap();
    while let Some((_, record)) = bench.claim() {
        bench.ack(&record);
    }
    bench.ack(&claims[1]);
    assert!(bench.log.release(bench.now(), claims[2].id));
    assert!(bench.claim().is_none());
    let stats = bench.log.stats(bench.now());
    assert_eq!((stats.acked, stats.pending), (11 + 13 + 14, 0));
    assert_eq!(stats.lost[LossReason::Corrupt], 10 + 12);
}

#[test]
fn damaged_bytes_are_kept_for_a_person_to_see() {
    let (bench, path, places) = segment();
    let fs = bench.fs.fork();
    fs.flip_bit(&path, places[2].1 * 8 - 1);
    let after = Bench::on(fs, config()).unwrap();
    let bad: Vec<PathBuf> = after
        .fs
        .files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "bad"))
        .collect();
    assert_eq!(after.fs.content(&bad[0]).unwrap().len(), places[2].1 - places[2].0);
    let stats = after.log.stats(after.now());
    assert_eq!((stats.damage.records, stats.damage.items), (1, 12));
}

#[test]
fn a_damaged_cursor_repeats_and_loses_nothing() {
    let (bench, ..) = segment();
    let mut bench = Bench::on(bench.fs.fork(), config()).unwrap();
    let (_, record) = bench.claim().unwrap();
    bench.ack(&record);
    bench.flush();
    let cursor = bench
        .fs
        .files()
        .into_iter()
        .find(|path| path.ends_with("cursor"))
        .unwrap();
    bench.fs.flip_bit(&cursor, 77);
    bench.restart();
    assert_eq!(bench.claim_all(), [0, 1, 2, 3, 4]);
}

#[test]
fn random_bytes_in_place_of_a_segment_are_taken_for_anything_but_requests() {
    let (bench, path, _) = segment();
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let fs = bench.fs.fork();
        let mut content = fs.content(&path).unwrap();
        let keep = random.usize(..content.len());
        content[keep..].iter_mut().for_each(|byte| *byte = random.u8(..));
        fs.put(&path, &content).unwrap();
        let mut after = Bench::on(fs, config()).unwrap();
        let ids = after.claim_all();
        assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn an_export_has_every_pending_request_and_changes_nothing() {
    let (bench, ..) = segment();
    let mut bench = Bench::on(bench.fs.fork(), config()).unwrap();
    let (_, record) = bench.claim().unwrap();
    bench.ack(&record);
    let before: Vec<_> = bench.fs.files().iter().map(|path| bench.fs.content(path)).collect();
    let mut out = Vec::new();
    let (_, records, items) = crate::export(&bench.fs, &bench.config.directory, &mut out).unwrap();
    assert_eq!((records, items), (4, 11 + 12 + 13 + 14));
    let mut rest = &out[..];
    for id in 1..5 {
        let (len, tail) = rest.split_at(4);
        let len = u32::from_be_bytes(len.try_into().unwrap()) as usize;
        assert_eq!(tail[..len], batch(id, 0, Priority::Normal).to_bytes()[..]);
        rest = &tail[len..];
    }
    assert!(rest.is_empty());
    let after: Vec<_> = bench.fs.files().iter().map(|path| bench.fs.content(path)).collect();
    assert_eq!(before, after);
    let _ = (Now::of(&bench.clock), bench.fs.list(&bench.config.directory).unwrap());
}
