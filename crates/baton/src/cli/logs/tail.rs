//! The last lines of a file, read backwards in blocks: a log of many gigabytes costs no more than a small one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is read at once, in bytes.
const BLOCK: u64 = 64 * 1024;

/// The last `count` lines of a file and the offset behind them. A last line without its newline counts as one.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn last_lines(file: &File, count: usize) -> io::Result<(Vec<u8>, u64)> {
    let end = file.metadata()?.len();
    if count == 0 {
        return Ok((Vec::new(), end));
    }
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut start = end;
    let mut newlines = 0;
    'reading: while start > 0 {
        let size = BLOCK.min(start);
        let mut block = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut block, start - size)?;
        for at in (0..block.len()).rev().filter(|at| block[*at] == b'\n') {
            // The newline that ends the last line is none that separates two.
            let ends_the_file = start - size + at as u64 + 1 == end;
            newlines += usize::from(!ends_the_file);
            if newlines == count {
                blocks.push(block.split_off(at + 1));
                break 'reading;
            }
        }
        blocks.push(block);
        start -= size;
    }
    blocks.reverse();
    Ok((blocks.concat(), end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tail(content: &[u8], count: usize) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let (lines, end) = last_lines(&file, count).unwrap();
        assert_eq!(end, content.len() as u64);
        lines
    }

    #[test]
    fn the_last_lines_are_those_at_the_end() {
        assert_eq!(tail(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(tail(b"a\nb\nc", 2), b"b\nc");
        assert_eq!(tail(b"a\nb\n", 9), b"a\nb\n");
        assert_eq!(tail(b"a\n\n\n", 2), b"\n\n");
        assert_eq!(tail(b"", 5), b"");
        assert_eq!(tail(b"a\n", 0), b"");
    }

    #[test]
    fn lines_may_cross_blocks_and_hold_any_byte() {
        let long = vec![0xff_u8; 200_000];
        let content = [b"first\n", &long[..], b"\nlast\n"].concat();
        assert_eq!(tail(&content, 1), b"last\n");
        assert_eq!(tail(&content, 2), [&long[..], b"\nlast\n"].concat());
        assert_eq!(tail(&content, 3), content);
        let exact = [vec![b'x'; 65_535], b"\n".to_vec(), vec![b'y'; 65_535], b"\n".to_vec()].concat();
        assert_eq!(tail(&exact, 1), exact[65_536..]);
    }
}
