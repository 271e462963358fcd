//! The thread, called step by step.

use super::*;
use crate::daemon::channel::ends::pair;
use crate::daemon::channel::telling::Known;
use baton_core::units::InstanceId;
use baton_node::cluster::Balance;
use baton_node::frame::{Decoder, encode};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::mpsc::Sender;
use tempfile::TempDir;

#[derive(Default)]
struct Ears(Mutex<Vec<Said>>);

impl Tell for Ears {
    fn said(&self, _: Key, said: Said) {
        self.0.lock().unwrap().push(said);
    }

    fn spoke(&self, _: Key, _: Value, _: usize) {}

    fn closed(&self, _: u64) {}
}

struct Bench {
    worker: Worker,
    orders: Sender<Order>,
    ears: Arc<Ears>,
    dir: TempDir,
}

const KEY: Key = (InstanceId(0), Incarnation(1));

fn bench() -> Bench {
    bench_in(tempfile::tempdir().unwrap())
}

fn bench_in(dir: TempDir) -> Bench {
    let (orders, received) = channel();
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
    let ears = Arc::new(Ears::default());
    let left = Heritage { file: dir.path().join("clusters"), guard: None, held: BTreeMap::new() };
    let shelf = Shelf::new(dir.path().join("told"), Known::default());
    let worker = Worker::new(received, wake, ears.clone(), left, (shelf, Arc::default())).unwrap();
    Bench { worker, orders, ears, dir }
}

fn say(program: &OwnedFd, message: &Value) {
    let bytes = encode(message, false);
    assert_eq!(write(program, &bytes).unwrap(), bytes.len());
}

#[test]
fn what_a_worker_closes_when_it_was_signalled_stays_open_for_the_next_one() {
    for (leaves, stay) in [(true, 1), (false, 0)] {
        let Bench { mut worker, orders, dir: _dir, .. } = bench();
        worker.carry_out(Order::Settle);
        let (ours, program) = pair().unwrap();
        let role = Role { app: "app".into(), slot: 0, balance: Balance::Rr, same: false };
        worker.carry_out(Order::Open(KEY, ours, Some(role)));
        let asks = json!({"cmd": "NODE_CLUSTER", "act": "queryServer", "address": "127.0.0.1", "port": 0, "addressType": 4, "index": 0, "seq": 1});
        say(&program, &asks);
        worker.hear(KEY.1);
        let sockets = |worker: &Worker| worker.clusters.descriptors().unwrap().len();
        assert_eq!(sockets(&worker), 1);
        // The order is there, and nobody has looked at it.
        if leaves {
            orders.send(Order::Leaving(KEY)).unwrap();
        }
        say(&program, &json!({"cmd": "NODE_CLUSTER", "act": "close", "key": "tcp4:127.0.0.1:0#0", "seq": 2}));
        worker.hear(KEY.1);
        assert_eq!(sockets(&worker), stay);
    }
}

#[test]
fn who_does_not_take_in_what_it_is_told_is_not_heard_until_it_does() {
    let Bench { mut worker, ears, dir: _dir, .. } = bench();
    let (ours, program) = pair().unwrap();
    let ours_too = ours.try_clone().unwrap();
    worker.carry_out(Order::Open(KEY, ours, None));
    // Each is answered.
    let message = json!({"cmd": "NODE_HANDLE", "type": "net.Socket", "msg": 0});
    let mut asked = 0;
    while worker.channels[&KEY.1].pipe.is_flushed() {
        say(&program, &message);
        asked += 1;
        worker.hear(KEY.1);
    }
    let unread = rustix::io::ioctl_fionread(&ours_too).unwrap();
    assert!(unread > 0, "what is not answered is there for a successor");
    say(&program, &json!("ready"));
    worker.hear(KEY.1);
    assert_eq!(*ears.0.lock().unwrap(), []);
    let (mut decoder, mut buffer, mut answers) = (Decoder::default(), vec![0; LOOK], 0);
    while answers < asked {
        let count = read(&program, &mut buffer).unwrap();
        decoder.push(&buffer[..count]);
        answers += std::iter::from_fn(|| decoder.take().unwrap()).count();
        worker.flush(KEY.1);
    }
    assert_eq!(worker.unheard, BTreeSet::from([KEY.1]));
    worker.hear(KEY.1);
    assert_eq!(*ears.0.lock().unwrap(), [Said::Ready]);
    assert_eq!(rustix::io::ioctl_fionread(&ours_too).unwrap(), 0);
}

#[test]
fn who_talks_without_end_lets_others_have_their_turn() {
    let Bench { mut worker, ears, dir: _dir, .. } = bench();
    let (ours, theirs) = pair().unwrap();
    worker.carry_out(Order::Open(KEY, ours, None));
    // A look ends at each that a descriptor comes with.
    let mut program = Pipe::over(theirs);
    let handle = Arc::new(eventfd(0, EventfdFlags::empty()).unwrap());
    for _ in 0..3 * LOOKS {
        program.send(&json!("ready"), false, Some(handle.clone()));
    }
    assert_eq!(program.flush(), Flushed::All);
    for turn in 1..=3 {
        worker.unheard.clear();
        worker.hear(KEY.1);
        assert_eq!(ears.0.lock().unwrap().len(), turn * LOOKS);
        assert_eq!(worker.unheard, BTreeSet::from([KEY.1]));
        worker.again.insert(KEY.1);
        assert_eq!(worker.pause(), Some(Millis(0)));
        assert!(worker.due.is_some(), "what is to be tried again is not put off by it");
        worker.again.clear();
    }
    drop(program);
    worker.unheard.clear();
    worker.hear(KEY.1);
    assert_eq!(ears.0.lock().unwrap().last(), Some(&Said::Gone));
    assert_eq!(worker.pause(), None);
}

#[test]
fn a_worker_whose_runtime_marks_its_messages_gets_marked_ones_from_a_successor_too() {
    let Bench { mut worker, dir, .. } = bench();
    worker.carry_out(Order::Settle);
    let (ours, program) = pair().unwrap();
    let role = || Some(Role { app: "app".into(), slot: 0, balance: Balance::Rr, same: false });
    worker.carry_out(Order::Open(KEY, ours.try_clone().unwrap(), role()));
    let online = json!({"cmd": "NODE_CLUSTER", "act": "online", "seq": 0});
    let bytes = encode(&online, true);
    assert_eq!(write(&program, &bytes).unwrap(), bytes.len());
    worker.hear(KEY.1);
    drop(worker);
    let mut successor = bench_in(dir).worker;
    successor.carry_out(Order::Open(KEY, ours, role()));
    successor.carry_out(Order::Settle);
    successor.carry_out(Order::Drain(KEY));
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; LOOK]);
    let count = read(&program, &mut buffer).unwrap();
    decoder.push(&buffer[..count]);
    let frame = decoder.take().unwrap().unwrap();
    assert_eq!((frame.marked, &frame.value.unwrap()["act"]), (true, &json!("disconnect")));
}
