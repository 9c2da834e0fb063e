//! Deliveries that wait: durable before Twilio gets its answer, tried until they succeed.
//!
//! [`Outbox::store`] returns when a delivery is on disk. A few threads take what is due, bring it to
//! its application, and delete it or put it off. A crash at any point leads to one more try, never
//! to one less: at least once, in no promised order. The same event is stored once in seven days,
//! and carries the same `I-Twilio-Idempotency-Token` at every try.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use super::delivery::{Answer, Courier, Delivery, NoAnswer, RETRY_AFTER_MAX, failure, pause};
use super::rows::{Dead, OutboxError, Rows, Waiting};
use crate::clock::Clock;
use crate::crash;

/// How many deliveries are under way at once. An application that hangs holds each thread for one
/// request at a time, and its turn comes after those that wait longer.
const THREADS: usize = 3;

/// How often it is looked whether the clock was moved, and tried again after the disk has failed.
const TURN: Duration = Duration::from_secs(1);

/// LIMIT: deliveries that wait. A day without the application at ten callbacks a second; some
/// gigabytes. One more is refused, and Twilio is told to try again.
pub const WAITING_MAX: u64 = 1_000_000;

/// LIMIT: how long a delivery may be tried. An event is not remembered longer than that.
pub const GIVE_UP_AFTER_MAX: Duration = Duration::from_hours(7 * 24);

/// How an outbox works.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// What seals the rows.
    pub key: [u8; 32],
    /// For how long a delivery is tried, at most [`GIVE_UP_AFTER_MAX`].
    pub give_up_after: Duration,
}

impl OutboxSettings {
    /// With this key, for 24 hours.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, give_up_after: Duration::from_hours(24) }
    }
}

/// What metrics tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxStats {
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// For how long the oldest has waited; zero if none waits.
    pub oldest: Duration,
}

/// The queue and its threads. Dropped, it waits for what is under way.
#[derive(Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    bell: Condvar,
    clock: Clock,
    courier: Arc<dyn Courier>,
    give_up_after: Duration,
}

#[derive(Debug)]
struct State {
    rows: Rows,
    /// The row that a thread is at, and its webhook.
    under_way: Vec<(i64, String)>,
    /// Webhooks that may have rows, and the turn in which each was last served.
    served: HashMap<String, u64>,
    turn: u64,
    waiting: u64,
    dead: u64,
    is_ending: bool,
}

/// What a thread does next.
enum Next {
    Try(String, Waiting),
    Wait(Duration),
}

impl Outbox {
    /// Opens the file, makes it if it is missing, and starts to deliver.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be used, is another process's or was sealed by another
    /// key.
    pub fn open(
        path: &Path,
        settings: &OutboxSettings,
        clock: Clock,
        courier: Arc<dyn Courier>,
    ) -> Result<Self, OutboxError> {
        let rows = Rows::open(path, &settings.key)?;
        let (waiting, dead) = rows.count()?;
        let served = rows.webhooks()?.into_iter().map(|webhook| (webhook, 0)).collect();
        let (under_way, turn, is_ending) = (Vec::new(), 0, false);
        let state = State { rows, under_way, served, turn, waiting, dead, is_ending };
        let give_up_after = settings.give_up_after.min(GIVE_UP_AFTER_MAX);
        let (state, bell) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { state, bell, clock, courier, give_up_after });
        let mut outbox = Self { shared, threads: Vec::with_capacity(THREADS) };
        for _ in 0..THREADS {
            let shared = Arc::clone(&outbox.shared);
            let thread = std::thread::Builder::new().name("outbox".to_owned());
            let thread = thread.spawn(move || shared.run()).map_err(|error| {
                let problem = format!("no thread could be started for it ({error})");
                OutboxError::Unusable { path: path.to_owned(), problem }
            })?;
            outbox.threads.push(thread);
        }
        Ok(outbox)
    }

    /// Stores a delivery, unless its event was stored in the last seven days; says whether it did.
    /// Blocks until the disk has it: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`OutboxError`] if it is not stored. Then Twilio must not be told that it was.
    pub fn store(
        &self,
        webhook: &str,
        event: &[u8; 32],
        delivery: &Delivery,
    ) -> Result<bool, OutboxError> {
        let now = self.shared.clock.now().as_microsecond();
        let mut state = self.shared.lock();
        if state.waiting >= WAITING_MAX {
            return Err(OutboxError::Full { waiting: state.waiting });
        }
        let is_new = state.rows.store(webhook, event, delivery, now)?;
        if is_new {
            state.waiting += 1;
            state.served.entry(webhook.to_owned()).or_default();
            self.shared.bell.notify_one();
        }
        Ok(is_new)
    }

    /// How much waits.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read.
    pub fn stats(&self) -> Result<OutboxStats, OutboxError> {
        let state = self.shared.lock();
        let now = self.shared.clock.now().as_microsecond();
        let age = state.rows.oldest()?.map_or(0, |stored_at| now.saturating_sub(stored_at));
        let oldest = Duration::from_micros(u64::try_from(age).unwrap_or(0));
        Ok(OutboxStats { waiting: state.waiting, dead: state.dead, oldest })
    }

    /// What was given up, and why; the oldest first.
    ///
    /// # Errors
    /// [`OutboxError`] if the file cannot be read.
    pub fn dead(&self) -> Result<Vec<Dead>, OutboxError> {
        self.shared.lock().rows.dead()
    }

    /// Has the threads look at the clock now and not only within a second.
    pub fn wake(&self) {
        let _state = self.shared.lock();
        self.shared.bell.notify_all();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.shared.lock().is_ending = true;
        self.shared.bell.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rest<'s>(&self, state: MutexGuard<'s, State>, rest: Duration) -> MutexGuard<'s, State> {
        let rested = self.bell.wait_timeout(state, rest);
        rested.unwrap_or_else(PoisonError::into_inner).0
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.is_ending {
            match state.next(self.clock.now()) {
                Ok(Next::Wait(rest)) => state = self.rest(state, rest),
                Ok(Next::Try(webhook, row)) => {
                    let id = row.id;
                    let delivery = state.rows.open_delivery(&row);
                    drop(state);
                    let answered = delivery.map(|delivery| self.courier.deliver(&delivery));
                    crash::at("outbox-delivered");
                    // CRASH HERE: the application has it, and gets it once more with its token.
                    state = self.lock();
                    if let Err(error) = self.settle(&mut state, &webhook, &row, answered) {
                        let error: &dyn Error = &error;
                        tracing::error!(error, "a delivery's end could not be stored");
                        // Else it would be delivered over and over while the disk is full.
                        state = self.rest(state, TURN);
                    }
                    state.under_way.retain(|(known, _)| *known != id);
                }
                Err(error) => {
                    let error: &dyn Error = &error;
                    tracing::error!(error, "the outbox cannot be read; it is tried again");
                    state = self.rest(state, TURN);
                }
            }
        }
    }

    /// Stores what came of a try; `None` is a row that cannot be opened.
    fn settle(
        &self,
        state: &mut State,
        webhook: &str,
        row: &Waiting,
        answered: Option<Result<Answer, NoAnswer>>,
    ) -> Result<(), OutboxError> {
        let (id, now) = (row.id, self.clock.now());
        let tries = row.tries.saturating_add(1);
        let Some(answered) = answered else {
            return state.give_up(webhook, id, tries, "it is damaged and cannot be opened");
        };
        let Some(reason) = failure(&answered) else {
            state.rows.delete(id)?;
            crash::at("outbox-deleted");
            // CRASH HERE: it is delivered, and only the event's name is left.
            state.waiting = state.waiting.saturating_sub(1);
            return Ok(());
        };
        let deadline = row.stored_at.saturating_add(micros(self.give_up_after));
        if now.as_microsecond() >= deadline {
            return state.give_up(webhook, id, tries, &reason);
        }
        let pause = micros(pause(tries, &answered, now));
        let due_at = now.as_microsecond().saturating_add(pause).min(deadline);
        tracing::warn!(webhook, delivery = id, tries, reason, "a callback is tried again");
        state.rows.put_off(id, tries, due_at)
    }
}

impl State {
    /// Takes a row that is due, of the webhook with the fewest under way that was served longest
    /// ago, or says how long there is nothing to do.
    fn next(&mut self, now: Timestamp) -> Result<Next, OutboxError> {
        let now = now.as_microsecond();
        // Later than any pause is a clock that was put back.
        let too_late = now.saturating_add(micros(RETRY_AFTER_MAX));
        let ids: Vec<i64> = self.under_way.iter().map(|(id, _)| *id).collect();
        let mut order: Vec<(usize, u64, String)> = Vec::with_capacity(self.served.len());
        for (webhook, served) in &self.served {
            let busy = self.under_way.iter().filter(|(_, at)| at == webhook).count();
            order.push((busy, *served, webhook.clone()));
        }
        order.sort_unstable();
        let mut rest = TURN;
        for (_, _, webhook) in order {
            let Some(row) = self.rows.first(&webhook, &ids)? else { continue };
            if row.due_at <= now || row.due_at > too_late {
                self.turn += 1;
                self.served.insert(webhook.clone(), self.turn);
                self.under_way.push((row.id, webhook.clone()));
                return Ok(Next::Try(webhook, row));
            }
            let left = u64::try_from(row.due_at - now).unwrap_or(0);
            rest = rest.min(Duration::from_micros(left));
        }
        Ok(Next::Wait(rest))
    }

    fn give_up(
        &mut self,
        webhook: &str,
        id: i64,
        tries: u32,
        why: &str,
    ) -> Result<(), OutboxError> {
        self.rows.give_up(id, tries, why)?;
        self.waiting = self.waiting.saturating_sub(1);
        self.dead += 1;
        tracing::error!(webhook, delivery = id, tries, reason = why, "a callback is given up");
        Ok(())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Instant;

    use jiff::SignedDuration;

    use super::*;
    use crate::webhook::delivery::Verb;

    const WATCHDOG: Duration = Duration::from_secs(20);

    /// Tells what it is given, and answers when and as it is told.
    #[derive(Debug)]
    struct Scripted {
        given: Sender<Delivery>,
        answers: Mutex<HashMap<String, Receiver<Result<Answer, NoAnswer>>>>,
    }

    impl Courier for Scripted {
        fn deliver(&self, delivery: &Delivery) -> Result<Answer, NoAnswer> {
            self.given.send(delivery.clone()).unwrap();
            let answers = self.answers.lock().unwrap().remove(&delivery.url).unwrap();
            let answer = answers.recv_timeout(WATCHDOG).unwrap_or(Err(NoAnswer::TooSlow));
            self.answers.lock().unwrap().insert(delivery.url.clone(), answers);
            answer
        }
    }

    struct Desk {
        folder: tempfile::TempDir,
        clock: Clock,
        given: Receiver<Delivery>,
        courier: Arc<Scripted>,
    }

    impl Desk {
        fn new() -> Self {
            let (give, given) = channel();
            Self {
                folder: tempfile::tempdir().unwrap(),
                clock: Clock::manual("2026-11-24T00:00:00Z".parse().unwrap()),
                given,
                courier: Arc::new(Scripted { given: give, answers: Mutex::default() }),
            }
        }

        fn open(&self) -> Outbox {
            self.open_with(&OutboxSettings::new([7; 32])).unwrap()
        }

        fn open_with(&self, settings: &OutboxSettings) -> Result<Outbox, OutboxError> {
            let courier = Arc::clone(&self.courier) as Arc<dyn Courier>;
            Outbox::open(&self.folder.path().join("outbox"), settings, self.clock.clone(), courier)
        }

        /// A way to answer what goes to this URL.
        fn answers(&self, url: &str) -> Sender<Result<Answer, NoAnswer>> {
            let (answer, answers) = channel();
            self.courier.answers.lock().unwrap().insert(url.to_owned(), answers);
            answer
        }

        fn given(&self) -> Delivery {
            self.given.recv_timeout(WATCHDOG).expect("a delivery comes")
        }

        fn pass(&self, outbox: &Outbox, time: Duration) {
            self.clock.set(self.clock.now() + SignedDuration::try_from(time).unwrap());
            outbox.wake();
        }

        fn bytes(&self) -> Vec<u8> {
            let files = std::fs::read_dir(self.folder.path()).unwrap();
            files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
        }
    }

    fn delivery(url: &str, body: &str) -> Delivery {
        Delivery {
            verb: Verb::Post,
            url: url.to_owned(),
            content_type: Some("application/x-www-form-urlencoded".to_owned()),
            body: body.to_owned(),
            signature: "signature".to_owned(),
            idempotency_token: "token".to_owned(),
        }
    }

    fn answer(status: u16) -> Result<Answer, NoAnswer> {
        Ok(Answer { status, retry_after: None })
    }

    fn until(outbox: &Outbox, is_so: impl Fn(OutboxStats) -> bool) {
        let began = Instant::now();
        while !is_so(outbox.stats().unwrap()) {
            assert!(began.elapsed() < WATCHDOG, "{:?}", outbox.stats());
            std::thread::yield_now();
        }
    }

    /// Waits until nothing is under way.
    fn settled(outbox: &Outbox) {
        let began = Instant::now();
        while !outbox.shared.lock().under_way.is_empty() {
            assert!(began.elapsed() < WATCHDOG);
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_stored_is_delivered_at_once_and_then_gone() {
        let desk = Desk::new();
        let outbox = desk.open();
        let answers = desk.answers("a");
        let sent = delivery("a", "From=%2B15550100");
        assert!(outbox.store("hook", &[1; 32], &sent).unwrap());
        assert_eq!(desk.given(), sent);
        let stats = outbox.stats().unwrap();
        assert_eq!((stats.waiting, stats.dead), (1, 0));
        answers.send(answer(204)).unwrap();
        until(&outbox, |stats| stats.waiting == 0);
        drop(outbox);
        let outbox = desk.open();
        let stats = OutboxStats { waiting: 0, dead: 0, oldest: Duration::ZERO };
        assert_eq!(outbox.stats().unwrap(), stats);
    }

    #[test]
    fn the_same_event_is_stored_once_in_seven_days() {
        let desk = Desk::new();
        let outbox = desk.open();
        let answers = desk.answers("a");
        let store = |event| outbox.store("hook", &[event; 32], &delivery("a", "")).unwrap();
        assert!(store(1));
        assert!(!store(1), "while it waits");
        desk.given();
        answers.send(answer(200)).unwrap();
        until(&outbox, |stats| stats.waiting == 0);
        assert!(!store(1), "once it is delivered");
        let week = Duration::from_hours(7 * 24);
        desk.pass(&outbox, week - Duration::from_micros(1));
        assert!(!store(1), "a microsecond before seven days");
        desk.pass(&outbox, Duration::from_micros(1));
        assert!(store(1), "after seven days");
        answers.send(answer(200)).unwrap();
    }

    #[test]
    fn what_fails_is_tried_after_growing_pauses_and_not_before() {
        let desk = Desk::new();
        let outbox = desk.open();
        let answers = desk.answers("a");
        outbox.store("hook", &[1; 32], &delivery("a", "")).unwrap();
        for (tries, failed) in [answer(500), Err(NoAnswer::Unreachable), answer(302), answer(404)]
            .into_iter()
            .enumerate()
        {
            desk.given();
            answers.send(failed).unwrap();
            settled(&outbox);
            let pause = Duration::from_secs(1 << tries);
            desk.pass(&outbox, pause / 2 - Duration::from_micros(2));
            let mut state = outbox.shared.lock();
            assert!(matches!(state.next(desk.clock.now()), Ok(Next::Wait(_))), "{tries}");
            drop(state);
            assert!(desk.given.try_recv().is_err());
            desk.pass(&outbox, pause / 2 + Duration::from_micros(2));
        }
        desk.given();
        let asked = Answer { status: 503, retry_after: Some("600".to_owned()) };
        answers.send(Ok(asked)).unwrap();
        settled(&outbox);
        desk.pass(&outbox, Duration::from_secs(599));
        assert!(matches!(outbox.shared.lock().next(desk.clock.now()), Ok(Next::Wait(_))));
        desk.pass(&outbox, Duration::from_secs(1));
        desk.given();
        answers.send(answer(200)).unwrap();
        until(&outbox, |stats| stats.waiting == 0);
    }

    #[test]
    fn after_a_day_it_is_given_up_and_kept_with_the_reason() {
        let desk = Desk::new();
        let outbox = desk.open();
        let answers = desk.answers("https://app.example/?secret=s");
        let sent = delivery("https://app.example/?secret=s", "From=%2B15550100");
        outbox.store("hook", &[1; 32], &sent).unwrap();
        desk.given();
        desk.pass(&outbox, Duration::from_hours(24) - Duration::from_micros(1));
        answers.send(answer(500)).unwrap();
        settled(&outbox);
        assert_eq!(outbox.stats().unwrap().dead, 0, "a microsecond before");
        assert_eq!(outbox.stats().unwrap().oldest.as_secs(), 24 * 3600 - 1);
        desk.pass(&outbox, Duration::from_micros(1));
        desk.given();
        answers.send(answer(503)).unwrap();
        until(&outbox, |stats| stats.dead == 1 && stats.waiting == 0);
        let reason = "the application answered with status 503".to_owned();
        let expected = Dead { id: 1, webhook: "hook".to_owned(), tries: 2, reason };
        assert_eq!(outbox.dead().unwrap(), std::slice::from_ref(&expected));
        drop(outbox);
        let outbox = desk.open();
        assert_eq!(outbox.dead().unwrap(), [expected]);
        assert_eq!(outbox.stats().unwrap().dead, 1);
        assert!(desk.given.try_recv().is_err(), "the dead are not tried");
    }

    #[test]
    fn an_application_that_hangs_holds_no_other_up() {
        let desk = Desk::new();
        let outbox = desk.open();
        let slow: Vec<_> = (0..6).map(|n| (n, desk.answers(&format!("slow{n}")))).collect();
        for (n, _) in &slow {
            outbox.store("slow", &[*n; 32], &delivery(&format!("slow{n}"), "")).unwrap();
        }
        for _ in 0..THREADS {
            assert!(desk.given().url.starts_with("slow"));
        }
        // Every thread is held. The first that comes free serves the others, however many wait.
        let fast: Vec<_> = (0..3).map(|n| (n, desk.answers(&format!("fast{n}")))).collect();
        for (n, answers) in &fast {
            answers.send(answer(200)).unwrap();
            outbox.store("fast", &[100 + n; 32], &delivery(&format!("fast{n}"), "")).unwrap();
        }
        slow[0].1.send(Err(NoAnswer::TooSlow)).unwrap();
        for _ in &fast {
            assert!(desk.given().url.starts_with("fast"));
        }
        for (_, answers) in &slow {
            let _ = answers.send(answer(200));
            let _ = answers.send(answer(200));
        }
    }

    #[test]
    fn nothing_of_a_delivery_can_be_read_on_disk() {
        let desk = Desk::new();
        let outbox = desk.open();
        let answers = desk.answers("https://app.example/?secret");
        let sent = delivery("https://app.example/?secret", "From=%2B15550100");
        outbox.store("hook", &[0xab; 32], &sent).unwrap();
        desk.given();
        let has = |sought: &[u8]| desk.bytes().windows(sought.len()).any(|bytes| bytes == sought);
        assert!(has(b"hook"), "the test reads the right files");
        for sought in [b"15550100".as_slice(), b"secret", b"signature", &[0xab; 16]] {
            assert!(!has(sought), "{sought:?}");
        }
        answers.send(answer(200)).unwrap();
    }

    #[test]
    fn another_key_another_file_and_a_second_gate_are_refused() {
        let desk = Desk::new();
        let outbox = desk.open();
        let problem = |opened: Result<Outbox, OutboxError>| opened.err().unwrap().to_string();
        let key = OutboxSettings::new([7; 32]);
        assert!(problem(desk.open_with(&key)).contains("another process"));
        drop(outbox);
        assert!(problem(desk.open_with(&OutboxSettings::new([8; 32]))).contains("another key"));
        let path = desk.folder.path().join("outbox");
        rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
        assert!(problem(desk.open_with(&key)).contains("version"));
        let courier = Arc::clone(&desk.courier) as Arc<dyn Courier>;
        let nowhere =
            Outbox::open(&desk.folder.path().join("no/x"), &key, Clock::system(), courier);
        assert!(problem(nowhere).contains("folder"));
    }

    #[test]
    fn a_damaged_row_dies_alone() {
        let desk = Desk::new();
        let outbox = desk.open();
        let answers = desk.answers("a");
        outbox.store("hook", &[1; 32], &delivery("a", "")).unwrap();
        desk.given();
        answers.send(answer(500)).unwrap();
        settled(&outbox);
        drop(outbox);
        let path = desk.folder.path().join("outbox");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute("UPDATE delivery SET sealed = zeroblob(40)", []).unwrap();
        drop(connection);
        let outbox = desk.open();
        desk.pass(&outbox, Duration::from_secs(2));
        until(&outbox, |stats| stats.dead == 1);
        answers.send(answer(200)).unwrap();
        outbox.store("hook", &[2; 32], &delivery("a", "")).unwrap();
        until(&outbox, |stats| stats.waiting == 0);
    }

    #[test]
    fn one_more_than_may_wait_is_refused() {
        let desk = Desk::new();
        let outbox = desk.open();
        outbox.shared.lock().waiting = WAITING_MAX;
        let full = outbox.store("hook", &[1; 32], &delivery("a", ""));
        assert!(matches!(full, Err(OutboxError::Full { waiting: WAITING_MAX })));
        outbox.shared.lock().waiting = 0;
        assert_eq!(outbox.shared.lock().rows.count().unwrap(), (0, 0));
    }

    #[test]
    fn a_clock_that_was_put_back_stops_nothing() {
        let desk = Desk::new();
        let outbox = desk.open();
        let answers = desk.answers("a");
        outbox.store("hook", &[1; 32], &delivery("a", "")).unwrap();
        desk.given();
        answers.send(answer(500)).unwrap();
        settled(&outbox);
        desk.clock.set("2020-01-01T00:00:00Z".parse().unwrap());
        outbox.wake();
        desk.given();
        answers.send(answer(200)).unwrap();
        until(&outbox, |stats| stats.waiting == 0);
    }
}
