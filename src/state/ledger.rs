//! What the trail says that the tables hold. A row that was changed without an entry, or taken out, is found by comparing.

use super::canonical::sha256;
use super::row::micros;
use super::verify::Broken;
use super::{AuditEntry, Result, State};
use crate::record::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// Address, protocol and ports of a block, as in the table.
type Key = (String, String, String);

/// The state of affairs after the entries noted so far, each fact with the entry that says it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    proposals: BTreeMap<String, (String, u64)>,
    deployments: BTreeMap<String, (String, u64)>,
    blocks: BTreeMap<Key, (Option<i64>, u64)>,
    policy: (Vec<String>, u64),
}

const STATUSES: [&str; 6] = ["pending", "applied", "confirmed", "rolled_back", "failed", "refused"];

fn text(entry: &AuditEntry, key: &str) -> String {
    entry.detail.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Ledger {
    /// Takes in the next entry.
    pub(super) fn note(&mut self, entry: &AuditEntry) {
        let (kind, name) = entry.object.split_once(':').unwrap_or((&entry.object, ""));
        let name = name.to_owned();
        match (kind, entry.action.as_str()) {
            ("proposal", "propose") => drop(self.proposals.insert(name, (text(entry, "hash"), entry.seq))),
            ("deployment", action) => {
                let status = action.strip_prefix("deploy.").filter(|word| STATUSES.contains(word));
                if let Some(status) = status {
                    self.deployments.insert(name, (status.to_owned(), entry.seq));
                }
            }
            ("block", action) => {
                let key = (name, text(entry, "protocol"), text(entry, "ports"));
                let until =
                    entry.detail.get("until").and_then(Value::as_str).and_then(|ts| ts.parse::<Timestamp>().ok());
                match action {
                    "block" => drop(self.blocks.insert(key, (until.map(micros), entry.seq))),
                    _ => drop(self.blocks.remove(&key)),
                }
            }
            ("policy", "policy") => {
                let rules = entry.detail.get("rules").and_then(Value::as_array).into_iter().flatten();
                self.policy = (rules.filter_map(Value::as_str).map(str::to_owned).collect(), entry.seq);
            }
            _ => {}
        }
    }

    /// The first fact that the tables contradict.
    pub(super) fn against(&self, state: &State) -> Result<Option<Broken>> {
        let mut found = self.proposals_against(state)?;
        found.extend(self.deployments_against(state)?);
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

    fn deployments_against(&self, state: &State) -> Result<Vec<Broken>> {
        let rows = state.rows("SELECT id, status FROM deployments", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let words = |said: &String, held: &String| format!("is {held} in the state and {said} in the trail");
        Ok(compare(&self.deployments, rows.into_iter().collect(), |id| format!("deployment {id}"), words))
    }

    fn blocks_against(&self, state: &State) -> Result<Vec<Broken>> {
        let sql = "SELECT address, protocol, ports, until FROM blocks WHERE ended IS NULL";
        let rows = state.rows(sql, [], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)))?;
        let words = |_: &Option<i64>, _: &Option<i64>| "has another end in the state than in the trail".to_owned();
        Ok(compare(&self.blocks, rows.into_iter().collect(), |(address, ..)| format!("the block of {address}"), words))
    }

    fn policy_against(&self, state: &State) -> Result<Vec<Broken>> {
        let rows: Vec<String> = state.rows("SELECT rule FROM policy ORDER BY position", [], |row| row.get(0))?;
        let (said, seq) = &self.policy;
        let words = "the policy has other rules in the state than in the trail";
        Ok(if rows == *said { vec![] } else { vec![Broken { seq: Some(*seq), what: words.into() }] })
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
    use crate::state::{End, NewBlock, Outcome, PolicyRule};

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
        ] {
            let state = busy();
            state.db.execute_batch(sql).expect(sql);
            assert_eq!(state.verify(None).expect("readable").expect_err(sql).to_string(), words);
        }
    }
}
