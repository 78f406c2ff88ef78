//! What the ends of a rule stand for: networks, interfaces' own, aliases.

use crate::backend::document::{Node, ReadError, steady};
use crate::packet::PortRange;
use crate::rule::ruleset::Condition;
use ipnet::IpNet;
use std::collections::BTreeMap;

/// What names in rules stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    aliases: BTreeMap<String, Alias>,
    /// By the name of rules (`lan`): the device, and its own address with the network.
    pub(super) interfaces: BTreeMap<String, Interface>,
    /// Groups of interfaces: the names of their members.
    pub(super) groups: BTreeMap<String, Vec<String>>,
    /// Hours that rules can have, in words; nothing where the configuration has no such section.
    schedules: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Interface {
    pub(super) device: Option<String>,
    addresses: Vec<IpNet>,
    /// An address of it is not in the configuration: DHCP and the like give it.
    given: bool,
}

#[derive(Debug)]
struct Alias {
    kind: String,
    members: Vec<String>,
}

/// Who an end may be.
#[derive(Debug)]
pub(super) enum End {
    Any,
    Nets(Vec<IpNet>),
    /// The firewall itself, by any of its addresses.
    Own,
    /// Not in the configuration.
    Unknown(Condition),
}

impl Names {
    /// The names of a configuration.
    pub(super) fn of(root: &Node) -> Result<Self, ReadError> {
        let mut names = Self::default();
        for (name, value) in root.get("interfaces").iter().flat_map(|all| all.value.as_object()).flatten() {
            let node = Node { value, place: format!("interfaces.{name}") };
            names.interfaces.insert(name.clone(), interface(&node));
        }
        for group in root.get("ifgroups").map_or(Ok(Vec::new()), |all| several(&all, "ifgroupentry"))? {
            let Some(name) = group.text_of("ifname")? else { continue };
            let members = group.text_of("members")?.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
            names.groups.insert(name.to_owned(), members);
        }
        if let Some(all) = root.get("schedules").filter(|all| all.value.is_object()) {
            let all = several(&all, "schedule")?.iter().map(hours_of).collect::<Result<_, _>>()?;
            names.schedules = Some(all);
        }
        for alias in root.get("aliases").map_or(Ok(Vec::new()), |all| several(&all, "alias"))? {
            let Some(name) = alias.text_of("name")? else { continue };
            let members = alias.text_of("address")?.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
            let kind = alias.text_of("type")?.unwrap_or_default().to_owned();
            names.aliases.insert(name.to_owned(), Alias { kind, members });
        }
        Ok(names)
    }

    /// Who one end of a rule may be, without its `not`.
    pub(super) fn end(&self, end: &Node, side: &str) -> Result<End, ReadError> {
        if end.get("any").is_some() {
            return Ok(End::Any);
        }
        if let Some(network) = end.text_of("network")? {
            return Ok(self.network(network, side));
        }
        match end.text_of("address")? {
            None | Some("") => Ok(End::Any),
            Some(text) => Ok(self.members(text, 0).map_or_else(|| unknown(side, text), End::Nets)),
        }
    }

    /// `lan` is the network of an interface, `lanip` its address.
    fn network(&self, name: &str, side: &str) -> End {
        if name == "(self)" {
            return End::Own;
        }
        let own = name.strip_suffix("ip").filter(|own| self.interfaces.contains_key(*own));
        let Some(interface) = self.interfaces.get(own.unwrap_or(name)).filter(|interface| !interface.given) else {
            return unknown(side, name);
        };
        let nets = interface.addresses.iter();
        End::Nets(match own {
            Some(_) => nets.map(|net| IpNet::from(net.addr())).collect(),
            None => nets.map(IpNet::trunc).collect(),
        })
    }

    /// The networks of an address or an alias of them; nothing where they are not all in the configuration.
    fn members(&self, text: &str, depth: usize) -> Option<Vec<IpNet>> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Some(vec![net.trunc()]);
        }
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Some(vec![IpNet::from(address)]);
        }
        let alias = self.aliases.get(text).filter(|alias| matches!(alias.kind.as_str(), "host" | "network"))?;
        // An alias may be a member of another; a circle ends here.
        let inner = |member: &String| if depth < 8 { self.members(member, depth + 1) } else { None };
        Some(alias.members.iter().map(inner).collect::<Option<Vec<_>>>()?.concat())
    }

    /// The hours of a rule. Outside of them it is as if it did not exist; hours that are not in the section of them hold always.
    pub(super) fn hours(&self, rule: &Node) -> Result<Option<Condition>, ReadError> {
        let Some(name) = rule.text_of("sched")?.filter(|name| !name.is_empty()) else { return Ok(None) };
        Ok(match &self.schedules {
            None => Some(steady(&format!("schedule {name}"), format!("it is a time of `{name}`"))),
            Some(all) => all.get(name).map(|words| Condition::Chance(format!("it is a time of `{name}` ({words})"))),
        })
    }

    /// The ports of a text: a number, a range or an alias of them; nothing where they are not in the configuration.
    pub(super) fn ports(&self, text: &str) -> Option<Vec<(u16, u16)>> {
        self.port_members(text, 0)
    }

    fn port_members(&self, text: &str, depth: usize) -> Option<Vec<(u16, u16)>> {
        if let Ok(range) = text.replace(':', "-").parse::<PortRange>() {
            return Some(vec![(range.first(), range.last())]);
        }
        let alias = self.aliases.get(text).filter(|alias| alias.kind == "port")?;
        let inner = |member: &String| if depth < 8 { self.port_members(member, depth + 1) } else { None };
        Some(alias.members.iter().map(inner).collect::<Option<Vec<_>>>()?.concat())
    }
}

/// A schedule by its name, and its times in words: days of the week (1 is Monday) or of a year, and hours.
fn hours_of(schedule: &Node) -> Result<(String, String), ReadError> {
    let mut ranges = Vec::new();
    for range in several(schedule, "timerange")? {
        let mut words = Vec::new();
        for (field, word) in [("position", "days"), ("month", "months"), ("day", "days"), ("hour", "hours")] {
            words.extend(range.text_of(field)?.map(|text| format!("{word} {text}")));
        }
        ranges.push(words.join(" "));
    }
    Ok((schedule.text_of("name")?.unwrap_or_default().to_owned(), ranges.join("; ")))
}

fn unknown(side: &str, name: &str) -> End {
    End::Unknown(steady(&format!("{side} {name}"), format!("the {side} is in `{name}`")))
}

fn interface(node: &Node) -> Interface {
    let text = |name: &str| node.text_of(name).ok().flatten().unwrap_or_default();
    let mut interface =
        Interface { device: Some(text("if").to_owned()).filter(|name| !name.is_empty()), ..Interface::default() };
    for (address, length) in [("ipaddr", "subnet"), ("ipaddrv6", "subnetv6")] {
        match text(address) {
            "" => {}
            own => match format!("{own}/{}", text(length)).parse::<IpNet>() {
                Ok(net) => interface.addresses.push(net),
                Err(_) => interface.given = true,
            },
        }
    }
    interface
}

/// The elements of a name, of which there may be one, several or none.
pub(super) fn several<'a>(node: &Node<'a>, name: &str) -> Result<Vec<Node<'a>>, ReadError> {
    match node.get(name) {
        None => Ok(Vec::new()),
        Some(found) if found.value.is_array() => found.items(),
        Some(found) => Ok(vec![found]),
    }
}
