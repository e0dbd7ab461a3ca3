//! Whether a trait can be used as `dyn Trait`, which every class and interface is.

use syn::{
    GenericParam, Generics, ItemTrait, ReturnType, Signature, TraitItem, Type, TypeParamBound,
    WherePredicate, spanned::Spanned, visit::Visit,
};

use crate::mistakes::Mistakes;

/// Notes everything in the trait that keeps it from being dyn-compatible. Whether there is nothing.
pub(crate) fn check(item: &ItemTrait, mistakes: &mut Mistakes) -> bool {
    let mut found: Vec<syn::Error> = Vec::new();
    let mut note = |span, message: String| {
        found.push(syn::Error::new(span, format!("a class must be dyn-compatible: {message}")));
    };
    if !item.generics.params.is_empty() {
        note(
            item.generics.span(),
            "it can't be generic, so name the types in each method".to_owned(),
        );
    }
    for bound in &item.supertraits {
        if let TypeParamBound::Trait(bound) = bound
            && bound.maybe.is_none()
            && let Some(last) = bound.path.segments.last()
            && SELF_BOUND.iter().any(|name| last.ident == name)
        {
            note(
                bound.span(),
                format!("`{0}` is of one concrete type, so leave `{0}` out", last.ident),
            );
        }
    }
    for member in &item.items {
        match member {
            TraitItem::Const(constant) => note(
                constant.ident.span(),
                format!(
                    "an associated const belongs to one concrete type, so write \
                     `fn {}(&self) -> …;`",
                    constant.ident.to_string().to_lowercase()
                ),
            ),
            TraitItem::Type(ty) => note(
                ty.ident.span(),
                "an associated type belongs to one concrete type, so name the type in each method"
                    .to_owned(),
            ),
            TraitItem::Fn(method) if !is_for_sized_only(&method.sig.generics) => {
                if let Some((span, message)) = method_problem(&method.sig) {
                    note(span, message);
                }
            }
            _ => {}
        }
    }
    let is_compatible = found.is_empty();
    found.into_iter().for_each(|error| mistakes.add(error));
    is_compatible
}

/// Traits of the standard library that need to know the size of `Self`, or to name it.
const SELF_BOUND: [&str; 8] =
    ["Sized", "Clone", "Copy", "Default", "PartialEq", "Eq", "PartialOrd", "Ord"];

fn is_for_sized_only(generics: &Generics) -> bool {
    generics.where_clause.iter().flat_map(|clause| &clause.predicates).any(|predicate| {
        matches!(predicate, WherePredicate::Type(predicate)
        if is_self(&predicate.bounded_ty) && predicate.bounds.iter().any(|bound| {
            matches!(bound, TypeParamBound::Trait(bound) if bound.path.is_ident("Sized"))
        }))
    })
}

fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.is_ident("Self"))
}

/// The first thing about a method for which `dyn` has no place, and what to write instead.
fn method_problem(signature: &Signature) -> Option<(proc_macro2::Span, String)> {
    let name = &signature.ident;
    if signature.receiver().is_none() {
        return Some((
            name.span(),
            format!(
                "`{name}` has no `self`, so write `fn {name}(&self, …)`, or `where Self: Sized` \
                 behind it"
            ),
        ));
    }
    if let Some(asyncness) = &signature.asyncness {
        return Some((
            asyncness.span(),
            format!("`{name}` can't be async, so write it as one that returns a boxed future"),
        ));
    }
    let generic = signature
        .generics
        .params
        .iter()
        .find(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    if let Some(generic) = generic {
        return Some((
            generic.span(),
            format!(
                "`{name}` is generic, so take a `&dyn Trait` instead, or write `where Self: Sized` \
                 behind it"
            ),
        ));
    }
    let mut search = SelfSearch(None);
    for input in &signature.inputs {
        if let syn::FnArg::Typed(argument) = input {
            search.visit_type(&argument.ty);
        }
    }
    if let ReturnType::Type(_, ty) = &signature.output {
        search.visit_type(ty);
    }
    let (span, word) = search.0?;
    Some((
        span,
        format!(
            "`{name}` names `{word}` beside its `self`, so name the class (`&dyn Trait`, \
             `Arc<dyn Trait>`) instead, or write `where Self: Sized` behind it"
        ),
    ))
}

/// Looks for `Self` or `impl Trait` in a type.
struct SelfSearch(Option<(proc_macro2::Span, &'static str)>);

impl<'ast> Visit<'ast> for SelfSearch {
    fn visit_type(&mut self, ty: &'ast Type) {
        if self.0.is_some() {
            return;
        }
        match ty {
            ty if is_self(ty) => self.0 = Some((ty.span(), "Self")),
            Type::ImplTrait(ty) => self.0 = Some((ty.span(), "impl Trait")),
            ty => syn::visit::visit_type(self, ty),
        }
    }
}
