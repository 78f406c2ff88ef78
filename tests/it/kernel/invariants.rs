//! What must hold after every change, by `deploy.invariants`: a change that breaks it is refused with a packet, and nothing is changed.

use super::{Host, feed, in_namespace};
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

const MUST_HOLD: &str =
    "must-allow from 192.0.2.0/24 to this-host proto tcp port 22\nmust-deny from any to this-host proto tcp port 23\n";
const TELNET: &str =
    "table inet host { chain input { type filter hook input priority 0; policy accept; tcp dport 23 drop; }; }";

fn deploy(host: &Host, dir: &Path, arguments: &[&str], rule: &str) -> Output {
    let id: String = rule.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let proposal = format!(
        r#"{{"kind":"proposal","v":1,"id":"{id}","ts":"2026-01-02T03:04:05Z","ok":true,"rules":[{rule}],"explanation":"a test"}}"#
    );
    let mut command = host.afo("afo-deploy");
    command.env("AFO_STATE", dir.join("state.db")).arg("--config").arg(dir.join("afo.toml")).args(arguments);
    feed(&mut command, format!("{proposal}\n").as_bytes())
}

fn words(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn configured(text: &str) -> TempDir {
    let dir = TempDir::new().expect("directory");
    let file = dir.path().join("must-hold");
    std::fs::write(&file, text).expect("written");
    let config = format!("[deploy]\ninvariants = \"{}\"\n", file.display());
    std::fs::write(dir.path().join("afo.toml"), config).expect("written");
    dir
}

#[test]
fn a_change_that_breaks_an_invariant_is_refused_with_a_packet() {
    in_namespace(|host| {
        host.nft(TELNET);
        let dir = configured(MUST_HOLD);
        let before = host.sh("nft list ruleset");
        for (rule, said) in [
            (
                r#"{"id":"r1","action":"drop","direction":"input","source_address":["192.0.2.64/26"]}"#,
                "does not hold: the verdict is drop: input ",
            ),
            (
                r#"{"id":"b1","action":"drop","direction":"input","source_address":["192.0.2.66"],"ttl_seconds":600}"#,
                "a ban would drop input ",
            ),
        ] {
            let out = deploy(host, dir.path(), &["--confirm=60"], rule);
            assert_eq!(out.status.code(), Some(1), "{}", words(&out));
            assert!(words(&out).contains("must-hold:1: `must-allow from 192.0.2.0/24"), "{}", words(&out));
            assert!(words(&out).contains(said), "{}", words(&out));
            assert_eq!(host.sh("nft list ruleset"), before);
        }
        let harmless = r#"{"id":"r2","action":"drop","direction":"input","protocol":["udp"],"destination_port":["9"]}"#;
        let fine = deploy(host, dir.path(), &["-n"], harmless);
        assert!(fine.status.success(), "{}", words(&fine));
        host.sh("nft flush ruleset");
        let gone = deploy(host, dir.path(), &["-n"], harmless);
        assert_eq!(gone.status.code(), Some(1), "{}", words(&gone));
        assert!(
            words(&gone).contains("port 23`: does not hold") && words(&gone).contains("; it does not hold now either")
        );
    });
}

#[test]
fn a_file_of_invariants_that_is_not_understood_refuses_every_change() {
    in_namespace(|host| {
        let dir = configured("must-hold everything\n");
        let rule = r#"{"id":"r2","action":"drop","direction":"input","protocol":["udp"],"destination_port":["9"]}"#;
        let out = deploy(host, dir.path(), &["--confirm=60"], rule);
        assert_eq!(out.status.code(), Some(2), "{}", words(&out));
        assert!(words(&out).contains("must-hold:1: `must-hold` is no demand"), "{}", words(&out));
        assert_eq!(host.sh("nft list ruleset"), "");
    });
}
