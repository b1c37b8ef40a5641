//! One method of a contract: what its signature must be, and why.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Attribute, FnArg, Meta, Pat, PatType, ReturnType, Signature, Type};

use crate::docs::docs_of;
use crate::mistakes::Mistakes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Init,
    Migrate,
    Call,
    View,
}

impl Kind {
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::View)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Migrate => "migrate",
            Self::Call => "call",
            Self::View => "view",
        }
    }

    /// What its first argument must be.
    pub(crate) fn env(self) -> &'static str {
        match self {
            Self::Init | Self::Migrate | Self::Call => "env: &mut Env",
            Self::View => "env: &Env",
        }
    }

    fn wants_env(self) -> String {
        let (kind, env) = (self.name(), self.env());
        format!("the first argument of each `#[{kind}]` is `{env}`")
    }
}

/// A method whose signature is sound.
pub(crate) struct Method {
    pub(crate) kind: Kind,
    pub(crate) ident: Ident,
    pub(crate) docs: String,
    /// The type of its first argument, without the reference.
    pub(crate) env: Type,
    pub(crate) args: Vec<(Ident, Type)>,
    /// `None` for a function without `->`.
    pub(crate) returns: Option<Type>,
}

impl Method {
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// The types of its arguments.
    pub(crate) fn types(&self) -> Vec<&Type> {
        self.args.iter().map(|(_, kind)| kind).collect()
    }

    /// The type that it returns.
    pub(crate) fn returns(&self) -> TokenStream {
        match &self.returns {
            Some(returns) => quote!(#returns),
            None => quote!(()),
        }
    }

    /// Whether its words say that it may refuse.
    pub(crate) fn returns_result(&self) -> bool {
        matches!(&self.returns, Some(Type::Path(path)) if path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Result"))
    }
}

/// Takes the mark off a function. `None` for one without: it is an ordinary helper.
pub(crate) fn mark(attributes: &mut Vec<Attribute>, mistakes: &mut Mistakes) -> Option<Kind> {
    let mut found: Option<Kind> = None;
    attributes.retain(|attribute| {
        let path = attribute.path();
        let kind = if path.is_ident("init") {
            Kind::Init
        } else if path.is_ident("call") {
            Kind::Call
        } else if path.is_ident("view") {
            Kind::View
        } else if path.is_ident("migrate") {
            Kind::Migrate
        } else {
            return true;
        };
        if !matches!(attribute.meta, Meta::Path(_)) {
            let kind = kind.name();
            mistakes.at(attribute, format!("`#[{kind}]` takes no arguments"));
        }
        match found {
            Some(first) => mistakes.at(
                attribute,
                format!("the method is `#[{}]` already: keep one mark", first.name()),
            ),
            None => found = Some(kind),
        }
        false
    });
    found
}

/// What a marked function is; `None` if its first argument is not the `Env`.
pub(crate) fn method(
    kind: Kind,
    attributes: &[Attribute],
    signature: &Signature,
    mistakes: &mut Mistakes,
) -> Option<Method> {
    judge_attributes(attributes, mistakes);
    judge_name(kind, &signature.ident, mistakes);
    judge_form(signature, mistakes);
    let mut inputs = signature.inputs.iter();
    let env = env(kind, signature, inputs.next(), mistakes);
    let args = inputs.filter_map(|arg| arg_of(arg, mistakes)).collect();
    let returns = match &signature.output {
        ReturnType::Default => None,
        ReturnType::Type(_, returns) => {
            owned(returns, "is returned", mistakes);
            Some((**returns).clone())
        }
    };
    Some(Method {
        kind,
        ident: signature.ident.clone(),
        docs: docs_of(attributes),
        env: env?,
        args,
        returns,
    })
}

fn judge_attributes(attributes: &[Attribute], mistakes: &mut Mistakes) {
    for attribute in attributes {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            mistakes.at(
                attribute,
                "a contract has the same methods everywhere: move the condition into the method",
            );
        }
    }
}

fn judge_name(kind: Kind, ident: &Ident, mistakes: &mut Mistakes) {
    let name = ident.unraw().to_string();
    match (kind, name.as_str()) {
        (Kind::Init, "init") | (Kind::Migrate, "migrate") => {}
        (Kind::Init, _) => {
            mistakes.at(ident, "the method that runs at deployment is named `init`");
        }
        (Kind::Migrate, _) => {
            mistakes.at(
                ident,
                "the method that runs at an upgrade is named `migrate`",
            );
        }
        (_, "init" | "migrate") => mistakes.at(
            ident,
            format!("`{name}` is reserved: give the method another name"),
        ),
        _ => {}
    }
    if !name.is_ascii() {
        mistakes.at(
            ident,
            "the name of a method is written in ASCII letters, digits and `_`",
        );
    }
}

fn judge_form(signature: &Signature, mistakes: &mut Mistakes) {
    if let Some(word) = &signature.constness {
        mistakes.at(
            word,
            "a method sees the ledger, which is not there while compiling: remove `const`",
        );
    }
    if let Some(word) = &signature.asyncness {
        mistakes.at(
            word,
            "a call runs to its end at once, there is nothing to wait for: remove `async`",
        );
    }
    if let Some(word) = &signature.unsafety {
        mistakes.at(word, "anybody may call a method: remove `unsafe`");
    }
    if let Some(words) = &signature.abi {
        mistakes.at(words, "`#[contract]` makes the export itself: remove this");
    }
    let generics = &signature.generics;
    if !generics.params.is_empty() {
        mistakes.at(
            &generics.params,
            "a caller sends bytes, which say nothing about types: write concrete types",
        );
    }
}

/// The type of the first argument, if it is the right one.
fn env(
    kind: Kind,
    signature: &Signature,
    first: Option<&FnArg>,
    mistakes: &mut Mistakes,
) -> Option<Type> {
    let first = match first {
        Some(FnArg::Typed(first)) if is_env(&first.ty) => first,
        Some(FnArg::Receiver(receiver)) => {
            mistakes.at(
                receiver,
                format!(
                    "a contract keeps nothing in `self`, but in `Item`s and `Map`s: write `{}`",
                    kind.env()
                ),
            );
            return None;
        }
        Some(FnArg::Typed(PatType { pat, .. })) => {
            mistakes.at(pat, kind.wants_env());
            return None;
        }
        None => {
            mistakes.at(&signature.ident, kind.wants_env());
            return None;
        }
    };
    let (env, writes) = match &*first.ty {
        Type::Reference(reference) => {
            if let Some(lifetime) = reference.lifetime.as_ref().filter(|life| life.ident != "_") {
                let env = kind.env();
                mistakes.at(
                    lifetime,
                    format!("a method has the `Env` for as long as it runs: write `{env}`"),
                );
            }
            (&*reference.elem, Some(reference.mutability.is_some()))
        }
        env => (env, None),
    };
    match (kind, writes) {
        (Kind::Init | Kind::Migrate | Kind::Call, Some(true)) | (Kind::View, Some(false)) => {}
        (Kind::View, Some(true)) => mistakes.at(
            &first.ty,
            "a view only reads: write `&Env`, or make it a `#[call]`",
        ),
        (Kind::Call, Some(false)) => mistakes.at(
            &first.ty,
            "a call takes `&mut Env`; if it only reads, make it a `#[view]`",
        ),
        (_, _) => mistakes.at(&first.ty, kind.wants_env()),
    }
    Some(env.clone())
}

/// Whether a type is called `Env`, behind a reference or not.
fn is_env(kind: &Type) -> bool {
    match kind {
        Type::Reference(reference) => is_env(&reference.elem),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Env"),
        _ => false,
    }
}

fn arg_of(arg: &FnArg, mistakes: &mut Mistakes) -> Option<(Ident, Type)> {
    // The compiler says by itself that `self` can only come first.
    let FnArg::Typed(arg) = arg else {
        return None;
    };
    if is_env(&arg.ty) {
        mistakes.at(arg, "`Env` comes once, as the first argument");
        return None;
    }
    for attribute in &arg.attrs {
        mistakes.at(attribute, "an argument has no attributes: remove this");
    }
    owned(&arg.ty, "arrives as bytes", mistakes);
    match &*arg.pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            Some((name.ident.clone(), (*arg.ty).clone()))
        }
        pattern => {
            mistakes.at(
                pattern,
                "an argument has a plain name, which stands in the schema: take the value apart \
                 in the method",
            );
            None
        }
    }
}

/// Types whose values cannot cross the border of the contract, whatever they are.
fn owned(kind: &Type, crosses: &str, mistakes: &mut Mistakes) {
    let what_to_do = match kind {
        Type::Reference(_) => "write the owned type, such as `String` or `Vec<u8>`",
        Type::ImplTrait(_) => "write the concrete type",
        _ => return,
    };
    mistakes.at(kind, format!("the value {crosses}: {what_to_do}"));
}
