//! The settings of log rotation that hold for all apps: those of the module `pm2-logrotate` in `module_conf.json`, so
//! that who has used that module finds them at work.

use crate::home::Home;
use baton_config::kinds;
use baton_core::spec::{Kind, LogCompression};
use baton_os::logs::{DATE_FORMAT, check_pattern};
use baton_pm2::module_conf::{self, ModuleConf};
use jiff::tz::TimeZone;
use serde_json::Value;

/// The module whose settings these are.
pub(crate) const MODULE: &str = "pm2-logrotate";

/// Rotate at this size unless set otherwise (bytes).
const MAX_SIZE: u64 = 100 << 20;
/// Keep so many parts of each log unless set otherwise.
const RETAIN: u32 = 10;

/// What the settings say, with a default for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Bytes; `None` never.
    pub(crate) max_size: Option<u64>,
    /// Parts; `None` all.
    pub(crate) retain: Option<u32>,
    /// Of parts.
    pub(crate) compress: LogCompression,
    /// Of parts (ms); `None` any.
    pub(crate) max_age: Option<u64>,
    /// A cron pattern.
    pub(crate) times: Option<String>,
    /// Bytes of all logs together; `None` when nothing is set, `Some(0)` for no limit.
    pub(crate) max_total_size: Option<u64>,
    /// In names of parts.
    pub(crate) date: String,
    /// By its IANA name.
    pub(crate) zone: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_size: Some(MAX_SIZE),
            retain: Some(RETAIN),
            compress: LogCompression::Gzip,
            max_age: None,
            times: None,
            max_total_size: None,
            date: DATE_FORMAT.into(),
            zone: None,
        }
    }
}

impl Settings {
    /// Reads the settings of a home, with what an operator should know about them. What can't be used has its default.
    pub(crate) fn read(home: &Home) -> (Settings, Vec<String>) {
        let path = home.module_conf();
        let mut settings = Settings::default();
        let conf = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (settings, Vec::new()),
            Err(error) => Err(error.to_string()),
            Ok(text) => ModuleConf::parse(&text),
        };
        let conf = match conf {
            Ok(conf) => conf,
            Err(error) => return (settings, vec![format!("could not read {}: {error}", path.display())]),
        };
        let mut complaints = Vec::new();
        let module = conf.get(&[MODULE.to_owned()]).and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, value) in module {
            if let Err(error) = settings.set(&key, &module_conf::plain(&value)) {
                complaints.push(format!("{}: {MODULE}:{key}: {error}", path.display()));
            }
        }
        (settings, complaints)
    }

    /// Takes one setting. An empty value is the default.
    ///
    /// # Errors
    /// What is wrong with the value and what to write; nothing was changed.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let text = Value::from(value);
        let read = |kind| match kinds::canonical(kind, &text) {
            Ok(value) => Ok(value.as_u64().unwrap_or(0)),
            Err(wrong) => Err(format!("`{value}` is not {}: {}", wrong.expected, wrong.help)),
        };
        let default = Settings::default();
        let given = !value.is_empty();
        match key {
            "max_size" => {
                self.max_size = if given { Some(read(Kind::Size)?).filter(|size| *size > 0) } else { default.max_size };
            }
            // As in the module, what is no number keeps all.
            "retain" => self.retain = if given { value.parse().ok() } else { default.retain },
            "compress" => {
                let wrong = || format!("`{value}` is no way to compress: write true, gzip, zstd or false");
                self.compress = if given { LogCompression::parse(value).ok_or_else(wrong)? } else { default.compress };
            }
            "dateFormat" => self.date = if given { value.to_owned() } else { default.date },
            "rotateInterval" | "rotate_interval" => {
                if given {
                    let wrong = |error| format!("`{value}` is not a cron pattern: {error}");
                    check_pattern(value).map_err(wrong)?;
                }
                self.times = given.then(|| value.to_owned());
            }
            "TZ" => {
                if given && TimeZone::get(value).is_err() {
                    return Err(format!("`{value}` is not a time zone: write a name such as Europe/Berlin"));
                }
                self.zone = given.then(|| value.to_owned());
            }
            "max_age" => self.max_age = if given { Some(read(Kind::Duration)?).filter(|age| *age > 0) } else { None },
            "max_total_size" => self.max_total_size = if given { Some(read(Kind::Size)?) } else { None },
            // Bytes are counted as they come, and there are no modules.
            "workerInterval" | "rotateModule" => {}
            other => {
                return Err(format!(
                    "`{other}` is no setting of log rotation: there are max_size, retain, compress, rotateInterval, \
                     max_age, max_total_size, dateFormat and TZ"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_module_are_understood() {
        let mut settings = Settings::default();
        let values = [
            ("max_size", "1K"),
            ("retain", "all"),
            ("compress", "false"),
            ("dateFormat", "YYYY-MM-DD"),
            ("workerInterval", "30"),
            ("rotateInterval", "0 0 * * *"),
            ("rotateModule", "true"),
            ("TZ", "UTC"),
            ("max_age", "48h"),
            ("max_total_size", "1G"),
        ];
        for (key, value) in values {
            settings.set(key, value).expect(key);
        }
        let expected = Settings {
            max_size: Some(1024),
            retain: None,
            compress: LogCompression::None,
            max_age: Some(48 * 3_600_000),
            times: Some("0 0 * * *".into()),
            max_total_size: Some(1 << 30),
            date: "YYYY-MM-DD".into(),
            zone: Some("UTC".into()),
        };
        assert_eq!(settings, expected);
        for (key, _) in values {
            settings.set(key, "").expect("the default");
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn what_can_not_be_used_is_told_and_changes_nothing() {
        let mut settings = Settings::default();
        let values = [
            ("max_size", "much"),
            ("compress", "rar"),
            ("rotateInterval", "61 * * * *"),
            ("TZ", "Mars"),
            ("colour", "red"),
        ];
        for (key, value) in values {
            let error = settings.set(key, value).expect_err(key);
            assert!(error.contains(if key == "colour" { key } else { value }), "{error}");
        }
        assert_eq!(settings, Settings::default());
    }
}
