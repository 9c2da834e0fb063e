//! Questions in the form that the official `cedar run-tests` command reads, with what is decided
//! here as its expectation: anybody can check with a program that is not ours.

use serde_json::{Value, json};

use super::request::Failure;
use super::{Policies, Question, Reason, Verdict};

impl Policies {
    /// A question as a test for `cedar run-tests`; `None` if it is decided before it comes to
    /// Cedar (no purpose, or one that the vocabulary does not have).
    ///
    /// # Errors
    /// What Cedar objects to in the request or its entities.
    pub fn exported(&self, name: &str, question: Question) -> Result<Option<Value>, String> {
        self.export(name, question).map_err(|error| error.to_string())
    }

    fn export(&self, name: &str, question: Question) -> Result<Option<Value>, Failure> {
        let purpose = match &question.purpose {
            Some(purpose) if self.vocabulary.purposes.contains_key(purpose) => purpose.clone(),
            _ => return Ok(None),
        };
        let request = self.names.request(&question, &purpose, Some(self.schema()))?;
        let entities = self.names.build(&question, self, Some(self.schema()))?;
        let part = |part: Option<&cedar_policy::EntityUid>| part.map(ToString::to_string);
        let context = request.context().map(cedar_policy::Context::to_json_value).transpose()?;
        let (principal, action) = (part(request.principal()), part(request.action()));
        let resource = part(request.resource());
        let (decision, reason) = match self.decide(question) {
            Verdict::Permit(permit) => ("allow", ids(&permit.decision().citations)),
            Verdict::Refuse(refusal) => match refusal.reason {
                Reason::Forbidden => ("deny", ids(&refusal.decision.citations)),
                // Undecidable here is an error there; it has no place in a test.
                Reason::Undecidable(_) => return Ok(None),
                _ => ("deny", Vec::new()),
            },
        };
        Ok(Some(json!({
            "name": name,
            "request": {
                "principal": principal,
                "action": action,
                "resource": resource,
                "context": context,
            },
            "entities": entities.to_json_value()?,
            "decision": decision,
            "reason": reason,
            "num_errors": 0,
        })))
    }
}

fn ids(citations: &[std::sync::Arc<super::Citation>]) -> Vec<String> {
    citations.iter().map(|citation| citation.policy.clone()).collect()
}
