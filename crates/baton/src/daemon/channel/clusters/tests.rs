//! Clusters with real sockets and no guard; workers are played.

use super::*;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use serde_json::json;
use std::net::{TcpStream, UdpSocket};
use tempfile::TempDir;

const A: WorkerId = WorkerId(1);
const B: WorkerId = WorkerId(2);

struct Bench {
    dir: TempDir,
    epoll: OwnedFd,
}

impl Bench {
    fn new() -> Bench {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        Bench { dir: tempfile::tempdir().unwrap(), epoll }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("clusters")
    }

    fn clusters(&self, held: BTreeMap<String, OwnedFd>) -> Clusters {
        Clusters::take_up(self.file(), None, self.epoll.try_clone().unwrap(), held)
    }

    fn wakes(&self) -> usize {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(8);
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
        events.len()
    }
}

fn role(balance: Balance) -> Role {
    Role { app: "app".into(), slot: 0, balance, same: false }
}

fn map(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Has a worker listen at the address of a question; gives the key and the port.
fn listen(clusters: &mut Clusters, worker: WorkerId, question: Value) -> (String, u16) {
    let mut question = map(question);
    let upshot = clusters.message(worker, &question);
    let answer = &upshot.letters[0].message;
    let answer = if answer["cmd"] == "NODE_HANDLE" { &answer["msg"] } else { answer };
    assert!(answer["errno"].as_i64().unwrap_or(0) == 0, "{answer}");
    let key = answer["key"].as_str().unwrap().to_owned();
    let fd = &clusters.apps["app"].sockets[&key].fd;
    let port = std::net::SocketAddr::try_from(rustix::net::getsockname(&**fd).unwrap()).unwrap().port();
    question.insert("act".into(), "listening".into());
    question.insert("port".into(), port.into());
    clusters.message(worker, &question);
    (key, port)
}

fn tcp(port: u16, index: u32, seq: u32) -> Value {
    json!({"act": "queryServer", "address": "127.0.0.1", "port": port, "addressType": 4, "index": index, "seq": seq})
}

#[test]
fn sockets_of_one_app_have_their_turns() {
    let bench = Bench::new();
    let mut clusters = bench.clusters(BTreeMap::new());
    clusters.settle(&BTreeSet::new());
    clusters.join(A, &role(Balance::Rr));
    let sockets: Vec<(String, u16)> = (0..3).map(|index| listen(&mut clusters, A, tcp(0, index, index))).collect();
    let clients: Vec<TcpStream> = (0..3)
        .flat_map(|_| sockets.iter().map(|(_, port)| TcpStream::connect(("127.0.0.1", *port)).unwrap()))
        .collect();
    let mut served = Vec::new();
    let numbers: Vec<u64> = clusters.apps["app"].sockets.values().map(|socket| socket.number).collect();
    let mut letters: VecDeque<Letter> =
        numbers.into_iter().flat_map(|number| clusters.knocks(number).letters).collect();
    while let Some(letter) = letters.pop_front() {
        let message = &letter.message["msg"];
        served.push(message["key"].as_str().unwrap().to_owned());
        let taken = json!({"ack": message["seq"], "accepted": true, "seq": 99});
        letters.extend(clusters.message(A, &map(taken)).letters);
    }
    assert_eq!(served.len(), clients.len());
    for three in served.chunks(3) {
        assert_eq!(three.iter().collect::<BTreeSet<_>>().len(), 3, "{served:?}");
    }
}

#[test]
fn connections_that_workers_accept_wake_nobody_here() {
    for (balance, wakes) in [(Balance::Rr, 1), (Balance::Shared, 0), (Balance::Reuseport, 0)] {
        let bench = Bench::new();
        let mut clusters = bench.clusters(BTreeMap::new());
        clusters.settle(&BTreeSet::new());
        clusters.join(A, &role(balance));
        let (key, port) = listen(&mut clusters, A, tcp(0, 0, 1));
        let socket = clusters.apps["app"].sockets[&key].fd.clone();
        if balance != Balance::Rr {
            rustix::net::listen(&*socket, 8).unwrap();
        }
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(bench.wakes(), wakes, "{balance:?}");
        // For a successor it is the same.
        let successor = Bench { dir: bench.dir, ..Bench::new() };
        let held = BTreeMap::from([(name(0), socket.as_fd().try_clone_to_owned().unwrap())]);
        let _clusters = successor.clusters(held);
        assert_eq!(successor.wakes(), wakes, "{balance:?}");
    }
}

#[test]
fn a_port_that_was_closed_can_be_opened_at_once_although_the_guard_has_it_still() {
    let bench = Bench::new();
    let mut clusters = bench.clusters(BTreeMap::new());
    clusters.settle(&BTreeSet::new());
    clusters.join(A, &role(Balance::Rr));
    let (key, port) = listen(&mut clusters, A, tcp(0, 0, 1));
    let guards = clusters.descriptors().unwrap();
    let upshot = clusters.message(A, &map(json!({"act": "close", "key": key, "seq": 2})));
    assert_eq!((upshot.closed.len(), upshot.waits), (1, false));
    listen(&mut clusters, A, tcp(port, 0, 3));
    drop(guards);
    // A datagram socket can't be shut down: its port is not free before the guard has closed it.
    let udp = json!({"act": "queryServer", "address": "127.0.0.1", "port": 0, "addressType": "udp4", "seq": 4});
    let (key, port) = listen(&mut clusters, A, udp);
    let guards = clusters.descriptors().unwrap();
    let upshot = clusters.message(A, &map(json!({"act": "close", "key": key, "seq": 5})));
    assert_eq!((upshot.closed.len(), upshot.waits), (1, true));
    UdpSocket::bind(("127.0.0.1", port)).unwrap_err();
    drop(guards);
    UdpSocket::bind(("127.0.0.1", port)).unwrap();
}

#[test]
fn workers_whose_sockets_are_lost_are_found_and_others_are_left_alone() {
    let bench = Bench::new();
    let mut clusters = bench.clusters(BTreeMap::new());
    clusters.settle(&BTreeSet::new());
    clusters.join(A, &role(Balance::Rr));
    listen(&mut clusters, A, tcp(0, 0, 1));
    let held = || clusters.descriptors().unwrap().into_iter().collect::<BTreeMap<_, _>>();
    let deaf = |held: BTreeMap<String, OwnedFd>, file: Option<&[u8]>| {
        let successor = Bench::new();
        if let Some(bytes) = file {
            std::fs::write(successor.file(), bytes).unwrap();
        }
        let mut clusters = successor.clusters(held);
        clusters.join(A, &role(Balance::Rr));
        // Began when its daemon died: it has asked for nothing yet.
        clusters.join(B, &role(Balance::Rr));
        clusters.settle(&BTreeSet::from([A, B])).deaf
    };
    let file = std::fs::read(bench.file()).unwrap();
    assert_eq!(deaf(held(), Some(&file)), BTreeSet::new());
    // The guard does not have it any more.
    assert_eq!(deaf(BTreeMap::new(), Some(&file)), BTreeSet::from([A]));
    // Nobody knows what they had.
    assert_eq!(deaf(held(), None), BTreeSet::from([A, B]));
    assert_eq!(deaf(held(), Some(b"nonsense")), BTreeSet::from([A, B]));
    // The file is older than what the guard has.
    let stale = json!({"era": 1, "next": 0, "apps": {}}).to_string();
    assert_eq!(deaf(held(), Some(stale.as_bytes())), BTreeSet::from([A, B]));
}

#[test]
fn nothing_reaches_a_worker_whose_channel_is_not_open_again() {
    let bench = Bench::new();
    let mut clusters = bench.clusters(BTreeMap::new());
    clusters.settle(&BTreeSet::new());
    clusters.join(A, &role(Balance::Rr));
    let (_, port) = listen(&mut clusters, A, tcp(0, 0, 1));
    clusters.join(B, &role(Balance::Rr));
    let held = clusters.descriptors().unwrap().into_iter().collect();
    let mut clusters = bench.clusters(held);
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let upshot = clusters.join(B, &role(Balance::Rr));
    assert!(upshot.letters.is_empty());
    assert!(clusters.knocks(0).letters.is_empty());
    let upshot = clusters.join(A, &role(Balance::Rr));
    assert_eq!(upshot.letters.iter().map(|letter| letter.to).collect::<Vec<_>>(), [A]);
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let bench = Bench::new();
    let missing = bench.dir.path().join("run");
    let mut clusters =
        Clusters::take_up(missing.join("clusters"), None, bench.epoll.try_clone().unwrap(), BTreeMap::new());
    clusters.join(A, &role(Balance::Rr));
    let due = clusters.due().unwrap();
    clusters.tick(due);
    assert!(clusters.due().is_some());
    std::fs::create_dir(&missing).unwrap();
    let due = clusters.due().unwrap();
    clusters.tick(due);
    assert_eq!(clusters.due(), None);
    assert!(missing.join("clusters").exists());
}

#[test]
fn a_socket_that_nobody_asks_for_any_more_is_closed_after_a_pause() {
    let bench = Bench::new();
    let mut clusters = bench.clusters(BTreeMap::new());
    clusters.settle(&BTreeSet::new());
    clusters.only(&BTreeMap::from([("app".to_owned(), BTreeSet::from([0]))]));
    clusters.join(A, &role(Balance::Rr));
    let (old, _) = listen(&mut clusters, A, tcp(0, 0, 1));
    clusters.left(A);
    assert_eq!(clusters.due(), None);
    clusters.join(B, &role(Balance::Rr));
    let (new, _) = listen(&mut clusters, B, tcp(0, 1, 1));
    let due = clusters.due().unwrap();
    assert!(clusters.tick(Instant(due.0 - 1)).closed.is_empty());
    assert_eq!(clusters.tick(due).closed.len(), 1);
    let sockets: Vec<&String> = clusters.apps["app"].sockets.keys().collect();
    assert_eq!((sockets, old != new), (vec![&new], true));
    // The pause for those that were not replaced ends, too, with nothing left to close.
    let due = clusters.due().unwrap();
    assert!(clusters.tick(due).closed.is_empty());
    assert_eq!(clusters.due(), None);
}
