//! Values of fields as nft writes them: few enough that rules meet, with sets whose elements do not overlap.

use super::draw::Draw;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    V4,
    V6,
    Port,
    Mark,
    Name,
    Protocol,
    Mac,
}

pub const INTERFACES: [&str; 4] = ["eth0", "eth1", "wan0", "lo"];
const PORTS: [u64; 12] = [0, 1, 22, 53, 80, 443, 1023, 1024, 8080, 32768, 65534, 65535];
/// The first is that of every packet that comes in to a lab.
const MACS: [&str; 5] =
    ["02:00:00:00:00:01", "02:00:00:00:00:01", "02:00:00:00:00:00", "02:00:00:00:00:02", "52:54:00:12:34:56"];
const MARKS: [u64; 6] = [0, 1, 7, 8, 0x10, 0xffff_ffff];
const PROTOCOLS: [&str; 6] = ["tcp", "udp", "icmp", "ipv6-icmp", "sctp", "47"];
const V4: [(Ipv4Addr, u64); 5] = [
    (Ipv4Addr::new(10, 0, 0, 0), 15),
    (Ipv4Addr::new(10, 0, 1, 0), 255),
    (Ipv4Addr::new(192, 0, 2, 0), 255),
    (Ipv4Addr::new(172, 16, 0, 0), 0xf_ffff),
    (Ipv4Addr::new(10, 0, 0, 0), 0xff_ffff),
];
const V6: [(Ipv6Addr, u64); 3] = [
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 15),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0), 0xffff_ffff_ffff),
    (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), 255),
];

pub fn v4(base: Ipv4Addr, more: u64) -> Ipv4Addr {
    Ipv4Addr::from_bits(base.to_bits() + u32::try_from(more).expect("below a prefix"))
}

pub fn v6(base: Ipv6Addr, more: u64) -> Ipv6Addr {
    Ipv6Addr::from_bits(base.to_bits() + u128::from(more))
}

/// Numbers of a kind in one neighbourhood, ascending, as text.
fn points(draw: &mut Draw, kind: Kind, count: usize) -> Vec<String> {
    let text = |all: Vec<u64>, show: &dyn Fn(u64) -> String| all.into_iter().map(show).collect();
    match kind {
        Kind::V4 => {
            let (base, last) = draw.one(&V4);
            text(draw.several(count, 0, last), &|n| v4(base, n).to_string())
        }
        Kind::V6 => {
            let (base, last) = draw.one(&V6);
            text(draw.several(count, 0, last), &|n| v6(base, n).to_string())
        }
        Kind::Port | Kind::Mark => {
            let list: &[u64] = if kind == Kind::Port { &PORTS } else { &MARKS };
            let mut all: Vec<_> = (0..count).map(|_| draw.one(list)).collect();
            if draw.chance(30) {
                all.push(draw.between(0, 65535));
            }
            all.sort_unstable();
            all.dedup();
            text(all, &|n| n.to_string())
        }
        Kind::Name => names(draw, &INTERFACES, count),
        Kind::Protocol => names(draw, &PROTOCOLS, count),
        Kind::Mac => names(draw, &MACS, count),
    }
}

fn names(draw: &mut Draw, from: &[&str], count: usize) -> Vec<String> {
    let all: std::collections::BTreeSet<_> = (0..count).map(|_| draw.pick(from).to_owned()).collect();
    all.into_iter().collect()
}

/// One value.
pub fn value(draw: &mut Draw, kind: Kind) -> String {
    points(draw, kind, 1).swap_remove(0)
}

fn has_ranges(kind: Kind) -> bool {
    !matches!(kind, Kind::Name | Kind::Protocol)
}

fn prefix(draw: &mut Draw, kind: Kind) -> String {
    match kind {
        Kind::V4 => {
            let (base, _) = draw.one(&V4);
            let length = draw.one(&[8u32, 12, 16, 24, 28, 30, 31]);
            let bits =
                base.to_bits() + if length > 24 { u32::try_from(draw.between(0, 15)).expect("small") } else { 0 };
            format!("{}/{length}", Ipv4Addr::from_bits(bits >> (32 - length) << (32 - length)))
        }
        _ => {
            let (base, _) = draw.one(&V6);
            let length = draw.one(&[32u32, 48, 64, 112, 124, 127]);
            let bits = base.to_bits() + if length > 64 { u128::from(draw.between(0, 15)) } else { 0 };
            format!("{}/{length}", Ipv6Addr::from_bits(bits >> (128 - length) << (128 - length)))
        }
    }
}

/// Two values with what lies between them; one value where they are the same.
fn range(draw: &mut Draw, kind: Kind) -> String {
    let ends = points(draw, kind, 2);
    match ends.as_slice() {
        [first, .., last] => format!("{first}-{last}"),
        _ => ends[0].clone(),
    }
}

/// Elements that do not overlap.
pub fn elements(draw: &mut Draw, kind: Kind, intervals: bool) -> Vec<String> {
    let count = 1 + draw.below(5);
    let all = points(draw, kind, count);
    if !intervals || !has_ranges(kind) {
        return all;
    }
    let mut out = Vec::new();
    let mut rest = all.into_iter();
    while let Some(first) = rest.next() {
        match draw.chance(50) {
            true => out.push(rest.next().map_or(first.clone(), |last| format!("{first}-{last}"))),
            false => out.push(first),
        }
    }
    out
}

/// As [`comparison`], without order: of two fields that are compared by it, nft 1.0.6 lists another rule than it loads.
pub fn equality(draw: &mut Draw, kind: Kind, sets: &[(String, Kind)]) -> String {
    loop {
        let text = comparison(draw, kind, sets);
        if !text.starts_with(['<', '>']) {
            return text;
        }
    }
}

/// The right-hand side of a comparison, with its operator. `sets` are those of the table with what they hold.
pub fn comparison(draw: &mut Draw, kind: Kind, sets: &[(String, Kind)]) -> String {
    let not = if draw.chance(25) { "!= " } else { "" };
    let named: Vec<_> = sets.iter().filter(|(_, holds)| *holds == kind).collect();
    if !named.is_empty() && draw.chance(20) {
        return format!("{not}@{}", named[draw.below(named.len())].0);
    }
    match draw.below(10) {
        0..=2 => format!("{not}{}", value(draw, kind)),
        3..=5 => format!("{not}{{ {} }}", elements(draw, kind, true).join(", ")),
        6 if matches!(kind, Kind::V4 | Kind::V6) => format!("{not}{}", prefix(draw, kind)),
        6 if kind == Kind::Name => format!("{not}\"{}*\"", draw.pick(&["e", "eth", "w", "eth0", "l"])),
        6 if kind == Kind::Mac => {
            let mask = draw.pick(&["ff:ff:ff:ff:ff:f0", "ff:00:00:00:00:00"]);
            format!("& {mask} {} 02:00:00:00:00:00", draw.pick(&["==", "!="]))
        }
        7 if has_ranges(kind) => format!("{} {}", draw.pick(&["<", ">", "<=", ">="]), inner(draw, kind)),
        8 if kind == Kind::Mark => {
            format!("and {} == {}", draw.pick(&["0xf", "0xfffffff0", "0xff"]), draw.pick(&["0", "1", "0x10"]))
        }
        8 if matches!(kind, Kind::V4) => {
            format!("& 255.255.255.{} == 10.0.0.{}", draw.pick(&["254", "248", "0"]), draw.pick(&["0", "8"]))
        }
        _ if has_ranges(kind) => format!("{not}{}", range(draw, kind)),
        _ => format!("{not}{}", value(draw, kind)),
    }
}

/// A value that has others on either side: nft refuses comparisons that never or always hold.
fn inner(draw: &mut Draw, kind: Kind) -> String {
    loop {
        let value = value(draw, kind);
        if !["0", "65535", "4294967295"].contains(&value.as_str()) {
            return value;
        }
    }
}
