//! One rule: its statements in order, as conditions, alterations and an outcome.

use super::field::implied;
use super::node::{Items, Node};
use super::value::Sets;
use super::{condition, translation, words};
use crate::packet::{Bits, Narrow, Wide};
use crate::rule::Translation;
use crate::rule::ruleset::{Alteration, Condition, Line, Outcome, TableFamily, Unread, Verdict};

/// Reads the body of a `rule` object.
pub(super) fn read(body: Node<'_>, family: TableFamily, sets: &Sets<'_>) -> Line {
    let statements = body.get("expr").and_then(Node::items);
    let mut line = Line {
        handle: body.get("handle").and_then(Node::as_u64),
        comment: body.text("comment").map(str::to_owned),
        text: statements.clone().map(words::rule).unwrap_or_default(),
        conditions: Vec::with_capacity(6),
        alters: Vec::new(),
        outcome: Outcome::Next,
    };
    let mut asked = None;
    for statement in statements.clone().into_iter().flatten() {
        let place = Place { family, sets };
        place.take(&mut line, statement);
        if line.alters.last().is_some_and(marks) {
            asked.get_or_insert(line.conditions.len());
        }
    }
    if asked.is_some_and(|asked| asked < line.conditions.len()) {
        line.alters.iter_mut().filter(|a| marks(a)).for_each(|a| *a = Alteration::EarlyMark);
    }
    if statements.is_some_and(merged) {
        line.conditions.retain(|c| !matches!(c, Condition::Wide(Wide::SourcePort | Wide::DestinationPort, _)));
        line.conditions.retain(|c| !matches!(c, Condition::Narrow(Narrow::IcmpType | Narrow::IcmpCode, _)));
        let text = format!("{}: either of two, or both", line.text);
        line.conditions.push(Condition::Unread(Unread { field: Some(text.clone()), text }));
    }
    line
}

/// Whether it sets the mark of the packet, to whatever.
fn marks(change: &Alteration) -> bool {
    matches!(change, Alteration::Mark(_) | Alteration::MarkBits { .. })
        || *change == Alteration::Field("meta mark".to_owned())
}

/// What can be rejected in this way; nft leaves the test for it out of its listing.
fn rejected(body: Node<'_>) -> Option<Condition> {
    let (field, value) = match body.text("type")? {
        "icmp" => (Narrow::Family, 0),
        "icmpv6" => (Narrow::Family, 1),
        "tcp reset" => (Narrow::Protocol, 6),
        _ => return None,
    };
    Some(Condition::Narrow(field, Bits::single(value)))
}

/// nft 1.0.6 loads `tcp sport != 1 tcp dport != 2` as one comparison of both fields, which holds where either differs; later ones do
/// not, and the listing is the same.
fn merged(statements: Items<'_>) -> bool {
    let unequal = |statement: Node<'_>| Some(statement.single()?.1.text("op")? == "!=");
    if statements.clone().filter(|statement| unequal(*statement) == Some(true)).count() < 2 {
        return false;
    }
    [["sport", "dport"], ["type", "code"]].into_iter().any(|fields| {
        let mut found: Vec<_> = statements.clone().filter_map(|statement| differs(statement, fields)).collect();
        found.dedup();
        found.len() > 1
    })
}

/// The protocol and field that a statement asks to be another than one value, where the field is one of two.
fn differs<'t>(statement: Node<'t>, fields: [&str; 2]) -> Option<(Option<&'t str>, &'t str)> {
    let body = statement.single().filter(|(kind, _)| *kind == "match")?.1;
    let ((kind, left), right) = (body.get("left")?.single()?, body.get("right")?);
    let plain = body.text("op")? == "!=" && kind == "payload" && !right.is_object();
    let named = !right.as_str().is_some_and(|text| text.starts_with('@'));
    let field = left.text("field")?;
    (plain && named && fields.contains(&field)).then(|| (left.text("protocol"), field))
}

struct Place<'a> {
    family: TableFamily,
    sets: &'a Sets<'a>,
}

impl Place<'_> {
    fn take(&self, line: &mut Line, statement: Node<'_>) {
        let Some((kind, body)) = statement.single() else {
            match words::update(statement) {
                Some(text) => line.conditions.push(Condition::Chance(text.to_owned())),
                None => unknown(line, statement),
            }
            return;
        };
        match kind {
            "match" => line.conditions.extend(condition::read(body, self.family, self.sets)),
            "reject" => {
                line.conditions.extend(rejected(body));
                line.outcome = Outcome::Verdict(Verdict::Reject);
            }
            "vmap" => self.vmap(line, body),
            "dnat" | "snat" | "masquerade" | "redirect" => {
                let (asked, outcome) = translation::read(kind, body, self.family, self.sets);
                line.conditions.extend(asked);
                line.outcome = outcome;
            }
            "mangle" => mangle(line, body),
            "notrack" => line.alters.push(Alteration::Untracked),
            // An object that is looked up in a map and is not there ends the rule (nft_objref_map_eval).
            "counter" | "ct helper" | "ct timeout" | "secmark" if body.get("map").is_some() => {
                line.conditions.push(Condition::Chance(words::statement(kind, body)));
            }
            "counter" | "log" | "last" => {}
            "dup" | "flow" | "ct helper" | "ct timeout" | "secmark" => {
                line.alters.push(Alteration::Effect(words::statement(kind, body)));
            }
            "limit" | "quota" | "ct count" => line.conditions.push(Condition::Chance(words::statement(kind, body))),
            // A connection that is there already ends the rule (nft_ct_expect_obj_eval). What is expected opens the way to others.
            "ct expectation" => {
                let text = words::statement(kind, body);
                line.conditions.push(Condition::Chance(text.clone()));
                line.alters.push(Alteration::Effect(text));
            }
            // A set that is full, or an element that is not there, ends the rule (nft_dynset_eval).
            "set" | "map" | "meter" => {
                let text = words::statement(kind, body);
                line.conditions.push(Condition::Chance(text.clone()));
                line.alters.push(Alteration::Effect(text));
            }
            // Where no socket takes the packet the rule ends (nft_tproxy_eval).
            "tproxy" => {
                line.conditions.push(Condition::Chance(words::statement(kind, body)));
                line.alters.push(Alteration::Field(words::statement(kind, body)));
            }
            "reset" => line.alters.push(Alteration::Field(words::statement(kind, body))),
            "queue" | "fwd" | "synproxy" => line.outcome = Outcome::Unread(words::statement(kind, body)),
            "xt" => extension(line, body),
            _ => match verdict(kind, body) {
                Some(verdict) => line.outcome = Outcome::Verdict(verdict),
                None => unknown(line, statement),
            },
        }
    }

    fn vmap(&self, line: &mut Line, body: Node<'_>) {
        let (Some(key), Some(data)) = (body.get("key"), body.get("data")) else {
            unknown(line, body);
            return;
        };
        let read = || {
            let (implied, pairs) = condition::key(key, data, self.family, self.sets)?;
            let verdicts = pairs
                .into_iter()
                .map(|(cell, to)| to.single().and_then(|(kind, body)| Some((cell, verdict(kind, body)?))))
                .collect::<Option<Vec<_>>>()?;
            (!self.sets.changes(data)).then_some((implied, verdicts))
        };
        match read() {
            Some((implied, verdicts)) => {
                line.conditions.extend(implied);
                line.outcome = Outcome::ByKey(condition::few(verdicts));
            }
            None => line.outcome = Outcome::Unread(words::statement("vmap", body)),
        }
    }
}

/// The verdict that a statement is.
pub(super) fn verdict(kind: &str, body: Node<'_>) -> Option<Verdict> {
    let target = || body.text("target").map(str::to_owned);
    Some(match kind {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "reject" => Verdict::Reject,
        "return" => Verdict::Return,
        "continue" => Verdict::Continue,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        _ => return None,
    })
}

fn mangle(line: &mut Line, body: Node<'_>) {
    let name = body.get("key").map(words::expression).unwrap_or_default();
    let number = body.get("value").and_then(Node::as_u64).and_then(|n| u32::try_from(n).ok());
    if let Some(change) = mark_bits(body).filter(|_| name == "meta mark") {
        line.alters.push(change);
        return;
    }
    let plain = body.get("value").is_some_and(Node::is_plain);
    // Only what has such a header can be changed there; of what is no header, the rule goes on (nft_ct_set_eval).
    let header = body.get("key").filter(|key| key.single().is_some_and(|(kind, _)| !matches!(kind, "meta" | "ct")));
    line.conditions.extend(header.map(implied).unwrap_or_default());
    if header.is_some_and(is_transport) {
        line.conditions.push(super::field::header());
    }
    if !plain {
        // A lookup that finds nothing ends the rule.
        line.conditions.push(Condition::Chance(words::statement("mangle", body)));
    }
    line.alters.push(match number.filter(|_| name == "meta mark") {
        Some(mark) => Alteration::Mark(mark),
        None => Alteration::Field(name),
    });
}

/// What `meta mark set meta mark | N` or `& N` does.
fn mark_bits(body: Node<'_>) -> Option<Alteration> {
    let (op, sides) = body.get("value")?.single()?;
    let own = sides.item(0)?.single().filter(|(kind, meta)| *kind == "meta" && meta.text("key") == Some("mark"));
    let number = sides.item(1).filter(|_| own.is_some() && sides.item(2).is_none())?.as_u64()?;
    let number = u32::try_from(number).ok()?;
    match op {
        "|" => Some(Alteration::MarkBits { kept: u32::MAX, set: number }),
        "&" => Some(Alteration::MarkBits { kept: number, set: 0 }),
        _ => None,
    }
}

/// Whether an expression is a field of a transport header.
fn is_transport(key: Node<'_>) -> bool {
    key.single().is_some_and(|(kind, body)| {
        kind == "payload" && !matches!(body.text("protocol"), None | Some("ip" | "ip6" | "ether" | "vlan" | "arp"))
    })
}

/// A match or target of iptables-nft, of which the listing shows the name alone.
fn extension(line: &mut Line, body: Node<'_>) {
    let word = |key: &str| body.text(key).unwrap_or("");
    let text = words::statement("xt", body);
    match (word("type"), word("name")) {
        ("match", "comment") => {}
        ("match" | "", name) if !name.is_empty() || word("type") == "match" => {
            line.conditions.push(Condition::Unread(Unread { text, field: None }));
        }
        ("target", "LOG" | "NFLOG" | "ULOG" | "TRACE" | "AUDIT" | "LED" | "TEE" | "CHECKSUM" | "RATEEST") => {}
        ("target", "MARK" | "CONNMARK") => line.alters.push(Alteration::Field("meta mark".to_owned())),
        ("target", "CT") => line.alters.push(Alteration::Untracked),
        (
            "target",
            "CLASSIFY" | "DSCP" | "TOS" | "TTL" | "HL" | "TCPMSS" | "TCPOPTSTRIP" | "SET" | "SECMARK" | "ECN",
        ) => {
            line.alters.push(Alteration::Field(text));
        }
        ("target", "REJECT") => line.outcome = Outcome::Verdict(Verdict::Reject),
        ("target", "SNAT" | "MASQUERADE") => {
            line.outcome = Outcome::Verdict(Verdict::Translate(Translation::of_source(text)));
        }
        ("target", "DNAT" | "REDIRECT" | "NETMAP") => {
            line.outcome = Outcome::Verdict(Verdict::Translate(Translation::open(text)));
        }
        ("target", _) => line.outcome = Outcome::Unread(text),
        // Older listings do not even say which of the two it is.
        _ => {
            line.conditions.push(Condition::Unread(Unread { text: text.clone(), field: None }));
            line.outcome = Outcome::Unread(text);
        }
    }
}

/// A statement that nobody knows may be a condition and may end the way of the packet.
fn unknown(line: &mut Line, statement: Node<'_>) {
    let text = words::clip(statement);
    line.conditions.push(Condition::Unread(Unread { text: text.clone(), field: None }));
    line.outcome = Outcome::Unread(text);
}
