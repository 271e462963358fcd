//! Commands and definitions by chance: each is made from one number.

use baton_core::proto::{Action, Command, Order as Heed, Patch, Roll, Saved, Scale, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::{
    AppSpec, Condition, Dependency, ExecMode, Health, Listen, Missed, Overlap, Probe, Readiness, ReadyBy, Remedy,
    Schedule, Watch,
};
use baton_core::units::Millis;

fn app(word: u32) -> AppSpec {
    let service = service(word);
    if !(word / 4).is_multiple_of(6) {
        return service;
    }
    let schedule = Schedule {
        cron: ["* * * * *", "@hourly"][(word / 24 % 2) as usize].into(),
        timezone: None,
        overlap: [Overlap::Skip, Overlap::Queue, Overlap::Replace][(word / 48 % 3) as usize],
        jitter: Millis(u64::from(word / 64 % 3) * 400),
        timeout: (word / 16).is_multiple_of(3).then_some(Millis(1_500)),
        missed: if (word / 32).is_multiple_of(2) { Missed::Run } else { Missed::Skip },
    };
    AppSpec {
        schedule: Some(schedule),
        oneshot: false,
        cron_restart: None,
        watch: Watch::All(false),
        exec_mode: ExecMode::Fork,
        ..service
    }
}

fn service(word: u32) -> AppSpec {
    AppSpec {
        name: format!("app{}", word % 3),
        script: format!("/bin/app{}", word % 4),
        autorestart: !word.is_multiple_of(7),
        autostart: !word.is_multiple_of(11),
        treekill: !word.is_multiple_of(5),
        exec_mode: if word.is_multiple_of(2) { ExecMode::Cluster } else { ExecMode::Fork },
        listen: if word.is_multiple_of(3) { vec![listen()] } else { Vec::new() },
        wait_ready: word.is_multiple_of(4),
        listen_timeout: Millis(u64::from(word % 3) * 900),
        ready: if word.is_multiple_of(10) { Some(probe(word / 10)) } else { None },
        health: if word.is_multiple_of(4) { Some(health(word / 4)) } else { None },
        watchdog: if word.is_multiple_of(9) { Some(Millis(2_000)) } else { None },
        watch: Watch::All(word.is_multiple_of(2)),
        watch_delay: Millis(u64::from(word % 3) * 200),
        cron_restart: if word.is_multiple_of(3) { Some("0 * * * *".into()) } else { None },
        max_memory_restart: if word.is_multiple_of(4) { Some(1000) } else { None },
        shutdown_with_message: word.is_multiple_of(17),
        max_restarts: if word.is_multiple_of(3) { Some(word % 4) } else { None },
        restart_delay: Millis(u64::from(word % 4) * 500),
        exp_backoff_restart_delay: Millis(if word.is_multiple_of(6) { 100 } else { 0 }),
        stop_exit_codes: if word.is_multiple_of(13) { vec![0] } else { Vec::new() },
        min_uptime: Millis(u64::from(word % 3) * 1000),
        namespace: format!("unit{}", word / 8 % 3),
        oneshot: word.is_multiple_of(5),
        depends_on: dependencies(word % 3, word / 128),
        ..AppSpec::default()
    }
}

fn roll(word: u32) -> Roll {
    Roll { parallel: 1 + word % 2, overlap: !(word / 2).is_multiple_of(4) }
}

fn listen() -> Listen {
    Listen { name: "http".into(), at: "127.0.0.1:80".into(), reuseport: false }
}

fn health(word: u32) -> Health {
    let action = [Remedy::Restart, Remedy::Stop, Remedy::None][(word % 3) as usize];
    let probe = Probe::Exec("true".into());
    let (interval, start_period) = (Millis(700), Millis(u64::from(word / 3 % 2) * 1500));
    Health { probe, interval, timeout: Millis(500), retries: 1 + word % 2, start_period, action }
}

fn probe(word: u32) -> Readiness {
    let by = if word.is_multiple_of(2) { ReadyBy::Notify } else { ReadyBy::Log("up".into()) };
    Readiness { by, timeout: Millis(1200), interval: Millis(100) }
}

/// Some dependencies of app `number`: mostly on apps of lower numbers, now and then on a unit, on itself, in a circle or
/// on nothing that is there.
fn dependencies(number: u32, word: u32) -> Vec<Dependency> {
    let count = [0, 1, 1, 2][(word % 4) as usize];
    let one = |word: u32| Dependency {
        on: match word % 11 {
            0 => format!("unit{}", word / 11 % 3),
            1 => format!("app{}", word / 11 % 3),
            _ => format!("app{}", word / 11 % number.max(1)),
        },
        condition: match word / 16 % 7 {
            6 => Condition::Healthy,
            0 | 1 => Condition::Started,
            2 | 3 => Condition::Ready,
            4 => Condition::Log(["up", "listening"][(word / 32 % 2) as usize].into()),
            _ => Condition::Exited,
        },
        timeout: if word.is_multiple_of(2) { Some(Millis(u64::from(word / 64 % 4) * 700)) } else { None },
        external: None,
    };
    let count = if number == 0 && !word.is_multiple_of(7) { 0 } else { count };
    (0..count).map(|nth| one(word / 4 + nth * 7)).collect()
}

/// Now and then a start is to be alone.
fn heed(word: u32) -> Heed {
    if (word / 32).is_multiple_of(9) { Heed::Alone } else { Heed::Dependencies }
}

/// A command.
pub(crate) fn command(word: u32) -> Command {
    let wait = if word.is_multiple_of(2) { Wait::Spawned } else { Wait::Ready { timeout: Millis(3000) } };
    let target = match word / 2 % 5 {
        0 => "all".to_owned(),
        1 => format!("{}", word / 16 % 6),
        2 => "/app[01]/".to_owned(),
        _ => format!("app{}", word / 16 % 3),
    };
    let act = |action| Command::Act {
        action,
        targets: vec![Selector::new(target)],
        patch: patch(word / 8192),
        order: heed(word),
        wait,
    };
    match word / 64 % 15 {
        12 => act(Action::Roll(roll(word / 1024))),
        13 => Command::Replace {
            apps: vec![Wish { spec: app(word / 3), count: 1 + word / 1024 % 2, brought: word.is_multiple_of(5) }],
            roll: roll(word / 4096),
            order: heed(word),
            wait,
        },
        14 => Command::Scale {
            app: format!("app{}", word / 16 % 3),
            to: [Scale::To(word / 1024 % 4), Scale::Up(1), Scale::Down(1)][(word / 4096 % 3) as usize],
            wait,
        },
        // Often the whole family, so that what is needed is there.
        0..3 => Command::Define {
            apps: (0..[1, 3, 3][(word / 4096 % 3) as usize])
                .map(|n| Wish {
                    spec: app(word + n),
                    count: if n == 0 { word / 1024 % 3 } else { 1 },
                    brought: (word / 8).is_multiple_of(5),
                })
                .collect(),
            order: heed(word),
            wait,
        },
        3 => Command::Launch {
            app: Box::new(Wish { spec: app(word), count: 1 + word % 2, brought: false }),
            force: word.is_multiple_of(3),
            wait,
        },
        4 | 5 => act(Action::Stop),
        6 | 7 => act(Action::Restart),
        8 => act(Action::Delete),
        9 if word.is_multiple_of(2) => act(Action::Run),
        9 => act(Action::Reset),
        10 => Command::Restore {
            slots: (0..word / 1024 % 4)
                .map(|n| Saved {
                    spec: app(word + n),
                    number: n % 2,
                    increment: None,
                    up: !(word + n).is_multiple_of(4),
                    owner: None,
                })
                .collect(),
        },
        _ if (word / 1024).is_multiple_of(4) => Command::Kill,
        _ => act(Action::Start),
    }
}

/// Options that come with a command; now and then one that can't be.
fn patch(word: u32) -> Patch {
    let (key, value) = match word % 12 {
        0 => ("treekill", (word / 12).is_multiple_of(2).into()),
        1 => ("min_uptime", (word / 12 % 3 * 1000).into()),
        2 => ("kill_timeout", (word / 12 % 3 * 800).into()),
        3 => ("autorestart", (word / 12).is_multiple_of(2).into()),
        4 => ("restart_delay", serde_json::Value::Null),
        5 => ("restart_delay", "soon".into()),
        _ => return Patch::default(),
    };
    Patch { fields: [(key.to_owned(), value)].into(), base_env: None }
}
