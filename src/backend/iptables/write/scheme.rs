//! AFO in the filter and nat tables of one family: generations of policy behind a switch that the kernel turns off by itself.
//!
//! The head chain of a hook leads to the generation that holds. Inside a window a line before it leads to the new one, and asks
//! what time it is (xt_time): when the window is over it matches no more, whichever process has died. It has a beginning too, so that a
//! clock that is set back ends the window rather than drawing it out. Nothing of another program's is named but the one jump. The nat
//! table is touched where a rule translates, and left without a trace of AFO where none does any more.

use super::held::{Count, Held, Led};
use super::hook::{Hook, Table};
use super::restore::Restore;
use super::{Iptables, Laid, check, laid};
use crate::backend::Refused;
use crate::backend::iptables::read;
use crate::backend::meaning::{empty, ordered, twice};
use crate::record::Timestamp;
use crate::rule::Rule;
use crate::rule::ruleset::Ruleset;

/// When a window is open; whole seconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// A chain that nothing leads to: what is there was loaded at boot, without the state.
const BOOTED: &str = "AFO-BOOTED";

/// What of AFO's policy is in a family's tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    filter: Held,
    nat: Held,
    /// The generation that holds without a window.
    pub settled: Option<u64>,
    /// The one that is armed, its window open or over.
    pub pending: Option<(u64, Window)>,
}

impl Live {
    /// Reads what `iptables-save` or `ip6tables-save` prints of the filter and the nat table.
    ///
    /// # Errors
    /// When it cannot be read, or the heads lead to different generations.
    pub fn read(dump: &str) -> Result<Self, String> {
        let ruleset = dumped(dump, "filter")?;
        let mut live = Self::default();
        for table in Table::ALL {
            if let Some(found) = ruleset.tables.iter().find(|found| found.name == table.name()) {
                *live.of_mut(table) = Held::read(table, found)?;
            }
        }
        let pending = live.filter.pending.or(live.nat.pending);
        live.pending = pending.map(|(led, window)| (led.number, window));
        live.settled = live.filter.settled.map(|led| led.number);
        // A confirmation that was cut short between the tables: the older one holds.
        if live.pending.map(|(number, _)| number) == live.settled {
            live.settled = live.settled.and_then(|number| live.before(number));
        }
        Ok(live)
    }

    fn of(&self, table: Table) -> &Held {
        if table == Table::Filter { &self.filter } else { &self.nat }
    }

    fn of_mut(&mut self, table: Table) -> &mut Held {
        if table == Table::Filter { &mut self.filter } else { &mut self.nat }
    }

    /// Whether anything of AFO is there.
    pub fn is_there(&self) -> bool {
        self.filter.is_there() || self.nat.is_there()
    }

    /// Whether every built-in chain leads to AFO's, AFO's to a generation, and that has all its lines.
    pub fn is_whole(&self) -> bool {
        let joined = self.filter.jumps.len() == Table::Filter.hooks().len();
        let complete = |number| {
            let said = self.led(number).count;
            said.is_none_or(|count| count == self.counted(number))
                && Table::ALL.iter().all(|table| table.hooks().iter().all(|hook| self.of(*table).leads(*hook, number)))
        };
        let settled = self.settled.map_or(self.pending.is_some(), complete);
        joined
            && settled
            && !self.filter.has(BOOTED)
            && self.nat.settled.is_none_or(|led| Some(led.number) == self.settled)
    }

    /// The highest generation that is there in any form.
    pub fn highest(&self) -> u64 {
        self.filter.numbers().chain(self.nat.numbers()).max().unwrap_or(0)
    }

    /// The newest generation that is older than one.
    fn before(&self, number: u64) -> Option<u64> {
        self.filter.numbers().filter(|other| *other < number).max()
    }

    fn counted(&self, generation: u64) -> Count {
        Count { filter: self.filter.lines_of(generation), nat: self.nat.lines_of(generation) }
    }

    /// A generation with what is said of it, else with what is there of it.
    fn led(&self, number: u64) -> Led {
        let said = [self.filter.settled, self.filter.pending.map(|(led, _)| led)];
        let said = said.into_iter().flatten().find(|led| led.number == number);
        said.unwrap_or_else(|| Led { number, count: Some(self.counted(number)) })
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

    /// The hooks that the policy has chains at: all of the filter table, and those where something is translated.
    fn hooks(&self, program: Iptables, table: Table) -> Vec<Hook> {
        match table {
            Table::Filter => table.hooks().to_vec(),
            Table::Nat => self.for_program(program).sheet.used(table),
        }
    }

    fn led(&self, program: Iptables) -> Led {
        let laid = self.for_program(program);
        let lines = |table| laid.sheet.lines(table, &self.hooks(program, table), &laid.named).len();
        Led { number: self.generation, count: Some(Count { filter: lines(Table::Filter), nat: lines(Table::Nat) }) }
    }

    /// The text that arms the policy: it holds inside the window, what holds now again after it.
    pub fn arm(&self, program: Iptables, live: &Live, window: Window) -> String {
        let (new, mut restore) = (self.led(program), Restore::new(program));
        for table in Table::ALL {
            // Where something is translated now and nothing in the window, the window leads to an empty chain.
            let mut hooks = self.hooks(program, table);
            let there = |hook: &&Hook| !hooks.contains(hook) && live.of(table).has(hook.chain().0);
            let more: Vec<Hook> = table.hooks().iter().filter(there).copied().collect();
            self.chains(program, table, &hooks, &more, &mut restore);
            hooks.extend(more);
            for hook in &hooks {
                restore.lead(*hook, new, Some(window));
                live.lead(*hook, live.settled, &mut restore);
            }
            live.join(table, &hooks, &mut restore);
        }
        restore.text()
    }

    /// What takes the policy back where it was armed on what is there, for people to read.
    pub fn taken_back(&self, program: Iptables, live: &Live) -> String {
        let (mut armed, laid) = (live.clone(), self.for_program(program));
        for table in Table::ALL {
            let hooks = self.hooks(program, table);
            let held = armed.of_mut(table);
            let heads = hooks.iter().map(|hook| hook.chain().0.to_owned()).filter(|name| !held.has(name));
            let new: Vec<String> = heads.chain(laid.sheet.declared(table, &hooks)).collect();
            held.chains.extend(new.into_iter().map(|name| (name, Vec::new())));
            held.jumps = table.hooks().iter().filter(|hook| held.has(hook.chain().0)).copied().collect();
        }
        armed.revert(program, self.generation)
    }

    /// The text that puts the policy in place of what holds, at once; what it leaves behind goes afterwards.
    pub fn install(&self, program: Iptables, live: &Live) -> String {
        let (new, mut restore) = (self.led(program), Restore::new(program));
        for table in Table::ALL {
            let hooks = self.hooks(program, table);
            self.chains(program, table, &hooks, &[], &mut restore);
            hooks.iter().for_each(|hook| restore.lead(*hook, new, None));
            live.join(table, &hooks, &mut restore);
            let gone: Vec<Hook> = table.hooks().iter().filter(|hook| !hooks.contains(hook)).copied().collect();
            live.leave(table, &gone, self.generation, &mut restore);
        }
        restore.text() + &sweep(program, live, Some(self.generation))
    }

    /// The text that brings the policy back at boot, on a host that has nothing of AFO; a mark says that the blocks are still to come
    /// ([`Live::is_whole`]).
    pub fn boot(&self, program: Iptables) -> String {
        let filter = format!("*{}\n", Table::Filter.name());
        self.install(program, &Live::default()).replacen(&filter, &format!("{filter}:{BOOTED} - [0:0]\n"), 1)
    }

    /// Begins a table with heads and the generation's chains and lines; `more` are hooks at which it has an empty chain.
    fn chains(&self, program: Iptables, table: Table, hooks: &[Hook], more: &[Hook], restore: &mut Restore) {
        let laid = self.for_program(program);
        restore.table(table.name());
        hooks.iter().chain(more).for_each(|hook| restore.declare(hook.chain().0));
        more.iter().for_each(|hook| restore.declare(&hook.generation(self.generation)));
        laid.sheet.declared(table, hooks).iter().for_each(|name| restore.declare(name));
        for (_, line) in laid.sheet.lines(table, hooks, &laid.named) {
            restore.line(line);
        }
    }
}

impl Live {
    /// Has AFO's chain of a hook lead to a generation that is there.
    fn lead(&self, hook: Hook, to: Option<u64>, restore: &mut Restore) {
        let at = |number: &u64| hook.table() == Table::Filter || self.nat.has(&hook.generation(*number));
        to.into_iter().filter(at).for_each(|number| restore.lead(hook, self.led(number), None));
    }

    /// Has built-in chains lead to AFO's where they do not.
    fn join(&self, table: Table, hooks: &[Hook], restore: &mut Restore) {
        hooks.iter().filter(|hook| !self.of(table).jumps.contains(hook)).for_each(|hook| restore.join(*hook));
    }

    /// Takes AFO out of hooks at which a generation has nothing.
    fn leave(&self, table: Table, hooks: &[Hook], generation: u64, restore: &mut Restore) {
        let held = self.of(table);
        hooks.iter().filter(|hook| held.jumps.contains(hook)).for_each(|hook| restore.part(*hook));
        let chains = hooks.iter().flat_map(|hook| [hook.chain().0.to_owned(), hook.generation(generation)]);
        let there: Vec<String> = chains.filter(|name| held.has(name)).collect();
        restore.delete(&there.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// The text that makes what is armed what holds; nothing where nothing is armed.
    pub fn confirm(&self, program: Iptables) -> String {
        let Some((new, _)) = self.pending else { return String::new() };
        self.lead_to(program, new) + &sweep(program, self, Some(new))
    }

    /// The text that takes generation `gone` out and leaves what held before it; nothing where it is not there.
    pub fn revert(&self, program: Iptables, gone: u64) -> String {
        match self.settled.filter(|settled| *settled != gone).or_else(|| self.before(gone)) {
            _ if self.highest() < gone => String::new(),
            Some(old) => self.lead_to(program, old) + &sweep(program, self, Some(old)),
            None => self.remove(program),
        }
    }

    fn lead_to(&self, program: Iptables, number: u64) -> String {
        let mut restore = Restore::new(program);
        for table in Table::ALL {
            let empty = |hook: &Hook| self.of(table).is_empty_at(*hook, number);
            let (kept, gone): (Vec<Hook>, Vec<Hook>) =
                table.hooks().iter().partition(|hook| table == Table::Filter || !empty(hook));
            restore.table(table.name());
            kept.iter().for_each(|hook| restore.declare(hook.chain().0));
            kept.iter().for_each(|hook| self.lead(*hook, Some(number), &mut restore));
            if table == Table::Nat {
                self.join(table, &kept, &mut restore);
            }
            self.leave(table, &gone, number, &mut restore);
        }
        restore.text()
    }

    /// The text that takes all of AFO out.
    pub fn remove(&self, program: Iptables) -> String {
        self.each_table(program, |table, restore| self.of(table).remove(restore))
    }

    /// AFO's own chains as text that puts them back where they are not.
    pub fn backup(&self, program: Iptables) -> String {
        let jumpless = |held: &Held| Held { jumps: Vec::new(), ..held.clone() };
        self.back_from(program, &Self { filter: jumpless(&self.filter), nat: jumpless(&self.nat), ..self.clone() })
    }

    /// The text that puts AFO's own chains back as they are here, where `now` is what is there.
    pub fn back_from(&self, program: Iptables, now: &Self) -> String {
        self.each_table(program, |table, restore| self.of(table).back_from(table, now.of(table), restore))
    }

    fn each_table(&self, program: Iptables, write: impl Fn(Table, &mut Restore)) -> String {
        let mut restore = Restore::new(program);
        for table in Table::ALL {
            restore.table(table.name());
            write(table, &mut restore);
        }
        restore.text()
    }
}

/// Deletes generations other than `kept`.
fn sweep(program: Iptables, live: &Live, kept: Option<u64>) -> String {
    let mut restore = Restore::afterwards(program);
    for table in Table::ALL {
        restore.table(table.name());
        let booted = live.of(table).has(BOOTED).then_some(BOOTED);
        restore.delete(&live.of(table).stale(kept).into_iter().chain(booted).collect::<Vec<_>>());
    }
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
        assert!(text.contains("-A AFO-INPUT -m time --datestart 2026-01-02T03:04:05 --datestop 2026-01-02T03:04:35 -m comment --comment afo-3-0 -g AFO-g2-INPUT\n-A AFO-INPUT -m comment --comment afo-3-0 -j AFO-g1-INPUT\n"), "{text}");
        assert!(!text.contains("-I INPUT"), "the jump is there");
        let mut armed = after(&text.replace("-j AFO-g1", "-j AFO-g2"));
        armed.filter.chains = [first.filter.chains.clone(), armed.filter.chains].concat();
        armed.filter.settled = first.filter.settled;
        let armed = Live { settled: Some(1), pending: Some((2, open)), ..armed };
        let confirmed = armed.confirm(v4);
        assert!(
            confirmed.contains("-A AFO-INPUT -m comment --comment afo-3-0 -j AFO-g2-INPUT")
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

    const WEB: &str = r#"[{"id": "n", "action": "dnat", "direction": "forward", "protocol": ["tcp"], "destination_port": ["80"], "nat": {"address": "10.0.0.5"}}]"#;

    #[test]
    fn the_nat_table_is_left_without_a_trace() {
        let (v4, v6, none) = (Iptables::V4, Iptables::V6, Live::default());
        let led = Policy::of(&serde_json::from_str::<Vec<Rule>>(WEB).expect("rules"), 1).expect("a policy");
        let text = led.install(v4, &none);
        assert!(text.contains("-A AFO-INPUT -m comment --comment afo-2-1 -j AFO-g1-INPUT\n"), "{text}");
        assert!(text.contains("*nat\n:AFO-PREROUTING - [0:0]\n:AFO-g1-PREROUTING - [0:0]\n"), "{text}");
        assert!(!led.install(v6, &none).contains("*nat"), "the address is of IPv4");
        let live = after(&text);
        assert!(live.is_whole());
        // A window in which nothing is translated leads to an empty chain, and takes all of it away once it is confirmed.
        let bare = Policy::of(&rules("22"), 2).expect("a policy");
        let armed = bare.arm(v4, &live, window("05", "35"));
        assert!(
            armed.contains(":AFO-g2-PREROUTING - [0:0]")
                && armed.contains(
                    "-g AFO-g2-PREROUTING\n-A AFO-PREROUTING -m comment --comment afo-2-1 -j AFO-g1-PREROUTING"
                ),
            "{armed}"
        );
        let installed = bare.install(v4, &live);
        for gone in
            ["-D PREROUTING -m comment --comment afo -j AFO-PREROUTING", "-X AFO-PREROUTING", "-X AFO-g1-PREROUTING"]
        {
            assert!(installed.contains(gone), "{gone}: {installed}");
        }
        assert_eq!(live.remove(v4).matches("-X ").count(), 8);
    }

    #[test]
    fn what_was_loaded_at_boot_is_not_whole_until_its_blocks_are_there() {
        let policy = Policy::of(&rules("22"), 4).expect("a policy");
        let live = after(&policy.boot(Iptables::V6));
        assert_eq!((live.settled, live.is_whole()), (Some(4), false));
        let next = Policy::of(&rules("22"), 5).expect("a policy").install(Iptables::V6, &live);
        assert!(next.contains("-X AFO-BOOTED\n") && next.contains("-X AFO-g4-INPUT\n"), "{next}");
    }

    #[test]
    fn what_somebody_emptied_is_not_whole() {
        let led = Policy::of(&serde_json::from_str::<Vec<Rule>>(WEB).expect("rules"), 1).expect("a policy");
        let text = led.install(Iptables::V4, &Live::default());
        for lost in [
            "-A AFO-g1-INPUT -i lo -m comment --comment afo -j RETURN\n",
            "-A AFO-g1-PREROUTING -p tcp -m tcp --dport 80 -m comment --comment n -j DNAT --to-destination 10.0.0.5\n",
            "-I PREROUTING -m comment --comment afo -j AFO-PREROUTING\n",
            "-I FORWARD -m comment --comment afo -j AFO-FORWARD\n",
            "-A AFO-PREROUTING -m comment --comment afo-2-1 -j AFO-g1-PREROUTING\n",
            "-A AFO-OUTPUT -m comment --comment afo-2-1 -j AFO-g1-OUTPUT\n",
        ] {
            assert!(text.contains(lost), "{lost}: {text}");
            assert!(!after(&text.replace(lost, "")).is_whole(), "{lost}");
        }
        let (filter, _) = text.split_once("*nat").expect("two tables");
        assert!(!after(filter).is_whole(), "the nat table is gone");
        assert!(after(&text.replace("afo-2-1", "afo")).is_whole(), "what another version wrote says no numbers");
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
