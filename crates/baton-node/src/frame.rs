//! The channel's frames: one JSON value and a newline each.

use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Longest frame that is accepted, in bytes. Node has no limit; a program that sends more than this is broken or hostile.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;

/// Longest frame that is read in full, in bytes: what is made of it may be many times as large. Of a longer one only what
/// kind of Node's own messages it is counts, for its sender may wait for an answer.
const MAX_READ: usize = 1024 * 1024;

/// How much room is kept for the next frames.
const MAX_KEPT: usize = 128 * 1024;

/// Bun marks the frames that are its own runtime's with this byte, and expects it on ours.
const MARK: u8 = 2;

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Up to here frames were taken out.
    start: usize,
    /// From there up to here there is no newline.
    searched: usize,
}

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// What it says; `None` for a line that is no JSON or too long to read, which is dropped.
    pub value: Option<Value>,
    /// Whether it came with Bun's mark.
    pub marked: bool,
    /// How many bytes of the stream it took, its newline included.
    pub length: usize,
}

/// A frame that is longer than [`MAX_FRAME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Decoder {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// When what has come so far is longer than any frame may be.
    pub fn take(&mut self) -> Result<Option<Frame>, TooLong> {
        let Some(at) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return if self.pending() > MAX_FRAME { Err(TooLong) } else { Ok(None) };
        };
        let end = self.searched + at;
        let text = &self.bytes[self.start..end];
        let length = text.len() + 1;
        let (marked, text) = match text.strip_prefix(&[MARK]) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let value = read(text);
        self.start = end + 1;
        self.searched = self.start;
        if self.pending() == 0 {
            // What one long frame took is not kept for ever.
            (self.start, self.searched) = (0, 0);
            self.bytes.clear();
            self.bytes.shrink_to(MAX_KEPT);
        }
        Ok(Some(Frame { value, marked, length }))
    }

    /// Bytes of a frame that is not whole yet.
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.start
    }
}

fn read(text: &[u8]) -> Option<Value> {
    /// All that is read of a long one.
    #[derive(Deserialize)]
    struct Long<'a> {
        #[serde(borrow)]
        cmd: Cow<'a, str>,
    }
    if text.len() <= MAX_READ {
        return serde_json::from_slice(text).ok();
    }
    let Long { cmd } = serde_json::from_slice(text).ok()?;
    (cmd.starts_with("NODE_") && cmd.len() < 64).then(|| json!({ "cmd": cmd }))
}

/// A message as it goes over the channel.
pub fn encode(message: &Value, marked: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    if marked {
        bytes.push(MARK);
    }
    bytes.extend_from_slice(message.to_string().as_bytes());
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn all(decoder: &mut Decoder) -> Vec<Frame> {
        std::iter::from_fn(|| decoder.take().unwrap()).collect()
    }

    #[test]
    fn what_is_no_json_is_dropped_and_the_rest_goes_on() {
        let mut decoder = Decoder::default();
        decoder.push(b"\"ready\"\nnonsense\n\x02{\"cmd\":\"NODE_CLUSTER\"}\n{\"half\":");
        let frames = all(&mut decoder);
        assert_eq!(frames[0], Frame { value: Some(json!("ready")), marked: false, length: 8 });
        assert_eq!(frames[1].value, None);
        assert!(frames[2].marked);
        assert_eq!((frames.len(), decoder.pending()), (3, 8));
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(&vec![b'x'; MAX_FRAME + 1]);
        assert_eq!(decoder.take(), Err(TooLong));
    }

    #[test]
    fn of_a_long_frame_only_that_it_is_nodes_is_read() {
        let mut decoder = Decoder::default();
        let long = || "[0],".repeat(MAX_READ / 4) + "0";
        for text in [format!("[{}]", long()), format!("{{\"type\":\"x\",\"data\":[{}]}}", long())] {
            decoder.push(format!("{text}\n").as_bytes());
            assert_eq!(decoder.take(), Ok(Some(Frame { value: None, marked: false, length: text.len() + 1 })));
        }
        let text = format!("{{\"msg\":[{}],\"cmd\":\"NODE_HANDLE\"}}\n1\n", long());
        decoder.push(text.as_bytes());
        let frames = all(&mut decoder);
        assert_eq!(frames[0].value, Some(json!({ "cmd": "NODE_HANDLE" })));
        assert_eq!((frames[1].value.as_ref(), decoder.pending()), (Some(&json!(1)), 0));
        assert!(decoder.bytes.capacity() <= MAX_KEPT, "{}", decoder.bytes.capacity());
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_frames(texts in prop::collection::vec(".*", 0..20), cuts in prop::collection::vec(1usize..50, 0..200)) {
            let stream: Vec<u8> = texts.iter().flat_map(|text| encode(&json!(text), false)).collect();
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.into_iter().chain(std::iter::repeat(7)));
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                decoder.push(now);
                seen.extend(all(&mut decoder));
                rest = later;
            }
            prop_assert_eq!(seen.iter().map(|frame| frame.length).sum::<usize>(), stream.len());
            prop_assert_eq!(seen.into_iter().map(|frame| frame.value).collect::<Vec<_>>(), texts.iter().map(|text| Some(json!(text))).collect::<Vec<_>>());
        }
    }
}
