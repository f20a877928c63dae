//! What becomes of requests that were sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spanwright_core::semconv::{self, attribute};
use spanwright_core::{ErrorKind, Event, ExportError, LossCounts, LossReason, Receipt};

use super::Engine;
use super::flush::Settled;
use super::outlet::{InFlight, RequestId, Work};
use crate::collect::Collect;
use crate::intake::Epoch;

impl<C: Collect> Engine<C> {
    /// A request ended.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        outlet: usize,
        id: RequestId,
        result: Result<Receipt, ExportError>,
    ) {
        let Some(request) = self.outlets[outlet].ended(id) else {
            return;
        };
        let latency = now.saturating_duration_since(request.sent);
        self.sizer.on_export(latency, request.items as usize, result.is_ok());
        match result {
            Ok(receipt) => {
                self.answered(now, outlet);
                self.delivered(outlet, latency, request, &receipt);
            }
            Err(error) => {
                self.report_export(outlet, latency, request.items, Some(error.error_type()));
                self.refused(now, outlet, request, &error);
            }
        }
    }

    /// The exporter panicked with a request in its hands.
    pub(crate) fn panicked(&mut self, now: Instant, outlet: usize, id: RequestId, message: &str) {
        let Some(request) = self.outlets[outlet].ended(id) else {
            return;
        };
        let latency = now.saturating_duration_since(request.sent);
        self.sizer.on_export(latency, request.items as usize, false);
        self.report_export(
            outlet,
            latency,
            request.items,
            Some(LossReason::ExporterPanicked.as_str()),
        );
        self.observer.event(&Event::ExporterPanicked {
            message,
            items: request.items,
        });
        self.lose(outlet, request.epoch, LossReason::ExporterPanicked, request.items);
    }

    /// The receiver took a request, in whole or in part.
    fn delivered(&mut self, outlet: usize, latency: Duration, request: InFlight<C::Request>, receipt: &Receipt) {
        let rejected = receipt.rejected().min(request.items);
        let exported = request.items - rejected;
        if exported > 0 {
            self.report_export(outlet, latency, exported, None);
        }
        if rejected > 0 {
            self.report_export(outlet, latency, rejected, Some("rejected"));
        }
        if rejected > 0 || receipt.message().is_some() {
            let message = receipt.message().unwrap_or_default();
            self.observer.event(&Event::PartialSuccess { rejected, message });
        }
        self.settle(
            outlet,
            request.epoch,
            &Settled {
                exported,
                rejected,
                ..Settled::default()
            },
        );
    }

    /// A request was not taken: park it, split it, or give it up.
    fn refused(&mut self, now: Instant, outlet: usize, request: InFlight<C::Request>, error: &ExportError) {
        let InFlight {
            kept,
            seq,
            items,
            bytes,
            epoch,
            permit,
            sent,
        } = request;
        match (error.kind(), kept) {
            (ErrorKind::TooLarge, Some(request)) => {
                self.answered(now, outlet);
                match self.intake.collect.halve(&request) {
                    Some(halves) => {
                        self.observer.event(&Event::RequestSplit { items });
                        for (request, half_items, half_bytes) in halves.into_iter().rev() {
                            let permit = Arc::clone(&permit);
                            let (items, bytes) = (half_items as u64, half_bytes);
                            self.outlets[outlet].retry_first(Work {
                                request,
                                seq,
                                items,
                                bytes,
                                epoch,
                                permit,
                            });
                        }
                    }
                    None => self.give_up(outlet, epoch, LossReason::TooLarge, items, error),
                }
            }
            (_, Some(request)) if error.is_retryable() => {
                if self.outlets[outlet].failed(now, sent, error.retry_after(), &mut self.random) {
                    self.observer.event(&Event::ExportFailed { error, items });
                }
                self.outlets[outlet].park(Work {
                    request,
                    seq,
                    items,
                    bytes,
                    epoch,
                    permit,
                });
            }
            (ErrorKind::TooLarge, None) => self.give_up(outlet, epoch, LossReason::TooLarge, items, error),
            (ErrorKind::Unauthenticated, _) => {
                self.answered(now, outlet);
                self.give_up(outlet, epoch, LossReason::Unauthenticated, items, error);
            }
            _ => {
                self.answered(now, outlet);
                self.give_up(outlet, epoch, LossReason::Permanent, items, error);
            }
        }
        self.update_outlet_books(outlet);
    }

    /// A destination answered, whatever it said: it can be reached.
    fn answered(&mut self, now: Instant, outlet: usize) {
        if let Some(outage) = self.outlets[outlet].answered(now) {
            self.observer.event(&Event::ReceiverRecovered { outage });
        }
    }

    fn give_up(&mut self, outlet: usize, epoch: Epoch, reason: LossReason, items: u64, error: &ExportError) {
        self.observer.event(&Event::ExportFailed { error, items });
        self.lose(outlet, epoch, reason, items);
    }

    pub(super) fn lose(&mut self, outlet: usize, epoch: Epoch, reason: LossReason, items: u64) {
        let name = &*self.outlets[outlet].name;
        self.report_loss(reason, items, Some((attribute::OTEL_COMPONENT_NAME, name)));
        self.settle(outlet, epoch, &Settled::lost(reason, items));
    }

    /// Tells what was lost on the application's threads since the last time: they count, and do not call observers.
    pub(super) fn report_entry_losses(&mut self, lost: LossCounts) {
        for (reason, items) in lost.iter() {
            if items > self.told[reason] {
                self.report_loss(reason, items - self.told[reason], None);
            }
        }
        self.told = lost;
    }

    fn report_loss(&self, reason: LossReason, items: u64, destination: Option<(&'static str, &str)>) {
        self.observer.event(&Event::Lost { reason, items });
        let mut attributes = vec![(attribute::ERROR_TYPE, reason.as_str())];
        attributes.extend(destination);
        self.observer.count(&semconv::LOST, items as i64, &attributes);
    }

    /// Moves items from pending to where they ended up.
    pub(super) fn settle(&mut self, outlet: usize, epoch: Epoch, settled: &Settled) {
        self.outlets[outlet].settle(epoch, settled.items());
        for flush in self.flushes.iter_mut().filter(|flush| epoch <= flush.target) {
            flush.add(outlet, settled);
        }
        let mut books = self.intake.books();
        let account = &mut books.outlets[outlet];
        account.pending -= settled.items();
        account.exported += settled.exported;
        account.rejected += settled.rejected;
        account.lost += settled.lost;
        self.outlets[outlet].show(account);
    }

    fn report_export(&self, outlet: usize, latency: Duration, items: u64, error_type: Option<&str>) {
        let name = (attribute::OTEL_COMPONENT_NAME, &*self.outlets[outlet].name);
        let attributes = [name, (attribute::ERROR_TYPE, error_type.unwrap_or_default())];
        let attributes = if error_type.is_some() {
            &attributes[..]
        } else {
            &attributes[..1]
        };
        self.observer
            .count(&semconv::EXPORTER_SPAN_EXPORTED, items as i64, attributes);
        self.observer
            .record(&semconv::EXPORTER_OPERATION_DURATION, latency.as_secs_f64(), attributes);
        self.count(&semconv::EXPORTER_SPAN_INFLIGHT, -(items as i64), outlet);
    }
}
