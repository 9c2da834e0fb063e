//! One connection to PostgreSQL, on which no call can hang.
//!
//! The server ends what takes too long, and says so. Should the server itself be stuck (its disk,
//! its host), the call ends here, and the connection with it: what was under way is then unknown,
//! and [`claim`](super::super::Store::claim) on a new connection settles it.
//!
//! Locks belong to the session, so there must be no pooler in between that shares sessions.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, Row, Statement};

use super::super::StoreError;
use super::target::Target;

/// LIMIT: how long a statement may take on the server. An append takes milliseconds; a reader's
/// page of entries less than a second.
const STATEMENT: Duration = Duration::from_secs(5);

/// LIMIT: how long a statement may wait for a lock, so also for an earlier connection of the same
/// writer to end.
const LOCK: Duration = Duration::from_secs(2);

/// LIMIT: how long a call may take, connecting included. More than the server allows a statement,
/// so that the server's own account of what went wrong arrives first.
const CALL: Duration = Duration::from_secs(8);

/// LIMIT: as [`STATEMENT`] and [`LOCK`], for a migration that may rewrite a table, or wait for
/// another gate that does.
const MIGRATION: Duration = Duration::from_secs(600);

/// LIMIT: 13, the oldest release that was tried. All that is used has been there since 12.
const SERVER_VERSION_MIN: i32 = 13_00_00;

/// Values for the placeholders of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    name: String,
    call: Duration,
    client: Client,
    /// Moves the bytes whenever the runtime runs.
    driver: tokio::task::JoinHandle<()>,
    runtime: Runtime,
    prepared: HashMap<&'static str, Statement>,
}

impl Link {
    /// Connects, and refuses a server that would lose what it acknowledged.
    pub(super) fn open(url: &str, ca_file: Option<&Path>) -> Result<Self, StoreError> {
        let Target { name, config, tls } = Target::parse(url, ca_file)?;
        let unusable = |problem| StoreError::Unusable { name: name.clone(), problem };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unusable(error.to_string()))?;
        let connected = async { tokio::time::timeout(CALL, config.connect(tls)).await };
        let Ok(connected) = runtime.block_on(connected) else {
            // A name server that does not answer keeps a thread busy for longer.
            runtime.shutdown_background();
            return Err(unusable(late(CALL)));
        };
        let (client, connection) =
            connected.map_err(|source| StoreError::Postgres { name: name.clone(), source })?;
        let driver = runtime.spawn(async move {
            // Its error reaches whoever waits for an answer.
            let _ = connection.await;
        });
        let prepared = HashMap::new();
        let mut link = Self { name, call: CALL, client, driver, runtime, prepared };
        link.set_up()?;
        Ok(link)
    }

    /// The database's host and name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// False once the connection has ended.
    pub(super) fn is_open(&self) -> bool {
        // The end of a connection is noticed only while the runtime runs: in the first turn it
        // looks at the socket, in the second the driver reads from it.
        self.runtime.block_on(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        });
        !self.client.is_closed()
    }

    /// Allows as much time as a migration may take.
    pub(super) fn be_patient(&mut self) -> Result<(), StoreError> {
        self.call = MIGRATION.saturating_add(CALL);
        self.limit(MIGRATION, MIGRATION)
    }

    /// The rows that a statement returns.
    pub(super) fn rows(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(sql)?;
        self.wait(self.client.query(&statement, values))
    }

    /// The first column of the first row; `None` if there is no row, or a null.
    pub(super) fn value<T: FromSqlOwned>(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Option<T>, StoreError> {
        let rows = self.rows(sql, values)?;
        rows.first().map_or(Ok(None), |row| self.column(row, 0))
    }

    /// How many rows a statement has touched.
    pub(super) fn execute(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<u64, StoreError> {
        let statement = self.prepare(sql)?;
        self.wait(self.client.execute(&statement, values))
    }

    /// Runs statements that return nothing.
    pub(super) fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.wait(self.client.batch_execute(sql))
    }

    /// A column of a row.
    pub(super) fn column<T: FromSqlOwned>(&self, row: &Row, at: usize) -> Result<T, StoreError> {
        row.try_get(at).map_err(|source| self.failed(source))
    }

    /// A column that is a place, a size or a number.
    pub(super) fn number(&self, row: &Row, at: usize) -> Result<u64, StoreError> {
        let number: i64 = self.column(row, at)?;
        u64::try_from(number).map_err(|_| {
            self.unusable(format!(
                "it holds {number} where only 0 and more can be; somebody has changed it"
            ))
        })
    }

    pub(super) fn unusable(&self, problem: String) -> StoreError {
        StoreError::Unusable { name: self.name.clone(), problem }
    }

    fn failed(&self, source: tokio_postgres::Error) -> StoreError {
        match source.as_db_error() {
            Some(error) if *error.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
                self.unusable(format!(
                    "{}; use a role that may: the owner of the tables to migrate, or one that was \
                     granted `noticegate_reader`, `noticegate_gate` or `noticegate_clerk`",
                    error.message()
                ))
            }
            Some(error) if *error.code() == SqlState::LOCK_NOT_AVAILABLE => self.unusable(format!(
                "{}; another connection holds what this one needs and does not end",
                error.message()
            )),
            _ => StoreError::Postgres { name: self.name.clone(), source },
        }
    }

    fn prepare(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(sql))?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        // The timer can only be made where the runtime runs.
        let answer = async { tokio::time::timeout(self.call, answer).await };
        let Ok(answer) = self.runtime.block_on(answer) else {
            self.driver.abort();
            return Err(self.unusable(late(self.call)));
        };
        answer.map_err(|source| self.failed(source))
    }

    fn set_up(&mut self) -> Result<(), StoreError> {
        // Nothing that somebody may put into another schema stands in for what is meant.
        self.script(
            "SET search_path = pg_catalog; SET default_transaction_isolation = 'read committed'",
        )?;
        self.limit(STATEMENT, LOCK)?;
        let level: Option<String> =
            self.value("SELECT current_setting('synchronous_commit')", &[])?;
        if matches!(level.as_deref(), Some("off" | "local")) {
            self.script("SET synchronous_commit = on")?;
        }
        let rows = self.rows(
            "SELECT current_setting('server_version_num')::integer, current_setting('fsync'),
                 current_setting('full_page_writes'), current_setting('synchronous_commit'),
                 pg_is_in_recovery()",
            &[],
        )?;
        let row = rows.first().ok_or_else(|| self.unusable("it answers nothing".to_owned()))?;
        let server = Server {
            version: self.column(row, 0)?,
            fsync: self.column(row, 1)?,
            full_page_writes: self.column(row, 2)?,
            synchronous_commit: self.column(row, 3)?,
            is_standby: self.column(row, 4)?,
        };
        server.problem().map_or(Ok(()), |problem| Err(self.unusable(problem)))
    }

    fn limit(&mut self, statement: Duration, lock: Duration) -> Result<(), StoreError> {
        let (statement, lock) = (statement.as_millis(), lock.as_millis());
        self.script(&format!(
            "SET statement_timeout = {statement}; SET lock_timeout = {lock};
             SET idle_in_transaction_session_timeout = {statement};
             SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 2;
             SET tcp_keepalives_count = 3; SET tcp_user_timeout = 8000"
        ))
    }
}

/// What decides whether a server keeps what it acknowledged.
struct Server {
    version: i32,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    is_standby: bool,
}

impl Server {
    fn problem(&self) -> Option<String> {
        if self.version < SERVER_VERSION_MIN {
            return Some(format!("it runs PostgreSQL {}; 13 is needed", self.version / 10_000));
        }
        if self.is_standby {
            return Some("it is a standby; name the primary".to_owned());
        }
        let off = [("fsync", &self.fsync), ("full_page_writes", &self.full_page_writes)];
        if let Some((setting, value)) = off.into_iter().find(|(_, value)| *value != "on") {
            return Some(format!(
                "`{setting}` is `{value}`: it would lose entries when the power fails; set it to \
                 `on`"
            ));
        }
        let level = self.synchronous_commit.as_str();
        (!matches!(level, "on" | "remote_write" | "remote_apply"))
            .then(|| format!("`synchronous_commit` is `{level}` and stays so; set it to `on`"))
    }
}

fn late(limit: Duration) -> String {
    format!("it has not answered within {} s; the connection was given up", limit.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Server {
        Server {
            version: 15_00_18,
            fsync: "on".to_owned(),
            full_page_writes: "on".to_owned(),
            synchronous_commit: "on".to_owned(),
            is_standby: false,
        }
    }

    #[test]
    fn a_server_that_keeps_what_it_acknowledges_is_taken() {
        assert_eq!(sound().problem(), None);
        for level in ["remote_write", "remote_apply"] {
            assert_eq!(Server { synchronous_commit: level.to_owned(), ..sound() }.problem(), None);
        }
    }

    #[test]
    fn a_server_that_may_lose_entries_is_refused_and_told_why() {
        let cases = [
            (Server { version: 12_00_22, ..sound() }, "PostgreSQL 12"),
            (Server { is_standby: true, ..sound() }, "standby"),
            (Server { fsync: "off".to_owned(), ..sound() }, "`fsync`"),
            (Server { full_page_writes: "off".to_owned(), ..sound() }, "`full_page_writes`"),
            (Server { synchronous_commit: "local".to_owned(), ..sound() }, "`synchronous_commit`"),
        ];
        for (server, word) in cases {
            assert!(server.problem().unwrap().contains(word));
        }
    }
}
