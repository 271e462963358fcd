//! What a worker asks for when its program calls `listen` or `bind`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Backlog where the program gives none, as in Node.
const DEFAULT_BACKLOG: u32 = 511;

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressType {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// A unix stream socket; the address is its path.
    Unix,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
}

impl AddressType {
    fn read(value: Option<&Value>) -> Option<AddressType> {
        match value? {
            Value::String(text) if text == "udp4" => Some(AddressType::Udp4),
            Value::String(text) if text == "udp6" => Some(AddressType::Udp6),
            number => match number.as_i64()? {
                4 => Some(AddressType::Tcp4),
                6 => Some(AddressType::Tcp6),
                -1 => Some(AddressType::Unix),
                _ => None,
            },
        }
    }

    /// Whether it takes datagrams, so that there are no connections to deal out.
    pub fn is_datagram(self) -> bool {
        matches!(self, AddressType::Udp4 | AddressType::Udp6)
    }
}

/// A socket that a worker wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Query {
    /// The address or path; `None`: all addresses.
    pub address: Option<String>,
    /// The port, 0 for any free one. Nothing of the kind for a path.
    pub port: u16,
    /// What kind of socket.
    pub kind: AddressType,
    /// libuv's flags: 1 for IPv6 only, 4 for UDP's reuse of the address.
    pub flags: u32,
    /// How many connections may wait.
    pub backlog: u32,
    /// Distinguishes sockets of one program on port 0.
    pub index: i64,
    /// Whether everybody may read from the path.
    pub readable_all: bool,
    /// Whether everybody may write to it.
    pub writable_all: bool,
}

impl Query {
    /// Reads a `queryServer` or `listening` message; `None` when it is none, or names a descriptor, which a worker can't
    /// have from us.
    pub fn read(message: &Map<String, Value>) -> Option<Query> {
        let number = |key: &str| message.get(key).and_then(Value::as_i64);
        let yes = |key: &str| message.get(key).and_then(Value::as_bool).unwrap_or(false);
        if number("fd").is_some_and(|fd| fd >= 0) {
            return None;
        }
        let kind = AddressType::read(message.get("addressType"))?;
        let port = if kind == AddressType::Unix { 0 } else { u16::try_from(number("port").unwrap_or(0)).ok()? };
        let backlog = number("backlog").and_then(|backlog| u32::try_from(backlog).ok()).filter(|backlog| *backlog > 0);
        Some(Query {
            address: message.get("address").and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned),
            port,
            kind,
            flags: number("flags").and_then(|flags| u32::try_from(flags).ok()).unwrap_or(0),
            backlog: backlog.unwrap_or(DEFAULT_BACKLOG),
            index: number("index").unwrap_or(0),
            readable_all: yes("readableAll"),
            writable_all: yes("writableAll"),
        })
    }

    /// Names the socket among those of its cluster. Workers that ask for the same get the same, and a program that
    /// closes it and asks again gets it again; only on port 0 is each call one of its own.
    pub fn key(&self) -> String {
        let address = self.address.as_deref().unwrap_or("*");
        let kind = match self.kind {
            AddressType::Tcp4 => "tcp4",
            AddressType::Tcp6 => "tcp6",
            AddressType::Unix => "unix",
            AddressType::Udp4 => "udp4",
            AddressType::Udp6 => "udp6",
        };
        let index =
            if self.port == 0 && self.kind != AddressType::Unix { format!("#{}", self.index) } else { String::new() };
        format!("{kind}:{address}:{}{index}", self.port)
    }
}
