//! The program under measurement: this same executable, run by the managers as `bench app VERB …`.
//!
//! * `announce SOCKET`: connects to the socket, then lives until it is ended
//! * `write SOCKET SIZE TOTAL`: connects, waits for one byte, writes `TOTAL` bytes of 100-byte lines in writes of `SIZE`
//!   to standard output, says so on the socket, and lives until it is ended. The last line alone holds a `Z`.
//! * `pace SOCKET RATE`: connects, waits for one byte, then writes lines at this rate, in bytes a second, until it is ended
//! * `answer SOCKET`: connects, and for each byte that comes writes a line with its number
//! * `take SOCKET SIZE`: connects, waits for one byte, takes `SIZE` bytes of memory, says so, and lives until it is ended
//! * `load FILE`: evaluates a process file and prints how many apps it has

use crate::failure::Failure;
use crate::proc::ready_within;
use baton_config::{LoadOptions, load};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Length of a line, in bytes, with its newline.
pub(crate) const LINE: usize = 100;
/// What `pace` is asked for, in bytes a second.
pub(crate) const RATE: usize = 1_000_000;
/// How often `pace` writes.
const BEAT: Duration = Duration::from_millis(10);
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
        [verb, socket, rate] if verb == "pace" => pace(connect(socket)?, number(rate)?),
        [verb, socket] if verb == "answer" => answer(connect(socket)?),
        [verb, socket, size] if verb == "take" => take(connect(socket)?, number(size)?),
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
    let mut output = output()?;
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

/// In whole lines, on the beat: what comes late, because the output was full or the processor busy, is not made up for.
fn pace(mut stream: UnixStream, rate: usize) -> Result<(), Failure> {
    let lines = rate / LINE * usize::try_from(BEAT.as_millis()).unwrap_or(1) / 1000;
    let pattern = line(b'a').repeat(lines.max(1));
    stream.read_exact(&mut [0]).map_err(Failure::system("waiting for the bench"))?;
    let mut output = output()?;
    let mut next = Instant::now();
    loop {
        output.write_all(&pattern).map_err(Failure::system("writing the output"))?;
        next = (next + BEAT).max(Instant::now());
        if ready_within(&stream, next.saturating_duration_since(Instant::now())).map_err(Failure::system("waiting"))? {
            return Ok(());
        }
    }
}

fn answer(mut stream: UnixStream) -> Result<(), Failure> {
    let mut output = output()?;
    for count in 1_u32.. {
        match stream.read(&mut [0]).map_err(Failure::system("waiting for the bench"))? {
            0 => break,
            _ => {
                output.write_all(format!("line {count}\n").as_bytes()).map_err(Failure::system("writing the output"))?
            }
        }
    }
    Ok(())
}

fn take(mut stream: UnixStream, size: usize) -> Result<(), Failure> {
    stream.read_exact(&mut [0]).map_err(Failure::system("waiting for the bench"))?;
    // Written to, so that it is really there.
    let taken = vec![1_u8; size];
    stream.write_all(b"!").map_err(Failure::system("telling the bench"))?;
    let end = live(&stream);
    drop(std::hint::black_box(taken));
    end
}

/// Rust's own standard output gathers lines; the writes must arrive as they are.
fn output() -> Result<File, Failure> {
    let output = std::io::stdout().as_fd().try_clone_to_owned().map_err(Failure::system("opening the output"))?;
    Ok(File::from(output))
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
