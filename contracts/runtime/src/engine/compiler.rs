//! The compiler's threads and its panics. It is a large program that reads what strangers wrote: where
//! it gives up by an assertion, the module is one that cannot be compiled, and no reason to stop a
//! node. A node that ends with any panic asks [`is_compilers`] first.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// The name of the threads that compile functions side by side.
const NAME: &str = "compiler";

thread_local! {
    /// Whether this thread waits for the compiler, and does its part.
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Starts the threads, once in a process. Later it might fail, and look like a module's fault.
pub(super) fn start() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        let threads = rayon::ThreadPoolBuilder::new().thread_name(|_| NAME.to_owned());
        threads.build_global().map_err(|error| error.to_string())
    });
    started.clone()
}

/// Whether a panic of the current thread is the compiler's, and so is caught.
#[must_use]
pub fn is_compilers() -> bool {
    HERE.get() || std::thread::current().name() == Some(NAME)
}

/// The result, or nothing after a panic.
pub(super) fn guarded<T>(compile: impl FnOnce() -> T) -> Option<T> {
    HERE.set(true);
    // The engine has no half-made state: what it compiles is a value that nobody gets then.
    let compiled = catch_unwind(AssertUnwindSafe(compile));
    HERE.set(false);
    compiled.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_known_as_the_compilers_on_its_threads_only() {
        start().expect("threads start");
        assert!(!is_compilers());
        let seen = guarded(|| {
            let another = std::thread::spawn(is_compilers).join().expect("no panic");
            let helpers = rayon::broadcast(|_| is_compilers());
            (is_compilers(), helpers.into_iter().all(|is| is), another)
        });
        assert_eq!(seen, Some((true, true, false)));
        assert!(!is_compilers());
        assert_eq!(guarded(|| -> u8 { panic!("on purpose") }), None);
        assert_eq!(guarded(|| rayon::broadcast(|_| panic!("there"))), None);
        assert!(!is_compilers());
        assert_eq!(guarded(|| 7), Some(7));
    }
}
