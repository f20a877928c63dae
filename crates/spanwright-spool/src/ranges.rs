//! Which stretches of a segment are settled.

/// Stretches of a segment, apart from each other, in order.
///
/// As many as there are gaps: one for each claim that is still open between others that are not, and one more.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds a stretch, which may lie over others.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|range| range.1 < start);
        let last = self.0.partition_point(|range| range.0 <= end);
        let touched = &self.0[first..last];
        let start = touched.first().map_or(start, |range| range.0.min(start));
        let end = touched.last().map_or(end, |range| range.1.max(end));
        self.0.splice(first..last, [(start, end)]);
    }

    /// `at`, or the end of the stretch that it lies in.
    pub(crate) fn skip(&self, at: u64) -> u64 {
        let index = self.0.partition_point(|range| range.1 <= at);
        match self.0.get(index) {
            Some((start, end)) if *start <= at => *end,
            _ => at,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_join_where_they_touch() {
        let mut ranges = Ranges::default();
        for (start, end) in [(10, 20), (30, 40), (50, 60), (20, 30), (55, 58), (5, 5)] {
            ranges.insert(start, end);
        }
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(10, 40), (50, 60)]);
        ranges.insert(0, 100);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(0, 100)]);
    }

    #[test]
    fn a_place_in_a_stretch_is_skipped_to_its_end() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 20);
        assert_eq!([9, 10, 19, 20].map(|at| ranges.skip(at)), [9, 20, 20, 20]);
    }
}
