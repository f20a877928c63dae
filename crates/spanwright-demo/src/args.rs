//! What the command line asks for.
//!
//! Read by hand: a dozen flags do not need a dependency, and the messages say what is accepted in the same words as everywhere else.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use spanwright_core::BuildError;

use crate::choices::{Compression, Kind, OutageKind, Protocol, Sampling, choose, names};
use crate::failure::Failure;
use crate::outage::Outage;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Run(Args),
}

/// Everything that can be asked for, with its defaults.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) kinds: &'static [Kind],
    /// `None`: the receiver in this process.
    pub(crate) endpoint: Option<String>,
    pub(crate) protocol: Protocol,
    pub(crate) compression: Compression,
    /// Requests per second.
    pub(crate) rate: u32,
    pub(crate) duration: Duration,
    pub(crate) sampling: Sampling,
    pub(crate) outage: Option<Outage>,
    /// Where the spool is, if there is to be one.
    pub(crate) spool: Option<PathBuf>,
    pub(crate) is_json: bool,
    pub(crate) calibrates: bool,
}

/// Two cores serve it with ease, in a release build.
const DEFAULT_RATE: u32 = 2_000;
const MOST_RATE: u32 = 1_000_000;
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
const DURATIONS: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

impl Args {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, Failure> {
        let mut args = Self::default();
        let (mut pipeline, mut is_comparison, mut outage_kind) = (None, false, None);
        // `cargo demo -- --json` says what `cargo demo --json` does: the alias has a `--` of its own.
        let mut arguments = arguments
            .into_iter()
            .enumerate()
            .filter(|(at, argument)| *at > 0 || argument != "--");
        let mut arguments = std::iter::from_fn(move || arguments.next().map(|(_, argument)| argument));
        while let Some(argument) = arguments.next() {
            let (flag, mut attached) = match argument.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            let mut value = |accepted: &str| {
                let value = attached.take().or_else(|| arguments.next());
                value.ok_or_else(|| format!("`{flag}` needs a value: {accepted}"))
            };
            match flag {
                "--compression" => args.compression = choose(flag, &value(&names::<Compression>())?)?,
                "--duration" => args.duration = duration(flag, &value("seconds")?)?,
                "--endpoint" => args.endpoint = Some(endpoint(flag, value("a URL")?)?),
                "--outage" => args.outage = Some(Outage::parse(flag, &value("START..END, in seconds")?)?),
                "--outage-kind" => outage_kind = Some(choose(flag, &value(&names::<OutageKind>())?)?),
                "--pipeline" => pipeline = Some(choose(flag, &value(&names::<Kind>())?)?),
                "--protocol" => args.protocol = choose(flag, &value(&names::<Protocol>())?)?,
                "--sampler" => args.sampling = choose(flag, &value(&names::<Sampling>())?)?,
                "--rate" => args.rate = rate(flag, &value("requests per second")?)?,
                "--spool" => args.spool = Some(spool(flag, value("a directory")?)?),
                "--compare" => is_comparison = true,
                "--json" => args.is_json = true,
                "--no-calibrate" => args.calibrates = false,
                "--help" | "-h" => return Ok(Command::Help),
                _ => return Err(format!("`{flag}` is not known; `--help` lists what is").into()),
            }
            if attached.is_some() {
                return Err(format!("`{flag}` takes no value").into());
            }
        }
        args.kinds = match (pipeline, is_comparison) {
            (Some(kind), true) => {
                let accepted = "nothing beside `--compare`, which runs both";
                return Err(BuildError::new("--pipeline", kind, accepted).into());
            }
            (None, true) => &[Kind::Spanwright, Kind::Stock],
            (Some(Kind::Stock), false) => &[Kind::Stock],
            (Some(Kind::Spanwright) | None, false) => &[Kind::Spanwright],
        };
        args.choose_outage_kind(outage_kind)?;
        args.check()?;
        Ok(Command::Run(args))
    }

    /// Whether the receiver tells every span from every other, so that it can be shown that none is missing.
    pub(crate) fn has_proof(&self) -> bool {
        self.outage.is_some() || self.spool.is_some()
    }

    fn choose_outage_kind(&mut self, kind: Option<OutageKind>) -> Result<(), BuildError> {
        match (&mut self.outage, kind) {
            (Some(outage), Some(kind)) => outage.kind = kind,
            (None, Some(kind)) => {
                let accepted = "nothing without `--outage START..END`, which says when";
                return Err(BuildError::new("--outage-kind", kind, accepted));
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// What cannot be used together.
    fn check(&self) -> Result<(), BuildError> {
        if self.sampling == Sampling::Tail && self.kinds.contains(&Kind::Stock) {
            let accepted = "a sampler that decides at the start of a span; the stock pipeline has no tail";
            return Err(BuildError::new("--sampler", self.sampling, accepted));
        }
        if let Some(outage) = &self.outage {
            if self.endpoint.is_some() {
                let accepted = "nothing beside `--endpoint`: only the receiver in this process can be taken away";
                return Err(BuildError::new("--outage", outage, accepted));
            }
            if outage.end > self.duration {
                let seconds = self.duration.as_secs_f64();
                let accepted = format!("an end within the run, which lasts {seconds} s; `--duration` makes it longer");
                return Err(BuildError::new("--outage", outage, accepted));
            }
        }
        if let Some(directory) = &self.spool
            && !self.kinds.contains(&Kind::Spanwright)
        {
            let accepted = "nothing beside `--pipeline stock`, which has no spool";
            return Err(BuildError::new("--spool", directory.display(), accepted));
        }
        Ok(())
    }
}

impl Default for Args {
    fn default() -> Self {
        Self {
            kinds: &[Kind::Spanwright],
            endpoint: None,
            protocol: Protocol::Grpc,
            compression: Compression::None,
            rate: DEFAULT_RATE,
            duration: DEFAULT_DURATION,
            sampling: Sampling::AlwaysOn,
            outage: None,
            spool: None,
            is_json: false,
            calibrates: true,
        }
    }
}

/// What is checked here is what both pipelines need; they look closer.
fn endpoint(flag: &str, value: String) -> Result<String, BuildError> {
    let url = value.parse::<Uri>().ok();
    match url.as_ref().and_then(Uri::scheme_str) {
        Some("http" | "https") => Ok(value),
        _ => {
            let accepted = "a URL, for instance http://127.0.0.1:4317";
            Err(BuildError::new(flag.to_owned(), value, accepted))
        }
    }
}

/// Looked at early: the pipeline, which makes it, starts only after the calibration.
fn spool(flag: &str, value: String) -> Result<PathBuf, BuildError> {
    let path = PathBuf::from(&value);
    if value.is_empty() || (path.exists() && !path.is_dir()) {
        let accepted = "a directory, or a path where one can be made";
        return Err(BuildError::new(flag.to_owned(), value, accepted));
    }
    Ok(path)
}

fn rate(flag: &str, value: &str) -> Result<u32, BuildError> {
    let rate = value.replace('_', "").parse().ok();
    rate.filter(|rate| (1..=MOST_RATE).contains(rate)).ok_or_else(|| {
        let accepted = format!("requests per second, 1 to {MOST_RATE}");
        BuildError::new(flag.to_owned(), value, accepted)
    })
}

fn duration(flag: &str, value: &str) -> Result<Duration, BuildError> {
    let seconds = value.strip_suffix('s').unwrap_or(value).parse().ok();
    seconds
        .filter(|seconds| DURATIONS.contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| {
            let accepted = format!(
                "seconds, {} to {}, for instance 10 or 10s",
                DURATIONS.start(),
                DURATIONS.end()
            );
            BuildError::new(flag.to_owned(), value, accepted)
        })
}

#[cfg(test)]
mod tests;
