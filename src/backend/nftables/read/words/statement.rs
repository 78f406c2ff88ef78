//! Statements (libnftables-json(5), STATEMENTS).

use super::{Words, clip};
use crate::backend::nftables::read::node::{Items, Node};
use ipnet::IpNet;
use std::net::IpAddr;

impl Words {
    /// The statements of a rule, in order.
    pub(in super::super) fn statements(&mut self, statements: Items<'_>) {
        for (n, statement) in statements.enumerate() {
            if n > 0 {
                self.put(" ");
            }
            match (statement.single(), super::update(statement)) {
                (Some((kind, body)), _) => self.statement(kind, body),
                (None, Some(text)) => self.put(text),
                (None, None) => self.lose(clip(statement)),
            }
        }
    }

    /// One statement.
    pub(in super::super) fn statement(&mut self, kind: &str, body: Node<'_>) {
        match (kind, body.is_object()) {
            ("match", true) => self.comparison(body),
            ("vmap", true) => self.looked_up("vmap", body),
            ("mangle", true) => self.mangle(body),
            ("jump" | "goto", true) => {
                self.put(kind);
                self.then(body.text("target").unwrap_or_default());
            }
            ("accept" | "drop" | "continue" | "return" | "notrack", _) => self.put(kind),
            ("counter" | "quota" | "limit" | "ct count" | "last", _) => self.stateful(kind, body),
            ("log", _) => self.log(body),
            ("reject", _) => self.reject(body),
            ("dnat" | "snat" | "redirect" | "masquerade" | "tproxy", _) => self.translation(kind, body),
            ("set", true) => self.update(body, "set"),
            ("map", true) => self.update(body, "map"),
            ("meter", true) => self.meter(body),
            ("queue", _) => self.queue(body),
            ("dup" | "fwd", true) => self.copy(kind, body),
            ("flow", true) => self.flow(body),
            ("synproxy", _) => self.synproxy(body),
            ("ct helper" | "ct timeout" | "ct expectation", _) => self.assigned(kind, body),
            ("secmark", _) => self.assigned("meta secmark", body),
            ("reset", true) => {
                self.put("reset ");
                self.expression(body);
            }
            ("xt", true) if !self.load => {
                self.put("xt");
                self.option(body.text("type").unwrap_or(""), body, "name");
            }
            _ if !self.load && body.is_null() => self.put(kind),
            _ => self.lose(format!("{kind} {}", clip(body))),
        }
    }

    fn mangle(&mut self, body: Node<'_>) {
        self.expression(body.get("key").unwrap_or(Node::NULL));
        self.put(" set ");
        self.expression(body.get("value").unwrap_or(Node::NULL));
    }

    /// A counter, quota or limit: of the rule, or one with a name.
    fn stateful(&mut self, kind: &str, body: Node<'_>) {
        self.put(kind);
        if body.as_str().is_some() || body.single().is_some_and(|(key, _)| key == "map") {
            if self.load {
                self.then("name");
            }
            self.put(" ");
            return self.expression(body);
        }
        let over = if body.get("inv").and_then(Node::as_bool) == Some(true) { " over" } else { "" };
        match kind {
            "limit" => self.rate(body, over),
            "quota" => {
                self.put(over);
                self.amount(body, ["val", "val_unit"]);
                if self.load && body.get("used").and_then(Node::as_u64).is_some_and(|used| used > 0) {
                    self.then("used");
                    self.amount(body, ["used", "used_unit"]);
                }
            }
            "ct count" => {
                self.put(over);
                self.amount(body, ["val", ""]);
            }
            _ => {}
        }
    }

    fn amount(&mut self, body: Node<'_>, [value, unit]: [&str; 2]) {
        self.put(" ");
        self.expression(body.get(value).unwrap_or(Node::NULL));
        if let Some(unit) = body.text(unit) {
            self.then(unit);
        }
    }

    pub(in super::super) fn rate(&mut self, body: Node<'_>, over: &str) {
        let unit = |key: &str| body.text(key).filter(|unit| *unit != "packets");
        self.put(" rate");
        self.put(over);
        self.put(" ");
        self.expression(body.get("rate").unwrap_or(Node::NULL));
        if let Some(unit) = unit("rate_unit") {
            self.then(unit);
        }
        self.put("/");
        self.put(body.text("per").unwrap_or_default());
        let burst = body.get("burst").filter(|burst| self.load && burst.as_u64() != Some(0));
        if let Some(burst) = burst {
            self.put(" burst ");
            self.expression(burst);
            self.then(unit("burst_unit").unwrap_or("packets"));
        }
    }

    fn log(&mut self, body: Node<'_>) {
        self.put("log");
        if let Some(prefix) = body.text("prefix") {
            self.put(" prefix ");
            self.quote(prefix);
        }
        if !self.load {
            return;
        }
        for key in ["group", "snaplen", "queue-threshold"] {
            self.option(key, body, key);
        }
        if let Some(level) = body.text("level") {
            self.then("level");
            self.then(level);
        }
        let flags: Vec<_> = strings(body.get("flags")).collect();
        let of_tcp: Vec<_> = flags.iter().filter_map(|flag| flag.strip_prefix("tcp ")).collect();
        if !of_tcp.is_empty() {
            self.put(" flags tcp ");
            self.put(&of_tcp.iter().map(|word| word.to_string()).collect::<Vec<_>>().join(","));
        }
        for flag in flags.iter().filter(|flag| !flag.starts_with("tcp ")) {
            self.put(" flags ");
            self.put(flag);
        }
    }

    fn reject(&mut self, body: Node<'_>) {
        self.put("reject");
        let Some(kind) = body.text("type") else { return };
        self.put(" with ");
        self.put(kind);
        match body.text("expr") {
            _ if kind == "tcp reset" => {}
            Some(how) => self.then(how),
            None if self.load => self.lose(clip(body)),
            None => {}
        }
    }

    fn translation(&mut self, kind: &str, body: Node<'_>) {
        self.put(kind);
        let (address, port) = (body.get("addr"), body.get("port"));
        if self.load {
            for word in
                body.text("family").into_iter().chain(strings(body.get("type_flags")).filter(|f| *f == "prefix"))
            {
                self.then(word);
            }
        }
        if address.is_some() || port.is_some() {
            self.put(" to ");
        }
        if let Some(address) = address {
            self.end(address, port.is_some());
        }
        if let Some(port) = port {
            self.put(":");
            self.expression(port);
        }
        // The kernel sets netmap for a map of prefixes by itself.
        let flags: Vec<_> = strings(body.get("flags")).filter(|flag| *flag != "netmap").collect();
        if self.load && !flags.is_empty() {
            self.then(&flags.join(","));
        }
    }

    /// An address to translate to; one of IPv6 before a port stands in brackets.
    fn end(&mut self, address: Node<'_>, bracket: bool) {
        let six = |node: Node<'_>| node.as_str().is_some_and(|text| text.contains(':'));
        match address.single() {
            Some(("range", ends)) if bracket && ends.item(0).is_some_and(six) => {
                for (n, end) in ends.items().into_iter().flatten().enumerate() {
                    self.put(if n > 0 { "-[" } else { "[" });
                    self.expression(end);
                    self.put("]");
                }
            }
            // nft writes a network before a port and does not read it.
            Some(("prefix", net)) if bracket && self.load => self.put(&ends_of(net).unwrap_or_default()),
            _ if bracket && six(address) => {
                self.put("[");
                self.expression(address);
                self.put("]");
            }
            _ => self.expression(address),
        }
    }

    /// `add @s { ip saddr timeout 5s }`, `update @m { ip saddr : 1 }`.
    fn update(&mut self, body: Node<'_>, of: &str) {
        self.put(body.text("op").unwrap_or_default());
        self.put(" ");
        self.expression(body.get(of).unwrap_or(Node::NULL));
        self.put(" { ");
        self.expression(body.get("elem").unwrap_or(Node::NULL));
        for statement in body.get("stmt").and_then(Node::items).filter(|_| self.load).into_iter().flatten() {
            if let Some((kind, inner)) = statement.single() {
                self.put(" ");
                self.statement(kind, inner);
            }
        }
        if let Some(data) = body.get("data") {
            self.put(" : ");
            self.expression(data);
        }
        self.put(" }");
    }

    fn meter(&mut self, body: Node<'_>) {
        self.put("meter");
        self.then(body.text("name").unwrap_or_default());
        self.option("size", body, "size");
        self.put(" { ");
        self.expression(body.get("key").unwrap_or(Node::NULL));
        if let Some((kind, inner)) = body.get("stmt").and_then(Node::single) {
            self.put(" ");
            self.statement(kind, inner);
        }
        self.put(" }");
    }

    fn queue(&mut self, body: Node<'_>) {
        self.put("queue");
        let flags: Vec<_> = strings(body.get("flags")).collect();
        if !flags.is_empty() {
            self.put(" flags ");
            self.put(&flags.join(","));
        }
        self.option("to", body, "num");
    }

    fn copy(&mut self, kind: &str, body: Node<'_>) {
        self.put(kind);
        if let Some(family) = body.text("family").filter(|_| kind == "fwd") {
            self.then(family);
        }
        self.option("to", body, "addr");
        let to = if kind == "fwd" && body.get("addr").is_none() { "to" } else { "device" };
        self.option(to, body, "dev");
    }

    fn flow(&mut self, body: Node<'_>) {
        self.put("flow ");
        self.put(body.text("op").unwrap_or("add"));
        self.then(body.text("flowtable").unwrap_or_default());
    }

    fn synproxy(&mut self, body: Node<'_>) {
        self.put("synproxy");
        if !body.is_object() || body.single().is_some_and(|(key, _)| key == "map") {
            if !body.is_null() {
                self.put(" name ");
                self.expression(body);
            }
            return;
        }
        self.synproxy_options(body);
    }

    pub(in super::super) fn synproxy_options(&mut self, body: Node<'_>) {
        self.option("mss", body, "mss");
        self.option("wscale", body, "wscale");
        for flag in strings(body.get("flags")) {
            self.then(flag);
        }
    }

    /// An object of the connection or packet that has a name: `ct helper set "ftp"`.
    fn assigned(&mut self, what: &str, body: Node<'_>) {
        self.put(what);
        self.put(if self.load { " set " } else { " " });
        self.expression(body);
    }
}

/// The first and the last address of a network as a range, those of IPv6 in brackets.
fn ends_of(net: Node<'_>) -> Option<String> {
    let length = u8::try_from(net.get("len")?.as_u64()?).ok()?;
    let net = IpNet::new(net.text("addr")?.parse().ok()?, length).ok()?;
    let end = |address: IpAddr| if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
    Some(format!("{}-{}", end(net.network()), end(net.broadcast())))
}

/// A text, or the texts of a list.
pub(in super::super) fn strings(value: Option<Node<'_>>) -> impl Iterator<Item = &str> {
    let one = value.and_then(Node::as_str);
    let list = value.and_then(Node::items).into_iter().flatten().filter_map(Node::as_str);
    one.into_iter().chain(list)
}
