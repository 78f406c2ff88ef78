//! Which hops of a route may touch a set of packets, told by a few bits for each: one look at ten thousand hops is a few instructions each.
//!
//! The values of a field are cut into stretches, as many as it has bits, so that about as many hops begin in each. What is left out here
//! surely touches no packet of the set; what is found may still touch none.

use super::sift::{Route, Test};
use crate::packet::{Bits, Cell, Narrow, Ranges, Wide};

/// The fields that tell most hops apart, with the first of their bits and how many they have.
const LANES: [(Wide, u32, usize); 4] =
    [(Wide::Source, 0, 20), (Wide::Destination, 20, 20), (Wide::DestinationPort, 40, 10), (Wide::SourcePort, 50, 8)];
/// The last bits: these protocols, and all others.
const PROTOCOLS: [u8; 5] = [6, 17, 1, 58, 47];
const PROTOCOL: u32 = 58;
/// Of a longer list of ranges or products what is between the first and the last counts too.
const FEW: usize = 16;
/// So many hops are asked where their values begin.
const SAMPLE: usize = 256;

/// Bits for each hop.
#[derive(Debug)]
pub(super) struct Coarse {
    /// Where the stretches of each field begin, the first of them left out.
    bounds: [Vec<u128>; LANES.len()],
    marks: Vec<u64>,
}

impl Coarse {
    pub(super) fn of(route: &Route) -> Self {
        let bounds = LANES.map(|(field, _, width)| bounds(route, field, width));
        let mut coarse = Self { bounds, marks: Vec::with_capacity(route.hops.len()) };
        for hop in 0..route.hops.len() {
            let mark = route.tests(hop).iter().fold(u64::MAX, |mark, test| mark & coarse.test(test));
            coarse.marks.push(mark);
        }
        coarse
    }

    /// Whether a hop may touch the packets that these bits are of.
    pub(super) fn may(&self, hop: usize, bits: u64) -> bool {
        let both = self.marks[hop] & bits;
        LANES.iter().all(|lane| both & lane_mask(lane) != 0) && both >> PROTOCOL != 0
    }

    fn test(&self, test: &Test) -> u64 {
        match test {
            Test::Wide(field, values) => self.wide(*field, values),
            Test::Narrow(Narrow::Protocol, values) => protocols(**values),
            Test::AnyOf(cells) if cells.len() <= FEW => cells.iter().fold(0, |mark, cell| mark | self.cell(cell)),
            Test::Narrow(..) | Test::AnyOf(_) | Test::Atom(..) => u64::MAX,
        }
    }

    /// The bits of a cell.
    pub(super) fn cell(&self, cell: &Cell) -> u64 {
        let wide = LANES.iter().filter(|(field, _, _)| cell.asks_wide(*field));
        let mark = wide.fold(u64::MAX, |mark, (field, _, _)| mark & self.wide(*field, cell.wide(*field)));
        mark & protocols(cell.narrow(Narrow::Protocol))
    }

    /// The bits of one packet.
    pub(super) fn point(&self, wide: &[u128; Wide::ALL.len()], protocol: u8) -> u64 {
        let lanes = LANES.iter().zip(&self.bounds);
        let stretch = |(lane, bounds): (&(Wide, u32, usize), &Vec<u128>)| {
            1 << (lane.1 as usize + bounds.partition_point(|bound| *bound <= wide[lane.0 as usize]))
        };
        let own: u64 = lanes.map(stretch).fold(0, |own, bit| own | bit);
        own | protocols(Bits::single(protocol)) & !((1 << PROTOCOL) - 1)
    }

    /// The bits of some values of a field, and all of every other field.
    fn wide(&self, field: Wide, values: &Ranges) -> u64 {
        let Some((n, lane)) = LANES.iter().enumerate().find(|(_, lane)| lane.0 == field) else { return u64::MAX };
        let stretch = |value: u128| self.bounds[n].partition_point(|bound| *bound <= value) as u32;
        let bits = |(first, last): (u128, u128)| (2 << stretch(last)) - (1 << stretch(first));
        let own: u64 = match values.as_slice() {
            few if few.len() <= FEW => few.iter().fold(0, |own, range| own | bits(*range)),
            _ => values.hull().map_or(0, bits),
        };
        own << lane.1 | !lane_mask(lane)
    }
}

fn lane_mask((_, first, width): &(Wide, u32, usize)) -> u64 {
    ((1 << width) - 1) << first
}

fn protocols(values: Bits) -> u64 {
    let named = PROTOCOLS.iter().enumerate().filter(|(_, protocol)| values.contains(**protocol));
    let (own, count) = named.fold((0, 0), |(own, count), (n, _)| (own | 1 << n, count + 1));
    let others = u64::from(values.len() > count) << PROTOCOLS.len();
    (own | others) << PROTOCOL | ((1 << PROTOCOL) - 1)
}

/// Values at which about as many hops begin between one and the next.
fn bounds(route: &Route, field: Wide, width: usize) -> Vec<u128> {
    let first = |test: &Test| match test {
        Test::Wide(own, values) if *own == field => values.hull().map(|(first, _)| first),
        _ => None,
    };
    let stride = route.hops.len().div_ceil(SAMPLE).max(1);
    let sample = (0..route.hops.len()).step_by(stride);
    let mut firsts: Vec<_> = sample.filter_map(|hop| route.tests(hop).iter().find_map(first)).collect();
    firsts.sort_unstable();
    let mut bounds: Vec<_> = (1..width).filter_map(|n| firsts.get(n * firsts.len() / width).copied()).collect();
    bounds.dedup();
    bounds.retain(|bound| *bound > 0);
    bounds
}
