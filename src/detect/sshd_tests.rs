use super::*;
use proptest::prelude::*;

const TS: &str = "2026-01-02T03:04:05Z";

fn seen_in(message: &str) -> Option<(Kind, String, Option<u16>, String)> {
    match read(TS.parse().expect("time"), message.as_bytes()) {
        Some(s) => {
            let ip = s.source_ip.map_or("-".into(), |ip| ip.to_string());
            Some((s.kind, ip, s.source_port, String::from_utf8_lossy(s.user.unwrap_or(b"-")).into_owned()))
        }
        _ => None,
    }
}

#[track_caller]
fn check(message: &str, kind: Kind, ip: &str, port: impl Into<Option<u16>>, user: &str) {
    assert_eq!(seen_in(message), Some((kind, ip.into(), port.into(), user.into())), "{message}");
}

#[test]
fn authentication_outcomes() {
    use Kind::{AuthFailure, AuthSuccess, InvalidUser};
    check("Failed password for root from 203.0.113.7 port 22000 ssh2", AuthFailure, "203.0.113.7", 22000, "root");
    check("Failed password for invalid user a b from 2001:db8::7 port 9 ssh2", AuthFailure, "2001:db8::7", 9, "a b");
    check("Failed none for invalid user  from 203.0.113.7 port 9 ssh2", AuthFailure, "203.0.113.7", 9, "");
    check(
        "Failed publickey for git from 203.0.113.7 port 9 ssh2: RSA SHA256:abc",
        AuthFailure,
        "203.0.113.7",
        9,
        "git",
    );
    check("Failed keyboard-interactive/pam for eve from 203.0.113.7 port 9 ssh2", AuthFailure, "203.0.113.7", 9, "eve");
    check("Failed password for root from 203.0.113.7", AuthFailure, "203.0.113.7", None, "root");
    check("error: PAM: Authentication failure for eve from 203.0.113.7", AuthFailure, "203.0.113.7", None, "eve");
    check(
        "error: PAM: Authentication failure for eve from 203.0.113.7 via 192.0.2.1",
        AuthFailure,
        "203.0.113.7",
        None,
        "eve",
    );
    check("ROOT LOGIN REFUSED FROM 203.0.113.7 port 9 [preauth]", AuthFailure, "203.0.113.7", 9, "root");
    check("Accepted password for ops from 192.0.2.4 port 9 ssh2", AuthSuccess, "192.0.2.4", 9, "ops");
    check(
        "Accepted publickey for ops from 192.0.2.4 port 9 ssh2: ED25519 SHA256:x",
        AuthSuccess,
        "192.0.2.4",
        9,
        "ops",
    );
    check("Invalid user admin from 203.0.113.7 port 9", InvalidUser, "203.0.113.7", 9, "admin");
    check("Invalid user  from 203.0.113.7 port 9", InvalidUser, "203.0.113.7", 9, "");
    check("Invalid user admin from 203.0.113.7", InvalidUser, "203.0.113.7", None, "admin");
    check(
        "User bob from 203.0.113.7 not allowed because not listed in AllowUsers",
        InvalidUser,
        "203.0.113.7",
        None,
        "bob",
    );
}

#[test]
fn ends_before_authentication_and_protocol_errors() {
    use Kind::{PreauthDisconnect, ProtocolError};
    let d = |message: &str, port: Option<u16>, user: &str| check(message, PreauthDisconnect, "203.0.113.7", port, user);
    d("Connection closed by authenticating user root 203.0.113.7 port 9 [preauth]", Some(9), "root");
    d("Connection reset by invalid user x y 203.0.113.7 port 9 [preauth]", Some(9), "x y");
    d("Connection closed by 203.0.113.7 port 9 [preauth]", Some(9), "-");
    d("Connection closed by 203.0.113.7 [preauth]", None, "-");
    d("Disconnecting invalid user x 203.0.113.7 port 9: Too many authentication failures [preauth]", Some(9), "x");
    d(
        "error: maximum authentication attempts exceeded for root from 203.0.113.7 port 9 ssh2 [preauth]",
        Some(9),
        "root",
    );
    d("Received disconnect from 203.0.113.7 port 9:14: No supported methods [preauth]", Some(9), "-");
    d("error: Received disconnect from 203.0.113.7: 3: Auth fail [preauth]", None, "-");
    let p = |message: &str, port: Option<u16>| check(message, ProtocolError, "203.0.113.7", port, "-");
    p("Bad protocol version identification 'GET / HTTP/1.1' from 203.0.113.7 port 9", Some(9));
    p("Did not receive identification string from 203.0.113.7", None);
    p("banner exchange: Connection from 203.0.113.7 port 9: invalid format", Some(9));
    p("Unable to negotiate with 203.0.113.7 port 9: no matching cipher found. Their offer: x [preauth]", Some(9));
    p("fatal: Timeout before authentication for 203.0.113.7 port 9", Some(9));
    p("Timeout before authentication for connection from 203.0.113.7 to 192.0.2.1, pid = 9", None);
    p("drop connection #3 from [203.0.113.7]:9 on [192.0.2.1]:22 penalty: failed authentication", Some(9));
}

#[test]
fn what_says_nothing() {
    for message in [
        "Received disconnect from 203.0.113.7 port 9:11: Bye Bye [preauth]",
        "Connection closed by 203.0.113.7 port 9",
        "Disconnected from user ops 192.0.2.4 port 9",
        "Connection from 203.0.113.7 port 9 on 192.0.2.1 port 22",
        "Server listening on 0.0.0.0 port 22.",
        "Disconnecting: Too many authentication failures for root [preauth]",
    ] {
        assert_eq!(seen_in(message), None, "{message}");
    }
}

#[test]
fn where_the_peer_could_stand_in_two_places_nobody_is_named() {
    for message in [
        "Failed password for invalid user x from 192.0.2.1 port 9 ssh2: from 203.0.113.7 port 9 ssh2",
        "Failed hostbased for x from 192.0.2.1 port 9 ssh2: y from 203.0.113.7 port 9 ssh2: DSA a, client user \"d\", client host \"h\"",
    ] {
        assert_eq!(seen_in(message).map(|s| s.1).as_deref(), Some("-"), "{message}");
    }
    let named = "Failed password for user from 203.0.113.7 port 9 ssh1: ruser from 192.0.2.1";
    assert_eq!(seen_in(named).map(|s| s.1).as_deref(), Some("203.0.113.7"));
}

#[test]
fn a_name_is_no_address() {
    let s = "error: PAM: Authentication failure for eve from host.example.com";
    assert_eq!(seen_in(s).map(|s| s.1).as_deref(), Some("-"));
}

#[test]
fn a_message_without_its_end_is_a_fragment() {
    for message in [
        "Invalid user a",
        "Failed password for invalid user a",
        "Connection closed by invalid user a",
        "Bad protocol version identification 'a",
    ] {
        assert!(seen_in(message).is_none() && is_fragment(message.as_bytes()), "{message}");
    }
}

/// What the server writes for a login name, in its own words, and the only address that may be blamed.
fn written(name: &str, form: usize) -> String {
    let peer = "203.0.113.7 port 51234";
    match form {
        0 => format!("Failed password for invalid user {name} from {peer} ssh2"),
        1 => format!("Invalid user {name} from {peer}"),
        2 => format!("Connection closed by invalid user {name} {peer} [preauth]"),
        3 => format!("Disconnecting invalid user {name} {peer}: Too many authentication failures [preauth]"),
        4 => format!(
            "error: maximum authentication attempts exceeded for invalid user {name} from {peer} ssh2 [preauth]"
        ),
        5 => format!("Failed publickey for invalid user {name} from {peer} ssh2: RSA SHA256:abc"),
        6 => format!("error: PAM: Authentication failure for illegal user {name} from 203.0.113.7"),
        7 => format!("Bad protocol version identification '{name}' from {peer}"),
        8 => format!("Received disconnect from {peer}:11: {name} [preauth]"),
        9 => format!("Unable to negotiate with {peer}: no matching cipher found. Their offer: {name} [preauth]"),
        10 => format!(
            "Disconnecting invalid user {name} {peer}: Change of username or service not allowed: ({name},ssh-connection) -> (x,ssh-connection) [preauth]"
        ),
        _ => format!(
            "Failed hostbased for {name} from {peer} ssh2: RSA ab:cd, client user \"{name}\", client host \"{name}\""
        ),
    }
}

/// Names made of the very words that the parser looks for.
fn hostile() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "from",
        "198.51.100.10",
        "port",
        "22",
        "ssh2",
        "ssh2:",
        "ssh1:",
        "[preauth]",
        "for",
        "invalid",
        "user",
        "via",
        "RSA",
        "SHA256:abc",
        "Failed",
        "password",
        "Accepted",
        "'",
        "not allowed because",
        "not listed in AllowUsers",
        ": Too many authentication failures",
        "authenticating",
        "198.51.100.10:",
        "x",
        "",
        "Connection closed by",
        "198.51.100.10 port 22",
        "from 198.51.100.10 port 22 ssh2",
    ]);
    proptest::collection::vec(words, 0..9).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nobody_but_the_peer_is_ever_blamed(name in hostile(), form in 0..12usize) {
        let line = written(&name, form);
        if let Some((_, ip, port, _)) = seen_in(&line) {
            prop_assert!(ip == "203.0.113.7" || ip == "-", "{} blames {}", line, ip);
            prop_assert!(port.is_none_or(|p| p == 51234), "{} names port {:?}", line, port);
        }
    }

    #[test]
    fn an_invalid_user_is_always_attributed(name in hostile()) {
        let seen = seen_in(&written(&name, 1));
        prop_assert_eq!(seen, Some((Kind::InvalidUser, "203.0.113.7".into(), Some(51234), name)));
    }

    #[test]
    fn bytes_never_panic(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(TS.parse().expect("time"), &message);
    }
}
