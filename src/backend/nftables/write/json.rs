//! nft's JSON (libnftables-json(5)) of the same transactions, made with the `nftables` crate's types where those say it right.
//!
//! Where they cannot, the value is written out here: a set statement with a rate, a reference to a named limit, a set whose
//! flags come in one order, an element with a timeout, the key type of switches. nft 1.0.6 knows no `dynamic` flag and no
//! `typeof` in JSON: it gives a set the flag from the rule that fills it, so this loads on an empty host only; text loads anywhere.

use super::text::{TABLE, interface_text, protocol_word};
use crate::backend::nftables::native::{
    Command, Element, Hook, Key, Rate, Right, Script, Set, SetKind, Statement, Target,
};
use crate::rule::{LogLevel, RejectWith};
use nftables::expr::{self, BinaryOperation, CT, Expression, Meta, NamedExpression, Payload, PayloadField, SetItem};
use nftables::schema::{Chain, NfListObject, Table};
use nftables::stmt::{
    self, AnonymousCounter, Counter, JumpTarget, Match, NAT, NATFamily, Operator, Reject, RejectType,
};
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook, RejectCode};
use serde::Serialize;
use serde_json::{Value, json};
use std::net::IpAddr;

impl Script {
    /// The transaction as nft's JSON; nothing where a command of it has no form there (windows are text only).
    pub fn json(&self) -> Option<Value> {
        let commands: Option<Vec<Value>> = self.commands.iter().map(command).collect();
        Some(json!({ "nftables": commands? }))
    }
}

fn plain(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("string keys and finite numbers are JSON")
}

fn command(command: &Command) -> Option<Value> {
    let add = |object: Value| json!({ "add": object });
    Some(match command {
        Command::Table => {
            add(plain(NfListObject::Table(Table { family: NfFamily::INet, name: TABLE.into(), handle: None })))
        }
        Command::Base(hook) => add(plain(NfListObject::Chain(base(*hook)))),
        Command::Chain(name) => add(plain(NfListObject::Chain(chain(name)))),
        Command::FlushChain(name) => json!({ "flush": plain(NfListObject::Chain(chain(name))) }),
        Command::Set(set) => add(json!({ "set": declared(set)? })),
        Command::Limit(name, rate) => add(json!({ "limit": limit(name, rate) })),
        Command::Rule { chain, statements, comment } => {
            let steps: Option<Vec<Value>> = statements.iter().map(statement).collect();
            add(
                json!({ "rule": { "family": "inet", "table": TABLE, "chain": chain, "expr": steps?, "comment": comment } }),
            )
        }
        Command::Add { set, elements } => {
            let elements: Vec<Value> = elements.iter().map(element).collect();
            add(json!({ "element": { "family": "inet", "table": TABLE, "name": set, "elem": elements } }))
        }
        _ => return None,
    })
}

fn chain(name: &str) -> Chain<'static> {
    let mut chain = Chain { family: NfFamily::INet, table: TABLE.into(), ..Chain::default() };
    chain.name = name.to_owned().into();
    chain
}

fn base(hook: Hook) -> Chain<'static> {
    let (kind, at, priority) = hook.place();
    let mut chain = chain(hook.name());
    chain._type = Some(if kind == "nat" { NfChainType::NAT } else { NfChainType::Filter });
    chain.hook = Some(match at {
        "prerouting" => NfHook::Prerouting,
        "postrouting" => NfHook::Postrouting,
        "output" => NfHook::Output,
        "forward" => NfHook::Forward,
        _ => NfHook::Input,
    });
    chain.prio = Some(priority);
    chain.policy = Some(NfChainPolicy::Accept);
    chain
}

fn declared(set: &Set) -> Option<Value> {
    let kind = match set.kind {
        SetKind::Ipv4 => json!("ipv4_addr"),
        SetKind::Ipv6 => json!("ipv6_addr"),
        SetKind::Service => json!("inet_service"),
        SetKind::Ipv4Port => json!(["ipv4_addr", "inet_proto", "inet_service"]),
        SetKind::Ipv6Port => json!(["ipv6_addr", "inet_proto", "inet_service"]),
        SetKind::NfProto => json!("nf_proto"),
        SetKind::CtId => return None,
    };
    let mut body = json!({ "family": "inet", "table": TABLE, "name": set.name, "type": kind });
    let flags: Vec<&str> = [(set.interval, "interval"), (set.timeout, "timeout")]
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, word)| *word)
        .collect();
    if !flags.is_empty() {
        body["flags"] = json!(flags);
    }
    if let Some(seconds) = set.dynamic {
        body["timeout"] = json!(seconds);
    }
    if let Some(size) = set.size {
        body["size"] = json!(size);
    }
    Some(body)
}

fn limit(name: &str, rate: &Rate) -> Value {
    let mut body = rated(rate);
    for (field, value) in [("family", "inet"), ("table", TABLE), ("name", name)] {
        body[field] = json!(value);
    }
    body
}

fn rated(rate: &Rate) -> Value {
    plain(stmt::Limit {
        rate: rate.count,
        rate_unit: None,
        per: Some(rate.per.to_string().into()),
        burst: Some(rate.burst),
        burst_unit: None,
        inv: rate.over.then_some(true),
    })
}

fn element(element: &Element) -> Value {
    let value = plain(value(&element.value));
    match element.seconds {
        Some(seconds) => json!({ "elem": { "val": value, "timeout": seconds } }),
        None => value,
    }
}

fn text(words: impl ToString) -> Expression<'static> {
    Expression::String(words.to_string().into())
}

fn value(value: &crate::backend::nftables::Value) -> Expression<'static> {
    use crate::backend::nftables::Value as V;
    match value {
        V::Number(number) | V::Bits(number) => Expression::Number(*number),
        V::Word(word) => text(word),
        V::Protocol(protocol) => match protocol_word(*protocol) {
            Some(word) => text(word),
            None => Expression::Number(u32::from(protocol.0)),
        },
        V::Interface(name) => text(interface_text(name)),
        V::Address(address) => text(address),
        V::Net(net) => prefix(net.network(), net.prefix_len()),
        V::Mac(mac) => text(mac),
        V::Range(first, last) => {
            Expression::Range(Box::new(expr::Range { range: [self::value(first), self::value(last)] }))
        }
        V::Tuple(parts) => Expression::Named(NamedExpression::Concat(parts.iter().map(self::value).collect())),
        V::Flags(flags) => bits(flags),
    }
}

/// Flags that are on together, two by two: nft 1.0.6 takes no longer list.
fn bits(flags: &[&'static str]) -> Expression<'static> {
    let join = |a, b| Expression::BinaryOperation(Box::new(BinaryOperation::OR(vec![a, b])));
    flags.iter().map(text).reduce(join).unwrap_or(Expression::Number(0))
}

fn prefix(address: IpAddr, length: u8) -> Expression<'static> {
    Expression::Named(NamedExpression::Prefix(expr::Prefix { addr: Box::new(text(address)), len: u32::from(length) }))
}

fn key(of: &Key) -> Expression<'static> {
    match of {
        Key::Meta(key) => Expression::Named(NamedExpression::Meta(Meta { key: *key })),
        Key::Ct(key) => Expression::Named(NamedExpression::CT(CT { key: (*key).into(), family: None, dir: None })),
        Key::Payload(protocol, field) => {
            Expression::Named(NamedExpression::Payload(Payload::PayloadField(PayloadField {
                protocol: (*protocol).into(),
                field: (*field).into(),
            })))
        }
        Key::Masked(inner, mask) => {
            Expression::BinaryOperation(Box::new(BinaryOperation::AND(key(inner), value(mask))))
        }
        Key::Concat(keys) => Expression::Named(NamedExpression::Concat(keys.iter().map(key).collect())),
    }
}

fn right(of: &Right) -> Expression<'static> {
    match of {
        Right::One(one) => value(one),
        Right::Any(values) => {
            Expression::Named(NamedExpression::Set(values.iter().map(|v| SetItem::Element(value(v))).collect()))
        }
        Right::Set(name) => text(format!("@{name}")),
    }
}

fn matched(of: &Key, negated: bool, with: &Right) -> stmt::Statement<'static> {
    let op = match (of, with) {
        _ if negated => Operator::NEQ,
        // A state alone is a test of its bit, as in text; `==` would ask for no other bit.
        (Key::Ct("state"), Right::One(_)) => Operator::IN,
        _ => Operator::EQ,
    };
    stmt::Statement::Match(Match { left: key(of), right: right(with), op })
}

fn target(to: &Target) -> Option<NAT<'static>> {
    let family = to.address.as_ref().map(|_| if to.ipv6 { NATFamily::IP6 } else { NATFamily::IP });
    let (addr, port) = (to.address.as_ref().map(value), to.port.as_ref().map(value));
    Some(NAT { addr, family, port, flags: None })
}

fn reject(with: RejectWith) -> Reject {
    let icmpx = |code| Reject::new(Some(RejectType::ICMPX), Some(code));
    let icmp = |code| Reject::new(Some(RejectType::ICMP), Some(code));
    match with {
        RejectWith::TcpReset => Reject::new(Some(RejectType::TCPReset), None),
        RejectWith::PortUnreachable => icmpx(RejectCode::PortUnreach),
        RejectWith::HostUnreachable => icmpx(RejectCode::HostUnreach),
        RejectWith::NetUnreachable => icmpx(RejectCode::NoRoute),
        RejectWith::AdminProhibited => icmpx(RejectCode::AdminProhibited),
        RejectWith::HostProhibited => icmp(RejectCode::HostProhibited),
        RejectWith::NetProhibited => icmp(RejectCode::NetProhibited),
        RejectWith::ProtoUnreachable => icmp(RejectCode::ProtUnreach),
    }
}

fn level(level: LogLevel) -> stmt::LogLevel {
    match level {
        LogLevel::Emerg => stmt::LogLevel::Emerg,
        LogLevel::Alert => stmt::LogLevel::Alert,
        LogLevel::Crit => stmt::LogLevel::Crit,
        LogLevel::Err => stmt::LogLevel::Err,
        LogLevel::Warn => stmt::LogLevel::Warn,
        LogLevel::Notice => stmt::LogLevel::Notice,
        LogLevel::Info => stmt::LogLevel::Info,
        LogLevel::Debug => stmt::LogLevel::Debug,
    }
}

/// Whether nft's JSON can say it: a string that begins with `@` is the name of a set there, whatever an interface is called.
fn sayable(right: &Right) -> bool {
    let plain = |value: &crate::backend::nftables::Value| !matches!(value, crate::backend::nftables::Value::Interface(name) if name.stem().starts_with('@'));
    match right {
        Right::One(one) => plain(one),
        Right::Any(values) => values.iter().all(plain),
        Right::Set(_) => true,
    }
}

fn update(set: &str, of: &Key, rate: Option<&Rate>) -> Value {
    let mut body = json!({ "op": "update", "elem": plain(key(of)), "set": format!("@{set}") });
    if let Some(rate) = rate {
        body["stmt"] = json!([{ "limit": rated(rate) }]);
    }
    json!({ "set": body })
}

fn statement(of: &Statement) -> Option<Value> {
    use stmt::Statement as S;
    Some(plain(match of {
        Statement::Match { right, .. } if !sayable(right) => return None,
        Statement::Match { key, negated, right } => matched(key, *negated, right),
        Statement::When(clock, with) => {
            let left = json!({ "meta": { "key": clock.word() } });
            return Some(json!({ "match": { "op": "==", "left": left, "right": plain(right(with)) } }));
        }
        Statement::Limit(name) => return Some(json!({ "limit": name })),
        Statement::Update { set, key, rate } => return Some(update(set, key, rate.as_ref())),
        Statement::MarkBit { bit, set } => {
            let mark = json!({ "meta": { "key": "mark" } });
            let value = if *set { json!({ "|": [mark, bit] }) } else { json!({ "&": [mark, !bit] }) };
            return Some(json!({ "mangle": { "key": mark, "value": value } }));
        }
        Statement::Record { .. } => return None,
        Statement::Counter => S::Counter(Counter::Anonymous(Some(AnonymousCounter::default()))),
        Statement::Log { prefix, level: at } => {
            let mut log = stmt::Log::new(None);
            log.prefix = prefix.as_ref().map(|p| p.as_str().to_owned().into());
            log.level = at.map(level);
            S::Log(Some(log))
        }
        Statement::Accept => S::Accept(None),
        Statement::Drop => S::Drop(None),
        Statement::Return => S::Return(None),
        Statement::Goto(chain) => S::Goto(JumpTarget { target: chain.clone().into() }),
        Statement::Reject(with) => S::Reject(Some(reject(*with))),
        Statement::Dnat(to) => S::DNAT(target(to)),
        Statement::Snat(to) => S::SNAT(target(to)),
        Statement::Masquerade(to) => S::Masquerade(target(to)),
        Statement::Redirect(to) => S::Redirect(target(to)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_never_taken_for_a_set() {
        let json = |name: &str| {
            let fields =
                json!({"id": "r", "action": "drop", "direction": "input", "interface_in": [name], "protocol": ["tcp"]});
            let rule: crate::rule::Rule = serde_json::from_value(fields).expect("a rule");
            let policy = crate::backend::nftables::Policy::of(&[rule]).expect("a policy");
            crate::backend::nftables::whole(&policy, &[]).json()
        };
        assert!(json("eth0").is_some() && json("@block4").is_none());
    }
}
