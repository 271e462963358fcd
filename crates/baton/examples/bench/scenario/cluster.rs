//! Requests to two workers of one Node program: under baton with each way to spread connections, under PM2 in cluster mode,
//! and under Node's own `cluster` module without a manager.

use crate::bench::Bench;
use crate::client::{Connections, Seen, ask_for, once};
use crate::failure::Failure;
use crate::manager::{Manager, tool};
use crate::proc::quiet;
use crate::row::{Row, Samples, Target, Unit};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Workers of the app.
const WORKERS: usize = 2;
/// How long each manager is measured in a round.
const TIME: Duration = Duration::from_secs(2);
/// How long until the app answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long until all its workers do.
const OTHERS: Duration = Duration::from_secs(5);
/// How many milliseconds a worker is blocked, and how often while it is measured.
const BLOCKED: (u32, u32) = (700, 2);
/// How far apart the workers' parts may be (%).
const SPREAD: f64 = 15.0;

const SERVER: &str = r"
const { createServer } = require('node:http')
createServer((request, response) => {
  if (request.url.startsWith('/block/')) {
    const end = Date.now() + Number(request.url.slice(7))
    while (Date.now() < end);
  }
  response.end(`${process.pid} ${request.url}`)
}).listen(Number(process.env.PORT))
";

const PRIMARY: &str = r"
const cluster = require('node:cluster')
cluster.setupPrimary({ exec: process.argv[2] })
for (let count = 0; count < Number(process.argv[3]); count++) cluster.fork()
process.stdin.on('close', () => process.exit()).resume()
";

/// What is measured.
struct Case {
    what: &'static str,
    balance: &'static str,
    connections: Connections,
    blocks: bool,
    /// Requests in a second.
    rate: Target,
    /// Processor time of the daemon for each.
    processor: Target,
    spread: Target,
}

const CASES: [Case; 5] = [
    Case {
        what: "`rr`, short connections",
        balance: "rr",
        connections: Connections::Short,
        blocks: false,
        rate: Target::Times(1.4),
        processor: Target::Part(2.0),
        spread: Target::Most(SPREAD),
    },
    Case {
        what: "`shared`, short connections",
        balance: "shared",
        connections: Connections::Short,
        blocks: false,
        rate: Target::Times(1.8),
        processor: Target::Part(2.0),
        spread: Target::Most(SPREAD),
    },
    Case {
        what: "`reuseport`, short connections",
        balance: "reuseport",
        connections: Connections::Short,
        blocks: false,
        rate: Target::Times(1.8),
        processor: Target::Part(2.0),
        spread: Target::Most(SPREAD),
    },
    Case {
        what: "`rr`, kept connections",
        balance: "rr",
        connections: Connections::Kept,
        blocks: false,
        rate: Target::Times(1.0),
        processor: Target::None,
        spread: Target::Most(SPREAD),
    },
    Case {
        what: "`rr`, short connections, a worker blocked for 700 ms twice",
        balance: "rr",
        connections: Connections::Short,
        blocks: true,
        rate: Target::Times(1.0),
        processor: Target::None,
        spread: Target::None,
    },
];

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let managers = bench.managers()?;
    let alone = Alone::start(&managers[0])?;
    let mut rows = Vec::new();
    let mut lost = vec![Samples::default(); managers.len()];
    for case in &CASES {
        let ports = managers.iter().map(|manager| start(manager, case)).collect::<Result<Vec<u16>, _>>()?;
        let mut others = vec![Others::default(); managers.len()];
        let (mut floor_rate, mut floor_late) = (Samples::default(), Samples::default());
        let rates = bench.in_turn(bench.runs, |index, _| {
            let daemon = managers[index].daemon()?;
            let before = daemon.processor()?;
            let seen = measure(ports[index], case)?;
            let used = daemon.processor()?.saturating_sub(before);
            others[index].add(&seen, used);
            lost[index].add(seen.lost as f64);
            if index == 0 {
                let seen = measure(alone.port, case)?;
                floor_rate.add(rate(&seen));
                floor_late.add(late(&seen));
            }
            Ok(rate(&seen))
        })?;
        let of = |one: fn(&Others) -> &Samples| others.iter().map(|others| one(others).clone()).collect();
        let row = |what: &str, unit, samples, target| Row::new(format!("{}{what}", case.what), unit, samples, target);
        rows.push(row("", Unit::RequestsPerSecond, rates, case.rate).above(floor_rate));
        if !case.blocks {
            let late = of(|others| &others.late);
            rows.push(row(": p99", Unit::Milliseconds, late, Target::Part(1.0)).above(floor_late));
            let spread = of(|others| &others.spread);
            rows.push(row(": busiest worker above the other", Unit::Percent, spread, case.spread));
        }
        if case.connections == Connections::Short && !case.blocks {
            let used = of(|others| &others.used);
            rows.push(row(": daemon, for each", Unit::ProcessorPerConnection, used, case.processor));
        }
        for manager in &managers {
            manager.run(["delete", "web"])?;
        }
    }
    alone.end()?;
    for manager in managers {
        manager.end()?;
    }
    rows.push(Row::new("requests lost in all of these", Unit::Requests, lost, Target::Zero));
    Ok(rows)
}

fn measure(port: u16, case: &Case) -> Result<Seen, Failure> {
    ask_for(TIME, port, case.connections, || {
        let (milliseconds, times) = BLOCKED;
        for _ in (0..times).filter(|_| case.blocks) {
            quiet(Duration::from_millis(100))?;
            let path = format!("/block/{milliseconds}");
            once(port, &path).map_err(Failure::system("having a worker blocked"))?;
        }
        Ok(())
    })
}

fn rate(seen: &Seen) -> f64 {
    seen.took.len() as f64 / TIME.as_secs_f64()
}

/// What 99 of 100 answers took at most, in milliseconds.
fn late(seen: &Seen) -> f64 {
    let mut took = seen.took.clone();
    took.sort_unstable();
    took.get(took.len() * 99 / 100).map_or(0.0, |took| super::milliseconds(*took))
}

/// What is seen beside the requests in a second.
#[derive(Clone, Default)]
struct Others {
    late: Samples,
    spread: Samples,
    used: Samples,
}

impl Others {
    fn add(&mut self, seen: &Seen, used: Duration) {
        let all = seen.took.len().max(1) as f64;
        let most = seen.by.values().max().copied().unwrap_or(0);
        let least = if seen.by.len() < WORKERS { 0 } else { seen.by.values().min().copied().unwrap_or(0) };
        self.late.add(late(seen));
        self.spread.add((most - least) as f64 / (all / WORKERS as f64) * 100.0);
        self.used.add(used.as_secs_f64() * 1e6 / all);
    }
}

/// Starts the app and waits until all its workers answer.
fn start(manager: &Manager<'_>, case: &Case) -> Result<u16, Failure> {
    let port = free()?;
    let script = manager.file("server.cjs", SERVER)?;
    let mut app = json!({ "name": "web", "script": script, "instances": WORKERS, "exec_mode": "cluster", "env": { "PORT": port } });
    if let (Value::Object(app), true) = (&mut app, manager.is_baton()) {
        app.insert("balance".into(), case.balance.into());
    }
    let file = manager.file("ecosystem.json", json!({ "apps": [app] }).to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    answers(port)?;
    Ok(port)
}

fn free() -> Result<u16, Failure> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(free.map_err(Failure::system("finding a free port"))?.port())
}

/// Waits until the app answers, and then for its other workers, though not for long: where workers accept themselves one
/// may be quicker each time.
fn answers(port: u16) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut seen = BTreeSet::new();
    loop {
        match once(port, "/first") {
            Ok(who) => drop(seen.insert(who)),
            Err(error) if begin.elapsed() > PATIENCE => {
                return Err(Failure::system("asking the app for the first time")(error));
            }
            Err(_) => {}
        }
        if seen.len() == WORKERS || (!seen.is_empty() && begin.elapsed() > OTHERS) {
            return Ok(());
        }
        quiet(Duration::from_millis(10))?;
    }
}

/// The same program under Node's own primary.
struct Alone {
    child: Child,
    port: u16,
}

impl Alone {
    fn start(manager: &Manager<'_>) -> Result<Alone, Failure> {
        let port = free()?;
        let script = manager.file("server.cjs", SERVER)?;
        let primary = manager.file("primary.cjs", PRIMARY)?;
        let mut command = tool(Path::new("node"));
        command.arg(primary).arg(script).arg(WORKERS.to_string()).env("PORT", port.to_string()).stdin(Stdio::piped());
        let child = command.spawn().map_err(Failure::system("starting node"))?;
        let alone = Alone { child, port };
        answers(port)?;
        Ok(alone)
    }

    /// Ends it: it does so when nobody can tell it anything any more.
    fn end(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        self.child.wait().map(drop).map_err(Failure::system("waiting for node"))
    }
}
