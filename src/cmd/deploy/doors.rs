//! Doors in other programs' chains: which a change needs so that what it accepts goes through, and how journal and kernel agree about them.
//!
//! A door is journalled before it is in the kernel, and belongs to the deployment that brought it: it comes with the window, goes with it, and
//! stays with what is confirmed. It lets nothing through by itself, so that what is left of one for a moment is closed.

use super::backend::Backend;
use super::plan::{Refused, stopped};
use super::recover::Done;
use super::site::{Site, failure};
use super::transaction::reread;
use crate::cli::Failure;
use crate::record::{Id, Rule, Status};
use crate::rule::doorway::{Doorway, closed, with_doors};
use crate::rule::ruleset::Ruleset;
use crate::rule::{Action, Direction, FamilyMatch};
use crate::state::{Action as Audited, Change, DeploymentRow, Note, PolicyRule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The doors that the journal knows of, as JSON.
const DOORS: &str = "doors";

/// A door as the journal has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub way: Doorway,
    direction: Direction,
    /// The one that brought it.
    deployment: Id,
    /// Its chain is gone, and people were told.
    #[serde(default)]
    gone: bool,
}

/// A change as it is judged: the policy with it, and what it adds.
type Judged = (Vec<Rule>, Vec<Rule>);

/// The doors without which what a change adds would not do what it says, of both address families or of one, and with which it does; no more
/// than it takes. The inner error is why it would not do it with doors either, or why AFO may not put one where it is needed.
pub fn needed(
    backend: &dyn Backend,
    live: &Ruleset,
    (after, added): (&[Rule], &[Rule]),
    deployment: &Id,
) -> Result<Vec<Kept>, Refused> {
    let stops = |ways: &[Doorway], judged: &Judged| stopped(backend, &with_doors(live, ways), &judged.0, &judged.1);
    let whole = (after.to_vec(), added.to_vec());
    let why = stops(&[], &whole);
    let accepts = added.iter().filter(|rule| rule.enabled && rule.action == Action::Accept);
    let mut ways = closed(live, &accepts.map(|rule| rule.direction).collect());
    if ways.is_empty() {
        return why.map_or(Ok(Vec::new()), Err);
    }
    if let Some(still) = why.as_ref().and_then(|_| stops(&ways, &whole)) {
        return Err(still);
    }
    let one = [FamilyMatch::Ipv4, FamilyMatch::Ipv6].map(|family| (of(family, after), of(family, added)));
    let helped =
        one.into_iter().filter(|one| *one != whole && stops(&[], one).is_some() && stops(&ways, one).is_none());
    let mut all: Vec<Judged> = helped.collect();
    all.extend(why.is_some().then(|| whole.clone()));
    for n in (0..ways.len()).rev() {
        let way = ways.remove(n);
        if all.iter().any(|one| stops(&ways, one).is_some()) {
            ways.insert(n, way);
        }
    }
    if let Some(barred) = ways.iter().find_map(|way| backend.bars(live, way, added)) {
        let why = why.unwrap_or_else(|| "a later base chain drops what it accepts of one address family".to_owned());
        return Err(format!("{why}; {barred}"));
    }
    let kept = |way: Doorway| {
        let (_, _, direction) = way.find(live)?;
        Some(Kept { way, direction, deployment: deployment.clone(), gone: false })
    };
    Ok(ways.into_iter().filter_map(kept).collect())
}

/// Rules as they are for packets of one family, as far as nothing else of them names one.
fn of(family: FamilyMatch, rules: &[Rule]) -> Vec<Rule> {
    let any = |rule: &Rule| {
        let addresses = rule.source_address.is_any() && rule.destination_address.is_any();
        rule.family == FamilyMatch::Any && addresses && rule.icmp_type.is_any()
    };
    let one = |rule: &Rule| if any(rule) { Rule { family, ..rule.clone() } } else { rule.clone() };
    rules.iter().map(one).collect()
}

/// Where doors are.
pub fn ways(doors: &[Kept]) -> Vec<Doorway> {
    doors.iter().map(|door| door.way.clone()).collect()
}

fn known(site: &Site) -> Result<Vec<Kept>, Failure> {
    let text = site.state.setting(DOORS).map_err(failure)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&text).map_err(|e| Failure::refused(format!("the state's list of doors makes no sense: {e}")))
}

fn write(change: &Change, doors: &[Kept]) -> Result<(), Failure> {
    let text = serde_json::to_string(doors).map_err(|e| Failure::refused(e.to_string()))?;
    change.set(DOORS, if doors.is_empty() { "" } else { &text }).map_err(failure)
}

/// What the journal is to say of the doors when a change that brings some begins.
///
/// # Errors
/// When the state cannot be read.
pub fn with_new(site: &Site, new: &[Kept]) -> Result<Vec<Kept>, Failure> {
    let mut all = known(site)?;
    all.extend(new.iter().cloned());
    Ok(all)
}

/// Journals the doors that a change brings, before it is made.
///
/// # Errors
/// When the state cannot be written.
pub fn journal(change: &Change, doors: &[Kept], new: &[Kept]) -> Result<(), Failure> {
    if new.is_empty() { Ok(()) } else { write(change, doors) }
}

/// Why what a deployment accepts does not go through any more inside its window: another program has removed a door that it brought.
///
/// # Errors
/// When the state or the kernel cannot be read.
pub fn missing(site: &Site, row: &DeploymentRow) -> Result<Option<String>, Failure> {
    let own: Vec<Kept> = known(site)?.into_iter().filter(|door| door.deployment == row.id).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let there = site.of(row)?.doors()?;
    let missing = own.into_iter().map(|door| door.way).find(|way| there.iter().all(|door| door.way != *way));
    Ok(missing.map(|way| format!("another program removed what lets its allows through `{way}` inside the window")))
}

/// Journals that there is no door any more.
///
/// # Errors
/// When the state cannot be written.
pub fn forget(change: &Change) -> Result<(), Failure> {
    write(change, &[])
}

/// What becomes of a door by what became of the deployment that brought it.
enum Fate {
    /// Its window is open: who sees that to its end sees to the door too.
    Open,
    Stays(Kept),
    Goes,
}

fn fate(door: &Kept, row: &DeploymentRow, policy: &[PolicyRule]) -> Fate {
    match row.status {
        Status::Pending | Status::Applied => Fate::Open,
        Status::Confirmed => Fate::Stays(door.clone()),
        _ if row.confirmed_by.is_none() => Fate::Goes,
        _ => heir(door, row, policy).map_or(Fate::Goes, |heir| Fate::Stays(Kept { deployment: heir, ..door.clone() })),
    }
}

/// A deployment after the one that brought a door, of whose accepts nobody has proven that they go through without it.
fn heir(door: &Kept, row: &DeploymentRow, policy: &[PolicyRule]) -> Option<Id> {
    let before: BTreeSet<&Id> = row.policy_before.iter().map(|p| &p.rule.id).collect();
    let relies = |p: &&PolicyRule| {
        let accepts = p.rule.enabled && p.rule.action == Action::Accept && p.rule.direction == door.direction;
        accepts && !before.contains(&p.rule.id)
    };
    policy.iter().find(relies).map(|p| p.deployment.clone())
}

/// Brings the kernel to the doors that are to be there: takes out what no deployment holds any more, and puts back what another program has
/// removed with its rules.
///
/// # Errors
/// When the kernel or the state refuses.
pub fn settle(site: &mut Site, done: &mut Done) -> Result<(), Failure> {
    let known = known(site)?;
    let Some(first) = known.first() else { return Ok(()) };
    let backend = site.of(&reread(site, &first.deployment)?)?;
    let policy = site.state.policy_rules().map_err(failure)?;
    let (mut open, mut stay) = (Vec::new(), Vec::new());
    for door in &known {
        match fate(door, &reread(site, &door.deployment)?, &policy) {
            Fate::Open => open.push(door.clone()),
            Fate::Stays(door) => stay.push(door),
            Fate::Goes => {}
        }
    }
    let there = backend.doors()?;
    let is_known = |way: &Doorway| open.iter().chain(&stay).any(|door| door.way == *way);
    let gone: Vec<_> = there.iter().filter(|door| !is_known(&door.way)).cloned().collect();
    let mut missing = BTreeSet::new();
    for door in &mut stay {
        let is_there = there.iter().any(|there| there.way == door.way);
        if is_there {
            door.gone = false;
        } else {
            missing.insert(door.way.clone());
        }
    }
    let back = lost(backend, &missing, &mut stay, done)?;
    if !back.is_empty() || !gone.is_empty() {
        backend.move_doors(&back, &gone)?;
    }
    told(&back, done);
    let all: Vec<Kept> = stay.into_iter().chain(open).collect();
    if all != known || !back.is_empty() {
        let change = site.begin()?;
        write(&change, &all)?;
        for way in &back {
            let words = format!("another program removed what lets AFO's allows through `{way}`; it is put back");
            change.audit(&Note::new(Audited::Recover, "kernel", &words)).map_err(failure)?;
        }
        change.commit().map_err(failure)?;
    }
    Ok(())
}

/// Of doors that are missing those whose chains are there; of the others people are told once.
fn lost(
    backend: &dyn Backend,
    missing: &BTreeSet<Doorway>,
    doors: &mut [Kept],
    done: &mut Done,
) -> Result<Vec<Doorway>, Failure> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let live = backend.live()?;
    let (back, gone): (Vec<&Doorway>, Vec<&Doorway>) = missing.iter().partition(|way| way.find(&live).is_some());
    for door in doors.iter_mut().filter(|door| gone.contains(&&door.way) && !door.gone) {
        door.gone = true;
        let words = format!(
            "chain `{}` is gone, through which AFO's allows went; what takes its place may drop them",
            door.way
        );
        done.alerts.push(words);
    }
    Ok(back.into_iter().cloned().collect())
}

fn told(back: &[Doorway], done: &mut Done) {
    for way in back {
        done.alerts.push(format!("another program removed what lets AFO's allows through `{way}`; it is put back"));
    }
}
