//! The packets of an imported rule as products: what its conditions leave of those that come to it, and the arithmetic of proofs.

use crate::packet::{Bits, Cell, Narrow, Protocol, Ranges, Wide};
use crate::rule::ruleset::{Condition, TableFamily, name_number};
use crate::rule::{Direction, OneOf, Rule};

/// More products than this are not worked on: a rule of so many is none that a person reads.
const MOST: usize = 1024;

/// The packets that come to a base chain of a table: a packet has no interface where its way does not know one. Later fragments are
/// left out: nft looks for ports in their bytes and xtables does not, and none is of use to anybody without the first one.
pub(super) fn entering(direction: Direction, family: TableFamily) -> Cell {
    let families = family.packets().and(Bits::below(2));
    let all = Cell::all().with_narrow(Narrow::Family, families).with_narrow(Narrow::Fragment, Bits::single(0));
    match direction {
        Direction::Input => all.with_wide(Wide::OutInterface, Ranges::single(0)),
        Direction::Output => all.with_wide(Wide::InInterface, Ranges::single(0)),
        Direction::Forward => all,
    }
}

pub(super) const NONE_COMES: &str = "no packet that comes to it matches";

/// What is in none of the holes; nothing where it comes to too many pieces.
pub(super) fn without(cells: Vec<Cell>, holes: &[Cell]) -> Option<Vec<Cell>> {
    holes.iter().try_fold(cells, |left, hole| {
        // Most rules are about other packets; nothing is copied for them.
        if left.iter().all(|cell| cell.is_disjoint(hole)) {
            return Some(left);
        }
        let left: Vec<_> = left.iter().flat_map(|cell| cell.minus(hole)).collect();
        (left.len() <= MOST).then_some(left)
    })
}

/// Addresses of IPv4 that are longer than those are: no packet has them.
pub(super) fn nobody() -> [Cell; 2] {
    let longer = Ranges::one(u128::from(u32::MAX) + 1, u128::MAX);
    let v4 = Cell::all().with_narrow(Narrow::Family, Bits::single(0));
    [Wide::Source, Wide::Destination].map(|end| v4.clone().with_wide(end, longer.clone()))
}

/// Without packets of one family that carry the other's ICMP.
pub(super) fn cut(cell: &Cell) -> Vec<Cell> {
    let foreign = [(0, Protocol::ICMPV6), (1, Protocol::ICMP)].map(|(family, icmp)| {
        Cell::all()
            .with_narrow(Narrow::Family, Bits::single(family))
            .with_narrow(Narrow::Protocol, Bits::single(icmp.0))
    });
    foreign.iter().fold(vec![cell.clone()], |left, hole| left.iter().flat_map(|part| part.minus(hole)).collect())
}

/// What conditions leave of the packets that come to a rule. So many as are `expected` that are more than sets of packets are passed over.
///
/// # Errors
/// The condition that is more than a set of packets, or that no packet is left.
pub(super) fn narrowed(entering: &[Cell], conditions: &[Condition], expected: usize) -> Result<Vec<Cell>, String> {
    let mut chances = conditions.iter().filter_map(|condition| match condition {
        Condition::Chance(text) => Some(text),
        _ => None,
    });
    if let Some(text) = chances.nth(expected) {
        return Err(format!("`{text}` changes by itself or from packets"));
    }
    if conditions.iter().any(|c| matches!(c, Condition::Narrow(Narrow::Fragment, kinds) if !kinds.contains(0))) {
        return Err("it is about later fragments, of which AFO's rules ask nothing".to_owned());
    }
    let mut cells = entering.to_vec();
    for condition in conditions {
        if let Condition::Unread(unread) = condition {
            return Err(format!("`{}` is nothing that AFO's rules ask", unread.text));
        }
        cells = kept(cells, condition);
        if cells.len() > MOST {
            return Err(format!("its packets are more than {MOST} combinations"));
        }
    }
    match cells.is_empty() {
        true => Err(NONE_COMES.to_owned()),
        false => Ok(cells),
    }
}

/// The most packets that a rule may take, whatever is not known of it.
pub(super) fn widest(entering: &[Cell], conditions: &[Condition]) -> Vec<Cell> {
    let narrow = |cells: Vec<Cell>, condition| match cells.len() > MOST {
        true => cells,
        false => kept(cells, condition),
    };
    conditions.iter().fold(entering.to_vec(), narrow)
}

/// The packets of which a condition holds; of a condition that is no set of packets it may hold of all.
fn kept(mut cells: Vec<Cell>, condition: &Condition) -> Vec<Cell> {
    match condition {
        Condition::Wide(field, values) => cells.iter_mut().for_each(|cell| cell.keep_wide(*field, values)),
        Condition::Narrow(field, values) => cells.iter_mut().for_each(|cell| cell.keep_narrow(*field, *values)),
        Condition::AnyOf(any) => {
            cells = cells.iter().flat_map(|cell| any.iter().filter_map(|one| cell.and(one))).collect();
        }
        Condition::Chance(_) | Condition::Unread(_) => {}
    }
    cells.retain(|cell| !cell.is_empty());
    cells
}

/// Whether all its packets are those of loopback.
pub(super) fn is_loopback(cell: &Cell, direction: Direction) -> bool {
    let lo = Ranges::single(name_number("lo"));
    match direction {
        Direction::Input => cell.wide(Wide::InInterface).is_subset(&lo),
        Direction::Output => cell.wide(Wide::OutInterface).is_subset(&lo),
        Direction::Forward => false,
    }
}

/// Whether a rule names loopback, which AFO's chains leave alone otherwise.
pub(super) fn names_loopback(rule: &Rule) -> bool {
    let names = |list: &OneOf<crate::packet::InterfacePattern>| {
        !list.is_negated() && list.items().iter().any(|name| name.matches("lo"))
    };
    names(&rule.interface_in) || names(&rule.interface_out)
}
