//! Whoever talks to the sockets may be anybody's broken program.

use super::{memory, runs};
use crate::harness::{Baton, testapp};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Growth that is no growth (KiB): buffers, arenas, pages of code that were never touched before.
const SLACK: u64 = 24 * 1024;

fn sockets(baton: &Baton) -> Vec<PathBuf> {
    let all: Vec<PathBuf> = ["baton.sock", "rpc.sock", "pub.sock"]
        .iter()
        .map(|name| baton.home().join(name))
        .filter(|path| path.exists())
        .collect();
    assert!(!all.is_empty());
    all
}

/// Numbers without a pattern, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Says this and reads what comes until the other side closes, or has nothing to say for a moment.
fn say(path: &PathBuf, bytes: &[u8]) {
    let mut stream = UnixStream::connect(path).expect("it listens");
    // It may be closed at the first wrong byte.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
}

#[test]
fn nonsense_and_idle_connections_harm_nobody() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    let (daemon, app, guard) = (baton.daemon(), baton.pid("a"), baton.guard());
    let before = memory(daemon);
    let mut numbers = Numbers(7);
    let hello = br#"{"id":1,"request":{"hello":{"protocol":2}}}"#;
    for path in sockets(&baton) {
        for round in 0..runs(100, 2_000) {
            let length = usize::try_from(numbers.next() % 600).expect("small");
            let mut bytes = match round % 5 {
                // Anything at all.
                0 => numbers.bytes(length),
                // A length, and less than that; a length that nobody has memory for.
                1 => [&u32::try_from(length * 3).expect("small").to_be_bytes()[..], &numbers.bytes(length)].concat(),
                2 => [&u32::MAX.to_be_bytes()[..], &numbers.bytes(length)].concat(),
                // The frames of PM2's protocol: a version and a count of arguments, and their lengths.
                3 => [
                    &[0x10 | (numbers.next().to_le_bytes()[0] & 15)][..],
                    &u32::MAX.to_be_bytes(),
                    &numbers.bytes(length),
                ]
                .concat(),
                // A good request with a hole.
                _ => {
                    let mut body = hello.to_vec();
                    let at = usize::try_from(numbers.next()).expect("small") % body.len();
                    body[at] = numbers.next().to_le_bytes()[0];
                    [&u32::try_from(body.len()).expect("small").to_be_bytes()[..], &body].concat()
                }
            };
            bytes.truncate(usize::try_from(numbers.next()).expect("small") % (bytes.len() + 1) + bytes.len() / 2);
            say(&path, &bytes);
        }
        let idle: Vec<UnixStream> = (0..runs(300, 1_000)).map_while(|_| UnixStream::connect(&path).ok()).collect();
        baton.run(["jlist"]).ok();
        drop(idle);
    }
    assert_eq!((baton.daemon(), baton.pid("a"), baton.guard()), (daemon, app, guard));
    let grown = memory(daemon).saturating_sub(before);
    assert!(grown < SLACK, "the daemon has grown by {grown} KiB");
}

#[test]
fn who_does_not_read_holds_up_nobody_and_takes_no_memory() {
    let baton = Baton::new();
    baton.start("a", &["wait"]);
    let daemon = baton.daemon();
    let before = memory(daemon);
    // Each of them wants to hear of everything, and reads nothing.
    let subscribe = br#"{"id":1,"request":"subscribe"}"#;
    let frame = [&u32::try_from(subscribe.len()).expect("small").to_be_bytes()[..], subscribe].concat();
    let mut deaf: Vec<UnixStream> = Vec::new();
    for path in sockets(&baton) {
        for _ in 0..20 {
            let mut stream = UnixStream::connect(&path).expect("it listens");
            stream.write_all(&frame).expect("sent");
            deaf.push(stream);
        }
    }
    baton
        .run(["start", testapp().to_str().expect("a path"), "--name", "talks", "--", "spam:200000", "out:done", "wait"])
        .ok();
    for _ in 0..runs(20, 400) {
        baton.run(["restart", "a"]).ok();
    }
    baton.wait_log("talks-out.log", "done");
    assert_eq!(baton.daemon(), daemon);
    let grown = memory(daemon).saturating_sub(before);
    assert!(grown < SLACK, "the daemon has grown by {grown} KiB");
    drop(deaf);
}
