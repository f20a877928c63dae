//! What cannot be delivered now, on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanwright_core::{BuildError, Env, Observer};
use spanwright_spool::{Spool, SpoolConfig, SpoolStats};

use crate::builder::PipelineBuilder;

/// Settings of the spool.
impl PipelineBuilder {
    /// Keeps on disk, in this directory, what has no room in memory and what cannot be delivered before the end of the process; from
    /// there it is delivered later, by this process or by the next one that is given the directory. Default: none.
    /// `SPANWRIGHT_SPOOL_DIRECTORY`.
    ///
    /// Each destination has a directory of its own in it: that of the OTLP exporter is `otlp`. Several processes may be given the same
    /// one. The bound is 2 GiB for each destination of a process (`SPANWRIGHT_SPOOL_MAX_BYTES`), and what is older than a day is lost
    /// (`SPANWRIGHT_SPOOL_MAX_AGE`, milliseconds). A disk that fails later degrades the pipeline to memory, until it works again.
    pub fn with_spool(self, directory: impl Into<PathBuf>) -> Self {
        self.with_spool_config(SpoolConfig::new(directory))
    }

    /// As [`with_spool`](Self::with_spool), with these settings. Under [`Mode::Wal`](spanwright_spool::Mode::Wal) each request is written
    /// before it is sent, and at the latest 50 ms after its first span ended, so that a process that is killed loses next to nothing.
    pub fn with_spool_config(mut self, config: SpoolConfig) -> Self {
        self.spool = Some(config);
        self
    }
}

/// Opens a spool for each destination.
pub(crate) struct Spools {
    config: Option<SpoolConfig>,
    directory: PathBuf,
    observer: Option<Arc<dyn Observer>>,
    open: Vec<(Arc<str>, Spool)>,
}

impl Spools {
    /// As set in code, or else in `env`.
    pub(crate) fn new(config: Option<SpoolConfig>, env: &Env, observer: Option<&Arc<dyn Observer>>) -> Self {
        let from_env = || env.string("SPANWRIGHT_SPOOL_DIRECTORY").map(SpoolConfig::new);
        let config = config.or_else(from_env).map(|config| config.with_env(env));
        Self {
            directory: config
                .as_ref()
                .map(|config| config.directory().to_owned())
                .unwrap_or_default(),
            config,
            observer: observer.cloned(),
            open: Vec::new(),
        }
    }

    /// The spool of this destination, if there are any.
    pub(crate) fn open(&mut self, destination: &Arc<str>) -> Result<Option<Spool>, BuildError> {
        let Some(config) = &self.config else { return Ok(None) };
        if !is_file_name(destination) {
            let accepted =
                "with a spool, a name that a directory can have: letters, digits, `.`, `-` and `_`, and not only dots";
            return Err(BuildError::new("exporter", destination, accepted));
        }
        let config = config
            .clone()
            .with_directory(self.directory.join(Path::new(&**destination)));
        let mut builder = Spool::builder("").with_config(config);
        if let Some(observer) = &self.observer {
            builder = builder.with_observer(Arc::clone(observer));
        }
        let spool = builder.spawn()?;
        self.open.push((Arc::clone(destination), spool.clone()));
        Ok(Some(spool))
    }

    pub(crate) fn stats(&self) -> Vec<(Arc<str>, SpoolStats)> {
        let stats = |(name, spool): &(Arc<str>, Spool)| (Arc::clone(name), spool.stats());
        self.open.iter().map(stats).collect()
    }
}

fn is_file_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().all(is_plain) && name.chars().any(|c| c != '.')
}
