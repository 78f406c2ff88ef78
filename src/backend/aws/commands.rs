//! Security groups as commands of `aws ec2` (AWS CLI Command Reference, authorize-security-group-ingress and -egress).

use super::shorthand;
use crate::backend::document::{Command, Flag, Made, ReadError, Said, Takes, Words};
use serde_json::{Map, Value, json};

/// The name of a group may be so long.
const LONGEST: usize = 255;

/// Each direction's command, and its field of the document.
const COMMANDS: [(&str, &str); 2] =
    [("authorize-security-group-ingress", "IpPermissions"), ("authorize-security-group-egress", "IpPermissionsEgress")];

const FLAGS: [Flag; 14] = [
    (&["--group-id"], Takes::One),
    (&["--group-name"], Takes::One),
    (&["--ip-permissions"], Takes::Many),
    (&["--protocol"], Takes::One),
    (&["--port"], Takes::One),
    (&["--cidr"], Takes::One),
    (&["--source-group"], Takes::One),
    (&["--group-owner"], Takes::One),
    // These change nothing of the rules.
    (&["--region"], Takes::One),
    (&["--profile"], Takes::One),
    (&["--output"], Takes::One),
    (&["--query"], Takes::One),
    (&["--no-cli-pager"], Takes::Nothing),
    (&["--tag-specifications"], Takes::Many),
];

/// A command for each permission of the group.
///
/// # Errors
/// When no group can have the name.
pub(super) fn written(document: &Value, target: Option<&str>) -> Result<Vec<Words>, String> {
    let group = &document["SecurityGroups"][0];
    let name = target.or(group["GroupName"].as_str()).unwrap_or_default();
    let who = if is_id(name)? { "--group-id" } else { "--group-name" };
    let of = |(command, field): (&str, &str)| {
        let permissions = group[field].as_array().cloned().unwrap_or_default();
        let words = |permission| {
            let permissions = json!([permission]).to_string();
            ["aws", "ec2", command, who, name, "--ip-permissions", &permissions].map(str::to_owned).to_vec()
        };
        permissions.into_iter().map(words).collect::<Vec<_>>()
    };
    Ok(COMMANDS.into_iter().flat_map(of).collect())
}

/// Whether it is the id of a group rather than its name (CreateSecurityGroup, GroupName).
fn is_id(name: &str) -> Result<bool, String> {
    if let Some(number) = name.strip_prefix("sg-") {
        let is_hex = !number.is_empty() && number.bytes().all(|b| b.is_ascii_hexdigit());
        return if is_hex { Ok(true) } else { Err(format!("`{}` is no id of a security group", name.escape_debug())) };
    }
    let may = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    // The program reads such a value from a file, and takes what begins with `-` for a flag.
    let other = name.starts_with('-') || ["file:", "fileb:", "http:", "https:"].iter().any(|own| name.starts_with(own));
    match (1..=LONGEST).contains(&name.chars().count()) && name.chars().all(may) && !other {
        true => Ok(false),
        false => {
            Err(format!("`{}` is no name of a security group; sg-0123456789abcdef0 or web is", name.escape_debug()))
        }
    }
}

/// The groups that commands make: the rules that they authorize, and no others.
///
/// # Errors
/// With the line: what is no such command, or says something that is not understood.
pub(super) fn read(commands: &[Command]) -> Result<Made, ReadError> {
    let mut groups: Vec<(String, Map<String, Value>)> = Vec::new();
    let mut lines = Vec::new();
    for command in commands {
        let said = Said::of(command, &FLAGS)?;
        let own = |(name, _): &&(&str, &str)| said.words == ["aws", "ec2", name];
        let (_, field) = COMMANDS.iter().find(own).ok_or_else(|| {
            let words = "is read of the commands of aws";
            said.error(format!("`{}`: {} or -egress alone {words}", said.called(), COMMANDS[0].0))
        })?;
        let group = said.one("--group-id").or(said.one("--group-name"));
        let group = group.ok_or_else(|| said.error("`--group-id` is missing"))?;
        let at = groups.iter().position(|(id, _)| id == group).unwrap_or(groups.len());
        if at == groups.len() {
            groups.push((group.to_owned(), Map::from_iter([("GroupId".to_owned(), json!(group))])));
        }
        let list = groups[at].1.entry(*field).or_insert_with(|| json!([]));
        for permission in permissions(&said)? {
            let Some(list) = list.as_array_mut() else { continue };
            lines.push((format!("SecurityGroups[{at}].{field}[{}]", list.len()), said.line()));
            list.push(permission);
        }
    }
    let groups: Vec<Value> = groups.into_iter().map(|(_, group)| Value::Object(group)).collect();
    Ok(Made { document: json!({ "SecurityGroups": groups }), lines })
}

fn permissions(said: &Said) -> Result<Vec<Value>, ReadError> {
    const SINGLE: [&str; 5] = ["--protocol", "--port", "--cidr", "--source-group", "--group-owner"];
    let values = said.list("--ip-permissions");
    if values.is_empty() {
        return Ok(vec![single(said)?]);
    }
    if let Some(other) = SINGLE.iter().find(|name| said.has(name)) {
        return Err(said.error(format!("`{other}` and `--ip-permissions` exclude each other")));
    }
    let wrong = |why: String| said.error(format!("--ip-permissions: {why}"));
    let not_json = |e: serde_json::Error| wrong(format!("not JSON: {e}"));
    if let [whole] = values
        && whole.trim_start().starts_with('[')
    {
        return serde_json::from_str(whole).map_err(not_json);
    }
    let one = |text: &String| match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text).map_err(not_json),
        false => shorthand::read(text).map_err(wrong),
    };
    values.iter().map(one).collect()
}

/// The permission of the flags that stand for one, as the program itself puts them together.
fn single(said: &Said) -> Result<Value, ReadError> {
    let protocol = said.wanted("--protocol")?;
    let mut permission = json!({ "IpProtocol": if protocol == "all" { "-1" } else { protocol } });
    if let Some(port) = said.one("--port") {
        let (from, to) = match port {
            "-1" | "all" => ("-1", "-1"),
            port => port.split_once('-').unwrap_or((port, port)),
        };
        permission["FromPort"] = json!(from);
        permission["ToPort"] = json!(to);
    }
    match (said.one("--cidr"), said.one("--source-group")) {
        (Some(cidr), None) => permission["IpRanges"] = json!([{ "CidrIp": cidr }]),
        (None, Some(group)) => permission["UserIdGroupPairs"] = json!([{ "GroupId": group }]),
        _ => return Err(said.error("either `--cidr` or `--source-group` is expected")),
    }
    Ok(permission)
}

#[cfg(test)]
mod tests {
    use super::super::AWS;
    use super::*;
    use crate::backend::Backend;

    fn texts(script: &str) -> Vec<String> {
        let ruleset = AWS.read(script).unwrap_or_else(|e| panic!("{e}\n{script}"));
        ruleset.lines().map(|(_, line)| line.text.clone()).filter(|text| text.contains("allow")).collect()
    }

    #[test]
    fn each_form_of_a_permission_is_read() {
        let who = "aws ec2 authorize-security-group-ingress --group-id sg-1";
        for (rest, rules) in [
            ("--protocol tcp --port 22 --cidr 203.0.113.0/24", vec!["sg-1 allow tcp 22-22 from 203.0.113.0/24"]),
            ("--protocol=tcp --port=80-90 --cidr=0.0.0.0/0", vec!["sg-1 allow tcp 80-90 from 0.0.0.0/0"]),
            ("--protocol all --cidr 203.0.113.9/32 --region eu-1", vec!["sg-1 allow all from 203.0.113.9/32"]),
            ("--protocol icmp --port -1 --cidr 203.0.113.9/32", vec!["sg-1 allow icmp from 203.0.113.9/32"]),
            ("--protocol tcp --port 22 --source-group sg-2", vec!["sg-1 allow tcp 22-22 from group sg-2"]),
            (
                "--ip-permissions '[{\"IpProtocol\":\"udp\",\"FromPort\":53,\"ToPort\":53,\"Ipv6Ranges\":[{\"CidrIpv6\":\"2001:db8::/32\"}]}]'",
                vec!["sg-1 allow udp 53-53 from 2001:db8::/32"],
            ),
            (
                "--ip-permissions IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges='[{CidrIp=203.0.113.0/24,Description=\"an office\"}]' '{\"IpProtocol\":\"-1\",\"IpRanges\":[{\"CidrIp\":\"192.0.2.1/32\"}]}'",
                vec!["sg-1 allow tcp 22-22 from 203.0.113.0/24", "sg-1 allow all from 192.0.2.1/32"],
            ),
        ] {
            assert_eq!(texts(&format!("{who} {rest}\n")), rules, "{rest}");
        }
    }

    #[test]
    fn what_is_not_understood_names_line_and_cause() {
        let who = "aws ec2 authorize-security-group-ingress --group-id sg-1";
        for (script, words) in [
            (
                "aws ec2 revoke-security-group-ingress --group-id sg-1".to_owned(),
                "line 1: `aws ec2 revoke-security-group-ingress`: authorize-security-group-ingress or -egress alone is read of the commands of aws",
            ),
            (format!("# x\n{who} --dry-run"), "line 2: the flag `--dry-run` is not known"),
            (who.replace("--group-id sg-1", "--protocol tcp"), "line 1: `--group-id` is missing"),
            (format!("{who} --protocol tcp --port 22"), "line 1: either `--cidr` or `--source-group` is expected"),
            (format!("{who} --protocol tcp --port 99999 --cidr 0.0.0.0/0"), "line 1: FromPort: 99999 is no port"),
            (
                format!("\n\n{who} --protocol tcp --port x --cidr 0.0.0.0/0"),
                "line 3: FromPort: a whole number is expected",
            ),
            (
                format!("{who} --protocol tcp --port 22 --cidr x"),
                "line 1: IpRanges[0].CidrIp: `x`: invalid IP address syntax",
            ),
            (
                format!("{who} --ip-permissions '[' --cidr x"),
                "line 1: `--cidr` and `--ip-permissions` exclude each other",
            ),
            (
                format!("{who} --ip-permissions '['"),
                "line 1: --ip-permissions: not JSON: EOF while parsing a list at line 1 column 1",
            ),
            (
                format!("{who} --ip-permissions file://rules.json"),
                "line 1: --ip-permissions: `file://rules.json` begins with no name and `=`",
            ),
            (
                format!("{who} --protocol tcp --cidr $NET"),
                "line 1: `$` is more than a plain command: the shell makes something else of it; quote it with '…' where it is meant, and write one command to a line",
            ),
        ] {
            assert_eq!(AWS.read(&script).expect_err(&script).to_string(), words);
        }
    }

    #[test]
    fn a_target_is_an_id_or_a_name() {
        let rules = serde_json::from_value::<Vec<crate::rule::Rule>>(json!([{"id": "a", "action": "accept", "direction": "input", "protocol": ["tcp"], "destination_port": ["22"], "source_address": ["203.0.113.0/24"]}])).expect("rules");
        let native = AWS.render(&rules, crate::backend::Extent::Rules).expect("written");
        let last =
            |target| AWS.commands(&native, target).map(|text| text.lines().last().unwrap_or_default().to_owned());
        assert_eq!(
            last(None).as_deref(),
            Ok(
                r#"aws ec2 authorize-security-group-ingress --group-name afo --ip-permissions '[{"IpProtocol":"tcp","FromPort":22,"ToPort":22,"IpRanges":[{"CidrIp":"203.0.113.0/24","Description":"afo:a"}]}]'"#
            )
        );
        assert!(last(Some("sg-0a1")).is_ok_and(|line| line.contains("--group-id sg-0a1 ")));
        assert!(last(Some("a; $(x)")).is_ok_and(|line| line.contains("--group-name 'a; $(x)' ")));
        for odd in ["", "-x", "sg-x", "file://x", "a\nb", "a`b"] {
            let words = last(Some(odd)).expect_err(odd);
            assert!(words.contains("is no name of a security group") || words.contains("is no id"), "{words}");
        }
    }
}
