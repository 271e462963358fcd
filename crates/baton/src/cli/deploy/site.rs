//! What `deploy.<environment>` of a process file says: where to, what, and which commands around it. PM2's keys.

use serde_json::{Map, Value};

/// One environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Site {
    /// Each with its own way of being reached.
    pub(super) hosts: Vec<Host>,
    /// What git clones.
    pub(super) repo: String,
    /// The folder on the hosts.
    pub(super) path: String,
    /// What is deployed.
    pub(super) reference: String,
    /// Only the last commits are fetched.
    pub(super) fast: bool,
    /// For the command after a deploy: names in upper case.
    pub(super) env: Vec<(String, String)>,
    /// Commands around the work.
    pub(super) pre_setup: Option<String>,
    pub(super) post_setup: Option<String>,
    pub(super) pre_deploy_local: Option<String>,
    pub(super) pre_deploy: Option<String>,
    pub(super) post_deploy: Option<String>,
}

/// A machine, and how it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) user: Option<String>,
    pub(super) port: Option<String>,
    pub(super) key: Option<String>,
    pub(super) options: Vec<String>,
    pub(super) forward_agent: bool,
    pub(super) needs_tty: bool,
}

impl Host {
    /// Whether no ssh is needed.
    pub(super) fn is_here(&self) -> bool {
        self.name == "localhost"
    }

    /// The words that run a command line there, but for that.
    pub(super) fn ssh(&self, home: Option<&str>) -> Vec<String> {
        let mut words = vec!["ssh".to_owned()];
        for option in &self.options {
            words.extend(["-o".into(), option.clone()]);
        }
        words.extend(self.needs_tty.then(|| "-t".into()));
        words.extend(self.forward_agent.then(|| "-A".into()));
        words.extend(self.port.iter().flat_map(|port| ["-p".into(), port.clone()]));
        let key = |key: &String| match (key.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => key.clone(),
        };
        words.extend(self.key.iter().flat_map(|path| ["-i".into(), key(path)]));
        words.push(match &self.user {
            Some(user) => format!("{user}@{}", self.name),
            None => self.name.clone(),
        });
        words
    }
}

/// Keys of an environment, as they are without `-` and `_`.
const KEYS: &[&str] = &[
    "user",
    "host",
    "port",
    "key",
    "forwardagent",
    "needstty",
    "sshoptions",
    "repo",
    "path",
    "ref",
    "fetch",
    "env",
    "presetup",
    "postsetup",
    "predeploylocal",
    "predeploy",
    "postdeploy",
];

/// A map whose keys may be written `pre-setup`, `pre_setup` or `preSetup`.
struct Keys<'a>(&'a Map<String, Value>);

fn bare(key: &str) -> String {
    key.chars().filter(|letter| !matches!(letter, '-' | '_')).collect::<String>().to_ascii_lowercase()
}

impl Keys<'_> {
    fn get(&self, wanted: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(key, _)| bare(key) == bare(wanted))?;
        Some(found.1).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<String>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(format!("`{key}: {other}` is no text")),
        }
    }

    fn needed(&self, key: &str) -> Result<String, String> {
        self.text(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    /// PM2's users write `yes`.
    fn flag(&self, key: &str) -> Result<bool, String> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) => Ok(!matches!(&*text.to_ascii_lowercase(), "" | "no" | "false" | "off" | "0")),
            Some(other) => Err(format!("`{key}: {other}` is neither yes nor no")),
        }
    }

    fn host(&self, name: String, above: Option<&Host>) -> Result<Host, String> {
        let options = match self.get("ssh_options") {
            None => None,
            Some(Value::String(one)) => Some(vec![one.clone()]),
            Some(Value::Array(list)) => {
                let texts: Option<Vec<String>> = list.iter().map(|one| one.as_str().map(str::to_owned)).collect();
                Some(texts.ok_or("`ssh_options` is a text or a list of texts")?)
            }
            Some(_) => return Err("`ssh_options` is a text or a list of texts".into()),
        };
        let given = |key: &str| self.get(key).is_some();
        let host = Host {
            user: self.text("user")?.or_else(|| above?.user.clone()),
            port: self.text("port")?.or_else(|| above?.port.clone()),
            key: self.text("key")?.or_else(|| above?.key.clone()),
            options: options.or_else(|| Some(above?.options.clone())).unwrap_or_default(),
            forward_agent: match above {
                Some(above) if !given("forward-agent") => above.forward_agent,
                _ => self.flag("forward-agent")?,
            },
            needs_tty: match above {
                Some(above) if !given("needs_tty") => above.needs_tty,
                _ => self.flag("needs_tty")?,
            },
            name,
        };
        if is_option(&host.name) {
            return Err(format!("`host: {}` is no name of a machine", host.name));
        }
        if let Some(user) = host.user.as_deref().filter(|user| is_option(user)) {
            return Err(format!("`user: {user}` is no name of a user"));
        }
        Ok(host)
    }
}

impl Site {
    /// Reads an environment; keys that nobody knows are added to `unknown`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(given: &Value, unknown: &mut Vec<String>) -> Result<Site, String> {
        let given = given.as_object().ok_or("it is no map")?;
        unknown.extend(given.keys().filter(|key| !KEYS.contains(&&*bare(key))).cloned());
        let keys = Keys(given);
        let above = keys.host("all".into(), None)?;
        let one = |given: &Value| match given {
            Value::String(name) => Keys(&Map::new()).host(name.clone(), Some(&above)),
            Value::Object(map) => Keys(map).host(Keys(map).needed("host")?, Some(&above)),
            other => Err(format!("`host: {other}` is neither a name nor a map")),
        };
        let hosts = match keys.get("host").ok_or("`host` is missing")? {
            Value::Array(list) => list.iter().map(one).collect::<Result<Vec<_>, _>>()?,
            given => vec![one(given)?],
        };
        if hosts.is_empty() {
            return Err("`host` names none".into());
        }
        let path = keys.needed("path")?.trim_end_matches('/').to_owned();
        if !path.starts_with('/') && !path.starts_with("~/") {
            return Err(format!("`path: {path}` depends on where it is read: write it from `/` or `~/` on"));
        }
        let env = match keys.get("env") {
            None => Vec::new(),
            Some(Value::Object(env)) => variables(env)?,
            Some(other) => return Err(format!("`env: {other}` is no map")),
        };
        let reference = keys.needed("ref")?;
        if is_option(&reference) {
            return Err(format!("`ref: {reference}` is no branch, tag or commit"));
        }
        Ok(Site {
            hosts,
            repo: keys.needed("repo")?,
            path,
            reference,
            fast: keys.text("fetch")?.as_deref() == Some("fast"),
            env,
            pre_setup: keys.text("pre-setup")?,
            post_setup: keys.text("post-setup")?,
            pre_deploy_local: keys.text("pre-deploy-local")?,
            pre_deploy: keys.text("pre-deploy")?,
            post_deploy: keys.text("post-deploy")?,
        })
    }
}

/// Whether ssh or git would take it for one of its options.
fn is_option(text: &str) -> bool {
    text.starts_with('-') || text.is_empty()
}

fn variables(env: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    let variable = |(name, value): (&String, &Value)| {
        let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_name || name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(format!("`env.{name}` is no name that a shell has for a variable"));
        }
        Ok((name.to_uppercase(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    };
    env.iter().filter(|(_, value)| !value.is_null()).map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(more: Value) -> Result<Site, String> {
        let mut given = json!({"host": "one", "repo": "git@x:y.git", "path": "/srv/app/", "ref": "origin/main"});
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Site::read(&given, &mut Vec::new())
    }

    #[test]
    fn the_way_to_each_host_is_that_of_all_unless_it_has_its_own() {
        let site = read(json!({
            "user": "me", "port": 2222, "key": "~/.ssh/id", "forward-agent": "yes", "needs_tty": true,
            "ssh_options": ["StrictHostKeyChecking=no", "PasswordAuthentication=no"],
            "host": ["one", {"host": "two", "user": "you", "port": "22", "forward_agent": false}],
        }))
        .unwrap();
        let words = site.hosts[0].ssh(Some("/home/me")).join(" ");
        assert_eq!(
            words,
            "ssh -o StrictHostKeyChecking=no -o PasswordAuthentication=no -t -A -p 2222 -i /home/me/.ssh/id me@one"
        );
        let words = site.hosts[1].ssh(None).join(" ");
        assert_eq!(words, "ssh -o StrictHostKeyChecking=no -o PasswordAuthentication=no -t -p 22 -i ~/.ssh/id you@two");
        assert_eq!(read(json!({"ssh_options": "A=b"})).unwrap().hosts[0].ssh(None).join(" "), "ssh -o A=b one");
        assert_eq!(site.path, "/srv/app");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |more: Value| read(more).unwrap_err();
        assert_eq!(wrong(json!({"repo": null})), "`repo` is missing");
        assert_eq!(wrong(json!({"host": []})), "`host` names none");
        assert!(wrong(json!({"path": "app"})).contains("write it from `/`"));
        assert!(wrong(json!({"host": "-oProxyCommand=x"})).contains("no name of a machine"));
        assert!(wrong(json!({"host": [{"host": "x", "user": "-l"}]})).contains("`user: -l` is no name of a user"));
        assert!(wrong(json!({"ref": "--soft"})).contains("no branch, tag or commit"));
        for name in ["", "1A", "A-B", "A;B"] {
            assert!(wrong(json!({"env": {name: 1}})).contains("no name that a shell has"), "{name}");
        }
        let env = read(json!({"env": {"stage": "it's", "_n1": 5, "none": null}})).unwrap().env;
        assert_eq!(env, [("STAGE".to_owned(), "it's".to_owned()), ("_N1".to_owned(), "5".to_owned())]);
        assert!(wrong(json!({"post-deploy": ["a"]})).contains("is no text"));
        let mut unknown = Vec::new();
        let given = json!({"host": "x", "repo": "r", "path": "/p", "ref": "r", "postDeploy": "a", "postdeplay": "b"});
        let site = Site::read(&given, &mut unknown).unwrap();
        assert_eq!((site.post_deploy.as_deref(), unknown), (Some("a"), vec!["postdeplay".to_owned()]));
    }
}
