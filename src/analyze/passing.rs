//! What of some packets gets through a ruleset in which very many rules meet them: rule by rule, with a packet for each set that is told.

use super::Budget;
use super::cells::Atoms;
use super::classes::Pieces;
use super::program::Unlaid;
use super::proposal::post::Post;
use super::sift::{Move, Route};
use super::travel::{Leg, Point, Sought, Trust};
use super::view::{Known, Side, View};
use super::words::decider;
use crate::packet::{Cell, joined};
use crate::rule::evaluate::By;
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Packet};
use std::collections::BTreeSet;

/// Where fewer rules and products of sets than this are on the way, packets are followed part by part.
const NEAR: usize = 512;
/// Looks at rules for each step of the budget.
const LOOKS: usize = 2_000;
/// More sets than this are not told.
const TOLD: usize = 400;

/// Adds what gets through, as far as it is found, and says what is left to find; nothing where few rules are on the way.
pub(super) fn wide(
    ruleset: &Ruleset,
    direction: Direction,
    cells: &[Cell],
    budget: Budget,
    pieces: &mut Pieces,
) -> Result<Option<Vec<String>>, Unlaid> {
    wide_from(NEAR, (ruleset, direction), cells, budget, pieces)
}

fn wide_from(
    near: usize,
    (ruleset, direction): (&Ruleset, Direction),
    cells: &[Cell],
    budget: Budget,
    pieces: &mut Pieces,
) -> Result<Option<Vec<String>>, Unlaid> {
    let known = Known::of(ruleset);
    let (view, mut atoms) = (View::of(ruleset, &known), Atoms::default());
    let route = Route::new(&view, &view, direction, cells, &mut atoms)?;
    if route.weight() < near {
        return Ok(None);
    }
    let post = Post::of_all(&route, budget.steps.saturating_mul(LOOKS));
    let mut passing = Passing { ruleset, post, pieces };
    Ok(Some(passing.all()))
}

/// What becomes of some packets, in one look.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// One that gets through, and what accepts it.
    pub(super) through: Option<(Packet, By)>,
    /// Whether some surely do not.
    pub(super) stopped: bool,
    /// Whether it is not sure of some.
    pub(super) open: bool,
}

/// Whether some packets get through and whether some do not; nothing where few rules are on the way.
pub(super) fn outcome(
    ruleset: &Ruleset,
    direction: Direction,
    cells: &[Cell],
    budget: Budget,
) -> Result<Option<Outcome>, Unlaid> {
    let known = Known::of(ruleset);
    let (view, mut atoms) = (View::of(ruleset, &known), Atoms::default());
    let route = Route::new(&view, &view, direction, cells, &mut atoms)?;
    if route.weight() < NEAR {
        return Ok(None);
    }
    let mut post = Post::of_all(&route, budget.steps.saturating_mul(LOOKS));
    let whole = [Leg { side: Side::Both, from: 0, to: route.hops.len() }];
    let mut found = Outcome::default();
    for trust in [Trust::Nothing, Trust::All] {
        if found.through.is_none() {
            match post.travel.search(cells, &whole, trust) {
                Sought::Found(point) => {
                    let by = post.travel.fate(Side::Both, &point).1.map_or(By::Nothing, |hop| post.by(hop));
                    found.through = Some((point.packet, by));
                    found.open = trust == Trust::All;
                }
                Sought::Nothing(_) => {}
                Sought::Spent => found.open = true,
            }
        }
    }
    for hop in post.deniers(Side::Both, 0, usize::MAX) {
        let (own, legs) = (post.travel.all_within(hop, cells), [Leg { to: hop, ..whole[0] }]);
        let sure = !post.depends(hop, cells);
        match if sure { post.travel.search(&own, &legs, Trust::Nothing) } else { Sought::Nothing(BTreeSet::new()) } {
            Sought::Found(_) => found.stopped = true,
            Sought::Nothing(_) => {
                found.open |= !matches!(post.travel.search(&own, &legs, Trust::All), Sought::Nothing(_));
            }
            Sought::Spent => found.open = true,
        }
        if found.stopped || found.open {
            break;
        }
    }
    Ok(Some(found))
}

struct Passing<'p, 'r, 'v> {
    ruleset: &'p Ruleset,
    post: Post<'r, 'v>,
    pieces: &'p mut Pieces,
}

impl Passing<'_, '_, '_> {
    fn all(&mut self) -> Vec<String> {
        let sure = |hop: &usize| self.post.takes_all(*hop) && self.post.travel.route.hops[*hop].luck.is_none();
        let closed = self.post.deniers(Side::Both, 0, usize::MAX).into_iter().find(sure);
        let Some(closed) = closed else {
            let cells = self.post.cells.clone();
            let whole = Leg { side: Side::Both, from: 0, to: self.post.travel.route.hops.len() };
            let told = self.look(&cells, &[whole], None);
            return told.is_none().then(|| self.undecided("what gets through")).into_iter().collect();
        };
        let past = |act: Move| act.target().is_some_and(|end| end > closed);
        let leading = self.post.broad(Side::Both, 0, closed, past);
        let mut told = 0;
        for (tried, hop) in leading.iter().enumerate() {
            let end = self.post.travel.route.hops[*hop].act.target().unwrap_or(*hop);
            let cells = self.post.travel.all_within(*hop, &self.post.cells);
            let legs = [Leg { side: Side::Both, from: 0, to: *hop }, self.post.leg(Side::Both, end)];
            let more = if told < TOLD { self.look(&cells, &legs, Some(*hop)) } else { None };
            let Some(more) = more else {
                let rest = &leading[tried..];
                let first = decider(self.ruleset, self.post.by(rest[0]));
                return vec![
                    self.undecided(&format!("what {} more rules let through, one of them `{first}`", rest.len())),
                ];
            };
            told += more;
        }
        Vec::new()
    }

    fn undecided(&self, what: &str) -> String {
        format!("{} packets: not followed to the end (--steps N allows more): {what}", self.post.direction())
    }

    /// Tells which of some packets make all legs: of how many sets; nothing where the work that is allowed is done.
    fn look(&mut self, cells: &[Cell], legs: &[Leg], hop: Option<usize>) -> Option<usize> {
        let mut told = 0;
        for cell in joined(cells.to_vec()) {
            let own = [cell];
            // A set that depends on conditions is none of which it is sure.
            let free = if own[0].atoms().is_empty() { &own[..] } else { &[] };
            let sure = match self.post.travel.search(free, legs, Trust::Nothing) {
                Sought::Found(point) => Some(("accept", point)),
                Sought::Nothing(_) => None,
                Sought::Spent => return None,
            };
            let found = match sure {
                Some(found) => Some(found),
                None => match self.post.travel.search(&own, legs, Trust::All) {
                    Sought::Found(point) => Some(("unknown", point)),
                    Sought::Nothing(_) => None,
                    Sought::Spent => return None,
                },
            };
            if let Some((verdict, point)) = found {
                self.tell(verdict, &own[0], legs, hop, &point);
                told += 1;
            }
        }
        Some(told)
    }

    fn tell(&mut self, verdict: &'static str, cell: &Cell, legs: &[Leg], hop: Option<usize>, point: &Point) {
        let rivals = self.post.rivals(cell, legs).count;
        let decides = self.post.travel.fate(Side::Both, point).1.or(hop);
        let by = decides.map_or(By::Nothing, |hop| self.post.by(hop));
        let mut plain = cell.clone();
        plain.drop_atoms();
        let shown = (point.packet.clone(), rivals);
        self.pieces.add_shown(verdict, self.post.direction(), plain, by, shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::{packets, ruleset};
    use crate::analyze::ways::{Terms, possible};
    use crate::rule::evaluate::evaluate;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_gets_through_is_told_with_packets_that_do(ruleset in ruleset()) {
            let (mut pieces, cells) = (Pieces::default(), [possible(Direction::Input, &[&ruleset])]);
            let left = wide_from(0, (&ruleset, Direction::Input), &cells, Budget::default(), &mut pieces);
            prop_assert_eq!(left.expect("no circles"), Some(Vec::new()));
            let passes = |packet: &Packet| evaluate(&ruleset, packet, &mut |_, _| false).expect("no circles").fate.passes();
            for packet in packets().iter().filter(|packet| passes(packet)) {
                prop_assert!(pieces.of(packet).contains(&"accept"), "{}", packet);
            }
            let (classes, _) = pieces.classes(&Terms::default(), (None, &ruleset), &|_| None);
            for class in classes {
                let packet: Packet = class.example.as_ref().expect("an example").parse().expect("a packet");
                // The drawn rules ask for ports of any protocol; only the text of those that have some says them.
                prop_assert!(packet.fragment || !packet.protocol.has_ports() || passes(&packet), "{:?}", class);
            }
        }
    }
}
