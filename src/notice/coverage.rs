//! Coverage: what each sentence of a notice became.
//!
//! A sentence that speaks of recordings, or that some clause quotes, and of which some word lies in
//! no quote is uncovered: what was left out may be the "never" or the "only if". What counts as
//! speaking of recordings is a list of beginnings of words (`coverage.words` in the vocabulary), so
//! that it errs towards asking.

use std::ops::Range;

use super::clause::Effect;
use super::vocabulary::Vocabulary;
use super::{Notice, NoticeText, Sentence};

/// What a sentence became. Of several, the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It speaks of recordings, and some of it is in no clause.
    Uncovered,
    /// A person must decide what it means.
    Undecided,
    /// It is a rule.
    Rule,
    /// It informs.
    Information,
    /// It is marked as promising nothing.
    Aside,
    /// It does not speak of recordings.
    NotAboutRecordings,
}

impl Class {
    /// As a report says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uncovered => "uncovered",
            Self::Undecided => "undecided",
            Self::Rule => "rule",
            Self::Information => "information",
            Self::Aside => "aside",
            Self::NotAboutRecordings => "not about recordings",
        }
    }
}

/// One sentence and what it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The sentence.
    pub sentence: Sentence,
    /// What it became.
    pub class: Class,
    /// The clauses that quote it.
    pub clauses: Vec<String>,
    /// The part that no clause quotes, if it is uncovered.
    pub rest: Option<Range<usize>>,
}

/// What the sentences of a notice became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// In order of the text.
    pub sentences: Vec<Covered>,
}

impl Coverage {
    /// Looks at every sentence of a notice.
    #[must_use]
    pub fn of(notice: &Notice, vocabulary: &Vocabulary) -> Self {
        let places = |quote: &str| notice.text.find_all(quote).unwrap_or_default().into_iter();
        let clauses = notice.clauses.iter().flat_map(|clause| {
            let class = match &clause.effect {
                Effect::Rule(_) => Class::Rule,
                Effect::Inform { .. } => Class::Information,
                Effect::Undecided => Class::Undecided,
            };
            places(&clause.quote).map(move |range| (range, class, Some(clause.id.as_str())))
        });
        let asides = notice.asides.iter().flat_map(|aside| places(&aside.quote));
        let asides = asides.map(|range| (range, Class::Aside, None));
        let mut quotes: Vec<Quoted<'_>> = clauses.chain(asides).collect();
        quotes.sort_by_key(|(range, ..)| range.start);
        let longest = quotes.iter().map(|(range, ..)| range.len()).max().unwrap_or(0);
        let cover = |sentence: &Sentence| {
            // Quotes that start too early cannot reach the sentence.
            let from = sentence.range.start.saturating_sub(longest);
            let first = quotes.partition_point(|(range, ..)| range.start < from);
            let near = quotes.get(first..).unwrap_or_default().iter();
            let near = near.take_while(|(range, ..)| range.start < sentence.range.end);
            let near: Vec<_> = near.filter(|(r, ..)| r.end > sentence.range.start).collect();
            classify(&notice.text, sentence, &near, &vocabulary.coverage_words)
        };
        Self { sentences: notice.text.sentences().iter().map(cover).collect() }
    }

    /// How many sentences became this.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        self.sentences.iter().filter(|covered| covered.class == class).count()
    }

    /// Of the sentences that speak of recordings, the share that is a rule, information or an
    /// aside, in whole percent, rounded down.
    #[must_use]
    pub fn percent(&self) -> usize {
        let open = self.count(Class::Uncovered) + self.count(Class::Undecided);
        let about = self.sentences.len() - self.count(Class::NotAboutRecordings);
        ((about - open) * 100).checked_div(about).unwrap_or(100)
    }
}

type Quoted<'a> = (Range<usize>, Class, Option<&'a str>);

fn classify(
    text: &NoticeText,
    sentence: &Sentence,
    quotes: &[&Quoted<'_>],
    words: &[String],
) -> Covered {
    let mut uncovered = Vec::new();
    let mut at = sentence.range.start;
    for (range, ..) in quotes {
        if range.start > at {
            uncovered.push(at..range.start);
        }
        at = at.max(range.end);
    }
    if at < sentence.range.end {
        uncovered.push(at..sentence.range.end);
    }
    let about = !quotes.is_empty() || speaks(text.get(sentence.range.clone()), words);
    let wordy = |range: &Range<usize>| text.get(range.clone()).contains(char::is_alphanumeric);
    let rest = uncovered.into_iter().find(|range| about && wordy(range));
    let class = match (&rest, quotes.iter().map(|(_, class, _)| *class).min()) {
        (Some(_), _) => Class::Uncovered,
        (None, Some(class)) => class,
        (None, None) => Class::NotAboutRecordings,
    };
    let clauses = quotes.iter().filter_map(|(_, _, id)| id.map(str::to_owned)).collect();
    Covered { sentence: sentence.clone(), class, clauses, rest }
}

/// True if some word begins as one of the list does.
fn speaks(text: &str, beginnings: &[String]) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.any(|word| {
        let word = word.to_lowercase();
        beginnings.iter().any(|beginning| word.starts_with(beginning.as_str()))
    })
}
