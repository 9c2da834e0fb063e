//! What is asked of the log, as it stands in the address of the page: every filter is there, so that
//! a page can be kept, sent to others, and gone back to.

use form_urlencoded::{Serializer, parse};

use super::super::super::problem::Problem;
use crate::ledger::{Field, Question};

/// LIMIT: parts of one question.
const PARTS_MAX: usize = 64;

/// How far back the log goes, unless it is told.
const SINCE: &str = "30d";

/// What is shown of what matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Disclosures, folded into listening sessions.
    Sessions,
    /// Requests that were refused.
    Refusals,
    /// Every entry.
    All,
}

impl Show {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Refusals => "refusals",
            Self::All => "all",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Sessions, Self::Refusals, Self::All].into_iter().find(|show| show.as_str() == text)
    }
}

/// A question to the log.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The parts, as they stand in the address.
    pairs: Vec<(String, String)>,
    /// What is shown.
    pub(super) show: Show,
    /// Where the page before ended.
    pub(super) after: Option<String>,
}

impl Asked {
    /// Reads the query of an address.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut asked = Self { pairs: Vec::new(), show: Show::Sessions, after: None };
        for (name, value) in parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "show" => {
                    asked.show = Show::read(&value).ok_or_else(|| {
                        Problem::bad_value("sessions, refusals or all").about("show")
                    })?;
                }
                "after" => asked.after = Some(value.into_owned()).filter(|after| !after.is_empty()),
                // A browser keeps addresses, and sends them to others who look over a shoulder.
                "number" => {
                    let problem = "a telephone number must not stand in an address; find the \
                                   person on the page of people";
                    return Err(Problem::bad_request(problem));
                }
                _ if value.trim().is_empty() && name != "since" => {}
                _ => asked.add(&name, &value),
            }
        }
        if asked.pairs.len() > PARTS_MAX {
            return Err(Problem::bad_request("the address asks for too many things at once"));
        }
        if !asked.pairs.iter().any(|(name, _)| name == "since" || name == "until") {
            asked.pairs.insert(0, ("since".to_owned(), SINCE.to_owned()));
        }
        // Whatever is wrong with it is told before anything is looked up.
        asked.question().map(|_| asked)
    }

    /// Everything with one value in a field.
    pub(super) fn of_all_time(field: Field, value: &str) -> Result<Self, Problem> {
        Self::read(Some("since=")).map(|asked| asked.with(field.as_str(), value))
    }

    fn add(&mut self, name: &str, value: &str) {
        let pair = (name.to_owned(), value.trim().to_owned());
        if !self.pairs.contains(&pair) {
            self.pairs.push(pair);
        }
    }

    /// The same for the index.
    pub(super) fn question(&self) -> Result<Question, Problem> {
        let mut question = Question::default();
        for (name, value) in &self.pairs {
            question.add(name, value)?;
        }
        Ok(question)
    }

    /// True if it asks for what only who may read of people may find. The number of a person that
    /// tells nothing is none of it.
    pub(super) fn is_of_people(&self) -> bool {
        let tells = |(name, value): &(String, String)| {
            let name = match name.as_str() {
                "not" => value.split('=').next().unwrap_or_default(),
                name => name,
            };
            let field = name.parse::<Field>();
            name == "words" || field.is_ok_and(|f| f.is_personal() && f != Field::Person)
        };
        self.pairs.iter().any(tells)
    }

    /// The person it is about, if it is about one.
    pub(super) fn person(&self) -> Option<u64> {
        let mut people = self.values("person");
        let person = people.next()?.parse().ok();
        if people.next().is_some() { None } else { person }
    }

    /// The parts, without those that are empty.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        parts.filter(|(_, value)| !value.is_empty())
    }

    /// The values of one part.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parts().filter(move |(part, _)| *part == name).map(|(_, value)| value)
    }

    /// The first value of one part.
    pub(super) fn value(&self, name: &str) -> &str {
        self.values(name).next().unwrap_or_default()
    }

    /// The same, and one value more.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut asked = Self { after: None, ..self.clone() };
        asked.add(name, value);
        asked
    }

    /// The same without one of its parts. Without a beginning it is about all time.
    pub(super) fn without(&self, name: &str, value: &str) -> Self {
        let mut asked = Self { after: None, ..self.clone() };
        asked.pairs.retain(|(part, its)| !(part == name && its == value));
        if name == "since" {
            asked.pairs.insert(0, ("since".to_owned(), String::new()));
        }
        asked
    }

    /// The same within a span of time.
    pub(super) fn between(&self, since: &str, until: &str) -> Self {
        let mut asked = Self { after: None, ..self.clone() };
        asked.pairs.retain(|(part, _)| part != "since" && part != "until");
        asked.add("since", since);
        asked.add("until", until);
        asked
    }

    /// The same, showing something else.
    pub(super) fn showing(&self, show: Show) -> Self {
        Self { show, after: None, ..self.clone() }
    }

    /// The same, from where a page ended.
    pub(super) fn after(&self, after: &str) -> Self {
        Self { after: Some(after.to_owned()), ..self.clone() }
    }

    /// The address of a page that asks this.
    pub(super) fn href(&self, path: &str) -> String {
        let mut query = Serializer::new(String::new());
        if self.show != Show::Sessions {
            query.append_pair("show", self.show.as_str());
        }
        for (name, value) in &self.pairs {
            query.append_pair(name, value);
        }
        if let Some(after) = &self.after {
            query.append_pair("after", after);
        }
        format!("{path}?{}", query.finish())
    }

    /// What is asked, for the record: the values that could tell of people are left out.
    pub(super) fn told(&self) -> String {
        let mut told = self.show.as_str().to_owned();
        for (name, value) in self.parts() {
            let is_open = name.parse::<Field>().is_ok_and(|field| !field.is_personal())
                || matches!(name, "since" | "until" | "person");
            told.push_str(&if is_open { format!(" {name}={value}") } else { format!(" {name}") });
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_everything_that_is_asked() {
        let asked = Asked::read(Some("purpose=a&purpose=b&caller=&not=ending%3Dcomplete")).unwrap();
        assert_eq!(asked.value("since"), "30d");
        assert_eq!(asked.href("/log"), "/log?since=30d&purpose=a&purpose=b&not=ending%3Dcomplete");
        let again = Asked::read(asked.href("").strip_prefix('?')).unwrap();
        assert_eq!(again.href(""), asked.href(""));
        assert_eq!(asked.without("since", "30d").value("since"), "");
        assert_eq!(
            Asked::read(Some("since=")).unwrap().href("/log"),
            "/log?since=",
            "all time is asked for by saying so"
        );
    }

    #[test]
    fn what_tells_of_people_is_known() {
        for (query, of_people) in [
            ("purpose=a", false),
            ("person=7", false),
            ("words=smith", true),
            ("address=192.0.2.7", true),
            ("not=address%3D192.0.2.7", true),
        ] {
            assert_eq!(Asked::read(Some(query)).unwrap().is_of_people(), of_people, "{query}");
        }
        assert!(Asked::read(Some("number=%2B14045550123")).is_err());
        assert!(!Asked::read(Some("words=smith")).unwrap().told().contains("smith"));
    }
}
