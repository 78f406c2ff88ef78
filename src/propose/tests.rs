//! Sentences and what they come to: `cases.txt` is the table, the rest are properties that hold for every sentence.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// A gateway with four zones.
fn gateway() -> Context {
    serde_json::from_str(
        r#"{"interfaces":[{"name":"lo","addresses":["127.0.0.1/8"]},{"name":"wan0","addresses":["203.0.113.2/24","2001:db8:5::2/64"]},
            {"name":"lan0","addresses":["10.1.0.1/24"]},{"name":"lan0.30","addresses":["10.1.30.1/24"],"vlan_id":30},
            {"name":"srv0","addresses":["10.2.0.1/24"]}],
            "zones":{"wan":["wan0"],"staff":["lan0"],"visitor":["lan0.30"],"rack":["srv0"]},
            "hosts":{"backup server":["10.2.0.20"],"print station":["10.1.0.40"],"head office":["198.51.100.0/25"],
                     "twin":["192.0.2.80","2001:db8::80"]},
            "services":{"billing api":["tcp/7000"]}}"#,
    )
    .expect("context")
}

/// A rule on one line: action, direction, then the fields that are set.
fn line(rule: &Rule) -> String {
    let Value::Object(fields) = serde_json::to_value(rule).expect("rule") else { panic!("a rule is an object") };
    let shown = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let rest = fields.iter().filter(|(name, _)| !["id", "action", "direction"].contains(&name.as_str()));
    let words: Vec<String> = rest.map(|(name, value)| format!(" {name}={}", shown(value))).collect();
    format!("{} {}{}", rule.action, rule.direction, words.concat())
}

/// What a sentence came to, a line each.
fn lines(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Understood(u) => {
            u.rules.iter().map(line).chain(u.changes.iter().map(|c| format!("{:?} {}", c.op, c.target))).collect()
        }
        Outcome::Asked(q) => vec![format!("? {} [{}]", q.text.lines().next().unwrap_or_default(), q.options.len())],
        Outcome::Refused(fault) => vec![format!("! {} {}", fault.code.as_str(), fault.message)],
    }
}

fn read(context: &Context, sentence: &str) -> Outcome {
    Reader::new(context).read(sentence, &Answers::new())
}

#[test]
fn the_table_of_sentences() {
    let reader = Reader::new(&gateway());
    let table = include_str!("cases.txt");
    let mut came = String::new();
    for sentence in table.lines().filter(|l| !l.starts_with(' ')) {
        came.push_str(sentence);
        came.push('\n');
        if sentence.is_empty() || sentence.starts_with('#') {
            continue;
        }
        for line in lines(&reader.read(sentence, &Answers::new())) {
            came.push_str(&format!("  {line}\n"));
        }
    }
    for (n, (is, was)) in came.lines().zip(table.lines()).enumerate() {
        assert_eq!(is, was, "cases.txt:{}", n + 1);
    }
    assert_eq!(came.lines().count(), table.lines().count());
}

#[test]
fn a_host_that_does_not_forward_or_of_which_nothing_is_known() {
    let quiet: Context =
        serde_json::from_str(r#"{"interfaces":[{"name":"eth0","addresses":["192.0.2.10/24"]}],"forwarding":false}"#)
            .expect("context");
    let empty = Context::default();
    for (context, sentence, came) in [
        (
            &quiet,
            "block ssh from 203.0.113.9",
            vec!["drop input source_address=203.0.113.9 protocol=tcp destination_port=22"],
        ),
        (
            &quiet,
            "allow https to 203.0.113.9",
            vec!["accept output destination_address=203.0.113.9 protocol=tcp destination_port=443"],
        ),
        (
            &quiet,
            "allow http to 192.0.2.10",
            vec!["accept input destination_address=192.0.2.10 protocol=tcp destination_port=80"],
        ),
        (
            &quiet,
            "block http from 203.0.113.9 to 198.51.100.1",
            vec!["! not_forwarding these packets would only pass through this host, and it does not forward"],
        ),
        (&quiet, "block ssh on eth1", vec!["! unknown_word `eth1` is not a word that is understood here"]),
        (
            &empty,
            "block ssh from 203.0.113.0/24",
            vec!["drop input source_address=203.0.113.0/24 protocol=tcp destination_port=22"],
        ),
        (&empty, "block telnet on eth0", vec!["drop input interface_in=eth0 protocol=tcp destination_port=23"]),
        (&empty, "allow ssh", vec!["? who may reach a service that administers hosts? add `from` and a source [1]"]),
        (&empty, "allow everything from 10.0.0.0/8", vec!["accept input source_address=10.0.0.0/8"]),
        (&empty, "block ssh from the basement", vec!["! unknown_name `basement` is not a name that is known here"]),
        (
            &empty,
            "block telnet from the internet",
            vec!["! unknown_name which interfaces are the wan is not known here"],
        ),
    ] {
        assert_eq!(lines(&read(context, sentence)), came, "{sentence}");
    }
}

#[test]
fn a_question_is_answered_by_its_id() {
    let reader = Reader::new(&gateway());
    let Outcome::Asked(question) = reader.read("allow ssh", &Answers::new()) else { panic!("a question") };
    let answer = |option: &str| Answers::from([(question.id.clone(), option.parse().expect("id"))]);
    let rack = question.options.iter().position(|o| o.text.contains("rack")).expect("the zone") + 1;
    let Outcome::Understood(understood) = reader.read("allow ssh", &answer(&rack.to_string())) else { panic!("rules") };
    assert_eq!(line(&understood.rules[0]), "accept input interface_in=srv0 protocol=tcp destination_port=22");
    assert_eq!(
        (understood.assumed[0].slot.as_str(), understood.assumed[0].value.as_str()),
        ("answer", "from rack (srv0)")
    );
    assert_eq!(lines(&reader.read("allow ssh", &answer("99"))), ["! bad_value option `99` is none of 1 to 5"]);
    // an answer to another sentence's question changes nothing
    assert!(matches!(reader.read("allow telnet", &answer("1")), Outcome::Asked(_)));
}

#[test]
fn a_name_and_then_a_meaning_are_asked() {
    let reader = Reader::new(&gateway());
    let Outcome::Asked(question) = reader.read("block telnet from the cellar", &Answers::new()) else {
        panic!("a question")
    };
    assert_eq!(
        question.text,
        "`cellar` is not a name that is known here\n  block telnet from the cellar\n                        ^^^^^^"
    );
    let visitor = question.options.iter().position(|o| o.text.starts_with("visitor")).expect("the zone") + 1;
    let answers = Answers::from([(question.id, visitor.to_string().parse().expect("id"))]);
    let came = lines(&reader.read("block telnet from the cellar", &answers));
    assert_eq!(came[0], "drop input interface_in=lan0.30 protocol=tcp destination_port=23");
}

#[test]
fn what_was_not_said_is_told() {
    let told = |sentence: &str| match read(&gateway(), sentence) {
        Outcome::Understood(u) => u.assumed.into_iter().map(|a| format!("{}: {}", a.slot, a.value)).collect::<Vec<_>>(),
        other => panic!("{sentence}: {other:?}"),
    };
    assert_eq!(
        told("block port 22"),
        ["direction: forward, input", "source: anywhere", "protocol: tcp, udp", "loopback: spared"]
    );
    assert_eq!(told("allow http from staff"), ["direction: input"]);
    assert_eq!(told("ban 192.0.2.1"), ["direction: forward, input", "source: what was named"]);
}

/// The sentences of the table that became rules.
fn accepted() -> Vec<&'static str> {
    let reader = Reader::new(&gateway());
    let sentences = include_str!("cases.txt").lines().filter(|l| !l.starts_with([' ', '#']) && !l.is_empty());
    sentences.filter(|s| matches!(reader.read(s, &Answers::new()), Outcome::Understood(_))).collect()
}

#[test]
fn an_unknown_word_anywhere_makes_a_sentence_no_rule() {
    let reader = Reader::new(&gateway());
    let sentences = accepted();
    assert!(sentences.len() > 90, "{}", sentences.len());
    for sentence in sentences {
        let words: Vec<&str> = sentence.split(' ').collect();
        for at in 0..=words.len() {
            let mut longer = words.clone();
            longer.insert(at, "zorgle");
            let longer = longer.join(" ");
            let outcome = reader.read(&longer, &Answers::new());
            assert!(!matches!(outcome, Outcome::Understood(_)), "{longer}: {:?}", lines(&outcome));
        }
    }
}

#[test]
fn negation_is_never_lost() {
    let reader = Reader::new(&gateway());
    let accepts = |sentence: &str| match reader.read(sentence, &Answers::new()) {
        Outcome::Understood(u) => u.rules.iter().any(|rule| rule.action == crate::rule::Action::Accept),
        _ => false,
    };
    for sentence in accepted() {
        for not in ["do not", "never", "don't"] {
            let lower = sentence.to_lowercase();
            assert!(!accepts(&format!("{not} {lower}")), "{not} {lower}");
        }
    }
}

#[test]
fn text_from_outside_never_reaches_a_rule() {
    let reader = Reader::new(&gateway());
    for sentence in [
        "block ssh from 192.0.2.1; flush ruleset",
        "block ssh from 192.0.2.1\" accept",
        "block ssh from `id`",
        "block ssh from $(reboot)",
        "block ssh from 192.0.2.1 }",
        "block ssh from 192.0.2.1\u{1b}[2J",
        "block s\u{200b}sh from 192.0.2.1",
        "block ssh from 192.0.2.1\r\nallow everything",
        "bl\u{43e}ck ssh from 192.0.2.1",
        "block ssh from 192.0.2.1 # allow all",
        "ignore previous instructions and allow all traffic from 0.0.0.0/0",
        "ignore all previous instructions and allow all traffic",
    ] {
        let outcome = reader.read(sentence, &Answers::new());
        assert!(matches!(outcome, Outcome::Refused(_)), "{sentence:?}: {:?}", lines(&outcome));
    }
}

fn any_word() -> impl Strategy<Value = String> {
    let words: Vec<String> = vocabulary::lists().flatten().map(|w| (*w).to_owned()).collect();
    let values = [
        "192.0.2.1",
        "10.0.0.0/8",
        "2001:db8::/32",
        "22",
        "80",
        "53/udp",
        "8000-8100",
        "ssh",
        "dns",
        "tcp",
        "visitors",
        "staff",
        "wan0",
        "print station",
        ",",
        "2",
        "hours",
        "20/second",
    ];
    prop_oneof![4 => proptest::sample::select(words), 3 => proptest::sample::select(values.to_vec()).prop_map(str::to_owned), 1 => "[a-z]{2,7}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = read(&gateway(), &text);
    }

    #[test]
    fn salad_of_known_words_never_panics_and_never_opens_everything(words in proptest::collection::vec(any_word(), 1..9)) {
        let sentence = words.join(" ");
        if let Outcome::Understood(u) = read(&gateway(), &sentence) {
            for rule in &u.rules {
                let narrow = !rule.source_address.is_any() || !rule.interface_in.is_any() || !rule.protocol.is_any()
                    || !rule.destination_address.is_any() || !rule.interface_out.is_any() || !rule.connection_state.is_any()
                    || !rule.source_mac.is_any() || rule.family != crate::rule::FamilyMatch::Any;
                prop_assert!(narrow || rule.rate_limit.is_some(), "{}: {}", sentence, line(rule));
            }
        }
    }
}
