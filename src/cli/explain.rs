//! `noticegate explain`: who, what, why; the decision, the clause and its sentence in the notice.

use jiff::Timestamp;
use serde_json::json;

use super::ledger::show::find;
use super::ledger::{ask, failed, load, open};
use super::policies::PolicyFolder;
use super::{ConfigPath, Exit, Format, say};
use crate::clock::Clock;
use crate::ledger::recall;
use crate::notice::Plain;
use crate::policy::{
    Citation, Explained, Ground, Policies, Scenario, ScenarioRecording, ScenarioRequest,
};

/// Decide a question and say why: the clause, its sentence in the notice, and what is missing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate explain --role quality-analyst --purpose quality-monitoring --made 2026-10-01T09:00:00Z\n  \
noticegate explain --role trainer --purpose staff-training --made 2025-06-01T00:00:00Z \\\n    \
--consent given\n  \
noticegate explain --role privacy-officer --action share --purpose rights-request \\\n    \
--recipient data-subject --stated identity-check --made 2026-10-01T09:00:00Z\n  \
noticegate explain 42 --config noticegate.toml\n\n\
What is left out is unknown. An entry is decided again from what stands in it and the policies of\n\
that time, which the ledger keeps; it fails if the answer is another than it was.\n\nExit status: 0 permitted, 2 refused, 3 invalid input; of an entry also 1 it cannot be decided again,\n\
4 the answer is another")]
pub(super) struct Explain {
    /// An entry of the ledger, by number or id: decides it again from the entry alone
    #[arg(value_name = "ENTRY", conflicts_with_all = ["roles", "purpose", "at"])]
    entry: Option<String>,
    #[command(flatten)]
    path: ConfigPath,
    #[command(flatten)]
    folder: PolicyFolder,
    /// A role of the caller; may be repeated
    #[arg(long = "role", value_name = "ROLE", required_unless_present = "entry")]
    roles: Vec<String>,
    /// Why
    #[arg(long)]
    purpose: Option<String>,
    /// access, describe, share or delete
    #[arg(long, default_value = "access")]
    action: String,
    /// When it is asked (RFC 3339); now, if it is left out
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// When the recording was made (RFC 3339); when it is asked, if it is left out
    #[arg(long, value_name = "TIME")]
    made: Option<Timestamp>,
    /// Its length
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
    /// inbound, outbound or internal
    #[arg(long)]
    direction: Option<String>,
    /// The telephone line
    #[arg(long)]
    line: Option<String>,
    /// The department
    #[arg(long)]
    department: Option<String>,
    /// The type of the call
    #[arg(long)]
    call_type: Option<String>,
    /// A label of the call; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// The call is known to have no label
    #[arg(long, conflicts_with = "labels")]
    no_labels: bool,
    /// given, refused, withdrawn, expired or unknown
    #[arg(long)]
    consent: Option<String>,
    /// stayed-on, pressed-key, spoke, wrote or contract
    #[arg(long)]
    consent_form: Option<String>,
    /// audio, video, message-media, transcript, summary, analysis or voiceprint
    #[arg(long)]
    artefact: Option<String>,
    /// When the case about the call was closed (RFC 3339)
    #[arg(long, value_name = "TIME")]
    case_closed: Option<Timestamp>,
    /// Whose consent the law demands: one-party or all-party
    #[arg(long, value_name = "RULE")]
    consent_rule: Option<String>,
    /// The later notice that everybody on the call accepted
    #[arg(long, value_name = "NOTICE")]
    accepted: Option<String>,
    /// Twilio stores it encrypted
    #[arg(long)]
    encrypted: bool,
    /// Twilio's status: completed, in-progress, …
    #[arg(long)]
    status: Option<String>,
    /// What is known of the recording, such as `announcement` or `hold`; may be repeated
    #[arg(long = "known", value_name = "CIRCUMSTANCE")]
    known: Vec<String>,
    /// A purpose that somebody on the call objected to; may be repeated
    #[arg(long = "objection", value_name = "PURPOSE")]
    objections: Vec<String>,
    /// What the request states, such as `reference` or `reason`; may be repeated
    #[arg(long = "stated", value_name = "CIRCUMSTANCE")]
    stated: Vec<String>,
    /// To whom it is shared
    #[arg(long)]
    recipient: Option<String>,
    /// In which country they are, such as GB
    #[arg(long)]
    country: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, thiserror::Error)]
#[error("the ledger has not kept the policies {0}, or they are not what they were")]
struct NoPolicies(String);

impl Explain {
    pub(super) fn run(&self) -> Exit {
        match self.explain() {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn explain(&self) -> Result<Exit, Exit> {
        if let Some(entry) = &self.entry {
            return self.again(entry);
        }
        let policies = self.folder.load()?;
        let scenario = self.scenario();
        let question = scenario.question(policies.vocabulary(), Clock::system().now());
        let question = question.map_err(|error| {
            say(format_args!("noticegate: {error}"));
            Exit::Invalid
        })?;
        let explained = policies.explain(question);
        match self.format {
            Format::Human => human(&policies, &explained),
            Format::Json => say(as_json(&policies, &explained)),
        }
        Ok(if explained.permitted { Exit::Done } else { Exit::Refused })
    }

    /// Decides an entry of the ledger again.
    fn again(&self, entry: &str) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let mut review = open(&config)?;
        let row = find(&mut review, entry)?;
        let recalled = recall(&row.bytes).map_err(|error| failed(&error))?;
        let policies = ask(review.policies(&recalled.digest))?;
        let policies = policies.ok_or_else(|| failed(&NoPolicies(recalled.digest.clone())))?;
        let (decision, answer) = policies.judge(&recalled.question);
        let agrees = recalled.agrees(&decision, &answer);
        let explained = policies.explain(recalled.question);
        match self.format {
            Format::Human => {
                human(&policies, &explained);
                let same = if agrees { "the same as" } else { "NOT the same as" };
                say(format_args!(
                    "\nDecided again from entry {} with policies {}: {same} it was then.",
                    row.seq, recalled.digest
                ));
            }
            Format::Json => {
                let mut value = as_json(&policies, &explained);
                if let Some(value) = value.as_object_mut() {
                    value.insert("agrees".to_owned(), json!(agrees));
                }
                say(value);
            }
        }
        match (agrees, explained.permitted) {
            (false, _) => Err(Exit::Broken),
            (true, true) => Ok(Exit::Done),
            (true, false) => Ok(Exit::Refused),
        }
    }

    fn scenario(&self) -> Scenario {
        let labels = match (self.no_labels, self.labels.is_empty()) {
            (true, _) => Some(Vec::new()),
            (false, true) => None,
            (false, false) => Some(self.labels.clone()),
        };
        Scenario {
            roles: self.roles.clone(),
            action: Some(self.action.clone()),
            purpose: self.purpose.clone(),
            at: self.at,
            recording: ScenarioRecording {
                made: self.made,
                seconds: self.seconds,
                direction: self.direction.clone(),
                line: self.line.clone(),
                department: self.department.clone(),
                call_type: self.call_type.clone(),
                labels,
                consent: self.consent.clone(),
                consent_form: self.consent_form.clone(),
                consent_rule: self.consent_rule.clone(),
                artefact: self.artefact.clone(),
                circumstances: self.known.clone(),
                objections: self.objections.clone(),
                case_closed: self.case_closed,
                accepted: self.accepted.clone(),
                encrypted: self.encrypted,
                status: self.status.clone(),
            },
            request: ScenarioRequest {
                circumstances: self.stated.clone(),
                recipient: self.recipient.clone(),
                country: self.country.clone(),
            },
        }
    }
}

fn human(policies: &Policies, explained: &Explained) {
    let word = if explained.permitted { "permitted" } else { "refused" };
    say(format_args!("{word}: {}\n", explained.sentence));
    match &explained.notice {
        Some(version) => say(format_args!("  governed by notice {version}")),
        None => say("  no notice was in force when the recording was made"),
    }
    for citation in &explained.citations {
        tell(policies, "decided by", citation);
    }
    if let Some(near) = &explained.nearest {
        tell(policies, "nearest is", &near.0);
        for missing in &near.1 {
            say(format_args!("      {missing}"));
        }
    }
}

fn tell(policies: &Policies, what: &str, citation: &Citation) {
    match &citation.ground {
        Ground::Guardrail { reason } => {
            say(format_args!("  {what} guardrail `{}`: {reason}", citation.policy));
        }
        Ground::Clause { clause, quote, notice } => {
            say(format_args!("  {what} clause `{clause}` of notice {notice}"));
            if let Some((plain, file, line)) = place(policies, citation) {
                say(format_args!("      {plain}\n      \"{quote}\"\n      {file}:{line}"));
            }
        }
    }
}

/// A clause in plain words, and where its quote stands.
fn place(policies: &Policies, citation: &Citation) -> Option<(String, String, usize)> {
    let Ground::Clause { clause, quote, notice } = &citation.ground else { return None };
    let notice = policies.notices().version(notice)?;
    let clause = notice.clauses.iter().find(|known| known.id == *clause)?;
    let line = notice.text.line(notice.text.find(quote).ok()?.start);
    let file = format!("notices/{}/{}", notice.version, notice.header.text);
    Some((Plain(policies.vocabulary()).clause(clause), file, line))
}

fn as_json(policies: &Policies, explained: &Explained) -> serde_json::Value {
    let cite = |citation: &Citation| match &citation.ground {
        Ground::Guardrail { reason } => json!({ "guardrail": citation.policy, "reason": reason }),
        Ground::Clause { clause, quote, notice } => {
            let place = place(policies, citation);
            json!({
                "clause": clause,
                "notice": notice.as_str(),
                "quote": quote,
                "means": place.as_ref().map(|(plain, ..)| plain),
                "file": place.as_ref().map(|(_, file, _)| file),
                "line": place.as_ref().map(|(.., line)| line),
            })
        }
    };
    json!({
        "permitted": explained.permitted,
        "sentence": explained.sentence,
        "reason": explained.reason,
        "notice": explained.notice.as_ref().map(|version| version.as_str()),
        "decided_by": explained.citations.iter().map(|c| cite(c)).collect::<Vec<_>>(),
        "nearest": explained.nearest.as_ref().map(|(citation, missing)| {
            json!({ "clause": cite(citation), "missing": missing })
        }),
    })
}
