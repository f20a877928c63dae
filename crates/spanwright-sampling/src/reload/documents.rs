//! Samplers out of documents.

use std::path::PathBuf;
use std::time::Instant;

use spanwright_core::{BuildError, Env};

use super::file::WatchedFile;
use crate::config::{Decider, Life, Part, SamplerConfig, Surroundings};

/// What must be known of the documents so far to read the next one.
pub(super) struct Documents {
    env: Env,
    file: Option<WatchedFile>,
    /// What the sampler that decides now was made of; `None` if it came ready made.
    config: Option<SamplerConfig>,
    parts: Vec<Part>,
    surroundings: Surroundings,
}

/// What a document makes of a sampler.
pub(super) enum Change {
    /// Nothing: it is what there is.
    None,
    To {
        decider: Decider,
        lints: Vec<String>,
    },
}

impl Documents {
    pub(super) fn new(env: Env, surroundings: Surroundings) -> Self {
        Self {
            env,
            file: None,
            config: None,
            parts: Vec::new(),
            surroundings,
        }
    }

    /// The text of the file from now on, if it can be read.
    pub(super) fn follow(&mut self, path: PathBuf) -> Result<String, BuildError> {
        let file = self.file.insert(WatchedFile::new(path));
        // The first look always finds something.
        file.poll().unwrap_or_else(|| Ok(String::new()))
    }

    /// What is new in the file.
    pub(super) fn poll_file(&mut self) -> Option<Result<String, BuildError>> {
        self.file.as_mut()?.poll()
    }

    pub(super) fn read(&mut self, text: &str) -> Result<Change, BuildError> {
        let config = SamplerConfig::parse(text, &self.env)?;
        self.change_to(config)
    }

    pub(super) fn change_to(&mut self, config: SamplerConfig) -> Result<Change, BuildError> {
        if self.config.as_ref() == Some(&config) {
            return Ok(Change::None);
        }
        let constructed = config.construct(self.parts.clone(), self.surroundings.clone())?;
        self.config = Some(config);
        self.parts = constructed.parts;
        Ok(Change::To {
            decider: constructed.decider,
            lints: constructed.lints,
        })
    }

    /// For samplers whose life is lent.
    pub(super) fn tick(&self, now: Instant) {
        self.parts.iter().for_each(|part| part.tick(now));
    }

    /// Another sampler decides, which no document has described.
    pub(super) fn forget(&mut self) {
        self.config = None;
        self.parts.clear();
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self::new(Env::process(), Surroundings::new(Life::Lent))
    }
}
