//! What the documents of firewalls elsewhere (AWS, Azure, GCP, pfSense) have in common: JSON with places for errors, stateful chains of rules, and
//! AFO's rules as plain products of the few fields that such documents know.
//!
//! The packets are those of one machine behind the firewall: what comes to it is input, what it sends output. Answers to what was let
//! through pass, and so do errors about it. What the cloud itself never filters (its name service, DHCP, metadata) is out of account.

mod chain;
mod node;
mod product;

pub(in crate::backend) use chain::{
    Side, cells, chain, icmp, line, only, ports, protocol_of, ruleset, steady, unread_line,
};
pub(in crate::backend) use node::Node;
pub use node::ReadError;
pub(in crate::backend) use product::{Limits, Product, products};

use crate::rule::ruleset::{Outcome, Ruleset, TableFamily, Verdict};
use serde_json::{Value, json};

/// A rule's family, table and chain, and its statements as nft lists them; the rules of a chain in their order.
pub type Statements = (TableFamily, String, String, Value);

/// What the rules of a ruleset do that was read from a document, in the form in which nft lists it: so the import that proves rules of nft
/// proves these too.
pub fn statements(ruleset: &Ruleset) -> Vec<Statements> {
    let lines = ruleset.lines().map(|(at, line)| {
        let table = &ruleset.tables[at.table];
        let verdict = match &line.outcome {
            Outcome::Verdict(Verdict::Accept) => json!({"accept": null}),
            Outcome::Verdict(Verdict::Drop) => json!({"drop": null}),
            Outcome::Verdict(Verdict::Reject) => json!({"reject": null}),
            _ => json!({"unread": null}),
        };
        let body = json!({ "expr": [{"match": null}, verdict] });
        (table.family, table.name.clone(), table.chains[at.chain].name.clone(), body)
    });
    lines.collect()
}
