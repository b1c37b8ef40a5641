//! The schema as JSON, of which the names of types are known only to the compiler.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

/// What `chancery_contract::Text` is made of.
#[derive(Default)]
pub(crate) struct Json {
    /// Not yet part of `parts`.
    plain: String,
    parts: Vec<TokenStream>,
}

impl Json {
    /// Appends JSON as it is.
    pub(crate) fn plain(&mut self, json: &str) {
        self.plain.push_str(json);
    }

    /// Appends a comma unless something begins here.
    pub(crate) fn comma(&mut self) {
        let at_start = self.plain.is_empty() && self.parts.is_empty();
        if !at_start && !self.plain.ends_with(['[', '{']) {
            self.plain.push(',');
        }
    }

    /// Appends a string.
    pub(crate) fn string(&mut self, text: &str) {
        self.plain.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.plain.push_str("\\\""),
                '\\' => self.plain.push_str("\\\\"),
                '\0'..' ' => {
                    let code = u32::from(letter);
                    self.plain.push_str(&format!("\\u{code:04x}"));
                }
                _ => self.plain.push(letter),
            }
        }
        self.plain.push('"');
    }

    /// Appends a constant of type `Text`.
    pub(crate) fn constant(&mut self, text: TokenStream) {
        self.close();
        self.parts.push(text);
    }

    /// Appends `{"name":…,"type":…}`.
    pub(crate) fn field(&mut self, name: &str, kind: &Type) {
        self.comma();
        self.plain("{\"name\":");
        self.string(name);
        self.plain(",\"type\":\"");
        self.type_name(kind);
        self.plain("\"}");
    }

    /// Appends the name of a type, which must have one.
    pub(crate) fn type_name(&mut self, kind: &Type) {
        self.constant(
            quote_spanned!(kind.span()=> ::chancery_contract::private::type_name::<#kind>()),
        );
    }

    fn close(&mut self) {
        let plain = core::mem::take(&mut self.plain);
        if !plain.is_empty() {
            self.parts
                .push(quote!(::chancery_contract::Text::Is(#plain)));
        }
    }

    /// A constant of type `Text`.
    pub(crate) fn finish(mut self) -> TokenStream {
        self.close();
        let parts = self.parts;
        quote!(::chancery_contract::Text::All(&[#(#parts),*]))
    }
}
