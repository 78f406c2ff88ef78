//! What AFO has in the kernel, for people and programs.

use super::backend::Backend;
use super::recover::with_blocks;
use super::site::{Site, failure};
use super::split::standing;
use crate::cli::{Exit, Failure, Out, Shell, Style};
use crate::cmd::status::counted;
use crate::deploy::Kernel;
use crate::record::Timestamp;
use crate::state::{Block, DeploymentRow};
use crate::sys::clock;
use serde_json::{Value, json};

/// `afo-deploy status`: the window that is open, the live generation, how much there is.
pub fn status(shell: &Shell) -> Result<Exit, Failure> {
    let site = Site::look(shell)?;
    let now = clock::now();
    let live = with_blocks(&site, site.backend.observe()?)?;
    let waiting = site.state.unfinished().map_err(failure)?;
    let rules = site.state.policy_rules().map_err(failure)?.len();
    let blocks = site.state.live_blocks(now).map_err(failure)?.len();
    let mut out = shell.out();
    if out.is_text() {
        let style = out.style();
        out.text(&status_text(site.backend, &live, &waiting, rules, blocks, now, style));
    } else {
        waiting.iter().for_each(|row| out.record(&row.record()));
        let generation = json!({ "live": live.settled, "armed": live.window });
        let line = json!({ "kind": "status", "v": 1, "table": live.whole, "generation": generation, "rules": rules, "blocks": blocks });
        out.line(&line.to_string());
    }
    shell.close(&mut out)
}

fn status_text(
    backend: &dyn Backend,
    live: &Kernel,
    waiting: &[DeploymentRow],
    rules: usize,
    blocks: usize,
    now: Timestamp,
    s: Style,
) -> String {
    let mut lines = Vec::new();
    let (what, place) = (if backend.is_of_this_kernel() { "table" } else { "part" }, backend.place());
    lines.push(match (live.whole, live.settled) {
        (false, _) => format!("AFO has no {what} in {place}, or not all of it"),
        (true, None) => format!("AFO's {what} is in {place}, without rules"),
        (true, Some(generation)) => format!("AFO's {what} is in {place}, generation {generation}"),
    });
    lines.push(format!("confirmed: {}; standing: {}", counted(rules, "rule"), counted(blocks, "block")));
    for row in waiting {
        let left = row.confirm_by.map_or(0, |by| by.duration_since(now).as_secs().max(0));
        lines.push(s.warn(&format!(
            "deployment {} is {}: {left} s left to `afo-deploy confirm {}`",
            row.id, row.status, row.id
        )));
    }
    if waiting.is_empty() {
        lines.push("nothing waits for a confirmation".to_owned());
    }
    lines.join("\n")
}

/// `afo-deploy list`: rules and blocks with counters, remaining time and reason.
pub fn list(shell: &Shell) -> Result<Exit, Failure> {
    let site = Site::look(shell)?;
    let now = clock::now();
    let counters = site.backend.counters()?;
    let uncounted = if site.backend.is_of_this_kernel() { "not in the kernel" } else { "not counted" };
    let mut out = shell.out();
    for policy in standing(&site.state.policy_rules().map_err(failure)?, now) {
        let hits = counters.get(policy.rule.id.as_str()).copied();
        let left = policy.rule.ttl_seconds;
        let line = json!({
            "kind": "rule", "v": 1, "rule": policy.rule, "deployment": policy.deployment, "packets": hits, "remaining_seconds": left,
        });
        let words = || rule_words(&line, hits, uncounted, left);
        put(&mut out, &line, words);
    }
    for block in site.state.live_blocks(now).map_err(failure)? {
        let line = json!({
            "kind": "block", "v": 1, "direction": block.direction.as_str(), "address": block.address, "protocol": block.protocol, "ports": block.ports,
            "since": block.since, "until": block.until, "remaining_seconds": block.remaining(now), "reason": block.reason,
            "offence": block.offence, "assessment": block.assessment, "run": block.run, "deployment": block.deployment,
        });
        put(&mut out, &line, || block_words(&block, now));
    }
    shell.close(&mut out)
}

fn put(out: &mut Out, line: &Value, words: impl Fn() -> String) {
    if out.is_text() {
        let text = out.style().plain(&words());
        out.text(&text);
    } else {
        out.line(&line.to_string());
    }
}

fn rule_words(line: &Value, hits: Option<u64>, uncounted: &str, left: Option<u64>) -> String {
    let hits = hits.map_or_else(|| uncounted.to_owned(), |n| format!("{n} packets"));
    let left = left.map(|s| format!(", {s} s left")).unwrap_or_default();
    let rule = &line["rule"];
    format!(
        "rule {} {} {} ({hits}{left})",
        rule["id"].as_str().unwrap_or(""),
        rule["direction"].as_str().unwrap_or(""),
        rule["action"].as_str().unwrap_or("")
    )
}

fn block_words(block: &Block, now: Timestamp) -> String {
    let port = block.protocol.map(|p| format!(" {p}")).unwrap_or_default();
    let ports: Vec<String> = block.ports.iter().map(ToString::to_string).collect();
    let left = block.remaining(now).map_or("without end".to_owned(), |s| format!("{s} s left"));
    format!(
        "block {} {}{port}{}{} {left}: {}",
        block.direction.as_str(),
        block.address,
        if ports.is_empty() { "" } else { "/" },
        ports.join(","),
        block.reason
    )
}
