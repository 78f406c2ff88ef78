//! `afo-sim reach`: which packets of a question get through; and zones against services.

use super::Args;
use crate::analyze::{Names, Query, passages, reach};
use crate::cli::{Exit, Failure, Out, Shell, for_terminal};
use crate::record::{Answer, FateClass};

/// The services of the matrix where none are named.
const SERVICES: [&str; 5] = ["ssh", "dns", "http", "https", "smtp"];

/// Answers the question of the arguments.
pub(super) fn run(args: &Args, words: &[String], shell: &Shell) -> Result<Exit, Failure> {
    let ruleset = args.ruleset()?;
    let query = Query::parse(&words.join(" "), &args.names(shell, &ruleset)?).map_err(|e| {
        Failure::undecided(e.to_string()).hint("a question is like: from guest to 10.10.0.0/24 proto tcp port 22")
    })?;
    let answer = reach(&ruleset, &query, args.budget());
    let mut out = shell.out();
    if answer.verdict.as_deref() != Some("accept") {
        out.ends(Exit::No);
    }
    out.record(&answer);
    shell.close(&mut out)
}

/// One line of the matrix: from whom to whom, and a class for each service.
struct Row {
    pair: String,
    cells: Vec<FateClass>,
}

/// Puts out which services of each zone are open to each.
pub(super) fn matrix(args: &Args, services: &[String], shell: &Shell) -> Result<Exit, Failure> {
    let ruleset = args.ruleset()?;
    let names = args.names(shell, &ruleset)?;
    let services: Vec<String> = match services.is_empty() {
        true => names.own_services().map(str::to_owned).chain(SERVICES.map(str::to_owned)).collect(),
        false => services.to_vec(),
    };
    let zones: Vec<&str> = names.zones().collect();
    if zones.is_empty() {
        let hint = "name them in the configuration, [names.zones], or give a --context";
        return Err(Failure::undecided("there are no zones to ask about").hint(hint));
    }
    let mut rows = Vec::new();
    for from in &zones {
        for to in zones.iter().copied().chain(["this-host"]).filter(|to| to != from) {
            let pair = format!("from {from} to {to}");
            let questions = questions(&pair, &services, &names)?;
            rows.push(Row { pair, cells: passages(&ruleset, &questions, args.budget()) });
        }
    }
    put_out(&rows, &services, shell)
}

fn questions(pair: &str, services: &[String], names: &Names) -> Result<Vec<Query>, Failure> {
    let each = services.iter().map(|service| Query::parse(&format!("{pair} service {service}"), names));
    each.collect::<Result<_, _>>().map_err(|e| Failure::undecided(e.to_string()))
}

fn put_out(rows: &[Row], services: &[String], shell: &Shell) -> Result<Exit, Failure> {
    let mut out = shell.out();
    if rows.iter().flat_map(|row| &row.cells).any(|cell| cell.verdict == "unknown") {
        out.ends(Exit::No);
    }
    match out.is_text() {
        true => table(rows, services, &mut out),
        false => rows.iter().for_each(|row| out.record(&row.answer())),
    }
    shell.close(&mut out)
}

impl Row {
    fn answer(&self) -> Answer {
        let open: Vec<_> = self.cells.iter().filter(|cell| cell.verdict != "drop").collect();
        let text = match open.len() {
            0 => "none of these services is open".to_owned(),
            count => format!("{count} of {} services are open, in part at least", self.cells.len()),
        };
        Answer { text, request: Some(self.pair.clone()), classes: self.cells.clone(), ..Answer::default() }
    }
}

fn word(cell: &FateClass) -> &str {
    match cell.verdict.as_str() {
        "accept" => "yes",
        "drop" => "-",
        "part" => "part",
        _ => "?",
    }
}

/// The matrix in columns: `yes`, `-` for no, `part`, `?` for what is not known.
fn table(rows: &[Row], services: &[String], out: &mut Out) {
    let style = out.style();
    let first = rows.iter().map(|row| row.pair.chars().count()).max().unwrap_or(0);
    let head: String = services.iter().map(|name| format!("  {name:>5}")).collect();
    out.text(&style.bold(&format!("{:first$}{head}", "")));
    for row in rows {
        let cells = row.cells.iter().zip(services).map(|(cell, name)| {
            let padded = format!("  {:>width$}", word(cell), width = name.chars().count().max(5));
            match cell.verdict.as_str() {
                "accept" => style.good(&padded),
                "drop" => style.dim(&padded),
                _ => style.warn(&padded),
            }
        });
        let cells: String = cells.collect();
        out.text(&format!("{:first$}{cells}", for_terminal(&row.pair)));
    }
}
