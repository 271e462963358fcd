//! The version that PM2 shows for an app: that of the package its script belongs to.

use serde_json::Value;
use std::path::Path;

/// The `version` in the nearest `package.json` at or above the folder of `script` (an absolute path). `read` gives a
/// file's text, or nothing when there is no such file; a file that is no JSON, or has no version, ends the search.
pub fn nearest(script: &str, read: impl Fn(&Path) -> Option<String>) -> Option<String> {
    let text = Path::new(script).ancestors().skip(1).find_map(|folder| read(&folder.join("package.json")))?;
    let package: Value = serde_json::from_str(&text).ok()?;
    package.get("version")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::nearest;
    use std::path::Path;

    #[test]
    fn the_nearest_package_counts() {
        let read = |path: &Path| match path.to_str() {
            Some("/w/package.json") => Some(r#"{"version":"1.0.0"}"#.to_owned()),
            Some("/w/packages/api/package.json") => Some(r#"{"version":"2.1.0"}"#.to_owned()),
            Some("/w/broken/package.json") => Some("{".to_owned()),
            _ => None,
        };
        assert_eq!(nearest("/w/packages/api/src/index.js", read).as_deref(), Some("2.1.0"));
        assert_eq!(nearest("/w/lib/x.js", read).as_deref(), Some("1.0.0"));
        assert_eq!(nearest("/w/broken/x.js", read), None);
        assert_eq!(nearest("/bin/sleep", read), None);
    }
}
