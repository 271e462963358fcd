//! The primary, against what real workers were seen to say.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
fn with_reuseport_each_instance_has_a_socket_and_its_successor_takes_it() {
    let (mut primary, key) = pair(Balance::Reuseport);
    assert_eq!(primary.keys().count(), 2);
    let next = WorkerId(3);
    primary.join(next, 0);
    let out = primary.message(next, &query(4801, 1));
    assert_eq!(sent(&out, next)[0].1, Some(Handle::Socket(key)));
    // A port that the kernel chooses must be one for all.
    let out = primary.message(next, &query(0, 2));
    assert!(matches!(&out[0], Output::Bind { reuseport: false, .. }));
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
fn two_sockets_on_any_port_are_two_and_are_found_by_the_port_they_got() {
    let mut primary = Primary::new(Balance::Rr);
    primary.join(A, 0);
    let any = |index: i64| {
        map(json!({"act":"queryServer","index":index,"address":"127.0.0.1","port":0,"addressType":4,"seq":index}))
    };
    let mut keys = Vec::new();
    for index in 0..2 {
        let out = primary.message(A, &any(index));
        let Output::Bind { key, .. } = out[0].clone() else { panic!("{out:?}") };
        primary.bound(&key, Ok(bound(9000 + u16::try_from(index).unwrap())));
        keys.push(key);
    }
    let said = map(json!({"act":"listening","index":1,"address":"127.0.0.1","port":9001,"addressType":4}));
    let out = primary.message(A, &said);
    assert!(out.contains(&Output::Listening { worker: A, key: keys[1].clone() }), "{out:?}");
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
fn tls_keys_of_the_first_worker_are_everybodys() {
    let mut primary = Primary::new(Balance::Rr);
    primary.join(A, 0);
    primary.join(B, 1);
    let tls = |keys: &str| {
        map(
            json!({"act":"queryServer","index":0,"data":{"ticketKeys":keys},"address":null,"port":443,"addressType":4,"seq":1}),
        )
    };
    let out = primary.message(A, &tls("first"));
    let Output::Bind { key, .. } = out[0].clone() else { panic!("{out:?}") };
    primary.bound(&key, Ok(bound(443)));
    let out = primary.message(B, &tls("second"));
    assert_eq!(sent(&out, B)[0].0["data"]["ticketKeys"], json!("first"));
}

#[test]
fn a_successor_of_the_primary_goes_on_from_what_was_written_down() {
    let (mut primary, key) = pair(Balance::Rr);
    primary.connection(&key, Connection(1));
    let text = serde_json::to_string(&primary).unwrap();
    let mut next = serde_json::from_str::<Primary>(&text).unwrap().resume(1 << 40, |_| true);
    assert_eq!(next.listening(A), BTreeSet::from([key.as_str()]));
    let out = next.retry();
    assert!(out.contains(&Output::Accept { key: key.clone(), on: true }));
    // An answer to the one before is nothing to it.
    assert_eq!(next.message(A, &accepted(3, true)), []);
    let out = next.connection(&key, Connection(2));
    assert!(sent(&out, A).len() + sent(&out, B).len() == 1);
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
