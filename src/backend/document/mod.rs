//! What the documents of firewalls elsewhere (AWS, Azure, GCP, pfSense) have in common: JSON with places for errors, stateful chains of rules, and
//! AFO's rules as plain products of the few fields that such documents know.
//!
//! The packets are those of one machine behind the firewall: what comes to it is input, what it sends output. Answers to what was let
//! through pass, and so do errors about it. What the cloud itself never filters (its name service, DHCP, metadata) is out of account.

mod chain;
mod flags;
mod kind;
mod node;
mod product;
mod shell;

pub(in crate::backend) use chain::{
    Side, cells, chain, icmp, line, only, ports, protocol_of, ruleset, steady, unread_line,
};
pub(in crate::backend) use flags::{Flag, Said, Takes};
pub use kind::Document;
pub(in crate::backend) use kind::{Commands, Made, Words};
pub use node::ReadError;
pub(in crate::backend) use node::{Node, json_of};
pub(in crate::backend) use product::{Limits, Product, port_words, products};
pub use shell::quoted;
pub(in crate::backend) use shell::{Command, program};

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

/// What becomes of a packet by a text of some kind: with what is not understood false, and true.
#[cfg(test)]
pub(in crate::backend) fn fates(document: &Document, text: &str, packet: &str) -> (bool, bool) {
    use crate::rule::evaluate::evaluate;
    let ruleset = document.read(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let packet: crate::rule::Packet = packet.parse().expect(packet);
    let with = |luck: bool| evaluate(&ruleset, &packet, &mut |_, _| luck).expect("a way").fate.passes();
    (with(false), with(true))
}
