//! Writing to the standard input of apps. The daemon says where it is; the bytes go there without it, so that its death
//! loses none of them.

use crate::client::{Client, ClientError};
use crate::home::Home;
use baton_core::proto::{Reply, Request};
use baton_core::units::InstanceId;
use baton_os::fifo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// The standard input of one slot, whichever life it has.
#[derive(Debug)]
pub(crate) struct Input {
    home: Home,
    id: InstanceId,
    /// How long to wait for a program that does not read; for ever without it.
    patience: Option<Duration>,
    pipe: Option<OwnedFd>,
}

impl Input {
    /// That of this slot. Nothing is asked yet.
    pub(crate) fn new(home: Home, id: InstanceId, patience: Option<Duration>) -> Input {
        Input { home, id, patience, pipe: None }
    }

    /// Opens that of the life which the slot has now.
    ///
    /// # Errors
    /// When the slot has none, or does not run: in words for people.
    pub(crate) fn open(&mut self) -> Result<(), String> {
        let connected = Client::connect_or_start(&self.home);
        let asked = connected.and_then(|mut client| client.call(Request::Input { id: self.id }));
        let path = match asked.map_err(|error: ClientError| error.to_string())? {
            Reply::Input(path) => path,
            Reply::Refused(refusal) => return Err(refusal.to_string()),
            _ => return Err("the daemon answered something else".into()),
        };
        match fifo::open_writer(Path::new(&path)) {
            Ok(pipe) => self.pipe = Some(pipe),
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                return Err(format!("Process with ID <{}> has closed its standard input.", self.id));
            }
            Err(error) => return Err(format!("{path}: {error}")),
        }
        Ok(())
    }

    /// Writes all of it. When the life has ended since the last time, the next one gets it.
    ///
    /// # Errors
    /// As [`Input::open`], and when the program does not read in time.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let pipe = match &self.pipe {
                Some(pipe) => pipe,
                None => {
                    self.open()?;
                    continue;
                }
            };
            match write(pipe, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.await_room(pipe)?,
                // What the old life has not taken of it is for the new one as a whole.
                Err(Errno::PIPE) => (self.pipe, rest) = (None, bytes),
                Err(error) => return Err(format!("standard input of process {}: {error}", self.id)),
            }
        }
        Ok(())
    }

    fn await_room(&self, pipe: &OwnedFd) -> Result<(), String> {
        let patience = self.patience.and_then(|patience| Timespec::try_from(patience).ok());
        match poll(&mut [PollFd::new(pipe, PollFlags::OUT)], patience.as_ref()) {
            Ok(0) => Err(format!("Process with ID <{}> does not read its standard input.", self.id)),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(format!("standard input of process {}: {error}", self.id)),
        }
    }
}
