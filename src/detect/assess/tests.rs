use super::*;
use crate::record::{ResponseAction, Severity, content_id};
use proptest::prelude::*;
use serde_json::json;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).expect("in range")
}

fn event(second: i64, event_type: &str, ip: &str, attributes: serde_json::Value) -> Event {
    let serde_json::Value::Object(attributes) = attributes else { panic!("an object") };
    let line = format!("{second}{event_type}{ip}{attributes:?}");
    let user = attributes.get("name").and_then(|n| n.as_str()).map(str::to_owned);
    Event {
        id: content_id(at(second), &[line.as_bytes()]),
        ts: at(second),
        seen: None,
        source: "auth:/log".into(),
        event_type: event_type.into(),
        severity: Severity::Medium,
        source_ip: Some(ip.parse().expect("address")),
        destination_ip: None,
        source_port: None,
        port: None,
        protocol: None,
        user,
        count: None,
        attributes,
        raw: None,
        run: None,
    }
}

/// A wrong password for an account that exists, on a connection of its own.
fn failure(second: i64, ip: &str) -> Event {
    event(second, "auth_failure", ip, json!({"method": "password", "pid": 1000 + second, "name": "root"}))
}

fn invalid(second: i64, ip: &str, name: &str) -> Event {
    event(second, "invalid_user", ip, json!({"pid": 1000 + second, "name": name}))
}

fn success(second: i64, ip: &str) -> Event {
    event(second, "auth_success", ip, json!({"method": "publickey", "pid": 1000 + second, "name": "ops"}))
}

fn probe(second: i64, ip: &str, host: u8, port: u16) -> Event {
    let mut event = event(second, "port_probe", ip, json!({"n": [host, port]}));
    event.source = "fw:/log".into();
    event.destination_ip = Some([192, 0, 2, host].into());
    event.port = Some(port);
    event
}

fn listed(ip: &str) -> Event {
    let mut event = event(0, "known_bad_ip", ip, json!({}));
    event.source = "feed:/list".into();
    event
}

fn assess(events: &[Event]) -> Vec<Assessment> {
    let mut assessor = Assessor::new(Detections::shipped());
    let mut told: Vec<Assessment> = events.iter().flat_map(|event| assessor.observe(event)).collect();
    told.extend(assessor.idle());
    told
}

fn threats(told: &[Assessment]) -> Vec<(&str, bool)> {
    told.iter().map(|a| (a.threat.as_str(), a.auto_actionable)).collect()
}

const EVE: &str = "203.0.113.7";

#[test]
fn guessing_is_told_and_then_actionable() {
    let events: Vec<Event> = (0..12).map(|n| failure(n * 10, EVE)).collect();
    let told = assess(&events);
    assert_eq!(threats(&told), [("brute_force", false), ("brute_force", true)]);
    assert_eq!(told[0].run, told[1].run);
    let last = &told[1];
    assert_eq!((last.counts["attempts"], last.threat_level), (9, Severity::High));
    assert_eq!(last.evidence[0], "9 failed logins from 203.0.113.7 within 80 seconds, over 9 connections");
    assert_eq!(last.recommended_prompt.as_deref(), Some("block all traffic from 203.0.113.7 for 1 hour"));
    let response = last.response.as_ref().expect("response");
    assert_eq!((response.action, response.ttl_seconds), (ResponseAction::Block, Some(3600)));
}

#[test]
fn several_lines_about_one_attempt_count_once() {
    let of = |kind: &str, more: serde_json::Value| {
        let mut fields = json!({"pid": 7, "name": "admin", "invalid_user": true});
        fields.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        event(1, kind, EVE, fields)
    };
    let events = [
        of("invalid_user", json!({})),
        of("auth_failure", json!({"method": "password"})),
        of("auth_failure", json!({"via": "pam", "pid": 8})),
        of("preauth_disconnect", json!({})),
    ];
    let mut assessor = Assessor::new(Detections::changed_by("[brute_force]\nthreshold = 0.1").expect("detections"));
    events.iter().for_each(|event| drop(assessor.observe(event)));
    let told = assessor.idle();
    assert!(told.iter().all(|a| a.counts["attempts"] == 1), "{told:?}");
    // the same event again is no event
    assert_eq!(assessor.observe(&events[0]).len() + assessor.idle().len(), 0);
    assert_eq!(assessor.figures().repeated, 1);
}

#[test]
fn slow_failures_outside_the_window_are_not_put_together() {
    let events: Vec<Event> = (0..30).map(|n| failure(n * 200, EVE)).collect();
    assert_eq!(threats(&assess(&events)), []);
}

#[test]
fn an_administrator_who_mistypes_is_not_blocked() {
    let mut events: Vec<Event> = (0..4).map(|n| failure(n * 5, "192.0.2.9")).collect();
    events.push(success(25, "192.0.2.9"));
    events.extend((0..6).map(|n| failure(100 + n * 5, "192.0.2.9")));
    events.extend((0..15).map(|n| success(200 + n, "192.0.2.9")));
    events.extend((0..8).map(|n| failure(400 + n * 5, "192.0.2.9")));
    let told = assess(&events);
    assert!(told.iter().all(|a| !a.auto_actionable && a.threat_level < Severity::Critical), "{told:?}");
}

#[test]
fn success_after_a_guessing_run_is_critical_and_left_to_people() {
    let mut events: Vec<Event> = (0..20).map(|n| failure(n, EVE)).collect();
    events.push(success(30, EVE));
    let told = assess(&events);
    let last = told.last().expect("told");
    assert_eq!(
        (last.threat.as_str(), last.threat_level, last.auto_actionable),
        ("success_after_failures", Severity::Critical, false)
    );
    assert_eq!(last.response.as_ref().map(|r| r.action), Some(ResponseAction::Alert));
}

#[test]
fn a_sweep_of_login_names_has_its_own_name() {
    let events: Vec<Event> = (0..6).map(|n| invalid(n, EVE, &format!("user{n}"))).collect();
    let told = assess(&events);
    assert_eq!(threats(&told).last(), Some(&("invalid_user_sweep", true)), "{told:?}");
}

#[test]
fn the_many_addresses_of_one_network_are_one() {
    let events: Vec<Event> = (0..12).map(|n| failure(n, &format!("2001:db8:1:2::{n:x}"))).collect();
    let told = assess(&events);
    assert!(told.iter().all(|a| a.subjects[0].to_string() == "2001:db8:1:2::/64"), "{told:?}");
    assert_eq!(threats(&told).last(), Some(&("brute_force", true)));
    // one address alone is told as itself
    let one: Vec<Event> = (0..12).map(|n| failure(n, "2001:db8:1:2::1")).collect();
    assert!(assess(&one).iter().all(|a| a.subjects[0].to_string() == "2001:db8:1:2::1"));
}

#[test]
fn scans_and_floods_are_told_and_left_to_people() {
    let vertical: Vec<Event> = (0..40).map(|n| probe(n, EVE, 1, 1000 + n as u16)).collect();
    let told = assess(&vertical);
    assert_eq!(threats(&told), [("port_scan", false), ("port_scan", false)]);
    assert_eq!((told[0].counts["ports"], told[0].threat_level), (10, Severity::Medium));
    let horizontal: Vec<Event> = (0..10).map(|n| probe(n, EVE, n as u8, 22)).collect();
    assert_eq!(threats(&assess(&horizontal)), [("port_scan", false)]);
    let flood: Vec<Event> = (0..600)
        .map(|n| {
            let mut event = probe(n / 100, EVE, 1, 80);
            event.id = content_id(event.ts, &[&n.to_be_bytes()]);
            event
        })
        .collect();
    assert_eq!(threats(&assess(&flood)), [("flood", false)]);
    assert_eq!(threats(&assess(&(0..9).map(|n| probe(n, EVE, 1, n as u16)).collect::<Vec<_>>())), []);
}

#[test]
fn a_listing_is_told_and_raises_what_else_is_known() {
    let mut events = vec![listed(EVE)];
    assert_eq!(threats(&assess(&events)), [("known_bad", false)]);
    events.extend((0..3).map(|n| failure(n, EVE)));
    let told = assess(&events);
    assert_eq!(threats(&told).last(), Some(&("brute_force", false)), "{told:?}");
    let alone: Vec<Event> = (0..3).map(|n| failure(n, EVE)).collect();
    assert_eq!(threats(&assess(&alone)), []);
    let mut network = listed(EVE);
    network.source_ip = None;
    network.attributes.insert("network".into(), json!("203.0.113.0/24"));
    events[0] = network;
    assert!(threats(&assess(&events)).contains(&("brute_force", false)));
}

#[test]
fn sources_that_agree_are_enough_where_none_is_alone() {
    let mut events: Vec<Event> = (0..8).map(|n| probe(n, EVE, 1, 1000 + n as u16)).collect();
    events.extend((0..5).map(|n| failure(n + 10, EVE)));
    let told = assess(&events);
    let last = told.last().expect("told");
    assert_eq!((last.threat.as_str(), last.auto_actionable), ("multi_source", true), "{told:?}");
    assert_eq!(last.sources, ["auth:/log", "fw:/log"]);
}

#[test]
fn what_anybody_could_have_written_leads_to_no_block() {
    let forged = |n: i64| {
        let mut event = failure(n, EVE);
        event.attributes.insert("forgeable".into(), json!(true));
        event
    };
    let told = assess(&(0..100).map(forged).collect::<Vec<_>>());
    assert!(!told.is_empty() && told.iter().all(|a| !a.auto_actionable), "{told:?}");
}

#[test]
fn a_login_that_anybody_could_have_written_earns_no_credit() {
    let told = |forgeable: Option<bool>| {
        let logins = forgeable.into_iter().flat_map(|flag| {
            (0..5).map(move |n| {
                let mut event = success(n, EVE);
                event.attributes.insert("forgeable".into(), json!(flag));
                event
            })
        });
        let events: Vec<Event> = logins.chain((10..40).map(|n| failure(n, EVE))).collect();
        assess(&events).iter().map(|a| a.ts).collect::<Vec<_>>()
    };
    assert_eq!(told(Some(true)), told(None));
    assert_ne!(told(Some(false)), told(None));
}

#[test]
fn a_process_that_speaks_with_two_peers_proves_nothing_against_either() {
    let mut events = Vec::new();
    for n in 0..40 {
        events.push(event(n, "auth_failure", "198.51.100.10", json!({"method": "password", "pid": n, "name": "root"})));
        events.push(event(n, "auth_failure", EVE, json!({"method": "password", "pid": n, "name": "x"})));
    }
    assert!(assess(&events).iter().all(|a| !a.auto_actionable));
}

#[test]
fn it_speaks_at_once_when_nothing_more_is_there() {
    let mut assessor = Assessor::new(Detections::shipped());
    let mut told = Vec::new();
    for n in 0..5 {
        assessor.observe(&failure(n, EVE));
        told.push(assessor.idle().len());
    }
    assert_eq!(told, [0, 0, 0, 0, 1]);
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_counted() {
    let mut assessor = Assessor::new(Detections::changed_by("[stream]\nmax_subjects = 100").expect("detections"));
    for n in 0..8 {
        assessor.observe(&failure(n, EVE));
    }
    for n in 0..1000_u32 {
        assessor.observe(&failure(10, &std::net::Ipv4Addr::from(0x0b00_0000 + n).to_string()));
    }
    assessor.idle();
    assert!(assessor.subjects.len() <= 100 && assessor.figures().forgotten >= 900);
    // the most suspicious is still in mind
    assessor.observe(&failure(20, EVE));
    assert_eq!(threats(&assessor.idle()), [("brute_force", true)]);
}

#[test]
fn nobody_and_everybody_are_no_subjects() {
    for ip in ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        assert_eq!(threats(&assess(&(0..50).map(|n| failure(n, ip)).collect::<Vec<_>>())), [], "{ip}");
    }
}

fn some_event() -> impl Strategy<Value = Event> {
    (0..3u8, 0..30i64, 0..7u8, 0..4u16).prop_map(|(who, second, what, n)| {
        let ip = format!("203.0.113.{who}");
        match what {
            0 | 1 => failure(second, &ip),
            2 => invalid(second, &ip, &format!("u{n}")),
            3 => success(second, &ip),
            4 => event(second, "preauth_disconnect", &ip, json!({"pid": n})),
            _ => probe(second, &ip, 1, n * 100 + second as u16),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Within the lateness bound the order of arrival does not matter.
    #[test]
    fn the_same_events_in_any_order_give_the_same(events in proptest::collection::vec(some_event(), 1..120), seed in any::<u64>()) {
        let detections = || Detections::changed_by("[stream]\nlateness_seconds = 60").expect("detections");
        let run = |events: &[Event]| {
            let mut assessor = Assessor::new(detections());
            let mut told: Vec<Assessment> = events.iter().flat_map(|event| assessor.observe(event)).collect();
            told.extend(assessor.idle());
            told
        };
        let mut shuffled = events.clone();
        shuffled.sort_by_key(|event| mark::digest(&(seed, &event.id)));
        prop_assert_eq!(run(&events), run(&shuffled));
    }
}
