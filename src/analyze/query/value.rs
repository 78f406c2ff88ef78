//! The values of a question, and what ends of a way mean in each direction.

use super::{End, Names};
use crate::packet::{AddressSpec, Bits, InterfacePattern, Malformed, Narrow, PortRange, Protocol, Ranges};
use crate::rule::ruleset::{name_number, name_range};
use crate::rule::{ConnectionState, Direction, TcpFlag};
use std::net::IpAddr;

pub(super) fn each<T>(list: &str, read: impl Fn(&str) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
    list.split(',').map(read).collect()
}

pub(super) fn pattern(name: &str) -> Ranges {
    match name.parse::<InterfacePattern>() {
        Ok(pattern) if pattern.is_pattern() => name_range(pattern.stem()),
        _ => Ranges::single(name_number(name)),
    }
}

/// Whether packets between these ends have a way in a direction. A question that names no source does not mean this host.
pub(super) fn passes(direction: Direction, from: &End, to: &End, unsaid: bool) -> bool {
    match direction {
        Direction::Input => *from != End::Own && !matches!(to, End::Faces(_)),
        Direction::Forward => *from != End::Own && *to != End::Own,
        Direction::Output => *to != End::Own && (*from == End::Own || unsaid && *to == End::Any),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn of_family(addresses: &[AddressSpec], family: u8) -> Ranges {
    let own = addresses.iter().filter(|a| u8::from(a.first().is_ipv6()) == family);
    Ranges::of(own.map(|a| (number(a.first()), number(a.last()))))
}

/// All of a family, by the numbers of its addresses.
fn everything(family: u8) -> Ranges {
    Ranges::one(0, if family == 0 { u128::from(u32::MAX) } else { u128::MAX })
}

/// The addresses of this host in a family; all where they are not known.
fn own(family: u8, names: &Names) -> Ranges {
    let own = names.own.iter().filter(|a| u8::from(a.is_ipv6()) == family).map(|a| (number(*a), number(*a)));
    if names.own.is_empty() { everything(family) } else { Ranges::of(own) }
}

pub(super) fn source(direction: Direction, from: &End, family: u8, names: &Names) -> Ranges {
    match from {
        End::Addresses(list) => of_family(list, family),
        End::Own if direction == Direction::Output => everything(family),
        End::Own => own(family, names),
        End::Any | End::Faces(_) => everything(family),
    }
}

/// What is addressed to this host comes in; only what is not is forwarded or leaves.
pub(super) fn destination(direction: Direction, to: &End, family: u8, names: &Names) -> Ranges {
    match (to, direction) {
        (End::Addresses(list), Direction::Input) => of_family(list, family).and(&own(family, names)),
        (End::Addresses(list), _) if !names.own.is_empty() => of_family(list, family).minus(&own(family, names)),
        (End::Addresses(list), _) => of_family(list, family),
        _ => everything(family),
    }
}

pub(super) fn end(name: &str, names: &Names) -> Result<End, Malformed> {
    if matches!(name, "any" | "anywhere" | "anyone") {
        return Ok(End::Any);
    }
    if name == "this-host" {
        return Ok(End::Own);
    }
    match (names.faces.get(name), names.hosts.get(name)) {
        (Some(_), Some(_)) => {
            Err(Malformed::new(format!("`{}` is an interface or zone and a host", name.escape_debug())))
        }
        (Some(faces), None) => Ok(End::Faces(faces.clone())),
        (None, Some(list)) => Ok(End::Addresses(list.clone())),
        (None, None) => name.parse().map(|address| End::Addresses(vec![address])).map_err(|_: Malformed| {
            Malformed::new(format!(
                "`{}` is no address and no name of a zone, an interface or a host; {}",
                name.escape_debug(),
                names.known()
            ))
        }),
    }
}

pub(super) fn face(name: &str, names: &Names) -> Result<Ranges, Malformed> {
    if let Some(faces) = names.faces.get(name) {
        return Ok(faces.clone());
    }
    name.parse::<InterfacePattern>().map(|_| pattern(name))
}

pub(super) fn protocols(list: &str) -> Result<Bits, Malformed> {
    Ok(each(list, str::parse::<Protocol>)?.into_iter().map(|p| p.0).collect())
}

pub(super) fn ports(list: &str) -> Result<Ranges, Malformed> {
    let all = each(list, str::parse::<PortRange>)?;
    Ok(Ranges::of(all.iter().map(|p| (p.first().into(), p.last().into()))))
}

pub(super) fn service(name: &str, names: &Names) -> Result<Vec<(Protocol, PortRange)>, Malformed> {
    names.services.get(name).cloned().ok_or_else(|| {
        Malformed::new(format!(
            "`{}` is no service that is known here; `proto tcp port 22` is one",
            name.escape_debug()
        ))
    })
}

pub(super) fn states(list: &str) -> Result<Bits, Malformed> {
    if list == "any" {
        return Ok(Narrow::State.all());
    }
    Ok(each(list, str::parse::<ConnectionState>)?.into_iter().map(|state| state as u8).collect())
}

pub(super) fn flags(list: &str) -> Result<Bits, Malformed> {
    match list {
        "any" => Ok(Bits::ALL),
        "none" => Ok(Bits::single(0)),
        _ => {
            let bits = each(list, str::parse::<TcpFlag>)?.into_iter().fold(0, |bits, flag| bits | 1 << (flag as u8));
            Ok(Bits::single(bits))
        }
    }
}
