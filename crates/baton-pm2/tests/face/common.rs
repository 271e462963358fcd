//! Slots as a daemon would show them.

use baton_core::spec::{AppSpec, Environment};
use baton_core::units::{Bytes, InstanceId, Instant, Millis, Now, WallTime};
use baton_core::world::{Cause, Detail, Directories, Identity, Instance, InstanceView, State, Verb};
use baton_pm2::record::Host;
use std::sync::Arc;

/// Where the slots' files are.
pub(crate) fn directories() -> Directories {
    Directories { logs: "/home/u/.pm2/logs".into(), pids: "/home/u/.pm2/pids".into() }
}

/// A home whose scripts under `/home/u/app` belong to a package.
pub(crate) fn host() -> Host<'static> {
    Host { home: "/home/u/.pm2", version: &version }
}

/// The version of the package that a script belongs to.
pub(crate) fn version(script: &str) -> Option<String> {
    script.starts_with("/home/u/app/").then(|| "1.0.0".into())
}

/// Variables.
pub(crate) fn variables(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// The app of the capture: `start demo.js -- --flag`.
pub(crate) fn demo() -> AppSpec {
    AppSpec {
        name: "demo".into(),
        script: "/home/u/app/demo.js".into(),
        cwd: "/home/u/app".into(),
        args: vec!["--flag".into()],
        interpreter: "node".into(),
        username: "root".into(),
        base_env: variables(&[("HOME", "/home/u"), ("PATH", "/usr/bin:/bin")]).into(),
        ..AppSpec::default()
    }
}

/// When the slots were made.
pub(crate) const MADE: WallTime = WallTime(1_795_227_276_813);

/// A slot of an app that is not running.
pub(crate) fn stopped(id: u32, spec: AppSpec) -> Instance {
    let mut instance = Instance::new(InstanceId(id), 0, Arc::new(spec), MADE, &directories());
    instance.state = State::Stopped { why: Cause::Operator(Verb::Stop) };
    instance.started_at = Some(MADE);
    instance
}

/// A slot of an app that runs.
pub(crate) fn online(id: u32, pid: u32, spec: AppSpec) -> Instance {
    let mut instance = stopped(id, spec);
    instance.state = State::Online { since: Instant(0), ready: true };
    instance.process = Some(Identity { pid, start_time: 1, boot_id: "b".into() });
    instance
}

/// How the slot is seen after it has been up for `uptime`.
pub(crate) fn seen(instance: &Instance, uptime: Millis, memory: Bytes) -> InstanceView {
    let now = Now { instant: Instant(uptime.0), wall: WallTime(MADE.0 + uptime.0) };
    let mut view = instance.view(now, Detail::History);
    view.memory = Some(memory);
    view.cpu = Some(0.0);
    view
}
