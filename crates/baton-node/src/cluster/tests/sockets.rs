//! Which sockets there are, of which kind, and for how long.

use super::*;

/// A worker of a slot that asks for a port and listens on it.
fn serves(primary: &mut Primary, worker: WorkerId, slot: u32, port: u16) -> Vec<Output> {
    let mut out = primary.join(worker, slot);
    out.extend(primary.message(worker, &query(port, 1)));
    if let Some(Output::Bind { key, .. }) = out.iter().find(|output| matches!(output, Output::Bind { .. })).cloned() {
        out.extend(primary.bound(&key, Ok(bound(port))));
    }
    out.extend(primary.message(worker, &listening(port)));
    out
}

fn tidies(out: &[Output]) -> Vec<Patience> {
    out.iter().filter_map(|output| if let Output::Tidy(patience) = output { Some(*patience) } else { None }).collect()
}

#[test]
fn a_port_that_a_program_has_left_for_another_is_closed_when_all_workers_listen_again() {
    let (mut primary, old) = pair(Balance::Rr);
    primary.only(&BTreeSet::from([0, 1]));
    for worker in [A, B] {
        primary.leaving(worker);
        primary.left(worker);
    }
    let (c, d) = (WorkerId(3), WorkerId(4));
    assert_eq!(tidies(&serves(&mut primary, c, 0, 5000)), [], "the other may still want it");
    let out = serves(&mut primary, d, 1, 5000);
    assert_eq!(tidies(&out), [Patience::Short, Patience::Long]);
    assert!(!out.contains(&Output::Close { key: old.clone() }), "a program may ask for it a little later");
    assert_eq!(primary.tidy(Patience::Short), [Output::Close { key: old }, Output::Changed]);
    assert_eq!(primary.tidy(Patience::Long), []);
    assert_eq!(primary.keys().count(), 1);
}

#[test]
fn a_port_that_is_asked_for_late_is_not_closed_before_that() {
    let (mut primary, first) = pair(Balance::Rr);
    primary.only(&BTreeSet::from([0, 1]));
    for worker in [A, B] {
        primary.message(worker, &query(7000, 9));
        primary.bound("tcp4:*:7000", Ok(bound(7000)));
        primary.message(worker, &listening(7000));
    }
    for worker in [A, B] {
        primary.leaving(worker);
        primary.left(worker);
    }
    let (c, d) = (WorkerId(3), WorkerId(4));
    serves(&mut primary, c, 0, 7000);
    // It is older than the one that is in use, so it looks as if it were replaced.
    assert_eq!(tidies(&serves(&mut primary, d, 1, 7000)), [Patience::Short, Patience::Long]);
    primary.message(c, &query(4801, 5));
    primary.message(c, &listening(4801));
    assert_eq!(primary.tidy(Patience::Short), []);
    // A younger one that has not been asked for again is left for longer.
    primary.leaving(c);
    primary.left(c);
    primary.leaving(d);
    primary.left(d);
    let (e, f) = (WorkerId(5), WorkerId(6));
    primary.tidy(Patience::Long);
    serves(&mut primary, e, 0, 4801);
    assert_eq!(tidies(&serves(&mut primary, f, 1, 4801)), [Patience::Long]);
    assert_eq!(primary.tidy(Patience::Long), [Output::Close { key: "tcp4:*:7000".into() }, Output::Changed]);
    assert_eq!(primary.keys().collect::<Vec<_>>(), [first]);
}

#[test]
fn a_program_that_picks_its_port_leaves_none_behind_when_it_crashes() {
    let mut primary = Primary::new(Balance::Rr);
    primary.only(&BTreeSet::from([0]));
    for life in 0..5u16 {
        let worker = WorkerId(u64::from(life) + 1);
        serves(&mut primary, worker, 0, 5000 + life);
        primary.tidy(Patience::Short);
        assert_eq!(primary.keys().count(), 1);
        primary.left(worker);
    }
}

#[test]
fn another_balance_counts_when_all_workers_leave_and_until_then_no_address_is_opened_twice() {
    let kinds = [Balance::Rr, Balance::Shared, Balance::Reuseport];
    for (from, to) in kinds.iter().flat_map(|from| kinds.map(|to| (*from, to))).filter(|(from, to)| from != to) {
        let (mut primary, _) = pair(from);
        let sockets = primary.keys().count();
        // A reload: the next ones stand beside those that serve.
        for (worker, old, slot) in [(WorkerId(3), A, 0), (WorkerId(4), B, 1)] {
            let mut out = primary.balance_by(to);
            out.extend(serves(&mut primary, worker, slot, 4801));
            assert!(!out.iter().any(|output| matches!(output, Output::Bind { .. } | Output::Close { .. })), "{out:?}");
            assert!(
                !out.iter()
                    .any(|output| matches!(output, Output::Send { message, .. } if message["errno"] == json!(-98)))
            );
            primary.drain(old);
            primary.left(old);
        }
        assert_eq!(primary.keys().count(), sockets);
        // A restart: all leave, then the next ones come.
        primary.leaving(WorkerId(3));
        primary.leaving(WorkerId(4));
        let mut out = primary.balance_by(to);
        out.extend(serves(&mut primary, WorkerId(5), 0, 4801));
        let closed = out.iter().filter(|output| matches!(output, Output::Close { .. })).count();
        assert_eq!(closed, sockets, "{from:?} {to:?}");
        let Some(Output::Bind { reuseport, listen, .. }) =
            out.iter().find(|output| matches!(output, Output::Bind { .. }))
        else {
            panic!("{out:?}")
        };
        assert_eq!((*reuseport, *listen), (to == Balance::Reuseport, to == Balance::Rr));
        // One that crashes takes nothing with it.
        primary.left(WorkerId(3));
        primary.left(WorkerId(4));
        primary.left(WorkerId(5));
        assert_eq!(primary.balance_by(to), []);
    }
}

#[test]
fn a_refusal_has_the_data_that_a_tls_server_looks_at() {
    let mut primary = Primary::new(Balance::Rr);
    primary.join(A, 0);
    let tls = |seq: u64| {
        map(
            json!({"act":"queryServer","index":0,"data":{"ticketKeys":"mine"},"address":null,"port":443,"addressType":4,"seq":seq}),
        )
    };
    primary.message(A, &tls(1));
    let out = primary.bound("tcp4:*:443", Err(-98));
    assert_eq!(sent(&out, A)[0].0["data"], json!({"ticketKeys":"mine"}));
    primary.message(A, &tls(2));
    primary.bound("tcp4:*:443", Ok(bound(443)));
    let out = primary.message(A, &tls(3));
    assert_eq!(
        (&sent(&out, A)[0].0["errno"], &sent(&out, A)[0].0["data"]),
        (&json!(-98), &json!({"ticketKeys":"mine"}))
    );
    let fd = map(json!({"act":"queryServer","addressType":-1,"port":-1,"fd":3,"seq":6,"data":{"ticketKeys":"mine"}}));
    assert_eq!(sent(&primary.message(A, &fd), A)[0].0["data"], json!({"ticketKeys":"mine"}));
}

#[test]
fn a_socket_of_a_slot_that_went_down_goes_with_its_last_worker() {
    let (mut primary, _) = pair(Balance::Reuseport);
    let out = primary.only(&BTreeSet::from([0]));
    assert_eq!(out, [], "its worker has it still");
    let out = primary.left(B);
    assert!(out.iter().any(|output| matches!(output, Output::Close { key } if key.ends_with("@1"))), "{out:?}");
    assert_eq!(primary.keys().count(), 1);
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
