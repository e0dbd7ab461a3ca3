//! What stands between an attribute's parentheses: `key`, `key = value` and `key(…)`, with commas.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Expr, ExprLit, ExprPath, Lit, LitStr, Path, Token, Type, TypeTraitObject,
    ext::IdentExt,
    parenthesized,
    parse::{ParseStream, Parser, discouraged::Speculative},
    token,
};

use crate::mistakes::Mistakes;

/// One key with what was written for it.
#[derive(Debug)]
pub(crate) struct Argument {
    pub(crate) key: Ident,
    pub(crate) form: Form,
}

/// How a key was written.
#[derive(Debug)]
pub(crate) enum Form {
    /// `key`
    Word,
    /// `key = expression`
    Equals(Box<Expr>),
    /// `key = dyn Class`
    EqualsClass(Box<TypeTraitObject>),
    /// `key(…)`
    List(TokenStream),
    /// Something that is noted as a mistake already.
    Broken,
}

impl Argument {
    pub(crate) fn is(&self, key: &str) -> bool {
        self.key.unraw() == key
    }

    /// Notes a mistake unless the key stands alone. `write` is how to write it.
    pub(crate) fn expect_word(&self, write: &str, mistakes: &mut Mistakes) {
        let message = format!("`{}` takes no value: write `{write}`", self.key);
        match &self.form {
            Form::Word | Form::Broken => {}
            Form::Equals(value) => mistakes.at(value, message),
            Form::EqualsClass(class) => mistakes.at(class, message),
            Form::List(tokens) if tokens.is_empty() => mistakes.at(&self.key, message),
            Form::List(tokens) => mistakes.at(tokens, message),
        }
    }

    /// The text of `key = "…"`, which must say something.
    pub(crate) fn string(&self, mistakes: &mut Mistakes) -> Option<LitStr> {
        if let Form::Equals(value) = &self.form
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = ungroup(value)
        {
            if text.value().trim().is_empty() {
                let key = &self.key;
                mistakes.at(text, format!("`{key}` says nothing: write `{key} = \"…\"` in words"));
            }
            return Some(text.clone());
        }
        self.wrong_form(&format!("{} = \"…\"", self.key), mistakes);
        None
    }

    /// The path of `key = path`. `write` is how to write it.
    pub(crate) fn path(&self, write: &str, mistakes: &mut Mistakes) -> Option<Path> {
        if let Form::Equals(value) = &self.form
            && let Expr::Path(ExprPath { qself: None, path, .. }) = ungroup(value)
        {
            return Some(path.clone());
        }
        self.wrong_form(write, mistakes);
        None
    }

    /// The expression of `key = expression`.
    pub(crate) fn expression(&self, write: &str, mistakes: &mut Mistakes) -> Option<Expr> {
        if let Form::Equals(value) = &self.form {
            return Some(ungroup(value).clone());
        }
        self.wrong_form(write, mistakes);
        None
    }

    /// What stands between the parentheses of `key(…)`, if it has that form.
    pub(crate) fn form_list(&self) -> Option<TokenStream> {
        match &self.form {
            Form::List(tokens) => Some(tokens.clone()),
            _ => None,
        }
    }

    /// What stands between the parentheses of `key(…)`.
    pub(crate) fn list(&self, write: &str, mistakes: &mut Mistakes) -> Option<TokenStream> {
        let tokens = self.form_list();
        if tokens.is_none() {
            self.wrong_form(write, mistakes);
        }
        tokens
    }

    /// Notes that the key is written in another way, at the value if there is one.
    pub(crate) fn wrong_form(&self, write: &str, mistakes: &mut Mistakes) {
        let message = format!("write `{write}`");
        match &self.form {
            Form::Word => mistakes.at(&self.key, message),
            Form::Equals(value) => mistakes.at(value, message),
            Form::EqualsClass(class) => mistakes.at(class, message),
            Form::List(tokens) if tokens.is_empty() => mistakes.at(&self.key, message),
            Form::List(tokens) => mistakes.at(tokens, message),
            Form::Broken => {}
        }
    }
}

/// An expression without the invisible group that `macro_rules!` puts around a fragment.
pub(crate) fn ungroup(expression: &Expr) -> &Expr {
    match expression {
        Expr::Group(group) => ungroup(&group.expr),
        other => other,
    }
}

/// Reads all arguments. After one that can't be read, goes on behind the next comma.
pub(crate) fn parse(tokens: TokenStream, mistakes: &mut Mistakes) -> Vec<Argument> {
    items(tokens, mistakes, argument)
}

/// Reads a list of anything, with commas; what can't be read is a mistake and left out.
pub(crate) fn items<T>(
    tokens: TokenStream,
    mistakes: &mut Mistakes,
    mut item: impl FnMut(ParseStream<'_>, &mut Mistakes) -> syn::Result<T>,
) -> Vec<T> {
    let mut all = Vec::new();
    let read = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match item(input, mistakes) {
                Ok(read) => {
                    all.push(read);
                    if !input.is_empty() && !input.peek(Token![,]) {
                        mistakes.add(input.error("expected a comma"));
                    }
                }
                Err(error) => mistakes.add(error),
            }
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = read.parse2(tokens) {
        mistakes.add(error);
    }
    all
}

fn argument(input: ParseStream<'_>, mistakes: &mut Mistakes) -> syn::Result<Argument> {
    if !input.peek(Ident::peek_any) {
        return Err(input.error("expected a key, as in `key`, `key = value` or `key(…)`"));
    }
    let key = Ident::parse_any(input)?;
    let form = if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        value(input, &key, mistakes)
    } else if input.peek(token::Paren) {
        let content;
        parenthesized!(content in input);
        Form::List(content.parse()?)
    } else if input.peek(Token![:]) {
        mistakes.at(&key, format!("write `{key} = …`, with an equals sign"));
        skip(input)?;
        Form::Broken
    } else {
        Form::Word
    };
    Ok(Argument { key, form })
}

fn value(input: ParseStream<'_>, key: &Ident, mistakes: &mut Mistakes) -> Form {
    if input.is_empty() || input.peek(Token![,]) {
        mistakes.at(key, format!("`{key} =` lacks its value"));
        return Form::Broken;
    }
    let ahead = input.fork();
    let read = if input.peek(Token![dyn]) {
        ahead.parse().map(|class| Form::EqualsClass(Box::new(class)))
    } else {
        ahead.parse().map(|value| Form::Equals(Box::new(value)))
    };
    match read {
        Ok(form) => {
            input.advance_to(&ahead);
            form
        }
        Err(error) => {
            mistakes.add(error);
            // Cannot fail: it stops at the end of the input.
            let _ = skip(input);
            Form::Broken
        }
    }
}

fn skip(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// The path of the one trait in `dyn Trait`.
pub(crate) fn class_of(object: &TypeTraitObject) -> Option<Path> {
    let mut bounds = object.bounds.iter();
    match (bounds.next(), bounds.next()) {
        (Some(syn::TypeParamBound::Trait(bound)), None) => Some(bound.path.clone()),
        _ => None,
    }
}

/// Whether `ty` is written as `name` or `some::path::name`, with or without arguments.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Group(group) => is_named(&group.elem, name),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn read(tokens: TokenStream) -> (Vec<Argument>, String) {
        let mut mistakes = Mistakes::default();
        let arguments = parse(tokens, &mut mistakes);
        (arguments, mistakes.to_compile_errors().to_string())
    }

    #[test]
    fn each_form_is_told_apart() {
        let (arguments, errors) =
            read(quote!(secure, name = "exit", boundary(guest), link = dyn A,));
        assert_eq!(errors, "");
        assert!(matches!(
            arguments.iter().map(|argument| &argument.form).collect::<Vec<_>>()[..],
            [Form::Word, Form::Equals(_), Form::List(_), Form::EqualsClass(_)]
        ));
    }

    #[test]
    fn a_comma_inside_a_value_does_not_end_it() {
        let (arguments, errors) = read(quote!(default = f::<u8, u16>(1, 2), abstract));
        assert_eq!(errors, "");
        assert_eq!(arguments.len(), 2);
        assert!(arguments[1].is("abstract"));
    }

    #[test]
    fn reading_goes_on_after_each_mistake() {
        let (arguments, errors) = read(quote!(name = , 5, deprecated: "x", default = =, secure));
        assert_eq!(
            arguments.iter().map(|argument| argument.key.to_string()).collect::<Vec<_>>(),
            ["name", "deprecated", "default", "secure"]
        );
        assert_eq!(errors.matches("compile_error").count(), 4, "{errors}");
    }
}
