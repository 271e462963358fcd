//! Memory and processor time of whole process trees.

use crate::procfs::{self, Stat, Watched};
use baton_core::units::{Bytes, InstanceId, Instant};
use baton_core::world::Identity;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the tree of one instance uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory of all its processes; pages that they share count for each.
    pub memory: Bytes,
    /// Processor time of all its living processes, in clock ticks.
    pub cpu_ticks: u64,
}

/// Who leads what at one moment.
#[derive(Clone, Debug)]
pub struct Leaders {
    of: Vec<(InstanceId, Identity)>,
    /// When that was so, in clock ticks since boot.
    at: u64,
}

impl Leaders {
    /// These lead now, and nobody else does.
    pub fn now(of: Vec<(InstanceId, Identity)>) -> Leaders {
        Leaders { of, at: procfs::ticks_since_boot(system(libc::_SC_CLK_TCK).unwrap_or(100)) }
    }
}

/// What one process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUsage {
    /// Resident memory.
    pub memory: Bytes,
    /// Percent of one processor over its life.
    pub cpu: f64,
    /// Bytes that came in over all interfaces that it sees, since they are up.
    pub received: u64,
    /// The same, sent.
    pub sent: u64,
}

impl ProcessUsage {
    /// That of the process with this pid, if it is there and may be seen.
    pub fn of(pid: u32) -> Option<ProcessUsage> {
        let stat = procfs::stat(pid, &mut Vec::new()).ok()??;
        let ticks = system(libc::_SC_CLK_TCK).unwrap_or(100);
        let lived = procfs::ticks_since_boot(ticks).saturating_sub(stat.start_time).max(1);
        let memory = Bytes(stat.resident * system(libc::_SC_PAGESIZE).unwrap_or(4096));
        let (received, sent) =
            std::fs::read_to_string(format!("/proc/{pid}/net/dev")).map_or((0, 0), |text| traffic(&text));
        Some(ProcessUsage { memory, cpu: stat.ticks as f64 * 100.0 / lived as f64, received, sent })
    }
}

/// The bytes received and sent of all lines of `/proc/<pid>/net/dev`.
fn traffic(text: &str) -> (u64, u64) {
    let of = |line: &str| {
        let mut numbers = line.split_once(':')?.1.split_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        Some((numbers.next()?, numbers.nth(7)?))
    };
    text.lines().filter_map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Looks at what instances use, and remembers whom it need not look at again.
#[derive(Debug, Default)]
pub struct Sampler {
    /// Processes that belong to no instance, by pid, with the inode of their entry in `/proc`: another process that
    /// gets the pid has another one. Whoever belongs to none never will, for a parent changes only to a reaper, and a
    /// session only to one of one's own. On most machines these are nearly all.
    strangers: HashMap<u32, u64>,
    /// Those of the instances.
    members: Watched,
}

impl Sampler {
    /// The usage of each instance whose leader lives: the leader, its session and all descendants, from one pass over
    /// `/proc`. Instances whose leader is gone are left out, and all are when `/proc` can't be read.
    pub fn sample(&mut self, leaders: &Leaders) -> Vec<(InstanceId, Usage)> {
        let Ok(entries) = procfs::entries() else {
            return Vec::new();
        };
        let pids: HashSet<u32> = leaders.of.iter().map(|(_, leader)| leader.pid).collect();
        let known = |pid, inode| self.strangers.get(&pid) == Some(&inode) && !pids.contains(&pid);
        let (known, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|&(pid, inode)| known(pid, inode));
        let Ok(table) = self.members.lines(others.iter().map(|(pid, _)| *pid)) else {
            return Vec::new();
        };
        let page = system(libc::_SC_PAGESIZE).unwrap_or(4096);
        let mut usages = vec![None; leaders.of.len()];
        let mut ours = HashSet::with_capacity(usages.len());
        for (stat, index) in attribute(&table, &leaders.of) {
            let usage: &mut Usage = usages[index].get_or_insert_default();
            usage.cpu_ticks += stat.ticks;
            usage.memory.0 += stat.resident * page;
            ours.insert(stat.pid);
        }
        self.members.watch(&ours);
        // Of someone younger than the list of leaders, the leader may not be in it yet.
        let is_settled = |pid| table.get(&pid).is_some_and(|stat: &Stat| stat.start_time < leaders.at);
        self.strangers = known.into_iter().collect();
        self.strangers.extend(others.into_iter().filter(|&(pid, _)| !ours.contains(&pid) && is_settled(pid)));
        leaders.of.iter().zip(usages).filter_map(|((id, _), usage)| Some((*id, usage?))).collect()
    }
}

/// The members of each tree, with the position of its leader.
fn attribute<'a>(
    table: &'a BTreeMap<u32, Stat>,
    leaders: &[(InstanceId, Identity)],
) -> impl Iterator<Item = (&'a Stat, usize)> {
    let by_pid: HashMap<u32, usize> = leaders
        .iter()
        .enumerate()
        .filter(|(_, (_, leader))| table.get(&leader.pid).is_some_and(|stat| stat.start_time == leader.start_time))
        .map(|(index, (_, leader))| (leader.pid, index))
        .collect();
    table.values().filter_map(move |stat| {
        let mut at = stat;
        // The chain of parents is as long as the table at most; it can't be a ring unless it changed under the reading.
        for _ in 0..table.len() {
            if let Some(index) = by_pid.get(&at.pid).or_else(|| by_pid.get(&at.session)) {
                return Some((stat, *index));
            }
            at = table.get(&at.ppid)?;
        }
        None
    })
}

/// A number of the system that doesn't change while it runs.
pub(crate) fn system(name: libc::c_int) -> Option<u64> {
    // SAFETY: takes and returns numbers.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|value| *value > 0)
}

/// Turns ticks into percent of one processor since the previous look.
#[derive(Debug, Default)]
pub struct Meter {
    last: HashMap<InstanceId, (u64, Instant)>,
}

impl Meter {
    /// Percent of one processor that the instance used since the previous look; 0 at the first, and when it has used
    /// less than then, for then it is another life of it. More than 100 when several processors were busy.
    pub fn look(&mut self, id: InstanceId, usage: &Usage, now: Instant) -> f64 {
        let Some((ticks, at)) = self.last.insert(id, (usage.cpu_ticks, now)) else {
            return 0.0;
        };
        let elapsed = (now - at).0;
        if elapsed == 0 || usage.cpu_ticks < ticks {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs few digits")]
        let (used, elapsed) = ((usage.cpu_ticks - ticks) as f64, elapsed as f64);
        #[expect(clippy::cast_precision_loss, reason = "ticks a second are 100 or 1000")]
        let ticks_a_second = system(libc::_SC_CLK_TCK).unwrap_or(100) as f64;
        used / ticks_a_second * 1000.0 / elapsed * 100.0
    }

    /// Forgets an instance.
    pub fn forget(&mut self, id: InstanceId) {
        self.last.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;

    fn stat(pid: u32, ppid: u32, session: u32) -> Stat {
        let start_time = u64::from(pid) * 10;
        Stat {
            pid,
            state: b'S',
            exiting: false,
            ppid,
            pgrp: session,
            session,
            ticks: 1,
            threads: 1,
            start_time,
            resident: 0,
        }
    }

    fn leader(id: u32, pid: u32, start_time: u64) -> (InstanceId, Identity) {
        (InstanceId(id), Identity { pid, start_time, boot_id: "boot".into() })
    }

    #[test]
    fn the_traffic_of_all_interfaces_is_one_sum() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets errs|bytes\n    lo:  10 1 0 0 0 0 0 0  20 1 0 0 0 0 0 0\n\
                    eth0:3 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(text), (13, 24));
        let usage = ProcessUsage::of(std::process::id()).unwrap();
        assert!(usage.memory > Bytes(0) && usage.cpu >= 0.0, "{usage:?}");
        assert_eq!(ProcessUsage::of(u32::MAX), None);
    }

    #[test]
    fn a_tree_is_the_session_and_all_descendants() {
        // 10 leads; 11 is its child, 12 left the session, 13 is a child of 12, 14 lost its parent, 20 leads another.
        let all = [(1, 0, 1), (10, 1, 10), (11, 10, 10), (12, 11, 12), (13, 12, 12), (14, 1, 10), (20, 1, 20)];
        let table = all.iter().map(|&(pid, ppid, session)| (pid, stat(pid, ppid, session))).collect();
        let leaders = [leader(0, 20, 200), leader(1, 10, 100), leader(2, 1, 999)];
        let members: Vec<(u32, usize)> = attribute(&table, &leaders).map(|(stat, index)| (stat.pid, index)).collect();
        assert_eq!(members, [(10, 1), (11, 1), (12, 1), (13, 1), (14, 1), (20, 0)]);
    }

    #[test]
    fn a_real_process_uses_memory_and_a_gone_one_is_left_out() {
        let me = Process::identify(std::process::id()).unwrap().unwrap().identity().clone();
        let gone = Identity { start_time: me.start_time + 1, ..me.clone() };
        let usages = Sampler::default().sample(&Leaders::now(vec![(InstanceId(3), gone), (InstanceId(7), me)]));
        assert_eq!(usages.len(), 1);
        assert_eq!(usages[0].0, InstanceId(7));
        assert!(usages[0].1.memory > Bytes(500_000), "{usages:?}");
    }

    #[test]
    fn a_stranger_is_remembered_until_it_leads_and_a_late_one_is_not() {
        let me = Process::identify(std::process::id()).unwrap().unwrap().identity().clone();
        let mut sampler = Sampler::default();
        assert_eq!(sampler.sample(&Leaders { of: Vec::new(), at: me.start_time }), []);
        assert!(!sampler.strangers.contains_key(&me.pid), "it may have a leader that is not in the list");
        assert_eq!(sampler.sample(&Leaders { of: Vec::new(), at: me.start_time + 1 }), []);
        assert!(sampler.strangers.contains_key(&me.pid));
        let leads = Leaders { of: vec![(InstanceId(7), me.clone())], at: me.start_time + 1 };
        let usages = sampler.sample(&leads);
        assert!(usages[0].1.memory > Bytes(500_000), "{usages:?}");
        assert!(!sampler.strangers.contains_key(&me.pid));
        sampler.strangers.insert(me.pid, 0);
        assert_eq!(sampler.sample(&leads).len(), 1);
        sampler.sample(&Leaders { of: Vec::new(), at: u64::MAX });
        assert_ne!(sampler.strangers[&me.pid], 0, "another process of the same pid is looked at again");
    }

    #[test]
    fn the_list_of_leaders_is_younger_than_whoever_made_it() {
        let me = Process::identify(std::process::id()).unwrap().unwrap().identity().clone();
        let second = system(libc::_SC_CLK_TCK).unwrap();
        let at = Leaders::now(Vec::new()).at;
        assert!(at >= me.start_time && at < me.start_time + 3600 * second, "{at} {me:?}");
    }

    #[test]
    fn percent_is_of_one_processor_since_the_last_look() {
        let mut meter = Meter::default();
        let id = InstanceId(1);
        let second = system(libc::_SC_CLK_TCK).unwrap();
        let mut look = |ticks, at| meter.look(id, &Usage { memory: Bytes(0), cpu_ticks: ticks }, Instant(at));
        assert!(look(5 * second, 1000).abs() < 1e-9, "nothing to compare with");
        assert!((look(6 * second, 3000) - 50.0).abs() < 1e-9);
        assert!((look(10 * second, 5000) - 200.0).abs() < 1e-9);
        assert!(look(second, 6000).abs() < 1e-9, "another life");
    }
}
