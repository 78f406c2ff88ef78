//! Rules with hours against the kernel's clock, as nftables and both kinds of iptables have them.

use super::in_namespace;
use super::iptables_packets::KINDS;
use afo::backend::nftables::{Policy, alone, read};
use afo::backend::{Extent, named};
use afo::rule::ruleset::{Condition, Ruleset};
use afo::rule::{ClockTime, Packet, Rule, Schedule, Weekday};
use afo::sys::lab::Lab;
use serde_json::json;

const DAY: i64 = 1440;
const PACKET: &str = "forward eth0 eth1 10.0.0.1:40000 > 192.0.2.2:80 tcp syn";

/// Minutes since the midnight in UTC that began this week's Monday.
fn minute_of_week() -> i64 {
    let now = afo::sys::clock::now().as_second() / 60;
    // The first of January 1970 was a Thursday.
    (now + 3 * DAY).rem_euclid(7 * DAY)
}

/// Hours on one day or on each, in a zone so many minutes ahead of UTC, that begin so many minutes from now.
fn hours(daily: bool, begin: i64, length: i64, ahead: i64) -> Schedule {
    let local = (minute_of_week() + begin + ahead).rem_euclid(7 * DAY);
    let time = |minute: i64| {
        let minute = u16::try_from(minute.rem_euclid(DAY)).expect("a day");
        ClockTime::new(minute / 60, minute % 60)
    };
    let day = Weekday::ALL[usize::try_from(local / DAY).expect("a week")];
    let days = if daily { Vec::new() } else { vec![day] };
    let here = Schedule { days, from: time(local), to: time(local + length), zone: None };
    here.in_utc(i32::try_from(ahead).expect("a zone"))
}

/// Each with whether now is in it.
fn all() -> Vec<(Schedule, bool)> {
    let mut found = Vec::new();
    for ahead in [-720, -210, 0, 60, 345, 840] {
        for daily in [true, false] {
            for (begin, length, inside) in [(-60, 120, true), (60, 120, false), (-600, 1200, true), (10, 1380, false)] {
                found.push((hours(daily, begin, length, ahead), inside));
            }
        }
        // Of another day, and this day a week ago but for what is over.
        found.push((hours(false, 2 * DAY, 600, ahead), false));
        found.push((hours(false, -300, 240, ahead), false));
    }
    found
}

fn rule(schedule: &Schedule) -> Rule {
    let fields =
        json!({ "id": "r1", "action": "drop", "direction": "forward", "protocol": ["tcp"], "schedule": schedule });
    serde_json::from_value(fields).expect("a rule")
}

fn passes(lab: &mut Lab) -> bool {
    let packet: Packet = PACKET.parse().expect("a packet");
    lab.send(&[packet], false).expect("it is sent").pop().flatten().expect("it can be sent").passed
}

/// How many lines hold at some hours only.
fn timed(ruleset: &Ruleset) -> usize {
    let chance = |condition: &Condition| matches!(condition, Condition::Chance(text) if text.contains("meta "));
    ruleset.lines().filter(|(_, line)| line.conditions.iter().any(chance)).count()
}

#[test]
fn nftables_drops_inside_the_hours_and_not_outside() {
    in_namespace(|_| {
        let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
        for (schedule, inside) in all() {
            let policy = Policy::of(&[rule(&schedule)]).expect("a policy");
            let script = alone(&policy, &[]);
            let listed = read(&lab.load(&script.to_string()).expect("it loads")).expect("a listing");
            assert_eq!(passes(&mut lab), !inside, "{schedule:?}\n{script}");
            let mut meant = script.json().expect("JSON");
            meant["nftables"].as_array_mut().expect("a list").retain(|command| command.get("flush").is_none());
            let meant = afo::backend::nftables::read_value(&meant).expect("what was meant");
            assert_eq!((timed(&listed), listed.lines().count()), (timed(&meant), meant.lines().count()), "{script}");
            assert!(timed(&listed) > 0);
        }
    });
}

#[test]
fn iptables_drops_inside_the_hours_and_not_outside() {
    in_namespace(|_| {
        let backend = named("iptables").expect("there is one");
        for programs in KINDS {
            let mut lab = Lab::open(&["eth0", "eth1"]).expect("a lab");
            for (schedule, inside) in all() {
                let text = backend.render(&[rule(&schedule)], Extent::Host).expect("rendered").text;
                lab.load("").expect("an empty ruleset");
                let out = lab.run(programs[0], &[], text.as_bytes()).expect("it runs");
                assert!(out.status.success(), "{}: {}\n{text}", programs[0], out.stderr);
                assert_eq!(passes(&mut lab), !inside, "{}: {schedule:?}\n{text}", programs[0]);
            }
        }
    });
}

/// What holds in local time is written again when the clocks there change.
#[test]
fn hours_follow_the_clocks_of_their_zone() {
    in_namespace(|host| {
        let state = std::env::temp_dir().join(format!("afo-hours-{}", std::process::id()));
        std::fs::create_dir_all(&state).expect("a directory");
        let deploy = |zone: &str| {
            let mut command = host.afo("afo-deploy");
            command.env("AFO_STATE", state.join("state.db")).env("TZ", zone);
            command
        };
        let line = json!({
            "kind": "proposal", "v": 1, "id": "0192f0c1-7b3a-7000-8000-00000000000a", "ts": "2026-01-02T03:04:05Z", "ok": true,
            "origin": { "by": "user" }, "explanation": "x",
            "rules": [{ "id": "r1", "action": "drop", "direction": "forward", "protocol": ["tcp"],
                        "schedule": { "from": "09:00", "to": "17:00" } }],
        });
        let mut waiting = deploy("Asia/Kolkata");
        let line = format!("{line}\n");
        let done = std::thread::spawn(move || super::feed(waiting.arg("--confirm=300"), line.as_bytes()));
        let confirms = || deploy("Asia/Kolkata").arg("confirm").output().is_ok_and(|out| out.status.success());
        super::eventually("the change is confirmed", confirms);
        let out = done.join().expect("it ends");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let hours = || host.sh("TZ=UTC nft list ruleset | grep -o 'meta hour [^ ]*'").trim().to_owned();
        assert_eq!(hours(), r#"meta hour "03:30"-"11:29:59""#);
        let recovered = || {
            let out = deploy("Asia/Tokyo").arg("recover").output().expect("it runs");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stderr).expect("words")
        };
        let said = recovered();
        assert!(
            said.contains("the clocks of rules with hours have changed (minutes ahead of UTC: local 540)"),
            "{said}"
        );
        assert_eq!(hours(), r#"meta hour "00:00"-"07:59:59""#);
        assert_eq!(recovered(), "", "once");
        std::fs::remove_dir_all(&state).expect("it can be removed");
    });
}
