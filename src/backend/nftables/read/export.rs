//! A listing as text that nft loads: from what was read of it, so that what loads again is what was understood of its form.
//!
//! What nft's JSON does not say (the devices of a netdev chain, the flags of a table in nft 1.0.6) or what has no text of the same
//! meaning is named as lost, at its place. Nothing here runs nft.

use super::heads::Heads;
use super::listing::{ReadError, Source, object};
use super::node::{Node, Tape};
use super::words::{Words, strings};
use std::collections::HashMap;

/// A ruleset as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exported {
    pub text: String,
    /// What the text does not say, each with its place; the text must not be taken for the ruleset while this is not empty.
    pub lost: Vec<String>,
}

/// Writes the ruleset of a listing (`nft -j list ruleset`) as text for `nft -f`.
///
/// # Errors
/// When it is no listing.
pub fn export(json: &str) -> Result<Exported, ReadError> {
    export_with(json, &Heads::default())
}

/// As [`export`], with what the same ruleset's text says of tables, chains and sets that the JSON leaves out.
///
/// # Errors
/// When it is no listing.
pub fn export_with(json: &str, heads: &Heads) -> Result<Exported, ReadError> {
    let mut all = Tables { heads, all: Vec::new(), numbers: HashMap::new(), chains: HashMap::new(), lost: Vec::new() };
    Source::Text(json).each(&mut |tape| all.element(tape))?;
    Ok(all.written())
}

/// The objects of one table as text, in the order in which nft wants them.
#[derive(Default)]
struct Table {
    head: String,
    /// Counters, limits and the like, sets and maps, flowtables.
    objects: String,
    /// Each chain's head and rules.
    chains: Vec<(String, String)>,
}

struct Tables<'h> {
    heads: &'h Heads,
    all: Vec<Table>,
    numbers: HashMap<String, usize>,
    /// The number of a chain in its table.
    chains: HashMap<(usize, String), usize>,
    lost: Vec<String>,
}

impl Tables<'_> {
    fn element(&mut self, tape: &mut Tape<'_>) {
        let written = match object(tape.root()) {
            Some(("metainfo", _)) => Some(()),
            Some((kind, body)) => self.object(kind, body),
            None => None,
        };
        if written.is_none() {
            self.lost.push(format!("an object that is not known: {}", super::clip(tape.root())));
        }
    }

    fn object(&mut self, kind: &str, body: Node<'_>) -> Option<()> {
        let name = body.text("name").unwrap_or_default();
        let family = body.text("family")?;
        if kind == "table" {
            let table = self.table(family, name);
            if let Some(lines) = self.heads.of_place(&format!("{family} {name}")) {
                lines.for_each(|line| put_line(&mut self.all[table].head, "\t", line));
                return Some(());
            }
            for flag in strings(body.get("flags")) {
                match flag {
                    "dormant" => self.all[table].head.push_str("\tflags dormant;\n"),
                    _ => self.lost.push(format!("table {family} {name}: the flags `{flag}`")),
                }
            }
            return Some(());
        }
        let table_name = body.text("table")?;
        let table = self.table(family, table_name);
        let place = format!("{family} {table_name} {name}");
        let mut words = Words::to_load();
        match kind {
            "chain" => self.chain(table, body, &mut words),
            "rule" => self.rule(table, body, &mut words)?,
            "set" | "map" => write_set(kind, body, self.head(body, kind), &mut words),
            "flowtable" | "ct timeout" | "ct expectation" if self.head(body, kind).is_some() => {
                write_whole(kind, name, self.head(body, kind), &mut words);
            }
            "flowtable" => write_flowtable(body, &mut words),
            _ => write_object(kind, body, &mut words)?,
        }
        if !matches!(kind, "chain" | "rule") {
            self.all[table].objects.push_str(&words.out);
        }
        let number = body.get("handle").and_then(Node::as_u64).map(|n| format!(" handle {n}")).unwrap_or_default();
        let place = if kind == "rule" { format!("{place}{}{number}", body.text("chain")?) } else { place };
        self.lost.extend(words.lost.into_iter().map(|what| format!("{place}: {what}")));
        Some(())
    }

    /// The lines of text before the rules or elements of something in a table.
    fn head(&self, body: Node<'_>, kind: &str) -> Option<Vec<&str>> {
        let (family, table, name) = (body.text("family")?, body.text("table")?, body.text("name")?);
        self.heads.of_place(&format!("{family} {table} {kind} {name}")).map(Iterator::collect)
    }

    fn table(&mut self, family: &str, name: &str) -> usize {
        let head = format!("table {family} {}", name);
        if let Some(at) = self.numbers.get(&head) {
            return *at;
        }
        self.all.push(Table { head: format!("{head} {{\n"), ..Table::default() });
        self.numbers.insert(head, self.all.len() - 1);
        self.all.len() - 1
    }

    fn chain_of(&mut self, table: usize, name: &str) -> usize {
        let chains = &mut self.all[table].chains;
        *self.chains.entry((table, name.to_owned())).or_insert_with(|| {
            chains.push((format!("\tchain {} {{\n", name), String::new()));
            chains.len() - 1
        })
    }

    fn chain(&mut self, table: usize, body: Node<'_>, words: &mut Words) {
        let at = self.chain_of(table, body.text("name").unwrap_or_default());
        if let Some(lines) = self.head(body, "chain") {
            let lines: String = lines.into_iter().flat_map(|line| ["\t\t", line, "\n"]).collect();
            return self.all[table].chains[at].0.push_str(&lines);
        }
        if let (Some(kind), Some(hook)) = (body.text("type"), body.text("hook")) {
            words.put(&format!("\t\ttype {kind} hook {hook}"));
            devices(body, hook, words);
            words.put(&format!(" priority {};", body.get("prio").and_then(Node::as_i64).unwrap_or(0)));
            words.put(&format!(" policy {};\n", body.text("policy").unwrap_or("accept")));
        }
        comment(body, "\t\t", words);
        self.all[table].chains[at].0.push_str(&words.out);
    }

    fn rule(&mut self, table: usize, body: Node<'_>, words: &mut Words) -> Option<()> {
        let at = self.chain_of(table, body.text("chain")?);
        words.put("\t\t");
        words.statements(body.get("expr")?.items()?);
        if let Some(comment) = body.text("comment") {
            words.put(" comment ");
            words.quote(comment);
        }
        words.put("\n");
        self.all[table].chains[at].1.push_str(&words.out);
        Some(())
    }

    fn written(self) -> Exported {
        let mut text = String::new();
        for table in self.all {
            text.push_str(&table.head);
            text.push_str(&table.objects);
            for (head, rules) in table.chains {
                text.push_str(&head);
                text.push_str(&rules);
                text.push_str("\t}\n");
            }
            text.push_str("}\n");
        }
        Exported { text, lost: self.lost }
    }
}

fn put_line(into: &mut String, indent: &str, line: &str) {
    into.push_str(indent);
    into.push_str(line);
    into.push('\n');
}

/// An object as the text has it.
fn write_whole(kind: &str, name: &str, head: Option<Vec<&str>>, words: &mut Words) {
    words.put(&format!("\t{kind} {name} {{\n"));
    // Without one there is no policy, which nft writes as an empty one and does not read.
    let lines = head.into_iter().flatten().filter(|line| *line != "policy = {  }");
    lines.for_each(|line| words.put(&format!("\t\t{line}\n")));
    words.put("\t}\n");
}

fn comment(body: Node<'_>, indent: &str, words: &mut Words) {
    if let Some(text) = body.text("comment") {
        words.put(indent);
        words.put("comment ");
        words.quote(text);
        words.put(";\n");
    }
}

fn devices(body: Node<'_>, hook: &str, words: &mut Words) {
    let names: Vec<_> = strings(body.get("dev")).collect();
    if names.is_empty() {
        if matches!(hook, "ingress" | "egress") {
            words.lost.push("its devices, which the listing does not say".to_owned());
        }
        return;
    }
    words.put(" devices = { ");
    for (n, name) in names.into_iter().enumerate() {
        words.put(if n > 0 { ", " } else { "" });
        words.quote(name);
    }
    words.put(" }");
}

fn write_set(kind: &str, body: Node<'_>, head: Option<Vec<&str>>, words: &mut Words) {
    words.put(&format!("\t{kind} {} {{\n", body.text("name").unwrap_or_default()));
    match head {
        Some(lines) => lines.into_iter().for_each(|line| words.put(&format!("\t\t{line}\n"))),
        None => write_head(body, words),
    }
    if let Some(elements) = body.get("elem") {
        words.put("\t\telements = ");
        words.set(elements);
        words.put("\n");
    }
    words.put("\t}\n");
}

/// What a set is, without the elements.
fn write_head(body: Node<'_>, words: &mut Words) {
    words.put("\t\ttype ");
    let types: Vec<_> = strings(body.get("type")).collect();
    if types.contains(&"integer") || types.is_empty() {
        words.lost.push("the type of its elements, which the listing does not say".to_owned());
    }
    words.put(&types.join(" . "));
    if let Some(data) = body.get("map") {
        words.put(" : ");
        words.put(&strings(Some(data)).collect::<Vec<_>>().join(" . "));
    }
    words.put(";\n");
    let flags: Vec<_> = strings(body.get("flags")).collect();
    if !flags.is_empty() {
        words.put(&format!("\t\tflags {};\n", flags.join(",")));
    }
    for (key, unit) in [("timeout", "s"), ("gc-interval", "s"), ("size", "")] {
        if let Some(number) = body.get(key).and_then(Node::as_u64) {
            words.put(&format!("\t\t{key} {number}{unit};\n"));
        }
    }
    if let Some(policy) = body.text("policy") {
        words.put(&format!("\t\tpolicy {policy};\n"));
    }
    if body.get("auto-merge").and_then(Node::as_bool) == Some(true) {
        words.put("\t\tauto-merge;\n");
    }
    for statement in body.get("stmt").and_then(Node::items).into_iter().flatten() {
        words.put("\t\t");
        match statement.single() {
            Some((kind, inner)) => words.statement(kind, inner),
            None => words.lose(super::clip(statement)),
        }
        words.put(";\n");
    }
    comment(body, "\t\t", words);
}

fn write_flowtable(body: Node<'_>, words: &mut Words) {
    let (name, hook) = (body.text("name").unwrap_or_default(), body.text("hook").unwrap_or("ingress"));
    let priority = body.get("prio").and_then(Node::as_i64).unwrap_or(0);
    words.put(&format!("\tflowtable {} {{\n\t\thook {hook} priority {priority};\n", name));
    let names: Vec<_> = strings(body.get("dev")).collect();
    if !names.is_empty() {
        words.put("\t\tdevices = { ");
        for (n, name) in names.into_iter().enumerate() {
            words.put(if n > 0 { ", " } else { "" });
            words.quote(name);
        }
        words.put(" };\n");
    }
    let flags: Vec<_> = strings(body.get("flags")).collect();
    if !flags.is_empty() {
        words.put(&format!("\t\tflags {};\n", flags.join(",")));
    }
    words.put("\t}\n");
}

/// Counters and other objects that rules name.
fn write_object(kind: &str, body: Node<'_>, words: &mut Words) -> Option<()> {
    words.put(&format!("\t{kind} {} {{\n\t\t", body.text("name")?));
    let over = if body.get("inv").and_then(Node::as_bool) == Some(true) { " over" } else { "" };
    let number = |key: &str| body.get(key).and_then(Node::as_u64);
    match kind {
        "counter" => words.put(&format!("packets {} bytes {}", number("packets")?, number("bytes")?)),
        "quota" => {
            words.put(&format!("{} {} bytes", over.trim_start(), number("bytes")?));
            if let Some(used) = number("used").filter(|used| *used > 0) {
                words.put(&format!(" used {used} bytes"));
            }
        }
        "limit" => words.rate(body, over),
        "ct helper" => {
            words.put("type ");
            words.quote(body.text("type")?);
            words.put(&format!(" protocol {};\n\t\tl3proto {};", body.text("protocol")?, body.text("l3proto")?));
        }
        "ct timeout" => {
            words.put(&format!("protocol {};\n\t\tl3proto {};", body.text("protocol")?, body.text("l3proto")?));
            let policy: Vec<_> =
                body.get("policy")?.entries().map(|(state, time)| format!("{state} : {time}")).collect();
            words.put(&format!("\n\t\tpolicy = {{ {} }};", policy.join(", ")));
        }
        "ct expectation" => {
            words.put(&format!("protocol {};\n\t\tdport {};", body.text("protocol")?, number("dport")?));
            // Milliseconds, as the kernel has them.
            words.put(&format!("\n\t\ttimeout {}ms;\n\t\tsize {};", number("timeout")?, number("size")?));
            words.put(&format!("\n\t\tl3proto {};", body.text("l3proto")?));
        }
        "secmark" => words.quote(body.text("context")?),
        "synproxy" => {
            words.put(&format!("mss {}\n\t\twscale {}\n\t\t", number("mss")?, number("wscale")?));
            let flags: Vec<_> = strings(body.get("flags")).collect();
            words.put(&flags.join(" "));
        }
        _ => return None,
    }
    words.put("\n");
    comment(body, "\t\t", words);
    words.put("\t}\n");
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_FORM: &str = include_str!("../../../../tests/rulesets/every-form.json");

    #[test]
    fn rules_come_back_as_nft_writes_them() {
        let made = export(EVERY_FORM).expect("a listing");
        for line in [
            "table inet t {",
            "\tset a {\n\t\ttype ipv4_addr;\n\t\tflags interval;\n\t\telements = { 10.0.0.0/8, 192.168.1.1-192.168.1.5 }\n",
            "\tmap vm {\n\t\ttype inet_service : verdict;\n",
            "\t\ttype filter hook input priority -10; policy drop;\n",
            "\t\tiifname vmap { \"br*\" : drop, \"eth0\" : jump sub, \"lo\" : accept }\n",
            "\t\tct state \"established\",\"related\" accept\n",
            "\t\tct state { \"established\", \"new\" } accept\n",
            "\t\ttcp flags & (\"fin\"|\"syn\") == \"fin\",\"syn\" drop\n",
            "\t\ttcp flags { \"syn\" | \"ack\", \"syn\" } accept\n",
        ] {
            assert!(made.text.contains(line), "{line}\nis not in\n{}", made.text);
        }
        assert_eq!(made.lost, ["netdev nd ing: its devices, which the listing does not say"]);
    }

    #[test]
    fn what_has_no_text_is_named() {
        let lost = |object: &str| export(&format!("{{\"nftables\":[{object}]}}")).expect("a listing").lost;
        let rule =
            |expr: &str| format!(r#"{{"rule":{{"family":"ip","table":"t","chain":"c","handle":7,"expr":[{expr}]}}}}"#);
        assert_eq!(lost(&rule(r#"{"accept":null}"#)), Vec::<String>::new());
        for (object, words) in [
            (
                rule(r#"{"xt":{"type":"match","name":"mac"}}"#),
                "ip t c handle 7: xt {\"type\":\"match\",\"name\":\"mac\"}",
            ),
            (rule(r#"{"log":{"prefix":"a\"b"}}"#), "ip t c handle 7: the text \"a\\\"b\""),
            (r#"{"table":{"family":"ip","name":"t","flags":"x"}}"#.to_owned(), "table ip t: the flags `x`"),
            (
                r#"{"set":{"family":"ip","name":"s","table":"t","type":"integer"}}"#.to_owned(),
                "ip t s: the type of its elements, which the listing does not say",
            ),
            (
                r#"{"gadget":{"family":"ip","table":"t"}}"#.to_owned(),
                "an object that is not known: {\"gadget\":{\"family\":\"ip\",\"table\":\"t\"}}",
            ),
        ] {
            assert_eq!(lost(&object), [words], "{object}");
        }
    }
}
