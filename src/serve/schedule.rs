//! The daily sweep: a thread that waits for its time of day, and deletes what is due.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::config::Config;
use crate::gate::Gate;
use crate::sweep::{Order, Step, Sweep};
use crate::upstream::{Decryption, Upstream};

/// How often it is looked at the clock.
const LOOK: Duration = Duration::from_millis(500);

/// The thread.
#[derive(Debug)]
pub(super) struct Sweeping {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// The next time that the clock on the wall shows this, after a moment.
fn next(time: Time, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = zone.to_datetime(after).date();
    let at = |day: jiff::civil::Date| zone.to_timestamp(day.to_datetime(time)).ok();
    at(today).filter(|at| *at > after).or_else(|| at(today.tomorrow().ok()?))
}

impl Sweeping {
    /// Starts it, if there is a schedule.
    pub(super) fn start(
        gate: &Arc<Gate>,
        config: &Arc<Config>,
        decryption: Decryption,
    ) -> std::io::Result<Self> {
        let (stop, mut stopping) = watch::channel(false);
        let Some(schedule) = config.retention.schedule else {
            return Ok(Self { stop, thread: None });
        };
        let (gate, config) = (Arc::clone(gate), Arc::clone(config));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let zone = TimeZone::system();
        let mut due = next(schedule, gate.clock.now(), &zone);
        let keep = move || {
            while !runtime.block_on(stopped(&mut stopping)) {
                let now = gate.clock.now();
                if due.is_some_and(|due| due <= now) {
                    sweep(&gate, &config, &decryption, &stopping);
                    due = next(schedule, gate.clock.now(), &zone);
                }
            }
        };
        let thread = std::thread::Builder::new().name("sweep".to_owned()).spawn(keep)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it: a deletion that is under way is looked up by the next sweep.
    pub(super) fn stop(self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

/// Waits a little; true if it is to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) -> bool {
    tokio::time::timeout(LOOK, stopping.wait_for(|stop| *stop)).await.is_ok()
}

fn sweep(gate: &Gate, config: &Config, decryption: &Decryption, stop: &watch::Receiver<bool>) {
    let sweep = Sweep {
        config,
        clock: &gate.clock,
        policies: gate.policies.now(),
        accounts: &gate.accounts,
        upstream: Upstream::new(config.upstream.clone(), &config.limits, decryption.clone()),
        facts: &gate.facts,
        register: gate.ledger.register(),
        stop: stop.clone(),
    };
    let order = Order { delete: true, actor: "schedule".to_owned(), ..Order::default() };
    let done = sweep.run(&order, &mut |step| {
        if let Step::Found(found) = step
            && found.fate.is_failure()
        {
            let media = found.media.map(|media| media.to_string());
            tracing::warn!(media, fate = %found.fate, "the sweep could not delete");
        }
    });
    match done {
        Ok(totals) => {
            let (looked, failures) = (totals.looked, totals.failures);
            tracing::info!(looked, failures, fates = ?totals.fates, "swept");
        }
        Err(error) => tracing::warn!(%error, "the sweep did not come to its end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_after_now_and_within_a_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let time: Time = "03:10".parse().unwrap();
        let next = |now: &str| next(time, at(now), &TimeZone::UTC).unwrap();
        assert_eq!(next("2026-11-23T03:09:59Z"), at("2026-11-23T03:10:00Z"));
        assert_eq!(next("2026-11-23T03:10:00Z"), at("2026-11-24T03:10:00Z"));
        assert_eq!(next("2026-12-31T12:00:00Z"), at("2027-01-01T03:10:00Z"));
    }
}
