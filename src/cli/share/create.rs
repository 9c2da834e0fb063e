//! `noticegate share create`: decides beside the gate whether a share may be made, and makes it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::ledger::{actor, failed, load};
use super::super::policies::PolicyFolder;
use super::super::{ConfigPath, Exit, Format, complain, say};
use super::{Told, find, human, invalid};
use crate::clock::Clock;
use crate::config::Config;
use crate::facts::{FactStore, Facts};
use crate::identity::{Caller, Proof, Role};
use crate::ledger::{Ask, Clerk, RegisterReader};
use crate::media::AccountSid;
use crate::notice::Circumstance;
use crate::policy::{Action, Ground, Permit, Policies, Question, Verdict};
use crate::share::{self, Allowed, Binding, Code, Issue, Order, Token};
use crate::upstream::{Accounts, Decryption, Metadata, Upstream};

/// LIMIT: how often it is decided, because each time something was stated of the recording meanwhile.
const DECISIONS_MAX: usize = 8;

/// Make a link, if a clause permits it; it is told once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate share create RE0123456789abcdef0123456789abcdef --role legal-counsel \\\n    \
--recipient court --country GB --purpose law-enforcement-request --reference 'D-114' --uses 2\n  \
noticegate share create RE0123456789abcdef0123456789abcdef --role legal-counsel --part 12.5-80 \\\n    \
--recipient hale-and-marsh --country GB --purpose legal-claims --bind code\n\n\
Exit status: 0 made, 2 refused, 3 invalid input")]
pub(super) struct Create {
    #[command(flatten)]
    path: ConfigPath,
    /// The recording: its SID, or Twilio's URL of it
    recording: String,
    /// The account, where the recording is named by its SID and there are several
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// In which role; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// Who does it; the user of this command line, if it is left out
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Who receives it, by the vocabulary's word
    #[arg(long, value_name = "CLASS")]
    recipient: String,
    /// The recipient's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The recipient's country, in two letters
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// The recipient's contract, by its name where it is kept
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,
    /// Why, by the vocabulary's word
    #[arg(long, value_name = "PURPOSE")]
    purpose: String,
    /// For how many hours
    #[arg(long, value_name = "COUNT", default_value_t = 24)]
    hours: u32,
    /// For how many listening sessions
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    uses: u32,
    /// wav or mp3
    #[arg(long, value_name = "FORM")]
    form: Option<String>,
    /// Only this part, in seconds from the start, such as 12.5-80
    #[arg(long, value_name = "FROM-TO")]
    part: Option<String>,
    /// Let it be saved
    #[arg(long)]
    download: bool,
    /// The file that holds a password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// first-client, code, email=ADDRESS, certificate=dns:NAME, or ranges of addresses such as 192.0.2.0/24,...
    #[arg(long, value_name = "TO")]
    bind: Option<String>,
    /// The case, form or demand that it rests on
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// The reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How the recipient's identity was checked
    #[arg(long, value_name = "TEXT")]
    identity_check: Option<String>,
    /// Who approved it
    #[arg(long, value_name = "NAME")]
    approved_by: Option<String>,
    /// When somebody has to look at it again
    #[arg(long, value_name = "TIME")]
    review_due: Option<Timestamp>,
    /// A note for yourself
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Create {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let clock = Clock::system();
        let mut order = self.order(&config, clock.now())?;
        let accounts = Accounts::new(&config.accounts).map_err(|error| failed(&error))?;
        order.media.account = self.account(&order, &accounts)?;
        let policies = PolicyFolder { policies: config.policies.directory.clone() }.load()?;
        let register = RegisterReader::open(&config.ledger).map_err(|error| failed(&error))?;
        let by = actor(self.by.as_ref());
        let clerk = Clerk::open(&config.ledger, clock.clone(), by.clone());
        let mut clerk = clerk.map_err(|error| failed(&error))?;
        let token = Token::random().ok_or_else(no_randomness)?;
        let code = match order.binding {
            Binding::Code => Some(Code::random().ok_or_else(no_randomness)?),
            _ => None,
        };
        let is_outside = order
            .stated
            .recipient
            .as_ref()
            .is_some_and(|class| !config.shares.inside.contains(class));
        if config.shares.password_outside
            && is_outside
            && code.is_none()
            && order.password.is_none()
            && order.email.is_none()
        {
            return Err(invalid(
                "a recipient outside needs --password-file, --bind code or --bind email=ADDRESS",
            ));
        }
        let secret = code.as_ref().map(Code::secret).or_else(|| order.password.clone());
        let secret = secret.map(|secret| share::hash(&secret).ok_or_else(no_randomness));
        let issue = order.issue(&token, secret.transpose()?, false, clock.now());
        let making = Making { config: &config, accounts, policies, register, clock, order, by };
        for _ in 0..DECISIONS_MAX {
            let permit = match making.decide(&self.roles)? {
                Verdict::Permit(permit) => permit,
                Verdict::Refuse(refusal) => {
                    self.tell_refusal(&refusal);
                    return Ok(Exit::Refused);
                }
            };
            if making.record(&mut clerk, &permit, &issue)? {
                return self.tell(&making, &mut clerk, (&issue, &token, code.as_ref()));
            }
        }
        complain(&Told("others state more than can be kept up with; try again"));
        Err(Exit::Failed)
    }

    fn order(&self, config: &Config, now: Timestamp) -> Result<Order, Exit> {
        let password = match &self.password_file {
            None => None,
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
                complain(&error);
                Exit::Invalid
            })?),
        };
        let written = json!({
            "recording": self.recording,
            "format": self.form,
            "recipient": {
                "class": self.recipient,
                "name": self.name,
                "country": self.country,
                "contract": self.contract,
            },
            "purpose": self.purpose,
            "expires_in_seconds": u64::from(self.hours) * 3_600,
            "uses": self.uses,
            "portion": self.part.as_deref().map(part).transpose()?,
            "download": self.download,
            "password": password.as_deref().map(str::trim_end),
            "note": self.note,
            "reason": self.reason,
            "reference": self.reference,
            "identity_check": self.identity_check,
            "approved_by": self.approved_by,
            "review_due": self.review_due,
            "binding": self.bind.as_deref().map(binding),
        });
        let read = Order::read(written.to_string().as_bytes(), &allowed(config), now);
        read.map_err(|error| {
            complain(&error);
            Exit::Invalid
        })
    }

    fn account(&self, order: &Order, accounts: &Accounts) -> Result<AccountSid, Exit> {
        let all = accounts.all();
        match (order.account.or(self.account), all.as_slice()) {
            (Some(account), _) if all.contains(&account) => Ok(account),
            (None, [only]) => Ok(*only),
            (Some(_), _) => Err(invalid("this account is not served here")),
            (None, _) => Err(invalid("there are several accounts; say which by --account")),
        }
    }

    fn tell_refusal(&self, refusal: &crate::policy::Refusal) {
        if self.format == Format::Human {
            return complain(&Told(&refusal.to_string()));
        }
        let clause = refusal.citation().map(|citation| match &citation.ground {
            Ground::Clause { clause, quote, notice } => {
                json!({"clause": clause, "quote": quote, "notice": notice.as_str()})
            }
            Ground::Guardrail { reason } => json!({"guardrail": citation.policy, "reason": reason}),
        });
        say(json!({"refused": refusal.code(), "why": refusal.to_string(), "by": clause}));
    }

    fn tell(
        &self,
        making: &Making<'_>,
        clerk: &mut Clerk,
        (issue, token, code): (&Issue, &Token, Option<&Code>),
    ) -> Result<Exit, Exit> {
        let host = making.config.shares.host.as_ref().or(making.config.listen.names.first());
        let url = format!("https://{}/s/{}", host.map_or("", String::as_str), token.text());
        let made = find(clerk, issue.id)?;
        let mut told = made.tell(making.clock.now());
        if let Some(told) = told.as_object_mut() {
            told.insert("url".to_owned(), url.clone().into());
            let code = code.map(|code| ("code".to_owned(), code.text().into()));
            told.extend(code);
        }
        if self.format == Format::Json {
            say(told);
            return Ok(Exit::Done);
        }
        say(human(&told));
        say(format_args!("\nThe link, which is told this once:\n  {url}"));
        if let Some(code) = code {
            say(format_args!("Its code, to be sent another way:\n  {}", code.text()));
        }
        Ok(Exit::Done)
    }
}

/// A share that is being made.
struct Making<'a> {
    config: &'a Config,
    accounts: Accounts,
    policies: Policies,
    register: RegisterReader,
    clock: Clock,
    order: Order,
    by: String,
}

impl Making<'_> {
    fn decide(&self, roles: &[String]) -> Result<Verdict, Exit> {
        let order = &self.order;
        let facts = self.facts()?;
        order.check(&facts).map_err(|error| {
            complain(&error);
            Exit::Invalid
        })?;
        let roles: BTreeSet<Role> = roles.iter().map(|role| Role::new(role)).collect();
        if let Some(unknown) = roles.iter().find(|role| !self.policies.roles().contains(*role)) {
            return Err(invalid(&format!("the policies have no role `{unknown}`")));
        }
        let mut stated = order.stated.clone();
        let site = self.accounts.of(order.media.account);
        let details = facts.encryption.as_deref().zip(site);
        let sealed = details.is_some_and(|(of, site)| !matches!(site.content_key(of), Ok(Some(_))));
        stated.circumstances.extend(sealed.then_some(Circumstance::StillEncrypted));
        let caller = Caller {
            id: format!("operator:{}", self.by),
            roles: roles.into_iter().collect(),
            on_behalf_of: None,
            bound_purpose: None,
            default_purpose: None,
            proof: Proof {
                issuer: "operator".to_owned(),
                key_id: None,
                token_id: None,
                expires_at: Timestamp::MAX,
            },
        };
        let question = Question {
            caller: Arc::new(caller),
            action: Action::Share,
            media: order.media,
            purpose: order.purpose.clone(),
            stated,
            facts: Arc::clone(&facts),
            now: self.clock.now(),
        };
        Ok(self.policies.decide(question.knowing(facts)))
    }

    fn facts(&self) -> Result<Arc<Facts>, Exit> {
        let (config, order) = (self.config, &self.order);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let decryption = Decryption::new(&config.decryption, &config.limits);
        let upstream = Upstream::new(config.upstream.clone(), &config.limits, decryption);
        let facts = FactStore::new(&config.facts, self.clock.clone());
        let found = self.accounts.of(order.media.account).zip(order.media.subject());
        let Some((site, subject)) = found else {
            return Err(invalid("this cannot be shared"));
        };
        let source = Metadata { upstream: &upstream, site: &site, known: None };
        let (artefact, reading) = (order.media.row().artefact, self.policies.reading());
        let sources = (&source, &self.register);
        let purpose = order.purpose.as_ref();
        let gathered = facts.gather(subject, artefact, purpose, &reading, sources);
        runtime.block_on(gathered).map_err(|error| failed(&error))
    }

    fn record(&self, clerk: &mut Clerk, permit: &Permit, issue: &Issue) -> Result<bool, Exit> {
        let ask = Ask {
            method: "POST",
            range: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            agent: Some("noticegate share create".to_owned()),
            reference: self.order.reference.clone(),
            reason: self.order.reason.clone(),
        };
        let made = clerk.share(permit, &ask, issue, (&self.policies, &self.register));
        Ok(made.map_err(|error| failed(&error))?.is_some())
    }
}

fn allowed(config: &Config) -> Allowed {
    let life = config.shares.life_max_seconds.duration().as_secs();
    Allowed {
        life_max: SignedDuration::from_secs(i64::try_from(life).unwrap_or(i64::MAX)),
        uses_max: u32::try_from(config.shares.uses_max.get()).unwrap_or(u32::MAX),
        certificates: config.clients.as_ref().is_some_and(|clients| clients.ca_file.is_some()),
        mail: config.shares.mail.is_some(),
    }
}

/// Seconds, with up to three digits behind the point.
fn milliseconds(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 {
        return None;
    }
    let rest: u64 = format!("{rest:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(rest)
}

fn part(text: &str) -> Result<Value, Exit> {
    let read = || {
        let (from, to) = text.split_once('-')?;
        Some(json!({"start_ms": milliseconds(from)?, "end_ms": milliseconds(to)?}))
    };
    read().ok_or_else(|| invalid("--part is two times in seconds, such as 12.5-80"))
}

fn binding(text: &str) -> Value {
    if let Some(address) = text.strip_prefix("email=") {
        return json!({ "email": address });
    }
    match text.strip_prefix("certificate=") {
        Some(name) => json!({ "certificate": name }),
        None if text.contains('/') => json!({"addresses": text.split(',').collect::<Vec<_>>()}),
        None => text.into(),
    }
}

fn no_randomness() -> Exit {
    complain(&Told("the random generator failed"));
    Exit::Failed
}
