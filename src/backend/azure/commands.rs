//! Network security groups as commands `az network nsg rule create` (Azure CLI reference).

use crate::backend::document::{Command, Flag, Made, ReadError, Said, Takes, Words};
use serde_json::{Map, Value, json};

/// What the document calls the group of resources, which it does not name.
const RESOURCES: &str = "afo";

/// Flags with lists, the field of one value and that of several, and what stands where the flag does not.
const LISTS: [(&str, &str, &str, &str); 4] = [
    ("--source-address-prefixes", "sourceAddressPrefix", "sourceAddressPrefixes", "*"),
    ("--source-port-ranges", "sourcePortRange", "sourcePortRanges", "*"),
    ("--destination-address-prefixes", "destinationAddressPrefix", "destinationAddressPrefixes", "*"),
    ("--destination-port-ranges", "destinationPortRange", "destinationPortRanges", "80"),
];

/// Flags with one value, the field, and what stands where the flag does not.
const WORDS: [(&str, &str, Option<&str>); 6] = [
    ("--name", "name", None),
    ("--priority", "priority", None),
    ("--direction", "direction", Some("Inbound")),
    ("--access", "access", Some("Allow")),
    ("--protocol", "protocol", Some("*")),
    ("--description", "description", Some("")),
];

const FLAGS: [Flag; 20] = [
    (&["--resource-group", "-g"], Takes::One),
    (&["--nsg-name"], Takes::One),
    (&["--name", "-n"], Takes::One),
    (&["--priority"], Takes::One),
    (&["--direction"], Takes::One),
    (&["--access"], Takes::One),
    (&["--protocol"], Takes::One),
    (&["--description"], Takes::One),
    (&["--source-address-prefixes", "--source-address-prefix"], Takes::Many),
    (&["--source-port-ranges", "--source-port-range"], Takes::Many),
    (&["--destination-address-prefixes", "--destination-address-prefix"], Takes::Many),
    (&["--destination-port-ranges", "--destination-port-range"], Takes::Many),
    (&["--source-asgs"], Takes::Many),
    (&["--destination-asgs"], Takes::Many),
    // These change nothing of the rules.
    (&["--subscription"], Takes::One),
    (&["--output", "-o"], Takes::One),
    (&["--query"], Takes::One),
    (&["--no-wait"], Takes::Nothing),
    (&["--only-show-errors"], Takes::Nothing),
    (&["--verbose"], Takes::Nothing),
];

/// A command for each rule of the group.
///
/// # Errors
/// When no group can have the name.
pub(super) fn written(document: &Value, target: Option<&str>) -> Result<Vec<Words>, String> {
    let own = document["name"].as_str().unwrap_or_default();
    let (resources, group) = target.map_or(Ok((RESOURCES, own)), named)?;
    let rules = document["securityRules"].as_array().into_iter().flatten();
    Ok(rules.map(|rule| words(rule, resources, group)).collect())
}

fn words(rule: &Value, resources: &str, group: &str) -> Words {
    let mut words = ["az", "network", "nsg", "rule", "create", "--resource-group", resources, "--nsg-name", group]
        .map(str::to_owned)
        .to_vec();
    for (flag, field, _) in WORDS {
        let value = &rule[field];
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        words.extend([flag.to_owned(), value]);
    }
    for (flag, one, several, _) in LISTS {
        let values = rule[several].as_array().cloned().unwrap_or_else(|| vec![rule[one].clone()]);
        words.push(flag.to_owned());
        words.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    words
}

/// `RESOURCES/GROUP` (naming rules and restrictions for Azure resources).
fn named(target: &str) -> Result<(&str, &str), String> {
    let is_name = |name: &str, more: &str, most: usize| {
        (1..=most).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || (c == '(' && more.contains(c)))
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c) || more.contains(c))
    };
    let parts = target.split_once('/');
    parts.filter(|(resources, group)| is_name(resources, "()", 90) && is_name(group, "", 80)).ok_or_else(|| {
        let shown = target.escape_debug();
        format!("`{shown}` names no group; the resource group and the network security group do: office/web")
    })
}

/// The groups that commands make: the rules that they create, and the default ones.
///
/// # Errors
/// With the line: what is no such command, or says something that is not understood.
pub(super) fn read(commands: &[Command]) -> Result<Made, ReadError> {
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    let mut lines = Vec::new();
    for command in commands {
        let said = Said::of(command, &FLAGS)?;
        let group = match said.words.as_slice() {
            ["az", "network", "nsg", "rule", "create"] => said.wanted("--nsg-name")?,
            ["az", "network", "nsg", "create"] => continue,
            _ => return Err(said.error(format!("`{}`: az network nsg rule create alone is read", said.called()))),
        };
        let at = groups.iter().position(|(name, _)| name == group).unwrap_or(groups.len());
        if at == groups.len() {
            groups.push((group.to_owned(), Vec::new()));
        }
        let name = said.wanted("--name")?;
        // A second rule of a name takes the place of the first.
        if groups[at].1.iter().any(|rule| rule["name"] == name) {
            return Err(said.error(format!("the group has a rule `{}` already", name.escape_debug())));
        }
        lines.push((format!("[{at}].securityRules[{}]", groups[at].1.len()), said.line()));
        groups[at].1.push(rule(&said)?);
    }
    let group = |(name, rules): (String, Vec<Value>)| json!({ "name": name, "securityRules": rules });
    Ok(Made { document: groups.into_iter().map(group).collect(), lines })
}

fn rule(said: &Said) -> Result<Value, ReadError> {
    let mut rule = Map::new();
    for (flag, field, usual) in WORDS {
        let value = match usual {
            Some(usual) => said.one(flag).unwrap_or(usual),
            None => said.wanted(flag)?,
        };
        rule.insert(field.to_owned(), json!(value));
    }
    for side in ["source", "destination"] {
        let groups = said.list(&format!("--{side}-asgs"));
        let groups: Vec<Value> = groups.iter().map(|id| json!({ "id": id })).collect();
        rule.insert(format!("{side}ApplicationSecurityGroups"), json!(groups));
    }
    for (flag, one, several, usual) in LISTS {
        let in_groups = one.ends_with("Prefix") && said.has(&flag.replace("address-prefixes", "asgs"));
        match said.list(flag) {
            [] if in_groups => {}
            [] => drop(rule.insert(one.to_owned(), json!(usual))),
            list => drop(rule.insert(several.to_owned(), json!(list))),
        }
    }
    Ok(Value::Object(rule))
}

#[cfg(test)]
mod tests {
    use super::super::AZURE;
    use super::*;
    use crate::backend::Backend;
    use crate::backend::document::fates;

    const WHO: &str = "az network nsg rule create -g office --nsg-name web -n a --priority 100";

    #[test]
    fn what_a_command_leaves_out_is_as_the_program_has_it() {
        let (ssh, web) = (
            "input eth0 203.0.113.9:40000 > 198.51.100.10:22 tcp syn",
            "input eth0 203.0.113.9:40000 > 198.51.100.10:80 tcp syn",
        );
        for (rest, packet, passes) in [
            ("", web, (true, true)),
            ("", ssh, (false, true)),
            ("--destination-port-ranges '*' --protocol Tcp", ssh, (true, true)),
            (
                "--destination-port-ranges 20-30 80 --source-address-prefixes 203.0.113.0/24 192.0.2.1",
                ssh,
                (true, true),
            ),
            ("--destination-port-ranges 20-30 --access deny", ssh, (false, false)),
            (
                "--direction Outbound --destination-port-ranges '*' --access Deny",
                "output eth0 198.51.100.10:1 > 203.0.113.9:22 tcp syn",
                (false, false),
            ),
            ("--destination-port-ranges 22 --source-asgs ops", ssh, (false, true)),
        ] {
            assert_eq!(
                fates(&AZURE, &format!("az network nsg create -g office -n web\n{WHO} {rest}"), packet),
                passes,
                "{rest}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_names_line_and_cause() {
        for (script, words) in [
            (
                "az network nsg rule delete -g a --nsg-name b -n c".to_owned(),
                "line 1: `az network nsg rule delete`: az network nsg rule create alone is read",
            ),
            (WHO.replace(" --priority 100", ""), "line 1: `--priority` is missing"),
            (WHO.replace("100", "99"), "line 1: priority 99 is not between 100 and 4096"),
            (format!("\n{WHO} --access Maybe"), "line 2: access: Allow or Deny is expected"),
            (format!("{WHO}\n{WHO}"), "line 2: the group has a rule `a` already"),
            (
                format!("{WHO}\n{}", WHO.replace("-n a", "-n b")),
                "line 2: two rules of one direction have the priority 100",
            ),
            (
                format!("{WHO} --destination-port-ranges 22 x"),
                "line 1: destinationPortRanges[1]: `x`: `x` is not a port number",
            ),
            (
                format!("{WHO} --destination-port-ranges *"),
                "line 1: `*` is more than a plain command: the shell makes something else of it; quote it with '…' where it is meant, and write one command to a line",
            ),
        ] {
            assert_eq!(AZURE.read(&script).expect_err(&script).to_string(), words);
        }
    }

    #[test]
    fn a_target_names_both_groups() {
        let rules = serde_json::from_value::<Vec<crate::rule::Rule>>(json!([{"id": "a", "action": "drop", "direction": "input", "source_address": ["203.0.113.0/24", "192.0.2.1"]}])).expect("rules");
        let native = AZURE.render(&rules, crate::backend::Extent::Rules).expect("written");
        let last =
            |target| AZURE.commands(&native, target).map(|text| text.lines().last().unwrap_or_default().to_owned());
        assert_eq!(
            last(Some("office/web")).as_deref(),
            Ok(
                "az network nsg rule create --resource-group office --nsg-name web --name afo-in-100 --priority 100 --direction Inbound --access Deny --protocol '*' --description afo:a --source-address-prefixes 192.0.2.1/32 203.0.113.0/24 --source-port-ranges '*' --destination-address-prefixes 0.0.0.0/0 --destination-port-ranges '*'"
            )
        );
        assert!(last(None).is_ok_and(|line| line.contains("--resource-group afo --nsg-name afo ")));
        for odd in ["web", "/web", "a/b/c", "a/-b", "@a/b", "a b/c", "a/b;c"] {
            let words = last(Some(odd)).expect_err(odd);
            assert!(words.starts_with(&format!("`{odd}` names no group; ")), "{words}");
        }
    }
}
