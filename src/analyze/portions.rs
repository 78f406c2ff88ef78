//! What becomes of every packet of a direction, as sets of packets that share no packet.

use super::Budget;
use super::certain::known;
use super::program::Unlaid;
use super::ways::{Laid, Meter, Terms, possible};
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};
use crate::rule::evaluate::Fate;
use crate::rule::ruleset::Ruleset;
use crate::rule::{Direction, Packet};
use std::collections::BTreeSet;

/// Packets of which the same is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    pub cell: Cell,
    /// What may become of them; one fate where it is sure.
    pub fates: BTreeSet<Fate>,
}

/// A direction of a ruleset, ready to be asked.
#[derive(Debug)]
pub struct Portions {
    laid: Laid,
    possible: Cell,
    budget: Budget,
}

impl Portions {
    /// Makes ready.
    ///
    /// # Errors
    /// When the ruleset cannot be laid out: chains that jump in a circle, or to a chain that is not there, or too many.
    pub fn of(ruleset: &Ruleset, direction: Direction, budget: Budget) -> Result<Self, Unlaid> {
        let laid = Laid::new(ruleset, direction, &mut Terms::default())?;
        Ok(Self { laid, possible: possible(direction, &[ruleset]), budget })
    }

    /// All packets that there can be; nothing where the budget ended first.
    pub fn all(&self) -> Option<Vec<Portion>> {
        self.within(&self.possible)
    }

    /// What may become of one packet; nothing where the budget ended first.
    pub fn fates(&self, packet: &Packet) -> Option<BTreeSet<Fate>> {
        let wide = Wide::ALL.iter().fold(Cell::all(), |cell, f| cell.with_wide(*f, Ranges::single(packet.wide(*f))));
        let point = Narrow::ALL.iter().fold(wide, |cell, f| cell.with_narrow(*f, Bits::single(packet.narrow(*f))));
        Some(self.within(&point)?.into_iter().flat_map(|portion| portion.fates).collect())
    }

    fn within(&self, cell: &Cell) -> Option<Vec<Portion>> {
        let parts = known(&self.laid, std::slice::from_ref(cell), &mut Meter::new(self.budget.steps)).ok()?;
        Some(parts.into_iter().map(|part| Portion { cell: part.cell, fates: part.fates }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::{packets, ruleset};
    use crate::rule::evaluate::evaluate;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn each_packet_is_in_one_portion_and_has_its_fate(ruleset in ruleset()) {
            let portions = Portions::of(&ruleset, Direction::Input, Budget { steps: 200_000 }).expect("no circles");
            let all = portions.all().expect("small");
            for packet in packets().iter().step_by(7) {
                let own: Vec<_> = all.iter().filter(|portion| packet.is_in(&portion.cell)).collect();
                let fate = evaluate(&ruleset, packet, &mut |_, _| false).expect("no circles").fate;
                prop_assert_eq!(own.len(), 1, "{}", packet);
                prop_assert_eq!(&own[0].fates, &BTreeSet::from([fate]), "{}", packet);
                prop_assert_eq!(portions.fates(packet), Some(BTreeSet::from([fate])), "{}", packet);
            }
        }
    }
}
