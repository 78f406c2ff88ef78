//! Named services and what they use (IANA "Service Name and Transport Protocol Port Number Registry", and the documentation of
//! the programs that are not in it).

use super::statement::Traffic;
use crate::packet::{PortRange, Protocol};

/// Names of one service, and `protocol/ports` or `protocol` of each part; `both` is tcp and udp.
const SERVICES: &[(&[&str], &str)] = &[
    (&["ssh", "sftp", "scp"], "tcp/22"),
    (&["telnet"], "tcp/23"),
    (&["telnets"], "tcp/992"),
    (&["http"], "tcp/80"),
    (&["https", "tls web"], "tcp/443"),
    (&["web", "http/https"], "tcp/80,443"),
    (&["quic", "http3", "http/3"], "udp/443"),
    (&["http-alt"], "tcp/8080"),
    (&["dns", "domain"], "both/53"),
    (&["dot", "dns over tls", "dns-over-tls"], "tcp/853"),
    (&["doq"], "udp/853"),
    (&["mdns", "bonjour", "avahi", "zeroconf"], "udp/5353"),
    (&["llmnr"], "both/5355"),
    (&["smtp"], "tcp/25"),
    (&["smtps", "submissions"], "tcp/465"),
    (&["submission"], "tcp/587"),
    (&["pop3", "pop"], "tcp/110"),
    (&["pop3s", "pops"], "tcp/995"),
    (&["imap"], "tcp/143"),
    (&["imaps"], "tcp/993"),
    (&["sieve", "managesieve"], "tcp/4190"),
    (&["ftp"], "tcp/21"),
    (&["ftp-data"], "tcp/20"),
    (&["ftps"], "tcp/990"),
    (&["tftp"], "udp/69"),
    (&["rsync"], "tcp/873"),
    (&["git"], "tcp/9418"),
    (&["svn", "subversion"], "tcp/3690"),
    (&["cvs"], "tcp/2401"),
    (&["ntp", "time sync"], "udp/123"),
    (&["nts"], "tcp/4460"),
    (&["ptp"], "udp/319,320"),
    (&["daytime"], "both/13"),
    (&["echo service"], "both/7"),
    (&["discard service"], "both/9"),
    (&["chargen"], "both/19"),
    (&["qotd"], "both/17"),
    (&["finger"], "tcp/79"),
    (&["gopher"], "tcp/70"),
    (&["whois"], "tcp/43"),
    (&["ident", "auth service"], "tcp/113"),
    (&["nntp", "usenet"], "tcp/119"),
    (&["nntps"], "tcp/563"),
    (&["snmp"], "udp/161"),
    (&["snmp traps", "snmp-trap", "snmptrap", "snmp trap"], "udp/162"),
    (&["syslog"], "udp/514"),
    (&["syslog tls", "syslog-tls", "syslog over tls"], "tcp/6514"),
    (&["netflow"], "udp/2055"),
    (&["ipfix"], "both/4739"),
    (&["sflow"], "udp/6343"),
    (&["dhcp", "bootp"], "udp/67,68"),
    (&["dhcpv6"], "udp/546,547"),
    (&["ldap"], "both/389"),
    (&["ldaps"], "tcp/636"),
    (&["global catalog"], "tcp/3268,3269"),
    (&["kerberos"], "both/88"),
    (&["kpasswd"], "both/464"),
    (&["kadmin"], "tcp/749"),
    (&["radius"], "udp/1812,1813"),
    (&["radsec"], "tcp/2083"),
    (&["tacacs", "tacacs+"], "tcp/49"),
    (&["smb", "cifs", "microsoft-ds"], "tcp/445"),
    (&["samba", "windows file sharing"], "tcp/139,445 udp/137,138"),
    (&["netbios"], "tcp/139 udp/137,138"),
    (&["nfs"], "both/2049"),
    (&["portmapper", "rpcbind", "sunrpc", "portmap"], "both/111"),
    (&["msrpc", "epmap"], "tcp/135"),
    (&["afp"], "tcp/548"),
    (&["iscsi"], "tcp/3260"),
    (&["nbd"], "tcp/10809"),
    (&["rdp", "remote desktop", "ms-wbt-server"], "both/3389"),
    (&["vnc"], "tcp/5900-5903"),
    (&["x11"], "tcp/6000-6063"),
    (&["xdmcp"], "udp/177"),
    (&["spice"], "tcp/5900-5999"),
    (&["winrm"], "tcp/5985,5986"),
    (&["rlogin"], "tcp/513"),
    (&["rsh"], "tcp/514"),
    (&["rexec"], "tcp/512"),
    (&["mosh"], "udp/60000-61000"),
    (&["webmin"], "tcp/10000"),
    (&["cockpit"], "tcp/9090"),
    (&["ipmi"], "udp/623"),
    (&["teamviewer"], "both/5938"),
    (&["anydesk"], "tcp/7070"),
    (&["mysql", "mariadb"], "tcp/3306"),
    (&["postgres", "postgresql", "postgre"], "tcp/5432"),
    (&["pgbouncer"], "tcp/6432"),
    (&["mssql", "ms-sql", "sql server", "ms-sql-s"], "tcp/1433"),
    (&["mssql browser", "ms-sql-m"], "udp/1434"),
    (&["oracle", "oracle database"], "tcp/1521"),
    (&["mongodb", "mongo"], "tcp/27017"),
    (&["redis", "valkey"], "tcp/6379"),
    (&["redis sentinel"], "tcp/26379"),
    (&["memcached", "memcache"], "both/11211"),
    (&["cassandra"], "tcp/9042"),
    (&["couchdb"], "tcp/5984"),
    (&["elasticsearch", "elastic", "opensearch"], "tcp/9200,9300"),
    (&["kibana"], "tcp/5601"),
    (&["logstash", "beats"], "tcp/5044"),
    (&["influxdb"], "tcp/8086"),
    (&["neo4j"], "tcp/7474,7687"),
    (&["clickhouse"], "tcp/8123,9000"),
    (&["db2"], "tcp/50000"),
    (&["firebird"], "tcp/3050"),
    (&["rabbitmq", "amqp"], "tcp/5672"),
    (&["amqps"], "tcp/5671"),
    (&["mqtt"], "tcp/1883"),
    (&["mqtts", "secure mqtt"], "tcp/8883"),
    (&["coap"], "udp/5683"),
    (&["coaps"], "udp/5684"),
    (&["kafka"], "tcp/9092"),
    (&["nats"], "tcp/4222"),
    (&["zookeeper"], "tcp/2181"),
    (&["etcd"], "tcp/2379,2380"),
    (&["consul"], "tcp/8500"),
    (&["vault"], "tcp/8200"),
    (&["docker", "docker api"], "tcp/2375,2376"),
    (&["kubernetes api", "kube-apiserver", "kubernetes-api"], "tcp/6443"),
    (&["kubelet"], "tcp/10250"),
    (&["nodeports", "node ports"], "both/30000-32767"),
    (&["prometheus"], "tcp/9090"),
    (&["node exporter", "node-exporter", "node_exporter"], "tcp/9100"),
    (&["alertmanager"], "tcp/9093"),
    (&["grafana"], "tcp/3000"),
    (&["graphite"], "tcp/2003"),
    (&["statsd"], "udp/8125"),
    (&["zabbix", "zabbix server"], "tcp/10051"),
    (&["zabbix agent"], "tcp/10050"),
    (&["nrpe"], "tcp/5666"),
    (&["munin"], "tcp/4949"),
    (&["jenkins"], "tcp/8080"),
    (&["puppet"], "tcp/8140"),
    (&["salt"], "tcp/4505,4506"),
    (&["openvpn"], "udp/1194"),
    (&["wireguard", "wg"], "udp/51820"),
    (&["ipsec"], "udp/500,4500 esp ah"),
    (&["ike", "isakmp"], "udp/500"),
    (&["nat-t", "ipsec nat-t"], "udp/4500"),
    (&["pptp"], "tcp/1723 gre"),
    (&["l2tp"], "udp/1701"),
    (&["tailscale"], "udp/41641"),
    (&["zerotier"], "udp/9993"),
    (&["tor"], "tcp/9001,9030"),
    (&["socks", "socks5"], "tcp/1080"),
    (&["squid"], "tcp/3128"),
    (&["bgp"], "tcp/179"),
    (&["rip"], "udp/520"),
    (&["bfd"], "udp/3784"),
    (&["ldp"], "both/646"),
    (&["vxlan"], "udp/4789"),
    (&["geneve"], "udp/6081"),
    (&["hsrp"], "udp/1985"),
    (&["sip"], "both/5060"),
    (&["sips", "sip tls"], "tcp/5061"),
    (&["rtsp"], "both/554"),
    (&["rtmp"], "tcp/1935"),
    (&["stun", "turn"], "both/3478"),
    (&["mgcp"], "udp/2427"),
    (&["xmpp", "jabber"], "tcp/5222"),
    (&["irc"], "tcp/6667"),
    (&["ircs"], "tcp/6697"),
    (&["mumble"], "both/64738"),
    (&["matrix federation"], "tcp/8448"),
    (&["ssdp", "upnp"], "udp/1900"),
    (&["nat-pmp", "natpmp"], "udp/5351"),
    (&["wsd", "ws-discovery"], "udp/3702"),
    (&["ipp", "cups", "printing"], "both/631"),
    (&["lpd"], "tcp/515"),
    (&["jetdirect"], "tcp/9100"),
    (&["sane", "scanning service"], "tcp/6566"),
    (&["wol", "wake on lan", "wake-on-lan"], "udp/9"),
    (&["bittorrent", "torrent"], "both/6881-6889"),
    (&["minecraft"], "tcp/25565"),
    (&["steam"], "both/27015-27050"),
    (&["plex"], "tcp/32400"),
    (&["synergy"], "tcp/24800"),
    (&["slp"], "both/427"),
    (&["modbus"], "tcp/502"),
    (&["dnp3"], "both/20000"),
    (&["bacnet"], "udp/47808"),
    (&["s7comm", "iso-tsap"], "tcp/102"),
    (&["opc ua", "opc-ua"], "tcp/4840"),
    (&["traceroute"], "udp/33434-33534"),
];

/// Words that make a service of many: which protocol's ports they stand for depends on the site.
const VAGUE: &[&str] = &["mail", "email", "e-mail", "database", "vpn protocol", "voip", "gaming", "streaming", "chat"];

/// Ports through which a host is administered, tcp unless said.
const MANAGEMENT: &[(Protocol, u16, u16)] = &[
    (Protocol::TCP, 22, 23),
    (Protocol::TCP, 135, 135),
    (Protocol::TCP, 445, 445),
    (Protocol::TCP, 512, 514),
    (Protocol::UDP, 623, 623),
    (Protocol::TCP, 992, 992),
    (Protocol::TCP, 2375, 2376),
    (Protocol::TCP, 3389, 3389),
    (Protocol::UDP, 3389, 3389),
    (Protocol::TCP, 5900, 5999),
    (Protocol::TCP, 5985, 5986),
    (Protocol::TCP, 6443, 6443),
    (Protocol::TCP, 10000, 10000),
    (Protocol::TCP, 10250, 10250),
];

/// What the service called `name` uses; nothing where it is not known.
pub(super) fn service(name: &str) -> Option<Vec<Traffic>> {
    let (_, spec) = SERVICES.iter().find(|(names, _)| names.contains(&name))?;
    Some(parts(spec).expect("a test reads every row of the table"))
}

/// Every service that is known by one word and has ports, each with its protocols.
pub fn service_ports() -> impl Iterator<Item = (&'static str, Vec<(Protocol, PortRange)>)> {
    let ports = |traffic: Traffic| match traffic {
        Traffic::Flow { protocols, ports, .. } => {
            protocols.iter().flat_map(|protocol| ports.iter().map(move |port| (*protocol, *port))).collect()
        }
        Traffic::Icmp { .. } => Vec::new(),
    };
    let all = names().filter(|name| !name.contains(' ') && !is_vague(name));
    all.filter_map(move |name| {
        let uses: Vec<_> = service(name)?.into_iter().flat_map(ports).collect();
        (!uses.is_empty()).then_some((name, uses))
    })
}

/// Every name of a service.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().flat_map(|(names, _)| names.iter().copied())
}

/// Whether a word is known to stand for several services.
pub(super) fn is_vague(word: &str) -> bool {
    VAGUE.contains(&word)
}

/// Whether some packet of `traffic` could reach a port through which hosts are administered.
pub(super) fn administers(traffic: &Traffic) -> bool {
    let meets = |ports: &[PortRange], first, last| {
        ports.is_empty() || ports.iter().any(|range| range.first() <= last && first <= range.last())
    };
    match traffic {
        Traffic::Icmp { .. } => false,
        Traffic::Flow { protocols, ports, .. } => MANAGEMENT.iter().any(|(protocol, first, last)| {
            (protocols.is_empty() || protocols.contains(protocol)) && meets(ports, *first, *last)
        }),
    }
}

/// What a service of the context uses; nothing where a part is not understood.
pub(super) fn of_context(specs: &[String]) -> Option<Vec<Traffic>> {
    specs.iter().map(|spec| part(spec)).collect()
}

fn parts(spec: &str) -> Option<Vec<Traffic>> {
    spec.split(' ').map(part).collect()
}

fn part(spec: &str) -> Option<Traffic> {
    let Some((protocol, ports)) = spec.split_once('/') else {
        return Some(Traffic::protocol(spec.parse().ok()?));
    };
    let protocols = match protocol {
        "both" => vec![Protocol::TCP, Protocol::UDP],
        name => vec![name.parse().ok().filter(|p: &Protocol| p.has_ports())?],
    };
    let ports = ports.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(Traffic::Flow { protocols, ports, source_ports: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_no_name_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (names, spec) in SERVICES {
            assert!(parts(spec).is_some_and(|p| !p.is_empty()), "{spec}");
            for name in *names {
                assert!(seen.insert(name), "{name} stands twice");
            }
        }
        assert!(SERVICES.len() >= 150, "{}", SERVICES.len());
    }

    #[test]
    fn management_is_told_by_its_ports() {
        let all = |name| service(name).expect(name).iter().any(administers);
        assert!(all("ssh") && all("rdp") && all("vnc") && all("docker"));
        assert!(!all("http") && !all("dns") && !all("postgres"));
        let wide =
            Traffic::Flow { protocols: vec![], ports: vec!["1-1024".parse().expect("range")], source_ports: vec![] };
        assert!(administers(&wide) && administers(&Traffic::protocol(Protocol::TCP)));
    }

    #[test]
    fn a_service_of_the_context_is_read_whole_or_not_at_all() {
        assert_eq!(of_context(&["tcp/5432".into()]), service("postgres"));
        assert_eq!(of_context(&["tcp/5432".into(), "icmp/8".into()]), None);
    }
}
