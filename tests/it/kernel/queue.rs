//! What becomes of a packet that is handed to a program: nobody there, one that takes it, one that does not.
//!
//! By iptables' NFQUEUE, which every kernel with queues has; nft's own statement for it is left out of some.

use super::{Host, feed, in_namespace};
use afo::backend::iptables::read;
use afo::rule::evaluate::evaluate;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

const QUEUE: u16 = 7;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// linux/netfilter/nfnetlink_queue.h: `NFQNL_MSG_VERDICT`, `NFQNL_MSG_CONFIG`.
const VERDICT: u16 = 1;
const CONFIG: u16 = 2;

/// A program behind the queue, which says the same of every packet.
struct Program {
    socket: OwnedFd,
    verdict: u32,
}

impl Program {
    fn start(verdict: u32) -> Self {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER));
        let socket = socket.expect("a netlink socket");
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0)).expect("it is bound");
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(10))).expect("a limit");
        let program = Self { socket, verdict };
        // NFQA_CFG_CMD: NFQNL_CFG_CMD_BIND; NFQA_CFG_PARAMS: nothing of the packet itself.
        for attribute in [attribute(1, &[1, 0, 0, 0]), attribute(2, &[0, 0, 0, 0, 1])] {
            program.say(CONFIG, 1 | 4, &attribute);
            let answer = program.hear();
            assert_eq!(&answer[16..20], &[0; 4], "the queue is refused: {answer:?}");
        }
        program
    }

    fn say(&self, kind: u16, flags: u16, attributes: &[u8]) {
        let length = u32::try_from(20 + attributes.len()).expect("short");
        let mut message = length.to_ne_bytes().to_vec();
        message.extend((3u16 << 8 | kind).to_ne_bytes()); // NFNL_SUBSYS_QUEUE
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]);
        message.extend([0, 0]);
        message.extend(QUEUE.to_be_bytes());
        message.extend(attributes);
        rustix::net::send(&self.socket, &message, SendFlags::empty()).expect("the kernel listens");
    }

    fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 16];
        let (length, _) = rustix::net::recv(&self.socket, &mut buffer, RecvFlags::empty()).expect("a message");
        buffer[..length].to_vec()
    }

    /// Waits for a packet and says what becomes of it. Its number begins its first attribute (NFQA_PACKET_HDR).
    fn answer(&self) {
        let message = self.hear();
        assert_eq!(&message[22..24], &1u16.to_ne_bytes(), "{message:?}");
        let verdict = [self.verdict.to_be_bytes().as_slice(), &message[24..28]].concat();
        self.say(VERDICT, 1, &attribute(2, &verdict)); // NFQA_VERDICT_HDR
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len()).expect("short").to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Whether a datagram comes through, with a program there or none.
fn arrives(program: Option<&Program>) -> bool {
    let receiver = UdpSocket::bind("127.0.0.1:9").expect("a port");
    receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    // EPERM: a rule dropped it.
    let sent = sender.send_to(b"question", "127.0.0.1:9");
    assert!(sent.as_ref().is_ok() || sent.as_ref().is_err_and(|e| e.raw_os_error() == Some(1)), "{sent:?}");
    program.into_iter().for_each(Program::answer);
    receiver.recv(&mut [0; 16]).is_ok()
}

/// A queue in the chain OUTPUT of filter, a drop behind it, and perhaps one in a chain that comes later.
fn load(host: &Host, kind: &str, options: &str, later: bool) -> String {
    let drop = "-p udp -m udp --dport 9 -j DROP";
    let later = if later { format!("-A POSTROUTING {drop}\n") } else { String::new() };
    let dump = format!(
        "*filter\n:OUTPUT ACCEPT\n-A OUTPUT -p udp -m udp --dport 9 -j NFQUEUE --queue-num {QUEUE}{options}
-A OUTPUT {drop}\nCOMMIT\n*mangle\n:POSTROUTING ACCEPT\n{later}COMMIT\n"
    );
    let out = feed(&mut Command::new(format!("iptables-{kind}-restore")), dump.as_bytes());
    assert!(out.status.success(), "{}\n{dump}", String::from_utf8_lossy(&out.stderr));
    host.sh(&format!("iptables-{kind}-save"))
}

/// What a program accepts, and what nobody takes where a bypass is asked for, ends its chain like an accept: no rule behind it is asked,
/// and a later chain can drop it. Without a bypass it is gone. The evaluator says no more than that nobody knows.
#[test]
fn a_queue_decides_like_a_rule_of_its_chain() {
    const BYPASS: &str = " --queue-bypass";
    in_namespace(|host| {
        for kind in ["nft", "legacy"] {
            for (options, verdict, later, passes) in [
                ("", None, false, false),
                (BYPASS, None, false, true),
                (BYPASS, None, true, false),
                ("", Some(ACCEPT), false, true),
                ("", Some(ACCEPT), true, false),
                ("", Some(DROP), false, false),
                (BYPASS, Some(ACCEPT), false, true),
                (BYPASS, Some(DROP), false, false),
            ] {
                let dump = load(host, kind, options, later);
                let what = format!("{kind} {verdict:?}\n{dump}");
                let program = verdict.map(Program::start);
                assert_eq!(arrives(program.as_ref()), passes, "{what}");
                let ruleset = read(&dump).unwrap_or_else(|e| panic!("{e}: {what}"));
                let packet = "output lo 127.0.0.1:40000 > 127.0.0.1:9 udp".parse().expect("a packet");
                let fate = |lucky| evaluate(&ruleset, &packet, &mut |_, _| lucky).expect("no circle").fate.passes();
                assert_eq!([fate(true), fate(false)], [!later, false], "{what}");
            }
            load(host, kind, "", false);
            host.sh(&format!("iptables-{kind} -F; iptables-{kind} -t mangle -F"));
        }
    });
}
