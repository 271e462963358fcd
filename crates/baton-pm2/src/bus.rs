//! What PM2's bus says: topics and packets.

use crate::record::{self, Host};
use baton_core::proto::{LineStream, LogLine, ProgramMessage};
use baton_core::spec::truthy;
use baton_core::units::WallTime;
use baton_core::world::{Cause, InstanceView, Status, Verb};
use serde_json::{Value, json};

/// Topic and payload. A message with `type` and `data` goes under its type; any other whole, as `process:msg`.
pub fn packet(said: &ProgramMessage) -> (String, Value) {
    let process = json!({ "pm_id": said.id, "name": said.name, "namespace": said.namespace });
    let topic = said.message.get("type").and_then(Value::as_str).filter(|topic| !topic.is_empty());
    match (topic, said.message.get("data").filter(|data| truthy(data))) {
        (Some(topic), Some(data)) => (topic.into(), json!({ "at": said.at, "data": data, "process": process })),
        _ => ("process:msg".into(), json!({ "at": said.at, "raw": said.message, "process": process })),
    }
}

/// A line of a log, as it stands in the file.
pub fn line(line: &LogLine, namespace: &str) -> (String, Value) {
    let topic = match line.stream {
        LineStream::Out => "log:out",
        LineStream::Err => "log:err",
    };
    let process = json!({ "pm_id": line.id, "name": line.app, "rev": null, "namespace": namespace });
    let data = if line.whole { format!("{}\n", line.text) } else { line.text.clone() };
    (topic.into(), json!({ "process": process, "at": line.at, "data": data }))
}

/// What the daemon itself has written, as PM2 tells it: as if an app of that name had.
pub fn journal(text: &str, at: WallTime) -> (String, Value) {
    let process = json!({ "pm_id": "PM2", "name": "PM2", "rev": null });
    ("log:PM2".into(), json!({ "process": process, "at": at, "data": format!("{text}\n") }))
}

/// Something that happened to a process, with its record.
pub fn event(event: Event, view: &InstanceView, host: Host<'_>, at: WallTime) -> (String, Value) {
    let mut process = record::pm2_env(view, host);
    process.remove("env");
    let manually = matches!(event, Event::Start | Event::Stop | Event::Restart | Event::Reload);
    let packet = json!({ "event": event.as_str(), "manually": manually, "process": process, "at": at });
    ("process:event".into(), packet)
}

/// The daemon ends and takes its apps with it, or not.
pub fn kill(by_command: bool) -> (String, Value) {
    let by = if by_command { "via CLI" } else { "by SIGNAL" };
    ("pm2:kill".into(), json!({ "status": "killed", "msg": format!("pm2 has been killed {by}") }))
}

/// What can happen to a process, in PM2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It runs.
    Online,
    /// It has ended.
    Exit,
    /// It ends again and again, and was given up.
    RestartOverlimit,
    /// It was new, and runs.
    Start,
    /// Someone has ended it.
    Stop,
    /// Someone had it run again.
    Restart,
    /// Someone had it replaced without a gap.
    Reload,
}

impl Event {
    /// PM2's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Online => "online",
            Event::Exit => "exit",
            Event::RestartOverlimit => "restart overlimit",
            Event::Start => "start",
            Event::Stop => "stop",
            Event::Restart => "restart",
            Event::Reload => "reload",
        }
    }
}

/// What is known of one slot by those who tell its events.
#[derive(Clone, Debug)]
pub struct Seen {
    /// As it was shown last.
    pub view: InstanceView,
    /// What was asked for and has not come yet.
    asked: Option<Event>,
}

impl Seen {
    /// A slot that was there before anybody listened.
    pub fn present(view: InstanceView) -> Seen {
        Seen { view, asked: None }
    }

    /// A slot that has come.
    pub fn new(mut view: InstanceView) -> (Seen, Vec<Event>) {
        let now = view.clone();
        (view.status, view.pid) = (Status::Stopped, None);
        let mut seen = Seen { view, asked: Some(Event::Start) };
        let events = seen.change(now);
        (seen, events)
    }

    /// What has happened since it was shown last.
    pub fn change(&mut self, now: InstanceView) -> Vec<Event> {
        let before = std::mem::replace(&mut self.view, now);
        let now = &self.view;
        let mut events = Vec::new();
        if now.status == Status::Errored && before.status != Status::Errored {
            events.push(Event::RestartOverlimit);
        }
        if before.pid.is_some() && before.pid != now.pid {
            events.push(Event::Exit);
        }
        // What is new is started, whoever asks for what meanwhile.
        if let (Some(last), false) = (&now.last, self.asked == Some(Event::Start))
            && now.last != before.last
            && let Cause::Operator(verb) = &last.cause
        {
            self.asked = match verb {
                Verb::Stop => Some(Event::Stop),
                Verb::Start | Verb::Restart => Some(Event::Restart),
                Verb::Reload => Some(Event::Reload),
                Verb::Delete | Verb::Run | Verb::Kill => None,
            };
        }
        let is_new_life = before.status != Status::Online || before.pid != now.pid;
        let come = match now.status {
            Status::Online if is_new_life => {
                events.push(Event::Online);
                self.asked.take_if(|asked| *asked != Event::Stop)
            }
            Status::Stopped if before.status != Status::Stopped => self.asked.take_if(|asked| *asked == Event::Stop),
            _ => None,
        };
        events.extend(come);
        events
    }

    /// What has happened to a slot that is gone.
    pub fn leave(mut self) -> (InstanceView, Vec<Event>) {
        let ran = self.view.pid.take().is_some();
        self.view.status = Status::Stopped;
        (self.view, ran.then_some(Event::Exit).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::units::{InstanceId, WallTime};

    #[test]
    fn a_message_goes_under_its_type_or_whole() {
        let packet = |message: Value| {
            let (id, at) = (InstanceId(3), WallTime(5));
            packet(&ProgramMessage { id, name: "a".into(), namespace: "n".into(), at, message })
        };
        let process = json!({ "pm_id": 3, "name": "a", "namespace": "n" });
        let typed = packet(json!({ "type": "human:event", "data": { "x": 1 } }));
        assert_eq!(typed, ("human:event".into(), json!({ "at": 5, "data": { "x": 1 }, "process": process })));
        for raw in [json!("ready"), json!({ "type": "t" }), json!({ "type": "t", "data": 0 }), json!({ "data": 1 })] {
            assert_eq!(packet(raw.clone()), ("process:msg".into(), json!({ "at": 5, "raw": raw, "process": process })));
        }
    }
}
