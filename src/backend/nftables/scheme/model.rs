//! A ruleset as it would be with a policy that is not there yet: the very commands that would be loaded, read by the reader of
//! listings. For judging a policy before it is in the kernel; nothing here is loaded.

use super::policy::Policy;
use super::{alone_with, live};
use crate::backend::nftables::content::Apart;
use crate::backend::nftables::native::Hook;
use crate::backend::nftables::read::read_beside;
use crate::backend::nftables::write::TABLE;
use crate::rule::door::opened;
use crate::rule::ruleset::{Chain, Ruleset, Table, TableFamily};

/// `live` with `policy` in place of what AFO's table holds of policy. Bans stay, and so does everybody else's; nothing where a command
/// of the policy has no form that can be read back.
pub fn with_policy(live: &Ruleset, policy: &Policy) -> Option<Ruleset> {
    let mut commands = alone_with(policy, &[], Apart::Declared).json()?;
    commands["nftables"].as_array_mut()?.retain(|command| command.get("flush").is_none());
    let model = read_beside(&commands, &policy.contents()).ok()?;
    let mut ruleset = live.clone();
    ruleset.unread.extend(model.unread);
    for own in model.tables {
        match ruleset.tables.iter_mut().find(|table| is_own(table)) {
            Some(there) => {
                there.chains.retain(|chain| !is_policy(chain));
                there.chains.extend(own.chains);
            }
            None => ruleset.tables.push(own),
        }
    }
    Some(opened(ruleset))
}

fn is_own(table: &Table) -> bool {
    table.family == TableFamily::Inet && table.name == TABLE
}

fn is_policy(chain: &Chain) -> bool {
    Hook::POLICY.iter().any(|hook| hook.name() == chain.name) || live::generation(&chain.name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::nftables::{Ban, Block, read_value, whole};
    use crate::rule::Rule;

    fn policy(rules: serde_json::Value) -> Policy {
        Policy::of(&serde_json::from_value::<Vec<Rule>>(rules).expect("rules")).expect("a policy")
    }

    fn chains(ruleset: &Ruleset) -> Vec<(&str, usize)> {
        let own = ruleset.table(TableFamily::Inet, "afo").expect("AFO's table");
        own.chains.iter().map(|chain| (chain.name.as_str(), chain.lines.len())).collect()
    }

    #[test]
    fn another_policy_takes_the_place_of_the_old_one_and_bans_stay() {
        let old = policy(serde_json::json!([
            { "id": "r1", "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": ["22", "80"] },
            { "id": "r2", "action": "drop", "direction": "output", "destination_address": ["192.0.2.0/24"] },
        ]));
        let ban = Block { ban: Ban::Source("203.0.113.9/32".parse().expect("net")), seconds: Some(60) };
        let mut commands = whole(&old, &[ban]).json().expect("JSON");
        commands["nftables"].as_array_mut().expect("a list").retain(|command| command.get("flush").is_none());
        let live = read_value(&commands).expect("a ruleset");
        let new = policy(serde_json::json!([
            { "id": "r3", "action": "accept", "direction": "input", "source_address": ["192.0.2.1-192.0.2.9", "198.51.100.0/24"],
              "connection_state": ["new"] },
        ]));
        let swapped = with_policy(&live, &new).expect("a ruleset");
        let bans = chains(&live).into_iter().find(|(name, _)| *name == "blocks");
        assert_eq!(chains(&swapped).into_iter().find(|(name, _)| *name == "blocks"), bans);
        let policy: Vec<_> = chains(&swapped).into_iter().filter(|(name, _)| !name.starts_with("blocks")).collect();
        assert_eq!(policy, [("g1_input", 2), ("input", 1)]);
        assert_eq!(swapped.unread, Vec::<String>::new());
        assert_eq!(chains(&with_policy(&Ruleset::default(), &new).expect("a ruleset")), policy);
    }
}
