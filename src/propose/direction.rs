//! Which way the packets of a statement go past this host: to it, from it, through it.

use super::refusal::{Code, Fault};
use super::side::{Place, Side};
use super::statement::{Act, Statement, Way};
use super::world::World;
use crate::packet::InterfacePattern;
use crate::rule::{Direction, OneOf};

/// One way that is covered, with the interfaces that the statement or the way asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leg {
    pub direction: Direction,
    pub interface_in: OneOf<InterfacePattern>,
    pub interface_out: OneOf<InterfacePattern>,
}

/// How far a statement without a destination reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// This host alone.
    Host,
    /// This host, and what it forwards where it forwards.
    HostAndBeyond,
}

impl Reach {
    /// A denial reaches beyond this host, an allowance does not; a rate is counted in one place.
    pub fn of(s: &Statement) -> Self {
        let one_bucket = s.rate.is_some() || s.act == Act::Limit;
        if (s.act.denies() || s.act == Act::Log) && !one_bucket { Self::HostAndBeyond } else { Self::Host }
    }
}

/// The ways that a statement covers between one source and one destination.
///
/// # Errors
/// When no packet goes that way, or the host forwards nothing.
pub(super) fn legs(s: &Statement, from: &Side, to: &Side, reach: Reach, world: &World) -> Result<Vec<Leg>, Fault> {
    let beyond = reach == Reach::HostAndBeyond && world.forwards();
    let ways = match said_way(s) {
        Some(Way::Out) => outward(from, to, beyond)?,
        Some(Way::In) => inward(s, from, to, beyond, world)?,
        None if !s.entering.is_empty() && !s.leaving.is_empty() => vec![Direction::Forward],
        None => unsaid(from, to, reach, beyond, world)?,
    };
    if ways == [Direction::Forward] && world.forwards == Some(false) {
        let words = "these packets would only pass through this host, and it does not forward";
        return Err(Fault::new(Code::NotForwarding, 0..0, words)
            .hint("set net.ipv4.ip_forward=1 where it shall, or run this on the host that forwards"));
    }
    ways.into_iter().map(|direction| leg(s, from, to, direction, world)).collect()
}

/// Incoming and outgoing as they were said, by a word or by an interface.
fn said_way(s: &Statement) -> Option<Way> {
    s.way.or(match (s.entering.is_empty(), s.leaving.is_empty()) {
        (false, true) => Some(Way::In),
        (true, false) => Some(Way::Out),
        _ => None,
    })
}

fn outward(from: &Side, to: &Side, beyond: bool) -> Result<Vec<Direction>, Fault> {
    match (from.place, to.place) {
        (_, Place::Here) => Err(nowhere("what goes out does not go to this host")),
        (Place::There, _) => Ok(vec![Direction::Forward]),
        (Place::Here, _) => Ok(vec![Direction::Output]),
        _ if beyond => Ok(vec![Direction::Output, Direction::Forward]),
        _ => Ok(vec![Direction::Output]),
    }
}

/// What comes in is meant for this host; a denial also holds for what is let through from outside.
fn inward(s: &Statement, from: &Side, to: &Side, beyond: bool, world: &World) -> Result<Vec<Direction>, Fault> {
    let narrow = !from.is_open() || !s.on.is_empty() || !s.entering.is_empty() || !world.wan().is_empty();
    match (from.place, to.place) {
        (Place::Here, _) => Err(nowhere("what comes in does not come from this host")),
        (_, Place::There) => Ok(vec![Direction::Forward]),
        (_, Place::Either) => Ok(vec![Direction::Input, Direction::Forward]),
        (_, Place::Here) => Ok(vec![Direction::Input]),
        _ if beyond && narrow => Ok(vec![Direction::Input, Direction::Forward]),
        _ => Ok(vec![Direction::Input]),
    }
}

fn unsaid(from: &Side, to: &Side, reach: Reach, beyond: bool, world: &World) -> Result<Vec<Direction>, Fault> {
    use Direction::{Forward, Input, Output};
    let open = |place| matches!(place, Place::Unsaid | Place::Anywhere);
    let through = beyond || to.place == Place::Anywhere && world.forwards();
    Ok(match (from.place, to.place) {
        (Place::Here, Place::Here) => return Err(nowhere("source and destination are both this host")),
        (Place::Here, _) => vec![Output],
        (_, Place::Here) => vec![Input],
        (Place::There | Place::Either, Place::There) => vec![Forward],
        (_, Place::Either) if world.forwards == Some(false) => vec![Input],
        (_, Place::Either) => vec![Input, Forward],
        (place, Place::There) if open(place) && reach == Reach::Host => {
            vec![if world.forwards() { Forward } else { Output }]
        }
        (place, Place::There) if open(place) && beyond => vec![Output, Forward],
        (_, Place::There) => vec![Output],
        (place, Place::Anywhere) if open(place) && to.is_open() && reach == Reach::HostAndBeyond => {
            if through {
                vec![Input, Output, Forward]
            } else {
                vec![Input, Output]
            }
        }
        _ if through => vec![Input, Forward],
        _ => vec![Input],
    })
}

fn nowhere(words: &str) -> Fault {
    Fault::new(Code::Contradiction, 0..0, words)
}

fn leg(s: &Statement, from: &Side, to: &Side, direction: Direction, world: &World) -> Result<Leg, Fault> {
    let on = |side: bool| if side { s.on.as_slice() } else { &[] };
    let (coming, going) = (direction != Direction::Output, direction != Direction::Input);
    if !coming && !s.entering.is_empty() || !going && !s.leaving.is_empty() {
        return Err(nowhere("what is for one way only names an interface of the other way"));
    }
    let mut interface_in = OneOf::any();
    let mut interface_out = OneOf::any();
    if coming {
        interface_in = both(&both(&from.interfaces, &s.entering)?, on(true))?;
    }
    if going {
        let on_out = on(direction == Direction::Output || s.way == Some(Way::Out) && from.interfaces.is_any());
        interface_out = both(&both(&to.interfaces, &s.leaving)?, on_out)?;
    }
    if direction == Direction::Forward {
        if s.way == Some(Way::Out) && !s.on.is_empty() && from.interfaces.is_any() {
            interface_in = both(&from.interfaces, &s.entering)?;
        }
        let outer = OneOf::of(world.wan().to_vec());
        if s.way == Some(Way::In) && interface_in.is_any() && from.addresses.is_any() && to.is_open() {
            interface_in = outer;
        } else if s.way == Some(Way::Out) && interface_out.is_any() && to.is_open() {
            interface_out = outer;
        }
    }
    Ok(Leg { direction, interface_in, interface_out })
}

/// The interfaces that both allow.
fn both(a: &OneOf<InterfacePattern>, b: &[InterfacePattern]) -> Result<OneOf<InterfacePattern>, Fault> {
    if b.is_empty() {
        return Ok(a.clone());
    }
    if a.is_any() {
        return Ok(OneOf::of(b.to_vec()));
    }
    let common: Vec<_> = b.iter().filter(|i| a.items().contains(i) != a.is_negated()).cloned().collect();
    match common.is_empty() {
        true => Err(Fault::new(Code::Contradiction, 0..0, "no packet uses both of the interfaces that were named")),
        false => Ok(OneOf::of(common)),
    }
}
