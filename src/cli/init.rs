//! `noticegate init`: starts a policy folder, with comments that teach.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::{Exit, complain, say};
use crate::clock::Clock;
use crate::notice::{Coverage, Markup, Notice, NoticeHeader, NoticeText, Vocabulary};
use crate::policy::text_digest;

/// Start a policy folder: a vocabulary, guardrails, your notice with a clause to write for each of
/// its sentences about recordings
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:\n  noticegate init --notice privacy.html --effective 2027-01-01\n  \
noticegate init --policies /etc/noticegate/policies\n\n\
Without --notice it starts with the sample notice of an invented company, ready to try.")]
pub(super) struct Init {
    /// The folder to make; it must not be there yet, or be empty
    #[arg(long, value_name = "FOLDER", default_value = "policies")]
    policies: PathBuf,
    /// Your published notice: a .md, .html or .txt file
    #[arg(long, value_name = "FILE")]
    notice: Option<PathBuf>,
    /// The day from which it governs new recordings, at midnight UTC; today, if it is left out
    #[arg(long, value_name = "DAY", requires = "notice")]
    effective: Option<jiff::civil::Date>,
    /// Where it is published
    #[arg(long, value_name = "URL", requires = "notice", default_value = "https://")]
    published: String,
}

/// What every new folder has.
const VOCABULARY: &str = include_str!("../../policies/vocabulary.toml");
const GUARDRAILS: &str = include_str!("../../policies/guardrails.cedar");
const ADMINISTRATION: &str = include_str!("../../policies/administration.cedar");

const FIRST_TEST: &str = r#"# What you expect of the policies, each a question and its decision. `noticegate test` runs them.
# Everything that a test leaves out is unknown.

#[[test]]
#name = "a quality analyst hears a recent call"
#roles = ["quality-analyst"]
#purpose = "quality-monitoring"
#at = "2027-01-15T12:00:00Z"
#recording = { made = "2027-01-10T09:00:00Z", seconds = 60, consent = "given" }
#decision = "permit"            # or "refuse"
#clauses = ["quality"]          # the clauses that decide
"#;

type Failure = Box<dyn std::error::Error>;

impl Init {
    pub(super) fn run(&self) -> Exit {
        match self.init() {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&*error);
                Exit::Invalid
            }
        }
    }

    fn init(&self) -> Result<(), Failure> {
        let folder = &self.policies;
        if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!("`{}` is not empty; name another folder", folder.display()).into());
        }
        match &self.notice {
            None => super::demo::write_policies(folder)?,
            Some(notice) => self.start(notice)?,
        }
        say(format_args!(
            "wrote `{}`\n\nNext:\n  noticegate check  --policies {0}   # what is left to do, with file and line\n  \
             noticegate derive --policies {0}   # writes the Cedar policies\n  noticegate test   --policies {0}",
            folder.display()
        ));
        Ok(())
    }

    fn start(&self, file: &Path) -> Result<(), Failure> {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        let markup = name.as_deref().and_then(Markup::of);
        let markup = markup.ok_or("a notice is a .md, .html or .txt file")?;
        let unreadable = |error| format!("cannot read `{}`: {error}", file.display());
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        let extension = file.extension().map(|e| e.to_string_lossy().into_owned());
        let own = format!("notice.{}", extension.unwrap_or_default());
        let day = self
            .effective
            .unwrap_or_else(|| TimeZone::UTC.to_datetime(Clock::system().now()).date());
        let clauses = clauses(&text, markup, &own, day, &self.published);
        let notice = self.policies.join("notices").join(day.to_string());
        for (path, text) in [
            (self.policies.join("vocabulary.toml"), VOCABULARY),
            (self.policies.join("guardrails.cedar"), GUARDRAILS),
            (self.policies.join("administration.cedar"), ADMINISTRATION),
            (self.policies.join("tests/first.toml"), FIRST_TEST),
            (notice.join(&own), &text),
            (notice.join("clauses.toml"), &clauses),
        ] {
            super::demo::write(&path, text)?;
        }
        for (name, text) in super::demo::LAW {
            super::demo::write(&self.policies.join(name), text)?;
        }
        Ok(())
    }
}

/// A header and, for each sentence that speaks of recordings, a clause that is still undecided.
fn clauses(text: &str, markup: Markup, file: &str, day: jiff::civil::Date, url: &str) -> String {
    let mut problems = Vec::new();
    let vocabulary = Vocabulary::read(VOCABULARY, &mut problems);
    let read = NoticeText::new(text, markup);
    // What stands before the first sentence is a heading.
    let first = read.sentences().first().map_or(0, |sentence| sentence.range.start);
    let title: String = read.get(0..first).chars().take(200).collect();
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let sha256 = text_digest(text);
    let mut out = format!(
        "# What the published notice means, sentence by sentence. docs/policy-guide.md explains \
         every key.\n\
         title = {}\npublished = {}\n\
         # From this second it governs new recordings.\neffective = \"{day}T00:00:00Z\"\n\
         # The day people were told of it, if the notice before promised them some time.\n\
         #announced = \"{day}\"\ntext = \"{file}\"\n\
         # The text cannot change unnoticed: a changed notice is a new folder.\nsha256 = \"{sha256}\"\n\n\
         # Below is one clause for each sentence that speaks of recordings. Change its `id` to a \
         short name\n# and its `effect` to what the sentence says:\n\
         #   permit   roles = [\"…\"], purposes = [\"…\"], and what it needs: needs = [\"consent\"], \
         until = \"12 months\"\n\
         #   forbid   purposes = [\"marketing\"]\n\
         #   keep     period = \"12 months\"\n\
         #   require  needs = [\"consent\"], or only = {{ purposes = [\"…\"] }}\n\
         #   inform   no rule: rights, contact, security\n\
         # A sentence may have several clauses. While one is `undecided`, the folder cannot be \
         used.\n",
        quoted(title.trim()),
        quoted(url),
    );
    let notice = Notice {
        version: crate::notice::NoticeVersion::of_day(day),
        header: NoticeHeader {
            title: String::new(),
            published: String::new(),
            effective: jiff::Timestamp::UNIX_EPOCH,
            announced: None,
            text: file.to_owned(),
            sha256,
        },
        text: read,
        clauses: Vec::new(),
        asides: Vec::new(),
    };
    let uncovered = Coverage::of(&notice, &vocabulary).sentences;
    let about = uncovered.into_iter().filter(|covered| covered.rest.is_some());
    for (number, covered) in about.enumerate() {
        let quote = notice.text.get(covered.sentence.range);
        let too_short = if quote.len() < crate::notice::QUOTE_BYTES_MIN {
            "# Quote more of the text around it: this is too short to prove anything.\n"
        } else {
            ""
        };
        out.push_str(&format!(
            "\n# {file}:{}\n{too_short}[[clause]]\nid = \"clause-{}\"\nquote = {}\neffect = \"undecided\"\n",
            covered.sentence.line,
            number + 1,
            quoted(quote),
        ));
    }
    out
}
