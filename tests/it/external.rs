//! Backends that are programs of their own: the sample holds the contract, a fault of each kind is found and told, and no fault leaves a
//! deployment half done.

use crate::kernel::eventually;
use crate::shell::{Ended, afo};
use crate::tree::{read, root};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The sample of contrib/ in a directory of its own, with its file there too.
struct Place {
    directory: TempDir,
}

impl Place {
    /// The sample, with words of it replaced.
    fn with(changes: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut text = read(&root().join("contrib/afo-backend-file"));
        let policy = directory.path().join("kept/policy");
        let own = [("policy=/var/lib/afo-backend-file/policy", format!("policy={}", policy.display()))];
        let own = own.iter().map(|(old, new)| (*old, new.as_str()));
        for (old, new) in own.chain(changes.iter().copied()) {
            assert!(text.contains(old), "the sample has no `{old}`");
            text = text.replacen(old, new, 1);
        }
        // What takes long on a loaded machine is no fault of the sample.
        text = text.replace("timeout_seconds: 30", "timeout_seconds: 600");
        let place = Self { directory };
        let program = place.path().join("afo-backend-file");
        std::fs::write(&program, text).expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn policy(&self) -> String {
        std::fs::read_to_string(self.path().join("kept/policy")).unwrap_or_default()
    }

    /// The lines of blocks whose end is to come.
    fn blocks(&self) -> String {
        let text = std::fs::read_to_string(self.path().join("kept/blocks")).unwrap_or_default();
        let now = jiff::Timestamp::now().as_second();
        let stands =
            |line: &&str| line.rsplit(' ').next().and_then(|end| end.parse().ok()).is_none_or(|end: i64| end > now);
        text.lines().filter(stands).map(|line| format!("{line}\n")).collect()
    }

    /// Nothing of what the program keeps is there any more.
    fn lose(&self) {
        for name in ["policy", "blocks"] {
            let _ = std::fs::remove_file(self.path().join("kept").join(name));
        }
    }

    fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = afo(name, args);
        let paths =
            command.get_envs().find(|(key, _)| *key == "PATH").and_then(|(_, value)| value.map(ToOwned::to_owned));
        let mut path = self.path().as_os_str().to_owned();
        path.push(":");
        path.push(paths.expect("a search path"));
        command.env("PATH", path).env("AFO_STATE", self.path().join("state.db"));
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> Ended {
        self.command(name, args).output().expect("run").into()
    }

    /// Runs a command over `input`.
    fn fed(&self, name: &str, args: &[&str], input: &str) -> Ended {
        let path = self.path().join("input");
        std::fs::write(&path, input).expect("written");
        let mut command = self.command(name, args);
        command.stdin(std::fs::File::open(&path).expect("input")).output().expect("run").into()
    }

    /// Deploys proposals and confirms them.
    fn confirmed(&self, proposals: &str) {
        let path = self.path().join("confirmed");
        std::fs::write(&path, proposals).expect("written");
        let mut command = self.command("afo-deploy", &["--backend", "file", "--confirm=600"]);
        let input = std::fs::File::open(&path).expect("input");
        let mut child = command.stdin(input).stdout(std::process::Stdio::null()).spawn().expect("started");
        eventually("it is confirmed", || self.run("afo-deploy", &["confirm"]).code == Some(0));
        assert!(child.wait().expect("ended").success(), "it is confirmed");
    }

    /// Which lines of the contract do not hold, with what is said of each.
    fn failing(&self) -> Vec<(String, String)> {
        let ended = self.run("afo", &["backends", "--selftest", "file", "--json"]);
        let checks = ended.of_kind("backend_check");
        let failing = checks.iter().filter(|check| check["ok"] == false);
        let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
        let failing: Vec<_> = failing.map(|check| (text(check, "check"), text(check, "detail"))).collect();
        assert_eq!(ended.code, Some(i32::from(!failing.is_empty())), "{failing:?} {}", ended.err);
        failing
    }

    fn deploy(&self, sentence: &str, confirm: &str) -> Ended {
        self.deploy_to("file", sentence, confirm)
    }

    fn deploy_to(&self, backend: &str, sentence: &str, confirm: &str) -> Ended {
        let proposal = self.run("afo-gen", &["--provider", "grammar", sentence]);
        let mut command = self.command("afo-deploy", &["--backend", backend, confirm]);
        let input = self.path().join("proposal");
        std::fs::write(&input, &proposal.out).expect("written");
        command.stdin(std::fs::File::open(&input).expect("input")).output().expect("run").into()
    }
}

const ASK: &str = "block tcp port 8443 from 203.0.113.7";

#[test]
fn the_sample_holds_the_contract() {
    let place = Place::with(&[]);
    assert_eq!(place.failing(), []);
    assert_eq!(place.policy(), "");
    let words = place.run("afo", &["backends", "--selftest", "file", "--format", "text"]).text();
    assert!(words.ends_with("21 of the contract's lines were looked at: the contract holds\n"), "{words}");
}

/// Faults that show in the first answer, where nothing more is asked.
#[test]
fn a_backend_that_does_not_say_what_it_is_is_told_exactly() {
    for (old, new, words) in [
        (
            "    capabilities)",
            "    capabilities) sleep 60;;\n    x)",
            "capabilities: it gave no answer within 10 s and was ended",
        ),
        (
            "    capabilities)",
            "    capabilities) echo broken >&2; exit 3;;\n    x)",
            "capabilities: it ended without an answer: exit status: 3; it said: broken",
        ),
        (
            "    capabilities)",
            "    capabilities) echo hello;;\n    x)",
            "its answer to capabilities is no record: not a JSON object",
        ),
        (
            "    capabilities)",
            "    capabilities) say '{kind: \"proposal\", v: 1, id, ok: true}';;\n    x)",
            "its answer to capabilities is a record of the kind `proposal`; backend_reply is expected",
        ),
        (
            "    capabilities)",
            "    capabilities) say '{kind: \"backend_reply\", v: 1, id: 7, ok: true}';;\n    x)",
            "its answer to capabilities has the id 7; the request has 1",
        ),
        (
            "    capabilities)",
            "    capabilities) head -c 70000000 /dev/zero;;\n    x)",
            "capabilities: its answer is longer than 67108864 bytes; it was ended",
        ),
        ("name: \"file\"", "name: \"other\"", "it calls itself `other`; its program is named afo-backend-file"),
        ("\"order\", ", "\"magic\", ", "its capability `magic` is none that is known"),
        (
            "mkdir -p",
            "printf 'welcome\\n'; mkdir -p",
            "capabilities: it said something that it was not asked for: `welcome\n`",
        ),
    ] {
        let found = Place::with(&[(old, new)]).failing();
        let [(check, detail)] = found.as_slice() else { panic!("{new}: {found:?}") };
        assert_eq!(check, "capabilities", "{new}");
        // Whether the unasked line or the answer is read first, is a matter of time.
        let late = detail.contains("its answer to capabilities is no record") && words.contains("not asked for");
        assert!(late || detail.starts_with(&format!("afo-backend-file: {words}")), "{new}: {detail}");
    }
}

/// A change of the sample, the line of the contract that it breaks, and what is said of it.
type Fault = (&'static str, &'static str, &'static str, &'static str);

const FAULTS: [&[Fault]; 8] = [
    &[("now + .seconds | ceil", "now + .seconds * 3 | ceil", "block", "seconds, and it was asked for 300")],
    &[
        (
            "then say -j .state | put",
            "then rm -f \"$blocks\"; say -j .state | put",
            "block-beside",
            "after `restore` the block is gone",
        ),
        ("if .request == \"block\" then $asked else [] end", "$asked", "unblock", "`list` still tells of it"),
        (
            "now + .seconds | ceil",
            "now + (if .seconds == 1 then 1000 else .seconds end) | ceil",
            "block-ends",
            "30 s after its end `list` still tells of it",
        ),
    ],
    &[(
        "revision: $revision, state",
        "revision: ($revision + (now | tostring)), state",
        "list",
        "a second time `list` tells another revision, and nothing was changed",
    )],
    &[
        (
            "*) refuse",
            "*) say '{kind: \"backend_reply\", v: 1, id, ok: true}' ;;\n    x) refuse",
            "unknown-request",
            "it says that it did an unknown request",
        ),
        ("\\(.id)\\n\"", "\\(.id + (now | tostring))\\n\"", "render", "it writes the same rules in two ways"),
        (
            "[(keys - known)[] |",
            "[(keys - known - [\"connection_state\"])[] |",
            "render-refuses",
            "it has not the capability state and does not refuse rule state",
        ),
        ("    esac\ndone", "    esac\ndone\nsleep 100", "end", "it gave no answer within 40 s and was ended"),
    ],
    &[
        ("(map(line) | add", "(map(line) | sort | add", "render-order", "two orders of rules have the same text"),
        ("valid: (\\$errors == [])", "valid: true", "check", "it finds a text valid that is none of its own"),
        (
            "    render)\n",
            "    render) echo '# \"m\"' > \"$policy\"\n",
            "looks-only",
            "after render and check `list` tells another mark",
        ),
        ("stale: true, ", "", "apply-stale", "it refuses without saying that the revision is stale"),
    ],
    &[(
        "elif say -j '\"# \\(.mark | tojson)\\n\\(.native)\"' | put",
        "elif true",
        "apply",
        "it said that it did it, and `list` tells another native",
    )],
    &[
        (
            "\"$(say -r \"$check | length\")\" != 0",
            "1 != 1",
            "apply-refuses",
            "it says that it applied a text that is none of its own",
        ),
        (
            "then say -j .state | put \"$policy\"; else",
            "then say -j .state | sed 's/first/last/' | put \"$policy\"; else",
            "restore",
            "after restore `list` tells another mark",
        ),
        (
            "else rm -f \"$policy\" \"$blocks\"; fi",
            "else : ; fi",
            "restore-nothing",
            "`list` tells of something afterwards",
        ),
    ],
    &[
        (
            "\"$(say -r .revision)\" != \"$(revision)\"",
            "1 != 1",
            "apply-stale",
            "it applied a text to a revision that is not there",
        ),
        (
            "cat > \"$1.new\" && sync \"$1.new\" && mv \"$1.new\" \"$1\"",
            ": > \"$1\" && sleep 2 && cat > \"$1\"",
            "killed",
            "leaves neither the old nor the new",
        ),
    ],
];

#[test]
fn each_fault_fails_for_its_own_reason() {
    for faults in FAULTS {
        let mut changes: Vec<(&str, &str)> = faults.iter().map(|(old, new, _, _)| (*old, *new)).collect();
        // Only the one that says nothing is waited for to the end.
        let seconds = if faults.iter().any(|fault| fault.2 == "end") { "40" } else { "600" };
        let limit = format!("timeout_seconds: {seconds}");
        changes.push(("timeout_seconds: 30", &limit));
        let found = Place::with(&changes).failing();
        assert_eq!(found.first().map(|(check, _)| check.as_str()), Some(faults[0].2), "{found:?}");
        for (_, new, check, words) in faults {
            let own = found.iter().find(|(name, _)| name == check);
            let detail = own.map(|(_, detail)| detail.as_str()).unwrap_or_else(|| panic!("{new}: {found:?}"));
            assert!(detail.contains(words), "{new}: {detail}");
        }
    }
}

#[test]
fn what_cannot_be_tested_is_said() {
    let place = Place::with(&[]);
    let absent = place.run("afo", &["backends", "--selftest", "nobody"]);
    assert_eq!((absent.code, absent.err.contains("there is no program afo-backend-nobody in PATH")), (Some(3), true));
    let program = place.path().join("afo-backend-file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o757)).expect("a mode");
    let open = place.run("afo", &["backends", "--selftest", "file"]);
    assert!(open.code == Some(3) && open.err.contains("can be written by others (mode 0757)"), "{}", open.err);
    let listed = place.run("afo", &["backends"]).of_kind("context");
    assert!(listed[0]["missing"].to_string().contains("afo-backend-file is not run: "), "{listed:?}");
    let render = place.run("afo-render", &["--backend", "file"]);
    assert!(render.code == Some(3) && render.err.contains("is not run"), "{}", render.err);
}

#[test]
fn it_is_listed_with_what_it_can() {
    let listed = Place::with(&[]).run("afo", &["backends"]).of_kind("context");
    let backends = listed[0]["backends"].as_array().expect("backends").clone();
    let own = backends.into_iter().find(|backend| backend["name"] == "file").expect("the sample");
    assert!(own["program"].as_str().is_some_and(|path| path.ends_with("/afo-backend-file")), "{own}");
    assert_eq!(own["capabilities"].as_array().map(Vec::len), Some(10));
}

#[test]
fn a_change_holds_only_when_it_is_confirmed() {
    let place = Place::with(&[]);
    let lapsed = place.deploy(ASK, "--confirm=1");
    assert_eq!((lapsed.code, place.policy().as_str()), (Some(4), ""), "{}", lapsed.err);
    place.confirmed(&std::fs::read_to_string(place.path().join("proposal")).expect("proposed"));
    let lines: Vec<String> = place.policy().lines().skip(1).map(str::to_owned).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("drop input any tcp 203.0.113.7 any any 8443 "), "{lines:?}");
    // Somebody takes it away; recovery puts it back and says so.
    std::fs::remove_file(place.path().join("kept/policy")).expect("removed");
    assert!(place.run("afo-deploy", &["recover"]).err.contains("put 1 rule back"));
    assert!(place.policy().contains("203.0.113.7"));
    // Somebody edits AFO's own part: it is not AFO's text any more.
    let edited = place.policy().replace("203.0.113.7", "203.0.113.8");
    std::fs::write(place.path().join("kept/policy"), edited).expect("edited");
    assert_eq!(place.run("afo-deploy", &["recover"]).code, Some(0));
    assert!(place.policy().contains("203.0.113.7"), "{}", place.policy());
    let undone = place.run("afo-deploy", &["rollback"]);
    assert_eq!((undone.code, place.policy().lines().count()), (Some(0), 1), "{}", undone.err);
    assert_eq!((place.run("afo-deploy", &["flush-afo"]).code, place.policy().as_str()), (Some(0), ""));
}

/// What a machine found, now.
fn assessment(seconds: u64) -> String {
    format!(
        r#"{{"kind":"assessment","v":1,"id":"01934e70-0000-7000-8000-000000000005","ts":"{}","threat":"brute_force","threat_level":"high","confidence":0.95,"subjects":["203.0.113.9"],"evidence":["41 failed logins"],"response":{{"action":"block","ttl_seconds":{seconds}}},"auto_actionable":true}}"#,
        jiff::Timestamp::now()
    )
}

/// Without the capability AFO puts rules before its policy and takes them out in time.
const WITHOUT_END: &[(&str, &str)] = &[(", \"timeout\"]", "]")];

#[test]
fn blocks_of_a_stream_hold_for_their_time_whoever_keeps_it() {
    for changes in [&[][..], WITHOUT_END] {
        let place = Place::with(changes);
        let barred =
            || place.blocks().contains("203.0.113.9") || place.policy().contains("drop forward any any 203.0.113.9");
        let stream = |seconds: u64| {
            let proposal = place.fed("afo-gen", &["--provider", "grammar"], &assessment(seconds));
            place.fed("afo-deploy", &["--backend", "file", "--confirm", "--autonomy", "auto"], &proposal.text())
        };
        let done = stream(600);
        assert_eq!((done.code, barred()), (Some(0), true), "{}", done.err);
        // Asked again it is longer, not there twice; a change of policy that is taken back leaves it alone.
        assert_eq!(stream(6000).code, Some(0));
        let lines = place.blocks().lines().count() + place.policy().matches("drop input").count();
        assert_eq!(lines, 1, "{}{}", place.blocks(), place.policy());
        let listed = place.run("afo-deploy", &["list", "--json"]).of_kind("block");
        assert!(listed.len() == 1 && listed[0]["remaining_seconds"].as_u64() > Some(600), "{listed:?}");
        assert_eq!(place.deploy(ASK, "--confirm=1").code, Some(4));
        assert!(barred() && !place.policy().contains("8443"), "{}{}", place.blocks(), place.policy());
        // Somebody takes it away.
        place.lose();
        assert_eq!(place.run("afo-deploy", &["expire"]).code, Some(0));
        assert!(barred());
        let lifted = place.run("afo-deploy", &["unblock", "203.0.113.9"]);
        assert_eq!((lifted.code, barred()), (Some(0), false), "{}", lifted.err);
        assert_eq!((stream(1).code, place.run("afo-deploy", &["list", "--json"]).code), (Some(0), Some(0)));
        eventually("its time is over", || place.run("afo-deploy", &["expire"]).code == Some(0) && !barred());
        assert!(place.policy().is_empty(), "nothing of AFO is left: {}", place.policy());
    }
}

#[test]
fn an_allow_that_the_administrator_may_come_through_is_not_taken_away() {
    let place = Place::with(&[]);
    let config = place.path().join("afo.toml");
    std::fs::write(&config, "[management]\nnetworks = [\"203.0.113.0/24\"]\nports = [8443]\n").expect("written");
    let config = config.to_str().expect("UTF-8").to_owned();
    place
        .confirmed(&place.run("afo-gen", &["--provider", "grammar", "allow tcp port 8443 from 203.0.113.0/24"]).text());
    let back = place.run("afo-deploy", &["rollback", "--config", &config]);
    let words = "management from 203.0.113.0/24 on port 8443 would be cut off: only a rule that goes is known to let it through \
                 the firewall of afo-backend-file";
    assert!(back.code == Some(1) && back.err.contains(words), "{:?} {}", back.code, back.err);
    assert!(place.policy().contains("accept input any tcp 203.0.113.0/24"), "{}", place.policy());
    let other = place.fed("afo-deploy", &["rollback"], "");
    assert_eq!((other.code, place.policy().lines().count()), (Some(0), 1), "{}", other.err);
}

#[test]
fn a_block_that_fails_is_told_and_is_none() {
    for (change, code, words) in [
        (
            ("    block | unblock) block ;;", "    block | unblock) refuse no ;;"),
            3,
            "it refused to block: no; nothing was changed",
        ),
        (
            ("    block | unblock) block ;;", "    block | unblock) block > /dev/null; exit 9 ;;"),
            5,
            "it ended without an answer: exit status: 9; the blocks of before are not put back",
        ),
        (
            ("| put \"$blocks\"; then", "> /dev/null; then"),
            3,
            "it said that it did it, and lists other blocks; nothing was changed",
        ),
    ] {
        let place = Place::with(&[change]);
        let proposal = place.fed("afo-gen", &["--provider", "grammar"], &assessment(600));
        let ended =
            place.fed("afo-deploy", &["--backend", "file", "--confirm", "--autonomy", "auto"], &proposal.text());
        assert!(ended.code == Some(code) && ended.err.contains(words), "{change:?}: {:?} {}", ended.code, ended.err);
        assert!(place.run("afo-deploy", &["list", "--json"]).records().is_empty());
    }
}

#[test]
fn no_fault_leaves_half_a_change() {
    let put = "elif say -j '\"# \\(.mark | tojson)\\n\\(.native)\"' | put \"$policy\"; then";
    for (changes, code, words) in [
        (vec![("    apply) apply ;;", "    apply) refuse no ;;")], 3, "it refused to apply: no; nothing was changed"),
        (
            vec![("    apply) apply ;;", "    apply) exit 9 ;;")],
            3,
            "apply: it ended without an answer: exit status: 9; nothing was changed",
        ),
        (
            vec![("    apply) apply ;;", "    apply) apply > /dev/null; exit 9 ;;")],
            4,
            "it ended without an answer: exit status: 9; what was there before is put back",
        ),
        (
            vec![
                ("    apply) apply ;;", "    apply) apply > /dev/null; sleep 60 ;;"),
                ("timeout_seconds: 30", "timeout_seconds: 10"),
            ],
            4,
            "it gave no answer within 10 s and was ended; what was there before is put back",
        ),
        (vec![(put, "elif true; then")], 3, "it said that it did it, and nothing is there; nothing was changed"),
        (
            vec![(put, "elif say -j '\"# \\(.mark | tojson)\\nhalf\\n\"' | put \"$policy\"; then")],
            4,
            "it said that it did it, and lists something else; what was there before is put back",
        ),
        (
            vec![
                (put, "elif say -j '\"# \\(.mark | tojson)\\nhalf\\n\"' | put \"$policy\"; then"),
                ("    restore) restore ;;", "    restore) refuse never ;;"),
            ],
            5,
            "what was there before is not put back: afo-backend-file: it refused to restore: never",
        ),
    ] {
        let place = Place::with(&changes);
        let ended = place.deploy(ASK, "--confirm=2");
        assert_eq!(ended.code, Some(code), "{changes:?}: {}", ended.err);
        assert!(ended.err.contains(words), "{changes:?}: {}", ended.err);
        assert!(code == 5 || place.policy().is_empty(), "{changes:?}: {}", place.policy());
    }
}

#[test]
fn what_it_cannot_have_is_refused_and_what_is_no_backend_is_told() {
    let place = Place::with(&[]);
    let refused = place.deploy("block ping from 203.0.113.7", "--confirm=2");
    assert_eq!(
        (refused.code, refused.err.contains("file has not the capability icmp-type")),
        (Some(1), true),
        "{}",
        refused.err
    );
    let nobody = place.deploy_to("nobody", ASK, "--confirm=2");
    let words = "nothing deploys to nobody: AFO does not, and there is no program afo-backend-nobody in PATH";
    assert_eq!((nobody.code, nobody.err.contains(words)), (Some(3), true), "{}", nobody.err);
    let odd = place.run("afo-deploy", &["--backend", "../evil", "--confirm=2"]);
    assert_eq!(odd.code, Some(2), "{}", odd.err);
}
