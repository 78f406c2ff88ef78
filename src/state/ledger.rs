//! What the trail says that the tables hold. A row that was changed without an entry, or taken out, is found by comparing.

use super::approval::standing;
use super::canonical::sha256;
use super::policy::identity;
use super::row::micros;
use super::verify::Broken;
use super::{AuditEntry, Result, State};
use crate::record::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Direction, address, protocol and ports of a block, as in the table.
type Key = (String, String, String, String);

/// The hashes of a deployment's policy before and after it.
type Policies = (String, String);

/// The state of affairs after the entries noted so far, each fact with the entry that says it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    proposals: BTreeMap<String, (String, u64)>,
    /// The status of each approval, and the hash of what it is bound to.
    approvals: BTreeMap<String, ((String, String), u64)>,
    deployments: BTreeMap<String, (String, u64)>,
    /// Of the deployments whose entry tells it.
    policies: BTreeMap<String, (Policies, u64)>,
    blocks: BTreeMap<Key, (Option<i64>, u64)>,
    policy: Said,
}

/// What the newest entry says of the policy.
#[derive(Debug, Default)]
struct Said {
    seq: u64,
    rules: Vec<String>,
    /// The hash of each rule's content; none where the entry does not tell it.
    content: Option<Vec<String>>,
}

const STATUSES: [&str; 6] = ["pending", "applied", "confirmed", "rolled_back", "failed", "refused"];

fn text(entry: &AuditEntry, key: &str) -> String {
    entry.detail.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list(entry: &AuditEntry, key: &str) -> Option<Vec<String>> {
    let items = entry.detail.get(key)?.as_array()?.iter();
    Some(items.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The block that an entry is of. An entry that names no direction is of packets from the address.
fn block_key(entry: &AuditEntry, address: String) -> Key {
    let direction = Some(text(entry, "direction")).filter(|word| !word.is_empty());
    (direction.unwrap_or_else(|| "from".to_owned()), address, text(entry, "protocol"), text(entry, "ports"))
}

impl Ledger {
    /// Takes in the next entry.
    pub(super) fn note(&mut self, entry: &AuditEntry) {
        let (kind, name) = entry.object.split_once(':').unwrap_or((&entry.object, ""));
        let name = name.to_owned();
        match (kind, entry.action.as_str()) {
            ("proposal", "propose") => drop(self.proposals.insert(name, (text(entry, "hash"), entry.seq))),
            ("approval", _) => {
                let said = (text(entry, "status"), text(entry, "content"));
                self.approvals.insert(name, (said, entry.seq));
            }
            ("deployment", action) => self.note_deployment(entry, name, action),
            ("block", action) => {
                let key = block_key(entry, name);
                let until =
                    entry.detail.get("until").and_then(Value::as_str).and_then(|ts| ts.parse::<Timestamp>().ok());
                match action {
                    "block" => drop(self.blocks.insert(key, (until.map(micros), entry.seq))),
                    _ => drop(self.blocks.remove(&key)),
                }
            }
            ("policy", "policy") => {
                let rules = list(entry, "rules").unwrap_or_default();
                self.policy = Said { seq: entry.seq, rules, content: list(entry, "content") };
            }
            _ => {}
        }
    }

    fn note_deployment(&mut self, entry: &AuditEntry, name: String, action: &str) {
        let Some(status) = action.strip_prefix("deploy.").filter(|word| STATUSES.contains(word)) else { return };
        let policies = (text(entry, "policy_before"), text(entry, "policy_after"));
        if !policies.0.is_empty() {
            self.policies.insert(name.clone(), (policies, entry.seq));
        }
        self.deployments.insert(name, (status.to_owned(), entry.seq));
    }

    /// The first fact that the tables contradict.
    pub(super) fn against(&self, state: &State) -> Result<Option<Broken>> {
        let mut found = self.proposals_against(state)?;
        found.extend(self.approvals_against(state)?);
        found.extend(self.deployments_against(state)?);
        found.extend(self.policies_against(state)?);
        found.extend(self.blocks_against(state)?);
        found.extend(self.policy_against(state)?);
        found.sort_by_key(|broken| broken.seq.unwrap_or(u64::MAX));
        Ok(found.into_iter().next())
    }

    fn proposals_against(&self, state: &State) -> Result<Vec<Broken>> {
        let rows = state.rows("SELECT id, json FROM proposals", [], |row| {
            Ok((row.get::<_, String>(0)?, sha256(&row.get::<_, String>(1)?)))
        })?;
        Ok(compare(
            &self.proposals,
            rows.into_iter().collect(),
            |id| format!("proposal {id}"),
            |_, _| "is another one".into(),
        ))
    }

    fn approvals_against(&self, state: &State) -> Result<Vec<Broken>> {
        let rows = state.rows("SELECT * FROM approvals", [], standing)?;
        let words = |said: &(String, String), held: &(String, String)| match said.0 != held.0 {
            true => format!("is {} in the state and {} in the trail", held.0, said.0),
            false => "is another one in the state than in the trail".to_owned(),
        };
        Ok(compare(&self.approvals, rows.into_iter().collect(), |id| format!("approval {id}"), words))
    }

    fn deployments_against(&self, state: &State) -> Result<Vec<Broken>> {
        let rows = state.rows("SELECT id, status FROM deployments", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let words = |said: &String, held: &String| format!("is {held} in the state and {said} in the trail");
        Ok(compare(&self.deployments, rows.into_iter().collect(), |id| format!("deployment {id}"), words))
    }

    fn policies_against(&self, state: &State) -> Result<Vec<Broken>> {
        let rows = state.rows("SELECT id, policy_before, policy_after FROM deployments", [], |row| {
            let (before, after): (String, String) = (row.get(1)?, row.get(2)?);
            Ok((row.get::<_, String>(0)?, (sha256(&before), sha256(&after))))
        })?;
        let held = rows.into_iter().filter(|(id, _)| self.policies.contains_key(id)).collect();
        let words = |_: &Policies, _: &Policies| "has another policy in the state than in the trail".to_owned();
        Ok(compare(&self.policies, held, |id| format!("deployment {id}"), words))
    }

    fn blocks_against(&self, state: &State) -> Result<Vec<Broken>> {
        let sql = "SELECT direction, address, protocol, ports, until FROM blocks WHERE ended IS NULL";
        let rows = state.rows(sql, [], |row| {
            let key = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((key, row.get(4)?))
        })?;
        let words = |_: &Option<i64>, _: &Option<i64>| "has another end in the state than in the trail".to_owned();
        let name = |(direction, address, ..): &Key| match direction.as_str() {
            "to" => format!("the block to {address}"),
            _ => format!("the block of {address}"),
        };
        Ok(compare(&self.blocks, rows.into_iter().collect(), name, words))
    }

    fn policy_against(&self, state: &State) -> Result<Vec<Broken>> {
        let rows = state.rows("SELECT * FROM policy ORDER BY position", [], identity)?;
        let (ids, content): (Vec<String>, Vec<String>) = rows.into_iter().unzip();
        let Said { seq, rules, content: said } = &self.policy;
        let broken = |what: String| vec![Broken { seq: Some(*seq), what }];
        if ids != *rules {
            return Ok(broken("the policy has other rules in the state than in the trail".to_owned()));
        }
        let Some(said) = said else { return Ok(vec![]) };
        let other = ids.iter().zip(content.iter().zip(said)).find(|(_, (held, said))| held != said);
        Ok(match other {
            Some((id, _)) => broken(format!("rule {id} of the policy is another one in the state than in the trail")),
            None if content.len() != said.len() => broken("it does not tell the content of every rule".to_owned()),
            None => vec![],
        })
    }
}

/// What differs between what was said (each with its entry) and what is held.
fn compare<K: Ord, V: PartialEq>(
    said: &BTreeMap<K, (V, u64)>,
    mut held: BTreeMap<K, V>,
    name: impl Fn(&K) -> String,
    differ: impl Fn(&V, &V) -> String,
) -> Vec<Broken> {
    let mut found = Vec::new();
    for (key, (value, seq)) in said {
        let what = match held.remove(key) {
            Some(other) if other == *value => continue,
            Some(other) => format!("{} {}", name(key), differ(value, &other)),
            None => format!("{} is not in the state any more", name(key)),
        };
        found.push(Broken { seq: Some(*seq), what });
    }
    found.extend(
        held.keys()
            .map(|key| Broken { seq: None, what: format!("{} is in the state, and no entry says so", name(key)) }),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Action, Direction, Rule};
    use crate::state::sample::{anna, at, id, with_deployment};
    use crate::state::{Action as Deed, Direction as Towards, End, NewBlock, Note, Outcome, PolicyRule};

    /// A state in which everything has happened that the ledger follows.
    fn busy() -> State {
        let mut state = with_deployment();
        let change = state.begin(at(1), &anna()).expect("begin");
        let address = |text: &str| text.parse().expect("address");
        for (text, until) in
            [("203.0.113.1", Some(60)), ("203.0.113.1", Some(90)), ("203.0.113.2", None), ("203.0.113.3", Some(1))]
        {
            change.block(&NewBlock::new(address(text), until.map(at), "x")).expect("block");
        }
        change.expire().expect("expire");
        change.unblock(&address("203.0.113.2"), End::Mistake, "asked").expect("unblock");
        change.block(&NewBlock::new(address("203.0.113.2"), None, "again")).expect("block");
        let rule = |name: &str| PolicyRule {
            rule: Rule::new(id(name), Action::Drop, Direction::Input),
            deployment: id("d1"),
            expires: None,
        };
        change.policy(&[rule("r2"), rule("r1")], "confirmed").expect("policy");
        let confirmed = crate::record::Status::Confirmed;
        change
            .transition(&id("d1"), crate::record::Status::Pending, confirmed, &Outcome::default(), "asked")
            .expect("confirmed");
        let to =
            NewBlock { direction: Towards::To, ..NewBlock::new(address("203.0.113.2"), Some(at(70)), "both ways") };
        change.block(&to).expect("block");
        change.commit().expect("commit");
        state
    }

    #[test]
    fn tables_that_only_afo_wrote_agree_with_the_trail() {
        assert!(busy().verify(None).expect("readable").is_ok());
    }

    #[test]
    fn a_row_changed_behind_the_trail_is_found() {
        for (sql, words) in [
            ("UPDATE proposals SET json = replace(json, 'ssh', 'web')", "entry 1: proposal p1 is another one"),
            (
                "UPDATE deployments SET status = 'rolled_back'",
                "entry 11: deployment d1 is rolled_back in the state and confirmed in the trail",
            ),
            (
                "UPDATE blocks SET until = until + 1 WHERE address = '203.0.113.1'",
                "entry 4: the block of 203.0.113.1 has another end in the state than in the trail",
            ),
            (
                "DELETE FROM blocks WHERE ended IS NULL AND address = '203.0.113.2'",
                "entry 9: the block of 203.0.113.2 is not in the state any more",
            ),
            (
                "UPDATE blocks SET ended = NULL WHERE address = '203.0.113.3'",
                "the block of 203.0.113.3 is in the state, and no entry says so",
            ),
            (
                "UPDATE policy SET position = 9 WHERE rule = 'r2'",
                "entry 10: the policy has other rules in the state than in the trail",
            ),
            (
                "UPDATE policy SET json = replace(json, 'drop', 'accept') WHERE rule = 'r1'",
                "entry 10: rule r1 of the policy is another one in the state than in the trail",
            ),
            (
                "UPDATE policy SET expires = 7 WHERE rule = 'r2'",
                "entry 10: rule r2 of the policy is another one in the state than in the trail",
            ),
            (
                "UPDATE deployments SET policy_after = replace(policy_after, '[]', '[{}]')",
                "entry 2: deployment d1 has another policy in the state than in the trail",
            ),
            (
                "UPDATE deployments SET policy_before = replace(policy_before, '[]', '[{}]')",
                "entry 2: deployment d1 has another policy in the state than in the trail",
            ),
            (
                "DELETE FROM blocks WHERE ended IS NULL AND direction = 'to'",
                "entry 12: the block to 203.0.113.2 is not in the state any more",
            ),
            (
                "UPDATE blocks SET direction = 'from', ports = '1' WHERE direction = 'to'",
                "entry 12: the block to 203.0.113.2 is not in the state any more",
            ),
        ] {
            let state = busy();
            state.db.execute_batch(sql).expect(sql);
            assert_eq!(state.verify(None).expect("readable").expect_err(sql).to_string(), words);
        }
    }

    /// Entries of versions that told less are read as they were meant: their trail still holds.
    #[test]
    fn an_entry_that_tells_no_content_and_no_direction_is_compared_by_what_it_tells() {
        let mut state = busy();
        let change = state.begin(at(2), &anna()).expect("begin");
        let note = Note::new(Deed::Policy, "policy", "as it was written");
        change.audit(&note.with("rules", vec!["r2", "r1"])).expect("append");
        change.block(&NewBlock::new("203.0.113.9".parse().expect("address"), None, "x")).expect("block");
        let note = Note::new(Deed::Block, "block:203.0.113.9", "as it was written");
        change.audit(&note).expect("append");
        change.commit().expect("commit");
        assert!(state.verify(None).expect("readable").is_ok());
        state.db.execute_batch("UPDATE policy SET rule = 'r3' WHERE rule = 'r1'").expect("update");
        let words = "entry 13: the policy has other rules in the state than in the trail";
        assert_eq!(state.verify(None).expect("readable").expect_err("r3").to_string(), words);
    }
}
