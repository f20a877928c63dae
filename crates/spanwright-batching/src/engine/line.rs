//! Requests in a row.

use std::collections::VecDeque;

use super::request::{Label, Work};

/// Requests in their order, and how much they are together.
pub(super) struct Line<R> {
    works: VecDeque<Work<R>>,
    items: u64,
    bytes: usize,
}

impl<R> Line<R> {
    pub(super) fn new() -> Self {
        Self {
            works: VecDeque::new(),
            items: 0,
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.works.is_empty()
    }

    pub(super) fn items(&self) -> u64 {
        self.items
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &Label> {
        self.works.iter().map(|work| &work.label)
    }

    pub(super) fn push_back(&mut self, work: Work<R>) {
        self.add(&work);
        self.works.push_back(work);
    }

    pub(super) fn push_front(&mut self, work: Work<R>) {
        self.add(&work);
        self.works.push_front(work);
    }

    /// In its place by the order in which requests were made.
    pub(super) fn insert(&mut self, work: Work<R>) {
        self.add(&work);
        let place = self.works.partition_point(|other| other.label.seq < work.label.seq);
        self.works.insert(place, work);
    }

    pub(super) fn pop_front(&mut self) -> Option<Work<R>> {
        let work = self.works.pop_front()?;
        self.subtract(&work);
        Some(work)
    }

    pub(super) fn pop_back(&mut self) -> Option<Work<R>> {
        let work = self.works.pop_back()?;
        self.subtract(&work);
        Some(work)
    }

    fn add(&mut self, work: &Work<R>) {
        self.items += work.label.items;
        self.bytes += work.label.bytes;
    }

    fn subtract(&mut self, work: &Work<R>) {
        self.items -= work.label.items;
        self.bytes -= work.label.bytes;
    }
}
