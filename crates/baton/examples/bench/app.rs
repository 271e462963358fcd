//! The program under measurement: this same executable, run by the managers as `bench app VERB …`.
//!
//! * `announce SOCKET`: connects to the socket, then lives until it is ended
//! * `write SOCKET SIZE TOTAL`: connects, waits for one byte, writes `TOTAL` bytes of 100-byte lines in writes of `SIZE`
//!   to standard output, says so on the socket, and lives until it is ended. The last line alone holds a `Z`.
//! * `load FILE`: evaluates a process file and prints how many apps it has

use crate::failure::Failure;
use baton_config::{LoadOptions, load};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

/// Length of a line, in bytes, with its newline.
pub(crate) const LINE: usize = 100;
/// Stands in the last line only.
pub(crate) const LAST: u8 = b'Z';

/// Acts as the app when called so; `None` when this is the bench.
pub(crate) fn main() -> Option<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [word, arguments @ ..] = &arguments[..] else { return None };
    if word != "app" {
        return None;
    }
    Some(match act(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench app: {failure}");
            ExitCode::FAILURE
        }
    })
}

fn act(arguments: &[OsString]) -> Result<(), Failure> {
    match arguments {
        [verb, socket] if verb == "announce" => live(&connect(socket)?),
        [verb, socket, size, total] if verb == "write" => write(connect(socket)?, number(size)?, number(total)?),
        [verb, file] if verb == "load" => evaluate(Path::new(file)),
        _ => Err(invalid("understanding the arguments")),
    }
}

fn connect(socket: &OsString) -> Result<UnixStream, Failure> {
    UnixStream::connect(socket).map_err(Failure::system("connecting to the bench"))
}

/// Until the bench is gone or a signal comes.
fn live(mut stream: &UnixStream) -> Result<(), Failure> {
    let end = std::io::copy(&mut stream, &mut std::io::sink());
    end.map(drop).map_err(Failure::system("waiting for the end"))
}

fn write(mut stream: UnixStream, size: usize, total: usize) -> Result<(), Failure> {
    if size == 0 || !total.is_multiple_of(LINE) || total == 0 {
        return Err(invalid("cutting the output in lines"));
    }
    // Whole lines, and enough that a write of any length can begin at any place of a line.
    let mut pattern = line(b'a').repeat(size.div_ceil(LINE) + 1);
    let last = line(LAST);
    stream.read_exact(&mut [0]).map_err(Failure::system("waiting for the bench"))?;
    // Rust's own standard output gathers lines; the writes must arrive as they are.
    let output = std::io::stdout().as_fd().try_clone_to_owned().map_err(Failure::system("opening the output"))?;
    let mut output = File::from(output);
    let mut written = 0;
    while written < total {
        let length = size.min(total - written);
        let from = written % LINE;
        if written + length == total {
            let end = from + length;
            pattern.truncate(end);
            let keep = end.saturating_sub(LINE);
            pattern[keep..].copy_from_slice(&last[LINE - (end - keep)..]);
        }
        output.write_all(&pattern[from..from + length]).map_err(Failure::system("writing the output"))?;
        written += length;
    }
    stream.write_all(b"!").map_err(Failure::system("telling the bench"))?;
    live(&stream)
}

fn line(letter: u8) -> Vec<u8> {
    let mut line = vec![letter; LINE];
    line[LINE - 1] = b'\n';
    line
}

fn evaluate(file: &Path) -> Result<(), Failure> {
    let caller_cwd = std::env::current_dir().map_err(Failure::system("finding the working directory"))?;
    let caller_env = std::env::vars().collect();
    let home = caller_cwd.clone();
    let loaded = load(file, &LoadOptions { caller_env, caller_cwd, home, ..LoadOptions::default() })?;
    println!("{}", loaded.apps.len());
    Ok(())
}

fn number(text: &OsString) -> Result<usize, Failure> {
    text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| invalid("reading a number"))
}

fn invalid(doing: &str) -> Failure {
    Failure::System { doing: doing.into(), reason: std::io::ErrorKind::InvalidInput.into() }
}
