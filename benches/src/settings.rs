//! What a sample is taken with.

use std::str::FromStr;
use std::time::Duration;

use crate::command::Failure;
use crate::sampling::Case;

/// Everything that the command line says. A scenario uses what concerns it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) side: Side,
    /// Where the receiver is, for gRPC. Without one the exporter takes everything at once, in the process itself.
    pub(crate) endpoint: Option<String>,
    pub(crate) is_gzip: bool,
    /// Spans per second, in all.
    pub(crate) rate: u64,
    /// How long spans are made before the measurement begins.
    pub(crate) warm_up: Duration,
    /// How long they are made while it lasts.
    pub(crate) duration: Duration,
    pub(crate) threads: usize,
    /// How many batches of spans each thread works on, where the work is not paced.
    pub(crate) batches: usize,
    pub(crate) max_queue_size: usize,
    /// Ours alone has a bound in bytes.
    pub(crate) max_queue_bytes: usize,
    pub(crate) max_export_batch_size: usize,
    pub(crate) scheduled_delay: Duration,
    /// What a sampler decides about.
    pub(crate) case: Case,
    /// Whether ours holds traces until they have ended.
    pub(crate) holds_traces: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// Spanwright.
    Ours,
    /// The processor of the SDK, and its exporter.
    Stock,
    /// A processor that drops every span at once: what the measurement costs without a pipeline.
    Noop,
}

impl Default for Settings {
    /// The queue as the specification has it.
    fn default() -> Self {
        Self {
            side: Side::Ours,
            endpoint: None,
            is_gzip: false,
            rate: 10_000,
            warm_up: Duration::from_millis(100),
            duration: Duration::from_secs(1),
            threads: 1,
            batches: 100,
            max_queue_size: 2048,
            max_queue_bytes: 64 << 20,
            max_export_batch_size: 512,
            scheduled_delay: Duration::from_secs(5),
            case: Case::default(),
            holds_traces: false,
        }
    }
}

impl Settings {
    /// Reads `--name value` pairs.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut settings = Self::default();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            settings.set(&name, value)?;
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Failure> {
        match name {
            "--side" => self.side = parsed(name, &value)?,
            "--endpoint" => self.endpoint = Some(value),
            "--gzip" => self.is_gzip = parsed(name, &value)?,
            "--rate" => self.rate = parsed(name, &value)?,
            "--warm-up-ms" => self.warm_up = Duration::from_millis(parsed(name, &value)?),
            "--duration-ms" => self.duration = Duration::from_millis(parsed(name, &value)?),
            "--threads" => self.threads = parsed(name, &value)?,
            "--batches" => self.batches = parsed(name, &value)?,
            "--max-queue-size" => self.max_queue_size = parsed(name, &value)?,
            "--max-queue-bytes" => self.max_queue_bytes = parsed(name, &value)?,
            "--max-export-batch-size" => self.max_export_batch_size = parsed(name, &value)?,
            "--scheduled-delay-ms" => self.scheduled_delay = Duration::from_millis(parsed(name, &value)?),
            "--case" => self.case = parsed(name, &value)?,
            "--holds-traces" => self.holds_traces = parsed(name, &value)?,
            _ => return Err(format!("there is no setting {name}").into()),
        }
        Ok(())
    }
}

impl Side {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Stock => "stock",
            Self::Noop => "noop",
        }
    }
}

impl FromStr for Side {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        let known = [Self::Ours, Self::Stock, Self::Noop];
        let side = known.into_iter().find(|side| side.as_str() == name);
        side.ok_or("a side is ours, stock or noop")
    }
}

fn parsed<T: FromStr<Err: ToString>>(name: &str, value: &str) -> Result<T, Failure> {
    value
        .parse()
        .map_err(|error: T::Err| format!("{name} {value}: {}", error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Settings, Failure> {
        Settings::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn what_is_not_said_stays_as_the_specification_has_it() {
        let settings = parse(&["--side", "stock", "--scheduled-delay-ms", "20"]).expect("well-formed");
        assert_eq!((settings.side, settings.scheduled_delay.as_millis()), (Side::Stock, 20));
        assert_eq!((settings.max_queue_size, settings.max_export_batch_size), (2048, 512));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (arguments, complaint) in [
            (&["--rate"][..], "--rate needs a value"),
            (&["--rate", "fast"], "--rate fast: invalid digit"),
            (&["--side", "theirs"], "--side theirs: a side is"),
            (&["--speed", "1"], "there is no setting --speed"),
        ] {
            let failure = parse(arguments).expect_err(complaint).to_string();
            assert!(failure.starts_with(complaint), "{failure}");
        }
    }
}
