//! Requests as spans of a trace, sent to a collector (OpenTelemetry, OTLP over HTTP).
//!
//! A span says when a request came, how long its answer took, the status and the ledger entry. It
//! names no path, caller or recording: a collector is often somebody else's machine. What cannot be
//! sent is dropped; the ledger is the record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};

use super::Trace;
use crate::config;

/// LIMIT: how long one delivery may take.
const DELIVERY: Duration = Duration::from_secs(5);

/// Sends spans in batches, from a thread of its own.
#[derive(Debug)]
pub struct Spans {
    processor: BatchSpanProcessor,
    percent: u128,
    ended: AtomicBool,
}

/// What is told of a request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// When it came.
    pub began: Timestamp,
    /// Until the head of the answer.
    pub took: Duration,
    /// The method, if it is a known one.
    pub method: &'static str,
    /// The status.
    pub status: u16,
    /// The ledger entry.
    pub entry: Option<&'a str>,
}

impl Spans {
    /// Starts to send, through this client.
    ///
    /// # Errors
    /// The exporter's, if the endpoint cannot be used.
    pub fn start(
        traces: &config::Traces,
        endpoint: &str,
        client: impl HttpClient + 'static,
    ) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(endpoint)
            .with_timeout(DELIVERY)
            .build()?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name("noticegate");
        processor.set_resource(&resource.with_attributes([version]).build());
        let percent = u128::from(traces.sample_percent.get());
        Ok(Self { processor, percent, ended: AtomicBool::new(false) })
    }

    /// Whether a trace is kept: as its caller wants it, or by its number.
    fn keeps(&self, trace: &Trace) -> bool {
        trace.is_sampled() || trace.parent().is_none() && trace.id() % 100 < self.percent
    }

    /// A request has been answered.
    pub fn answered(&self, trace: &Trace, answered: &Answered<'_>) {
        if !self.keeps(trace) || self.ended.load(Ordering::Relaxed) {
            return;
        }
        let context = SpanContext::new(
            TraceId::from(trace.id()),
            SpanId::from(trace.span()),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        );
        let mut attributes = vec![
            KeyValue::new("http.request.method", answered.method),
            KeyValue::new("http.response.status_code", i64::from(answered.status)),
        ];
        let entry = answered.entry.map(|entry| KeyValue::new("noticegate.entry", entry.to_owned()));
        attributes.extend(entry);
        // No clock that is in use shows a time before 1970.
        let since = Duration::try_from(answered.began.as_duration()).unwrap_or_default();
        let began = SystemTime::UNIX_EPOCH + since;
        self.processor.on_end(SpanData {
            span_context: context,
            parent_span_id: trace.parent().map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: trace.parent().is_some(),
            span_kind: SpanKind::Server,
            name: "request".into(),
            start_time: began,
            end_time: began + answered.took,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match answered.status {
                500.. => Status::error(""),
                _ => Status::Unset,
            },
            instrumentation_scope: InstrumentationScope::builder("noticegate").build(),
        });
    }

    /// Sends what waits. Later spans are dropped.
    pub fn stop(&self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Err(error) = self.processor.shutdown() {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}
