//! A log, its file system and its clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{BuildError, EncodedBatch, ManualClock, Priority};

use crate::testing::MemoryFs;
use crate::{Fs, Log, Now, Record, Refused, SpoolConfig, Written};

pub(crate) const ROOT: &str = "/var/spool";

/// A log under test. Dropping the log in it is the end of the process.
pub(crate) struct Bench {
    pub(crate) fs: MemoryFs,
    pub(crate) clock: ManualClock,
    pub(crate) config: SpoolConfig,
    pub(crate) log: Log,
}

pub(crate) fn config() -> SpoolConfig {
    SpoolConfig::new(ROOT)
        .with_segment_bytes(4 << 10)
        .with_max_bytes(1 << 20)
}

/// A batch whose payload tells which one it is. The first ten are small: where every bit of a segment counts, it has few.
pub(crate) fn batch(id: u64, items: usize, priority: Priority) -> EncodedBatch {
    let head = Bytes::from(id.to_le_bytes().to_vec());
    let len = if id < 10 { 9 + id } else { 40 + (id % 7) * 30 };
    let body = Bytes::from(vec![id as u8; len as usize]);
    EncodedBatch::new([head, body], items, priority)
}

/// Which batch a payload is, if it is one of ours to the last byte.
pub(crate) fn id_of(batch: &EncodedBatch) -> Option<u64> {
    let bytes = batch.to_bytes();
    let id = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let whole = self::batch(id, 0, Priority::Normal).to_bytes();
    (bytes == whole).then_some(id)
}

impl Bench {
    pub(crate) fn new(config: SpoolConfig) -> Self {
        let fs = MemoryFs::new();
        fs.create_dir(Path::new("/var")).unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
        Self::on(fs, config).expect("a log")
    }

    pub(crate) fn on(fs: MemoryFs, config: SpoolConfig) -> Result<Self, BuildError> {
        let clock = ManualClock::new();
        let log = Log::open(config.clone(), Arc::new(fs.clone()), Now::of(&clock))?;
        Ok(Self { fs, clock, config, log })
    }

    pub(crate) fn now(&self) -> Now {
        Now::of(&self.clock)
    }

    /// Writes batches that must be taken.
    pub(crate) fn fill(&mut self, ids: std::ops::Range<u64>) {
        self.fill_as(ids, Priority::Normal);
    }

    pub(crate) fn fill_as(&mut self, ids: std::ops::Range<u64>, priority: Priority) {
        for id in ids {
            self.write_as(id, priority).expect("room on a healthy disk");
        }
    }

    pub(crate) fn write(&mut self, id: u64) -> Result<Written, Refused> {
        self.write_as(id, Priority::Normal)
    }

    pub(crate) fn write_as(&mut self, id: u64, priority: Priority) -> Result<Written, Refused> {
        let result = self.log.write(self.now(), batch(id, 10, priority));
        self.check();
        result
    }

    pub(crate) fn claim(&mut self) -> Option<(u64, Record)> {
        let record = self.log.claim(self.now());
        self.check();
        record.map(|record| (id_of(&record.batch).expect("one of ours"), record))
    }

    pub(crate) fn ack(&mut self, record: &Record) {
        assert!(self.log.ack(self.now(), record.id));
        self.check();
    }

    /// Everything that can be claimed, in order. It stays claimed.
    pub(crate) fn claim_all(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.claim().map(|(id, _)| id)).collect()
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// Runs what is due.
    pub(crate) fn poll(&mut self) {
        while let Some(commit) = self.log.poll(self.now()) {
            let done = commit.run();
            self.log.committed(self.now(), done);
            self.check();
        }
    }

    pub(crate) fn flush(&mut self) {
        self.log.request_flush();
        self.poll();
    }

    /// The end of the process, and another one.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.open();
    }

    /// The end of the machine, and a start of the process.
    pub(crate) fn crash(&mut self, seed: u64) {
        self.fs.crash(seed);
        self.open();
    }

    pub(crate) fn open(&mut self) {
        let now = self.now();
        self.log = Log::open(self.config.clone(), Arc::new(self.fs.clone()), now).expect("a log");
        self.check();
    }

    /// Lets go of everything without a word.
    pub(crate) fn stop(&mut self) {
        let elsewhere = MemoryFs::new();
        self.log = Log::open(config(), Arc::new(elsewhere), self.now()).expect("a log");
    }

    pub(crate) fn check(&self) {
        let stats = self.log.stats(self.now());
        stats.ledger().check().unwrap();
        assert!(stats.bytes <= stats.max_bytes, "{stats:?}");
    }

    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let files = self.fs.files();
        files
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "log"))
            .collect()
    }
}
