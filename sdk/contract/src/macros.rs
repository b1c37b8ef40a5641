//! The declaration of a contract.

/// Makes, from one declaration, a contract's type, its exports, its events, its errors and its
/// schema, so that they cannot disagree.
///
/// Each method is declared as `init fn init(…);`, `call fn NAME(…) -> T;` or `view fn NAME(…) -> T;`
/// and written as an associated function of the contract: `init` and `call`s take `&mut Env`,
/// `view`s take `&Env`, then the arguments; it returns `T` or `Result<T, Error>`. The types must
/// have a [`SchemaType`](crate::SchemaType). `events` and `errors` may be left out; the error type
/// is then [`Never`](crate::Never).
///
/// Made are: `struct CONTRACT` with `CONTRACT::SCHEMA` (JSON), one struct for each event, and
/// `enum Error`. The page of the crate has an example.
#[macro_export]
macro_rules! contract {
    (
        $(#[doc = $doc:literal])*
        contract $contract:ident;
        methods {$(
            $(#[doc = $method_doc:literal])*
            $kind:ident fn $method:ident ($($arg:ident: $arg_type:ty),* $(,)?) $(-> $returns:ty)?;
        )*}
        $(events {$(
            $(#[doc = $event_doc:literal])*
            $event:ident { $($field:ident: $field_type:ty),* $(,)? }
        ),* $(,)?})?
        $(errors {$(
            $(#[doc = $error_doc:literal])*
            $error:ident = $code:literal
        ),* $(,)?})?
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $contract;

        $crate::contract!(@events $($(
            [$($event_doc)*] $event { $($field: $field_type,)* }
        )*)?);
        $crate::contract!(@errors $($([$($error_doc)*] $error = $code,)*)?);

        impl $contract {
            const SCHEMA_TEXT: $crate::private::Text<65_536> = {
                let mut text = $crate::private::Text::new();
                text.push("{\"name\":");
                text.push_string(stringify!($contract));
                text.push(",\"docs\":");
                text.push_docs(&[$($doc),*]);
                text.push(",\"methods\":[");
                $(
                    text.push_comma();
                    text.push("{\"name\":");
                    text.push_string(stringify!($method));
                    text.push(",\"kind\":");
                    text.push_string(stringify!($kind));
                    text.push(",\"docs\":");
                    text.push_docs(&[$($method_doc),*]);
                    text.push(",\"args\":[");
                    $(text.push_field(
                        stringify!($arg),
                        &<$arg_type as $crate::SchemaType>::NAME,
                    );)*
                    text.push("]");
                    $(
                        text.push(",\"returns\":\"");
                        text.push_text(&<$returns as $crate::SchemaType>::NAME);
                        text.push("\"");
                    )?
                    text.push("}");
                )*
                text.push("],\"events\":[");
                $($(
                    text.push_comma();
                    text.push("{\"name\":");
                    text.push_string(stringify!($event));
                    text.push(",\"docs\":");
                    text.push_docs(&[$($event_doc),*]);
                    text.push(",\"fields\":[");
                    $(text.push_field(
                        stringify!($field),
                        &<$field_type as $crate::SchemaType>::NAME,
                    );)*
                    text.push("]}");
                )*)?
                text.push("],\"errors\":[");
                $($(
                    text.push_comma();
                    text.push("{\"code\":");
                    text.push_u32($code);
                    text.push(",\"name\":");
                    text.push_string(stringify!($error));
                    text.push(",\"docs\":");
                    text.push_docs(&[$($error_doc),*]);
                    text.push("}");
                )*)?
                text.push("]}");
                text
            };
            const SCHEMA_BYTES: [u8; Self::SCHEMA_TEXT.len()] = Self::SCHEMA_TEXT.to_array();

            /// The contract's schema, as JSON.
            #[cfg(not(target_arch = "wasm32"))]
            pub const SCHEMA: &'static str = match ::core::str::from_utf8(&Self::SCHEMA_BYTES) {
                Ok(text) => text,
                Err(_) => panic!("made of text"),
            };
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[allow(unsafe_code, reason = "a custom section is how a module carries its schema")]
            #[unsafe(link_section = "chancery.schema")]
            static SCHEMA: [u8; $contract::SCHEMA_TEXT.len()] = $contract::SCHEMA_BYTES;
        };

        $($crate::contract!(
            @export $kind $contract $method ($($arg: $arg_type,)*) ($($returns)?)
        );)*
    };

    (@events $([$($doc:literal)*] $event:ident { $($field:ident: $field_type:ty,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, $crate::private::codec::Encode, $crate::private::codec::Decode,
        )]
        #[codec(crate = $crate::private::codec)]
        #[allow(missing_docs, reason = "the event's own words say what its fields are")]
        pub struct $event {
            $(pub $field: $field_type,)*
        }

        impl $crate::Event for $event {
            const TOPIC: &'static str = stringify!($event);
        }
    )*};

    (@errors) => {
        /// The contract refuses nothing by itself.
        pub type Error = $crate::Never;
    };
    (@errors $([$($doc:literal)*] $error:ident = $code:literal,)+) => {
        /// Why the contract refuses; the number is the code in the receipt.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Error {$(
            $(#[doc = $doc])*
            $error = $code,
        )*}

        impl $crate::ContractError for Error {
            fn code(&self) -> u32 {
                match self {
                    $(Self::$error => $code,)*
                }
            }
        }
    };

    (@export init $contract:ident init $args:tt $returns:tt) => {
        $crate::contract!(@export_as "init", $contract init $args $returns);
    };
    (@export call $contract:ident $method:ident $args:tt $returns:tt) => {
        $crate::contract!(
            @export_as concat!("call.", stringify!($method)), $contract $method $args $returns
        );
    };
    (@export view $contract:ident $method:ident $args:tt $returns:tt) => {
        $crate::contract!(
            @export_as concat!("view.", stringify!($method)), $contract $method $args $returns
        );
    };
    (@export_as $name:expr, $contract:ident $method:ident ($($arg:ident: $arg_type:ty,)*) ($($returns:ty)?)) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[allow(unsafe_code, reason = "an export is found by its name")]
            #[unsafe(export_name = $name)]
            extern "C" fn export() {
                $crate::private::dispatch(|env, ($($arg,)*): ($($arg_type,)*)| {
                    $crate::Outcome::<$crate::contract!(@type $($returns)?)>::settle(
                        <$contract>::$method(env, $($arg),*),
                    )
                });
            }
        };
    };
    (@type) => { () };
    (@type $returns:ty) => { $returns };
}
