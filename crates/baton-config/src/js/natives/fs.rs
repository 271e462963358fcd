//! The file system, for `fs`: one function per system call, synchronous, errors as Node throws them.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rquickjs::{Ctx, Function, Object, Result, TypedArray};

use super::super::state::State;
use super::errno;
use super::text::from_binary;

pub(super) fn define<'js>(ctx: &Ctx<'js>, group: &Object<'js>, state: &Rc<State>) -> Result<()> {
    reading(ctx, group, state)?;
    writing(ctx, group, state)
}

fn reading<'js>(ctx: &Ctx<'js>, group: &Object<'js>, state: &Rc<State>) -> Result<()> {
    let s = state.clone();
    group.set(
        "readText",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| -> Result<String> {
            Ok(String::from_utf8_lossy(&read(&ctx, &path, &s)?).into_owned())
        }),
    )?;
    let s = state.clone();
    group.set(
        "readBytes",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| -> Result<TypedArray<'js, u8>> {
            let bytes = read(&ctx, &path, &s)?;
            TypedArray::new_copy(ctx, bytes)
        }),
    )?;
    let s = state.clone();
    group.set(
        "stat",
        // `None` for a file that is absent, where the caller asked not to throw.
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, path: String, follow: bool, throws: bool| -> Result<Option<Vec<f64>>> {
                let file = s.absolute(&path);
                s.note_looked_for(&file);
                let found = if follow { fs::metadata(&file) } else { fs::symlink_metadata(&file) };
                match found {
                    Ok(found) => Ok(Some(numbers(&found))),
                    Err(error) => {
                        if !throws {
                            return Ok(None);
                        }
                        Err(errno(&ctx, &error, if follow { "stat" } else { "lstat" }, Some(Path::new(&path))))
                    }
                }
            },
        ),
    )?;
    let s = state.clone();
    group.set(
        "readdir",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| -> Result<Vec<Vec<String>>> {
            let directory = s.absolute(&path);
            let listed = list(&directory);
            match &listed {
                Ok(_) => s.note_directory(&directory),
                Err(_) => s.note_looked_for(&directory),
            }
            listed.map_err(|error| errno(&ctx, &error, "scandir", Some(Path::new(&path))))
        }),
    )?;
    let s = state.clone();
    group.set(
        "access",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String, mode: u32| -> Result<()> {
            let file = s.absolute(&path);
            let wanted = rustix::fs::Access::from_bits_truncate(mode);
            s.note_looked_for(&file);
            rustix::fs::access(&file, wanted)
                .map_err(|error| errno(&ctx, &error.into(), "access", Some(Path::new(&path))))
        }),
    )?;
    for (name, call) in [("realpath", "lstat"), ("readlink", "readlink")] {
        let s = state.clone();
        let follow = name == "realpath";
        group.set(
            name,
            Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| -> Result<String> {
                let file = s.absolute(&path);
                s.note_looked_for(&file);
                let target = if follow { fs::canonicalize(file) } else { fs::read_link(file) };
                let target = target.map_err(|error| errno(&ctx, &error, call, Some(Path::new(&path))))?;
                Ok(target.to_string_lossy().into_owned())
            }),
        )?;
    }
    Ok(())
}

fn writing<'js>(ctx: &Ctx<'js>, group: &Object<'js>, state: &Rc<State>) -> Result<()> {
    let s = state.clone();
    group.set(
        "write",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, path: String, data: String, append: bool, mode: u32| -> Result<()> {
                let file = s.absolute(&path);
                s.note_effect(format!("wrote {}", file.display()));
                let mut options = OpenOptions::new();
                options.create(true).mode(mode).append(append);
                if !append {
                    options.write(true).truncate(true);
                }
                let written = options.open(file).and_then(|mut file| file.write_all(&from_binary(&data)));
                written.map_err(|error| errno(&ctx, &error, "open", Some(Path::new(&path))))
            },
        ),
    )?;
    let s = state.clone();
    group.set(
        "mkdir",
        Function::new(
            ctx.clone(),
            move |ctx: Ctx<'js>, path: String, recursive: bool, mode: u32| -> Result<Option<String>> {
                let directory = s.absolute(&path);
                let first = directory.ancestors().take_while(|path| !path.exists()).last().map(Path::to_path_buf);
                if first.is_some() {
                    s.note_effect(format!("made directory {}", directory.display()));
                }
                fs::DirBuilder::new()
                    .recursive(recursive)
                    .mode(mode)
                    .create(&directory)
                    .map_err(|error| errno(&ctx, &error, "mkdir", Some(Path::new(&path))))?;
                Ok(first.filter(|_| recursive).map(|path| path.to_string_lossy().into_owned()))
            },
        ),
    )?;
    one_path(ctx, group, state, "unlink", |path| fs::remove_file(path))?;
    one_path(ctx, group, state, "rmdir", |path| fs::remove_dir(path))?;
    one_path(ctx, group, state, "rm", |path| {
        if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    })?;
    two_paths(ctx, group, state, "rename", |from, to| fs::rename(from, to))?;
    two_paths(ctx, group, state, "copyfile", |from, to| fs::copy(from, to).map(drop))?;
    let s = state.clone();
    group.set(
        "symlink",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, target: String, path: String| -> Result<()> {
            let link = s.absolute(&path);
            s.note_effect(format!("symlink {}", link.display()));
            std::os::unix::fs::symlink(&target, link)
                .map_err(|error| errno(&ctx, &error, "symlink", Some(Path::new(&path))))
        }),
    )?;
    let s = state.clone();
    group.set(
        "chmod",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String, mode: u32| -> Result<()> {
            let file = s.absolute(&path);
            s.note_effect(format!("chmod {}", file.display()));
            fs::set_permissions(file, fs::Permissions::from_mode(mode))
                .map_err(|error| errno(&ctx, &error, "chmod", Some(Path::new(&path))))
        }),
    )
}

fn one_path<'js>(
    ctx: &Ctx<'js>,
    group: &Object<'js>,
    state: &Rc<State>,
    name: &'static str,
    run: fn(&Path) -> io::Result<()>,
) -> Result<()> {
    let s = state.clone();
    group.set(
        name,
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, path: String| -> Result<()> {
            let file = s.absolute(&path);
            s.note_effect(format!("{name} {}", file.display()));
            run(&file).map_err(|error| errno(&ctx, &error, name, Some(Path::new(&path))))
        }),
    )
}

fn two_paths<'js>(
    ctx: &Ctx<'js>,
    group: &Object<'js>,
    state: &Rc<State>,
    name: &'static str,
    run: fn(&Path, &Path) -> io::Result<()>,
) -> Result<()> {
    let s = state.clone();
    group.set(
        name,
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, from: String, to: String| -> Result<()> {
            let (source, target): (PathBuf, PathBuf) = (s.absolute(&from), s.absolute(&to));
            s.note_effect(format!("{name} {} {}", source.display(), target.display()));
            run(&source, &target).map_err(|error| errno(&ctx, &error, name, Some(Path::new(&from))))
        }),
    )
}

fn read(ctx: &Ctx<'_>, path: &str, state: &State) -> Result<Vec<u8>> {
    let file = state.absolute(path);
    let read = fs::metadata(&file).and_then(|found| {
        // Reading a directory fails in the read, not in the open.
        if found.is_dir() {
            Err(io::Error::from_raw_os_error(rustix::io::Errno::ISDIR.raw_os_error()))
        } else {
            fs::read(&file)
        }
    });
    match read {
        Ok(bytes) => {
            state.note_input(&file);
            Ok(bytes)
        }
        Err(error) => {
            if error.kind() == io::ErrorKind::NotFound {
                state.note_looked_for(&file);
            }
            if error.kind() == io::ErrorKind::IsADirectory {
                return Err(errno(ctx, &error, "read", None));
            }
            Err(errno(ctx, &error, "open", Some(Path::new(path))))
        }
    }
}

/// The figures of a `Stats` object, in the order in which `fs.js` reads them.
fn numbers(found: &Metadata) -> Vec<f64> {
    let milliseconds = |seconds: i64, nanoseconds: i64| seconds as f64 * 1e3 + nanoseconds as f64 / 1e6;
    vec![
        f64::from(found.mode()),
        found.size() as f64,
        milliseconds(found.atime(), found.atime_nsec()),
        milliseconds(found.mtime(), found.mtime_nsec()),
        milliseconds(found.ctime(), found.ctime_nsec()),
        found.dev() as f64,
        found.ino() as f64,
        found.nlink() as f64,
        f64::from(found.uid()),
        f64::from(found.gid()),
        found.blksize() as f64,
        found.blocks() as f64,
        found.rdev() as f64,
    ]
}

/// Name and kind of each entry, sorted as Node gives them.
fn list(directory: &Path) -> io::Result<Vec<Vec<String>>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let kind = if kind.is_file() {
            "file"
        } else if kind.is_dir() {
            "directory"
        } else if kind.is_symlink() {
            "link"
        } else if kind.is_socket() {
            "socket"
        } else if kind.is_fifo() {
            "fifo"
        } else {
            "device"
        };
        entries.push(vec![entry.file_name().to_string_lossy().into_owned(), kind.to_owned()]);
    }
    entries.sort();
    Ok(entries)
}
