//! What AFO's policy is after a change: an ordered list of rules.

use crate::record::{Change, ChangeOp};
use crate::rule::{Id, Position, Rule};
use std::collections::{HashMap, HashSet};

/// Rules to be found by their ids, each of which is there once.
#[derive(Debug)]
pub struct Index<'a>(HashMap<&'a Id, &'a Rule>);

impl<'a> Index<'a> {
    /// Of these.
    pub fn of(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        Self(rules.into_iter().map(|rule| (&rule.id, rule)).collect())
    }

    /// The rule of this id.
    pub fn get(&self, id: &Id) -> Option<&'a Rule> {
        self.0.get(id).copied()
    }

    /// Whether exactly this rule is among them.
    pub fn holds(&self, rule: &Rule) -> bool {
        self.get(&rule.id).is_some_and(|there| there == rule)
    }
}

/// The rules of `after` that are not in `before`, or are others there.
pub fn added(before: &[Rule], after: &[Rule]) -> Vec<Rule> {
    let before = Index::of(before);
    after.iter().filter(|rule| !before.holds(rule)).cloned().collect()
}

/// Why a change cannot be made to the policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("rule {0} is not among AFO's rules")]
    NoSuchRule(String),
    #[error("rule {0} is there already with other content; remove it first or give the new one another id")]
    Differs(Id),
    #[error("the change of {0} brings no rule")]
    NoRule(String),
    #[error("a default policy cannot be changed by this version; add a last rule that drops instead")]
    DefaultPolicy,
}

/// `policy` with `changes` made and `rules` added, each where its position says. What is there already is not added again.
///
/// # Errors
/// When a change names a rule that is not there, or a rule of the same id is there with other content.
pub fn changed(policy: &[Rule], rules: &[Rule], changes: &[Change]) -> Result<Vec<Rule>, PolicyError> {
    let mut list = policy.to_vec();
    for change in changes {
        apply(&mut list, change)?;
    }
    let mut known: HashSet<Id> = list.iter().map(|rule| rule.id.clone()).collect();
    for rule in rules {
        let new = known.insert(rule.id.clone());
        add(&mut list, rule, new)?;
    }
    Ok(list)
}

fn index(list: &[Rule], id: &str) -> Result<usize, PolicyError> {
    list.iter().position(|rule| rule.id.as_str() == id).ok_or_else(|| PolicyError::NoSuchRule(id.to_owned()))
}

fn apply(list: &mut Vec<Rule>, change: &Change) -> Result<(), PolicyError> {
    if change.op == ChangeOp::Policy {
        return Err(PolicyError::DefaultPolicy);
    }
    let at = index(list, &change.target)?;
    match change.op {
        ChangeOp::Remove => drop(list.remove(at)),
        ChangeOp::Disable => list[at].enabled = false,
        ChangeOp::Enable => list[at].enabled = true,
        ChangeOp::Replace | ChangeOp::Policy => {
            list[at] = change.rule.clone().ok_or_else(|| PolicyError::NoRule(change.target.clone()))?;
        }
    }
    Ok(())
}

/// Adds a rule, which is `new` where no rule of the list has its id.
fn add(list: &mut Vec<Rule>, rule: &Rule, new: bool) -> Result<(), PolicyError> {
    if !new {
        let same = list.iter().any(|there| there == rule);
        return if same { Ok(()) } else { Err(PolicyError::Differs(rule.id.clone())) };
    }
    let at = match &rule.position {
        Position::Auto | Position::Last => list.len(),
        Position::First => 0,
        Position::Before(id) => index(list, id.as_str())?,
        Position::After(id) => index(list, id.as_str())? + 1,
    };
    list.insert(at, rule.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Action, Direction};

    fn rule(id: &str, position: &str) -> Rule {
        let mut rule = Rule::new(id.parse().expect("id"), Action::Drop, Direction::Input);
        rule.position = position.parse().expect("position");
        rule
    }

    fn ids(list: &[Rule]) -> Vec<&str> {
        list.iter().map(|r| r.id.as_str()).collect()
    }

    #[test]
    fn each_rule_goes_where_it_says() {
        let policy = [rule("a", "auto"), rule("b", "auto")];
        let added = [rule("c", "first"), rule("d", "before:b"), rule("e", "after:a"), rule("f", "last")];
        assert_eq!(ids(&changed(&policy, &added, &[]).expect("changed")), ["c", "a", "e", "d", "b", "f"]);
        let words = changed(&policy, &[rule("x", "before:zz")], &[]).expect_err("no zz").to_string();
        assert_eq!(words, "rule zz is not among AFO's rules");
    }

    #[test]
    fn twice_is_once_and_a_different_one_is_refused() {
        let policy = [rule("a", "auto")];
        assert_eq!(changed(&policy, &policy, &[]).expect("same"), policy);
        let mut other = rule("a", "auto");
        other.action = Action::Accept;
        assert!(matches!(changed(&policy, &[other], &[]), Err(PolicyError::Differs(_))));
    }

    #[test]
    fn what_is_added_is_new_or_another_one() {
        let mut other = rule("a", "auto");
        other.action = Action::Accept;
        let before = [rule("a", "auto"), rule("b", "auto")];
        let after = [rule("b", "auto"), other, rule("c", "auto")];
        assert_eq!(ids(&added(&before, &after)), ["a", "c"]);
        assert!(added(&before, &before).is_empty());
        let index = Index::of(&before);
        assert!(index.holds(&before[1]) && !index.holds(&after[1]) && index.get(&after[2].id).is_none());
    }

    #[test]
    fn changes_are_made_to_what_is_there() {
        let change = |op| Change { op, target: "a".into(), rule: None };
        let policy = [rule("a", "auto")];
        assert!(changed(&policy, &[], &[change(ChangeOp::Remove)]).expect("removed").is_empty());
        assert!(!changed(&policy, &[], &[change(ChangeOp::Disable)]).expect("disabled")[0].enabled);
        assert_eq!(changed(&policy, &[], &[change(ChangeOp::Replace)]), Err(PolicyError::NoRule("a".into())));
        assert_eq!(changed(&policy, &[], &[change(ChangeOp::Policy)]), Err(PolicyError::DefaultPolicy));
        assert!(changed(&[], &[], &[change(ChangeOp::Remove)]).is_err());
    }
}
