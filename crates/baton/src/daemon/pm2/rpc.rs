//! What PM2's client asks, and the requests of our own that answer it.

use super::broadcast::Bus;
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
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The version of PM2 that we answer as. Its command line compares it with its own.
const VERSION: &str = "7.0.4";
/// How long a client may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Methods that are here.
const PRESENT: &[&str] =
    &["getMonitorData", "getSystemData", "getVersion", "msgProcess", "ping", "sendDataToProcessId", "sendLineToStdin"];
/// Methods of PM2 that are not.
const ABSENT: &[&str] = &[
    "deleteProcessId",
    "duplicateProcessId",
    "getReport",
    "killMe",
    "monitor",
    "notifyByProcessId",
    "notifyKillPM2",
    "prepare",
    "profileCPU",
    "profileMEM",
    "reloadLogs",
    "reloadProcessId",
    "resetMetaProcessId",
    "restartProcessId",
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

/// Answers one client until it is gone.
pub(super) fn serve(mut stream: UnixStream, home: &Home, bus: &Bus) {
    if stream.set_write_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let mut decoder = Decoder::default();
    let mut bytes = [0; 16 * 1024];
    loop {
        loop {
            let message = match decoder.next_message() {
                Ok(Some(message)) => message,
                Ok(None) => break,
                // No client of PM2's.
                Err(_) => return,
            };
            let [Argument::Json(body), .., of] = message.as_slice() else { return };
            let answer = encode(&[Argument::Json(answer(body, home, bus)), of.clone()]);
            let Ok(answer) = answer else { return };
            if stream.write_all(&answer).is_err() {
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

fn answer(body: &Value, home: &Home, bus: &Bus) -> Value {
    if body["type"] == "methods" {
        let of = |name: &&str| ((*name).to_owned(), json!({ "name": name, "params": ["arg", "cb"] }));
        return json!({ "methods": PRESENT.iter().map(of).collect::<Map<_, _>>() });
    }
    let Some(method) = body["method"].as_str() else { return json!({ "error": ".method required" }) };
    let argument = body["args"].get(0).unwrap_or(&Value::Null);
    match call(method, argument, home, bus) {
        Ok(value) => json!({ "args": [value] }),
        Err(text) => json!({ "error": text }),
    }
}

fn call(method: &str, argument: &Value, home: &Home, bus: &Bus) -> Result<Value, String> {
    match method {
        "ping" => Ok(json!({ "msg": "pong" })),
        "getVersion" => Ok(VERSION.into()),
        "getSystemData" => Ok(json!({})),
        "getMonitorData" => list(home),
        "msgProcess" => {
            // Who listens already is to hear the answers.
            bus.settle();
            trigger(argument, home)
        }
        "sendDataToProcessId" => {
            bus.settle();
            send(argument, home)
        }
        "sendLineToStdin" => write_line(argument, home),
        method if ABSENT.contains(&method) => {
            Err(format!("`{method}` is not available yet on baton's PM2 socket: use baton's command line"))
        }
        method => Err(format!("method \"{method}\" does not exist")),
    }
}

fn ask(client: &mut Client, request: Request) -> Result<Reply, String> {
    match client.call(request).map_err(|error| error.to_string())? {
        Reply::Refused(Refusal::System(text)) => Err(text),
        Reply::Refused(refusal) => Err(refusal.to_string()),
        reply => Ok(reply),
    }
}

fn client(home: &Home) -> Result<Client, String> {
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
fn number(given: &Value) -> Result<InstanceId, String> {
    let number = given.as_u64().or_else(|| given.as_str()?.parse().ok());
    let id = number.and_then(|number| u32::try_from(number).ok()).map(InstanceId);
    id.ok_or_else(|| format!("Process with ID <{given}> unknown."))
}
