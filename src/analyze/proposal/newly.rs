//! Which packets a rule gives another fate, told as few sets, each less what other rules decide about it, with a packet that shows it.

use super::judge::Judge;
use super::post::{Post, Rivals, TRIED};
use super::wide::keep_states;
use crate::analyze::effect::whole_families;
use crate::analyze::sift::Move;
use crate::analyze::travel::{Leg, Point, Sought, Trust};
use crate::analyze::view::Side;
use crate::analyze::words::class;
use crate::packet::{Bits, Cell, joined};
use crate::record::PacketClass;
use crate::rule::evaluate::By;

/// More sets than this are not told for one rule.
const TOLD: usize = 12;

/// What came of looking for packets of a set whose fate changes.
enum Looked {
    /// So many sets were told.
    Told(usize),
    /// There are none; these hops take them.
    Nothing(Vec<usize>),
    Spent,
}

impl Judge<'_> {
    /// Notes the packets that a rule which denies takes from those that are accepted without it; what denies them anyhow, where it takes
    /// none.
    pub(super) fn newly_denied(&mut self, post: &mut Post) -> Option<Vec<By>> {
        let side = other(post.side());
        let (from, _) = post.apart();
        // Where everything is denied in the end, what leads past that tells more.
        let sure = |hop: &usize| post.takes_all(*hop) && post.travel.route.hops[*hop].luck.is_none();
        let last = post.deniers(side, from, usize::MAX).into_iter().take(TRIED).find(sure);
        let looked = match last {
            Some(last) => {
                let past = |act: Move| act.target().is_some_and(|end| end > last);
                let leading = post.broad(side, from, last, past);
                self.one_by_one(post, &leading, &|post, hop| {
                    let end = post.travel.route.hops[hop].act.target().unwrap_or(hop);
                    vec![post.coming(), Leg { side, from, to: hop }, post.leg(side, end)]
                })
            }
            None => {
                let legs = [post.coming(), post.leg(side, from)];
                let cells = post.cells.clone();
                self.look(post, &cells, &legs)
            }
        };
        match looked {
            Looked::Told(_) => None,
            Looked::Nothing(used) => Some(post.denying(used.into_iter().chain(last))),
            Looked::Spent => {
                self.not_followed(post);
                None
            }
        }
    }

    /// Notes the packets that a rule which accepts takes from those that deny them without it; whether there are any, where that is known.
    pub(super) fn newly_accepted(&mut self, post: &mut Post, end: usize) -> Option<bool> {
        let side = other(post.side());
        let (from, to) = post.apart();
        let denying = post.deniers(side, from.max(post.first_change()), to);
        let looked = self.one_by_one(post, &denying, &|post, hop| {
            vec![post.coming(), Leg { side, from, to: hop }, post.leg(post.side(), end)]
        });
        match looked {
            Looked::Told(_) => Some(true),
            Looked::Nothing(_) => Some(false),
            Looked::Spent => {
                self.not_followed(post);
                None
            }
        }
    }

    /// Looks, hop by hop, for packets that the hop decides about without the rule.
    fn one_by_one(&mut self, post: &mut Post, hops: &[usize], legs: &dyn Fn(&Post, usize) -> Vec<Leg>) -> Looked {
        let (mut told, mut used) = (0, Vec::new());
        for (tried, hop) in hops.iter().enumerate() {
            if told >= TOLD || tried >= TRIED && told > 0 {
                self.tell_rest(post, &hops[tried..]);
                break;
            }
            let cells = post.travel.all_within(*hop, &post.cells);
            match self.look(post, &cells, &legs(post, *hop)) {
                Looked::Told(more) => told += more,
                Looked::Nothing(all) => used.extend(all),
                Looked::Spent if told > 0 => {
                    self.tell_rest(post, &hops[tried..]);
                    break;
                }
                Looked::Spent => return Looked::Spent,
            }
        }
        if told > 0 { Looked::Told(told) } else { Looked::Nothing(used) }
    }

    /// Looks for packets of some sets that make all legs, and tells them.
    fn look(&mut self, post: &mut Post, cells: &[Cell], legs: &[Leg]) -> Looked {
        let (mut told, mut used) = (0, Vec::new());
        for cell in joined(cells.iter().cloned().map(whole_families).collect()) {
            let own = [cell];
            match post.travel.search(&own, legs, Trust::All) {
                Sought::Found(point) => {
                    told += 1;
                    post.told = true;
                    self.tell(post, &own[0], legs, &point);
                }
                Sought::Nothing(all) => used.extend(all),
                Sought::Spent => return if told > 0 { Looked::Told(told) } else { Looked::Spent },
            }
        }
        if told > 0 { Looked::Told(told) } else { Looked::Nothing(used) }
    }

    fn tell(&mut self, post: &mut Post, cell: &Cell, legs: &[Leg], point: &Point) {
        let rivals = post.rivals(cell, legs);
        let but = self.but(&rivals);
        let class = self.class(post, cell, &but, point);
        let accepts = self.accepts == (post.side() == Side::After);
        if !accepts {
            let established = keep_states(std::slice::from_ref(cell), Bits::single(1));
            if let Sought::Found(point) = post.travel.search(&established, legs, Trust::All) {
                let class = self.class(post, &established[0], &but, &point);
                self.found.changed.cut(class);
            }
        }
        self.found.changed.tell(accepts, cell.clone(), class);
    }

    fn class(&self, post: &Post, cell: &Cell, but: &str, point: &Point) -> PacketClass {
        let mut plain = cell.clone();
        plain.drop_atoms_of(|atom| self.found.atoms.is_luck(atom));
        let by = |side: Side| match side == post.side() {
            true => self.decider_of(post, post.by(post.hop)),
            false => post
                .travel
                .fate(side, point)
                .1
                .map_or_else(|| self.after.decider(By::Nothing), |hop| self.decider_of(post, post.by(hop))),
        };
        PacketClass {
            text: format!("{}{but}", class(post.direction(), &plain, &self.found.atoms)),
            example: Some(point.packet.to_string()),
            before: Some(by(Side::Before)),
            after: Some(by(Side::After)),
        }
    }

    fn own(&self, post: &Post) -> String {
        post.name.clone().unwrap_or_else(|| self.decider_of(post, post.by(post.hop)))
    }

    /// What decides, where it stands after the change or stood before.
    fn decider_of(&self, post: &Post, by: By) -> String {
        match post.side() {
            Side::Before if by == post.by(post.hop) => self.before.decider(by),
            _ => self.after.decider(by),
        }
    }

    /// That other rules decide about some of a set.
    fn but(&self, rivals: &Rivals) -> String {
        let Some(first) = rivals.first.map(|by| self.after.decider(by)) else { return String::new() };
        match rivals.count {
            1 => format!(", except what `{first}` decides"),
            count => format!(", except what up to {count} other rules decide, one of them `{first}`"),
        }
    }

    /// That more rules may lose packets to the rule than were looked at.
    fn tell_rest(&mut self, post: &Post, rest: &[usize]) {
        let rules: std::collections::BTreeSet<By> = rest.iter().map(|hop| post.by(*hop)).collect();
        let Some(first) = rest.first().map(|hop| self.decider_of(post, post.by(*hop))) else { return };
        let own = self.own(post);
        let (before, after) = if post.side() == Side::After { (first, own) } else { (own, first) };
        let text = format!("and what up to {} more rules decide otherwise, one of them as said here", rules.len());
        let accepts = self.accepts == (post.side() == Side::After);
        let class = PacketClass { text, example: None, before: Some(before), after: Some(after) };
        self.found.changed.tell_rest(accepts, class);
    }

    fn not_followed(&mut self, post: &Post) {
        let Some(largest) = post.cells.iter().max_by_key(|cell| cell.magnitude()) else { return };
        let whole = class(post.direction(), largest, &self.found.atoms);
        let words = format!("a part of {whole}: {}", self.budget.undecided("which"));
        self.found.changed.undecided(self.accepts == (post.side() == Side::After), words);
    }
}

fn other(side: Side) -> Side {
    if side == Side::Before { Side::After } else { Side::Before }
}
