//! `#[contract_interface]`: from a trait, as another contract's methods stand there, to a struct with
//! a function for each.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, FnArg, Item, ItemTrait, TraitItem, TraitItemFn, Visibility};

use crate::docs::derives;
use crate::method::{Kind, Method, mark, method};
use crate::mistakes::Mistakes;

const DERIVES: &[&str] = &["Debug", "Clone", "Copy", "PartialEq", "Eq"];

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    mistakes.no_arguments("contract_interface", &args);
    let item = match syn::parse2(item) {
        Ok(Item::Trait(item)) => item,
        Ok(other) => {
            mistakes.first(
                &other,
                "`#[contract_interface]` stands above a `trait` with the methods of another contract",
            );
            let errors = mistakes.shown();
            return quote!(#errors #other);
        }
        Err(error) => return error.to_compile_error(),
    };
    judge_trait(&item, &mut mistakes);
    let mut functions = Vec::new();
    for of_trait in item.items {
        match of_trait {
            TraitItem::Fn(function) => {
                let mut own = Mistakes::default();
                let function = judge_function(function, &mut own);
                // Of what is wrong nothing is made, so that only our own errors are shown.
                if !mistakes.take(own) {
                    functions.extend(function);
                }
            }
            other => mistakes.first(
                &other,
                "only methods of another contract can be called: remove this",
            ),
        }
    }
    let (attributes, visibility, ident) = (&item.attrs, &item.vis, &item.ident);
    let derives = derives(attributes, DERIVES, false);
    let functions = functions
        .iter()
        .map(|(attributes, method)| function(visibility, attributes, method));
    let errors = mistakes.shown();
    quote! {
        #errors

        #(#attributes)*
        #derives
        #visibility struct #ident(
            /// The address of the contract.
            #visibility ::chancery_contract::ContractId,
        );

        #[allow(
            dead_code,
            clippy::too_many_arguments,
            reason = "the methods are what they are in the other contract"
        )]
        impl #ident {
            #(#functions)*
        }
    }
}

fn judge_trait(item: &ItemTrait, mistakes: &mut Mistakes) {
    if let Some(word) = &item.unsafety {
        mistakes.at(word, "anybody may call a contract: remove `unsafe`");
    }
    if !item.generics.params.is_empty() {
        mistakes.at(
            &item.generics.params,
            "a contract is one module: write concrete types",
        );
    }
    if !item.supertraits.is_empty() {
        mistakes.at(
            &item.supertraits,
            "an interface stands for itself: list these methods in it",
        );
    }
    if item.items.is_empty() {
        mistakes.at(
            &item.ident,
            "the interface has no methods: list those that are called, as they stand in the other \
             contract",
        );
    }
}

/// What is to be made of a function; its attributes without the mark.
fn judge_function(
    mut function: TraitItemFn,
    mistakes: &mut Mistakes,
) -> Option<(Vec<Attribute>, Method)> {
    let signature = &function.sig;
    let name = &signature.ident;
    let kind = mark(&mut function.attrs, mistakes);
    if let Some(body) = &function.default {
        mistakes.first(
            &body.brace_token.span.open(),
            "the other contract has the body: end with `;`",
        );
    }
    let kind = match kind {
        Some(kind @ (Kind::Call | Kind::View)) => kind,
        Some(Kind::Init | Kind::Migrate) => {
            mistakes.at(
                name,
                "only the ledger runs this, at a deployment or an upgrade: remove it",
            );
            return None;
        }
        None => {
            mistakes.at(
                name,
                format!("say what `{name}` is in the other contract: `#[view]` or `#[call]`"),
            );
            return None;
        }
    };
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        let env = kind.env();
        mistakes.at(
            receiver,
            format!("methods are listed as they stand in the other contract: write `{env}`"),
        );
        return None;
    }
    let method = method(kind, &function.attrs, signature, mistakes)?;
    Some((function.attrs, method))
}

fn function(visibility: &Visibility, attributes: &[Attribute], method: &Method) -> TokenStream {
    let (ident, name, returns) = (&method.ident, method.name(), method.returns());
    let env = Ident::new("env", Span::mixed_site());
    let (reference, ask) = match method.kind.only_reads() {
        true => (quote!(&::chancery_contract::Env), quote!(view)),
        false => (quote!(&mut ::chancery_contract::Env), quote!(call)),
    };
    let arguments = method.args.iter().map(|(name, kind)| quote!(#name: #kind));
    let names = method.args.iter().map(|(name, _)| name);
    let types = method.args.iter().map(|(_, kind)| {
        quote_spanned! {kind.span()=>
            let _ = ::chancery_contract::private::type_name::<#kind>();
        }
    });
    let env_type = &method.env;
    let same_env = quote_spanned! {env_type.span()=>
        ::chancery_contract::private::is_env::<#env_type>();
    };
    let called = quote_spanned! {returns.span()=> ::chancery_contract::Called<#returns>};
    quote! {
        #(#attributes)*
        #visibility fn #ident(&self, #env: #reference, #(#arguments),*) -> #called {
            const {
                #same_env
                #(#types)*
            }
            #env.#ask(self.0, #name, &(#(#names,)*))
                .map_err(::chancery_contract::CallError::named)
        }
    }
}
