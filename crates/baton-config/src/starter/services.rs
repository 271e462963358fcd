//! The usual databases: the port they listen on, and how one sees that they answer.

use super::External;
use serde_json::Map;
use std::collections::BTreeMap;

/// A database that apps depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// MongoDB.
    Mongodb,
    /// Chroma.
    Chromadb,
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgres,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Service::Mongodb => "mongodb",
            Service::Chromadb => "chromadb",
            Service::Redis => "redis",
            Service::Postgres => "postgres",
        }
    }

    /// The port that it listens on where nobody says otherwise.
    fn port(self) -> u16 {
        match self {
            Service::Mongodb => 27017,
            Service::Chromadb => 8000,
            Service::Redis => 6379,
            Service::Postgres => 5432,
        }
    }

    /// The command that runs it when no compose file does.
    fn container(self, port: u16) -> String {
        let (inside, name) = (self.port(), self.name());
        let image = match self {
            Service::Mongodb => "mongo:7",
            Service::Chromadb => "chromadb/chroma",
            Service::Redis => "redis:7",
            Service::Postgres => "-e POSTGRES_HOST_AUTH_METHOD=trust postgres:16",
        };
        format!("docker run -d --name {name} -p 127.0.0.1:{port}:{inside} {image}")
    }

    /// It as something that a process file waits for. Where a compose file publishes its port, that is used.
    pub(super) fn external(self, published: &BTreeMap<u16, (u16, String)>) -> External {
        let composed = published.get(&self.port());
        let port = composed.map_or(self.port(), |(here, _)| *here);
        let command =
            composed.map_or_else(|| self.container(port), |(_, service)| format!("docker compose up -d {service}"));
        let mut keys = Map::new();
        match self {
            // It listens before it can answer; its own page says when it can.
            Service::Chromadb => keys.insert("http".into(), format!("http://127.0.0.1:{port}/api/v2/heartbeat").into()),
            _ => keys.insert("tcp".into(), format!("127.0.0.1:{port}").into()),
        };
        keys.insert("hint".into(), command.clone().into());
        keys.insert("start".into(), command.into());
        keys.insert("timeout".into(), "30s".into());
        External { comment: format!("ready when it answers on port {port}"), name: self.name().into(), keys }
    }
}
