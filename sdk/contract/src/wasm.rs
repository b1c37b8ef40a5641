//! The host behind its imports, and what a module without `std` needs: an allocator and an end for
//! panics.
#![allow(
    unsafe_code,
    reason = "imports, a global allocator and linear memory cannot be had without it"
)]

use alloc::vec;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::Cell;

use crate::env::reverted;
use crate::{AccountId, CallError, Caller, ContractId, Env, abi};

mod imports {
    #[link(wasm_import_module = "chancery")]
    unsafe extern "C" {
        pub(super) fn input(out: *mut u8, capacity: usize) -> usize;
        pub(super) fn storage_get(
            key: *const u8,
            key_len: usize,
            out: *mut u8,
            capacity: usize,
        ) -> i32;
        pub(super) fn storage_set(
            key: *const u8,
            key_len: usize,
            value: *const u8,
            value_len: usize,
        );
        pub(super) fn storage_remove(key: *const u8, key_len: usize);
        pub(super) fn caller(out: *mut u8) -> i32;
        pub(super) fn own_address(out: *mut u8);
        pub(super) fn transaction_id(out: *mut u8);
        pub(super) safe fn block_time() -> u64;
        pub(super) safe fn block_height() -> u64;
        pub(super) fn emit(topic: *const u8, topic_len: usize, data: *const u8, data_len: usize);
        pub(super) fn return_value(data: *const u8, len: usize);
        pub(super) fn revert(code: u32, data: *const u8, len: usize);
        pub(super) safe fn bad_arguments();
        pub(super) fn sha256(data: *const u8, len: usize, out: *mut u8);
        pub(super) fn roles(account: *const u8) -> i32;
        pub(super) fn call(
            contract: *const u8,
            method: *const u8,
            method_len: usize,
            args: *const u8,
            args_len: usize,
        ) -> i32;
        pub(super) fn view(
            contract: *const u8,
            method: *const u8,
            method_len: usize,
            args: *const u8,
            args_len: usize,
        ) -> i32;
        pub(super) fn call_output(out: *mut u8, capacity: usize) -> usize;
        pub(super) fn debug_log(text: *const u8, len: usize);
    }
}

/// What most stored values fit into, so that one call to the host is enough.
const FIRST_READ_BYTES: usize = 128;

#[derive(Debug)]
pub(crate) struct Host;

fn read_32(import: unsafe extern "C" fn(*mut u8)) -> [u8; 32] {
    let mut bytes = [0; 32];
    // SAFETY: the import writes 32 bytes, which is what `bytes` has.
    unsafe { import(bytes.as_mut_ptr()) };
    bytes
}

type CallImport = unsafe extern "C" fn(*const u8, *const u8, usize, *const u8, usize) -> i32;

fn called(
    import: CallImport,
    contract: ContractId,
    method: &str,
    args: &[u8],
) -> Result<Vec<u8>, CallError> {
    let (address, name, args_at) = (contract.0.as_ptr(), method.as_ptr(), args.as_ptr());
    // SAFETY: an address has 32 bytes, and the others come with the lengths of live slices.
    let status = unsafe { import(address, name, method.len(), args_at, args.len()) };
    // SAFETY: nothing is written where there is no capacity.
    let len = unsafe { imports::call_output(core::ptr::null_mut(), 0) };
    let mut output = vec![0; len];
    if len > 0 {
        // SAFETY: `output` has `len` bytes.
        unsafe { imports::call_output(output.as_mut_ptr(), len) };
    }
    match status {
        abi::RETURNED => Ok(output),
        _ => Err(reverted(&output)),
    }
}

// SAFETY of every import below: a pointer comes with the length of the live slice or vector that
// it was taken from, and the host neither keeps it nor touches memory beyond.
impl Host {
    pub(crate) fn input(&self) -> Vec<u8> {
        let len = unsafe { imports::input(core::ptr::null_mut(), 0) };
        let mut bytes = vec![0; len];
        unsafe { imports::input(bytes.as_mut_ptr(), len) };
        bytes
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let read = |into: &mut Vec<u8>| {
            let (out, capacity) = (into.as_mut_ptr(), into.len());
            let len = unsafe { imports::storage_get(key.as_ptr(), key.len(), out, capacity) };
            // Lengths are below 2^31: a module's memory is.
            (len != abi::ABSENT).then_some(len.unsigned_abs() as usize)
        };
        let mut bytes = vec![0; FIRST_READ_BYTES];
        let len = read(&mut bytes)?;
        if len > bytes.len() {
            bytes = vec![0; len];
            read(&mut bytes)?;
        }
        bytes.truncate(len);
        Some(bytes)
    }

    pub(crate) fn set(&self, key: &[u8], value: &[u8]) {
        unsafe { imports::storage_set(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        unsafe { imports::storage_remove(key.as_ptr(), key.len()) }
    }

    pub(crate) fn caller(&self) -> Caller {
        let mut bytes = [0; 32];
        // SAFETY: as in `read_32`.
        match unsafe { imports::caller(bytes.as_mut_ptr()) } {
            abi::CALLER_ACCOUNT => Caller::Account(AccountId(bytes)),
            abi::CALLER_CONTRACT => Caller::Contract(ContractId(bytes)),
            _ => Caller::Nobody,
        }
    }

    pub(crate) fn roles(&self, account: AccountId) -> i32 {
        // SAFETY: the import reads 32 bytes, which is what an account has.
        unsafe { imports::roles(account.0.as_ptr()) }
    }

    pub(crate) fn call(
        _: &mut Env,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        called(imports::call, contract, method, args)
    }

    pub(crate) fn view(
        _: &Env,
        contract: ContractId,
        method: &str,
        args: &[u8],
    ) -> Result<Vec<u8>, CallError> {
        called(imports::view, contract, method, args)
    }

    pub(crate) fn own_address(&self) -> [u8; 32] {
        read_32(imports::own_address)
    }

    pub(crate) fn transaction_id(&self) -> [u8; 32] {
        read_32(imports::transaction_id)
    }

    pub(crate) fn block_time(&self) -> u64 {
        imports::block_time()
    }

    pub(crate) fn block_height(&self) -> u64 {
        imports::block_height()
    }

    pub(crate) fn sha256(&self, bytes: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        unsafe { imports::sha256(bytes.as_ptr(), bytes.len(), hash.as_mut_ptr()) };
        hash
    }

    pub(crate) fn emit(&self, topic: &str, data: &[u8]) {
        unsafe { imports::emit(topic.as_ptr(), topic.len(), data.as_ptr(), data.len()) }
    }

    pub(crate) fn debug_log(&self, text: &str) {
        unsafe { imports::debug_log(text.as_ptr(), text.len()) }
    }

    pub(crate) fn return_value(&self, data: &[u8]) {
        unsafe { imports::return_value(data.as_ptr(), data.len()) }
    }

    pub(crate) fn revert(&self, code: u32, data: &[u8]) -> ! {
        unsafe { imports::revert(code, data.as_ptr(), data.len()) };
        wasm32::unreachable()
    }

    pub(crate) fn bad_arguments(&self) -> ! {
        imports::bad_arguments();
        wasm32::unreachable()
    }
}

/// Hands out memory upwards and takes none back: every call gets a fresh instance, and ends soon.
struct Bump {
    /// The first free address; 0 before the first allocation.
    next: Cell<usize>,
}

// SAFETY: a contract has one thread.
unsafe impl Sync for Bump {}

unsafe extern "C" {
    /// Placed by the linker behind the module's stack and static data.
    static __heap_base: u8;
}

const PAGE_BYTES: usize = 65_536;

impl Bump {
    fn reserve_up_to(&self, end: usize) -> bool {
        let have = wasm32::memory_size::<0>() * PAGE_BYTES;
        if end > have {
            let pages = (end - have).div_ceil(PAGE_BYTES);
            if wasm32::memory_grow::<0>(pages) == usize::MAX {
                return false;
            }
        }
        self.next.set(end);
        true
    }
}

// SAFETY: blocks never overlap (`next` only grows past what was handed out, except that the newest
// block may be resized in place), are aligned, and lie inside of memory.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let free = match self.next.get() {
            0 => &raw const __heap_base as usize,
            next => next,
        };
        let end = free
            .checked_next_multiple_of(layout.align())
            .and_then(|start| Some((start, start.checked_add(layout.size())?)));
        match end {
            Some((start, end)) if self.reserve_up_to(end) => start as *mut u8,
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next.get() {
            return match start.checked_add(size) {
                Some(end) if self.reserve_up_to(end) => block,
                _ => core::ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller keeps GlobalAlloc's contract; the new block is another one.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(block, new, layout.size());
            }
            new
        }
    }
}

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(0) };

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    wasm32::unreachable()
}
