//! Firewall rules as commands `gcloud compute firewall-rules create` (Google Cloud SDK reference).

use crate::backend::document::{Command, Flag, Made, ReadError, Said, Takes, Words};
use serde_json::{Map, Value, json};

const FLAGS: [Flag; 22] = [
    (&["--action"], Takes::One),
    (&["--allow"], Takes::One),
    (&["--rules"], Takes::One),
    (&["--description"], Takes::One),
    (&["--direction"], Takes::One),
    (&["--network"], Takes::One),
    (&["--priority"], Takes::One),
    (&["--source-ranges"], Takes::One),
    (&["--destination-ranges"], Takes::One),
    (&["--source-tags"], Takes::One),
    (&["--target-tags"], Takes::One),
    (&["--source-service-accounts"], Takes::One),
    (&["--target-service-accounts"], Takes::One),
    (&["--disabled"], Takes::Nothing),
    (&["--no-disabled"], Takes::Nothing),
    // These change nothing of the packets.
    (&["--enable-logging"], Takes::Nothing),
    (&["--no-enable-logging"], Takes::Nothing),
    (&["--logging-metadata"], Takes::One),
    (&["--project"], Takes::One),
    (&["--format"], Takes::One),
    (&["--quiet", "-q"], Takes::Nothing),
    (&["--verbosity"], Takes::One),
];

/// Flags with lists, and the field.
const LISTS: [(&str, &str); 6] = [
    ("--source-ranges", "sourceRanges"),
    ("--destination-ranges", "destinationRanges"),
    ("--source-tags", "sourceTags"),
    ("--target-tags", "targetTags"),
    ("--source-service-accounts", "sourceServiceAccounts"),
    ("--target-service-accounts", "targetServiceAccounts"),
];

/// A command for each rule of the list.
///
/// # Errors
/// When no network can have the name.
pub(super) fn written(document: &Value, target: Option<&str>) -> Result<Vec<Words>, String> {
    let target = target.map(named).transpose()?;
    let rules = document.as_array().into_iter().flatten();
    Ok(rules.map(|rule| words(rule, target)).collect())
}

fn words(rule: &Value, target: Option<(Option<&str>, &str)>) -> Words {
    let text = |field: &str| rule[field].as_str().unwrap_or_default();
    let own = text("network").rsplit('/').next().unwrap_or_default();
    let (project, network) = target.unwrap_or((None, own));
    let verdict = if rule.get("denied").is_some() { "DENY" } else { "ALLOW" };
    let entries = rule.get("denied").or(rule.get("allowed")).and_then(Value::as_array);
    let traffic: Vec<String> = entries.into_iter().flatten().flat_map(traffic).collect();
    let mut words = ["gcloud", "compute", "firewall-rules", "create", text("name")].map(str::to_owned).to_vec();
    words.extend(project.map(|project| format!("--project={project}")));
    words.push(format!("--network={network}"));
    words.push(format!("--direction={}", text("direction")));
    words.push(format!("--priority={}", rule["priority"]));
    words.push(format!("--action={verdict}"));
    words.push(format!("--rules={}", traffic.join(",")));
    for (flag, field) in LISTS {
        let values = rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        words.extend((!values.is_empty()).then(|| format!("{flag}={}", values.join(","))));
    }
    words.push(format!("--description={}", text("description")));
    words
}

/// `tcp:22` for each range of ports, or the protocol alone.
fn traffic(entry: &Value) -> Vec<String> {
    let protocol = entry["IPProtocol"].as_str().unwrap_or_default();
    let ports = entry["ports"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let ports: Vec<String> = ports.map(|port| format!("{protocol}:{port}")).collect();
    if ports.is_empty() { vec![protocol.to_owned()] } else { ports }
}

/// `NETWORK` or `PROJECT/NETWORK` (Compute Engine, resource naming convention).
fn named(target: &str) -> Result<(Option<&str>, &str), String> {
    let is_name = |name: &str| {
        (1..=63).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let (project, network) = target.split_once('/').map_or((None, target), |(project, rest)| (Some(project), rest));
    match project.into_iter().chain([network]).all(is_name) {
        true => Ok((project, network)),
        false => Err(format!("`{}` names no network; default or project/default does", target.escape_debug())),
    }
}

/// The list of rules that commands make, and no others.
///
/// # Errors
/// With the line: what is no such command, or says something that is not understood.
pub(super) fn read(commands: &[Command]) -> Result<Made, ReadError> {
    let (mut rules, mut lines): (Vec<Value>, Vec<_>) = (Vec::new(), Vec::new());
    for command in commands {
        let said = Said::of(command, &FLAGS)?;
        let ["gcloud", "compute", "firewall-rules", "create", name] = said.words.as_slice() else {
            let words = "gcloud compute firewall-rules create NAME alone is read";
            return Err(said.error(format!("`{}`: {words}", said.called())));
        };
        if rules.iter().any(|rule| rule["name"] == *name) {
            return Err(said.error(format!("there is a rule `{}` already", name.escape_debug())));
        }
        lines.push((format!("[{}]", rules.len()), said.line()));
        rules.push(rule(&said, name)?);
    }
    Ok(Made { document: json!(rules), lines })
}

fn rule(said: &Said, name: &str) -> Result<Value, ReadError> {
    let mut rule =
        Map::from_iter([("name".to_owned(), json!(name)), ("disabled".to_owned(), json!(said.has("--disabled")))]);
    if said.has("--disabled") && said.has("--no-disabled") {
        return Err(said.error("`--disabled` and `--no-disabled` exclude each other"));
    }
    for (flag, field) in [("--description", "description"), ("--network", "network"), ("--priority", "priority")] {
        rule.extend(said.one(flag).map(|value| (field.to_owned(), json!(value))));
    }
    let direction = match said.one("--direction").unwrap_or("INGRESS").to_ascii_uppercase().as_str() {
        "INGRESS" | "IN" => "INGRESS",
        "EGRESS" | "OUT" => "EGRESS",
        _ => return Err(said.error("--direction: INGRESS or EGRESS is expected")),
    };
    rule.insert("direction".to_owned(), json!(direction));
    let (verdict, traffic) = verdict(said)?;
    rule.insert(verdict.to_owned(), json!(entries(&list(said, traffic)?)));
    for (flag, field) in LISTS {
        let values = said.one(flag).map(|text| list(said, text)).transpose()?;
        rule.extend(values.map(|values| (field.to_owned(), json!(values))));
    }
    Ok(Value::Object(rule))
}

/// What a rule does, and to which traffic.
fn verdict<'a>(said: &'a Said) -> Result<(&'static str, &'a str), ReadError> {
    let action = said.one("--action").map(str::to_ascii_uppercase);
    match (action.as_deref(), said.one("--allow")) {
        (None, Some(traffic)) if !said.has("--rules") => Ok(("allowed", traffic)),
        (Some("ALLOW"), None) => Ok(("allowed", said.wanted("--rules")?)),
        (Some("DENY"), None) => Ok(("denied", said.wanted("--rules")?)),
        (Some(_), None) => Err(said.error("--action: ALLOW or DENY is expected")),
        _ => Err(said.error("either `--action` with `--rules` or `--allow` is expected")),
    }
}

fn list<'a>(said: &Said, text: &'a str) -> Result<Vec<&'a str>, ReadError> {
    match text.starts_with('^') {
        // `gcloud topic escaping`.
        true => Err(said.error("a list with another delimiter than `,` is not read")),
        false => Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
    }
}

/// The entries of a list such as `tcp:22,tcp:80-90,icmp`; ports of one protocol that stand together are one entry.
fn entries(list: &[&str]) -> Vec<Value> {
    let mut entries: Vec<(&str, Vec<&str>)> = Vec::new();
    for text in list {
        let (protocol, port) = text.split_once(':').map_or((*text, None), |(protocol, port)| (protocol, Some(port)));
        match (entries.last_mut(), port) {
            (Some((own, ports)), Some(port)) if *own == protocol && !ports.is_empty() => ports.push(port),
            _ => entries.push((protocol, port.into_iter().collect())),
        }
    }
    entries.into_iter().map(|(protocol, ports)| json!({ "IPProtocol": protocol, "ports": ports })).collect()
}

#[cfg(test)]
mod tests {
    use super::super::GCP;
    use super::*;
    use crate::backend::Backend;
    use crate::backend::document::fates;

    const WHO: &str = "gcloud compute firewall-rules create a";
    const SSH: &str = "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn";

    #[test]
    fn each_form_of_a_rule_is_read() {
        for (script, passes) in [
            (format!("{WHO} --allow=tcp:22"), (true, true)),
            (format!("{WHO} --allow tcp:80,udp,tcp:20-30 --source-ranges 203.0.113.0/24,192.0.2.0/24"), (true, true)),
            (
                "gcloud compute --project=p firewall-rules create a --action=ALLOW --rules=all --direction=IN"
                    .to_owned(),
                (true, true),
            ),
            (format!("{WHO} --allow=tcp:22 --disabled"), (false, false)),
            (format!("{WHO} --allow=tcp:22 --target-tags=web"), (false, true)),
            (
                format!(
                    "{WHO} --allow=tcp:22\ngcloud compute firewall-rules create b --action deny --rules all --priority 999"
                ),
                (false, false),
            ),
            (format!("{WHO} --action=DENY --rules=all --direction=EGRESS"), (false, false)),
        ] {
            assert_eq!(fates(&GCP, &script, SSH), passes, "{script}");
        }
    }

    #[test]
    fn what_is_not_understood_names_line_and_cause() {
        for (script, words) in [
            (
                "gcloud compute firewall-rules delete a".to_owned(),
                "line 1: `gcloud compute firewall-rules delete a`: gcloud compute firewall-rules create NAME alone is read",
            ),
            (format!("{WHO} --allow=tcp:22 --zone x"), "line 1: the flag `--zone` is not known"),
            (WHO.to_owned(), "line 1: either `--action` with `--rules` or `--allow` is expected"),
            (format!("{WHO} --action=DENY"), "line 1: `--rules` is missing"),
            (format!("{WHO} --action=LOG --rules=all"), "line 1: --action: ALLOW or DENY is expected"),
            (format!("{WHO} --allow=all --direction=UP"), "line 1: --direction: INGRESS or EGRESS is expected"),
            (format!("\n{WHO} --allow=tcp:x"), "line 2: allowed[0].ports[0]: `x`: `x` is not a port number"),
            (format!("{WHO} --allow=all --priority=70000"), "line 1: priority 70000 is not between 0 and 65535"),
            (
                format!("{WHO} --allow=all --source-ranges=^:^x"),
                "line 1: a list with another delimiter than `,` is not read",
            ),
            (format!("{WHO} --allow=all\n{WHO} --allow=all"), "line 2: there is a rule `a` already"),
            (
                format!("{WHO} --allow=all --disabled --no-disabled"),
                "line 1: `--disabled` and `--no-disabled` exclude each other",
            ),
        ] {
            assert_eq!(GCP.read(&script).expect_err(&script).to_string(), words);
        }
    }

    #[test]
    fn a_target_names_a_network() {
        let rules = serde_json::from_value::<Vec<crate::rule::Rule>>(json!([{"id": "a", "action": "drop", "direction": "input", "protocol": ["tcp"], "destination_port": ["22", "80-90"], "source_address": ["203.0.113.0/24"]}])).expect("rules");
        let native = GCP.render(&rules, crate::backend::Extent::Rules).expect("written");
        let last =
            |target| GCP.commands(&native, target).map(|text| text.lines().last().unwrap_or_default().to_owned());
        assert_eq!(
            last(None).as_deref(),
            Ok(
                "gcloud compute firewall-rules create afo-1000-4 --network=default --direction=INGRESS --priority=1000 --action=DENY --rules=tcp:22,tcp:80-90 --source-ranges=203.0.113.0/24 --description=afo:a"
            )
        );
        assert!(last(Some("prod/web")).is_ok_and(|line| line.contains(" --project=prod --network=web ")));
        for odd in ["", "Web", "-x", "a/b/c", "a b", "a;b", "1a"] {
            let words = last(Some(odd)).expect_err(odd);
            assert_eq!(words, format!("`{odd}` names no network; default or project/default does"));
        }
    }
}
