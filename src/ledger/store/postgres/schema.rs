//! The tables of the PostgreSQL store, and how a database comes to have them.
//!
//! Each script runs once, in a transaction of its own, under a lock: gates that start at the same
//! time do not collide.

use super::super::StoreError;
use super::link::Link;

/// Every change to the tables, in order. A script that was released never changes.
const MIGRATIONS: &[(&str, &str)] =
    &[("tables", include_str!("tables.sql")), ("statements", include_str!("statements.sql"))];

/// Who may do what, as SQL.
pub(super) const ROLES: &str = include_str!("roles.sql");

/// The two-part advisory lock of the migration under way. Locks of writers have one part.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(1852271717, 1)";

/// Refuses tables that this program does not know.
pub(super) fn check(link: &mut Link) -> Result<(), StoreError> {
    let (version, known) = (version(link)?, MIGRATIONS.len());
    if version == known {
        return Ok(());
    }
    Err(link.unusable(match version {
        0 => "it has no tables yet; run `noticegate ledger migrate` with a role that may make them"
            .to_owned(),
        _ if version < known => format!(
            "its tables are of version {version} and this program needs {known}; run `noticegate \
             ledger migrate` with a role that owns them"
        ),
        _ => newer(version),
    }))
}

/// Brings the tables up to date; returns the names of the scripts that ran. Needs no rights if
/// none has to.
pub(super) fn migrate(link: &mut Link) -> Result<Vec<&'static str>, StoreError> {
    link.be_patient()?;
    let mut applied = Vec::new();
    while let Some(name) = step(link)? {
        applied.push(name);
    }
    Ok(applied)
}

fn step(link: &mut Link) -> Result<Option<&'static str>, StoreError> {
    let version_before = version(link)?;
    if version_before > MIGRATIONS.len() {
        return Err(link.unusable(newer(version_before)));
    }
    if version_before == MIGRATIONS.len() {
        return Ok(None);
    }
    link.script(BEGIN)?;
    // Another gate may have done it while this one waited.
    let version = version(link)?;
    let Some((name, script)) = MIGRATIONS.get(version) else {
        link.script("ROLLBACK")?;
        return Ok(None);
    };
    link.script(script)?;
    let number = i32::try_from(version).unwrap_or(i32::MAX).saturating_add(1);
    let record = "INSERT INTO noticegate.migration (number, name) VALUES ($1, $2)";
    link.execute(record, &[&number, name])?;
    link.script("COMMIT")?;
    Ok(Some(name))
}

/// How many scripts have run.
fn version(link: &mut Link) -> Result<usize, StoreError> {
    let exists = "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                  WHERE nspname = 'noticegate' AND relname = 'migration')";
    if link.value::<bool>(exists, &[])? != Some(true) {
        return Ok(0);
    }
    let newest = link.value::<i32>("SELECT max(number) FROM noticegate.migration", &[])?;
    Ok(newest.and_then(|number| usize::try_from(number).ok()).unwrap_or(0))
}

fn newer(version: usize) -> String {
    let known = MIGRATIONS.len();
    format!(
        "its tables are of version {version} and this program knows {known}; use the newer \
         noticegate that made them"
    )
}
