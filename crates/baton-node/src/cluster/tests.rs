//! The primary, against what real workers were seen to say.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

mod sockets;

const A: WorkerId = WorkerId(1);
const B: WorkerId = WorkerId(2);

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("a map")
}

fn query(port: u16, seq: u64) -> Map<String, Value> {
    map(
        json!({"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":port,"addressType":4,"backlog":0,"seq":seq}),
    )
}

fn listening(port: u16) -> Map<String, Value> {
    map(
        json!({"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":port,"addressType":4,"backlog":0,"seq":2}),
    )
}

fn bound(port: u16) -> Bound {
    Bound { address: Some("::".into()), family: "IPv6".into(), port }
}

fn sent(out: &[Output], to: WorkerId) -> Vec<(Value, Option<Handle>)> {
    let mine = out.iter().filter_map(|output| match output {
        Output::Send { worker, message, handle } if *worker == to => Some((message.clone(), handle.clone())),
        _ => None,
    });
    mine.collect()
}

/// The number of the message with a connection.
fn number(out: &[Output], to: WorkerId) -> u64 {
    sent(out, to)[0].0["msg"]["seq"].as_u64().expect("a number")
}

fn accepted(seq: u64, yes: bool) -> Map<String, Value> {
    map(json!({"cmd":"NODE_CLUSTER","ack":seq,"accepted":yes,"seq":18}))
}

/// Two workers that listen on one port.
fn pair(balance: Balance) -> (Primary, String) {
    let mut primary = Primary::new(balance);
    primary.join(A, 0);
    primary.join(B, 1);
    let out = primary.message(A, &query(4801, 1));
    let Some(Output::Bind { key, listen, .. }) = out.first() else { panic!("{out:?}") };
    assert_eq!(*listen, balance == Balance::Rr);
    let key = key.clone();
    primary.bound(&key, Ok(bound(4801)));
    let out = primary.message(B, &query(4801, 1));
    if balance == Balance::Reuseport {
        let Some(Output::Bind { key, .. }) = out.first() else { panic!("{out:?}") };
        let key = key.clone();
        primary.bound(&key, Ok(bound(4801)));
    }
    for worker in [A, B] {
        let out = primary.message(worker, &listening(4801));
        assert!(
            out.iter().any(|output| matches!(output, Output::Listening { worker: who, .. } if *who == worker)),
            "{out:?}"
        );
    }
    (primary, key)
}

#[test]
fn a_worker_is_told_where_it_listens_and_gets_connections_when_it_does() {
    let mut primary = Primary::new(Balance::Rr);
    primary.join(A, 0);
    let out = primary.message(A, &query(4801, 1));
    assert!(matches!(&out[0], Output::Bind { reuseport: false, listen: true, .. }));
    let Output::Bind { key, .. } = out[0].clone() else { unreachable!() };
    let out = primary.bound(&key, Ok(bound(4801)));
    let (answer, handle) = sent(&out, A).remove(0);
    assert_eq!(handle, None);
    assert_eq!((&answer["errno"], &answer["ack"], &answer["key"]), (&Value::Null, &json!(1), &json!(key)));
    assert_eq!(answer["sockname"], json!({"address":"::","family":"IPv6","port":4801}));
    assert!(!out.iter().any(|output| matches!(output, Output::Accept { .. })), "not before it listens");
    let out = primary.message(A, &listening(4801));
    assert!(out.contains(&Output::Accept { key: key.clone(), on: true }));
    let out = primary.connection(&key, Connection(7));
    let (message, handle) = sent(&out, A).remove(0);
    assert_eq!(
        (&message["cmd"], &message["type"], &message["msg"]["act"]),
        (&json!("NODE_HANDLE"), &json!("net.Native"), &json!("newconn"))
    );
    assert_eq!(handle, Some(Handle::Connection(Connection(7))));
    assert!(out.contains(&Output::Accept { key: key.clone(), on: false }), "its only place is taken");
    let out = primary.message(A, &accepted(number(&out, A), true));
    assert_eq!(out, [Output::Done(Connection(7)), Output::Accept { key, on: true }]);
}

#[test]
fn a_worker_that_replaces_another_does_not_count_as_listening_where_that_one_does_not() {
    const NEW: WorkerId = WorkerId(3);
    let counts = |out: &[Output]| out.iter().any(|output| matches!(output, Output::Listening { .. }));
    let listens = |primary: &mut Primary, port: u16, seq: u64| {
        let out = primary.message(NEW, &query(port, seq));
        if let Some(Output::Bind { key, .. }) = out.first() {
            primary.bound(&key.clone(), Ok(bound(port)));
        }
        counts(&primary.message(NEW, &listening(port)))
    };
    for balance in [Balance::Rr, Balance::Shared, Balance::Reuseport] {
        let (mut primary, _) = pair(balance);
        primary.join(NEW, 0);
        primary.same(NEW);
        assert!(!listens(&mut primary, 4802, 1), "{balance:?}: nobody asks there");
        assert!(listens(&mut primary, 4801, 2), "{balance:?}: it is where the other one is");
        // With another definition it may be meant to move.
        let (mut primary, _) = pair(balance);
        primary.join(NEW, 0);
        assert!(listens(&mut primary, 4802, 1));
        // Where there is no other one it may listen anywhere.
        let (mut primary, _) = pair(balance);
        primary.left(A);
        primary.join(NEW, 0);
        primary.same(NEW);
        assert!(listens(&mut primary, 4802, 1));
    }
}

#[test]
fn a_shared_socket_goes_to_the_worker_itself() {
    for balance in [Balance::Shared, Balance::Reuseport] {
        let mut primary = Primary::new(balance);
        primary.join(A, 0);
        let out = primary.message(A, &query(4801, 5));
        let Output::Bind { key, reuseport, listen, .. } = out[0].clone() else { panic!("{out:?}") };
        assert_eq!((reuseport, listen), (balance == Balance::Reuseport, false));
        let out = primary.bound(&key, Ok(bound(4801)));
        let (message, handle) = sent(&out, A).remove(0);
        assert_eq!((&message["msg"]["errno"], &message["msg"]["ack"]), (&json!(0), &json!(5)));
        assert_eq!(handle, Some(Handle::Socket(key)));
    }
}

#[test]
fn an_address_that_is_taken_is_an_error_in_the_worker() {
    let mut primary = Primary::new(Balance::Rr);
    primary.join(A, 0);
    let out = primary.message(A, &query(80, 3));
    let Output::Bind { key, .. } = out[0].clone() else { panic!("{out:?}") };
    let out = primary.bound(&key, Err(-98));
    assert_eq!((&sent(&out, A)[0].0["errno"], &sent(&out, A)[0].0["ack"]), (&json!(-98), &json!(3)));
    // It may try again.
    assert!(matches!(primary.message(A, &query(80, 4))[0], Output::Bind { .. }));
    primary.bound(&key, Ok(bound(80)));
    // The same port twice in one program.
    let out = primary.message(A, &query(80, 5));
    assert_eq!(sent(&out, A)[0].0["errno"], json!(-98));
    // A descriptor of ours.
    let fd = map(json!({"act":"queryServer","addressType":-1,"port":-1,"fd":3,"seq":6}));
    assert_eq!(sent(&primary.message(A, &fd), A)[0].0["errno"], json!(-9));
}

#[test]
fn what_a_dead_worker_had_not_taken_goes_to_another() {
    let (mut primary, key) = pair(Balance::Rr);
    let out = primary.connection(&key, Connection(1));
    assert_eq!(sent(&out, A).len(), 1);
    let out = primary.left(A);
    assert_eq!(sent(&out, B)[0].1, Some(Handle::Connection(Connection(1))));
    let first = number(&out, B);
    // Nobody is left: the socket stays, and nothing is accepted until someone comes.
    let out = primary.left(B);
    assert!(!out.iter().any(|output| matches!(output, Output::Close { .. } | Output::Done(_))), "{out:?}");
    let next = WorkerId(9);
    primary.join(next, 0);
    primary.message(next, &query(4801, 1));
    let out = primary.message(next, &listening(4801));
    assert_eq!(sent(&out, next)[0].1, Some(Handle::Connection(Connection(1))));
    assert!(number(&out, next) > first);
}

#[test]
fn a_worker_that_refuses_is_passed_over_and_asked_again_after_a_pause() {
    let (mut primary, key) = pair(Balance::Rr);
    let out = primary.connection(&key, Connection(1));
    let out = primary.message(A, &accepted(number(&out, A), false));
    assert_eq!(sent(&out, B).len(), 1, "{out:?}");
    let out = primary.message(B, &accepted(number(&out, B), false));
    assert!(out.contains(&Output::Retry), "{out:?}");
    assert!(out.iter().all(|output| !matches!(output, Output::Send { .. })));
    let out = primary.retry();
    assert!(out.iter().any(|output| matches!(output, Output::Send { handle: Some(_), .. })), "{out:?}");
}

#[test]
fn a_worker_that_drains_gets_nothing_new_and_keeps_its_sockets_open_for_others() {
    let (mut primary, key) = pair(Balance::Rr);
    let out = primary.drain(A);
    assert_eq!(sent(&out, A)[0].0["act"], json!("disconnect"));
    for number_of in 0..3 {
        let out = primary.connection(&key, Connection(number_of));
        assert_eq!(sent(&out, A).len(), 0);
    }
    primary.drain(B);
    let close = |key: &str| map(json!({"act":"close","key":key,"seq":19}));
    for worker in [A, B] {
        let out = primary.message(worker, &close(&key));
        assert!(!out.iter().any(|output| matches!(output, Output::Close { .. })), "{out:?}");
    }
    // A program that closes its socket by itself closes it for all when it is the last.
    let (mut primary, key) = pair(Balance::Rr);
    primary.message(A, &close(&key));
    let out = primary.message(B, &close(&key));
    assert!(out.contains(&Output::Close { key: key.clone() }));
    // And gets it again when it asks again.
    assert!(matches!(primary.message(A, &query(4801, 30))[0], Output::Bind { .. }));
}

#[test]
fn a_successor_of_the_primary_goes_on_from_what_was_written_down() {
    let (mut primary, key) = pair(Balance::Rr);
    primary.connection(&key, Connection(1));
    let text = serde_json::to_string(&primary).unwrap();
    let (mut next, deaf) = serde_json::from_str::<Primary>(&text).unwrap().resume(1 << 40, |_| true);
    assert!(deaf.is_empty());
    assert_eq!(next.listening(A), BTreeSet::from([key.as_str()]));
    // Whose channel is not open yet gets nothing.
    assert_eq!(next.retry(), []);
    assert_eq!(next.connection(&key, Connection(9)), []);
    let out = next.join(B, 1);
    assert_eq!(sent(&out, B)[0].1, Some(Handle::Connection(Connection(9))));
    let out = next.join(A, 0);
    assert!(out.contains(&Output::Accept { key: key.clone(), on: true }));
    // An answer to the one before is nothing to it.
    assert_eq!(next.message(A, &accepted(3, true)), []);
    let out = next.connection(&key, Connection(2));
    assert_eq!((sent(&out, A).len(), sent(&out, B).len()), (1, 0));
    // Who had a socket that is lost waits for nothing.
    let (next, deaf) = serde_json::from_str::<Primary>(&text).unwrap().resume(1 << 40, |_| false);
    assert_eq!((next.keys().count(), deaf), (0, BTreeSet::from([A, B])));
}

/// Tells who got which connection, and whether more are accepted.
fn given(out: &[Output]) -> (Vec<WorkerId>, Option<bool>) {
    let to = |output: &Output| match output {
        Output::Send { worker, handle: Some(Handle::Connection(_)), .. } => Some(*worker),
        _ => None,
    };
    let accept = |output: &Output| match output {
        Output::Accept { on, .. } => Some(*on),
        _ => None,
    };
    (out.iter().filter_map(to).collect(), out.iter().rev().find_map(accept))
}

#[test]
fn who_has_refused_once_gets_connections_again_although_others_take_all() {
    let (mut primary, key) = pair(Balance::Rr);
    let out = primary.connection(&key, Connection(1));
    let out = primary.message(A, &accepted(number(&out, A), false));
    assert!(out.contains(&Output::Retry), "{out:?}");
    primary.message(B, &accepted(number(&out, B), true));
    let out = primary.connection(&key, Connection(2));
    assert_eq!(given(&out).0, [B], "not before the pause is over");
    assert_eq!(given(&primary.retry()).1, Some(true));
    assert_eq!(given(&primary.connection(&key, Connection(3))).0, [A]);
    // The other one leaves: nobody is left to take what comes until the pause is over.
    let (mut primary, key) = pair(Balance::Rr);
    let out = primary.connection(&key, Connection(1));
    let out = primary.message(A, &accepted(number(&out, A), false));
    primary.message(B, &accepted(number(&out, B), true));
    primary.left(B);
    assert_eq!(given(&primary.retry()).1, Some(true));
    assert_eq!(given(&primary.connection(&key, Connection(2))).0, [A]);
}

#[test]
fn who_closes_and_listens_again_has_not_refused_for_good() {
    let (mut primary, key) = pair(Balance::Rr);
    let out = primary.connection(&key, Connection(1));
    let first = number(&out, A);
    primary.message(A, &map(json!({"act":"close","key":key,"seq":19})));
    primary.message(A, &accepted(first, false));
    primary.message(A, &query(4801, 20));
    primary.message(A, &listening(4801));
    let out = primary.connection(&key, Connection(2));
    assert_eq!(given(&out).0, [A], "{out:?}");
}

#[test]
fn a_socket_that_did_not_arrive_is_sent_again_and_then_refused() {
    let (mut primary, key) = pair(Balance::Shared);
    for worker in [A, B] {
        assert_eq!(primary.received(worker, true), []);
    }
    let c = WorkerId(3);
    primary.join(c, 2);
    primary.message(c, &query(4801, 7));
    for _ in 0..3 {
        let (message, handle) = sent(&primary.received(c, false), c).remove(0);
        assert_eq!((&message["msg"]["ack"], handle), (&json!(7), Some(Handle::Socket(key.clone()))));
    }
    let (message, handle) = sent(&primary.received(c, false), c).remove(0);
    assert_eq!((&message["errno"], &message["ack"], handle), (&json!(-24), &json!(7), None));
    assert_eq!(primary.received(c, false), []);
    // It may ask again.
    assert_eq!(sent(&primary.message(c, &query(4801, 8)), c)[0].1, Some(Handle::Socket(key)));
}

#[test]
fn what_did_not_arrive_is_the_oldest_that_is_on_its_way() {
    let (mut primary, key) = pair(Balance::Rr);
    let udp =
        map(json!({"act":"queryServer","index":0,"data":null,"address":null,"port":53,"addressType":"udp4","seq":9}));
    primary.message(A, &udp);
    let Some(datagrams) = primary.keys().find(|other| **other != key).map(str::to_owned) else { panic!() };
    let out = primary.bound(&datagrams, Ok(bound(53)));
    assert_eq!(sent(&out, A)[0].1, Some(Handle::Socket(datagrams.clone())));
    let out = primary.connection(&key, Connection(1));
    let first = number(&out, A);
    // The datagram socket, not the connection.
    let out = primary.received(A, false);
    assert_eq!(sent(&out, A)[0].1, Some(Handle::Socket(datagrams)));
    assert_eq!(given(&out).0, []);
    // The connection: another gets it, once.
    let out = primary.received(A, false);
    assert_eq!(given(&out).0, [B]);
    assert_eq!(primary.message(A, &accepted(first, true)), []);
}

#[test]
fn a_worker_is_told_to_finish_once_and_again_only_if_it_never_got_the_message() {
    let (mut primary, _) = pair(Balance::Rr);
    let disconnects =
        |out: &[Output]| sent(out, A).iter().filter(|(message, _)| message["act"] == "disconnect").count();
    assert_eq!(disconnects(&primary.drain(A)), 1);
    assert_eq!(disconnects(&primary.drain(A)), 0);
    let again = |primary: &Primary| {
        let text = serde_json::to_string(primary).unwrap();
        let (mut next, _) = serde_json::from_str::<Primary>(&text).unwrap().resume(1 << 40, |_| true);
        next.join(A, 0);
        disconnects(&next.drain(A))
    };
    assert_eq!(again(&primary), 1);
    assert_eq!(primary.told(A), [Output::Changed]);
    assert_eq!(again(&primary), 0);
    assert_eq!(primary.told(B), []);
}

#[test]
fn a_successor_knows_whose_messages_are_marked() {
    let (mut primary, _) = pair(Balance::Rr);
    assert_eq!(primary.mark(A), [Output::Changed]);
    assert_eq!(primary.mark(A), []);
    let text = serde_json::to_string(&primary).unwrap();
    let (next, _) = serde_json::from_str::<Primary>(&text).unwrap().resume(1 << 40, |_| true);
    assert!(next.is_marked(A) && !next.is_marked(B));
}

#[test]
fn what_was_read_twice_closes_nothing_twice() {
    let (mut primary, key) = pair(Balance::Rr);
    primary.message(A, &map(json!({"act":"close","key":key,"seq":19})));
    assert_eq!(primary.message(A, &map(json!({"act":"close","key":key,"seq":19}))), []);
    assert_eq!(primary.keys().count(), 1);
}

proptest! {
    /// Every connection ends with exactly one worker, or goes round until one takes it; no worker has more than it may.
    #[test]
    fn no_connection_is_lost_or_given_twice(steps in prop::collection::vec((0u8..6, any::<u8>()), 1..300)) {
        let (mut primary, key) = pair(Balance::Rr);
        let mut alive = vec![A, B];
        let mut next = 10u64;
        let mut given: BTreeMap<WorkerId, Vec<(u64, Connection)>> = BTreeMap::new();
        let mut held: BTreeSet<Connection> = BTreeSet::new();
        let mut accepting = true;
        let mut pause = false;
        let take = |out: Vec<Output>, given: &mut BTreeMap<WorkerId, Vec<(u64, Connection)>>, held: &mut BTreeSet<Connection>, accepting: &mut bool, pause: &mut bool| {
            for output in out {
                match output {
                    Output::Send { worker, message, handle: Some(Handle::Connection(connection)) } => {
                        assert!(held.contains(&connection), "a connection that was closed is given away");
                        let mine = given.entry(worker).or_default();
                        mine.push((message["msg"]["seq"].as_u64().unwrap(), connection));
                        assert!(mine.len() <= 1, "more than a worker may have");
                    }
                    Output::Done(connection) => assert!(held.remove(&connection), "closed twice"),
                    Output::Accept { on, .. } => *accepting = on,
                    Output::Retry => *pause = true,
                    _ => {}
                }
            }
            let mut all: Vec<Connection> = given.values().flatten().map(|(_, connection)| *connection).collect();
            all.sort();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "one connection with two workers");
        };
        for (kind, word) in steps {
            let out = match kind {
                0 | 1 if accepting => {
                    next += 1;
                    held.insert(Connection(next));
                    primary.connection(&key, Connection(next))
                }
                2 | 3 => {
                    let busy: Vec<WorkerId> = given.iter().filter(|(_, list)| !list.is_empty()).map(|(worker, _)| *worker).collect();
                    let Some(worker) = busy.get(usize::from(word) % busy.len().max(1)).copied() else { continue };
                    let (seq, _) = given.get_mut(&worker).unwrap().remove(0);
                    primary.message(worker, &accepted(seq, !word.is_multiple_of(4)))
                }
                4 if word.is_multiple_of(3) && !alive.is_empty() => {
                    let worker = alive.remove(usize::from(word) % alive.len());
                    given.remove(&worker);
                    primary.left(worker)
                }
                4 => {
                    next += 1;
                    let worker = WorkerId(next);
                    alive.push(worker);
                    let mut out = primary.join(worker, 0);
                    out.extend(primary.message(worker, &query(4801, 1)));
                    out.extend(primary.message(worker, &listening(4801)));
                    out
                }
                5 if pause => {
                    pause = false;
                    primary.retry()
                }
                _ => continue,
            };
            take(out, &mut given, &mut held, &mut accepting, &mut pause);
        }
        // When no pause is awaited, who is idle gets what comes.
        if pause {
            pause = false;
            let out = primary.retry();
            take(out, &mut given, &mut held, &mut accepting, &mut pause);
        }
        while accepting {
            next += 1;
            held.insert(Connection(next));
            let out = primary.connection(&key, Connection(next));
            take(out, &mut given, &mut held, &mut accepting, &mut pause);
        }
        for worker in &alive {
            prop_assert!(given.get(worker).is_some_and(|list| !list.is_empty()), "{worker:?} is idle");
        }
        // A last worker that takes everything.
        let last = WorkerId(1_000_000);
        for worker in alive {
            given.remove(&worker);
            let out = primary.left(worker);
            take(out, &mut given, &mut held, &mut accepting, &mut pause);
        }
        let mut out = primary.join(last, 0);
        out.extend(primary.message(last, &query(4801, 1)));
        out.extend(primary.message(last, &listening(4801)));
        take(out, &mut given, &mut held, &mut accepting, &mut pause);
        while let Some((seq, _)) = given.get_mut(&last).and_then(|list| (!list.is_empty()).then(|| list.remove(0))) {
            let out = primary.message(last, &accepted(seq, true));
            take(out, &mut given, &mut held, &mut accepting, &mut pause);
        }
        prop_assert!(held.is_empty(), "connections that nobody got: {held:?}");
        prop_assert!(accepting);
    }
}
