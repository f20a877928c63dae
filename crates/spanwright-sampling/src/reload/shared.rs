//! What a sampler and its handles share.

#[cfg(feature = "config")]
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use spanwright_core::semconv;
#[cfg(feature = "config")]
use spanwright_core::semconv::attribute;
use spanwright_core::{BuildError, Event, Observer};

#[cfg(feature = "config")]
use super::documents::{Change, Documents};
use super::status::ReloadStatus;
use crate::composable::AlwaysOff;
#[cfg(feature = "config")]
use crate::config::SamplerConfig;
use crate::config::{Counts, Decider};
use crate::stats::{RuleCount, SamplerStats};
use crate::tally::Tally;
use crate::ticker::Tick;

pub(super) struct Shared {
    current: ArcSwap<Version>,
    counts: Counts,
    book: Mutex<Book>,
    observer: Arc<dyn Observer>,
    #[cfg(feature = "config")]
    documents: Mutex<Documents>,
}

/// A sampler, from the moment when it began to decide.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) decider: Decider,
    generation: u64,
}

/// What only matters when something changes. Its lock makes one change after the other.
#[derive(Debug, Default)]
struct Book {
    reloads: u64,
    rejected: u64,
    last_error: Option<Arc<BuildError>>,
    lints: Vec<String>,
    /// Replaced, but some thread is still in the middle of a decision.
    leaving: Vec<Arc<Version>>,
    /// What the rules of samplers have counted that are gone.
    gone: Vec<RuleCount>,
}

/// What became of a configuration, to be told when no lock is held any more.
enum News {
    #[cfg(feature = "config")]
    Confirmed(u64),
    #[cfg(feature = "config")]
    Rejected(Arc<BuildError>),
    Replaced(u64),
}

impl Shared {
    pub(super) fn new(decider: Decider, observer: Arc<dyn Observer>) -> Self {
        Self {
            current: ArcSwap::from_pointee(Version { decider, generation: 1 }),
            counts: Counts::new(AlwaysOff),
            book: Mutex::default(),
            observer,
            #[cfg(feature = "config")]
            documents: Mutex::default(),
        }
    }

    /// The sampler that decides now.
    pub(super) fn current(&self) -> Guard<Arc<Version>> {
        self.current.load()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn replace_by_hand(&self, decider: Decider) -> u64 {
        // Held until the sampler is replaced, so that no document comes between the two.
        #[cfg(feature = "config")]
        let mut documents = self.documents.lock();
        let generation = self.replace(decider, Vec::new());
        #[cfg(feature = "config")]
        {
            documents.forget();
            drop(documents);
        }
        self.tell(&News::Replaced(generation));
        generation
    }

    fn replace(&self, decider: Decider, lints: Vec<String>) -> u64 {
        let mut book = self.book.lock();
        let generation = self.current().generation + 1;
        let old = self.current.swap(Arc::new(Version { decider, generation }));
        book.leaving.push(old);
        book.settle(&self.current());
        book.reloads += 1;
        book.last_error = None;
        book.lints = lints;
        generation
    }

    pub(super) fn status(&self) -> ReloadStatus {
        let book = self.book.lock();
        ReloadStatus {
            generation: self.current().generation,
            reloads: book.reloads,
            rejected: book.rejected,
            last_error: book.last_error.clone(),
            lints: book.lints.clone(),
        }
    }

    pub(super) fn stats(&self) -> SamplerStats {
        let mut book = self.book.lock();
        let current = self.current();
        book.settle(&current);
        SamplerStats {
            rules: book.rules(&current),
            ..self.counts.stats()
        }
    }

    fn tell(&self, news: &News) {
        match news {
            #[cfg(feature = "config")]
            News::Confirmed(_) => {}
            #[cfg(feature = "config")]
            News::Rejected(error) => {
                let attributes = [(attribute::ERROR_TYPE, "rejected")];
                self.observer.count(&semconv::SAMPLER_CONFIGS, 1, &attributes);
                self.observer.event(&Event::SamplerRejected { error });
            }
            News::Replaced(generation) => {
                self.observer.count(&semconv::SAMPLER_CONFIGS, 1, &[]);
                self.observer.event(&Event::SamplerReplaced {
                    generation: *generation,
                });
            }
        }
    }
}

#[cfg(feature = "config")]
impl Shared {
    pub(super) fn with_documents(mut self, documents: Documents) -> Self {
        self.documents = Mutex::new(documents);
        self
    }

    /// With this as the first configuration.
    pub(super) fn beginning_with(self, config: SamplerConfig) -> Result<Self, BuildError> {
        let change = self.documents.lock().change_to(config)?;
        Ok(self.beginning(change))
    }

    /// With what is in this file as the first configuration.
    pub(super) fn following(self, path: PathBuf) -> Result<Self, BuildError> {
        let change = {
            let mut documents = self.documents.lock();
            let text = documents.follow(path)?;
            documents.read(&text)?
        };
        Ok(self.beginning(change))
    }

    /// Nobody has decided by anything else yet: this is no replacement.
    fn beginning(self, change: Change) -> Self {
        if let Change::To { decider, lints } = change {
            self.current.store(Arc::new(Version { decider, generation: 1 }));
            self.book.lock().lints = lints;
        }
        self
    }

    pub(super) fn reload_text(&self, yaml: &str) -> Result<u64, Arc<BuildError>> {
        self.change(|documents| Some(documents.read(yaml))).unwrap_or(Ok(0))
    }

    pub(super) fn reload(&self, config: SamplerConfig) -> Result<u64, Arc<BuildError>> {
        self.change(|documents| Some(documents.change_to(config)))
            .unwrap_or(Ok(0))
    }

    fn look_at_file(&self) {
        // What is wrong is told and counted; there is nobody to hand it to.
        let _ = self.change(|documents| {
            let text = documents.poll_file()?;
            Some(text.and_then(|text| documents.read(&text)))
        });
    }

    fn change(
        &self,
        read: impl FnOnce(&mut Documents) -> Option<Result<Change, BuildError>>,
    ) -> Option<Result<u64, Arc<BuildError>>> {
        let mut documents = self.documents.lock();
        let news = match read(&mut documents)? {
            Ok(Change::To { decider, lints }) => News::Replaced(self.replace(decider, lints)),
            Ok(Change::None) => {
                self.book.lock().last_error = None;
                News::Confirmed(self.current().generation)
            }
            Err(error) => {
                let error = Arc::new(error);
                let mut book = self.book.lock();
                book.rejected += 1;
                book.last_error = Some(Arc::clone(&error));
                News::Rejected(error)
            }
        };
        drop(documents);
        self.tell(&news);
        Some(match news {
            News::Confirmed(generation) | News::Replaced(generation) => Ok(generation),
            News::Rejected(error) => Err(error),
        })
    }
}

impl Tick for Shared {
    fn tick(&self, now: Instant) {
        #[cfg(feature = "config")]
        {
            self.documents.lock().tick(now);
            self.look_at_file();
        }
        let _ = now;
        // What was replaced ends with the last decision that it made, and a tick at most.
        self.book.lock().settle(&self.current());
    }
}

impl Book {
    /// Takes over what those have counted that nobody uses any more.
    fn settle(&mut self, current: &Version) {
        let mut index = 0;
        while index < self.leaving.len() {
            // Nobody can get hold of it any more: whoever does not have it now never will.
            if Arc::strong_count(&self.leaving[index]) > 1 {
                index += 1;
                continue;
            }
            let gone = self.leaving.swap_remove(index);
            let known = tallies_of(self.leaving.iter().map(|version| &**version).chain([current]));
            gone.decider.visit_tallies(&mut |tally| {
                // A sampler that went over to the next configuration took its rules with it.
                if !known.contains(&ptr::from_ref(tally).addr()) {
                    add(&mut self.gone, RuleCount::of(tally));
                }
            });
        }
    }

    /// By rule: the rules that there are, each with what rules of its name have counted before; then those that there are no more.
    fn rules(&self, current: &Version) -> Vec<RuleCount> {
        let mut rules = Vec::new();
        current
            .decider
            .visit_tallies(&mut |tally| rules.push(RuleCount::of(tally)));
        self.gone.iter().for_each(|count| add(&mut rules, count.clone()));
        let mut known = tallies_of([current]);
        for version in &self.leaving {
            version.decider.visit_tallies(&mut |tally| {
                let address = ptr::from_ref(tally).addr();
                if !known.contains(&address) {
                    known.push(address);
                    add(&mut rules, RuleCount::of(tally));
                }
            });
        }
        rules
    }
}

fn tallies_of<'a>(versions: impl IntoIterator<Item = &'a Version>) -> Vec<usize> {
    let mut addresses = Vec::new();
    for version in versions {
        version
            .decider
            .visit_tallies(&mut |tally: &Tally| addresses.push(ptr::from_ref(tally).addr()));
    }
    addresses
}

fn add(counts: &mut Vec<RuleCount>, count: RuleCount) {
    match counts.iter_mut().find(|known| known.rule == count.rule) {
        Some(known) => {
            known.dropped += count.dropped;
            known.kept += count.kept;
        }
        None => counts.push(count),
    }
}
