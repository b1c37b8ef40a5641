//! Modules that wasm-smith made while this crate was built, from the seeds 0, 1, 2, …: the same on
//! every machine. `build.rs` says of what, and how to have more of them.
#![forbid(unsafe_code)]

static MODULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/modules"));

/// The modules, in the order of their seeds.
pub fn modules() -> impl Iterator<Item = &'static [u8]> {
    let mut rest = MODULES;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (module, after) = after.split_at_checked(len)?;
        rest = after;
        Some(module)
    })
}
