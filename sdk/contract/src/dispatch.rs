//! From an export to a method and back.

#[cfg(not(target_arch = "wasm32"))]
use parity_scale_codec::DecodeAll as _;
use parity_scale_codec::{Decode, Encode};

#[cfg(not(target_arch = "wasm32"))]
use crate::test_host::Ending;
use crate::{CallError, SchemaType, Text};

/// Why a contract refuses; [`contract_error`](crate::contract_error) makes one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the error of a contract",
    note = "declare `#[contract_error] pub enum Error {{ NotOwner = 1, … }}` and return `Result<…, Error>`"
)]
pub trait ContractError {
    /// The code in the receipt.
    fn code(&self) -> u32;

    /// The error of that code, if there is one; `None` where nobody can say.
    #[must_use]
    fn of_code(_code: u32) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// JSON: `{"code":…,"name":…,"docs":…}` for each, with commas between.
    const SCHEMA: Text = Text::Is("");
}

/// The error of what never refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl ContractError for Never {
    fn code(&self) -> u32 {
        match *self {}
    }
}

/// What a method returns: nothing, a value, or a `Result` of either.
#[diagnostic::on_unimplemented(
    message = "a method cannot return `{Self}`",
    note = "it returns nothing, a value of a type with a `SchemaType`, or a `Result` of either with an enum with `#[contract_error]`"
)]
pub trait Outcome {
    /// The value in the receipt.
    type Value: Encode + Decode;
    /// Why there may be none.
    type Error: ContractError;
    /// JSON: `,"returns":"TYPE"`, or nothing.
    const SCHEMA: Text;

    /// The value.
    ///
    /// # Errors
    /// The refusal.
    fn settle(&self) -> Result<&Self::Value, &Self::Error>;

    /// What the method of a compiled module returned.
    ///
    /// # Panics
    /// If it was something else.
    #[cfg(not(target_arch = "wasm32"))]
    #[doc(hidden)]
    #[must_use]
    fn of_module(ending: Ending) -> Self
    where
        Self: Sized;
}

/// What a contract gets that calls a method of another one, which returns an `R` there.
pub type Called<R> = Result<<R as Outcome>::Value, CallError<<R as Outcome>::Error>>;

/// The value that a module returned, of a method that has no other end.
#[cfg(not(target_arch = "wasm32"))]
fn returned(ending: Ending) -> alloc::vec::Vec<u8> {
    match ending {
        Ending::Returned(value) => value,
        Ending::Reverted(code) => {
            panic!(
                "the module refused with code {code}, but this method never refuses: was it built from these sources?"
            )
        }
        Ending::Trapped(kind) => panic!("the ledger ended the call: {kind}"),
    }
}

impl Outcome for () {
    type Value = ();
    type Error = Never;
    const SCHEMA: Text = Text::Is("");

    fn settle(&self) -> Result<&(), &Never> {
        Ok(self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn of_module(ending: Ending) {
        let value = returned(ending);
        assert!(
            value.is_empty(),
            "the module returned a value: was it built from these sources?"
        );
    }
}

impl<T: SchemaType> Outcome for T {
    type Value = T;
    type Error = Never;
    const SCHEMA: Text = Text::All(&[Text::Is(",\"returns\":\""), T::NAME, Text::Is("\"")]);

    fn settle(&self) -> Result<&T, &Never> {
        Ok(self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn of_module(ending: Ending) -> T {
        let value = returned(ending);
        let Ok(value) = T::decode_all(&mut &value[..]) else {
            panic!("the module returned a value of another type: was it built from these sources?")
        };
        value
    }
}

impl<T: Encode + Decode + Outcome<Error = Never>, E: ContractError> Outcome for Result<T, E> {
    type Value = T;
    type Error = E;
    const SCHEMA: Text = T::SCHEMA;

    fn settle(&self) -> Result<&T, &E> {
        self.as_ref()
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn of_module(ending: Ending) -> Self {
        match ending {
            Ending::Reverted(code) => match E::of_code(code) {
                Some(error) => Err(error),
                None => panic!(
                    "the module refused with code {code}, which is no error of these sources"
                ),
            },
            other => Ok(T::of_module(other)),
        }
    }
}

/// Decodes the arguments, runs a method, and hands its outcome to the host: what an export does.
#[cfg(target_arch = "wasm32")]
pub fn dispatch<A, R>(run: impl FnOnce(&mut crate::Env, A) -> R)
where
    A: parity_scale_codec::DecodeAll,
    R: Outcome,
{
    let mut env = crate::Env {
        host: crate::host::Host,
    };
    let input = env.host.input();
    let Ok(args) = A::decode_all(&mut &input[..]) else {
        env.host.bad_arguments()
    };
    match run(&mut env, args).settle() {
        Ok(value) => {
            let bytes = value.encode();
            if !bytes.is_empty() {
                env.host.return_value(&bytes);
            }
        }
        Err(error) => env.host.revert(error.code(), &[]),
    }
}
