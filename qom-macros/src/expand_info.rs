//! What every type becomes: its record, and the registration of that.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Path, spanned::Spanned};

use crate::{
    base_path,
    property::Property,
    type_attribute::{Status, TypeAttribute},
};

/// What a record needs beside the attribute.
pub(crate) struct Declaration<'a> {
    /// The item; its line is the line of the statement.
    pub(crate) ident: &'a Ident,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) attribute: &'a TypeAttribute,
    /// An expression of type `TypeKind`.
    pub(crate) kind: TokenStream,
    /// Name of the parent.
    pub(crate) parent: TokenStream,
    pub(crate) properties: &'a [Property],
}

/// The implementation of `ClassType` for `implementor`, and its registration.
pub(crate) fn class_type(
    base: &TokenStream,
    implementor: &TokenStream,
    declaration: &Declaration<'_>,
) -> TokenStream {
    let Declaration { ident, name, description, attribute, kind, parent, properties } = declaration;
    let interfaces =
        attribute.interfaces.iter().map(|class| name_of(base, class, Relation::Interface));
    let boundaries = &attribute.boundaries;
    let status = match &attribute.status {
        Status::Secure => quote!(Secure),
        Status::Insecure(reason) => quote!(Insecure { reason: #reason }),
        Status::Undeclared => quote!(Undeclared),
    };
    let category = optional(attribute.category.as_ref());
    let deprecated = optional(attribute.deprecated.as_ref());
    let class_data = &attribute.class_data;
    let unstable = attribute.unstable;
    let properties =
        properties.iter().filter(|property| property.is_clear).map(|property| property.info(base));
    let line = quote_spanned!(ident.span()=> ::core::line!());
    quote! {
        // Apart, since of a body that names what there is not the compiler tells nothing else.
        const __PARENT: &str = #parent;
        const __INTERFACES: &[&str] = &[#(#interfaces),*];

        // Others are no help to who names a type that is none, and which there are changes.
        #[diagnostic::do_not_recommend]
        impl #base::ClassType for #implementor {
            const NAME: &'static str = #name;

            const INFO: &'static #base::TypeInfo = &#base::TypeInfo {
                name: #name,
                description: #description,
                kind: #kind,
                parent: ::core::option::Option::Some(__PARENT),
                interfaces: __INTERFACES,
                status: #base::SecurityStatus::#status,
                boundaries: #base::Boundaries::of(&[#(#base::Boundary::#boundaries),*]),
                category: #category,
                deprecated: #deprecated,
                unstable: #unstable,
                properties: &[#(#properties),*],
                class_data: &[#(&#class_data),*],
                statement: #base::Statement {
                    crate_name: ::core::env!("CARGO_PKG_NAME"),
                    crate_ident: #base::crate_ident(::core::module_path!()),
                    crate_version: ::core::env!("CARGO_PKG_VERSION"),
                    file: ::core::file!(),
                    line: #line,
                },
            };
        }

        #base::inventory::submit! {
            #base::Registration(<#implementor as #base::ClassType>::INFO)
        }
    }
}

/// What a class is to the item that names it.
#[derive(Clone, Copy)]
pub(crate) enum Relation {
    Parent,
    Interface,
    /// A link points to it, be it a class or an interface.
    Target,
}

/// The name of a class, as a constant. What is none, or of the wrong kind, is an error where it is
/// written.
pub(crate) fn name_of(base: &TokenStream, class: &Path, relation: Relation) -> TokenStream {
    let span = class.span();
    let base = base_path::at(base, span);
    let (kind, name) = match relation {
        Relation::Parent => ("AbstractClass", "AS_PARENT"),
        Relation::Interface => ("InterfaceClass", "AS_INTERFACE"),
        Relation::Target => ("ClassType", "NAME"),
    };
    let (kind, name) = (Ident::new(kind, span), Ident::new(name, span));
    quote_spanned!(span=> <dyn #class as #base::#kind>::#name)
}

/// The name of the parent; empty if the author wrote none, which is a mistake.
pub(crate) fn name_of_parent(base: &TokenStream, attribute: &TypeAttribute) -> TokenStream {
    match &attribute.parent {
        Some(parent) => name_of(base, parent, Relation::Parent),
        None => quote!(""),
    }
}

/// Uses the classes that an item with mistakes names, so that their imports are not called unused.
pub(crate) fn uses(attribute: &TypeAttribute) -> TokenStream {
    let classes = attribute.parent.iter().chain(&attribute.interfaces);
    quote!(fn __uses(#(_: &dyn #classes),*) {})
}

/// Wraps what is emitted for an item, so that none of its names is seen outside.
pub(crate) fn enclose(body: &TokenStream) -> TokenStream {
    quote! {
        // `dead_code`: a class may have no descendants in its own crate.
        // `non_local_definitions`: an item in a function is as good as any other. The rest is
        // about code that the author did not write.
        #[allow(
            dead_code,
            non_local_definitions,
            unused_parens,
            clippy::unnecessary_cast,
            clippy::cast_lossless,
            clippy::default_trait_access,
            clippy::useless_conversion
        )]
        const _: () = { #body };
    }
}

/// An `Option` in the expansion.
pub(crate) fn optional<T: quote::ToTokens>(value: Option<T>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
