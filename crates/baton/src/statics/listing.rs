//! The page of a folder: what is in it, folders first.

use super::place::is_shown;
use super::request::escape;
use jiff::Timestamp;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em}\
                     table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2em .8em}\
                     td+td,th+th{text-align:right;white-space:nowrap}tr:hover td{background:#8882}";

/// The page of the folder at `path` below `root`, which is at these names of an address.
///
/// # Errors
/// When it can't be read.
pub(super) fn page(root: &Path, path: &Path, names: &[Vec<u8>]) -> io::Result<String> {
    let root = root.canonicalize()?;
    // What can't be had is not told of either.
    let leads_out = |entry: &DirEntry| {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        is_link && !fs::canonicalize(entry.path()).is_ok_and(|real| real.starts_with(&root))
    };
    let mut rows: Vec<(bool, String, String)> = Vec::new();
    for entry in fs::read_dir(path)?.flatten() {
        let name = entry.file_name();
        if !is_shown(name.as_bytes()) || leads_out(&entry) {
            continue;
        }
        // What a link leads to counts; one that leads nowhere is left out.
        let Ok(data) = fs::metadata(entry.path()) else { continue };
        let slash = if data.is_dir() { "/" } else { "" };
        let size = if data.is_dir() { String::new() } else { size(data.len()) };
        let changed = Timestamp::from_second(data.mtime()).map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
        let shown = text(&name.to_string_lossy());
        let row = format!(
            "<tr><td><a href=\"{}{slash}\">{shown}{slash}</a></td><td>{size}</td><td>{}</td></tr>\n",
            escape(name.as_bytes()),
            changed.unwrap_or_default()
        );
        rows.push((!data.is_dir(), name.to_string_lossy().to_lowercase(), row));
    }
    rows.sort();
    let up = if names.is_empty() { "" } else { "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n" };
    let shown: String = names.iter().flat_map(|name| [text(&String::from_utf8_lossy(name)), "/".into()]).collect();
    let rows: String = rows.into_iter().map(|(_, _, row)| row).collect();
    Ok(format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Index of /{shown}</title><style>{STYLE}</style></head>\n<body><h1>Index of /{shown}</h1>\n\
         <table><tr><th>Name</th><th>Size</th><th>Modified (UTC)</th></tr>\n{up}{rows}</table></body></html>\n"
    ))
}

/// A text within HTML.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn size(bytes: u64) -> String {
    let (unit, factor) = match bytes {
        0..1024 => return format!("{bytes} B"),
        1024..1_048_576 => ("KB", 1024.0),
        1_048_576..1_073_741_824 => ("MB", 1_048_576.0),
        _ => ("GB", 1_073_741_824.0),
    };
    format!("{:.1} {unit}", bytes as f64 / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_no_name_breaks_the_page() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b<i>.txt", "A & \"B\".txt", ".hidden", "naïve?.html"] {
            fs::write(root.path().join(name), "12345").unwrap();
        }
        fs::create_dir(root.path().join("zoo")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("broken")).unwrap();
        let page = page(root.path(), root.path(), &[b"x<y".to_vec()]).unwrap();
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text} in {page}"));
        assert!(at("href=\"../\"") < at("href=\"zoo/\"") && at("href=\"zoo/\"") < at("A%20%26%20%22B%22.txt"));
        at("<title>Index of /x&lt;y/</title>");
        at(">b&lt;i&gt;.txt</a></td><td>5 B</td>");
        at("href=\"na%C3%AFve%3F.html\"");
        assert!(!page.contains("hidden") && !page.contains("broken"));
    }

    #[test]
    fn what_a_link_leads_to_outside_is_not_told() {
        let around = tempfile::tempdir().unwrap();
        let (root, sub) = (around.path().join("root"), around.path().join("root/sub"));
        fs::create_dir_all(&sub).unwrap();
        fs::write(around.path().join("secret"), "a secret of 23 letters.").unwrap();
        fs::write(root.join("plain"), "12345").unwrap();
        for (to, name) in [("../../secret", "out"), ("../..", "up"), ("../plain", "in")] {
            std::os::unix::fs::symlink(to, sub.join(name)).unwrap();
        }
        let page = page(&root, &sub.canonicalize().unwrap(), &[b"sub".to_vec()]).unwrap();
        assert!(page.contains(">in</a></td><td>5 B</td>"), "{page}");
        assert!(!page.contains(">out") && !page.contains(">up") && !page.contains("23 B"), "{page}");
    }

    #[test]
    fn sizes_are_short() {
        let shown = [0, 1023, 1024, 1_500_000, 3_000_000_000].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KB", "1.4 MB", "2.8 GB"]);
    }
}
