//! The framing of PM2's sockets, and our client against a daemon of our own making.

use baton_pm2::amp::{AmpError, Argument, Decoder, MAX_ARGUMENT, encode};
use baton_pm2::client::{Pm2Client, Pm2Error};
use baton_pm2::dump;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

#[test]
fn a_message_is_what_pm2_sends() {
    let body = json!({"type": "call", "method": "ping", "args": [{}]});
    let message = encode(&[Argument::Json(body.clone()), Argument::Text("1:0".into())]).expect("a message");
    let mut expected = b"\x12\0\0\0\x2d".to_vec();
    expected.extend(br#"j:{"type":"call","method":"ping","args":[{}]}"#);
    expected.extend(b"\0\0\0\x05s:1:0");
    assert_eq!(message, expected);
    let mut decoder = Decoder::default();
    decoder.push(&message);
    assert_eq!(decoder.next_message(), Ok(Some(vec![Argument::Json(body), Argument::Text("1:0".into())])));
    assert_eq!(decoder.next_message(), Ok(None));
}

#[test]
fn what_can_be_no_message_is_refused_at_once() {
    let decode = |bytes: &[u8]| {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        decoder.next_message()
    };
    assert_eq!(decode(b"\x21"), Err(AmpError::Version(2)));
    assert_eq!(decode(b"\x11\xff\xff\xff\xff"), Err(AmpError::TooLong(u32::MAX)));
    let just_too_long = [&[0x11][..], &(MAX_ARGUMENT + 1).to_be_bytes()].concat();
    assert_eq!(decode(&just_too_long), Err(AmpError::TooLong(MAX_ARGUMENT + 1)));
    assert!(matches!(decode(b"\x11\0\0\0\x03j:{"), Err(AmpError::Json(_))));
    let many = vec![Argument::Text(String::new()); 16];
    assert_eq!(encode(&many), Err(AmpError::TooMany(16)));
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        "\\PC{0,20}".prop_map(Argument::Text),
        prop::collection::vec(any::<i32>(), 0..5).prop_map(|items| Argument::Json(json!(items))),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_filter("a text or JSON", |bytes| !bytes.starts_with(b"s:") && !bytes.starts_with(b"j:"))
            .prop_map(Argument::Bytes),
    ]
}

proptest! {
    #[test]
    fn messages_survive_any_chopping(messages in prop::collection::vec(prop::collection::vec(argument(), 0..5), 1..6), size in 1_usize..40) {
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend(encode(message).expect("a message"));
        }
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for piece in stream.chunks(size) {
            decoder.push(piece);
            while let Some(message) = decoder.next_message().expect("our own message") {
                seen.push(message);
            }
        }
        prop_assert_eq!(seen, messages);
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..40) {
        let mut decoder = Decoder::default();
        for piece in bytes.chunks(size) {
            decoder.push(piece);
            // Every message takes a byte, so this ends.
            while let Ok(Some(_)) = decoder.next_message() {}
        }
    }
}

/// A daemon that answers one connection and tells afterwards what it was asked.
fn daemon(home: &Path, answer: impl Fn(&str, &Value) -> Option<Value> + Send + 'static) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(home.join("rpc.sock")).expect("a socket");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut decoder = Decoder::default();
        let mut asked = Vec::new();
        loop {
            let mut bytes = [0; 512];
            let count = stream.read(&mut bytes).expect("a request");
            if count == 0 {
                return asked;
            }
            decoder.push(&bytes[..count]);
            while let Some(message) = decoder.next_message().expect("a message") {
                let [Argument::Json(body), Argument::Text(id)] = message.as_slice() else { panic!("{message:?}") };
                let method = body["method"].as_str().expect("a method");
                asked.push(format!("{method} {}", body["args"][0]));
                if method == "killMe" {
                    return asked;
                }
                if let Some(answer) = answer(method, &body["args"][0]) {
                    reply(&mut stream, answer, id);
                }
            }
        }
    })
}

fn reply(stream: &mut UnixStream, body: Value, id: &str) {
    let message = encode(&[Argument::Json(body), Argument::Text(id.into())]).expect("a message");
    // In two pieces, so that the client sees half a message.
    let (first, second) = message.split_at(message.len() / 2);
    stream.write_all(first).expect("the client reads");
    stream.write_all(second).expect("the client reads");
}

#[test]
fn nobody_there_is_no_error() {
    let home = tempfile::tempdir().expect("a folder");
    assert!(Pm2Client::detect(home.path()).expect("no socket").is_none());
    drop(UnixListener::bind(home.path().join("rpc.sock")).expect("a socket"));
    assert!(Pm2Client::detect(home.path()).expect("a dead socket").is_none());
    assert!(Pm2Client::detect(&home.path().join("x".repeat(200))).expect("a path too long").is_none());
}

#[test]
fn a_daemon_that_hangs_up_is_none() {
    let home = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(home.path().join("rpc.sock")).expect("a socket");
    let ending = thread::spawn(move || drop(listener.accept().expect("a client")));
    assert!(Pm2Client::detect(home.path()).expect("a daemon that ends").is_none());
    ending.join().expect("it ends");
}

#[test]
fn a_daemon_is_known_by_its_version() {
    let home = tempfile::tempdir().expect("a folder");
    let pm2 = daemon(home.path(), |_, _| Some(json!({"args": ["7.0.4"]})));
    assert_eq!(Pm2Client::detect(home.path()).expect("an answer").as_deref(), Some("7.0.4"));
    assert_eq!(pm2.join().expect("it ends"), ["getVersion {}"]);
}

#[test]
fn a_list_is_taken_over_and_the_daemon_ended() {
    let home = tempfile::tempdir().expect("a folder");
    let pm2 = daemon(home.path(), |method, argument| match method {
        "getMonitorData" => Some(json!({"args": [[
            {"pid": 1, "name": "a", "pm_id": 3, "pm2_env": {"name": "a", "pm_exec_path": "/a.js", "pm_cwd": "/", "pm_id": 3}},
            {"name": "m", "pm_id": 4, "pm2_env": {"name": "m", "pmx_module": true, "pm_id": 4}},
        ]]})),
        "deleteProcessId" => Some(json!({"args": [{"pm_id": argument}]})),
        _ => None,
    });
    let mut client = Pm2Client::connect(home.path()).expect("a socket").expect("a daemon");
    let slots = dump::from_records(&client.records().expect("a list")).expect("records");
    assert_eq!(slots.iter().map(|slot| slot.spec.name.as_str()).collect::<Vec<_>>(), ["a"]);
    client.end().expect("it ends");
    assert_eq!(
        pm2.join().expect("it ends"),
        [
            "getMonitorData {}",
            "notifyKillPM2 {}",
            "getMonitorData {}",
            "deleteProcessId 3",
            "deleteProcessId 4",
            "killMe {}",
        ]
    );
}

#[test]
fn a_refusal_and_nonsense_are_errors() {
    let home = tempfile::tempdir().expect("a folder");
    let pm2 = daemon(home.path(), |_, _| Some(json!({"error": "3 : id unknown", "stack": "at"})));
    let error = Pm2Client::detect(home.path()).expect_err("refused");
    assert_eq!(error.to_string(), "the PM2 daemon refused getVersion: 3 : id unknown");
    pm2.join().expect("it ends");

    let home = tempfile::tempdir().expect("a folder");
    let pm2 = daemon(home.path(), |_, _| Some(json!({"args": [{"not": "a version"}]})));
    assert!(matches!(Pm2Client::detect(home.path()), Err(Pm2Error::Answer)));
    pm2.join().expect("it ends");
}
