//! What every command promises at the shell (commands.md), over all of [`afo::cmd::COMMANDS`].

use crate::shell::{Ended, afo, commands, on_terminal, run, sample};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A command that reads records and puts out records.
struct Filter {
    name: &'static str,
    args: &'static [&'static str],
    /// A kind that it works on.
    takes: &'static str,
    /// Whether a line that is no JSON is a bad one.
    refuses_text: bool,
}

const FILTERS: &[Filter] = &[
    Filter { name: "afo-gen", args: &[], takes: "request", refuses_text: false },
    Filter { name: "afo-render", args: &[], takes: "proposal", refuses_text: true },
    Filter { name: "afo-check", args: &[], takes: "proposal", refuses_text: true },
    Filter { name: "afo-conflicts", args: &[], takes: "proposal", refuses_text: true },
    Filter { name: "afo-deploy", args: &["-n"], takes: "proposal", refuses_text: true },
    Filter { name: "afo-assess", args: &[], takes: "event", refuses_text: true },
    Filter { name: "afo-sim", args: &[], takes: "finding", refuses_text: false },
];

/// Commands that read no records.
const SOURCES: &[&str] = &["afo", "afo-ctx", "afo-watch", "afo-log", "afo-queue"];

/// The filters that are there.
fn filters() -> Vec<&'static Filter> {
    let there = commands();
    FILTERS.iter().filter(|f| there.contains(&f.name)).collect()
}

fn over(filter: &Filter, input: &[u8]) -> Ended {
    let ended = run(filter.name, filter.args, input);
    assert!(!ended.err.contains("panicked"), "{}: {}", filter.name, ended.err);
    assert!(ended.code.is_some(), "{}: ended by a signal on {:?}", filter.name, &input[..input.len().min(99)]);
    ended
}

#[test]
fn every_command_is_held_to_the_manners() {
    for name in commands() {
        let known = FILTERS.iter().any(|f| f.name == name) || SOURCES.contains(&name);
        assert!(known, "{name}: add it to FILTERS or SOURCES in tests/it/manners.rs");
        assert!(crate::tree::bin(name).exists(), "{name}: no [[bin]] in Cargo.toml");
    }
}

#[test]
fn what_is_not_taken_passes_byte_for_byte() {
    let input = concat!(
        r#"{"kind":"x","v":1,"a":1}"#,
        "\n",
        r#"  { "v" : 1, "kind" : "x" ,"a":1e2,"b":"\u0041\/","b":2,"c":12345678901234567890.00 }  "#,
        "\r\n",
        r#"{"kind":"x","v":999}"#,
        "\n",
        "\n",
        r#"{"kind":"error","v":1,"stage":"afo-gen","message":"upstream"}"#,
        "\n",
        r#"{"kind":"ünïcode ✓","v":1}"#,
    );
    for filter in filters() {
        let ended = over(filter, input.as_bytes());
        assert_eq!(ended.text(), input, "{}", filter.name);
        assert_eq!((ended.err.as_str(), ended.code), ("", Some(0)), "{}", filter.name);
    }
}

#[test]
fn nothing_in_nothing_out() {
    for filter in filters() {
        let ended = over(filter, b"");
        assert_eq!((ended.text().as_str(), ended.err.as_str(), ended.code), ("", "", Some(0)), "{}", filter.name);
    }
}

#[test]
fn a_bad_line_is_told_and_kept_and_the_run_goes_on() {
    let input = "{\"kind\":\"proposal\"\n{\"kind\":\"x\"}\n{\"v\":1}\n";
    for filter in filters() {
        let ended = over(filter, input.as_bytes());
        let name = filter.name;
        let first = format!("{name}: error: -:1: broken JSON: ");
        assert!(ended.err.starts_with(&first), "{name}: {}", ended.err);
        assert!(ended.err.contains(&format!("{name}: error: -:3: the record has no `kind`")), "{}", ended.err);
        assert_eq!(ended.code, Some(2), "{name}");
        let errors = ended.of_kind("error");
        assert_eq!(errors.len(), 2, "{name}: {}", ended.text());
        assert_eq!(errors[0]["stage"], name);
        assert_eq!(errors[0]["line"], 1, "{name}");
        assert_eq!(errors[0]["input"], "{\"kind\":\"proposal\"", "{name}");
        assert!(ended.text().contains("\n{\"kind\":\"x\"}\n"), "{name}: the line after it");
    }
}

/// Input that no command can work on, with what it is.
fn bad_input(takes: &str) -> Vec<(&'static str, Vec<u8>)> {
    let record = |fields: &str| format!("{{\"kind\":\"{takes}\",\"v\":1{fields}}}\n").into_bytes();
    let mut long = format!("{{\"kind\":\"{takes}\",\"text\":\"").into_bytes();
    long.resize(10 << 20, b'x');
    let nested = "{\"a\":".repeat(100_000);
    let binary: Vec<u8> =
        (0..=255).filter(|b| *b != b'\n').map(|b: u8| b.wrapping_mul(151)).filter(|b| *b != b'\n').collect();
    vec![
        ("binary", [b"{".as_slice(), &binary].concat()),
        ("half a line", format!("{{\"kind\":\"{takes}\",\"v\":1,\"i").into_bytes()),
        ("10 MB", [long.as_slice(), b"\"}\n"].concat()),
        ("deep JSON", record(&format!(",\"a\":{nested}1{}", "}".repeat(100_000)))),
        ("unbalanced deep JSON", nested.into_bytes()),
        ("NaN", record(",\"id\":NaN")),
        ("infinite", record(",\"id\":1e999")),
        ("huge number", record(&format!(",\"id\":{}", "9".repeat(5000)))),
        ("not UTF-8", [b"{\"kind\":\"".as_slice(), takes.as_bytes(), b"\",\"text\":\"\xff\xfe\"}\n"].concat()),
        ("NUL", [b"{\"kind\":\"".as_slice(), takes.as_bytes(), b"\",\"text\":\"\0\"}\n"].concat()),
        ("a field of another type", record(",\"id\":[],\"text\":{}")),
        ("a later version", format!("{{\"kind\":\"{takes}\",\"v\":2}}\n").into_bytes()),
        ("a record without its fields", record("")),
    ]
}

#[test]
fn bad_input_is_named_and_kept_and_ends_nothing() {
    for filter in filters() {
        for (what, bytes) in bad_input(filter.takes) {
            let after = b"{\"kind\":\"after\"}\n";
            let ended = over(filter, &[bytes.strip_suffix(b"\n").unwrap_or(&bytes), b"\n", after].concat());
            let name = filter.name;
            assert_eq!(ended.code, Some(2), "{name}: {what}: {}", ended.err);
            assert!(ended.err.starts_with(&format!("{name}: error: -:1: ")), "{name}: {what}: {}", ended.err);
            assert!(ended.err.len() < 2000, "{name}: {what}: {} bytes of words", ended.err.len());
            let errors = ended.of_kind("error");
            assert_eq!(errors.len(), 1, "{name}: {what}");
            assert!(errors[0]["input"].as_str().is_some_and(|i| !i.is_empty()), "{name}: {what}: what it was is lost");
            assert!(ended.out.ends_with(after), "{name}: {what}: the line after it is lost");
        }
    }
}

#[test]
fn a_last_line_without_its_end_is_worked_on() {
    for filter in filters() {
        let ended = over(filter, format!("{{\"kind\":\"{}\",\"v\":1,\"i", filter.takes).as_bytes());
        assert_eq!((ended.code, ended.of_kind("error").len()), (Some(2), 1), "{}", filter.name);
    }
}

#[test]
fn a_line_that_is_no_object_is_refused_where_no_sentence_is_expected() {
    for filter in filters().iter().filter(|f| f.refuses_text) {
        for line in ["block ssh", "[1,2]", "null", "\"x\""] {
            let ended = over(filter, format!("{line}\n").as_bytes());
            let words = format!("{}: error: -:1: not a JSON object", filter.name);
            assert!(ended.err.starts_with(&words) && ended.code == Some(2), "{words}: {}", ended.err);
        }
    }
}

#[test]
fn words_of_an_error_are_sanitised() {
    for filter in filters() {
        let ended = over(filter, b"{\"kind\":\"\x1b[2J\xe2\x80\xae\",\"v\":\"\x1b]0;x\x07\"}\n{\"\x1b[31m\":\n");
        assert_eq!(ended.code, Some(2), "{}", filter.name);
        assert!(!ended.err.contains(['\x1b', '\x07', '\u{202e}']), "{}: {:?}", filter.name, ended.err);
    }
}

#[test]
fn output_that_cannot_be_written_is_told() {
    for filter in filters() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let mut child = afo(filter.name, filter.args)
            .stdin(Stdio::piped())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command");
        child.stdin.take().expect("piped").write_all(b"{\"kind\":\"x\"}\n").expect("written");
        let ended = Ended::from(child.wait_with_output().expect("ended"));
        let words = format!("{}: error: cannot write standard output: No space left on device", filter.name);
        assert!(ended.err.starts_with(&words), "{}", ended.err);
        assert_eq!(ended.code, Some(2), "{}", filter.name);
    }
}

#[test]
fn a_closed_pipe_ends_a_filter_without_a_word() {
    for filter in filters().iter().filter(|f| f.name != "afo-deploy") {
        let mut child = start(filter);
        drop(child.stdout.take());
        let mut input = child.stdin.take().expect("piped");
        let many = "{\"kind\":\"x\"}\n".repeat(10_000);
        // It may end before it has read all.
        let _ = input.write_all(many.as_bytes());
        drop(input);
        let ended = Ended::from(child.wait_with_output().expect("ended"));
        assert_eq!((ended.err.as_str(), ended.code), ("", Some(141)), "{}", filter.name);
    }
}

fn start(filter: &Filter) -> Child {
    let mut command = afo(filter.name, filter.args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|e| panic!("{}: {e}", filter.name))
}

#[test]
fn an_answer_comes_before_the_input_ends() {
    for filter in filters() {
        let mut child = start(filter);
        let mut input = child.stdin.take().expect("piped");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, hear) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|n| n > 0) {
                if tell.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        for n in 0..3 {
            let line = format!("{{\"kind\":\"x\",\"n\":{n}}}\n");
            input.write_all(line.as_bytes()).expect("written");
            let heard = hear.recv_timeout(Duration::from_secs(60));
            assert_eq!(heard.as_deref(), Ok(line.as_str()), "{}: held back", filter.name);
        }
        drop(input);
        reader.join().expect("the reading thread");
        assert_eq!(child.wait().expect("ended").code(), Some(0), "{}", filter.name);
    }
}

#[test]
fn sigterm_finishes_what_is_in_hand() {
    for filter in filters() {
        let mut child = start(filter);
        let mut input = child.stdin.take().expect("piped");
        input.write_all(b"{\"kind\":\"x\"}\n").expect("written");
        let mut output = child.stdout.take().expect("piped");
        let mut line = [0; 13];
        output.read_exact(&mut line).expect("the answer");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("kill");
        let code = child.wait().expect("ended").code();
        assert_eq!(code, Some(0), "{}: input was still open", filter.name);
    }
}

#[test]
fn help_is_short_and_long_help_has_examples() {
    for name in commands() {
        let short = run(name, &["-h"], b"");
        let lines = short.text().lines().count();
        assert!(short.code == Some(0) && (5..=25).contains(&lines), "{name} -h: {lines} lines\n{}", short.text());
        let long = run(name, &["--help"], b"").text();
        for part in ["Examples", "Exit status", "Usage: "] {
            assert!(long.contains(part), "{name} --help has no `{part}`:\n{long}");
        }
        assert!(
            long.contains(&format!("$ {name}")) || long.contains(&format!("| {name}")),
            "{name} --help: an example of it"
        );
        let about = short.text().lines().next().unwrap_or_default().to_owned();
        assert!(
            !about.ends_with('.') && about.len() > 10,
            "{name}: first line `{about}` is a sentence without a period"
        );
        let version = run(name, &["--version"], b"").text();
        assert_eq!(version, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_wrong_flag_is_told_and_the_right_one_guessed() {
    for name in commands() {
        let ended = run(name, &["--jsn"], b"");
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.err);
        assert!(ended.err.starts_with(&format!("{name}: error: ")), "{name}: {}", ended.err);
        assert!(ended.err.contains("--json"), "{name}: no guess: {}", ended.err);
        assert!(ended.out.is_empty(), "{name}: {}", ended.text());
    }
}

#[test]
fn a_terminal_gets_readable_and_harmless_text() {
    let scratch = tempfile::tempdir().expect("scratch");
    let hostile = r#"{"kind":"alert","v":1,"level":"high","message":"a\u001b[2Jb\u202ec\u0007d\u200b"}"#;
    std::fs::write(scratch.path().join("in"), format!("{hostile}\n")).expect("written");
    for filter in filters() {
        let line = |args: &str| format!("{} {} {args} < in", filter.name, filter.args.join(" "));
        let coloured = on_terminal(&line(""), scratch.path(), &[]);
        assert!(coloured.contains("alert") && coloured.contains("\x1b[31m"), "{}: {coloured:?}", filter.name);
        let plain = on_terminal(&line(""), scratch.path(), &[("NO_COLOR", "1")]);
        assert!(plain.contains("alert") && !plain.contains('\x1b'), "{}: {plain:?}", filter.name);
        let json = on_terminal(&line("--json"), scratch.path(), &[]);
        assert!(json.contains("{\"kind\":\"alert\"") && !json.contains('\x1b'), "{}: {json:?}", filter.name);
        for text in [&coloured, &plain, &json] {
            assert!(
                !text.contains(['\u{202e}', '\u{7}', '\u{200b}']) && !text.contains("\x1b[2J"),
                "{}: {text:?}",
                filter.name
            );
        }
    }
}

#[test]
fn text_is_had_in_a_pipe_when_it_is_asked_for() {
    for filter in filters() {
        let args = [filter.args, &["--format", "text"]].concat();
        let ended = run(filter.name, &args, format!("{}\n", sample("alert", 1)).as_bytes());
        assert_eq!((ended.text().as_str(), ended.code), ("alert low m\n", Some(0)), "{}: {}", filter.name, ended.err);
    }
}

#[test]
fn a_configuration_that_is_not_there_or_wrong_is_told() {
    let scratch = tempfile::tempdir().expect("scratch");
    let wrong = scratch.path().join("wrong.toml");
    std::fs::write(&wrong, "no_such_key = 1\n").expect("written");
    let wrong = wrong.to_str().expect("UTF-8");
    for name in commands().iter().filter(|n| FILTERS.iter().any(|f| f.name == **n)) {
        let absent = run(name, &["--config", "/nonexistent/afo.toml"], b"");
        assert_eq!(absent.code, Some(2), "{name}: a configuration that is named and absent: {}", absent.err);
        assert!(absent.err.contains("/nonexistent/afo.toml"), "{name}: {}", absent.err);
        let ended = run(name, &["--config", wrong], b"");
        assert!(ended.code == Some(2) && ended.err.contains("no_such_key"), "{name}: {:?} {}", ended.code, ended.err);
    }
}

/// The most memory that a process has held, in KiB.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("the process is alive");
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn a_hundred_thousand_records_take_no_more_memory_than_a_thousand() {
    // Without optimisation a tenth: a leak of 250 bytes a record shows in it as well, and everybody waits for this test.
    let rest = if cfg!(debug_assertions) { 9_000 } else { 99_000 };
    for filter in filters().iter().filter(|f| f.name == "afo-render") {
        let mut child = start(filter);
        let mut input = child.stdin.take().expect("piped");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let line = r#"{"kind":"proposal","v":1,"id":"p","ts":"2026-03-01T08:00:40Z","ok":true,"rules":[{"id":"r","action":"drop","direction":"input","protocol":["tcp"],"source_address":["203.0.113.0/24"],"destination_port":["22"]}]}"#;
        let mut exchange = |times: usize| {
            let batch = format!("{line}\n").repeat(100);
            let mut answer = String::new();
            for _ in 0..times / 100 {
                input.write_all(batch.as_bytes()).expect("written");
                for _ in 0..100 {
                    answer.clear();
                    output.read_line(&mut answer).expect("an answer");
                    assert!(answer.contains("\"rendered\""), "{answer}");
                }
            }
        };
        exchange(1000);
        let before = peak(&child);
        exchange(rest);
        let after = peak(&child);
        assert!(after < before + 2048, "{before} KiB after 1,000 records, {after} KiB after {rest} more");
        drop((input, output));
        child.wait().expect("ended");
    }
}
