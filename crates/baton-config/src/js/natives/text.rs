//! Bytes to text and back, for `Buffer`, `TextEncoder` and `TextDecoder`.
//!
//! Bytes come from JavaScript as a *binary string*, one character a byte (`native.binary` in `bootstrap.js`): to look
//! into the engine's own buffers would need `unsafe`.

use rquickjs::{Ctx, Function, Object, Result, TypedArray};

/// The bytes of a binary string.
pub(super) fn from_binary(text: &str) -> Vec<u8> {
    text.chars().map(|c| u32::from(c) as u8).collect()
}

pub(super) fn define<'js>(ctx: &Ctx<'js>, group: &Object<'js>) -> Result<()> {
    group.set(
        "encode",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, text: String| TypedArray::<u8>::new_copy(ctx, text)),
    )?;
    group.set(
        "decode",
        Function::new(ctx.clone(), |binary: String| String::from_utf8_lossy(&from_binary(&binary)).into_owned()),
    )?;
    Ok(())
}
