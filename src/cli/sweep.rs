//! `noticegate sweep`: deletes at Twilio what must go, or says what that would be.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::ledger::{actor, failed, load};
use super::policies::PolicyFolder;
use super::{ConfigPath, Exit, Format, complain, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::FactStore;
use crate::ledger::RegisterReader;
use crate::media::AccountSid;
use crate::policy::{Citation, Ground};
use crate::sweep::{self, Found, Order, Step, SweepError, Totals};
use crate::upstream::{Accounts, Decryption, Upstream};

/// Delete at Twilio the recordings whose time is over, with what was made from them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate sweep\n  noticegate sweep --delete\n  \
noticegate sweep --delete --account AC00000000000000000000000000000001 --limit 100\n\n\
Without --delete it only tells what would be deleted. It can be ended at any moment: run again, it \n\
goes on. It exits with 1 if anything failed; what a hold keeps is no failure.")]
pub(super) struct Sweep {
    #[command(flatten)]
    path: ConfigPath,
    /// Do it
    #[arg(long)]
    delete: bool,
    /// Only this account
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// No more than so many recordings
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Who does it; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Sweep {
    pub(super) fn run(&self) -> Exit {
        match self.sweep() {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn sweep(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let order = Order {
            delete: self.delete,
            account: self.account,
            limit: self.limit,
            actor: actor(self.by.as_ref()),
        };
        let bar = bar();
        let done = run(&config, &order, &mut |step| match step {
            Step::Looked(looked) => bar.set_position(looked),
            Step::Found(found) => bar.suspend(|| tell(found, self.format)),
        })?;
        bar.finish_and_clear();
        let totals = done.map_err(|error| match error {
            SweepError::UnknownWord { .. } | SweepError::UnknownAccount(_) => {
                complain(&error);
                Exit::Invalid
            }
            error => failed(&error),
        })?;
        match self.format {
            Format::Human => say(human(&totals, self.delete)),
            Format::Json => say(summary(&totals)),
        }
        Ok(if totals.failures > 0 { Exit::Failed } else { Exit::Done })
    }
}

fn run(
    config: &Config,
    order: &Order,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Result<Totals, SweepError>, Exit> {
    let clock = Clock::system();
    let policies = PolicyFolder { policies: config.policies.directory.clone() }.load()?;
    let accounts = Accounts::new(&config.accounts).map_err(|error| failed(&error))?;
    let register = RegisterReader::open(&config.ledger).map_err(|error| failed(&error))?;
    let decryption = Decryption::new(&config.decryption, &config.limits);
    // Held until the end: who drops it stops the sweep.
    let (_go_on, stop) = watch::channel(false);
    let sweep = sweep::Sweep {
        config,
        clock: &clock,
        policies: Arc::new(policies),
        accounts: &accounts,
        upstream: Upstream::new(config.upstream.clone(), &config.limits, decryption),
        facts: &FactStore::new(&config.facts, clock.clone()),
        register,
        stop,
    };
    Ok(sweep.run(order, tell))
}

/// How far it is, on standard error, if that is a terminal. Nobody knows how many there are.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix} {human_pos} ({per_sec})");
    let bar = ProgressBar::no_length().with_prefix("Looked at");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn tell(found: &Found, format: Format) {
    let name = found.media.as_ref().map_or_else(|| found.account.to_string(), ToString::to_string);
    if format == Format::Json {
        return say(as_json(found));
    }
    let due = found.due.map(|due| format!(", due since {}", due.strftime("%F")));
    let by = found.clauses.first().map(|by| format!(" by {}", clause(by)));
    say(format_args!(
        "{name}: {}{}{}",
        found.fate,
        due.unwrap_or_default(),
        by.unwrap_or_default()
    ));
    for (part, fate) in &found.parts {
        say(format_args!("  {part}: {fate}"));
    }
}

fn clause(citation: &Citation) -> String {
    match &citation.ground {
        Ground::Clause { clause, notice, .. } => format!("{notice}#{clause}"),
        Ground::Guardrail { .. } => citation.policy.clone(),
    }
}

fn as_json(found: &Found) -> Value {
    let clauses = found.clauses.iter().map(|citation| match &citation.ground {
        Ground::Clause { clause, quote, notice } => {
            json!({ "clause": clause, "notice": notice, "quote": quote })
        }
        Ground::Guardrail { reason } => json!({ "guardrail": citation.policy, "reason": reason }),
    });
    let clauses: Vec<Value> = clauses.collect();
    let parts = found.parts.iter().map(|(part, fate)| {
        json!({ "media": part.to_string(), "fate": fate.as_str(), "why": fate.to_string() })
    });
    let parts: Vec<Value> = parts.collect();
    json!({
        "account": found.account,
        "media": found.media.map(|media| media.to_string()),
        "sid": found.media.and_then(|media| media.sid()),
        "due": found.due,
        "clauses": clauses,
        "fate": found.fate.as_str(),
        "why": found.fate.to_string(),
        "parts": parts,
    })
}

fn summary(totals: &Totals) -> Value {
    let Totals { looked, fates, by_clause, oldest, failures, resolved } = totals;
    json!({ "summary": {
        "looked": looked,
        "fates": fates,
        "by_clause": by_clause,
        "oldest_due": oldest,
        "failures": failures,
        "resolved": resolved,
    }})
}

fn human(totals: &Totals, deleted: bool) -> String {
    let Totals { looked, fates, by_clause, oldest, resolved, .. } = totals;
    let list = |of: Vec<String>| if of.is_empty() { "nothing".to_owned() } else { of.join(", ") };
    let fates = fates.iter().map(|(fate, count)| format!("{count} {fate}")).collect();
    let mut text = format!("Looked at {looked}: {}.", list(fates));
    if let Some(oldest) = oldest {
        let clauses = by_clause.iter().map(|(clause, count)| format!("{count} by {clause}"));
        let clauses = list(clauses.collect());
        text.push_str(&format!(" Due: {clauses}; the oldest since {}.", oldest.strftime("%F")));
    }
    if *resolved > 0 {
        text.push_str(&format!(
            " Looked up {resolved} deletions that were left without an answer."
        ));
    }
    if !deleted && oldest.is_some() {
        text.push_str(" Add --delete to delete what is due.");
    }
    text
}
