//! `noticegate ledger query`: finds entries, counts them, folds them into listening sessions.

use serde_json::json;

use super::{ask, failed, load, open};
use crate::cli::policies::count;
use crate::cli::{ConfigPath, Exit, Format, complain, say};
use crate::clock::Clock;
use crate::ledger::{
    self, Field, Order, Question, QuestionError, Review, Row, SessionCursor, Unit, line,
};
use crate::media::{CallSid, MediaSid};

/// Find entries, newest first; count them; fold them into listening sessions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate ledger query --since 7d --decision refuse\n  \
noticegate ledger query --recording RE0123456789abcdef0123456789abcdef --format json\n  \
noticegate ledger query --number '+1 404 555 0123' --sessions\n  \
noticegate ledger query --since 2026-01-01 --purpose staff-training --by caller\n  \
noticegate ledger query --words 'CASE-1234 compl*' --not ending=complete\n\n\
A time is RFC 3339 (2026-11-03T09:00:00Z), a date (2026-11-03), or how long ago (30d, 12h, 15m).")]
pub(super) struct Query {
    #[command(flatten)]
    path: ConfigPath,
    #[command(flatten)]
    what: Selection,
    /// How many entries, sessions or values
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    /// Go on after this cursor, which the page before printed
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Oldest first
    #[arg(long)]
    oldest: bool,
    /// Only say how many there are
    #[arg(long, group = "how")]
    count: bool,
    /// Count them by a field, such as caller or purpose
    #[arg(long, value_name = "FIELD", group = "how")]
    by: Option<Field>,
    /// Count them over time
    #[arg(long, value_enum, value_name = "UNIT", group = "how")]
    histogram: Option<Bars>,
    /// Fold range requests into listening sessions, with the share of the recording that was heard
    #[arg(long, group = "how", conflicts_with = "oldest")]
    sessions: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How wide a bar is.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Bars {
    Hour,
    Day,
    Month,
}

/// How a request was decided.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Decided {
    Permit,
    Refuse,
}

impl Decided {
    fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Refuse => "refuse",
        }
    }
}

/// Which entries.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct Selection {
    /// Written at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Written before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// By this caller
    #[arg(long, value_name = "ID")]
    caller: Vec<String>,
    /// By somebody with this role
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// Given to this recipient
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// About this recording
    #[arg(long, value_name = "SID")]
    recording: Vec<MediaSid>,
    /// About this call
    #[arg(long, value_name = "SID")]
    call: Vec<CallSid>,
    /// About a call with this telephone number at one of its ends
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// For this purpose
    #[arg(long, value_name = "PURPOSE")]
    purpose: Vec<String>,
    /// Decided by this clause: `2026-03-01#quality`, or a guardrail's id
    #[arg(long, value_name = "CLAUSE")]
    clause: Vec<String>,
    /// How it was decided
    #[arg(long, value_enum)]
    decision: Option<Decided>,
    /// By this share
    #[arg(long, value_name = "SHARE")]
    share: Vec<String>,
    /// From this client address
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// Of this kind: intent, outcome, refusal, start, policies, export, …
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Another field: `ending=unknown`, `reason=forbidden`, `form=mp3`
    #[arg(long = "field", value_name = "FIELD=VALUE")]
    fields: Vec<String>,
    /// Without this value of a field
    #[arg(long = "not", value_name = "FIELD=VALUE")]
    not: Vec<String>,
    /// With all of these words in reason, reference, agent or detail; `compl*` finds its beginnings
    #[arg(long, value_name = "WORDS")]
    words: Option<String>,
}

impl Selection {
    /// The question to the index; `None` if it is about a person nobody knows of.
    pub(in crate::cli) fn query(&self, review: &mut Review) -> Result<Option<ledger::Query>, Exit> {
        let question = self.question().map_err(unfit)?;
        question.query(Clock::system().now(), review).map_err(unfit)
    }

    fn question(&self) -> Result<Question, QuestionError> {
        let mut question = Question {
            since: self.since.clone(),
            until: self.until.clone(),
            number: self.number.clone(),
            words: self.words.clone(),
            all: Vec::new(),
        };
        let decision = self.decision.map(Decided::as_str).map(str::to_owned);
        for (field, values) in [
            (Field::Caller, self.caller.clone()),
            (Field::Role, self.role.clone()),
            (Field::Recipient, self.recipient.clone()),
            (Field::Recording, self.recording.iter().map(ToString::to_string).collect()),
            (Field::Call, self.call.iter().map(ToString::to_string).collect()),
            (Field::Purpose, self.purpose.clone()),
            (Field::Clause, self.clause.clone()),
            (Field::Decision, decision.into_iter().collect()),
            (Field::Share, self.share.clone()),
            (Field::Address, self.address.clone()),
            (Field::Kind, self.kind.clone()),
        ] {
            question.any(field, values);
        }
        self.fields.iter().try_for_each(|pair| question.with(pair))?;
        self.not.iter().try_for_each(|pair| question.without(pair))?;
        Ok(question)
    }
}

impl Query {
    pub(super) fn run(&self) -> Result<Exit, Exit> {
        let config = load(&self.path)?;
        let mut review = open(&config)?;
        let Some(query) = self.what.query(&mut review)? else {
            match (self.count, self.format) {
                (true, _) => say("0"),
                (false, Format::Human) => say("Nothing is recorded about this number."),
                (false, Format::Json) => {}
            }
            return Ok(Exit::Done);
        };
        if self.count {
            say(ask(review.index().count(&query).map_err(Into::into))?);
        } else if let Some(field) = self.by {
            let counts = ask(review.index().facets(&query, field, self.limit).map_err(Into::into))?;
            counts.iter().for_each(|(value, count)| self.counted(field.as_str(), value, *count));
        } else if let Some(bars) = self.histogram {
            let unit = match bars {
                Bars::Hour => Unit::Hour,
                Bars::Day => Unit::Day,
                Bars::Month => Unit::Month,
            };
            let bars = ask(review.index().histogram(&query, unit, None).map_err(Into::into))?;
            bars.iter().for_each(|bar| self.counted("start", &bar.start.to_string(), bar.count));
        } else if self.sessions {
            self.show_sessions(&review, &query)?;
        } else {
            self.show_entries(&mut review, &query)?;
        }
        Ok(Exit::Done)
    }

    fn counted(&self, name: &str, value: &str, count: u64) {
        match self.format {
            Format::Human => say(format_args!("{count:>10}  {value}")),
            Format::Json => say(json!({ name: value, "count": count })),
        }
    }

    fn show_entries(&self, review: &mut Review, query: &ledger::Query) -> Result<(), Exit> {
        let after = self.after.as_deref().map(str::parse::<u64>).transpose();
        let after = after.map_err(|_| invalid("a cursor of entries is a number"))?;
        let order = if self.oldest { Order::OldestFirst } else { Order::NewestFirst };
        let (rows, next) = ask(review.find(query, after, self.limit, order))?;
        for row in &rows {
            match self.format {
                Format::Human => say(line(row)),
                Format::Json => say(as_json(row)),
            }
        }
        self.tell_next(next);
        Ok(())
    }

    fn show_sessions(&self, review: &Review, query: &ledger::Query) -> Result<(), Exit> {
        let cursor = self.after.as_deref().map(|text| {
            let (ceiling, below) = text.split_once('-')?;
            Some(SessionCursor { ceiling: ceiling.parse().ok()?, below: below.parse().ok()? })
        });
        let cursor = match cursor {
            Some(None) => return Err(invalid("a cursor of sessions is two numbers: 120-98")),
            cursor => cursor.flatten(),
        };
        let page = review.index().sessions(query, cursor, self.limit);
        let page = ask(page.map_err(Into::into))?;
        for session in &page.sessions {
            let heard = match (session.form.as_str(), session.share_heard) {
                ("metadata", _) => "looked up".to_owned(),
                (_, Some(share)) => format!("heard {:.0} % of", share * 100.0),
                (_, None) => "heard some of".to_owned(),
            };
            let requests = usize::try_from(session.requests).unwrap_or(usize::MAX);
            let requests = count(requests, "request");
            let endings: Vec<&str> = session.endings.keys().map(String::as_str).collect();
            match self.format {
                Format::Human => say(format_args!(
                    "{:>6}  {}  {} {heard} {} {} for {}, {requests} in {} s: {}",
                    session.first_seq,
                    session.started.strftime("%FT%TZ"),
                    session.caller,
                    session.recording,
                    session.form,
                    session.purpose,
                    session.ended.duration_since(session.started).as_secs(),
                    endings.join(", "),
                )),
                Format::Json => say(json!({
                    "first": session.first_seq,
                    "last": session.last_seq,
                    "started": session.started,
                    "ended": session.ended,
                    "caller": session.caller,
                    "recording": session.recording,
                    "purpose": session.purpose,
                    "form": session.form,
                    "share": session.share,
                    "requests": session.requests,
                    "bytes": session.bytes,
                    "heard": session.heard,
                    "length": session.length,
                    "share_heard": session.share_heard,
                    "endings": session.endings,
                })),
            }
        }
        self.tell_next(page.next.map(|next| format!("{}-{}", next.ceiling, next.below)));
        Ok(())
    }

    fn tell_next(&self, next: Option<impl std::fmt::Display>) {
        if let Some(next) = next {
            match self.format {
                Format::Human => say(format_args!("There are more: go on with --after {next}")),
                Format::Json => say(json!({ "next": next.to_string() })),
            }
        }
    }
}

/// One entry as a JSON value.
pub(super) fn as_json(row: &Row) -> serde_json::Value {
    json!({
        "seq": row.seq,
        "entry": row.entry,
        "outcome": row.outcome,
        "people": row.opened,
    })
}

fn invalid(problem: impl std::fmt::Display) -> Exit {
    complain(&Invalid(problem.to_string()));
    Exit::Invalid
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Invalid(String);

/// Tells why a question cannot be asked.
pub(super) fn unfit(error: QuestionError) -> Exit {
    match error {
        QuestionError::Review(error) => failed(&error),
        error => invalid(error),
    }
}
