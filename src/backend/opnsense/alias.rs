//! Aliases: the names that rules use for addresses and ports, and the two of AFO's whose members are its blocks.
//!
//! Members of an alias have no time of their own: what ends them is the journal. The tables are not in the firewall's configuration, so they
//! are empty after its reboot, and recovery fills them again.

use super::document::Document;
use super::listing::{Listing, ReplyError, rows};
use super::step::{APPLY, Step};
use crate::backend::nftables::{Ban, Block};
use crate::packet::AddressSpec;
use crate::rule::Id;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The alias of those from whom nothing is taken.
pub const BLOCKED_FROM: &str = "afo_from";
/// The alias of those to whom nothing is sent.
pub const BLOCKED_TO: &str = "afo_to";

/// Ends the connections of an address or network, on either side.
const KILL: &str = "diagnostics/firewall/kill_states";

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub uuid: String,
    pub kind: String,
    pub enabled: bool,
    /// Its members as they are written, where the configuration has them.
    pub members: Vec<String>,
}

/// The aliases of a firewall by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aliases(BTreeMap<String, Alias>);

impl Aliases {
    /// Reads the reply of `search_item`.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(reply: &str) -> Result<Self, ReplyError> {
        let read = |row: &serde_json::Map<String, serde_json::Value>| {
            let text = |name: &str| row.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            // Newer versions list members with commas, older ones a line each.
            let members = text("content")
                .split(['\n', ','])
                .map(str::trim)
                .filter(|m| !m.is_empty())
                .map(str::to_owned)
                .collect();
            let kind = text("type");
            // Some versions tell the type by the words of their pages.
            let kind = kind.split('(').next().unwrap_or_default().trim().to_lowercase();
            (text("name"), Alias { uuid: text("uuid"), kind, enabled: text("enabled") != "0", members })
        };
        Ok(Self(rows(reply, "aliases")?.iter().map(read).collect()))
    }

    /// The alias of a name.
    pub fn get(&self, name: &str) -> Option<&Alias> {
        self.0.get(name)
    }

    pub(super) fn digest(&self, hash: &mut Sha256) {
        for (name, alias) in self.0.iter().filter(|(name, _)| ![BLOCKED_FROM, BLOCKED_TO].contains(&name.as_str())) {
            hash.update(format!("{name}\t{}\t{}\t{}\n", alias.kind, alias.enabled, alias.members.join(",")));
        }
    }
}

/// The alias that a ban is a member of, and the member; nothing of a ban of single ports, which an alias cannot be.
pub fn member(ban: &Ban) -> Option<(&'static str, String)> {
    match ban {
        Ban::Source(net) => Some((BLOCKED_FROM, AddressSpec::from(*net).to_string())),
        Ban::Destination(net) => Some((BLOCKED_TO, AddressSpec::from(*net).to_string())),
        Ban::Port(..) => None,
    }
}

/// The rules that look the two aliases up. They stand before all others that AFO can stand before.
pub(super) fn lookups() -> [Document; 2] {
    let id = |text: &str| text.parse::<Id>().expect("the ids are written here");
    [
        Document::new(&id("from"))
            .with("action", "block")
            .with("description", "afo blocks from")
            .with("source_net", BLOCKED_FROM),
        Document::new(&id("to"))
            .with("action", "block")
            .with("description", "afo blocks to")
            .with("direction", "out")
            .with("destination_net", BLOCKED_TO),
    ]
}

/// What is missing so that blocks are looked up.
fn missing(live: &Listing) -> Vec<Step> {
    let mut steps = Vec::new();
    for name in [BLOCKED_FROM, BLOCKED_TO] {
        if live.aliases.get(name).is_none() {
            let alias = json!({ "enabled": "1", "name": name, "type": "external", "description": "afo blocks, ended by the journal of afo" });
            steps.push(Step::post("firewall/alias/add_item", json!({ "alias": alias })));
        }
    }
    if !steps.is_empty() {
        steps.push(Step::plain("firewall/alias/reconfigure"));
    }
    let made = steps.len();
    let mut free = super::policy::free(live);
    for document in lookups() {
        let sequence = free.next().unwrap_or(1);
        let document = document.with("sequence", sequence.to_string());
        let there = live.own().find(|entry| entry.get("description") == document.get("description"));
        match there {
            Some(entry)
                if entry.is_on("enabled") && entry.says(&document.clone().with("sequence", entry.get("sequence"))) => {}
            Some(entry) => {
                let path = format!("firewall/filter/set_rule/{}", entry.uuid().unwrap_or_default());
                steps.push(Step::post(path, document.body()));
            }
            None => steps.push(Step::post("firewall/filter/add_rule", document.body())),
        }
    }
    if steps.len() > made {
        steps.push(Step::plain(APPLY));
    }
    steps
}

/// Whether blocks are looked up; nothing where AFO has made none of it.
pub fn looked_up(live: &Listing) -> Option<bool> {
    let any = live.own().any(|entry| entry.get("description").starts_with("afo blocks "));
    let aliases = [BLOCKED_FROM, BLOCKED_TO].map(|name| live.aliases.get(name).is_some());
    (any || aliases.contains(&true)).then(|| missing(live).is_empty())
}

/// What makes blocks hold.
pub fn block_steps(blocks: &[Block], live: &Listing) -> Vec<Step> {
    let mut steps = missing(live);
    let add = |(alias, address): (&str, String)| {
        Step::post(format!("firewall/alias_util/add/{alias}"), json!({ "address": address }))
    };
    let members: Vec<_> = blocks.iter().filter_map(|block| member(&block.ban)).collect();
    // What belongs to a connection that pf knows passes before any rule: the connections end too.
    let end = |(_, address): &(&str, String)| Step::Try { path: KILL.to_owned(), body: json!({ "filter": address }) };
    let ended: Vec<Step> = members.iter().map(end).collect();
    steps.extend(members.into_iter().map(add));
    steps.extend(ended);
    steps
}

/// What ends bans.
pub fn unblock_steps(bans: &[Ban]) -> Vec<Step> {
    let delete = |(alias, address): (&str, String)| {
        Step::post(format!("firewall/alias_util/delete/{alias}"), json!({ "address": address }))
    };
    bans.iter().filter_map(member).map(delete).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_of_old_and_new_versions() {
        let reply = r#"{"rows":[{"uuid":"u1","name":"Web","type":"port","enabled":"1","content":"80\n443"},
            {"uuid":"u2","name":"Lan","type":"Network(s)","enabled":"0","content":"10.0.0.0/8,192.0.2.1"}],"total":2}"#;
        let aliases = Aliases::read(reply).expect("aliases");
        let web = aliases.get("Web").expect("one");
        assert_eq!(
            (web.kind.as_str(), web.enabled, web.members.as_slice()),
            ("port", true, &["80".to_owned(), "443".to_owned()][..])
        );
        let lan = aliases.get("Lan").expect("one");
        assert_eq!((lan.kind.as_str(), lan.enabled, lan.members.len()), ("network", false, 2));
    }

    #[test]
    fn what_is_missing_is_made_before_the_first_block() {
        let block = Block { ban: Ban::Source("203.0.113.9/32".parse().expect("net")), seconds: Some(60) };
        let steps = block_steps(&[block], &Listing::default());
        let paths: Vec<&str> = steps
            .iter()
            .map(|step| match step {
                Step::Post { path, .. } | Step::Try { path, .. } => path.as_str(),
                Step::Others(_) | Step::Savepoint => "",
            })
            .collect();
        assert_eq!(
            paths,
            [
                "firewall/alias/add_item",
                "firewall/alias/add_item",
                "firewall/alias/reconfigure",
                "firewall/filter/add_rule",
                "firewall/filter/add_rule",
                "firewall/filter/apply",
                "firewall/alias_util/add/afo_from",
                "diagnostics/firewall/kill_states",
            ]
        );
        assert_eq!(looked_up(&Listing::default()), None);
    }
}
