//! What becomes of requests that were sent.

use std::time::{Duration, Instant};

use spanwright_core::semconv::{self, attribute};
use spanwright_core::{ErrorKind, Event, ExportError, LossCounts, LossReason, Receipt};

use super::Engine;
use super::flush::Settled;
use super::request::{InFlight, Label, RequestId, Work};
use crate::collect::Collect;

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
        self.sizer
            .on_export(latency, request.label.items as usize, result.is_ok());
        match result {
            Ok(receipt) => {
                self.answered(now, outlet);
                self.delivered(outlet, latency, request, &receipt);
            }
            Err(mut error) => {
                let request = self.rest_of(outlet, latency, request, &mut error);
                self.report_export(outlet, latency, request.label.items, Some(error.error_type()));
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
        self.sizer.on_export(latency, request.label.items as usize, false);
        self.report_export(
            outlet,
            latency,
            request.label.items,
            Some(LossReason::ExporterPanicked.as_str()),
        );
        self.observer.event(&Event::ExporterPanicked {
            message,
            items: request.label.items,
        });
        self.lose(outlet, request.label, LossReason::ExporterPanicked);
    }

    /// The receiver took a request, in whole or in part.
    fn delivered(&mut self, outlet: usize, latency: Duration, request: InFlight<C::Request>, receipt: &Receipt) {
        let rejected = receipt.rejected().min(request.label.items);
        let exported = request.label.items - rejected;
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
            request.label,
            &Settled {
                exported,
                rejected,
                ..Settled::default()
            },
        );
    }

    /// What an error is about: a request, or the part of it that was not taken. The other part is settled.
    fn rest_of(
        &mut self,
        outlet: usize,
        latency: Duration,
        request: InFlight<C::Request>,
        error: &mut ExportError,
    ) -> InFlight<C::Request> {
        let InFlight { kept, label, sent } = request;
        let Some((receipt, rest)) = error.take_rest() else {
            return InFlight { kept, label, sent };
        };
        let (items, bytes) = (rest.item_count() as u64, rest.len());
        let (Some(settled), Some(rest)) = (label.items.checked_sub(items), self.intake.collect.restore(rest)) else {
            // More than there was: not to be believed.
            return InFlight { kept, label, sent };
        };
        let parts = [(settled, label.bytes.saturating_sub(bytes)), (items, bytes)];
        let [taken, rest_label] = parts.map(|(items, bytes)| label.part(items, bytes));
        drop(label);
        let (label, kept) = (taken, None);
        self.delivered(outlet, latency, InFlight { kept, label, sent }, &receipt);
        InFlight {
            kept: Some(rest),
            label: rest_label,
            sent,
        }
    }

    /// A request was not taken: park it, split it, or give it up.
    fn refused(&mut self, now: Instant, outlet: usize, request: InFlight<C::Request>, error: &ExportError) {
        let InFlight { kept, label, sent } = request;
        match (error.kind(), kept) {
            (ErrorKind::TooLarge, request) => {
                self.answered(now, outlet);
                match request.and_then(|request| self.intake.collect.halve(&request)) {
                    Some(halves) => self.split(outlet, halves, &label),
                    None => self.give_up(outlet, label, LossReason::TooLarge, error),
                }
            }
            (_, Some(request)) if error.is_retryable() => {
                if self.outlets[outlet].failed(now, sent, error.retry_after(), &mut self.random) {
                    let items = label.items;
                    self.observer.event(&Event::ExportFailed { error, items });
                }
                self.outlets[outlet].keep(Work { request, label });
            }
            (ErrorKind::Unauthenticated, _) => {
                self.answered(now, outlet);
                self.give_up(outlet, label, LossReason::Unauthenticated, error);
            }
            _ => {
                self.answered(now, outlet);
                self.give_up(outlet, label, LossReason::Permanent, error);
            }
        }
        self.update_outlet_books(outlet);
    }

    fn split(&mut self, outlet: usize, halves: [(C::Request, usize, usize); 2], whole: &Label) {
        self.observer.event(&Event::RequestSplit { items: whole.items });
        for (request, items, bytes) in halves.into_iter().rev() {
            let label = whole.part(items as u64, bytes);
            self.outlets[outlet].retry_first(Work { request, label });
        }
    }

    /// A destination answered, whatever it said: it can be reached.
    fn answered(&mut self, now: Instant, outlet: usize) {
        if let Some(outage) = self.outlets[outlet].answered(now) {
            self.observer.event(&Event::ReceiverRecovered { outage });
        }
    }

    fn give_up(&mut self, outlet: usize, label: Label, reason: LossReason, error: &ExportError) {
        let items = label.items;
        self.observer.event(&Event::ExportFailed { error, items });
        self.lose(outlet, label, reason);
    }

    pub(super) fn lose(&mut self, outlet: usize, label: Label, reason: LossReason) {
        let name = &*self.outlets[outlet].name;
        self.report_loss(reason, label.items, Some((attribute::OTEL_COMPONENT_NAME, name)));
        let settled = Settled::lost(reason, label.items);
        self.settle(outlet, label, &settled);
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

    /// Moves a request's items from pending to where they ended up.
    fn settle(&mut self, outlet: usize, label: Label, settled: &Settled) {
        let Label { epoch, claim, .. } = label;
        self.outlets[outlet].settle(epoch, settled.items());
        for flush in self.flushes.iter_mut().filter(|flush| flush.covers(epoch)) {
            flush.add(outlet, settled);
        }
        if let Some(claim) = claim {
            claim.done();
        }
        let mut books = self.intake.books();
        let account = &mut books.outlets[outlet];
        account.pending -= settled.items();
        account.exported += settled.exported;
        account.rejected += settled.rejected;
        account.lost += settled.lost;
        if epoch.is_none() {
            account.replayed += settled.exported + settled.rejected;
        }
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
