//! Processes of slots whose record is lost or cut off, found by what stands in their environment.

use super::proc_stat::ProcStat;
use super::recover::Left;
use super::storage::{LifeRecord, Routes};
use crate::home::Home;
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Identity, State, Wanted};
use baton_os::cgroup::Group;
use baton_os::clock;
use std::collections::BTreeMap;

/// The leader of a life, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Leader {
    mark: String,
    identity: Identity,
}

/// Gives the slots that should run, and whose record tells of no process, the one that runs: the program that they were
/// about to be started a second time.
///
/// `home` is the one that the processes were started from. Counters of such a slot begin anew.
pub(super) fn restore(left: &mut Left, home: &Home, boot_id: &str) -> Vec<String> {
    // The first incarnation of each that may be the lost one.
    let mut lost: BTreeMap<InstanceId, Incarnation> = BTreeMap::new();
    for slot in left.world.instances.values().filter(|slot| slot.state.wanted() == Wanted::Up) {
        let mut lives = left.lives.iter().filter(|(id, _)| *id == slot.id).map(|(_, life)| life);
        let identity = lives.find(|life| life.incarnation == slot.incarnation).and_then(|life| life.identity.as_ref());
        match identity {
            _ if left.rebooted.contains(&slot.id) => {}
            Some(identity) if ProcStat::read(identity).is_some() => {}
            // This one has ended, whatever children it has left.
            Some(_) => drop(lost.insert(slot.id, Incarnation(slot.incarnation.0 + 1))),
            None => drop(lost.insert(slot.id, slot.incarnation)),
        }
    }
    if lost.is_empty() {
        return Vec::new();
    }
    let mut notices = Vec::new();
    for ((id, incarnation), leader) in leaders(home, boot_id) {
        let Some(slot) =
            left.world.instances.get_mut(&id).filter(|_| lost.get(&id).is_some_and(|&it| incarnation >= it))
        else {
            continue;
        };
        let pid = leader.identity.pid;
        notices.push(format!("the record of {} ({id}) was lost: it goes on with process {pid}", slot.spec.name));
        (slot.incarnation, slot.process) = (incarnation, None);
        slot.state = State::Starting { since: clock::now().instant };
        left.lives.retain(|(of, life)| (*of, life.incarnation) != (id, incarnation));
        let Leader { mark, identity } = leader;
        let routes = Routes::of(slot);
        let group = Group::of_process(pid, home.root()).map(|group| group.folder().to_owned());
        let identity = Some(identity);
        left.lives.push((id, LifeRecord { incarnation, mark, identity, told_to_run: true, routes, group }));
        left.world.next_incarnation = left.world.next_incarnation.max(incarnation.0 + 1);
    }
    notices
}

/// Every process that leads a life of this home: the last life of a slot last.
fn leaders(home: &Home, boot_id: &str) -> BTreeMap<(InstanceId, Incarnation), Leader> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let (id, incarnation, mark) = signs(&environment, home)?;
        let stat = ProcStat::of(pid).filter(|stat| stat.session == pid && !stat.is_dead())?;
        let identity = Identity { pid, start_time: stat.start_time, boot_id: boot_id.into() };
        Some(((id, incarnation), Leader { mark, identity }))
    })
    .collect()
}

/// Of which life of this home an environment is.
fn signs(environment: &[u8], home: &Home) -> Option<(InstanceId, Incarnation, String)> {
    let value = |name: &str| {
        let mut all = environment.split(|byte| *byte == 0);
        all.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    if value("PM2_HOME")? != home.root().as_os_str().as_encoded_bytes() {
        return None;
    }
    let id = std::str::from_utf8(value("pm_id")?).ok()?.parse().ok()?;
    let mark = std::str::from_utf8(value("BATON_MARK")?).ok()?;
    let incarnation = mark.rsplit_once('-')?.1.parse().ok()?;
    Some((InstanceId(id), Incarnation(incarnation), mark.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_environment_of_an_app_of_this_home_tells_its_life() {
        let home = Home::at("/h");
        let of = |text: &str| signs(text.replace('|', "\0").as_bytes(), &home);
        let whole = "A=1|PM2_HOME=/h|pm_id=7|BATON_MARK=ab-c-12|";
        assert_eq!(of(whole), Some((InstanceId(7), Incarnation(12), "ab-c-12".into())));
        for (part, other) in [("/h", "/hh"), ("pm_id", "my_pm_id"), ("=7", "=x"), ("c-12", "c12-")] {
            assert_eq!(of(&whole.replace(part, other)), None, "{other}");
        }
    }
}
