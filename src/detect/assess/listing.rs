//! The addresses and networks that lists name, in bounded memory.

use crate::packet::AddressSpec;
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// What is listed, and by whom.
#[derive(Debug)]
pub struct Listing {
    nets: HashMap<IpNet, Vec<Arc<str>>>,
    /// The lengths that listed networks have: so many questions does one address ask.
    lengths: BTreeSet<(bool, u8)>,
    /// Ranges that are no network; few.
    ranges: Vec<(AddressSpec, Arc<str>)>,
    most: usize,
}

/// Ranges that are kept in mind, at most: each is asked one by one.
const MOST_RANGES: usize = 1024;

impl Listing {
    /// An empty listing that keeps at most so many in mind.
    pub fn new(most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { nets: HashMap::new(), lengths: BTreeSet::new(), ranges: Vec::new(), most }
    }

    /// Adds what `source` lists; whether that is new. What finds no room is not kept and still told.
    pub fn add(&mut self, named: AddressSpec, source: Arc<str>) -> bool {
        match named {
            AddressSpec::Net(net) => {
                let room = self.nets.len() < self.most;
                let Some(sources) = self.nets.get_mut(&net) else {
                    if room {
                        self.lengths.insert((net.addr().is_ipv4(), net.prefix_len()));
                        self.nets.insert(net, vec![source]);
                    }
                    return true;
                };
                let new = !sources.contains(&source);
                if new {
                    sources.push(source);
                }
                new
            }
            AddressSpec::Range(..) => {
                let new = !self.ranges.iter().any(|(range, by)| (range, by) == (&named, &source));
                if new && self.ranges.len() < MOST_RANGES {
                    self.ranges.push((named, source));
                }
                new
            }
        }
    }

    /// The lists that name all of `key`.
    pub fn naming(&self, key: IpNet) -> Vec<Arc<str>> {
        let ip: IpAddr = key.addr();
        let mut found: Vec<Arc<str>> = self
            .lengths
            .iter()
            .filter(|(v4, length)| *v4 == ip.is_ipv4() && *length <= key.prefix_len())
            .filter_map(|(_, length)| self.nets.get(&IpNet::new(ip, *length).ok()?.trunc()))
            .flatten()
            .cloned()
            .collect();
        let whole = |range: &AddressSpec| range.contains(key.network()) && range.contains(key.broadcast());
        found.extend(self.ranges.iter().filter(|(range, _)| whole(range)).map(|(_, by)| by.clone()));
        found.sort_unstable();
        found.dedup();
        found
    }
}
