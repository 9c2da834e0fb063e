//! `noticegate law`: what the law table says of places, for somebody who has to know why.

use serde_json::json;

use super::policies::PolicyFolder;
use super::register::person;
use super::{Exit, Format, complain, say};
use crate::clock::Clock;
use crate::facts::Who;
use crate::law::{self, ConsentRule, Medium, Party, Place};

/// Show whose consent the law of places demands, and where the table has it from
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  noticegate law show US-CA")]
pub(super) struct Law {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(Show),
    Of(Of),
}

impl Law {
    pub(super) fn run(&self) -> Exit {
        let done = match &self.command {
            Command::Show(command) => command.run(),
            Command::Of(command) => command.run(),
        };
        match done {
            Ok(exit) | Err(exit) => exit,
        }
    }
}

/// Show the row of a place: whose consent, where it says so, how sure that is, and your counsel's
/// reading
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate law show US-CA\n  noticegate law show --all --format json")]
struct Show {
    #[command(flatten)]
    folder: PolicyFolder,
    /// ISO 3166, such as US-CA or GB
    #[arg(required_unless_present = "all")]
    place: Option<Place>,
    /// Every place of the table
    #[arg(long, conflicts_with = "place")]
    all: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Show {
    fn run(&self) -> Result<Exit, Exit> {
        let policies = self.folder.load()?;
        let law = policies.law();
        let places: Vec<Place> = match self.place {
            Some(place) => vec![place],
            None => law.places().collect(),
        };
        for place in places {
            match self.format {
                Format::Human => human(law, place),
                Format::Json => say(as_json(law, place)),
            }
        }
        Ok(Exit::Done)
    }
}

fn human(law: &law::Law, place: Place) {
    let rule = |medium| law.rule(place, medium).as_str();
    let (telephone, video) = (rule(Medium::Telephone), rule(Medium::Video));
    let Some(row) = law.row(place) else {
        say(format_args!("{place}: {telephone} by telephone, {video} by video"));
        return say("  The table has no such place; what is not known counts as the strictest.");
    };
    say(format_args!("{place}, {}: {telephone} by telephone, {video} by video", row.name));
    say(format_args!("  Where it says so: {}", row.statute));
    if !row.note.is_empty() {
        say(format_args!("  Note: {}", row.note));
    }
    say(format_args!("  Confidence: {}; evidence: {}", row.confidence, row.evidence));
    say(format_args!("  Source: {}", row.source));
    say(format_args!("  To be looked at again by {}", row.review));
    if let Some(of) = law.overrides().find(|of| of.place == place) {
        say(format_args!(
            "  Read by {} on {} as {} by telephone and {} by video: {}",
            of.counsel,
            of.decided,
            of.telephone.as_str(),
            of.video.as_str(),
            of.reason
        ));
        say(format_args!("  That is to be looked at again by {}", of.review));
        say(format_args!("  The table says {} and {}", row.telephone.as_str(), row.video.as_str()));
    }
}

fn as_json(law: &law::Law, place: Place) -> serde_json::Value {
    let row = law.row(place).map(|row| {
        json!({
            "name": row.name,
            "telephone": row.telephone,
            "video": row.video,
            "statute": row.statute,
            "note": row.note,
            "confidence": row.confidence,
            "evidence": row.evidence,
            "source": row.source,
            "review": row.review,
        })
    });
    json!({
        "place": place,
        "telephone": law.rule(place, Medium::Telephone),
        "video": law.rule(place, Medium::Video),
        "table": row,
        "override": law.overrides().find(|of| of.place == place),
    })
}

/// Show whose consent a call demands: the strictest place of everybody decides
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate law of --party '+1 404 555 0123,US-CA' --party US-GA\n  \
noticegate law of --party +442079460018 --party - --video\n\n\
Each --party is a person on the call: their number, places where they may be, or both. Of a person\n\
without either nobody knows where they are: that is `--party unknown`. Exit status: 0 one consent is\n\
enough, 2 everybody's is needed")]
struct Of {
    #[command(flatten)]
    folder: PolicyFolder,
    /// Somebody on the call: a number and places with commas between them
    #[arg(long = "party", value_name = "PARTY", required = true)]
    parties: Vec<String>,
    /// In a video room, and not by telephone
    #[arg(long)]
    video: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "a party is `unknown`, or a telephone number and places such as US-CA with commas between them"
)]
struct NotAParty;

fn party(text: &str) -> Result<Party, Exit> {
    let mut party = Party::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.parse::<Place>() {
            Ok(place) => party.places.push(place),
            Err(_) if part == "unknown" => {}
            Err(_) => match person(part)? {
                Who::Number(number) if party.number.is_none() => party.number = Some(number),
                Who::Number(_) | Who::Name(_) => {
                    complain(&NotAParty);
                    return Err(Exit::Invalid);
                }
            },
        }
    }
    Ok(party)
}

impl Of {
    fn run(&self) -> Result<Exit, Exit> {
        let parties: Vec<Party> =
            self.parties.iter().map(|text| party(text)).collect::<Result<_, _>>()?;
        let policies = self.folder.load()?;
        let law = policies.law();
        let medium = if self.video { Medium::Video } else { Medium::Telephone };
        let each = parties.iter().map(|party| {
            let number = party.number.iter().flat_map(|number| law.places_of_number(number));
            let places: Vec<Place> = party.places.iter().copied().chain(number).collect();
            let own = law.of_call(std::slice::from_ref(party), medium);
            (places, own)
        });
        let each: Vec<_> = each.collect();
        let call = law.of_call(&parties, medium);
        if self.format == Format::Json {
            let parties = each.iter().map(
                |(places, own)| json!({ "places": places, "rule": own.rule, "place": own.place }),
            );
            let parties: Vec<_> = parties.collect();
            say(json!({ "rule": call.rule, "place": call.place, "parties": parties }));
        } else {
            for (number, (places, own)) in each.iter().enumerate() {
                let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                let places = match places.is_empty() {
                    true => "may be anywhere".to_owned(),
                    false => format!("may be in {}", places.join(", ")),
                };
                say(format_args!(
                    "party {}: {places}; {} by the law of {}",
                    number + 1,
                    own.rule.as_str(),
                    own.place
                ));
            }
            say(format_args!("the call: {} by the law of {}", call.rule.as_str(), call.place));
            let today = jiff::tz::TimeZone::UTC.to_datetime(Clock::system().now()).date();
            for problem in
                law.past_review(today).filter(|p| p.message.contains(&format!("`{}`", call.place)))
            {
                say(format_args!("warning: {}", problem.message));
            }
        }
        Ok(match call.rule {
            ConsentRule::OneParty => Exit::Done,
            ConsentRule::AllParty => Exit::Refused,
        })
    }
}
