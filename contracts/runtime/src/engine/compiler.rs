//! The compiler's panics. It is a large program that reads what strangers wrote: where it gives up by
//! an assertion, the module is one that cannot be compiled, on every machine alike, and no reason to
//! stop a node. A node that ends with any panic asks [`is_compilers`] first.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many compile now.
static COMPILING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread does.
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of the current thread is the compiler's, and so is caught. The compiler has
/// threads of its own; unlike all others they have no name.
#[must_use]
pub fn is_compilers() -> bool {
    let is_helper = || std::thread::current().name().is_none();
    HERE.get() || (COMPILING.load(Ordering::SeqCst) > 0 && is_helper())
}

/// Set while it lasts.
struct Compiling;

impl Compiling {
    fn begin() -> Self {
        COMPILING.fetch_add(1, Ordering::SeqCst);
        HERE.set(true);
        Self
    }
}

impl Drop for Compiling {
    fn drop(&mut self) {
        HERE.set(false);
        COMPILING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The result, or nothing after a panic.
pub(super) fn guarded<T>(compile: impl FnOnce() -> T) -> Option<T> {
    let _compiling = Compiling::begin();
    // The engine has no half-made state: what it compiles is a value that nobody gets then.
    catch_unwind(AssertUnwindSafe(compile)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_known_as_the_compilers_on_its_threads_only() {
        assert!(!is_compilers());
        let name = std::thread::Builder::new().name("another".to_owned());
        let seen = guarded(|| {
            let helper = std::thread::spawn(is_compilers).join().expect("no panic");
            let another = name.spawn(is_compilers).expect("a thread").join();
            (is_compilers(), helper, another.expect("no panic"))
        });
        assert_eq!(seen, Some((true, true, false)));
        assert_eq!(guarded(|| -> u8 { panic!("on purpose") }), None);
        assert!(!is_compilers());
        assert!(!std::thread::spawn(is_compilers).join().expect("no panic"));
    }
}
