//! `#[qom_type(abstract, …)]` and `#[qom_interface]` on a trait: a class or interface.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    FnArg, ItemTrait, Path, ReceiverKind, ReturnType, Signature, TraitItem, TraitItemFn,
    TypeParamBound, parse_quote, spanned::Spanned,
};

use crate::{
    base_path, doc_comment, dyn_compatibility, expand_info,
    item_struct::lacks_description,
    mistakes::Mistakes,
    names,
    property::{self, Place, Property},
    type_attribute::{Subject, TypeAttribute},
};

/// Expands the attribute `tokens` on `item`.
pub(crate) fn expand(tokens: TokenStream, subject: Subject, mut item: ItemTrait) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let ident = item.ident.clone();
    let attribute = TypeAttribute::read(tokens, subject, &ident, &mut mistakes);
    if subject == Subject::Class && !attribute.is_abstract {
        mistakes.at(
            &ident,
            "a trait is an abstract class or an interface: write `#[qom_type(abstract, …)]` or \
             `#[qom_interface]`",
        );
    }
    let name =
        names::choose(attribute.name.as_ref(), &ident, names::of_type(&ident), &mut mistakes);
    let description = doc_comment::first_line(&item.attrs);
    if description.is_none() {
        lacks_description(&ident, &mut mistakes);
    }
    let before = mistakes.count();
    for class in attribute.parent.iter().chain(&attribute.interfaces) {
        check_supertrait(&item, class, &mut mistakes);
    }
    let has_supertraits = mistakes.count() == before;
    if subject == Subject::Interface {
        share_between_threads(&mut item);
    }
    let is_compatible = dyn_compatibility::check(&item, &mut mistakes);
    let properties = read_properties(&mut item, subject, &mut mistakes);
    property::check_unique(&properties, &mut mistakes);
    let base = base_path::find(attribute.base.as_ref());
    // A getter asks for what a class has from its supertraits.
    let is_class = is_compatible && has_supertraits && attribute.parent.is_some();
    supply_getters(&mut item, &properties, base.as_ref().ok().filter(|_| is_class));
    explain_missing_impl(&mut item, subject, &name);
    let base = match base {
        Ok(base) => base,
        Err(error) => {
            mistakes.add(error);
            let errors = mistakes.to_compile_errors();
            return quote!(#item #errors);
        }
    };
    // Empty if there is no mistake.
    let errors = mistakes.to_compile_errors();
    if !is_compatible {
        return quote!(#item #errors);
    }
    // With mistakes too, so that the compiler adds what it finds in the rest.
    let (kind, parent) = match subject {
        Subject::Interface => (quote!(Interface), quote!("interface")),
        Subject::Class | Subject::Struct => {
            (quote!(Abstract), expand_info::name_of_parent(&base, &attribute))
        }
    };
    let marker = match subject {
        Subject::Interface => quote!(InterfaceClass),
        Subject::Class | Subject::Struct => quote!(AbstractClass),
    };
    let class_type = expand_info::class_type(
        &base,
        &quote!(dyn #ident),
        &expand_info::Declaration {
            ident: &ident,
            name: &name,
            description: &description.unwrap_or_default(),
            attribute: &attribute,
            kind: quote!(#base::TypeKind::#kind),
            parent,
            properties: &properties,
        },
    );
    let casts = casts(&base, &item, &attribute);
    let body = expand_info::enclose(&quote! {
        #casts

        #class_type

        #[diagnostic::do_not_recommend]
        impl #base::#marker for dyn #ident {}
    });
    quote!(#item #body #errors)
}

/// Whether the trait itself names the class too. Judged by the last word of the path: a class has
/// one name.
fn is_supertrait(item: &ItemTrait, class: &Path) -> bool {
    let Some(wanted) = class.segments.last().map(|segment| &segment.ident) else {
        return false;
    };
    item.supertraits.iter().any(|bound| {
        matches!(bound, TypeParamBound::Trait(bound)
            if bound.path.segments.last().is_some_and(|last| last.ident == *wanted))
    })
}

/// Notes a class that the attribute names and the trait itself does not.
fn check_supertrait(item: &ItemTrait, class: &Path, mistakes: &mut Mistakes) {
    let Some(wanted) = class.segments.last().map(|segment| &segment.ident) else {
        return;
    };
    if !is_supertrait(item, class) {
        let ident = &item.ident;
        let spell = |tokens: TokenStream| tokens.to_string().replace(" :: ", "::");
        let mut supertraits: Vec<String> =
            item.supertraits.iter().map(|bound| spell(quote!(#bound))).collect();
        supertraits.push(spell(quote!(#class)));
        mistakes.at(
            ident,
            format!(
                "the attribute derives `{ident}` from `{wanted}`, and the trait does not: \
                 write `trait {ident}: {}`",
                supertraits.join(" + ")
            ),
        );
    }
}

/// Demands of an interface what all objects are, `Send` and `Sync`, so that links to it are too. A
/// class has that from `Object`.
fn share_between_threads(item: &mut ItemTrait) {
    item.colon_token.get_or_insert_default();
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
}

/// Takes the properties out of the methods.
fn read_properties(
    item: &mut ItemTrait,
    subject: Subject,
    mistakes: &mut Mistakes,
) -> Vec<Property> {
    let mut properties = Vec::new();
    for member in &mut item.items {
        let TraitItem::Fn(method) = member else {
            continue;
        };
        if !method.attrs.iter().any(|attribute| attribute.path().is_ident("property")) {
            continue;
        }
        let name = &method.sig.ident;
        let unit = parse_quote!(());
        let ty = match &method.sig.output {
            ReturnType::Type(_, ty) => &**ty,
            ReturnType::Default => &unit,
        };
        let mut property = Property::take(name, ty, Place::Class, &mut method.attrs, mistakes);
        if subject == Subject::Interface {
            mistakes.at(
                name,
                "an interface has no state, so it has no properties: leave out `#[property]`",
            );
            continue;
        }
        let before = mistakes.count();
        check_getter(method, mistakes);
        if let Some(property) = &mut property {
            if let Some(get) = &property.attribute.get {
                mistakes.at(
                    get,
                    "a class keeps the values of its properties itself: leave out `get`, or \
                     declare the property in the structs",
                );
            }
            property.is_clear &= mistakes.count() == before;
        }
        properties.extend(property);
    }
    properties
}

/// Notes everything in which a method differs from `fn name(&self) -> Type;`.
fn check_getter(method: &TraitItemFn, mistakes: &mut Mistakes) {
    let signature = &method.sig;
    let name = &signature.ident;
    let how = format!("write `fn {name}(&self) -> Type;`");
    if let Some(body) = &method.default {
        mistakes.at(body, format!("the body of a property's method is supplied: {how}"));
    }
    if !signature.generics.params.is_empty() {
        mistakes.at(&signature.generics, format!("a property's method is not generic: {how}"));
    }
    let by_reference = takes_reference(signature);
    // Without `self` it is a mistake already: not dyn-compatible.
    if let (Some(receiver), false) = (signature.receiver(), by_reference) {
        mistakes.at(receiver, format!("a property is read by reference: {how}"));
    }
    for argument in &signature.inputs {
        if let FnArg::Typed(argument) = argument {
            mistakes.at(argument, format!("a property's method has no arguments: {how}"));
        }
    }
    if matches!(signature.output, ReturnType::Default) {
        mistakes.at(name, format!("a property's method returns its value: {how}"));
    }
}

/// Whether the receiver is `&self`.
fn takes_reference(signature: &Signature) -> bool {
    signature
        .receiver()
        .is_some_and(|receiver| matches!(receiver.kind, ReceiverKind::Reference(_, _, None)))
}

/// Gives each property's method its body; one that only keeps the compiler quiet if there is no
/// base, because a mistake was found.
fn supply_getters(item: &mut ItemTrait, properties: &[Property], base: Option<&TokenStream>) {
    for member in &mut item.items {
        let TraitItem::Fn(method) = member else {
            continue;
        };
        let Some(property) = properties.iter().find(|property| property.ident == method.sig.ident)
        else {
            continue;
        };
        if method.default.is_some() {
            continue;
        }
        let Property { ty, name, .. } = property;
        let base = base.filter(|_| property.is_clear);
        let body = match (base, &property.attribute.link) {
            (None, _) => {
                // A body needs a receiver of known size, and one by value is a mistake.
                if !takes_reference(&method.sig) {
                    continue;
                }
                method.attrs.push(parse_quote!(#[allow(unused_variables)]));
                quote!(::core::unimplemented!())
            }
            (Some(base), Some(class)) => quote_spanned! {ty.span()=>
                #base::Object::instance(self).class_link::<dyn #class>(#name)
            },
            (Some(base), None) => quote_spanned! {ty.span()=>
                #base::Object::instance(self).class_value::<#ty>(#name)
            },
        };
        method.default = Some(parse_quote!({ #body }));
        method.semi_token = None;
    }
}

/// Adds the text of the error that a struct without the `impl` gets, unless the author has one.
fn explain_missing_impl(item: &mut ItemTrait, subject: Subject, name: &str) {
    let theirs = item.attrs.iter().any(|attribute| {
        attribute.path().segments.last().is_some_and(|last| last.ident == "on_unimplemented")
    });
    if theirs {
        return;
    }
    let ident = &item.ident;
    let kind = if subject == Subject::Interface { "interface" } else { "class" };
    let message = format!("`{{Self}}` claims the {kind} `{name}` but does not implement `{ident}`");
    let label = format!("write `impl {ident} for {{Self}} {{{{ … }}}}`");
    item.attrs.push(parse_quote! {
        #[diagnostic::on_unimplemented(message = #message, label = #label)]
    });
}

/// The function that adds the class and all its ancestors to the casts of a descendant. Its bound
/// is what a descendant without the `impl` is told of, so it stands at the trait's name.
fn casts(base: &TokenStream, item: &ItemTrait, attribute: &TypeAttribute) -> TokenStream {
    let ItemTrait { ident, vis, .. } = item;
    let table = Ident::new("table", Span::mixed_site());
    let classes = attribute
        .parent
        .iter()
        .chain(&attribute.interfaces)
        // That one is not is noted as a mistake.
        .filter(|class| is_supertrait(item, class));
    let base = base_path::at(base, ident.span());
    quote_spanned! {ident.span()=>
        impl dyn #ident {
            #[doc(hidden)]
            #vis fn __casts<T: #ident + #base::Object>(#table: &mut #base::CastTable) {
                #table.add::<dyn #ident>(|object, slot| {
                    #base::put::<T, dyn #ident>(object, slot, |object| object)
                });
                #(<dyn #classes>::__casts::<T>(#table);)*
            }
        }
    }
}
