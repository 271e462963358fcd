//! Apps of one name: equal ones are one, different ones are a mistake.

use crate::error::{ConfigError, Place, Warning};
use baton_core::spec::AppSpec;
use std::path::Path;

/// Makes one app of several equal definitions of one name, with a warning for each that goes. `place` says where an app
/// is written; it is told how many of that name came before it.
///
/// # Errors
/// When two apps of one name differ; both places are named.
pub fn merge(
    apps: Vec<AppSpec>,
    place: impl Fn(&AppSpec, usize) -> Place,
) -> Result<(Vec<AppSpec>, Vec<Warning>), ConfigError> {
    let mut kept: Vec<AppSpec> = Vec::with_capacity(apps.len());
    let (mut warnings, mut gone) = (Vec::new(), Vec::new());
    for app in apps {
        let Some(first) = kept.iter().find(|other| other.name == app.name) else {
            kept.push(app);
            continue;
        };
        let before = gone.iter().filter(|name| **name == app.name).count() + 1;
        let called = |app: &AppSpec, nth: usize| format!("app {} in {}", app.source.index + 1, place(app, nth));
        let fields: Vec<String> = first.changes(&app).into_iter().map(|change| change.field).collect();
        if !fields.is_empty() {
            return Err(ConfigError::Duplicate {
                name: app.name.clone(),
                fields: fields.join(", "),
                first: called(first, 0),
                second: called(&app, before),
            });
        }
        warnings.push(Warning::new(format!(
            "app `{}` is defined twice in the same way, by {} and {}; it is taken once",
            app.name,
            called(first, 0),
            called(&app, before)
        )));
        gone.push(app.name);
    }
    Ok((kept, warnings))
}

/// The place of an app as far as its definition tells: the file.
pub fn file_of(app: &AppSpec) -> Place {
    match app.source.file.as_str() {
        "" => Place::default(),
        file => Place::file(Path::new(file)),
    }
}
