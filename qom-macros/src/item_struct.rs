//! `#[qom_type]` on a struct: a concrete type.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Field, Fields, FieldsNamed, ItemStruct, parse::Parser, punctuated::Punctuated,
    spanned::Spanned, token,
};

use crate::{
    base_path, doc_comment, expand_info,
    expand_property::construction,
    mistakes::Mistakes,
    names,
    property::{self, Place, Property},
    type_attribute::{Subject, TypeAttribute},
};

/// A field as the constructor sees it.
struct Slot {
    ident: Ident,
    /// None for a field that the author's code fills, starting from its type's default.
    property: Option<usize>,
    ty: syn::Type,
    conditions: Vec<Attribute>,
}

/// Expands the attribute `tokens` on `item`.
pub(crate) fn expand(tokens: TokenStream, mut item: ItemStruct) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let ident = item.ident.clone();
    let attribute = TypeAttribute::read(tokens, Subject::Struct, &ident, &mut mistakes);
    let name =
        names::choose(attribute.name.as_ref(), &ident, names::of_type(&ident), &mut mistakes);
    let description = doc_comment::first_line(&item.attrs);
    if description.is_none() {
        lacks_description(&ident, &mut mistakes);
    }
    if !item.generics.params.is_empty() {
        mistakes.at(
            &item.generics,
            "a type has one name and one record, so it can't be generic: write a struct for each \
             case, or keep a `Box<dyn Trait>` in a field",
        );
    }
    let (slots, properties) = read_fields(&mut item, &mut mistakes);
    property::check_unique(&properties, &mut mistakes);
    let base = match base_path::find(attribute.base.as_ref()) {
        Ok(base) => base,
        Err(error) => {
            mistakes.add(error);
            let errors = mistakes.to_compile_errors();
            return quote!(#item #errors);
        }
    };
    let has_instance = add_instance(&mut item, &base);
    // Empty if there is no mistake.
    let errors = mistakes.to_compile_errors();
    if !has_instance || !item.generics.params.is_empty() {
        let stand_in = stand_in(&base, &item, &attribute, has_instance);
        return quote!(#item #stand_in #errors);
    }
    // With mistakes too, so that the compiler adds what it finds in the rest.
    let kind = kind(&base, &ident, &attribute, &slots, &properties);
    let class_type = expand_info::class_type(
        &base,
        &quote!(#ident),
        &expand_info::Declaration {
            ident: &ident,
            name: &name,
            description: &description.unwrap_or_default(),
            attribute: &attribute,
            kind,
            parent: expand_info::name_of_parent(&base, &attribute),
            properties: &properties,
        },
    );
    let body = expand_info::enclose(&quote! {
        impl #base::Object for #ident {
            fn instance(&self) -> &#base::Instance {
                &self.__instance
            }
        }

        #class_type
    });
    quote!(#item #body #errors)
}

pub(crate) fn lacks_description(ident: &Ident, mistakes: &mut Mistakes) {
    mistakes.at(
        ident,
        format!(
            "`{ident}` lacks its description, which help shows: write a `///` line above it that \
             says what it is"
        ),
    );
}

/// Takes the properties out of the fields.
fn read_fields(item: &mut ItemStruct, mistakes: &mut Mistakes) -> (Vec<Slot>, Vec<Property>) {
    let mut slots = Vec::new();
    let mut properties = Vec::new();
    match &mut item.fields {
        Fields::Named(fields) => {
            for field in &mut fields.named {
                let Some(ident) = field.ident.clone() else {
                    continue;
                };
                let property =
                    Property::take(&ident, &field.ty, Place::Field, &mut field.attrs, mistakes);
                slots.push(Slot {
                    ident,
                    property: property.is_some().then_some(properties.len()),
                    ty: field.ty.clone(),
                    conditions: property::conditions(&field.attrs),
                });
                properties.extend(property);
            }
        }
        Fields::Unnamed(fields) => {
            mistakes.at(
                &*fields,
                "the fields of a type have names: write `struct Name { field: Type, … }`",
            );
            for field in &mut fields.unnamed {
                // So that the compiler does not complain of an unknown attribute as well.
                field.attrs.retain(|attribute| !attribute.path().is_ident("property"));
            }
        }
        Fields::Unit => {}
    }
    (slots, properties)
}

/// Adds the field that only a redeemed permit can fill. Whether the struct can have it.
fn add_instance(item: &mut ItemStruct, base: &TokenStream) -> bool {
    let field = quote! {
        #[doc(hidden)]
        __instance: #base::Instance
    };
    let Ok(field) = Field::parse_named.parse2(field) else {
        return false;
    };
    match &mut item.fields {
        Fields::Named(fields) => fields.named.push(field),
        Fields::Unnamed(_) => return false,
        Fields::Unit => {
            item.semi_token = None;
            item.fields = Fields::Named(FieldsNamed {
                // Where the struct ends, so that the compiler can show where it is defined.
                brace_token: token::Brace(item.ident.span()),
                named: Punctuated::from_iter([field]),
            });
        }
    }
    true
}

/// `TypeKind::Concrete` with the code behind the type, where `Self` is the struct.
fn kind(
    base: &TokenStream,
    ident: &Ident,
    attribute: &TypeAttribute,
    slots: &[Slot],
    properties: &[Property],
) -> TokenStream {
    let construction = construction();
    let table = Ident::new("table", Span::mixed_site());
    let fields = slots.iter().map(|slot| {
        let Slot { ident, property, ty, conditions } = slot;
        let value = match property.and_then(|index| properties.get(index)) {
            Some(property) => property.initializer(base),
            None => quote_spanned!(ty.span()=> <#ty as ::core::default::Default>::default()),
        };
        quote!(#(#conditions)* #ident: #value)
    });
    // A class that is not implemented is an error at the author's struct, so the call is there.
    let classes = attribute.parent.iter().chain(&attribute.interfaces).map(|class| {
        // What is no class is an error where it is written.
        let casts = Ident::new("__casts", class.span());
        let body = quote_spanned!(ident.span()=> <dyn #class>::#casts::<#ident>(#table));
        // In a body of its own, so that one which there is not does not hide what is wrong with
        // the others.
        quote! {
            {
                fn of_class(#table: &mut #base::CastTable) {
                    #body
                }
                of_class(#table)
            }
        }
    });
    let children = match &attribute.children {
        Some(path) => {
            let children = Ident::new("children", Span::mixed_site());
            let children = quote_spanned! {path.span()=> {
                let #children: #base::ChildrenFn = #path;
                #children
            }};
            quote!(::core::option::Option::Some(#children))
        }
        None => quote!(::core::option::Option::None),
    };
    quote! {
        #base::TypeKind::Concrete(&#base::Implementation {
            type_id: #base::TypeId::of::<Self>,
            construct: |permit: #base::Permit, #construction: &mut #base::Construction|
                -> ::core::result::Result<#base::Arc<dyn #base::Object>, #base::ConstructError>
            {
                let instance = permit.redeem::<Self>(#construction)?;
                ::core::result::Result::Ok(#base::Arc::new(Self {
                    #(#fields,)*
                    __instance: instance,
                }))
            },
            casts: |#table: &mut #base::CastTable| {
                #table.add::<Self>(|object, slot| #base::put::<Self, Self>(object, slot, |object| object));
                #(#classes;)*
            },
            children: #children,
        })
    }
}

/// Implementations that a struct has all the same which can't be a type, so that this does not cause
/// further errors where it is used.
fn stand_in(
    base: &TokenStream,
    item: &ItemStruct,
    attribute: &TypeAttribute,
    has_instance: bool,
) -> TokenStream {
    let uses = expand_info::uses(attribute);
    if !item.generics.params.is_empty() {
        return expand_info::enclose(&uses);
    }
    let ident = &item.ident;
    let instance =
        if has_instance { quote!(&self.__instance) } else { quote!(::core::unimplemented!()) };
    expand_info::enclose(&quote! {
        #uses

        impl #base::Object for #ident {
            fn instance(&self) -> &#base::Instance {
                #instance
            }
        }

        impl #base::ClassType for #ident {
            const NAME: &'static str = "";
            const INFO: &'static #base::TypeInfo = <dyn #base::Object as #base::ClassType>::INFO;
        }
    })
}
