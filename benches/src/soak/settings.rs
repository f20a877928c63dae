//! What a long run is done with.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::Failure;
use crate::settings::Side;

/// Everything that the command line says. A scenario uses what concerns it.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) side: Side,
    /// Spans per second.
    pub(super) rate: u64,
    /// How long everything is well at the beginning.
    pub(super) before: Duration,
    /// How long the receiver is away, or has half of its capacity.
    pub(super) outage: Duration,
    /// How long what is kept may take to be delivered.
    pub(super) drain: Duration,
    /// Where the spool is.
    pub(super) directory: Option<PathBuf>,
    /// How many bytes the spool may take.
    pub(super) max_spool_bytes: u64,
    /// How many requests the receiver serves at once.
    pub(super) capacity: usize,
    /// How long it takes for each.
    pub(super) service_time: Duration,
    pub(super) max_export_batch_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            side: Side::Ours,
            rate: 5_000,
            before: Duration::from_secs(60),
            outage: Duration::from_secs(600),
            drain: Duration::from_secs(300),
            directory: None,
            max_spool_bytes: 4 << 30,
            capacity: 24,
            service_time: Duration::from_millis(100),
            max_export_batch_size: 64,
        }
    }
}

impl Settings {
    /// Reads `--name value` pairs.
    pub(super) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut settings = Self::default();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            settings
                .set(&name, &value)
                .map_err(|failure| format!("{name} {value}: {failure}"))?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "--side" => self.side = value.parse()?,
            "--rate" => self.rate = value.parse()?,
            "--before-ms" => self.before = Duration::from_millis(value.parse()?),
            "--outage-ms" => self.outage = Duration::from_millis(value.parse()?),
            "--drain-ms" => self.drain = Duration::from_millis(value.parse()?),
            "--directory" => self.directory = Some(value.into()),
            "--max-spool-bytes" => self.max_spool_bytes = value.parse()?,
            "--capacity" => self.capacity = value.parse()?,
            "--service-time-ms" => self.service_time = Duration::from_millis(value.parse()?),
            "--max-export-batch-size" => self.max_export_batch_size = value.parse()?,
            _ => return Err("there is no such setting".into()),
        }
        Ok(())
    }
}
