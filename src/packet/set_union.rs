//! Many products as few: the elements of a set of concatenations.

use super::{Bits, Cell, Narrow, Ranges, Wide};
use std::collections::HashMap;

/// The values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Values<'c> {
    Wide(&'c Ranges),
    Narrow(Bits),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Wide(Wide),
    Narrow(Narrow),
}

impl Field {
    fn of(self, cell: &Cell) -> Values<'_> {
        match self {
            Self::Wide(field) => Values::Wide(cell.wide(field)),
            Self::Narrow(field) => Values::Narrow(cell.narrow(field)),
        }
    }

    /// One cell for some that have all other fields alike.
    fn joined(self, cells: &[&Cell]) -> Cell {
        let one = cells[0].clone();
        match self {
            Self::Wide(field) => {
                let all = Ranges::of(cells.iter().flat_map(|cell| cell.wide(field).as_slice().iter().copied()));
                one.with_wide(field, all)
            }
            Self::Narrow(field) => {
                let all = cells.iter().fold(Bits::NONE, |all, cell| all.or(cell.narrow(field)));
                one.with_narrow(field, all)
            }
        }
    }
}

/// The fields that some of the cells ask for.
fn asked<'c>(cells: impl Iterator<Item = &'c Cell> + Clone) -> Vec<Field> {
    let narrow = Narrow::ALL.into_iter().filter(|field| cells.clone().any(|cell| cell.asks_narrow(*field)));
    let wide = Wide::ALL.into_iter().filter(|field| cells.clone().any(|cell| cell.asks_wide(*field)));
    narrow.map(Field::Narrow).chain(wide.map(Field::Wide)).collect()
}

/// Cells by what they have in all fields but one, in the order in which they come.
fn alike<'c>(cells: &'c [Cell], fields: &[Field], but: Field) -> Vec<Vec<&'c Cell>> {
    let (mut known, mut groups) = (HashMap::new(), Vec::<Vec<&Cell>>::new());
    for cell in cells {
        let key: Vec<_> = fields.iter().filter(|field| **field != but).map(|field| field.of(cell)).collect();
        let number = *known.entry((key, cell.atoms())).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

/// The same packets in fewer products: those that differ in one field only are one, beginning with the field of which most do.
pub fn merged(mut cells: Vec<Cell>) -> Vec<Cell> {
    let mut fields = asked(cells.iter());
    let all = fields.clone();
    while cells.len() > 1 && !fields.is_empty() {
        let groups = fields.iter().map(|field| (*field, alike(&cells, &all, *field)));
        let Some((field, groups)) = groups.min_by_key(|(_, groups)| groups.len()) else { break };
        let joined = groups.iter().map(|group| field.joined(group)).collect();
        fields.retain(|other| *other != field);
        cells = joined;
    }
    cells
}

/// What is in none of the products; nothing where that is more than `most` products.
pub fn outside(cells: &[Cell], most: usize) -> Option<Vec<Cell>> {
    let cells: Vec<_> = cells.iter().collect();
    let mut left = Vec::new();
    beside(&Cell::all(), &cells, most, &mut left)?;
    Some(left)
}

/// Adds what is in a cell and in none of the products.
fn beside(space: &Cell, cells: &[&Cell], most: usize, left: &mut Vec<Cell>) -> Option<()> {
    let [first, _, ..] = cells else {
        left.extend(cells.first().map_or_else(|| vec![space.clone()], |cell| space.minus(cell)));
        return (left.len() <= most).then_some(());
    };
    let telling = asked(cells.iter().copied()).into_iter().find_map(|field| Some((field, apart(cells, field)?)));
    let Some((field, groups)) = telling else {
        // They overlap every way.
        let without = |left: Vec<Cell>, cell: &&Cell| {
            let left: Vec<_> = left.iter().flat_map(|part| part.minus(cell)).collect();
            (left.len() <= most).then_some(left)
        };
        left.extend(cells.iter().try_fold(vec![space.clone()], without)?);
        return (left.len() <= most).then_some(());
    };
    let within = |values: Values<'_>| {
        let mut part = space.clone();
        match (field, values) {
            (Field::Wide(field), Values::Wide(values)) => part.keep_wide(field, values),
            (Field::Narrow(field), Values::Narrow(values)) => part.keep_narrow(field, values),
            _ => {}
        }
        part
    };
    let named = field.joined(&groups.iter().map(|group| group[0]).collect::<Vec<_>>());
    let unnamed = match field {
        Field::Wide(field) => Cell::clone(first).with_wide(field, field.all().minus(named.wide(field))),
        Field::Narrow(field) => Cell::clone(first).with_narrow(field, field.all().minus(named.narrow(field))),
    };
    left.extend(Some(within(field.of(&unnamed))).filter(|part| !part.is_empty()));
    groups.iter().try_for_each(|group| {
        let inside: Vec<_> = group.iter().map(|cell| without(cell, field)).collect();
        beside(&within(field.of(group[0])), &inside.iter().collect::<Vec<_>>(), most, left)
    })
}

/// A cell that leaves a field open.
fn without(cell: &Cell, field: Field) -> Cell {
    match field {
        Field::Wide(field) => cell.clone().with_wide(field, field.all()),
        Field::Narrow(field) => cell.clone().with_narrow(field, field.all()),
    }
}

/// Cells by their values of a field, where no two different ones of these meet.
fn apart<'c>(cells: &[&'c Cell], field: Field) -> Option<Vec<Vec<&'c Cell>>> {
    let (mut known, mut groups) = (HashMap::new(), Vec::<Vec<&Cell>>::new());
    for cell in cells {
        let number = *known.entry(field.of(cell)).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    let mut spans: Vec<(u128, u128)> = known
        .keys()
        .flat_map(|values| match values {
            Values::Wide(ranges) => ranges.as_slice().to_vec(),
            Values::Narrow(bits) => bits.iter().map(|n| (n.into(), n.into())).collect(),
        })
        .collect();
    spans.sort_unstable();
    spans.windows(2).all(|pair| pair[0].1 < pair[1].0).then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells() -> impl Strategy<Value = Vec<Cell>> {
        let one = (0u128..6, 0u128..3, 0u128..5, 0u8..2).prop_map(|(first, more, port, protocol)| {
            Cell::all()
                .with_wide(Wide::Source, Ranges::one(first, first + more))
                .with_wide(Wide::DestinationPort, Ranges::single(port))
                .with_narrow(Narrow::Protocol, Bits::single(protocol))
        });
        proptest::collection::vec(one, 0..14)
    }

    fn holds(cells: &[Cell], (source, port, protocol): (u128, u128, u8)) -> usize {
        let point = Cell::all()
            .with_wide(Wide::Source, Ranges::single(source))
            .with_wide(Wide::DestinationPort, Ranges::single(port))
            .with_narrow(Narrow::Protocol, Bits::single(protocol));
        cells.iter().filter(|cell| point.is_subset(cell)).count()
    }

    proptest! {
        #[test]
        fn packets_are_the_same(cells in cells()) {
            let (few, others) = (merged(cells.clone()), outside(&cells, 10_000).expect("small"));
            prop_assert!(few.len() <= cells.len());
            for (source, port, protocol) in (0..9).flat_map(|s| (0..6).flat_map(move |p| (0..3).map(move |n| (s, p, n)))) {
                let point = (source, port, protocol);
                prop_assert_eq!(holds(&few, point) > 0, holds(&cells, point) > 0);
                prop_assert_eq!(holds(&others, point), usize::from(holds(&cells, point) == 0));
            }
        }
    }

    #[test]
    fn many_addresses_of_few_services_are_few_products() {
        let one = |n: u128| {
            Cell::all()
                .with_wide(Wide::Source, Ranges::single(n * 7))
                .with_wide(Wide::DestinationPort, Ranges::single(n % 3))
        };
        let cells: Vec<_> = (0..3000).map(one).collect();
        let few = merged(cells.clone());
        assert_eq!((few.len(), outside(&few, 4).map(|left| left.len())), (3, Some(4)));
        assert_eq!(outside(&cells, 100).map(|left| left.len()), None);
    }
}
