//! Changes to rules that are there: taken out, replaced, put back, and blocks that end.

use super::difference::Told;
use super::judge::{Judge, Way, past_changes, there};
use super::post::Post;
use crate::analyze::placing::{Made, Older, Stood};
use crate::analyze::program::{Unlaid, lay_out_near};
use crate::analyze::sift::{Move, Route};
use crate::analyze::view::View;
use crate::packet::{AddressSpec, Cell, Narrow, Ranges, Wide};
use crate::record::{Change, Conflict, ConflictType};
use crate::rule::Direction;
use crate::rule::evaluate::By;
use std::net::IpAddr;

impl Judge<'_> {
    /// What one change does.
    pub(super) fn change(&mut self, change: &Change, made: &Made) {
        if let Some(why) = &made.trouble {
            self.found.items.push(found(
                change,
                ConflictType::Unknown,
                format!("what this change does is not known: {why}"),
            ));
            return;
        }
        let done = match &made.freed {
            Some(address) => self.freed(address, &made.gone),
            None => self.gone(&made.gone),
        };
        match done {
            Ok(Some(false)) if made.new.is_empty() => {
                let words = "nothing changes: what decides about these packets otherwise decides the same";
                self.found.items.push(found(change, ConflictType::Redundant, words.to_owned()));
            }
            Ok(_) => {}
            Err(why) => {
                let words = format!("the way of its packets was not judged: {why}");
                self.found.items.push(found(change, ConflictType::Unknown, words));
            }
        }
        let gone = made.gone.iter().find_map(|stood| self.before.altering(stood.at.table));
        if let Some(by) = gone.filter(|_| made.new.is_empty()) {
            let words = past_changes(&self.before.decider(By::Line(by)));
            self.found.items.push(found(change, ConflictType::Unknown, words));
        }
        if let Some(rule) = change.rule.as_ref().filter(|_| !made.new.is_empty()) {
            self.placed(rule, &made.new);
        }
    }

    /// Notes the packets that get another fate where lines are gone; nothing where that was too much to follow.
    fn gone(&mut self, gone: &[Stood]) -> Result<Option<bool>, Unlaid> {
        let mut changed = Some(false);
        for stood in gone {
            let own = self.before.decider(By::Line(stood.at));
            for direction in self.directions(self.before, stood) {
                let packets = self.packets(self.before, stood)?;
                let told = Told { before: Some(own.clone()), after: None };
                let lost = Lost { direction, packets: &packets, lines: std::slice::from_ref(stood), told };
                changed = changed.zip(self.lost(self.after, &lost)?).map(|(a, b)| a || b);
                self.seen.extend(packets.into_iter().map(|cell| (direction, cell)));
            }
        }
        Ok(changed)
    }

    /// The same for an address that is blocked no more: the lines that look blocks up are gone for its packets.
    fn freed(&mut self, address: &AddressSpec, lines: &[Stood]) -> Result<Option<bool>, Unlaid> {
        let mut view = self.after.clone();
        for stood in lines {
            view.take(stood.at);
        }
        let mut changed = Some(false);
        for direction in Direction::ALL.iter().copied() {
            if !lines.iter().any(|stood| self.directions(self.before, stood).contains(&direction)) {
                continue;
            }
            let field = if direction == Direction::Output { Wide::Destination } else { Wide::Source };
            let packets = [of_address(address, field)];
            let told = Told { before: Some(format!("the block of {address}")), after: None };
            let lost = Lost { direction, packets: &packets, lines, told };
            changed = changed.zip(self.lost(&view, &lost)?).map(|(a, b)| a || b);
        }
        Ok(changed)
    }

    /// Notes the packets that lose what decided about them, part by part or as whole sets.
    fn lost(&mut self, view: &View, lost: &Lost) -> Result<Option<bool>, Unlaid> {
        let packets = self.unseen(lost.direction, lost.packets).into_iter();
        let packets: Vec<_> = packets.filter_map(|cell| there(lost.direction, cell)).collect();
        let route = Route::new(self.before, view, lost.direction, &packets, &mut self.found.atoms)?;
        if route.weight() <= self.fine.weight {
            self.before.look_among(Some(&mut route.rules()));
            let changed = self.lost_parts(view, lost, &packets);
            self.before.look_among(None);
            if let Some(changed) = changed? {
                return Ok(Some(changed));
            }
        }
        let mut changed = Some(false);
        for hop in lost.lines.iter().flat_map(|stood| route.of(stood.at)) {
            let mut post = Post::new(&route, hop, self.budget);
            post.name = lost.told.before.clone();
            let own = match route.hops[hop].act {
                Move::Deny => {
                    self.accepts = false;
                    self.newly_denied(&mut post).map(|_| false).or(post.told.then_some(true))
                }
                Move::Accept(end) => {
                    self.accepts = true;
                    self.newly_accepted(&mut post, end)
                }
                _ => Some(false),
            };
            changed = changed.zip(own).map(|(a, b)| a || b);
        }
        Ok(changed)
    }
}

impl Judge<'_> {
    fn lost_parts(&mut self, view: &View, lost: &Lost, packets: &[Cell]) -> Result<Option<bool>, Unlaid> {
        let before = lay_out_near(self.before, lost.direction, packets, &mut self.found.atoms)?;
        let after = lay_out_near(view, lost.direction, packets, &mut self.found.atoms)?;
        let way = Way { direction: lost.direction, packets: packets.to_vec(), before, after };
        Ok(self.difference(view, &way, packets, &lost.told))
    }
}

impl Judge<'_> {
    /// Notes the packets that older accepts let through from now on, because the change marks them for a door.
    pub(super) fn widened(&mut self, older: &[Older]) {
        let mut untold = older.len().saturating_sub(MARKED);
        for older in older.iter().take(MARKED) {
            // A rule that the change takes out is not marked.
            if self.after.line(older.own).is_some() && self.widened_by(older).is_none() {
                untold += 1;
            }
        }
        if untold > 0 {
            self.found.advice.insert(format!(
                "this change also marks what {untold} older allows accept; what that lets through where it was dropped is not in the effect"
            ));
        }
    }

    fn widened_by(&mut self, older: &Older) -> Option<()> {
        let told = |view: &View| Told { before: None, after: Some(view.decider(By::Line(older.own))) };
        for direction in self.directions(self.after, &older.copy) {
            let packets = self.packets(self.after, &older.copy).ok()?;
            let packets: Vec<_> = packets.into_iter().filter_map(|cell| there(direction, cell)).collect();
            let lost = Lost { direction, packets: &packets, lines: &[], told: told(self.after) };
            self.lost_parts(self.after, &lost, &packets).ok()??;
        }
        Some(())
    }
}

/// So many older accepts are looked at one by one.
const MARKED: usize = 64;

/// Lines that are gone for some packets.
struct Lost<'l> {
    direction: Direction,
    packets: &'l [Cell],
    lines: &'l [Stood],
    told: Told,
}

fn found(change: &Change, kind: ConflictType, explanation: String) -> Conflict {
    let rule = change.rule.as_ref().map(|rule| rule.id.clone());
    Conflict { kind, rule, with: vec![change.target.clone()], explanation, example: None, dead: false }
}

fn of_address(address: &AddressSpec, field: Wide) -> Cell {
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let family = u8::from(address.first().is_ipv6());
    Cell::all()
        .with_narrow(Narrow::Family, crate::packet::Bits::single(family))
        .with_wide(field, Ranges::one(number(address.first()), number(address.last())))
}
