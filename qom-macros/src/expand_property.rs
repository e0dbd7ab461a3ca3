//! What a property becomes: its record, and the value that its field starts with.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, Type, spanned::Spanned};

use crate::{
    arguments, base_path, expand_info,
    property::{Place, Property},
    security::Condition,
};

/// The local through which a constructor reads its values. It crosses spans, so it has its own.
pub(crate) fn construction() -> Ident {
    Ident::new("construction", Span::mixed_site())
}

impl Property {
    fn is_live_field(&self) -> bool {
        self.attribute.live.is_some() && self.place == Place::Field
    }

    /// The type of the values, which a live or computed field wraps.
    fn value_type(&self, base: &TokenStream) -> TokenStream {
        let ty = &self.ty;
        if self.attribute.link.is_some() {
            // A link is given by the path of its target.
            quote!(::core::option::Option<::std::string::String>)
        } else if self.attribute.get.is_some() {
            let field = self.as_wrapper(base, "ComputedField");
            quote_spanned!(ty.span()=> #field::Value)
        } else if self.is_live_field() {
            let field = self.as_wrapper(base, "LiveField");
            quote_spanned!(ty.span()=> #field::Value)
        } else {
            quote!(#ty)
        }
    }

    /// `<T as PropertyType>` for the type of the values. At the type, where the compiler says it if
    /// that is no property type.
    fn as_property_type(&self, base: &TokenStream) -> TokenStream {
        let span = self.ty.span();
        let value_type = self.value_type(base);
        let base = base_path::at(base, span);
        quote_spanned!(span=> <#value_type as #base::PropertyType>)
    }

    /// `<F as LiveField>` or the like for the type of the field.
    fn as_wrapper(&self, base: &TokenStream, wrapper: &str) -> TokenStream {
        let Self { ty, .. } = self;
        let span = ty.span();
        let base = base_path::at(base, span);
        let wrapper = Ident::new(wrapper, span);
        quote_spanned!(span=> <#ty as #base::#wrapper>)
    }

    /// The expression that initializes the field, inside a function that returns a
    /// `ConstructError`.
    pub(crate) fn initializer(&self, base: &TokenStream) -> TokenStream {
        let Self { ty, name, attribute, .. } = self;
        let construction = construction();
        if attribute.get.is_some() {
            return quote!(::core::default::Default::default());
        }
        if let Some(class) = &attribute.link {
            return quote_spanned!(ty.span()=> #construction.link::<dyn #class>(#name)?);
        }
        let value_type = self.value_type(base);
        let value = quote!(#construction.value::<#value_type>(#name)?);
        if self.is_live_field() {
            let field = self.as_wrapper(base, "LiveField");
            quote!(#field::create(#value))
        } else {
            value
        }
    }

    /// The `PropertyInfo`, where `Self` is the type that declares it.
    pub(crate) fn info(&self, base: &TokenStream) -> TokenStream {
        let Self { name, description, attribute, conditions, .. } = self;
        let value_type = self.value_type(base);
        let property_type = self.as_property_type(base);
        let default = self.default(base, &value_type);
        let required = attribute.required;
        let range = match &attribute.range {
            Some(range) => {
                let (least, greatest) = (&range.least, &range.greatest);
                let span = range.span;
                let base = base_path::at(base, span);
                let range = quote_spanned! {span=>
                    #base::range::<#value_type>((#least) as i128, (#greatest) as i128)
                };
                quote!(::core::option::Option::Some(#range))
            }
            None => quote!(::core::option::Option::None),
        };
        let access = if attribute.get.is_some() {
            quote!(Computed)
        } else if attribute.live.is_some() {
            quote!(Live)
        } else {
            quote!(Creation)
        };
        let storage = match self.place {
            Place::Field => self.field_storage(base, &value_type),
            Place::Class => quote!(#base::Storage::Class),
        };
        let link = match &attribute.link {
            Some(class) => {
                let name = expand_info::name_of(base, Some(class));
                quote!(::core::option::Option::Some(#name))
            }
            None => quote!(::core::option::Option::None),
        };
        let statements = self.statements(base, &value_type);
        quote! {
            #(#conditions)*
            #base::PropertyInfo {
                name: #name,
                description: #description,
                value_type: #property_type::value_type,
                default: #default,
                required: #required,
                range: #range,
                access: #base::Access::#access,
                storage: #storage,
                link: #link,
                insecure: &[#(#statements),*],
                check: #base::check::<#value_type>,
            }
        }
    }

    fn default(&self, base: &TokenStream, value_type: &TokenStream) -> TokenStream {
        let attribute = &self.attribute;
        let property_type = self.as_property_type(base);
        if attribute.required || attribute.get.is_some() {
            return quote!(::core::option::Option::None);
        }
        let value = match &attribute.default {
            Some(default) => self.coerce(default, value_type),
            None => quote!(let value = <#value_type as ::core::default::Default>::default();),
        };
        quote!(::core::option::Option::Some(|| {
            #value
            #property_type::to_json(&value)
        }))
    }

    /// `let value` of the property's type. A string literal serves for a `String`.
    fn coerce(&self, expression: &Expr, value_type: &TokenStream) -> TokenStream {
        let is_text = matches!(expression, Expr::Lit(ExprLit { lit: Lit::Str(_), .. }));
        let span = expression.span();
        let value = if is_text && arguments::is_named(self.innermost_type(), "String") {
            quote_spanned!(span=> ::std::string::String::from(#expression))
        } else {
            quote!(#expression)
        };
        quote_spanned!(span=> let value: #value_type = #value;)
    }

    /// `T` for a field of type `Live<T>`.
    fn innermost_type(&self) -> &Type {
        if self.is_live_field()
            && let Type::Path(path) = &self.ty
            && let Some(last) = path.path.segments.last()
            && let syn::PathArguments::AngleBracketed(arguments) = &last.arguments
            && let Some(syn::GenericArgument::Type(inner)) = arguments.args.first()
        {
            return inner;
        }
        &self.ty
    }

    fn field_storage(&self, base: &TokenStream, value_type: &TokenStream) -> TokenStream {
        let Self { ident, attribute, .. } = self;
        let property_type = self.as_property_type(base);
        let field = self.as_wrapper(base, "LiveField");
        let read = if let Some(class) = &attribute.link {
            quote!(#base::link_value::<dyn #class>(&object.#ident))
        } else if let Some(method) = &attribute.get {
            let span = method.span();
            let value = quote_spanned!(span=> let value: #value_type = (#method)(object););
            // The field is no more than the place of the attribute; this is its use.
            quote!({ let _ = &object.#ident; #value #property_type::to_json(&value) })
        } else if self.is_live_field() {
            quote!(#property_type::to_json(
                &#field::read(&object.#ident)
            ))
        } else {
            quote!(#property_type::to_json(&object.#ident))
        };
        let set = if self.is_live_field() {
            quote!(::core::option::Option::Some(
                |object: &dyn #base::Any, value: &#base::Value| -> ::core::result::Result<(), #base::ValueError> {
                    let object = #base::downcast::<Self>(object)?;
                    let value = #property_type::from_json(value)?;
                    #field::write(&object.#ident, value);
                    ::core::result::Result::Ok(())
                }
            ))
        } else {
            quote!(::core::option::Option::None)
        };
        quote! {
            #base::Storage::Field {
                get: |object: &dyn #base::Any| -> ::core::option::Option<#base::Value> {
                    object.downcast_ref::<Self>().map(|object| #read)
                },
                set: #set,
            }
        }
    }

    fn statements(&self, base: &TokenStream, value_type: &TokenStream) -> Vec<TokenStream> {
        let property_type = self.as_property_type(base);
        self.attribute
            .statements
            .iter()
            .map(|statement| {
                let condition = match &statement.condition {
                    Condition::NotDefault => quote!(NotDefault),
                    Condition::When(judge) => quote!(When(#judge)),
                    Condition::Values(values) => {
                        let values = values.iter().map(|value| {
                            let value = self.coerce(value, value_type);
                            quote!({
                                #value
                                #property_type::to_json(&value)
                            })
                        });
                        quote!(Values(|| ::std::vec::Vec::from([#(#values),*])))
                    }
                };
                let reason = &statement.reason;
                quote!(#base::InsecureStatement {
                    condition: #base::InsecureCondition::#condition,
                    reason: #reason,
                })
            })
            .collect()
    }
}
