//! What PM2's client asks, and the requests of our own that answer it.

use super::Ours;
use super::methods::Asked;
use crate::client::{Client, ClientError};
use crate::home::Home;
use crate::input::Input;
use baton_core::proto::{ActionRefusal, List, Refusal, Reply, Request};
use baton_core::select::Selector;
use baton_core::units::InstanceId;
use baton_core::world::Detail;
use baton_pm2::amp::{Argument, Decoder, encode};
use baton_pm2::record::{self, Host};
use baton_pm2::version::nearest;
use rustix::net::sockopt::socket_peercred;
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The version of PM2 that we answer as. Its command line compares it with its own.
const VERSION: &str = "7.0.4";
/// How long a client may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Methods that are here.
const PRESENT: &[&str] = &[
    "deleteProcessId",
    "duplicateProcessId",
    "getMonitorData",
    "getReport",
    "getSystemData",
    "getVersion",
    "killMe",
    "monitor",
    "msgProcess",
    "notifyByProcessId",
    "notifyKillPM2",
    "ping",
    "prepare",
    "reloadLogs",
    "reloadProcessId",
    "resetMetaProcessId",
    "restartProcessId",
    "sendDataToProcessId",
    "sendLineToStdin",
    "sendSignalToProcessId",
    "sendSignalToProcessName",
    "softReloadProcessId",
    "startProcessId",
    "startWatch",
    "stopProcessId",
    "stopWatch",
    "toggleWatch",
    "unmonitor",
];
/// Methods of PM2 that are not.
const ABSENT: &[&str] = &["profileCPU", "profileMEM"];
/// Methods that may wait for an app; what is asked after them is answered meanwhile.
const SLOW: &[&str] = &[
    "deleteProcessId",
    "duplicateProcessId",
    "killMe",
    "prepare",
    "reloadProcessId",
    "restartProcessId",
    "sendLineToStdin",
    "softReloadProcessId",
    "startProcessId",
    "stopProcessId",
];
/// Slow methods of one client that may be under way; with more, it waits.
const UNDER_WAY: usize = 16;

/// What a method gives.
pub(super) enum Answer {
    /// A value.
    Value(Value),
    /// That it is done.
    Done,
    /// Nothing at all.
    Silence,
}

/// Answers one client until it is gone.
pub(super) fn serve(mut stream: UnixStream, home: &Home, ours: &Ours) {
    if stream.set_write_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let Ok(answers) = stream.try_clone().map(|stream| Arc::new(Mutex::new(stream))) else { return };
    let mut decoder = Decoder::default();
    let mut bytes = [0; 16 * 1024];
    loop {
        loop {
            let mut message = match decoder.next_message() {
                Ok(Some(message)) => message,
                Ok(None) => break,
                // No client of PM2's.
                Err(_) => return,
            };
            let Some(of) = message.pop() else { return };
            let Some(Argument::Json(body)) = message.into_iter().next() else { return };
            let slow = body["method"].as_str().is_some_and(|method| SLOW.contains(&method));
            let asked = Asking { body, of, answers: Arc::clone(&answers) };
            let means = Means { home: home.clone(), ours: ours.clone(), peer: peer(&stream), sent: None };
            if slow && Arc::strong_count(&answers) <= UNDER_WAY {
                let (sending, sent) = channel();
                let means = Means { sent: Some(sending), ..means };
                let thread = thread::Builder::new().name("pm2-call".into());
                if thread.spawn(move || asked.answer(means)).is_err() {
                    return;
                }
                // Nothing is ever sent: the other end goes.
                let _ = sent.recv();
            } else if !asked.answer(means) {
                return;
            }
        }
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => decoder.push(&bytes[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// The process at the other end.
fn peer(stream: &UnixStream) -> Option<u32> {
    socket_peercred(stream).ok().and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok())
}

/// One question, and where its answer goes.
struct Asking {
    body: Value,
    of: Argument,
    answers: Arc<Mutex<UnixStream>>,
}

impl Asking {
    /// Says whether the client can be answered further.
    fn answer(self, means: Means) -> bool {
        let Some(answer) = answer(&self.body, means) else { return true };
        let Ok(answer) = encode(&[Argument::Json(answer), self.of]) else { return false };
        let mut stream = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&answer).is_ok()
    }
}

/// What a question is answered with.
struct Means {
    home: Home,
    ours: Ours,
    /// Who asks.
    peer: Option<u32>,
    /// Goes when a command is on its way.
    sent: Option<Sender<()>>,
}

fn answer(body: &Value, means: Means) -> Option<Value> {
    if body["type"] == "methods" {
        let of = |name: &&str| ((*name).to_owned(), json!({ "name": name, "params": ["arg", "cb"] }));
        return Some(json!({ "methods": PRESENT.iter().map(of).collect::<Map<_, _>>() }));
    }
    let Some(method) = body["method"].as_str() else { return Some(json!({ "error": ".method required" })) };
    let args = body["args"].as_array().map_or(&[][..], Vec::as_slice);
    match call(method, args, means) {
        Ok(Answer::Value(value)) => Some(json!({ "args": [value] })),
        Ok(Answer::Done) => Some(json!({ "args": [] })),
        Ok(Answer::Silence) => None,
        Err(text) => Some(json!({ "error": text })),
    }
}

fn call(method: &str, args: &[Value], means: Means) -> Result<Answer, String> {
    let (argument, home) = (args.first().unwrap_or(&Value::Null), &means.home);
    let value = match method {
        "ping" => json!({ "msg": "pong" }),
        "getVersion" => VERSION.into(),
        "getSystemData" => json!({}),
        "getMonitorData" => list(home)?,
        "msgProcess" => {
            // Who listens already is to hear the answers.
            means.ours.bus.settle();
            trigger(argument, home)?
        }
        "sendDataToProcessId" => {
            means.ours.bus.settle();
            send(argument, home)?
        }
        "sendLineToStdin" => write_line(argument, home)?,
        // A notice before everything is deleted: nothing starts again what is being deleted here.
        "notifyKillPM2" => return Ok(Answer::Silence),
        method if ABSENT.contains(&method) => {
            return Err(format!("`{method}` is not available yet on baton's PM2 socket: use baton's command line"));
        }
        method if !PRESENT.contains(&method) => return Err(format!("method \"{method}\" does not exist")),
        method => return act(method, args, means),
    };
    Ok(Answer::Value(value))
}

fn act(method: &str, args: &[Value], Means { home, ours, peer, sent }: Means) -> Result<Answer, String> {
    let argument = args.first().unwrap_or(&Value::Null);
    ours.bus.settle();
    let mut asked = Asked::new(&home, sent)?;
    match method {
        "prepare" => asked.prepare(argument),
        "startProcessId" => asked.start(argument),
        "stopProcessId" => asked.stop(argument),
        "restartProcessId" => asked.restart(argument, false),
        "reloadProcessId" | "softReloadProcessId" => asked.restart(argument, true),
        "deleteProcessId" => asked.delete(argument),
        "duplicateProcessId" => asked.duplicate(argument),
        "resetMetaProcessId" => asked.reset(argument),
        "sendSignalToProcessId" => asked.signal_id(argument),
        "sendSignalToProcessName" => asked.signal_name(argument),
        "startWatch" => asked.watch(args, Some(true)),
        "stopWatch" => asked.watch(args, Some(false)),
        "toggleWatch" => asked.watch(args, None),
        "monitor" | "unmonitor" => asked.monitor(argument),
        "notifyByProcessId" => asked.notify(argument),
        "reloadLogs" => asked.reload_logs(),
        "getReport" => asked.report(VERSION),
        "killMe" => {
            ours.farewells.add(peer);
            asked.kill()?;
            Ok(Answer::Silence)
        }
        method => Err(format!("method \"{method}\" does not exist")),
    }
}

pub(super) fn ask(client: &mut Client, request: Request) -> Result<Reply, String> {
    taken(client.call(request))
}

/// An answer that is no refusal.
pub(super) fn taken(answer: Result<Reply, ClientError>) -> Result<Reply, String> {
    match answer.map_err(|error| error.to_string())? {
        Reply::Refused(Refusal::System(text)) => Err(text),
        Reply::Refused(refusal) => Err(refusal.to_string()),
        reply => Ok(reply),
    }
}

pub(super) fn client(home: &Home) -> Result<Client, String> {
    let connected = Client::connect(home).map_err(ClientError::from);
    connected.map_err(|error| error.to_string())?.ok_or_else(|| "the daemon is ending".into())
}

fn list(home: &Home) -> Result<Value, String> {
    let mut client = client(home)?;
    let usage = ask(&mut client, Request::Usage)?;
    let list = ask(&mut client, Request::List(List { detail: Detail::Definition, ..List::default() }))?;
    let (Reply::Usage(usages), Reply::List(mut listing)) = (usage, list) else {
        return Err("the daemon answered something else".into());
    };
    listing.fill_in(usages);
    let version = |script: &str| nearest(script, |path| std::fs::read_to_string(path).ok());
    let root = home.root().to_string_lossy();
    Ok(record::list(&listing.instances, Host { home: &root, version: &version }))
}

fn trigger(command: &Value, home: &Home) -> Result<Value, String> {
    let target = [&command["id"], &command["name"]].into_iter().find_map(|word| match word {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let target = Selector::new(target.ok_or("method requires name or id field")?);
    let action = command["msg"].as_str().ok_or("msg field is missing")?.to_owned();
    let parameter = Some(command["opts"].clone()).filter(|opts| !opts.is_null());
    // The answers are told on the bus.
    let by_name = command["id"].is_null();
    match client(home)?.call(Request::Trigger { target, action, parameter }).map_err(|error| error.to_string())? {
        Reply::Triggered(count) => Ok(json!({ "process_count": count, "success": true })),
        // For PM2 a name that fits nobody is no error of the method.
        Reply::Refused(Refusal::Action(ActionRefusal::Nobody)) if by_name => {
            Ok(json!({ "process_count": 0, "success": true }))
        }
        Reply::Refused(refusal) => Err(refusal.to_string()),
        _ => Err("the daemon answered something else".into()),
    }
}

fn send(packet: &Value, home: &Home) -> Result<Value, String> {
    let whole = ["id", "topic", "data"].iter().all(|key| !packet[key].is_null());
    if !whole {
        return Err("ID, DATA or TOPIC field is missing".into());
    }
    let id = number(&packet["id"])?;
    ask(&mut client(home)?, Request::Send { id, message: packet.clone() })?;
    Ok(json!({ "success": true, "data": packet }))
}

/// Writes to the standard input of a program: PM2 puts the end of the line there itself.
fn write_line(packet: &Value, home: &Home) -> Result<Value, String> {
    let (id, line) = (number(&packet["pm_id"])?, packet["line"].as_str().ok_or("pmId or line field is missing")?);
    Input::new(home.clone(), id, Some(PATIENCE)).write(line.as_bytes())?;
    Ok(json!({ "pm_id": id, "line": line }))
}

/// The number of a slot, as PM2's clients write it.
pub(super) fn number(given: &Value) -> Result<InstanceId, String> {
    let number = given.as_u64().or_else(|| given.as_str()?.parse().ok());
    let id = number.and_then(|number| u32::try_from(number).ok()).map(InstanceId);
    id.ok_or_else(|| format!("Process with ID <{given}> unknown."))
}
