//! Changes to rules that are there: taken out, replaced, put back, and blocks that end.

use super::difference::Told;
use super::judge::{Judge, Way, not_laid};
use crate::analyze::placing::{Made, Stood};
use crate::analyze::program::{Unlaid, lay_out_near};
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
        if let Some(rule) = change.rule.as_ref().filter(|_| !made.new.is_empty()) {
            match self.ways(&made.new) {
                Ok(ways) => self.rule(rule, &ways, &made.new),
                Err(why) => self.found.items.push(not_laid(rule, &why)),
            }
        }
    }

    /// Notes the packets that get another fate where lines are gone; nothing where that was too much to follow.
    fn gone(&mut self, gone: &[Stood]) -> Result<Option<bool>, Unlaid> {
        let mut changed = Some(false);
        for stood in gone {
            let own = self.before.decider(By::Line(stood.at));
            for direction in self.directions(self.before, stood) {
                let packets = self.packets(self.before, stood)?;
                let way = self.way(direction, &packets)?;
                let told = Told { before: Some(own.clone()), after: None };
                changed = changed.zip(self.difference(self.after, &way, &packets, &told)).map(|(a, b)| a || b);
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
        let told = Told { before: Some(format!("the block of {address}")), after: None };
        let mut changed = Some(false);
        for direction in Direction::ALL.iter().copied() {
            if !lines.iter().any(|stood| self.directions(self.before, stood).contains(&direction)) {
                continue;
            }
            let field = if direction == Direction::Output { Wide::Destination } else { Wide::Source };
            let packets = vec![of_address(address, field)];
            let before = lay_out_near(self.before, direction, &packets, &mut self.found.atoms)?;
            let after = lay_out_near(&view, direction, &packets, &mut self.found.atoms)?;
            let way = Way { direction, packets, before, after };
            changed = changed.zip(self.difference(&view, &way, &way.packets, &told)).map(|(a, b)| a || b);
        }
        Ok(changed)
    }
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
