//! A peer: the plain search for a packet of each rule that no earlier rule takes, box by box, with nothing to make it fast.
//!
//! Of a piece of a rule the overlap with the earlier rule that takes most of it is cut out; a piece that no earlier rule meets has a
//! witness. What the audit finds dead must be dead here too; of IPv6 and of fragments this search knows nothing.

use super::classbench::{ANY, Five};

/// First and last value of source, destination, source port, destination port and protocol.
type Product = [(u64, u64); 5];
/// Cuts for one rule, at most.
const MOST: usize = 200_000;

fn product(rule: &Five) -> Product {
    let network = |(address, length): (std::net::Ipv4Addr, u8)| {
        let free = u64::from(u32::MAX).checked_shr(u32::from(length)).unwrap_or(0);
        let first = u64::from(address.to_bits()) & !free;
        (first, first | free)
    };
    let ported = matches!(rule.protocol, Some(6 | 17));
    let ports = |ports: (u16, u16)| if ported { ports } else { ANY };
    let span = |(first, last): (u16, u16)| (u64::from(first), u64::from(last));
    [
        network(rule.source),
        network(rule.destination),
        span(ports(rule.source_port)),
        span(ports(rule.destination_port)),
        rule.protocol.map_or((0, 255), |number| (number.into(), number.into())),
    ]
}

fn both(a: &Product, b: &Product) -> Option<Product> {
    let mut both = *a;
    for (own, other) in both.iter_mut().zip(b) {
        *own = (own.0.max(other.0), own.1.min(other.1));
        if own.0 > own.1 {
            return None;
        }
    }
    Some(both)
}

fn size(product: &Product) -> f64 {
    product.iter().map(|(first, last)| (last - first + 1) as f64).product()
}

/// Whether a rule is dead behind those that it meets; nothing where that was not found out.
fn is_dead(own: Product, earlier: &[Product]) -> Option<bool> {
    let met: Vec<_> = earlier.iter().filter(|other| both(&own, other).is_some()).collect();
    let (mut pieces, mut cuts) = (vec![own], 0);
    while let Some(mut piece) = pieces.pop() {
        let overlaps = met.iter().filter_map(|other| both(&piece, other));
        let Some(taken) = overlaps.max_by(|a, b| size(a).total_cmp(&size(b))) else { return Some(false) };
        for field in 0..5 {
            let ((first, last), (from, to)) = (piece[field], taken[field]);
            for rest in [(first < from).then(|| (first, from - 1)), (to < last).then(|| (to + 1, last))] {
                pieces.extend(rest.map(|rest| {
                    let mut left = piece;
                    left[field] = rest;
                    left
                }));
            }
            piece[field] = taken[field];
        }
        cuts += 1;
        if cuts > MOST {
            return None;
        }
    }
    Some(true)
}

/// How many rules are dead, and of how many that was not found out.
pub fn dead(rules: &[Five]) -> (usize, usize) {
    let products: Vec<_> = rules.iter().map(product).collect();
    let each = (0..products.len()).map(|n| is_dead(products[n], &products[..n]));
    each.fold((0, 0), |(dead, open), found| match found {
        Some(true) => (dead + 1, open),
        Some(false) => (dead, open),
        None => (dead, open + 1),
    })
}
