//! `static` of a process file, and `script: "serve"`: folders that baton's own server makes available over HTTP.

use crate::error::{ConfigError, Place, Warning};
use baton_core::spec::Environment;
use serde_json::{Map, Value, json};
use std::path::Path;

/// The script that means the server in a process file, whatever else is called so.
pub(crate) const SCRIPT: &str = "serve";
/// The hidden verb of baton that is the server.
pub const VERB: &str = "static-server";
/// The port without any word of it.
pub const PORT: u16 = 8080;
/// The address without any word of it: all of the machine's.
pub const HOST: &str = "0.0.0.0";
/// Of PM2's cloud service.
const MONITOR: &str = "monitor";

/// The apps that the list `static` of a process file means; what has no effect is added to `warnings`.
///
/// # Errors
/// When it is no list of maps.
pub(crate) fn apps(
    given: &Value,
    path: &Path,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Map<String, Value>>, ConfigError> {
    let place = Place::file(path);
    let wrong = || ConfigError::Declaration {
        place: place.clone(),
        what: "`static` is no list of maps".into(),
        help: "write `static: [{ path: \"dist\", port: 8080 }]`".into(),
    };
    let mut apps = Vec::new();
    for entry in given.as_array().ok_or_else(wrong)? {
        let entry = entry.as_object().ok_or_else(wrong)?;
        let mut env = Map::new();
        for (key, value) in entry.iter().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "name" => {}
                "path" | "port" | "host" | "spa" | "ftp" | "homepage" => {
                    env.insert(format!("PM2_SERVE_{}", key.to_uppercase()), value.clone());
                }
                "basic_auth" => {
                    env.insert("PM2_SERVE_BASIC_AUTH".into(), json!(true));
                    for (key, name) in [("username", "USERNAME"), ("password", "PASSWORD")] {
                        env.insert(format!("PM2_SERVE_BASIC_AUTH_{name}"), value[key].clone());
                    }
                }
                MONITOR => warnings.push(Warning::new(format!(
                    "{place}: `monitor` of `static` has no effect: it belongs to PM2's cloud service"
                ))),
                other => warnings.push(Warning::new(format!("{place}: unknown key `{other}` of `static` is ignored"))),
            }
        }
        let port = entry.get("port").filter(|port| !port.is_null()).cloned().unwrap_or_else(|| json!(PORT));
        let port = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
        let name = entry.get("name").filter(|name| !name.is_null()).cloned().unwrap_or_else(|| json!(name(&port)));
        let app = json!({ "name": name, "script": SCRIPT, "env": env });
        apps.extend(app.as_object().cloned());
    }
    Ok(apps)
}

/// What a server on a port is called.
pub fn name(port: &str) -> String {
    format!("static-page-server-{port}")
}

/// Whether a script of a process file is the server: PM2 takes the word for it. Options belong to another program of that
/// name.
pub(crate) fn is_server(script: &str, args: &[String]) -> bool {
    script == SCRIPT && !args.iter().any(|word| word.starts_with('-'))
}

/// Whether a program is the server, with the words behind the verb.
pub(crate) fn server<'a>(script: &str, args: &'a [String]) -> Option<&'a [String]> {
    let (verb, words) = args.split_first()?;
    let own = || std::env::current_exe().is_ok_and(|own| own.as_os_str() == script);
    (verb == VERB && own()).then_some(words)
}

/// Where the server will listen, as far as it can be known: its own variables, those of the shell, then its words.
pub(crate) fn address(own: &Environment, shell: &Environment, words: &[String]) -> Option<String> {
    let given = |name: &str, at: usize| {
        let variable = own.get(name).or_else(|| shell.get(name)).filter(|value| !value.is_empty());
        variable.or_else(|| words.get(at)).cloned()
    };
    let port = given("PM2_SERVE_PORT", 1).map_or(Some(PORT), |port| port.parse().ok()).filter(|port| *port > 0)?;
    let host = given("PM2_SERVE_HOST", 2).unwrap_or_else(|| HOST.into());
    Some(format!("{host}:{port}"))
}
