//! The sources or destinations of a statement, sorted by what a rule can say in one go.

use super::addresses::minus;
use super::refusal::{Code, Fault};
use super::statement::{End, Ends};
use super::world::{Whose, World};
use crate::packet::{AddressSpec, InterfacePattern, MacAddress};
use crate::rule::OneOf;

/// Where a side lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing was said.
    Unsaid,
    /// Anywhere was said.
    Anywhere,
    Here,
    There,
    /// Addresses of which some or all may be this host's.
    Either,
}

/// One source or destination of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    pub place: Place,
    pub interfaces: OneOf<InterfacePattern>,
    pub addresses: OneOf<AddressSpec>,
    pub macs: OneOf<MacAddress>,
}

impl Side {
    fn at(place: Place) -> Self {
        Self { place, interfaces: OneOf::any(), addresses: OneOf::any(), macs: OneOf::any() }
    }

    /// Whether every packet is on this side.
    pub fn is_open(&self) -> bool {
        self.interfaces.is_any() && self.addresses.is_any() && self.macs.is_any()
    }
}

/// What the ends name, by kind.
#[derive(Default)]
struct Sorted {
    addresses: Vec<AddressSpec>,
    interfaces: Vec<InterfacePattern>,
    macs: Vec<MacAddress>,
    here: bool,
    anywhere: bool,
}

fn sorted(ends: &[End]) -> Sorted {
    let mut out = Sorted::default();
    for end in ends {
        match end {
            End::Address(spec) => out.addresses.push(*spec),
            End::Host(_, list) => out.addresses.extend(list),
            End::Zone(_, list) => out.interfaces.extend(list.iter().cloned()),
            End::Mac(mac) => out.macs.push(*mac),
            End::Here => out.here = true,
            End::Anywhere => out.anywhere = true,
            End::Unknown(..) => {}
        }
    }
    dedup(&mut out.addresses);
    dedup(&mut out.interfaces);
    dedup(&mut out.macs);
    out
}

fn dedup<T: PartialEq>(list: &mut Vec<T>) {
    let mut kept: Vec<T> = Vec::with_capacity(list.len());
    for item in list.drain(..) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    *list = kept;
}

/// The sides of `ends`, as destinations (`to`) or as sources.
///
/// # Errors
/// When an exception leaves nothing, or cannot be said.
pub(super) fn sides(ends: &Ends, world: &World, to: bool) -> Result<Vec<Side>, Fault> {
    let of = sorted(&ends.of);
    let but = sorted(&ends.but);
    if but.here {
        return Err(Fault::new(Code::Unsupported, 0..0, "this host cannot be the exception").hint("name its addresses"));
    }
    if !within(&of, &but, world) {
        return Err(Fault::new(Code::Contradiction, 0..0, "the exception is no part of what it is excepted from"));
    }
    let mut out = Vec::new();
    if ends.of.is_empty() || of.anywhere {
        let place = if of.anywhere { Place::Anywhere } else { Place::Unsaid };
        let place = if ends.but.is_empty() { place } else { Place::Anywhere };
        out.push(except(Side::at(place), &but));
        return Ok(out);
    }
    if of.here {
        out.push(Side::at(Place::Here));
    }
    if !of.interfaces.is_empty() {
        let left: Vec<_> = of.interfaces.iter().filter(|i| !but.interfaces.contains(i)).cloned().collect();
        let side = Side { interfaces: OneOf::of(left.clone()), ..Side::at(Place::There) };
        let none = Sorted { interfaces: Vec::new(), ..sorted(&ends.but) };
        out.extend((!left.is_empty()).then(|| except(side, &none)));
    }
    let left = minus(&of.addresses, &but.addresses);
    for (whose, place) in [(Whose::Own, Place::Here), (Whose::Other, Place::There), (Whose::Either, Place::Either)] {
        let mine: Vec<_> = left.iter().filter(|spec| world.whose(spec, to) == whose).copied().collect();
        if !mine.is_empty() {
            let side = Side { addresses: OneOf::of(mine), ..Side::at(place) };
            out.push(except(side, &Sorted { addresses: Vec::new(), ..sorted(&ends.but) }));
        }
    }
    if !of.macs.is_empty() {
        out.push(except(Side { macs: OneOf::of(of.macs), ..Side::at(Place::There) }, &but));
    }
    match out.is_empty() {
        true => Err(Fault::new(Code::Contradiction, 0..0, "the exception leaves nothing")),
        false => Ok(out),
    }
}

/// Whether every exception takes something away: an exception from elsewhere means that the sentence was misread.
fn within(of: &Sorted, but: &Sorted, world: &World) -> bool {
    if of.anywhere || of.addresses.is_empty() && of.interfaces.is_empty() && of.macs.is_empty() && !of.here {
        return true;
    }
    let inside = |hole: &AddressSpec| {
        of.addresses.iter().any(|spec| spec.overlaps(hole))
            || of.interfaces.iter().any(|i| world.may_be_behind(i, hole))
    };
    let known = |hole: &InterfacePattern| of.interfaces.contains(hole);
    let macs = but.macs.is_empty() || !of.interfaces.is_empty() || !of.addresses.is_empty();
    but.addresses.iter().all(inside) && but.interfaces.iter().all(known) && macs
}

fn except(mut side: Side, but: &Sorted) -> Side {
    if side.addresses.is_any() {
        side.addresses = OneOf::none_of(but.addresses.clone());
    }
    if side.interfaces.is_any() {
        side.interfaces = OneOf::none_of(but.interfaces.clone());
    }
    if side.macs.is_any() {
        side.macs = OneOf::none_of(but.macs.clone());
    }
    side
}
