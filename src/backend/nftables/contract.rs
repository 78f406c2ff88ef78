//! nftables as a backend among others.

use super::{Policy, Script, alone, read_value, whole};
use crate::backend::{Backend, Capability, Extent, Native, Refused};
use crate::rule::Rule;
use crate::rule::ruleset::Ruleset;
use serde_json::Value;

/// The table `inet afo` of nftables.
#[derive(Debug, Clone, Copy)]
pub struct Nftables;

impl Backend for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    fn capabilities(&self) -> &'static [Capability] {
        Capability::ALL
    }

    fn render(&self, rules: &[Rule], extent: Extent) -> Result<Native, Vec<Refused>> {
        let policy = Policy::of(rules)?;
        let of = if extent == Extent::Host { whole } else { alone };
        Ok(native(&of(&policy, &policy.blocks()), &policy))
    }

    fn model(&self, native: &Native) -> Result<Ruleset, String> {
        let mut commands = native.json.clone().ok_or("a command of it has no form in JSON")?;
        if let Some(list) = commands["nftables"].as_array_mut() {
            // Flushing what is not there says nothing.
            list.retain(|command: &Value| command.get("flush").is_none());
        }
        read_value(&commands).map_err(|e| e.to_string())
    }
}

fn native(script: &Script, policy: &Policy) -> Native {
    let lines = (1..=script.commands.len()).filter_map(|line| Some((line, script.rule_at(line)?.clone())));
    Native {
        text: script.to_string(),
        json: script.json(),
        placement: policy.placement(),
        lines: lines.filter(|(_, id)| id.as_str() != "afo").collect(),
        elsewhere: Vec::new(),
    }
}
