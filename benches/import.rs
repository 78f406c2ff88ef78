//! Reading `nft -j list ruleset` of many rules, beside what `serde_json` takes to parse the same bytes into a tree.
//!
//! `cargo bench --bench import [RULES]`; ends with an error where the reader takes more than twice as long.

#![allow(clippy::disallowed_macros)] // a bench prints what it measured

use afo::backend::nftables::read;
use serde_json::{Value, json};
use std::fmt::Write;
use std::hint::black_box;

/// A listing of rules with addresses, ports, states and comments, as nft writes it.
fn listing(rules: usize) -> String {
    let mut text = String::from(
        r#"{"nftables":[{"metainfo":{"version":"1.0.6","json_schema_version":1}},{"table":{"family":"inet","name":"t","handle":1}},{"chain":{"family":"inet","table":"t","name":"c","handle":1,"type":"filter","hook":"input","prio":0,"policy":"drop"}}"#,
    );
    for n in 0..rules {
        let port = 1024 + n % 60_000;
        let verdict = if n % 3 == 0 { "drop" } else { "accept" };
        let payload = |protocol: &str, field: &str| json!({"payload": {"protocol": protocol, "field": field}});
        let right = match n % 4 {
            0 => json!(port),
            1 => json!({"range": [port, port + 9]}),
            2 => json!({"set": [22, 80, port]}),
            _ => json!(443),
        };
        let source = json!({"prefix": {"addr": format!("10.{}.{}.0", n / 256 % 256, n % 256), "len": 24}});
        let expr = json!([
            {"match": {"op": "==", "left": payload("ip", "saddr"), "right": source}},
            {"match": {"op": "==", "left": payload("ip", "daddr"), "right": format!("192.0.2.{}", n % 256)}},
            {"match": {"op": "==", "left": payload("tcp", "dport"), "right": right}},
            {"counter": {"packets": n, "bytes": n * 60}},
            {verdict: null},
        ]);
        let rule = json!({"rule": {"family": "inet", "table": "t", "chain": "c", "handle": n + 2, "expr": expr}});
        write!(text, ",{rule}").expect("a string takes everything");
    }
    text + "]}"
}

/// User and system time of this process so far, in seconds.
fn seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The shortest of three runs.
fn shortest<T>(mut run: impl FnMut() -> T) -> f64 {
    let once = |_| {
        let began = seconds();
        let made = black_box(run());
        let took = seconds() - began;
        drop(made);
        took
    };
    (0..3).map(once).fold(f64::INFINITY, f64::min)
}

fn main() {
    let rules = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(100_000);
    let text = listing(rules);
    let tree = shortest(|| serde_json::from_str::<Value>(&text).expect("JSON"));
    let own = shortest(|| read(&text).expect("a listing"));
    let megabytes = text.len() as f64 / 1e6;
    println!("import of {rules} rules ({megabytes:.1} MB): {:.0} ms", own * 1000.0);
    println!("  serde_json into a Value: {:.0} ms; the reader takes {:.2} times as long", tree * 1000.0, own / tree);
    assert!(own <= 2.0 * tree, "the reader takes more than twice as long as parsing alone");
}
