//! Processes that are killed at every step and at random times: afterwards the kernel holds exactly the old or exactly the confirmed rules, the
//! state says which, and the audit trail is whole.
//!
//! AFO_CRASH_RUNS says how often the random one kills (50), AFO_CRASH_SEED repeats a run that was printed.

use super::deploy::{BAN_PEER, DROP_7777, Site, feed, program, proposal, words};
use super::watchdog::{canonical, kill, watchdogs};
use super::{eventually, in_namespace};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Numbers that are the same for the same seed (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    /// A change that nobody confirms.
    Lapse,
    /// One that somebody confirms.
    Confirm,
    /// The newest confirmed one is taken back.
    Rollback,
    /// A block for a time.
    Block,
    /// The end of one.
    Unblock,
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Command,
    Watchdog,
    Both,
    Nft,
}

/// Now and then one of more addresses than go in with the rules.
fn rule(number: u64) -> String {
    if number.is_multiple_of(4) {
        return super::feed::many(&format!("r{number}"), super::feed::single);
    }
    DROP_7777.replace("r1", &format!("r{number}")).replace("7777", &(10_000 + number).to_string())
}

fn ban(number: u64) -> String {
    BAN_PEER.replace("203.0.113.2", &format!("198.51.100.{}", number % 200)).replace("b1", &format!("b{number}"))
}

fn begin(mut command: Command, input: &str) -> Child {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("afo-deploy");
    let mut stdin = child.stdin.take().expect("piped");
    // Who was killed reads no more.
    let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    child
}

/// Every nft of this network namespace.
fn nfts() -> Vec<u32> {
    let own = std::fs::read_link("/proc/self/ns/net").expect("/proc");
    let of = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "nft" && std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|net| net == own)
    };
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of).collect()
}

fn strike(site: &Site, victim: Victim, commands: &mut [Child]) {
    let (command, watchdog) = match victim {
        Victim::Command => (true, false),
        Victim::Watchdog => (false, true),
        Victim::Both => (true, true),
        Victim::Nft => return nfts().into_iter().for_each(kill),
    };
    if command {
        commands.iter_mut().for_each(|child| drop(child.kill()));
    }
    if watchdog {
        watchdogs(site).into_iter().for_each(kill);
    }
}

/// Recovers until nothing is under way any more.
fn settle(site: &Site, what: &str) {
    let deadline = Instant::now() + super::PATIENCE;
    loop {
        let done = site.deploy(&["recover"], "");
        let open = |status: &String| matches!(status.as_str(), "pending" | "applied");
        if done.status.success() && !site.statuses().iter().any(open) {
            return;
        }
        let kernel = || site.host.sh("nft list table inet afo 2>/dev/null || true");
        let told = || format!("{what}: {:?}\n{}\n{}", site.statuses(), words(&done), kernel());
        assert!(Instant::now() < deadline, "recovery does not end it: {}", told());
    }
}

/// The ids of the rules that the journal says are confirmed.
fn journalled(site: &Site) -> BTreeSet<String> {
    let out = feed(&mut site.afo("afo-deploy", &["list", "--json"]), "");
    assert!(out.status.success(), "{}", words(&out));
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    lines.filter_map(|line| line["rule"]["id"].as_str().map(str::to_owned)).collect()
}

/// The addresses that the journal says are blocked, and those that the kernel blocks.
fn blocked(site: &Site) -> [BTreeSet<String>; 2] {
    let out = feed(&mut site.afo("afo-deploy", &["list", "--json"]), "");
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let journal =
        lines.filter(|line| line["kind"] == "block").filter_map(|line| line["address"].as_str().map(str::to_owned));
    let set = site.host.sh("nft list set inet afo block4 2>/dev/null || true");
    let kernel = set.split(|c: char| !c.is_ascii_digit() && c != '.').filter(|word| word.matches('.').count() == 3);
    [journal.collect(), kernel.map(str::to_owned).collect()]
}

/// Without the set that blocks come to and go from.
fn policy(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| !line.contains(r#""name":"block4""#)).collect()
}

/// The ids in rules of nft's text.
fn named(text: &str) -> BTreeSet<String> {
    let ids = text.split("comment \"").skip(1).filter_map(|rest| rest.split('"').next());
    ids.filter(|id| id.starts_with('r')).map(str::to_owned).collect()
}

/// The kernel holds what the journal says and nothing of a change, and so does the file for the next boot.
fn is_one_of_both(site: &Site, before: &[String], what: &str) {
    let (after, policy_ids) = (canonical(site.host), journalled(site));
    let blocks = what.contains("lock,");
    let table = site.host.sh("nft list table inet afo 2>/dev/null || true");
    assert_eq!(named(&table), policy_ids, "{what}: kernel and journal\n{table}");
    let generations: BTreeSet<&str> = table.split("goto ").skip(1).filter_map(|rest| rest.split('_').next()).collect();
    assert!(generations.len() <= 1, "{what}: {table}");
    let old: BTreeSet<String> = named(&before.join("\n").replace("\"comment\":", "comment "));
    if old == policy_ids {
        // The first block brings the table.
        let first = !before.iter().any(|line| line.contains(r#""name":"afo""#));
        assert!(
            first && blocks || policy(&after) == policy(before),
            "{what}: not exactly what was there:\n{after:?}\n{before:?}"
        );
    }
    let [journal, kernel] = blocked(site);
    assert_eq!(kernel, journal, "{what}: blocks of kernel and journal");
    let boot = std::fs::read_to_string(site.dir.path().join("state.boot.nft")).unwrap_or_default();
    assert_eq!(named(&boot), policy_ids, "{what}: the file for the next boot");
    let verified = feed(&mut site.afo("afo-log", &["verify"]), "");
    assert!(verified.status.success(), "{what}: {}", words(&verified));
    site.is_settled();
}

fn run(site: &Site, number: u64, deed: Deed, (victim, after): (Victim, u64)) {
    let before = canonical(site.host);
    let what = format!("run {number}: {deed:?}, {victim:?} killed after {after} ms");
    let mut commands = match deed {
        Deed::Rollback => vec![begin(site.afo("afo-deploy", &["rollback"]), "")],
        Deed::Block => vec![begin(site.afo("afo-deploy", &[]), &proposal(&format!("p{number}"), &ban(number)))],
        Deed::Unblock => {
            let [journal, _] = blocked(site);
            let address = journal.first().map_or("198.51.100.1", String::as_str);
            vec![begin(site.afo("afo-deploy", &["unblock", address]), "")]
        }
        Deed::Lapse => {
            vec![begin(site.afo("afo-deploy", &["--confirm=1"]), &proposal(&format!("p{number}"), &rule(number)))]
        }
        Deed::Confirm => {
            let change =
                begin(site.afo("afo-deploy", &["--confirm=3"]), &proposal(&format!("p{number}"), &rule(number)));
            let script = "until \"$0\" confirm >/dev/null 2>&1; do sleep 0.02; kill -0 $PPID || exit; done";
            let afo = site.afo("afo-deploy", &[]);
            let mut confirm = Command::new("timeout");
            confirm.args(["4", "bash", "-c", script]).arg(afo.get_program()).env("AFO_STATE", site.state());
            vec![change, begin(confirm, "")]
        }
    };
    std::thread::sleep(Duration::from_millis(after));
    strike(site, victim, &mut commands);
    for child in &mut commands {
        child.wait().expect("ended");
    }
    settle(site, &what);
    is_one_of_both(site, &before, &what);
}

#[test]
fn whoever_is_killed_at_a_random_time_the_rules_are_the_old_or_the_confirmed_ones() {
    in_namespace(|host| {
        let site = Site::new(host);
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
        let seed = number("AFO_CRASH_SEED").unwrap_or(u64::try_from(now).unwrap_or(1));
        let runs = number("AFO_CRASH_RUNS").unwrap_or(50);
        println!("AFO_CRASH_SEED={seed} AFO_CRASH_RUNS={runs}");
        let mut dice = Dice(seed.max(1));
        for n in 0..runs {
            let many = journalled(&site).len() > 3;
            let deed = match dice.below(8) {
                0 if !journalled(&site).is_empty() => Deed::Rollback,
                6 | 7 if many => Deed::Rollback,
                1 | 2 => Deed::Lapse,
                3 | 4 => Deed::Block,
                5 => Deed::Unblock,
                _ => Deed::Confirm,
            };
            let victims = [Victim::Command, Victim::Watchdog, Victim::Both, Victim::Nft];
            let victim = victims[usize::try_from(dice.below(4)).expect("below four")];
            let limit = [120, 600, 1500][usize::try_from(dice.below(3)).expect("below three")];
            run(&site, n, deed, (victim, dice.below(limit)));
        }
        eventually("no watchdog is left", || watchdogs(&site).is_empty());
    });
}

/// An nft that kills its caller at the `at`-th call: before it does what it is told, or after.
fn killer(site: &Site, at: u32, first: bool) -> String {
    let real = site.host.sh("command -v nft").trim().to_owned();
    let count = site.dir.path().join("calls").display().to_string();
    let strike = format!("[ \"$n\" = {at} ] && kill -KILL $PPID");
    let (before, after) = if first { (strike.as_str(), "") } else { ("", strike.as_str()) };
    let text = format!(
        "#!/bin/bash\nn=$(($(cat {count} 2>/dev/null || echo 0) + 1)); echo $n >{count}\n{before}\n{real} \"$@\"; code=$?\n{after}\nexit $code\n"
    );
    let _ = std::fs::remove_file(&count);
    let bin = program(site.dir.path(), "nft", &text);
    format!("{bin}:{}", std::env::var("PATH").expect("PATH"))
}

#[test]
fn a_command_that_dies_before_or_after_any_call_of_nft_leaves_the_old_rules() {
    in_namespace(|host| {
        let site = Site::new(host);
        for at in 1..40 {
            let mut died = false;
            for first in [true, false] {
                let before = canonical(host);
                let number = u64::from(at) * 2 + u64::from(first);
                let path = killer(&site, at, first);
                let mut command = site.afo("afo-deploy", &["--confirm=1"]);
                command.env("PATH", path);
                let out = feed(&mut command, &proposal(&format!("p{number}"), &rule(number)));
                died |= out.status.code().is_none();
                let what = format!("call {at}, before {first}");
                settle(&site, &what);
                is_one_of_both(&site, &before, &what);
            }
            if !died {
                assert!(at > 6, "it calls nft more often than {at} times");
                return;
            }
        }
        panic!("no command calls nft forty times");
    });
}
