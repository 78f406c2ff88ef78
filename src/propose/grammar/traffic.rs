//! Services, protocols, ports, ICMP types.

use super::super::lexer::Kind;
use super::super::names::Named;
use super::super::refusal::Code;
use super::super::services;
use super::super::statement::Traffic;
use super::super::vocabulary;
use super::{Found, Parser};
use crate::packet::{PortRange, Protocol};

const PORT: super::Phrases = &[
    "port",
    "ports",
    "port number",
    "port range",
    "ports range",
    "destination port",
    "destination ports",
    "dport",
    "the port",
    "the ports",
    "port numbers",
    "dst port",
    "service port",
    "target port",
];
const SOURCE_PORT: super::Phrases = &["source port", "source ports", "sport", "src port"];

impl Parser<'_> {
    /// Services and ports joined by commas and "and": `http, https and udp 4500`.
    pub(super) fn traffic_list(&self, at: usize) -> Found<Vec<Traffic>> {
        let mut out: Found<Vec<Traffic>> = Vec::new();
        let mut open = self.traffic(at);
        while let Some((list, next)) = open.pop() {
            if !self.step() {
                return out;
            }
            out.push((list.clone(), next));
            for joined in self.joined(next) {
                for (more, after) in self.traffic(joined) {
                    open.push(([list.clone(), more].concat(), after));
                }
            }
        }
        out
    }

    /// One service, protocol or list of ports, with the noun after it.
    fn traffic(&self, at: usize) -> Found<Vec<Traffic>> {
        let start = self.past(self.past(at, vocabulary::ALL), vocabulary::ARTICLES);
        let mut found = self.ports(start);
        found.extend(self.protocol(start));
        found.extend(self.service(start));
        found.extend(self.icmp(start));
        let mut out: Found<Vec<Traffic>> = Vec::new();
        for (traffic, next) in found {
            for noun in self.each(next, vocabulary::SERVICE_NOUNS) {
                // "http port 80" is two things said, never a noun
                if !matches!(self.token(noun).map(|t| &t.kind), Some(Kind::Number(_) | Kind::Ports(_))) {
                    out.push((traffic.clone(), noun));
                }
            }
            out.push((traffic, next));
        }
        out
    }

    fn service(&self, at: usize) -> Found<Vec<Traffic>> {
        let mut out: Found<Vec<Traffic>> = Vec::new();
        let texts: Vec<&str> =
            self.tokens[at.min(self.tokens.len())..].iter().take(6).map(|t| t.text.as_str()).collect();
        for (named, count) in self.names.at(&texts) {
            if let Named::Service(traffic) = named {
                out.push((traffic, self.reached(at + count)));
            }
        }
        if out.is_empty() {
            let mut name = String::new();
            for (n, text) in texts.iter().enumerate().take(4) {
                name.push_str(if n > 0 { " " } else { "" });
                name.push_str(text);
                let singular = Some(name.as_str()).filter(|_| n == 0).map(super::super::names::stem);
                if let Some(traffic) = services::service(&name).or_else(|| services::service(singular?)) {
                    out.push((traffic, self.reached(at + n + 1)));
                }
            }
        }
        out
    }

    /// A protocol by name, with ports of it: `tcp`, `tcp port 22`, `udp 4500`, `tcp and udp port 53`.
    fn protocol(&self, at: usize) -> Found<Vec<Traffic>> {
        let start = self.past(at, &["protocol", "proto"]);
        let Some((protocols, next)) = self.protocols(start) else { return Vec::new() };
        let mut out = Vec::new();
        let ported = protocols.iter().all(|p| p.has_ports());
        if ported {
            let noun = self.past(
                next,
                &[
                    "traffic on",
                    "traffic to",
                    "connections to",
                    "connections on",
                    "packets to",
                    "traffic for",
                    "packets on",
                    "traffic",
                ],
            );
            let words = self.any(noun, PORT).or_else(|| self.any(next, PORT));
            for (ports, after) in self.port_list(words.unwrap_or(next), words.is_some()) {
                out.push((
                    vec![Traffic::Flow { protocols: protocols.clone(), ports, source_ports: Vec::new() }],
                    after,
                ));
            }
        }
        let icmp = protocols.contains(&Protocol::ICMP) || protocols.contains(&Protocol::ICMPV6);
        if icmp && self.any(next, &["type", "types"]).is_some() {
            return out;
        }
        let alone = Traffic::Flow { protocols, ports: Vec::new(), source_ports: Vec::new() };
        out.push((vec![alone], next));
        out
    }

    fn protocols(&self, at: usize) -> Option<(Vec<Protocol>, usize)> {
        if let Some(next) =
            self.any(at, &["tcp/udp", "udp/tcp", "tcp and udp", "udp and tcp", "tcp or udp", "udp or tcp", "tcp & udp"])
        {
            return Some((vec![Protocol::TCP, Protocol::UDP], next));
        }
        if self.text(at) == "icmpv6" || self.text(at) == "icmp6" {
            return Some((vec![Protocol::ICMPV6], self.reached(at + 1)));
        }
        let token = self.token(at).filter(|t| t.kind == Kind::Word && t.text != "ipv6")?;
        let protocol: Protocol = token.text.parse().ok()?;
        Some((vec![protocol], self.reached(at + 1)))
    }

    /// `port 22`, `ports 80, 443 and 53/udp`, `port 22 tcp`, `source port 53`, `53/udp`.
    fn ports(&self, at: usize) -> Found<Vec<Traffic>> {
        let mut out = Vec::new();
        if let Some(Kind::ProtocolPorts(protocol, range)) = self.token(at).map(|t| &t.kind) {
            out.push((vec![flow(vec![*protocol], vec![*range])], self.reached(at + 1)));
        }
        if let Some(next) = self.any(at, SOURCE_PORT) {
            for (ports, after) in self.port_list(next, true) {
                out.push((
                    vec![Traffic::Flow { protocols: Vec::new(), ports: Vec::new(), source_ports: ports }],
                    after,
                ));
            }
            return out;
        }
        let Some(start) = self.any(at, PORT) else { return out };
        // "port tcp 22"
        if let Some((protocols, next)) = self.protocols(start).filter(|(p, _)| p.iter().all(|p| p.has_ports())) {
            out.extend(
                self.port_list(next, true)
                    .into_iter()
                    .map(|(ports, after)| (vec![flow(protocols.clone(), ports)], after)),
            );
        }
        for (ports, next) in self.port_list(start, true) {
            out.extend(self.mixed_ports(ports.clone(), next));
            if let Some((protocols, after)) = self.trailing_protocol(next) {
                out.push((vec![flow(protocols, ports.clone())], after));
            }
            out.push((vec![flow(Vec::new(), ports)], next));
        }
        out.extend(self.mixed_first(start));
        out
    }

    /// `port 22 tcp`, `port 53 over udp`; not where the protocol has its own port: `port 80, tcp 22`.
    fn trailing_protocol(&self, at: usize) -> Option<(Vec<Protocol>, usize)> {
        let start = self.past(at, &["over", "via", "using", "proto", "protocol"]);
        let (protocols, next) = self.protocols(start).filter(|(p, _)| p.iter().all(|p| p.has_ports()))?;
        let own = matches!(self.token(next).map(|t| &t.kind), Some(Kind::Number(_) | Kind::Ports(_)));
        (!own).then_some((protocols, next))
    }

    /// `… and 53/udp` after plain ports.
    fn mixed_ports(&self, ports: Vec<PortRange>, at: usize) -> Found<Vec<Traffic>> {
        let mut out = Vec::new();
        for joined in self.joined(at) {
            if let Some(Kind::ProtocolPorts(protocol, range)) = self.token(joined).map(|t| &t.kind) {
                out.push((
                    vec![flow(Vec::new(), ports.clone()), flow(vec![*protocol], vec![*range])],
                    self.reached(joined + 1),
                ));
            }
        }
        out
    }

    /// `ports 80/tcp and 53/udp`.
    fn mixed_first(&self, at: usize) -> Found<Vec<Traffic>> {
        let Some(Kind::ProtocolPorts(protocol, range)) = self.token(at).map(|t| &t.kind) else { return Vec::new() };
        vec![(vec![flow(vec![*protocol], vec![*range])], self.reached(at + 1))]
    }

    /// Ports joined by commas and "and"; a bare number counts as one only after a word such as "port" (`said`) or a protocol.
    pub(super) fn port_list(&self, at: usize, said: bool) -> Found<Vec<PortRange>> {
        let mut out: Found<Vec<PortRange>> = Vec::new();
        let mut open: Found<Vec<PortRange>> = self.port(at).into_iter().map(|(p, next)| (vec![p], next)).collect();
        while let Some((list, next)) = open.pop() {
            if !self.step() {
                return out;
            }
            for joined in self.joined(next) {
                let again = if said { self.past(joined, PORT) } else { joined };
                for (port, after) in self.port(again) {
                    open.push(([list.clone(), vec![port]].concat(), after));
                }
            }
            out.push((list, next));
        }
        out
    }

    /// One port or range: `22`, `8000-8100`, `5900 to 5910`, `between 1 and 9`, `above 1024`.
    fn port(&self, at: usize) -> Found<PortRange> {
        let mut out = Vec::new();
        if let Some(Kind::Ports(range)) = self.token(at).map(|t| &t.kind) {
            out.push((*range, self.reached(at + 1)));
        }
        if let Some(first) = self.port_number(at) {
            out.push((PortRange::single(first), self.reached(at + 1)));
            out.extend(self.any(at + 1, vocabulary::RANGE).and_then(|next| self.port_range(first, next)));
        }
        let between = self.any(at, &["between", "from"]).and_then(|n| Some((self.port_number(n)?, n + 1)));
        if let Some((first, next)) = between {
            out.extend(self.any(next, &["and", "to", "through"]).and_then(|last| self.port_range(first, last)));
        }
        if let Some(next) = self.any(at, &["above", "over", "greater than", "higher than"]) {
            out.extend(
                self.port_number(next).and_then(|n| Some((PortRange::new(n.checked_add(1)?, 65535).ok()?, next + 1))),
            );
        }
        if let Some(next) = self.any(at, &["below", "under", "less than", "lower than"]) {
            out.extend(
                self.port_number(next).and_then(|n| Some((PortRange::new(0, n.checked_sub(1)?).ok()?, next + 1))),
            );
        }
        out
    }

    fn port_range(&self, first: u16, at: usize) -> Option<(PortRange, usize)> {
        let last = self.port_number(at)?;
        match PortRange::new(first, last) {
            Ok(range) => Some((range, self.reached(at + 1))),
            Err(error) => {
                self.bad(at, Code::BadValue, error.to_string());
                None
            }
        }
    }

    fn port_number(&self, at: usize) -> Option<u16> {
        let Some(Kind::Number(number)) = self.token(at).map(|t| &t.kind) else { return None };
        match u16::try_from(*number) {
            Ok(port) => Some(port),
            Err(_) => {
                self.bad(at, Code::BadValue, format!("port {number} is above 65535"));
                None
            }
        }
    }

    /// `ping`, `icmp echo requests`, `icmp type 8`, `icmpv6 type 128`.
    fn icmp(&self, at: usize) -> Found<Vec<Traffic>> {
        let mut out = Vec::new();
        let read = |list: &str| if list.is_empty() { Vec::new() } else { list.parse().into_iter().collect() };
        for (list, v4, v6) in vocabulary::ICMP_KINDS {
            if let Some(next) = self.any(at, list) {
                out.push((vec![Traffic::Icmp { v4: read(v4), v6: read(v6) }], next));
            }
        }
        let numbered =
            [("icmp", false), ("icmpv6", true), ("icmp6", true)].into_iter().find(|(word, _)| self.text(at) == *word);
        let Some((_, six)) = numbered else { return out };
        let Some(next) = self.any(
            at + 1,
            &[
                "type",
                "types",
                "packets of type",
                "messages of type",
                "packets with type",
                "packets with the type",
                "packet type",
            ],
        ) else {
            return out;
        };
        for (types, after) in self.icmp_types(next) {
            let (v4, v6) = if six { (Vec::new(), types) } else { (types, Vec::new()) };
            out.push((vec![Traffic::Icmp { v4, v6 }], after));
        }
        out
    }

    fn icmp_types(&self, at: usize) -> Found<Vec<crate::packet::IcmpType>> {
        let mut list = Vec::new();
        let mut out: Found<Vec<crate::packet::IcmpType>> = Vec::new();
        let mut starts = vec![at];
        while let Some(start) = starts.pop() {
            let Ok(kind) = self.text(start).parse() else { continue };
            list.push(kind);
            out.push((list.clone(), self.reached(start + 1)));
            starts.extend(self.joined(start + 1).first());
        }
        out
    }
}

fn flow(protocols: Vec<Protocol>, ports: Vec<PortRange>) -> Traffic {
    Traffic::Flow { protocols, ports, source_ports: Vec::new() }
}
