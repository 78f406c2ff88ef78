//! Whether two rulesets send the same packets to the same place.
//!
//! What translates a destination to one address and port is compared by what it makes of the packets; everything else by its words, and
//! where two languages have other words for it nobody knows.

use crate::analyze::program::End;
use crate::packet::{Cell, Ranges, Wide};
use crate::rule::{Landing, Translation, Turned};

/// A translation in each of two rulesets, or none.
pub(super) type Pair<'t> = [Option<&'t Translation>; 2];

/// What comes of two translations of the same packets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// Packets that surely go elsewhere, or come from elsewhere.
    pub(super) apart: Vec<Cell>,
    /// Whether nobody knows of the others.
    pub(super) open: bool,
}

/// Compares two translations of an end of the packets of a cell, in rulesets of one language or of two.
pub(super) fn moved(cell: &Cell, pair: Pair, end: End, one_language: bool) -> Moved {
    let [a, b] = pair.map(|one| one.map(|translation| translation.text.as_str()));
    let mut found = Moved::default();
    if a.is_none() && b.is_none() {
        return found;
    }
    let mut rest = vec![cell.clone()];
    match end {
        End::Destination => {
            let landing = |one: Option<&Translation>| one.map_or(Turned::default(), Translation::landing);
            let [x, y] = pair.map(landing);
            for field in [Wide::Destination, Wide::DestinationPort] {
                match (x.of(field), y.of(field)) {
                    (Landing::Open, _) | (_, Landing::Open) => found.open |= a != b,
                    (x, y) => rest = split(rest, field, x, y, &mut found.apart),
                }
            }
        }
        End::Source if a == b => {}
        End::Source => match one_language || a.is_none() || b.is_none() {
            true => found.apart.append(&mut rest),
            false => found.open = true,
        },
    }
    found.open &= !rest.is_empty();
    found
}

/// Moves those of some packets that have another value by one landing than by the other; what is left.
fn split(cells: Vec<Cell>, field: Wide, x: Landing, y: Landing, apart: &mut Vec<Cell>) -> Vec<Cell> {
    let to = match (x, y) {
        (Landing::To(x), Landing::To(y)) if x != y => {
            apart.extend(cells);
            return Vec::new();
        }
        (Landing::Kept, Landing::To(to)) | (Landing::To(to), Landing::Kept) => Ranges::single(to),
        _ => return cells,
    };
    let of = |values: &Ranges| {
        let kept = cells.iter().map(|cell| {
            let mut cell = cell.clone();
            cell.keep_wide(field, values);
            cell
        });
        kept.filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    apart.extend(of(&field.all().minus(&to)));
    of(&to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dnat(text: &str, address: Landing, port: Landing) -> Translation {
        Translation { text: text.to_owned(), address, port }
    }

    #[test]
    fn destinations_are_compared_by_where_they_are() {
        use Landing::{Kept, Open, To};
        let (web, same) = (dnat("dnat to 10.0.0.5:80", To(5), To(80)), dnat("-j DNAT", To(5), To(80)));
        let (other, own) = (dnat("dnat to 10.0.0.6:80", To(6), To(80)), dnat("redirect to :80", Open, To(80)));
        let port = |port: u128| Cell::all().with_wide(Wide::DestinationPort, Ranges::single(port));
        let compare = |a, b, cell: &Cell| moved(cell, [a, b], End::Destination, false);
        assert_eq!(compare(Some(&web), Some(&same), &port(80)), Moved::default());
        assert_eq!(compare(None, None, &port(80)), Moved::default());
        assert_eq!(compare(Some(&web), Some(&other), &port(80)).apart, [port(80)]);
        assert_eq!(compare(Some(&web), Some(&own), &port(80)), Moved { apart: Vec::new(), open: true });
        assert_eq!(compare(Some(&own), Some(&own), &port(80)), Moved::default());
        let there = port(80).with_wide(Wide::Destination, Ranges::single(5));
        assert_eq!(compare(Some(&web), None, &there), Moved::default());
        let port_only = dnat("dnat to :80", Kept, To(80));
        assert_eq!(compare(Some(&port_only), None, &port(81)).apart, [port(81)]);
        assert_eq!(compare(Some(&port_only), None, &port(80)), Moved::default());
    }

    #[test]
    fn sources_are_compared_by_their_words() {
        let of = |text: &str| Translation::of_source(text.to_owned());
        let compare = |a, b, one| moved(&Cell::all(), [a, b], End::Source, one);
        let (a, b) = (of("masquerade"), of("snat to 192.0.2.1"));
        assert_eq!(compare(Some(&a), Some(&a), false), Moved::default());
        assert_eq!(compare(Some(&a), Some(&b), true).apart, [Cell::all()]);
        assert_eq!(compare(Some(&a), None, false).apart, [Cell::all()]);
        assert_eq!(compare(Some(&a), Some(&b), false), Moved { apart: Vec::new(), open: true });
    }
}
