//! What programs say, as PM2's bus has it.

use baton_core::proto::ProgramMessage;
use baton_core::spec::truthy;
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
