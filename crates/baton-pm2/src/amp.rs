//! The framing of PM2's sockets (amp): a byte of version and count, then each argument with its length in front.
//!
//! A decoder takes bytes as they come and gives whole messages. It never trusts a length: what is announced longer
//! than [`MAX_ARGUMENT`] is refused before anything is kept for it.

use serde_json::Value;
use thiserror::Error;

/// Longest argument that is accepted, in bytes.
pub const MAX_ARGUMENT: u32 = 64 * 1024 * 1024;

/// The version in the upper half of a message's first byte.
const VERSION: u8 = 1;
/// Most arguments that fit into its lower half.
const MOST: usize = 15;

/// One argument of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A JSON value.
    Json(Value),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmpError {
    /// The first byte carries another version.
    #[error("a message of version {0} instead of 1")]
    Version(u8),
    /// An argument is announced longer than is accepted (bytes).
    #[error("an argument of {0} bytes is too long")]
    TooLong(u32),
    /// An argument says that it is JSON, and is not.
    #[error("an argument that is no JSON: {0}")]
    Json(String),
    /// More arguments than a message can hold.
    #[error("{0} arguments do not fit into one message")]
    TooMany(usize),
}

/// A message of these arguments.
///
/// # Errors
/// When there are more than 15, or one is too long.
pub fn encode(arguments: &[Argument]) -> Result<Vec<u8>, AmpError> {
    let count = u8::try_from(arguments.len()).ok().filter(|count| usize::from(*count) <= MOST);
    let count = count.ok_or(AmpError::TooMany(arguments.len()))?;
    let mut message = vec![VERSION << 4 | count];
    for argument in arguments {
        let bytes = match argument {
            Argument::Text(text) => [b"s:", text.as_bytes()].concat(),
            Argument::Json(value) => format!("j:{value}").into_bytes(),
            Argument::Bytes(bytes) => bytes.clone(),
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if length > MAX_ARGUMENT {
            return Err(AmpError::TooLong(length));
        }
        message.extend(length.to_be_bytes());
        message.extend(bytes);
    }
    Ok(message)
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Arguments of the message under way, and where the next one begins in the buffer.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    missing: u8,
    arguments: Vec<Argument>,
}

impl Decoder {
    /// Takes bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, when it is there. After an error the stream is of no further use.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub fn next_message(&mut self) -> Result<Option<Vec<Argument>>, AmpError> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => {
                let Some(&first) = self.buffer.first() else {
                    return Ok(None);
                };
                if first >> 4 != VERSION {
                    return Err(AmpError::Version(first >> 4));
                }
                self.buffer.drain(..1);
                Begun { missing: first & 0x0f, arguments: Vec::new() }
            }
        };
        let mut at = 0;
        while begun.missing > 0 {
            let Some(bytes) = argument(&self.buffer[at..])? else {
                self.buffer.drain(..at);
                self.begun = Some(begun);
                return Ok(None);
            };
            begun.arguments.push(parse(bytes)?);
            begun.missing -= 1;
            at += 4 + bytes.len();
        }
        self.buffer.drain(..at);
        Ok(Some(begun.arguments))
    }
}

/// The bytes of the argument that begins here, once all have arrived.
fn argument(buffer: &[u8]) -> Result<Option<&[u8]>, AmpError> {
    let Some((head, rest)) = buffer.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*head);
    if length > MAX_ARGUMENT {
        return Err(AmpError::TooLong(length));
    }
    Ok(rest.get(..length as usize))
}

fn parse(bytes: &[u8]) -> Result<Argument, AmpError> {
    if let Some(json) = bytes.strip_prefix(b"j:") {
        return serde_json::from_slice(json).map(Argument::Json).map_err(|error| AmpError::Json(error.to_string()));
    }
    let text = bytes.strip_prefix(b"s:").and_then(|text| std::str::from_utf8(text).ok());
    Ok(text.map_or_else(|| Argument::Bytes(bytes.to_vec()), |text| Argument::Text(text.to_owned())))
}
