//! `#[contract(access)]`: the methods of the standard access interface have its shape.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use crate::method::{Kind, Method};
use crate::mistakes::Mistakes;

/// A method of the interface.
struct Standard {
    name: &'static str,
    args: &'static [&'static str],
    /// As a developer writes it.
    shape: &'static str,
}

const DECIDE: Standard = Standard {
    name: "decide",
    args: &["subject", "action", "resource", "at"],
    shape: "fn decide(env: &Env, subject: AccountId, action: String, resource: String, at: Millis) \
            -> Decision",
};
const COUNT: Standard = Standard {
    name: "count",
    args: &[],
    shape: "fn count(env: &Env) -> u64",
};
const ENTRY: Standard = Standard {
    name: "entry",
    args: &["number"],
    shape: "fn entry(env: &Env, number: u64) -> Option<AccessEntry>",
};

impl Standard {
    fn of<'a>(&self, methods: &'a [Method]) -> Option<&'a Method> {
        methods.iter().find(|method| method.name() == self.name)
    }

    /// Judges what can be seen in the words; the types are known only to the compiler.
    fn judge(&self, method: &Method, mistakes: &mut Mistakes) {
        let names = method.args.iter().map(|(name, _)| name.unraw().to_string());
        let same = method.kind == Kind::View
            && method.returns.is_some()
            && names.eq(self.args.iter().copied());
        if !same {
            let shape = self.shape;
            mistakes.at(
                &method.ident,
                format!("the standard access interface has `#[view] {shape}`"),
            );
        }
    }

    /// The types of its arguments and what it returns.
    fn types(&self) -> (Vec<TokenStream>, TokenStream) {
        let string = quote!(::chancery_contract::private::String);
        let (account, time) = (
            quote!(::chancery_contract::AccountId),
            quote!(::chancery_contract::Millis),
        );
        let number = quote!(::core::primitive::u64);
        match self.name {
            "decide" => (
                vec![account, string.clone(), string, time],
                quote!(::chancery_contract::access::Decision),
            ),
            "count" => (Vec::new(), number),
            _ => (
                vec![number],
                quote!(::core::option::Option<::chancery_contract::access::AccessEntry>),
            ),
        }
    }

    fn checks(&self, method: &Method) -> TokenStream {
        let (args, result) = self.types();
        let args = method.args.iter().map(|(_, kind)| kind).zip(args);
        let returns = method.returns.iter().zip([result]);
        let checks = args.chain(returns).map(|(kind, standard)| {
            quote_spanned! {kind.span()=>
                ::chancery_contract::private::standard::<#kind, #standard>();
            }
        });
        quote!(#(#checks)*)
    }
}

pub(crate) fn judge(access: &Ident, methods: &[Method], mistakes: &mut Mistakes) {
    match DECIDE.of(methods) {
        Some(decide) => DECIDE.judge(decide, mistakes),
        None => {
            let shape = DECIDE.shape;
            mistakes.at(
                access,
                format!("an access contract answers `#[view] {shape}`: add it"),
            );
        }
    }
    for (one, other) in [(&COUNT, &ENTRY), (&ENTRY, &COUNT)] {
        let Some(method) = one.of(methods) else {
            continue;
        };
        one.judge(method, mistakes);
        if other.of(methods).is_none() {
            let shape = other.shape;
            mistakes.at(
                &method.ident,
                format!("`count` and `entry` come together: add `#[view] {shape}`"),
            );
        }
    }
}

pub(crate) fn checks(methods: &[Method]) -> TokenStream {
    let standards = [DECIDE, COUNT, ENTRY];
    let checks = standards
        .iter()
        .filter_map(|standard| Some(standard.checks(standard.of(methods)?)));
    quote!(#(#checks)*)
}
