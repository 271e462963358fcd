//! What a frame says, and the frames that we send.

use crate::told::OURS;
use serde_json::{Map, Value, json};

/// What a frame of a child says.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Something that its program sent by `process.send`.
    Program(Value),
    /// A descriptor goes with it; the child waits for an acknowledgement before it sends another.
    WithHandle(Value),
    /// It has taken the descriptor that we sent.
    Acknowledged,
    /// The descriptor that we sent did not reach it; the message was not looked at.
    NotAcknowledged,
    /// Something for the primary of its cluster.
    Cluster(Map<String, Value>),
    /// Something that our own module, which is loaded before the program, has to say.
    Module(Value),
    /// Something of Node's own that means nothing here.
    Internal,
}

/// Tells what a message is. One is Node's own when it is an object whose `cmd` begins with `NODE_`.
pub fn classify(value: Value) -> Incoming {
    let Value::Object(map) = value else { return Incoming::Program(value) };
    match map.get("cmd").and_then(Value::as_str) {
        Some(OURS) => Incoming::Module(Value::Object(map)),
        Some("NODE_CLUSTER") => Incoming::Cluster(map),
        Some("NODE_HANDLE_ACK") => Incoming::Acknowledged,
        Some("NODE_HANDLE_NACK") => Incoming::NotAcknowledged,
        Some("NODE_HANDLE") => Incoming::WithHandle(map.get("msg").cloned().unwrap_or(Value::Null)),
        Some(cmd) if cmd.len() > "NODE_".len() && cmd.starts_with("NODE_") => Incoming::Internal,
        Some(_) | None => Incoming::Program(Value::Object(map)),
    }
}

/// Tells a child that its descriptor has come.
pub fn acknowledge() -> Value {
    json!({ "cmd": "NODE_HANDLE_ACK" })
}

/// A message that a descriptor goes with. `kind` is `net.Native` or `dgram.Native`.
pub fn with_handle(kind: &str, message: Value) -> Value {
    json!({ "cmd": "NODE_HANDLE", "type": kind, "msg": message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_may_send_anything_that_is_not_nodes() {
        for mine in [json!("ready"), json!({ "cmd": "restart" }), json!({ "cmd": "NODE_" }), json!([1]), json!(null)] {
            assert_eq!(classify(mine.clone()), Incoming::Program(mine));
        }
        assert_eq!(classify(json!({ "cmd": "NODE_OTHER" })), Incoming::Internal);
        let ours = json!({ "cmd": "NODE_BATON", "type": "axm:monitor" });
        assert_eq!(classify(ours.clone()), Incoming::Module(ours));
        assert!(matches!(classify(json!({ "cmd": "NODE_CLUSTER", "act": "online" })), Incoming::Cluster(_)));
        let sent = with_handle("net.Native", json!({ "a": 1 }));
        assert_eq!(classify(sent), Incoming::WithHandle(json!({ "a": 1 })));
        assert_eq!(classify(acknowledge()), Incoming::Acknowledged);
    }
}
