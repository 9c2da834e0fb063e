//! `noticegate client`: makes, lists, rotates, disables and removes machine clients.
//!
//! A secret is made here, told once, and kept by nobody: the clients file gets its digest. Each
//! command reads the file anew under a lock, changes one client, and checks the whole as `serve`
//! would before it is written (`edit.rs`).

mod edit;

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;
use toml_edit::{Array, InlineTable, Table, value};

use super::{ConfigPath, Exit, Format, complain, say};
use crate::clock::Clock;
use crate::config::Config;
use crate::folder;
use crate::identity::{Client as Known, Clients, Digest, SECRETS_MAX, is_id};
use crate::media::AccountSid;
use crate::policy::Policies;
use crate::purpose::Purpose;
use edit::Editor;

/// Make, list, rotate, disable and remove machine clients: programs without a token
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate client list")]
pub(super) struct Client {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Create(Box<Create>),
    List(List),
    Rotate(Rotate),
    /// Refuse a client from its next request on
    #[command(after_help = "Example:\n  noticegate client disable nightly-export")]
    Disable(One),
    /// Serve a disabled client again
    #[command(after_help = "Example:\n  noticegate client enable nightly-export")]
    Enable(One),
    /// Take a client out of the file
    #[command(after_help = "Example:\n  noticegate client remove nightly-export\n\n\
Its entries in the ledger stay. To refuse it for a while, use `client disable`.")]
    Remove(One),
}

/// Make a client and tell its secret, once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate client create --name 'Nightly export' --role quality-analyst \\\n    \
--purpose quality-monitoring\n  \
noticegate client create --sdk --name 'Call review app' --role team-lead\n  \
noticegate client create --name Archive --role privacy-officer --no-secret \\\n    \
--certificate dns:archive.example.com\n\n\
The secret goes to standard output and nowhere else. Send the gate SIGHUP to load the file.")]
struct Create {
    #[command(flatten)]
    path: ConfigPath,
    /// What people call it
    #[arg(long)]
    name: String,
    /// A role of the policies; may be given several times
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// Its id: 1 to 64 letters, digits, dots, underscores and hyphens; made from the name, if it
    /// is left out
    #[arg(long)]
    id: Option<String>,
    /// Make an id that Twilio's SDKs take for an account's: AC and 32 hex digits
    #[arg(long, conflicts_with = "id")]
    sdk: bool,
    /// The purpose when a request names none
    #[arg(long = "purpose", value_name = "PURPOSE")]
    default_purpose: Option<Purpose>,
    /// A purpose that requests may name; may be given several times; any, if it is left out
    #[arg(long = "allow-purpose", value_name = "PURPOSE")]
    purposes: Vec<Purpose>,
    /// The account that is meant where a path names none
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// The name that its certificate must carry: dns:, uri:, email: or cn: and the name
    #[arg(long, value_name = "NAME")]
    certificate: Option<String>,
    /// Make no secret: the certificate alone is proof
    #[arg(long, requires = "certificate")]
    no_secret: bool,
    /// From then on it is refused, such as 2027-06-30T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<Timestamp>,
    /// How often it may ask
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=10_000))]
    requests_per_second: Option<i64>,
    /// How often at once, after a silence; as often as in a second, if it is left out
    #[arg(long, value_name = "N", requires = "requests_per_second",
          value_parser = clap::value_parser!(i64).range(1..=10_000))]
    burst: Option<i64>,
}

/// List the clients, without secrets
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  noticegate client list\n  noticegate client list --format json"
)]
struct List {
    #[command(flatten)]
    path: ConfigPath,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Give a client a new secret beside the old one; when the new one is in use, drop the old one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate client rotate nightly-export            # tells the new secret, both hold\n  \
noticegate client rotate nightly-export --finish   # only the new one holds")]
struct Rotate {
    #[command(flatten)]
    one: One,
    /// Drop the older secret
    #[arg(long, visible_alias = "drop-old")]
    finish: bool,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The client's id
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    path: ConfigPath,
}

type Failure = Box<dyn std::error::Error>;

impl Client {
    pub(super) fn run(&self) -> Exit {
        let ran = match &self.command {
            Command::Create(command) => command.create(),
            Command::List(command) => command.list(),
            Command::Rotate(command) => command.rotate(),
            Command::Disable(one) => one.set_enabled(false),
            Command::Enable(one) => one.set_enabled(true),
            Command::Remove(one) => one.remove(),
        };
        match ran {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&*error);
                Exit::Invalid
            }
        }
    }
}

/// Where the clients are, and what they may be.
struct Place {
    config: Config,
    file: PathBuf,
    policies: Policies,
}

impl Place {
    fn of(path: &ConfigPath) -> Result<Self, Failure> {
        let config = Config::load(&path.config)?;
        let clients = config.clients.as_ref().ok_or_else(|| {
            format!(
                "`{}` names no clients file; add a table [clients] with `file = \"clients.toml\"`",
                path.config.display()
            )
        })?;
        let file = clients.file.clone();
        let policies = Policies::load(&folder::read(&config.policies.directory)?)?;
        Ok(Self { config, file, policies })
    }

    fn edit(&self) -> Result<Editor, Failure> {
        Ok(Editor::open(&self.file)?)
    }

    fn save(&self, editor: &Editor) -> Result<(), Failure> {
        // What `serve` would refuse is never written.
        let text = editor.text();
        let clients = Clients::parse(&text, &self.file, self.policies.roles())?;
        let named = self.config.clients.as_ref();
        if clients.want_certificates() && named.is_some_and(|clients| clients.ca_file.is_none()) {
            let remedy = "a client's `certificate` needs configuration key `clients.ca_file`: who \
                          may sign it";
            return Err(remedy.into());
        }
        Ok(editor.write(&text)?)
    }
}

impl Create {
    fn create(&self) -> Result<(), Failure> {
        let place = Place::of(&self.path)?;
        let mut editor = place.edit()?;
        let id = self.id(&mut editor)?;
        let secret = if self.no_secret { None } else { Some(new_secret()?) };
        let table = self.table(&id, secret.as_deref());
        editor.add(table)?;
        place.save(&editor)?;
        self.tell(&place, &id, secret.as_deref());
        Ok(())
    }

    fn id(&self, editor: &mut Editor) -> Result<String, Failure> {
        let id = match (&self.id, self.sdk) {
            (Some(id), _) => id.clone(),
            (None, true) => {
                let mut random = [0u8; 16];
                aws_lc_rs::rand::fill(&mut random).map_err(|_| "there is no randomness")?;
                format!("AC{:032x}", u128::from_be_bytes(random))
            }
            (None, false) => {
                let short = short_id(&self.name);
                let numbered = (2..).map(|number| format!("{short}-{number}"));
                let mut ids = std::iter::once(short.clone()).chain(numbered);
                ids.find(|id| editor.find(id).is_err()).unwrap_or(short)
            }
        };
        if !is_id(&id) {
            let problem = "an id is 1 to 64 letters, digits, dots, underscores and hyphens";
            return Err(problem.into());
        }
        match editor.find(&id) {
            Ok(_) => Err(format!(
                "there is a client `{id}` already; `client rotate` gives it a \
                                  new secret"
            )
            .into()),
            Err(_) => Ok(id),
        }
    }

    fn table(&self, id: &str, secret: Option<&str>) -> Table {
        let mut table = Table::new();
        let mut put = |key: &str, item: Option<toml_edit::Value>| {
            if let Some(item) = item {
                table.insert(key, toml_edit::Item::Value(item));
            }
        };
        let words = |words: Vec<&str>| words.into_iter().collect::<Array>().into();
        put("id", Some(id.into()));
        put("name", Some(self.name.as_str().into()));
        put("roles", Some(words(self.roles.iter().map(String::as_str).collect())));
        put("default_purpose", self.default_purpose.as_ref().map(|p| p.as_str().into()));
        let purposes: Vec<&str> = self.purposes.iter().map(Purpose::as_str).collect();
        put("purposes", Some(purposes).filter(|p| !p.is_empty()).map(words));
        put("account", self.account.map(|account| account.to_string().into()));
        put("certificate", self.certificate.as_deref().map(Into::into));
        put("expires", self.expires.map(|expires| expires.to_string().into()));
        put("requests_per_second", self.requests_per_second.map(Into::into));
        put("burst", self.burst.map(Into::into));
        put("secrets", secret.map(|secret| Array::from_iter([hashed(secret)]).into()));
        table
    }

    fn tell(&self, place: &Place, id: &str, secret: Option<&str>) {
        let file = place.file.display();
        let gate = gate(&place.config);
        let account = self.account.or_else(|| place.config.accounts.first().map(|a| a.sid));
        let account = account.map_or_else(|| "AC…".to_owned(), |account| account.to_string());
        let path = format!("{gate}/2010-04-01/Accounts/{account}/Recordings/RE….wav");
        say(format_args!("id      {id}"));
        let Some(secret) = secret else {
            say(format_args!(
                "\nIn `{file}`. It proves itself by its certificate:\n\n  \
                 curl --cert client.pem --key client.key {path}"
            ));
            return;
        };
        say(format_args!(
            "secret  {secret}\n\nKeep the secret now: it is told this once, and `{file}` holds \
             only its digest.\n\n  curl -u '{id}:{secret}' {path}"
        ));
        if id.starts_with("AC") || id.starts_with("SK") {
            say(format_args!(
                "\nPython (the same for `client.video` and `client.intelligence`):\n  \
                 client = Client(\"{id}\", \"{secret}\", \"{account}\")\n  \
                 client.api.base_url = \"{gate}\"\n\n\
                 Node (the same for `client.video` and `client.intelligence`):\n  \
                 const client = twilio(\"{id}\", \"{secret}\", {{ accountSid: \"{account}\" }});\n  \
                 client.api.baseUrl = \"{gate}\";"
            ));
        } else {
            say("\nTwilio's SDKs want an id that looks like an account's: `client create --sdk`.");
        }
    }
}

impl List {
    fn list(&self) -> Result<(), Failure> {
        let place = Place::of(&self.path)?;
        let now = Clock::system().now();
        let clients = Clients::load(&place.file, place.policies.roles())?;
        for client in clients.all() {
            match self.format {
                Format::Human => say(human(client, now)),
                Format::Json => say(machine(client, now)),
            }
        }
        Ok(())
    }
}

fn state(client: &Known, now: Timestamp) -> &'static str {
    match client.expires {
        _ if !client.enabled => "disabled",
        Some(expires) if expires <= now => "expired",
        _ => "enabled",
    }
}

fn human(client: &Known, now: Timestamp) -> String {
    let roles: Vec<&str> = client.roles.iter().map(|role| role.as_str()).collect();
    let mut out = format!(
        "{}  {}  {}\n  roles {}",
        client.id,
        state(client, now),
        client.name,
        roles.join(", ")
    );
    let purpose = client.default_purpose.as_ref().map(|purpose| format!("purpose {purpose}"));
    let only = client.purposes.as_ref().map(|purposes| {
        let purposes: Vec<&str> = purposes.iter().map(Purpose::as_str).collect();
        format!("only for {}", purposes.join(", "))
    });
    let account = client.account.map(|account| format!("account {account}"));
    let certificate = client.certificate.as_ref().map(|name| format!("certificate {name}"));
    let expires = client.expires.map(|expires| format!("expires {expires}"));
    let rate = client.rate;
    let rate = rate.map(|r| format!("{} requests a second, {} at once", r.per_second, r.burst));
    let secrets = client
        .secrets
        .iter()
        .map(|secret| Some(format!("secret {} of {}", secret.hash.short(), secret.created)));
    for line in
        [purpose, only, account, certificate, expires, rate].into_iter().chain(secrets).flatten()
    {
        out.push_str("\n  ");
        out.push_str(&line);
    }
    out
}

fn machine(client: &Known, now: Timestamp) -> serde_json::Value {
    let purposes = client.purposes.as_ref();
    json!({
        "id": client.id,
        "name": client.name,
        "state": state(client, now),
        "roles": client.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        "default_purpose": client.default_purpose.as_ref().map(Purpose::as_str),
        "purposes": purposes.map(|p| p.iter().map(Purpose::as_str).collect::<Vec<_>>()),
        "account": client.account.map(|account| account.to_string()),
        "certificate": client.certificate.as_ref().map(ToString::to_string),
        "expires": client.expires,
        "requests_per_second": client.rate.map(|rate| rate.per_second),
        "burst": client.rate.map(|rate| rate.burst),
        "secrets": client.secrets.iter().map(|secret| {
            json!({ "hash": secret.hash.short(), "created": secret.created })
        }).collect::<Vec<_>>(),
    })
}

impl Rotate {
    fn rotate(&self) -> Result<(), Failure> {
        let place = Place::of(&self.one.path)?;
        let mut editor = place.edit()?;
        let id = &self.one.id;
        let secrets = editor.secrets(id)?;
        if self.finish {
            if secrets.len() < SECRETS_MAX {
                return Err(format!("client `{id}` has no older secret to drop").into());
            }
            secrets.remove(0);
            secrets.iter_mut().for_each(|secret| secret.decor_mut().clear());
            place.save(&editor)?;
            say(format_args!("only the newer secret of `{id}` holds"));
            return Ok(());
        }
        if secrets.len() >= SECRETS_MAX {
            let remedy = format!(
                "client `{id}` has two secrets; drop the older with `client rotate {id} --finish`"
            );
            return Err(remedy.into());
        }
        let secret = new_secret()?;
        secrets.push(hashed(&secret));
        place.save(&editor)?;
        say(format_args!(
            "id      {id}\nsecret  {secret}\n\nKeep the secret now: it is told this once. The old \
             one holds until `noticegate client rotate {id} --finish`."
        ));
        Ok(())
    }
}

impl One {
    fn set_enabled(&self, enabled: bool) -> Result<(), Failure> {
        let place = Place::of(&self.path)?;
        let mut editor = place.edit()?;
        let table = editor.find(&self.id)?;
        match table.get_mut("enabled").and_then(|item| item.as_value_mut()) {
            Some(present) => {
                let decor = present.decor().clone();
                *present = enabled.into();
                *present.decor_mut() = decor;
            }
            None => {
                table.insert("enabled", value(enabled));
            }
        }
        place.save(&editor)?;
        say(format_args!(
            "client `{}` is {}",
            self.id,
            if enabled { "enabled" } else { "disabled" }
        ));
        Ok(())
    }

    fn remove(&self) -> Result<(), Failure> {
        let place = Place::of(&self.path)?;
        let mut editor = place.edit()?;
        editor.remove(&self.id)?;
        place.save(&editor)?;
        say(format_args!("client `{}` is gone", self.id));
        Ok(())
    }
}

/// 256 random bits. The beginning lets scanners for leaked secrets know what it is.
fn new_secret() -> Result<String, Failure> {
    let mut random = [0u8; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| "there is no randomness")?;
    Ok(format!("ngs_{}", URL_SAFE_NO_PAD.encode(random)))
}

/// What the file holds of a secret.
fn hashed(secret: &str) -> InlineTable {
    let now = Clock::system().now();
    let created = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let mut table = InlineTable::new();
    table.insert("hash", Digest::of(secret).to_string().into());
    table.insert("created", created.to_string().into());
    table
}

/// `Nightly export (eu)` becomes `nightly-export-eu`.
fn short_id(name: &str) -> String {
    let plain = name.to_ascii_lowercase();
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id: String = words.collect::<Vec<_>>().join("-").chars().take(40).collect();
    let id = id.trim_end_matches('-');
    if id.is_empty() { "client".to_owned() } else { id.to_owned() }
}

/// Where callers reach the gate, as far as its configuration tells.
fn gate(config: &Config) -> String {
    let name = config.listen.names.first().map_or("localhost", String::as_str);
    match config.listen.address.port() {
        0 | 443 => format!("https://{name}"),
        port => format!("https://{name}:{port}"),
    }
}

/// The folder of a file.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
