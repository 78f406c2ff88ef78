//! From a batch of proposals to a change that was proven: nothing that a record says about itself is trusted, all of it is
//! computed again from its rules.

use super::backend::{Backend, judge, no_window};
use super::blocks::forbidden;
use super::doors::{self, Kept};
use super::protect::{endangered, uncovered};
use super::site::{Site, failure};
use super::split::{Split, holding, split};
use super::transaction::{owned, widens};
use crate::analyze::{self, Budget, accepts_are_final, let_through};
use crate::cli::Failure;
use crate::cli::config::Placement;
use crate::deploy::{Index, added, changed};
use crate::record::{Id, Proposal, Rule};
use crate::rule::doorway::{Doorway, with_doors};
use crate::rule::ruleset::{Chain, Line, Outcome, Ruleset, Table, TableFamily, Verdict};
use crate::rule::{Action, Direction, Position};
use crate::state::{DeploymentRow, PolicyRule};
use crate::sys::clock;
use std::collections::{BTreeMap, BTreeSet};

/// Why a batch is refused, in words; nothing was changed (exit 1).
pub type Refused = String;

/// What a batch comes to.
#[derive(Debug)]
pub struct Plan {
    pub split: Split,
    pub before: Vec<PolicyRule>,
    pub after: Vec<PolicyRule>,
    /// Whether something that was kept out may get through.
    pub widens: bool,
    /// What it puts into chains of other programs, so that what it accepts goes through.
    pub doors: Vec<Kept>,
    /// The hash of the ruleset that it was proven against; blocks for a time alone are the same on every ruleset.
    pub base: Option<String>,
}

/// Computes what `proposals` come to, for deployment `id`.
///
/// # Errors
/// The outer error when the state cannot be read; the inner one when the batch is refused.
pub fn plan(site: &Site, proposals: &[Proposal], id: &Id, allowed: &[Id]) -> Result<Result<Plan, Refused>, Failure> {
    let split = match split(site.backend, proposals) {
        Ok(split) => split,
        Err(refused) => return Ok(Err(refused.join("; "))),
    };
    if let Some(why) = forbidden(&split.bans, &site.never) {
        return Ok(Err(why));
    }
    let now = clock::now();
    let confirmed = holding(&site.state.policy_rules().map_err(failure)?, now);
    let rules: Vec<Rule> = confirmed.iter().map(|p| p.rule.clone()).collect();
    let after = match changed(&rules, &split.policy, &split.changes) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused.to_string())),
    };
    let added = added(&rules, &after);
    let flows = site.flows()?;
    if let Some(why) = endangered(site.backend, &rules, &after, &flows, allowed) {
        return Ok(Err(why));
    }
    if let Some(why) = uncovered(site.backend, &rules, &after, &flows, allowed)? {
        return Ok(Err(why));
    }
    let base = if split.changes_policy() { Some(site.backend.base()?) } else { None };
    let doors = match opened(site, &after, &added, id)? {
        Ok(doors) => doors,
        Err(why) => return Ok(Err(why)),
    };
    if let Some(why) = broken(site, &split.ban_rules, &after, &doors::ways(&doors))? {
        return Ok(Err(why));
    }
    let widens = widens(&added, split.changes.len());
    let after = owned(after, &confirmed, id, now);
    Ok(Ok(Plan { split, before: confirmed, after, widens, doors, base }))
}

/// The doors that added rules need so that they do what they say; the inner error is why they would not.
fn opened(site: &Site, after: &[Rule], added: &[Rule], id: &Id) -> Result<Result<Vec<Kept>, Refused>, Failure> {
    if added.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    no_window(site.backend)?;
    let live = site.backend.live()?;
    let needed = || doors::needed(site.backend, &live, (after, added), id);
    Ok(match site.config.deploy.placement {
        Placement::Foreign => needed(),
        Placement::Own => match stopped(site.backend, &live, after, added) {
            Some(why) => Err(why),
            None => needed().and_then(|doors| doors.first().map_or(Ok(Vec::new()), |door| Err(half(door)))),
        },
    })
}

/// Why an accept of both address families is refused that is true of one of them.
fn half(door: &Kept) -> Refused {
    let way = &door.way;
    format!(
        "ineffective: `{way}` drops what it accepts of one address family; \
         give the rule the family that is meant, or let AFO open that chain with --placement foreign"
    )
}

/// Why a plan that was proven would not be any more, with the rules that the kernel holds of others now.
///
/// # Errors
/// When the live rules cannot be read.
pub fn judged(site: &Site, plan: &Plan) -> Result<Option<Refused>, Failure> {
    let rules = |policy: &[PolicyRule]| policy.iter().map(|p| p.rule.clone()).collect::<Vec<Rule>>();
    let (before, after) = (rules(&plan.before), rules(&plan.after));
    let added = added(&before, &after);
    let stop = if added.is_empty() { None } else { stopped(site.backend, &site.backend.live()?, &after, &added) };
    match stop {
        None => broken(site, &plan.split.ban_rules, &after, &[]),
        why => Ok(why),
    }
}

/// Why one of the rules that are new in `after` would not do what it says beside the rest of it and what the kernel holds of others, or
/// why nobody knows.
pub fn stopped(backend: &dyn Backend, live: &Ruleset, after: &[Rule], added: &[Rule]) -> Option<Refused> {
    if let Some(judged) = backend.judged(live, after, added) {
        return judged;
    }
    if added.len() <= FEW {
        return one_by_one(backend, live, after, added);
    }
    let model = match backend.model(live, after) {
        Ok(model) => model,
        Err(why) => return Some(why),
    };
    let last_word = accepts_are_final(&model);
    let through = if last_word { BTreeSet::new() } else { let_through(&model, added) };
    let goes = |rule: &Rule| rule.action == Action::Accept && (last_word || through.contains(&rule.id));
    let audited = |rule: &&Rule| (rule.action.denies() || goes(rule)) && rule.extra.is_empty();
    let (together, apart): (Vec<&Rule>, Vec<&Rule>) = added.iter().partition(audited);
    let apart: Vec<Rule> = apart.into_iter().cloned().collect();
    // Of very many that do not go through the first few are enough to tell.
    let (first, rest) = apart.split_at(apart.len().min(FEW));
    judge::judged(&model, together, is_of_rule)
        .or_else(|| one_by_one(backend, live, after, first))
        .or_else(|| one_by_one(backend, live, after, rest))
}

/// More new rules than this are judged by one audit of the ruleset as it would be, as far as that tells as much as judging each.
const FEW: usize = 16;

/// A refusal of many rules gives so many pieces of advice.
const ADVICE: usize = 4;

/// Whether a line of nftables is one of a rule's of AFO's, rather than of its scheme.
fn is_of_rule(table: &Table, chain: &Chain, line: &Line) -> bool {
    let own = table.family == TableFamily::Inet && table.name == "afo" && chain.base.is_none();
    own && line.outcome != Outcome::Verdict(Verdict::Return)
}

/// As [`stopped`], each rule by itself: what becomes of every part of its packets, in later base chains too.
fn one_by_one(backend: &dyn Backend, live: &Ruleset, after: &[Rule], added: &[Rule]) -> Option<Refused> {
    if added.is_empty() {
        return None;
    }
    let new = Index::of(added);
    let kept: Vec<Rule> = after.iter().filter(|rule| !new.holds(rule)).cloned().collect();
    let (rest, added) = match (backend.model(live, &kept), in_place(backend, after, &kept)) {
        (Ok(rest), Ok(added)) => (rest, added),
        (Err(why), _) | (_, Err(why)) => return Some(why),
    };
    let judged = analyze::conflicts(&rest, &added, Budget::default());
    let stop = judged.conflicts.items.iter().find(|item| analyze::stops(item))?;
    let rule = stop.rule.as_ref().map(|id| format!("rule {id}: ")).unwrap_or_default();
    let advice: String = judged.advice.iter().take(ADVICE).map(|words| format!("; {words}")).collect();
    Some(format!("{rule}{}: {}{advice}", stop.kind.as_str(), stop.explanation))
}

/// Why something that must hold (deploy.invariants) would not, or why nobody knows whether it would.
fn broken(site: &Site, bans: &[Rule], after: &[Rule], doors: &[Doorway]) -> Result<Option<Refused>, Failure> {
    let Some(invariants) = site.invariants()? else { return Ok(None) };
    if let Some(finding) = invariants.banned(bans).first() {
        return Ok(Some(finding.explanation.clone()));
    }
    let live = site.backend.live()?;
    let model = match site.backend.model(&with_doors(&live, doors), after) {
        Ok(model) => model,
        Err(why) => return Ok(Some(why)),
    };
    let found = invariants.violations(&model, Budget::default());
    let Some(first) = found.first() else { return Ok(None) };
    let before = invariants.violations(&live, Budget::default());
    let already = before.iter().any(|finding| finding.explanation == first.explanation);
    let more = if found.len() > 1 { format!("; and {} more invariants", found.len() - 1) } else { String::new() };
    let now = if already { "; it does not hold now either" } else { "" };
    Ok(Some(format!("{}{now}{more}", first.explanation)))
}

/// The rules of `after` that are not among `kept`, in the order in which they will stand, each placed before the next that is.
fn in_place(backend: &dyn Backend, after: &[Rule], kept: &[Rule]) -> Result<Vec<Rule>, Refused> {
    let kept = Index::of(kept);
    let mut next: BTreeMap<Direction, &Id> = BTreeMap::new();
    let mut placed = Vec::new();
    for rule in backend.order(after)?.into_iter().rev() {
        if kept.holds(rule) {
            if rule.enabled {
                next.insert(rule.direction, &rule.id);
            }
            continue;
        }
        let beside = next.get(&rule.direction).map(|id| Position::Before((*id).clone()));
        placed.push(Rule { position: beside.unwrap_or(Position::Auto), ..rule.clone() });
    }
    placed.reverse();
    Ok(placed)
}

impl Plan {
    /// Whether the policy would be another one.
    pub fn changes_policy(&self) -> bool {
        self.before != self.after
    }

    /// The deployment that the change of policy is, before it is done.
    pub fn row(&self, site: &Site, id: &Id, proposals: &[Proposal], seconds: u64) -> DeploymentRow {
        let now = clock::now();
        let mut row = DeploymentRow::new(id.clone(), site.backend.name(), now, &site.actor);
        row.run = proposals.iter().find_map(|p| p.run.clone());
        row.proposals = proposals.iter().map(|p| p.id.clone()).collect();
        row.window_seconds = Some(seconds);
        row.base_hash = self.base.clone();
        row.rules = self.split.policy.iter().map(|rule| rule.id.clone()).collect();
        row.policy_before = self.before.clone();
        row.policy_after = self.after.clone();
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::deploy::backend::named;
    use crate::record::{Proposal, parse};

    fn rules(rules: &str) -> Vec<Rule> {
        let line = format!(r#"{{"kind":"proposal","id":"p","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rules}]}}"#);
        parse::<Proposal>(&line).expect(rules).rules
    }

    fn rule(id: &str, source: &str, action: &str) -> String {
        format!(r#"{{"id":"{id}","action":"{action}","direction":"input","source_address":["{source}"]}}"#)
    }

    fn judged(before: &[String], after: &[String]) -> Option<Refused> {
        let (before, after) = (rules(&before.join(",")), rules(&after.join(",")));
        let backend = named("nftables").expect("there is one");
        let live = backend.model(&Ruleset::default(), &before).expect("a ruleset");
        let added: Vec<Rule> = after.iter().filter(|rule| !before.contains(rule)).cloned().collect();
        stopped(backend, &live, &after, &added)
    }

    #[test]
    fn a_rule_is_judged_beside_what_stays_and_not_beside_its_own_old_self() {
        let wide = |action| rule("r1", "192.0.2.0/24", action);
        let (narrow, later) = (rule("r1", "192.0.2.0/25", "drop"), rule("r2", "192.0.2.0/25", "accept"));
        assert_eq!(judged(&[wide("drop")], &[narrow]), None, "its old self took all its packets");
        let said = judged(&[wide("drop")], &[wide("drop"), later]).expect("nothing reaches it");
        assert!(said.starts_with("rule r2: shadow: "), "{said}");
    }

    #[test]
    fn many_rules_are_judged_together_and_refused_for_the_same_reasons() {
        let many = |action: &str| -> Vec<String> {
            (0..2 * FEW).map(|n| rule(&format!("r{n}"), &format!("192.0.2.{n}"), action)).collect()
        };
        let (inside, beside) = (rule("x", "192.0.2.7", "accept"), rule("x", "198.51.100.7", "accept"));
        let with = |last: &String| [many("drop"), vec![last.clone()]].concat();
        assert_eq!(judged(&[], &many("drop")), None);
        assert_eq!(judged(&[], &with(&beside)), None);
        let said = judged(&[], &with(&inside)).expect("r7 takes all its packets");
        assert!(said.starts_with("rule x: contradiction: "), "{said}");
        assert_eq!(judged(&many("drop"), &many("accept")), None, "each takes the place of its old self");

        let backend = named("nftables").expect("there is one");
        let later = r#"{"nftables": [{"table": {"family": "inet", "name": "host"}}, {"chain": {"family": "inet", "table": "host",
            "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}]}"#;
        let live = crate::backend::nftables::read(later).expect("a listing");
        let accepts = rules(&many("accept").join(","));
        let said = stopped(backend, &live, &accepts, &accepts).expect("the host drops what they accept");
        assert!(said.starts_with("rule r0: ineffective: "), "{said}");
        assert!(said.matches("tried: ").count() <= ADVICE, "{said}");
        assert_eq!(stopped(backend, &live, &rules(&many("drop").join(",")), &rules(&many("drop").join(","))), None);
        let way = crate::rule::doorway::closed(&live, &BTreeSet::from([Direction::Input]));
        assert_eq!(stopped(backend, &with_doors(&live, &way), &accepts, &accepts), None, "they go through a door");
        let drops = |right: &str| {
            let expr = format!(r#"{{"match": {{"op": "==", "left": {right}}}}}, {{"drop": null}}"#);
            stopped(backend, &foreign("host", "input", 0, "accept", &expr), &accepts, &accepts)
        };
        assert_eq!(drops(r#"{"ct": {"key": "state"}}, "right": "invalid""#), None, "new ones go through");
        let said = drops(r#"{"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.30""#)
            .expect("one is dropped");
        assert!(said.starts_with("rule r30: ineffective: "), "{said}");
    }

    #[test]
    fn a_replaced_rule_is_judged_at_its_place() {
        let (first, last) = (rule("r1", "192.0.2.0/25", "accept"), rule("r2", "192.0.2.0/24", "drop"));
        let before = [rule("r1", "192.0.2.64/26", "accept"), last.clone()];
        assert_eq!(judged(&before, &[first.clone(), last.clone()]), None, "it stands before r2");
        let said = judged(&before, &[last, first]).expect("behind r2");
        assert!(said.starts_with("rule r1: shadow: "), "{said}");
    }

    fn foreign(table: &str, chain: &str, priority: i32, policy: &str, expr: &str) -> Ruleset {
        let json = format!(
            r#"{{"nftables": [{{"table": {{"family": "inet", "name": "{table}"}}}},
            {{"chain": {{"family": "inet", "table": "{table}", "name": "{chain}", "type": "filter", "hook": "input", "prio": {priority}, "policy": "{policy}"}}}},
            {{"rule": {{"family": "inet", "table": "{table}", "chain": "{chain}", "expr": [{expr}]}}}}]}}"#
        );
        crate::backend::nftables::read(&json).expect(&json)
    }

    #[test]
    fn an_accept_is_final_where_nobody_else_denies_or_changes_anything() {
        let accept = r#"{"accept": null}"#;
        let drop = r#"{"drop": null}"#;
        let mark = r#"{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}"#;
        let unread = r#"{"xt": null}"#;
        assert!(accepts_are_final(&Ruleset::default()));
        let door = r#"{"match": {"op": "==", "left": {"&": [{"meta": {"key": "mark"}}, 268435456]}, "right": 268435456}}, {"accept": null}"#;
        let early = foreign("host", "input", -10, "drop", door);
        assert!(!accepts_are_final(&early), "nothing is marked yet where it stands");
        for (table, chain, policy, expr, whether) in [
            ("host", "input", "drop", door, true),
            ("host", "input", "accept", accept, true),
            ("host", "input", "drop", accept, false),
            ("host", "input", "accept", drop, false),
            ("host", "input", "accept", mark, false),
            ("host", "input", "accept", unread, false),
            ("afo", "input", "accept", drop, true),
            ("afo", "input", "accept", mark, false),
            ("afo", "late", "accept", drop, false),
        ] {
            let ruleset = foreign(table, chain, 0, policy, expr);
            assert_eq!(accepts_are_final(&ruleset), whether, "{table} {chain} {policy} {expr}");
        }
    }
}
