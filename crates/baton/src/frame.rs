//! Frames on the native socket: a 4-byte big-endian length and that many bytes of JSON.
//!
//! A length beyond [`MAX_FRAME`] is refused before anything is allocated, and a body is read as it comes: whoever
//! announces much and sends little costs little.

use baton_core::proto::MAX_FRAME;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room that is made for a body before any of it is there, in bytes.
const AHEAD: usize = 1024 * 1024;

/// Why a frame could not be read or written.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// The connection failed, or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A frame of this many bytes is longer than both sides allow.
    #[error("a message of {0} bytes is too long")]
    TooLong(u64),
    /// The bytes are no message of this protocol.
    #[error("not a message of this protocol: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The message as a frame, ready to be written.
///
/// # Errors
/// When it is longer than [`MAX_FRAME`].
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() as u64 - 4;
    if length > u64::from(MAX_FRAME) {
        return Err(FrameError::TooLong(length));
    }
    // The comparison above makes the length fit.
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(bytes)
}

/// Writes one message.
///
/// # Errors
/// When it is too long or the connection fails.
pub(crate) fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> Result<(), FrameError> {
    stream.write_all(&encode(message)?)?;
    Ok(())
}

/// Reads one message; `None` when the other side has closed between two messages.
///
/// # Errors
/// When the frame is too long, is no message, or the connection fails or ends inside it.
pub(crate) fn read<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match stream.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = checked(head)?;
    let mut body = Vec::with_capacity(usize::try_from(length).map_or(AHEAD, |length| length.min(AHEAD)));
    stream.take(length).read_to_end(&mut body)?;
    decode(&body, length).map(Some)
}

/// [`read`] for the daemon's side.
///
/// # Errors
/// As [`read`].
pub(crate) async fn receive<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<T>, FrameError> {
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match stream.read(&mut head[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            count => filled += count,
        }
    }
    let length = checked(head)?;
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body).await?;
    decode(&body, length).map(Some)
}

fn checked(head: [u8; 4]) -> Result<u64, FrameError> {
    let length = u32::from_be_bytes(head);
    if length > MAX_FRAME { Err(FrameError::TooLong(length.into())) } else { Ok(length.into()) }
}

fn decode<T: DeserializeOwned>(body: &[u8], length: u64) -> Result<T, FrameError> {
    if (body.len() as u64) < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::proto::{ClientMessage, Request};

    fn hello() -> Vec<u8> {
        encode(&ClientMessage { id: 7, request: Request::Hello { protocol: 1 } }).unwrap()
    }

    #[test]
    fn what_was_encoded_is_read_back_and_the_end_between_frames_is_no_error() {
        let bytes = [hello(), hello()].concat();
        let mut stream = &bytes[..];
        for _ in 0..2 {
            let message: ClientMessage = read(&mut stream).unwrap().unwrap();
            assert_eq!(message.id, 7);
            assert!(matches!(message.request, Request::Hello { protocol: 1 }));
        }
        assert!(read::<ClientMessage>(&mut stream).unwrap().is_none());
    }

    #[test]
    fn every_cut_inside_a_frame_is_an_error() {
        let bytes = hello();
        for cut in 1..bytes.len() {
            let result = read::<ClientMessage>(&mut &bytes[..cut]);
            assert!(
                matches!(result, Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_the_body_is_read() {
        let mut bytes = (MAX_FRAME + 1).to_be_bytes().to_vec();
        bytes.extend_from_slice(b"rest");
        let mut stream = &bytes[..];
        assert!(
            matches!(read::<ClientMessage>(&mut stream), Err(FrameError::TooLong(n)) if n == u64::from(MAX_FRAME) + 1)
        );
        assert_eq!(stream, b"rest");
    }

    #[test]
    fn garbage_is_named_as_such() {
        let bytes = [&3_u32.to_be_bytes()[..], b"\xff{]"].concat();
        assert!(matches!(read::<ClientMessage>(&mut &bytes[..]), Err(FrameError::Malformed(_))));
    }
}
