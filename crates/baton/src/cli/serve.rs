//! `serve`: a folder over HTTP, by an app of the list that is baton's own static server.

use super::act;
use super::apps::{self, FileOptions};
use super::common::Common;
use super::failure::Failure;
use super::options::AppOptions;
use super::session::{Session, command};
use baton_config::statics;
use baton_core::proto::{Command, Wait};
use baton_pm2::commands::Availability;
use baton_pm2::{record, text};
use clap::Parser;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Make a folder available over HTTP.
///
/// The server is an app of the list like any other; it needs no Node.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The folder; this one without it, or PM2_SERVE_PATH.
    path: Option<String>,
    /// The port; 8080 without it, or PM2_SERVE_PORT.
    #[arg(value_name = "port")]
    port: Option<String>,
    #[arg(long = "port", value_name = "PORT", help = "The port")]
    port_option: Option<String>,
    /// Answer paths that are not there with the homepage: for apps of one page.
    #[arg(long)]
    spa: bool,
    /// List folders that have no index.html.
    #[arg(long)]
    ftp: bool,
    /// Ask for this name, and a password.
    #[arg(long, value_name = "NAME", requires = "basic_auth_password")]
    basic_auth_username: Option<String>,
    /// Ask for this password. Other users of the machine may see a command line; a process file is for you alone.
    #[arg(long, value_name = "PASSWORD", requires = "basic_auth_username")]
    basic_auth_password: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1)]
    monitor: Option<Option<String>>,
    /// Start a second copy under the same name.
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    app: AppOptions,
}

/// Runs the verb.
pub(crate) fn run(mut args: Args, session: &Session) -> Result<(), Failure> {
    args.app.refuse_absent()?;
    let cloud = Availability::Never("it belongs to PM2's cloud service, and baton calls nobody");
    if let Some(text) = args.monitor.as_ref().and_then(|_| cloud.refusal("--monitor")) {
        return Err(Failure::Unavailable(text));
    }
    let shell = session.environment();
    let variable = |name: &str| shell.get(name).filter(|value| !value.is_empty()).cloned();
    let port =
        variable("PM2_SERVE_PORT").or(args.port).or(args.port_option).unwrap_or_else(|| statics::PORT.to_string());
    if port.parse::<u16>().is_err() || port == "0" {
        return Err(Failure::Usage(format!("{port} is no port\n  help: write a number from 1 to 65535")));
    }
    let given = variable("PM2_SERVE_PATH").or(args.path).unwrap_or_else(|| ".".into());
    let path = baton_config::target::resolve(&session.directory()?, &given);
    if !path.is_dir() {
        return Err(Failure::Usage(format!("{} is no folder", path.display())));
    }
    let path = text_of(path)?;
    let mut env = Map::new();
    let mut put = |name: &str, value: Value| drop(env.insert(format!("PM2_SERVE_{name}"), value));
    put("PORT", json!(port));
    put("PATH", json!(path));
    put("SPA", json!(args.spa));
    put("FTP", json!(args.ftp));
    if let Some((name, password)) = args.basic_auth_username.zip(args.basic_auth_password) {
        put("BASIC_AUTH", json!(true));
        put("BASIC_AUTH_USERNAME", json!(name));
        put("BASIC_AUTH_PASSWORD", json!(password));
    }
    for (key, value) in [("name", json!(statics::name(&port))), ("cwd", json!(path)), ("env", Value::Object(env))] {
        args.app.fall_back_to(key, value);
    }
    let program = std::env::current_exe().map_err(Failure::system("this program"))?;
    let verb = [statics::VERB.to_owned()];
    let wish = apps::script(&text_of(program)?, &args.app, &FileOptions::default(), &verb, session)?;
    let starting =
        text::starting(&wish.spec.script, record::exec_mode(wish.spec.exec_mode), wish.spec.instances.0.max(0));
    let mut client = session.client()?;
    let launch = Command::Launch { app: Box::new(wish), force: args.force, wait: Wait::Spawned };
    let outcomes = command(&mut client, launch)?;
    session.say(&starting);
    act::tell_failures(&outcomes, session);
    let done = act::success(&outcomes);
    if done.is_ok() {
        session.say(text::DONE);
        session.say(&format!("Serving {path} on port {port}"));
    }
    session.table(&mut client)?;
    done
}

fn text_of(path: PathBuf) -> Result<String, Failure> {
    path.into_os_string().into_string().map_err(|path| Failure::Usage(format!("{} is not UTF-8", path.display())))
}
