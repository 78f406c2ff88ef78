//! Expressions and the comparisons that are made of them (libnftables-json(5), EXPRESSIONS).

use super::{Words, clip};
use crate::backend::nftables::read::node::Node;
use std::net::IpAddr;

/// Left-hand sides that are flags: compared without an operator they ask for a common bit.
fn is_flags(left: Node<'_>) -> bool {
    match left.single() {
        Some(("payload", body)) => body.text("field") == Some("flags"),
        Some(("ct", body)) => matches!(body.text("key"), Some("state" | "status" | "event" | "label")),
        Some(("&" | "|" | "^" | "<<" | ">>" | "sctp chunk" | "exthdr", _)) => true,
        _ => false,
    }
}

/// Whether a right-hand side is looked up rather than compared.
fn is_looked_up(right: Node<'_>) -> bool {
    right.as_str().is_some_and(|text| text.starts_with('@')) || right.single().is_some_and(|(kind, _)| kind == "set")
}

/// Whether an expression is the time of day.
fn is_hour(left: Node<'_>) -> bool {
    left.single().is_some_and(|(kind, body)| kind == "meta" && body.text("key") == Some("hour"))
}

/// A second of the day as nft lists it.
fn clock(second: u64) -> String {
    let (hour, minute) = (second / 3600, second / 60 % 60);
    match second % 60 {
        0 => format!("{hour:02}:{minute:02}"),
        second => format!("{hour:02}:{minute:02}:{second:02}"),
    }
}

impl Words {
    /// A `match` statement.
    pub(in super::super) fn comparison(&mut self, body: Node<'_>) {
        let part = |key: &str| body.get(key).unwrap_or(Node::NULL);
        let (left, right) = (part("left"), part("right"));
        let op = body.text("op").unwrap_or("==");
        if let Some(there) = right.as_bool() {
            return self.presence(left, op, there);
        }
        self.expression(left);
        let masked = left.single().is_some_and(|(kind, _)| kind == "&");
        let plain = match op {
            "in" => true,
            "==" if self.load => !is_flags(left) || is_looked_up(right) && !masked,
            "==" => !masked,
            _ => false,
        };
        if !plain {
            self.then(op);
        }
        self.put(" ");
        self.clock = !self.load && is_hour(left);
        self.expression(right);
        self.clock = false;
    }

    /// Whether a header or option is there at all.
    fn presence(&mut self, left: Node<'_>, op: &str, there: bool) {
        if matches!(left.single(), Some(("exthdr", _))) {
            self.put("exthdr ");
            self.put(left.single().and_then(|(_, body)| body.text("name")).unwrap_or_default());
        } else {
            self.expression(left);
        }
        self.then(if there == (op == "==") { "exists" } else { "missing" });
    }

    /// An expression.
    pub(in super::super) fn expression(&mut self, value: Node<'_>) {
        if let Some(text) = value.as_str() {
            self.symbol(text);
        } else if let Some(items) = value.items() {
            self.list(items, ",", Self::expression);
        } else if let Some((kind, body)) = value.single() {
            self.known(kind, body, value);
        } else if let Some(second) = value.as_u64().filter(|_| self.clock) {
            self.put(&clock(second));
        } else if let Some(number) = value.as_number() {
            self.put(&number.to_string());
        } else {
            self.lose(clip(value));
        }
    }

    /// A text as a value: quotes are left out for people, and around numbers, addresses and the names of sets.
    fn symbol(&mut self, text: &str) {
        let bare = || {
            let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let decimal = text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
            let mac = text.len() == 17 && text.split(':').all(|part| part.len() == 2 && number(part));
            decimal
                || text == "*"
                || text.strip_prefix('@').is_some_and(|name| !name.contains(['"', ' ']))
                || text.strip_prefix("0x").is_some_and(number)
                || text.parse::<IpAddr>().is_ok()
                || mac
        };
        if self.load && !bare() { self.quote(text) } else { self.put(text) }
    }

    fn known(&mut self, kind: &str, body: Node<'_>, whole: Node<'_>) {
        match kind {
            "payload" => self.payload(body),
            "meta" => self.meta(body),
            "ct" | "rt" | "socket" | "ipsec" | "osf" => self.keyed(kind, body),
            "tcp option" | "ip option" | "exthdr" | "sctp chunk" | "dccp option" => self.header(kind, body),
            "fib" => self.fib(body),
            "prefix" => {
                self.expression(body.get("addr").unwrap_or(Node::NULL));
                self.put("/");
                self.expression(body.get("len").unwrap_or(Node::NULL));
            }
            "range" => self.sides(body, "-"),
            "concat" => self.sides(body, " . "),
            "&" | "|" | "^" | "<<" | ">>" => self.binary(kind, body),
            "set" => self.set(body),
            "elem" => self.element(body),
            "map" => self.looked_up("map", body),
            "numgen" => self.numgen(body),
            "jhash" | "symhash" => self.hash(kind, body),
            "accept" | "drop" | "continue" | "return" | "jump" | "goto" => self.statement(kind, body),
            _ => self.lose(clip(whole)),
        }
    }

    fn sides(&mut self, body: Node<'_>, between: &str) {
        match body.items() {
            Some(items) => self.list(items, between, Self::expression),
            None => self.lose(clip(body)),
        }
    }

    fn binary(&mut self, op: &str, body: Node<'_>) {
        let Some(items) = body.items() else { return self.lose(clip(body)) };
        for (n, side) in items.enumerate() {
            if n > 0 {
                self.then(op);
                self.put(" ");
            }
            self.operand(side);
        }
    }

    /// One side of a binary operator, in parentheses where it is more than one value.
    fn operand(&mut self, side: Node<'_>) {
        match (side.items(), side.single()) {
            (Some(items), _) if self.load => {
                self.put("(");
                self.list(items, "|", Self::expression);
                self.put(")");
            }
            (None, Some(("&" | "|" | "^" | "<<" | ">>", _))) if self.load => {
                self.put("(");
                self.expression(side);
                self.put(")");
            }
            _ => self.expression(side),
        }
    }

    fn payload(&mut self, body: Node<'_>) {
        if let (Some(protocol), Some(field)) = (body.text("protocol"), body.text("field")) {
            self.put(protocol);
            return self.then(field);
        }
        self.put("@");
        for (n, key) in ["base", "offset", "len"].into_iter().enumerate() {
            if n > 0 {
                self.put(",");
            }
            match body.get(key) {
                Some(value) if value.as_str().is_some() => self.put(value.as_str().unwrap_or_default()),
                Some(value) if value.as_number().is_some() => self.expression(value),
                _ => return self.lose(clip(body)),
            }
        }
    }

    fn meta(&mut self, body: Node<'_>) {
        let key = body.text("key").unwrap_or_default();
        if !matches!(key, "iif" | "oif" | "iifname" | "oifname") {
            self.put("meta ");
        }
        self.put(key);
    }

    /// `ct original saddr`, `socket transparent`, `ipsec in reqid`.
    fn keyed(&mut self, kind: &str, body: Node<'_>) {
        self.put(kind);
        for part in [body.text("dir"), body.text("ttl").filter(|_| kind == "osf")].into_iter().flatten() {
            if kind == "osf" {
                self.then("ttl");
            }
            self.then(part);
        }
        self.option("spnum", body, "spnum");
        for part in [body.text("family"), body.text("key")].into_iter().flatten() {
            self.then(part);
        }
        if let Some(level) = body.get("level") {
            self.then("level ");
            self.expression(level);
        }
    }

    fn header(&mut self, kind: &str, body: Node<'_>) {
        if self.load && body.get("base").is_some() {
            return self.lose(clip(body));
        }
        let name = body.text("name").unwrap_or_default();
        if kind != "exthdr" || !self.load {
            self.put(kind);
            self.put(" ");
        }
        match (kind, body.get("type")) {
            ("dccp option", Some(number)) => self.expression(number),
            _ => self.put(name),
        }
        if let Some(field) = body.text("field") {
            self.then(field);
        }
        if let Some(offset) = body.get("offset").filter(|_| kind == "exthdr") {
            self.put(&format!("[{offset}]"));
        }
    }

    fn fib(&mut self, body: Node<'_>) {
        self.put("fib ");
        match body.get("flags") {
            Some(flags) if flags.as_str().is_some() => self.put(flags.as_str().unwrap_or_default()),
            flags => {
                let words = flags.and_then(Node::items).into_iter().flatten().filter_map(Node::as_str);
                let between = if self.load { " . " } else { "," };
                self.put(&words.collect::<Vec<_>>().join(between));
            }
        }
        self.then(body.text("result").unwrap_or_default());
    }

    fn numgen(&mut self, body: Node<'_>) {
        self.put("numgen ");
        self.put(body.text("mode").unwrap_or_default());
        self.modulus(body);
    }

    fn modulus(&mut self, body: Node<'_>) {
        self.option("mod", body, "mod");
        self.option("seed", body, "seed");
        if body.get("offset").and_then(Node::as_u64) != Some(0) {
            self.option("offset", body, "offset");
        }
    }

    fn hash(&mut self, kind: &str, body: Node<'_>) {
        self.put(kind);
        if let Some(of) = body.get("expr") {
            self.put(" ");
            self.expression(of);
        }
        self.modulus(body);
    }

    /// `KEY map { … }`, `KEY vmap @m`.
    pub(super) fn looked_up(&mut self, word: &str, body: Node<'_>) {
        let (key, data) = (body.get("key").unwrap_or(Node::NULL), body.get("data").unwrap_or(Node::NULL));
        // A key that is shifted has no type of the map's to nft, whose own listing of it does not load either.
        let shifted = key.single().is_some_and(|(kind, _)| matches!(kind, "<<" | ">>"));
        if self.load && shifted && data.as_str().is_some() {
            self.lose(clip(key));
        }
        self.expression(key);
        self.then(word);
        self.put(" ");
        self.expression(data);
    }

    /// The elements of a set or map in braces.
    pub(in super::super) fn set(&mut self, body: Node<'_>) {
        self.put("{ ");
        match body.items() {
            Some(items) => self.list(items, ", ", Self::member),
            None => self.expression(body),
        }
        self.put(" }");
    }

    /// An element of a set, or a pair of a map.
    fn member(&mut self, value: Node<'_>) {
        match value.items().map(|items| items.clone().count()) {
            Some(2) => {
                self.expression(value.item(0).unwrap_or(Node::NULL));
                self.put(" : ");
                self.expression(value.item(1).unwrap_or(Node::NULL));
            }
            Some(_) => self.lose(clip(value)),
            None => self.expression(value),
        }
    }

    /// An element with what it carries: counters and rates first, then its time and comment.
    fn element(&mut self, body: Node<'_>) {
        self.expression(body.get("val").unwrap_or(Node::NULL));
        if !self.load {
            return;
        }
        for (key, value) in body.entries() {
            match key {
                "val" | "timeout" | "expires" | "comment" => {}
                "counter" | "limit" | "quota" | "ct count" => {
                    self.put(" ");
                    self.statement(key, value);
                    if key != "counter" {
                        self.lost.push(format!("what an element has beside its {key}, which the listing does not say"));
                    }
                }
                other => self.lose(format!(" {other} {}", clip(value))),
            }
        }
        for key in ["timeout", "expires"] {
            if let Some(seconds) = body.get(key).and_then(Node::as_u64).filter(|seconds| *seconds > 0) {
                self.put(&format!(" {key} {seconds}s"));
            }
        }
        if let Some(comment) = body.text("comment") {
            self.put(" comment ");
            self.quote(comment);
        }
    }
}
