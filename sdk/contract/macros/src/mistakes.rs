//! Everything that is wrong with an item, told at once.

use core::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::spanned::Spanned;

#[derive(Default)]
pub(crate) struct Mistakes(Option<syn::Error>);

impl Mistakes {
    /// Adds one, at the developer's words.
    pub(crate) fn at(&mut self, words: &impl ToTokens, what_to_do: impl Display) {
        self.add(syn::Error::new_spanned(words, what_to_do));
    }

    /// Adds one, at the first of the developer's words.
    pub(crate) fn first(&mut self, words: &impl Spanned, what_to_do: impl Display) {
        self.add(syn::Error::new(words.span(), what_to_do));
    }

    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Adds others; whether there are any.
    pub(crate) fn take(&mut self, others: Self) -> bool {
        let any = others.0.is_some();
        others.0.into_iter().for_each(|errors| self.add(errors));
        any
    }

    /// Attributes without arguments take none.
    pub(crate) fn no_arguments(&mut self, attribute: &str, args: &TokenStream) {
        if !args.is_empty() {
            self.at(args, format!("`#[{attribute}]` takes no arguments"));
        }
    }

    /// The compiler's errors; `None` if nothing is wrong.
    pub(crate) fn shown(&self) -> Option<TokenStream> {
        self.0.as_ref().map(syn::Error::to_compile_error)
    }
}
