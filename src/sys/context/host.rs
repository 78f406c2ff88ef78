//! The machine itself: name, kernel, resolvers, whether it forwards.

use crate::record::Host;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

pub(super) fn host() -> Host {
    let names = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    Host { hostname: text(names.nodename()), kernel: text(names.release()) }
}

/// The resolvers of /etc/resolv.conf; behind systemd's stub also those that it asks. Without the file this host asks itself
/// (resolv.conf(5)): there is none to be named then.
///
/// # Errors
/// When a file is there and cannot be read; the words name it.
pub(super) fn resolvers() -> io::Result<Vec<IpAddr>> {
    let mut found = nameservers(&read("/etc/resolv.conf")?);
    if found.iter().any(IpAddr::is_loopback) {
        found.extend(nameservers(&read("/run/systemd/resolve/resolv.conf")?));
    }
    Ok(found.into_iter().collect())
}

/// A file as text, empty where there is none; a comment may hold any bytes.
fn read(path: &str) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(io::Error::new(e.kind(), format!("{path}: {e}"))),
    }
}

/// The `nameserver` lines (resolv.conf(5)); the zone of a link-local address is left out.
fn nameservers(text: &str) -> BTreeSet<IpAddr> {
    let one = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(one).collect()
}

/// Whether packets are forwarded by any interface in any family; nothing where no switch can be read.
pub(super) fn forwarding<'a>(interfaces: impl Iterator<Item = &'a str>) -> Option<bool> {
    let tree = Path::new("/proc/sys/net");
    let switch = |file: &Path| Some(fs::read_to_string(file).ok()?.trim() != "0");
    let general = [tree.join("ipv4/ip_forward"), tree.join("ipv6/conf/all/forwarding")];
    let read: Vec<bool> = general.iter().filter_map(|file| switch(file)).collect();
    let single = |name: &str| {
        // A name of dots or with a slash would lead elsewhere.
        let plain = !name.contains('/') && !name.trim_matches('.').is_empty();
        plain
            && ["ipv4", "ipv6"]
                .iter()
                .any(|v| switch(&tree.join(v).join("conf").join(name).join("forwarding")) == Some(true))
    };
    (!read.is_empty()).then(|| read.contains(&true) || { interfaces }.any(single))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_resolv_conf() {
        let text = "# nameserver 192.0.2.1\nsearch example.org\nnameserver 192.0.2.53 # ours\nnameserver\tfe80::1%eth0\noptions edns0\nnameserver x\n";
        let found: Vec<_> = nameservers(text).into_iter().map(|a| a.to_string()).collect();
        assert_eq!(found, ["192.0.2.53", "fe80::1"]);
    }

    #[test]
    fn the_machine_has_a_kernel() {
        assert!(host().kernel.starts_with(|c: char| c.is_ascii_digit()));
        assert!(forwarding(["..", "../all", "lo"].into_iter()).is_some());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(nameserver[ \t]\\PC{0,20}\n|\\PC{0,20}\n){0,5}") {
            prop_assert!(nameservers(&text).len() <= text.lines().count());
        }
    }
}
