//! The cables of a lab, the sockets at their ends, and the settings of its namespaces.

use super::space::Space;
use super::{LOOPBACK, LabError};
use crate::packet::MacAddress;
use crate::sys::netlink;
use crate::sys::process::run;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, RecvFlags, SendFlags, SocketFlags, SocketType, eth, sendto, sockopt,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// `IPPROTO_RAW`: whoever sends writes the IP header too (raw(7)).
const WITH_HEADER: RawProtocol = RawProtocol::new(255).expect("255 is not 0");
const ROOM: usize = 8 << 20;
/// The hardware address of both ends of every cable.
pub(super) const CABLE: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The addresses of every interface: what is redirected or masqueraded gets them, and no packet is sent there (RFC 7600, RFC 6666).
const OWN: [&str; 2] = ["192.0.0.8/32", "100::8/128"];
/// What the far end of a cable is called.
const END: &str = "end";

/// What lies behind one interface.
#[derive(Debug)]
pub(super) struct Street {
    raw: [OwnedFd; 2],
    /// Hear what comes out: IPv4, IPv6.
    ears: [OwnedFd; 2],
    _space: Space,
}

/// Runs a shell script in the namespace of the calling thread.
fn shell(script: &str) -> Result<(), LabError> {
    let done = run("sh", &["-eu", "-c", script], b"", LIMIT).map_err(|e| LabError::Setup(e.to_string()))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(LabError::Setup(done.stderr.trim_end().to_owned())),
    }
}

fn set(path: &str, value: &str) -> Result<(), LabError> {
    fs::write(format!("/proc/sys/net/{path}"), value).map_err(|e| LabError::Setup(format!("{path}: {e}")))
}

/// Makes the calling thread's namespace a router that takes whatever comes.
pub(super) fn prepare() -> Result<(), LabError> {
    shell(&format!(
        "ip link set lo name {LOOPBACK}; ip link set {LOOPBACK} up
         for v in -4 -6; do ip $v rule add pref 30000 lookup local; ip $v rule del pref 0; ip $v rule add pref 10 lookup {TABLE}; done"
    ))?;
    for (path, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/conf/all/accept_local", "1"),
        ("ipv4/conf/all/route_localnet", "1"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
    ] {
        set(path, value)?;
    }
    Ok(())
}

const NEW_ROUTE: u16 = 24; // RTM_NEWROUTE, linux/rtnetlink.h
/// `NLM_F_REPLACE | NLM_F_CREATE`.
const REPLACE: u16 = 0x500;
const TABLE: u8 = 100;

/// Leads every packet that comes in, and every one that is sent, out by an interface, or to this host.
pub(super) fn route(interface: &str, here: bool) -> Result<(), LabError> {
    let socket = netlink::open(None)?;
    let index = rustix::net::netdevice::name_to_index(&socket, interface)?;
    // RTPROT_BOOT; the scope of a host or of a link; RTN_LOCAL or RTN_UNICAST
    let (scope, kind) = if here { (254, 2) } else { (253, 1) };
    for (family, metric) in [(2, 0u32), (10, 1024)] {
        let mut body = vec![family, 0, 0, 0, TABLE, 3, scope, kind, 0, 0, 0, 0];
        body.extend(netlink::attribute(4, &index.to_ne_bytes())); // RTA_OIF
        body.extend(netlink::attribute(6, &metric.to_ne_bytes())); // RTA_PRIORITY
        netlink::ask(&socket, NEW_ROUTE, REPLACE, &body)?;
    }
    Ok(())
}

/// Sockets that send whole packets: IPv4, IPv6.
pub(super) fn raw() -> Result<[OwnedFd; 2], LabError> {
    let open = |family| {
        let protocol = Some(Protocol::from_raw(WITH_HEADER));
        rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, protocol)
    };
    Ok([open(AddressFamily::INET)?, open(AddressFamily::INET6)?])
}

fn ears() -> Result<[OwnedFd; 2], LabError> {
    let open = |protocol| -> Result<OwnedFd, LabError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, Some(protocol))?;
        sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)?;
        Ok(socket)
    };
    Ok([open(eth::IP)?, open(eth::IPV6)?])
}

/// Gives a packet to a raw socket; false where the kernel takes no such packet.
pub(super) fn launch(raw: &[OwnedFd; 2], bytes: &[u8], to: IpAddr) -> Result<bool, LabError> {
    let socket = &raw[usize::from(to.is_ipv6())];
    match sendto(socket, bytes, SendFlags::empty(), &SocketAddr::new(to, 0)) {
        Ok(_) | Err(Errno::PERM) => Ok(true), // EPERM: a rule on the way out dropped it
        Err(Errno::INVAL | Errno::ACCESS | Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ADDRNOTAVAIL) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

impl Street {
    /// Lays a cable between a new street and the interface `name` of `inside`.
    pub(super) fn open(name: &str, inside: &Space) -> Result<Self, LabError> {
        let space = Space::open()?;
        // Both ends have one hardware address and ask for none, so that whatever is sent arrives.
        let mac = MacAddress(CABLE);
        let up = |end: &str| format!("ip link set '{end}' address {mac} addrgenmode none arp off up");
        let add = format!("ip link add '{name}' type veth peer name {END} netns {}", space.pid());
        let own = OWN.map(|address| format!("ip addr add {address} dev '{name}' noprefixroute nodad")).join("; ");
        inside.inside(|| shell(&format!("{add}; {}; {own}", up(name))))??;
        let lead = format!("for v in -4 -6; do ip $v route add default dev {END}; done");
        space.inside(|| shell(&format!("ip link set lo up; {}; {lead}", up(END))))??;
        let (raw, ears) = space.inside(|| Ok::<_, LabError>((raw()?, ears()?)))??;
        Ok(Self { raw, ears, _space: space })
    }

    /// Sockets that send towards the lab.
    pub(super) fn raw(&self) -> &[OwnedFd; 2] {
        &self.raw
    }

    /// Everything that has come out of the lab, from the IP header on.
    pub(super) fn heard(&self, buffer: &mut [u8], mut each: impl FnMut(&[u8])) -> Result<(), LabError> {
        for ear in &self.ears {
            loop {
                match rustix::net::recv(ear, &mut *buffer, RecvFlags::empty()) {
                    Ok((length, _)) => each(&buffer[..length]),
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }
}

/// A datagram that goes round over a loopback: when it is back, all that stood in the processor's queue before it is done.
#[derive(Debug)]
pub(super) struct Bounce {
    socket: UdpSocket,
    _space: Space,
}

impl Bounce {
    pub(super) fn open() -> Result<Self, LabError> {
        let space = Space::open()?;
        let socket = space.inside(|| -> Result<UdpSocket, LabError> {
            shell("ip link set lo up")?;
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(socket.local_addr()?)?;
            socket.set_read_timeout(Some(LIMIT))?;
            Ok(socket)
        })??;
        Ok(Self { socket, _space: space })
    }

    /// Waits for all that is on its way. A packet stands in the queue once for each cable that it goes over.
    pub(super) fn wait(&self) -> Result<(), LabError> {
        for _ in 0..3 {
            self.socket.send(&[0])?;
            self.socket.recv(&mut [0])?;
        }
        Ok(())
    }
}

/// Keeps the calling thread on one processor, so that everything stands in one queue, until it is dropped.
#[derive(Debug)]
pub(super) struct OneProcessor(CpuSet);

impl OneProcessor {
    pub(super) fn take() -> Result<Self, LabError> {
        let before = sched_getaffinity(None)?;
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one)?;
        Ok(Self(before))
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        // What the thread was allowed before it is allowed again.
        let _ = sched_setaffinity(None, &self.0);
    }
}
