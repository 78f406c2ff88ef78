//! The harness of kernel tests: a fresh network namespace for each test, and networks that reach it.
//!
//! [`in_namespace`] runs the test again as a process of its own inside `unshare`, so everything in its body (sockets,
//! commands, nft) is inside. Nothing of it reaches the host's network, and /run is a private one. Where no namespace can be had
//! the test fails and says why; `AFO_KERNEL=0` alone leaves kernel tests out, and they say so.

mod addresses;
mod approval;
mod audit;
mod caps;
mod context;
mod corpus;
mod crash;
mod daemon;
mod deploy;
mod deploy_iptables;
mod door;
mod elements;
mod evaluator;
mod export;
mod feed;
mod fragments;
mod heartbeat;
mod hours;
mod import;
mod invariants;
mod iptables;
mod iptables_packets;
mod lockout;
mod nat;
mod nat_iptables;
mod nftables;
mod oracle;
mod placement;
mod placing;
mod queue;
pub mod rendering;
mod replay;
mod restoring;
mod scheme;
mod states;
mod translation;
mod watchdog;

use crate::tree::bin;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const INSIDE: &str = "AFO_TEST_INSIDE";

/// A window in which a test starts processes and looks at something, in seconds: wide enough for a machine much slower than
/// an idle one.
pub const WINDOW: u32 = 10;

/// For how long a test waits for what must happen: no load of the machine alone makes it fail.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Waits for what happens without the test's doing.
pub fn eventually(what: &str, holds: impl FnMut() -> bool) {
    eventually_or(|| what.to_owned(), holds);
}

/// As [`eventually`], with what is to be said where it does not happen.
pub fn eventually_or(told: impl FnOnce() -> String, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() >= deadline {
            panic!("it did not happen: {}", told());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs `body` in a fresh network namespace with loopback up, as root of that namespace.
pub fn in_namespace(body: impl FnOnce(&Host)) {
    if std::env::var_os(INSIDE).is_some() {
        let host = Host;
        host.sh(
            "ip link set lo up; mount -t tmpfs tmpfs /run; if [ -d /etc/afo ]; then mount -t tmpfs tmpfs /etc/afo; fi",
        );
        return body(&host);
    }
    let thread = std::thread::current();
    let name = thread.name().filter(|n| *n != "main").expect("a test runs in a thread of its name");
    if std::env::var("AFO_KERNEL").is_ok_and(|v| v == "0") {
        return eprintln!("LEFT OUT: kernel test {name}, because AFO_KERNEL=0");
    }
    let out = again(name);
    let words = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let ran = words.contains("1 passed") || words.contains("1 failed");
    assert!(ran, "no network namespace can be had (run as root, allow user namespaces, or set AFO_KERNEL=0):\n{words}");
    assert!(out.status.success(), "inside the namespace:\n{words}");
    // Figures, for who asked for them with --nocapture.
    print!("{words}");
}

/// Runs the test called `name` of this program in new network and mount namespaces.
fn again(name: &str) -> Output {
    let user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["-r"] };
    Command::new("unshare")
        .args(user)
        .args(["-n", "-m", "--"])
        .arg(std::env::current_exe().expect("the path of this program"))
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .expect("unshare (util-linux)")
}

/// The host of a kernel test: the namespace that the test runs in.
#[derive(Debug)]
pub struct Host;

impl Host {
    /// Runs a shell script that must succeed; what it printed.
    pub fn sh(&self, script: &str) -> String {
        succeed(Command::new("bash").args(["-euo", "pipefail", "-c", script]), script)
    }

    /// Loads text with `nft -f`, which must succeed.
    pub fn nft(&self, text: &str) {
        let out = self.try_nft(text);
        assert!(out.status.success(), "nft refused:\n{text}\n{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Loads text with `nft -f`; what became of it.
    pub fn try_nft(&self, text: &str) -> Output {
        feed(Command::new("nft").args(["-f", "-"]), text.as_bytes())
    }

    /// `nft list ruleset`, without counters and handles.
    pub fn ruleset(&self) -> String {
        self.sh("nft -s list ruleset")
    }

    /// A built command of AFO, with an environment of its own: no colour, no state but what the test names.
    pub fn afo(&self, name: &str) -> Command {
        let mut command = Command::new(bin(name));
        command.env("AFO_STATE", "none").env_remove("SSH_CONNECTION").env_remove("RUST_LOG");
        command
    }

    /// Accepts TCP connections at `address` until the test ends.
    pub fn listen(&self, address: SocketAddr) {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("listen on {address}: {e}"));
        std::thread::spawn(move || listener.incoming().for_each(drop));
    }

    /// A neighbour in a namespace of its own, joined to this one by a veth pair; `network` gives the length of both addresses' network.
    pub fn peer(&self, interface: &str, own: IpAddr, theirs: IpAddr, length: u8) -> Peer {
        let mut holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux)");
        let mut ready = [0];
        std::io::Read::read_exact(holder.stdout.as_mut().expect("piped"), &mut ready).expect("the peer's namespace");
        let peer = Peer { holder };
        let nodad = if own.is_ipv6() { "nodad" } else { "" };
        self.sh(&format!(
            "ip link add {interface} type veth peer name eth0 netns {pid}
             ip addr add {own}/{length} dev {interface} {nodad}; ip link set {interface} up
             nsenter -t {pid} -n ip link set lo up
             nsenter -t {pid} -n ip addr add {theirs}/{length} dev eth0 {nodad}
             nsenter -t {pid} -n ip link set eth0 up
             nsenter -t {pid} -n ip route add default via {own} dev eth0",
            pid = peer.holder.id()
        ));
        peer.wait_for_the_way_to(own);
        peer
    }
}

/// Another machine, as the host sees it. It ends with this value.
#[derive(Debug)]
pub struct Peer {
    holder: Child,
}

impl Peer {
    /// Whether a TCP connection from the peer to `address` is made within a second.
    pub fn connects(&self, address: SocketAddr) -> bool {
        self.inside(move || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
    }

    /// Waits until packets come and go: the host then refuses what nobody listens to, rather than being silent.
    fn wait_for_the_way_to(&self, own: IpAddr) {
        let answers = move || {
            let attempt = || TcpStream::connect_timeout(&SocketAddr::new(own, 9), Duration::from_millis(200));
            (0..50).any(|_| attempt().map_or_else(|e| e.kind() == std::io::ErrorKind::ConnectionRefused, |_| true))
        };
        assert!(self.inside(answers), "no way from the peer to {own}");
    }

    /// Runs a shell script in the peer's network namespace, which must succeed; what it printed.
    pub fn sh(&self, script: &str) -> String {
        let pid = self.holder.id().to_string();
        succeed(Command::new("nsenter").args(["-t", &pid, "-n", "bash", "-euo", "pipefail", "-c", script]), script)
    }

    /// Runs `body` in a thread whose sockets are the peer's.
    pub fn inside<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> T {
        let file = File::open(format!("/proc/{}/ns/net", self.holder.id())).expect("the peer's namespace");
        let work = move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
            body()
        };
        std::thread::spawn(work).join().expect("the peer's thread")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let ended = self.holder.kill().and_then(|()| self.holder.wait());
        assert!(ended.is_ok() || std::thread::panicking(), "the peer did not end: {ended:?}");
    }
}

/// Runs a command with `input` on its standard input.
pub fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut stdin = child.stdin.take().expect("piped");
    let bytes = input.to_vec();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &bytes));
    let out = child.wait_with_output().expect("output of a child");
    // A command that stops reading early is judged by its output and exit status.
    drop(writer.join().expect("the writing thread"));
    out
}

fn succeed(command: &mut Command, shown: &str) -> String {
    let out = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{shown}\n{}: {errors}", out.status);
    String::from_utf8(out.stdout).expect("UTF-8 output")
}
