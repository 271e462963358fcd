//! The addresses of this machine's network interfaces, as the kernel lists them.

use rquickjs::{Ctx, IntoJs, Result, Value};

/// One address of an interface that is up.
pub(super) struct Address {
    name: String,
    mac: String,
    loopback: bool,
    /// Length of the network's part, in bits.
    prefix: u8,
    /// The interface's number for an address that holds on its link only, else 0.
    scope: u32,
    /// Four bytes, or sixteen.
    bytes: Vec<u8>,
}

impl<'js> IntoJs<'js> for Address {
    /// `[name, mac, loopback, prefix, scope, …bytes]`.
    fn into_js(self, ctx: &Ctx<'js>) -> Result<Value<'js>> {
        let list = rquickjs::Array::new(ctx.clone())?;
        list.set(0, self.name)?;
        list.set(1, self.mac)?;
        list.set(2, self.loopback)?;
        list.set(3, self.prefix)?;
        list.set(4, self.scope)?;
        for (at, byte) in self.bytes.into_iter().enumerate() {
            list.set(5 + at, byte)?;
        }
        Ok(list.into_value())
    }
}

/// All addresses; `None` where the kernel does not tell.
#[cfg(target_os = "linux")]
pub(super) fn addresses() -> Option<Vec<Address>> {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
    // Without a protocol it is the one of routes.
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).ok()?;
    send(&kernel, &request(), SendFlags::empty()).ok()?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (length, _) = recv(&kernel, buffer.as_mut_slice(), RecvFlags::empty()).ok()?;
        if !read(buffer.get(..length)?, &mut found)? {
            return Some(found);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn addresses() -> Option<Vec<Address>> {
    None
}

#[cfg(target_os = "linux")]
const LIST_ADDRESSES: u16 = 22;
#[cfg(target_os = "linux")]
const AN_ADDRESS: u16 = 20;
#[cfg(target_os = "linux")]
const FAILED: u16 = 2;
#[cfg(target_os = "linux")]
const DONE: u16 = 3;

/// The message that asks for all addresses (`RTM_GETADDR`, as a dump).
#[cfg(target_os = "linux")]
fn request() -> Vec<u8> {
    const REQUEST_AND_DUMP: u16 = 0x301;
    let mut message = Vec::with_capacity(24);
    message.extend(24_u32.to_ne_bytes());
    message.extend(LIST_ADDRESSES.to_ne_bytes());
    message.extend(REQUEST_AND_DUMP.to_ne_bytes());
    // Number, sender, and an `ifaddrmsg` of any family.
    message.extend([0; 16]);
    message
}

/// Reads the messages of one answer; `false` after the last. `None`: it makes no sense.
#[cfg(target_os = "linux")]
fn read(mut rest: &[u8], found: &mut Vec<Address>) -> Option<bool> {
    while rest.len() >= 16 {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let message = rest.get(16..length)?;
        match u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?) {
            DONE => return Some(false),
            FAILED => return None,
            AN_ADDRESS => found.extend(address(message)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(true)
}

/// Reads an `ifaddrmsg` with its attributes; `None` for an interface that is down.
#[cfg(target_os = "linux")]
fn address(message: &[u8]) -> Option<Address> {
    const INET: u8 = 2;
    const INET6: u8 = 10;
    const LINK: u8 = 253;
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    const LABEL: u16 = 3;
    let (family, prefix, reach) = (*message.first()?, *message.get(1)?, *message.get(3)?);
    let index = u32::from_ne_bytes(message.get(4..8)?.try_into().ok()?);
    let (mut own, mut local, mut label) = (None, None, None);
    let mut rest = message.get(8..)?;
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let value = rest.get(4..length)?;
        match u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) {
            ADDRESS => own = Some(value),
            LOCAL => local = Some(value),
            LABEL => label = Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // Of two ends, `LOCAL` is this one.
    let bytes = local.or(own)?.to_vec();
    if !matches!((family, bytes.len()), (INET, 4) | (INET6, 16)) {
        return None;
    }
    let device = device(index)?;
    let scope = if family == INET6 && reach == LINK { index } else { 0 };
    let name = label.unwrap_or_else(|| device.name.clone());
    Some(Address { name, mac: device.mac, loopback: device.loopback, prefix, scope, bytes })
}

#[cfg(target_os = "linux")]
struct Device {
    name: String,
    mac: String,
    loopback: bool,
}

/// The interface of a number, when it is up.
#[cfg(target_os = "linux")]
fn device(index: u32) -> Option<Device> {
    const UP: u32 = 1;
    const LOOPBACK: u32 = 8;
    for entry in std::fs::read_dir("/sys/class/net").ok()?.flatten() {
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).map(|text| text.trim().to_owned());
        if read("ifindex").ok().and_then(|text| text.parse().ok()) != Some(index) {
            continue;
        }
        let flags = read("flags").ok()?;
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let carries = matches!(read("operstate").as_deref(), Ok("up" | "unknown"));
        let mac = read("address").ok().filter(|mac| mac.len() == 17).unwrap_or_else(|| "00:00:00:00:00:00".into());
        let name = entry.file_name().to_string_lossy().into_owned();
        return (flags & UP != 0 && carries).then_some(Device { name, mac, loopback: flags & LOOPBACK != 0 });
    }
    None
}
