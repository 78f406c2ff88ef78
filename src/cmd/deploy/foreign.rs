//! What a change does to a firewall whose rules are not this kernel's: its ruleset as it is and as it would be, compared.

use super::backend::Backend;
use super::split::{Split, target};
use crate::analyze::{Budget, Wanted, diff};
use crate::deploy::changed;
use crate::record::{Effect, FateClass, PacketClass, Place, Rule};
use crate::rule::ruleset::Ruleset;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The effect of a change of the `confirmed` policy; what cannot be computed is in it, in words.
pub fn effect(backend: &dyn Backend, live: &Ruleset, split: &Split, confirmed: &[Rule]) -> Effect {
    let after = changed(confirmed, &split.policy, &split.changes).map_err(|refused| refused.to_string());
    // A block is there before every rule and as long as it lasts says what a rule without an end does.
    let lasting = |rule: &Rule| Rule { ttl_seconds: None, ..rule.clone() };
    let blocks = split.ban_rules.iter().map(lasting);
    let after = after.map(|after| blocks.chain(after).collect::<Vec<Rule>>());
    let mut effect = match after.and_then(|after| compared(backend, live, confirmed, &after)) {
        Ok(classes) => of(&classes),
        Err(why) => undecided(&format!("what changes is not known: {why}")),
    };
    let addresses: BTreeSet<String> = split.bans.iter().map(|block| target(&block.ban).1.to_string()).collect();
    effect.cut.extend(addresses.iter().map(|address| words(format!("the open connections of {address}"))));
    effect
}

/// The packets whose fate is another one under `after` than under `before`, or may be where the rules of others cannot be read.
fn compared(backend: &dyn Backend, live: &Ruleset, before: &[Rule], after: &[Rule]) -> Result<Vec<FateClass>, String> {
    let classes = |before: &Ruleset, after: &Ruleset| diff(before, after, Wanted::Classes, Budget::default()).classes;
    // A firewall that shows nothing of its rules has at least the policy.
    let then = match live.tables.is_empty() {
        true => backend.model(live, before).map(Cow::Owned)?,
        false => Cow::Borrowed(live),
    };
    let mut found = classes(&then, &backend.model(live, after)?);
    if let (Some(before), Some(after)) = (backend.closed(before), backend.closed(after)) {
        found.extend(classes(&before?, &after?));
    }
    Ok(found)
}

fn words(text: String) -> PacketClass {
    PacketClass { text, example: None, before: None, after: None }
}

/// Both may be, for all that anybody knows.
pub fn undecided(why: &str) -> Effect {
    let class = vec![words(why.to_owned())];
    Effect { newly_dropped: class.clone(), newly_accepted: class, ..Effect::default() }
}

fn of(classes: &[FateClass]) -> Effect {
    let mut effect = Effect::default();
    for class in classes {
        let place = |place: &Option<Place>| place.as_ref().map(|place| place.text.clone());
        let (before, after) = (place(&class.before), place(&class.by));
        let own = PacketClass { text: class.text.clone(), example: class.example.clone(), before, after };
        match class.verdict.as_str() {
            "newly_accepted" => effect.newly_accepted.push(own),
            "newly_dropped" | "newly_rejected" => effect.newly_dropped.push(own),
            "translated_otherwise" => effect.translated.push(own),
            "unknown" => {
                let own = PacketClass { text: format!("not known: {}", own.text), ..own };
                effect.newly_accepted.push(own.clone());
                effect.newly_dropped.push(own);
            }
            // Who is told of a denial changes nothing of what passes.
            _ => {}
        }
    }
    effect
}
