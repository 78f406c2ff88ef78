use super::canonical::{canonical, sha256};
use super::row::{json, maybe_instant, micros, parsed};
use super::{Action, Change, Note, Result, State};
use crate::record::{Id, Rule, Timestamp};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

/// A rule of AFO's confirmed policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRule {
    pub rule: Rule,
    /// The deployment that brought it in.
    pub deployment: Id,
    /// When it ends by itself, where it has a time to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Change<'_> {
    /// Makes `rules`, in their order, the confirmed policy in place of what it was.
    ///
    /// # Errors
    /// When a deployment of them is not in the state, or the state cannot be written.
    pub fn policy(&self, rules: &[PolicyRule], reason: &str) -> Result<()> {
        self.run("DELETE FROM policy", [])?;
        let mut content = Vec::new();
        for (position, rule) in rules.iter().enumerate() {
            let body = serde_json::to_string(&rule.rule).expect("a rule has string keys and no non-finite number");
            let expires = rule.expires.map(micros);
            content.push(content_of(rule.deployment.as_str(), expires, &body));
            let values = params![
                i64::try_from(position).unwrap_or(i64::MAX),
                rule.rule.id.as_str(),
                rule.deployment.as_str(),
                expires,
                body,
            ];
            self.run("INSERT INTO policy (position, rule, deployment, expires, json) VALUES (?, ?, ?, ?, ?)", values)?;
        }
        let ids: Vec<String> = rules.iter().map(|rule| rule.rule.id.to_string()).collect();
        self.audit(&Note::new(Action::Policy, "policy", reason).with("rules", ids).with("content", content))
    }
}

/// What the trail keeps of a rule of the policy beside its id: the SHA-256 of everything else that the table holds of it, so that no
/// rule can be made another one, last longer or be another deployment's without its showing.
fn content_of(deployment: &str, expires: Option<i64>, body: &str) -> String {
    sha256(&canonical(&serde_json::json!({ "deployment": deployment, "expires": expires, "json": body })))
}

/// A row of the policy as the trail knows it: the rule's id and the hash of its content.
pub(super) fn identity(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    let (deployment, body): (String, String) = (row.get("deployment")?, row.get("json")?);
    Ok((row.get("rule")?, content_of(&deployment, row.get("expires")?, &body)))
}

impl State {
    /// AFO's confirmed rules in their order, those among them that have ended by now as well ([`PolicyRule::expires`]).
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn policy_rules(&self) -> Result<Vec<PolicyRule>> {
        self.rows("SELECT * FROM policy ORDER BY position", [], |row| {
            Ok(PolicyRule {
                rule: json(row, "json")?,
                deployment: parsed(row, "deployment")?,
                expires: maybe_instant(row, "expires")?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Action as Verdict, Direction};
    use crate::state::sample::{anna, at, id, with_deployment};

    fn rule(name: &str, expires: Option<i64>) -> PolicyRule {
        let rule = Rule::new(id(name), Verdict::Drop, Direction::Input);
        PolicyRule { rule, deployment: id("d1"), expires: expires.map(at) }
    }

    #[test]
    fn the_policy_is_replaced_whole_and_keeps_its_order() {
        let mut state = with_deployment();
        let change = state.begin(at(1), &anna()).expect("begin");
        let rules = [rule("r9", Some(90)), rule("r1", None), rule("r5", Some(50))];
        change.policy(&rules, "confirmed").expect("policy");
        assert_eq!(change.policy_rules().expect("rules"), rules);
        change.policy(&rules[1..2], "r9 and r5 are over").expect("policy");
        assert_eq!(change.policy_rules().expect("rules"), rules[1..2]);
        assert!(change.policy(&[PolicyRule { deployment: id("d9"), ..rule("r1", None) }], "x").is_err());
    }
}
