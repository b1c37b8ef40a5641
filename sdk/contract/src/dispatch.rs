//! From an export to a method and back.

/// A refusal with a code; [`crate::contract!`] makes one for each contract that declares errors.
pub trait ContractError {
    /// The code in the receipt.
    fn code(&self) -> u32;
}

/// The error of a contract that declares none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl ContractError for Never {
    fn code(&self) -> u32 {
        match *self {}
    }
}

/// What a method whose declared result is `T` may return: a `T`, or a `Result` of it.
pub trait Outcome<T> {
    /// The value, or the code of the refusal.
    ///
    /// # Errors
    /// The code.
    fn settle(self) -> Result<T, u32>;
}

impl<T> Outcome<T> for T {
    fn settle(self) -> Result<T, u32> {
        Ok(self)
    }
}

impl<T, E: ContractError> Outcome<T> for Result<T, E> {
    fn settle(self) -> Result<T, u32> {
        self.map_err(|error| error.code())
    }
}

/// Decodes the input, runs a method, and hands its outcome to the host.
#[cfg(target_arch = "wasm32")]
pub fn dispatch<A, T>(run: impl FnOnce(&mut crate::Env, A) -> Result<T, u32>)
where
    A: parity_scale_codec::DecodeAll,
    T: parity_scale_codec::Encode,
{
    let mut env = crate::Env {
        host: crate::host::Host,
    };
    let input = env.host.input();
    let Ok(args) = A::decode_all(&mut &input[..]) else {
        env.host.bad_arguments()
    };
    match run(&mut env, args) {
        Ok(value) => {
            let bytes = value.encode();
            if !bytes.is_empty() {
                env.host.return_value(&bytes);
            }
        }
        Err(code) => env.host.revert(code, &[]),
    }
}
