//! Five-tuple rules in the shapes of ClassBench's seeds (Taylor and Turner, 2007): access lists, firewalls, IP chains.
//!
//! Own tables of prefix lengths, port classes and protocols, rounded from what the paper tells of them, and a seeded draw: the same
//! name and number always give the same rules. Sets of ClassBench itself can be read from a directory instead; none is kept here.

use std::net::Ipv4Addr;
use std::path::Path;

/// One rule: who, to whom, by what; `None` is any protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Five {
    pub source: (Ipv4Addr, u8),
    pub destination: (Ipv4Addr, u8),
    pub source_port: (u16, u16),
    pub destination_port: (u16, u16),
    pub protocol: Option<u8>,
    pub accepts: bool,
}

/// Every port.
pub const ANY: (u16, u16) = (0, u16::MAX);
/// The twelve seeds, as many of each shape as ClassBench has.
pub const SEEDS: [&str; 12] =
    ["acl1", "acl2", "acl3", "acl4", "acl5", "fw1", "fw2", "fw3", "fw4", "fw5", "ipc1", "ipc2"];

/// Numbers that are the same in each run (SplitMix64).
pub struct Draw(u64);

impl Draw {
    pub fn of(seed: &str) -> Self {
        Self(seed.bytes().fold(0x9e37_79b9u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count.max(1)
    }

    /// One of the values, as often as their weights say.
    fn weighted<T: Copy>(&mut self, table: &[(T, u64)]) -> T {
        let mut at = self.below(table.iter().map(|(_, weight)| weight).sum());
        for (value, weight) in table {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *value,
            }
        }
        table[0].0
    }
}

#[derive(Clone, Copy)]
enum Ports {
    Any,
    High,
    Low,
    Range,
    Exact,
}

struct Shape {
    source: &'static [(u8, u64)],
    destination: &'static [(u8, u64)],
    source_port: &'static [(Ports, u64)],
    destination_port: &'static [(Ports, u64)],
    protocol: &'static [(Option<u8>, u64)],
    /// Of a hundred addresses so many lie near one that was drawn before.
    nested: u64,
}

use Ports::{Any, Exact, High, Low, Range};

const ACL: Shape = Shape {
    source: &[(0, 10), (8, 2), (16, 8), (20, 6), (24, 30), (28, 10), (32, 34)],
    destination: &[(0, 2), (16, 3), (20, 6), (24, 25), (27, 10), (30, 8), (32, 46)],
    source_port: &[(Any, 97), (Exact, 3)],
    destination_port: &[(Any, 25), (High, 6), (Range, 14), (Exact, 55)],
    protocol: &[(Some(6), 70), (Some(17), 20), (Some(1), 3), (None, 7)],
    nested: 70,
};

const FW: Shape = Shape {
    source: &[(0, 35), (8, 2), (16, 8), (20, 5), (24, 15), (32, 35)],
    destination: &[(0, 30), (16, 5), (24, 15), (32, 50)],
    source_port: &[(Any, 75), (High, 12), (Range, 3), (Exact, 10)],
    destination_port: &[(Any, 40), (High, 12), (Low, 2), (Range, 6), (Exact, 40)],
    protocol: &[(Some(6), 65), (Some(17), 20), (None, 10), (Some(1), 3), (Some(47), 2)],
    nested: 50,
};

const IPC: Shape = Shape {
    source: &[(0, 12), (8, 3), (16, 8), (24, 22), (32, 55)],
    destination: &[(0, 10), (16, 6), (24, 24), (32, 60)],
    source_port: &[(Any, 75), (High, 6), (Range, 4), (Exact, 15)],
    destination_port: &[(Any, 50), (High, 8), (Low, 2), (Range, 5), (Exact, 35)],
    protocol: &[(Some(6), 55), (Some(17), 30), (None, 10), (Some(1), 5)],
    nested: 60,
};

/// Ports that many rules name.
const SERVICES: [(u16, u64); 16] = [
    (80, 12),
    (443, 12),
    (22, 8),
    (53, 8),
    (25, 7),
    (21, 6),
    (123, 5),
    (110, 4),
    (143, 4),
    (161, 4),
    (389, 3),
    (1433, 3),
    (1521, 3),
    (3306, 3),
    (5060, 3),
    (8080, 3),
];

/// `count` different rules of a seed such as `fw3`.
pub fn drawn(seed: &str, count: usize) -> Vec<Five> {
    let shape = match seed {
        _ if seed.starts_with("acl") => &ACL,
        _ if seed.starts_with("fw") => &FW,
        _ => &IPC,
    };
    let mut draw = Draw::of(seed);
    let (mut sources, mut destinations) = (Vec::new(), Vec::new());
    let mut seen = std::collections::HashSet::new();
    let mut rules = Vec::with_capacity(count);
    while rules.len() < count {
        let rule = Five {
            source: network(&mut draw, shape.source, shape.nested, &mut sources),
            destination: network(&mut draw, shape.destination, shape.nested, &mut destinations),
            protocol: draw.weighted(shape.protocol),
            source_port: ANY,
            destination_port: ANY,
            accepts: draw.below(10) < 6,
        };
        let rule = with_ports(&mut draw, shape, rule);
        if is_sensible(&rule) && seen.insert(format!("{rule:?}").replace("true", "").replace("false", "")) {
            rules.push(rule);
        }
    }
    rules
}

fn with_ports(draw: &mut Draw, shape: &Shape, rule: Five) -> Five {
    match rule.protocol {
        Some(6 | 17) => Five {
            source_port: ports(draw, shape.source_port),
            destination_port: ports(draw, shape.destination_port),
            ..rule
        },
        _ => rule,
    }
}

/// What is for everybody names a port, or the first such rule would end the list.
fn is_sensible(rule: &Five) -> bool {
    let everybody = rule.source.1 == 0 && rule.destination.1 == 0;
    !everybody || rule.destination_port.0 == rule.destination_port.1
}

fn network(draw: &mut Draw, lengths: &[(u8, u64)], nested: u64, known: &mut Vec<(u32, u8)>) -> (Ipv4Addr, u8) {
    let length = draw.weighted(lengths);
    let fresh = u32::try_from(draw.next() >> 32).unwrap_or_default();
    let near = (!known.is_empty() && draw.below(100) < nested).then(|| known[draw.below(known.len() as u64) as usize]);
    // Near another: the same network as far as that one says, and then its own way.
    let bits = near.map_or(fresh, |(other, kept)| (other & mask(kept.min(24))) | (fresh & !mask(kept.min(24))));
    let bits = bits & mask(length);
    if length > 0 {
        known.push((bits, length));
    }
    (Ipv4Addr::from_bits(bits), length)
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn ports(draw: &mut Draw, classes: &[(Ports, u64)]) -> (u16, u16) {
    let mut port = || u16::try_from(draw.below(65536)).unwrap_or_default();
    match draw_class(&mut port, classes) {
        Any => ANY,
        High => (1024, u16::MAX),
        Low => (0, 1023),
        Range => {
            let first = port();
            (first, first.saturating_add(port() % 512 + 1))
        }
        Exact => match port() % 4 {
            0 => {
                let one = port();
                (one, one)
            }
            _ => {
                let one = draw.weighted(&SERVICES);
                (one, one)
            }
        },
    }
}

fn draw_class(port: &mut impl FnMut() -> u16, classes: &[(Ports, u64)]) -> Ports {
    let mut at = u64::from(port()) % classes.iter().map(|(_, weight)| weight).sum::<u64>();
    for (class, weight) in classes {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return *class,
        }
    }
    Any
}

/// Reads a set in ClassBench's own form, `@S/n D/n a : b c : d 0xPP/0xMM`, with verdicts drawn by its name.
pub fn read(path: &Path) -> Result<Vec<Five>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut draw = Draw::of(&name);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rule = |(n, line): (usize, &str)| {
        five(line, draw.below(10) < 6).ok_or_else(|| format!("{}:{}: no rule of ClassBench's", path.display(), n + 1))
    };
    lines.map(rule).collect()
}

fn five(line: &str, accepts: bool) -> Option<Five> {
    let words: Vec<_> = line.strip_prefix('@')?.split_whitespace().filter(|word| *word != ":").collect();
    let network = |word: &str| {
        let (address, length) = word.split_once('/')?;
        Some((address.parse().ok()?, length.parse().ok()?))
    };
    let span = |first: &str, last: &str| Some((first.parse().ok()?, last.parse().ok()?));
    let [source, destination, a, b, c, d, protocol, ..] = words.as_slice() else { return None };
    let (number, mask) = protocol.split_once('/')?;
    let hex = |text: &str| u8::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    Some(Five {
        source: network(source)?,
        destination: network(destination)?,
        source_port: span(a, b)?,
        destination_port: span(c, d)?,
        protocol: (hex(mask)? != 0).then_some(hex(number)?),
        accepts,
    })
}
