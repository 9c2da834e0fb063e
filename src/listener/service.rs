//! From a connection's request to the gate's answer: what is counted, timed, limited and traced
//! around it.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use tokio::time::Instant;
use tracing::Instrument;

use super::Seat;
use super::activity::Activity;
use crate::gate::Worker;
use crate::identity::Peer;
use crate::respond::{self, CallerForm, Problem};
use crate::stream::ReplyBody;
use crate::telemetry::{Answered, REQUESTS, Trace};

/// Tells a caller who traces which span its request became (W3C Trace Context, level 2).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

impl Seat {
    pub(super) fn service(
        &self,
        peer: Peer,
        activity: &Arc<Activity>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<ReplyBody>,
        Error = Infallible,
        Future: Send,
    > + use<> {
        let (worker, activity) = (Arc::clone(&self.worker), Arc::clone(activity));
        service_fn(move |request| {
            let (worker, peer) = (Arc::clone(&worker), peer.clone());
            let mut running = activity.begin();
            async move {
                let mut response = traced(&worker, request, &peer).await;
                running.answered();
                response.body_mut().hold(running);
                Ok::<_, Infallible>(response)
            }
        })
    }
}

async fn traced(worker: &Worker, request: Request<Incoming>, peer: &Peer) -> Response<ReplyBody> {
    let (began, clock) = (Instant::now(), worker.gate.clock.now());
    let method = known(request.method());
    let trace = Trace::of(request.headers());
    let span = tracing::info_span!(
        "request",
        request = format_args!("{:016x}", trace.span()),
        trace = format_args!("{:032x}", trace.id()),
    );
    let mut response = admitted(worker, request, peer).instrument(span.clone()).await;
    let took = began.elapsed();
    let status = response.status().as_u16();
    worker.gate.metrics.answered(status, took);
    if trace.parent().is_some()
        && let Ok(value) = HeaderValue::try_from(trace.to_string())
    {
        response.headers_mut().insert(TRACERESPONSE, value);
    }
    span.in_scope(|| {
        let entry = response.headers().get(respond::ENTRY_HEADER);
        let entry = entry.and_then(|entry| entry.to_str().ok());
        let milliseconds = took.as_millis();
        if let Some(spans) = &worker.gate.spans {
            spans.answered(&trace, &Answered { began: clock, took, method, status, entry });
        }
        tracing::info!(target: REQUESTS, method, status, entry, milliseconds, "answered");
    });
    response
}

/// The name of a method that is not a caller's invention.
fn known(method: &Method) -> &'static str {
    [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS]
        .iter()
        .zip(["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
        .find_map(|(known, name)| (known == method).then_some(name))
        .unwrap_or("other")
}

async fn admitted(worker: &Worker, request: Request<Incoming>, peer: &Peer) -> Response<ReplyBody> {
    let place = match worker.gate.crowd.request(peer.address.ip()) {
        Ok(place) => place,
        Err(crowded) => {
            let (parts, _) = request.into_parts();
            let problem = Problem::crowded(&crowded);
            worker.gate.metrics.refused(problem.reason());
            return problem.into_response(CallerForm::of(&parts), None);
        }
    };
    let running = worker.gate.metrics.running();
    let mut response = worker.answer(request, peer).await;
    response.body_mut().hold((place, running));
    response
}
