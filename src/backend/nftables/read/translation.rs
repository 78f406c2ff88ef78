//! Statements that translate: what they make of where a packet goes, as far as it is one address and one port.

use super::condition;
use super::field::is;
use super::node::Node;
use super::value::Sets;
use super::words::{self, strings};
use crate::packet::{Cell, Narrow};
use crate::rule::ruleset::{Condition, Outcome, TableFamily, Verdict};
use crate::rule::{Landing, Translation};
use std::net::IpAddr;

/// What a statement asks for besides the rule's own conditions, and what it does.
pub(super) fn read(kind: &str, body: Node<'_>, family: TableFamily, sets: &Sets<'_>) -> (Vec<Condition>, Outcome) {
    let text = words::statement(kind, body);
    // Packets of another family go on to the next rule (nft_nat_inet_eval).
    let mut asked: Vec<_> = match body.text("family") {
        Some("ip") => vec![is(Narrow::Family, 0)],
        Some("ip6") => vec![is(Narrow::Family, 1)],
        _ => Vec::new(),
    };
    let parts = Parts::of(kind, body);
    if let Some((implied, keys)) = parts.map().and_then(|map| by_key(&parts, map, &text, family, sets)) {
        asked.extend(implied);
        return (asked, Outcome::ByKey(keys));
    }
    if parts.looks_up() {
        // A lookup that finds nothing ends the rule.
        asked.push(Condition::Chance(text.clone()));
    }
    let (address, port) = parts.written();
    (asked, Outcome::Verdict(Verdict::Translate(Translation { text, address, port })))
}

/// The parts of a translated destination.
#[derive(Clone, Copy)]
struct Parts<'t> {
    /// The source is translated, and the destination stays.
    of_source: bool,
    /// An interface's own address, of which nobody knows here.
    own: bool,
    /// Whole networks are translated, address by address.
    networks: bool,
    address: Option<Node<'t>>,
    port: Option<Node<'t>>,
}

impl<'t> Parts<'t> {
    fn of(kind: &str, body: Node<'t>) -> Self {
        let networks = strings(body.get("flags")).chain(strings(body.get("type_flags")));
        Self {
            of_source: matches!(kind, "snat" | "masquerade"),
            own: kind == "redirect",
            networks: networks.into_iter().any(|flag| matches!(flag, "netmap" | "prefix")),
            address: body.get("addr"),
            port: body.get("port"),
        }
    }

    /// The map that the destination is looked up in, where there is one.
    fn map(&self) -> Option<Node<'t>> {
        let of = |part: Option<Node<'t>>| part?.get("map");
        of(self.address).xor(of(self.port))
    }

    /// Whether some part is not written here.
    fn looks_up(&self) -> bool {
        [self.address, self.port].into_iter().flatten().any(|part| part.get("map").is_some())
    }

    fn address(&self, part: Option<Node<'_>>) -> Landing {
        match part {
            _ if self.own || self.networks => Landing::Open,
            None => Landing::Kept,
            Some(part) => address(part),
        }
    }

    fn port(&self, part: Option<Node<'_>>) -> Landing {
        part.map_or(Landing::Kept, port)
    }

    /// Where it leads without a map.
    fn written(&self) -> (Landing, Landing) {
        match self.of_source {
            true => (Landing::Kept, Landing::Kept),
            false => (self.address(self.address), self.port(self.port)),
        }
    }

    /// Where one element of the map leads.
    fn led(&self, to: Node<'_>) -> (Landing, Landing) {
        if self.of_source || self.networks {
            return self.written();
        }
        if self.port.is_some_and(|part| part.get("map").is_some()) {
            return (self.address(self.address), port(to));
        }
        match to.get("concat") {
            Some(both) => (both.item(0).map_or(Landing::Open, address), both.item(1).map_or(Landing::Open, port)),
            None => (address(to), self.port(self.port)),
        }
    }
}

fn address(part: Node<'_>) -> Landing {
    match part.as_str().and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(IpAddr::V4(v4)) => Landing::To(v4.to_bits().into()),
        Some(IpAddr::V6(v6)) => Landing::To(v6.to_bits()),
        None => Landing::Open,
    }
}

fn port(part: Node<'_>) -> Landing {
    part.as_u64().filter(|port| *port <= u16::MAX.into()).map_or(Landing::Open, |port| Landing::To(port.into()))
}

/// What looking at the key implies, and for each product of it where packets go.
type Led = (Vec<Condition>, Vec<(Cell, Verdict)>);

fn by_key(parts: &Parts<'_>, map: Node<'_>, text: &str, family: TableFamily, sets: &Sets<'_>) -> Option<Led> {
    let (key, data) = (map.get("key")?, map.get("data")?);
    if sets.changes(data) {
        return None;
    }
    let (implied, pairs) = condition::key(key, data, family, sets)?;
    let keys = pairs.into_iter().map(|(cell, to)| {
        let (address, port) = parts.led(to);
        // Where it leads is said by the words alone unless it is one place.
        let is_known = !parts.of_source && address != Landing::Open && port != Landing::Open;
        let text = if is_known { text.to_owned() } else { format!("{text}, which gives {}", words::expression(to)) };
        (cell, Verdict::Translate(Translation { text, address, port }))
    });
    Some((implied, condition::few(keys.collect())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::nftables::read;
    use crate::packet::{Ranges, Wide};

    /// The conditions of a rule of one statement, and where it leads by each of its keys.
    fn led(statement: &str) -> (Vec<Condition>, Vec<(Cell, Landing, Landing)>) {
        let json = format!(
            r#"{{"nftables":[{{"map":{{"family":"inet","table":"t","name":"d","type":"inet_service","map":"ipv4_addr","flags":["dynamic"]}}}},
                {{"rule":{{"family":"inet","table":"t","chain":"c","expr":[{statement}]}}}}]}}"#
        );
        let ruleset = read(&json).expect("a listing");
        let (_, line) = ruleset.lines().next().expect("a rule");
        let one = |cell: &Cell, verdict: &Verdict| match verdict {
            Verdict::Translate(to) => (cell.clone(), to.address, to.port),
            other => panic!("{other:?}"),
        };
        let keys = match &line.outcome {
            Outcome::Verdict(verdict) => vec![one(&Cell::all(), verdict)],
            Outcome::ByKey(keys) => keys.iter().map(|(cell, verdict)| one(cell, verdict)).collect(),
            other => panic!("{other:?}"),
        };
        (line.conditions.clone(), keys)
    }

    #[test]
    fn one_address_and_port_is_known() {
        use Landing::{Kept, Open, To};
        for (statement, address, port) in [
            (r#"{"dnat":{"addr":"10.0.0.5","port":8080}}"#, To(0x0a00_0005), To(8080)),
            (r#"{"dnat":{"family":"ip6","addr":"2001:db8::5"}}"#, To(0x2001_0db8_0000_0000_0000_0000_0000_0005), Kept),
            (r#"{"dnat":{"port":8080}}"#, Kept, To(8080)),
            (r#"{"dnat":{"addr":{"range":["10.0.0.1","10.0.0.9"]},"port":{"range":[1,9]}}}"#, Open, Open),
            (r#"{"dnat":{"addr":"10.0.0.5","flags":"netmap"}}"#, Open, Kept),
            (r#"{"redirect":{"port":8080}}"#, Open, To(8080)),
            (r#"{"redirect":null}"#, Open, Kept),
            (r#"{"masquerade":null}"#, Kept, Kept),
            (r#"{"snat":{"addr":"10.0.0.5","port":7}}"#, Kept, Kept),
        ] {
            assert_eq!(led(statement).1, [(Cell::all(), address, port)], "{statement}");
        }
        assert_eq!(led(r#"{"dnat":{"family":"ip","addr":"10.0.0.5"}}"#).0, [is(Narrow::Family, 0)]);
    }

    #[test]
    fn maps_lead_by_their_keys() {
        let port = |n: u128| Cell::all().with_wide(Wide::DestinationPort, Ranges::single(n));
        let dport = r#"{"payload":{"protocol":"tcp","field":"dport"}}"#;
        let map = |data: &str| format!(r#"{{"map":{{"key":{dport},"data":{data}}}}}"#);
        let addresses = map(r#"{"set":[[80,"10.0.0.5"],[81,{"concat":["10.0.0.6",8080]}]]}"#);
        assert_eq!(
            led(&format!(r#"{{"dnat":{{"family":"ip","addr":{addresses}}}}}"#)).1,
            [
                (port(80), Landing::To(0x0a00_0005), Landing::Kept),
                (port(81), Landing::To(0x0a00_0006), Landing::To(8080))
            ]
        );
        let ports = map(r#"{"set":[[80,8080]]}"#);
        let found = led(&format!(r#"{{"redirect":{{"port":{ports}}}}}"#)).1;
        assert_eq!(found, [(port(80), Landing::Open, Landing::To(8080))]);
        let words = |to: &str| {
            let json = format!(
                r#"{{"nftables":[{{"map":{{"family":"inet","table":"t","name":"m","type":"inet_service","map":"ipv4_addr","elem":[[80,"{to}"]]}}}},
                    {{"rule":{{"family":"inet","table":"t","chain":"c","expr":[{{"snat":{{"addr":{}}}}}]}}}}]}}"#,
                map(r#""@m""#)
            );
            let ruleset = read(&json).expect("a listing");
            ruleset.lines().map(|(_, line)| line.outcome.clone()).collect::<Vec<_>>()
        };
        assert_ne!(words("192.0.2.1"), words("192.0.2.2"));
        // What is in a map that changes, or under a key that is not read, nobody knows; a lookup may find nothing.
        for statement in [
            format!(r#"{{"dnat":{{"addr":{}}}}}"#, map(r#""@d""#)),
            r#"{"dnat":{"addr":{"map":{"key":{"numgen":{"mode":"inc","mod":2,"offset":0}},"data":{"set":[[0,"10.0.0.5"]]}}}}}"#.to_owned(),
        ] {
            let (conditions, keys) = led(&statement);
            assert!(conditions.iter().any(|c| matches!(c, Condition::Chance(_))), "{statement}");
            assert_eq!(keys, [(Cell::all(), Landing::Open, Landing::Kept)], "{statement}");
        }
    }
}
