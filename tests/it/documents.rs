//! Rules as documents of AWS, Azure and GCP, and as commands that make them: what is written is read back as what the rules say, for every
//! packet there can be.

use afo::analyze::{Budget, Wanted, diff};
use afo::backend::document::quoted;
use afo::backend::{Backend, Document, Extent, named};
use afo::rule::ruleset::{Base, Hook, Ruleset};
use afo::rule::{OneOf, Rule};
use proptest::prelude::*;
use serde_json::{Value, json};

fn rule(id: &str, fields: Value) -> Rule {
    let mut all = json!({"id": id, "action": "accept", "direction": "input"});
    all.as_object_mut().expect("object").extend(fields.as_object().expect("object").clone());
    serde_json::from_value(all).unwrap_or_else(|e| panic!("{fields}: {e}"))
}

fn model(backend: &str, rules: &[Rule]) -> Result<Ruleset, String> {
    let backend: &dyn Backend = named(backend).expect("a backend");
    let joined = |refused: Vec<afo::backend::Refused>| refused.iter().map(ToString::to_string).collect::<String>();
    backend.model(&backend.render(rules, Extent::Rules).map_err(joined)?)
}

/// The rules in nftables on a host that lets loopback and answers pass, and denies in these directions what no rule decides.
fn expected(rules: &[Rule], denies: &[Hook]) -> Ruleset {
    let spared = [
        rule("lo-in", json!({"interface_in": ["lo"]})),
        rule("lo-out", json!({"direction": "output", "interface_out": ["lo"]})),
        rule("answers-in", json!({"connection_state": ["established", "related"]})),
        rule("answers-out", json!({"direction": "output", "connection_state": ["established", "related"]})),
    ];
    // There every packet that belongs to no connection begins one.
    let stateless = rules.iter().map(|rule| Rule { connection_state: OneOf::any(), ..rule.clone() });
    let all: Vec<Rule> = spared.into_iter().chain(stateless).collect();
    let mut ruleset = model("nftables", &all).expect("nftables has them all");
    let bases = ruleset.tables.iter_mut().flat_map(|table| &mut table.chains).filter_map(|chain| chain.base.as_mut());
    let closes = |base: &&mut Base| denies.contains(&base.hook);
    bases.filter(closes).for_each(|base| base.drops = true);
    ruleset
}

/// Why a document does not say what the rules say.
fn differs(backend: &str, rules: &[Rule]) -> Option<String> {
    let (both, inward) = ([Hook::Input, Hook::Output], [Hook::Input]);
    let close = |direction: &str| rule(&format!("last-{direction}"), json!({"action": "drop", "direction": direction}));
    let (denies, last) = match backend {
        // Azure's own last denial stands behind what its tags let pass.
        "azure" => (&both[..], vec![close("input"), close("output")]),
        "aws" => (&both[..], vec![close("input"), close("output")]),
        _ => (&inward[..], vec![close("input")]),
    };
    let written: Vec<Rule> = rules.iter().cloned().chain(last).collect();
    let found = match model(backend, &written) {
        Ok(found) => found,
        Err(why) => return Some(why),
    };
    let answer = diff(&found, &expected(rules, denies), Wanted::Witness, Budget::default());
    let equal = answer.verdict.as_deref() == Some("equal");
    let lines: Vec<String> = rules.iter().map(Rule::to_line).collect();
    (!equal).then(|| format!("{backend}: {}\n{:#?}\n{lines:#?}", answer.text, answer.classes))
}

/// Accepting rules with what every kind of document knows; without `icmp` none of ICMP's types.
fn accepting(icmp: bool) -> impl Strategy<Value = Vec<Rule>> {
    let far = prop_oneof![
        Just(json!([])),
        Just(json!(["203.0.113.0/24"])),
        Just(json!(["192.0.2.4-192.0.2.9", "2001:db8::/48"])),
        Just(json!(["!198.51.100.0/25"])),
        Just(json!(["2001:db8::7"])),
    ];
    let mut traffic = vec![
        json!({}),
        json!({"protocol": ["tcp"]}),
        json!({"protocol": ["tcp"], "destination_port": ["22", "8000-8100"]}),
        json!({"protocol": ["tcp", "udp"], "destination_port": ["53"]}),
        json!({"destination_port": ["!1-1023"]}),
        json!({"protocol": ["tcp"], "connection_state": ["new"]}),
    ];
    if icmp {
        traffic.extend([
            json!({"protocol": ["icmp"], "icmp_type": ["8"]}),
            json!({"protocol": ["icmpv6"], "icmp_type": ["128", "1/4"]}),
            json!({"protocol": ["gre"]}),
        ]);
    }
    let one = (far, prop::sample::select(traffic), any::<bool>());
    prop::collection::vec(one, 1..4).prop_map(|all| {
        let rule_of = |(n, (far, traffic, inward)): (usize, (Value, Value, bool))| {
            let (direction, field) =
                if inward { ("input", "source_address") } else { ("output", "destination_address") };
            let mut fields = traffic;
            fields["direction"] = json!(direction);
            fields[field] = far;
            rule(&format!("r{n}"), fields)
        };
        let rules = all.into_iter().enumerate().map(rule_of);
        // Nobody can have IPv6 of a type of ICMP.
        rules.filter(|rule| model("nftables", std::slice::from_ref(rule)).is_ok()).collect()
    })
}

/// What a shell makes of a script: the words of each command that it runs, all programs in it replaced by one that prints them.
fn run(script: &str) -> Vec<Vec<String>> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let spy = "spy() { printf '%s\\0' \"$@\"; printf '\\n\\0'; }\naws() { spy aws \"$@\"; }\naz() { spy az \"$@\"; }\ngcloud() { spy gcloud \"$@\"; }\n";
    let mut shell = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    let text = format!("{spy}{script}");
    shell.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let told = shell.wait_with_output().expect("an end");
    assert!(told.status.success(), "{script}");
    let words = String::from_utf8(told.stdout).expect("UTF-8");
    let mut commands = vec![Vec::new()];
    for word in words.split_terminator('\0') {
        match word {
            "\n" => commands.push(Vec::new()),
            word => commands.last_mut().expect("one").push(word.to_owned()),
        }
    }
    commands.pop();
    commands
}

/// The rules as commands, beside the document that says the same.
fn commands(backend: &str, rules: &[Rule], target: Option<&str>) -> (String, String) {
    let document = Document::named(backend).expect("a kind");
    let native = document.render(rules, Extent::Rules).expect("rendered");
    (document.commands(&native, target).expect("commands"), native.text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_security_group_says_what_the_rules_say(rules in accepting(true)) {
        prop_assert_eq!(differs("aws", &rules), None);
    }

    #[test]
    fn other_documents_say_what_the_rules_say(rules in accepting(false)) {
        for backend in ["azure", "gcp"] {
            prop_assert_eq!(differs(backend, &rules), None);
        }
    }

    #[test]
    fn commands_make_the_document(rules in accepting(false)) {
        for backend in ["aws", "azure", "gcp"] {
            let (script, text) = commands(backend, &rules, None);
            let document = Document::named(backend).expect("a kind");
            let (made, said) = (document.read(&script), document.read(&text).expect("a document"));
            // Of no rules there is no command.
            prop_assert!(rules.is_empty() || made.is_ok_and(|made| made == said), "{}", script);
        }
    }

    #[test]
    fn no_name_becomes_another_word(name in "[a-z ._:/()#,@\\[\\]+=&;{}!$*-]{1,40}", rules in accepting(true)) {
        let target = format!("x{name}");
        let (script, _) = commands("aws", &rules, Some(&target));
        for words in run(&script) {
            let at = words.iter().position(|word| word == "--group-name").expect("a group");
            prop_assert_eq!((&words[at + 1], words.len()), (&target, 7), "{}", script);
        }
    }

    #[test]
    fn a_shell_reads_what_is_quoted(all in prop::collection::vec("(?s)[^\\x00]{0,16}", 1..5)) {
        let line = all.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let heard = run(&format!("aws {line}\n"));
        prop_assert_eq!(&heard[0][1..], &all[..]);
    }
}

#[test]
fn a_shell_runs_what_is_read() {
    let rules = [rule(
        "a",
        json!({"protocol": ["tcp"], "destination_port": ["22", "80-90"], "source_address": ["203.0.113.0/24", "2001:db8::/32"]}),
    )];
    for (backend, program, target, count) in
        [("aws", "aws", "sg-0a1b", 4), ("azure", "az", "office/web", 2), ("gcp", "gcloud", "prod/web", 2)]
    {
        let (script, _) = commands(backend, &rules, Some(target));
        let heard = run(&script);
        assert_eq!(heard.len(), count, "{script}");
        assert!(
            heard.iter().all(|words| words[0] == program && !words.iter().any(|word| word.contains('\''))),
            "{heard:?}"
        );
    }
}

#[test]
fn denials_stand_in_their_order() {
    let deny = |id: &str, port: &str| {
        rule(
            id,
            json!({"action": "drop", "protocol": ["tcp"], "destination_port": [port], "source_address": ["203.0.113.0/24"]}),
        )
    };
    let allow = |id: &str, port: &str| rule(id, json!({"protocol": ["tcp"], "destination_port": [port]}));
    for rules in
        [vec![deny("a", "22"), allow("b", "1-100")], vec![allow("a", "22"), deny("b", "1-100"), allow("c", "80")]]
    {
        for backend in ["azure", "gcp"] {
            // A denial is of new connections there; answers pass before it in both.
            assert_eq!(differs(backend, &rules), None, "{backend}");
        }
    }
}
