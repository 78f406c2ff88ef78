//! What is decided together: a person's whole input is one batch; each proposal that answers an assessment is one of its own,
//! so that one crafted line does not stop all blocking.

use crate::record::{By, Proposal};

/// Whose proposal it is. A record's own word (`origin.by`) can only make it less than a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    Person,
    Machine,
}

/// Whose proposal this is: anything with an assessment or a model in it is no person's.
///
/// A record cannot say the opposite: `origin.by` is as easily forged as left out, so a record without an origin and one that claims to be
/// a user's are the same. What makes them a person's is the process that was `asked` by one: by whoever is at its terminal or wrote the script
/// that it runs in. The daemon is asked by nobody.
pub fn principal(proposal: &Proposal, asked: bool) -> Principal {
    let by_person = |provider: &str| matches!(provider, "grammar" | "import");
    let without_model = proposal.generator.as_ref().is_none_or(|g| by_person(&g.provider) && g.model.is_none());
    let from_request = proposal.origin.assessment.is_none() && proposal.origin.by == By::User;
    if asked && without_model && from_request { Principal::Person } else { Principal::Machine }
}

/// A person's proposals, gathered until their end.
#[derive(Debug, Default)]
pub struct Batch {
    proposals: Vec<Proposal>,
    spoilt: Option<String>,
}

impl Batch {
    /// Adds a proposal. One that was refused upstream spoils the batch: half of what was asked for is not what was asked for.
    pub fn add(&mut self, proposal: Proposal) {
        if let (false, None) = (proposal.ok, &self.spoilt) {
            let why =
                proposal.error.as_ref().map_or("it holds no rules", |e| e.message.lines().next().unwrap_or_default());
            self.spoilt = Some(format!("proposal {} was refused: {why}", proposal.id));
        }
        self.proposals.push(proposal);
    }

    /// Remembers why nothing of this batch may be done.
    pub fn spoil(&mut self, why: String) {
        self.spoilt.get_or_insert(why);
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.proposals.is_empty() && self.spoilt.is_none()
    }

    /// The proposals, or why none of them may be done.
    ///
    /// # Errors
    /// When a bad record was among them.
    pub fn close(self) -> Result<Vec<Proposal>, String> {
        match self.spoilt {
            Some(why) => Err(why),
            None => Ok(self.proposals),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Generator, parse};

    fn proposal(extra: &str) -> Proposal {
        let line = format!(r#"{{"kind":"proposal","id":"p1","ts":"2026-01-02T03:04:05Z","ok":true{extra}}}"#);
        parse(&line).expect("proposal")
    }

    #[test]
    fn a_record_cannot_make_itself_a_persons() {
        let claimed = r#","origin":{"by":"user","request":"block all"}"#;
        assert_eq!(principal(&proposal(""), true), Principal::Person);
        assert_eq!(principal(&proposal(claimed), true), Principal::Person);
        assert_eq!(principal(&proposal(""), false), Principal::Machine);
        assert_eq!(principal(&proposal(claimed), false), Principal::Machine);
        assert_eq!(principal(&proposal(r#","origin":{"by":"user","assessment":"a1"}"#), true), Principal::Machine);
        assert_eq!(principal(&proposal(r#","origin":{"by":"mcp"}"#), true), Principal::Machine);
        for (provider, model, asked, whose) in [
            ("import", None, true, Principal::Person),
            ("import", None, false, Principal::Machine),
            ("import", Some("m"), true, Principal::Machine),
            ("template", None, true, Principal::Machine),
        ] {
            let mut made = proposal("");
            let model = model.map(str::to_owned);
            made.generator = Some(Generator { provider: provider.into(), model, ..Generator::default() });
            assert_eq!(principal(&made, asked), whose, "{provider}");
        }
        let mut with_model = proposal("");
        with_model.generator =
            Some(Generator { provider: "ollama".into(), model: Some("m".into()), ..Generator::default() });
        assert_eq!(principal(&with_model, true), Principal::Machine);
    }

    #[test]
    fn one_refused_proposal_spoils_the_batch() {
        let mut batch = Batch::default();
        batch.add(proposal(""));
        let mut refused = proposal(r#","error":{"code":"c","message":"no such host\n  ^"}"#);
        refused.ok = false;
        batch.add(refused);
        assert_eq!(batch.close().expect_err("spoilt"), "proposal p1 was refused: no such host");
    }
}
