//! A sweep beside a world's gate, by the world's clock.

use std::path::Path;
use std::sync::Arc;

use noticegate::config::Config;
use noticegate::facts::{FactStore, Statement};
use noticegate::folder;
use noticegate::ledger::{Clerk, RegisterReader};
use noticegate::policy::Policies;
use noticegate::sweep::{Found, Order, Step, Sweep, Totals};
use noticegate::upstream::{Accounts, Decryption, Upstream};
use serde_json::Value;

use super::policies::one_notice;
use super::world::World;

/// What a sweep did.
#[derive(Debug)]
pub struct Swept {
    pub totals: Result<Totals, String>,
    pub found: Vec<Found>,
}

impl Swept {
    /// How many had a fate.
    pub fn count(&self, fate: &str) -> u64 {
        self.totals.as_ref().unwrap().fates.get(fate).copied().unwrap_or(0)
    }

    /// What became of the thing with this SID.
    pub fn of(&self, sid: &str) -> &Found {
        let is = |found: &&Found| {
            found.media.and_then(|media| media.sid()).is_some_and(|own| own.to_string() == sid)
        };
        self.found.iter().find(is).unwrap_or_else(|| panic!("nothing of {sid} in {self:?}"))
    }
}

/// An order to delete.
pub fn deleting() -> Order {
    Order { delete: true, actor: "keeper".to_owned(), ..Order::default() }
}

/// An order to look.
pub fn looking() -> Order {
    Order { actor: "keeper".to_owned(), ..Order::default() }
}

/// Sweeps as the command does.
pub async fn sweep(world: &World, order: Order) -> Swept {
    sweep_with(world, order, |_| {}).await
}

/// The same, with something done between the look at the lists and the first deletion of each.
pub async fn sweep_with(
    world: &World,
    order: Order,
    between: impl Fn(u64) + Send + 'static,
) -> Swept {
    let (path, clock) = (world.folder.join("noticegate.toml"), world.clock.clone());
    let run = move || {
        let config = Config::load(&path).unwrap();
        let policies = Policies::load(&folder::read(&config.policies.directory).unwrap()).unwrap();
        let (_go_on, stop) = tokio::sync::watch::channel(false);
        let decryption = Decryption::new(&config.decryption, &config.limits);
        let sweep = Sweep {
            clock: &clock,
            policies: Arc::new(policies),
            accounts: &Accounts::new(&config.accounts).unwrap(),
            upstream: Upstream::new(config.upstream.clone(), &config.limits, decryption),
            facts: &FactStore::new(&config.facts, clock.clone()),
            register: RegisterReader::open(&config.ledger).unwrap(),
            stop,
            config: &config,
        };
        let mut found = Vec::new();
        let totals = sweep.run(&order, &mut |step| match step {
            Step::Found(one) => found.push(one.clone()),
            Step::Looked(looked) => between(looked),
        });
        Swept { totals: totals.map_err(|error| error.to_string()), found }
    };
    // Apart from this test's runtime, as the command runs it.
    let apart = move || std::thread::spawn(run).join().unwrap();
    tokio::task::spawn_blocking(apart).await.unwrap()
}

/// States something as a command line does.
pub fn state(config: &Path, clock: &noticegate::clock::Clock, statement: Value) {
    let config = Config::load(config).unwrap();
    let statement: Statement = serde_json::from_value(statement).unwrap();
    let mut clerk = Clerk::open(&config.ledger, clock.clone(), "keeper".to_owned()).unwrap();
    clerk.state(&[statement]).unwrap();
}

/// A notice by which everything goes 90 days after it was said.
pub fn ninety_days(folder: &Path) {
    let all = "artefacts = [\"audio\", \"video\", \"message-media\", \"transcript\", \"analysis\"]";
    let listen = format!(
        "effect = \"permit\"\nroles = [\"quality-analyst\"]\npurposes = [\"quality-monitoring\"]\n{all}"
    );
    let delete = format!(
        "effect = \"permit\"\nroles = [\"retention-operator\"]\npurposes = [\"record-keeping\"]\n\
         actions = [\"delete\"]\n{all}"
    );
    let keep = "effect = \"keep\"\nperiod = \"90 days\"";
    one_notice(folder, &[("listening", &listen), ("deletion", &delete), ("keep", keep)]);
}
