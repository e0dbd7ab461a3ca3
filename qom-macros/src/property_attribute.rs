//! What `#[property(…)]` may say, read and checked key by key.

use std::collections::HashMap;

use proc_macro2::{Ident, Span, TokenStream};
use syn::{
    Attribute, Expr, LitStr, Meta, Path, RangeLimits, Type, ext::IdentExt, spanned::Spanned,
};

use crate::{
    arguments::{self, Argument, Form},
    literal,
    mistakes::Mistakes,
    security::{Condition, Statement, Statements},
    suggestion,
};

const KEYS: [&str; 14] = [
    "name",
    "description",
    "default",
    "required",
    "range",
    "live",
    "get",
    "link",
    "insecure",
    "insecure_if",
    "insecure_when",
    "reason",
    "deprecated",
    "unstable",
];

/// Least and greatest value.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) span: Span,
    pub(crate) least: Expr,
    pub(crate) greatest: Expr,
}

/// Everything that the attribute of a property says.
#[derive(Debug, Default)]
pub(crate) struct PropertyAttribute {
    pub(crate) name: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) default: Option<Expr>,
    pub(crate) required: bool,
    pub(crate) range: Option<Range>,
    /// The key, to say where it is wrong.
    pub(crate) live: Option<Ident>,
    pub(crate) get: Option<Path>,
    /// The trait of the class that a link points to.
    pub(crate) link: Option<Path>,
    pub(crate) statements: Vec<Statement>,
    /// What to use instead.
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) unstable: bool,
    /// The keys that were written, be it in a way that can't be read.
    written: HashMap<String, Ident>,
    /// Whether keys contradict each other, so that it is not known what kind of property it is.
    pub(crate) contradictory: bool,
}

/// The attributes of a field or method without `#[property]`, and that one's content.
pub(crate) fn take_from(
    attributes: &mut Vec<Attribute>,
    mistakes: &mut Mistakes,
) -> Option<TokenStream> {
    let mut found: Option<TokenStream> = None;
    attributes.retain(|attribute| {
        if !attribute.path().is_ident("property") {
            return true;
        }
        if found.is_some() {
            mistakes.at(attribute, "one `#[property(…)]` says everything: write one only");
            return false;
        }
        found = Some(match &attribute.meta {
            Meta::Path(_) => TokenStream::new(),
            Meta::List(list) => list.tokens.clone(),
            Meta::NameValue(pair) => {
                mistakes.at(&pair.value, "write `#[property(…)]`");
                TokenStream::new()
            }
        });
        false
    });
    found
}

impl PropertyAttribute {
    pub(crate) fn read(tokens: TokenStream, mistakes: &mut Mistakes) -> Self {
        let mut read = Self::default();
        let mut statements = Statements::default();
        // The keys that were written, to say where two of them don't go together.
        let mut seen: HashMap<String, Ident> = HashMap::new();
        for argument in arguments::parse(tokens, mistakes) {
            let key = argument.key.unraw().to_string();
            let repeatable = key.starts_with("insecure");
            if !KEYS.contains(&key.as_str()) {
                let instead = suggestion::instead(&key, &KEYS);
                mistakes.at(&argument.key, format!("a property has no key `{key}`: {instead}"));
            } else if seen.insert(key.clone(), argument.key.clone()).is_some() && !repeatable {
                mistakes.at(&argument.key, format!("`{key}` is written twice: leave one out"));
            } else {
                read.take(&key, argument, &mut statements, mistakes);
            }
        }
        let before = mistakes.count();
        combinations(&seen, &statements, mistakes);
        read.contradictory = mistakes.count() > before
            || (seen.contains_key("get") && read.get.is_none())
            || (seen.contains_key("link") && read.link.is_none());
        read.statements = statements.judge(mistakes);
        read.written = seen;
        read
    }

    /// Whether the key was written at all.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.written.contains_key(key)
    }

    fn take(
        &mut self,
        key: &str,
        argument: Argument,
        statements: &mut Statements,
        mistakes: &mut Mistakes,
    ) {
        match key {
            "name" => self.name = argument.string(mistakes),
            "description" => self.description = argument.string(mistakes),
            "default" => self.default = argument.expression("default = value", mistakes),
            "required" => {
                argument.expect_word("required", mistakes);
                self.required = true;
            }
            "range" => self.range = range(&argument, mistakes),
            "live" => {
                argument.expect_word("live", mistakes);
                self.live = Some(argument.key);
            }
            "get" => self.get = argument.path("get = Self::method", mistakes),
            "link" => self.link = link(&argument, mistakes),
            "reason" => statements.take_reason(&argument, mistakes),
            "deprecated" => self.deprecated = argument.string(mistakes),
            "unstable" => {
                argument.expect_word("unstable", mistakes);
                self.unstable = true;
            }
            // The keys are all above but the statements.
            _ => statements.take(argument, mistakes),
        }
    }

    /// Notes literals that are no values of the type, and takes them out, so that the compiler does
    /// not tell of them as well; then a default out of range.
    pub(crate) fn check_literals(&mut self, ty: &Type, mistakes: &mut Mistakes) {
        self.default.take_if(|default| !literal::check(default, ty, mistakes));
        self.range.take_if(|range| {
            let least = literal::check_range_end(&range.least, ty, mistakes);
            !literal::check_range_end(&range.greatest, ty, mistakes) || !least
        });
        for statement in &mut self.statements {
            if let Condition::Values(values) = &mut statement.condition {
                values.retain(|value| literal::check(value, ty, mistakes));
            }
        }
        if let (Some(default), Some(range)) = (&self.default, &self.range)
            && let (Some(value), Some(least), Some(greatest)) = (
                literal::integer(default),
                literal::integer(&range.least),
                literal::integer(&range.greatest),
            )
            && least <= greatest
            && !(least..=greatest).contains(&value)
        {
            mistakes.at(
                default,
                format!(
                    "the default is outside of its range: write a value from {least} to {greatest}"
                ),
            );
        }
    }
}

/// Notes keys that contradict each other, at the one that should go.
fn combinations(seen: &HashMap<String, Ident>, statements: &Statements, mistakes: &mut Mistakes) {
    const CONTRADICTIONS: [(&str, &str, &str); 10] = [
        ("required", "default", "a required property has no default: leave one of them out"),
        (
            "deprecated",
            "required",
            "nobody could do without a required property, so it can't be deprecated: leave one of \
             them out",
        ),
        ("get", "default", "a computed property has no default: its value is what `get` returns"),
        ("get", "required", "a computed property can't be given, so it can't be required"),
        ("get", "range", "a computed property can't be given, so it has no range to check"),
        ("get", "live", "a computed property can't be written, so it is not `live`"),
        ("get", "link", "a computed property is no link: leave one of them out"),
        ("link", "default", "a link is empty until it is given: leave out `default`"),
        ("link", "range", "a link is no integer: leave out `range`"),
        ("link", "live", "a link is set at creation only: leave out `live`"),
    ];
    for (this, other, message) in CONTRADICTIONS {
        if let (Some(_), Some(other)) = (seen.get(this), seen.get(other)) {
            mistakes.at(other, message);
        }
    }
    if let (Some(_), Some(key)) = (seen.get("get"), statements.first_key()) {
        mistakes.at(
            key,
            "a computed property can't be given, so none of its values is insecure: state it of \
             the properties that it is computed from",
        );
    }
    if let (Some(_), Some(key)) = (seen.get("link"), statements.values_key()) {
        mistakes.at(
            key,
            "a link has no values to list: write `insecure_when(path::to::function, reason = \"…\")`",
        );
    }
}

fn range(argument: &Argument, mistakes: &mut Mistakes) -> Option<Range> {
    const HOW: &str = "range = least..=greatest";
    let expression = argument.expression(HOW, mistakes)?;
    let Expr::Range(syn::ExprRange {
        start: Some(least),
        limits: RangeLimits::Closed(_),
        end: Some(greatest),
        ..
    }) = &expression
    else {
        mistakes.at(
            &expression,
            format!("a range has both ends, and they belong to it: write `{HOW}`"),
        );
        return None;
    };
    if let (Some(start), Some(end)) = (literal::integer(least), literal::integer(greatest))
        && start > end
    {
        mistakes
            .at(&expression, format!("no value is in this range: write `range = {end}..={start}`"));
        return None;
    }
    Some(Range {
        span: expression.span(),
        least: (**least).clone(),
        greatest: (**greatest).clone(),
    })
}

fn link(argument: &Argument, mistakes: &mut Mistakes) -> Option<Path> {
    if let Form::EqualsClass(class) = &argument.form
        && let Some(path) = arguments::class_of(class)
    {
        return Some(path);
    }
    argument.wrong_form("link = dyn Trait", mistakes);
    None
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn read(tokens: TokenStream) -> (PropertyAttribute, String) {
        let mut mistakes = Mistakes::default();
        let mut attribute = PropertyAttribute::read(tokens, &mut mistakes);
        attribute.check_literals(&syn::parse_quote!(i16), &mut mistakes);
        (attribute, mistakes.to_compile_errors().to_string())
    }

    #[track_caller]
    fn mistakes(tokens: TokenStream, expected: usize) {
        let (_, errors) = read(tokens);
        assert_eq!(errors.matches("compile_error").count(), expected, "{errors}");
    }

    #[test]
    fn every_key_is_taken() {
        let (attribute, errors) = read(quote! {
            name = "iobase", description = "First port", default = 0x3f8, range = 0..=0x7ff8, live,
            deprecated = "use ports", unstable
        });
        assert_eq!(errors, "");
        assert!(attribute.default.is_some() && attribute.range.is_some());
        assert!(attribute.live.is_some() && !attribute.required && attribute.unstable);
        assert_eq!(
            attribute.deprecated.map(|instead| instead.value()).as_deref(),
            Some("use ports")
        );
    }

    #[test]
    fn several_statements_have_each_their_own_reason() {
        let (attribute, errors) = read(quote! {
            insecure(reason = "a"), insecure_if(1, 2, reason = "b"), insecure_if(3, reason = "c"),
            insecure_when(judge::open, reason = "d")
        });
        assert_eq!(errors, "");
        let reasons: Vec<_> =
            attribute.statements.iter().map(|statement| statement.reason.value()).collect();
        assert_eq!(reasons, ["a", "b", "c", "d"]);
        assert!(matches!(&attribute.statements[1].condition, Condition::Values(v) if v.len() == 2));
    }

    #[test]
    fn the_only_statement_may_have_its_reason_beside_it() {
        for tokens in [
            quote!(insecure, reason = "a"),
            quote!(insecure_if(1, 2), reason = "a"),
            quote!(insecure_when = judge::open, reason = "a"),
        ] {
            let (attribute, errors) = read(tokens);
            assert_eq!(errors, "");
            assert_eq!(attribute.statements.len(), 1);
        }
    }

    #[test]
    fn a_reason_that_fits_two_statements_is_a_mistake() {
        mistakes(quote!(insecure_if(1), insecure_when = open, reason = "a"), 1);
        mistakes(quote!(reason = "a"), 1);
        mistakes(quote!(insecure), 1);
        mistakes(quote!(insecure_if(reason = "a")), 1);
        mistakes(quote!(insecure_if(1, reson = "a")), 1);
    }

    #[test]
    fn contradictions_are_mistakes() {
        mistakes(quote!(required, default = 1), 1);
        mistakes(quote!(required, deprecated = "use ports"), 1);
        mistakes(quote!(get = Self::f, default = 1, required, range = 0..=1), 4);
        mistakes(quote!(link = dyn Bus, live), 1);
        mistakes(quote!(link = dyn Bus, insecure_if(1, reason = "a")), 1);
    }

    #[test]
    fn ranges_have_both_ends_and_something_between_them() {
        mistakes(quote!(range = 0..4), 1);
        mistakes(quote!(range = ..=4), 1);
        mistakes(quote!(range = 5..=-4), 1);
        mistakes(quote!(range = -4..=5, default = 6), 1);
        mistakes(quote!(range = LEAST..=GREATEST, default = 6), 0);
    }

    #[test]
    fn each_literal_of_another_type_is_a_mistake_and_one_only() {
        mistakes(quote!(default = 40_000, range = 0..=8, insecure_if(1, "x", reason = "a")), 2);
        mistakes(quote!(range = -40_000..=40_000), 2);
    }
}
