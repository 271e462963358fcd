//! Hashes and randomness, for `crypto`.

use std::io::Read;

use md5::{Digest, Md5};
use rquickjs::{Ctx, Function, Object, Result, TypedArray};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::text::from_binary;

pub(super) fn define<'js>(ctx: &Ctx<'js>, group: &Object<'js>) -> Result<()> {
    group.set(
        "hash",
        Function::new(
            ctx.clone(),
            |ctx: Ctx<'js>, name: String, data: String| -> Result<Option<TypedArray<'js, u8>>> {
                hash(&name, &from_binary(&data)).map(|digest| TypedArray::new_copy(ctx, digest)).transpose()
            },
        ),
    )?;
    group.set(
        "random",
        Function::new(ctx.clone(), |ctx: Ctx<'js>, length: u32| -> Result<TypedArray<'js, u8>> {
            let mut bytes = vec![0; length as usize];
            std::fs::File::open("/dev/urandom")
                .and_then(|mut source| source.read_exact(&mut bytes))
                .map_err(|error| super::errno(&ctx, &error, "getrandom", None))?;
            TypedArray::new_copy(ctx, bytes)
        }),
    )?;
    Ok(())
}

/// The digest under one of Node's names for an algorithm; `None` for one that we lack.
fn hash(name: &str, data: &[u8]) -> Option<Vec<u8>> {
    Some(match name.to_ascii_lowercase().replace('-', "").as_str() {
        "md5" => Md5::digest(data).to_vec(),
        "sha1" => Sha1::digest(data).to_vec(),
        "sha224" => Sha224::digest(data).to_vec(),
        "sha256" => Sha256::digest(data).to_vec(),
        "sha384" => Sha384::digest(data).to_vec(),
        "sha512" => Sha512::digest(data).to_vec(),
        _ => return None,
    })
}
