//! One element of a set of ipset as packets: `192.0.2.1,tcp:80`, `10.0.0.0/8,eth0`.

use super::address;
use super::names::{icmp, number, port, protocol};
use super::sets::Set;
use super::words::Word;
use crate::packet::{Bits, Cell, MacAddress, Narrow, Protocol, Ranges, Wide};
use crate::rule::ruleset::{TableFamily, name_number};

/// An element: the values of one field, or of several as a product.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) field: Wide,
    pub(super) values: Ranges,
    pub(super) cell: Option<Cell>,
    /// With `nomatch`.
    pub(super) hole: bool,
}

impl Member {
    pub(super) fn into_cell(self) -> Cell {
        self.cell.unwrap_or_else(|| Cell::all().with_wide(self.field, self.values))
    }
}

/// Reads an element of a set for the sides of the packet that a match names, true for the source.
pub(super) fn member(set: &Set, words: &[Word], directions: &[bool], family: TableFamily) -> Option<Member> {
    // Nothing says that these change what is compared.
    if set.option("bitmask").is_some() || words.iter().any(|word| word.text == "wildcard") {
        return None;
    }
    let hole = words.iter().skip(1).any(|word| !word.quoted && word.text == "nomatch");
    let kinds: Vec<_> = set.kind.split_once(':')?.1.split(',').collect();
    let text = words.first()?.text.as_ref();
    let parts: Vec<_> = text.split(',').collect();
    if parts.len() != kinds.len() || directions.len() < kinds.len() {
        return None;
    }
    if let ([kind @ ("ip" | "net" | "mac")], [part]) = (kinds.as_slice(), parts.as_slice()) {
        let (field, values) = wide(set, kind, part, directions[0], family)?;
        return Some(Member { field, values, cell: None, hole });
    }
    let mut cell = Cell::all();
    for ((kind, part), source) in kinds.iter().zip(&parts).zip(directions) {
        keep(&mut cell, set, kind, part, *source, family)?;
    }
    Some(Member { field: Wide::Source, values: Ranges::none(), cell: Some(cell), hole })
}

/// One dimension that is one field.
fn wide(set: &Set, kind: &str, part: &str, source: bool, family: TableFamily) -> Option<(Wide, Ranges)> {
    let side = |from, to| if source { from } else { to };
    match kind {
        "ip" | "net" => {
            let text = match set.option("netmask") {
                Some(mask) if !part.contains(['/', '-']) => format!("{part}/{mask}"),
                Some(_) => return None,
                None => part.to_owned(),
            };
            let values = address::masked(&text, family).or_else(|| address::range(part, family))?;
            Some((side(Wide::Source, Wide::Destination), values))
        }
        "mac" => {
            let address: MacAddress = part.to_ascii_lowercase().parse().ok()?;
            Some((side(Wide::SourceMac, Wide::DestinationMac), Ranges::single(address.to_number())))
        }
        // On a bridge the port of the bridge is meant.
        "iface" if part.starts_with("physdev:") => None,
        "iface" => Some((side(Wide::InInterface, Wide::OutInterface), Ranges::single(name_number(part)))),
        "mark" => {
            let mask = set.option("markmask").map_or(Some(u32::MAX), number)?;
            Some((Wide::Mark, Ranges::masked(mask.into(), number(part)?.into(), Wide::Mark.last())?))
        }
        _ => None,
    }
}

fn keep(cell: &mut Cell, set: &Set, kind: &str, part: &str, source: bool, family: TableFamily) -> Option<()> {
    if kind == "port" {
        return if set.kind == "bitmap:port" {
            bare_port(cell, part, source)
        } else {
            port_of(cell, part, source, family)
        };
    }
    let (field, values) = wide(set, kind, part, source, family)?;
    cell.keep_wide(field, &values);
    Some(())
}

/// `80`, `80-90`, of TCP or UDP (`bitmap_port_kadt`).
fn bare_port(cell: &mut Cell, part: &str, source: bool) -> Option<()> {
    cell.keep_narrow(Narrow::Protocol, Bits::single(6).with(17));
    numbered(cell, part, source)
}

fn numbered(cell: &mut Cell, part: &str, source: bool) -> Option<()> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let values = Ranges::one(port(first)?.into(), port(last)?.into());
    cell.keep_narrow(Narrow::Fragment, Bits::single(0));
    cell.keep_wide(if source { Wide::SourcePort } else { Wide::DestinationPort }, &values);
    Some(())
}

/// `tcp:80`, `icmp:8/0`, `gre:0`; without a protocol TCP (`ip_set_get_ip4_port`, net/netfilter/ipset/ip_set_getport.c).
fn port_of(cell: &mut Cell, part: &str, source: bool, family: TableFamily) -> Option<()> {
    let (name, rest) = part.split_once(':').unwrap_or(("tcp", part));
    let number = protocol(name).filter(|number| *number > 0)?;
    cell.keep_narrow(Narrow::Protocol, Bits::single(number));
    match Protocol(number) {
        Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::UDPLITE => numbered(cell, rest, source),
        Protocol::ICMP | Protocol::ICMPV6 => {
            // A name without a code is that of code 0.
            let own = icmp(rest, family).filter(|own| *own != Cell::all())?;
            let codes = own.narrow(Narrow::IcmpCode);
            cell.keep_narrow(Narrow::IcmpType, own.narrow(Narrow::IcmpType));
            cell.keep_narrow(Narrow::IcmpCode, if codes == Bits::ALL { Bits::single(0) } else { codes });
            cell.keep_narrow(Narrow::Fragment, Bits::single(0));
            Some(())
        }
        _ => (rest == "0").then_some(()),
    }
}
