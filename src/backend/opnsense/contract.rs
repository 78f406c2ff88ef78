//! OPNsense as a backend among others.

use super::alias::{block_steps, member};
use super::listing::Listing;
use super::policy::Policy;
use super::step::{APPLY, Step, text};
use crate::backend::meaning::refuse;
use crate::backend::nftables::{Block, lower};
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::packet::AddressSpec;
use crate::record::Placement;
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Id, Rule};
use serde_json::Value;
use std::collections::BTreeMap;

/// The filter rules of an OPNsense firewall.
#[derive(Debug, Clone, Default)]
pub struct Opnsense {
    pub known: Known,
}

/// What is known of a firewall beside its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its own addresses; none where they are not known.
    pub addresses: Vec<AddressSpec>,
    /// Its identifiers of interfaces by the names that rules have; what is not here is an identifier itself.
    pub interfaces: BTreeMap<String, String>,
}

impl Known {
    /// Nothing.
    pub const NOTHING: Self = Self { addresses: Vec::new(), interfaces: BTreeMap::new() };
}

impl Opnsense {
    /// One of which nothing is known.
    pub const UNKNOWN: Self = Self { known: Known::NOTHING };

    /// The blocks that a rule comes to: it drops addresses for a time and says nothing else. None where it is a rule.
    ///
    /// # Errors
    /// Every reason why the rule cannot be had.
    pub fn bans(&self, rule: &Rule) -> Result<Vec<Block>, Vec<Refused>> {
        let blocks = match rule.ttl_seconds {
            Some(_) => lower(rule)?.blocks,
            None => Vec::new(),
        };
        match blocks.iter().find(|block| member(&block.ban).is_none()) {
            None => Ok(blocks),
            Some(_) => {
                let why = "blocks of OPNsense are of addresses, not of ports, and its rules do not end by themselves; leave the port or \
                           ttl_seconds out";
                Err(vec![refuse(rule, "destination_port", &rule.destination_port, why)])
            }
        }
    }
}

/// What is told of every policy that denies.
const KNOWN: &str =
    "connections that the firewall knows pass by their state before any rule: a denial is for those that begin";

impl Backend for Opnsense {
    fn name(&self) -> &'static str {
        "opnsense"
    }

    fn capabilities(&self) -> &'static [Capability] {
        use Capability as C;
        &[
            C::Ipv4,
            C::Ipv6,
            C::Filter,
            C::Order,
            C::Input,
            C::Forward,
            C::Interface,
            C::SourcePort,
            C::IcmpType,
            C::TcpFlag,
            C::Reject,
            C::Log,
            C::EveryTcpFlag,
        ]
    }

    fn render(&self, rules: &[Rule], _: Extent) -> Result<Native, Vec<Refused>> {
        let (mut blocks, mut policy, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for rule in rules {
            match self.bans(rule) {
                Ok(own) if own.is_empty() => policy.push(rule.clone()),
                Ok(own) => blocks.push((rule, own)),
                Err(why) => refused.extend(why),
            }
        }
        match Policy::of(&policy, &self.known) {
            Err(why) => Err(refused.into_iter().chain(why).collect()),
            Ok(_) if !refused.is_empty() => Err(refused),
            Ok(policy) => Ok(native(&policy, &blocks, rules)),
        }
    }

    fn model(&self, native: &Native) -> Result<Ruleset, String> {
        let lines = native.text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let rows: Vec<Value> = lines.filter_map(|line| line["body"].get("rule").cloned()).collect();
        let listing =
            Listing::read(&serde_json::json!({ "rows": rows }).to_string(), None).map_err(|e| e.to_string())?;
        Ok(super::model::read(&listing))
    }
}

/// The first generation of a firewall that has none.
const FIRST: u64 = 1;

fn native(policy: &Policy, blocks: &[(&Rule, Vec<Block>)], rules: &[Rule]) -> Native {
    let empty = Listing::default();
    let documents = policy.numbered(FIRST, &empty);
    let mut steps: Vec<Step> = documents.iter().map(|d| Step::post("firewall/filter/add_rule", d.body())).collect();
    let mut lines: BTreeMap<usize, Id> = documents.iter().enumerate().map(|(n, d)| (n + 1, d.rule.clone())).collect();
    if !documents.is_empty() {
        steps.push(Step::plain(APPLY));
    }
    let all: Vec<Block> = blocks.iter().flat_map(|(_, blocks)| blocks.iter().copied()).collect();
    if !all.is_empty() {
        steps.extend(block_steps(&all, &empty));
        // Each block is added, and then each ends connections.
        let first = steps.len() - 2 * all.len();
        let owners: Vec<Id> = blocks.iter().flat_map(|(rule, own)| own.iter().map(|_| rule.id.clone())).collect();
        lines.extend(owners.iter().chain(&owners).enumerate().map(|(n, id)| (first + n + 1, id.clone())));
    }
    let ended = |(rule, _): &(&Rule, Vec<Block>)| Placement {
        rule: rule.id.clone(),
        place: if rule.direction == Direction::Output { super::BLOCKED_TO } else { super::BLOCKED_FROM }.to_owned(),
        why: "a member of an alias, which afo-deploy expire takes out".to_owned(),
    };
    let placement = policy.placement().iter().cloned().chain(blocks.iter().map(ended)).collect();
    let denies = rules.iter().any(|rule| rule.enabled && rule.action.denies());
    let json = serde_json::from_str(&format!("[{}]", text(&steps).trim_end().replace('\n', ","))).ok();
    Native {
        text: text(&steps),
        json,
        placement,
        lines,
        elsewhere: denies.then(|| KNOWN.to_owned()).into_iter().collect(),
    }
}
