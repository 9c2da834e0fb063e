//! What is known of a call or recording: what Twilio says of it, and everything that rests on it.

use std::sync::Arc;

use super::{archive, failed, wrong};
use crate::cli::Exit;
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::{FactStore, Facts};
use crate::ledger::{RegisterReader, Told};
use crate::media::{AccountSid, Artefact, MediaSid, MetadataRef};
use crate::policy::Policies;
use crate::upstream::{Accounts, Decryption, Metadata, Upstream};

/// What is known, and the statements it rests on.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) facts: Arc<Facts>,
    pub(super) told: Vec<Told>,
}

/// Asks Twilio for a call or recording, and the ledger for what was stated of it and of everybody who
/// was on it.
pub(super) fn look_up(
    config: &Config,
    policies: &Policies,
    sid: MediaSid,
    account: Option<AccountSid>,
) -> Result<Known, Exit> {
    let accounts = Accounts::new(&config.accounts).map_err(|error| failed(&error))?;
    let account = match (account, accounts.all().as_slice()) {
        (Some(account), _) => account,
        (None, [only]) => *only,
        (None, _) => return Err(wrong("several accounts are served: name one with --account")),
    };
    let site = accounts.of(account);
    let site = site.ok_or_else(|| wrong(format!("account {account} is not configured")))?;
    let about = MetadataRef::named(account, sid).ok_or_else(|| {
        wrong(format!(
            "nothing is known of `{sid}` itself; name a recording or a call, or add --stated"
        ))
    })?;
    let decryption = Decryption::new(&config.decryption, &config.limits);
    let upstream = Upstream::new(config.upstream.clone(), &config.limits, decryption);
    let register = RegisterReader::open(&config.ledger).map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let store = FactStore::new(&config.facts, Clock::system());
    let source = Metadata { upstream: &upstream, site: &site, known: None };
    let reading = policies.reading();
    let sources = (&source, &register);
    let about = about.even_deleted();
    let gathered = store.gather(about, Artefact::Audio, None, &reading, sources);
    let facts = runtime.block_on(gathered).map_err(|error| failed(&error))?;
    let told = archive(config)?.named(&facts.basis.names).map_err(|error| failed(&error))?;
    Ok(Known { facts, told })
}
