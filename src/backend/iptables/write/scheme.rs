//! AFO in the filter table of one family: generations of policy behind a switch that the kernel turns off by itself.
//!
//! The head chain of a direction leads to the generation that holds. Inside a window a line before it leads to the new one, and asks
//! what time it is (xt_time): when the window is over it matches no more, whichever process has died. It has a beginning too, so that a
//! clock that is set back ends the window rather than drawing it out. Nothing of another program's is named but the one jump.

use super::lay::{MINE, generation};
use super::restore::Restore;
use super::{Iptables, Laid, chain, check, laid};
use crate::backend::Refused;
use crate::backend::iptables::read;
use crate::backend::meaning::{empty, ordered, twice};
use crate::record::Timestamp;
use crate::rule::ruleset::{Line, Outcome, Ruleset, Verdict};
use crate::rule::{Direction, Rule};
use std::collections::BTreeSet;

/// When a window is open; whole seconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// How xt_time and iptables-save write a time.
const TIME: &str = "%Y-%m-%dT%H:%M:%S";

/// What of AFO is in a family's filter table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// AFO's chains with their lines, in the order of the dump.
    chains: Vec<(String, Vec<String>)>,
    /// Built-in chains that lead to AFO's.
    jumps: Vec<Direction>,
    /// The generation that holds without a window.
    pub settled: Option<u64>,
    /// The one that is armed, its window open or over.
    pub pending: Option<(u64, Window)>,
}

impl Live {
    /// Reads what `iptables-save` or `ip6tables-save` prints of the filter table.
    ///
    /// # Errors
    /// When it cannot be read, or the heads lead to different generations.
    pub fn read(dump: &str) -> Result<Self, String> {
        let ruleset = dumped(dump, "filter")?;
        let mut live = Self::default();
        let Some(table) = ruleset.tables.iter().find(|table| table.name == "filter") else { return Ok(live) };
        for found in &table.chains {
            let way = Direction::ALL.iter().copied().find(|way| found.name == chain(*way).1);
            if let Some(way) = way
                && found.lines.iter().any(|line| is_jump(line, way))
            {
                live.jumps.push(way);
            }
            if found.name.starts_with("AFO-") {
                live.chains.push((found.name.clone(), found.lines.iter().map(|line| line.text.clone()).collect()));
            }
            if Direction::ALL.iter().any(|way| found.name == chain(*way).0) {
                found.lines.iter().try_for_each(|line| live.choice(line))?;
            }
        }
        Ok(live)
    }

    /// Whether anything of AFO is there.
    pub fn is_there(&self) -> bool {
        !self.chains.is_empty() || !self.jumps.is_empty()
    }

    /// Whether every built-in chain leads to AFO's, and AFO's to a generation.
    pub fn is_whole(&self) -> bool {
        self.jumps.len() == Direction::ALL.len() && (self.settled.is_some() || self.pending.is_some())
    }

    /// The highest generation that is there in any form.
    pub fn highest(&self) -> u64 {
        self.chains.iter().filter_map(|(name, _)| number(name)).max().unwrap_or(0)
    }

    /// A line of a head that leads to a generation.
    fn choice(&mut self, line: &Line) -> Result<(), String> {
        let (Outcome::Verdict(Verdict::Jump(to) | Verdict::Goto(to)), text) = (&line.outcome, &line.text) else {
            return Ok(());
        };
        let Some(found) = number(to) else { return Ok(()) };
        let other = match window(text) {
            Some(window) => self.pending.replace((found, window)).map(|(number, _)| number),
            None => self.settled.replace(found),
        };
        match other {
            Some(other) if other != found => Err(format!(
                "AFO's chains lead to generation {found} and to {other}; `afo-deploy flush-afo` begins anew"
            )),
            _ => Ok(()),
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        self.chains.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// A dump that says all of a table.
///
/// # Errors
/// When it cannot be read, or says that it leaves rules of the table out.
pub(super) fn dumped(dump: &str, table: &str) -> Result<Ruleset, String> {
    let ruleset = read(dump).map_err(|e| format!("iptables' dump, line {e}"))?;
    match ruleset.unread.iter().find(|words| words.contains(&format!("`{table}'"))) {
        Some(words) => Err(format!("iptables cannot say what the table holds: {}", words.escape_debug())),
        None => Ok(ruleset),
    }
}

fn is_jump(line: &Line, way: Direction) -> bool {
    matches!(&line.outcome, Outcome::Verdict(Verdict::Jump(to)) if to == chain(way).0)
}

/// The generation that a chain belongs to.
fn number(name: &str) -> Option<u64> {
    let (digits, _) = name.strip_prefix("AFO-g")?.split_once('-')?;
    digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn window(text: &str) -> Option<Window> {
    let after = |option: &str| {
        let mut words = text.split_whitespace().skip_while(|word| *word != option);
        format!("{}Z", words.nth(1)?).parse::<Timestamp>().ok()
    };
    Some(Window { from: after("--datestart")?, to: after("--datestop")? })
}

/// A policy laid out for both programs.
#[derive(Debug)]
pub struct Policy {
    generation: u64,
    laid: [Laid; 2],
}

impl Policy {
    /// The rules in the order in which they stand, disabled ones too.
    ///
    /// # Errors
    /// Every refusal of every rule, of either family.
    pub fn order(rules: &[Rule]) -> Result<Vec<&Rule>, Vec<Refused>> {
        let mut refused = twice(rules);
        for rule in rules {
            let both = [Iptables::V4, Iptables::V6].map(|program| check::check(rule, program.family()));
            let [mut found, more] = both;
            found.extend(more.into_iter().filter(|why| !found.contains(why)).collect::<Vec<_>>());
            refused.extend(found);
        }
        let order = ordered(rules).unwrap_or_else(|why| {
            refused.push(why);
            Vec::new()
        });
        if refused.is_empty() { Ok(order) } else { Err(refused) }
    }

    /// Lays rules out as a generation.
    ///
    /// # Errors
    /// As [`order`](Self::order); also a rule of which neither family has a packet.
    pub fn of(rules: &[Rule], generation: u64) -> Result<Self, Vec<Refused>> {
        let order = Self::order(rules)?;
        let (v4, v6) = (laid(Iptables::V4, &order, generation)?, laid(Iptables::V6, &order, generation)?);
        let nowhere = v4.unseen.iter().filter(|why| v6.unseen.iter().any(|other| other.rule == why.rule));
        let rule = |why: &Refused| order.iter().find(|rule| rule.id == why.rule);
        let words = "no packet can match: nothing is left of it in either address family";
        let refused: Vec<Refused> = nowhere.filter_map(rule).map(|rule| empty(rule, words)).collect();
        if refused.is_empty() { Ok(Self { generation, laid: [v4, v6] }) } else { Err(refused) }
    }

    /// Whether a program has none of the rules.
    pub fn is_empty_for(&self, program: Iptables) -> bool {
        self.for_program(program).sheet.is_empty()
    }

    fn for_program(&self, program: Iptables) -> &Laid {
        &self.laid[usize::from(program == Iptables::V6)]
    }

    /// The text that arms the policy: it holds inside the window, what holds now again after it.
    pub fn arm(&self, program: Iptables, live: &Live, window: Window) -> String {
        let time = |at: Timestamp| at.strftime(TIME).to_string();
        let open = format!("-m time --datestart {} --datestop {}", time(window.from), time(window.to));
        self.text(program, live, |way, restore| {
            let head = chain(way).0;
            restore.line(format!("-A {head} {open} {MINE} -g {}", generation(self.generation, way)));
            restore.lead(way, live.settled);
        })
    }

    /// What takes the policy back where it was armed on what is there, for people to read.
    pub fn taken_back(&self, program: Iptables, live: &Live) -> String {
        let (mut armed, laid) = (live.clone(), self.for_program(program));
        let heads = Direction::ALL
            .iter()
            .map(|way| chain(*way).0.to_owned())
            .filter(|name| !live.names().contains(name.as_str()));
        let new = heads.chain(laid.sheet.declared(Direction::ALL));
        armed.chains.extend(new.map(|name| (name, Vec::new())));
        armed.jumps = Direction::ALL.to_vec();
        armed.revert(program, self.generation)
    }

    /// The text that puts the policy in place of what holds, at once; what it leaves behind goes afterwards.
    pub fn install(&self, program: Iptables, live: &Live) -> String {
        let text = self.text(program, live, |way, restore| restore.lead(way, Some(self.generation)));
        text + &sweep(program, live, Some(self.generation))
    }

    fn text(&self, program: Iptables, live: &Live, lead: impl Fn(Direction, &mut Restore)) -> String {
        let (laid, ways) = (self.for_program(program), Direction::ALL);
        let mut restore = Restore::new(program);
        ways.iter().for_each(|way| restore.declare(chain(*way).0));
        laid.sheet.declared(ways).iter().for_each(|name| restore.declare(name));
        for (_, line) in laid.sheet.lines(ways, &laid.named) {
            restore.line(line);
        }
        ways.iter().for_each(|way| lead(*way, &mut restore));
        for way in ways.iter().filter(|way| !live.jumps.contains(way)) {
            let (head, built_in) = chain(*way);
            restore.line(format!("-I {built_in} {MINE} -j {head}"));
        }
        restore.text()
    }
}

impl Restore {
    fn lead(&mut self, way: Direction, to: Option<u64>) {
        if let Some(number) = to {
            self.line(format!("-A {} {MINE} -j {}", chain(way).0, generation(number, way)));
        }
    }
}

impl Live {
    /// The text that makes what is armed what holds; nothing where nothing is armed.
    pub fn confirm(&self, program: Iptables) -> String {
        let Some((new, _)) = self.pending else { return String::new() };
        self.lead_to(program, new) + &sweep(program, self, Some(new))
    }

    /// The text that takes generation `gone` out and leaves what held before it; nothing where it is not there.
    pub fn revert(&self, program: Iptables, gone: u64) -> String {
        let before = self.chains.iter().filter_map(|(name, _)| number(name)).filter(|number| *number < gone).max();
        match self.settled.filter(|settled| *settled != gone).or(before) {
            _ if self.highest() < gone => String::new(),
            Some(old) => self.lead_to(program, old) + &sweep(program, self, Some(old)),
            None => self.remove(program),
        }
    }

    fn lead_to(&self, program: Iptables, number: u64) -> String {
        let mut restore = Restore::new(program);
        Direction::ALL.iter().for_each(|way| restore.declare(chain(*way).0));
        Direction::ALL.iter().for_each(|way| restore.lead(*way, Some(number)));
        restore.text()
    }

    /// The text that takes all of AFO out.
    pub fn remove(&self, program: Iptables) -> String {
        let mut restore = Restore::new(program);
        for way in &self.jumps {
            let (head, built_in) = chain(*way);
            restore.line(format!("-D {built_in} {MINE} -j {head}"));
        }
        restore.delete(&self.names().into_iter().collect::<Vec<_>>());
        restore.text()
    }

    /// AFO's own chains as text that puts them back where they are not.
    pub fn backup(&self, program: Iptables) -> String {
        self.back_from(program, &Self { jumps: Vec::new(), ..self.clone() })
    }

    /// The text that puts AFO's own chains back as they are here, where `now` is what is there.
    pub fn back_from(&self, program: Iptables, now: &Self) -> String {
        let mut restore = Restore::new(program);
        self.chains.iter().for_each(|(name, _)| restore.declare(name));
        for (name, line) in self.chains.iter().flat_map(|(name, lines)| lines.iter().map(move |line| (name, line))) {
            restore.line(format!("-A {name} {line}"));
        }
        for way in Direction::ALL {
            let (head, built_in) = chain(*way);
            let (wanted, there) = (self.jumps.contains(way), now.jumps.contains(way));
            if wanted != there {
                let command = if wanted { "-I" } else { "-D" };
                restore.line(format!("{command} {built_in} {MINE} -j {head}"));
            }
        }
        let own = self.names();
        restore.delete(&now.names().into_iter().filter(|name| !own.contains(name)).collect::<Vec<_>>());
        restore.text()
    }
}

/// Deletes generations other than `kept`.
fn sweep(program: Iptables, live: &Live, kept: Option<u64>) -> String {
    let mut restore = Restore::afterwards(program);
    let stale = |name: &&str| number(name).is_some_and(|number| Some(number) != kept);
    restore.delete(&live.names().into_iter().filter(stale).collect::<Vec<_>>());
    restore.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(port: &str) -> Vec<Rule> {
        let rules = json!([{"id": format!("r{port}"), "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": [port]}]);
        serde_json::from_value(rules).expect("rules")
    }

    fn window(from: &str, to: &str) -> Window {
        let at = |text: &str| format!("2026-01-02T03:04:{text}Z").parse().expect("a time");
        Window { from: at(from), to: at(to) }
    }

    /// What a kernel without other rules would print after it loaded a text.
    fn after(text: &str) -> Live {
        Live::read(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    #[test]
    fn a_window_is_armed_confirmed_and_taken_back() {
        let (v4, empty) = (Iptables::V4, Live::default());
        let first = after(&Policy::of(&rules("22"), 1).expect("a policy").install(v4, &empty));
        assert_eq!((first.settled, first.pending, first.highest()), (Some(1), None, 1));
        let open = window("05", "35");
        let text = Policy::of(&rules("23"), 2).expect("a policy").arm(v4, &first, open);
        assert!(text.contains("-A AFO-INPUT -m time --datestart 2026-01-02T03:04:05 --datestop 2026-01-02T03:04:35 -m comment --comment afo -g AFO-g2-INPUT\n-A AFO-INPUT -m comment --comment afo -j AFO-g1-INPUT\n"), "{text}");
        assert!(!text.contains("-I INPUT"), "the jump is there");
        let armed = Live {
            chains: [first.chains.clone(), after(&text.replace("-j AFO-g1", "-j AFO-g2")).chains].concat(),
            ..first.clone()
        };
        let armed = Live { pending: Some((2, open)), ..armed };
        let confirmed = armed.confirm(v4);
        assert!(
            confirmed.contains("-A AFO-INPUT -m comment --comment afo -j AFO-g2-INPUT")
                && confirmed.contains("# afterwards, for iptables-restore"),
            "{confirmed}"
        );
        assert!(confirmed.contains("-X AFO-g1-INPUT") && !confirmed.contains("-X AFO-g2-INPUT"), "{confirmed}");
        let reverted = armed.revert(v4, 2);
        assert!(
            reverted.contains("-j AFO-g1-INPUT")
                && reverted.contains("-X AFO-g2-INPUT")
                && !reverted.contains("-X AFO-g1-INPUT"),
            "{reverted}"
        );
        assert_eq!(armed.revert(v4, 3), "");
    }

    #[test]
    fn the_first_generation_leaves_nothing_behind() {
        let (v6, empty) = (Iptables::V6, Live::default());
        let open = window("05", "35");
        let text = Policy::of(&rules("22"), 1).expect("a policy").arm(v6, &empty, open);
        let armed = after(&text);
        assert_eq!((armed.settled, armed.pending), (None, Some((1, open))));
        let reverted = armed.revert(v6, 1);
        let commands: Vec<&str> =
            reverted.lines().filter(|line| line.starts_with("-D") || line.starts_with("-X")).collect();
        assert_eq!(commands.len(), 9, "{reverted}");
        assert_eq!(empty.back_from(v6, &armed), reverted);
        assert_eq!(armed.back_from(v6, &armed).matches("-I ").count(), 0);
        assert_eq!(armed.backup(v6).matches("-I ").count(), 3);
    }

    #[test]
    fn heads_that_disagree_are_refused() {
        let dump = "*filter\n:INPUT ACCEPT\n:AFO-INPUT -\n:AFO-OUTPUT -\n:AFO-g1-INPUT -\n:AFO-g2-OUTPUT -\n-A AFO-INPUT -j AFO-g1-INPUT\n-A AFO-OUTPUT -j AFO-g2-OUTPUT\nCOMMIT\n";
        let words = "AFO's chains lead to generation 2 and to 1; `afo-deploy flush-afo` begins anew";
        assert_eq!(Live::read(dump).expect_err("two"), words);
        assert!(Live::read("*filter\nx\n").expect_err("no dump").starts_with("iptables' dump, line 2: "));
        assert_eq!(Live::read("").expect("nothing"), Live::default());
        let words = "iptables cannot say what the table holds: Table `filter\\' is incompatible, use \\'nft\\' tool.";
        assert_eq!(Live::read("# Table `filter' is incompatible, use 'nft' tool.\n").expect_err("nft's own"), words);
        assert!(Live::read("# Table `nat' is incompatible, use 'nft' tool.\n").is_ok());
    }

    #[test]
    fn a_rule_of_neither_family_is_refused() {
        let rule = json!([{"id": "r", "action": "drop", "direction": "input", "source_address": ["192.0.2.1"], "destination_address": ["2001:db8::1"]}]);
        let refused =
            Policy::of(&serde_json::from_value::<Vec<Rule>>(rule).expect("a rule"), 1).expect_err("nothing is left");
        assert_eq!(refused[0].cause, "no packet can match: nothing is left of it in either address family");
    }
}
