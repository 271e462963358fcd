//! Evaluating a process file as people write them, in a process of its own: the embedded engine beside `node -e`.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{output, tool};
use crate::row::{Row, Samples, Target, Unit};
use std::path::Path;

/// A file that uses what such files use: paths, the environment, another file, functions.
const FILE: &str = r"
const path = require('path')
const fs = require('fs')
const { service } = require('./services.cjs')

const production = process.env.NODE_ENV === 'production'
const logs = path.join(__dirname, 'logs')
const tokens = Object.fromEntries(
  fs.readFileSync(path.join(__dirname, 'tokens'), 'utf8').split('\n').filter(Boolean).map((line) => line.split('=')),
)

module.exports = {
  apps: ['api', 'worker', 'mailer', 'indexer', 'scheduler', 'gateway'].flatMap((name, number) =>
    service(name, { port: 4000 + number, instances: production ? 2 : 1, logs, tokens }),
  ),
}
";

const SERVICES: &str = r"
exports.service = (name, { port, instances, logs, tokens }) => [
  {
    name,
    script: '/usr/bin/env',
    args: ['sleep', '1000000'],
    interpreter: 'none',
    instances,
    max_memory_restart: '512M',
    out_file: `${logs}/${name}-out.log`,
    error_file: `${logs}/${name}-error.log`,
    env: { PORT: port, NODE_ENV: 'development', ...tokens },
    env_production: { NODE_ENV: 'production' },
  },
]
";

/// Measurements in each round: they are short.
const REPEAT: u32 = 8;

/// One comparison: what we load and what Node loads, in a folder with these files.
struct Case {
    what: &'static str,
    files: Vec<(String, String)>,
    ours: &'static str,
    node: &'static str,
    apps: usize,
    target: Target,
}

/// Measures it. Node takes part only where PM2 does: without it, it may not be there.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    [plain(), master(), clojure()].iter().map(|case| measure(case, bench)).collect()
}

fn plain() -> Case {
    let files = [("ecosystem.config.cjs", FILE), ("services.cjs", SERVICES), ("tokens", "KEY=1\nTOKEN=2\n")];
    Case {
        what: "evaluate a process file, beside `node -e`",
        files: files.map(|(name, text)| (name.into(), text.into())).into(),
        ours: "ecosystem.config.cjs",
        node: "ecosystem.config.cjs",
        apps: 6,
        target: Target::None,
    }
}

/// A master file over an agent and ten services, which share one module of helpers; tokens through `dotenv`.
fn master() -> Case {
    let mut files: Vec<(String, String)> = [
        ("dev/helpers.js", HELPERS),
        ("agents/duck/ecosystem.config.js", AGENT),
        ("agents/duck/.tokens", "TOKEN=secret\n"),
        ("node_modules/dotenv/index.js", DOTENV),
    ]
    .map(|(name, text)| (name.into(), text.into()))
    .into();
    let mut loads = String::new();
    for number in 0..10 {
        let language = if number % 2 == 0 { "Node" } else { "Python" };
        let text = format!(
            "const {{ define{language}Service }} = require('../../dev/helpers');\n\
             module.exports = {{ apps: [define{language}Service('service{number}', __dirname)] }};\n"
        );
        files.push((format!("services/s{number}/ecosystem.config.js"), text));
        loads.push_str(&format!("  require('./services/s{number}/ecosystem.config.js'),\n"));
    }
    let text = format!(
        "const {{ defineApp }} = require('./dev/helpers');\ndefineApp.PYTHONPATH = __dirname;\ndefineApp.HEARTBEAT_PORT = 5005;\n\
         const duck = require('./agents/duck/ecosystem.config.js');\nconst services = [\n{loads}];\n\
         module.exports = {{ apps: [...duck.apps, ...services.flatMap((service) => service.apps)] }};\n"
    );
    files.push(("ecosystem.config.js".into(), text));
    Case {
        what: "resolve a master file of 17 apps in 12 files, beside `node -e`",
        files,
        ours: "ecosystem.config.js",
        node: "ecosystem.config.js",
        apps: 17,
        target: Target::Part(10.0),
    }
}

/// 23 apps in 8 namespaces. A compiled bundle holds the language's library too; what Node loads here is the least that a
/// bundle could be, its result written out.
fn clojure() -> Case {
    let mut files = Vec::new();
    let (mut requires, mut bundle) = (String::new(), String::new());
    for space in 0..8 {
        let mut text = format!(
            "(ns services-{space}\n  (:require [clobber.macro]))\n\n(def url \"http://127.0.0.1:90{space}0\")\n"
        );
        requires.push_str(&format!("            [services-{space}]\n"));
        for number in (space..23).step_by(8) {
            text.push_str(&format!(
                "\n(clobber.macro/defapp \"app-{number}\"\n  {{:script \"node\"\n   :args [\"dist/main-{number}.js\" \"--quiet\"]\n   :cwd \"/srv/app-{number}\"\n   \
                 :autorestart true\n   :max-restarts 5\n   :env {{:PORT {port} :NODE_ENV (clobber.macro/env-var :NODE_ENV :production) :URL url}}}})\n",
                port = 9000 + number,
            ));
            bundle.push_str(&format!(
                "{{\"name\":\"app-{number}\",\"script\":\"node\",\"args\":[\"dist/main-{number}.js\",\"--quiet\"],\"cwd\":\"/srv/app-{number}\",\"autorestart\":true,\
                 \"max-restarts\":5,\"env\":{{\"PORT\":{port},\"NODE_ENV\":\"production\",\"URL\":\"http://127.0.0.1:90{space}0\"}}}},\n",
                port = 9000 + number,
            ));
        }
        files.push((format!("ecosystems/services_{space}.cljs"), text));
    }
    let index = format!(
        "(ns index\n  (:require [clobber.macro]\n{requires}            ))\n\n\
         (set! (.-exports js/module) (clj->js (clobber.macro/ecosystem)))\n"
    );
    files.push(("ecosystems/index.cljs".into(), index));
    files.push(("bundle.cjs".into(), format!("module.exports = {{ apps: [\n{bundle}] }};\n")));
    Case {
        what: "resolve a ClojureScript directory of 23 apps, beside `node -e` on a compiled bundle",
        files,
        ours: "ecosystems",
        node: "bundle.cjs",
        apps: 23,
        target: Target::Part(1.0),
    }
}

const HELPERS: &str = r"
const path = require('path');
function defineApp(name, script, args = [], opts = {}) {
  const { cwd, watch, env_file, env = {}, instances = 1, exec_mode = 'fork' } = opts;
  return {
    name, script, args, exec_mode, cwd, watch, env_file, instances,
    out_file: `./logs/${name}-out.log`, error_file: `./logs/${name}-err.log`,
    merge_logs: true, autorestart: true, restart_delay: 10000, kill_timeout: 10000,
    env: {
      ...env, PM2_PROCESS_NAME: name, HEARTBEAT_PORT: defineApp.HEARTBEAT_PORT, PYTHONUNBUFFERED: '1',
      PYTHONPATH: defineApp.PYTHONPATH, CHECK_INTERVAL: 1000 * 60 * 5, HEARTBEAT_TIMEOUT: 1000 * 60 * 10,
    },
  };
}
defineApp.HEARTBEAT_PORT = 5005;
defineApp.PYTHONPATH = path.resolve(__dirname, '..');
const definePythonService = (name, dir, opts = {}) => defineApp(name, 'pipenv', ['run', 'python', '-m', 'main'], { cwd: dir, ...opts });
const defineNodeService = (name, dir, opts = {}) => defineApp(name, '.', [], { cwd: dir, ...opts });
module.exports = { defineApp, definePythonService, defineNodeService };
";

const AGENT: &str = r"
const path = require('path');
const dotenv = require('dotenv');
const { definePythonService, defineNodeService } = require('../../dev/helpers');
dotenv.config({ path: __dirname + '/.tokens' });
const env = { TOKEN: process.env.TOKEN, CHANNEL: '450688080542695436', AGENT_NAME: 'Duck' };
const at = (name) => path.join(__dirname, '../../services', name);
module.exports = {
  apps: [
    definePythonService('duck_indexer', at('s1'), { env }),
    defineNodeService('duck_cephalon', at('s0'), { env }),
    defineNodeService('duck_embedder', at('s2'), { env }),
    defineNodeService('duck_voice', at('s4'), { env }),
    definePythonService('duck_attachments', at('s3'), { watch: ['./services'], env: { ...env, CAPTURE: '1' } }),
    definePythonService('duck_attachment_embedder', at('s5'), { env: { ...env, CAPTURE: '1' } }),
    { name: 'chromadb', cwd: __dirname, script: './scripts/run_chroma.sh', restart_delay: 10000, kill_timeout: 10000 },
  ],
};
";

/// As much of `dotenv` as the file needs, so that Node has no more to read than that.
const DOTENV: &str = r"
const fs = require('fs');
exports.config = ({ path }) => {
  for (const line of fs.readFileSync(path, 'utf8').split('\n')) {
    const [, name, value] = line.match(/^(\w+)=(.*)$/) ?? [];
    if (name) process.env[name] ??= value;
  }
};
";

fn measure(case: &Case, bench: &Bench) -> Result<Row, Failure> {
    let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a directory"))?;
    for (name, text) in &case.files {
        let path = folder.path().join(name);
        let parent = path.parent().unwrap_or(folder.path());
        std::fs::create_dir_all(parent).map_err(Failure::system("making a directory"))?;
        std::fs::write(path, text).map_err(Failure::system("writing the process file"))?;
    }
    let own = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let (mut ours, mut node) = (Samples::default(), Samples::default());
    for _ in 0..bench.runs * REPEAT {
        ours.add(evaluate(&own, &["app", "load"], &folder.path().join(case.ours), case.apps)?);
        if bench.pm2().is_some() {
            let script = "console.log(require(process.argv[1]).apps.length)";
            node.add(evaluate(Path::new("node"), &["-e", script], &folder.path().join(case.node), case.apps)?);
        }
    }
    let mut samples = vec![ours];
    samples.extend(node.median().is_some().then_some(node));
    Ok(Row::new(case.what, Unit::Milliseconds, samples, case.target))
}

fn evaluate(program: &Path, arguments: &[&str], file: &Path, apps: usize) -> Result<f64, Failure> {
    let finished = output(tool(program).args(arguments).arg(file))?;
    if finished.stdout.trim() == apps.to_string() {
        return Ok(milliseconds(finished.took));
    }
    let what = format!("found {} apps instead of {apps}", finished.stdout.trim());
    Err(Failure::Unexpected { manager: "the engine", what })
}
