//! Process files in TypeScript: what they and the modules that they load export, and where their mistakes are.

use baton_config::js::{self, JsError, JsOptions, Limits, Loader, Source};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A directory of files, by name and text.
struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let project = Project(tempfile::tempdir().expect("a directory"));
        for (name, text) in files {
            let path = project.0.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        project
    }

    fn load(&self, file: &str) -> Result<Value, JsError> {
        let options = JsOptions {
            env: [("PORT".to_owned(), "8080".to_owned())].into(),
            cwd: self.0.path().canonicalize().expect("a directory"),
            argv: Vec::new(),
            limits: Limits { time: Duration::from_secs(10), ..Limits::default() },
        };
        js::load(Loader::Embedded, Path::new(file), Source::File, &options).map(|evaluated| evaluated.value)
    }

    fn value(&self, file: &str) -> Value {
        self.load(file).unwrap_or_else(|wrong| panic!("{file}: {wrong}"))
    }

    fn error(&self, file: &str) -> String {
        let here = self.0.path().canonicalize().expect("a directory");
        self.load(file).expect_err("it must fail").to_string().replace(&*here.to_string_lossy(), "@")
    }
}

#[test]
fn types_of_every_kind_leave_no_trace() {
    let project = Project::new(&[(
        "ecosystem.config.ts",
        r#"
import path from "node:path";
import type { ParsedPath } from "node:path";
interface App<T = string> { name: T; script: string; env?: Record<string, string | number>; }
type Pair = readonly [name: string, port: number];
declare const UNKNOWN: string;
declare global { interface Window { a: string } }
abstract class Base<T> { protected readonly port!: T; static count: number = 0; abstract name(): string; }
class Service extends Base<number> implements Named {
    #secret?: string;
    override name(this: Service): string { return "a" as const; }
    get env(): Record<string, string> { return { PORT: process.env.PORT! }; }
}
interface Named { name(): string }
function app(name: string): App;
function app(name: string, port: number): App;
function app<const N extends string>(name: N, port?: number): App<N> {
    return { name, script: path.basename(`${name}.js`), env: { PORT: port ?? 1 } } satisfies App<N>;
}
const pairs = [["a", 1], ["b", 2]] as const satisfies readonly Pair[];
const parsed: ParsedPath | undefined = undefined;
export default {
    apps: pairs.map(([name, port]: Pair): App => app(name, port)),
    service: [new Service().name(), new Service().env, Service.count],
    parsed: (parsed as unknown as { x?: number } | undefined)?.x ?? null,
};
"#,
    )]);
    assert_eq!(
        project.value("ecosystem.config.ts")["default"],
        json!({
            "apps": [
                {"name": "a", "script": "a.js", "env": {"PORT": 1}},
                {"name": "b", "script": "b.js", "env": {"PORT": 2}},
            ],
            "service": ["a", {"PORT": "8080"}, 0],
            "parsed": null,
        })
    );
}

#[test]
fn extension_package_and_text_decide_between_the_module_systems() {
    let common = "const p: string = __filename; module.exports = { apps: [], is: 'commonjs', p: p.length > 0 };";
    let es = "const p: string = import.meta.filename; export default { apps: [], is: 'module', p: p.length > 0 };";
    let project = Project::new(&[
        ("a.cts", common),
        ("a.mts", es),
        ("detected.ts", es),
        ("plain.ts", common),
        ("typed/package.json", r#"{"type": "module"}"#),
        ("typed/a.ts", "export const apps: string[] = []; export const is = typeof module;"),
        ("typed/b.cts", common),
        ("common/package.json", r#"{"type": "commonjs"}"#),
        ("common/a.ts", common),
    ]);
    for (file, is) in
        [("a.cts", "commonjs"), ("plain.ts", "commonjs"), ("typed/b.cts", "commonjs"), ("common/a.ts", "commonjs")]
    {
        assert_eq!(project.value(file)["is"], is, "{file}");
    }
    for file in ["a.mts", "detected.ts"] {
        assert_eq!(project.value(file)["default"]["is"], "module", "{file}");
    }
    assert_eq!(project.value("typed/a.ts"), json!({"apps": [], "is": "undefined"}));
}

#[test]
fn modules_in_typescript_are_loaded_by_any_file() {
    let project = Project::new(&[
        (
            "ecosystem.config.ts",
            "import { app, type App } from './lib/app.js';\nimport { port } from './lib/port';\nimport list from './lib';\nconst first: App = app('a');\nexport default { apps: [first], port, list };",
        ),
        (
            "lib/app.ts",
            "export interface App { name: string; script: string }\nexport const app = (name: string): App => ({ name, script: 'x' });",
        ),
        ("lib/port.ts", "export const port: number = 80;"),
        ("lib/index.ts", "export default ['index'] as string[];"),
        (
            "ecosystem.config.cjs",
            "module.exports = { apps: [require('./lib/old.cts').app], es: require('./lib/port.ts').port };",
        ),
        ("lib/old.cts", "exports.app = { name: 'old' as string, script: 'x' };"),
        ("ecosystem.config.mjs", "import { app } from './lib/old.cts'; export const apps = [app];"),
        ("other.mjs", "export { port } from './lib/port';"),
    ]);
    assert_eq!(
        project.value("ecosystem.config.ts")["default"],
        json!({"apps": [{"name": "a", "script": "x"}], "port": 80, "list": ["index"]})
    );
    assert_eq!(project.value("ecosystem.config.cjs"), json!({"apps": [{"name": "old", "script": "x"}], "es": 80}));
    assert_eq!(project.value("ecosystem.config.mjs"), json!({"apps": [{"name": "old", "script": "x"}]}));
    // A JavaScript file finds TypeScript only by its whole name, as in Node.
    assert!(project.error("other.mjs").contains("Cannot find module './lib/port'"), "{}", project.error("other.mjs"));
}

#[test]
fn mistakes_are_named_where_they_stand() {
    let project = Project::new(&[
        (
            "throws.ts",
            "interface A {\n  b: string;\n}\nconst a: A = { b: 'x' };\nconst none = null as any;\nexport const apps = none.b(a);",
        ),
        ("first.cts", "const a: any = null; a.b();"),
        ("syntax.ts", "export default {\n  apps: [\n    { name: 'a' }\n    { name: 'b' },\n  ],\n};"),
        ("uses.ts", "import { mode } from './mode.ts';\nexport default { apps: [], mode };"),
        ("mode.ts", "export const a: number = 1;\n  export enum Mode { Dev }"),
        ("missing.ts", "import { Kind } from './kind.ts';\nexport default { apps: [] as Kind[] };"),
        ("kind.ts", "export type Kind = string;"),
    ]);
    assert!(project.error("throws.ts").starts_with("@/throws.ts:6:"), "{}", project.error("throws.ts"));
    assert_eq!(project.error("first.cts"), "@/first.cts:1:22: TypeError: cannot read property 'b' of null");
    assert!(project.error("syntax.ts").starts_with("@/syntax.ts:4:5: SyntaxError: "), "{}", project.error("syntax.ts"));
    assert_eq!(
        project.error("uses.ts"),
        "@/mode.ts:2:3: SyntaxError: types are left out, not compiled: cannot strip an enum; write a constant object"
    );
    assert!(project.error("missing.ts").contains("'Kind'"), "{}", project.error("missing.ts"));
}
