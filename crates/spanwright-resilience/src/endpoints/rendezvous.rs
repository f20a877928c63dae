//! Which of several names a trace belongs to.
//!
//! Every name draws a number for every trace, and the highest has it: so a trace moves only when the name that it had goes, or when
//! one comes that draws higher, and nobody has to agree on more than the names.
//!
//! # Source
//!
//! D. G. Thaler, C. V. Ravishankar: *Using name-based mappings to increase hit rates*, IEEE/ACM Transactions on Networking 6(1),
//! 1998 (highest random weight). The mixer is the finalizer of G. L. Steele, D. Lea, C. H. Flood: *Fast splittable pseudorandom number
//! generators*, OOPSLA 2014; names are read by FNV-1a (draft-eastlake-fnv).

/// The number that a name draws by. The same in every process and version: programs that send spans of one trace must agree.
pub(super) fn seed(name: &str) -> u64 {
    let read = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(read)
}

/// The index of the name that has the trace; of no names, 0.
pub(super) fn choose(seeds: &[u64], trace_id: [u8; 16]) -> usize {
    let trace = u128::from_be_bytes(trace_id);
    let trace = mix(mix(trace as u64) ^ (trace >> 64) as u64);
    let draw = |seed: &u64| mix(seed ^ trace);
    let highest = seeds.iter().enumerate().max_by_key(|(_, seed)| draw(seed));
    highest.map_or(0, |(index, _)| index)
}

/// Spreads a change of any bit over all of them.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACES: u64 = 100_000;

    fn seeds(count: usize) -> Vec<u64> {
        (1..=count).map(|last| seed(&format!("10.0.0.{last}:4317"))).collect()
    }

    /// Ids as they come: by chance, or counted up by a program that cannot draw, in the low or the high half.
    fn ids() -> [fn(u64) -> u128; 3] {
        fn drawn(index: u64) -> u128 {
            let mut random = fastrand::Rng::with_seed(index);
            random.u128(..)
        }
        [drawn, |index| index.into(), |index| u128::from(index) << 64]
    }

    #[test]
    fn each_name_has_its_share_of_the_traces() {
        let [drawn, low, high] = ids();
        let counted_up = [2, 7, 16].into_iter().flat_map(|count| [(low, count), (high, count)]);
        for (id, count) in (2..=16).map(|count| (drawn, count)).chain(counted_up) {
            let seeds = seeds(count);
            let mut shares = vec![0_u64; count];
            for index in 0..TRACES {
                shares[choose(&seeds, id(index).to_be_bytes())] += 1;
            }
            let fair = TRACES as f64 / count as f64;
            for share in shares {
                let off = (share as f64 - fair).abs() / fair;
                assert!(off < 0.05, "{share} instead of {fair} of {count}");
            }
        }
    }

    #[test]
    fn when_a_name_goes_only_its_traces_move_and_they_come_back_with_it() {
        for id in ids() {
            for count in 2..=16 {
                let all = seeds(count);
                let gone = count / 2;
                let mut left = all.clone();
                left.remove(gone);
                let mut moved = 0;
                for index in 0..TRACES / 10 {
                    let id = id(index).to_be_bytes();
                    let (before, after) = (all[choose(&all, id)], left[choose(&left, id)]);
                    assert!(
                        before == after || before == all[gone],
                        "only those of the name that is gone"
                    );
                    moved += u64::from(before != after);
                }
                let fair = TRACES as f64 / 10.0 / count as f64;
                assert!((moved as f64 - fair).abs() < fair * 0.15, "{moved} instead of {fair}");
            }
        }
    }

    #[test]
    fn the_order_of_the_names_does_not_matter() {
        let names = seeds(7);
        let turned: Vec<_> = names.iter().rev().copied().collect();
        for index in 0..1_000_u128 {
            let id = (index << 60).to_be_bytes();
            assert_eq!(names[choose(&names, id)], turned[choose(&turned, id)]);
        }
    }

    #[test]
    fn what_other_processes_and_versions_choose_is_chosen() {
        let seeds = seeds(5);
        let chosen: Vec<_> = (0..16_u128)
            .map(|index| {
                choose(
                    &seeds,
                    (index * 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).to_be_bytes(),
                )
            })
            .collect();
        assert_eq!(chosen, [0, 3, 3, 3, 1, 0, 4, 4, 0, 4, 1, 1, 3, 3, 4, 0]);
    }
}
