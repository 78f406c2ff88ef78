//! A rule as packet sets, where it stands.

use crate::packet::{Bits, Cell, NO_MAC, Narrow, Ranges, Wide};
use crate::rule::evaluate::{By, LOOPBACK};
use crate::rule::ruleset::{Base, ChainKind, Condition, Hook, Line, TableFamily, Unread, name_number};
use crate::rule::way::{Changes, begins_with_frame, is_transport, is_transport_narrow};
use crate::rule::{ConnectionState, DNAT_STATUS, Landing, Turned};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// More products than this out of one rule are not multiplied out.
pub(super) const MOST: usize = 131_072;

/// Why a rule that matches on paper may not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Doubt {
    /// Understood: a limit, a set that changes, a field that is another one there.
    Chance,
    /// Not understood.
    Unread,
}

/// The packets of a rule at a place: at most these, and surely these unless there is a doubt.
#[derive(Debug, Clone, Default)]
pub(super) struct Match {
    pub(super) cells: Vec<Cell>,
    pub(super) doubt: Option<Doubt>,
    /// Whether it was too many products to be told exactly.
    pub(super) too_wide: bool,
}

/// Numbers for unread conditions, the same for the same text.
#[derive(Debug, Default, Clone)]
pub(super) struct Atoms {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
    luck: HashSet<u32>,
}

/// No condition begins so.
const LUCK: &str = "\0luck of ";

impl Atoms {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The number of what chance decides about a rule; a rule that is not understood may deny or not, beside that it may accept or not.
    pub(super) fn luck(&mut self, by: By, denies: bool) -> u32 {
        let number = self.number(&format!("{LUCK}{by:?} {denies}"));
        self.luck.insert(number);
        number
    }

    /// Whether a number stands for chance.
    pub(super) fn is_luck(&self, atom: u32) -> bool {
        self.luck.contains(&atom)
    }

    /// The condition that a number stands for.
    pub(super) fn text(&self, atom: u32) -> &str {
        self.texts.get(atom as usize).map_or("", String::as_str)
    }
}

/// The packets that enter a base chain by themselves, and those of them of which it is not sure.
pub(super) fn entering(family: TableFamily, base: &Base, changes: &Changes) -> (Cell, Option<(Cell, Doubt)>) {
    let mut cell = Cell::all().with_narrow(Narrow::Family, family.packets());
    let mut unsure = None;
    let ip = family.packets().and(Bits::below(2));
    if !ip.is_empty() && gathered(family, base, changes) == ip {
        cell.keep_narrow(Narrow::Fragment, Bits::single(0));
    }
    if base.spares_loopback() {
        let lo = Ranges::single(name_number(LOOPBACK));
        cell.keep_wide(Wide::InInterface, &Wide::InInterface.all().minus(&lo));
    }
    if base.kind == ChainKind::Nat {
        // The first packet of a connection is new, or related to another one, as not every related packet is the first.
        cell.keep_narrow(Narrow::State, Bits::single(0).with(2));
        let tracked = (0..2).all(|family| !ip.contains(family) || changes.tracks(family));
        let doubted = if tracked { Bits::single(2) } else { Bits::single(0).with(2) };
        unsure = Some((cell.clone().with_narrow(Narrow::State, doubted), Doubt::Chance));
    }
    let device = match base.hook {
        Hook::Ingress => Some(Wide::InInterface),
        Hook::Egress => Some(Wide::OutInterface),
        _ => None,
    };
    match device {
        Some(_) if base.devices.is_empty() => unsure = Some((cell.clone(), Doubt::Unread)),
        Some(field) => {
            let names = base.devices.iter().map(|name| name_number(name));
            cell.keep_wide(field, &Ranges::of(names.map(|n| (n, n))));
        }
        None => {}
    }
    (cell, unsure)
}

/// The families of IP packets whose later fragments never come to a base chain.
fn gathered(family: TableFamily, base: &Base, changes: &Changes) -> Bits {
    family.packets().iter().filter(|family| *family < 2 && changes.gathers(base, *family)).collect()
}

/// The packets of one of the families of a table that never come to a base chain, where those of the other do.
pub(super) fn spared(family: TableFamily, base: &Base, changes: &Changes) -> Option<Cell> {
    let gathered = gathered(family, base, changes);
    let one = gathered.len() == 1 && gathered != family.packets();
    let later = Narrow::Fragment.all().minus(Bits::single(0));
    one.then(|| Cell::all().with_narrow(Narrow::Family, gathered).with_narrow(Narrow::Fragment, later))
}

/// A part of the packets that enter a base chain, and what conditions can say of it there.
pub(super) fn sights(entering: &Cell, base: &Base, changes: &Changes) -> Vec<(Vec<Cell>, Sight)> {
    framed(std::slice::from_ref(entering), base, Sight::of(base, changes))
}

/// The same where it is said what conditions can say of all. Of later fragments of IPv6 no rule knows the transport header where a
/// packet begins with its frame.
pub(super) fn framed(entering: &[Cell], base: &Base, sight: Sight) -> Vec<(Vec<Cell>, Sight)> {
    if !begins_with_frame(base) {
        return vec![(entering.to_vec(), sight)];
    }
    let part = |family: Bits, fragment: Bits| {
        let asked = Cell::all().with_narrow(Narrow::Family, family).with_narrow(Narrow::Fragment, fragment);
        entering.iter().filter_map(|cell| cell.and(&asked)).collect::<Vec<_>>()
    };
    let (v6, whole) = (Bits::single(1), Bits::single(0));
    let mut plain = part(Narrow::Family.all().minus(v6), Narrow::Fragment.all());
    plain.extend(part(v6, whole));
    let mut blind = sight.clone();
    Wide::ALL.into_iter().for_each(|field| blind.wide[field as usize] |= is_transport(field));
    Narrow::ALL.into_iter().for_each(|field| blind.narrow[field as usize] |= is_transport_narrow(field));
    vec![(plain, sight), (part(v6, Narrow::Fragment.all().minus(whole)), blind.settled())]
}

/// What a field of a packet is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// What the packet says.
    Own,
    /// None: it has the value that stands for none.
    Absent(u128),
    /// Another one than at the filter.
    Other,
}

/// Fields that routing changes or sets: what they are before it says nothing of what they are behind (`ip_forward`, `ip_route_input`).
const ROUTED: [&str; 12] = [
    "ip ttl",
    "ip6 hoplimit",
    "ip checksum",
    "meta priority",
    "meta skuid",
    "meta skgid",
    "meta cgroup",
    "meta rtclassid",
    "meta oif",
    "meta oiftype",
    "meta oifkind",
    "meta oifgroup",
];

fn is_routed(field: &str) -> bool {
    ROUTED.contains(&field) || field.starts_with("rt ") || field.starts_with("socket")
}

/// What a condition can say at one base chain: a packet that has no interface there has one without a name, and fields that are
/// other ones there say nothing.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    wide: [bool; Wide::ALL.len()],
    narrow: [bool; Narrow::ALL.len()],
    unread: bool,
    /// A bit for each wide field that is there what the packet says.
    own: u32,
    /// Whether all connections are noted as ones with a translated destination.
    turned: bool,
    /// Whether it stands before packets are routed.
    early: bool,
    /// The families of which later fragments come there.
    parted: Bits,
    /// Fields that have one value in all packets there, with that value: mostly the one that stands for none.
    absent: [Option<(Wide, u128)>; 6],
}

impl Sight {
    /// That of a base chain.
    pub(super) fn of(base: &Base, changes: &Changes) -> Self {
        let (comes, leaves) = (base.hook.has_in(), base.hook.has_out());
        let absent = |field, there: bool, none| (!there).then_some((field, none));
        let framed = comes || base.hook == Hook::Egress;
        let sight = Self {
            own: 0,
            wide: Wide::ALL.map(|field| changes.blurs_wide(base, field)),
            narrow: Narrow::ALL.map(|field| changes.blurs_narrow(base, field)),
            unread: changes.blurs_unread(base),
            turned: false,
            early: matches!(base.hook, Hook::Ingress | Hook::Prerouting),
            parted: (0..3).filter(|family| !changes.comes_whole(base, *family)).collect(),
            absent: [
                absent(Wide::InInterface, comes, 0),
                absent(Wide::OutInterface, leaves, 0),
                absent(Wide::SourceMac, framed, NO_MAC),
                absent(Wide::DestinationMac, framed, NO_MAC),
                None,
                None,
            ],
        };
        sight.settled()
    }

    /// With what follows from all else.
    fn settled(mut self) -> Self {
        let is_absent = |field: Wide| self.absent.iter().flatten().any(|(own, _)| *own == field);
        let own = Wide::ALL.into_iter().filter(|field| !self.wide[*field as usize] && !is_absent(*field));
        self.own = own.fold(0, |own, field| own | 1 << field as usize);
        self
    }

    /// That of packets which begin a connection or belong to none, described as they come.
    pub(super) fn of_coming(base: &Base, changes: &Changes) -> Self {
        let wide = Wide::ALL.map(|field| changes.blurs_for(base, field, ConnectionState::New));
        let mut sight = Self {
            wide,
            unread: wide[Wide::Source as usize] || wide[Wide::Destination as usize],
            ..Self::of(base, changes)
        };
        for (types, address) in [(Narrow::SourceType, Wide::Source), (Narrow::DestinationType, Wide::Destination)] {
            sight.narrow[types as usize] = wide[address as usize];
        }
        sight.settled()
    }

    /// That of packets, all in some cells, whose destination is another one than they came with.
    pub(super) fn turned(mut self, to: Turned, cells: &[Cell]) -> Self {
        self.turned = !self.narrow[Narrow::ConnectionStatus as usize] && cells.iter().all(|cell| to.moves_all(cell));
        self.narrow[Narrow::ConnectionStatus as usize] = true;
        for (n, field) in [(4, Wide::Destination), (5, Wide::DestinationPort)] {
            match to.of(field) {
                Landing::Kept => {}
                Landing::To(value) => self.absent[n] = Some((field, value)),
                Landing::Open => self.wide[field as usize] = true,
            }
        }
        self.narrow[Narrow::DestinationType as usize] |= to.address != Landing::Kept;
        self.unread = true;
        self.settled()
    }

    /// What a wide field is there.
    pub(super) fn wide(&self, field: Wide) -> Seen {
        if self.own >> field as usize & 1 == 1 {
            return Seen::Own;
        }
        match self.absent.iter().flatten().find(|(absent, _)| *absent == field) {
            Some((_, none)) if !self.wide[field as usize] => Seen::Absent(*none),
            _ => Seen::Other,
        }
    }

    /// What a narrow field is there.
    pub(super) fn narrow(&self, field: Narrow) -> Seen {
        if self.narrow[field as usize] { Seen::Other } else { Seen::Own }
    }

    /// Whether a condition that was not understood gives the same answer there for the same packet.
    pub(super) fn is_steady(&self, unread: &Unread, changes: &Changes) -> bool {
        !self.unread && unread.field.as_ref().is_some_and(|field| !changes.alters(field))
    }

    /// A condition that was not understood, by the text of what is asked where packets are seen so, and whether it must hold.
    pub(super) fn asked<'u>(&self, unread: &'u Unread) -> (Cow<'u, str>, bool) {
        let (text, holds) = unread.asked();
        let routed = self.early && unread.field.as_ref().is_some_and(|field| is_routed(field));
        (if routed { Cow::Owned(format!("{text} before routing")) } else { Cow::Borrowed(text) }, holds)
    }

    /// A product as it is there; nothing where no packet is in it.
    pub(super) fn seen<'c>(&self, cell: &'c Cell) -> Option<Cow<'c, Cell>> {
        let mut here = Cow::Borrowed(cell);
        for (field, none) in self.absent.into_iter().flatten().filter(|(field, _)| cell.asks_wide(*field)) {
            if !cell.wide(field).contains(none) {
                return None;
            }
            here = Cow::Owned(here.into_owned().with_wide(field, field.all()));
        }
        for field in Wide::ALL.into_iter().filter(|f| self.wide[*f as usize] && cell.asks_wide(*f)) {
            here = Cow::Owned(here.into_owned().with_wide(field, field.all()));
        }
        for field in Narrow::ALL.into_iter().filter(|f| self.narrow[*f as usize] && cell.asks_narrow(*f)) {
            here = Cow::Owned(here.into_owned().with_narrow(field, field.all()));
        }
        (!here.is_empty()).then_some(here)
    }

    /// Whether a product asks for a field that is another one there.
    pub(super) fn is_blurred(&self, cell: &Cell) -> bool {
        Wide::ALL.into_iter().any(|f| self.wide[f as usize] && *cell.wide(f) != f.all())
            || Narrow::ALL.into_iter().any(|f| self.narrow[f as usize] && cell.narrow(f) != f.all())
    }
}

/// Reads rules as packet sets at one place.
pub(super) struct Reader<'a> {
    pub(super) sight: &'a Sight,
    pub(super) changes: &'a Changes,
    pub(super) atoms: &'a mut Atoms,
    /// More products than this are not told.
    pub(super) room: usize,
}

impl Reader<'_> {
    /// The packets that a rule matches, out of `path`. Where these would be too many products they are more than what it matches,
    /// with a doubt.
    pub(super) fn matched(&mut self, path: &Match, line: &Line) -> Match {
        let mut found = path.clone();
        for condition in &line.conditions {
            self.narrow(&mut found, condition);
        }
        found
    }

    /// The packets of each verdict of a verdict map, which are disjoint.
    pub(super) fn by_key(&mut self, matched: &Match, cell: &Cell) -> Match {
        let mut one = matched.clone();
        self.product(&mut one, std::slice::from_ref(cell));
        one
    }

    fn narrow(&mut self, found: &mut Match, condition: &Condition) {
        match condition {
            Condition::Chance(_) => doubt(found, Doubt::Chance),
            Condition::Unread(unread) => match self.sight.is_steady(unread, self.changes) {
                true => {
                    let (text, holds) = self.sight.asked(unread);
                    let atom = self.atoms.number(&text);
                    found.cells.retain_mut(|cell| cell.keep_atom(atom, holds));
                }
                false => doubt(found, Doubt::Unread),
            },
            Condition::Wide(field, values) => self.wide(found, *field, values),
            Condition::Narrow(Narrow::ConnectionStatus, values) if self.sight.turned => {
                let noted: Bits =
                    Narrow::ConnectionStatus.all().iter().filter(|s| values.contains(s | DNAT_STATUS)).collect();
                found.cells.retain_mut(|cell| {
                    cell.keep_narrow(Narrow::ConnectionStatus, noted);
                    !cell.narrow(Narrow::ConnectionStatus).is_empty()
                });
            }
            Condition::Narrow(field, values) => match self.sight.narrow[*field as usize] {
                true if *values == field.all() => {}
                true => doubt(found, Doubt::Chance),
                false => found.cells.retain_mut(|cell| {
                    cell.keep_narrow(*field, *values);
                    if *field == Narrow::Fragment && !values.contains(0) {
                        cell.keep_narrow(Narrow::Family, self.sight.parted);
                    }
                    !cell.narrow(*field).is_empty() && !cell.narrow(Narrow::Family).is_empty()
                }),
            },
            Condition::AnyOf(cells) => self.product(found, cells),
        }
    }

    fn wide(&self, found: &mut Match, field: Wide, values: &Ranges) {
        if *values == field.all() {
            return;
        }
        if self.sight.wide[field as usize] {
            return doubt(found, Doubt::Chance);
        }
        if let Some((_, none)) = self.sight.absent.into_iter().flatten().find(|(absent, _)| *absent == field) {
            if !values.contains(none) {
                found.cells.clear();
            }
            return;
        }
        found.cells.retain_mut(|cell| {
            cell.keep_wide(field, values);
            !cell.wide(field).is_empty()
        });
    }

    fn product(&self, found: &mut Match, cells: &[Cell]) {
        if cells.iter().any(|cell| self.sight.is_blurred(cell)) {
            doubt(found, Doubt::Chance);
        }
        if found.cells.len().saturating_mul(cells.len()) > self.room {
            found.too_wide = true;
            return doubt(found, Doubt::Unread);
        }
        let here: Vec<_> = cells.iter().filter_map(|cell| self.sight.seen(cell)).collect();
        found.cells = found.cells.iter().flat_map(|own| here.iter().filter_map(|cell| own.and(cell))).collect();
    }
}

fn doubt(found: &mut Match, doubt: Doubt) {
    found.doubt = found.doubt.max(Some(doubt));
}
