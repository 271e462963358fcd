//! Reloads of a Node server under load, and the requests that they cost: baton holds the socket (`listen`), PM2 runs the same
//! program in cluster mode. The program drains on the signal and tells when it is ready; clients look at every answer, and
//! an answer that does not come in time is a lost one.

use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::row::{Row, Samples, Target, Unit};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Reloads in each round.
const RELOADS: u32 = 10;
/// Clients that ask without a pause, each over a new connection for each request.
const CLIENTS: usize = 4;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Instances of the app.
const INSTANCES: u32 = 2;

const SERVER: &str = r"
const { createServer } = require('node:http')
const net = require('node:net')
let draining = false
const server = createServer((request, response) => {
  if (draining) response.setHeader('Connection', 'close')
  response.end(request.url)
})
server.listen(process.env.LISTEN_FDS ? { fd: 3 } : Number(process.env.PORT), () => process.send('ready'))
process.on('SIGINT', () => {
  draining = true
  net.Server.prototype.close.call(server)
  setTimeout(() => process.exit(0), 300)
})
";

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let ports = managers.iter().map(start).collect::<Result<Vec<u16>, _>>()?;
    let mut took = vec![Samples::default(); managers.len()];
    let lost = bench.in_turn(bench.runs, |index, _| {
        let begin = Instant::now();
        let lost = reload(&managers[index], ports[index])?;
        took[index].add(begin.elapsed().as_secs_f64() * 1000.0 / f64::from(RELOADS));
        Ok(f64::from(lost))
    })?;
    for manager in managers {
        manager.end()?;
    }
    let what = format!("requests lost in {RELOADS} reloads of {INSTANCES} Node instances, short connections");
    Ok(vec![
        Row::new(what, Unit::Requests, lost, Target::Zero),
        Row::new("one such reload", Unit::Milliseconds, took, Target::None),
    ])
}

/// Starts the app and waits until it answers.
fn start(manager: &Manager<'_>) -> Result<u16, Failure> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = free.map_err(Failure::system("finding a free port"))?.port();
    let script = manager.file("server.cjs", SERVER)?;
    let mut app = json!({ "name": "web", "script": script, "instances": INSTANCES, "kill_timeout": 5000,
        "wait_ready": true, "listen_timeout": 10_000 });
    let own = if manager.is_baton() {
        json!({ "exec_mode": "fork", "listen": format!("127.0.0.1:{port}") })
    } else {
        json!({ "exec_mode": "cluster", "env": { "PORT": port } })
    };
    if let (Value::Object(app), Value::Object(own)) = (&mut app, own) {
        app.extend(own);
    }
    let file = manager.file("ecosystem.json", json!({ "apps": [app] }).to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    let begin = Instant::now();
    while let Err(error) = ask(port, "/first") {
        if begin.elapsed() > PATIENCE {
            return Err(Failure::system("asking the app for the first time")(error));
        }
    }
    Ok(port)
}

/// Reloads under load; how many requests were lost.
fn reload(manager: &Manager<'_>, port: u16) -> Result<u32, Failure> {
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let end = &end;
                    move || client(port, number, end)
                })
            })
            .collect();
        let result = (0..RELOADS).try_for_each(|_| manager.run(["reload", "web"]).map(drop));
        end.store(true, Ordering::Relaxed);
        let lost = clients.into_iter().map(|client| client.join().unwrap_or(u32::MAX)).fold(0, u32::saturating_add);
        result.map(|()| lost)
    })
}

fn client(port: u16, number: usize, end: &AtomicBool) -> u32 {
    let mut lost = 0;
    for count in 0_u64.. {
        if end.load(Ordering::Relaxed) {
            break;
        }
        lost += u32::from(ask(port, &format!("/{number}/{count}")).is_err());
    }
    lost
}

/// One request over a connection of its own; its answer is its path.
fn ask(port: u16, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let good = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(path);
    if good { Ok(()) } else { Err(io::Error::other("not the answer")) }
}
