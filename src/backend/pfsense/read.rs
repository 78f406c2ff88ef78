//! A configuration as a ruleset: pf's order said as one where the first rule that matches decides.
//!
//! pf walks all rules; a quick one decides at once, of the others the last one that matches (pf.conf(5)). So the quick ones come first in their
//! order, then the others backwards. Packets of known connections pass before any. A packet that passes through is asked about when it comes
//! in and when it leaves. What comes in and no rule matches is denied; what leaves passes.

use super::address::{Names, several};
use super::rule::Filter;
use super::xml::tree;
use crate::backend::document::{Node, ReadError, cells, line, only, ports, steady};
use crate::packet::{Bits, Narrow, Protocol, Ranges, Wide};
use crate::rule::ConnectionState;
use crate::rule::ruleset::{Base, Chain, ChainKind, Condition, Hook, Line, Ruleset, Table, TableFamily, name_number};
use ipnet::IpNet;

/// The places where pf asks: a chain, its hook, its order among those of the hook, and whether packets come in there.
const CHAINS: [(&str, Hook, i64, bool); 4] = [
    ("in to the firewall", Hook::Input, 0, true),
    ("in on the way through", Hook::Forward, 0, true),
    ("out on the way through", Hook::Forward, 1, false),
    ("out from the firewall", Hook::Output, 0, false),
];

/// Networks that nobody has for himself (`blockpriv`).
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// Neighbour discovery, which pfSense lets pass before all rules: RFC 4861, 4.
const DISCOVERY: [u8; 4] = [133, 134, 135, 136];

/// Whether a text is such a configuration.
pub(in crate::backend) fn is_document(text: &str) -> bool {
    let head: String = text.trim_start().chars().take(2000).collect();
    head.starts_with('<') && head.contains("<pfsense>")
}

/// Reads a configuration.
///
/// # Errors
/// When it is none, with the place of what is wrong.
pub(super) fn read(text: &str) -> Result<Ruleset, ReadError> {
    let (name, value) = tree(text)?;
    let root = Node::root(&value);
    if name != "pfsense" {
        return Err(root.error("the outermost element is not `pfsense`"));
    }
    let filter = root.get("filter").ok_or_else(|| root.error("there is no `filter` in it"))?;
    let names = Names::of(&root)?;
    let mut rules = Vec::new();
    if filter.value.is_object() {
        for (at, rule) in several(&filter, "rule")?.iter().enumerate() {
            rules.extend(Filter::read(rule, at, &names)?);
        }
    }
    let floating = |rule: &&Filter| rule.floating;
    let (first, own): (Vec<&Filter>, Vec<&Filter>) = rules.iter().partition(floating);
    let (quick, late): (Vec<&Filter>, Vec<&Filter>) = first.into_iter().partition(|rule| rule.quick);
    let (groups, own): (Vec<&Filter>, Vec<&Filter>) = own.into_iter().partition(|rule| rule.grouped);
    let order: Vec<&Filter> = quick.into_iter().chain(groups).chain(own).chain(late.into_iter().rev()).collect();
    let chains = CHAINS.into_iter().map(|(name, hook, priority, comes_in)| {
        let base = Base { kind: ChainKind::Filter, hook, priority, drops: comes_in, devices: Vec::new() };
        let mut lines = before(&root, &names, hook, comes_in);
        lines.extend(order.iter().filter_map(|rule| rule.line(hook, comes_in)));
        Chain { name: name.to_owned(), handle: None, base: Some(base), lines }
    });
    let (family, name) = (TableFamily::Inet, "pf".to_owned());
    let table = Table { family, name, dormant: false, chains: chains.collect(), sets: Vec::new() };
    Ok(Ruleset { backend: "pfsense".to_owned(), tables: vec![table], unread: Vec::new() })
}

/// The rules that pfSense itself puts before all others.
fn before(root: &Node, names: &Names, hook: Hook, comes_in: bool) -> Vec<Line> {
    let field = if comes_in { Wide::InInterface } else { Wide::OutInterface };
    let on = |device: &str| Condition::Wide(field, Ranges::single(name_number(device)));
    let states = [ConnectionState::Established, ConnectionState::Related];
    let states: Bits = states.iter().map(|state| *state as u8).collect();
    let discovery =
        Condition::AnyOf(vec![only(Protocol::ICMPV6).with_narrow(Narrow::IcmpType, DISCOVERY.into_iter().collect())]);
    let mut lines = vec![
        line("pass what belongs to a known connection", None, vec![Condition::Narrow(Narrow::State, states)], true),
        line("pass on loopback", None, vec![Condition::AnyOf(vec![loopback(field)])], true),
        line("pass neighbour discovery", None, vec![discovery], true),
    ];
    if !comes_in {
        return lines;
    }
    let interfaces = root.get("interfaces");
    for (name, interface) in &names.interfaces {
        let Some(device) = &interface.device else { continue };
        let node = interfaces.as_ref().and_then(|all| all.get(name));
        let says = |field: &str| node.as_ref().is_some_and(|node| node.get(field).is_some());
        if says("blockpriv") {
            let nets: Vec<IpNet> = PRIVATE.iter().filter_map(|net| net.parse().ok()).collect();
            let conditions = vec![on(device), Condition::AnyOf(cells(Wide::Source, &nets))];
            lines.push(line(&format!("block private networks on {name}"), None, conditions, false));
        }
        if says("blockbogons") {
            let bogon = steady("source bogons", "the source is in a network that is given to nobody");
            lines.push(line(&format!("block bogons on {name}"), None, vec![on(device), bogon], false));
        }
    }
    lines.extend(lockout(root, names, hook).map(|conditions| line("pass the administrator", None, conditions, true)));
    lines
}

fn loopback(field: Wide) -> crate::packet::Cell {
    crate::packet::Cell::all()
        .with_wide(field, Ranges::of(["lo0", "lo"].map(|name| (name_number(name), name_number(name)))))
}

/// The rule against locking out, of which the ports are not all in the configuration.
fn lockout(root: &Node, names: &Names, hook: Hook) -> Option<Vec<Condition>> {
    let webgui = root.get("system").and_then(|system| system.get("webgui"));
    let off = webgui.is_some_and(|webgui| webgui.get("noantilockout").is_some());
    let device = names.interfaces.get("lan").or(names.interfaces.get("wan"))?.device.clone()?;
    let tcp = ports(only(Protocol::TCP), Wide::DestinationPort, [(1, u16::MAX)]);
    let on = Condition::Wide(Wide::InInterface, Ranges::single(name_number(&device)));
    let port = steady("anti-lockout", "the port is one that the firewall is administered by");
    (hook == Hook::Input && !off).then(|| vec![on, Condition::AnyOf(vec![tcp]), port])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORLD: &str = "<system><webgui><noantilockout/></webgui></system><interfaces><wan><if>igb0</if><ipaddr>dhcp</ipaddr></wan><lan><if>igb1</if><ipaddr>192.0.2.1</ipaddr><subnet>24</subnet></lan></interfaces><aliases><alias><name>web</name><type>host</type><address>198.51.100.10 198.51.100.11</address></alias><alias><name>webports</name><type>port</type><address>80 443</address></alias><alias><name>list</name><type>urltable</type><url>https://example.net/</url></alias></aliases>";

    fn config(rules: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<pfsense>{WORLD}<filter>{rules}</filter></pfsense>")
    }

    fn fates(document: &str, packet: &str) -> (bool, bool) {
        crate::backend::document::fates(&super::super::PFSENSE, document, packet)
    }

    fn rule(fields: &str) -> String {
        format!("<rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol>{fields}</rule>")
    }

    const WEB: &str = "forward igb0 igb1 203.0.113.9:40000 > 198.51.100.10:443 tcp syn";

    #[test]
    fn the_first_rule_of_an_interface_decides_and_the_rest_is_denied() {
        let pass = rule(
            "<protocol>tcp</protocol><source><any/></source><destination><address>web</address><port>webports</port></destination>",
        );
        let block = rule("<source><address>203.0.113.0/24</address></source><destination><any/></destination>")
            .replace("pass", "block");
        assert_eq!(fates(&config(&pass), WEB), (true, true));
        assert_eq!(fates(&config(""), WEB), (false, false));
        assert_eq!(fates(&config(&format!("{pass}{block}")), WEB), (true, true));
        assert_eq!(fates(&config(&format!("{block}{pass}")), WEB), (false, false));
        let off = block.replace("<rule>", "<rule><disabled/>");
        assert_eq!(fates(&config(&format!("{off}{pass}")), WEB), (true, true));
        let other = WEB.replace("igb0 igb1", "igb1 igb0");
        assert_eq!(fates(&config(&pass), &other), (false, false), "another interface");
        assert_eq!(
            fates(&config(&pass), &WEB.replace("tcp syn", "tcp ack")),
            (false, false),
            "it begins no connection"
        );
        assert_eq!(fates(&config(""), "output igb0 198.51.100.10:40000 > 192.0.2.9:443 tcp syn"), (true, true));
    }

    #[test]
    fn a_floating_rule_decides_at_once_or_last() {
        let floating = |quick: &str| {
            rule(&format!("<floating>yes</floating><direction>any</direction>{quick}<source><any/></source><destination><any/></destination>")).replace("pass", "block")
        };
        let pass = rule("<source><any/></source><destination><any/></destination>");
        assert_eq!(fates(&config(&format!("{pass}{}", floating("<quick>yes</quick>"))), WEB), (false, false));
        assert_eq!(fates(&config(&format!("{}{pass}", floating(""))), WEB), (true, true));
    }

    #[test]
    fn what_is_not_in_the_configuration_is_unknown() {
        for fields in [
            "<source><address>list</address></source><destination><any/></destination>",
            "<source><any/></source><destination><network>wanip</network></destination>",
            "<source><any/></source><destination><any/></destination><sched>office</sched>",
            "<source><any/></source><destination><any/><port>nobody</port></destination><protocol>tcp</protocol>",
        ] {
            assert_eq!(fates(&config(&rule(fields)), WEB), (false, true), "{fields}");
        }
        let group = rule("<source><any/></source><destination><any/></destination>").replace(">wan<", ">group<");
        assert_eq!(fates(&config(&group), WEB), (false, true));
        let not = rule("<source><network>lan</network><not/></source><destination><any/></destination>");
        assert_eq!(fates(&config(&not), WEB), (true, true));
        assert_eq!(fates(&config(&not), &WEB.replace("203.0.113.9", "192.0.2.9")), (false, false));
    }

    #[test]
    fn types_of_icmp_are_named_by_family() {
        let ping = |family: &str| {
            let fields = "<protocol>icmp</protocol><icmptype>echoreq,unreach</icmptype><source><any/></source><destination><any/></destination>";
            config(&rule(fields).replace(">inet<", &format!(">{family}<")))
        };
        for (family, packet, passes) in [
            ("inet", "input igb0 203.0.113.9 > 198.51.100.1 icmp 8", true),
            ("inet", "input igb0 203.0.113.9 > 198.51.100.1 icmp 3", true),
            ("inet", "input igb0 203.0.113.9 > 198.51.100.1 icmp 5", false),
            ("inet", "input igb0 2001:db8::9 > 2001:db8::1 icmpv6 128", false),
            ("inet6", "input igb0 2001:db8::9 > 2001:db8::1 icmpv6 128", true),
            ("inet6", "input igb0 2001:db8::9 > 2001:db8::1 icmpv6 1", true),
            ("inet46", "input igb0 203.0.113.9 > 198.51.100.1 icmp 8", true),
            ("inet46", "input igb0 2001:db8::9 > 2001:db8::1 icmpv6 8", false),
        ] {
            assert_eq!(fates(&ping(family), packet), (passes, passes), "{family}: {packet}");
        }
        let odd = ping("inet").replace("echoreq,unreach", "echoreq,nonsense");
        assert_eq!(fates(&odd, "input igb0 203.0.113.9 > 198.51.100.1 icmp 8"), (false, true));
    }

    #[test]
    fn groups_come_before_their_members_and_hours_may_be() {
        let pass = rule("<source><any/></source><destination><any/></destination>");
        let block = pass.replace("pass", "block").replace(">wan<", ">outside<");
        let groups =
            "<ifgroups><ifgroupentry><ifname>outside</ifname><members>wan opt9</members></ifgroupentry></ifgroups>";
        let with = |sections: &str, rules: &str| config(rules).replace("<filter>", &format!("{sections}<filter>"));
        let known = groups.replace(" opt9", "");
        assert_eq!(fates(&with(&known, &format!("{pass}{block}")), WEB), (false, false), "a group is asked first");
        assert_eq!(fates(&with(groups, &format!("{pass}{block}")), WEB), (true, false), "a member is not there");
        let hours = "<schedules><schedule><name>office</name><timerange><position>1,2,3,4,5</position><hour>8:00-17:59</hour></timerange></schedule></schedules>";
        let timed = |name: &str| pass.replace("</rule>", &format!("<sched>{name}</sched></rule>"));
        assert_eq!(fates(&with(hours, &timed("office")), WEB), (false, true));
        assert_eq!(fates(&with(hours, &timed("nobody")), WEB), (true, true), "it has no hours");
        let line = read(&with(hours, &timed("office"))).expect("read").tables[0].chains[0].lines.pop().expect("a rule");
        let words = "it is a time of `office` (days 1,2,3,4,5 hours 8:00-17:59)";
        assert!(line.conditions.contains(&Condition::Chance(words.to_owned())), "{line:?}");
    }

    #[test]
    fn a_rule_for_tcp_asks_for_the_beginning_whatever_it_does() {
        let fields = "<protocol>tcp</protocol><source><any/></source><destination><any/></destination>";
        let block = rule(fields).replace("pass", "block");
        let rest =
            rule("<protocol>tcp</protocol><tcpflags_any/><source><any/></source><destination><any/></destination>");
        let ack = WEB.replace("tcp syn", "tcp ack");
        assert_eq!(fates(&config(&format!("{block}{rest}")), WEB), (false, false));
        assert_eq!(fates(&config(&format!("{block}{rest}")), &ack), (true, true));
        let every = block.replace("<protocol>", "<tcpflags_any/><protocol>");
        assert_eq!(fates(&config(&format!("{every}{rest}")), &ack), (false, false));
    }

    #[test]
    fn errors_name_the_place() {
        for (document, words) in [
            ("<opnsense/>".to_owned(), "the document: the outermost element is not `pfsense`"),
            ("<pfsense/>".to_owned(), "the document: there is no `filter` in it"),
            (
                config("<rule><type>allow</type></rule>"),
                "filter.rule: its type is none of pass, block, reject and match",
            ),
            (
                config(&rule("<protocol>tpc</protocol>")),
                "filter.rule: `tpc` is not a protocol; a name such as tcp or a number up to 255 is",
            ),
        ] {
            assert_eq!(read(&document).expect_err(&document).to_string(), words);
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(text in "\\PC{0,40}", address in "[a-z0-9./]{0,12}", port in "[a-z0-9:-]{0,8}") {
            let odd = rule(&format!("<protocol>tcp</protocol><source><address>{address}</address><not/><port>{port}</port></source><destination><network>{address}</network></destination>"));
            let _ = (read(&text), read(&config(&text)));
            prop_assert!(read(&config(&odd)).is_ok());
        }
    }
}
