//! What is said on stderr: nothing on success, and with -v every line of the run that it is about.

use crate::kernel::in_namespace;
use crate::shell::{Ended, run, sample, sh};
use serde_json::Value;
use std::path::Path;

const STAGES: &[&str] = &["afo-gen", "afo-render", "afo-check", "afo-conflicts", "afo-deploy"];

/// The lines of the log, each a JSON object.
fn log(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// The run that a line of the log carries.
fn run_of(line: &Value) -> Option<&str> {
    line["span"]["run"].as_str().or(line["run"].as_str())
}

fn stage_of(line: &Value) -> &str {
    line["span"]["stage"].as_str().or(line["stage"].as_str()).unwrap_or_else(|| panic!("of no stage: {line}"))
}

/// Every stage said something, and all that was said carries this run.
pub fn carries(log: &[Value], stages: &[&str], wanted: &str) {
    for stage in stages {
        assert!(log.iter().any(|line| stage_of(line) == *stage), "{stage} said nothing: {log:#?}");
    }
    for line in log.iter().filter(|line| line["message"] != "end") {
        assert_eq!(run_of(line), Some(wanted), "{line}");
    }
}

fn pipeline(request: &str, state: &Path, deploy: &str) -> Ended {
    let talk = "--log-format json -v";
    let line = format!(
        "afo-gen {talk} | afo-render {talk} | afo-check {talk} | afo-conflicts {talk} | afo-deploy {talk} --state {} {deploy}",
        state.join("state.db").display()
    );
    sh(&line, state, request.as_bytes())
}

#[test]
fn one_run_from_the_request_to_the_kernel() {
    in_namespace(|_| {
        let dir = tempfile::tempdir().expect("directory");
        let ended = pipeline("block ssh from 203.0.113.0/24 for 1 hour\n", dir.path(), "--confirm=1");
        let run = ended.records()[0]["run"].as_str().expect("a run").to_owned();
        carries(&log(&ended.err), STAGES, &run);
        let asked = r#"{"kind":"request","v":1,"text":"ban 203.0.113.9 for 2 hours","run":"r-7"}"#;
        let ended = pipeline(&format!("{asked}\n"), dir.path(), "--confirm=1");
        assert_eq!(ended.of_kind("deployment")[0]["status"], "confirmed", "{}", ended.err);
        carries(&log(&ended.err), STAGES, "r-7");
    });
}

#[test]
fn what_goes_wrong_carries_the_run_too() {
    let bad = r#"{"kind":"proposal","v":1,"id":"p","run":"r-8","ok":"yes"}"#;
    for stage in ["afo-render", "afo-check", "afo-conflicts", "afo-deploy"] {
        let ended = run(stage, &["--log-format", "json"], format!("{bad}\n").as_bytes());
        let said = log(&ended.err);
        assert_eq!((run_of(&said[0]), said[0]["level"].as_str()), (Some("r-8"), Some("ERROR")), "{}", ended.err);
        assert_eq!(ended.of_kind("error")[0]["run"], "r-8", "{}", ended.text());
    }
    let odd = r#"{"kind":"proposal","v":1,"id":"p","ts":"2026-01-02T03:04:05Z","run":"r-9","ok":true,"rules":[{"id":"a","action":"drop","direction":"input","family":"ipv4","source_address":["2001:db8::1"]}]}"#;
    let ended = run("afo-render", &["--log-format", "json"], format!("{odd}\n").as_bytes());
    carries(&log(&ended.err), &["afo-render"], "r-9");
    assert_eq!(log(&ended.err)[0]["level"], "ERROR");
}

#[test]
fn on_success_nothing_is_said() {
    in_namespace(|_| {
        let dir = tempfile::tempdir().expect("directory");
        let guess = |n| format!("2026-01-02T03:04:05Z gate sshd[{n}]: Invalid user a from 203.0.113.7 port 9\n");
        std::fs::write(dir.path().join("auth.log"), (1..20).map(guess).collect::<String>()).expect("written");
        for line in [
            "afo-watch --once --state none --source auth:auth.log | afo-assess",
            "afo-gen 'ban 203.0.113.9 for 2 hours' | afo-render | afo-check | afo-conflicts",
            "afo-gen 'ban 203.0.113.9 for 2 hours' | afo-deploy --state state.db",
            "afo-ctx",
        ] {
            let ended = sh(line, dir.path(), b"");
            assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)), "{line}");
            assert!(!ended.out.is_empty(), "{line}");
        }
        for stage in ["afo-gen", "afo-render", "afo-check", "afo-conflicts", "afo-assess", "afo-deploy"] {
            let other = format!("{}\n", sample("finding", 0));
            let ended = run(stage, &[], other.as_bytes());
            assert_eq!((ended.err.as_str(), ended.text(), ended.code), ("", other, Some(0)), "{stage}");
        }
    });
}
