//! The words on the wire: schemas equal the types, what is written is read back, and samples once committed parse for ever.

use crate::strategies as any;
use crate::tree::{must_equal, must_hold, read, root};
use afo::record::*;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value;

fn schema_text(kind: &str) -> String {
    let schema = schema(kind).unwrap_or_else(|| panic!("no schema of {kind}"));
    serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n"
}

/// The committed schema of `kind`, ready to judge.
fn validator(kind: &str) -> Validator {
    let text = schema_text(kind);
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    jsonschema::validator_for(&schema).unwrap_or_else(|e| panic!("the schema of {kind} is none: {e}"))
}

/// What the schema has against a line.
fn complaints(validator: &Validator, line: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(line).expect("JSON");
    validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn schemas_equal_the_types() {
    let directory = root().join("schemas");
    for kind in KINDS {
        must_equal(&directory.join(format!("{kind}.schema.json")), &schema_text(kind));
    }
    let config = serde_json::to_string_pretty(&afo::cli::config::Config::schema()).expect("a schema is JSON") + "\n";
    must_equal(&directory.join("config.schema.json"), &config);
    let names = KINDS.iter().chain(&["config"]).map(|kind| format!("{kind}.schema.json"));
    must_hold(&directory, "json", &names.collect::<Vec<_>>());
}

/// Reads a sample as its type, writes it and reads it again.
fn survives<R: Record + PartialEq + std::fmt::Debug>(line: &str) {
    let record: R = parse(line).unwrap_or_else(|e| panic!("{e}\n{line}"));
    let again: R = parse(&to_line(&record)).expect("what was written");
    assert_eq!(record, again);
}

fn survives_as(kind: &str, line: &str) {
    match kind {
        "alert" => survives::<Alert>(line),
        "answer" => survives::<Answer>(line),
        "assessment" => survives::<Assessment>(line),
        "backend_check" => survives::<BackendCheck>(line),
        "backend_reply" => survives::<BackendReply>(line),
        "backend_request" => survives::<BackendRequest>(line),
        "choice" => survives::<Choice>(line),
        "context" => survives::<Context>(line),
        "deployment" => survives::<Deployment>(line),
        "error" => survives::<ErrorRecord>(line),
        "event" => survives::<Event>(line),
        "finding" => survives::<Finding>(line),
        "proposal" => survives::<Proposal>(line),
        "question" => survives::<Question>(line),
        "request" => survives::<Request>(line),
        _ => panic!("add the new kind `{kind}` to this table and to the property tests below"),
    }
}

#[test]
fn samples_parse_for_ever_and_answer_to_the_schema() {
    let directory = root().join("tests/records/v1");
    for kind in KINDS {
        let (text, validator) = (read(&directory.join(format!("{kind}.jsonl"))), validator(kind));
        assert!(text.lines().count() >= 2, "{kind}: one full and one bare sample at least");
        for line in text.lines() {
            assert_eq!(peek(line).expect(line).kind, *kind);
            survives_as(kind, line);
            assert_eq!(complaints(&validator, line), [""; 0], "{line}");
        }
    }
    must_hold(&directory, "jsonl", &KINDS.iter().map(|kind| format!("{kind}.jsonl")).collect::<Vec<_>>());
}

/// Every field that a type has is used by a sample, so that no later change of its form goes unseen.
#[test]
fn samples_use_every_field() {
    for kind in KINDS {
        let text = read(&root().join(format!("tests/records/v1/{kind}.jsonl")));
        let samples: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let schema = serde_json::to_value(schema(kind).expect("a schema")).expect("JSON");
        let fields = schema["properties"].as_object().expect("properties").keys();
        let unused: Vec<_> = fields.filter(|name| samples.iter().all(|s| s.get(name).is_none())).collect();
        assert!(unused.is_empty(), "tests/records/v1/{kind}.jsonl: no sample has {unused:?}");
    }
}

#[test]
fn a_rule_comes_back() {
    let config = ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&any::rule().boxed(), |rule| {
        let text = serde_json::to_string(&rule).expect("a rule is JSON");
        let again: Rule = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(again, rule);
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_schema_refuses_what_the_type_refuses() {
    for (kind, line) in [
        ("request", r#"{"kind":"request","v":1}"#),
        ("request", r#"{"kind":"event","v":1,"text":"x"}"#),
        ("alert", r#"{"kind":"alert","v":1,"level":"huge","message":"m"}"#),
        ("choice", r#"{"kind":"choice","v":1,"question":7,"option":"a"}"#),
    ] {
        assert_ne!(complaints(&validator(kind), line), [""; 0], "{line}");
    }
}

/// `parse(write(x)) == x`, and what is written answers to the schema.
macro_rules! comes_back {
    ($($name:ident: $type:ty = $strategy:expr, $cases:literal;)+) => { $(
        #[test]
        fn $name() {
            let validator = validator(<$type>::KIND);
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: $cases, failure_persistence: None, ..ProptestConfig::default() });
            let outcome = runner.run(&$strategy, |record| {
                let line = to_line(&record);
                prop_assert!(!line.contains('\n'));
                prop_assert_eq!(complaints(&validator, &line), Vec::<String>::new());
                let again: $type = parse(&line).map_err(|e| TestCaseError::fail(e.to_string()))?;
                prop_assert_eq!(&again, &record);
                prop_assert_eq!(to_line(&again), line);
                Ok(())
            });
            outcome.unwrap_or_else(|e| panic!("{e}"));
        }
    )+ };
}

comes_back! {
    an_alert_comes_back: Alert = any::alert(), 128;
    an_answer_comes_back: Answer = any::answer(), 128;
    an_assessment_comes_back: Assessment = any::assessment(), 128;
    a_backend_check_comes_back: BackendCheck = any::backend_check(), 64;
    a_backend_reply_comes_back: BackendReply = any::backend_reply(), 128;
    a_backend_request_comes_back: BackendRequest = any::backend_request(), 32;
    a_choice_comes_back: Choice = any::choice(), 64;
    a_context_comes_back: Context = any::context(), 32;
    a_deployment_comes_back: Deployment = any::deployment(), 128;
    an_error_comes_back: ErrorRecord = any::error(), 128;
    an_event_comes_back: Event = any::event(), 128;
    a_finding_comes_back: Finding = any::finding(), 128;
    a_proposal_comes_back: Proposal = any::proposal(), 32;
    a_question_comes_back: Question = any::question(), 128;
    a_request_comes_back: Request = any::request(), 128;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_makes_the_reader_panic(line in prop_oneof![any::text(), r#"\{("kind":"[a-z]{0,9}",?)?.{0,40}\}?"#]) {
        if let Ok(head) = peek(&line) {
            let value: Result<Value, _> = serde_json::from_str(&line);
            prop_assert!(value.is_ok_and(|v| v.is_object() && v["kind"] == *head.kind), "peek took what is no object");
        }
        let _ = (parse::<Proposal>(&line), parse::<Context>(&line), parse::<Event>(&line));
    }
}
