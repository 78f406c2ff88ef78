//! Generated values of every type on the wire, for property tests.
//!
//! Texts are arbitrary Unicode; typed values are whatever their types can hold. JSON values hold no `null`, which on the wire
//! means absent.

use afo::packet::{AddressSpec, IcmpType, InterfacePattern, MacAddress, PortRange, Protocol};
use afo::record::*;
use afo::rule::*;
use ipnet::IpNet;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::num::NonZeroU32;

/// A few of `item`.
fn few<S: Strategy>(item: S) -> impl Strategy<Value = Vec<S::Value>> {
    vec(item, 0..3)
}

/// One of the values of an enum.
fn word<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    select(all)
}

pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", "[a-z ]{0,20}", any::<String>()]
}

pub fn id() -> impl Strategy<Value = Id> {
    "[A-Za-z0-9._:-]{1,64}".prop_map(|text| text.parse().expect("an id by its pattern"))
}

pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-1_000_000_000i64..9_000_000_000, 0..1_000_000_000)
        .prop_map(|(second, nano)| Timestamp::new(second, nano).expect("a time between 1938 and 2255"))
}

pub fn ip() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|ip| ip.to_canonical())
}

fn net() -> impl Strategy<Value = IpNet> {
    (ip(), 0u8..=128).prop_map(|(ip, length)| {
        let length = length.min(if ip.is_ipv4() { 32 } else { 128 });
        IpNet::new(ip, length).expect("a length within the family's")
    })
}

/// Networks, single addresses and ranges. IPv4 in IPv6 clothes is no packet's address, so no end may be one.
pub fn address() -> impl Strategy<Value = AddressSpec> {
    let clothed = |ip: IpAddr| matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    let single = ip().prop_map(AddressSpec::single);
    let network = net().prop_map(AddressSpec::from);
    let range = (ip(), ip())
        .prop_map(|(a, b)| AddressSpec::range(a.min(b), a.max(b)).unwrap_or_else(|_| AddressSpec::single(a)));
    prop_oneof![single, network, range]
        .prop_filter("an IPv4 address in IPv6 clothes", move |spec| !clothed(spec.first()) && !clothed(spec.last()))
}

pub fn ports() -> impl Strategy<Value = PortRange> {
    (any::<u16>(), any::<u16>()).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).expect("in order"))
}

pub fn protocol() -> impl Strategy<Value = Protocol> {
    any::<u8>().prop_map(Protocol)
}

pub fn mac() -> impl Strategy<Value = MacAddress> {
    any::<[u8; 6]>().prop_map(MacAddress)
}

fn icmp_type() -> impl Strategy<Value = IcmpType> {
    (any::<u8>(), any::<Option<u8>>()).prop_map(|(kind, code)| IcmpType { kind, code })
}

/// Whatever the type takes of printable texts, not only what looks like a name.
pub fn interface() -> impl Strategy<Value = InterfacePattern> {
    let plain = "[a-z]{1,8}[0-9.]{0,3}[*]?".prop_map(|text| text.parse::<InterfacePattern>());
    let odd = "[!-~]{1,15}".prop_map(|text| text.parse::<InterfacePattern>());
    prop_oneof![plain, odd].prop_filter_map("no interface name", Result::ok)
}

/// A list of a rule: empty, positive or negated.
fn one_of<S: Strategy>(item: S) -> impl Strategy<Value = OneOf<S::Value>>
where
    S::Value: Clone,
{
    (vec(item, 0..3), any::<bool>())
        .prop_map(|(items, negated)| if negated { OneOf::none_of(items) } else { OneOf::of(items) })
}

/// JSON without `null`.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000i32..1000).prop_map(|n| Value::from(f64::from(n) / 8.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(text(), inner, 0..3).prop_map(|m| { Value::Object(m.into_iter().collect()) })
        ]
    })
}

fn json_map() -> impl Strategy<Value = Map<String, Value>> {
    btree_map(text(), json(), 0..3).prop_map(|map| map.into_iter().collect())
}

fn rate_limit() -> impl Strategy<Value = RateLimit> {
    let per = select(vec![Per::Second, Per::Minute, Per::Hour, Per::Day]);
    let scope = select(vec![Scope::Total, Scope::Source]);
    let over = select(vec![Over::Drop, Over::Reject]);
    (prop_oneof![3 => 1u32..1_000_000, 1 => 1u32..], per, of(any::<u32>()), scope, over).prop_map(
        |(count, per, burst, scope, over)| RateLimit {
            count: NonZeroU32::new(count).expect("at least 1"),
            per,
            burst,
            scope,
            over,
        },
    )
}

fn log() -> impl Strategy<Value = Log> {
    let prefix = "[A-Za-z0-9 :/=_-]{1,64}".prop_map(|text| text.parse().expect("a log prefix by its pattern"));
    (of(prefix), of(word(LogLevel::ALL))).prop_map(|(prefix, level)| Log { prefix, level })
}

fn mark() -> impl Strategy<Value = Mark> {
    (any::<u32>(), prop_oneof![Just(u32::MAX), any::<u32>()])
        .prop_map(|(value, mask)| Mark { value: value & mask, mask })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    use Weekday::*;
    let days = vec(select(vec![Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday]), 0..3);
    let time = || (0u16..24, 0u16..60).prop_map(|(h, m)| ClockTime::new(h, m).expect("a time of day"));
    (days, of(time()), of(time()), of(text())).prop_map(|(days, from, to, zone)| Schedule { days, from, to, zone })
}

fn position() -> impl Strategy<Value = Position> {
    prop_oneof![
        Just(Position::Auto),
        Just(Position::First),
        Just(Position::Last),
        id().prop_map(Position::Before),
        id().prop_map(Position::After),
    ]
}

fn tcp_flags() -> impl Strategy<Value = TcpFlags> {
    (few(word(TcpFlag::ALL)), few(word(TcpFlag::ALL))).prop_map(|(mask, set)| TcpFlags { mask, set })
}

fn nat() -> impl Strategy<Value = Nat> {
    (of(address()), of(ports())).prop_map(|(address, port)| Nat { address, port })
}

prop_compose! {
    /// What a packet must have on the way and at its ends.
    fn ends()(
        id in id(), action in word(Action::ALL), direction in word(Direction::ALL), family in word(FamilyMatch::ALL),
        interface_in in one_of(interface()), interface_out in one_of(interface()),
        source_address in one_of(address()), destination_address in one_of(address()),
        protocol in one_of(protocol()), source_port in one_of(ports()), destination_port in one_of(ports()),
    ) -> Rule {
        Rule {
            family, interface_in, interface_out, source_address, destination_address, protocol, source_port, destination_port,
            ..Rule::new(id, action, direction)
        }
    }
}

prop_compose! {
    fn inner()(
        rule in ends().boxed(), icmp_type in one_of(icmp_type()), connection_state in one_of(word(ConnectionState::ALL)),
        tcp_flags in of(tcp_flags()), source_mac in one_of(mac()), vlan in one_of(0u16..4096), mark in of(mark()),
        rate_limit in of(rate_limit()), log in of(log()), reject_with in of(word(RejectWith::ALL)), nat in of(nat()),
    ) -> Rule {
        Rule { icmp_type, connection_state, tcp_flags, source_mac, vlan, mark, rate_limit, log, reject_with, nat, ..rule }
    }
}

prop_compose! {
    /// Any rule, sensible or not.
    pub fn rule()(
        rule in inner().boxed(), ttl_seconds in of(any::<u64>()), schedule in of(schedule()), position in position(),
        comment in of(text()), priority in of(any::<i32>()), enabled in any::<bool>(), strict in any::<bool>(), extra in json_map(),
    ) -> Rule {
        Rule { ttl_seconds, schedule, position, comment, priority, enabled, strict, extra, ..rule }
    }
}

pub fn severity() -> impl Strategy<Value = Severity> {
    select(vec![Severity::Low, Severity::Medium, Severity::High, Severity::Critical])
}

prop_compose! {
    pub fn alert()(level in severity(), message in text(), assessment in of(id()), run in of(id())) -> Alert {
        Alert { level, message, assessment, run }
    }
}

prop_compose! {
    pub fn error()(
        stage in text(), line in of(any::<u64>()), message in text(), hint in of(text()), input in of(text()), run in of(id()),
    ) -> ErrorRecord {
        ErrorRecord { stage, line, message, hint, input, run }
    }
}

prop_compose! {
    pub fn request()(text in text(), run in of(id())) -> Request {
        Request { text, run }
    }
}

prop_compose! {
    fn choosable()(id in id(), text in text(), example in of(text())) -> Choosable {
        Choosable { id, text, example }
    }
}

prop_compose! {
    pub fn question()(
        id in id(), ts in of(timestamp()), run in of(id()), text in text(), options in few(choosable()), request in text(),
    ) -> Question {
        Question { id, ts, run, text, options, request }
    }
}

prop_compose! {
    pub fn choice()(question in id(), option in id()) -> Choice {
        Choice { question, option }
    }
}

prop_compose! {
    fn station()(place in place(), matched in any::<bool>(), does in of(text()), why in text()) -> Station {
        Station { place, matched, does, why }
    }
}

prop_compose! {
    fn outcome()(verdict in text(), by in of(place()), when in few(text())) -> Outcome {
        Outcome { verdict, by, when }
    }
}

prop_compose! {
    fn fate_class()(
        text in text(), verdict in text(), example in of(text()), by in of(place()), before in of(place()),
    ) -> FateClass {
        FateClass { text, verdict, example, by, before }
    }
}

prop_compose! {
    pub fn answer()(
        (text, evidence, request, run) in (text(), few(text()), of(text()), of(id())),
        (packet, verdict, by) in (of(text()), of(text()), of(place())),
        (path, outcomes, classes) in (few(station()), few(outcome()), few(fate_class())),
    ) -> Answer {
        Answer { text, evidence, request, run, packet, verdict, by, path, outcomes, classes }
    }
}

prop_compose! {
    pub fn event()(
        (id, ts, seen, source, event_type) in (id(), timestamp(), of(timestamp()), text(), text()), severity in severity(),
        (source_ip, destination_ip, source_port, port) in (of(ip()), of(ip()), of(any::<u16>()), of(any::<u16>())),
        protocol in of(protocol()), user in of(text()), count in of(any::<u64>()), attributes in json_map(),
        raw in of(text()), run in of(id()),
    ) -> Event {
        Event {
            id, ts, seen, source, event_type, severity, source_ip, destination_ip, source_port, port, protocol, user, count,
            attributes, raw, run,
        }
    }
}

prop_compose! {
    fn response()(
        action in select(vec![ResponseAction::Block, ResponseAction::Alert]), ttl_seconds in of(any::<u64>()),
        protocol in of(protocol()), ports in few(ports()),
    ) -> Response {
        Response { action, ttl_seconds, protocol, ports }
    }
}

prop_compose! {
    pub fn assessment()(
        (id, ts, run, threat, threat_level) in (id(), timestamp(), of(id()), text(), severity()),
        confidence in (0u32..=1000).prop_map(|n| f64::from(n) / 1000.0), subjects in few(address()),
        window in of((timestamp(), timestamp()).prop_map(|(from, to)| Window { from, to })),
        counts in btree_map(text(), any::<u64>(), 0..3), sources in few(text()), events in few(id()), evidence in few(text()),
        description in text(), response in of(response()), recommended_prompt in of(text()), auto_actionable in any::<bool>(),
    ) -> Assessment {
        Assessment {
            id, ts, run, threat, threat_level, confidence, subjects, window, counts, sources, events, evidence, description,
            response, recommended_prompt, auto_actionable,
        }
    }
}

prop_compose! {
    pub fn deployment()(
        (id, ts, run, proposals, backend) in (id(), of(timestamp()), of(id()), few(id()), text()),
        status in {
            use Status::*;
            select(vec![Pending, Applied, Confirmed, RolledBack, Failed, Refused])
        },
        (applied_at, confirm_by, confirmed_by) in (of(timestamp()), of(timestamp()), of(text())),
        backup in of(text()), error in of(text()),
        heartbeat in few((text(), any::<bool>(), of(text())).prop_map(|(check, ok, detail)| HeartbeatCheck { check, ok, detail })),
        rules in few(id()), blocks in few(text()),
    ) -> Deployment {
        Deployment {
            id, ts, run, proposals, backend, status, applied_at, confirm_by, confirmed_by, backup, error, heartbeat, rules, blocks,
        }
    }
}

prop_compose! {
    fn place()(
        backend in text(), family in of(text()), table in of(text()), chain in of(text()), index in of(0usize..1_000_000),
        handle in of(any::<u64>()), text in text(),
    ) -> Place {
        Place { backend, family, table, chain, index, handle, text }
    }
}

prop_compose! {
    pub fn finding()(
        kind in {
            use FindingType::*;
            select(vec![
                Shadow, Redundant, Contradiction, Unmatchable, Partial, Generalization, Correlation, Ineffective, Invariant, Unknown,
            ])
        },
        dead in any::<bool>(), rule in of(place()), by in few(place()),
        witness in of((text(), text(), of(text())).prop_map(|(packet, verdict, expected)| Witness { packet, verdict, expected })),
        explanation in text(), fix in of(text()), severity in severity(),
        together in any::<bool>(), count in of(0usize..10_000), left in few(text()),
    ) -> Finding {
        Finding { kind, dead, rule, by, witness, explanation, fix, severity, together, count, left }
    }
}

prop_compose! {
    fn network_interface()(
        (name, kind, mac) in (text(), of(text()), of(mac())), addresses in few(net()),
        state in select(vec![InterfaceState::Up, InterfaceState::Down, InterfaceState::Unknown]),
        mtu in of(any::<u32>()), vlan_id in of(any::<u16>()), parent in of(text()), rx_bytes in of(any::<u64>()),
        tx_bytes in of(any::<u64>()),
    ) -> Interface {
        Interface { name, kind, mac, addresses, state, mtu, vlan_id, parent, rx_bytes, tx_bytes }
    }
}

prop_compose! {
    fn backend()(
        name in text(), version in of(text()), active in any::<bool>(), capabilities in few(text()), program in of(text()),
        chosen in of(text()),
    ) -> Backend {
        Backend { name, version, active, capabilities, program, chosen }
    }
}

fn session() -> impl Strategy<Value = Session> {
    (ip(), of(ip()), protocol(), any::<u16>()).prop_map(|(source, destination, protocol, port)| Session {
        source,
        destination,
        protocol,
        port,
    })
}

fn listener() -> impl Strategy<Value = Listener> {
    (protocol(), ip(), any::<u16>(), of(text())).prop_map(|(protocol, address, port, process)| Listener {
        protocol,
        address,
        port,
        process,
    })
}

prop_compose! {
    pub fn context()(
        host in of((text(), text()).prop_map(|(hostname, kernel)| Host { hostname, kernel })),
        interfaces in few(network_interface()),
        routes in few((text(), of(ip()), of(text())).prop_map(|(destination, gateway, interface)| Route { destination, gateway, interface })),
        zones in btree_map(text(), few(text()), 0..3), hosts in btree_map(text(), few(address()), 0..3),
        services in btree_map(text(), few(text()), 0..3), listening in few(listener()), management in few(session()),
        resolvers in few(ip()), backends in few(backend()),
        ruleset in of((text(), json(), few(rule().boxed())).prop_map(|(backend, native, rules)| LiveRuleset { backend, native, rules })),
        (forwarding, missing, ts) in (of(any::<bool>()), few(text()), of(timestamp())),
    ) -> Context {
        Context {
            host, interfaces, routes, zones, hosts, services, listening, management, resolvers, backends, ruleset, forwarding,
            missing, ts,
        }
    }
}

pub use proposal::proposal;

mod proposal {
    use super::*;

    fn refusal() -> impl Strategy<Value = Refusal> {
        (text(), text(), of(text())).prop_map(|(code, message, hint)| Refusal { code, message, hint })
    }

    fn origin() -> impl Strategy<Value = Origin> {
        let by = select(vec![By::User, By::Daemon, By::Mcp, By::Tui, By::Web]);
        (by, of(text()), of(id())).prop_map(|(by, request, assessment)| Origin { by, request, assessment })
    }

    fn change() -> impl Strategy<Value = Change> {
        use ChangeOp::*;
        (select(vec![Remove, Replace, Disable, Enable, Policy]), text(), of(rule().boxed()))
            .prop_map(|(op, target, rule)| Change { op, target, rule })
    }

    fn assumption() -> impl Strategy<Value = Assumption> {
        (text(), text(), text()).prop_map(|(slot, value, why)| Assumption { slot, value, why })
    }

    fn rendered() -> impl Strategy<Value = Rendered> {
        let placement = (id(), text(), text()).prop_map(|(rule, place, why)| Placement { rule, place, why });
        (text(), text(), of(json()), few(placement)).prop_map(|(backend, native, json, placement)| Rendered {
            backend,
            native,
            json,
            placement,
        })
    }

    fn fault() -> impl Strategy<Value = ValidationError> {
        (text(), of(id()), of(text()), of(0usize..9999), of(0usize..9999))
            .prop_map(|(message, rule, field, line, column)| ValidationError { message, rule, field, line, column })
    }

    fn validation() -> impl Strategy<Value = Validation> {
        (any::<bool>(), few(fault()), few(fault()), few(text()))
            .prop_map(|(valid, errors, warnings, checked_by)| Validation { valid, errors, warnings, checked_by })
    }

    prop_compose! {
        fn conflict()(
            kind in {
                use ConflictType::*;
                select(vec![
                    Unmatchable, Contradiction, Shadow, Redundant, Ineffective, Generalization, Overlap, Partial, Unknown,
                ])
            },
            rule in of(id()), with in few(text()), explanation in text(), example in of(text()), dead in any::<bool>(),
        ) -> Conflict {
            Conflict { kind, rule, with, explanation, example, dead }
        }
    }

    fn conflicts() -> impl Strategy<Value = Conflicts> {
        (any::<bool>(), few(conflict())).prop_map(|(has_conflicts, items)| Conflicts { has_conflicts, items })
    }

    fn class() -> impl Strategy<Value = PacketClass> {
        (text(), of(text()), of(text()), of(text())).prop_map(|(text, example, before, after)| PacketClass {
            text,
            example,
            before,
            after,
        })
    }

    fn effect() -> impl Strategy<Value = Effect> {
        let ending = (any::<u64>(), few(text())).prop_map(|(count, examples)| Ending { count, examples });
        (few(class()), few(class()), few(class()), few(class()), of(ending)).prop_map(
            |(newly_dropped, newly_accepted, cut, translated, ending)| Effect {
                newly_dropped,
                newly_accepted,
                cut,
                translated,
                ending,
            },
        )
    }

    fn approval() -> impl Strategy<Value = Approval> {
        use ApprovalStatus::*;
        (select(vec![Pending, Approved, Rejected, Expired]), of(text()), of(timestamp()), of(text()))
            .prop_map(|(status, by, at, reason)| Approval { status, by, at, reason })
    }

    prop_compose! {
        fn generator()(
            provider in text(), model in of(text()), attempts in few(json()), sources in few(text()),
        ) -> Generator {
            Generator { provider, model, attempts, sources }
        }
    }

    prop_compose! {
        pub fn proposal()(
            (id, ts, run, origin) in (id(), timestamp(), of(id()), origin()), ok in any::<bool>(), error in of(refusal()),
            (rules, changes) in (few(rule().boxed()), few(change().boxed())), explanation in text(), generator in of(generator().boxed()),
            assumed in few(assumption()), (rendered, validation) in (of(rendered().boxed()), of(validation().boxed())),
            (conflicts, effect, advice) in (of(conflicts().boxed()), of(effect().boxed()), few(text())),
            (risk, risk_reasons) in (of(select(vec![Risk::Green, Risk::Blue, Risk::Red])), few(text())),
            approval in of(approval().boxed()),
        ) -> Proposal {
            Proposal {
                id, ts, run, origin, ok, error, rules, changes, explanation, generator, assumed, rendered, validation, conflicts,
                effect, advice, risk, risk_reasons, approval,
            }
        }
    }
}

fn verb() -> impl Strategy<Value = Verb> {
    use Verb::*;
    select(vec![Capabilities, Render, Check, Apply, List, Restore, Block, Unblock])
}

prop_compose! {
    fn backend_block()(
        source in of(address()), destination in of(address()), protocol in of(protocol()), port in of(any::<u16>()), seconds in of(any::<u64>()),
    ) -> BackendBlock {
        BackendBlock { source, destination, protocol, port, seconds }
    }
}

prop_compose! {
    pub fn backend_request()(
        id in any::<u64>(), request in verb(), rules in few(rule()), native in of(text()), mark in of(text()),
        revision in of(text()), state in of(text()), blocks in few(backend_block()),
    ) -> BackendRequest {
        BackendRequest { id, request, rules, native, mark, revision, state, blocks }
    }
}

prop_compose! {
    pub fn backend_reply()(
        (id, ok, error, name, version) in (any::<u64>(), any::<bool>(), of(text()), of(text()), of(text())),
        capabilities in few(text()), timeout_seconds in of(any::<u32>()), native in of(text()),
        refused in few((id(), text(), text(), text())
            .prop_map(|(rule, field, value, cause)| Unsayable { rule, field, value, cause })),
        valid in of(any::<bool>()),
        errors in few(text().prop_map(|message| ValidationError { message, ..ValidationError::default() })),
        (state, revision, mark, stale, blocks) in
            (of(text()), of(text()), of(text()), any::<bool>(), few(backend_block())),
    ) -> BackendReply {
        BackendReply {
            id, ok, error, name, version, capabilities, timeout_seconds, native, refused, valid, errors, state, revision, mark,
            stale, blocks,
        }
    }
}

prop_compose! {
    pub fn backend_check()(
        backend in text(), check in text(), line in text(), ok in any::<bool>(), detail in of(text()),
    ) -> BackendCheck {
        BackendCheck { backend, check, line, ok, detail }
    }
}
