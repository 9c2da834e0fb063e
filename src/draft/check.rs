//! What a draft would be among the policies: its texts in the folder's place, derived, and checked
//! as the whole folder is.

use super::{Draft, notice_of};
use crate::notice::{Notice, NoticeVersion, Problem};
use crate::policy::{self, NoticeSource, Policies, PolicySources, text_digest};

/// A draft among the policies it is on top of.
#[derive(Debug)]
pub struct Checked {
    /// The version.
    version: NoticeVersion,
    /// Everything that the folder would hold.
    pub sources: PolicySources,
    /// What was read and derived, right or wrong.
    pub read: policy::Draft,
    /// The policies that it would be; `None` if something is wrong with them.
    pub policies: Option<Policies>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Which of a draft's two files something is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCheck {
    /// The notice's text.
    Text,
    /// `clauses.toml`.
    Meaning,
    /// Another file of the folder.
    Other,
}

impl Checked {
    /// Puts a version's texts among others and checks the whole.
    #[must_use]
    pub fn new(version: &NoticeVersion, text: &str, meaning: &str, base: &PolicySources) -> Self {
        let mut sources = base.clone();
        let notice = NoticeSource {
            version: version.to_string(),
            meaning: meaning.to_owned(),
            text: text.to_owned(),
            clauses: String::new(),
        };
        match sources.notices.iter_mut().find(|known| known.version == notice.version) {
            Some(known) => *known = notice,
            None => sources.notices.push(notice),
        }
        // As a folder is read.
        sources.notices.sort_by(|a, b| a.version.cmp(&b.version));
        let read = policy::Draft::read(&sources);
        if let Ok(derived) = read.derive() {
            for notice in &mut sources.notices {
                let path = format!("notices/{}/clauses.cedar", notice.version);
                if let Some(file) = derived.iter().find(|file| file.path == path)
                    && notice.version == version.as_str()
                {
                    notice.clauses.clone_from(&file.text);
                }
            }
        }
        let (policies, problems) = match Policies::load(&sources) {
            Ok(policies) => (Some(policies), Vec::new()),
            Err(error) => (None, error.problems),
        };
        Self { version: version.clone(), sources, read, policies, problems }
    }

    /// The same of a draft.
    #[must_use]
    pub fn of(draft: &Draft, base: &PolicySources) -> Self {
        Self::new(&draft.version, &draft.text, &draft.meaning, base)
    }

    /// What the version's texts say, if they can be read.
    #[must_use]
    pub fn notice(&self) -> Option<&Notice> {
        self.read.notices().version(&self.version)
    }

    /// What its clauses derive; empty if something is wrong.
    #[must_use]
    pub fn derived(&self) -> &str {
        notice_of(&self.sources, &self.version).map_or("", |notice| notice.clauses.as_str())
    }

    /// What of the policies is wrong but not only worth a look.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| !problem.warning)
    }

    /// Which of the draft's files a problem is about.
    #[must_use]
    pub fn file_of(&self, problem: &Problem) -> FileCheck {
        let folder = format!("notices/{}/", self.version);
        match problem.file.strip_prefix(&folder) {
            Some("clauses.toml") => FileCheck::Meaning,
            Some("clauses.cedar") | None => FileCheck::Other,
            Some(_) => FileCheck::Text,
        }
    }
}

/// `clauses.toml` with the digest of this text in its header, where the header has one.
#[must_use]
pub fn seal(meaning: &str, text: &str) -> String {
    let digest = text_digest(text);
    let mut open = true;
    let line = |line: &str| {
        // The header ends where the first clause begins.
        open = open && !line.trim_start().starts_with('[');
        let key = line.split_once('=').map(|(key, _)| key.trim());
        match open && key == Some("sha256") {
            true => format!("sha256 = \"{digest}\"\n"),
            false => line.to_owned(),
        }
    };
    meaning.split_inclusive('\n').map(line).collect()
}
